//! `saldo events`: what was recorded in a book, one line for each event.

use std::io::BufRead;

use clap::Args;
use serde::Deserialize;

use super::args::Read;
use super::call::Call;
use super::failed::Failed;
use super::link::Link;
use super::{print, show};

/// So long the server waits for the next event, in seconds, before it is asked anew.
const WAIT: u64 = 60;

#[derive(Args)]
pub(crate) struct Events {
    /// Begins behind this position; with the first event unless given
    #[arg(long, value_name = "POSITION", default_value_t = 0)]
    after: u64,
    /// The most events
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Goes on with what comes, until it is interrupted
    #[arg(long)]
    follow: bool,
    #[command(flatten)]
    read: Read,
}

/// What is shown of an event.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    position: u64,
    r#type: &'a str,
    recorded_at: &'a str,
    #[serde(borrow)]
    data: Data<'a>,
}

/// What it is about: one thing, or several.
#[derive(Deserialize)]
struct Data<'a> {
    id: Option<&'a str>,
    asset: Option<&'a str>,
    #[serde(default)]
    items: Vec<serde::de::IgnoredAny>,
}

impl Events {
    /// Shows events as they arrive. Whoever goes on with the position of the last one misses nothing.
    pub(super) fn run(self, link: &Link, json: bool) -> Result<(), Failed> {
        let (mut after, mut left) = (self.after, self.limit);
        let call = Call::get(&["events"], self.read);
        loop {
            let wait = self.follow.then(|| ("wait", WAIT.to_string()));
            let limit = left.map(|left| ("limit", left.to_string()));
            let after_it = Some(("after", after.to_string()));
            let query: Vec<_> = after_it.into_iter().chain(limit).chain(wait).collect();
            let lines = link.lines(&call, &query);
            let read = lines.and_then(|lines| show_all(lines, json, &mut after, &mut left));
            read.map_err(|failed| match after == self.after {
                true => failed,
                false => failed.and(&format!("--after {after} goes on with the next event")),
            })?;
            if !self.follow || left == Some(0) {
                return Ok(());
            }
        }
    }
}

/// Shows the events of one answer, and says how far that was.
fn show_all(
    mut lines: impl BufRead,
    json: bool,
    after: &mut u64,
    left: &mut Option<u64>,
) -> Result<(), Failed> {
    loop {
        let mut line = String::new();
        let read = lines.read_line(&mut line);
        let read =
            read.map_err(|error| Failed::unanswered(format!("the events were broken off: {error}")))?;
        if read == 0 {
            return Ok(());
        }
        let event: Event<'_> = serde_json::from_str(&line)
            .map_err(|error| Failed::refused(format!("the answer is no event of Saldo's: {error}")))?;
        match json {
            true => print(&line)?,
            false => print(&event.row())?,
        }
        *after = event.position;
        *left = left.map(|left| left.saturating_sub(1));
    }
}

impl Event<'_> {
    fn row(&self) -> String {
        let about = match (self.data.id, self.data.asset) {
            (Some(id), _) => show::plain(id),
            (None, Some(asset)) => show::plain(asset),
            (None, None) => format!("{} items", self.data.items.len()),
        };
        let (position, at, kind) = (
            self.position,
            show::plain(self.recorded_at),
            show::plain(self.r#type),
        );
        format!("{position:>10}  {at:<27}  {kind:<20}  {about}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_a_line_that_does_nothing_to_the_terminal() {
        let line = r#"{"position":7,"type":"x.y","recordedAt":"2026-01-01T00:00:00Z","data":{"id":"a-b","label":"L\u001b[2J"}}"#;
        let event: Event<'_> = serde_json::from_str(line).expect("an event");
        assert_eq!(
            event.row(),
            "         7  2026-01-01T00:00:00Z         x.y                   a-b\n"
        );
        let line = r#"{"position":8,"type":"x","recordedAt":"t","data":{"items":[{},{}]}}"#;
        let event: Event<'_> = serde_json::from_str(line).expect("an event");
        assert!(event.row().ends_with("  2 items\n"), "{}", event.row());
    }
}
