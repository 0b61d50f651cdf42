//! Random changes of the register.

use ledger::{
    AccountChange, AccountId, AccountStatus, Action, Amount, ApiKeyId, AssetKind, AssetName, ClientChange,
    ClientId, CreditChange, CustomerChange, CustomerId, Decimal, KeyRotation, LimitChange, Micros,
    NewAccount, NewApiKey, NewClient, NewCustomer, Notes, Owner, Patch, Purpose, Rate, Scopes, Text,
};

use super::random::Random;
use super::stream::{KnownAccount, KnownBook, Stream};

/// The assets that a stream deals in most.
pub(super) const ASSETS: [&str; 6] = ["USD", "EUR", "JPY", "USDC@ethereum", "RLUSD@xrpl", "BHD"];

pub(super) fn asset(text: &str) -> AssetName {
    AssetName::parse(text).expect("the suite spells assets right")
}

fn patch<T>(random: &mut Random, text: Option<T>) -> Patch<T> {
    random.percent(40).then_some(text)
}

impl Stream {
    fn notes(&mut self) -> Notes {
        Notes {
            external_id: self.findable(40),
            metadata: self.text(10),
        }
    }

    fn name(&mut self) -> Text {
        self.text(100).unwrap_or_default()
    }

    fn new_client(&mut self, parent: Option<ClientId>) -> NewClient {
        NewClient {
            id: ClientId(self.id()),
            parent,
            legal_name: self.name(),
            time_zone: self.random.pick(&["UTC", "Europe/Berlin"]).into(),
            notes: self.notes(),
        }
    }

    pub(super) fn create_root(&mut self) {
        let new = self.new_client(None);
        let no = ledger::BookNo(self.books.len() as u32);
        self.books.push(KnownBook {
            no,
            clients: vec![new.id],
            ..KnownBook::default()
        });
        // A root client comes to be once: whoever asks again asks under the same key.
        self.send(0, None, None, Action::CreateClient(new));
    }

    pub(super) fn create_subsidiary(&mut self, book: usize) {
        let first = self.books[book].clients.len() == 1;
        let (parent, actor) = match first {
            true => (self.books[book].clients[0], Some(self.books[book].clients[0])),
            false => (self.client(book), self.actor(book)),
        };
        let new = self.new_client(Some(parent));
        self.books[book].clients.push(new.id);
        let id = Some(new.id.0);
        self.send(book, actor, id, Action::CreateClient(new));
    }

    pub(super) fn update_client(&mut self, book: usize) {
        let (external_id, metadata) = (self.findable(50), self.text(50));
        let change = ClientChange {
            id: self.client(book),
            legal_name: self.text(50),
            time_zone: self.random.percent(50).then(|| "Asia/Tokyo".into()),
            external_id: patch(&mut self.random, external_id),
            metadata: patch(&mut self.random, metadata),
        };
        let actor = self.actor(book);
        self.send(book, actor, None, Action::UpdateClient(change));
    }

    pub(super) fn create_api_key(&mut self, book: usize, client: Option<ClientId>) {
        let mut secret_hash = [0; 32];
        secret_hash[..16].copy_from_slice(&self.random.wide().to_le_bytes());
        let end = self.now.plus(self.random.below(90_000_000_000) as i64);
        let new = NewApiKey {
            id: ApiKeyId(self.id()),
            client,
            label: self.name(),
            scopes: Scopes(self.random.below(128) as u16),
            secret_hash,
            expires_at: self.random.percent(50).then_some(end),
        };
        self.books[book].api_keys.push(new.id);
        let actor = if book == 0 { None } else { self.actor(book) };
        self.send(book, actor, Some(new.id.0), Action::CreateApiKey(new));
    }

    /// A key that was asked for, or seldom one that was not.
    fn api_key(&mut self, book: usize) -> ApiKeyId {
        let known = self.books[book].api_keys.clone();
        match known.is_empty() || self.random.percent(10) {
            true => ApiKeyId(self.id()),
            false => self.random.pick(&known),
        }
    }

