//! The basic types of the venue: identifiers, exact numbers, assets and markets.
//!
//! All other crates use these types. This crate knows no order book, ledger or network, and nothing in it can lose
//! precision: a price is a whole number of ticks, a quantity a whole number of lots, an amount a whole number of an
//! asset's smallest units. Decimal text is parsed into these types at the edge of the venue ([`Decimal`],
//! [`Market::price`], [`Market::quantity`]) and formatted only when it leaves.

// Pure: see the rules in ARCHITECTURE.md, and what is meant by them in clippy.toml.
#![cfg_attr(
    not(test),
    deny(
        clippy::disallowed_macros,
        clippy::disallowed_methods,
        clippy::disallowed_types,
        clippy::float_arithmetic,
        clippy::iter_over_hash_type
    )
)]

#[cfg(crossbook_bugs)]
pub mod bugs;
pub mod decimal;
pub mod fee;
pub mod id;
pub mod market;
pub mod number;
pub mod order;
pub mod text;

pub use decimal::Decimal;
pub use fee::{
    AccountFees, DiscountCredit, DiscountRates, FeeCredit, FeeDiscount, FeeParts, FeeRate, FeeTier, FeeTiers, Fees,
};
pub use id::{
    AccountId, AssetId, HoldId, OrderId, OrderListId, PartitionId, PreventedMatchId, RequestNumber, Sequence, SourceId,
    StrategyId, StrategyType, SymbolId, Timestamp, TradeGroupId, TradeId,
};
pub use market::breaker::Breaker;
pub use market::exchange::ExchangeFilters;
pub use market::reference::{Mean, PriceRange, ReferenceCalculation, ReferencePrice, TradeBucket, TradeBuckets};
pub use market::relative::{Band, NotionalFilter, RelativeFilters};
pub use market::special::{Feature, Peg, PegPrice, SpecialFilters, TrailingBounds, TrailingDelta};
pub use market::{Asset, Filter, Filters, Market, MarketStatus};
pub use number::{Amount, OptionalPrice, OptionalTimestamp, Price, Quantity};
pub use order::{
    CancelRestriction, ExpiryReason, ListKind, ListStatus, OrderStatus, OrderType, RejectReason, SelfTradePrevention,
    SelfTradeRules, Side, TimeInForce,
};
pub use text::{ApiKeyId, AssetName, ClientOrderId, SymbolName, TransferId};
