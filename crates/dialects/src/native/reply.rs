//! What answers share: positions, replays, pages, and the small things that many rows have.

use ledger::{Counters, Credit, Notes, Plain, Position};
use service::Written;
use store::Listed;

use super::query::format_cursor;
use crate::http::Response;
use crate::json::Json;
use crate::spelling;

/// An answer that was taken at `position`.
pub(super) fn read(position: Position, body: Json) -> Response {
    Response::json(200, body).at(position)
}

/// Adds to an answer where its command stands, and whether it was recorded before.
pub(super) fn recorded(response: Response, position: Position, replayed: bool) -> Response {
    let response = response.at(position);
    match replayed {
        true => response.with("idempotency-replayed", "true"),
        false => response,
    }
}

/// The answer to a change.
pub(super) fn changed<T>(written: &Written<T>, body: Json) -> Response {
    recorded(Response::json(200, body), written.position, written.replayed)
}

/// The answer to the making of something that is then found at `location`.
pub(super) fn created<T>(written: &Written<T>, location: String, body: Json) -> Response {
    let response = Response::json(201, body).with("location", location);
    recorded(response, written.position, written.replayed)
}

/// A page of a list, each item about `size` bytes.
pub(super) fn list<T>(listed: &Listed<T>, size: usize, item: impl Fn(&mut Json, &T)) -> Response {
    let mut body = Json::with_capacity(64 + size * listed.items.len());
    body.object(|body| {
        body.key("items")
            .array(|items| listed.items.iter().for_each(|one| item(items, one)));
        if let Some(next) = listed.next {
            body.key("nextCursor").string(&format_cursor(next));
        }
    });
    read(listed.position, body)
}

/// A body that is one object.
pub(super) fn object(size: usize, members: impl FnOnce(&mut Json)) -> Json {
    let mut body = Json::with_capacity(size);
    body.object(members);
    body
}

/// About how many bytes notes take.
pub(super) fn notes_size(notes: &Notes<Plain>) -> usize {
    let len = |text: &Option<Box<str>>| text.as_ref().map_or(0, |text| 20 + text.len());
    len(&notes.external_id) + len(&notes.metadata)
}

/// The caller's notes, as far as there are any.
pub(super) fn notes(body: &mut Json, notes: &Notes<Plain>) {
    if let Some(id) = &notes.external_id {
        body.key("externalId").string(id);
    }
    if let Some(metadata) = &notes.metadata {
        body.key("metadata").raw(metadata);
    }
}

/// A member that is an id.
pub(super) fn id(body: &mut Json, name: &'static str, id: u128) {
    body.key(name).id(&spelling::uuid(id));
}

/// The numbers of a balance. `spendable` is left out where there is no floor to count from.
pub(super) fn counters(body: &mut Json, counters: &Counters, credit: Credit) {
    body.key("settled").int_string(counters.settled());
    body.key("reserved").int_string(counters.reserved());
    body.key("incoming").int_string(counters.incoming());
    body.key("available").int_string(counters.available());
    if let Some(spendable) = credit.spendable(counters) {
        body.key("spendable").int_string(spendable);
    }
}
