//! Looking up API keys. Every request begins with one, so those that wait share a statement: it begins after all of them
//! asked, so none of them is answered with what was true before.

use std::collections::HashMap;
use std::sync::Arc;

use ledger::{ApiKeyId, BookNo, ClientId};
use parking_lot::Mutex;
use store::{ApiKeyHolder, StoreError};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::batch::Desk;
use crate::error::Failure;
use crate::rows::{self, get_id, get_number, unpack};
use crate::session::{Purpose, Transaction};

type Name = (BookNo, ApiKeyId);
type Answer = Result<Option<ApiKeyHolder>, StoreError>;
type Asked = HashMap<Name, Vec<oneshot::Sender<Answer>>>;

/// Those who wait for API keys.
pub(crate) struct Keys {
    desk: Arc<Desk>,
    waiting: Mutex<Waiting>,
    most: usize,
    /// Where they are looked up, whoever asks first.
    threads: Handle,
}

#[derive(Default)]
struct Waiting {
    asked: Asked,
    count: usize,
    busy: bool,
}

impl Keys {
    pub(crate) fn new(desk: Arc<Desk>, most: usize) -> Arc<Self> {
        Arc::new(Self {
            desk,
            waiting: Mutex::default(),
            most,
            threads: Handle::current(),
        })
    }

    /// The key as it is at some moment after this call.
    pub(crate) async fn look_up(self: &Arc<Self>, name: Name) -> Answer {
        let (reply, answer) = oneshot::channel();
        {
            let mut waiting = self.waiting.lock();
            if waiting.count >= self.most {
                return Err(StoreError::Busy);
            }
            waiting.count += 1;
            waiting.asked.entry(name).or_default().push(reply);
            if !waiting.busy {
                waiting.busy = true;
                self.threads.spawn(Worker(Arc::clone(self)).run());
            }
        }
        // Whoever drops the reply unanswered stopped in the middle.
        answer.await.unwrap_or(Err(StoreError::Busy))
    }
}

/// Asks for all who wait, while anybody does.
struct Worker(Arc<Keys>);

impl Worker {
    async fn run(self) {
        loop {
            let asked = {
                let mut waiting = self.0.waiting.lock();
                waiting.count = 0;
                std::mem::take(&mut waiting.asked)
            };
            if asked.is_empty() && self.is_done() {
                return;
            }
            let names: Vec<_> = asked.keys().copied().collect();
            let found = self
                .0
                .desk
                .attempt(Purpose::Alone, |tx| holders(tx, names.clone()))
                .await;
            for (name, replies) in asked {
                let answer = match &found {
                    Ok(found) => match found.get(&name) {
                        Some(holder) => Ok(holder.clone()),
                        None => Err(StoreError::NoSuchBook(name.0)),
                    },
                    Err(error) => Err(error.clone()),
                };
                for reply in replies {
                    let _ = reply.send(answer.clone());
                }
            }
        }
    }

    /// Says that nobody works any more, if nobody asked meanwhile.
    fn is_done(&self) -> bool {
        let mut waiting = self.0.waiting.lock();
        waiting.busy = !waiting.asked.is_empty();
        !waiting.busy
    }
}

impl Drop for Worker {
    /// Should it have ended in a panic, those who wait are told, and the next one begins anew.
    fn drop(&mut self) {
        if std::thread::panicking() {
            *self.0.waiting.lock() = Waiting::default();
        }
    }
}

/// The keys of books that there are; `None` where the book has no such key.
async fn holders(tx: Transaction, names: Vec<Name>) -> Result<HashMap<Name, Option<ApiKeyHolder>>, Failure> {
    let sql = "select k.book, k.id, h.root, a.row, c.row from unnest($1::int4[], $2::uuid[]) k (book, id) \
               cross join lateral (select root from saldo.heads where book = k.book limit 1) h \
               left join lateral (select client, row from saldo.api_keys where book = k.book and id = k.id limit 1) a on true \
               left join lateral (select row from saldo.clients where book = k.book and id = a.client limit 1) c on true";
    let books: Vec<_> = names.iter().map(|(book, _)| rows::book(*book)).collect();
    let ids: Vec<_> = names.iter().map(|(_, id)| rows::id(id.0)).collect();
    let mut all = HashMap::new();
    for row in tx.query(sql, &[&books, &ids]).await? {
        let root: Option<Uuid> = row.get(2);
        let client: Option<&[u8]> = row.get(4);
        let holder = match row.get::<_, Option<&[u8]>>(3) {
            Some(key) => Some(ApiKeyHolder {
                key: Arc::new(unpack(key)?),
                client: client.map(unpack).transpose()?.map(Arc::new),
                root: root.map(|root| ClientId(root.as_u128())),
            }),
            None => None,
        };
        all.insert((BookNo(get_number(&row, 0)), ApiKeyId(get_id(&row, 1))), holder);
    }
    Ok(all)
}
