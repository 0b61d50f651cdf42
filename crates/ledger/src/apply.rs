//! What a record leaves behind in the rows. It can't fail: whatever could go wrong was decided before.
//!
//! Applying a record again, to rows that already know it or later ones, changes nothing in the end, as long as those after
//! it are applied again too. So a store may copy rows while they change, and redo what came after the first of them.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::amount::Amount;
use crate::asset::{Asset, AssetKind, AssetName, AssetNo, built_in};
use crate::balance::{Balance, Counters, Credit};
use crate::command::{
    AccountChange, Action, ClientChange, CreditChange, CustomerChange, LimitChange, NewAccount, NewApiKey,
    NewClient, NewCustomer, Patch,
};
use crate::id::{AccountId, AccountNo, ApiKeyId, BookNo, ClientId, CustomerId, Position, TransactionId};
use crate::record::{Booked, Done, Move, Record};
use crate::register::{
    Account, AccountStatus, ApiKey, Client, Customer, Dunning, Limit, Notes, Rate, RateRow,
};
use crate::standing::{HeldPosting, Hold, HoldStatus, Posted, PostedPosting};
use crate::state::{Book, Completeness, State};
use crate::text::{Findable, Text};
use crate::time::Micros;

/// Applies `record` to the rows it concerns. The record of a command that was refused moves the head alone, and
/// is found under its key.
///
/// # Panics
/// When a row that the record changes is not loaded: a store that does this has a bug, and must not go on.
pub fn apply(state: &mut State, record: &Arc<Record>) {
    let book = state.book_mut(record.book);
    move_head(book, record.position, record.recorded_at);
    remember(book, record);
    let Ok(done) = &record.outcome else { return };
    match (&record.action, done) {
        (Action::Initialise { rlusd_exponent }, _) => {
            let fixed = built_in(*rlusd_exponent);
            fixed.into_iter().for_each(|asset| book.put_asset(asset));
        }
        (Action::CreateClient(new), Done::Book(no)) => create_root(state, record, new, *no),
        (Action::CreateClient(new), _) => create_client(book, record, new),
        (Action::UpdateClient(change), _) => update_client(book, record, change),
        (Action::CreateApiKey(new), _) => create_api_key(book, record, new),
        (Action::RevokeApiKey { id }, _) => end_api_key(book, record, *id, record.recorded_at),
        (
            Action::RotateApiKey(rotation),
            Done::Rotated {
                client,
                scopes,
                old_ends_at,
            },
        ) => {
            create_api_key(book, record, &rotation.new_key(*client, *scopes));
            end_api_key(book, record, rotation.old, *old_ends_at);
        }
        (Action::CreateCustomer(new), Done::Customer(number)) => create_customer(book, record, new, *number),
        (Action::UpdateCustomer(change), _) => update_customer(book, record, change),
        (Action::EraseCustomer { id }, _) => change_customer(book, record, *id, |row| {
            // The first time is the one that counts.
            row.erased_at = row.erased_at.or(Some(record.recorded_at));
        }),
        (
            Action::SetDunning {
                customer,
                label,
                in_debt_collection,
            },
            _,
        ) => {
            let dunning = Dunning {
                label: label.clone(),
                in_debt_collection: *in_debt_collection,
            };
            change_customer(book, record, *customer, |row| row.dunning = dunning);
        }
        (Action::CreateAccount(new), Done::Account { no, primary, client }) => {
            create_account(state, record, new, *no, *primary, *client);
        }
        (Action::UpdateAccount(change), _) => update_account(state, record, change),
        (Action::RegisterAsset { name, exponent, kind }, _) => {
            register_asset(book, *name, *exponent, *kind);
        }
        (Action::PutRates(rates), _) => put_rates(book, record, rates),
        (action, Done::Moved(booked)) => {
            for (nth, booked) in booked.iter().enumerate() {
                apply_moves(book, record, &booked.moves);
                apply_to_hold(book, record, action, nth, booked);
                apply_to_transactions(book, record, action, nth, booked.id);
            }
        }
        (action, done) => unreachable!("a record never pairs {action:?} with {done:?}"),
    }
}

/// What a record leaves behind that moves money once and does nothing else: two balances. Nearly all records are so, and who has
/// this need not keep them in memory.
#[derive(Clone, PartialEq, Debug)]
pub struct PlainPosting {
    /// The book.
    pub book: BookNo,
    /// The record's number in it.
    pub position: Position,
    /// When the book took it.
    pub recorded_at: Micros,
    /// What moved.
    pub asset: AssetNo,
    /// The debited account, and its counters after it.
    pub from: (AccountNo, Counters),
    /// The credited account, and its counters after it.
    pub to: (AccountNo, Counters),
}

