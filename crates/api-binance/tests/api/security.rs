//! Access control, compared with the table of operations: each signed operation, by each transport, with each kind of
//! key that must be refused. An operation that is added to [`OPERATIONS`] is covered automatically; one with a required
//! parameter that is not known here fails until [`parameters`] has a value for it.

use std::collections::BTreeSet;
use std::time::Duration;

use crossbook_api_binance::Config;
use crossbook_api_binance::operations::{OPERATIONS, Operation};
use crossbook_gateway::auth::Security;
use futures_util::{SinkExt, StreamExt};
use reqwest::Method;
use serde_json::{Map, Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::rest_venue::{Client, Reply, TOKEN, Venue, millis};

const PATIENCE: Duration = Duration::from_secs(20);

/// What whoever has no right to something is told.
const REJECTED: (u16, i64) = (401, -2015);
/// Told when there is no such order, or not for whoever asks.
const NO_SUCH_ORDER: [(u16, i64); 3] = [(400, -2013), (400, -2011), (400, -2038)];

/// What an operation tells everybody, because no market has what it is about.
fn always(operation: &Operation) -> Option<(u16, i64)> {
    match operation.name {
        "sor.order.place" | "sor.order.test" => Some((400, -1013)),
        "referencePrice" | "referencePrice.calculation" => Some((400, -2043)),
        // The rules of the venue here do not know them.
        "order.cancelReplace" | "countdownCancelAll" => Some((400, -2010)),
        name if name.starts_with("orderList.place") => Some((400, -2010)),
        _ => None,
    }
}

type Pairs = Vec<(String, String)>;

/// No limit of rate is in the way here.
fn config() -> Config {
    let mut config = Config::default();
    config.limits.request_weight_1m = 0;
    config.limits.raw_requests_5m = 0;
    config.limits.orders_10s = 0;
    config.limits.orders_1d = 0;
    config
}

/// The operations that need a key.
fn signed() -> impl Iterator<Item = &'static Operation> {
    OPERATIONS.iter().filter(|operation| operation.security != Security::Public && !operation.by_key_alone)
}

