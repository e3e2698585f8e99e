//! A row of numbers with gaps, of which the least of any stretch is found in logarithmic time.

/// The numbers, and for each pair, pair of pairs and so on the least of it: number and position.
#[derive(Clone, Debug)]
pub(super) struct MinTree {
    /// A complete binary tree: the children of node n are 2n and 2n + 1, the leaves are the second half.
    nodes: Vec<u64>,
}

/// A gap. No number is so large.
const GAP: u64 = u64::MAX;
/// Leaves of the smallest tree.
const ROOM_MIN: usize = 64;

impl MinTree {
    pub(super) fn new() -> Self {
        Self { nodes: Vec::new() }
    }

    /// How many numbers it has room for.
    pub(super) fn room(&self) -> usize {
        self.nodes.len() / 2
    }

    /// Removes all numbers, and makes room for at least so many.
    pub(super) fn clear(&mut self, room: usize) {
        self.nodes.clear();
        self.nodes.resize(2 * room.max(ROOM_MIN).next_power_of_two(), GAP);
    }

    /// The number at a position.
    pub(super) fn get(&self, at: u32) -> Option<u32> {
        let leaf = self.nodes[self.room() + at as usize];
        (leaf != GAP).then_some((leaf >> 32) as u32)
    }

    /// Puts a number, or a gap, at a position.
    ///
    /// # Panics
    /// When there is no room.
    pub(super) fn set(&mut self, at: u32, number: Option<u32>) {
        let mut node = self.room() + at as usize;
        self.nodes[node] = number.map_or(GAP, |number| u64::from(number) << 32 | u64::from(at));
        while node > 1 {
            node /= 2;
            self.nodes[node] = self.nodes[2 * node].min(self.nodes[2 * node + 1]);
        }
    }

    /// The least number from one position to before another, and the first position that has it.
    pub(super) fn least(&self, from: u32, to: u32) -> Option<(u32, u32)> {
        let (mut from, mut to) = (self.room() + from as usize, self.room() + to as usize);
        let mut least = GAP;
        while from < to {
            if from % 2 == 1 {
                least = least.min(self.nodes[from]);
                from += 1;
            }
            if to % 2 == 1 {
                to -= 1;
                least = least.min(self.nodes[to]);
            }
            (from, to) = (from / 2, to / 2);
        }
        (least != GAP).then_some(((least >> 32) as u32, least as u32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_of_any_stretch_is_found() {
        let mut tree = MinTree::new();
        tree.clear(5);
        assert_eq!(tree.room(), ROOM_MIN);
        for (at, number) in [(0, 7), (1, 3), (2, 9), (4, 3)] {
            tree.set(at, Some(number));
        }
        assert_eq!(tree.least(0, 5), Some((3, 1)));
        assert_eq!((tree.least(2, 5), tree.least(2, 4), tree.least(3, 4)), (Some((3, 4)), Some((9, 2)), None));
        tree.set(1, None);
        assert_eq!((tree.get(1), tree.get(0), tree.least(0, 4)), (None, Some(7), Some((7, 0))));
    }
}
