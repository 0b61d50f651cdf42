//! The key table's runs, and the links between records with one key, by what the records give.

use std::collections::HashMap;

use ledger::Record;

use super::VerifyError;
use crate::frozen::Frozen;
use crate::index::Hasher;
use crate::log::run::{RunError, load_run, run_name};
use crate::log::{Locator, Span};
use crate::open::OpenError;

/// Collects the pairs of a segment, and compares them with its run when the next one begins.
pub(super) struct Runs<'a> {
    files: &'a Frozen,
    /// Those that have a run: all but the last.
    sealed: std::vec::IntoIter<Span>,
    current: Option<Span>,
    /// Every pair of the segment, also those that newer ones replaced.
    all: Vec<(u64, Locator)>,
    /// Those that must be in its run: of keys that repeat, the newest alone.
    unique: Vec<(u64, Locator)>,
    newest: HashMap<u64, Locator>,
    /// The newest record of each key that may repeat, in all segments so far.
    before: HashMap<u64, Locator>,
}

impl<'a> Runs<'a> {
    pub(super) fn new(files: &'a Frozen, mut spans: Vec<Span>) -> Self {
        spans.pop();
        let mut sealed = spans.into_iter();
        Self {
            files,
            current: sealed.next(),
            sealed,
            all: Vec::new(),
            unique: Vec::new(),
            newest: HashMap::new(),
            before: HashMap::new(),
        }
    }

    /// Takes the next record; answers whether it links to the records before it that have its keys.
    pub(super) fn take(
        &mut self,
        hasher: &Hasher,
        record: &Record,
        at: Locator,
        links: &[Option<Locator>],
    ) -> Result<bool, VerifyError> {
        while self.current.is_some_and(|span| span.end() <= at.get()) {
            self.finish()?;
        }
        let repeats = hasher.repeats(record);
        let mut right = true;
        for (hash, link) in repeats.iter().zip(links) {
            // Within one record a key may stand several times; what was before it counts for all of them.
            right &= self.before.get(hash).copied() == *link;
        }
        self.before.extend(repeats.iter().map(|hash| (*hash, at)));
        if self.current.is_some() {
            self.unique
                .extend(hasher.unique(record).into_iter().map(|hash| (hash, at)));
            self.all.extend(repeats.iter().map(|hash| (*hash, at)));
            self.newest.extend(repeats.into_iter().map(|hash| (hash, at)));
        }
        Ok(right)
    }

    /// Compares what was collected with the segment's run, if it has one yet.
    fn finish(&mut self) -> Result<(), VerifyError> {
        let Some(span) = std::mem::replace(&mut self.current, self.sealed.next()) else {
            return Ok(());
        };
        let mut needed = std::mem::take(&mut self.unique);
        let mut all = std::mem::take(&mut self.all);
        all.extend(&needed);
        all.sort_unstable();
        needed.extend(std::mem::take(&mut self.newest));
        let file = run_name(span.number);
        let wrong = |what: &str| {
            Err(VerifyError::Derived {
                file: file.clone(),
                what: what.into(),
            })
        };
        let run = match load_run(self.files, &self.files.store, span.number) {
            Ok(run) => run,
            Err(RunError::Missing(_)) => return Ok(()),
            Err(RunError::Damaged { what, .. }) => return wrong(what),
            Err(RunError::Disk(error)) => return Err(OpenError::Disk(error).into()),
        };
        if !run.is_sorted() {
            return wrong("its pairs are not in order");
        }
        if let Some(nth) = run.iter().position(|pair| all.binary_search(pair).is_err()) {
            return wrong(&format!(
                "pair {nth} is of no record in {}",
                crate::log::segment::file_name(span.number)
            ));
        }
        if let Some((_, at)) = needed.iter().find(|pair| run.binary_search(pair).is_err()) {
            return wrong(&format!(
                "it does not lead to the record at byte {} of {}",
                at.get() - span.base,
                crate::log::segment::file_name(span.number)
            ));
        }
        Ok(())
    }

    /// Compares what is left.
    pub(super) fn end(mut self) -> Result<(), VerifyError> {
        while self.current.is_some() {
            self.finish()?;
        }
        Ok(())
    }
}
