//! The next batch to write: rows of all tables, gathered from the events of consecutive commands.
//!
//! Rows that change (orders, balances, candles) are gathered by key, so that an order that is placed, traded and ended
//! within one batch is written once, in its final state. They are sorted, so that every writer locks rows in the same
//! order. Rows are typed structs here and become database values only when they are written, by the table's function in
//! this module.

use std::collections::BTreeMap;

use crossbook_protocol::Cause;
use crossbook_protocol::Transfer;
use crossbook_protocol::event::Trade;
use crossbook_protocol::order::Size;
use crossbook_protocol::registry::Account;
use crossbook_types::{
    AccountId, Amount, Asset, AssetId, Decimal, FeeRate, Market, OrderId, OrderListId, OrderStatus, PartitionId, Price,
    Quantity, Sequence, SymbolId, Timestamp, TradeId, TransferId,
};
use crossbook_views::operator_log::Entry;
use crossbook_views::{AggregateTradeId, Amendment, Balance, Candle, Interval, Order, OrderList, Prevented};

use crate::schema::{self, AMENDED_TO_ITS_END, Table};

/// One value of a row.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Value {
    /// SQL NULL.
    Null,
    /// An id, a time, ticks or lots.
    Integer(i64),
    /// A text, or an amount as text.
    Text(String),
    /// One of the words that an enumeration is made of.
    Word(&'static str),
}

/// Rows of one table.
pub type TableRows = (&'static Table, Vec<Vec<Value>>);

/// What happened to an order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct OrderEvent {
    pub(crate) account: AccountId,
    /// PLACED, TRAILING, TRIGGERED, PEGGED, AMENDED, TRADED, or the status with which it ended.
    pub(crate) kind: &'static str,
    pub(crate) time: Timestamp,
    pub(crate) fill: Option<Fill>,
}

/// An order's part in a trade.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Fill {
    pub(crate) trade: TradeId,
    pub(crate) price: Price,
    pub(crate) quantity: Quantity,
    pub(crate) quote: Amount,
    pub(crate) fee: Amount,
    pub(crate) fee_asset: Option<AssetId>,
    pub(crate) maker: bool,
}

/// A posting to an account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct LedgerEntry {
    pub(crate) account: AccountId,
    pub(crate) asset: AssetId,
    pub(crate) amount: Amount,
    pub(crate) time: Timestamp,
    pub(crate) reason: Reason,
}

/// What a posting stands for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Reason {
    Trade(SymbolId, TradeId),
    Fee(SymbolId, TradeId),
    /// Money that changed hands within a trade group.
    SelfTrade(SymbolId),
    Transfer(TransferId),
    /// What there was where the history begins.
    Opening,
}

/// A place among the events of a partition.
pub(crate) type Place = (Sequence, u32);

/// From where to where the tables of a partition are taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step {
    /// Id of the partition.
    pub partition: PartitionId,
    /// The command after which they begin; they stood there before.
    pub after: Sequence,
    /// The last command, and its time.
    pub until: Cause,
    /// Up to which command the history has no rows.
    pub complete_from: Sequence,
}

