//! The price levels of one side, sorted: a trie over the bits of the price.
//!
//! Each node covers six bits and records in one 64-bit word which of its 64 children exist, so the lowest or highest
//! child takes one machine instruction. The trie is as high as the highest price needs (three nodes for 262,143 ticks,
//! four for 16 million) and gets a new root for a higher price. The best price is cached.
//!
//! ```text
//!     price    0b 000001 100001 101010        height 3
//!                   |      |      |
//!     root: bits .1......  |      |
//!              \-> node: bits ..1.|..
//!                         \-> leaf: bits ....1..., child = the level's slot
//! ```

use crossbook_types::{Price, Side};

use crate::queue::LevelSlot;

/// Bits of the price that one node covers.
const BITS: u32 = 6;
/// Children of a node.
const WAYS: usize = 1 << BITS;
/// The most nodes on a path: [`Price::MAX`] has 42 bits.
const HEIGHT_MAX: usize = 7;
/// End of the list of free nodes.
const NONE: u32 = u32::MAX;

#[derive(Clone, Debug)]
struct Node {
    /// Which children exist.
    bits: u64,
    /// Nodes one lower, or in a leaf levels. In a free node, the first is the next free node.
    children: [u32; WAYS],
}

/// The sorted price levels of one side.
#[derive(Clone, Debug)]
pub(crate) struct Ladder {
    side: Side,
    nodes: Vec<Node>,
    free: u32,
    root: u32,
    /// Nodes on a path from root to leaf.
    height: usize,
    best: Option<(Price, LevelSlot)>,
}

/// Which child of a node `above` the leaves a price lies under.
#[inline]
fn digit(price: u64, above: usize) -> usize {
    ((price >> (BITS as usize * above)) as usize) & (WAYS - 1)
}

/// The child that comes first on that side. `bits` is not zero.
#[inline]
fn first_child(side: Side, bits: u64) -> usize {
    match side {
        Side::Sell => bits.trailing_zeros() as usize,
        Side::Buy => 63 - bits.leading_zeros() as usize,
    }
}

impl Ladder {
    pub(crate) fn new(side: Side) -> Self {
        let root = Node { bits: 0, children: [NONE; WAYS] };
        Self { side, nodes: vec![root], free: NONE, root: 0, height: 1, best: None }
    }

    #[inline]
    pub(crate) fn best(&self) -> Option<(Price, LevelSlot)> {
        self.best
    }

    #[inline]
    fn covers(&self, price: u64) -> bool {
        price >> (BITS as usize * self.height) == 0
    }

    fn new_node(&mut self) -> u32 {
        if self.free == NONE {
            self.nodes.push(Node { bits: 0, children: [NONE; WAYS] });
            return u32::try_from(self.nodes.len() - 1).expect("fewer than 2^32 nodes");
        }
        let at = self.free;
        self.free = self.nodes[at as usize].children[0];
        self.nodes[at as usize].bits = 0;
        at
    }

    fn free_node(&mut self, at: u32) {
        self.nodes[at as usize].children[0] = self.free;
        self.free = at;
    }

    /// The level at a price, if there is one.
    #[inline]
    pub(crate) fn get(&self, price: Price) -> Option<LevelSlot> {
        if let Some((best, level)) = self.best
            && best == price
        {
            return Some(level);
        }
        if !self.covers(price.0) {
            return None;
        }
        let mut at = self.root;
        for above in (0..self.height).rev() {
            let node = &self.nodes[at as usize];
            let child = digit(price.0, above);
            if node.bits & (1 << child) == 0 {
                return None;
            }
            at = node.children[child];
        }
        Some(LevelSlot(at))
    }

