"""What was acknowledged survives: a kill without warning, a clean stop, and a start on the same folder."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import threading
from decimal import Decimal

import pytest
import requests

from conftest import funded
from raw import RawClient, RawSocket, Refused
from venue import ADMIN_TOKEN, BINARY, Venue, free_port

D = Decimal


@pytest.fixture
def own_venue(tmp_path):
    """A venue of the test's own, to be killed."""
    venue = Venue(tmp_path).start()
    venue.make_asset("USDT")
    yield venue
    if venue.process.poll() is None:
        venue.kill()


def picture(account, market) -> dict:
    """Everything that the account's owner can see, and the market's book."""
    client = RawClient.of(account)
    ask = lambda path, **more: client.call("GET", path, **more)  # noqa: E731
    return {
        "account": ask("account"),
        "open": ask("openOrders"),
        "all": ask("allOrders", symbol=market.symbol),
        "trades": ask("myTrades", symbol=market.symbol),
        "depth": client.public("depth", symbol=market.symbol),
        "market trades": client.public("trades", symbol=market.symbol),
        "candles": client.public("klines", symbol=market.symbol, interval="1m"),
        "rules": client.public("exchangeInfo", symbol=market.symbol)["symbols"],
    }


def some_trading(venue, market, alice, bob):
    maker, taker = RawClient.of(bob), RawClient.of(alice)
    for at in range(20):
        maker.limit(market.symbol, "SELL", f"0.{at + 10}", f"{100 + at}.37")
        taker.limit(market.symbol, "BUY", "0.13", f"{99 + at}.5")
    taker.call("POST", "order", symbol=market.symbol, side="BUY", type="MARKET", quoteOrderQty="50")
    resting = taker.limit(market.symbol, "BUY", "1", "60", newClientOrderId="survivor")
    gone = taker.limit(market.symbol, "BUY", "1", "50")
    taker.call("DELETE", "order", symbol=market.symbol, orderId=gone["orderId"])
    stop = {"type": "STOP_LOSS_LIMIT", "timeInForce": "GTC", "quantity": "0.5", "price": "30", "stopPrice": "31"}
    taker.call("POST", "order", symbol=market.symbol, side="SELL", **stop)
    return resting


def test_a_kill_loses_nothing_that_was_acknowledged(own_venue):
    venue = own_venue
    market = venue.make_market()
    alice, bob = funded(venue, market, "alice"), funded(venue, market, "bob")
    some_trading(venue, market, alice, bob)
    before, hash_before = picture(alice, market), venue.audit()["stateHash"]

    venue.kill()
    venue.start()
    assert picture(alice, market) == before
    assert venue.assert_books_balance()["stateHash"] == hash_before

    # It goes on where it was: numbers are not given twice, the waiting stop still triggers, a new market can be listed.
    highest = max(row["orderId"] for row in before["all"])
    client = RawClient.of(alice)
    assert client.limit(market.symbol, "BUY", "1", "61")["orderId"] > highest
    with pytest.raises(Refused, match="Duplicate order sent"):
        client.limit(market.symbol, "BUY", "1", "61", newClientOrderId="survivor")
    second = venue.make_market()
    venue.kill()
    venue.start()
    symbols = {row["symbol"] for row in RawClient(venue).public("exchangeInfo")["symbols"]}
    assert {market.symbol, second.symbol} <= symbols
    venue.assert_books_balance()
    assert venue.stop() == 0
    status, audit = venue.offline_audit()
    assert status == 0 and audit["ok"] is True


def test_the_rules_of_a_new_venue_are_the_newest_and_survive_a_kill(own_venue):
    def rules(*arguments: str) -> dict:
        command = [str(BINARY), "admin", "--json", "--url", own_venue.admin_url, "rules", *arguments]
        environment = {"PATH": os.environ["PATH"], "CROSSBOOK_ADMIN_TOKEN": ADMIN_TOKEN}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
        return json.loads(done.stdout) if done.returncode == 0 else {"status": done.returncode, "error": done.stderr}

    newest = rules()["newest"]
    assert newest > 1 and rules()["active"] == newest
    assert rules("--activate", "1") == {"active": newest, "newest": newest}, "older rules cannot be activated again"
    refused = rules("--activate", str(newest + 1))
    assert refused["status"] == 4 and f"rules must be from 1 to {newest}" in refused["error"], refused

    own_venue.kill()
    own_venue.start()
    assert rules()["active"] == newest == own_venue.admin("GET", "rules")["active"]
    online = own_venue.assert_books_balance()
    assert own_venue.stop() == 0
    status, offline = own_venue.offline_audit()
    assert status == 0 and offline["stateHash"] == online["stateHash"]


