//! A small seeded generator. The simulation must be repeatable, and its numbers must not change with the version of a
//! crate.

/// SplitMix64: one addition and three multiplications a number, good enough for everything here.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator that gives the numbers of `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A generator of its own for one part of the simulation, so that parts do not disturb each other's numbers.
    pub fn fork(&mut self) -> Self {
        Self(self.next())
    }

    /// Any number of 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// From 0 to below 1.
    pub fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Whether something of this probability happens.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.uniform() < probability
    }

    /// From the standard normal distribution.
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// How often something happens that is expected `mean` times; `mean` well below ten.
    pub fn poisson(&mut self, mean: f64) -> u32 {
        let limit = (-mean.clamp(0.0, 10.0)).exp();
        let (mut product, mut count) = (self.uniform(), 0);
        while product > limit && count < 100 {
            product *= self.uniform();
            count += 1;
        }
        count
    }
}

/// A number that looks random and is always the same for the same input.
pub fn mix(input: u64) -> u64 {
    let mut z = input;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// As [`mix`], from 0 to below 1.
pub fn mix_uniform(input: u64) -> f64 {
    (mix(input.wrapping_add(0x9e37_79b9_7f4a_7c15)) >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_a_seed_stay_the_same_and_have_the_right_moments() {
        assert_eq!(Random::new(1).next(), Random::new(1).next());
        assert_ne!(Random::new(1).next(), Random::new(2).next());
        let mut random = Random::new(7);
        let draws: Vec<f64> = (0..20_000).map(|_| random.normal()).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / draws.len() as f64;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
        let events: u32 = (0..20_000).map(|_| random.poisson(0.5)).sum();
        assert!((9_500..10_500).contains(&events), "{events}");
    }
}
