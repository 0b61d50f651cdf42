//! The server on any store, for `cargo xtask bench` alone: nobody else is to rely on it.

use std::sync::Arc;

use dialects::Config;
use service::{Clock, Service};
use store::Store;

use crate::failure::Failure;
use crate::http::{self, Door, Server};

/// Serves a store on a port of 127.0.0.1 with the default configuration, until it is told to stop.
///
/// # Errors
/// What went wrong, as a sentence.
pub async fn serve(store: Arc<dyn Store>) -> Result<(), String> {
    serve_it(store).await.map_err(|failure| failure.to_string())
}

async fn serve_it(store: Arc<dyn Store>) -> Result<(), Failure> {
    let stop = http::on_signal()?;
    let listener = http::listen("127.0.0.1:0").await?;
    let config = Config::default();
    let service = Arc::new(Service::new(store, config.service.clone(), Clock::System));
    http::say(&format!("listening on {}", http::base_url(&listener, "http")?));
    let door = Door {
        tls: None,
        behind_proxy: false,
    };
    http::serve(
        listener,
        door,
        Arc::new(Server::new(service, config, None)?),
        stop,
    )
    .await
}
