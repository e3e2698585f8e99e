//! The parameters that several operations have.

use super::{Kind, Parameter};

pub(super) const fn needs(name: &'static str, kind: Kind) -> Parameter {
    Parameter { name, kind, required: true }
}

pub(super) const fn may(name: &'static str, kind: Kind) -> Parameter {
    Parameter { name, kind, required: false }
}

pub(super) const SYMBOL: Parameter = needs("symbol", Kind::Symbol);
pub(super) const ANY_SYMBOL: Parameter = may("symbol", Kind::Symbol);
pub(super) const ANY_SYMBOLS: Parameter = may("symbols", Kind::Names);
pub(super) const LIMIT: Parameter = may("limit", Kind::Integer);
pub(super) const START: Parameter = may("startTime", Kind::Time);
pub(super) const END: Parameter = may("endTime", Kind::Time);
pub(super) const STATUS: Parameter =
    may("symbolStatus", Kind::OneOf(&["TRADING", "HALT", "BREAK", "CANCEL_ONLY", "AUCTION_MATCH"]));
pub(super) const ORDER_ID: Parameter = may("orderId", Kind::Integer);
pub(super) const ORIGINAL_ID: Parameter = may("origClientOrderId", Kind::ClientOrderId);
pub(super) const NEW_ID: Parameter = may("newClientOrderId", Kind::ClientOrderId);
pub(super) const SIDE: Parameter = needs("side", Kind::OneOf(&["BUY", "SELL"]));
pub(super) const TIME_IN_FORCE: Parameter = may("timeInForce", Kind::OneOf(&["GTC", "IOC", "FOK"]));
pub(super) const RESPONSE: Parameter = may("newOrderRespType", Kind::OneOf(&["ACK", "RESULT", "FULL"]));
pub(super) const PREVENTION: Parameter = may(
    "selfTradePreventionMode",
    Kind::OneOf(&["NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT", "TRANSFER"]),
);
pub(super) const ORDER_TYPE: Parameter = needs(
    "type",
    Kind::OneOf(&[
        "LIMIT",
        "LIMIT_MAKER",
        "MARKET",
        "STOP_LOSS",
        "STOP_LOSS_LIMIT",
        "TAKE_PROFIT",
        "TAKE_PROFIT_LIMIT",
    ]),
);
pub(super) const INTERVAL: Parameter = needs(
    "interval",
    Kind::OneOf(&["1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M"]),
);
pub(super) const TICKER_TYPE: Parameter = may("type", Kind::OneOf(&["FULL", "MINI"]));
pub(super) const TIME_ZONE: Parameter = may("timeZone", Kind::Text);
pub(super) const LISTEN_KEY: &[Parameter] = &[needs("listenKey", Kind::Text)];
pub(super) const CANDLES: &[Parameter] = &[SYMBOL, INTERVAL, START, END, TIME_ZONE, LIMIT];
pub(super) const TEST_ORDER: &[Parameter] = &[
    SYMBOL,
    SIDE,
    ORDER_TYPE,
    TIME_IN_FORCE,
    may("quantity", Kind::Decimal),
    may("quoteOrderQty", Kind::Decimal),
    may("price", Kind::Decimal),
    NEW_ID,
    may("stopPrice", Kind::Decimal),
    RESPONSE,
    PREVENTION,
    may("pegPriceType", Kind::Text),
    may("pegOffsetType", Kind::Text),
    may("pegOffsetValue", Kind::Integer),
    may("trailingDelta", Kind::Integer),
    may("icebergQty", Kind::Decimal),
    may("strategyId", Kind::Integer),
    may("strategyType", Kind::Integer),
    may("computeCommissionRates", Kind::Boolean),
];
/// All but the last, which only a test order has.
pub(super) const ORDER: &[Parameter] = TEST_ORDER.split_at(TEST_ORDER.len() - 1).0;
pub(super) const TEST_ROUTED_ORDER: &[Parameter] = &[
    SYMBOL,
    SIDE,
    needs("type", Kind::OneOf(&["LIMIT", "MARKET"])),
    TIME_IN_FORCE,
    needs("quantity", Kind::Decimal),
    may("price", Kind::Decimal),
    NEW_ID,
    may("strategyId", Kind::Integer),
    may("strategyType", Kind::Integer),
    may("icebergQty", Kind::Decimal),
    RESPONSE,
    PREVENTION,
    may("computeCommissionRates", Kind::Boolean),
];
/// All but the last, which only a test order has.
pub(super) const ROUTED_ORDER: &[Parameter] = TEST_ROUTED_ORDER.split_at(TEST_ROUTED_ORDER.len() - 1).0;
/// Those of an order, and those of the order that it replaces.
pub(super) const REPLACE_ORDER: &[Parameter] = &[
    SYMBOL,
    SIDE,
    ORDER_TYPE,
    needs("cancelReplaceMode", Kind::OneOf(&["STOP_ON_FAILURE", "ALLOW_FAILURE"])),
    may("cancelOrderId", Kind::Integer),
    may("cancelOrigClientOrderId", Kind::ClientOrderId),
    may("cancelNewClientOrderId", Kind::ClientOrderId),
    may("cancelRestrictions", Kind::Text),
    may("orderRateLimitExceededMode", Kind::OneOf(&["DO_NOTHING", "CANCEL_ONLY"])),
    TIME_IN_FORCE,
    may("quantity", Kind::Decimal),
    may("quoteOrderQty", Kind::Decimal),
    may("price", Kind::Decimal),
    NEW_ID,
    may("stopPrice", Kind::Decimal),
    may("pegPriceType", Kind::Text),
    may("pegOffsetType", Kind::Text),
    may("pegOffsetValue", Kind::Integer),
    may("trailingDelta", Kind::Integer),
    may("icebergQty", Kind::Decimal),
    RESPONSE,
    PREVENTION,
    may("strategyId", Kind::Integer),
    may("strategyType", Kind::Integer),
];

