//! From a record's action to its line, its texts opened.

use std::collections::HashMap;

use ledger::{
    AccountId, Action, AssetKind, CreditChange, Field, Findable, Micros, Owner, Parts, Patch, Record,
    Subject, Text,
};
use service::{ERASED, Opener, Problem};

use super::{Act, Change, Hold, Limit, Notes, NotesChange, Part, Posting, Rate, Transaction};

/// Opens the texts of one thing.
struct Of<'a> {
    opener: &'a Opener,
    party: Subject,
    id: u128,
}

impl Of<'_> {
    /// What was erased reads so; what is optional is left out then.
    fn text(&self, field: Field, text: &Text) -> Result<String, Problem> {
        let opened = self.opener.text(self.party, field, self.id, text)?;
        Ok(opened.unwrap_or_else(|| ERASED.to_owned()))
    }

    fn option(&self, field: Field, text: Option<&Text>) -> Result<Option<String>, Problem> {
        text.map_or(Ok(None), |text| {
            self.opener.text(self.party, field, self.id, text)
        })
    }

    fn found(&self, field: Field, text: Option<&Findable>) -> Result<Option<String>, Problem> {
        text.map_or(Ok(None), |text| {
            self.opener.findable(self.party, field, self.id, text)
        })
    }

    fn notes(&self, external_id: Field, metadata: Field, notes: &ledger::Notes) -> Result<Notes, Problem> {
        Ok(Notes {
            external_id: self.found(external_id, notes.external_id.as_ref())?,
            metadata: self.option(metadata, notes.metadata.as_ref())?,
        })
    }

    fn notes_change(
        &self,
        (id_field, external_id): (Field, &Patch<Findable>),
        (field, metadata): (Field, &Patch<Text>),
    ) -> Result<NotesChange, Problem> {
        let external_id = match external_id {
            Some(text) => change(text.is_some(), self.found(id_field, text.as_ref())?),
            None => None,
        };
        let metadata = match metadata {
            Some(text) => change(text.is_some(), self.option(field, text.as_ref())?),
            None => None,
        };
        Ok(NotesChange {
            external_id,
            metadata,
        })
    }
}

/// A change to a text that was erased is none.
fn change(is_set: bool, text: Option<String>) -> Option<Change> {
    match text {
        Some(text) => Some(Change::Set(text)),
        None => (!is_set).then_some(Change::Clear),
    }
}

fn time(time: Micros) -> String {
    dialects::time::format(time)
}

/// The line of a record that was accepted; `None` for API keys, which are not exported. `owners` are of the accounts so far.
pub(in crate::cli) fn write_action(
    record: &Record,
    opener: &Opener,
    owners: &HashMap<AccountId, Owner>,
) -> Result<Option<Act>, Problem> {
    let of = |party: Subject, id: u128| Of { opener, party, id };
    Ok(Some(match &record.action {
        Action::Initialise { .. }
        | Action::CreateApiKey(_)
        | Action::RevokeApiKey { .. }
        | Action::RotateApiKey(_) => return Ok(None),
        Action::RegisterAsset { name, exponent, kind } => asset(name.as_str(), *exponent, *kind, false),
        Action::CreateClient(new) => {
            let of = of(new.id.into(), new.id.0);
            Act::Client {
                id: new.id.to_string(),
                parent: new.parent.map(|id| id.to_string()).unwrap_or_default(),
                legal_name: of.text(Field::ClientName, &new.legal_name)?,
                time_zone: new.time_zone.to_string(),
                notes: of.notes(Field::ClientExternalId, Field::ClientMetadata, &new.notes)?,
            }
        }
        Action::UpdateClient(new) => {
            let of = of(new.id.into(), new.id.0);
            Act::ClientChange {
                id: new.id.to_string(),
                legal_name: of.option(Field::ClientName, new.legal_name.as_ref())?,
                time_zone: new.time_zone.as_ref().map(ToString::to_string),
                notes: of.notes_change(
                    (Field::ClientExternalId, &new.external_id),
                    (Field::ClientMetadata, &new.metadata),
                )?,
            }
        }
        Action::CreateCustomer(new) => {
            let of = of(new.id.into(), new.id.0);
            let number = match &record.outcome {
                Ok(ledger::Done::Customer(number)) => *number,
                _ => new.number.unwrap_or_default(),
            };
            Act::Customer {
                id: new.id.to_string(),
                client: new.client.to_string(),
                legal_name: of.text(Field::CustomerName, &new.legal_name)?,
                number,
                notes: of.notes(Field::CustomerExternalId, Field::CustomerMetadata, &new.notes)?,
            }
        }
        Action::UpdateCustomer(new) => {
            let of = of(new.id.into(), new.id.0);
            Act::CustomerChange {
                id: new.id.to_string(),
                legal_name: of.option(Field::CustomerName, new.legal_name.as_ref())?,
                notes: of.notes_change(
                    (Field::CustomerExternalId, &new.external_id),
                    (Field::CustomerMetadata, &new.metadata),
                )?,
            }
        }
        Action::EraseCustomer { id } => Act::CustomerErased { id: id.to_string() },
        Action::SetDunning {
            customer,
            label,
            in_debt_collection,
        } => Act::Dunning {
            customer: customer.to_string(),
            label: of((*customer).into(), customer.0).option(Field::DunningLabel, label.as_ref())?,
            in_debt_collection: *in_debt_collection,
        },
        Action::CreateAccount(_) | Action::UpdateAccount(_) => {
            return account(&record.action, opener, owners).map(Some);
        }
        Action::PutRates(rates) => Act::Rates(rates.iter().map(rate).collect()),
        Action::Post(one) => Act::Transaction(transaction(one, opener)?),
        Action::PostBatch(all) => {
            let all = all.iter().map(|one| transaction(one, opener));
            Act::Transactions(all.collect::<Result<_, Problem>>()?)
        }
        Action::Capture(capture) => Act::Capture {
            id: capture.id.to_string(),
            hold: capture.hold.to_string(),
            postings: parts(capture.parts.as_ref()),
            r#final: capture.last,
            allow_over: capture.allow_over,
            force: capture.force,
        },
        Action::Release(release) => Act::Release {
            id: release.id.to_string(),
            hold: release.hold.to_string(),
            postings: parts(release.parts.as_ref()),
        },
        Action::Expire { hold, .. } => Act::Expiry {
            hold: hold.to_string(),
        },
        Action::Reverse(reverse) => Act::Reversal {
            id: reverse.id.to_string(),
            transaction: reverse.transaction.to_string(),
            postings: parts(reverse.parts.as_ref()),
            force: reverse.force,
        },
    }))
}

