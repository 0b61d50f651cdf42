//! Requests and responses, as far as the wire formats need them, of no framework.

use std::borrow::Cow;

use bytes::Bytes;
use ledger::{BookNo, Position};
use serde::de::DeserializeOwned;
use service::{Caller, Problem};
use smallvec::SmallVec;

use crate::route::Boxed;

/// A method of HTTP that some route may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// GET
    Get,
    /// HEAD: GET without the body of its answer.
    Head,
    /// POST
    Post,
    /// PUT
    Put,
    /// PATCH
    Patch,
    /// DELETE
    Delete,
    /// Any other; no route has it.
    Other,
}

impl Method {
    /// Reads a method as it stands in a request.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "PATCH" => Self::Patch,
            "DELETE" => Self::Delete,
            _ => Self::Other,
        }
    }

    /// The method as it stands in a request.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Other => "",
        }
    }
}

/// Access to a request's headers.
pub trait Headers: Sync {
    /// The first value of the header with this name, given in any case. `None` also when it is not text of visible
    /// ASCII and spaces.
    fn get(&self, name: &str) -> Option<&str>;

    /// The same, where a second one would matter.
    fn given(&self, name: &str) -> Given<'_>;
}

/// What a request has of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given<'a> {
    /// None with this name.
    Nothing,
    /// One, which is text of visible ASCII and spaces.
    Once(&'a str),
    /// One that is no such text.
    Unreadable,
    /// Several.
    Often,
}

/// For tests: names in any case with their values.
impl Headers for Vec<(String, String)> {
    fn get(&self, name: &str) -> Option<&str> {
        let found = self.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    fn given(&self, name: &str) -> Given<'_> {
        let mut same = self.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        match (same.next(), same.next()) {
            (None, _) => Given::Nothing,
            (Some((_, value)), None) => Given::Once(value),
            _ => Given::Often,
        }
    }
}

/// A request's body, as far as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body<'a> {
    /// All of it.
    Whole(&'a [u8]),
    /// It had more bytes than the route's [`crate::BodySize`] allows.
    TooLarge,
}

/// A body that is still on its way: it is read once it is known who sends it, and that they may.
pub trait Arriving: Send {
    /// Reads the body to its end; `None` if it has more bytes than `limit`, and then it is not read on.
    ///
    /// # Errors
    /// [`Problem::BadRequest`] when it ends too early, or comes too slowly.
    fn read(&mut self, limit: usize) -> Boxed<'_, Result<Option<Bytes>, Problem>>;
}

/// What is left of an answer: it is made while it is sent.
pub trait Rest: Send + std::fmt::Debug {
    /// The next bytes, some at least; `None` at the end.
    ///
    /// # Errors
    /// It can't go on, and must not look as if this were its end.
    fn next(&mut self) -> Boxed<'_, Result<Option<Vec<u8>>, Problem>>;
}

/// Values of a pattern's `{…}`, in order; each still percent-encoded.
pub type Params<'a> = SmallVec<[&'a str; 2]>;

/// A request, as the server read it.
#[derive(Clone)]
pub struct Request<'a> {
    /// The method.
    pub method: Method,
    /// The path, percent-encoded as it came, without the query.
    pub path: &'a str,
    /// The query, percent-encoded as it came, without the question mark.
    pub query: Option<&'a str>,
    /// The headers.
    pub headers: &'a dyn Headers,
    /// The body.
    pub body: Body<'a>,
    /// The values of the pattern's `{…}`: set by the router.
    pub params: Params<'a>,
}

impl<'a> Request<'a> {
    /// A request whose parameters are not known yet.
    pub fn new(
        method: Method,
        path: &'a str,
        query: Option<&'a str>,
        headers: &'a dyn Headers,
        body: Body<'a>,
    ) -> Self {
        Self {
            method,
            path,
            query,
            headers,
            body,
            params: Params::new(),
        }
    }

