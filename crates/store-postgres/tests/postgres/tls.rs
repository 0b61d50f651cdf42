//! TLS to the database, with a PostgreSQL that has a certificate and takes encrypted connections alone.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};

use futures_util::future::join_all;
use ledger::BookNo;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use store::Store;
use store_postgres::{OpenError, PostgresStore, Url};
use test_postgres::{Cluster, is_root};

use crate::suite::{make_store, options};

/// A PostgreSQL with TLS, and the files that go with it.
struct Secure {
    cluster: Arc<Cluster>,
    files: PathBuf,
    port: u16,
}

fn authority(folder: &Path, name: &str) -> Issuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate");
    std::fs::write(folder.join(name), certificate.pem()).expect("it is written");
    Issuer::new(params, key)
}

/// A certificate with its key, as NAME.crt and NAME.key.
fn certificate(folder: &Path, name: &str, hosts: &[&str], issuer: &Issuer<'_, KeyPair>) {
    let hosts: Vec<_> = hosts.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(hosts).expect("names");
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().expect("a key");
    let certificate = params.signed_by(&key, issuer).expect("a certificate");
    std::fs::write(folder.join(format!("{name}.crt")), certificate.pem()).expect("it is written");
    let file = folder.join(format!("{name}.key"));
    std::fs::write(&file, key.serialize_pem()).expect("it is written");
    run(Command::new("chmod").arg("600").arg(&file));
}

fn run(command: &mut Command) {
    assert!(command.status().expect("it is run").success(), "{command:?}");
}

impl Secure {
    /// The one of this run.
    fn shared() -> &'static Self {
        static SHARED: OnceLock<Secure> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    fn start() -> Self {
        let files = Cluster::shared().folder().join("tls");
        std::fs::create_dir(&files).expect("it is new");
        let ours = authority(&files, "authority");
        authority(&files, "another");
        certificate(&files, "server", &["localhost"], &ours);
        certificate(&files, "certified", &[], &ours);
        let rules = "local all all trust\n\
            hostssl all certified 127.0.0.1/32 cert\n\
            hostssl all locked 127.0.0.1/32 scram-sha-256\n\
            hostssl all saldo 127.0.0.1/32 trust\n";
        std::fs::write(files.join("hba"), rules).expect("it is written");
        if is_root() {
            run(Command::new("chown").args(["-R", "postgres"]).arg(&files));
        }
        let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = port.expect("a port is free").port();
        let file = |name: &str| files.join(name).display().to_string();
        let settings = [
            "fsync=off".to_owned(),
            "listen_addresses=127.0.0.1".to_owned(),
            format!("port={port}"),
            "ssl=on".to_owned(),
            format!("ssl_cert_file={}", file("server.crt")),
            format!("ssl_key_file={}", file("server.key")),
            format!("ssl_ca_file={}", file("authority")),
            format!("hba_file={}", file("hba")),
        ];
        let settings: Vec<_> = settings.iter().map(String::as_str).collect();
        let cluster = Cluster::start(&settings);
        Self { cluster, files, port }
    }

    fn file(&self, name: &str) -> String {
        self.files.join(name).display().to_string()
    }

    /// A store's database, by name.
    async fn database(&self) -> String {
        let database = self.cluster.database(make_store).await;
        let name = database.url().rsplit('/').next().expect("a name").to_owned();
        // It goes with its PostgreSQL.
        std::mem::forget(database);
        name
    }

    fn url(&self, who: &str, host: &str, database: &str, query: &str) -> Url {
        let text = format!("postgres://{who}@{host}:{}/{database}?{query}", self.port);
        Url::parse(&text).expect("a URL")
    }
}

/// Opens a store, has it make more connections if it needs them, and says how many of them are encrypted and how many not.
async fn encrypted(secure: &Secure, who: &str, host: &str, database: &str, query: &str) -> (u32, u32) {
    let url = secure.url(who, host, database, query);
    let store = PostgresStore::open(&url, options())
        .await
        .expect("the store opens");
    for read in join_all((0..4).map(|_| store.position(BookNo::OPERATOR))).await {
        read.expect("it is read");
    }
    let sql = "select count(*) filter (where ssl), count(*) filter (where not ssl) from pg_stat_activity \
               join pg_stat_ssl using (pid) where application_name = 'saldo' and datname = current_database()";
    let counts = secure.cluster.try_sql(database, sql).expect("it is asked");
    store.close().await.expect("it closes");
    let (encrypted, plain) = counts.split_once('|').expect("two columns");
    (
        encrypted.parse().expect("a number"),
        plain.parse().expect("a number"),
    )
}

