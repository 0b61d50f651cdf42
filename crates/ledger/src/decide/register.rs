//! Clients, customers, accounts, keys, assets and rates.

use super::{OrNeed, Scene, Stop};
use crate::asset::{AssetName, STABLECOINS};
use crate::balance::Credit;
use crate::command::{
    AccountChange, ClientChange, CreditChange, LimitChange, NewAccount, NewApiKey, NewClient, NewCustomer,
};
use crate::id::{AccountNo, ApiKeyId, BookNo, ClientId, CustomerId, Owner};
use crate::record::{Code, Done, Rejection};
use crate::register::{Account, AccountStatus, Client, Purpose, Rate};
use crate::state::RowKey;

/// The largest rate has 36 digits, 18 of them behind the point.
const RATE_DIGITS_END: u128 = 10u128.pow(36);
const RATE_SCALE_MAX: u8 = 18;

fn see_client<'a>(scene: &Scene<'a>, id: ClientId) -> Result<&'a Client, Stop> {
    let client = scene.book.clients.get(&id).or_need(RowKey::Client(id))?;
    client
        .filter(|client| scene.sees(client.id))
        .map(|client| &**client)
        .ok_or(Code::ClientNotFound.into())
}

pub(super) fn create_client(scene: &Scene<'_>, new: &NewClient) -> Result<Done, Stop> {
    let Some(parent) = new.parent else {
        return Ok(Done::Book(BookNo(scene.book.head.books + 1)));
    };
    let parent = see_client(scene, parent)?;
    if parent.parent.is_some() {
        return Err(Code::ParentNotRoot.into());
    }
    Ok(Done::Changed)
}

pub(super) fn update_client(scene: &Scene<'_>, change: &ClientChange) -> Result<Done, Stop> {
    see_client(scene, change.id).map(|_| Done::Changed)
}

pub(super) fn create_api_key(scene: &Scene<'_>, new: &NewApiKey) -> Result<Done, Stop> {
    if let Some(client) = new.client {
        see_client(scene, client)?;
    }
    Ok(Done::Changed)
}

pub(super) fn revoke_api_key(scene: &Scene<'_>, id: ApiKeyId) -> Result<Done, Stop> {
    let key = scene.book.api_keys.get(&id).or_need(RowKey::ApiKey(id))?;
    match key {
        Some(key) if key.client.is_none_or(|client| scene.sees(client)) => Ok(Done::Changed),
        _ => Err(Code::KeyNotFound.into()),
    }
}

pub(super) fn create_customer(scene: &Scene<'_>, new: &NewCustomer) -> Result<Done, Stop> {
    see_client(scene, new.client)?;
    let number = match new.number {
        Some(number) => number,
        // After the highest number of all there is no next one.
        None => scene
            .book
            .head
            .highest_number
            .checked_add(1)
            .ok_or(Code::NumberTaken)?,
    };
    if scene
        .book
        .numbers
        .get(&number)
        .or_need(RowKey::Number(number))?
        .is_some()
    {
        return Err(Code::NumberTaken.into());
    }
    Ok(Done::Customer(number))
}

pub(super) fn see_customer(scene: &Scene<'_>, id: CustomerId) -> Result<Done, Stop> {
    client_of(scene, id).map(|_| Done::Changed)
}

fn client_of(scene: &Scene<'_>, id: CustomerId) -> Result<ClientId, Stop> {
    match scene.book.customers.get(&id).or_need(RowKey::Customer(id))? {
        Some(customer) if scene.sees(customer.client) => Ok(customer.client),
        _ => Err(Code::CustomerNotFound.into()),
    }
}

pub(super) fn create_account(scene: &Scene<'_>, new: &NewAccount) -> Result<Done, Stop> {
    let client = match new.owner {
        Owner::Client(id) => see_client(scene, id)?.id,
        Owner::Customer(id) => client_of(scene, id)?,
    };
    let assets = new
        .currency
        .iter()
        .chain(new.limits.iter().map(|limit| &limit.asset));
    check_assets(scene, assets)?;
    if new.currency.is_none() && new.purpose == Purpose::Card {
        return Err(Code::CurrencyRequired.into());
    }
    if new
        .currency
        .is_some_and(|currency| new.limits.iter().any(|limit| limit.asset != currency))
    {
        return Err(Code::CurrencyMismatch.into());
    }
    let primary = scene.book.primaries.get(&(new.owner, new.purpose));
    let first = primary
        .or_need(RowKey::Primary(new.owner, new.purpose))?
        .is_none();
    let no = AccountNo(scene.book.head.accounts);
    Ok(Done::Account {
        no,
        primary: first || new.primary,
        client,
    })
}

