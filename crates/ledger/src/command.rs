//! Commands: everything that changes the register or the books.

use smallvec::SmallVec;

use crate::account::{AccountStatus, Purpose};
use crate::amount::Amount;
use crate::asset::{AssetKind, AssetName};
use crate::id::{AccountId, AnyId, ApiKeyId, BookNo, ClientId, CustomerId, Owner, TransactionId};
use crate::register::{Notes, Rate, Scopes};
use crate::text::{Form, Sealed, Subject};
use crate::time::Micros;

/// A command, stamped: its time and whatever new ids it needs are inside, so deciding it needs no clock and no chance.
#[derive(Clone, PartialEq, Debug)]
pub struct Command {
    /// The book it is for.
    pub book: BookNo,
    /// The client that acts: its key space, and how far it sees. `None` is the operator, in book 0.
    pub client: Option<ClientId>,
    /// What makes it the same command when it comes again.
    pub key: Key,
    /// A hash of what the caller asked; see [`crate::fingerprint()`].
    pub fingerprint: Fingerprint,
    /// When the server took it.
    pub stamp: Micros,
    /// What it does.
    pub action: Action,
}

const _: () = assert!(size_of::<Command>() <= 240, "a batch has thousands");

/// An idempotency key, in the space of one book and client.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Key {
    /// A key that the caller named: the first 16 bytes of its BLAKE3.
    Named([u8; 16]),
    /// The id of what is made: the transaction's, client's, customer's, account's or key's.
    Id(AnyId),
    /// The expiry of this hold, whoever sends it.
    Expiry(TransactionId),
}

impl Key {
    /// The key for the text of an `Idempotency-Key` header.
    #[must_use]
    pub fn named(text: &str) -> Self {
        Self::Named(first_half(blake3::hash(text.as_bytes())))
    }
}

/// A hash of the caller's canonical request under a key of the book: without stamped time, generated ids and secrets.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Fingerprint(pub [u8; 16]);

/// The first 16 of the 32 bytes of a BLAKE3 hash.
pub(crate) fn first_half(hash: blake3::Hash) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&hash.as_bytes()[..16]);
    half
}

/// What a command does. Texts in it are sealed before it is sent: see [`crate::text`].
#[derive(Clone, PartialEq, Debug)]
pub enum Action<F: Form = Sealed> {
    /// Book 0's first command: the store is made, and RLUSD gets its exponent.
    Initialise {
        /// Decimal places of RLUSD, 0 ..= 30.
        rlusd_exponent: u8,
    },
    /// Makes a root client and its book (in book 0), or a subsidiary (in the root's book).
    CreateClient(NewClient<F>),
    /// Changes a client.
    UpdateClient(ClientChange<F>),
    /// Makes an API key.
    CreateApiKey(NewApiKey<F>),
    /// Ends an API key.
    RevokeApiKey {
        /// Which.
        id: ApiKeyId,
    },
    /// Makes an API key that takes the place of another one, which goes on for a while.
    RotateApiKey(KeyRotation<F>),
    /// Makes a customer.
    CreateCustomer(NewCustomer<F>),
    /// Changes a customer.
    UpdateCustomer(CustomerChange<F>),
    /// Makes what was ever written about a customer unreadable.
    EraseCustomer {
        /// Whom.
        id: CustomerId,
    },
    /// Says where a customer stands with what is owed.
    SetDunning {
        /// Whom it is about.
        customer: CustomerId,
        /// A label, or none.
        label: Option<F::Text>,
        /// Whether open claims were handed to a collection agency.
        in_debt_collection: bool,
    },
    /// Opens an account.
    CreateAccount(NewAccount<F>),
    /// Changes an account.
    UpdateAccount(AccountChange<F>),
    /// Registers an asset: in book 0 for every book, else for this one.
    RegisterAsset {
        /// How it is written.
        name: AssetName,
        /// Decimal places, 0 ..= 30.
        exponent: u8,
        /// What sort it is.
        kind: AssetKind,
    },
    /// Puts rates: in book 0 the defaults, else this book's own, which go before them.
    PutRates(Vec<Rate>),
    /// Posts a transaction, or holds its money.
    Post(Transaction<F>),
    /// Posts many transactions, all or none.
    PostBatch(Vec<Transaction<F>>),
    /// Takes held money.
    Capture(Capture),
    /// Lets held money go.
    Release(Release),
    /// Lets go what a hold still keeps after its time.
    Expire {
        /// The hold.
        hold: TransactionId,
        /// The id of the expiry itself, derived from the hold's.
        id: TransactionId,
    },
    /// Posts the opposite of a transaction, whole or in part.
    Reverse(Reverse),
}

/// A change of an optional field: `None` keeps it, `Some(None)` clears it.
pub type Patch<T> = Option<Option<T>>;

/// A client to be made.
#[derive(Clone, PartialEq, Debug)]
pub struct NewClient<F: Form = Sealed> {
    /// Its id, new.
    pub id: ClientId,
    /// The parent, which must be a root; `None` makes a root.
    pub parent: Option<ClientId>,
    /// Its name in law.
    pub legal_name: F::Text,
    /// Its IANA time zone.
    pub time_zone: Box<str>,
    /// The caller's notes.
    pub notes: Notes<F>,
}

