//! Long requests beside short ones. To read and answer thousands of transactions takes milliseconds of a processor, and who asks
//! for one balance, or waits for the journal's writer, must not stand behind that. So what has a long body is answered by threads
//! of their own, which the system lets work when the others have little to do.

use std::future::{Future, pending};
use std::panic::resume_unwind;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinSet;

use crate::failure::Failure;

/// A body of so many bytes is long: to answer it takes far more than to hand it over. So is one that does not say.
const LONG: u64 = 64 << 10;

/// Threads for what takes long.
pub(super) struct LongRequests {
    /// Until the end.
    runtime: Option<Runtime>,
    /// The threads of all else.
    others: Handle,
}

impl LongRequests {
    pub(super) fn start() -> Result<Self, Failure> {
        let runtime = Builder::new_multi_thread()
            .thread_name("saldo-long")
            .on_thread_start(step_back)
            .enable_all()
            .build()
            .map_err(|error| Failure::while_doing("starting threads", error))?;
        Ok(Self {
            runtime: Some(runtime),
            others: Handle::current(),
        })
    }

    /// The threads of all else.
    pub(super) const fn others(&self) -> &Handle {
        &self.others
    }

    /// Whether a body of this size makes a request long.
    pub(super) fn takes(body: &impl http_body::Body) -> bool {
        body.size_hint().upper().is_none_or(|most| most >= LONG)
    }

    /// Begins it there.
    pub(super) fn begin<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Elsewhere<T> {
        let runtime = self.runtime.as_ref().expect("it is here until the end");
        Elsewhere::begin(runtime.handle(), work)
    }
}

/// What other threads do, for as long as somebody waits for it.
pub(super) struct Elsewhere<T>(JoinSet<T>);

impl<T: Send + 'static> Elsewhere<T> {
    /// Begins it there. Who waits has no room for it: what it is made of lies with them from now on.
    pub(super) fn begin(threads: &Handle, work: impl Future<Output = T> + Send + 'static) -> Self {
        let mut tasks = JoinSet::new();
        tasks.spawn_on(work, threads);
        Self(tasks)
    }

    /// Waits for its end.
    pub(super) async fn end(mut self) -> T {
        match self.0.join_next().await.expect("one was begun") {
            Ok(done) => done,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                // Its threads are gone, so this server ends; and whoever waits is about to.
                Err(_) => pending().await,
            },
        }
    }
}

/// Does something here, or on these threads.
pub(super) async fn on<T: Send + 'static>(
    elsewhere: Option<&Handle>,
    work: impl Future<Output = T> + Send + 'static,
) -> T {
    match elsewhere {
        None => work.await,
        Some(threads) => Elsewhere::begin(threads, work).end().await,
    }
}

impl Drop for LongRequests {
    fn drop(&mut self) {
        // Waiting for threads is not allowed where this may be dropped; they end by themselves.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// By so much a thread steps back: to a tenth of the share that the others have of a processor that all want.
#[cfg(target_os = "linux")]
const NICER: i32 = 10;

/// Lets the other threads of this process, and others' on this machine, work first.
#[cfg(target_os = "linux")]
fn step_back() {
    // Linux does this to the thread that asks, not to its process.
    if let Err(error) = rustix::process::nice(NICER) {
        tracing::debug!(%error, "the priority of a thread could not be lowered");
    }
}

/// Elsewhere it would be the process that steps back.
#[cfg(not(target_os = "linux"))]
const fn step_back() {}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use http_body::{Frame, SizeHint};
    use http_body_util::{Empty, Full, StreamBody};
    use tokio::sync::oneshot;

    use super::*;

    #[test]
    fn long_is_what_has_many_bytes_or_does_not_say() {
        let full = |bytes: u64| Full::new(Bytes::from(vec![0; bytes as usize]));
        assert!(!LongRequests::takes(&Empty::<Bytes>::new()));
        assert!(!LongRequests::takes(&full(LONG - 1)));
        assert!(LongRequests::takes(&full(LONG)));
        let pieces = futures_util::stream::empty::<Result<Frame<Bytes>, std::io::Error>>();
        let says_nothing = StreamBody::new(pieces);
        assert_eq!(
            http_body::Body::size_hint(&says_nothing).upper(),
            SizeHint::new().upper()
        );
        assert!(LongRequests::takes(&says_nothing));
    }

    #[tokio::test]
    async fn it_is_done_by_threads_of_its_own_that_step_back() {
        let long = LongRequests::start().unwrap();
        let here = Handle::current().id();
        let look = async || {
            let name = std::thread::current().name().map(String::from);
            let priority = rustix::process::getpriority_process(None).unwrap();
            (Handle::current().id(), name, priority)
        };
        let before = look().await.2;
        let (there, name, priority) = long.begin(look()).end().await;
        assert_ne!(there, here);
        assert_eq!(name.as_deref(), Some("saldo-long"));
        let stepped_back = if cfg!(target_os = "linux") { 10 } else { 0 };
        // 19 is the lowest there is.
        assert_eq!(priority, (before + stepped_back).min(19));
        let (again, _, after) = Elsewhere::begin(long.others(), look()).end().await;
        assert_eq!((again, after), (here, before), "the others do not");
    }

    #[tokio::test]
    async fn it_ends_when_nobody_waits_any_more() {
        let long = LongRequests::start().unwrap();
        let (held, dropped) = oneshot::channel::<()>();
        let work = async move {
            let _held = held;
            pending::<()>().await;
        };
        let waited = tokio::time::timeout(Duration::from_millis(20), long.begin(work).end()).await;
        assert!(waited.is_err());
        assert!(dropped.await.is_err(), "what it held is gone");
    }

    #[tokio::test]
    async fn where_its_threads_are_gone_it_is_waited_for_in_vain() {
        let long = LongRequests::start().unwrap();
        let begun = long.begin(pending::<()>());
        drop(long);
        let waited = tokio::time::timeout(Duration::from_millis(200), begun.end()).await;
        assert!(waited.is_err(), "and there is no panic");
    }

    #[tokio::test]
    #[should_panic(expected = "it went wrong there")]
    async fn a_panic_comes_back() {
        LongRequests::start()
            .unwrap()
            .begin(async { panic!("it went wrong there") })
            .end()
            .await
    }
}