/// Rows of consecutive commands.
#[derive(Clone, Debug)]
pub struct Batch {
    pub(crate) partition: PartitionId,
    /// The command after which the rows begin.
    pub(crate) after: Sequence,
    /// The last command whose rows are here.
    pub(crate) until: Cause,
    /// Up to which command the history has no rows.
    pub(crate) complete_from: Sequence,
    /// When the first of the commands was taken.
    pub(crate) begun: Option<Timestamp>,
    pub(crate) assets: BTreeMap<AssetId, Asset>,
    pub(crate) markets: BTreeMap<SymbolId, Market>,
    pub(crate) accounts: BTreeMap<AccountId, Account>,
    pub(crate) balances: BTreeMap<(AccountId, AssetId), (Balance, Timestamp)>,
    pub(crate) orders: BTreeMap<(SymbolId, OrderId), Order>,
    pub(crate) order_lists: BTreeMap<(SymbolId, OrderListId), OrderList>,
    pub(crate) order_events: Vec<(SymbolId, OrderId, Place, OrderEvent)>,
    pub(crate) trades: Vec<(Trade, AggregateTradeId, Timestamp)>,
    pub(crate) ledger_entries: Vec<(Place, LedgerEntry)>,
    pub(crate) transfers: Vec<(Transfer, Sequence)>,
    pub(crate) candles: BTreeMap<(SymbolId, Interval, Timestamp), Candle>,
    /// By market, day and asset.
    pub(crate) revenue: BTreeMap<(SymbolId, u32, AssetId), Amount>,
    pub(crate) prevented: Vec<Prevented>,
    pub(crate) amendments: Vec<Amendment>,
    pub(crate) payouts: Vec<(Transfer, Sequence)>,
    pub(crate) operator_log: Vec<Entry>,
}

impl Batch {
    /// An empty batch that continues after a command.
    pub(crate) fn after(partition: PartitionId, cause: Cause, complete_from: Sequence) -> Self {
        Self {
            partition,
            after: cause.sequence,
            until: cause,
            complete_from,
            begun: None,
            assets: BTreeMap::new(),
            markets: BTreeMap::new(),
            accounts: BTreeMap::new(),
            balances: BTreeMap::new(),
            orders: BTreeMap::new(),
            order_lists: BTreeMap::new(),
            order_events: Vec::new(),
            trades: Vec::new(),
            ledger_entries: Vec::new(),
            transfers: Vec::new(),
            candles: BTreeMap::new(),
            revenue: BTreeMap::new(),
            prevented: Vec::new(),
            amendments: Vec::new(),
            payouts: Vec::new(),
            operator_log: Vec::new(),
        }
    }

    /// The last command whose rows are here.
    #[must_use]
    pub fn until(&self) -> Cause {
        self.until
    }

    /// How many rows there are.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.assets.len()
            + self.markets.len()
            + self.accounts.len()
            + self.balances.len()
            + self.orders.len()
            + self.order_lists.len()
            + self.order_events.len()
            + self.trades.len()
            + self.ledger_entries.len()
            + self.transfers.len()
            + self.candles.len()
            + self.revenue.len()
            + self.prevented.len()
            + self.amendments.len()
            + self.payouts.len()
            + self.operator_log.len()
    }

    /// Whether it covers no command.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.after == self.until.sequence && self.rows() == 0
    }

    /// From where to where this batch takes the tables.
    #[must_use]
    pub fn step(&self) -> Step {
        let Self { partition, after, until, complete_from, .. } = *self;
        Step { partition, after, until, complete_from }
    }

    /// Gives the rows of each table that has some.
    #[must_use]
    pub fn tables(&self) -> Vec<TableRows> {
        let tables = [
            (&schema::ASSETS, self.assets.values().map(asset).collect::<Vec<_>>()),
            (&schema::MARKETS, self.markets.values().map(market).collect()),
            (&schema::ACCOUNTS, self.accounts.values().map(account).collect()),
            (&schema::BALANCES, self.balances.iter().map(balance).collect()),
            (&schema::ORDERS, self.orders.values().map(order).collect()),
            (&schema::ORDER_LISTS, self.order_lists.iter().map(order_list).collect()),
            (&schema::ORDER_EVENTS, self.order_events.iter().map(order_event).collect()),
            (&schema::TRADES, self.trades.iter().map(trade).collect()),
            (
                &schema::LEDGER_ENTRIES,
                self.ledger_entries.iter().map(|row| ledger_entry(self.partition, row)).collect(),
            ),
            (&schema::TRANSFERS, self.transfers.iter().map(transfer).collect()),
            (&schema::CANDLES, self.candles.iter().map(candle).collect()),
            (&schema::REVENUE, self.revenue.iter().map(revenue).collect()),
            (&schema::PREVENTED_MATCHES, self.prevented.iter().map(prevented).collect()),
            (&schema::ORDER_AMENDMENTS, self.amendments.iter().map(amendment).collect()),
            (&schema::FEE_PAYOUTS, self.payouts.iter().map(|row| payout(self.partition, row)).collect()),
            (&schema::OPERATOR_LOG, self.operator_log.iter().map(|row| operator_entry(self.partition, row)).collect()),
        ];
        tables.into_iter().filter(|(_, rows)| !rows.is_empty()).collect()
    }
}