def test_a_kill_under_load_loses_nothing_that_was_acknowledged(own_venue):
    venue = own_venue
    market = venue.make_market(maxNumOrders=100_000)
    alice = funded(venue, market, "alice")
    acknowledged: list[dict] = []
    enough = threading.Event()

    def place(worker: int):
        client = RawClient.of(alice)
        for at in range(10_000):
            try:
                order = client.limit(market.symbol, "BUY", "0.01", "600", newClientOrderId=f"w{worker}-{at}")
            except requests.RequestException:
                return
            acknowledged.append(order)
            if len(acknowledged) >= 200:
                enough.set()

    workers = [threading.Thread(target=place, args=(worker,)) for worker in range(4)]
    for worker in workers:
        worker.start()
    assert enough.wait(30)
    venue.kill()
    for worker in workers:
        worker.join()

    venue.start()
    there = {
        row["orderId"]: row["clientOrderId"]
        for row in RawClient.of(alice).call("GET", "openOrders", symbol=market.symbol)
    }
    missing = [order for order in acknowledged if there.get(order["orderId"]) != order["clientOrderId"]]
    assert not missing
    # At most what was under way when it died may have been taken without its sender knowing.
    assert len(there) - len(acknowledged) <= len(workers)
    assert alice.balances()["USDT"][1] == len(there) * D(6)
    venue.assert_books_balance()


def test_a_clean_stop_and_a_start_change_nothing(own_venue):
    venue = own_venue
    market = venue.make_market()
    alice, bob = funded(venue, market, "alice"), funded(venue, market, "bob")
    some_trading(venue, market, alice, bob)
    before, audit = picture(alice, market), venue.audit()
    assert venue.stop() == 0, venue.log_tail()
    status, offline = venue.offline_audit()
    assert status == 0 and offline["ok"] is True
    assert offline["stateHash"] == audit["stateHash"]

    venue.start()
    assert venue.audit()["stateHash"] == audit["stateHash"]
    assert picture(alice, market) == before


def test_a_stop_tells_those_who_listen(own_venue):
    socket = RawSocket(f"{own_venue.ws}/ws")
    assert socket.ask("LIST_SUBSCRIPTIONS")["result"] == []
    assert own_venue.stop() == 0
    with pytest.raises(Exception, match="1001|1000|closed"):
        while True:
            socket.receive()


def test_a_revoked_key_and_a_transfer_are_remembered(own_venue):
    venue = own_venue
    market = venue.make_market()
    alice = funded(venue, market, "alice")
    first = alice.key
    alice.deposit("USDT", "5", "only-once")
    alice.key = alice.make_key(type(first).hmac())
    alice.revoke(first)
    venue.kill()
    venue.start()
    with pytest.raises(Refused, match="-2015"):
        RawClient(venue, first).call("GET", "account")
    balances = alice.balances()
    alice.deposit("USDT", "5", "only-once")
    assert alice.balances() == balances


def test_secrets_are_sealed_on_disk(own_venue, monkeypatch):
    venue = own_venue
    alice = venue.make_account("alice")
    assert RawClient.of(alice).call("GET", "account")
    assert venue.stop() == 0
    files = [path for path in venue.folder.rglob("*") if path.is_file()]
    assert any(alice.key.api_key.encode() in path.read_bytes() for path in files), "the key itself is on disk"
    assert not any(alice.key.secret.encode() in path.read_bytes() for path in files), "its secret is not"

    # Who has the folder but not the key that seals cannot sign in anybody's name.
    monkeypatch.setattr("venue.SECRET_KEY", "77" * 32)
    try:
        venue.start()
    except AssertionError as refused_to_start:
        assert "secret" in str(refused_to_start).lower()
    else:
        with pytest.raises(Refused):
            RawClient.of(alice).call("GET", "account")


def test_a_closed_terminal_stops_the_venue_in_order(tmp_path):
    """The venue leads the session of a terminal, which is closed: from then on its log lines cannot be written."""
    admin = free_port()
    arguments = ["serve", "--data", str(tmp_path / "venue"), "--http", "0", "--admin", str(admin)]
    process, terminal = pty.fork()
    if process == 0:
        environment = {"PATH": os.environ["PATH"], "CROSSBOOK_ADMIN_TOKEN": ADMIN_TOKEN}
        os.execve(BINARY, [str(BINARY), *arguments], environment)
    said = b""
    while b"the venue is open" not in said:
        said += os.read(terminal, 4096)
    asset = {"asset": "BTC", "decimals": 8}
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    url = f"http://127.0.0.1:{admin}/admin/v1/assets"
    assert requests.post(url, json=asset, headers=headers, timeout=10).status_code == 200
    os.close(terminal)
    _, status = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(status) == 0, said.decode()
    assert list((tmp_path / "venue/snapshots").glob("snapshot-*.bin")), "no snapshot was written"
