//! Queries of the history, with the types of the views. Each query is one or two index lookups with a timeout.
//!
//! Ids of orders and trades grow with time within a market. So a time range is an id range, and one index serves both.
//!
//! The tables lag behind the venue, and memory evicts entries. A caller combines both: what memory still has, and from
//! here what it has evicted, once [`Progress::covers`] says that all of it is here.

mod books;
mod dump;
mod operator_log;
mod order_lists;
mod port;

use std::sync::Arc;

use crossbook_projection::batch::Value;
use crossbook_projection::schema::{CANDLES, ORDER_AMENDMENTS, ORDERS, PREVENTED_MATCHES, TRADES};
use crossbook_types::{
    AccountId, ClientOrderId, Market, OrderId, PartitionId, PreventedMatchId, Sequence, SymbolId, Timestamp, TradeId,
};
use crossbook_views::{
    AggregateTrade, AggregateTradeId, Amendment, Candle, Interval, Order, OwnTrade, Prevented, PublicTrade, Window,
    keep_first, keep_last,
};
use futures_util::TryStreamExt as _;
use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use crate::database::{Database, Error, within};
use crate::options::Dialect;
use crate::progress::{Progress, Status};
use crate::rows::Fields;
use crate::statement::bind;

pub use dump::{Counted, Holding};

/// Answers questions about the past.
#[derive(Clone, Debug)]
pub struct History {
    database: Database,
    /// The position of each partition.
    progress: Arc<[Arc<Progress>]>,
}

/// Which end of what is found counts when there is more than was asked for.
#[derive(Clone, Copy, Debug)]
enum Which {
    First,
    Last,
}

impl History {
    /// A history in that database, of a venue of one partition, whose writer reports its progress. Nothing is connected
    /// yet.
    #[must_use]
    pub fn new(database: &Database, progress: Arc<Progress>) -> Self {
        Self::of_partitions(database, [progress])
    }

    /// The same of a venue of several partitions, each of which has a writer; by number.
    #[must_use]
    pub fn of_partitions(database: &Database, progress: impl IntoIterator<Item = Arc<Progress>>) -> Self {
        Self { database: database.clone(), progress: progress.into_iter().collect() }
    }

    /// The position of a partition's rows.
    ///
    /// # Panics
    /// When there is no such partition.
    #[must_use]
    pub fn progress(&self, partition: PartitionId) -> &Progress {
        &self.progress[usize::from(partition.0)]
    }

    /// The position of each partition's rows, by number.
    pub fn statuses(&self) -> impl Iterator<Item = Status> {
        self.progress.iter().map(|progress| progress.status())
    }

    /// An order of any account.
    ///
    /// # Errors
    /// As all queries: when the database fails, is too slow, or has been tampered with.
    pub async fn order(&self, symbol: SymbolId, order: OrderId) -> Result<Option<Order>, Error> {
        let values = [symbol.0.into(), order.0];
        let rows = self.select(&ORDERS.selection(), "orders", "symbol_id = ? AND order_id = ?", values).await?;
        rows.first().map(|row| Fields(row).order()).transpose()
    }

    /// The newest order up to a number to which its owner gave that name.
    ///
    /// # Errors
    /// See [`History::order`].
    pub async fn order_named(
        &self,
        account: AccountId,
        symbol: SymbolId,
        name: &ClientOrderId,
        up_to: OrderId,
    ) -> Result<Option<Order>, Error> {
        let statement = format!(
            "SELECT {} FROM {} WHERE account_id = ? AND symbol_id = ? AND client_order_id = ? AND order_id <= ? \
             ORDER BY order_id DESC LIMIT 1",
            ORDERS.selection(),
            self.along("orders", "orders_by_name")
        );
        let name = Value::Text(name.as_str().into());
        let values = [number(account.0), number(symbol.0.into()), name, number(up_to.0)];
        self.rows(statement, values).await?.first().map(|row| Fields(row).order()).transpose()
    }

