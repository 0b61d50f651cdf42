//! Transactions: posting, holding, reversing, and reading them back.

use std::sync::Arc;

use ledger::{
    AccountId, Action, AssetName, Booked, Code, Command, Entry, Field, HoldTerms, Map, Micros, Move, Notes,
    Parts, Plain, Position, Postings, Record, Reverse, Scopes, Texts, Transaction, TransactionId,
};
use store::{EntryKind, Listed, Outcome, Page, Stamped, TransactionFilter, TransactionView};

use crate::check::{check_notes, check_parts, check_text};
use crate::problem::{Problem, Refusal};
use crate::texts::TransactionTexts;
use crate::write::{Asked, Idempotency, Recorded, new_id, no_subject, recorded, subject};
use crate::{Caller, Service};

/// A transaction to be posted or held.
#[derive(Clone, Debug, PartialEq)]
pub struct PostTransaction {
    /// The id that the caller chose: not nil.
    pub id: Option<TransactionId>,
    /// One or more postings, in order.
    pub postings: Postings,
    /// What the caller calls it.
    pub reference: Option<String>,
    /// For what day it counts; now unless given.
    pub effective_at: Option<Micros>,
    /// Hold instead of post.
    pub hold: Option<HoldTerms>,
    /// Post below the floor; scope `ledger:force`.
    pub force: bool,
    /// The caller's notes.
    pub notes: Notes<Plain>,
}

/// A reversal to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReverseTransaction {
    /// The transaction that is reversed.
    pub transaction: TransactionId,
    /// How much of which posting; `None` is all that was not reversed yet.
    pub parts: Option<Parts>,
    /// Post below the floor; scope `ledger:force`.
    pub force: bool,
}

/// A transaction that was booked.
#[derive(Clone, Debug)]
pub struct TransactionDone {
    /// The record of its command.
    pub record: Arc<Record>,
    /// Which transaction of the record: 0 unless it is of an atomic batch.
    pub nth: usize,
    /// Whether it was recorded before, under the same key.
    pub replayed: bool,
    /// What the caller wrote on it.
    pub texts: TransactionTexts,
}

/// Which transactions are looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FindTransactions {
    /// With this reference.
    pub reference: Option<String>,
    /// With this foreign id.
    pub external_id: Option<String>,
    /// That touch this account.
    pub account: Option<AccountId>,
    /// Recorded at or after.
    pub from: Option<Micros>,
    /// Recorded before.
    pub to: Option<Micros>,
}

/// A transaction as an answer shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct TransactionShown {
    /// The transaction and what became of it.
    pub view: TransactionView,
    /// What the caller wrote on it.
    pub texts: TransactionTexts,
}

/// An account in one asset, after a transaction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AfterBalance {
    /// The account.
    pub account: AccountId,
    /// The asset.
    pub asset: AssetName,
    /// The counters, and the credit in force.
    pub entry: Entry,
}

impl PostTransaction {
    /// Whether something is written in it that is about somebody.
    fn has_text(&self) -> bool {
        let Self {
            reference,
            notes,
            id: _,
            postings: _,
            effective_at: _,
            hold: _,
            force: _,
        } = self;
        reference.is_some() || !notes.is_empty()
    }
}

impl TransactionDone {
    pub(crate) fn of(recorded: Recorded, nth: usize) -> Self {
        Self {
            record: recorded.record,
            nth,
            replayed: recorded.replayed,
            texts: TransactionTexts::default(),
        }
    }

    /// What was booked.
    #[must_use]
    pub fn booked(&self) -> Option<&Booked> {
        self.record.booked().get(self.nth)
    }

    /// Each account touched, per asset, after the transaction: see [`balances_after`].
    #[must_use]
    pub fn balances_after(&self) -> Vec<AfterBalance> {
        balances_after(self.booked().map_or(&[], |booked| &booked.moves))
    }
}