impl Step {
    /// The row with the position of the tables, without the log's identity.
    #[must_use]
    pub fn position(&self) -> [Value; 4] {
        [
            integer(self.partition.0.into()),
            integer(self.until.sequence.0),
            integer(self.until.time.0),
            integer(self.complete_from.0),
        ]
    }
}

/// Ids, times, ticks and lots: the venue's bounds keep them below 2^63.
fn integer(value: u64) -> Value {
    Value::Integer(i64::try_from(value).expect("numbers of the venue stay below 2^63"))
}

fn maybe_integer(value: Option<u64>) -> Value {
    value.map_or(Value::Null, integer)
}

fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

fn word(value: &'static str) -> Value {
    Value::Word(value)
}

/// A column of amounts takes both; a server reads the one with less effort than the other.
fn amount(value: Amount) -> Value {
    i64::try_from(value.0).map_or_else(|_| Value::Text(value.0.to_string()), Value::Integer)
}

fn decimal(value: Decimal) -> Value {
    let mut out = String::new();
    Decimal::write(value.units(), value.scale(), 0, &mut out);
    Value::Text(out)
}

fn rate(rate: FeeRate) -> Value {
    let mut out = String::new();
    Decimal::write(rate.units().into(), FeeRate::SCALE, 0, &mut out);
    Value::Text(out)
}

fn asset(asset: &Asset) -> Vec<Value> {
    vec![integer(asset.id.0.into()), text(asset.name.as_str()), integer(asset.decimals.into())]
}

fn market(market: &Market) -> Vec<Value> {
    vec![
        integer(market.id.0.into()),
        text(market.symbol.as_str()),
        integer(market.base.id.0.into()),
        integer(market.quote.id.0.into()),
        decimal(market.tick_size),
        decimal(market.step_size),
        rate(market.fees.maker),
        rate(market.fees.taker),
        word(market.status.as_str()),
    ]
}

fn account(account: &Account) -> Vec<Value> {
    vec![integer(account.id.0), text(&account.label), integer(account.opened.0)]
}

fn balance((&(account, asset), &(balance, updated)): (&(AccountId, AssetId), &(Balance, Timestamp))) -> Vec<Value> {
    vec![integer(account.0), integer(asset.0.into()), amount(balance.free), amount(balance.held), integer(updated.0)]
}

fn order(order: &Order) -> Vec<Value> {
    let (quantity, quote) = match order.terms.size {
        Size::Base(quantity) => (integer(quantity.0), Value::Null),
        Size::Quote(quote) => (Value::Null, amount(quote)),
    };
    let instructions = order.terms.instructions.as_deref().copied().unwrap_or_default();
    vec![
        integer(order.terms.symbol.0.into()),
        integer(order.order.0),
        integer(order.account.0),
        text(order.terms.client_order_id.as_str()),
        word(order.terms.side.as_str()),
        word(order.terms.order_type.as_str()),
        word(order.terms.time_in_force.as_str()),
        maybe_integer(order.terms.price.map(|price| price.0)),
        quantity,
        quote,
        maybe_integer(order.terms.stop_price.get().map(|price| price.0)),
        word(order.terms.self_trade_prevention.as_str()),
        word(order.status.as_str()),
        integer(order.executed.0),
        amount(order.executed_quote),
        integer(order.placed.0),
        integer(order.updated.0),
        maybe_integer(order.working_since.get().map(|time| time.0)),
        order.cancel_id.map_or(Value::Null, |name| text(name.as_str())),
        expiry_reason(order),
        maybe_integer(order.prevention.as_ref().map(|prevention| prevention.quantity.0)),
        maybe_integer(order.prevention.as_ref().map(|prevention| prevention.id.number())),
        instructions.strategy_id.map_or(Value::Null, |id| Value::Integer(id.0)),
        maybe_integer(instructions.strategy_type.map(|kind| kind.0.into())),
        maybe_integer(instructions.iceberg.map(|part| part.0)),
        maybe_integer(instructions.list.map(|membership| membership.list.0)),
        maybe_integer(instructions.trailing.map(|delta| delta.0.into())),
        maybe_integer(order.trailing_since().map(|since| since.0)),
        instructions.peg.map_or(Value::Null, |peg| word(peg.price.as_str())),
        maybe_integer(instructions.peg.map(|peg| peg.level.into())),
        maybe_integer(order.pegged_price().map(|price| price.0)),
        maybe_integer(instructions.trade_group.map(|group| group.number().into())),
    ]
}

