//! Torn tails and damage.

use super::super::frame::Seal;
use super::super::segment::{SEGMENT_HEADER, file_name};
use super::*;

fn damage(result: Result<(Log, Recovery), LogError>) -> Damage {
    match result {
        Err(LogError::Damaged(damage)) => *damage,
        Err(other) => panic!("another error: {other}"),
        Ok((_, recovery)) => panic!("opened: {recovery:?}"),
    }
}

/// A tear of the last frame must be cut, the rest be there, and the log go on.
fn check_cut(disk: &SimDisk, kept: &Content, what: &str) {
    let (log, recovery) = open(disk).unwrap_or_else(|e| panic!("{what}: {e}"));
    let last = kept.len() as u64;
    assert_eq!((recovery.frames, recovery.clean), (last, false), "{what}");
    assert_eq!(recovery.bytes_cut > 0, !recovery.cut_files.is_empty());
    for name in &recovery.cut_files {
        assert!(name.starts_with(&format!("torn-{}", last + 1)), "{what}: {name}");
        assert_eq!(disk.content(name).len() as u64, recovery.bytes_cut);
    }
    assert_eq!(all(&log), *kept, "{what}");
    let mut planner = log.planner();
    append(&log, &mut planner, &[b"new".to_vec()]);
    drop(log);
    let (log, recovery) = open(disk).unwrap();
    assert_eq!((recovery.frames, recovery.bytes_cut), (last + 1, 0), "{what}");
    assert_eq!(log.reader().verify_all(|_| ()).unwrap().frames, last + 1);
}

fn torn_at_every_byte(frames: u64, length: usize) {
    let disk = SimDisk::new(0);
    let (log, _, mut kept, infos) = filled(&disk, frames, length);
    let last = infos.last().unwrap().position;
    let segment = *log.reader().segments().last().unwrap();
    drop(log);
    kept.pop();
    let name = file_name(segment.number);
    let (start, end) = (
        (last.start.get() - segment.base) as usize,
        (last.end.get() - segment.base) as usize,
    );
    for at in start..end {
        let torn = disk.copy();
        torn.flip(&name, at, 0x5A);
        check_cut(&torn, &kept, &format!("byte {at} flipped"));
        let torn = disk.copy();
        let mut bytes = torn.content(&name);
        bytes[at..].fill(0);
        torn.set(&name, bytes.clone());
        check_cut(&torn, &kept, &format!("zero from {at}"));
        bytes.truncate(at);
        torn.set(&name, bytes);
        let found = damage(open(&torn));
        assert_eq!(
            (found.segment, found.offset),
            (segment.number, at as u64),
            "{found}"
        );
        let torn = disk.copy();
        let mut bytes = torn.content(&name);
        bytes[start..at].fill(0);
        torn.set(&name, bytes);
        if at > start {
            check_cut(&torn, &kept, &format!("zero up to {at}"));
        }
    }
}

#[test]
fn a_torn_tail_is_cut_wherever_it_tore() {
    torn_at_every_byte(3, 20);
}

#[test]
fn a_torn_first_frame_of_a_segment_is_cut() {
    let disk = SimDisk::new(0);
    let (_, _, _, infos) = filled(&disk, 20, 1500);
    let frames = infos.iter().find(|info| info.sealed.is_some()).unwrap().sequence;
    let disk = SimDisk::new(0);
    let (log, _, mut kept, infos) = filled(&disk, frames, 1500);
    drop(log);
    kept.pop();
    let length = infos.last().unwrap().position.end.get() - infos.last().unwrap().position.start.get();
    for at in (0..length as usize).step_by(97) {
        let torn = disk.copy();
        torn.flip("00000002.log", SEGMENT_HEADER as usize + at, 0x5A);
        check_cut(&torn, &kept, &format!("byte {at} flipped"));
    }
}

#[test]
fn cut_bytes_never_overwrite_earlier_ones() {
    let disk = SimDisk::new(0);
    let (log, _, _, infos) = filled(&disk, 2, 20);
    drop(log);
    let (start, end) = (
        infos[1].position.start.get() as usize,
        infos[1].position.end.get() as usize,
    );
    let whole = disk.content("00000001.log");
    disk.flip("00000001.log", start + 60, 0x5A);
    let torn = disk.content("00000001.log")[start..end].to_vec();
    assert_eq!(open(&disk).unwrap().1.cut_files, ["torn-2.bin"]);
    assert_eq!(disk.content("torn-2.bin"), torn);
    disk.set("00000001.log", whole);
    disk.flip("00000001.log", start, 0x5A);
    assert_eq!(open(&disk).unwrap().1.cut_files, ["torn-2-2.bin"]);
    assert_eq!(disk.content("torn-2.bin"), torn);
}

