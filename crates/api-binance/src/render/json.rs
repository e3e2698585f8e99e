//! Lists and objects, and fields that only answers to requests have.

use crossbook_types::{Amount, Asset, Decimal, FeeRate, Timestamp};

pub use crate::json::{Object, levels};
use crate::time_unit::TimeUnit;

/// Room for a typical element of a list.
const TYPICAL_BYTES: usize = 256;
/// Digits after the point that clients expect at least.
const DIGITS_MIN: u8 = 8;

/// Writes an object.
pub fn object(out: &mut String, write: impl FnOnce(&mut Object<'_>)) {
    let mut object = Object::open(out);
    write(&mut object);
    object.close();
}

/// A list of all `items`.
pub fn array<T>(items: impl Iterator<Item = T>, mut write: impl FnMut(T, &mut String)) -> String {
    let mut out = String::with_capacity(2 + items.size_hint().0.min(1_000) * TYPICAL_BYTES);
    out.push('[');
    for (at, item) in items.enumerate() {
        if at > 0 {
            out.push(',');
        }
        write(item, &mut out);
    }
    out.push(']');
    out
}

/// Writes a fee rate as a decimal string.
pub fn rate(out: &mut String, rate: FeeRate) {
    out.push('"');
    Decimal::write(i128::from(rate.units()), FeeRate::SCALE, FeeRate::SCALE, out);
    out.push('"');
}

/// Writes an amount as a decimal string.
pub fn amount(out: &mut String, asset: &Asset, amount: Amount) {
    out.push('"');
    Decimal::write(amount.0, asset.decimals, DIGITS_MIN, out);
    out.push('"');
}

/// Writes a decimal as a string, zero for none.
pub fn decimal_or_zero(object: &mut Object<'_>, key: &'static str, value: Option<Decimal>) {
    match value {
        Some(value) => object.decimal(key, value, DIGITS_MIN),
        None => object.name(key, "0.00000000"),
    };
}

/// Writes a decimal as a string.
pub fn decimal(value: Decimal, out: &mut String) {
    out.push('"');
    Decimal::write(value.units(), value.scale(), DIGITS_MIN, out);
    out.push('"');
}

/// Writes a time, -1 for none.
pub fn time(object: &mut Object<'_>, unit: TimeUnit, key: &'static str, time: Option<Timestamp>) {
    match time {
        Some(time) => object.number(key, unit.of(time)),
        None => object.minus_one(key),
    };
}
