//! Every line on the sandbox's screen works, and one posting changes what all of them say.

use std::process::Command;

use serde_json::Value;

use super::home;
use crate::harness::{Client, settled};

/// Pastes a line into a shell.
fn paste(line: &str) -> Value {
    let output = Command::new("bash")
        .args(["-c", line])
        .output()
        .expect("bash and curl are there");
    let text = String::from_utf8(output.stdout).expect("text");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in `{text}` of {line}"))
}

fn amount(balances: &Value, asset: &str) -> i128 {
    let available = balances["available"].as_array().expect("available");
    let element = available
        .iter()
        .find(|one| one["asset"] == asset && one.get("network").is_none());
    element.expect("the asset")["amount"]
        .as_str()
        .expect("text")
        .parse()
        .expect("an integer")
}

/// Cents, or the units of a currency without them. `serde_json` reads -54.90 as -54.9.
fn minor(decimal: &Value) -> i128 {
    let text = decimal
        .as_str()
        .map_or_else(|| decimal.to_string(), str::to_owned);
    let digits = match text.split_once('.') {
        Some((whole, cents)) => format!("{whole}{cents:0<2}"),
        None => text,
    };
    digits.parse().expect("a decimal")
}

#[test]
fn every_line_on_the_screen_works_and_one_posting_moves_all() {
    let home = home();
    let mut sandbox = home.sandbox();
    let lines = sandbox.server.lines("curl ", 7);
    let (vendors, native) = lines.split_at(5);
    let before: Vec<_> = vendors.iter().map(|line| paste(line)).collect();
    let main = settled(&sandbox.native(), &sandbox.on_card("/accounts/main"), "USD");

    let posted = paste(&native[0]);
    assert_eq!(posted["status"], "posted", "{posted}");
    let read = paste(&native[1]);
    assert_eq!(read["accountId"], sandbox.on_card("/accounts/main"));
    assert_eq!(
        settled(&sandbox.native(), &sandbox.on_card("/accounts/main"), "USD"),
        main + 248_750
    );

    let after: Vec<_> = vendors.iter().map(|line| paste(line)).collect();
    let [customer, clients, member, value, card] = [0, 1, 2, 3, 4].map(|nth| (&before[nth], &after[nth]));

    assert_eq!(customer.0["id"], sandbox.on_card("/conduit/accountId"));
    assert_eq!(
        amount(&customer.1["balances"], "USD"),
        amount(&customer.0["balances"], "USD") + 248_750
    );

    assert_eq!(clients.0["clientId"], sandbox.on_card("/conduit/clientId"));
    assert_eq!(clients.0["data"].as_array().map(Vec::len), Some(2));
    assert_eq!(
        amount(&clients.1["totalBalances"], "USD"),
        amount(&clients.0["totalBalances"], "USD") + 1_250
    );

    assert_eq!(member.0["dunningLevel"], "Dunning Level 1");
    assert_eq!(member.0["inDebtCollection"], false);
    let owed = |body: &Value| minor(&body["accountBalance"]["amount"]);
    assert!(owed(member.0) < 0 && minor(&member.0["consumptionCredit"]["amount"]) > 0);
    assert_eq!(owed(member.1), owed(member.0) + 4_990);

    assert_eq!(
        value.0["data"]["customerId"],
        sandbox.on_card("/polygon/customerId")
    );
    let worth = |body: &Value| minor(&body["data"]["estimatedBalanceValue"]);
    assert_eq!(worth(value.1), worth(value.0) + 248_750);

    assert_eq!(card.0["id"], sandbox.on_card("/light/accountId"));
    let number = |body: &Value, what: &str| body["balance"][what].as_i64().expect("int64");
    assert!(number(card.0, "reserved") > 0);
    assert_eq!(number(card.1, "settled"), number(card.0, "settled") + 3_780);
    assert_eq!(
        number(card.1, "available"),
        number(card.1, "settled") - number(card.1, "reserved")
    );
}

#[test]
fn the_card_names_what_its_endpoints_take() {
    let home = home();
    let sandbox = home.sandbox();
    let anybody = Client::to(&sandbox.server.url);
    assert_eq!(anybody.get("/healthz", &[]).status, 200);

    let account = sandbox.conduit().get(
        &format!("/customers/{}/account", sandbox.on_card("/conduit/customerId")),
        &[],
    );
    assert_eq!(account.json(200)["id"], sandbox.on_card("/conduit/accountId"));
    assert_eq!(
        sandbox.on_card("/accounts/card"),
        sandbox.on_card("/light/accountId")
    );

    // Every currency that there is a rate for values the customer.
    let pair = serde_json::json!({
        "apiKey": sandbox.on_card("/polygon/apiKey"),
        "apiSecret": sandbox.on_card("/polygon/apiSecret"),
    });
    let token = anybody.post("/v0.9/auth/token", &pair).json(200);
    let polygon = anybody.bearing(token["accessToken"].as_str().expect("a token"));
    let path = format!(
        "/v0.9/customers/{}/balance",
        sandbox.on_card("/polygon/customerId")
    );
    let currencies = "AUD BRL CAD CHF CNY CZK DKK EUR GBP HKD HUF IDR ILS INR ISK JPY KRW MXN MYR NOK NZD PHP PLN RON \
                      SEK SGD THB TRY USD ZAR";
    for currency in currencies.split_whitespace() {
        let answer = polygon
            .get(&format!("{path}?estimatedBalanceCurrencyCode={currency}"), &[])
            .json(200);
        assert!(minor(&answer["data"]["estimatedBalanceValue"]) > 0, "{currency}");
    }

    // Accounts that take any asset, of any size.
    let native = sandbox.native();
    for asset in ["KWD", "JPY", "USDT@tron"] {
        let (external, main) = (
            sandbox.on_card("/accounts/external"),
            sandbox.on_card("/accounts/main"),
        );
        let posting = serde_json::json!({
            "from": external, "to": main, "asset": asset, "amount": "100000000000000000000000000000",
        });
        native
            .post(
                "/api/v1/transactions",
                &serde_json::json!({"postings": [posting]}),
            )
            .json(201);
    }
}
