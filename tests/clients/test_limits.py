"""What a client may ask of the venue: request weights and order counts with their headers, and connections that take
too much.
"""

from __future__ import annotations

import socket
import time

import ccxt
import pytest
import requests

from conftest import funded
from pointing import pointed_ccxt, pointed_sdk
from raw import RawClient, Refused
from venue import Venue, wait_until

TIGHT = """\
[gateway.limits]
request_weight_1m = 400
orders_10s = 5
orders_1d = 1000
ban_after = 50

[gateway.server]
connections_max = 40
connections_per_ip_max = 20
body_bytes_max = 4096
header_read_timeout_ms = 1000
body_read_timeout_ms = 1000
"""


@pytest.fixture
def tight(tmp_path):
    venue = Venue(tmp_path, TIGHT).start()
    venue.make_asset("USDT")
    yield venue
    venue.kill()


def wait_for_a_fresh_window(seconds: int, room: float) -> None:
    """Windows are aligned to the clock: this makes sure that what follows falls into one."""
    wait_until(lambda: time.time() % seconds < seconds - room, "a fresh window", room + 1)


def test_weights_are_counted_and_told(tight):
    wait_for_a_fresh_window(60, 5)
    client = RawClient(tight)
    used = []
    for path, weight in (("time", 1), ("ping", 1), ("exchangeInfo", 20), ("ticker/price", 4), ("time", 1)):
        client.public(path)
        used.append((int(client.response.headers["X-MBX-USED-WEIGHT-1M"]), weight))
    for (before, _), (after, weight) in zip(used, used[1:], strict=False):
        assert after == before + weight


def test_too_much_weight_is_refused_until_the_window_ends(tight):
    wait_for_a_fresh_window(60, 10)
    client = RawClient(tight)
    with pytest.raises(Refused) as caught:
        for _ in range(30):
            client.public("exchangeInfo")
    assert (caught.value.status, caught.value.code) == (429, -1003)
    assert 1 <= int(caught.value.headers["Retry-After"]) <= 60
    with pytest.raises(Exception) as caught:
        pointed_ccxt(ccxt.binance, tight).fetch_time()
    assert type(caught.value).__name__ == "DDoSProtection"
    with pytest.raises(Exception) as caught:
        pointed_sdk(tight).rest_api.time()
    assert type(caught.value).__name__ == "TooManyRequestsError" and 1 <= caught.value.retry_after <= 60


def test_who_goes_on_is_banned(tight):
    wait_for_a_fresh_window(60, 10)
    client = RawClient(tight)
    refused = []
    for _ in range(200):
        try:
            client.public("exchangeInfo")
        except Refused as refusal:
            refused.append(refusal)
            if refusal.status == 418:
                break
    assert (refused[-1].status, refused[-1].code) == (418, -1003)
    assert "banned until" in refused[-1].message and int(refused[-1].headers["Retry-After"]) >= 1


def test_order_counts(tight):
    market = tight.make_market()
    client = RawClient.of(funded(tight, market, "alice"))
    wait_for_a_fresh_window(10, 4)
    for count in range(1, 6):
        client.limit(market.symbol, "BUY", "1", "100")
        assert client.response.headers["X-MBX-ORDER-COUNT-10S"] == str(count)
        assert client.response.headers["X-MBX-ORDER-COUNT-1D"] == str(count)
    with pytest.raises(Refused) as caught:
        client.limit(market.symbol, "BUY", "1", "100")
    assert (caught.value.status, caught.value.code) == (429, -1015)
    assert 1 <= int(caught.value.headers["Retry-After"]) <= 10
    assert len(client.call("GET", "openOrders", symbol=market.symbol)) == 5


def test_limits_are_told_in_exchange_info(tight):
    limits = RawClient(tight).public("exchangeInfo")["rateLimits"]
    told = {(row["rateLimitType"], row["interval"], row["intervalNum"]): row["limit"] for row in limits}
    assert told["REQUEST_WEIGHT", "MINUTE", 1] == 400
    assert told["ORDERS", "SECOND", 10] == 5 and told["ORDERS", "DAY", 1] == 1000


def test_a_body_that_is_too_large(tight):
    response = requests.post(f"{tight.http}/api/v3/order", data=b"x" * 5000, timeout=5)
    assert response.status_code == 413
    # Nor does it help to not say how large it will be.
    response = requests.post(f"{tight.http}/api/v3/order", data=iter([b"x" * 1000] * 5), timeout=5)
    assert response.status_code == 413


def test_an_address_that_is_too_long(tight):
    response = requests.get(f"{tight.http}/api/v3/time?x={'y' * 40_000}", timeout=5)
    assert response.status_code in (414, 431)


def ends_within(connection: socket.socket, seconds: float) -> bytes:
    """What the venue sends until it closes the connection."""
    connection.settimeout(seconds)
    received = b""
    try:
        while chunk := connection.recv(4096):
            received += chunk
    except ConnectionResetError:
        pass
    return received


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"GET /api/v3/time HTTP/1.1\r\nHost: x\r\nX-Slow",
        b"POST /api/v3/order HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nsymbol=",
    ],
    ids=["silent", "slow head", "slow body"],
)
def test_a_slow_sender_is_cut_off(tight, start):
    with socket.create_connection(("127.0.0.1", tight.port)) as connection:
        connection.sendall(start)
        ends_within(connection, 5)


def test_too_many_connections_are_cut_off(tight):
    open_ones = [socket.create_connection(("127.0.0.1", tight.port)) for _ in range(60)]
    try:
        served = 0
        for connection in open_ones:
            try:
                connection.sendall(b"GET /api/v3/time HTTP/1.1\r\nHost: x\r\n\r\n")
                connection.settimeout(5)
                served += connection.recv(12).startswith(b"HTTP/1.1 200")
            except ConnectionError:
                pass
        assert 1 <= served <= 20
    finally:
        for connection in open_ones:
            connection.close()
    wait_until(lambda: answers(tight), "connections are free again")


def answers(venue) -> bool:
    try:
        return requests.get(f"{venue.http}/api/v3/time", timeout=2).status_code == 200
    except requests.ConnectionError:
        return False
