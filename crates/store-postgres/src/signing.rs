//! The keys that sign tokens: one row beside the books, replaced as a whole.

use ledger::Micros;
use store::{SigningKey, SigningKeys, StoreError};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::error::{Failure, OpenError, corrupt};
use crate::migrate::connect;
use crate::options::{Options, Url};
use crate::session::Purpose;
use crate::store_impl::PostgresStore;

const READ: &str = "select value from saldo.secrets where name = 'signing key'";

fn keys(bytes: &[u8]) -> Result<SigningKeys, Failure> {
    SigningKeys::from_bytes(bytes).map_err(|why| {
        corrupt(format!(
            "the signing keys {why}; delete the row of saldo.secrets and start a server: then a new key is \
             made, and whoever holds a signed token gets a new one with its API key"
        ))
    })
}

/// The keys; made when there are none.
pub(crate) async fn ensure(client: &Client, now: Micros) -> Result<SigningKeys, OpenError> {
    if client.query_typed(READ, &[]).await?.is_empty() {
        let (mut id, mut secret) = ([0; 8], [0; 32]);
        for random in [&mut id[..], &mut secret[..]] {
            getrandom::fill(random).map_err(|error| OpenError::Random(error.to_string()))?;
        }
        let made = SigningKeys::of(SigningKey::new(id, secret, now)).to_bytes();
        let make = "insert into saldo.secrets values ('signing key', $1) on conflict do nothing";
        client.query_typed(make, &[(&made, Type::BYTEA)]).await?;
    }
    read(client).await
}

async fn read(client: &Client) -> Result<SigningKeys, OpenError> {
    let rows = client.query_typed(READ, &[]).await?;
    let bytes = rows.first().map(|row| row.get::<_, Vec<u8>>(0));
    Ok(keys(&bytes.unwrap_or_default())?)
}

/// The keys that sign tokens of the store in a database, which servers may use.
///
/// # Errors
/// When the database can't be asked, or they are damaged.
pub async fn signing_keys(url: &Url, options: &Options) -> Result<SigningKeys, OpenError> {
    let client = connect(url, options).await?.1.client;
    read(&client).await
}

impl PostgresStore {
    pub(crate) async fn read_signing_keys(&self) -> Result<SigningKeys, StoreError> {
        self.desk
            .attempt(Purpose::Alone, |tx| async move {
                let rows = tx.query(READ, &[]).await?;
                keys(rows.first().map(|row| row.get(0)).unwrap_or_default())
            })
            .await
    }

    /// Puts others in their place, if they are still these.
    pub(crate) async fn change_signing_keys(
        &self,
        old: &SigningKeys,
        new: &SigningKeys,
    ) -> Result<bool, StoreError> {
        let (old, new) = (&old.to_bytes(), &new.to_bytes());
        let changed = self
            .desk
            .attempt(Purpose::Write, |tx| async move {
                let sql = "update saldo.secrets set value = $2 where name = 'signing key' and value = $1 returning name";
                let changed = !tx.query(sql, &[old, new]).await?.is_empty();
                if !changed {
                    // The new ones may be there from a try whose connection was lost while it waited for a standby. A commit
                    // that locked a row waits for all before it.
                    tx.query("select from saldo.heads where book = 0 for update", &[])
                        .await?;
                }
                tx.commit().await?;
                tx.ended();
                Ok(changed)
            })
            .await;
        if let Err(StoreError::Closed(why)) = &changed {
            tracing::error!(
                why,
                "the signing key was not rotated; a server's user of the database needs the rights that docs/postgresql.md names"
            );
        }
        changed
    }
}