impl PlainPosting {
    /// What `record` leaves behind, if that is all: it has one posting, holds nothing, and counts for when it was recorded.
    #[must_use]
    pub fn of(record: &Record) -> Option<Self> {
        let (Action::Post(transaction), [booked]) = (&record.action, record.booked()) else {
            return None;
        };
        let [made] = booked.moves.as_slice() else {
            return None;
        };
        let plain = transaction.hold.is_none() && record.effective_at(0) == record.recorded_at;
        plain.then_some(Self {
            book: record.book,
            position: record.position,
            recorded_at: record.recorded_at,
            asset: made.asset.no,
            from: (made.from.no, made.from_after.counters),
            to: (made.to.no, made.to_after.counters),
        })
    }
}

/// Applies what a record leaves behind, as [`apply()`] applies the record: to rows of [`Completeness::Standing`], where whatever was
/// loaded to decide it (its key, its id) was forgotten before. A row that says that they are free would be believed from then on.
///
/// # Panics
/// When a balance that the record changes is not loaded, or where keys and transactions are kept.
pub fn apply_plain(state: &mut State, plain: &PlainPosting) {
    let book = state.book_mut(plain.book);
    assert_eq!(
        book.completeness(),
        Completeness::Standing,
        "elsewhere the record itself is applied"
    );
    debug_assert!(
        book.keys.is_empty() && book.transactions.is_empty(),
        "what was loaded to decide it is still here"
    );
    let at = (plain.position, plain.recorded_at);
    move_head(book, plain.position, plain.recorded_at);
    for (account, counters) in [plain.from, plain.to] {
        put_balance(book, at, account, plain.asset, counters);
    }
}

fn move_head(book: &mut Book, position: Position, recorded_at: Micros) {
    book.head.position = book.head.position.max(position);
    book.head.recorded_at = book.head.recorded_at.max(recorded_at);
}

/// Keeps what later commands look up by key and id; where that is loaded on demand, forgets what was known of it.
fn remember(book: &mut Book, record: &Arc<Record>) {
    let key = (record.client, record.key);
    if book.completeness() == Completeness::Standing {
        book.keys.forget(&key);
        for booked in record.booked() {
            book.transactions.forget(&booked.id);
        }
    } else {
        book.keys.put(key, Some(Arc::clone(record)));
    }
}

fn new_client(record: &Record, new: &NewClient, book: BookNo, no: u32) -> Arc<Client> {
    Arc::new(Client {
        id: new.id,
        book,
        no,
        parent: new.parent,
        legal_name: new.legal_name.clone(),
        time_zone: new.time_zone.clone(),
        notes: new.notes.clone(),
        created_at: record.recorded_at,
        updated_at: record.recorded_at,
    })
}

fn create_root(state: &mut State, record: &Record, new: &NewClient, no: BookNo) {
    let operator = state.book_mut(record.book);
    operator.head.books = operator.head.books.max(no.0);
    let book = state.book_mut(no);
    book.root = Some(new.id);
    if book.clients.peek(&new.id).is_none() {
        book.clients.put(new.id, Some(new_client(record, new, no, 0)));
        book.client_list.push(new.id);
        book.head.clients = book.head.clients.max(1);
    }
}

fn create_client(book: &mut Book, record: &Record, new: &NewClient) {
    if book.clients.peek(&new.id).is_none() {
        let no = book.head.clients;
        book.clients
            .put(new.id, Some(new_client(record, new, record.book, no)));
        book.client_list.push(new.id);
        book.head.clients += 1;
    }
}

fn patch(notes: &mut Notes, external_id: &Patch<Findable>, metadata: &Patch<Text>) {
    if let Some(external_id) = external_id {
        notes.external_id.clone_from(external_id);
    }
    if let Some(metadata) = metadata {
        notes.metadata.clone_from(metadata);
    }
}

fn update_client(book: &mut Book, record: &Record, change: &ClientChange) {
    let row = book.clients.peek(&change.id).expect("decided on this row");
    let mut row = Client::clone(row);
    if let Some(name) = &change.legal_name {
        row.legal_name.clone_from(name);
    }
    if let Some(zone) = &change.time_zone {
        row.time_zone.clone_from(zone);
    }
    patch(&mut row.notes, &change.external_id, &change.metadata);
    row.updated_at = record.recorded_at;
    book.clients.put(row.id, Some(Arc::new(row)));
}

