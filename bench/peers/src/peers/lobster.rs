//! lobster: a map of prices with queues of places in an arena, and a hash map of ids.

use crossbook_oracle::workload::{Command, Op, Tally};
use crossbook_types::Side;
use lobster::{FillMetadata, OrderBook, OrderEvent, OrderType};

use crate::engine::Engine;

/// Room for all orders that ever rest at once, so that nothing grows while it is timed.
const ARENA: usize = 1 << 17;
/// Room in each price's queue.
const QUEUE: usize = 64;

/// The book.
pub struct Lobster(OrderBook);

impl Default for Lobster {
    fn default() -> Self {
        Self(OrderBook::new(ARENA, QUEUE, false))
    }
}

impl Engine for Lobster {
    #[inline]
    fn apply(&mut self, _: usize, command: &Command, tally: &mut Tally) {
        let (id, qty) = (u128::from(command.id), u64::from(command.qty));
        let side = match command.side {
            Side::Buy => lobster::Side::Bid,
            Side::Sell => lobster::Side::Ask,
        };
        let event = self.0.execute(match command.op {
            Op::Cancel => OrderType::Cancel { id },
            Op::Ioc => OrderType::Market { id, side, qty },
            Op::Limit | Op::Move => OrderType::Limit { id, side, qty, price: command.price.into() },
        });
        if let OrderEvent::Filled { fills, .. } | OrderEvent::PartiallyFilled { fills, .. } = event {
            for FillMetadata { order_1, order_2, qty, price, .. } in fills {
                tally.trade(order_1 as u32, order_2 as u32, price as u32, qty as u32);
            }
        }
    }
}
