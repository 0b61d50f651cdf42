//! What a command does: a function of the command and of the rows that it needs.
//!
//! The order of checks is the order of [`Code`](crate::record::Code): the key, the ids, then what the command names, then whether the books
//! allow it. Postings are checked in order, each seeing those before it; the first code of the first one that fails is
//! the refusal. Nothing is written here: a decision is applied by [`crate::apply()`], which can't fail.

mod hold;
mod moves;
mod post;
mod register;

use std::sync::Arc;

use crate::account::Account;
use crate::command::{Action, Command};
use crate::id::{ClientId, Position, TransactionId};
use crate::record::{Code, Done, RULES, Record, Rejection};
use crate::state::{Book, NotLoaded, RowKey, State};
use crate::time::Micros;

/// What [`decide`] found.
#[derive(Clone, PartialEq, Debug)]
pub enum Decision {
    /// It is decided; make a record of it, apply and keep it.
    Decided(Decided),
    /// It was decided before: this is what became of it.
    Replay(Arc<Record>),
    /// The key was used with another request, in the command at this position. Nothing is recorded.
    Conflict(Position),
    /// Rows are missing: load them and decide again.
    Need(Vec<RowKey>),
    /// Money may be freed by these holds, whose time is over: expire them, then decide again.
    ExpireFirst(Vec<TransactionId>),
    /// An expiry that came too early or too late: there is nothing to do and nothing to record.
    Nothing,
}

/// A decision that is to be recorded.
#[derive(Clone, PartialEq, Debug)]
pub struct Decided {
    position: Position,
    base: Position,
    recorded_at: Micros,
    outcome: Result<Done, Rejection>,
}

impl Decided {
    /// Whether it books transactions.
    #[must_use]
    pub fn books(&self) -> bool {
        matches!(&self.outcome, Ok(Done::Moved(booked)) if !booked.is_empty())
    }

    /// The record of this decision about `command`.
    #[must_use]
    pub fn into_record(self, command: Command) -> Record {
        Record {
            book: command.book,
            position: self.position,
            base: self.base,
            recorded_at: self.recorded_at,
            rules: RULES,
            client: command.client,
            key: command.key,
            fingerprint: command.fingerprint,
            action: command.action,
            outcome: self.outcome,
        }
    }
}

/// Why deciding stopped before the end.
#[derive(Debug)]
enum Stop {
    Reject(Rejection),
    Need(Vec<RowKey>),
    ExpireFirst(Vec<TransactionId>),
    Nothing,
}

impl From<Code> for Stop {
    fn from(code: Code) -> Self {
        Self::Reject(code.into())
    }
}

/// Turns "not loaded" into the need for a row.
trait OrNeed<T> {
    fn or_need(self, key: RowKey) -> Result<T, Stop>;
}

impl<T> OrNeed<T> for Result<T, NotLoaded> {
    fn or_need(self, key: RowKey) -> Result<T, Stop> {
        self.map_err(|NotLoaded| Stop::Need(vec![key]))
    }
}

/// Where a command is decided: its book, its actor, its time.
#[derive(Clone, Copy)]
struct Scene<'a> {
    state: &'a State,
    book: &'a Book,
    actor: Option<ClientId>,
    now: Micros,
}

impl Scene<'_> {
    /// Whether the actor sees what belongs to `client`: the root (and the server itself) sees the book, a subsidiary
    /// itself.
    fn sees(&self, client: ClientId) -> bool {
        self.actor.is_none() || self.actor == self.book.root || self.actor == Some(client)
    }

    fn sees_account(&self, account: &Account) -> bool {
        self.sees(account.client)
    }
}

/// Decides `command` on the rows in `state`.
///
/// # Panics
/// When the command's book is not in `state`: whoever takes commands checks that.
#[must_use]
pub fn decide(state: &State, command: &Command) -> Decision {
    let book = book_of(state, command);
    match known_before(book, command) {
        Ok(None) => {}
        Ok(Some(record)) if record.fingerprint == command.fingerprint => {
            return Decision::Replay(Arc::clone(record));
        }
        Ok(Some(record)) => return Decision::Conflict(record.position),
        Err(needs) => return Decision::Need(needs),
    }
    // The id of an expiry is its hold's alone.
    if !matches!(command.action, Action::Expire { .. }) {
        let needs: Vec<_> = unknown_ids(book, command).collect();
        if !needs.is_empty() {
            return Decision::Need(needs);
        }
    }
    decide_unheard(state, book, command, |id| book.transactions.peek(&id).is_some())
}

