//! A caller of the API who reads JSON.

use std::cell::RefCell;
use std::collections::BTreeSet;

use dialects::{Found, Method};
use ledger::{AccountId, Owner, Purpose};
use serde_json::{Value, json};
use service::Credentials;

use super::super::world::{Answer, World};

pub(crate) struct Api {
    pub(crate) world: World,
    pub(crate) token: String,
    /// The routes that answered well.
    pub(crate) seen: RefCell<BTreeSet<String>>,
}

/// An answer with its body read.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) answer: Answer,
    pub(crate) body: Value,
}

impl Reply {
    /// Checks the status.
    #[track_caller]
    pub(crate) fn status(self, status: u16) -> Self {
        assert_eq!(self.answer.status, status, "{}", self.answer.body);
        self
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.answer.header(name)
    }

    #[track_caller]
    pub(crate) fn str(&self, pointer: &str) -> String {
        let found = self.body.pointer(pointer).and_then(Value::as_str);
        found
            .unwrap_or_else(|| panic!("no text at {pointer} of {}", self.body))
            .to_owned()
    }

    #[track_caller]
    pub(crate) fn int(&self, pointer: &str) -> u64 {
        let found = self.body.pointer(pointer).and_then(Value::as_u64);
        found.unwrap_or_else(|| panic!("no number at {pointer} of {}", self.body))
    }

    /// Checks that it is a problem with this code, and what RFC 9457 asks for.
    #[track_caller]
    pub(crate) fn problem(self, status: u16, code: &str) -> Self {
        let reply = self.status(status);
        assert_eq!(reply.header("content-type"), Some("application/problem+json"));
        assert_eq!(reply.str("/code"), code, "{}", reply.body);
        assert_eq!(reply.int("/status"), u64::from(status));
        assert_eq!(reply.str("/type"), "about:blank");
        assert_eq!(reply.str("/requestId"), "req-1");
        assert!(!reply.str("/title").is_empty() && !reply.str("/detail").is_empty());
        reply
    }

    /// Checks that it is a bad request because of this field.
    #[track_caller]
    pub(crate) fn bad(self, field: &str) -> Self {
        let reply = self.problem(400, "bad_request");
        assert_eq!(reply.body["field"], field, "{}", reply.body);
        reply
    }
}

impl Api {
    pub(crate) async fn new() -> Self {
        Self::of(World::new().await)
    }

    pub(crate) fn of(world: World) -> Self {
        let token = world.key.token();
        Self {
            world,
            token,
            seen: RefCell::default(),
        }
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let bearer = format!("Bearer {}", self.token);
        let mut all = vec![("Authorization", bearer.as_str())];
        if !headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("content-type"))
        {
            all.push(("Content-Type", "application/json"));
        }
        all.extend_from_slice(headers);
        let target = format!("/api/v1{path}");
        let answer = self.world.ask(method, &target, &all, body).await;
        if answer.status < 300 {
            let path = target.split('?').next().unwrap();
            if let Found::Route { route, .. } = self.world.router.find(Method::parse(method), path) {
                let name = format!("{} {}", route.method.as_str(), route.pattern);
                self.seen.borrow_mut().insert(name);
            }
        }
        let body = match answer.body.as_str() {
            "" => Value::Null,
            text => serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}")),
        };
        Reply { answer, body }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, &[], "").await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Reply {
        self.ask("POST", path, &[], &body.to_string()).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Reply {
        self.ask("PATCH", path, &[], &body.to_string()).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Reply {
        self.ask("PUT", path, &[], &body.to_string()).await
    }

    /// As somebody else.
    pub(crate) async fn as_key(&self, key: &Credentials, method: &str, path: &str, body: Value) -> Reply {
        let bearer = format!("Bearer {}", key.token());
        let headers = [
            ("Authorization", bearer.as_str()),
            ("Content-Type", "application/json"),
        ];
        let body = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        let answer = self
            .world
            .ask(method, &format!("/api/v1{path}"), &headers, &body)
            .await;
        let body = serde_json::from_str(&answer.body).unwrap_or_default();
        Reply { answer, body }
    }

    /// A `main` account of the root client, with 100.00 USD.
    pub(crate) async fn funded(&self) -> AccountId {
        let main = self.account(Purpose::Main).await;
        self.world.post(self.world.external, main, "USD", 10_000).await;
        main
    }

    pub(crate) async fn account(&self, purpose: Purpose) -> AccountId {
        self.world
            .account(Owner::Client(self.world.root), purpose, None)
            .await
    }

    pub(crate) async fn position(&self) -> u64 {
        self.world.service.position(&self.world.caller).await.unwrap().0
    }

    pub(crate) async fn balance(&self, account: AccountId) -> Value {
        let reply = self.get(&format!("/accounts/{account}/balances")).await;
        reply.status(200).body["balances"].clone()
    }
}

/// A plain transfer of USD.
pub(crate) fn transfer(from: AccountId, to: AccountId, amount: &str) -> Value {
    json!({"postings": [posting(from, to, amount)]})
}

pub(crate) fn posting(from: AccountId, to: AccountId, amount: &str) -> Value {
    json!({"from": from.to_string(), "to": to.to_string(), "asset": "USD", "amount": amount})
}

/// A transaction id that is easy to tell.
pub(crate) fn id(nth: u32) -> String {
    format!("01900000-0000-7000-8000-{nth:012}")
}
