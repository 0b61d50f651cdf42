//! `verify` finds what was changed behind the store's back, and says where.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ledger::{BookNo, Position};
use store::Store;
use store::suite::stream;
use store_postgres::{PostgresStore, Report, Url, VerifyError, verify};
use test_postgres::{Cluster, Database};

use crate::suite::{make_store, options};

async fn check(database: &Database) -> Result<Report, VerifyError> {
    let url = Url::parse(&database.url()).expect("a URL");
    verify(&url, &options(), |_| {}).await
}

async fn open(database: &Database) -> PostgresStore {
    let url = Url::parse(&database.url()).expect("a URL");
    PostgresStore::open(&url, options())
        .await
        .expect("the store opens")
}

/// A store in which a bit of everything has happened.
async fn busy_store() -> Database {
    let database = Cluster::shared().database(make_store).await;
    let store = open(&database).await;
    for batch in stream(10, 3_000) {
        store.submit(batch).await;
    }
    store.close().await.expect("it closes");
    database
}

/// A change, and what is said of it.
struct Change {
    sql: String,
    said: Vec<String>,
}

fn change(sql: impl Into<String>, said: &[&str]) -> Change {
    Change {
        sql: sql.into(),
        said: said.iter().map(|word| (*word).to_owned()).collect(),
    }
}

const TABLES: [&str; 13] = [
    "commands",
    "mentions",
    "entries",
    "deviations",
    "balances",
    "clients",
    "customers",
    "accounts",
    "api_keys",
    "assets",
    "rates",
    "holds",
    "hold_accounts",
];

/// Each table with a row left out, and with one that belongs to no record or no book.
fn left_out_and_added() -> Vec<Change> {
    let mut all = Vec::new();
    for table in TABLES {
        let some = format!("(select ctid from saldo.{table} where book = 1 order by ctid offset 2 limit 1)");
        let said = match table {
            "commands" => ["book 1", "is due"],
            _ => ["book 1", table],
        };
        all.push(change(
            format!("delete from saldo.{table} where ctid = {some}"),
            &said,
        ));
        let columns = format!(
            "select string_agg(case column_name when 'book' then '77' else quote_ident(column_name) end, ', ' \
             order by ordinal_position) from information_schema.columns \
             where table_schema = 'saldo' and table_name = '{table}'"
        );
        let added = format!(
            "do $$ begin execute 'insert into saldo.{table} select ' || ({columns}) || \
             ' from saldo.{table} where book = 1 limit 1'; end $$"
        );
        all.push(change(added, &[table, "book 77"]));
    }
    all
}

