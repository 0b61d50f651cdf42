//! The body of an answer that is made while it is sent. It ends when the server stops: who reads on asks another one.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use dialects::Rest;
use http_body::{Body, Frame};
use service::Problem;
use tokio::sync::watch;

use crate::log::{self, RequestId};

/// What makes the body, and what came of it last.
type Made = (Source, Result<Option<Vec<u8>>, Problem>);

/// What makes the body.
struct Source {
    rest: Box<dyn Rest>,
    stopping: watch::Receiver<bool>,
    id: RequestId,
}

/// Such a body.
pub(super) struct Live(Option<Pin<Box<dyn Future<Output = Made> + Send>>>);

impl Live {
    pub(super) fn new(rest: Box<dyn Rest>, stopping: watch::Receiver<bool>, id: RequestId) -> Self {
        Self(Some(Box::pin(make(Source { rest, stopping, id }))))
    }
}

async fn make(mut source: Source) -> Made {
    let Source { rest, stopping, id } = &mut source;
    let next = log::about(*id, async {
        tokio::select! {
            biased;
            // A sender that is gone has stopped too.
            _ = stopping.wait_for(|stopping| *stopping) => Ok(None),
            next = rest.next() => {
                if let Err(problem) = &next {
                    tracing::warn!(?problem, "an answer was broken off");
                }
                next
            }
        }
    })
    .await;
    (source, next)
}

impl Body for Live {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let Some(making) = &mut self.0 else {
            return Poll::Ready(None);
        };
        let (source, next) = ready!(making.as_mut().poll(context));
        self.0 = None;
        Poll::Ready(match next {
            Ok(None) => None,
            Ok(Some(part)) => {
                self.0 = Some(Box::pin(make(source)));
                Some(Ok(Frame::data(Bytes::from(part))))
            }
            // Broken off, so that nobody takes this for the end.
            Err(_) => Some(Err(io::Error::other("the answer can't go on"))),
        })
    }
}
