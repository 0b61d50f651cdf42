//! The rules, as the design's page says them: what a command does to the books.

use std::collections::BTreeSet;
use std::sync::Arc;

use ledger::{
    AccountChange, AccountId, AccountNo, AccountStatus, Action, ApiKey, ApiKeyId, AssetName, BookNo, Client,
    ClientId, Code, Command, Credit, CreditChange, Customer, CustomerId, Decimal, Done, KeyRotation,
    LimitChange, Micros, NewAccount, NewClient, NewCustomer, Notes, Owner, Position, Purpose, RULES, Rate,
    Record, Rejection, TransactionId,
};

use super::book::{Book, World, add_up};
use super::money;
use super::rows;
use crate::{Outcome, StoreError};

/// Why a command is not done.
pub(super) enum No {
    /// It is refused, and that is recorded.
    Refused(Rejection),
    /// These holds are over and keep money that is wanted: they expire first.
    Due(Vec<TransactionId>),
    /// It does nothing, and nothing is recorded.
    Nothing,
}

impl From<Code> for No {
    fn from(code: Code) -> Self {
        Self::Refused(code.into())
    }
}

/// A refusal that names the account.
pub(super) fn about(code: Code, account: AccountId) -> No {
    No::Refused(Rejection {
        account: Some(account),
        ..code.into()
    })
}

/// A refusal that names the posting.
pub(super) fn at(code: Code, posting: usize) -> No {
    No::Refused(Rejection {
        posting: Some(posting as u32),
        ..code.into()
    })
}

/// Where a command is judged.
#[derive(Clone, Copy)]
pub(super) struct Case<'a> {
    pub(super) world: &'a World,
    pub(super) book: &'a Book,
    pub(super) actor: Option<ClientId>,
    pub(super) now: Micros,
}

/// Takes a command: says what became of it before, or judges it and keeps the record.
pub(super) fn take(world: &mut World, command: &Command) -> Outcome {
    let same_key = |record: &&Arc<Record>| record.client == command.client && record.key == command.key;
    if let Some(before) = world.books[&command.book].records.iter().find(same_key) {
        return if before.fingerprint == command.fingerprint {
            Outcome::Replayed(Arc::clone(before))
        } else {
            Outcome::Conflict(before.position)
        };
    }
    loop {
        let book = &world.books[&command.book];
        let now = command.stamp.max(Micros(book.recorded_at().0 + 1));
        let case = Case {
            world,
            book,
            actor: command.client,
            now,
        };
        let outcome = match judge(&case, command) {
            Ok(done) => Ok(done),
            Err(No::Refused(rejection)) => Err(rejection),
            Err(No::Nothing) => return Outcome::Nothing,
            Err(No::Due(holds)) => {
                for hold in holds {
                    let expired = take(world, &Command::expiry(command.book, hold, command.stamp));
                    let done = matches!(&expired, Outcome::Recorded(record) if record.outcome.is_ok());
                    assert!(done, "a hold that is due expires: {expired:?}");
                }
                continue;
            }
        };
        let record = Arc::new(Record {
            book: command.book,
            position: book.position().next(),
            base: world.base(),
            recorded_at: now,
            rules: RULES,
            client: command.client,
            key: command.key,
            fingerprint: command.fingerprint,
            action: command.action.clone(),
            outcome,
        });
        rows::keep(world, &record);
        return Outcome::Recorded(record);
    }
}

/// Keeps a record that was judged elsewhere, if it is the next one of its book.
pub(super) fn adopt(world: &mut World, record: &Arc<Record>) -> Result<Position, StoreError> {
    let (no, position) = (record.book, record.position);
    let book = world.books.get(&no).ok_or(StoreError::NoSuchBook(no))?;
    let next = book.position().next();
    if world.closed {
        return Err(StoreError::Closed("it was closed".to_owned()));
    }
    if position != next {
        return Err(StoreError::NotNext {
            book: no,
            position,
            next,
        });
    }
    rows::keep(world, record);
    Ok(position)
}

