//! orderbook-rs: skip lists of price levels and concurrent maps, made for many threads at once, measured on one. Trades
//! come with the answer to an order; a listener would be told the same besides.

use crossbook_oracle::workload::{Command, Op, Tally};
use crossbook_types::Side;
use orderbook_rs::{Id, OrderBook, TimeInForce};
use pricelevel::MatchResult;

use crate::engine::Engine;

/// The book.
pub struct OrderbookRs(OrderBook<()>);

impl Default for OrderbookRs {
    fn default() -> Self {
        Self(OrderBook::new("BTCUSDT"))
    }
}

impl Engine for OrderbookRs {
    #[inline]
    fn apply(&mut self, _: usize, command: &Command, tally: &mut Tally) {
        let (id, quantity) = (Id::sequential(command.id.into()), u64::from(command.qty));
        let side = match command.side {
            Side::Buy => orderbook_rs::Side::Buy,
            Side::Sell => orderbook_rs::Side::Sell,
        };
        // What is refused would show in the trades.
        match command.op {
            Op::Cancel => {
                let _ = self.0.cancel_order(id);
            }
            Op::Ioc => {
                if let Ok(result) = self.0.submit_market_order(id, quantity, side) {
                    count(&result, tally);
                }
            }
            Op::Limit | Op::Move => {
                let price = u128::from(command.price);
                let gtc = TimeInForce::Gtc;
                if let Ok((_, Some(result))) = self.0.add_limit_order_with_result(id, price, quantity, side, gtc, None)
                {
                    count(&result.match_result, tally);
                }
            }
        }
    }
}

#[inline]
fn count(result: &MatchResult, tally: &mut Tally) {
    let id = |id: Id| id.as_u64().unwrap_or_default() as u32;
    for trade in result.trades().as_vec() {
        let (price, quantity) = (trade.price().as_u128() as u32, trade.quantity().as_u64() as u32);
        tally.trade(id(trade.taker_order_id()), id(trade.maker_order_id()), price, quantity);
    }
}
