//! Who calls: credentials, and what they open.
//!
//! One API key has one secret and two ways to write it. The **token** holds everything: book, key id and secret. The
//! **pair** splits it: `apiKey` is public (book and key id) and opens nothing alone, `apiSecret` is the secret. The
//! texts are `saldo_`, `saldo_pk_` and `saldo_sk_`, then base64url without padding.
//!
//! The secret is 256 random bits, so one fast hash keeps it; the hashes are compared in constant time, and what was verified is
//! remembered (`remembered.rs`). Whatever fails, the caller learns no more than [`Problem::Unauthorized`].

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ledger::{ApiKey, ApiKeyId, BookNo, Client, ClientId, Scopes};
use store::{ApiKeyHolder, Viewer};
use subtle::ConstantTimeEq;

use crate::Service;
use crate::problem::Problem;

const TOKEN: &str = "saldo_";
const PUBLIC: &str = "saldo_pk_";
const SECRET: &str = "saldo_sk_";

/// Which key: its book and its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct KeyName {
    pub(crate) book: BookNo,
    pub(crate) id: ApiKeyId,
}

/// An API key's name and secret, as its holder has them.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    name: KeyName,
    secret: [u8; 32],
}

/// Says which key, never its secret.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Credentials {
    /// New ones for a key of `book`, from the system's randomness.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub(crate) fn generate(book: BookNo, id: ApiKeyId) -> Result<Self, Problem> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)
            .map_err(|error| Problem::internal(format!("no randomness for a secret: {error}")))?;
        let name = KeyName { book, id };
        Ok(Self { name, secret })
    }

    /// What the store keeps of the secret.
    pub(crate) fn secret_hash(&self) -> [u8; 32] {
        *blake3::hash(&self.secret).as_bytes()
    }

    /// Everything in one text.
    #[must_use]
    pub fn token(&self) -> String {
        let mut bytes = [0; 52];
        bytes[..20].copy_from_slice(&self.name.to_bytes());
        bytes[20..].copy_from_slice(&self.secret);
        format!("{TOKEN}{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The public half.
    #[must_use]
    pub fn api_key(&self) -> String {
        format!("{PUBLIC}{}", URL_SAFE_NO_PAD.encode(self.name.to_bytes()))
    }

    /// The secret half.
    #[must_use]
    pub fn api_secret(&self) -> String {
        format!("{SECRET}{}", URL_SAFE_NO_PAD.encode(self.secret))
    }

    /// Reads a token.
    #[must_use]
    pub fn from_token(text: &str) -> Option<Self> {
        let bytes: [u8; 52] = decode(text.strip_prefix(TOKEN)?)?;
        let (name, secret) = bytes.split_at(20);
        Some(Self {
            name: KeyName::from_bytes(name.try_into().ok()?),
            secret: secret.try_into().ok()?,
        })
    }

    /// Reads a pair.
    #[must_use]
    pub fn from_pair(api_key: &str, api_secret: &str) -> Option<Self> {
        Some(Self {
            name: KeyName::from_bytes(decode(api_key.strip_prefix(PUBLIC)?)?),
            secret: decode(api_secret.strip_prefix(SECRET)?)?,
        })
    }
}

impl KeyName {
    fn to_bytes(self) -> [u8; 20] {
        let mut bytes = [0; 20];
        bytes[..4].copy_from_slice(&self.book.0.to_be_bytes());
        bytes[4..].copy_from_slice(&self.id.to_bytes());
        bytes
    }

    fn from_bytes(bytes: [u8; 20]) -> Self {
        let [b0, b1, b2, b3, id @ ..] = bytes;
        Self {
            book: BookNo(u32::from_be_bytes([b0, b1, b2, b3])),
            id: ApiKeyId::from_bytes(id),
        }
    }
}

fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    // One byte more, so that a longer text is an error of length and not of room.
    let mut bytes = [0; 64];
    let length = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
    bytes[..length].try_into().ok()
}

/// Which key somebody had the secret of, and the hash of that.
#[derive(Clone, Copy)]
pub(crate) struct Verified {
    name: KeyName,
    secret_hash: [u8; 32],
}

/// Who calls, and what they may do.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Whose eyes reads are made with, and whose commands are sent.
    pub viewer: Viewer,
    /// What the caller may do.
    pub scopes: Scopes,
    /// The key that opened this; `None` for the server itself.
    pub key: Option<Arc<ApiKey>>,
    /// The key's client; `None` for the operator's and the server itself.
    pub client: Option<Arc<Client>>,
    /// The root client of the book; `None` in book 0.
    pub root: Option<ClientId>,
}

/// Every scope that a client's key may have.
pub const CLIENT_SCOPES: Scopes = Scopes::READ
    .with(Scopes::POST)
    .with(Scopes::FORCE)
    .with(Scopes::RATES)
    .with(Scopes::ADMIN)
    .with(Scopes::CUSTOMER_ACCOUNT_READ);

