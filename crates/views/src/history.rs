//! The port to what the views have evicted: a longer history, stored elsewhere, and queried with the types of the
//! views.
//!
//! Ids of orders and trades grow with time within a market. The history lags behind the venue; what the views have
//! evicted is [covered](History::covering) shortly after.

use std::error::Error;
use std::fmt;
use std::pin::Pin;

use crossbook_protocol::Cause;
use crossbook_types::{
    AccountId, Amount, AssetId, ClientOrderId, Market, OrderId, OrderListId, PartitionId, PreventedMatchId, Sequence,
    SymbolId, Timestamp, TradeId,
};

use crate::operator_log::{Entry, Place};
use crate::{
    AggregateTrade, AggregateTradeId, Amendment, Candle, Interval, Order, OrderList, OwnTrade, Prevented, PublicTrade,
    Window,
};

/// A future answer.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Unavailable>> + Send + 'a>>;

/// The history did not answer, for a reason that concerns the operator.
#[derive(Debug)]
pub struct Unavailable(Box<dyn Error + Send + Sync>);

impl Unavailable {
    /// Because of that.
    #[must_use]
    pub fn new(reason: impl Error + Send + Sync + 'static) -> Self {
        Self(Box::new(reason))
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Unavailable {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

/// What the writer of a history is doing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Activity {
    /// Connecting to the database.
    Connecting,
    /// Another process writes; this one takes over when that ends.
    Waiting,
    /// Finding out what the next rows build upon, by replaying the log up to where the tables stand.
    Replaying,
    /// Writing what has happened.
    Following,
    /// Waiting before it tries again, for this reason.
    Failing(String),
    /// The venue has stopped.
    Stopped,
}

impl Activity {
    /// In a word.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Waiting => "waiting",
            Self::Replaying => "replaying",
            Self::Following => "following",
            Self::Failing(_) => "failing",
            Self::Stopped => "stopped",
        }
    }
}

/// How far the history of a partition is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Status {
    /// The last command that is in it; `None` before that is known.
    pub position: Option<Sequence>,
    /// What the writer is doing.
    pub activity: Activity,
    /// How many times the file of the tables was removed or replaced while it was written to.
    pub files_lost: u64,
}

/// The place of a posting among those of all partitions: by time, and then by partition, command, and place in it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct LedgerPlace {
    /// Time of the command.
    pub time: Timestamp,
    /// The partition that made it.
    pub partition: PartitionId,
    /// The command, in the log of that partition.
    pub sequence: Sequence,
    /// Its place among the postings of that command.
    pub ordinal: u64,
}

/// A posting to an account: what has changed a balance, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LedgerEntry {
    /// Where it stands.
    pub place: LedgerPlace,
    /// The asset.
    pub asset: AssetId,
    /// What the account received; below zero, what it gave.
    pub amount: Amount,
    /// In a word, what it stands for: TRADE, FEE, SELF_TRADE, TRANSFER or OPENING.
    pub kind: String,
    /// The market, if it stands for something there.
    pub symbol: Option<SymbolId>,
    /// The trade.
    pub trade: Option<TradeId>,
    /// The operator's id for a transfer.
    pub transfer: Option<String>,
}

/// The fees that a market has collected on a day, in one asset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Revenue {
    /// The day by UTC, since the Unix epoch.
    pub day: u32,
    /// The market.
    pub symbol: SymbolId,
    /// The asset.
    pub asset: AssetId,
    /// The sum of the fees.
    pub fees: Amount,
}