    /// The first `limit` orders of an account from number `from` on.
    ///
    /// # Errors
    /// See [`History::order`].
    pub async fn orders_from(
        &self,
        account: AccountId,
        symbol: SymbolId,
        from: OrderId,
        limit: usize,
    ) -> Result<Vec<Order>, Error> {
        let statement = "SELECT placed FROM orders WHERE symbol_id = ? AND order_id >= ? ORDER BY order_id LIMIT 1";
        let rows = self.rows(statement.to_owned(), [number(symbol.0.into()), number(from.0)]).await?;
        let Some(row) = rows.first() else { return Ok(Vec::new()) };
        let placed = Fields(row).number("placed")?;
        let by_account = self.along("orders", "orders_by_account");
        let condition = "account_id = ? AND symbol_id = ? AND placed >= ? AND order_id >= ?";
        let values = [account.0, symbol.0.into(), placed, from.0];
        let rows = self
            .list(&ORDERS.selection(), &by_account, condition, values, "placed, order_id", Which::First, limit)
            .await?;
        rows.iter().map(|row| Fields(row).order()).collect()
    }

    /// The orders of an account that ended in a stretch of time, by that time and their number.
    ///
    /// # Errors
    /// See [`History::order`].
    pub async fn ended_orders(
        &self,
        account: AccountId,
        symbol: SymbolId,
        window: Window,
    ) -> Result<Vec<Order>, Error> {
        let by_update = self.along("orders", "orders_by_update");
        let condition = "account_id = ? AND symbol_id = ? AND updated >= ? AND updated <= ? \
                         AND status NOT IN ('NEW', 'PENDING_NEW', 'PARTIALLY_FILLED')";
        let (start, end, which) = bounds(window);
        let values = [account.0, symbol.0.into(), start, end];
        let rows = self
            .list(&ORDERS.selection(), &by_update, condition, values, "updated, order_id", which, window.limit)
            .await?;
        rows.iter().map(|row| Fields(row).order()).collect()
    }

    /// A prevented match of any account.
    ///
    /// # Errors
    /// See [`History::order`].
    pub async fn prevented_match(&self, symbol: SymbolId, id: PreventedMatchId) -> Result<Option<Prevented>, Error> {
        let condition = "symbol_id = ? AND prevented_match_id = ?";
        let values = [symbol.0.into(), id.number()];
        let rows = self.select(&PREVENTED_MATCHES.selection(), "prevented_matches", condition, values).await?;
        rows.first().map(|row| Fields(row).prevented()).transpose()
    }

    /// The first `limit` prevented matches of an order of an account, from number `from` on.
    ///
    /// # Errors
    /// See [`History::order`].
    pub async fn prevented_matches(
        &self,
        account: AccountId,
        symbol: SymbolId,
        order: OrderId,
        from: Option<PreventedMatchId>,
        limit: usize,
    ) -> Result<Vec<Prevented>, Error> {
        let from = from.map_or(0, PreventedMatchId::number);
        let mut found = Vec::new();
        // Where both orders are one account's, only that stands there.
        let sides = [
            ("prevented_by_taker", "taker_order_id", "account_id"),
            ("prevented_by_maker", "maker_order_id", "COALESCE(maker_account_id, account_id)"),
        ];
        for (index, column, owner) in sides {
            let side = self.along("prevented_matches", index);
            let condition = format!("symbol_id = ? AND {column} = ? AND {owner} = ? AND prevented_match_id >= ?");
            let values = [symbol.0.into(), order.0, account.0, from];
            let selection = PREVENTED_MATCHES.selection();
            let rows =
                self.list(&selection, &side, &condition, values, "prevented_match_id", Which::First, limit).await?;
            for row in &rows {
                found.push(Fields(row).prevented()?);
            }
        }
        found.sort_by_key(|prevented| prevented.prevented.id);
        found.truncate(limit);
        Ok(found)
    }

