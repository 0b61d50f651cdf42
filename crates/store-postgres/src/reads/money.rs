//! Accounts with their balances, now or as of then, and what a customer's are worth.

use std::collections::HashMap;
use std::sync::Arc;

use ledger::{
    Account, AccountId, AccountNo, AssetName, AssetNo, Balance, CustomerId, Micros, Purpose, rate_pairs,
};
use store::{
    AccountBalances, AccountFilter, AsOf, AssetBalance, ClientAccounts, CustomerAccounts, CustomerRef,
    CustomerValuation, Holding, Listed, Page, Purposes, Stamped, Viewer,
};
use tokio::try_join;
use tokio_postgres::Row;

use super::lists::{Query, behind, customer_query, list, one_more, owner_id};
use super::{Read, Reader, Seen, shared};
use crate::rows::{self, balance_columns, get_balance};
use crate::session::ask;

/// Balances by their accounts.
pub(super) type Balances = HashMap<AccountNo, Vec<(AssetNo, Balance)>>;

/// Balances by their accounts, in the order of asset numbers.
fn by_account(found: &[Row]) -> Read<Balances> {
    let mut all = Balances::new();
    for row in found {
        let (no, asset, balance) = get_balance(row)?;
        all.entry(no).or_default().push((asset, balance));
    }
    all.values_mut()
        .for_each(|balances| balances.sort_unstable_by_key(|(asset, _)| *asset));
    Ok(all)
}

impl Reader {
    pub(super) async fn account(
        &self,
        viewer: Viewer,
        id: AccountId,
        as_of: AsOf,
    ) -> Read<Option<Stamped<AccountBalances>>> {
        let book = rows::book(viewer.book);
        let id = rows::id(id.0);
        let sql = "select row from saldo.accounts where book = $1 and id = $2";
        let balances = concat!(
            "select ",
            balance_columns!(),
            " from saldo.accounts a join saldo.balances b on b.book = a.book and b.account = a.no \
             where a.book = $1 and a.id = $2"
        );
        let (seen, account, balances) = try_join!(
            self.seen(viewer),
            ask!(self.tx, sql, book, id),
            ask!(self.tx, balances, book, id)
        )?;
        let account = account
            .first()
            .map(|row| shared::<Account>(row.get(0)))
            .transpose()?;
        let Some(account) = account.filter(|account| seen.sees(account.client)) else {
            return Ok(None);
        };
        let value = self
            .balances(&seen, vec![account], by_account(&balances)?, as_of)
            .await?
            .pop();
        Ok(value.map(|value| seen.stamped(value)))
    }

    /// Accounts with their balances as of then, given those of now.
    async fn balances(
        &self,
        seen: &Seen,
        accounts: Vec<Arc<Account>>,
        mut now: Balances,
        as_of: AsOf,
    ) -> Read<Vec<AccountBalances>> {
        if !as_of.is_now() {
            return self.balances_then(seen, accounts, &now, as_of).await;
        }
        let mut all = Vec::with_capacity(accounts.len());
        for account in accounts {
            let mut balances = Vec::new();
            for (asset, balance) in now.remove(&account.no).unwrap_or_default() {
                balances.push(AssetBalance {
                    asset: self.tx.facts().asset(&self.tx, seen.viewer.book, asset).await?,
                    counters: balance.counters,
                    credit: account.credit(asset),
                    last: balance.last,
                    last_at: balance.last_at,
                });
            }
            all.push(self.with_balances(seen, account, balances).await?);
        }
        Ok(all)
    }

    pub(super) async fn with_balances(
        &self,
        seen: &Seen,
        account: Arc<Account>,
        balances: Vec<AssetBalance>,
    ) -> Read<AccountBalances> {
        let currency = match account.currency {
            Some(asset) => Some(self.tx.facts().asset(&self.tx, seen.viewer.book, asset).await?),
            None => None,
        };
        Ok(AccountBalances {
            account,
            currency,
            balances,
        })
    }

    pub(super) async fn accounts(
        &self,
        viewer: Viewer,
        filter: AccountFilter,
        page: Page,
    ) -> Read<Listed<AccountBalances>> {
        let seen = self.seen(viewer).await?;
        let found = Query::new("select no, row from saldo.accounts")
            .with(" where book = ?", seen.book())
            .with(" and no > ?", behind(page))
            .with_some(" and client = ?", seen.only().map(|client| rows::id(client.0)))
            .with_some(" and owner = ?", owner_id(filter.owner))
            .with_some(" and external_id = ?", filter.external_id.map(rows::lookup))
            .with(" order by no limit ?", one_more(page))
            .ask(self)
            .await?;
        let Listed {
            items,
            next,
            position,
        } = list(&seen, page, &found, |row| shared::<Account>(row.get(1)))?;
        let numbers: Vec<_> = items.iter().map(|account| rows::account(account.no)).collect();
        let sql = concat!(
            "select ",
            balance_columns!(),
            " from saldo.balances b where b.book = $1 and b.account = any($2)"
        );
        let balances = by_account(&self.tx.query(sql, &[&seen.book(), &numbers]).await?)?;
        Ok(Listed {
            items: self.balances(&seen, items, balances, AsOf::NOW).await?,
            next,
            position,
        })
    }

