//! Long requests beside short ones. To read and answer thousands of transactions takes milliseconds of a processor, and who asks
//! for one balance, or waits for the journal's writer, must not stand behind that. So what has a long body is answered by threads
//! of their own, which the system lets work when the others have little to do.

use std::future::Future;
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

    /// Has it done there. It ends, too, where nobody waits for it any more.
    pub(super) async fn answer<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> T {
        let runtime = self.runtime.as_ref().expect("it is here until the end");
        in_task(runtime.handle(), work).await
    }
}

/// Has something done by other threads, for as long as somebody waits for it.
pub(super) async fn in_task<T: Send + 'static>(
    threads: &Handle,
    work: impl Future<Output = T> + Send + 'static,
) -> T {
    let mut tasks = JoinSet::new();
    tasks.spawn_on(work, threads);
    match tasks.join_next().await.expect("one was spawned") {
        Ok(done) => done,
        Err(error) => resume_unwind(error.into_panic()),
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

/// Lets the other threads of this process, and others' on this machine, work first.
#[cfg(target_os = "linux")]
fn step_back() {
    /// A third of the share that others have of a processor that all want.
    const NICE: i32 = 5;
    // Linux does this to the thread that asks, not to its process.
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
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
        let (there, name) = long
            .answer(async {
                #[cfg(target_os = "linux")]
                assert_eq!(rustix::process::getpriority_process(None).unwrap(), 5);
                (
                    Handle::current().id(),
                    std::thread::current().name().map(String::from),
                )
            })
            .await;
        assert_ne!(there, here);
        assert_eq!(name.as_deref(), Some("saldo-long"));
        assert_eq!(
            in_task(long.others(), async { Handle::current().id() }).await,
            here
        );
        #[cfg(target_os = "linux")]
        assert_eq!(
            rustix::process::getpriority_process(None).unwrap(),
            0,
            "the others do not"
        );
    }

    #[tokio::test]
    async fn it_ends_when_nobody_waits_any_more() {
        let long = LongRequests::start().unwrap();
        let (held, dropped) = oneshot::channel::<()>();
        let work = async move {
            let _held = held;
            std::future::pending::<()>().await;
        };
        let waited = tokio::time::timeout(Duration::from_millis(20), long.answer(work)).await;
        assert!(waited.is_err());
        assert!(dropped.await.is_err(), "what it held is gone");
    }

    #[tokio::test]
    #[should_panic(expected = "it went wrong there")]
    async fn a_panic_comes_back() {
        LongRequests::start()
            .unwrap()
            .answer(async { panic!("it went wrong there") })
            .await
    }
}
