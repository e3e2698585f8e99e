//! Views as the JSON that clients expect, field by field and in the order of the API. Amounts are exact decimal
//! strings; nothing passes through a float.

pub mod json;
mod market;
mod order;
mod order_list;
mod snapshot;
mod venue;

pub use market::{
    aggregate_trade, average_price, book_ticker, candle, depth, execution_rules, mini_period_ticker, mini_ticker,
    period_ticker, price_ticker, reference_calculation, reference_price, ticker, trade,
};
pub use order::{
    Detail, PEG_OFFSET, amended, amendment, cancelled, order, order_list_id, own_trade, placed, prevented_match,
    trade_group,
};
pub use order_list::{list_cancelled, list_placed, list_status_type, order_list};
pub use snapshot::{snapshot_book_ticker, snapshot_depth};
pub use venue::{
    RateLimits, account, account_filters, commission, commission_rates, discount_use, exchange_info, market_rules,
    order_counts,
};