    pub(super) fn rotate_api_key(&mut self, book: usize) {
        let mut secret_hash = [0; 32];
        secret_hash[..16].copy_from_slice(&self.random.wide().to_le_bytes());
        let end = self.now.plus(self.random.below(90_000_000_000) as i64);
        let rotation = KeyRotation {
            old: self.api_key(book),
            id: ApiKeyId(self.id()),
            label: self.name(),
            secret_hash,
            overlap: self.random.pick(&[0, 0, 1, 60, 86_400, u32::MAX]),
            expires_at: self.random.percent(50).then_some(end),
        };
        self.books[book].api_keys.push(rotation.id);
        let actor = if book == 0 { None } else { self.actor(book) };
        let id = Some(rotation.id.0);
        self.send(book, actor, id, Action::RotateApiKey(rotation));
    }

    pub(super) fn revoke_api_key(&mut self, book: usize) {
        let id = self.api_key(book);
        let actor = if book == 0 { None } else { self.actor(book) };
        self.send(book, actor, None, Action::RevokeApiKey { id });
    }

    pub(super) fn create_customer(&mut self, book: usize, client: ClientId) {
        let number = match self.random.below(100) {
            0..70 => None,
            70..98 => Some(1 + self.random.below(12) as i64),
            98 => Some(i64::MAX),
            _ => Some(1_000_000),
        };
        let new = NewCustomer {
            id: CustomerId(self.id()),
            client,
            legal_name: self.name(),
            number,
            notes: self.notes(),
        };
        self.books[book].customers.push((new.id, client));
        let actor = self.actor(book);
        self.send(book, actor, Some(new.id.0), Action::CreateCustomer(new));
    }

    fn customer(&mut self, book: usize) -> CustomerId {
        let home = if self.random.percent(4) { 3 - book } else { book };
        let (id, _) = self.random.pick(&self.books[home].customers);
        id
    }

    pub(super) fn update_customer(&mut self, book: usize) {
        let (external_id, metadata) = (self.findable(50), self.text(50));
        let change = CustomerChange {
            id: self.customer(book),
            legal_name: self.text(50),
            external_id: patch(&mut self.random, external_id),
            metadata: patch(&mut self.random, metadata),
        };
        let actor = self.actor(book);
        self.send(book, actor, None, Action::UpdateCustomer(change));
    }

    pub(super) fn erase_customer(&mut self, book: usize) {
        let id = self.customer(book);
        let actor = self.actor(book);
        self.send(book, actor, None, Action::EraseCustomer { id });
    }

    pub(super) fn set_dunning(&mut self, book: usize) {
        let action = Action::SetDunning {
            customer: self.customer(book),
            label: self.text(70),
            in_debt_collection: self.random.percent(50),
        };
        let actor = self.actor(book);
        self.send(book, actor, None, action);
    }

    fn limit(&mut self, asset: AssetName) -> LimitChange {
        let credit = [0, 500, 10_000, 1 << 100, Amount::MAX.get()];
        let most = [0, 1_000, 1_000_000, 1 << 126];
        let amount = |random: &mut Random, of: &[u128]| Amount::new(random.pick(of)).unwrap_or_default();
        LimitChange {
            asset,
            credit: match self.random.below(10) {
                0..3 => None,
                3..9 => Some(CreditChange::Limit(amount(&mut self.random, &credit))),
                _ => Some(CreditChange::Unlimited),
            },
            max_balance: match self.random.percent(30) {
                true => Some(amount(&mut self.random, &most)),
                false => None,
            },
        }
    }

    /// Limits in the account's currency, if it has one; seldom in another.
    fn limits(&mut self, book: usize, currency: Option<AssetName>, share: u64) -> Vec<LimitChange> {
        let mut limits = Vec::new();
        while limits.len() < 3 && self.random.percent(share) {
            let any = self.asset(book);
            let asset = currency.filter(|_| self.random.percent(95)).unwrap_or(any);
            limits.push(self.limit(asset));
        }
        limits
    }

    /// Opens an account as it should be, by its root.
    pub(super) fn open(&mut self, book: usize, owner: Owner, purpose: Purpose) -> AccountId {
        let root = self.books[book].clients[0];
        let currency = (purpose == Purpose::Card).then(|| asset("USD"));
        self.new_account(book, Some(root), owner, purpose, currency, Vec::new())
    }

    pub(super) fn create_account(&mut self, book: usize) {
        let owner = match self.random.percent(40) {
            true => Owner::Client(self.client(book)),
            false => Owner::Customer(self.customer(book)),
        };
        let purpose = self.random.pick(&Purpose::ALL);
        let bound = self
            .random
            .percent(if purpose == Purpose::Card { 90 } else { 15 });
        let currency = bound.then(|| self.asset(book));
        let limits = self.limits(book, currency, 30);
        let actor = self.actor(book);
        self.new_account(book, actor, owner, purpose, currency, limits);
    }

