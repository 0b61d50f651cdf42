//! What keeps a store from being used: its books went elsewhere, or are not all there yet.

use std::fmt;

/// A mark on a store that takes no commands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Mark {
    /// Its books were moved to this place.
    Moved(String),
    /// It is to become a copy of this place, and is not complete.
    Unfinished(String),
}

impl Mark {
    /// As it is kept.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Moved(to) => format!("moved {to}"),
            Self::Unfinished(from) => format!("unfinished {from}"),
        }
    }

    /// From what was kept; what can't be read keeps the store from being used, too.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        let text = text.trim_end();
        match text.split_once(' ') {
            Some(("moved", to)) => Self::Moved(to.to_owned()),
            Some(("unfinished", from)) => Self::Unfinished(from.to_owned()),
            _ => Self::Unfinished(text.to_owned()),
        }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Moved(to) => write!(
                f,
                "its books were moved to {to}; use that, or take this store back into use with `saldo copy --reopen`"
            ),
            Self::Unfinished(from) => write!(
                f,
                "it is an unfinished copy of {from}; run the same `saldo copy` or `saldo restore` again, which goes on where it was"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_come_back_as_they_were() {
        for mark in [
            Mark::Moved("postgres://a/b c".into()),
            Mark::Unfinished("./x".into()),
        ] {
            assert_eq!(Mark::from_text(&mark.to_text()), mark);
        }
        assert_eq!(Mark::from_text("what"), Mark::Unfinished("what".into()));
    }
}
