//! One try of a batch: lock the head, load, decide, write, commit.

use std::sync::Arc;
use std::time::Duration;

use ledger::{BookNo, ClientId, Command, Head, Micros, Position};
use store::{Mark, Outcome, StoreError};
use tokio::time::Instant;
use tokio::try_join;
use tokio_postgres::Row;

use crate::error::{Failure, corrupt};
use crate::kept::{Kept, Place, Shelf, follow};
use crate::load::{Wanted, fetch, fetch_records, fetch_rows, put};
use crate::pool::Pool;
use crate::rows::{self, get_number, get_position};
use crate::session::{Purpose, Transaction, ask};
use crate::space::Space;
use crate::work::{Locked, Work};
use crate::write::write;

/// Rows lead to rows, but no further than this.
const ROUNDS: usize = 64;

/// What a batch is decided with.
pub(crate) struct Desk {
    pub(crate) pool: Arc<Pool>,
    pub(crate) shelf: Shelf,
    /// Whether there is space on the database's disk.
    pub(crate) space: Space,
    pub(crate) clock: Arc<dyn Fn() -> Micros + Send + Sync>,
    /// How long one try of a batch, or a read, may take.
    pub(crate) patience: Duration,
}

/// What was asked by several, each for some commands.
pub(crate) type Asked = Vec<Arc<[Command]>>;

/// What came of a try.
pub(crate) struct Tried {
    /// What was decided, as far as it came: one for each command once all are.
    pub(crate) outcomes: Vec<Result<Outcome, StoreError>>,
    /// How it ended. A failure once the writes were sent leaves open whether they are there.
    pub(crate) ended: Result<Position, Failure>,
    /// Whether the writes were sent.
    pub(crate) sent: bool,
}

impl Desk {
    /// Tries to take commands of one book: those of `first`, and those that `late` answers with when the book is locked.
    pub(crate) async fn try_take(
        &self,
        book: BookNo,
        first: Asked,
        late: &mut (dyn FnMut() -> Asked + Send),
        deadline: Instant,
    ) -> Tried {
        let mut tried = Tried {
            outcomes: Vec::new(),
            ended: Ok(Position(0)),
            sent: false,
        };
        tried.ended = self.run(book, first, late, deadline, &mut tried).await;
        tried
    }

    async fn run(
        &self,
        book: BookNo,
        first: Asked,
        late: &mut (dyn FnMut() -> Asked + Send),
        deadline: Instant,
        tried: &mut Tried,
    ) -> Result<Position, Failure> {
        let held = self.pool.lend(deadline).await?;
        let tx = Transaction::begin(held, Purpose::Write, deadline).await?;
        let mut kept = self.shelf.take(book);
        let mut commands = all(&first);
        let opened = self
            .open(&tx, book, &mut kept, |work| work.wanted(&commands))
            .await?;
        let mut work = match opened {
            None => return Ok(tried.refuse_all(&commands, &StoreError::NoSuchBook(book))),
            Some((_, Some(mark))) => return Ok(tried.refuse_all(&commands, &StoreError::Marked(mark))),
            Some((work, None)) => work,
        };
        let late = late();
        let late = all(&late);
        self.load(&tx, &mut work, &late).await?;
        commands.extend(late);
        for (nth, command) in commands.iter().enumerate() {
            let outcome = self.take(&tx, &mut work, command, &commands[nth + 1..]).await?;
            tried.outcomes.push(outcome);
        }
        let position = work
            .state
            .book(book)
            .map_or(work.before, |book| book.head.position);
        if work.records.is_empty() {
            // What was recorded before is answered when it is as safe as what is new: a commit that lost its connection while
            // it waited for a standby can be seen, and may yet be lost. This one waits for all before it.
            tx.commit().await?;
        } else {
            tried.sent = true;
            write(&tx, &mut work).await?;
        }
        tx.ended();
        let place = Place {
            position,
            digest: work.digest,
        };
        let cost = (commands.len(), work.waited);
        self.shelf.put(book, place, cost, work.into_rows());
        Ok(position)
    }

    /// Loads what commands need for sure.
    async fn load(&self, tx: &Transaction, work: &mut Work, commands: &[&Command]) -> Result<(), Failure> {
        let wanted = work.wanted(commands);
        if wanted.is_empty() {
            return Ok(());
        }
        let loaded = fetch(tx, rows::book(work.book), &wanted, 0).await?;
        put(tx, tx.facts(), work, wanted, loaded, &[]).await
    }

