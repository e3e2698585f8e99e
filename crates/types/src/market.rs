//! Assets, markets and the rules of a market: tick and lot, filters.
//!
//! A [`Market`] is created only by [`Market::new_checked`], which refuses every combination in which some price times
//! some quantity would not be a whole number of the quote asset's smallest units, or would overflow. So all other code
//! can multiply without checks.

pub mod breaker;
pub mod exchange;
pub mod reference;
pub mod relative;
pub mod special;

use serde::{Deserialize, Serialize};

use crate::market::relative::NotionalFilter;
use crate::order::words;
use crate::{
    Amount, AssetId, AssetName, Decimal, Fees, OrderType, Price, Quantity, RelativeFilters, SelfTradeRules, Side,
    SpecialFilters, SymbolId, SymbolName,
};

/// An asset that accounts can hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Asset {
    /// Id, assigned in the order of listing.
    pub id: AssetId,
    /// Name, such as `BTC`.
    pub name: AssetName,
    /// Digits after the point: the smallest unit is 10^-decimals.
    pub decimals: u8,
}

words! {
    /// What a market lets its clients do.
    MarketStatus {
        /// New orders and cancels are accepted.
        Trading = "TRADING",
        /// Nothing but cancelling: stopped, usually for trouble.
        Halt = "HALT",
        /// Nothing but cancelling: a planned pause.
        Break = "BREAK",
        /// Nothing but cancelling: being wound down.
        CancelOnly = "CANCEL_ONLY",
        /// Orders are collected for an auction. A market is in it by its session, never by its operator's word.
        AuctionMatch = "AUCTION_MATCH",
        /// Nothing, and for good: it is a market no more, and its symbol is free for another one.
        Delisted = "DELISTED",
    }
}

words! {
    /// The rule that an order broke; clients see its name.
    Filter {
        /// Price below the minimum, above the maximum, or off the tick.
        Price = "PRICE_FILTER",
        /// Price too far from the reference price, for its side.
        PercentPrice = "PERCENT_PRICE_BY_SIDE",
        /// Price too far from the reference price, whatever its side.
        PercentPriceOfBoth = "PERCENT_PRICE",
        /// Quantity below the minimum, above the maximum, or off the step.
        LotSize = "LOT_SIZE",
        /// Quantity of a market order below the minimum, above the maximum, or off the step.
        MarketLotSize = "MARKET_LOT_SIZE",
        /// Price x quantity below the minimum or above the maximum.
        Notional = "NOTIONAL",
        /// Price x quantity below the minimum, in a market that has no maximum.
        MinNotional = "MIN_NOTIONAL",
        /// Too many open orders of the account in this market.
        MaxOrders = "MAX_NUM_ORDERS",
        /// Too many waiting stop and take-profit orders of the account in this market.
        MaxAlgoOrders = "MAX_NUM_ALGO_ORDERS",
        /// The order has been amended as often as it may be.
        MaxAmends = "MAX_NUM_ORDER_AMENDS",
        /// The visible part of an iceberg order is too small for its quantity.
        IcebergParts = "ICEBERG_PARTS",
        /// Too many open iceberg orders of the account in this market.
        MaxIcebergOrders = "MAX_NUM_ICEBERG_ORDERS",
        /// The account would have more of the base asset than it may.
        MaxPosition = "MAX_POSITION",
        /// Too many open orders of the account in all markets.
        ExchangeMaxOrders = "EXCHANGE_MAX_NUM_ORDERS",
        /// Too many open stop and take-profit orders of the account in all markets.
        ExchangeMaxAlgoOrders = "EXCHANGE_MAX_NUM_ALGO_ORDERS",
        /// Too many open iceberg orders of the account in all markets.
        ExchangeMaxIcebergOrders = "EXCHANGE_MAX_NUM_ICEBERG_ORDERS",
        /// Too many open order lists of the account in all markets.
        ExchangeMaxOrderLists = "EXCHANGE_MAX_NUM_ORDER_LISTS",
        /// Too many open order lists of the account in this market.
        MaxOrderLists = "MAX_NUM_ORDER_LISTS",
        /// The delta of a trailing stop is too small or too large.
        TrailingDelta = "TRAILING_DELTA",
    }
}

