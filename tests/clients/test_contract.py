"""The venue's descriptions of its own API: they are valid documents, answers and messages keep to them, and a client
that a public generator makes of them trades.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest
import requests
from jsonschema import Draft7Validator
from openapi_spec_validator import validate

from contract import Contract
from raw import RawClient, RawSocket, Refused, signed
from venue import ADMIN_TOKEN, wait_until

HERE = Path(__file__).resolve().parent
ASYNCAPI_SCHEMA = HERE / "node_modules/@asyncapi/specs/schemas/3.0.0.json"


@pytest.fixture(scope="module")
def documents(venue):
    def read(url):
        return requests.get(url, timeout=10).json()

    return {
        "api": read(f"{venue.http}/openapi.json"),
        "admin": read(f"{venue.admin_url}/admin/v1/openapi.json"),
        "streams": read(f"{venue.http}/asyncapi.json"),
    }


@pytest.mark.parametrize("name", ["api", "admin"])
def test_openapi_documents_are_valid(documents, name):
    validate(documents[name])


def test_the_asyncapi_document_is_valid(documents):
    schema = json.loads(ASYNCAPI_SCHEMA.read_text())
    errors = [
        f"{error.json_path}: {error.message[:200]}"
        for error in Draft7Validator(schema).iter_errors(documents["streams"])
    ]
    assert not errors, errors[:5]


def test_every_channel_says_what_its_url_takes(documents):
    channels = documents["streams"]["channels"]
    queries = {name: set(channel["bindings"]["ws"]["query"]["properties"]) for name, channel in channels.items()}
    assert queries == {
        "stream": {"timeUnit"},
        "combined": {"streams", "timeUnit"},
        "api": {"returnRateLimits", "timeUnit"},
    }


@contextmanager
def refused(text):
    """What happens inside is refused with that text."""
    with pytest.raises(Refused) as caught:
        yield
    assert caught.value.message == text


def place_lists(trader, symbol):
    """Every kind of order list, around a price of 100. They stay open but for one."""
    pair = {"Above": {"Type": "LIMIT_MAKER", "Price": "120"}, "Below": {"Type": "STOP_LOSS", "StopPrice": "80"}}
    named = {f"{where}{name}": value for where, fields in pair.items() for name, value in fields.items()}
    above_below = {name[0].lower() + name[1:]: value for name, value in named.items()}
    pending = {f"pending{name}": value for name, value in named.items()}
    working = {"workingType": "LIMIT", "workingSide": "BUY", "workingPrice": "90", "workingTimeInForce": "GTC"}
    working |= {"workingQuantity": "0.2", "pendingSide": "SELL"}
    alone, quantity = {"pendingType": "MARKET"}, {"pendingQuantity": "0.1"}
    first = trader.call("POST", "orderList/oco", symbol=symbol, side="SELL", quantity="0.1", **above_below)
    trader.call("POST", "orderList/oto", symbol=symbol, **working, **alone, **quantity)
    trader.call("POST", "orderList/otoco", symbol=symbol, **working, **pending, **quantity)
    trader.call("POST", "orderList/opo", symbol=symbol, **working, **alone)
    last = trader.call("POST", "orderList/opoco", symbol=symbol, **working, **pending)
    # The stop order at 80 is lowered with it, and must still be worth the least that an order may be, 5.
    leg = {"orderId": first["orders"][1]["orderId"], "newQty": "0.08"}
    assert trader.call("PUT", "order/amend/keepPriority", symbol=symbol, **leg)["listStatus"]
    trader.call("DELETE", "orderList", symbol=symbol, orderListId=first["orderListId"])
    trader.call("DELETE", "order", symbol=symbol, orderId=last["orders"][0]["orderId"])
    trader.call("POST", "order/oco", symbol=symbol, side="SELL", quantity="0.1", price="120", stopPrice="80")
    trader.call("GET", "orderList", orderListId=first["orderListId"])
    assert trader.call("GET", "openOrderList")
    assert trader.call("GET", "allOrderList")


def test_every_operation_answers_as_described(venue, market, alice, counterparty):
    """Each operation is asked once, with what it needs; RawClient holds the answer to the description."""
    trader, symbol = RawClient.of(alice), market.symbol
    contract = venue.contract
    counterparty.limit(symbol, "SELL", "2", "101")
    counterparty.limit(symbol, "BUY", "2", "99")
    for detail in ("ACK", "RESULT", "FULL"):
        trader.limit(symbol, "BUY", "0.1", "101", newOrderRespType=detail)
    trader.call("POST", "order", symbol=symbol, side="SELL", type="MARKET", quoteOrderQty="20")
    trader.call("POST", "order", symbol=symbol, side="SELL", type="STOP_LOSS", quantity="0.1", stopPrice="90")
    resting = trader.limit(symbol, "BUY", "0.1", "98")
    trader.call("GET", "order", symbol=symbol, orderId=resting["orderId"])
    trader.call("GET", "openOrders", symbol=symbol)
    replacing = {"cancelOrderId": resting["orderId"], "cancelReplaceMode": "STOP_ON_FAILURE"}
    order = {"side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.2", "price": "98"}
    replaced = trader.call("POST", "order/cancelReplace", symbol=symbol, **order, **replacing)
    assert replaced["cancelResult"] == replaced["newOrderResult"] == "SUCCESS"
    resting = replaced["newOrderResponse"]
    trader.call("PUT", "order/amend/keepPriority", symbol=symbol, orderId=resting["orderId"], newQty="0.1")
    assert trader.call("GET", "order/amendments", symbol=symbol, orderId=resting["orderId"])
    trader.call("DELETE", "order", symbol=symbol, orderId=resting["orderId"])
    place_lists(trader, symbol)
    trader.call("DELETE", "openOrders", symbol=symbol)
    for rates in (None, "true"):
        order = {
            "symbol": symbol,
            "side": "BUY",
            "type": "LIMIT",
            "timeInForce": "GTC",
            "quantity": "1",
            "price": "100",
        }
        trader.call("POST", "order/test", **order, computeCommissionRates=rates)
    for path in ("allOrders", "myTrades"):
        assert trader.call("GET", path, symbol=symbol)
    trader.call("GET", "account")
    own = trader.limit(symbol, "SELL", "0.1", "100.5")
    trader.limit(symbol, "BUY", "0.1", "100.5", selfTradePreventionMode="EXPIRE_MAKER")
    assert trader.call("GET", "myPreventedMatches", symbol=symbol, orderId=own["orderId"])
    for path in ("trades", "historicalTrades", "aggTrades", "depth", "avgPrice"):
        assert trader.public(path, symbol=symbol)
    for path in ("klines", "uiKlines"):
        assert trader.public(path, symbol=symbol, interval="1m")
    for path in ("ticker/24hr", "ticker", "ticker/tradingDay", "ticker/price", "ticker/bookTicker"):
        trader.public(path, symbol=symbol)
        trader.public(path, symbols=json.dumps([symbol], separators=(",", ":")))
    for path in ("ticker/24hr", "ticker", "ticker/tradingDay"):
        trader.public(path, symbol=symbol, type="MINI")
    for path in ("account/commission", "myFilters", "myAllocations"):
        trader.call("GET", path, symbol=symbol)
    trader.call("GET", "rateLimit/order")
    trader.public("historicalBlockTrades", symbol=symbol, fromId=1)
    trader.call("POST", "countdownCancelAll", symbol=symbol, countdownTime=60_000)
    assert trader.call("GET", "countdownCancelAll")
    trader.call("POST", "countdownCancelAll", symbol=symbol, countdownTime=0)
    for path in ("exchangeInfo", "executionRules"):
        trader.public(path)
    routed = {"symbol": symbol, "side": "BUY", "type": "MARKET", "quantity": "1"}
    with refused("This symbol has no SOR."):
        trader.call("POST", "sor/order", **routed)
    with refused("This symbol has no SOR."):
        trader.call("POST", "sor/order/test", **routed)
    for path in ("referencePrice", "referencePrice/calculation"):
        with refused("This symbol doesn't have a reference price."):
            trader.public(path, symbol=symbol)
    venue.admin("PUT", f"markets/{symbol}/price-range", {"bidLimitMultUp": "100", "askLimitMultDown": "0.01"})
    venue.admin("PUT", f"markets/{symbol}/reference", {"calculationType": "EXTERNAL", "externalCalculationId": 3})
    for price in ("100.5", None):
        if price:
            venue.admin("PUT", f"markets/{symbol}/reference/price", {"price": price})
        else:
            venue.admin("DELETE", f"markets/{symbol}/reference/price")
        assert (trader.public("referencePrice", symbol=symbol)["referencePrice"] is None) == (price is None)
    trader.public("referencePrice/calculation", symbol=symbol)
    assert trader.public("executionRules", symbol=symbol)["symbolRules"]
    venue.admin("DELETE", f"markets/{symbol}/price-range")
    venue.admin("DELETE", f"markets/{symbol}/reference")
    for path in ("ping", "time"):
        trader.public(path)
    for operation in [operation for _, _, operation in contract.routes if operation["tags"] == ["Wallet"]]:
        paths = contract.document["paths"].items()
        path, verb = next((path, verb) for path, verbs in paths for verb in verbs if verbs[verb] == operation)
        query = trader.query({}) if "security" in operation else ""
        trader.decode(trader.send(verb.upper(), path, query))
    described = {operation["operationId"] for _, _, operation in contract.routes}
    # What no market has is refused above.
    described -= {"sorOrderPlace", "sorOrderTest"}
    assert described <= contract.seen, f"never asked: {described - contract.seen}"


def test_every_admin_operation_answers_as_described(venue, market, alice, counterparty):
    """`Venue.admin` holds each answer to the description."""
    key = alice.make_key(type(alice.key).hmac())
    alice.revoke(key)
    alice.deposit(market.base, 1, f"{market.symbol}-in")
    alice.withdraw(market.base, 1, f"{market.symbol}-out")
    venue.admin("PATCH", f"markets/{market.symbol}", {"status": "TRADING"})
    breaker = {"moveBp": 1_000, "windowSeconds": 60, "pauseSeconds": 86_400}
    venue.admin("PUT", f"markets/{market.symbol}/breaker", breaker)
    venue.admin("GET", f"markets/{market.symbol}/session")
    for price in ("100", "200"):
        counterparty.limit(market.symbol, "SELL", "1", price)
        RawClient.of(alice).limit(market.symbol, "BUY", "1", price)
    ended = venue.admin("POST", f"markets/{market.symbol}/session/end")
    assert ended["phase"] == "OPEN", ended
    venue.admin("DELETE", f"markets/{market.symbol}/breaker")
    venue.admin("PUT", f"markets/{market.symbol}/price-range", {"bidLimitMultUp": "2", "askLimitMultDown": "0.5"})
    external = {"calculationType": "EXTERNAL", "externalCalculationId": 0}
    venue.admin("PUT", f"markets/{market.symbol}/reference", external)
    venue.admin("PUT", f"markets/{market.symbol}/reference/price", {"price": "100"})
    venue.admin("DELETE", f"markets/{market.symbol}/reference/price")
    venue.admin("DELETE", f"markets/{market.symbol}/price-range")
    venue.admin("DELETE", f"markets/{market.symbol}/reference")
    venue.admin("POST", f"markets/{market.symbol}/session/auction", {"seconds": 60})
    venue.admin("POST", f"markets/{market.symbol}/session/end")
    venue.admin("DELETE", f"markets/{venue.make_market().symbol}")
    counterparty.call("DELETE", "openOrders", symbol=market.symbol)
    # What the trade brings the venue in fees is paid out.
    counterparty.limit(market.symbol, "SELL", "1", "100")
    RawClient.of(alice).limit(market.symbol, "BUY", "1", "100")
    [earned] = [row["fees"] for row in venue.admin("GET", "venue/balances")["balances"] if row["asset"] == market.base]
    payout = {"asset": market.base, "amount": earned, "transferId": f"{market.symbol}-payout"}
    venue.admin("POST", "venue/withdrawals", payout)
    newest = venue.admin("GET", "rules")["newest"]
    assert venue.admin("POST", "rules", {"rules": newest})["active"] == newest
    fees = f"accounts/{alice.id}/fees"
    assert venue.admin("PUT", fees, {"special": {"maker": "0.0001", "taker": "0.0002"}}) == venue.admin("GET", fees)
    venue.admin("PUT", fees, {})
    tiers = {"asset": market.quote, "tiers": [{"volume": "1000000000", "maker": "0.0001", "taker": "0.0002"}]}
    assert venue.admin("PUT", "fee-tiers", tiers)["tiers"] == venue.admin("GET", "fee-tiers")["tiers"] != []
    venue.admin("PUT", "fee-tiers", {"tiers": []})
    discount = {"asset": market.base, "discount": "0.25", "rates": {market.quote: "0.5"}, "except": [market.symbol]}
    assert venue.admin("PUT", "fee-discount", discount) == venue.admin("GET", "fee-discount")
    venue.admin("PUT", "fee-discount", {})
    use = f"accounts/{alice.id}/fee-discount"
    assert venue.admin("PUT", use, {"enabled": True}) == venue.admin("GET", use)
    venue.admin("PUT", use, {"enabled": False})
    filters = venue.admin("PATCH", "exchange-filters", {"maxNumOrders": 1_000_000})
    assert filters == venue.admin("GET", "exchange-filters")
    venue.admin("PATCH", "exchange-filters", {"maxNumOrders": 0})
    for group in (7, -1):
        assert venue.admin("PATCH", f"accounts/{alice.id}", {"tradeGroupId": group})["tradeGroupId"] == group
    adjustment = {"asset": market.base, "amount": "-0.001", "transferId": "adjusted", "reason": "a trial"}
    venue.admin("POST", f"accounts/{alice.id}/adjustments", adjustment)
    for what in ("orders", "trades"):
        assert venue.admin("GET", f"accounts/{alice.id}/{what}?symbol={market.symbol}&limit=5")[what]
    assert venue.admin("GET", "accounts?search=no-such-label")["accounts"] == []
    venue.admin("POST", f"accounts/{alice.id}/cancel-orders")
    for frozen in (True, False):
        assert venue.admin("PUT", f"accounts/{alice.id}/frozen", {"frozen": frozen})["frozen"] is frozen
    newest = venue.admin("GET", "operator-log?limit=1")
    assert newest["entries"][0]["action"].startswith(f"PUT accounts/{alice.id}/frozen") and newest["next"]
    assert venue.admin("GET", f"accounts/{alice.id}/ledger?limit=5")["entries"]
    assert venue.admin("GET", "log?limit=1")["lines"]
    for path in ("operator", "assets", "markets", "accounts", f"accounts/{alice.id}", "audit", "revenue"):
        venue.admin("GET", path)
    described = {operation["operationId"] for _, _, operation in venue.admin_contract.routes}
    assert described <= venue.admin_contract.seen, f"never asked: {described - venue.admin_contract.seen}"


def kind_of(message: dict | list) -> str:
    """The schema of a message of a market stream."""
    if isinstance(message, list):
        return f"{kind_of(message[0])}s"
    by_event = {
        "trade": "Trade",
        "aggTrade": "AggregateTrade",
        "depthUpdate": "DepthUpdate",
        "kline": "Kline",
        "24hrMiniTicker": "MiniTicker",
        "24hrTicker": "Ticker",
        "avgPrice": "AveragePrice",
        "referencePrice": "ReferencePrice",
        "symbolStatus": "SymbolStatus",
        "1hTicker": "RollingTicker",
        "4hTicker": "RollingTicker",
        "1dTicker": "RollingTicker",
    }
    if "e" in message:
        return by_event[message["e"]]
    return "PartialDepth" if "lastUpdateId" in message else "BookTicker"


def test_every_stream_sends_what_is_described(venue, market, alice, counterparty, documents):
    contract, trader, symbol = Contract(documents["streams"]), RawClient.of(alice), market.symbol
    names = [
        "trade",
        "aggTrade",
        "bookTicker",
        "depth@100ms",
        "depth5@100ms",
        "kline_1m",
        "miniTicker",
        "ticker",
        "avgPrice",
        "referencePrice",
        "symbolStatus",
        "ticker_1h",
    ]
    wanted = {
        "Trade",
        "AggregateTrade",
        "BookTicker",
        "DepthUpdate",
        "PartialDepth",
        "Kline",
        "MiniTicker",
        "Ticker",
        "AveragePrice",
        "ReferencePrice",
        "SymbolStatus",
        "RollingTicker",
    }
    wanted |= {"MiniTickers", "Tickers", "RollingTickers"}
    mean = {"calculationType": "ARITHMETIC_MEAN", "bucketCount": 10, "bucketWidthMs": 1_000}
    venue.admin("PUT", f"markets/{symbol}/reference", mean)
    with RawSocket(f"{venue.ws}/stream") as streams, RawSocket(f"{venue.ws}/ws-api/v3") as api:
        streams.send({"method": "SUBSCRIBE", "params": [f"{symbol.lower()}@{name}" for name in names], "id": 7})
        streams.send({"method": "SUBSCRIBE", "params": ["!miniTicker@arr", "!ticker@arr", "!ticker_1d@arr"], "id": 8})
        answer = api.ask("userDataStream.subscribe.signature", signed(alice.key))
        contract.check_named("Answer", answer)
        counterparty.limit(symbol, "SELL", "1", "100")
        trader.limit(symbol, "BUY", "0.5", "100")
        resting = trader.limit(symbol, "BUY", "0.5", "90")
        trader.call("DELETE", "order", symbol=symbol, orderId=resting["orderId"])
        alice.deposit(market.quote, 1, f"{symbol}-contract")
        for status in ("HALT", "TRADING"):
            venue.admin("PATCH", f"markets/{symbol}", {"status": status})

        def market_messages():
            message = streams.receive()
            if "stream" in message:
                contract.check_named("Combined", message)
                contract.check_named(kind_of(message["data"]), message["data"])
            else:
                contract.check_named("StreamAnswer", message)
            return wanted <= contract.seen

        wait_until(market_messages, "a message of every stream")

        events = {
            "executionReport": "ExecutionReport",
            "outboundAccountPosition": "AccountPosition",
            "balanceUpdate": "BalanceUpdate",
        }

        def user_events():
            message = api.receive()
            contract.check_named("UserEvent", message)
            contract.check_named(events[message["event"]["e"]], message["event"])
            return set(events.values()) <= contract.seen

        wait_until(user_events, "an event of every kind")


def test_a_generated_client_places_an_order(venue, market, alice, tmp_path):
    description = tmp_path / "openapi.json"
    description.write_text(requests.get(f"{venue.http}/openapi.json", timeout=10).text)
    # The generator tidies up with a formatter, which nobody reads here.
    (tmp_path / "config.yml").write_text(
        "project_name_override: generated\npackage_name_override: generated\npost_hooks: []\n"
    )
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--path", str(description), "--meta", "none"]
    command += [
        "--config",
        str(tmp_path / "config.yml"),
        "--output-path",
        str(tmp_path / "generated"),
        "--fail-on-warning",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    sys.path.insert(0, str(tmp_path))
    try:
        client_module = importlib.import_module("generated.client")
        place = importlib.import_module("generated.api.trading.order_place")
        account = importlib.import_module("generated.api.account.account_status")
        models = importlib.import_module("generated.models")
    finally:
        sys.path.remove(str(tmp_path))

    def sign(request: httpx.Request) -> None:
        payload = request.url.query.decode()
        signature = urlencode({"signature": alice.key.sign(payload)})
        request.url = request.url.copy_with(query=f"{payload}&{signature}".encode())
        request.headers["X-MBX-APIKEY"] = alice.key.api_key

    client = client_module.Client(
        base_url=venue.http, httpx_args={"event_hooks": {"request": [sign]}}, raise_on_unexpected_status=True
    )
    now = requests.get(f"{venue.http}/api/v3/time", timeout=10).json()["serverTime"]
    order = place.sync(
        client=client,
        symbol=market.symbol,
        side=models.OrderPlaceSide("BUY"),
        type_=models.OrderPlaceType("LIMIT"),
        time_in_force=models.OrderPlaceTimeInForce("GTC"),
        quantity="0.5",
        price="99",
        timestamp=now,
    )
    assert isinstance(order, models.PlacedOrder), order
    assert (order.symbol, order.status, order.orig_qty) == (market.symbol, "NEW", "0.50000000")
    [resting] = RawClient.of(alice).call("GET", "openOrders", symbol=market.symbol)
    assert resting["orderId"] == order.order_id
    seen = account.sync(client=client, timestamp=now)
    assert isinstance(seen, models.Account) and seen.uid == alice.id
