//! Opening: from the last known position to the end of what was written, and what to do with a torn tail.
//!
//! A frame is written only after the one before is synced, so at most the last frame can be incomplete. A bad frame is
//! taken for that one exactly when no valid frame of its sequence or a higher one follows anywhere, at any byte.

use std::ops::Range;
use std::sync::Arc;

use super::disk::{Beside, Disk, DiskError, OpenMode, UNFINISHED};
use super::error::LogError;
use super::frame::{FRAME_HEADER, FRAME_MAGIC, FrameHeader, FrameKind, FrameView, Seal, hash_frame};
use super::reader::nonzero;
use super::scan::{LogPosition, Scan, Shared, Stop, frame_at};
use super::segment::{Segment, Segments, file_name};

/// What opening found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// How many frames were read: those after the position that was given.
    pub frames: u64,
    /// How many records were in them.
    pub records: u64,
    /// Whether the last frame is a closing one and nothing had to be cut.
    pub clean: bool,
    /// How many bytes of an incomplete last frame were cut, up to the last that was not zero.
    pub bytes_cut: u64,
    /// The files where they were put.
    pub cut_files: Vec<String>,
    /// The last frame.
    pub position: LogPosition,
}

/// Removes what was being made when the process before ended.
pub(crate) fn remove_unfinished(disk: &dyn Disk) -> Result<(), LogError> {
    for name in disk.list()? {
        if name.ends_with(UNFINISHED) {
            disk.remove(&name)?;
        }
    }
    Ok(())
}

/// Checks that a position is one of this log; answers the kind of its frame.
pub(crate) fn check_position(
    segments: &Segments,
    seal: &Seal,
    position: &LogPosition,
) -> Result<Option<FrameKind>, LogError> {
    let unknown = LogError::UnknownPosition {
        sequence: position.sequence,
    };
    if position.sequence == 0 {
        return if *position == Shared::origin(seal) {
            Ok(None)
        } else {
            Err(unknown)
        };
    }
    let Some((header, hash)) = frame_at(segments, seal, position.start)? else {
        let Some(segment) = segments.holding(position.start) else {
            let number = segments.all().len() as u32 + 1;
            return Err(LogError::MissingSegment { number });
        };
        // It was durable when the position was taken, so this is not a torn tail.
        let offset = position.start.get() - segment.span.base;
        let what = "a frame that was durable before is not valid any more";
        return Err(LogError::damaged(
            segment.span.number,
            offset,
            Some(position.sequence),
            what,
        ));
    };
    let end = position.start.get() + u64::from(header.length);
    if header.sequence != position.sequence || hash != position.hash || end != position.end.get() {
        return Err(unknown);
    }
    Ok(Some(header.kind))
}

