//! What the records of a batch changed, in the terms of the tables.

use std::collections::{BTreeMap, BTreeSet};

use ledger::{
    AccountId, AccountNo, Action, ApiKeyId, AssetName, AssetNo, Book, BookNo, ClientId, CustomerId, Done,
    Key, Micros, Position, Record, TransactionId, built_in,
};
use uuid::Uuid;

use crate::numeric::Numeric;
use crate::rows::{self, Mention, key_hash};

/// Which rows of the register, balances and holds the records changed.
#[derive(Default)]
pub(crate) struct Touched {
    pub(crate) clients: BTreeSet<ClientId>,
    pub(crate) customers: BTreeSet<CustomerId>,
    pub(crate) api_keys: BTreeSet<ApiKeyId>,
    pub(crate) accounts: BTreeSet<AccountNo>,
    pub(crate) assets: BTreeSet<AssetName>,
    pub(crate) balances: BTreeSet<(AccountNo, AssetNo)>,
    pub(crate) holds: BTreeSet<TransactionId>,
    /// The holds that were placed, each with its index in its record.
    pub(crate) placed: BTreeMap<TransactionId, i32>,
    /// Books that were made.
    pub(crate) books: Vec<(BookNo, ClientId)>,
}

/// Rows of commands, and what leads to them.
#[derive(Default)]
pub(crate) struct History {
    pub(crate) positions: Vec<i64>,
    pub(crate) times: Vec<i64>,
    pub(crate) keys: Vec<Option<Uuid>>,
    pub(crate) ids: Vec<Option<Uuid>>,
    pub(crate) mentions: BTreeSet<(Uuid, i64)>,
    /// Which balances each command touched, in order.
    pub(crate) entries: Vec<(AccountNo, AssetNo, Position)>,
    pub(crate) deviations: Vec<Deviation>,
    pub(crate) rates: Vec<(ledger::RateRow, i32)>,
}

/// What counts for another time than it was recorded.
pub(crate) struct Deviation {
    pub(crate) account: AccountNo,
    pub(crate) asset: AssetNo,
    pub(crate) position: Position,
    pub(crate) index: i32,
    pub(crate) recorded_at: Micros,
    pub(crate) effective_at: Micros,
    pub(crate) settled: Numeric,
}

impl Touched {
    pub(crate) fn take(&mut self, record: &Record, book: &Book) {
        let Ok(done) = &record.outcome else { return };
        match (&record.action, done) {
            (Action::Initialise { rlusd_exponent }, _) => {
                self.assets
                    .extend(built_in(*rlusd_exponent).iter().map(|asset| asset.name));
            }
            (Action::CreateClient(new), Done::Book(no)) => self.books.push((*no, new.id)),
            (Action::CreateClient(new), _) => self.clients.extend([new.id]),
            (Action::UpdateClient(change), _) => self.clients.extend([change.id]),
            (Action::CreateApiKey(new), _) => self.api_keys.extend([new.id]),
            (Action::RevokeApiKey { id }, _) => self.api_keys.extend([*id]),
            (Action::RotateApiKey(rotation), _) => self.api_keys.extend([rotation.old, rotation.id]),
            (Action::CreateCustomer(new), _) => self.customers.extend([new.id]),
            (Action::UpdateCustomer(change), _) => self.customers.extend([change.id]),
            (Action::EraseCustomer { id }, _) => self.customers.extend([*id]),
            (Action::SetDunning { customer, .. }, _) => self.customers.extend([*customer]),
            (Action::CreateAccount(new), _) => self.take_account(new.id, book),
            (Action::UpdateAccount(change), _) => self.take_account(change.id, book),
            (Action::RegisterAsset { name, .. }, _) => self.assets.extend([*name]),
            (Action::PutRates(_), _) => {}
            (action, _) => self.take_money(record, action),
        }
    }

    fn take_account(&mut self, id: AccountId, book: &Book) {
        let slot = book.slot(id).ok().flatten();
        self.accounts.extend(slot.map(|slot| slot.account.no));
    }

