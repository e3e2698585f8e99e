//! The table of all operations.

mod parameters;
mod weights;

use super::{Kind, Operation, Parameter, Run, Verb, Weight};
use super::{
    account, account_rules, amend, countdown, general, listen_keys, market_data, order_entry, order_list,
    order_routing, price_rules, wallet,
};
use crossbook_gateway::auth::Security;
use crossbook_types::ListKind;
use parameters::{
    ANY_SYMBOL, ANY_SYMBOLS, CANCEL_LIST, CANDLES, END, LIMIT, LIST_ID, LISTEN_KEY, NEW_ID, OCO, OLD_OCO, OPO, OPOCO,
    ORDER, ORDER_ID, ORIGINAL_ID, OTO, OTOCO, REPLACE_ORDER, ROUTED_ORDER, START, STATUS, SYMBOL, TEST_ORDER,
    TEST_ROUTED_ORDER, TICKER_TYPE, TIME_ZONE, may, needs,
};
use weights::{
    DEPTH_WEIGHT, EXECUTION_RULES_WEIGHT, MY_TRADES_WEIGHT, OPEN_ORDERS_WEIGHT, PERIOD_WEIGHT, PREVENTED_WEIGHT,
    PRICE_WEIGHT, TEST_WEIGHT, TICKER_WEIGHT,
};

const fn public(
    name: &'static str,
    path: &'static str,
    weight: Weight,
    summary: &'static str,
    parameters: &'static [Parameter],
    run: Run,
) -> Operation {
    Operation {
        name,
        over_websocket: true,
        verb: Verb::Get,
        path,
        security: Security::Public,
        by_key_alone: false,
        weight,
        summary,
        parameters,
        run,
    }
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
    Operation { verb, security, ..public(name, path, weight, summary, parameters, run) }
}

/// About a listen key.
const fn listening(
    name: &'static str,
    verb: Verb,
    summary: &'static str,
    parameters: &'static [Parameter],
    run: Run,
) -> Operation {
    let operation = private(name, "/api/v3/userDataStream", Weight::Fixed(2), summary, parameters, run);
    Operation { verb, by_key_alone: true, ..operation }
}

/// Only over HTTP.
const fn http_only(operation: Operation) -> Operation {
    Operation { over_websocket: false, ..operation }
}

use Run::{Query, Recall};
use Weight::Fixed;

