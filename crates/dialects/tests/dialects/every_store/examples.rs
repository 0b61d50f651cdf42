//! The examples of the OpenAPI document are requests that are sent here, and what was answered. Ids and secrets, which
//! are new each time, stand there as others of the same form.

use std::collections::{BTreeMap, HashMap};

use dialects::{Found, Method, spelling};
use ledger::{Owner, Purpose, Scopes};
use serde_json::{Map, Value, json};

use super::world::{START, World};

const FILE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../dialects/src/openapi/examples.json"
);

#[tokio::test]
async fn examples_are_answered_like_this() {
    let mut story = Story::new().await;
    story.parties().await;
    story.money().await;
    story.holds().await;
    story.lists().await;
    story.vendors().await;
    story.ends().await;
    story.refusals().await;
    story.refusals_of_vendors().await;
    let told = Value::Object(std::mem::take(&mut story.told));
    for (dialect, _, route) in story.world.router.routes() {
        let id = (route.describe)(story.world.router.config()).id;
        assert!(told.get(id).is_some(), "{}: {id} has no example", dialect.name);
    }
    if std::env::var_os("SALDO_UPDATE").is_some() {
        let text = serde_json::to_string_pretty(&told).unwrap();
        std::fs::write(FILE, text + "\n").unwrap();
        return;
    }
    let known: BTreeMap<String, Value> = serde_json::from_slice(&std::fs::read(FILE).unwrap()).unwrap();
    let told: BTreeMap<String, Value> = serde_json::from_value(told).unwrap();
    for name in known.keys().chain(told.keys()) {
        assert_eq!(
            known.get(name),
            told.get(name),
            "the example `{name}` is answered in another way; if that is meant, write them anew: \
             SALDO_UPDATE=1 cargo test --workspace --test dialects -- examples openapi"
        );
    }
}

struct Story {
    world: World,
    told: Map<String, Value>,
    names: Names,
    /// Ids that later requests are about.
    ids: HashMap<&'static str, String>,
}

impl Story {
    async fn new() -> Self {
        let config = "[native]\nrate_limit_per_minute = 1000";
        Self {
            world: World::with(config).await,
            told: Map::new(),
            names: Names::default(),
            ids: HashMap::new(),
        }
    }

    fn id(&self, name: &str) -> String {
        self.ids[name].clone()
    }

    /// Sends a request of Saldo's own API, and keeps it with its answer as the example of an operation.
    async fn tell(&mut self, name: &str, method: &str, path: &str, body: Value) -> Value {
        let bearer = format!("Bearer {}", self.world.key.token());
        let headers = [
            ("Authorization", bearer.as_str()),
            ("Content-Type", "application/json"),
        ];
        let path = format!("/api/v1{path}");
        self.send(name, method, &path, &headers, body).await
    }

    async fn send(
        &mut self,
        name: &str,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: Value,
    ) -> Value {
        let text = match &body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        let answer = self.world.ask(method, target, headers, &text).await;
        let said: Value = match answer.body.as_str() {
            "" => Value::Null,
            text => serde_json::from_str(text).unwrap(),
        };
        let path = target.split('?').next().unwrap();
        match name.split_once('.') {
            None => {
                assert!(answer.status < 300, "{name}: {}", answer.body);
                let Found::Route { route, .. } = self.world.router.find(Method::parse(method), path) else {
                    panic!("{name}: no route");
                };
                assert_eq!((route.describe)(self.world.router.config()).id, name);
            }
            Some((_, status)) => assert_eq!(answer.status.to_string(), status, "{name}: {}", answer.body),
        }
        let mut example = json!({"status": answer.status});
        if !body.is_null() {
            example["request"] = self.names.fixed(&body);
        }
        if !said.is_null() {
            example["answer"] = self.names.fixed(&said);
        }
        self.told.insert(name.to_owned(), example);
        said
    }

