//! A PostgreSQL of our own: in a temporary folder, reached through a socket in it, run by a user without rights.
//!
//! It is the child of a guard, a shell that waits for the tests' end of a pipe to close: however the tests end, the guard then
//! stops PostgreSQL and removes the folder. Nothing outside the folder is touched.
//!
//! For tests and benchmarks: what goes wrong here panics.

mod bouncer;
mod disk;
mod standby;

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

pub use bouncer::Bouncer;
use disk::SmallDisk;
pub use disk::{Ballast, Small};

/// Starts PostgreSQL, and again when it ends, until the pipe ends; then stops it and removes the folder.
const GUARD: &str = r#"
    bin=$1 folder=$2; shift 2
    while [ ! -e "$folder/stop" ]; do
        "$bin/postgres" -D "$folder/data" "$@" >>"$folder/log" 2>&1 </dev/null &
        echo $! >"$folder/pid.new" && mv "$folder/pid.new" "$folder/pid"
        wait $!
        sleep 0.1
        while [ -e "$folder/down" ] && [ ! -e "$folder/stop" ]; do sleep 0.1; done
    done && touch "$folder/ended" &
    cat >/dev/null
    [ -e "$folder/stop" ] || touch "$folder/stop"
    # Again, as another may just have been started.
    while [ ! -e "$folder/ended" ]; do
        kill -QUIT "$(cat "$folder/pid")" 2>/dev/null
        sleep 0.05
    done
    wait
    rm -rf "$folder" 2>/dev/null
"#;

/// How long PostgreSQL may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running PostgreSQL.
pub struct Cluster {
    folder: PathBuf,
    port: u16,
    /// Its standard input is the pipe.
    _guard: Child,
    count: AtomicUsize,
    /// Databases that are not needed any more.
    dropped: Mutex<Vec<String>>,
    template: tokio::sync::OnceCell<()>,
}

/// Keeps a PostgreSQL down.
pub struct Down(PathBuf);

