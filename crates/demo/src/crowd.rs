//! The crowd: many small market orders in bursts, sometimes a large one.
//!
//! Trades cause trades (a self-exciting process), and the crowd prefers the side on which the book lags behind the fair
//! price. A trader that has bought for long tends to sell, so no balance drifts away for ever.

use crossbook_types::{Market, Price, Side};

use super::maker::{Action, decimal_value, quantity_of};
use super::random::Random;

/// Trades per second when nothing happens.
const CALM_PER_SECOND: f64 = 2.0;
/// What each trade adds to the rate.
const EXCITEMENT: f64 = 0.35;
/// How fast excitement fades, per second.
const FADING: f64 = 0.5;
/// The highest rate, trades per second.
const RATE_MAX: f64 = 12.0;
/// Sweeps per second: one order that eats through many levels.
const SWEEPS_PER_SECOND: f64 = 1.0 / 45.0;
/// How far past the best price a usual order goes, as a fraction.
const REACH: f64 = 0.000_5;
/// How far a sweep goes.
const SWEEP_REACH: f64 = 0.002;

/// The takers of one market.
#[derive(Clone, Debug)]
pub struct Crowd {
    rate: f64,
    random: Random,
    notional: f64,
}

/// The best prices of a book.
#[derive(Clone, Copy, Debug)]
pub struct Best {
    /// Highest bid.
    pub bid: Price,
    /// Lowest ask.
    pub ask: Price,
}

impl Crowd {
    /// A crowd whose usual order is worth `notional` in the quote asset.
    pub fn new(notional: f64, random: Random) -> Self {
        Self { rate: CALM_PER_SECOND, random, notional }
    }

    /// What it does within the next `seconds`. `inventory` as for a maker.
    pub fn step(
        &mut self,
        market: &Market,
        best: Best,
        fair: f64,
        volatility: f64,
        inventory: f64,
        seconds: f64,
    ) -> Vec<Action> {
        self.rate += (CALM_PER_SECOND * volatility - self.rate) * (FADING * seconds).min(1.0);
        let mid = (decimal_value(market.price_decimal(best.bid)) + decimal_value(market.price_decimal(best.ask))) / 2.0;
        // One hundredth of a percent off makes three of four orders lean that way.
        let lean = ((fair / mid - 1.0) * 5_000.0).clamp(-0.3, 0.3) - inventory.clamp(-1.0, 1.0) * 0.2;
        let mut actions = Vec::new();
        for _ in 0..self.random.poisson(self.rate * seconds) {
            self.rate = (self.rate + EXCITEMENT).min(RATE_MAX);
            // Sizes over several orders of magnitude, most of them small.
            let notional = self.notional * (1.1 * self.random.normal() - 0.5).exp();
            actions.extend(self.order(market, best, lean, notional, REACH));
        }
        if self.random.chance(SWEEPS_PER_SECOND * seconds) {
            let notional = self.notional * (20.0 + 40.0 * self.random.uniform());
            actions.extend(self.order(market, best, lean, notional, SWEEP_REACH));
            self.rate = (self.rate + 8.0 * EXCITEMENT).min(RATE_MAX);
        }
        actions
    }

    fn order(&mut self, market: &Market, best: Best, lean: f64, notional: f64, reach: f64) -> Option<Action> {
        let side = if self.random.chance(0.5 + lean) { Side::Buy } else { Side::Sell };
        let price = match side {
            Side::Buy => Price((best.ask.0 as f64 * (1.0 + reach)).ceil() as u64),
            Side::Sell => Price((best.bid.0 as f64 * (1.0 - reach)).floor().max(1.0) as u64),
        };
        quantity_of(market, price, notional).map(|quantity| Action::Take(side, price, quantity))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listing;

    fn buys_and_sells(fair: f64, inventory: f64) -> (usize, usize) {
        let market = listing::market_for_tests("BTCUSDT");
        let mut crowd = Crowd::new(1_000.0, Random::new(5));
        let best = Best { bid: Price(9_999_500), ask: Price(10_000_500) };
        let (mut buys, mut sells) = (0, 0);
        for _ in 0..6_000 {
            for action in crowd.step(&market, best, fair, 1.0, inventory, 0.1) {
                match action {
                    Action::Take(Side::Buy, price, _) => {
                        assert!(price > best.ask);
                        buys += 1;
                    }
                    Action::Take(Side::Sell, price, _) => {
                        assert!(price < best.bid);
                        sells += 1;
                    }
                    other => panic!("a taker does not {other:?}"),
                }
            }
        }
        (buys, sells)
    }

    #[test]
    fn it_leans_to_where_the_price_goes_and_back_from_where_its_money_went() {
        let (buys, sells) = buys_and_sells(100_000.0, 0.0);
        assert!((buys as f64 / sells as f64 - 1.0).abs() < 0.15, "{buys} {sells}");
        let per_second = (buys + sells) as f64 / 600.0;
        assert!((0.8..12.5).contains(&per_second), "{per_second} trades a second");
        let (buys, sells) = buys_and_sells(100_100.0, 0.0);
        assert!(buys > sells * 2, "{buys} {sells}");
        let (buys, sells) = buys_and_sells(100_000.0, 1.0);
        assert!(sells > buys * 2, "{buys} {sells}");
    }
}
