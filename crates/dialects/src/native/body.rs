//! Reading bodies, strictly: whatever is wrong is said with its path, such as `postings[0].amount`.
//!
//! That a body is JSON is checked once, by serde. Then it is looked into one level at a time: a [`Value`] is a piece of it
//! and its place; an object is taken apart into the members that it may have, so an unknown name, one that comes twice,
//! or a missing one can't go unseen. Numbers stay text until they are read as integers.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::ops::RangeInclusive;

use ledger::Patch;
use serde::de::IgnoredAny;
use service::Problem;

use super::forms::Form;
use super::walk::{Walk, inside, plain};
use crate::http::Request;

/// Where a value stands in its body.
#[derive(Clone, Copy)]
enum Place<'p> {
    Body,
    Member(&'p Place<'p>, &'static str),
    Item(&'p Place<'p>, usize),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body => Ok(()),
            Self::Member(Self::Body, name) => f.write_str(name),
            Self::Member(parent, name) => write!(f, "{parent}.{name}"),
            Self::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

impl Place<'_> {
    fn fault(&self, detail: impl fmt::Display) -> Problem {
        match self {
            Self::Body => Problem::BadRequest {
                field: None,
                detail: format!("The body {detail}."),
            },
            _ => Problem::bad(&self.to_string(), detail.to_string()),
        }
    }
}

/// A piece of JSON that was not looked into yet.
#[derive(Clone, Copy)]
pub(super) struct Value<'a, 'p> {
    /// The piece. Of an object or array that is an item, what follows it too: looking for its end is left to who reads it.
    raw: &'a str,
    place: Place<'p>,
    /// Where who reads such an item says how long it was.
    len: Option<&'p Cell<usize>>,
}

/// A member that an object may have.
pub(super) struct Member<'a, 'p> {
    raw: Option<&'a str>,
    place: Place<'p>,
}

/// The items of an array, read one by one, since a list of them may take many times the memory of the body.
pub(super) struct Items<'a, 'p>(Value<'a, 'p>);

/// The body of a request; nothing is as good as an empty object.
pub(super) fn optional<'a>(request: &Request<'a>) -> Result<Value<'a, 'static>, Problem> {
    if request.bytes().is_empty() {
        return Ok(Value {
            raw: "{}",
            place: Place::Body,
            len: None,
        });
    }
    body(request)
}

/// The body of a request.
pub(super) fn body<'a>(request: &Request<'a>) -> Result<Value<'a, 'static>, Problem> {
    let place = Place::Body;
    let raw = str::from_utf8(request.bytes()).map_err(|error| {
        place.fault(format_args!(
            "must be UTF-8; the byte at {} is not",
            error.valid_up_to()
        ))
    })?;
    if raw.is_empty() {
        return Err(place.fault("must be JSON and is empty"));
    }
    // What has no size takes no memory.
    serde_json::from_str::<IgnoredAny>(raw)
        .map_err(|error| place.fault(format_args!("is not JSON: {error}")))?;
    let raw = raw.trim_matches([' ', '\t', '\n', '\r']);
    Ok(Value {
        raw,
        place,
        len: None,
    })
}

impl<'a, 'p> Value<'a, 'p> {
    /// A bad request because of this value.
    pub(super) fn fault(&self, detail: impl fmt::Display) -> Problem {
        self.place.fault(detail)
    }

