//! `saldo import`: fills an empty book from a file.

mod csv;
mod lines;
mod trial;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indicatif::{HumanCount, ProgressBar};
use ledger::{Action, BookNo, ClientId, Command, Key, Micros, Plain, Position};
use serde_json::json;
use service::auth::CLIENT_SCOPES;
use service::{Caller, Clock, Config, Service};
use store::{Outcome, Store, Viewer};

use super::export::Chosen;
use crate::failure::Failure;
use crate::place::{self, Content};
use lines::{Item, Problems};
use trial::Trial;

/// So many commands are sent at once.
const BATCH: usize = 500;

/// Fills an empty book.
#[derive(clap::Args)]
#[command(
    after_help = "The whole file is tried first, in memory, and nothing is written unless all of it is right. Stopped anywhere, it goes on \
                  where it was when it is started again. docs/import.md describes both formats."
)]
pub(crate) struct Import {
    #[command(flatten)]
    store: super::Store,
    /// Which book: its number, as `saldo verify` shows it, or the id of its root client
    #[arg(long, value_name = "BOOK")]
    book: Chosen,
    /// What `saldo export --format ndjson` wrote, or opening balances in a file that ends in .csv
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Only tries it
    #[arg(long)]
    check: bool,
    /// Says what was done as JSON
    #[arg(long)]
    json: bool,
}

/// What a file is imported into.
struct Target {
    book: BookNo,
    root: ClientId,
    /// The assets of all books.
    assets: Vec<Arc<ledger::Asset>>,
    now: Micros,
}

impl Import {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let place = self.store.store;
        let store = place.open().await?;
        let service = Service::new(Arc::clone(&store), Config::default(), Clock::System);
        let done = match place::content(&service).await {
            Ok(Content::Nothing) => Err(Failure::new(format!(
                "the store in {place} was not made to its end"
            ))),
            Ok(_) => run(&service, self.book, &self.file, self.check).await,
            Err(failure) => Err(failure),
        };
        service.store.close().await?;
        let (there, new) = done?;
        match (self.json, self.check) {
            (true, _) => println!(
                "{}",
                json!({"ok": true, "checked": there + new, "imported": if self.check { 0 } else { new }})
            ),
            (false, true) => println!("OK: {} actions could be imported", there + new),
            (false, false) if there > 0 => println!("OK: {new} actions imported; {there} were there before"),
            (false, false) => println!("OK: {new} actions imported"),
        }
        Ok(())
    }
}

/// Whether a file has opening balances.
fn is_csv(file: &Path) -> bool {
    file.extension()
        .is_some_and(|ending| ending.eq_ignore_ascii_case("csv"))
}

/// Reads a file, in one format or the other.
fn read(file: &Path, target: &Target, each: &mut dyn FnMut(Item)) -> Result<Problems, Failure> {
    let opened = File::open(file);
    let problems = opened.and_then(|opened| match is_csv(file) {
        true => csv::read(opened, target, each),
        false => lines::read(opened, target, each),
    });
    problems.map_err(|error| Failure::while_doing(&format!("reading {}", file.display()), error))
}

/// Tries a file's bytes on an empty book of a new store: what is wrong with them, else how many actions they give.
pub(crate) fn try_bytes(bytes: &[u8], csv: bool) -> Result<u64, String> {
    let target = Target {
        book: BookNo(1),
        root: ClientId(0x0190_163d_8694_739b_aea5_966c_26f8_ad90),
        assets: ledger::built_in(6).into_iter().map(Arc::new).collect(),
        now: Micros(1_800_000_000_000_000),
    };
    let mut trial = Trial::new(&target).map_err(|failure| failure.to_string())?;
    let mut refused = Problems::default();
    let mut each = |item: Item| trial.take(&item, &mut refused);
    let read = match csv {
        true => csv::read(bytes, &target, &mut each),
        false => lines::read(bytes, &target, &mut each),
    };
    let mut problems = read.map_err(|error| error.to_string())?;
    problems.join(refused);
    match problems.to_text() {
        Some(text) => Err(text),
        None => Ok(trial.count()),
    }
}

