"""What the tests stand on: one venue for the session, and for each test a market and two funded accounts of its own."""

from __future__ import annotations

import socket
from decimal import Decimal

import pytest

from keys import KeyPair
from money import Ledger
from raw import RawClient
from venue import BINARY, Venue

BASE_FUNDS, QUOTE_FUNDS = Decimal("100"), Decimal("1000000")


@pytest.fixture(scope="session", autouse=True)
def no_way_out():
    """Nothing leaves this machine: a client that was not pointed at the venue fails here, not at a real exchange."""
    resolve, connect = socket.getaddrinfo, socket.socket.connect

    def getaddrinfo(host, *rest, **more):
        name = host.decode() if isinstance(host, bytes) else host
        assert name in ("127.0.0.1", "localhost", None), f"a client asked for {name}"
        return resolve(host, *rest, **more)

    def connect_here(self, address):
        if self.family == socket.AF_INET:
            assert address[0] in ("127.0.0.1", "localhost"), f"a client connects to {address}"
        return connect(self, address)

    patch = pytest.MonkeyPatch()
    patch.setattr(socket, "getaddrinfo", getaddrinfo)
    patch.setattr(socket.socket, "connect", connect_here)
    yield
    patch.undo()


@pytest.fixture(autouse=True)
def answers_fit_the_models(caplog):
    """binance-sdk-spot only logs when an answer does not have the types that it declares; here that is a failure."""
    yield
    misfits = [record.getMessage() for when in ("setup", "call") for record in caplog.get_records(when)]
    misfits = [text for text in misfits if "did not match the declared types" in text or "Failed to parse" in text]
    assert not misfits, misfits


@pytest.fixture(scope="session")
def venue(tmp_path_factory):
    assert BINARY.exists(), f"{BINARY} is missing: make clients"
    venue = Venue(tmp_path_factory.mktemp("venue")).start()
    venue.make_asset("USDT")
    yield venue
    venue.assert_books_balance()
    assert venue.stop() == 0, venue.log_tail()
    status, audit = venue.offline_audit()
    assert status == 0 and audit["ok"] is True, audit


@pytest.fixture
def market(venue):
    return venue.make_market()


def funded(venue, market, label):
    account = venue.make_account(label)
    account.deposit(market.base, BASE_FUNDS, f"{label}-{market.base}-base")
    account.deposit(market.quote, QUOTE_FUNDS, f"{label}-{market.base}-quote")
    return account


@pytest.fixture
def alice(venue, market):
    """The account that the client under test trades for."""
    return funded(venue, market, "alice")


@pytest.fixture
def bob(venue, market):
    """The account on the other side."""
    return funded(venue, market, "bob")


@pytest.fixture
def counterparty(bob):
    return RawClient.of(bob)


@pytest.fixture
def ledger(market):
    """What alice must have."""
    ledger = Ledger(market)
    ledger.deposit(market.base, BASE_FUNDS)
    ledger.deposit(market.quote, QUOTE_FUNDS)
    return ledger


@pytest.fixture(scope="session")
def key_pairs():
    """One pair of each asymmetric kind: making RSA keys is slow."""
    return {"ed25519": KeyPair.ed25519(), "rsa": KeyPair.rsa()}
