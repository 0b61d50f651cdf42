//! What `saldo sandbox` shows: each endpoint with a line that works when it is pasted into a shell.

use super::card::Card;
use super::landmarks::Landmarks;
use crate::place::Place;

/// The whole screen.
pub(super) fn text(card: &Card, place: &Place) -> String {
    let mut text = format!(
        "\nSaldo sandbox on {url}   (store {place}; Ctrl-C stops it, and the world is kept)\n\n\
         The same books, as five integrations read them:\n",
        url = card.url
    );
    for (name, line, curl) in vendors(card) {
        text += &format!("\n  {name:<10} {line}\n{curl}\n");
    }
    text +=
        "\nOne transaction that changes all five answers, and what the merchant's account has after it:\n";
    for (line, curl) in native(card) {
        text += &format!("\n  {:<10} {line}\n{curl}\n", "Saldo");
    }
    text
}

/// A command line: the words that stand after `curl -s`, as they are pasted.
fn curl(words: &[String]) -> String {
    format!("curl -s {}", words.join(" "))
}

fn header(name: &str, value: &str) -> String {
    format!("-H '{name}: {value}'")
}

fn vendors(card: &Card) -> [(&'static str, &'static str, String); 5] {
    let Card { url, landmarks, .. } = card;
    let pair = || {
        let Card { conduit, .. } = card;
        [
            header("X-API-Key", &conduit.api_key()),
            header("X-API-Secret", &conduit.api_secret()),
        ]
    };
    let with = |first: String, rest: &[String]| curl(&[&[first], rest].concat());
    let token = curl(&[
        format!("{url}/v0.9/auth/token"),
        header("Content-Type", "application/json"),
        format!(
            "-d '{{\"apiKey\":\"{}\",\"apiSecret\":\"{}\"}}'",
            card.polygon.api_key(),
            card.polygon.api_secret()
        ),
    ]);
    let token = format!(r#"$({token} | sed 's/.*"accessToken":"\([^"]*\)".*/\1/')"#);
    [
        (
            "Conduit",
            "GET /customers/{id}/account",
            with(
                format!("{url}/customers/{}/account", card.conduit_customer()),
                &pair(),
            ),
        ),
        (
            "Conduit",
            "GET /clients/accounts",
            with(format!("{url}/clients/accounts"), &pair()),
        ),
        (
            "Magicline",
            "GET /v1/customers/{customerId}/account/balances",
            with(
                format!("{url}/v1/customers/{}/account/balances", landmarks.member),
                &[header("X-API-KEY", &card.magicline.token())],
            ),
        ),
        (
            "Polygon",
            "GET /v0.9/customers/{id}/balance   (with a token from POST /v0.9/auth/token)",
            with(
                format!("{url}/v0.9/customers/{}/balance", card.polygon_customer()),
                &[format!("-H \"Authorization: Bearer {token}\"")],
            ),
        ),
        (
            "Light",
            "GET /v1/card-balance-accounts/{accountId}",
            with(
                format!("{url}/v1/card-balance-accounts/{}", landmarks.card),
                &[header("Authorization", &format!("Basic {}", card.light.token()))],
            ),
        ),
    ]
}

fn native(card: &Card) -> [(&'static str, String); 2] {
    let Card {
        url,
        landmarks,
        native,
        ..
    } = card;
    let bearer = header("Authorization", &format!("Bearer {}", native.token()));
    let Landmarks {
        external,
        main,
        root_main,
        receivable,
        card,
        ..
    } = *landmarks;
    // A sale and its fee, a payment of what the member owes, and a refund to the card.
    let postings = [
        (external, main, "USD", 250_000),
        (main, root_main, "USD", 1_250),
        (external, receivable, "EUR", 4_990),
        (external, card, "USD", 3_780),
    ];
    let postings = postings.map(|(from, to, asset, amount)| {
        format!(r#"{{"from":"{from}","to":"{to}","asset":"{asset}","amount":"{amount}"}}"#)
    });
    let transaction = format!(r#"{{"postings":[{}]}}"#, postings.join(","));
    [
        (
            "POST /api/v1/transactions",
            curl(&[
                format!("{url}/api/v1/transactions"),
                bearer.clone(),
                header("Content-Type", "application/json"),
                format!("-d '{transaction}'"),
            ]),
        ),
        (
            "GET /api/v1/accounts/{id}/balances",
            curl(&[
                format!("{url}/api/v1/accounts/{}/balances", landmarks.main),
                bearer,
            ]),
        ),
    ]
}
