//! Reading bodies, strictly: whatever is wrong is said with its path, such as `postings[0].amount`.
//!
//! A pass over the body says whether it is JSON, and where its values are. Then it is looked into one level at a time: a
//! [`Value`] is a piece of it and its place; an object is taken apart into the members that it may have, so an unknown name,
//! one that comes twice, or a missing one can't go unseen. Numbers stay text until they are read as integers.

use std::borrow::Cow;
use std::fmt;
use std::ops::RangeInclusive;

use ledger::Patch;
use serde::de::IgnoredAny;
use service::Problem;

use super::forms::Form;
use super::tape::{DEPTH_MAX, Node, Tape};
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

/// A body that is JSON.
pub(super) struct Document<'a>(Tape<'a>);

/// A piece of JSON that was not looked into yet.
#[derive(Clone, Copy)]
pub(super) struct Value<'a, 'p> {
    node: Node<'a>,
    place: &'p Place<'p>,
}

/// A member that an object may have.
pub(super) struct Member<'a, 'p> {
    node: Option<Node<'a>>,
    place: Place<'p>,
}

/// The items of an array, read one by one, since a list of them may take many times the memory of the body.
pub(super) struct Items<'a, 'p>(Value<'a, 'p>);

/// The body of a request; nothing is as good as an empty object.
pub(super) fn optional<'a>(request: &Request<'a>) -> Result<Document<'a>, Problem> {
    match request.bytes() {
        b"" => Document::of("{}"),
        _ => body(request),
    }
}

/// The body of a request.
pub(super) fn body<'a>(request: &Request<'a>) -> Result<Document<'a>, Problem> {
    Document::of(text(request)?)
}

/// The body of a request, of which it is not known whether it is JSON.
pub(super) fn text<'a>(request: &Request<'a>) -> Result<&'a str, Problem> {
    let json = str::from_utf8(request.bytes()).map_err(|error| {
        Place::Body.fault(format_args!(
            "must be UTF-8; the byte at {} is not",
            error.valid_up_to()
        ))
    })?;
    if json.is_empty() {
        return Err(Place::Body.fault("must be JSON and is empty"));
    }
    Ok(json)
}

impl<'a> Document<'a> {
    /// Of a text that is to be JSON.
    pub(super) fn of(json: &'a str) -> Result<Self, Problem> {
        let tape = Tape::of(json).ok_or_else(|| {
            // Why not, and where, says serde. What has no size takes no memory.
            let error = serde_json::from_str::<IgnoredAny>(json).err();
            Place::Body.fault(match error {
                Some(error) => format!("is not JSON: {error}"),
                None => format!("must not nest deeper than {DEPTH_MAX} levels"),
            })
        })?;
        Ok(Self(tape))
    }

    /// All of it.
    pub(super) const fn value(&self) -> Value<'_, 'static> {
        Value {
            node: self.0.root(),
            place: &Place::Body,
        }
    }

    /// Its members: see [`Value::object`].
    pub(super) fn object<const N: usize>(
        &self,
        names: [&'static str; N],
    ) -> Result<[Member<'_, 'static>; N], Problem> {
        self.value().object(names)
    }
}

impl<'a, 'p> Value<'a, 'p> {
    /// A bad request because of this value.
    pub(super) fn fault(&self, detail: impl fmt::Display) -> Problem {
        self.place.fault(detail)
    }

    /// The value without its place.
    pub(super) const fn node(&self) -> Node<'a> {
        self.node
    }

    fn wrong(&self, expected: &str) -> Problem {
        let found = match self.node.first() {
            b'"' => "a string",
            b'{' => "an object",
            b'[' => "an array",
            b't' | b'f' => "true or false",
            b'n' => "null",
            _ => "a number",
        };
        self.fault(format_args!("must be {expected}, not {found}"))
    }

