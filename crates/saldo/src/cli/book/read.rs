//! From a line's action to the ledger's.

use std::fmt;

use ledger::{
    AccountChange, AccountId, AccountStatus, Action, Amount, AssetKind, AssetName, Capture, ClientChange,
    ClientId, CreditChange, CustomerChange, CustomerId, Decimal, EXPONENT_MAX, HoldTerms, Micros, NewAccount,
    NewClient, NewCustomer, Owner, Parts, Plain, Purpose, Release, Reverse, Texts, TransactionId,
};

use super::{Act, Change, Limit, Notes, NotesChange, Part, Posting, Rate, Transaction};

/// Why an action can't be read: the field and what is wrong with it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::cli) struct Rejected(pub(in crate::cli) String);

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

type Read<T> = Result<T, Rejected>;

fn wrong<T>(field: &str, what: impl fmt::Display) -> Read<T> {
    Err(Rejected(format!("`{field}` {what}")))
}

fn id(field: &str, text: &str) -> Read<u128> {
    match dialects::spelling::parse_any(text) {
        Some(id) if id != 0 => Ok(id),
        _ => wrong(field, "must be an id, and not nil"),
    }
}

/// Ids of transactions may be any, also such as no vendor spells.
fn transaction_id(field: &str, text: &str) -> Read<TransactionId> {
    let id = TransactionId(id(field, text)?);
    match id.is_reserved() {
        false => Ok(id),
        true => wrong(field, "is kept for expiries; choose another one"),
    }
}

fn time(field: &str, text: &str) -> Read<Micros> {
    let parsed = dialects::time::parse(text);
    parsed.map_or_else(|| wrong(field, "must be a time such as 2026-11-21T12:00:00Z"), Ok)
}

fn asset(field: &str, text: &str) -> Read<AssetName> {
    AssetName::parse(text).map_or_else(
        || wrong(field, "must be an asset such as USD or USDC@ethereum"),
        Ok,
    )
}

fn amount(field: &str, text: &str) -> Read<Amount> {
    Amount::parse(text).or_else(|error| wrong(field, error))
}

/// A word of a closed list.
fn word<T: Copy>(field: &str, text: &str, all: &[T], name: impl Fn(T) -> &'static str) -> Read<T> {
    let found = all.iter().copied().find(|one| name(*one) == text);
    let words: Vec<_> = all.iter().map(|one| name(*one)).collect();
    found.map_or_else(
        || wrong(field, format!("must be one of {}", words.join(", "))),
        Ok,
    )
}

/// The root client's id as the file has it, and as it is here.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli) struct Roots {
    pub(in crate::cli) theirs: ClientId,
    pub(in crate::cli) ours: ClientId,
}

impl Roots {
    /// A file's head.
    pub(in crate::cli) fn of(head: &super::Head, ours: ClientId) -> Read<Self> {
        if head.version != super::VERSION {
            return wrong(
                "version",
                format!("is {}, and this program reads {}", head.version, super::VERSION),
            );
        }
        let theirs = ClientId(id("client", &head.client)?);
        Ok(Self { theirs, ours })
    }

    fn client(&self, field: &str, text: &str) -> Read<ClientId> {
        let id = ClientId(id(field, text)?);
        Ok(if id == self.theirs { self.ours } else { id })
    }

    /// Of several ids one can't be both a root's and another's.
    fn new_client(&self, field: &str, text: &str) -> Read<ClientId> {
        let id = ClientId(id(field, text)?);
        match id == self.theirs || id == self.ours {
            false => Ok(id),
            true => wrong(field, "is the root client's"),
        }
    }
}

impl Notes {
    fn read(self) -> Read<ledger::Notes<Plain>> {
        if let Some(text) = &self.metadata {
            check_metadata(text)?;
        }
        Ok(ledger::Notes {
            external_id: self.external_id.map(Into::into),
            metadata: self.metadata.map(Into::into),
        })
    }
}

fn check_metadata(text: &str) -> Read<()> {
    match serde_json::from_str(text) {
        Ok(serde_json::Value::Object(_)) => Ok(()),
        _ => wrong("metadata", "must be the text of a JSON object"),
    }
}

impl Change {
    fn read(self) -> Option<Box<str>> {
        match self {
            Self::Set(text) => Some(text.into()),
            Self::Clear => None,
        }
    }
}

impl NotesChange {
    /// The foreign id, and the metadata.
    #[allow(clippy::type_complexity, reason = "two patches")]
    fn read(self) -> Read<(ledger::Patch<Box<str>>, ledger::Patch<Box<str>>)> {
        if let Some(Change::Set(text)) = &self.metadata {
            check_metadata(text)?;
        }
        Ok((
            self.external_id.map(Change::read),
            self.metadata.map(Change::read),
        ))
    }
}

