//! Signals: the first one stops the server in order, the second one at once.

use std::future::Future;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::failure::Failure;

/// Done when SIGTERM or SIGINT came. From then on another one ends the process.
pub(crate) fn on_signal() -> Result<impl Future<Output = ()>, Failure> {
    let listen = |kind| signal(kind).map_err(|error| Failure::while_doing("listening for signals", error));
    let mut signals = Signals {
        terminate: listen(SignalKind::terminate())?,
        interrupt: listen(SignalKind::interrupt())?,
    };
    let (tell, told) = oneshot::channel();
    tokio::spawn(async move {
        signals.next().await;
        tracing::info!("stopping; requests in flight are finished first (a second signal ends at once)");
        // Who no longer listens is stopping already.
        let _ = tell.send(());
        let number = signals.next().await;
        tracing::warn!("ended at once");
        std::process::exit(128 + number);
    });
    Ok(async {
        // The task above ends with the process alone, so this is the signal.
        let _ = told.await;
    })
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// The number of the next one.
    async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.terminate.recv() => SignalKind::terminate().as_raw_value(),
            _ = self.interrupt.recv() => SignalKind::interrupt().as_raw_value(),
        }
    }
}
