//! What a record leaves behind in the rows. It can't fail: whatever could go wrong was decided before.
//!
//! Applying a record again, to rows that already know it or later ones, changes nothing in the end, as long as those after
//! it are applied again too. So a store may copy rows while they change, and redo what came after the first of them.

mod moves;
mod register;

use std::sync::Arc;

use crate::asset::built_in;
use crate::command::Action;
use crate::id::Position;
use crate::record::{Done, Record};
use crate::register::Dunning;
use crate::state::{Book, Completeness, State};
use crate::time::Micros;

pub use moves::{PlainPosting, apply_plain, hold_after, hold_placed, posted, posted_after};
use moves::{apply_moves, apply_to_hold, apply_to_transactions};

/// Applies `record` to the rows it concerns. The record of a command that was refused moves the head alone, and
/// is found under its key.
///
/// # Panics
/// When a row that the record changes is not loaded: a store that does this has a bug, and must not go on.
pub fn apply(state: &mut State, record: &Arc<Record>) {
    let book = state.book_mut(record.book);
    move_head(book, record.position, record.recorded_at);
    remember(book, record);
    let Ok(done) = &record.outcome else { return };
    match (&record.action, done) {
        (Action::Initialise { rlusd_exponent }, _) => {
            let fixed = built_in(*rlusd_exponent);
            fixed.into_iter().for_each(|asset| book.put_asset(asset));
        }
        (Action::CreateClient(new), Done::Book(no)) => register::create_root(state, record, new, *no),
        (Action::CreateClient(new), _) => register::create_client(book, record, new),
        (Action::UpdateClient(change), _) => register::update_client(book, record, change),
        (Action::CreateApiKey(new), _) => register::create_api_key(book, record, new),
        (Action::RevokeApiKey { id }, _) => register::end_api_key(book, record, *id, record.recorded_at),
        (
            Action::RotateApiKey(rotation),
            Done::Rotated {
                client,
                scopes,
                old_ends_at,
            },
        ) => {
            register::create_api_key(book, record, &rotation.new_key(*client, *scopes));
            register::end_api_key(book, record, rotation.old, *old_ends_at);
        }
        (Action::CreateCustomer(new), Done::Customer(number)) => {
            register::create_customer(book, record, new, *number)
        }
        (Action::UpdateCustomer(change), _) => register::update_customer(book, record, change),
        (Action::EraseCustomer { id }, _) => register::change_customer(book, record, *id, |row| {
            // The first time is the one that counts.
            row.erased_at = row.erased_at.or(Some(record.recorded_at));
        }),
        (
            Action::SetDunning {
                customer,
                label,
                in_debt_collection,
            },
            _,
        ) => {
            let dunning = Dunning {
                label: label.clone(),
                in_debt_collection: *in_debt_collection,
            };
            register::change_customer(book, record, *customer, |row| row.dunning = dunning);
        }
        (Action::CreateAccount(new), Done::Account { no, primary, client }) => {
            register::create_account(state, record, new, *no, *primary, *client);
        }
        (Action::UpdateAccount(change), _) => register::update_account(state, record, change),
        (Action::RegisterAsset { name, exponent, kind }, _) => {
            register::register_asset(book, *name, *exponent, *kind);
        }
        (Action::PutRates(rates), _) => register::put_rates(book, record, rates),
        (action, Done::Moved(booked)) => {
            for (nth, booked) in booked.iter().enumerate() {
                apply_moves(book, record, &booked.moves);
                apply_to_hold(book, record, action, nth, booked);
                apply_to_transactions(book, record, action, nth, booked.id);
            }
        }
        (action, done) => unreachable!("a record never pairs {action:?} with {done:?}"),
    }
}

fn move_head(book: &mut Book, position: Position, recorded_at: Micros) {
    book.head.position = book.head.position.max(position);
    book.head.recorded_at = book.head.recorded_at.max(recorded_at);
}

/// Keeps what later commands look up by key and id; where that is loaded on demand, forgets what was known of it.
fn remember(book: &mut Book, record: &Arc<Record>) {
    let key = (record.client, record.key);
    if book.completeness() == Completeness::Standing {
        book.keys.forget(&key);
        for booked in record.booked() {
            book.transactions.forget(&booked.id);
        }
    } else {
        book.keys.put(key, Some(Arc::clone(record)));
    }
}
