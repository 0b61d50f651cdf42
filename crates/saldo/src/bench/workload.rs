//! What the load asks for. A request is built once; before each sending only ids are written over, in place.

use std::ops::Range;
use std::sync::Arc;

use super::wire::{bearer, request};
use super::world::{Uuid, World};

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(super) enum Workload {
    /// The balances of a random account
    Reads,
    /// One transaction a request, between two random accounts
    Posts,
    /// Many transactions a request, each between two random accounts
    Batches,
    /// One transaction a request, from a random account into always the same
    Hot,
    /// A hold and its capture, one after the other, between two random accounts
    Holds,
    /// As `posts`, where the nth account is chosen 1/n times as often as the first
    Zipf,
    /// The balances of a random account as of a random position in the book's past
    History,
    /// Four reads to one post
    Mixed,
    /// Conduit's account of a random customer
    ConduitCustomer,
    /// Conduit's accounts of a client
    ConduitClients,
    /// Magicline's balances of a random member
    Magicline,
    /// Polygon's estimated balance of a random customer
    Polygon,
    /// Light's random card balance account
    Light,
}

impl Workload {
    /// Its name, as on the command line.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Reads => "reads",
            Self::Posts => "posts",
            Self::Batches => "batches",
            Self::Hot => "hot",
            Self::Holds => "holds",
            Self::Zipf => "zipf",
            Self::History => "history",
            Self::Mixed => "mixed",
            Self::ConduitCustomer => "conduit-customer",
            Self::ConduitClients => "conduit-clients",
            Self::Magicline => "magicline",
            Self::Polygon => "polygon",
            Self::Light => "light",
        }
    }

    /// Whether it asks for customers, in the format of a vendor.
    pub(super) fn has_members(self) -> bool {
        matches!(
            self,
            Self::ConduitCustomer | Self::ConduitClients | Self::Magicline | Self::Polygon | Self::Light
        )
    }
}

/// SplitMix64: a random number for the price of three multiplications.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not zero.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// A random UUID (version 4).
    fn uuid(&mut self) -> Uuid {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut bits = (u128::from(self.next()) << 64) | u128::from(self.next());
        bits &= !((0xf << 76) | (0x3 << 62));
        bits |= (0x4 << 76) | (0x2 << 62);
        let mut text = *b"xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
        for digit in text.iter_mut().rev().filter(|digit| **digit == b'x') {
            *digit = HEX[(bits & 0xf) as usize];
            bits >>= 4;
        }
        text
    }
}

/// Which accounts are chosen how often.
enum Choice {
    Uniform,
    /// Into the first account.
    Hot,
    /// How often accounts up to this one are chosen.
    Zipf(Vec<u64>),
}

impl Choice {
    fn of(workload: Workload, accounts: u64) -> Self {
        match workload {
            Workload::Hot => Self::Hot,
            Workload::Zipf => Self::Zipf(
                (1..=accounts)
                    .scan(0, |sum: &mut u64, nth| {
                        *sum += (1 << 32) / nth;
                        Some(*sum)
                    })
                    .collect(),
            ),
            _ => Self::Uniform,
        }
    }

    /// Two different accounts of so many.
    fn two(&self, random: &mut Random, count: u64) -> (u64, u64) {
        match self {
            Self::Hot => (1 + random.below(count - 1), 0),
            Self::Uniform => {
                let from = random.below(count);
                (from, (from + 1 + random.below(count - 1)) % count)
            }
            Self::Zipf(up_to) => {
                let mut one = || {
                    let drawn = random.below(up_to.last().copied().unwrap_or(1));
                    up_to.partition_point(|sum| *sum <= drawn) as u64
                };
                let (from, to) = (one(), one());
                (from, if from == to { (to + 1) % count } else { to })
            }
        }
    }
}

/// What is written into a request before each sending.
#[derive(Clone, Copy)]
enum Hole {
    /// A new id.
    Id,
    From,
    To,
    /// Any account.
    Account,
    /// A position of the past, in 20 digits.
    Position,
    /// The id of the hold before.
    Hold,
    /// Any customer, as Conduit spells it.
    Ksuid,
    /// Any customer, as Polygon spells it.
    Typeid,
    /// Any customer's number.
    Number,
    /// Any customer's card account.
    Card,
}