fn altered() -> Vec<Change> {
    let first = |table: &str, condition: &str| {
        format!(
            "where ctid = (select ctid from saldo.{table} where book = 1 and {condition} order by ctid limit 1)"
        )
    };
    let one = |table: &str| first(table, "true");
    let set = |table: &str, set: &str| format!("update saldo.{table} set {set} {}", one(table));
    vec![
        change(
            // Above the highest amount it would be no balance that can be read.
            format!(
                "update saldo.balances set credits_posted = credits_posted + 1 {}",
                first("balances", "credits_posted < 1000000000")
            ),
            &["book 1", "balances", "account", "asset"],
        ),
        change(set("balances", "last_at = last_at - 1"), &["balances"]),
        change(
            "update saldo.commands set record = set_byte(record, 8, get_byte(record, 8) # 16) \
             where book = 1 and position = 5",
            &["book 1", "position 5"],
        ),
        change(
            "update saldo.commands set record = set_byte(record, length(record) - 1, \
               get_byte(record, length(record) - 1) # 1) where book = 1 and position = 1",
            &["book 1"],
        ),
        change(
            "update saldo.commands set recorded_at = recorded_at + 100000000000 where book = 1 and position = 7",
            &["book 1", "position 7", "time"],
        ),
        change(
            "update saldo.commands set key = gen_random_uuid() where book = 1 and position = 7",
            &["book 1", "position 7"],
        ),
        change(
            format!(
                "update saldo.commands set id = gen_random_uuid() {}",
                first("commands", "id is not null")
            ),
            &["book 1", "position"],
        ),
        change(
            set("mentions", "hash = gen_random_uuid()"),
            &["mentions", "position"],
        ),
        change(
            set("entries", "positions = substr(positions, 1, 31)"),
            &["entries", "account"],
        ),
        change(set("balances", "tail = ''"), &["balances", "account"]),
        change(
            set("deviations", "settled = settled + 1"),
            &["deviations", "position"],
        ),
        change(set("rates", "as_of = as_of + 1"), &["rates", "position"]),
        change(set("holds", "id = gen_random_uuid()"), &["holds", "position"]),
        change(
            format!(
                "update saldo.holds set status = 3 - status {}",
                first("holds", "status <> 0")
            ),
            &["holds", "position"],
        ),
        change(
            format!(
                "update saldo.holds set due = due + 1 {}",
                first("holds", "due is not null")
            ),
            &["holds", "position"],
        ),
        change(
            set("hold_accounts", "status = 3 - status"),
            &["hold_accounts", "account"],
        ),
        change(
            set("clients", "external_id = gen_random_uuid()"),
            &["clients", "no"],
        ),
        change(
            set("customers", "number = number + 1000000"),
            &["customers", "no"],
        ),
        change(
            set("accounts", "is_primary = not is_primary"),
            &["accounts", "no"],
        ),
        change(
            set("accounts", "row = set_byte(row, 3, get_byte(row, 3) # 1)"),
            &["accounts", "no"],
        ),
        change(set("api_keys", "id = gen_random_uuid()"), &["api_keys", "no"]),
        change(set("assets", "name = 'ANOTHER'"), &["assets", "no"]),
        change(
            "update saldo.heads set digest = sha256(digest) where book = 1",
            &["book 1", "digest"],
        ),
        change(
            "update saldo.heads set accounts = accounts + 1 where book = 1",
            &["book 1", "heads"],
        ),
        change(
            "update saldo.heads set root = gen_random_uuid() where book = 2",
            &["book 2", "heads"],
        ),
        change(
            "update saldo.heads set position = position - 1 where book = 1",
            &["book 1", "heads"],
        ),
        change(
            "update saldo.heads set books = books + 1 where book = 0",
            &["book 0", "heads"],
        ),
        change("delete from saldo.heads where book = 2", &["book 2", "heads"]),
        change(
            "delete from saldo.heads where book = (select max(book) from saldo.heads)",
            &["book 0", "heads"],
        ),
        change(
            "insert into saldo.heads select (select max(book) + 1 from saldo.heads), root, position, recorded_at, digest, clients, customers, \
               accounts, api_keys, assets, highest_number, books from saldo.heads where book = 2",
            &["book 0", "heads"],
        ),
        change(
            "insert into saldo.entries select book, account, asset, first + 1000000, positions from saldo.entries \
             where book = 1 limit 1",
            &["entries", "account"],
        ),
    ]
}

#[test]
fn whatever_is_changed_behind_its_back_is_found_with_its_place() {
    store::suite::run(async {
        let database = busy_store().await;
        for table in TABLES {
            let rows = database.try_sql(&format!("select count(*) from saldo.{table} where book = 1"));
            let rows: usize = rows.expect("it is counted").parse().expect("a number");
            assert!(rows > 2, "saldo.{table} has {rows} rows");
        }
        let good = check(&database).await.expect("nothing was changed");
        assert!(good.books.len() > 2, "{good:?}");
        for Change { sql, said } in altered().into_iter().chain(left_out_and_added()) {
            let changed = Cluster::shared().copy_of(&database).await;
            changed
                .try_sql(&sql)
                .unwrap_or_else(|error| panic!("{sql}: {error}"));
            let error = match check(&changed).await {
                Err(error @ VerifyError::Wrong { .. }) => error.to_string(),
                other => panic!("{sql}: {other:?}"),
            };
            for word in said {
                assert!(error.contains(&word), "{sql}: no `{word}` in: {error}");
            }
        }
    });
}

#[test]
fn a_store_in_use_is_checked_as_it_was_at_one_moment() {
    store::suite::run(async {
        let database = Cluster::shared().database(make_store).await;
        let store = Arc::new(open(&database).await);
        let batches = stream(5, 3_000);
        let done = Arc::new(AtomicBool::new(false));
        let writer = tokio::spawn({
            let (store, done) = (Arc::clone(&store), Arc::clone(&done));
            async move {
                for batch in batches {
                    store.submit(batch).await;
                }
                done.store(true, Ordering::Relaxed);
            }
        });
        let mut positions = Vec::new();
        while !done.load(Ordering::Relaxed) {
            let report = check(&database).await.expect("it is well at every moment");
            positions.push(report.records);
        }
        writer.await.expect("it ends");
        let report = check(&database).await.expect("it is well");
        for (book, position, digest) in &report.books {
            assert_eq!(store.digest(*book).await, Ok((*position, *digest)));
        }
        assert!(positions.is_sorted() && positions.first() < Some(&report.records));
        assert_eq!(report.books[0].0, BookNo::OPERATOR);
        assert!(report.books[0].1 > Position(0));
        store.close().await.expect("it closes");
    });
}

#[test]
fn what_is_no_store_is_not_checked() {
    store::suite::run(async {
        let database = Cluster::shared().empty();
        assert!(matches!(check(&database).await, Err(VerifyError::Open(_))));
    });
}
