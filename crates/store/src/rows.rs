//! From rows back to domain types. A row that the venue cannot have written is refused by name, so that manual changes
//! to the tables do not reach clients unnoticed.

use crossbook_projection::schema::AMENDED_TO_ITS_END;
use crossbook_protocol::event::{OrderAmended, PreventedMatch};
use crossbook_protocol::operator::Note;
use crossbook_protocol::order::{Instructions, Membership, OrderTerms, Size};
use crossbook_types::{
    AccountId, Amount, AssetId, ClientOrderId, ExpiryReason, ListKind, ListStatus, Market, OrderId, OrderListId,
    OrderStatus, OrderType, PartitionId, Peg, PegPrice, PreventedMatchId, Price, Quantity, SelfTradePrevention,
    Sequence, Side, StrategyId, StrategyType, SymbolId, TimeInForce, Timestamp, TradeGroupId, TradeId, TrailingDelta,
};
use crossbook_views::history::{LedgerEntry, LedgerPlace, Revenue};
use crossbook_views::operator_log::Entry;
use crossbook_views::{
    AggregateTradeId, Amendment, Candle, Interval, Offset, Order, OrderList, OwnTrade, Prevented, Prevention, Progress,
    PublicTrade,
};
use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::database::Error;

/// A row being read.
pub(crate) struct Fields<'r>(pub(crate) &'r AnyRow);