fn zeros_lost(seed: u64) {
    let disk = SimDisk::new(seed);
    let (log, _, kept, infos) = filled(&disk, 3, 600);
    drop(log);
    // A torn fourth frame.
    let end = infos.last().unwrap().position.end.get() as usize;
    disk.flip("00000001.log", end + 900, 0x5A);
    let reads_as_zeros = || disk.content("00000001.log")[end..].iter().all(|byte| *byte == 0);
    // The sync of the zeros is the first that fails when they are there.
    for syncs in 0.. {
        disk.fail_sync_after(Some(syncs));
        assert!(open(&disk).is_err(), "no sync of the zeros failed");
        if reads_as_zeros() {
            break;
        }
        disk.heal();
    }
    disk.heal();
    // A frame that is too large for the rest of the segment leaves that as it is.
    let (log, recovery) = open(&disk).unwrap();
    assert_eq!(
        (recovery.frames, recovery.bytes_cut),
        (3, 0),
        "they read as zeros"
    );
    assert_eq!(all(&log), kept);
    let mut planner = log.planner();
    let (info, _) = append(&log, &mut planner, &[payload(4, 15 << 10)]);
    assert!(info.sealed.is_some(), "it is in the second segment");
    drop(log);
    disk.lose_power();
    let (log, recovery) = open(&disk).unwrap();
    assert_eq!((recovery.frames, recovery.bytes_cut), (4, 0));
    assert_eq!(log.reader().verify_all(|_| ()).unwrap().frames, 4);
}

#[test]
fn zeros_that_a_failed_sync_lost_are_written_again() {
    // What a failed sync keeps and what it loses is by chance.
    (0..20).for_each(zeros_lost);
}

#[test]
fn damage_in_an_earlier_frame_is_named() {
    let disk = SimDisk::new(0);
    let (log, planner, _, infos) = filled(&disk, 40, 600);
    log.close(planner, 0).unwrap();
    for victim in [1, 2, 9, 20, 39] {
        let position = infos[victim].position;
        for at in [0, 5, 9, 13, 17, 33, 45, 56, 60, 700] {
            let bad = disk.copy();
            let (log, _) = open(&bad).unwrap();
            let span = log
                .reader()
                .segments()
                .into_iter()
                .rfind(|span| span.base <= position.start.get())
                .unwrap();
            let offset = position.start.get() - span.base;
            bad.flip(&file_name(span.number), offset as usize + at, 0x5A);
            let error = log.reader().verify_all(|_| ()).unwrap_err().to_string();
            let frame = format!("{}, byte {offset}, frame {}", file_name(span.number), victim + 1);
            assert!(error.contains(&frame), "{error} instead of {frame}");
            drop(log);
            let before = bad.content(&file_name(span.number));
            let found = damage(open(&bad));
            assert_eq!((found.segment, found.offset), (span.number, offset), "{found}");
            assert_eq!(found.sequence, Some(victim as u64 + 1));
            assert_eq!(
                bad.content(&file_name(span.number)),
                before,
                "nothing was changed"
            );
        }
    }
}

#[test]
fn what_a_position_proves_is_no_torn_tail() {
    let disk = SimDisk::new(0);
    let (log, _, _, infos) = filled(&disk, 4, 100);
    drop(log);
    let last = infos[3].position;
    disk.flip("00000001.log", last.start.get() as usize + 70, 0x5A);
    let found = damage(Log::open(disk.disk(), options(), Some(last)));
    assert_eq!((found.offset, found.sequence), (last.start.get(), Some(4)));
    let foreign = LogPosition {
        hash: [0; 16],
        ..infos[1].position
    };
    let result = Log::open(disk.disk(), options(), Some(foreign));
    assert!(matches!(result, Err(LogError::UnknownPosition { sequence: 2 })));
    let beyond = LogPosition {
        start: Locator::new(1 << 30),
        end: Locator::new(1 << 31),
        ..last
    };
    let result = Log::open(disk.disk(), options(), Some(beyond));
    assert!(matches!(result, Err(LogError::MissingSegment { number: 2 })));
}

