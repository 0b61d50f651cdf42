//! How PostgreSQL runs every statement of the store on large tables. A book is filled with rows that are shaped like real ones;
//! then all kinds of commands and reads run on it, while `auto_explain` writes each statement's plan into the log. Plans are
//! generic ones, as prepared statements get them.
//!
//! `SALDO_TEST_ENTRIES` says how large; `SALDO_TEST_PLANS` names a file, from the workspace's folder, that the plans are written to.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ledger::{
    AccountId, Action, BookNo, ClientId, Command, CustomerId, HoldStatus, Lookup, Micros, Owner, Position,
    Purpose, Subject, TransactionId,
};
use store::suite::{env, stream};
use store::{
    AccountFilter, AsOf, CustomerRef, HoldFilter, Page, Purposes, Store, TextKey, TransactionFilter, Viewer,
};
use store_postgres::{PostgresStore, Url};
use test_postgres::{Cluster, Database};

use crate::suite::{make_store, options};

/// The book that is filled: the first root client's.
const BOOK: BookNo = BookNo(1);
/// How many commands of all kinds there are before it is filled, and how many after.
const COMMANDS: usize = 1_200;
/// How many of them share a batch at most.
const BATCH: usize = 10;
/// Tables that grow with what is posted, or with the number of customers.
const LARGE: [&str; 9] = [
    "commands",
    "mentions",
    "entries",
    "deviations",
    "balances",
    "customers",
    "accounts",
    "holds",
    "hold_accounts",
];
/// No statement touches more pages of 8 KiB, however large the tables: it looks up what some commands need, or a page of a list.
const PAGES: u64 = 600;

/// The MD5 of "ext77": what one customer and one account of those below are found by.
const EXT77: Lookup = Lookup(0x203b76861083d89db9b62ba528c49f2b_u128.to_be_bytes());

/// Rows in the shape of real ones, :n commands with two entries each, for an account in fifty; then the head is moved.
const FILL: &str = "
    create temporary table h as select position, recorded_at, accounts - 1 accounts,
        customers - 1 customers, clients - 1 clients, (select record from saldo.commands where book = 1 and id is not null limit 1) record,
        (select asset from saldo.balances where book = 1 limit 1) asset from saldo.heads where book = 1;
    insert into saldo.commands select 1, position + i, recorded_at + i * 10, case when i % 3 = 0 then md5('k' || i)::uuid end,
        md5('t' || i)::uuid, record from h, generate_series(1, :n) i;
    insert into saldo.mentions select 1, md5('m' || i / 3)::uuid, position + i * 4 from h, generate_series(1, :n / 4) i;
    insert into saldo.accounts select 1, accounts + i, md5('a' || i)::uuid, md5('c' || i % 50)::uuid, md5('o' || i / 2)::uuid,
        0, true, md5('ext' || i)::uuid, (select row from saldo.accounts where book = 1 limit 1) from h, generate_series(1, :n / 50) i;
    insert into saldo.customers select 1, customers + i, md5('o' || i)::uuid, md5('c' || i % 50)::uuid, -1000000 - i,
        md5('ext' || i)::uuid, (select row from saldo.customers where book = 1 limit 1) from h, generate_series(1, :n / 100) i;
    insert into saldo.clients select 1, clients + i, md5('c' || i)::uuid, null,
        (select row from saldo.clients where book = 1 limit 1) from h, generate_series(1, 50) i;
    insert into saldo.balances select 1, accounts + i, asset, position + i, recorded_at + i, 1000, 0, 1000, 0,
        decode(repeat('05', 16), 'hex') from h, generate_series(1, :n / 50) i;
    insert into saldo.entries select 1, accounts + i, asset, position + c * (:n / 4) + i, decode(repeat('05', 32), 'hex')
        from h, generate_series(1, :n / 50) i, generate_series(0, 2) c;
    insert into saldo.deviations select 1, accounts + i % (:n / 50) + 1, asset, position + i, 0, recorded_at + i, i, 5
        from h, generate_series(1, :n / 50) i;
    insert into saldo.holds select 1, position + i * 20, 0, md5('t' || i * 20)::uuid, case when i % 100 = 0 then 0 else 1 + i % 3 end,
        case when i % 200 = 0 then recorded_at + i end, (select row from saldo.holds where book = 1 limit 1)
        from h, generate_series(1, :n / 20) i;
    insert into saldo.hold_accounts select 1, accounts + (i + s * 7) % (:n / 50) + 1, position + i * 20, 0, md5('t' || i * 20)::uuid,
        case when i % 100 = 0 then 0 else 1 + i % 3 end, case when i % 200 = 0 then recorded_at + i end
        from h, generate_series(1, :n / 20) i, generate_series(0, 1) s;
    insert into saldo.vault select md5('o' || i)::uuid, decode(repeat('05', 32), 'hex') from generate_series(1, :n / 50) i;
    update saldo.heads set position = position + :n, recorded_at = recorded_at + :n * 10, accounts = accounts + :n / 50,
        customers = customers + :n / 100, clients = clients + 50 where book = 1;
    analyze";

