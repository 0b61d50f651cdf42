//! Clients, customers, accounts, keys, assets and rates.

use super::{OrNeed, Scene, Stop};
use crate::account::{Account, AccountStatus, Purpose};
use crate::asset::{AssetName, AssetNo, STABLECOINS};
use crate::balance::Credit;
use crate::command::{
    AccountChange, ClientChange, CreditChange, CustomerChange, KeyRotation, LimitChange, NewAccount,
    NewApiKey, NewClient, NewCustomer, Patch,
};
use crate::id::{AccountNo, ApiKeyId, BookNo, ClientId, CustomerId, Owner, Position};
use crate::record::{Code, Done, Rejection};
use crate::register::{ApiKey, Client, Customer, Rate};
use crate::state::RowKey;
use crate::text::Text;

/// The largest rate has 36 digits, 18 of them behind the point.
const RATE_DIGITS_END: u128 = 10u128.pow(36);
const RATE_SCALE_MAX: u8 = 18;

/// In microseconds.
const SECOND: i64 = 1_000_000;

fn see_client<'a>(scene: &Scene<'a>, id: ClientId) -> Result<&'a Client, Stop> {
    let client = scene.book.clients.get(&id).or_need(RowKey::Client(id))?;
    client
        .filter(|client| scene.sees(client.id))
        .map(|client| &**client)
        .ok_or(Code::ClientNotFound.into())
}

/// Ids of parties are the server's own and new; one that is not would take another's place.
fn refuse_taken<T>(known: Option<T>) -> Result<(), Stop> {
    known.map_or(Ok(()), |_| Err(Code::IdTaken.into()))
}

/// A store is made once: RLUSD's places never change.
pub(super) fn initialise(scene: &Scene<'_>) -> Result<Done, Stop> {
    if scene.book.no == BookNo::OPERATOR && scene.book.head.position == Position(0) {
        Ok(Done::Changed)
    } else {
        Err(Code::AssetExists.into())
    }
}

pub(super) fn create_client(scene: &Scene<'_>, new: &NewClient) -> Result<Done, Stop> {
    let Some(parent) = new.parent else {
        // Books are made in book 0 alone; any other has its root.
        if scene.book.no != BookNo::OPERATOR {
            return Err(Code::ParentNotRoot.into());
        }
        return Ok(Done::Book(BookNo(scene.book.head.books + 1)));
    };
    let known = scene.book.clients.get(&new.id);
    refuse_taken(known.or_need(RowKey::Client(new.id))?)?;
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
    let known = scene.book.api_keys.get(&new.id);
    refuse_taken(known.or_need(RowKey::ApiKey(new.id))?)?;
    if let Some(client) = new.client {
        see_client(scene, client)?;
    }
    Ok(Done::Changed)
}

fn see_api_key<'a>(scene: &Scene<'a>, id: ApiKeyId) -> Result<&'a ApiKey, Stop> {
    let key = scene.book.api_keys.get(&id).or_need(RowKey::ApiKey(id))?;
    key.filter(|key| key.client.is_none_or(|client| scene.sees(client)))
        .map(|key| &**key)
        .ok_or(Code::KeyNotFound.into())
}

pub(super) fn revoke_api_key(scene: &Scene<'_>, id: ApiKeyId) -> Result<Done, Stop> {
    see_api_key(scene, id).map(|_| Done::Changed)
}

/// A key that has ended is not there to be rotated: what was taken away would come back as another key.
pub(super) fn rotate_api_key(scene: &Scene<'_>, rotation: &KeyRotation) -> Result<Done, Stop> {
    let known = scene.book.api_keys.get(&rotation.id);
    refuse_taken(known.or_need(RowKey::ApiKey(rotation.id))?)?;
    let old = see_api_key(scene, rotation.old)?;
    if !old.is_live(scene.now) {
        return Err(Code::KeyNotFound.into());
    }
    let end = scene.now.plus(i64::from(rotation.overlap) * SECOND);
    Ok(Done::Rotated {
        client: old.client,
        scopes: old.scopes,
        // Never later than it would have ended anyway.
        old_ends_at: old.expires_at.map_or(end, |before| before.min(end)),
    })
}

pub(super) fn create_customer(scene: &Scene<'_>, new: &NewCustomer) -> Result<Done, Stop> {
    let known = scene.book.customers.get(&new.id);
    refuse_taken(known.or_need(RowKey::Customer(new.id))?)?;
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

pub(super) fn see_customer<'a>(scene: &Scene<'a>, id: CustomerId) -> Result<&'a Customer, Stop> {
    match scene.book.customers.get(&id).or_need(RowKey::Customer(id))? {
        Some(customer) if scene.sees(customer.client) => Ok(customer),
        _ => Err(Code::CustomerNotFound.into()),
    }
}