/// A change of a client.
#[derive(Clone, PartialEq, Debug)]
pub struct ClientChange<F: Form = Sealed> {
    /// Which.
    pub id: ClientId,
    /// A new name.
    pub legal_name: Option<F::Text>,
    /// A new time zone.
    pub time_zone: Option<Box<str>>,
    /// A new foreign id.
    pub external_id: Patch<F::Findable>,
    /// New metadata.
    pub metadata: Patch<F::Text>,
}

/// An API key to be made.
#[derive(Clone, PartialEq, Debug)]
pub struct NewApiKey<F: Form = Sealed> {
    /// Its id, new.
    pub id: ApiKeyId,
    /// The client that it acts for; `None` for the operator's, in book 0.
    pub client: Option<ClientId>,
    /// A label for people.
    pub label: F::Text,
    /// What it may do.
    pub scopes: Scopes,
    /// BLAKE3 of the secret.
    pub secret_hash: [u8; 32],
    /// From when on it no longer works.
    pub expires_at: Option<Micros>,
}

/// An API key to be made in place of another one, for the same client and with the same scopes.
#[derive(Clone, PartialEq, Debug)]
pub struct KeyRotation<F: Form = Sealed> {
    /// The key that it takes the place of.
    pub old: ApiKeyId,
    /// Its id, new.
    pub id: ApiKeyId,
    /// The label of the old one: the same text, sealed for this one.
    pub label: F::Text,
    /// BLAKE3 of its secret.
    pub secret_hash: [u8; 32],
    /// For how many seconds the old one goes on, unless it ends before; 0 revokes it.
    pub overlap: u32,
    /// From when on the new one no longer works.
    pub expires_at: Option<Micros>,
}

/// A customer to be made.
#[derive(Clone, PartialEq, Debug)]
pub struct NewCustomer<F: Form = Sealed> {
    /// Its id, new.
    pub id: CustomerId,
    /// The client it belongs to.
    pub client: ClientId,
    /// Its name in law.
    pub legal_name: F::Text,
    /// Its number, from 1; `None` for the next one.
    pub number: Option<i64>,
    /// The caller's notes.
    pub notes: Notes<F>,
}

/// A change of a customer.
#[derive(Clone, PartialEq, Debug)]
pub struct CustomerChange<F: Form = Sealed> {
    /// Which.
    pub id: CustomerId,
    /// A new name.
    pub legal_name: Option<F::Text>,
    /// A new foreign id.
    pub external_id: Patch<F::Findable>,
    /// New metadata.
    pub metadata: Patch<F::Text>,
}

/// A credit limit as it is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CreditChange {
    /// Down to minus this amount.
    Limit(Amount),
    /// Without end; counts on `internal` accounts alone.
    Unlimited,
}

/// The limits asked for in one asset. They replace those it had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LimitChange {
    /// The asset.
    pub asset: AssetName,
    /// How far below zero; `None` is not at all.
    pub credit: Option<CreditChange>,
    /// What settled plus incoming may not be raised above.
    pub max_balance: Option<Amount>,
}

/// An account to be opened.
#[derive(Clone, PartialEq, Debug)]
pub struct NewAccount<F: Form = Sealed> {
    /// Its id, new.
    pub id: AccountId,
    /// Whose it is.
    pub owner: Owner,
    /// What it is for.
    pub purpose: Purpose,
    /// A label; may be empty.
    pub label: F::Text,
    /// The only asset it takes; a `card` account must have one.
    pub currency: Option<AssetName>,
    /// Whether it takes over as the primary one. The first of its owner and purpose is primary anyway.
    pub primary: bool,
    /// Its limits.
    pub limits: Vec<LimitChange>,
    /// The caller's notes.
    pub notes: Notes<F>,
}

/// A change of an account.
#[derive(Clone, PartialEq, Debug)]
pub struct AccountChange<F: Form = Sealed> {
    /// Which.
    pub id: AccountId,
    /// A new label.
    pub label: Option<F::Text>,
    /// A new status.
    pub status: Option<AccountStatus>,
    /// Limits that replace those of their assets; others stay.
    pub limits: Vec<LimitChange>,
    /// Whether it takes over as the primary one.
    pub primary: bool,
    /// A new foreign id.
    pub external_id: Patch<F::Findable>,
    /// New metadata.
    pub metadata: Patch<F::Text>,
}

/// One movement: a debit of `from`, a credit of `to`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Posting {
    /// The account that is debited.
    pub from: AccountId,
    /// The account that is credited.
    pub to: AccountId,
    /// What moves.
    pub asset: AssetName,
    /// How much, in minor units.
    pub amount: Amount,
}

/// The postings of one transaction; most have one.
pub type Postings = SmallVec<[Posting; 1]>;