    /// The level at a price; `open` makes it if there is none.
    #[inline]
    pub(crate) fn get_or_insert(&mut self, price: Price, open: impl FnOnce() -> LevelSlot) -> LevelSlot {
        assert!(price <= Price::MAX, "price out of range");
        while !self.covers(price.0) {
            let root = self.new_node();
            if self.nodes[self.root as usize].bits == 0 {
                self.free_node(self.root);
            } else {
                self.nodes[root as usize].bits = 1;
                self.nodes[root as usize].children[0] = self.root;
            }
            self.root = root;
            self.height += 1;
        }
        let mut at = self.root;
        for above in (1..self.height).rev() {
            let child = digit(price.0, above);
            let node = &self.nodes[at as usize];
            at = if node.bits & (1 << child) == 0 {
                let new = self.new_node();
                let node = &mut self.nodes[at as usize];
                node.bits |= 1 << child;
                node.children[child] = new;
                new
            } else {
                node.children[child]
            };
        }
        let child = digit(price.0, 0);
        let leaf = &mut self.nodes[at as usize];
        if leaf.bits & (1 << child) != 0 {
            return LevelSlot(leaf.children[child]);
        }
        let level = open();
        leaf.bits |= 1 << child;
        leaf.children[child] = level.0;
        let better = match self.best {
            None => true,
            Some((best, _)) => match self.side {
                Side::Buy => price > best,
                Side::Sell => price < best,
            },
        };
        if better {
            self.best = Some((price, level));
        }
        level
    }

    /// Forgets the level at a price.
    ///
    /// # Panics
    /// When there is none.
    #[inline]
    pub(crate) fn remove(&mut self, price: Price) {
        assert!(self.covers(price.0), "a level that is removed exists");
        let mut path = [0u32; HEIGHT_MAX];
        let mut at = self.root;
        for above in (0..self.height).rev() {
            path[above] = at;
            let node = &self.nodes[at as usize];
            let child = digit(price.0, above);
            assert!(node.bits & (1 << child) != 0, "a level that is removed exists");
            at = node.children[child];
        }
        for (above, &at) in path.iter().enumerate().take(self.height) {
            let node = &mut self.nodes[at as usize];
            node.bits &= !(1 << digit(price.0, above));
            if node.bits != 0 || at == self.root {
                break;
            }
            self.free_node(at);
        }
        if self.best.is_some_and(|(best, _)| best == price) {
            self.best = self.levels().next();
        }
    }

    /// All levels, best first.
    #[inline]
    pub(crate) fn levels(&self) -> Levels<'_> {
        let mut path = [(0, 0); HEIGHT_MAX];
        path[self.height - 1] = (self.root, self.nodes[self.root as usize].bits);
        Levels { ladder: self, path, above: self.height - 1, prefix: 0 }
    }

    /// The levels from a price on, best first: the one at the price, if there is one, and those behind it.
    pub(crate) fn levels_from(&self, price: Price) -> Levels<'_> {
        let mut levels = self.levels();
        if !self.covers(price.0) {
            // It is higher than all.
            if self.side == Side::Sell {
                levels.path[levels.above].1 = 0;
            }
            return levels;
        }
        loop {
            let above = levels.above;
            let (at, bits) = levels.path[above];
            let child = digit(price.0, above);
            let here = bits & (1 << child);
            let behind = match self.side {
                Side::Sell => bits & (u64::MAX << child) & !(1 << child),
                Side::Buy => bits & ((1 << child) - 1),
            };
            if above == 0 {
                levels.path[0].1 = behind | here;
                return levels;
            }
            levels.path[above].1 = behind;
            if here == 0 {
                return levels;
            }
            let below = self.nodes[at as usize].children[child];
            levels.prefix = levels.prefix << BITS | child as u64;
            levels.above -= 1;
            levels.path[levels.above] = (below, self.nodes[below as usize].bits);
        }
    }
}

/// Walks a ladder, best price first.
#[derive(Debug)]
pub(crate) struct Levels<'a> {
    ladder: &'a Ladder,
    /// For each height from `above` up, the node on the path and its children not yet visited.
    path: [(u32, u64); HEIGHT_MAX],
    above: usize,
    /// The digits of the price above `above`.
    prefix: u64,
}

impl Iterator for Levels<'_> {
    type Item = (Price, LevelSlot);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (at, bits) = self.path[self.above];
            if bits == 0 {
                if self.above + 1 == self.ladder.height {
                    return None;
                }
                self.above += 1;
                self.prefix >>= BITS;
                continue;
            }
            let child = first_child(self.ladder.side, bits);
            self.path[self.above].1 &= !(1 << child);
            let target = self.ladder.nodes[at as usize].children[child];
            let digits = self.prefix << BITS | child as u64;
            if self.above == 0 {
                return Some((Price(digits), LevelSlot(target)));
            }
            self.prefix = digits;
            self.above -= 1;
            self.path[self.above] = (target, self.ladder.nodes[target as usize].bits);
        }
    }
}
