//! Balances as of then, and entries.

use std::sync::Arc;

use ledger::{Account, AccountId, Asset, BookNo, Counters, Micros, Position, Slot};
use store::{AccountBalances, AsOf, AssetBalance, Cursor, EntryView, Listed, Page, Stamped, Viewer};

use super::{Read, Seen, View};
use crate::history::{History, Until, last_entry, sides};
use crate::log::Locator;
use crate::payload::BalanceKey;

/// An account and where its past begins, taken at one moment.
pub(super) struct AccountThen {
    book: BookNo,
    account: Arc<Account>,
    currency: Option<Arc<Asset>>,
    chains: Vec<ChainThen>,
}

struct ChainThen {
    asset: Arc<Asset>,
    newest: Option<Locator>,
    /// What entries with another effective time change.
    correction: i128,
}

/// As of which record the counters are read, before any correction.
fn until(as_of: AsOf) -> Until {
    if let Some(position) = as_of.position {
        return Until::Position(position);
    }
    let recorded = as_of.recorded_at.unwrap_or(Micros::MAX);
    Until::Time(recorded.min(as_of.effective_at.unwrap_or(Micros::MAX)))
}

impl Seen<'_> {
    pub(super) fn account_then(&self, slot: &Slot, as_of: AsOf) -> AccountThen {
        let no = slot.account.no;
        let mut chains: Vec<_> = slot
            .balances
            .iter()
            .map(|(asset, _)| {
                let key = (self.book.no, (no, asset));
                let newest = self
                    .published
                    .tables
                    .chains
                    .get(key.0, key.1)
                    .and_then(|chain| chain.newest());
                let correction = as_of.effective_at.and_then(|effective| {
                    let recorded = as_of.recorded_at.unwrap_or(Micros::MAX);
                    let deviations = self.published.deviations.get(&key)?;
                    Some(deviations.corrected(0, recorded, effective))
                });
                ChainThen {
                    asset: self.asset(asset),
                    newest,
                    correction: correction.unwrap_or(0),
                }
            })
            .collect();
        chains.sort_unstable_by_key(|chain| chain.asset.no);
        let currency = slot.account.currency.map(|asset| self.asset(asset));
        AccountThen {
            book: self.book.no,
            account: Arc::clone(&slot.account),
            currency,
            chains,
        }
    }

    /// The newest record of each of an account's balances.
    pub(super) fn newest_of(&self, slot: &Slot) -> Vec<(BalanceKey, Locator)> {
        let no = slot.account.no;
        let chain = |asset| self.published.tables.chains.get(self.book.no, (no, asset));
        let chains = slot.balances.iter();
        chains
            .filter_map(|(asset, _)| Some(((no, asset), chain(asset)?.newest()?)))
            .collect()
    }
}

impl History<'_> {
    pub(super) fn balances_then(&self, account: AccountThen, as_of: AsOf) -> Read<AccountBalances> {
        let mut balances = Vec::with_capacity(account.chains.len());
        for chain in account.chains {
            let key = (account.account.no, chain.asset.no);
            let found = self.seek_balance(chain.newest, account.book, key, until(as_of))?;
            let (mut counters, credit, last, last_at) = match found {
                Some((_, record)) => {
                    let entry = last_entry(&record, key).expect("the record is on the balance's chain");
                    (entry.counters, entry.credit, record.position, record.recorded_at)
                }
                // Nothing was recorded by then; something recorded later may count.
                None if chain.correction != 0 => {
                    let credit = account.account.credit(chain.asset.no);
                    (Counters::default(), credit, Position(0), Micros::default())
                }
                None => continue,
            };
            if as_of.effective_at.is_some() {
                counters = settled_alone(counters.settled().wrapping_add(chain.correction));
            }
            balances.push(AssetBalance {
                asset: chain.asset,
                counters,
                credit,
                last,
                last_at,
            });
        }
        Ok(AccountBalances {
            account: account.account,
            currency: account.currency,
            balances,
        })
    }

    /// Moves each chain to its newest record that is old enough.
    pub(super) fn seek_all(
        &self,
        book: BookNo,
        chains: Vec<(BalanceKey, Locator)>,
        until: Until,
    ) -> Read<Vec<(BalanceKey, Locator)>> {
        let mut found = Vec::with_capacity(chains.len());
        for (key, newest) in chains {
            found.extend(
                self.seek_balance(Some(newest), book, key, until)?
                    .map(|(at, _)| (key, at)),
            );
        }
        Ok(found)
    }
}

