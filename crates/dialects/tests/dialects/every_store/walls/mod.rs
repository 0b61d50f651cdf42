//! The walls between those who share a server: every route, asked with every kind of id that is somebody else's, answers
//! as to an id that nobody has, to the byte.
//!
//! The ids are of another tenant, of the asker's parent, and of a sibling. Two things are known across the walls of one
//! book on purpose, since they are unique in it: the `id` that a caller chooses for a new transaction (`id_taken`), and
//! the `number` it chooses for a new customer (`number_taken`).

mod places;
mod tenant;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use dialects::Found;
use ledger::Scopes;
use serde_json::Value;
use service::auth::CLIENT_SCOPES;

use self::places::{PLACES, Place};
use self::tenant::{Tenant, spelled, spellings};
use super::world::World;

/// A server with a parent, two subsidiaries and a stranger, each with something of every kind.
struct Street {
    world: World,
    parent: Tenant,
    one: Tenant,
    other: Tenant,
    stranger: Tenant,
}

/// Who asks, and of whom they must learn nothing.
struct Walk<'a> {
    world: &'a World,
    asker: &'a Tenant,
    others: Vec<&'a Tenant>,
    /// Of everything that is theirs, whatever would give it away.
    traces: Vec<String>,
    /// How many ids were made for `#`.
    new_ids: AtomicU64,
}

/// All of an answer that could tell two apart, and by how much it moved the asker's book.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
    moved: u64,
}

/// What stands for `@` and `~` in a request.
struct Named {
    what: String,
    id: String,
    text: String,
}

impl Street {
    async fn new() -> Self {
        // Without limits: the walk is longer than what they allow.
        let world =
            World::with("[magicline]\nrate_limit_per_minute = 0\n[light]\nrate_limit_per_minute = 0").await;
        let subsidiaries = [world.subsidiary("one").await, world.subsidiary("other").await];
        let [one, other] = subsidiaries;
        let keys = [
            world.key(one, CLIENT_SCOPES).await,
            world.key(other, CLIENT_SCOPES).await,
        ];
        let [one_key, other_key] = keys;
        let stranger = world.stranger().await;
        let strangers = world
            .service
            .authenticate_token(&stranger.token())
            .await
            .unwrap()
            .root;
        Self {
            parent: Tenant::new(&world, "parent", world.root, world.key.clone(), 303).await,
            one: Tenant::new(&world, "one", one, one_key, 101).await,
            other: Tenant::new(&world, "sibling", other, other_key, 202).await,
            stranger: Tenant::new(&world, "stranger", strangers.unwrap(), stranger, 404).await,
            world,
        }
    }

    fn walk<'a>(&'a self, asker: &'a Tenant, others: Vec<&'a Tenant>) -> Walk<'a> {
        let own = asker.traces();
        let mut traces: Vec<_> = others.iter().flat_map(|other| other.traces()).collect();
        // A subsidiary is told who its parent is.
        let known = asker
            .caller
            .root
            .map(|root| spellings(root.0))
            .unwrap_or_default();
        traces.retain(|trace| !own.contains(trace) && !known.contains(trace));
        Walk {
            world: &self.world,
            asker,
            others,
            traces,
            // Whoever asks, no two ask for the same.
            new_ids: AtomicU64::new(u64::try_from(asker.number).unwrap() << 32),
        }
    }

    /// Everything that each of them sees of their own.
    async fn everything(&self) -> Vec<String> {
        let mut all = Vec::new();
        for tenant in [&self.stranger, &self.other, &self.one, &self.parent] {
            for list in [
                "clients",
                "keys",
                "customers",
                "accounts",
                "transactions",
                "holds",
            ] {
                let target = format!("/api/v1/{list}?limit=1000");
                let answer = tenant.ask(&self.world, "native", "GET", &target, "").await;
                assert_eq!(answer.status, 200, "{}", answer.body);
                all.push(answer.body);
            }
        }
        all
    }
}

