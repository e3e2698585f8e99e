"""Bad input: each parameter of a new order missing, empty, malformed, too long, beyond a filter or of the wrong type,
and each way in which a request can fail to be its sender's. Each gets the documented status, code and text, and leaves
no trace: the log's sequence, the state's hash and every balance are what they were.
"""

from __future__ import annotations

import http.client
from urllib.parse import urlencode

import pytest

from conftest import funded
from keys import KeyPair
from raw import RawClient, RawSocket, now_ms, signed

DECIMAL = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
INTEGER = "^[0-9]{1,20}$"
CLIENT_ORDER_ID = "^[a-zA-Z0-9-_]{1,36}$"
SYMBOL = r"^[\w\-._&&[^a-z]]{1,50}$"

ABSENT = None


def missing(name):
    return 400, -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."


def empty(name):
    return 400, -1105, f"Parameter '{name}' was empty."


def illegal(name, legal):
    return 400, -1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'."


def needless(name):
    return 400, -1106, f"Parameter '{name}' sent when not required."


def precision(name):
    return 400, -1111, f"Parameter '{name}' has too much precision."


def filtered(name):
    return 400, -1013, f"Filter failure: {name}"


LIMIT = {"side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "1", "price": "100"}
MARKET = {"side": "BUY", "type": "MARKET", "quantity": "1"}
STOP = {
    "side": "SELL",
    "type": "STOP_LOSS_LIMIT",
    "timeInForce": "GTC",
    "quantity": "1",
    "price": "90",
    "stopPrice": "91",
}
NO_STOP = (400, -1102, "Param 'stopPrice' or 'trailingDelta' must be sent, but both were empty/null!")
EITHER_QUANTITY = (400, -1102, "Param 'quantity' or 'quoteOrderQty' must be sent, but both were empty/null!")

# An order that would be taken, what is changed in it (None: left out), and what must be answered.
ORDERS = [
    (LIMIT, {"symbol": ABSENT}, missing("symbol")),
    (LIMIT, {"symbol": ""}, empty("symbol")),
    (LIMIT, {"symbol": "BTC USDT"}, illegal("symbol", SYMBOL)),
    (LIMIT, {"symbol": "btcusdt"}, illegal("symbol", SYMBOL)),
    (LIMIT, {"symbol": "B" * 51}, illegal("symbol", SYMBOL)),
    (LIMIT, {"symbol": "NOSUCH"}, (400, -1121, "Invalid symbol.")),
    (LIMIT, {"side": ABSENT}, missing("side")),
    (LIMIT, {"side": ""}, empty("side")),
    (LIMIT, {"side": "HOLD"}, (400, -1117, "Invalid side.")),
    (LIMIT, {"side": "buy"}, (400, -1117, "Invalid side.")),
    (LIMIT, {"side": "BUY" * 5000}, (400, -1117, "Invalid side.")),
    (LIMIT, {"type": ABSENT}, missing("type")),
    (LIMIT, {"type": ""}, empty("type")),
    (LIMIT, {"type": "STOP"}, (400, -1116, "Invalid orderType.")),
    (LIMIT, {"timeInForce": ABSENT}, missing("timeInForce")),
    (LIMIT, {"timeInForce": ""}, empty("timeInForce")),
    (LIMIT, {"timeInForce": "GTX"}, (400, -1115, "Invalid timeInForce.")),
    (LIMIT, {"quantity": ABSENT}, missing("quantity")),
    (LIMIT, {"quantity": ""}, empty("quantity")),
    (LIMIT, {"quantity": "one"}, illegal("quantity", DECIMAL)),
    (LIMIT, {"quantity": "-1"}, illegal("quantity", DECIMAL)),
    (LIMIT, {"quantity": "+1"}, illegal("quantity", DECIMAL)),
    (LIMIT, {"quantity": "1e-05"}, illegal("quantity", DECIMAL)),
    (LIMIT, {"quantity": "1,5"}, illegal("quantity", DECIMAL)),
    (LIMIT, {"quantity": ".5"}, illegal("quantity", DECIMAL)),
    (LIMIT, {"quantity": "NaN"}, illegal("quantity", DECIMAL)),
    (LIMIT, {"quantity": "true"}, illegal("quantity", DECIMAL)),
    (LIMIT, {"quantity": "1" * 42}, illegal("quantity", DECIMAL)),
    (LIMIT, {"quantity": "1.0000000001"}, precision("quantity")),
    (LIMIT, {"quantity": "0"}, filtered("LOT_SIZE")),
    (LIMIT, {"quantity": "1.000001"}, filtered("LOT_SIZE")),
    (LIMIT, {"quantity": "9" * 20}, filtered("LOT_SIZE")),
    (LIMIT, {"price": ABSENT}, missing("price")),
    (LIMIT, {"price": ""}, empty("price")),
    (LIMIT, {"price": "dear"}, illegal("price", DECIMAL)),
    (LIMIT, {"price": "1" * 42}, illegal("price", DECIMAL)),
    (LIMIT, {"price": "100.0000000001"}, precision("price")),
    (LIMIT, {"price": "0"}, filtered("PRICE_FILTER")),
    (LIMIT, {"price": "100.001"}, filtered("PRICE_FILTER")),
    (LIMIT, {"price": "9" * 20}, filtered("PRICE_FILTER")),
    (LIMIT, {"price": "0.01"}, filtered("NOTIONAL")),
    (LIMIT, {"newClientOrderId": ""}, empty("newClientOrderId")),
    (LIMIT, {"newClientOrderId": "two words"}, illegal("newClientOrderId", CLIENT_ORDER_ID)),
    (LIMIT, {"newClientOrderId": "ü"}, illegal("newClientOrderId", CLIENT_ORDER_ID)),
    (LIMIT, {"newClientOrderId": "x" * 37}, illegal("newClientOrderId", CLIENT_ORDER_ID)),
    (LIMIT, {"newOrderRespType": ""}, empty("newOrderRespType")),
    (
        LIMIT,
        {"newOrderRespType": "EVERYTHING"},
        (400, -1130, "Data sent for parameter 'newOrderRespType' is not valid."),
    ),
    (LIMIT, {"selfTradePreventionMode": ""}, empty("selfTradePreventionMode")),
    (
        LIMIT,
        {"selfTradePreventionMode": "MAYBE"},
        (400, -1130, "Data sent for parameter 'selfTradePreventionMode' is not valid."),
    ),
    (LIMIT, {"quoteOrderQty": "100"}, needless("quoteOrderQty")),
    (LIMIT, {"stopPrice": "100"}, needless("stopPrice")),
    (LIMIT, {"recvWindow": ""}, empty("recvWindow")),
    (LIMIT, {"recvWindow": "long"}, illegal("recvWindow", DECIMAL)),
    (
        LIMIT,
        {"recvWindow": "60001"},
        (400, -1102, "'recvWindow' contains unexpected value. Cannot be greater than 60000."),
    ),
    (MARKET, {"quantity": ABSENT}, EITHER_QUANTITY),
    (MARKET, {"quoteOrderQty": "100"}, needless("quoteOrderQty")),
    (MARKET, {"quantity": ABSENT, "quoteOrderQty": ""}, empty("quoteOrderQty")),
    (MARKET, {"quantity": ABSENT, "quoteOrderQty": "much"}, illegal("quoteOrderQty", DECIMAL)),
    (MARKET, {"price": "100"}, needless("price")),
    (MARKET, {"timeInForce": "GTC"}, needless("timeInForce")),
    (MARKET, {"quantity": "1.000001"}, filtered("LOT_SIZE")),
    (STOP, {"stopPrice": ABSENT}, NO_STOP),
    (STOP, {"stopPrice": ""}, empty("stopPrice")),
    (STOP, {"stopPrice": "low"}, illegal("stopPrice", DECIMAL)),
    (STOP, {"stopPrice": "91.001"}, filtered("PRICE_FILTER")),
    (STOP, {"price": ABSENT}, missing("price")),
    (STOP, {"timeInForce": ABSENT}, missing("timeInForce")),
    (STOP | {"type": "STOP_LOSS"}, {"timeInForce": ABSENT}, needless("price")),
    (LIMIT | {"type": "LIMIT_MAKER"}, {}, needless("timeInForce")),
]


def described(case) -> str:
    order, change, (_, code, _) = case
    changed = " ".join(f"{name}={'-' if value is None else value[:12]}" for name, value in change.items()) or "as it is"
    return f"{order['type']} {changed} {code}"


@pytest.fixture(scope="module")
def stage(venue):
    """One market and one account for the whole table: nothing in it leaves a trace."""
    market = venue.make_market()
    return market, funded(venue, market, "alice")


@pytest.fixture
def no_trace(venue, stage):
    before = venue.audit(), stage[1].balances()
    yield
    assert (venue.audit(), stage[1].balances()) == before


def assert_answer(response, expected):
    body = response.json()
    assert (response.status_code, body["code"], body["msg"]) == expected
    assert body.keys() == {"code", "msg"} and response.headers["Content-Type"].startswith("application/json")


@pytest.mark.parametrize("case", ORDERS, ids=described)
@pytest.mark.parametrize("place", ["query", "body"])
def test_orders(stage, no_trace, case, place):
    market, alice = stage
    order, change, expected = case
    client = RawClient.of(alice)
    query = client.query({"symbol": market.symbol} | order | change)
    if len(query) > 8000 and place == "query":
        pytest.skip("longer than an address may be")
    if place == "query":
        response = client.send("POST", "/api/v3/order", query)
    else:
        response = client.send(
            "POST", "/api/v3/order", body=query, headers={"Content-Type": "application/x-www-form-urlencoded"}
        )
    assert_answer(response, expected)


def identity_cases():
    """Ways to be somebody else, or nobody, or too late: what is done to the signed query, to the headers, and what is
    answered.
    """
    signature = (400, -1022, "Signature for this request is not valid.")
    stale = (400, -1021, "Timestamp for this request is outside of the recvWindow.")
    ahead = (400, -1021, "Timestamp for this request was 1000ms ahead of the server's time.")

    def signed_at(offset, **more):
        return lambda client, order: (client.query(order | more, timestamp=now_ms() + offset), {})

    def cut(name):
        return lambda client, order: (
            "&".join(p for p in client.query(order).split("&") if not p.startswith(name + "=")),
            {},
        )

    def with_signature(text):
        return lambda client, order: (client.query(order).rsplit("=", 1)[0] + "=" + text, {})

    def tampered(client, order):
        return client.query(order).replace("quantity=1&", "quantity=2&"), {}

    def of_another_secret(client, order):
        other = KeyPair("hmac", client.key.api_key, "x" * 64)
        return RawClient(client.venue, other).query(order), {}

    def with_key(key):
        return lambda client, order: (client.query(order), {"X-MBX-APIKEY": key})

    def with_timestamp(text):
        return lambda client, order: (client.query(order | {"timestamp": text}), {})

    key_format = (401, -2014, "API-key format invalid.")
    yield "a minute late", signed_at(-60_000), stale
    yield "just past its window", signed_at(-2_000, recvWindow=1_000), stale
    yield "of tomorrow", signed_at(86_400_000), ahead
    yield "two seconds ahead", signed_at(2_000), ahead
    yield "no timestamp", cut("timestamp"), missing("timestamp")
    yield "empty timestamp", with_timestamp(""), empty("timestamp")
    yield "timestamp in words", with_timestamp("now"), illegal("timestamp", INTEGER)
    yield "timestamp with a fraction", with_timestamp("1.5"), illegal("timestamp", INTEGER)
    yield "no signature", cut("signature"), missing("signature")
    yield "empty signature", with_signature(""), empty("signature")
    yield "wrong signature", with_signature("00" * 32), signature
    yield "half a signature", with_signature("00" * 16), signature
    yield "not even hex", with_signature("zz" * 32), signature
    yield "endless signature", with_signature("a" * 4000), signature
    yield "changed after signing", tampered, signature
    yield "another secret", of_another_secret, signature
    yield "no key", with_key(None), key_format
    yield "empty key", with_key(""), key_format
    yield "not the shape of a key", with_key("not a key!"), key_format
    yield "no such key", with_key("a" * 64), (401, -2015, "Invalid API-key, IP, or permissions for action.")


IDENTITIES = list(identity_cases())


@pytest.mark.parametrize(
    ("change", "expected"), [case[1:] for case in IDENTITIES], ids=[case[0] for case in IDENTITIES]
)
def test_senders(stage, no_trace, change, expected):
    market, alice = stage
    client = RawClient.of(alice)
    query, headers = change(client, {"symbol": market.symbol} | LIMIT)
    assert_answer(client.send("POST", "/api/v3/order", query, headers=headers), expected)


def test_a_parameter_twice(stage, no_trace):
    market, alice = stage
    client = RawClient.of(alice)
    query = client.query({"symbol": market.symbol} | LIMIT)
    twice = query.replace("quantity=1&", "quantity=1&quantity=1&").rsplit("&signature", 1)[0]
    twice += "&signature=" + alice.key.sign(twice)
    assert_answer(
        client.send("POST", "/api/v3/order", twice), (400, -1101, "Duplicate values for parameter 'quantity' detected.")
    )


def test_the_signature_covers_query_and_body_as_sent(venue, stage):
    """Half of the order in the query, half in the body, signed as one text; the order is then cancelled again."""
    market, alice = stage
    client = RawClient.of(alice)
    query = urlencode({"symbol": market.symbol, "side": "BUY", "type": "LIMIT", "price": "100"})
    body = urlencode({"timeInForce": "GTC", "quantity": "1", "timestamp": now_ms()})
    body += f"&signature={alice.key.sign(query + body)}"
    placed = client.send("POST", "/api/v3/order", query, body=body, headers={"Content-Type": "application/json"})
    assert placed.status_code == 200, placed.text
    # The query wins over the body; a hexadecimal signature may be in capitals.
    query = urlencode({"symbol": market.symbol, "orderId": placed.json()["orderId"], "timestamp": now_ms()})
    signature = alice.key.sign(query + "symbol=OTHER").upper()
    gone = client.send("DELETE", "/api/v3/order", query, body=f"symbol=OTHER&signature={signature}")
    assert gone.status_code == 200 and gone.json()["status"] == "CANCELED", gone.text


def test_parameters_that_are_encoded(stage, no_trace):
    """Percent-encoded values are signed as sent, and read decoded."""
    market, alice = stage
    payload = f"symbol=%{ord(market.symbol[0]):02X}{market.symbol[1:]}&timestamp={now_ms()}"
    # Below `requests`, which would decode what needs no encoding.
    connection = http.client.HTTPConnection("127.0.0.1", alice.venue.port, timeout=10)
    query = f"{payload}&signature={alice.key.sign(payload)}"
    connection.request("GET", f"/api/v3/openOrders?{query}", headers={"X-MBX-APIKEY": alice.key.api_key})
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, b"[]")
    connection.close()


