"""Eight ways to trade: three clients, each over what transports it has, behind one interface.

A trader does one thing for each method and gives the venue's own fields as its client handed them over, so that one
scenario can be told once and hold for all. What a client makes of an error is part of its interface: `classes` names
the exception that each kind of refusal must become.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import re
from decimal import Decimal

import ccxt
import ccxt.async_support
import ccxt.pro
from binance import AsyncClient, Client
from binance.exceptions import BinanceAPIException
from binance_common import errors as sdk_errors

from keys import KeyPair
from pointing import closed_python_binance, pointed_ccxt, pointed_python_binance, pointed_sdk
from venue import Market, Venue

PATIENCE_SECONDS = 10


class Trader:
    """One client, one key, one account."""

    name: str
    classes: dict[str, type[Exception]]

    def __init__(self, venue: Venue, key: KeyPair):
        self.venue, self.key = venue, key
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        self.open()

    def do(self, result):
        """Waits for `result` when it is a coroutine."""
        if inspect.isawaitable(result):
            return self.loop.run_until_complete(asyncio.wait_for(result, PATIENCE_SECONDS))
        return result

    def close(self) -> None:
        self.shut()
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.run_until_complete(asyncio.sleep(0.05))
        self.loop.close()
        asyncio.set_event_loop(None)

    def open(self) -> None:
        raise NotImplementedError

    def shut(self) -> None:
        pass


def plain(value) -> str | None:
    """A number as a person would type it."""
    return None if value is None else format(Decimal(value), "f")


# ccxt -----------------------------------------------------------------------------------------------------------------


class CcxtRest(Trader):
    name = "ccxt"
    kind = ccxt.binance
    classes = {
        "funds": ccxt.InsufficientFunds,
        "lot": ccxt.InvalidOrder,
        "price": ccxt.InvalidOrder,
        "notional": ccxt.BadRequest,
        "post_only": ccxt.OrderImmediatelyFillable,
        "trigger": ccxt.OrderImmediatelyFillable,
        "unknown_order": ccxt.OrderNotFound,
        "signature": ccxt.AuthenticationError,
        "key": ccxt.AuthenticationError,
        "closed": ccxt.MarketClosed,
        "duplicate": ccxt.InvalidOrder,
    }

    def open(self):
        self.client = pointed_ccxt(self.kind, self.venue, self.key)
        self.do(self.client.load_markets())

    def shut(self):
        if inspect.iscoroutinefunction(getattr(self.client, "close", None)):
            self.do(self.client.close())

    def rules(self, market: Market) -> dict:
        unified = self.client.market(market.unified)
        assert unified["id"] == market.symbol and unified["spot"] and unified["active"]
        return {
            "tick": Decimal(str(unified["precision"]["price"])),
            "step": Decimal(str(unified["precision"]["amount"])),
            "min_notional": Decimal(str(unified["limits"]["cost"]["min"])),
        }

    def balances(self) -> dict:
        told = self.do(self.client.fetch_balance())
        for row in told["info"]["balances"]:
            assert told[row["asset"]]["free"] == float(row["free"]) and told[row["asset"]]["used"] == float(
                row["locked"]
            )
        return {row["asset"]: (Decimal(row["free"]), Decimal(row["locked"])) for row in told["info"]["balances"]}

    def ticker(self, market):
        return self.do(self.client.fetch_ticker(market.unified))["info"]

    def book(self, market):
        told = self.do(self.client.fetch_order_book(market.unified))
        return tuple([(Decimal(str(row[0])), Decimal(str(row[1]))) for row in told[side]] for side in ("bids", "asks"))

    def candles(self, market):
        return [row[1:6] for row in self.do(self.client.fetch_ohlcv(market.unified, "1m"))]

    def market_trades(self, market):
        return [(trade["price"], trade["amount"]) for trade in self.do(self.client.fetch_trades(market.unified))]

    def _call(self, method: str):
        return getattr(self.client, method)

    def place(
        self,
        market,
        side,
        type,
        quantity=None,
        price=None,
        quote_quantity=None,
        stop_price=None,
        tif=None,
        client_id=None,
    ):
        kind, params = self.in_its_words(type, price, stop_price, client_id)
        if tif:
            params["timeInForce"] = tif
        if quote_quantity is not None:
            params["quoteOrderQty"] = float(quote_quantity)
        limit = None if price is None else float(price)
        order = self.do(self._create(market.unified, kind, side.lower(), float(quantity or 0), limit, params))
        assert order["id"] == str(order["info"]["orderId"]) and order["symbol"] == market.unified
        return order["info"]

    @staticmethod
    def in_its_words(type, price, stop_price, client_id) -> tuple[str, dict]:
        """The order's type, and the rest, in the words that ccxt has for all exchanges."""
        params: dict = {"clientOrderId": client_id} if client_id else {}
        if type == "LIMIT_MAKER":
            params["postOnly"] = True
        if stop_price is not None:
            params["stopLossPrice" if type.startswith("STOP_LOSS") else "takeProfitPrice"] = float(stop_price)
        return "market" if price is None else "limit", params

    def _create(self, *arguments):
        return self.client.create_order(*arguments)

    def cancel(self, market, order_id):
        return self.do(self.client.cancel_order(str(order_id), market.unified))["info"]

    def cancel_all(self, market):
        return [order["info"] for order in self.do(self.client.cancel_all_orders(market.unified))]

    def order(self, market, order_id):
        return self.do(self.client.fetch_order(str(order_id), market.unified))["info"]

    def open_orders(self, market):
        return [order["info"] for order in self.do(self.client.fetch_open_orders(market.unified))]

    def all_orders(self, market):
        return [order["info"] for order in self.do(self.client.fetch_orders(market.unified))]

    def my_trades(self, market):
        return [trade["info"] for trade in self.do(self.client.fetch_my_trades(market.unified))]

    @staticmethod
    def told(error: Exception) -> tuple[int | None, str]:
        text = str(error)
        body = re.search(r"\{.*\}", text)
        if body is None:
            return None, text.removeprefix("binance ")
        told = json.loads(body.group())
        return told["code"], told["msg"]


