//! Actions as bytes: whole in a record, without what the server added in a fingerprint.

use super::wire::{DecodeError, Decoded, Reader, Writer};
use crate::account::{AccountStatus, Purpose};
use crate::asset::{AssetKind, AssetName};
use crate::command::{
    AccountChange, Action, Capture, ClientChange, CreditChange, CustomerChange, HoldTerms, KeyRotation,
    LimitChange, NewAccount, NewApiKey, NewClient, NewCustomer, Parts, Patch, Posting, Release, Reverse,
    Texts, Transaction,
};
use crate::id::{AccountId, ApiKeyId, ClientId, CustomerId, Owner, TransactionId};
use crate::register::{Decimal, Notes, Rate, Scopes};
use crate::text::{Bytes, Form, Subject};
use crate::time::Micros;

/// What an action is written for.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    /// A record. Once booked, its postings are read off the moves.
    Record { booked: bool },
    /// A fingerprint.
    Request { id_given: bool },
}

impl Shape {
    fn is_record(self) -> bool {
        matches!(self, Self::Record { .. })
    }
}

pub(super) fn put<F: Form>(w: &mut Writer<'_>, action: &Action<F>, shape: Shape) {
    match action {
        Action::Initialise { rlusd_exponent } => w.bytes(&[0, *rlusd_exponent]),
        Action::CreateClient(new) => put_client(w, new, shape),
        Action::UpdateClient(change) => {
            w.byte(2);
            w.bytes(&change.id.to_bytes());
            w.option(change.legal_name.as_ref(), Writer::text);
            w.option(change.time_zone.as_deref(), Writer::word);
            put_patch(w, &change.external_id);
            put_patch(w, &change.metadata);
        }
        Action::CreateApiKey(new) => put_api_key(w, new, shape),
        Action::RevokeApiKey { id } => {
            w.byte(4);
            w.bytes(&id.to_bytes());
        }
        Action::RotateApiKey(rotation) => put_rotation(w, rotation, shape),
        Action::CreateCustomer(new) => put_customer(w, new, shape),
        Action::UpdateCustomer(change) => {
            w.byte(6);
            w.bytes(&change.id.to_bytes());
            w.option(change.legal_name.as_ref(), Writer::text);
            put_patch(w, &change.external_id);
            put_patch(w, &change.metadata);
        }
        Action::EraseCustomer { id } => {
            w.byte(18);
            w.bytes(&id.to_bytes());
        }
        Action::SetDunning {
            customer,
            label,
            in_debt_collection,
        } => {
            w.byte(7);
            w.bytes(&customer.to_bytes());
            w.option(label.as_ref(), Writer::text);
            w.byte(u8::from(*in_debt_collection));
        }
        Action::CreateAccount(new) => put_account(w, new, shape),
        Action::UpdateAccount(change) => put_account_change(w, change),
        Action::RegisterAsset { name, exponent, kind } => {
            w.byte(10);
            w.word(name.as_str());
            w.bytes(&[*exponent, *kind as u8]);
        }
        Action::PutRates(rates) => {
            w.byte(11);
            w.list(rates, put_rate);
        }
        money => put_money(w, money, shape),
    }
}

fn put_money<F: Form>(w: &mut Writer<'_>, action: &Action<F>, shape: Shape) {
    let put_own = |w: &mut Writer<'_>, id: TransactionId| {
        if shape.is_record() {
            w.bytes(&id.to_bytes());
        }
    };
    match action {
        Action::Post(transaction) => {
            w.byte(12);
            put_transaction(w, transaction, shape);
        }
        Action::PostBatch(transactions) => {
            w.byte(13);
            // The ids within a batch are always the caller's.
            let shape = if shape.is_record() {
                shape
            } else {
                Shape::Request { id_given: true }
            };
            w.list(transactions, |w, transaction| {
                put_transaction(w, transaction, shape)
            });
        }
        Action::Capture(capture) => {
            w.byte(14);
            put_own(w, capture.id);
            w.bytes(&capture.hold.to_bytes());
            w.option(capture.parts.as_ref(), put_parts);
            let flags = [capture.last, capture.allow_over, capture.force];
            w.byte(put_flags(&flags));
        }
        Action::Release(release) => {
            w.byte(15);
            put_own(w, release.id);
            w.bytes(&release.hold.to_bytes());
            w.option(release.parts.as_ref(), put_parts);
        }
        Action::Expire { hold, id } => {
            w.byte(16);
            put_own(w, *id);
            w.bytes(&hold.to_bytes());
        }
        Action::Reverse(reverse) => {
            w.byte(17);
            put_own(w, reverse.id);
            w.bytes(&reverse.transaction.to_bytes());
            w.option(reverse.parts.as_ref(), put_parts);
            w.byte(u8::from(reverse.force));
        }
        _ => unreachable!("`put` writes the actions of the register"),
    }
}

