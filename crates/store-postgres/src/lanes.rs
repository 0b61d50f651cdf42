//! Gathering: of each book at most one batch of this server is on its way, and what arrives meanwhile shares the next.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use ledger::{BookNo, Command, Position};
use parking_lot::Mutex;
use store::meter::Meter;
use store::{Outcome, StoreError};
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use crate::batch::{Desk, Tried};
use crate::error::Failure;
use crate::reach::Horizon;

/// About how many commands share a batch.
const BATCH: usize = 4_096;
/// How long to wait before a failed batch is tried again, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(250));

/// For how long commands are gathered, at least and at most, where others write too.
const GATHER: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(4));

/// How much later than its deadline a request is answered by itself.
const GRACE: Duration = Duration::from_millis(100);

type Answers = Vec<Result<Outcome, StoreError>>;

/// What one request asked of one book.
struct Job {
    commands: Arc<[Command]>,
    deadline: Instant,
    reply: oneshot::Sender<Answers>,
    /// What was decided when it was last tried and its fate is not known.
    uncertain: Option<Answers>,
}

/// The books that have something to do.
pub(crate) struct Lanes {
    desk: Arc<Desk>,
    queues: Mutex<Queues>,
    /// Told when the last book has nothing to do any more.
    idle: Notify,
    /// Told what was committed here.
    pub(crate) horizon: Horizon,
    pub(crate) meter: Meter,
    limit: usize,
    deadline: Duration,
    patience: Duration,
    /// Where a book's batches are made, whoever asks first.
    threads: Handle,
}

#[derive(Default)]
struct Queues {
    by_book: HashMap<BookNo, VecDeque<Job>>,
    waiting: usize,
    closed: bool,
}

impl Queues {
    /// The next jobs of a book, up to a batch's worth with the `count` commands that are there.
    fn pop(&mut self, book: BookNo, mut count: usize) -> Vec<Job> {
        let mut jobs = Vec::new();
        let Some(queue) = self.by_book.get_mut(&book) else {
            return jobs;
        };
        let fits = |job: &Job, count| count == 0 || count + job.commands.len() <= BATCH;
        while queue.front().is_some_and(|job| fits(job, count)) {
            let Some(job) = queue.pop_front() else { break };
            count += job.commands.len();
            jobs.push(job);
        }
        self.waiting -= jobs.len();
        jobs
    }
}

impl Lanes {
    pub(crate) fn new(desk: Arc<Desk>, options: &crate::Options) -> Arc<Self> {
        Arc::new(Self {
            desk,
            queues: Mutex::default(),
            idle: Notify::new(),
            horizon: Horizon::default(),
            meter: Meter::default(),
            limit: options.queue,
            deadline: options.deadline,
            patience: options.patience,
            threads: Handle::current(),
        })
    }

    /// Takes commands of one book, in the order of asking.
    pub(crate) async fn submit(self: &Arc<Self>, book: BookNo, commands: Vec<Command>) -> Answers {
        let count = commands.len();
        let deadline = Instant::now() + self.deadline;
        let (reply, answer) = oneshot::channel();
        let job = Job {
            commands: commands.into(),
            deadline,
            reply,
            uncertain: None,
        };
        match self.enqueue(book, job) {
            // A batch may be on its way when the time of some of its jobs is over; to those that still wait the lane can say
            // that nothing was done. Whoever drops the reply unanswered stopped in the middle.
            Ok(()) => match timeout_at(deadline + GRACE, answer).await {
                Ok(Ok(answers)) => answers,
                Ok(Err(_)) | Err(_) => vec![Err(StoreError::UnknownFate); count],
            },
            Err(error) => vec![Err(error); count],
        }
    }

    fn enqueue(self: &Arc<Self>, book: BookNo, job: Job) -> Result<(), StoreError> {
        let mut queues = self.queues.lock();
        if queues.closed {
            return Err(StoreError::Closed("it was stopped".into()));
        }
        if queues.waiting >= self.limit {
            return Err(StoreError::Busy);
        }
        queues.waiting += 1;
        if let Some(queue) = queues.by_book.get_mut(&book) {
            queue.push_back(job);
            return Ok(());
        }
        queues.by_book.insert(book, VecDeque::from([job]));
        let lane = Lane {
            lanes: Arc::clone(self),
            book,
            open: true,
        };
        self.threads.spawn(lane.run());
        Ok(())
    }

    /// Takes nothing any more, and waits until what was taken is done.
    pub(crate) async fn close(&self) {
        self.queues.lock().closed = true;
        loop {
            let idle = self.idle.notified();
            if self.queues.lock().by_book.is_empty() {
                return;
            }
            idle.await;
        }
    }
}

/// The one worker of a book, while there is something to do.
struct Lane {
    lanes: Arc<Lanes>,
    book: BookNo,
    open: bool,
}

impl Lane {
    async fn run(mut self) {
        loop {
            self.gather().await;
            let Some(jobs) = self.next() else { return };
            self.work(jobs).await;
        }
    }

    /// Where the book has to be waited for, because other servers write to it, a batch does not ask for it with the first
    /// command that comes after the last batch: those that come a moment later are looked up together with it.
    async fn gather(&self) {
        let pause = (self.lanes.desk.shelf.waited(self.book) / 4).min(GATHER.1);
        if pause >= GATHER.0 {
            sleep(pause).await;
        }
    }

