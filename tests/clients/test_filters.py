"""What `exchangeInfo` says of a market to whose rules the operator gave no bounds: every client must be able to read
it.
"""

from __future__ import annotations

import json
import subprocess
from decimal import Decimal
from pathlib import Path

import pytest

from traders import TRADERS, CcxtRest
from venue import Market

HERE = Path(__file__).resolve().parent
D = Decimal
# Steps from an asset of whole units to one of 18 decimals, prices from a currency of small worth to a token of nearly
# none.
SHAPES = [("0.01", "0.00001", 8), ("1", "1", 8), ("1000", "0.0001", 8), ("0.00000001", "1", 8), ("0.01", "0.001", 0)]


@pytest.fixture(scope="module", params=SHAPES, ids=lambda shape: f"tick {shape[0]} step {shape[1]}")
def bare(request, venue):
    """A market of which only what must be said was said."""
    tick, step, decimals = request.param
    venue.made += 1
    base = f"T{venue.made:03}"
    venue.make_asset(base, decimals or 8)
    symbol = f"{base}USDT"
    venue.admin(
        "POST",
        "markets",
        {"symbol": symbol, "baseAsset": base, "quoteAsset": "USDT", "tickSize": tick, "stepSize": step},
    )
    return Market(symbol, base, "USDT", D(tick), D(step), D(0), D(0))


def filters_of(venue, market) -> dict:
    symbols = venue.session.get(f"{venue.http}/api/v3/exchangeInfo", params={"symbol": market.symbol}).json()["symbols"]
    return {row["filterType"]: row for row in symbols[0]["filters"]}


def test_defaults_look_like_a_real_venues(venue, bare):
    filters = filters_of(venue, bare)
    bounds = {name: value for row in filters.values() for name, value in row.items() if name.startswith(("min", "max"))}
    for name, value in bounds.items():
        if isinstance(value, str):
            whole, fraction = value.split(".")
            assert len(whole) <= 10 and len(fraction) == 8 and D(value) >= 0, f"{name} is {value}"
    assert D(filters["NOTIONAL"]["maxNotional"]) >= 9_000_000
    assert D(filters["LOT_SIZE"]["maxQty"]) % bare.step == 0 and D(filters["PRICE_FILTER"]["maxPrice"]) % bare.tick == 0


@pytest.mark.parametrize("kind", TRADERS, ids=lambda kind: kind.name)
def test_each_client_reads_them(venue, bare, kind):
    account = venue.make_account("reader")
    trader = kind(venue, account.key)
    try:
        rules = trader.rules(bare)
        assert (rules["tick"], rules["step"]) == (bare.tick, bare.step)
        if kind.rules is CcxtRest.rules:
            limits, filters = trader.client.market(bare.unified)["limits"], filters_of(venue, bare)
            assert D(str(limits["amount"]["max"])) == D(filters["LOT_SIZE"]["maxQty"])
            assert D(str(limits["price"]["max"])) == D(filters["PRICE_FILTER"]["maxPrice"])
            assert D(str(limits["cost"]["max"])) == D(filters["NOTIONAL"]["maxNotional"])
    finally:
        trader.close()


def test_ccxt_in_javascript_reads_them(venue, bare):
    text = f"""
        import ccxt from "ccxt";
        const venue = new ccxt.binance({{ options: {{ defaultType: "spot", fetchMarkets: {{ types: ["spot"] }} }} }});
        const api = "{venue.http}/api/v3";
        venue.urls.api = {{ public: api, private: api }};
        await venue.loadMarkets();
        console.log(JSON.stringify(venue.market("{bare.unified}").limits));
    """
    command = ["node", "--input-type=module", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, cwd=HERE, timeout=60)
    assert done.returncode == 0, done.stderr
    limits, filters = json.loads(done.stdout), filters_of(venue, bare)
    assert D(str(limits["cost"]["max"])) == D(filters["NOTIONAL"]["maxNotional"])
    assert D(str(limits["amount"]["max"])) == D(filters["LOT_SIZE"]["maxQty"])


# What nautilus_trader (1.221, adapters/binance/spot/providers.py and model) asks of an instrument, in the tighter of
# its two builds: values are 64-bit fixed-point numbers with at most 9 digits after the point. Its package is too large
# to be one of the clients here.
NAUTILUS_PRECISION = 9
NAUTILUS_SIGNED_MAX, NAUTILUS_UNSIGNED_MAX = D(9_223_372_036), D(18_446_744_073)


def test_nautilus_could_hold_them(venue, bare):
    filters = filters_of(venue, bare)
    price, lot, notional = filters["PRICE_FILTER"], filters["LOT_SIZE"], filters["NOTIONAL"]
    for text, most in (
        (price["tickSize"], NAUTILUS_SIGNED_MAX),
        (lot["stepSize"], NAUTILUS_UNSIGNED_MAX),
        (lot["minQty"], NAUTILUS_UNSIGNED_MAX),
        (lot["maxQty"], NAUTILUS_UNSIGNED_MAX),
        (notional["minNotional"], NAUTILUS_SIGNED_MAX),
        (notional["maxNotional"], NAUTILUS_SIGNED_MAX),
    ):
        assert -D(text).as_tuple().exponent <= NAUTILUS_PRECISION and 0 <= D(text) <= most, text
    # It takes the lesser of the highest price and 2^32.
    assert 0 < min(D(price["maxPrice"]), D(2**32)) <= NAUTILUS_SIGNED_MAX


def test_a_minimum_above_the_default_maximum_makes_room(venue):
    base = f"T{venue.made + 1:03}"
    venue.made += 1
    venue.make_asset(base)
    rules = {"tickSize": "0.01", "stepSize": "0.00001", "minNotional": "20000000", "minQty": "10000000"}
    market = venue.admin("POST", "markets", {"symbol": f"{base}USDT", "baseAsset": base, "quoteAsset": "USDT"} | rules)
    bounds = {row["filterType"]: row for row in market["filters"]}
    assert D(bounds["NOTIONAL"]["maxNotional"]) == D(20_000_000_000)
    assert D(bounds["LOT_SIZE"]["maxQty"]) > D(10_000_000)
