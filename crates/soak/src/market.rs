//! The markets of a soak test, which belong to it alone, and the value of a trade there.
//!
//! An account's orders rest only at prices of its own: those whose number of ticks modulo the number of accounts is the
//! account's index. So the price of a trade identifies the maker, which the API does not tell, and every fill can be
//! recorded for both sides.

use crossbook_types::{Amount, Decimal, FeeRate};

/// Markets; all have the same quote asset.
pub const MARKETS: usize = 4;
/// Assets: the base of each market, and the quote asset as the last one.
pub const ASSETS: usize = MARKETS + 1;
/// Where the quote asset stands among the assets.
pub const QUOTE: usize = MARKETS;
/// Digits after the point of every asset.
pub const DECIMALS: u8 = 8;
/// Digits after the point of a price, of which one tick is the last.
pub const PRICE_DIGITS: u8 = 2;
/// Digits after the point of a quantity, of which one lot is the last.
pub const QUANTITY_DIGITS: u8 = 3;
/// The fee that the maker of a trade pays: a whole number of smallest units of any trade, since an order's fee is
/// rounded once, and the trade does not show which order it was with.
pub const MAKER_FEE: &str = "0.001";
/// What the taker of a trade pays; a whole number too, or an order that takes and rests would pay less for the rest.
pub const TAKER_FEE: &str = "0.002";
/// Smallest units of the base asset in a lot.
const BASE_OF_LOT: i128 = 10i128.pow((DECIMALS - QUANTITY_DIGITS) as u32);
/// Smallest units of the quote asset in a lot at one tick.
const QUOTE_OF_LOT: i128 = 10i128.pow((DECIMALS - PRICE_DIGITS - QUANTITY_DIGITS) as u32);
/// Where prices begin, in ticks.
const MIDDLE: u64 = 1_000_000;

/// Names of what a soak has made for itself.
#[derive(Clone, Debug)]
pub struct Names {
    /// Names of the markets.
    pub symbols: [String; MARKETS],
    /// Names of the assets.
    pub assets: [String; ASSETS],
}

impl Names {
    /// Those of one run; no other run of the venue has the same number.
    pub fn of_run(run: u64) -> Self {
        let letter = |market: usize| char::from(b'A' + market as u8); // there are MARKETS
        Self {
            symbols: std::array::from_fn(|market| format!("S{run}{}", letter(market))),
            assets: std::array::from_fn(|asset| match asset {
                QUOTE => format!("S{run}Q"),
                base => format!("S{run}B{}", letter(base)),
            }),
        }
    }
}

/// Prices, of which each account has its own.
#[derive(Clone, Copy, Debug)]
pub struct Ladder {
    accounts: u64,
}

impl Ladder {
    /// For so many accounts.
    pub fn new(accounts: usize) -> Self {
        Self { accounts: accounts as u64 }
    }

    /// The price of an account on a level, in ticks; level 0 is in the middle.
    pub fn price(self, account: usize, level: i64) -> u64 {
        let middle = MIDDLE / self.accounts;
        middle.saturating_add_signed(level).max(1) * self.accounts + account as u64
    }

    /// Whose orders rest at a price.
    pub fn owner(self, ticks: u64) -> usize {
        (ticks % self.accounts) as usize // below the number of accounts
    }
}

/// What a trade is worth, in smallest units.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Worth {
    /// Of the base asset.
    pub base: i128,
    /// Of the quote asset.
    pub quote: i128,
}

impl Worth {
    /// Of `lots` at a price of `ticks`.
    pub fn of(ticks: u64, lots: u64) -> Self {
        let lots = i128::from(lots);
        Self { base: lots * BASE_OF_LOT, quote: i128::from(ticks) * lots * QUOTE_OF_LOT }
    }
}

/// The fee of a rate on an amount; see [`MAKER_FEE`].
pub fn fee(rate: &str, amount: i128) -> i128 {
    let rate = Decimal::parse(rate).ok().and_then(FeeRate::from_decimal).unwrap_or_default();
    rate.fee_on(Amount(amount)).0
}

/// A decimal number as whole units of its last digit; `None` if it is none.
pub fn units(text: &str, digits: u8) -> Option<i128> {
    Decimal::parse(text).ok()?.rescale(digits)
}

/// The same, where it cannot be below zero.
pub fn count(text: &str, digits: u8) -> Option<u64> {
    u64::try_from(units(text, digits)?).ok()
}

/// Writes whole units of the last digit as a decimal number.
pub fn text(units: i128, digits: u8) -> String {
    let mut text = String::new();
    Decimal::write(units, digits, 0, &mut text);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_tells_whose_it_is() {
        let ladder = Ladder::new(64);
        for account in [0, 1, 63] {
            for level in [-15_000, -1, 0, 1, 300] {
                assert_eq!(ladder.owner(ladder.price(account, level)), account);
            }
        }
        assert!((0..64).all(|one| (0..64).all(|other| ladder.price(one, -1) < ladder.price(other, 0))));
    }

    #[test]
    fn amounts_and_fees_are_whole() {
        // 0.003 at 10,000.01 is 30.00003.
        assert_eq!(Worth::of(1_000_001, 3), Worth { base: 300_000, quote: 3_000_003_000 });
        assert_eq!(fee(MAKER_FEE, 3_000_003_000), 3_000_003);
        assert_eq!(fee(TAKER_FEE, 300_000), 600);
        assert_eq!(
            (count("10000.01", PRICE_DIGITS), count("-1", 0), count("0.1234", 3)),
            (Some(1_000_001), None, None)
        );
        assert_eq!(text(-2_250_003, DECIMALS), "-0.02250003");
    }
}
