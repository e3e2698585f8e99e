"""The scenarios that every client must be able to play, each over every transport it has.

Alice trades with the client under test; Bob is on the other side. Orders, fills, balances and fees are compared with
what the rules of the market say, to the last unit.
"""

from __future__ import annotations

from contextlib import contextmanager
from decimal import Decimal

import pytest

from money import fee
from traders import TRADERS, CcxtWs, PythonBinanceWs, SdkWs

D = Decimal


@pytest.fixture(params=TRADERS, ids=lambda kind: kind.name)
def trader(request, venue, alice):
    trader = request.param(venue, alice.key)
    yield trader
    trader.close()


@contextmanager
def refused(trader, kind, code, text):
    """What happens inside is refused: as the client's right exception, with the venue's code and text."""
    with pytest.raises(Exception) as caught:
        yield
    told_code, told_text = trader.told(caught.value) if isinstance(caught.value, trader.classes[kind]) else (None, None)
    assert type(caught.value) is trader.classes[kind], f"{type(caught.value)}: {caught.value}"
    assert told_text == text
    assert told_code in (code, None)


def assert_order(order, **expected):
    """Compares fields of an order: numbers as numbers, the rest as they are."""
    for name, value in expected.items():
        told = order[name]
        assert (D(told) == value) if isinstance(value, Decimal) else (told == value), (
            f"{name}: {told}, not {value}, in {order}"
        )


def assert_balances(trader, ledger):
    told = trader.balances()
    for asset, (free, held) in ledger.total.items():
        assert told.get(asset, (D(0), D(0))) == (free, held), asset


def test_the_market_is_listed_with_its_rules(trader, market):
    assert trader.rules(market) == {"tick": market.tick, "step": market.step, "min_notional": D(5)}


def test_deposits_are_the_balance(trader, ledger):
    assert_balances(trader, ledger)


def test_market_data(trader, market, counterparty, venue):
    # Nothing has traded, so there is no price to value a market order by quantity.
    venue.admin("PATCH", f"markets/{market.symbol}", {"minNotional": "0"})
    counterparty.limit(market.symbol, "BUY", "2", "99.50")
    counterparty.limit(market.symbol, "BUY", "1", "99.00")
    counterparty.limit(market.symbol, "SELL", "3", "100.50")
    trader.place(market, "BUY", "MARKET", quantity=D("0.5"))
    trader.place(market, "SELL", "MARKET", quantity=D("0.25"))

    assert trader.book(market) == ([(D("99.5"), D("1.75")), (D("99"), D("1"))], [(D("100.5"), D("2.5"))])
    ticker = trader.ticker(market)
    expected = {
        "lastPrice": "99.5",
        "lastQty": "0.25",
        "bidPrice": "99.5",
        "bidQty": "1.75",
        "askPrice": "100.5",
        "askQty": "2.5",
    }
    expected |= {"openPrice": "100.5", "highPrice": "100.5", "lowPrice": "99.5", "volume": "0.75", "priceChange": "-1"}
    expected |= {"quoteVolume": D("0.5") * D("100.5") + D("0.25") * D("99.5")}
    assert_order(ticker, count=2, **{name: D(value) for name, value in expected.items()})
    assert trader.market_trades(market) == [(100.5, 0.5), (99.5, 0.25)]

    # The two trades may stand on two sides of a full minute.
    candles = trader.candles(market)
    assert candles[0][0] == 100.5 and candles[-1][3] == 99.5
    assert max(row[1] for row in candles) == 100.5 and min(row[2] for row in candles) == 99.5
    assert sum(row[4] for row in candles) == pytest.approx(0.75)