/// The action of a line.
pub(in crate::cli) fn read_action(act: Act, roots: &Roots) -> Read<Action<Plain>> {
    Ok(match act {
        Act::Asset {
            name, exponent, kind, ..
        } => {
            if exponent > EXPONENT_MAX {
                return wrong("exponent", format!("must be from 0 to {EXPONENT_MAX}"));
            }
            const KINDS: [AssetKind; 3] = [AssetKind::Fiat, AssetKind::Stablecoin, AssetKind::Custom];
            Action::RegisterAsset {
                name: asset("name", &name)?,
                exponent,
                kind: word("kind", &kind, &KINDS, AssetKind::as_str)?,
            }
        }
        Act::Client { .. } | Act::ClientChange { .. } => return read_client(act, roots),
        Act::Customer { .. }
        | Act::CustomerChange { .. }
        | Act::CustomerErased { .. }
        | Act::Dunning { .. } => {
            return read_customer(act, roots);
        }
        Act::Account { .. } | Act::AccountChange { .. } => return read_account(act, roots),
        Act::Rates(rates) => Action::PutRates(rates.iter().map(read_rate).collect::<Read<_>>()?),
        Act::Transaction(one) => Action::Post(read_transaction(one)?),
        Act::Transactions(all) => {
            if all.is_empty() {
                return wrong("transactions", "must hold at least one");
            }
            Action::PostBatch(all.into_iter().map(read_transaction).collect::<Read<_>>()?)
        }
        Act::Capture {
            id,
            hold,
            postings,
            r#final,
            allow_over,
            force,
        } => Action::Capture(Capture {
            id: transaction_id("id", &id)?,
            hold: transaction_id("hold", &hold)?,
            parts: parts(postings)?,
            last: r#final,
            allow_over,
            force,
        }),
        Act::Release { id, hold, postings } => Action::Release(Release {
            id: transaction_id("id", &id)?,
            hold: transaction_id("hold", &hold)?,
            parts: parts(postings)?,
        }),
        Act::Expiry { hold } => {
            let hold = transaction_id("hold", &hold)?;
            // Its id follows from the hold's, wherever it is made.
            let command = ledger::Command::expiry(ledger::BookNo::OPERATOR, hold, Micros(0));
            match command.action {
                Action::Expire { hold, id } => Action::Expire { hold, id },
                _ => return wrong("hold", "can't expire"),
            }
        }
        Act::Reversal {
            id,
            transaction,
            postings,
            force,
        } => Action::Reverse(Reverse {
            id: transaction_id("id", &id)?,
            transaction: transaction_id("transaction", &transaction)?,
            parts: parts(postings)?,
            force,
        }),
    })
}

fn read_client(act: Act, roots: &Roots) -> Read<Action<Plain>> {
    Ok(match act {
        Act::Client {
            id,
            parent,
            legal_name,
            time_zone,
            notes,
        } => Action::CreateClient(NewClient {
            id: roots.new_client("id", &id)?,
            parent: Some(roots.client("parent", &parent)?),
            legal_name: legal_name.into(),
            time_zone: time_zone.into(),
            notes: notes.read()?,
        }),
        Act::ClientChange {
            id,
            legal_name,
            time_zone,
            notes,
        } => {
            let (external_id, metadata) = notes.read()?;
            Action::UpdateClient(ClientChange {
                id: roots.client("id", &id)?,
                legal_name: legal_name.map(Into::into),
                time_zone: time_zone.map(Into::into),
                external_id,
                metadata,
            })
        }
        _ => return wrong("action", "is no client's"),
    })
}

fn read_customer(act: Act, roots: &Roots) -> Read<Action<Plain>> {
    Ok(match act {
        Act::Customer {
            id: new,
            client,
            legal_name,
            number,
            notes,
        } => {
            if number < 1 {
                return wrong("number", "must be from 1 to 9223372036854775807");
            }
            Action::CreateCustomer(NewCustomer {
                id: CustomerId(id("id", &new)?),
                client: roots.client("client", &client)?,
                legal_name: legal_name.into(),
                number: Some(number),
                notes: notes.read()?,
            })
        }
        Act::CustomerChange {
            id: of,
            legal_name,
            notes,
        } => {
            let (external_id, metadata) = notes.read()?;
            Action::UpdateCustomer(CustomerChange {
                id: CustomerId(id("id", &of)?),
                legal_name: legal_name.map(Into::into),
                external_id,
                metadata,
            })
        }
        Act::CustomerErased { id: of } => Action::EraseCustomer {
            id: CustomerId(id("id", &of)?),
        },
        Act::Dunning {
            customer,
            label,
            in_debt_collection,
        } => Action::SetDunning {
            customer: CustomerId(id("customer", &customer)?),
            label: label.map(Into::into),
            in_debt_collection,
        },
        _ => return wrong("action", "is no customer's"),
    })
}

