//! Options that several commands have.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;

use super::call::Body;
use super::failed::Failed;

/// Which server, who asks, and how the answer is shown.
#[derive(clap::Args)]
#[command(next_help_heading = "Server and output")]
pub(crate) struct Server {
    /// Where the server is
    #[arg(long, global = true, env = "SALDO_URL", value_name = "URL", default_value = "http://127.0.0.1:8080", value_parser = url)]
    pub(super) url: String,
    /// The token of an API key; better in the environment, where other users of the machine don't see it
    #[arg(
        long,
        global = true,
        env = "SALDO_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN"
    )]
    pub(super) token: Option<String>,
    /// For operators' keys: the book to work in, by the id of its root client (the header Saldo-Book)
    #[arg(long, global = true, env = "SALDO_BOOK", value_name = "CLIENT")]
    pub(super) book: Option<String>,
    /// Certificates of the authorities to trust, instead of the system's: a PEM file
    #[arg(long, global = true, env = "SALDO_CA", value_name = "FILE")]
    pub(super) ca: Option<PathBuf>,
    /// For how many seconds an answer is waited for
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u16).range(1..))]
    timeout: u16,
    /// Prints the server's JSON as it is
    #[arg(long, global = true)]
    pub(super) json: bool,
}

impl Server {
    /// How long an answer is waited for.
    pub(super) fn patience(&self) -> Duration {
        Duration::from_secs(self.timeout.into())
    }
}

/// Reads the URL of a server; what is behind the host stands before the paths of the API.
fn url(text: &str) -> Result<String, String> {
    const EXPECTED: &str = "must be as in http://127.0.0.1:8080 or https://saldo.example";
    let uri: ureq::http::Uri = text.parse().map_err(|_| EXPECTED.to_owned())?;
    let host = uri.authority().ok_or(EXPECTED)?;
    match uri.scheme_str() {
        Some("http" | "https") if uri.query().is_none() && !host.as_str().contains('@') => {
            Ok(text.trim_end_matches('/').to_owned())
        }
        _ => Err(EXPECTED.to_owned()),
    }
}

/// What every read takes.
#[derive(clap::Args)]
pub(crate) struct Read {
    /// Answers only when the book is there, as after a write with this position on another server
    #[arg(long, value_name = "POSITION")]
    pub(super) min_position: Option<String>,
}

/// What every write takes.
#[derive(clap::Args)]
pub(crate) struct Write {
    /// The idempotency key: what is sent again under it is done once, and gets the first answer. Made up if left out
    #[arg(long, value_name = "KEY")]
    pub(super) key: Option<String>,
}

/// How much of a list.
#[derive(clap::Args)]
pub(crate) struct Pages {
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    /// All of them
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    /// Goes on behind an earlier list, by the nextCursor of its JSON
    #[arg(long, value_name = "CURSOR")]
    pub(super) cursor: Option<String>,
}

impl Pages {
    /// The most items that are wanted.
    pub(super) fn most(&self) -> u64 {
        match self.all {
            true => u64::MAX,
            false => self.limit,
        }
    }
}

/// The caller's own id and data of what is made.
#[derive(clap::Args)]
pub(crate) struct Notes {
    /// An id of your own for it
    #[arg(long, value_name = "ID")]
    external_id: Option<String>,
    /// Data of your own: a JSON object
    #[arg(long, value_name = "JSON", value_parser = Json::object)]
    metadata: Option<Json>,
}

impl Notes {
    pub(super) fn put_into(self, body: Body) -> Body {
        body.maybe("externalId", self.external_id)
            .maybe("metadata", self.metadata)
    }
}

/// The same of what is changed.
#[derive(clap::Args)]
pub(crate) struct NotesChange {
    /// An id of your own for it; an empty one takes it away
    #[arg(long, value_name = "ID")]
    external_id: Option<String>,
    /// Data of your own in place of what was there: a JSON object, or null to take it away
    #[arg(long, value_name = "JSON", value_parser = Json::object_or_null)]
    metadata: Option<Json>,
}

impl NotesChange {
    pub(super) fn put_into(self, body: Body) -> Body {
        let external_id = self.external_id.map(|id| Some(id).filter(|id| !id.is_empty()));
        body.maybe("externalId", external_id)
            .maybe("metadata", self.metadata)
    }
}