    /// Keeps the id of what was made.
    fn keep(&mut self, name: &'static str, made: &Value) {
        self.ids.insert(name, made["id"].as_str().unwrap().to_owned());
    }

    async fn parties(&mut self) {
        let client = json!({"legalName": "Acme Travel Ltd", "timeZone": "Europe/London"});
        let made = self.tell("createClient", "POST", "/clients", client).await;
        self.keep("client", &made);
        let path = format!("/clients/{}", self.id("client"));
        self.tell("getClient", "GET", &path, Value::Null).await;
        let change = json!({"externalId": "crm-4711", "metadata": {"tier": "gold"}});
        self.tell("updateClient", "PATCH", &path, change).await;
        let key = json!({"label": "read-only", "scopes": ["read"]});
        let made = self.tell("createKey", "POST", &format!("{path}/keys"), key).await;
        self.keep("key", &made);
        let customer = json!({"legalName": "Ada Lovelace", "number": 1815, "externalId": "user-17"});
        let made = self.tell("createCustomer", "POST", "/customers", customer).await;
        self.keep("customer", &made);
        let path = format!("/customers/{}", self.id("customer"));
        self.tell("getCustomer", "GET", &path, Value::Null).await;
        self.tell(
            "updateCustomer",
            "PATCH",
            &path,
            json!({"metadata": {"segment": "vip"}}),
        )
        .await;
        let dunning = json!({"label": "Dunning Level 1", "inDebtCollection": false});
        self.tell("setDunning", "PUT", &format!("{path}/dunning"), dunning)
            .await;
        let account = json!({"ownerId": self.id("customer"), "purpose": "main", "label": "Everyday"});
        let made = self.tell("createAccount", "POST", "/accounts", account).await;
        self.keep("account", &made);
        let path = format!("/accounts/{}", self.id("account"));
        self.tell("getAccount", "GET", &path, Value::Null).await;
        let limits = json!({"limits": [{"asset": "USD", "credit": "5000", "maxBalance": "10000000"}]});
        self.tell("updateAccount", "PATCH", &path, limits).await;
        let asset = json!({"code": "POINTS", "exponent": 0});
        self.tell("registerAsset", "POST", "/assets", asset).await;
        let rates = json!([
            {"base": "EUR", "quote": "USD", "rate": "1.0832", "asOf": "2026-11-20T10:00:00Z", "source": "ECB"}
        ]);
        self.tell("putRates", "PUT", "/rates", rates).await;
    }

    fn posting(&self, amount: &str) -> Value {
        json!({
            "from": self.world.external.to_string(), "to": self.id("account"), "asset": "USD", "amount": amount,
        })
    }

    async fn money(&mut self) {
        let body = json!({"postings": [self.posting("125000")], "reference": "invoice 2026-117"});
        let made = self.tell("postTransaction", "POST", "/transactions", body).await;
        self.keep("transaction", &made);
        let path = format!("/transactions/{}", self.id("transaction"));
        let part = json!({"postings": [{"index": 0, "amount": "2500"}]});
        self.tell("reverseTransaction", "POST", &format!("{path}/reverse"), part)
            .await;
        self.tell("getTransaction", "GET", &path, Value::Null).await;
        let mut back = self.posting("999999999");
        (back["from"], back["to"]) = (back["to"].clone(), back["from"].clone());
        let batch = json!({"transactions": [
            {"id": "01900000-0000-7000-8000-000000000001", "postings": [self.posting("1000")]},
            {"id": "01900000-0000-7000-8000-000000000002", "postings": [back]},
        ]});
        self.tell("postBatch", "POST", "/transactions/batch", batch).await;
    }

