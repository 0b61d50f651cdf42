//! `saldo export`: a book as lines of JSON, and its transactions as the plain-text ledgers that accountants' tools read.

mod beancount;
mod hledger;
mod names;
mod ndjson;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indicatif::{HumanCount, ProgressBar};
use ledger::{
    AccountNo, Action, Asset, AssetName, AssetNo, Book, BookNo, ClientId, Completeness, Micros, Move, Record,
    State, TransactionId, apply,
};
use service::{Clock, Opener};
use store::audit::Fed;
use tokio::sync::mpsc::channel;

use super::copy::{Source, Until};
use crate::failure::Failure;
use crate::place::Place;
use names::Names;

/// Writes a book's transactions.
#[derive(clap::Args)]
#[command(
    after_help = "Servers may use the store meanwhile; what is written is of one moment. Names and references are in ndjson alone."
)]
pub(crate) struct Export {
    #[command(flatten)]
    store: super::Store,
    /// Which book: its number, as `saldo verify` shows it, or the id of its root client
    #[arg(long, value_name = "BOOK")]
    book: Chosen,
    /// How it is written
    #[arg(long, value_name = "FORMAT")]
    format: Format,
    /// The file to write, which takes the place of one that is there; stdout otherwise
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// A book as it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chosen {
    Number(BookNo),
    Root(ClientId),
}

impl std::str::FromStr for Chosen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(number) = text.parse() {
            return Ok(Self::Number(BookNo(number)));
        }
        let root = dialects::spelling::parse_any(text).map(|id| Self::Root(ClientId(id)));
        root.ok_or_else(|| "name a book's number, such as 1, or the id of its root client".to_owned())
    }
}

/// A format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// All of the book as lines of JSON, for `saldo import`
    Ndjson,
    /// For hledger, and others that read its journals
    Hledger,
    /// For beancount
    Beancount,
}

/// A transaction that moved money.
struct Moved<'a> {
    id: TransactionId,
    record: &'a Record,
    /// What it is: `post`, `capture`, `reversal`.
    kind: &'static str,
    /// For when it counts.
    effective_at: Micros,
    moves: Vec<&'a Move>,
}

/// One way to write a book.
trait Form: Send {
    /// Takes the keys of texts, as far as they are there by now.
    fn keys(&mut self, _: Opener) {}
    /// What opens texts, if any are shown.
    fn opener(&self) -> Option<&Opener> {
        None
    }
    /// What stands before all.
    fn begin(&mut self, _: &mut dyn Write) -> std::io::Result<()> {
        Ok(())
    }
    /// An asset of all books.
    fn shared(&mut self, _: &mut dyn Write, _: &Asset) -> std::io::Result<()> {
        Ok(())
    }
    /// The book, by the record that made its root client.
    fn book(&mut self, _: &mut dyn Write, _: &Record) -> std::io::Result<()> {
        Ok(())
    }
    /// A record of the book that was accepted.
    fn record(&mut self, _: &mut dyn Write, _: &Record) -> std::io::Result<()> {
        Ok(())
    }
    /// One transaction that moved money.
    fn transaction(&mut self, _: &mut dyn Write, _: &Names, _: &Moved<'_>) -> std::io::Result<()> {
        Ok(())
    }
    /// What stands after all: accounts, assets, and what each account has.
    fn end(&mut self, out: &mut dyn Write, names: &Names, ending: &Ending<'_>) -> std::io::Result<()>;
}

/// How a book stands in the end.
struct Ending<'a> {
    book: &'a Book,
    digest: [u8; 32],
    /// Whatever was moved, in the order of their numbers: account, asset, and what is settled.
    balances: Vec<(AccountNo, AssetNo, i128)>,
    /// The first and last day on which something counts.
    days: Option<(Micros, Micros)>,
}

