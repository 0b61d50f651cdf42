//! The language of the tables, and [`check`], which runs one.
//!
//! A line is a command, then `=>` and what becomes of it; without `=>` it must succeed. `#` begins a comment. Names stand
//! for ids (`expiry-of:h1` for that of the expiry of `h1`). Each table begins with a client `root`, which acts unless a line begins with `@other` (`@operator` is book
//! 0's), and with its accounts `x` (external), `a` and `b` (main).
//!
//! ```text
//! client NAME [parent=CLIENT]                     customer NAME of=CLIENT [number=N]
//! account NAME PURPOSE owner=NAME [currency=USD] [primary] [limit=USD,credit=5,max=10]
//! update ACCOUNT [status=frozen] [primary] [limit=…]
//! post ID x->a USD 10, a->b USD 5 [force]         hold ID … [expires=60s] [force]
//! batch NAME post ID … | hold ID …                expire HOLD
//! capture ID HOLD [AMOUNT | 0:AMOUNT,1:AMOUNT] [final] [over] [force]
//! release ID HOLD [AMOUNT | …]                    reverse ID TRANSACTION [AMOUNT | …] [force]
//! asset NAME EXPONENT                             rate BASE QUOTE DIGITS SCALE
//! api-key NAME [of=CLIENT] [expires=60s]          revoke NAME
//! rotate NAME NEW [overlap=60s] [expires=60s]
//! rename-client NAME NEW, rename-customer NAME NEW, dunning CUSTOMER LABEL
//! ```
//! Any of them takes `key=TEXT`, an idempotency key, and `stamp=-5s`. An amount is digits, `max`, `max-N` or `2^N`.
//!
//! What is seen: `balance ACCOUNT ASSET settled=… reserved=… incoming=… available=… spendable=…` (some of them, in any
//! order), `see HOLD STATUS REMAINING+…`, `primary ACCOUNT yes|no`, `position N`, `recorded MICROS` (of the last command,
//! since the start), `key NAME live|ended [revoked] [of=CLIENT]`, `advance 61s`.

use std::collections::HashMap;

use ledger::{
    AccountChange, AccountId, AccountStatus, Action, ApiKeyId, AssetKind, BookNo, Capture, ClientChange,
    ClientId, Command, Credit, CustomerChange, CustomerId, Decimal, Done, Fingerprint, HoldTerms, Key,
    KeyRotation, Micros, NewAccount, NewApiKey, NewClient, NewCustomer, Notes, Owner, Posting, Postings,
    Purpose, Rate, Record, Rejection, Release, Reverse, Scopes, State, Text, Transaction, TransactionId,
};

use crate::words::{SECOND, Words, amount, asset, hash, parse_parts, seconds, signed};
use crate::world::{Reply, World};

const START: i64 = 1_700_000_000_000_000;

const PRELUDE: &str = "
    @operator init
    @operator client root
    account x external owner=root
    account a main owner=root
    account b main owner=root
";

/// Runs a table, and then replays its records into empty states.
#[track_caller]
pub(crate) fn check(table: &str) {
    let mut script = Script {
        world: World::new(),
        names: HashMap::new(),
        clients: HashMap::new(),
        parties: HashMap::new(),
        now: START,
        lines: 0,
    };
    for line in PRELUDE.lines() {
        script.line(line);
    }
    script.lines = 0;
    for line in table.lines() {
        script.line(line);
    }
    // 6: the same records give the same state.
    script.world.assert_replays(&[]);
}

struct Script {
    world: World,
    /// What ids are called.
    names: HashMap<u128, String>,
    /// The book of each client.
    clients: HashMap<String, BookNo>,
    /// Who owns accounts: clients and customers, with their books.
    parties: HashMap<String, (Owner, BookNo)>,
    now: i64,
    lines: u64,
}

