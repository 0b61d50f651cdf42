//! From what a caller asked to what is kept: every text of an action is sealed, field by field. Each value is written out
//! with all its fields, so that a new text is either sealed here or does not compile.

use crate::command::{
    AccountChange, Action, ClientChange, CustomerChange, KeyRotation, NewAccount, NewApiKey, NewClient,
    NewCustomer, Patch, Texts, Transaction,
};
use crate::register::Notes;
use crate::text::{Field, Findable, Form, Place, Plain, Sealer, Subject, Text};

/// Seals the texts of one thing.
struct Of<'a, S> {
    sealer: &'a mut S,
    party: Subject,
    id: u128,
}

impl<S: Sealer> Of<'_, S> {
    const fn place(&self, field: Field) -> Place {
        Place { field, id: self.id }
    }

    fn text(&mut self, field: Field, plain: &str) -> Text {
        if plain.is_empty() {
            return Text::default();
        }
        let place = self.place(field);
        self.sealer.text(self.party, place, plain)
    }

    fn findable(&mut self, field: Field, plain: &str) -> Findable {
        let place = self.place(field);
        self.sealer.findable(self.party, place, plain)
    }

    fn option(&mut self, field: Field, plain: Option<Box<str>>) -> Option<Text> {
        plain.map(|plain| self.text(field, &plain))
    }

    fn found_option(&mut self, field: Field, plain: Option<Box<str>>) -> Option<Findable> {
        plain.map(|plain| self.findable(field, &plain))
    }

    fn patch(&mut self, field: Field, patch: Patch<Box<str>>) -> Patch<Text> {
        patch.map(|plain| self.option(field, plain))
    }

    fn found_patch(&mut self, field: Field, patch: Patch<Box<str>>) -> Patch<Findable> {
        patch.map(|plain| self.found_option(field, plain))
    }

    fn notes(&mut self, external_id: Field, metadata: Field, notes: Notes<Plain>) -> Notes {
        Notes {
            external_id: self.found_option(external_id, notes.external_id),
            metadata: self.option(metadata, notes.metadata),
        }
    }
}

impl Action<Plain> {
    /// Seals every text under the key of `party`; those of a transaction that names a party under that one's.
    #[must_use]
    pub fn seal(self, party: Subject, sealer: &mut impl Sealer) -> Action {
        match self {
            Self::Initialise { rlusd_exponent } => Action::Initialise { rlusd_exponent },
            Self::CreateClient(new) => Action::CreateClient(new.seal(party, sealer)),
            Self::UpdateClient(change) => Action::UpdateClient(change.seal(party, sealer)),
            Self::CreateApiKey(new) => Action::CreateApiKey(new.seal(party, sealer)),
            Self::RevokeApiKey { id } => Action::RevokeApiKey { id },
            Self::RotateApiKey(rotation) => Action::RotateApiKey(rotation.seal(party, sealer)),
            Self::CreateCustomer(new) => Action::CreateCustomer(new.seal(party, sealer)),
            Self::UpdateCustomer(change) => Action::UpdateCustomer(change.seal(party, sealer)),
            Self::EraseCustomer { id } => Action::EraseCustomer { id },
            Self::SetDunning {
                customer,
                label,
                in_debt_collection,
            } => {
                let mut of = Of {
                    sealer,
                    party,
                    id: customer.0,
                };
                let label = of.option(Field::DunningLabel, label);
                Action::SetDunning {
                    customer,
                    label,
                    in_debt_collection,
                }
            }
            Self::CreateAccount(new) => Action::CreateAccount(new.seal(party, sealer)),
            Self::UpdateAccount(change) => Action::UpdateAccount(change.seal(party, sealer)),
            Self::RegisterAsset { name, exponent, kind } => Action::RegisterAsset { name, exponent, kind },
            Self::PutRates(rates) => Action::PutRates(rates),
            Self::Post(transaction) => Action::Post(transaction.seal(party, sealer)),
            Self::PostBatch(transactions) => {
                let seal = |transaction: Transaction<Plain>| transaction.seal(party, sealer);
                Action::PostBatch(transactions.into_iter().map(seal).collect())
            }
            Self::Capture(capture) => Action::Capture(capture),
            Self::Release(release) => Action::Release(release),
            Self::Expire { hold, id } => Action::Expire { hold, id },
            Self::Reverse(reverse) => Action::Reverse(reverse),
        }
    }
}

impl NewClient<Plain> {
    fn seal(self, party: Subject, sealer: &mut impl Sealer) -> NewClient {
        let id = self.id.0;
        let mut of = Of { sealer, party, id };
        NewClient {
            id: self.id,
            parent: self.parent,
            legal_name: of.text(Field::ClientName, &self.legal_name),
            time_zone: self.time_zone,
            notes: of.notes(Field::ClientExternalId, Field::ClientMetadata, self.notes),
        }
    }
}