impl Export {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let place = self.store.store;
        let source = Source::open(&place).await?;
        let bar = super::bar("{wide_bar} {percent}% {msg} transactions {eta}");
        let form: Box<dyn Form> = match self.format {
            Format::Ndjson => Box::new(ndjson::Ndjson::default()),
            Format::Hledger => Box::new(hledger::Hledger),
            Format::Beancount => Box::new(beancount::Beancount),
        };
        let written = match &self.out {
            Some(file) => to_file(source, self.book, form, file, &bar, &place).await,
            None => {
                let out = Box::new(BufWriter::new(std::io::stdout()));
                write(source, Writing::new(self.book, form, out), &bar, &place)
                    .await
                    .map(|_| ())
            }
        };
        bar.finish_and_clear();
        written
    }
}

/// Writes beside the file, and puts it in its place when it is complete.
async fn to_file(
    source: Source,
    book: Chosen,
    form: Box<dyn Form>,
    file: &Path,
    bar: &ProgressBar,
    place: &Place,
) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::while_doing(&format!("writing {}", file.display()), error);
    let mut beside = file.as_os_str().to_owned();
    beside.push(".new");
    let made = Arc::new(File::create(&beside).map_err(failed)?);
    let out = Box::new(BufWriter::new(Arc::clone(&made)));
    let written = write(source, Writing::new(book, form, out), bar, place).await;
    let put = written.and_then(|_| {
        made.sync_all().map_err(failed)?;
        std::fs::rename(&beside, file).map_err(failed)
    });
    if put.is_err() {
        // What is half written is of no use to anybody.
        let _ = std::fs::remove_file(&beside);
    }
    put
}

/// Reads all records, and writes those of the book.
async fn write(
    mut source: Source,
    mut writing: Writing,
    bar: &ProgressBar,
    place: &Place,
) -> Result<u64, Failure> {
    let until = Until {
        time: Clock::System.now(),
        is_end: true,
    };
    let (out, mut sent) = channel(2);
    let shown = bar.clone();
    let reading = tokio::spawn(async move { source.send(until, &out, &shown).await });
    let failed = |error: std::io::Error| Failure::while_doing("writing the export", error);
    writing.form.begin(&mut writing.out).map_err(failed)?;
    let vault = Source::open(place).await?;
    if writing.form.opener().is_some() {
        writing.form.keys(Opener::new(vault.text_keys().await?));
    }
    while let Some(fed) = sent.recv().await {
        if lacks_keys(&fed, writing.form.opener(), until.time) {
            writing.form.keys(Opener::new(vault.text_keys().await?));
        }
        tokio::task::block_in_place(|| fed.iter().try_for_each(|one| writing.take(one))).map_err(failed)?;
        bar.set_message(HumanCount(writing.count).to_string());
    }
    let read = reading.await;
    read.map_err(|error| Failure::while_doing("reading the store", error))??;
    writing.end(place)
}

/// Whether somebody who was made since the export began has no key yet. Who was made before and has none was erased.
fn lacks_keys(fed: &[Fed], opener: Option<&Opener>, since: Micros) -> bool {
    // Servers' clocks may differ.
    const SLACK: i64 = 60_000_000;
    let Some(opener) = opener else { return false };
    fed.iter()
        .filter(|one| one.record.recorded_at.0 >= since.0 - SLACK)
        .any(|one| match &one.record.action {
            Action::CreateClient(new) => !opener.has(new.id.into()),
            Action::CreateCustomer(new) => !opener.has(new.id.into()),
            _ => false,
        })
}

/// An export under way.
struct Writing {
    chosen: Chosen,
    form: Box<dyn Form>,
    out: Box<dyn Write + Send>,
    /// The rows of the operator's book and of the chosen one.
    state: State,
    names: Names,
    book: Option<BookNo>,
    digest: [u8; 32],
    days: Option<(Micros, Micros)>,
    count: u64,
}

