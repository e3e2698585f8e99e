"""ccxt's own view of the API: every endpoint in its table of the spot API, and the tests that it brings along for all
exchanges, run against the venue.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import re
import sys
from pathlib import Path

import ccxt
import pytest

from pointing import pointed_ccxt
from raw import RawClient
from venue import REPOSITORY, Venue

# What ccxt's tests are told not to look at, as ccxt tells them for Binance: a book of a spot market has no time.
SKIPPED = {name: {"timestamp": True, "datetime": True} for name in ("fetch_l2_order_book", "fetch_order_book")}
# ccxt's tests that apply to a spot market, with what each is given beside the exchange.
OWN_TESTS = [
    ("after_construct", ()),
    ("fetch_balance", ()),
    ("fetch_closed_orders", ("symbol",)),
    ("fetch_l2_order_book", ("symbol",)),
    ("fetch_last_prices", ("symbol",)),
    ("fetch_my_trades", ("symbol",)),
    ("fetch_ohlcv", ("symbol",)),
    ("fetch_open_orders", ("symbol",)),
    ("fetch_order_book", ("symbol",)),
    ("fetch_orders", ("symbol",)),
    ("fetch_status", ()),
    ("fetch_ticker", ("symbol",)),
    ("fetch_tickers", ("symbol",)),
    ("fetch_trades", ("symbol",)),
    ("fetch_trading_fee", ("symbol",)),
    ("fetch_trading_fees", ()),
    ("load_markets", ()),
]


@pytest.fixture(scope="module")
def venue(tmp_path_factory):
    """One of its own: some of ccxt's tests look at all markets, and expect that each has traded."""
    venue = Venue(tmp_path_factory.mktemp("ccxt")).start()
    venue.make_asset("USDT")
    yield venue
    assert venue.stop() == 0, venue.log_tail()


@pytest.fixture
def client(venue, alice):
    client = pointed_ccxt(ccxt.binance, venue, alice.key)
    # The venue has spot markets only.
    client.has |= {kind: False for kind in ("margin", "swap", "future", "option")}
    return client


@pytest.fixture
def traded(market, alice, counterparty):
    """A market with a book, a trade of alice, and an open order of hers."""
    counterparty.limit(market.symbol, "SELL", "5", "101")
    counterparty.limit(market.symbol, "BUY", "5", "99")
    trader = RawClient.of(alice)
    trader.limit(market.symbol, "BUY", "1", "101")
    resting = trader.limit(market.symbol, "BUY", "1", "98")
    return market, resting["orderId"]


@pytest.mark.parametrize("name, given", OWN_TESTS, ids=[name for name, _ in OWN_TESTS])
def test_ccxts_own_tests_pass(client, traded, name, given):
    market, _ = traded
    client.load_markets()
    module = as_it_is(f"ccxt.test.exchange.sync.test_{name}")
    known = {"symbol": market.unified}
    with contextlib.redirect_stdout(open(os.devnull, "w", encoding="utf-8")):
        getattr(module, f"test_{name}")(client, SKIPPED.get(name, {}), *(known[word] for word in given))


def as_it_is(name: str):
    """A module of tests, without what pytest makes of the assertions in it."""
    finders = sys.meta_path[:]
    sys.meta_path[:] = [finder for finder in finders if type(finder).__name__ != "AssertionRewritingHook"]
    try:
        return importlib.import_module(name)
    finally:
        sys.meta_path[:] = finders


def endpoints() -> list[tuple[str, str, str]]:
    """Section, method and path of all that ccxt knows of the spot API."""
    table = ccxt.binance().describe()["api"]
    sections = [
        (section, verb, path)
        for section in ("public", "private")
        for verb in table[section]
        for path in table[section][verb]
    ]
    return [(section, verb.upper(), path) for section, verb, path in sections]


def states() -> dict[str, str]:
    """The state of each operation, as docs/compatibility.md tells it."""
    text = (REPOSITORY / "docs/compatibility.md").read_text()
    rows = re.findall(r"^\| `([A-Z]+ /[\w/]+)` \|.*\| (done|different|missing) \|", text, re.MULTILINE)
    return dict(rows)


def parameters(method: str, path: str, symbol: str, order: int) -> dict:
    """What an endpoint needs."""
    named = {"symbol": symbol}
    leg = {"symbol": symbol, "side": "BUY", "quantity": "1"}
    limit = leg | {"type": "LIMIT", "timeInForce": "GTC", "price": "97"}
    of = {
        "klines": named | {"interval": "1m"},
        "uiKlines": named | {"interval": "1m"},
        "historicalBlockTrades": named | {"fromId": 1},
        "ping": {},
        "time": {},
        "account": {},
        "rateLimit/order": {},
        "allOrderList": {},
        "openOrderList": {},
        "orderList": {"orderListId": 1},
        "myPreventedMatches": named | {"orderId": order},
        "order/test": limit,
        "sor/order": limit,
        "sor/order/test": limit,
        "order/cancelReplace": limit | {"cancelReplaceMode": "STOP_ON_FAILURE", "cancelOrderId": order},
        "order/amend/keepPriority": named | {"orderId": order, "newQty": "0.5"},
        "order/amendments": named | {"orderId": order},
        "userDataStream": {} if method == "POST" else {"listenKey": "none"},
    }
    if path == "order":
        return limit if method == "POST" else named | {"orderId": order}
    return of.get(path, leg if method == "POST" else named)


# Refusals that every market without the thing gives.
ALWAYS = {"sor/order": -1013, "sor/order/test": -1013, "referencePrice": -2043, "referencePrice/calculation": -2043}


@pytest.mark.parametrize("section, method, path", endpoints(), ids=lambda part: part)
def test_every_endpoint_that_ccxt_knows_is_as_the_documents_say(client, traded, section, method, path):
    market, order = traded
    state = states()[f"{method} /api/v3/{path}"]
    sent = parameters(method, path, market.symbol, order)
    refusal = None
    try:
        client.request(path, [section], method, sent)
    except ccxt.BaseError as error:
        found = re.search(r"\{.*\}", str(error))
        assert found, error
        refusal = json.loads(found[0])["code"]
    # Listen keys are off here.
    if state == "missing" or path == "userDataStream":
        assert refusal == -1020
    elif path.startswith("orderList") or path == "order/oco":
        # Each needs parameters of its own, which other tests send.
        assert refusal != -1020
    else:
        assert refusal == ALWAYS.get(path)


def test_the_tests_of_ccxt_are_those_that_it_has():
    """A newer ccxt may have more of them."""
    folder = Path(importlib.import_module("ccxt.test").__file__).parent / "exchange/sync"
    theirs = {path.stem.removeprefix("test_") for path in folder.glob("test_*.py")}
    elsewhere = {
        name
        for name in theirs
        if re.search(
            "borrow|deposit|withdraw|funding|ledger|leverage|liquidation|margin|interest|position|transfer|transaction",
            name,
        )
    }
    # Of many exchanges, of proxies, of a way to sign in that Binance does not have, or of what `sapi` alone could tell.
    # In Python one adds texts and numbers up, and one takes the list of markets for no list of markets.
    elsewhere |= {"create_order", "fetch_markets"}
    elsewhere |= {"features", "fetch_accounts", "fetch_currencies", "fetch_order_books", "proxies", "sign_in"}
    assert theirs - elsewhere == {name for name, _ in OWN_TESTS}
