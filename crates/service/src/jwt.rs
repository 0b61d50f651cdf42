//! Signed tokens: what a key and its secret are exchanged for, so that the secret travels once an hour.
//!
//! HS256 with the store's newest signing key, which the token's `kid` names. A token names an API key, too; that this still works
//! is looked up each time, so that revoking it ends its tokens at once. Verified tokens are [remembered](crate::remembered) until
//! they expire, and count while their signing key is known.

use jsonwebtoken::{Algorithm, Header, Validation};
use ledger::{ApiKeyId, BookNo, Micros};
use serde::{Deserialize, Serialize};

use crate::Service;
use crate::auth::{Caller, KeyName};
use crate::problem::Problem;
use crate::remembered::Remembered;
use crate::signing::{self, RingKey};

const SECOND: i64 = 1_000_000;

/// A signed token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedToken {
    /// The token.
    pub token: String,
    /// For how many seconds it works.
    pub expires_in: u32,
    /// From when on it does not; a whole second.
    pub expires_at: Micros,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    /// Always [`ISSUER`].
    iss: String,
    /// The key's id, as 32 hexadecimal digits.
    sub: String,
    /// The key's book.
    book: u32,
    /// When it was issued, in seconds since 1970.
    iat: i64,
    /// From when on it no longer works, in seconds since 1970.
    exp: i64,
}

const ISSUER: &str = "saldo";

/// Signs and verifies.
pub(crate) struct Jwts {
    validation: Validation,
    verified: Remembered<Verified>,
}

#[derive(Clone, Copy)]
struct Verified {
    /// The signing key.
    by: u64,
    name: KeyName,
    expires_at: Micros,
}

impl Default for Jwts {
    fn default() -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        // The service's own clock decides, not the library's; see `authenticate_jwt`.
        validation.validate_exp = false;
        validation.set_issuer(&[ISSUER]);
        validation.set_required_spec_claims(&["exp", "iss", "sub"]);
        Self {
            validation,
            verified: Remembered::default(),
        }
    }
}

/// `end` is when the API key itself ends: no token says that it works for longer.
fn sign(
    by: &RingKey,
    name: KeyName,
    lifetime: u32,
    end: Option<Micros>,
    now: Micros,
) -> Result<IssuedToken, Problem> {
    let issued = now.0.div_euclid(SECOND);
    // Rounded up: the key works until then, and is looked up each time.
    let end = end.map_or(i64::MAX, |end| (end.0 - 1).div_euclid(SECOND) + 1);
    let left = u32::try_from(end.saturating_sub(issued)).unwrap_or(u32::MAX);
    let lifetime = lifetime.min(left);
    let expires = issued + i64::from(lifetime);
    let claims = Claims {
        iss: ISSUER.to_owned(),
        sub: format!("{:032x}", { name.id.0 }),
        book: name.book.0,
        iat: issued,
        exp: expires,
    };
    let header = Header {
        kid: Some(signing::spell(by.id)),
        ..Header::new(Algorithm::HS256)
    };
    let token = jsonwebtoken::encode(&header, &claims, &by.signing)
        .map_err(|error| Problem::internal(format!("a token can't be signed: {error}")))?;
    Ok(IssuedToken {
        token,
        expires_in: lifetime,
        expires_at: Micros(expires * SECOND),
    })
}

impl Jwts {
    /// What a token says that this key signed. Whether it has expired is for the caller to see.
    fn verify(&self, token: &str, by: u64, key: &RingKey) -> Option<Verified> {
        let claims = jsonwebtoken::decode::<Claims>(token, &key.verifying, &self.validation)
            .ok()?
            .claims;
        let id = u128::from_str_radix(&claims.sub, 16).ok()?;
        let name = KeyName {
            book: BookNo(claims.book),
            id: ApiKeyId(id),
        };
        let expires_at = Micros(claims.exp.checked_mul(SECOND)?);
        Some(Verified { by, name, expires_at })
    }
}

/// The key that a token says it was signed with.
fn signed_by(token: &str) -> Option<u64> {
    let header = jsonwebtoken::decode_header(token).ok()?;
    signing::parse(&header.kid?)
}

impl Service {
    /// Exchanges a key and its secret for a signed token.
    ///
    /// # Errors
    /// [`Problem::Unauthorized`], whatever is wrong with them; or the store failed.
    pub async fn issue_token(&self, api_key: &str, api_secret: &str) -> Result<IssuedToken, Problem> {
        let caller = self.authenticate_pair(api_key, api_secret).await?;
        let key = caller.key.ok_or(Problem::Unauthorized)?;
        let name = KeyName {
            book: key.book,
            id: key.id,
        };
        let lifetime = self.config.token_lifetime_seconds;
        let ring = self.signing_keys().await?;
        sign(ring.newest(), name, lifetime, key.expires_at, self.clock.now())
    }

    /// The holder of the key that a signed token names.
    ///
    /// # Errors
    /// [`Problem::Unauthorized`], whatever is wrong with it; or the store failed.
    pub async fn authenticate_jwt(&self, token: &str) -> Result<Caller, Problem> {
        let shown = self.jwts.verified.hash(&[token]);
        let known = self.jwts.verified.get(shown);
        let by = known.map(|known| known.by).or_else(|| signed_by(token));
        let by = by.ok_or(Problem::Unauthorized)?;
        let ring = self.signing_keys_with(by).await?;
        let now = self.clock.now();
        // Also of a known token, whose signing key may have been taken away.
        let key = ring.get(by, now).ok_or(Problem::Unauthorized)?;
        let verified = known.or_else(|| self.jwts.verify(token, by, key));
        let verified = verified.filter(|verified| now < verified.expires_at);
        let verified = verified.ok_or(Problem::Unauthorized)?;
        if known.is_none() {
            let kept = |verified: &Verified| now < verified.expires_at;
            self.jwts.verified.put(shown, verified, kept);
        }
        self.caller_of(verified.name).await
    }
}
