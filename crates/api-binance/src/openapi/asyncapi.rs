//! The streams and the WebSocket API as an AsyncAPI document.

use serde_json::{Map, Value, json};

use super::{operations as operations_of, reference, schemas};

/// What messages are made of.
const SCHEMAS: &str = include_str!("streams.json");

/// Where older clients get the events of their account.
const LISTEN_KEY: &str = "<listenKey>, at venues that have listen keys";

/// Messages of streams: name, origin, and schema.
const MARKET: &[(&str, &str, &str)] = &[
    ("trade", "<symbol>@trade", "Trade"),
    ("aggregateTrade", "<symbol>@aggTrade", "AggregateTrade"),
    ("bookTicker", "<symbol>@bookTicker", "BookTicker"),
    ("depthUpdate", "<symbol>@depth, <symbol>@depth@100ms", "DepthUpdate"),
    ("partialDepth", "<symbol>@depth5, @depth10, @depth20, each also @100ms", "PartialDepth"),
    ("kline", "<symbol>@kline_<interval>, also with an offset: @kline_1d@+08:00", "Kline"),
    ("miniTicker", "<symbol>@miniTicker", "MiniTicker"),
    ("miniTickers", "!miniTicker@arr", "MiniTickers"),
    ("ticker", "<symbol>@ticker", "Ticker"),
    ("tickers", "!ticker@arr", "Tickers"),
    ("rollingTicker", "<symbol>@ticker_1h, @ticker_4h, @ticker_1d", "RollingTicker"),
    ("rollingTickers", "!ticker_1h@arr, !ticker_4h@arr, !ticker_1d@arr", "RollingTickers"),
    ("averagePrice", "<symbol>@avgPrice", "AveragePrice"),
    ("referencePrice", "<symbol>@referencePrice", "ReferencePrice"),
    ("symbolStatus", "<symbol>@symbolStatus", "SymbolStatus"),
    ("executionReport", LISTEN_KEY, "ExecutionReport"),
    ("listStatus", LISTEN_KEY, "ListStatus"),
    ("accountPosition", LISTEN_KEY, "AccountPosition"),
    ("balanceUpdate", LISTEN_KEY, "BalanceUpdate"),
    ("listenKeyExpired", LISTEN_KEY, "ListenKeyExpired"),
    ("serverShutdown", "every connection, before the venue stops", "ServerShutdown"),
    ("streamAnswer", "every connection that sent a request", "StreamAnswer"),
];

/// The methods of the WebSocket API that are not operations of the REST API too.
const SESSION_METHODS: &[&str] = &[
    "session.logon",
    "session.status",
    "session.logout",
    "session.subscriptions",
    "userDataStream.subscribe",
    "userDataStream.subscribe.signature",
    "userDataStream.unsubscribe",
];

/// What a connection's URL may say in its query: the unit of times, and `more`.
fn bindings(more: &[(&str, Value)]) -> Value {
    let mut properties = Map::new();
    properties.extend(more.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())));
    let unit = json!({
        "type": "string",
        "enum": ["MILLISECOND", "MICROSECOND", "millisecond", "microsecond"],
        "default": "MILLISECOND",
        "description": "The unit in which times are sent.",
    });
    properties.insert("timeUnit".to_owned(), unit);
    let query = json!({ "type": "object", "properties": properties });
    json!({ "ws": { "method": "GET", "query": query, "bindingVersion": "0.1.0" } })
}

/// The streams and the WebSocket API as an AsyncAPI 3.0 document, with listen keys or without.
#[must_use]
pub fn document(listen_keys: bool) -> Value {
    let methods = operations_of(listen_keys).filter(|operation| operation.over_websocket);
    let methods = methods.map(|operation| operation.name);
    let methods: Vec<_> = methods.chain(SESSION_METHODS.iter().copied()).collect();
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Crossbook streams and WebSocket API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "An API compatible with the Binance Spot API; not affiliated with or endorsed by Binance.",
            "license": { "name": "Apache-2.0" },
        },
        "defaultContentType": "application/json",
        "servers": {
            "venue": { "host": "127.0.0.1:8080", "protocol": "ws", "description": "A venue on this machine." },
        },
        "channels": channels(),
        "operations": operations(),
        "components": { "schemas": schemas(SCHEMAS), "messages": messages() },
        "x-methods": methods,
    })
}