fn read_account(act: Act, roots: &Roots) -> Read<Action<Plain>> {
    Ok(match act {
        Act::Account {
            id: new,
            client,
            customer,
            purpose,
            label,
            currency,
            primary,
            limits,
            notes,
        } => Action::CreateAccount(NewAccount {
            id: AccountId(id("id", &new)?),
            owner: match (client, customer) {
                (Some(client), None) => Owner::Client(roots.client("client", &client)?),
                (None, Some(customer)) => Owner::Customer(CustomerId(id("customer", &customer)?)),
                _ => return wrong("client", "or `customer` says whose it is, one of the two"),
            },
            purpose: word("purpose", &purpose, &Purpose::ALL, Purpose::as_str)?,
            label: label.into(),
            currency: currency.map(|text| asset("currency", &text)).transpose()?,
            primary,
            limits: limits.iter().map(read_limit).collect::<Read<_>>()?,
            notes: notes.read()?,
        }),
        Act::AccountChange {
            id: of,
            label,
            status,
            limits,
            primary,
            notes,
        } => {
            let (external_id, metadata) = notes.read()?;
            let status = status.map(|text| word("status", &text, &AccountStatus::ALL, AccountStatus::as_str));
            Action::UpdateAccount(AccountChange {
                id: AccountId(id("id", &of)?),
                label: label.map(Into::into),
                status: status.transpose()?,
                limits: limits.iter().map(read_limit).collect::<Read<_>>()?,
                primary,
                external_id,
                metadata,
            })
        }
        _ => return wrong("action", "is no account's"),
    })
}

fn read_limit(limit: &Limit) -> Read<ledger::LimitChange> {
    let credit = match limit.credit.as_deref() {
        None => None,
        Some("unlimited") => Some(CreditChange::Unlimited),
        Some(text) => Some(CreditChange::Limit(amount("credit", text)?)),
    };
    let max_balance = limit
        .max_balance
        .as_deref()
        .map(|text| amount("maxBalance", text));
    Ok(ledger::LimitChange {
        asset: asset("asset", &limit.asset)?,
        credit,
        max_balance: max_balance.transpose()?,
    })
}

fn read_rate(rate: &Rate) -> Read<ledger::Rate> {
    let digits = amount("digits", &rate.digits)?.get();
    if rate.scale > 18 || !(1..10_u128.pow(36)).contains(&digits) {
        return wrong(
            "digits",
            "must have 1 to 36 of them, at most 18 behind the point, and not be zero",
        );
    }
    Ok(ledger::Rate {
        base: asset("base", &rate.base)?,
        quote: asset("quote", &rate.quote)?,
        rate: Decimal {
            digits,
            scale: rate.scale,
        },
        as_of: time("asOf", &rate.as_of)?,
        source: rate.source.as_str().into(),
    })
}

fn parts(parts: Option<Vec<Part>>) -> Read<Option<Parts>> {
    let Some(parts) = parts else { return Ok(None) };
    let read = |part: &Part| Ok((part.index, amount("amount", &part.amount)?));
    let read: Parts = parts.iter().map(read).collect::<Read<_>>()?;
    match read.is_empty() {
        false => Ok(Some(read)),
        true => wrong("postings", "must hold at least one posting"),
    }
}

fn read_transaction(one: Transaction) -> Read<ledger::Transaction<Plain>> {
    if one.postings.is_empty() {
        return wrong("postings", "must hold at least one posting");
    }
    let posting = |posting: &Posting| {
        Ok(ledger::Posting {
            from: AccountId(id("from", &posting.from)?),
            to: AccountId(id("to", &posting.to)?),
            asset: asset("asset", &posting.asset)?,
            amount: amount("amount", &posting.amount)?,
        })
    };
    let hold = |hold: super::Hold| {
        let expires_at = hold.expires_at.map(|text| time("expiresAt", &text)).transpose()?;
        Ok(HoldTerms { expires_at })
    };
    Ok(ledger::Transaction {
        id: transaction_id("id", &one.id)?,
        postings: one.postings.iter().map(posting).collect::<Read<_>>()?,
        texts: Texts::new(None, one.reference.map(Into::into), one.notes.read()?),
        effective_at: one
            .effective_at
            .map(|text| time("effectiveAt", &text))
            .transpose()?,
        hold: one.hold.map(hold).transpose()?,
        force: one.force,
    })
}
