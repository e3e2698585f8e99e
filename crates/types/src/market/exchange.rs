//! Filters of the whole venue: how many orders and order lists an account may have open, in all markets together.

use serde::{Deserialize, Serialize};

/// The most orders and order lists that an account may have open in all markets together; 0: as many as the markets
/// allow. They count from their admission until they end, those that are on their way to their market too. What was
/// open when a filter was switched on is counted when the account places its next order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ExchangeFilters {
    /// EXCHANGE_MAX_NUM_ORDERS: open orders.
    pub orders_max: u32,
    /// EXCHANGE_MAX_NUM_ALGO_ORDERS: of these, stop and take-profit orders, triggered or not.
    pub algo_orders_max: u32,
    /// EXCHANGE_MAX_NUM_ICEBERG_ORDERS: of these, iceberg orders.
    pub iceberg_orders_max: u32,
    /// EXCHANGE_MAX_NUM_ORDER_LISTS: open order lists.
    pub order_lists_max: u32,
}

impl ExchangeFilters {
    /// Whether orders need not be counted.
    #[must_use]
    #[inline]
    pub fn is_off(self) -> bool {
        self == Self::default()
    }
}
