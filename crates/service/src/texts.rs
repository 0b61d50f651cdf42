//! Texts on the way out: opened for whoever may read them, or, when their key was deleted, marked as erased.

use ledger::{
    Account, ApiKey, Client, Customer, Dunning, Field, Findable, Notes, Place, Plain, Record, Subject, Text,
    Texts,
};

use crate::Service;
use crate::problem::Problem;
use crate::vault::Keys;

/// What stands where a text was erased.
pub const ERASED: &str = "(erased)";

/// What the caller wrote on a transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransactionTexts {
    /// What the caller calls it.
    pub reference: Option<Box<str>>,
    /// The caller's notes.
    pub notes: Notes<Plain>,
}

/// Opens the texts of one thing.
struct Of<'a> {
    keys: &'a Keys,
    party: Subject,
    id: u128,
}

impl Of<'_> {
    const fn place(&self, field: Field) -> Place {
        Place { field, id: self.id }
    }

    fn text(&self, field: Field, text: &Text) -> Result<Box<str>, Problem> {
        let opened = self.keys.text(self.party, self.place(field), text)?;
        Ok(opened.unwrap_or_else(|| ERASED.into()))
    }

    fn findable(&self, field: Field, text: Option<&Findable>) -> Result<Option<Box<str>>, Problem> {
        let Some(text) = text else { return Ok(None) };
        let opened = self.keys.findable(self.party, self.place(field), text)?;
        Ok(Some(opened.unwrap_or_else(|| ERASED.into())))
    }

    /// Metadata is an object, in whose place no word can stand.
    fn notes(&self, external_id: Field, metadata: Field, notes: &Notes) -> Result<Notes<Plain>, Problem> {
        let metadata = match &notes.metadata {
            Some(text) => self.keys.text(self.party, self.place(metadata), text)?,
            None => None,
        };
        Ok(Notes {
            external_id: self.findable(external_id, notes.external_id.as_ref())?,
            metadata,
        })
    }
}

/// Whose the texts of a key are.
pub(crate) fn party_of(key: &ApiKey) -> Subject {
    key.client.map_or(Subject::OPERATOR, Subject::from)
}

impl Keys {
    pub(crate) fn client_name(&self, client: &Client) -> Result<Box<str>, Problem> {
        let of = Of {
            keys: self,
            party: client.id.into(),
            id: client.id.0,
        };
        of.text(Field::ClientName, &client.legal_name)
    }

    pub(crate) fn client_notes(&self, client: &Client) -> Result<Notes<Plain>, Problem> {
        let of = Of {
            keys: self,
            party: client.id.into(),
            id: client.id.0,
        };
        of.notes(Field::ClientExternalId, Field::ClientMetadata, &client.notes)
    }

    fn of_customer(&self, customer: &Customer) -> Of<'_> {
        Of {
            keys: self,
            party: customer.id.into(),
            id: customer.id.0,
        }
    }

    pub(crate) fn customer_name(&self, customer: &Customer) -> Result<Box<str>, Problem> {
        self.of_customer(customer)
            .text(Field::CustomerName, &customer.legal_name)
    }

    pub(crate) fn customer_notes(&self, customer: &Customer) -> Result<Notes<Plain>, Problem> {
        let (id, metadata) = (Field::CustomerExternalId, Field::CustomerMetadata);
        self.of_customer(customer).notes(id, metadata, &customer.notes)
    }

    pub(crate) fn dunning(&self, customer: &Customer) -> Result<Dunning<Plain>, Problem> {
        let of = self.of_customer(customer);
        let label = customer.dunning.label.as_ref();
        let label = label.map(|label| of.text(Field::DunningLabel, label));
        Ok(Dunning {
            label: label.transpose()?,
            in_debt_collection: customer.dunning.in_debt_collection,
        })
    }

    fn of_account(&self, account: &Account) -> Of<'_> {
        Of {
            keys: self,
            party: account.owner.into(),
            id: account.id.0,
        }
    }

    pub(crate) fn account_label(&self, account: &Account) -> Result<Box<str>, Problem> {
        self.of_account(account)
            .text(Field::AccountLabel, &account.details().label)
    }

    pub(crate) fn account_notes(&self, account: &Account) -> Result<Notes<Plain>, Problem> {
        let (id, metadata) = (Field::AccountExternalId, Field::AccountMetadata);
        self.of_account(account)
            .notes(id, metadata, &account.details().notes)
    }

    pub(crate) fn key_label(&self, key: &ApiKey) -> Result<Box<str>, Problem> {
        let of = Of {
            keys: self,
            party: party_of(key),
            id: key.id.0,
        };
        of.text(Field::KeyLabel, &key.label)
    }

    /// What is written about the `nth` transaction of a record, and what opens it.
    fn of_transaction<'a>(&self, record: &'a Record, nth: usize) -> Option<(Of<'_>, &'a Texts)> {
        let transaction = record.transaction(nth)?;
        let texts = transaction.texts.as_deref()?;
        let of = Of {
            keys: self,
            // One that names nobody can be opened by nobody.
            party: texts.party.unwrap_or(Subject(u128::MAX)),
            id: transaction.id.0,
        };
        Some((of, texts))
    }

    /// The reference of the `nth` transaction of a record.
    pub(crate) fn reference(&self, record: &Record, nth: usize) -> Result<Option<Box<str>>, Problem> {
        match self.of_transaction(record, nth) {
            Some((of, texts)) => of.findable(Field::Reference, texts.reference.as_ref()),
            None => Ok(None),
        }
    }

    /// What was written on the `nth` transaction of a record.
    pub(crate) fn transaction(&self, record: &Record, nth: usize) -> Result<TransactionTexts, Problem> {
        let Some((of, texts)) = self.of_transaction(record, nth) else {
            return Ok(TransactionTexts::default());
        };
        let (id, metadata) = (Field::TransactionExternalId, Field::TransactionMetadata);
        Ok(TransactionTexts {
            reference: of.findable(Field::Reference, texts.reference.as_ref())?,
            notes: of.notes(id, metadata, &texts.notes)?,
        })
    }
}

