//! The writer: one task that decides. It gathers what waits, reserves the worst case of the first of it on the disk, decides
//! each command on its own tables, which run ahead of what is durable, and hands the frame to the committer. While that one
//! is syncing, the next frame is filled: a small one stays open until the committer is free, and takes what has come by then;
//! a large one goes as soon as it is.

mod lookup;

use std::collections::VecDeque;
use std::sync::Arc;

use ledger::{Command, Decided, Decision, Micros, PlainPosting, Record, RowKey, decide, decide_new, encode};
use smallvec::SmallVec;
use store::gather::{Asked, Inbox, Submission, Wanted};
use store::{Outcome, StoreError};
use tokio::sync::{mpsc, watch};

use crate::batch::{Batch, Change, Full, Item, Open};
use crate::find::Source;
use crate::flight::InFlight;
use crate::index::{self, Hasher};
use crate::log::frame::{FRAME_HEADER, RECORD_OVERHEAD};
use crate::log::{FrameStart, KeyTable, Log, LogError, LogReader, Planner, Span};
use crate::payload::{Links, put_links, touched};
use crate::prefetch::fetch_rows;
use crate::room::{MAX_WORST, worst_case};
use crate::tables::Tables;
use crate::turn::Turn;

/// About how many commands are gathered at once, and may share a frame.
const BATCH_COMMANDS: usize = 16_384;
/// A frame has room for so many commands from the start.
const FORESEEN: usize = 512;
/// So many commands have their rows fetched at once.
const GROUP: usize = 8;
/// After so many commands the processor is offered to whoever waits for it: a balance is to be read sooner than the system would
/// take it away. Not more often, since what was left of the writer's turn is then gone.
const STRETCH: usize = 512;
/// Where a frame answers so many requests, many ask at once.
const CROWD: usize = 16;
/// How far ahead of the store's clock a stamp may be, in µs.
const AHEAD: i64 = 5_000_000;
/// How long a full disk is not asked again for another segment, in µs: each time it would be filled to the last byte.
const FULL: i64 = 500_000;

/// The writer's task.
pub(crate) struct Writer {
    pub(crate) tables: Tables,
    pub(crate) log: Arc<Log>,
    pub(crate) reader: LogReader,
    pub(crate) planner: Planner,
    pub(crate) keys: Arc<KeyTable>,
    pub(crate) hasher: Hasher,
    pub(crate) clock: Arc<dyn Fn() -> Micros + Send + Sync>,
    /// The last batch that is published.
    pub(crate) published: watch::Receiver<u64>,
    pub(crate) out: mpsc::Sender<Batch>,
    /// Told which segment is filling up, so that the next one is made ahead.
    pub(crate) ahead: mpsc::UnboundedSender<Span>,
    /// What comes back empty to be used again: to grow anew each time would cost more than what is in it.
    pub(crate) spare: std::sync::mpsc::Receiver<Vec<Item>>,
    /// See [`crate::Options::cut_at`].
    pub(crate) cut_at: usize,
    state: Work,
}

/// What the writer works with from batch to batch.
#[derive(Default)]
pub(crate) struct Work {
    flight: InFlight,
    number: u64,
    /// How many requests the frame before answered.
    answered: usize,
    canonical: Vec<u8>,
    links: Vec<u8>,
    /// The rows that were loaded for the command at hand.
    loaded: Vec<RowKey>,
    /// By which hashes the commands are found that were fetched ahead and are still to be taken; none where nothing was. Taking one
    /// takes its hashes, and where that ends before the last, fetching begins anew.
    hashes: VecDeque<index::Asked>,
    /// The bytes that the next frame needs for a record that the one before had no room for.
    needed: u64,
    /// Until when the disk counts as full.
    full_until: Micros,
}

/// Why something was not taken.
enum Stop {
    Full(Full),
    Error(StoreError),
}

impl From<Full> for Stop {
    fn from(full: Full) -> Self {
        Self::Full(full)
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Error(error)
    }
}

/// What is to be done about a command.
enum Verdict {
    /// To record what was decided. It will be found by these hashes.
    Record(Decided, index::Asked),
    /// To answer this.
    Answer(Outcome),
}

