//! `saldo backup` and `saldo restore`: of a store in use and killed, to its end and to moments before, to a folder and a database.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{
    Client, Home, Random, Sandbox, Server, run, said, saldo, setting, settled, transaction,
};

/// Nothing else in the sandbox is counted in it.
const ASSET: &str = "CAD";

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

/// A store with its backup beside.
pub(crate) struct Kept {
    pub(crate) home: Home,
    /// The backup's folder.
    pub(crate) to: PathBuf,
    vault: PathBuf,
}

impl Kept {
    fn new() -> Self {
        Self::beside(Home::in_a_folder())
    }

    pub(crate) fn beside(home: Home) -> Self {
        let (to, vault) = (home.path().join("backup"), home.path().join("backup.vault"));
        Self { home, to, vault }
    }

    /// What `saldo` is told to back it up.
    pub(crate) fn arguments(&self) -> [String; 8] {
        let (to, vault) = (text(&self.to).to_owned(), text(&self.vault).to_owned());
        let store = self.home.store();
        [
            "backup".into(),
            "--json".into(),
            "--store".into(),
            store,
            "--to".into(),
            to,
            "--vault-to".into(),
            vault,
        ]
    }

    pub(crate) fn back_up(&self) -> Value {
        let arguments = self.arguments();
        let done = run(&arguments.each_ref().map(String::as_str));
        assert!(done.status.success(), "{}", said(&done));
        serde_json::from_slice(&done.stdout).expect("JSON")
    }

    /// A backup that is killed after some moment.
    fn back_up_in_part(&self, moment: Duration) {
        let arguments = self.arguments();
        let mut command = saldo(&arguments.each_ref().map(String::as_str));
        let mut backup = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let (_alive, never) = channel::<()>();
        assert_eq!(never.recv_timeout(moment), Err(RecvTimeoutError::Timeout));
        backup.kill().expect("SIGKILL");
        backup.wait().expect("it ends");
    }

    /// Proves the backup; answers its books.
    pub(crate) fn check(&self) -> Value {
        let (from, vault) = (text(&self.to), text(&self.vault));
        let output = run(&["backup", "verify", "--json", "--from", from, "--vault", vault]);
        assert!(output.status.success(), "{}", said(&output));
        let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        report["books"].clone()
    }

    fn restore(&self, to: &str, more: &[&str]) -> Output {
        let (from, vault) = (text(&self.to), text(&self.vault));
        run(&[&["restore", "--from", from, "--to", to, "--vault", vault], more].concat())
    }

    fn restored(&self, to: &str, more: &[&str]) {
        let output = self.restore(to, more);
        assert!(
            output.status.success() && said(&output).starts_with("OK"),
            "{}",
            said(&output)
        );
    }

    fn place(&self, name: &str) -> String {
        text(&self.home.path().join(name)).to_owned()
    }
}

/// Every book with its position and digest, of a store that is well.
pub(crate) fn books(store: &str) -> Value {
    let output = run(&["verify", "--json", "--store", store]);
    let report: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(&output)));
    assert_eq!(report["ok"], true, "{report}");
    report["books"].clone()
}

fn accounts(sandbox: &Sandbox) -> (String, String) {
    (
        sandbox.on_card("/accounts/external"),
        sandbox.on_card("/accounts/main"),
    )
}

/// Posts batches until it is told to stop, or the server is gone; answers how many batches were acknowledged.
fn post(native: &Client, seed: u64, (external, main): &(String, String), stop: &AtomicBool) -> u64 {
    let mut random = Random(seed);
    let mut acknowledged = 0;
    while !stop.load(Ordering::Acquire) {
        let all: Vec<_> = (0..100)
            .map(|_| transaction(&random.uuid(), external, main, ASSET, 1))
            .collect();
        let body = json!({"transactions": all}).to_string();
        match native.try_post("/api/v1/transactions/batch", &[], &body) {
            Some(answer) if answer.status == 200 => acknowledged += 100,
            _ => return acknowledged,
        }
    }
    acknowledged
}

