//! What the records say, told by hand from the records alone, and compared with what clients were told.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use ledger::{Action, Amount, BookNo, Counters, Credit, Done, Micros, Position, Record};
use serde_json::Value;
use service::Clock;
use store::Store;
use store_postgres::{Options, PostgresStore, Url};

use super::fleet::{Fleet, command};
use super::load::{Seen, Told};
use crate::harness::said;

/// The book of the one root client.
const BOOK: BookNo = BookNo(1);
const PAGE: usize = 5_000;

/// A hold as its records leave it.
struct Held {
    remaining: Vec<Amount>,
    expires_at: Option<Micros>,
}

impl Held {
    fn is_open(&self) -> bool {
        self.remaining.iter().any(|remaining| !remaining.is_zero())
    }
}

/// A book, told from its records.
#[derive(Default)]
struct Books {
    position: u64,
    recorded_at: Micros,
    digest: [u8; 32],
    /// Each balance after each record that touched it.
    chains: HashMap<String, Vec<(u64, Counters)>>,
    holds: HashMap<u128, Held>,
    commands: BTreeMap<u64, String>,
    expiries: u64,
    ids: HashSet<u128>,
}

impl Books {
    fn take(&mut self, record: &Record) {
        assert_eq!(record.position.0, self.position + 1, "positions have no gaps");
        assert!(record.recorded_at > self.recorded_at, "times rise");
        self.position = record.position.0;
        self.recorded_at = record.recorded_at;
        let mut canonical = Vec::new();
        ledger::encode(record, &mut canonical);
        self.digest = blake3::keyed_hash(&self.digest, &canonical).into();
        for (nth, booked) in record.booked().iter().enumerate() {
            assert!(self.ids.insert(booked.id.0), "{} twice", booked.id);
            for made in &booked.moves {
                let ends = [
                    (made.from, made.from_after, true),
                    (made.to, made.to_after, false),
                ];
                for (account, after, is_debit) in ends {
                    assert_eq!(made.asset.name.as_str(), "USD");
                    self.follow(record, account.id.to_string(), made, after, is_debit);
                }
            }
            self.hold(record, nth);
        }
        self.end_in_time(record);
        match what(record) {
            Some(what) => drop(self.commands.insert(self.position, what)),
            None => self.expiries += u64::from(matches!(record.action, Action::Expire { .. })),
        }
    }

    /// An entry follows from the one before, and keeps to the floor.
    fn follow(
        &mut self,
        record: &Record,
        account: String,
        made: &ledger::Move,
        after: ledger::Entry,
        is_debit: bool,
    ) {
        let chain = self.chains.entry(account).or_default();
        let last = chain.last().map(|(_, counters)| *counters).unwrap_or_default();
        let plus = |a: Amount, b| a.checked_add(b).expect("within range");
        let pending = |a| {
            plus(a, made.reserve)
                .checked_sub(made.free)
                .expect("not below zero")
        };
        let expected = match is_debit {
            true => Counters {
                debits_posted: plus(last.debits_posted, made.post),
                debits_pending: pending(last.debits_pending),
                ..last
            },
            false => Counters {
                credits_posted: plus(last.credits_posted, made.post),
                credits_pending: pending(last.credits_pending),
                ..last
            },
        };
        assert_eq!(
            after.counters, expected,
            "an entry follows from the one before: {record:?}"
        );
        if let Credit::Limit(limit) = after.credit {
            let available = expected.checked_available().expect("a number");
            assert!(available >= -limit.signed(), "below the floor: {record:?}");
        }
        chain.push((record.position.0, expected));
    }

    /// Places a hold, or takes from one what a record frees of it.
    fn hold(&mut self, record: &Record, nth: usize) {
        let moves = &record.booked()[nth].moves;
        let hold = match &record.action {
            Action::Capture(capture) => capture.hold,
            Action::Release(release) => release.hold,
            Action::Expire { hold, .. } => *hold,
            _ => {
                if let Some(terms) = record.transaction(nth).and_then(|transaction| transaction.hold) {
                    let held = Held {
                        remaining: moves.iter().map(|made| made.reserve).collect(),
                        expires_at: terms.expires_at,
                    };
                    self.holds.insert(record.booked()[nth].id.0, held);
                }
                return;
            }
        };
        let held = self.holds.get_mut(&{ hold.0 }).expect("it was placed");
        for made in moves {
            let remaining = &mut held.remaining[made.index as usize];
            *remaining = remaining.checked_sub(made.free).expect("no more than is left");
        }
    }