/// Each account touched by `moves`, per asset, after them, in order of first touch.
#[must_use]
pub fn balances_after(moves: &[Move]) -> Vec<AfterBalance> {
    let mut places = Map::with_capacity_and_hasher(2 * moves.len(), Default::default());
    let mut after: Vec<AfterBalance> = Vec::with_capacity(2 * moves.len());
    for made in moves {
        for (account, entry) in [(made.from.id, made.from_after), (made.to.id, made.to_after)] {
            let place = *places.entry((account, made.asset.no)).or_insert(after.len());
            let one = AfterBalance {
                account,
                asset: made.asset.name,
                entry,
            };
            match after.get_mut(place) {
                Some(known) => *known = one,
                None => after.push(one),
            }
        }
    }
    after
}

/// What became of one item of a batch.
#[derive(Clone, Debug)]
pub struct ItemDone {
    /// The id of its transaction.
    pub id: TransactionId,
    /// That it was booked, or why not. [`Problem::Rejected`] and [`Problem::Conflict`] are about this item alone.
    pub result: Result<ItemBooked, Problem>,
}

/// An item of a batch that was booked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ItemBooked {
    /// The position of its command.
    pub position: Position,
    /// Whether it was held or posted.
    pub kind: EntryKind,
    /// Whether it was recorded before, under the same key.
    pub replayed: bool,
}

/// What became of a batch.
#[derive(Clone, Debug)]
pub struct BatchDone {
    /// The highest position of its commands.
    pub position: Position,
    /// Whether it was recorded before as a whole, under the same key (atomic ones alone).
    pub replayed: bool,
    /// Each item in order; of an atomic batch that was refused, the culprit alone.
    pub items: Vec<ItemDone>,
}

impl Service {
    /// Posts a transaction, or holds its money. Scope `post`, and `ledger:force` for `force`.
    ///
    /// # Errors
    /// [`Problem::BadRequest`], naming the field; refusals of the ledger.
    pub async fn post(
        &self,
        caller: &Caller,
        input: PostTransaction,
        idempotency: Idempotency,
    ) -> Result<TransactionDone, Problem> {
        caller.require(Scopes::POST)?;
        self.check_post(caller, &input, str::to_owned)?;
        let id_given = input.id.is_some();
        let transaction = transaction(input);
        let key = idempotency.key(transaction.id.0);
        let command = self
            .command(caller, key, Action::Post(transaction), id_given)
            .await?;
        let recorded = self.submit(command, no_subject).await?;
        let texts = self.transaction_texts(&recorded.record, 0).await?;
        Ok(TransactionDone {
            texts,
            ..TransactionDone::of(recorded, 0)
        })
    }

    /// Posts many transactions, each a command of its own under its id. Scope `post`, and `ledger:force` for `force`.
    ///
    /// # Errors
    /// [`Problem::BadRequest`], naming the item, before anything is sent; a failure of the store.
    pub async fn post_each(
        &self,
        caller: &Caller,
        inputs: Vec<PostTransaction>,
    ) -> Result<BatchDone, Problem> {
        caller.require(Scopes::POST)?;
        self.check_batch(caller, &inputs)?;
        let none = Idempotency::default();
        let with_text = inputs.iter().any(PostTransaction::has_text);
        let asked = inputs.into_iter().map(|input| {
            let transaction = transaction(input);
            Asked {
                key: none.key(transaction.id.0),
                action: Action::Post(transaction),
                id_given: true,
            }
        });
        let commands = match with_text {
            true => self.commands(caller, asked.collect()).await?,
            // Most batches; to lay them out once less is worth it.
            false => self.commands_without_text(caller, asked).await?,
        };
        let would_make: Vec<_> = commands.iter().filter_map(would_make).collect();
        debug_assert_eq!(would_make.len(), commands.len(), "each posts or holds");
        let outcomes = self.commit_briefly(commands).await;
        let mut position = Position::default();
        let mut items = Vec::with_capacity(would_make.len());
        for ((id, kind), outcome) in would_make.into_iter().zip(outcomes) {
            let result = item_done(kind, outcome?);
            position = position.max(match &result {
                Ok(booked) => booked.position,
                Err(Problem::Rejected(refusal)) => refusal.position,
                Err(_) => Position::default(),
            });
            items.push(ItemDone { id, result });
        }
        // Where every item was a conflict, the book itself says how far it is.
        if position == Position::default() {
            position = self.position(caller).await?;
        }
        Ok(BatchDone {
            position,
            replayed: false,
            items,
        })
    }