class CcxtAsync(CcxtRest):
    name = "ccxt-async"
    kind = ccxt.async_support.binance


class CcxtWs(CcxtRest):
    """ccxt.pro, orders over the WebSocket API."""

    name = "ccxt-ws"
    kind = ccxt.pro.binance

    # Its texts reach a person without the code, and with them the words by which it tells filters apart over REST.
    classes = CcxtRest.classes | {"lot": ccxt.BadRequest, "price": ccxt.BadRequest}

    @staticmethod
    def in_its_words(type, price, stop_price, client_id):
        """Over the WebSocket API ccxt sends its own words along with their translation, which no venue knows: so the
        venue's.
        """
        params = {"newClientOrderId": client_id} if client_id else {}
        if stop_price is not None:
            params["stopPrice"] = float(stop_price)
        return type, params

    def _create(self, *arguments):
        return self.client.create_order_ws(*arguments)

    def balances(self):
        told = self.do(self.client.fetch_balance_ws())
        rows = told["info"]["result"]["balances"] if "result" in told["info"] else told["info"]["balances"]
        return {row["asset"]: (Decimal(row["free"]), Decimal(row["locked"])) for row in rows}

    def cancel(self, market, order_id):
        return self.do(self.client.cancel_order_ws(str(order_id), market.unified))["info"]

    def cancel_all(self, market):
        return [order["info"] for order in self.do(self.client.cancel_all_orders_ws(market.unified))]

    def order(self, market, order_id):
        return self.do(self.client.fetch_order_ws(str(order_id), market.unified))["info"]

    def open_orders(self, market):
        return [order["info"] for order in self.do(self.client.fetch_open_orders_ws(market.unified))]

    def my_trades(self, market):
        return [trade["info"] for trade in self.do(self.client.fetch_my_trades_ws(market.unified))]


# python-binance -------------------------------------------------------------------------------------------------------


