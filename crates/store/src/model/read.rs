//! The reads, each by looking at everything.

use std::collections::HashMap;
use std::sync::Arc;

use ledger::{
    Account, AccountId, AccountNo, Amount, ApiKey, Asset, AssetName, AssetRef, BookNo, Booked, Client,
    ClientId, Customer, CustomerId, Decimal, Entry, Findable, Hold, HoldStatus, Lookup, Micros, Owner,
    Purpose, RateRow, Record, Transaction, TransactionId,
};

use super::book::{Book, Moved, World, add_up};
use super::money::credit;
use crate::{
    AccountBalances, AccountFilter, AsOf, AssetBalance, ClientAccounts, Cursor, CustomerAccounts,
    CustomerRef, CustomerValuation, Direction, EntryView, HoldFilter, Holding, Listed, Page, Purposes,
    Stamped, StoreError, TransactionFilter, TransactionView, Viewer,
};

/// What a viewer sees.
pub(super) struct View<'a> {
    world: &'a World,
    book: &'a Book,
    viewer: Option<ClientId>,
}

/// One account's side of a move.
struct Line<'a> {
    moved: Moved<'a>,
    direction: Direction,
    /// Where it stands among the lines of its record.
    index: u32,
}

impl Line<'_> {
    fn after(&self) -> &Entry {
        match self.direction {
            Direction::Debit => &self.moved.made.from_after,
            Direction::Credit => &self.moved.made.to_after,
        }
    }

    fn is_within(&self, as_of: AsOf) -> bool {
        let record = self.moved.record;
        as_of.position.is_none_or(|last| record.position <= last)
            && as_of.recorded_at.is_none_or(|last| record.recorded_at <= last)
            && as_of
                .effective_at
                .is_none_or(|last| record.effective_at(self.moved.nth) <= last)
    }
}

fn number(no: u32) -> Cursor {
    Cursor {
        position: no.into(),
        index: 0,
    }
}

impl<'a> View<'a> {
    pub(super) fn of(world: &'a World, viewer: Viewer) -> Result<Self, StoreError> {
        let book = world
            .books
            .get(&viewer.book)
            .ok_or(StoreError::NoSuchBook(viewer.book))?;
        Ok(Self {
            world,
            book,
            viewer: viewer.client,
        })
    }

    pub(super) fn stamp<T>(&self, value: T) -> Stamped<T> {
        Stamped {
            value,
            position: self.book.position(),
        }
    }

    fn sees(&self, client: ClientId) -> bool {
        self.book.sees(self.viewer, client)
    }

    fn sees_number(&self, account: AccountNo) -> bool {
        self.sees(self.book.accounts[account.0 as usize].client)
    }

    /// The part of a whole list that the page asks for, each item shown so.
    fn page<K, T>(
        &self,
        all: impl IntoIterator<Item = (Cursor, K)>,
        page: Page,
        show: impl Fn(K) -> T,
    ) -> Listed<T> {
        let mut all: Vec<_> = all.into_iter().collect();
        let behind = page.after.map_or(0, |after| {
            let at = all.iter().position(|(cursor, _)| *cursor == after);
            at.map_or(all.len(), |at| at + 1)
        });
        let mut part = all.split_off(behind);
        let next = (part.len() > page.limit).then(|| part[page.limit - 1].0);
        part.truncate(page.limit);
        Listed {
            items: part.into_iter().map(|(_, item)| show(item)).collect(),
            next,
            position: self.book.position(),
        }
    }

    pub(super) fn api_keys(&self, page: Page) -> Listed<Arc<ApiKey>> {
        let seen = |key: &&Arc<ApiKey>| key.client.is_none_or(|client| self.sees(client));
        let keys = self.book.api_keys.iter().filter(seen);
        self.page(keys.map(|key| (number(key.no), key)), page, Arc::clone)
    }

    /// The clients in sight, with their places in the list: in book 0 all roots, by their books.
    fn all_clients(&self) -> Vec<(Cursor, &'a Arc<Client>)> {
        if self.book.no == BookNo::OPERATOR {
            let roots = self.world.books.values().filter(|book| book.root.is_some());
            return roots.map(|book| (number(book.no.0), &book.clients[0])).collect();
        }
        let clients = self.book.clients.iter().filter(|client| self.sees(client.id));
        clients.map(|client| (number(client.no), client)).collect()
    }

    pub(super) fn client(&self, id: ClientId) -> Option<Stamped<Arc<Client>>> {
        let mut all = self.all_clients().into_iter();
        let (_, client) = all.find(|(_, client)| client.id == id)?;
        Some(self.stamp(Arc::clone(client)))
    }

