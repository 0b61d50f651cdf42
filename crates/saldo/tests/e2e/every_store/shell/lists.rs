//! Lists of more than one page.

use serde_json::{Value, json};

use super::{Shell, stderr, stdout, text};
use crate::harness::Client;

#[test]
fn lists_are_read_to_their_end() {
    let shell = Shell::start();
    let operator = Client::to(&shell.server.url).bearing(&shell.operator);
    for name in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        operator
            .post("/api/v1/clients", &json!({"legalName": name}))
            .json(201);
    }
    let names = |list: &Value| -> String {
        let items = list["items"].as_array().expect("items");
        items.iter().map(|item| text(&item["legalName"])).collect()
    };
    // Less than a page, a page, more, all.
    for (wanted, expected) in [
        ("2", "ab"),
        ("3", "abc"),
        ("7", "abcdefg"),
        ("8", "abcdefgh"),
        ("900", "abcdefgh"),
    ] {
        let list = shell.json(&["client", "list", "--limit", wanted]);
        assert_eq!(names(&list), expected);
        match list["nextCursor"].as_str() {
            Some(cursor) => {
                let more = shell.json(&["client", "list", "--all", "--cursor", cursor]);
                assert_eq!(names(&list) + &names(&more), "abcdefgh");
                assert!(more["nextCursor"].is_null());
            }
            None => assert_eq!(expected, "abcdefgh"),
        }
    }
    // What the server said is printed as it was, and page behind page with nothing lost.
    let first = operator.get("/api/v1/clients?limit=2", &[]);
    let shown = shell.run(&["client", "list", "--limit", "2", "--json"]);
    assert_eq!(stdout(&shown), format!("{}\n", first.text));
    let all = shell.run(&["client", "list", "--all", "--json"]);
    for item in operator.get("/api/v1/clients?limit=3", &[]).json(200)["items"]
        .as_array()
        .expect("items")
    {
        assert!(stdout(&all).contains(&text(&item["createdAt"])));
    }
    let some = shell.run(&["client", "list", "--limit", "4"]);
    assert_eq!(
        stdout(&some).lines().count(),
        5,
        "a line for each, and one for the names"
    );
    assert!(stderr(&some).contains("There are more"), "{}", stderr(&some));
    let none = shell.run(&["client", "list", "--external-id", "nobody"]);
    assert_eq!(
        (stdout(&none).as_str(), stderr(&none).as_str()),
        ("", "There are none.\n")
    );
}