    async fn holds(&mut self) {
        let mut back = self.posting("4000");
        (back["from"], back["to"]) = (back["to"].clone(), back["from"].clone());
        let hold = json!({"postings": [back], "hold": {"expiresAt": "2026-11-27T10:00:00Z"}});
        // Not an example: `postTransaction` has one.
        let made = self
            .tell("postTransaction", "POST", "/transactions", hold.clone())
            .await;
        self.keep("hold", &made);
        let path = format!("/holds/{}", self.id("hold"));
        self.tell("getHold", "GET", &path, Value::Null).await;
        let part = json!({"amount": "1500", "final": false});
        self.tell("captureHold", "POST", &format!("{path}/capture"), part)
            .await;
        self.tell(
            "releaseHold",
            "POST",
            &format!("{path}/release"),
            json!({"amount": "500"}),
        )
        .await;
        let body = json!({"postings": [self.posting("300")], "reference": "invoice 2026-118"});
        self.tell("postTransaction", "POST", "/transactions", body).await;
    }

    async fn lists(&mut self) {
        let account = self.id("account");
        let lists = [
            ("listClients", "/clients?limit=2".to_owned()),
            ("listKeysOfClient", format!("/clients/{}/keys", self.id("client"))),
            ("listKeys", "/keys?limit=1".to_owned()),
            ("listCustomers", "/customers?externalId=user-17".to_owned()),
            (
                "listAccounts",
                format!("/accounts?ownerId={}", self.id("customer")),
            ),
            ("getBalances", format!("/accounts/{account}/balances")),
            ("listEntries", format!("/accounts/{account}/entries?limit=1")),
            (
                "listTransactions",
                "/transactions?reference=invoice%202026-118".to_owned(),
            ),
            ("listHolds", format!("/holds?accountId={account}&status=held")),
            ("listAssets", "/assets?limit=2".to_owned()),
            ("listRates", "/rates".to_owned()),
            ("streamEvents", "/events?after=4&limit=1".to_owned()),
            (
                "valueCustomer",
                format!("/customers/{}/valuation?currency=EUR", self.id("customer")),
            ),
        ];
        for (name, path) in lists {
            self.tell(name, "GET", &path, Value::Null).await;
        }
    }

    async fn vendors(&mut self) {
        let owner = Owner::Client(self.world.root);
        self.world.account(owner, Purpose::Main, None).await;
        let customer = ledger::CustomerId(spelling::parse_any(&self.id("customer")).unwrap());
        let member = Owner::Customer(customer);
        let receivable = self.world.account(member, Purpose::Receivable, Some("EUR")).await;
        self.world
            .post(receivable, self.world.external, "EUR", 1990)
            .await;
        let card = self.world.account(member, Purpose::Card, Some("USD")).await;
        self.world.post(self.world.external, card, "USD", 50_000).await;
        let (key, secret) = (self.world.key.api_key(), self.world.key.api_secret());
        let token = self.world.key.token();
        let pair = [("X-API-Key", key.as_str()), ("X-API-Secret", secret.as_str())];
        let path = format!(
            "/customers/{}/account",
            &*spelling::ksuid(spelling::Prefix::Customer, customer.0)
        );
        self.send("conduitCustomerAccount", "GET", &path, &pair, Value::Null)
            .await;
        self.send(
            "conduitClientAccounts",
            "GET",
            "/clients/accounts",
            &pair,
            Value::Null,
        )
        .await;
        let path = "/v1/customers/1815/account/balances";
        let headers = [("X-API-Key", token.as_str())];
        self.send("magiclineAccountBalances", "GET", path, &headers, Value::Null)
            .await;
        let asked = json!({"apiKey": key, "apiSecret": secret});
        let made = self
            .send("polygonToken", "POST", "/v0.9/auth/token", &[], asked)
            .await;
        let bearer = format!("Bearer {}", made["accessToken"].as_str().unwrap());
        let path = format!("/v0.9/customers/{}/balance", &*spelling::typeid(customer.0));
        let headers = [("Authorization", bearer.as_str())];
        self.send("polygonCustomerBalance", "GET", &path, &headers, Value::Null)
            .await;
        let path = format!("/v1/card-balance-accounts/{card}");
        let basic = format!("Basic {token}");
        let headers = [("Authorization", basic.as_str())];
        self.send("lightCardBalanceAccount", "GET", &path, &headers, Value::Null)
            .await;
    }

