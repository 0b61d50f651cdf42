//! One move at a time, on counters that see the moves before it.

use smallvec::SmallVec;

use super::{OrNeed, Scene, Stop};
use crate::account::{Account, AccountStatus};
use crate::amount::Amount;
use crate::asset::{AssetName, AssetNo};
use crate::balance::{Counters, Credit};
use crate::id::{AccountId, AccountNo};
use crate::record::{AccountRef, AssetRef, Code, Entry, Move, Moves, Rejection};
use crate::slots::Slot;
use crate::state::{Map, RowKey};

/// What a move does to the counters, in minor units.
#[derive(Clone, Copy, Default)]
pub(super) struct Delta {
    pub(super) post: Amount,
    pub(super) reserve: Amount,
    pub(super) free: Amount,
}

/// The two ends of a move and what moves between them.
pub(super) struct Path<'a> {
    pub(super) from: &'a Slot,
    pub(super) to: &'a Slot,
    pub(super) asset: AssetRef,
}

/// The counters that this command has changed so far; few for most commands, many for a batch.
#[derive(Default)]
struct Changed {
    few: SmallVec<[((AccountNo, AssetNo), Counters); 4]>,
    many: Map<(AccountNo, AssetNo), Counters>,
}

impl Changed {
    const FEW: usize = 16;

    fn get(&self, key: (AccountNo, AssetNo)) -> Option<Counters> {
        let few = self
            .few
            .iter()
            .find(|(other, _)| *other == key)
            .map(|(_, counters)| *counters);
        few.or_else(|| self.many.get(&key).copied())
    }

    fn put(&mut self, key: (AccountNo, AssetNo), counters: Counters) {
        if let Some((_, here)) = self.few.iter_mut().find(|(other, _)| *other == key) {
            *here = counters;
        } else if self.few.len() < Self::FEW {
            self.few.push((key, counters));
        } else {
            self.many.insert(key, counters);
        }
    }
}

/// Makes moves, one after the other. Needs that come up are gathered, so that a store can load them at once.
pub(super) struct Mover<'a> {
    scene: Scene<'a>,
    /// What was changed, unless nobody asks for it.
    changed: Option<Changed>,
    needs: Vec<RowKey>,
}

impl<'a> Mover<'a> {
    pub(super) fn new(scene: Scene<'a>) -> Self {
        Self {
            changed: Some(Changed::default()),
            ..Self::once(scene)
        }
    }

    /// For one move alone, which no other sees.
    pub(super) const fn once(scene: Scene<'a>) -> Self {
        Self {
            scene,
            changed: None,
            needs: Vec::new(),
        }
    }

    /// Ends with the rows that were missing, if any were.
    pub(super) fn finish(self) -> Result<(), Stop> {
        if self.needs.is_empty() {
            Ok(())
        } else {
            Err(Stop::Need(self.needs))
        }
    }

    /// Keeps a need for later and goes on; any other stop is final unless needs came before it.
    pub(super) fn gather(&mut self, made: Result<(), Stop>) -> Result<(), Stop> {
        match made {
            Ok(()) => Ok(()),
            Err(Stop::Need(needs)) => {
                self.needs.extend(needs);
                Ok(())
            }
            Err(_) if !self.needs.is_empty() => Err(Stop::Need(std::mem::take(&mut self.needs))),
            Err(stop) => Err(stop),
        }
    }