    /// Opens an account, and says which.
    pub(super) fn new_account(
        &mut self,
        book: usize,
        actor: Option<ClientId>,
        owner: Owner,
        purpose: Purpose,
        currency: Option<AssetName>,
        limits: Vec<LimitChange>,
    ) -> AccountId {
        let new = NewAccount {
            id: AccountId(self.id()),
            owner,
            purpose,
            label: self.name(),
            currency,
            primary: self.random.percent(20),
            limits,
            notes: self.notes(),
        };
        self.books[book].accounts.push(KnownAccount {
            id: new.id,
            purpose,
            currency,
        });
        let id = new.id;
        self.send(book, actor, Some(id.0), Action::CreateAccount(new));
        id
    }

    pub(super) fn update_account(&mut self, book: usize) {
        // The accounts that all began with stay as they are, or soon nothing would move.
        let known = &self.books[book].accounts;
        let some = if known.len() > 8 { &known[4..] } else { &known[..] };
        let account = self.random.pick(some);
        let status = match self.random.below(10) {
            0..5 => None,
            5..8 => Some(AccountStatus::Active),
            8 => Some(AccountStatus::Frozen),
            _ => Some(AccountStatus::Closed),
        };
        let (external_id, metadata) = (self.findable(50), self.text(50));
        let change = AccountChange {
            id: account.id,
            label: self.text(30),
            status,
            limits: self.limits(book, account.currency, 50),
            primary: self.random.percent(15),
            external_id: patch(&mut self.random, external_id),
            metadata: patch(&mut self.random, metadata),
        };
        let actor = self.actor(book);
        self.send(book, actor, None, Action::UpdateAccount(change));
    }

    /// An asset: one of the usual ones, one that was registered, or seldom one that is not.
    pub(super) fn asset(&mut self, book: usize) -> AssetName {
        let registered = [&self.books[0].assets[..], &self.books[book].assets[..]].concat();
        match self.random.below(100) {
            0..60 => asset("USD"),
            60..90 => asset(self.random.pick(&ASSETS)),
            90..98 if !registered.is_empty() => self.random.pick(&registered),
            98 => asset("NONE"),
            _ => asset("EUR"),
        }
    }

    pub(super) fn register_asset(&mut self, book: usize) {
        let texts = ["POINTS", "MILES", "GOLD", "USDC@near", "POINTS@a-1", "EUR"];
        let name = asset(self.random.pick(&texts));
        self.books[book].assets.push(name);
        let action = Action::RegisterAsset {
            name,
            exponent: self.random.below(31) as u8,
            kind: self
                .random
                .pick(&[AssetKind::Fiat, AssetKind::Stablecoin, AssetKind::Custom]),
        };
        let actor = if book == 0 { None } else { self.actor(book) };
        self.send(book, actor, None, action);
    }

    pub(super) fn create_rates(&mut self, book: usize) {
        let codes = ["USD", "EUR", "JPY", "USDC", "POINTS", "RLUSD@xrpl"];
        let digits = [1, 10_832, 5, 7, 123_456_789, 10u128.pow(36) - 1];
        let mut rates = Vec::new();
        for _ in 0..=self.random.below(3) {
            let bad = self.random.percent(3);
            let ago = self.random.below(3_000_000) as i64;
            rates.push(Rate {
                base: asset(self.random.pick(&codes)),
                quote: asset(self.random.pick(&codes)),
                rate: Decimal {
                    digits: if bad { 0 } else { self.random.pick(&digits) },
                    scale: self.random.below(19) as u8,
                },
                as_of: Micros(self.now.0 - ago * 1_000_000),
                source: self.random.pick(&["", "ECB", "köln-7"]).into(),
            });
        }
        rates.retain(|rate| rate.base != rate.quote || ago_is_even(rate));
        if self.random.percent(10)
            && let Some(rate) = rates.first().cloned()
        {
            rates.push(rate);
        }
        let actor = if book == 0 { None } else { self.actor(book) };
        self.send(book, actor, None, Action::PutRates(rates));
    }
}

/// A coin that needs no more chance, so that some rates of an asset in itself are left in.
fn ago_is_even(rate: &Rate) -> bool {
    rate.rate.digits.is_multiple_of(7)
}
