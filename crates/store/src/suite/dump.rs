//! Everything that can be read of a store, compared with what the model reads.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;

use ledger::{
    AccountId, ApiKeyId, AssetName, BookNo, ClientId, CustomerId, HoldStatus, Micros, Owner, Position,
    Purpose, RateRow, TransactionId,
};

use super::random::Random;
use super::register::asset;
use super::stream::{LOOKUPS, NOBODYS};
use super::walk::walk;
use crate::model::Model;
use crate::{
    AccountBalances, AccountFilter, Answer, AsOf, CustomerRef, CustomerValuation, HoldFilter, Listed, Page,
    Purposes, Store, TransactionFilter, Viewer,
};

/// What there is in a book, as the model knows it.
#[derive(Default)]
struct Known {
    clients: Vec<ClientId>,
    customers: Vec<(CustomerId, i64)>,
    accounts: Vec<AccountId>,
    api_keys: Vec<ApiKeyId>,
    transactions: Vec<TransactionId>,
    times: Vec<Micros>,
    /// For when transactions count.
    effects: Vec<Micros>,
    /// From when on rates count.
    priced: Vec<Micros>,
    position: Position,
}

/// The model and the store that is compared with it.
pub(super) struct Pair<'a> {
    model: &'a Model,
    store: &'a dyn Store,
    random: Random,
    /// How many of a hundred reads are compared.
    share: u64,
    /// Where in the test this is, for the message.
    when: String,
}

impl<'a> Pair<'a> {
    pub(super) fn new(model: &'a Model, store: &'a dyn Store, seed: u64, share: u64, when: String) -> Self {
        Self {
            model,
            store,
            random: Random::new(seed),
            share,
            when,
        }
    }