@pytest.mark.parametrize("path", ["order", "order/test"])
def test_bodies_that_are_no_form(stage, no_trace, path):
    market, alice = stage
    client = RawClient.of(alice)
    body = '{"symbol":"%s","side":"BUY"}' % market.symbol
    response = client.send("POST", f"/api/v3/{path}", body=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 400 and response.json()["code"] in (-1102, -1100), response.text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v3/nosuch", 404),
        ("GET", "/api/v9/time", 404),
        ("PUT", "/api/v3/order", 405),
        ("POST", "/api/v3/time", 405),
    ],
)
def test_addresses_that_do_not_exist(stage, no_trace, method, path, status):
    response = RawClient.of(stage[1]).send(method, path)
    assert response.status_code == status


WRONG_TYPES = [
    ({"symbol": 5}, -1121),
    ({"symbol": None}, -1102),
    ({"symbol": ["BTCUSDT"]}, -1100),
    ({"quantity": []}, -1100),
    ({"quantity": {}}, -1100),
    ({"quantity": True}, -1100),
    ({"price": "dear"}, -1100),
    ({"side": 1}, -1117),
    ({"type": False}, -1116),
    ({"newClientOrderId": ["x"]}, -1100),
]


@pytest.mark.parametrize(("change", "code"), WRONG_TYPES, ids=str)
def test_wrong_types_over_the_websocket_api(venue, stage, no_trace, change, code):
    market, alice = stage
    with RawSocket(f"{venue.ws}/ws-api/v3") as socket:
        answer = socket.ask("order.place", signed(alice.key, **({"symbol": market.symbol} | LIMIT | change)), id="x")
        assert answer["status"] == 400 and answer["error"]["msg"], answer
        # A list or an object has no agreed text to be signed, so that the signature may be found wrong first.
        assert answer["error"]["code"] in (code, -1022, -1102, -1100), answer
        assert socket.ask("ping", id="still there")["status"] == 200


@pytest.mark.parametrize(
    "message",
    [
        "not json",
        "[]",
        "17",
        "{}",
        '{"id":1}',
        '{"id":1,"method":5}',
        '{"id":1,"method":"order.dance"}',
        '{"id":1,"method":"ping","params":7}',
        '{"id":{"a":1},"method":"ping"}',
    ],
)
def test_malformed_requests_over_the_websocket_api(venue, stage, no_trace, message):
    with RawSocket(f"{venue.ws}/ws-api/v3") as socket:
        socket.send(message)
        answer = socket.receive()
        assert answer["status"] == 400 and answer["error"]["code"] < 0 and answer["error"]["msg"], answer
        assert socket.ask("ping", id=2)["status"] == 200
