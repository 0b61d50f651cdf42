//! Connecting: to the first host that answers in time, from the one that answered last time on.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use store::StoreError;
use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, timeout_at};
use tokio_postgres::config::{LoadBalanceHosts, SslMode};
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::{self, Failure, OpenError, describe};
use crate::options::{Url, name};

/// Makes connections.
pub(crate) struct Connector {
    /// One for each host.
    hosts: Vec<Config>,
    tls: MakeRustlsConnect,
    /// Where to begin.
    first: AtomicUsize,
    /// Whether the last attempt came to nothing: the log says so once.
    lost: AtomicBool,
    /// Where connections are moved: they outlive who asked for one, whose threads may be of less importance.
    threads: Handle,
}

/// A connection, and the task that moves its bytes.
pub(crate) struct Line {
    pub(crate) client: Client,
    pub(crate) task: AbortHandle,
}

/// Why no host could be used.
pub(crate) struct Refused {
    /// Whether it may be otherwise in a moment.
    pub(crate) passing: bool,
    pub(crate) why: String,
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        match refused.passing {
            true => Self::Passing(refused.why),
            false => Self::Lasting(StoreError::Closed(format!(
                "the database refuses: {}",
                refused.why
            ))),
        }
    }
}

impl Connector {
    /// Reads what the URL names. Connections will be moved by the threads on which this is called.
    pub(crate) fn new(url: &Url) -> Result<Arc<Self>, OpenError> {
        let hosts = url.each_host();
        let spread = url.config.get_load_balance_hosts() == LoadBalanceHosts::Random && !hosts.is_empty();
        let first = match spread {
            true => getrandom::u32().map_err(|error| OpenError::Random(error.to_string()))? as usize,
            false => 0,
        };
        Ok(Arc::new(Self {
            hosts,
            tls: url.tls.connector()?,
            first: AtomicUsize::new(first),
            lost: AtomicBool::new(false),
            threads: Handle::current(),
        }))
    }

    /// A new connection. A host that does not answer in time is left for the next one.
    pub(crate) async fn connect(self: &Arc<Self>, deadline: Instant) -> Result<Line, Refused> {
        let connector = Arc::clone(self);
        // It ends with who asks: nobody else counts it.
        let mut connecting = JoinSet::new();
        connecting.spawn_on(async move { connector.try_hosts(deadline).await }, &self.threads);
        match connecting.join_next().await.expect("one was spawned") {
            Ok(connected) => connected,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                Err(_) => Err(Refused {
                    passing: false,
                    why: "it was stopped".into(),
                }),
            },
        }
    }

    async fn try_hosts(&self, deadline: Instant) -> Result<Line, Refused> {
        let first = self.first.load(Ordering::Relaxed);
        let mut refused = Refused {
            passing: false,
            why: String::new(),
        };
        for nth in first..first + self.hosts.len() {
            let host = &self.hosts[nth % self.hosts.len()];
            match self.try_host(host, deadline).await {
                Ok(line) => {
                    self.go_on(nth, host);
                    return Ok(line);
                }
                Err(this) => {
                    let before = if refused.why.is_empty() { "" } else { "; " };
                    refused.why += &format!("{before}{}: {}", name(host), this.why);
                    refused.passing |= this.passing;
                }
            }
            if Instant::now() >= deadline {
                // Whoever tries next begins behind it.
                self.first.store((nth + 1) % self.hosts.len(), Ordering::Relaxed);
                refused.passing = true;
                break;
            }
        }
        if !self.lost.swap(true, Ordering::Relaxed) {
            tracing::warn!(why = refused.why, "the database can't be reached");
        }
        Err(refused)
    }

    /// Begins there next time, or, where load is to be spread, behind it.
    fn go_on(&self, nth: usize, host: &Config) {
        let spread = host.get_load_balance_hosts() == LoadBalanceHosts::Random;
        let next = (nth + usize::from(spread)) % self.hosts.len();
        self.first.store(next, Ordering::Relaxed);
        if self.lost.swap(false, Ordering::Relaxed) {
            tracing::info!(host = name(host), "the database is reached again");
        }
    }

    async fn try_host(&self, host: &Config, deadline: Instant) -> Result<Line, Refused> {
        let within = host.get_connect_timeout();
        let until = within.map_or(deadline, |within| deadline.min(Instant::now() + *within));
        let connecting = timeout_at(until, host.connect(self.tls.clone()));
        let (client, connection) = connecting
            .await
            .map_err(|_| Refused {
                passing: true,
                why: "it did not answer in time".into(),
            })?
            .map_err(|error| refused(&error, host.get_ssl_mode()))?;
        let moving = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error = describe(&error), "a connection to the database ended");
            }
        });
        Ok(Line {
            client,
            task: moving.abort_handle(),
        })
    }
}

fn refused(error: &tokio_postgres::Error, mode: SslMode) -> Refused {
    let mut why = describe(error);
    if why.contains("server does not support TLS") {
        why += "; turn TLS on there (ssl=on), or, where the network can be trusted, say sslmode=disable";
    } else if mode == SslMode::Disable && why.contains("no encryption") {
        why += "; it takes encrypted connections alone: say sslmode=verify-full";
    }
    Refused {
        passing: error::passes_at_start(error),
        why,
    }
}
