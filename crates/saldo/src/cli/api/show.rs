//! Answers as tables. Names are those of the JSON, so that who reads one can read the other.

use std::fmt;

use comfy_table::{CellAlignment, Table, presets};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::failed::Failed;
use super::link::Answer;

/// One thing: a line for each of its members, and a table for each list in it.
pub(super) fn thing(answer: &Answer, done: &str) -> Result<String, Failed> {
    let mut flat = Flat::default();
    if !answer.body.is_empty() {
        flat.take("", parse(&answer.body)?);
    }
    if let (None, Some(position)) = (flat.field("position"), &answer.position) {
        flat.fields.push(("position".to_owned(), plain(position)));
    }
    if answer.body.is_empty() {
        return Ok(format!("{done}\n"));
    }
    let fields = flat.fields.into_iter().map(|(name, text)| vec![name, text]);
    let mut text = table(None, fields.collect());
    for (name, items) in flat.lists {
        let mut names: Vec<&str> = Vec::new();
        for (name, _) in items.iter().flat_map(|item| &item.fields) {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        let rows = items.iter().map(|item| item.texts(&names));
        text += &format!("\n{name}\n{}", table(Some(&names), rows.collect()));
    }
    Ok(text)
}

/// Things of one kind: a line for each, with these members. One with a list in it that is shown has a line for each item of that.
pub(super) fn list(items: &[Box<RawValue>], columns: &[&str]) -> String {
    let mut rows = Vec::new();
    for item in items {
        let mut flat = Flat::default();
        flat.take("", item);
        let shown = |name: &str| columns.iter().find_map(|column| rest(column, name));
        let within = flat.lists.iter().find(|(name, _)| shown(name).is_some());
        let Some((name, parts)) = within else {
            rows.push(flat.texts(columns));
            continue;
        };
        for (index, part) in parts.iter().enumerate() {
            let cell = |column: &&str| match rest(column, name) {
                Some(member) => part.field(member),
                None => flat.field(column).filter(|_| index == 0),
            };
            let row = columns
                .iter()
                .map(|column| cell(column).unwrap_or_default().to_owned());
            rows.push(row.collect());
        }
    }
    match rows.is_empty() {
        true => String::new(),
        false => table(Some(columns), rows),
    }
}

/// What stands behind a name and a point.
fn rest<'a>(column: &'a str, name: &str) -> Option<&'a str> {
    column.strip_prefix(name)?.strip_prefix('.')
}

/// Text that a terminal shows as it is: names are other people's, and must not move the cursor.
pub(super) fn plain(text: &str) -> String {
    text.chars()
        .fold(String::with_capacity(text.len()), |mut shown, sign| {
            match sign.is_control() {
                true => shown.extend(sign.escape_default()),
                false => shown.push(sign),
            }
            shown
        })
}

/// An answer that must be JSON.
fn parse(text: &str) -> Result<&RawValue, Failed> {
    serde_json::from_str(text).map_err(|error| Failed::refused(format!("the answer is no JSON: {error}")))
}

/// An object as names and texts, those of an object in it behind a point, and the lists of objects in it.
#[derive(Default)]
struct Flat {
    fields: Vec<(String, String)>,
    lists: Vec<(String, Vec<Flat>)>,
}