/// Reads the frames after a position to the end of what was written; repairs a torn tail. `on_frame` sees each frame.
pub(crate) fn recover(
    disk: &dyn Disk,
    shared: &Arc<Shared>,
    from: LogPosition,
    on_frame: &mut dyn FnMut(FrameView<'_>) -> Result<(), LogError>,
) -> Result<Recovery, LogError> {
    let mut last_kind = check_position(&shared.segments, &shared.seal, &from)?;
    let mut recovery = Recovery {
        frames: 0,
        records: 0,
        clean: false,
        bytes_cut: 0,
        cut_files: Vec::new(),
        position: from,
    };
    let mut scan = Scan::after(Arc::clone(shared), from)?;
    let stop = loop {
        match scan.next_or_stop()? {
            Err(stop) => break stop,
            Ok(frame) => {
                let header = frame.header;
                recovery.frames += 1;
                recovery.records += u64::from(header.count);
                recovery.position = LogPosition {
                    sequence: header.sequence,
                    start: frame.start,
                    end: frame.end(),
                    hash: frame.hash,
                };
                last_kind = Some(header.kind);
                on_frame(frame)?;
            }
        }
    };
    refuse_damage(shared, &stop, recovery.position.sequence)?;
    cut(disk, shared, &stop, &mut recovery)?;
    drop_unused(disk, &shared.segments, stop.segment)?;
    confirm_last(&shared.segments, &recovery.position)?;
    recovery.clean = last_kind == Some(FrameKind::Closing) && recovery.bytes_cut == 0;
    Ok(recovery)
}

/// Fails if a valid frame follows the place where the walk stopped: then that is no torn tail.
pub(crate) fn refuse_damage(shared: &Shared, stop: &Stop, last: u64) -> Result<(), LogError> {
    let mut offset = stop.offset;
    let segments = shared.segments.all();
    for segment in segments.iter().skip(stop.segment as usize - 1) {
        if let Some((at, header)) = find_frame(segment, &shared.seal, offset, last)? {
            let stop = stop.damaged_at(shared)?;
            let what = format!(
                "{}, and a valid frame {} follows in {}, byte {at}, so this is not an unfinished last write",
                stop.fault,
                header.sequence,
                file_name(segment.span.number)
            );
            return Err(LogError::damaged(stop.segment, stop.offset, Some(last + 1), what));
        }
        offset = 0;
    }
    Ok(())
}

/// The first valid frame of a sequence above `last` at any byte from an offset on.
fn find_frame(
    segment: &Segment,
    seal: &Seal,
    from: u64,
    last: u64,
) -> Result<Option<(u64, FrameHeader)>, LogError> {
    let mut chunk = vec![0; 1 << 20];
    let mut at = from;
    loop {
        let read = segment.read(&mut chunk, at)?;
        if read < FRAME_HEADER {
            return Ok(None);
        }
        let bytes = &chunk[..read];
        for begin in candidates(bytes) {
            let offset = at + begin as u64;
            if let Some(header) = valid_frame(segment, seal, offset, last)? {
                return Ok(Some((offset, header)));
            }
        }
        // A magic across the edge of two chunks is found in the second.
        at += (read - (FRAME_MAGIC.len() - 1)) as u64;
    }
}

/// Where a frame's magic is.
fn candidates(bytes: &[u8]) -> impl Iterator<Item = usize> + '_ {
    const BLOCK: usize = 4096;
    (0..bytes.len().div_ceil(BLOCK)).flat_map(move |block| {
        let begin = block * BLOCK;
        let end = (begin + BLOCK).min(bytes.len());
        let zero = bytes[begin..end].iter().fold(0, |all, byte| all | byte) == 0;
        let range = if zero { begin..begin } else { begin..end };
        range.filter(move |at| bytes[*at..].starts_with(&FRAME_MAGIC))
    })
}

fn valid_frame(
    segment: &Segment,
    seal: &Seal,
    offset: u64,
    last: u64,
) -> Result<Option<FrameHeader>, LogError> {
    let mut header = [0; FRAME_HEADER];
    let read = segment.read(&mut header, offset)?;
    let limit = segment.span.capacity - offset;
    let length = match Seal::claimed_length(&header[..read], limit) {
        Ok(length) if Seal::worth_reading(&header, last) => length,
        _ => return Ok(None),
    };
    let mut frame = vec![0; length];
    let read = segment.read(&mut frame, offset)?;
    Ok(seal.decode(&frame[..read]).ok())
}

/// Moves what is behind the last valid frame to side files, then zeroes it, durably.
///
/// An opening before this one may have come as far as the zeros and failed to sync them: then they are what is read, and the
/// disk still has what was there. The side files were durable before, so as many bytes as those have are zeroed again.
fn cut(disk: &dyn Disk, shared: &Shared, stop: &Stop, recovery: &mut Recovery) -> Result<(), LogError> {
    let sequence = recovery.position.sequence + 1;
    let before = longest_set_aside(disk, sequence)?;
    let mut offset = stop.offset;
    let segments = shared.segments.all();
    for segment in segments.iter().skip(stop.segment as usize - 1) {
        let mut end = (offset + before).min(segment.span.capacity);
        if let Some(range) = nonzero(segment, offset)? {
            let range = offset..range.end;
            let name = set_aside(disk, segment, range.clone(), sequence)?;
            tracing::warn!(
                segment = file_name(segment.span.number),
                offset = range.start,
                bytes = range.end - range.start,
                file = name,
                "cut an incomplete last frame, which was never confirmed to anyone"
            );
            recovery.bytes_cut += range.end - range.start;
            recovery.cut_files.push(name);
            end = end.max(range.end);
        }
        if offset < end {
            segment.file.write_zeros(offset, end).map_err(write_failed)?;
        }
        offset = super::segment::SEGMENT_HEADER;
    }
    Ok(())
}

