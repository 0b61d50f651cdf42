//! Clients that want an answer: they send again, to another server, until one says what became of their command.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::fleet::Fleet;
use crate::harness::{Answer, Random};

/// How many clients there are.
pub(super) const CLIENTS: u64 = 12;
/// No answer takes longer: the deadline of a request, and as much again for a busy machine.
const NEVER: Duration = Duration::from_secs(20);
/// No command is without an answer for longer, whatever happens.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long a client waits that was told to come again.
const PAUSE: Duration = Duration::from_millis(50);

/// How long the clients go on, and how far they are.
pub(super) struct Control {
    steps: AtomicI64,
    end: Option<Instant>,
    stop: AtomicBool,
    failed: AtomicBool,
    answered: Mutex<u64>,
    more: Condvar,
    /// Answers that told to come again, and requests without any.
    pub(super) unavailable: AtomicU64,
    pub(super) unanswered: AtomicU64,
}

impl Control {
    fn new(steps: i64, end: Option<Instant>) -> Self {
        Self {
            steps: AtomicI64::new(steps),
            end,
            stop: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            answered: Mutex::new(0),
            more: Condvar::new(),
            unavailable: AtomicU64::new(0),
            unanswered: AtomicU64::new(0),
        }
    }

    /// So many steps in all.
    pub(super) fn steps(steps: u64) -> Self {
        Self::new(steps as i64, None)
    }

    /// So many seconds.
    pub(super) fn seconds(seconds: u64) -> Self {
        Self::new(i64::MAX, Some(Instant::now() + Duration::from_secs(seconds)))
    }

    /// Until it is told to stop.
    pub(super) fn endless() -> Self {
        Self::new(i64::MAX, None)
    }

    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
            && !self.failed.load(Ordering::Relaxed)
            && self.steps.fetch_sub(1, Ordering::Relaxed) > 0
            && self.end.is_none_or(|end| Instant::now() < end)
    }

    fn answered(&self) {
        *self.answered.lock().expect("nobody fails here") += 1;
        self.more.notify_all();
    }

    /// Waits until so many more commands were answered for good.
    pub(super) fn until_answered(&self, count: u64) {
        let begun = Instant::now();
        let mut answered = self.answered.lock().expect("nobody fails here");
        let wanted = *answered + count;
        while *answered < wanted {
            assert!(!self.failed.load(Ordering::Relaxed), "a client failed");
            assert!(begun.elapsed() < PATIENCE, "service is back by itself");
            answered = self
                .more
                .wait_timeout(answered, Duration::from_secs(1))
                .expect("nobody fails here")
                .0;
        }
    }

    /// Waits until somebody was told to come again, or not at all.
    pub(super) fn until_refused(&self) {
        let refused = || self.unavailable.load(Ordering::Relaxed) + self.unanswered.load(Ordering::Relaxed);
        let (begun, before) = (Instant::now(), refused());
        let mut answered = self.answered.lock().expect("nobody fails here");
        while refused() == before {
            assert!(!self.failed.load(Ordering::Relaxed), "a client failed");
            assert!(begun.elapsed() < PATIENCE, "nobody was refused");
            answered = self
                .more
                .wait_timeout(answered, Duration::from_millis(20))
                .expect("nobody fails here")
                .0;
        }
    }
}

/// Ends the load when its director is done, and when anybody fails.
struct Ending<'a>(&'a Control, bool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        if self.1 || std::thread::panicking() {
            self.0.stop.store(true, Ordering::Relaxed);
        }
        if std::thread::panicking() {
            self.0.failed.store(true, Ordering::Relaxed);
        }
    }
}

/// A balance that somebody saw.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Seen {
    pub(super) account: String,
    pub(super) position: u64,
    pub(super) settled: i128,
    pub(super) reserved: i128,
    pub(super) incoming: i128,
}

/// What clients were told.
#[derive(Default)]
pub(super) struct Told {
    /// What became of the command at each position.
    pub(super) commands: BTreeMap<u64, String>,
    /// What is on each account by the answers alone.
    pub(super) settled: HashMap<String, i128>,
    pub(super) seen: Vec<Seen>,
    pub(super) rejections: u64,
    pub(super) replays: u64,
}

impl Told {
    /// Every answer about a command is the same.
    pub(super) fn add(&mut self, position: u64, what: String) {
        let before = self.commands.entry(position).or_insert_with(|| what.clone());
        assert_eq!(*before, what, "position {position}");
    }

