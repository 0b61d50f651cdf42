//! A connection that is not waited for without end: who says nothing, sends a head byte by byte, or does not take an answer, is
//! cut off.
//!
//! hyper could limit how long a connection idles, but makes a timer for each request, and it can't tell that a head has begun,
//! nor that an answer does not get away. Here nothing is timed while all goes well: a timer is made when a read or write first has
//! to wait, and the one between requests runs on when they come.
//!
//! hyper reads for heads and bodies alone, since it is told that who closes one way still listens
//! ([`half_close`](hyper::server::conn::http1::Builder::half_close)): a long answer is no idling.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// Between requests: nothing of a next one has come.
const IDLE: u8 = 0;
/// Some of a head has come.
const HEAD: u8 = 1;
/// The head is complete; body and answer have time-outs of their own.
const ASKED: u8 = 2;

/// Where a connection is with its request: told by what answers, read by what waits.
#[derive(Clone, Default)]
pub(super) struct Phase(Arc<AtomicU8>);

impl Phase {
    /// A head has been read.
    pub(super) fn asked(&self) {
        self.0.store(ASKED, Ordering::Relaxed);
    }

    /// An answer is there to be written: what comes from now on is the next head.
    pub(super) fn answered(&self) {
        self.0.store(IDLE, Ordering::Relaxed);
    }

    fn is(&self, phase: u8) -> bool {
        self.0.load(Ordering::Relaxed) == phase
    }
}

/// How long is waited.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For a request, from the end of the last one on.
    pub(super) idle: Duration,
    /// For the rest of a head, from its first bytes on: those that come apart from the request before.
    pub(super) head: Duration,
    /// For an answer to be taken, from the first time that it can't be written on.
    pub(super) answer: Duration,
}

/// A connection with patience.
pub(super) struct Patient<S> {
    inner: S,
    phase: Phase,
    patience: Patience,
    /// Since when it idles, once it was looked at.
    idle_since: Option<Instant>,
    idling: Option<Pin<Box<Sleep>>>,
    reading: Option<Pin<Box<Sleep>>>,
    writing: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    pub(super) fn new(inner: S, phase: Phase, patience: Patience) -> Self {
        Self {
            inner,
            phase,
            patience,
            idle_since: None,
            idling: None,
            reading: None,
            writing: None,
        }
    }

    /// Waits for a request. A timer that was made for an earlier one ends too early; then it goes on until it is time.
    fn idle<T>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        let until = *self.idle_since.get_or_insert_with(Instant::now) + self.patience.idle;
        let timer = self
            .idling
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        while timer.as_mut().poll(context).is_ready() {
            if timer.deadline() >= until {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "nothing was asked")));
            }
            timer.as_mut().reset(until);
        }
        Poll::Pending
    }
}