    /// Posts many transactions as one command, all or none. Scope `post`, and `ledger:force` for `force`.
    ///
    /// # Errors
    /// [`Problem::BadRequest`], naming the item; conflicts of keys; a failure of the store. A refusal is an answer, in
    /// which the culprit alone is marked.
    pub async fn post_all(
        &self,
        caller: &Caller,
        inputs: Vec<PostTransaction>,
        idempotency: Idempotency,
    ) -> Result<BatchDone, Problem> {
        caller.require(Scopes::POST)?;
        self.check_batch(caller, &inputs)?;
        let transactions: Vec<_> = inputs.into_iter().map(transaction).collect();
        let ids: Vec<_> = transactions.iter().map(|one| one.id).collect();
        let key = idempotency.key(new_id());
        let command = self
            .command(caller, key, Action::PostBatch(transactions), true)
            .await?;
        let (position, replayed, items) = match self.submit(command, no_subject).await {
            Ok(Recorded { record, replayed }) => {
                let items = ids.into_iter().enumerate().map(|(nth, id)| ItemDone {
                    id,
                    result: Ok(ItemBooked {
                        position: record.position,
                        kind: EntryKind::of(&record, nth),
                        replayed,
                    }),
                });
                (record.position, replayed, items.collect())
            }
            Err(Problem::Rejected(refusal)) => {
                let Refusal {
                    position, replayed, ..
                } = *refusal;
                let culprit = refusal.rejection.item.unwrap_or_default() as usize;
                let id = ids.get(culprit).copied();
                let id = id.ok_or_else(|| Problem::internal("a batch was refused for an item it has not"))?;
                let result = Err(Problem::Rejected(refusal));
                (position, replayed, vec![ItemDone { id, result }])
            }
            Err(other) => return Err(other),
        };
        Ok(BatchDone {
            position,
            replayed,
            items,
        })
    }

    /// Posts the opposite of a transaction, whole or in part. Scope `post`, and `ledger:force` for `force`.
    ///
    /// # Errors
    /// A transaction that is not visible is a refusal of the subject; other refusals of the ledger.
    pub async fn reverse(
        &self,
        caller: &Caller,
        input: ReverseTransaction,
        idempotency: Idempotency,
    ) -> Result<TransactionDone, Problem> {
        caller.require(Scopes::POST)?;
        if input.force {
            caller.require(Scopes::FORCE)?;
        }
        check_parts(input.parts.as_ref())?;
        let reverse = Reverse {
            id: TransactionId(new_id()),
            transaction: input.transaction,
            parts: input.parts,
            force: input.force,
        };
        let key = idempotency.key(reverse.id.0);
        let command = self.command(caller, key, Action::Reverse(reverse), false).await?;
        let recorded = self.submit(command, subject(Code::TransactionNotFound)).await?;
        Ok(TransactionDone::of(recorded, 0))
    }

    /// A transaction and what became of it. Scope `read`.
    ///
    /// # Errors
    /// [`Problem::NotFound`].
    pub async fn transaction(
        &self,
        caller: &Caller,
        id: TransactionId,
    ) -> Result<Stamped<TransactionShown>, Problem> {
        caller.require(Scopes::READ)?;
        let found = self.store.transaction(caller.viewer, id).await?;
        let found = found.ok_or_else(|| Problem::not_found("transaction"))?;
        let Stamped {
            value: view,
            position,
        } = found;
        let texts = self.transaction_texts(&view.record, view.nth).await?;
        Ok(Stamped {
            value: TransactionShown { view, texts },
            position,
        })
    }

