//! `saldo verify`: checks a store against itself.

use std::path::Path;
use std::process::ExitCode;

use ledger::{BookNo, Position};
use serde_json::{Value, json};
use store_journal::log::LogError;

use super::{bar, book_as_json, hex};
use crate::place::{Place, options, postgres_options};

/// Checks a store.
#[derive(clap::Args)]
#[command(
    after_help = "Servers may use the store meanwhile: it is checked as it was when this began, and nothing is changed. Exits with 0 \
                  when all is well, 1 when something is damaged, 2 when it could not be checked."
)]
pub(crate) struct Verify {
    #[command(flatten)]
    store: super::Store,
    /// Says what was found as JSON
    #[arg(long)]
    json: bool,
}

/// What was found of a store that is well.
struct Good {
    /// What was read, in a line or two.
    text: String,
    /// The same for machines.
    numbers: Value,
    books: Vec<(BookNo, Position, [u8; 32])>,
}

/// Why a store is not known to be well.
struct Bad {
    damaged: bool,
    error: String,
}

impl Verify {
    pub(crate) async fn run(self) -> ExitCode {
        let place = self.store.store;
        let checked = match &place {
            Place::Folder(folder) => {
                let (folder, place) = (folder.clone(), place.clone());
                let checked = tokio::task::spawn_blocking(move || check_folder(&folder, &place)).await;
                checked.unwrap_or_else(|error| {
                    Err(Bad {
                        damaged: false,
                        error: error.to_string(),
                    })
                })
            }
            Place::Postgres(url) => check_database(url).await,
        };
        match checked {
            Ok(good) if self.json => println!("{}", as_json(good)),
            Ok(good) => print!("{}", as_text(&good)),
            Err(Bad { damaged, error }) => {
                match (self.json, damaged) {
                    (true, _) => println!("{}", json!({"ok": false, "damaged": damaged, "error": error})),
                    (false, true) => println!("DAMAGED: {error}"),
                    (false, false) => eprintln!("saldo: {place} was not checked: {error}"),
                }
                return ExitCode::from(if damaged { 1 } else { 2 });
            }
        }
        ExitCode::SUCCESS
    }
}

fn check_folder(folder: &Path, place: &Place) -> Result<Good, Bad> {
    use store_journal::{OpenError, Report, VerifyError};
    let bad = |error: VerifyError| {
        let unchecked = matches!(
            &error,
            VerifyError::Open(
                OpenError::NotFound(_) | OpenError::Disk(_) | OpenError::Log(LogError::Disk(_))
            )
        );
        Bad {
            damaged: !unchecked,
            error: error.to_string(),
        }
    };
    if !folder.is_dir() {
        return Err(bad(OpenError::NotFound(place.to_string()).into()));
    }
    let disk = store_journal::folder(folder, false).map_err(|error| bad(error.into()))?;
    let bar = bar("{wide_bar} {bytes}/{total_bytes} {eta}");
    let report = store_journal::verify(&disk, &options(), &place.to_string(), |progress| {
        bar.set_length(progress.total);
        bar.set_position(progress.bytes);
    });
    bar.finish_and_clear();
    let Report {
        frames,
        records,
        bytes,
        books,
        bytes_cut,
        keyless,
    } = report.map_err(bad)?;
    if let Some((book, party)) = keyless.first() {
        return Err(Bad {
            damaged: true,
            error: format!(
                "texts.vault has no key for {} books, clients and customers who were not erased, as of {} in book {book}; what was \
                 written about them can't be read. Restore it from the backup that belongs to these books",
                keyless.len(),
                ledger::ClientId(party.0)
            ),
        });
    }
    let mut text = format!("{records} records in {frames} frames, {bytes} bytes\n");
    if bytes_cut > 0 {
        text += &format!(
            "{bytes_cut} bytes of an incomplete last write are at its end; nobody was told that it was done, and the next start puts \
             them aside\n"
        );
    }
    Ok(Good {
        text,
        numbers: json!({"frames": frames, "records": records, "bytes": bytes, "bytesCut": bytes_cut}),
        books,
    })
}

async fn check_database(url: &store_postgres::Url) -> Result<Good, Bad> {
    let bar = bar("{wide_bar} {human_pos}/{human_len} records {eta}");
    let report = store_postgres::verify(url, &postgres_options(), |progress| {
        bar.set_length(progress.total);
        bar.set_position(progress.records);
    })
    .await;
    bar.finish_and_clear();
    let report = report.map_err(|error| Bad {
        damaged: matches!(error, store_postgres::VerifyError::Wrong { .. }),
        error: error.to_string(),
    })?;
    Ok(Good {
        text: format!("{} records\n", report.records),
        numbers: json!({"records": report.records}),
        books: report.books,
    })
}

fn as_text(good: &Good) -> String {
    let mut text = format!("OK: {}{:>6} {:>12}  digest\n", good.text, "book", "position");
    for (book, position, digest) in &good.books {
        text += &format!("{:>6} {:>12}  {}\n", book.0, position.0, hex(digest));
    }
    text
}

fn as_json(good: Good) -> Value {
    let mut said = good.numbers;
    said["ok"] = true.into();
    said["books"] = good.books.iter().map(book_as_json).collect();
    said
}