    /// The first `limit` amendments of an order of an account, from a command of its market's partition on.
    ///
    /// # Errors
    /// See [`History::order`].
    pub async fn amendments(
        &self,
        account: AccountId,
        symbol: SymbolId,
        order: OrderId,
        from: Sequence,
        limit: usize,
    ) -> Result<Vec<Amendment>, Error> {
        let condition = "symbol_id = ? AND order_id = ? AND account_id = ? AND sequence >= ?";
        let values = [symbol.0.into(), order.0, account.0, from.0];
        let (selection, table) = (ORDER_AMENDMENTS.selection(), ORDER_AMENDMENTS.name);
        let rows = self.list(&selection, table, condition, values, "amendment", Which::First, limit).await?;
        rows.iter().map(|row| Fields(row).amendment()).collect()
    }

    /// The first `limit` trades of an account from number `from` on. A trade of the account with itself is there twice,
    /// and both are given even if only one would fit.
    ///
    /// # Errors
    /// See [`History::order`].
    pub async fn own_trades_from(
        &self,
        account: AccountId,
        market: &Market,
        from: TradeId,
        limit: usize,
    ) -> Result<Vec<OwnTrade>, Error> {
        self.own_trades_between(account, market, (from, TradeId(i64::MAX as u64)), Which::First, limit).await
    }

    /// The trades of an account in a stretch of time.
    ///
    /// # Errors
    /// See [`History::order`].
    pub async fn own_trades(
        &self,
        account: AccountId,
        market: &Market,
        window: Window,
    ) -> Result<Vec<OwnTrade>, Error> {
        let Some(range) = self.trades_of_time(market.id, window).await? else { return Ok(Vec::new()) };
        self.own_trades_between(account, market, range, bounds(window).2, window.limit).await
    }

    /// The first `limit` trades of one order of an account, from number `from` on.
    ///
    /// # Errors
    /// See [`History::order`].
    pub async fn own_trades_of_order(
        &self,
        account: AccountId,
        market: &Market,
        order: OrderId,
        from: TradeId,
        limit: usize,
    ) -> Result<Vec<OwnTrade>, Error> {
        // An order's events are few and stand together; its trades are among them.
        let statement = format!(
            "SELECT {}, {}, own.maker AS maker FROM order_events AS own \
             JOIN trades ON trades.symbol_id = own.symbol_id AND trades.trade_id = own.trade_id \
             WHERE own.symbol_id = ? AND own.order_id = ? AND own.account_id = ? AND own.trade_id >= ? \
             ORDER BY own.sequence, own.ordinal LIMIT ?",
            TRADES.selection(),
            list_of_order("own.order_id")
        );
        let values = [market.id.0.into(), order.0, account.0, from.0, limit as u64].map(number);
        let rows = self.rows(statement, values).await?;
        rows.iter()
            .map(|row| {
                let fields = Fields(row);
                fields.own_trade(market, fields.number("maker")? == 1)
            })
            .collect()
    }

    /// The first `limit` trades of a market from number `from` on.
    ///
    /// # Errors
    /// See [`History::order`].
    pub async fn trades_from(&self, symbol: SymbolId, from: TradeId, limit: usize) -> Result<Vec<PublicTrade>, Error> {
        let condition = "symbol_id = ? AND trade_id >= ?";
        let values = [symbol.0.into(), from.0];
        let rows = self.list(&TRADES.selection(), "trades", condition, values, "trade_id", Which::First, limit).await?;
        rows.iter().map(|row| Fields(row).public_trade().map(|(trade, _)| trade)).collect()
    }

    /// The last `limit` trades of a market up to number `until`.
    ///
    /// # Errors
    /// See [`History::order`].
    pub async fn trades_until(
        &self,
        symbol: SymbolId,
        until: TradeId,
        limit: usize,
    ) -> Result<Vec<PublicTrade>, Error> {
        let condition = "symbol_id = ? AND trade_id <= ?";
        let values = [symbol.0.into(), until.0];
        let rows = self.list(&TRADES.selection(), "trades", condition, values, "trade_id", Which::Last, limit).await?;
        rows.iter().map(|row| Fields(row).public_trade().map(|(trade, _)| trade)).collect()
    }