    /// The header with this name, given in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.get(name)
    }

    /// The value of a header that says who calls. There is none where there are two: one of them may be somebody else's.
    #[must_use]
    pub fn credential(&self, name: &str) -> Option<&'a str> {
        self.only_header(name).ok().flatten()
    }

    /// The value of a header that changes what is done, and so must not be passed over: `None` only if it is not there.
    ///
    /// # Errors
    /// [`Problem::BadRequest`] when it is not text, or there twice: one of two values would be the wrong one.
    pub fn only_header(&self, name: &str) -> Result<Option<&'a str>, Problem> {
        match self.headers.given(name) {
            Given::Nothing => Ok(None),
            Given::Once(text) => Ok(Some(text)),
            Given::Unreadable => Err(Problem::bad(name, "must be visible ASCII characters")),
            Given::Often => Err(Problem::bad(name, "stands here twice; name it once")),
        }
    }

    /// The `nth` value of the path, percent-decoded. What is no UTF-8 stays as it came, and no id is spelled like that.
    #[must_use]
    pub fn param(&self, nth: usize) -> Cow<'a, str> {
        let raw = self.params.get(nth).copied().unwrap_or_default();
        percent_decode(raw, false).unwrap_or(Cow::Borrowed(raw))
    }

    /// The parameters of the query in order, decoded as forms are (`+` is a space).
    pub fn query_pairs(&self) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> + use<'a> {
        let parts = self
            .query
            .unwrap_or_default()
            .split('&')
            .filter(|part| !part.is_empty());
        parts.map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let decode = |text: &'a str| percent_decode(text, true).unwrap_or(Cow::Borrowed(text));
            (decode(name), decode(value))
        })
    }

    /// The first parameter of the query with this name.
    #[must_use]
    pub fn query_value(&self, name: &str) -> Option<Cow<'a, str>> {
        self.query_pairs()
            .find(|(other, _)| other == name)
            .map(|(_, value)| value)
    }

    /// The bytes of the body.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        match self.body {
            Body::Whole(bytes) => bytes,
            Body::TooLarge => b"",
        }
    }

    /// The body, read as JSON.
    ///
    /// # Errors
    /// [`Problem::BadRequest`] saying where it is none, or of another form.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        serde_json::from_slice(self.bytes()).map_err(|error| Problem::BadRequest {
            field: None,
            detail: format!("the body is not the JSON that is expected here: {error}"),
        })
    }

    /// The media type of the body, in lower case and without parameters; `None` when it was not named.
    #[must_use]
    pub fn media_type(&self) -> Option<String> {
        let named = self.header("content-type")?;
        Some(
            named
                .split(';')
                .next()
                .unwrap_or_default()
                .trim()
                .to_ascii_lowercase(),
        )
    }

    /// Those who would like the answer in one of several forms.
    #[must_use]
    pub fn accepts(&self, media_type: &str) -> bool {
        self.header("accept").is_some_and(|accept| {
            accept
                .split(',')
                .any(|one| one.split(';').next().unwrap_or_default().trim() == media_type)
        })
    }
}

/// Decodes `%41` (and `+` where `plus`); `None` where the bytes are no UTF-8.
fn percent_decode(text: &str, plus: bool) -> Option<Cow<'_, str>> {
    let bytes = text.as_bytes();
    if !(bytes.contains(&b'%') || plus && bytes.contains(&b'+')) {
        return Some(Cow::Borrowed(text));
    }
    let hex = |byte: u8| (byte as char).to_digit(16);
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let pair = bytes
            .get(at + 1)
            .copied()
            .and_then(hex)
            .zip(bytes.get(at + 2).copied().and_then(hex));
        match (bytes[at], pair) {
            (b'%', Some((high, low))) => {
                decoded.push((high << 4 | low) as u8);
                at += 2;
            }
            (b'+', _) if plus => decoded.push(b' '),
            (byte, _) => decoded.push(byte),
        }
        at += 1;
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

/// An answer.
#[derive(Debug)]
pub struct Response {
    /// The status: 100 ..= 599.
    pub status: u16,
    /// Headers: names in lower case.
    pub headers: Vec<(&'static str, Cow<'static, str>)>,
    /// The body.
    pub body: Bytes,
    /// The wire format that answered, and the pattern of its route; `None` where the path or the method is nobody's.
    pub route: Option<(&'static str, &'static str)>,
    /// What is made of the body while it is sent, behind what is there of it.
    pub rest: Option<Box<dyn Rest>>,
    /// The book that it is about, where somebody with a key asked.
    pub book: Option<BookNo>,
}

impl Response {
    /// An answer with a body of this media type.
    #[must_use]
    pub fn new(status: u16, media_type: &'static str, body: impl Into<Bytes>) -> Self {
        let mut response = Self::empty(status);
        response.set("content-type", media_type);
        response.body = body.into();
        response
    }

    /// An answer in JSON.
    #[must_use]
    pub fn json(status: u16, body: crate::json::Json) -> Self {
        Self::new(status, "application/json", body.into_bytes())
    }

    /// An answer without a body.
    #[must_use]
    pub fn empty(status: u16) -> Self {
        Self {
            status,
            // More are rare. In place they would be copied with each step that an answer takes.
            headers: Vec::with_capacity(6),
            body: Bytes::new(),
            rest: None,
            route: None,
            book: None,
        }
    }

    /// Adds a header; the name in lower case.
    pub fn set(&mut self, name: &'static str, value: impl Into<Cow<'static, str>>) {
        self.headers.push((name, value.into()));
    }

    /// With a header; the name in lower case.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.set(name, value);
        self
    }

    /// Says at which position of its book it was taken.
    #[must_use]
    pub fn at(self, position: Position) -> Self {
        self.with("saldo-position", digits(position.0))
    }

    /// The header with this name, given in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(other, _)| *other == name);
        found.map(|(_, value)| value.as_ref())
    }
}

/// A number as a text; the standard library's formatter would take several times as long.
pub fn digits(number: impl itoa::Integer) -> String {
    itoa::Buffer::new().format(number).to_owned()
}

/// What a handler knows besides the request.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The operations.
    pub service: &'a std::sync::Arc<service::Service>,
    /// What the wire formats were told.
    pub config: &'a crate::Config,
    /// Who calls; on routes without authentication the server itself with no scopes.
    pub caller: &'a Caller,
}
