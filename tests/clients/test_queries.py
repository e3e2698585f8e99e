"""What clients ask beside orders: rates, limits, filters, and tickers of windows and days, over REST and the WebSocket
API, by each client that has it.
"""

from __future__ import annotations

from decimal import Decimal

import pytest
from binance.exceptions import BinanceAPIException
from binance_common.errors import BadRequestError

from raw import RawClient
from traders import PythonBinanceAsync, SdkRest, SdkWs, SdkWsRefusal

D = Decimal


@pytest.fixture
def traded(market, alice, counterparty):
    counterparty.limit(market.symbol, "SELL", "2", "100")
    RawClient.of(alice).limit(market.symbol, "BUY", "1", "100")
    return market


def assert_commission(told, market):
    assert told["symbol"] == market.symbol
    standard, special = told["standardCommission"], told["specialCommission"]
    assert (D(standard["maker"]), D(standard["taker"])) == (market.maker_fee, market.taker_fee)
    assert {D(standard["buyer"]), D(standard["seller"])} == {D(rate) for rate in special.values()} == {D(0)}
    assert told["discount"]["enabledForAccount"] is False


def assert_counts(told):
    # The suite's venue has no limits, so there is none to tell.
    assert told == []


def assert_ticker(told):
    assert (D(told["openPrice"]), D(told["lastPrice"]), D(told["volume"]), told["count"]) == (D(100), D(100), D(1), 1)


def test_sdk_over_rest(venue, traded, alice):
    trader = SdkRest(venue, alice.key)
    ask, symbol = trader.client, traded.symbol
    assert_commission(trader.data(ask.account_commission(symbol=symbol)), traded)
    assert_counts(trader.data(ask.rate_limit_order()))
    filters = trader.data(ask.my_filters(symbol=symbol))
    assert (filters["exchangeFilters"], filters["assetFilters"]) == ([], [])
    assert "PRICE_FILTER" in [row["filterType"] for row in filters["symbolFilters"]]
    assert trader.data(ask.my_allocations(symbol=symbol)) == []
    assert_ticker(trader.data(ask.ticker(symbol=symbol, window_size="1h")))
    assert_ticker(trader.data(ask.ticker_trading_day(symbol=symbol, time_zone="02:00")))
    assert trader.data(ask.execution_rules(symbol=symbol)) == {"symbolRules": []}
    for asked in (
        lambda: ask.reference_price(symbol=symbol),
        lambda: ask.reference_price_calculation(symbol=symbol),
        lambda: ask.sor_order(symbol=symbol, side="BUY", type="MARKET", quantity=1.0),
    ):
        with pytest.raises(BadRequestError) as refused:
            asked()
        assert refused.value.status_code in (-2043, -1013)
    trader.close()


def test_sdk_over_the_websocket_api(venue, traded, alice):
    trader = SdkWs(venue, alice.key)
    ask, symbol = trader.ws, traded.symbol
    assert_commission(trader.ask(ask.account_commission(symbol=symbol)), traded)
    assert_counts(trader.ask(ask.account_rate_limits_orders()))
    # Its model of this answer has no place for the result.
    assert not hasattr(trader.do(ask.my_filters(symbol=symbol)).data(), "error")
    assert trader.ask(ask.my_allocations(symbol=symbol)) == []
    assert_ticker(trader.ask(ask.ticker(symbol=symbol, window_size="7d")))
    assert_ticker(trader.ask(ask.ticker_trading_day(symbol=symbol, time_zone="-1:00")))
    assert trader.ask(ask.execution_rules(symbol=symbol)) == {"symbolRules": []}
    for asked, code in (
        (lambda: ask.reference_price(symbol=symbol), -2043),
        (lambda: ask.sor_order_place(symbol=symbol, side="BUY", type="MARKET", quantity=1.0), -1013),
    ):
        with pytest.raises(SdkWsRefusal) as refused:
            trader.ask(asked())
        assert refused.value.error["code"] == code
    trader.close()


def test_python_binance(venue, traded, alice):
    trader = PythonBinanceAsync(venue, alice.key)
    client, symbol = trader.client, traded.symbol
    assert_commission(trader.do(client.ws_get_commission_rates(symbol=symbol)), traded)
    assert_counts(trader.do(client.ws_get_account_rate_limits_orders()))
    assert trader.do(client.get_allocations(symbol=symbol)) == []
    assert trader.do(client.ws_get_allocations(symbol=symbol)) == []
    assert_ticker(trader.do(client.get_symbol_ticker_window(symbol=symbol, windowSize="59m")))
    assert_ticker(trader.do(client.ws_get_symbol_ticker_window(symbol=symbol, windowSize="23h")))
    assert_ticker(trader.do(client.v3_get_ticker_trading_day(symbol=symbol)))
    assert_ticker(trader.do(client.ws_get_trading_day_ticker(symbol=symbol, timeZone="8")))
    with pytest.raises(BinanceAPIException) as refused:
        trader.do(client.v3_post_sor_order(symbol=symbol, side="BUY", type="MARKET", quantity="1"))
    assert (refused.value.code, refused.value.message) == (-1013, "This symbol has no SOR.")
    trader.close()