impl Script {
    #[track_caller]
    fn line(&mut self, line: &str) {
        self.lines += 1;
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            return;
        }
        let (text, expected) = match line.split_once("=>") {
            Some((text, expected)) => (text.trim(), Some(expected)),
            None => (line, None),
        };
        let (actor, text) = match text.strip_prefix('@').and_then(|text| text.split_once(' ')) {
            Some((actor, text)) => (actor, text.trim()),
            None => ("root", text),
        };
        if self.look(text) {
            return;
        }
        let command = self.command(actor, text);
        let turn = self.world.submit(&command);
        let mut actual = self.show_reply(&turn.reply);
        if !turn.expired.is_empty() {
            let holds = turn.expired.iter().map(|record| match &record.action {
                Action::Expire { hold, .. } => self.name(hold.0),
                other => panic!("{other:?}"),
            });
            actual += &format!(" after the expiry of {}", holds.collect::<Vec<_>>().join(" "));
        }
        match expected {
            Some(expected) => {
                let expected = expected.split_whitespace().collect::<Vec<_>>().join(" ");
                assert_eq!(actual, expected, "line {}: {line}", self.lines);
            }
            None => {
                let done = matches!(&turn.reply, Reply::Recorded(record) if record.outcome.is_ok());
                assert!(done, "line {}: {line}: {actual}", self.lines);
            }
        }
    }

    /// Does what is no command; whether the line was that.
    #[track_caller]
    fn look(&mut self, text: &str) -> bool {
        let words = Words::new(text);
        let at = format!("line {}: {text}", self.lines);
        match words.plain[..] {
            ["advance", time] => self.now += seconds(time),
            ["balance", account, name] => {
                for state in [&self.world.full, &self.world.standing] {
                    let seen = self.balance(state, account, name);
                    for (name, number) in &words.options {
                        let seen = seen
                            .iter()
                            .find(|(known, _)| known == name)
                            .expect("a name of a number");
                        let unlimited = *number == "unlimited";
                        assert_eq!(seen.1, (!unlimited).then(|| signed(number)), "{at}: {name}");
                    }
                }
            }
            ["see", hold, status, left] => {
                let id = self.id(hold);
                let row = self
                    .world
                    .full
                    .books()
                    .find_map(|book| book.holds.peek(&TransactionId(id)));
                let row = row.unwrap_or_else(|| panic!("{at}: no such hold"));
                let remaining: Vec<_> = row
                    .postings
                    .iter()
                    .map(|held| held.remaining.to_string())
                    .collect();
                assert_eq!(
                    (row.status.as_str(), &*remaining.join("+")),
                    (status, left),
                    "{at}"
                );
            }
            ["primary", account, is] => {
                let row = self.account(&self.world.full, account);
                assert_eq!(row.primary, is == "yes", "{at}");
                let book = self
                    .world
                    .full
                    .books()
                    .find(|book| book.slot(row.id).is_ok_and(|slot| slot.is_some()));
                let place = book
                    .expect("found before")
                    .primaries
                    .peek(&(row.owner, row.purpose));
                assert_eq!(place == Some(&row.no), row.primary, "{at}");
            }
            ["key", name, ref rest @ ..] => {
                let id = ApiKeyId(self.id(name));
                for state in [&self.world.full, &self.world.standing] {
                    let mut found = state.books().filter_map(|book| book.api_keys.peek(&id));
                    let row = found.next().unwrap_or_else(|| panic!("{at}: no such key"));
                    let mut seen = vec![if row.is_live(Micros(self.now)) {
                        "live"
                    } else {
                        "ended"
                    }];
                    seen.extend(row.revoked_at.map(|_| "revoked"));
                    assert_eq!(seen, rest, "{at}");
                    // What is the same in all of them, whoever took whose place.
                    assert_eq!(
                        (row.scopes, &row.label),
                        (Scopes::READ, &Text::new(name.as_bytes())),
                        "{at}"
                    );
                    if let Some(client) = words.option("of") {
                        assert_eq!(
                            row.client,
                            Some(ClientId(u128::from_be_bytes(hash(client)))),
                            "{at}"
                        );
                    }
                }
            }
            ["position", number] => {
                let position = self.world.records.last().expect("a record").position;
                assert_eq!(position.to_string(), number, "{at}");
            }
            ["recorded", micros] => {
                let recorded = self.world.records.last().expect("a record").recorded_at;
                assert_eq!((recorded.0 - START).to_string(), micros, "{at}");
            }
            _ => return false,
        }
        true
    }

    fn account<'a>(&self, state: &'a State, name: &str) -> &'a ledger::Account {
        let id = AccountId(u128::from_be_bytes(hash(name)));
        let mut found = state.books().filter_map(|book| book.slot(id).ok().flatten());
        let slot = found.next().unwrap_or_else(|| panic!("no account {name}"));
        &slot.account
    }

    fn balance(&self, state: &State, account: &str, name: &str) -> [(&'static str, Option<i128>); 5] {
        let row = self.account(state, account);
        let book = state
            .books()
            .find(|book| book.slot(row.id).is_ok_and(|slot| slot.is_some()));
        let book = book.expect("found before");
        let asset = state
            .asset(book.no, &asset(name))
            .expect("complete")
            .expect("an asset");
        let counters = book.balance(row.no, asset.no).expect("complete").counters;
        let credit: Credit = row.credit(asset.no);
        [
            ("settled", Some(counters.settled())),
            ("reserved", Some(counters.reserved())),
            ("incoming", Some(counters.incoming())),
            ("available", Some(counters.available())),
            ("spendable", credit.spendable(&counters)),
        ]
    }

    /// The id of a name, which is then known by it.
    fn id(&mut self, name: &str) -> u128 {
        let id = match name.strip_prefix("expiry-of:") {
            Some(hold) => {
                let hold = TransactionId(u128::from_be_bytes(hash(hold)));
                let expiry = Command::expiry(BookNo::OPERATOR, hold, Micros(0));
                expiry.transaction_ids().next().expect("an expiry has an id").0
            }
            None => u128::from_be_bytes(hash(name)),
        };
        self.names.insert(id, name.to_owned());
        id
    }

    fn name(&self, id: u128) -> String {
        self.names.get(&id).cloned().unwrap_or_else(|| format!("{id:x}"))
    }

    fn command(&mut self, actor: &str, text: &str) -> Command {
        let mut words = Words::new(text);
        let (key, action) = self.action(&mut words);
        let book = match actor {
            "operator" => BookNo::OPERATOR,
            client => self.clients[client],
        };
        let stamp = words.option("stamp").map_or(0, seconds);
        if let Action::Expire { hold, .. } = action {
            return Command::expiry(book, hold, Micros(self.now + stamp));
        }
        let key = match words.option("key") {
            Some(key) => Key::named(key),
            None => key.unwrap_or_else(|| Key::named(&format!("line {}", self.lines))),
        };
        let asked = text
            .split_whitespace()
            .filter(|word| !word.starts_with("key=") && !word.starts_with("stamp="));
        Command {
            book,
            client: (actor != "operator").then(|| ClientId(self.id(actor))),
            key,
            fingerprint: Fingerprint(hash(&asked.collect::<Vec<_>>().join(" "))),
            stamp: Micros(self.now + stamp),
            action,
        }
    }

    fn expiry(&self, words: &Words<'_>) -> Option<Micros> {
        let time = words.option("expires")?;
        Some(Micros(self.now + seconds(time)))
    }

    fn owner(&self, words: &Words<'_>, option: &str) -> (Owner, BookNo) {
        let name = words.option(option).expect("an owner");
        let unknown = || {
            (
                Owner::Customer(CustomerId(u128::from_be_bytes(hash(name)))),
                BookNo(1),
            )
        };
        self.parties.get(name).copied().unwrap_or_else(unknown)
    }

    fn client(&mut self, name: &str) -> ClientId {
        ClientId(self.id(name))
    }

    fn action(&mut self, words: &mut Words<'_>) -> (Option<Key>, Action) {
        let verb = words.plain.remove(0);
        match verb {
            "init" => (None, Action::Initialise { rlusd_exponent: 6 }),
            "client" | "customer" | "erase" | "api-key" | "revoke" | "rotate" | "rename-client"
            | "rename-customer" | "dunning" => self.party_action(verb, words),
            "account" | "update" => self.account_action(verb, words),
            "asset" => {
                let action = Action::RegisterAsset {
                    name: asset(words.plain[0]),
                    exponent: words.plain[1].parse().expect("an exponent"),
                    kind: AssetKind::Custom,
                };
                (None, action)
            }
            "rate" => {
                let rate = Rate {
                    base: asset(words.plain[0]),
                    quote: asset(words.plain[1]),
                    rate: Decimal {
                        digits: words.plain[2].parse().expect("digits"),
                        scale: words.plain[3].parse().expect("a scale"),
                    },
                    as_of: Micros(self.now),
                    source: "test".into(),
                };
                (None, Action::PutRates(vec![rate]))
            }
            "post" | "hold" => {
                let transaction = self.transaction(verb, words);
                (Some(Key::Id(transaction.id.into())), Action::Post(transaction))
            }
            "batch" => {
                let key = Key::named(words.plain.remove(0));
                (Some(key), Action::PostBatch(self.batch(words)))
            }
            "expire" => {
                let hold = TransactionId(self.id(words.plain[0]));
                (None, Command::expiry(BookNo(0), hold, Micros(0)).action)
            }
            "capture" | "release" | "reverse" => self.follow_up(verb, words),
            other => panic!("line {}: no verb {other}", self.lines),
        }
    }

    fn party_action(&mut self, verb: &str, words: &mut Words<'_>) -> (Option<Key>, Action) {
        let name = words.plain.remove(0);
        let id = self.id(name);
        let action = match verb {
            "client" => {
                let parent = words.option("parent").map(|parent| self.client(parent));
                let book = match words.option("parent") {
                    Some(parent) => self.clients.get(parent).copied().unwrap_or(BookNo(1)),
                    None => BookNo(self.world.full.book(BookNo::OPERATOR).expect("made").head.books + 1),
                };
                // Sent again, it is where it was.
                let book = *self.clients.entry(name.to_owned()).or_insert(book);
                self.parties
                    .insert(name.to_owned(), (Owner::Client(ClientId(id)), book));
                Action::CreateClient(NewClient {
                    id: ClientId(id),
                    parent,
                    legal_name: Text::new(name.as_bytes()),
                    time_zone: "UTC".into(),
                    notes: Notes::default(),
                })
            }
            "customer" => {
                let client = self.client(words.option("of").expect("a client"));
                self.parties
                    .insert(name.to_owned(), (Owner::Customer(CustomerId(id)), BookNo(1)));
                Action::CreateCustomer(NewCustomer {
                    id: CustomerId(id),
                    client,
                    legal_name: Text::new(name.as_bytes()),
                    number: words
                        .option("number")
                        .map(|number| number.parse().expect("a number")),
                    notes: Notes::default(),
                })
            }
            "api-key" => Action::CreateApiKey(NewApiKey {
                id: ApiKeyId(id),
                client: words.option("of").map(|client| self.client(client)),
                label: Text::new(name.as_bytes()),
                scopes: Scopes::READ,
                secret_hash: [7; 32],
                expires_at: self.expiry(words),
            }),
            "rotate" => {
                let name = words.plain.remove(0);
                let new = self.id(name);
                let rotation = KeyRotation {
                    old: ApiKeyId(id),
                    id: ApiKeyId(new),
                    label: Text::new(name.as_bytes()),
                    secret_hash: [8; 32],
                    overlap: words
                        .option("overlap")
                        .map_or(0, |time| (seconds(time) / SECOND) as u32),
                    expires_at: self.expiry(words),
                };
                return (Some(Key::Id(new.into())), Action::RotateApiKey(rotation));
            }
            "erase" => Action::EraseCustomer { id: CustomerId(id) },
            "revoke" => Action::RevokeApiKey { id: ApiKeyId(id) },
            "rename-client" => Action::UpdateClient(ClientChange {
                id: ClientId(id),
                legal_name: Some(Text::new(words.plain[0].as_bytes())),
                time_zone: None,
                external_id: Some(None),
                metadata: None,
            }),
            "rename-customer" => Action::UpdateCustomer(CustomerChange {
                id: CustomerId(id),
                legal_name: Some(Text::new(words.plain[0].as_bytes())),
                external_id: None,
                metadata: Some(Some(Text::new(*b"{}"))),
            }),
            _ => Action::SetDunning {
                customer: CustomerId(id),
                label: words.plain.first().map(|label| Text::new(label.as_bytes())),
                in_debt_collection: false,
            },
        };
        let is_new = matches!(verb, "client" | "customer" | "api-key");
        (is_new.then_some(Key::Id(id.into())), action)
    }

    fn account_action(&mut self, verb: &str, words: &mut Words<'_>) -> (Option<Key>, Action) {
        let primary = words.flag("primary");
        let name = words.plain.remove(0);
        let id = AccountId(self.id(name));
        if verb == "account" {
            let purpose = Purpose::ALL
                .into_iter()
                .find(|purpose| purpose.as_str() == words.plain[0]);
            let new = NewAccount {
                id,
                owner: self.owner(words, "owner").0,
                purpose: purpose.expect("a purpose"),
                label: Text::new(name.as_bytes()),
                currency: words.option("currency").map(asset),
                primary,
                limits: words.limits(),
                notes: Notes::default(),
            };
            return (Some(Key::Id(id.into())), Action::CreateAccount(new));
        }
        let status = words.option("status").map(|status| {
            let mut all = AccountStatus::ALL.into_iter();
            all.find(|known| known.as_str() == status).expect("a status")
        });
        let change = AccountChange {
            id,
            label: words.option("label").map(|label| Text::new(label.as_bytes())),
            status,
            limits: words.limits(),
            primary,
            external_id: None,
            metadata: None,
        };
        (None, Action::UpdateAccount(change))
    }

    fn transaction(&mut self, verb: &str, words: &mut Words<'_>) -> Transaction {
        let force = words.flag("force");
        let id = TransactionId(self.id(words.plain.remove(0)));
        let postings: Postings = words
            .plain
            .chunks(3)
            .map(|posting| {
                let (from, to) = posting[0].split_once("->").expect("from->to");
                Posting {
                    from: AccountId(self.id(from)),
                    to: AccountId(self.id(to)),
                    asset: asset(posting[1]),
                    amount: amount(posting[2].trim_end_matches(',')),
                }
            })
            .collect();
        let expires_at = self.expiry(words);
        Transaction {
            id,
            postings,
            texts: None,
            effective_at: None,
            hold: (verb == "hold").then_some(HoldTerms { expires_at }),
            force,
        }
    }

    fn batch(&mut self, words: &Words<'_>) -> Vec<Transaction> {
        let each = words.plain.split(|word| *word == "|");
        each.map(|plain| {
            let mut words = Words {
                plain: plain[1..].to_vec(),
                options: words.options.clone(),
            };
            self.transaction(plain[0], &mut words)
        })
        .collect()
    }

    fn follow_up(&mut self, verb: &str, words: &mut Words<'_>) -> (Option<Key>, Action) {
        let [last, allow_over, force] = ["final", "over", "force"].map(|flag| words.flag(flag));
        let id = TransactionId(self.id(words.plain[0]));
        let about = TransactionId(self.id(words.plain[1]));
        let parts = parse_parts(&words.plain[2..]);
        let action = match verb {
            "capture" => Action::Capture(Capture {
                id,
                hold: about,
                last: last || parts.is_none(),
                parts,
                allow_over,
                force,
            }),
            "release" => Action::Release(Release {
                id,
                hold: about,
                parts,
            }),
            _ => Action::Reverse(Reverse {
                id,
                transaction: about,
                parts,
                force,
            }),
        };
        (Some(Key::Id(id.into())), action)
    }

    fn show_reply(&self, reply: &Reply) -> String {
        match reply {
            Reply::Recorded(record) => self.show(record),
            Reply::Replayed(record) => format!("replay: {}", self.show(record)),
            Reply::Conflict(position) => format!("conflict with {position}"),
            Reply::Nothing => "nothing".to_owned(),
        }
    }

    fn show(&self, record: &Record) -> String {
        let done = match &record.outcome {
            Ok(done) => done,
            Err(rejection) => return self.show_rejection(rejection),
        };
        let word = match done {
            Done::Changed | Done::Rotated { .. } => return "done".to_owned(),
            Done::Book(no) => return format!("book {no}"),
            Done::Customer(number) => return format!("number {number}"),
            Done::Account { primary: true, .. } => return "primary".to_owned(),
            Done::Account { .. } => return "done".to_owned(),
            Done::Moved(_) => match &record.action {
                Action::Post(transaction) if transaction.hold.is_some() => "held",
                Action::Capture(_) => "captured",
                Action::Release(_) => "released",
                Action::Expire { .. } => "expired",
                Action::Reverse(_) => "reversed",
                _ => "posted",
            },
        };
        let mut moves = record.booked().iter().flat_map(|booked| &booked.moves);
        let overdrawn = moves.any(|m| m.from_after.is_overdrawn());
        if overdrawn {
            format!("{word} overdrawn")
        } else {
            word.to_owned()
        }
    }

    fn show_rejection(&self, rejection: &Rejection) -> String {
        let mut text = rejection.code.to_string();
        if let Some(account) = rejection.account {
            text += &format!(" {}", self.name(account.0));
        }
        if let Some(posting) = rejection.posting {
            text += &format!(" posting {posting}");
        }
        if let Some(item) = rejection.item {
            text += &format!(" item {item}");
        }
        text
    }
}