def test_limit_order_rests_fills_in_part_and_is_cancelled(trader, market, ledger, counterparty):
    placed = trader.place(market, "BUY", "LIMIT", quantity=D("1.5"), price=D("100"), tif="GTC", client_id="resting-1")
    ledger.hold("BUY", "1.5", "100")
    assert_order(placed, symbol=market.symbol, side="BUY", type="LIMIT", timeInForce="GTC", status="NEW", price=D(100))
    assert_order(placed, origQty=D("1.5"), executedQty=D(0), cummulativeQuoteQty=D(0), clientOrderId="resting-1")
    assert_balances(trader, ledger)

    order_id = placed["orderId"]
    assert [row["orderId"] for row in trader.open_orders(market)] == [order_id]
    assert_order(trader.order(market, order_id), status="NEW", isWorking=True, origQty=D("1.5"))

    counterparty.limit(market.symbol, "SELL", "0.33333", "100", "IOC")
    charged = ledger.trade("BUY", "0.33333", "100", maker=True, from_hold=True)
    after = trader.order(market, order_id)
    assert_order(after, status="PARTIALLY_FILLED", executedQty=D("0.33333"), cummulativeQuoteQty=D("33.333"))
    assert_balances(trader, ledger)

    [trade] = trader.my_trades(market)
    assert_order(
        trade, orderId=order_id, price=D(100), qty=D("0.33333"), quoteQty=D("33.333"), isBuyer=True, isMaker=True
    )
    assert_order(trade, commission=charged, commissionAsset=market.base)

    cancelled = trader.cancel(market, order_id)
    ledger.release("BUY", D("1.5") - D("0.33333"), "100")
    assert_order(
        cancelled, orderId=order_id, status="CANCELED", executedQty=D("0.33333"), origClientOrderId="resting-1"
    )
    assert_order(trader.order(market, order_id), status="CANCELED", executedQty=D("0.33333"))
    assert trader.open_orders(market) == []
    assert_balances(trader, ledger)


def test_fees_are_rounded_up_to_the_last_unit(trader, market, ledger, counterparty):
    # 0.00007 x 87,654.32 is 6.1358024 USDT, and a thousandth of 0.00007 is 0.00000007: the seller's fee is rounded, the
    # buyer's is exact; at 0.00123 neither the other way round.
    for quantity, price in (("0.00007", "87654.32"), ("0.00123", "87654.33"), ("0.01001", "87653.99")):
        counterparty.limit(market.symbol, "SELL", quantity, price)
        order = trader.place(market, "BUY", "LIMIT", quantity=D(quantity), price=D(price))
        charged = ledger.trade("BUY", quantity, price)
        assert_order(order, status="FILLED", executedQty=D(quantity), cummulativeQuoteQty=D(quantity) * D(price))
        assert sum(D(fill["commission"]) for fill in order["fills"]) == charged
        assert_balances(trader, ledger)

        counterparty.limit(market.symbol, "BUY", quantity, price)
        order = trader.place(market, "SELL", "MARKET", quantity=D(quantity))
        charged = ledger.trade("SELL", quantity, price)
        [fill] = order["fills"]
        assert_order(fill, price=D(price), qty=D(quantity), commission=charged, commissionAsset=market.quote)
        assert charged == fee(D(quantity) * D(price), D("0.001"))
        assert_balances(trader, ledger)


def test_immediate_or_cancel_takes_what_there_is(trader, market, ledger, counterparty):
    counterparty.limit(market.symbol, "SELL", "0.4", "100")
    order = trader.place(market, "BUY", "LIMIT", quantity=D(1), price=D("100.50"), tif="IOC")
    ledger.trade("BUY", "0.4", "100")
    assert_order(order, status="EXPIRED", timeInForce="IOC", executedQty=D("0.4"), cummulativeQuoteQty=D(40))
    assert trader.open_orders(market) == []
    assert_balances(trader, ledger)


def test_fill_or_kill_takes_all_or_nothing(trader, market, ledger, counterparty):
    counterparty.limit(market.symbol, "SELL", "0.4", "100")
    order = trader.place(market, "BUY", "LIMIT", quantity=D("0.5"), price=D("100"), tif="FOK")
    assert_order(order, status="EXPIRED", executedQty=D(0))
    assert_balances(trader, ledger)
    order = trader.place(market, "BUY", "LIMIT", quantity=D("0.4"), price=D("100"), tif="FOK")
    ledger.trade("BUY", "0.4", "100")
    assert_order(order, status="FILLED", executedQty=D("0.4"))
    assert_balances(trader, ledger)


def test_market_order_by_quantity_walks_the_book(trader, market, ledger, counterparty, venue):
    venue.admin("PATCH", f"markets/{market.symbol}", {"minNotional": "0"})
    for quantity, price in (("0.1", "100"), ("0.2", "101"), ("5", "102")):
        counterparty.limit(market.symbol, "SELL", quantity, price)
    order = trader.place(market, "BUY", "MARKET", quantity=D("0.5"))
    walked = [(D("0.1"), D(100)), (D("0.2"), D(101)), (D("0.2"), D(102))]
    charged = [ledger.trade("BUY", *fill) for fill in walked]
    assert_order(order, status="FILLED", type="MARKET", executedQty=D("0.5"), cummulativeQuoteQty=D("50.6"))
    assert [(D(fill["qty"]), D(fill["price"])) for fill in order["fills"]] == walked
    assert [D(fill["commission"]) for fill in order["fills"]] == charged
    assert_balances(trader, ledger)