/// The bounds of a market. Prices are in ticks, quantities in lots, amounts in the quote asset's smallest unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Filters {
    /// Lowest price of an order.
    pub price_min: Price,
    /// Highest price of an order.
    pub price_max: Price,
    /// Smallest quantity of an order.
    pub quantity_min: Quantity,
    /// Largest quantity of an order.
    pub quantity_max: Quantity,
    /// Largest quantity of an order that runs as a market order.
    pub market_quantity_max: Quantity,
    /// Smallest worth of an order.
    pub notional_min: Amount,
    /// Largest worth of an order.
    pub notional_max: Amount,
    /// How far above the reference price a price may be, in percent of it: 500 allows five times as much.
    /// 0 switches the check off.
    pub band_up_percent: u32,
    /// How far down a price may be, in percent of the reference price: 20 allows a fifth of it. 0 switches the check
    /// off.
    pub band_down_percent: u32,
    /// Open orders an account may have in this market.
    pub orders_max: u32,
    /// Of these, waiting stop and take-profit orders.
    pub algo_orders_max: u32,
    /// How often an order may be amended; 0: orders cannot be amended.
    pub amends_max: u32,
    /// What of orders with instructions is allowed.
    pub special: SpecialFilters,
    /// Bounds that depend on the market's price, or on what the account has.
    pub relative: RelativeFilters,
    /// Open order lists an account may have in this market; 0: the market takes no order lists.
    pub order_lists_max: u32,
}

/// Why a market cannot exist as described. Each states what to change.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
pub enum Error {
    /// Tick or step is not positive, or too fine.
    #[error("tickSize and stepSize must be positive and have at most 18 decimals")]
    Step,
    /// A step is not a whole number of the base asset's smallest unit.
    #[error("stepSize must be a whole number of the base asset's smallest unit; use a coarser stepSize")]
    StepFinerThanBase,
    /// Tick x step is not a whole number of the quote asset's smallest unit.
    #[error(
        "tickSize x stepSize must be a whole number of the quote asset's smallest unit, or amounts would have to be \
         rounded; use a coarser tickSize or stepSize"
    )]
    NotionalFinerThanQuote,
    /// Minimum above maximum, zero minimum, or out of the range of a book.
    #[error(
        "each filter's minimum must be at least one step, at most its maximum, and the maximum at most 2^42 - 1 steps"
    )]
    Range,
    /// The largest order would be worth more than an amount can hold.
    #[error("maxPrice x maxQty is too large; lower one of them")]
    TooLarge,
    /// Base and quote are the same asset.
    #[error("baseAsset and quoteAsset must differ")]
    SameAsset,
    /// A limit on the number of orders is zero or above what a book holds.
    #[error("maxNumOrders must be from 1 to 1000000, maxNumAlgoOrders at most maxNumOrders")]
    OrderLimits,
    /// An iceberg order could have more parts than any market allows.
    #[error("icebergParts must be at most {}", SpecialFilters::ICEBERG_PARTS_MAX)]
    IcebergParts,
    /// The bounds of trailing deltas contradict each other.
    #[error("the bounds of trailing deltas must be at most 9999, each minimum at most its maximum")]
    TrailingDelta,
    /// Price bands make no sense.
    #[error("multiplierUp must be at least 1 and multiplierDown at most 1; 0 switches a band off")]
    Band,
    /// An average of too many minutes.
    #[error("avgPriceMins must be at most {}", RelativeFilters::AVERAGE_MINUTES_MAX)]
    AverageMinutes,
    /// A largest position that no account can have.
    #[error("maxPosition must not be negative, and at most 2^112 smallest units; 0 switches it off")]
    Position,
    /// The fee on a lot, or on the worth of the smallest order, would be all that is received.
    #[error(
        "the fee on one stepSize, or on the smallest order's worth, would be all that is received; use a coarser \
         stepSize, a higher minNotional or minPrice, assets with more decimals, or no fee"
    )]
    FeeTakesAll,
}

/// A market: what trades for what, in which steps, under which rules.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Market {
    /// Id, assigned in the order of listing.
    pub id: SymbolId,
    /// Name, such as `BTCUSDT`.
    pub symbol: SymbolName,
    /// What is bought and sold.
    pub base: Asset,
    /// What it is paid in.
    pub quote: Asset,
    /// The price of one tick, in quote per base.
    pub tick_size: Decimal,
    /// The quantity of one lot, in base.
    pub step_size: Decimal,
    /// The bounds of orders.
    pub filters: Filters,
    /// What trades cost.
    pub fees: Fees,
    /// What clients may do now.
    pub status: MarketStatus,
    /// What orders may ask for where they meet others of their account.
    pub self_trade: SelfTradeRules,
    /// Smallest units of the base asset in one lot.
    base_per_lot: i128,
    /// Smallest units of the quote asset in one lot at a price of one tick.
    quote_per_tick_lot: i128,
    /// The highest price and largest quantity that the filters ever allowed: orders from then may still rest.
    largest: (Price, Quantity),
}

