//! The book alone: no accounts, no money, no events; with an index from ids to slots, because a cancel names an id.

use crossbook_book::{Book, Slot};
use crossbook_ledger::CountingHash;
use crossbook_oracle::workload::{Command, IOC_BUY_PRICE, IOC_SELL_PRICE, Op, Tally, Workload};
use crossbook_types::{Price, Quantity, Side};
use hashbrown::HashMap;

use super::Subject;

/// A book and the places of its orders. Tallying is part of what is timed, as it is the only trace that a command
/// leaves.
pub(super) struct BookAndIndex {
    book: Book<u32>,
    slots: HashMap<u32, Slot, CountingHash>,
    commands: Vec<Command>,
    tally: Tally,
}

impl Subject for BookAndIndex {
    // Nothing in a book is better for being done at once; the more at once, the less reading the clock costs.
    const BATCH: usize = 4_096;

    fn begin(_: &Workload) -> Self {
        Self { book: Book::new(), slots: HashMap::default(), commands: Vec::new(), tally: Tally::default() }
    }

    fn prepare(&mut self, commands: &[Command]) {
        self.commands.clear();
        self.commands.extend_from_slice(commands);
    }

    fn run(&mut self) {
        for at in 0..self.commands.len() {
            let command = self.commands[at];
            self.apply(&command);
        }
    }

    fn tally(&self) -> Tally {
        self.tally
    }

    fn forget(&mut self) {
        self.tally = Tally::default();
    }
}

impl BookAndIndex {
    fn apply(&mut self, command: &Command) {
        let (price, quantity) = (Price(command.price.into()), Quantity(command.qty.into()));
        match command.op {
            Op::Limit => self.limit(command.id, command.side, price, quantity),
            Op::Ioc => {
                let price = if command.side == Side::Buy { IOC_BUY_PRICE } else { IOC_SELL_PRICE };
                self.take(command.id, command.side, Price(price.into()), quantity);
            }
            Op::Cancel => {
                if let Some(slot) = self.slots.remove(&command.id) {
                    self.book.remove(slot);
                }
            }
            // The same order with what is left of it, last in its new queue.
            Op::Move => {
                if let Some(slot) = self.slots.remove(&command.id) {
                    let entry = self.book.get(slot);
                    let (side, left) = (entry.side, entry.quantity);
                    self.book.remove(slot);
                    self.limit(command.id, side, price, left);
                }
            }
        }
    }

    fn limit(&mut self, id: u32, side: Side, price: Price, quantity: Quantity) {
        let left = self.take(id, side, price, quantity);
        if !left.is_zero() {
            self.slots.insert(id, self.book.rest(side, price, left, id));
        }
    }

    /// Trades as far as the price reaches, and gives what is left.
    fn take(&mut self, id: u32, side: Side, price: Price, mut left: Quantity) -> Quantity {
        while !left.is_zero() {
            let Some(top) = self.book.top(side.opposite()) else { break };
            let reaches = match side {
                Side::Buy => top.price <= price,
                Side::Sell => top.price >= price,
            };
            if !reaches {
                break;
            }
            let (slot, maker, quantity) = (top.slot, *top.data, left.min(top.quantity));
            self.tally.trade(id, maker, top.price.0 as u32, quantity.0 as u32);
            left = left.minus(quantity);
            if self.book.reduce(slot, quantity).is_some() {
                self.slots.remove(&maker);
            }
        }
        left
    }
}
