//! One pass over a text: that it is JSON as RFC 8259 has it, and where each of its values begins. What is a value inside
//! another is then found without reading it all again.

use std::borrow::Cow;

use crate::json::ordinary;

/// A text that is JSON, and its marks.
///
/// In the order of the text, each value and each name of a member has the mark where it begins; that of a string says too
/// whether it holds an escape. Behind the mark of a bracket that opens stands the number of the mark behind its container,
/// whose last is of the bracket that closes.
pub(super) struct Tape<'a> {
    json: &'a str,
    marks: Vec<u32>,
}

/// A value, or the name of a member.
#[derive(Clone, Copy)]
pub(super) struct Node<'t> {
    tape: &'t Tape<'t>,
    mark: usize,
}

/// The nodes right inside an object or array, names and values in turns.
pub(super) struct Inside<'t> {
    tape: &'t Tape<'t>,
    mark: usize,
}

/// How deep a text may nest. More is nothing that is asked for, and would take many marks.
pub(super) const DEPTH_MAX: usize = 128;

/// The bit of a string's mark that says that an escape is in it.
const ESCAPE: u32 = 1 << 31;

impl<'a> Tape<'a> {
    /// The most bytes of a text.
    const MOST: usize = (ESCAPE - 1) as usize;

    /// `None` for what is no JSON, nests deeper than [`DEPTH_MAX`], or has 2 GiB.
    pub(super) fn of(json: &'a str) -> Option<Self> {
        if json.len() > Self::MOST {
            return None;
        }
        let marks = Scan::of(json.as_bytes()).all()?;
        Some(Self { json, marks })
    }

    /// The value that the text is.
    pub(super) const fn root(&self) -> Node<'_> {
        Node { tape: self, mark: 0 }
    }

    /// Where this mark points; behind the last one the text ends.
    fn at(&self, mark: usize) -> usize {
        let at = self.marks.get(mark).map(|mark| mark & !ESCAPE);
        at.map_or(self.json.len(), |at| at as usize)
    }
}

impl<'t> Node<'t> {
    /// Its first byte, which tells of what sort it is.
    pub(super) fn first(self) -> u8 {
        let first = self.tape.json.as_bytes().get(self.tape.at(self.mark));
        first.copied().unwrap_or_default()
    }

    /// The JSON of it.
    pub(super) fn raw(self) -> &'t str {
        let start = self.tape.at(self.mark);
        let end = match self.first() {
            b'{' | b'[' => self.tape.at(self.next() - 1) + 1,
            _ => self.end(),
        };
        self.tape.json.get(start..end).unwrap_or_default()
    }

    /// Where it ends, being no container: before the next mark, without the space and the comma or colon in between, which
    /// no value ends with.
    fn end(self) -> usize {
        let mut end = self.tape.at(self.mark + 1);
        let json = self.tape.json.as_bytes();
        while let Some(b' ' | b'\t' | b'\n' | b'\r' | b',' | b':') = json.get(end.wrapping_sub(1)) {
            end -= 1;
        }
        end
    }

    /// The characters of a string between its quotation marks, if each stands for itself.
    pub(super) fn plain(self) -> Option<&'t str> {
        let start = *self.tape.marks.get(self.mark)?;
        if start & ESCAPE != 0 {
            return None;
        }
        self.tape.json.get(start as usize + 1..self.end() - 1)
    }

    /// The text that a string stands for; `None` where an escape stands for no character: half of a pair.
    pub(super) fn text(self) -> Option<Cow<'t, str>> {
        match self.plain() {
            Some(plain) => Some(Cow::Borrowed(plain)),
            None => serde_json::from_str(self.raw()).ok().map(Cow::Owned),
        }
    }

    /// The items of an array.
    pub(super) const fn items(self) -> Inside<'t> {
        // Behind the bracket's mark and that of what comes behind the container.
        Inside {
            tape: self.tape,
            mark: self.mark + 2,
        }
    }

    /// The members of an object: name and value.
    pub(super) fn members(self) -> impl Iterator<Item = (Self, Self)> {
        let mut inside = self.items();
        std::iter::from_fn(move || Some((inside.next()?, inside.next()?)))
    }

    /// The mark behind it.
    fn next(self) -> usize {
        match self.first() {
            b'{' | b'[' => self
                .tape
                .marks
                .get(self.mark + 1)
                .map_or(0, |next| *next as usize),
            _ => self.mark + 1,
        }
    }
}