/// What a market is made of; see [`Market`] for the fields.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields are those of `Market`")]
pub struct Description {
    pub id: SymbolId,
    pub symbol: SymbolName,
    pub base: Asset,
    pub quote: Asset,
    pub tick_size: Decimal,
    pub step_size: Decimal,
    pub filters: Filters,
    pub fees: Fees,
    pub status: MarketStatus,
    pub self_trade: SelfTradeRules,
}

impl Market {
    /// Checks a description and makes the market.
    ///
    /// # Errors
    /// When some order that the filters allow would be worth a fraction of a smallest unit, or more than fits.
    pub fn new_checked(description: Description) -> Result<Self, Error> {
        let Description { base, quote, tick_size, step_size, filters, .. } = description;
        if base.id == quote.id {
            return Err(Error::SameAsset);
        }
        let sane = |step: Decimal| step.is_positive() && step.units() <= 10i128.pow(24);
        if !sane(tick_size) || !sane(step_size) {
            return Err(Error::Step);
        }
        let base_per_lot = step_size.rescale(base.decimals).ok_or(Error::StepFinerThanBase)?;
        let scale = u8::checked_add(tick_size.scale(), step_size.scale()).ok_or(Error::Step)?;
        let product = tick_size.units().checked_mul(step_size.units()).ok_or(Error::TooLarge)?;
        let quote_per_tick_lot = if quote.decimals >= scale {
            crate::decimal::power_of_ten(quote.decimals - scale)
                .and_then(|p| product.checked_mul(p))
                .ok_or(Error::TooLarge)?
        } else {
            let divisor = crate::decimal::power_of_ten(scale - quote.decimals).ok_or(Error::Step)?;
            if product % divisor != 0 {
                return Err(Error::NotionalFinerThanQuote);
            }
            product / divisor
        };
        let f = &filters;
        let ordered = 1 <= f.price_min.0
            && f.price_min <= f.price_max
            && f.price_max <= Price::MAX
            && 1 <= f.quantity_min.0
            && f.quantity_min <= f.quantity_max
            && f.quantity_max <= Quantity::MAX
            && f.quantity_min <= f.market_quantity_max
            && f.market_quantity_max <= Quantity::MAX
            && !f.notional_min.is_negative()
            && f.notional_min <= f.notional_max
            && f.notional_max <= Amount::MAX;
        if !ordered {
            return Err(Error::Range);
        }
        if f.orders_max == 0 || f.orders_max > 1_000_000 || f.algo_orders_max > f.orders_max {
            return Err(Error::OrderLimits);
        }
        if f.special.iceberg_parts_max > SpecialFilters::ICEBERG_PARTS_MAX {
            return Err(Error::IcebergParts);
        }
        if !f.special.is_sound() {
            return Err(Error::TrailingDelta);
        }
        if (f.band_up_percent != 0 && f.band_up_percent < 100) || f.band_down_percent > 100 {
            return Err(Error::Band);
        }
        f.relative.check()?;
        let largest = (f.price_max, f.quantity_max.max(f.market_quantity_max));
        let market = Self::from_record(description, base_per_lot, quote_per_tick_lot, largest);
        market.check_largest()?;
        Ok(market)
    }

    /// A market as it is in a record: its description, the smallest units of the base asset in one lot, those of the
    /// quote asset in one lot at a price of one tick, and the highest price and largest quantity that its filters ever
    /// allowed. Nothing is checked, as when a market is deserialized.
    #[must_use]
    pub fn from_record(
        description: Description,
        base_per_lot: i128,
        quote_per_tick_lot: i128,
        largest: (Price, Quantity),
    ) -> Self {
        let Description { id, symbol, base, quote, tick_size, step_size, filters, fees, status, self_trade } =
            description;
        Self {
            id,
            symbol,
            base,
            quote,
            tick_size,
            step_size,
            filters,
            fees,
            status,
            self_trade,
            base_per_lot,
            quote_per_tick_lot,
            largest,
        }
    }

    /// What [`Market::from_record`] takes besides the description.
    #[must_use]
    pub fn to_record(&self) -> (i128, i128, (Price, Quantity)) {
        (self.base_per_lot, self.quote_per_tick_lot, self.largest)
    }

