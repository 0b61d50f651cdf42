//! Who uses the simulated store: clients that submit, and repeat what was not answered; readers; and an operator.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ledger::{BookNo, ClientId, Command, Key, Micros, Position, Record};
use parking_lot::Mutex;
use store::gather::{Asked, Submitter, Wanted};
use store::suite::{Random, stream};
use store::{Outcome, StoreError};

use super::disk::SimDisk;
use super::keys::{Promised, forget, keep};
use super::oracle::{Ask, Seen};
use crate::reads::View;
use crate::task::pause;
use crate::vault::Vault;

/// Commands of a run.
const COMMANDS: usize = 150;
/// So many batches go out one after the other: they make the books that others are about.
const FOUNDING: usize = 4;

/// What a command is answered once for all under.
pub(super) type KeyOf = (BookNo, Option<ClientId>, Key);

pub(super) fn key_of(command: &Command) -> KeyOf {
    (command.book, command.client, command.key)
}

/// What the store may answer besides outcomes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Excuses {
    /// The disk was full.
    pub(super) full: bool,
    /// Reads, writes or syncs were made to fail.
    pub(super) faults: bool,
}

/// What was asked for, and what was answered.
pub(super) struct Plan {
    random: Random,
    /// To be sent, the next last.
    waiting: Vec<Vec<Command>>,
    sent: usize,
    under_way: usize,
    /// What was acknowledged, and under which key.
    pub(super) acknowledged: HashMap<KeyOf, Arc<Record>>,
    /// Keys whose first outcome was answered.
    recorded: HashSet<KeyOf>,
    /// Keys of what was said to be accepted, at a position.
    pub(super) accepted: Vec<(KeyOf, Position)>,
    /// Keys that were said to be used with another request, at a position.
    pub(super) conflicts: Vec<(KeyOf, Position)>,
    /// Answered commands, to be repeated.
    answered: Vec<Command>,
    pub(super) seen: Vec<Seen>,
    pub(super) excuses: Excuses,
    pub(super) answers: u64,
    pub(super) refusals: u64,
    pub(super) replays: u64,
    /// The first thing that no client should have been told.
    pub(super) wrong: Option<String>,
}

impl Plan {
    pub(super) fn new(seed: u64) -> Self {
        let mut waiting = stream(seed, COMMANDS);
        waiting.reverse();
        Self {
            random: Random::new(seed ^ 0xC11E),
            waiting,
            sent: 0,
            under_way: 0,
            acknowledged: HashMap::new(),
            recorded: HashSet::new(),
            accepted: Vec::new(),
            conflicts: Vec::new(),
            answered: Vec::new(),
            seen: Vec::new(),
            excuses: Excuses::default(),
            answers: 0,
            refusals: 0,
            replays: 0,
            wrong: None,
        }
    }

    /// Whether everything was answered.
    pub(super) fn is_done(&self) -> bool {
        self.waiting.is_empty() && self.under_way == 0
    }

    fn next(&mut self) -> Option<(Vec<Command>, Wanted)> {
        if self.sent < FOUNDING && self.under_way > 0 {
            return None;
        }
        let batch = self.waiting.pop()?;
        self.sent += 1;
        self.under_way += 1;
        let wanted = match self.random.below(2) {
            0 => Wanted::Record,
            _ => Wanted::Position,
        };
        Some((batch, wanted))
    }

    fn take(&mut self, batch: Vec<Command>, wanted: Wanted, answers: Vec<Result<Outcome, StoreError>>) {
        self.under_way -= 1;
        if answers.len() != batch.len() {
            self.wrong = Some(format!("{} answers to {} commands", answers.len(), batch.len()));
        }
        let too_early = answers
            .iter()
            .any(|answer| matches!(answer, Err(StoreError::NoSuchBook(_))));
        let mut again = Vec::new();
        for (command, answer) in batch.into_iter().zip(answers) {
            if let Err(wrong) = self.answer(&command, wanted, &answer) {
                self.wrong
                    .get_or_insert(format!("{wrong}: {command:?}: {answer:?}"));
            }
            match answer {
                Ok(_) => self.answered.push(command),
                Err(_) => again.push(command),
            }
        }
        if !again.is_empty() {
            // The founding goes on where it stopped; other commands come at any time.
            self.sent = self.sent.saturating_sub(1);
            // Whoever was faster than the book lets those come first who make it.
            match too_early {
                true => self.waiting.insert(0, again),
                false => self.waiting.push(again),
            }
        }
        if self.random.percent(8) && !self.answered.is_empty() {
            let again = self.random.pick(&self.answered);
            let at = self.random.below(self.waiting.len() as u64 + 1);
            self.waiting
                .insert(usize::try_from(at).expect("small"), vec![again]);
        }
    }

