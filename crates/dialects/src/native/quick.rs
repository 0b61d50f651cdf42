//! A batch as nearly all are: plain postings under ids, and no escapes. It is read in one pass, with half of the instructions
//! that it takes to look into it member by member.
//!
//! Whatever else there is, rarer or at fault, is not read here at all. The way that all other bodies go knows every member, and
//! says what is wrong: see [`super::body`].

use ledger::{Notes, Posting, Postings};
use service::PostTransaction;

use super::forms::{ACCOUNT, AMOUNT, ASSET, Form, TRANSACTION};
use crate::json::ordinary;

/// About the bytes of a transaction with one posting; where there are fewer, the list grows.
const ONE: usize = 160;

/// The characters of a UUID.
const UUID: usize = 36;

/// The transactions of a body that has nothing else, if there are no more than `limit`: what is read takes several times the
/// memory of the body.
pub(super) fn batch(json: &str, limit: usize) -> Option<Vec<PostTransaction>> {
    let mut text = Text { json, at: 0 };
    let mut transactions = None;
    text.object(|text| match text.name(br#""transactions":"#) {
        true => {
            let all = Vec::with_capacity(limit.min(json.len() / ONE));
            once(&mut transactions, text.each(all, limit, transaction)?)
        }
        false => None,
    })?;
    text.space();
    (text.at == json.len()).then_some(transactions?)
}

fn transaction(text: &mut Text<'_>) -> Option<PostTransaction> {
    let (mut id, mut postings) = (None, None);
    text.object(|text| {
        if text.name(br#""id":"#) {
            once(&mut id, text.id(&TRANSACTION)?)
        } else if text.name(br#""postings":"#) {
            once(&mut postings, text.each(Postings::new(), usize::MAX, posting)?)
        } else {
            None
        }
    })?;
    Some(PostTransaction {
        id,
        postings: postings?,
        reference: None,
        effective_at: None,
        hold: None,
        force: false,
        notes: Notes::default(),
    })
}

fn posting(text: &mut Text<'_>) -> Option<Posting> {
    let (mut from, mut to, mut asset, mut amount) = (None, None, None, None);
    text.object(|text| {
        if text.name(br#""from":"#) {
            once(&mut from, text.id(&ACCOUNT)?)
        } else if text.name(br#""to":"#) {
            once(&mut to, text.id(&ACCOUNT)?)
        } else if text.name(br#""asset":"#) {
            once(&mut asset, text.form(&ASSET)?)
        } else if text.name(br#""amount":"#) {
            once(&mut amount, text.form(&AMOUNT)?)
        } else {
            None
        }
    })?;
    Some(Posting {
        from: from?,
        to: to?,
        asset: asset?,
        amount: amount?,
    })
}

/// Puts what is to be there once.
fn once<T>(place: &mut Option<T>, value: T) -> Option<()> {
    place.replace(value).is_none().then_some(())
}

/// JSON that is read from left to right. What is not there, or not as it is to be, gives `None`.
struct Text<'a> {
    json: &'a str,
    at: usize,
}

impl<'a> Text<'a> {
    /// An object, each member of which `member` reads: its name, then its value.
    fn object(&mut self, member: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.list(b'{', b'}', member)
    }

    /// An array of at most `limit` items, which `item` reads; `all` has them then.
    fn each<T, C: Extend<T>>(
        &mut self,
        mut all: C,
        limit: usize,
        item: fn(&mut Self) -> Option<T>,
    ) -> Option<C> {
        let mut left = limit;
        self.list(b'[', b']', |text| {
            left = left.checked_sub(1)?;
            all.extend([item(text)?]);
            Some(())
        })?;
        Some(all)
    }

    /// What stands between these brackets, with commas in between.
    fn list(&mut self, open: u8, close: u8, mut one: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.past(open)?;
        if self.past(close).is_some() {
            return Some(());
        }
        loop {
            one(self)?;
            if self.past(b',').is_none() {
                return self.past(close);
            }
        }
    }

    /// Goes past this name, given as it stands there with its colon, if it comes next.
    fn name<const N: usize>(&mut self, name: &[u8; N]) -> bool {
        self.space();
        let rest = self.json.as_bytes().get(self.at..);
        let is_next = rest.and_then(<[u8]>::first_chunk) == Some(name);
        self.at += if is_next { N } else { 0 };
        is_next
    }

    /// An id: nearly always a UUID, whose end need not be looked for.
    fn id<T>(&mut self, form: &Form<T>) -> Option<T> {
        self.space();
        let at = self.at;
        let end = at + 1 + UUID;
        let marks = [self.json.as_bytes().get(at), self.json.as_bytes().get(end)];
        if marks == [Some(&b'"'); 2]
            && let Some(id) = self.json.get(at + 1..end).and_then(|id| form.read(id))
        {
            self.at = end + 1;
            return Some(id);
        }
        self.form(form)
    }

    /// A string of this form.
    fn form<T>(&mut self, form: &Form<T>) -> Option<T> {
        form.read(self.string()?)
    }

