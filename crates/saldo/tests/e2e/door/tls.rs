//! TLS with real handshakes, and certificates that are replaced while the server runs.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustix::process::Signal;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::{Door, connect, first_line, init, rest};
use crate::harness::{Home, run, said};

/// An authority, and the files of a certificate that it signs.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    root: CertificateDer<'static>,
    folder: tempfile::TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        let authority = Self {
            root: certificate.der().clone(),
            issuer: Issuer::new(params, key),
            folder: tempfile::tempdir().expect("a folder"),
        };
        replace(&authority.file("root"), &certificate.pem());
        authority
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts a new certificate for 127.0.0.1 in the place of the files; answers with it.
    fn renew(&self) -> CertificateDer<'static> {
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("names");
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        replace(&self.file("key"), &key.serialize_pem());
        replace(&self.file("cert"), &certificate.pem());
        certificate.der().clone()
    }

    fn options(&self) -> [String; 4] {
        let path = |name: &str| self.file(name).to_str().expect("text").to_owned();
        [
            "--tls-cert".to_owned(),
            path("cert"),
            "--tls-key".to_owned(),
            path("key"),
        ]
    }

    /// A server with the certificate of the files.
    fn door(&self) -> Door {
        let options = self.options();
        let options: Vec<_> = options.iter().map(String::as_str).collect();
        let door = Door::with("", &options);
        assert!(door.server.url.starts_with("https://"), "{}", door.server.url);
        door
    }

    /// A client's end, which trusts this authority and speaks these protocols.
    fn handshake(
        &self,
        door: &Door,
        protocols: &[&str],
    ) -> std::io::Result<StreamOwned<ClientConnection, TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).expect("an authority");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let name = ServerName::try_from("127.0.0.1").expect("a name");
        let mut client = ClientConnection::new(Arc::new(config), name).expect("a client");
        let mut stream = connect(door.address());
        while client.is_handshaking() {
            client.complete_io(&mut stream)?;
        }
        Ok(StreamOwned::new(client, stream))
    }

    /// The certificate that a new connection gets.
    fn shown(&self, door: &Door) -> CertificateDer<'static> {
        let stream = self.handshake(door, &[]).expect("a handshake");
        let chain = stream.conn.peer_certificates().expect("a certificate");
        chain[0].clone().into_owned()
    }

    fn wait_until_shown(&self, door: &Door, certificate: &CertificateDer<'_>) {
        while self.shown(door) != *certificate {
            std::thread::yield_now();
        }
    }
}

/// As tools that renew certificates do: beside, then renamed.
fn replace(file: &Path, text: &str) {
    let beside = file.with_extension("new");
    std::fs::write(&beside, text).expect("it is written");
    std::fs::rename(&beside, file).expect("it is renamed");
}

const HEALTH: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";

fn healthy(stream: &mut (impl Read + Write)) {
    stream.write_all(HEALTH).expect("sent");
    let mut told = Vec::new();
    let mut byte = [0];
    while !told.ends_with(b"\nok\n") {
        assert_eq!(stream.read(&mut byte).expect("an answer"), 1);
        told.push(byte[0]);
    }
}