    /// The account with this id, if the actor sees it.
    pub(super) fn account(&self, id: AccountId) -> Result<&'a Slot, Stop> {
        match self.scene.book.slot(id).or_need(RowKey::Account(id))? {
            Some(slot) if self.scene.sees_account(&slot.account) => Ok(slot),
            _ => Err(Code::AccountNotFound.into()),
        }
    }

    /// Both accounts; when both are missing, both are needed.
    pub(super) fn accounts(&self, from: AccountId, to: AccountId) -> Result<(&'a Slot, &'a Slot), Stop> {
        let at = |code: Stop, id| match code {
            Stop::Reject(rejection) => Stop::Reject(Rejection {
                account: Some(id),
                ..rejection
            }),
            other => other,
        };
        let first = self.account(from).map_err(|stop| at(stop, from));
        let second = self.account(to).map_err(|stop| at(stop, to));
        match (first, second) {
            (Err(Stop::Need(mut needs)), Err(Stop::Need(more))) => {
                needs.extend(more);
                Err(Stop::Need(needs))
            }
            (Err(stop @ Stop::Need(_)), _) | (_, Err(stop @ Stop::Need(_))) => Err(stop),
            (first, second) => Ok((first?, second?)),
        }
    }

    pub(super) fn asset(&self, name: &AssetName) -> Result<AssetRef, Stop> {
        let asset = self
            .scene
            .state
            .asset(self.scene.book.no, name)
            .or_need(RowKey::Asset(*name))?;
        asset
            .map(|asset| AssetRef {
                no: asset.no,
                name: asset.name,
            })
            .ok_or_else(|| Code::AssetNotFound.into())
    }

    /// Checks that both accounts take new movements: the right currency, open, the debited one not frozen.
    pub(super) fn check_open(path: &Path<'_>) -> Result<(), Stop> {
        let refuse = |code: Code, account: &Account| {
            Err(Stop::Reject(Rejection {
                account: Some(account.id),
                ..code.into()
            }))
        };
        let from = &path.from.account;
        let ends = [from, &path.to.account];
        if let Some(other) = ends
            .iter()
            .find(|account| account.currency.is_some_and(|currency| currency != path.asset.no))
        {
            return refuse(Code::CurrencyMismatch, other);
        }
        if let Some(closed) = ends
            .iter()
            .find(|account| account.status == AccountStatus::Closed)
        {
            return refuse(Code::AccountClosed, closed);
        }
        if from.status == AccountStatus::Frozen {
            return refuse(Code::AccountFrozen, from);
        }
        Ok(())
    }

    fn counters(&self, slot: &Slot, asset: AssetNo) -> Result<Counters, Stop> {
        let no = slot.account.no;
        let changed = self.changed.as_ref();
        match changed.and_then(|changed| changed.get((no, asset))) {
            Some(counters) => Ok(counters),
            None => {
                let balance = self.scene.book.balance_in(slot, asset);
                Ok(balance.or_need(RowKey::Balance(no, asset))?.counters)
            }
        }
    }

    /// Makes the move, if the books allow it: the floor of the debited account (unless `force`), the maximum of the
    /// credited one, and the size of the counters. It is put where it stays: a move is large.
    pub(super) fn make(
        &mut self,
        index: u32,
        path: &Path<'_>,
        delta: Delta,
        force: bool,
        moves: &mut Moves,
    ) -> Result<(), Stop> {
        assert!(
            self.changed.is_some() || moves.is_empty(),
            "what moves once moves once"
        );
        let asset = path.asset.no;
        let (from_before, to_before) = match (self.counters(path.from, asset), self.counters(path.to, asset))
        {
            (Ok(from), Ok(to)) => (from, to),
            (from, to) => {
                let needs = [from, to].into_iter().filter_map(|side| match side {
                    Err(Stop::Need(needs)) => Some(needs),
                    _ => None,
                });
                return Err(Stop::Need(needs.flatten().collect()));
            }
        };
        let (from, to) = (&*path.from.account, &*path.to.account);
        let credit = from.credit(asset);
        if !force && falls_below_floor(credit, &from_before, delta) {
            let no = from.no;
            let due = self
                .scene
                .book
                .due_holds(no, self.scene.now)
                .or_need(RowKey::Due(no))?;
            if !due.is_empty() {
                return Err(Stop::ExpireFirst(due));
            }
            return Err(refuse(Code::InsufficientFunds, from));
        }
        let limit = to.limit(asset).and_then(|limit| limit.max_balance);
        if limit.is_some_and(|limit| rises_above(limit, &to_before, delta)) {
            return Err(refuse(Code::BalanceLimit, to));
        }
        let from_after = after_debit(&from_before, delta)
            .map(|counters| Entry { counters, credit })
            .filter(|entry| entry.credit.is_exact(&entry.counters))
            .ok_or_else(|| refuse(Code::Overflow, from))?;
        let to_after = after_credit(&to_before, delta)
            .map(|counters| Entry {
                counters,
                credit: to.credit(asset),
            })
            .filter(|entry| entry.credit.is_exact(&entry.counters))
            .ok_or_else(|| refuse(Code::Overflow, to))?;
        if let Some(changed) = &mut self.changed {
            changed.put((from.no, asset), from_after.counters);
            changed.put((to.no, asset), to_after.counters);
        }
        moves.push(Move {
            index,
            from: AccountRef {
                no: from.no,
                id: from.id,
            },
            to: AccountRef { no: to.no, id: to.id },
            asset: path.asset,
            post: delta.post,
            reserve: delta.reserve,
            free: delta.free,
            from_after,
            to_after,
        });
        Ok(())
    }
}

fn refuse(code: Code, account: &Account) -> Stop {
    Stop::Reject(Rejection {
        account: Some(account.id),
        ..code.into()
    })
}

/// Whether the move takes spendable below zero, or further below.
fn falls_below_floor(credit: Credit, before: &Counters, delta: Delta) -> bool {
    let Credit::Limit(limit) = credit else {
        return false;
    };
    let gone = delta.post.signed().checked_add(delta.reserve.signed());
    // What is freed was reserved, so the difference is no more than what goes.
    let Some(gone) = gone.map(|gone| gone - delta.free.signed()) else {
        return true;
    };
    if gone <= 0 {
        return false;
    }
    let left = before
        .available()
        .checked_sub(gone)
        .and_then(|left| left.checked_add(limit.signed()));
    match left {
        Some(left) => left < 0,
        // Below any i128, or, where nearly all of a huge balance and limit are left, above.
        None => before.available() < 0,
    }
}

/// Whether the move raises settled plus incoming above `limit`.
fn rises_above(limit: Amount, before: &Counters, delta: Delta) -> bool {
    let raised = delta.post.signed().checked_add(delta.reserve.signed());
    let Some(raised) = raised.map(|raised| raised - delta.free.signed()) else {
        return true;
    };
    if raised <= 0 {
        return false;
    }
    let held = before.settled().checked_add(before.incoming());
    held.and_then(|held| held.checked_add(raised))
        .is_none_or(|total| total > limit.signed())
}

fn after_debit(before: &Counters, delta: Delta) -> Option<Counters> {
    Some(Counters {
        debits_posted: before.debits_posted.checked_add(delta.post)?,
        debits_pending: before
            .debits_pending
            .checked_sub(delta.free)?
            .checked_add(delta.reserve)?,
        ..*before
    })
}

fn after_credit(before: &Counters, delta: Delta) -> Option<Counters> {
    Some(Counters {
        credits_posted: before.credits_posted.checked_add(delta.post)?,
        credits_pending: before
            .credits_pending
            .checked_sub(delta.free)?
            .checked_add(delta.reserve)?,
        ..*before
    })
}