    pub(super) fn clients(&self, external_id: Option<Lookup>, page: Page) -> Listed<Arc<Client>> {
        let all = self.all_clients().into_iter();
        let found = all.filter(|(_, client)| fits(external_id, client.notes.external_id.as_ref()));
        self.page(found, page, Arc::clone)
    }

    pub(super) fn customer(&self, customer: CustomerRef) -> Option<&'a Arc<Customer>> {
        let is_meant = |row: &&Arc<Customer>| match customer {
            CustomerRef::Id(id) => row.id == id,
            CustomerRef::Number(number) => row.number == number,
        };
        let row = self.book.customers.iter().find(is_meant)?;
        self.sees(row.client).then_some(row)
    }

    pub(super) fn customers(&self, external_id: Option<Lookup>, page: Page) -> Listed<Arc<Customer>> {
        let seen = self.book.customers.iter().filter(|row| self.sees(row.client));
        let found = seen.filter(|row| fits(external_id, row.notes.external_id.as_ref()));
        self.page(found.map(|row| (number(row.no), row)), page, Arc::clone)
    }

    pub(super) fn account(&self, id: AccountId) -> Option<&'a Arc<Account>> {
        self.book.account(id).filter(|account| self.sees(account.client))
    }

    /// Every line of an account, in order.
    fn lines(&self, account: AccountNo) -> Vec<Line<'a>> {
        let mut lines = Vec::new();
        let mut index = 0;
        let mut last = None;
        for moved in self.book.moves() {
            if last.replace(moved.record.position) != Some(moved.record.position) {
                index = 0;
            }
            let sides = [
                (moved.made.from, Direction::Debit),
                (moved.made.to, Direction::Credit),
            ];
            for (side, direction) in sides {
                if side.no == account {
                    lines.push(Line {
                        moved,
                        direction,
                        index,
                    });
                }
                index += 1;
            }
        }
        lines
    }

    pub(super) fn balances(&self, account: &Arc<Account>, as_of: AsOf) -> AccountBalances {
        let mut lines = self.lines(account.no);
        lines.retain(|line| line.is_within(as_of));
        let balance = |asset: &Arc<Asset>| {
            let of_asset = || lines.iter().filter(|line| line.moved.made.asset.no == asset.no);
            let last = of_asset().next_back()?;
            let mut moves: Vec<_> = of_asset().map(|line| *line.moved.made).collect();
            if as_of.effective_at.is_some() {
                // What was reserved and what was let go count for different times: they don't add up.
                moves
                    .iter_mut()
                    .for_each(|m| (m.reserve, m.free) = (Amount::ZERO, Amount::ZERO));
            }
            let name = AssetRef {
                no: asset.no,
                name: asset.name,
            };
            Some(AssetBalance {
                asset: Arc::clone(asset),
                counters: add_up(moves.iter(), account.no, asset.no),
                credit: match as_of.is_now() {
                    true => credit(account, name),
                    false => last.after().credit,
                },
                last: last.moved.record.position,
                last_at: last.moved.record.recorded_at,
            })
        };
        let touched = self.book.touched(account.no).into_iter();
        let assets = touched.map(|no| self.world.asset_by_no(self.book.no, no));
        AccountBalances {
            account: Arc::clone(account),
            currency: account
                .currency
                .map(|no| Arc::clone(self.world.asset_by_no(self.book.no, no))),
            balances: assets.filter_map(balance).collect(),
        }
    }

    pub(super) fn accounts(&self, filter: &AccountFilter, page: Page) -> Listed<AccountBalances> {
        let external_id = filter.external_id;
        let found = self.book.accounts.iter().filter(|row| {
            self.sees(row.client)
                && filter.owner.is_none_or(|owner| row.owner == owner)
                && fits(external_id, row.details().notes.external_id.as_ref())
        });
        self.page(found.map(|row| (number(row.no.0), row)), page, |row| {
            self.balances(row, AsOf::NOW)
        })
    }

    fn accounts_of(
        &self,
        customer: CustomerId,
        purposes: Purposes,
    ) -> impl Iterator<Item = &'a Arc<Account>> {
        let owner = Owner::Customer(customer);
        let accounts = self.book.accounts.iter();
        accounts.filter(move |row| row.owner == owner && purposes.contains(row.purpose))
    }

    pub(super) fn customer_accounts(
        &self,
        customer: CustomerRef,
        purposes: Purposes,
    ) -> Option<Stamped<CustomerAccounts>> {
        let customer = Arc::clone(self.customer(customer)?);
        let accounts = self.accounts_of(customer.id, purposes);
        let accounts = accounts.map(|row| self.balances(row, AsOf::NOW)).collect();
        Some(self.stamp(CustomerAccounts { customer, accounts }))
    }

    pub(super) fn client_accounts(&self) -> Stamped<ClientAccounts> {
        let row = |client: &Arc<Client>| {
            let mut accounts = self.book.accounts.iter();
            let main = accounts.find(|account| {
                account.owner == Owner::Client(client.id)
                    && account.purpose == Purpose::Main
                    && account.primary
            })?;
            Some((Arc::clone(client), self.balances(main, AsOf::NOW)))
        };
        let seen = self.book.clients.iter().filter(|client| self.sees(client.id));
        let rows = seen.filter_map(row).collect();
        self.stamp(ClientAccounts { rows })
    }

    pub(super) fn valuation(
        &self,
        customer: CustomerId,
        purposes: Purposes,
        currency: &AssetName,
        as_of: AsOf,
        now: Micros,
    ) -> Option<Stamped<CustomerValuation>> {
        let customer = Arc::clone(self.customer(CustomerRef::Id(customer))?);
        let accounts = self.accounts_of(customer.id, purposes);
        let accounts: Vec<_> = accounts.map(|row| self.balances(row, as_of)).collect();
        let mut balances: Vec<_> = accounts.iter().flat_map(|account| &account.balances).collect();
        balances.sort_by_key(|balance| balance.asset.no);
        let holdings = balances
            .chunk_by(|one, other| one.asset.no == other.asset.no)
            .map(|of_one| {
                let settled = of_one.iter().map(|balance| balance.counters.settled());
                Some(Holding {
                    asset: Arc::clone(&of_one[0].asset),
                    settled: exact_sum(settled)?,
                })
            });
        let time = as_of.effective_at.or(as_of.recorded_at).unwrap_or(now);
        let names = balances.iter().map(|balance| balance.asset.name);
        let pairs = names.flat_map(|name| ledger::rate_pairs(&name, currency));
        let rates: HashMap<_, _> = pairs
            .filter_map(|pair| Some((pair, self.rate(pair, time, as_of)?)))
            .collect();
        Some(self.stamp(CustomerValuation {
            customer,
            holdings: holdings.collect(),
            currency: self.world.asset(self.book.no, currency).map(Arc::clone),
            rates,
        }))
    }

    /// The newest rate of a pair not after `time`, of those recorded by then: the book's own, else the default.
    fn rate(&self, pair: (AssetName, AssetName), time: Micros, as_of: AsOf) -> Option<Decimal> {
        let homes = [self.book, &self.world.books[&BookNo::OPERATOR]];
        let newest = |home: &Book| {
            let rows = home.rates.iter().filter(|row| {
                (row.rate.base, row.rate.quote) == pair
                    && row.rate.as_of <= time
                    && as_of.recorded_at.is_none_or(|last| row.recorded_at <= last)
            });
            // Of two for the same time, the one put last counts.
            rows.max_by_key(|row| (row.rate.as_of, row.position))
                .map(|row| row.rate.rate)
        };
        homes.into_iter().find_map(newest)
    }

    pub(super) fn entries(
        &self,
        account: AccountId,
        from: Option<Micros>,
        to: Option<Micros>,
        page: Page,
    ) -> Option<Listed<EntryView>> {
        let account = self.account(account)?;
        let lines = self.lines(account.no).into_iter().rev();
        let between = lines.filter(|line| is_between(line.moved.record.recorded_at, from, to));
        let placed = between.map(|line| {
            let at = Cursor {
                position: line.moved.record.position.0,
                index: line.index,
            };
            (at, line)
        });
        Some(self.page(placed, page, |line| EntryView {
            record: Arc::clone(line.moved.record),
            nth: line.moved.nth,
            move_index: line.moved.move_index,
            direction: line.direction,
            asset: Arc::clone(self.world.asset_by_no(self.book.no, line.moved.made.asset.no)),
        }))
    }

    /// Whether all accounts of a transaction are in sight.
    fn sees_all(&self, booked: &Booked) -> bool {
        let mut accounts = booked.moves.iter().flat_map(|m| [m.from.no, m.to.no]);
        accounts.all(|no| self.sees_number(no))
    }

    fn show(&self, (record, nth): (&Arc<Record>, usize)) -> TransactionView {
        let id = record.booked()[nth].id;
        TransactionView {
            record: Arc::clone(record),
            nth,
            hold: self.book.hold(id).map(Arc::new),
            posted: Arc::new(self.book.posted(id).expect("it is booked")),
        }
    }

    pub(super) fn transaction(&self, id: TransactionId) -> Option<Stamped<TransactionView>> {
        let (record, nth) = self.book.booked(id)?;
        let seen = self.sees_all(&record.booked()[nth]);
        seen.then(|| self.stamp(self.show((record, nth))))
    }

    pub(super) fn transactions(&self, filter: &TransactionFilter, page: Page) -> Listed<TransactionView> {
        let mut found = Vec::new();
        for record in self.book.records.iter().rev() {
            for (nth, booked) in record.booked().iter().enumerate().rev() {
                if self.sees_all(booked) && is_asked_for(record, nth, filter) {
                    let at = Cursor {
                        position: record.position.0,
                        index: nth as u32,
                    };
                    found.push((at, (record, nth)));
                }
            }
        }
        self.page(found, page, |place| self.show(place))
    }

    pub(super) fn holds(&self, filter: &HoldFilter, page: Page) -> Listed<Arc<Hold>> {
        let holds = self.book.holds().into_iter().enumerate().rev();
        let found = holds.filter(|(_, hold)| {
            let mut postings = hold.postings.iter();
            let mut accounts = hold.postings.iter().flat_map(|held| [held.from.no, held.to.no]);
            accounts.all(|no| self.sees_number(no))
                && filter.id.is_none_or(|id| hold.id == id)
                && filter.status.is_none_or(|status| hold.status == status)
                && filter
                    .account
                    .is_none_or(|id| postings.any(|held| held.from.id == id || held.to.id == id))
        });
        let placed = found.map(|(nth, hold)| {
            let at = Cursor {
                position: hold.position.0,
                index: nth as u32,
            };
            (at, hold)
        });
        self.page(placed, page, Arc::new)
    }

    pub(super) fn assets(&self) -> Vec<Arc<Asset>> {
        let operator = &self.world.books[&BookNo::OPERATOR];
        let is_hidden = |asset: &Asset| self.book.assets.iter().any(|own| own.name == asset.name);
        let mut assets = self.book.assets.clone();
        let shared = operator.assets.iter().filter(|asset| !is_hidden(asset));
        assets.extend(shared.map(Arc::clone));
        assets.sort_by_key(|asset| asset.name);
        assets
    }

    pub(super) fn rates(&self, page: Page) -> Listed<Arc<RateRow>> {
        let operator = &self.world.books[&BookNo::OPERATOR];
        let own = self
            .book
            .rates
            .iter()
            .enumerate()
            .map(|(nth, row)| (true, nth, row));
        let shared = operator
            .rates
            .iter()
            .enumerate()
            .map(|(nth, row)| (false, nth, row));
        let is_own = self.book.no == BookNo::OPERATOR;
        let mut all: Vec<_> = own.chain(shared.filter(|_| !is_own)).collect();
        all.sort_by_key(|(own, nth, row)| std::cmp::Reverse((row.rate.as_of, *own, *nth)));
        let rows = all.into_iter().map(|(own, nth, row)| {
            let at = Cursor {
                position: nth as u64,
                index: own.into(),
            };
            (at, row)
        });
        self.page(rows, page, Arc::clone)
    }
}

