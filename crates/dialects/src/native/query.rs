//! Reading what stands in the path, the query and the headers: as strictly as bodies.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use service::{Idempotency, Problem};
use store::{Cursor, Page};

use super::forms::{Form, ID};
use crate::Config;
use crate::http::Request;
use crate::spelling::{self, Prefix, SpellingError};

/// How many items a page has unless `limit` says it.
const PAGE_ITEMS: usize = 100;

/// A parameter that a query may have.
pub(super) struct Param<'a> {
    name: &'static str,
    text: Option<Cow<'a, str>>,
}

impl Param<'_> {
    /// A text of this form, if it is there.
    pub(super) fn read<T>(self, form: &Form<T>) -> Result<Option<T>, Problem> {
        let read = |text: Cow<'_, str>| {
            form.parse(&text)
                .map_err(|detail| Problem::bad(self.name, detail))
        };
        self.text.map(read).transpose()
    }

    /// A whole number in a range, if it is there.
    pub(super) fn number(
        self,
        range: std::ops::RangeInclusive<u64>,
        expected: &str,
    ) -> Result<Option<u64>, Problem> {
        let Some(text) = self.text else { return Ok(None) };
        let number = whole_number(&text).filter(|number| range.contains(number));
        let number = number.ok_or_else(|| Problem::bad(self.name, format!("must be {expected}")))?;
        Ok(Some(number))
    }

    /// A text of this form, which must be there.
    pub(super) fn need<T>(self, form: &Form<T>) -> Result<T, Problem> {
        let name = self.name;
        self.read(form)?
            .ok_or_else(|| Problem::bad(name, "is missing from the query"))
    }
}

/// The parameters of a query. Others are refused, and so is a name that comes twice: a filter that is not understood
/// must not answer as if it were not there.
pub(super) fn query<'a, const N: usize>(
    request: &Request<'a>,
    names: [&'static str; N],
) -> Result<[Param<'a>; N], Problem> {
    let mut params = names.map(|name| Param { name, text: None });
    for (name, value) in request.query_pairs() {
        match params.iter_mut().find(|param| param.name == name) {
            Some(param) if param.text.is_none() => param.text = Some(value),
            Some(param) => return Err(Problem::bad(param.name, "stands here twice; name it once")),
            None => {
                let name: String = name.chars().take(100).collect();
                let known = names.join("`, `");
                let detail = match N {
                    0 => "is not known here; nothing is".to_owned(),
                    _ => format!("is not known here; these are: `{known}`"),
                };
                return Err(Problem::bad(&name, detail));
            }
        }
    }
    Ok(params)
}

/// Which page of a list `limit` and `cursor` ask for.
pub(super) fn page(limit: Param<'_>, cursor: Param<'_>, config: &Config) -> Result<Page, Problem> {
    let after = match cursor.text {
        None => None,
        Some(text) => Some(parse_cursor(&text).ok_or_else(|| {
            Problem::bad(
                "cursor",
                "must be a `nextCursor` of this list, or left out for its beginning",
            )
        })?),
    };
    Ok(Page {
        limit: page_limit(limit, config)?,
        after,
    })
}

/// How many items a page may have.
pub(super) fn page_limit(limit: Param<'_>, config: &Config) -> Result<usize, Problem> {
    let most = config.service.page_items;
    let limit = limit.number(1..=most as u64, &format!("a whole number from 1 to {most}"))?;
    Ok(limit.map_or(PAGE_ITEMS.min(most), |limit| limit as usize))
}

/// A number of digits alone: no sign.
pub(super) fn whole_number(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

/// A place in a list as opaque text.
pub(super) fn format_cursor(cursor: Cursor) -> String {
    let mut bytes = [0; 12];
    bytes[..8].copy_from_slice(&cursor.position.to_be_bytes());
    bytes[8..].copy_from_slice(&cursor.index.to_be_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

fn parse_cursor(text: &str) -> Option<Cursor> {
    let bytes: [u8; 12] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
    let [p0, p1, p2, p3, p4, p5, p6, p7, index @ ..] = bytes;
    Some(Cursor {
        position: u64::from_be_bytes([p0, p1, p2, p3, p4, p5, p6, p7]),
        index: u32::from_be_bytes(index),
    })
}

/// The id in a path, in any spelling. One that is well formed and that no id has names nothing.
pub(super) fn path_id(request: &Request<'_>, what: &'static str) -> Result<u128, Problem> {
    let text = request.param(0);
    let nothing = |prefix| spelling::parse_ksuid(prefix, &text) == Err(SpellingError::NamesNothing);
    match ID.parse(&text) {
        Ok(id) => Ok(id),
        Err(_) if Prefix::ALL.into_iter().any(nothing) => Err(Problem::not_found(what)),
        Err(detail) => Err(Problem::bad("id", detail)),
    }
}

/// The key of a write, if the request names one.
pub(super) fn idempotency(request: &Request<'_>) -> Result<Idempotency, Problem> {
    const NAME: &str = "Idempotency-Key";
    let Some(text) = request.only_header(NAME)? else {
        return Ok(Idempotency::default());
    };
    let sized = (1..=255).contains(&text.len());
    if !sized || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Problem::bad(NAME, "must be 1 to 255 visible ASCII characters"));
    }
    Ok(Idempotency {
        header_key: Some(text.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_come_back() {
        for (position, index) in [(0, 0), (1, 2), (u64::MAX, u32::MAX)] {
            let cursor = Cursor { position, index };
            assert_eq!(parse_cursor(&format_cursor(cursor)), Some(cursor));
        }
        for text in [
            "",
            "x",
            "AAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAA=",
            "AAAAAAA AAAAAAAA",
        ] {
            assert_eq!(parse_cursor(text), None, "{text}");
        }
    }
}
