//! Orders that ask for more than a plain one does: the bounds that a market sets for them.

use serde::{Deserialize, Serialize};

use crate::order::words;
use crate::{Filter, OrderType, Price, Quantity, Side};

words! {
    /// A kind of order that a market need not take.
    Feature {
        /// Orders that show only a part of their quantity at a time.
        Iceberg = "Iceberg",
        /// Stop orders that trail the price.
        TrailingStop = "Trailing stop",
        /// Orders whose price is taken from the book.
        Pegged = "Pegged",
    }
}

words! {
    /// The side of the book that a pegged order takes its price from.
    PegPrice {
        /// Its own.
        Primary = "PRIMARY_PEG",
        /// The other one.
        Market = "MARKET_PEG",
    }
}

/// Where a pegged order takes its price from when it enters the book. The price then stays.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Peg {
    /// From which side.
    pub price: PegPrice,
    /// So many price levels behind the best one.
    pub level: u8,
}

impl Peg {
    /// The largest [`Peg::level`].
    pub const LEVEL_MAX: u8 = 100;
}

/// How far the price has to come back from its extreme to trigger a trailing stop, in hundredths of a percent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TrailingDelta(pub u32);

impl TrailingDelta {
    /// The largest. One of all of the price would never trigger an order to sell.
    pub const MAX: Self = Self(WHOLE as u32 - 1);

    /// The price that triggers an order of a side when the highest price that it has seen, or for an order to buy the
    /// lowest, is `extreme`.
    #[must_use]
    pub fn trigger(self, side: Side, extreme: Price) -> Price {
        let delta = u64::from(self.0.min(Self::MAX.0));
        Price(match side {
            Side::Buy => (extreme.0 * (WHOLE + delta)).div_ceil(WHOLE),
            Side::Sell => extreme.0 * (WHOLE - delta) / WHOLE,
        })
    }
}

/// All of a price, in the unit of [`TrailingDelta`].
const WHOLE: u64 = 10_000;

/// The smallest and the largest delta of a trailing stop; no order has one if the largest is zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TrailingBounds {
    /// The smallest.
    pub min: TrailingDelta,
    /// The largest.
    pub max: TrailingDelta,
}

/// What a market allows of orders with instructions. By default none of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SpecialFilters {
    /// In how many parts an iceberg order may show its quantity, at most; 0: the market takes no iceberg orders.
    pub iceberg_parts_max: u32,
    /// Open iceberg orders an account may have in this market.
    pub iceberg_orders_max: u32,
    /// Deltas of trailing stops that wait for a price above the market: to buy in a loss, or to sell in a profit.
    pub trailing_above: TrailingBounds,
    /// Deltas of trailing stops that wait for a price below it.
    pub trailing_below: TrailingBounds,
    /// Whether the market takes pegged orders.
    pub pegged: bool,
}

impl SpecialFilters {
    /// What a new market has if nothing else is said.
    pub const USUAL: Self = Self {
        iceberg_parts_max: 100,
        iceberg_orders_max: 100,
        trailing_above: TrailingBounds { min: TrailingDelta(10), max: TrailingDelta(2_000) },
        trailing_below: TrailingBounds { min: TrailingDelta(10), max: TrailingDelta(2_000) },
        pegged: true,
    };

    /// The largest [`SpecialFilters::iceberg_parts_max`]: each part may be a trade of its own of one command.
    pub const ICEBERG_PARTS_MAX: u32 = 1_000;

    /// Whether the market takes such orders.
    #[must_use]
    pub fn allows(&self, feature: Feature) -> bool {
        match feature {
            Feature::Iceberg => self.iceberg_parts_max > 0,
            Feature::Pegged => self.pegged,
            Feature::TrailingStop => self.trailing_above.max.max(self.trailing_below.max) > TrailingDelta(0),
        }
    }

    /// Whether a stop order of that type and side may have that delta.
    ///
    /// # Errors
    /// [`Filter::TrailingDelta`] if not.
    pub fn check_trailing(&self, order_type: OrderType, side: Side, delta: TrailingDelta) -> Result<(), Filter> {
        let above = order_type.triggers_on_rise(side);
        let TrailingBounds { min, max } = if above { self.trailing_above } else { self.trailing_below };
        if delta < min || delta > max || delta == TrailingDelta(0) { Err(Filter::TrailingDelta) } else { Ok(()) }
    }

    /// Whether the bounds make sense.
    pub(crate) fn is_sound(&self) -> bool {
        let bounds = [self.trailing_above, self.trailing_below];
        bounds.iter().all(|bounds| bounds.min <= bounds.max && bounds.max <= TrailingDelta::MAX)
    }

    /// Whether an order may show so much of its quantity at a time.
    ///
    /// # Errors
    /// [`Filter::IcebergParts`] if it would have too many parts.
    pub fn check_iceberg(&self, quantity: Quantity, shown: Quantity) -> Result<(), Filter> {
        let parts = quantity.0.div_ceil(shown.0.max(1));
        if parts > u64::from(self.iceberg_parts_max) { Err(Filter::IcebergParts) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trailing_stop_triggers_where_the_price_has_come_back() {
        let trigger = |delta, side, extreme| TrailingDelta(delta).trigger(side, Price(extreme)).0;
        assert_eq!((trigger(1_000, Side::Sell, 41_000), trigger(750, Side::Sell, 46_500)), (36_900, 43_012));
        assert_eq!((trigger(500, Side::Buy, 42_000), trigger(850, Side::Buy, 37_000)), (44_100, 40_145));
        assert_eq!((trigger(1, Side::Buy, 3), trigger(1, Side::Sell, 3)), (4, 2));
        assert!(trigger(9_999, Side::Buy, Price::MAX.0) < 2 * Price::MAX.0);
        let filters = SpecialFilters::USUAL;
        let check = |kind, side, delta| filters.check_trailing(kind, side, TrailingDelta(delta));
        assert_eq!(check(OrderType::StopLoss, Side::Sell, 10), Ok(()));
        assert_eq!(check(OrderType::StopLoss, Side::Sell, 9), Err(Filter::TrailingDelta));
        assert_eq!(check(OrderType::TakeProfitLimit, Side::Sell, 2_001), Err(Filter::TrailingDelta));
    }

    #[test]
    fn an_iceberg_has_no_more_parts_than_it_may() {
        let filters = SpecialFilters { iceberg_parts_max: 3, ..SpecialFilters::default() };
        let check = |quantity, shown| filters.check_iceberg(Quantity(quantity), Quantity(shown));
        assert_eq!((check(9, 3), check(7, 3), check(9, 9)), (Ok(()), Ok(()), Ok(())));
        assert_eq!((check(10, 3), check(9, 2)), (Err(Filter::IcebergParts), Err(Filter::IcebergParts)));
        assert!(filters.allows(Feature::Iceberg) && !SpecialFilters::default().allows(Feature::Iceberg));
    }
}
