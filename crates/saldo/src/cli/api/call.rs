//! What is asked of the server, and how its answer looks to people.

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use ureq::http::Method;

use super::args::{Pages, Read, Write};
use super::failed::Failed;

/// What has no meaning of its own in a URL.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A request.
pub(super) struct Call {
    pub(super) method: Method,
    /// The path behind the server's URL.
    path: String,
    query: Vec<(&'static str, String)>,
    pub(super) body: Option<String>,
    /// The idempotency key.
    pub(super) key: Option<String>,
    pub(super) min_position: Option<String>,
    /// Of a list, how much of it.
    pub(super) pages: Option<Pages>,
    /// Of a list, which members of an item are shown; those of an object or of a list in it stand behind a point.
    pub(super) columns: &'static [&'static str],
    /// What is said when there is nothing else to say.
    pub(super) done: &'static str,
    /// Whether all of it was done, by the answer.
    pub(super) check: fn(&str) -> Result<(), Failed>,
}

impl Call {
    fn new(method: Method, path: &[&str]) -> Self {
        let path = path.iter().fold("/api/v1".to_owned(), |path, part| {
            format!("{path}/{}", utf8_percent_encode(part, PLAIN))
        });
        Self {
            method,
            path,
            query: Vec::new(),
            body: None,
            key: None,
            min_position: None,
            pages: None,
            columns: &[],
            done: "Done.",
            check: |_| Ok(()),
        }
    }

    /// A read of one thing.
    pub(super) fn get(path: &[&str], read: Read) -> Self {
        Self {
            min_position: read.min_position,
            ..Self::new(Method::GET, path)
        }
    }

    /// A list, of whose items these members are shown.
    pub(super) fn list(path: &[&str], read: Read, pages: Pages, columns: &'static [&'static str]) -> Self {
        Self {
            pages: Some(pages),
            columns,
            ..Self::get(path, read)
        }
    }

    /// A write. It gets a key if it has none, so that it can be sent again.
    pub(super) fn write(method: Method, path: &[&str], write: Write) -> Result<Self, Failed> {
        let key = write.key.map_or_else(new_key, Ok)?;
        Ok(Self {
            key: Some(key),
            ..Self::new(method, path)
        })
    }

    /// A write that what it holds makes known again: under no key but a given one.
    pub(super) fn write_known(method: Method, path: &[&str], key: Option<String>) -> Self {
        Self {
            key,
            ..Self::new(method, path)
        }
    }

    pub(super) fn query(mut self, name: &'static str, value: Option<String>) -> Self {
        self.query.extend(value.map(|value| (name, value)));
        self
    }

    /// With an object as its body.
    pub(super) fn body(mut self, body: Body) -> Self {
        self.body = Some(json(&body.0));
        self
    }

    /// With a list as its body.
    pub(super) fn array(mut self, items: &[impl Serialize]) -> Self {
        self.body = Some(json(&items));
        self
    }

    pub(super) fn done(mut self, done: &'static str) -> Self {
        self.done = done;
        self
    }

    pub(super) fn check(mut self, check: fn(&str) -> Result<(), Failed>) -> Self {
        self.check = check;
        self
    }

    /// The path, with the query and some more of it.
    pub(super) fn target(&self, more: &[(&str, String)]) -> String {
        let own = self.query.iter().map(|(name, value)| (*name, value));
        let more = more.iter().map(|(name, value)| (*name, value));
        let pairs = own
            .chain(more)
            .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, PLAIN)));
        match pairs.collect::<Vec<_>>() {
            pairs if pairs.is_empty() => self.path.clone(),
            pairs => format!("{}?{}", self.path, pairs.join("&")),
        }
    }
}

const IS_JSON: &str = "texts, numbers, and lists and objects of them are JSON";

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect(IS_JSON)
}

/// A key that nobody else makes.
fn new_key() -> Result<String, Failed> {
    let mut random = [0; 16];
    getrandom::fill(&mut random)
        .map_err(|error| Failed::refused(format!("asking for random bytes: {error}")))?;
    Ok(random
        .iter()
        .fold("saldo-".to_owned(), |key, byte| format!("{key}{byte:02x}")))
}

/// A JSON object to send.
#[derive(Default)]
pub(super) struct Body(BTreeMap<&'static str, Box<RawValue>>);

impl Body {
    /// With this member.
    pub(super) fn with(mut self, name: &'static str, value: impl Serialize) -> Self {
        let value = to_raw_value(&value).expect(IS_JSON);
        self.0.insert(name, value);
        self
    }

    /// With this member, if there is one.
    pub(super) fn maybe(self, name: &'static str, value: Option<impl Serialize>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// With this member if it is true.
    pub(super) fn flag(self, name: &'static str, value: bool) -> Self {
        self.maybe(name, value.then_some(true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_can_not_leave_its_place_in_the_url() {
        let read = Read { min_position: None };
        let call =
            Call::get(&["clients", "../keys?x#y z/é"], read).query("externalId", Some("a&b=c+d".to_owned()));
        assert_eq!(
            call.target(&[("limit", "5".to_owned())]),
            "/api/v1/clients/..%2Fkeys%3Fx%23y%20z%2F%C3%A9?externalId=a%26b%3Dc%2Bd&limit=5"
        );
    }

    #[test]
    fn every_write_without_a_key_gets_one_of_its_own() {
        let keys = [0, 1].map(|_| new_key().unwrap_or_else(|_| panic!("random bytes")));
        assert_ne!(keys[0], keys[1]);
        assert!(
            keys[0].starts_with("saldo-") && keys[0].len() == 38,
            "{}",
            keys[0]
        );
    }
}
