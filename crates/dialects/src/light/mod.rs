//! Light: the balance of a card account.
//!
//! Source: `contracts/light-get-card-balance-account.yaml`. The key goes raw behind `Basic`, as the page says, or in the
//! form of RFC 7617 as the user name; or a signed token behind `Bearer`. Amounts are int64 minor units.

mod card_balance;
mod openapi;
mod problems;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ledger::Scopes;
use service::Problem;

use crate::http::{Method, Request, digits};
use crate::route::{Access, BodySize, Dialect, Route, handle};

/// The page's media type, to the letter.
const JSON: &str = "application/json;charset=UTF-8";

/// Light's table.
#[must_use]
pub fn dialect() -> Dialect {
    Dialect {
        name: "light",
        mount: |config| config.light.mount(),
        describe: openapi::describe,
        routes: vec![Route {
            method: Method::Get,
            pattern: "/card-balance-accounts/{accountId}",
            access: Access::Scope(Scopes::READ),
            body: BodySize::Usual,
            handler: handle::<card_balance::GetCardBalanceAccount>(),
            describe: openapi::card_balance,
        }],
        authenticate: |service, request| {
            Box::pin(async move {
                match credentials(request).ok_or(Problem::Unauthorized)? {
                    Given::Token(token) => service.authenticate_token(&token).await,
                    Given::Signed(token) => service.authenticate_jwt(token).await,
                }
            })
        },
        check: |_, _| Ok(()),
        refuse: problems::refuse,
        challenge: "Basic realm=\"saldo\", Bearer realm=\"saldo\"",
        standing: |standing, response| {
            response.set("x-ratelimit-limit", digits(standing.limit));
            response.set("x-ratelimit-remaining", digits(standing.remaining));
            // Rounded up: at that second the window has ended.
            let reset = standing.reset.0.saturating_add(999_999).div_euclid(1_000_000);
            response.set("x-ratelimit-reset", digits(reset));
        },
        head: None,
    }
}

/// What a request authenticates with.
#[derive(Debug, PartialEq, Eq)]
enum Given<'a> {
    /// The key itself.
    Token(String),
    /// A signed token.
    Signed(&'a str),
}

fn credentials<'a>(request: &Request<'a>) -> Option<Given<'a>> {
    let (scheme, rest) = request.credential("authorization")?.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(Given::Signed(rest));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    // A token has an underscore, which base64 has not: the forms can't be mistaken for each other.
    if rest.contains('_') {
        return Some(Given::Token(rest.to_owned()));
    }
    let decoded = String::from_utf8(STANDARD.decode(rest).ok()?).ok()?;
    let (user, _password) = decoded.split_once(':')?;
    Some(Given::Token(user.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Body;

    #[test]
    fn three_ways_to_authenticate() {
        let given = |value: &str| {
            let headers = vec![("Authorization".to_owned(), value.to_owned())];
            let request = Request::new(Method::Get, "/", None, &headers, Body::Whole(b""));
            credentials(&request).map(|given| match given {
                Given::Token(token) => format!("token {token}"),
                Given::Signed(token) => format!("signed {token}"),
            })
        };
        assert_eq!(given("Basic saldo_abc").as_deref(), Some("token saldo_abc"));
        assert_eq!(given("basic  saldo_abc").as_deref(), Some("token saldo_abc"));
        let encoded = |text: &str| format!("Basic {}", STANDARD.encode(text));
        assert_eq!(given(&encoded("saldo_abc:")).as_deref(), Some("token saldo_abc"));
        assert_eq!(
            given(&encoded("saldo_abc:x:y")).as_deref(),
            Some("token saldo_abc")
        );
        assert_eq!(given("Bearer a.b.c").as_deref(), Some("signed a.b.c"));
        for none in ["", "Basic", "Basic !", "Digest a", &encoded("saldo_abc")] {
            assert_eq!(given(none), None, "{none}");
        }
    }
}
