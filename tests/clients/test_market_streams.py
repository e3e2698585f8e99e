"""Public streams: depth that a book can be kept from, trades, candles and tickers, over the bare socket and through
each client.
"""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal

import ccxt.pro
import pytest

from feeds import MARKET_FEEDS
from pointing import pointed_ccxt
from raw import RawClient, RawSocket

D = Decimal
KINDS = ["trade", "aggTrade", "kline_1m", "depth@100ms", "depth5@100ms", "miniTicker", "ticker", "bookTicker"]
KINDS += ["ticker_1h", "avgPrice"]


@pytest.fixture(params=MARKET_FEEDS, ids=lambda kind: kind.name)
def feed(request, venue, market):
    with request.param(venue, [f"{market.symbol.lower()}@{kind}" for kind in KINDS]) as feed:
        yield feed


def of(events, kind):
    return [event for event in events if event.get("e") == kind]


def test_every_kind(feed, market, alice, counterparty):
    counterparty.limit(market.symbol, "SELL", "2", "100")
    client = RawClient.of(alice)
    order = client.limit(market.symbol, "BUY", "0.5", "100")
    client.limit(market.symbol, "BUY", "1", "99")
    [fill] = order["fills"]

    [trade] = feed.wait(lambda events: of(events, "trade"), "a trade")
    assert (trade["s"], D(trade["p"]), D(trade["q"]), trade["m"]) == (market.symbol, D(100), D("0.5"), False)
    assert trade["t"] == fill["tradeId"] and trade["T"] == order["transactTime"] and trade["E"] >= trade["T"]

    [aggregate] = feed.wait(lambda events: of(events, "aggTrade"), "an aggregate trade")
    assert (D(aggregate["p"]), D(aggregate["q"]), aggregate["f"], aggregate["l"]) == (
        D(100),
        D("0.5"),
        trade["t"],
        trade["t"],
    )

    candle = feed.wait(lambda events: (found := of(events, "kline")) and found[-1]["k"], "a candle")
    assert (candle["s"], candle["i"], D(candle["o"]), D(candle["c"]), D(candle["v"]), candle["n"]) == (
        (market.symbol, "1m", D(100), D(100), D("0.5"), 1)
    )
    assert candle["t"] % 60_000 == 0 and candle["T"] == candle["t"] + 59_999 and candle["x"] is False

    mini = feed.wait(lambda events: (found := of(events, "24hrMiniTicker")) and found[-1], "a small ticker")
    assert (mini["s"], D(mini["c"]), D(mini["v"]), D(mini["q"])) == (market.symbol, D(100), D("0.5"), D(50))
    ticker = feed.wait(
        lambda events: (found := [e for e in of(events, "24hrTicker") if D(e["b"]) == 99]) and found[-1], "a ticker"
    )
    assert (D(ticker["c"]), D(ticker["a"]), D(ticker["A"]), ticker["n"]) == (D(100), D(100), D("1.5"), 1)

    hour = feed.wait(lambda events: [e for e in of(events, "1hTicker") if e["n"]], "a ticker of an hour")[-1]
    assert (hour["s"], D(hour["c"]), D(hour["w"]), hour["n"]) == (market.symbol, D(100), D(100), 1)
    assert hour["O"] % 60_000 == 0 and 3_600_000 <= hour["C"] - hour["O"] < 3_660_000
    average = feed.wait(lambda events: [e for e in of(events, "avgPrice") if D(e["w"])], "an average price")[-1]
    assert (average["s"], average["i"], D(average["w"]), average["T"]) == (market.symbol, "5m", D(100), trade["T"])

    # The best prices come without a name, the small book without one too.
    best = feed.wait(
        lambda events: [e for e in events if "e" not in e and "A" in e and D(e["b"] or 0) == 99], "best prices"
    )[-1]
    assert (best["s"], D(best["B"]), D(best["a"]), D(best["A"])) == (market.symbol, D(1), D(100), D("1.5"))
    small = feed.wait(lambda events: [e for e in events if e.get("bids")], "the small book")[-1]
    assert [[D(x) for x in row] for row in small["bids"]] == [[D(99), D(1)]]
    assert [[D(x) for x in row] for row in small["asks"]] == [[D(100), D("1.5")]]


