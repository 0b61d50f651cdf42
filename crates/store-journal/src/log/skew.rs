//! Jump pointers for histories without an index (Myers 1983, skew-binary numbers).
//!
//! Each entry of a chain links to the one before (`prev`) and to one further back (`jump`). The entries form perfect
//! binary trees whose sizes are the digits of the entry count in canonical skew-binary: sums of 2ᵏ − 1, of which only
//! the smallest may appear twice. A tree's root is its newest entry, and its jump leads to the root of the next tree.
//! Two smallest trees of one size are joined by the next entry, which becomes their root. So all that appending needs
//! is the stack of the at most log₂ n + 1 roots, and from any entry any older one is O(log n) reads away.

use smallvec::SmallVec;

/// The roots of one chain. `L` links to an entry: a locator, or a locator and more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots<L: Copy> {
    /// The sizes of the trees: bit k says that there is one of 2ᵏ⁺¹ − 1 entries. Of the smallest there may be two, and
    /// then there is a root more than there are bits.
    sizes: u64,
    /// Newest first in meaning, last in place: the end is where it grows. There are many short chains, and a long one has
    /// more than would fit beside them.
    links: SmallVec<[L; 2]>,
}

impl<L: Copy> Default for Roots<L> {
    fn default() -> Self {
        Self::new()
    }
}

/// The links that an entry carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Links<L> {
    /// The entry before.
    pub prev: Option<L>,
    /// An entry further back, or the one before.
    pub jump: Option<L>,
}

impl<L: Copy> Roots<L> {
    /// An empty chain.
    pub fn new() -> Self {
        Self {
            sizes: 0,
            links: SmallVec::new(),
        }
    }

    /// The roots as [`Roots::count`] and [`Roots::links`] gave them; none if they can't belong together.
    pub fn from_parts(count: u64, links: &[L]) -> Option<Self> {
        (Digits(count).count() == links.len()).then(|| Self {
            sizes: Digits(count).fold(0, |sizes, size| sizes | ((size >> 1) + 1)),
            links: SmallVec::from_slice(links),
        })
    }

    /// How many entries the chain has.
    pub fn count(&self) -> u64 {
        let entries = |bits: u64| (bits << 1).wrapping_sub(u64::from(bits.count_ones()));
        let second = if self.is_doubled() {
            entries(self.smallest())
        } else {
            0
        };
        // The highest size wraps to 0 and back: no chain is as long.
        entries(self.sizes).wrapping_add(second)
    }

    /// The roots, oldest first.
    pub fn links(&self) -> &[L] {
        &self.links
    }

    /// The newest entry.
    pub fn newest(&self) -> Option<L> {
        self.links.last().copied()
    }

    /// The links that the next entry is to carry. Reads nothing, changes nothing.
    pub fn next(&self) -> Links<L> {
        let kept = self.kept();
        let jump = if kept == self.links.len() {
            self.newest()
        } else {
            self.links[..kept].last().copied()
        };
        Links {
            prev: self.newest(),
            jump,
        }
    }

    /// Appends the entry that carries [`Roots::next`]; answers those links.
    pub fn push(&mut self, entry: L) -> Links<L> {
        let links = self.next();
        // Alone it is a tree of one entry; as the root of two trees of one size, one of the next size.
        let mut size = 1;
        if self.is_doubled() {
            size = self.smallest() << 1;
            self.links.truncate(self.kept());
            self.sizes ^= self.smallest();
        }
        self.links.push(entry);
        self.sizes |= size;
        links
    }

    /// How many roots stay when an entry is appended: all, or all but the two of one size.
    fn kept(&self) -> usize {
        if self.is_doubled() {
            self.links.len() - 2
        } else {
            self.links.len()
        }
    }

    /// Whether the two smallest trees are of one size.
    fn is_doubled(&self) -> bool {
        self.links.len() > self.sizes.count_ones() as usize
    }

    /// The bit of the smallest tree.
    fn smallest(&self) -> u64 {
        self.sizes & self.sizes.wrapping_neg()
    }
}

/// The sizes of the trees of so many entries, largest first.
struct Digits(u64);

impl Iterator for Digits {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        if self.0 == 0 {
            return None;
        }
        // The largest 2ᵏ − 1 that fits: the bits of n + 1 below its highest.
        let size = match self.0.checked_add(1) {
            Some(above) => (1 << above.ilog2()) - 1,
            None => u64::MAX,
        };
        self.0 -= size;
        Some(size)
    }
}

/// An entry as a search sees it.
#[derive(Clone, Copy, Debug)]
pub struct Visited<L, E> {
    /// What the predicate and the caller want to know of it.
    pub entry: E,
    /// Its links.
    pub links: Links<L>,
}