fn is_asked_for(record: &Record, nth: usize, filter: &TransactionFilter) -> bool {
    let asked = record.transaction(nth);
    let reference = asked.and_then(Transaction::reference);
    let external_id = asked.and_then(Transaction::external_id);
    let mut moves = record.booked()[nth].moves.iter();
    let mut touches = |id| moves.any(|m| m.from.id == id || m.to.id == id);
    fits(filter.reference, reference)
        && fits(filter.external_id, external_id)
        && filter.account.is_none_or(&mut touches)
        && is_between(record.recorded_at, filter.from, filter.to)
}

/// Whether a row has what is asked for, if anything is.
fn fits(asked: Option<Lookup>, has: Option<&Findable>) -> bool {
    asked.is_none_or(|asked| has.is_some_and(|has| has.lookup() == asked))
}

fn is_between(time: Micros, from: Option<Micros>, to: Option<Micros>) -> bool {
    from.is_none_or(|from| from <= time) && to.is_none_or(|to| time < to)
}

/// The sum, if it is an `i128`, whatever the sums on the way are: the halves of the numbers are added on their own.
fn exact_sum(numbers: impl Iterator<Item = i128> + Clone) -> Option<i128> {
    let low: i128 = numbers.clone().map(|number| number & i128::from(u64::MAX)).sum();
    let high: i128 = numbers.map(|number| number >> 64).sum();
    let high = i64::try_from(high + (low >> 64)).ok()?;
    Some((i128::from(high) << 64) | (low & i128::from(u64::MAX)))
}

/// Open holds whose time is over, of all books.
pub(super) fn due_holds(world: &World, now: Micros, limit: usize) -> Vec<(BookNo, TransactionId)> {
    let mut due = Vec::new();
    for book in world.books.values() {
        for hold in book.holds() {
            let end = hold.expires_at.filter(|end| *end <= now);
            if let (Some(end), HoldStatus::Held) = (end, hold.status) {
                due.push((end, book.no, hold.id));
            }
        }
    }
    due.sort_unstable();
    due.into_iter()
        .map(|(_, book, id)| (book, id))
        .take(limit)
        .collect()
}
