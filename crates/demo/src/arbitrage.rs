//! The arbitrageur, who keeps ETHBTC at the price that ETHUSDT and BTCUSDT imply.

use crossbook_types::{Market, Side};

use super::crowd::Best;
use super::maker::{Action, decimal_value, quantity_of};

/// How far the cross price must be off before it is worth the trouble, as a fraction.
const EDGE: f64 = 0.000_3;
/// Worth of one round, in the quote asset of the cross market.
const NOTIONAL: f64 = 0.05;

/// A market as the arbitrageur sees it.
#[derive(Clone, Copy, Debug)]
pub struct Leg<'a> {
    /// The market.
    pub market: &'a Market,
    /// Its best prices.
    pub best: Best,
}

impl Leg<'_> {
    fn bid(&self) -> f64 {
        decimal_value(self.market.price_decimal(self.best.bid))
    }

    fn ask(&self) -> f64 {
        decimal_value(self.market.price_decimal(self.best.ask))
    }

    fn take(&self, side: Side, base: f64) -> Option<Action> {
        let price = match side {
            Side::Buy => self.best.ask,
            Side::Sell => self.best.bid,
        };
        let value = decimal_value(self.market.price_decimal(price));
        quantity_of(self.market, price, base * value).map(|quantity| Action::Take(side, price, quantity))
    }
}

/// The three orders of a round through `cross` (ETHBTC), `base` (ETHUSDT) and `quote` (BTCUSDT), if it pays.
pub fn step(cross: Leg<'_>, base: Leg<'_>, quote: Leg<'_>) -> Option<[Action; 3]> {
    // Dear: sell ETH for BTC, sell the BTC, buy the ETH back. Cheap: the other way round.
    let dear = cross.bid() * quote.bid() / base.ask() - 1.0;
    let cheap = base.bid() / (cross.ask() * quote.ask()) - 1.0;
    let (side, edge) = if dear > cheap { (Side::Sell, dear) } else { (Side::Buy, cheap) };
    if edge < EDGE {
        return None;
    }
    let eth = NOTIONAL / cross.ask();
    Some([cross.take(side, eth)?, base.take(side.opposite(), eth)?, quote.take(side, NOTIONAL)?])
}

/// The price of the cross market that the other two imply.
pub fn implied(base: f64, quote: f64) -> f64 {
    base / quote
}

#[cfg(test)]
mod tests {
    use crossbook_types::Price;

    use super::*;
    use crate::listing;

    fn round(cross: (u64, u64)) -> Option<[Action; 3]> {
        let [btc, eth, ethbtc] = ["BTCUSDT", "ETHUSDT", "ETHBTC"].map(listing::market_for_tests);
        step(
            Leg { market: &ethbtc, best: Best { bid: Price(cross.0), ask: Price(cross.1) } },
            Leg { market: &eth, best: Best { bid: Price(399_990), ask: Price(400_010) } },
            Leg { market: &btc, best: Best { bid: Price(9_999_900), ask: Price(10_000_100) } },
        )
    }

    #[test]
    fn it_trades_a_cross_price_back_and_leaves_a_right_one_alone() {
        assert_eq!(round((39_990, 40_010)), None);
        let dear = round((40_100, 40_120)).unwrap();
        assert!(matches!(
            dear,
            [Action::Take(Side::Sell, ..), Action::Take(Side::Buy, ..), Action::Take(Side::Sell, ..)]
        ));
        let cheap = round((39_880, 39_900)).unwrap();
        assert!(matches!(
            cheap,
            [Action::Take(Side::Buy, ..), Action::Take(Side::Sell, ..), Action::Take(Side::Buy, ..)]
        ));
    }
}
