//! Nothing that was written about people is in the store as it was written, and what was erased stays erased.

use serde_json::json;

use super::home;
use crate::harness::{settled, transaction};

const WORDS: [&str; 6] = [
    "Wilhelmina Zwoelfelder",
    "foreign-id-zwoelf",
    "born-in-elf",
    "purse-of-zwoelf",
    "rent-of-zwoelf",
    "dunned-zwoelf",
];

#[test]
fn people_are_in_no_file_and_no_row() {
    let home = home();
    let sandbox = home.sandbox();
    let api = sandbox.native();
    let customer = json!({"legalName": WORDS[0], "externalId": WORDS[1], "metadata": {"born": WORDS[2]}});
    let customer = api.post("/api/v1/customers", &customer).json(201);
    let id = customer["id"].as_str().expect("an id").to_owned();
    let account = json!({"ownerId": id, "purpose": "main", "label": WORDS[3]});
    let account = api.post("/api/v1/accounts", &account).json(201);
    let main = account["id"].as_str().expect("an id").to_owned();
    let world = sandbox.on_card("/accounts/external");
    let paid = "0199aaaa-0000-7000-8000-00000000aaaa";
    let mut payment = transaction(paid, &world, &main, "USD", 700);
    payment["reference"] = json!(WORDS[4]);
    api.post("/api/v1/transactions", &payment).json(201);
    let dunning = json!({"label": WORDS[5], "inDebtCollection": true}).to_string();
    assert_eq!(
        api.put(&format!("/api/v1/customers/{id}/dunning"), &dunning)
            .status,
        200
    );
    home.holds_none_of(&WORDS);
    let path = format!("/api/v1/customers/{id}");
    assert_eq!(api.get(&path, &[]).json(200)["legalName"], WORDS[0]);
    sandbox.server.kill();
    home.holds_none_of(&WORDS);

    let sandbox = home.sandbox();
    let api = sandbox.native();
    let erased = api.post(&format!("{path}/erase"), &json!({})).json(200);
    assert_eq!(erased["legalName"], "(erased)");
    sandbox.server.kill();
    for clean in [false, true] {
        let sandbox = home.sandbox();
        let api = sandbox.native();
        let found = api.get(&path, &[]).json(200);
        assert_eq!(
            [
                &found["legalName"],
                &found["externalId"],
                &found["dunning"]["label"]
            ],
            ["(erased)"; 3]
        );
        assert!(found["erasedAt"].is_string() && found["metadata"].is_null());
        let found = api.get(&format!("/api/v1/accounts/{main}"), &[]).json(200);
        assert_eq!(found["label"], "(erased)");
        let found = api.get(&format!("/api/v1/transactions/{paid}"), &[]).json(200);
        assert_eq!(found["reference"], "(erased)");
        assert_eq!(settled(&api, &main, "USD"), 700);
        if clean {
            assert_eq!(sandbox.server.stop().0.code(), Some(0));
        }
    }
    home.holds_none_of(&WORDS);
    home.verify();
}
