//! The disk that the journal is on is full, and is not any more.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Answer, Client, Random, Sandbox, Server, said, saldo, settled, transaction};

/// Room for four segments, each twice as long as the one before.
const MEGABYTES: u64 = 320;
/// What a file's space comes in.
const PAGE: u64 = 4_096;
/// How long writes may take to come back; on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A small file system in memory, mounted where only its processes see it: it goes with them, however the test ends.
struct SmallDisk {
    holder: Child,
    folder: TempDir,
}

impl SmallDisk {
    /// `None` where mounting takes rights that the tests don't have.
    fn mount() -> Option<Self> {
        if !test_postgres::is_root() {
            let ci = std::env::var("CI").is_ok_and(|value| value == "true");
            assert!(!ci, "CI runs as root");
            println!("not run: needs root, to mount a small disk");
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let script = "mount -t tmpfs -o \"size=$2,mode=0700\" tmpfs \"$1\" && echo mounted && exec cat";
        let mut holder = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-c", script, "sh"])
            .arg(folder.path())
            .arg(format!("{MEGABYTES}m"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare is there");
        let mut line = String::new();
        let stdout = holder.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line).expect("text");
        assert_eq!(line, "mounted\n");
        Some(Self { holder, folder })
    }

    /// A command, where the disk is.
    fn inside(&self, command: &Command) -> Command {
        let mut inside = Command::new("nsenter");
        inside.args(["--mount", "--target", &self.holder.id().to_string(), "--"]);
        inside.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        inside
    }

    /// A file of it, as it is found from outside.
    fn file(&self, name: &str) -> PathBuf {
        let root = format!("/proc/{}/root", self.holder.id());
        let inside = self.folder.path().join(name);
        Path::new(&root).join(inside.strip_prefix("/").expect("an absolute path"))
    }

    fn store(&self) -> String {
        let store = self.folder.path().join("store");
        store.to_str().expect("a path of text").to_owned()
    }

    /// Takes all space, until the ballast is dropped.
    fn fill(&self) -> Ballast {
        let path = self.file("ballast");
        let ballast = File::create(&path).expect("a file on the small disk");
        let script = "cat /dev/zero >\"$1\" 2>/dev/null; test -s \"$1\"";
        let filled = Command::new("sh").args(["-c", script, "sh"]).arg(&path).status();
        assert!(filled.expect("sh is there").success());
        Ballast(ballast)
    }

    fn serve(&self, log: &Path) -> Server {
        Server::start_with(self.inside(&saldo(&["serve", "--store", &self.store()])), log)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

struct Ballast(File);

impl Drop for Ballast {
    fn drop(&mut self) {
        let emptied = self.0.set_len(0);
        debug_assert!(emptied.is_ok(), "{emptied:?}");
    }
}

/// Says what is the matter, and when to come again.
fn is_refused_for_space(answer: &Answer) -> bool {
    if answer.status < 300 {
        return false;
    }
    let problem = answer.json(503);
    let detail = problem["detail"].as_str().expect("text");
    assert!(detail.contains("no space left"), "{answer:?}");
    assert!(answer.retry_after.is_some(), "{answer:?}");
    true
}

/// Sends money, and knows what was acknowledged.
struct Payer {
    client: Client,
    from: String,
    to: String,
    random: Random,
    sum: i128,
}

impl Payer {
    fn one(&mut self) -> Value {
        let mut one = transaction(&self.random.uuid(), &self.from, &self.to, "CAD", 1);
        one["metadata"] = json!({"filler": "x".repeat(3_000)});
        one
    }

    /// Pays once. Whether there was space.
    fn pay(&mut self) -> bool {
        let body = self.one();
        let answer = self.client.post("/api/v1/transactions", &body);
        let paid = !is_refused_for_space(&answer);
        self.sum += i128::from(paid);
        paid
    }

    /// Pays many times at once. Whether there was space.
    fn pay_many(&mut self) -> bool {
        let many: Vec<_> = (0..200).map(|_| self.one()).collect();
        let body = json!({"atomic": true, "transactions": many});
        let paid = !is_refused_for_space(&self.client.post("/api/v1/transactions/batch", &body));
        self.sum += 200 * i128::from(paid);
        paid
    }

    fn check(&self) {
        assert_eq!(settled(&self.client, &self.to, "CAD"), self.sum);
    }
}

fn customer(client: &Client, name: &str) -> Answer {
    client.post("/api/v1/customers", &json!({"legalName": name}))
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        std::thread::yield_now();
    }
}

/// While the journal still has room, the keys of texts find none: then nobody is made whose name could not be read, and nobody
/// is erased whose key is still there.
fn fill_the_vault(disk: &SmallDisk, payer: &mut Payer, erased: &str) {
    let file = disk.file("store/texts.vault");
    let length = || std::fs::metadata(&file).expect("it is there").len();
    let mut made = 0;
    while !is_refused_for_space(&customer(&payer.client, "Ann")) {
        made += 1;
        assert!(made < 1_000, "keys take space");
    }
    let rest = length() % PAGE;
    assert!(rest == 0 || rest > PAGE - 56, "it is full: {} bytes", length());
    let erase = |payer: &Payer| payer.client.post(&format!("{erased}/erase"), &json!({}));
    assert!(is_refused_for_space(&erase(payer)));
    assert_eq!(payer.client.get(erased, &[]).json(200)["legalName"], "(erased)");
    assert!(payer.pay(), "the journal has room");
}

#[test]
fn on_a_full_disk_reads_go_on_and_writes_come_back_by_themselves() {
    let Some(disk) = SmallDisk::mount() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let (card, log) = (folder.path().join("card.json"), folder.path().join("log"));
    let card_path = card.to_str().expect("a path of text");
    let command = saldo(&["sandbox", "--store", &disk.store(), "--card", card_path]);
    let server = Server::start_with(disk.inside(&command), &log);
    let card = serde_json::from_slice(&std::fs::read(&card).expect("the card")).expect("JSON");
    let sandbox = Sandbox { server, card };
    let mut payer = Payer {
        client: sandbox.native(),
        from: sandbox.on_card("/accounts/external"),
        to: sandbox.on_card("/accounts/main"),
        random: Random(1),
        sum: 0,
    };
    let token = sandbox.on_card("/native/token");
    let at = |server: &Server| Client::to(&server.url).bearing(&token);
    assert!(sandbox.server.stop().0.success());

    let server = disk.serve(&log);
    payer.client = at(&server);
    assert!(payer.pay());
    let erased = customer(&payer.client, "Bea").json(201);
    let erased = format!("/api/v1/customers/{}", erased["id"].as_str().expect("an id"));
    let ballast = disk.fill();
    fill_the_vault(&disk, &mut payer, &erased);
    while payer.pay_many() {}
    while payer.pay() {}
    payer.check();
    assert!(is_refused_for_space(&customer(&payer.client, "Cid")));
    assert_eq!(payer.client.get("/healthz", &[]).status, 200);
    let ready = |payer: &Payer| payer.client.get("/readyz", &[]);
    let refused = ready(&payer);
    assert_eq!(refused.status, 503, "{}", refused.text);
    assert!(refused.text.contains("no space left"), "{}", refused.text);
    drop(ballast);
    until("it is ready again, though nobody writes", || {
        ready(&payer).status == 200
    });
    assert!(payer.pay(), "what is ready takes writes");
    payer.check();
    let erase = payer.client.post(&format!("{erased}/erase"), &json!({}));
    assert_eq!(erase.json(200)["legalName"], "(erased)");
    assert_eq!(customer(&payer.client, "Dee").json(201)["legalName"], "Dee");

    // Stopped and killed on a full disk: no snapshot is written, and it starts again all the same.
    let ballast = disk.fill();
    while payer.pay_many() {}
    let (status, said_then) = server.stop();
    assert!(status.success(), "{said_then}");
    let server = disk.serve(&log);
    payer.client = at(&server);
    payer.check();
    server.kill();
    let server = disk.serve(&log);
    payer.client = at(&server);
    payer.check();
    drop(ballast);
    until("writes come back", || payer.pay());
    payer.check();
    assert!(server.stop().0.success());
    let verified = disk
        .inside(&saldo(&["verify", "--store", &disk.store()]))
        .output();
    let verified = verified.expect("it starts");
    assert!(
        verified.status.success() && said(&verified).starts_with("OK"),
        "{}",
        said(&verified)
    );
}
