//! Connections, at most so many, and at most so many who wait for one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use store::StoreError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_postgres::{Client, NoTls};

use crate::error::{Failure, describe};
use crate::options::{Options, Url};
use crate::session::Session;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(5);

/// The connections of a store.
pub(crate) struct Pool {
    url: Url,
    idle: Mutex<Vec<Session>>,
    permits: Arc<Semaphore>,
    waiting: AtomicUsize,
    may_wait: usize,
}

/// A connection on loan.
pub(crate) struct Held {
    pool: Arc<Pool>,
    session: Option<Session>,
    _permit: OwnedSemaphorePermit,
}

impl Pool {
    pub(crate) fn new(url: Url, options: &Options) -> Arc<Self> {
        Arc::new(Self {
            url,
            idle: Mutex::default(),
            permits: Arc::new(Semaphore::new(options.connections)),
            waiting: AtomicUsize::new(0),
            may_wait: options.queue,
        })
    }

    /// Lends a connection, a new one if none is idle.
    pub(crate) async fn lend(self: &Arc<Self>, deadline: Instant) -> Result<Held, Failure> {
        let permit = self.permit(deadline).await?;
        let session = match self.idle() {
            Some(session) => session,
            None => self.connect(deadline).await?,
        };
        Ok(Held {
            pool: Arc::clone(self),
            session: Some(session),
            _permit: permit,
        })
    }

    async fn permit(&self, deadline: Instant) -> Result<OwnedSemaphorePermit, Failure> {
        let busy = || Failure::Lasting(StoreError::Busy);
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Ok(permit);
        }
        let _place = Place::take(&self.waiting, self.may_wait).ok_or_else(busy)?;
        match timeout_at(deadline, Arc::clone(&self.permits).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) => Err(StoreError::Closed("it was stopped".into()).into()),
            Err(_) => Err(busy()),
        }
    }

    fn idle(&self) -> Option<Session> {
        let mut idle = self.idle.lock();
        // The one used last is the likeliest to be good; the others of a lost server go too.
        while let Some(session) = idle.pop() {
            if session.is_good() {
                return Some(session);
            }
        }
        None
    }

    async fn connect(&self, deadline: Instant) -> Result<Session, Failure> {
        let connecting = timeout(CONNECT, self.url.config.connect(NoTls));
        let late = |_| Failure::Passing("the database did not answer in time".into());
        let (client, connection) = timeout_at(deadline, connecting)
            .await
            .map_err(late)?
            .map_err(late)??;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error = describe(&error), "a connection to the database ended");
            }
        });
        Ok(Session::new(client, self.url.prepare))
    }

    /// Takes a connection that was made to open the store.
    pub(crate) fn adopt(&self, client: Client) {
        self.idle.lock().push(Session::new(client, self.url.prepare));
    }

    /// Lends nothing any more.
    pub(crate) fn close(&self) {
        self.permits.close();
        self.idle.lock().clear();
    }
}

/// A place among those who wait.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize, most: usize) -> Option<Self> {
        let before = waiting.fetch_add(1, Ordering::Relaxed);
        let place = Self(waiting);
        (before < most).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Held {
    pub(crate) fn session(&self) -> &Session {
        self.session
            .as_ref()
            .expect("it is given back when dropped alone")
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let good = self.session.take().filter(Session::is_good);
        if let Some(session) = good.filter(|_| !self.pool.permits.is_closed()) {
            self.pool.idle.lock().push(session);
        }
    }
}
