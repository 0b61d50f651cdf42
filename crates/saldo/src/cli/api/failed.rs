//! What went wrong, and the exit code that says so.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::show::plain;

/// A command that was not done, or of which that is not known.
#[derive(Debug)]
pub(super) struct Failed {
    kind: Kind,
    text: String,
    /// The server's own words, as JSON.
    problem: Option<String>,
}

/// The sorts of failures: what a script does next differs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// The ledger refused, or something must be put right first.
    Refused,
    /// The command line can't be understood.
    Usage,
    /// There are no credentials, or they don't do.
    Credentials,
    /// There is no answer, or the server can't now.
    Unanswered,
}

/// A problem after RFC 9457, as Saldo writes it.
#[derive(Deserialize)]
struct Problem {
    title: String,
    code: String,
    detail: String,
    #[serde(flatten)]
    more: Map<String, Value>,
}

impl Failed {
    /// Something must be put right first.
    pub(super) fn refused(text: impl Into<String>) -> Self {
        Self::new(Kind::Refused, text)
    }

    /// The command line can't be understood.
    pub(super) fn usage(text: impl Into<String>) -> Self {
        Self::new(Kind::Usage, text)
    }

    /// There are no credentials.
    pub(super) fn credentials(text: impl Into<String>) -> Self {
        Self::new(Kind::Credentials, text)
    }

    /// There is no answer.
    pub(super) fn unanswered(text: impl Into<String>) -> Self {
        Self::new(Kind::Unanswered, text)
    }

    /// With how to go on.
    pub(super) fn and(mut self, more: &str) -> Self {
        self.text = format!("{}; {more}", self.text);
        self
    }

    fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into(),
            problem: None,
        }
    }

    /// An answer that is no success. `again` says how to repeat a write safely.
    pub(super) fn answered(status: u16, body: String, again: &str) -> Self {
        let kind = match status {
            401 | 403 => Kind::Credentials,
            429 | 500.. => Kind::Unanswered,
            _ => Kind::Refused,
        };
        let again = if status >= 500 { again } else { "" };
        let Ok(problem) = serde_json::from_str::<Problem>(&body) else {
            let beginning: String = body.chars().take(200).collect();
            let text = format!(
                "HTTP {status}, and no answer of Saldo's: check --url, and what is between it and the server{again}\n{}",
                plain(&beginning)
            );
            return Self::new(kind, text.trim_end());
        };
        let known = ["type", "status"];
        let more = problem
            .more
            .iter()
            .filter(|(name, _)| !known.contains(&name.as_str()));
        let more = more.map(|(name, value)| match value {
            Value::String(text) => format!("{name} {text}"),
            other => format!("{name} {other}"),
        });
        let more: Vec<_> = [format!("code {}", problem.code)]
            .into_iter()
            .chain(more)
            .collect();
        let text = format!(
            "{}: {}{again}\n({})",
            problem.title,
            plain(&problem.detail),
            plain(&more.join(", "))
        );
        Self {
            problem: Some(body),
            ..Self::new(kind, text)
        }
    }

    /// With which code the program ends. These are documented, and stay.
    pub(super) const fn code(&self) -> u8 {
        match self.kind {
            Kind::Refused => 1,
            Kind::Usage => 2,
            Kind::Credentials => 3,
            Kind::Unanswered => 4,
        }
    }

    /// Whether the server found fault with this parameter.
    pub(super) fn is_about(&self, field: &str) -> bool {
        let problem = self.problem.as_deref().map(serde_json::from_str::<Value>);
        matches!(problem, Some(Ok(problem)) if problem["field"] == field)
    }

    /// Says it on stderr: for programs in the server's own words, where it said something.
    pub(super) fn say(&self, json: bool) {
        match &self.problem {
            Some(problem) if json => eprintln!("{problem}"),
            _ => eprintln!("saldo: {}", self.text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sort_of_a_failure_follows_from_the_status() {
        let problem = "{\"type\":\"about:blank\",\"title\":\"T\",\"status\":0,\"code\":\"c\",\"detail\":\"D\",\"posting\":1}";
        for (status, code) in [
            (400, 1),
            (404, 1),
            (409, 1),
            (413, 1),
            (415, 1),
            (422, 1),
            (401, 3),
            (403, 3),
            (429, 4),
            (500, 4),
            (502, 4),
            (503, 4),
        ] {
            for body in [problem, "<html>\u{1b}[2J", ""] {
                let failed = Failed::answered(status, body.to_owned(), "; again");
                assert_eq!(failed.code(), code, "{status} {body}");
                assert_eq!(failed.text.contains("; again"), status >= 500);
                assert!(!failed.text.contains('\u{1b}'));
            }
        }
        let failed = Failed::answered(422, problem.to_owned(), "");
        assert_eq!(failed.text, "T: D\n(code c, posting 1)");
    }
}