impl<'t> Iterator for Inside<'t> {
    type Item = Node<'t>;

    fn next(&mut self) -> Option<Node<'t>> {
        let node = Node {
            tape: self.tape,
            mark: self.mark,
        };
        if matches!(node.first(), b'}' | b']') {
            return None;
        }
        self.mark = node.next();
        Some(node)
    }
}

/// The pass over the text.
struct Scan<'a> {
    json: &'a [u8],
    at: usize,
    marks: Vec<u32>,
    /// The mark of the innermost container that is open. Where the mark behind that one will stand is as long the container
    /// around it.
    open: u32,
    depth: usize,
}

/// No container: none is the one behind the last possible mark.
const NONE: u32 = u32::MAX;

impl<'a> Scan<'a> {
    fn of(json: &'a [u8]) -> Self {
        Self {
            json,
            at: 0,
            // Of what is sent most, a mark comes each twenty bytes.
            marks: Vec::with_capacity(json.len() / 16 + 8),
            open: NONE,
            depth: 0,
        }
    }

    /// All marks.
    fn all(mut self) -> Option<Vec<u32>> {
        self.space();
        loop {
            if !self.value()? {
                continue;
            }
            // One has ended, and maybe what it was the last in.
            while !self.another()? {
                if self.open == NONE {
                    self.space();
                    return (self.at == self.json.len()).then_some(self.marks);
                }
            }
        }
    }

    /// Reads the value here, or the beginning of a container. Whether a value has ended with it.
    fn value(&mut self) -> Option<bool> {
        match self.byte()? {
            b'"' => self.string()?,
            open @ (b'{' | b'[') => {
                let mark = self.marks.len() as u32;
                self.mark();
                self.marks.push(self.open);
                self.open = mark;
                self.depth += 1;
                if self.depth > DEPTH_MAX {
                    return None;
                }
                self.at += 1;
                self.space();
                // An empty one ends at once: see `another`.
                if self.byte()? == open + 2 {
                    return Some(true);
                }
                if open == b'{' {
                    self.name()?;
                }
                return Some(false);
            }
            b't' => self.word(b"true")?,
            b'f' => self.word(b"false")?,
            b'n' => self.word(b"null")?,
            _ => self.number()?,
        }
        Some(true)
    }

    /// Goes past what stands behind a value. Whether another value follows in the same container; otherwise that has ended, or
    /// there was none.
    fn another(&mut self) -> Option<bool> {
        let Some(start) = self.marks.get(self.open as usize) else {
            return Some(false);
        };
        let opened = *self.json.get(*start as usize)?;
        self.space();
        match self.byte()? {
            b',' => {
                self.at += 1;
                self.space();
                if opened == b'{' {
                    self.name()?;
                }
                Some(true)
            }
            // Both brackets that close are two behind those that open.
            close if close == opened + 2 => {
                self.mark();
                self.at += 1;
                let behind = self.marks.len() as u32;
                let around = self.marks.get_mut(self.open as usize + 1)?;
                self.open = std::mem::replace(around, behind);
                self.depth -= 1;
                Some(false)
            }
            _ => None,
        }
    }

    /// A name with its colon.
    fn name(&mut self) -> Option<()> {
        if self.byte()? != b'"' {
            return None;
        }
        self.string()?;
        self.space();
        if self.byte()? != b':' {
            return None;
        }
        self.at += 1;
        self.space();
        Some(())
    }