/// A statement's plan where it touched the most pages.
struct Plan {
    text: String,
    pages: u64,
    runs: usize,
}

async fn open(database: &Database) -> PostgresStore {
    let url = Url::parse(&database.url()).expect("a URL");
    PostgresStore::open(&url, options())
        .await
        .expect("the store opens")
}

async fn submit(cluster: &Cluster, store: &PostgresStore, commands: &[Command]) {
    for batch in commands.chunks(BATCH) {
        for outcome in store.submit(batch.to_vec()).await {
            let errors = || {
                cluster
                    .log()
                    .lines()
                    .filter(|line| line.contains("ERROR: "))
                    .collect::<Vec<_>>()
                    .join("\n")
            };
            assert!(outcome.is_ok(), "{outcome:?}: {}", errors());
        }
    }
}

/// What commands on the book were about.
#[derive(Default)]
struct Known {
    clients: Vec<ClientId>,
    customers: Vec<CustomerId>,
    accounts: Vec<AccountId>,
    transactions: Vec<TransactionId>,
}

fn known(commands: &[Command]) -> Known {
    let mut known = Known::default();
    for command in commands.iter().filter(|command| command.book == BOOK) {
        known.transactions.extend(command.transaction_ids());
        match &command.action {
            Action::CreateClient(new) => known.clients.push(new.id),
            Action::CreateCustomer(new) => known.customers.push(new.id),
            Action::CreateAccount(new) => known.accounts.push(new.id),
            _ => {}
        }
    }
    known
}

/// Reads all that can be read, some of each.
async fn read(store: &PostgresStore, known: &Known, middle: Micros) {
    store.position(BOOK).await.expect("it is read");
    store.digest(BOOK).await.expect("it is read");
    store.due_holds(Micros::MAX, 100).await.expect("they are read");
    store
        .records(BOOK, Position(100), 50)
        .await
        .expect("they are read");
    let clients = known.clients.iter().take(2).copied().map(Some);
    for client in clients.chain([None]) {
        let viewer = Viewer { book: BOOK, client };
        read_register(store, viewer, known).await;
        read_accounts(store, viewer, known, middle).await;
        read_history(store, viewer, known, middle).await;
    }
    let operator = Viewer {
        book: BookNo::OPERATOR,
        client: None,
    };
    read_register(store, operator, known).await;
    read_vault(store, known).await;
}

const fn page(limit: usize) -> Page {
    Page { limit, after: None }
}

async fn read_vault(store: &PostgresStore, known: &Known) {
    let some: Vec<_> = known.customers.iter().take(3).map(|id| Subject(id.0)).collect();
    let keys = some.iter().map(|subject| (*subject, TextKey([5; 32])));
    store.keep_text_keys(keys.collect()).await.expect("they are kept");
    store.text_keys(some.clone()).await.expect("they are read");
    store.all_text_keys(None, 20).await.expect("they are read");
    store
        .all_text_keys(some.first().copied(), 20)
        .await
        .expect("they are read");
    let accounts = known.accounts.iter().take(3).copied();
    store
        .account_owners(BOOK, accounts.collect())
        .await
        .expect("they are read");
}

async fn read_register(store: &PostgresStore, viewer: Viewer, known: &Known) {
    store.api_keys(viewer, page(20)).await.expect("they are read");
    store.assets(viewer).await.expect("they are read");
    store.rates(viewer, page(20)).await.expect("they are read");
    store.client_accounts(viewer).await.expect("they are read");
    for external_id in [None, Some(EXT77)] {
        store
            .clients(viewer, external_id, page(20))
            .await
            .expect("they are read");
        store
            .customers(viewer, external_id, page(20))
            .await
            .expect("they are read");
    }
    for client in known.clients.iter().take(2) {
        store.client(viewer, *client).await.expect("it is read");
        store.book_of(*client).await.expect("it is read");
    }
    store
        .api_key(viewer.book, ledger::ApiKeyId(5))
        .await
        .expect("it is read");
    let id = known.customers.first().copied().map(CustomerRef::Id);
    for customer in id.into_iter().chain([CustomerRef::Number(7)]) {
        store.customer(viewer, customer).await.expect("it is read");
    }
}

