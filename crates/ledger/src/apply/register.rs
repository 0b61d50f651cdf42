//! What a record leaves behind in the register.

use std::sync::Arc;

use crate::account::{Account, AccountStatus, Details, Limit};
use crate::asset::{Asset, AssetKind, AssetName, AssetNo};
use crate::balance::Credit;
use crate::command::{
    AccountChange, ClientChange, CreditChange, CustomerChange, LimitChange, NewAccount, NewApiKey, NewClient,
    NewCustomer, Patch,
};
use crate::id::{AccountId, AccountNo, ApiKeyId, BookNo, ClientId, CustomerId};
use crate::record::Record;
use crate::register::{ApiKey, Client, Customer, Dunning, Notes, Rate, RateRow};
use crate::state::{Book, State};
use crate::text::{Findable, Text};
use crate::time::Micros;

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

pub(super) fn create_root(state: &mut State, record: &Record, new: &NewClient, no: BookNo) {
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

pub(super) fn create_client(book: &mut Book, record: &Record, new: &NewClient) {
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

pub(super) fn update_client(book: &mut Book, record: &Record, change: &ClientChange) {
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

pub(super) fn create_api_key(book: &mut Book, record: &Record, new: &NewApiKey) {
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
pub(super) fn end_api_key(book: &mut Book, record: &Record, id: ApiKeyId, end: Micros) {
    let mut row = ApiKey::clone(book.api_keys.peek(&id).expect("decided on this row"));
    match end > record.recorded_at {
        true => row.expires_at = Some(end),
        // The first revocation is the one that counts.
        false => row.revoked_at = row.revoked_at.or(Some(record.recorded_at)),
    }
    book.api_keys.put(id, Some(Arc::new(row)));
}

pub(super) fn create_customer(book: &mut Book, record: &Record, new: &NewCustomer, number: i64) {
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

pub(super) fn change_customer(
    book: &mut Book,
    record: &Record,
    id: CustomerId,
    change: impl FnOnce(&mut Customer),
) {
    let mut row = Customer::clone(book.customers.peek(&id).expect("decided on this row"));
    change(&mut row);
    row.updated_at = record.recorded_at;
    book.customers.put(id, Some(Arc::new(row)));
}

pub(super) fn update_customer(book: &mut Book, record: &Record, change: &CustomerChange) {
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
fn set_limits(here: &mut Vec<Limit>, limits: Vec<Limit>) {
    for limit in limits {
        here.retain(|other| other.asset != limit.asset);
        if limit.credit != Credit::NONE || limit.max_balance.is_some() {
            here.push(limit);
        }
    }
}

fn asset_no(state: &State, book: BookNo, name: &AssetName) -> AssetNo {
    let asset = state.asset(book, name).ok().flatten();
    asset.expect("decided on this asset").no
}

pub(super) fn create_account(
    state: &mut State,
    record: &Record,
    new: &NewAccount,
    no: AccountNo,
    primary: bool,
    client: ClientId,
) {
    let mut given = Vec::new();
    set_limits(&mut given, limits(state, record.book, &new.limits));
    let row = Account {
        id: new.id,
        no,
        owner: new.owner,
        client,
        purpose: new.purpose,
        status: AccountStatus::Active,
        currency: new.currency.map(|name| asset_no(state, record.book, &name)),
        primary: false,
        details: Details::new(new.label.clone(), given, new.notes.clone()),
        created_at: record.recorded_at,
        updated_at: record.recorded_at,
    };
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

pub(super) fn update_account(state: &mut State, record: &Record, change: &AccountChange) {
    let limits = limits(state, record.book, &change.limits);
    let book = state.book_mut(record.book);
    let no = account_no(book, change.id);
    change_account(book, record, no, |row| {
        if let Some(status) = change.status {
            row.status = status;
        }
        row.change_details(|details| {
            if let Some(label) = &change.label {
                details.label.clone_from(label);
            }
            set_limits(&mut details.limits, limits);
            patch(&mut details.notes, &change.external_id, &change.metadata);
        });
    });
    if change.primary {
        make_primary(book, record, no);
    }
}

fn account_no(book: &Book, id: AccountId) -> AccountNo {
    let slot = book.slot(id).ok().flatten();
    slot.expect("decided on this row").account.no
}

pub(super) fn register_asset(book: &mut Book, name: AssetName, exponent: u8, kind: AssetKind) {
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

pub(super) fn put_rates(book: &mut Book, record: &Record, rates: &[Rate]) {
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
