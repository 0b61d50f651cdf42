//! The keys that sign tokens, as this server knows them, and putting a new one in their place.
//!
//! Other servers over the same store may have done that. So what is known is asked for again after [`KEEP`], and at once
//! when a token names a key that is not known: but no more often than after [`PAUSE`], whoever makes such names up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jsonwebtoken::{DecodingKey, EncodingKey};
use ledger::Micros;
use parking_lot::RwLock;
use store::{SIGNING_KEYS_MAX, SigningKey, SigningKeys, StoreError};

use crate::config::SECONDS_MAX;
use crate::problem::Problem;
use crate::{Caller, Service};

/// For so long the keys are used without looking again.
const KEEP: Duration = Duration::from_secs(5);

/// So long it is at least from one look to the next.
const PAUSE: Duration = Duration::from_millis(100);

/// For so long, in microseconds, a key is known that signs no more: no token works for longer than a day, and other servers
/// sign with it for a few seconds more.
const RETIRE: i64 = (SECONDS_MAX as i64 + 60) * 1_000_000;

/// So often it is tried again when others rotate at the same moment.
const TRIES: usize = 10;

/// A key that signs tokens, or did, as an answer shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKeyView {
    /// What tokens call it, in `kid`.
    pub id: String,
    /// When it was made.
    pub made_at: Micros,
    /// From when on none of its tokens is accepted; `None` for the one that signs.
    pub ends_at: Option<Micros>,
}

/// How tokens spell the id of a key.
pub(crate) fn spell(id: u64) -> String {
    format!("{id:016x}")
}

/// The id that a token spells.
pub(crate) fn parse(text: &str) -> Option<u64> {
    let id = u64::from_str_radix(text, 16).ok()?;
    (spell(id) == text).then_some(id)
}

/// A key that is ready to be used.
pub(crate) struct RingKey {
    pub(crate) id: u64,
    ends_at: Option<Micros>,
    pub(crate) signing: EncodingKey,
    pub(crate) verifying: DecodingKey,
}

impl From<&SigningKey> for RingKey {
    fn from(key: &SigningKey) -> Self {
        Self {
            id: key.id,
            ends_at: key.ends_at,
            signing: EncodingKey::from_secret(&key.secret),
            verifying: DecodingKey::from_secret(&key.secret),
        }
    }
}

/// The keys of a moment; the last one signs.
pub(crate) struct Ring(Vec<RingKey>);

impl Ring {
    fn new(keys: &SigningKeys) -> Self {
        Self(keys.all().iter().map(RingKey::from).collect())
    }

    pub(crate) fn newest(&self) -> &RingKey {
        self.0.last().expect("a store has a key that signs")
    }

    fn has(&self, id: u64) -> bool {
        self.0.iter().any(|key| key.id == id)
    }

    /// The key of this id, if its tokens are accepted at `now`.
    pub(crate) fn get(&self, id: u64, now: Micros) -> Option<&RingKey> {
        let is_live = |key: &&RingKey| key.ends_at.is_none_or(|end| now < end);
        self.0.iter().find(|key| key.id == id).filter(is_live)
    }
}

/// What is known of the keys.
#[derive(Default)]
pub(crate) struct Signing {
    /// The keys, and when they were asked for.
    known: RwLock<Option<(Arc<Ring>, Instant)>>,
    /// When it was last asked; held while it is, so that one asks for all who wait.
    asked: tokio::sync::Mutex<Option<Instant>>,
}

impl Signing {
    fn known_since(&self, since: Instant) -> Option<Arc<Ring>> {
        let known = self.known.read();
        let (ring, at) = known.as_ref()?;
        (*at >= since).then(|| Arc::clone(ring))
    }

    fn know(&self, keys: &SigningKeys, at: Instant) -> Arc<Ring> {
        let ring = Arc::new(Ring::new(keys));
        *self.known.write() = Some((Arc::clone(&ring), at));
        ring
    }

    /// The keys as they are at some moment after this call.
    async fn ask(
        &self,
        read: impl Future<Output = Result<SigningKeys, StoreError>>,
    ) -> Result<Arc<Ring>, Problem> {
        let called = Instant::now();
        let mut asked = self.asked.lock().await;
        // Somebody began to ask since.
        if let Some(ring) = self.known_since(called) {
            return Ok(ring);
        }
        if let Some(last) = *asked {
            tokio::time::sleep_until((last + PAUSE).into()).await;
        }
        let begun = Instant::now();
        *asked = Some(begun);
        Ok(self.know(&read.await?, begun))
    }
}

impl Service {
    /// The keys, as they were a few seconds ago or later.
    pub(crate) async fn signing_keys(&self) -> Result<Arc<Ring>, Problem> {
        let recently = Instant::now().checked_sub(KEEP);
        match recently.and_then(|since| self.signing.known_since(since)) {
            Some(ring) => Ok(ring),
            None => self.ask_signing_keys().await,
        }
    }