/// All operations; those that are asked for most come first.
pub static OPERATIONS: [Operation; 61] = [
    trade("order.place", Verb::Post, "/api/v3/order", "Places an order.", ORDER, Run::Place),
    trade(
        "order.cancel",
        Verb::Delete,
        "/api/v3/order",
        "Cancels an open order.",
        &[SYMBOL, ORDER_ID, ORIGINAL_ID, NEW_ID, may("cancelRestrictions", Kind::Text)],
        Run::Cancel,
    ),
    trade(
        "order.cancelReplace",
        Verb::Post,
        "/api/v3/order/cancelReplace",
        "Cancels an open order and places another one that may use its funds.",
        REPLACE_ORDER,
        Run::Replace,
    ),
    trade(
        "order.amend.keepPriority",
        Verb::Put,
        "/api/v3/order/amend/keepPriority",
        "Lowers the quantity of an open order, which keeps its place in the queue.",
        &[SYMBOL, ORDER_ID, ORIGINAL_ID, needs("newQty", Kind::Decimal), NEW_ID],
        Run::Amend,
    )
    .weighing(Fixed(4)),
    private(
        "order.amendments",
        "/api/v3/order/amendments",
        Fixed(4),
        "The amendments of an order, oldest first.",
        &[SYMBOL, needs("orderId", Kind::Integer), may("fromExecutionId", Kind::Integer), LIMIT],
        Recall(amend::amendments),
    ),
    trade(
        "orderList.place.oco",
        Verb::Post,
        "/api/v3/orderList/oco",
        "Places a pair of orders, of which one ends when the other runs.",
        OCO,
        Run::PlaceList(ListKind::Oco),
    ),
    trade(
        "orderList.place.oto",
        Verb::Post,
        "/api/v3/orderList/oto",
        "Places a working order, and one that is placed when it is filled.",
        OTO,
        Run::PlaceList(ListKind::Oto),
    ),
    trade(
        "orderList.place.otoco",
        Verb::Post,
        "/api/v3/orderList/otoco",
        "Places a working order, and a pair that is placed when it is filled.",
        OTOCO,
        Run::PlaceList(ListKind::Otoco),
    ),
    trade(
        "orderList.place.opo",
        Verb::Post,
        "/api/v3/orderList/opo",
        "Places a working order, and one that sells what it has bought.",
        OPO,
        Run::PlaceList(ListKind::Opo),
    ),
    trade(
        "orderList.place.opoco",
        Verb::Post,
        "/api/v3/orderList/opoco",
        "Places a working order, and a pair that sells what it has bought.",
        OPOCO,
        Run::PlaceList(ListKind::Opoco),
    ),
    trade(
        "orderList.place",
        Verb::Post,
        "/api/v3/order/oco",
        "Places a pair of a limit order and a stop order.",
        OLD_OCO,
        Run::PlaceOldList,
    ),
    trade(
        "orderList.cancel",
        Verb::Delete,
        "/api/v3/orderList",
        "Cancels an order list.",
        CANCEL_LIST,
        Run::CancelList,
    ),
    private(
        "orderList.status",
        "/api/v3/orderList",
        Fixed(4),
        "An order list of the account.",
        &[LIST_ID, ORIGINAL_ID],
        Recall(order_list::status),
    ),
    private(
        "openOrderLists.status",
        "/api/v3/openOrderList",
        Fixed(6),
        "The account's open order lists.",
        &[],
        Recall(order_list::open),
    ),
    private(
        "allOrderLists",
        "/api/v3/allOrderList",
        Fixed(20),
        "The account's order lists, open and done.",
        &[may("fromId", Kind::Integer), START, END, LIMIT],
        Recall(order_list::all),
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
        "blockTrades.historical",
        "/api/v3/historicalBlockTrades",
        Fixed(25),
        "Block trades from a number on: none, all trades are made in the book.",
        &[SYMBOL, needs("fromId", Kind::Integer), LIMIT],
        Query(market_data::block_trades),
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
        "ticker",
        "/api/v3/ticker",
        PERIOD_WEIGHT,
        "Statistics of a window of any size that ends now.",
        &[ANY_SYMBOL, ANY_SYMBOLS, may("windowSize", Kind::Text), TICKER_TYPE, STATUS],
        Recall(market_data::rolling_ticker),
    ),
    public(
        "ticker.tradingDay",
        "/api/v3/ticker/tradingDay",
        PERIOD_WEIGHT,
        "Statistics of the day in a time zone.",
        &[ANY_SYMBOL, ANY_SYMBOLS, TIME_ZONE, TICKER_TYPE, STATUS],
        Recall(market_data::trading_day),
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
    trade(
        "countdownCancelAll",
        Verb::Post,
        "/api/v3/countdownCancelAll",
        "Starts or extends a countdown that cancels the open orders of a market or all; 0 takes it back.",
        &[ANY_SYMBOL, needs("countdownTime", Kind::Integer)],
        Run::SetCountdown,
    ),
    private(
        "countdownCancelAll.status",
        "/api/v3/countdownCancelAll",
        Fixed(4),
        "The countdowns of the account.",
        &[],
        Recall(countdown::list),
    ),
    private(
        "account.rateLimits.orders",
        "/api/v3/rateLimit/order",
        Fixed(40),
        "How many orders the account has placed in each window.",
        &[],
        Query(account_rules::order_counts),
    ),
    private(
        "account.commission",
        "/api/v3/account/commission",
        Fixed(20),
        "The rates that the account pays in a market.",
        &[SYMBOL],
        Query(account_rules::commission),
    ),
    private(
        "myFilters",
        "/api/v3/myFilters",
        Fixed(40),
        "The filters that the account's orders in a market pass.",
        &[SYMBOL],
        Query(account_rules::filters),
    ),
    private(
        "myAllocations",
        "/api/v3/myAllocations",
        Fixed(20),
        "Trades of routed orders in other markets than their own: none, there is no smart order routing.",
        &[SYMBOL, START, END, may("fromAllocationId", Kind::Integer), LIMIT, ORDER_ID],
        Query(order_routing::allocations),
    ),
    trade(
        "sor.order.place",
        Verb::Post,
        "/api/v3/sor/order",
        "Would place an order with smart order routing: no market has that, so it is refused.",
        ROUTED_ORDER,
        Query(order_routing::place),
    ),
    trade(
        "sor.order.test",
        Verb::Post,
        "/api/v3/sor/order/test",
        "Would check an order with smart order routing: no market has that, so it is refused.",
        TEST_ROUTED_ORDER,
        Query(order_routing::place),
    )
    .weighing(TEST_WEIGHT),
    public(
        "executionRules",
        "/api/v3/executionRules",
        EXECUTION_RULES_WEIGHT,
        "The rules about the prices at which orders may trade, of the markets that have some.",
        &[ANY_SYMBOL, ANY_SYMBOLS, STATUS],
        Query(price_rules::execution_rules),
    ),
    public(
        "referencePrice",
        "/api/v3/referencePrice",
        Fixed(2),
        "The price that rules and filters of a market refer to.",
        &[SYMBOL],
        Query(price_rules::reference_price),
    ),
    public(
        "referencePrice.calculation",
        "/api/v3/referencePrice/calculation",
        Fixed(2),
        "How the reference price of a market is calculated.",
        &[SYMBOL, STATUS],
        Query(price_rules::calculation),
    ),
    listening(
        "userDataStream.start",
        Verb::Post,
        "The listen key of the API key, which lasts anew.",
        &[],
        Query(listen_keys::start),
    ),
    listening("userDataStream.ping", Verb::Put, "Has a listen key last anew.", LISTEN_KEY, Query(listen_keys::ping)),
    listening("userDataStream.stop", Verb::Delete, "Ends a listen key.", LISTEN_KEY, Query(listen_keys::stop)),
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
        "bnbBurn.status",
        "/sapi/v1/bnbBurn",
        Fixed(1),
        "Whether the account pays its fees in the asset in which they are less.",
        &[],
        Recall(account_rules::discount_use),
    )),
    http_only(trade(
        "bnbBurn",
        Verb::Post,
        "/sapi/v1/bnbBurn",
        "Sets whether the account pays its fees in the asset in which they are less.",
        &[may("spotBNBBurn", Kind::Boolean), may("interestBNBBurn", Kind::Boolean)],
        Run::UseDiscount,
    ))
    // A command for every partition.
    .weighing(Fixed(50)),
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