fn create_api_key(book: &mut Book, record: &Record, new: &NewApiKey) {
    if book.api_keys.peek(&new.id).is_some() {
        return;
    }
    let row = ApiKey {
        id: new.id,
        no: book.head.api_keys,
        book: record.book,
        client: new.client,
        label: new.label.clone(),
        scopes: new.scopes,
        secret_hash: new.secret_hash,
        expires_at: new.expires_at,
        created_at: record.recorded_at,
        revoked_at: None,
    };
    book.api_keys.put(new.id, Some(Arc::new(row)));
    book.api_key_list.push(new.id);
    book.head.api_keys += 1;
}

/// A key that ends now is revoked: so it has ended, too, for a server whose clock is behind.
fn end_api_key(book: &mut Book, record: &Record, id: ApiKeyId, end: Micros) {
    let mut row = ApiKey::clone(book.api_keys.peek(&id).expect("decided on this row"));
    match end > record.recorded_at {
        true => row.expires_at = Some(end),
        // The first revocation is the one that counts.
        false => row.revoked_at = row.revoked_at.or(Some(record.recorded_at)),
    }
    book.api_keys.put(id, Some(Arc::new(row)));
}

fn create_customer(book: &mut Book, record: &Record, new: &NewCustomer, number: i64) {
    book.head.highest_number = book.head.highest_number.max(number);
    book.numbers.put(number, Some(new.id));
    if book.customers.peek(&new.id).is_some() {
        return;
    }
    let row = Customer {
        id: new.id,
        no: book.head.customers,
        client: new.client,
        number,
        legal_name: new.legal_name.clone(),
        dunning: Dunning::default(),
        notes: new.notes.clone(),
        created_at: record.recorded_at,
        updated_at: record.recorded_at,
        erased_at: None,
    };
    book.customers.put(new.id, Some(Arc::new(row)));
    book.customer_list.push(new.id);
    book.head.customers += 1;
}

fn change_customer(book: &mut Book, record: &Record, id: CustomerId, change: impl FnOnce(&mut Customer)) {
    let mut row = Customer::clone(book.customers.peek(&id).expect("decided on this row"));
    change(&mut row);
    row.updated_at = record.recorded_at;
    book.customers.put(id, Some(Arc::new(row)));
}

fn update_customer(book: &mut Book, record: &Record, change: &CustomerChange) {
    change_customer(book, record, change.id, |row| {
        if let Some(name) = &change.legal_name {
            row.legal_name.clone_from(name);
        }
        patch(&mut row.notes, &change.external_id, &change.metadata);
    });
}

fn limits(state: &State, book: BookNo, changes: &[LimitChange]) -> Vec<Limit> {
    let limit = |change: &LimitChange| Limit {
        asset: asset_no(state, book, &change.asset),
        credit: match change.credit {
            Some(CreditChange::Limit(amount)) => Credit::Limit(amount),
            Some(CreditChange::Unlimited) => Credit::Unlimited,
            None => Credit::NONE,
        },
        max_balance: change.max_balance,
    };
    changes.iter().map(limit).collect()
}

/// Each limit replaces the one of its asset; one that limits nothing is not kept.
fn set_limits(row: &mut Account, limits: Vec<Limit>) {
    for limit in limits {
        row.limits.retain(|other| other.asset != limit.asset);
        if limit.credit != Credit::NONE || limit.max_balance.is_some() {
            row.limits.push(limit);
        }
    }
}

fn asset_no(state: &State, book: BookNo, name: &AssetName) -> AssetNo {
    let asset = state.asset(book, name).ok().flatten();
    asset.expect("decided on this asset").no
}

fn create_account(
    state: &mut State,
    record: &Record,
    new: &NewAccount,
    no: AccountNo,
    primary: bool,
    client: ClientId,
) {
    let mut row = Account {
        id: new.id,
        no,
        owner: new.owner,
        client,
        purpose: new.purpose,
        label: new.label.clone(),
        status: AccountStatus::Active,
        currency: new.currency.map(|name| asset_no(state, record.book, &name)),
        primary: false,
        limits: Vec::new(),
        notes: new.notes.clone(),
        created_at: record.recorded_at,
        updated_at: record.recorded_at,
    };
    set_limits(&mut row, limits(state, record.book, &new.limits));
    let book = state.book_mut(record.book);
    if !book.slots.contains(no) {
        book.put_account(Arc::new(row));
        book.mark_balances_loaded(no);
    }
    book.head.accounts = book.head.accounts.max(no.0 + 1);
    if primary {
        make_primary(book, record, no);
    }
}

