//! What one account pays: other rates than a market's, and rates on top of them.

use serde::{Deserialize, Serialize};

use super::Fees;

/// The fees of one account, as the operator has set them. By default an account pays what each market says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct AccountFees {
    /// The standard part, instead of the markets' rates.
    pub standard: Option<Fees>,
    /// A part on top of the standard one.
    pub special: Fees,
    /// A tax on top of both.
    pub tax: Fees,
}

/// The rates of an order, by part. It is charged their sum.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FeeParts {
    /// The standard part.
    pub standard: Fees,
    /// The special part.
    pub special: Fees,
    /// The tax.
    pub tax: Fees,
}

impl AccountFees {
    /// The parts where `usual` is the standard part of accounts without one of their own.
    #[must_use]
    pub fn parts(&self, usual: Fees) -> FeeParts {
        let &Self { standard, special, tax } = self;
        #[cfg(crossbook_bugs)]
        let tax = if crate::bugs::is_planted(crate::bugs::Bug::TaxIsForgotten) { Fees::default() } else { tax };
        FeeParts { standard: standard.unwrap_or(usual), special, tax }
    }
}

impl FeeParts {
    /// What an order is charged. Where the parts add up to 1 or more, it is the highest rate that there is.
    #[must_use]
    pub fn total(&self) -> Fees {
        self.standard.and(self.special).and(self.tax)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FeeRate;

    #[test]
    fn parts_add_up_to_less_than_all() {
        let fees = |maker, taker| {
            let rate = |units| FeeRate::from_units(units).unwrap();
            Fees { maker: rate(maker), taker: rate(taker) }
        };
        let account = AccountFees { standard: None, special: fees(1, 20), tax: fees(300, 99_999_990) };
        assert_eq!(account.parts(fees(4_000, 5)).total(), fees(4_301, 99_999_999));
        let own = AccountFees { standard: Some(fees(7, 8)), ..AccountFees::default() };
        assert_eq!(own.parts(fees(4_000, 5)).total(), fees(7, 8));
    }
}
