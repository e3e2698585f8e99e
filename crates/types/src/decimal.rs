//! Exact decimal text. `"0.00100"` is 100 units at scale 5; parsing and formatting never round.

use serde::{Deserialize, Serialize};

/// A decimal number: `units` x 10^-`scale`.
///
/// Equality is of the written form: `1.0` and `1.00` differ. Compare values with [`Decimal::rescale`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Decimal {
    units: i128,
    scale: u8,
}

/// Why a text is not a decimal this venue can hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Error {
    /// Not digits with at most one point between them.
    #[error("not a plain decimal number")]
    Malformed,
    /// More digits than 128 bits hold, or more than [`Decimal::SCALE_MAX`] after the point.
    #[error("too many digits")]
    TooLong,
}

impl Decimal {
    /// The most digits after the point.
    pub const SCALE_MAX: u8 = 18;
    /// The most digits in all.
    pub const DIGITS_MAX: usize = 36;

    /// From `units` x 10^-`scale`; `None` if the scale is above [`Self::SCALE_MAX`].
    #[must_use]
    pub fn new_checked(units: i128, scale: u8) -> Option<Self> {
        (scale <= Self::SCALE_MAX).then_some(Self { units, scale })
    }

    /// Reads `12`, `12.5`, `0.001`. A leading minus is understood; signs, exponents, blanks and bare points are not.
    ///
    /// # Errors
    /// When the text is anything else, or too long. Zeros at the end of the fraction count as digits only up to
    /// [`Self::SCALE_MAX`]; beyond it they are dropped, since they say nothing.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = match digits.split_once('.') {
            Some((_, "")) | Some(("", _)) => return Err(Error::Malformed),
            Some(parts) => parts,
            None => (digits, ""),
        };
        if whole.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
            return Err(Error::Malformed);
        }
        let mut fraction = fraction;
        while fraction.len() > usize::from(Self::SCALE_MAX) {
            fraction = fraction.strip_suffix('0').ok_or(Error::TooLong)?;
        }
        let whole = whole.trim_start_matches('0');
        if whole.len() + fraction.len() > Self::DIGITS_MAX {
            return Err(Error::TooLong);
        }
        let mut units: i128 = 0;
        for digit in whole.bytes().chain(fraction.bytes()) {
            units = units * 10 + i128::from(digit - b'0');
        }
        let scale = u8::try_from(fraction.len()).map_err(|_| Error::TooLong)?;
        Ok(Self { units: if negative { -units } else { units }, scale })
    }

    /// The number in units of 10^-`scale`, or `None` if it is not a whole number of them or does not fit.
    #[must_use]
    pub fn rescale(self, scale: u8) -> Option<i128> {
        if scale >= self.scale {
            self.units.checked_mul(power_of_ten(scale - self.scale)?)
        } else {
            let divisor = power_of_ten(self.scale - scale)?;
            (self.units % divisor == 0).then(|| self.units / divisor)
        }
    }

    /// How many times `step` goes into this number, or `None` if not a whole number of times.
    #[must_use]
    pub fn steps_of(self, step: Decimal) -> Option<i128> {
        let scale = self.scale.max(step.scale);
        let (value, step) = (self.rescale(scale)?, step.rescale(scale)?);
        (step != 0 && value % step == 0).then(|| value / step)
    }

    /// The number in units of its own scale.
    #[must_use]
    pub fn units(self) -> i128 {
        self.units
    }

    /// Digits after the point.
    #[must_use]
    pub fn scale(self) -> u8 {
        self.scale
    }

    /// Digits after the point that matter: the scale without zeros at the end.
    #[must_use]
    pub fn precision(self) -> u8 {
        let (mut units, mut scale) = (self.units, self.scale);
        while scale > 0 && units % 10 == 0 {
            units /= 10;
            scale -= 1;
        }
        scale
    }

    /// Whether it is above zero.
    #[must_use]
    pub fn is_positive(self) -> bool {
        self.units > 0
    }

    /// Writes `units` x 10^-`scale` with at least `digits_min` digits after the point onto the end of `out`.
    pub fn write(units: i128, scale: u8, digits_min: u8, out: &mut String) {
        let mut digits = [b'0'; 64];
        let mut at = digits.len();
        let mut rest = units.unsigned_abs();
        let mut written = 0;
        // 64-bit division is many times faster than 128-bit, and nearly every number on the wire fits.
        while rest > u128::from(u64::MAX) {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            written += 1;
        }
        let mut rest = rest as u64;
        while rest > 0 || written <= usize::from(scale) {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            written += 1;
        }
        if units < 0 {
            out.push('-');
        }
        let text = std::str::from_utf8(&digits[at..]).unwrap_or_default();
        let (whole, fraction) = text.split_at(text.len() - usize::from(scale));
        out.push_str(whole);
        if scale > 0 || digits_min > 0 {
            out.push('.');
            out.push_str(fraction);
            for _ in scale..digits_min {
                out.push('0');
            }
        }
    }
}

/// 10^`exponent`, or `None` if it does not fit.
#[must_use]
pub fn power_of_ten(exponent: u8) -> Option<i128> {
    10i128.checked_pow(u32::from(exponent))
}

impl std::fmt::Display for Decimal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = String::new();
        Self::write(self.units, self.scale, 0, &mut text);
        f.write_str(&text)
    }
}

impl Serialize for Decimal {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            (self.units, self.scale).serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        if deserializer.is_human_readable() {
            let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
            Self::parse(&text).map_err(D::Error::custom)
        } else {
            let (units, scale) = <(i128, u8)>::deserialize(deserializer)?;
            Self::new_checked(units, scale).ok_or_else(|| D::Error::custom("scale out of range"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_without_loss() {
        for text in ["0", "1", "0.1", "123.456", "-0.5", "99999999999999999.999999999999999999"] {
            assert_eq!(Decimal::parse(text).unwrap().to_string(), text);
        }
        let mut padded = String::new();
        Decimal::write(150, 2, 8, &mut padded);
        assert_eq!(padded, "1.50000000");
    }

    #[test]
    fn refuses_what_is_not_a_plain_decimal() {
        for text in ["", ".", "1.", ".5", "+1", "1e5", " 1", "1 ", "0x1", "1.2.3", "--1", "NaN", "1,5", "٣"] {
            assert_eq!(Decimal::parse(text), Err(Error::Malformed), "{text:?}");
        }
        assert_eq!(Decimal::parse(&"9".repeat(37)), Err(Error::TooLong));
        assert_eq!(Decimal::parse("0.0000000000000000001"), Err(Error::TooLong));
        assert_eq!(Decimal::parse("0.10000000000000000000000").unwrap().rescale(1), Some(1));
    }

    #[test]
    fn conversions_are_exact_or_refused() {
        let price = Decimal::parse("100.05").unwrap();
        assert_eq!(price.steps_of(Decimal::parse("0.01").unwrap()), Some(10_005));
        assert_eq!(price.steps_of(Decimal::parse("0.1").unwrap()), None);
        assert_eq!(price.rescale(8), Some(10_005_000_000));
        assert_eq!(price.rescale(1), None);
        assert_eq!(Decimal::parse("1.500").unwrap().precision(), 1);
    }
}
