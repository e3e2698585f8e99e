//! The form of basic values in bytes: identifiers, numbers, names, words, assets and markets.

use crossbook_types::market::{Description, Error as MarketError};
use crossbook_types::{
    AccountFees, AccountId, Amount, ApiKeyId, Asset, AssetId, AssetName, Band, Breaker, CancelRestriction,
    ClientOrderId, Decimal, DiscountCredit, DiscountRates, ExchangeFilters, ExpiryReason, Feature, FeeCredit,
    FeeDiscount, FeeRate, FeeTier, FeeTiers, Fees, Filter, Filters, HoldId, ListKind, ListStatus, Market, MarketStatus,
    Mean, NotionalFilter, OptionalPrice, OptionalTimestamp, OrderId, OrderListId, OrderStatus, OrderType, PartitionId,
    Peg, PegPrice, PreventedMatchId, Price, PriceRange, Quantity, ReferenceCalculation, ReferencePrice, RejectReason,
    RelativeFilters, RequestNumber, SelfTradePrevention, SelfTradeRules, Sequence, Side, SourceId, SpecialFilters,
    StrategyId, StrategyType, SymbolId, SymbolName, TimeInForce, Timestamp, TradeBucket, TradeBuckets, TradeGroupId,
    TradeId, TrailingBounds, TrailingDelta, TransferId,
};

use super::Error;
use super::codec::{Reader, Sink, Wire, read_text, wire_enum, wire_struct, write_text};

macro_rules! numbers {
    ($($name:ident),+ $(,)?) => { $(
        impl Wire for $name {
            #[inline]
            fn write<S: Sink>(&self, out: &mut S) {
                self.0.write(out);
            }

            #[inline]
            fn read(from: &mut Reader<'_>) -> Result<Self, Error> {
                Wire::read(from).map(Self)
            }
        }
    )+ };
}
numbers!(AccountId, AssetId, SymbolId, OrderId, TradeId, HoldId, PartitionId, Sequence, SourceId, RequestNumber);
numbers!(StrategyType, OrderListId, Timestamp, Price, Quantity, Amount, TrailingDelta, DiscountCredit);
numbers!(ReferencePrice, TradeBuckets);

macro_rules! names {
    ($($name:ident),+ $(,)?) => { $(
        impl Wire for $name {
            #[inline]
            fn write<S: Sink>(&self, out: &mut S) {
                write_text(self.as_str(), out);
            }

            #[inline]
            fn read(from: &mut Reader<'_>) -> Result<Self, Error> {
                Self::new_checked(read_text(from)?).map_err(|_| Error::Malformed)
            }
        }
    )+ };
}
names!(AssetName, SymbolName, ClientOrderId, TransferId, ApiKeyId);

/// Values that are made of one that is written in their place, and checked.
macro_rules! checked {
    ($($name:ident: |$value:ident| $write:expr, |$read:ident: $from:ty| $make:expr;)+) => { $(
        impl Wire for $name {
            #[inline]
            fn write<S: Sink>(&self, out: &mut S) {
                let $value = self;
                Wire::write(&$write, out);
            }

            #[inline]
            fn read(from: &mut Reader<'_>) -> Result<Self, Error> {
                let $read = <$from>::read(from)?;
                $make.ok_or(Error::Malformed)
            }
        }
    )+ };
}
checked! {
    OptionalPrice: |price| price.get(), |price: Option<Price>| Some(price.into());
    OptionalTimestamp: |time| time.get(), |time: Option<Timestamp>| Some(time.into());
    StrategyId: |id| i128::from(id.0), |number: i128| i64::try_from(number).ok().map(Self);
    PreventedMatchId: |id| id.number(), |number: u64| Self::new_checked(number);
    TradeGroupId: |id| id.number(), |number: u32| Self::new_checked(number);
    FeeRate: |rate| rate.units(), |units: u32| Self::from_units(units);
    FeeCredit: |credit| credit.units(), |units: u32| Self::try_from(units).ok();
    Decimal: |decimal| (decimal.units(), decimal.scale()), |parts: (i128, u8)| Self::new_checked(parts.0, parts.1);
    SelfTradeRules: |rules| rules.to_record(), |record: (SelfTradePrevention, u8)| Self::from_record(record);
}

