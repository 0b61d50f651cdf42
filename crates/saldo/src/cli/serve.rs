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
}

impl Serve {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let config = self
            .config
            .map_or_else(|| Ok(dialects::Config::default()), |file| read(&file))?;
        let stop = http::on_signal()?;
        // The port before the store: what is in the way shows at once, and opening may take a while.
        let listener = http::listen(&self.listen.listen).await?;
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
        http::say(&format!("listening on {}", http::base_url(&listener)?));
        http::serve(listener, Arc::new(Server::new(service, config)), stop).await
    }
}

fn read(file: &std::path::Path) -> Result<dialects::Config, Failure> {
    let name = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::while_doing(&format!("reading the configuration {name}"), error))?;
    dialects::Config::from_toml(&text)
        .map_err(|error| Failure::while_doing(&format!("the configuration {name} is wrong"), error))
}
