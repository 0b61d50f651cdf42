//! Checks of input that are neither a wire format's nor the ledger's.

use ledger::{Notes, Parts, Patch, Plain};

use crate::problem::Problem;

/// The most characters of a name.
const NAME_MAX: usize = 200;

/// A name must be there, and short enough to show. Any character may be in it but one, which PostgreSQL can't keep.
pub(crate) fn check_text(field: &str, text: &str) -> Result<(), Problem> {
    if text.contains('\0') {
        return Err(Problem::bad(field, "must not have the character U+0000 in it"));
    }
    match text.chars().count() {
        0 => Err(Problem::bad(field, "must not be empty")),
        1..=NAME_MAX => Ok(()),
        _ => Err(Problem::bad(
            field,
            format!("must have at most {NAME_MAX} characters"),
        )),
    }
}

/// A label may be empty.
pub(crate) fn check_label(field: &str, text: &str) -> Result<(), Problem> {
    if text.is_empty() {
        Ok(())
    } else {
        check_text(field, text)
    }
}

/// A name of the IANA time zone database.
pub(crate) fn check_time_zone(name: &str) -> Result<(), Problem> {
    match jiff::tz::TimeZone::get(name) {
        Ok(_) => Ok(()),
        Err(_) => Err(Problem::bad(
            "timeZone",
            "must be a name of the IANA time zone database, such as `Europe/Berlin`",
        )),
    }
}

/// The most bytes of metadata.
const METADATA_MAX: usize = 4096;

/// What callers hang on things must be short enough to keep for ever.
pub(crate) fn check_notes(notes: &Notes<Plain>) -> Result<(), Problem> {
    check_both(notes.external_id.as_deref(), notes.metadata.as_deref())
}

/// A change of what callers hang on things.
pub(crate) fn check_notes_change(
    external_id: &Patch<Box<str>>,
    metadata: &Patch<Box<str>>,
) -> Result<(), Problem> {
    let [external_id, metadata] =
        [external_id, metadata].map(|patch| patch.as_ref().and_then(Option::as_deref));
    check_both(external_id, metadata)
}

fn check_both(external_id: Option<&str>, metadata: Option<&str>) -> Result<(), Problem> {
    if let Some(text) = external_id {
        check_text("externalId", text)?;
    }
    match metadata {
        Some(text) if text.len() > METADATA_MAX => Err(Problem::bad(
            "metadata",
            format!("must have at most {METADATA_MAX} bytes"),
        )),
        _ => Ok(()),
    }
}

/// Parts must be some.
pub(crate) fn check_parts(parts: Option<&Parts>) -> Result<(), Problem> {
    match parts {
        Some(parts) if parts.is_empty() => Err(Problem::bad("postings", "must hold at least one posting")),
        _ => Ok(()),
    }
}
