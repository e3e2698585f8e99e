"""What an account's owner is told, in which order, with which fields: over the bare socket and through each client."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import ccxt.pro
import pytest

from feeds import USER_FEEDS
from pointing import pointed_ccxt
from raw import RawClient

D = Decimal

EVERY_REPORT = set("e E s c S o f q p P F g C x X r i l z L n N T t I w m M O Z Y Q V".split())


@pytest.fixture(params=USER_FEEDS, ids=lambda kind: kind.name)
def feed(request, venue, alice, key_pairs):
    alice.keys["ed25519"] = alice.make_key(key_pairs["ed25519"])
    with request.param(venue, alice) as feed:
        yield feed


def kinds(events):
    """The story in short: execution and status of reports, and the names of the other events."""
    return [f"{event['x']} {event['X']}" if event["e"] == "executionReport" else event["e"] for event in events]


def reports(events):
    return [event for event in events if event["e"] == "executionReport"]


def assert_fields(event, **expected):
    for name, value in expected.items():
        told = event[name]
        assert (D(told) == value) if isinstance(value, Decimal) else (told == value), (
            f"{name}: {told}, not {value}, in {event}"
        )


def assert_position(event, ledger, assets=None):
    """The event tells each named balance as the ledger has it."""
    assert event["e"] == "outboundAccountPosition"
    told = {row["a"]: (D(row["f"]), D(row["l"])) for row in event["B"]}
    for asset in assets or told:
        assert told[asset] == ledger.total[asset], asset


def test_the_life_of_a_maker(feed, market, alice, ledger, counterparty):
    client = RawClient.of(alice)
    placed = client.limit(market.symbol, "BUY", "1", "100", newClientOrderId="mine")
    ledger.hold("BUY", "1", "100")
    new, position = feed.wait(lambda events: len(events) >= 2 and events[:2])
    assert kinds([new, position]) == ["NEW NEW", "outboundAccountPosition"]
    assert_fields(
        new, s=market.symbol, c="mine", S="BUY", o="LIMIT", f="GTC", q=D(1), p=D(100), P=D(0), g=-1, C="", r="NONE"
    )
    assert_fields(
        new,
        i=placed["orderId"],
        l=D(0),
        z=D(0),
        L=D(0),
        n=D(0),
        t=-1,
        w=True,
        m=False,
        Z=D(0),
        Y=D(0),
        Q=D(0),
        V="NONE",
    )
    assert_fields(new, T=placed["transactTime"], O=placed["transactTime"], W=placed["workingTime"], F=D(0))
    assert_position(position, ledger, [market.quote])
    if feed.name.startswith("by"):
        assert (
            EVERY_REPORT <= new.keys() and new["N"] is None and isinstance(new["E"], int) and isinstance(new["I"], int)
        )

    counterparty.limit(market.symbol, "SELL", "0.33333", "99", "IOC")
    charged = ledger.trade("BUY", "0.33333", "100", maker=True, from_hold=True)
    trade, position = feed.wait(lambda events: len(events) >= 4 and events[2:4])
    assert kinds([trade, position]) == ["TRADE PARTIALLY_FILLED", "outboundAccountPosition"]
    assert_fields(
        trade, i=placed["orderId"], c="mine", l=D("0.33333"), z=D("0.33333"), L=D(100), n=charged, N=market.base
    )
    assert_fields(trade, m=True, w=True, Y=D("33.333"), Z=D("33.333"))
    assert trade["t"] >= 0
    assert_position(position, ledger, [market.base, market.quote])

    cancelled = client.call(
        "DELETE", "order", symbol=market.symbol, orderId=placed["orderId"], newClientOrderId="the-end"
    )
    ledger.release("BUY", D("0.66667"), "100")
    ended, position = feed.wait(lambda events: len(events) >= 6 and events[4:6])
    assert kinds([ended, position]) == ["CANCELED CANCELED", "outboundAccountPosition"]
    assert_fields(ended, i=placed["orderId"], c="the-end", C="mine", l=D(0), z=D("0.33333"), t=-1, w=False)
    assert cancelled["clientOrderId"] == "the-end" and cancelled["origClientOrderId"] == "mine"
    assert_position(position, ledger, [market.quote])


def test_the_life_of_a_taker(feed, market, alice, ledger, counterparty):
    counterparty.limit(market.symbol, "SELL", "0.2", "100")
    counterparty.limit(market.symbol, "SELL", "0.4", "101")
    order = RawClient.of(alice).limit(market.symbol, "BUY", "1", "101", "IOC")
    first, second = ledger.trade("BUY", "0.2", "100"), ledger.trade("BUY", "0.4", "101")
    events = feed.wait(lambda events: len(events) >= 5 and events)
    expected = [
        "NEW NEW",
        "TRADE PARTIALLY_FILLED",
        "TRADE PARTIALLY_FILLED",
        "EXPIRED EXPIRED",
        "outboundAccountPosition",
    ]
    assert kinds(events) == expected
    assert_fields(events[1], l=D("0.2"), z=D("0.2"), L=D(100), n=first, N=market.base, m=False)
    assert_fields(events[2], l=D("0.4"), z=D("0.6"), L=D(101), n=second, Z=D("60.4"), Y=D("40.4"))
    assert events[1]["t"] < events[2]["t"]
    assert [fill["tradeId"] for fill in order["fills"]] == [events[1]["t"], events[2]["t"]]
    assert_fields(events[3], z=D("0.6"), l=D(0), t=-1)
    assert_position(events[4], ledger, [market.base, market.quote])


def test_a_conditional_order(feed, market, alice, ledger, counterparty):
    counterparty.limit(market.symbol, "SELL", "1", "100")
    counterparty.limit(market.symbol, "BUY", "1", "100", "IOC", selfTradePreventionMode="NONE")
    order = {"symbol": market.symbol, "side": "SELL", "type": "STOP_LOSS_LIMIT", "timeInForce": "GTC"}
    placed = RawClient.of(alice).call("POST", "order", quantity="0.5", price="94", stopPrice="95", **order)
    ledger.hold("SELL", "0.5", "94")
    new = feed.wait(lambda events: len(events) >= 2 and events[0])
    assert_fields(new, x="NEW", X="NEW", o="STOP_LOSS_LIMIT", P=D(95), p=D(94), w=False, i=placed["orderId"])
    counterparty.limit(market.symbol, "BUY", "1", "95")
    counterparty.limit(market.symbol, "SELL", "0.1", "95", "IOC", selfTradePreventionMode="NONE")
    ledger.trade("SELL", "0.5", "95", from_hold=True)
    feed.wait(lambda events: len(events) >= 5)
    assert kinds(feed.events) == [
        "NEW NEW",
        "outboundAccountPosition",
        "NEW NEW",
        "TRADE FILLED",
        "outboundAccountPosition",
    ]
    assert_fields(feed.events[2], w=True, i=placed["orderId"])
    assert_fields(feed.events[3], z=D("0.5"), L=D(95), N=market.quote, m=False, w=False)
    assert_position(feed.events[-1], ledger, [market.base, market.quote])


def test_cancel_all(feed, market, alice, ledger):
    client = RawClient.of(alice)
    placed = [client.limit(market.symbol, "BUY", "1", price)["orderId"] for price in ("10", "11")]
    client.call("DELETE", "openOrders", symbol=market.symbol)
    ended = feed.wait(
        lambda events: [e for e in reports(events) if e["x"] == "CANCELED"][:2] if len(reports(events)) >= 4 else None
    )
    assert sorted(event["i"] for event in ended) == placed
    feed.wait(lambda events: events[-1]["e"] == "outboundAccountPosition")
    assert_position(feed.events[-1], ledger, [market.quote])


def test_self_trade_prevention(feed, market, alice, ledger):
    client = RawClient.of(alice)
    resting = client.limit(market.symbol, "SELL", "1", "100", selfTradePreventionMode="EXPIRE_TAKER")
    ledger.hold("SELL", "1", "100")
    taker = client.limit(market.symbol, "BUY", "1", "100", selfTradePreventionMode="EXPIRE_TAKER")
    assert (taker["status"], taker["executedQty"]) == ("EXPIRED_IN_MATCH", "0.00000000")
    ended = feed.wait(lambda events: [e for e in reports(events) if e["X"] == "EXPIRED_IN_MATCH"])
    assert [event["i"] for event in ended] == [taker["orderId"]]
    assert client.call("GET", "order", symbol=market.symbol, orderId=resting["orderId"])["status"] == "NEW"


def test_a_decremented_order_goes_on(feed, market, alice, ledger):
    client = RawClient.of(alice)
    resting = client.limit(market.symbol, "SELL", "3", "100")
    taker = client.limit(market.symbol, "BUY", "1", "100", selfTradePreventionMode="DECREMENT")
    assert (taker["status"], taker["preventedQuantity"]) == ("EXPIRED_IN_MATCH", "1.00000000")
    ledger.hold("SELL", "2", "100")
    prevented = lambda events: [e for e in reports(events) if e["x"] == "TRADE_PREVENTION"]  # noqa: E731
    told = feed.wait(lambda events: prevented(events)[1:] and prevented(events))
    assert [(event["i"], event["X"]) for event in told] == [
        (resting["orderId"], "NEW"),
        (taker["orderId"], "EXPIRED_IN_MATCH"),
    ]
    for event in told:
        assert_fields(event, A=D(1), B=D(1), l=D(0), pl=D(1), pL=D(100), u=-1)
    canceled = client.call("DELETE", "order", symbol=market.symbol, orderId=resting["orderId"])
    assert (canceled["preventedQuantity"], canceled["executedQty"]) == ("1.00000000", "0.00000000")
    ledger.release("SELL", "2", "100")


def test_transfers(feed, market, alice, ledger):
    alice.deposit(market.quote, "12.5", f"{market.symbol}-in")
    alice.withdraw(market.quote, "2.5", f"{market.symbol}-out")
    into, out = feed.wait(lambda events: (found := [e for e in events if e["e"] == "balanceUpdate"])[1:] and found)
    assert_fields(into, a=market.quote, d=D("12.5"))
    assert_fields(out, a=market.quote, d=D("-2.5"))


def test_only_ones_own(feed, market, counterparty, alice):
    counterparty.limit(market.symbol, "BUY", "1", "50")
    RawClient.of(alice).limit(market.symbol, "BUY", "1", "51", newClientOrderId="mine-alone")
    feed.wait(lambda events: len(events) >= 2)
    assert [event["c"] for event in reports(feed.events)] == ["mine-alone"]


async def test_ccxt_pro_watches_orders_balance_and_trades(venue, market, alice, ledger, counterparty):
    client = pointed_ccxt(ccxt.pro.binance, venue, alice.key)
    patience = lambda coroutine: asyncio.wait_for(coroutine, 10)  # noqa: E731
    try:
        await patience(client.load_markets())
        orders = asyncio.ensure_future(client.watch_orders(market.unified))
        balance = asyncio.ensure_future(client.watch_balance())
        await patience(client.fetch_balance_ws())  # by its answer the subscription before it holds
        placed = await patience(client.create_order_ws(market.unified, "limit", "buy", 1, 100))
        ledger.hold("BUY", "1", "100")
        [order] = await patience(orders)
        assert (order["id"], order["status"], order["remaining"], order["price"]) == (placed["id"], "open", 1.0, 100.0)
        told = await patience(balance)
        assert (told[market.quote]["free"], told[market.quote]["used"]) == tuple(
            float(x) for x in ledger.total[market.quote]
        )

        trades = asyncio.ensure_future(client.watch_my_trades(market.unified))
        orders = asyncio.ensure_future(client.watch_orders(market.unified))
        await asyncio.sleep(0)
        await asyncio.to_thread(counterparty.limit, market.symbol, "SELL", "0.4", "100", "IOC")
        charged = ledger.trade("BUY", "0.4", "100", maker=True, from_hold=True)
        [trade] = await patience(trades)
        assert (trade["order"], trade["amount"], trade["price"], trade["takerOrMaker"]) == (
            placed["id"],
            0.4,
            100.0,
            "maker",
        )
        assert trade["fee"] == {"cost": float(charged), "currency": market.base}
        [order] = await patience(orders)
        assert (order["status"], order["filled"], order["remaining"]) == ("open", 0.4, 0.6)

        orders = asyncio.ensure_future(client.watch_orders(market.unified))
        await asyncio.sleep(0)
        await patience(client.cancel_order_ws(placed["id"], market.unified))
        [order] = await patience(orders)
        assert (order["status"], order["clientOrderId"]) == ("canceled", placed["clientOrderId"])
    finally:
        await client.close()
