"""load.py URL ADMIN: places signed orders until standard input ends, then looks every one of them up, and prints what
it has found as one JSON object. Half of the clients keep their connection, the others make one for each order."""

from __future__ import annotations

import collections
import hashlib
import hmac
import http.client
import json
import os
import sys
import threading
import time
import urllib.parse

CLIENTS = 8
PAUSE = 0.04
TIMEOUT = 15.0


class Operator:
    def __init__(self, address: str, token: str):
        self.address, self.token = address, token

    def ask(self, method: str, path: str, body: dict | None = None, may_exist: bool = False) -> dict:
        """Asks until it is done: gateways know of each other's accounts and assets in a moment only."""
        deadline = time.monotonic() + TIMEOUT
        while True:
            status, told = self.attempt(method, path, body)
            if status == 200 or (may_exist and 400 <= status < 500):
                return told
            if time.monotonic() > deadline:
                raise RuntimeError(f"{path}: {status} {told}")
            time.sleep(0.1)

    def attempt(self, method: str, path: str, body: dict | None) -> tuple[int, dict]:
        connection = http.client.HTTPConnection(self.address, timeout=TIMEOUT)
        connection.request(
            method,
            f"/admin/v1/{path}",
            json.dumps(body) if body is not None else None,
            {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        answer = connection.getresponse()
        told = json.loads(answer.read())
        connection.close()
        return answer.status, told


class Client:
    """A trader with an account of its own."""

    def __init__(self, number: int, address: str, operator: Operator):
        self.number, self.address, self.keeps = number, address, number % 2 == 0
        account = operator.ask("POST", "accounts", {"label": f"load-{number}-{time.time_ns()}"})["accountId"]
        for asset in ("BTC", "USDT"):
            deposit = {"asset": asset, "amount": "1000000", "transferId": f"{account}-{asset}"}
            operator.ask("POST", f"accounts/{account}/deposits", deposit)
        key = operator.ask("POST", f"accounts/{account}/api-keys", {"permissions": ["READ", "TRADE"]})
        self.key, self.secret = key["apiKey"], key["secretKey"].encode()
        self.connection: http.client.HTTPConnection | None = None
        self.acknowledged: dict[str, int] = {}
        self.unknown: set[str] = set()
        self.faults: list[tuple[float, str]] = []
        # Until all gateways know the key: each question is a connection of its own, and goes to any of them.
        known, deadline = 0, time.monotonic() + TIMEOUT
        while known < 8 and time.monotonic() < deadline:
            status, _ = self.ask("GET", "account", {})
            known = known + 1 if status == 200 else 0
            if self.connection:
                self.connection.close()
                self.connection = None

    def ask(self, method: str, path: str, parameters: dict) -> tuple[int, dict | list]:
        parameters = {**parameters, "recvWindow": 10_000, "timestamp": int(time.time() * 1000)}
        query = urllib.parse.urlencode(parameters)
        signature = hmac.new(self.secret, query.encode(), hashlib.sha256).hexdigest()
        connection = self.connection or http.client.HTTPConnection(self.address, timeout=TIMEOUT)
        self.connection = None
        connection.request(method, f"/api/v3/{path}?{query}&signature={signature}", headers={"X-MBX-APIKEY": self.key})
        answer = connection.getresponse()
        told = json.loads(answer.read())
        if self.keeps and not answer.will_close:
            self.connection = connection
        else:
            connection.close()
        return answer.status, told

    def trade(self, stop: threading.Event) -> None:
        number = 0
        while not stop.wait(PAUSE):
            number += 1
            name = f"order-{self.number}-{number}"
            side = "BUY" if (self.number + number) % 2 else "SELL"
            order = {"symbol": "BTCUSDT", "side": side, "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.001"}
            try:
                status, told = self.ask("POST", "order", {**order, "price": "50000", "newClientOrderId": name})
            except OSError as error:
                self.unknown.add(name)
                self.faults.append((time.time(), "refused" if isinstance(error, ConnectionRefusedError) else "broken"))
            except http.client.HTTPException:
                self.unknown.add(name)
                self.faults.append((time.time(), "broken"))
            else:
                if status == 200:
                    self.acknowledged[name] = told["orderId"]
                else:
                    self.unknown.add(name)
                    self.faults.append((time.time(), f"{status} {told.get('code')}"))

    def orders(self, start: int) -> list[dict]:
        """The orders from a number on. A gateway may be on its way out, and the history a moment behind."""
        deadline = time.monotonic() + 4 * TIMEOUT
        while True:
            try:
                status, page = self.ask("GET", "allOrders", {"symbol": "BTCUSDT", "orderId": start, "limit": 1000})
            except (OSError, http.client.HTTPException) as error:
                status, page = 0, str(error)
            if status == 200:
                return page
            if time.monotonic() > deadline:
                raise RuntimeError(f"allOrders: {status} {page}")
            time.sleep(0.2)

    def look_up(self) -> tuple[int, int]:
        """How many acknowledged orders are missing, and how many exist twice."""
        found: collections.Counter[str] = collections.Counter()
        numbers, start = {}, 0
        while True:
            page = self.orders(start)
            for order in page:
                found[order["clientOrderId"]] += 1
                numbers[order["clientOrderId"]] = order["orderId"]
            if len(page) < 1000:
                break
            start = page[-1]["orderId"] + 1
        lost = sum(numbers.get(name) != number for name, number in self.acknowledged.items())
        others = set(found) - set(self.acknowledged) - self.unknown
        return lost + len(others), sum(count > 1 for count in found.values())


def main() -> None:
    url, admin = sys.argv[1:]
    operator = Operator(admin, os.environ["CROSSBOOK_ADMIN_TOKEN"])
    for asset in ("BTC", "USDT"):
        operator.ask("POST", "assets", {"asset": asset, "decimals": 8}, may_exist=True)
    market = {"symbol": "BTCUSDT", "baseAsset": "BTC", "quoteAsset": "USDT", "tickSize": "0.01", "stepSize": "0.00001"}
    operator.ask("POST", "markets", {**market, "makerFee": "0.001", "takerFee": "0.001"}, may_exist=True)
    clients = [Client(number, url, operator) for number in range(CLIENTS)]
    stop = threading.Event()
    threads = [threading.Thread(target=client.trade, args=(stop,)) for client in clients]
    for thread in threads:
        thread.start()
    print("loading", flush=True)
    sys.stdin.read()
    stop.set()
    for thread in threads:
        thread.join()
    checked = [client.look_up() for client in clients]
    faults = sorted(fault for client in clients for fault in client.faults)
    figures = {
        "acknowledged": sum(len(client.acknowledged) for client in clients),
        "lost": sum(lost for lost, _ in checked),
        "twice": sum(twice for _, twice in checked),
        "faults": dict(collections.Counter(kind for _, kind in faults)),
        "first_fault": faults[0][0] if faults else None,
        "last_fault": faults[-1][0] if faults else None,
        "audit": operator.ask("GET", "audit")["ok"],
    }
    print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
