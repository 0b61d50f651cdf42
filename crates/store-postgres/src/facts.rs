//! What never changes once it is recorded, kept in the process: ids of accounts by their numbers, assets, and the
//! operator's assets as of a position.
//!
//! What is recorded never changes on one database server. One that takes over from it may lack what that one recorded last, and
//! goes on otherwise; so with every new connection they are gathered anew.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use ledger::{
    Account, AccountId, AccountNo, Asset, AssetName, AssetNo, BookNo, ClientId, Map, Names, Position, Record,
    decode,
};
use parking_lot::RwLock;

use crate::error::{Failure, corrupt};
use crate::rows::{book, get_number, get_position, unpack};
use crate::session::Transaction;

/// So many accounts are kept; then it is begun anew.
const ACCOUNTS: usize = 1 << 20;

#[derive(Clone, Copy)]
struct Known {
    id: AccountId,
    client: ClientId,
}

/// Book 0's assets at a position.
#[derive(Clone)]
pub(crate) struct Operator {
    pub(crate) position: Position,
    pub(crate) assets: Arc<Vec<Asset>>,
}

/// The facts.
#[derive(Default)]
pub(crate) struct Facts {
    accounts: RwLock<Map<(BookNo, AccountNo), Known>>,
    assets: RwLock<Map<(BookNo, AssetNo), Arc<Asset>>>,
    operator: RwLock<Option<Operator>>,
}

/// Where an asset's number is given out.
fn home(book: BookNo, no: AssetNo) -> BookNo {
    if no.is_shared() { BookNo::OPERATOR } else { book }
}

impl Facts {
    pub(crate) fn keep_accounts(&self, book: BookNo, all: &[Account]) {
        if all.is_empty() {
            return;
        }
        let mut accounts = self.accounts.write();
        if accounts.len() >= ACCOUNTS {
            accounts.clear();
        }
        for account in all {
            let known = Known {
                id: account.id,
                client: account.client,
            };
            accounts.insert((book, account.no), known);
        }
    }

    /// The clients that accounts belong to.
    pub(crate) async fn clients_of(
        &self,
        tx: &Transaction,
        book: BookNo,
        accounts: &BTreeSet<AccountNo>,
    ) -> Result<HashMap<AccountNo, ClientId>, Failure> {
        let known = || -> HashMap<_, _> {
            let kept = self.accounts.read();
            let client = |no: &AccountNo| kept.get(&(book, *no)).map(|known| (*no, known.client));
            accounts.iter().filter_map(client).collect()
        };
        let found = known();
        if found.len() == accounts.len() {
            return Ok(found);
        }
        let missing = accounts
            .iter()
            .filter(|no| !found.contains_key(no))
            .map(|no| (book, *no));
        self.load_accounts(tx, &missing.collect::<Vec<_>>()).await?;
        Ok(known())
    }

    /// An asset by its number, as the book sees it.
    pub(crate) async fn asset(
        &self,
        tx: &Transaction,
        no: BookNo,
        asset: AssetNo,
    ) -> Result<Arc<Asset>, Failure> {
        let kept = || self.assets.read().get(&(home(no, asset), asset)).map(Arc::clone);
        if let Some(asset) = kept() {
            return Ok(asset);
        }
        self.load_assets(tx, no).await?;
        let built_in = || {
            ledger::built_in(6)
                .into_iter()
                .find(|other| other.no == asset)
                .map(Arc::new)
        };
        kept()
            .or_else(built_in)
            .ok_or_else(|| corrupt(format!("book {no} has no asset {}", asset.0)))
    }

    async fn load_assets(&self, tx: &Transaction, no: BookNo) -> Result<(), Failure> {
        let sql = "select book, row from saldo.assets where book = any($1)";
        let rows = tx.query(sql, &[&vec![0, book(no)]]).await?;
        let mut assets = self.assets.write();
        for row in rows {
            let asset: Asset = unpack(row.get(1))?;
            assets.insert((BookNo(get_number(&row, 0)), asset.no), Arc::new(asset));
        }
        Ok(())
    }