/// A history that answers queries. Every query but those about progress fails with [`Unavailable`] when the history is
/// too slow, cannot be reached, or is damaged.
pub trait History: Send + Sync + 'static {
    /// Waits, if need be forever, until everything that was last changed at `time` in a partition is here. `live` is
    /// the last command that the views have folded.
    fn covering(
        &self,
        partition: PartitionId,
        time: Timestamp,
        live: Option<Cause>,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;

    /// The command from which on a partition's history has everything; 0 if it has all from the beginning.
    fn complete_from(&self, partition: PartitionId) -> Sequence;

    /// By how many commands the history of a partition is behind the last one, and by how many microseconds.
    fn lag(&self, partition: PartitionId, live: Cause) -> (u64, u64);

    /// The status of each partition's history, by number.
    fn statuses(&self) -> Vec<Status>;

    /// An order of any account.
    fn order(&self, symbol: SymbolId, order: OrderId) -> Answer<'_, Option<Order>>;

    /// The newest order up to a number to which its owner gave that name.
    fn order_named(
        &self,
        account: AccountId,
        symbol: SymbolId,
        name: ClientOrderId,
        up_to: OrderId,
    ) -> Answer<'_, Option<Order>>;

    /// The first `limit` orders of an account from number `from` on.
    fn orders_from(&self, account: AccountId, symbol: SymbolId, from: OrderId, limit: usize) -> Answer<'_, Vec<Order>>;

    /// The orders of an account that ended in a stretch of time.
    fn ended_orders(&self, account: AccountId, symbol: SymbolId, window: Window) -> Answer<'_, Vec<Order>>;

    /// A prevented match of any account.
    fn prevented_match(&self, symbol: SymbolId, id: PreventedMatchId) -> Answer<'_, Option<Prevented>>;

    /// The first `limit` prevented matches of an order of an account, from number `from` on.
    fn prevented_matches(
        &self,
        account: AccountId,
        symbol: SymbolId,
        order: OrderId,
        from: Option<PreventedMatchId>,
        limit: usize,
    ) -> Answer<'_, Vec<Prevented>>;

    /// The first `limit` amendments of an order of an account, from a command of its market's partition on.
    fn amendments(
        &self,
        account: AccountId,
        symbol: SymbolId,
        order: OrderId,
        from: Sequence,
        limit: usize,
    ) -> Answer<'_, Vec<Amendment>>;

    /// The last `limit` entries of the operator log of all partitions before a place, if there is one, the newest
    /// first.
    fn operator_log(&self, before: Option<Place>, limit: usize) -> Answer<'_, Vec<(PartitionId, Entry)>>;

    /// The last `limit` postings to an account before a place, if there is one, the newest first.
    fn ledger_entries(
        &self,
        account: AccountId,
        before: Option<LedgerPlace>,
        limit: usize,
    ) -> Answer<'_, Vec<LedgerEntry>>;

    /// The fees of each day from the first up to the last of `days`, by day; at most `limit` of them.
    fn revenue(&self, days: (u32, u32), limit: usize) -> Answer<'_, Vec<Revenue>>;

    /// An order list of any account.
    fn order_list(&self, list: OrderListId) -> Answer<'_, Option<OrderList>>;

    /// The newest order list to which its owner gave that name.
    fn order_list_named(&self, account: AccountId, name: ClientOrderId) -> Answer<'_, Option<OrderList>>;

    /// The first `limit` order lists of an account in all markets, from number `from` on.
    fn order_lists_from(&self, account: AccountId, from: OrderListId, limit: usize) -> Answer<'_, Vec<OrderList>>;

    /// The order lists of an account in all markets that last changed in a stretch of time.
    fn order_lists(&self, account: AccountId, window: Window) -> Answer<'_, Vec<OrderList>>;

    /// The first `limit` trades of an account from number `from` on; both sides of a trade of the account with itself.
    fn own_trades_from(
        &self,
        account: AccountId,
        market: Market,
        from: TradeId,
        limit: usize,
    ) -> Answer<'_, Vec<OwnTrade>>;

    /// The trades of an account in a stretch of time.
    fn own_trades(&self, account: AccountId, market: Market, window: Window) -> Answer<'_, Vec<OwnTrade>>;

    /// The first `limit` trades of one order of an account, from number `from` on.
    fn own_trades_of_order(
        &self,
        account: AccountId,
        market: Market,
        order: OrderId,
        from: TradeId,
        limit: usize,
    ) -> Answer<'_, Vec<OwnTrade>>;

    /// The first `limit` trades of a market from number `from` on.
    fn trades_from(&self, symbol: SymbolId, from: TradeId, limit: usize) -> Answer<'_, Vec<PublicTrade>>;

    /// The last `limit` trades of a market up to number `until`.
    fn trades_until(&self, symbol: SymbolId, until: TradeId, limit: usize) -> Answer<'_, Vec<PublicTrade>>;

    /// The first `limit` aggregate trades of a market from number `from` on.
    fn aggregate_trades_from(
        &self,
        symbol: SymbolId,
        from: AggregateTradeId,
        limit: usize,
    ) -> Answer<'_, Vec<AggregateTrade>>;

    /// The aggregate trades of a market in a stretch of time.
    fn aggregate_trades(&self, symbol: SymbolId, window: Window) -> Answer<'_, Vec<AggregateTrade>>;

    /// The candles of an interval, by UTC, that had trades and begin within `range`; at most `limit`, the oldest first.
    fn candles(
        &self,
        symbol: SymbolId,
        interval: Interval,
        range: (Timestamp, Timestamp),
        limit: usize,
    ) -> Answer<'_, Vec<Candle>>;

    /// As [`History::candles`], but of more than `limit` the last.
    fn last_candles(
        &self,
        symbol: SymbolId,
        interval: Interval,
        range: (Timestamp, Timestamp),
        limit: usize,
    ) -> Answer<'_, Vec<Candle>>;

    /// The last candle of an interval with trades that begins before `time`.
    fn candle_before(&self, symbol: SymbolId, interval: Interval, time: Timestamp) -> Answer<'_, Option<Candle>>;
}