    /// What takes something away.
    async fn ends(&mut self) {
        let path = format!("/keys/{}", self.id("key"));
        let overlap = json!({"overlapSeconds": 3600});
        self.tell("rotateKey", "POST", &format!("{path}/rotate"), overlap)
            .await;
        self.tell("revokeKey", "DELETE", &path, Value::Null).await;
        let input = service::CreateKey {
            client: None,
            label: String::new(),
            scopes: Scopes::OPERATOR,
            expires_at: None,
        };
        let operator = service::Caller::server();
        let made = self
            .world
            .service
            .create_key(&operator, input, Default::default())
            .await;
        let token = made.unwrap().value.credentials.unwrap().token();
        let bearer = format!("Bearer {token}");
        let headers = [("Authorization", bearer.as_str())];
        let path = "/api/v1/signing-key/rotate";
        self.send(
            "rotateSigningKey",
            "POST",
            path,
            &headers,
            json!({"revokeOld": false}),
        )
        .await;
        let path = format!("/customers/{}/erase", self.id("customer"));
        self.tell("eraseCustomer", "POST", &path, Value::Null).await;
    }

    async fn refusals(&mut self) {
        let account = self.id("account");
        let path = format!("/accounts/{account}/balances");
        self.tell("native.400", "GET", "/accounts/17/balances", Value::Null)
            .await;
        self.tell(
            "native.404",
            "GET",
            "/accounts/01900000-0000-7000-8000-000000000003",
            Value::Null,
        )
        .await;
        self.tell("native.405", "DELETE", &path, Value::Null).await;
        let mut far = self.posting("999999999");
        (far["from"], far["to"]) = (far["to"].clone(), far["from"].clone());
        let body = json!({"postings": [far]});
        self.tell("native.422", "POST", "/transactions", body.clone())
            .await;
        let mut other = body;
        other["id"] = self.id("transaction").into();
        self.tell("native.409", "POST", "/transactions", other).await;
        self.send("native.401", "GET", &format!("/api/v1{path}"), &[], Value::Null)
            .await;
        let bearer = format!("Bearer {}", self.world.key.token());
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", "text/plain")];
        let asset = json!({"code": "X"});
        self.send("native.415", "POST", "/api/v1/assets", &headers, asset)
            .await;
        let headers = [
            ("Authorization", bearer.as_str()),
            ("Saldo-Min-Position", "1000000"),
        ];
        self.send("native.503", "GET", "/api/v1/keys", &headers, Value::Null)
            .await;
        let many: Vec<_> = (0..10_001).map(|_| json!(0)).collect();
        let told = self
            .tell(
                "native.413",
                "POST",
                "/transactions/batch",
                json!({"transactions": many}),
            )
            .await;
        assert_eq!(told["limit"], 10_000);
        let reader = self.world.key(self.world.root, Scopes::READ).await;
        let bearer = format!("Bearer {}", reader.token());
        let headers = [("Authorization", bearer.as_str())];
        let body = json!({"code": "MILES", "exponent": 0});
        self.send("native.403", "POST", "/api/v1/assets", &headers, body)
            .await;
        // Of the ten thousand and one only the answer is worth showing.
        self.told
            .values_mut()
            .filter(|told| told["status"].as_u64() >= Some(400))
            .for_each(|told| {
                told.as_object_mut().unwrap().remove("request");
            });
    }

