//! Clients, customers, accounts, keys, assets and rates, and today's balances: all from memory, each under one lock.

use std::collections::HashMap;
use std::sync::Arc;

use ledger::{
    AccountId, AccountNo, ApiKey, ApiKeyId, Asset, AssetName, BookNo, Bytes, Client, ClientId, Customer,
    CustomerId, Decimal, Findable, Lookup, Micros, Notes, Owner, Position, Purpose, RateRow, TransactionId,
    rate_pairs,
};
use store::{
    AccountBalances, AccountFilter, ApiKeyHolder, AsOf, ClientAccounts, Cursor, CustomerAccounts,
    CustomerRef, CustomerValuation, Holding, Listed, Page, Purposes, Stamped, StoreError, Viewer,
};

use super::{Read, Seen, View};
use crate::prefetch::{prefetch, prefetch_from};

/// About the bytes of a name, as it is sealed.
const NAME: usize = 64;

/// A page of rows that come in order of creation, numbered from 0.
fn page_of<T>(seen: &Seen<'_>, page: Page, count: usize, row: impl Fn(usize) -> Option<T>) -> Listed<T> {
    let first = page.after.map_or(0, |cursor| {
        usize::try_from(cursor.position)
            .unwrap_or(usize::MAX)
            .saturating_add(1)
    });
    let mut rows = (first..count).filter_map(|no| row(no).map(|row| (no, row)));
    let mut items = Vec::new();
    let mut last = None;
    for (no, item) in rows.by_ref().take(page.limit) {
        items.push(item);
        last = Some(Cursor {
            position: no as u64,
            index: 0,
        });
    }
    let next = last.filter(|_| rows.next().is_some());
    Listed {
        items,
        next,
        position: seen.position(),
    }
}

fn has_external_id(notes: &Notes, wanted: Option<Lookup>) -> bool {
    wanted.is_none() || wanted == notes.external_id.as_ref().map(Findable::lookup)
}

impl View {
    pub(super) fn api_key(&self, book: BookNo, id: ApiKeyId) -> Option<ApiKeyHolder> {
        let published = self.published();
        let book = published.tables.state.book(book)?;
        let key = Arc::clone(book.api_keys.peek(&id)?);
        let client = key.client.and_then(|client| book.clients.peek(&client)).cloned();
        Some(ApiKeyHolder {
            key,
            client,
            root: book.root,
        })
    }

    pub(super) fn api_keys(&self, viewer: Viewer, page: Page) -> Read<Listed<Arc<ApiKey>>> {
        let published = self.published();
        let seen = Seen::new(&published, viewer)?;
        let list = &seen.book.api_key_list;
        Ok(page_of(&seen, page, list.len(), |no| {
            let key = seen.book.api_keys.peek(&list[no])?;
            key.client
                .is_none_or(|client| seen.sees(client))
                .then(|| Arc::clone(key))
        }))
    }

    pub(super) fn client(&self, viewer: Viewer, id: ClientId) -> Read<Option<Stamped<Arc<Client>>>> {
        let published = self.published();
        let seen = Seen::new(&published, viewer)?;
        let client = if viewer.book == BookNo::OPERATOR {
            let mut books = published.tables.state.books();
            books
                .find(|book| book.root == Some(id))
                .and_then(|book| book.clients.peek(&id))
        } else {
            seen.book.clients.peek(&id).filter(|client| seen.sees(client.id))
        };
        Ok(client.map(|client| seen.stamped(Arc::clone(client))))
    }

    pub(super) fn clients(
        &self,
        viewer: Viewer,
        external_id: Option<Lookup>,
        page: Page,
    ) -> Read<Listed<Arc<Client>>> {
        let published = self.published();
        let seen = Seen::new(&published, viewer)?;
        let state = &published.tables.state;
        let wanted = |client: &&Arc<Client>| has_external_id(&client.notes, external_id);
        if viewer.book == BookNo::OPERATOR {
            // Books are numbered from 1 as their root clients are made.
            let count = seen.book.head.books as usize;
            return Ok(page_of(&seen, page, count, |no| {
                let book = state.book(BookNo(u32::try_from(no).ok()? + 1))?;
                book.clients.peek(&book.root?).filter(wanted).cloned()
            }));
        }
        let list = &seen.book.client_list;
        Ok(page_of(&seen, page, list.len(), |no| {
            seen.book
                .clients
                .peek(&list[no])
                .filter(|client| seen.sees(client.id))
                .filter(wanted)
                .cloned()
        }))
    }

    pub(super) fn customer(
        &self,
        viewer: Viewer,
        customer: CustomerRef,
    ) -> Read<Option<Stamped<Arc<Customer>>>> {
        let published = self.published();
        let seen = Seen::new(&published, viewer)?;
        Ok(seen
            .customer(customer)
            .map(|customer| seen.stamped(Arc::clone(customer))))
    }

