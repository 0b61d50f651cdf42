//! The body of an answer, as hyper wants it.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use dialects::Payload;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::{mpsc, watch};

/// All of it, or pieces as they come.
pub(crate) enum Reply {
    Whole(Bytes),
    Stream {
        pieces: mpsc::Receiver<Vec<u8>>,
        /// Done when the server stops: an endless stream would hold it up.
        stopped: Pin<Box<dyn Future<Output = ()> + Send>>,
    },
}

impl Reply {
    pub(super) fn new(payload: Payload, stopping: &watch::Sender<bool>) -> Self {
        match payload {
            Payload::Bytes(bytes) => Self::Whole(Bytes::from(bytes)),
            Payload::Stream(pieces) => {
                let mut stopping = stopping.subscribe();
                let stopped = async move {
                    // A sender that is gone has stopped too.
                    let _ = stopping.wait_for(|stopping| *stopping).await;
                };
                Self::Stream {
                    pieces,
                    stopped: Box::pin(stopped),
                }
            }
        }
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Stream { pieces, stopped } => {
                if stopped.as_mut().poll(context).is_ready() {
                    return Poll::Ready(None);
                }
                let piece = std::task::ready!(pieces.poll_recv(context));
                Poll::Ready(piece.map(|piece| Ok(Frame::data(Bytes::from(piece)))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Stream { .. } => SizeHint::default(),
        }
    }
}