    /// The jobs of the next batch; `None`, and the lane is closed, when there are none.
    fn next(&mut self) -> Option<Vec<Job>> {
        let mut queues = self.lanes.queues.lock();
        let jobs = queues.pop(self.book, 0);
        if jobs.is_empty() {
            self.open = false;
            close_queue(&mut queues, self.book, &self.lanes.idle);
            return None;
        }
        Some(jobs)
    }

    /// Tries a batch until it is done; a job whose time is over leaves it.
    async fn work(&self, mut jobs: Vec<Job>) {
        let mut pause = PAUSE.0;
        loop {
            jobs = drop_late(jobs);
            let Some(first) = jobs.iter().map(|job| job.deadline).min() else {
                return;
            };
            let tried = self.attempt(&mut jobs).await;
            let failure = match tried.ended {
                Ok(position) => {
                    self.answer(jobs, tried.outcomes, position);
                    return;
                }
                Err(failure) => failure,
            };
            match failure {
                Failure::Passing(why) => {
                    if tried.sent {
                        note_uncertain(&mut jobs, tried.outcomes);
                    }
                    tracing::debug!(book = self.book.0, why, "a batch is tried again");
                    sleep_until(first.min(Instant::now() + pause)).await;
                    pause = (2 * pause).min(PAUSE.1);
                }
                Failure::NoSpace => {
                    self.lanes.desk.space.ran_out();
                    return refuse(jobs, &StoreError::NoSpace);
                }
                Failure::Lasting(error) => return refuse(jobs, &error),
            }
        }
    }

    /// Tries a batch once. What has come by the time the book is locked joins it.
    async fn attempt(&self, jobs: &mut Vec<Job>) -> Tried {
        let deadline = Instant::now() + self.lanes.patience;
        let last = jobs.iter().map(|job| job.deadline).max().unwrap_or(deadline);
        let first = jobs.iter().map(|job| Arc::clone(&job.commands)).collect();
        let mut late = || {
            let count = jobs.iter().map(|job| job.commands.len()).sum();
            let late = self.lanes.queues.lock().pop(self.book, count);
            let commands = late.iter().map(|job| Arc::clone(&job.commands)).collect();
            jobs.extend(late);
            commands
        };
        self.lanes
            .desk
            .try_take(self.book, first, &mut late, deadline.min(last))
            .await
    }

    fn answer(&self, jobs: Vec<Job>, outcomes: Answers, position: Position) {
        tracing::trace!(
            book = self.book.0,
            position = position.0,
            jobs = jobs.len(),
            "committed"
        );
        self.lanes.horizon.rise(self.book, position);
        self.lanes.meter.batches.observe(outcomes.len() as u64);
        let mut outcomes = outcomes.into_iter();
        for job in jobs {
            let mut answers: Answers = outcomes.by_ref().take(job.commands.len()).collect();
            if let Some(before) = job.uncertain {
                answers
                    .iter_mut()
                    .zip(before)
                    .for_each(|(now, before)| own_again(now, before));
            }
            // A caller that has gone is no error.
            let _ = job.reply.send(answers);
        }
    }
}

/// What is found under its key is this very server's doing, when it is what was decided here: then it is no replay. Another
/// server may have decided the same to the microsecond, as both stamp what is late just after the newest record; then both call
/// it theirs, and it is there once all the same.
fn own_again(now: &mut Result<Outcome, StoreError>, before: Result<Outcome, StoreError>) {
    if let (Ok(Outcome::Replayed(found)), Ok(Outcome::Recorded(decided))) = (&*now, &before)
        && found == decided
    {
        *now = before;
    }
}

fn note_uncertain(jobs: &mut [Job], outcomes: Answers) {
    let mut outcomes = outcomes.into_iter();
    for job in jobs {
        let answers: Answers = outcomes.by_ref().take(job.commands.len()).collect();
        // The first uncertain try is the likeliest to be the one that was done; a later one decides the same anew.
        let done = |answer: &Result<Outcome, StoreError>| matches!(answer, Ok(Outcome::Recorded(_)));
        if job.uncertain.is_none() || answers.iter().any(done) {
            job.uncertain = Some(answers);
        }
    }
}

/// Answers the jobs whose time is over.
fn drop_late(jobs: Vec<Job>) -> Vec<Job> {
    let now = Instant::now();
    let (late, left): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|job| job.deadline <= now);
    refuse(late, &StoreError::Busy);
    left
}

/// Answers that nothing was done, or, where that is not known, that it is not.
fn refuse(jobs: Vec<Job>, error: &StoreError) {
    for job in jobs {
        let error = match job.uncertain {
            Some(_) => StoreError::UnknownFate,
            None => error.clone(),
        };
        let _ = job.reply.send(vec![Err(error); job.commands.len()]);
    }
}

impl Drop for Lane {
    /// Also when a batch ended in a panic: what waits behind it is not known to be done, and is not.
    fn drop(&mut self) {
        if self.open {
            close_queue(&mut self.lanes.queues.lock(), self.book, &self.lanes.idle);
        }
    }
}

fn close_queue(queues: &mut Queues, book: BookNo, idle: &Notify) {
    if let Some(left) = queues.by_book.remove(&book) {
        queues.waiting -= left.len();
    }
    if queues.by_book.is_empty() {
        idle.notify_waiters();
    }
}
