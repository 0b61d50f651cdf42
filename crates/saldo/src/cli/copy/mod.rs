//! `saldo copy`: takes the books of one store to another, record by record, and compares them.

mod cut;
mod destination;
mod source;

use std::time::Duration;

use indicatif::{HumanCount, ProgressBar};
use ledger::Micros;
use serde_json::json;
use service::Clock;
use store::Mark;
use tokio::sync::mpsc::channel;
use tokio::time::{Instant, sleep};

use crate::failure::Failure;
use crate::place::{Place, postgres_options};
pub(super) use cut::{BookPosition, Cut, Point};
pub(super) use destination::Destination;
pub(super) use source::{Source, Until, disk};

/// How long to wait before a server is looked for again.
const LOOK: Duration = Duration::from_millis(50);
/// A round of so many records is short: what is written meanwhile is copied in no time.
const SHORT: u64 = 10_000;
/// After so many rounds it does not get shorter.
const ROUNDS: usize = 20;

/// Copies the books.
#[derive(clap::Args)]
#[command(
    after_help = "Stopped anywhere, it goes on where it was when it is started again. Servers may use the store that is \
                  copied meanwhile. The copy can be used when all of it is there and every book's digest is the same."
)]
pub(crate) struct Copy {
    /// The store to be copied: a folder, or a database as postgres://…
    #[arg(long, value_name = "URL", required_unless_present = "reopen")]
    from: Option<Place>,
    /// Where to: a place that is empty, or an earlier copy
    #[arg(long, value_name = "URL", required_unless_present = "reopen")]
    to: Option<Place>,
    /// Moves for good: copies what is written until the end, and closes the store that is copied. Of a folder, stop the
    /// server when told so; a database takes no writes from then on
    #[arg(long, requires = "from")]
    switch: bool,
    /// Takes a store back into use whose books were moved, or whose copy was not finished
    #[arg(long, value_name = "URL", conflicts_with_all = ["from", "to"])]
    reopen: Option<Place>,
    /// Says what happens as JSON, one object a line
    #[arg(long)]
    json: bool,
}

impl Copy {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match (self.from, self.to, self.reopen) {
            (_, _, Some(place)) => reopen(&place).await,
            (Some(from), Some(to), None) => {
                let task = Task {
                    from,
                    to,
                    switch: self.switch,
                    json: self.json,
                    bar: super::bar("{wide_bar} {percent}% {msg} records {eta}"),
                };
                let copied = task.run().await;
                task.bar.finish_and_clear();
                copied
            }
            _ => Err(Failure::new("name --from and --to")),
        }
    }
}

/// Takes away a store's mark.
async fn reopen(place: &Place) -> Result<(), Failure> {
    let failed = |error: &dyn std::fmt::Display| {
        Failure::while_doing(&format!("reopening the store in {place}"), error)
    };
    match place {
        Place::Folder(folder) => {
            let disk = source::disk(folder, place)?;
            store_journal::set_mark(&*disk, None).map_err(|error| failed(&error))
        }
        Place::Postgres(url) => {
            let set = store_postgres::set_mark(url, &postgres_options(), None).await;
            set.map_err(|error| failed(&error))
        }
    }
}

struct Task {
    from: Place,
    to: Place,
    switch: bool,
    json: bool,
    bar: ProgressBar,
}

impl Task {
    async fn run(&self) -> Result<(), Failure> {
        if self.from.is_same(&self.to) {
            return Err(Failure::new("--from and --to are the same store; name two"));
        }
        let until = Until {
            time: if self.switch {
                Micros::MAX
            } else {
                Clock::System.now()
            },
            is_end: true,
        };
        let source = Source::open(&self.from).await?;
        match source.mark().await? {
            // It was killed on the last steps, and goes on.
            Some(Mark::Moved(to)) if self.switch && to == self.to.to_string() => {}
            Some(mark) => return Err(Failure::new(format!("{} can't be copied: {mark}", self.from))),
            None => {}
        }
        let mut destination = Destination::open(&self.to).await?;
        let copied = self.copy(source, &mut destination, until).await;
        match copied {
            Ok(source) => self.finish(source, destination).await,
            Err(failure) => {
                destination.leave().await;
                Err(failure)
            }
        }
    }

    /// Copies all that there is, and compares.
    async fn copy(
        &self,
        mut source: Source,
        destination: &mut Destination,
        until: Until,
    ) -> Result<Source, Failure> {
        match destination.mark().await? {
            Some(Mark::Unfinished(_)) => {}
            Some(mark) => return Err(Failure::new(format!("{} can't take a copy: {mark}", self.to))),
            None => {
                if !destination.is_empty() {
                    self.check_earlier(destination, until).await?;
                }
                destination.begin(&self.from.to_string()).await?;
            }
        }
        (source, _) = self.drain(source, destination, until).await?;
        if self.switch {
            source = match &self.from {
                Place::Folder(_) => self.until_stopped(source, destination).await?,
                Place::Postgres(_) => self.until_closed(source, destination).await?,
            };
        }
        destination.compare(&source.books()).await?;
        // A key is kept before what is sealed under it is recorded, so now all of them are there.
        destination.take_text_keys(source.text_keys().await?).await?;
        destination
            .take_signing_keys(source.signing_keys().await?)
            .await?;
        Ok(source)
    }

