//! Clients, customers, keys, assets: by id, and in lists in order of creation.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ledger::{Account, AccountId, ApiKey, Asset, BookNo, Client, ClientId, Customer, Lookup, Owner, Purpose};
use store::{Cursor, CustomerRef, Listed, Page, Stamped, Viewer};
use tokio::try_join;
use tokio_postgres::Row;

use super::{Read, Reader, Seen, shared};
use crate::rows::{self, get_number, unpack};
use crate::session::{Param, ask};

/// A statement that is put together from the conditions that apply, so that each finds its index.
pub(super) struct Query {
    sql: String,
    params: Vec<Box<dyn Param>>,
}

impl Query {
    pub(super) fn new(sql: &str) -> Self {
        Self {
            sql: sql.to_owned(),
            params: Vec::new(),
        }
    }

    /// Adds a text with one parameter at its `?`.
    pub(super) fn with(mut self, text: &str, param: impl Param + 'static) -> Self {
        self.params.push(Box::new(param));
        self.sql += &text.replace('?', &format!("${}", self.params.len()));
        self
    }

    /// Adds a text with a parameter, if there is one.
    pub(super) fn with_some(self, text: &str, param: Option<impl Param + 'static>) -> Self {
        match param {
            Some(param) => self.with(text, param),
            None => self,
        }
    }

    /// Adds a text.
    pub(super) fn then(mut self, text: &str) -> Self {
        self.sql += text;
        self
    }

    pub(super) async fn ask(self, reader: &Reader) -> Read<Vec<Row>> {
        let params: Vec<&dyn Param> = self.params.iter().map(|param| &**param).collect();
        reader.tx.query(&self.sql, &params).await
    }
}

/// One more than fits the page: it says whether there is more.
pub(super) fn one_more(page: Page) -> i64 {
    i64::try_from(page.limit).unwrap_or(i64::MAX).saturating_add(1)
}

/// The part of a list that a page asks for, of rows that begin with their number.
pub(super) fn list<T>(
    seen: &Seen,
    page: Page,
    found: &[Row],
    item: impl Fn(&Row) -> Read<T>,
) -> Read<Listed<T>> {
    let shown = &found[..found.len().min(page.limit)];
    let next = shown
        .last()
        .filter(|_| found.len() > page.limit)
        .map(|row| Cursor {
            position: u64::from(get_number(row, 0)),
            index: 0,
        });
    Ok(Listed {
        items: shown.iter().map(item).collect::<Read<_>>()?,
        next,
        position: seen.position,
    })
}

/// The number behind which a page begins.
pub(super) fn behind(page: Page) -> i32 {
    page.after
        .map_or(-1, |cursor| i32::try_from(cursor.position).unwrap_or(i32::MAX))
}

impl Reader {
    pub(super) async fn api_keys(&self, viewer: Viewer, page: Page) -> Read<Listed<Arc<ApiKey>>> {
        let seen = self.seen(viewer).await?;
        let found = Query::new("select no, row from saldo.api_keys")
            .with(" where book = ?", seen.book())
            .with(" and no > ?", behind(page))
            .with_some(
                " and (client is null or client = ?)",
                seen.only().map(|client| rows::id(client.0)),
            )
            .with(" order by no limit ?", one_more(page))
            .ask(self)
            .await?;
        list(&seen, page, &found, |row| shared(row.get(1)))
    }

    pub(super) async fn client(&self, viewer: Viewer, id: ClientId) -> Read<Option<Stamped<Arc<Client>>>> {
        let of_book = "select row from saldo.clients where book = $1 and id = $2";
        let roots = "select row from saldo.clients where $1 = 0 and id = $2 and no = 0";
        let is_operator = viewer.book == BookNo::OPERATOR;
        let sql = if is_operator { roots } else { of_book };
        let no = rows::book(viewer.book);
        let uuid = rows::id(id.0);
        let (seen, found) = try_join!(self.seen(viewer), ask!(self.tx, sql, no, uuid))?;
        let row = found.first().filter(|_| is_operator || seen.sees(id));
        let client = row.map(|row| shared(row.get(0))).transpose()?;
        Ok(client.map(|client| seen.stamped(client)))
    }