fn order_list((&(symbol, _), list): (&(SymbolId, OrderListId), &OrderList)) -> Vec<Value> {
    let names: Vec<&str> = list.orders.iter().map(|(_, name)| name.as_str()).collect();
    vec![
        integer(symbol.0.into()),
        integer(list.list.0),
        integer(list.account.0),
        word(list.kind.as_str()),
        text(list.client_order_id.as_str()),
        text(&names.join(" ")),
        word(list.status.as_str()),
        integer(list.placed.0),
        integer(list.updated.0),
    ]
}

/// Why an order expired. A word of its own for one that was amended to its end, which clients are told no reason for:
/// nothing there is what rows have that are older than the column.
fn expiry_reason(order: &Order) -> Value {
    match order.expiry {
        Some(reason) => word(reason.as_str()),
        None if order.status == OrderStatus::Expired => word(AMENDED_TO_ITS_END),
        None => Value::Null,
    }
}

fn order_event((symbol, order, (sequence, ordinal), event): &(SymbolId, OrderId, Place, OrderEvent)) -> Vec<Value> {
    let mut row = vec![
        integer(symbol.0.into()),
        integer(order.0),
        integer(sequence.0),
        integer((*ordinal).into()),
        integer(event.account.0),
        word(event.kind),
        integer(event.time.0),
    ];
    match &event.fill {
        Some(fill) => row.extend([
            integer(fill.trade.0),
            integer(fill.price.0),
            integer(fill.quantity.0),
            amount(fill.quote),
            amount(fill.fee),
            integer(fill.maker.into()),
            fill.fee_asset.map_or(Value::Null, |asset| integer(asset.0.into())),
        ]),
        None => row.resize(schema::ORDER_EVENTS.columns.len(), Value::Null),
    }
    row
}

fn trade((trade, aggregate, time): &(Trade, AggregateTradeId, Timestamp)) -> Vec<Value> {
    // Nothing stands for the asset that the side received.
    let fee_asset = |taker| trade.other_fee_asset(taker).map_or(Value::Null, |asset| integer(asset.0.into()));
    vec![
        integer(trade.symbol.0.into()),
        integer(trade.trade.0),
        integer(aggregate.0),
        integer(time.0),
        integer(trade.price.0),
        integer(trade.quantity.0),
        amount(trade.quote),
        word(trade.taker_side.as_str()),
        integer(trade.taker.order.0),
        integer(trade.taker.account.0),
        amount(trade.taker.fee),
        integer(trade.maker.order.0),
        integer(trade.maker.account.0),
        amount(trade.maker.fee),
        fee_asset(true),
        fee_asset(false),
    ]
}