/// A transaction to be posted, or held.
#[derive(Clone, PartialEq, Debug)]
pub struct Transaction<F: Form = Sealed> {
    /// Its id: the caller's or a new one; never nil.
    pub id: TransactionId,
    /// One or more postings, applied in order.
    pub postings: Postings,
    /// What is written about it; `None` where nothing is, see [`Texts::new`].
    pub texts: Option<Box<Texts<F>>>,
    /// For what day it counts; `None` is when it is recorded.
    pub effective_at: Option<Micros>,
    /// Reserve instead of post.
    pub hold: Option<HoldTerms>,
    /// Post below the floor.
    pub force: bool,
}

impl<F: Form> Transaction<F> {
    /// Whether anything is written about it.
    #[must_use]
    pub const fn has_text(&self) -> bool {
        self.texts.is_some()
    }

    /// What the caller calls it.
    #[must_use]
    pub fn reference(&self) -> Option<&F::Findable> {
        self.texts.as_ref()?.reference.as_ref()
    }

    /// The caller's own id of it.
    #[must_use]
    pub fn external_id(&self) -> Option<&F::Findable> {
        self.texts.as_ref()?.notes.external_id.as_ref()
    }
}

/// What is written about a transaction.
#[derive(Clone, PartialEq, Debug)]
pub struct Texts<F: Form = Sealed> {
    /// Whose key they are under.
    pub party: Option<Subject>,
    /// What the caller calls it.
    pub reference: Option<F::Findable>,
    /// The caller's notes.
    pub notes: Notes<F>,
}

impl<F: Form> Texts<F> {
    /// Those of a transaction. Most have none; so they take a word of it, or each would be half as large again.
    #[must_use]
    pub fn new(party: Option<Subject>, reference: Option<F::Findable>, notes: Notes<F>) -> Option<Box<Self>> {
        let texts = Self {
            party,
            reference,
            notes,
        };
        (!texts.is_empty()).then(|| Box::new(texts))
    }

    /// Whether there are none.
    pub(crate) const fn is_empty(&self) -> bool {
        self.reference.is_none() && self.notes.is_empty()
    }
}

/// How a hold ends by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct HoldTerms {
    /// From when on it is over; `None` is never.
    pub expires_at: Option<Micros>,
}

/// Parts of a transaction: (index of the posting, amount).
pub type Parts = SmallVec<[(u32, Amount); 1]>;

/// A capture: a transaction of its own that takes held money.
#[derive(Clone, PartialEq, Debug)]
pub struct Capture {
    /// Its id.
    pub id: TransactionId,
    /// The hold.
    pub hold: TransactionId,
    /// How much of which posting; `None` is all that is left.
    pub parts: Option<Parts>,
    /// Whether the rest is let go.
    pub last: bool,
    /// Whether more than is held may be taken, if the account has it.
    pub allow_over: bool,
    /// Take more below the floor.
    pub force: bool,
}

/// A release: held money is let go.
#[derive(Clone, PartialEq, Debug)]
pub struct Release {
    /// The id of the release itself.
    pub id: TransactionId,
    /// The hold.
    pub hold: TransactionId,
    /// How much of which posting; `None` is all that is left.
    pub parts: Option<Parts>,
}

/// A reversal: a transaction of its own that undoes another one.
#[derive(Clone, PartialEq, Debug)]
pub struct Reverse {
    /// Its id.
    pub id: TransactionId,
    /// The transaction that is reversed.
    pub transaction: TransactionId,
    /// How much of which posting; `None` is all that was not reversed yet.
    pub parts: Option<Parts>,
    /// Post below the floor.
    pub force: bool,
}

impl<F: Form> KeyRotation<F> {
    /// The key that it makes, as if it had been asked for.
    #[must_use]
    pub fn new_key(&self, client: Option<ClientId>, scopes: Scopes) -> NewApiKey<F> {
        NewApiKey {
            id: self.id,
            client,
            label: self.label.clone(),
            scopes,
            secret_hash: self.secret_hash,
            expires_at: self.expires_at,
        }
    }
}

impl Command {
    /// The expiry of `hold`: the same command, whichever server sends it.
    #[must_use]
    pub fn expiry(book: BookNo, hold: TransactionId, stamp: Micros) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"saldo expiry of hold");
        hasher.update(&hold.to_bytes());
        let id = TransactionId::reserved(first_half(hasher.finalize()));
        let action = Action::Expire { hold, id };
        Self {
            book,
            client: None,
            key: Key::Expiry(hold),
            fingerprint: Fingerprint::default(),
            stamp,
            action,
        }
    }

    /// The transactions that this command would make: the ids it takes.
    pub fn transaction_ids(&self) -> impl Iterator<Item = TransactionId> + '_ {
        let (one, many): (Option<TransactionId>, &[Transaction]) = match &self.action {
            Action::Post(transaction) => (Some(transaction.id), &[]),
            Action::PostBatch(transactions) => (None, transactions),
            Action::Capture(capture) => (Some(capture.id), &[]),
            Action::Release(release) => (Some(release.id), &[]),
            Action::Expire { id, .. } => (Some(*id), &[]),
            Action::Reverse(reverse) => (Some(reverse.id), &[]),
            _ => (None, &[]),
        };
        one.into_iter()
            .chain(many.iter().map(|transaction| transaction.id))
    }
}
