//! A place for things that are found by a number and dropped by age. Numbers are reused; nothing moves when it grows, so
//! that no event ever pays for copying all that is there.

const CHUNK_BITS: u32 = 10;
const CHUNK: usize = 1 << CHUNK_BITS;
const NONE: u32 = u32::MAX;

#[derive(Clone, Debug)]
struct Slot<T> {
    value: T,
    /// Neighbours in the order of ageing; `NONE` at the ends and for what does not age.
    older: u32,
    newer: u32,
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Kept<T> {
    chunks: Vec<Vec<Slot<T>>>,
    free: Vec<u32>,
    oldest: u32,
    newest: u32,
    ageing: usize,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), free: Vec::new(), oldest: NONE, newest: NONE, ageing: 0 }
    }
}

impl<T> Kept<T> {
    fn slot(&mut self, at: u32) -> &mut Slot<T> {
        &mut self.chunks[(at >> CHUNK_BITS) as usize][at as usize & (CHUNK - 1)]
    }

    #[inline]
    pub(crate) fn get(&self, at: u32) -> &T {
        &self.chunks[(at >> CHUNK_BITS) as usize][at as usize & (CHUNK - 1)].value
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, at: u32) -> &mut T {
        &mut self.slot(at).value
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
            let newer = self.chunks[(at >> CHUNK_BITS) as usize][at as usize & (CHUNK - 1)].newer;
            (newer != NONE).then_some(newer)
        };
        std::iter::successors(self.oldest(), next)
    }

    /// Takes something in. It does not age before [`Kept::age`] says so.
    pub(crate) fn insert(&mut self, value: T) -> u32 {
        let slot = Slot { value, older: NONE, newer: NONE };
        if let Some(at) = self.free.pop() {
            *self.slot(at) = slot;
            return at;
        }
        let full = self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK);
        if full {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        let chunk = self.chunks.len() - 1;
        let within = self.chunks[chunk].len();
        self.chunks[chunk].push(slot);
        u32::try_from(chunk * CHUNK + within).expect("fewer than 2^32 entries")
    }

    /// From now on it ages, as the newest.
    pub(crate) fn age(&mut self, at: u32) {
        let before = std::mem::replace(&mut self.newest, at);
        if before == NONE {
            self.oldest = at;
        } else {
            self.slot(before).newer = at;
        }
        self.slot(at).older = before;
        self.ageing += 1;
    }

    /// Drops something that ages. Its place is free for the next one.
    pub(crate) fn drop_aged(&mut self, at: u32) {
        let Slot { older, newer, .. } = *self.slot(at);
        match older {
            NONE => self.oldest = newer,
            older => self.slot(older).newer = newer,
        }
        match newer {
            NONE => self.newest = older,
            newer => self.slot(newer).older = older,
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
        let mut kept = Kept::default();
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
        let chunks = kept.chunks.len();
        for n in 0..2 * CHUNK as u32 {
            let at = kept.insert(n);
            kept.age(at);
        }
        assert_eq!(kept.chunks.len(), chunks, "free places are used first");
        while let Some(at) = kept.oldest() {
            kept.drop_aged(at);
        }
        assert_eq!((kept.ageing(), kept.by_age().count()), (0, 0));
    }
}
