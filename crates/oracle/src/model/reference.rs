//! Reference prices of the naive exchange, from every trade there was, and where its orders may trade.

use crossbook_protocol::Refusal;
use crossbook_protocol::event::CloseReason;
use crossbook_protocol::session::{ExternalPrice, Reference, SessionChange};
use crossbook_types::{Mean, ReferenceCalculation, Side, SymbolId, Timestamp};

use super::session::Halts;
use super::{Book, Model, Order};

/// Millionths in a tick.
const TICK: u128 = 1_000_000;

/// Within which prices an order may trade: what the circuit breaker says, and what the execution rule does.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fences {
    band: Option<(u64, u64)>,
    range: Option<(u64, u64)>,
}

impl Fences {
    /// Why an order of that side must not trade at a price. The narrower fence is the reason; of two that are as narrow
    /// it is the rule.
    pub(super) fn forbid(self, side: Side, price: u64) -> Option<CloseReason> {
        let both: Vec<(u64, u64)> = self.band.into_iter().chain(self.range).collect();
        let reason = |of_range: bool| if of_range { CloseReason::OutOfRange } else { CloseReason::ByVenue };
        let low = both.iter().map(|&(low, _)| low).max().filter(|&low| price < low);
        let high = both.iter().map(|&(_, high)| high).min().filter(|&high| price > high);
        let too_low = low.map(|low| reason(self.range.is_some_and(|range| range.0 == low)));
        let too_high = high.map(|high| reason(self.range.is_some_and(|range| range.1 == high)));
        match side {
            Side::Buy => too_low.or(too_high),
            Side::Sell => too_high.or(too_low),
        }
    }
}

/// The mean of the trades in a window, in millionths of a tick.
fn mean(of: Mean, trades: &[(Timestamp, u64)], now: Timestamp) -> Option<u128> {
    let (width, buckets) = (u64::from(of.width_ms), u64::from(of.buckets));
    let bucket = |time: Timestamp| time.0 / 1_000 / width;
    let here = bucket(now);
    // Counts have four digits after the point, and sums as many more than a price.
    let sum_up = |trades: &mut dyn Iterator<Item = u64>| {
        trades.fold((0, 0), |(count, sum), price| (count + 10_000, sum + u128::from(price) * TICK * 10_000))
    };
    let whole = trades.iter().filter(|&&(time, _)| bucket(time) + buckets > here);
    let oldest = trades.iter().filter(|&&(time, _)| bucket(time) + buckets == here);
    let (mut count, mut sum) = sum_up(&mut whole.map(|&(_, price)| price));
    let (old_count, old_sum): (u128, u128) = sum_up(&mut oldest.map(|&(_, price)| price));
    if old_count > 0 {
        let inside = u128::from(width - now.0 / 1_000 % width);
        let kept = old_count * inside / u128::from(width);
        (count, sum) = (count + kept, sum + old_sum * kept / old_count);
    }
    (count > 0).then(|| sum / count)
}

impl Halts {
    /// The reference price, in millionths of a tick.
    fn reference_price(&self, now: Timestamp) -> Option<u128> {
        let reference = self.reference?;
        match reference.calculation {
            ReferenceCalculation::ArithmeticMean(of) => mean(of, &self.referred, now),
            ReferenceCalculation::External { .. } => Some(u128::from(reference.external?.price?.0)),
        }
    }
}

impl Book {
    /// A trade was made.
    pub(super) fn note_trade(&mut self, now: Timestamp, price: u64, lots: u64) {
        if self.market.filters.relative.average_minutes > 0 {
            self.history.push((now.0, price, lots));
        }
        if self.halts.reference.is_some() {
            self.halts.referred.push((now, price));
        }
    }

    /// The reference price, to the nearest tick, a half up.
    pub(super) fn nearest_reference(&self, now: u64) -> Option<u64> {
        let price = self.halts.reference_price(Timestamp(now))?;
        Some(((2 * price + TICK) / (2 * TICK)) as u64)
    }

