//! The load itself: every connection asks, waits, asks again, until the time is over.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::task::LocalSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::cpu::{Cpu, Watched};
use super::journal::Journal;
use super::tally::Tally;
use super::wire::{Connection, Target};
use super::workload::{Maker, Workload};
use super::world::World;
use crate::failure::Failure;

/// How long to wait before a server that refused a connection is asked again.
const PAUSE: Duration = Duration::from_millis(50);

/// One workload, and how hard.
pub(super) struct Load {
    pub(super) workload: Workload,
    pub(super) targets: Vec<Target>,
    pub(super) world: Arc<World>,
    pub(super) connections: usize,
    pub(super) threads: usize,
    pub(super) batch: usize,
    /// Requests a second altogether; without it every connection asks as soon as it was answered.
    pub(super) rate: Option<u64>,
    pub(super) warm_up: Duration,
    pub(super) duration: Duration,
    /// Where random numbers begin: no two loads ask the same.
    pub(super) seed: u64,
    pub(super) journal: Journal,
}

/// What was used up while it counted.
pub(super) struct Used {
    pub(super) cpu: Cpu,
    /// What was written to the journal, in bytes, if the servers say.
    pub(super) journal: Option<u64>,
}

/// When what counts.
#[derive(Clone, Copy)]
struct Window {
    begin: Instant,
    measured: Instant,
    end: Instant,
}

impl Load {
    /// Runs the load; `tick` hears once a tenth of a second how much of its time has passed.
    pub(super) fn run(self, watched: &[Watched], tick: impl Fn(Duration)) -> Result<(Tally, Used), Failure> {
        let load = Arc::new(self);
        let begin = Instant::now();
        let measured = begin + load.warm_up;
        let window = Window {
            begin,
            measured,
            end: measured + load.duration,
        };
        let threads: Vec<_> = (0..load.threads)
            .map(|nth| {
                let load = Arc::clone(&load);
                thread::spawn(move || load.thread(nth, window))
            })
            .collect();
        let used = runtime()?.block_on(watch(window, watched, &load.journal, tick));
        let mut whole = Tally::new();
        for thread in threads {
            let tally = thread
                .join()
                .map_err(|_| Failure::new("a thread of the load ended in a panic"))?;
            whole.add(&tally?);
        }
        Ok((whole, used))
    }

    /// The connections of one thread, on an event loop of its own: nothing is shared but the world.
    fn thread(&self, nth: usize, window: Window) -> Result<Tally, Failure> {
        let tally = Rc::new(RefCell::new(Tally::new()));
        let local = LocalSet::new();
        for connection in (nth..self.connections).step_by(self.threads) {
            local.spawn_local(self.worker(connection, window, Rc::clone(&tally)).run());
        }
        runtime()?.block_on(local);
        Ok(tally.take())
    }

    fn worker(&self, nth: usize, window: Window, tally: Rc<RefCell<Tally>>) -> Worker {
        let target = self.targets[nth % self.targets.len()].clone();
        let seed = self.seed.wrapping_add((nth as u64) << 40);
        let period = self
            .rate
            .map(|rate| Duration::from_nanos(1_000_000_000 / rate.max(1)));
        Worker {
            maker: Maker::new(self.workload, self.batch, &self.world, &target.host, seed),
            target,
            window,
            due: period.map(|period| {
                let first = window.begin + period * nth as u32;
                (first, period * self.connections as u32)
            }),
            tally,
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::while_doing("starting an event loop", error))
}

/// Waits for the end, and measures what was used up while it counted.
async fn watch(window: Window, watched: &[Watched], journal: &Journal, tick: impl Fn(Duration)) -> Used {
    let wait = async |until: Instant| {
        while Instant::now() < until {
            sleep_until(until.min(Instant::now() + Duration::from_millis(100))).await;
            tick(window.begin.elapsed());
        }
    };
    wait(window.measured).await;
    let (before, written) = (Cpu::now(watched), journal.written().await);
    wait(window.end).await;
    let cpu = Cpu::now(watched).since(&before);
    let since = |now: u64| written.and_then(|written| now.checked_sub(written));
    Used {
        cpu,
        journal: journal.written().await.and_then(since),
    }
}

/// Who asks on one connection.
struct Worker {
    target: Target,
    maker: Maker,
    window: Window,
    /// With a fixed rate: when the next request is due, and how long after it the one behind.
    due: Option<(Instant, Duration)>,
    tally: Rc<RefCell<Tally>>,
}

impl Worker {
    async fn run(mut self) {
        let mut open = None;
        loop {
            let mut connection = match open.take() {
                Some(connection) => connection,
                None => match Connection::open(self.target.address).await {
                    Ok(connection) => connection,
                    Err(error) => {
                        if Instant::now() >= self.window.end {
                            return;
                        }
                        self.tally.borrow_mut().failed(&error);
                        sleep(PAUSE).await;
                        continue;
                    }
                },
            };
            // A request that is late counts from when it was due: its wait is part of what a user sees.
            let begun = match &mut self.due {
                None => Instant::now(),
                Some((due, period)) => {
                    let begun = *due;
                    *due += *period;
                    sleep_until(begun).await;
                    begun
                }
            };
            if begun >= self.window.end {
                return;
            }
            let (request, transactions) = self.maker.next();
            let answered = connection.exchange(request).await;
            let now = Instant::now();
            let mut tally = self.tally.borrow_mut();
            match answered {
                Ok(answer) => {
                    if begun >= self.window.measured {
                        let in_time = now < self.window.end;
                        tally.answered(&answer, transactions, now - begun, in_time);
                    }
                    open = Some(connection);
                }
                Err(error) => tally.failed(&error),
            }
        }
    }
}
