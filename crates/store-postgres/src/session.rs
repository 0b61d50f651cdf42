//! A connection, and a transaction on it.
//!
//! Statements that don't need each other's answers are sent together: a future sends its statement when it is first
//! polled, and PostgreSQL runs them in that order. So nothing here may wait before it sends.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::{join, join_all, ready};
use futures_util::{FutureExt, TryStreamExt};
use parking_lot::Mutex;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row, SimpleQueryStream, Statement};
use uuid::Uuid;

use crate::connect::Line;
use crate::error::{Failure, ends_session};
use crate::facts::Facts;
use crate::numeric::Numeric;
use crate::pool::Held;

/// A parameter of a statement, which knows its type: so a statement can be sent with its parameters at once.
pub(crate) trait Param: ToSql + Sync + Send {
    fn sql_type(&self) -> Type;
    fn as_sql(&self) -> &(dyn ToSql + Sync);
}

macro_rules! params {
    ($($rust:ty => $sql:ident,)*) => {$(
        impl Param for $rust {
            fn sql_type(&self) -> Type {
                Type::$sql
            }

            fn as_sql(&self) -> &(dyn ToSql + Sync) {
                self
            }
        }
    )*};
}

params! {
    i16 => INT2, i32 => INT4, i64 => INT8, bool => BOOL, Uuid => UUID, String => TEXT, Vec<u8> => BYTEA,
    Option<i16> => INT2, Option<i32> => INT4, Option<i64> => INT8, Option<Uuid> => UUID, Option<String> => TEXT,
    Vec<i16> => INT2_ARRAY, Vec<i32> => INT4_ARRAY, Vec<i64> => INT8_ARRAY, Vec<bool> => BOOL_ARRAY,
    Vec<Uuid> => UUID_ARRAY, Vec<String> => TEXT_ARRAY, Vec<&str> => TEXT_ARRAY, Vec<Vec<u8>> => BYTEA_ARRAY, Vec<Numeric> => NUMERIC_ARRAY,
    Vec<Option<Uuid>> => UUID_ARRAY, Vec<Option<i64>> => INT8_ARRAY,
}

/// A statement with its parameters as a future that holds them, to be joined with others.
macro_rules! ask {
    ($tx:expr, $sql:expr $(, $param:expr)* $(,)?) => {
        async { $tx.query($sql, &[$(&$param),*]).await }
    };
}
pub(crate) use ask;

/// After so many uses a statement is prepared.
const WORTH_PREPARING: u32 = 3;

enum Known {
    Seen(u32, Vec<Type>),
    Prepared(Statement),
}

/// A connection.
pub(crate) struct Session {
    client: Client,
    prepare: bool,
    statements: Mutex<HashMap<String, Known>>,
    broken: AtomicBool,
    task: AbortHandle,
    /// How many connections the pool had found lost when this one was made.
    pub(crate) losses_before: usize,
}

impl Session {
    pub(crate) fn new(line: Line, prepare: bool, losses_before: usize) -> Self {
        Self {
            client: line.client,
            prepare,
            statements: Mutex::default(),
            broken: AtomicBool::new(false),
            task: line.task,
            losses_before,
        }
    }

    /// Whether it can be used again.
    pub(crate) fn is_good(&self) -> bool {
        !self.client.is_closed() && !self.broken.load(Ordering::Relaxed)
    }

    /// Prepares what was used often. It waits, so it is done before anything is sent.
    pub(crate) async fn prepare_often_used(&self) -> Result<(), Failure> {
        let often: Vec<_> = {
            let statements = self.statements.lock();
            let often = statements.iter().filter_map(|(text, known)| match known {
                Known::Seen(times, types) if *times >= WORTH_PREPARING => Some((text.clone(), types.clone())),
                _ => None,
            });
            often.collect()
        };
        let prepared = join_all(
            often
                .iter()
                .map(|(text, types)| self.client.prepare_typed(text, types)),
        )
        .await;
        for ((text, _), prepared) in often.into_iter().zip(prepared) {
            let prepared = prepared.map_err(|error| self.failed(error))?;
            self.statements.lock().insert(text, Known::Prepared(prepared));
        }
        Ok(())
    }

    /// What an error means; and, should the connection be of no more use, that nobody gets it again.
    fn failed(&self, error: tokio_postgres::Error) -> Failure {
        if ends_session(&error) {
            self.broken.store(true, Ordering::Relaxed);
        }
        error.into()
    }

    async fn query(&self, text: &str, params: &[&dyn Param]) -> Result<Vec<Row>, Failure> {
        let asked = self.ask(text, params).await;
        asked.map_err(|error| self.failed(error))
    }

    async fn ask(&self, text: &str, params: &[&dyn Param]) -> Result<Vec<Row>, tokio_postgres::Error> {
        match self.prepared(text, params) {
            Some(statement) => {
                let params: Vec<_> = params.iter().map(|param| param.as_sql()).collect();
                self.client.query(&statement, &params).await
            }
            None => {
                let params: Vec<_> = params
                    .iter()
                    .map(|param| (param.as_sql(), param.sql_type()))
                    .collect();
                self.client.query_typed(text, &params).await
            }
        }
    }

