//! Writes the small, flat JSON objects of the streams, field by field, directly into text. Keys are constants, and
//! every text value is a validated name, so nothing needs escaping; numbers are written as exact decimal strings.

use crossbook_types::{Amount, Asset, Decimal, Market, Price, Quantity, ReferencePrice};

/// Digits after the point that clients expect at least.
const DIGITS_MIN: u8 = 8;

/// An object being written.
pub struct Object<'a> {
    out: &'a mut String,
    empty: bool,
}

impl<'a> Object<'a> {
    /// Opens an object at the end of `out`.
    pub fn open(out: &'a mut String) -> Self {
        out.push('{');
        Self { out, empty: true }
    }

    /// Closes it.
    pub fn close(self) {
        self.out.push('}');
    }

    /// Writes the key of a field whose value the caller writes to the text that is returned.
    pub fn key(&mut self, key: &'static str) -> &mut String {
        if !self.empty {
            self.out.push(',');
        }
        self.empty = false;
        self.out.push('"');
        self.out.push_str(key);
        self.out.push_str("\":");
        self.out
    }

    /// A checked name, or another text without characters that JSON escapes.
    pub fn name(&mut self, key: &'static str, value: &str) -> &mut Self {
        let out = self.key(key);
        out.push('"');
        out.push_str(value);
        out.push('"');
        self
    }

    /// A whole number.
    pub fn number(&mut self, key: &'static str, value: u64) -> &mut Self {
        self.key(key).push_str(itoa::Buffer::new().format(value));
        self
    }

    /// A whole number that may be below zero.
    pub fn signed(&mut self, key: &'static str, value: i64) -> &mut Self {
        self.key(key).push_str(itoa::Buffer::new().format(value));
        self
    }

    /// The number that represents "none".
    pub fn minus_one(&mut self, key: &'static str) -> &mut Self {
        self.key(key).push_str("-1");
        self
    }

    /// A truth value.
    pub fn flag(&mut self, key: &'static str, value: bool) -> &mut Self {
        self.key(key).push_str(if value { "true" } else { "false" });
        self
    }

    /// Writes a field whose value is null.
    pub fn null(&mut self, key: &'static str) -> &mut Self {
        self.key(key).push_str("null");
        self
    }

    /// A price as a decimal string.
    pub fn price(&mut self, key: &'static str, market: &Market, value: Price) -> &mut Self {
        price(market, value, self.key(key));
        self
    }

    /// A reference price as a decimal string; null for none.
    pub fn reference_price(&mut self, key: &'static str, market: &Market, price: Option<ReferencePrice>) -> &mut Self {
        let Some(price) = price else { return self.null(key) };
        let (units, scale) = market.reference_decimal(price);
        quoted(units, scale, DIGITS_MIN, self.key(key));
        self
    }

    /// A difference of prices, given in ticks, as a decimal string.
    pub fn price_change(&mut self, key: &'static str, market: &Market, ticks: i64) -> &mut Self {
        let tick = market.tick_size;
        quoted(i128::from(ticks) * tick.units(), tick.scale(), DIGITS_MIN, self.key(key));
        self
    }

    /// A quantity as a decimal string.
    pub fn quantity(&mut self, key: &'static str, market: &Market, value: Quantity) -> &mut Self {
        quantity(market, value, self.key(key));
        self
    }

    /// An amount as a decimal string.
    pub fn amount(&mut self, key: &'static str, asset: &Asset, value: Amount) -> &mut Self {
        quoted(value.0, asset.decimals, DIGITS_MIN, self.key(key));
        self
    }

    /// A decimal as a string with at least `digits_min` digits after the point.
    pub fn decimal(&mut self, key: &'static str, value: Decimal, digits_min: u8) -> &mut Self {
        quoted(value.units(), value.scale(), digits_min, self.key(key));
        self
    }
}

/// Writes a price as a decimal string.
pub fn price(market: &Market, price: Price, out: &mut String) {
    let tick = market.tick_size;
    quoted(i128::from(price.0) * tick.units(), tick.scale(), DIGITS_MIN, out);
}

/// Writes a quantity as a decimal string.
pub fn quantity(market: &Market, quantity: Quantity, out: &mut String) {
    let step = market.step_size;
    quoted(i128::from(quantity.0) * step.units(), step.scale(), DIGITS_MIN, out);
}

/// Writes price levels as an array of pairs.
pub fn levels(market: &Market, levels: impl Iterator<Item = (Price, Quantity)>, out: &mut String) {
    out.push('[');
    for (at, (level, size)) in levels.enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push('[');
        price(market, level, out);
        out.push(',');
        quantity(market, size, out);
        out.push(']');
    }
    out.push(']');
}

fn quoted(units: i128, scale: u8, digits_min: u8, out: &mut String) {
    out.push('"');
    Decimal::write(units, scale, digits_min, out);
    out.push('"');
}