/// Nothing is written about who was erased; `text` says whether something would be.
fn check_erased(customer: &Customer, text: bool) -> Result<(), Stop> {
    match customer.erased_at {
        Some(_) if text => Err(Code::CustomerErased.into()),
        _ => Ok(()),
    }
}

/// Whether a change puts a text, rather than keep or clear one.
const fn puts<T>(patch: &Patch<T>) -> bool {
    matches!(patch, Some(Some(_)))
}

pub(super) fn update_customer(scene: &Scene<'_>, change: &CustomerChange) -> Result<Done, Stop> {
    let text = change.legal_name.is_some() || puts(&change.external_id) || puts(&change.metadata);
    check_erased(see_customer(scene, change.id)?, text)?;
    Ok(Done::Changed)
}

pub(super) fn set_dunning(scene: &Scene<'_>, id: CustomerId, label: Option<&Text>) -> Result<Done, Stop> {
    check_erased(see_customer(scene, id)?, label.is_some())?;
    Ok(Done::Changed)
}

pub(super) fn create_account(scene: &Scene<'_>, new: &NewAccount) -> Result<Done, Stop> {
    refuse_taken(scene.book.slot(new.id).or_need(RowKey::Account(new.id))?)?;
    let client = match new.owner {
        Owner::Client(id) => see_client(scene, id)?.id,
        Owner::Customer(id) => see_customer(scene, id)?.client,
    };
    if new.currency.is_none() && new.purpose == Purpose::Card {
        return Err(Code::CurrencyRequired.into());
    }
    if let Owner::Customer(id) = new.owner {
        let text = !new.label.is_empty() || !new.notes.is_empty();
        check_erased(see_customer(scene, id)?, text)?;
    }
    let assets = new
        .currency
        .iter()
        .chain(new.limits.iter().map(|limit| &limit.asset));
    check_assets(scene, assets)?;
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
        asset_no(scene, name)?;
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
    if change.status == Some(AccountStatus::Closed) && !is_empty(scene, account)? {
        return Err(at(Code::AccountNotEmpty));
    }
    if sets_text_of_erased(scene, account, change)? {
        return Err(at(Code::CustomerErased));
    }
    check_assets(scene, change.limits.iter().map(|limit| &limit.asset))?;
    for limit in &change.limits {
        let asset = asset_no(scene, &limit.asset)?;
        if account.currency.is_some_and(|currency| currency != asset) {
            return Err(at(Code::CurrencyMismatch));
        }
    }
    let opens = change
        .status
        .is_some_and(|status| status != AccountStatus::Closed);
    if account.status == AccountStatus::Closed && opens {
        return Err(at(Code::AccountClosed));
    }
    for limit in &change.limits {
        if !leaves_exact(scene, account, limit)? {
            return Err(at(Code::Overflow));
        }
    }
    if change.primary {
        // The row of the account that loses its place changes too.
        let place = (account.owner, account.purpose);
        let primary = scene.book.primaries.get(&place);
        primary.or_need(RowKey::Primary(account.owner, account.purpose))?;
    }
    Ok(Done::Changed)
}

/// Whether an account gets a text that nobody may have any more: its texts are its owner's.
fn sets_text_of_erased(scene: &Scene<'_>, account: &Account, change: &AccountChange) -> Result<bool, Stop> {
    let label = change.label.as_ref().is_some_and(|label| !label.is_empty());
    match account.owner {
        Owner::Customer(id) if label || puts(&change.external_id) || puts(&change.metadata) => {
            Ok(see_customer(scene, id)?.erased_at.is_some())
        }
        _ => Ok(false),
    }
}

fn is_empty(scene: &Scene<'_>, account: &Account) -> Result<bool, Stop> {
    let balances = scene.book.balances(account.no);
    let balances = balances.or_need(RowKey::Balances(account.no))?;
    Ok(balances.iter().all(|(_, balance)| {
        let counters = &balance.counters;
        counters.settled() == 0 && counters.reserved() == 0 && counters.incoming() == 0
    }))
}

fn asset_no(scene: &Scene<'_>, name: &AssetName) -> Result<AssetNo, Stop> {
    let asset = scene
        .state
        .asset(scene.book.no, name)
        .or_need(RowKey::Asset(*name))?;
    Ok(asset.ok_or(Code::AssetNotFound)?.no)
}

/// Whether spendable is an `i128` under the new limit.
fn leaves_exact(scene: &Scene<'_>, account: &Account, limit: &LimitChange) -> Result<bool, Stop> {
    let Some(CreditChange::Limit(amount)) = limit.credit else {
        return Ok(true);
    };
    let asset = asset_no(scene, &limit.asset)?;
    let balance = scene.book.balance(account.no, asset);
    let balance = balance.or_need(RowKey::Balance(account.no, asset))?;
    Ok(Credit::Limit(amount).is_exact(&balance.counters))
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
