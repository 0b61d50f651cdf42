//! A connection, and a transaction on it.
//!
//! Statements that don't need each other's answers are sent together: a future sends its statement when it is first
//! polled, and PostgreSQL runs them in that order. So nothing here may wait before it sends.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt;
use futures_util::future::join_all;
use parking_lot::Mutex;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row, Statement};
use uuid::Uuid;

use crate::error::Failure;
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
}

impl Session {
    pub(crate) fn new(client: Client, prepare: bool) -> Self {
        Self {
            client,
            prepare,
            statements: Mutex::default(),
            broken: AtomicBool::new(false),
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
            self.statements.lock().insert(text, Known::Prepared(prepared?));
        }
        Ok(())
    }

    async fn query(&self, text: &str, params: &[&dyn Param]) -> Result<Vec<Row>, Failure> {
        match self.prepared(text, params) {
            Some(statement) => {
                let params: Vec<_> = params.iter().map(|param| param.as_sql()).collect();
                Ok(self.client.query(&statement, &params).await?)
            }
            None => {
                let params: Vec<_> = params
                    .iter()
                    .map(|param| (param.as_sql(), param.sql_type()))
                    .collect();
                Ok(self.client.query_typed(text, &params).await?)
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

    /// Sends a command whose answer nobody needs: should it fail, so does whatever comes after it.
    fn send(&self, command: &str) {
        let _ = self.client.batch_execute(command).now_or_never();
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
                "begin isolation level repeatable read read only; set local statement_timeout = '10s'; \
                 set local idle_in_transaction_session_timeout = '10s'",
            ),
            Self::Write => Some(
                "begin isolation level read committed read write; set local statement_timeout = '10s'; \
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
    deadline: Instant,
    open: bool,
}

impl Transaction {
    /// Begins one; what is sent next travels with it.
    pub(crate) async fn begin(held: Held, purpose: Purpose, deadline: Instant) -> Result<Self, Failure> {
        let mut transaction = Self {
            held,
            deadline,
            open: false,
        };
        transaction
            .in_time(transaction.held.session().prepare_often_used())
            .await?;
        if let Some(begin) = purpose.begin() {
            transaction.held.session().send(begin);
            transaction.open = true;
        }
        Ok(transaction)
    }

    /// Runs a statement. It is sent when the future is first polled.
    pub(crate) fn query<'a>(&'a self, text: &'a str, params: &'a [&'a dyn Param]) -> Asked<'a> {
        // Boxed, since many are joined, and each is large.
        Box::pin(self.in_time(self.held.session().query(text, params)))
    }

    /// Commits. Sent with the statements before it, it rolls back when one of them fails.
    pub(crate) async fn commit(&self) -> Result<(), Failure> {
        self.in_time(async { Ok(self.held.session().client.batch_execute("commit").await?) })
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
            self.held.session().send("rollback");
        }
    }
}
