//! Going through lists page by page.

use crate::{Answer, Listed, Page};

/// All items of a list, got in pages of `limit`.
///
/// # Panics
/// When a page is too long, or empty before the end, or when there is no end.
pub async fn walk<'a, T>(limit: usize, ask: impl Fn(Page) -> Answer<'a, Listed<T>>) -> Vec<T> {
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let part = ask(Page { limit, after }).await.expect("a list is read");
        assert!(
            part.items.len() <= limit,
            "a page of {} has {} items",
            limit,
            part.items.len()
        );
        assert!(
            !part.items.is_empty() || part.next.is_none(),
            "an empty page before the end"
        );
        all.extend(part.items);
        assert!(all.len() < 1_000_000, "a list without end");
        match part.next {
            Some(next) => after = Some(next),
            None => return all,
        }
    }
}
