//! TLS to the database, as libpq's options name it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::OpenError;

/// What is asked of the server's certificate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Trust {
    /// Nothing: who listens in can't read, who stands in between can.
    Anyone,
    /// That an authority signed it, for whatever name.
    Authority,
    /// That an authority signed it for the host's name.
    Host,
}

/// The authorities whose signatures count.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Roots {
    /// Those that the system trusts.
    System,
    /// Those in a file.
    File(PathBuf),
}

/// How connections are encrypted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Tls {
    pub(crate) trust: Trust,
    pub(crate) roots: Option<Roots>,
    /// A certificate of our own with its key.
    pub(crate) own: Option<(PathBuf, PathBuf)>,
}

impl Tls {
    /// What makes connections of it. Reads the files.
    pub(crate) fn connector(&self) -> Result<MakeRustlsConnect, OpenError> {
        let provider = Arc::new(ring::default_provider());
        let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| OpenError::Tls(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(self.verifier(provider)?));
        let mut config = match &self.own {
            None => config.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = certificates("sslcert", certificate)?;
                let secret = PrivateKeyDer::from_pem_file(key)
                    .map_err(|error| unreadable("sslkey", key, &error.to_string()))?;
                let with_own = config.with_client_auth_cert(chain, secret);
                with_own.map_err(|error| unreadable("sslkey", key, &error.to_string()))?
            }
        };
        // PostgreSQL 17 asks for it when TLS is spoken from the first byte; others don't mind.
        config.alpn_protocols = vec![b"postgresql".to_vec()];
        Ok(MakeRustlsConnect::new(config))
    }

    fn verifier(&self, provider: Arc<CryptoProvider>) -> Result<Verifier, OpenError> {
        let roots = match &self.roots {
            None => None,
            Some(Roots::File(file)) => Some(certificates("sslrootcert", file)?),
            Some(Roots::System) => Some(rustls_native_certs::load_native_certs().certs),
        };
        let chains = match roots {
            None => None,
            Some(certificates) => {
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(certificates);
                let chains =
                    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
                Some(chains.build().map_err(|_| {
                    OpenError::Tls("sslrootcert names no certificate of an authority that can be used".into())
                })?)
            }
        };
        Ok(Verifier {
            trust: self.trust,
            chains,
            provider,
        })
    }
}

fn certificates(option: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>, OpenError> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(certificates) if certificates.is_empty() => {
            Err(unreadable(option, file, "there is no certificate in it"))
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(unreadable(option, file, &error.to_string())),
    }
}

fn unreadable(option: &str, file: &Path, why: &str) -> OpenError {
    OpenError::Tls(format!(
        "{option}={} can't be used: {why}; name a file in PEM format",
        file.display()
    ))
}

/// Checks as much of a certificate as is asked for. That the server has its key is always checked.
#[derive(Debug)]
struct Verifier {
    trust: Trust,
    chains: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let checked = match &self.chains {
            Some(chains) if self.trust != Trust::Anyone => {
                chains.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            }
            _ => return Ok(ServerCertVerified::assertion()),
        };
        match checked {
            // The chain is checked before the name.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.trust == Trust::Authority => Ok(ServerCertVerified::assertion()),
            Err(Error::InvalidCertificate(error)) => Err(with_cure(error)),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// Says what is wrong with a certificate, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Wrong(String);

fn with_cure(error: CertificateError) -> Error {
    let cure = match &error {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "name its authority's certificate with sslrootcert=FILE"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "write the host as the certificate's subjectAltName has it, or have one made for this host"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "have it renewed",
        // Not told apart by rustls: among others an authority's own certificate, or one of X.509's first version.
        CertificateError::Other(_) => {
            "the server needs a certificate of X.509 version 3 with a subjectAltName that an authority signed, \
             not the authority's own"
        }
        _ => return Error::InvalidCertificate(error),
    };
    let text = format!("the database's certificate: {error}; {cure}");
    Error::Other(OtherError(Arc::new(Wrong(text))))
}
