//! The API from the shell: each operation of the native API as a command that talks to a running server.
//!
//! A command only says what is asked ([`Call`]) and how the answer looks to people ([`Shape`]): a variant with its options, and an
//! arm that makes a call of it. The rest is here: [`link`] sends it, [`page`] reads lists to their end, [`show`] makes tables, and
//! [`failed`] says what went wrong and with which exit code the program ends.

mod account;
mod args;
mod asset;
mod balance;
mod call;
mod client;
mod customer;
mod events;
mod failed;
mod hold;
mod key;
mod link;
mod page;
mod post;
mod rate;
mod show;
mod signing_key;
mod transaction;

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use self::args::Server;
use self::call::Call;
use self::failed::Failed;
use self::link::{Answer, Link};

/// Below the help of each of these commands.
pub(crate) const AFTER_HELP: &str = "\
Amounts are whole minor units, as in the API: 1250 in USD is 12.50.
Exits with 0 when it is done, 1 when it was refused or has to be put right first, 2 when it was called wrongly, 3 when \
the credentials don't do, 4 when there was no answer or the server can't now: the same may be tried again.";

/// What the API is about, and two shortcuts.
#[derive(Subcommand)]
pub(crate) enum Noun {
    /// Posts a transaction, or holds its money
    Post(Box<Alone<post::Post>>),
    /// Shows an account's balances, now or as of then
    Balance(Alone<balance::Balance>),
    /// Transactions: show, list, reverse, or post a batch of them
    Transaction(Verbs<transaction::Transaction>),
    /// Money that is held: show, list, capture, release; `saldo post --hold` holds some
    Hold(Verbs<hold::Hold>),
    /// Accounts: open, show, list and change them, and what changed their balances
    Account(Box<Verbs<account::Account>>),
    /// Customers: make, show, list, change, value and erase them
    Customer(Verbs<customer::Customer>),
    /// Clients, the businesses that hold keys: make, show, list and change them
    Client(Verbs<client::Client>),
    /// API keys: make, list, rotate and revoke them
    Key(Verbs<key::Key>),
    /// The key that signs tokens: rotate it, as an operator
    SigningKey(Verbs<signing_key::SigningKey>),
    /// What was recorded in a book, in order, and as it happens
    Events(Alone<events::Events>),
    /// Assets beside the built-in ones: register and list them
    Asset(Verbs<asset::Asset>),
    /// Exchange rates: put and list them
    Rate(Verbs<rate::Rate>),
}

/// A word with further words behind it.
#[derive(Args)]
pub(crate) struct Verbs<T: Subcommand> {
    #[command(flatten)]
    server: Server,
    #[command(subcommand)]
    ask: T,
}

/// A word that stands alone.
#[derive(Args)]
pub(crate) struct Alone<T: Args> {
    #[command(flatten)]
    ask: T,
    #[command(flatten)]
    server: Server,
}

/// Something that can be asked of the API.
trait Ask {
    /// As a request.
    fn call(self) -> Result<Call, Failed>;
}

impl Noun {
    pub(crate) fn run(self) -> ExitCode {
        match self {
            Self::Post(post) => ask(&post.server, post.ask),
            Self::Balance(Alone { server, ask: it }) => ask(&server, it),
            Self::Transaction(Verbs { server, ask: it }) => ask(&server, it),
            Self::Hold(Verbs { server, ask: it }) => ask(&server, it),
            Self::Account(account) => ask(&account.server, account.ask),
            Self::Customer(Verbs { server, ask: it }) => ask(&server, it),
            Self::Client(Verbs { server, ask: it }) => ask(&server, it),
            Self::Key(Verbs { server, ask: it }) => ask(&server, it),
            Self::SigningKey(Verbs { server, ask: it }) => ask(&server, it),
            Self::Events(Alone { server, ask: it }) => end(
                &server,
                Link::to(&server).and_then(|link| it.run(&link, server.json)),
            ),
            Self::Asset(Verbs { server, ask: it }) => ask(&server, it),
            Self::Rate(Verbs { server, ask: it }) => ask(&server, it),
        }
    }
}

/// Asks, and shows the answer.
fn ask(server: &Server, ask: impl Ask) -> ExitCode {
    let done = ask.call().and_then(|call| {
        let link = Link::to(server)?;
        match &call.pages {
            Some(pages) => page::list(&link, &call, pages, server.json),
            None => {
                let answer = link.send(&call, &[])?;
                show_one(&call, &answer, server.json)
            }
        }
    });
    end(server, done)
}

/// Says what went wrong, if it did, and how the program ends.
fn end(server: &Server, done: Result<(), Failed>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            failed.say(server.json);
            ExitCode::from(failed.code())
        }
    }
}

/// Shows an answer about one thing.
fn show_one(call: &Call, answer: &Answer, json: bool) -> Result<(), Failed> {
    if json {
        if !answer.body.is_empty() {
            print(&format!("{}\n", answer.body))?;
        }
    } else {
        print(&show::thing(answer, call.done)?)?;
        if answer.replayed {
            eprintln!("This had been done before; the answer is that of then.");
        }
        if answer.body.contains("\"apiSecret\"") {
            eprintln!("The secrets are shown this once.");
        }
    }
    (call.check)(&answer.body)
}

/// Writes to stdout. That nobody reads on is no failure.
fn print(text: &str) -> Result<(), Failed> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failed::refused(format!("the answer can't be written: {error}")))
        }
        _ => Ok(()),
    }
}