    /// The first `limit` aggregate trades of a market from number `from` on.
    ///
    /// # Errors
    /// See [`History::order`].
    pub async fn aggregate_trades_from(
        &self,
        symbol: SymbolId,
        from: AggregateTradeId,
        limit: usize,
    ) -> Result<Vec<AggregateTrade>, Error> {
        // Numbers follow on one another, but the tables may begin with any of them.
        let (condition, values) = ("symbol_id = ? AND aggregate_id >= ?", [symbol.0.into(), from.0]);
        let sorted = "aggregate_id, trade_id";
        let rows = self.list("aggregate_id", "trades", condition, values, sorted, Which::First, 1).await?;
        let Some(row) = rows.first() else { return Ok(Vec::new()) };
        let first = Fields(row).number("aggregate_id")?;
        let range = (first, first.saturating_add(limit as u64));
        self.aggregate_trades_between(symbol, range, limit, Which::First).await
    }

    /// The aggregate trades of a market in a stretch of time.
    ///
    /// # Errors
    /// See [`History::order`].
    pub async fn aggregate_trades(&self, symbol: SymbolId, window: Window) -> Result<Vec<AggregateTrade>, Error> {
        let Some((first, last)) = self.trades_of_time(symbol, window).await? else { return Ok(Vec::new()) };
        let aggregate = async |trade: TradeId| {
            let condition = "symbol_id = ? AND trade_id = ?";
            let rows = self.select("aggregate_id", "trades", condition, [symbol.0.into(), trade.0]).await?;
            let row = rows.first().ok_or_else(|| Error::Nonsense(format!("trade {trade} has vanished")))?;
            Fields(row).number("aggregate_id")
        };
        let (first, last) = (aggregate(first).await?, aggregate(last).await?);
        let which = bounds(window).2;
        let limit = window.limit as u64;
        let range = match which {
            Which::First => (first, last.saturating_add(1).min(first.saturating_add(limit))),
            Which::Last => (first.max(last.saturating_add(1).saturating_sub(limit)), last.saturating_add(1)),
        };
        self.aggregate_trades_between(symbol, range, window.limit, which).await
    }

    /// The candles of an interval, by UTC, that had trades and begin at `from` or later and before `to`; at most
    /// `limit`, the oldest first.
    ///
    /// # Errors
    /// See [`History::order`].
    pub async fn candles(
        &self,
        symbol: SymbolId,
        interval: Interval,
        range: (Timestamp, Timestamp),
        limit: usize,
    ) -> Result<Vec<Candle>, Error> {
        self.candles_between(symbol, interval, range, Which::First, limit).await
    }

    /// As [`History::candles`], but of more than `limit` the last.
    ///
    /// # Errors
    /// See [`History::order`].
    pub async fn last_candles(
        &self,
        symbol: SymbolId,
        interval: Interval,
        range: (Timestamp, Timestamp),
        limit: usize,
    ) -> Result<Vec<Candle>, Error> {
        self.candles_between(symbol, interval, range, Which::Last, limit).await
    }

    /// The last candle of an interval with trades that begins before `time`.
    ///
    /// # Errors
    /// See [`History::order`].
    pub async fn candle_before(
        &self,
        symbol: SymbolId,
        interval: Interval,
        time: Timestamp,
    ) -> Result<Option<Candle>, Error> {
        let found = self.last_candles(symbol, interval, (Timestamp(0), time), 1).await?;
        Ok(found.first().copied())
    }

