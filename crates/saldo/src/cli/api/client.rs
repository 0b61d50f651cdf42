//! `saldo client`: businesses that hold API keys.

use clap::Subcommand;
use ureq::http::Method;

use super::Ask;
use super::args::{Notes, NotesChange, Pages, Read, Write};
use super::call::{Body, Call};
use super::failed::Failed;

#[derive(Subcommand)]
pub(crate) enum Client {
    /// Makes a client: an operator's key a root client with a book of its own, another key a subsidiary of its client
    Create {
        /// The legal name
        #[arg(long, value_name = "NAME")]
        name: String,
        /// The client that it is a subsidiary of
        #[arg(long, value_name = "CLIENT")]
        parent: Option<String>,
        /// An IANA time zone, which decides where days begin [default: UTC]
        #[arg(long, value_name = "ZONE")]
        time_zone: Option<String>,
        #[command(flatten)]
        notes: Notes,
        #[command(flatten)]
        write: Write,
    },
    /// Shows a client
    Get {
        #[arg(value_name = "CLIENT")]
        id: String,
        #[command(flatten)]
        read: Read,
    },
    /// Lists clients
    List {
        /// Only those with this id of your own
        #[arg(long, value_name = "ID")]
        external_id: Option<String>,
        #[command(flatten)]
        pages: Pages,
        #[command(flatten)]
        read: Read,
    },
    /// Changes what is named
    Update {
        #[arg(value_name = "CLIENT")]
        id: String,
        /// The legal name
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// An IANA time zone
        #[arg(long, value_name = "ZONE")]
        time_zone: Option<String>,
        #[command(flatten)]
        notes: NotesChange,
        #[command(flatten)]
        write: Write,
    },
}

impl Ask for Client {
    fn call(self) -> Result<Call, Failed> {
        match self {
            Self::Create {
                name,
                parent,
                time_zone,
                notes,
                write,
            } => {
                let body = Body::default()
                    .with("legalName", name)
                    .maybe("parentId", parent)
                    .maybe("timeZone", time_zone);
                Ok(Call::write(Method::POST, &["clients"], write)?.body(notes.put_into(body)))
            }
            Self::Get { id, read } => Ok(Call::get(&["clients", &id], read)),
            Self::List {
                external_id,
                pages,
                read,
            } => {
                let columns = &["id", "legalName", "timeZone", "parentId", "externalId"];
                Ok(Call::list(&["clients"], read, pages, columns).query("externalId", external_id))
            }
            Self::Update {
                id,
                name,
                time_zone,
                notes,
                write,
            } => {
                let body = Body::default()
                    .maybe("legalName", name)
                    .maybe("timeZone", time_zone);
                Ok(Call::write(Method::PATCH, &["clients", &id], write)?.body(notes.put_into(body)))
            }
        }
    }
}
