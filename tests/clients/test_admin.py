"""The operator's side: listing at run time, transfers that happen once, and refusals that say what to do."""

from __future__ import annotations

from decimal import Decimal

import pytest
import requests

from raw import RawClient, Refused
from venue import AdminRefusal

D = Decimal


def assert_refused(status, call, text=None):
    with pytest.raises(AdminRefusal) as caught:
        call()
    assert caught.value.status == status, caught.value
    assert caught.value.body["msg"] and isinstance(caught.value.body["code"], int)
    if text:
        assert text in caught.value.body["msg"].lower()


def test_a_deposit_takes_effect_once(alice, market):
    before = alice.balances()[market.quote][0]
    first = alice.deposit(market.quote, "10.00000001", "once")
    again = alice.deposit(market.quote, "10.00000001", "once")
    assert first == again
    assert alice.balances()[market.quote][0] == before + D("10.00000001")
    assert_refused(400, lambda: alice.deposit(market.quote, "11", "once"))
    assert alice.balances()[market.quote][0] == before + D("10.00000001")


def test_a_withdrawal_takes_effect_once_and_only_of_what_is_free(alice, market):
    RawClient.of(alice).limit(market.symbol, "BUY", "1000", "900")
    free, held = alice.balances()[market.quote]
    assert held == D(900_000)
    assert_refused(400, lambda: alice.withdraw(market.quote, free + D("0.00000001"), "too-much"), "balance")
    assert alice.balances()[market.quote] == (free, held)
    first = alice.withdraw(market.quote, free, "all-of-it")
    assert alice.withdraw(market.quote, free, "all-of-it") == first
    assert alice.balances()[market.quote] == (0, held)


def test_transfer_ids_are_the_accounts_own(alice, bob, market):
    before = bob.balances()[market.quote][0]
    alice.deposit(market.quote, "1", "same-name")
    bob.deposit(market.quote, "1", "same-name")
    assert bob.balances()[market.quote][0] == before + 1


@pytest.mark.parametrize("amount", ["0", "-1", "0.000000001", "1e5", "", "ten", "9" * 60, None])
def test_amounts_that_are_none(venue, alice, market, amount):
    before = venue.audit()
    body = {"asset": market.quote, "transferId": "bad"} | ({} if amount is None else {"amount": amount})
    assert_refused(400, lambda: venue.admin("POST", f"accounts/{alice.id}/deposits", body))
    assert venue.audit() == before


def test_what_does_not_exist(venue, alice):
    deposit = {"asset": "USDT", "amount": "1", "transferId": "x"}
    assert_refused(404, lambda: venue.admin("POST", "accounts/987654321/deposits", deposit))
    assert_refused(404, lambda: venue.admin("GET", "accounts/987654321"))
    assert_refused(404, lambda: venue.admin("PATCH", "markets/NOSUCH", {"status": "HALT"}))
    assert_refused(404, lambda: venue.admin("DELETE", f"accounts/{alice.id}/api-keys/nosuchkey"))
    assert_refused(404, lambda: venue.admin("POST", f"accounts/{alice.id}/deposits", deposit | {"asset": "NOSUCH"}))
    market = {
        "symbol": "NOSUCHUSDT",
        "baseAsset": "NOSUCH",
        "quoteAsset": "USDT",
        "tickSize": "0.01",
        "stepSize": "0.01",
    }
    assert_refused(404, lambda: venue.admin("POST", "markets", market))


def test_listing_twice(venue, market):
    body = {
        "symbol": market.symbol,
        "baseAsset": market.base,
        "quoteAsset": market.quote,
        "tickSize": "0.01",
        "stepSize": "0.1",
    }
    assert_refused(400, lambda: venue.admin("POST", "markets", body))
    assert_refused(400, lambda: venue.admin("POST", "assets", {"asset": market.base, "decimals": 2}))


@pytest.mark.parametrize(
    "wrong",
    [
        {"tickSize": "0"},
        {"tickSize": "-0.01"},
        {"stepSize": "0.000000001"},
        {"tickSize": "0.00001", "stepSize": "0.00001"},
        {"takerFee": "1"},
        {"status": "DANCING"},
        {"symbol": "lower case"},
    ],
    ids=str,
)
def test_markets_that_cannot_be(venue, market, wrong):
    rules = {
        "symbol": f"N{market.symbol}",
        "baseAsset": market.base,
        "quoteAsset": market.quote,
        "tickSize": "0.01",
        "stepSize": "0.00001",
    }
    listed = RawClient(venue).public("exchangeInfo")["symbols"]
    assert_refused(400, lambda: venue.admin("POST", "markets", rules | wrong))
    assert RawClient(venue).public("exchangeInfo")["symbols"] == listed


def test_filters_and_fees_change_while_the_market_trades(venue, market, alice, counterparty):
    client = RawClient.of(alice)
    venue.admin("PATCH", f"markets/{market.symbol}", {"minNotional": "50", "takerFee": "0.002", "makerFee": "0"})
    [told] = client.public("exchangeInfo", symbol=market.symbol)["symbols"]
    [notional] = [row for row in told["filters"] if row["filterType"] == "NOTIONAL"]
    assert D(notional["minNotional"]) == 50
    with pytest.raises(Refused, match="NOTIONAL"):
        client.limit(market.symbol, "BUY", "0.49", "100")
    counterparty.limit(market.symbol, "SELL", "1", "100")
    [fill] = client.limit(market.symbol, "BUY", "0.5", "100")["fills"]
    assert D(fill["commission"]) == D("0.001")
    [trade] = counterparty.call("GET", "myTrades", symbol=market.symbol)
    assert D(trade["commission"]) == 0


def test_cancel_only(venue, market, alice):
    client = RawClient.of(alice)
    resting = client.limit(market.symbol, "BUY", "1", "100")
    venue.admin("PATCH", f"markets/{market.symbol}", {"status": "CANCEL_ONLY"})
    with pytest.raises(Refused, match="Market is closed"):
        client.limit(market.symbol, "BUY", "1", "100")
    assert client.call("DELETE", "order", symbol=market.symbol, orderId=resting["orderId"])["status"] == "CANCELED"


def test_health_and_metrics(venue, market, alice):
    RawClient.of(alice).limit(market.symbol, "BUY", "1", "100")
    assert requests.get(f"{venue.admin_url}/healthz", timeout=5).status_code == 200
    assert requests.get(f"{venue.admin_url}/readyz", timeout=5).status_code == 200
    metrics = requests.get(f"{venue.admin_url}/metrics", timeout=5).text
    values = {line.split(" ")[0].split("{")[0] for line in metrics.splitlines() if line and not line.startswith("#")}
    assert any("order" in name for name in values) and any("sync" in name for name in values), sorted(values)