    pub(super) async fn clients(
        &self,
        viewer: Viewer,
        external_id: Option<Lookup>,
        page: Page,
    ) -> Read<Listed<Arc<Client>>> {
        let seen = self.seen(viewer).await?;
        let query = if viewer.book == BookNo::OPERATOR {
            // All root clients, in the order of their books.
            Query::new("select h.book, c.row from saldo.heads h join saldo.clients c on c.book = h.book and c.no = 0")
                .with(" where h.book > ?", behind(page))
                .with_some(" and c.external_id = ?", external_id.map(rows::lookup))
                .with(" order by h.book limit ?", one_more(page))
        } else {
            Query::new("select no, row from saldo.clients")
                .with(" where book = ?", seen.book())
                .with(" and no > ?", behind(page))
                .with_some(" and id = ?", seen.only().map(|client| rows::id(client.0)))
                .with_some(" and external_id = ?", external_id.map(rows::lookup))
                .with(" order by no limit ?", one_more(page))
        };
        let found = query.ask(self).await?;
        list(&seen, page, &found, |row| shared(row.get(1)))
    }

    pub(super) async fn customer(
        &self,
        viewer: Viewer,
        customer: CustomerRef,
    ) -> Read<Option<Stamped<Arc<Customer>>>> {
        let query = customer_query("select c.row from saldo.customers c", viewer, customer, "");
        let (seen, found) = try_join!(self.seen(viewer), query.ask(self))?;
        let customer = found
            .first()
            .map(|row| shared::<Customer>(row.get(0)))
            .transpose()?;
        Ok(customer
            .filter(|customer| seen.sees(customer.client))
            .map(|customer| seen.stamped(customer)))
    }

    pub(super) async fn customers(
        &self,
        viewer: Viewer,
        external_id: Option<Lookup>,
        page: Page,
    ) -> Read<Listed<Arc<Customer>>> {
        let seen = self.seen(viewer).await?;
        let found = Query::new("select no, row from saldo.customers")
            .with(" where book = ?", seen.book())
            .with(" and no > ?", behind(page))
            .with_some(" and client = ?", seen.only().map(|client| rows::id(client.0)))
            .with_some(" and external_id = ?", external_id.map(rows::lookup))
            .with(" order by no limit ?", one_more(page))
            .ask(self)
            .await?;
        list(&seen, page, &found, |row| shared(row.get(1)))
    }

    pub(super) async fn account_owners(
        &self,
        book: BookNo,
        accounts: &[AccountId],
    ) -> Read<Vec<Option<(Owner, Purpose)>>> {
        let no = rows::book(book);
        let ids: Vec<_> = accounts.iter().map(|id| rows::id(id.0)).collect();
        let sql = "select row from saldo.accounts where book = $1 and id = any($2)";
        let viewer = Viewer { book, client: None };
        let (_, found) = try_join!(self.seen(viewer), ask!(self.tx, sql, no, ids))?;
        let mut owners = HashMap::new();
        for row in &found {
            let account: Account = unpack(row.get(0))?;
            owners.insert(account.id, (account.owner, account.purpose));
        }
        Ok(accounts.iter().map(|id| owners.get(id).copied()).collect())
    }

    /// The assets of the viewer's book, and those of the operator's that have no namesake there.
    pub(super) async fn assets(&self, viewer: Viewer) -> Read<Vec<Arc<Asset>>> {
        let sql = "select book, row from saldo.assets where book = any($1)";
        let books = vec![rows::book(BookNo::OPERATOR), rows::book(viewer.book)];
        let (_, found) = try_join!(self.seen(viewer), ask!(self.tx, sql, books))?;
        let mut by_name: BTreeMap<_, _> = ledger::built_in(6)
            .into_iter()
            .map(|asset| (asset.name, Arc::new(asset)))
            .collect();
        let (own, shared): (Vec<&Row>, Vec<&Row>) = found.iter().partition(|row| {
            row.get::<_, i32>(0) == rows::book(viewer.book) && viewer.book != BookNo::OPERATOR
        });
        for row in shared.into_iter().chain(own) {
            let asset: Asset = unpack(row.get(1))?;
            by_name.insert(asset.name, Arc::new(asset));
        }
        Ok(by_name.into_values().collect())
    }
}

/// A statement about a customer `c`, by its id or number.
pub(super) fn customer_query(select: &str, viewer: Viewer, customer: CustomerRef, end: &str) -> Query {
    let query = Query::new(select).with(" where c.book = ?", rows::book(viewer.book));
    let query = match customer {
        CustomerRef::Id(id) => query.with(" and c.id = ?", rows::id(id.0)),
        CustomerRef::Number(number) => query.with(" and c.number = ?", number),
    };
    query.then(end)
}

/// What narrows a list of accounts to an owner. Clients and customers don't share ids.
pub(super) fn owner_id(owner: Option<Owner>) -> Option<uuid::Uuid> {
    owner.map(rows::owner)
}
