//! The one container of rows. A row that is absent and a row that was not loaded differ: a store that keeps everything
//! in memory answers "absent", one that loads on demand answers "not loaded", and [`crate::decide()`] passes that on as a
//! need.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::account::{Account, Purpose};
use crate::asset::{Asset, AssetName, AssetNo, built_in};
use crate::balance::Balance;
use crate::balances::Balances;
use crate::command::Key;
use crate::id::{
    AccountId, AccountNo, ApiKeyId, BookNo, ClientId, CustomerId, Owner, Position, TransactionId,
};
use crate::record::Record;
use crate::register::{ApiKey, Client, Customer, RateRow};
use crate::slots::{Slot, Slots};
use crate::standing::{Hold, HoldStatus, Posted};
use crate::time::Micros;

/// A hash map with the fast hasher; its order is never looked at.
pub type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// A hash set with the fast hasher; its order is never looked at.
type Set<K> = HashSet<K, foldhash::fast::RandomState>;

/// A row that a decision may need, in the book of its command.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RowKey {
    /// A client.
    Client(ClientId),
    /// A customer.
    Customer(CustomerId),
    /// Whether a customer number is in use.
    Number(i64),
    /// An account, by its id.
    Account(AccountId),
    /// The primary account of an owner and purpose.
    Primary(Owner, Purpose),
    /// A balance.
    Balance(AccountNo, AssetNo),
    /// Every balance of an account.
    Balances(AccountNo),
    /// An API key.
    ApiKey(ApiKeyId),
    /// An asset of the book, or of book 0.
    Asset(AssetName),
    /// What was recorded under an idempotency key.
    Key(Option<ClientId>, Key),
    /// A transaction and what was reversed of it.
    Transaction(TransactionId),
    /// A hold.
    Hold(TransactionId),
    /// The open holds that reserve money of an account and expire.
    Due(AccountNo),
}

/// The row was not loaded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotLoaded;

/// Rows by key. In a complete table a key without a row is absent; else it is not loaded, unless it is marked absent.
#[derive(Clone, Debug)]
pub struct Table<K, V> {
    rows: Map<K, Option<V>>,
    /// The first few rows of a table that is not complete: what is loaded for one command is seldom more, and to hash a
    /// key takes longer than to look at these.
    few: SmallVec<[(K, Option<V>); FEW]>,
    complete: bool,
}

/// So many rows of a table that is not complete are not hashed.
const FEW: usize = 2;

impl<K: Eq + Hash, V> Table<K, V> {
    pub(crate) fn new(complete: bool) -> Self {
        Self {
            rows: Map::default(),
            few: SmallVec::new(),
            complete,
        }
    }

    fn row(&self, key: &K) -> Option<&Option<V>> {
        // A complete table has all of them hashed.
        if self.complete {
            return self.rows.get(key);
        }
        let few = self
            .few
            .iter()
            .find(|(other, _)| other == key)
            .map(|(_, row)| row);
        few.or_else(|| self.rows.get(key))
    }

    /// The row, `None` when there is none.
    ///
    /// # Errors
    /// [`NotLoaded`] when that is not known.
    pub fn get(&self, key: &K) -> Result<Option<&V>, NotLoaded> {
        match self.row(key) {
            Some(row) => Ok(row.as_ref()),
            None if self.complete => Ok(None),
            None => Err(NotLoaded),
        }
    }

    /// The row if it is here.
    pub fn peek(&self, key: &K) -> Option<&V> {
        self.row(key).and_then(Option::as_ref)
    }

    /// Puts a row, or marks it absent.
    pub fn put(&mut self, key: K, row: Option<V>) {
        if self.complete && row.is_none() {
            self.rows.remove(&key);
        } else if self.complete || self.rows.contains_key(&key) {
            self.rows.insert(key, row);
        } else if let Some((_, here)) = self.few.iter_mut().find(|(other, _)| *other == key) {
            *here = row;
        } else if self.few.len() < FEW {
            self.few.push((key, row));
        } else {
            self.rows.insert(key, row);
        }
    }

    /// Forgets the row: it is then absent in a complete table, not loaded in another.
    pub fn forget(&mut self, key: &K) {
        if let Some(nth) = self.few.iter().position(|(other, _)| other == key) {
            self.few.swap_remove(nth);
        } else if !self.rows.is_empty() {
            // Where there are none, the key would be hashed all the same.
            self.rows.remove(key);
        }
    }

