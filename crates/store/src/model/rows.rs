//! What a record leaves in the register. Money leaves nothing but the record: it is added up again each time.

use std::sync::Arc;

use ledger::{
    Account, AccountId, AccountStatus, Action, ApiKey, Asset, AssetNo, BookNo, Client, Credit, CreditChange,
    Customer, CustomerId, Details, Done, Dunning, Findable, Limit, LimitChange, NewAccount, NewApiKey,
    NewClient, NewCustomer, Notes, Patch, Rate, RateRow, Record, Text,
};

use super::book::{Book, World};

/// Keeps a record, and what it did to the register.
pub(super) fn keep(world: &mut World, record: &Arc<Record>) {
    if let Ok(done) = &record.outcome {
        register(world, record, done);
    }
    let book = book(world, record);
    let mut canonical = Vec::new();
    ledger::encode(record, &mut canonical);
    let mut hasher = blake3::Hasher::new_keyed(&book.digest);
    hasher.update(&canonical);
    book.digest = *hasher.finalize().as_bytes();
    book.records.push(Arc::clone(record));
}

fn book<'a>(world: &'a mut World, record: &Record) -> &'a mut Book {
    world.books.get_mut(&record.book).expect("judged in this book")
}

fn register(world: &mut World, record: &Record, done: &Done) {
    match (&record.action, done) {
        (Action::Initialise { rlusd_exponent }, _) => {
            book(world, record).assets = ledger::built_in(*rlusd_exponent)
                .into_iter()
                .map(Arc::new)
                .collect();
        }
        (Action::CreateClient(new), Done::Book(no)) => {
            let mut made = Book::new(*no, Some(new.id));
            made.clients.push(client(record, new, *no, 0));
            world.books.insert(*no, made);
        }
        (Action::CreateClient(new), _) => {
            let book = book(world, record);
            let no = book.clients.len();
            book.clients.push(client(record, new, book.no, no));
        }
        (Action::CreateAccount(new), Done::Account { .. }) => create_account(world, record, new, done),
        (Action::UpdateAccount(change), _) => update_account(world, record, change),
        (action, _) => register_in(book(world, record), record, action, done),
    }
}

fn register_in(book: &mut Book, record: &Record, action: &Action, done: &Done) {
    let now = record.recorded_at;
    match (action, done) {
        (Action::UpdateClient(change), _) => {
            let row = book.clients.iter_mut().find(|row| row.id == change.id);
            let row = Arc::make_mut(row.expect("judged"));
            set(&mut row.legal_name, change.legal_name.as_ref());
            set(&mut row.time_zone, change.time_zone.as_ref());
            note(&mut row.notes, &change.external_id, &change.metadata);
            row.updated_at = now;
        }
        (Action::CreateApiKey(new), _) => create_api_key(book, record, new),
        (Action::RevokeApiKey { id }, _) => {
            let row = book.api_keys.iter_mut().find(|row| row.id == *id);
            let row = Arc::make_mut(row.expect("judged"));
            row.revoked_at = row.revoked_at.or(Some(now));
        }
        (
            Action::RotateApiKey(rotation),
            Done::Rotated {
                client,
                scopes,
                old_ends_at,
            },
        ) => {
            let row = book.api_keys.iter_mut().find(|row| row.id == rotation.old);
            let row = Arc::make_mut(row.expect("judged"));
            match rotation.overlap {
                0 => row.revoked_at = Some(now),
                _ => row.expires_at = Some(*old_ends_at),
            }
            create_api_key(book, record, &rotation.new_key(*client, *scopes));
        }
        (Action::CreateCustomer(new), Done::Customer(number)) => create_customer(book, record, new, *number),
        (Action::UpdateCustomer(change), _) => {
            let row = customer_mut(book, record, change.id);
            set(&mut row.legal_name, change.legal_name.as_ref());
            note(&mut row.notes, &change.external_id, &change.metadata);
        }
        (Action::EraseCustomer { id }, _) => {
            let row = customer_mut(book, record, *id);
            row.erased_at = row.erased_at.or(Some(now));
        }
        (Action::SetDunning { customer, .. }, _) => {
            customer_mut(book, record, *customer).dunning = dunning(action);
        }
        (Action::RegisterAsset { name, exponent, kind }, _) => {
            let is_odd = u32::from(book.no != BookNo::OPERATOR);
            // Numbers from 1100 on, every other one: even where the operator registers, odd in the other books.
            let registered = book.assets.iter().filter(|asset| asset.no.0 >= 1100).count() as u32;
            book.assets.push(Arc::new(Asset {
                no: AssetNo(1100 + 2 * registered + is_odd),
                name: *name,
                exponent: *exponent,
                kind: *kind,
            }));
        }
        (Action::PutRates(rates), _) => put_rates(book, record, rates),
        _ => assert!(matches!(done, Done::Moved(_)), "{action:?} with {done:?}"),
    }
}

fn client(record: &Record, new: &NewClient, book: BookNo, no: usize) -> Arc<Client> {
    Arc::new(Client {
        id: new.id,
        book,
        no: no as u32,
        parent: new.parent,
        legal_name: new.legal_name.clone(),
        time_zone: new.time_zone.clone(),
        notes: new.notes.clone(),
        created_at: record.recorded_at,
        updated_at: record.recorded_at,
    })
}

