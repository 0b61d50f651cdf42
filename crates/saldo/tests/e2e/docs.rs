//! What the server says about its API: the document, and a page that needs nothing from outside.

use serde_json::Value;

use crate::harness::{Client, Home};

#[test]
fn the_document_and_its_page_are_served() {
    let home = Home::in_a_folder();
    let sandbox = home.sandbox();
    let client = Client::to(&sandbox.server.url);
    let document = client.get("/api/openapi.json", &[]);
    assert_eq!(document.media_type, "application/json");
    let document = document.json(200);
    let committed = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
    let committed: Value =
        serde_json::from_slice(&std::fs::read(committed).expect("it is there")).expect("JSON");
    assert!(document == committed, "docs/openapi.json is not what is served");

    let page = client.get("/docs", &[]);
    assert_eq!(
        (page.status, page.media_type.as_str()),
        (200, "text/html; charset=utf-8")
    );
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let anchor = format!("id=\"{}\"", operation["operationId"].as_str().expect("a name"));
            assert!(page.text.contains(&anchor), "{method} {path} is not on the page");
        }
    }
    for outside in ["<script", "<link", "<img", "<iframe", "src=", "@import", "url("] {
        assert!(!page.text.contains(outside), "the page has {outside}");
    }
    for link in page.text.split("href=\"").skip(1) {
        assert!(
            link.starts_with('#') || link.starts_with("/api/openapi.json\""),
            "{:.60}",
            link
        );
    }
    for path in ["/docs", "/api/openapi.json"] {
        let refused = client.try_post(path, &[], "{}").expect("an answer");
        assert_eq!(refused.json(405)["code"], "method_not_allowed");
    }
}
