"""What the README says under "Connect your client" is run as it stands there: only the address is put in. Key and
secret are in the environment.

Each snippet runs in a process of its own, as whoever pastes it would run it, and must print what it promises.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from raw import RawClient
from venue import REPOSITORY, Market

HERE = Path(__file__).resolve().parent
ADDRESS = "127.0.0.1:8080"
PATIENCE_SECONDS = 60


def snippets() -> dict[str, tuple[str, str]]:
    """The language and the text of each block, by the client that is named above it."""
    readme = (REPOSITORY / "README.md").read_text()
    section = readme.split("\n## Connect your client\n", 1)[1].split("\n## ", 1)[0]
    blocks = re.findall(r"^\*\*(.+?)\*\*(.*?)```(\w+)\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    found = {f"{client} {language}": (language, text) for client, _, language, text in blocks}
    assert len(found) == section.count("\n```") // 2, "every block is named"
    return found


SNIPPETS = snippets()


@pytest.fixture(scope="module")
def shop(venue):
    """The market of the snippets, with somebody who sells, and a customer."""
    venue.make_asset("BTC")
    rules = {"tickSize": "0.01", "stepSize": "0.00001", "minNotional": "5", "makerFee": "0.001", "takerFee": "0.001"}
    venue.admin("POST", "markets", {"symbol": "BTCUSDT", "baseAsset": "BTC", "quoteAsset": "USDT"} | rules)
    step = Decimal("0.00001")
    market = Market("BTCUSDT", "BTC", "USDT", Decimal("0.01"), step, Decimal("0.001"), Decimal("0.001"))
    seller, customer = venue.make_account("seller"), venue.make_account("customer")
    for account in (seller, customer):
        account.deposit("BTC", 10, f"{account.id}-base")
        account.deposit("USDT", 1_000_000, f"{account.id}-quote")
    RawClient.of(seller).limit(market.symbol, "SELL", "5", "89000")
    RawClient.of(customer).limit(market.symbol, "BUY", "0.1", "89000")
    return customer


def run(name: str, venue, customer, folder=HERE) -> str:
    """Runs a snippet; what it printed."""
    language, text = SNIPPETS[name]
    assert ADDRESS in text
    text = text.replace(ADDRESS, venue.host)
    key, secret = customer.key.api_key, customer.key.secret
    # An address that was not replaced leads nowhere.
    nowhere = "http://127.0.0.1:9"
    environment = {"PATH": os.environ["PATH"], "HTTP_PROXY": nowhere, "HTTPS_PROXY": nowhere, "NO_PROXY": "127.0.0.1"}
    environment |= {"KEY": key, "SECRET": secret}
    match language:
        case "sh":
            command = ["bash", "-euo", "pipefail", "-s"]
        case "python":
            command = [sys.executable, "-"]
        case "js":
            # A file whose name tells that it is a module, in a folder with the packages.
            (folder / "node_modules").symlink_to(HERE / "node_modules")
            (folder / "trade.mjs").write_text(text)
            command = ["node", "trade.mjs"]
    done = subprocess.run(
        command, input=text, capture_output=True, text=True, cwd=folder, env=environment, timeout=PATIENCE_SECONDS
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def btc(customer) -> Decimal:
    free, held = customer.balances()["BTC"]
    return free + held


# What a snippet does to the customer's account is seen from the admin API, so that no client vouches for itself.


def test_curl(venue, shop):
    before = btc(shop)
    order = json.loads(run("curl sh", venue, shop))
    assert (order["symbol"], order["status"], order["cummulativeQuoteQty"][:2]) == ("BTCUSDT", "FILLED", "99")
    assert btc(shop) > before


def test_ccxt_in_python(venue, shop):
    before = btc(shop)
    assert "'status': 'closed'" in run("ccxt python", venue, shop)
    assert btc(shop) - before == Decimal("0.01") * Decimal("0.999")


def test_ccxt_in_javascript(venue, shop, tmp_path):
    told = run("ccxt js", venue, shop, tmp_path)
    assert "symbol: 'BTC/USDT'" in told and "last: 89000" in told, told


def test_python_binance(venue, shop):
    before = btc(shop)
    assert "'status': 'FILLED'" in run("python-binance python", venue, shop)
    assert btc(shop) > before


def test_binance_sdk_spot(venue, shop):
    told = run("binance-sdk-spot python", venue, shop)
    assert "BTC" in told and "USDT" in told and str(shop.balances()["USDT"][0]) in told, told


def test_every_snippet_has_its_test():
    ran = {"curl sh", "ccxt python", "ccxt js", "python-binance python", "binance-sdk-spot python"}
    # These need a demo that was started, or packages from the network, which the suite has already.
    prepare = {"Keys sh", "Python sh", "JavaScript sh"}
    assert ran | prepare == set(SNIPPETS)
    assert "python3 -m venv" in SNIPPETS["Python sh"][1] and "trade.mjs" in SNIPPETS["JavaScript sh"][1]
