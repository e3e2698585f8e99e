//! The execution rule of a market, and the reference price that it and the filters look at.
//!
//! When an order begins to trade, the reference price says within which prices it may, as long as it does. If the next
//! order that it would trade with is not within these, its rest ends; the market goes on. The rule is about orders that
//! come in: what was collected trades in an auction at whatever its price is.

use crossbook_protocol::event::Events;
use crossbook_protocol::refusal::Refusal;
use crossbook_protocol::session::{ExternalPrice, Reference};
use crossbook_types::{Price, PriceRange, ReferenceCalculation, ReferencePrice, Side, Timestamp, TradeBuckets};

use super::session::Session;
use super::taker::{Bound, Reach, Taker};
use super::{Matcher, crosses};

/// Between which prices an order may trade: the end that it would come to first, and the other one.
type Ends = (Price, Price);

impl Session {
    /// The reference price, if there is one now.
    pub(super) fn reference_price(&self, now: Timestamp) -> Option<ReferencePrice> {
        let Reference { calculation, external } = self.reference?;
        match calculation {
            ReferenceCalculation::ArithmeticMean(mean) => self.buckets.price(mean, now),
            ReferenceCalculation::External { .. } => external?.price,
        }
    }

    /// Counts a trade for the reference price, if that is a mean of trades.
    pub(super) fn count_for_reference(&mut self, now: Timestamp, price: Price) {
        if let Some(Reference { calculation: ReferenceCalculation::ArithmeticMean(mean), .. }) = self.reference {
            self.buckets.add(mean, now, price);
        }
    }

    /// The lowest and the highest price at which an order of that side may trade now; `None`: any.
    fn range(&self, side: Side, now: Timestamp) -> Option<(Price, Price)> {
        let rule = self.price_range?;
        #[cfg(crossbook_bugs)]
        if side == Side::Sell && crossbook_types::bugs::is_planted(crossbook_types::bugs::Bug::RangeOfBuyersOnly) {
            return None;
        }
        self.reference_price(now).map(|reference| rule.limits(side, reference))
    }

    /// How far an order may take that meets a price first, if any.
    pub(super) fn reach(&mut self, taker: &Taker, met: Option<Price>, now: Timestamp) -> Reach {
        let side = taker.order.side;
        let ends = |(low, high)| match side {
            Side::Buy => (low, high),
            Side::Sell => (high, low),
        };
        let Some((nearest, farthest)) = nearer(side, self.band(now).map(ends), self.range(side, now).map(ends)) else {
            return Reach::UpTo(taker.limit, Bound::Band);
        };
        let met = met.filter(|&met| taker.limit.is_none_or(|limit| crosses(side, limit, met)));
        if met.is_some_and(|met| met != nearest.0 && crosses(side, nearest.0, met)) {
            return Reach::Nothing(nearest.1);
        }
        let within = taker.limit.filter(|&limit| crosses(side, farthest.0, limit));
        Reach::UpTo(Some(within.unwrap_or(farthest.0)), farthest.1)
    }
}

/// Of two bounds the one that holds at either end: the one that allows less, and of two that allow as much the rule.
fn nearer(side: Side, band: Option<Ends>, range: Option<Ends>) -> Option<((Price, Bound), (Price, Bound))> {
    let of = |ends: Ends, bound| ((ends.0, bound), (ends.1, bound));
    match (band, range) {
        (None, None) => None,
        (Some(band), None) => Some(of(band, Bound::Band)),
        (None, Some(range)) => Some(of(range, Bound::Range)),
        (Some(band), Some(range)) => {
            let (of_band, of_range) = (of(band, Bound::Band), of(range, Bound::Range));
            let nearest = if crosses(side, range.0, band.0) { of_range.0 } else { of_band.0 };
            let farthest = if crosses(side, band.1, range.1) { of_range.1 } else { of_band.1 };
            Some((nearest, farthest))
        }
    }
}

impl Matcher {
    pub(super) fn set_price_range(&mut self, range: Option<PriceRange>, events: &mut Events) -> Result<(), Refusal> {
        if range.is_some_and(|range| !range.is_sound()) {
            return Err(Refusal::PriceRange);
        }
        if self.session.as_ref().and_then(|session| session.price_range) != range {
            self.session.get_or_insert_default().price_range = range;
            self.session_changed(events);
        }
        Ok(())
    }

    pub(super) fn set_reference(
        &mut self,
        calculation: Option<ReferenceCalculation>,
        events: &mut Events,
    ) -> Result<(), Refusal> {
        if calculation.is_some_and(|calculation| !calculation.is_sound()) {
            return Err(Refusal::ReferenceCalculation);
        }
        let before = self.session.as_ref().and_then(|session| session.reference);
        if before.map(|reference| reference.calculation) != calculation {
            let session = self.session.get_or_insert_default();
            session.reference = calculation.map(|calculation| Reference { calculation, external: None });
            session.buckets = TradeBuckets::default();
            self.session_changed(events);
            self.follow_prices();
        }
        Ok(())
    }

    pub(super) fn set_reference_price(
        &mut self,
        price: Option<ReferencePrice>,
        now: Timestamp,
        events: &mut Events,
    ) -> Result<(), Refusal> {
        let highest = self.market.highest_price();
        let reference = self.session.as_mut().and_then(|session| session.reference.as_mut());
        let external = |reference: &&mut Reference| {
            matches!(reference.calculation, ReferenceCalculation::External { .. })
                && price.is_none_or(|price| price.is_possible(highest))
        };
        let reference = reference.filter(external).ok_or(Refusal::ReferencePrice)?;
        let external = Some(ExternalPrice { price, since: now });
        if reference.external != external {
            reference.external = external;
            self.session_changed(events);
        }
        Ok(())
    }
}
