//! What a client does: one thing after the other, by chance.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::load::{Racing, Request, Seen, Worker, ask, insist};
use crate::harness::{Answer, transaction};

const TRANSACTIONS: &str = "/api/v1/transactions";
const BATCH: u64 = 10;
/// How long a hold lasts that is to end by itself.
const HOLD: Duration = Duration::from_millis(1_500);
/// How long before its end a capture may be sent: it meets the end, more or less.
const BEFORE: Duration = Duration::from_millis(40);

impl Worker<'_> {
    pub(super) fn step(&mut self) {
        if self
            .racing
            .front()
            .is_some_and(|racing| racing.at <= Instant::now())
        {
            return self.race();
        }
        match self.random.below(100) {
            0..22 => self.post_between_accounts(),
            22..42 => self.post_hot(),
            42..54 => self.hold_and_resolve(),
            54..61 => self.hold_that_expires(),
            61..67 => self.post_each(),
            67..73 => self.post_all(),
            73..76 => self.open_account(),
            76..85 => self.same_key_at_two_servers(),
            85..90 => self.same_id_for_two_transactions(),
            90..93 => self.same_id_under_two_keys(),
            _ => self.look(),
        }
    }

    fn server(&mut self) -> usize {
        self.random.below(self.fleet.count() as u64) as usize
    }

    fn some_account(&mut self) -> String {
        let accounts = &self.fleet.world.accounts;
        accounts[self.random.below(accounts.len() as u64) as usize].clone()
    }

    fn two_accounts(&mut self) -> (String, String) {
        let from = self.some_account();
        loop {
            let to = self.some_account();
            if to != from {
                return (from, to);
            }
        }
    }

    /// Between accounts that may have too little.
    fn some_transaction(&mut self) -> Value {
        let (from, to) = self.two_accounts();
        let id = self.random.uuid();
        transaction(&id, &from, &to, "USD", 1 + self.random.below(200))
    }

    fn request(body: Value) -> Request {
        Request {
            path: TRANSACTIONS.to_owned(),
            key: None,
            body,
        }
    }

    fn send(&mut self, request: &Request) -> Answer {
        let server = self.server();
        insist(self.fleet, self.control, server, request).0
    }

    /// Keeps what an answer about one transaction says; answers whether it was accepted.
    fn learn(&mut self, about: &str, answer: &Answer) -> bool {
        self.told.replays += u64::from(answer.replayed);
        let body: Value = serde_json::from_str(&answer.text).expect("the body is JSON");
        let position = answer.position.expect("what was recorded has a position");
        assert_eq!(body["position"].as_u64(), Some(position));
        if answer.status != 201 {
            assert!(matches!(answer.status, 404 | 409 | 422), "{answer:?}");
            self.told.rejections += 1;
            let code = body["code"].as_str().expect("a code");
            self.told.add(position, format!("{about} {code}"));
            return false;
        }
        let first_time = !self.told.commands.contains_key(&position);
        self.told.add(
            position,
            format!("{about} {}", body["status"].as_str().expect("a status")),
        );
        for balance in body["balances"].as_array().expect("balances") {
            let account = balance["accountId"].as_str().expect("an account");
            self.told.seen.push(seen(account, position, balance));
        }
        if first_time && body["status"] == "posted" {
            body["postings"]
                .as_array()
                .expect("postings")
                .iter()
                .for_each(|posting| self.settle(posting));
        }
        true
    }

    fn settle(&mut self, posting: &Value) {
        let amount: i128 = posting["amount"]
            .as_str()
            .and_then(|text| text.parse().ok())
            .expect("an amount");
        for (side, amount) in [("from", -amount), ("to", amount)] {
            let account = posting[side].as_str().expect("an account").to_owned();
            *self.told.settled.entry(account).or_default() += amount;
        }
    }

    fn post(&mut self, body: Value) -> bool {
        let id = id_of(&body);
        let answer = self.send(&Self::request(body.clone()));
        let accepted = self.learn(&format!("transaction {id}"), &answer);
        if accepted && self.random.below(3) == 0 {
            self.read_back(&body, answer.position.expect("a position"));
        }
        accepted
    }

    /// What was written through one server is there at another.
    fn read_back(&mut self, body: &Value, position: u64) {
        let server = self.server();
        let path = format!("{TRANSACTIONS}/{}", id_of(body));
        let found = ask(self.fleet, self.control, server, &path, Some(position));
        assert_eq!(found.json(200)["position"].as_u64(), Some(position), "{found:?}");
        assert!(found.position >= Some(position), "{found:?}");
        let account = body["postings"][0]["to"].as_str().expect("an account").to_owned();
        self.look_at(&account, Some(position));
    }

    fn look(&mut self) {
        let account = match self.random.below(3) {
            0 => self.fleet.world.hot.clone(),
            _ => self.some_account(),
        };
        self.look_at(&account, None);
    }

    fn look_at(&mut self, account: &str, at_least: Option<u64>) {
        let server = self.server();
        let path = format!("/api/v1/accounts/{account}/balances");
        let answer = ask(self.fleet, self.control, server, &path, at_least);
        let body = answer.json(200);
        let position = body["position"].as_u64().expect("a position");
        assert_eq!(answer.position, Some(position));
        assert!(at_least.is_none_or(|least| position >= least), "{answer:?}");
        let latest = self.latest.entry(account.to_owned()).or_default();
        assert!(
            position >= *latest,
            "a balance went back from position {latest}: {answer:?}"
        );
        *latest = position;
        for balance in body["balances"].as_array().expect("balances") {
            assert_eq!(balance["asset"], "USD");
            self.told.seen.push(seen(account, position, balance));
        }
    }

    fn post_between_accounts(&mut self) {
        let body = self.some_transaction();
        self.post(body);
    }

    fn post_hot(&mut self) {
        let (hot, external) = (self.fleet.world.hot.clone(), self.fleet.world.external.clone());
        let id = self.random.uuid();
        let amount = 1 + self.random.below(100);
        let body = match self.random.below(3) {
            0 => transaction(&id, &hot, &self.some_account(), "USD", amount),
            _ => transaction(&id, &external, &hot, "USD", amount),
        };
        self.post(body);
    }

    fn hold(&mut self, expires_at: Option<SystemTime>) -> Option<String> {
        let mut body = self.some_transaction();
        body["hold"] = match expires_at {
            None => json!({}),
            Some(at) => json!({"expiresAt": rfc3339(at)}),
        };
        let id = id_of(&body);
        self.post(body).then_some(id)
    }

    /// Captures or releases some or all of a hold.
    fn resolve(&mut self, hold: &str, what: &str, amount: Option<u64>) -> bool {
        let body = match (amount, what) {
            (None, _) => json!({}),
            (Some(amount), "capture") => json!({"amount": amount.to_string(), "final": false}),
            (Some(amount), _) => json!({"amount": amount.to_string()}),
        };
        let request = Request {
            path: format!("/api/v1/holds/{hold}/{what}"),
            key: Some(self.random.uuid()),
            body,
        };
        let answer = self.send(&request);
        self.learn(&format!("{what} {hold}"), &answer)
    }

    fn hold_and_resolve(&mut self) {
        let Some(hold) = self.hold(None) else { return };
        let some = Some(1 + self.random.below(50));
        match self.random.below(40) {
            0..10 => self.resolve(&hold, "capture", None),
            10..20 => self.resolve(&hold, "release", None),
            20..30 => self.resolve(&hold, "capture", some) && self.resolve(&hold, "release", None),
            30..39 => self.resolve(&hold, "release", some) && self.resolve(&hold, "capture", some),
            // Left as it is: few, as they keep money back.
            _ => true,
        };
    }

    fn hold_that_expires(&mut self) {
        let end = Instant::now() + HOLD;
        if let Some(hold) = self.hold(Some(SystemTime::now() + HOLD))
            && self.random.below(4) > 0
        {
            self.racing.push_back(Racing {
                hold,
                at: end - BEFORE,
            });
        }
    }

    fn race(&mut self) {
        if let Some(Racing { hold, .. }) = self.racing.pop_front() {
            self.resolve(&hold, "capture", None);
        }
    }

    /// Each for itself; the same batch may come again at another server.
    fn post_each(&mut self) {
        let transactions: Vec<_> = (0..BATCH).map(|_| self.some_transaction()).collect();
        let request = Request {
            path: format!("{TRANSACTIONS}/batch"),
            key: None,
            body: json!({"transactions": transactions}),
        };
        let times = 1 + self.random.below(2);
        for _ in 0..times {
            let answer = self.send(&request);
            let results = answer.json(200)["results"].as_array().expect("results").clone();
            assert_eq!(results.len(), transactions.len());
            for (result, asked) in results.iter().zip(&transactions) {
                self.learn_item(result, asked);
            }
        }
    }

    fn learn_item(&mut self, result: &Value, asked: &Value) {
        assert_eq!(result["id"], asked["id"]);
        let position = result["position"].as_u64().expect("a position");
        let first_time = !self.told.commands.contains_key(&position);
        let word = match result["status"].as_str() {
            Some("rejected") => result["rejection"]["code"].as_str(),
            status => status,
        };
        let word = word.expect("a word");
        self.told
            .add(position, format!("transaction {} {word}", id_of(asked)));
        match (first_time, word) {
            (true, "posted") => self.settle(&asked["postings"][0]),
            (true, _) => self.told.rejections += 1,
            (false, _) => self.told.replays += 1,
        }
    }

    /// All or none.
    fn post_all(&mut self) {
        let transactions: Vec<_> = (0..BATCH).map(|_| self.some_transaction()).collect();
        let request = Request {
            path: format!("{TRANSACTIONS}/batch"),
            key: Some(self.random.uuid()),
            body: json!({"atomic": true, "transactions": transactions}),
        };
        let answer = self.send(&request);
        let body = answer.json(200);
        let results = body["results"].as_array().expect("results");
        let culprit = results.iter().find(|result| result["status"] == "rejected");
        let word = match culprit {
            None => "posted",
            Some(culprit) => culprit["rejection"]["code"].as_str().expect("a code"),
        };
        self.told.add(
            answer.position.expect("a position"),
            format!("batch {} {word}", id_of(&transactions[0])),
        );
        match culprit {
            None => transactions
                .iter()
                .for_each(|one| self.settle(&one["postings"][0])),
            Some(_) => self.told.rejections += 1,
        }
    }

    /// Sends requests to different servers at once.
    fn send_at_once(&mut self, requests: [&Request; 2]) -> [(Answer, bool); 2] {
        let first = self.server();
        let (fleet, control) = (self.fleet, self.control);
        std::thread::scope(|scope| {
            let other = scope.spawn(move || insist(fleet, control, first + 1, requests[1]));
            let one = insist(fleet, control, first, requests[0]);
            [one, other.join().expect("an answer")]
        })
    }

    /// The answer that both servers gave.
    fn send_twice(&mut self, request: &Request) -> Answer {
        let [(one, repeated), (other, also_repeated)] = self.send_at_once([request, request]);
        assert_eq!(
            (one.status, told(&one)),
            (other.status, told(&other)),
            "one outcome, whoever answers"
        );
        assert_eq!(one.position, other.position);
        // Who sends its batch again after a lost commit may find that another server has recorded just what it had decided itself,
        // to the microsecond: it can't tell that record from its own.
        assert!(
            one.replayed || other.replayed || !self.fleet.logged("a batch is tried again").is_empty(),
            "twice for the first time: {one:?}"
        );
        // Who sends again after a lost answer learns that it was done.
        assert!(
            repeated || also_repeated || !(one.replayed && other.replayed),
            "a replay of nothing: {one:?}"
        );
        one
    }

    fn same_key_at_two_servers(&mut self) {
        let mut body = self.some_transaction();
        let id = id_of(&body);
        let mut key = None;
        if self.random.below(2) == 0 {
            key = Some(self.random.uuid());
        }
        if self.random.below(4) == 0 {
            body["hold"] = json!({});
        }
        let answer = self.send_twice(&Request {
            key,
            ..Self::request(body)
        });
        self.learn(&format!("transaction {id}"), &answer);
    }

    /// One of them has the id; the other is told so, and nothing is recorded of it.
    fn same_id_for_two_transactions(&mut self) {
        let one = self.some_transaction();
        let mut other = one.clone();
        // More than any other: by chance they would be one and the same.
        other["postings"][0]["amount"] = json!("201");
        let id = id_of(&one);
        let requests = [Self::request(one), Self::request(other)];
        let answers = self.send_at_once([&requests[0], &requests[1]]);
        let is_conflict = |answer: &Answer| answer.status == 409;
        assert_eq!(
            answers.iter().filter(|(answer, _)| is_conflict(answer)).count(),
            1,
            "{answers:?}"
        );
        for (answer, _) in answers {
            match is_conflict(&answer) {
                true => assert_eq!(answer.json(409)["code"], "idempotency_conflict"),
                false => drop(self.learn(&format!("transaction {id}"), &answer)),
            }
        }
    }

    /// One of them has the id, unless it was refused; under the other's key is recorded that it came too late.
    fn same_id_under_two_keys(&mut self) {
        let body = self.some_transaction();
        let id = id_of(&body);
        let mut request = || Request {
            key: Some(self.random.uuid()),
            ..Self::request(body.clone())
        };
        let requests = [request(), request()];
        let answers = self.send_at_once([&requests[0], &requests[1]]);
        let posted = answers.iter().filter(|(answer, _)| answer.status == 201).count();
        assert!(posted <= 1, "{answers:?}");
        for (answer, _) in answers {
            if answer.status == 409 {
                assert_eq!(answer.json(409)["code"], "id_taken");
            }
            self.learn(&format!("transaction {id}"), &answer);
        }
    }

    fn open_account(&mut self) {
        let client = self.fleet.world.client.clone();
        let mut make = |path: &str, body: Value| {
            let request = Request {
                path: path.to_owned(),
                key: Some(self.random.uuid()),
                body,
            };
            let answer = self.send_twice(&request);
            let id = answer.json(201)["id"].as_str().expect("an id").to_owned();
            (id, answer.position.expect("a position"))
        };
        let (customer, at) = make(
            "/api/v1/customers",
            json!({"legalName": "Somebody", "clientId": client}),
        );
        let (account, then) = make(
            "/api/v1/accounts",
            json!({"ownerId": customer, "purpose": "wallet"}),
        );
        self.told.add(at, format!("customer {customer} made"));
        self.told.add(then, format!("account {account} made"));
        let id = self.random.uuid();
        let external = self.fleet.world.external.clone();
        assert!(
            self.post(transaction(&id, &external, &account, "USD", 5)),
            "it takes money"
        );
    }
}

fn id_of(body: &Value) -> String {
    body["id"].as_str().expect("an id").to_owned()
}

/// What an answer says, whichever request it is to.
fn told(answer: &Answer) -> Value {
    let mut body: Value = serde_json::from_str(&answer.text).expect("the body is JSON");
    if let Some(body) = body.as_object_mut() {
        body.remove("requestId");
    }
    body
}

fn seen(account: &str, position: u64, balance: &Value) -> Seen {
    let number = |name: &str| {
        balance[name]
            .as_str()
            .and_then(|text| text.parse().ok())
            .expect("a number")
    };
    Seen {
        account: account.to_owned(),
        position,
        settled: number("settled"),
        reserved: number("reserved"),
        incoming: number("incoming"),
    }
}

fn rfc3339(at: SystemTime) -> String {
    let since = at.duration_since(UNIX_EPOCH).expect("after 1970");
    let micros = ledger::Micros(i64::try_from(since.as_micros()).expect("before 294246"));
    dialects::time::format(micros)
}
