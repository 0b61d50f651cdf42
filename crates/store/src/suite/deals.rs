//! Random movements of money.

use ledger::{
    AccountId, Action, Amount, AssetName, Capture, Command, CreditChange, HoldTerms, LimitChange, Micros,
    Notes, Owner, Parts, Posting, Purpose, Release, Reverse, Subject, Texts, Transaction, TransactionId,
};

use super::register::asset;
use super::stream::{KnownAccount, KnownTransaction, Stream};

const SECOND: i64 = 1_000_000;

fn clamp(minor: u128) -> Amount {
    Amount::new(minor).unwrap_or(Amount::MAX)
}

impl Stream {
    /// An account, seldom one of another book or one that is not.
    fn account(&mut self, book: usize) -> KnownAccount {
        let home = if self.random.percent(1) { 3 - book } else { book };
        let mut account = self.random.pick(&self.books[home].accounts);
        if self.random.percent(1) {
            account.id = AccountId(self.id());
        }
        account
    }

    /// Where money comes from: half of the time from where there is always some.
    fn source(&mut self, book: usize) -> KnownAccount {
        let floorless =
            |account: &&KnownAccount| matches!(account.purpose, Purpose::External | Purpose::Receivable);
        let without_end: Vec<_> = self.books[book]
            .accounts
            .iter()
            .filter(floorless)
            .copied()
            .collect();
        if self.random.percent(50) {
            self.random.pick(&without_end)
        } else {
            self.account(book)
        }
    }

    fn amount(&mut self) -> u128 {
        match self.random.below(100) {
            0..65 => 1 + u128::from(self.random.below(1_000)),
            // What limits are, and one beside it.
            65..70 => self.random.pick(&[500, 501, 999, 1_000, 1_001, 10_000]),
            70..80 => 1,
            80..97 => 1 + u128::from(self.random.below(1_000_000)),
            97 => 0,
            _ => 1 + u128::from(self.random.bits()),
        }
    }

    fn huge(&mut self) -> u128 {
        let max = Amount::MAX.get();
        self.random
            .pick(&[max, max - 1, 1 << 126, (1 << 126) + 1, max / 3])
    }

    fn posting(&mut self, book: usize) -> Posting {
        let fresh = self.fresh_posting(book);
        let posting = match self.books[book].last {
            // All of what the last one brought, or one more: what is just enough is tried too.
            Some(last) if self.random.percent(8) => Posting {
                from: last.to,
                to: fresh.to,
                asset: last.asset,
                amount: clamp(last.amount.get() + u128::from(self.random.percent(30))),
            },
            _ => fresh,
        };
        self.books[book].last = Some(posting);
        posting
    }

    fn fresh_posting(&mut self, book: usize) -> Posting {
        let from = self.source(book);
        let mut to = self.account(book);
        if to.id == from.id && self.random.percent(90) {
            to = self.books[book].accounts[1];
        }
        let any = self.asset(book);
        let bound = from.currency.or(to.currency).filter(|_| self.random.percent(95));
        let mut name: AssetName = bound.unwrap_or(any);
        let mut amount = self.amount();
        if self.random.percent(2) {
            // What is nearly too much would stop a currency that much else moves in.
            name = asset("JPY");
            amount = self.huge();
        }
        Posting {
            from: from.id,
            to: to.id,
            asset: name,
            amount: clamp(amount),
        }
    }

    fn transaction(&mut self, book: usize, hold: Option<HoldTerms>) -> Transaction {
        let count = self.random.pick(&[1, 1, 1, 1, 2, 2, 3, 4]);
        let day = 86_400 * SECOND;
        let effective = match self.random.below(100) {
            0..60 => None,
            60..85 => Some(self.now.plus(-(self.random.below(20) as i64) * day)),
            _ => Some(self.now.plus(self.random.below(20) as i64 * day)),
        };
        let mut transaction = Transaction {
            id: self.transaction_id(book),
            postings: (0..count).map(|_| self.posting(book)).collect(),
            texts: Texts::new(
                None,
                self.findable(50),
                Notes {
                    external_id: self.findable(20),
                    metadata: self.text(10),
                },
            ),
            effective_at: effective,
            hold,
            force: self.random.percent(6),
        };
        if let Some(texts) = &mut transaction.texts
            && self.random.percent(95)
        {
            texts.party = Some(Subject(self.random.wide()));
        }
        transaction
    }

