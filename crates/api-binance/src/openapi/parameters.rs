//! The parameters of the REST API: what each means, and its bounds.

use serde_json::{Value, json};

use crate::operations::{DEPTH_MAX, Kind, Operation, Parameter, ROWS_DEFAULT, ROWS_MAX};

/// A parameter of an operation as an OpenAPI document has it.
pub(super) fn describe(operation: &Operation, parameter: &Parameter) -> Value {
    let schema = match parameter.kind {
        Kind::Symbol => json!({ "type": "string", "maxLength": 50, "examples": ["BTCUSDT"] }),
        Kind::Names => json!({ "type": "string", "examples": ["[\"BTCUSDT\",\"ETHUSDT\"]"] }),
        Kind::Decimal if parameter.name == "recvWindow" => {
            json!({ "type": "string", "format": "decimal", "examples": ["5000"] })
        }
        Kind::Decimal => json!({ "type": "string", "format": "decimal", "examples": ["0.01"] }),
        Kind::Integer if parameter.name == "limit" => limit(operation),
        Kind::Integer => json!({ "type": "integer", "format": "int64", "minimum": 0 }),
        Kind::Time => {
            json!({ "type": "integer", "format": "int64", "minimum": 0, "examples": [1_700_000_000_000_u64] })
        }
        Kind::Boolean => json!({ "type": "boolean" }),
        Kind::ClientOrderId => json!({ "type": "string", "pattern": "^[a-zA-Z0-9-_]{1,36}$" }),
        Kind::Text if parameter.name == "windowSize" => {
            json!({ "type": "string", "pattern": "^[1-9][0-9]?[mhd]$", "default": "1d" })
        }
        Kind::Text => json!({ "type": "string" }),
        Kind::OneOf(words) => json!({ "type": "string", "enum": words }),
    };
    json!({
        "name": parameter.name,
        "in": "query",
        "required": parameter.required,
        "description": meaning(operation, parameter.name),
        "schema": schema,
    })
}

/// The header by which a client chooses the unit of times.
pub(super) fn time_unit() -> Value {
    json!({
        "name": "X-MBX-TIME-UNIT",
        "in": "header",
        "required": false,
        "description": "The unit in which the answer tells times; MILLISECOND is the default.",
        "schema": super::reference("TimeUnit"),
    })
}

/// How many entries a list may have.
fn limit(operation: &Operation) -> Value {
    let (default, maximum) = if operation.name == "depth" { (100, DEPTH_MAX) } else { (ROWS_DEFAULT, ROWS_MAX) };
    json!({ "type": "integer", "minimum": 1, "maximum": maximum, "default": default })
}

/// The meaning of a parameter of operations that change or replace an order; empty if it is another.
fn words_of_changes(operation: &Operation, name: &str) -> &'static str {
    match name {
        "cancelReplaceMode" => {
            "STOP_ON_FAILURE places the new order only if the other was cancelled, ALLOW_FAILURE in any case."
        }
        "cancelOrderId" => "The venue's number of the order to be cancelled; it or cancelOrigClientOrderId is needed.",
        "cancelOrigClientOrderId" => "The client's name of the order to be cancelled; it or cancelOrderId is needed.",
        "cancelNewClientOrderId" => "The client's name of the cancel; the venue makes one up if absent.",
        "orderRateLimitExceededMode" => {
            "With CANCEL_ONLY the order is cancelled even if the account has placed too many orders."
        }
        "newQty" => {
            "The quantity that the order is to have, with what of it has traded; lower than the one that it has."
        }
        "newClientOrderId" if operation.name == "order.amend.keepPriority" => {
            "The client's name of the order from then on; the venue makes one up if absent. It may be the present one."
        }
        "newClientOrderId" if operation.name == "order.cancel" => {
            "The client's name of the cancel; the venue makes one up if absent."
        }
        "cancelRestrictions" => {
            "ONLY_NEW or ONLY_PARTIALLY_FILLED: cancel only an order that has not traded, or only one that has."
        }
        "fromExecutionId" => "Amendments from this number on.",
        "orderId" if operation.name == "order.amendments" => "The venue's number of the order.",
        _ => "",
    }
}

