"""Order lists, by each client that can place them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from raw import RawClient
from traders import PythonBinanceRest, SdkRest, SdkWs

D = Decimal

# Around the price of 100, at which alice and bob trade first.
PAIR = {"aboveType": "LIMIT_MAKER", "abovePrice": "110", "belowType": "STOP_LOSS", "belowStopPrice": "90"}


@pytest.fixture(autouse=True)
def priced(market, alice, counterparty):
    """A last price."""
    counterparty.limit(market.symbol, "SELL", "1", "100")
    RawClient.of(alice).limit(market.symbol, "BUY", "1", "100")


def test_python_binance_places_a_pair(venue, market, alice, counterparty):
    trader = PythonBinanceRest(venue, alice.key)
    placed = trader.client.create_oco_order(symbol=market.symbol, side="SELL", quantity="2", **PAIR)
    assert (placed["contingencyType"], placed["listOrderStatus"]) == ("OCO", "EXECUTING")
    assert {report["type"] for report in placed["orderReports"]} == {"STOP_LOSS", "LIMIT_MAKER"}
    # The limit order is filled, and the stop order ends with it.
    counterparty.limit(market.symbol, "BUY", "2", "110")
    ended = [
        trader.client.get_order(symbol=market.symbol, orderId=order["orderId"])["status"] for order in placed["orders"]
    ]
    assert ended == ["EXPIRED", "FILLED"]
    trader.close()


def place_and_cancel(ask, place, status, every, cancel, symbol):
    """A list that is found by its number and in the list of all, and cancelled."""
    placed = ask(
        place(
            symbol=symbol,
            side="SELL",
            quantity=1.0,
            above_type="LIMIT_MAKER",
            above_price=110.0,
            below_type="STOP_LOSS",
            below_stop_price=90.0,
        )
    )
    number = placed["orderListId"]
    assert ask(status(order_list_id=number))["listOrderStatus"] == "EXECUTING"
    assert number in [known["orderListId"] for known in ask(every())]
    cancelled = ask(cancel(symbol=symbol, order_list_id=number))
    assert cancelled["listOrderStatus"] == "ALL_DONE"
    assert ask(status(order_list_id=number))["listOrderStatus"] == "ALL_DONE"


def test_sdk_over_rest(venue, market, alice):
    trader = SdkRest(venue, alice.key)
    client = trader.client
    place_and_cancel(
        trader.data,
        client.order_list_oco,
        client.get_order_list,
        client.all_order_list,
        client.delete_order_list,
        market.symbol,
    )
    trader.close()


def test_sdk_over_the_websocket_api(venue, market, alice):
    trader = SdkWs(venue, alice.key)
    client = trader.ws
    place_and_cancel(
        trader.ask,
        client.order_list_place_oco,
        client.order_list_status,
        client.all_order_lists,
        client.order_list_cancel,
        market.symbol,
    )
    trader.close()


def test_a_working_order_buys_what_the_others_sell(venue, market, alice, counterparty):
    trader = RawClient.of(alice)
    placed = trader.call(
        "POST",
        "orderList/opoco",
        symbol=market.symbol,
        workingType="LIMIT",
        workingSide="BUY",
        workingPrice="95",
        workingQuantity="2",
        workingTimeInForce="GTC",
        pendingSide="SELL",
        pendingAboveType="LIMIT_MAKER",
        pendingAbovePrice="110",
        pendingBelowType="STOP_LOSS",
        pendingBelowStopPrice="90",
    )
    assert [report["status"] for report in placed["orderReports"]] == ["NEW", "PENDING_NEW", "PENDING_NEW"]
    counterparty.limit(market.symbol, "SELL", "2", "95")
    orders = {order["type"]: order for order in trader.call("GET", "openOrders", symbol=market.symbol)}
    assert set(orders) == {"STOP_LOSS", "LIMIT_MAKER"}
    assert orders["STOP_LOSS"]["origQty"] == orders["LIMIT_MAKER"]["origQty"]
    assert 0 < D(orders["LIMIT_MAKER"]["origQty"]) <= D(2)
    [ended] = trader.call("DELETE", "openOrders", symbol=market.symbol)
    assert (ended["orderListId"], ended["listOrderStatus"]) == (placed["orderListId"], "ALL_DONE")


def test_orders_of_a_pair_trail_the_price_and_take_it_from_the_book(venue, market, alice, counterparty):
    trader = PythonBinanceRest(venue, alice.key)
    counterparty.limit(market.symbol, "SELL", "1", "112")
    pair = {"aboveType": "LIMIT_MAKER", "abovePegPriceType": "PRIMARY_PEG", "belowType": "STOP_LOSS"}
    placed = trader.client.create_oco_order(
        symbol=market.symbol, side="SELL", quantity="2", belowTrailingDelta=1000, **pair
    )
    stop, limit = placed["orderReports"]
    assert (stop["trailingDelta"], D(limit["peggedPrice"])) == (1000, D("112"))
    assert stop["trailingTime"] > 0
    # What the price falls to ends the limit order, and the stop order finds no bid.
    counterparty.limit(market.symbol, "BUY", "1", "90")
    RawClient.of(alice).limit(market.symbol, "SELL", "1", "90")
    ended = [
        trader.client.get_order(symbol=market.symbol, orderId=order["orderId"])["status"] for order in placed["orders"]
    ]
    assert ended == ["EXPIRED", "EXPIRED"]
    trader.close()
