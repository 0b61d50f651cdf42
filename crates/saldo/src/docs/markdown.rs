//! As much of Markdown as the document's texts use: paragraphs, `code` and **bold**.

use maud::{Markup, PreEscaped, html};

/// A text of several paragraphs.
pub(super) fn paragraphs(text: &str) -> Markup {
    html! {
        @for paragraph in text.split("\n\n") {
            p { (inline(paragraph)) }
        }
    }
}

/// A text of one.
pub(super) fn inline(text: &str) -> Markup {
    let mut rest = text;
    let mut out = String::new();
    while let Some((before, after)) = rest.split_once('`') {
        let Some((code, behind)) = after.split_once('`') else {
            break;
        };
        out += &bold(before);
        out += &html! { code { (code) } }.into_string();
        rest = behind;
    }
    out += &bold(rest);
    PreEscaped(out)
}

fn bold(text: &str) -> String {
    let parts = text.split("**").enumerate();
    let parts = parts.map(|(nth, part)| match nth % 2 {
        0 => html! { (part) }.into_string(),
        _ => html! { strong { (part) } }.into_string(),
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped_and_marked() {
        let cases = [
            ("a < b & `c < d`", "a &lt; b &amp; <code>c &lt; d</code>"),
            (
                "**one** and `**two**`",
                "<strong>one</strong> and <code>**two**</code>",
            ),
            ("an odd ` stays", "an odd ` stays"),
        ];
        for (text, expected) in cases {
            assert_eq!(inline(text).into_string(), expected);
        }
        assert_eq!(paragraphs("a\n\nb").into_string(), "<p>a</p><p>b</p>");
    }
}