    /// Forgets all rows.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.few.clear();
    }

    /// The rows that are here, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        let few = self.few.iter().map(|(key, row)| (key, row));
        few.chain(&self.rows)
            .filter_map(|(key, row)| row.as_ref().map(|row| (key, row)))
    }

    /// The number of rows and absence marks that are here.
    pub fn len(&self) -> usize {
        self.rows.len() + self.few.len()
    }

    /// Whether nothing is here.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.few.is_empty()
    }
}

/// Where a book stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Head {
    /// The last command.
    pub position: Position,
    /// When it was recorded.
    pub recorded_at: Micros,
    /// How many clients there are.
    pub clients: u32,
    /// How many customers.
    pub customers: u32,
    /// How many accounts.
    pub accounts: u32,
    /// How many API keys.
    pub api_keys: u32,
    /// How many assets were registered in this book.
    pub assets: u32,
    /// The highest customer number, 0 when there is none.
    pub highest_number: i64,
    /// In book 0: the last book that was made.
    pub books: u32,
}

/// What a state holds: everything, or what was loaded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Completeness {
    /// Every row; what is not here does not exist.
    Everything,
    /// Every row of the register, every balance, every open hold. Keys, transactions and resolved holds are loaded on
    /// demand and forgotten when they change.
    Standing,
    /// What was loaded for one batch.
    Loaded,
}

/// A book's rows.
#[derive(Clone, Debug)]
pub struct Book {
    /// Its number.
    pub no: BookNo,
    /// Its root client; `None` in book 0.
    pub root: Option<ClientId>,
    /// Where it stands.
    pub head: Head,
    /// Clients by id.
    pub clients: Table<ClientId, Arc<Client>>,
    /// Client ids in order of creation (where complete).
    pub client_list: Vec<ClientId>,
    /// Customers by id.
    pub customers: Table<CustomerId, Arc<Customer>>,
    /// Customer ids in order of creation (where complete).
    pub customer_list: Vec<CustomerId>,
    /// Customers by number.
    pub numbers: Table<i64, CustomerId>,
    /// API keys by id.
    pub api_keys: Table<ApiKeyId, Arc<ApiKey>>,
    /// API key ids in order of creation (where complete).
    pub api_key_list: Vec<ApiKeyId>,
    /// Accounts by number and id.
    pub slots: Slots,
    /// Primary accounts.
    pub primaries: Table<(Owner, Purpose), AccountNo>,
    /// The assets registered here (in book 0: and the built-in ones), by name.
    pub assets: Table<AssetName, Arc<Asset>>,
    /// The same by number, for those that are here.
    pub assets_by_no: Map<AssetNo, Arc<Asset>>,
    /// Rates by base and quote, the oldest `as_of` first, then the oldest position (where complete).
    pub rates: Map<(AssetName, AssetName), Vec<Arc<RateRow>>>,
    /// All rates in order of recording (where complete).
    pub rate_list: Vec<Arc<RateRow>>,
    /// What was recorded under idempotency keys.
    pub keys: Table<(Option<ClientId>, Key), Arc<Record>>,
    /// Transactions.
    pub transactions: Table<TransactionId, Arc<Posted>>,
    /// Holds: all, or the open ones.
    pub holds: Table<TransactionId, Arc<Hold>>,
    /// The open holds of an account, on either side, by when they expire.
    pub holds_by_account: Map<AccountNo, BTreeSet<(Micros, TransactionId)>>,
    /// The open holds that expire, by when (where complete).
    pub expiring: BTreeSet<(Micros, TransactionId)>,
    due_loaded: Set<AccountNo>,
    balances_loaded: Set<AccountNo>,
    completeness: Completeness,
}

impl Book {
    fn new(no: BookNo, completeness: Completeness) -> Self {
        let standing = completeness != Completeness::Loaded;
        let everything = completeness == Completeness::Everything;
        Self {
            no,
            root: None,
            head: Head::default(),
            clients: Table::new(standing),
            client_list: Vec::new(),
            customers: Table::new(standing),
            customer_list: Vec::new(),
            numbers: Table::new(standing),
            api_keys: Table::new(standing),
            api_key_list: Vec::new(),
            slots: Slots::new(standing),
            primaries: Table::new(standing),
            assets: Table::new(standing),
            assets_by_no: Map::default(),
            rates: Map::default(),
            rate_list: Vec::new(),
            keys: Table::new(everything),
            transactions: Table::new(everything),
            holds: Table::new(everything),
            holds_by_account: Map::default(),
            expiring: BTreeSet::new(),
            due_loaded: Set::default(),
            balances_loaded: Set::default(),
            completeness,
        }
    }

