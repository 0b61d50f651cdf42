//! The log as a whole: what comes back after a stop, a kill, a tear, damage, a full disk.

mod recovery;

use std::sync::Arc;

use super::*;
use crate::simulation::SimDisk;

const STORE: StoreId = [7; 16];

/// What a log is expected to hold: each frame's sequence and its records' payloads.
type Content = Vec<(u64, Vec<Vec<u8>>)>;

fn options() -> LogOptions {
    // Smaller than in production tests, since each case reads all of it.
    LogOptions {
        sizes: SegmentSizes {
            first: 16 << 10,
            rest: 32 << 10,
        },
        max_frame: 256 << 10,
    }
}

fn open(disk: &SimDisk) -> Result<(Log, Recovery), LogError> {
    Log::open(disk.disk(), options(), None)
}

fn payload(seed: u64, length: usize) -> Vec<u8> {
    (0..length).map(|i| (seed as usize * 31 + i * 7) as u8).collect()
}

fn append(log: &Log, planner: &mut Planner, payloads: &[Vec<u8>]) -> (FrameInfo, Vec<Locator>) {
    let mut frame = FrameBuf::new();
    let offsets: Vec<u32> = payloads.iter().map(|payload| frame.push(payload)).collect();
    let info = log.append(planner, 1000, &mut frame).unwrap();
    let first = info.position.start.get();
    (
        info,
        offsets
            .into_iter()
            .map(|offset| Locator::new(first + u64::from(offset)))
            .collect(),
    )
}

/// A log of so many frames, each of two records of about this length.
fn filled(disk: &SimDisk, frames: u64, length: usize) -> (Log, Planner, Content, Vec<FrameInfo>) {
    let log = Log::create(disk.disk(), options(), STORE).unwrap();
    let mut planner = log.planner();
    let (mut content, mut infos) = (Vec::new(), Vec::new());
    for i in 1..=frames {
        let payloads = vec![payload(i, length), payload(i + 1, length + 3)];
        infos.push(append(&log, &mut planner, &payloads).0);
        content.push((i, payloads));
    }
    (log, planner, content, infos)
}

fn content(mut scan: Scan) -> Result<Content, LogError> {
    let mut content = Vec::new();
    while let Some(frame) = scan.next_frame()? {
        if frame.header.kind == FrameKind::Data {
            content.push((
                frame.header.sequence,
                frame.records().map(|(_, payload)| payload.to_vec()).collect(),
            ));
        }
    }
    Ok(content)
}

fn all(log: &Log) -> Content {
    let reader = log.reader();
    content(reader.scan(reader.origin()).unwrap()).unwrap()
}

#[test]
fn a_clean_stop_comes_back_clean() {
    let disk = SimDisk::new(0);
    let (log, planner, content, infos) = filled(&disk, 5, 40);
    assert_eq!(all(&log), content);
    let closed = log.close(planner, 2000).unwrap();
    assert_eq!(closed.sequence, 6);
    let (log, recovery) = open(&disk).unwrap();
    assert_eq!((recovery.frames, recovery.records, recovery.clean), (6, 10, true));
    assert_eq!((recovery.bytes_cut, recovery.position), (0, closed));
    assert_eq!(all(&log), content);
    // The next frame follows the closing one, and then the log is not clean.
    let mut planner = log.planner();
    let (info, _) = append(&log, &mut planner, &[b"after".to_vec()]);
    assert_eq!((info.sequence, info.position.start), (7, closed.end));
    drop(log);
    let (_, recovery) = Log::open(disk.disk(), options(), Some(infos[2].position)).unwrap();
    assert_eq!((recovery.frames, recovery.clean), (4, false));
}