#[test]
fn of_a_store_under_load_that_is_killed_as_the_backups_are() {
    let kept = Kept::new();
    let mut random = Random(setting("SALDO_TEST_SEED", 1));
    for round in 0..setting("SALDO_TEST_KILLS", 20).div_ceil(5) {
        let sandbox = kept.home.sandbox();
        let (native, accounts) = (sandbox.native(), accounts(&sandbox));
        let before = settled(&native, &accounts.1, ASSET);
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let posting = scope.spawn(|| post(&native, 1_000 + round, &accounts, &stop));
            let whole = kept.back_up();
            assert_eq!(whole["ok"], true, "{whole}");
            kept.back_up_in_part(Duration::from_millis(random.below(80)));
            let there = kept.check();
            assert!(there.as_array().is_some_and(|books| books.len() == 2), "{there}");
            if round % 2 == 0 {
                sandbox.server.signal(rustix::process::Signal::KILL);
            } else {
                stop.store(true, Ordering::Release);
            }
            assert!(posting.join().expect("it ends") > 0, "nothing was posted");
        });
        drop(sandbox);
        kept.back_up();
        assert_eq!(kept.check(), books(&kept.home.store()));
        let to = kept.place(&format!("restored-{round}"));
        kept.restored(&to, &[]);
        assert_eq!(books(&to), books(&kept.home.store()));
        println!("round {round}: {before} and more");
    }
    let database = Home::in_a_database();
    kept.restored(&database.store(), &[]);
    assert_eq!(books(&database.store()), books(&kept.home.store()));
}

#[test]
fn a_restored_store_goes_on_from_any_point() {
    let kept = Kept::new();
    let sandbox = kept.home.sandbox();
    let (native, (external, main)) = (sandbox.native(), accounts(&sandbox));
    let token = sandbox.on_card("/native/token");
    let mut random = Random(5);
    let mut sent = Vec::new();
    for amount in 1..=20 {
        let one = transaction(&random.uuid(), &external, &main, ASSET, amount);
        let answer = native.post("/api/v1/transactions", &one);
        let recorded = answer.json(201)["recordedAt"]
            .as_str()
            .expect("a time")
            .to_owned();
        sent.push((one, answer.position.expect("a position"), recorded));
    }
    kept.back_up();
    sandbox.server.stop();
    let sum = |count: usize| (1..=count as i128).sum::<i128>();
    for (name, count, by_time) in [("at-a-position", 7, false), ("at-a-time", 13, true)] {
        let (_, position, time) = &sent[count - 1];
        let point = match by_time {
            true => ["--at-time".to_owned(), time.clone()],
            false => ["--at-position".to_owned(), format!("1:{position}")],
        };
        let to = kept.place(name);
        kept.restored(&to, &point.each_ref().map(String::as_str));
        assert_eq!(books(&to)[1]["position"], position.to_string());
        let server = Server::start(&["serve", "--store", &to], kept.home.path());
        let native = Client::to(&server.url).bearing(&token);
        assert_eq!(settled(&native, &main, ASSET), sum(count));
        // What was done before the point is known, and what came after it never was.
        let (last, _, _) = &sent[count - 1];
        assert!(native.post("/api/v1/transactions", last).replayed);
        let (next, next_position, _) = &sent[count];
        let answer = native.post("/api/v1/transactions", next);
        assert_eq!(
            (answer.status, answer.replayed, answer.position),
            (201, false, Some(*next_position))
        );
        assert_eq!(settled(&native, &main, ASSET), sum(count + 1));
        server.stop();
        books(&to);
    }
    let late = kept.restore(&kept.place("late"), &["--at-position", "1:1000000"]);
    assert!(said(&late).contains("its last is"), "{}", said(&late));
    let nowhere = kept.restore(&kept.place("nowhere"), &["--at-position", "9:1"]);
    assert!(said(&nowhere).contains("no book 9"), "{}", said(&nowhere));
}