    /// The first and the last trade of a market in a stretch of time.
    async fn trades_of_time(&self, symbol: SymbolId, window: Window) -> Result<Option<(TradeId, TradeId)>, Error> {
        let (start, end, _) = bounds(window);
        let by_time = self.along("trades", "trades_by_time");
        let condition = "symbol_id = ? AND time >= ? AND time <= ?";
        let find = async |which| {
            let values = [symbol.0.into(), start, end];
            let rows = self.list("trade_id, time", &by_time, condition, values, "time, trade_id", which, 1).await?;
            rows.first().map(|row| Fields(row).number("trade_id").map(TradeId)).transpose()
        };
        let Some(first) = find(Which::First).await? else { return Ok(None) };
        Ok(find(Which::Last).await?.map(|last| (first, last)))
    }

    async fn candles_between(
        &self,
        symbol: SymbolId,
        interval: Interval,
        (from, to): (Timestamp, Timestamp),
        which: Which,
        limit: usize,
    ) -> Result<Vec<Candle>, Error> {
        let direction = match which {
            Which::First => "",
            Which::Last => " DESC",
        };
        let statement = format!(
            "SELECT {} FROM candles WHERE symbol_id = ? AND candle_interval = ? AND open_time >= ? AND open_time < ? \
             ORDER BY open_time{direction} LIMIT ?",
            CANDLES.selection()
        );
        let interval_name = Value::Text(interval.as_str().into());
        let values = [number(symbol.0.into()), interval_name, number(from.0), number(to.0), number(limit as u64)];
        let mut rows = self.rows(statement, values).await?;
        if matches!(which, Which::Last) {
            rows.reverse();
        }
        rows.iter().map(|row| Fields(row).candle(interval)).collect()
    }

    async fn own_trades_between(
        &self,
        account: AccountId,
        market: &Market,
        (first, last): (TradeId, TradeId),
        which: Which,
        limit: usize,
    ) -> Result<Vec<OwnTrade>, Error> {
        let mut found = Vec::new();
        for (index, condition, maker) in [
            ("trades_by_taker", "taker_account_id = ? AND symbol_id = ? AND trade_id >= ? AND trade_id <= ?", false),
            ("trades_by_maker", "maker_account_id = ? AND symbol_id = ? AND trade_id >= ? AND trade_id <= ?", true),
        ] {
            let side = self.along("trades", index);
            let values = [account.0, market.id.0.into(), first.0, last.0];
            let order = if maker { "trades.maker_order_id" } else { "trades.taker_order_id" };
            let selection = format!("{}, {}", TRADES.selection(), list_of_order(order));
            let rows = self.list(&selection, &side, condition, values, "trade_id", which, limit).await?;
            for row in &rows {
                found.push(Fields(row).own_trade(market, maker)?);
            }
        }
        found.sort_by_key(|trade| (trade.trade, trade.maker));
        // The other side of the last one that fits is among the first `limit` of its list, too.
        let both_sides = |one: &OwnTrade, other: &OwnTrade| one.trade == other.trade;
        match which {
            Which::First => keep_first(&mut found, limit, both_sides),
            Which::Last => keep_last(&mut found, limit, both_sides),
        }
        Ok(found)
    }