    /// What this book's rows are complete in.
    #[must_use]
    pub const fn completeness(&self) -> Completeness {
        self.completeness
    }

    /// The account with this id.
    ///
    /// # Errors
    /// [`NotLoaded`] when that is not known.
    pub fn slot(&self, id: AccountId) -> Result<Option<&Slot>, NotLoaded> {
        self.slots.find(id)
    }

    /// The balance of an account that is here; a zero one when it has not touched the asset.
    ///
    /// # Errors
    /// [`NotLoaded`] when that is not known.
    pub fn balance(&self, no: AccountNo, asset: AssetNo) -> Result<Balance, NotLoaded> {
        match self.slots.get(no) {
            Some(slot) => self.balance_in(slot, asset),
            None => self.untouched(no),
        }
    }

    /// The same by the account's slot.
    pub(crate) fn balance_in(&self, slot: &Slot, asset: AssetNo) -> Result<Balance, NotLoaded> {
        match slot.balances.get(asset) {
            Some(balance) => Ok(balance),
            None => self.untouched(slot.account.no),
        }
    }

    /// The balance of an account in an asset in which it has none here.
    fn untouched(&self, no: AccountNo) -> Result<Balance, NotLoaded> {
        if self.completeness != Completeness::Loaded || self.balances_loaded.contains(&no) {
            Ok(Balance::default())
        } else {
            Err(NotLoaded)
        }
    }

    /// Every balance of an account that is here.
    ///
    /// # Errors
    /// [`NotLoaded`] when they are not known to be complete.
    pub fn balances(&self, no: AccountNo) -> Result<&Balances, NotLoaded> {
        if self.completeness == Completeness::Loaded && !self.balances_loaded.contains(&no) {
            return Err(NotLoaded);
        }
        self.slots.get(no).map(|slot| &slot.balances).ok_or(NotLoaded)
    }

    /// The holds that reserve money of `no` and were due at `now`, the earliest first.
    ///
    /// # Errors
    /// [`NotLoaded`] when that is not known.
    pub fn due_holds(&self, no: AccountNo, now: Micros) -> Result<Vec<TransactionId>, NotLoaded> {
        if self.completeness == Completeness::Loaded && !self.due_loaded.contains(&no) {
            return Err(NotLoaded);
        }
        let Some(holds) = self.holds_by_account.get(&no) else {
            return Ok(Vec::new());
        };
        let reserves = |id: &TransactionId| {
            self.holds
                .peek(id)
                .is_some_and(|hold| hold.postings.iter().any(|held| held.from.no == no))
        };
        Ok(holds
            .iter()
            .take_while(|(due, _)| *due <= now)
            .map(|(_, id)| *id)
            .filter(reserves)
            .collect())
    }

    /// Puts an account.
    pub fn put_account(&mut self, account: Arc<Account>) {
        match self.slots.get_mut(account.no) {
            Some(slot) => {
                debug_assert_eq!(slot.account.id, account.id, "a number is of one account for ever");
                slot.account = account;
            }
            None => self.slots.insert(Slot {
                account,
                balances: Balances::default(),
            }),
        }
    }

    /// Puts an asset.
    pub fn put_asset(&mut self, asset: Asset) {
        let asset = Arc::new(asset);
        self.assets.put(asset.name, Some(Arc::clone(&asset)));
        self.assets_by_no.insert(asset.no, asset);
    }

    /// Puts a hold, and keeps the indexes of the open ones.
    pub fn put_hold(&mut self, hold: Hold) {
        let due = (hold.due(), hold.id);
        let accounts = hold.postings.iter().flat_map(|held| [held.from.no, held.to.no]);
        if hold.status == HoldStatus::Held {
            for no in accounts {
                self.holds_by_account.entry(no).or_default().insert(due);
            }
            if hold.expires_at.is_some() {
                self.expiring.insert(due);
            }
            self.holds.put(hold.id, Some(Arc::new(hold)));
            return;
        }
        for no in accounts {
            if let Some(holds) = self.holds_by_account.get_mut(&no) {
                holds.remove(&due);
                if holds.is_empty() {
                    self.holds_by_account.remove(&no);
                }
            }
        }
        self.expiring.remove(&due);
        if self.completeness == Completeness::Standing {
            self.holds.forget(&hold.id);
        } else {
            self.holds.put(hold.id, Some(Arc::new(hold)));
        }
    }

