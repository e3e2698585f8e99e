//! The fair price of a market, as the simulated traders see it.
//!
//! The logarithm of the price is a random walk that reverts to a slowly wandering anchor. Its volatility is a
//! mean-reverting process itself, so that calm and wild minutes alternate as on real markets.

use super::random::Random;

/// Standard deviation of a second's log return in calm times: some 60 % a year.
const SIGMA_PER_SECOND: f64 = 1.1e-4;
/// How fast volatility returns to normal, per second.
const VOLATILITY_REVERSION: f64 = 0.01;
/// How much volatility varies, per square root of a second.
const VOLATILITY_OF_VOLATILITY: f64 = 0.09;
/// How fast the price returns to its anchor, per second.
const ANCHOR_PULL: f64 = 0.000_5;
/// How fast the anchor wanders, as a fraction of the price's own pace.
const ANCHOR_PACE: f64 = 0.5;
/// Jumps per second: news.
const JUMPS_PER_SECOND: f64 = 1.0 / 240.0;
/// Standard deviation of a jump's log return.
const JUMP_SIZE: f64 = 0.001;
/// The price stays within this factor of where it began, so that a demo of many days keeps plausible numbers.
const RANGE: f64 = 3.0;

/// The fair price of one market.
#[derive(Clone, Debug)]
pub struct FairPrice {
    start: f64,
    log: f64,
    anchor: f64,
    log_volatility: f64,
    random: Random,
}

impl FairPrice {
    /// A price that begins at `start`.
    pub fn new(start: f64, random: Random) -> Self {
        Self { start: start.ln(), log: start.ln(), anchor: start.ln(), log_volatility: 0.0, random }
    }

    /// The price now.
    pub fn value(&self) -> f64 {
        self.log.exp()
    }

    /// How wild it is now; 1 is normal.
    pub fn volatility(&self) -> f64 {
        self.log_volatility.exp()
    }

    /// Lets `seconds` pass.
    pub fn advance(&mut self, seconds: f64) {
        let root = seconds.sqrt();
        self.log_volatility += -VOLATILITY_REVERSION * self.log_volatility * seconds
            + VOLATILITY_OF_VOLATILITY * root * self.random.normal();
        self.log_volatility = self.log_volatility.clamp(-1.2, 1.2);
        let sigma = SIGMA_PER_SECOND * self.volatility();
        self.anchor += ANCHOR_PACE * SIGMA_PER_SECOND * root * self.random.normal();
        self.anchor = self.anchor.clamp(self.start - RANGE.ln() / 2.0, self.start + RANGE.ln() / 2.0);
        self.log += ANCHOR_PULL * (self.anchor - self.log) * seconds + sigma * root * self.random.normal();
        if self.random.chance(JUMPS_PER_SECOND * seconds) {
            self.log += JUMP_SIZE * self.random.normal();
            self.log_volatility = (self.log_volatility + 0.5).min(1.2);
        }
        self.log = self.log.clamp(self.start - RANGE.ln(), self.start + RANGE.ln());
    }

    /// Draws the price towards `target`, by `share` of the difference.
    pub fn pull(&mut self, target: f64, share: f64) {
        self.log += (target.ln() - self.log) * share;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_moves_stays_plausible_and_has_calm_and_wild_times() {
        let mut price = FairPrice::new(100_000.0, Random::new(3));
        let (mut calm, mut wild) = (f64::MAX, 0.0_f64);
        let (mut low, mut high) = (f64::MAX, 0.0_f64);
        for _ in 0..86_400 {
            price.advance(1.0);
            calm = calm.min(price.volatility());
            wild = wild.max(price.volatility());
            low = low.min(price.value());
            high = high.max(price.value());
        }
        assert!(low > 50_000.0 && high < 200_000.0, "{low} to {high}");
        assert!(high / low > 1.005, "a day without movement: {low} to {high}");
        assert!(wild / calm > 3.0, "volatility does not vary: {calm} to {wild}");
    }
}