    fn take_money(&mut self, record: &Record, action: &Action) {
        for (nth, booked) in record.booked().iter().enumerate() {
            for made in &booked.moves {
                self.balances.insert((made.from.no, made.asset.no));
                self.balances.insert((made.to.no, made.asset.no));
            }
            if record.transaction(nth).is_some_and(|asked| asked.hold.is_some()) {
                self.placed.insert(booked.id, index(nth));
            }
        }
        self.holds.extend(match action {
            Action::Capture(capture) => Some(capture.hold),
            Action::Release(release) => Some(release.hold),
            Action::Expire { hold, .. } => Some(*hold),
            _ => None,
        });
    }
}

fn index(nth: usize) -> i32 {
    i32::try_from(nth).expect("a batch has at most 10,000 transactions")
}

impl History {
    pub(crate) fn take(&mut self, record: &Record) {
        let at = rows::position(record.position);
        let booked = record.booked();
        let single = (booked.len() == 1).then(|| booked[0].id);
        // A key that is the id of what was booked is found as such.
        let is_own = single.is_some_and(|id| record.key == Key::Id(id.into()));
        self.positions.push(at);
        self.times.push(record.recorded_at.0);
        self.keys
            .push((!is_own).then(|| key_hash(record.client, record.key)));
        self.ids.push(single.map(|id| rows::id(id.0)));
        if single.is_none() {
            self.mentions
                .extend(booked.iter().map(|booked| (Mention::Id(booked.id).hash(), at)));
        }
        let mut touched = BTreeSet::new();
        let deviations = self.deviations.len();
        for (nth, booked) in booked.iter().enumerate() {
            self.take_transaction(record, nth, deviations);
            for made in &booked.moves {
                touched.extend([(made.from.no, made.asset.no), (made.to.no, made.asset.no)]);
            }
        }
        self.entries.extend(
            touched
                .into_iter()
                .map(|(account, asset)| (account, asset, record.position)),
        );
        if let (Action::Reverse(reverse), Ok(_)) = (&record.action, &record.outcome) {
            self.mentions
                .insert((Mention::Reversal(reverse.transaction).hash(), at));
        }
        if let (Action::PutRates(rates), Ok(_)) = (&record.action, &record.outcome) {
            self.take_rates(record, rates);
        }
    }

    /// Takes a transaction of a record whose deviations are counted from `first`.
    fn take_transaction(&mut self, record: &Record, nth: usize, first: usize) {
        let at = rows::position(record.position);
        let booked = &record.booked()[nth];
        if let Some(asked) = record.transaction(nth) {
            let reference = asked.reference();
            let reference = reference.map(|text| Mention::Reference(text.lookup()));
            let external_id = asked.external_id();
            let external_id = external_id.map(|text| Mention::ExternalId(text.lookup()));
            self.mentions.extend(
                reference
                    .into_iter()
                    .chain(external_id)
                    .map(|mention| (mention.hash(), at)),
            );
        }
        let effective_at = record.effective_at(nth);
        if effective_at == record.recorded_at {
            return;
        }
        for made in booked.moves.iter().filter(|made| !made.post.is_zero()) {
            for (account, settled) in [
                (made.from.no, -made.post.signed()),
                (made.to.no, made.post.signed()),
            ] {
                let index = i32::try_from(self.deviations.len() - first).expect("a record is far smaller");
                self.deviations.push(Deviation {
                    account,
                    asset: made.asset.no,
                    position: record.position,
                    index,
                    recorded_at: record.recorded_at,
                    effective_at,
                    settled: Numeric(settled),
                });
            }
        }
    }

    fn take_rates(&mut self, record: &Record, rates: &[ledger::Rate]) {
        for (index, rate) in (0..).zip(rates) {
            // The same said twice at once is said once.
            if !rates[..index as usize].contains(rate) {
                let row = ledger::RateRow {
                    rate: rate.clone(),
                    position: record.position,
                    recorded_at: record.recorded_at,
                };
                self.rates.push((row, index));
            }
        }
    }
}