    pub(super) fn customers(
        &self,
        viewer: Viewer,
        external_id: Option<Lookup>,
        page: Page,
    ) -> Read<Listed<Arc<Customer>>> {
        let published = self.published();
        let seen = Seen::new(&published, viewer)?;
        let list = &seen.book.customer_list;
        Ok(page_of(&seen, page, list.len(), |no| {
            let customer = seen.customer(CustomerRef::Id(list[no]))?;
            has_external_id(&customer.notes, external_id).then(|| Arc::clone(customer))
        }))
    }

    pub(super) fn account_owners(
        &self,
        no: BookNo,
        accounts: &[AccountId],
    ) -> Read<Vec<Option<(Owner, Purpose)>>> {
        /// So many are looked up at once: whoever publishes waits for that.
        const AT_ONCE: usize = 256;
        let mut owners = Vec::with_capacity(accounts.len());
        // Whose an account is never changes, so they need not be of one moment.
        for some in accounts.chunks(AT_ONCE) {
            let published = self.published();
            let book = published.tables.state.book(no);
            let book = book.ok_or(StoreError::NoSuchBook(no))?;
            owners.extend(some.iter().map(|id| {
                let account = &book.slot(*id).ok().flatten()?.account;
                Some((account.owner, account.purpose))
            }));
        }
        Ok(owners)
    }

    pub(crate) fn account_now(
        &self,
        viewer: Viewer,
        id: AccountId,
    ) -> Read<Option<Stamped<AccountBalances>>> {
        let published = self.published();
        let seen = Seen::new(&published, viewer)?;
        Ok(seen.slot(id).map(|slot| seen.stamped(seen.balances_now(slot))))
    }

    pub(crate) fn accounts(
        &self,
        viewer: Viewer,
        filter: &AccountFilter,
        page: Page,
    ) -> Read<Listed<AccountBalances>> {
        let published = self.published();
        let seen = Seen::new(&published, viewer)?;
        let row = |no: AccountNo| {
            let slot = seen.book.slots.get(no)?;
            let account = &slot.account;
            let wanted = seen.sees(account.client)
                && filter.owner.is_none_or(|owner| account.owner == owner)
                && has_external_id(&account.details().notes, filter.external_id);
            wanted.then(|| seen.balances_now(slot))
        };
        let after = page.after.map(|cursor| cursor.position);
        if let Some(owner) = filter.owner {
            // The owner's accounts are few; their cursor is still the number in the book.
            let owned = published.owned.of(seen.book.no, owner).iter();
            let mut rest = owned.filter(|no| after.is_none_or(|after| u64::from(no.0) > after));
            let mut found: Vec<_> = rest
                .by_ref()
                .filter_map(|no| row(*no).map(|row| (no.0, row)))
                .take(page.limit + 1)
                .collect();
            let more = found.len() > page.limit;
            found.truncate(page.limit);
            let next = found.last().filter(|_| more).map(|(no, _)| Cursor {
                position: u64::from(*no),
                index: 0,
            });
            let items = found.into_iter().map(|(_, row)| row).collect();
            return Ok(Listed {
                items,
                next,
                position: seen.position(),
            });
        }
        let count = seen.book.head.accounts as usize;
        Ok(page_of(&seen, page, count, |no| {
            row(AccountNo(u32::try_from(no).ok()?))
        }))
    }

    pub(super) fn customer_accounts(
        &self,
        viewer: Viewer,
        customer: CustomerRef,
        purposes: Purposes,
    ) -> Read<Option<Stamped<CustomerAccounts>>> {
        let published = self.published();
        let seen = Seen::new(&published, viewer)?;
        let Some((customer, accounts)) = seen.customer_with_accounts(customer, purposes) else {
            return Ok(None);
        };
        // Nearly always it is shown, too.
        prefetch_from::<u8, NAME>(customer.legal_name.bytes().as_ptr());
        let accounts = accounts.map(|slot| seen.balances_now(slot)).collect();
        Ok(Some(seen.stamped(CustomerAccounts {
            customer: Arc::clone(customer),
            accounts,
        })))
    }

    pub(super) fn client_accounts(&self, viewer: Viewer) -> Read<Stamped<ClientAccounts>> {
        let published = self.published();
        let seen = Seen::new(&published, viewer)?;
        let own = viewer.client.or(seen.book.root);
        let others = seen
            .book
            .client_list
            .iter()
            .copied()
            .filter(|id| Some(*id) != own && seen.sees(*id));
        let rows = own.into_iter().chain(others).filter_map(|id| {
            let client = seen.book.clients.peek(&id)?;
            let no = seen.book.primaries.peek(&(Owner::Client(id), Purpose::Main))?;
            let slot = seen.book.slots.get(*no)?;
            Some((Arc::clone(client), seen.balances_now(slot)))
        });
        Ok(seen.stamped(ClientAccounts { rows: rows.collect() }))
    }