/// Parameters with which an operation would do its work; `target` names an order where it takes one.
fn parameters(operation: &Operation, target: &[(&str, &str)]) -> Pairs {
    let takes = |name: &str| operation.parameters.iter().any(|parameter| parameter.name == name);
    let mut pairs = Pairs::new();
    for parameter in operation.parameters.iter().filter(|parameter| parameter.required) {
        let value = match parameter.name {
            "symbol" => "BTCUSDT",
            "side" => "BUY",
            "type" => "LIMIT",
            "orderId" => continue,
            "quantity" if takes("type") => continue,
            "quantity" | "workingQuantity" | "pendingQuantity" => "0.1",
            "aboveType" | "pendingBelowType" => "STOP_LOSS",
            "belowType" | "pendingAboveType" | "workingType" => "LIMIT_MAKER",
            "pendingType" => "MARKET",
            "workingSide" => "BUY",
            "pendingSide" => "SELL",
            "workingPrice" | "price" => "9000",
            "stopPrice" => "30000",
            "newQty" => "0.05",
            "countdownTime" => "60000",
            "cancelReplaceMode" => "ALLOW_FAILURE",
            other => panic!("say here what to send as {other} of {}", operation.name),
        };
        pairs.push((parameter.name.to_owned(), value.to_owned()));
    }
    // What the types of a list's orders need.
    for (name, price) in [
        ("workingPrice", "9000"),
        ("aboveStopPrice", "30000"),
        ("belowPrice", "9000"),
        ("pendingAbovePrice", "30000"),
        ("pendingBelowStopPrice", "5000"),
    ] {
        if takes(name) {
            pairs.push((name.to_owned(), price.to_owned()));
        }
    }
    if operation.name == "orderList.place" {
        pairs.push(("stopPrice".to_owned(), "30000".to_owned()));
    }
    if takes("type") && takes("side") {
        let order = [("timeInForce", "GTC"), ("quantity", "0.1"), ("price", "9000")];
        pairs.extend(order.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
    for (name, value) in target {
        let to_replace = match *name {
            "orderId" => "cancelOrderId",
            "origClientOrderId" => "cancelOrigClientOrderId",
            other => other,
        };
        let of_list = match *name {
            "orderId" => "orderListId",
            "origClientOrderId" => "listClientOrderId",
            other => other,
        };
        let taken = [*name, to_replace, of_list].into_iter().find(|name| takes(name));
        pairs.extend(taken.map(|name| (name.to_owned(), (*value).to_owned())));
    }
    pairs
}

fn query(pairs: &Pairs) -> String {
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

fn method(operation: &Operation) -> Method {
    operation.verb.as_str().parse().unwrap()
}

async fn over_rest(client: &Client, operation: &Operation, pairs: &Pairs) -> Reply {
    client.send(method(operation), operation.path, &query(pairs)).await
}

/// Parameters as the WebSocket API takes them, signed at that time.
fn signed_at(client: &Client, pairs: &Pairs, time: u64) -> Value {
    let mut all = pairs.clone();
    all.extend([("apiKey".to_owned(), client.key.clone()), ("timestamp".to_owned(), time.to_string())]);
    all.sort();
    let signature = client.sign(&query(&all));
    all.push(("signature".to_owned(), signature));
    Value::Object(all.into_iter().map(|(name, value)| (name, Value::String(value))).collect())
}

/// Parameters for a session that has logged on.
fn timed(pairs: &Pairs) -> Value {
    let mut all: Map<String, Value> =
        pairs.iter().map(|(name, value)| (name.clone(), Value::String(value.clone()))).collect();
    all.insert("timestamp".to_owned(), json!(millis()));
    Value::Object(all)
}

/// A connection to the WebSocket API; what comes beside the answers is kept.
struct Session {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    asked: u64,
    events: Vec<Value>,
}

impl Session {
    async fn open(venue: &Venue) -> Self {
        Self::open_for(venue, None).await
    }

    /// Opens it through a proxy that says for whom it asks.
    async fn open_for(venue: &Venue, forwarded: Option<&str>) -> Self {
        let mut request = format!("ws://{}/ws-api/v3", venue.http).into_client_request().unwrap();
        if let Some(client) = forwarded {
            request.headers_mut().insert("x-forwarded-for", client.parse().unwrap());
        }
        Self { socket: connect_async(request).await.unwrap().0, asked: 0, events: Vec::new() }
    }

    /// Opens it and logs on.
    async fn logged_on(venue: &Venue, client: &Client) -> Self {
        let mut session = Self::open(venue).await;
        let answer = session.log_on(client).await;
        assert_eq!(answer["status"], 200, "{answer}");
        session
    }

    async fn log_on(&mut self, client: &Client) -> Value {
        self.ask("session.logon", signed_at(client, &Pairs::new(), millis())).await
    }

    async fn receive(&mut self) -> Value {
        let message = async {
            loop {
                if let Message::Text(text) = self.socket.next().await.unwrap().unwrap() {
                    return serde_json::from_str(&text).unwrap();
                }
            }
        };
        tokio::time::timeout(PATIENCE, message).await.expect("a message in time")
    }

    async fn ask(&mut self, method: &str, params: Value) -> Value {
        self.asked += 1;
        let request = json!({"id": self.asked, "method": method, "params": params});
        self.socket.send(Message::text(request.to_string())).await.unwrap();
        loop {
            let message = self.receive().await;
            // That the session has lost its key is told without an id.
            if message["id"] == self.asked || (message["status"] == 401 && message["id"].is_null()) {
                return message;
            }
            self.events.push(message);
        }
    }

    /// The next event that is not an answer.
    async fn event(&mut self) -> Value {
        if self.events.is_empty() { self.receive().await } else { self.events.remove(0) }
    }

    /// The next event of that kind.
    async fn event_of(&mut self, kind: &str) -> Value {
        loop {
            let event = self.event().await;
            if event["event"]["e"] == kind {
                return event;
            }
        }
    }
}

/// Status and code of an answer of the WebSocket API.
fn code(answer: &Value) -> (u16, i64) {
    let status = answer["status"].as_u64().unwrap();
    (u16::try_from(status).unwrap(), answer["error"]["code"].as_i64().unwrap_or(0))
}

/// Tries every signed operation that `chosen` picks by every way with a key that must be turned away.
async fn all_are_refused(venue: &Venue, client: &Client, chosen: impl Fn(&Operation) -> bool) -> usize {
    let mut session = Session::open(venue).await;
    let mut tried = 0;
    for operation in signed().filter(|operation| chosen(operation)) {
        let pairs = parameters(operation, &[("orderId", "1")]);
        let reply = over_rest(client, operation, &pairs).await;
        assert_eq!(reply.code(), REJECTED, "{}: {reply:?}", operation.name);
        if operation.over_websocket {
            let answer = session.ask(operation.name, signed_at(client, &pairs, millis())).await;
            assert_eq!(code(&answer), REJECTED, "{}: {answer}", operation.name);
        }
        tried += 1;
    }
    tried
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_does_what_it_may_and_nothing_else() {
    let venue = Venue::start_with(config()).await;
    let reader = venue.key(venue.alice.account, json!({"permissions": ["READ"]})).await;
    let trader = venue.key(venue.alice.account, json!({"permissions": ["TRADE"]})).await;
    let before = venue.audit().await;
    for (client, may) in [(&reader, Security::Read), (&trader, Security::Trade)] {
        let tried = all_are_refused(&venue, client, |operation| operation.security != may).await;
        assert!(tried >= 4, "{tried}");
        // A logon is no way round it.
        let mut session = Session::logged_on(&venue, client).await;
        for operation in signed().filter(|operation| operation.over_websocket && operation.security != may) {
            let answer = session.ask(operation.name, timed(&parameters(operation, &[("orderId", "1")]))).await;
            assert_eq!(code(&answer), REJECTED, "{}: {answer}", operation.name);
        }
    }
    // Who only trades hears nothing, however it is asked.
    let mut session = Session::logged_on(&venue, &trader).await;
    for (name, params) in [
        ("userDataStream.subscribe", json!({})),
        ("userDataStream.subscribe.signature", timed(&Pairs::new())),
        ("userDataStream.subscribe.signature", signed_at(&trader, &Pairs::new(), millis())),
    ] {
        let answer = session.ask(name, params).await;
        assert_eq!(code(&answer), REJECTED, "{name}: {answer}");
    }
    assert_eq!(venue.audit().await, before, "nothing was logged");

    // The same requests get through with the right key, so it was for the key that they were refused.
    let missing = [("orderId", "999999")];
    for operation in signed() {
        let client = if operation.security == Security::Read { &reader } else { &trader };
        let pairs = parameters(operation, &missing);
        let works = |code: (u16, i64)| match always(operation) {
            Some(always) => code == always,
            None => code == (200, 0) || NO_SUCH_ORDER.contains(&code),
        };
        let reply = over_rest(client, operation, &pairs).await;
        assert!(works(reply.code()), "{}: {reply:?}", operation.name);
        if operation.over_websocket {
            let mut session = Session::logged_on(&venue, client).await;
            for params in [signed_at(client, &pairs, millis()), timed(&pairs)] {
                let answer = session.ask(operation.name, params).await;
                assert!(works(code(&answer)), "{}: {answer}", operation.name);
            }
        }
    }
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_key_there_is_only_what_is_public() {
    let venue = Venue::start_with(config()).await;
    let before = venue.audit().await;
    let mut session = Session::open(&venue).await;
    for operation in OPERATIONS.iter().filter(|operation| !operation.by_key_alone) {
        let pairs = match operation.security {
            Security::Public => public_parameters(operation),
            _ => parameters(operation, &[("orderId", "1")]),
        };
        let reply = venue.request(method(operation), &format!("{}?{}", operation.path, query(&pairs))).await;
        let done = always(operation).unwrap_or((200, 0));
        let expected = if operation.security == Security::Public { done } else { (401, -2014) };
        assert_eq!(reply.code(), expected, "{}: {reply:?}", operation.name);
        if !operation.over_websocket {
            continue;
        }
        let params = Value::Object(pairs.iter().map(|(name, value)| (name.clone(), json!(value))).collect());
        let answer = session.ask(operation.name, params).await;
        let expected = if operation.security == Security::Public { done } else { (400, -1102) };
        assert_eq!(code(&answer), expected, "{}: {answer}", operation.name);
        if operation.security != Security::Public {
            // A key's name alone is nothing.
            let mut params = timed(&pairs);
            params["apiKey"] = json!(venue.alice.key);
            assert_eq!(code(&session.ask(operation.name, params).await), (400, -1102), "{}", operation.name);
            let stolen = Client { key: venue.alice.key.clone(), ..venue.bob.clone() };
            let answer = session.ask(operation.name, signed_at(&stolen, &pairs, millis())).await;
            assert_eq!(code(&answer), (400, -1022), "{}", operation.name);
            assert_eq!(over_rest(&stolen, operation, &pairs).await.code(), (400, -1022), "{}", operation.name);
        }
    }
    assert_eq!(venue.audit().await, before, "nothing was logged");
    venue.stop().await;
}

/// What a public operation cannot do without.
fn public_parameters(operation: &Operation) -> Pairs {
    // Some need a market or a list of them.
    let either = |name: &str| name == "symbol" && operation.parameters.iter().any(|other| other.name == "symbols");
    let required = operation.parameters.iter().filter(|parameter| parameter.required || either(parameter.name));
    let value = |name: &str| match name {
        "symbol" => "BTCUSDT",
        "interval" => "1m",
        "fromId" => "1",
        other => panic!("say here what to send as {other} of {}", operation.name),
    };
    required.map(|parameter| (parameter.name.to_owned(), value(parameter.name).to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_key_is_refused_at_once() {
    let venue = Venue::start_with(config()).await;
    let account = venue.alice.account;
    let doomed = venue.key(account, json!({"permissions": ["READ", "TRADE"]})).await;
    // In use before: its secret is kept ready, and a session of its own has logged on for each operation.
    assert_eq!(doomed.get("/api/v3/account", "").await.status, 200);
    let mut sessions = Vec::new();
    for operation in signed().filter(|operation| operation.over_websocket) {
        sessions.push((operation, Session::logged_on(&venue, &doomed).await));
    }
    let mut by_logon = Session::logged_on(&venue, &doomed).await;
    assert_eq!(by_logon.ask("userDataStream.subscribe", json!({})).await["status"], 200);
    let mut by_signature = Session::open(&venue).await;
    let params = signed_at(&doomed, &Pairs::new(), millis());
    assert_eq!(by_signature.ask("userDataStream.subscribe.signature", params).await["status"], 200);
    // Whoever subscribes last is told last, so what reaches this one has reached the others.
    let mut witness = Session::logged_on(&venue, &venue.alice).await;
    assert_eq!(witness.ask("userDataStream.subscribe", json!({})).await["status"], 200);
    venue.alice.limit("BUY", "0.1", "10000").await;
    for session in [&mut by_logon, &mut by_signature, &mut witness] {
        session.event_of("outboundAccountPosition").await;
    }

    let path = format!("accounts/{account}/api-keys/{}", doomed.key);
    assert_eq!(venue.operator(Method::DELETE, &path, None).await.status, 200);
    let before = venue.audit().await;
    for (operation, session) in &mut sessions {
        let answer = session.ask(operation.name, timed(&parameters(operation, &[("orderId", "1")]))).await;
        assert_eq!(code(&answer), REJECTED, "{}: {answer}", operation.name);
    }
    assert!(all_are_refused(&venue, &doomed, |_| true).await > 10);
    assert_eq!(code(&Session::open(&venue).await.log_on(&doomed).await), REJECTED);
    assert_eq!(venue.audit().await, before, "nothing was logged");

    for session in [&mut by_logon, &mut by_signature] {
        assert_eq!(session.event().await["event"]["e"], "eventStreamTerminated");
    }
    venue.alice.limit("BUY", "0.1", "10001").await;
    witness.event_of("outboundAccountPosition").await;
    for session in [&mut by_logon, &mut by_signature] {
        session.ask("session.status", json!({})).await;
        assert!(session.events.is_empty(), "{:?}", session.events);
    }
    venue.stop().await;
}

/// A subscription that a revocation has ended is not listed, does not stand in the way of another one, and does not end
/// a second time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_that_a_revocation_ended_is_gone_from_its_session() {
    let venue = Venue::start_with(config()).await;
    let account = venue.alice.account;
    let doomed = venue.key(account, json!({"permissions": ["READ", "TRADE"]})).await;
    let mut session = Session::logged_on(&venue, &doomed).await;
    assert_eq!(session.ask("userDataStream.subscribe", json!({})).await["result"]["subscriptionId"], 0);
    let path = format!("accounts/{account}/api-keys/{}", doomed.key);
    assert_eq!(venue.operator(Method::DELETE, &path, None).await.status, 200);
    let ended = session.event().await;
    assert_eq!((&ended["subscriptionId"], &ended["event"]["e"]), (&json!(0), &json!("eventStreamTerminated")));

    assert_eq!(session.ask("session.subscriptions", json!({})).await["result"], json!([]));
    assert_eq!(session.ask("session.status", json!({})).await["result"]["userDataStream"], false);
    let unsubscribed = session.ask("userDataStream.unsubscribe", json!({"subscriptionId": 0})).await;
    assert_eq!(code(&unsubscribed), (400, -2036), "{unsubscribed}");
    let again =
        session.ask("userDataStream.subscribe.signature", signed_at(&venue.alice, &Pairs::new(), millis())).await;
    assert_eq!(again["result"]["subscriptionId"], 1, "{again}");
    assert_eq!(session.ask("session.subscriptions", json!({})).await["result"], json!([{"subscriptionId": 1}]));
    // The other one does not belong to the logon.
    assert_eq!(session.ask("session.logout", json!({})).await["result"]["userDataStream"], true);
    assert!(session.events.is_empty(), "{:?}", session.events);
    assert_eq!(session.ask("userDataStream.unsubscribe", json!({})).await["status"], 200);
    assert_eq!(session.event().await["subscriptionId"], 1);
    assert_eq!(session.ask("session.status", json!({})).await["result"]["userDataStream"], false);
    assert!(session.events.is_empty(), "{:?}", session.events);
    venue.stop().await;
}

/// The signature and its time belong together: one that was seen once must not open a stream later, whoever sends it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_signature_is_refused() {
    let venue = Venue::start_with(config()).await;
    let old = millis() - 120_000;
    let mut session = Session::logged_on(&venue, &venue.bob).await;
    let late = (400, -1021);
    for operation in signed() {
        let pairs = parameters(operation, &[("orderId", "1")]);
        let payload = format!("{}&timestamp={old}", query(&pairs));
        let payload = payload.trim_start_matches('&');
        let signature = venue.alice.sign(payload);
        let path = format!("{}?{payload}&signature={signature}", operation.path);
        assert_eq!(venue.alice.raw(method(operation), &path, None).await.code(), late, "{}", operation.name);
        if operation.over_websocket {
            let answer = session.ask(operation.name, signed_at(&venue.alice, &pairs, old)).await;
            assert_eq!(code(&answer), late, "{}: {answer}", operation.name);
        }
    }
    for name in ["session.logon", "userDataStream.subscribe", "userDataStream.subscribe.signature"] {
        let answer = session.ask(name, signed_at(&venue.alice, &Pairs::new(), old)).await;
        assert_eq!(code(&answer), late, "{name}: {answer}");
    }
    assert_eq!(session.ask("session.status", json!({})).await["result"]["userDataStream"], false);
    // Within its time it does what it says.
    let fresh = signed_at(&venue.alice, &Pairs::new(), millis());
    assert_eq!(session.ask("userDataStream.subscribe", fresh).await["status"], 200);
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_good_only_from_the_addresses_that_it_was_issued_for() {
    let request = json!({"permissions": ["READ", "TRADE"], "allowedIps": ["10.0.0.0/8", "2001:db8::7"]});
    let venue = Venue::start_with(config()).await;
    let bound = venue.key(venue.alice.account, request.clone()).await;
    let before = venue.audit().await;
    assert!(all_are_refused(&venue, &bound, |_| true).await > 10);
    // What a client says of itself counts for nothing.
    assert_eq!(account_from(&bound, "10.1.2.3").await, REJECTED);
    assert_eq!(code(&Session::open_for(&venue, Some("10.1.2.3")).await.log_on(&bound).await), REJECTED);
    assert_eq!(venue.audit().await, before, "nothing was logged");
    venue.stop().await;

    let mut config = config();
    config.server.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let venue = Venue::start_with(config).await;
    let bound = venue.key(venue.alice.account, request).await;
    for (forwarded, expected) in [
        ("10.1.2.3", (200, 0)),
        ("2001:db8::7", (200, 0)),
        ("::ffff:10.1.2.3", (200, 0)),
        ("192.0.2.1, 10.1.2.3", (200, 0)),
        ("10.1.2.3, 127.0.0.9", (200, 0)),
        ("192.0.2.1", REJECTED),
        ("2001:db8::8", REJECTED),
        // The client's own words stand before what the proxy adds.
        ("10.1.2.3, 192.0.2.1", REJECTED),
        ("10.1.2.3, nonsense", REJECTED),
        ("", REJECTED),
    ] {
        assert_eq!(account_from(&bound, forwarded).await, expected, "{forwarded:?}");
        let mut session = Session::open_for(&venue, Some(forwarded)).await;
        assert_eq!(code(&session.log_on(&bound).await), expected, "{forwarded:?}");
    }
    venue.stop().await;
}

/// What a key is told that asks for its account through a proxy.
async fn account_from(client: &Client, forwarded: &str) -> (u16, i64) {
    let payload = format!("timestamp={}", millis());
    let url = format!("http://{}/api/v3/account?{payload}&signature={}", client.http, client.sign(&payload));
    let request = client.client.get(url).header("x-mbx-apikey", &client.key).header("x-forwarded-for", forwarded);
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    (status, body["code"].as_i64().unwrap_or(0))
}

/// Everything that an account sees of itself.
async fn all_of(client: &Client) -> Vec<Value> {
    let mut seen = vec![client.get("/api/v3/account", "").await.body];
    for path in ["openOrders", "allOrders", "myTrades"] {
        seen.push(client.get(&format!("/api/v3/{path}"), "symbol=BTCUSDT").await.body);
    }
    seen
}

/// The numbers and names of orders, and the numbers of accounts, that a message tells.
fn told(message: &Value, found: &mut BTreeSet<String>) {
    match message {
        Value::Object(fields) => {
            for (name, value) in fields {
                if ["orderId", "uid", "i"].contains(&name.as_str()) {
                    found.insert(value.to_string());
                }
                told(value, found);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| told(value, found)),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_cannot_see_or_change_what_is_of_another() {
    let venue = Venue::start_with(config()).await;
    let (alice, bob) = (&venue.alice, &venue.bob);
    let carol = venue.client("carol").await;
    // One order of alice's is open, one has traded in part, one has traded, one was cancelled.
    carol.limit("SELL", "0.1", "20000").await;
    let mut orders = vec![alice.limit("BUY", "0.1", "10000").await, alice.limit("BUY", "0.1", "20000").await];
    orders.push(alice.limit("BUY", "0.2", "15000").await);
    carol.limit("SELL", "0.1", "15000").await;
    orders.push(alice.limit("BUY", "0.1", "10001").await);
    let last = format!("symbol=BTCUSDT&orderId={}", orders[3]["orderId"]);
    assert_eq!(alice.delete("/api/v3/order", &last).await.status, 200);
    let hers = all_of(alice).await;
    assert_eq!((hers[1].as_array().unwrap().len(), hers[3].as_array().unwrap().len()), (2, 2), "{hers:?}");
    let mut forbidden = BTreeSet::from([alice.account.to_string()]);
    told(&json!(orders), &mut forbidden);
    assert_eq!(forbidden.len(), 5, "{forbidden:?}");

    let mut session = Session::logged_on(&venue, bob).await;
    let mut stream = Session::logged_on(&venue, bob).await;
    // Naming her key does not make it hers: it is bob's session.
    let params = json!({"apiKey": alice.key, "timestamp": millis()});
    assert_eq!(stream.ask("userDataStream.subscribe.signature", params).await["status"], 200);
    let stolen = Client { key: alice.key.clone(), ..bob.clone() };
    let answer = session.ask("userDataStream.subscribe", signed_at(&stolen, &Pairs::new(), millis())).await;
    assert_eq!(code(&answer), (400, -1022));

    for operation in signed() {
        for order in &orders {
            let (number, name) = (order["orderId"].to_string(), order["clientOrderId"].as_str().unwrap());
            for target in [
                [("orderId", &*number), ("", "")],
                [("origClientOrderId", name), ("", "")],
                [("orderId", &*number), ("origClientOrderId", name)],
                // The same name is another order when it is another account's.
                [("orderId", &*number), ("newClientOrderId", name)],
            ] {
                let pairs = parameters(operation, &target);
                let mut told_bob = BTreeSet::new();
                let rest = over_rest(bob, operation, &pairs).await;
                let mut codes = vec![rest.code()];
                told(&rest.body, &mut told_bob);
                if operation.over_websocket {
                    for params in [signed_at(bob, &pairs, millis()), timed(&pairs)] {
                        let answer = session.ask(operation.name, params).await;
                        codes.push(code(&answer));
                        told(&answer["result"], &mut told_bob);
                    }
                }
                assert!(told_bob.is_disjoint(&forbidden), "{} {target:?}: {told_bob:?}", operation.name);
                if ["order.status", "order.cancel", "order.amend.keepPriority"].contains(&operation.name) {
                    // By name he may find the order of his own that he has just placed under it.
                    let by_name = target[0].0 == "origClientOrderId";
                    let fails = codes.iter().all(|code| NO_SUCH_ORDER.contains(code) || (by_name && *code == (200, 0)));
                    assert!(fails, "{} {target:?}: {codes:?}", operation.name);
                }
            }
        }
    }
    assert_eq!(all_of(alice).await, hers, "nothing of hers has changed");

    // What happens to her is not told to him, and what happens to him is.
    alice.limit("BUY", "0.1", "10002").await;
    let mark = bob.limit("BUY", "0.1", "8000").await;
    loop {
        let event = stream.event().await;
        let mut told_bob = BTreeSet::new();
        told(&event, &mut told_bob);
        assert!(told_bob.is_disjoint(&forbidden), "{event}");
        if event["event"]["i"] == mark["orderId"] {
            break;
        }
        assert_ne!(event["event"]["p"], "10002.00000000", "{event}");
    }
    venue.stop().await;
}

/// One wrong digit anywhere in a signature or a token is as bad as any other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signature_or_token_with_one_wrong_digit_is_refused() {
    let venue = Venue::start_with(config()).await;
    let payload = format!("timestamp={}", millis());
    let right = venue.alice.sign(&payload);
    let ask = async |signature: &str| {
        let path = format!("/api/v3/account?{payload}&recvWindow=60000&signature={signature}");
        venue.alice.raw(Method::GET, &path, None).await.code()
    };
    let payload = format!("{payload}&recvWindow=60000");
    let right_here = venue.alice.sign(&payload);
    assert_eq!(ask(&right_here).await, (200, 0));
    assert_eq!(ask(&right).await, (400, -1022), "the signature of something else");
    for at in 0..right_here.len() {
        let mut wrong = right_here.clone().into_bytes();
        wrong[at] = if wrong[at] == b'0' { b'1' } else { b'0' };
        assert_eq!(ask(std::str::from_utf8(&wrong).unwrap()).await, (400, -1022), "digit {at}");
    }
    for at in 0..TOKEN.len() {
        let mut wrong = TOKEN.as_bytes().to_vec();
        wrong[at] ^= 1;
        let token = format!("Bearer {}", std::str::from_utf8(&wrong).unwrap());
        assert_eq!(operator(&venue, Method::GET, "audit", Some(&token)).await, (401, -1002), "character {at}");
    }
    venue.stop().await;
}

/// The routes of the admin API as its source has them, with numbers and names in the place of its variables.
fn admin_routes(venue: &Venue) -> Vec<(Method, String)> {
    let source = include_str!("../../../api-admin/src/lib.rs");
    let mut routes = Vec::new();
    for line in source.lines() {
        let Some((verb, rest)) = line.trim().strip_prefix("(&Method::").and_then(|rest| rest.split_once(", [")) else {
            continue;
        };
        let segments = rest.split_once("])").unwrap().0.split(", ");
        let path = segments.map(|segment| match segment {
            "id" => venue.alice.account.to_string(),
            "key" => venue.alice.key.clone(),
            "symbol" => "BTCUSDT".to_owned(),
            literal => literal.strip_prefix('"').unwrap().strip_suffix('"').unwrap().to_owned(),
        });
        routes.push((verb.parse().unwrap(), path.collect::<Vec<_>>().join("/")));
    }
    assert!(routes.len() >= 13, "{routes:?}");
    routes
}

/// Asks the admin address with a header of authorization, or none; status and code.
async fn operator(venue: &Venue, verb: Method, path: &str, authorization: Option<&str>) -> (u16, i64) {
    let url = format!("http://{}/admin/v1/{path}", venue.admin);
    let mut request = reqwest::Client::new().request(verb, url).body("{}");
    if let Some(authorization) = authorization {
        request = request.header("authorization", authorization);
    }
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap_or_default();
    (status, body["code"].as_i64().unwrap_or(0))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operators_paths_need_the_token() {
    let venue = Venue::start_with(config()).await;
    let before = venue.audit().await;
    let routes = admin_routes(&venue);
    let wrong = [
        None,
        Some(String::new()),
        Some("Bearer".to_owned()),
        Some("Bearer ".to_owned()),
        Some(TOKEN.to_owned()),
        Some(format!("Bearer {TOKEN}.")),
        Some(format!("Bearer {}", &TOKEN[1..])),
        Some(format!("Basic {TOKEN}")),
        Some(format!("Bearer {}", venue.alice.key)),
        Some(format!("Bearer {}", venue.alice.secret)),
    ];
    let verbs = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];
    let paths: BTreeSet<&str> =
        routes.iter().map(|(_, path)| path.as_str()).chain(["", "nothing", "../v1/audit"]).collect();
    for path in paths {
        for verb in &verbs {
            for authorization in &wrong {
                let told = operator(&venue, verb.clone(), path, authorization.as_deref()).await;
                assert_eq!(told, (401, -1002), "{verb} {path} {authorization:?}");
            }
        }
        // Neither a token in the query nor a client's signature opens it.
        assert_eq!(operator(&venue, Method::GET, &format!("{path}?token={TOKEN}"), None).await.0, 401, "{path}");
        // The clients' listener has none of it, token or not.
        let url = format!("http://{}/admin/v1/{path}", venue.http);
        let response = reqwest::Client::new().get(url).bearer_auth(TOKEN).send().await.unwrap();
        assert_eq!(response.status().as_u16(), 404, "{path}");
    }
    assert_eq!(venue.audit().await, before, "nothing was logged");
    let right = format!("Bearer {TOKEN}");
    for (verb, path) in routes.iter().filter(|(verb, _)| *verb != Method::DELETE) {
        let told = operator(&venue, verb.clone(), path, Some(&right)).await;
        // This venue keeps neither a history nor log lines.
        let is_absent = path.ends_with("/ledger") || path == "revenue" || path == "log";
        let due = if is_absent { told == (404, -1020) } else { matches!(told, (200, 0) | (400, -1130)) };
        assert!(due, "{verb} {path}: {told:?}");
    }
    venue.stop().await;
}