/// Answers how many actions were there before, and how many are new.
async fn run(service: &Service, book: Chosen, file: &Path, check: bool) -> Result<(u64, u64), Failure> {
    let target = Arc::new(target(service, book).await?);
    let mut trial = Trial::new(&target)?;
    let problems = tokio::task::block_in_place(|| {
        let mut refused = Problems::default();
        let mut problems = read(file, &target, &mut |item| trial.take(&item, &mut refused))?;
        problems.join(refused);
        Ok::<_, Failure>(problems)
    })?;
    if let Some(text) = problems.to_text() {
        return Err(Failure::new(format!(
            "{} is not imported, and nothing was changed:\n{text}",
            file.display()
        )));
    }
    let count = trial.count();
    if check {
        return Ok((0, count));
    }
    drop(trial);
    let bar = super::bar("{wide_bar} {percent}% {msg} actions {eta}");
    bar.set_length(count);
    let (out, mut items) = tokio::sync::mpsc::channel(BATCH);
    let (again, shared) = (file.to_owned(), Arc::clone(&target));
    let reading = tokio::task::spawn_blocking(move || {
        read(&again, &shared, &mut |item| {
            // Who takes them may have failed, and says why.
            let _ = out.blocking_send(item);
        })
    });
    let mut sender = Sender::new(service, &target, bar.clone());
    while let Some(item) = items.recv().await {
        sender.take(item).await?;
    }
    sender.flush().await?;
    bar.finish_and_clear();
    let read = reading.await;
    read.map_err(|error| Failure::while_doing("reading the file", error))??;
    Ok((sender.there, sender.new))
}

/// Finds the book, and makes sure that it is one.
async fn target(service: &Service, book: Chosen) -> Result<Target, Failure> {
    let store: &dyn Store = &*service.store;
    let missing = || Failure::new("there is no such book; `saldo verify` shows which there are");
    let (book, root) = match book {
        Chosen::Root(root) => (store.book_of(root).await?.ok_or_else(missing)?, root),
        Chosen::Number(no) if no != BookNo::OPERATOR => (no, root_of(store, no).await?.ok_or_else(missing)?),
        Chosen::Number(_) => return Err(missing()),
    };
    let operator = Viewer {
        book: BookNo::OPERATOR,
        client: None,
    };
    Ok(Target {
        book,
        root,
        assets: store.assets(operator).await?,
        now: service.clock.now(),
    })
}

/// The root client of a book, by the operator's record that made it.
async fn root_of(store: &dyn Store, no: BookNo) -> Result<Option<ClientId>, Failure> {
    const PAGE: usize = 1_000;
    let mut after = Position(0);
    loop {
        let records = store.records(BookNo::OPERATOR, after, PAGE).await?;
        let Some(last) = records.last() else {
            return Ok(None);
        };
        after = last.position;
        for record in &records {
            if let (Action::CreateClient(new), Ok(ledger::Done::Book(made))) =
                (&record.action, &record.outcome)
                && *made == no
            {
                return Ok(Some(new.id));
            }
        }
    }
}

/// Sends what was tried before.
struct Sender<'a> {
    service: &'a Service,
    target: &'a Target,
    caller: Caller,
    waiting: Vec<(u64, Command)>,
    /// Whether those that wait make clients, customers and accounts alone: what comes after may need them.
    only_new: bool,
    bar: ProgressBar,
    there: u64,
    new: u64,
}

impl<'a> Sender<'a> {
    fn new(service: &'a Service, target: &'a Target, bar: ProgressBar) -> Self {
        let caller = Caller {
            viewer: Viewer {
                book: target.book,
                client: Some(target.root),
            },
            scopes: CLIENT_SCOPES,
            key: None,
            client: None,
            root: Some(target.root),
        };
        Self {
            service,
            target,
            caller,
            waiting: Vec::with_capacity(BATCH),
            only_new: true,
            bar,
            there: 0,
            new: 0,
        }
    }

