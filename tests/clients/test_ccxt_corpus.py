"""Calls of ccxt's spot interface, replayed on the venue: each must be done, or be refused for what the order or the
account is, and never because the venue does not understand what ccxt sends.

ccxt keeps a corpus of such calls and of answers of the real exchange in its repository (`ts/src/test/static`), which is
in none of its packages. Where `CCXT_STATIC` names that folder, all spot calls of it are replayed too, and the venue's
answers must have the fields of the recorded ones. What docs/compatibility.md tells as missing may be missing here too.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import ccxt
import pytest

from pointing import pointed_ccxt
from raw import RawClient
from venue import REPOSITORY, Venue

BASES = {"BTC": "50000", "ETH": "3000", "LTC": "60", "SOL": "150", "ADA": "1", "XRP": "2", "DOGE": "1", "BNB": "500"}
# Refusals for what an order, a market or an account is: filters, funds, triggers, orders that do not exist.
FOR_WHAT_IT_IS = {-1013, -2010, -2011, -2013, -2021, -2022, -2043}
UNKNOWN_OPERATION, UNKNOWN_PARAMETER = -1020, -1104

CALLS = [
    ("createOrder", ["LTC/USDT", "limit", "buy", 0.3, 55]),
    ("createOrder", ["LTC/USDT", "limit", "sell", 0.3, 65.432109]),
    ("createOrder", ["LTC/USDT", "limit", "buy", 0.3, 55, {"timeInForce": "IOC"}]),
    ("createOrder", ["LTC/USDT", "limit", "buy", 0.3, 55, {"timeInForce": "FOK"}]),
    ("createOrder", ["LTC/USDT", "limit", "buy", 0.3, 55, {"postOnly": True}]),
    ("createOrder", ["LTC/USDT", "limit", "buy", 0.3, 55, {"clientOrderId": "a-name-of-mine"}]),
    ("createOrder", ["LTC/USDT", "limit", "buy", 0.3, 55, {"test": True}]),
    ("createOrder", ["LTC/USDT", "limit", "buy", 0.3, 80, {"triggerPrice": 75}]),
    ("createOrder", ["LTC/USDT", "limit", "sell", 0.3, 50, {"stopLossPrice": 52}]),
    ("createOrder", ["LTC/USDT", "limit", "sell", 0.3, 70, {"takeProfitPrice": 71}]),
    ("createOrder", ["LTC/USDT", "market", "sell", 0.3, None, {"stopLossPrice": 52}]),
    ("createOrder", ["LTC/USDT", "market", "sell", 0.3, None, {"takeProfitPrice": 71}]),
    (
        "createOrder",
        ["LTC/USDT", "market", "sell", 0.3, None, {"trailingPercent": 3, "stopLossOrTakeProfit": "stopLoss"}],
    ),
    ("createOrder", ["LTC/USDT", "limit", "sell", 0.3, 55, {"trailingPercent": 4, "stopLossOrTakeProfit": "stopLoss"}]),
    (
        "createOrder",
        ["LTC/USDT", "limit", "sell", 0.3, 70, {"trailingPercent": 4, "stopLossOrTakeProfit": "takeProfit"}],
    ),
    ("createOrder", ["LTC/USDT", "market", "sell", 0.3]),
    ("createOrder", ["LTC/USDT", "market", "buy", 0.3]),
    ("createOrder", ["LTC/USDT", "market", "buy", 0.3, 60]),
    ("createOrder", ["LTC/USDT", "market", "buy", 0.3, None, {"cost": 30}]),
    ("createOrder", ["SOL/USDT", "limit", "buy", 0.5, 140, {"icebergAmount": 0.2}]),
    ("createOrder", ["SOL/USDT", "limit", "buy", 0.5, 140, {"selfTradePrevention": "expire_maker"}]),
    ("createOrder", ["SOL/USDT", "limit", "buy", 0.5, 140, {"sor": True}]),
    ("createMarketBuyOrderWithCost", ["LTC/USDT", 20]),
    ("createMarketSellOrderWithCost", ["LTC/USDT", 20]),
    ("createMarketOrderWithCost", ["LTC/USDT", "buy", 20]),
    ("createPostOnlyOrder", ["LTC/USDT", "limit", "buy", 0.3, 55]),
    ("createStopLimitOrder", ["LTC/USDT", "sell", 0.3, 50, 52]),
    ("editOrder", ["1", "LTC/USDT", "limit", "buy", 0.3, 54]),
    ("cancelOrder", ["1", "LTC/USDT"]),
    ("cancelOrder", ["1", "LTC/USDT", {"clientOrderId": "a-name-of-mine"}]),
    ("cancelAllOrders", ["LTC/USDT"]),
    ("fetchOrder", ["1", "LTC/USDT"]),
    ("fetchOrder", ["1", "LTC/USDT", {"clientOrderId": "a-name-of-mine"}]),
    ("fetchOrderTrades", ["1", "LTC/USDT"]),
    ("fetchOrders", ["LTC/USDT", 1_700_000_000_000, 5]),
    ("fetchClosedOrders", ["LTC/USDT"]),
    ("fetchCanceledOrders", ["LTC/USDT"]),
    ("fetchOpenOrders", ["LTC/USDT"]),
    ("fetchOpenOrders", []),
    ("fetchMyTrades", ["LTC/USDT", None, 5]),
    ("fetchBalance", []),
    ("fetchBalance", [{"omitZeroBalances": True}]),
    ("fetchTradingFee", ["LTC/USDT"]),
    ("fetchTradingFees", []),
    ("fetchTime", []),
    ("fetchStatus", []),
    ("fetchOrderBook", ["LTC/USDT", 20]),
    ("fetchTrades", ["LTC/USDT", None, 5]),
    ("fetchTrades", ["LTC/USDT", 1_700_000_000_000, 5]),
    ("fetchTrades", ["LTC/USDT", None, 5, {"fetchTradesMethod": "publicGetTrades"}]),
    ("fetchTrades", ["LTC/USDT", None, 5, {"fetchTradesMethod": "publicGetHistoricalTrades"}]),
    ("fetchOHLCV", ["LTC/USDT", "1h", 1_700_000_000_000, 10, {"until": 1_700_036_000_000}]),
    ("fetchTicker", ["LTC/USDT"]),
    ("fetchTicker", ["LTC/USDT", {"rolling": True}]),
    ("fetchTickers", [["LTC/USDT", "SOL/USDT"]]),
    ("fetchTickers", [["LTC/USDT", "SOL/USDT"], {"rolling": True}]),
    ("fetchTickers", [["LTC/USDT"], {"type": "spot"}]),
    ("fetchBidsAsks", [["LTC/USDT", "SOL/USDT"]]),
    ("fetchLastPrices", [["LTC/USDT"]]),
]


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    """A venue of its own, with the markets of the corpus."""
    venue = Venue(tmp_path_factory.mktemp("corpus")).start()
    venue.make_asset("USDT", 8)
    trader, other = venue.make_account("trader"), venue.make_account("other")
    for account in (trader, other):
        account.deposit("USDT", 10_000_000, f"{account.id}-USDT")
    for base, price in BASES.items():
        venue.make_asset(base)
        rules = {"tickSize": "0.01", "stepSize": "0.001", "minNotional": "5", "makerFee": "0.001", "takerFee": "0.001"}
        venue.admin("POST", "markets", {"symbol": f"{base}USDT", "baseAsset": base, "quoteAsset": "USDT"} | rules)
        for account in (trader, other):
            account.deposit(base, 100_000, f"{account.id}-{base}")
        RawClient.of(other).limit(f"{base}USDT", "SELL", "100", price)
        RawClient.of(trader).limit(f"{base}USDT", "BUY", "10", price)
        RawClient.of(other).limit(f"{base}USDT", "BUY", "100", str(round(float(price) * 0.99, 2)))
    yield venue, trader
    assert venue.stop() == 0, venue.log_tail()


@pytest.fixture
def client(stage):
    venue, trader = stage
    client = pointed_ccxt(ccxt.binance, venue, trader.key)
    client.options["warnOnFetchOpenOrdersWithoutSymbol"] = False
    client.load_markets()
    return client


def missing() -> tuple[set[str], set[str]]:
    """The operations and the parameters that docs/compatibility.md tells as missing."""
    text = (REPOSITORY / "docs/compatibility.md").read_text()
    operations = set(re.findall(r"^\| `([A-Z]+ /[\w/]+)` \|.*\| missing \|", text, re.MULTILINE))
    rows = re.findall(r"^\| `order\.place`[^|]*\| ([^|]*) \|[^|]*\| missing \|", text, re.MULTILINE)
    return operations, {name for row in rows for name in re.findall(r"`(\w+)`", row)}


def outcome(client, method: str, given: list) -> int | None:
    """The code of the refusal of a call, or nothing when it is done."""
    client.last_request_url = client.last_request_body = None
    try:
        getattr(client, method)(*given)
    except (ccxt.NotSupported, ccxt.ArgumentsRequired, ccxt.NullResponse):
        # ccxt itself does not go on.
        pytest.skip("ccxt sends nothing")
    except ccxt.BaseError as error:
        told = re.search(r'\{.*"code".*\}', str(error), re.DOTALL)
        if not told and client.last_request_url is None:
            pytest.skip(f"ccxt sends nothing: {error}")
        assert told, error
        return json.loads(told[0])["code"]
    return None


def assert_understood(client, method: str, given: list) -> None:
    refusal = outcome(client, method, given)
    if refusal is None or refusal in FOR_WHAT_IT_IS:
        return
    operations, parameters = missing()
    url = urlsplit(client.last_request_url)
    sent = set(parse_qs(url.query)) | set(parse_qs(client.last_request_body or ""))
    if refusal == UNKNOWN_OPERATION:
        assert any(place.endswith(f" {url.path}") for place in operations), f"{url.path} is not there"
    else:
        assert refusal == UNKNOWN_PARAMETER and sent & parameters, f"{refusal} for {url} {client.last_request_body}"


@pytest.mark.parametrize("method, given", CALLS, ids=lambda part: part if isinstance(part, str) else json.dumps(part))
def test_a_call_is_understood(client, method, given):
    assert_understood(client, method, given)


# ccxt's corpus --------------------------------------------------------------------------------------------------------


def recorded(kind: str) -> list:
    """The spot cases of ccxt's corpus of requests or responses: those of markets that are no contracts."""
    folder = os.environ.get("CCXT_STATIC")
    if not folder:
        return []
    corpus = json.loads((Path(folder) / kind / "binance.json").read_text())
    cases = []
    for method, entries in corpus["methods"].items():
        for entry in entries:
            given = json.dumps(entry["input"])
            names = set(re.findall(r"[A-Z0-9]+/[A-Z0-9]+(?::[A-Z0-9-]+)?", given))
            is_spot = all(name.split("/")[0] in BASES and name.endswith("/USDT") for name in names)
            elsewhere = "url" in entry and "/api/v3/" not in entry["url"]
            if is_spot and not elsewhere and not entry.get("disabled"):
                cases.append(pytest.param(method, entry, id=f"{method}: {entry['description']}"))
    return cases


@pytest.mark.skipif("CCXT_STATIC" not in os.environ, reason="CCXT_STATIC does not name ccxt's ts/src/test/static")
@pytest.mark.parametrize("method, entry", recorded("request"))
def test_a_recorded_request_is_understood(client, method, entry):
    assert_understood(client, method, entry["input"])


def fields(answer) -> set[str]:
    """The fields of an answer, or of the first of a list."""
    answer = answer[0] if isinstance(answer, list) and answer else answer
    return set(answer) if isinstance(answer, dict) else set()


@pytest.mark.skipif("CCXT_STATIC" not in os.environ, reason="CCXT_STATIC does not name ccxt's ts/src/test/static")
@pytest.mark.parametrize("method, entry", recorded("response"))
def test_a_recorded_response_has_no_field_that_the_venue_does_not_tell(client, method, entry):
    refusal = outcome(client, method, entry["input"])
    if refusal is not None:
        assert_understood(client, method, entry["input"])
        return
    answer = client.last_json_response if isinstance(client.last_json_response, (dict, list)) else {}
    told = fields(answer)
    if told:
        unknown = set(re.findall(r"`(\w+)`", (REPOSITORY / "docs/compatibility.md").read_text()))
        assert fields(entry["httpResponse"]) - told <= unknown