    /// Before its end a hold does not expire; from then on nothing is captured of it.
    fn end_in_time(&self, record: &Record) {
        let end = |id: &ledger::TransactionId| self.holds.get(&{ id.0 }).and_then(|held| held.expires_at);
        let refused = record.outcome.as_ref().err().map(|rejection| rejection.code);
        match &record.action {
            Action::Expire { hold, .. } => {
                assert!(
                    end(hold).is_some_and(|end| record.recorded_at >= end),
                    "too early: {record:?}"
                );
                assert!(
                    refused.is_none() && !self.holds[&{ hold.0 }].is_open(),
                    "{record:?}"
                );
            }
            Action::Capture(capture) if refused.is_none() => {
                assert!(
                    end(&capture.hold).is_none_or(|end| record.recorded_at < end),
                    "too late: {record:?}"
                );
            }
            Action::Capture(capture) if refused == Some(ledger::Code::HoldExpired) => {
                assert!(
                    end(&capture.hold).is_some_and(|end| record.recorded_at >= end),
                    "{record:?}"
                );
            }
            _ => {}
        }
    }

    /// What an account had at a position.
    fn at(&self, account: &str, position: u64) -> Counters {
        let chain = self.chains.get(account).map_or(&[][..], Vec::as_slice);
        let later = chain.partition_point(|(at, _)| *at <= position);
        later.checked_sub(1).map(|last| chain[last].1).unwrap_or_default()
    }

    fn see(&self, seen: &Seen) {
        let counters = self.at(&seen.account, seen.position);
        let there = (counters.settled(), counters.reserved(), counters.incoming());
        assert_eq!(
            (seen.settled, seen.reserved, seen.incoming),
            there,
            "a wrong balance: {seen:?}"
        );
    }
}

/// A record in the words that answers have; nothing for what no client of the load asked for.
fn what(record: &Record) -> Option<String> {
    let word = |done: &str| match &record.outcome {
        Ok(_) => done.to_owned(),
        Err(rejection) => rejection.code.as_str().to_owned(),
    };
    match (&record.action, &record.outcome) {
        (Action::Post(transaction), _) => {
            let done = if transaction.hold.is_some() {
                "held"
            } else {
                "posted"
            };
            Some(format!("transaction {} {}", transaction.id, word(done)))
        }
        (Action::PostBatch(transactions), _) => {
            Some(format!("batch {} {}", transactions[0].id, word("posted")))
        }
        (Action::Capture(capture), _) => Some(format!("capture {} {}", capture.hold, word("posted"))),
        (Action::Release(release), _) => Some(format!("release {} {}", release.hold, word("released"))),
        (Action::CreateCustomer(new), Ok(Done::Customer(_))) => Some(format!("customer {} made", new.id)),
        (Action::CreateAccount(new), Ok(_)) => Some(format!("account {} made", new.id)),
        (Action::Expire { .. } | Action::CreateApiKey(_), Ok(_)) => None,
        _ => panic!("nobody asked for {record:?}"),
    }
}