fn create_api_key(book: &mut Book, record: &Record, new: &NewApiKey) {
    book.api_keys.push(Arc::new(ApiKey {
        id: new.id,
        no: book.api_keys.len() as u32,
        book: book.no,
        client: new.client,
        label: new.label.clone(),
        scopes: new.scopes,
        secret_hash: new.secret_hash,
        expires_at: new.expires_at,
        created_at: record.recorded_at,
        revoked_at: None,
    }));
}

fn create_customer(book: &mut Book, record: &Record, new: &NewCustomer, number: i64) {
    book.customers.push(Arc::new(Customer {
        id: new.id,
        no: book.customers.len() as u32,
        client: new.client,
        number,
        legal_name: new.legal_name.clone(),
        dunning: Dunning::default(),
        notes: new.notes.clone(),
        created_at: record.recorded_at,
        updated_at: record.recorded_at,
        erased_at: None,
    }));
}

fn customer_mut<'a>(book: &'a mut Book, record: &Record, id: CustomerId) -> &'a mut Customer {
    let row = book.customers.iter_mut().find(|row| row.id == id);
    let row = Arc::make_mut(row.expect("judged"));
    row.updated_at = record.recorded_at;
    row
}

fn dunning(action: &Action) -> Dunning {
    match action {
        Action::SetDunning {
            label,
            in_debt_collection,
            ..
        } => Dunning {
            label: label.clone(),
            in_debt_collection: *in_debt_collection,
        },
        _ => Dunning::default(),
    }
}

fn set<T: Clone>(text: &mut T, new: Option<&T>) {
    if let Some(new) = new {
        text.clone_from(new);
    }
}

fn note(notes: &mut Notes, external_id: &Patch<Findable>, metadata: &Patch<Text>) {
    if let Some(external_id) = external_id {
        notes.external_id.clone_from(external_id);
    }
    if let Some(metadata) = metadata {
        notes.metadata.clone_from(metadata);
    }
}

fn limits(world: &World, record: &Record, changes: &[LimitChange]) -> Vec<Limit> {
    let limit = |change: &LimitChange| Limit {
        asset: world.asset(record.book, &change.asset).expect("judged").no,
        credit: match change.credit {
            Some(CreditChange::Limit(amount)) => Credit::Limit(amount),
            Some(CreditChange::Unlimited) => Credit::Unlimited,
            None => Credit::NONE,
        },
        max_balance: change.max_balance,
    };
    changes.iter().map(limit).collect()
}

/// Each limit replaces the one of its asset; one that limits nothing is none.
fn set_limits(here: &mut Vec<Limit>, limits: Vec<Limit>) {
    for limit in limits {
        here.retain(|other| other.asset != limit.asset);
        if limit.credit != Credit::NONE || limit.max_balance.is_some() {
            here.push(limit);
        }
    }
}

fn create_account(world: &mut World, record: &Record, new: &NewAccount, done: &Done) {
    let Done::Account { no, primary, client } = *done else {
        return;
    };
    let currency = new
        .currency
        .map(|name| world.asset(record.book, &name).expect("judged").no);
    let mut given = Vec::new();
    set_limits(&mut given, limits(world, record, &new.limits));
    let row = Account {
        id: new.id,
        no,
        owner: new.owner,
        client,
        purpose: new.purpose,
        status: AccountStatus::Active,
        currency,
        primary: false,
        details: Details::new(new.label.clone(), given, new.notes.clone()),
        created_at: record.recorded_at,
        updated_at: record.recorded_at,
    };
    let book = book(world, record);
    book.accounts.push(Arc::new(row));
    if primary {
        make_primary(book, record, new.id);
    }
}

fn update_account(world: &mut World, record: &Record, change: &ledger::AccountChange) {
    let limits = limits(world, record, &change.limits);
    let book = book(world, record);
    let row = book.accounts.iter_mut().find(|row| row.id == change.id);
    let row = Arc::make_mut(row.expect("judged"));
    row.status = change.status.unwrap_or(row.status);
    row.change_details(|details| {
        set(&mut details.label, change.label.as_ref());
        set_limits(&mut details.limits, limits);
        note(&mut details.notes, &change.external_id, &change.metadata);
    });
    row.updated_at = record.recorded_at;
    if change.primary {
        make_primary(book, record, change.id);
    }
}

/// The account is the primary one of its owner and purpose, and no other is.
fn make_primary(book: &mut Book, record: &Record, id: AccountId) {
    let place = book.account(id).map(|row| (row.owner, row.purpose));
    for row in &mut book.accounts {
        let changes = row.primary != (row.id == id);
        if Some((row.owner, row.purpose)) == place && changes {
            let row = Arc::make_mut(row);
            row.primary = row.id == id;
            row.updated_at = record.recorded_at;
        }
    }
}

fn put_rates(book: &mut Book, record: &Record, rates: &[Rate]) {
    for rate in rates {
        let row = RateRow {
            rate: rate.clone(),
            position: record.position,
            recorded_at: record.recorded_at,
        };
        if !book.rates.iter().any(|other| **other == row) {
            book.rates.push(Arc::new(row));
        }
    }
}