wire_enum! {
    Side { 0 => Buy, 1 => Sell }
    OrderType {
        0 => Limit, 1 => Market, 2 => LimitMaker, 3 => StopLoss, 4 => StopLossLimit, 5 => TakeProfit,
        6 => TakeProfitLimit,
    }
    TimeInForce { 0 => Gtc, 1 => Ioc, 2 => Fok }
    SelfTradePrevention { 0 => None, 1 => ExpireTaker, 2 => ExpireMaker, 3 => ExpireBoth, 4 => Decrement, 5 => Transfer }
    CancelRestriction { 0 => OnlyNew, 1 => OnlyPartiallyFilled }
    OrderStatus {
        0 => New, 1 => PartiallyFilled, 2 => Filled, 3 => Canceled, 4 => Rejected, 5 => Expired, 6 => ExpiredInMatch,
        7 => PendingNew,
    }
    RejectReason { 0 => InsufficientBalances, 1 => WouldTrigger, 2 => WouldMatch }
    ExpiryReason { 0 => Rejected, 1 => UnfilledIoc, 2 => UnfilledFok, 3 => InsufficientLiquidity, 4 => OcoTrigger,
        5 => WorkingEnded, 44 => ExchangeCanceled, 45 => PriceRange }
    ListKind { 0 => Oco, 1 => Oto, 2 => Otoco, 3 => Opo, 4 => Opoco }
    ListStatus { 0 => Executing, 1 => AllDone }
    MarketStatus { 0 => Trading, 1 => Halt, 2 => Break, 3 => CancelOnly, 44 => AuctionMatch, 45 => Delisted }
    Filter {
        0 => Price, 1 => PercentPrice, 2 => LotSize, 3 => MarketLotSize, 4 => Notional, 5 => MaxOrders,
        6 => MaxAlgoOrders, 7 => MaxAmends, 8 => IcebergParts, 9 => MaxIcebergOrders, 10 => MaxOrderLists,
        19 => TrailingDelta,
        40 => PercentPriceOfBoth, 41 => MinNotional, 42 => MaxPosition, 43 => ExchangeMaxOrders,
        44 => ExchangeMaxAlgoOrders, 45 => ExchangeMaxIcebergOrders, 46 => ExchangeMaxOrderLists,
    }
    MarketError {
        0 => Step, 1 => StepFinerThanBase, 2 => NotionalFinerThanQuote, 3 => Range, 4 => TooLarge, 5 => SameAsset,
        6 => OrderLimits, 7 => Band, 8 => FeeTakesAll, 9 => IcebergParts, 19 => TrailingDelta,
        40 => AverageMinutes, 41 => Position,
    }
    Feature { 0 => Iceberg, 10 => TrailingStop, 11 => Pegged }
    PegPrice { 0 => Primary, 1 => Market }
    NotionalFilter { 0 => Both, 1 => Least, 2 => Off }
    ReferenceCalculation { 0 => ArithmeticMean(mean), 1 => External { id } }
}

wire_struct! {
    plain Asset { 0: id, 1: name, 2: decimals }

    plain Fees { 0: maker, 1: taker }

    plain FeeTier { 0: volume_min, 1: fees }

    FeeTiers { 0: asset, 1: tiers }

    FeeDiscount { 0: asset, 1: basis_points, 2: rates, 3: except }

    plain DiscountRates { 0: maker, 1: taker, 2: scale, 3: worth }

    AccountFees as { standard, special, tax } { ; optional 0: standard, 1: special, 2: tax }
    Breaker { 0: move_bp, 1: window_seconds, 2: pause_seconds; optional 3: auction_seconds }

    Filters {
        0: price_min, 1: price_max, 2: quantity_min, 3: quantity_max, 4: market_quantity_max, 5: notional_min,
        6: notional_max, 7: band_up_percent, 8: band_down_percent, 9: orders_max, 10: algo_orders_max;
        optional 11: amends_max, 12: special, 13: order_lists_max, 42: relative,
    }

    plain Band { 0: up_percent, 1: down_percent }

    RelativeFilters as {
        percent_price, sell_band, average_minutes, notional, market_below_min, market_max, position_max,
    } {
        ; optional 0: percent_price, 1: sell_band, 2: average_minutes, 3: notional, 4: market_below_min, 5: market_max,
        6: position_max,
    }

    ExchangeFilters as { orders_max, algo_orders_max, iceberg_orders_max, order_lists_max } {
        ; optional 0: orders_max, 1: algo_orders_max, 2: iceberg_orders_max, 3: order_lists_max,
    }

    PriceRange as { bid_up, bid_down, ask_up, ask_down } { ; optional 0: bid_up, 1: bid_down, 2: ask_up, 3: ask_down }

    plain Mean { 0: buckets, 1: width_ms }

    plain TradeBucket { 0: number, 1: trades, 2: sum }

    plain Peg { 0: price, 1: level }

    plain TrailingBounds { 0: min, 1: max }

    SpecialFilters as { iceberg_parts_max, iceberg_orders_max, trailing_above, trailing_below, pegged } {
        ; optional 0: iceberg_parts_max, 1: iceberg_orders_max, 11: trailing_above, 12: trailing_below, 13: pegged,
    }

    Description {
        0: id, 1: symbol, 2: base, 3: quote, 4: tick_size, 5: step_size, 6: filters, 7: fees, 8: status,
        9: self_trade (since 3, else SelfTradeRules::FIRST),
    }
}

/// A market is its description, and what followed from it when it was made.
impl Wire for Market {
    fn write<S: Sink>(&self, out: &mut S) {
        let (base_per_lot, quote_per_tick_lot, largest) = self.to_record();
        self.description().write(out);
        (base_per_lot, quote_per_tick_lot, largest).write(out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Error> {
        let description = Description::read(from)?;
        let (base_per_lot, quote_per_tick_lot, largest) = Wire::read(from)?;
        Ok(Self::from_record(description, base_per_lot, quote_per_tick_lot, largest))
    }
}
