//! `saldo customer`: customers, what they owe, and forgetting them.

use clap::Subcommand;
use ureq::http::Method;

use super::Ask;
use super::args::{Notes, NotesChange, Pages, Read, Write};
use super::call::{Body, Call};
use super::failed::Failed;

#[derive(Subcommand)]
pub(crate) enum Customer {
    /// Makes a customer
    Create {
        /// The legal name
        #[arg(long, value_name = "NAME")]
        name: String,
        /// Whose customer; the key's client unless it is said
        #[arg(long, value_name = "CLIENT")]
        client: Option<String>,
        /// Its number in the book; the next one unless it is said
        #[arg(long, value_name = "N")]
        number: Option<u64>,
        #[command(flatten)]
        notes: Notes,
        #[command(flatten)]
        write: Write,
    },
    /// Shows a customer
    Get {
        #[arg(value_name = "CUSTOMER")]
        id: String,
        #[command(flatten)]
        read: Read,
    },
    /// Lists customers
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
        #[arg(value_name = "CUSTOMER")]
        id: String,
        /// The legal name
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        #[command(flatten)]
        notes: NotesChange,
        #[command(flatten)]
        write: Write,
    },
    /// Says where a customer stands with what is owed
    SetDunning {
        #[arg(value_name = "CUSTOMER")]
        id: String,
        /// Whether others collect the debt
        #[arg(long, value_name = "BOOL", action = clap::ArgAction::Set)]
        in_debt_collection: bool,
        /// The dunning level, in your words; none if it is left out
        #[arg(long, value_name = "TEXT")]
        label: Option<String>,
        #[command(flatten)]
        write: Write,
    },
    /// Values all that a customer has and owes, in one currency
    Valuation {
        #[arg(value_name = "CUSTOMER")]
        id: String,
        /// In which asset
        #[arg(long, value_name = "ASSET")]
        currency: String,
        /// As it counts for this time
        #[arg(long, value_name = "TIME")]
        effective_at: Option<String>,
        /// As it was known at this time
        #[arg(long, value_name = "TIME")]
        recorded_at: Option<String>,
        #[command(flatten)]
        read: Read,
    },
    /// Makes all that is written about a customer unreadable, for good; money and history stay
    Erase {
        #[arg(value_name = "CUSTOMER")]
        id: String,
        /// That it can't be undone is known
        #[arg(long, required = true)]
        yes: bool,
        #[command(flatten)]
        write: Write,
    },
}

impl Ask for Customer {
    fn call(self) -> Result<Call, Failed> {
        match self {
            Self::Create {
                name,
                client,
                number,
                notes,
                write,
            } => {
                let body = Body::default()
                    .with("legalName", name)
                    .maybe("clientId", client)
                    .maybe("number", number);
                Ok(Call::write(Method::POST, &["customers"], write)?.body(notes.put_into(body)))
            }
            Self::Get { id, read } => Ok(Call::get(&["customers", &id], read)),
            Self::List {
                external_id,
                pages,
                read,
            } => {
                let columns = &[
                    "id",
                    "number",
                    "legalName",
                    "clientId",
                    "externalId",
                    "dunning.label",
                ];
                Ok(Call::list(&["customers"], read, pages, columns).query("externalId", external_id))
            }
            Self::Update {
                id,
                name,
                notes,
                write,
            } => {
                let body = notes.put_into(Body::default().maybe("legalName", name));
                Ok(Call::write(Method::PATCH, &["customers", &id], write)?.body(body))
            }
            Self::SetDunning {
                id,
                in_debt_collection,
                label,
                write,
            } => {
                let body = Body::default()
                    .with("inDebtCollection", in_debt_collection)
                    .maybe("label", label);
                Ok(Call::write(Method::PUT, &["customers", &id, "dunning"], write)?.body(body))
            }
            Self::Valuation {
                id,
                currency,
                effective_at,
                recorded_at,
                read,
            } => Ok(Call::get(&["customers", &id, "valuation"], read)
                .query("currency", Some(currency))
                .query("effectiveAt", effective_at)
                .query("recordedAt", recorded_at)),
            Self::Erase { id, write, .. } => Call::write(Method::POST, &["customers", &id, "erase"], write),
        }
    }
}