    pub(super) fn valuation(
        &self,
        viewer: Viewer,
        customer: CustomerId,
        purposes: Purposes,
        currency: AssetName,
        as_of: AsOf,
    ) -> Read<Option<Stamped<CustomerValuation>>> {
        let (customer, position, history, accounts) = {
            let published = self.published();
            let seen = Seen::new(&published, viewer)?;
            let customer = CustomerRef::Id(customer);
            let Some((customer, slots)) = seen.customer_with_accounts(customer, purposes) else {
                return Ok(None);
            };
            if as_of.is_now() {
                let balances: Vec<_> = slots.map(|slot| seen.balances_now(slot)).collect();
                let times = (self.now(), Micros::MAX);
                return Ok(Some(
                    seen.stamped(seen.value(customer, &balances, currency, times)),
                ));
            }
            let accounts: Vec<_> = slots.map(|slot| seen.account_then(slot, as_of)).collect();
            (
                Arc::clone(customer),
                seen.position(),
                self.history(&published),
                accounts,
            )
        };
        let balances = accounts
            .into_iter()
            .map(|account| history.balances_then(account, as_of));
        let balances = balances.collect::<Read<Vec<_>>>()?;
        let published = self.published();
        let seen = Seen::new(&published, viewer)?;
        let known_by = as_of.recorded_at.unwrap_or(Micros::MAX);
        let at = as_of
            .effective_at
            .or(as_of.recorded_at)
            .unwrap_or_else(|| self.now());
        let value = seen.value(&customer, &balances, currency, (at, known_by));
        Ok(Some(Stamped { value, position }))
    }

    pub(super) fn assets(&self, viewer: Viewer) -> Read<Vec<Arc<Asset>>> {
        let published = self.published();
        let seen = Seen::new(&published, viewer)?;
        let shared = published
            .tables
            .state
            .book(BookNo::OPERATOR)
            .filter(|_| viewer.book != BookNo::OPERATOR);
        let own = &seen.book.assets;
        let shared = shared
            .into_iter()
            .flat_map(|book| book.assets.iter())
            .filter(|(name, _)| own.peek(name).is_none());
        let mut assets: Vec<_> = own
            .iter()
            .chain(shared)
            .map(|(_, asset)| Arc::clone(asset))
            .collect();
        assets.sort_unstable_by_key(|asset| asset.name);
        Ok(assets)
    }

    pub(super) fn rates(&self, viewer: Viewer, page: Page) -> Read<Listed<Arc<RateRow>>> {
        let published = self.published();
        let seen = Seen::new(&published, viewer)?;
        let shared = published
            .tables
            .state
            .book(BookNo::OPERATOR)
            .filter(|_| viewer.book != BookNo::OPERATOR);
        let shared = shared.map_or(&[][..], |book| &book.rate_list);
        let numbered = |own: bool, rows: &'_ [Arc<RateRow>]| {
            let row = move |(no, row): (usize, &Arc<RateRow>)| (row.rate.as_of, own, no, Arc::clone(row));
            rows.iter().enumerate().map(row).collect::<Vec<_>>()
        };
        let mut rows = numbered(true, &seen.book.rate_list);
        rows.extend(numbered(false, shared));
        let newest_first = |a: &(Micros, bool, usize, Arc<RateRow>),
                            b: &(Micros, bool, usize, Arc<RateRow>)| {
            (b.0, b.1, b.2).cmp(&(a.0, a.1, a.2))
        };
        rows.sort_unstable_by(newest_first);
        // A place is a row by its number in its book, so that it stays where it is when rates are put.
        let is_last = |after: Cursor| {
            rows.iter()
                .position(|(_, own, no, _)| (*no as u64, u32::from(*own)) == (after.position, after.index))
        };
        let first = page
            .after
            .map_or(0, |after| is_last(after).map_or(rows.len(), |at| at + 1));
        let end = rows.len().min(first + page.limit);
        let shown = &rows[first..end];
        let items = shown.iter().map(|(.., row)| Arc::clone(row)).collect();
        let last = shown.last().filter(|_| end < rows.len());
        let next = last.map(|(_, own, no, _)| Cursor {
            position: *no as u64,
            index: u32::from(*own),
        });
        Ok(Listed {
            items,
            next,
            position: seen.position(),
        })
    }

    pub(super) fn due_holds(&self, now: Micros, limit: usize) -> Vec<(BookNo, TransactionId)> {
        let published = self.published();
        let mut due: Vec<_> = published
            .tables
            .state
            .books()
            .flat_map(|book| {
                let due = book.expiring.iter().take_while(|(at, _)| *at <= now).take(limit);
                due.map(|(at, id)| (*at, book.no, *id))
            })
            .collect();
        due.sort_unstable();
        due.into_iter()
            .take(limit)
            .map(|(_, book, id)| (book, id))
            .collect()
    }

    pub(crate) fn digest(&self, book: BookNo) -> Read<(Position, [u8; 32])> {
        let published = self.published();
        let head = published
            .tables
            .state
            .book(book)
            .ok_or(StoreError::NoSuchBook(book))?
            .head;
        Ok((head.position, published.digests.of(book)))
    }
}

