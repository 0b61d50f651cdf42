//! Where a copy goes to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ledger::{BookNo, Command, Position, Record, Subject};
use store::audit::Fed;
use store::{Mark, Outcome, SigningKeys, Store, StoreError, TextKey};
use tokio::time::{Instant, sleep};

use super::source::disk;
use crate::failure::Failure;
use crate::place::{Place, postgres_options};

/// How long the store may answer nothing before the copy stops.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long to wait before it is asked again.
const PAUSE: Duration = Duration::from_millis(100);

/// So many keys of texts are taken at once.
const KEYS: usize = 10_000;

type End = (Position, [u8; 32]);

/// A store that becomes a copy.
pub(in crate::cli) struct Destination {
    place: Place,
    store: Arc<dyn Store>,
    /// Where its books stand.
    ends: BTreeMap<BookNo, End>,
    /// How many records were taken now.
    pub(in crate::cli) taken: u64,
}

impl Destination {
    /// Opens the store, made if there is none.
    pub(in crate::cli) async fn open(place: &Place) -> Result<Self, Failure> {
        place.create().await?;
        let store = place.open_despite_mark().await?;
        let mut ends = BTreeMap::new();
        for no in (0..).map(BookNo) {
            match ask(|| store.digest(no)).await {
                Ok(end) => ends.insert(no, end),
                Err(StoreError::NoSuchBook(_)) => break,
                Err(error) => return Err(error.into()),
            };
        }
        Ok(Self {
            place: place.clone(),
            store,
            ends,
            taken: 0,
        })
    }

    pub(in crate::cli) fn is_empty(&self) -> bool {
        self.ends.values().all(|(position, _)| position.0 == 0)
    }

    pub(in crate::cli) async fn mark(&self) -> Result<Option<Mark>, Failure> {
        match &self.place {
            Place::Folder(folder) => {
                store_journal::mark(&*disk(folder, &self.place)?).map_err(|error| self.failed(&error))
            }
            Place::Postgres(url) => {
                let mark = store_postgres::mark(url, &postgres_options()).await;
                mark.map_err(|error| self.failed(&error))
            }
        }
    }

    /// Gives it the keys that sign tokens where it comes from.
    pub(in crate::cli) async fn take_signing_keys(&self, keys: SigningKeys) -> Result<(), Failure> {
        let own = self.store.signing_keys().await?;
        match self.store.replace_signing_keys(own, keys).await? {
            true => Ok(()),
            false => Err(self.failed(&"another process changed its signing keys")),
        }
    }

    /// Marks it as unfinished.
    pub(in crate::cli) async fn begin(&self, from: &str) -> Result<(), Failure> {
        let mark = Mark::Unfinished(from.to_owned());
        match &self.place {
            Place::Folder(folder) => {
                let disk = disk(folder, &self.place)?;
                store_journal::set_mark(&*disk, Some(&mark)).map_err(|error| self.failed(&error))
            }
            Place::Postgres(url) => {
                let set = store_postgres::set_mark(url, &postgres_options(), Some(&mark)).await;
                set.map_err(|error| self.failed(&error))
            }
        }
    }

    /// Closes it; it may be used now.
    pub(in crate::cli) async fn finish(self) -> Result<(), Failure> {
        self.store.close().await?;
        match &self.place {
            Place::Folder(folder) => store_journal::set_mark(&*disk(folder, &self.place)?, None)
                .map_err(|error| self.failed(&error)),
            Place::Postgres(url) => {
                let set = store_postgres::set_mark(url, &postgres_options(), None).await;
                set.map_err(|error| self.failed(&error))
            }
        }
    }

    /// Closes it as it is.
    pub(in crate::cli) async fn leave(self) {
        if let Err(error) = self.store.close().await {
            tracing::warn!(%error, "the store could not be closed");
        }
    }

    /// Checks records that are here already, and gives those that are not.
    pub(in crate::cli) fn missing(&self, fed: Vec<Fed>) -> Result<Vec<Fed>, Failure> {
        let mut missing = Vec::new();
        for one in fed {
            let (book, position) = (one.record.book, one.record.position);
            match self.ends.get(&book) {
                Some((here, digest)) if position == *here && *digest != one.digest => {
                    return Err(self.foreign());
                }
                Some((here, _)) if position <= *here => {}
                _ => missing.push(one),
            }
        }
        Ok(missing)
    }

    /// Takes records. Those of other books wait for those of the operator's that came before them, and the other way round.
    pub(in crate::cli) async fn take(&mut self, fed: Vec<Fed>) -> Result<(), Failure> {
        let mut groups: BTreeMap<BookNo, Vec<Fed>> = BTreeMap::new();
        for one in self.missing(fed)? {
            let operators = one.record.book == BookNo::OPERATOR;
            if groups.keys().any(|no| (*no == BookNo::OPERATOR) != operators) {
                self.adopt_all(&mut groups).await?;
            }
            groups.entry(one.record.book).or_default().push(one);
        }
        self.adopt_all(&mut groups).await
    }