    async fn same<T: PartialEq + Debug>(
        &mut self,
        what: impl Debug,
        ask: impl for<'s> Fn(&'s dyn Store) -> Answer<'s, T>,
    ) {
        self.same_in(what, ask, |_| ()).await;
    }

    /// Compares what is promised: what is left when `strip` has taken away what is not.
    async fn same_in<T: PartialEq + Debug>(
        &mut self,
        what: impl Debug,
        ask: impl for<'s> Fn(&'s dyn Store) -> Answer<'s, T>,
        strip: impl Fn(&mut T),
    ) {
        if !self.random.percent(self.share) {
            return;
        }
        let (mut expected, mut found) = (ask(self.model).await, ask(self.store).await);
        for answer in [&mut expected, &mut found].into_iter().flatten() {
            strip(answer);
        }
        assert!(
            found == expected,
            "{}: {what:?}:\n   found {found:#?}\nexpected {expected:#?}",
            self.when
        );
    }

    /// Compares whole lists, each got in pages of some size.
    async fn same_list<T: PartialEq + Debug>(
        &mut self,
        what: impl Debug,
        ask: impl for<'s> Fn(&'s dyn Store, Page) -> Answer<'s, Listed<T>>,
    ) {
        if !self.random.percent(self.share) {
            return;
        }
        let expected = walk(1_000, |page| ask(self.model, page)).await;
        // A long list in a few pages shows as much as in a hundred.
        let limit = self.random.pick(&[1, 2, 3, 7, 50, 1_000]).max(expected.len() / 8);
        let found = walk(limit, |page| ask(self.store, page)).await;
        assert!(
            found == expected,
            "{}: {what:?} in pages of {limit}:\n   found {found:#?}\nexpected {expected:#?}",
            self.when
        );
    }

    /// Compares everything; of what those read who see a part of a book alone, so many of a hundred reads, by chance.
    pub(super) async fn dump(&mut self, by_others: u64) {
        let share = self.share;
        let mut books = Vec::new();
        while self.model.position(BookNo(books.len() as u32)).await.is_ok() {
            let no = BookNo(books.len() as u32);
            books.push(self.known(no).await);
        }
        for (no, known) in (0..).map(BookNo).zip(&books) {
            self.book(no, known).await;
            let other = &books[if no.0 == 1 { 2 } else { 1 }];
            let mut viewers = vec![None];
            if no != BookNo::OPERATOR {
                let stranger = other.clients.first().copied();
                viewers.extend(known.clients.iter().take(3).copied().chain(stranger).map(Some));
            }
            for client in viewers {
                let viewer = Viewer { book: no, client };
                self.share = if client.is_none() { share } else { by_others };
                self.register(viewer, known, other).await;
                self.accounts(viewer, known, other).await;
                self.customers(viewer, known, other).await;
                self.history(viewer, known).await;
                self.transactions(viewer, known, other).await;
            }
        }
        self.share = share;
        let last = books.iter().flat_map(|known| &known.times).max().copied();
        let last = last.unwrap_or_default();
        for now in [Micros(0), last, last.plus(600_000_000), Micros::MAX] {
            self.same(("due holds", now), |store| store.due_holds(now, 1_000))
                .await;
        }
        self.same("no such book", |store| store.position(BookNo(99)))
            .await;
    }

    /// Compares balances of an account as of many times.
    pub(super) async fn pasts(&mut self, viewer: Viewer, account: AccountId) {
        let known = self.known(viewer.book).await;
        for _ in 0..40 {
            self.past(viewer, account, &known).await;
        }
    }

    /// Compares every balance of a book.
    pub(super) async fn glance(&mut self, book: BookNo) {
        let viewer = Viewer { book, client: None };
        self.same((book, "position"), |store| store.position(book)).await;
        self.same((viewer, "balances"), |store| {
            store.accounts(viewer, AccountFilter::default(), EVERYTHING)
        })
        .await;
    }

    async fn known(&self, book: BookNo) -> Known {
        let viewer = Viewer { book, client: None };
        let records = self.model.records(book, Position(0), usize::MAX).await;
        let records = records.expect("the model answers");
        let clients = walk(1_000, |page| self.model.clients(viewer, None, page)).await;
        let customers = walk(1_000, |page| self.model.customers(viewer, None, page)).await;
        let accounts = walk(1_000, |page| {
            self.model.accounts(viewer, AccountFilter::default(), page)
        })
        .await;
        let api_keys = walk(1_000, |page| self.model.api_keys(viewer, page)).await;
        let rates = walk(1_000, |page| self.model.rates(viewer, page)).await;
        let effects = records.iter().filter(|record| !record.booked().is_empty());
        let effects = effects.map(|record| record.effective_at(0));
        let booked = records.iter().flat_map(|record| record.booked());
        Known {
            clients: clients.iter().map(|row| row.id).collect(),
            customers: customers.iter().map(|row| (row.id, row.number)).collect(),
            accounts: accounts.iter().map(|row| row.account.id).collect(),
            api_keys: api_keys.iter().map(|row| row.id).collect(),
            effects: effects.collect(),
            transactions: booked.map(|booked| booked.id).collect(),
            priced: rates.iter().map(|row| row.rate.as_of).collect(),
            times: records.iter().map(|record| record.recorded_at).collect(),
            position: Position(records.len() as u64),
        }
    }

    async fn book(&mut self, no: BookNo, known: &Known) {
        self.same((no, "position"), |store| store.position(no)).await;
        self.same((no, "digest"), |store| store.digest(no)).await;
        self.same((no, "reach"), |store| store.reach(no, known.position))
            .await;
        let mut after = Position(0);
        while after < known.position {
            let limit = self.random.pick(&[1, 10, 1_000]);
            self.same((no, "records after", after), |store| {
                store.records(no, after, limit)
            })
            .await;
            after = Position(after.0 + limit as u64);
        }
        self.same((no, "no more records"), |store| {
            store.records(no, known.position, 5)
        })
        .await;
        for id in known.api_keys.iter().copied().chain([ApiKeyId(1)]) {
            self.same((no, "key", id), |store| store.api_key(no, id)).await;
        }
        for id in &known.clients {
            self.same(("book of", id), |store| store.book_of(*id)).await;
        }
    }

    async fn register(&mut self, viewer: Viewer, known: &Known, other: &Known) {
        self.same_list((viewer, "keys"), |store, page| store.api_keys(viewer, page))
            .await;
        self.same((viewer, "assets"), |store| store.assets(viewer)).await;
        self.same_in(
            (viewer, "rates"),
            |store| store.rates(viewer, EVERYTHING),
            in_one_order,
        )
        .await;
        for external_id in [None, Some(LOOKUPS[1]), Some(NOBODYS)] {
            self.same_list((viewer, "clients", external_id), |store, page| {
                store.clients(viewer, external_id, page)
            })
            .await;
            self.same_list((viewer, "customers", external_id), |store, page| {
                store.customers(viewer, external_id, page)
            })
            .await;
        }
        for id in known.clients.iter().chain(&other.clients).copied() {
            self.same((viewer, "client", id), |store| store.client(viewer, id))
                .await;
        }
    }

    async fn accounts(&mut self, viewer: Viewer, known: &Known, other: &Known) {
        self.same((viewer, "client accounts"), |store| store.client_accounts(viewer))
            .await;
        let mut owners = vec![None];
        owners.extend(known.clients.iter().take(2).map(|id| Some(Owner::Client(*id))));
        owners.extend(
            known
                .customers
                .iter()
                .take(2)
                .map(|(id, _)| Some(Owner::Customer(*id))),
        );
        for owner in owners {
            for external_id in [None, Some(LOOKUPS[1])] {
                let filter = AccountFilter { owner, external_id };
                self.same_list((viewer, "accounts", &filter), |store, page| {
                    store.accounts(viewer, filter.clone(), page)
                })
                .await;
            }
        }
        let all: Vec<_> = known.accounts.iter().chain(&other.accounts).copied().collect();
        self.same((viewer, "owners"), |store| {
            store.account_owners(viewer.book, all.clone())
        })
        .await;
        for id in all.iter().copied() {
            self.same((viewer, "account", id), |store| {
                store.account(viewer, id, AsOf::NOW)
            })
            .await;
        }
    }

    async fn customers(&mut self, viewer: Viewer, known: &Known, other: &Known) {
        let some = Purposes::of(&[Purpose::Main, Purpose::Card]);
        let all = Purposes::of(&Purpose::ALL);
        for (id, number) in known.customers.iter().chain(&other.customers).copied() {
            for customer in [CustomerRef::Id(id), CustomerRef::Number(number)] {
                self.same((viewer, customer), |store| store.customer(viewer, customer))
                    .await;
                for purposes in [some, all] {
                    self.same((viewer, "accounts of", customer), |store| {
                        store.customer_accounts(viewer, customer, purposes)
                    })
                    .await;
                }
            }
            let time = match self.random.percent(50) {
                true => self.about(&known.times),
                false => self.about(&known.priced),
            };
            let by_effect = AsOf {
                effective_at: Some(time),
                ..AsOf::NOW
            };
            let by_record = AsOf {
                recorded_at: Some(time),
                ..AsOf::NOW
            };
            let currency: AssetName = asset(self.random.pick(&["USD", "EUR", "USDC@base", "NONE"]));
            for as_of in [AsOf::NOW, by_effect, by_record] {
                self.same_valuation(viewer, id, currency, as_of).await;
            }
        }
    }

    async fn same_valuation(&mut self, viewer: Viewer, id: CustomerId, currency: AssetName, as_of: AsOf) {
        let ask_for = Purposes::of(&Purpose::ALL);
        self.same_in(
            (viewer, "valuation of", id, currency, as_of),
            |store| store.valuation(viewer, id, ask_for, currency, as_of),
            |answer| {
                if let Some(stamped) = answer {
                    leave_what_values(&mut stamped.value, &currency);
                }
            },
        )
        .await;
    }

    /// One of these times, or just beside it.
    fn about(&mut self, times: &[Micros]) -> Micros {
        match times.is_empty() {
            true => Micros(0),
            false => self.random.pick(times).plus(self.random.below(3) as i64 - 1),
        }
    }

    /// Balances as of then, and entries.
    async fn history(&mut self, viewer: Viewer, known: &Known) {
        for id in known.accounts.iter().copied() {
            if self.random.percent(50) {
                continue;
            }
            self.past(viewer, id, known).await;
        }
    }

    /// Balances of an account as of some time, and its entries between two.
    async fn past(&mut self, viewer: Viewer, id: AccountId, known: &Known) {
        let position = Some(Position(self.random.below(known.position.0 + 2)));
        let recorded_at = Some(self.about(&known.times));
        let effective_at = Some(match self.random.percent(70) {
            true => self.about(&known.effects),
            false => self.about(&known.times),
        });
        let now = AsOf::NOW;
        let then = [
            AsOf { position, ..now },
            AsOf { recorded_at, ..now },
            AsOf { effective_at, ..now },
            AsOf {
                recorded_at,
                effective_at,
                ..now
            },
        ];
        for as_of in then {
            self.same_balances(viewer, id, as_of, known).await;
        }
        let (from, to) = (self.about(&known.times), self.about(&known.times));
        for (from, to) in [
            (None, None),
            (Some(from), None),
            (None, Some(to)),
            (Some(from), Some(to)),
        ] {
            self.same_entries(viewer, id, from, to).await;
        }
    }

    async fn same_balances(&mut self, viewer: Viewer, id: AccountId, as_of: AsOf, known: &Known) {
        let is_past = as_of.position.is_some_and(|position| position < known.position)
            || as_of
                .recorded_at
                .is_some_and(|time| known.times.last().is_some_and(|last| time < *last));
        self.same_in(
            (viewer, "account", id, as_of),
            |store| store.account(viewer, id, as_of),
            |answer| {
                if let Some(stamped) = answer {
                    leave_what_counts(&mut stamped.value, as_of, is_past);
                }
            },
        )
        .await;
    }

    async fn same_entries(
        &mut self,
        viewer: Viewer,
        id: AccountId,
        from: Option<Micros>,
        to: Option<Micros>,
    ) {
        let seen = self.model.entries(viewer, id, from, to, EVERYTHING).await;
        if let Ok(Some(_)) = seen {
            self.same_list((viewer, "entries of", id, from, to), |store, page| {
                let answer = store.entries(viewer, id, from, to, page);
                Box::pin(async move { Ok(answer.await?.expect("the model sees that account")) })
            })
            .await;
        } else {
            self.same((viewer, "entries of", id), |store| {
                store.entries(viewer, id, from, to, EVERYTHING)
            })
            .await;
        }
    }

    async fn transactions(&mut self, viewer: Viewer, known: &Known, other: &Known) {
        for id in known
            .transactions
            .iter()
            .chain(other.transactions.iter().take(9))
            .copied()
        {
            self.same((viewer, id), |store| store.transaction(viewer, id))
                .await;
        }
        let mut filters = vec![TransactionFilter::default()];
        for reference in [LOOKUPS[0], LOOKUPS[1], NOBODYS] {
            filters.push(TransactionFilter {
                reference: Some(reference),
                ..TransactionFilter::default()
            });
            filters.push(TransactionFilter {
                external_id: Some(reference),
                ..TransactionFilter::default()
            });
        }
        for account in known.accounts.iter().take(9).copied() {
            let (from, to) = (self.about(&known.times), self.about(&known.times));
            filters.push(TransactionFilter {
                account: Some(account),
                reference: self.random.percent(20).then_some(LOOKUPS[1]),
                from: self.random.percent(30).then_some(from),
                to: self.random.percent(30).then_some(to),
                ..TransactionFilter::default()
            });
        }
        for filter in filters {
            self.same_list((viewer, &filter), |store, page| {
                store.transactions(viewer, filter.clone(), page)
            })
            .await;
        }
        self.holds(viewer, known).await;
    }

    async fn holds(&mut self, viewer: Viewer, known: &Known) {
        let mut filters = vec![HoldFilter::default()];
        for status in [
            HoldStatus::Held,
            HoldStatus::Captured,
            HoldStatus::Released,
            HoldStatus::Expired,
        ] {
            filters.push(HoldFilter {
                status: Some(status),
                account: self
                    .random
                    .percent(30)
                    .then_some(known.accounts.first().copied())
                    .flatten(),
                ..HoldFilter::default()
            });
        }
        for account in known.accounts.iter().take(6).copied() {
            filters.push(HoldFilter {
                account: Some(account),
                ..HoldFilter::default()
            });
        }
        for id in known.transactions.iter().rev().take(6).copied() {
            filters.push(HoldFilter {
                id: Some(id),
                ..HoldFilter::default()
            });
        }
        for filter in filters {
            self.same_list((viewer, &filter), |store, page| {
                store.holds(viewer, filter.clone(), page)
            })
            .await;
        }
    }
}