impl ClientChange<Plain> {
    fn seal(self, party: Subject, sealer: &mut impl Sealer) -> ClientChange {
        let id = self.id.0;
        let mut of = Of { sealer, party, id };
        ClientChange {
            id: self.id,
            legal_name: of.option(Field::ClientName, self.legal_name),
            time_zone: self.time_zone,
            external_id: of.found_patch(Field::ClientExternalId, self.external_id),
            metadata: of.patch(Field::ClientMetadata, self.metadata),
        }
    }
}

impl NewApiKey<Plain> {
    fn seal(self, party: Subject, sealer: &mut impl Sealer) -> NewApiKey {
        let id = self.id.0;
        let mut of = Of { sealer, party, id };
        NewApiKey {
            id: self.id,
            client: self.client,
            label: of.text(Field::KeyLabel, &self.label),
            scopes: self.scopes,
            secret_hash: self.secret_hash,
            expires_at: self.expires_at,
        }
    }
}

impl KeyRotation<Plain> {
    fn seal(self, party: Subject, sealer: &mut impl Sealer) -> KeyRotation {
        let id = self.id.0;
        let mut of = Of { sealer, party, id };
        KeyRotation {
            old: self.old,
            id: self.id,
            label: of.text(Field::KeyLabel, &self.label),
            secret_hash: self.secret_hash,
            overlap: self.overlap,
            expires_at: self.expires_at,
        }
    }
}

impl NewCustomer<Plain> {
    fn seal(self, party: Subject, sealer: &mut impl Sealer) -> NewCustomer {
        let id = self.id.0;
        let mut of = Of { sealer, party, id };
        NewCustomer {
            id: self.id,
            client: self.client,
            legal_name: of.text(Field::CustomerName, &self.legal_name),
            number: self.number,
            notes: of.notes(Field::CustomerExternalId, Field::CustomerMetadata, self.notes),
        }
    }
}

impl CustomerChange<Plain> {
    fn seal(self, party: Subject, sealer: &mut impl Sealer) -> CustomerChange {
        let id = self.id.0;
        let mut of = Of { sealer, party, id };
        CustomerChange {
            id: self.id,
            legal_name: of.option(Field::CustomerName, self.legal_name),
            external_id: of.found_patch(Field::CustomerExternalId, self.external_id),
            metadata: of.patch(Field::CustomerMetadata, self.metadata),
        }
    }
}

impl NewAccount<Plain> {
    fn seal(self, party: Subject, sealer: &mut impl Sealer) -> NewAccount {
        let id = self.id.0;
        let mut of = Of { sealer, party, id };
        NewAccount {
            id: self.id,
            owner: self.owner,
            purpose: self.purpose,
            label: of.text(Field::AccountLabel, &self.label),
            currency: self.currency,
            primary: self.primary,
            limits: self.limits,
            notes: of.notes(Field::AccountExternalId, Field::AccountMetadata, self.notes),
        }
    }
}

impl AccountChange<Plain> {
    fn seal(self, party: Subject, sealer: &mut impl Sealer) -> AccountChange {
        let id = self.id.0;
        let mut of = Of { sealer, party, id };
        AccountChange {
            id: self.id,
            label: of.option(Field::AccountLabel, self.label),
            status: self.status,
            limits: self.limits,
            primary: self.primary,
            external_id: of.found_patch(Field::AccountExternalId, self.external_id),
            metadata: of.patch(Field::AccountMetadata, self.metadata),
        }
    }
}

impl Transaction<Plain> {
    fn seal(self, party: Subject, sealer: &mut impl Sealer) -> Transaction {
        let id = self.id.0;
        Transaction {
            id: self.id,
            postings: self.postings,
            texts: self.texts.and_then(|texts| texts.seal(id, party, sealer)),
            effective_at: self.effective_at,
            hold: self.hold,
            force: self.force,
        }
    }
}

impl Texts<Plain> {
    fn seal(self, id: u128, party: Subject, sealer: &mut impl Sealer) -> Option<Box<Texts>> {
        let party = self.party.unwrap_or(party);
        let mut of = Of { sealer, party, id };
        Texts::new(
            Some(party),
            of.found_option(Field::Reference, self.reference),
            of.notes(
                Field::TransactionExternalId,
                Field::TransactionMetadata,
                self.notes,
            ),
        )
    }
}

impl<F: Form> Notes<F> {
    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.external_id.is_none() && self.metadata.is_none()
    }
}