    /// The operator's assets at `position` or later.
    pub(crate) async fn operator(&self, tx: &Transaction, position: Position) -> Result<Operator, Failure> {
        let kept = self
            .operator
            .read()
            .clone()
            .filter(|kept| kept.position >= position);
        if let Some(kept) = kept {
            return Ok(kept);
        }
        // One statement, so that position and assets are of one moment.
        let sql = "select h.position, a.row from saldo.heads h left join saldo.assets a on a.book = h.book \
                   where h.book = 0";
        let rows = tx.query(sql, &[]).await?;
        let position = rows.first().map_or(Position(0), |row| get_position(row, 0));
        let assets = rows
            .iter()
            .filter_map(|row| row.get::<_, Option<&[u8]>>(1))
            .map(unpack);
        let operator = Operator {
            position,
            assets: Arc::new(assets.collect::<Result<_, _>>()?),
        };
        let mut kept = self.operator.write();
        if kept.as_ref().is_none_or(|kept| kept.position < position) {
            *kept = Some(operator.clone());
        }
        Ok(operator)
    }

    async fn load_accounts(&self, tx: &Transaction, wanted: &[(BookNo, AccountNo)]) -> Result<(), Failure> {
        let Some((no, _)) = wanted.first() else {
            return Ok(());
        };
        let numbers: Vec<_> = wanted
            .iter()
            .map(|(_, account)| account.0.cast_signed())
            .collect();
        let sql = "select row from saldo.accounts where book = $1 and no = any($2)";
        let found = tx.query(sql, &[&book(*no), &numbers]).await?;
        let accounts: Vec<Account> = found
            .iter()
            .map(|row| unpack(row.get(0)))
            .collect::<Result<_, _>>()?;
        self.keep_accounts(*no, &accounts);
        Ok(())
    }

    /// Records of one book from their bytes.
    pub(crate) async fn decode<'a>(
        &self,
        tx: &Transaction,
        bytes: impl Iterator<Item = &'a [u8]> + Clone + Send,
    ) -> Result<Vec<Arc<Record>>, Failure> {
        let (records, missing) = self.try_decode(bytes.clone())?;
        if missing.is_empty() {
            return Ok(records);
        }
        self.load_accounts(tx, &missing.accounts).await?;
        for (no, asset) in missing.assets {
            self.asset(tx, no, asset).await?;
        }
        let (records, missing) = self.try_decode(bytes)?;
        match missing.is_empty() {
            true => Ok(records),
            false => Err(corrupt(
                "a record names an account or asset that its book does not have",
            )),
        }
    }

    fn try_decode<'a>(
        &self,
        bytes: impl Iterator<Item = &'a [u8]>,
    ) -> Result<(Vec<Arc<Record>>, Missing), Failure> {
        let names = Asking {
            facts: self,
            accounts: RefCell::default(),
            assets: RefCell::default(),
        };
        let records = bytes.map(|bytes| decode(bytes, &names).map(Arc::new).map_err(corrupt));
        let records = records.collect::<Result<_, _>>()?;
        let missing = Missing {
            accounts: names.accounts.into_inner().into_iter().collect(),
            assets: names.assets.into_inner().into_iter().collect(),
        };
        Ok((records, missing))
    }
}

struct Missing {
    accounts: Vec<(BookNo, AccountNo)>,
    assets: Vec<(BookNo, AssetNo)>,
}

impl Missing {
    fn is_empty(&self) -> bool {
        self.accounts.is_empty() && self.assets.is_empty()
    }
}

/// Names what is known, and notes what is not: a record that was read with something missing is read again.
struct Asking<'a> {
    facts: &'a Facts,
    accounts: RefCell<BTreeSet<(BookNo, AccountNo)>>,
    assets: RefCell<BTreeSet<(BookNo, AssetNo)>>,
}

impl Names for Asking<'_> {
    fn account(&self, book: BookNo, no: AccountNo) -> Option<AccountId> {
        let known = self.facts.accounts.read().get(&(book, no)).map(|known| known.id);
        if known.is_none() {
            self.accounts.borrow_mut().insert((book, no));
        }
        Some(known.unwrap_or_default())
    }

    fn asset(&self, book: BookNo, no: AssetNo) -> Option<AssetName> {
        let known = self
            .facts
            .assets
            .read()
            .get(&(home(book, no), no))
            .map(|asset| asset.name);
        if known.is_none() {
            self.assets.borrow_mut().insert((book, no));
        }
        known.or_else(|| AssetName::new("MISSING", None))
    }
}