fn put_flags(flags: &[bool]) -> u8 {
    flags
        .iter()
        .rev()
        .fold(0, |bits, flag| bits << 1 | u8::from(*flag))
}

fn put_notes<F: Form>(w: &mut Writer<'_>, notes: &Notes<F>) {
    w.option(notes.external_id.as_ref(), Writer::text);
    w.option(notes.metadata.as_ref(), Writer::text);
}

fn put_patch(w: &mut Writer<'_>, patch: &Patch<impl Bytes>) {
    w.option(patch.as_ref(), |w, value| w.option(value.as_ref(), Writer::text));
}

fn put_client<F: Form>(w: &mut Writer<'_>, new: &NewClient<F>, shape: Shape) {
    w.byte(1);
    if shape.is_record() {
        w.bytes(&new.id.to_bytes());
    }
    w.option(new.parent, |w, parent| w.bytes(&parent.to_bytes()));
    w.text(&new.legal_name);
    w.word(&new.time_zone);
    put_notes(w, &new.notes);
}

fn put_api_key<F: Form>(w: &mut Writer<'_>, new: &NewApiKey<F>, shape: Shape) {
    w.byte(3);
    if shape.is_record() {
        w.bytes(&new.id.to_bytes());
        w.bytes(&new.secret_hash);
    }
    w.option(new.client, |w, client| w.bytes(&client.to_bytes()));
    w.text(&new.label);
    w.uint(new.scopes.0);
    w.option(new.expires_at, |w, at| w.int(at.0));
}

/// The label is the old key's, so it is nothing that was asked.
fn put_rotation<F: Form>(w: &mut Writer<'_>, rotation: &KeyRotation<F>, shape: Shape) {
    w.byte(19);
    if shape.is_record() {
        w.bytes(&rotation.id.to_bytes());
        w.bytes(&rotation.secret_hash);
        w.text(&rotation.label);
    }
    w.bytes(&rotation.old.to_bytes());
    w.uint(rotation.overlap);
    w.option(rotation.expires_at, |w, at| w.int(at.0));
}

fn put_customer<F: Form>(w: &mut Writer<'_>, new: &NewCustomer<F>, shape: Shape) {
    w.byte(5);
    if shape.is_record() {
        w.bytes(&new.id.to_bytes());
    }
    w.bytes(&new.client.to_bytes());
    w.text(&new.legal_name);
    w.option(new.number, Writer::int);
    put_notes(w, &new.notes);
}

fn put_account<F: Form>(w: &mut Writer<'_>, new: &NewAccount<F>, shape: Shape) {
    w.byte(8);
    if shape.is_record() {
        w.bytes(&new.id.to_bytes());
    }
    let (tag, owner) = match new.owner {
        Owner::Client(id) => (0, id.0),
        Owner::Customer(id) => (1, id.0),
    };
    w.byte(tag);
    w.bytes(&owner.to_be_bytes());
    w.byte(new.purpose as u8);
    w.text(&new.label);
    w.option(new.currency.as_ref(), |w, name| w.word(name.as_str()));
    w.byte(u8::from(new.primary));
    w.list(&new.limits, put_limit);
    put_notes(w, &new.notes);
}

fn put_account_change<F: Form>(w: &mut Writer<'_>, change: &AccountChange<F>) {
    w.byte(9);
    w.bytes(&change.id.to_bytes());
    w.option(change.label.as_ref(), Writer::text);
    w.option(change.status, |w, status| w.byte(status as u8));
    w.list(&change.limits, put_limit);
    w.byte(u8::from(change.primary));
    put_patch(w, &change.external_id);
    put_patch(w, &change.metadata);
}

