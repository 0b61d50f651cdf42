//! Killed in the middle of work, again and again: what was acknowledged is there, nothing is there by half, and whoever
//! sends a command again learns what became of it. Every other kill falls in the midst of what the store does beside.

use std::collections::BTreeMap;
use std::sync::mpsc::{Sender, TryRecvError, channel};

use serde_json::{Value, json};

use super::{KILLS, MOMENTS, home};
use crate::backup::{Kept, books};
use crate::harness::{Client, Random, Sandbox, setting, settled, transaction};
use crate::moments::Moment;

/// Nothing else in the sandbox is counted in it.
const ASSET: &str = "CAD";
const SINGLE_POSTERS: u64 = 4;
const BATCH_POSTERS: u64 = 2;
const BATCH: u64 = 25;
/// After so many kills another store takes the place of one: to check all of it takes the longer the more is in it.
const LIFE: u64 = 24;
/// Files so small that a store changes them several times between two kills.
const SMALL: &[(&str, &str)] = &[
    ("SALDO_SEGMENT_BYTES", "65536"),
    ("SALDO_SNAPSHOT_BYTES", "16384"),
];
/// After so many acknowledgements what a kill waits for does not come any more.
const PATIENCE: usize = 20_000;

/// A request with what came back before the kill.
struct Sent {
    work: Work,
    acknowledged: bool,
}

enum Work {
    Single(Value),
    /// An atomic batch under this key.
    Batch(String, Value),
}

impl Work {
    fn new(random: &mut Random, batch: bool, external: &str, main: &str) -> Self {
        let mut one = || {
            let id = random.uuid();
            transaction(&id, external, main, ASSET, 1 + random.below(1_000))
        };
        match batch {
            false => Self::Single(one()),
            true => {
                let transactions: Vec<_> = (0..BATCH).map(|_| one()).collect();
                Self::Batch(
                    random.uuid(),
                    json!({"atomic": true, "transactions": transactions}),
                )
            }
        }
    }

    /// Sends it. Whether it was done before, or `None` when no answer came.
    fn send(&self, native: &Client) -> Option<bool> {
        let answer = match self {
            Self::Single(body) => native.try_post("/api/v1/transactions", &[], &body.to_string())?,
            Self::Batch(key, body) => native.try_post(
                "/api/v1/transactions/batch",
                &[("Idempotency-Key", key)],
                &body.to_string(),
            )?,
        };
        // A server that is going down may still say so.
        (answer.status != 503).then(|| {
            assert!(matches!(answer.status, 200 | 201), "{answer:?}");
            answer.replayed
        })
    }

    fn transactions(&self) -> Vec<&Value> {
        match self {
            Self::Single(body) => vec![body],
            Self::Batch(_, body) => body["transactions"]
                .as_array()
                .expect("transactions")
                .iter()
                .collect(),
        }
    }

    fn sum(&self) -> i128 {
        let amount = |one: &Value| one["postings"][0]["amount"].as_str().map(str::parse::<i128>);
        self.transactions()
            .into_iter()
            .map(|one| amount(one).expect("text").expect("digits"))
            .sum()
    }

    /// How many of its transactions are there.
    fn there(&self, native: &Client) -> usize {
        let there = |one: &&Value| {
            let id = one["id"].as_str().expect("an id");
            match native.get(&format!("/api/v1/transactions/{id}"), &[]).status {
                200 => true,
                404 => false,
                other => panic!("{other} for transaction {id}"),
            }
        };
        self.transactions().iter().filter(|one| there(one)).count()
    }
}

/// Posts until the server is gone.
fn post(
    native: &Client,
    seed: u64,
    batch: bool,
    accounts: &(String, String),
    done: &Sender<()>,
) -> Vec<Sent> {
    let mut random = Random(seed);
    let mut sent = Vec::new();
    loop {
        let work = Work::new(&mut random, batch, &accounts.0, &accounts.1);
        let answer = work.send(native);
        sent.push(Sent {
            work,
            acknowledged: answer.is_some(),
        });
        assert_ne!(answer, Some(true), "a new command was taken for an old one");
        if answer.is_none() {
            return sent;
        }
        // The one who counts stops counting before the kill.
        let _ = done.send(());
    }
}

/// Nothing more was acknowledged yet, unless nobody is there any more to say so.
fn nobody_posts(error: TryRecvError) -> Option<()> {
    assert_eq!(error, TryRecvError::Empty, "the server is gone");
    None
}