/// Counters that say nothing but `settled`.
fn settled_alone(settled: i128) -> Counters {
    let amount = ledger::Amount::new(settled.unsigned_abs()).expect("settled is a difference of counters");
    match settled >= 0 {
        true => Counters {
            credits_posted: amount,
            ..Counters::default()
        },
        false => Counters {
            debits_posted: amount,
            ..Counters::default()
        },
    }
}

/// Where a walk back begins: behind the cursor, and before the exclusive end.
pub(super) fn start_of(page: Page, to: Option<Micros>) -> Vec<Until> {
    let behind = page
        .after
        .map(|cursor| Until::Position(Position(cursor.position)));
    let before = to.map(|to| Until::Time(Micros(to.0.saturating_sub(1))));
    behind.into_iter().chain(before).collect()
}

impl View {
    pub(crate) fn account_then(
        &self,
        viewer: Viewer,
        id: AccountId,
        as_of: AsOf,
    ) -> Read<Option<Stamped<AccountBalances>>> {
        let (history, account, position) = {
            let published = self.published();
            let seen = Seen::new(&published, viewer)?;
            let Some(slot) = seen.slot(id) else {
                return Ok(None);
            };
            (
                self.history(&published),
                seen.account_then(slot, as_of),
                seen.position(),
            )
        };
        let value = history.balances_then(account, as_of)?;
        Ok(Some(Stamped { value, position }))
    }

    pub(crate) fn entries(
        &self,
        viewer: Viewer,
        account: AccountId,
        from: Option<Micros>,
        to: Option<Micros>,
        page: Page,
    ) -> Read<Option<Listed<EntryView>>> {
        let (history, book, no, mut chains, position) = {
            let published = self.published();
            let seen = Seen::new(&published, viewer)?;
            let Some(slot) = seen.slot(account) else {
                return Ok(None);
            };
            (
                self.history(&published),
                seen.book.no,
                slot.account.no,
                seen.newest_of(slot),
                seen.position(),
            )
        };
        for until in start_of(page, to) {
            chains = history.seek_all(book, chains, until)?;
        }
        let mut found = Vec::new();
        history.walk_balances(chains, |record| {
            if from.is_some_and(|from| record.recorded_at < from) {
                return Ok(false);
            }
            for (index, side) in (0u32..)
                .zip(sides(&record, no))
                .collect::<Vec<_>>()
                .into_iter()
                .rev()
            {
                let at = Cursor {
                    position: record.position.0,
                    index,
                };
                // One more than wanted says that there is more.
                if page.after.is_none_or(|after| at < after) && found.len() <= page.limit {
                    found.push((at, Arc::clone(&record), side));
                }
            }
            Ok(found.len() <= page.limit)
        })?;
        let more = found.len() > page.limit;
        found.truncate(page.limit);
        let next = found.last().filter(|_| more).map(|(at, ..)| *at);
        let published = self.published();
        let seen = Seen::new(&published, viewer)?;
        let items = found.into_iter().map(|(_, record, side)| EntryView {
            asset: seen.asset(record.booked()[side.nth].moves[side.move_index].asset.no),
            record,
            nth: side.nth,
            move_index: side.move_index,
            direction: side.direction,
        });
        Ok(Some(Listed {
            items: items.collect(),
            next,
            position,
        }))
    }
}