class PythonBinanceRest(Trader):
    name = "python-binance"
    classes = dict.fromkeys(CcxtRest.classes, BinanceAPIException)

    def credentials(self) -> dict:
        if self.key.kind == "hmac":
            return {"api_key": self.key.api_key, "api_secret": self.key.secret}
        return {"api_key": self.key.api_key, "private_key": self.key.private_pem}

    def open(self):
        self.pointing = pointed_python_binance(self.venue)
        self.pointing.__enter__()
        self.client = self.make_client()

    def make_client(self):
        return Client(**self.credentials())

    def end_client(self):
        self.client.close_connection()

    def shut(self):
        self.end_client()
        self.pointing.__exit__(None, None, None)

    def rules(self, market):
        info = self.do(self.client.get_symbol_info(market.symbol))
        return rules_of(info)

    def balances(self):
        return balances_of(self.do(self.client.get_account()))

    def ticker(self, market):
        return self.do(self.client.get_ticker(symbol=market.symbol))

    def book(self, market):
        return book_of(self.do(self.client.get_order_book(symbol=market.symbol)))

    def candles(self, market):
        return candles_of(self.do(self.client.get_klines(symbol=market.symbol, interval="1m")))

    def market_trades(self, market):
        return trades_of(self.do(self.client.get_recent_trades(symbol=market.symbol)))

    def place(
        self,
        market,
        side,
        type,
        quantity=None,
        price=None,
        quote_quantity=None,
        stop_price=None,
        tif=None,
        client_id=None,
    ):
        parameters = {
            "symbol": market.symbol,
            "side": side,
            "type": type,
            "quantity": plain(quantity),
            "price": plain(price),
            "quoteOrderQty": plain(quote_quantity),
            "stopPrice": plain(stop_price),
            "timeInForce": tif or time_in_force_of(type),
            "newClientOrderId": client_id,
            "newOrderRespType": "FULL",
        }
        return self.do(self._create(**{name: value for name, value in parameters.items() if value is not None}))

    def _create(self, **parameters):
        return self.client.create_order(**parameters)

    def cancel(self, market, order_id):
        return self.do(self.client.cancel_order(symbol=market.symbol, orderId=order_id))

    def cancel_all(self, market):
        return self.do(self.client.cancel_all_open_orders(symbol=market.symbol))

    def order(self, market, order_id):
        return self.do(self.client.get_order(symbol=market.symbol, orderId=order_id))

    def open_orders(self, market):
        return self.do(self.client.get_open_orders(symbol=market.symbol))

    def all_orders(self, market):
        return self.do(self.client.get_all_orders(symbol=market.symbol))

    def my_trades(self, market):
        return self.do(self.client.get_my_trades(symbol=market.symbol))

    @staticmethod
    def told(error: BinanceAPIException):
        return error.code, error.message


class PythonBinanceAsync(PythonBinanceRest):
    name = "python-binance-async"

    def make_client(self):
        return self.do(AsyncClient.create(**self.credentials(), loop=self.loop))

    def end_client(self):
        self.do(closed_python_binance(self.client))


class PythonBinanceWs(PythonBinanceAsync):
    """Orders over the WebSocket API."""

    name = "python-binance-ws"

    def balances(self):
        return balances_of(self.do(self.client.ws_get_account()))

    def _create(self, **parameters):
        return self.client.ws_create_order(**parameters)

    def cancel(self, market, order_id):
        return self.do(self.client.ws_cancel_order(symbol=market.symbol, orderId=order_id))

    def order(self, market, order_id):
        return self.do(self.client.ws_get_order(symbol=market.symbol, orderId=order_id))

    def open_orders(self, market):
        return self.do(self.client.ws_get_open_orders(symbol=market.symbol))

    def cancel_all(self, market):
        return self.do(self.client.ws_cancel_all_open_orders(symbol=market.symbol))

    def my_trades(self, market):
        return self.do(self.client.ws_get_my_trades(symbol=market.symbol))


# binance-sdk-spot -----------------------------------------------------------------------------------------------------


class SdkWsRefusal(Exception):
    """The SDK hands errors of the WebSocket API over as data; this makes them an exception again."""

    def __init__(self, error: dict):
        super().__init__(error)
        self.error = error


