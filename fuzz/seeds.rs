//! Makes `fuzz/seeds`, where targets begin: records and frames of the tests' random streams, requests of the OpenAPI document.

use std::collections::HashSet;
use std::fmt::Write;
use std::path::Path;

use ledger::{Micros, encode};
use saldo_fuzz::log_of;
use serde_json::Value;
use store::Outcome;
use store::model::Model;
use store::suite::stream;

fn main() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    let records = records();
    save(&seeds.join("record"), &records);
    let frames: Vec<_> = records.chunks(3).take(2).map(<[_]>::to_vec).collect();
    let (_, segment) = log_of(&frames).0.content().swap_remove(0);
    let used = segment.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
    save(&seeds.join("frames"), &[segment[64..used].to_vec()]);
    save(&seeds.join("requests"), &requests());
}

fn save(folder: &Path, all: &[Vec<u8>]) {
    std::fs::create_dir_all(folder).expect("a folder");
    for (nth, bytes) in all.iter().enumerate() {
        std::fs::write(folder.join(format!("{nth:03}")), bytes).expect("it is written");
    }
}

/// A record of each action, booked and refused in each way.
fn records() -> Vec<Vec<u8>> {
    let (mut records, mut seen) = (Vec::new(), HashSet::new());
    for seed in 1..40 {
        let model = Model::new(|| Micros::MAX);
        for command in stream(seed, 200).into_iter().flatten() {
            let Ok(Outcome::Recorded(record)) = model.take(&command) else {
                continue;
            };
            let kind = std::mem::discriminant(&record.action);
            let outcome = record
                .outcome
                .as_ref()
                .map(|_| ())
                .map_err(|refused| refused.code);
            let mut bytes = Vec::new();
            encode(&record, &mut bytes);
            if bytes.len() <= 400 && seen.insert((kind, format!("{outcome:?}"))) {
                records.push(bytes);
            }
        }
    }
    records
}

/// A request of each operation of the document, with each of its bodies.
fn requests() -> Vec<Vec<u8>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    let document = std::fs::read(file).expect("the document");
    let document: Value = serde_json::from_slice(&document).expect("JSON");
    let mut requests = Vec::new();
    for (path, operations) in document["paths"].as_object().expect("paths") {
        for (method, operation) in operations.as_object().expect("operations") {
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let (mut target, mut query) = (path.clone(), String::new());
            for parameter in &parameters {
                let name = parameter["name"].as_str().unwrap_or_default();
                match parameter["in"].as_str() {
                    Some("path") => {
                        let id = "0190163d-8694-739b-aea5-966c26f8ad90";
                        target = target.replace(&format!("{{{name}}}"), id);
                    }
                    Some("query") => {
                        let _ = write!(query, "{}{name}=1", if query.is_empty() { "?" } else { "&" });
                    }
                    _ => {}
                }
            }
            let head = format!(
                "{} {target}{query}\nContent-Type: application/json\nIdempotency-Key: k\n\n",
                method.to_uppercase()
            );
            let plain = head.replace(&query, "");
            let media = &operation["requestBody"]["content"]["application/json"];
            let bodies: Vec<_> = match media["examples"].as_object() {
                Some(examples) => examples
                    .values()
                    .map(|example| example["value"].to_string())
                    .collect(),
                None if media["example"].is_null() => vec![String::new()],
                None => vec![media["example"].to_string()],
            };
            requests.extend(bodies.iter().map(|body| (plain.clone() + body).into_bytes()));
            if !query.is_empty() {
                requests.push(head.into_bytes());
            }
        }
    }
    requests
}