impl Drop for Down {
    fn drop(&mut self) {
        // With its folder it may be gone already.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A database of a test; it goes when the next one is made.
pub struct Database {
    cluster: Arc<Cluster>,
    name: String,
}

impl Cluster {
    /// The one of this run, which does not sync.
    #[must_use]
    pub fn shared() -> Arc<Self> {
        static SHARED: OnceLock<Arc<Cluster>> = OnceLock::new();
        let shared = SHARED.get_or_init(|| {
            let settings = [
                "fsync=off",
                "full_page_writes=off",
                "synchronous_commit=off",
                "max_wal_size=256MB",
            ];
            let folder = make_folder_in(&where_files_cost_little());
            make_data(&folder);
            Self::run(folder, None, &settings)
        });
        Arc::clone(shared)
    }

    /// Makes and starts one with these settings.
    #[must_use]
    pub fn start(settings: &[&str]) -> Arc<Self> {
        let folder = make_folder();
        make_data(&folder);
        Self::run(folder, None, settings)
    }

    /// One that is reached through TCP too, on a port of 127.0.0.1.
    #[must_use]
    pub fn start_on_tcp(settings: &[&str]) -> Arc<Self> {
        let folder = make_folder();
        make_data(&folder);
        Self::run(folder, None, &on_tcp(settings))
    }

    /// Starts PostgreSQL in a folder that has its data.
    fn run<S: AsRef<str>>(folder: PathBuf, disk: Option<SmallDisk>, settings: &[S]) -> Arc<Self> {
        let mut guard = match &disk {
            None => unprivileged("sh"),
            Some(disk) => disk.wrap(&folder),
        };
        guard.args(["-c", GUARD, "sh"]).arg(bin()).arg(&folder);
        guard
            .arg("-c")
            .arg(format!("unix_socket_directories={}", folder.display()));
        let usual = ["listen_addresses=", "max_connections=200", "shared_buffers=64MB"];
        let settings = || usual.into_iter().chain(settings.iter().map(AsRef::as_ref));
        for setting in settings() {
            guard.args(["-c", setting]);
        }
        // In a group of its own: an interrupt at the terminal ends the tests, and that ends it.
        let guard = guard
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("a shell");
        let port = settings().find_map(|setting| setting.strip_prefix("port="));
        Arc::new(Self {
            folder,
            port: port.map_or(5432, |port| port.parse().expect("a port is a number")),
            _guard: guard,
            count: AtomicUsize::new(0),
            dropped: Mutex::default(),
            template: tokio::sync::OnceCell::new(),
        })
    }

    /// The URL of a database.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        let folder = self.folder.display().to_string().replace('/', "%2F");
        format!("postgres://saldo@{folder}:{}/{database}", self.port)
    }

    /// The port that it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder that everything of it lies in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A database with nothing in it.
    #[must_use]
    pub fn empty(self: &Arc<Self>) -> Database {
        self.make("")
    }

    /// A database with nothing in it, in a tablespace.
    #[must_use]
    pub fn empty_in(self: &Arc<Self>, tablespace: &str) -> Database {
        self.make(&format!("tablespace {tablespace}"))
    }

    /// A database copied from a template, which `make` makes something in when it is first asked for.
    pub async fn database(self: &Arc<Self>, make: impl AsyncFnOnce(String)) -> Database {
        let template = async || {
            self.admin("create database template_of_tests");
            make(self.url("template_of_tests")).await;
        };
        self.template.get_or_init(template).await;
        let cluster = Arc::clone(self);
        // Elsewhere, since what `make` left on this thread must be able to end: a template has no visitors.
        let copied = tokio::task::spawn_blocking(move || cluster.make("template template_of_tests"));
        copied.await.expect("it is copied")
    }

    /// A copy of a database that nobody uses.
    ///
    /// # Panics
    /// When PostgreSQL can't make one.
    pub async fn copy_of(self: &Arc<Self>, database: &Database) -> Database {
        let (cluster, how) = (Arc::clone(self), format!("template {}", database.name));
        let copied = tokio::task::spawn_blocking(move || cluster.make(&how));
        copied.await.expect("it is copied")
    }

    /// Makes a database, where those were that are not needed any more.
    fn make(self: &Arc<Self>, how: &str) -> Database {
        for name in std::mem::take(&mut *self.dropped.lock().expect("nobody failed here")) {
            self.admin(&format!("drop database {name} with (force)"));
        }
        let name = format!("test_{}", self.count.fetch_add(1, Ordering::Relaxed));
        self.admin(&format!("create database {name} {how}"));
        Database {
            cluster: Arc::clone(self),
            name,
        }
    }

    /// Waits until it answers.
    ///
    /// # Panics
    /// When that takes too long.
    pub fn wait(&self) {
        self.admin("select 1");
    }

    /// Runs a command of an administrator; again, while PostgreSQL starts and others are at the template.
    fn admin(&self, command: &str) {
        let begun = Instant::now();
        while let Err(error) = self.try_sql("postgres", command) {
            assert!(begun.elapsed() < PATIENCE, "{command}: {error}: {}", self.log());
            std::thread::yield_now();
        }
    }

    /// What psql answers to a command in a database: rows as lines, columns with `|` between.
    ///
    /// # Errors
    /// What psql complains of.
    pub fn try_sql(&self, database: &str, command: &str) -> Result<String, String> {
        let mut psql = Command::new(bin().join("psql"));
        psql.args([
            "--no-psqlrc",
            "--quiet",
            "--tuples-only",
            "--no-align",
            "-v",
            "ON_ERROR_STOP=1",
        ]);
        psql.args(["-c", command])
            .arg(self.url(database))
            .stdin(Stdio::null());
        let output = psql.output().map_err(|error| error.to_string())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        match output.status.success() {
            true => Ok(text(&output.stdout)),
            false => Err(text(&output.stderr)),
        }
    }

    /// Kills PostgreSQL as a crash of its machine would. Its guard starts it again.
    pub fn kill(&self) {
        let postmaster = self.pid();
        // Those that it started end by themselves when it is gone, but not at once: the one that receives from a primary
        // might still tell it that a commit has come.
        let children = children(postmaster);
        for pid in std::iter::once(postmaster).chain(children) {
            // It may have ended already, and be about to be started again.
            let _ = kill_process(pid, Signal::KILL);
        }
    }

    /// Kills it, and keeps it down until the answer is dropped.
    ///
    /// # Panics
    /// When its folder can't be written to.
    #[must_use]
    pub fn keep_down(&self) -> Down {
        let down = self.folder.join("down");
        std::fs::write(&down, "").expect("its folder is there");
        self.kill();
        Down(down)
    }

    /// Kills it for good, as the loss of its machine would.
    ///
    /// # Panics
    /// When its folder can't be written to.
    pub fn lose(&self) {
        std::fs::write(self.folder.join("stop"), "").expect("its folder is there");
        self.kill();
    }

    fn pid(&self) -> Pid {
        let pid = std::fs::read_to_string(self.folder.join("pid")).expect("it was started");
        pid.trim()
            .parse()
            .ok()
            .and_then(Pid::from_raw)
            .expect("a process")
    }

    /// What it logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Database {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        self.cluster.url(&self.name)
    }

