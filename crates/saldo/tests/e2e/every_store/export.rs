//! `saldo export`: what accountants' tools read of a store in use is what the store says.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::home;
use crate::accounting::{beancount, hledger};
use crate::harness::{Client, Home, Random, Sandbox, run, said, transaction};

/// Account, asset and what is settled there, in minor units.
type Balances = BTreeMap<(String, String), i128>;

/// Posts what plain-text ledgers could stumble over.
fn stumbling_blocks(native: &Client, sandbox: &Sandbox) {
    let (external, main) = (
        sandbox.on_card("/accounts/external"),
        sandbox.on_card("/accounts/main"),
    );
    let mut random = Random(8);
    for (code, network, exponent) in [
        ("POINTS-", None, 0),
        ("POINTS", None, 3),
        ("Z", Some("a-b-c-d-e-f-g-h"), 12),
    ] {
        let mut asset = json!({"code": code, "exponent": exponent, "kind": "custom"});
        if let Some(network) = network {
            asset["network"] = network.into();
        }
        native.post("/api/v1/assets", &asset).json(201);
        let name = network.map_or(code.to_owned(), |network| format!("{code}@{network}"));
        let mut one = transaction(&random.uuid(), &external, &main, &name, 1_234_567);
        for when in ["1999-12-31T23:59:59.999999Z", "2031-01-01T00:00:00Z"] {
            one["id"] = random.uuid().into();
            one["effectiveAt"] = when.into();
            one["reference"] = "INV ; \" = 7 @ {x}\n* \\".into();
            native.post("/api/v1/transactions", &one).json(201);
        }
    }
    let post = |body: &Value| native.post("/api/v1/transactions", body).json(201);
    post(&transaction(&random.uuid(), &external, &main, "JPY", 5_000));
    let mut both = transaction(&random.uuid(), &external, &main, "JPY", 1);
    let more = json!({"from": main, "to": external, "asset": "USDC@ethereum", "amount": "1"});
    both["postings"]
        .as_array_mut()
        .expect("postings")
        .extend([more.clone(), more]);
    post(&transaction(&random.uuid(), &external, &main, "USDC@ethereum", 2));
    post(&both);
    let reversed = format!(
        "/api/v1/transactions/{}/reverse",
        both["id"].as_str().expect("an id")
    );
    native
        .post(&reversed, &json!({"postings": [{"index": 0, "amount": "1"}]}))
        .json(201);
    let mut hold = transaction(&random.uuid(), &main, &external, "JPY", 300);
    hold["hold"] = json!({});
    post(&hold);
    let captured = format!("/api/v1/holds/{}/capture", hold["id"].as_str().expect("an id"));
    native
        .post(&captured, &json!({"amount": "100", "final": false}))
        .json(201);
}

/// All that the store says of accounts that moved.
fn expected(native: &Client) -> Balances {
    let mut all = Balances::new();
    let mut page = "/api/v1/accounts?limit=100".to_owned();
    loop {
        let answer = native.get(&page, &[]).json(200);
        for account in answer["items"].as_array().expect("items") {
            let id = account["id"].as_str().expect("an id");
            let balances = native
                .get(&format!("/api/v1/accounts/{id}/balances"), &[])
                .json(200);
            for balance in balances["balances"].as_array().expect("balances") {
                let text = |name: &str| balance[name].as_str().expect("text").to_owned();
                let settled = text("settled").parse().expect("an integer");
                all.insert((id.to_owned(), text("asset")), settled);
            }
        }
        match answer["nextCursor"].as_str() {
            Some(cursor) => page = format!("/api/v1/accounts?limit=100&cursor={cursor}"),
            None => return all,
        }
    }
}

fn exponents(native: &Client) -> BTreeMap<String, usize> {
    let answer = native.get("/api/v1/assets?limit=1000", &[]).json(200);
    let assets = answer["items"].as_array().expect("items").iter();
    let exponent = |asset: &Value| {
        let code = asset["code"].as_str().expect("a code");
        let name = asset["network"]
            .as_str()
            .map_or(code.to_owned(), |network| format!("{code}@{network}"));
        (
            name,
            usize::try_from(asset["exponent"].as_u64().expect("a number")).expect("small"),
        )
    };
    assets.map(exponent).collect()
}

/// Minor units of a decimal, with the sign of what is owed turned into that of what somebody has.
fn minor(decimal: &str, exponent: usize) -> i128 {
    let (whole, part) = decimal.split_once('.').unwrap_or((decimal, ""));
    assert!(
        part.len() <= exponent,
        "{decimal} has more than {exponent} places"
    );
    -format!("{whole}{part:0<exponent$}")
        .parse::<i128>()
        .expect("digits")
}

fn export(home: &Home, format: &str, book: &str) -> std::path::PathBuf {
    let file = home.path().join(format!("book.{format}"));
    let done = run(&[
        "export",
        "--store",
        &home.store(),
        "--book",
        book,
        "--format",
        format,
        "--out",
        file.to_str().expect("text"),
    ]);
    assert!(done.status.success(), "{}", said(&done));
    file
}