/// The newest entry, from `start` on backwards, that satisfies a predicate; none if none does.
///
/// The predicate is monotone: if it holds for an entry it holds for all older ones, as "recorded at or before T" does. `known`
/// tells it, where it can, from the link alone. Each entry is read at most once, and at most 3·(log₂ n + 1) are: one a tree
/// on the way back, two a level on the way down.
pub fn seek<L: Copy + Eq, E, F>(
    start: Option<L>,
    known: impl Fn(L) -> Option<bool>,
    mut read: impl FnMut(L) -> Result<Visited<L, E>, F>,
    holds: impl Fn(&E) -> bool,
) -> Result<Option<(L, E)>, F> {
    // The newest entry known to satisfy the predicate, unless it was not read yet without its content; and the next to look
    // at, which is newer.
    let mut best: Option<(L, Option<E>)> = None;
    let mut at = start;
    while let Some(link) = at {
        let visited = read(link)?;
        if holds(&visited.entry) {
            return Ok(Some((link, visited.entry)));
        }
        // `link` is too new. Jump as far as is still too new; what is not is a bound.
        let mut links = visited.links;
        at = loop {
            let bound = best.as_ref().map(|best| best.0);
            if links.prev == bound {
                // Nothing lies between; without a bound that is the chain's beginning.
                break None;
            }
            let Some(jump) = links
                .jump
                .filter(|_| links.jump != bound && links.jump != links.prev)
            else {
                break links.prev;
            };
            let found = match known(jump) {
                Some(true) => None,
                _ => Some(read(jump)?),
            };
            match found {
                Some(visited) if !holds(&visited.entry) => links = visited.links,
                old_enough => {
                    best = Some((jump, old_enough.map(|visited| visited.entry)));
                    break links.prev.filter(|prev| *prev != jump);
                }
            }
        };
    }
    match best {
        Some((link, None)) => Ok(Some((link, read(link)?.entry))),
        best => Ok(best.and_then(|(link, entry)| Some((link, entry?)))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chain(n: u64) -> (Roots<u64>, Vec<Links<u64>>) {
        let mut roots = Roots::new();
        let mut entries = vec![Links {
            prev: None,
            jump: None,
        }];
        for i in 1..=n {
            entries.push(roots.push(i));
        }
        (roots, entries)
    }

    #[test]
    fn jumps_follow_the_definition() {
        // Myers' rule, stated by depths: join two jumps of one length, else go one back.
        let (_, entries) = chain(5000);
        let jump = |i: u64| entries[i as usize].jump.unwrap_or(0);
        for i in 1..=5000 {
            assert_eq!(entries[i as usize].prev, (i > 1).then_some(i - 1));
            if i > 1 {
                let y = i - 1;
                let (a, b) = (jump(y), jump(jump(y)));
                let expected = if a > 0 && y - a == a - b { b } else { y };
                assert_eq!(jump(i), expected, "entry {i}");
            }
        }
    }

    #[test]
    fn roots_are_few_and_restorable() {
        let mut roots = Roots::new();
        for i in 1..=100_000_u64 {
            roots.push(i);
            assert!(roots.links().len() as u32 <= i.ilog2() + 1);
            let mut again = Roots::from_parts(roots.count(), roots.links()).unwrap();
            assert_eq!(again, roots);
            assert_eq!(again.push(i + 1), roots.next());
        }
        assert!(Roots::from_parts(7, &[1, 2]).is_none());
        assert_eq!(Digits(u64::MAX).collect::<Vec<_>>(), [u64::MAX]);
        assert!(size_of::<Roots<u64>>() <= 56);
    }

    /// Searches a chain of which it is known where the wanted one lies, give or take so many.
    fn check(n: u64, wanted: u64, vague: u64) -> usize {
        let (roots, entries) = chain(n);
        let mut reads = std::collections::BTreeSet::new();
        let known = |link: u64| match link.abs_diff(wanted) > vague {
            true => Some(link < wanted),
            false => None,
        };
        let read = |link: u64| {
            assert!(reads.insert(link), "read twice");
            Ok::<_, ()>(Visited {
                entry: link,
                links: entries[link as usize],
            })
        };
        let found = seek(roots.newest(), known, read, |entry| *entry <= wanted).unwrap();
        let expected = wanted.min(n);
        assert_eq!(
            found,
            (expected > 0).then_some((expected, expected)),
            "{wanted} of {n}, known but for {vague}"
        );
        let bound = if n == 0 { 0 } else { 3 * (n.ilog2() as usize + 1) };
        assert!(reads.len() <= bound, "{} reads for {wanted} of {n}", reads.len());
        reads.len()
    }

    #[test]
    fn small_chains_are_searched_completely() {
        for n in 0..130 {
            for wanted in 0..=n + 1 {
                let all = check(n, wanted, u64::MAX);
                for vague in [0, 1, 3] {
                    assert!(check(n, wanted, vague) <= all, "what is known is not read more");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn any_entry_is_found_in_few_reads(n in 1..60_000_u64, share in 0..=1000_u64, vague in 0..2000_u64) {
            for wanted in [n * share / 1000, n.saturating_sub(share)] {
                let all = check(n, wanted, u64::MAX);
                prop_assert!(check(n, wanted, vague) <= all);
            }
        }
    }

    #[test]
    fn a_failed_read_is_passed_on() {
        let (roots, _) = chain(10);
        let found = seek(
            roots.newest(),
            |_| None,
            |_| Err::<Visited<u64, u64>, _>("no"),
            |_| true,
        );
        assert_eq!(found, Err("no"));
    }
}