    async fn adopt_all(&mut self, groups: &mut BTreeMap<BookNo, Vec<Fed>>) -> Result<(), Failure> {
        for (book, group) in std::mem::take(groups) {
            self.adopt(book, group).await?;
        }
        Ok(())
    }

    /// Takes records of one book, again when it is not known whether they were taken.
    async fn adopt(&mut self, book: BookNo, mut group: Vec<Fed>) -> Result<(), Failure> {
        let since = Instant::now();
        while let Some(last) = group.last() {
            let end = (last.record.position, last.digest);
            let records: Vec<Arc<Record>> = group.iter().map(|one| Arc::clone(&one.record)).collect();
            let error = match self.store.adopt(records).await {
                Ok(_) => {
                    self.taken += group.len() as u64;
                    self.ends.insert(book, end);
                    return Ok(());
                }
                Err(error @ (StoreError::Busy | StoreError::UnknownFate)) if since.elapsed() < PATIENCE => {
                    error
                }
                Err(error) => return Err(self.failed(&error)),
            };
            tracing::debug!(%error, "records are offered again");
            sleep(PAUSE).await;
            let here = ask(|| self.store.digest(book)).await?;
            if self.ends.get(&book).copied().unwrap_or_default() == here {
                continue;
            }
            let taken = group
                .iter()
                .position(|one| (one.record.position, one.digest) == here);
            let taken = taken.ok_or_else(|| self.foreign())?;
            self.taken += taken as u64 + 1;
            group.drain(..=taken);
            self.ends.insert(book, here);
        }
        Ok(())
    }

    /// Takes the keys of texts, and forgets those that were forgotten where they come from since an earlier copy.
    pub(in crate::cli) async fn take_text_keys(&self, keys: Vec<(Subject, TextKey)>) -> Result<(), Failure> {
        let there: BTreeSet<_> = keys.iter().map(|(subject, _)| *subject).collect();
        let mut after = None;
        loop {
            let here = ask(|| self.store.all_text_keys(after, KEYS)).await?;
            let Some((last, _)) = here.last() else { break };
            after = Some(*last);
            for (subject, _) in here.iter().filter(|(subject, _)| !there.contains(subject)) {
                ask(|| self.store.forget_text_key(*subject)).await?;
            }
        }
        for some in keys.chunks(KEYS) {
            let kept = ask(|| self.store.keep_text_keys(some.to_vec())).await?;
            if !kept.iter().eq(some.iter().map(|(_, key)| key)) {
                return Err(self.foreign());
            }
        }
        Ok(())
    }

    /// Does what is to be done again.
    pub(in crate::cli) async fn submit(&self, commands: Vec<Command>) -> Result<(), Failure> {
        for outcome in self.store.submit(commands).await {
            match outcome? {
                Outcome::Recorded(record) | Outcome::Replayed(record) if record.outcome.is_ok() => {}
                other => return Err(self.failed(&format!("a command was not taken again: {other:?}"))),
            }
        }
        Ok(())
    }

    /// Compares every book with where it comes from.
    pub(in crate::cli) async fn compare(
        &self,
        books: &[(BookNo, Position, [u8; 32])],
    ) -> Result<(), Failure> {
        for (book, position, digest) in books {
            match ask(|| self.store.digest(*book)).await {
                Ok(here) if here == (*position, *digest) => {}
                Ok(_) => return Err(self.foreign()),
                Err(error) => return Err(error.into()),
            }
        }
        match self.ends.keys().next_back() {
            Some(last) if books.last().is_none_or(|(no, ..)| last > no) => Err(self.foreign()),
            _ => Ok(()),
        }
    }

    /// Whether a store that says this of its books has all that is here.
    pub(in crate::cli) fn is_within(&self, books: &[(BookNo, Position, [u8; 32])]) -> bool {
        let there: BTreeMap<_, _> = books.iter().map(|(no, position, _)| (*no, *position)).collect();
        let has = |(no, (position, _)): (&BookNo, &End)| there.get(no).is_some_and(|there| there >= position);
        self.ends.iter().all(has)
    }

    pub(in crate::cli) fn foreign(&self) -> Failure {
        Failure::new(format!(
            "{} has records that are not those of the store to be copied; name a place that is empty, or that holds an \
             earlier copy which was not used since",
            self.place
        ))
    }

    fn failed(&self, error: &dyn std::fmt::Display) -> Failure {
        Failure::while_doing(&format!("writing the copy in {}", self.place), error)
    }
}

/// Asks again while the store is busy.
async fn ask<'a, T>(mut ask: impl FnMut() -> store::Answer<'a, T>) -> Result<T, StoreError> {
    let since = Instant::now();
    loop {
        match ask().await {
            Err(StoreError::Busy) if since.elapsed() < PATIENCE => sleep(PAUSE).await,
            answer => return answer,
        }
    }
}
