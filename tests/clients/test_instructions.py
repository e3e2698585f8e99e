"""Trailing stops and pegged orders, by each client that can ask for them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from raw import RawClient
from traders import CcxtRest, PythonBinanceRest, SdkRest, SdkWs

D = Decimal


@pytest.fixture
def traded(market, alice, counterparty):
    """A trade at 100, and bids at 98 and 97."""
    own = RawClient.of(alice)
    for price in ("98", "97"):
        own.limit(market.symbol, "BUY", "1", price)
    counterparty.limit(market.symbol, "SELL", "1", "100")
    counterparty.limit(market.symbol, "BUY", "1", "100")
    return counterparty


def trade_at(counterparty, market, price: str) -> None:
    counterparty.limit(market.symbol, "SELL", "0.1", price)
    counterparty.limit(market.symbol, "BUY", "0.1", price)


def trailed(order) -> tuple:
    return int(order["trailingDelta"]), int(order["trailingTime"]) > 0


def test_ccxt_trails_the_price(venue, market, alice, traded):
    trader = CcxtRest(venue, alice.key)
    asked = {"trailingPercent": 1, "stopLossOrTakeProfit": "stopLoss"}
    told = trader.client.create_order(market.unified, "limit", "sell", 1, 99.5, asked)
    order = RawClient.of(alice).call("GET", "order", symbol=market.symbol, orderId=told["id"])
    assert (trailed(order), order["isWorking"]) == ((100, True), False)
    trade_at(traded, market, "99")
    order = RawClient.of(alice).call("GET", "order", symbol=market.symbol, orderId=told["id"])
    assert (order["isWorking"], order["status"]) == (True, "NEW"), order
    trader.close()


def test_python_binance_trails_the_price_and_pegs(venue, market, alice, traded):
    trader = PythonBinanceRest(venue, alice.key)
    asked = {"symbol": market.symbol, "side": "SELL", "quantity": "1", "newOrderRespType": "RESULT"}
    stop = trader.client.create_order(type="STOP_LOSS", trailingDelta=200, **asked)
    assert (trailed(stop), stop["status"]) == ((200, True), "NEW")
    trade_at(traded, market, "101")
    assert [order["orderId"] for order in trader.open_orders(market)][-1] == stop["orderId"]
    trade_at(traded, market, "98.98")
    assert trader.order(market, stop["orderId"])["status"] == "FILLED"
    asked |= {"side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "pegPriceType": "PRIMARY_PEG"}
    pegged = trader.client.create_order(**asked)
    assert (pegged["pegPriceType"], D(pegged["peggedPrice"]), D(pegged["price"])) == ("PRIMARY_PEG", D(97), D(0))
    trader.close()


def trail_and_peg(trader, market) -> None:
    asked = {"symbol": market.symbol, "quantity": 1.0, "new_order_resp_type": "RESULT"}
    stop = trader._create(side="SELL", type="STOP_LOSS", trailing_delta=500, **asked)
    assert trailed(stop) == (500, True)
    offset = {"peg_offset_type": "PRICE_LEVEL", "peg_offset_value": 1}
    limit = {"side": "BUY", "type": "LIMIT", "time_in_force": "GTC"}
    pegged = trader._create(peg_price_type="PRIMARY_PEG", **offset, **limit, **asked)
    assert (pegged["pegOffsetType"], pegged["pegOffsetValue"], D(pegged["peggedPrice"])) == ("PRICE_LEVEL", 1, D(97))
    told = trader.order(market, pegged["orderId"])
    assert (told["pegPriceType"], D(told["peggedPrice"])) == ("PRIMARY_PEG", D(97))


def test_sdk_over_rest(venue, market, alice, traded):
    trader = SdkRest(venue, alice.key)
    trail_and_peg(trader, market)
    trader.close()


def test_sdk_over_the_websocket_api(venue, market, alice, traded):
    trader = SdkWs(venue, alice.key)
    trail_and_peg(trader, market)
    trader.close()
