//! `PgBouncer` in front of a cluster, lending connections for one transaction each.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::Instant;

use crate::{Cluster, PATIENCE, free_port, unprivileged};

/// Ends it when the pipe ends: however the tests end.
const GUARD: &str = r#"pgbouncer -q "$1" & cat >/dev/null; kill -INT $!; wait"#;

/// A running `PgBouncer`.
pub struct Bouncer {
    cluster: Arc<Cluster>,
    port: u16,
    guard: Child,
}

impl Bouncer {
    /// Starts one that keeps at most so many connections.
    ///
    /// # Panics
    /// When it can't be started.
    #[must_use]
    pub fn start(cluster: &Arc<Cluster>, connections: usize) -> Self {
        cluster.wait();
        let port = free_port();
        let folder = cluster.folder().display();
        let configuration = format!(
            "[databases]\n* = host={folder} port={} user=saldo\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
             pool_mode = transaction\ndefault_pool_size = {connections}\nmax_client_conn = 500\n\
             logfile = {folder}/bouncer.log\n",
            cluster.port(),
        );
        let file = cluster.folder().join("bouncer.ini");
        std::fs::write(&file, configuration).expect("a file in its folder");
        let guard = unprivileged("sh")
            .args(["-c", GUARD, "sh"])
            .arg(&file)
            .env("PATH", path())
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("a shell");
        let bouncer = Self {
            cluster: Arc::clone(cluster),
            port,
            guard,
        };
        let begun = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < PATIENCE, "it listens: {}", bouncer.log());
            std::thread::yield_now();
        }
        bouncer
    }

    /// The URL of a database through it.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://saldo@127.0.0.1:{}/{database}", self.port)
    }

    /// What it logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.cluster.folder().join("bouncer.log")).unwrap_or_default()
    }
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        // The end of the pipe ends it.
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

/// Debian has it where only root looks.
fn path() -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    match Path::new("/usr/sbin/pgbouncer").exists() {
        true => format!("{path}:/usr/sbin"),
        false => path,
    }
}