@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_market_order_by_quote_quantity_spends_at_most_that(trader, market, ledger, counterparty, side):
    counterparty.limit(market.symbol, "SELL" if side == "BUY" else "BUY", "5", "33.33")
    order = trader.place(market, side, "MARKET", quote_quantity=D("100"))
    # The largest whole number of lots that 100 pays for.
    quantity = (D(100) / D("33.33")).quantize(market.step, rounding="ROUND_DOWN")
    ledger.trade(side, quantity, "33.33")
    assert_order(order, status="FILLED", executedQty=quantity, cummulativeQuoteQty=quantity * D("33.33"))
    assert_order(order, origQuoteOrderQty=D(100))
    assert_balances(trader, ledger)


def test_post_only_rests_or_is_refused(trader, market, ledger, counterparty):
    counterparty.limit(market.symbol, "SELL", "1", "100")
    with refused(trader, "post_only", -2010, "Order would immediately match and take."):
        trader.place(market, "BUY", "LIMIT_MAKER", quantity=D(1), price=D(100))
    order = trader.place(market, "BUY", "LIMIT_MAKER", quantity=D(1), price=D("99.99"))
    ledger.hold("BUY", "1", "99.99")
    assert_order(order, status="NEW", type="LIMIT_MAKER")
    assert_balances(trader, ledger)


@pytest.mark.parametrize(
    ("type", "side", "stop", "limit", "through"),
    [
        ("STOP_LOSS", "SELL", "95", None, "95"),
        ("STOP_LOSS", "BUY", "105", None, "105"),
        ("STOP_LOSS_LIMIT", "SELL", "95", "94.50", "95"),
        ("STOP_LOSS_LIMIT", "BUY", "105", "105.50", "105"),
        ("TAKE_PROFIT", "SELL", "105", None, "105"),
        ("TAKE_PROFIT", "BUY", "95", None, "95"),
        ("TAKE_PROFIT_LIMIT", "SELL", "105", "104.50", "105"),
        ("TAKE_PROFIT_LIMIT", "BUY", "95", "95.50", "95"),
    ],
)
def test_conditional_orders_wait_trigger_and_fill(
    trader, market, ledger, bob, venue, counterparty, type, side, stop, limit, through
):
    counterparty.limit(market.symbol, "SELL", "1", "100")
    counterparty.limit(market.symbol, "BUY", "1", "100", "IOC", selfTradePreventionMode="NONE")
    # Liquidity that the triggered order takes, at the stop price: on the side that it will need.
    placed = trader.place(
        market, side, type, quantity=D("0.5"), price=None if limit is None else D(limit), stop_price=D(stop)
    )
    assert_order(placed, type=type, side=side, status="NEW", executedQty=D(0))
    waiting = trader.order(market, placed["orderId"])
    assert_order(waiting, status="NEW", stopPrice=D(stop), isWorking=False)
    assert [row["orderId"] for row in trader.open_orders(market)] == [placed["orderId"]]

    # Bob trades with himself at the stop price, and leaves enough for Alice behind.
    resting, taking = ("BUY", "SELL") if side == "SELL" else ("SELL", "BUY")
    counterparty.limit(market.symbol, resting, "1", through)
    counterparty.limit(market.symbol, taking, "0.1", through, "IOC", selfTradePreventionMode="NONE")

    filled = trader.order(market, placed["orderId"])
    assert_order(filled, status="FILLED", executedQty=D("0.5"), cummulativeQuoteQty=D("0.5") * D(through))
    ledger.trade(side, "0.5", through)
    [trade] = trader.my_trades(market)
    assert_order(trade, orderId=placed["orderId"], isMaker=False, isBuyer=side == "BUY", price=D(through))
    assert_balances(trader, ledger)