    /// Says that every balance of the account was put.
    pub fn mark_balances_loaded(&mut self, no: AccountNo) {
        if self.completeness == Completeness::Loaded {
            self.balances_loaded.insert(no);
        }
    }

    /// Says that every open hold of the account that expires was put.
    pub fn mark_due_loaded(&mut self, no: AccountNo) {
        self.due_loaded.insert(no);
    }

    /// Forgets a row that is loaded on demand: a key, a transaction, a hold.
    pub fn forget(&mut self, row: RowKey) {
        match row {
            RowKey::Key(client, key) => self.keys.forget(&(client, key)),
            RowKey::Transaction(id) => self.transactions.forget(&id),
            RowKey::Hold(id) => self.holds.forget(&id),
            _ => {}
        }
    }

    /// Forgets all that was loaded but accounts, balances and assets: what is worth keeping from one batch to the next.
    pub fn forget_passing(&mut self) {
        let mut kept = Self::new(self.no, self.completeness);
        kept.root = self.root;
        kept.head = self.head;
        kept.assets = std::mem::replace(&mut self.assets, Table::new(false));
        kept.assets_by_no = std::mem::take(&mut self.assets_by_no);
        std::mem::swap(&mut kept.slots, &mut self.slots);
        kept.balances_loaded = std::mem::take(&mut self.balances_loaded);
        *self = kept;
    }

    /// Puts a rate in its place in the history.
    pub fn put_rate(&mut self, row: RateRow) {
        let row = Arc::new(row);
        self.rate_list.push(Arc::clone(&row));
        let history = self.rates.entry((row.rate.base, row.rate.quote)).or_default();
        let order = |row: &RateRow| (row.rate.as_of, row.position);
        let at = history.partition_point(|other| order(other) <= order(&row));
        history.insert(at, row);
    }
}

/// The rows of all books, or of those that were loaded.
#[derive(Clone, Debug)]
pub struct State {
    books: Map<BookNo, Book>,
    completeness: Completeness,
}

impl State {
    /// An empty state.
    #[must_use]
    pub fn new(completeness: Completeness) -> Self {
        Self {
            books: Map::default(),
            completeness,
        }
    }

    /// A book, if it is here.
    #[must_use]
    pub fn book(&self, no: BookNo) -> Option<&Book> {
        self.books.get(&no)
    }

    /// A book, made empty when it is not here.
    pub fn book_mut(&mut self, no: BookNo) -> &mut Book {
        let completeness = self.completeness;
        self.books.entry(no).or_insert_with(|| {
            let mut book = Book::new(no, completeness);
            if no == BookNo::OPERATOR {
                // The store's first command sets RLUSD's places; until then the usual ones stand.
                built_in(6).into_iter().for_each(|asset| book.put_asset(asset));
            }
            book
        })
    }

    /// All books that are here, in no order.
    pub fn books(&self) -> impl Iterator<Item = &Book> {
        self.books.values()
    }

    /// The position of book 0.
    #[must_use]
    pub fn base(&self) -> Position {
        self.book(BookNo::OPERATOR)
            .map_or(Position(0), |book| book.head.position)
    }

    /// An asset by name, as `book` sees it: its own first, then the shared ones.
    ///
    /// # Errors
    /// [`NotLoaded`] when that is not known.
    pub fn asset(&self, book: BookNo, name: &AssetName) -> Result<Option<&Arc<Asset>>, NotLoaded> {
        for no in [book, BookNo::OPERATOR] {
            match self.book(no) {
                Some(book) => {
                    if let Some(asset) = book.assets.get(name)? {
                        return Ok(Some(asset));
                    }
                }
                None if self.completeness == Completeness::Loaded => return Err(NotLoaded),
                None => {}
            }
        }
        Ok(None)
    }

    /// An asset by number, as `book` sees it, if it is here.
    #[must_use]
    pub fn asset_by_no(&self, book: BookNo, no: AssetNo) -> Option<&Arc<Asset>> {
        let home = if no.is_shared() { BookNo::OPERATOR } else { book };
        self.book(home).and_then(|book| book.assets_by_no.get(&no))
    }
}
