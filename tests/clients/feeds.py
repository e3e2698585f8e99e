"""User data and market data as each client's own machinery hands it over, collected into a list in the order of
arrival.
"""

from __future__ import annotations

import asyncio
import time

from binance import AsyncClient, BinanceSocketManager

from pointing import closed_python_binance, pointed_python_binance, pointed_sdk
from raw import RawSocket, signed
from venue import Account, Venue

PATIENCE_SECONDS = 10


class Feed:
    """Events so far, in `events`."""

    name: str

    def __init__(self, venue: Venue):
        self.venue, self.events = venue, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.shut()

    def shut(self) -> None:
        raise NotImplementedError

    def pump(self, seconds: float) -> None:
        """Lets events arrive for a moment."""
        raise NotImplementedError

    def wait(self, condition, what: str = "the events"):
        """Lets events arrive until `condition(events)` gives something, and gives that."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (result := condition(self.events)):
            assert time.monotonic() < deadline, f"{what} did not come; so far: {self.events}"
            self.pump(0.05)
        return result


class RawFeed(Feed):
    def __init__(self, venue: Venue):
        super().__init__(venue)
        self.socket: RawSocket

    def pump(self, seconds):
        try:
            while True:
                self.events.append(self.socket.receive(seconds))
        except TimeoutError:
            pass

    def shut(self):
        self.socket.__exit__()


class LoopFeed(Feed):
    """A feed of an asynchronous client."""

    def __init__(self, venue: Venue):
        super().__init__(venue)
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)

    def do(self, coroutine):
        return self.loop.run_until_complete(asyncio.wait_for(coroutine, PATIENCE_SECONDS))

    def pump(self, seconds):
        self.do(asyncio.sleep(seconds))

    def end_loop(self):
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.run_until_complete(asyncio.sleep(0.05))
        self.loop.close()
        asyncio.set_event_loop(None)


# User data ------------------------------------------------------------------------------------------------------------


class RawUserFeed(RawFeed):
    """Subscribed by signature, without a session."""

    name = "by signature"

    def __init__(self, venue, account: Account):
        super().__init__(venue)
        self.socket = RawSocket(f"{venue.ws}/ws-api/v3")
        answer = self.socket.ask("userDataStream.subscribe.signature", signed(account.key))
        assert (answer["status"], answer["result"]) == (200, {"subscriptionId": 0}), answer

    def pump(self, seconds):
        seen = len(self.events)
        super().pump(seconds)
        for at in range(seen, len(self.events)):
            assert self.events[at].keys() == {"subscriptionId", "event"} and self.events[at]["subscriptionId"] == 0
            self.events[at] = self.events[at]["event"]


class RawSessionFeed(RawUserFeed):
    """Subscribed after a logon with an Ed25519 key."""

    name = "by session"

    def __init__(self, venue, account: Account):
        RawFeed.__init__(self, venue)
        self.socket = RawSocket(f"{venue.ws}/ws-api/v3")
        answer = self.socket.ask("session.logon", signed(account.keys["ed25519"]), id="logon")
        assert answer["result"]["apiKey"] == account.keys["ed25519"].api_key, answer
        answer = self.socket.ask("userDataStream.subscribe", id=None)
        assert answer["result"] == {"subscriptionId": 0}, answer
        assert self.socket.ask("session.status", id=7)["result"]["userDataStream"] is True


class PythonBinanceUserFeed(LoopFeed):
    name = "python-binance"

    def __init__(self, venue, account: Account):
        super().__init__(venue)
        self.pointing = pointed_python_binance(venue)
        self.pointing.__enter__()
        self.client = self.do(AsyncClient.create(account.key.api_key, account.key.secret, loop=self.loop))
        self.socket = BinanceSocketManager(self.client).user_socket()
        self.do(self.socket.__aenter__())
        self.reader = self.loop.create_task(self.read())

    async def read(self):
        while True:
            self.events.append(await self.socket.recv())

    def shut(self):
        self.reader.cancel()
        self.do(self.socket.__aexit__(None, None, None))
        self.do(closed_python_binance(self.client))
        self.pointing.__exit__(None, None, None)
        self.end_loop()


class SdkUserFeed(LoopFeed):
    name = "sdk"

    def __init__(self, venue, account: Account):
        super().__init__(venue)
        self.api = self.do(pointed_sdk(venue, account.key).websocket_api.create_connection())
        subscribed = self.do(self.api.user_data_stream_subscribe_signature())
        subscribed.stream.on("message", lambda event: self.events.append(self.fields(event)))

    @staticmethod
    def fields(event) -> dict:
        """The model's fields; the event's name has become the name of the model."""
        model = getattr(event, "actual_instance", None) or event
        name = type(model).__name__
        return {"e": name[0].lower() + name[1:]} | model.to_dict()

    def shut(self):
        self.do(self.api.close_connection(close_session=True))
        self.end_loop()


USER_FEEDS = [RawUserFeed, RawSessionFeed, PythonBinanceUserFeed, SdkUserFeed]


# Market data ----------------------------------------------------------------------------------------------------------


class RawMarketFeed(RawFeed):
    """/ws and SUBSCRIBE."""

    name = "raw"

    def __init__(self, venue, streams):
        super().__init__(venue)
        self.socket = RawSocket(f"{venue.ws}/ws")
        assert self.socket.ask("SUBSCRIBE", streams, id="one") == {"result": None, "id": "one"}
        assert sorted(self.socket.ask("LIST_SUBSCRIPTIONS", id=2)["result"]) == sorted(streams)


class PythonBinanceMarketFeed(LoopFeed):
    """/stream?streams="""

    name = "python-binance"

    def __init__(self, venue, streams):
        super().__init__(venue)
        self.pointing = pointed_python_binance(venue)
        self.pointing.__enter__()
        self.client = self.do(AsyncClient.create(loop=self.loop))
        self.socket = BinanceSocketManager(self.client).multiplex_socket(streams)
        self.socket.TIMEOUT = 0.5  # it looks that often whether it should end
        self.do(self.socket.__aenter__())
        self.reader = self.loop.create_task(self.read())

    async def read(self):
        while True:
            message = await self.socket.recv()
            assert message.keys() == {"stream", "data"}, message
            self.events.append(message["data"])

    def shut(self):
        self.reader.cancel()
        self.do(self.socket.__aexit__(None, None, None))
        self.do(closed_python_binance(self.client))
        self.pointing.__exit__(None, None, None)
        self.end_loop()


class SdkMarketFeed(LoopFeed):
    """/stream and SUBSCRIBE."""

    name = "sdk"

    def __init__(self, venue, streams):
        super().__init__(venue)
        self.streams = self.do(pointed_sdk(venue).websocket_streams.create_connection())
        for stream in streams:
            handle = self.do(self.subscribe(stream))
            handle.on("message", lambda event: self.events.append(event.to_dict()))
        self.pump(1.5)  # it sends its subscriptions with pauses between

    def subscribe(self, stream):
        symbol, kind = stream.split("@", 1)
        return {
            "trade": lambda: self.streams.trade(symbol=symbol),
            "aggTrade": lambda: self.streams.agg_trade(symbol=symbol),
            "kline_1m": lambda: self.streams.kline(symbol=symbol, interval="1m"),
            "depth@100ms": lambda: self.streams.diff_book_depth(symbol=symbol, update_speed="100ms"),
            "depth5@100ms": lambda: self.streams.partial_book_depth(symbol=symbol, levels="5", update_speed="100ms"),
            "miniTicker": lambda: self.streams.mini_ticker(symbol=symbol),
            "ticker": lambda: self.streams.ticker(symbol=symbol),
            "bookTicker": lambda: self.streams.book_ticker(symbol=symbol),
            "ticker_1h": lambda: self.streams.rolling_window_ticker(symbol=symbol, window_size="1h"),
            "avgPrice": lambda: self.streams.avg_price(symbol=symbol),
        }[kind]()

    def shut(self):
        self.do(self.streams.close_connection(close_session=True))
        self.end_loop()


MARKET_FEEDS = [RawMarketFeed, PythonBinanceMarketFeed, SdkMarketFeed]
