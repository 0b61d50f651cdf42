//! A book of the model: its records, its register, and what is read off them by looking at every one.

use std::collections::BTreeMap;
use std::sync::Arc;

use ledger::{
    Account, AccountId, AccountNo, Action, Amount, ApiKey, Asset, AssetName, AssetNo, BookNo, Client,
    ClientId, Counters, Customer, CustomerId, HeldPosting, Hold, HoldStatus, Micros, Move, Position, Posted,
    PostedPosting, RateRow, Record, TransactionId,
};

/// All books.
pub(super) struct World {
    pub(super) books: BTreeMap<BookNo, Book>,
    pub(super) closed: bool,
}

impl World {
    /// Book 0 with the built-in assets, as a store has it before its first command.
    pub(super) fn new() -> Self {
        let mut operator = Book::new(BookNo::OPERATOR, None);
        operator.assets = ledger::built_in(6).into_iter().map(Arc::new).collect();
        Self {
            books: BTreeMap::from([(BookNo::OPERATOR, operator)]),
            closed: false,
        }
    }

    /// An asset as a book sees it: its own first, then the operator's.
    pub(super) fn asset(&self, book: BookNo, name: &AssetName) -> Option<&Arc<Asset>> {
        let homes = [&self.books[&book], &self.books[&BookNo::OPERATOR]];
        homes
            .into_iter()
            .find_map(|home| home.assets.iter().find(|asset| asset.name == *name))
    }

    /// An asset by number, as a book sees it.
    pub(super) fn asset_by_no(&self, book: BookNo, no: AssetNo) -> &Arc<Asset> {
        let homes = [&self.books[&book], &self.books[&BookNo::OPERATOR]];
        let asset = homes
            .into_iter()
            .find_map(|home| home.assets.iter().find(|asset| asset.no == no));
        asset.expect("money moved in assets that exist alone")
    }

    /// Where book 0 stands.
    pub(super) fn base(&self) -> Position {
        self.books[&BookNo::OPERATOR].position()
    }
}

/// A book.
pub(super) struct Book {
    pub(super) no: BookNo,
    pub(super) root: Option<ClientId>,
    pub(super) records: Vec<Arc<Record>>,
    pub(super) digest: [u8; 32],
    pub(super) clients: Vec<Arc<Client>>,
    pub(super) customers: Vec<Arc<Customer>>,
    pub(super) accounts: Vec<Arc<Account>>,
    pub(super) api_keys: Vec<Arc<ApiKey>>,
    pub(super) assets: Vec<Arc<Asset>>,
    pub(super) rates: Vec<Arc<RateRow>>,
}

/// A move, and where it stands in the book.
#[derive(Clone, Copy)]
pub(super) struct Moved<'a> {
    pub(super) record: &'a Arc<Record>,
    pub(super) nth: usize,
    pub(super) move_index: usize,
    pub(super) made: &'a Move,
}

impl Book {
    pub(super) fn new(no: BookNo, root: Option<ClientId>) -> Self {
        Self {
            no,
            root,
            records: Vec::new(),
            digest: [0; 32],
            clients: Vec::new(),
            customers: Vec::new(),
            accounts: Vec::new(),
            api_keys: Vec::new(),
            assets: Vec::new(),
            rates: Vec::new(),
        }
    }

    pub(super) fn position(&self) -> Position {
        Position(self.records.len() as u64)
    }

    pub(super) fn recorded_at(&self) -> Micros {
        self.records.last().map_or(Micros(0), |record| record.recorded_at)
    }

    /// Whether `viewer` sees what belongs to `client`: the whole book if it is no client or the root, else itself.
    pub(super) fn sees(&self, viewer: Option<ClientId>, client: ClientId) -> bool {
        viewer.is_none() || viewer == self.root || viewer == Some(client)
    }

    pub(super) fn client(&self, id: ClientId) -> Option<&Arc<Client>> {
        self.clients.iter().find(|client| client.id == id)
    }

    pub(super) fn customer(&self, id: CustomerId) -> Option<&Arc<Customer>> {
        self.customers.iter().find(|customer| customer.id == id)
    }

    pub(super) fn account(&self, id: AccountId) -> Option<&Arc<Account>> {
        self.accounts.iter().find(|account| account.id == id)
    }