#[test]
fn names_need_the_vault_and_stay_erased() {
    let kept = Kept::new();
    let sandbox = kept.home.sandbox();
    let path = format!("/api/v1/customers/{}", sandbox.on_card("/conduit/customerId"));
    let token = sandbox.on_card("/native/token");
    let customer = sandbox.native().get(&path, &[]).json(200);
    let before = kept.back_up()["books"][1]["position"]
        .as_str()
        .expect("a position")
        .to_owned();
    // Without the vault the money is there, and the store waits for it.
    let (from, to) = (text(&kept.to).to_owned(), kept.place("restored"));
    let half = run(&["restore", "--from", &from, "--to", &to]);
    assert!(
        half.status.success() && said(&half).contains("--vault FILE"),
        "{}",
        said(&half)
    );
    let refused = run(&["serve", "--listen", "127.0.0.1:0", "--store", &to]);
    assert!(
        !refused.status.success() && said(&refused).contains("unfinished"),
        "{}",
        said(&refused)
    );
    kept.restored(&to, &[]);
    let server = Server::start(&["serve", "--store", &to], kept.home.path());
    let read = |server: &Server| Client::to(&server.url).bearing(&token).get(&path, &[]).json(200);
    assert_eq!(read(&server), customer);
    server.stop();

    sandbox
        .native()
        .post(&format!("{path}/erase"), &json!({}))
        .json(200);
    let old = std::fs::read(&kept.vault).expect("the vault");
    kept.back_up();
    sandbox.server.stop();
    for (name, point) in [
        ("later", vec![]),
        ("earlier", vec!["--at-position".to_owned(), format!("1:{before}")]),
    ] {
        let to = kept.place(name);
        kept.restored(&to, &point.iter().map(String::as_str).collect::<Vec<_>>());
        let server = Server::start(&["serve", "--store", &to], kept.home.path());
        assert_eq!(read(&server)["legalName"], "(erased)", "{name}");
        server.stop();
        books(&to);
    }
    // A vault that is older than the books, or another store's, is found out.
    let sandbox = kept.home.sandbox();
    sandbox
        .native()
        .post("/api/v1/customers", &json!({"legalName": "Mary"}))
        .json(201);
    sandbox.server.stop();
    kept.back_up();
    std::fs::write(&kept.vault, old).expect("it is written");
    let refused = kept.restore(&kept.place("wrong"), &[]);
    assert!(
        !refused.status.success() && said(&refused).contains("older than the books"),
        "{}",
        said(&refused)
    );
    let other = Home::in_a_folder();
    other.sandbox().server.stop();
    std::fs::copy(other.path().join("store/texts.vault"), &kept.vault).expect("it is copied");
    let refused = kept.restore(&kept.place("wrong"), &[]);
    assert!(
        !refused.status.success() && said(&refused).contains("another store"),
        "{}",
        said(&refused)
    );
}

#[test]
fn what_is_no_whole_backup_is_refused() {
    let kept = Kept::new();
    kept.home.sandbox().server.stop();
    kept.back_up();
    // Not over anything that is there.
    let refused = kept.restore(&kept.home.store(), &[]);
    assert!(
        !refused.status.success() && said(&refused).contains("already"),
        "{}",
        said(&refused)
    );
    let mine = kept.home.path().join("mine");
    std::fs::create_dir(&mine).expect("a folder");
    std::fs::write(mine.join("thesis.txt"), "dear diary").expect("a file");
    for refused in [
        kept.restore(text(&mine), &[]),
        run(&["backup", "--store", &kept.home.store(), "--to", text(&mine)]),
        run(&[
            "backup",
            "--store",
            &kept.home.store(),
            "--to",
            &kept.home.store(),
        ]),
    ] {
        assert!(
            !refused.status.success() && said(&refused).contains("other things"),
            "{}",
            said(&refused)
        );
    }
    assert_eq!(std::fs::read_dir(&mine).expect("it is there").count(), 1);
    let nothing = run(&["restore", "--from", text(&mine), "--to", &kept.place("to")]);
    assert!(said(&nothing).contains("no backup here"), "{}", said(&nothing));
    // A byte that flipped.
    let files = std::fs::read_dir(&kept.to).expect("the backup");
    let names = files.map(|file| file.expect("a file").file_name().to_string_lossy().into_owned());
    let name = names
        .into_iter()
        .find(|name| name.starts_with("segment-"))
        .expect("a segment");
    let mut bytes = std::fs::read(kept.to.join(&name)).expect("it is read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(kept.to.join(&name), bytes).expect("it is written");
    let to = kept.place("to");
    let (from, vault) = (text(&kept.to).to_owned(), text(&kept.vault).to_owned());
    for refused in [
        kept.restore(&to, &[]),
        run(&["backup", "verify", "--from", &from, "--vault", &vault]),
    ] {
        assert!(
            !refused.status.success() && said(&refused).contains(&name),
            "{}",
            said(&refused)
        );
    }
    assert!(!Path::new(&to).exists(), "nothing was made of it");
    // A database has its own.
    let refused = run(&[
        "backup",
        "--store",
        "postgres://nobody@127.0.0.1:1/none",
        "--to",
        &from,
    ]);
    assert!(
        !refused.status.success() && said(&refused).contains("pg_basebackup"),
        "{}",
        said(&refused)
    );
}