impl Flat {
    fn field(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(field, _)| field == name)?;
        Some(&found.1)
    }

    fn texts(&self, names: &[&str]) -> Vec<String> {
        let texts = names
            .iter()
            .map(|name| self.field(name).unwrap_or_default().to_owned());
        texts.collect()
    }

    fn take(&mut self, name: &str, raw: &RawValue) {
        let text = raw.get();
        let parsed = match text.as_bytes().first() {
            // Metadata is the caller's own, and shown as it is.
            Some(b'{') if name != "metadata" => self.take_members(name, text),
            Some(b'[') => self.take_items(name, text),
            Some(b'"') => serde_json::from_str(text).map(|text: String| self.push(name, &text)),
            _ => {
                self.push(name, text);
                Ok(())
            }
        };
        // Half of a surrogate pair is JSON, but no text.
        if parsed.is_err() {
            self.push(name, text);
        }
    }

    fn take_members(&mut self, name: &str, text: &str) -> serde_json::Result<()> {
        for (member, value) in serde_json::from_str::<Members<'_>>(text)?.0 {
            match name {
                "" => self.take(&member, value),
                _ => self.take(&format!("{name}.{member}"), value),
            }
        }
        Ok(())
    }

    fn take_items(&mut self, name: &str, text: &str) -> serde_json::Result<()> {
        let items: Vec<&RawValue> = serde_json::from_str(text)?;
        let flat = items.iter().map(|item| {
            let mut flat = Self::default();
            flat.take("", item);
            flat
        });
        let flat: Vec<_> = flat.collect();
        if items.iter().any(|item| item.get().starts_with('{')) {
            self.lists.push((name.to_owned(), flat));
        } else if !items.is_empty() {
            let texts: Vec<_> = flat.iter().filter_map(|item| item.field("")).collect();
            self.fields.push((name.to_owned(), texts.join(", ")));
        }
        Ok(())
    }

    fn push(&mut self, name: &str, text: &str) {
        self.fields.push((name.to_owned(), plain(text)));
    }
}

/// The members of an object, in their order.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(InOrder).map(Members)
    }
}

/// Rows under these names, of which the part behind the last point is shown.
fn table(names: Option<&[&str]>, rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    if let Some(names) = names {
        let short = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
        table.set_header(names.iter().map(|name| short(name)));
    }
    let is_number = |text: &String| {
        let digits = text.strip_prefix('-').unwrap_or(text);
        digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let numbers = (0..columns).map(|column| {
        let mut cells = rows.iter().filter_map(|row| row.get(column));
        names.is_some() && cells.all(is_number)
    });
    let numbers: Vec<_> = numbers.collect();
    table.add_rows(rows);
    for (column, is_numbers) in table.column_iter_mut().zip(numbers) {
        column.set_padding((0, 2));
        if is_numbers {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    format!("{}\n", table.trim_fmt())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        serde_json::from_str(text).expect("JSON")
    }

    fn answer(body: &str) -> Answer {
        Answer {
            body: body.to_owned(),
            position: Some("7".to_owned()),
            replayed: false,
        }
    }

    #[test]
    fn a_thing_is_shown_whole_and_in_order() {
        let body = r#"{"id":"x","metadata":{"a": 1.10},"scopes":["read","post"],"limits":[],"dunning":{"label":"L\u001b[2J"},
            "balances":[{"asset":"USD","settled":"-5"},{"asset":"EUR","settled":"1200","credit":"1"}]}"#;
        let shown = thing(&answer(body), "").unwrap_or_else(|_| panic!("a table"));
        assert_eq!(
            shown,
            "id             x\n\
             metadata       {\"a\": 1.10}\n\
             scopes         read, post\n\
             dunning.label  L\\u{1b}[2J\n\
             position       7\n\
             \n\
             balances\n\
             asset  settled  credit\n\
             USD         -5\n\
             EUR       1200       1\n"
        );
        let nothing = thing(&answer(""), "Revoked.").unwrap_or_else(|_| panic!("a line"));
        assert_eq!(nothing, "Revoked.\n");
        assert!(thing(&answer("<html>"), "").is_err());
    }

    #[test]
    fn a_list_in_an_item_has_a_line_for_each() {
        let items = [
            r#"{"id":"a","postings":[{"to":"p","amount":"10"},{"to":"q","amount":"2000"}]}"#,
            r#"{"id":"b","postings":[{"to":"r","amount":"3"}]}"#,
            r#"{"id":"c"}"#,
        ];
        let shown = list(&items.map(raw), &["id", "postings.to", "postings.amount"]);
        assert_eq!(
            shown,
            "id  to  amount\n\
             a   p       10\n    \
                 q     2000\n\
             b   r        3\n\
             c\n"
        );
        assert_eq!(list(&[], &["id"]), "");
    }

    #[test]
    fn what_is_no_text_is_shown_as_it_came() {
        let shown = list(&[raw(r#"{"id":"\ud800"}"#)], &["id"]);
        assert_eq!(shown, "id\n\"\\ud800\"\n");
    }
}
