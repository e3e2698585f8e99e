//! How numbers are shown: with three significant digits where more would be noise, whole numbers in groups of three.

/// What a number counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// Things; shown whole.
    Count,
    /// Things a second.
    PerSecond,
    /// Nanoseconds; shown as ns, µs, ms or s.
    Nanoseconds,
    /// Seconds, with three significant digits.
    Seconds,
    /// Bytes; shown as B, KiB, MiB or GiB.
    Bytes,
    /// How many times as much.
    Times,
    /// A share of one; shown as percents.
    Share,
    /// A quantile; shown as percents with all its nines.
    Quantile,
}

impl Unit {
    /// The number as text, with its unit where it has one.
    #[must_use]
    pub fn show(self, value: f64) -> String {
        match self {
            Self::Count => grouped(value.round()),
            Self::PerSecond => match value {
                1e6.. => format!("{} M/s", three_digits(value / 1e6)),
                _ => format!("{}/s", grouped(value.round())),
            },
            Self::Nanoseconds => match value {
                ..1e3 => format!("{} ns", three_digits(value)),
                ..1e6 => format!("{} µs", three_digits(value / 1e3)),
                ..1e9 => format!("{} ms", three_digits(value / 1e6)),
                _ => format!("{} s", three_digits(value / 1e9)),
            },
            Self::Seconds => format!("{} s", three_digits(value)),
            Self::Bytes => match value {
                ..1024.0 => format!("{} B", three_digits(value)),
                ..1_048_576.0 => format!("{} KiB", three_digits(value / 1024.0)),
                ..1_073_741_824.0 => format!("{} MiB", three_digits(value / 1_048_576.0)),
                _ => format!("{} GiB", three_digits(value / 1_073_741_824.0)),
            },
            Self::Times => format!("{} x", three_digits(value)),
            Self::Share => format!("{} %", three_digits(value * 100.0)),
            Self::Quantile => quantile(value),
        }
    }
}

/// A whole number in groups of three digits: 1,234,567.
fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::with_capacity(digits.len() * 2);
    if value < 0.0 && digits != "0" {
        text.push('-');
    }
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Three significant digits, without zeros behind the point; whole numbers are not cut.
fn three_digits(value: f64) -> String {
    let places = match value.abs() {
        100.0.. => return grouped(value.round()),
        10.0.. => 1,
        1.0.. => 2,
        0.001.. => 3,
        0.0 => 0,
        _ => 6,
    };
    let text = format!("{value:.places$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// 0.9 as 90 %, 0.99995 as 99.995 %: one digit more than it has nines.
fn quantile(value: f64) -> String {
    let nines = if value < 1.0 { (-(1.0 - value).log10()).floor().max(0.0) as usize } else { 0 };
    let text = format!("{:.*}", nines.min(9), value * 100.0);
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text} %")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_with_as_many_digits_as_mean_something() {
        assert_eq!(Unit::Count.show(1_234_567.0), "1,234,567");
        assert_eq!(Unit::Count.show(-1_000.0), "-1,000");
        assert_eq!(Unit::Count.show(999.0), "999");
        assert_eq!(Unit::PerSecond.show(2_704_321.0), "2.7 M/s");
        assert_eq!(Unit::PerSecond.show(50_123.4), "50,123/s");
        assert_eq!(Unit::Nanoseconds.show(40.0), "40 ns");
        assert_eq!(Unit::Nanoseconds.show(1_250.0), "1.25 µs");
        assert_eq!(Unit::Nanoseconds.show(3_300_000.0), "3.3 ms");
        assert_eq!(Unit::Nanoseconds.show(1.5e9), "1.5 s");
        assert_eq!(Unit::Seconds.show(0.0), "0 s");
        assert_eq!(Unit::Bytes.show(2_048.0), "2 KiB");
        assert_eq!(Unit::Times.show(456.2), "456 x");
        assert_eq!(Unit::Share.show(0.125), "12.5 %");
    }

    #[test]
    fn quantiles_keep_their_nines() {
        let shown = [0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99995].map(|value| Unit::Quantile.show(value));
        assert_eq!(shown, ["0 %", "50 %", "90 %", "99 %", "99.9 %", "99.99 %", "99.995 %"]);
    }
}