#[test]
fn records_are_read_by_their_locators() {
    let disk = SimDisk::new(0);
    let log = Log::create(disk.disk(), options(), STORE).unwrap();
    let mut planner = log.planner();
    let payloads = vec![
        vec![],
        payload(1, 20),
        payload(2, 503),
        payload(3, 504),
        payload(4, 9000),
        payload(5, 507),
    ];
    let (_, places) = append(&log, &mut planner, &payloads);
    let reader = log.reader();
    let mut buffer = RecordBuf::default();
    for (at, payload) in places.iter().zip(&payloads) {
        let before = disk.operations().reads;
        assert_eq!(reader.read_into(*at, &mut buffer).unwrap(), &payload[..]);
        assert_eq!(
            disk.operations().reads - before,
            if payload.len() > 506 { 2 } else { 1 }
        );
        assert_eq!(reader.read_record(*at).unwrap(), *payload);
    }
    assert!(matches!(
        reader.read_record(Locator::new(3)),
        Err(LogError::BadLocator(_))
    ));
    assert!(matches!(
        reader.read_record(Locator::new(1 << 40)),
        Err(LogError::BadLocator(_))
    ));
    assert!(matches!(
        reader.read_record(Locator::new(places[1].get() + 1)),
        Err(LogError::Damaged(_))
    ));
    assert!(
        matches!(
            reader.read_record(Locator::new(16_380)),
            Err(LogError::Damaged(_))
        ),
        "unused space"
    );
    disk.flip("00000001.log", places[4].get() as usize + 4000, 0x5A);
    let error = reader.read_record(places[4]).unwrap_err().to_string();
    assert!(
        error.contains("00000001.log") && error.contains(&format!("byte {}", places[4].get())),
        "{error}"
    );
    assert_eq!(
        reader.read_record(places[3]).unwrap(),
        payloads[3],
        "others are whole"
    );
}

#[test]
fn frames_roll_over_segments() {
    let disk = SimDisk::new(0);
    let (log, planner, content, infos) = filled(&disk, 60, 1000);
    assert_eq!(all(&log), content);
    let sealed: Vec<u32> = infos.iter().filter_map(|info| info.sealed).collect();
    assert_eq!(sealed, [1, 2, 3, 4]);
    let reader = log.reader();
    let spans = reader.segments();
    assert_eq!(spans.len(), 5);
    assert!(spans.windows(2).all(|pair| pair[0].end() == pair[1].base));
    assert!(
        infos
            .windows(2)
            .all(|pair| pair[0].position.end <= pair[1].position.start),
        "places ascend"
    );
    for (info, (_, payloads)) in infos.iter().zip(&content) {
        assert_eq!(reader.read_record(info.first_record).unwrap(), payloads[0]);
    }
    for sequence in 0..=61 {
        let scanned = super::tests::content(reader.scan_sequence(sequence).unwrap()).unwrap();
        assert_eq!(
            scanned,
            content[sequence.clamp(1, 61) as usize - 1..],
            "from {sequence}"
        );
    }
    let in_segments: Vec<u64> = (1..=5)
        .flat_map(|number| super::tests::content(reader.scan_segment(number).unwrap()).unwrap())
        .map(|frame| frame.0)
        .collect();
    assert_eq!(in_segments, (1..=60).collect::<Vec<_>>());
    let mut steps = 0;
    let verified = reader.verify_all(|_| steps += 1).unwrap();
    assert_eq!(
        (verified.frames, verified.records, verified.sequence, steps),
        (60, 120, 60, 60)
    );
    log.close(planner, 0).unwrap();
    for info in &infos {
        let (log, recovery) = Log::open(disk.disk(), options(), Some(info.position)).unwrap();
        assert_eq!((recovery.frames, recovery.clean), (61 - info.sequence, true));
        assert_eq!(all(&log), content);
    }
}

#[test]
fn a_frame_larger_than_a_segment_gets_one_of_its_own() {
    let disk = SimDisk::new(0);
    let log = Log::create(disk.disk(), options(), STORE).unwrap();
    let mut planner = log.planner();
    let large = payload(1, 100_000);
    let (info, places) = append(&log, &mut planner, std::slice::from_ref(&large));
    assert_eq!(info.sealed, Some(1), "the first segment stays empty");
    assert_eq!(log.reader().read_record(places[0]).unwrap(), large);
    // One that is ready but too small is replaced.
    let small = append(&log, &mut planner, &[payload(2, 10)]).0;
    assert_eq!(small.sealed, Some(2));
    while planner.room() > 10_000 {
        append(&log, &mut planner, &[payload(3, 5000)]);
    }
    let (info, places) = append(&log, &mut planner, std::slice::from_ref(&large));
    assert_eq!(info.sealed, Some(3));
    assert_eq!(log.reader().read_record(places[0]).unwrap(), large);
    let expected = all(&log);
    assert_eq!(
        log.reader().verify_all(|_| ()).unwrap().frames,
        expected.len() as u64
    );
    assert!(matches!(
        log.reserve(&mut planner, (256 << 10) + 1),
        Err(LogError::FrameTooLarge { limit, .. }) if limit == 256 << 10
    ));
    drop(log);
    let (log, recovery) = open(&disk).unwrap();
    assert_eq!(all(&log), expected);
    assert_eq!(recovery.frames, expected.len() as u64);
    assert_eq!(
        super::tests::content(log.reader().scan_sequence(2).unwrap()).unwrap(),
        expected[1..]
    );
}

