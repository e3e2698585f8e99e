"""Orders that are amended and replaced, by each client that can ask for it."""

from __future__ import annotations

from decimal import Decimal

import pytest
from binance.exceptions import BinanceAPIException

from raw import RawClient
from traders import CcxtRest, PythonBinanceRest, SdkRest, SdkWs

D = Decimal


@pytest.fixture
def resting(market, alice):
    """An order of alice's, 2 at 98."""
    return RawClient.of(alice).limit(market.symbol, "BUY", "2", "98")["orderId"]


def test_ccxt_edits_an_order(venue, market, alice, resting):
    trader = CcxtRest(venue, alice.key)
    told = trader.client.edit_order(str(resting), market.unified, "limit", "buy", 1, 97)
    assert (told["price"], told["amount"], told["status"]) == (97.0, 1.0, "open")
    assert [str(order["orderId"]) for order in trader.open_orders(market)] == [told["id"]]
    trader.close()


def test_python_binance_replaces_an_order(venue, market, alice, resting):
    trader = PythonBinanceRest(venue, alice.key)
    order = {"symbol": market.symbol, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "1"}
    replaced = trader.client.cancel_replace_order(
        **order, price="97", cancelReplaceMode="STOP_ON_FAILURE", cancelOrderId=resting
    )
    assert (replaced["cancelResponse"]["orderId"], replaced["newOrderResult"]) == (resting, "SUCCESS")
    with pytest.raises(BinanceAPIException) as failed:
        trader.client.cancel_replace_order(
            **order, price="96", cancelReplaceMode="STOP_ON_FAILURE", cancelOrderId=resting
        )
    assert (failed.value.code, failed.value.status_code) == (-2022, 400)
    with pytest.raises(BinanceAPIException) as half:
        trader.client.cancel_replace_order(
            **order, price="96", cancelReplaceMode="ALLOW_FAILURE", cancelOrderId=resting
        )
    assert (half.value.code, half.value.status_code) == (-2021, 409)
    trader.close()


def amend_and_replace(ask, client, symbol, resting):
    amended = ask(client.order_amend_keep_priority(symbol=symbol, new_qty=1.5, order_id=resting))
    assert D(amended["amendedOrder"]["qty"]) == D("1.5")
    [amendment] = ask(client.order_amendments(symbol=symbol, order_id=resting))
    assert (amendment["executionId"], D(amendment["origQty"])) == (amended["executionId"], D(2))
    replaced = ask(
        client.order_cancel_replace(
            symbol=symbol,
            side="BUY",
            type="LIMIT",
            time_in_force="GTC",
            quantity=1.0,
            price=97.0,
            cancel_replace_mode="STOP_ON_FAILURE",
            cancel_order_id=resting,
        )
    )
    assert (replaced["cancelResult"], replaced["newOrderResult"]) == ("SUCCESS", "SUCCESS")


def test_sdk_over_rest(venue, market, alice, resting):
    trader = SdkRest(venue, alice.key)
    amend_and_replace(trader.data, trader.client, market.symbol, resting)
    trader.close()


def test_sdk_over_the_websocket_api(venue, market, alice, resting):
    trader = SdkWs(venue, alice.key)
    amend_and_replace(trader.ask, trader.ws, market.symbol, resting)
    trader.close()