/// The account ids behind names, and the asset behind commodities, as the file says them.
fn spoken(file: &Path, account: &str, between: &str) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(file).expect("the export");
    let joined = text
        .replace("\n  id: ", "  ; id: ")
        .replace("\n  asset: ", "  ; asset: ");
    let lines = joined.lines().filter_map(|line| line.split_once(account));
    lines
        .filter_map(|(_, rest)| rest.split_once(between))
        .map(|(name, id)| (name.trim().to_owned(), id.trim_matches('"').to_owned()))
        .collect()
}

fn output(mut command: Command) -> String {
    let output = command.output().expect("it starts");
    assert!(output.status.success(), "{command:?}: {}", said(&output));
    String::from_utf8(output.stdout).expect("text")
}

/// What hledger says, which was checked to be strictly right.
fn by_hledger(program: &str, file: &Path, exponents: &BTreeMap<String, usize>) -> Balances {
    let hledger = |arguments: &[&str]| {
        let mut command = Command::new(program);
        command.arg("-f").arg(file).args(arguments);
        output(command)
    };
    hledger(&["check", "--strict"]);
    let ids = spoken(file, "account ", "  ; id: ");
    let mut all = Balances::new();
    // One line for each account and commodity.
    for line in hledger(&["balance", "--flat", "--empty", "--layout=bare", "-O", "csv"])
        .lines()
        .skip(1)
    {
        // A commodity that is quoted in the journal has its quotes twice here.
        let line = line.replace("\"\"", "");
        let cells: Vec<_> = line.trim_matches('"').split("\",\"").collect();
        let [account, asset, value] = cells[..] else {
            panic!("{line}")
        };
        if account != "total" {
            all.insert(
                (ids[account].clone(), asset.to_owned()),
                minor(value, exponents[asset]),
            );
        }
    }
    all
}

/// What beancount says, which finds no error.
fn by_beancount(python: &Path, file: &Path, exponents: &BTreeMap<String, usize>) -> Balances {
    const SCRIPT: &str = "
import sys, collections
from beancount import loader
from beancount.core import data
entries, errors, _ = loader.load_file(sys.argv[1])
if errors:
    sys.exit('\\n'.join(str(error) for error in errors))
sums = collections.defaultdict(int)
for entry in entries:
    if isinstance(entry, data.Transaction):
        for posting in entry.postings:
            sums[posting.account, posting.units.currency] += posting.units.number
for (account, currency), number in sums.items():
    print(account, currency, format(number, 'f'))
";
    let mut command = Command::new(python);
    command.arg("-c").arg(SCRIPT).arg(file);
    let said = output(command);
    let (ids, assets) = (
        spoken(file, " open ", "  ; id: "),
        spoken(file, " commodity ", "  ; asset: "),
    );
    let mut all = Balances::new();
    for line in said.lines() {
        let cells: Vec<_> = line.split(' ').collect();
        let [account, commodity, value] = cells[..] else {
            panic!("{line}")
        };
        let asset = &assets[commodity];
        all.insert(
            (ids[account].clone(), asset.clone()),
            minor(value, exponents[asset]),
        );
    }
    all
}

#[test]
fn hledger_and_beancount_read_the_same_balances() {
    let home = home();
    let sandbox = home.sandbox();
    let native = sandbox.native();
    stumbling_blocks(&native, &sandbox);
    let (mut expected, exponents) = (expected(&native), exponents(&native));
    // While the server runs.
    if let Some(program) = hledger() {
        let found = by_hledger(&program, &export(&home, "hledger", "1"), &exponents);
        assert!(found.len() > 20, "{found:?}");
        // An account that was only reserved on has moved nothing.
        expected.retain(|place, settled| *settled != 0 || found.contains_key(place));
        assert_eq!(found, expected);
    }
    if let Some(python) = beancount() {
        let mut found = by_beancount(&python, &export(&home, "beancount", "1"), &exponents);
        found.retain(|place, _| expected.contains_key(place));
        let mut expected = expected;
        expected.retain(|place, settled| *settled != 0 || found.contains_key(place));
        assert_eq!(found, expected);
    }
    let root = native.get("/api/v1/clients", &[]).json(200)["items"][0]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let by_root = std::fs::read(export(&home, "beancount", &root)).expect("the export");
    assert_eq!(
        by_root,
        std::fs::read(export(&home, "beancount", "1")).expect("the export")
    );
    let text = String::from_utf8(by_root).expect("text");
    assert!(!text.contains("INV"), "references are not in it");
    for wrong in ["0", "7"] {
        let refused = run(&[
            "export",
            "--store",
            &home.store(),
            "--book",
            wrong,
            "--format",
            "hledger",
        ]);
        assert!(
            !refused.status.success() && said(&refused).contains("no such book"),
            "{}",
            said(&refused)
        );
    }
}