/// The same for a command whose key was never used in its book, nor any of its ids: a store that can tell so in passing
/// need not load rows that say that there is nothing.
///
/// # Panics
/// When the command's book is not in `state`: whoever takes commands checks that.
#[must_use]
pub fn decide_new(state: &State, command: &Command) -> Decision {
    let book = book_of(state, command);
    debug_assert!(book.keys.peek(&(command.client, command.key)).is_none());
    decide_unheard(state, book, command, |_| false)
}

fn book_of<'a>(state: &'a State, command: &Command) -> &'a Book {
    state
        .book(command.book)
        .expect("the store takes commands for books that it has")
}

/// Decides a command whose key is new.
fn decide_unheard(
    state: &State,
    book: &Book,
    command: &Command,
    is_taken: impl Fn(TransactionId) -> bool,
) -> Decision {
    let now = command.stamp.max(book.head.recorded_at.plus(1));
    let scene = Scene {
        state,
        book,
        actor: command.client,
        now,
    };
    let outcome = match check_ids(command, is_taken).and_then(|()| act(&scene, &command.action)) {
        Ok(done) => Ok(done),
        Err(Stop::Reject(rejection)) => Err(rejection),
        Err(Stop::Need(needs)) => return Decision::Need(needs),
        Err(Stop::ExpireFirst(holds)) => return Decision::ExpireFirst(holds),
        Err(Stop::Nothing) => return Decision::Nothing,
    };
    let position = book.head.position.next();
    // Book 0 is decided at its own predecessor.
    let base = state.base();
    Decision::Decided(Decided {
        position,
        base,
        recorded_at: now,
        outcome,
    })
}

/// What was recorded under the command's key; or, in one go, that key and the ids that are needed.
fn known_before<'a>(book: &'a Book, command: &Command) -> Result<Option<&'a Arc<Record>>, Vec<RowKey>> {
    book.keys
        .get(&(command.client, command.key))
        .map_err(|NotLoaded| {
            let key = RowKey::Key(command.client, command.key);
            std::iter::once(key).chain(unknown_ids(book, command)).collect()
        })
}

/// The ids of which it is not known whether a transaction has them.
fn unknown_ids(book: &Book, command: &Command) -> impl Iterator<Item = RowKey> {
    command
        .transaction_ids()
        .filter(|id| book.transactions.get(id).is_err())
        .map(RowKey::Transaction)
}

/// No transaction may take an id that another one has, or that an expiry will have: an expiry is never refused.
fn check_ids(command: &Command, is_taken: impl Fn(TransactionId) -> bool) -> Result<(), Stop> {
    if matches!(command.action, Action::Expire { .. }) {
        return Ok(());
    }
    let in_batch = matches!(command.action, Action::PostBatch(_));
    let mut seen = std::collections::BTreeSet::new();
    for (item, id) in (0..).zip(command.transaction_ids()) {
        let again = in_batch && !seen.insert(id);
        if again || id.is_reserved() || is_taken(id) {
            let rejection = Rejection {
                item: in_batch.then_some(item),
                ..Code::IdTaken.into()
            };
            return Err(Stop::Reject(rejection));
        }
    }
    Ok(())
}

fn act(scene: &Scene<'_>, action: &Action) -> Result<Done, Stop> {
    match action {
        Action::Initialise { .. } => register::initialise(scene),
        Action::CreateClient(new) => register::create_client(scene, new),
        Action::UpdateClient(change) => register::update_client(scene, change),
        Action::CreateApiKey(new) => register::create_api_key(scene, new),
        Action::RevokeApiKey { id } => register::revoke_api_key(scene, *id),
        Action::RotateApiKey(rotation) => register::rotate_api_key(scene, rotation),
        Action::CreateCustomer(new) => register::create_customer(scene, new),
        Action::UpdateCustomer(change) => register::update_customer(scene, change),
        Action::EraseCustomer { id } => register::see_customer(scene, *id).map(|_| Done::Changed),
        Action::SetDunning { customer, label, .. } => register::set_dunning(scene, *customer, label.as_ref()),
        Action::CreateAccount(new) => register::create_account(scene, new),
        Action::UpdateAccount(change) => register::update_account(scene, change),
        Action::RegisterAsset { name, .. } => register::register_asset(scene, name),
        Action::PutRates(rates) => register::put_rates(scene, rates),
        Action::Post(transaction) => post::post(scene, transaction),
        Action::PostBatch(transactions) => post::post_batch(scene, transactions),
        Action::Capture(capture) => hold::capture(scene, capture),
        Action::Release(release) => hold::release(scene, release),
        Action::Expire { hold, id } => hold::expire(scene, *hold, *id),
        Action::Reverse(reverse) => post::reverse(scene, reverse),
    }
}
