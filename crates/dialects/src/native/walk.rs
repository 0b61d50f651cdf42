//! Taking an object or array apart into the pieces of text that it is made of. That it is JSON is known: what is not
//! would give some pieces too, but no panic.

/// The members of an object, each with its name in quotation marks, or the items of an array, whose names are empty.
pub(super) struct Walk<'a> {
    json: &'a str,
    at: usize,
    named: bool,
}

impl<'a> Walk<'a> {
    /// Those of this piece of JSON, which begins with its bracket.
    pub(super) fn of(json: &'a str) -> Self {
        Self {
            json,
            at: 1,
            named: json.starts_with('{'),
        }
    }

    /// The next item of an array. Of an object or array it is all from its bracket on, where it ends being still unknown:
    /// [`Walk::past`] has to say before the next item is asked for.
    pub(super) fn item(&mut self) -> Option<&'a str> {
        self.pass(b',');
        self.at = space_end(self.json.as_bytes(), self.at);
        match self.json.as_bytes().get(self.at) {
            Some(b'{' | b'[') => self.json.get(self.at..),
            _ => self.value(),
        }
    }

    /// Goes past an item that [`Walk::item`] gave, and that is so many bytes long; 0 where nobody found its end.
    pub(super) fn past(&mut self, item: &str, len: usize) {
        if item.starts_with(['{', '[']) {
            self.at += match len {
                0 => value_end(item.as_bytes(), 0),
                len => len,
            };
        }
    }

    /// How many bytes it was to the closing bracket and with it, once there is nothing more.
    pub(super) fn len(&self) -> usize {
        self.at + 1
    }

    /// The value that begins here, or behind space.
    fn value(&mut self) -> Option<&'a str> {
        let bytes = self.json.as_bytes();
        let start = space_end(bytes, self.at);
        self.at = value_end(bytes, start);
        self.json.get(start..self.at).filter(|value| !value.is_empty())
    }

    /// Goes past space and, where it stands, this byte.
    fn pass(&mut self, byte: u8) {
        let bytes = self.json.as_bytes();
        self.at = space_end(bytes, self.at);
        if bytes.get(self.at) == Some(&byte) {
            self.at += 1;
        }
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        self.pass(b',');
        let mut name = "";
        if self.named {
            name = self.value()?;
            self.pass(b':');
        }
        Some((name, self.value()?))
    }
}

/// The text between the quotation marks of a string, if it has no escape.
pub(super) fn plain(quoted: &str) -> Option<&str> {
    let inside = inside(quoted)?;
    // Without a way out in between, many bytes are compared at once.
    let escapes = inside.bytes().fold(false, |found, byte| found | (byte == b'\\'));
    (!escapes).then_some(inside)
}

/// What stands between the quotation marks of a string, escapes and all.
pub(super) fn inside(quoted: &str) -> Option<&str> {
    quoted.strip_prefix('"')?.strip_suffix('"')
}