/// All that holds of a store after a load: what was told is what was done, once.
pub(super) fn check(fleet: &Fleet, told: &Told) {
    until_nothing_is_due(fleet);
    let books = read(fleet);
    let asked: BTreeMap<_, _> = books.commands.range(fleet.world.position + 1..).collect();
    for (position, what) in &told.commands {
        assert_eq!(
            asked.get(position).copied(),
            Some(what),
            "lost, or not where it was said: position {position}"
        );
    }
    for (position, what) in &asked {
        assert_eq!(
            told.commands.get(*position),
            Some(*what),
            "nobody was told of position {position}"
        );
    }
    told.seen.iter().for_each(|seen| books.see(seen));
    let sum: i128 = books
        .chains
        .keys()
        .map(|account| books.at(account, u64::MAX).settled())
        .sum();
    assert_eq!(sum, 0, "what is on all accounts is nothing");
    for (account, settled) in &told.settled {
        assert_eq!(
            books.at(account, u64::MAX).settled(),
            *settled,
            "of the answers, on {account}"
        );
    }
    for nth in 0..fleet.count() {
        check_server(fleet, nth, &books);
    }
    // Every row that follows from the records.
    let mut verified = command(&["verify", "--store", fleet.url()]);
    let verified = verified.output().expect("the binary starts");
    assert!(verified.status.success(), "{}", said(&verified));
    println!(
        "{} commands and {} expiries, {} of them rejected; {} replays; {} balances seen",
        told.commands.len(),
        books.expiries,
        told.rejections,
        told.replays,
        told.seen.len()
    );
}

/// What a server shows is what the records give.
fn check_server(fleet: &Fleet, nth: usize, books: &Books) {
    let client = fleet.client(nth);
    for account in books.chains.keys() {
        let body = client
            .get(&format!("/api/v1/accounts/{account}/balances"), &[])
            .json(200);
        let balance = &body["balances"][0];
        let number = |name: &str| {
            balance[name]
                .as_str()
                .and_then(|text| text.parse().ok())
                .expect("a number")
        };
        books.see(&Seen {
            account: account.clone(),
            position: u64::MAX,
            settled: number("settled"),
            reserved: number("reserved"),
            incoming: number("incoming"),
        });
    }
    let open = books.holds.iter().filter(|(_, held)| held.is_open());
    let open: HashSet<_> = open
        .map(|(id, _)| ledger::TransactionId(*id).to_string())
        .collect();
    assert_eq!(open_holds(fleet, nth), open);
}

fn open_holds(fleet: &Fleet, nth: usize) -> HashSet<String> {
    let (client, mut open, mut cursor) = (fleet.client(nth), HashSet::new(), String::new());
    loop {
        let page = client
            .get(&format!("/api/v1/holds?status=held&limit=100{cursor}"), &[])
            .json(200);
        let items = page["items"].as_array().expect("items");
        open.extend(
            items
                .iter()
                .map(|hold| hold["id"].as_str().expect("an id").to_owned()),
        );
        match &page["nextCursor"] {
            Value::String(next) => cursor = format!("&cursor={next}"),
            _ => return open,
        }
    }
}

async fn open(fleet: &Fleet) -> PostgresStore {
    let clock = Clock::System;
    let mut options = Options::new(Arc::new(move || clock.now()));
    options.allow_unsafe = true;
    let url = Url::parse(fleet.url()).expect("a URL");
    PostgresStore::open(&url, options).await.expect("the store opens")
}

fn in_runtime<T>(work: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().expect("a runtime").block_on(work)
}

/// The servers expire by themselves what is due.
fn until_nothing_is_due(fleet: &Fleet) {
    in_runtime(async {
        let store = open(fleet).await;
        let nothing = async {
            // Those that end soon too, so that nothing changes any more.
            let soon = Clock::System.now().plus(60_000_000);
            while !store.due_holds(soon, 1).await.expect("they are read").is_empty() {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        };
        let patience = std::time::Duration::from_secs(60);
        tokio::time::timeout(patience, nothing)
            .await
            .expect("holds expire by themselves");
        store.close().await.expect("it closes");
    });
}

fn read(fleet: &Fleet) -> Books {
    in_runtime(async {
        let store = open(fleet).await;
        let mut books = Books::default();
        loop {
            let records = store
                .records(BOOK, Position(books.position), PAGE)
                .await
                .expect("they are read");
            records.iter().for_each(|record| books.take(record));
            if records.is_empty() {
                break;
            }
        }
        let head = store.digest(BOOK).await.expect("it is read");
        assert_eq!(head, (Position(books.position), books.digest));
        store.close().await.expect("it closes");
        books
    })
}
