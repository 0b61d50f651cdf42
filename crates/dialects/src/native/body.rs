//! Reading bodies, strictly: whatever is wrong is said with its path, such as `postings[0].amount`.
//!
//! A body is looked into one level at a time. A [`Value`] is a piece of JSON and its place; an object is taken apart into
//! the members that it may have, so an unknown name, one that comes twice, or a missing one can't go unseen. Numbers stay
//! text until they are read as integers.

use std::borrow::Cow;
use std::fmt;
use std::ops::RangeInclusive;

use ledger::Patch;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;
use service::Problem;

use super::forms::Form;
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
    raw: &'a str,
    place: Place<'p>,
}

/// A member that an object may have.
pub(super) struct Member<'a, 'p> {
    raw: Option<&'a str>,
    place: Place<'p>,
}

/// The items of an array: counted, and read one by one, since a list of them may take many times the memory of the body.
pub(super) struct Items<'a, 'p> {
    raw: &'a str,
    count: usize,
    place: Place<'p>,
}

/// The body of a request; nothing is as good as an empty object.
pub(super) fn optional<'a>(request: &Request<'a>) -> Result<Value<'a, 'static>, Problem> {
    if request.bytes().is_empty() {
        return Ok(Value {
            raw: "{}",
            place: Place::Body,
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
    Ok(Value { raw, place })
}

impl<'a, 'p> Value<'a, 'p> {
    /// A bad request because of this value.
    pub(super) fn fault(&self, detail: impl fmt::Display) -> Problem {
        self.place.fault(detail)
    }

    /// The JSON of the value.
    pub(super) fn raw(&self) -> &'a str {
        self.raw
    }

    fn wrong(&self, expected: &str) -> Problem {
        let found = match self.raw.trim_start().as_bytes().first() {
            Some(b'"') => "a string",
            Some(b'{') => "an object",
            Some(b'[') => "an array",
            Some(b't' | b'f') => "true or false",
            Some(b'n') => "null",
            _ => "a number",
        };
        self.fault(format_args!("must be {expected}, not {found}"))
    }

    /// What the library says of a text that is not what was expected: only a body can be no JSON at all.
    fn explain(&self, error: &serde_json::Error, expected: &str) -> Problem {
        match error.classify() {
            Category::Data => self.wrong(expected),
            _ => self.fault(format_args!("is not JSON: {error}")),
        }
    }

    /// The members of an object, each at the place of its name. Others are refused, and so is a name that comes twice.
    pub(super) fn object<const N: usize>(
        &self,
        names: [&'static str; N],
    ) -> Result<[Member<'a, '_>; N], Problem> {
        let mut json = serde_json::Deserializer::from_str(self.raw);
        let read = Members(names).deserialize(&mut json);
        let read = read.and_then(|members| json.end().map(|()| members));
        let members = read.map_err(|error| self.explain(&error, "an object"))?;
        let members = members.map_err(|fault| self.unexpected(fault, &names))?;
        let mut at = names.into_iter().zip(members);
        Ok(std::array::from_fn(|_| {
            // Both arrays have N elements, as this one has.
            let (name, raw) = at.next().unwrap_or_default();
            Member {
                raw: raw.map(RawValue::get),
                place: Place::Member(&self.place, name),
            }
        }))
    }

    fn unexpected(&self, fault: Unexpected, known: &[&'static str]) -> Problem {
        let (name, detail) = match fault {
            Unexpected::Unknown(name) => {
                let known = known.join("`, `");
                (name, format!("is not known here; these are: `{known}`"))
            }
            Unexpected::Twice(name) => (name.to_owned(), "stands here twice; name it once".to_owned()),
        };
        // What came may be long; the first of it is enough to recognise it.
        let name: String = name.chars().take(100).collect();
        match self.place {
            Place::Body => Problem::bad(&name, detail),
            place => Problem::bad(&format!("{place}.{name}"), detail),
        }
    }

    /// The items of an array.
    pub(super) fn array(self) -> Result<Items<'a, 'p>, Problem> {
        // What has no size takes no memory.
        let items: Vec<IgnoredAny> =
            serde_json::from_str(self.raw).map_err(|error| self.explain(&error, "an array"))?;
        Ok(Items {
            raw: self.raw,
            count: items.len(),
            place: self.place,
        })
    }

    /// A string of this form.
    pub(super) fn text<T>(self, form: &Form<T>) -> Result<T, Problem> {
        let inside = self.raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        let inside = inside.ok_or_else(|| self.wrong(form.expected))?;
        let text = if inside.contains('\\') {
            let text = serde_json::from_str::<String>(self.raw);
            Cow::Owned(text.map_err(|_| self.fault("has an escape that stands for no character"))?)
        } else {
            Cow::Borrowed(inside)
        };
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
        self.raw.map(|raw| read(Value { raw, place })).transpose()
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
    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Reads each, up to the first that is at fault.
    pub(super) fn each<T, C: FromIterator<T>>(
        &self,
        read: impl FnMut(Value<'a, '_>) -> Result<T, Problem>,
    ) -> Result<C, Problem> {
        let mut done = None;
        let each = Each {
            place: &self.place,
            read,
            done: &mut done,
        };
        let walked = each.deserialize(&mut serde_json::Deserializer::from_str(self.raw));
        // The walk ends early at a fault, which goes first. Else the array was walked before, when it was counted.
        done.unwrap_or_else(|| Err(self.fault("is not JSON")))
            .and_then(|all| walked.map(|()| all).map_err(|error| self.fault(error)))
    }

    /// A bad request because of the array.
    pub(super) fn fault(&self, detail: impl fmt::Display) -> Problem {
        self.place.fault(detail)
    }
}

/// Reads the items of an array into what they make.
struct Each<'p, R, C> {
    place: &'p Place<'p>,
    read: R,
    done: &'p mut Option<Result<C, Problem>>,
}

impl<'de, T, R, C> DeserializeSeed<'de> for Each<'_, R, C>
where
    R: FnMut(Value<'de, '_>) -> Result<T, Problem>,
    C: FromIterator<T>,
{
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, T, R, C> Visitor<'de> for Each<'_, R, C>
where
    R: FnMut(Value<'de, '_>) -> Result<T, Problem>,
    C: FromIterator<T>,
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        let mut broken = Ok(());
        let raws = std::iter::from_fn(|| match items.next_element::<&RawValue>() {
            Ok(raw) => raw,
            Err(error) => {
                broken = Err(error);
                None
            }
        });
        let values = raws.enumerate().map(|(index, raw)| {
            (self.read)(Value {
                raw: raw.get(),
                place: Place::Item(self.place, index),
            })
        });
        *self.done = Some(values.collect());
        broken
    }
}

/// Why the members of an object are not those expected.
enum Unexpected {
    Unknown(String),
    Twice(&'static str),
}

/// Takes an object apart into the members with these names.
struct Members<const N: usize>([&'static str; N]);

impl<'de, const N: usize> DeserializeSeed<'de> for Members<N> {
    type Value = Result<[Option<&'de RawValue>; N], Unexpected>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, const N: usize> Visitor<'de> for Members<N> {
    type Value = Result<[Option<&'de RawValue>; N], Unexpected>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = [None; N];
        let mut fault = None;
        while let Some(name) = map.next_key_seed(Name(&self.0))? {
            match name {
                Ok(nth) if members[nth].is_none() => members[nth] = Some(map.next_value()?),
                other => {
                    map.next_value::<IgnoredAny>()?;
                    fault =
                        Some(other.map_or_else(Unexpected::Unknown, |nth| Unexpected::Twice(self.0[nth])));
                    break;
                }
            }
        }
        // The rest may still be no JSON at all, and that goes first.
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(fault.map_or(Ok(members), Err))
    }
}

/// Finds a name among those known; an unknown one comes back as it is.
struct Name<'n>(&'n [&'static str]);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Result<usize, String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Result<usize, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        let known = self.0.iter().position(|known| *known == name);
        Ok(known.ok_or_else(|| name.to_owned()))
    }
}
