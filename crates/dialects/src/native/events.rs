//! Events: a book from a position on, in lines of JSON, or as server-sent events for who accepts those.
//!
//! They are read and written while the answer is sent, a part when the last one was taken, so a slow reader costs one part.

use std::fmt;
use std::time::{Duration, Instant};

use ledger::Position;
use service::{Event, Events, Happened, Problem};

use super::query::{query, whole_number};
use super::{accounts, assets, clients, customers, reply, transactions};
use crate::http::{Context, Request, Response, Rest};
use crate::json::Json;
use crate::route::{Boxed, Handler};
use crate::time;

/// The media type of lines.
pub(super) const LINES: &str = "application/x-ndjson";
/// The media type of server-sent events.
const SENT: &str = "text/event-stream";
/// After so long without an event a comment is sent, so that both sides see that the other is there.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// The longest that `wait` may be, in seconds.
pub(super) const WAIT_MOST: u64 = 300;

/// No position is further, and there are not more events.
pub(super) const MOST: u64 = i64::MAX as u64;

/// How it is written, and when it ends.
enum Form {
    /// Lines, up to where the book stood; with `wait` until nothing came for so long.
    Lines { until: Position, wait: Option<Duration> },
    /// Server-sent events, without end.
    Sent,
}

/// What was asked for.
struct Asked {
    after: Position,
    limit: Option<u64>,
    wait: Option<Duration>,
    sent: bool,
}

/// `GET /events`
pub(super) const STREAM: Handler = Handler {
    answer: stream,
    check: |request, _| read(request).map(drop),
};

fn stream<'a, 'r>(context: Context<'a>, request: &'a Request<'r>) -> Boxed<'a, Result<Response, Problem>> {
    Box::pin(async move {
        let asked = read(request)?;
        crate::answer::reach(context, request).await?;
        let events = context.service.events(context.caller, asked.after)?;
        let position = context.service.position(context.caller).await?;
        let (form, media_type) = match asked.sent {
            true => (Form::Sent, SENT),
            false => {
                let (until, wait) = (position, asked.wait);
                (Form::Lines { until, wait }, LINES)
            }
        };
        let mut response = Response::new(200, media_type, Vec::new())
            .at(position)
            .with("cache-control", "no-store");
        response.rest = Some(Box::new(Stream {
            events,
            form,
            left: asked.limit,
            quiet_since: Instant::now(),
        }));
        Ok(response)
    })
}

fn read(request: &Request<'_>) -> Result<Asked, Problem> {
    const LAST: &str = "Last-Event-ID";
    let [after, limit, wait] = query(request, ["after", "limit", "wait"])?;
    let [after, limit, wait] = [
        after.number(0..=MOST, "a position: digits alone")?,
        limit.number(1..=MOST, "a whole number from 1 on")?,
        wait.number(1..=WAIT_MOST, "a whole number of seconds, from 1 to 300")?,
    ];
    let sent = request.accepts(SENT);
    // A browser that comes again asks for the same URL, and says here how far it was.
    let last = match request.only_header(LAST)? {
        Some(text) if sent => {
            let last = whole_number(text).filter(|last| *last <= MOST);
            Some(last.ok_or_else(|| Problem::bad(LAST, "must be the id of an event: digits alone"))?)
        }
        _ => None,
    };
    if sent && wait.is_some() {
        return Err(Problem::bad(
            "wait",
            "is for lines; server-sent events go on without end anyway: leave it out",
        ));
    }
    Ok(Asked {
        after: Position(last.or(after).unwrap_or(0)),
        limit,
        wait: wait.map(Duration::from_secs),
        sent,
    })
}

/// The rest of an answer.
struct Stream {
    events: Events,
    form: Form,
    /// How many may still come; `None` is any number.
    left: Option<u64>,
    /// When something was last sent.
    quiet_since: Instant,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let position = self.events.position();
        f.debug_struct("Stream")
            .field("position", &position)
            .finish_non_exhaustive()
    }
}

impl Rest for Stream {
    fn next(&mut self) -> Boxed<'_, Result<Option<Vec<u8>>, Problem>> {
        Box::pin(async move {
            loop {
                let ended = match self.form {
                    Form::Lines { until, wait: None } => self.events.position() >= until,
                    _ => false,
                };
                if ended || self.left == Some(0) {
                    return Ok(None);
                }
                match self.events.next().await {
                    Ok(Some(events)) => {
                        let part = self.write(&events);
                        if !part.is_empty() {
                            self.quiet_since = Instant::now();
                            return Ok(Some(part));
                        }
                    }
                    Ok(None) => match self.form {
                        Form::Lines { wait: None, .. } => return Ok(None),
                        Form::Lines { wait: Some(wait), .. } if self.quiet_since.elapsed() >= wait => {
                            return Ok(None);
                        }
                        _ => self.events.wait().await?,
                    },
                    // The key was ended: so is what it opened.
                    Err(Problem::Unauthorized) => return Ok(None),
                    Err(problem) => return Err(problem),
                }
                if matches!(self.form, Form::Sent) && self.quiet_since.elapsed() >= HEARTBEAT {
                    self.quiet_since = Instant::now();
                    return Ok(Some(b":\n\n".to_vec()));
                }
            }
        })
    }
}

impl Stream {
    /// Events as they are sent, as many as there may be.
    fn write(&mut self, events: &[Event]) -> Vec<u8> {
        let mut part = Vec::new();
        for event in events {
            if self.left == Some(0) {
                break;
            }
            self.left = self.left.map(|left| left - 1);
            let line = reply::object(1024, |line| members(line, event));
            if matches!(self.form, Form::Sent) {
                let (position, kind) = (event.position, event.kind.as_str());
                part.extend_from_slice(format!("id: {position}\nevent: {kind}\ndata: ").as_bytes());
            }
            // JSON that is written here has no line breaks.
            part.extend_from_slice(line.as_bytes());
            part.extend_from_slice(match self.form {
                Form::Lines { .. } => b"\n",
                Form::Sent => b"\n\n",
            });
        }
        part
    }
}

fn members(line: &mut Json, event: &Event) {
    line.key("position").int(event.position.0);
    line.key("type").string(event.kind.as_str());
    line.key("recordedAt").string(&time::format(event.recorded_at));
    if let Some(client) = event.client {
        reply::id(line, "clientId", client.0);
    }
    let data = line.key("data");
    match &event.happened {
        Happened::Client(view) => data.object(|data| clients::client_members(data, view)),
        Happened::Key(view) => data.object(|data| clients::key_item(data, view)),
        Happened::Customer(view) => data.object(|data| customers::customer_members(data, view)),
        Happened::Account(view) => data.object(|data| accounts::account_members(data, view)),
        Happened::Asset(made) => {
            data.object(|data| assets::asset_members(data, &made.name, made.exponent, made.kind));
        }
        Happened::Rates(rates) => items(data, rates, assets::rate_members),
        Happened::Transaction(done) => data.object(|data| transactions::booked_members(data, done)),
        Happened::Transactions(all) => items(data, all, transactions::booked_members),
    }
}

/// A list, as answers have it.
fn items<T>(data: &mut Json, all: &[T], one: impl Fn(&mut Json, &T)) {
    data.object(|data| {
        data.key("items").array(|items| {
            all.iter().for_each(|item| items.object(|body| one(body, item)));
        });
    });
}