    /// A customer with its accounts as of then.
    async fn of_customer(
        &self,
        viewer: Viewer,
        customer: CustomerRef,
        purposes: Purposes,
        as_of: AsOf,
    ) -> Read<Option<(Seen, CustomerAccounts)>> {
        let ask = |select: &str, end: &str| customer_query(select, viewer, customer, end);
        let accounts =
            "select a.row from saldo.customers c join saldo.accounts a on a.book = c.book and a.owner = c.id";
        let balances = concat!(
            "select ",
            balance_columns!(),
            " from saldo.customers c join saldo.accounts a on a.book = c.book and a.owner = c.id \
             join saldo.balances b on b.book = a.book and b.account = a.no"
        );
        let (seen, customer, accounts, balances) = try_join!(
            self.seen(viewer),
            ask("select c.row from saldo.customers c", "").ask(self),
            ask(accounts, " order by a.no").ask(self),
            ask(balances, "").ask(self),
        )?;
        let customer = customer
            .first()
            .map(|row| shared::<ledger::Customer>(row.get(0)))
            .transpose()?;
        let Some(customer) = customer.filter(|customer| seen.sees(customer.client)) else {
            return Ok(None);
        };
        let accounts = accounts.iter().map(|row| shared::<Account>(row.get(0)));
        let mut accounts = accounts.collect::<Read<Vec<_>>>()?;
        accounts.retain(|account| purposes.contains(account.purpose));
        let accounts = self
            .balances(&seen, accounts, by_account(&balances)?, as_of)
            .await?;
        Ok(Some((seen, CustomerAccounts { customer, accounts })))
    }

    pub(super) async fn customer_accounts(
        &self,
        viewer: Viewer,
        customer: CustomerRef,
        purposes: Purposes,
    ) -> Read<Option<Stamped<CustomerAccounts>>> {
        let found = self.of_customer(viewer, customer, purposes, AsOf::NOW).await?;
        Ok(found.map(|(seen, value)| seen.stamped(value)))
    }

    pub(super) async fn client_accounts(&self, viewer: Viewer) -> Read<Stamped<ClientAccounts>> {
        macro_rules! from_clients {
            ($select:expr, $join:literal, $end:literal) => {
                concat!(
                    "select ",
                    $select,
                    // All of the book, or the one that asks: each by its own index.
                    " from saldo.heads h cross join lateral ( \
                       select * from saldo.clients where book = $1 and ($2::uuid is null or h.root = $2) \
                       union all select * from saldo.clients where book = $1 and id = $2 and h.root <> $2 \
                     ) c join saldo.accounts a on a.book = $1 and a.owner = c.id and a.is_primary and a.purpose = $3 ",
                    $join,
                    " where h.book = $1",
                    $end
                )
            };
        }
        let clients = from_clients!("c.row, a.row", "", " order by c.no");
        let balances = from_clients!(
            balance_columns!(),
            "join saldo.balances b on b.book = $1 and b.account = a.no",
            ""
        );
        let book = rows::book(viewer.book);
        let client = viewer.client.map(|client| rows::id(client.0));
        let main = Purpose::Main as i16;
        let (seen, found, balances) = try_join!(
            self.seen(viewer),
            ask!(self.tx, clients, book, client, main),
            ask!(self.tx, balances, book, client, main),
        )?;
        let clients = found
            .iter()
            .map(|row| shared(row.get(0)))
            .collect::<Read<Vec<_>>>()?;
        let accounts = found
            .iter()
            .map(|row| shared(row.get(1)))
            .collect::<Read<Vec<_>>>()?;
        let accounts = self
            .balances(&seen, accounts, by_account(&balances)?, AsOf::NOW)
            .await?;
        Ok(seen.stamped(ClientAccounts {
            rows: clients.into_iter().zip(accounts).collect(),
        }))
    }

    pub(super) async fn valuation(
        &self,
        viewer: Viewer,
        customer: CustomerId,
        purposes: Purposes,
        currency: AssetName,
        as_of: AsOf,
        now: Micros,
    ) -> Read<Option<Stamped<CustomerValuation>>> {
        let found = self
            .of_customer(viewer, CustomerRef::Id(customer), purposes, as_of)
            .await?;
        let Some((seen, CustomerAccounts { customer, accounts })) = found else {
            return Ok(None);
        };
        let holdings = add_up(&accounts);
        let at = as_of.effective_at.or(as_of.recorded_at).unwrap_or(now);
        let known_by = as_of.recorded_at.unwrap_or(Micros::MAX);
        let names = holdings.iter().flatten().map(|holding| holding.asset.name);
        let pairs: Vec<_> = names.flat_map(|name| rate_pairs(&name, &currency)).collect();
        let assets = self.assets(viewer).await?;
        let value = CustomerValuation {
            customer,
            holdings,
            currency: assets.into_iter().find(|asset| asset.name == currency),
            rates: self.newest_rates(&seen, &pairs, at, known_by).await?,
        };
        Ok(Some(seen.stamped(value)))
    }
}

/// What balances come to in each asset; `None` when a sum is no `i128`.
fn add_up(accounts: &[AccountBalances]) -> Option<Vec<Holding>> {
    let mut all: Vec<&AssetBalance> = accounts.iter().flat_map(|account| &account.balances).collect();
    all.sort_by_key(|balance| balance.asset.no);
    let sums = all
        .chunk_by(|one, other| one.asset.no == other.asset.no)
        .map(|of_one| {
            Some(Holding {
                asset: Arc::clone(&of_one[0].asset),
                settled: exact_sum(of_one.iter().map(|balance| balance.counters.settled()))?,
            })
        });
    sums.collect()
}

/// The sum, if it is an `i128`, whatever the sums on the way are: the halves of the numbers are added on their own.
fn exact_sum(numbers: impl Iterator<Item = i128> + Clone) -> Option<i128> {
    let low: i128 = numbers.clone().map(|number| number & i128::from(u64::MAX)).sum();
    let high: i128 = numbers.map(|number| number >> 64).sum();
    let high = i64::try_from(high + (low >> 64)).ok()?;
    Some((i128::from(high) << 64) | (low & i128::from(u64::MAX)))
}