def test_conditional_order_on_the_wrong_side_is_refused_and_a_waiting_one_can_be_cancelled(
    trader, market, ledger, counterparty
):
    counterparty.limit(market.symbol, "SELL", "1", "100")
    counterparty.limit(market.symbol, "BUY", "1", "100", "IOC", selfTradePreventionMode="NONE")
    with refused(trader, "trigger", -2010, "Order would trigger immediately."):
        trader.place(market, "SELL", "STOP_LOSS_LIMIT", quantity=D(1), price=D(104), stop_price=D(105))
    placed = trader.place(market, "SELL", "STOP_LOSS_LIMIT", quantity=D(1), price=D(94), stop_price=D(95))
    ledger.hold("SELL", "1", "94")
    assert_balances(trader, ledger)
    assert_order(trader.cancel(market, placed["orderId"]), status="CANCELED", type="STOP_LOSS_LIMIT")
    ledger.release("SELL", "1", "94")
    assert_balances(trader, ledger)


def test_cancel_all(trader, market, ledger):
    placed = [trader.place(market, "BUY", "LIMIT", quantity=D(1), price=D(price))["orderId"] for price in (10, 11, 12)]
    gone = trader.cancel_all(market)
    assert sorted(row["orderId"] for row in gone) == placed
    assert {row["status"] for row in gone} == {"CANCELED"}
    assert trader.open_orders(market) == []
    assert_balances(trader, ledger)


def test_history(trader, market, counterparty):
    if isinstance(trader, (CcxtWs, PythonBinanceWs, SdkWs)):
        pytest.skip("this client asks for its history over REST, which its other transports show")
    counterparty.limit(market.symbol, "SELL", "1", "100")
    filled = trader.place(market, "BUY", "LIMIT", quantity=D(1), price=D(100))
    cancelled = trader.place(market, "BUY", "LIMIT", quantity=D(1), price=D(90))
    trader.cancel(market, cancelled["orderId"])
    resting = trader.place(market, "BUY", "LIMIT", quantity=D(1), price=D(80))
    told = {row["orderId"]: row["status"] for row in trader.all_orders(market)}
    assert told == {filled["orderId"]: "FILLED", cancelled["orderId"]: "CANCELED", resting["orderId"]: "NEW"}


def test_too_little_balance(trader, market, ledger):
    with refused(trader, "funds", -2010, "Account has insufficient balance for requested action."):
        trader.place(market, "BUY", "LIMIT", quantity=D("10001"), price=D("100"))
    with refused(trader, "funds", -2010, "Account has insufficient balance for requested action."):
        trader.place(market, "SELL", "MARKET", quantity=D("101"))
    assert_balances(trader, ledger)


def test_filters(trader, market, ledger):
    with refused(trader, "notional", -1013, "Filter failure: NOTIONAL"):
        trader.place(market, "BUY", "LIMIT", quantity=D("0.04"), price=D("100"))
    # ccxt rounds to tick and step by itself, so only bounds can be broken with it.
    if not trader.name.startswith("ccxt"):
        with refused(trader, "lot", -1013, "Filter failure: LOT_SIZE"):
            trader.place(market, "BUY", "LIMIT", quantity=D("1.000001"), price=D("100"))
        with refused(trader, "price", -1013, "Filter failure: PRICE_FILTER"):
            trader.place(market, "BUY", "LIMIT", quantity=D("1"), price=D("100.001"))
    assert_balances(trader, ledger)


def test_unknown_orders(trader, market):
    with refused(trader, "unknown_order", -2011, "Unknown order sent."):
        trader.cancel(market, 999_999_999)
    with refused(trader, "unknown_order", -2013, "Order does not exist."):
        trader.order(market, 999_999_999)
    with refused(trader, "unknown_order", -2011, "Unknown order sent."):
        trader.cancel_all(market)


def test_duplicate_client_order_id(trader, market):
    trader.place(market, "BUY", "LIMIT", quantity=D(1), price=D(90), client_id="twice")
    with refused(trader, "duplicate", -2010, "Duplicate order sent."):
        trader.place(market, "BUY", "LIMIT", quantity=D(1), price=D(90), client_id="twice")


def test_market_that_is_halted(trader, venue, market, ledger):
    resting = trader.place(market, "BUY", "LIMIT", quantity=D(1), price=D(90))
    venue.admin("PATCH", f"markets/{market.symbol}", {"status": "HALT"})
    with refused(trader, "closed", -2010, "Market is closed."):
        trader.place(market, "BUY", "LIMIT", quantity=D(1), price=D(90))
    venue.admin("PATCH", f"markets/{market.symbol}", {"status": "TRADING"})
    assert_order(trader.cancel(market, resting["orderId"]), status="CANCELED")
    assert_balances(trader, ledger)
