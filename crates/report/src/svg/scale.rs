//! From values to places on an axis, and the round values that are written along it.

use crate::chart::{Axis, Scale};

/// How many values there are along an axis that has room for them.
const TICKS: f64 = 5.0;
/// A logarithmic axis over no more powers of ten than these has values between them.
const DECADES_FINE: f64 = 2.5;

/// An axis over a range of values.
pub(super) struct Mapping<'a> {
    axis: &'a Axis,
    /// The ends, straightened: as they are, their logarithms, or the nines of quantiles.
    low: f64,
    high: f64,
}

impl Axis {
    /// Whether the value has a place on it.
    pub(super) fn holds(&self, value: f64) -> bool {
        value.is_finite()
            && match self.scale {
                Scale::Linear => true,
                Scale::Logarithmic => value > 0.0,
                Scale::Percentiles => (0.0..1.0).contains(&value),
            }
    }

    fn straighten(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => value,
            Scale::Logarithmic => value.log10(),
            Scale::Percentiles => -(1.0 - value).log10(),
        }
    }
}

impl<'a> Mapping<'a> {
    /// The axis over these values, which it holds; nothing if there are none.
    pub(super) fn over(axis: &'a Axis, values: impl Iterator<Item = f64>) -> Option<Self> {
        let mut ends: Option<(f64, f64)> = None;
        for value in values.map(|value| axis.straighten(value)) {
            let (low, high) = ends.unwrap_or((value, value));
            ends = Some((low.min(value), high.max(value)));
        }
        let (low, high) = ends?;
        let low = if axis.scale == Scale::Logarithmic { low } else { low.min(0.0) };
        Some(Self { axis, low, high: if high > low { high } else { low + 1.0 } })
    }

    /// The same with ends that are round.
    pub(super) fn rounded(mut self) -> Self {
        match self.axis.scale {
            Scale::Linear => {
                let step = self.step();
                self.low = (self.low / step).floor() * step;
                self.high = (self.high / step).ceil() * step;
            }
            Scale::Logarithmic => {
                // Down and up to 1, 2 or 5 times a power of ten. The slack forgives what rounding adds.
                let round = |log: f64, up: bool| {
                    let decade = log.floor();
                    let steps = [0.0, 2_f64.log10(), 5_f64.log10(), 1.0].map(|part| decade + part);
                    let found = if up {
                        steps.into_iter().find(|step| *step >= log - 1e-9)
                    } else {
                        steps.into_iter().rev().find(|step| *step <= log + 1e-9)
                    };
                    found.unwrap_or(log)
                };
                self.low = round(self.low, false);
                self.high = round(self.high, true);
            }
            Scale::Percentiles => {}
        }
        self
    }

    /// The same with some room under the lowest value, where that is not zero.
    pub(super) fn with_room_below(mut self) -> Self {
        if self.axis.scale == Scale::Logarithmic {
            self.low -= (self.high - self.low) * 0.1;
        }
        self
    }

    /// Where a value lies, from 0 at the low end to 1 at the high one.
    pub(super) fn place(&self, value: f64) -> f64 {
        (self.axis.straighten(value) - self.low) / (self.high - self.low)
    }

    /// The distance of round values on a linear axis: 1, 2 or 5 times a power of ten.
    fn step(&self) -> f64 {
        let rough = (self.high - self.low) / TICKS;
        let power = 10_f64.powf(rough.log10().floor());
        [1.0, 2.0, 5.0, 10.0]
            .into_iter()
            .map(|times| times * power)
            .find(|step| *step >= rough * 0.999)
            .unwrap_or(rough)
    }

    /// Round values along it.
    pub(super) fn ticks(&self) -> Vec<f64> {
        let within = |place: &f64| (self.low - 1e-9..=self.high + 1e-9).contains(place);
        match self.axis.scale {
            Scale::Linear => {
                let step = self.step();
                let first = (self.low / step).ceil() as i64;
                let last = (self.high / step * (1.0 + 1e-9)).floor() as i64;
                (first..=last).map(|at| at as f64 * step).collect()
            }
            Scale::Logarithmic => {
                let parts: &[f64] = if self.high - self.low <= DECADES_FINE { &[1.0, 2.0, 5.0] } else { &[1.0] };
                let decades = self.low.floor() as i32..=self.high.ceil() as i32;
                let all = decades.flat_map(|decade| parts.iter().map(move |part| part * 10_f64.powi(decade)));
                all.filter(|value| within(&value.log10())).collect()
            }
            Scale::Percentiles => {
                let nines = (1..=12).map(|nines| 1.0 - 10_f64.powi(-nines));
                [0.0, 0.5].into_iter().chain(nines).filter(|value| within(&self.axis.straighten(*value))).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit::Unit;

    fn ticks(axis: &Axis, values: &[f64]) -> Vec<f64> {
        Mapping::over(axis, values.iter().copied()).map(|mapping| mapping.rounded().ticks()).unwrap_or_default()
    }

    #[test]
    fn ticks_are_round_and_hold_the_values() {
        let linear = Axis::linear("", Unit::Count);
        assert_eq!(ticks(&linear, &[3.0, 97.0]), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        assert_eq!(ticks(&linear, &[0.0]), [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]);
        assert!(ticks(&linear, &[]).is_empty());
        let logarithmic = Axis::logarithmic("", Unit::Count);
        assert_eq!(ticks(&logarithmic, &[3.0, 41.0]), [2.0, 5.0, 10.0, 20.0, 50.0]);
        assert_eq!(ticks(&logarithmic, &[1.0, 90_000.0]), [1.0, 10.0, 100.0, 1_000.0, 10_000.0, 100_000.0]);
        let percentiles = Axis::percentiles("");
        assert_eq!(ticks(&percentiles, &[0.0, 0.995]), [0.0, 0.5, 0.9, 0.99]);
    }

    #[test]
    fn each_nine_has_the_same_room() {
        let axis = Axis::percentiles("");
        let mapping = Mapping::over(&axis, [0.0, 0.9999].into_iter()).unwrap();
        for (quantile, place) in [(0.0, 0.0), (0.9, 0.25), (0.99, 0.5), (0.999, 0.75), (0.9999, 1.0)] {
            assert!((mapping.place(quantile) - place).abs() < 1e-6, "{quantile}");
        }
        assert!(!axis.holds(1.0) && !Axis::logarithmic("", Unit::Count).holds(0.0));
    }
}
