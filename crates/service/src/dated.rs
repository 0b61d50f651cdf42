//! What exports and imports of whole books need: opening texts without a store, and commands of the past.

use std::sync::Arc;

use ledger::{
    AccountChange, Action, ClientChange, Command, CustomerChange, Field, Findable, Key, Micros, Place, Plain,
    Subject, Text, Transaction,
};
use store::TextKey;

use crate::Service;
use crate::auth::Caller;
use crate::check::{check_label, check_notes, check_notes_change, check_text, check_time_zone};
use crate::problem::Problem;
use crate::vault::Keys;

/// Opens texts with keys that were read before.
#[derive(Default)]
pub struct Opener(Keys);

impl Opener {
    /// With these keys.
    #[must_use]
    pub fn new(keys: impl IntoIterator<Item = (Subject, TextKey)>) -> Self {
        let keys = keys.into_iter();
        Self(
            keys.map(|(party, key)| (party, Arc::new((&key).into())))
                .collect(),
        )
    }

    /// Whether it has the key of a party.
    #[must_use]
    pub fn has(&self, party: Subject) -> bool {
        self.0.get(party).is_some()
    }

    /// Opens a text of the thing with this id; `None` when the key of `party` is gone.
    ///
    /// # Errors
    /// It is damaged.
    pub fn text(
        &self,
        party: Subject,
        field: Field,
        id: u128,
        text: &Text,
    ) -> Result<Option<String>, Problem> {
        let opened = self.0.text(party, Place { field, id }, text)?;
        Ok(opened.map(Into::into))
    }

    /// The same, of a text that is searched for.
    ///
    /// # Errors
    /// It is damaged.
    pub fn findable(
        &self,
        party: Subject,
        field: Field,
        id: u128,
        text: &Findable,
    ) -> Result<Option<String>, Problem> {
        let opened = self.0.findable(party, Place { field, id }, text)?;
        Ok(opened.map(Into::into))
    }
}

/// Checks the texts of an action by the rules for requests.
///
/// # Errors
/// [`Problem::BadRequest`] names the field.
pub fn check_texts(action: &Action<Plain>) -> Result<(), Problem> {
    let option = |field: &str, text: Option<&str>| text.map_or(Ok(()), |text| check_text(field, text));
    match action {
        Action::CreateClient(new) => {
            check_text("legalName", &new.legal_name)?;
            check_time_zone(&new.time_zone)?;
            check_notes(&new.notes)
        }
        Action::UpdateClient(ClientChange {
            legal_name,
            time_zone,
            external_id,
            metadata,
            ..
        }) => {
            option("legalName", legal_name.as_deref())?;
            time_zone.as_deref().map_or(Ok(()), check_time_zone)?;
            check_notes_change(external_id, metadata)
        }
        Action::CreateCustomer(new) => {
            check_text("legalName", &new.legal_name)?;
            check_notes(&new.notes)
        }
        Action::UpdateCustomer(CustomerChange {
            legal_name,
            external_id,
            metadata,
            ..
        }) => {
            option("legalName", legal_name.as_deref())?;
            check_notes_change(external_id, metadata)
        }
        Action::SetDunning { label, .. } => option("label", label.as_deref()),
        Action::CreateAccount(new) => {
            check_label("label", &new.label)?;
            check_notes(&new.notes)
        }
        Action::UpdateAccount(AccountChange {
            label,
            external_id,
            metadata,
            ..
        }) => {
            label
                .as_deref()
                .map_or(Ok(()), |label| check_label("label", label))?;
            check_notes_change(external_id, metadata)
        }
        Action::PutRates(rates) => rates
            .iter()
            .try_for_each(|rate| check_text("source", &rate.source)),
        Action::Post(one) => check_transaction(one),
        Action::PostBatch(all) => all.iter().try_for_each(check_transaction),
        _ => Ok(()),
    }
}

fn check_transaction(one: &Transaction<Plain>) -> Result<(), Problem> {
    let Some(texts) = &one.texts else { return Ok(()) };
    let reference = texts.reference.as_deref();
    reference.map_or(Ok(()), |text| check_text("reference", text))?;
    check_notes(&texts.notes)
}

impl Service {
    /// One action as the caller's command, of a time in the past, its texts sealed.
    ///
    /// # Errors
    /// The store failed.
    pub async fn dated(
        &self,
        caller: &Caller,
        key: Key,
        action: Action<Plain>,
        stamp: Micros,
    ) -> Result<Command, Problem> {
        let id_given = matches!(key, Key::Id(_));
        let command = self.command(caller, key, action, id_given).await?;
        Ok(Command { stamp, ..command })
    }

    /// Deletes the key of a party whose erasure was recorded.
    ///
    /// # Errors
    /// The store failed.
    pub async fn forget(&self, party: Subject) -> Result<(), Problem> {
        self.forget_text_key(party).await
    }
}