    /// The market under other rules.
    ///
    /// # Errors
    /// As for [`Market::new_checked`], and when an order that rests from before could meet one that is allowed from now
    /// on and be worth more than fits.
    pub fn changed(&self, filters: Filters, fees: Fees, status: MarketStatus) -> Result<Self, Error> {
        let mut market = Self::new_checked(Description { filters, fees, status, ..self.description() })?;
        market.largest = (market.largest.0.max(self.largest.0), market.largest.1.max(self.largest.1));
        market.check_largest()?;
        Ok(market)
    }

    /// The market with other rules for orders that meet others of their account.
    #[must_use]
    pub fn with_self_trade(self, self_trade: SelfTradeRules) -> Self {
        Self { self_trade, ..self }
    }

    /// The market with another status.
    #[must_use]
    pub fn with_status(self, status: MarketStatus) -> Self {
        Self { status, ..self }
    }

    /// Whether each side receives more than its fee: who buys, of one lot; who sells, of the order of the smallest
    /// worth.
    ///
    /// # Errors
    /// [`Error::FeeTakesAll`] if not.
    pub fn check_fees(&self) -> Result<(), Error> {
        self.check_other_fees(self.fees)
    }

    /// Whether each side would receive more than its fee at other rates than the market's.
    ///
    /// # Errors
    /// As [`Market::check_fees`].
    pub fn check_other_fees(&self, fees: Fees) -> Result<(), Error> {
        let Filters { price_min, quantity_min, notional_min, relative, .. } = self.filters;
        let bounded = relative.notional != NotionalFilter::Off && !relative.market_below_min;
        let notional_min = if bounded { notional_min } else { Amount::ZERO };
        let smallest = [self.base_amount(Quantity(1)), self.quote_amount(price_min, quantity_min).max(notional_min)];
        let highest = fees.maker.max(fees.taker);
        if smallest.iter().all(|&received| highest.fee_on(received) < received) {
            Ok(())
        } else {
            Err(Error::FeeTakesAll)
        }
    }

    /// Whether the largest order at the highest price is worth an amount that fits.
    fn check_largest(&self) -> Result<(), Error> {
        let (price, quantity) = (i128::from(self.largest.0.0), i128::from(self.largest.1.0));
        let base = quantity.checked_mul(self.base_per_lot);
        let quote = price.checked_mul(quantity).and_then(|steps| steps.checked_mul(self.quote_per_tick_lot));
        let fits = |amount: Option<i128>| amount.is_some_and(|amount| amount <= Amount::MAX.0);
        if fits(base) && fits(quote) { Ok(()) } else { Err(Error::TooLarge) }
    }

    /// What the market is made of.
    #[must_use]
    pub fn description(&self) -> Description {
        let &Self { id, symbol, base, quote, tick_size, step_size, filters, fees, status, self_trade, .. } = self;
        Description { id, symbol, base, quote, tick_size, step_size, filters, fees, status, self_trade }
    }

    /// The worth of `quantity` in the base asset's smallest units.
    ///
    /// # Panics
    /// On overflow, which [`Market::new_checked`] rules out for every order the filters allow.
    #[must_use]
    #[inline]
    pub fn base_amount(&self, quantity: Quantity) -> Amount {
        Amount(i128::from(quantity.0).checked_mul(self.base_per_lot).expect("base amount overflow"))
    }

    /// The worth of `quantity` at `price` in the quote asset's smallest units.
    ///
    /// # Panics
    /// On overflow, which [`Market::new_checked`] rules out for every order the filters allow.
    #[must_use]
    #[inline]
    pub fn quote_amount(&self, price: Price, quantity: Quantity) -> Amount {
        let steps = i128::from(price.0) * i128::from(quantity.0);
        Amount(steps.checked_mul(self.quote_per_tick_lot).expect("quote amount overflow"))
    }

    /// How many whole lots `budget` buys at `price`.
    #[must_use]
    pub fn affordable(&self, price: Price, budget: Amount) -> Quantity {
        let lot = self.quote_amount(price, Quantity(1)).0;
        if lot == 0 || budget.is_negative() {
            return Quantity::ZERO;
        }
        Quantity(u64::try_from(budget.0 / lot).unwrap_or(u64::MAX).min(Quantity::MAX.0))
    }

