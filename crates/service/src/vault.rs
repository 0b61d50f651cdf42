//! Keys of texts as the service uses them: looked up where a text is shown, made where one is written first.

use std::sync::Arc;

use ledger::{AccountId, BookNo, ClientId, Lookup, Map, Micros, Owner, Position, Purpose, Subject};
use parking_lot::RwLock;
use store::TextKey;

use crate::cipher::{BookKeys, PartyKey, random};
use crate::problem::Problem;
use crate::{Caller, Service};

/// For so long, in microseconds, keys of parties are used without looking again: one may be erased on another server.
const KEEP: i64 = 5_000_000;
/// So many keys, books and owners are kept; then it is begun anew. A key takes 700 bytes at most, with the name that it opened.
const MOST: usize = 100_000;
/// So many accounts are looked up at once: others wait for that.
const AT_ONCE: usize = 256;

/// The keys of some parties, as far as they are not gone; each once, in the order of the parties.
#[derive(Default)]
pub(crate) struct Keys(Vec<(Subject, Arc<PartyKey>)>);

impl FromIterator<(Subject, Arc<PartyKey>)> for Keys {
    fn from_iter<T: IntoIterator<Item = (Subject, Arc<PartyKey>)>>(keys: T) -> Self {
        let mut keys: Vec<_> = keys.into_iter().collect();
        keys.sort_unstable_by_key(|(party, _)| *party);
        keys.dedup_by_key(|(party, _)| *party);
        Self(keys)
    }
}

impl Keys {
    pub(crate) fn get(&self, party: Subject) -> Option<&PartyKey> {
        let at = self.0.binary_search_by_key(&party, |(party, _)| *party).ok()?;
        Some(&self.0[at].1)
    }
}

#[derive(Default)]
struct Parties {
    keys: Map<Subject, Option<Arc<PartyKey>>>,
    /// None of them was looked up before.
    since: Micros,
    /// How often something was erased: what was looked up before that is not kept.
    erased: u64,
}

impl Parties {
    /// Whether they are used without looking again. A clock that was set back says nothing about an age.
    fn are_fresh(&self, now: Micros) -> bool {
        (0..KEEP).contains(&now.0.saturating_sub(self.since.0))
    }

    /// Begins anew where that is due, and gives those that were here: to drop many takes a while, for which nobody should wait.
    fn renew(&mut self, now: Micros) -> Map<Subject, Option<Arc<PartyKey>>> {
        // Another request may have begun anew a moment later than this one looked at the clock.
        let due = now.0.abs_diff(self.since.0) >= KEEP.unsigned_abs();
        if !due && self.keys.len() < MOST {
            return Map::default();
        }
        self.since = now;
        std::mem::take(&mut self.keys)
    }
}

/// A book with its root client.
type RootedBook = (BookNo, Option<ClientId>);

/// What is remembered of the store's vault, and of whose accounts are.
#[derive(Default)]
pub(crate) struct Vault {
    parties: RwLock<Parties>,
    /// A book's key is never erased. After a failover that lost a new book its number is given out again: that one has another
    /// root client, and another key.
    books: RwLock<Map<RootedBook, Arc<BookKeys>>>,
    /// An account never changes its owner or purpose.
    owners: RwLock<Map<(BookNo, AccountId), (Owner, Purpose)>>,
}

fn keep<K: Eq + std::hash::Hash, V>(kept: &mut Map<K, V>, key: K, value: V) {
    if kept.len() >= MOST {
        kept.clear();
    }
    kept.insert(key, value);
}

impl Service {
    /// The keys of these parties.
    pub(crate) async fn text_keys(&self, parties: &[Subject]) -> Result<Keys, Problem> {
        let now = self.clock.now();
        let mut keys = Vec::with_capacity(parties.len());
        let mut missing = Vec::new();
        let erased = {
            let known = self.vault.parties.read();
            let fresh = known.are_fresh(now);
            for party in parties {
                match known.keys.get(party).filter(|_| fresh) {
                    Some(key) => keys.extend(key.as_ref().map(|key| (*party, Arc::clone(key)))),
                    None => missing.push(*party),
                }
            }
            known.erased
        };
        if missing.is_empty() {
            return Ok(keys.into_iter().collect());
        }
        missing.sort_unstable();
        missing.dedup();
        let found = self.store.text_keys(missing.clone()).await?;
        let mut known = self.vault.parties.write();
        let old = known.renew(now);
        let is_current = known.erased == erased && known.since <= now;
        for (party, found) in missing.into_iter().zip(found) {
            let key = found.as_ref().map(|key| Arc::new(PartyKey::from(key)));
            if is_current {
                known.keys.insert(party, key.clone());
            }
            keys.extend(key.map(|key| (party, key)));
        }
        drop(known);
        drop(old);
        Ok(keys.into_iter().collect())
    }

    /// Makes the key of a party that is new. It is durable before anything is sealed under it.
    pub(crate) async fn make_text_key(&self, party: Subject) -> Result<Keys, Problem> {
        let new = vec![(party, TextKey(random()?))];
        let kept = self.store.keep_text_keys(new).await?;
        let key = kept.first().map(|key| Arc::new(PartyKey::from(key)));
        let mut known = self.vault.parties.write();
        keep(&mut known.keys, party, key.clone());
        Ok(key.map(|key| (party, key)).into_iter().collect())
    }

