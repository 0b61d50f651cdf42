//! The whole store on a simulated disk, under a scheduler that follows a seed: what users can run to see that a reply
//! means durable, and what tests run to see that each defence is needed.
//!
//! A run makes a store and lives several lives with it. In each, clients submit the commands of a random stream at once,
//! readers read, an operator lets the disk fill up; every task of the store takes its turns on one thread. A life ends when
//! the power goes in the midst of some operation of the disk, when the process is killed, when a write or sync fails, or
//! in peace. Then the store is opened again and the oracle checks all that is promised.

mod clients;
mod damage;
mod disk;
mod keys;
mod many;
mod medium;
mod oracle;
mod run;
mod scheduler;

use std::fmt;

pub use disk::{Operations, SimDisk, Without};
pub use many::run_many;
pub use run::{run, run_without};

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// What was acknowledged, or was durable before, is gone.
    Lost,
    /// What was recorded reads differently.
    Changed,
    /// One key was recorded twice.
    Doubled,
    /// The store differs from the reference model that was fed with the same commands.
    Differs,
    /// A reader saw what was not durable.
    ShownTooEarly,
    /// The store does not open, or can't be read, though nothing of the medium was damaged.
    Refused,
    /// What memory or a file holds is not what the journal gives.
    Derived,
    /// A file under its final name is not complete.
    Incomplete,
    /// Damage of the medium was not found, or not where it is.
    Overlooked,
    /// The key of a text was forgotten, and is there again.
    Remembered,
    /// The store stopped, or answered an error, for no reason.
    Stopped,
    /// No task can go on.
    Stuck,
    /// A part of the store panicked.
    Panicked,
}

/// What a run found to be wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The kind.
    pub kind: Kind,
    /// What exactly.
    pub what: String,
}

impl Wrong {
    fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self {
            kind,
            what: what.into(),
        }
    }
}

/// A run that went wrong, and how to repeat it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The seed.
    pub seed: u64,
    /// The life, from 1.
    pub life: u64,
    /// How many steps the scheduler had taken in all.
    pub step: u64,
    /// What is wrong.
    pub wrong: Wrong,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seed,
            life,
            step,
            wrong: Wrong { kind, what },
        } = self;
        write!(f, "seed {seed}, life {life}, step {step}: {kind:?}: {what}")
    }
}

/// What happened in one or more runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Runs that ended well.
    pub runs: u64,
    /// Lives of a process.
    pub lives: u64,
    /// Steps of the scheduler.
    pub steps: u64,
    /// Operations of the disk at which the power could go.
    pub points: u64,
    /// Folds all operations of all disks.
    pub trace: u64,
    /// Commands that were answered.
    pub commands: u64,
    /// Of these, those that were answered from what was recorded before.
    pub replays: u64,
    /// Commands that were answered with an error, and sent again.
    pub refusals: u64,
    /// Records in the journals at the end.
    pub records: u64,
    /// Reads whose answer was compared.
    pub reads: u64,
    /// The power went while the store was used.
    pub power_losses: u64,
    /// The power went while the store was being made, opened or closed.
    pub power_losses_between: u64,
    /// The process was killed.
    pub kills: u64,
    /// A sync or write failed, and the process stopped.
    pub failed_writes: u64,
    /// Lives with failing reads.
    pub failed_reads: u64,
    /// The disk filled up.
    pub full: u64,
    /// Torn tails that opening cut off.
    pub torn: u64,
    /// Copies of the store in which bits were flipped.
    pub flips: u64,
    /// Clean stops.
    pub clean: u64,
    /// Keys of texts that were kept.
    pub keys: u64,
    /// Of these, those that were forgotten.
    pub keys_forgotten: u64,
}

impl Tally {
    /// Each number with its name.
    #[must_use]
    pub const fn named(&self) -> [(&'static str, u64); 19] {
        [
            ("runs", self.runs),
            ("lives", self.lives),
            ("steps", self.steps),
            ("diskOperations", self.points),
            ("commands", self.commands),
            ("replays", self.replays),
            ("refusals", self.refusals),
            ("records", self.records),
            ("reads", self.reads),
            ("powerLosses", self.power_losses),
            ("powerLossesBetween", self.power_losses_between),
            ("kills", self.kills),
            ("failedWrites", self.failed_writes),
            ("failedReads", self.failed_reads),
            ("fullDisks", self.full),
            ("tornTails", self.torn),
            ("flippedBits", self.flips),
            ("keys", self.keys),
            ("keysForgotten", self.keys_forgotten),
        ]
    }

    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        self.runs += other.runs;
        self.lives += other.lives;
        self.steps += other.steps;
        self.points += other.points;
        self.trace ^= other.trace;
        self.commands += other.commands;
        self.replays += other.replays;
        self.refusals += other.refusals;
        self.records += other.records;
        self.reads += other.reads;
        self.power_losses += other.power_losses;
        self.power_losses_between += other.power_losses_between;
        self.kills += other.kills;
        self.failed_writes += other.failed_writes;
        self.failed_reads += other.failed_reads;
        self.full += other.full;
        self.torn += other.torn;
        self.flips += other.flips;
        self.clean += other.clean;
        self.keys += other.keys;
        self.keys_forgotten += other.keys_forgotten;
    }
}