    fn range(&self, side: Side, now: Timestamp) -> Option<(u64, u64)> {
        let rule = self.halts.price_range?;
        let price = self.halts.reference_price(now)?;
        let (up, down) = match side {
            Side::Buy => (rule.bid_up, rule.bid_down),
            Side::Sell => (rule.ask_up, rule.ask_down),
        };
        let times = |multiplier: u32| price * u128::from(multiplier);
        // The ticks next to the reference price are within it.
        let low = down.map_or(0, |down| times(down).div_ceil(10_000 * TICK).min(price / TICK));
        let high = up.map_or(u128::from(u64::MAX), |up| (times(up) / (10_000 * TICK)).max(price.div_ceil(TICK)));
        Some((low as u64, high.min(u128::from(u64::MAX)) as u64))
    }
}

impl Model {
    /// Where an order may trade that begins to trade now.
    pub(super) fn fences(&self, symbol: SymbolId, side: Side) -> Fences {
        let book = &self.books[symbol.0 as usize];
        Fences { band: book.halts.band(self.time), range: book.range(side, self.time) }
    }

    /// Whether the first order that an order would meet is out of where it may trade, on the side from which it comes.
    pub(super) fn begins_outside(&self, symbol: SymbolId, order: &Order) -> bool {
        let fences = self.fences(symbol, order.side);
        let both: Vec<(u64, u64)> = fences.band.into_iter().chain(fences.range).collect();
        let facing = self.books[symbol.0 as usize].prices(super::other(order.side));
        facing.first().is_some_and(|&met| {
            order.reaches(met)
                && match order.side {
                    Side::Buy => both.iter().any(|&(low, _)| met < low),
                    Side::Sell => both.iter().any(|&(_, high)| met > high),
                }
        })
    }

    /// Changes the execution rule or the reference price of a market; false if it is another change.
    pub(super) fn change_reference(&mut self, symbol: SymbolId, change: SessionChange) -> Result<bool, Refusal> {
        let (time, before) = (self.time, self.session_of(symbol));
        let book = &mut self.books[symbol.0 as usize];
        let (halts, highest) = (&mut book.halts, book.highest);
        match change {
            SessionChange::SetPriceRange(rule) => {
                let up = |up: Option<u32>| up.is_none_or(|up| (10_000..=10_000_000).contains(&up));
                let down = |down: Option<u32>| down.is_none_or(|down| (1..=10_000).contains(&down));
                let sound = rule.is_none_or(|rule| {
                    let some = [rule.bid_up, rule.bid_down, rule.ask_up, rule.ask_down].iter().any(Option::is_some);
                    some && up(rule.bid_up) && up(rule.ask_up) && down(rule.bid_down) && down(rule.ask_down)
                });
                if !sound {
                    return Err(Refusal::PriceRange);
                }
                halts.price_range = rule;
            }
            SessionChange::SetReference(calculation) => {
                if calculation.is_some_and(|calculation| !calculation.is_sound()) {
                    return Err(Refusal::ReferenceCalculation);
                }
                if halts.reference.map(|reference| reference.calculation) != calculation {
                    halts.reference = calculation.map(|calculation| Reference { calculation, external: None });
                    halts.referred.clear();
                }
            }
            SessionChange::SetReferencePrice(price) => match &mut halts.reference {
                Some(Reference { calculation: ReferenceCalculation::External { .. }, external })
                    if price.is_none_or(|price| {
                        price.0 >= 1_000_000 && (2 * price.0 + 1_000_000) / 2_000_000 <= highest
                    }) =>
                {
                    *external = Some(ExternalPrice { price, since: time });
                }
                _ => return Err(Refusal::ReferencePrice),
            },
            _ => return Ok(false),
        }
        if self.session_of(symbol) != before {
            self.publish_session(symbol);
        }
        Ok(true)
    }
}