    /// Deletes the key of a party, everywhere but in the memory of other servers, and there within [`KEEP`].
    pub(crate) async fn forget_text_key(&self, party: Subject) -> Result<(), Problem> {
        self.store.forget_text_key(party).await?;
        let mut known = self.vault.parties.write();
        known.erased += 1;
        known.keys.remove(&party);
        Ok(())
    }

    /// What requests about the caller's book are hashed with.
    pub(crate) async fn book_keys(&self, caller: &Caller) -> Result<Arc<BookKeys>, Problem> {
        self.keys_of_book(caller.viewer.book, caller.root).await
    }

    /// What requests about the operator's book are hashed with, and the texts of all clients.
    pub(crate) async fn operator_keys(&self) -> Result<Arc<BookKeys>, Problem> {
        self.keys_of_book(BookNo::OPERATOR, None).await
    }

    async fn keys_of_book(&self, book: BookNo, root: Option<ClientId>) -> Result<Arc<BookKeys>, Problem> {
        if let Some(known) = self.vault.books.read().get(&(book, root)) {
            return Ok(Arc::clone(known));
        }
        let subject = Subject::book(book);
        let key = match self.text_key(subject).await? {
            Some(key) => key,
            None => self.first_key_of(book, subject).await?,
        };
        let keys = Arc::new(BookKeys::from(&key));
        keep(&mut self.vault.books.write(), (book, root), Arc::clone(&keys));
        Ok(keys)
    }

    /// Makes the key of a book, before its first command.
    async fn first_key_of(&self, book: BookNo, subject: Subject) -> Result<TextKey, Problem> {
        if self.store.position(book).await? == Position(0) {
            let new = vec![(subject, TextKey(random()?))];
            let kept = self.store.keep_text_keys(new).await?;
            let kept = kept.into_iter().next();
            return kept.ok_or_else(|| Problem::internal("the store kept no key of a book"));
        }
        // Another request may have made it, and written to the book, since it was looked for.
        let found = self.text_key(subject).await?;
        found.ok_or_else(|| Problem::internal(format!("{NO_KEY} (book {book})")))
    }

    async fn text_key(&self, subject: Subject) -> Result<Option<TextKey>, Problem> {
        let mut found = self.store.text_keys(vec![subject]).await?;
        Ok(found.pop().flatten())
    }

    /// Checks that the vault of keys belongs to the books: on a store that has any, their key must be there.
    ///
    /// # Errors
    /// What is missing and what to do; or the store failed.
    pub async fn check_vault(&self) -> Result<(), Problem> {
        if self.store.position(BookNo::OPERATOR).await? > Position(0) {
            self.operator_keys().await?;
        }
        Ok(())
    }

    /// What a text is found by in the caller's book.
    pub(crate) async fn lookup(
        &self,
        caller: &Caller,
        field: ledger::Field,
        text: Option<&str>,
    ) -> Result<Option<Lookup>, Problem> {
        match text {
            Some(text) => Ok(Some(self.book_keys(caller).await?.lookup(field, text))),
            None => Ok(None),
        }
    }

    /// Whose these accounts are and what for, as far as they are there.
    pub(crate) async fn account_owners(
        &self,
        book: BookNo,
        accounts: &[AccountId],
    ) -> Result<Map<AccountId, (Owner, Purpose)>, Problem> {
        let mut owners = Map::with_capacity_and_hasher(accounts.len(), Default::default());
        let mut missing = Vec::new();
        for some in accounts.chunks(AT_ONCE) {
            let known = self.vault.owners.read();
            for account in some {
                match known.get(&(book, *account)) {
                    Some(owner) => _ = owners.insert(*account, *owner),
                    None => missing.push(*account),
                }
            }
        }
        missing.sort_unstable();
        missing.dedup();
        if !missing.is_empty() {
            let found = self.store.account_owners(book, missing.clone()).await?;
            let mut known = self.vault.owners.write();
            for (account, owner) in missing.into_iter().zip(found) {
                if let Some(owner) = owner {
                    keep(&mut known, (book, account), owner);
                    owners.insert(account, owner);
                }
            }
        }
        Ok(owners)
    }
}

/// What is wrong when a book was written to and has no key.
const NO_KEY: &str = "the keys of names, labels and references are not those of these books: the key of a book is missing; \
                      restore them from the backup that belongs to these books";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_than_five_seconds_leaves_with_the_next_look() {
        let mut parties = Parties::default();
        let start = Micros(1_795_171_140_000_000);
        assert!(parties.renew(start).is_empty());
        parties.keys.insert(Subject(1), None);
        for (later, is_fresh, is_due) in [
            (0, true, false),
            (KEEP - 1, true, false),
            // A moment before, seen by a request that was slower: not used, and nobody else's loss.
            (-1, false, false),
            (KEEP, false, true),
            (-KEEP, false, true),
        ] {
            let now = start.plus(later);
            assert_eq!(parties.are_fresh(now), is_fresh, "{later}");
            let mut tried = Parties {
                keys: parties.keys.clone(),
                ..parties
            };
            let old = tried.renew(now);
            assert_eq!(
                (old.len(), tried.keys.len()),
                if is_due { (1, 0) } else { (0, 1) },
                "{later}"
            );
            assert_eq!(tried.since, if is_due { now } else { start }, "{later}");
        }
    }

    #[test]
    fn there_is_an_end_to_what_is_kept() {
        let mut parties = Parties::default();
        parties.renew(Micros(KEEP));
        parties
            .keys
            .extend((0..MOST).map(|party| (Subject(party as u128), None)));
        assert_eq!(parties.renew(Micros(KEEP + 1)).len(), MOST);
        assert!(parties.keys.is_empty());
    }
}