#[test]
fn plans_run_ahead_of_writing() {
    let disk = SimDisk::new(0);
    let log = Log::create(disk.disk(), options(), STORE).unwrap();
    let mut planner = log.planner();
    let mut planned = Vec::new();
    for i in 0..40_u64 {
        // The worst case is reserved and decides where the frame begins; it then turns out smaller.
        log.reserve(&mut planner, 3000).unwrap();
        let start = planner.start(3000).unwrap();
        let mut frame = FrameBuf::new();
        let at = start.record(frame.next_offset());
        assert_eq!(at, start.first_record());
        let before = planned.last().map_or(0, |(_, _, at): &(_, _, Locator)| at.get());
        frame.push_parts(&[&before.to_le_bytes(), &payload(i, 1500 + i as usize)]);
        planner.advance(start, frame.frame_len());
        planned.push((start, frame, at));
        if planned.len() >= 2 && i % 2 == 1 {
            for (start, frame, _) in planned.iter_mut().rev().take(2).rev() {
                log.write_frame(*start, FrameKind::Data, 5, frame).unwrap();
                log.sync().unwrap();
            }
        }
    }
    let reader = log.reader();
    let mut at = planned.last().unwrap().2;
    let mut steps = 0;
    while at.get() != 0 {
        let payload = reader.read_record(at).unwrap();
        at = Locator::new(u64::from_le_bytes(payload[..8].try_into().unwrap()));
        steps += 1;
    }
    assert_eq!(steps, 40, "each record leads to the one before");
}

#[test]
#[should_panic(expected = "only after the one before is synced")]
fn a_frame_waits_for_the_sync_before() {
    let disk = SimDisk::new(0);
    let log = Log::create(disk.disk(), options(), STORE).unwrap();
    let mut planner = log.planner();
    for _ in 0..2 {
        let mut frame = FrameBuf::new();
        frame.push(b"x");
        let start = planner.start(frame.frame_len()).unwrap();
        planner.advance(start, frame.frame_len());
        log.write_frame(start, FrameKind::Data, 0, &mut frame).unwrap();
    }
}

#[test]
fn a_flip_in_unused_space_is_found_by_verify() {
    let disk = SimDisk::new(0);
    let (log, _, _, infos) = filled(&disk, 20, 1000);
    let end = infos[infos.iter().position(|info| info.sealed.is_some()).unwrap() - 1]
        .position
        .end
        .get();
    disk.flip("00000001.log", end as usize + 3, 0x5A);
    let error = log.reader().verify_all(|_| ()).unwrap_err().to_string();
    assert!(
        error.contains(&format!("00000001.log, byte {}", end + 3)),
        "{error}"
    );
}

#[test]
fn a_full_disk_shows_only_when_reserving() {
    let disk = SimDisk::new(0);
    let log = Log::create(disk.disk(), options(), STORE).unwrap();
    let mut planner = log.planner();
    disk.leave(10_000);
    let mut frames = 0;
    let refused = loop {
        if let Err(error) = log.reserve(&mut planner, 1200) {
            break error;
        }
        append(&log, &mut planner, &[payload(frames, 1000)]);
        frames += 1;
    };
    assert!(matches!(refused, LogError::NoSpace { .. }), "{refused}");
    assert!(frames >= 12);
    assert!(matches!(
        log.reserve(&mut planner, 1200),
        Err(LogError::NoSpace { .. })
    ));
    assert!(matches!(planner.start(1200), Err(LogError::NotReserved { .. })));
    assert_eq!(all(&log).len() as u64, frames, "reading goes on");
    append(&log, &mut planner, &[vec![1]]);
    disk.leave(1 << 20);
    log.reserve(&mut planner, 1200).unwrap();
    let (info, _) = append(&log, &mut planner, &[payload(frames, 1000)]);
    assert_eq!(info.sealed, Some(1));
    let expected = all(&log);
    drop(log);
    assert_eq!(all(&open(&disk).unwrap().0), expected);
}

