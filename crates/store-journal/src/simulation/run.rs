//! A run: one store, and all that happens to it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use store::suite::{Random, compare};
use tokio::sync::oneshot;

use super::clients::{Clock, Plan, UnderWay, client, operator, reader};
use super::disk::{SimDisk, Without};
use super::keys::Promised;
use super::oracle::Oracle;
use super::scheduler::{Scheduler, Step, message};
use super::{Kind, Tally, Violation, Wrong, damage};
use crate::committer::Watchers;
use crate::log::{Disk, Log, LogError, LogOptions, SegmentSizes, StoreId};
use crate::open::{OpenError, Opened, Options, create_as, open};
use crate::reads::View;
use crate::store_impl::{JournalStore, Running, Started, start};
use crate::task::Spawn;
use crate::vault::Vault;
use crate::verify;

const HERE: &str = "here";
/// A life is over by then.
const MANY_STEPS: u64 = 1_000_000;

/// Runs the store of a seed.
///
/// # Errors
/// The first thing that is wrong.
pub fn run(seed: u64) -> Result<Tally, Box<Violation>> {
    run_without(seed, None)
}

/// Runs the store of a seed on a disk that takes one of its defences away.
///
/// # Errors
/// The first thing that is wrong.
pub fn run_without(seed: u64, defence: Option<Without>) -> Result<Tally, Box<Violation>> {
    let mut run = Run::new(seed, defence);
    match run.all() {
        Ok(()) => Ok(run.tally()),
        Err(wrong) => Err(Box::new(Violation {
            seed,
            life: run.tally.lives,
            step: run.tally.steps,
            wrong,
        })),
    }
}

struct Run {
    random: Random,
    disk: SimDisk,
    clock: Clock,
    options: Options,
    fatal: Arc<AtomicBool>,
    plan: Arc<Mutex<Plan>>,
    promised: Arc<Mutex<Promised>>,
    oracle: Oracle,
    tally: Tally,
}

/// How a life ends, if it does not end in peace before.
#[derive(Clone, Copy, Debug)]
enum Fate {
    PowerLoss,
    Kill(u64),
    FailedSync,
    FailedWrite,
    Peace,
}

/// How a life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    PowerLoss,
    Killed,
    Failed,
    Clean,
}

impl Run {
    fn new(seed: u64, defence: Option<Without>) -> Self {
        let mut random = Random::new(seed);
        let disk = SimDisk::new(random.bits());
        disk.take_away(defence);
        let clock = Clock::new();
        let fatal = Arc::new(AtomicBool::new(false));
        let (time, told) = (clock.clone(), Arc::clone(&fatal));
        let mut options = Options::new(Arc::new(move || time.now()));
        options.on_fatal = Arc::new(move |_| told.store(true, Ordering::Release));
        options.log = LogOptions {
            sizes: SegmentSizes {
                first: random.pick(&[4 << 10, 16 << 10]),
                rest: random.pick(&[8 << 10, 32 << 10]),
            },
            max_frame: 256 << 10,
        };
        options.snapshot_every = Some(random.pick(&[1 << 10, 4 << 10, 16 << 10]));
        // Frames of a few commands, or as large as they come.
        options.cut_at = [1, 2, 8, 512][(seed % 4) as usize];
        options.queue = 64;
        Self {
            plan: Arc::new(Mutex::new(Plan::new(seed))),
            promised: Arc::new(Mutex::new(Promised::new(seed))),
            random,
            disk,
            oracle: Oracle::new(clock.clone()),
            clock,
            options,
            fatal,
            tally: Tally::default(),
        }
    }

    fn tally(&self) -> Tally {
        let plan = self.plan.lock();
        let operations = self.disk.operations();
        let (keys, keys_forgotten) = self.promised.lock().count();
        Tally {
            keys,
            keys_forgotten,
            runs: 1,
            points: operations.points,
            trace: operations.trace,
            commands: plan.answers,
            refusals: plan.refusals,
            replays: plan.replays,
            records: self.oracle.records().len() as u64,
            ..self.tally
        }
    }