/// The meaning of a parameter that only few orders have.
fn words_of_instruction(name: &str) -> &'static str {
    match name {
        "pegPriceType" => {
            "Which side of the book gives the order its price: its own (PRIMARY_PEG) or the other (MARKET_PEG)."
        }
        "pegOffsetType" => "PRICE_LEVEL: the offset is a number of price levels.",
        "pegOffsetValue" => "So many price levels behind the best one, from 1 to 100.",
        "trailingDelta" => {
            "How far the price has to come back to trigger the order, in hundredths of a percent; with a stop price, \
             from when that is reached."
        }
        _ => "",
    }
}

/// The meaning of a parameter; empty if it has no description.
fn meaning(operation: &Operation, name: &str) -> &'static str {
    let of_list = if operation.name.contains("rderList") { of_list(operation, name) } else { "" };
    if of_list.is_empty() { words(operation, name) } else { of_list }
}

/// The same, of operations that are not about order lists.
fn words(operation: &Operation, name: &str) -> &'static str {
    match words_of_changes(operation, name) {
        "" => words_of_operation(operation, name).unwrap_or_else(|| common_words(name)),
        of_changes => of_changes,
    }
}

/// What a parameter means to some operations only.
fn words_of_operation(operation: &Operation, name: &str) -> Option<&'static str> {
    let words = match name {
        "symbol" if operation.name == "countdownCancelAll" => {
            "The market whose open orders it cancels; all, if absent."
        }
        "orderId" if operation.name == "allOrders" => {
            "Orders from this number on; without effect where a time is given."
        }
        "orderId" if operation.name == "myPreventedMatches" => {
            "Matches of this order; it or preventedMatchId is needed."
        }
        "orderId" if operation.name == "myAllocations" => "Allocations of this order.",
        "startTime" if operation.name == "allOrders" => {
            "Nothing that was last updated earlier than this, in milliseconds or microseconds of Unix time."
        }
        "endTime" if operation.name == "allOrders" => {
            "Nothing that was last updated later than this, in milliseconds or microseconds of Unix time."
        }
        "orderId" if operation.name == "myTrades" => "Only trades of this order.",
        "type" if operation.name.starts_with("ticker") => {
            "MINI leaves out the changes, averages and best prices; FULL is the default."
        }
        "timeZone" if operation.name == "ticker.tradingDay" => {
            "Offset from UTC of the day, as -1:00 or 05:45; 0 is the default."
        }
        _ => return None,
    };
    Some(words)
}

