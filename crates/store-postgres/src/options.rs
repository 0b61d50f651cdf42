//! How a store behaves, and the URL that names it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ledger::Micros;
use percent_encoding::percent_decode_str;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

use crate::error::OpenError;
use crate::tls::{Roots, Tls, Trust};

/// How long a host may take to let us in when there are others, and when it is the only one.
const CONNECT_TIMEOUT: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(10));
/// How long what was sent may stay without an answer of the other machine.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(8);
/// When, how often and how many times an idle connection's other machine is asked whether it is there.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(30), Duration::from_secs(5), 3);
/// What tokio-postgres takes for the first, which is too long, when nothing was said.
const UNSAID: Duration = Duration::from_secs(2 * 60 * 60);

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
    /// Open a store that has a mark: for copying.
    pub despite_mark: bool,
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
            despite_mark: false,
            allow_unsafe: false,
        }
    }
}

/// Where the database is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Url {
    pub(crate) config: Config,
    pub(crate) tls: Tls,
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
        let (plain, own) = Own::take(text)?;
        let mut config: Config = plain
            .parse()
            .map_err(|error: tokio_postgres::Error| OpenError::Url(crate::error::describe(&error)))?;
        let tls = own.tls(&mut config)?;
        if config.get_application_name().is_none() {
            config.application_name("saldo");
        }
        let (of_many, alone) = CONNECT_TIMEOUT;
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(if count(&config) > 1 { of_many } else { alone });
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(TCP_USER_TIMEOUT);
        }
        if config.get_keepalives_idle() == UNSAID {
            let (idle, interval, retries) = KEEPALIVE;
            config
                .keepalives_idle(idle)
                .keepalives_interval(interval)
                .keepalives_retries(retries);
        }
        let url = Self {
            config,
            tls,
            prepare: own.prepare,
        };
        match count(&url.config) {
            0 => Err(OpenError::Url("it names no host".into())),
            1 => Ok(url),
            // Of several hosts one alone takes writes.
            _ if !own.attrs => Ok(url.reading_and_writing()),
            _ => Ok(url),
        }
    }

    fn reading_and_writing(mut self) -> Self {
        self.config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        self
    }

    /// The configuration of each host alone, so that one which doesn't answer takes no time from the others.
    pub(crate) fn each_host(&self) -> Vec<Config> {
        (0..count(&self.config)).map(|nth| self.host(nth)).collect()
    }

    fn host(&self, nth: usize) -> Config {
        let all = &self.config;
        let mut one = Config::new();
        let address = all.get_hostaddrs().get(nth);
        match (all.get_hosts().get(nth), address) {
            (Some(Host::Tcp(name)), _) => one.host(name),
            // Between processes of one machine there is no TLS.
            (Some(Host::Unix(folder)), _) => one.host_path(folder).ssl_mode(SslMode::Disable),
            (None, Some(address)) => one.host(address.to_string()),
            (None, None) => &mut one,
        };
        if let Some(address) = address {
            one.hostaddr(*address);
        }
        let ports = all.get_ports();
        if let Some(port) = ports.get(nth).or(ports.first()) {
            one.port(*port);
        }
        if !matches!(all.get_hosts().get(nth), Some(Host::Unix(_))) {
            one.ssl_mode(all.get_ssl_mode());
        }
        copy_the_rest(all, &mut one);
        one
    }
}

/// How many hosts are named.
fn count(config: &Config) -> usize {
    config.get_hosts().len().max(config.get_hostaddrs().len())
}

/// What is the same for all hosts.
fn copy_the_rest(all: &Config, one: &mut Config) {
    if let Some(user) = all.get_user() {
        one.user(user);
    }
    if let Some(password) = all.get_password() {
        one.password(password);
    }
    if let Some(database) = all.get_dbname() {
        one.dbname(database);
    }
    if let Some(options) = all.get_options() {
        one.options(options);
    }
    if let Some(name) = all.get_application_name() {
        one.application_name(name);
    }
    if let Some(within) = all.get_connect_timeout() {
        one.connect_timeout(*within);
    }
    if let Some(within) = all.get_tcp_user_timeout() {
        one.tcp_user_timeout(*within);
    }
    one.keepalives(all.get_keepalives())
        .keepalives_idle(all.get_keepalives_idle());
    if let Some(interval) = all.get_keepalives_interval() {
        one.keepalives_interval(interval);
    }
    if let Some(retries) = all.get_keepalives_retries() {
        one.keepalives_retries(retries);
    }
    one.ssl_negotiation(all.get_ssl_negotiation())
        .target_session_attrs(all.get_target_session_attrs())
        .channel_binding(all.get_channel_binding())
        .load_balance_hosts(all.get_load_balance_hosts());
}