    fn prepared(&self, text: &str, params: &[&dyn Param]) -> Option<Statement> {
        if !self.prepare {
            return None;
        }
        let mut statements = self.statements.lock();
        match statements.get_mut(text) {
            Some(Known::Prepared(statement)) => Some(statement.clone()),
            Some(Known::Seen(times, _)) => {
                *times += 1;
                None
            }
            None => {
                let types = params.iter().map(|param| param.sql_type()).collect();
                statements.insert(text.to_owned(), Known::Seen(1, types));
                None
            }
        }
    }

    /// Runs a command outside of any transaction.
    pub(crate) async fn run(&self, command: &str, deadline: Instant) -> Result<(), Failure> {
        match timeout_at(deadline, self.client.batch_execute(command)).await {
            Ok(done) => Ok(done?),
            Err(_) => {
                self.broken.store(true, Ordering::Relaxed);
                Err(Failure::Passing("the database did not answer in time".into()))
            }
        }
    }

    /// Sends a command; its answer comes as this stream, and nothing needs to wait for it.
    fn send(&self, command: &str) -> Option<SimpleQueryStream> {
        self.client.simple_query_raw(command).now_or_never()?.ok()
    }
}

impl Drop for Session {
    /// One that is lost is not waited for: what it was asked may never be answered.
    fn drop(&mut self) {
        if !self.is_good() {
            self.task.abort();
        }
    }
}

/// What a transaction is for. They end by themselves when their server falls silent, so that no lock outlives it.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    /// Reading: all statements see the same moment.
    Read,
    /// Writing: each statement sees what was committed before it, so after the lock all that came before it.
    Write,
    /// A single reading statement, which is a transaction of its own.
    Alone,
}

impl Purpose {
    const fn begin(self) -> Option<&'static str> {
        match self {
            Self::Read => Some(
                "begin isolation level repeatable read, read only; set local statement_timeout = '10s'; \
                 set local idle_in_transaction_session_timeout = '10s'",
            ),
            // Not `read write`: a server that was told to take no writes shall take none.
            Self::Write => Some(
                "begin isolation level read committed; set local statement_timeout = '10s'; \
                 set local idle_in_transaction_session_timeout = '10s'",
            ),
            Self::Alone => None,
        }
    }
}

/// The rows that a statement gives, when they are there.
pub(crate) type Asked<'a> = Pin<Box<dyn Future<Output = Result<Vec<Row>, Failure>> + Send + 'a>>;

/// A transaction. Dropped before its end, it is rolled back.
pub(crate) struct Transaction {
    held: Held,
    facts: Arc<Facts>,
    deadline: Instant,
    open: bool,
    /// What is still to come of the answer to `begin`: the first statement looks at it, since without a transaction around
    /// them each would be one of its own.
    begun: Mutex<Option<SimpleQueryStream>>,
}

impl Transaction {
    /// Begins one; what is sent next travels with it.
    pub(crate) async fn begin(held: Held, purpose: Purpose, deadline: Instant) -> Result<Self, Failure> {
        let mut transaction = Self {
            facts: held.facts(),
            held,
            deadline,
            open: false,
            begun: Mutex::default(),
        };
        transaction
            .in_time(transaction.held.session().prepare_often_used())
            .await?;
        if let Some(begin) = purpose.begin() {
            transaction.begun = Mutex::new(transaction.held.session().send(begin));
            transaction.open = true;
        }
        Ok(transaction)
    }

    /// What is known already.
    pub(crate) fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Runs a statement. It is sent when the future is first polled.
    pub(crate) fn query<'a>(&'a self, text: &'a str, params: &'a [&'a dyn Param]) -> Asked<'a> {
        // Boxed, since many are joined, and each is large.
        Box::pin(self.in_time(async move {
            let session = self.held.session();
            let begun = self.begun.lock().take();
            let Some(begun) = begun else {
                return session.query(text, params).await;
            };
            let (begun, rows) =
                join(begun.try_for_each(|_| ready(Ok(()))), session.query(text, params)).await;
            begun.map_err(|error| session.failed(error))?;
            rows
        }))
    }

    /// Commits. Sent with the statements before it, it rolls back when one of them fails.
    pub(crate) async fn commit(&self) -> Result<(), Failure> {
        let session = self.held.session();
        self.in_time(async {
            let committed = session.client.batch_execute("commit").await;
            committed.map_err(|error| session.failed(error))
        })
        .await
    }

    /// Says that it was committed.
    pub(crate) fn ended(mut self) {
        self.open = false;
    }

    async fn in_time<T>(&self, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        timeout_at(self.deadline, work).await.unwrap_or_else(|_| {
            // What it still does is not known, so nobody else may use the connection.
            self.held.session().broken.store(true, Ordering::Relaxed);
            Err(Failure::Passing("the database did not answer in time".into()))
        })
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if self.open && self.held.session().is_good() {
            drop(self.held.session().send("rollback"));
        }
    }
}
