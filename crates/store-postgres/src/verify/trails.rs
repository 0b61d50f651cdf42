//! Which records touched a balance, as its chunks and its tail say it. Chunks are remembered by a hash over them.

use std::collections::HashMap;

use ledger::{AccountNo, AssetNo, Record};
use store::audit::next_digest;
use tokio_postgres::Client;

use super::Fault;
use super::lines::{Chunk, Lane};
use crate::changes::History;
use crate::rows;
use crate::tail::Tail;

#[derive(Default)]
struct Trail {
    tail: Tail,
    chunks: [u8; 32],
}

impl Trail {
    fn take(&mut self, first: i64, positions: &[u8]) {
        let chunk = [&first.to_le_bytes(), positions].concat();
        self.chunks = next_digest(&self.chunks, &chunk);
    }
}

fn chunks(all: &HashMap<(AccountNo, AssetNo), Trail>, key: (AccountNo, AssetNo)) -> [u8; 32] {
    all.get(&key).map_or([0; 32], |trail| trail.chunks)
}

/// Of all balances of a book.
#[derive(Default)]
pub(super) struct Trails(HashMap<(AccountNo, AssetNo), Trail>);

impl Trails {
    pub(super) fn take(&mut self, record: &Record) {
        let mut history = History::default();
        history.take(record);
        for (account, asset, position) in history.entries {
            let trail = self.0.entry((account, asset)).or_default();
            if let Some(chunk) = trail.tail.push(rows::position(position)) {
                trail.take(chunk.first, &chunk.bytes);
            }
        }
    }

    /// The tail of a balance.
    pub(super) fn tail(&self, account: AccountNo, asset: AssetNo) -> Vec<u8> {
        let trail = self.0.get(&(account, asset));
        trail.map_or_else(Vec::new, |trail| trail.tail.bytes().to_vec())
    }

    /// Compares the chunks of all balances with their rows.
    pub(super) async fn check(&self, client: &Client, book: i32) -> Result<(), Fault> {
        let wrong = |(account, asset): (AccountNo, AssetNo)| {
            Fault::Wrong(format!(
                "table saldo.entries, account {}, asset {}: the rows are not what the records give",
                account.0, asset.0
            ))
        };
        let mut found: HashMap<_, Trail> = HashMap::new();
        let mut lane: Lane<Chunk> = Lane::open(client, book).await?;
        while let Some(chunk) = lane.next(client).await? {
            let key = (
                AccountNo(chunk.account.cast_unsigned()),
                AssetNo(chunk.asset.cast_unsigned()),
            );
            found.entry(key).or_default().take(chunk.first, &chunk.positions);
        }
        lane.close(client).await?;
        let mut keys: Vec<_> = found.keys().chain(self.0.keys()).copied().collect();
        keys.sort_unstable();
        match keys
            .into_iter()
            .find(|key| chunks(&found, *key) != chunks(&self.0, *key))
        {
            Some(key) => Err(wrong(key)),
            None => Ok(()),
        }
    }
}
