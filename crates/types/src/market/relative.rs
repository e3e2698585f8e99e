//! Filters that look beyond the order: at the price at which the market trades, and at what the account has.

use serde::{Deserialize, Serialize};

use super::Error;
use crate::order::words;
use crate::{Amount, Filter, Market, Price, Side};

/// How far a price may be from the reference price, in percent of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Band {
    /// How far up: 500 allows five times the reference price. 0 switches the check off.
    pub up_percent: u32,
    /// How far down: 20 allows a fifth of it. 0 switches the check off.
    pub down_percent: u32,
}

impl Band {
    /// Whether it forbids nothing.
    #[must_use]
    #[inline]
    pub fn is_off(self) -> bool {
        self.up_percent == 0 && self.down_percent == 0
    }

    /// Whether a price is within the band around another.
    #[must_use]
    pub fn contains(self, price: Price, around: Price) -> bool {
        let (price, around) = (u128::from(price.0) * 100, u128::from(around.0));
        let (up, down) = (u128::from(self.up_percent), u128::from(self.down_percent));
        (up == 0 || price <= around * up) && (down == 0 || price >= around * down)
    }

    /// Whether the reference price itself would be within it.
    #[must_use]
    pub fn is_sound(self) -> bool {
        (self.up_percent == 0 || self.up_percent >= 100) && self.down_percent <= 100
    }
}

words! {
    /// The filter by which a market bounds the worth of an order.
    #[derive(Default)]
    NotionalFilter {
        /// A smallest and a largest worth.
        #[default]
        Both = "NOTIONAL",
        /// A smallest worth only.
        Least = "MIN_NOTIONAL",
        /// None: an order may be worth whatever it is.
        Off = "NONE",
    }
}

/// The bounds that depend on the price at which the market trades, or on what the account has. By default those that
/// every market has: a band around the last price, and a worth between two bounds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RelativeFilters {
    /// The filter PERCENT_PRICE, which holds for both sides.
    pub percent_price: Band,
    /// The band of sell orders, where it is another than that of buy orders.
    pub sell_band: Option<Band>,
    /// Of how many minutes the average price is to which prices and market orders are compared; 0: the last price is.
    pub average_minutes: u32,
    /// Which filter bounds the worth of an order.
    pub notional: NotionalFilter,
    /// Whether orders that run at market may be worth less than the smallest worth.
    pub market_below_min: bool,
    /// Whether orders that run at market must not be worth more than the largest worth.
    pub market_max: bool,
    /// How much of the base asset an account may have, with what its open buy orders would bring; zero switches the
    /// check off.
    pub position_max: Amount,
}

impl RelativeFilters {
    /// The most minutes of an average price: a market keeps a sum for each minute.
    pub const AVERAGE_MINUTES_MAX: u32 = 60;

    /// # Errors
    /// What makes no sense.
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.average_minutes > Self::AVERAGE_MINUTES_MAX {
            return Err(Error::AverageMinutes);
        }
        if !self.percent_price.is_sound() || !self.sell_band.is_none_or(Band::is_sound) {
            return Err(Error::Band);
        }
        if self.position_max.is_negative() || self.position_max > Amount::MAX {
            return Err(Error::Position);
        }
        Ok(())
    }

    /// Whether they have nothing but what every market has.
    #[must_use]
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

impl Market {
    /// The band of prices of a side.
    #[must_use]
    #[inline]
    pub fn band(&self, side: Side) -> Band {
        let Self { filters, .. } = self;
        match (side, filters.relative.sell_band) {
            (Side::Sell, Some(band)) => band,
            _ => Band { up_percent: filters.band_up_percent, down_percent: filters.band_down_percent },
        }
    }

    /// Whether a price is as near to the reference price as it must be (none yet: every price is).
    ///
    /// # Errors
    /// Names the filter that it breaks.
    #[inline]
    pub fn check_band(&self, side: Side, price: Price, reference: Option<Price>) -> Result<(), Filter> {
        let Some(reference) = reference else { return Ok(()) };
        if !self.band(side).contains(price, reference) {
            return Err(Filter::PercentPrice);
        }
        let both = self.filters.relative.percent_price;
        if !both.is_off() && !both.contains(price, reference) {
            return Err(Filter::PercentPriceOfBoth);
        }
        Ok(())
    }

    /// Whether the worth of an order with a limit price is one that the filters allow.
    ///
    /// # Errors
    /// Names the filter that it breaks.
    #[inline]
    pub fn check_notional(&self, notional: Amount) -> Result<(), Filter> {
        let filters = &self.filters;
        if notional < filters.notional_min || notional > filters.notional_max {
            return self.broken_notional(notional);
        }
        Ok(())
    }

    /// What it breaks, if the market looks at it.
    #[cold]
    fn broken_notional(&self, notional: Amount) -> Result<(), Filter> {
        match self.filters.relative.notional {
            NotionalFilter::Both => Err(Filter::Notional),
            NotionalFilter::Least if notional < self.filters.notional_min => Err(Filter::MinNotional),
            NotionalFilter::Least | NotionalFilter::Off => Ok(()),
        }
    }

    /// Whether the worth of an order that runs at market is one that the filters allow. By default, only the smallest
    /// worth holds for these.
    ///
    /// # Errors
    /// Names the filter that it breaks.
    pub fn check_market_notional(&self, notional: Amount) -> Result<(), Filter> {
        let filters = &self.filters;
        let below = notional < filters.notional_min && !filters.relative.market_below_min;
        let above = notional > filters.notional_max && filters.relative.market_max;
        if below || above { self.broken_notional(notional) } else { Ok(()) }
    }

    /// Whether the worth of an order is at least what the filters allow; `at_market`: of one that runs at market.
    ///
    /// # Errors
    /// Names the filter that it breaks.
    pub fn check_notional_min(&self, notional: Amount, at_market: bool) -> Result<(), Filter> {
        let filters = &self.filters;
        let below = notional < filters.notional_min && !(at_market && filters.relative.market_below_min);
        if below { self.broken_notional(notional) } else { Ok(()) }
    }

    /// The filter that a market order breaks whose worth is not known, because the market has never traded; `None` if
    /// any worth will do.
    #[must_use]
    pub fn unknown_notional(&self) -> Option<Filter> {
        self.check_market_notional(Amount::ZERO).err()
    }
}
