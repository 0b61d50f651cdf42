//! The store: making, opening and closing it, and what it is made of.

use std::sync::Arc;
use std::time::Duration;

use ledger::{BookNo, Command, Position, TransactionId};
use store::{Outcome, StoreError};
use tokio::time::{Instant, sleep_until};

use crate::batch::Desk;
use crate::error::{Failure, OpenError};
use crate::kept::Shelf;
use crate::keys::Keys;
use crate::lanes::Lanes;
use crate::marks;
use crate::migrate::{STEPS, bring_up_to_date, connect, in_time};
use crate::options::{Options, Url};
use crate::pool::Pool;
use crate::session::{Purpose, Transaction};
use crate::signing;
use crate::space::Space;

/// How long a reader waits for a position.
const REACH: Duration = Duration::from_secs(1);
/// How long to wait before a read is tried again.
pub(crate) const PAUSE: Duration = Duration::from_millis(50);

/// A store on PostgreSQL.
pub struct PostgresStore {
    pub(crate) desk: Arc<Desk>,
    pub(crate) keys: Arc<Keys>,
    lanes: Arc<Lanes>,
    pub(crate) deadline: Duration,
}

/// Makes a store in a database; one that is there already is left as it is.
///
/// # Errors
/// When the database can't be reached or used.
pub async fn create(url: &Url, options: &Options) -> Result<(), OpenError> {
    let (_, line) = connect(url, options).await?;
    bring_up_to_date(&line.client, STEPS, true, options).await?;
    let made = in_time(options.deadline, signing::ensure(&line.client, (options.clock)())).await;
    made.map(|_| ())
}

impl PostgresStore {
    /// Opens the store of a database, and brings its tables up to date.
    ///
    /// # Errors
    /// When there is none, or the database can't be reached or used.
    pub async fn open(url: &Url, options: Options) -> Result<Self, OpenError> {
        let (connector, line) = connect(url, &options).await?;
        bring_up_to_date(&line.client, STEPS, false, &options).await?;
        let mark = in_time(options.deadline, marks::read(&line.client)).await?;
        if let Some(mark) = mark.filter(|_| !options.despite_mark) {
            return Err(OpenError::Marked(mark));
        }
        in_time(options.deadline, signing::ensure(&line.client, (options.clock)())).await?;
        let pool = Pool::new(connector, line, url.prepare, &options);
        let desk = Arc::new(Desk {
            pool,
            shelf: Shelf::default(),
            space: Space::default(),
            clock: Arc::clone(&options.clock),
            patience: options.patience,
        });
        let keys = Keys::new(Arc::clone(&desk), options.queue);
        let lanes = Lanes::new(Arc::clone(&desk), &options);
        Ok(Self {
            desk,
            keys,
            lanes,
            deadline: options.deadline,
        })
    }

    /// Takes commands: those of one book that stand together share a batch.
    pub(crate) async fn take(&self, commands: Vec<Command>) -> Vec<Result<Outcome, StoreError>> {
        let mut answers = Vec::with_capacity(commands.len());
        let mut rest = commands.into_iter().peekable();
        while let Some(first) = rest.next() {
            let book = first.book;
            let mut run = vec![first];
            while let Some(next) = rest.next_if(|next| next.book == book) {
                run.push(next);
            }
            answers.extend(self.lanes.submit(book, run).await);
        }
        answers
    }

    /// Whether commands are taken: one that leaves nothing behind goes the way of all of them, and there is space for more.
    pub(crate) async fn is_ready(&self) -> Result<(), StoreError> {
        // The expiry of a hold that can't be.
        let probe = Command::expiry(BookNo::OPERATOR, TransactionId(0), (self.desk.clock)());
        let answers = self.take(vec![probe]).await;
        answers.into_iter().try_for_each(|answer| answer.map(|_| ()))?;
        self.desk.prove_space().await
    }

    /// Waits until the book is at `wanted`, whichever server takes it there.
    pub(crate) async fn wait_for(&self, book: BookNo, wanted: Position) -> Result<(), StoreError> {
        let deadline = Instant::now() + REACH;
        let look = || self.position_of(book);
        self.lanes.horizon.wait(book, wanted, deadline, look).await
    }

    pub(crate) fn own_meter(&self) -> &store::meter::Meter {
        &self.lanes.meter
    }

    /// Finishes what was taken, and closes the connections.
    pub(crate) async fn stop(&self) {
        self.lanes.close().await;
        self.desk.pool.close();
    }
}

impl Desk {
    /// Works in one transaction; again, when the reason for a failure passes.
    pub(crate) async fn attempt<T, F>(
        &self,
        purpose: Purpose,
        work: impl Fn(Transaction) -> F + Send,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, Failure>> + Send,
    {
        let deadline = Instant::now() + self.patience;
        loop {
            let answer = match self.begin(purpose, deadline).await {
                Ok(tx) => work(tx).await,
                Err(failure) => Err(failure),
            };
            match answer {
                Ok(answer) => return Ok(answer),
                Err(Failure::Lasting(error)) => return Err(error),
                Err(Failure::NoSpace) => {
                    self.space.ran_out();
                    return Err(StoreError::NoSpace);
                }
                Err(Failure::Passing(why)) => {
                    tracing::debug!(why, "it is tried again");
                    let again = Instant::now() + PAUSE;
                    if again >= deadline {
                        return Err(StoreError::Busy);
                    }
                    sleep_until(again).await;
                }
            }
        }
    }

    async fn begin(&self, purpose: Purpose, deadline: Instant) -> Result<Transaction, Failure> {
        let held = self.pool.lend(deadline).await?;
        Transaction::begin(held, purpose, deadline).await
    }
}
