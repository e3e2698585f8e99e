//! A slab whose entries are found by index and evicted by age. Indexes are reused. Growing moves nothing, so that no
//! event pays for copying all entries.

use std::ops::{Index, IndexMut};

const CHUNK_BITS: u32 = 10;
const CHUNK: usize = 1 << CHUNK_BITS;
const NONE: u32 = u32::MAX;

/// Neighbours in the order of ageing; `NONE` at the ends and for what does not age.
#[derive(Clone, Copy, Debug)]
struct Links {
    older: u32,
    newer: u32,
}

/// What grows by whole chunks.
#[derive(Clone, Debug)]
struct Chunks<T>(Vec<Vec<T>>);

impl<T> Chunks<T> {
    /// Adds one at the end, and returns its position.
    fn push(&mut self, value: T) -> u32 {
        if self.0.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            self.0.push(Vec::with_capacity(CHUNK));
        }
        let chunk = self.0.len() - 1;
        let within = self.0[chunk].len();
        self.0[chunk].push(value);
        u32::try_from(chunk * CHUNK + within).expect("fewer than 2^32 entries")
    }
}

impl<T> Index<u32> for Chunks<T> {
    type Output = T;

    #[inline]
    fn index(&self, at: u32) -> &T {
        &self.0[(at >> CHUNK_BITS) as usize][at as usize & (CHUNK - 1)]
    }
}

impl<T> IndexMut<u32> for Chunks<T> {
    #[inline]
    fn index_mut(&mut self, at: u32) -> &mut T {
        &mut self.0[(at >> CHUNK_BITS) as usize][at as usize & (CHUNK - 1)]
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct AgingSlab<T> {
    values: Chunks<T>,
    /// Apart from the values, so that a scan of them touches nothing else.
    links: Chunks<Links>,
    free: Vec<u32>,
    oldest: u32,
    newest: u32,
    ageing: usize,
}

impl<T> Default for AgingSlab<T> {
    fn default() -> Self {
        let (values, links) = (Chunks(Vec::new()), Chunks(Vec::new()));
        Self { values, links, free: Vec::new(), oldest: NONE, newest: NONE, ageing: 0 }
    }
}

impl<T> AgingSlab<T> {
    #[inline]
    pub(crate) fn get(&self, at: u32) -> &T {
        &self.values[at]
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, at: u32) -> &mut T {
        &mut self.values[at]
    }

    /// How many are in the order of ageing.
    pub(crate) fn ageing(&self) -> usize {
        self.ageing
    }

    /// What has aged longest.
    pub(crate) fn oldest(&self) -> Option<u32> {
        (self.oldest != NONE).then_some(self.oldest)
    }

    /// All that ages, the oldest first.
    pub(crate) fn by_age(&self) -> impl Iterator<Item = &T> {
        self.places_by_age().map(|at| self.get(at))
    }

    /// Where it is.
    pub(crate) fn places_by_age(&self) -> impl Iterator<Item = u32> {
        let next = |&at: &u32| {
            let newer = self.links[at].newer;
            (newer != NONE).then_some(newer)
        };
        std::iter::successors(self.oldest(), next)
    }

    /// Inserts an entry. It does not age before [`AgingSlab::age`] is called.
    pub(crate) fn insert(&mut self, value: T) -> u32 {
        let links = Links { older: NONE, newer: NONE };
        if let Some(at) = self.free.pop() {
            (self.values[at], self.links[at]) = (value, links);
            return at;
        }
        self.links.push(links);
        self.values.push(value)
    }

    /// From now on it ages, as the newest.
    pub(crate) fn age(&mut self, at: u32) {
        let before = std::mem::replace(&mut self.newest, at);
        if before == NONE {
            self.oldest = at;
        } else {
            self.links[before].newer = at;
        }
        self.links[at].older = before;
        self.ageing += 1;
    }

    /// Drops something that ages. Its place is free for the next one.
    pub(crate) fn drop_aged(&mut self, at: u32) {
        let Links { older, newer } = self.links[at];
        match older {
            NONE => self.oldest = newer,
            older => self.links[older].newer = newer,
        }
        match newer {
            NONE => self.newest = older,
            newer => self.links[newer].older = older,
        }
        self.ageing -= 1;
        self.free.push(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_from_anywhere_and_keeps_the_order_of_age() {
        let mut kept = AgingSlab::default();
        let at: Vec<u32> = (0..3 * CHUNK as u32).map(|n| kept.insert(n)).collect();
        assert_eq!(kept.oldest(), None);
        for &at in at.iter().rev() {
            kept.age(at);
        }
        for &at in at.iter().filter(|at| *at % 3 != 0) {
            kept.drop_aged(at);
        }
        let expected: Vec<u32> = (0..3 * CHUNK as u32).rev().filter(|n| n % 3 == 0).collect();
        assert_eq!(kept.by_age().copied().collect::<Vec<_>>(), expected);
        assert_eq!(kept.ageing(), CHUNK);
        let chunks = kept.values.0.len();
        for n in 0..2 * CHUNK as u32 {
            let at = kept.insert(n);
            kept.age(at);
        }
        assert_eq!(kept.values.0.len(), chunks, "free places are used first");
        while let Some(at) = kept.oldest() {
            kept.drop_aged(at);
        }
        assert_eq!((kept.ageing(), kept.by_age().count()), (0, 0));
    }
}
