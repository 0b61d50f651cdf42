//! `saldo verify`: checks a store against itself.

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use store_journal::log::LogError;
use store_journal::{OpenError, Report, VerifyError};

use crate::place::{Place, options};

/// Checks a store.
#[derive(clap::Args)]
#[command(
    after_help = "Exits with 0 when all is well, 1 when something is damaged, 2 when it could not be checked."
)]
pub(crate) struct Verify {
    #[command(flatten)]
    store: super::Store,
    /// Says what was found as JSON
    #[arg(long)]
    json: bool,
}

impl Verify {
    pub(crate) fn run(self) -> ExitCode {
        let place = self.store.store;
        let Place::Folder(folder) = &place else {
            eprintln!("saldo: {place} was not checked: this version checks folders alone");
            return ExitCode::from(2);
        };
        let checked = check(folder, &place);
        match checked {
            Ok(report) if self.json => println!("{}", as_json(&report)),
            Ok(report) => print!("{}", as_text(&report)),
            Err(error) => {
                let damaged = !matches!(
                    &error,
                    VerifyError::Open(
                        OpenError::NotFound(_) | OpenError::Log(LogError::Locked(_) | LogError::Disk(_))
                    )
                );
                let error = error.to_string();
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

fn check(folder: &Path, place: &Place) -> Result<Report, VerifyError> {
    if !folder.is_dir() {
        return Err(OpenError::NotFound(place.to_string()).into());
    }
    let disk = store_journal::folder(folder, false)?;
    let bar = match std::io::stderr().is_terminal() {
        true => ProgressBar::no_length(),
        false => ProgressBar::hidden(),
    };
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes} {eta}") {
        bar.set_style(style);
    }
    let report = store_journal::verify(&disk, &options(), &place.to_string(), |progress| {
        bar.set_length(progress.total);
        bar.set_position(progress.bytes);
    });
    bar.finish_and_clear();
    report
}

fn hex(digest: &[u8; 32]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn as_text(report: &Report) -> String {
    let Report {
        frames,
        records,
        bytes,
        books,
        bytes_cut,
    } = report;
    let mut text = format!("OK: {records} records in {frames} frames, {bytes} bytes\n");
    if *bytes_cut > 0 {
        text += &format!(
            "{bytes_cut} bytes of an incomplete last write were put aside; nobody was told that it was done\n"
        );
    }
    text += &format!("{:>6} {:>12}  digest\n", "book", "position");
    for (book, position, digest) in books {
        text += &format!("{:>6} {:>12}  {}\n", book.0, position.0, hex(digest));
    }
    text
}

fn as_json(report: &Report) -> serde_json::Value {
    let Report {
        frames,
        records,
        bytes,
        books,
        bytes_cut,
    } = report;
    let books: Vec<_> = books
        .iter()
        .map(|(book, position, digest)| {
            json!({"book": book.0, "position": position.0.to_string(), "digest": hex(digest)})
        })
        .collect();
    json!({"ok": true, "frames": frames, "records": records, "bytes": bytes, "bytesCut": bytes_cut, "books": books})
}