const EVERYTHING: Page = Page {
    limit: 100_000,
    after: None,
};

/// What is promised of balances as of then: by effective time what is settled alone; the credit of then only where then is
/// past.
fn leave_what_counts(value: &mut AccountBalances, as_of: AsOf, is_past: bool) {
    if as_of.effective_at.is_some() {
        value.balances.retain(|balance| balance.counters.settled() != 0);
    }
    for balance in &mut value.balances {
        if as_of.effective_at.is_some() {
            let settled = balance.counters.settled();
            let size = ledger::Amount::new(settled.unsigned_abs()).unwrap_or_default();
            balance.counters = ledger::Counters::default();
            match settled < 0 {
                true => balance.counters.debits_posted = size,
                false => balance.counters.credits_posted = size,
            }
            balance.last = Position(0);
            balance.last_at = Micros(0);
        }
        if as_of.effective_at.is_some() || !is_past {
            balance.credit = ledger::Credit::NONE;
        }
    }
}

/// Nothing of an asset may be said or left out, and so may the rates for it.
fn leave_what_values(value: &mut CustomerValuation, currency: &AssetName) {
    let Some(holdings) = &mut value.holdings else {
        return value.rates.clear();
    };
    holdings.retain(|holding| holding.settled != 0);
    let pairs = holdings
        .iter()
        .flat_map(|holding| ledger::rate_pairs(&holding.asset.name, currency));
    let pairs: BTreeSet<_> = pairs.collect();
    value.rates.retain(|pair, _| pairs.contains(pair));
}

/// The newest rate is first; of those for the same time, none is before the other.
fn in_one_order(rates: &mut Listed<Arc<RateRow>>) {
    let newest_first = rates
        .items
        .is_sorted_by(|one, other| one.rate.as_of >= other.rate.as_of);
    assert!(newest_first, "the newest rate first: {rates:#?}");
    rates
        .items
        .sort_by_key(|row| (std::cmp::Reverse(row.rate.as_of), format!("{row:?}")));
    rates.next = None;
}
