//! The table of all operations.

use super::{Kind, Operation, Parameter, Run, Verb, Weight};
use super::{account, general, market_data, order_entry, wallet};
use crate::parameters::Parameters;
use crossbook_gateway::auth::Security;

const fn needs(name: &'static str, kind: Kind) -> Parameter {
    Parameter { name, kind, required: true }
}

const fn may(name: &'static str, kind: Kind) -> Parameter {
    Parameter { name, kind, required: false }
}

const SYMBOL: Parameter = needs("symbol", Kind::Symbol);
const ANY_SYMBOL: Parameter = may("symbol", Kind::Symbol);
const ANY_SYMBOLS: Parameter = may("symbols", Kind::Names);
const LIMIT: Parameter = may("limit", Kind::Integer);
const START: Parameter = may("startTime", Kind::Time);
const END: Parameter = may("endTime", Kind::Time);
const STATUS: Parameter = may("symbolStatus", Kind::OneOf(&["TRADING", "HALT", "BREAK"]));
const ORDER_ID: Parameter = may("orderId", Kind::Integer);
const ORIGINAL_ID: Parameter = may("origClientOrderId", Kind::ClientOrderId);
const NEW_ID: Parameter = may("newClientOrderId", Kind::ClientOrderId);
const SIDE: Parameter = needs("side", Kind::OneOf(&["BUY", "SELL"]));
const TIME_IN_FORCE: Parameter = may("timeInForce", Kind::OneOf(&["GTC", "IOC", "FOK"]));
const RESPONSE: Parameter = may("newOrderRespType", Kind::OneOf(&["ACK", "RESULT", "FULL"]));
const PREVENTION: Parameter = may(
    "selfTradePreventionMode",
    Kind::OneOf(&["NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT", "TRANSFER"]),
);
const ORDER_TYPE: Parameter = needs(
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
const INTERVAL: Parameter = needs(
    "interval",
    Kind::OneOf(&["1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M"]),
);
const TICKER_TYPE: Parameter = may("type", Kind::OneOf(&["FULL", "MINI"]));
const CANDLES: &[Parameter] = &[SYMBOL, INTERVAL, START, END, may("timeZone", Kind::Text), LIMIT];
const TEST_ORDER: &[Parameter] = &[
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
    may("computeCommissionRates", Kind::Boolean),
];
/// All but the last, which only a test order has.
const ORDER: &[Parameter] = TEST_ORDER.split_at(TEST_ORDER.len() - 1).0;

const fn public(
    name: &'static str,
    path: &'static str,
    weight: Weight,
    summary: &'static str,
    parameters: &'static [Parameter],
    run: Run,
) -> Operation {
    let security = Security::Public;
    Operation { name, over_websocket: true, verb: Verb::Get, path, security, weight, summary, parameters, run }
}

const fn private(
    name: &'static str,
    path: &'static str,
    weight: Weight,
    summary: &'static str,
    parameters: &'static [Parameter],
    run: Run,
) -> Operation {
    Operation { security: Security::Read, ..public(name, path, weight, summary, parameters, run) }
}

const fn trade(
    name: &'static str,
    verb: Verb,
    path: &'static str,
    summary: &'static str,
    parameters: &'static [Parameter],
    run: Run,
) -> Operation {
    let (security, weight) = (Security::Trade, Weight::Fixed(1));
    Operation { name, over_websocket: true, verb, path, security, weight, summary, parameters, run }
}

/// Only over HTTP.
const fn http_only(operation: Operation) -> Operation {
    Operation { over_websocket: false, ..operation }
}

fn depth_weight(parameters: &Parameters<'_>) -> u64 {
    match parameters.integer("limit") {
        Ok(Some(101..=500)) => 25,
        Ok(Some(501..=1000)) => 50,
        Ok(Some(1001..)) => 250,
        _ => 5,
    }
}

fn ticker_weight(parameters: &Parameters<'_>) -> u64 {
    let symbols = parameters.names("symbols").ok().flatten().map(|names| names.len());
    match symbols {
        _ if parameters.has("symbol") => 2,
        Some(0..=20) => 2,
        Some(21..=100) => 40,
        _ => 80,
    }
}

fn price_weight(parameters: &Parameters<'_>) -> u64 {
    if parameters.has("symbol") { 2 } else { 4 }
}

fn open_orders_weight(parameters: &Parameters<'_>) -> u64 {
    if parameters.has("symbol") { 6 } else { 80 }
}

fn my_trades_weight(parameters: &Parameters<'_>) -> u64 {
    if parameters.has("orderId") { 5 } else { 20 }
}

fn prevented_weight(parameters: &Parameters<'_>) -> u64 {
    if parameters.has("orderId") { 20 } else { 2 }
}

fn test_weight(parameters: &Parameters<'_>) -> u64 {
    if parameters.boolean("computeCommissionRates").unwrap_or(false) { 20 } else { 1 }
}

use Run::{Query, Recall};
use Weight::{Fixed, Varies};

const DEPTH_WEIGHT: Weight = Varies(depth_weight, "5, 25, 50 or 250 for a limit up to 100, 500, 1000 or 5000");
const TICKER_WEIGHT: Weight = Varies(ticker_weight, "2 for up to 20 symbols, 40 for up to 100, 80 for more or all");
const PRICE_WEIGHT: Weight = Varies(price_weight, "2 with symbol, else 4");
const OPEN_ORDERS_WEIGHT: Weight = Varies(open_orders_weight, "6 with symbol, else 80");
const MY_TRADES_WEIGHT: Weight = Varies(my_trades_weight, "5 with orderId, else 20");
const PREVENTED_WEIGHT: Weight = Varies(prevented_weight, "2 with preventedMatchId, 20 with orderId");
const TEST_WEIGHT: Weight = Varies(test_weight, "20 with computeCommissionRates, else 1");

/// All operations; those that are asked for most come first.
pub static OPERATIONS: [Operation; 29] = [
    trade("order.place", Verb::Post, "/api/v3/order", "Places an order.", ORDER, Run::Place),
    trade(
        "order.cancel",
        Verb::Delete,
        "/api/v3/order",
        "Cancels an open order.",
        &[SYMBOL, ORDER_ID, ORIGINAL_ID, NEW_ID, may("cancelRestrictions", Kind::Text)],
        Run::Cancel,
    ),
    private(
        "order.status",
        "/api/v3/order",
        Fixed(4),
        "An order of the account, open or closed.",
        &[SYMBOL, ORDER_ID, ORIGINAL_ID],
        Recall(account::order),
    ),
    public("ping", "/api/v3/ping", Fixed(1), "Answers.", &[], Query(general::ping)),
    public("time", "/api/v3/time", Fixed(1), "The venue's clock.", &[], Query(general::time)),
    public(
        "depth",
        "/api/v3/depth",
        DEPTH_WEIGHT,
        "The order book, summed by price.",
        &[SYMBOL, LIMIT, STATUS],
        Query(market_data::depth),
    ),
    public(
        "exchangeInfo",
        "/api/v3/exchangeInfo",
        Fixed(20),
        "Markets with their rules, and rate limits.",
        &[ANY_SYMBOL, ANY_SYMBOLS, may("permissions", Kind::Text), may("showPermissionSets", Kind::Boolean), STATUS],
        Query(general::exchange_info),
    ),
    public(
        "trades.recent",
        "/api/v3/trades",
        Fixed(25),
        "The latest trades.",
        &[SYMBOL, LIMIT],
        Recall(market_data::trades),
    ),
    public(
        "trades.historical",
        "/api/v3/historicalTrades",
        Fixed(25),
        "Trades from any number on.",
        &[SYMBOL, LIMIT, may("fromId", Kind::Integer)],
        Recall(market_data::historical_trades),
    ),
    public(
        "trades.aggregate",
        "/api/v3/aggTrades",
        Fixed(4),
        "Trades, those of one taker order at one price as one.",
        &[SYMBOL, may("fromId", Kind::Integer), START, END, LIMIT],
        Recall(market_data::aggregate_trades),
    ),
    public("klines", "/api/v3/klines", Fixed(2), "Candles.", CANDLES, Recall(market_data::candles)),
    public("uiKlines", "/api/v3/uiKlines", Fixed(2), "Candles, for charts.", CANDLES, Recall(market_data::candles)),
    public(
        "avgPrice",
        "/api/v3/avgPrice",
        Fixed(2),
        "The average price of the last minutes.",
        &[SYMBOL],
        Query(market_data::average_price),
    ),
    public(
        "ticker.24hr",
        "/api/v3/ticker/24hr",
        TICKER_WEIGHT,
        "Statistics of the last 24 hours.",
        &[ANY_SYMBOL, ANY_SYMBOLS, TICKER_TYPE, STATUS],
        Query(market_data::ticker),
    ),
    public(
        "ticker.price",
        "/api/v3/ticker/price",
        PRICE_WEIGHT,
        "The price of the last trade.",
        &[ANY_SYMBOL, ANY_SYMBOLS, STATUS],
        Query(market_data::price),
    ),
    public(
        "ticker.book",
        "/api/v3/ticker/bookTicker",
        PRICE_WEIGHT,
        "The best bid and ask.",
        &[ANY_SYMBOL, ANY_SYMBOLS, STATUS],
        Query(market_data::book_ticker),
    ),
    trade(
        "order.test",
        Verb::Post,
        "/api/v3/order/test",
        "Checks an order without placing it.",
        TEST_ORDER,
        Query(order_entry::test),
    )
    .weighing(TEST_WEIGHT),
    private(
        "openOrders.status",
        "/api/v3/openOrders",
        OPEN_ORDERS_WEIGHT,
        "The account's open orders.",
        &[ANY_SYMBOL],
        Recall(account::open_orders),
    ),
    trade(
        "openOrders.cancelAll",
        Verb::Delete,
        "/api/v3/openOrders",
        "Cancels all open orders of the account in a market.",
        &[SYMBOL],
        Run::CancelAll,
    ),
    private(
        "allOrders",
        "/api/v3/allOrders",
        Fixed(20),
        "The account's orders in a market, open and closed.",
        &[SYMBOL, ORDER_ID, START, END, LIMIT],
        Recall(account::all_orders),
    ),
    private(
        "myTrades",
        "/api/v3/myTrades",
        MY_TRADES_WEIGHT,
        "The account's trades in a market.",
        &[SYMBOL, ORDER_ID, START, END, may("fromId", Kind::Integer), LIMIT],
        Recall(account::my_trades),
    ),
    private(
        "myPreventedMatches",
        "/api/v3/myPreventedMatches",
        PREVENTED_WEIGHT,
        "Matches of the account's orders with each other that self-trade prevention prevented, by number or by order.",
        &[SYMBOL, may("preventedMatchId", Kind::Integer), ORDER_ID, may("fromPreventedMatchId", Kind::Integer), LIMIT],
        Recall(account::prevented_matches),
    ),
    private(
        "account.status",
        "/api/v3/account",
        Fixed(20),
        "The account, its balances and its rates.",
        &[may("omitZeroBalances", Kind::Boolean)],
        Recall(account::account),
    ),
    http_only(public(
        "system.status",
        "/sapi/v1/system/status",
        Fixed(1),
        "Whether the venue is in maintenance.",
        &[],
        Query(wallet::system_status),
    )),
    http_only(private(
        "asset.tradeFee",
        "/sapi/v1/asset/tradeFee",
        Fixed(1),
        "The fee rates of all markets, or of one.",
        &[ANY_SYMBOL],
        Query(wallet::trade_fee),
    )),
    http_only(private(
        "capital.config",
        "/sapi/v1/capital/config/getall",
        Fixed(10),
        "Networks of deposits and withdrawals: none, the operator moves money.",
        &[],
        Query(wallet::nothing),
    )),
    http_only(private(
        "margin.pairs",
        "/sapi/v1/margin/allPairs",
        Fixed(1),
        "Margin markets: none.",
        &[ANY_SYMBOL],
        Query(wallet::nothing),
    )),
    http_only(private(
        "margin.isolatedPairs",
        "/sapi/v1/margin/isolated/allPairs",
        Fixed(1),
        "Isolated margin markets: none.",
        &[ANY_SYMBOL],
        Query(wallet::nothing),
    )),
    http_only(private(
        "spot.delistSchedule",
        "/sapi/v1/spot/delist-schedule",
        Fixed(1),
        "Markets that will close: none are announced.",
        &[],
        Query(wallet::nothing),
    )),
];

impl Operation {
    const fn weighing(self, weight: Weight) -> Self {
        Self { weight, ..self }
    }
}