    /// The text of a string without escapes.
    fn string(&mut self) -> Option<&'a str> {
        self.past(b'"')?;
        let from = self.at;
        self.at += ordinary(self.json.as_bytes().get(from..)?);
        let text = self.json.get(from..self.at);
        self.past_byte(b'"')?;
        text
    }

    /// Past this byte, and space before it.
    fn past(&mut self, byte: u8) -> Option<()> {
        if self.past_byte(byte).is_some() {
            return Some(());
        }
        self.space();
        self.past_byte(byte)
    }

    fn past_byte(&mut self, byte: u8) -> Option<()> {
        let is_next = self.json.as_bytes().get(self.at) == Some(&byte);
        self.at += usize::from(is_next);
        is_next.then_some(())
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.json.as_bytes().get(self.at) {
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::batch::read;
    use super::super::body::Document;
    use super::*;

    const USUAL: &str = r#"{"transactions":[{"id":"0190163d-8694-739b-aea5-966c26f8ad90","postings":[{"from":"0190163d-8694-739b-aea5-966c26f8ad91","to":"0190163D-8694-739B-AEA5-966C26F8AD92","asset":"USD","amount":"1050"},{"from":"0190163d-8694-739b-aea5-966c26f8ad92","to":"0190163d-8694-739b-aea5-966c26f8ad93","asset":"USDC@ethereum","amount":"0"}]},{"postings":[],"id":"0190163d-8694-739b-aea5-966c26f8ad94"}]}"#;

    /// How all other bodies are read.
    fn elsewhere(json: &str) -> Option<Vec<PostTransaction>> {
        let read = read(&Document::of(json).ok()?, usize::MAX).ok()?;
        assert!(!read.1, "nothing here is all or none");
        Some(read.0)
    }

    #[test]
    fn what_is_usual_is_read_here() {
        let spaced = USUAL.replace(':', ":\t").replace(',', " , \r\n") + " ";
        for json in [USUAL, &spaced, r#"{"transactions":[]}"#] {
            let all = batch(json, 2);
            assert!(all.is_some(), "{json}");
            assert_eq!(all, elsewhere(json), "{json}");
        }
    }

    #[test]
    fn other_spellings_of_ids_are_read_here() {
        let id = crate::spelling::ksuid(crate::spelling::Prefix::Account, 7);
        let json = USUAL.replace("0190163d-8694-739b-aea5-966c26f8ad91", &id);
        assert_eq!(batch(&json, 2), elsewhere(&json));
        assert!(batch(&json, 2).is_some());
    }

    #[test]
    fn what_is_rare_is_left() {
        for (usual, rare) in [
            (r#""id""#, r#""reference":"r","id""#),
            ("USD", r"US\u0044"),
            (r#""id""#, r#""i\u0064""#),
            (r#"{"transactions""#, r#"{"atomic":false,"transactions""#),
        ] {
            let json = USUAL.replace(usual, rare);
            assert_eq!(batch(&json, 2), None, "{json}");
            assert!(elsewhere(&json).is_some(), "{json}");
        }
    }

    #[test]
    fn what_is_at_fault_is_left() {
        let id = r#""id":"0190163d-8694-739b-aea5-966c26f8ad90""#;
        let twice = [
            (id, format!("{id},{id}")),
            (r#""asset":"USD""#, r#""asset":"USD","asset":"USD""#.to_owned()),
            (
                r#""amount":"1050""#,
                r#""amount":"1050","amount":"1050""#.to_owned(),
            ),
            (r#""postings":[]"#, r#""postings":[],"postings":[]"#.to_owned()),
        ];
        for (once, twice) in twice {
            let json = USUAL.replace(once, &twice);
            assert_ne!(json, USUAL);
            assert_eq!((batch(&json, 2), elsewhere(&json)), (None, None), "{json}");
        }
        let account = "0190163d-8694-739b-aea5-966c26f8ad91";
        for (name, value) in [("from", account), ("asset", "USD"), ("amount", "1050")] {
            let json = USUAL.replace(&format!(r#""{name}":"{value}","#), "");
            let json = json.replace(&format!(r#","{name}":"{value}"}}"#), "}");
            assert_ne!(json, USUAL);
            assert_eq!((batch(&json, 2), elsewhere(&json)), (None, None), "{json}");
        }
        let transactions = USUAL.trim_start_matches('{').trim_end_matches('}');
        for json in [
            format!("{{{transactions},{transactions}}}"),
            format!("{{{transactions},}}"),
            format!("{USUAL},"),
            format!("{USUAL}{USUAL}"),
            format!("[{USUAL}]"),
            USUAL.replace("]}", ",]}"),
            "{}".to_owned(),
            String::new(),
        ] {
            assert_eq!((batch(&json, 2), elsewhere(&json)), (None, None), "{json}");
        }
    }

    #[test]
    fn more_than_the_limit_is_left() {
        assert!(batch(USUAL, 2).is_some());
        assert_eq!(batch(USUAL, 1), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        /// Whatever becomes of a body that is damaged in a few places, here it is read as elsewhere or not at all.
        #[test]
        fn nothing_is_read_otherwise(
            damages in prop::collection::vec((any::<prop::sample::Index>(), 0..40_usize, prop::sample::select(vec![
                "", "{", "}", "[", "]", ",", ":", "\"", "\\", "null", "1", " ", "\u{1}", "é", "-", "a", "\"id\":", "\"from\"",
                "\"0190163d-8694-739b-aea5-966c26f8ad90\"", "[]", "\"amount\":\"5\",", "00000000", "{}",
            ])), 1..4)
        ) {
            let mut json = USUAL.to_owned();
            for (at, cut, put) in damages {
                let at = at.index(json.len());
                let end = (at + cut / 4).min(json.len());
                if json.is_char_boundary(at) && json.is_char_boundary(end) {
                    json.replace_range(at..end, put);
                }
            }
            if let Some(all) = batch(&json, 2) {
                prop_assert_eq!(Some(all), elsewhere(&json), "{}", json);
            }
        }
    }
}
