//! Many runs, on several threads.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::{Tally, Violation, run};

/// Runs seed after seed from the first one on, on so many threads, as long as `go_on` says so: it is told how many seeds
/// were begun, and what the runs that ended add up to.
///
/// # Errors
/// The first run that went wrong; those under way are still ended.
pub fn run_many(
    first: u64,
    threads: usize,
    go_on: impl Fn(u64, &Tally) -> bool + Sync,
) -> Result<Tally, Box<Violation>> {
    let begun = AtomicU64::new(0);
    let so_far = Mutex::new(Ok(Tally::default()));
    let lane = || {
        loop {
            let nth = begun.fetch_add(1, Ordering::Relaxed);
            if !so_far.lock().as_ref().is_ok_and(|tally| go_on(nth, tally)) {
                return;
            }
            let ran = run(first.wrapping_add(nth));
            let so_far = &mut *so_far.lock();
            match (so_far.as_mut(), ran) {
                (Ok(tally), Ok(more)) => tally.add(&more),
                (Ok(_), Err(violation)) => *so_far = Err(violation),
                (Err(_), _) => return,
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(lane);
        }
    });
    so_far.into_inner()
}