fn judge(case: &Case<'_>, command: &Command) -> Result<Done, No> {
    ids_are_free(case.book, command)?;
    party_is_new(case.book, &command.action)?;
    match &command.action {
        Action::Initialise { .. } if case.book.no == BookNo::OPERATOR && case.book.records.is_empty() => {
            Ok(Done::Changed)
        }
        Action::Initialise { .. } => Err(Code::AssetExists.into()),
        Action::CreateClient(new) => create_client(case, new),
        Action::UpdateClient(change) => client(case, change.id).map(|_| Done::Changed),
        Action::CreateApiKey(new) => match new.client {
            Some(id) => client(case, id).map(|_| Done::Changed),
            None => Ok(Done::Changed),
        },
        Action::RevokeApiKey { id } => {
            let key = api_key(case, *id);
            key.map(|_| Done::Changed).ok_or(Code::KeyNotFound.into())
        }
        Action::RotateApiKey(rotation) => rotate_api_key(case, rotation),
        Action::CreateCustomer(new) => create_customer(case, new),
        Action::UpdateCustomer(change) => {
            let row = customer(case, change.id)?;
            let id = change.external_id.iter().flatten().count();
            let metadata = change.metadata.iter().flatten().count();
            writes_about(row, change.legal_name.is_some() || id + metadata > 0)
        }
        Action::EraseCustomer { id } => customer(case, *id).map(|_| Done::Changed),
        Action::SetDunning {
            customer: id, label, ..
        } => writes_about(customer(case, *id)?, label.is_some()),
        Action::CreateAccount(new) => create_account(case, new),
        Action::UpdateAccount(change) => update_account(case, change),
        Action::RegisterAsset { name, .. } => match case.world.asset(case.book.no, name) {
            Some(_) => Err(Code::AssetExists.into()),
            None => Ok(Done::Changed),
        },
        Action::PutRates(rates) => put_rates(case, rates),
        Action::Post(transaction) => money::post(case, transaction),
        Action::PostBatch(transactions) => money::post_batch(case, transactions),
        Action::Capture(capture) => money::capture(case, capture),
        Action::Release(release) => money::release(case, release),
        Action::Expire { hold, id } => money::expire(case, *hold, *id),
        Action::Reverse(reverse) => money::reverse(case, reverse),
    }
}

fn ids_are_free(book: &Book, command: &Command) -> Result<(), No> {
    if matches!(command.action, Action::Expire { .. }) {
        return Ok(());
    }
    let is_batch = matches!(command.action, Action::PostBatch(_));
    let mut named = BTreeSet::new();
    for (item, id) in command.transaction_ids().enumerate() {
        let taken = id.is_reserved() || book.booked(id).is_some() || !named.insert(id);
        if taken {
            return Err(No::Refused(Rejection {
                item: is_batch.then_some(item as u32),
                ..Code::IdTaken.into()
            }));
        }
    }
    Ok(())
}

fn party_is_new(book: &Book, action: &Action) -> Result<(), No> {
    let taken = match action {
        // A root client has a book of its own, where no other is.
        Action::CreateClient(new) => new.parent.is_some() && book.client(new.id).is_some(),
        Action::CreateApiKey(new) => book.api_keys.iter().any(|key| key.id == new.id),
        Action::RotateApiKey(rotation) => book.api_keys.iter().any(|key| key.id == rotation.id),
        Action::CreateCustomer(new) => book.customer(new.id).is_some(),
        Action::CreateAccount(new) => book.account(new.id).is_some(),
        _ => false,
    };
    if taken { Err(Code::IdTaken.into()) } else { Ok(()) }
}

fn client<'a>(case: &Case<'a>, id: ClientId) -> Result<&'a Client, No> {
    let client = case
        .book
        .client(id)
        .filter(|client| case.book.sees(case.actor, client.id));
    client.map(|client| &**client).ok_or(Code::ClientNotFound.into())
}

fn customer<'a>(case: &Case<'a>, id: CustomerId) -> Result<&'a Customer, No> {
    let customer = case.book.customer(id);
    customer
        .filter(|customer| case.book.sees(case.actor, customer.client))
        .map(|customer| &**customer)
        .ok_or(Code::CustomerNotFound.into())
}

/// Whoever was erased is written about no more.
fn writes_about(customer: &Customer, text: bool) -> Result<Done, No> {
    if text && customer.erased_at.is_some() {
        return Err(Code::CustomerErased.into());
    }
    Ok(Done::Changed)
}

fn create_client(case: &Case<'_>, new: &NewClient) -> Result<Done, No> {
    let Some(parent) = new.parent else {
        if case.book.no != BookNo::OPERATOR {
            return Err(Code::ParentNotRoot.into());
        }
        let last = case.world.books.keys().next_back();
        return Ok(Done::Book(BookNo(last.map_or(0, |no| no.0) + 1)));
    };
    if client(case, parent)?.parent.is_some() {
        return Err(Code::ParentNotRoot.into());
    }
    Ok(Done::Changed)
}

fn api_key<'a>(case: &Case<'a>, id: ApiKeyId) -> Option<&'a ApiKey> {
    let key = case.book.api_keys.iter().find(|key| key.id == id)?;
    let sees = |client| case.book.sees(case.actor, client);
    key.client.is_none_or(sees).then_some(&**key)
}

/// The old key ends when the overlap is over, or when it would have ended anyway.
fn rotate_api_key(case: &Case<'_>, rotation: &KeyRotation) -> Result<Done, No> {
    let is_over =
        |key: &&ApiKey| key.revoked_at.is_some() || key.expires_at.is_some_and(|end| end <= case.now);
    let old = api_key(case, rotation.old).filter(|key| !is_over(key));
    let old = old.ok_or(Code::KeyNotFound)?;
    let overlapped = Micros(case.now.0 + i64::from(rotation.overlap) * 1_000_000);
    Ok(Done::Rotated {
        client: old.client,
        scopes: old.scopes,
        old_ends_at: overlapped.min(old.expires_at.unwrap_or(Micros::MAX)),
    })
}