#[test]
fn requests_go_through_tls() {
    let authority = Authority::new();
    authority.renew();
    let door = authority.door();
    let mut stream = authority
        .handshake(&door, &["h2", "http/1.1"])
        .expect("a handshake");
    assert_eq!(stream.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
    healthy(&mut stream);
    let body = "{\"legalName\":\"Safe\"}";
    let request = format!(
        "POST /api/v1/clients HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{body}",
        door.token,
        body.len()
    );
    stream.write_all(request.as_bytes()).expect("sent");
    assert_eq!(first_line(&rest(&mut stream)), "HTTP/1.1 201 Created");
    // Who speaks nothing that is spoken here, or no TLS at all, or trusts somebody else, gets nowhere.
    assert!(authority.handshake(&door, &["h2"]).is_err());
    assert!(
        !door
            .raw("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            .contains("HTTP/1.1")
    );
    assert!(Authority::new().handshake(&door, &[]).is_err());
    let (status, log) = door.server.stop();
    assert_eq!(status.code(), Some(0), "{log}");
}

#[test]
fn the_command_line_trusts_whom_it_is_told_to() {
    let authority = Authority::new();
    authority.renew();
    let door = authority.door();
    let list = |more: &[&str]| {
        let list = [
            "client",
            "list",
            "--json",
            "--url",
            &door.server.url,
            "--token",
            &door.token,
        ];
        run(&[&list, more].concat())
    };
    let root = authority.file("root");
    let trusting = list(&["--ca", root.to_str().expect("text")]);
    assert_eq!(said(&trusting), "{\"items\":[]}\n");
    let other = Authority::new();
    let stranger = other.file("root");
    for more in [&[][..], &["--ca", stranger.to_str().expect("text")]] {
        let refused = list(more);
        assert!(!refused.status.success(), "{}", said(&refused));
        assert!(!said(&refused).contains("items"), "{}", said(&refused));
    }
    let stranger = list(&["--ca", stranger.to_str().expect("text")]);
    assert_eq!(stranger.status.code(), Some(4), "{}", said(&stranger));
    let why = said(&stranger);
    assert!(
        why.contains("--ca names the authorities") && why.contains("Nothing was sent"),
        "{why}"
    );
    for wrong in ["/nowhere/ca.pem", authority.file("key").to_str().expect("text")] {
        let refused = list(&["--ca", wrong]);
        assert!(
            refused.status.code() == Some(1) && said(&refused).contains(wrong),
            "{}",
            said(&refused)
        );
    }
}

#[test]
fn a_new_certificate_is_taken_without_dropping_anybody() {
    let authority = Authority::new();
    let first = authority.renew();
    let door = authority.door();
    let mut early = authority.handshake(&door, &[]).expect("a handshake");
    healthy(&mut early);
    assert_eq!(authority.shown(&door), first);

    let second = authority.renew();
    door.server.signal(Signal::HUP);
    authority.wait_until_shown(&door, &second);
    healthy(&mut early);

    // It is also found without being told of.
    let third = authority.renew();
    authority.wait_until_shown(&door, &third);

    // What can't be used leaves the old one in use, and is logged.
    for (spoil, said) in [
        ("cert", "--tls-cert"),
        ("key", "--tls-key"),
        ("", "it is not the key of the certificate"),
    ] {
        let good = authority.renew();
        door.server.signal(Signal::HUP);
        authority.wait_until_shown(&door, &good);
        let logged = door.server.log().matches(said).count();
        match spoil {
            "" => replace(
                &authority.file("key"),
                &KeyPair::generate().expect("a key").serialize_pem(),
            ),
            name => replace(&authority.file(name), "nonsense"),
        }
        door.server.signal(Signal::HUP);
        while door.server.log().matches(said).count() == logged {
            std::thread::yield_now();
        }
        assert!(
            door.server
                .log()
                .contains("the certificate of before stays in use")
        );
        assert_eq!(authority.shown(&door), good, "{said}");
    }
    std::fs::remove_file(authority.file("key")).expect("it is there");
    door.server.signal(Signal::HUP);
    let last = authority.renew();
    door.server.signal(Signal::HUP);
    authority.wait_until_shown(&door, &last);
    healthy(&mut early);
}

#[test]
fn what_can_not_be_used_at_the_start_is_named() {
    let authority = Authority::new();
    authority.renew();
    let home = Home::in_a_folder();
    init(&home);
    let store = home.store();
    let [cert, cert_file, key, key_file] = authority.options();
    let serve = |options: &[&str]| {
        let refused = run(&[&["serve", "--listen", "127.0.0.1:0", "--store", &store], options].concat());
        assert!(!refused.status.success());
        said(&refused)
    };
    let missing = serve(&[&cert, "/nowhere/cert.pem", &key, &key_file]);
    assert!(
        missing.contains("--tls-cert /nowhere/cert.pem can't be used"),
        "{missing}"
    );
    let swapped = serve(&[&cert, &key_file, &key, &cert_file]);
    assert!(
        swapped.contains("--tls-cert") && swapped.contains("no certificate in PEM"),
        "{swapped}"
    );
    let alone = serve(&[&cert, &cert_file]);
    assert!(alone.contains("--tls-key"), "{alone}");
    let pem = std::fs::read(&cert_file).expect("the certificate");
    assert!(CertificateDer::from_pem_slice(&pem).is_ok());
}