    /// How many whole lots of base an amount of the base asset has.
    #[must_use]
    pub fn lots_in(&self, amount: Amount) -> Quantity {
        Quantity(u64::try_from(amount.0 / self.base_per_lot).unwrap_or(0).min(Quantity::MAX.0))
    }

    /// The price as ticks, or `None` if it is off the tick or out of the range of a book. Filters are not looked at.
    #[must_use]
    pub fn price(&self, price: Decimal) -> Option<Price> {
        let ticks = u64::try_from(price.steps_of(self.tick_size)?).ok()?;
        (ticks <= Price::MAX.0).then_some(Price(ticks))
    }

    /// The quantity as lots, or `None` if it is off the step or out of the range of a book. Filters are not looked at.
    #[must_use]
    pub fn quantity(&self, quantity: Decimal) -> Option<Quantity> {
        let lots = u64::try_from(quantity.steps_of(self.step_size)?).ok()?;
        (lots <= Quantity::MAX.0).then_some(Quantity(lots))
    }

    /// Whether a limit price is one that the static price filter allows.
    #[must_use]
    #[inline]
    pub fn allows_price(&self, price: Price) -> bool {
        self.filters.price_min <= price && price <= self.filters.price_max
    }

    /// Whether an order's quantity is one that the filters allow.
    ///
    /// # Errors
    /// Names the filter that it breaks.
    #[inline]
    pub fn check_quantity(&self, order_type: OrderType, quantity: Quantity) -> Result<(), Filter> {
        let f = &self.filters;
        if quantity < f.quantity_min || quantity > f.quantity_max {
            return Err(Filter::LotSize);
        }
        if !order_type.has_limit_price() && quantity > f.market_quantity_max {
            return Err(Filter::MarketLotSize);
        }
        Ok(())
    }

    /// The largest quantity of an order that runs as a market order.
    #[must_use]
    #[inline]
    pub fn market_lots_max(&self) -> Quantity {
        self.filters.quantity_max.min(self.filters.market_quantity_max)
    }

    /// The highest price that the filters ever allowed: orders from then may still rest.
    #[must_use]
    pub fn highest_price(&self) -> Price {
        self.largest.0
    }

    /// The asset that a trade takes from an order of `side`.
    #[must_use]
    #[inline]
    pub fn pays(&self, side: Side) -> AssetId {
        match side {
            Side::Buy => self.quote.id,
            Side::Sell => self.base.id,
        }
    }

    /// The asset that a trade brings an order of `side`, in which it also pays its fee.
    #[must_use]
    #[inline]
    pub fn receives(&self, side: Side) -> AssetId {
        self.pays(side.opposite())
    }

    /// `price` as a decimal in quote per base: units and scale.
    #[must_use]
    pub fn price_decimal(&self, price: Price) -> (i128, u8) {
        (i128::from(price.0) * self.tick_size.units(), self.tick_size.scale())
    }

