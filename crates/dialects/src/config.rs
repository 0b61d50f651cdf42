//! What the wire formats can be told, and the service below them: one TOML document.
//!
//! ```
//! let config = dialects::Config::from_toml(
//!     "[magicline]\nprefix = \"/gym/v1\"\nrate_limit_per_minute = 600\nnegate_account_balance = true",
//! ).unwrap();
//! assert!(config.magicline.negate_account_balance);
//! let error = dialects::Config::from_toml("[light]\nrate_limit = 5").unwrap_err();
//! assert!(error.to_string().contains("rate_limit"));
//! ```

use ledger::Purpose;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The whole document. Every setting has a default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Limits and lifetimes.
    pub service: service::Config,
    /// Saldo's own API: at `/api/v1`, without a rate limit.
    pub native: Native,
    /// Conduit's customer and client accounts: at `/`, without a rate limit.
    pub conduit: Conduit,
    /// Magicline's account balances: at `/v1`, 1000 requests a minute.
    pub magicline: Magicline,
    /// Polygon's customer balance: at `/v0.9`, without a rate limit.
    pub polygon: Polygon,
    /// Light's card balance accounts: at `/v1`, 300 requests a minute.
    pub light: Light,
}

/// Where a wire format is mounted, and how often a key may use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Whether it is there at all.
    pub enabled: bool,
    /// What its paths begin with: empty, or from a slash on, without one at the end.
    pub prefix: String,
    /// Requests a minute for each key; 0 is without end.
    pub rate_limit_per_minute: u32,
}

/// Declares the table of a wire format: where it is mounted, and what else it can be told.
macro_rules! tables {
    ($($(#[$doc:meta])* $name:ident($prefix:literal, $rate:literal) {
        $($(#[$field_doc:meta])* $field:ident: $type:ty = $default:expr,)*
    })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            /// Whether it is there at all. Default true.
            pub enabled: bool,
            /// What its paths begin with: empty, or from a slash on, without one at the end.
            #[serde(deserialize_with = "prefix")]
            pub prefix: String,
            /// Requests a minute for each key; 0 is without end.
            pub rate_limit_per_minute: u32,
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    enabled: true,
                    prefix: $prefix.to_owned(),
                    rate_limit_per_minute: $rate,
                    $($field: $default,)*
                }
            }
        }

        impl $name {
            /// Where it is mounted, and how often a key may use it.
            #[must_use]
            pub fn mount(&self) -> Mount {
                Mount {
                    enabled: self.enabled,
                    prefix: self.prefix.clone(),
                    rate_limit_per_minute: self.rate_limit_per_minute,
                }
            }
        }
    )*};
}

tables! {
    /// Saldo's own API. Defaults: `/api/v1`, no rate limit.
    Native("/api/v1", 0) {}
    /// Conduit. Defaults: no prefix, no rate limit.
    Conduit("", 0) {}
    /// Magicline. Defaults: `/v1`, 1000 requests a minute.
    Magicline("/v1", 1000) {
        /// Shows what is owed as positive. Default false: positive is credit with us.
        negate_account_balance: bool = false,
    }
    /// Polygon. Defaults: `/v0.9`, no rate limit.
    Polygon("/v0.9", 0) {
        /// The purposes of the accounts that count. Default main, card and wallet.
        #[serde(deserialize_with = "purposes", serialize_with = "words")]
        purposes: Vec<Purpose> = vec![Purpose::Main, Purpose::Card, Purpose::Wallet],
    }
    /// Light. Defaults: `/v1`, 300 requests a minute.
    Light("/v1", 300) {}
}

impl Config {
    /// Reads a document.
    ///
    /// # Errors
    /// Names the key or the line that is wrong, and what may stand there.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text).map_err(|error| ConfigError(error.to_string()))?;
        config.service.check().map_err(ConfigError)?;
        Ok(config)
    }
}

/// Why a document is no configuration: a text that names the key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

fn prefix<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let well_formed = text.is_empty()
        || text.starts_with('/') && !text.ends_with('/') && !text.contains("//") && text.bytes().all(plain);
    if well_formed {
        Ok(text)
    } else {
        Err(serde::de::Error::custom(format!(
            "prefix `{text}` must be empty, or begin with a slash and not end with one, such as `/v1`"
        )))
    }
}

fn words<S: Serializer>(purposes: &[Purpose], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(purposes.iter().map(|purpose| purpose.as_str()))
}

fn purposes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Purpose>, D::Error> {
    let words = Vec::<String>::deserialize(deserializer)?;
    let purpose = |word: &String| {
        let known = Purpose::ALL.into_iter().find(|purpose| purpose.as_str() == word);
        known.ok_or_else(|| {
            let all = Purpose::ALL.map(Purpose::as_str).join(", ");
            serde::de::Error::custom(format!("purposes: `{word}` is none of {all}"))
        })
    };
    words.iter().map(purpose).collect()
}