#[test]
fn files_that_do_not_belong_together_are_refused() {
    let disk = SimDisk::new(0);
    assert!(matches!(open(&disk), Err(LogError::NotFound)));
    let (log, _, _, infos) = filled(&disk, 60, 1000);
    assert!(matches!(open(&disk), Err(LogError::Locked(_))));
    assert!(matches!(
        Log::create(disk.disk(), options(), STORE),
        Err(LogError::Locked(_))
    ));
    drop(log);
    assert!(matches!(
        Log::create(disk.disk(), options(), STORE),
        Err(LogError::Exists)
    ));
    let bad = disk.copy();
    bad.remove("00000003.log").unwrap();
    let from = Some(infos[59].position);
    assert!(matches!(
        Log::open(bad.disk(), options(), from),
        Err(LogError::MissingSegment { number: 3 })
    ));
    let other = SimDisk::new(0);
    drop(Log::create(other.disk(), options(), [8; 16]).unwrap());
    let bad = disk.copy();
    bad.set("00000001.log", other.content("00000001.log"));
    assert!(matches!(
        open(&bad),
        Err(LogError::ForeignStore { number: 2, .. })
    ));
    let bad = disk.copy();
    let mut newer = bad.content("00000002.log");
    newer[8] = 3;
    let crc = crc32c::crc32c(&newer[..60]).to_le_bytes();
    newer[60..64].copy_from_slice(&crc);
    bad.set("00000002.log", newer);
    assert!(matches!(
        open(&bad),
        Err(LogError::NewerVersion {
            number: 2,
            found: 3,
            ..
        })
    ));
    let bad = disk.copy();
    bad.flip("00000002.log", 20, 0x5A);
    assert_eq!(damage(open(&bad)).segment, 2);
    let bad = disk.copy();
    bad.set("00000009.log.new", vec![1, 2, 3]);
    drop(open(&bad).unwrap());
    assert!(
        !bad.names().contains(&"00000009.log.new".to_owned()),
        "the unfinished is removed"
    );
}

/// A whole frame as a client might smuggle it into a record, sealed for some store.
fn smuggled(store: &StoreId) -> Vec<u8> {
    let mut frame = FrameBuf::new();
    frame.push(b"money");
    let seal = Seal::new(store);
    frame.seal(&seal, FrameKind::Data, 9, 0, &[0; 16]).to_vec()
}

#[test]
fn no_client_can_make_a_torn_tail_look_like_damage() {
    for store in [[1; 16], STORE] {
        let disk = SimDisk::new(0);
        let (log, mut planner, kept, _) = filled(&disk, 2, 20);
        let position = append(&log, &mut planner, &[smuggled(&store)]).0.position;
        drop(log);
        disk.flip("00000001.log", position.start.get() as usize + 20, 0x5A);
        if store == STORE {
            // The search itself looks at every byte: only the salt, which clients don't know, tells the two apart.
            let found = damage(open(&disk));
            assert!(found.what.contains("a valid frame 9 follows"), "{found}");
        } else {
            check_cut(&disk, &kept, "smuggled");
        }
    }
}

#[test]
fn opening_makes_the_last_frame_durable() {
    let disk = SimDisk::new(0);
    let (log, mut planner, _, _) = filled(&disk, 1, 20);
    let mut frame = FrameBuf::new();
    frame.push(b"written, not synced");
    let start = planner.start(frame.frame_len()).unwrap();
    planner.advance(start, frame.frame_len());
    log.write_frame(start, FrameKind::Data, 0, &mut frame).unwrap();
    drop(log);
    disk.fail_syncs(true);
    assert!(
        matches!(open(&disk), Err(LogError::WriteFailed(_))),
        "it may not be shown before"
    );
    disk.fail_syncs(false);
    assert_eq!(open(&disk).unwrap().1.position.sequence, 2);
}

#[test]
fn a_folder_of_others_is_left_alone() {
    let disk = SimDisk::new(0);
    disk.set("letter.new", vec![1]);
    assert!(matches!(open(&disk), Err(LogError::NotFound)));
    drop(Log::create(disk.disk(), options(), STORE).unwrap());
    assert!(disk.names().contains(&"letter.new".to_owned()));
}
