"""API keys: the three kinds with each client that knows them, what a key may do, and when it stops working."""

from __future__ import annotations

from decimal import Decimal

import pytest
import requests

from keys import KeyPair
from pointing import pointed_ccxt
from raw import RawClient, RawSocket, Refused, signed
from traders import CcxtRest, CcxtWs, PythonBinanceRest, PythonBinanceWs, SdkRest, SdkWs

INVALID_KEY = (401, -2015, "Invalid API-key, IP, or permissions for action.")


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
@pytest.mark.parametrize(
    "client", [CcxtRest, CcxtWs, PythonBinanceRest, PythonBinanceWs, SdkRest, SdkWs], ids=lambda kind: kind.name
)
def test_asymmetric_keys_trade(venue, market, alice, key_pairs, client, kind):
    key = alice.make_key(key_pairs[kind])
    trader = client(venue, key)
    placed = trader.place(market, "BUY", "LIMIT", quantity=Decimal(1), price=Decimal(90))
    assert trader.order(market, placed["orderId"])["status"] == "NEW"
    assert trader.cancel(market, placed["orderId"])["status"] == "CANCELED"
    assert trader.balances()[market.quote][1] == 0
    trader.close()


def test_only_the_hmac_secret_is_told_and_only_once(venue, alice, key_pairs):
    told = alice.make_key(key_pairs["ed25519"])
    assert told.secret is None
    assert "secret" not in str(venue.admin("GET", f"accounts/{alice.id}")).lower()


def assert_refused(call, expected):
    with pytest.raises(Refused) as caught:
        call()
    assert (caught.value.status, caught.value.code, caught.value.message) == expected


def test_a_key_that_may_only_read(venue, market, alice):
    reader = RawClient(venue, alice.make_key(KeyPair.hmac(), permissions=["READ"]))
    assert reader.call("GET", "account")["balances"]
    assert_refused(lambda: reader.limit(market.symbol, "BUY", "1", "90"), INVALID_KEY)
    assert_refused(lambda: reader.call("DELETE", "openOrders", symbol=market.symbol), INVALID_KEY)
    assert_refused(
        lambda: reader.call("POST", "order/test", symbol=market.symbol, side="BUY", type="MARKET", quantity=1),
        INVALID_KEY,
    )
    with RawSocket(f"{venue.ws}/ws-api/v3") as socket:
        order = {"symbol": market.symbol, "side": "BUY", "type": "MARKET", "quantity": "1"}
        answer = socket.ask("order.place", signed(reader.key, **order))
        assert (answer["status"], answer["error"]["code"]) == (401, -2015)


def test_a_revoked_key(venue, alice):
    key = alice.make_key(KeyPair.hmac())
    client = RawClient(venue, key)
    client.call("GET", "account")
    alice.revoke(key)
    assert_refused(lambda: client.call("GET", "account"), INVALID_KEY)
    RawClient.of(alice).call("GET", "account")


def test_addresses_that_a_key_may_come_from(venue, alice):
    here = RawClient(venue, alice.make_key(KeyPair.hmac(), allowed_ips=["10.0.0.0/8", "127.0.0.1"]))
    here.call("GET", "account")
    elsewhere = RawClient(venue, alice.make_key(KeyPair.hmac(), allowed_ips=["10.1.2.3"]))
    assert_refused(lambda: elsewhere.call("GET", "account"), INVALID_KEY)


def test_keys_of_one_account_do_not_see_another(venue, market, alice, bob):
    placed = RawClient.of(alice).limit(market.symbol, "BUY", "1", "90")
    other = RawClient.of(bob)
    assert other.call("GET", "openOrders", symbol=market.symbol) == []
    assert_refused(
        lambda: other.call("GET", "order", symbol=market.symbol, orderId=placed["orderId"]),
        (400, -2013, "Order does not exist."),
    )
    assert_refused(
        lambda: other.call("DELETE", "order", symbol=market.symbol, orderId=placed["orderId"]),
        (400, -2011, "Unknown order sent."),
    )


def test_the_admin_api_wants_its_token(venue):
    for headers in ({}, {"Authorization": "Bearer wrong-wrong-wrong-wrong"}, {"Authorization": "Basic Zm9vOmJhcg=="}):
        response = requests.get(f"{venue.admin_url}/admin/v1/audit", headers=headers, timeout=5)
        assert response.status_code == 401 and response.json()["msg"]
    assert requests.get(f"{venue.http}/admin/v1/audit", timeout=5).status_code == 404


def test_ccxt_tells_what_an_account_pays(venue, market, alice):
    client = pointed_ccxt(CcxtRest.kind, venue, alice.key)
    told = client.fetch_trading_fee(market.unified)
    assert (told["maker"], told["taker"]) == (0.001, 0.001)
    assert client.fetch_trading_fees()[market.unified]["taker"] == 0.001
    assert client.fetch_status()["status"] == "ok"
