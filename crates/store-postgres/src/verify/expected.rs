//! The rows that records give.

use std::collections::BTreeSet;

use ledger::{AssetNo, Book, BookNo, Hold, HoldStatus, Record, hold_placed};
use uuid::Uuid;

use super::lines::{
    AccountRow, ApiKeyRow, AssetRow, BalanceRow, ClientRow, CustomerRow, Deviation, Mention, Placed,
    PlacedOn, Rate,
};
use super::trails::Trails;
use crate::changes::History;
use crate::rows::{self, pack};

/// What one record leaves behind for good.
pub(super) struct Left {
    pub(super) key: Option<Uuid>,
    pub(super) id: Option<Uuid>,
    pub(super) mentions: Vec<Mention>,
    pub(super) deviations: Vec<Deviation>,
    pub(super) rates: Vec<Rate>,
    pub(super) placed: Vec<Placed>,
    pub(super) placed_on: Vec<PlacedOn>,
}

impl Left {
    /// What no record leaves.
    pub(super) fn nothing() -> Self {
        Self {
            key: None,
            id: None,
            mentions: Vec::new(),
            deviations: Vec::new(),
            rates: Vec::new(),
            placed: Vec::new(),
            placed_on: Vec::new(),
        }
    }

    pub(super) fn by(record: &Record) -> Self {
        let mut history = History::default();
        history.take(record);
        let (placed, placed_on) = holds(record);
        let deviation = |row: crate::changes::Deviation| Deviation {
            position: rows::position(row.position),
            index: row.index,
            account: rows::account(row.account),
            asset: rows::asset(row.asset),
            recorded_at: row.recorded_at.0,
            effective_at: row.effective_at.0,
            settled: row.settled,
        };
        let rate = |(row, index): (ledger::RateRow, i32)| Rate {
            position: rows::position(row.position),
            index,
            base: row.rate.base.as_str().to_owned(),
            quote: row.rate.quote.as_str().to_owned(),
            as_of: row.rate.as_of.0,
            recorded_at: row.recorded_at.0,
            row: pack(&row),
        };
        Self {
            key: history.keys.pop().flatten(),
            id: history.ids.pop().flatten(),
            mentions: history
                .mentions
                .into_iter()
                .map(|(hash, position)| Mention { position, hash })
                .collect(),
            deviations: history.deviations.into_iter().map(deviation).collect(),
            rates: history.rates.into_iter().map(rate).collect(),
            placed,
            placed_on,
        }
    }
}

fn holds(record: &Record) -> (Vec<Placed>, Vec<PlacedOn>) {
    let (mut placed, mut placed_on) = (Vec::new(), Vec::new());
    let position = rows::position(record.position);
    for (index, nth) in (0..).zip(0..record.booked().len()) {
        let Some(hold) = hold_placed(record, nth) else {
            continue;
        };
        let id = rows::id(hold.id.0);
        placed.push(Placed { position, index, id });
        let sides = hold.postings.iter().flat_map(|held| [held.from.no, held.to.no]);
        placed_on.extend(sides.collect::<BTreeSet<_>>().into_iter().map(|no| PlacedOn {
            position,
            index,
            account: rows::account(no),
            id,
        }));
    }
    (placed, placed_on)
}

/// How a hold's row says that it stands.
pub(super) fn hold_row(hold: &Hold) -> (i16, Option<i64>, Vec<u8>) {
    let open = hold.status == HoldStatus::Held;
    let due = hold.expires_at.filter(|_| open).map(|at| at.0);
    (rows::status(hold.status), due, pack(hold))
}

pub(super) fn clients(book: &Book) -> Vec<ClientRow> {
    let clients = book.client_list.iter().filter_map(|id| book.clients.peek(id));
    let row = |client: &std::sync::Arc<ledger::Client>| ClientRow {
        no: rows::number(client.no),
        id: rows::id(client.id.0),
        external_id: rows::external_id(&client.notes),
        row: pack(&**client),
    };
    clients.map(row).collect()
}

pub(super) fn customers(book: &Book) -> Vec<CustomerRow> {
    let customers = book.customer_list.iter().filter_map(|id| book.customers.peek(id));
    let row = |customer: &std::sync::Arc<ledger::Customer>| CustomerRow {
        no: rows::number(customer.no),
        id: rows::id(customer.id.0),
        client: rows::id(customer.client.0),
        number: customer.number,
        external_id: rows::external_id(&customer.notes),
        row: pack(&**customer),
    };
    customers.map(row).collect()
}

pub(super) fn accounts(book: &Book) -> Vec<AccountRow> {
    let row = |slot: &ledger::Slot| {
        let account = &*slot.account;
        AccountRow {
            no: rows::account(account.no),
            id: rows::id(account.id.0),
            client: rows::id(account.client.0),
            owner: rows::owner(account.owner),
            purpose: account.purpose as i16,
            is_primary: account.primary,
            external_id: rows::external_id(&account.details().notes),
            row: pack(account),
        }
    };
    book.slots.iter().map(row).collect()
}

pub(super) fn api_keys(book: &Book) -> Vec<ApiKeyRow> {
    let keys = book.api_key_list.iter().filter_map(|id| book.api_keys.peek(id));
    let row = |key: &std::sync::Arc<ledger::ApiKey>| ApiKeyRow {
        no: rows::number(key.no),
        id: rows::id(key.id.0),
        client: key.client.map(|client| rows::id(client.0)),
        row: pack(&**key),
    };
    keys.map(row).collect()
}

/// The assets of a book. What is built in has rows once the store's first command says what RLUSD's places are.
pub(super) fn assets(book: &Book, initialised: bool) -> Vec<AssetRow> {
    let first = AssetNo::registered(true, 0);
    let assets = book.assets_by_no.values();
    let kept = assets.filter(|asset| book.no != BookNo::OPERATOR || initialised || asset.no >= first);
    let row = |asset: &std::sync::Arc<ledger::Asset>| AssetRow {
        no: rows::asset(asset.no),
        name: asset.name.as_str().to_owned(),
        row: pack(&**asset),
    };
    kept.map(row).collect()
}

pub(super) fn balances(book: &Book, trails: &Trails) -> Vec<BalanceRow> {
    let row = |slot: &ledger::Slot| {
        let no = slot.account.no;
        let account = rows::account(no);
        let of = move |(asset, balance): (AssetNo, ledger::Balance)| BalanceRow {
            account,
            asset: rows::asset(asset),
            last: rows::position(balance.last),
            last_at: balance.last_at.0,
            debits_posted: balance.counters.debits_posted.into(),
            debits_pending: balance.counters.debits_pending.into(),
            credits_posted: balance.counters.credits_posted.into(),
            credits_pending: balance.counters.credits_pending.into(),
            tail: trails.tail(no, asset),
        };
        slot.balances.iter().map(of).collect::<Vec<_>>()
    };
    book.slots.iter().flat_map(row).collect()
}
