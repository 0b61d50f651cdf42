//! `saldo serve`: the server.

use std::sync::Arc;

use service::{Clock, Service};

use super::in_runtime;
use crate::failure::Failure;
use crate::http::{self, Server};
use crate::log;
use crate::place::{self, Content};
use crate::settings::{Flags, Settings};

/// The server.
#[derive(clap::Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    flags: Flags,
}

impl Serve {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let settings = Settings::read(&self.flags, |name| std::env::var(name).ok())?;
        log::start("info", settings.server.log_format);
        log::log_panics();
        in_runtime(serve(settings))
    }
}

async fn serve(settings: Settings) -> Result<(), Failure> {
    let Settings {
        server: told,
        store: place,
        dialects: config,
        ..
    } = settings;
    let stop = http::on_signal()?;
    let traces = http::Traces::from_env()?.map(Arc::new);
    // The port before the store: what is in the way shows at once, and opening may take a while.
    let listener = http::listen(&told.listen).await?;
    let files = (!told.tls_cert.is_empty()).then(|| http::Files {
        certificate: told.tls_cert.into(),
        key: told.tls_key.into(),
    });
    if files.is_none() && !told.behind_proxy {
        refuse_plain_text(&listener, &told.listen)?;
    }
    let door = http::Door {
        tls: files.map(http::acceptor).transpose()?,
        behind_proxy: told.behind_proxy,
    };
    let metrics = match told.metrics.as_str() {
        "" => None,
        address => Some(http::listen(address).await?),
    };
    let store = place.open().await?;
    let mut service = Service::new(store, config.service.clone(), Clock::System);
    if let Some(traces) = traces.clone() {
        service.on_commit = Some(Box::new(move |committed| traces.committed(committed)));
    }
    let service = Arc::new(service);
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
    let server = Arc::new(Server::new(service, config, traces.clone())?);
    if let Some(metrics) = metrics {
        http::say(&format!(
            "metrics on {}/metrics",
            http::base_url(&metrics, "http")?
        ));
        tokio::spawn(http::scrape(metrics, Arc::clone(&server)));
    }
    let served = http::serve(listener, door, server, stop).await;
    if let Some(traces) = traces {
        traces.flush().await;
    }
    served
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
