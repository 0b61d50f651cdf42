//! A record's payload: the physical part, which says where related records lie, before the canonical bytes.
//!
//! ```text
//! length of the links, minimal-length
//! links: distances back from this record's own address, minimal-length, 0 for none:
//!   the book's chain:               previous, jump
//!   each balance that was touched:  previous, jump   (in the order in which the moves first touch them)
//!   each key that may repeat:       previous         (in the order of `index::repeats`)
//! canonical bytes, to the end
//! ```

use ledger::{AccountNo, AssetNo, Move, Record, varint};
use smallvec::SmallVec;
use std::collections::HashSet;

use crate::log::{Locator, skew};

/// A balance within its book.
pub(crate) type BalanceKey = (AccountNo, AssetNo);

/// The balances that a record touches; most touch two.
pub(crate) type Touched = SmallVec<[BalanceKey; 2]>;

/// The record before with the same key, for each key that may repeat.
pub(crate) type Repeats = SmallVec<[Option<Locator>; 1]>;

/// Where the records before this one lie.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Links {
    /// The book's chain.
    pub(crate) book: skew::Links<Locator>,
    /// The chains of the balances that it touched.
    pub(crate) balances: SmallVec<[skew::Links<Locator>; 2]>,
    pub(crate) repeats: Repeats,
}

impl Links {
    /// The most bytes that [`put_links`] makes of links to so many.
    pub(crate) fn most_bytes(balances: usize, repeats: usize) -> usize {
        /// Seven bits a byte.
        const MOST: usize = 10;
        (1 + 2 * (1 + balances) + repeats) * MOST
    }

    /// All of them, in the order in which they are written.
    fn each(&self, mut visit: impl FnMut(Option<Locator>)) {
        visit(self.book.prev);
        visit(self.book.jump);
        for chain in &self.balances {
            visit(chain.prev);
            visit(chain.jump);
        }
        self.repeats.iter().copied().for_each(visit);
    }
}

/// The balances that a record touches, each once, in the order in which its moves first touch them.
pub(crate) fn touched(record: &Record) -> Touched {
    const FEW: usize = 16;
    let sides = |made: &Move| [(made.from.no, made.asset.no), (made.to.no, made.asset.no)];
    if let [booked] = record.booked()
        && let [made] = booked.moves.as_slice()
        && made.from.no != made.to.no
    {
        return sides(made).into();
    }
    let mut keys = Touched::new();
    // Only once there are many: most records touch two.
    let mut seen: Option<HashSet<BalanceKey>> = None;
    for made in record.booked().iter().flat_map(|booked| &booked.moves) {
        for key in sides(made) {
            let is_new = match &mut seen {
                Some(seen) => seen.insert(key),
                None => !keys.contains(&key),
            };
            if is_new {
                keys.push(key);
                if keys.len() == FEW {
                    seen = Some(keys.iter().copied().collect());
                }
            }
        }
    }
    keys
}

fn take_varint(from: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = from.split_first()?;
        *from = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Appends the physical part of a record that will lie at `own`.
pub(crate) fn put_links(out: &mut Vec<u8>, own: Locator, links: &Links) {
    // The length comes first and is known last; it nearly always takes one byte.
    let start = out.len();
    out.push(0);
    links.each(|target| varint::put(out, target.map_or(0, |target| own.get() - target.get())));
    let len = out.len() - start - 1;
    match u8::try_from(len) {
        Ok(short @ 0..0x80) => out[start] = short,
        _ => {
            let mut prefix = Vec::new();
            varint::put(&mut prefix, len as u64);
            out.splice(start..=start, prefix);
        }
    }
}

/// The physical part, still to be read, and the canonical bytes.
pub(crate) fn split(payload: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut rest = payload;
    let len = usize::try_from(take_varint(&mut rest)?).ok()?;
    rest.split_at_checked(len)
}

/// Reads the physical part of a record at `own` that touches `balances` balances and has `repeats` keys that may repeat.
pub(crate) fn take_links(mut body: &[u8], own: Locator, balances: usize, repeats: usize) -> Option<Links> {
    let mut target = || {
        let distance = take_varint(&mut body)?;
        Some(if distance == 0 {
            None
        } else {
            Some(Locator::new(own.get().checked_sub(distance)?))
        })
    };
    let mut chain = || {
        Some(skew::Links {
            prev: target()?,
            jump: target()?,
        })
    };
    let book = chain()?;
    let balances = (0..balances).map(|_| chain()).collect::<Option<_>>()?;
    let repeats = (0..repeats).map(|_| target()).collect::<Option<_>>()?;
    body.is_empty().then_some(Links {
        book,
        balances,
        repeats,
    })
}

/// The book's chain alone.
pub(crate) fn take_book_links(mut body: &[u8], own: Locator) -> Option<skew::Links<Locator>> {
    let mut target = || {
        let distance = take_varint(&mut body)?;
        Some(if distance == 0 {
            None
        } else {
            Some(Locator::new(own.get().checked_sub(distance)?))
        })
    };
    Some(skew::Links {
        prev: target()?,
        jump: target()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_read_as_they_were_written() {
        let at = |n: u64| Some(Locator::new(n));
        let own = Locator::new(1 << 40);
        let links = Links {
            book: skew::Links {
                prev: at((1 << 40) - 1),
                jump: at(64),
            },
            balances: [
                skew::Links {
                    prev: None,
                    jump: None,
                },
                skew::Links {
                    prev: at(100),
                    jump: at(99),
                },
            ]
            .into(),
            repeats: [at(7), None].into_iter().collect(),
        };
        let mut payload = Vec::new();
        put_links(&mut payload, own, &links);
        assert!(payload.len() <= Links::most_bytes(2, 2));
        payload.extend_from_slice(b"canonical");
        let (body, canonical) = split(&payload).unwrap();
        assert_eq!(canonical, b"canonical");
        assert_eq!(take_links(body, own, 2, 2), Some(links.clone()));
        assert_eq!(take_links(body, own, 1, 2), None);
        assert_eq!(take_book_links(body, own), Some(links.book));
        for cut in 0..payload.len() - b"canonical".len() {
            assert!(
                split(&payload[..cut])
                    .and_then(|(body, _)| take_links(body, own, 2, 2))
                    .is_none()
            );
        }
    }
}