/// Waits with a timer, which begins now if it has not begun.
fn wait<T>(
    timer: &mut Option<Pin<Box<Sleep>>>,
    patience: Duration,
    context: &mut Context<'_>,
    what: &str,
) -> Poll<io::Result<T>> {
    let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
    match timer.as_mut().poll(context) {
        Poll::Ready(()) => Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, what))),
        Poll::Pending => Poll::Pending,
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.phase.is(IDLE) {
            this.idle_since = None;
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.inner).poll_read(context, buffer);
        match &read {
            Poll::Ready(_) if buffer.filled().len() > before && this.phase.is(IDLE) => {
                this.phase.0.store(HEAD, Ordering::Relaxed);
                this.idle_since = None;
                this.reading = None;
            }
            Poll::Pending if this.phase.is(IDLE) && this.writing.is_none() => return this.idle(context),
            // The next head may wait in turn while the answer to the last one is written.
            Poll::Pending if this.phase.is(HEAD) && this.writing.is_none() => {
                return wait(
                    &mut this.reading,
                    this.patience.head,
                    context,
                    "a head came too slowly",
                );
            }
            _ => {}
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> Patient<S> {
    /// The result of a write or flush, or an end to waiting for it.
    fn written<T>(&mut self, written: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        match written {
            Poll::Pending => wait(
                &mut self.writing,
                self.patience.answer,
                context,
                "an answer was taken too slowly",
            ),
            ready => ready,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.written(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(context, bytes);
        self.written(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(context);
        if matches!(flushed, Poll::Ready(Ok(()))) && self.writing.take().is_some() {
            // A read that waited meanwhile was not timed, and hyper has no reason to try it again.
            self.idle_since = None;
            context.waker().wake_by_ref();
        }
        self.written(flushed, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.inner).poll_shutdown(context);
        self.written(shut, context)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use bytes::Bytes;
    use http_body_util::{BodyExt, Full};
    use hyper::body::Incoming;
    use hyper::server::conn::http1;
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::*;

    /// How long a connection may idle.
    const WAIT: Duration = Duration::from_secs(10);
    /// The bytes of an answer's body.
    const BODY: usize = 10_000;

    /// A connection to a server that answers each request, having read its body unless it is asked to answer at once;
    /// `room` bytes may be under way.
    fn connection(room: usize) -> DuplexStream {
        let (client, server) = tokio::io::duplex(room);
        let phase = Phase::default();
        let patience = Patience {
            idle: WAIT,
            head: WAIT,
            answer: 100 * WAIT,
        };
        let told = phase.clone();
        let answer = service_fn(move |request: hyper::Request<Incoming>| {
            let told = told.clone();
            async move {
                told.asked();
                if request.uri().path() != "/at-once" {
                    request.into_body().collect().await.expect("a body");
                }
                told.answered();
                let body = Full::new(Bytes::from(vec![b'.'; BODY]));
                Ok::<_, Infallible>(hyper::Response::new(body))
            }
        });
        let stream = TokioIo::new(Patient::new(server, phase, patience));
        let mut http = http1::Builder::new();
        http.half_close(true).header_read_timeout(None);
        tokio::spawn(http.serve_connection(stream, answer));
        client
    }

    /// How long it takes until the server closes. Time goes on when nobody has anything else to do.
    async fn until_closed(client: &mut DuplexStream) -> Duration {
        let begun = Instant::now();
        let closed = tokio::time::timeout(100 * WAIT, client.read_to_end(&mut Vec::new())).await;
        closed.expect("it is closed at some time").expect("an end");
        begun.elapsed()
    }

    async fn ask(client: &mut DuplexStream, request: &str) {
        client.write_all(request.as_bytes()).await.expect("sent");
    }

    async fn answer(client: &mut DuplexStream) {
        let mut told = Vec::new();
        while !told.ends_with(&[b'.'; BODY]) {
            assert_ne!(
                client.read_buf(&mut told).await.expect("read"),
                0,
                "it was closed"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_is_let_go_when_it_is_time() {
        assert_eq!(until_closed(&mut connection(2 * BODY)).await, WAIT);
        let mut client = connection(2 * BODY);
        for wait in [7, 9, 1, 9] {
            tokio::time::sleep(Duration::from_secs(wait)).await;
            ask(&mut client, "GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
            answer(&mut client).await;
        }
        assert_eq!(until_closed(&mut client).await, WAIT);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_has_to_wait_is_no_way_to_stay() {
        let mut client = connection(256);
        let expect = "Expect: 100-continue\r\nContent-Length: 1\r\n";
        let request = format!("GET /at-once HTTP/1.1\r\nHost: x\r\n{expect}\r\nx");
        ask(&mut client, &request).await;
        tokio::time::sleep(3 * WAIT).await;
        answer(&mut client).await;
        assert_eq!(until_closed(&mut client).await, WAIT);
        let mut client = connection(256);
        ask(&mut client, &format!("{request}GET /next")).await;
        tokio::time::sleep(3 * WAIT).await;
        answer(&mut client).await;
        assert!(until_closed(&mut client).await <= 2 * WAIT);
    }

    #[tokio::test(start_paused = true)]
    async fn what_came_with_the_request_before_is_no_idling() {
        let mut client = connection(2 * BODY);
        let head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n";
        ask(&mut client, head).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        ask(&mut client, &format!("x{head}")).await;
        answer(&mut client).await;
        tokio::time::sleep(WAIT - Duration::from_secs(1)).await;
        ask(&mut client, "x").await;
        answer(&mut client).await;
        assert_eq!(until_closed(&mut client).await, WAIT);
    }
}