fn ledger_entry(partition: PartitionId, ((sequence, ordinal), entry): &(Place, LedgerEntry)) -> Vec<Value> {
    let (kind, symbol, trade, transfer) = match &entry.reason {
        Reason::Trade(symbol, trade) => ("TRADE", Some(symbol), Some(trade), None),
        Reason::Fee(symbol, trade) => ("FEE", Some(symbol), Some(trade), None),
        Reason::SelfTrade(symbol) => ("SELF_TRADE", Some(symbol), None, None),
        Reason::Transfer(transfer) => ("TRANSFER", None, None, Some(transfer)),
        Reason::Opening => ("OPENING", None, None, None),
    };
    vec![
        integer(partition.0.into()),
        integer(sequence.0),
        integer((*ordinal).into()),
        integer(entry.account.0),
        integer(entry.asset.0.into()),
        amount(entry.amount),
        word(kind),
        integer(entry.time.0),
        maybe_integer(symbol.map(|symbol| symbol.0.into())),
        maybe_integer(trade.map(|trade| trade.0)),
        transfer.map_or(Value::Null, |transfer| text(transfer.as_str())),
    ]
}

fn transfer((transfer, sequence): &(Transfer, Sequence)) -> Vec<Value> {
    vec![
        integer(transfer.account.0),
        text(transfer.transfer.as_str()),
        integer(transfer.asset.0.into()),
        amount(transfer.amount),
        integer(transfer.time.0),
        integer(sequence.0),
    ]
}

fn prevented(Prevented { prevented, time }: &Prevented) -> Vec<Value> {
    vec![
        integer(prevented.symbol.0.into()),
        integer(prevented.id.number()),
        integer(prevented.account.0),
        integer(time.0),
        word(prevented.taker_side.as_str()),
        integer(prevented.taker.0),
        integer(prevented.maker.0),
        word(prevented.mode.as_str()),
        integer(prevented.price.0),
        integer(prevented.quantity.0),
        amount(prevented.quote),
        integer(prevented.taker_prevented.0),
        integer(prevented.maker_prevented.0),
        maybe_integer(prevented.counterparty.map(|account| account.0)),
        maybe_integer(prevented.group.map(|group| group.number().into())),
    ]
}

fn amendment(Amendment { amended, sequence, time }: &Amendment) -> Vec<Value> {
    vec![
        integer(amended.symbol.0.into()),
        integer(amended.order.0),
        integer(amended.count.into()),
        integer(amended.account.0),
        integer(sequence.0),
        integer(time.0),
        integer(amended.quantity.0),
        integer(amended.quantity_before.0),
        text(amended.client_order_id.as_str()),
        text(amended.client_order_id_before.as_str()),
    ]
}

fn operator_entry(partition: PartitionId, entry: &Entry) -> Vec<Value> {
    vec![
        integer(partition.0.into()),
        integer(entry.sequence.0),
        integer(entry.time.0),
        text(entry.note.operator()),
        text(entry.note.action()),
        text(entry.note.reason()),
        entry.refused.as_deref().map_or(Value::Null, text),
    ]
}

fn payout(partition: PartitionId, (transfer, sequence): &(Transfer, Sequence)) -> Vec<Value> {
    vec![
        integer(partition.0.into()),
        text(transfer.transfer.as_str()),
        integer(transfer.asset.0.into()),
        amount(transfer.amount.negated()),
        integer(transfer.time.0),
        integer(sequence.0),
    ]
}

fn candle((&(symbol, interval, open), candle): (&(SymbolId, Interval, Timestamp), &Candle)) -> Vec<Value> {
    vec![
        integer(symbol.0.into()),
        word(interval.as_str()),
        integer(open.0),
        integer(candle.open.0),
        integer(candle.high.0),
        integer(candle.low.0),
        integer(candle.close.0),
        amount(candle.volume),
        amount(candle.quote_volume),
        amount(candle.taker_buy_volume),
        amount(candle.taker_buy_quote_volume),
        integer(candle.trades),
        integer(candle.first_trade.0),
        integer(candle.last_trade.0),
    ]
}

fn revenue((&(symbol, day, asset), &collected): (&(SymbolId, u32, AssetId), &Amount)) -> Vec<Value> {
    vec![integer(symbol.0.into()), integer(day.into()), integer(asset.0.into()), amount(collected)]
}
