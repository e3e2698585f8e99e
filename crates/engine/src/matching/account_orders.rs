//! Each account's open orders in a market, as lists that share one slab.
//!
//! A list is a chain of chunks, of which only the last may have room left. A chunk is one cache line: the index of the
//! previous chunk and fifteen handles. The last handle of a list replaces a removed one. So a list grows and shrinks by
//! whole chunks from a common slab, and a list that is longer than ever does not allocate: that happens only when all
//! lists together are, or when there are more lists than ever.

use super::handle::Handle;

/// No chunk.
const NONE: u32 = u32::MAX;
/// Handles in a chunk.
const ROOM: u32 = 15;

#[derive(Clone, Debug)]
#[repr(align(64))]
struct Chunk {
    /// The chunk before it in its list; of a free chunk, the next free one.
    before: u32,
    handles: [Handle; ROOM as usize],
}

/// The slab of all lists.
#[derive(Clone, Debug)]
pub(super) struct Lists {
    chunks: Vec<Chunk>,
    free: u32,
    /// How many handles there are in all lists, and how many there ever were at once.
    handles: usize,
    handles_most: usize,
    lists: usize,
}

/// One trader's orders, in no order.
#[derive(Clone, Debug)]
pub(super) struct List {
    last: u32,
    /// Handles in the last chunk. An empty list has no chunk, which is as good as a full one.
    filled: u32,
    len: u32,
}

impl List {
    pub(super) fn len(&self) -> usize {
        self.len as usize
    }
}

/// The position of a handle: the chunk, and the index in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place(u32);

impl Place {
    #[inline]
    fn new(chunk: u32, at: u32) -> Self {
        Self(chunk << 4 | at)
    }

    #[inline]
    fn chunk(self) -> usize {
        (self.0 >> 4) as usize
    }

    #[inline]
    fn at(self) -> usize {
        (self.0 & 15) as usize
    }
}

impl Lists {
    pub(super) fn new() -> Self {
        Self { chunks: Vec::new(), free: NONE, handles: 0, handles_most: 0, lists: 0 }
    }

    /// Another list, which is empty.
    pub(super) fn list(&mut self) -> List {
        self.lists += 1;
        self.make_room();
        List { last: NONE, filled: ROOM, len: 0 }
    }

    /// Makes a list longer by a place, at which `put` is to be called before anything else.
    #[inline(always)]
    pub(super) fn lengthen(&mut self, list: &mut List) -> Place {
        self.handles += 1;
        if self.handles > self.handles_most {
            self.handles_most = self.handles;
            self.make_room();
        }
        if list.filled == ROOM {
            list.last = self.take_chunk(list.last);
            list.filled = 0;
        }
        let place = Place::new(list.last, list.filled);
        list.filled += 1;
        list.len += 1;
        place
    }

    #[inline]
    pub(super) fn put(&mut self, place: Place, handle: Handle) {
        self.chunks[place.chunk()].handles[place.at()] = handle;
    }

    /// Strikes the handle at a place from its list. The second is the one that has this place from now on, if there is
    /// one.
    #[inline]
    pub(super) fn strike(&mut self, list: &mut List, place: Place) -> (Handle, Option<Handle>) {
        let end = Place::new(list.last, list.filled - 1);
        let struck = self.get(place);
        let moved = self.get(end);
        self.put(place, moved);
        self.handles -= 1;
        list.len -= 1;
        list.filled -= 1;
        if list.filled == 0 {
            let chunk = &mut self.chunks[list.last as usize];
            let emptied = std::mem::replace(&mut list.last, chunk.before);
            chunk.before = std::mem::replace(&mut self.free, emptied);
            list.filled = ROOM;
        }
        (struck, (place != end).then_some(moved))
    }

    /// The handle that takes the place of one that is struck.
    #[inline]
    pub(super) fn last(&self, list: &List) -> Option<Handle> {
        (list.len > 0).then(|| self.get(Place::new(list.last, list.filled - 1)))
    }

    pub(super) fn iter(&self, list: &List) -> impl Iterator<Item = Handle> {
        let (mut chunk, mut filled) = (list.last, list.filled);
        std::iter::from_fn(move || {
            if chunk == NONE {
                return None;
            }
            filled -= 1;
            let handle = self.get(Place::new(chunk, filled));
            if filled == 0 {
                (chunk, filled) = (self.chunks[chunk as usize].before, ROOM);
            }
            Some(handle)
        })
    }

    #[inline]
    pub(super) fn get(&self, place: Place) -> Handle {
        self.chunks[place.chunk()].handles[place.at()]
    }

    fn take_chunk(&mut self, before: u32) -> u32 {
        if self.free == NONE {
            self.chunks.push(Chunk { before, handles: [Handle::default(); ROOM as usize] });
            return u32::try_from(self.chunks.len() - 1).expect("no more chunks than orders");
        }
        let at = self.free;
        self.free = std::mem::replace(&mut self.chunks[at as usize].before, before);
        at
    }

    /// Room for all the chunks that so many handles in so many lists can take, however they are spread: each list has
    /// at most one that is not full.
    #[inline]
    fn make_room(&mut self) {
        let most = self.handles_most / ROOM as usize + self.lists;
        if most > self.chunks.capacity() {
            self.chunks.reserve(most - self.chunks.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbook_book::Slot;
    use proptest::prelude::*;

    proptest! {
        /// Against plain vectors; and the slab grows only when there are more handles, or more lists, than ever.
        #[test]
        fn lists_hold_what_was_put_and_not_struck(
            steps in prop::collection::vec((0usize..5, any::<u16>(), 0u8..5), 0..600),
        ) {
            let mut lists = Lists::new();
            let mut held: Vec<(List, Vec<(Handle, Place)>)> = (0..5).map(|_| (lists.list(), Vec::new())).collect();
            let mut most = 0;
            for (number, (which, pick, what)) in steps.into_iter().enumerate() {
                let capacity = lists.chunks.capacity();
                let (list, expected) = &mut held[which];
                if what < 3 {
                    let handle = Handle::working(Slot::from_index(number as u32));
                    let place = lists.lengthen(list);
                    lists.put(place, handle);
                    expected.push((handle, place));
                } else if !expected.is_empty() {
                    let (handle, place) = expected.swap_remove(usize::from(pick) % expected.len());
                    let (struck, moved) = lists.strike(list, place);
                    prop_assert_eq!(struck, handle);
                    if let Some(moved) = moved {
                        expected.iter_mut().find(|(handle, _)| *handle == moved).expect("it is in the list").1 = place;
                    }
                }
                let in_all: usize = held.iter().map(|(_, expected)| expected.len()).sum();
                prop_assert!(in_all > most || lists.chunks.capacity() == capacity);
                most = most.max(in_all);
                for (list, expected) in &held {
                    let mut found: Vec<u32> = lists.iter(list).map(|handle| handle.slot().index()).collect();
                    let mut wanted: Vec<u32> = expected.iter().map(|(handle, _)| handle.slot().index()).collect();
                    found.sort_unstable();
                    wanted.sort_unstable();
                    prop_assert_eq!((found, list.len()), (wanted, expected.len()));
                    for &(handle, place) in expected {
                        prop_assert_eq!(lists.get(place), handle);
                    }
                }
            }
        }
    }
}