/// A request with holes.
struct Template {
    bytes: Vec<u8>,
    holes: Vec<(Hole, Range<usize>)>,
}

/// How holes stand in the text that a template is made of.
const MARKS: [(&str, Hole, usize); 10] = [
    ("<id>", Hole::Id, 36),
    ("<from>", Hole::From, 36),
    ("<to>", Hole::To, 36),
    ("<account>", Hole::Account, 36),
    ("<position>", Hole::Position, 20),
    ("<hold>", Hole::Hold, 36),
    ("<ksuid>", Hole::Ksuid, 31),
    ("<typeid>", Hole::Typeid, 30),
    ("<number>", Hole::Number, 7),
    ("<card>", Hole::Card, 36),
];
/// The first of the control characters that stand for them while a template is made: line ends are 10 and 13.
const FIRST_MARK: u8 = 14;

impl Template {
    fn new(method: &str, path: &str, host: &str, headers: &str, body: &str) -> Self {
        // In the request itself holes have their length, so that the length of the body is right.
        let wide = |text: &str| {
            let mut text = text.to_owned();
            for (nth, (mark, _, length)) in MARKS.iter().enumerate() {
                let letter = char::from(FIRST_MARK + nth as u8);
                text = text.replace(mark, &letter.to_string().repeat(*length));
            }
            text
        };
        let bytes = request(method, &wide(path), host, headers, &wide(body));
        let (mut holes, mut at) = (Vec::new(), 0);
        while at < bytes.len() {
            match MARKS.get(usize::from(bytes[at]).wrapping_sub(FIRST_MARK.into())) {
                Some((_, hole, length)) => {
                    holes.push((*hole, at..at + length));
                    at += length;
                }
                None => at += 1,
            }
        }
        Self { bytes, holes }
    }
}

/// Makes the requests of one connection.
pub(super) struct Maker {
    world: Arc<World>,
    choice: Choice,
    random: Random,
    /// Taken in turn.
    templates: Vec<Template>,
    turn: usize,
    /// The id that was written last.
    last: Uuid,
    /// How many transactions a request has.
    transactions: u64,
}

