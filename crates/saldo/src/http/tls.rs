//! TLS to clients: rustls with a certificate that can be replaced while the server runs.
//!
//! The files are looked at every other second and at SIGHUP. A new certificate holds for connections made from then on; those
//! that are there go on under theirs. What can't be used is logged, and the old one stays.

use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::signal::unix::{SignalKind, signal};
use tokio_rustls::TlsAcceptor;

use crate::failure::Failure;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// A certificate's files.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// What the files held when they were last looked at: two certificates, or why there is none, are the same if these are.
#[derive(PartialEq, Eq)]
struct Content {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

/// The certificate in use.
#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let current = self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        Some(Arc::clone(&current))
    }
}

/// Reads the files; answers with what makes TLS of connections, and keeps looking for new ones.
pub(crate) fn acceptor(files: Files) -> Result<TlsAcceptor, Failure> {
    let content = files.read().map_err(Failure::new)?;
    let certified = files.certified(&content).map_err(Failure::new)?;
    let current = Arc::new(Current(RwLock::new(Arc::new(certified))));
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::while_doing("preparing TLS", error))?
        .with_no_client_auth()
        .with_cert_resolver(Arc::clone(&current) as Arc<dyn ResolvesServerCert>);
    // HTTP/2 is not spoken here.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let hangup =
        signal(SignalKind::hangup()).map_err(|error| Failure::while_doing("listening for SIGHUP", error))?;
    tokio::spawn(watch(files, content, current, hangup));
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Takes new certificates into use, for ever.
async fn watch(
    files: Files,
    mut known: Content,
    current: Arc<Current>,
    mut hangup: tokio::signal::unix::Signal,
) {
    let mut unreadable = false;
    loop {
        let asked = tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => false,
            _ = hangup.recv() => true,
        };
        let content = match files.read() {
            Ok(content) => content,
            Err(why) => {
                // Said once: between the removal of a file and its return, or until somebody looks.
                if asked || !unreadable {
                    tracing::warn!("{why}; the certificate of before stays in use");
                }
                unreadable = true;
                continue;
            }
        };
        unreadable = false;
        if content == known && !asked {
            continue;
        }
        match files.certified(&content) {
            Ok(certified) => {
                let mut current = current
                    .0
                    .write()
                    .unwrap_or_else(std::sync::PoisonError::into_inner);
                *current = Arc::new(certified);
                tracing::info!(file = %files.certificate.display(), "new connections get the certificate as it is now");
            }
            Err(why) => tracing::warn!("{why}; the certificate of before stays in use"),
        }
        known = content;
    }
}

impl Files {
    fn read(&self) -> Result<Content, String> {
        let read = |option: &str, file: &Path| {
            std::fs::read(file).map_err(|error| unusable(option, file, &error.to_string()))
        };
        Ok(Content {
            certificate: read(CERTIFICATE, &self.certificate)?,
            key: read(KEY, &self.key)?,
        })
    }

    /// The certificate with its chain, and its key.
    fn certified(&self, content: &Content) -> Result<CertifiedKey, String> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&content.certificate).collect();
        let chain = chain.map_err(|error| unusable(CERTIFICATE, &self.certificate, &error.to_string()))?;
        if chain.is_empty() {
            let why = "it holds no certificate in PEM";
            return Err(unusable(CERTIFICATE, &self.certificate, why));
        }
        let bad_key = |why: String| unusable(KEY, &self.key, &why);
        let key = PrivateKeyDer::from_pem_slice(&content.key).map_err(|error| bad_key(error.to_string()))?;
        let key = ring::sign::any_supported_type(&key).map_err(|error| bad_key(error.to_string()))?;
        let certified = CertifiedKey::new(chain, key);
        let matched = certified.keys_match();
        matched.map_err(|error| bad_key(format!("it is not the key of the certificate ({error})")))?;
        Ok(certified)
    }
}

const CERTIFICATE: &str = "--tls-cert";
const KEY: &str = "--tls-key";

fn unusable(option: &str, file: &Path, why: &str) -> String {
    format!(
        "{option} {} can't be used: {why}; it must be a PEM file with {}",
        file.display(),
        match option {
            CERTIFICATE => "the server's certificate, then those that lead to its authority",
            _ => "the private key of the certificate",
        }
    )
}
