//! Lines of JSON, as actions with the lines that they are on; and what is wrong, all at once.

use std::io::{BufRead, BufReader, Read};

use ledger::{Action, AssetName, Micros, Plain};

use super::Target;
use crate::cli::book::{Act, End, Line, Rejected, Roots, read_action};

/// The longest line that is read.
const LONGEST: usize = 64 << 20;
/// So many problems are told.
const MOST: usize = 100;

/// An action on a line.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) line: u64,
    /// When it was recorded; now, if it does not say.
    pub(super) recorded_at: Option<Micros>,
    pub(super) action: Action<Plain>,
}

/// What is wrong, with the lines.
#[derive(Debug, Default)]
pub(super) struct Problems {
    told: Vec<(u64, String)>,
    more: u64,
}

impl Problems {
    pub(super) fn add(&mut self, line: u64, what: impl std::fmt::Display) {
        match self.told.len() < MOST {
            true => self.told.push((line, what.to_string())),
            false => self.more += 1,
        }
    }

    /// These, too.
    pub(super) fn join(&mut self, other: Self) {
        self.more += other.more;
        for (line, what) in other.told {
            self.add(line, what);
        }
    }

    /// All of them in the order of lines; `None` when there are none.
    pub(super) fn to_text(&self) -> Option<String> {
        let mut told = self.told.clone();
        told.sort_by_key(|(line, _)| *line);
        let lines: Vec<_> = told
            .iter()
            .map(|(line, what)| format!("line {line}: {what}"))
            .collect();
        let more = (self.more > 0).then(|| format!("and {} more", self.more));
        (!lines.is_empty()).then(|| lines.into_iter().chain(more).collect::<Vec<_>>().join("\n"))
    }
}

/// Calls `each` with the number and bytes of every line; a line that is too long ends it.
fn each_line(
    input: impl Read,
    problems: &mut Problems,
    mut each: impl FnMut(u64, &[u8], &mut Problems),
) -> std::io::Result<()> {
    let mut input = BufReader::with_capacity(1 << 20, input);
    let mut bytes = Vec::new();
    for line in 1.. {
        bytes.clear();
        let mut limited = (&mut input).take(LONGEST as u64 + 1);
        if limited.read_until(b'\n', &mut bytes)? == 0 {
            return Ok(());
        }
        if bytes.len() > LONGEST {
            problems.add(
                line,
                format!("it is longer than {LONGEST} bytes; the file was not read further"),
            );
            return Ok(());
        }
        while bytes.last().is_some_and(|byte| b"\r\n".contains(byte)) {
            bytes.pop();
        }
        each(line, &bytes, problems);
    }
    Ok(())
}

/// Reads lines of JSON.
pub(super) fn read(
    input: impl Read,
    target: &Target,
    each: &mut dyn FnMut(Item),
) -> std::io::Result<Problems> {
    let mut problems = Problems::default();
    let mut reading = Reading {
        target,
        roots: None,
        gave_up: false,
        ended: None,
        actions: 0,
        last: 0,
        at: None,
    };
    each_line(input, &mut problems, |line, bytes, problems| {
        reading.last = line;
        match reading.take(line, bytes) {
            Ok(item) => item.into_iter().for_each(&mut *each),
            Err(Rejected(what)) => problems.add(line, what),
        }
    })?;
    match reading.ended {
        _ if reading.gave_up => {}
        None => problems.add(
            reading.last + 1,
            "the file is cut off: its last line must be {\"end\":{}}",
        ),
        Some(End {
            actions: Some(said), ..
        }) if said != reading.actions => problems.add(
            reading.last,
            format!(
                "it says that there are {said} actions before it, and there are {}",
                reading.actions
            ),
        ),
        Some(_) => {}
    }
    Ok(problems)
}

struct Reading<'a> {
    target: &'a Target,
    roots: Option<Roots>,
    /// The first line was not what it must be, so nothing after it is told.
    gave_up: bool,
    ended: Option<End>,
    actions: u64,
    last: u64,
    /// The time of the line before.
    at: Option<Micros>,
}

fn rejected<T>(what: impl Into<String>) -> Result<T, Rejected> {
    Err(Rejected(what.into()))
}

impl Reading<'_> {
    fn take(&mut self, number: u64, bytes: &[u8]) -> Result<Option<Item>, Rejected> {
        if self.gave_up {
            return Ok(None);
        }
        let line = parse(bytes);
        let Some(roots) = self.roots else {
            self.gave_up = true;
            let Ok(Line {
                saldo_book: Some(head),
                ..
            }) = line
            else {
                return rejected("the first line must be {\"saldoBook\":{\"version\":1,\"client\":\"…\"}}");
            };
            self.roots = Some(Roots::of(&head, self.target.root)?);
            self.gave_up = false;
            return Ok(None);
        };
        if self.ended.is_some() {
            self.gave_up = true;
            return rejected("nothing may be behind the line with `end`");
        }
        let line = line?;
        match line {
            Line {
                saldo_book: None,
                action: Some(act),
                recorded_at,
                end: None,
                ..
            } => {
                self.actions += 1;
                let recorded_at = recorded_at.map(|text| match dialects::time::parse(&text) {
                    Some(time) => Ok(time),
                    None => rejected("`recordedAt` must be a time such as 2026-11-21T12:00:00Z"),
                });
                // Whatever says no time was at that of the line before it.
                let recorded_at = recorded_at.transpose()?.or(self.at);
                self.at = recorded_at;
                if self.is_known(&act)? {
                    return Ok(None);
                }
                let action = read_action(act, &roots)?;
                service::check_texts(&action)
                    .map_err(|problem| Rejected(dialects::problem::detail(&problem)))?;
                Ok(Some(Item {
                    line: number,
                    recorded_at,
                    action,
                }))
            }
            Line {
                saldo_book: None,
                position: None,
                recorded_at: None,
                action: None,
                end: Some(end),
            } => {
                self.ended = Some(end);
                Ok(None)
            }
            _ => rejected("a line has either an `action` or `end`"),
        }
    }

    /// Whether it is an asset that every book here has already.
    fn is_known(&self, act: &Act) -> Result<bool, Rejected> {
        let Act::Asset { name, exponent, .. } = act else {
            return Ok(false);
        };
        let name = AssetName::parse(name);
        match self.target.assets.iter().find(|asset| Some(asset.name) == name) {
            Some(here) if here.exponent == *exponent => Ok(true),
            Some(here) => rejected(format!(
                "{} has {} decimal places in this store and {exponent} in the file; the amounts would mean something else",
                here.name, here.exponent
            )),
            None => Ok(false),
        }
    }
}

fn parse(bytes: &[u8]) -> Result<Line, Rejected> {
    if std::str::from_utf8(bytes).is_err() {
        return rejected("it is not UTF-8");
    }
    serde_json::from_slice(bytes).map_err(|error| {
        let text = error.to_string();
        // Its own line number is always 1.
        let what = text.split(" at line ").next().unwrap_or_default();
        Rejected(format!("byte {}: {what}", error.column()))
    })
}