    /// Aggregate trades by number, the end excluded.
    async fn aggregate_trades_between(
        &self,
        symbol: SymbolId,
        (from, to): (u64, u64),
        limit: usize,
        which: Which,
    ) -> Result<Vec<AggregateTrade>, Error> {
        let statement = format!(
            "SELECT {} FROM {} WHERE symbol_id = ? AND aggregate_id >= ? AND aggregate_id < ? ORDER BY aggregate_id, \
             trade_id",
            TRADES.selection(),
            self.along("trades", "trades_by_aggregate")
        );
        let query = bind(sqlx::query(AssertSqlSafe(statement)), [symbol.0.into(), from, to].map(number));
        let pool = self.database.pool();
        // Row by row: one aggregate may be of very many trades, of which none is kept.
        let fold = async {
            let mut found: Vec<AggregateTrade> = Vec::new();
            let mut rows = query.fetch(&pool);
            while let Some(row) = rows.try_next().await? {
                let (trade, id) = Fields(&row).public_trade()?;
                let enough = found.len() == limit && matches!(which, Which::First);
                match found.last_mut() {
                    Some(last) if last.id == id => {
                        last.quantity = last.quantity.plus(trade.quantity);
                        last.quote = last.quote.plus(trade.quote);
                        last.last = trade.trade;
                    }
                    _ if enough => break,
                    _ => found.push(AggregateTrade {
                        id,
                        price: trade.price,
                        quantity: trade.quantity,
                        quote: trade.quote,
                        first: trade.trade,
                        last: trade.trade,
                        taker_side: trade.taker_side,
                        time: trade.time,
                    }),
                }
            }
            Ok::<_, Error>(found)
        };
        let limit_of_time = self.database.options().query_timeout();
        let mut found = tokio::time::timeout(limit_of_time, fold).await.unwrap_or(Err(Error::Slow(limit_of_time)))?;
        if matches!(which, Which::Last) {
            drop(found.drain(..found.len().saturating_sub(limit)));
        }
        Ok(found)
    }

    /// A table, to be read along that index. Without a hint, a planner without statistics takes the primary key, and
    /// reads a whole market for the few orders or trades of one account.
    fn along(&self, table: &str, index: &str) -> String {
        match self.database.dialect() {
            Dialect::Sqlite => format!("{table} INDEXED BY {index}"),
            Dialect::MySql => format!("{table} FORCE INDEX ({index})"),
        }
    }

    /// The first or last `limit` rows in an order, the first one first.
    #[expect(clippy::too_many_arguments, reason = "the parts of one statement")]
    async fn list<const N: usize>(
        &self,
        selection: &str,
        table: &str,
        condition: &str,
        values: [u64; N],
        sorted: &str,
        which: Which,
        limit: usize,
    ) -> Result<Vec<AnyRow>, Error> {
        let sorted = match which {
            Which::First => sorted.to_owned(),
            Which::Last => sorted.split(", ").map(|column| format!("{column} DESC")).collect::<Vec<_>>().join(", "),
        };
        let statement = format!("SELECT {selection} FROM {table} WHERE {condition} ORDER BY {sorted} LIMIT ?");
        let values = values.into_iter().chain([limit as u64]).map(number);
        let mut rows = self.rows(statement, values).await?;
        if matches!(which, Which::Last) {
            rows.reverse();
        }
        Ok(rows)
    }

    async fn select<const N: usize>(
        &self,
        selection: &str,
        table: &str,
        condition: &str,
        values: [u64; N],
    ) -> Result<Vec<AnyRow>, Error> {
        self.rows(format!("SELECT {selection} FROM {table} WHERE {condition}"), values.map(number)).await
    }

    /// All rows of a statement, which is made of this crate's own words; whatever comes from outside is among the
    /// values.
    async fn rows(&self, statement: String, values: impl IntoIterator<Item = Value>) -> Result<Vec<AnyRow>, Error> {
        let query = bind(sqlx::query(AssertSqlSafe(statement)), values);
        within(self.database.options().query_timeout(), query.fetch_all(&self.database.pool())).await
    }
}

/// A number for the database; those of clients that are beyond its range are beyond everything that it has.
fn number(value: u64) -> Value {
    Value::Integer(i64::try_from(value).unwrap_or(i64::MAX))
}

/// The earliest and latest time of a window, and which end of it counts.
/// The list that an order of the same market as a row of `trades` belongs to, as a column.
fn list_of_order(order: &str) -> String {
    format!(
        "(SELECT orders.order_list_id FROM orders WHERE orders.symbol_id = trades.symbol_id AND orders.order_id = \
         {order}) AS order_list_id"
    )
}

fn bounds(window: Window) -> (u64, u64, Which) {
    let which = if window.start.is_some() { Which::First } else { Which::Last };
    (window.start.map_or(0, |start| start.0), window.end.map_or(i64::MAX as u64, |end| end.0), which)
}
