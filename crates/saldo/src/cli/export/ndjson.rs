//! All of a book as lines of JSON, which `saldo import` takes.

use std::collections::HashMap;
use std::io::{Error, Result, Write};

use ledger::{AccountId, Action, Asset, Micros, Owner, Position, Record};
use service::Opener;

use super::names::Names;
use super::{Ending, Form};
use crate::cli::book::{Act, End, Head, Line, VERSION, asset, root_line, write_action};

/// The lines.
#[derive(Default)]
pub(super) struct Ndjson {
    opener: Opener,
    owners: HashMap<AccountId, Owner>,
    actions: u64,
    /// What is to stand behind the head: what all books share, and the root client.
    first: Vec<Act>,
    /// When the book was made, once it was.
    made_at: Option<Micros>,
}

fn put(out: &mut dyn Write, line: &Line) -> Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}

impl Ndjson {
    /// What stands behind the head, at a time before all others.
    fn begin_book(&mut self, out: &mut dyn Write, first: Option<Micros>) -> Result<()> {
        const BEFORE: i64 = 1_000_000;
        let made = self.made_at.unwrap_or_default();
        let at = first.map_or(made, |first| Micros(first.min(made).0.saturating_sub(BEFORE)));
        for act in std::mem::take(&mut self.first) {
            self.act(out, act, None, Some(at))?;
        }
        Ok(())
    }

    fn act(
        &mut self,
        out: &mut dyn Write,
        act: Act,
        position: Option<Position>,
        at: Option<Micros>,
    ) -> Result<()> {
        self.actions += 1;
        let line = Line {
            position: position.map(|position| position.0),
            recorded_at: at.map(dialects::time::format),
            action: Some(act),
            ..Line::default()
        };
        put(out, &line)
    }
}

impl Form for Ndjson {
    fn keys(&mut self, opener: Opener) {
        self.opener = opener;
    }

    fn opener(&self) -> Option<&Opener> {
        Some(&self.opener)
    }

    fn shared(&mut self, out: &mut dyn Write, shared: &Asset) -> Result<()> {
        let act = asset(shared.name.as_str(), shared.exponent, shared.kind, true);
        if self.made_at.is_some() && self.first.is_empty() {
            return self.act(out, act, None, None);
        }
        self.first.push(act);
        Ok(())
    }

    fn book(&mut self, out: &mut dyn Write, made: &Record) -> Result<()> {
        let Action::CreateClient(root) = &made.action else {
            return Err(Error::other("a book was made by another action"));
        };
        self.made_at = Some(made.recorded_at);
        let head = Head {
            version: VERSION,
            client: root.id.to_string(),
        };
        put(
            out,
            &Line {
                saldo_book: Some(head),
                ..Line::default()
            },
        )?;
        let act = root_line(root, &self.opener).map_err(|problem| Error::other(format!("{problem:?}")))?;
        self.first.push(act);
        Ok(())
    }

    fn record(&mut self, out: &mut dyn Write, record: &Record) -> Result<()> {
        self.begin_book(out, Some(record.recorded_at))?;
        if let Action::CreateAccount(new) = &record.action {
            self.owners.insert(new.id, new.owner);
        }
        let act = write_action(record, &self.opener, &self.owners);
        match act.map_err(|problem| Error::other(format!("{problem:?}")))? {
            Some(act) => self.act(out, act, Some(record.position), Some(record.recorded_at)),
            None => Ok(()),
        }
    }

    fn end(&mut self, out: &mut dyn Write, _: &Names, ending: &Ending<'_>) -> Result<()> {
        self.begin_book(out, None)?;
        let end = End {
            actions: Some(self.actions),
            position: Some(ending.book.head.position.0),
            digest: Some(crate::cli::hex(&ending.digest)),
        };
        put(
            out,
            &Line {
                end: Some(end),
                ..Line::default()
            },
        )
    }
}
