//! Totals don't drift while money moves between what they are totals of.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::{Value, json};

use super::home;

const MOVERS: u64 = 8;
const LOOKS: usize = 1_000;

/// Stops the movers, also when a look fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_total_never_drifts_while_eight_clients_move_money() {
    let home = home();
    let sandbox = home.sandbox();
    let reader = sandbox.conduit();
    let look = || reader.get("/clients/accounts", &[]).json(200);
    let first = look();
    let accounts: Vec<_> = first["data"]
        .as_array()
        .expect("data")
        .iter()
        .map(|row| row["accountId"].as_str().expect("an id").to_owned())
        .collect();
    let [one, other] = &accounts[..] else {
        panic!("{first}")
    };

    let (stop, moved) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for mover in 0..MOVERS {
            let (native, stop, moved) = (sandbox.native(), &stop, &moved);
            scope.spawn(move || {
                for nth in mover.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let (from, to) = if nth % 2 == 0 { (one, other) } else { (other, one) };
                    let posting =
                        json!({"from": from, "to": to, "asset": "EUR", "amount": (nth % 97 + 1).to_string()});
                    native
                        .post("/api/v1/transactions", &json!({"postings": [posting]}))
                        .json(201);
                    moved.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let _stop = Stop(&stop);
        let mut seen = std::collections::HashSet::new();
        for _ in 0..LOOKS {
            let now = look();
            assert_eq!(now["totalBalances"], first["totalBalances"]);
            seen.insert(euros(&now["data"][0]));
        }
        assert!(seen.len() > 1, "nothing moved while it was looked at");
    });
    assert!(moved.into_inner() >= MOVERS);
}

fn euros(row: &Value) -> String {
    let available = row["balances"]["available"].as_array().expect("available");
    let euros = available.iter().find(|element| element["asset"] == "EUR");
    euros.expect("euros")["amount"].as_str().expect("text").to_owned()
}