    /// `quantity` as a decimal in base: units and scale.
    #[must_use]
    pub fn quantity_decimal(&self, quantity: Quantity) -> (i128, u8) {
        (i128::from(quantity.0) * self.step_size.units(), self.step_size.scale())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::FeeRate;

    /// BTCUSDT as on the demo venue.
    pub(crate) fn btcusdt() -> Description {
        let asset =
            |id, name, decimals| Asset { id: AssetId(id), name: AssetName::new_checked(name).unwrap(), decimals };
        Description {
            id: SymbolId(0),
            symbol: SymbolName::new_checked("BTCUSDT").unwrap(),
            base: asset(0, "BTC", 8),
            quote: asset(1, "USDT", 8),
            tick_size: Decimal::parse("0.01").unwrap(),
            step_size: Decimal::parse("0.00001").unwrap(),
            filters: Filters {
                price_min: Price(1),
                price_max: Price(100_000_000),
                quantity_min: Quantity(1),
                quantity_max: Quantity(900_000_000),
                market_quantity_max: Quantity(10_000_000),
                notional_min: Amount(500_000_000),
                notional_max: Amount(900_000_000_000_000),
                band_up_percent: 500,
                band_down_percent: 20,
                orders_max: 200,
                algo_orders_max: 5,
                amends_max: 10,
                special: SpecialFilters::USUAL,
                relative: RelativeFilters::default(),
                order_lists_max: 5,
            },
            fees: Fees::default(),
            status: MarketStatus::Trading,
            self_trade: SelfTradeRules::ALL,
        }
    }

    #[test]
    fn amounts_are_whole_units() {
        let market = Market::new_checked(btcusdt()).unwrap();
        let price = market.price(Decimal::parse("50000.01").unwrap()).unwrap();
        let quantity = market.quantity(Decimal::parse("0.00002").unwrap()).unwrap();
        assert_eq!(market.base_amount(quantity), Amount(2_000));
        assert_eq!(market.quote_amount(price, quantity), Amount(100_000_020)); // 1.00000020 USDT
        assert_eq!(market.affordable(price, Amount(100_000_019)), Quantity(1));
        assert_eq!(market.affordable(price, Amount(100_000_020)), Quantity(2));
    }

    #[test]
    fn a_market_whose_amounts_would_need_rounding_is_refused() {
        let mut d = btcusdt();
        d.tick_size = Decimal::parse("0.00001").unwrap();
        assert_eq!(Market::new_checked(d), Err(Error::NotionalFinerThanQuote));
        let mut d = btcusdt();
        d.step_size = Decimal::parse("0.000000001").unwrap();
        assert_eq!(Market::new_checked(d), Err(Error::StepFinerThanBase));
        let mut d = btcusdt();
        d.quote = d.base;
        assert_eq!(Market::new_checked(d), Err(Error::SameAsset));
        let mut d = btcusdt();
        d.filters.price_min = Price(0);
        assert_eq!(Market::new_checked(d), Err(Error::Range));
    }

    #[test]
    fn a_change_reckons_with_orders_from_before() {
        let mut d = btcusdt();
        d.quote.decimals = 18;
        d.filters.price_max = Price::MAX;
        d.filters.quantity_max = Quantity(10_000_000);
        d.filters.notional_max = Amount::MAX;
        let market = Market::new_checked(d).unwrap();
        let with = |price_max, quantity_max| Filters { price_max, quantity_max, ..d.filters };
        let change = |market: &Market, filters| market.changed(filters, d.fees, d.status);
        // Alone this would do, but orders may rest at the old highest price.
        let filters = with(Price(1_000_000), Quantity::MAX);
        assert!(Market::new_checked(Description { filters, ..d }).is_ok());
        assert_eq!(change(&market, filters), Err(Error::TooLarge));
        assert!(change(&market, with(Price(1_000_000), Quantity(10_000_000))).is_ok());
    }

    #[test]
    fn bands_hold_around_the_last_price() {
        let market = Market::new_checked(btcusdt()).unwrap();
        let last = Some(Price(1_000));
        let check = |price, reference| market.check_band(Side::Buy, Price(price), reference);
        assert_eq!((check(5_000, last), check(5_001, last)), (Ok(()), Err(Filter::PercentPrice)));
        assert_eq!((check(200, last), check(199, last)), (Ok(()), Err(Filter::PercentPrice)));
        assert_eq!(check(1, None), Ok(()));
    }

    #[test]
    fn a_market_whose_smallest_trade_is_all_fee_is_found() {
        let fees = |text| {
            let rate = FeeRate::from_decimal(Decimal::parse(text).unwrap()).unwrap();
            Fees { maker: FeeRate::default(), taker: rate }
        };
        let check = |d: Description| Market::new_checked(d).unwrap().check_fees();
        let sound = Description { fees: fees("0.001"), ..btcusdt() };
        assert_eq!(check(sound), Ok(()));
        // A lot is the base asset's smallest unit.
        let whole = Description { base: Asset { decimals: 5, ..sound.base }, ..sound };
        assert_eq!(check(whole), Err(Error::FeeTakesAll));
        assert_eq!(check(Description { fees: fees("0"), ..whole }), Ok(()));
        // A lot at one tick is the quote asset's smallest unit; a higher price, a larger order or one of more worth is
        // more than its fee.
        let mut whole = Description { quote: Asset { decimals: 7, ..sound.quote }, ..sound };
        whole.filters.notional_min = Amount(1);
        assert_eq!(check(whole), Err(Error::FeeTakesAll));
        for more in [
            Filters { price_min: Price(2), ..whole.filters },
            Filters { quantity_min: Quantity(2), ..whole.filters },
            Filters { notional_min: Amount(2), ..whole.filters },
        ] {
            assert_eq!(check(Description { filters: more, ..whole }), Ok(()));
        }
        whole.filters.price_min = Price(2);
        // Of two units a rate above a half takes both.
        assert_eq!(check(Description { fees: fees("0.50000001"), ..whole }), Err(Error::FeeTakesAll));
    }
}