pub(super) const LIST_ID: Parameter = may("orderListId", Kind::Integer);
const LIST_NAME: Parameter = may("listClientOrderId", Kind::ClientOrderId);

/// Some parameters, and those of the orders of a list whose names begin so.
macro_rules! legs {
    ([$($first:expr),+ $(,)?] $($prefix:literal),+) => {
        &[
            SYMBOL,
            LIST_NAME,
            RESPONSE,
            PREVENTION,
            $($first,)+
            $(
                may(concat!($prefix, "ClientOrderId"), Kind::ClientOrderId),
                may(concat!($prefix, "Price"), Kind::Decimal),
                may(concat!($prefix, "StopPrice"), Kind::Decimal),
                may(concat!($prefix, "TrailingDelta"), Kind::Integer),
                may(concat!($prefix, "PegPriceType"), Kind::Text),
                may(concat!($prefix, "PegOffsetType"), Kind::Text),
                may(concat!($prefix, "PegOffsetValue"), Kind::Integer),
                may(concat!($prefix, "IcebergQty"), Kind::Decimal),
                may(concat!($prefix, "TimeInForce"), Kind::Text),
                may(concat!($prefix, "StrategyId"), Kind::Integer),
                may(concat!($prefix, "StrategyType"), Kind::Integer),
            )+
        ]
    };
}

/// A list with a working order: its parameters, those given, and those of the other orders.
macro_rules! working {
    ([$($first:expr),+ $(,)?] $($prefix:literal),+) => {
        legs!(
            [
                needs("workingType", Kind::Text),
                needs("workingSide", Kind::Text),
                may("workingPrice", Kind::Decimal),
                needs("workingQuantity", Kind::Decimal),
                may("workingClientOrderId", Kind::ClientOrderId),
                may("workingPegPriceType", Kind::Text),
                may("workingPegOffsetType", Kind::Text),
                may("workingPegOffsetValue", Kind::Integer),
                may("workingIcebergQty", Kind::Decimal),
                may("workingTimeInForce", Kind::Text),
                may("workingStrategyId", Kind::Integer),
                may("workingStrategyType", Kind::Integer),
                needs("pendingSide", Kind::Text),
                $($first,)+
            ]
            $($prefix),+
        )
    };
}

const PENDING_TYPE: Parameter = needs("pendingType", Kind::Text);
const PENDING_ABOVE_TYPE: Parameter = needs("pendingAboveType", Kind::Text);
const PENDING_BELOW_TYPE: Parameter = needs("pendingBelowType", Kind::Text);
const PENDING_QUANTITY: Parameter = needs("pendingQuantity", Kind::Decimal);
const QUANTITY: Parameter = needs("quantity", Kind::Decimal);

pub(super) const OCO: &[Parameter] =
    legs!([SIDE, QUANTITY, needs("aboveType", Kind::Text), needs("belowType", Kind::Text)] "above", "below");
pub(super) const OTO: &[Parameter] = working!([PENDING_TYPE, PENDING_QUANTITY] "pending");
pub(super) const OTOCO: &[Parameter] =
    working!([PENDING_QUANTITY, PENDING_ABOVE_TYPE, PENDING_BELOW_TYPE] "pendingAbove", "pendingBelow");
pub(super) const OPO: &[Parameter] = working!([PENDING_TYPE] "pending");
pub(super) const OPOCO: &[Parameter] =
    working!([PENDING_ABOVE_TYPE, PENDING_BELOW_TYPE] "pendingAbove", "pendingBelow");
pub(super) const OLD_OCO: &[Parameter] = &[
    SYMBOL,
    LIST_NAME,
    SIDE,
    QUANTITY,
    needs("price", Kind::Decimal),
    may("stopPrice", Kind::Decimal),
    may("trailingDelta", Kind::Integer),
    may("stopLimitPrice", Kind::Decimal),
    may("stopLimitTimeInForce", Kind::Text),
    may("limitClientOrderId", Kind::ClientOrderId),
    may("limitIcebergQty", Kind::Decimal),
    may("limitStrategyId", Kind::Integer),
    may("limitStrategyType", Kind::Integer),
    may("stopClientOrderId", Kind::ClientOrderId),
    may("stopIcebergQty", Kind::Decimal),
    may("stopStrategyId", Kind::Integer),
    may("stopStrategyType", Kind::Integer),
    RESPONSE,
    PREVENTION,
];
pub(super) const CANCEL_LIST: &[Parameter] = &[SYMBOL, LIST_ID, LIST_NAME, NEW_ID];