impl Writing {
    fn new(chosen: Chosen, form: Box<dyn Form>, out: Box<dyn Write + Send>) -> Self {
        let mut state = State::new(Completeness::Standing);
        state.book_mut(BookNo::OPERATOR);
        Self {
            chosen,
            form,
            out,
            state,
            names: Names::default(),
            book: None,
            digest: [0; 32],
            days: None,
            count: 0,
        }
    }

    fn take(&mut self, one: &Fed) -> std::io::Result<()> {
        let record = &one.record;
        if record.book == BookNo::OPERATOR {
            apply(&mut self.state, record);
            let root = |book: &&Book| match self.chosen {
                Chosen::Number(no) => book.no == no && no != BookNo::OPERATOR,
                Chosen::Root(root) => book.root == Some(root),
            };
            let before = self.book;
            self.book = self.state.books().find(root).map(|book| book.no);
            self.show_shared(record)?;
            if before.is_none() && self.book.is_some() {
                self.form.book(&mut self.out, record)?;
            }
        }
        if self.book != Some(record.book) || record.book == BookNo::OPERATOR {
            return Ok(());
        }
        apply(&mut self.state, record);
        self.digest = one.digest;
        if record.outcome.is_ok() {
            self.form.record(&mut self.out, record)?;
        }
        for (nth, booked) in record.booked().iter().enumerate() {
            let moves: Vec<_> = booked.moves.iter().filter(|made| !made.post.is_zero()).collect();
            if moves.is_empty() {
                continue;
            }
            let effective_at = record.effective_at(nth);
            self.names.learn(&self.state, record.book, &moves);
            let (first, last) = self.days.unwrap_or((effective_at, effective_at));
            self.days = Some((first.min(effective_at), last.max(effective_at)));
            let moved = Moved {
                id: booked.id,
                record: record.as_ref(),
                kind: kind(record),
                effective_at,
                moves,
            };
            self.form.transaction(&mut self.out, &self.names, &moved)?;
            self.count += 1;
        }
        Ok(())
    }

    /// Shows an asset of all books that has its number of places from the operator.
    fn show_shared(&mut self, record: &Record) -> std::io::Result<()> {
        let name = match (&record.action, &record.outcome) {
            (Action::Initialise { .. }, Ok(_)) => AssetName::parse("RLUSD@xrpl"),
            (Action::RegisterAsset { name, .. }, Ok(_)) => Some(*name),
            _ => None,
        };
        let asset = name.and_then(|name| self.state.asset(BookNo::OPERATOR, &name).ok().flatten().cloned());
        match asset {
            Some(asset) => self.form.shared(&mut self.out, &asset),
            None => Ok(()),
        }
    }

    /// Answers how many transactions were written.
    fn end(mut self, place: &Place) -> Result<u64, Failure> {
        let book = self.book.and_then(|no| self.state.book(no));
        let book = book.ok_or_else(|| {
            Failure::new(format!(
                "there is no such book in {place}; `saldo verify --store {place}` shows which there are"
            ))
        })?;
        let balances = self.names.moved().filter_map(|(account, asset)| {
            let balance = book.slots.get(account)?.balances.get(asset)?;
            Some((account, asset, balance.counters.settled()))
        });
        let ending = Ending {
            book,
            digest: self.digest,
            balances: balances.collect(),
            days: self.days,
        };
        let ended = self
            .form
            .end(&mut self.out, &self.names, &ending)
            .and_then(|()| self.out.flush());
        ended.map_err(|error| Failure::while_doing("writing the export", error))?;
        Ok(self.count)
    }
}

fn kind(record: &Record) -> &'static str {
    match &record.action {
        Action::Capture(_) => "capture",
        Action::Reverse(_) => "reversal",
        _ => "transaction",
    }
}

/// A day in UTC, some days later.
fn day(time: Micros, later: i64) -> String {
    const DAY: i64 = 86_400_000_000;
    let text = dialects::time::format(Micros(time.0.saturating_add(later.saturating_mul(DAY))));
    text.split('T').next().unwrap_or_default().to_owned()
}