/// What a parameter means to all others.
fn common_words(name: &str) -> &'static str {
    match name {
        "symbol" => "A market.",
        "countdownTime" => "After how many milliseconds it passes, from 1000 to 86400000; 0 takes the countdown back.",
        "symbols" => "Markets, as a JSON array of names.",
        "limit" => "How many entries at most; more than the maximum counts as the maximum.",
        "symbolStatus" => "Only markets with this status.",
        "fromAllocationId" => "Allocations from this number on.",
        "icebergQty" => "How much of the order the book shows at a time.",
        "listenKey" => "The listen key.",
        "spotBNBBurn" => "Whether fees are paid in the asset in which they are less.",
        "interestBNBBurn" => "Without effect: there is no interest.",
        "preventedMatchId" => "The match of this number.",
        "fromPreventedMatchId" => "Matches of the order from this number on.",
        "startTime" => "Nothing earlier than this, in milliseconds or microseconds of Unix time.",
        "endTime" => "Nothing later than this, in milliseconds or microseconds of Unix time.",
        "orderId" => "The venue's number of the order; it or origClientOrderId is needed.",
        "origClientOrderId" => "The client's name of the order; it or orderId is needed.",
        "newClientOrderId" => {
            "The client's name of the order, unique among its open orders; the venue makes one up if absent."
        }
        "side" => "BUY or SELL.",
        "windowSize" => "From 1m to 59m, 1h to 23h or 1d to 7d; 1d is the default.",
        "type" => "The order type; which other parameters are needed depends on it.",
        "timeInForce" => "Needed for LIMIT, STOP_LOSS_LIMIT and TAKE_PROFIT_LIMIT.",
        "quantity" => "How much of the base asset; MARKET orders may have quoteOrderQty instead.",
        "quoteOrderQty" => "How much of the quote asset a MARKET order spends or brings.",
        "price" => "The limit price.",
        "stopPrice" => "The price at which the order begins to work.",
        "newOrderRespType" => "How much the answer says; FULL is the default for MARKET and LIMIT, ACK for the rest.",
        "selfTradePreventionMode" => "What happens when the order meets another one of the account.",
        "strategyId" => "The client's number for the strategy that the order is part of.",
        "strategyType" => "The client's number for the kind of that strategy, at least 1000000.",
        "computeCommissionRates" => "Whether to answer with the rates that the order would pay.",
        "permissions" => "Only markets that need one of these permissions, as a name or a JSON array of names.",
        "showPermissionSets" => "Whether permissionSets are filled in; true is the default.",
        "fromId" => "Entries from this number on.",
        "interval" => "The length of a candle.",
        "timeZone" => "Offset from UTC of days, weeks and months, as -1:00 or 05:45.",
        "omitZeroBalances" => "Whether to leave out assets of which the account has nothing.",
        "recvWindow" => {
            "For how many milliseconds after timestamp the request is valid, at most 60000; 5000 is the default."
        }
        "timestamp" => "When the request was sent, in milliseconds or microseconds of Unix time.",
        instruction => words_of_instruction(instruction),
    }
}

/// The meaning of a parameter of one order of a list; empty if it has no description.
fn of_list(operation: &Operation, name: &str) -> &'static str {
    let ends = |end: &str| name.ends_with(end);
    match () {
        () if ["newOrderRespType", "stopPrice", "trailingDelta"].contains(&name) => "",
        () if name == "orderListId" => "The venue's number of the list; it or the client's name is needed.",
        () if name == "listClientOrderId" => "The client's name of the list, unique among its open lists.",
        () if name == "origClientOrderId" => "The client's name of the list; it or orderListId is needed.",
        () if operation.name == "orderList.cancel" => {
            "The client's name of the cancel; the venue makes one up if absent."
        }
        () if ends("ClientOrderId") => "The client's name of that order; the venue makes one up if absent.",
        () if ends("StrategyId") => "The client's number for the strategy that the order is part of.",
        () if ends("StrategyType") => "The client's number for the kind of that strategy, at least 1000000.",
        () if ends("TimeInForce") => "GTC, IOC or FOK; needed where the order may rest after it began to work.",
        () if ends("IcebergQty") => "How much of that order shows in the book at a time.",
        () if ends("TrailingDelta") => {
            "How far the price has to come back from its best one to trigger that order, in basis points."
        }
        () if ends("PegPriceType") => {
            "The side of the book that gives that order its price, which it need not name then."
        }
        () if ends("PegOffsetType") => "PRICE_LEVEL; sent together with the offset.",
        () if ends("PegOffsetValue") => {
            "How many price levels behind the best one that order gets its price, 1 to 100."
        }
        () if ends("StopPrice") => "The price at which that order begins to work.",
        () if ends("Price") => "The limit price of that order.",
        () if ends("Quantity") => "How much of the base asset that order, or each of the pair, is for.",
        () if ends("Side") => "BUY or SELL.",
        () if ends("Type") => "The type of that order; which other parameters are needed depends on it.",
        () => "",
    }
}