/// The first host of a configuration, to be shown.
pub(crate) fn name(config: &Config) -> String {
    names(config).into_iter().next().unwrap_or_default()
}

fn names(config: &Config) -> Vec<String> {
    let ports = config.get_ports();
    let with_port = |(nth, host): (usize, String)| match ports.get(nth).or(ports.first()) {
        Some(port) => format!("{host}:{port}"),
        None => host,
    };
    let hosts = config.get_hosts().iter().map(|host| match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(folder) => folder.display().to_string().replace('/', "%2F"),
    });
    let mut hosts: Vec<_> = hosts.collect();
    if hosts.is_empty() {
        hosts = config.get_hostaddrs().iter().map(ToString::to_string).collect();
    }
    hosts.into_iter().enumerate().map(with_port).collect()
}

impl fmt::Display for Url {
    /// Without user and password: it is shown and logged.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "postgres://{}/{}",
            names(&self.config).join(","),
            self.config.get_dbname().unwrap_or_default()
        )
    }
}

/// The parameters of a URL that tokio-postgres doesn't know, or not all values of.
struct Own {
    prepare: bool,
    mode: Option<String>,
    roots: Option<String>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    /// Whether it says what sessions must be good for.
    attrs: bool,
}

impl Own {
    /// Takes them out of the URL's query.
    fn take(text: &str) -> Result<(String, Self), OpenError> {
        let mut own = Self {
            prepare: true,
            mode: None,
            roots: None,
            certificate: None,
            key: None,
            attrs: false,
        };
        let Some((base, query)) = text.split_once('?') else {
            return Ok((text.to_owned(), own));
        };
        let mut rest = Vec::new();
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = percent_decode_str(value).decode_utf8_lossy().into_owned();
            match name {
                "prepare" if value == "on" => own.prepare = true,
                "prepare" if value == "off" => own.prepare = false,
                "prepare" => {
                    return Err(OpenError::Url(format!("prepare is `on` or `off`, not `{value}`")));
                }
                "sslmode" => own.mode = Some(value),
                "sslrootcert" => own.roots = Some(value),
                "sslcert" => own.certificate = Some(PathBuf::from(value)),
                "sslkey" => own.key = Some(PathBuf::from(value)),
                _ => {
                    own.attrs |= name == "target_session_attrs";
                    rest.push(pair);
                }
            }
        }
        let plain = match rest.is_empty() {
            true => base.to_owned(),
            false => format!("{base}?{}", rest.join("&")),
        };
        Ok((plain, own))
    }

    /// How connections are encrypted, as libpq reads these parameters.
    fn tls(&self, config: &mut Config) -> Result<Tls, OpenError> {
        let refuse = |why: &str| Err(OpenError::Url(why.to_owned()));
        let roots = match self.roots.as_deref() {
            None => None,
            Some("system") => Some(Roots::System),
            Some("") => return refuse("sslrootcert is a file, or `system`"),
            Some(file) => Some(Roots::File(PathBuf::from(file))),
        };
        let unsaid = if roots == Some(Roots::System) {
            "verify-full"
        } else {
            "prefer"
        };
        let mode = self.mode.as_deref().unwrap_or(unsaid);
        let (encrypt, trust) = match (mode, &roots) {
            ("verify-full", Some(_)) => (SslMode::Require, Trust::Host),
            (_, Some(Roots::System)) => {
                return refuse(
                    "with sslrootcert=system anybody's certificate would do: say sslmode=verify-full",
                );
            }
            ("verify-ca", Some(_)) => (SslMode::Require, Trust::Authority),
            ("verify-full" | "verify-ca", None) => {
                return refuse(
                    "to check the server's certificate, name its authority's with sslrootcert=FILE, or say \
                     sslrootcert=system",
                );
            }
            // As if it said verify-ca: libpq's rule.
            ("require", Some(_)) => (SslMode::Require, Trust::Authority),
            ("require", None) => (SslMode::Require, Trust::Anyone),
            ("prefer" | "disable", Some(_)) => {
                return refuse("sslrootcert checks nothing without sslmode=verify-full");
            }
            ("prefer", None) => (SslMode::Prefer, Trust::Anyone),
            ("disable", None) => (SslMode::Disable, Trust::Anyone),
            _ => {
                return refuse(&format!(
                    "sslmode is `disable`, `prefer`, `require`, `verify-ca` or `verify-full`, not `{mode}`"
                ));
            }
        };
        let own = match (&self.certificate, &self.key) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some((certificate.clone(), key.clone())),
            _ => return refuse("sslcert and sslkey go together: a certificate and its key"),
        };
        config.ssl_mode(encrypt);
        Ok(Tls { trust, roots, own })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_what_libpq_understands_and_whether_to_prepare() {
        let url =
            Url::parse("postgres://a,b:5433/saldo?prepare=off&load_balance_hosts=random").expect("a URL");
        assert!(!url.prepare);
        assert_eq!(url.config.get_dbname(), Some("saldo"));
        let secret = Url::parse("postgres://me:hush@a:1,b:2/saldo").expect("a URL");
        assert_eq!(secret.to_string(), "postgres://a:1,b:2/saldo");
        assert!(Url::parse("postgres://a/b").expect("a URL").prepare);
        for no in [
            "postgres://a/b?prepare=maybe",
            "postgres://a/b?nonsense=1",
            "postgres:///b",
            "nonsense",
        ] {
            assert!(matches!(Url::parse(no), Err(OpenError::Url(_))), "{no}");
        }
    }

    #[test]
    fn each_host_is_configured_alone_with_all_that_was_said() {
        let url = Url::parse(
            "postgres://me:hush@a:1,b:2/saldo?connect_timeout=7&keepalives_idle=9&options=-c%20x%3D1\
             &channel_binding=require&sslmode=require",
        );
        let hosts = url.expect("a URL").each_host();
        let expected = Url::parse(
            "postgres://me:hush@b:2/saldo?connect_timeout=7&keepalives_idle=9&options=-c%20x%3D1\
             &channel_binding=require&sslmode=require&target_session_attrs=read-write",
        );
        assert_eq!(hosts.len(), 2);
        assert_eq!(hosts[1], expected.expect("a URL").config);
        let any = Url::parse("postgres://a,b/c?target_session_attrs=any").expect("a URL");
        assert_eq!(any.config.get_target_session_attrs(), TargetSessionAttrs::Any);
        let socket = Url::parse("postgres://%2Frun/c?sslmode=require").expect("a URL");
        assert_eq!(socket.each_host()[0].get_ssl_mode(), SslMode::Disable);
    }

    #[test]
    fn tls_is_what_libpq_makes_of_the_same_words() {
        let file = || Some(Roots::File("/a b.pem".into()));
        for (query, encrypt, trust, roots) in [
            ("", SslMode::Prefer, Trust::Anyone, None),
            ("sslmode=disable", SslMode::Disable, Trust::Anyone, None),
            ("sslmode=require", SslMode::Require, Trust::Anyone, None),
            (
                "sslmode=require&sslrootcert=/a%20b.pem",
                SslMode::Require,
                Trust::Authority,
                file(),
            ),
            (
                "sslmode=verify-ca&sslrootcert=/a%20b.pem",
                SslMode::Require,
                Trust::Authority,
                file(),
            ),
            (
                "sslmode=verify-full&sslrootcert=/a%20b.pem",
                SslMode::Require,
                Trust::Host,
                file(),
            ),
            (
                "sslrootcert=system",
                SslMode::Require,
                Trust::Host,
                Some(Roots::System),
            ),
        ] {
            let url = Url::parse(&format!("postgres://a/b?{query}")).expect(query);
            assert_eq!(
                (url.config.get_ssl_mode(), url.tls.trust, url.tls.roots),
                (encrypt, trust, roots),
                "{query}"
            );
        }
        for no in [
            "sslmode=allow",
            "sslmode=verify-full",
            "sslmode=require&sslrootcert=system",
            "sslrootcert=/a.pem",
            "sslmode=require&sslcert=/a.pem",
        ] {
            assert!(
                matches!(
                    Url::parse(&format!("postgres://a/b?{no}")),
                    Err(OpenError::Url(_))
                ),
                "{no}"
            );
        }
    }
}