async fn read_accounts(store: &PostgresStore, viewer: Viewer, known: &Known, middle: Micros) {
    let (usd, purposes) = (
        ledger::AssetName::parse("USD").expect("a currency"),
        [Purpose::Main, Purpose::Wallet, Purpose::Internal],
    );
    let as_of = |recorded_at, effective_at, position| AsOf {
        recorded_at,
        effective_at,
        position,
    };
    let thens = [
        AsOf::NOW,
        as_of(Some(middle), None, None),
        as_of(None, Some(middle), None),
        as_of(Some(middle), Some(middle), None),
        as_of(None, None, Some(Position(500))),
    ];
    for account in known.accounts.iter().take(6) {
        for then in thens {
            store.account(viewer, *account, then).await.expect("it is read");
        }
    }
    let customer = known.customers.first().copied();
    let owner = customer.map(Owner::Customer);
    for (owner, external_id) in [(None, None), (owner, None), (None, Some(EXT77))] {
        let filter = AccountFilter { owner, external_id };
        store
            .accounts(viewer, filter, page(20))
            .await
            .expect("they are read");
    }
    for customer in customer
        .into_iter()
        .chain(known.customers.iter().skip(1).take(2).copied())
    {
        let purposes = Purposes::of(&purposes);
        let by = CustomerRef::Id(customer);
        store
            .customer_accounts(viewer, by, purposes)
            .await
            .expect("they are read");
        for then in thens {
            store
                .valuation(viewer, customer, purposes, usd, then)
                .await
                .expect("it is read");
        }
    }
    let by = CustomerRef::Number(7);
    store
        .customer_accounts(viewer, by, Purposes::of(&purposes))
        .await
        .expect("they are read");
}

async fn read_history(store: &PostgresStore, viewer: Viewer, known: &Known, middle: Micros) {
    let accounts = || known.accounts.iter().take(6).copied();
    for account in accounts() {
        for (from, to) in [(None, None), (Some(middle), None), (None, Some(middle))] {
            store
                .entries(viewer, account, from, to, page(50))
                .await
                .expect("they are read");
        }
    }
    for id in known.transactions.iter().step_by(40) {
        store.transaction(viewer, *id).await.expect("it is read");
    }
    let filter = |reference: Option<u8>, external_id: Option<u8>, account, from| TransactionFilter {
        reference: reference.map(|byte| Lookup([byte; 16])),
        external_id: external_id.map(|byte| Lookup([byte; 16])),
        account,
        from,
        to: None,
    };
    let mut filters = vec![
        filter(Some(1), None, None, None),
        filter(None, Some(1), None, None),
    ];
    if viewer.client.is_none() {
        // A page of what a part of the book did is as far away as the others did since.
        filters.extend([
            filter(None, None, None, None),
            filter(None, None, None, Some(middle)),
        ]);
    }
    filters.extend(accounts().map(|account| filter(None, None, Some(account), None)));
    for filter in filters {
        store
            .transactions(viewer, filter, page(50))
            .await
            .expect("they are read");
    }
    let statuses = [None, Some(HoldStatus::Held), Some(HoldStatus::Captured)];
    let of = if viewer.client.is_none() {
        vec![None]
    } else {
        Vec::new()
    };
    for account in of.into_iter().chain(accounts().map(Some)) {
        for status in statuses {
            let filter = HoldFilter {
                id: None,
                account,
                status,
            };
            store
                .holds(viewer, filter, page(20))
                .await
                .expect("they are read");
        }
    }
    let id = known.transactions.first().copied();
    let filter = HoldFilter {
        id,
        account: None,
        status: None,
    };
    store
        .holds(viewer, filter, page(20))
        .await
        .expect("they are read");
}

/// The plans in a log, by their statements.
fn plans(log: &str) -> BTreeMap<String, Plan> {
    let mut all: BTreeMap<String, Plan> = BTreeMap::new();
    let mut lines = log.lines().peekable();
    while let Some(line) = lines.next() {
        if !line.ends_with("  plan:") {
            continue;
        }
        let mut entry = Vec::new();
        while let Some(line) = lines.next_if(|line| line.starts_with('\t')) {
            entry.push(line.trim_start_matches('\t'));
        }
        let Some(statement) = entry.first().and_then(|line| line.strip_prefix("Query Text: ")) else {
            continue;
        };
        let pages = entry
            .iter()
            .find(|line| line.trim_start().starts_with("Buffers: shared "));
        let pages = pages.map_or(0, |line| pages_of(line));
        let words: Vec<_> = statement.split_whitespace().collect();
        let plan = all.entry(words.join(" ")).or_insert(Plan {
            text: String::new(),
            pages: 0,
            runs: 0,
        });
        plan.runs += 1;
        if plan.text.is_empty() || pages > plan.pages {
            plan.pages = pages;
            plan.text = entry[1..].join("\n");
        }
    }
    all
}