fn create_customer(case: &Case<'_>, new: &NewCustomer) -> Result<Done, No> {
    client(case, new.client)?;
    let numbers = || case.book.customers.iter().map(|customer| customer.number);
    let next = || numbers().max().unwrap_or(0).checked_add(1);
    let number = new.number.or_else(next).ok_or(Code::NumberTaken)?;
    if numbers().any(|other| other == number) {
        return Err(Code::NumberTaken.into());
    }
    Ok(Done::Customer(number))
}

fn create_account(case: &Case<'_>, new: &NewAccount) -> Result<Done, No> {
    let client = match new.owner {
        Owner::Client(id) => client(case, id)?.id,
        Owner::Customer(id) => customer(case, id)?.client,
    };
    if new.purpose == Purpose::Card && new.currency.is_none() {
        return Err(Code::CurrencyRequired.into());
    }
    if let Owner::Customer(id) = new.owner {
        let text = !new.label.is_empty() || new.notes != Notes::default();
        writes_about(customer(case, id)?, text)?;
    }
    if let Some(currency) = &new.currency {
        known(case, currency)?;
    }
    known_all(case, &new.limits)?;
    let other = |limit: &LimitChange| new.currency.is_some_and(|currency| currency != limit.asset);
    if new.limits.iter().any(other) {
        return Err(Code::CurrencyMismatch.into());
    }
    let mut accounts = case.book.accounts.iter();
    let first = !accounts.any(|account| account.owner == new.owner && account.purpose == new.purpose);
    Ok(Done::Account {
        no: AccountNo(case.book.accounts.len() as u32),
        primary: first || new.primary,
        client,
    })
}

fn known(case: &Case<'_>, name: &AssetName) -> Result<(), No> {
    let asset = case.world.asset(case.book.no, name);
    asset.map(|_| ()).ok_or(Code::AssetNotFound.into())
}

fn known_all(case: &Case<'_>, limits: &[LimitChange]) -> Result<(), No> {
    limits.iter().try_for_each(|limit| known(case, &limit.asset))
}

fn update_account(case: &Case<'_>, change: &AccountChange) -> Result<Done, No> {
    let account = case.book.account(change.id);
    let account = account
        .filter(|account| case.book.sees(case.actor, account.client))
        .ok_or(about(Code::AccountNotFound, change.id))?;
    let counters = |asset| add_up(case.book.moves().map(|moved| moved.made), account.no, asset);
    let has_some = |asset| {
        let sum = counters(asset);
        sum.debits_posted != sum.credits_posted
            || !sum.debits_pending.is_zero()
            || !sum.credits_pending.is_zero()
    };
    if change.status == Some(AccountStatus::Closed) && case.book.touched(account.no).into_iter().any(has_some)
    {
        return Err(about(Code::AccountNotEmpty, change.id));
    }
    if let Owner::Customer(id) = account.owner {
        let label = change.label.iter().filter(|label| !label.is_empty()).count();
        let notes = change.external_id.iter().flatten().count() + change.metadata.iter().flatten().count();
        let erased = writes_about(customer(case, id)?, label + notes > 0);
        erased.map_err(|_| about(Code::CustomerErased, change.id))?;
    }
    known_all(case, &change.limits)?;
    let asset_of = |limit: &LimitChange| {
        let asset = case.world.asset(case.book.no, &limit.asset);
        asset.expect("just seen").no
    };
    let other = |limit: &LimitChange| account.currency.is_some_and(|no| no != asset_of(limit));
    if change.limits.iter().any(other) {
        return Err(about(Code::CurrencyMismatch, change.id));
    }
    let reopens = change
        .status
        .is_some_and(|status| status != AccountStatus::Closed);
    if account.status == AccountStatus::Closed && reopens {
        return Err(about(Code::AccountClosed, change.id));
    }
    for limit in &change.limits {
        if let Some(CreditChange::Limit(credit)) = limit.credit
            && !money::in_range(&counters(asset_of(limit)), Credit::Limit(credit))
        {
            return Err(about(Code::Overflow, change.id));
        }
    }
    Ok(Done::Changed)
}

fn put_rates(case: &Case<'_>, rates: &[Rate]) -> Result<Done, No> {
    let is_priced = |name: &AssetName| {
        ["USDC", "USDT", "RLUSD"].contains(&name.as_str()) || case.world.asset(case.book.no, name).is_some()
    };
    let in_range = |rate: Decimal| (1..10u128.pow(36)).contains(&rate.digits) && rate.scale <= 18;
    for (index, rate) in rates.iter().enumerate() {
        let fits = in_range(rate.rate) && rate.base != rate.quote;
        if !fits || !is_priced(&rate.base) || !is_priced(&rate.quote) {
            return Err(at(Code::RateInvalid, index));
        }
    }
    Ok(Done::Changed)
}