    fn string(&mut self) -> Option<()> {
        let mark = self.marks.len();
        self.mark();
        self.at += 1;
        loop {
            self.at += ordinary(self.json.get(self.at..)?);
            match self.byte()? {
                b'"' => break,
                b'\\' => {
                    *self.marks.get_mut(mark)? |= ESCAPE;
                    self.escape()?;
                }
                // What is below space must be escaped.
                _ => return None,
            }
        }
        self.at += 1;
        Some(())
    }

    fn escape(&mut self) -> Option<()> {
        self.at += match self.json.get(self.at + 1)? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => 2,
            b'u' => {
                let digits = self.json.get(self.at + 2..self.at + 6)?;
                digits.iter().all(u8::is_ascii_hexdigit).then_some(6)?
            }
            _ => return None,
        };
        Some(())
    }

    fn number(&mut self) -> Option<()> {
        self.mark();
        self.pass(|byte| byte == b'-');
        if !self.pass(|byte| byte == b'0') {
            self.digits()?;
        }
        if self.pass(|byte| byte == b'.') {
            self.digits()?;
        }
        if self.pass(|byte| matches!(byte, b'e' | b'E')) {
            self.pass(|byte| matches!(byte, b'+' | b'-'));
            self.digits()?;
        }
        Some(())
    }

    /// One digit at least.
    fn digits(&mut self) -> Option<()> {
        let from = self.at;
        while self.pass(|byte| byte.is_ascii_digit()) {}
        (self.at > from).then_some(())
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.mark();
        let found = self.json.get(self.at..)?.starts_with(word);
        self.at += word.len();
        found.then_some(())
    }

    /// Goes past this byte, if it is one of those.
    fn pass(&mut self, is: impl Fn(u8) -> bool) -> bool {
        let passed = self.byte().is_some_and(is);
        self.at += usize::from(passed);
        passed
    }

    fn space(&mut self) {
        while matches!(self.byte(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Marks that something begins here. `MOST` bytes are counted by 31 bits.
    fn mark(&mut self) {
        self.marks.push(self.at as u32);
    }

    fn byte(&self) -> Option<u8> {
        self.json.get(self.at).copied()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::de::IgnoredAny;

    use super::*;

    /// The JSON of what is right inside.
    fn pieces(json: &str) -> Vec<String> {
        let tape = Tape::of(json).expect("JSON");
        tape.root().items().map(|node| node.raw().to_owned()).collect()
    }

    #[test]
    fn objects_and_arrays_come_apart() {
        assert!(pieces("{}").is_empty());
        assert!(pieces(" [ ] ").is_empty());
        assert_eq!(
            pieces(r#"{ "a" : {"x":[1,{"y":"}"}]} , "b":"\\\"," ,"c":-1.5e3,"":null}"#),
            [
                "\"a\"",
                r#"{"x":[1,{"y":"}"}]}"#,
                "\"b\"",
                r#""\\\",""#,
                "\"c\"",
                "-1.5e3",
                "\"\"",
                "null"
            ]
        );
        assert_eq!(
            pieces("[1 ,\t\"a]\",\r\n[[],[2]] , true]"),
            ["1", "\"a]\"", "[[],[2]]", "true"]
        );
    }

    #[test]
    fn members_have_names_and_values() {
        let tape = Tape::of(r#"{"a":{"b":1},"c" : [ ]}"#).expect("JSON");
        let members: Vec<_> = tape
            .root()
            .members()
            .map(|(name, value)| (name.plain(), value.raw()))
            .collect();
        assert_eq!(members, [(Some("a"), "{\"b\":1}"), (Some("c"), "[ ]")]);
    }

    #[test]
    fn strings_stand_for_their_text() {
        let tape = Tape::of(r#"["plain é","\u00e9\n","\ud800","",":,"]"#).expect("JSON");
        let texts: Vec<_> = tape.root().items().map(Node::text).collect();
        let expected = [Some("plain é"), Some("é\n"), None, Some(""), Some(":,")];
        assert_eq!(texts, expected.map(|text| text.map(Cow::Borrowed)));
        assert_eq!(tape.root().items().nth(1).and_then(Node::plain), None);
    }

    #[test]
    fn a_value_alone_is_json_too() {
        for json in ["1", " -0.5E+10\n", "\"a\"", "true ", "null", "[]"] {
            let tape = Tape::of(json).expect("JSON");
            assert_eq!(tape.root().raw(), json.trim());
        }
    }

    /// All pieces, from the outermost in.
    fn taken_apart(node: Node<'_>, pieces: &mut Vec<String>) {
        pieces.push(node.raw().to_owned());
        if matches!(node.first(), b'{' | b'[') {
            node.items().for_each(|inner| taken_apart(inner, pieces));
        }
    }

    /// The same, as serde has it.
    fn taken_apart_by_serde(raw: &str, pieces: &mut Vec<String>) {
        use serde_json::value::RawValue;
        pieces.push(raw.to_owned());
        if raw.starts_with('[') {
            let items: Vec<&RawValue> = serde_json::from_str(raw).expect("an array");
            items
                .into_iter()
                .for_each(|item| taken_apart_by_serde(item.get(), pieces));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn what_serde_takes_is_taken_and_nothing_else(
            tokens in prop::collection::vec(
                prop::sample::select(vec![
                    "{", "}", "[", "]", ",", ":", "\"a\"", "\"\\u00e9\"", "\"\\u00g\"", "\"\\x\"", "\"", "\\", "1", "-", "0", "01",
                    "-0", "1.", ".5", "1.5", "1e", "1e5", "1E-05", "+", "true", "tru", "false", "null", " ", "\n", "\t", "\r", "\u{b}",
                    "\"\u{1}\"", "é", "\"a\":", "[]", "{}", "{\"a\":1}", "\"\\\"",
                ]),
                0..12,
            )
        ) {
            let json = tokens.concat();
            prop_assert_eq!(
                Tape::of(&json).is_some(),
                serde_json::from_str::<IgnoredAny>(&json).is_ok(),
                "{}", json
            );
        }

        #[test]
        fn its_pieces_are_those_that_serde_finds(json in nested()) {
            let tape = Tape::of(&json).expect("JSON");
            let (mut pieces, mut expected) = (Vec::new(), Vec::new());
            taken_apart(tape.root(), &mut pieces);
            taken_apart_by_serde(json.trim(), &mut expected);
            prop_assert_eq!(pieces, expected);
        }
    }

    /// Arrays in arrays, with space here and there.
    fn nested() -> impl Strategy<Value = String> {
        let leaf = prop::sample::select(vec![
            "1", "-2.5e7", "\"a,b]\"", "\"\\\\\"", "true", "null", "[]", " [ ] ", "\"\"",
        ]);
        let space = || prop::sample::select(vec!["", " ", "\n\t"]);
        leaf.prop_map(str::to_owned)
            .prop_recursive(6, 40, 5, move |inner| {
                (prop::collection::vec((space(), inner, space()), 0..5), space()).prop_map(|(items, end)| {
                    let items: Vec<_> = items
                        .iter()
                        .map(|(before, item, after)| format!("{before}{}{after}", item.trim()))
                        .collect();
                    format!("[{}{end}]", items.join(","))
                })
            })
    }

    #[test]
    fn depth_has_an_end() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(Tape::of(&nested(DEPTH_MAX)).is_some());
        assert!(Tape::of(&nested(DEPTH_MAX + 1)).is_none());
        let beside = vec![nested(DEPTH_MAX - 1); 3].join(",");
        assert!(
            Tape::of(&format!("[{beside}]")).is_some(),
            "what is beside is no deeper"
        );
    }
}
