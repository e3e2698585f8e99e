//! State of an exported venue that the views have and the partition does not.

use crossbook_engine::import::{MarketPast, Past};
use crossbook_protocol::event::{LastTrade, OrderImported};
use crossbook_protocol::order_list::ListImported;
use crossbook_types::{ListStatus, OrderId, OrderListId, SymbolId};

use crate::Views;
use crate::trades::PublicTrade;

impl Past for Views {
    fn order(&self, symbol: SymbolId, order: OrderId) -> Option<OrderImported> {
        let order = self.market(symbol)?.order(order).filter(|order| order.status.is_open())?;
        Some(order.to_move())
    }

    fn list(&self, symbol: SymbolId, list: OrderListId) -> Option<ListImported> {
        let list = self.market(symbol)?.order_list(list).filter(|list| list.status == ListStatus::Executing)?;
        Some(list.to_move(symbol))
    }

    fn market(&self, symbol: SymbolId) -> Option<MarketPast> {
        let market = Self::market(self, symbol)?;
        let last = market.last_trade().map(|last| {
            let PublicTrade { trade, price, quantity, quote, taker_side, time } = last;
            LastTrade { trade, price, quantity, quote, taker_side, time }
        });
        Some(MarketPast { last, aggregate_trades: market.aggregate_trades().count().0 })
    }
}