fn check_assets<'a>(scene: &Scene<'_>, names: impl Iterator<Item = &'a AssetName>) -> Result<(), Stop> {
    for name in names {
        let asset = scene
            .state
            .asset(scene.book.no, name)
            .or_need(RowKey::Asset(*name))?;
        asset.ok_or(Code::AssetNotFound)?;
    }
    Ok(())
}

pub(super) fn update_account(scene: &Scene<'_>, change: &AccountChange) -> Result<Done, Stop> {
    let at = |code: Code| {
        Stop::Reject(Rejection {
            account: Some(change.id),
            ..code.into()
        })
    };
    let slot = scene.book.slot(change.id).or_need(RowKey::Account(change.id))?;
    let account = match slot {
        Some(slot) if scene.sees_account(&slot.account) => &slot.account,
        _ => return Err(at(Code::AccountNotFound)),
    };
    check_assets(scene, change.limits.iter().map(|limit| &limit.asset))?;
    for limit in &change.limits {
        check_limit(scene, account, limit).map_err(|stop| match stop {
            Stop::Reject(rejection) => at(rejection.code),
            other => other,
        })?;
    }
    match (account.status, change.status) {
        (AccountStatus::Closed, Some(AccountStatus::Active | AccountStatus::Frozen)) => {
            Err(at(Code::AccountClosed))
        }
        (_, Some(AccountStatus::Closed)) => {
            let balances = scene
                .book
                .balances(account.no)
                .or_need(RowKey::Balances(account.no))?;
            let empty = balances.iter().all(|(_, balance)| {
                let counters = &balance.counters;
                counters.settled() == 0 && counters.reserved() == 0 && counters.incoming() == 0
            });
            if empty {
                Ok(Done::Changed)
            } else {
                Err(at(Code::AccountNotEmpty))
            }
        }
        _ => {
            if change.primary {
                // The row of the account that loses its place changes too.
                let key = RowKey::Primary(account.owner, account.purpose);
                scene
                    .book
                    .primaries
                    .get(&(account.owner, account.purpose))
                    .or_need(key)?;
            }
            Ok(Done::Changed)
        }
    }
}

/// A limit must fit the account's currency, and leave spendable an `i128`.
fn check_limit(scene: &Scene<'_>, account: &Account, limit: &LimitChange) -> Result<(), Stop> {
    let asset = scene
        .state
        .asset(scene.book.no, &limit.asset)
        .or_need(RowKey::Asset(limit.asset))?;
    let asset = asset.ok_or(Code::AssetNotFound)?.no;
    if account.currency.is_some_and(|currency| currency != asset) {
        return Err(Code::CurrencyMismatch.into());
    }
    if let Some(CreditChange::Limit(amount)) = limit.credit {
        let key = RowKey::Balance(account.no, asset);
        let balance = scene.book.balance(account.no, asset).or_need(key)?;
        if !Credit::Limit(amount).is_exact(&balance.counters) {
            return Err(Code::Overflow.into());
        }
    }
    Ok(())
}

pub(super) fn register_asset(scene: &Scene<'_>, name: &AssetName) -> Result<Done, Stop> {
    match scene
        .state
        .asset(scene.book.no, name)
        .or_need(RowKey::Asset(*name))?
    {
        Some(_) => Err(Code::AssetExists.into()),
        None => Ok(Done::Changed),
    }
}

pub(super) fn put_rates(scene: &Scene<'_>, rates: &[Rate]) -> Result<Done, Stop> {
    for (index, rate) in (0..).zip(rates) {
        let invalid = || {
            Stop::Reject(Rejection {
                posting: Some(index),
                ..Code::RateInvalid.into()
            })
        };
        let in_range = (1..RATE_DIGITS_END).contains(&rate.rate.digits) && rate.rate.scale <= RATE_SCALE_MAX;
        if !in_range || rate.base == rate.quote {
            return Err(invalid());
        }
        for name in [&rate.base, &rate.quote] {
            // A stablecoin's code alone stands for it on every network.
            let is_coin = STABLECOINS.iter().any(|(code, _, _)| *code == name.as_str());
            if !is_coin
                && scene
                    .state
                    .asset(scene.book.no, name)
                    .or_need(RowKey::Asset(*name))?
                    .is_none()
            {
                return Err(invalid());
            }
        }
    }
    Ok(Done::Changed)
}