/// Pages found and read, in a line like `Buffers: shared hit=12 read=3 dirtied=1`.
fn pages_of(line: &str) -> u64 {
    let count = |word: &str| {
        let (name, count) = word.split_once('=')?;
        matches!(name, "hit" | "read").then(|| count.parse::<u64>().ok())?
    };
    let shared = line.split(", ").next().unwrap_or_default();
    shared.split_whitespace().filter_map(count).sum()
}

fn written(plans: &BTreeMap<String, Plan>, entries: u64) -> String {
    let mut out = format!(
        "# How PostgreSQL runs every statement\n\nGeneric plans, as prepared statements get them, on a book with {entries} entries; of each statement \
         the run that touched the most pages (8 KiB) of all that were seen. Made by\n\n```\nSALDO_TEST_ENTRIES={entries} \
         SALDO_TEST_PLANS=docs/plans.md cargo test --workspace --test postgres plans\n```\n\nThe same test, on fewer entries, is run with \
         all others: no statement reads one of the large tables from end to end, or more than {PAGES} pages.\n"
    );
    for (statement, plan) in plans {
        let _ = write!(
            out,
            "\n## {}\n\nSeen {} times, at most {} pages.\n\n```sql\n{statement}\n```\n\n```\n{}\n```\n",
            statement.chars().take(80).collect::<String>().trim_end(),
            plan.runs,
            plan.pages,
            plan.text
        );
    }
    out
}

/// What is wrong with a plan.
fn complaint(statement: &str, plan: &Plan) -> Option<String> {
    let scans = |table: &&&str| {
        let scan = format!("Seq Scan on {table} ");
        plan.text.contains(&scan)
    };
    let table = LARGE.iter().find(scans);
    let wrong = match table {
        Some(table) => format!("reads all of {table}"),
        None if plan.pages > PAGES => format!("touches {} pages", plan.pages),
        None => return None,
    };
    Some(format!("{wrong}: {statement}\n{}\n", plan.text))
}

#[test]
fn plans_of_all_statements_use_indexes() {
    let entries = env("SALDO_TEST_ENTRIES", 200_000);
    store::suite::run(async {
        let cluster = Cluster::start(&[
            "fsync=off",
            "full_page_writes=off",
            "synchronous_commit=off",
            "max_wal_size=4GB",
            "maintenance_work_mem=256MB",
            "shared_preload_libraries=auto_explain",
            "plan_cache_mode=force_generic_plan",
            "auto_explain.log_analyze=on",
            "auto_explain.log_buffers=on",
            "auto_explain.log_wal=on",
            "auto_explain.log_timing=off",
        ]);
        let database = cluster.database(make_store).await;
        let commands: Vec<_> = stream(1, 2 * COMMANDS).into_iter().flatten().collect();
        let store = open(&database).await;
        submit(&cluster, &store, &commands[..COMMANDS]).await;
        store.close().await.expect("it closes");
        let fill = FILL.replace(":n", &(entries / 2).to_string());
        database.try_sql(&fill).expect("the book is filled");
        let middle = database
            .try_sql(
                "select recorded_at from saldo.commands where book = 1 order by position limit 1 offset 600",
            )
            .expect("a time");
        let middle = Micros(middle.parse().expect("a time"));
        let explain = "do $$ begin execute format('alter database %I set auto_explain.log_min_duration = 0', current_database()); end $$";
        database.try_sql(explain).expect("plans are logged");
        let store = open(&database).await;
        submit(&cluster, &store, &commands[COMMANDS..]).await;
        let known = known(&commands);
        read(&store, &known, middle).await;
        store.close().await.expect("it closes");
        let mut plans = plans(&cluster.log());
        plans.retain(|statement, _| statement.contains("saldo.") && !statement.contains("saldo.migrations"));
        if let Ok(file) = std::env::var("SALDO_TEST_PLANS") {
            let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
            let file = std::path::Path::new(root).join(file);
            std::fs::write(file, written(&plans, entries)).expect("the plans are written");
        }
        let complaints: Vec<_> = plans
            .iter()
            .filter_map(|(statement, plan)| complaint(statement, plan))
            .collect();
        assert!(complaints.is_empty(), "{}", complaints.join("\n"));
        assert!(plans.len() > 70, "only {} statements were seen", plans.len());
    });
}
