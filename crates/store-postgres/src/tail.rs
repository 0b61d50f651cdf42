//! Which commands touched a balance: their positions, each as its distance from the one before. The newest lie in the
//! balance's own row, so that a command costs no row and no index entry of its own; whenever there are enough, they become a
//! chunk, which is one row. Where a chunk ends depends on nothing but the balance's history.

use ledger::varint;

use crate::error::{Failure, corrupt};

/// So many positions make a chunk.
pub(crate) const CHUNK: usize = 32;

/// The newest positions of a balance, fewer than a chunk.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct Tail {
    bytes: Vec<u8>,
    count: usize,
    first: i64,
    last: i64,
}

/// A chunk, with the first of its positions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Chunk {
    pub(crate) first: i64,
    pub(crate) bytes: Vec<u8>,
}

impl Tail {
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, Failure> {
        let positions = positions(bytes)?;
        Ok(Self {
            bytes: bytes.to_vec(),
            count: positions.len(),
            first: positions.first().copied().unwrap_or(0),
            last: positions.last().copied().unwrap_or(0),
        })
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Adds a position above all others; with the one that makes it full it becomes a chunk, and begins anew.
    pub(crate) fn push(&mut self, position: i64) -> Option<Chunk> {
        assert!(position > self.last, "positions of a balance rise");
        if self.count == 0 {
            self.first = position;
        }
        varint::put(&mut self.bytes, position.abs_diff(self.last));
        self.last = position;
        self.count += 1;
        if self.count < CHUNK {
            return None;
        }
        let full = std::mem::take(self);
        Some(Chunk {
            first: full.first,
            bytes: full.bytes,
        })
    }
}

/// The positions in a tail or a chunk, rising.
pub(crate) fn positions(mut bytes: &[u8]) -> Result<Vec<i64>, Failure> {
    let wrong = || corrupt("the positions of a balance can't be read");
    let mut all = Vec::with_capacity(CHUNK);
    let mut last = 0i64;
    while !bytes.is_empty() {
        let step = take_varint(&mut bytes)
            .filter(|step| *step > 0)
            .ok_or_else(wrong)?;
        last = last.checked_add_unsigned(step).ok_or_else(wrong)?;
        all.push(last);
    }
    Ok(all)
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..u64::BITS).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        number |= bits.checked_shl(shift).filter(|moved| moved >> shift == bits)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_come_back_in_order_in_chunks_of_one_size() {
        let steps = [1, 2, 127, 128, 300, 1 << 20, 1 << 40];
        let pushed: Vec<i64> = (0..200)
            .scan(0, |at, nth| {
                *at += steps[nth % steps.len()];
                Some(*at)
            })
            .collect();
        let (mut tail, mut chunks) = (Tail::default(), Vec::new());
        for position in &pushed {
            chunks.extend(tail.push(*position));
            // What is loaded again goes on as what was kept.
            tail = Tail::from_bytes(tail.bytes()).expect("it was just written");
        }
        assert_eq!(chunks.len(), 200 / CHUNK);
        let mut found = Vec::new();
        for chunk in &chunks {
            let some = positions(&chunk.bytes).expect("it was just written");
            assert_eq!((some.len(), some[0]), (CHUNK, chunk.first));
            found.extend(some);
        }
        found.extend(positions(tail.bytes()).expect("it was just written"));
        assert_eq!(found, pushed);
    }

    #[test]
    fn what_are_no_positions_is_refused() {
        let whole = [&[5u8, 0x80, 0x01][..], &[]];
        assert!(whole.iter().all(|bytes| positions(bytes).is_ok()));
        let endless = [0xffu8; 11];
        let too_large = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        for bytes in [&[0x80u8][..], &[5, 0], &endless, &too_large] {
            assert!(positions(bytes).is_err(), "{bytes:?}");
        }
    }
}
