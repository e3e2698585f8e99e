//! Orders that ask for more than a plain one does: the bounds that a market sets for them.

use serde::{Deserialize, Serialize};

use crate::order::words;
use crate::{Filter, Quantity};

words! {
    /// A kind of order that a market need not take.
    Feature {
        /// Orders that show only a part of their quantity at a time.
        Iceberg = "Iceberg",
    }
}

/// What a market allows of orders with instructions. By default none of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SpecialFilters {
    /// In how many parts an iceberg order may show its quantity, at most; 0: the market takes no iceberg orders.
    pub iceberg_parts_max: u32,
    /// Open iceberg orders an account may have in this market.
    pub iceberg_orders_max: u32,
}

impl SpecialFilters {
    /// What a new market has if nothing else is said.
    pub const USUAL: Self = Self { iceberg_parts_max: 100, iceberg_orders_max: 100 };

    /// The largest [`SpecialFilters::iceberg_parts_max`]: each part may be a trade of its own of one command.
    pub const ICEBERG_PARTS_MAX: u32 = 1_000;

    /// Whether the market takes such orders.
    #[must_use]
    pub fn allows(&self, feature: Feature) -> bool {
        match feature {
            Feature::Iceberg => self.iceberg_parts_max > 0,
        }
    }

    /// Whether an order may show so much of its quantity at a time.
    ///
    /// # Errors
    /// [`Filter::IcebergParts`] if it would have too many parts.
    pub fn check_iceberg(&self, quantity: Quantity, shown: Quantity) -> Result<(), Filter> {
        let parts = quantity.0.div_ceil(shown.0.max(1));
        if parts > u64::from(self.iceberg_parts_max) { Err(Filter::IcebergParts) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_iceberg_has_no_more_parts_than_it_may() {
        let filters = SpecialFilters { iceberg_parts_max: 3, ..SpecialFilters::default() };
        let check = |quantity, shown| filters.check_iceberg(Quantity(quantity), Quantity(shown));
        assert_eq!((check(9, 3), check(7, 3), check(9, 9)), (Ok(()), Ok(()), Ok(())));
        assert_eq!((check(10, 3), check(9, 2)), (Err(Filter::IcebergParts), Err(Filter::IcebergParts)));
        assert!(filters.allows(Feature::Iceberg) && !SpecialFilters::default().allows(Feature::Iceberg));
    }
}