fn change_account(book: &mut Book, record: &Record, no: AccountNo, change: impl FnOnce(&mut Account)) {
    let slot = book.slots.get_mut(no).expect("decided on this row");
    let row = Arc::make_mut(&mut slot.account);
    change(row);
    // Applied again, an older record must not undo the time at which the account lost its place as the primary one.
    row.updated_at = row.updated_at.max(record.recorded_at);
}

/// Takes the place over. The one that had it may not be loaded; a store that loads on demand finds it by the place.
fn make_primary(book: &mut Book, record: &Record, no: AccountNo) {
    let account = &book.slots[no].account;
    let place = (account.owner, account.purpose);
    let before = book
        .primaries
        .peek(&place)
        .copied()
        .filter(|before| *before != no);
    if let Some(before) = before
        && book.slots.contains(before)
    {
        change_account(book, record, before, |row| row.primary = false);
    }
    book.primaries.put(place, Some(no));
    change_account(book, record, no, |row| row.primary = true);
}

fn update_account(state: &mut State, record: &Record, change: &AccountChange) {
    let limits = limits(state, record.book, &change.limits);
    let book = state.book_mut(record.book);
    let no = account_no(book, change.id);
    change_account(book, record, no, |row| {
        if let Some(label) = &change.label {
            row.label.clone_from(label);
        }
        if let Some(status) = change.status {
            row.status = status;
        }
        set_limits(row, limits);
        patch(&mut row.notes, &change.external_id, &change.metadata);
    });
    if change.primary {
        make_primary(book, record, no);
    }
}

fn account_no(book: &Book, id: AccountId) -> AccountNo {
    let slot = book.slot(id).ok().flatten();
    slot.expect("decided on this row").account.no
}

fn register_asset(book: &mut Book, name: AssetName, exponent: u8, kind: AssetKind) {
    if book.assets.peek(&name).is_none() {
        let no = AssetNo::registered(book.no == BookNo::OPERATOR, book.head.assets);
        book.put_asset(Asset {
            no,
            name,
            exponent,
            kind,
        });
        book.head.assets += 1;
    }
}

fn put_rates(book: &mut Book, record: &Record, rates: &[Rate]) {
    for rate in rates {
        let row = RateRow {
            rate: rate.clone(),
            position: record.position,
            recorded_at: record.recorded_at,
        };
        let known = book.rates.get(&(rate.base, rate.quote));
        if !known.is_some_and(|history| history.iter().any(|other| **other == row)) {
            book.put_rate(row);
        }
    }
}

fn apply_moves(book: &mut Book, record: &Record, moves: &[Move]) {
    for m in moves {
        for (account, entry) in [(m.from.no, &m.from_after), (m.to.no, &m.to_after)] {
            let at = (record.position, record.recorded_at);
            put_balance(book, at, account, m.asset.no, entry.counters);
        }
    }
}

fn put_balance(
    book: &mut Book,
    (last, last_at): (Position, Micros),
    account: AccountNo,
    asset: AssetNo,
    counters: Counters,
) {
    let slot = book.slots.get_mut(account).expect("decided on this row");
    if slot.balance(asset).is_none_or(|here| here.last <= last) {
        let balance = Balance {
            counters,
            last,
            last_at,
        };
        slot.put_balance(asset, balance);
    }
}

fn apply_to_hold(book: &mut Book, record: &Record, action: &Action, nth: usize, booked: &Booked) {
    match action {
        Action::Post(_) | Action::PostBatch(_) => {
            if let Some(hold) = hold_placed(record, nth)
                && book.holds.peek(&hold.id).is_none()
            {
                book.put_hold(hold);
            }
        }
        Action::Capture(capture) => change_hold(book, record, capture.hold, booked, HoldStatus::Released),
        Action::Release(release) => change_hold(book, record, release.hold, booked, HoldStatus::Released),
        Action::Expire { hold, .. } => change_hold(book, record, *hold, booked, HoldStatus::Expired),
        _ => {}
    }
}

fn held_posting(m: &Move) -> HeldPosting {
    HeldPosting {
        from: m.from,
        to: m.to,
        asset: m.asset,
        amount: m.reserve,
        captured: Amount::ZERO,
        remaining: m.reserve,
    }
}

