//! Loading the rows that decisions need. What is in the state already is newer than the database and stays.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use ledger::{
    Account, AccountNo, Action, ApiKey, ApiKeyId, Asset, AssetName, Book, Client, ClientId, Command,
    Customer, CustomerId, Hold, Key, Owner, Posted, Purpose, Record, RowKey, TransactionId,
};
use tokio::try_join;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::error::Failure;
use crate::facts::Facts;
use crate::rows::{self, Mention, balance_columns, get_balance, get_position, key_hash, unpack};
use crate::session::Transaction;
use crate::tail::Tail;
use crate::work::{Tails, Work};

/// Rows to be loaded, by kind, each once.
#[derive(Default)]
pub(crate) struct Wanted {
    seen: HashSet<RowKey>,
    keys: Vec<(Option<ClientId>, Key)>,
    transactions: Vec<TransactionId>,
    accounts: Vec<Uuid>,
    balances: Vec<i32>,
    clients: Vec<ClientId>,
    customers: Vec<CustomerId>,
    numbers: Vec<i64>,
    primaries: Vec<(Owner, Purpose)>,
    api_keys: Vec<ApiKeyId>,
    assets: Vec<AssetName>,
    holds: Vec<TransactionId>,
    due: Vec<AccountNo>,
}

impl Wanted {
    /// What commands need for sure, told from themselves.
    pub(crate) fn of(commands: &[&Command], book: &Book) -> Self {
        let mut wanted = Self::default();
        for command in commands {
            wanted.add(book, RowKey::Key(command.client, command.key));
            for id in command.transaction_ids() {
                wanted.add(book, RowKey::Transaction(id));
            }
            wanted.add_action(book, &command.action);
        }
        wanted
    }

    /// What a decision asked for.
    pub(crate) fn asked(rows: Vec<RowKey>, book: &Book) -> Self {
        let mut wanted = Self::default();
        rows.into_iter().for_each(|row| wanted.add(book, row));
        wanted
    }

    fn add_action(&mut self, book: &Book, action: &Action) {
        let mut add = |row| self.add(book, row);
        match action {
            Action::Post(transaction) => add_postings(&mut add, transaction),
            Action::PostBatch(transactions) => {
                transactions.iter().for_each(|one| add_postings(&mut add, one))
            }
            Action::Capture(capture) => add(RowKey::Hold(capture.hold)),
            Action::Release(release) => add(RowKey::Hold(release.hold)),
            Action::Expire { hold, .. } => add(RowKey::Hold(*hold)),
            Action::Reverse(reverse) => add(RowKey::Transaction(reverse.transaction)),
            Action::CreateCustomer(new) => {
                add(RowKey::Customer(new.id));
                add(RowKey::Client(new.client));
                new.number
                    .into_iter()
                    .for_each(|number| add(RowKey::Number(number)));
            }
            Action::CreateAccount(new) => {
                add(RowKey::Account(new.id));
                add(match new.owner {
                    Owner::Client(id) => RowKey::Client(id),
                    Owner::Customer(id) => RowKey::Customer(id),
                });
                add(RowKey::Primary(new.owner, new.purpose));
            }
            Action::UpdateAccount(change) => add(RowKey::Account(change.id)),
            Action::UpdateCustomer(change) => add(RowKey::Customer(change.id)),
            // The others are seldom: what they need is loaded when they ask.
            _ => {}
        }
    }