/// The messages of all channels, by name.
fn messages() -> Map<String, Value> {
    let mut messages = Map::new();
    let mut message = |name: &str, summary: &str, schema: &str| {
        let payload = reference(schema);
        messages.insert(
            name.to_owned(),
            json!({ "name": name, "summary": summary, "contentType": "application/json", "payload": payload }),
        );
    };
    MARKET.iter().for_each(|&(name, from, schema)| message(name, from, schema));
    message("combined", "every stream, under its name", "Combined");
    message("streamRequest", "from the client", "StreamRequest");
    message("request", "from the client", "Request");
    message("answer", "for each request", "Answer");
    message("userEvent", "after userDataStream.subscribe", "UserEvent");
    messages
}

fn channels() -> Value {
    let of_channel = |names: &[&str]| {
        let named =
            names.iter().map(|name| ((*name).to_owned(), json!({ "$ref": format!("#/components/messages/{name}") })));
        Value::Object(named.collect())
    };
    let market: Vec<_> = MARKET.iter().map(|(name, ..)| *name).chain(["streamRequest"]).collect();
    let stream = json!({ "description": "The name of a stream, such as btcusdt@trade." });
    let names = json!({ "type": "string", "description": "Names of streams, with slashes between.",
        "examples": ["btcusdt@trade/ethusdt@depth"] });
    let limits = json!({ "type": "boolean", "default": true,
        "description": "Whether answers say how much of the limits is used; a request may say otherwise for itself." });
    json!({
        "stream": {
            "address": "/ws/{stream}",
            "description": "One stream, and more by request.",
            "parameters": { "stream": stream },
            "bindings": bindings(&[]),
            "messages": of_channel(&market),
        },
        "combined": {
            "address": "/stream",
            "description": "Streams by request or by ?streams=a/b; each message bears the name of its stream.",
            "bindings": bindings(&[("streams", names)]),
            "messages": of_channel(&["combined", "streamRequest", "streamAnswer", "serverShutdown"]),
        },
        "api": {
            "address": "/ws-api/v3",
            "description": "Requests and answers, and the user data stream.",
            "bindings": bindings(&[("returnRateLimits", limits)]),
            "messages": of_channel(&["request", "answer", "userEvent", "serverShutdown"]),
        },
    })
}

fn operations() -> Value {
    let operation = |action: &str, channel: &str, summary: &str, names: &[&str]| {
        let messages: Vec<_> =
            names.iter().map(|name| json!({ "$ref": format!("#/channels/{channel}/messages/{name}") })).collect();
        let channel = json!({ "$ref": format!("#/channels/{channel}") });
        json!({ "action": action, "channel": channel, "summary": summary, "messages": messages })
    };
    let sent: Vec<_> = MARKET.iter().map(|(name, ..)| *name).collect();
    json!({
        "sendStream": operation("send", "stream", "Sends the messages of the streams that are subscribed to.", &sent),
        "receiveStreamRequest": operation("receive", "stream", "Changes subscriptions.", &["streamRequest"]),
        "sendCombined": operation("send", "combined", "Sends the messages of the streams that are subscribed to.",
            &["combined", "streamAnswer", "serverShutdown"]),
        "receiveCombinedRequest": operation("receive", "combined", "Changes subscriptions.", &["streamRequest"]),
        "receiveRequest": operation("receive", "api", "Takes a request.", &["request"]),
        "sendAnswer": operation("send", "api", "Answers, and sends events.",
            &["answer", "userEvent", "serverShutdown"]),
    })
}
