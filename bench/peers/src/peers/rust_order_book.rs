//! rust-order-book: maps of prices with queues of ids, and a hash map of orders. It gives orders ids of its own, and
//! its reports have a list of fills, which stays empty.

use crossbook_oracle::workload::{Command, Op, Tally};
use crossbook_types::Side;
use rust_order_book::{ExecutionReport, LimitOrderOptions, MarketOrderOptions, OrderBook, OrderBookBuilder, OrderId};

use crate::engine::Engine;

/// The book.
pub struct RustOrderBook {
    book: OrderBook,
    /// By our id, theirs, and the other way round.
    theirs: Vec<u64>,
    ours: Vec<u32>,
}

impl RustOrderBook {
    /// An empty book for a workload of so many commands.
    pub fn new(commands: usize) -> Self {
        let (theirs, ours) = (vec![0; commands + 1], vec![0; commands + 1]);
        Self { book: OrderBookBuilder::new("BTCUSDT").build(), theirs, ours }
    }

    #[inline]
    fn count(&mut self, command: &Command, report: &ExecutionReport, tally: &mut Tally) {
        let theirs = report.order_id.0;
        self.theirs[command.id as usize] = theirs;
        self.ours[theirs as usize] = command.id;
        for fill in &report.fills {
            let maker = self.ours[fill.order_id.0 as usize];
            tally.trade(command.id, maker, fill.price.0 as u32, fill.quantity.0 as u32);
        }
    }
}

impl Engine for RustOrderBook {
    #[inline]
    fn apply(&mut self, _: usize, command: &Command, tally: &mut Tally) {
        let side = match command.side {
            Side::Buy => rust_order_book::Side::Buy,
            Side::Sell => rust_order_book::Side::Sell,
        };
        let quantity = u64::from(command.qty);
        let report = match command.op {
            Op::Cancel => {
                // A refusal would show in the trades.
                let _ = self.book.cancel(OrderId(self.theirs[command.id as usize]));
                return;
            }
            Op::Ioc => self.book.market(MarketOrderOptions::new(side, quantity)),
            Op::Limit | Op::Move => {
                self.book.limit(LimitOrderOptions::new(side, quantity, command.price.into(), None, None))
            }
        };
        if let Ok(report) = report {
            self.count(command, &report, tally);
        }
    }
}