    /// The members of an object, each at the place of its name. Others are refused, and so is a name that comes twice.
    pub(super) fn object<const N: usize>(
        self,
        names: [&'static str; N],
    ) -> Result<[Member<'a, 'p>; N], Problem> {
        if self.node.first() != b'{' {
            return Err(self.wrong("an object"));
        }
        let nth_of = |name: &str| names.iter().position(|known| *known == name);
        let mut found = [None; N];
        for (name, value) in self.node.members() {
            let nth = match name.plain().and_then(nth_of) {
                Some(nth) => nth,
                None => {
                    let name = self.text_of(name)?;
                    nth_of(&name).ok_or_else(|| self.unknown(&name, &names))?
                }
            };
            if found[nth].replace(value).is_some() {
                return Err(self.misnamed(names[nth], "stands here twice; name it once"));
            }
        }
        Ok(std::array::from_fn(|nth| Member {
            node: found[nth],
            place: Place::Member(self.place, names[nth]),
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
        if self.node.first() != b'[' {
            return Err(self.wrong("an array"));
        }
        Ok(Items(self))
    }

    /// The text of a string in it, or of it.
    fn text_of(&self, string: Node<'a>) -> Result<Cow<'a, str>, Problem> {
        string
            .text()
            .ok_or_else(|| self.fault("has an escape that stands for no character"))
    }

    /// A string of this form.
    pub(super) fn text<T>(self, form: &Form<T>) -> Result<T, Problem> {
        if self.node.first() != b'"' {
            return Err(self.wrong(form.expected));
        }
        let text = self.text_of(self.node)?;
        form.parse(&text).map_err(|detail| self.fault(detail))
    }

    /// `true` or `false`.
    pub(super) fn bool(self) -> Result<bool, Problem> {
        match self.node.first() {
            b't' => Ok(true),
            b'f' => Ok(false),
            _ => Err(self.wrong("true or false")),
        }
    }

    /// A whole number.
    pub(super) fn int(self, range: RangeInclusive<i64>) -> Result<i64, Problem> {
        let number = self
            .node
            .raw()
            .parse()
            .ok()
            .filter(|number| range.contains(number));
        let (from, to) = range.into_inner();
        number.ok_or_else(|| match self.node.first() {
            b'-' | b'0'..=b'9' => self.fault(format_args!("must be a whole number from {from} to {to}")),
            _ => self.wrong(&format!("a whole number from {from} to {to}")),
        })
    }
}

impl<'a, 'p> Member<'a, 'p> {
    /// Whether it is there.
    pub(super) fn is_there(&self) -> bool {
        self.node.is_some()
    }

    /// The value, if it is there.
    pub(super) fn read<T>(
        self,
        read: impl FnOnce(Value<'a, '_>) -> Result<T, Problem>,
    ) -> Result<Option<T>, Problem> {
        let place = &self.place;
        self.node.map(|node| read(Value { node, place })).transpose()
    }

    /// The value, which must be there.
    pub(super) fn need<T>(
        self,
        read: impl FnOnce(Value<'a, '_>) -> Result<T, Problem>,
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
        read: impl FnOnce(Value<'a, '_>) -> Result<T, Problem>,
    ) -> Result<Patch<T>, Problem> {
        match self.node.map(Node::first) {
            Some(b'n') => Ok(Some(None)),
            _ => Ok(self.read(read)?.map(Some)),
        }
    }

    /// `true` or `false`; `false` unless it is there.
    pub(super) fn flag(self) -> Result<bool, Problem> {
        Ok(self.read(|value| value.bool())?.unwrap_or(false))
    }
}

impl<'a> Items<'a, '_> {
    /// Reads each, up to the first that is at fault.
    pub(super) fn each<T, C: FromIterator<T>>(
        &self,
        mut read: impl FnMut(Value<'a, '_>) -> Result<T, Problem>,
    ) -> Result<C, Problem> {
        let items = self.0.node.items().enumerate().map(|(index, node)| {
            let place = &Place::Item(self.0.place, index);
            read(Value { node, place })
        });
        items.collect()
    }

    /// The same, of so many at most. That there are too many goes before whatever is wrong with one of them.
    pub(super) fn each_of<T>(
        &self,
        limit: usize,
        what: &'static str,
        mut read: impl FnMut(Value<'a, '_>) -> Result<T, Problem>,
    ) -> Result<Vec<T>, Problem> {
        let count = self.0.node.items().take(limit.saturating_add(1)).count();
        if count > limit {
            return Err(Problem::TooLarge { what, limit });
        }
        let mut all = Vec::with_capacity(count);
        self.each::<(), ()>(|item| {
            all.push(read(item)?);
            Ok(())
        })?;
        Ok(all)
    }

    /// A bad request because of the array.
    pub(super) fn fault(&self, detail: impl fmt::Display) -> Problem {
        self.0.fault(detail)
    }
}
