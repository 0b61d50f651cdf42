//! Connections, at most so many, and at most so many who wait for one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::{Mutex, RwLock};
use store::StoreError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::connect::{Connector, Line};
use crate::error::Failure;
use crate::facts::Facts;
use crate::options::Options;
use crate::session::Session;

/// The connections of a store.
pub(crate) struct Pool {
    connector: Arc<Connector>,
    prepare: bool,
    /// What is known of the database's server.
    facts: RwLock<Arc<Facts>>,
    idle: Mutex<Vec<Session>>,
    /// How often a connection was found lost. Those that were made before are likely lost as well, and each would cost a try.
    losses: AtomicUsize,
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
    /// Lends connections of this kind; the one that opened the store is the first.
    pub(crate) fn new(connector: Arc<Connector>, first: Line, prepare: bool, options: &Options) -> Arc<Self> {
        Arc::new(Self {
            connector,
            prepare,
            idle: Mutex::new(vec![Session::new(first, prepare, 0)]),
            losses: AtomicUsize::new(0),
            facts: RwLock::default(),
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
        // Counted before, so that a loss meanwhile counts against it.
        let losses = self.losses.load(Ordering::Relaxed);
        let line = self.connector.connect(deadline).await?;
        // It may lead to another server, which took over: what went with the one before is no fact any more.
        *self.facts.write() = Arc::default();
        Ok(Session::new(line, self.prepare, losses))
    }

    /// Takes a connection back, if it can be used again.
    fn take_back(&self, session: Session) {
        let losses = session.losses_before;
        if !session.is_good() {
            let first =
                self.losses
                    .compare_exchange(losses, losses + 1, Ordering::Relaxed, Ordering::Relaxed);
            if first.is_ok() {
                self.idle.lock().clear();
            }
        } else if !self.permits.is_closed() {
            let mut idle = self.idle.lock();
            if losses == self.losses.load(Ordering::Relaxed) {
                idle.push(session);
            }
        }
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
    /// The facts as of now: whoever began with others goes on with those.
    pub(crate) fn facts(&self) -> Arc<Facts> {
        Arc::clone(&self.pool.facts.read())
    }

    pub(crate) fn session(&self) -> &Session {
        self.session
            .as_ref()
            .expect("it is given back when dropped alone")
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            self.pool.take_back(session);
        }
    }
}
