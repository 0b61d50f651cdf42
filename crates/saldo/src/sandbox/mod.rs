//! `saldo sandbox`: a server with a sample world, and a screen that shows how to ask it.
//!
//! The world is made once for a store, by the same operations that users have, each under an idempotency key of its
//! own: a making that was interrupted goes on where it was. What the screen and the card name is found again by foreign
//! ids, so whatever was done to the world in the meantime stays.

mod card;
mod cast;
mod landmarks;
mod rates;
mod screen;
mod story;
mod world;

use std::path::PathBuf;
use std::sync::Arc;

use service::{Clock, Service};

use crate::cli::Listen;
use crate::failure::Failure;
use crate::http::{self, Server};
use crate::place::{self, Content, Place};

/// A server with a sample world.
#[derive(clap::Args)]
pub(crate) struct Sandbox {
    #[command(flatten)]
    listen: Listen,
    /// The folder of the store, or postgres://…; made if it is not there, and its world is kept if it is
    #[arg(
        long,
        env = "SALDO_STORE",
        value_name = "URL",
        default_value = "./saldo-sandbox"
    )]
    store: Place,
    /// Writes what the screen shows, with the keys, as JSON to this file
    #[arg(long, env = "SALDO_CARD", value_name = "FILE")]
    card: Option<PathBuf>,
}

impl Sandbox {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let stop = http::on_signal()?;
        let listener = http::listen(&self.listen.listen).await?;
        let url = http::base_url(&listener, "http")?;
        self.store.create().await?;
        let store = self.store.open().await?;
        let config = dialects::Config::default();
        let service = Arc::new(Service::new(store, config.service.clone(), Clock::System));
        let card = match self.prepare(&service, url).await {
            Ok(card) => card,
            Err(failure) => {
                service.store.close().await?;
                return Err(failure);
            }
        };
        http::say(&screen::text(&card, &self.store));
        http::serve(
            listener,
            http::Door::default(),
            Arc::new(Server::new(service, config, None)?),
            stop,
        )
        .await
    }

    /// Makes what is missing of the world, fresh keys, and the card's file.
    ///
    /// Connections wait until they are accepted, after this: whoever finds the server ready finds the card complete.
    async fn prepare(&self, service: &Service, url: String) -> Result<card::Card, Failure> {
        if place::content(service).await? == Content::Books {
            return Err(Failure::new(format!(
                "the store in {} is not a sandbox, and nothing was changed in it; name another folder with --store",
                self.store
            )));
        }
        let root = world::make(service).await?;
        let caller = service.in_book(service::Caller::server(), root).await?;
        let landmarks = landmarks::find(service, &caller, root).await?;
        let card = card::mint(service, &caller, landmarks, url).await?;
        if let Some(file) = &self.card {
            card.write(file)?;
        }
        Ok(card)
    }
}
