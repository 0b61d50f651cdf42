//! Taking an object or array apart into the pieces of text that it is made of. That it is JSON is known: what is not
//! would give some pieces too, but no panic.

use memchr::memchr2;

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

fn space_end(json: &[u8], mut at: usize) -> usize {
    while matches!(json.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

/// Where the value that begins at `at` ends; at once, where a bracket closes.
fn value_end(json: &[u8], mut at: usize) -> usize {
    match json.get(at) {
        Some(b'"') => string_end(json, at),
        Some(b'{' | b'[') => {
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
        _ => {
            let ends = |byte: &u8| matches!(byte, b',' | b':' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r');
            let rest = json.get(at..).unwrap_or_default();
            at + rest.iter().position(ends).unwrap_or(rest.len())
        }
    }
}

/// Where the string that begins at `at` ends.
fn string_end(json: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while let Some(found) = json.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += found;
        if json[at] == b'"' {
            return at + 1;
        }
        // What is escaped ends nothing.
        at += 2;
    }
    json.len()
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