    fn all(&mut self) -> Result<(), Wrong> {
        self.make()?;
        let lives = 2 + self.random.below(6);
        while self.tally.lives < lives {
            let fate = match self.random.weighted(&[50, 14, 18, 6, 12]) {
                0 => Fate::PowerLoss,
                1 => Fate::Kill(self.random.below(2_000)),
                2 => Fate::FailedSync,
                3 => Fate::FailedWrite,
                _ => Fate::Peace,
            };
            self.live(fate)?;
        }
        // In the end all is done, and stopped and started cleanly.
        while !self.plan.lock().is_done() {
            self.live(Fate::Peace)?;
        }
        let opened = self.open_whole()?;
        self.check(opened)
    }

    /// Makes the store, by chance not at the first attempt.
    fn make(&mut self) -> Result<(), Wrong> {
        let mut store: StoreId = [0; 16];
        store.copy_from_slice(&self.random.wide().to_le_bytes());
        if self.random.percent(30) {
            self.disk.lose_power_after(Some(self.random.below(25)));
        }
        loop {
            match create_as(&self.disk.disk(), &self.options, HERE, store) {
                Ok(()) | Err(OpenError::Exists(_)) if !self.disk.is_off() => {
                    self.disk.heal();
                    return Ok(());
                }
                _ if self.disk.is_off() => {
                    self.tally.power_losses_between += 1;
                    self.disk.lose_power();
                }
                other => {
                    let what = format!("it can't be made: {:?}", other.err());
                    return Err(Wrong::new(Kind::Refused, what));
                }
            }
        }
    }

    fn live(&mut self, fate: Fate) -> Result<(), Wrong> {
        let opened = self.open()?;
        self.tally.lives += 1;
        // It outlives its task, which nobody would wait for otherwise.
        let held;
        let end = {
            let mut scheduler = Scheduler::new(Random::new(self.random.bits()));
            let spawn: Arc<dyn Spawn> = Arc::new(scheduler.starter());
            let watchers = Arc::new(Watchers::new());
            let (disk, options) = (self.disk.disk(), self.options.clone());
            let started = start(disk, options, opened, watchers, Arc::clone(&spawn));
            let Started {
                view,
                submitter,
                vault,
                running,
                ..
            } = started.map_err(|error| Wrong::new(Kind::Refused, error.to_string()))?;
            held = Arc::clone(&vault);
            self.check_view(&view, &vault)?;
            self.set_fate(fate);
            let clients = 1 + usize::try_from(self.random.below(6)).expect("small");
            let under_way: UnderWay = Arc::new(Mutex::new(vec![None; clients]));
            for nth in 0..clients {
                let work = client(
                    nth,
                    Arc::clone(&self.plan),
                    Arc::clone(&under_way),
                    submitter.clone(),
                    Arc::clone(&vault),
                    Arc::clone(&self.promised),
                );
                spawn_all(&*spawn, "client", work);
            }
            drop(submitter);
            for _ in 0..self.random.below(3) {
                let random = Random::new(self.random.bits());
                spawn_all(
                    &*spawn,
                    "reader",
                    reader(random, Arc::clone(&self.plan), view.clone()),
                );
            }
            if self.random.percent(20) {
                let (random, times) = (Random::new(self.random.bits()), 1 + self.random.below(3));
                self.tally.full += times;
                let work = operator(random, Arc::clone(&self.plan), self.disk.clone(), times);
                spawn_all(&*spawn, "operator", work);
            }
            let end = self.schedule(&mut scheduler, running, fate);
            // Whatever was answered was answered; nothing more happens to the disk.
            scheduler.let_take("client");
            self.disk.stop();
            drop(scheduler);
            let lost = under_way.lock().drain(..).flatten().collect();
            self.plan.lock().process_ended(lost);
            self.promised.lock().process_ended();
            end?
        };
        drop(held);
        self.end(end);
        let wrong = self.plan.lock().wrong.take();
        if let Some(wrong) = wrong.or_else(|| self.promised.lock().wrong.take()) {
            return Err(Wrong::new(Kind::Stopped, wrong));
        }
        Ok(())
    }

