//! `saldo serve`: the server.

use std::path::PathBuf;
use std::sync::Arc;

use service::{Clock, Service};

use crate::failure::Failure;
use crate::http::{self, Server};
use crate::place::{self, Content};

/// The server.
#[derive(clap::Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    listen: super::Listen,
    #[command(flatten)]
    store: super::Store,
    /// A TOML file: limits, and where each wire format is mounted
    #[arg(long, env = "SALDO_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// The server's certificate for TLS, then those that lead to its authority: a PEM file, read again when it changes
    #[arg(long, env = "SALDO_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The certificate's private key: a PEM file
    #[arg(long, env = "SALDO_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Clients come through a proxy, which speaks TLS with them and names them in X-Forwarded-For
    #[arg(long, env = "SALDO_BEHIND_PROXY")]
    behind_proxy: bool,
    /// An address for /metrics alone, without a key; elsewhere /metrics is for operators' keys
    #[arg(long, env = "SALDO_METRICS", value_name = "ADDR")]
    metrics: Option<String>,
}

impl Serve {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let config = self
            .config
            .map_or_else(|| Ok(dialects::Config::default()), |file| read(&file))?;
        let stop = http::on_signal()?;
        // The port before the store: what is in the way shows at once, and opening may take a while.
        let listener = http::listen(&self.listen.listen).await?;
        let files = self.tls_cert.zip(self.tls_key);
        let files = files.map(|(certificate, key)| http::Files { certificate, key });
        if files.is_none() && !self.behind_proxy {
            refuse_plain_text(&listener, &self.listen.listen)?;
        }
        let door = http::Door {
            tls: files.map(http::acceptor).transpose()?,
            behind_proxy: self.behind_proxy,
        };
        let metrics = match &self.metrics {
            Some(address) => Some(http::listen(address).await?),
            None => None,
        };
        let place = self.store.store;
        let store = place.open().await?;
        let service = Arc::new(Service::new(store, config.service.clone(), Clock::System));
        match place::content(&service).await? {
            Content::Books => {}
            Content::Sandbox => {
                tracing::warn!(store = %place, "this is a sandbox: its money is made up, and its keys were shown");
            }
            Content::Nothing => {
                service.store.close().await?;
                return Err(Failure::new(format!(
                    "the store in {place} was not made to its end; `saldo init --store {place}` goes on with it"
                )));
            }
        }
        let scheme = if door.tls.is_some() { "https" } else { "http" };
        http::say(&format!("listening on {}", http::base_url(&listener, scheme)?));
        let server = Arc::new(Server::new(service, config));
        if let Some(metrics) = metrics {
            http::say(&format!("metrics on {}/metrics", http::base_url(&metrics, "http")?));
            tokio::spawn(http::scrape(metrics, Arc::clone(&server)));
        }
        http::serve(listener, door, server, stop).await
    }
}

/// Secrets must not cross a network as plain text.
fn refuse_plain_text(listener: &tokio::net::TcpListener, asked: &str) -> Result<(), Failure> {
    let address = listener
        .local_addr()
        .map_err(|error| Failure::while_doing("asking for the port", error))?;
    if address.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{asked} can be reached from other machines, and keys would cross the network as plain text; \
         give --tls-cert and --tls-key, or --behind-proxy if a proxy before it speaks TLS, or listen on 127.0.0.1"
    )))
}

fn read(file: &std::path::Path) -> Result<dialects::Config, Failure> {
    let name = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::while_doing(&format!("reading the configuration {name}"), error))?;
    dialects::Config::from_toml(&text)
        .map_err(|error| Failure::while_doing(&format!("the configuration {name} is wrong"), error))
}