impl Fields<'_> {
    fn nonsense(&self, column: &str) -> Error {
        Error::Nonsense(format!("column {column}"))
    }

    pub(crate) fn maybe_number(&self, column: &str) -> Result<Option<u64>, Error> {
        let number: Option<i64> = self.0.try_get(column)?;
        number.map(|number| u64::try_from(number).map_err(|_| self.nonsense(column))).transpose()
    }

    pub(crate) fn number(&self, column: &str) -> Result<u64, Error> {
        self.maybe_number(column)?.ok_or_else(|| self.nonsense(column))
    }

    pub(crate) fn maybe_text(&self, column: &str) -> Result<Option<String>, Error> {
        Ok(self.0.try_get::<Option<String>, _>(column)?)
    }

    pub(crate) fn text(&self, column: &str) -> Result<String, Error> {
        self.maybe_text(column)?.ok_or_else(|| self.nonsense(column))
    }

    /// A text that must be a name of something.
    pub(crate) fn name<T>(&self, column: &str, known: impl FnOnce(&str) -> Option<T>) -> Result<T, Error> {
        known(&self.text(column)?).ok_or_else(|| self.nonsense(column))
    }

    pub(crate) fn maybe_amount(&self, column: &str) -> Result<Option<Amount>, Error> {
        let parse = |text: String| text.parse().map(Amount).map_err(|_| self.nonsense(column));
        self.maybe_text(column)?.map(parse).transpose()
    }

    pub(crate) fn amount(&self, column: &str) -> Result<Amount, Error> {
        self.maybe_amount(column)?.ok_or_else(|| self.nonsense(column))
    }

    pub(crate) fn symbol(&self) -> Result<SymbolId, Error> {
        u32::try_from(self.number("symbol_id")?).map(SymbolId).map_err(|_| self.nonsense("symbol_id"))
    }

    fn partition(&self) -> Result<PartitionId, Error> {
        u16::try_from(self.number("partition_id")?).map(PartitionId).map_err(|_| self.nonsense("partition_id"))
    }

    fn asset(&self) -> Result<AssetId, Error> {
        u32::try_from(self.number("asset_id")?).map(AssetId).map_err(|_| self.nonsense("asset_id"))
    }

    fn client_order_id(&self, column: &str) -> Result<Option<ClientOrderId>, Error> {
        let parse = |text: String| ClientOrderId::new_checked(&text).map_err(|_| self.nonsense(column));
        self.maybe_text(column)?.map(parse).transpose()
    }

    fn instructions(&self, status: OrderStatus) -> Result<Instructions, Error> {
        let strategy_type = self.maybe_number("strategy_type")?;
        let strategy_type = strategy_type.map(|kind| u32::try_from(kind).map_err(|_| self.nonsense("strategy_type")));
        let trailing = self.maybe_number("trailing_delta")?;
        let trailing = trailing.map(|delta| u32::try_from(delta).map_err(|_| self.nonsense("trailing_delta")));
        Ok(Instructions {
            strategy_id: self.0.try_get::<Option<i64>, _>("strategy_id")?.map(StrategyId),
            strategy_type: strategy_type.transpose()?.map(StrategyType),
            iceberg: self.maybe_number("iceberg_quantity")?.map(Quantity),
            list: self
                .maybe_number("order_list_id")?
                .map(|list| Membership { list: OrderListId(list), pending: status == OrderStatus::PendingNew }),
            trailing: trailing.transpose()?.map(TrailingDelta),
            peg: self.peg()?,
            trade_group: self.trade_group()?,
            discount: None,
        })
    }

    fn peg(&self) -> Result<Option<Peg>, Error> {
        let Some(price) = self.maybe_text("peg_price_type")? else { return Ok(None) };
        let price = PegPrice::from_name(&price).ok_or_else(|| self.nonsense("peg_price_type"))?;
        let level = u8::try_from(self.number("peg_level")?).map_err(|_| self.nonsense("peg_level"))?;
        Ok(Some(Peg { price, level }))
    }

    /// What has become of an order's instructions.
    fn progress(&self) -> Result<Option<Box<Progress>>, Error> {
        let progress = Progress {
            trailing_since: self.maybe_number("trailing_since")?.map(Timestamp),
            pegged_price: self.maybe_number("pegged_price")?.map(Price),
        };
        Ok((progress != Progress::default()).then(|| Box::new(progress)))
    }

    fn trade_group(&self) -> Result<Option<TradeGroupId>, Error> {
        let Some(number) = self.maybe_number("trade_group_id")? else { return Ok(None) };
        let group = u32::try_from(number).ok().and_then(TradeGroupId::new_checked);
        group.map(Some).ok_or_else(|| self.nonsense("trade_group_id"))
    }

    /// A row of `orders`.
    pub(crate) fn order(&self) -> Result<Order, Error> {
        let size = match (self.maybe_number("quantity")?, self.maybe_amount("quote_quantity")?) {
            (Some(quantity), None) => Size::Base(Quantity(quantity)),
            (None, Some(quote)) => Size::Quote(quote),
            _ => return Err(self.nonsense("quantity")),
        };
        let order_type = self.name("order_type", OrderType::from_name)?;
        let time_in_force = self.name("time_in_force", TimeInForce::from_name)?;
        let status = self.name("status", OrderStatus::from_name)?;
        let expiry = match self.maybe_text("expiry_reason")? {
            Some(reason) if reason == AMENDED_TO_ITS_END => None,
            Some(reason) => Some(ExpiryReason::from_name(&reason).ok_or_else(|| self.nonsense("expiry_reason"))?),
            // Written before the tables had the column.
            None if status == OrderStatus::Expired => Some(ExpiryReason::of_terms(order_type, time_in_force)),
            None => None,
        };
        let prevention = match (self.maybe_number("prevented")?, self.maybe_number("prevented_match_id")?) {
            (None, None) => None,
            (Some(quantity), Some(id)) => {
                let id = PreventedMatchId::new_checked(id).ok_or_else(|| self.nonsense("prevented_match_id"))?;
                Some(Box::new(Prevention { quantity: Quantity(quantity), id }))
            }
            _ => return Err(self.nonsense("prevented")),
        };
        Ok(Order {
            order: OrderId(self.number("order_id")?),
            account: AccountId(self.number("account_id")?),
            terms: OrderTerms {
                symbol: self.symbol()?,
                client_order_id: self
                    .client_order_id("client_order_id")?
                    .ok_or_else(|| self.nonsense("client_order_id"))?,
                side: self.name("side", Side::from_name)?,
                order_type,
                time_in_force,
                price: self.maybe_number("price")?.map(Price),
                size,
                stop_price: self.maybe_number("stop_price")?.map(Price).into(),
                self_trade_prevention: self.name("self_trade_prevention", SelfTradePrevention::from_name)?,
                instructions: self.instructions(status)?.boxed(),
            },
            status,
            executed: Quantity(self.number("executed")?),
            executed_quote: self.amount("executed_quote")?,
            placed: Timestamp(self.number("placed")?),
            updated: Timestamp(self.number("updated")?),
            working_since: self.maybe_number("working_since")?.map(Timestamp).into(),
            cancel_id: self.client_order_id("cancel_id")?,
            expiry,
            prevention,
            progress: self.progress()?,
        })
    }

    /// A row of `trades` as everybody may see it, and the aggregate that it is part of.
    pub(crate) fn public_trade(&self) -> Result<(PublicTrade, AggregateTradeId), Error> {
        let trade = PublicTrade {
            trade: TradeId(self.number("trade_id")?),
            price: Price(self.number("price")?),
            quantity: Quantity(self.number("quantity")?),
            quote: self.amount("quote")?,
            taker_side: self.name("taker_side", Side::from_name)?,
            time: Timestamp(self.number("time")?),
        };
        Ok((trade, AggregateTradeId(self.number("aggregate_id")?)))
    }

    /// A row of `trades` as one of its sides sees it.
    pub(crate) fn own_trade(&self, market: &Market, maker: bool) -> Result<OwnTrade, Error> {
        let (trade, _) = self.public_trade()?;
        let (order, fee) = if maker { ("maker_order_id", "maker_fee") } else { ("taker_order_id", "taker_fee") };
        let side = if maker { trade.taker_side.opposite() } else { trade.taker_side };
        let paid_in = if maker { "maker_fee_asset_id" } else { "taker_fee_asset_id" };
        let other = self.maybe_number(paid_in)?;
        let other = other.map(|asset| u32::try_from(asset).map(AssetId).map_err(|_| self.nonsense(paid_in)));
        Ok(OwnTrade {
            symbol: market.id,
            trade: trade.trade,
            order: OrderId(self.number(order)?),
            list: self.maybe_number("order_list_id")?.map(OrderListId),
            price: trade.price,
            quantity: trade.quantity,
            quote: trade.quote,
            fee: self.amount(fee)?,
            fee_asset: other.transpose()?.unwrap_or_else(|| market.receives(side)),
            side,
            maker,
            time: trade.time,
        })
    }

    /// A row of `prevented_matches`.
    pub(crate) fn prevented(&self) -> Result<Prevented, Error> {
        let id = PreventedMatchId::new_checked(self.number("prevented_match_id")?);
        let prevented = PreventedMatch {
            symbol: self.symbol()?,
            id: id.ok_or_else(|| self.nonsense("prevented_match_id"))?,
            account: AccountId(self.number("account_id")?),
            taker_side: self.name("taker_side", Side::from_name)?,
            taker: OrderId(self.number("taker_order_id")?),
            maker: OrderId(self.number("maker_order_id")?),
            mode: self.name("self_trade_prevention", SelfTradePrevention::from_name)?,
            price: Price(self.number("price")?),
            quantity: Quantity(self.number("quantity")?),
            quote: self.amount("quote")?,
            taker_prevented: Quantity(self.number("taker_prevented")?),
            maker_prevented: Quantity(self.number("maker_prevented")?),
            counterparty: self.maybe_number("maker_account_id")?.map(AccountId),
            group: self.trade_group()?,
        };
        Ok(Prevented { prevented, time: Timestamp(self.number("time")?) })
    }

    /// A row of `order_amendments`.
    pub(crate) fn amendment(&self) -> Result<Amendment, Error> {
        let name = |column: &str| self.client_order_id(column)?.ok_or_else(|| self.nonsense(column));
        let count = u32::try_from(self.number("amendment")?).map_err(|_| self.nonsense("amendment"))?;
        let amended = OrderAmended {
            symbol: self.symbol()?,
            order: OrderId(self.number("order_id")?),
            account: AccountId(self.number("account_id")?),
            count,
            quantity: Quantity(self.number("quantity")?),
            quantity_before: Quantity(self.number("quantity_before")?),
            client_order_id: name("client_order_id")?,
            client_order_id_before: name("client_order_id_before")?,
        };
        let (sequence, time) = (Sequence(self.number("sequence")?), Timestamp(self.number("time")?));
        Ok(Amendment { amended, sequence, time })
    }

    /// A row of `operator_log`, and its partition.
    pub(crate) fn operator_entry(&self) -> Result<(PartitionId, Entry), Error> {
        let note = Note::new(&self.text("operator")?, &self.text("action")?, &self.text("reason")?);
        let (sequence, time) = (Sequence(self.number("sequence")?), Timestamp(self.number("time")?));
        Ok((self.partition()?, Entry { sequence, time, note, refused: self.maybe_text("refused")? }))
    }

    /// A row of `ledger_entries`.
    pub(crate) fn ledger_entry(&self) -> Result<LedgerEntry, Error> {
        let symbol = self.maybe_number("symbol_id")?;
        let symbol = symbol.map(|id| u32::try_from(id).map(SymbolId).map_err(|_| self.nonsense("symbol_id")));
        Ok(LedgerEntry {
            place: LedgerPlace {
                time: Timestamp(self.number("time")?),
                partition: self.partition()?,
                sequence: Sequence(self.number("sequence")?),
                ordinal: self.number("ordinal")?,
            },
            asset: self.asset()?,
            amount: self.amount("amount")?,
            kind: self.text("kind")?,
            symbol: symbol.transpose()?,
            trade: self.maybe_number("trade_id")?.map(TradeId),
            transfer: self.maybe_text("transfer_id")?,
        })
    }

    /// A row of `revenue`.
    pub(crate) fn revenue(&self) -> Result<Revenue, Error> {
        Ok(Revenue {
            day: u32::try_from(self.number("day")?).map_err(|_| self.nonsense("day"))?,
            symbol: self.symbol()?,
            asset: self.asset()?,
            fees: self.amount("collected")?,
        })
    }

    /// A row of `order_lists`.
    pub(crate) fn order_list(&self) -> Result<OrderList, Error> {
        let list = OrderListId(self.number("order_list_id")?);
        let mut orders = Vec::new();
        for (number, name) in (list.first().0..).zip(self.text("order_names")?.split(' ')) {
            let name = ClientOrderId::new_checked(name).map_err(|_| self.nonsense("order_names"))?;
            orders.push((OrderId(number), name));
        }
        let client_order_id = self.client_order_id("client_order_id")?;
        Ok(OrderList {
            list,
            account: AccountId(self.number("account_id")?),
            kind: self.name("kind", ListKind::from_name)?,
            client_order_id: client_order_id.ok_or_else(|| self.nonsense("client_order_id"))?,
            orders,
            status: self.name("status", ListStatus::from_name)?,
            placed: Timestamp(self.number("placed")?),
            updated: Timestamp(self.number("updated")?),
        })
    }

    /// A row of `candles`.
    pub(crate) fn candle(&self, interval: Interval) -> Result<Candle, Error> {
        let open_time = Timestamp(self.number("open_time")?);
        Ok(Candle {
            open_time,
            close_time: Timestamp(interval.next_open(open_time, Offset::UTC).0 - 1),
            open: Price(self.number("open")?),
            high: Price(self.number("high")?),
            low: Price(self.number("low")?),
            close: Price(self.number("close")?),
            volume: self.amount("volume")?,
            quote_volume: self.amount("quote_volume")?,
            taker_buy_volume: self.amount("taker_buy_volume")?,
            taker_buy_quote_volume: self.amount("taker_buy_quote_volume")?,
            trades: self.number("trades")?,
            first_trade: TradeId(self.number("first_trade")?),
            last_trade: TradeId(self.number("last_trade")?),
        })
    }
}
