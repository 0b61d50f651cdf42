//! How a store behaves, and the URL that names it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ledger::Micros;
use tokio_postgres::Config;
use tokio_postgres::config::Host;

use crate::error::OpenError;

/// How a store behaves.
#[derive(Clone)]
pub struct Options {
    /// The store's clock.
    pub clock: Arc<dyn Fn() -> Micros + Send + Sync>,
    /// The most connections of this process.
    pub connections: usize,
    /// How many requests may wait to be decided, and how many for a connection.
    pub queue: usize,
    /// How long a request may take, repetitions included.
    pub deadline: Duration,
    /// How long one try of a batch, or a read, may take.
    pub patience: Duration,
    /// Run on a database that does not sync its commits: for tests.
    pub allow_unsafe: bool,
}

impl Options {
    /// The usual ones, with this clock.
    #[must_use]
    pub fn new(clock: Arc<dyn Fn() -> Micros + Send + Sync>) -> Self {
        Self {
            clock,
            connections: 16,
            queue: 65_536,
            deadline: Duration::from_secs(10),
            patience: Duration::from_secs(5),
            allow_unsafe: false,
        }
    }
}

/// Where the database is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Url {
    pub(crate) config: Config,
    /// Whether statements get names, which poolers that lend a connection for one transaction can't keep apart.
    pub(crate) prepare: bool,
}

impl Url {
    /// Reads `postgres://…` as libpq writes it, several hosts and `target_session_attrs` included; `prepare=off` is
    /// Saldo's own.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, OpenError> {
        let (plain, prepare) = take_prepare(text)?;
        let mut config: Config = plain
            .parse()
            .map_err(|error: tokio_postgres::Error| OpenError::Url(crate::error::describe(&error)))?;
        if config.get_application_name().is_none() {
            config.application_name("saldo");
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(Duration::from_secs(3));
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(Duration::from_secs(8));
        }
        Ok(Self { config, prepare })
    }
}

impl fmt::Display for Url {
    /// Without user and password: it is shown and logged.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts = self.config.get_hosts().iter().enumerate().map(|(nth, host)| {
            let host = match host {
                Host::Tcp(name) => name.clone(),
                Host::Unix(folder) => folder.display().to_string().replace('/', "%2F"),
            };
            let ports = self.config.get_ports();
            match ports.get(nth).or(ports.first()) {
                Some(port) => format!("{host}:{port}"),
                None => host,
            }
        });
        let hosts: Vec<_> = hosts.collect();
        write!(
            f,
            "postgres://{}/{}",
            hosts.join(","),
            self.config.get_dbname().unwrap_or_default()
        )
    }
}

/// Takes `prepare=on|off` out of the URL's query.
fn take_prepare(text: &str) -> Result<(String, bool), OpenError> {
    let Some((base, query)) = text.split_once('?') else {
        return Ok((text.to_owned(), true));
    };
    let mut prepare = true;
    let mut rest = Vec::new();
    for pair in query.split('&') {
        match pair.strip_prefix("prepare=") {
            Some("on") => prepare = true,
            Some("off") => prepare = false,
            Some(other) => return Err(OpenError::Url(format!("prepare is `on` or `off`, not `{other}`"))),
            None => rest.push(pair),
        }
    }
    let plain = match rest.is_empty() {
        true => base.to_owned(),
        false => format!("{base}?{}", rest.join("&")),
    };
    Ok((plain, prepare))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_what_libpq_understands_and_whether_to_prepare() {
        let url = Url::parse("postgres://a,b:5433/saldo?prepare=off&target_session_attrs=read-write")
            .expect("a URL");
        assert!(!url.prepare);
        assert_eq!(url.config.get_hosts().len(), 2);
        assert_eq!(url.config.get_dbname(), Some("saldo"));
        let secret = Url::parse("postgres://me:hush@a:1,b:2/saldo").expect("a URL");
        assert_eq!(secret.to_string(), "postgres://a:1,b:2/saldo");
        assert!(Url::parse("postgres://a/b").expect("a URL").prepare);
        for no in [
            "postgres://a/b?prepare=maybe",
            "postgres://a/b?nonsense=1",
            "nonsense",
        ] {
            assert!(matches!(Url::parse(no), Err(OpenError::Url(_))), "{no}");
        }
    }
}
