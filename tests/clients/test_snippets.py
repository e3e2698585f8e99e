"""What the README, the documents and the help texts tell an operator to paste is pasted, into a real shell and at a
real venue.

That every snippet is read by a shell, and that every command line in it is one that the program takes, the program's
own tests show. Here are those that need nothing but a venue. Addresses, ports and folders come from the environment, as
they may for whoever pastes them; nothing is replaced in the text.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import requests

from raw import RawClient
from keys import KeyPair
from venue import ADMIN_TOKEN, BINARY, REPOSITORY, Account, Venue, free_port

PATIENCE_SECONDS = 60


def blocks(document: str, section: str | None = None) -> list[str]:
    """The blocks of a document, or of one of its sections, that a shell is to read."""
    text = (REPOSITORY / document).read_text()
    if section:
        text = text.split(f"\n## {section}\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def example(*command: str, heading: str, columns: int = 200) -> str:
    """The lines under a heading of the examples in a help text, as a terminal of that width shows them, indentation
    included: who copies them, copies that too."""
    environment = {"PATH": os.environ["PATH"], "COLUMNS": str(columns)}
    told = subprocess.run(
        [str(BINARY), *command, "--help"], capture_output=True, text=True, check=True, env=environment
    )
    lines = told.stdout.split(heading, 1)[1].split("\n\n", 1)[0].splitlines()[1:]
    assert lines and all(line.startswith("    ") for line in lines), told.stdout
    return "\n".join(lines)


@pytest.fixture
def fresh(tmp_path):
    """A venue of its own: the first account that is opened there has the number of the examples."""
    (tmp_path / "venue").mkdir()
    venue = Venue(tmp_path / "venue").start()
    yield venue
    venue.assert_books_balance()
    assert venue.stop() == 0, venue.log_tail()


def shell(venue: Venue | None, script: str, folder: Path, **more: str) -> str:
    """Pastes into a shell in which `crossbook` is on the path; what was printed."""
    (folder / "bin").mkdir(exist_ok=True)
    if not (folder / "bin/crossbook").exists():
        (folder / "bin/crossbook").symlink_to(BINARY)
    environment = {
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "HOME": str(folder),
        "CROSSBOOK_ADMIN_TOKEN": ADMIN_TOKEN,
    }
    if venue:
        environment["CROSSBOOK_ADMIN_URL"] = venue.admin_url
    done = subprocess.run(
        ["bash", "-eu", "-o", "pipefail", "-s"],
        input=script,
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment | more,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_documents_of_the_admin_api(fresh, tmp_path):
    pasted = blocks("docs/admin-api.md")
    # The section on the command line comes first and halts a market that later sections list.
    halts = [block for block in pasted if "halt" in block]
    assert len(halts) == 1
    pasted = [block for block in pasted if block not in halts] + halts
    # Fees are paid out once there are some.
    payout = next(at for at, block in enumerate(pasted) if "venue withdraw" in block)
    told = shell(fresh, "\n".join(pasted[:payout]), tmp_path)
    seller, buyer = fresh.make_account("seller"), Account(fresh, 1001, KeyPair.hmac())
    seller.deposit("BTC", 10, "stock")
    buyer.key = buyer.make_key(KeyPair.hmac())
    RawClient.of(seller).limit("BTCUSDT", "SELL", "2", "100")
    assert RawClient.of(buyer).limit("BTCUSDT", "BUY", "2", "100")["status"] == "FILLED"
    told += shell(fresh, "\n".join(pasted[payout:]), tmp_path)
    assert '"decimals":8' in told and "all balances reconcile" in told and "HALT" in told and "march" in told, told
    account = fresh.admin("GET", "accounts/1001")
    assert [row["free"] for row in account["balances"] if row["asset"] == "USDT"] == ["99749.00000000"], account
    assert len(account["apiKeys"]) == 2, "one of three was revoked"
    [paid] = [row["fees"] for row in fresh.admin("GET", "venue/balances")["balances"] if row["asset"] == "BTC"]
    assert paid == "0.00060000", paid
    assert fresh.admin("GET", "markets")["markets"][0]["status"] == "TRADING"


@pytest.mark.parametrize("columns", [40, 200])
def test_the_help_of_serve_and_admin(fresh, tmp_path, columns):
    script = example("serve", heading="Add what a first trade needs", columns=columns)
    told = shell(fresh, script, tmp_path)
    key, secret = re.search(r"API key +(\w{64})\nsecret +(\w{64})", told).groups()
    client = RawClient.of(Account(fresh, 1001, KeyPair.hmac().registered(key, secret)))
    assert client.limit("BTCUSDT", "BUY", "0.01", "50000")["status"] == "NEW"

    told = shell(fresh, example("admin", heading="Stop trading in one market"), tmp_path)
    assert told.count("HALT") == 1 and told.count("TRADING") == 1, told
    told = shell(
        fresh, example("admin", heading="The same account's balances").replace("| jq '.balances'", ""), tmp_path
    )
    assert "500.00000000" in told and json.loads(told.splitlines()[-1])["accountId"] == 1001, told


def test_the_readme_from_an_empty_folder_to_an_order(tmp_path):
    """Starts the venue with the first block, prepares a trade with the second, then places the curl snippet's order."""
    start, prepare = blocks("README.md", "Operate it")
    [curl] = [block for block in blocks("README.md", "Connect your client") if "curl" in block]
    (tmp_path / "target").mkdir()
    (tmp_path / "target/release").symlink_to(tmp_path / "bin")
    http, admin = free_port(), free_port()
    ready = f"until curl -sf http://127.0.0.1:{admin}/readyz > ready; do kill -0 $!; sleep 0.05; done"
    sell = "crossbook admin accounts open; crossbook admin deposit 1002 BTC 1 --transfer-id stock"
    end = "kill $!; wait $!"
    assert "127.0.0.1:8080" in curl and start.startswith("make build\n")
    leave = "trap 'jobs -p | xargs -r kill; wait' EXIT"
    script = "\n".join(
        [
            leave,
            "make() { :; }",
            start,
            ready,
            prepare,
            sell,
            'echo "[$KEY] [$SECRET]"',
            curl.replace(":8080", f":{http}"),
            "echo",
            end,
        ]
    )
    addresses = {
        "CROSSBOOK_HTTP": str(http),
        "CROSSBOOK_ADMIN": f"localhost:{admin}",
        "CROSSBOOK_ADMIN_URL": str(admin),
    }
    addresses["CROSSBOOK_GATEWAY__SERVER__DRAIN_MS"] = "0"
    told = shell(None, script, tmp_path, **addresses)
    assert re.search(r"\[\w{64}\] \[\w{64}\]", told), told
    # Nobody sells, so the order is either refused for that or expires; that it was understood is what counts.
    assert '"code":-2010' in told or '"status":"EXPIRED"' in told, told