#[test]
fn a_failed_write_or_sync_poisons() {
    for sync in [false, true] {
        let disk = SimDisk::new(0);
        let (log, mut planner, content, _) = filled(&disk, 2, 30);
        let mut frame = FrameBuf::new();
        frame.push(b"lost");
        disk.fail_writes(!sync);
        disk.fail_syncs(sync);
        assert!(matches!(
            log.append(&mut planner, 0, &mut frame),
            Err(LogError::WriteFailed(_))
        ));
        disk.fail_writes(false);
        disk.fail_syncs(false);
        assert!(matches!(log.sync(), Err(LogError::Poisoned)));
        assert!(matches!(log.reserve(&mut planner, 10), Err(LogError::Poisoned)));
        assert_eq!(all(&log), content, "readers don't see what may not be durable");
    }
}

#[test]
fn a_scan_goes_on_with_what_comes_later() {
    let disk = SimDisk::new(0);
    let log = Log::create(disk.disk(), options(), STORE).unwrap();
    let mut planner = log.planner();
    let mut scan = log.reader().scan(log.position()).unwrap();
    assert!(scan.next_frame().unwrap().is_none());
    for i in 1..=80_u64 {
        append(&log, &mut planner, &[payload(i, 900)]);
        assert_eq!(scan.next_frame().unwrap().unwrap().header.sequence, i);
        assert!(scan.next_frame().unwrap().is_none());
    }
}

#[test]
fn the_next_segment_is_made_ahead() {
    let disk = SimDisk::new(0);
    let log = Log::create(disk.disk(), options(), STORE).unwrap();
    let mut planner = log.planner();
    let mut due = Vec::new();
    for i in 0..12 {
        append(&log, &mut planner, &[payload(i, 1000)]);
        due.extend(planner.next_is_due());
    }
    assert_eq!(planner.end().get() / (16 << 10), 0, "still in the first segment");
    assert_eq!(
        due.iter().map(|span| span.number).collect::<Vec<_>>(),
        [1],
        "once"
    );
    log.prepare(due[0]).unwrap();
    drop(log);
    assert_eq!(disk.content("00000002.log").len(), 32 << 10);
    let (log, _) = open(&disk).unwrap();
    assert_eq!(log.reader().segments().len(), 1, "what is unused is not shown");
    let before = disk.names();
    let mut planner = log.planner();
    for i in 0..6 {
        append(&log, &mut planner, &[payload(i, 1000)]);
    }
    assert_eq!(disk.names(), before, "it is used, not made again");
}

#[test]
fn a_real_folder_works_and_is_locked() {
    let folder = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::create(folder.path().join("store")).unwrap());
    let log = Log::create(Arc::clone(&disk), LogOptions::small(), STORE).unwrap();
    let mut planner = log.planner();
    for i in 0..30 {
        append(&log, &mut planner, &[payload(i, 50_000)]);
    }
    let message = Log::open(Arc::clone(&disk), LogOptions::small(), None)
        .err()
        .unwrap()
        .to_string();
    assert!(message.contains("one process at a time"), "{message}");
    let expected = all(&log);
    log.close(planner, 0).unwrap();
    let mut seen = 0;
    let count = |frame: FrameView<'_>| {
        seen += u64::from(frame.header.count);
        Ok(())
    };
    let (log, recovery) = Log::open_with(disk, LogOptions::small(), None, count).unwrap();
    assert!(recovery.clean);
    assert_eq!(seen, 30);
    assert_eq!(all(&log), expected);
    assert!(folder.path().join("store/00000002.log").exists());
}
