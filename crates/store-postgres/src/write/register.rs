//! Clients, customers, accounts, keys, assets, and the heads of books.

use ledger::{Account, ApiKey, Asset, Book, Client, Customer, Head, State};
use uuid::Uuid;

use super::{Writes, add};
use crate::changes::Touched;
use crate::rows::{self, pack};
use crate::work::Work;

pub(super) fn add_register(writes: &mut Writes<'_>, no: i32, touched: &Touched, book: &Book) {
    let clients: Vec<_> = touched
        .clients
        .iter()
        .filter_map(|id| book.clients.peek(id))
        .collect();
    for client in clients {
        add_client(writes, no, client);
    }
    for id in &touched.customers {
        add_customer(writes, no, book.customers.peek(id).expect("it was just changed"));
    }
    for id in &touched.api_keys {
        add_api_key(writes, no, book.api_keys.peek(id).expect("it was just changed"));
    }
    for account in &touched.accounts {
        add_account(writes, no, &book.slots[*account].account);
    }
    let assets: Vec<_> = touched
        .assets
        .iter()
        .filter_map(|name| book.assets.peek(name))
        .collect();
    if !assets.is_empty() {
        add_assets(writes, no, assets.into_iter().map(|asset| &**asset));
    }
}

fn add_client(writes: &mut Writes<'_>, no: i32, client: &Client) {
    add!(
        writes,
        "insert into saldo.clients (book, no, id, external_id, row) values ($1, $2, $3, $4, $5) \
         on conflict (book, no) do update set external_id = excluded.external_id, row = excluded.row",
        no,
        rows::number(client.no),
        rows::id(client.id.0),
        rows::external_id(&client.notes),
        pack(client),
    );
}

fn add_customer(writes: &mut Writes<'_>, no: i32, customer: &Customer) {
    add!(
        writes,
        "insert into saldo.customers (book, no, id, client, number, external_id, row) \
         values ($1, $2, $3, $4, $5, $6, $7) \
         on conflict (book, no) do update set external_id = excluded.external_id, row = excluded.row",
        no,
        rows::number(customer.no),
        rows::id(customer.id.0),
        rows::id(customer.client.0),
        customer.number,
        rows::external_id(&customer.notes),
        pack(customer),
    );
}

fn add_api_key(writes: &mut Writes<'_>, no: i32, key: &ApiKey) {
    let client: Option<Uuid> = key.client.map(|client| rows::id(client.0));
    add!(
        writes,
        "insert into saldo.api_keys (book, no, id, client, row) values ($1, $2, $3, $4, $5) \
         on conflict (book, no) do update set row = excluded.row",
        no,
        rows::number(key.no),
        rows::id(key.id.0),
        client,
        pack(key),
    );
}

fn add_account(writes: &mut Writes<'_>, no: i32, account: &Account) {
    add!(
        writes,
        "insert into saldo.accounts (book, no, id, client, owner, purpose, is_primary, external_id, row) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
         on conflict (book, no) do update set is_primary = excluded.is_primary, \
           external_id = excluded.external_id, row = excluded.row",
        no,
        rows::account(account.no),
        rows::id(account.id.0),
        rows::id(account.client.0),
        rows::owner(account.owner),
        account.purpose as i16,
        account.primary,
        rows::external_id(&account.details().notes),
        pack(account),
    );
}

fn add_assets<'a>(writes: &mut Writes<'_>, no: i32, assets: impl Iterator<Item = &'a Asset> + Clone) {
    add!(
        writes,
        "insert into saldo.assets (book, no, name, row) select $1, * from unnest($2::int4[], $3::text[], $4::bytea[]) \
         on conflict (book, no) do update set row = excluded.row",
        no,
        assets
            .clone()
            .map(|asset| rows::asset(asset.no))
            .collect::<Vec<_>>(),
        assets
            .clone()
            .map(|asset| asset.name.as_str().to_owned())
            .collect::<Vec<_>>(),
        assets.map(pack).collect::<Vec<_>>(),
    );
}

/// The books of new root clients.
pub(super) fn add_books(writes: &mut Writes<'_>, touched: &Touched, state: &State) {
    for (no, root) in &touched.books {
        let client = state
            .book(*no)
            .and_then(|book| book.clients.peek(root))
            .expect("it was just made");
        add!(
            writes,
            "insert into saldo.heads \
             select $1, $2, 0, 0, $3, 1, 0, 0, 0, 0, 0, 0, mark from saldo.heads where book = 0",
            rows::book(*no),
            rows::id(root.0),
            vec![0u8; 32],
        );
        add_client(writes, rows::book(*no), client);
    }
}

/// Moves the head on from where it was locked. Were it elsewhere, the division by nothing would end the transaction: the
/// check needs no answer before the commit is sent.
pub(super) fn add_head(writes: &mut Writes<'_>, no: i32, work: &Work) {
    let head: Head = work
        .state
        .book(work.book)
        .map(|book| book.head)
        .unwrap_or_default();
    add!(
        writes,
        "with moved as (update saldo.heads set position = $3, recorded_at = $4, digest = $5, clients = $6, \
           customers = $7, accounts = $8, api_keys = $9, assets = $10, highest_number = $11, books = $12 \
           where book = $1 and position = $2 returning 1) \
         select 1 / count(*) from moved",
        no,
        rows::position(work.before),
        rows::position(head.position),
        head.recorded_at.0,
        work.digest.to_vec(),
        rows::number(head.clients),
        rows::number(head.customers),
        rows::number(head.accounts),
        rows::number(head.api_keys),
        rows::number(head.assets),
        head.highest_number,
        rows::number(head.books),
    );
}
