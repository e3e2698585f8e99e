//! Implements the gateway's history port, through which it queries what the views have evicted.

use std::pin::Pin;

use crossbook_protocol::Cause;
use crossbook_types::{
    AccountId, ClientOrderId, Market, OrderId, OrderListId, PartitionId, PreventedMatchId, Sequence, SymbolId,
    Timestamp, TradeId,
};
use crossbook_views::history::{Answer, History as Port, LedgerEntry, LedgerPlace, Revenue, Status, Unavailable};
use crossbook_views::operator_log::{Entry, Place};
use crossbook_views::{
    AggregateTrade, AggregateTradeId, Amendment, Candle, Interval, Order, OrderList, OwnTrade, Prevented, PublicTrade,
    Window,
};

use super::History;
use crate::database::Error;

fn answered<'a, T>(query: impl Future<Output = Result<T, Error>> + Send + 'a) -> Answer<'a, T> {
    Box::pin(async { query.await.map_err(Unavailable::new) })
}

impl Port for History {
    fn covering(
        &self,
        partition: PartitionId,
        time: Timestamp,
        live: Option<Cause>,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.progress(partition).covering(time, live))
    }

    fn complete_from(&self, partition: PartitionId) -> Sequence {
        self.progress(partition).position().complete_from
    }

    fn lag(&self, partition: PartitionId, live: Cause) -> (u64, u64) {
        self.progress(partition).lag(live)
    }

    fn statuses(&self) -> Vec<Status> {
        let statuses = Self::statuses(self);
        let described = statuses.map(|status| Status {
            position: status.position.map(|position| position.sequence),
            activity: status.activity,
            files_lost: status.files_lost,
        });
        described.collect()
    }

    fn order(&self, symbol: SymbolId, order: OrderId) -> Answer<'_, Option<Order>> {
        answered(Self::order(self, symbol, order))
    }

    fn order_named(
        &self,
        account: AccountId,
        symbol: SymbolId,
        name: ClientOrderId,
        up_to: OrderId,
    ) -> Answer<'_, Option<Order>> {
        answered(async move { Self::order_named(self, account, symbol, &name, up_to).await })
    }

    fn orders_from(&self, account: AccountId, symbol: SymbolId, from: OrderId, limit: usize) -> Answer<'_, Vec<Order>> {
        answered(Self::orders_from(self, account, symbol, from, limit))
    }

    fn ended_orders(&self, account: AccountId, symbol: SymbolId, window: Window) -> Answer<'_, Vec<Order>> {
        answered(Self::ended_orders(self, account, symbol, window))
    }

    fn prevented_match(&self, symbol: SymbolId, id: PreventedMatchId) -> Answer<'_, Option<Prevented>> {
        answered(Self::prevented_match(self, symbol, id))
    }

    fn prevented_matches(
        &self,
        account: AccountId,
        symbol: SymbolId,
        order: OrderId,
        from: Option<PreventedMatchId>,
        limit: usize,
    ) -> Answer<'_, Vec<Prevented>> {
        answered(Self::prevented_matches(self, account, symbol, order, from, limit))
    }

    fn amendments(
        &self,
        account: AccountId,
        symbol: SymbolId,
        order: OrderId,
        from: Sequence,
        limit: usize,
    ) -> Answer<'_, Vec<Amendment>> {
        answered(Self::amendments(self, account, symbol, order, from, limit))
    }

    fn operator_log(&self, before: Option<Place>, limit: usize) -> Answer<'_, Vec<(PartitionId, Entry)>> {
        answered(Self::operator_log(self, before, limit))
    }

    fn ledger_entries(
        &self,
        account: AccountId,
        before: Option<LedgerPlace>,
        limit: usize,
    ) -> Answer<'_, Vec<LedgerEntry>> {
        answered(Self::ledger_entries(self, account, before, limit))
    }

    fn revenue(&self, days: (u32, u32), limit: usize) -> Answer<'_, Vec<Revenue>> {
        answered(Self::revenue(self, days, limit))
    }

    fn order_list(&self, list: OrderListId) -> Answer<'_, Option<OrderList>> {
        answered(Self::order_list(self, list))
    }

    fn order_list_named(&self, account: AccountId, name: ClientOrderId) -> Answer<'_, Option<OrderList>> {
        answered(async move { Self::order_list_named(self, account, &name).await })
    }

    fn order_lists_from(&self, account: AccountId, from: OrderListId, limit: usize) -> Answer<'_, Vec<OrderList>> {
        answered(Self::order_lists_from(self, account, from, limit))
    }

    fn order_lists(&self, account: AccountId, window: Window) -> Answer<'_, Vec<OrderList>> {
        answered(Self::order_lists(self, account, window))
    }

    fn own_trades_from(
        &self,
        account: AccountId,
        market: Market,
        from: TradeId,
        limit: usize,
    ) -> Answer<'_, Vec<OwnTrade>> {
        answered(async move { Self::own_trades_from(self, account, &market, from, limit).await })
    }

    fn own_trades(&self, account: AccountId, market: Market, window: Window) -> Answer<'_, Vec<OwnTrade>> {
        answered(async move { Self::own_trades(self, account, &market, window).await })
    }

    fn own_trades_of_order(
        &self,
        account: AccountId,
        market: Market,
        order: OrderId,
        from: TradeId,
        limit: usize,
    ) -> Answer<'_, Vec<OwnTrade>> {
        answered(async move { Self::own_trades_of_order(self, account, &market, order, from, limit).await })
    }

    fn trades_from(&self, symbol: SymbolId, from: TradeId, limit: usize) -> Answer<'_, Vec<PublicTrade>> {
        answered(Self::trades_from(self, symbol, from, limit))
    }

    fn trades_until(&self, symbol: SymbolId, until: TradeId, limit: usize) -> Answer<'_, Vec<PublicTrade>> {
        answered(Self::trades_until(self, symbol, until, limit))
    }

    fn aggregate_trades_from(
        &self,
        symbol: SymbolId,
        from: AggregateTradeId,
        limit: usize,
    ) -> Answer<'_, Vec<AggregateTrade>> {
        answered(Self::aggregate_trades_from(self, symbol, from, limit))
    }

    fn aggregate_trades(&self, symbol: SymbolId, window: Window) -> Answer<'_, Vec<AggregateTrade>> {
        answered(Self::aggregate_trades(self, symbol, window))
    }

    fn candles(
        &self,
        symbol: SymbolId,
        interval: Interval,
        range: (Timestamp, Timestamp),
        limit: usize,
    ) -> Answer<'_, Vec<Candle>> {
        answered(Self::candles(self, symbol, interval, range, limit))
    }

    fn last_candles(
        &self,
        symbol: SymbolId,
        interval: Interval,
        range: (Timestamp, Timestamp),
        limit: usize,
    ) -> Answer<'_, Vec<Candle>> {
        answered(Self::last_candles(self, symbol, interval, range, limit))
    }

    fn candle_before(&self, symbol: SymbolId, interval: Interval, time: Timestamp) -> Answer<'_, Option<Candle>> {
        answered(Self::candle_before(self, symbol, interval, time))
    }
}
