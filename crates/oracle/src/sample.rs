//! A market for tests that need one and do not care which. A test that does writes only what it cares for:
//!
//! ```text
//! let filters = Filters { notional_min: Amount(5), ..btcusdt().filters };
//! let market = Description { filters, ..btcusdt() };
//! ```

use crossbook_types::market::Description;
use crossbook_types::{
    Amount, Asset, AssetId, AssetName, Decimal, Fees, Filters, MarketStatus, Price, Quantity, SelfTradeRules, SymbolId,
    SymbolName,
};

/// A decimal.
///
/// # Panics
/// When the text is none.
#[must_use]
pub fn decimal(text: &str) -> Decimal {
    Decimal::parse(text).expect("a decimal")
}

/// An asset of 8 decimals.
///
/// # Panics
/// When the text is not a name.
#[must_use]
pub fn asset(id: u32, name: &str) -> Asset {
    Asset { id: AssetId(id), name: AssetName::new_checked(name).expect("a name of an asset"), decimals: 8 }
}

/// The first market of a venue whose first assets are BTC and USDT. Ticks of 0.01, lots of 0.00001, no fees, and
/// filters that no order of a test breaks.
///
/// # Panics
/// Never.
#[must_use]
pub fn btcusdt() -> Description {
    Description {
        id: SymbolId(0),
        symbol: SymbolName::new_checked("BTCUSDT").expect("a name of a market"),
        base: asset(0, "BTC"),
        quote: asset(1, "USDT"),
        tick_size: decimal("0.01"),
        step_size: decimal("0.00001"),
        filters: Filters {
            price_min: Price(1),
            price_max: Price(1_000_000),
            quantity_min: Quantity(1),
            quantity_max: Quantity(1_000_000_000),
            market_quantity_max: Quantity(1_000_000_000),
            notional_min: Amount(0),
            notional_max: Amount::MAX,
            band_up_percent: 0,
            band_down_percent: 0,
            orders_max: 1_000_000,
            algo_orders_max: 1_000_000,
            amends_max: 10,
            special: crossbook_types::SpecialFilters::USUAL,
            relative: crossbook_types::RelativeFilters::default(),
            order_lists_max: 20,
        },
        fees: Fees::default(),
        status: MarketStatus::Trading,
        self_trade: SelfTradeRules::ALL,
    }
}