    fn add(&mut self, book: &Book, row: RowKey) {
        if is_known(book, &row) || !self.seen.insert(row) {
            return;
        }
        match row {
            RowKey::Client(id) => self.clients.push(id),
            RowKey::Customer(id) => self.customers.push(id),
            RowKey::Number(number) => self.numbers.push(number),
            RowKey::Account(id) => self.accounts.push(rows::id(id.0)),
            RowKey::Primary(owner, purpose) => self.primaries.push((owner, purpose)),
            RowKey::Balance(no, _) | RowKey::Balances(no) => {
                // All of an account are loaded at once.
                if !self.balances.contains(&rows::account(no)) {
                    self.balances.push(rows::account(no));
                }
            }
            RowKey::ApiKey(id) => self.api_keys.push(id),
            RowKey::Asset(name) => self.assets.push(name),
            RowKey::Key(client, key) => self.keys.push((client, key)),
            RowKey::Transaction(id) => self.transactions.push(id),
            RowKey::Hold(id) => self.holds.push(id),
            RowKey::Due(no) => self.due.push(no),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }
}

fn add_postings(add: &mut impl FnMut(RowKey), transaction: &ledger::Transaction) {
    for posting in &transaction.postings {
        add(RowKey::Account(posting.from));
        add(RowKey::Account(posting.to));
        add(RowKey::Asset(posting.asset));
    }
}

/// Whether the row, or that there is none, is in the state.
fn is_known(book: &Book, row: &RowKey) -> bool {
    match row {
        RowKey::Client(id) => book.clients.get(id).is_ok(),
        RowKey::Customer(id) => book.customers.get(id).is_ok(),
        RowKey::Number(number) => book.numbers.get(number).is_ok(),
        RowKey::Account(id) => book.slot(*id).is_ok(),
        RowKey::Primary(owner, purpose) => book.primaries.get(&(*owner, *purpose)).is_ok(),
        RowKey::Balance(no, asset) => book.balance(*no, *asset).is_ok(),
        RowKey::Balances(no) => book.balances(*no).is_ok(),
        RowKey::ApiKey(id) => book.api_keys.get(id).is_ok(),
        RowKey::Asset(name) => book.assets.get(name).is_ok(),
        RowKey::Key(client, key) => book.keys.get(&(*client, *key)).is_ok(),
        RowKey::Transaction(id) => book.transactions.get(id).is_ok(),
        RowKey::Hold(id) => book.holds.get(id).is_ok(),
        RowKey::Due(no) => book.due_holds(*no, ledger::Micros::MIN).is_ok(),
    }
}

/// Rows as they were found, to be put into the state together.
pub(crate) struct Loaded {
    /// Records of keys and ids.
    pub(crate) found: Vec<Row>,
    accounts: Vec<Row>,
    balances: Vec<Row>,
    primaries: Vec<Row>,
    clients: Vec<Row>,
    customers: Vec<Row>,
    api_keys: Vec<Row>,
    assets: Vec<Row>,
    holds: Vec<Row>,
    due: Vec<Row>,
}

// Each key is looked up on its own (`lateral`, and a limit that keeps the planner from joining otherwise): where a table has
// just begun to grow, the planner takes it for small, and would read all of a book and compare.
const FOUND: &str = "select c.position, c.record from unnest($2::uuid[]) k (key) cross join lateral \
       (select position, record from saldo.commands where book = $1 and key = k.key limit 1) c \
     union all select c.position, c.record from unnest($3::uuid[]) k (id) cross join lateral \
       (select position, record from saldo.commands where book = $1 and id = k.id limit 1) c \
     union all select c.position, c.record from unnest($4::uuid[]) k (hash) cross join lateral \
       (select position from saldo.mentions where book = $1 and hash = k.hash limit 1) m cross join lateral \
       (select position, record from saldo.commands where book = $1 and position = m.position limit 1) c";

/// The columns of a balance with its tail.
macro_rules! tail_columns {
    () => {
        concat!(balance_columns!(), ", b.tail")
    };
}

// An account comes once for each of its balances, or once without.
const ACCOUNTS: &str = concat!(
    "select ",
    tail_columns!(),
    ", a.row from unnest($2::uuid[]) k (id) cross join lateral \
       (select no, row from saldo.accounts where book = $1 and id = k.id limit 1) a left join lateral \
       (select * from saldo.balances where book = $1 and account = a.no offset 0) b on true"
);

const BALANCES: &str = concat!(
    "select ",
    tail_columns!(),
    " from unnest($2::int4[]) k (no) cross join lateral \
       (select * from saldo.balances where book = $1 and account = k.no offset 0) b"
);

/// Asks unless there is nothing to ask for.
macro_rules! ask_if {
    ($any:expr, $tx:expr, $sql:expr, $($param:expr),* $(,)?) => {
        async { if $any { $tx.query($sql, &[$(&$param),*]).await } else { Ok(Vec::new()) } }
    };
}

fn uuids(ids: impl Iterator<Item = u128>) -> Vec<Uuid> {
    ids.map(rows::id).collect()
}

/// Asks for all that is wanted, in one go; of holds that are due, for those up to `latest`.
pub(crate) async fn fetch(
    tx: &Transaction,
    book: i32,
    wanted: &Wanted,
    latest: i64,
) -> Result<Loaded, Failure> {
    let (found, mut loaded) = try_join!(
        fetch_records(tx, book, wanted),
        fetch_rows(tx, book, wanted, latest)
    )?;
    loaded.found = found;
    Ok(loaded)
}

/// Asks for what is wanted but the records of keys and ids.
pub(crate) async fn fetch_rows(
    tx: &Transaction,
    book: i32,
    wanted: &Wanted,
    latest: i64,
) -> Result<Loaded, Failure> {
    let (money, register) = try_join!(
        fetch_money(tx, book, wanted, latest),
        fetch_register(tx, book, wanted)
    )?;
    let [accounts, balances, holds, due] = money;
    let [primaries, clients, customers, api_keys, assets] = register;
    Ok(Loaded {
        found: Vec::new(),
        accounts,
        balances,
        primaries,
        clients,
        customers,
        api_keys,
        assets,
        holds,
        due,
    })
}

/// Asks for the records of the keys and ids that are wanted. A record never changes, so what is found may be asked for before
/// the book's head is locked.
pub(crate) async fn fetch_records(tx: &Transaction, book: i32, wanted: &Wanted) -> Result<Vec<Row>, Failure> {
    let hashes: Vec<_> = wanted
        .keys
        .iter()
        .map(|(client, key)| key_hash(*client, *key))
        .collect();
    let own_ids = wanted.keys.iter().filter_map(|(_, key)| match key {
        Key::Id(id) => Some(rows::id(id.0)),
        _ => None,
    });
    let ids: BTreeSet<_> = wanted
        .transactions
        .iter()
        .map(|id| rows::id(id.0))
        .chain(own_ids)
        .collect();
    let ids: Vec<_> = ids.into_iter().collect();
    let mentions: Vec<_> = wanted
        .transactions
        .iter()
        .map(|id| Mention::Id(*id).hash())
        .collect();
    ask_if!(
        !hashes.is_empty() || !ids.is_empty(),
        tx,
        FOUND,
        book,
        hashes,
        ids,
        mentions
    )
    .await
}

async fn fetch_money(
    tx: &Transaction,
    book: i32,
    wanted: &Wanted,
    latest: i64,
) -> Result<[Vec<Row>; 4], Failure> {
    let holds = uuids(wanted.holds.iter().map(|id| id.0));
    let due: Vec<_> = wanted.due.iter().map(|no| rows::account(*no)).collect();
    let (accounts, balances, holds, due) = try_join!(
        ask_if!(!wanted.accounts.is_empty(), tx, ACCOUNTS, book, wanted.accounts),
        ask_if!(!wanted.balances.is_empty(), tx, BALANCES, book, wanted.balances),
        ask_if!(
            !holds.is_empty(),
            tx,
            "select h.row from unnest($2::uuid[]) k (id) cross join lateral \
               (select row from saldo.holds where book = $1 and id = k.id limit 1) h",
            book,
            holds,
        ),
        ask_if!(
            !due.is_empty(),
            tx,
            "select h.row from saldo.hold_accounts s join saldo.holds h on h.book = s.book and h.id = s.id \
             where s.book = $1 and s.account = any($2) and s.due <= $3",
            book,
            due,
            latest,
        ),
    )?;
    Ok([accounts, balances, holds, due])
}

async fn fetch_register(tx: &Transaction, book: i32, wanted: &Wanted) -> Result<[Vec<Row>; 5], Failure> {
    let owners: Vec<_> = wanted
        .primaries
        .iter()
        .map(|(owner, _)| rows::owner(*owner))
        .collect();
    let clients = uuids(wanted.clients.iter().map(|id| id.0));
    let customers = uuids(wanted.customers.iter().map(|id| id.0));
    let api_keys = uuids(wanted.api_keys.iter().map(|id| id.0));
    let assets: Vec<_> = wanted.assets.iter().map(AssetName::as_str).collect();
    let (primaries, clients, customers, api_keys, assets) = try_join!(
        ask_if!(
            !owners.is_empty(),
            tx,
            "select row from saldo.accounts where book = $1 and owner = any($2) and is_primary",
            book,
            owners,
        ),
        ask_if!(
            !clients.is_empty(),
            tx,
            "select row from saldo.clients where book = $1 and id = any($2)",
            book,
            clients,
        ),
        ask_if!(
            !customers.is_empty() || !wanted.numbers.is_empty(),
            tx,
            "select row from saldo.customers where book = $1 and id = any($2) \
             union all select row from saldo.customers where book = $1 and number = any($3)",
            book,
            customers,
            wanted.numbers,
        ),
        ask_if!(
            !api_keys.is_empty(),
            tx,
            "select row from saldo.api_keys where book = $1 and id = any($2)",
            book,
            api_keys,
        ),
        ask_if!(
            !assets.is_empty(),
            tx,
            "select row from saldo.assets where book = $1 and name = any($2)",
            book,
            assets,
        ),
    )?;
    Ok([primaries, clients, customers, api_keys, assets])
}

/// Puts what was found, and that the rest of what was wanted is absent. `since` are records that may have come after those
/// that were found.
pub(crate) async fn put(
    tx: &Transaction,
    facts: &Facts,
    work: &mut Work,
    wanted: Wanted,
    loaded: Loaded,
    since: &[Arc<Record>],
) -> Result<(), Failure> {
    let mut records = decode_found(tx, facts, &loaded.found).await?;
    records.extend_from_slice(since);
    let posted = with_reversals(tx, facts, work, &wanted.transactions, &records).await?;
    let no = work.book;
    let accounts = accounts_of(&loaded.accounts)?;
    facts.keep_accounts(no, &accounts);
    let operator = work.state.book_mut(ledger::BookNo::OPERATOR);
    for name in &wanted.assets {
        if operator.assets.get(name).is_err() {
            operator.assets.put(*name, None);
        }
    }
    let book = work.state.book_mut(no);
    put_records(book, &wanted, &records, posted);
    put_register(book, &wanted, &loaded)?;
    put_accounts(book, &wanted, accounts, &loaded)?;
    put_balances(book, &mut work.tails, &wanted, &loaded)?;
    put_holds(book, &wanted, &loaded)
}

async fn decode_found(tx: &Transaction, facts: &Facts, found: &[Row]) -> Result<Vec<Arc<Record>>, Failure> {
    let mut seen = HashSet::new();
    let once: Vec<&Row> = found
        .iter()
        .filter(|row| seen.insert(get_position(row, 0)))
        .collect();
    facts
        .decode(tx, once.iter().map(|row| row.get::<_, &[u8]>(1)))
        .await
}

/// The wanted transactions that there are, each with what was reversed of it.
async fn with_reversals(
    tx: &Transaction,
    facts: &Facts,
    work: &Work,
    wanted: &[TransactionId],
    records: &[Arc<Record>],
) -> Result<HashMap<TransactionId, Posted>, Failure> {
    let wanted: HashSet<_> = wanted.iter().collect();
    let mut all = HashMap::new();
    for record in records {
        for (nth, booked) in record.booked().iter().enumerate() {
            if wanted.contains(&booked.id) {
                all.extend(ledger::posted(record, nth).map(|posted| (booked.id, posted)));
            }
        }
    }
    reverse(tx, facts, rows::book(work.book), &mut all).await?;
    Ok(all)
}

/// Takes transactions past the records that reversed some of them.
pub(crate) async fn reverse(
    tx: &Transaction,
    facts: &Facts,
    book: i32,
    all: &mut HashMap<TransactionId, Posted>,
) -> Result<(), Failure> {
    if all.is_empty() {
        return Ok(());
    }
    let hashes: Vec<_> = all.keys().map(|id| Mention::Reversal(*id).hash()).collect();
    let sql = "select c.position, c.record from unnest($2::uuid[]) k (hash) cross join lateral \
                 (select position from saldo.mentions where book = $1 and hash = k.hash offset 0) m cross join lateral \
                 (select position, record from saldo.commands where book = $1 and position = m.position limit 1) c";
    let found = tx.query(sql, &[&book, &hashes]).await?;
    let mut reversals = decode_found(tx, facts, &found).await?;
    reversals.sort_unstable_by_key(|record| record.position);
    for record in &reversals {
        let reversed = match &record.action {
            Action::Reverse(reverse) => all.get_mut(&reverse.transaction),
            _ => None,
        };
        if let Some(posted) = reversed {
            ledger::posted_after(posted, record);
        }
    }
    Ok(())
}

fn put_records(
    book: &mut Book,
    wanted: &Wanted,
    records: &[Arc<Record>],
    mut posted: HashMap<TransactionId, Posted>,
) {
    let by_key: HashMap<_, _> = records
        .iter()
        .map(|record| ((record.client, record.key), record))
        .collect();
    for key in &wanted.keys {
        book.keys
            .put(*key, by_key.get(key).map(|record| Arc::clone(record)));
    }
    for id in &wanted.transactions {
        book.transactions.put(*id, posted.remove(id).map(Arc::new));
    }
}

fn put_register(book: &mut Book, wanted: &Wanted, loaded: &Loaded) -> Result<(), Failure> {
    wanted.clients.iter().for_each(|id| book.clients.put(*id, None));
    for row in &loaded.clients {
        let client: Client = unpack(row.get(0))?;
        book.clients.put(client.id, Some(Arc::new(client)));
    }
    wanted
        .customers
        .iter()
        .for_each(|id| book.customers.put(*id, None));
    wanted
        .numbers
        .iter()
        .for_each(|number| book.numbers.put(*number, None));
    for row in &loaded.customers {
        let customer: Customer = unpack(row.get(0))?;
        book.numbers.put(customer.number, Some(customer.id));
        if book.customers.peek(&customer.id).is_none() {
            book.customers.put(customer.id, Some(Arc::new(customer)));
        }
    }
    wanted.api_keys.iter().for_each(|id| book.api_keys.put(*id, None));
    for row in &loaded.api_keys {
        let key: ApiKey = unpack(row.get(0))?;
        book.api_keys.put(key.id, Some(Arc::new(key)));
    }
    for name in &wanted.assets {
        // Those of the operator's book were all put before.
        if book.assets.get(name).is_err() {
            book.assets.put(*name, None);
        }
    }
    for row in &loaded.assets {
        let asset: Asset = unpack(row.get(0))?;
        book.put_asset(asset);
    }
    Ok(())
}

/// The column behind those of a balance.
const ACCOUNT: usize = 9;

/// Accounts, each once for each of its balances.
fn accounts_of(found: &[Row]) -> Result<Vec<Account>, Failure> {
    found.iter().map(|row| unpack(row.get(ACCOUNT))).collect()
}

fn put_accounts(
    book: &mut Book,
    wanted: &Wanted,
    accounts: Vec<Account>,
    loaded: &Loaded,
) -> Result<(), Failure> {
    accounts
        .into_iter()
        .for_each(|account| put_account(book, account));
    for id in &wanted.accounts {
        let id = ledger::AccountId(id.as_u128());
        if book.slot(id).is_err() {
            book.slots.put_absent(id);
        }
    }
    for (owner, purpose) in &wanted.primaries {
        book.primaries.put((*owner, *purpose), None);
    }
    for row in &loaded.primaries {
        let account: Account = unpack(row.get(0))?;
        let place = (account.owner, account.purpose);
        if wanted.primaries.contains(&place) {
            book.primaries.put(place, Some(account.no));
        }
        put_account(book, account);
    }
    Ok(())
}

fn put_balances(book: &mut Book, tails: &mut Tails, wanted: &Wanted, loaded: &Loaded) -> Result<(), Failure> {
    let of_accounts = wanted.accounts.iter().filter_map(|id| {
        let id = ledger::AccountId(id.as_u128());
        book.slot(id).ok()?.map(|slot| slot.account.no)
    });
    let by_number = wanted.balances.iter().map(|no| AccountNo(no.cast_unsigned()));
    let mut missing: HashSet<_> = of_accounts.chain(by_number).collect();
    missing.retain(|no| book.balances(*no).is_err());
    let found = loaded.accounts.iter().chain(&loaded.balances);
    for row in found.filter(|row| row.get::<_, Option<i32>>(0).is_some()) {
        let (no, asset, balance) = get_balance(row)?;
        if missing.contains(&no)
            && let Some(slot) = book.slots.get_mut(no)
        {
            slot.balances.put(asset, balance);
            tails.insert((no, asset), Tail::from_bytes(row.get(ACCOUNT - 1))?);
        }
    }
    missing.iter().for_each(|no| book.mark_balances_loaded(*no));
    Ok(())
}

fn put_account(book: &mut Book, account: Account) {
    // One that is here may have changed.
    if !book.slots.contains(account.no) {
        book.put_account(Arc::new(account));
    }
}

fn put_holds(book: &mut Book, wanted: &Wanted, loaded: &Loaded) -> Result<(), Failure> {
    for row in loaded.holds.iter().chain(&loaded.due) {
        let hold: Hold = unpack(row.get(0))?;
        if book.holds.get(&hold.id).is_err() {
            book.put_hold(hold);
        }
    }
    for id in &wanted.holds {
        if book.holds.get(id).is_err() {
            book.holds.put(*id, None);
        }
    }
    wanted.due.iter().for_each(|no| book.mark_due_loaded(*no));
    Ok(())
}