    async fn take(&mut self, item: Item) -> Result<(), Failure> {
        let is_new = matches!(
            item.action,
            Action::CreateClient(_) | Action::CreateCustomer(_) | Action::CreateAccount(_)
        );
        let is_money = matches!(
            item.action,
            Action::Post(_)
                | Action::PostBatch(_)
                | Action::Capture(_)
                | Action::Release(_)
                | Action::Expire { .. }
                | Action::Reverse(_)
        );
        // Whose texts they are is looked up in what was recorded.
        if self.waiting.len() >= BATCH || (self.only_new != is_new) || !(is_new || is_money) {
            self.flush().await?;
        }
        self.only_new = is_new;
        let erased = match &item.action {
            Action::EraseCustomer { id } => Some((*id).into()),
            _ => None,
        };
        let stamp = item.recorded_at.unwrap_or(self.target.now);
        let command = match item.action {
            Action::Expire { hold, .. } => Command::expiry(self.target.book, hold, stamp),
            action => {
                let key = key_of(&action, item.line);
                self.service.dated(&self.caller, key, action, stamp).await?
            }
        };
        self.waiting.push((item.line, command));
        if let Some(party) = erased {
            self.flush().await?;
            self.service.forget(party).await?;
        }
        Ok(())
    }

    /// Sends what waits. Each takes the place in the book that it has in the file, so nothing else can be in the book.
    async fn flush(&mut self) -> Result<(), Failure> {
        let (lines, commands): (Vec<_>, Vec<_>) = std::mem::take(&mut self.waiting).into_iter().unzip();
        let outcomes = self.service.store.submit(commands).await;
        for (line, outcome) in lines.into_iter().zip(outcomes) {
            let outcome = outcome.map_err(|error| {
                Failure::new(format!(
                    "line {line}: {error}. Run the same again: it goes on where it was"
                ))
            })?;
            let (record, replayed) = match outcome {
                Outcome::Recorded(record) => (record, false),
                Outcome::Replayed(record) => (record, true),
                Outcome::Conflict(_) | Outcome::Nothing | Outcome::Accepted(_) => {
                    return Err(self.not_empty(line));
                }
            };
            let due = Position(self.there + self.new + 1);
            if record.position != due {
                return Err(self.not_empty(line));
            }
            if let Err(rejection) = record.outcome {
                return Err(Failure::new(format!(
                    "line {line}: {}",
                    trial::refusal(&rejection)
                )));
            }
            match replayed {
                true => self.there += 1,
                false => self.new += 1,
            }
        }
        self.bar.set_position(self.there + self.new);
        self.bar
            .set_message(HumanCount(self.there + self.new).to_string());
        Ok(())
    }

    fn not_empty(&self, line: u64) -> Failure {
        Failure::new(format!(
            "line {line}: book {} has other records than this file gives; import into a book in which nothing was done, also no key was \
             made, or go on with the file and book with which it was begun",
            self.target.book
        ))
    }
}

/// What makes an action the same when it is imported again: the id of what it makes, else its line.
fn key_of(action: &Action<Plain>, line: u64) -> Key {
    match action {
        Action::CreateClient(new) => Key::Id(new.id.into()),
        Action::CreateCustomer(new) => Key::Id(new.id.into()),
        Action::CreateAccount(new) => Key::Id(new.id.into()),
        Action::Post(one) => Key::Id(one.id.into()),
        Action::Capture(capture) => Key::Id(capture.id.into()),
        Action::Release(release) => Key::Id(release.id.into()),
        Action::Reverse(reverse) => Key::Id(reverse.id.into()),
        _ => Key::named(&format!("saldo import, line {line}")),
    }
}