    /// Every move of the book, in order.
    pub(super) fn moves(&self) -> impl Iterator<Item = Moved<'_>> {
        self.records.iter().flat_map(|record| {
            let booked = record.booked().iter().enumerate();
            booked.flat_map(move |(nth, booked)| {
                let moves = booked.moves.iter().enumerate();
                moves.map(move |(move_index, made)| Moved {
                    record,
                    nth,
                    move_index,
                    made,
                })
            })
        })
    }

    /// The assets that an account has touched.
    pub(super) fn touched(&self, account: AccountNo) -> Vec<AssetNo> {
        let moves = self.moves().map(|moved| moved.made);
        let mut assets: Vec<_> = moves
            .filter(|m| m.from.no == account || m.to.no == account)
            .map(|m| m.asset.no)
            .collect();
        assets.sort_unstable();
        assets.dedup();
        assets
    }

    /// The record and the place in it that booked a transaction; the first one, should there be two.
    pub(super) fn booked(&self, id: TransactionId) -> Option<(&Arc<Record>, usize)> {
        self.records.iter().find_map(|record| {
            let nth = record.booked().iter().position(|booked| booked.id == id)?;
            Some((record, nth))
        })
    }

    /// A transaction and what was reversed of it since.
    pub(super) fn posted(&self, id: TransactionId) -> Option<Posted> {
        let (record, nth) = self.booked(id)?;
        let posting = |m: &Move| PostedPosting {
            from: m.from,
            to: m.to,
            asset: m.asset,
            amount: m.post,
            reversed: Amount::ZERO,
        };
        let moves = record.booked()[nth].moves.iter();
        let mut posted = Posted {
            id,
            position: record.position,
            last: record.position,
            postings: moves.map(posting).collect(),
        };
        for later in &self.records {
            let Action::Reverse(reverse) = &later.action else {
                continue;
            };
            if reverse.transaction != id || later.outcome.is_err() {
                continue;
            }
            posted.last = later.position;
            for m in &later.booked()[0].moves {
                let reversed = &mut posted.postings[m.index as usize].reversed;
                *reversed = plus(*reversed, m.post);
            }
        }
        Some(posted)
    }

    /// Every hold as it stands, in the order of placing.
    pub(super) fn holds(&self) -> Vec<Hold> {
        let mut holds: Vec<Hold> = Vec::new();
        for record in &self.records {
            for (nth, booked) in record.booked().iter().enumerate() {
                let terms = record.transaction(nth).and_then(|transaction| transaction.hold);
                if let Some(terms) = terms {
                    holds.push(Hold {
                        id: booked.id,
                        position: record.position,
                        recorded_at: record.recorded_at,
                        last: record.position,
                        expires_at: terms.expires_at,
                        postings: booked.moves.iter().map(held).collect(),
                        status: HoldStatus::Held,
                    });
                }
            }
            let about = match &record.action {
                Action::Capture(capture) => capture.hold,
                Action::Release(release) => release.hold,
                Action::Expire { hold, .. } => *hold,
                _ => continue,
            };
            if record.outcome.is_ok() {
                let hold = holds.iter_mut().find(|hold| hold.id == about);
                take_part(hold.expect("only what is held is taken or let go"), record);
            }
        }
        holds
    }

    pub(super) fn hold(&self, id: TransactionId) -> Option<Hold> {
        self.holds().into_iter().find(|hold| hold.id == id)
    }
}

fn held(m: &Move) -> HeldPosting {
    HeldPosting {
        from: m.from,
        to: m.to,
        asset: m.asset,
        amount: m.reserve,
        captured: Amount::ZERO,
        remaining: m.reserve,
    }
}

fn take_part(hold: &mut Hold, record: &Record) {
    hold.last = record.position;
    for m in &record.booked()[0].moves {
        let held = &mut hold.postings[m.index as usize];
        held.captured = plus(held.captured, m.post);
        held.remaining = amount(held.remaining.get() - m.free.get());
    }
    if hold.postings.iter().any(|held| !held.remaining.is_zero()) {
        return;
    }
    let captured = hold.postings.iter().any(|held| !held.captured.is_zero());
    hold.status = match record.action {
        Action::Expire { .. } => HoldStatus::Expired,
        _ if captured => HoldStatus::Captured,
        _ => HoldStatus::Released,
    };
}

/// The four counters of an account in an asset after these moves, added up from nothing.
pub(super) fn add_up<'a>(
    moves: impl Iterator<Item = &'a Move>,
    account: AccountNo,
    asset: AssetNo,
) -> Counters {
    let mut sum = Counters::default();
    for m in moves.filter(|m| m.asset.no == asset) {
        if m.from.no == account {
            sum.debits_posted = plus(sum.debits_posted, m.post);
            sum.debits_pending = amount(sum.debits_pending.get() - m.free.get() + m.reserve.get());
        }
        if m.to.no == account {
            sum.credits_posted = plus(sum.credits_posted, m.post);
            sum.credits_pending = amount(sum.credits_pending.get() - m.free.get() + m.reserve.get());
        }
    }
    sum
}

pub(super) fn amount(minor: u128) -> Amount {
    Amount::new(minor).expect("what was booked was in range")
}

fn plus(one: Amount, other: Amount) -> Amount {
    amount(one.get() + other.get())
}
