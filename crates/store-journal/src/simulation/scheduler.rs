//! Who goes on next: a seed decides.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

use parking_lot::Mutex;
use store::suite::Random;

use crate::log::DiskError;
use crate::task::{Spawn, Work};

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

struct Running {
    name: &'static str,
    work: Work,
    woken: Arc<Woken>,
}

/// Where tasks are started.
#[derive(Clone, Default)]
pub(super) struct Starter(Arc<Mutex<Vec<(&'static str, Work)>>>);

impl Spawn for Starter {
    fn spawn(&self, name: &'static str, work: Work) -> Result<(), DiskError> {
        self.0.lock().push((name, work));
        Ok(())
    }
}

/// What a step did.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A task went on.
    Done,
    /// None can: each waits for another.
    Stuck,
    /// A task panicked.
    Panicked(String),
}

/// Tasks that take turns on one thread.
pub(super) struct Scheduler {
    starter: Starter,
    tasks: Vec<Running>,
    random: Random,
    /// How likely each is to come next, so that some are slow.
    weights: Vec<(&'static str, u64)>,
}

impl Scheduler {
    pub(super) fn new(random: Random) -> Self {
        Self {
            starter: Starter::default(),
            tasks: Vec::new(),
            random,
            weights: Vec::new(),
        }
    }

    pub(super) fn starter(&self) -> Starter {
        self.starter.clone()
    }

    fn weight(&mut self, name: &'static str) -> u64 {
        if let Some((_, weight)) = self.weights.iter().find(|(known, _)| *known == name) {
            return *weight;
        }
        let weight = self.random.pick(&[1, 4, 4, 16]);
        self.weights.push((name, weight));
        weight
    }

    /// Lets one task go on to where it waits or pauses.
    pub(super) fn step(&mut self) -> Step {
        for (name, work) in std::mem::take(&mut *self.starter.0.lock()) {
            let woken = Arc::new(Woken(AtomicBool::new(true)));
            self.tasks.push(Running { name, work, woken });
        }
        let ready: Vec<_> = self
            .tasks
            .iter()
            .enumerate()
            .filter(|(_, task)| task.woken.0.load(Ordering::Acquire))
            .map(|(nth, task)| (nth, task.name))
            .collect();
        if ready.is_empty() {
            return Step::Stuck;
        }
        let weights: Vec<_> = ready.iter().map(|(_, name)| self.weight(name)).collect();
        let (nth, name) = ready[self.random.weighted(&weights)];
        let task = &mut self.tasks[nth];
        task.woken.0.store(false, Ordering::Release);
        let waker = Waker::from(Arc::clone(&task.woken));
        let mut context = Context::from_waker(&waker);
        match catch_unwind(AssertUnwindSafe(|| task.work.as_mut().poll(&mut context))) {
            Ok(polled) => {
                if polled.is_ready() {
                    self.tasks.remove(nth);
                }
                Step::Done
            }
            Err(panic) => Step::Panicked(format!("{name}: {}", message(&*panic))),
        }
    }

    /// Lets those of a name take what was given to them, once each: the last things that happen.
    pub(super) fn let_take(&mut self, name: &str) {
        for task in self.tasks.iter_mut().filter(|task| task.name == name) {
            if task.woken.0.load(Ordering::Acquire) {
                let mut context = Context::from_waker(Waker::noop());
                // Whether it ends with it does not matter any more.
                let _ = task.work.as_mut().poll(&mut context);
            }
        }
    }
}

/// Tasks end with it, also those that did not begin: some of these hold the place where they wait.
impl Drop for Scheduler {
    fn drop(&mut self) {
        let waiting = std::mem::take(&mut *self.starter.0.lock());
        drop(waiting);
    }
}

/// What a panic said.
pub(super) fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without words").to_owned()
}
