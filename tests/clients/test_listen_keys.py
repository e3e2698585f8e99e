"""User data streams by listen key, as older clients read them: a venue on which they are switched on."""

from __future__ import annotations

import pytest
import requests
from binance import Client
from binance.exceptions import BinanceAPIException

from contract import Contract
from pointing import pointed_python_binance
from raw import RawClient, RawSocket
from venue import NO_LIMITS, Venue

LISTEN_KEYS = "\n[gateway.listen_keys]\nenabled = true\n"


@pytest.fixture(scope="module")
def listening(tmp_path_factory):
    venue = Venue(tmp_path_factory.mktemp("listening"), NO_LIMITS + LISTEN_KEYS).start()
    venue.make_asset("USDT")
    yield venue
    assert venue.stop() == 0, venue.log_tail()


@pytest.fixture
def trader(listening):
    market, account = listening.make_market(), listening.make_account("trader")
    account.deposit("USDT", 1_000, f"{market.symbol}-quote")
    return market, account


def test_a_client_asks_for_a_listen_key_and_keeps_it_alive(listening, trader):
    market, account = trader
    with pointed_python_binance(listening):
        client = Client(account.key.api_key, account.key.secret)
        name = client.stream_get_listen_key()
        contract = Contract(requests.get(f"{listening.http}/asyncapi.json", timeout=10).json())
        with (
            RawSocket(f"{listening.ws}/ws/{name}") as raw,
            RawSocket(f"{listening.ws}/stream?streams={name}") as wrapped,
        ):
            RawClient.of(account).limit(market.symbol, "BUY", "1", "100")
            report = raw.receive()
            contract.check_named("ExecutionReport", report)
            message = wrapped.receive()
            contract.check_named("Combined", message)
            assert (message["stream"], message["data"]) == (name, report)
            contract.check_named("AccountPosition", raw.receive())
            client.stream_keepalive(name)
            client.stream_close(name)
            contract.check_named("ListenKeyExpired", raw.receive())
        with pytest.raises(BinanceAPIException) as refused:
            client.stream_keepalive(name)
        assert (refused.value.code, refused.value.message) == (-1125, "This listenKey does not exist.")
        client.close_connection()


def test_each_operation_answers_as_described(listening, trader):
    _, account = trader
    client = RawClient.of(account)
    started = client.decode(client.send("POST", "/api/v3/userDataStream"))
    for method in ("PUT", "DELETE"):
        client.decode(client.send(method, "/api/v3/userDataStream", f"listenKey={started['listenKey']}"))
    assert {"userDataStreamStart", "userDataStreamPing", "userDataStreamStop"} <= listening.contract.seen
    answer = client.send("PUT", "/api/v3/userDataStream", "listenKey=gone")
    assert (answer.status_code, answer.json()["code"]) == (400, -1125)
