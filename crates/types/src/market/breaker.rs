//! Circuit breakers: how far the price of a market may move within a window of time before it stops.

use serde::{Deserialize, Serialize};

use crate::Price;

/// How many basis points are the whole.
const WHOLE: u128 = 10_000;

/// The circuit breaker of a market. An order that would trade at a price further than this from one that was in force
/// within the window does not, and the market takes no orders for a while.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Breaker {
    /// How far the price may move, in hundredths of a percent; from 1 to [`Breaker::MOVE_MAX`].
    pub move_bp: u32,
    /// Within how many seconds; from 1 to [`Breaker::SECONDS_MAX`].
    pub window_seconds: u32,
    /// How long the market takes nothing but cancels and amendments, in seconds; from 1 to [`Breaker::SECONDS_MAX`].
    pub pause_seconds: u32,
    /// How long the market then collects orders for an auction, in seconds, at most [`Breaker::SECONDS_MAX`]; 0: it
    /// reopens without one.
    #[serde(default)]
    pub auction_seconds: u32,
}

impl Breaker {
    /// The largest [`Breaker::move_bp`]: a tenfold price.
    pub const MOVE_MAX: u32 = 90_000;
    /// The longest window and the longest pause: a day.
    pub const SECONDS_MAX: u32 = 86_400;

    /// Whether each value is one that it may have.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let seconds = 1..=Self::SECONDS_MAX;
        (1..=Self::MOVE_MAX).contains(&self.move_bp)
            && seconds.contains(&self.window_seconds)
            && seconds.contains(&self.pause_seconds)
            && self.auction_seconds <= Self::SECONDS_MAX
    }

    /// The lowest and the highest price at which a trade may be while the lowest and the highest price in force were
    /// these. Whole ticks within the move: what is left over is not allowed.
    #[must_use]
    pub fn band(&self, low: Price, high: Price) -> (Price, Price) {
        let up = u128::from(low.0) * (WHOLE + u128::from(self.move_bp)) / WHOLE;
        let kept = WHOLE.saturating_sub(u128::from(self.move_bp));
        let down = (u128::from(high.0) * kept).div_ceil(WHOLE);
        let price = |ticks| u64::try_from(ticks).map_or(Price::MAX, |ticks| Price(ticks).min(Price::MAX));
        (price(down), price(up))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaker(move_bp: u32) -> Breaker {
        Breaker { move_bp, window_seconds: 60, pause_seconds: 30, auction_seconds: 0 }
    }

    #[test]
    fn a_band_is_the_whole_ticks_within_the_move() {
        let band = |move_bp, low, high| breaker(move_bp).band(Price(low), Price(high));
        assert_eq!(band(1_000, 100, 100), (Price(90), Price(110)));
        assert_eq!(band(1_000, 100, 105), (Price(95), Price(110)));
        assert_eq!(band(999, 1_003, 1_003), (Price(903), Price(1_103)));
        // Half of it and more, all of it, and what no price reaches.
        assert_eq!(band(10_000, 7, 7), (Price(0), Price(14)));
        assert_eq!(band(90_000, Price::MAX.0, Price::MAX.0), (Price(0), Price::MAX));
        // No whole tick is within the move.
        assert_eq!(band(1_000, 5, 5), (Price(5), Price(5)));
    }

    #[test]
    fn a_breaker_has_bounds() {
        assert!(breaker(1).is_sound() && breaker(Breaker::MOVE_MAX).is_sound());
        assert!(!breaker(0).is_sound() && !breaker(Breaker::MOVE_MAX + 1).is_sound());
        let auction_seconds = Breaker::SECONDS_MAX;
        assert!(Breaker { auction_seconds, ..breaker(1) }.is_sound());
        assert!(!Breaker { auction_seconds: auction_seconds + 1, ..breaker(1) }.is_sound());
        for seconds in [0, Breaker::SECONDS_MAX + 1] {
            assert!(!Breaker { window_seconds: seconds, ..breaker(1) }.is_sound());
            assert!(!Breaker { pause_seconds: seconds, ..breaker(1) }.is_sound());
        }
    }
}