class SdkRest(Trader):
    name = "sdk"
    classes = dict.fromkeys(CcxtRest.classes, sdk_errors.BadRequestError) | {
        "signature": sdk_errors.BadRequestError,
        "key": sdk_errors.UnauthorizedError,
    }

    def open(self):
        self.spot = pointed_sdk(self.venue, self.key)
        self.client = self.spot.rest_api

    @staticmethod
    def data(response):
        """The answer's models as plain dictionaries; models that do not fit the answer have already failed the test."""
        data = response.data()
        data = getattr(data, "actual_instance", None) or data
        if isinstance(data, list):
            return [row.to_dict() if hasattr(row, "to_dict") else row for row in data]
        return data.to_dict() if hasattr(data, "to_dict") else data

    def rules(self, market):
        info = self.data(self.client.exchange_info(symbol=market.symbol))["symbols"]
        return rules_of(next(row for row in info if row["symbol"] == market.symbol))

    def balances(self):
        return balances_of(self.data(self.client.get_account()))

    def ticker(self, market):
        return self.data(self.client.ticker24hr(symbol=market.symbol))

    def book(self, market):
        return book_of(self.data(self.client.depth(symbol=market.symbol)))

    def candles(self, market):
        return candles_of(self.data(self.client.klines(symbol=market.symbol, interval="1m")))

    def market_trades(self, market):
        return trades_of(self.data(self.client.get_trades(symbol=market.symbol)))

    def place(
        self,
        market,
        side,
        type,
        quantity=None,
        price=None,
        quote_quantity=None,
        stop_price=None,
        tif=None,
        client_id=None,
    ):
        return self._create(
            symbol=market.symbol,
            side=side,
            type=type,
            time_in_force=tif or time_in_force_of(type),
            quantity=plain(quantity),
            price=plain(price),
            quote_order_qty=plain(quote_quantity),
            stop_price=plain(stop_price),
            new_client_order_id=client_id,
            new_order_resp_type="FULL",
        )

    def _create(self, **parameters):
        return self.data(self.client.new_order(**parameters))

    def cancel(self, market, order_id):
        return self.data(self.client.delete_order(symbol=market.symbol, order_id=order_id))

    def cancel_all(self, market):
        return self.data(self.client.delete_open_orders(symbol=market.symbol))

    def order(self, market, order_id):
        return self.data(self.client.get_order(symbol=market.symbol, order_id=order_id))

    def open_orders(self, market):
        return self.data(self.client.get_open_orders(symbol=market.symbol))

    def all_orders(self, market):
        return self.data(self.client.all_orders(symbol=market.symbol))

    def my_trades(self, market):
        return self.data(self.client.my_trades(symbol=market.symbol))

    @staticmethod
    def told(error):
        return error.status_code, error.error_message


class SdkWs(SdkRest):
    """Everything that the WebSocket API offers, over it."""

    name = "sdk-ws"
    classes = dict.fromkeys(CcxtRest.classes, SdkWsRefusal)

    def open(self):
        super().open()
        self.ws = self.do(self.spot.websocket_api.create_connection())

    def shut(self):
        self.do(self.ws.close_connection(close_session=True))

    def ask(self, coroutine):
        data = self.do(coroutine).data()
        if isinstance(data, dict) and "error" in data:
            raise SdkWsRefusal(data["error"])
        return data.to_dict()["result"]

    def rules(self, market):
        info = self.ask(self.ws.exchange_info(symbol=market.symbol))["symbols"]
        return rules_of(next(row for row in info if row["symbol"] == market.symbol))

    def balances(self):
        return balances_of(self.ask(self.ws.account_status()))

    def _create(self, **parameters):
        return self.ask(self.ws.order_place(**parameters))

    def cancel(self, market, order_id):
        return self.ask(self.ws.order_cancel(symbol=market.symbol, order_id=order_id))

    def cancel_all(self, market):
        return self.ask(self.ws.open_orders_cancel_all(symbol=market.symbol))

    def order(self, market, order_id):
        return self.ask(self.ws.order_status(symbol=market.symbol, order_id=order_id))

    def open_orders(self, market):
        return self.ask(self.ws.open_orders_status(symbol=market.symbol))

    def my_trades(self, market):
        return self.ask(self.ws.my_trades(symbol=market.symbol))

    @staticmethod
    def told(error: SdkWsRefusal):
        return error.error["code"], error.error["msg"]


# What several hand over in the same form ------------------------------------------------------------------------------


def rules_of(info: dict) -> dict:
    filters = {row["filterType"]: row for row in info["filters"]}
    return {
        "tick": Decimal(filters["PRICE_FILTER"]["tickSize"]),
        "step": Decimal(filters["LOT_SIZE"]["stepSize"]),
        "min_notional": Decimal(filters["NOTIONAL"]["minNotional"]),
    }


def time_in_force_of(type: str) -> str | None:
    """What these clients must say of an order that may rest, where the test does not care."""
    return "GTC" if type in ("LIMIT", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT") else None


def candles_of(rows: list) -> list:
    return [[float(cell) for cell in row[1:6]] for row in rows]


def trades_of(rows: list) -> list:
    return [(float(row["price"]), float(row["qty"])) for row in rows]


def balances_of(account: dict) -> dict:
    return {row["asset"]: (Decimal(row["free"]), Decimal(row["locked"])) for row in account["balances"]}


def book_of(depth: dict) -> tuple:
    return tuple([(Decimal(row[0]), Decimal(row[1])) for row in depth[side]] for side in ("bids", "asks"))


TRADERS = [CcxtRest, CcxtAsync, CcxtWs, PythonBinanceRest, PythonBinanceAsync, PythonBinanceWs, SdkRest, SdkWs]
