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
    /// For the rest of a head, from its first bytes on.
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
        if matches!(flushed, Poll::Ready(Ok(()))) {
            self.writing = None;
        }
        self.written(flushed, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.inner).poll_shutdown(context);
        self.written(shut, context)
    }
}
