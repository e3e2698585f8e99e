"""How each client is told to talk to another venue than the one it was written for.

Every address that a client knows is replaced; those that the venue does not serve lead nowhere. `assert_local` makes
sure.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager

from binance import BinanceSocketManager
from binance.base_client import BaseClient
from binance.ws.constants import WSListenerState
from binance_common.configuration import (
    ConfigurationRestAPI,
    ConfigurationWebSocketAPI,
    ConfigurationWebSocketStreams,
)
from binance_sdk_spot.spot import Spot

from keys import KeyPair
from venue import Venue

NOWHERE = "http://127.0.0.1:9/not-served"


def assert_local(addresses) -> None:
    for address in addresses:
        host = address.split("://", 1)[1].split("/")[0].split(":")[0]
        assert host == "127.0.0.1", f"{address} is not on this machine"


def addresses_in(tree):
    """Every address in a tree of dictionaries."""
    for value in tree.values():
        if isinstance(value, dict):
            yield from addresses_in(value)
        elif isinstance(value, str):
            yield value


def pointed_ccxt(kind, venue: Venue, key: KeyPair | None = None):
    """An instance of a ccxt exchange class (`ccxt.binance`, its asynchronous or its WebSocket sister) on the venue."""
    options = {"defaultType": "spot", "fetchMarkets": {"types": ["spot"]}}
    settings = {"options": options, "enableRateLimit": False, "rateLimit": 1}
    if key:
        settings |= {"apiKey": key.api_key, "secret": key.secret or key.private_pem}
    client = kind(settings)

    def everywhere(tree, leaf):
        for name, value in tree.items():
            if isinstance(value, dict):
                everywhere(value, leaf)
            else:
                tree[name] = leaf

    api = client.urls["api"]
    everywhere(api, NOWHERE)
    api |= {name: f"{venue.http}/api/v3" for name in ("public", "private", "v1")}
    api["sapi"] = f"{venue.http}/sapi/v1"
    if "ws" in api:
        api["ws"]["spot"] = f"{venue.ws}/ws"
        api["ws"]["ws-api"]["spot"] = f"{venue.ws}/ws-api/v3"
    client.urls.pop("test", None)
    client.urls.pop("demo", None)
    assert_local(addresses_in(api))
    return client


@contextmanager
def pointed_python_binance(venue: Venue):
    """python-binance keeps its addresses on its classes: while this lasts, they are the venue's."""
    kept = {}
    places = {
        "API_URL": f"{venue.http}/api",
        "MARGIN_API_URL": f"{venue.http}/sapi",
        "WS_API_URL": f"{venue.ws}/ws-api/v3",
        "STREAM_URL": f"{venue.ws}/",
    }
    for kind in (BaseClient, BinanceSocketManager):
        for name, value in list(vars(kind).items()):
            if isinstance(value, str) and "://" in value:
                kept[kind, name] = value
                setattr(kind, name, places.get(name, NOWHERE))
    assert len(kept) > len(places)
    assert_local(getattr(kind, name) for kind, name in kept)
    try:
        yield
    finally:
        for (kind, name), value in kept.items():
            setattr(kind, name, value)


async def closed_python_binance(client) -> None:
    """Closes an asynchronous python-binance client. Left alone it looks only every ten seconds whether it should end,
    unless its connection ends first.
    """
    closing = asyncio.ensure_future(client.close_connection())
    while not closing.done() and client.ws_api.ws_state != WSListenerState.EXITING:
        await asyncio.sleep(0.01)
    if client.ws_api.ws:
        await client.ws_api.ws.close()
    await closing


def pointed_sdk(venue: Venue, key: KeyPair | None = None) -> Spot:
    """binance-sdk-spot on the venue, with the time limit of one second that it has by default."""
    auth = {}
    if key:
        auth = {"api_key": key.api_key}
        auth |= {"api_secret": key.secret} if key.secret else {"private_key": key.private_pem}
    rest = ConfigurationRestAPI(base_path=venue.http, retries=0, **auth)
    api = ConfigurationWebSocketAPI(stream_url=f"{venue.ws}/ws-api/v3", **auth)
    streams = ConfigurationWebSocketStreams(stream_url=venue.ws)
    assert_local([rest.base_path, api.stream_url, streams.stream_url])
    return Spot(config_rest_api=rest, config_ws_api=api, config_ws_streams=streams)
