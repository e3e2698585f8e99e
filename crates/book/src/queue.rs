//! Orders and the queues that they wait in: a slab of orders, doubly chained within their price level.

use crossbook_types::{Price, Quantity, Side};

use crate::{Entry, Slot};

/// No order, no level.
const NONE: u32 = u32::MAX;

/// A price level's place in the slab of levels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct LevelSlot(pub(crate) u32);

/// An order in its queue. With up to 40 bytes of the caller's data it is one cache line, so whatever is done to an
/// order touches one line for itself and one for each neighbour.
#[derive(Clone, Debug)]
#[repr(align(64))]
struct Node<T> {
    /// What is left of the order. Zero: the node is free.
    quantity: u64,
    /// The caller's; in a free node, left from the last order.
    data: T,
    level: u32,
    /// The order before it in the queue; in a free node unused.
    previous: u32,
    /// The order after it in the queue; in a free node the next free one.
    next: u32,
}

#[derive(Clone, Debug)]
struct Level {
    price: Price,
    total: u64,
    side: Side,
    first: u32,
    /// In a free level the next free one.
    last: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Queues<T> {
    nodes: Vec<Node<T>>,
    levels: Vec<Level>,
    free_node: u32,
    free_level: u32,
    len: usize,
}

impl<T: Copy> Queues<T> {
    pub(crate) fn new() -> Self {
        Self { nodes: Vec::new(), levels: Vec::new(), free_node: NONE, free_level: NONE, len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// An empty level. An order has to be pushed into it before anything else is done with it.
    #[inline]
    pub(crate) fn open_level(&mut self, side: Side, price: Price) -> LevelSlot {
        let level = Level { price, total: 0, side, first: NONE, last: NONE };
        if self.free_level == NONE {
            self.levels.push(level);
            return LevelSlot(u32::try_from(self.levels.len() - 1).expect("no more levels than orders"));
        }
        let at = self.free_level;
        self.free_level = self.levels[at as usize].last;
        self.levels[at as usize] = level;
        LevelSlot(at)
    }

    /// Recycles a level that has no orders left.
    #[inline]
    pub(crate) fn close_level(&mut self, level: LevelSlot) {
        let entry = &mut self.levels[level.0 as usize];
        assert!(entry.first == NONE && entry.total == 0, "only an empty level is closed");
        entry.last = self.free_level;
        self.free_level = level.0;
    }

    #[inline]
    pub(crate) fn total(&self, level: LevelSlot) -> Quantity {
        Quantity(self.levels[level.0 as usize].total)
    }

    #[inline]
    pub(crate) fn first(&self, level: LevelSlot) -> Slot {
        Slot(self.levels[level.0 as usize].first)
    }

    /// Adds an order that is in no level.
    pub(crate) fn park(&mut self, quantity: Quantity, data: T) -> Slot {
        let at = self.put(Node { quantity: quantity.0, data, level: NONE, previous: NONE, next: NONE });
        self.len += 1;
        Slot(at)
    }

    /// Takes an order out of its level, but not out of its slot; the level, if it is now empty.
    pub(crate) fn detach(&mut self, slot: Slot) -> Option<(Side, Price, LevelSlot)> {
        let emptied = self.unlink(slot);
        let node = &mut self.nodes[slot.0 as usize];
        (node.level, node.previous, node.next) = (NONE, NONE, NONE);
        emptied
    }

    /// Puts an order into a free slot.
    #[inline]
    fn put(&mut self, node: Node<T>) -> u32 {
        if self.free_node == NONE {
            self.nodes.push(node);
            return u32::try_from(self.nodes.len() - 1).expect("a book holds fewer than 2^32 orders");
        }
        let at = self.free_node;
        let entry = &mut self.nodes[at as usize];
        self.free_node = entry.next;
        *entry = node;
        at
    }

    #[inline]
    pub(crate) fn push(&mut self, level: LevelSlot, quantity: Quantity, data: T) -> Slot {
        let last = self.levels[level.0 as usize].last;
        let at = self.put(Node { quantity: quantity.0, data, level: level.0, previous: last, next: NONE });
        let queue = &mut self.levels[level.0 as usize];
        queue.total += quantity.0;
        queue.last = at;
        if last == NONE {
            queue.first = at;
        } else {
            self.nodes[last as usize].next = at;
        }
        self.len += 1;
        Slot(at)
    }

    #[inline]
    fn node(&self, slot: Slot) -> &Node<T> {
        let node = &self.nodes[slot.0 as usize];
        assert!(node.quantity > 0, "an order stands at the slot");
        node
    }

    #[inline]
    pub(crate) fn entry(&self, slot: Slot) -> Entry<'_, T> {
        let node = self.node(slot);
        let level = &self.levels[node.level as usize];
        Entry { slot, side: level.side, price: level.price, quantity: Quantity(node.quantity), data: &node.data }
    }

    /// The total of the level that an order is in.
    #[inline]
    pub(crate) fn total_around(&self, slot: Slot) -> Quantity {
        Quantity(self.levels[self.node(slot).level as usize].total)
    }

    /// The neighbours of an order in its queue.
    #[inline]
    pub(crate) fn neighbours(&self, slot: Slot) -> (Option<Slot>, Option<Slot>) {
        let node = self.node(slot);
        let slot = |at| (at != NONE).then_some(Slot(at));
        (slot(node.previous), slot(node.next))
    }

    #[inline]
    pub(crate) fn quantity(&self, slot: Slot) -> Quantity {
        Quantity(self.node(slot).quantity)
    }

    #[inline]
    pub(crate) fn data(&self, slot: Slot) -> &T {
        &self.node(slot).data
    }

    #[inline]
    pub(crate) fn data_mut(&mut self, slot: Slot) -> &mut T {
        let node = &mut self.nodes[slot.0 as usize];
        assert!(node.quantity > 0, "an order stands at the slot");
        &mut node.data
    }

    /// Takes `quantity` from an order, of which more is left.
    #[inline]
    pub(crate) fn reduce(&mut self, slot: Slot, quantity: Quantity) {
        let node = &mut self.nodes[slot.0 as usize];
        assert!(node.quantity > quantity.0, "no more is taken than is left");
        node.quantity -= quantity.0;
        // A parked order is in no level.
        if let Some(level) = self.levels.get_mut(node.level as usize) {
            level.total -= quantity.0;
        }
    }

    /// Gives an order of which everything was taken another quantity, at the end of its queue.
    pub(crate) fn renew(&mut self, slot: Slot, quantity: Quantity) {
        let node = &mut self.nodes[slot.0 as usize];
        assert!(node.quantity > 0 && !quantity.is_zero(), "an order stands at the slot, and goes on");
        let (before, level, previous, next) = (node.quantity, node.level, node.previous, node.next);
        node.quantity = quantity.0;
        let queue = &mut self.levels[level as usize];
        queue.total = queue.total - before + quantity.0;
        if next == NONE {
            return;
        }
        let last = std::mem::replace(&mut queue.last, slot.0);
        if previous == NONE {
            queue.first = next
        } else {
            self.nodes[previous as usize].next = next
        }
        self.nodes[next as usize].previous = previous;
        self.nodes[last as usize].next = slot.0;
        let node = &mut self.nodes[slot.0 as usize];
        (node.previous, node.next) = (last, NONE);
    }

    /// Takes an order out; the second value is its level, if that is now empty.
    #[inline]
    pub(crate) fn remove(&mut self, slot: Slot) -> (T, Option<(Side, Price, LevelSlot)>) {
        let emptied = self.unlink(slot);
        let node = &mut self.nodes[slot.0 as usize];
        node.quantity = 0;
        node.next = self.free_node;
        self.free_node = slot.0;
        self.len -= 1;
        (node.data, emptied)
    }

    /// Takes an order out of its queue; its level, if that is now empty.
    #[inline]
    fn unlink(&mut self, slot: Slot) -> Option<(Side, Price, LevelSlot)> {
        let node = &self.nodes[slot.0 as usize];
        assert!(node.quantity > 0, "an order stands at the slot");
        let (level, previous, next) = (node.level, node.previous, node.next);
        if level == NONE {
            return None;
        }
        let queue = &mut self.levels[level as usize];
        queue.total -= node.quantity;
        if previous == NONE {
            queue.first = next
        } else {
            self.nodes[previous as usize].next = next
        }
        if next == NONE {
            queue.last = previous
        } else {
            self.nodes[next as usize].previous = previous
        }
        (queue.first == NONE).then_some((queue.side, queue.price, LevelSlot(level)))
    }

    pub(crate) fn orders(&self, level: LevelSlot) -> impl Iterator<Item = Entry<'_, T>> {
        let mut at = self.levels[level.0 as usize].first;
        std::iter::from_fn(move || {
            let slot = (at != NONE).then_some(Slot(at))?;
            at = self.nodes[at as usize].next;
            Some(self.entry(slot))
        })
    }
}
