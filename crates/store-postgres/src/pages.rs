//! Reading the records of a book from one end to the other, some at a time.

use ledger::{BookNo, Position};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, Row};

use crate::rows;

/// At least, and at most, so many records.
const RECORDS: (i64, i64) = (16, 4_096);

/// Chooses how many records to read at once, by how long the last ones were.
pub(crate) struct Pages {
    limit: i64,
}

impl Default for Pages {
    fn default() -> Self {
        Self { limit: RECORDS.0 }
    }
}

impl Pages {
    /// The next rows after a position, of about so many bytes: position, time, key, id, record.
    pub(crate) async fn next(
        &mut self,
        client: &Client,
        book: BookNo,
        after: Position,
        bytes: usize,
    ) -> Result<Vec<Row>, Error> {
        let sql = "select position, recorded_at, key, id, record from saldo.commands \
                   where book = $1 and position > $2 order by position limit $3";
        let (book, after) = (rows::book(book), rows::position(after));
        let params = [
            (&book as &(dyn tokio_postgres::types::ToSql + Sync), Type::INT4),
            (&after, Type::INT8),
            (&self.limit, Type::INT8),
        ];
        let found = client.query_typed(sql, &params).await?;
        let read: usize = found.iter().map(|row| row.get::<_, &[u8]>(4).len()).sum();
        let each = read / found.len().max(1);
        let fit = i64::try_from(bytes / each.max(1)).unwrap_or(RECORDS.1);
        self.limit = fit.clamp(RECORDS.0, RECORDS.1);
        Ok(found)
    }
}
