//! `saldo migrate`: brings a database's tables up to date.

use std::process::ExitCode;

use serde_json::json;
use store_postgres::Pending;

use crate::failure::Failure;
use crate::place::Place;

/// Brings a database's tables up to date.
#[derive(clap::Args)]
#[command(
    after_help = "Exits with 0 when nothing is left to do, 1 when something is, 2 when that could not be found out."
)]
pub(crate) struct Migrate {
    #[command(flatten)]
    store: super::Store,
    /// Says what is to be done, and does nothing
    #[arg(long)]
    check: bool,
    /// Says it as JSON
    #[arg(long)]
    json: bool,
}

impl Migrate {
    pub(crate) fn run(self) -> ExitCode {
        let place = self.store.store;
        match super::in_runtime(look(&place, self.check)) {
            Ok(Pending(steps)) => {
                let say = if self.json { as_json } else { as_text };
                println!("{}", say(&place, &steps, self.check));
                ExitCode::from(u8::from(self.check && !steps.is_empty()))
            }
            Err(failure) => {
                match self.json {
                    true => println!("{}", json!({"ok": false, "error": failure.to_string()})),
                    false => eprintln!("saldo: {failure}"),
                }
                ExitCode::from(2)
            }
        }
    }
}

/// What is to be done; unless it is only asked for, it is done.
async fn look(place: &Place, check: bool) -> Result<Pending, Failure> {
    match check {
        true => place.pending().await,
        false => place.migrate().await,
    }
}

fn as_text(place: &Place, steps: &[&str], check: bool) -> String {
    match (place, steps, check) {
        (Place::Folder(_), ..) => format!("{place} is a folder; folders have nothing to migrate"),
        (_, [], _) => format!("the tables of {place} are up to date"),
        (_, steps, true) => format!(
            "{place} lacks: {}; `saldo migrate` brings it up to date, and so does the next server that starts",
            steps.join(", ")
        ),
        (_, steps, false) => format!("brought {place} up to date: {}", steps.join(", ")),
    }
}

fn as_json(_: &Place, steps: &[&str], check: bool) -> String {
    let (pending, done): (&[&str], &[&str]) = if check { (steps, &[]) } else { (&[], steps) };
    json!({"ok": pending.is_empty(), "pending": pending, "done": done}).to_string()
}