    /// Makes sure that the destination is an earlier copy that was not used since, before anything is done to it.
    async fn check_earlier(&self, destination: &Destination, until: Until) -> Result<(), Failure> {
        let mut earlier = Source::open(&self.from).await?;
        let (out, mut sent) = channel(2);
        let bar = self.bar.clone();
        let reading = tokio::spawn(async move {
            earlier.send(until, &out, &bar).await?;
            Ok::<_, Failure>(earlier)
        });
        while let Some(fed) = sent.recv().await {
            destination.missing(fed)?;
        }
        let earlier = ended(reading.await)?;
        if destination.is_within(&earlier.books()) {
            return Ok(());
        }
        Err(destination.foreign())
    }

    /// Copies what there is by now. Answers how many records there were.
    async fn drain(
        &self,
        source: Source,
        destination: &mut Destination,
        until: Until,
    ) -> Result<(Source, u64), Failure> {
        let (source, _, count) = drain(source, Cut::default(), destination, until, &self.bar).await?;
        Ok((source, count))
    }

    /// A folder: copies until no server has it open any more, and keeps others from opening it.
    async fn until_stopped(
        &self,
        mut source: Source,
        destination: &mut Destination,
    ) -> Result<Source, Failure> {
        let mut told = false;
        loop {
            let alone = source.try_lock()?;
            let begun = Instant::now();
            let until = Until {
                time: Micros::MAX,
                is_end: alone,
            };
            (source, _) = self.drain(source, destination, until).await?;
            if alone {
                return Ok(source);
            }
            if !told {
                told = true;
                self.tell_close(begun.elapsed());
            }
            sleep(LOOK).await;
        }
    }

    /// A database: closes it when there is little left, and copies that.
    async fn until_closed(
        &self,
        mut source: Source,
        destination: &mut Destination,
    ) -> Result<Source, Failure> {
        let until = Until {
            time: Micros::MAX,
            is_end: true,
        };
        for _ in 0..ROUNDS {
            let (back, count) = self.drain(source, destination, until).await?;
            source = back;
            if count < SHORT {
                break;
            }
        }
        source.set_moved(&self.to).await?;
        let (source, _) = self.drain(source, destination, until).await?;
        Ok(source)
    }

    fn tell_close(&self, left: Duration) {
        let left = left.as_millis();
        if self.json {
            println!("{}", json!({"event": "caughtUp", "leftMilliseconds": left}));
        }
        let text = format!(
            "Caught up. Stop the server on {} now; copying what is left takes about {left} ms.",
            self.from
        );
        self.bar.suspend(|| eprintln!("{text}"));
    }

    async fn finish(&self, source: Source, destination: Destination) -> Result<(), Failure> {
        if self.switch {
            source.set_moved(&self.to).await?;
        }
        let taken = destination.taken;
        destination.finish().await?;
        let books = source.books();
        if self.json {
            let books: Vec<_> = books.iter().map(super::book_as_json).collect();
            println!(
                "{}",
                json!({"event": "done", "ok": true, "records": taken, "books": books})
            );
        } else {
            println!(
                "OK: {taken} records copied; {} books are the same in both, by their digests",
                books.len()
            );
        }
        let next = match self.switch {
            true => format!("{} is closed. Next: saldo serve --store {}", self.from, self.to),
            false => format!("Next: saldo serve --store {}", self.to),
        };
        eprintln!("{next}");
        Ok(())
    }
}

/// Takes what there is by now to the destination, as far as the cut lets it. Records are read while those before them are written.
/// Answers how many were read.
pub(super) async fn drain(
    mut source: Source,
    mut cut: Cut,
    destination: &mut Destination,
    until: Until,
    bar: &ProgressBar,
) -> Result<(Source, Cut, u64), Failure> {
    let (out, mut sent) = channel(2);
    let shown = bar.clone();
    let reading = tokio::spawn(async move {
        let count = source.send(until, &out, &shown).await?;
        Ok::<_, Failure>((source, count))
    });
    while let Some(fed) = sent.recv().await {
        destination.take(cut.take(fed)).await?;
        bar.set_message(HumanCount(destination.taken).to_string());
    }
    let (source, count) = ended(reading.await)?;
    Ok((source, cut, count))
}

fn ended<T>(reading: Result<Result<T, Failure>, tokio::task::JoinError>) -> Result<T, Failure> {
    reading.map_err(|error| Failure::while_doing("reading what is copied", error))?
}