/// The requests of a workload, to be taken in turn.
fn templates(workload: Workload, batch: usize, world: &World, host: &str) -> Vec<Template> {
    let token = bearer(&world.token);
    let template = |method: &str, path: &str, body: &str| {
        Template::new(method, &format!("/api/v1{path}"), host, &token, body)
    };
    let vendor = |path: &str, headers: &str| vec![Template::new("GET", path, host, headers, "")];
    let [key, secret] = &world.pair;
    let conduit = format!("X-API-Key: {key}\r\nX-API-Secret: {secret}\r\n");
    let moved = r#""postings":[{"from":"<from>","to":"<to>","asset":"USD","amount":"1"}]"#;
    let one = format!(r#"{{"id":"<id>",{moved}}}"#);
    let post = || template("POST", "/transactions", &one);
    let read = || template("GET", "/accounts/<account>/balances", "");
    match workload {
        Workload::Reads => vec![read()],
        Workload::Posts | Workload::Hot | Workload::Zipf => vec![post()],
        Workload::Batches => {
            let all = vec![&one[..]; batch].join(",");
            let body = format!(r#"{{"transactions":[{all}]}}"#);
            vec![template("POST", "/transactions/batch", &body)]
        }
        Workload::Holds => vec![
            template(
                "POST",
                "/transactions",
                &format!(r#"{{"id":"<id>",{moved},"hold":{{}}}}"#),
            ),
            template("POST", "/holds/<hold>/capture", "{}"),
        ],
        Workload::History => {
            vec![template(
                "GET",
                "/accounts/<account>/balances?position=<position>",
                "",
            )]
        }
        Workload::Mixed => vec![post(), read(), read(), read(), read()],
        Workload::ConduitCustomer => vendor("/customers/<ksuid>/account", &conduit),
        Workload::ConduitClients => vendor("/clients/accounts", &conduit),
        Workload::Magicline => vendor(
            "/v1/customers/<number>/account/balances",
            &format!("X-API-KEY: {}\r\n", world.token),
        ),
        Workload::Polygon => vendor("/v0.9/customers/<typeid>/balance", &bearer(&world.polygon_token)),
        Workload::Light => vendor(
            "/v1/card-balance-accounts/<card>",
            &format!("Authorization: Basic {}\r\n", world.token),
        ),
    }
}

impl Maker {
    pub(super) fn new(workload: Workload, batch: usize, world: &Arc<World>, host: &str, seed: u64) -> Self {
        Self {
            choice: Choice::of(workload, world.accounts.len() as u64),
            world: Arc::clone(world),
            random: Random(seed),
            // Connections do different things at once; only holds have a first.
            turn: if workload == Workload::Holds {
                0
            } else {
                (seed % 64) as usize
            },
            templates: templates(workload, batch, world, host),
            last: [b'0'; 36],
            transactions: if workload == Workload::Batches {
                batch as u64
            } else {
                1
            },
        }
    }

    /// The next request, and how many transactions it has.
    pub(super) fn next(&mut self) -> (&[u8], u64) {
        let count = self.world.accounts.len() as u64;
        let nth = self.turn % self.templates.len();
        self.turn = nth + 1;
        let template = &mut self.templates[nth];
        let account = |nth: u64| &self.world.accounts[nth as usize];
        let members = &self.world.members;
        // A workload that asks for one has some.
        let member = |random: &mut Random| &members[random.below(members.len() as u64) as usize];
        let mut to = 0;
        for (hole, at) in &template.holes {
            let into = &mut template.bytes[at.clone()];
            match hole {
                Hole::Id => {
                    self.last = self.random.uuid();
                    into.copy_from_slice(&self.last);
                }
                Hole::From => {
                    let from;
                    (from, to) = self.choice.two(&mut self.random, count);
                    into.copy_from_slice(account(from));
                }
                Hole::To => into.copy_from_slice(account(to)),
                Hole::Account => into.copy_from_slice(account(self.random.below(count))),
                Hole::Position => {
                    let position = 1 + self.random.below(self.world.position.max(1));
                    into.copy_from_slice(format!("{position:020}").as_bytes());
                }
                Hole::Hold => into.copy_from_slice(&self.last),
                Hole::Ksuid => into.copy_from_slice(member(&mut self.random).ksuid.as_bytes()),
                Hole::Typeid => into.copy_from_slice(member(&mut self.random).typeid.as_bytes()),
                Hole::Number => into.copy_from_slice(member(&mut self.random).number.as_bytes()),
                Hole::Card => into.copy_from_slice(&member(&mut self.random).card),
            }
        }
        let writes = template.bytes.starts_with(b"POST");
        (&template.bytes, if writes { self.transactions } else { 0 })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn world() -> Arc<World> {
        let accounts = (0..9).map(|nth| [b'a' + nth; 36]).collect();
        Arc::new(World::of("token", accounts, 7))
    }

    fn requests(workload: Workload, batch: usize, count: usize) -> Vec<(String, u64)> {
        let mut maker = Maker::new(workload, batch, &world(), "host:1", 3);
        let mut next = || {
            let (bytes, transactions) = maker.next();
            (String::from_utf8(bytes.to_vec()).unwrap(), transactions)
        };
        (0..count).map(|_| next()).collect()
    }

    /// The transactions of a request, and whether its length is right.
    fn transactions(request: &str) -> Vec<serde_json::Value> {
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        assert!(
            head.lines()
                .any(|line| line == format!("Content-Length: {}", body.len())),
            "{head}"
        );
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        body["transactions"]
            .as_array()
            .cloned()
            .unwrap_or_else(|| vec![body])
    }

    #[test]
    fn every_transaction_has_an_id_of_its_own_and_two_accounts() {
        let known: HashSet<_> = world()
            .accounts
            .iter()
            .map(|id| String::from_utf8(id.to_vec()).unwrap())
            .collect();
        for workload in [Workload::Posts, Workload::Batches, Workload::Hot, Workload::Zipf] {
            let mut ids = HashSet::new();
            for (request, count) in requests(workload, 5, 200) {
                let transactions = transactions(&request);
                assert_eq!(transactions.len() as u64, count);
                for one in transactions {
                    let id = one["id"].as_str().unwrap().to_owned();
                    assert!(ids.insert(id.clone()), "{id} comes twice");
                    assert_eq!(uuid(&id), Some(4), "{id}");
                    let posting = &one["postings"][0];
                    let (from, to) = (posting["from"].as_str().unwrap(), posting["to"].as_str().unwrap());
                    assert!(
                        known.contains(from) && known.contains(to) && from != to,
                        "{posting}"
                    );
                    assert!(workload != Workload::Hot || to.starts_with('a'), "{posting}");
                }
            }
        }
    }

    /// The version of a UUID, if it is one.
    fn uuid(text: &str) -> Option<u32> {
        let digits = text.replace('-', "");
        let dashes = text.match_indices('-').map(|(at, _)| at).collect::<Vec<_>>() == [8, 13, 18, 23];
        let variant = ['8', '9', 'a', 'b'].contains(&text.chars().nth(19)?);
        (dashes && variant && digits.len() == 32 && u128::from_str_radix(&digits, 16).is_ok())
            .then(|| text.chars().nth(14)?.to_digit(16))
            .flatten()
    }

    #[test]
    fn a_capture_names_the_hold_before_it() {
        let made = requests(Workload::Holds, 1, 4);
        for pair in made.chunks(2) {
            let hold = transactions(&pair[0].0);
            let id = hold[0]["id"].as_str().unwrap();
            assert!(hold[0]["hold"].is_object());
            assert!(
                pair[1]
                    .0
                    .starts_with(&format!("POST /api/v1/holds/{id}/capture HTTP/1.1\r\n"))
            );
        }
    }

    #[test]
    fn a_read_is_of_a_known_account_and_a_past_position() {
        for (request, count) in requests(Workload::History, 1, 50) {
            let path = request.split(' ').nth(1).unwrap();
            let (account, position) = path.split_once("/balances?position=").unwrap();
            assert_eq!(account.len(), "/api/v1/accounts/".len() + 36);
            assert!((1..=7).contains(&position.parse::<u64>().unwrap()), "{position}");
            assert_eq!(count, 0);
        }
        let mixed = requests(Workload::Mixed, 1, 50);
        assert_eq!(mixed.iter().filter(|(_, count)| *count == 1).count(), 10);
    }

    #[test]
    fn members_are_asked_for_in_each_vendors_spelling() {
        let asked = |workload| {
            let (request, count) = requests(workload, 1, 1).remove(0);
            assert_eq!(count, 0);
            request
        };
        let paths = [
            (Workload::ConduitCustomer, "/customers/cus_"),
            (Workload::ConduitClients, "/clients/accounts "),
            (Workload::Magicline, "/v1/customers/1000007/account/balances "),
            (Workload::Polygon, "/v0.9/customers/cst_"),
            (Workload::Light, "/v1/card-balance-accounts/cccccccc"),
        ];
        for (workload, path) in paths {
            let request = asked(workload);
            assert!(request.starts_with(&format!("GET {path}")), "{request}");
            assert!(
                !request.contains('<') && request.ends_with("\r\n\r\n"),
                "{request}"
            );
        }
        assert!(asked(Workload::ConduitClients).contains("\r\nX-API-Key: key\r\nX-API-Secret: secret\r\n"));
        assert!(asked(Workload::Polygon).contains("\r\nAuthorization: Bearer jwt\r\n"));
        assert!(asked(Workload::Light).contains("\r\nAuthorization: Basic token\r\n"));
    }

    #[test]
    fn the_first_account_is_chosen_most_often_under_zipf() {
        let (mut random, choice) = (Random(1), Choice::of(Workload::Zipf, 100));
        let mut chosen = [0_u32; 100];
        for _ in 0..100_000 {
            chosen[choice.two(&mut random, 100).0 as usize] += 1;
        }
        // One in H(100) = 5.19, and half as often the second.
        assert!((18_000..21_000).contains(&chosen[0]), "{chosen:?}");
        assert!((8_800..10_500).contains(&chosen[1]), "{chosen:?}");
        assert!(chosen[99] > 50, "{chosen:?}");
    }
}
