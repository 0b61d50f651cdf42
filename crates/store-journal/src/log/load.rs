//! Filling the key table when a store is opened: from the runs, by parts of the range of hashes, so that all processors
//! help and only what they are at is in memory twice.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::keytable::KeyTable;
use super::run::{Run, RunError};
use super::segment::Locator;

/// About how many pairs a part has.
const PART_PAIRS: u64 = 1 << 19;
/// The most parts: each has whole shards.
const PARTS: u64 = 256;

/// Fills an empty table from runs, and from ascending pairs that are in memory already. A run that can't be read or was damaged is the error,
/// with its place among the runs; the table is then of no use.
pub fn load(
    keys: &KeyTable,
    runs: &[Run<'_>],
    made: &[Vec<(u64, Locator)>],
) -> Result<(), (usize, RunError)> {
    let all: u64 = runs.iter().map(Run::count).sum();
    let parts = (all / PART_PAIRS).clamp(1, PARTS).next_power_of_two();
    let next = AtomicU64::new(0);
    let work = || {
        let mut checked = Vec::new();
        loop {
            let part = next.fetch_add(1, Ordering::Relaxed);
            if part >= parts {
                return Ok(checked);
            }
            match load_part(keys, runs, made, part, parts) {
                Ok(checksums) => checked.push((part, checksums)),
                Err(error) => {
                    // What the others would load is of no use.
                    next.store(parts, Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
    };
    // What is small is loaded by who opens it.
    let helpers = thread::available_parallelism().map_or(0, |all| all.get() - 1);
    let helpers = helpers.min(parts as usize - 1);
    let mut checked = thread::scope(|scope| {
        // Where there is no thread to be had, there is one less to help.
        let begin = |_| thread::Builder::new().spawn_scoped(scope, work).ok();
        let helpers: Vec<_> = (0..helpers).filter_map(begin).collect();
        let mut checked = work()?;
        for helper in helpers {
            checked.extend(helper.join().expect("loading a part panics as it would here")?);
        }
        Ok(checked)
    })?;
    checked.sort_unstable_by_key(|(part, _)| *part);
    for (nth, run) in runs.iter().enumerate() {
        let crcs = checked.iter().map(|(_, crcs)| crcs[nth]);
        let crc = crcs.fold(0, |crc, (next, bytes)| crc32c::crc32c_combine(crc, next, bytes));
        run.check(crc).map_err(|error| (nth, error))?;
    }
    Ok(())
}

/// Loads one part; answers the checksum of each run's share and how many bytes it has.
fn load_part(
    keys: &KeyTable,
    runs: &[Run<'_>],
    made: &[Vec<(u64, Locator)>],
    part: u64,
    parts: u64,
) -> Result<Vec<(u32, usize)>, (usize, RunError)> {
    // The highest bits of a hash say which part it is of. Of a single part they are none.
    let start = |part: u64| (part < parts).then(|| part.checked_shl(64 - parts.ilog2()).unwrap_or(0));
    let (from, to) = (start(part), start(part + 1));
    let mut read = Vec::with_capacity(runs.len());
    let mut checksums = Vec::with_capacity(runs.len());
    for (nth, run) in runs.iter().enumerate() {
        let mut pairs = Vec::new();
        let share = run.open().and_then(|file| {
            let at = |hash: Option<u64>| match hash {
                Some(0) => Ok(0),
                Some(hash) => file.before(hash),
                None => Ok(run.count()),
            };
            let crc = file.read(at(from)?..at(to)?, &mut pairs)?;
            // It is not known to be what was written before all of it was read.
            let within = |(hash, at): &(u64, Locator)| {
                from.is_none_or(|from| *hash >= from) && to.is_none_or(|to| *hash < to) && at.get() != 0
            };
            match pairs.is_sorted() && pairs.iter().all(within) {
                true => Ok(crc),
                false => Err(run.damaged("its pairs are not in order")),
            }
        });
        let crc = share.map_err(|error| (nth, error))?;
        checksums.push((crc, pairs.len() * size_of::<(u64, Locator)>()));
        read.push(pairs);
    }
    let here = made.iter().map(|pairs| {
        let place = |hash: u64| pairs.partition_point(|pair| pair.0 < hash);
        &pairs[from.map_or(0, place)..to.map_or(pairs.len(), place)]
    });
    keys.load_runs(&here.chain(read.iter().map(Vec::as_slice)).collect::<Vec<_>>());
    Ok(checksums)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::run::{run_name, write_run};
    use crate::log::{Disk, StoreId, key_hash};
    use crate::simulation::SimDisk;

    const STORE: StoreId = [5; 16];

    fn pairs(numbers: std::ops::Range<u64>) -> Vec<(u64, Locator)> {
        let mut pairs: Vec<_> = numbers
            .map(|n| (key_hash(1, 2, 3, &n.to_le_bytes()), Locator::new(n + 1)))
            .collect();
        pairs.sort_unstable();
        pairs
    }

    fn runs(disk: &SimDisk, segments: u32) -> Vec<Run<'_>> {
        (1..=segments)
            .map(|segment| Run::of(disk, &STORE, segment).expect("written"))
            .collect()
    }

    #[test]
    fn a_table_has_what_is_in_the_runs_and_what_was_made() {
        let disk = SimDisk::new(0);
        let each = 2 * PART_PAIRS;
        for segment in 1..=2 {
            let first = u64::from(segment) * each;
            write_run(&disk, &STORE, segment, &mut pairs(first..first + each)).unwrap();
        }
        write_run(&disk, &STORE, 3, &mut []).unwrap();
        let made = pairs(0..each);
        let keys = KeyTable::new();
        load(&keys, &runs(&disk, 3), &[made]).unwrap();
        assert_eq!(keys.len(), 3 * each);
        for n in (0..3 * each).step_by(1001) {
            assert_eq!(
                keys.candidates(key_hash(1, 2, 3, &n.to_le_bytes()))[..],
                [Locator::new(n + 1)]
            );
        }
    }

    #[test]
    fn nothing_is_loaded_from_nothing() {
        let keys = KeyTable::new();
        load(&keys, &[], &[]).unwrap();
        assert!(keys.is_empty());
    }

    #[test]
    fn a_damaged_run_is_named() {
        let disk = SimDisk::new(0);
        let count = 2 * PART_PAIRS;
        write_run(&disk, &STORE, 1, &mut pairs(0..1000)).unwrap();
        write_run(&disk, &STORE, 2, &mut pairs(1000..1000 + count)).unwrap();
        let good = disk.content(&run_name(2));
        for place in [64, 72, 64 + 16 * PART_PAIRS as usize, good.len() - 1] {
            let mut bad = good.clone();
            bad[place] ^= 0x40;
            disk.set(&run_name(2), bad);
            let found = load(&KeyTable::new(), &runs(&disk, 2), &[]);
            assert!(
                matches!(found, Err((1, RunError::Damaged { .. }))),
                "byte {place}"
            );
        }
        // Two that changed places: in order, and not what was written.
        let mut bad = good.clone();
        bad[64 + 8..64 + 16].copy_from_slice(&7_u64.to_le_bytes());
        disk.set(&run_name(2), bad);
        assert!(matches!(
            load(&KeyTable::new(), &runs(&disk, 2), &[]),
            Err((1, RunError::Damaged { .. }))
        ));
        disk.set(&run_name(2), good);
        assert!(load(&KeyTable::new(), &runs(&disk, 2), &[]).is_ok());
        disk.remove(&run_name(1)).unwrap();
    }
}
