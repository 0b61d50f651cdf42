//! Lists, read page by page.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::args::Pages;
use super::call::Call;
use super::failed::Failed;
use super::link::{Answer, Link};
use super::{print, show};

/// The most items that are asked for at once.
const PAGE: u64 = 1_000;

/// A page as the server sends it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page<'a> {
    #[serde(borrow)]
    items: Vec<&'a RawValue>,
    next_cursor: Option<String>,
}

/// Reads as much of a list as is wanted, and shows it.
pub(super) fn list(link: &Link, call: &Call, pages: &Pages, json: bool) -> Result<(), Failed> {
    let mut items: Vec<Box<RawValue>> = Vec::new();
    let mut cursor = pages.cursor.clone();
    let mut size = Some(PAGE);
    loop {
        let left = pages.most() - items.len() as u64;
        let answer = match ask(link, call, size.map(|size| size.min(left)), cursor.as_deref()) {
            // The server may take fewer at once; it says how many by what it sends unasked.
            Err(failed) if size.is_some() && items.is_empty() && failed.is_about("limit") => {
                size = None;
                continue;
            }
            answer => answer?,
        };
        let page: Page<'_> = serde_json::from_str(&answer.body)
            .map_err(|error| Failed::refused(format!("the answer is no list of Saldo's: {error}")))?;
        let last = page.next_cursor.is_none() || page.items.len() as u64 >= left;
        if json && last && items.is_empty() {
            return print(&format!("{}\n", answer.body));
        }
        size = size.or(Some(page.items.len() as u64));
        items.extend(page.items.into_iter().map(ToOwned::to_owned));
        cursor = page.next_cursor;
        if last {
            break;
        }
    }
    match json {
        true => print(&joined(&items, cursor.as_deref())),
        false => {
            if items.is_empty() {
                eprintln!("There are none.");
            }
            print(&show::list(&items, call.columns))?;
            if cursor.is_some() {
                eprintln!("There are more: --limit N or --all shows them.");
            }
            Ok(())
        }
    }
}

fn ask(link: &Link, call: &Call, limit: Option<u64>, cursor: Option<&str>) -> Result<Answer, Failed> {
    let limit = limit.map(|limit| ("limit", limit.to_string()));
    let cursor = cursor.map(|cursor| ("cursor", cursor.to_owned()));
    link.send(call, &limit.into_iter().chain(cursor).collect::<Vec<_>>())
}

/// Several pages as one.
fn joined(items: &[Box<RawValue>], cursor: Option<&str>) -> String {
    let items: Vec<_> = items.iter().map(|item| item.get()).collect();
    let next = cursor.map(|cursor| format!(",\"nextCursor\":{}", serde_json::Value::from(cursor)));
    format!(
        "{{\"items\":[{}]{}}}\n",
        items.join(","),
        next.unwrap_or_default()
    )
}
