"""The API as bytes: signed requests put together by hand, for what no well-behaved client sends, and for the other side
of the trades under test.
"""

from __future__ import annotations

import json
import time
from urllib.parse import quote, urlencode

import requests
from websockets.sync.client import connect

from keys import KeyPair
from venue import Account, Venue


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Refused(Exception):
    """An error answer: HTTP status, code, text."""

    def __init__(self, status: int, body: dict, headers=None):
        super().__init__(f"{status} {body}")
        self.status, self.code, self.message = status, body.get("code"), body.get("msg")
        self.headers = headers or {}


class RawClient:
    """Signed REST, one keep-alive connection, nothing done that was not asked for."""

    def __init__(self, venue: Venue, key: KeyPair | None = None):
        self.venue, self.key = venue, key
        self.session = requests.Session()
        self.response: requests.Response | None = None

    @classmethod
    def of(cls, account: Account) -> RawClient:
        return cls(account.venue, account.key)

    def query(self, parameters: dict, timestamp: int | None = None) -> str:
        """The signed query string of `parameters`."""
        parameters = {name: value for name, value in parameters.items() if value is not None}
        parameters.setdefault("timestamp", now_ms() if timestamp is None else timestamp)
        payload = urlencode(parameters)
        return f"{payload}&signature={quote(self.key.sign(payload), safe='')}"

    def send(self, method: str, path: str, query: str = "", body: str | None = None, headers: dict | None = None):
        """One request exactly as given; the raw response."""
        url = f"{self.venue.http}{path}" + (f"?{query}" if query else "")
        sent = {"X-MBX-APIKEY": self.key.api_key} if self.key else {}
        self.response = self.session.request(method, url, data=body, headers=sent | (headers or {}), timeout=10)
        if path.startswith(("/api/", "/sapi/")) and self.response.headers.get("Content-Type", "").startswith(
            "application/json"
        ):
            self.venue.contract.check(method, path, self.response.status_code, self.response.json())
        return self.response

    def call(self, method: str, path: str, **parameters):
        """A signed request; the decoded answer."""
        return self.decode(self.send(method, f"/api/v3/{path}", self.query(parameters)))

    def public(self, path: str, **parameters):
        return self.decode(self.send("GET", f"/api/v3/{path}", urlencode(parameters)))

    @staticmethod
    def decode(response: requests.Response):
        if response.status_code >= 400:
            raise Refused(response.status_code, response.json(), response.headers)
        return response.json()

    def limit(self, symbol: str, side: str, quantity, price, tif: str = "GTC", **more) -> dict:
        order = {
            "symbol": symbol,
            "side": side,
            "type": "LIMIT",
            "timeInForce": tif,
            "quantity": quantity,
            "price": price,
        }
        return self.call("POST", "order", **(order | more))


class RawSocket:
    """A WebSocket whose messages are JSON."""

    def __init__(self, url: str):
        self.socket = connect(url, open_timeout=10, close_timeout=2, max_size=2**24)

    def __enter__(self) -> RawSocket:
        return self

    def __exit__(self, *_) -> None:
        self.socket.close()

    def send(self, message) -> None:
        self.socket.send(message if isinstance(message, str) else json.dumps(message))

    def receive(self, seconds: float = 5):
        return json.loads(self.socket.recv(timeout=seconds))

    def ask(self, method: str, parameters: dict | None = None, id=1) -> dict:
        """A request, and its answer; events that come between are dropped."""
        self.send({"id": id, "method": method} | ({} if parameters is None else {"params": parameters}))
        while True:
            message = self.receive()
            if message.get("id") == id and "event" not in message:
                return message


def signed(key: KeyPair, **parameters) -> dict:
    """Parameters of a signed WebSocket API request."""
    parameters = parameters | {"apiKey": key.api_key, "timestamp": now_ms()}
    payload = "&".join(f"{name}={parameters[name]}" for name in sorted(parameters))
    return parameters | {"signature": key.sign(payload)}
