//! The price to which filters compare: the market's reference price, or the average of the last minutes, weighted by
//! volume, or the last price.
//!
//! A market keeps a sum for each minute in which it traded, for as many minutes as an average can have. Markets whose
//! filters look at the last price keep nothing; those of them that have a reference price keep an empty list, so that
//! all others pay one test of a pointer.

use std::collections::VecDeque;

use crossbook_protocol::import::Minute;
use crossbook_types::{Price, Quantity, ReferencePrice, RelativeFilters, Timestamp};

use super::Matcher;
use super::inconsistent::Inconsistent;

/// The minutes in which a market traded, oldest first; at most [`RelativeFilters::AVERAGE_MINUTES_MAX`].
#[derive(Clone, Debug, Default)]
pub(super) struct Averages(VecDeque<Minute>);

/// The minute of a time.
fn minute_of(time: Timestamp) -> u64 {
    time.0 / 60_000_000
}

impl Averages {
    /// Counts a trade.
    fn add(&mut self, now: Timestamp, price: Price, quantity: Quantity) {
        let minute = minute_of(now);
        let (lots, worth) = (u128::from(quantity.0), u128::from(price.0) * u128::from(quantity.0));
        match self.0.back_mut() {
            Some(last) if last.minute == minute => {
                last.lots = last.lots.saturating_add(lots);
                last.worth = last.worth.saturating_add(worth);
            }
            _ => self.0.push_back(Minute { minute, lots, worth }),
        }
        let kept = u64::from(RelativeFilters::AVERAGE_MINUTES_MAX);
        while self.0.front().is_some_and(|oldest| oldest.minute + kept <= minute) {
            self.0.pop_front();
        }
    }

    /// The average price of so many minutes, the present one included, rounded to a tick. `None` if nothing traded.
    fn price(&self, now: Timestamp, minutes: u32) -> Option<Price> {
        let first = (minute_of(now) + 1).saturating_sub(u64::from(minutes));
        let recent = self.0.iter().rev().take_while(|minute| minute.minute >= first);
        let (lots, worth) = recent.fold((0u128, 0u128), |(lots, worth), minute| {
            (lots.saturating_add(minute.lots), worth.saturating_add(minute.worth))
        });
        // No more than the highest of the prices, which are below 2^42.
        let rounded = worth.saturating_add(lots / 2).checked_div(lots)?;
        Some(Price(u64::try_from(rounded).unwrap_or(Price::MAX.0)))
    }
}

impl Matcher {
    /// The price to which filters compare prices and the worth of market orders; `None` before the first trade. Without
    /// a reference price it is the average, and where nothing traded in the minutes of that, it is the last price.
    #[inline]
    pub(super) fn reference_price(&self, now: Timestamp) -> Option<Price> {
        match &self.averages {
            None => self.last_price,
            Some(averages) => self.average_price(averages, now),
        }
    }

    #[cold]
    fn average_price(&self, averages: &Averages, now: Timestamp) -> Option<Price> {
        let reference = self.session.as_ref().and_then(|session| session.reference_price(now));
        let average = || averages.price(now, self.market.filters.relative.average_minutes);
        reference.map(ReferencePrice::nearest).or_else(average).or(self.last_price)
    }

    /// Counts a trade for the average price, where the market's filters look at it, and for the reference price.
    #[cold]
    pub(super) fn count_for_average(&mut self, now: Timestamp, price: Price, quantity: Quantity) {
        if let Some(session) = &mut self.session {
            session.count_for_reference(now, price);
        }
        if self.market.filters.relative.average_minutes == 0 {
            return;
        }
        #[cfg(crossbook_bugs)]
        if crossbook_types::bugs::is_planted(crossbook_types::bugs::Bug::AverageWithoutWeights) {
            self.averages.iter_mut().for_each(|averages| averages.add(now, price, Quantity(1)));
            return;
        }
        self.averages.iter_mut().for_each(|averages| averages.add(now, price, quantity));
    }

    /// Begins to count trades for the average price and for the reference price, or stops, as filters and session say.
    pub(super) fn follow_prices(&mut self) {
        let refers = self.session.as_ref().is_some_and(|session| session.reference.is_some());
        match self.market.filters.relative.average_minutes {
            0 if refers => self.averages = Some(Box::default()),
            0 => self.averages = None,
            _ => {
                self.averages.get_or_insert_default();
            }
        }
    }

    /// The minutes in which the market traded, as far as its filters look at them.
    pub(crate) fn minutes(&self) -> Vec<Minute> {
        self.averages.iter().flat_map(|averages| &averages.0).copied().collect()
    }

    /// Takes these minutes over.
    pub(crate) fn restore_minutes(&mut self, minutes: Vec<Minute>) -> Result<(), Inconsistent> {
        let sound = minutes.iter().all(|minute| minute.lots > 0)
            && minutes.is_sorted_by(|one, next| one.minute < next.minute)
            && minutes.len() <= RelativeFilters::AVERAGE_MINUTES_MAX as usize;
        let averaged = self.market.filters.relative.average_minutes > 0;
        match &mut self.averages {
            None if minutes.is_empty() => Ok(()),
            Some(averages) if sound && (averaged || minutes.is_empty()) => {
                averages.0 = minutes.into();
                Ok(())
            }
            _ => Err(Inconsistent),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: u64) -> Timestamp {
        Timestamp(minute * 60_000_000 + 59_999_999)
    }

    #[test]
    fn an_average_is_of_its_minutes_and_weighted() {
        let mut averages = Averages::default();
        assert_eq!(averages.price(at(9), 5), None);
        averages.add(at(10), Price(100), Quantity(3));
        averages.add(at(10), Price(200), Quantity(1));
        assert_eq!(averages.price(at(10), 1), Some(Price(125)));
        averages.add(at(14), Price(131), Quantity(4));
        assert_eq!((averages.price(at(14), 5), averages.price(at(14), 4)), (Some(Price(128)), Some(Price(131))));
        // A minute counts until the last of it has passed: five minutes are the present one and the four before.
        assert_eq!((averages.price(at(15), 5), averages.price(at(19), 5)), (Some(Price(131)), None));
        // A half is rounded up.
        averages.add(at(30), Price(1), Quantity(1));
        averages.add(at(30), Price(2), Quantity(1));
        assert_eq!(averages.price(at(30), 1), Some(Price(2)));
    }

    #[test]
    fn no_more_minutes_are_kept_than_an_average_has() {
        let mut averages = Averages::default();
        for minute in 0..1_000 {
            averages.add(at(minute), Price(1 + minute), Quantity(1));
            assert!(averages.0.len() <= RelativeFilters::AVERAGE_MINUTES_MAX as usize);
        }
        assert_eq!(averages.0.len(), RelativeFilters::AVERAGE_MINUTES_MAX as usize);
        let huge = Quantity::MAX;
        for _ in 0..10 {
            averages.add(at(1_000), Price::MAX, huge);
        }
        assert_eq!(averages.price(at(1_000), 1), Some(Price::MAX));
    }
}
