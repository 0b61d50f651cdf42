//! Bodies are read strictly: each fault is named, and nothing is recorded.

use dialects::{Body, Method, Request};
use serde_json::{Value, json};

use ledger::Purpose;

use super::api::{Api, Reply, id, posting, transfer};

/// Every route that takes a body: the route, a body that it takes, and the fields that must be there. The faults are
/// made from these.
const TABLE: &str = r#"
POST /transactions | {"id":"$id","postings":[$posting],"reference":"r","effectiveAt":"$time","hold":{"expiresAt":"$later"},"force":true,$notes} | postings postings[0].from postings[0].to postings[0].asset postings[0].amount
POST /transactions/batch | {"transactions":[{"id":"$id","postings":[$posting],"reference":"r","hold":{},"force":true,$notes}],"atomic":true} | transactions transactions[0].id transactions[0].postings transactions[0].postings[0].amount
POST /transactions/$posted/reverse | {"postings":[$part],"force":false} | postings[0].index postings[0].amount
POST /holds/$hold/capture | {"postings":[$part],"final":false,"allowOver":true,"force":false} | postings[0].index postings[0].amount
POST /holds/$hold/capture | {"amount":"1"} |
POST /holds/$hold/release | {"amount":"1"} |
POST /holds/$hold/release | {"postings":[$part]} | postings[0].index postings[0].amount
POST /clients | {"legalName":"S","parentId":"$root","timeZone":"UTC",$notes} | legalName
PATCH /clients/$root | {"legalName":"S","timeZone":"UTC",$notes} |
POST /clients/$root/keys | {"label":"l","scopes":["read"],"expiresAt":"$later"} | label scopes
POST /keys/$key/rotate | {"overlapSeconds":1,"expiresAt":"$later"} |
POST /customers | {"legalName":"S","clientId":"$root","number":9,$notes} | legalName
PATCH /customers/$customer | {"legalName":"S",$notes} |
PUT /customers/$customer/dunning | {"label":"l","inDebtCollection":true} | inDebtCollection
POST /accounts | {"ownerId":"$root","purpose":"main","label":"l","currency":"USD","primary":true,"limits":[$limit],$notes} | ownerId purpose limits[0].asset
PATCH /accounts/$main | {"label":"l","status":"active","limits":[$limit],"primary":true,$notes} | limits[0].asset
POST /assets | {"code":"PTS","network":"n","exponent":2,"kind":"custom"} | code exponent
PUT /rates | [{"base":"EUR","quote":"USD","rate":"1.0832","asOf":"$time","source":"s"}] | [0].base [0].quote [0].rate [0].asOf [0].source
"#;

/// A row of the table.
struct Case {
    method: String,
    path: String,
    good: Value,
    needed: Vec<String>,
}