/// JSON that goes to the server as it was written.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct Json(Box<RawValue>);

impl Json {
    pub(super) fn object(text: &str) -> Result<Self, String> {
        let raw: Box<RawValue> =
            serde_json::from_str(text).map_err(|error| format!("is no JSON: {error}"))?;
        match raw.get().starts_with('{') {
            true => Ok(Self(raw)),
            false => Err("must be a JSON object, as in {\"tier\":\"gold\"}".to_owned()),
        }
    }

    fn object_or_null(text: &str) -> Result<Self, String> {
        match text.trim() {
            "null" => Ok(Self(RawValue::NULL.to_owned())),
            _ => Self::object(text),
        }
    }
}

/// An amount of an asset, written as in `USD=5000`.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(super) name: String,
    pub(super) amount: String,
}

impl Named {
    fn parse(text: &str, example: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, amount)) if !name.is_empty() && !amount.is_empty() => Ok(Self {
                name: name.to_owned(),
                amount: amount.to_owned(),
            }),
            _ => Err(format!("must be as in {example}")),
        }
    }

    /// An asset with its amount.
    pub(super) fn asset(text: &str) -> Result<Self, String> {
        Self::parse(text, "USD=5000")
    }

    /// The number of a posting, from 0, with its amount.
    fn part(text: &str) -> Result<Part, String> {
        let named = Self::parse(text, "0=500")?;
        let index = named
            .name
            .parse()
            .map_err(|_| "must begin with the number of a posting, from 0, as in 0=500".to_owned())?;
        Ok(Part {
            index,
            amount: named.amount,
        })
    }
}

/// A part of a posting of another transaction.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Part {
    index: u32,
    amount: String,
}

/// Parts of a transaction.
#[derive(clap::Args)]
pub(crate) struct Parts {
    /// Only so much of a posting, the first being 0; may be repeated
    #[arg(long = "part", value_name = "INDEX=AMOUNT", value_parser = Named::part)]
    parts: Vec<Part>,
}

impl Parts {
    pub(super) fn put_into(self, body: Body) -> Body {
        body.maybe("postings", Some(self.parts).filter(|parts| !parts.is_empty()))
    }
}

/// Reads a file with a JSON object on each line; `-` is stdin.
pub(super) fn lines(file: &Path) -> Result<Vec<Json>, Failed> {
    let read = match file.as_os_str() == "-" {
        true => std::io::read_to_string(std::io::stdin()),
        false => std::fs::read_to_string(file),
    };
    let name = file.display();
    let text = read.map_err(|error| Failed::refused(format!("reading {name}: {error}")))?;
    let filled = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty());
    filled
        .map(|(index, line)| {
            Json::object(line).map_err(|wrong| {
                Failed::refused(format!(
                    "{name}, line {}: {wrong}; each line is one object, as `jq -c '.[]'` writes them",
                    index + 1
                ))
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_host_alone() {
        for (text, read) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("https://saldo.example/", "https://saldo.example"),
            ("https://example.com/saldo", "https://example.com/saldo"),
        ] {
            assert_eq!(url(text).as_deref(), Ok(read));
        }
        for text in [
            "",
            "localhost:8080",
            "ftp://x",
            "http://",
            "http://me:secret@x",
            "http://x?y=z",
            "http://a b",
        ] {
            assert!(url(text).is_err(), "{text}");
        }
    }

    #[test]
    fn parts_and_limits_are_names_with_amounts() {
        let part = Named::part("2=500").expect("a part");
        assert_eq!((part.index, part.amount.as_str()), (2, "500"));
        let limit = Named::asset("USDC@base=1").expect("a limit");
        assert_eq!((limit.name.as_str(), limit.amount.as_str()), ("USDC@base", "1"));
        for text in ["", "1", "=1", "1=", "-1=5", "USD=5"] {
            assert!(Named::part(text).is_err(), "{text}");
        }
    }

    #[test]
    fn metadata_stays_as_it_was_written() {
        let written = "{\"rate\": 1.10, \"big\":123456789012345678901234567890}";
        let json = Json::object(written).expect("an object");
        assert_eq!(serde_json::to_string(&json).expect("JSON"), written);
        for text in ["", "[]", "1", "{", "null"] {
            assert!(Json::object(text).is_err(), "{text}");
        }
        assert!(Json::object_or_null("null").is_ok());
    }
}
