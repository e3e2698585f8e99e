//! The acknowledged orders of an account in one market, in some two bytes each: ids only grow, so each is stored as its
//! distance from the previous one, with the acknowledged outcome.

/// Bytes that are asked of the allocator at once. A list that doubled would hold twice what it needs.
const CHUNK: usize = 16 << 10;
/// The most bytes of one entry.
const ENTRY_MAX: usize = 10;

/// The acknowledged outcome of an order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Told {
    /// That it rests, whatever became of it later.
    Resting,
    /// That it was filled.
    Filled,
    /// That it ended, filled in part or not at all.
    Expired,
}

/// The orders of one account in one market.
#[derive(Clone, Debug, Default)]
pub struct Acknowledged {
    chunks: Vec<Vec<u8>>,
    last: u64,
    count: u64,
}

impl Acknowledged {
    /// Adds an order; `false`, and nothing is added, unless its number is greater than all before.
    #[must_use]
    pub fn push(&mut self, order: u64, told: Told) -> bool {
        let Some(distance) = order.checked_sub(self.last).filter(|&distance| distance > 0 && distance < 1 << 62) else {
            return false;
        };
        if self.chunks.last().is_none_or(|chunk| chunk.len() + ENTRY_MAX > CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        let Some(chunk) = self.chunks.last_mut() else { return false };
        let mut rest = distance << 2 | told as u64;
        while rest >= 0x80 {
            chunk.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        chunk.push(rest as u8);
        self.last = order;
        self.count += 1;
        true
    }

    /// The number of entries.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// All of them, with their acknowledged outcomes, by id.
    pub fn iter(&self) -> impl Iterator<Item = (u64, Told)> {
        let mut last = 0;
        self.chunks.iter().flat_map(|chunk| Entries { bytes: chunk }).map(move |entry| {
            last += entry >> 2;
            let told = match entry & 3 {
                0 => Told::Resting,
                1 => Told::Filled,
                _ => Told::Expired,
            };
            (last, told)
        })
    }
}

/// The numbers in a chunk, of which each is whole.
struct Entries<'a> {
    bytes: &'a [u8],
}

impl Iterator for Entries<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let mut entry = 0;
        for shift in (0..).step_by(7) {
            let (&byte, rest) = self.bytes.split_first()?;
            self.bytes = rest;
            entry |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_and_is_small() {
        let mut list = Acknowledged::default();
        let mut expected = Vec::new();
        let mut order = 0;
        for at in 0..100_000u64 {
            order += 1 + at * 7_919 % 130;
            let told = [Told::Resting, Told::Filled, Told::Expired][(at % 3) as usize];
            assert!(list.push(order, told));
            expected.push((order, told));
        }
        assert!(list.push(order + (1 << 61), Told::Filled));
        expected.push((order + (1 << 61), Told::Filled));
        assert_eq!(list.iter().collect::<Vec<_>>(), expected);
        assert_eq!(list.count(), 100_001);
        assert!(list.chunks.len() * CHUNK < 3 * 100_000, "{}", list.chunks.len());
    }

    #[test]
    fn a_number_that_does_not_grow_is_refused() {
        let mut list = Acknowledged::default();
        assert!(!list.push(0, Told::Resting), "orders count from 1");
        assert!(list.push(5, Told::Resting));
        assert!(!list.push(5, Told::Resting) && !list.push(4, Told::Resting));
        assert_eq!(list.iter().collect::<Vec<_>>(), [(5, Told::Resting)]);
    }
}