fn put_limit(w: &mut Writer<'_>, limit: &LimitChange) {
    w.word(limit.asset.as_str());
    match limit.credit {
        None => w.byte(0),
        Some(CreditChange::Limit(amount)) => {
            w.byte(1);
            w.uint(amount.get());
        }
        Some(CreditChange::Unlimited) => w.byte(2),
    }
    w.option(limit.max_balance, |w, amount| w.uint(amount.get()));
}

fn put_rate(w: &mut Writer<'_>, rate: &Rate) {
    w.word(rate.base.as_str());
    w.word(rate.quote.as_str());
    w.uint(rate.rate.digits);
    w.byte(rate.rate.scale);
    w.int(rate.as_of.0);
    w.word(&rate.source);
}

fn put_transaction<F: Form>(w: &mut Writer<'_>, transaction: &Transaction<F>, shape: Shape) {
    let (with_id, with_postings) = match shape {
        Shape::Record { booked } => (true, !booked),
        Shape::Request { id_given } => (id_given, true),
    };
    let texts = transaction.texts.as_deref();
    debug_assert!(texts.is_none_or(|texts| !texts.is_empty()), "see `Texts::new`");
    let metadata = texts.and_then(|texts| texts.notes.metadata.as_ref());
    let terms = transaction.hold;
    w.byte(put_flags(&[
        with_postings,
        transaction.reference().is_some(),
        transaction.external_id().is_some(),
        metadata.is_some(),
        transaction.effective_at.is_some(),
        terms.is_some(),
        terms.is_some_and(|terms| terms.expires_at.is_some()),
        transaction.force,
    ]));
    if with_id {
        w.bytes(&transaction.id.to_bytes());
    }
    if let Some(texts) = texts.filter(|_| shape.is_record()) {
        w.option(texts.party, |w, party| w.bytes(&party.0.to_be_bytes()));
    }
    for text in [transaction.reference(), transaction.external_id()]
        .into_iter()
        .flatten()
    {
        w.text(text);
    }
    if let Some(metadata) = metadata {
        w.text(metadata);
    }
    for at in [transaction.effective_at, terms.and_then(|terms| terms.expires_at)]
        .into_iter()
        .flatten()
    {
        w.int(at.0);
    }
    if with_postings {
        w.list(&transaction.postings, |w, posting| {
            w.bytes(&posting.from.to_bytes());
            w.bytes(&posting.to.to_bytes());
            w.word(posting.asset.as_str());
            w.uint(posting.amount.get());
        });
    }
}

fn put_parts(w: &mut Writer<'_>, parts: &Parts) {
    w.list(parts, |w, (index, amount)| {
        w.uint(*index);
        w.uint(amount.get());
    });
}

