//! Random commands about a small world: two root clients with their books, what belongs to them, and all that can be done with it.
//!
//! The stream remembers what it asked for, never what a store answered, so every store can be fed the same one.

use ledger::{
    AccountId, Action, ApiKeyId, AssetName, BookNo, ClientId, Command, CustomerId, Findable, Fingerprint,
    Key, Lookup, Micros, Owner, Posting, Purpose, Text, TransactionId,
};

use super::random::Random;

/// When the first command of a stream is stamped, in microseconds: September 2020, behind every store's clock.
const START: i64 = 1_600_000_000_000_000;

const SECOND: i64 = 1_000_000;

/// What the texts of a stream are found by.
pub(super) const LOOKUPS: [Lookup; 3] = [Lookup([0; 16]), Lookup([1; 16]), Lookup([0xff; 16])];

/// What no text of a stream is found by.
pub(super) const NOBODYS: Lookup = Lookup([2; 16]);

/// The commands of a seed, in the batches that they are to be submitted in, each about one book.
#[must_use]
pub fn stream(seed: u64, commands: usize) -> Vec<Vec<Command>> {
    let mut stream = Stream::new(seed);
    stream.found();
    while stream.commands.len() < commands {
        stream.go_on();
    }
    stream.commands.truncate(commands);
    batches(&mut stream.random, stream.commands)
}

fn batches(random: &mut Random, commands: Vec<Command>) -> Vec<Vec<Command>> {
    let mut batches: Vec<Vec<Command>> = Vec::new();
    let mut room = 0;
    for command in commands {
        match batches.last_mut() {
            Some(batch) if room > 0 && batch[0].book == command.book => batch.push(command),
            _ => {
                room = random.pick(&[1, 1, 2, 3, 5, 20]);
                batches.push(vec![command]);
            }
        }
        room -= 1;
    }
    batches
}

/// An account as it was asked for.
#[derive(Clone, Copy)]
pub(super) struct KnownAccount {
    pub(super) id: AccountId,
    pub(super) purpose: Purpose,
    pub(super) currency: Option<AssetName>,
}

/// A transaction as it was asked for.
#[derive(Clone)]
pub(super) struct KnownTransaction {
    pub(super) id: TransactionId,
    pub(super) amounts: Vec<u128>,
}

/// A book as it was asked for.
#[derive(Default)]
pub(super) struct KnownBook {
    pub(super) no: BookNo,
    pub(super) clients: Vec<ClientId>,
    pub(super) customers: Vec<(CustomerId, ClientId)>,
    pub(super) accounts: Vec<KnownAccount>,
    pub(super) posted: Vec<KnownTransaction>,
    pub(super) holds: Vec<KnownTransaction>,
    pub(super) api_keys: Vec<ApiKeyId>,
    pub(super) assets: Vec<AssetName>,
    /// The last posting, to pass on what it brought.
    pub(super) last: Option<Posting>,
}

/// A stream on its way.
pub(super) struct Stream {
    pub(super) random: Random,
    pub(super) now: Micros,
    pub(super) books: Vec<KnownBook>,
    /// When holds end.
    pub(super) ends: Vec<Micros>,
    commands: Vec<Command>,
}

