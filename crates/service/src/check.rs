//! Checks of input that are neither a wire format's nor the ledger's.

use crate::problem::Problem;

/// The most characters of a name.
const NAME_MAX: usize = 200;

/// A name must be there, and short enough to show.
pub(crate) fn check_text(field: &str, text: &str) -> Result<(), Problem> {
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
