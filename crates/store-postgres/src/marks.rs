//! Marks on a store.

use store::Mark;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::error::OpenError;
use crate::migrate::{connect, in_time};
use crate::options::{Options, Url};

/// The mark of a store; that of the operator's book is that of all.
pub(crate) async fn read(client: &Client) -> Result<Option<Mark>, OpenError> {
    let rows = client
        .query_typed("select mark from saldo.heads where book = 0", &[])
        .await?;
    let text = rows.first().and_then(|row| row.get::<_, Option<String>>(0));
    Ok(text.as_deref().map(Mark::from_text))
}

/// The mark of the store in a database.
///
/// # Errors
/// When there is none, or the database can't be used.
pub async fn mark(url: &Url, options: &Options) -> Result<Option<Mark>, OpenError> {
    let client = connect(url, options).await?.1.client;
    in_time(options.deadline, read(&client)).await
}

/// Marks the store in a database, or takes its mark away. What servers have begun to write is written before; nothing is
/// written afterwards.
///
/// # Errors
/// When the database can't be used.
pub async fn set_mark(url: &Url, options: &Options, mark: Option<&Mark>) -> Result<(), OpenError> {
    let client = connect(url, options).await?.1.client;
    // No book is made while the operator's is locked; the statement after that sees all that were made before.
    client
        .batch_execute("begin; select 1 from saldo.heads where book = 0 for update")
        .await?;
    let text = mark.map(Mark::to_text);
    client
        .query_typed("update saldo.heads set mark = $1", &[(&text, Type::TEXT)])
        .await?;
    client.batch_execute("commit").await?;
    Ok(())
}
