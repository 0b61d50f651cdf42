//! The parts of the store that work beside each other: the writer, the committer, whoever makes snapshots, runs and
//! segments. Each is a task that says where others may come first. In production every task has a thread of its own; the
//! simulation polls them on one thread, in an order that follows from a seed.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use tokio::sync::oneshot;

use crate::log::DiskError;

/// What a task does.
pub(crate) type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Starts tasks.
pub(crate) trait Spawn: Send + Sync {
    /// Starts one; it is dropped when it has ended.
    fn spawn(&self, name: &'static str, work: Work) -> Result<(), DiskError>;
}

/// A thread for each task.
pub(crate) struct Threads;

impl Spawn for Threads {
    fn spawn(&self, name: &'static str, work: Work) -> Result<(), DiskError> {
        let thread = std::thread::Builder::new()
            .name(name.into())
            .spawn(|| block_on(work));
        thread
            .map(|_| ())
            .map_err(|error| DiskError::from_io("starting", name, error))
    }
}

/// A task that was started.
pub(crate) struct Task<T>(oneshot::Receiver<T>);

/// A task panicked, or was dropped before its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EndedBadly;

impl<T: Send + 'static> Task<T> {
    /// Starts work. All that it holds is dropped before its end is seen.
    pub(crate) fn start(
        spawn: &dyn Spawn,
        name: &'static str,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<Self, DiskError> {
        let (ended, end) = oneshot::channel();
        let work = Box::pin(work);
        let work = async move {
            let given = work.await;
            // Whoever started it may not care.
            let _ = ended.send(given);
        };
        spawn.spawn(name, Box::pin(work))?;
        Ok(Self(end))
    }

    /// Waits for its end.
    pub(crate) async fn end(self) -> Result<T, EndedBadly> {
        self.0.await.map_err(|_| EndedBadly)
    }

    /// Whether it is still at work.
    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.0.try_recv(), Err(oneshot::error::TryRecvError::Empty))
    }
}

/// Lets other tasks come first, where they share a thread; costs next to nothing where they don't.
pub(crate) async fn pause() {
    let mut paused = false;
    poll_fn(|context| {
        if paused {
            return Poll::Ready(());
        }
        paused = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs work to its end on this thread.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    // Where this is called inside of a runtime's task, its budget is not ours: we never give the thread back.
    let mut work = pin!(tokio::task::unconstrained(work));
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match work.as_mut().poll(&mut context) {
            Poll::Ready(given) => return given,
            Poll::Pending => std::thread::park(),
        }
    }
}