    async fn refusals_of_vendors(&mut self) {
        let (key, secret) = (self.world.key.api_key(), self.world.key.api_secret());
        let token = self.world.key.token();
        let pair = [("X-API-Key", key.as_str()), ("X-API-Secret", secret.as_str())];
        let conduit = "/customers/cus_000000000000000000000000000/account";
        let magicline = |id: &str| format!("/v1/customers/{id}/account/balances");
        let light = |id: &str| format!("/v1/card-balance-accounts/{id}");
        let member = [("X-API-Key", token.as_str())];
        let basic = format!("Basic {token}");
        let card = [("Authorization", basic.as_str())];
        let none = "01a1f8c3-0000-7000-8000-000000000000";
        self.send("conduit.400", "GET", "/customers/17/account", &pair, Value::Null)
            .await;
        self.send("conduit.401", "GET", conduit, &[], Value::Null).await;
        self.send("conduit.404", "GET", conduit, &pair, Value::Null).await;
        self.send("conduit.405", "DELETE", conduit, &pair, Value::Null)
            .await;
        self.send(
            "magicline.400",
            "GET",
            &magicline("seventeen"),
            &member,
            Value::Null,
        )
        .await;
        self.send("magicline.401", "GET", &magicline("17"), &[], Value::Null)
            .await;
        self.send("magicline.404", "GET", &magicline("17"), &member, Value::Null)
            .await;
        self.send("magicline.405", "DELETE", &magicline("17"), &member, Value::Null)
            .await;
        self.send(
            "polygon.401",
            "GET",
            "/v0.9/customers/cst_1/balance",
            &[],
            Value::Null,
        )
        .await;
        self.send(
            "polygon.405",
            "DELETE",
            "/v0.9/customers/cst_1/balance",
            &[],
            Value::Null,
        )
        .await;
        self.send("light.400", "GET", &light("17"), &card, Value::Null)
            .await;
        self.send("light.401", "GET", &light(none), &[], Value::Null)
            .await;
        self.send("light.404", "GET", &light(none), &card, Value::Null)
            .await;
        self.send("light.405", "DELETE", &light(none), &card, Value::Null)
            .await;
    }
}

/// What is new each time, and what stands for it in examples.
#[derive(Default)]
struct Names(HashMap<u128, u128>);

impl Names {
    /// A body with its ids and secrets replaced.
    fn fixed(&mut self, body: &Value) -> Value {
        match body {
            Value::String(text) => self.text(text).into(),
            Value::Array(items) => items.iter().map(|item| self.fixed(item)).collect(),
            Value::Object(members) => members
                .iter()
                .map(|(name, value)| match name.as_str() {
                    "accessToken" => (
                        name.clone(),
                        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJleGFtcGxlIn0.example".into(),
                    ),
                    // Each store has cursors of its own.
                    "nextCursor" if value.is_string() => (name.clone(), "AAAAAAAAABQAAAAB".into()),
                    _ => (name.clone(), self.fixed(value)),
                })
                .collect(),
            other => other.clone(),
        }
    }

    fn text(&mut self, text: &str) -> String {
        for prefix in ["saldo_pk_", "saldo_sk_", "saldo_"] {
            if let Some(secret) = text.strip_prefix(prefix) {
                return prefix.to_owned() + &"example-".repeat(9)[..secret.len()];
            }
        }
        if text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            // A key that signs tokens.
            return "0123456789abcdef".to_owned();
        }
        let Some(id) = spelling::parse_any(text) else {
            return text.to_owned();
        };
        let count = self.0.len() as u128 + 1;
        let fixed = *self.0.entry(id).or_insert_with(|| {
            // A UUIDv7 of the time at which the story plays.
            let millis = (START.0 / 1000) as u128;
            millis << 80 | 7 << 76 | 2 << 62 | count
        });
        for prefix in spelling::Prefix::ALL {
            if text.starts_with(prefix.as_str()) {
                return spelling::ksuid(prefix, fixed).to_string();
            }
        }
        match text.starts_with("cst_") {
            true => spelling::typeid(fixed).to_string(),
            false => spelling::uuid(fixed).to_string(),
        }
    }
}