impl Stream {
    fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            now: Micros(START),
            books: vec![KnownBook::default()],
            ends: Vec::new(),
            commands: Vec::new(),
        }
    }

    /// A new id: any but the nil one.
    pub(super) fn id(&mut self) -> u128 {
        self.random.wide() >> 1 | 1
    }

    /// A sealed text, or none: to a store these are any bytes, or no bytes at all.
    pub(super) fn text(&mut self, share: u64) -> Option<Text> {
        self.random.percent(share).then(|| Text::new(self.bytes()))
    }

    /// The same, found by one of the [`LOOKUPS`].
    pub(super) fn findable(&mut self, share: u64) -> Option<Findable> {
        let lookup = self.random.pick(&LOOKUPS);
        self.random
            .percent(share)
            .then(|| Findable::new(lookup, &self.bytes()))
    }

    fn bytes(&mut self) -> Vec<u8> {
        let length = self.random.pick(&[0, 1, 16, 41, 200]);
        (0..length).map(|_| self.random.bits() as u8).collect()
    }

    /// A command under a key of the id of what it makes, or of a name.
    pub(super) fn send(&mut self, book: usize, client: Option<ClientId>, id: Option<u128>, action: Action) {
        let key = match id {
            Some(id) if self.random.percent(60) => Key::Id(id.into()),
            _ => Key::named(&format!("key {}", self.commands.len())),
        };
        let mut fingerprint = [0; 16];
        fingerprint.copy_from_slice(&self.random.wide().to_le_bytes());
        self.commands.push(Command {
            book: BookNo(book as u32),
            client,
            key,
            fingerprint: Fingerprint(fingerprint),
            stamp: self.now,
            action,
        });
    }

    pub(super) fn send_as_it_is(&mut self, command: Command) {
        self.commands.push(command);
    }

    /// What every world begins with.
    fn found(&mut self) {
        let rlusd_exponent = self.random.pick(&[0, 6, 18]);
        self.send(0, None, None, Action::Initialise { rlusd_exponent });
        self.create_api_key(0, None);
        self.create_root();
        self.create_root();
        for book in [1, 2] {
            self.create_rates(book - 1);
            self.create_subsidiary(book);
            let root = self.books[book].clients[0];
            let subsidiary = self.books[book].clients[1];
            for client in [root, root, subsidiary] {
                self.create_customer(book, client);
            }
            for client in [root, subsidiary] {
                self.open(book, Owner::Client(client), Purpose::External);
                self.open(book, Owner::Client(client), Purpose::Main);
            }
            let (customer, _) = self.books[book].customers[0];
            for purpose in [Purpose::Main, Purpose::Receivable, Purpose::Credit, Purpose::Card] {
                self.open(book, Owner::Customer(customer), purpose);
            }
            self.create_api_key(book, Some(subsidiary));
        }
    }

    /// The next command or two.
    fn go_on(&mut self) {
        self.pass_time();
        let book = match self.random.below(100) {
            0..4 => 0,
            4..80 => 1,
            _ => 2,
        };
        if book == 0 {
            return self.operate();
        }
        match self.random.weighted(&[34, 12, 10, 4, 8, 6, 3, 16, 4, 3, 1]) {
            0 => self.post(book),
            1 => self.hold(book),
            2 => self.capture(book),
            3 => self.release(book),
            4 => self.reverse(book),
            5 => self.post_batch(book),
            6 => self.expire(book),
            7 => self.register(book),
            8 => self.repeat(),
            9 => self.clash(),
            _ => self.pinch(book),
        }
    }

    fn pass_time(&mut self) {
        if !self.ends.is_empty() && self.random.percent(3) {
            // To the very moment at which a hold ends.
            self.now = self.random.pick(&self.ends).max(self.now);
            return;
        }
        let step = match self.random.below(100) {
            0..50 => self.random.below(1_000) as i64,
            50..90 => self.random.below(20) as i64 * SECOND,
            90..94 => 3_600 * SECOND,
            94..96 => 86_400 * SECOND,
            // Another server's clock is behind.
            _ => -(self.random.below(60) as i64) * SECOND,
        };
        self.now = self.now.plus(step);
    }

    /// What operators do.
    fn operate(&mut self) {
        match self.random.below(8) {
            0 => self.create_root(),
            1 => self.create_api_key(0, None),
            2 => self.revoke_api_key(0),
            7 => self.rotate_api_key(0),
            3 | 4 => self.register_asset(0),
            _ => self.create_rates(0),
        }
    }

    fn register(&mut self, book: usize) {
        match self.random.weighted(&[1, 1, 2, 2, 2, 7, 8, 1, 1, 2, 3, 1, 2]) {
            0 => self.create_subsidiary(book),
            1 => self.update_client(book),
            2 => {
                let client = self.client(book);
                self.create_customer(book, client);
            }
            3 => self.update_customer(book),
            4 => self.set_dunning(book),
            5 => self.create_account(book),
            6 => self.update_account(book),
            7 => {
                let client = self.client(book);
                self.create_api_key(book, Some(client));
            }
            8 => self.revoke_api_key(book),
            9 => self.register_asset(book),
            10 => self.erase_customer(book),
            11 => self.create_rates(book),
            _ => self.rotate_api_key(book),
        }
    }

    /// A command from before, or the first one of this book, comes again: later, and with other new ids where a name is its key.
    fn repeat(&mut self) {
        let mut again = self.random.pick(&self.commands);
        again.stamp = self.now;
        if matches!(again.key, Key::Named(_)) {
            let id = self.id();
            match &mut again.action {
                Action::CreateCustomer(new) => new.id = CustomerId(id),
                Action::CreateAccount(new) => new.id = AccountId(id),
                Action::RotateApiKey(rotation) => rotation.id = ApiKeyId(id),
                Action::Post(transaction) => transaction.id = TransactionId(id),
                Action::Capture(capture) => capture.id = TransactionId(id),
                _ => {}
            }
        }
        self.commands.push(again);
    }

    /// A used key with another request, by chance in another's key space, or a used id under another key.
    fn clash(&mut self) {
        let mut other = self.random.pick(&self.commands);
        other.stamp = self.now;
        other.fingerprint = Fingerprint([9; 16]);
        let is_money = other.transaction_ids().next().is_some();
        let is_expiry = matches!(other.action, Action::Expire { .. });
        let makes_a_book = matches!(&other.action, Action::CreateClient(new) if new.parent.is_none());
        if !is_expiry && !makes_a_book && self.random.percent(60) {
            other.key = Key::named(&format!("clash {}", self.commands.len()));
        } else if is_money && !is_expiry && self.random.percent(30) {
            other.client = Some(self.client(other.book.0 as usize));
        }
        self.commands.push(other);
    }

    /// A client of the book, mostly its root.
    pub(super) fn client(&mut self, book: usize) -> ClientId {
        let clients = &self.books[book].clients;
        if self.random.percent(60) {
            clients[0]
        } else {
            self.random.pick(clients)
        }
    }

    /// Who acts in a book: mostly its root, else a subsidiary or the operator, seldom a stranger.
    pub(super) fn actor(&mut self, book: usize) -> Option<ClientId> {
        match self.random.below(100) {
            0..78 => Some(self.books[book].clients[0]),
            78..88 => Some(self.client(book)),
            88..98 => None,
            _ => Some(self.books[3 - book].clients[0]),
        }
    }
}