/// Reads an action. The postings of transactions that were booked are left out for the outcome to fill in.
pub(super) fn take(r: &mut Reader<'_>) -> Decoded<Action> {
    Ok(match r.byte()? {
        0 => Action::Initialise {
            rlusd_exponent: r.byte()?,
        },
        1 => Action::CreateClient(NewClient {
            id: ClientId::from_bytes(r.array()?),
            parent: r.option(|r| Ok(ClientId::from_bytes(r.array()?)))?,
            legal_name: r.text()?,
            time_zone: r.word()?,
            notes: take_notes(r)?,
        }),
        2 => Action::UpdateClient(ClientChange {
            id: ClientId::from_bytes(r.array()?),
            legal_name: r.option(Reader::text)?,
            time_zone: r.option(Reader::word)?,
            external_id: r.option(|r| r.option(Reader::findable))?,
            metadata: r.option(|r| r.option(Reader::text))?,
        }),
        3 => Action::CreateApiKey(take_api_key(r)?),
        18 => Action::EraseCustomer {
            id: CustomerId::from_bytes(r.array()?),
        },
        19 => Action::RotateApiKey(take_rotation(r)?),
        4 => Action::RevokeApiKey {
            id: ApiKeyId::from_bytes(r.array()?),
        },
        5 => Action::CreateCustomer(NewCustomer {
            id: CustomerId::from_bytes(r.array()?),
            client: ClientId::from_bytes(r.array()?),
            legal_name: r.text()?,
            number: r.option(Reader::int)?,
            notes: take_notes(r)?,
        }),
        6 => Action::UpdateCustomer(CustomerChange {
            id: CustomerId::from_bytes(r.array()?),
            legal_name: r.option(Reader::text)?,
            external_id: r.option(|r| r.option(Reader::findable))?,
            metadata: r.option(|r| r.option(Reader::text))?,
        }),
        7 => Action::SetDunning {
            customer: CustomerId::from_bytes(r.array()?),
            label: r.option(Reader::text)?,
            in_debt_collection: r.flag()?,
        },
        8 => Action::CreateAccount(take_account(r)?),
        9 => Action::UpdateAccount(AccountChange {
            id: AccountId::from_bytes(r.array()?),
            label: r.option(Reader::text)?,
            status: r.option(take_status)?,
            limits: r.list(take_limit)?,
            primary: r.flag()?,
            external_id: r.option(|r| r.option(Reader::findable))?,
            metadata: r.option(|r| r.option(Reader::text))?,
        }),
        10 => Action::RegisterAsset {
            name: take_asset(r)?,
            exponent: r.byte()?,
            kind: take_kind(r)?,
        },
        11 => Action::PutRates(r.list(take_rate)?),
        tag => take_money(r, tag)?,
    })
}

fn take_api_key(r: &mut Reader<'_>) -> Decoded<NewApiKey> {
    let (id, secret_hash) = (ApiKeyId::from_bytes(r.array()?), r.array()?);
    Ok(NewApiKey {
        id,
        secret_hash,
        client: r.option(|r| Ok(ClientId::from_bytes(r.array()?)))?,
        label: r.text()?,
        scopes: Scopes(r.uint()?),
        expires_at: r.option(|r| r.int().map(Micros))?,
    })
}

fn take_rotation(r: &mut Reader<'_>) -> Decoded<KeyRotation> {
    let (id, secret_hash) = (ApiKeyId::from_bytes(r.array()?), r.array()?);
    Ok(KeyRotation {
        id,
        secret_hash,
        label: r.text()?,
        old: ApiKeyId::from_bytes(r.array()?),
        overlap: r.uint()?,
        expires_at: r.option(|r| r.int().map(Micros))?,
    })
}

fn take_money(r: &mut Reader<'_>, tag: u8) -> Decoded<Action> {
    Ok(match tag {
        12 => Action::Post(take_transaction(r)?),
        13 => Action::PostBatch(r.list(take_transaction)?),
        14 => {
            let (id, hold) = (take_id(r)?, take_id(r)?);
            let parts = r.option(take_parts)?;
            let flags = r.byte()?;
            if flags >> 3 != 0 {
                return Err(DecodeError::Invalid("capture"));
            }
            let [last, allow_over, force] = [0, 1, 2].map(|bit| flags >> bit & 1 == 1);
            Action::Capture(Capture {
                id,
                hold,
                parts,
                last,
                allow_over,
                force,
            })
        }
        15 => Action::Release(Release {
            id: take_id(r)?,
            hold: take_id(r)?,
            parts: r.option(take_parts)?,
        }),
        16 => {
            let id = take_id(r)?;
            Action::Expire {
                hold: take_id(r)?,
                id,
            }
        }
        17 => Action::Reverse(Reverse {
            id: take_id(r)?,
            transaction: take_id(r)?,
            parts: r.option(take_parts)?,
            force: r.flag()?,
        }),
        _ => return Err(DecodeError::Invalid("action")),
    })
}

fn take_id(r: &mut Reader<'_>) -> Decoded<TransactionId> {
    r.array().map(TransactionId::from_bytes)
}

fn take_notes(r: &mut Reader<'_>) -> Decoded<Notes> {
    Ok(Notes {
        external_id: r.option(Reader::findable)?,
        metadata: r.option(Reader::text)?,
    })
}

