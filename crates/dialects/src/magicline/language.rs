//! Which language a caller reads, by `Accept-Language` (RFC 9110, 12.5.4).

/// A language that messages are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    English,
    German,
}

impl Language {
    pub(super) const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
        }
    }

    /// The language of the range with the highest weight, the first of equal ones; English where none is known.
    pub(super) fn preferred(header: Option<&str>) -> Self {
        let mut best = (Self::English, 0);
        for range in header.unwrap_or_default().split(',') {
            let mut parts = range.split(';');
            let tag = parts.next().unwrap_or_default().trim();
            let weight = parts
                .find_map(|part| part.trim().strip_prefix("q="))
                .map_or(1000, thousandths);
            let primary = tag.split('-').next().unwrap_or_default();
            let language = match primary.to_ascii_lowercase().as_str() {
                "en" | "*" => Self::English,
                "de" => Self::German,
                _ => continue,
            };
            if weight > best.1 {
                best = (language, weight);
            }
        }
        best.0
    }
}

/// A weight of 0 to 1 with up to three places, in thousandths; what is no weight counts as none.
fn thousandths(text: &str) -> u32 {
    let (whole, places) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !matches!(whole, "0" | "1") || places.len() > 3 || !digits(places) {
        return 0;
    }
    let places = format!("{places:0<3}").parse().unwrap_or(0);
    let weight: u32 = if whole == "1" { 1000 } else { places };
    weight.min(1000)
}

#[cfg(test)]
mod tests {
    use super::Language::{English, German};
    use super::*;

    #[test]
    fn the_heaviest_known_language() {
        let cases = [
            (None, English),
            (Some("de"), German),
            (Some("de-AT, en;q=0.8"), German),
            (Some("DE"), German),
            (Some("en;q=0.3, de;q=0.5"), German),
            (Some("en, de"), English),
            (Some("fr, de;q=0.1"), German),
            (Some("fr"), English),
            (Some("de;q=0"), English),
            (Some("de;q=0, *"), English),
            (Some("*, de;q=0.9"), English),
            (Some("de;q=x"), English),
            (Some("den"), English),
            (Some(""), English),
            (Some("de ; q=0.7 , en ; q=0.25"), German),
        ];
        for (header, language) in cases {
            assert_eq!(Language::preferred(header), language, "{header:?}");
        }
    }
}
