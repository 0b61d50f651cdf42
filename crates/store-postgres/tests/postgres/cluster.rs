//! A PostgreSQL of our own: in a temporary folder, reached through a socket in it, run by a user without rights.
//!
//! It is the child of a guard, a shell that waits for the tests' end of a pipe to close: however the tests end, the guard then
//! stops PostgreSQL and removes the folder. Nothing outside the folder is touched.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use store_postgres::{Url, create};
use tokio_postgres::NoTls;

/// Starts PostgreSQL, and again when it ends, until the pipe ends; then stops it and removes the folder.
const GUARD: &str = r#"
    bin=$1 folder=$2; shift 2
    while [ ! -e "$folder/stop" ]; do
        "$bin/postgres" -D "$folder/data" "$@" >>"$folder/log" 2>&1 </dev/null &
        echo $! >"$folder/pid.new" && mv "$folder/pid.new" "$folder/pid"
        wait $!
    done &
    cat >/dev/null
    touch "$folder/stop"
    kill -QUIT "$(cat "$folder/pid")" 2>/dev/null
    wait
    rm -rf "$folder"
"#;

/// How long PostgreSQL may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running PostgreSQL.
pub(crate) struct Cluster {
    folder: PathBuf,
    /// Its standard input is the pipe.
    _guard: Child,
    made: AtomicUsize,
    /// Databases that are not needed any more.
    dropped: Mutex<Vec<String>>,
    template: tokio::sync::OnceCell<()>,
}

/// A database of a test; it goes when the next one is made.
pub(crate) struct Database {
    cluster: Arc<Cluster>,
    name: String,
}

impl Cluster {
    /// The one of this run, which does not sync.
    pub(crate) fn shared() -> Arc<Self> {
        static SHARED: OnceLock<Arc<Cluster>> = OnceLock::new();
        let shared = SHARED
            .get_or_init(|| Self::start(&["fsync=off", "full_page_writes=off", "synchronous_commit=off"]));
        Arc::clone(shared)
    }

    /// Makes and starts one with these settings.
    pub(crate) fn start(settings: &[&str]) -> Arc<Self> {
        let folder = tempfile::Builder::new()
            .prefix("saldo-pg-")
            .tempdir()
            .expect("a folder is made")
            .keep();
        let bin = bin();
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(&folder));
        }
        run(unprivileged(bin.join("initdb"))
            .args([
                "--auth=trust",
                "--username=saldo",
                "--no-sync",
                "--encoding=UTF8",
                "--locale=C",
                "-D",
            ])
            .arg(folder.join("data")));
        let mut guard = unprivileged("sh");
        guard.args(["-c", GUARD, "sh"]).arg(&bin).arg(&folder);
        guard
            .arg("-c")
            .arg(format!("unix_socket_directories={}", folder.display()));
        for setting in ["listen_addresses=", "max_connections=200", "shared_buffers=64MB"]
            .iter()
            .chain(settings)
        {
            guard.args(["-c", setting]);
        }
        // In a group of its own: an interrupt at the terminal ends the tests, and that ends it.
        let guard = guard
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("a shell");
        Arc::new(Self {
            folder,
            _guard: guard,
            made: AtomicUsize::new(0),
            dropped: Mutex::default(),
            template: tokio::sync::OnceCell::new(),
        })
    }

    fn url(&self, database: &str) -> String {
        let folder = self.folder.display().to_string().replace('/', "%2F");
        format!("postgres://saldo@{folder}/{database}")
    }

    /// A database with nothing in it.
    pub(crate) async fn empty(self: &Arc<Self>) -> Database {
        let name = format!("test_{}", self.made.fetch_add(1, Ordering::Relaxed));
        self.run(&format!("create database {name}")).await;
        Database {
            cluster: Arc::clone(self),
            name,
        }
    }

    /// A database with a store in it, copied from one that was made before.
    pub(crate) async fn database(self: &Arc<Self>) -> Database {
        self.template.get_or_init(|| self.make_template()).await;
        let old = std::mem::take(&mut *self.dropped.lock().expect("nobody failed here"));
        let name = format!("test_{}", self.made.fetch_add(1, Ordering::Relaxed));
        let drops = old
            .iter()
            .map(|name| format!("drop database {name} with (force)"));
        for command in drops.chain([format!("create database {name} template saldo")]) {
            self.run(&command).await;
        }
        Database {
            cluster: Arc::clone(self),
            name,
        }
    }

    async fn make_template(&self) {
        self.run("create database saldo").await;
        let url = Url::parse(&self.url("saldo")).expect("a URL");
        create(&url, &crate::suite::options())
            .await
            .expect("a store is made");
    }

    /// Runs a command of an administrator; again, while others are at the template.
    async fn run(&self, command: &str) {
        let begun = Instant::now();
        loop {
            let failed = match tokio_postgres::connect(&self.url("postgres"), NoTls).await {
                Ok((client, connection)) => {
                    tokio::spawn(connection);
                    client.batch_execute(command).await.err()
                }
                Err(error) => Some(error),
            };
            let Some(error) = failed else { return };
            assert!(begun.elapsed() < PATIENCE, "{command}: {error}: {}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Kills PostgreSQL as a crash would. Its guard starts it again.
    pub(crate) fn kill(&self) {
        let pid = std::fs::read_to_string(self.folder.join("pid")).expect("it was started");
        let pid = pid
            .trim()
            .parse()
            .ok()
            .and_then(Pid::from_raw)
            .expect("a process");
        // It may have ended already, and be about to be started again.
        let _ = kill_process(pid, Signal::KILL);
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Database {
    pub(crate) fn url(&self) -> String {
        self.cluster.url(&self.name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Ok(mut dropped) = self.cluster.dropped.lock() {
            dropped.push(self.name.clone());
        }
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A command by a user without rights, since PostgreSQL refuses to be run by root.
fn unprivileged(program: impl AsRef<std::ffi::OsStr>) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"])
        .arg(program);
    command.current_dir("/");
    command
}

/// The newest of Debian's versions.
fn bin() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let version = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = versions
        .map(|entry| entry.path())
        .max_by_key(|path| version(path));
    let newest = newest.expect("the Debian package `postgresql` is installed; `cargo xtask test` does that");
    newest.join("bin")
}

fn run(command: &mut Command) {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