async fn cases(api: &Api) -> Vec<Case> {
    let main = api.funded().await;
    let customer = api.post("/customers", json!({"legalName": "C"})).await.str("/id");
    let keys = format!("/clients/{}/keys", api.world.root);
    let key = api.post(&keys, json!({"label": "", "scopes": ["read"]})).await;
    let mut held = transfer(main, api.world.external, "10");
    let posted = api.post("/transactions", held.clone()).await.str("/id");
    held["hold"] = json!({});
    let hold = api.post("/transactions", held).await.str("/id");
    let words = [
        ("$posting", posting(main, api.world.external, "10").to_string()),
        ("$posted", posted),
        ("$part", json!({"index": 0, "amount": "1"}).to_string()),
        (
            "$limit",
            json!({"asset": "USD", "credit": "1", "maxBalance": "9"}).to_string(),
        ),
        ("$notes", r#""externalId":"e","metadata":{"k":1}"#.to_owned()),
        ("$time", "2026-11-20T10:39:00Z".to_owned()),
        ("$later", "2027-11-20T10:39:00Z".to_owned()),
        ("$key", key.str("/id")),
        ("$customer", customer),
        ("$hold", hold),
        ("$id", id(1)),
        ("$main", main.to_string()),
        ("$root", api.world.root.to_string()),
    ];
    let row = |line: &str| {
        let line = words
            .iter()
            .fold(line.to_owned(), |line, (word, text)| line.replace(word, text));
        let [route, good, needed] = line.split(" |").collect::<Vec<_>>().try_into().unwrap();
        let (method, path) = route.split_once(' ').unwrap();
        Case {
            method: method.to_owned(),
            path: path.to_owned(),
            good: serde_json::from_str(good).unwrap(),
            needed: needed.split_whitespace().map(str::to_owned).collect(),
        }
    };
    TABLE.trim().lines().map(row).collect()
}

/// The paths of all that is in a body, as problems name them, each with the pointer to it.
fn places(value: &Value, path: &str, pointer: &str, found: &mut Vec<(String, String)>) {
    if !path.is_empty() {
        found.push((path.to_owned(), pointer.to_owned()));
    }
    match value {
        // What is in metadata is the caller's business.
        Value::Object(members) if !path.ends_with("metadata") => {
            for (name, member) in members {
                let dot = if path.is_empty() { "" } else { "." };
                places(
                    member,
                    &format!("{path}{dot}{name}"),
                    &format!("{pointer}/{name}"),
                    found,
                );
            }
        }
        Value::Array(items) => {
            for (nth, item) in items.iter().enumerate() {
                places(
                    item,
                    &format!("{path}[{nth}]"),
                    &format!("{pointer}/{nth}"),
                    found,
                );
            }
        }
        _ => {}
    }
}

/// What a change of a value may clear.
fn clears(case: &Case, path: &str) -> bool {
    let notes = ["externalId", "metadata"].contains(&path) && case.method == "PATCH";
    notes || case.path.ends_with("/dunning") && path == "label"
}

/// What no field may be, unless [`may_be`] says so.
fn wrong_values() -> Vec<Value> {
    serde_json::from_str(r#"[null, 1, 1.5, -1, true, "\u0000", [], {}, [[]], {"x": 1}]"#).unwrap()
}

impl Case {
    fn places(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        places(&self.good, "", "", &mut found);
        found
    }

    /// The body with this JSON in place of what is there.
    fn with(&self, pointer: &str, json: &str) -> String {
        let mut body = self.good.clone();
        *body.pointer_mut(pointer).unwrap() = json!("@@");
        body.to_string().replace("\"@@\"", json)
    }

    /// The object that has this member, the member's name, and the body without it.
    fn without<'a>(&self, pointer: &'a str) -> Option<(&'a str, &'a str, Value)> {
        let (parent, name) = pointer.rsplit_once('/')?;
        let mut body = self.good.clone();
        body.pointer_mut(parent)?.as_object_mut()?.remove(name)?;
        Some((parent, name, body))
    }

    async fn ask(&self, api: &Api, body: &str) -> Reply {
        api.ask(&self.method, &self.path, &[], body).await
    }
}

impl Reply {
    /// A bad request because of this field, or of what is in it.
    #[track_caller]
    fn bad_in(self, path: &str) -> Self {
        let reply = self.problem(400, "bad_request");
        let field = reply.str("/field");
        let inside = field.strip_prefix(path);
        let inside = inside.unwrap_or_else(|| panic!("{field} for {path}: {}", reply.body));
        assert!(
            inside.is_empty() || inside.starts_with(['.', '[']),
            "{field} for {path}"
        );
        reply
    }
}

/// Every field of every body, as everything that it may not be.
#[tokio::test]
async fn each_fault_names_its_field_and_records_nothing() {
    let api = Api::new().await;
    let cases = cases(&api).await;
    let (before, accounts) = (api.position().await, api.get("/accounts").await.body);
    let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
    let mut asked = 0;
    for case in &cases {
        for (path, pointer) in case.places() {
            let good = case.good.pointer(&pointer).unwrap();
            let clears = |value: &Value| value.is_null() && clears(case, &path);
            for value in wrong_values() {
                if !may_be(good, &value, &path) && !clears(&value) {
                    let body = case.with(&pointer, &value.to_string());
                    case.ask(&api, &body).await.bad_in(&path);
                    asked += 1;
                }
            }
            case.ask(&api, &case.with(&pointer, &deep)).await.bad_in(&path);
            let Some((parent, name, mut body)) = case.without(&pointer) else {
                continue;
            };
            if case.needed.contains(&path) {
                let reply = case.ask(&api, &body.to_string()).await.bad(&path);
                assert!(reply.str("/detail").contains("is missing"), "{}", reply.body);
            }
            let object = body.pointer_mut(parent).unwrap().as_object_mut().unwrap();
            object.insert(format!("{name}s"), good.clone());
            case.ask(&api, &body.to_string()).await.bad(&format!("{path}s"));
            let (text, marked) = (good.to_string(), case.with(&pointer, "\"@@\""));
            let twice = marked.replace("\"@@\"", &format!("{text},\"{name}\":{text}"));
            let reply = case.ask(&api, &twice).await.bad(&path);
            assert!(reply.str("/detail").contains("twice"), "{}", reply.body);
        }
    }
    assert!(asked > 500, "{asked}");
    assert_eq!(api.position().await, before);
    assert_eq!(api.get("/accounts").await.body, accounts);
}

/// What the faults are made from is no fault.
#[tokio::test]
async fn the_table_is_taken() {
    let api = Api::new().await;
    for case in cases(&api).await {
        let reply = case.ask(&api, &case.good.to_string()).await;
        assert!(
            reply.answer.status < 300,
            "{} {}: {}",
            case.method,
            case.path,
            reply.answer.body
        );
    }
}

/// Whether a value is one that the field may have, given one that it has.
fn may_be(good: &Value, value: &Value, path: &str) -> bool {
    match (good, value) {
        (Value::Bool(_), Value::Bool(_)) => true,
        (Value::Number(_), Value::Number(number)) => number.as_i64() == Some(1),
        (Value::Object(_), Value::Object(members)) => {
            path.ends_with("metadata")
                || path == "hold" && members.is_empty()
                || path.ends_with(".hold") && members.is_empty()
        }
        (Value::Array(_), Value::Array(items)) => items.is_empty() && path == "limits",
        _ => false,
    }
}

/// Amounts wherever they stand.
#[tokio::test]
async fn amounts_have_one_spelling() {
    let api = Api::new().await;
    let cases = cases(&api).await;
    let (before, accounts) = (api.position().await, api.get("/accounts").await.body);
    let wrong = [
        "1e5",
        "-1",
        "+1",
        "01",
        "00",
        "1.0",
        "1,0",
        "",
        " ",
        " 1",
        "1 ",
        "0x1",
        "½",
        "١",
        "NaN",
        "1_0",
        "1234567890123456789012345678901234567890",
        "170141183460469231731687303715884105728",
        "null",
    ];
    for case in &cases {
        let found = case.places();
        let amounts = ["amount", "credit", "maxBalance"];
        for (path, pointer) in found
            .iter()
            .filter(|(path, _)| amounts.iter().any(|name| path.ends_with(name)))
        {
            for text in wrong {
                let body = case.with(pointer, &json!(text).to_string());
                let reply = case.ask(&api, &body).await.bad(path);
                assert!(
                    reply.str("/detail").contains("a string of minor units, such as"),
                    "{}",
                    reply.body
                );
            }
            for number in [
                "10",
                "1e999",
                "123456789012345678901234567890123456789012345678901234567890",
                "-0.0",
            ] {
                let body = case.with(pointer, number);
                let reply = case.ask(&api, &body).await.bad(path);
                assert!(reply.str("/detail").ends_with("not a number"), "{}", reply.body);
            }
        }
    }
    assert_eq!(api.position().await, before);
    assert_eq!(api.get("/accounts").await.body, accounts);
    // The largest is one; and nothing is one that the ledger refuses.
    let (one, other) = (
        api.account(Purpose::External).await,
        api.account(Purpose::Main).await,
    );
    let largest = "170141183460469231731687303715884105727";
    let reply = api
        .post("/transactions", transfer(one, other, largest))
        .await
        .status(201);
    assert_eq!(reply.str("/balances/1/spendable"), largest);
    let zero = api
        .post("/transactions", transfer(one, other, "0"))
        .await
        .problem(422, "amount_zero");
    assert_eq!(zero.int("/posting"), 0);
    api.post("/transactions", transfer(one, other, "1"))
        .await
        .problem(422, "overflow");
}

/// Every byte of every body, as another one: whatever comes of it, it is no error of ours, and a fault records nothing.
#[tokio::test]
async fn a_byte_that_is_another() {
    let api = Api::new().await;
    let others = b"{}[]\",:0x\\ \n";
    for case in cases(&api).await {
        let good = case.good.to_string();
        for at in 0..good.len() {
            let mut body = good.clone().into_bytes();
            body[at] = others[at % others.len()];
            let before = api.position().await;
            let reply = case.ask(&api, str::from_utf8(&body).unwrap()).await;
            let status = reply.answer.status;
            assert!(
                [200, 201, 400, 404, 409, 422].contains(&status),
                "{}",
                reply.answer.body
            );
            if status == 400 {
                reply.problem(400, "bad_request");
                assert_eq!(api.position().await, before);
            }
        }
    }
}

#[tokio::test]
async fn what_is_no_json() {
    let api = Api::new().await;
    let cases = cases(&api).await;
    let before = api.position().await;
    for case in &cases {
        let good = case.good.to_string();
        let open = "[".repeat(1 << 20);
        for body in [
            "nonsense".to_owned(),
            "{".to_owned(),
            " ".to_owned(),
            format!("{good}x"),
            format!("{good}{good}"),
            good[..good.len() - 1].to_owned(),
            good.replace('"', "'"),
            good.replacen(':', ":01", 1),
            open,
            format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000)),
            "null".to_owned(),
            "\"text\"".to_owned(),
            "17".to_owned(),
            format!("\u{feff}{good}"),
        ] {
            let reply = case.ask(&api, &body).await.problem(400, "bad_request");
            assert!(reply.str("/detail").contains("body"), "{}", reply.body);
        }
    }
    // What is no UTF-8, and an escape that stands for no character.
    let bearer = format!("Bearer {}", api.token);
    let headers = vec![("Authorization".to_owned(), bearer)];
    let request = Request::new(
        Method::Post,
        "/api/v1/customers",
        None,
        &headers,
        Body::Whole(b"{\"legalName\":\"\xff\"}"),
    );
    let world = &api.world;
    let response = dialects::answer(&world.service, &world.router, "req-1", request, None).await;
    assert_eq!(response.status, 400);
    assert!(str::from_utf8(&response.body).unwrap().contains("UTF-8"));
    api.ask("POST", "/customers", &[], r#"{"legalName":"\ud800"}"#)
        .await
        .bad("legalName");
    let request = Request::new(
        Method::Post,
        "/api/v1/transactions",
        None,
        &headers,
        Body::TooLarge,
    );
    let response = dialects::answer(&world.service, &world.router, "req-1", request, None).await;
    assert_eq!(response.status, 413);
    assert!(
        str::from_utf8(&response.body)
            .unwrap()
            .contains(r#""limit":1048576"#)
    );
    assert_eq!(api.position().await, before);
}
