//! The card: where the server is, fresh keys for each wire format, and the ids to try them with.

use std::path::Path;

use dialects::spelling::{self, Prefix};
use ledger::Scopes;
use serde_json::json;
use service::auth::CLIENT_SCOPES;
use service::{Caller, CreateKey, Credentials, Idempotency, Service};

use super::landmarks::Landmarks;
use crate::failure::Failure;

/// What somebody needs to try everything.
pub(super) struct Card {
    pub(super) url: String,
    pub(super) landmarks: Landmarks,
    pub(super) native: Credentials,
    pub(super) conduit: Credentials,
    pub(super) magicline: Credentials,
    pub(super) polygon: Credentials,
    pub(super) light: Credentials,
}

/// Makes a fresh key for each wire format. Earlier ones go on working.
pub(super) async fn mint(
    service: &Service,
    caller: &Caller,
    landmarks: Landmarks,
    url: String,
) -> Result<Card, Failure> {
    let key = |label: &'static str, scopes: Scopes| async move {
        let key = CreateKey {
            client: Some(landmarks.root),
            label: format!("sandbox: {label}"),
            scopes,
            expires_at: None,
        };
        let made = service.create_key(caller, key, Idempotency::default()).await?;
        let credentials = made.value.credentials;
        credentials.ok_or_else(|| Failure::new("a new key was made before"))
    };
    let (native, conduit, magicline, polygon, light) = tokio::try_join!(
        key("native", CLIENT_SCOPES),
        key("conduit", Scopes::READ),
        key("magicline", Scopes::CUSTOMER_ACCOUNT_READ),
        key("polygon", Scopes::READ),
        key("light", Scopes::READ),
    )?;
    Ok(Card {
        url,
        landmarks,
        native,
        conduit,
        magicline,
        polygon,
        light,
    })
}

impl Card {
    /// The merchant as Conduit spells it.
    pub(super) fn conduit_customer(&self) -> String {
        spelling::ksuid(Prefix::Customer, self.landmarks.merchant.0).to_string()
    }

    /// The merchant as Polygon spells it.
    pub(super) fn polygon_customer(&self) -> String {
        spelling::typeid(self.landmarks.merchant.0).to_string()
    }

    fn json(&self) -> serde_json::Value {
        let at = &self.landmarks;
        let ksuid = |prefix, id| spelling::ksuid(prefix, id).to_string();
        json!({
            "baseUrl": self.url,
            "native": {"token": self.native.token()},
            "conduit": {
                "apiKey": self.conduit.api_key(),
                "apiSecret": self.conduit.api_secret(),
                "clientId": ksuid(Prefix::Client, at.root.0),
                "customerId": self.conduit_customer(),
                "accountId": ksuid(Prefix::Account, at.main.0),
            },
            "magicline": {"apiKey": self.magicline.token(), "customerId": at.member},
            "polygon": {
                "apiKey": self.polygon.api_key(),
                "apiSecret": self.polygon.api_secret(),
                "customerId": self.polygon_customer(),
            },
            "light": {"apiKey": self.light.token(), "accountId": at.card.to_string()},
            "accounts": {
                "external": at.external.to_string(),
                "main": at.main.to_string(),
                "receivable": at.receivable.to_string(),
                "credit": at.credit.to_string(),
                "card": at.card.to_string(),
            },
        })
    }

    /// Writes the card to a file that only its owner may read: whole or not at all.
    pub(super) fn write(&self, file: &Path) -> Result<(), Failure> {
        let failed = |error: std::io::Error| {
            Failure::while_doing(&format!("writing the card {}", file.display()), error)
        };
        let text = format!("{:#}\n", self.json());
        let mut beside = file.as_os_str().to_owned();
        beside.push(".new");
        write_private(Path::new(&beside), &text).map_err(failed)?;
        std::fs::rename(&beside, file).map_err(failed)
    }
}

fn write_private(file: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    // One that was left here may have other permissions, which would stay.
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = std::fs::File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)?;
    file.write_all(text.as_bytes())
}