/// Whose the texts of the `nth` transaction of a record are, if it has any.
fn party_of_transaction(record: &Record, nth: usize) -> Option<Subject> {
    record.transaction(nth)?.texts.as_ref()?.party
}

impl Service {
    /// The keys of clients.
    pub(crate) async fn keys_of_clients<'a>(
        &self,
        clients: impl IntoIterator<Item = &'a Client>,
    ) -> Result<Keys, Problem> {
        let parties: Vec<_> = clients.into_iter().map(|client| client.id.into()).collect();
        self.text_keys(&parties).await
    }

    /// The keys of customers; an erased one has none, even should it still be there.
    pub(crate) async fn keys_of_customers<'a>(
        &self,
        customers: impl IntoIterator<Item = &'a Customer>,
    ) -> Result<Keys, Problem> {
        let left = customers
            .into_iter()
            .filter(|customer| customer.erased_at.is_none());
        let parties: Vec<_> = left.map(|customer| customer.id.into()).collect();
        self.text_keys(&parties).await
    }

    /// The keys of the owners of accounts that have a text.
    pub(crate) async fn keys_of_accounts<'a>(
        &self,
        accounts: impl IntoIterator<Item = &'a Account>,
    ) -> Result<Keys, Problem> {
        let with_text = accounts
            .into_iter()
            .filter(|account| !account.details().label.is_empty() || !account.details().notes.is_empty());
        let parties: Vec<_> = with_text.map(|account| account.owner.into()).collect();
        self.text_keys(&parties).await
    }

    /// The keys of API keys' clients.
    pub(crate) async fn keys_of_keys<'a>(
        &self,
        keys: impl IntoIterator<Item = &'a ApiKey>,
    ) -> Result<Keys, Problem> {
        let parties: Vec<_> = keys.into_iter().map(party_of).collect();
        self.text_keys(&parties).await
    }

    /// The keys that transactions are sealed under.
    pub(crate) async fn keys_of_transactions<'a>(
        &self,
        transactions: impl IntoIterator<Item = (&'a Record, usize)>,
    ) -> Result<Keys, Problem> {
        let parties = transactions
            .into_iter()
            .filter_map(|(record, nth)| party_of_transaction(record, nth));
        self.text_keys(&parties.collect::<Vec<_>>()).await
    }

    /// What was written on the `nth` transaction of a record.
    pub(crate) async fn transaction_texts(
        &self,
        record: &Record,
        nth: usize,
    ) -> Result<TransactionTexts, Problem> {
        self.keys_of_transactions([(record, nth)])
            .await?
            .transaction(record, nth)
    }

    /// The label of an account, when nothing else of its texts is shown.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn account_label(&self, account: &Account) -> Result<Box<str>, Problem> {
        self.keys_of_accounts([account]).await?.account_label(account)
    }
}