fn write_failed(error: DiskError) -> LogError {
    match error {
        DiskError::NoSpace { .. } => LogError::NoSpace { bytes: 0 },
        other => other.into(),
    }
}

/// Makes the last frame durable. It may be valid in the page cache alone: the process before was killed between writing
/// and syncing it, or its sync failed and the kernel took the pages for clean. So its bytes are written again.
fn confirm_last(segments: &Segments, position: &LogPosition) -> Result<(), LogError> {
    if position.sequence == 0 {
        return Ok(());
    }
    let segment = segments
        .holding(position.start)
        .ok_or(LogError::BadLocator(position.start))?;
    let offset = position.start.get() - segment.span.base;
    let length =
        usize::try_from(position.end.get() - position.start.get()).expect("a frame is far below 4 GiB");
    let mut frame = vec![0; length];
    let read = segment.read(&mut frame, offset)?;
    if hash_frame(&frame[..read]) != position.hash {
        let what = "it reads differently than a moment ago";
        return Err(LogError::damaged(
            segment.span.number,
            offset,
            Some(position.sequence),
            what,
        ));
    }
    segment
        .file
        .write_at(&frame, offset)
        .and_then(|()| segment.file.sync_data())
        .map_err(LogError::WriteFailed)
}

/// How a side file of a frame's bytes is called.
fn side_name(sequence: u64, number: u32) -> String {
    match number {
        1 => format!("torn-{sequence}.bin"),
        _ => format!("torn-{sequence}-{number}.bin"),
    }
}

/// The most bytes that any opening set aside of a frame.
fn longest_set_aside(disk: &dyn Disk, sequence: u64) -> Result<u64, LogError> {
    let taken = disk.list()?;
    let mut longest = 0;
    for name in (1..).map(|number| side_name(sequence, number)) {
        if !taken.contains(&name) {
            break;
        }
        longest = longest.max(disk.open(&name, OpenMode::Existing)?.len()?);
    }
    Ok(longest)
}

/// Copies bytes to a file of a name that is free.
fn set_aside(
    disk: &dyn Disk,
    segment: &Segment,
    range: Range<u64>,
    sequence: u64,
) -> Result<String, LogError> {
    let taken = disk.list()?;
    let mut number = 1;
    while taken.contains(&side_name(sequence, number)) {
        number += 1;
    }
    let name = side_name(sequence, number);
    let mut file = Beside::create(disk, &name)?;
    let mut chunk = vec![0; 1 << 20];
    let mut at = range.start;
    while at < range.end {
        let wanted = usize::try_from(range.end - at).map_or(chunk.len(), |left| left.min(chunk.len()));
        let read = segment.read(&mut chunk[..wanted], at)?;
        if read == 0 {
            break;
        }
        file.write(&chunk[..read])?;
        at += read as u64;
    }
    file.commit()?;
    Ok(name)
}

/// Keeps one unused segment after the last one with frames, removes others.
fn drop_unused(disk: &dyn Disk, segments: &Segments, last: u32) -> Result<(), LogError> {
    let kept = last + 1;
    let all = segments.all();
    // From the end, so that no gap is left if we are stopped in between.
    for segment in all.iter().skip(kept as usize).rev() {
        disk.remove(&file_name(segment.span.number))?;
        disk.sync_dir()?;
    }
    segments.truncate(kept);
    Ok(())
}