impl Writer {
    #[allow(
        clippy::too_many_arguments,
        reason = "the parts of one task, put together in one place"
    )]
    pub(crate) fn new(
        tables: Tables,
        log: Arc<Log>,
        keys: Arc<KeyTable>,
        hasher: Hasher,
        clock: Arc<dyn Fn() -> Micros + Send + Sync>,
        published: watch::Receiver<u64>,
        out: mpsc::Sender<Batch>,
        ahead: mpsc::UnboundedSender<Span>,
        spare: std::sync::mpsc::Receiver<Vec<Item>>,
        cut_at: usize,
    ) -> Self {
        let (reader, planner) = (log.reader(), log.planner());
        Self {
            tables,
            log,
            reader,
            planner,
            keys,
            hasher,
            clock,
            published,
            out,
            ahead,
            spare,
            cut_at,
            state: Work::default(),
        }
    }

    /// Decides until all submitters are gone or the committer stopped. Gives the planner back for the closing frame.
    pub(crate) async fn run(mut self, mut inbox: Inbox) -> Planner {
        while let Some(submissions) = inbox.next_batch(BATCH_COMMANDS).await {
            let mut waiting: VecDeque<_> = submissions.into_iter().map(Turn::new).collect();
            while !waiting.is_empty() {
                let published = *self.published.borrow();
                self.state.flight.prune(published);
                let batch = match self.open(&mut waiting) {
                    Ok(mut open) => {
                        self.fill(&mut open, &mut waiting);
                        if waiting.is_empty() && self.is_small() {
                            let more = self.more(&mut inbox).await;
                            waiting.extend(more.into_iter().map(Turn::new));
                            self.fill(&mut open, &mut waiting);
                        }
                        self.close(open)
                    }
                    Err(refused) => *refused,
                };
                if self.out.send(batch).await.is_err() {
                    return self.planner;
                }
            }
        }
        self.planner
    }

    /// Waits until the committer is free, which could not take the frame any sooner; gives what came meanwhile. Where many ask at
    /// once, some wait for a processor to do so: they get one first, though the committer waits for that. A frame with them costs
    /// hardly more, and without them they would need another.
    async fn more(&mut self, inbox: &mut Inbox) -> Vec<Submission> {
        while !self.is_free() && self.published.changed().await.is_ok() {}
        if self.state.answered >= CROWD {
            std::thread::yield_now();
        }
        inbox.waiting(BATCH_COMMANDS)
    }

    /// Whether the committer is done with all before the frame at hand.
    fn is_free(&self) -> bool {
        *self.published.borrow() + 1 == self.state.number
    }

    /// The bytes that the first of those that wait will hardly exceed.
    fn foresee(&self, waiting: &VecDeque<Turn>) -> u64 {
        let most = self.log.max_frame().saturating_sub(FRAME_HEADER as u64);
        let most = most.min(MAX_WORST);
        let mut worst = 0;
        for asked in waiting.iter().flat_map(|turn| &turn.asked).take(FORESEEN) {
            worst += worst_case(&self.tables.state, asked);
            if worst >= most {
                return most;
            }
        }
        worst
    }

    /// Whether the frame is worth waiting for more.
    fn is_small(&self) -> bool {
        (self.state.flight.frame().count() as usize) < self.cut_at
    }

    /// Makes sure that a frame of these bytes can be written, and says where.
    fn reserve(&mut self, room: u64, now: Micros) -> Result<FrameStart, LogError> {
        // A clock that was set back says nothing.
        let asked_lately = (1..=FULL).contains(&self.state.full_until.0.saturating_sub(now.0));
        if room > self.planner.room() && asked_lately {
            return Err(LogError::NoSpace { bytes: room });
        }
        let reserved = self.log.reserve(&mut self.planner, room);
        if let Err(LogError::NoSpace { .. }) = reserved {
            self.state.full_until = now.plus(FULL);
        }
        reserved?;
        self.planner.start(room)
    }

    /// Opens a frame for what waits; or gives the answers that say why there is none.
    fn open(&mut self, waiting: &mut VecDeque<Turn>) -> Result<Open, Box<Batch>> {
        self.state.number += 1;
        let mut batch = Batch {
            number: self.state.number,
            frame: None,
            time: (self.clock)(),
            items: self.spare.try_recv().unwrap_or_default(),
            replies: Vec::new(),
        };
        let room = self.foresee(waiting).max(std::mem::take(&mut self.state.needed)) + FRAME_HEADER as u64;
        let start = match self.reserve(room, batch.time) {
            Ok(start) => start,
            Err(LogError::FrameTooLarge { limit, .. }) => {
                // Only a record that did not fit into the frame before needs so much: the first that waits.
                let whole = waiting
                    .front_mut()
                    .is_some_and(|turn| turn.skip(StoreError::TooLarge { limit }));
                if whole {
                    batch.replies.extend(waiting.pop_front().map(Turn::answer));
                }
                return Err(Box::new(batch));
            }
            Err(error) => {
                let error = no_room(&error);
                let refused = waiting.drain(..).map(|turn| turn.refuse(&error));
                batch.replies.extend(refused);
                return Err(Box::new(batch));
            }
        };
        self.state.flight.open(start);
        if let Some(span) = self.planner.next_is_due() {
            // Nobody makes segments ahead any more; then they are made when they are needed.
            let _ = self.ahead.send(span);
        }
        Ok(Open { batch, start, room })
    }

    /// Decides what waits, until the frame is full or awaited.
    fn fill(&mut self, open: &mut Open, waiting: &mut VecDeque<Turn>) {
        // A frame may have been open for as long as a sync takes, and no stamp may be ahead of it.
        open.batch.time = (self.clock)();
        // So many of the next were fetched and are still to be taken; so many were taken at a stretch.
        let (mut ahead, mut taken) = (0, 0);
        while let Some(turn) = waiting.front_mut() {
            if turn.asked.is_empty() {
                open.batch.replies.extend(waiting.pop_front().map(Turn::answer));
                continue;
            }
            if ahead == 0 {
                if !self.is_small() && self.is_free() {
                    return;
                }
                if taken >= STRETCH {
                    taken = 0;
                    std::thread::yield_now();
                }
                ahead = GROUP.min(self.cut_at).max(1);
                self.fetch_ahead(waiting, ahead);
                continue;
            }
            ahead -= 1;
            taken += 1;
            if let Err(Full { bytes }) = self.take(open, turn) {
                self.state.needed = bytes;
                return;
            }
        }
    }

    /// Ends the frame where it is.
    fn close(&mut self, open: Open) -> Batch {
        let (mut batch, bytes) = (open.batch, self.state.flight.frame().frame_len());
        self.state.answered = batch.replies.len();
        batch.frame = self.state.flight.close(batch.number);
        if let Some((start, _)) = batch.frame {
            self.planner.advance(start, bytes);
        }
        batch
    }

    /// Has the processor fetch what the next of those that wait will need.
    fn fetch_ahead(&mut self, waiting: &VecDeque<Turn>, count: usize) {
        self.state.hashes.clear();
        let next = waiting.iter().flat_map(|turn| &turn.asked).take(count);
        let commands = next.filter_map(|asked| match asked {
            Asked::Decide(command) => Some(command),
            _ => None,
        });
        let commands: SmallVec<[_; GROUP]> = commands.collect();
        // One alone would only be fetched twice.
        if commands.len() > 1 {
            let hashes = commands.iter().map(|command| self.hasher.asked(command));
            self.state.hashes.extend(hashes);
            fetch_rows(&self.tables, &self.keys, &self.state.hashes, &commands);
        }
    }

    /// Makes sure that the frame takes so many bytes more.
    fn make_room(&self, open: &mut Open, bytes: u64) -> Result<(), Full> {
        let here = self.state.flight.frame().frame_len();
        open.make_room(here, bytes, &self.planner, self.log.max_frame())
    }

    /// Takes the first that waits in a submission, and answers it. Where the frame is full it waits on: the next one has it, or
    /// does not come about.
    fn take(&mut self, open: &mut Open, turn: &mut Turn) -> Result<(), Full> {
        let taken = match turn.asked.front() {
            Some(Asked::Decide(command)) => {
                let hashes = self.state.hashes.pop_front();
                let hashes = hashes.unwrap_or_else(|| self.hasher.asked(command));
                match self.judge(open, command, hashes) {
                    Ok(Verdict::Record(decided, hashes)) => {
                        return self.record_first(open, turn, decided, hashes);
                    }
                    Ok(Verdict::Answer(outcome)) => Ok(outcome),
                    Err(stop) => Err(stop),
                }
            }
            Some(Asked::Adopt(record)) => self.adopt(open, record),
            Some(Asked::Room(bytes)) => {
                let made = self.make_room(open, *bytes);
                made.map(|()| Outcome::Nothing).map_err(Stop::from)
            }
            None => return Ok(()),
        };
        let answer = match taken {
            Ok(outcome) => Ok(outcome),
            Err(Stop::Error(error)) => Err(error),
            Err(Stop::Full(full)) => return Err(full),
        };
        turn.asked.pop_front();
        turn.answers.push(answer);
        Ok(())
    }

    /// Decides one command.
    fn judge(&mut self, open: &mut Open, command: &Command, hashes: index::Asked) -> Result<Verdict, Stop> {
        if command.stamp > open.batch.time.plus(AHEAD) {
            return Err(StoreError::ClockAhead.into());
        }
        if self.tables.state.book(command.book).is_none() {
            return Err(StoreError::NoSuchBook(command.book).into());
        }
        debug_assert_eq!(
            hashes.key,
            self.hasher.key(command.book, command.client, command.key)
        );
        let loaded = self.state.loaded.len();
        let verdict = self.judge_loaded(open, command, hashes);
        if self.state.loaded.len() > loaded {
            let rows = self.tables.state.book_mut(command.book);
            for row in self.state.loaded.drain(loaded..) {
                rows.forget(row);
            }
        }
        verdict
    }

    fn judge_loaded(
        &mut self,
        open: &mut Open,
        command: &Command,
        hashes: index::Asked,
    ) -> Result<Verdict, Stop> {
        let book = command.book;
        // Nearly always it is, which the key table alone can say.
        let is_new = !self.keys.has(hashes.key)
            && hashes
                .ids
                .iter()
                .all(|hash| *hash == hashes.key || !self.keys.has(*hash));
        if !is_new {
            self.load_asked(command, &hashes)?;
        }
        loop {
            let decide = if is_new { decide_new } else { decide };
            match decide(&self.tables.state, command) {
                Decision::Decided(decided) => return Ok(Verdict::Record(decided, hashes)),
                Decision::Replay(record) => return Ok(Verdict::Answer(Outcome::Replayed(record))),
                Decision::Conflict(position) => return Ok(Verdict::Answer(Outcome::Conflict(position))),
                Decision::Nothing => return Ok(Verdict::Answer(Outcome::Nothing)),
                Decision::Need(rows) => {
                    for row in rows {
                        self.load(book, row)?;
                    }
                }
                Decision::ExpireFirst(holds) => {
                    for hold in holds {
                        // Those before it are done where the frame is full; the command goes on with this one in the next.
                        self.expire(open, Command::expiry(book, hold, command.stamp))?;
                    }
                }
            }
        }
    }

    /// Lets a hold expire ahead of another command.
    fn expire(&mut self, open: &mut Open, expiry: Command) -> Result<(), Stop> {
        let hashes = self.hasher.asked(&expiry);
        if let Verdict::Record(decided, hashes) = self.judge(open, &expiry, hashes)? {
            let unique = hashes.unique(&decided);
            let record = Arc::new(decided.into_record(expiry));
            self.keep(open, &record, Change::of(&record), unique)?;
        }
        Ok(())
    }

    /// Records what was decided about the first command that waits; where the frame is full it waits on.
    fn record_first(
        &mut self,
        open: &mut Open,
        turn: &mut Turn,
        decided: Decided,
        hashes: index::Asked,
    ) -> Result<(), Full> {
        let Some(Asked::Decide(command)) = turn.asked.pop_front() else {
            unreachable!("it was decided on the first that waits");
        };
        let stamp = command.stamp;
        let unique = hashes.unique(&decided);
        let record = decided.into_record(command);
        let kept = match (turn.wanted, PlainPosting::of(&record)) {
            // Nobody has it when its bytes are in the frame.
            (Wanted::Position, Some(plain)) => self
                .keep(open, &record, Change::Plain(plain), unique)
                .map(|()| Outcome::Accepted(record.position))
                .map_err(|stop| (stop, record)),
            (wanted, plain) => {
                let record = Arc::new(record);
                let change = plain.map_or_else(|| Change::Record(Arc::clone(&record)), Change::Plain);
                match self.keep(open, &record, change, unique) {
                    Ok(()) if wanted == Wanted::Position && record.outcome.is_ok() => {
                        Ok(Outcome::Accepted(record.position))
                    }
                    Ok(()) => Ok(Outcome::Recorded(record)),
                    Err(stop) => {
                        let record = Arc::into_inner(record);
                        Err((stop, record.expect("what was not kept is nobody else's")))
                    }
                }
            }
        };
        match kept {
            Ok(outcome) => turn.answers.push(Ok(outcome)),
            Err((Stop::Error(error), _)) => turn.answers.push(Err(error)),
            Err((Stop::Full(full), record)) => {
                turn.asked.push_front(Asked::Decide(Command {
                    stamp,
                    ..record.into_command()
                }));
                return Err(full);
            }
        }
        Ok(())
    }

    /// Takes a record that was decided elsewhere, if it is the next one. Those of other books stand behind those of book 0 that
    /// they were decided on, as in every journal.
    fn adopt(&mut self, open: &mut Open, record: &Arc<Record>) -> Result<Outcome, Stop> {
        let (no, position) = (record.book, record.position);
        let state = &self.tables.state;
        let book = state.book(no).ok_or(StoreError::NoSuchBook(no))?;
        let next = book.head.position.next();
        if position != next || record.base != state.base() || record.recorded_at <= book.head.recorded_at {
            let book = no;
            return Err(StoreError::NotNext { book, position, next }.into());
        }
        let unique = self.hasher.unique(record);
        self.keep(open, record, Change::of(record), unique)?;
        Ok(Outcome::Recorded(Arc::clone(record)))
    }

    /// Keeps a record, and what it changes. That the frame has room is made sure of before anything changes.
    fn keep(
        &mut self,
        open: &mut Open,
        record: &Record,
        change: Change,
        unique: SmallVec<[u64; 2]>,
    ) -> Result<(), Stop> {
        debug_assert_eq!(unique, self.hasher.unique(record));
        let at = open.start.record(self.state.flight.frame().next_offset());
        let mut repeats = SmallVec::new();
        for hash in self.hasher.repeats(record) {
            repeats.push((hash, self.newest(hash)?));
        }
        let touched = touched(record);
        let work = &mut self.state;
        work.canonical.clear();
        work.links.clear();
        encode(record, &mut work.canonical);
        let most = work.canonical.len() + Links::most_bytes(touched.len(), repeats.len()) + RECORD_OVERHEAD;
        self.make_room(open, most as u64)?;
        let mut balances = SmallVec::new();
        let book = self.tables.take(
            &change,
            &touched,
            at,
            |_| false,
            |_, _, links| balances.push(links),
        );
        let links = Links {
            book,
            balances,
            repeats: repeats.iter().map(|(_, before)| *before).collect(),
        };
        let work = &mut self.state;
        put_links(&mut work.links, at, &links);
        let again = repeats.iter().map(|(hash, _)| *hash);
        work.flight.put(at, &[&work.links, &work.canonical], again);
        // At once, so that the next command finds it. Readers leave out what is behind the end that they see.
        for hash in &unique {
            self.keys.insert(*hash, at);
        }
        let account = self.tables.account_of(record);
        open.batch.items.push(Item {
            at,
            change,
            touched,
            unique,
            repeats,
            account,
        });
        Ok(())
    }
}

fn no_room(error: &LogError) -> StoreError {
    match error {
        LogError::NoSpace { .. } => StoreError::NoSpace,
        LogError::Poisoned => StoreError::Closed("a write or sync failed before".into()),
        other => StoreError::Closed(other.to_string()),
    }
}
