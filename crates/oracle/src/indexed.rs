//! The engine's book with an index of ids, for benchmarks that measure neither accounts nor events.

use crossbook_book::{Book, Slot};
use crossbook_ledger::CountingHash;
use crossbook_types::{Price, Quantity, Side};
use hashbrown::HashMap;

use crate::workload::{Command, Op, Tally};

/// A book whose orders go by the ids of a workload.
#[derive(Clone, Debug, Default)]
pub struct IndexedBook {
    book: Book<u32>,
    slots: HashMap<u32, Slot, CountingHash>,
}

impl IndexedBook {
    /// An empty book.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many orders rest.
    #[must_use]
    pub fn len(&self) -> usize {
        self.book.len()
    }

    /// Whether none does.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.book.is_empty()
    }

    /// Applies a command and adds its trades to a tally.
    ///
    /// # Panics
    /// When the command is not such as a generator makes: it names an order that does not rest, or has no quantity.
    #[inline]
    pub fn apply(&mut self, command: &Command, tally: &mut Tally) {
        if matches!(command.op, Op::Cancel | Op::Move) {
            let slot = self.slots.remove(&command.id).expect("an order that is cancelled or moved rests");
            self.book.remove(slot);
        }
        if command.op != Op::Cancel {
            self.take(command, tally);
        }
    }

    #[inline]
    fn take(&mut self, command: &Command, tally: &mut Tally) {
        // An order at any price has one that is beyond all others.
        let price = Price(command.price.into());
        let mut left = Quantity(command.qty.into());
        while !left.is_zero() {
            let Some(top) = self.book.top(command.side.opposite()) else { break };
            let reaches = match command.side {
                Side::Buy => top.price <= price,
                Side::Sell => top.price >= price,
            };
            if !reaches {
                break;
            }
            let (slot, maker, quantity) = (top.slot, *top.data, left.min(top.quantity));
            tally.trade(command.id, maker, top.price.0 as u32, quantity.0 as u32); // as they came, in 32 bits
            left = left.minus(quantity);
            if self.book.reduce(slot, quantity).is_some() {
                self.slots.remove(&maker);
            }
        }
        if command.op != Op::Ioc && !left.is_zero() {
            self.slots.insert(command.id, self.book.rest(command.side, price, left, command.id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::GroundTruth;

    fn holds(truth: &GroundTruth) {
        let workload = (truth.workload)();
        let (mut book, mut tally) = (IndexedBook::new(), Tally::default());
        for (at, command) in workload.commands.iter().enumerate() {
            if at == workload.warmup {
                tally = Tally::default();
            }
            book.apply(command, &mut tally);
        }
        assert_eq!(tally, truth.tally, "mix {}", truth.name);
        assert_eq!(book.len(), book.slots.len());
    }

    #[test]
    fn mix_a_makes_the_trades_of_the_ground_truth() {
        holds(&GroundTruth::MIX_A);
    }

    #[test]
    fn mix_b_makes_the_trades_of_the_ground_truth() {
        holds(&GroundTruth::MIX_B_1K);
    }
}