    fn merge(&mut self, other: Self) {
        other
            .commands
            .into_iter()
            .for_each(|(position, what)| self.add(position, what));
        for (account, amount) in other.settled {
            *self.settled.entry(account).or_default() += amount;
        }
        self.seen.extend(other.seen);
        self.rejections += other.rejections;
        self.replays += other.replays;
    }
}

/// A request that changes something, under a key of its own.
pub(super) struct Request {
    pub(super) path: String,
    pub(super) key: Option<String>,
    pub(super) body: Value,
}

/// A hold whose end a capture is to meet.
pub(super) struct Racing {
    pub(super) hold: String,
    pub(super) at: Instant,
}

/// One client.
pub(super) struct Worker<'a> {
    pub(super) fleet: &'a Fleet,
    pub(super) control: &'a Control,
    pub(super) random: Random,
    pub(super) told: Told,
    pub(super) racing: VecDeque<Racing>,
    /// The last position at which each account was seen, by whichever server.
    pub(super) latest: HashMap<String, u64>,
}

/// Lets clients work while `direct` does what it likes; answers with what they were told, all together.
pub(super) fn drive(fleet: &Fleet, control: &Control, seed: u64, direct: impl FnOnce(&Control)) -> Told {
    std::thread::scope(|scope| {
        let workers = (0..CLIENTS).map(|nth| {
            let mut worker = Worker {
                fleet,
                control,
                random: Random(seed.wrapping_mul(1_000_003).wrapping_add(nth)),
                told: Told::default(),
                racing: VecDeque::new(),
                latest: HashMap::new(),
            };
            scope.spawn(move || {
                let _ending = Ending(control, false);
                while control.goes_on() {
                    worker.step();
                    control.answered();
                }
                worker.told
            })
        });
        let workers: Vec<_> = workers.collect();
        {
            let bounded = control.end.is_some() || control.steps.load(Ordering::Relaxed) < i64::MAX / 2;
            let _ending = Ending(control, !bounded);
            direct(control);
        }
        let mut all = Told::default();
        for (account, amount) in &fleet.world.funds {
            all.settled.insert(account.clone(), *amount);
        }
        for worker in workers {
            all.merge(worker.join().expect("a client is told nothing wrong"));
        }
        all
    })
}

/// Sends a request to a server, and to the next ones as long as none says what became of it. Whether it had to.
pub(super) fn insist(fleet: &Fleet, control: &Control, server: usize, request: &Request) -> (Answer, bool) {
    let body = request.body.to_string();
    let key = request.key.as_ref().map(|key| ("Idempotency-Key", key.as_str()));
    let headers: Vec<_> = key.into_iter().collect();
    answer(fleet, control, server, |client| {
        client.try_post(&request.path, &headers, &body)
    })
}

/// Asks a server, and the next ones as long as none answers.
pub(super) fn ask(
    fleet: &Fleet,
    control: &Control,
    server: usize,
    path: &str,
    at_least: Option<u64>,
) -> Answer {
    let position = at_least.map(|position| position.to_string());
    let headers: Vec<_> = position
        .iter()
        .map(|position| ("Saldo-Min-Position", position.as_str()))
        .collect();
    answer(fleet, control, server, |client| client.try_get(path, &headers)).0
}

fn answer(
    fleet: &Fleet,
    control: &Control,
    server: usize,
    send: impl Fn(&crate::harness::Client) -> Option<Answer>,
) -> (Answer, bool) {
    let begun = Instant::now();
    for nth in 0.. {
        assert!(begun.elapsed() < PATIENCE, "no answer at any server");
        let sent = Instant::now();
        let answer = send(&fleet.client(server + nth));
        assert!(
            sent.elapsed() < NEVER,
            "a request hung for {:?}: {answer:?}",
            sent.elapsed()
        );
        match answer {
            Some(answer) if answer.status < 500 => return (answer, nth > 0),
            Some(answer) => {
                // The one word for all of these: come again.
                assert_eq!(answer.status, 503, "{answer:?}");
                assert!(answer.retry_after.is_some(), "{answer:?}");
                let code = &answer.json(503)["code"];
                assert!(
                    code == "unavailable" || code == "position_not_reached",
                    "{answer:?}"
                );
                control.unavailable.fetch_add(1, Ordering::Relaxed);
            }
            None => {
                control.unanswered.fetch_add(1, Ordering::Relaxed);
            }
        }
        std::thread::park_timeout(PAUSE);
    }
    unreachable!("it ends by an answer or its patience")
}
