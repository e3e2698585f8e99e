"""A venue to test against: the binary in a process of its own, on free local ports, with a fresh data folder.

`Venue` starts, stops and kills it, and speaks its admin API. `Account` is an account on it with its API keys. Nothing
here knows how the venue works inside; it is what an operator has.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from pathlib import Path

import requests

from contract import Contract
from keys import KeyPair

REPOSITORY = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("CROSSBOOK_BINARY", REPOSITORY / "target/debug/crossbook"))
ADMIN_TOKEN = "an-admin-token-of-the-client-suite"
SECRET_KEY = "5c" * 32
START_DEADLINE_SECONDS = 20
STOP_DEADLINE_SECONDS = 20

# The suite sends in seconds what an account would send in hours. Limits have tests of their own, with limits of their
# own.
NO_LIMITS = """\
[gateway.limits]
request_weight_1m = 0
raw_requests_5m = 0
orders_10s = 0
orders_1d = 0

[gateway.streams]
attempts_max = 1000000
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(condition, what: str, seconds: float = 10):
    """Polls `condition` until it gives something true, and gives that; fails when it does not within `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} seconds")
        time.sleep(0.02)


class AdminRefusal(Exception):
    """The admin API said no."""

    def __init__(self, response: requests.Response):
        super().__init__(f"{response.status_code}: {response.text}")
        self.status = response.status_code
        self.body = response.json() if response.text else {}


@dataclass
class Market:
    """A market and the rules that it was made with."""

    symbol: str
    base: str
    quote: str
    tick: Decimal
    step: Decimal
    maker_fee: Decimal
    taker_fee: Decimal

    @property
    def unified(self) -> str:
        """The symbol as ccxt writes it."""
        return f"{self.base}/{self.quote}"


@dataclass
class Account:
    """An account with its keys."""

    venue: Venue
    id: int
    key: KeyPair
    keys: dict[str, KeyPair] = field(default_factory=dict)

    def balances(self) -> dict[str, tuple[Decimal, Decimal]]:
        """Free and held of each asset, as the admin API tells."""
        told = self.venue.admin("GET", f"accounts/{self.id}")
        return {row["asset"]: (Decimal(row["free"]), Decimal(row["locked"])) for row in told["balances"]}

    def deposit(self, asset: str, amount, transfer: str) -> dict:
        body = {"asset": asset, "amount": str(amount), "transferId": transfer}
        return self.venue.admin("POST", f"accounts/{self.id}/deposits", body)

    def withdraw(self, asset: str, amount, transfer: str) -> dict:
        body = {"asset": asset, "amount": str(amount), "transferId": transfer}
        return self.venue.admin("POST", f"accounts/{self.id}/withdrawals", body)

    def make_key(self, pair: KeyPair, permissions=("READ", "TRADE"), allowed_ips=None) -> KeyPair:
        """Registers `pair`, or has the venue draw an HMAC secret when it has no public half."""
        body: dict = {"permissions": list(permissions)}
        if pair.public_pem:
            body["publicKey"] = pair.public_pem
        if allowed_ips is not None:
            body["allowedIps"] = allowed_ips
        told = self.venue.admin("POST", f"accounts/{self.id}/api-keys", body)
        return pair.registered(told["apiKey"], told.get("secretKey"))

    def revoke(self, key: KeyPair) -> None:
        self.venue.admin("DELETE", f"accounts/{self.id}/api-keys/{key.api_key}")


class Venue:
    """One running venue."""

    def __init__(self, folder: Path, config: str = NO_LIMITS):
        self.folder = folder
        self.data = folder / "data"
        self.config = folder / "crossbook.toml"
        self.config.write_text(config)
        self.port, self.admin_port = free_port(), free_port()
        self.process: subprocess.Popen | None = None
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {ADMIN_TOKEN}"
        self.made = 0

    # Where clients are pointed at.

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def http(self) -> str:
        return f"http://{self.host}"

    @property
    def ws(self) -> str:
        return f"ws://{self.host}"

    @property
    def admin_url(self) -> str:
        return f"http://127.0.0.1:{self.admin_port}"

    # Its life.

    def start(self) -> Venue:
        environment = {
            "PATH": os.environ["PATH"],
            "CROSSBOOK_ADMIN_TOKEN": ADMIN_TOKEN,
            "CROSSBOOK_SECRET_KEY": SECRET_KEY,
        }
        # No load balancer has to notice that it stops.
        environment["CROSSBOOK_GATEWAY__SERVER__DRAIN_MS"] = "0"
        command = [str(BINARY), "serve", "--data", str(self.data), "--config", str(self.config)]
        command += ["--http", self.host, "--admin", f"127.0.0.1:{self.admin_port}"]
        log = open(self.folder / "crossbook.log", "ab")
        self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=self.folder)
        log.close()
        wait_until(self.is_ready, "the venue is ready", START_DEADLINE_SECONDS)
        return self

    def is_ready(self) -> bool:
        if self.process is None or self.process.poll() is not None:
            raise AssertionError(f"the venue ended while starting:\n{self.log_tail()}")
        try:
            return requests.get(f"{self.admin_url}/readyz", timeout=1).status_code == 200
        except requests.ConnectionError:
            return False

    def stop(self) -> int:
        """Asks it to end, and gives its exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the venue did not stop on SIGTERM:\n{self.log_tail()}") from None
        finally:
            self.session.close()

    def kill(self) -> None:
        """Ends it without warning, as a power cut would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(STOP_DEADLINE_SECONDS)

    def log_tail(self) -> str:
        return (self.folder / "crossbook.log").read_text(errors="replace")[-4000:]

    def offline_audit(self) -> tuple[int, dict]:
        """What `crossbook audit` says of the data folder, and its exit status."""
        command = [str(BINARY), "audit", "--data", str(self.data), "--json"]
        environment = {"PATH": os.environ["PATH"], "CROSSBOOK_SECRET_KEY": SECRET_KEY}
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
        return done.returncode, json.loads(done.stdout)

    # What it says of its APIs.

    @cached_property
    def contract(self) -> Contract:
        return Contract.at(f"{self.http}/openapi.json")

    @cached_property
    def admin_contract(self) -> Contract:
        return Contract.at(f"{self.admin_url}/admin/v1/openapi.json")

    # Its admin API.

    def admin(self, method: str, path: str, body: dict | None = None) -> dict:
        response = self.session.request(method, f"{self.admin_url}/admin/v1/{path}", json=body, timeout=10)
        if response.text:
            answered = f"/admin/v1/{path.split('?')[0]}"
            self.admin_contract.check(method, answered, response.status_code, response.json())
        if response.status_code >= 400:
            raise AdminRefusal(response)
        return response.json() if response.text else {}

    def audit(self) -> dict:
        return self.admin("GET", "audit")

    def assert_books_balance(self) -> dict:
        audit = self.audit()
        assert audit["ok"] is True, audit
        off = {name: row["sum"] for name, row in audit["assets"].items() if Decimal(row["sum"]) != 0}
        assert not off, f"assets that do not sum to zero: {off}"
        return audit

    def make_asset(self, name: str, decimals: int = 8) -> None:
        self.admin("POST", "assets", {"asset": name, "decimals": decimals})

    def make_market(self, quote: str = "USDT", **rules) -> Market:
        """Lists a new asset against `quote`. Each test has its own market, so that none sees another's orders."""
        self.made += 1
        base = f"T{self.made:03}"
        self.make_asset(base)
        rules = {
            "tickSize": "0.01",
            "stepSize": "0.00001",
            "minNotional": "5",
            "makerFee": "0.001",
            "takerFee": "0.001",
        } | rules
        symbol = base + quote
        self.admin("POST", "markets", {"symbol": symbol, "baseAsset": base, "quoteAsset": quote} | rules)
        decimals = {name: Decimal(rules[name]) for name in ("tickSize", "stepSize", "makerFee", "takerFee")}
        return Market(symbol, base, quote, *decimals.values())

    def make_account(self, label: str) -> Account:
        account = Account(self, int(self.admin("POST", "accounts", {"label": label})["accountId"]), KeyPair.hmac())
        account.key = account.make_key(KeyPair.hmac())
        account.keys["hmac"] = account.key
        return account
