//! Default maximum price, quantity and notional value of an order, for a market whose operator states none.
//!
//! Clients read them from `exchangeInfo` before they trade, into types of their own: 64-bit floats, fixed-point numbers
//! of 64 or 128 bits. So the defaults are of the size that markets elsewhere have. None is above 9,000,000,000, which
//! the narrowest of those types (18 digits, 9 of them after the point) can hold.

use crossbook_types::{Amount, Decimal, Price, Quantity};

/// The largest default of any kind.
const LARGEST: i128 = 9_000_000_000;
/// The highest default in ticks, and the largest in lots; books hold four times as many.
const STEPS_MAX: i128 = 1_000_000_000_000;
/// The fewest steps that a default leaves, where steps are so coarse that its usual value would be fewer.
const STEPS_MIN: i128 = 1_000;
/// Steps of a default where none of the usual values is fit.
const STEPS_OF_COARSE: i128 = 1_000_000;

/// A thousand million ticks, but from 1,000,000 to [`LARGEST`]: 10,000,000 where the tick is 0.01.
pub(super) fn price_max(tick: Decimal) -> Price {
    let least = steps_in(1_000_000, tick);
    let mut ticks = 1_000_000_000.max(least).min(steps_in(LARGEST, tick));
    while ticks > STEPS_MAX {
        ticks /= 10;
    }
    Price(as_steps(if ticks < STEPS_MIN { STEPS_OF_COARSE } else { ticks }))
}

/// 92,141,578, or the largest below it that is few enough steps.
pub(super) fn quantity_max(step: Decimal) -> Quantity {
    const USUAL: [i128; 8] = [92_141_578, 9_000_000, 900_000, 90_000, 9_000, 900, 90, 9];
    let fit = USUAL.into_iter().map(|usual| steps_in(usual, step)).find(|steps| *steps <= STEPS_MAX);
    Quantity(as_steps(match fit {
        None => STEPS_MAX,
        Some(steps) if steps < STEPS_MIN => STEPS_OF_COARSE,
        Some(steps) => steps,
    }))
}

/// 9,000,000, and more where ticks are coarser than 0.01, as they are in currencies of small worth: 900 million ticks,
/// up to [`LARGEST`].
pub(super) fn notional_max(tick: Decimal, quote_decimals: u8) -> Amount {
    let of_ticks = tick.units().saturating_mul(900_000_000) / power(tick.scale());
    let worth = of_ticks.clamp(9_000_000, LARGEST);
    Amount(worth.saturating_mul(power(quote_decimals)).min(Amount::MAX.0))
}

/// How many whole steps go into a whole number.
fn steps_in(value: i128, step: Decimal) -> i128 {
    value.saturating_mul(power(step.scale())).checked_div(step.units()).unwrap_or(0)
}

fn as_steps(steps: i128) -> u64 {
    u64::try_from(steps).unwrap_or(1)
}

fn power(exponent: u8) -> i128 {
    crossbook_types::decimal::power_of_ten(exponent).unwrap_or(i128::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    /// Writes a number of steps as clients see it.
    fn shown(steps: u64, step: &str) -> String {
        let step = decimal(step);
        let mut out = String::new();
        Decimal::write(i128::from(steps) * step.units(), step.scale(), 8, &mut out);
        out
    }

    #[test]
    fn defaults_are_of_the_size_that_markets_have() {
        for (tick, price, notional) in [
            ("0.01", "10000000.00000000", 9_000_000),
            ("0.00001", "1000000.00000000", 9_000_000),
            ("0.00000001", "10000.00000000", 9_000_000),
            ("0.000000000000000001", "0.000001000000000000", 9_000_000),
            ("1", "1000000000.00000000", 900_000_000),
            ("1000", "9000000000.00000000", 9_000_000_000),
            ("1000000000", "1000000000000000.00000000", 9_000_000_000),
        ] {
            assert_eq!(shown(price_max(decimal(tick)).0, tick), price, "tick {tick}");
            assert_eq!(notional_max(decimal(tick), 8), Amount(notional * 100_000_000), "tick {tick}");
        }
        for (step, quantity) in [
            ("1", "92141578.00000000"),
            ("0.001", "92141578.00000000"),
            ("0.00001", "9000000.00000000"),
            ("0.00000001", "9000.00000000"),
            ("0.000000000000000001", "0.000001000000000000"),
            ("3", "92141577.00000000"),
            ("1000000", "1000000000000.00000000"),
        ] {
            assert_eq!(shown(quantity_max(decimal(step)).0, step), quantity, "step {step}");
        }
    }
}