fn take_asset(r: &mut Reader<'_>) -> Decoded<AssetName> {
    AssetName::parse(&r.word()?).ok_or(DecodeError::Invalid("asset"))
}

fn take_kind(r: &mut Reader<'_>) -> Decoded<AssetKind> {
    let kinds = [AssetKind::Fiat, AssetKind::Stablecoin, AssetKind::Custom];
    kinds
        .get(usize::from(r.byte()?))
        .copied()
        .ok_or(DecodeError::Invalid("kind of asset"))
}

fn take_status(r: &mut Reader<'_>) -> Decoded<AccountStatus> {
    AccountStatus::ALL
        .get(usize::from(r.byte()?))
        .copied()
        .ok_or(DecodeError::Invalid("status"))
}

fn take_account(r: &mut Reader<'_>) -> Decoded<NewAccount> {
    let id = AccountId::from_bytes(r.array()?);
    let (tag, owner) = (r.byte()?, u128::from_be_bytes(r.array()?));
    let owner = match tag {
        0 => Owner::Client(ClientId(owner)),
        1 => Owner::Customer(CustomerId(owner)),
        _ => return Err(DecodeError::Invalid("owner")),
    };
    let purpose = Purpose::ALL.get(usize::from(r.byte()?)).copied();
    Ok(NewAccount {
        id,
        owner,
        purpose: purpose.ok_or(DecodeError::Invalid("purpose"))?,
        label: r.text()?,
        currency: r.option(take_asset)?,
        primary: r.flag()?,
        limits: r.list(take_limit)?,
        notes: take_notes(r)?,
    })
}

fn take_limit(r: &mut Reader<'_>) -> Decoded<LimitChange> {
    Ok(LimitChange {
        asset: take_asset(r)?,
        credit: match r.byte()? {
            0 => None,
            1 => Some(CreditChange::Limit(r.amount()?)),
            2 => Some(CreditChange::Unlimited),
            _ => return Err(DecodeError::Invalid("credit")),
        },
        max_balance: r.option(Reader::amount)?,
    })
}

fn take_rate(r: &mut Reader<'_>) -> Decoded<Rate> {
    Ok(Rate {
        base: take_asset(r)?,
        quote: take_asset(r)?,
        rate: Decimal {
            digits: r.uint()?,
            scale: r.byte()?,
        },
        as_of: Micros(r.int()?),
        source: r.word()?,
    })
}

fn take_transaction(r: &mut Reader<'_>) -> Decoded<Transaction> {
    let flags = r.byte()?;
    let is = |bit: u8| flags >> bit & 1 == 1;
    if is(6) && !is(5) {
        return Err(DecodeError::Invalid("hold"));
    }
    r.postings[usize::from(!is(0))] = true;
    let id = take_id(r)?;
    let party = match is(1) || is(2) || is(3) {
        true => r.option(|r| Ok(Subject(u128::from_be_bytes(r.array()?))))?,
        false => None,
    };
    let reference = is(1).then(|| r.findable()).transpose()?;
    let external_id = is(2).then(|| r.findable()).transpose()?;
    let metadata = is(3).then(|| r.text()).transpose()?;
    let mut time = |there: bool| {
        if there {
            r.int().map(|at| Some(Micros(at)))
        } else {
            Ok(None)
        }
    };
    let (effective_at, expires_at) = (time(is(4))?, time(is(6))?);
    let postings = if is(0) {
        r.list(take_posting)?
    } else {
        crate::command::Postings::new()
    };
    let hold = is(5).then_some(HoldTerms { expires_at });
    let notes = Notes {
        external_id,
        metadata,
    };
    Ok(Transaction {
        id,
        postings,
        texts: Texts::new(party, reference, notes),
        effective_at,
        hold,
        force: is(7),
    })
}

fn take_posting(r: &mut Reader<'_>) -> Decoded<Posting> {
    Ok(Posting {
        from: AccountId::from_bytes(r.array()?),
        to: AccountId::from_bytes(r.array()?),
        asset: take_asset(r)?,
        amount: r.amount()?,
    })
}

fn take_parts(r: &mut Reader<'_>) -> Decoded<Parts> {
    r.list(|r| Ok((r.uint()?, r.amount()?)))
}