    fn answer(
        &mut self,
        command: &Command,
        wanted: Wanted,
        answer: &Result<Outcome, StoreError>,
    ) -> Result<(), &'static str> {
        self.answers += u64::from(answer.is_ok());
        self.refusals += u64::from(answer.is_err());
        let key = key_of(command);
        let known = self.acknowledged.get(&key);
        match answer {
            Ok(Outcome::Recorded(record) | Outcome::Replayed(record)) => {
                let recorded = matches!(answer, Ok(Outcome::Recorded(_)));
                self.replays += u64::from(!recorded);
                if recorded && wanted == Wanted::Position && record.outcome.is_ok() {
                    return Err("a record was answered where its position was asked for");
                }
                if recorded && !self.recorded.insert(key) {
                    return Err("it was recorded a second time");
                }
                if known.is_some_and(|before| before != record) {
                    return Err("it was answered otherwise before");
                }
                if (record.book, record.client, record.key, record.fingerprint)
                    != (command.book, command.client, command.key, command.fingerprint)
                {
                    return Err("another command's outcome was answered");
                }
                self.acknowledged.insert(key, Arc::clone(record));
            }
            Ok(Outcome::Accepted(position)) => {
                if wanted == Wanted::Record {
                    return Err("a position was answered where the record was asked for");
                }
                if !self.recorded.insert(key) {
                    return Err("it was recorded a second time");
                }
                self.accepted.push((key, *position));
            }
            Ok(Outcome::Conflict(position)) => self.conflicts.push((key, *position)),
            Ok(Outcome::Nothing) => {}
            Err(error) => self.excused(error)?,
        }
        Ok(())
    }

    /// Whether there was a reason for an error.
    fn excused(&self, error: &StoreError) -> Result<(), &'static str> {
        match error {
            StoreError::NoSpace if !self.excuses.full => Err("there was space"),
            StoreError::UnknownFate | StoreError::Closed(_) | StoreError::Corrupt(_)
                if !self.excuses.faults =>
            {
                Err("nothing had failed")
            }
            _ => Ok(()),
        }
    }

    /// Takes back what was under way when the process ended: its clients will send it again.
    pub(super) fn process_ended(&mut self, lost: Vec<Vec<Command>>) {
        self.under_way = 0;
        self.sent = self.sent.saturating_sub(lost.len());
        self.waiting.extend(lost);
    }
}

/// What clients have sent and wait for, so that it can be sent again.
pub(super) type UnderWay = Arc<Mutex<Vec<Option<Vec<Command>>>>>;

/// Sends batch after batch until there is none, each once the keys of those that it makes are kept. What is under way is noted
/// in its place.
pub(super) async fn client(
    nth: usize,
    plan: Arc<Mutex<Plan>>,
    under_way: UnderWay,
    submitter: Submitter,
    vault: Arc<Vault>,
    promised: Arc<Mutex<Promised>>,
) {
    loop {
        let next = plan.lock().next();
        let Some((batch, wanted)) = next else {
            if plan.lock().is_done() {
                return;
            }
            pause().await;
            continue;
        };
        under_way.lock()[nth] = Some(batch.clone());
        if let Err(error) = forget(&vault, &promised).await
            && let Err(wrong) = plan.lock().excused(&error)
        {
            let what = format!("{wrong}, and a key was not forgotten: {error}");
            plan.lock().wrong.get_or_insert(what);
        }
        let commands = || batch.iter().cloned().map(Asked::Decide).collect();
        let answers = match keep(&vault, &promised, &batch).await {
            Ok(()) => submitter.submit(commands(), wanted).await,
            Err(error) => vec![Err(error); batch.len()],
        };
        under_way.lock()[nth] = None;
        plan.lock().take(batch, wanted, answers);
        pause().await;
    }
}

/// Reads now and then, and remembers what it saw.
pub(super) async fn reader(mut random: Random, plan: Arc<Mutex<Plan>>, view: View) {
    while !plan.lock().is_done() {
        for _ in 0..random.below(40) {
            pause().await;
        }
        let book = BookNo(u32::try_from(random.below(3)).expect("small"));
        let Ok((position, _)) = view.digest(book) else {
            continue;
        };
        let ask = Ask::by_chance(&mut random, &view, book, position);
        match ask.of_store(&view, book) {
            Ok(answer) => plan.lock().seen.push(Seen {
                book,
                position,
                ask,
                answer,
            }),
            Err(error) => {
                let plan = &mut *plan.lock();
                if !plan.excuses.faults {
                    plan.wrong
                        .get_or_insert(format!("{ask:?} in book {book}: {error}"));
                }
            }
        }
    }
}

/// Fills the disk up and makes space again, so often.
pub(super) async fn operator(mut random: Random, plan: Arc<Mutex<Plan>>, disk: SimDisk, mut times: u64) {
    while times > 0 && !plan.lock().is_done() {
        for _ in 0..random.below(120) {
            pause().await;
        }
        plan.lock().excuses.full = true;
        disk.leave(random.below(40) << 10);
        for _ in 0..random.below(200) {
            pause().await;
        }
        disk.leave(u64::MAX);
        times -= 1;
    }
}

/// A clock that goes on when it is told to.
#[derive(Clone)]
pub(super) struct Clock(Arc<std::sync::atomic::AtomicI64>);

impl Clock {
    pub(super) fn new() -> Self {
        // Behind everything that a stream stamps.
        Self(Arc::new(1_900_000_000_000_000.into()))
    }

    pub(super) fn pass(&self, micros: i64) {
        self.0.fetch_add(micros, std::sync::atomic::Ordering::AcqRel);
    }

    pub(super) fn now(&self) -> Micros {
        Micros(self.0.load(std::sync::atomic::Ordering::Acquire))
    }
}