impl Walk<'_> {
    /// Asks with what is somebody's and with what is nobody's: the answers must be the same.
    async fn compare(
        &self,
        dialect: &str,
        method: &str,
        target: &str,
        body: &str,
        theirs: &Named,
        nobodys: &Named,
    ) {
        let told = self.seen(dialect, method, target, body, theirs).await;
        let nothing = self.seen(dialect, method, target, body, nobodys).await;
        let asked = format!(
            "{} asks {method} {target} {body} for {}",
            self.asker.name, theirs.what
        );
        assert_eq!(told, nothing, "{asked}");
        let is_head = method == "HEAD";
        match told.status {
            404 => assert!(
                is_head
                    || told
                        .body
                        .to_lowercase()
                        .replace(['_', ' '], "")
                        .contains("notfound"),
                "{asked}: {told:?}"
            ),
            422 => assert!(told.body.contains("_not_found\""), "{asked}: {told:?}"),
            // A list of nothing, and a batch of which nothing was booked.
            200 if target.contains('?') => {
                assert!(is_head || told.body == r#"{"items":[]}"#, "{asked}: {told:?}")
            }
            200 if target.ends_with("/batch") => {
                assert!(told.body.contains("_not_found\""), "{asked}: {told:?}")
            }
            // That the path is there, and whether the key works, is no secret.
            405 => {}
            200 if dialect == "magicline" && is_head => {}
            // The wire format takes no such spelling, whosever it is.
            400 => assert!(dialect == "conduit", "{asked}: {told:?}"),
            _ => panic!("{asked}: {told:?}"),
        }
    }

    /// What is answered, with `@`, `~` and `#` again where it repeats what was asked.
    async fn seen(&self, dialect: &str, method: &str, target: &str, body: &str, named: &Named) -> Seen {
        let new = format!(
            "01900000-0000-7000-8000-{:012x}",
            self.new_ids.fetch_add(1, Ordering::Relaxed)
        );
        let fill = |text: &str| {
            let text = text.replace('@', &named.id).replace('~', &named.text);
            text.replace('$', &self.asker.main).replace('#', &new)
        };
        let before = self.position().await;
        let answer = self
            .asker
            .ask(self.world, dialect, method, &fill(target), &fill(body))
            .await;
        let moved = self.position().await - before;
        let uuid = dialects::spelling::parse_any(&named.id).map(|id| spellings(id)[0].clone());
        let unfill = |text: &str| {
            let text = text
                .replace(&named.id, "@")
                .replace(&named.text, "~")
                .replace(&new, "#");
            uuid.iter().fold(text, |text, uuid| text.replace(uuid, "@"))
        };
        let body =
            unfill(&answer.body).replace(&format!("\"position\":{}", before + moved), "\"position\":now");
        let headers = answer.headers.iter().map(|(name, value)| match name.as_str() {
            "saldo-position" => (name.clone(), (value.parse::<u64>().unwrap() - before).to_string()),
            _ => (name.clone(), unfill(value)),
        });
        let seen = Seen {
            status: answer.status,
            headers: headers.collect(),
            body,
            moved,
        };
        self.check_traces(&format!("{method} {target}"), &format!("{seen:?}"));
        seen
    }

    fn check_traces(&self, asked: &str, told: &str) {
        for trace in &self.traces {
            assert!(
                !told.contains(trace.as_str()),
                "{} asks {asked} and sees {trace} in {told}",
                self.asker.name
            );
        }
    }

    async fn position(&self) -> u64 {
        self.world.service.position(&self.asker.caller).await.unwrap().0
    }

    /// Every id of the others as this wire format takes it, with one beside it that nobody has.
    fn named(&self, dialect: &str) -> Vec<[Named; 2]> {
        let mut all = Vec::new();
        for other in &self.others {
            let named = |what: &str, id: String, text: &str| Named {
                what: format!("the {}'s {what}", other.name),
                id,
                text: text.to_owned(),
            };
            let mut pair = |what: &str, theirs: String, nobodys: String| {
                let nobodys = Named {
                    what: "nobody's".to_owned(),
                    ..named(what, nobodys, "nobody-only")
                };
                all.push([named(what, theirs, &other.word), nobodys]);
            };
            if dialect == "magicline" {
                pair("number", other.number.to_string(), "8888".to_owned());
                continue;
            }
            for (kind, id) in &other.ids {
                // The asker knows its parent by name, and is itself a parent's subsidiary.
                let ids = spelled(dialect, *id).into_iter().zip(spelled(dialect, id ^ 1));
                ids.for_each(|(theirs, nobodys)| pair(kind, theirs, nobodys));
            }
        }
        all
    }

    /// All routes, with all that is the others'.
    async fn every_route(&self) {
        for (dialect, path, route) in self.world.router.routes() {
            let method = route.method.as_str();
            let name = format!("{} {method} {}", dialect.name, route.pattern);
            let place = PLACES.iter().find(|place| place.route == name);
            let place = place.unwrap_or_else(|| panic!("where does {name} take ids? say so in places.rs"));
            let path = varying(&path);
            for ask in place.asks {
                let (target, body) = match ask.starts_with('?') {
                    true => (format!("{path}{ask}"), ""),
                    false => (path.clone(), *ask),
                };
                self.ask_all(dialect.name, method, &target, body).await;
                if method == "GET" {
                    self.ask_all(dialect.name, "HEAD", &target, body).await;
                }
            }
            self.other_methods(dialect.name, &path).await;
        }
    }

    async fn ask_all(&self, dialect: &str, method: &str, target: &str, body: &str) {
        if !format!("{target}{body}").contains(['@', '~']) {
            let answer = self.asker.ask(self.world, dialect, method, target, body).await;
            assert_eq!(answer.status, 200, "{method} {target}: {}", answer.body);
            self.check_traces(target, &format!("{answer:?}"));
            return;
        }
        for [theirs, nobodys] in self.named(dialect) {
            self.compare(dialect, method, target, body, &theirs, &nobodys)
                .await;
        }
    }

    async fn other_methods(&self, dialect: &str, path: &str) {
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            let found = self.world.router.find(dialects::Method::parse(method), path);
            if path.contains('@') && matches!(found, Found::OtherMethods { .. }) {
                self.ask_all(dialect, method, path, "").await;
            }
        }
    }
}