async fn refused(secure: &Secure, host: &str, database: &str, query: &str) -> String {
    let url = secure.url("saldo", host, database, query);
    match PostgresStore::open(&url, options()).await {
        Err(OpenError::Database(why) | OpenError::Tls(why)) => why,
        Err(other) => panic!("{query}: {other}"),
        Ok(_) => panic!("{query} opened the store"),
    }
}

#[test]
fn the_right_name_and_authority_are_taken_and_all_connections_are_encrypted() {
    store::suite::run(async {
        let secure = Secure::shared();
        let roots = format!("sslrootcert={}", secure.file("authority"));
        for (host, query) in [
            ("localhost", format!("sslmode=verify-full&{roots}")),
            ("127.0.0.1", format!("sslmode=verify-ca&{roots}")),
            ("127.0.0.1", format!("sslmode=require&{roots}")),
            ("127.0.0.1", "sslmode=require".to_owned()),
            ("127.0.0.1", String::new()),
        ] {
            let database = secure.database().await;
            let (encrypted, plain) = encrypted(secure, "saldo", host, &database, &query).await;
            assert!(encrypted > 1 && plain == 0, "{query}: {encrypted} and {plain}");
        }
    });
}

#[test]
fn another_name_another_authority_and_no_tls_are_refused_with_what_to_do() {
    store::suite::run(async {
        let secure = Secure::shared();
        let database = secure.database().await;
        let full = |roots: &str| format!("sslmode=verify-full&sslrootcert={roots}");
        let why = refused(secure, "127.0.0.1", &database, &full(&secure.file("authority"))).await;
        assert!(
            why.contains("localhost") && why.contains("subjectAltName"),
            "{why}"
        );
        for mode in ["verify-full", "verify-ca", "require"] {
            let query = format!("sslmode={mode}&sslrootcert={}", secure.file("another"));
            let why = refused(secure, "localhost", &database, &query).await;
            assert!(why.contains("sslrootcert=FILE"), "{mode}: {why}");
        }
        let why = refused(secure, "localhost", &database, "sslrootcert=system").await;
        assert!(why.contains("certificate"), "{why}");
        let why = refused(secure, "localhost", &database, "sslmode=disable").await;
        assert!(why.contains("say sslmode=verify-full"), "{why}");
        for (file, what) in [
            ("nowhere", "can't be used"),
            ("hba", "no certificate"),
            ("server.key", "no certificate"),
        ] {
            let why = refused(secure, "localhost", &database, &full(&secure.file(file))).await;
            assert!(
                why.contains("sslrootcert=") && why.contains(what),
                "{file}: {why}"
            );
        }
    });
}

#[test]
fn a_server_without_tls_is_refused_with_what_to_do() {
    store::suite::run(async {
        let database = Cluster::shared().database(make_store).await;
        let name = database.url().rsplit('/').next().expect("a name").to_owned();
        let proxy = crate::proxy::Proxy::start(Cluster::shared().folder().join(".s.PGSQL.5432")).await;
        let url = |query: &str| {
            let text = format!("postgres://saldo@{}/{name}?{query}", proxy.address());
            Url::parse(&text).expect("a URL")
        };
        match PostgresStore::open(&url("sslmode=require"), options()).await {
            Err(OpenError::Database(why)) => assert!(why.contains("ssl=on"), "{why}"),
            _ => panic!("it was opened"),
        }
        // Who only prefers it does without.
        let store = PostgresStore::open(&url(""), options()).await.expect("it opens");
        store.close().await.expect("it closes");
    });
}

#[test]
fn a_password_is_bound_to_its_channel_and_a_certificate_stands_for_one() {
    store::suite::run(async {
        let secure = Secure::shared();
        let database = secure.database().await;
        let roles =
            "create role locked login superuser password 'a:b@c'; create role certified login superuser";
        secure.cluster.try_sql("postgres", roles).expect("they are made");
        let roots = format!("sslmode=verify-full&sslrootcert={}", secure.file("authority"));
        let query = format!("{roots}&channel_binding=require");
        let (some, plain) = encrypted(secure, "locked:a%3Ab%40c", "localhost", &database, &query).await;
        assert!(some > 0 && plain == 0, "{some} encrypted, {plain} plain");
        let query = format!(
            "{roots}&sslcert={}&sslkey={}",
            secure.file("certified.crt"),
            secure.file("certified.key")
        );
        let (some, plain) = encrypted(secure, "certified", "localhost", &database, &query).await;
        assert!(some > 0 && plain == 0, "{some} encrypted, {plain} plain");
        let wrong = secure.url("locked:wrong", "localhost", &database, &roots);
        match PostgresStore::open(&wrong, options()).await {
            Err(OpenError::Database(why)) => assert!(why.contains("28P01"), "{why}"),
            _ => panic!("a wrong password opened the store"),
        }
    });
}
