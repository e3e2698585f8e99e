//! rust_ob: a sorted set of shared orders on each side and a hash map of ids, in decimals.

use crossbook_oracle::workload::{Command, Op, Tally};
use crossbook_types::Side;
use rust_ob::{Decimal, OrderBook};

use crate::engine::Engine;

/// The book.
pub struct RustOb(OrderBook<u32>);

impl Default for RustOb {
    fn default() -> Self {
        Self(OrderBook::new())
    }
}

impl Engine for RustOb {
    #[inline]
    fn apply(&mut self, _: usize, command: &Command, tally: &mut Tally) {
        let (id, quantity) = (command.id, Decimal::from(command.qty));
        let side = match command.side {
            Side::Buy => rust_ob::Side::Buy,
            Side::Sell => rust_ob::Side::Sell,
        };
        let matches = match command.op {
            Op::Cancel => {
                // A refusal would show in the trades.
                let _ = self.0.cancel_order(id);
                return;
            }
            Op::Ioc => self.0.process_market_order(id, side, quantity).unwrap_or_default(),
            Op::Limit | Op::Move => {
                self.0.process_limit_order(id, side, Decimal::from(command.price), quantity).unwrap_or_default()
            }
        };
        // The last one is the taker's own, the sum of the others.
        let Some((_, makers)) = matches.split_last() else { return };
        for maker in makers {
            let (quantity, cost) = (integer(maker.quantity), integer(maker.cost));
            tally.trade(id, maker.order, (cost / quantity) as u32, quantity as u32);
        }
    }
}

/// A whole number, without its sign.
#[inline]
fn integer(decimal: Decimal) -> u64 {
    debug_assert_eq!(decimal.scale(), 0);
    decimal.mantissa().unsigned_abs() as u64
}