/// Changes a hold by what was captured or let go; with nothing left it has `end`, or `captured` if anything was.
fn change_hold(book: &mut Book, record: &Record, id: TransactionId, booked: &Booked, end: HoldStatus) {
    let Some(hold) = book.holds.peek(&id) else {
        // Where only open holds are kept, one that is not here was resolved by this record or a later one.
        assert!(
            book.completeness() == Completeness::Standing,
            "decided on this hold"
        );
        return;
    };
    if hold.last >= record.position {
        return;
    }
    let mut hold = Hold::clone(hold);
    fold_into_hold(&mut hold, record, booked, end);
    book.put_hold(hold);
}

/// Changes `hold` by what `booked` captured or let go of it.
fn fold_into_hold(hold: &mut Hold, record: &Record, booked: &Booked, end: HoldStatus) {
    hold.last = record.position;
    for m in &booked.moves {
        let held = &mut hold.postings[m.index as usize];
        held.captured = held
            .captured
            .checked_add(m.post)
            .expect("no more than was posted");
        held.remaining = held.remaining.checked_sub(m.free).expect("no more than was held");
    }
    if hold.postings.iter().all(|held| held.remaining.is_zero()) {
        let captured = hold.postings.iter().any(|held| !held.captured.is_zero());
        hold.status = if captured && end == HoldStatus::Released {
            HoldStatus::Captured
        } else {
            end
        };
    }
}

/// The hold that the `nth` transaction of `record` placed, as it stood right then.
#[must_use]
pub fn hold_placed(record: &Record, nth: usize) -> Option<Hold> {
    let terms = record.transaction(nth)?.hold?;
    let booked = record.booked().get(nth)?;
    Some(Hold {
        id: booked.id,
        position: record.position,
        recorded_at: record.recorded_at,
        last: record.position,
        expires_at: terms.expires_at,
        postings: booked.moves.iter().map(held_posting).collect(),
        status: HoldStatus::Held,
    })
}

/// Takes a hold past a later record that captured, released or expired some of it.
///
/// # Panics
/// When `record` is not about this hold.
pub fn hold_after(hold: &mut Hold, record: &Record) {
    let (about, end) = match &record.action {
        Action::Capture(capture) => (capture.hold, HoldStatus::Released),
        Action::Release(release) => (release.hold, HoldStatus::Released),
        Action::Expire { hold, .. } => (*hold, HoldStatus::Expired),
        other => panic!("{other:?} changes no hold"),
    };
    assert_eq!(about, hold.id, "a record about another hold");
    for booked in record.booked() {
        fold_into_hold(hold, record, booked, end);
    }
}

/// The `nth` transaction of `record` as later commands see it, before any reversal.
#[must_use]
pub fn posted(record: &Record, nth: usize) -> Option<Posted> {
    let booked = record.booked().get(nth)?;
    let postings: SmallVec<_> = booked
        .moves
        .iter()
        .map(|m| PostedPosting {
            from: m.from,
            to: m.to,
            asset: m.asset,
            amount: m.post,
            reversed: Amount::ZERO,
        })
        .collect();
    Some(Posted {
        id: booked.id,
        position: record.position,
        last: record.position,
        postings,
    })
}

/// Takes a transaction past a later record that reversed some of it.
///
/// # Panics
/// When more would be reversed than was posted, which no record does.
pub fn posted_after(posted: &mut Posted, record: &Record) {
    posted.last = record.position;
    for m in record.booked().iter().flat_map(|booked| &booked.moves) {
        let posting = &mut posted.postings[m.index as usize];
        posting.reversed = posting
            .reversed
            .checked_add(m.post)
            .expect("no more than was posted");
    }
}

fn apply_to_transactions(book: &mut Book, record: &Record, action: &Action, nth: usize, id: TransactionId) {
    let reversed = match action {
        Action::Reverse(reverse) => Some(reverse.transaction),
        _ => None,
    };
    if book.completeness() == Completeness::Standing {
        if let Some(original) = reversed {
            book.transactions.forget(&original);
        }
        return;
    }
    if let Some(original) = reversed {
        let row = book.transactions.peek(&original).expect("decided on this row");
        if row.last < record.position {
            let mut row = Posted::clone(row);
            posted_after(&mut row, record);
            book.transactions.put(original, Some(Arc::new(row)));
        }
    }
    if book.transactions.peek(&id).is_none() {
        let row = posted(record, nth).expect("the record booked it");
        book.transactions.put(id, Some(Arc::new(row)));
    }
}