/// Loads a server and kills it after some acknowledgements, in the midst of something if that is said.
fn load_and_kill(kept: &Kept, random: &mut Random, moment: Option<Moment>) -> Vec<Sent> {
    let sandbox = kept.home.sandbox();
    let accounts = (
        sandbox.on_card("/accounts/external"),
        sandbox.on_card("/accounts/main"),
    );
    let acknowledgements = 1 + random.below(120) as usize;
    let (done, counted) = channel();
    std::thread::scope(|scope| {
        let posters: Vec<_> = (0..SINGLE_POSTERS + BATCH_POSTERS)
            .map(|nth| {
                let (native, seed, done) = (sandbox.native(), random.next(), done.clone());
                let accounts = &accounts;
                scope.spawn(move || post(&native, seed, nth >= SINGLE_POSTERS, accounts, &done))
            })
            .collect();
        drop(done);
        assert_eq!(counted.iter().take(acknowledgements).count(), acknowledgements);
        match moment {
            None => sandbox.server.kill(),
            Some(moment) => {
                let mut more = 0;
                moment.kill(sandbox.server, kept, random, || {
                    while let Some(()) = counted.try_recv().map_or_else(nobody_posts, Some) {
                        more += 1;
                    }
                    assert!(more < PATIENCE, "no {moment:?} in {more} acknowledgements");
                });
            }
        }
        posters
            .into_iter()
            .flat_map(|poster| poster.join().expect("a poster"))
            .collect()
    })
}

/// Checks what the kill left, and sends everything again; answers with what all of it adds up to.
fn check(sandbox: &Sandbox, sent: &[Sent]) -> i128 {
    let native = sandbox.native();
    for Sent { work, acknowledged } in sent {
        let (there, all) = (work.there(&native), work.transactions().len());
        assert!(there == all || there == 0, "{there} of {all} are there");
        assert!(there == all || !acknowledged, "acknowledged, and not there");
        let replayed = work.send(&native).expect("an answer");
        assert_eq!(
            replayed,
            there == all,
            "what is there is replayed, what is not is new"
        );
    }
    sent.iter().map(|sent| sent.work.sum()).sum()
}

/// Kills a new store so many times, the `first` of all kills and those after it, and proves its backup in the end.
fn one_life(first: u64, kills: u64, random: &mut Random, fallen: &mut BTreeMap<Option<Moment>, u64>) {
    let kept = Kept::beside(home().with(SMALL));
    let mut sum = 0;
    for kill in first..first + kills {
        let moment = MOMENTS.get((kill / 2) as usize % MOMENTS.len().max(1));
        let moment = moment.copied().filter(|_| kill % 2 == 1);
        let sent = load_and_kill(&kept, random, moment);
        *fallen.entry(moment).or_default() += 1;
        assert!(
            sent.iter().any(|sent| !sent.acknowledged),
            "kill {kill} came in the middle of requests"
        );
        kept.home.verify();
        let sandbox = kept.home.sandbox();
        sum += check(&sandbox, &sent);
        assert_eq!(
            settled(&sandbox.native(), &sandbox.on_card("/accounts/main"), ASSET),
            sum,
            "after kill {kill}, amid {moment:?}"
        );
        // The next one is killed too, right after its start's own work.
        sandbox.server.kill();
    }
    if !MOMENTS.is_empty() {
        kept.back_up();
        assert_eq!(kept.check(), books(&kept.home.store()));
    }
}

#[test]
fn killed_under_load_nothing_acknowledged_is_lost_and_nothing_is_half_there() {
    let (kills, seed) = (setting("SALDO_TEST_KILLS", KILLS), setting("SALDO_TEST_SEED", 1));
    println!("SALDO_TEST_SEED={seed}");
    let (mut random, mut fallen) = (Random(seed), BTreeMap::new());
    for first in (0..kills).step_by(LIFE as usize) {
        one_life(first, LIFE.min(kills - first), &mut random, &mut fallen);
    }
    println!("kills by what they fell in: {fallen:?}");
    let amid = |moment: &Moment| fallen.get(&Some(*moment)).copied().unwrap_or(0);
    assert_eq!(fallen.values().sum::<u64>(), kills);
    for moment in MOMENTS {
        let share = kills / 2 / MOMENTS.len() as u64;
        assert!(amid(moment) >= share, "{moment:?}: {fallen:?}");
    }
    if !MOMENTS.is_empty() {
        assert_eq!(MOMENTS.iter().map(amid).sum::<u64>(), kills / 2, "{fallen:?}");
    }
}