def test_a_book_kept_from_the_stream_equals_the_book(feed, market, alice, counterparty):
    """The procedure that the API's users follow: snapshot, drop what is older, apply the rest, and never a gap."""
    public, client = RawClient(feed.venue), RawClient.of(alice)
    for at in range(10):
        counterparty.limit(market.symbol, "SELL", f"1.{at}", f"{100 + at}")
        client.limit(market.symbol, "BUY", f"2.{at}", f"{99 - at}")
    snapshot = public.public("depth", symbol=market.symbol, limit=1000)
    for at in range(5):
        client.limit(market.symbol, "BUY", "1.5", f"{100 + at}", "IOC")
    client.call("DELETE", "openOrders", symbol=market.symbol)
    final = public.public("depth", symbol=market.symbol, limit=1000)
    assert final["lastUpdateId"] > snapshot["lastUpdateId"]
    updates = feed.wait(
        lambda events: (found := of(events, "depthUpdate")) and found[-1]["u"] >= final["lastUpdateId"] and found,
        "the last update",
    )
    for before, after in zip(updates, updates[1:], strict=False):
        assert after["U"] == before["u"] + 1, "a gap in the updates"

    book = {side: {D(price): D(size) for price, size in snapshot[side]} for side in ("bids", "asks")}
    for update in updates:
        if update["u"] <= snapshot["lastUpdateId"]:
            continue
        for side, rows in (("bids", update["b"]), ("asks", update["a"])):
            for price, size in rows:
                book[side][D(price)] = D(size)
    kept = {side: {price: size for price, size in rows.items() if size} for side, rows in book.items()}
    assert kept == {side: {D(price): D(size) for price, size in final[side]} for side in ("bids", "asks")}


async def test_ccxt_pro_watches_the_market(venue, market, alice, counterparty):
    client = pointed_ccxt(ccxt.pro.binance, venue)
    place = lambda *order: asyncio.to_thread(counterparty.limit, market.symbol, *order)  # noqa: E731
    try:
        await client.load_markets()
        await place("SELL", "2", "100")
        book = await asyncio.wait_for(client.watch_order_book(market.unified), 10)
        assert (book["asks"], book["bids"]) == ([[100.0, 2.0]], [])
        watched = {
            "trades": client.watch_trades(market.unified),
            "candles": client.watch_ohlcv(market.unified, "1m"),
            "ticker": client.watch_ticker(market.unified),
            "best": client.watch_bids_asks([market.unified]),
        }
        watched = {name: asyncio.ensure_future(coroutine) for name, coroutine in watched.items()}
        await asyncio.sleep(1)  # its subscriptions go out one by one, and nothing tells when they hold
        buyer = RawClient.of(alice)
        await asyncio.to_thread(buyer.limit, market.symbol, "BUY", "0.5", "100")
        told = dict(zip(watched, await asyncio.wait_for(asyncio.gather(*watched.values()), 10), strict=True))
        assert [(trade["price"], trade["amount"], trade["side"]) for trade in told["trades"]] == [(100.0, 0.5, "buy")]
        assert told["candles"][-1][1:] == [100.0, 100.0, 100.0, 100.0, 0.5]
        # The first ticker tells how things stand, and another comes within a second of the trade.
        assert told["ticker"]["last"] in (None, 100.0)
        deadline = time.monotonic() + 10
        while client.tickers[market.unified]["last"] != 100.0:
            assert time.monotonic() < deadline, client.tickers
            await asyncio.sleep(0.05)
        assert client.tickers[market.unified]["baseVolume"] == 0.5
        assert told["best"][market.unified]["askVolume"] in (2.0, 1.5)
        await place("SELL", "1", "101")
        deadline = time.monotonic() + 10
        while [list(row) for row in book["asks"]] != [[100.0, 1.5], [101.0, 1.0]]:
            assert time.monotonic() < deadline, book
            book = await asyncio.wait_for(client.watch_order_book(market.unified), 10)
    finally:
        await client.close()


def test_addresses_of_streams(venue, market, counterparty):
    name = f"{market.symbol.lower()}@trade"
    paths = [f"/ws/{name}", f"/stream?streams={name}/{market.symbol.lower()}@miniTicker", "/ws/0", "/ws", "/stream"]
    sockets = {path: RawSocket(venue.ws + path) for path in paths}
    for path in paths[2:]:
        assert sockets[path].ask("SUBSCRIBE", [name], id=3) == {"result": None, "id": 3}
    counterparty.limit(market.symbol, "SELL", "1", "100")
    counterparty.limit(market.symbol, "BUY", "1", "100", selfTradePreventionMode="NONE")
    for path, socket in sockets.items():
        message = socket.receive()
        while message.get("stream", name) != name:
            message = socket.receive()
        if path.startswith("/stream"):
            assert message.keys() == {"stream", "data"} and message["stream"] == name
            message = message["data"]
        assert (message["e"], message["s"]) == ("trade", market.symbol)
        assert socket.ask("LIST_SUBSCRIPTIONS", id="list")["result"]
    with sockets["/ws"] as socket:
        assert socket.ask("UNSUBSCRIBE", [name], id=None) == {"result": None, "id": None}
        assert socket.ask("LIST_SUBSCRIPTIONS", id=5) == {"result": [], "id": 5}
    for socket in sockets.values():
        socket.__exit__()


@pytest.mark.parametrize("message", ["not json", "[]", "{}", '{"method":"DANCE","id":1}', "17"])
def test_malformed_requests_are_answered_and_the_connection_goes_on(venue, market, message):
    with RawSocket(f"{venue.ws}/ws") as socket:
        socket.send(message)
        answer = socket.receive()
        assert "error" in answer or "code" in answer, answer
        assert socket.ask("LIST_SUBSCRIPTIONS", id=9) == {"result": [], "id": 9}