    /// A new id, or, seldom, one that the expiry of a hold will have.
    fn transaction_id(&mut self, book: usize) -> TransactionId {
        let id = TransactionId(self.id());
        let holds = &self.books[book].holds;
        if holds.is_empty() || !self.random.percent(1) {
            return id;
        }
        let hold = self.random.pick(holds).id;
        let expiry = Command::expiry(self.books[book].no, hold, self.now);
        expiry.transaction_ids().next().unwrap_or(id)
    }

    fn remember(transaction: &Transaction) -> KnownTransaction {
        KnownTransaction {
            id: transaction.id,
            amounts: transaction
                .postings
                .iter()
                .map(|posting| posting.amount.get())
                .collect(),
        }
    }

    pub(super) fn post(&mut self, book: usize) {
        let transaction = self.transaction(book, None);
        self.books[book].posted.push(Self::remember(&transaction));
        let actor = self.actor(book);
        self.send(book, actor, Some(transaction.id.0), Action::Post(transaction));
    }

    fn terms(&mut self) -> HoldTerms {
        let expires_at = match self.random.below(100) {
            0..25 => None,
            25..90 => Some(self.now.plus(self.random.below(1_800) as i64 * SECOND)),
            90..95 => Some(self.now),
            _ => Some(Micros(self.now.0 - 1)),
        };
        self.ends.extend(expires_at);
        HoldTerms { expires_at }
    }

    pub(super) fn hold(&mut self, book: usize) {
        let terms = self.terms();
        let transaction = self.transaction(book, Some(terms));
        self.books[book].holds.push(Self::remember(&transaction));
        let actor = self.actor(book);
        self.send(book, actor, Some(transaction.id.0), Action::Post(transaction));
    }

    pub(super) fn post_batch(&mut self, book: usize) {
        let mut all = Vec::new();
        for _ in 0..self.random.pick(&[1, 2, 2, 3, 6, 12]) {
            let hold = self.random.percent(20).then(|| self.terms());
            let mut transaction = self.transaction(book, hold);
            // One refusal refuses all, so most items are sure to pass.
            if self.random.percent(80) {
                let accounts = &self.books[book].accounts;
                let (from, to) = (accounts[0].id, accounts[1].id);
                for posting in &mut transaction.postings {
                    let amount = posting.amount.get().clamp(1, 1_000_000);
                    *posting = Posting {
                        from,
                        to,
                        asset: asset("USD"),
                        amount: clamp(amount),
                    };
                }
            }
            let known = Self::remember(&transaction);
            match hold {
                Some(_) => self.books[book].holds.push(known),
                None => self.books[book].posted.push(known),
            }
            all.push(transaction);
        }
        if self.random.percent(4)
            && let Some(first) = all.first().cloned()
        {
            all.push(first);
        }
        let actor = self.actor(book);
        self.send(book, actor, None, Action::PostBatch(all));
    }

    /// One of these, mostly a late one; seldom one that is not.
    fn known(&mut self, of: &[KnownTransaction]) -> KnownTransaction {
        let unknown = KnownTransaction {
            id: TransactionId(self.id()),
            amounts: vec![1],
        };
        if of.is_empty() || self.random.percent(3) {
            return unknown;
        }
        let late = &of[of.len().saturating_sub(6)..];
        let from = if self.random.percent(80) { late } else { of };
        self.random.pick(from)
    }

    /// Some parts of a transaction, seldom too much or beside it.
    fn parts(&mut self, of: &KnownTransaction) -> Parts {
        let mut parts = Parts::new();
        for _ in 0..self.random.pick(&[1, 1, 1, 2, 3]) {
            let index = self.random.below(of.amounts.len() as u64) as usize;
            let whole = of.amounts[index];
            let amount = match self.random.below(100) {
                0..50 => whole / 2,
                50..75 => whole,
                75..95 => whole.min(1 + u128::from(self.random.below(100))),
                95 => 0,
                _ => whole.saturating_add(5),
            };
            let beside = self.random.percent(2);
            parts.push((if beside { 9 } else { index as u32 }, clamp(amount)));
        }
        parts
    }