def run(*arguments: str, **more: str) -> subprocess.CompletedProcess:
    environment = {"PATH": os.environ["PATH"], "CROSSBOOK_ADMIN_TOKEN": ADMIN_TOKEN} | more
    return subprocess.run(
        [str(BINARY), *arguments], capture_output=True, text=True, env=environment, timeout=PATIENCE_SECONDS
    )


def test_exit_statuses_and_errors_of_admin(venue):
    def admin(*arguments, **more):
        return run("admin", *arguments, **({"CROSSBOOK_ADMIN_URL": venue.admin_url} | more))

    assert admin("audit").returncode == 0
    for arguments, more, status, words in [
        (["markets", "change", "NOSUCH", "--status", "HALT"], {}, 4, "list it first"),
        (["deposit", "987654321", "USDT", "1", "--transfer-id", "x"], {}, 4, "account"),
        (
            ["audit"],
            {"CROSSBOOK_ADMIN_TOKEN": "another-token-than-that"},
            4,
            "CROSSBOOK_ADMIN_TOKEN must be the one that it was started with",
        ),
        (["audit"], {"CROSSBOOK_ADMIN_TOKEN": ""}, 1, "the token that the venue was started with"),
        (["audit"], {"CROSSBOOK_ADMIN_URL": f"http://127.0.0.1:{free_port()}"}, 1, "Is the venue running"),
        (["audit"], {"CROSSBOOK_ADMIN_URL": venue.http}, 1, "no admin API"),
        (["audit"], {"CROSSBOOK_ADMIN_URL": venue.admin_url.replace("http:", "ftp:")}, 1, "http://HOST:PORT"),
        (["assets", "add", "BTC"], {}, 2, "--decimals"),
    ]:
        done = admin(*arguments, **more)
        assert done.returncode == status and words in done.stderr and not done.stdout, (arguments, done)


def test_lists_are_whole_and_json_is_one_line(venue, monkeypatch):
    made = [venue.make_account(f"listed {n}").id for n in range(3)]
    done = run("admin", "--json", "--url", venue.admin_url, "accounts", "list")
    assert done.stdout.endswith("}\n") and done.stdout.count("\n") == 1
    listed = [row["accountId"] for row in json.loads(done.stdout)["accounts"]]
    assert listed == sorted(listed) and set(made) <= set(listed)
    shown = run("admin", "--url", venue.admin_url.removeprefix("http://"), "accounts").stdout
    assert "listed 2" in shown and "account" in shown.splitlines()[0]


def test_answers_of_the_admin_api_end_in_a_newline(venue):
    for path in ["admin/v1/assets", "admin/v1/nothing", "healthz", "readyz"]:
        for headers in [{}, {"Authorization": f"Bearer {ADMIN_TOKEN}"}]:
            text = requests.get(f"{venue.admin_url}/{path}", headers=headers, timeout=10).text
            assert text.endswith("}\n"), (path, text)


def test_completions_the_manual_and_the_version(tmp_path):
    script = run("completions", "bash").stdout
    probe = 'COMP_WORDS=(crossbook admin m); COMP_CWORD=2; _crossbook crossbook m admin; echo "${COMPREPLY[@]}"'
    told = subprocess.run(["bash", "-s"], input=f"{script}\n{probe}\n", capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["markets"], told
    assert run("man").stdout.startswith(".") and "crossbook" in run("man").stdout
    run("man", "--out", str(tmp_path / "man"))
    pages = {path.name for path in (tmp_path / "man").iterdir()}
    assert {"crossbook.1", "crossbook-serve.1", "crossbook-store-verify.1"} <= pages, pages
    assert re.fullmatch(
        r"crossbook \d+\.\d+\.\d+ \(commit \w+\)\n"
        r"log segments \d+, records \d+, snapshots \d+, exports \d+, history \d+\n",
        run("--version").stdout,
    ), run("--version").stdout
    assert re.fullmatch(r"crossbook \S+ \(commit \w+\)\n", run("-V").stdout)