    /// The JSON of the value, which is a member: where an item ends may not be known.
    pub(super) fn raw(&self) -> &'a str {
        debug_assert!(self.len.is_none(), "an item may go on behind its end");
        self.raw
    }

    fn wrong(&self, expected: &str) -> Problem {
        let found = match self.raw.as_bytes().first() {
            Some(b'"') => "a string",
            Some(b'{') => "an object",
            Some(b'[') => "an array",
            Some(b't' | b'f') => "true or false",
            Some(b'n') => "null",
            _ => "a number",
        };
        self.fault(format_args!("must be {expected}, not {found}"))
    }

    /// The members of an object, each at the place of its name. Others are refused, and so is a name that comes twice.
    pub(super) fn object<const N: usize>(
        &self,
        names: [&'static str; N],
    ) -> Result<[Member<'a, '_>; N], Problem> {
        if !self.raw.starts_with('{') {
            return Err(self.wrong("an object"));
        }
        let nth_of = |name: &str| names.iter().position(|known| *known == name);
        let mut found = [None; N];
        let mut walk = Walk::of(self.raw);
        for (name, raw) in &mut walk {
            let nth = match inside(name).and_then(nth_of) {
                Some(nth) => nth,
                None => {
                    let name = self.unescaped(name)?;
                    nth_of(&name).ok_or_else(|| self.unknown(&name, &names))?
                }
            };
            if found[nth].replace(raw).is_some() {
                return Err(self.misnamed(names[nth], "stands here twice; name it once"));
            }
        }
        self.was(&walk);
        let mut at = names.into_iter().zip(found);
        Ok(std::array::from_fn(|_| {
            // Both arrays have N elements, as this one has.
            let (name, raw) = at.next().unwrap_or_default();
            let place = Place::Member(&self.place, name);
            Member { raw, place }
        }))
    }

    fn unknown(&self, name: &str, known: &[&'static str]) -> Problem {
        let known = known.join("`, `");
        self.misnamed(name, &format!("is not known here; these are: `{known}`"))
    }

    fn misnamed(&self, name: &str, detail: &str) -> Problem {
        // What came may be long; the first of it is enough to recognise it.
        let name: String = name.chars().take(100).collect();
        match self.place {
            Place::Body => Problem::bad(&name, detail),
            place => Problem::bad(&format!("{place}.{name}"), detail),
        }
    }

    /// The items of an array.
    pub(super) fn array(self) -> Result<Items<'a, 'p>, Problem> {
        if !self.raw.starts_with('[') {
            return Err(self.wrong("an array"));
        }
        Ok(Items(self))
    }

    /// It was as long as this walk through it.
    fn was(&self, walk: &Walk<'_>) {
        if let Some(len) = self.len {
            len.set(walk.len());
        }
    }

    /// The text that a string in quotation marks stands for.
    fn unescaped(&self, quoted: &'a str) -> Result<Cow<'a, str>, Problem> {
        match plain(quoted) {
            Some(plain) => Ok(Cow::Borrowed(plain)),
            None => serde_json::from_str::<String>(quoted)
                .map(Cow::Owned)
                .map_err(|_| self.fault("has an escape that stands for no character")),
        }
    }

    /// A string of this form.
    pub(super) fn text<T>(self, form: &Form<T>) -> Result<T, Problem> {
        if !self.raw.starts_with('"') {
            return Err(self.wrong(form.expected));
        }
        let text = self.unescaped(self.raw)?;
        form.parse(&text).map_err(|detail| self.fault(detail))
    }

    /// `true` or `false`.
    pub(super) fn bool(self) -> Result<bool, Problem> {
        match self.raw {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(self.wrong("true or false")),
        }
    }

    /// A whole number.
    pub(super) fn int(self, range: RangeInclusive<i64>) -> Result<i64, Problem> {
        let number = self.raw.parse().ok().filter(|number| range.contains(number));
        let (from, to) = range.into_inner();
        number.ok_or_else(|| match self.raw.as_bytes() {
            [b'-' | b'0'..=b'9', ..] => {
                self.fault(format_args!("must be a whole number from {from} to {to}"))
            }
            _ => self.wrong(&format!("a whole number from {from} to {to}")),
        })
    }
}

impl<'a, 'p> Member<'a, 'p> {
    /// Whether it is there.
    pub(super) fn is_there(&self) -> bool {
        self.raw.is_some()
    }

    /// The value, if it is there.
    pub(super) fn read<T>(
        self,
        read: impl FnOnce(Value<'a, 'p>) -> Result<T, Problem>,
    ) -> Result<Option<T>, Problem> {
        let place = self.place;
        let value = |raw| Value {
            raw,
            place,
            len: None,
        };
        self.raw.map(|raw| read(value(raw))).transpose()
    }

    /// The value, which must be there.
    pub(super) fn need<T>(
        self,
        read: impl FnOnce(Value<'a, 'p>) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let place = self.place;
        self.read(read)?.ok_or_else(|| place.fault("is missing"))
    }

    /// A string of this form, if it is there.
    pub(super) fn text<T>(self, form: &Form<T>) -> Result<Option<T>, Problem> {
        self.read(|value| value.text(form))
    }

    /// A string of this form, which must be there.
    pub(super) fn need_text<T>(self, form: &Form<T>) -> Result<T, Problem> {
        self.need(|value| value.text(form))
    }

    /// A change: `null` clears what is there.
    pub(super) fn patch<T>(
        self,
        read: impl FnOnce(Value<'a, 'p>) -> Result<T, Problem>,
    ) -> Result<Patch<T>, Problem> {
        match self.raw {
            Some("null") => Ok(Some(None)),
            _ => Ok(self.read(read)?.map(Some)),
        }
    }

    /// `true` or `false`; `false` unless it is there.
    pub(super) fn flag(self) -> Result<bool, Problem> {
        Ok(self.read(Value::bool)?.unwrap_or(false))
    }
}

impl<'a> Items<'a, '_> {
    /// Reads each, up to the first that is at fault.
    pub(super) fn each<T, C: FromIterator<T>>(
        &self,
        mut read: impl FnMut(Value<'a, '_>) -> Result<T, Problem>,
    ) -> Result<C, Problem> {
        let (mut walk, mut index) = (Walk::of(self.0.raw), 0);
        let all = std::iter::from_fn(|| {
            let raw = walk.item()?;
            let len = Cell::new(0);
            let place = Place::Item(&self.0.place, index);
            index += 1;
            let done = read(Value {
                raw,
                place,
                len: Some(&len),
            });
            walk.past(raw, len.get());
            Some(done)
        });
        let all = all.collect::<Result<C, Problem>>()?;
        self.0.was(&walk);
        Ok(all)
    }

    /// The same, of so many at most.
    pub(super) fn each_of<T, C: FromIterator<T>>(
        &self,
        limit: usize,
        what: &'static str,
        mut read: impl FnMut(Value<'a, '_>) -> Result<T, Problem>,
    ) -> Result<C, Problem> {
        let mut left = limit;
        let all = self.each(|item| {
            left = left.checked_sub(1).ok_or(Problem::TooLarge { what, limit })?;
            read(item)
        });
        // That there are too many goes before whatever is wrong with one of them.
        match all {
            Err(_) if Walk::of(self.0.raw).nth(limit).is_some() => Err(Problem::TooLarge { what, limit }),
            all => all,
        }
    }

    /// A bad request because of the array.
    pub(super) fn fault(&self, detail: impl fmt::Display) -> Problem {
        self.0.fault(detail)
    }
}