/// A path of the router with `@` where it varies.
fn varying(path: &str) -> String {
    let segments = path.split('/').map(|segment| match segment.starts_with('{') {
        true => "@",
        false => segment,
    });
    segments.collect::<Vec<_>>().join("/")
}

/// A subsidiary learns nothing of its parent, of a sibling, of a stranger; nor a parent of a stranger; nor a stranger of anybody.
#[tokio::test]
async fn what_is_somebody_elses_is_like_what_is_nobodys() {
    let street = Street::new().await;
    let Street {
        parent,
        one,
        other,
        stranger,
        ..
    } = &street;
    let before = street.everything().await;
    for (asker, others) in [
        (one, vec![parent, other, stranger]),
        (parent, vec![stranger]),
        (stranger, vec![parent, one]),
    ] {
        street.walk(asker, others).every_route().await;
    }
    assert_eq!(
        street.everything().await,
        before,
        "nothing of anybody's was changed"
    );
}

/// The table of places is the routes' own: each parameter, and each member of a body.
#[tokio::test]
async fn every_place_for_an_id_is_known() {
    let street = Street::new().await;
    let known: BTreeSet<_> = PLACES.iter().map(|place| place.route).collect();
    let walk = street.walk(&street.one, vec![&street.other]);
    let routes = street.world.router.routes();
    let routes: Vec<_> = routes
        .map(|(dialect, path, route)| (dialect.name, varying(&path), route))
        .collect();
    assert_eq!(
        routes.len(),
        known.len(),
        "places.rs names a route that is not there, or one twice"
    );
    for (dialect, path, route) in routes.into_iter().filter(|(dialect, ..)| *dialect == "native") {
        let method = route.method.as_str();
        let name = format!("{dialect} {method} {}", route.pattern);
        let Place { query, members, .. } = PLACES.iter().find(|place| place.route == name).unwrap();
        let path = path.replace('@', &spellings(7)[0]);
        let (target, body, expected) = match method {
            "GET" => (format!("{path}?zzz=1"), "", query),
            "DELETE" => continue,
            _ if name.ends_with("/signing-key/rotate") => continue,
            _ if path.ends_with("/rates") => (path, r#"[{"zzz":1}]"#, members),
            _ => (path, r#"{"zzz":1}"#, members),
        };
        let answer = walk.asker.ask(walk.world, dialect, method, &target, body).await;
        assert_eq!(answer.status, 400, "{name}: {}", answer.body);
        let told: Value = serde_json::from_str(&answer.body).unwrap();
        let detail = told["detail"].as_str().unwrap();
        // "`zzz` is not known here; these are: `a`, `b`"
        let told: BTreeSet<_> = detail
            .split('`')
            .skip(3)
            .step_by(2)
            .filter(|name| !name.is_empty())
            .collect();
        let expected: BTreeSet<_> = expected.split_whitespace().collect();
        assert_eq!(told, expected, "{name}: {detail}");
    }
}

/// A cursor is a place in whatever list it is sent to, and opens nothing. Who has reached its end is not told of more.
#[tokio::test]
async fn cursors_of_others_show_nothing_of_theirs() {
    let street = Street::new().await;
    let Street {
        parent,
        one,
        other,
        stranger,
        world,
    } = &street;
    let walk = street.walk(one, vec![parent, other, stranger]);
    let lists = [
        "clients",
        "keys",
        "customers",
        "accounts",
        "transactions",
        "holds",
    ]
    .map(str::to_owned);
    let within = [format!("accounts/{}/entries", one.main)];
    for list in lists.into_iter().chain(within) {
        let list = format!("/api/v1/{list}");
        let items = async |query: &str| {
            let answer = one
                .ask(world, "native", "GET", &format!("{list}{query}"), "")
                .await;
            assert_eq!(answer.status, 200, "{list}{query}: {}", answer.body);
            walk.check_traces(&list, &format!("{answer:?}"));
            let body: Value = serde_json::from_str(&answer.body).unwrap();
            (
                body["items"].as_array().unwrap().clone(),
                body["nextCursor"].as_str().map(str::to_owned),
            )
        };
        let (own, next) = items("?limit=1000").await;
        assert!(!own.is_empty() && next.is_none(), "{list}");
        let (exact, next) = items(&format!("?limit={}", own.len())).await;
        assert_eq!(
            (exact, next),
            (own.clone(), None),
            "{list}: is there more that is not shown?"
        );
        let whole = if list.contains("/entries") {
            "/api/v1/transactions".to_owned()
        } else {
            list.clone()
        };
        for tenant in [parent, other, stranger] {
            let mut cursor = String::new();
            loop {
                let target = format!("{whole}?limit=1{cursor}");
                let answer = tenant.ask(world, "native", "GET", &target, "").await;
                let body: Value = serde_json::from_str(&answer.body).unwrap();
                let Some(next) = body["nextCursor"].as_str() else {
                    break;
                };
                cursor = format!("&cursor={next}");
                let (shown, _) = items(&format!("?limit=1000{cursor}")).await;
                assert!(own.ends_with(&shown), "{list}: {shown:?}");
            }
        }
    }
}

/// A position that only another book has reached is one that nobody has.
#[tokio::test]
async fn positions_of_other_books_are_not_reached() {
    let street = Street::new().await;
    let Street {
        one, stranger, world, ..
    } = &street;
    // The stranger's book is the shorter one: here the others' positions are further than it is.
    let here = world.service.position(&stranger.caller).await.unwrap().0;
    let there = world.service.position(&one.caller).await.unwrap().0;
    assert!(here < there);
    let mut answers = Vec::new();
    for position in [there, there + 1_000_000] {
        let position = position.to_string();
        let path = format!("/api/v1/accounts/{}/balances", stranger.main);
        let wait = [("Saldo-Min-Position", position.as_str())];
        let waited = stranger.ask_with(world, "native", "GET", &path, &wait, "").await;
        let asked = stranger
            .ask(world, "native", "GET", &format!("{path}?position={position}"), "")
            .await;
        // What is asked as of a position that is not there yet is answered as of now.
        assert_eq!([waited.status, asked.status], [503, 200], "{waited:?} {asked:?}");
        // Word by word: its digits may be in an id, too.
        let unnamed = |answer| {
            let text = format!("{answer:?}");
            let words = text.split(|c: char| !c.is_ascii_alphanumeric());
            let words = words.map(|word| if word == position { "N" } else { word });
            words.collect::<Vec<_>>().join(" ")
        };
        answers.push([waited, asked].map(unnamed));
    }
    assert_eq!(answers[0], answers[1]);
}

/// Who names another's book is told the same whether it is there or not.
#[tokio::test]
async fn books_of_others_are_not_there() {
    let street = Street::new().await;
    let Street {
        parent,
        one,
        other,
        stranger,
        world,
    } = &street;
    let client = |tenant: &Tenant| spellings(tenant.ids[0].1);
    for (asker, theirs) in [
        (one, stranger),
        (one, other),
        (parent, stranger),
        (stranger, parent),
        (stranger, one),
    ] {
        let [theirs, ..] = client(theirs);
        let [nobodys, ..] = spellings(7);
        let mut told = Vec::new();
        for book in [&theirs, &nobodys] {
            let headers = [("Saldo-Book", book.as_str())];
            let answer = asker
                .ask_with(world, "native", "GET", "/api/v1/customers", &headers, "")
                .await;
            assert_eq!(answer.status, 403, "{}", answer.body);
            told.push(format!("{answer:?}").replace(book.as_str(), "@"));
        }
        assert_eq!(told[0], told[1]);
    }
}

/// The public half of somebody's key, and their signed token's shape, tell nothing about whether the key is there.
#[tokio::test]
async fn a_public_half_opens_nothing() {
    let street = Street::new().await;
    let Street { stranger, world, .. } = &street;
    let nobody = world.key(world.root, Scopes::READ).await;
    world.revoke(&nobody).await;
    let wrong = street.one.api_key().replace("saldo_pk_", "saldo_sk_");
    for secret in ["", "x", &wrong, &world.key.api_secret()] {
        let mut told = Vec::new();
        for key in [stranger.api_key(), nobody.api_key()] {
            let headers = [("X-API-Key", key.as_str()), ("X-API-Secret", secret)];
            let pair = world.ask("GET", "/clients/accounts", &headers, "").await;
            let body = serde_json::json!({"apiKey": key, "apiSecret": secret}).to_string();
            let exchanged = world.ask("POST", "/v0.9/auth/token", &[], &body).await;
            let alone = world
                .ask("GET", "/v1/customers/404/account/balances", &headers[..1], "")
                .await;
            assert_eq!(
                [pair.status, exchanged.status, alone.status],
                [401; 3],
                "{exchanged:?}"
            );
            told.push(format!("{pair:?}{exchanged:?}{alone:?}"));
        }
        assert_eq!(told[0], told[1]);
    }
}