    /// Locks the book's head and loads what is wanted for sure, in one go. Answers with the mark that it has; `None` when there is
    /// no such book.
    pub(crate) async fn open(
        &self,
        tx: &Transaction,
        book: BookNo,
        kept: &mut Kept,
        want: impl Fn(&Work) -> Wanted,
    ) -> Result<Option<(Work, Option<Mark>)>, Failure> {
        let no = rows::book(book);
        let lock = "select root, position, recorded_at, digest, clients, customers, accounts, api_keys, assets, \
                    highest_number, books, mark from saldo.heads where book = $1 for update";
        // Of two statements sent together the second sees what was committed while the first waited for its lock.
        let operator = "select position from saldo.heads where book = 0";
        let now = (self.clock)();
        let rows = kept.rows.take();
        let had_rows = rows.is_some();
        let mut work = Work::new(book, now, rows);
        let mut wanted = want(&work);
        // Nothing is due by itself, so no time is needed yet.
        let sent = Instant::now();
        let (found, (head, waited), operator, since, mut loaded) = try_join!(
            // They are sent in this order. What is found of keys and ids before the head is locked, others need not wait for; what
            // was recorded meanwhile is read since. Where nothing is kept, all is loaded behind the lock.
            biased;
            async { if had_rows { fetch_records(tx, no, &wanted).await } else { Ok(Vec::new()) } },
            async { Ok((tx.query(lock, &[&no]).await?, sent.elapsed())) },
            ask!(tx, operator),
            kept.read_since(tx, book),
            async { if had_rows { fetch_rows(tx, no, &wanted, 0).await } else { fetch(tx, no, &wanted, 0).await } },
        )?;
        let Some(head) = head.first() else {
            return Ok(None);
        };
        let mark = head.get::<_, Option<&str>>(11).map(Mark::from_text);
        let head = locked(head)?;
        let mut followed = Vec::new();
        if had_rows {
            match follow(tx, &mut work, kept.place, head.place(), &since).await? {
                Some(records) => {
                    followed = records;
                    loaded.found = found;
                }
                None => {
                    work = Work::new(book, now, None);
                    wanted = want(&work);
                    loaded = fetch(tx, no, &wanted, 0).await?;
                }
            }
        }
        work.stand_at(head);
        work.waited = waited;
        let position = operator.first().map_or(Position(0), |row| get_position(row, 0));
        let operator = tx.facts().operator(tx, position).await?;
        work.see_operator(&operator);
        put(tx, tx.facts(), &mut work, wanted, loaded, &followed).await?;
        Ok(Some((work, mark)))
    }

    /// Takes a command, loading what it turns out to need, and at the same time what those behind it will.
    async fn take(
        &self,
        tx: &Transaction,
        work: &mut Work,
        command: &Command,
        behind: &[&Command],
    ) -> Result<Result<Outcome, StoreError>, Failure> {
        for _ in 0..ROUNDS {
            let mut rows = match work.take(command) {
                Ok(outcome) => return Ok(outcome),
                Err(rows) => rows,
            };
            rows.extend(work.foresee(behind));
            let wanted = {
                let book = work.state.book(work.book).expect("it was made with the work");
                Wanted::asked(rows, book)
            };
            if wanted.is_empty() {
                break;
            }
            let loaded = fetch(tx, rows::book(work.book), &wanted, work.latest().0).await?;
            put(tx, tx.facts(), work, wanted, loaded, &[]).await?;
        }
        Err(corrupt(format!(
            "the rows that a command of book {} needs have no end",
            work.book
        )))
    }
}

fn all(asked: &Asked) -> Vec<&Command> {
    asked.iter().flat_map(|commands| commands.iter()).collect()
}

impl Tried {
    /// Answers all with one error; the book stays where it is.
    fn refuse_all(&mut self, commands: &[&Command], error: &StoreError) -> Position {
        self.outcomes.extend(commands.iter().map(|_| Err(error.clone())));
        Position(0)
    }
}

fn locked(row: &Row) -> Result<Locked, Failure> {
    let digest = row.get::<_, &[u8]>(3).try_into();
    Ok(Locked {
        root: row
            .get::<_, Option<uuid::Uuid>>(0)
            .map(|root| ClientId(root.as_u128())),
        digest: digest.map_err(|_| corrupt("a digest has not 32 bytes"))?,
        head: Head {
            position: get_position(row, 1),
            recorded_at: Micros(row.get(2)),
            clients: get_number(row, 4),
            customers: get_number(row, 5),
            accounts: get_number(row, 6),
            api_keys: get_number(row, 7),
            assets: get_number(row, 8),
            highest_number: row.get(9),
            books: get_number(row, 10),
        },
    })
}