fn space_end(json: &[u8], mut at: usize) -> usize {
    while matches!(json.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

/// Where the value that begins at `at` ends; at once, where a bracket closes.
fn value_end(json: &[u8], at: usize) -> usize {
    match json.get(at) {
        Some(b'"') => string_end(json, at),
        Some(b'{' | b'[') => container_end(json, at),
        _ => {
            let ends = |byte: &u8| matches!(byte, b',' | b':' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r');
            let rest = json.get(at..).unwrap_or_default();
            at + rest.iter().position(ends).unwrap_or(rest.len())
        }
    }
}

/// Where the object or array that begins at `at` ends.
fn container_end(json: &[u8], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while let Some(byte) = json.get(at) {
        match byte {
            b'"' => {
                at = string_end(json, at);
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth <= 1 => return at + 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    at
}

/// Where the string that begins at `at` ends.
fn string_end(json: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    loop {
        at += ordinary(json.get(at..).unwrap_or_default());
        match json.get(at) {
            Some(b'"') => return at + 1,
            // What is escaped ends nothing.
            Some(_) => at += 2,
            None => return json.len(),
        }
    }
}

/// How many bytes stand before the first quotation mark or backslash. Eight are looked at together: strings are mostly so
/// short that a library's search would take longer to begin than to end.
fn ordinary(text: &[u8]) -> usize {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGHS: u64 = u64::from_le_bytes([0x80; 8]);
    let (words, rest) = text.as_chunks::<8>();
    let mut before = 0;
    for word in words {
        let word = u64::from_le_bytes(*word);
        // The lowest byte that is found is one that is there: a borrow makes mistakes above it alone.
        let found = |byte: u8| {
            let differs = word ^ (ONES * u64::from(byte));
            differs.wrapping_sub(ONES) & !differs & HIGHS
        };
        let found = found(b'"') | found(b'\\');
        if found != 0 {
            return before + found.trailing_zeros() as usize / 8;
        }
        before += 8;
    }
    let ends = |byte: &u8| matches!(byte, b'"' | b'\\');
    before + rest.iter().position(ends).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(json: &str) -> Vec<(&str, &str)> {
        Walk::of(json).collect()
    }

    #[test]
    fn objects_and_arrays_come_apart() {
        assert_eq!(pieces("{}"), []);
        assert_eq!(pieces("[ ]"), []);
        assert_eq!(
            pieces(r#"{ "a" : {"x":[1,{"y":"}"}]} , "b":"\\\"," ,"c":-1.5e3,"":null}"#),
            [
                ("\"a\"", r#"{"x":[1,{"y":"}"}]}"#),
                ("\"b\"", r#""\\\",""#),
                ("\"c\"", "-1.5e3"),
                ("\"\"", "null")
            ]
        );
        assert_eq!(
            pieces("[1 ,\t\"a]\",\r\n[[],[2]] , true]"),
            [("", "1"), ("", "\"a]\""), ("", "[[],[2]]"), ("", "true")]
        );
    }

    #[test]
    fn the_pieces_are_those_that_serde_finds() {
        let json = r#"[{"é":"\u00e9\\","deep":[[[["\"]"]]]],"n":0},[],{},"[{",12]"#;
        let found: Vec<&serde_json::value::RawValue> = serde_json::from_str(json).unwrap();
        let found: Vec<_> = found.iter().map(|raw| ("", raw.get())).collect();
        assert_eq!(pieces(json), found);
    }

    #[test]
    fn the_first_that_ends_or_escapes_is_found() {
        let text = "0123456789abcdef01234567";
        for len in 0..text.len() {
            assert_eq!(ordinary(&text.as_bytes()[..len]), len);
            for at in 0..len {
                for found in [b'"', b'\\'] {
                    let mut text = text.as_bytes()[..len].to_vec();
                    text[at] = found;
                    text[len - 1] = if at == len - 1 { found } else { b'#' };
                    assert_eq!(ordinary(&text), at);
                }
            }
        }
    }

    #[test]
    fn the_ends_of_items_are_found_by_who_reads_them_or_not_at_all() {
        let json = r#"[ {"a":[1]} ,"b",[ [] ] , 7 ]"#;
        for told in [true, false] {
            let mut walk = Walk::of(json);
            let mut items = Vec::new();
            while let Some(item) = walk.item() {
                let mut inner = Walk::of(item);
                let is_container = item.starts_with(['{', '[']);
                let len = if told && is_container {
                    while inner.next().is_some() {}
                    inner.len()
                } else {
                    0
                };
                let before = walk.at;
                walk.past(item, len);
                items.push(if is_container {
                    &item[..walk.at - before]
                } else {
                    item
                });
            }
            assert_eq!(items, [r#"{"a":[1]}"#, r#""b""#, "[ [] ]", "7"]);
            assert_eq!(walk.len(), json.len());
        }
    }

    #[test]
    fn what_is_no_json_ends() {
        for json in [
            "[",
            "{",
            "[\"",
            "{\"a",
            "{\"a\":",
            "[\"\\",
            "[[[",
            "[}}",
            "{]",
            "[1 2",
            "{:",
            "[,,",
            "{\"a\"\"b\"",
        ] {
            assert!(pieces(json).len() < 4, "{json}");
        }
    }
}