    /// Transactions, newest first. Scope `read`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn transactions(
        &self,
        caller: &Caller,
        wanted: FindTransactions,
        page: Page,
    ) -> Result<Listed<TransactionShown>, Problem> {
        caller.require(Scopes::READ)?;
        let reference = self.lookup(caller, Field::Reference, wanted.reference.as_deref());
        let external_id = wanted.external_id.as_deref();
        let external_id = self.lookup(caller, Field::TransactionExternalId, external_id);
        let filter = TransactionFilter {
            reference: reference.await?,
            external_id: external_id.await?,
            account: wanted.account,
            from: wanted.from,
            to: wanted.to,
        };
        let found = self.store.transactions(caller.viewer, filter, page).await?;
        let all = found.items.iter().map(|view| (&*view.record, view.nth));
        let keys = self.keys_of_transactions(all).await?;
        found.try_map(|view| {
            let texts = keys.transaction(&view.record, view.nth)?;
            Ok(TransactionShown { view, texts })
        })
    }

    fn check_batch(&self, caller: &Caller, inputs: &[PostTransaction]) -> Result<(), Problem> {
        if inputs.is_empty() {
            return Err(Problem::bad("transactions", "must hold at least one transaction"));
        }
        if inputs.len() > self.config.batch_items {
            return Err(Problem::TooLarge {
                what: "transactions",
                limit: self.config.batch_items,
            });
        }
        for (index, input) in inputs.iter().enumerate() {
            let at = |field: &str| format!("transactions[{index}].{field}");
            if input.id.is_none() {
                return Err(Problem::bad(&at("id"), "is missing; a batch needs it"));
            }
            self.check_post(caller, input, at)?;
        }
        Ok(())
    }

    /// What is wrong about a transaction before the ledger sees it. `at` says where a field of it stands.
    fn check_post(
        &self,
        caller: &Caller,
        input: &PostTransaction,
        at: impl Fn(&str) -> String,
    ) -> Result<(), Problem> {
        if input.force {
            caller.require(Scopes::FORCE)?;
        }
        if input.id == Some(TransactionId(0)) {
            return Err(Problem::bad(&at("id"), "must not be the nil UUID"));
        }
        if input.postings.is_empty() {
            return Err(Problem::bad(&at("postings"), "must hold at least one posting"));
        }
        if input.postings.len() > self.config.postings {
            return Err(Problem::bad(
                &at("postings"),
                format!("must hold at most {} postings", self.config.postings),
            ));
        }
        if let Some(reference) = &input.reference {
            check_text(&at("reference"), reference)?;
        }
        check_notes(&input.notes)
    }
}

fn transaction(input: PostTransaction) -> Transaction<Plain> {
    Transaction {
        id: input.id.unwrap_or_else(|| TransactionId(new_id())),
        postings: input.postings,
        texts: Texts::new(None, input.reference.map(Into::into), input.notes),
        effective_at: input.effective_at,
        hold: input.hold,
        force: input.force,
    }
}

/// The transaction that a command would make, and whether it would be held or posted.
fn would_make(command: &Command) -> Option<(TransactionId, EntryKind)> {
    let Action::Post(transaction) = &command.action else {
        return None;
    };
    let kind = match transaction.hold {
        Some(_) => EntryKind::Hold,
        None => EntryKind::Posting,
    };
    Some((transaction.id, kind))
}

/// What became of a command that would make a transaction of this kind.
fn item_done(kind: EntryKind, outcome: Outcome) -> Result<ItemBooked, Problem> {
    let booked = |position, replayed| ItemBooked {
        position,
        kind,
        replayed,
    };
    let recorded = match outcome {
        Outcome::Accepted(position) => return Ok(booked(position, false)),
        other => recorded(other)?,
    };
    match recorded.record.outcome {
        Ok(_) => Ok(booked(recorded.record.position, recorded.replayed)),
        Err(rejection) => Err(recorded.refused(rejection, no_subject)),
    }
}