/// The line that makes a root client what this one was made as.
pub(in crate::cli) fn root_line(new: &ledger::NewClient, opener: &Opener) -> Result<Act, Problem> {
    let of = Of {
        opener,
        party: new.id.into(),
        id: new.id.0,
    };
    let notes = of.notes(Field::ClientExternalId, Field::ClientMetadata, &new.notes)?;
    Ok(Act::ClientChange {
        id: new.id.to_string(),
        legal_name: Some(of.text(Field::ClientName, &new.legal_name)?),
        time_zone: Some(new.time_zone.to_string()),
        notes: NotesChange {
            external_id: notes.external_id.map(Change::Set),
            metadata: notes.metadata.map(Change::Set),
        },
    })
}

/// The line of an asset.
pub(in crate::cli) fn asset(name: &str, exponent: u8, kind: AssetKind, shared: bool) -> Act {
    Act::Asset {
        name: name.to_owned(),
        exponent,
        kind: kind.as_str().to_owned(),
        shared,
    }
}

fn account(action: &Action, opener: &Opener, owners: &HashMap<AccountId, Owner>) -> Result<Act, Problem> {
    let (external_id, metadata) = (Field::AccountExternalId, Field::AccountMetadata);
    match action {
        Action::CreateAccount(new) => {
            let of = Of {
                opener,
                party: new.owner.into(),
                id: new.id.0,
            };
            let (client, customer) = match new.owner {
                Owner::Client(id) => (Some(id.to_string()), None),
                Owner::Customer(id) => (None, Some(id.to_string())),
            };
            Ok(Act::Account {
                id: new.id.to_string(),
                client,
                customer,
                purpose: new.purpose.as_str().to_owned(),
                label: of
                    .option(Field::AccountLabel, Some(&new.label))?
                    .unwrap_or_default(),
                currency: new.currency.map(|asset| asset.to_string()),
                primary: new.primary,
                limits: new.limits.iter().map(limit).collect(),
                notes: of.notes(external_id, metadata, &new.notes)?,
            })
        }
        Action::UpdateAccount(new) => {
            let owner = owners
                .get(&new.id)
                .map_or(Subject::OPERATOR, |owner| (*owner).into());
            let of = Of {
                opener,
                party: owner,
                id: new.id.0,
            };
            Ok(Act::AccountChange {
                id: new.id.to_string(),
                label: of.option(Field::AccountLabel, new.label.as_ref())?,
                status: new.status.map(|status| status.as_str().to_owned()),
                limits: new.limits.iter().map(limit).collect(),
                primary: new.primary,
                notes: of.notes_change((external_id, &new.external_id), (metadata, &new.metadata))?,
            })
        }
        _ => Err(Problem::internal("an account's line was asked of another action")),
    }
}

fn limit(limit: &ledger::LimitChange) -> Limit {
    Limit {
        asset: limit.asset.to_string(),
        credit: limit.credit.map(|credit| match credit {
            CreditChange::Limit(amount) => amount.to_string(),
            CreditChange::Unlimited => "unlimited".to_owned(),
        }),
        max_balance: limit.max_balance.map(|amount| amount.to_string()),
    }
}

fn rate(rate: &ledger::Rate) -> Rate {
    Rate {
        base: rate.base.to_string(),
        quote: rate.quote.to_string(),
        digits: rate.rate.digits.to_string(),
        scale: rate.rate.scale,
        as_of: time(rate.as_of),
        source: rate.source.to_string(),
    }
}

fn parts(parts: Option<&Parts>) -> Option<Vec<Part>> {
    let part = |(index, amount): &(u32, ledger::Amount)| Part {
        index: *index,
        amount: amount.to_string(),
    };
    parts.map(|parts| parts.iter().map(part).collect())
}

fn transaction(one: &ledger::Transaction, opener: &Opener) -> Result<Transaction, Problem> {
    let texts = one.texts.as_deref();
    let of = Of {
        opener,
        party: texts.and_then(|texts| texts.party).unwrap_or(Subject(u128::MAX)),
        id: one.id.0,
    };
    let (external_id, metadata) = (Field::TransactionExternalId, Field::TransactionMetadata);
    let notes = texts.map(|texts| of.notes(external_id, metadata, &texts.notes));
    Ok(Transaction {
        id: one.id.to_string(),
        postings: one
            .postings
            .iter()
            .map(|posting| Posting {
                from: posting.from.to_string(),
                to: posting.to.to_string(),
                asset: posting.asset.to_string(),
                amount: posting.amount.to_string(),
            })
            .collect(),
        reference: of.found(Field::Reference, one.reference())?,
        notes: notes.transpose()?.unwrap_or_default(),
        effective_at: one.effective_at.map(time),
        hold: one.hold.map(|hold| Hold {
            expires_at: hold.expires_at.map(time),
        }),
        force: one.force,
    })
}
