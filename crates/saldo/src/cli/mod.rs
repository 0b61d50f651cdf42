//! The command line.
#![allow(clippy::print_stderr, reason = "a command says on stderr what went wrong")]

mod api;
mod backup;
mod book;
mod completion;
mod config;
mod copy;
mod export;
mod help;
pub(crate) mod import;
mod init;
mod man;
mod migrate;
mod restore;
mod serve;
mod simulate;
mod verify;

use std::future::Future;
use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{FromArgMatches, Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use ledger::{BookNo, Position};
use serde_json::{Value, json};

use crate::bench::Bench;
use crate::failure::Failure;
use crate::log;
use crate::place::Place;
use crate::sandbox;

/// A balance server: money movements are posted once, to a double-entry ledger, and every balance is read from it.
#[derive(Parser)]
#[command(name = "saldo", version, disable_help_subcommand = true)]
#[command(after_help = "SALDO_LOG says what is logged to stderr: error, warn, info, debug.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

// In the order of the groups that `help` shows.
#[derive(Subcommand)]
enum Command {
    /// Starts a server with a sample world, and prints each endpoint with a curl line that works
    Sandbox(sandbox::Sandbox),
    /// Makes a store, and prints the first operator key, once
    Init(init::Init),
    /// Starts the server on a store that `saldo init` made
    Serve(serve::Serve),
    /// Says what `saldo serve` would use, and where each setting came from
    Config(config::Config),
    #[command(flatten)]
    Api(api::Noun),
    /// Checks a store to the last record and row: checksums, arithmetic, decisions, what was derived from them
    Verify(verify::Verify),
    /// Keeps a copy of a folder's journal, also while a server uses it; `backup verify` proves it
    Backup(Box<backup::Backup>),
    /// Makes a store of a backup, as it was at its end or at a moment before
    Restore(Box<restore::Restore>),
    /// Writes a book, for `saldo import`, hledger or beancount
    Export(export::Export),
    /// Fills an empty book from an export or from opening balances
    Import(import::Import),
    /// Copies all books of a store to another, a folder or a database, and compares them
    Copy(copy::Copy),
    /// Brings the tables of a PostgreSQL database up to date, or says what is to be done
    Migrate(migrate::Migrate),
    /// Sends load to running servers, and shows how fast they answered
    Bench(Bench),
    /// Runs the embedded store on a simulated disk that loses power, fills up and fails, and checks what it promises
    Simulate(simulate::Simulate),
    /// Prints what makes a shell complete these commands and their options
    Completion(completion::Completion),
    /// Prints the manual page, or writes a page for each command
    Man(man::Man),
}

/// Which store.
#[derive(clap::Args)]
pub(crate) struct Store {
    /// The folder of the store, or its database as postgres://user:password@host/database
    #[arg(
        long,
        env = "SALDO_STORE",
        hide_env_values = true,
        value_name = "URL",
        default_value = "./saldo-data"
    )]
    store: Place,
}

/// Where to listen.
#[derive(clap::Args)]
pub(crate) struct Listen {
    /// The address and port to listen on; port 0 picks a free one and prints it
    #[arg(
        long,
        env = "SALDO_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:8080"
    )]
    pub(crate) listen: String,
}

/// Does what the command line says.
pub(crate) fn run() -> ExitCode {
    let matches = help::command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match &cli.command {
        // It logs as its settings say.
        Command::Serve(_) => {}
        // The store says so each time that the simulated disk fails.
        Command::Simulate(_) => log::start("off", log::Format::Text),
        _ => log::start("warn", log::Format::Text),
    }
    let done = match cli.command {
        Command::Sandbox(sandbox) => in_runtime(sandbox.run()),
        Command::Init(init) => in_runtime(init.run()),
        Command::Serve(serve) => serve.run(),
        Command::Config(config) => config.run(),
        Command::Api(noun) => return noun.run(),
        Command::Verify(verify) => {
            return match in_runtime(async { Ok(verify.run().await) }) {
                Ok(code) => code,
                Err(failure) => {
                    eprintln!("saldo: {failure}");
                    ExitCode::from(2)
                }
            };
        }
        Command::Backup(backup) => in_runtime(backup.run()),
        Command::Restore(restore) => in_runtime(restore.run()),
        Command::Export(export) => in_runtime(export.run()),
        Command::Import(import) => in_runtime(import.run()),
        Command::Copy(copy) => in_runtime(copy.run()),
        Command::Migrate(migrate) => return migrate.run(),
        Command::Bench(bench) => bench.run(),
        Command::Simulate(simulate) => return simulate.run(),
        Command::Completion(completion) => completion.run(),
        Command::Man(man) => man.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            log::failed(&failure);
            ExitCode::FAILURE
        }
    }
}

/// A bar, where somebody looks at it.
fn bar(template: &str) -> ProgressBar {
    let bar = match std::io::stderr().is_terminal() {
        true => ProgressBar::no_length(),
        false => ProgressBar::hidden(),
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

/// A book with its position and digest, as programs read it.
fn book_as_json((book, position, digest): &(BookNo, Position, [u8; 32])) -> Value {
    json!({"book": book.0, "position": position.0.to_string(), "digest": hex(digest)})
}

/// A digest as people read it.
fn hex(digest: &[u8; 32]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn in_runtime<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::while_doing("starting threads", error))?
        .block_on(work)
}