    /// What psql answers to a command in it.
    ///
    /// # Errors
    /// What psql complains of.
    pub fn try_sql(&self, command: &str) -> Result<String, String> {
        self.cluster.try_sql(&self.name, command)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Ok(mut dropped) = self.cluster.dropped.lock() {
            dropped.push(self.name.clone());
        }
    }
}

/// The processes that this one started, as far as the system says.
fn children(of: Pid) -> Vec<Pid> {
    let of = of.as_raw_nonzero();
    let list = std::fs::read_to_string(format!("/proc/{of}/task/{of}/children")).unwrap_or_default();
    let pids = list.split_whitespace().filter_map(|pid| pid.parse().ok());
    pids.filter_map(Pid::from_raw).collect()
}

/// In memory where there is room for it: a database has some hundred files, and each test makes and drops one.
fn where_files_cost_little() -> PathBuf {
    const ENOUGH: u64 = 4 << 30;
    let memory = PathBuf::from("/dev/shm");
    match rustix::fs::statvfs(&memory) {
        Ok(free) if free.f_bavail.saturating_mul(free.f_frsize) >= ENOUGH => memory,
        _ => std::env::temp_dir(),
    }
}

/// A folder that the unprivileged user may write into.
fn make_folder() -> PathBuf {
    make_folder_in(&std::env::temp_dir())
}

fn make_folder_in(parent: &Path) -> PathBuf {
    let folder = tempfile::Builder::new()
        .prefix("saldo-pg-")
        .tempdir_in(parent)
        .expect("a folder is made")
        .keep();
    if is_root() {
        run(Command::new("chown").arg("postgres:postgres").arg(&folder));
    }
    folder
}

/// Makes what PostgreSQL starts from.
fn make_data(folder: &Path) {
    run(unprivileged(bin().join("initdb"))
        .args([
            "--auth=trust",
            "--username=saldo",
            "--no-sync",
            "--encoding=UTF8",
            "--locale=C",
            "-D",
        ])
        .arg(folder.join("data")));
}

/// These settings, and those that let it be reached on a port of 127.0.0.1.
fn on_tcp(settings: &[&str]) -> Vec<String> {
    let port = format!("port={}", free_port());
    let tcp = ["listen_addresses=127.0.0.1", &port];
    tcp.iter()
        .chain(settings)
        .map(|&setting| setting.to_owned())
        .collect()
}

/// A port that nobody listens on.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("it is bound").port()
}

/// Whether the tests run as root: PostgreSQL then runs as somebody else, and small disks can be mounted.
#[must_use]
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A command by a user without rights, since PostgreSQL refuses to be run by root.
pub fn unprivileged(program: impl AsRef<std::ffi::OsStr>) -> Command {
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

/// Where PostgreSQL's programs are, of the newest of Debian's versions.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn bin() -> PathBuf {
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