impl<'a> Seen<'a> {
    pub(super) fn customer(&self, customer: CustomerRef) -> Option<&'a Arc<Customer>> {
        let found = self.book.customers.peek(&self.customer_id(customer)?);
        found.filter(|customer| self.sees(customer.client))
    }

    fn customer_id(&self, customer: CustomerRef) -> Option<CustomerId> {
        match customer {
            CustomerRef::Id(id) => Some(id),
            CustomerRef::Number(number) => self.book.numbers.peek(&number).copied(),
        }
    }

    /// A customer with its accounts of these purposes. Their rows lie far from each other: each would be waited for in turn, so the
    /// first few are asked for at once.
    fn customer_with_accounts(
        &self,
        customer: CustomerRef,
        purposes: Purposes,
    ) -> Option<(
        &'a Arc<Customer>,
        impl Iterator<Item = &'a ledger::Slot> + use<'a>,
    )> {
        /// Few customers have more accounts, and what is asked for pushes out something else.
        const AT_ONCE: usize = 8;
        let book = self.book;
        let id = self.customer_id(customer)?;
        let customer = book.customers.peek(&id)?;
        prefetch(&**customer);
        let accounts = self.published.owned.of(book.no, Owner::Customer(id));
        for no in accounts.iter().take(AT_ONCE) {
            book.slots.place(*no).into_iter().for_each(prefetch);
        }
        let slots = accounts.iter().filter_map(|no| book.slots.get(*no));
        let slots = slots.filter(move |slot| purposes.contains(slot.account.purpose));
        self.sees(customer.client).then_some((customer, slots))
    }

    /// What balances come to in each asset, with the rates that may lead to `currency`: the newest not after the first
    /// time, of those recorded by the second.
    fn value(
        &self,
        customer: &Arc<Customer>,
        accounts: &[AccountBalances],
        currency: AssetName,
        times: (Micros, Micros),
    ) -> CustomerValuation {
        let mut sums: Vec<(Holding, i64)> = Vec::new();
        for balance in accounts.iter().flat_map(|account| &account.balances) {
            let settled = balance.counters.settled();
            let no = balance.asset.no;
            let Some((holding, carry)) = sums.iter_mut().find(|(holding, _)| holding.asset.no == no) else {
                let asset = Arc::clone(&balance.asset);
                sums.push((Holding { asset, settled }, 0));
                continue;
            };
            // A sum on the way may be no `i128` though the whole is one: what is carried over comes back.
            let (sum, over) = holding.settled.overflowing_add(settled);
            holding.settled = sum;
            *carry += if over { settled.signum() as i64 } else { 0 };
        }
        sums.sort_unstable_by_key(|(holding, _)| holding.asset.no);
        let exact = sums.iter().all(|(_, carry)| *carry == 0);
        let holdings: Option<Vec<_>> = exact.then(|| sums.into_iter().map(|(holding, _)| holding).collect());
        let state = &self.published.tables.state;
        let known = state.asset(self.book.no, &currency).ok().flatten().cloned();
        let names = holdings.iter().flatten().map(|holding| holding.asset.name);
        let pairs = names.flat_map(|name| rate_pairs(&name, &currency));
        let rates = pairs.filter_map(|pair| self.rate(pair, times).map(|rate| (pair, rate)));
        let rates: HashMap<_, _> = rates.collect();
        CustomerValuation {
            customer: Arc::clone(customer),
            holdings,
            currency: known,
            rates,
        }
    }

    /// The newest rate not after the time: the book's own, else the default.
    fn rate(&self, pair: (AssetName, AssetName), (at, known_by): (Micros, Micros)) -> Option<Decimal> {
        let operator = self.published.tables.state.book(BookNo::OPERATOR);
        [Some(self.book), operator]
            .into_iter()
            .flatten()
            .find_map(|book| {
                let history = book.rates.get(&pair)?;
                let end = history.partition_point(|row| row.rate.as_of <= at);
                history[..end]
                    .iter()
                    .rev()
                    .find(|row| row.recorded_at <= known_by)
                    .map(|row| row.rate.rate)
            })
    }
}
