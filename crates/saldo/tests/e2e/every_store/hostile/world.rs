//! The server that is under attack, its keys, and somebody who behaves.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use crate::harness::{Client, Home, Random, Server, settled, transaction};

/// What the one who behaves posts. Nothing else in the sandbox is counted in it.
const ASSET: &str = "CAD";
/// What requests post that are hidden in others. Nobody posts it in earnest.
const HIDDEN: &str = "ISK";

/// A route with what it needs to answer 200.
pub(super) struct Way {
    pub(super) name: &'static str,
    /// Its path up to the id, the id, and what is behind it.
    pub(super) path: [String; 3],
    /// Lines of its head.
    pub(super) key: String,
}

impl Way {
    pub(super) fn whole(&self) -> String {
        self.path.concat()
    }

    /// The path with another id.
    pub(super) fn with(&self, id: &str) -> String {
        let [before, _, behind] = &self.path;
        format!("{before}{id}{behind}")
    }
}

/// A server on a store with a world, as `saldo serve` serves it.
pub(super) struct World {
    pub(super) server: Server,
    pub(super) home: Home,
    /// A route of each wire format with an id in its path.
    pub(super) ways: Vec<Way>,
    /// The head's line with the key of the native API.
    pub(super) key: String,
    /// The body of a request for a token.
    pub(super) pair: String,
    native: Client,
    main: String,
    external: String,
}

impl World {
    pub(super) fn new(home: Home) -> Self {
        let sandbox = home.sandbox();
        let on_card = |pointer| sandbox.on_card(pointer);
        let token = on_card("/native/token");
        let pair = json!({"apiKey": on_card("/polygon/apiKey"), "apiSecret": on_card("/polygon/apiSecret")});
        let signed = Client::to(&sandbox.server.url)
            .post("/v0.9/auth/token", &pair)
            .json(200);
        let signed = signed["accessToken"].as_str().expect("a token");
        let way = |name, before: &str, id, behind: &str, key| Way {
            name,
            path: [before.to_owned(), on_card(id), behind.to_owned()],
            key,
        };
        let key = format!("Authorization: Bearer {token}\r\n");
        let conduit = format!(
            "X-API-Key: {}\r\nX-API-Secret: {}\r\n",
            on_card("/conduit/apiKey"),
            on_card("/conduit/apiSecret")
        );
        let magicline = format!("X-API-KEY: {}\r\n", on_card("/magicline/apiKey"));
        let polygon = format!("Authorization: Bearer {signed}\r\n");
        let light = format!("Authorization: Basic {}\r\n", on_card("/light/apiKey"));
        let ways = vec![
            way(
                "native",
                "/api/v1/accounts/",
                "/accounts/main",
                "/balances",
                key.clone(),
            ),
            way(
                "conduit",
                "/customers/",
                "/conduit/customerId",
                "/account",
                conduit,
            ),
            way(
                "magicline",
                "/v1/customers/",
                "/magicline/customerId",
                "/account/balances",
                magicline,
            ),
            way(
                "polygon",
                "/v0.9/customers/",
                "/polygon/customerId",
                "/balance",
                polygon,
            ),
            way(
                "light",
                "/v1/card-balance-accounts/",
                "/light/accountId",
                "",
                light,
            ),
        ];
        let (main, external) = (on_card("/accounts/main"), on_card("/accounts/external"));
        let pair = pair.to_string();
        let (stopped, log) = sandbox.server.stop();
        assert!(stopped.success(), "{log}");
        // Nobody here is slow by intention of the limits: a key is used more than 300 times a minute.
        let config = home.path().join("config.toml");
        let unlimited = "[magicline]\nrate_limit_per_minute = 0\n[light]\nrate_limit_per_minute = 0\n";
        std::fs::write(&config, unlimited).expect("a file");
        let config = config.to_str().expect("text").to_owned();
        let server = Server::start(
            &["serve", "--store", &home.store(), "--config", &config],
            home.path(),
        );
        Self {
            native: Client::to(&server.url).bearing(&token),
            server,
            home,
            ways,
            key,
            pair,
            main,
            external,
        }
    }

    pub(super) fn address(&self) -> &str {
        self.server.url.strip_prefix("http://").expect("a URL")
    }

    /// A whole request that posts what nobody posts in earnest.
    pub(super) fn hidden(&self, random: &mut Random) -> String {
        let body = transaction(&random.uuid(), &self.external, &self.main, HIDDEN, 1).to_string();
        self.post("/api/v1/transactions", &body)
    }

    /// A request with a body for the native API.
    pub(super) fn post(&self, path: &str, body: &str) -> String {
        let length = body.len();
        format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\n{}Content-Length: {length}\r\n\r\n{body}",
            self.key
        )
    }

    /// Posts and reads as long as it is told to, and is served exactly; answers how often.
    pub(super) fn behave(&self, over: &AtomicBool) -> u64 {
        let before = settled(&self.native, &self.main, ASSET);
        let mut random = Random(7);
        let mut posted = 0;
        while !over.load(Ordering::Acquire) {
            let one = transaction(&random.uuid(), &self.external, &self.main, ASSET, 1);
            let answer = self.native.post("/api/v1/transactions", &one);
            assert_eq!(answer.status, 201, "{}", answer.text);
            posted += 1;
            let now = settled(&self.native, &self.main, ASSET);
            assert_eq!(now - before, i128::from(posted));
        }
        posted
    }

    /// How many of the hidden requests were taken for requests.
    pub(super) fn taken(&self) -> i128 {
        settled(&self.native, &self.main, HIDDEN)
    }
}