    /// The keys, with this one if the store has it.
    pub(crate) async fn signing_keys_with(&self, id: u64) -> Result<Arc<Ring>, Problem> {
        let ring = self.signing_keys().await?;
        match ring.has(id) {
            true => Ok(ring),
            false => self.ask_signing_keys().await,
        }
    }

    async fn ask_signing_keys(&self) -> Result<Arc<Ring>, Problem> {
        self.signing.ask(self.store.signing_keys()).await
    }

    /// Makes a new key, which signs tokens from now on, and answers with all keys, the newest last. Tokens of those before it
    /// work until they end, or, with `revoke_old`, no more. Other servers follow within seconds. Scope `operator`, and no book.
    ///
    /// # Errors
    /// [`Problem::BadRequest`] when too many are kept; or the store failed.
    pub async fn rotate_signing_key(
        &self,
        caller: &Caller,
        revoke_old: bool,
    ) -> Result<Vec<SigningKeyView>, Problem> {
        if !caller.is_operator() {
            return Err(Problem::missing_scope("operator"));
        }
        let (mut id, mut secret) = ([0; 8], [0; 32]);
        for random in [&mut id[..], &mut secret[..]] {
            getrandom::fill(random)
                .map_err(|error| Problem::internal(format!("no randomness for a key: {error}")))?;
        }
        let now = self.clock.now();
        let new = SigningKey::new(id, secret, now);
        // Nobody asks meanwhile, and brings back what is known no more.
        let _asking = self.signing.asked.lock().await;
        for _ in 0..TRIES {
            let begun = Instant::now();
            let old = self.store.signing_keys().await?;
            let keys = match old.newest().id == new.id {
                // An earlier try whose fate was not known.
                true => old,
                false => {
                    let until = (!revoke_old).then(|| now.plus(RETIRE));
                    let keys = old.rotated(new.clone(), until).ok_or_else(too_many)?;
                    if !self.store.replace_signing_keys(old, keys.clone()).await? {
                        continue;
                    }
                    keys
                }
            };
            self.signing.know(&keys, begun);
            return Ok(keys.all().iter().map(view).collect());
        }
        Err(Problem::Unavailable {
            retry_after: 1,
            detail:
                "other servers rotate the signing key at this moment; look whether it is still to be done"
                    .to_owned(),
        })
    }
}

fn view(key: &SigningKey) -> SigningKeyView {
    SigningKeyView {
        id: spell(key.id),
        made_at: key.made_at,
        ends_at: key.ends_at,
    }
}

fn too_many() -> Problem {
    Problem::BadRequest {
        field: None,
        detail: format!(
            "{SIGNING_KEYS_MAX} signing keys are kept, the most at once, as tokens of each may still work; wait until the \
             first has ended, a day after it was replaced, or set `revokeOld`, which ends all tokens."
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn keys() -> SigningKeys {
        SigningKeys::of(SigningKey::new([1; 8], [2; 32], Micros(0)))
    }

    /// However many ask: one asks for those that came before it began, and another for those that came since.
    #[tokio::test]
    async fn many_who_ask_share_a_look() {
        let (signing, looks) = (Signing::default(), Cell::new(0));
        let ask = || async {
            let ring = signing.ask(async {
                looks.set(looks.get() + 1);
                tokio::task::yield_now().await;
                Ok(keys())
            });
            ring.await.expect("it is read").has(u64::from_be_bytes([1; 8]))
        };
        let mut asking: Vec<_> = (0..1_000).map(|_| Box::pin(ask())).collect();
        std::future::poll_fn(|context| {
            asking.retain_mut(|one| match one.as_mut().poll(context) {
                std::task::Poll::Ready(has) => {
                    assert!(has);
                    false
                }
                std::task::Poll::Pending => true,
            });
            match asking.is_empty() {
                true => std::task::Poll::Ready(()),
                false => std::task::Poll::Pending,
            }
        })
        .await;
        assert_eq!(looks.get(), 2);
        // Whoever comes later is told what is so then.
        assert!(ask().await);
        assert_eq!(looks.get(), 3);
    }

    #[tokio::test]
    async fn what_can_not_be_read_is_said_and_asked_for_again() {
        let signing = Signing::default();
        let failed = signing.ask(async { Err(StoreError::Busy) }).await;
        assert!(matches!(failed, Err(Problem::Unavailable { .. })));
        assert!(signing.ask(async { Ok(keys()) }).await.is_ok());
    }

    #[test]
    fn an_id_has_one_spelling() {
        for id in [0, 1, u64::MAX, 0xabc] {
            assert_eq!(parse(&spell(id)), Some(id));
        }
        for text in [
            "",
            "1",
            "+00000000000000f",
            "00000000000000AB",
            "0000000000000000f",
            "g000000000000000",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
