//! Balances in the past of a book that is long enough for its milestones.

use std::collections::BTreeMap;
use std::sync::Arc;

use ledger::{AccountId, AssetNo, Counters, Micros, Position, Record};
use store::suite::Random;
use store::{AsOf, Outcome, Store, Viewer};
use store_journal::JournalStore;

use crate::common::{BOOK, account, open, post, world};

const ACCOUNTS: u64 = 12;
const POSTS: usize = 2_000;

/// The balances of one account.
type Balances = BTreeMap<AssetNo, Counters>;

/// Fills a store; answers what was booked.
async fn fill(store: &JournalStore) -> Vec<Arc<Record>> {
    let mut random = Random::new(11);
    let mut commands = world();
    commands.extend((0..ACCOUNTS).map(account));
    commands.extend((0..POSTS).map(|_| post(&mut random, ACCOUNTS)));
    let mut records = Vec::new();
    for commands in commands.chunks(37) {
        for answer in store.submit(commands.to_vec()).await {
            match answer {
                Ok(Outcome::Recorded(record)) if record.book == BOOK => records.push(record),
                Ok(Outcome::Recorded(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    }
    records
}

/// Asks for the balances of every account as of random records, by position and by time, and compares them with what the
/// records before say.
async fn compare(store: &JournalStore, records: &[Arc<Record>]) {
    let viewer = Viewer {
        book: BOOK,
        client: None,
    };
    let mut random = Random::new(12);
    let mut then: BTreeMap<AccountId, Balances> = BTreeMap::new();
    for record in records {
        for made in record.booked().iter().flat_map(|booked| &booked.moves) {
            for (id, entry) in [(made.from.id, &made.from_after), (made.to.id, &made.to_after)] {
                then.entry(id).or_default().insert(made.asset.no, entry.counters);
            }
        }
        if !random.percent(10) {
            continue;
        }
        let by_position = AsOf {
            position: Some(record.position),
            ..AsOf::NOW
        };
        let by_time = AsOf {
            recorded_at: Some(record.recorded_at),
            ..AsOf::NOW
        };
        for n in 0..ACCOUNTS {
            let id = AccountId(1000 + u128::from(n));
            for as_of in [by_position, by_time] {
                let found = store
                    .account(viewer, id, as_of)
                    .await
                    .expect("read")
                    .expect("there");
                let found: Balances = found
                    .value
                    .balances
                    .iter()
                    .map(|balance| (balance.asset.no, balance.counters))
                    .collect();
                let expected = then.get(&id).cloned().unwrap_or_default();
                assert_eq!(found, expected, "{id:?} as of {as_of:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_balance_is_found_as_it_was() {
    let place = tempfile::tempdir().expect("a folder is made");
    let store = open(place.path());
    let records = fill(&store).await;
    compare(&store, &records).await;
    let before = AsOf {
        recorded_at: Some(Micros(1)),
        ..AsOf::NOW
    };
    let viewer = Viewer {
        book: BOOK,
        client: None,
    };
    let found = store
        .account(viewer, AccountId(1000), before)
        .await
        .expect("read")
        .expect("there");
    assert!(found.value.balances.is_empty(), "nothing was there then");
    let last = records.last().expect("there are some").position;
    let found = store
        .records(BOOK, Position(last.0 - 300), 10)
        .await
        .expect("read");
    assert_eq!(found, records[records.len() - 300..records.len() - 290]);
    store.close().await.expect("it closes");
    drop(store);
    // From a snapshot.
    let store = open(place.path());
    compare(&store, &records).await;
}
