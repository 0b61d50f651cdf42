//! A small world for the contract's tests, made by plain commands.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ledger::{
    AccountId, Action, Amount, BookNo, ClientId, Code, Command, Done, Key, NewAccount, NewClient, Notes,
    Owner, Posting, Purpose, Record, Text, Transaction, TransactionId,
};

use super::now;
use super::register::asset;
use crate::{Outcome, Store, Viewer};

/// A store with a root client, and numbers for new ids.
pub(super) struct Scene {
    pub(super) store: Arc<dyn Store>,
    pub(super) book: BookNo,
    pub(super) root: ClientId,
    next: Arc<AtomicU64>,
}

impl Scene {
    /// A store's first root client.
    pub(super) async fn new(store: Arc<dyn Store>) -> Self {
        let next = Arc::new(AtomicU64::new(1));
        let mut scene = Self {
            store,
            book: BookNo::OPERATOR,
            root: ClientId(0),
            next,
        };
        let action = Action::Initialise { rlusd_exponent: 6 };
        let key = Key::named("initialise");
        scene.done(scene.command_under(key, None, action)).await;
        scene.add_root().await;
        scene
    }

    /// Makes another root client, and goes to its book.
    pub(super) async fn add_root(&mut self) {
        self.book = BookNo::OPERATOR;
        self.root = ClientId(self.id());
        let record = self.make_client(self.root, None, None).await;
        let Ok(Done::Book(book)) = record.outcome else {
            panic!("a root client has a book: {record:?}");
        };
        self.book = book;
    }

    pub(super) fn id(&self) -> u128 {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        0x0190_0000_0000_7000_8000_0000_0000_0000 | u128::from(number)
    }

    pub(super) fn viewer(&self, client: ClientId) -> Viewer {
        Viewer {
            book: self.book,
            client: Some(client),
        }
    }

    pub(super) fn command_under(&self, key: Key, client: Option<ClientId>, action: Action) -> Command {
        Command {
            book: self.book,
            client,
            key,
            fingerprint: ledger::fingerprint(&action, true, &[7; 32]),
            stamp: now(),
            action,
        }
    }

    /// Submits one command.
    pub(super) async fn submit(&self, command: Command) -> Outcome {
        let mut outcomes = self.store.submit(vec![command]).await;
        assert_eq!(outcomes.len(), 1, "one answer to one command");
        outcomes.remove(0).expect("the store takes it")
    }

    /// Submits a command that is new.
    pub(super) async fn recorded(&self, command: Command) -> Arc<Record> {
        match self.submit(command).await {
            Outcome::Recorded(record) => record,
            other => panic!("it is new: {other:?}"),
        }
    }

    /// Submits a command that is new and accepted.
    pub(super) async fn done(&self, command: Command) -> Arc<Record> {
        let record = self.recorded(command).await;
        assert!(record.outcome.is_ok(), "it is accepted: {record:?}");
        record
    }

    async fn make_client(
        &self,
        id: ClientId,
        actor: Option<ClientId>,
        parent: Option<ClientId>,
    ) -> Arc<Record> {
        let action = Action::CreateClient(NewClient {
            id,
            parent,
            legal_name: Text::new(*b"sealed name"),
            time_zone: "UTC".into(),
            notes: Notes::default(),
        });
        self.done(self.command_under(Key::Id(id.into()), actor, action))
            .await
    }

    /// Makes a subsidiary of the root.
    pub(super) async fn subsidiary(&self) -> ClientId {
        let id = ClientId(self.id());
        self.make_client(id, Some(self.root), Some(self.root)).await;
        id
    }

    /// Opens an account of a client.
    pub(super) async fn account(&self, owner: ClientId, purpose: Purpose) -> AccountId {
        let id = AccountId(self.id());
        let action = Action::CreateAccount(NewAccount {
            id,
            owner: Owner::Client(owner),
            purpose,
            label: Text::default(),
            currency: None,
            primary: false,
            limits: Vec::new(),
            notes: Notes::default(),
        });
        self.done(self.command_under(Key::Id(id.into()), Some(self.root), action))
            .await;
        id
    }

    /// A posting of one amount in USD by the root, under its id.
    pub(super) fn post(&self, from: AccountId, to: AccountId, amount: u128) -> Command {
        let id = TransactionId(self.id());
        let posting = Posting {
            from,
            to,
            asset: asset("USD"),
            amount: Amount::new(amount).unwrap_or_default(),
        };
        let action = Action::Post(Transaction {
            id,
            postings: [posting].into_iter().collect(),
            texts: None,
            effective_at: None,
            hold: None,
            force: false,
        });
        self.command_under(Key::Id(id.into()), Some(self.root), action)
    }
}

impl Scene {
    /// The transactions of these posts in one command.
    pub(super) fn batch(&self, posts: &[Command]) -> Command {
        let transaction = |command: &Command| match &command.action {
            Action::Post(transaction) => Some(transaction.clone()),
            _ => None,
        };
        let action = Action::PostBatch(posts.iter().filter_map(transaction).collect());
        self.command_under(Key::Named(self.id().to_be_bytes()), Some(self.root), action)
    }
}

/// The code of a refusal.
pub(super) fn code(record: &Record) -> Option<Code> {
    record.outcome.as_ref().err().map(|rejection| rejection.code)
}
