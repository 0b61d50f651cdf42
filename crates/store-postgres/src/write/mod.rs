//! Writing what a batch left behind: one statement per table that changed, all sent together with the commit.

mod money;
mod register;

use std::future::Future;
use std::pin::Pin;

use futures_util::future::join_all;

use crate::changes::{History, Touched};
use crate::error::Failure;
use crate::rows;
use crate::session::{Param, Transaction};
use crate::work::Work;

type Writing<'a> = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>>;

/// Statements to be sent together.
pub(crate) struct Writes<'a> {
    tx: &'a Transaction,
    all: Vec<Writing<'a>>,
}

impl<'a> Writes<'a> {
    fn add(&mut self, sql: &'static str, params: Vec<Box<dyn Param>>) {
        let tx = self.tx;
        self.all.push(Box::pin(async move {
            let params: Vec<&dyn Param> = params.iter().map(|param| &**param).collect();
            tx.query(sql, &params).await.map(|_| ())
        }));
    }
}

/// Adds a statement with its parameters.
macro_rules! add {
    ($writes:expr, $sql:expr, $($param:expr),* $(,)?) => {
        $writes.add($sql, vec![$(Box::new($param)),*])
    };
}

pub(crate) use add;

/// Writes all of a batch, moves the head and commits.
pub(crate) async fn write(tx: &Transaction, work: &mut Work) -> Result<(), Failure> {
    let canonical = std::mem::take(&mut work.canonical);
    let book = work.state.book(work.book).expect("it was locked");
    let (mut touched, mut history) = (Touched::default(), History::default());
    for record in &work.records {
        touched.take(record, book);
        history.take(record);
    }
    touched.accounts.extend(&work.displaced);
    let no = rows::book(work.book);
    let mut writes = Writes { tx, all: Vec::new() };
    money::add_history(&mut writes, no, history, canonical, &mut work.tails);
    money::add_balances(&mut writes, no, &touched, book, &work.tails);
    money::add_holds(&mut writes, no, &touched, book);
    register::add_register(&mut writes, no, &touched, book);
    register::add_books(&mut writes, &touched, &work.state);
    register::add_head(&mut writes, no, work);
    let Writes { all, .. } = writes;
    // The commit travels with them: when one fails, it rolls back.
    let commit: Writing<'_> = Box::pin(tx.commit());
    let done = join_all(all.into_iter().chain([commit])).await;
    done.into_iter().collect()
}