    fn set_fate(&mut self, fate: Fate) {
        let soon = self.random.pick(&[3, 20, 60, 200]);
        let after = Some(self.random.below(soon));
        let mut excuses = super::clients::Excuses::default();
        match fate {
            Fate::PowerLoss => {
                self.disk.lose_power_after(after);
                excuses.faults = true;
            }
            Fate::FailedSync => {
                self.disk.fail_sync_after(after);
                excuses.faults = true;
            }
            Fate::FailedWrite => {
                self.disk.fail_write_after(after);
                excuses.faults = true;
            }
            Fate::Kill(_) | Fate::Peace => {}
        }
        if self.random.percent(10) {
            self.disk.fail_read_after(Some(self.random.below(60)));
            self.tally.failed_reads += 1;
            excuses.faults = true;
        }
        self.plan.lock().excuses = excuses;
    }

    /// Lets everyone take turns until the life ends.
    fn schedule(&mut self, scheduler: &mut Scheduler, running: Running, fate: Fate) -> Result<End, Wrong> {
        let mut running = Some(running);
        let (closed, mut closing) = oneshot::channel();
        let mut closed = Some(closed);
        let spawn = scheduler.starter();
        for step in 0..MANY_STEPS {
            if self.disk.is_off() {
                return Ok(End::PowerLoss);
            }
            if self.fatal.load(Ordering::Acquire) {
                return Self::fatal(fate);
            }
            if matches!(fate, Fate::Kill(at) if at == step) {
                return Ok(End::Killed);
            }
            if self.plan.lock().is_done()
                && let Some((running, closed)) = running.take().zip(closed.take())
            {
                spawn_all(&spawn, "closing", async move {
                    // Nobody waits for it when the life ended otherwise.
                    let _ = closed.send(running.close().await);
                });
            }
            if let Ok(how) = closing.try_recv() {
                return match how {
                    Ok(()) => Ok(End::Clean),
                    Err(_) if self.plan.lock().excuses.faults => Ok(End::Failed),
                    Err(error) => Err(Wrong::new(Kind::Stopped, format!("it does not close: {error}"))),
                };
            }
            // Mostly a moment, at times so long that a full disk is asked again.
            let passed = if self.random.percent(98) { 50 } else { 200_000 };
            self.clock
                .pass(i64::try_from(self.random.below(passed)).expect("small"));
            self.tally.steps += 1;
            match scheduler.step() {
                Step::Done => {}
                Step::Stuck => return Err(Wrong::new(Kind::Stuck, "each task waits for another")),
                Step::Panicked(message) => return Err(Wrong::new(Kind::Panicked, message)),
            }
        }
        Err(Wrong::new(
            Kind::Stuck,
            format!("after {MANY_STEPS} steps it is not done"),
        ))
    }

    /// The store says that it can't go on.
    fn fatal(fate: Fate) -> Result<End, Wrong> {
        match fate {
            Fate::FailedSync | Fate::FailedWrite => Ok(End::Failed),
            _ => {
                let what = "it says that the disk failed, which did not";
                Err(Wrong::new(Kind::Stopped, what))
            }
        }
    }

    /// What becomes of the disk.
    fn end(&mut self, end: End) {
        match end {
            End::PowerLoss => self.tally.power_losses += 1,
            End::Killed => self.tally.kills += 1,
            End::Failed => self.tally.failed_writes += 1,
            End::Clean => self.tally.clean += 1,
        }
        // Whoever was told of it has ended, too.
        self.fatal.store(false, Ordering::Release);
        if end == End::PowerLoss {
            self.disk.lose_power();
        } else {
            self.disk.end_process();
            if self.random.percent(40) {
                self.disk.lose_power();
            }
        }
        self.disk.heal();
    }

    /// Opens the store, by chance not at the first attempt.
    fn open(&mut self) -> Result<Opened, Wrong> {
        loop {
            let excused = self.random.percent(30);
            if excused {
                match self.random.below(4) {
                    0 => self.disk.leave(self.random.below(8) << 10),
                    1 => self.disk.fail_sync_after(Some(self.random.below(6))),
                    2 => self.disk.fail_read_after(Some(self.random.below(60))),
                    _ => self.disk.lose_power_after(Some(self.random.below(12))),
                }
            } else {
                self.look_around()?;
            }
            self.disk.opening(true);
            let opened = open(&self.disk.disk(), &self.options, HERE);
            self.disk.opening(false);
            match opened {
                Ok(opened) if !self.disk.is_off() => {
                    self.disk.heal();
                    self.tally.torn += opened.recovery.cut_files.len() as u64;
                    return Ok(opened);
                }
                Err(error) if !excused || is_damage(&error) && !self.disk.is_off() => {
                    return Err(Wrong::new(Kind::Refused, error.to_string()));
                }
                _ => {}
            }
            if self.disk.is_off() {
                self.tally.power_losses_between += 1;
                self.disk.lose_power();
            } else {
                self.disk.stop();
                self.disk.end_process();
            }
            self.disk.heal();
        }
    }