impl Caller {
    /// The server itself, as the operator in book 0: to make a store, and a sample world.
    #[must_use]
    pub fn server() -> Self {
        Self {
            viewer: Viewer {
                book: BookNo::OPERATOR,
                client: None,
            },
            scopes: CLIENT_SCOPES.with(Scopes::OPERATOR),
            key: None,
            client: None,
            root: None,
        }
    }

    /// Somebody without a key: sees nothing, may do nothing.
    #[must_use]
    pub fn nobody() -> Self {
        Self {
            viewer: Viewer {
                book: BookNo::OPERATOR,
                client: Some(ClientId(0)),
            },
            scopes: Scopes::default(),
            ..Self::server()
        }
    }

    /// Whoever holds this key.
    fn holder(holder: ApiKeyHolder) -> Self {
        let ApiKeyHolder { key, client, root } = holder;
        // The operator may do in book 0 whatever can be done there.
        let scopes = match key.scopes.contains(Scopes::OPERATOR) && key.client.is_none() {
            true => CLIENT_SCOPES.with(Scopes::OPERATOR),
            false => key.scopes,
        };
        Self {
            viewer: Viewer {
                book: key.book,
                client: key.client,
            },
            scopes,
            key: Some(key),
            client,
            root,
        }
    }

    /// Whether this is the operator or the server, in book 0.
    #[must_use]
    pub fn is_operator(&self) -> bool {
        self.viewer.client.is_none() && self.scopes.contains(Scopes::OPERATOR)
    }

    /// Refuses a caller without `scope`.
    ///
    /// # Errors
    /// [`Problem::Forbidden`], naming the scope.
    pub fn require(&self, scope: Scopes) -> Result<(), Problem> {
        if self.scopes.contains(scope) {
            return Ok(());
        }
        let missing = Scopes::NAMES
            .into_iter()
            .find(|(one, _)| scope.contains(*one) && !self.scopes.contains(*one));
        Err(Problem::missing_scope(missing.map_or("read", |(_, word)| word)))
    }
}

impl Service {
    /// The holder of a token.
    ///
    /// # Errors
    /// [`Problem::Unauthorized`], whatever is wrong with it; or the store failed.
    pub async fn authenticate_token(&self, token: &str) -> Result<Caller, Problem> {
        self.authenticate(&[token], || Credentials::from_token(token))
            .await
    }

    /// The holder of a key and its secret.
    ///
    /// # Errors
    /// [`Problem::Unauthorized`], whatever is wrong with them; or the store failed.
    pub async fn authenticate_pair(&self, api_key: &str, api_secret: &str) -> Result<Caller, Problem> {
        let read = || Credentials::from_pair(api_key, api_secret);
        self.authenticate(&[api_key, api_secret], read).await
    }

    async fn authenticate(
        &self,
        shown: &[&str],
        read: impl FnOnce() -> Option<Credentials>,
    ) -> Result<Caller, Problem> {
        let shown = self.verified.hash(shown);
        if let Some(known) = self.verified.get(shown) {
            // Whether it still works is seen each time.
            let holder = self.live_key(known.name).await?;
            if holder.key.secret_hash == known.secret_hash {
                return Ok(Caller::holder(holder));
            }
        }
        let credentials = read().ok_or(Problem::Unauthorized)?;
        let (name, secret_hash) = (credentials.name, credentials.secret_hash());
        let holder = self.live_key(name).await?;
        if bool::from(secret_hash.ct_eq(&holder.key.secret_hash)) {
            self.verified
                .put(shown, Verified { name, secret_hash }, |_| false);
            Ok(Caller::holder(holder))
        } else {
            Err(Problem::Unauthorized)
        }
    }

    /// The holder of a key that works now. That its holder knows the secret was checked elsewhere.
    pub(crate) async fn live_key(&self, name: KeyName) -> Result<ApiKeyHolder, Problem> {
        let holder = self.store.api_key(name.book, name.id).await;
        let holder = match holder {
            Err(store::StoreError::NoSuchBook(_)) => None,
            other => other?,
        };
        holder
            .filter(|holder| holder.key.is_live(self.clock.now()))
            .ok_or(Problem::Unauthorized)
    }

    pub(crate) async fn caller_of(&self, name: KeyName) -> Result<Caller, Problem> {
        self.live_key(name).await.map(Caller::holder)
    }

    /// The operator in the book of `root`, with everything that a key of that client could do. A root client's own key
    /// may name its own book too.
    ///
    /// # Errors
    /// [`Problem::Forbidden`] for other callers, [`Problem::NotFound`] when there is no such root client.
    pub async fn in_book(&self, caller: Caller, root: ClientId) -> Result<Caller, Problem> {
        if caller.root == Some(root) {
            return Ok(caller);
        }
        if !caller.is_operator() {
            return Err(Problem::missing_scope("operator"));
        }
        let book = self
            .store
            .book_of(root)
            .await?
            .ok_or_else(|| Problem::not_found("book"))?;
        Ok(Caller {
            viewer: Viewer {
                book,
                client: Some(root),
            },
            scopes: CLIENT_SCOPES,
            root: Some(root),
            ..caller
        })
    }
}
