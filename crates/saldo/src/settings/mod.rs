//! What the server is told, by a file, the environment and the command line: later ones of these win, and all win over the
//! defaults.
//!
//! A setting is a key of a section. In the environment it is `SALDO_` and both in capitals, as in
//! `SALDO_MAGICLINE_RATE_LIMIT_PER_MINUTE`; those of `[server]` leave the section out, as in `SALDO_LISTEN`.

mod layers;

use std::path::{Path, PathBuf};

use dialects::config::{Conduit, Light, Magicline, Native, Polygon};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::log::Format;
use crate::place::Place;

pub(crate) use layers::Layers;

/// Everything that can be set, as the file has it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Document {
    server: Server,
    service: service::Config,
    native: Native,
    conduit: Conduit,
    magicline: Magicline,
    polygon: Polygon,
    light: Light,
}

/// Where the server listens, and what it works on.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Server {
    /// The address and port to listen on.
    pub(crate) listen: String,
    /// The folder of the store, or its database.
    pub(crate) store: String,
    /// An address for `/metrics` alone; empty is none.
    pub(crate) metrics: String,
    /// The file of the certificate for TLS; empty is none.
    pub(crate) tls_cert: String,
    /// The file of its key.
    pub(crate) tls_key: String,
    /// Whether clients come through a proxy, which speaks TLS with them.
    pub(crate) behind_proxy: bool,
    /// What the log looks like.
    pub(crate) log_format: Format,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".to_owned(),
            store: "./saldo-data".to_owned(),
            metrics: String::new(),
            tls_cert: String::new(),
            tls_key: String::new(),
            behind_proxy: false,
            log_format: Format::Text,
        }
    }
}

/// What is in force.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) server: Server,
    pub(crate) store: Place,
    pub(crate) dialects: dialects::Config,
    /// Each setting with where it came from.
    pub(crate) layers: Layers,
}

/// What the command line said.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Flags {
    /// The address and port to listen on; port 0 picks a free one and prints it [default: 127.0.0.1:8080] [env: SALDO_LISTEN]
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// The folder of the store, or its database as postgres://user:password@host/database [default: ./saldo-data] [env: SALDO_STORE]
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// An address for /metrics alone, without a key; elsewhere /metrics is for operators' keys [env: SALDO_METRICS]
    #[arg(long, value_name = "ADDR")]
    metrics: Option<String>,
    /// The server's certificate for TLS, then those that lead to its authority: a PEM file, read again when it changes [env:
    /// SALDO_TLS_CERT]
    #[arg(long, value_name = "FILE")]
    tls_cert: Option<String>,
    /// The certificate's private key: a PEM file [env: SALDO_TLS_KEY]
    #[arg(long, value_name = "FILE")]
    tls_key: Option<String>,
    /// Clients come through a proxy, which speaks TLS with them and names them in X-Forwarded-For [env: SALDO_BEHIND_PROXY]
    #[arg(long)]
    behind_proxy: bool,
    /// What the log on stderr looks like: text, or json for one object a line [default: text] [env: SALDO_LOG_FORMAT]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// A TOML file with all settings; the environment and flags win over it
    #[arg(long, env = "SALDO_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Settings {
    /// Reads the file, if one is named, then the environment, then these flags.
    ///
    /// # Errors
    /// Names the file's line, the variable or the flag that is wrong, and what may stand there.
    pub(crate) fn read(flags: &Flags, env: impl Fn(&str) -> Option<String>) -> Result<Self, Failure> {
        let mut layers = Layers::new(&Document::default())?;
        if let Some(file) = &flags.config {
            layers.file(&read_file(file)?);
        }
        layers.environment(env)?;
        flags.put_into(&mut layers);
        let wrong = |error: String| Failure::new(format!("the configuration is wrong: {error}"));
        let document: Document = layers.document().map_err(wrong)?;
        document.service.check().map_err(wrong)?;
        let Server {
            tls_cert, tls_key, ..
        } = &document.server;
        if tls_cert.is_empty() != tls_key.is_empty() {
            return Err(wrong(
                "--tls-cert and --tls-key (tls_cert and tls_key in the file) belong together; name both or none".to_owned(),
            ));
        }
        let store = document.server.store.parse();
        let store: Place = store.map_err(|error| wrong(format!("store {error}")))?;
        // The password of a database is nobody's business.
        layers.show("store", store.to_string());
        let Document {
            server,
            service,
            native,
            conduit,
            magicline,
            polygon,
            light,
        } = document;
        Ok(Self {
            server,
            store,
            dialects: dialects::Config {
                service,
                native,
                conduit,
                magicline,
                polygon,
                light,
            },
            layers,
        })
    }
}

impl Flags {
    fn put_into(&self, layers: &mut Layers) {
        let texts = [
            ("listen", &self.listen),
            ("store", &self.store),
            ("metrics", &self.metrics),
            ("tls_cert", &self.tls_cert),
            ("tls_key", &self.tls_key),
            ("log_format", &self.log_format),
        ];
        for (key, text) in texts {
            if let Some(text) = text {
                layers.flag(key, text.as_str().into());
            }
        }
        if self.behind_proxy {
            layers.flag("behind_proxy", true.into());
        }
    }
}

/// The table of a file that is a good configuration by itself.
fn read_file(file: &Path) -> Result<toml::Table, Failure> {
    let name = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::while_doing(&format!("reading the configuration {name}"), error))?;
    let wrong = |error: String| Failure::new(format!("the configuration {name} is wrong: {error}"));
    let document: Document = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    document.service.check().map_err(wrong)?;
    toml::from_str(&text).map_err(|error| wrong(error.to_string()))
}