    /// Opens the store for good.
    fn open_whole(&mut self) -> Result<Opened, Wrong> {
        self.disk.opening(true);
        let opened = open(&self.disk.disk(), &self.options, HERE);
        self.disk.opening(false);
        opened.map_err(|error| Wrong::new(Kind::Refused, error.to_string()))
    }

    /// Looks at the files before they are opened, on copies.
    fn look_around(&mut self) -> Result<(), Wrong> {
        let copy = self.disk.copy();
        let disk = copy.disk();
        let identified = Log::identify(&*disk);
        let (store, origin) = identified.map_err(|error| Wrong::new(Kind::Refused, error.to_string()))?;
        damage::complete(&disk, &store, origin)?;
        if self.random.percent(50) {
            let checked = verify(&disk, &self.options, HERE, |_| {});
            checked.map_err(|error| Wrong::new(Kind::Derived, error.to_string()))?;
        }
        Ok(())
    }

    /// Checks what readers see of a store that was just opened.
    fn check_view(&mut self, view: &View, vault: &Vault) -> Result<(), Wrong> {
        let plan = &mut *self.plan.lock();
        self.tally.reads += plan.seen.len() as u64;
        self.oracle.check(view, plan, &mut self.random)?;
        let promised = self.promised.lock();
        promised.check(vault, &self.disk, self.oracle.records())?;
        if self.random.percent(20) {
            let places = damage::places(&view.reader)?;
            let flipped = damage::flip(&self.disk, &self.options, &places, &mut self.random)?;
            self.tally.flips += u64::from(flipped);
        }
        Ok(())
    }

    /// The last look: all that can be read is what the model gives.
    fn check(&mut self, opened: Opened) -> Result<(), Wrong> {
        let scheduler = Scheduler::new(Random::new(0));
        let (disk, options) = (self.disk.disk(), self.options.clone());
        let (watchers, spawn) = (Arc::new(Watchers::new()), Arc::new(scheduler.starter()));
        let started = start(disk, options, opened, watchers, spawn);
        let started = started.map_err(|error| Wrong::new(Kind::Refused, error.to_string()))?;
        // Its task is not to be waited for: nobody lets it go on.
        drop(scheduler);
        self.check_view(&started.view, &started.vault)?;
        drop(started);
        let copy = self.disk.copy().disk();
        let checked = verify(&copy, &self.options, HERE, |_| {});
        checked.map_err(|error| Wrong::new(Kind::Derived, error.to_string()))?;
        match self.random.percent(10) {
            true => self.compare_all(copy),
            false => Ok(()),
        }
    }

    /// Opens the store as it is opened for use, and compares all that can be read.
    fn compare_all(&mut self, disk: Arc<dyn Disk>) -> Result<(), Wrong> {
        let refused = |error: String| Wrong::new(Kind::Refused, error);
        let store = JournalStore::open(disk, self.options.clone(), HERE);
        let store = store.map_err(|error| refused(error.to_string()))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        let runtime = runtime.map_err(|error| refused(error.to_string()))?;
        let (seed, model) = (self.random.bits(), self.oracle.model());
        let compare = compare(model, &store, seed, 30, "in the end".to_owned());
        let compared = catch_unwind(AssertUnwindSafe(|| runtime.block_on(compare)));
        compared.map_err(|panic| Wrong::new(Kind::Differs, message(&*panic)))
    }
}

fn is_damage(error: &OpenError) -> bool {
    matches!(
        error,
        OpenError::NotFound(_)
            | OpenError::Exists(_)
            | OpenError::Vault(_)
            | OpenError::Log(
                LogError::Damaged(_)
                    | LogError::MissingSegment { .. }
                    | LogError::ForeignStore { .. }
                    | LogError::UnknownPosition { .. }
                    | LogError::NotFound
            )
    )
}

fn spawn_all(spawn: &dyn Spawn, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
    spawn
        .spawn(name, Box::pin(work))
        .expect("the scheduler takes every task");
}