    pub(super) fn capture(&mut self, book: usize) {
        let holds = self.books[book].holds.clone();
        let hold = self.known(&holds);
        let parts = match self.random.percent(60) {
            true => Some(self.parts(&hold)),
            false => None,
        };
        let capture = Capture {
            id: self.transaction_id(book),
            hold: hold.id,
            last: parts.is_none() || self.random.percent(30),
            parts,
            allow_over: self.random.percent(30),
            force: self.random.percent(5),
        };
        let known = KnownTransaction {
            id: capture.id,
            amounts: hold.amounts,
        };
        self.books[book].posted.push(known);
        let actor = self.actor(book);
        self.send(book, actor, Some(capture.id.0), Action::Capture(capture));
    }

    pub(super) fn release(&mut self, book: usize) {
        let holds = self.books[book].holds.clone();
        let hold = self.known(&holds);
        let parts = match self.random.percent(40) {
            true => Some(self.parts(&hold)),
            false => None,
        };
        let release = Release {
            id: self.transaction_id(book),
            hold: hold.id,
            parts,
        };
        let actor = self.actor(book);
        self.send(book, actor, Some(release.id.0), Action::Release(release));
    }

    pub(super) fn reverse(&mut self, book: usize) {
        let of = match self.random.percent(95) {
            true => self.books[book].posted.clone(),
            false => self.books[book].holds.clone(),
        };
        let original = self.known(&of);
        let parts = match self.random.percent(50) {
            true => Some(self.parts(&original)),
            false => None,
        };
        let reverse = Reverse {
            id: self.transaction_id(book),
            transaction: original.id,
            parts,
            force: self.random.percent(30),
        };
        self.books[book].posted.push(KnownTransaction {
            id: reverse.id,
            amounts: original.amounts,
        });
        let actor = self.actor(book);
        self.send(book, actor, Some(reverse.id.0), Action::Reverse(reverse));
    }

    /// The server expires a hold, at the right time or not.
    pub(super) fn expire(&mut self, book: usize) {
        let holds = self.books[book].holds.clone();
        let hold = self.known(&holds);
        let command = Command::expiry(self.books[book].no, hold.id, self.now);
        self.send_as_it_is(command);
    }

    /// A new account gets some money, holds all of it, and is asked for it about when the hold ends.
    pub(super) fn pinch(&mut self, book: usize) {
        let root = self.books[book].clients[0];
        let (world, main) = (self.books[book].accounts[0].id, self.books[book].accounts[1].id);
        let amount = 2 + u128::from(self.random.below(1_000));
        let limit = LimitChange {
            asset: asset("USD"),
            credit: Some(CreditChange::Limit(clamp(5))),
            max_balance: Some(clamp(
                amount + self.random.pick(&[0, 0, 0, 1]) - self.random.pick(&[0, 0, 0, 1]),
            )),
        };
        let limits = if self.random.percent(50) {
            vec![limit]
        } else {
            Vec::new()
        };
        let owner = Owner::Client(root);
        let fresh = self.new_account(book, Some(root), owner, Purpose::Wallet, None, limits);
        let end = self.now.plus(self.random.below(60) as i64 * SECOND + 10);
        let terms = HoldTerms {
            expires_at: Some(end),
        };
        self.simple(book, world, fresh, amount, None);
        let hold = self.simple(book, fresh, main, amount, Some(terms));
        self.now = end.plus(self.random.pick(&[-1, 0, 0, 1]));
        match self.random.below(4) {
            0 => {
                let command = Command::expiry(self.books[book].no, hold, self.now);
                self.send_as_it_is(command);
            }
            1 => {
                let capture = Capture {
                    id: TransactionId(self.id()),
                    hold,
                    parts: None,
                    last: true,
                    allow_over: false,
                    force: false,
                };
                self.send(book, Some(root), None, Action::Capture(capture));
            }
            _ => {
                let more = self.random.pick(&[0, 0, 5, 6]);
                self.simple(book, fresh, main, amount + more, None);
            }
        }
    }

    /// One posting in USD that does what it says, by the root.
    fn simple(
        &mut self,
        book: usize,
        from: AccountId,
        to: AccountId,
        amount: u128,
        hold: Option<HoldTerms>,
    ) -> TransactionId {
        let id = TransactionId(self.id());
        let posting = Posting {
            from,
            to,
            asset: asset("USD"),
            amount: clamp(amount),
        };
        let transaction = Transaction {
            id,
            postings: [posting].into_iter().collect(),
            texts: None,
            effective_at: None,
            hold,
            force: false,
        };
        let root = self.books[book].clients[0];
        self.send(book, Some(root), None, Action::Post(transaction));
        id
    }
}
