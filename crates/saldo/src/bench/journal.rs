//! How much the servers write to their journal, as their metrics say.

use super::wire::{Connection, Target};

/// Where to ask, and with what: metrics are for operators.
#[derive(Clone)]
pub(super) struct Journal {
    pub(super) targets: Vec<Target>,
    pub(super) token: String,
}

impl Journal {
    /// The bytes that all servers have written since they started. `None` where one does not say: the token is no operator's,
    /// or the metrics have an address of their own.
    pub(super) async fn written(&self) -> Option<u64> {
        let mut sum = 0;
        for target in &self.targets {
            let (host, token) = (&target.host, &self.token);
            let request =
                format!("GET /metrics HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\n\r\n");
            let mut connection = Connection::open(target.address).await.ok()?;
            let answer = connection.exchange(request.as_bytes()).await.ok()?;
            sum += written_of(str::from_utf8(answer.body).ok()?)?;
        }
        Some(sum)
    }
}

/// The counter's value among all metrics.
fn written_of(metrics: &str) -> Option<u64> {
    let value = |line: &str| {
        line.strip_prefix("saldo_journal_written_bytes_total ")?
            .parse()
            .ok()
    };
    metrics.lines().find_map(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_is_found() {
        let metrics =
            "# TYPE saldo_journal_written_bytes counter\nsaldo_journal_written_bytes_total 4096\n# EOF\n";
        assert_eq!(written_of(metrics), Some(4096));
        assert_eq!(written_of("{\"title\":\"forbidden\"}"), None);
    }
}
