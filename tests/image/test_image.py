"""The image, as it was built: what is in it, and that it needs nothing else."""

from __future__ import annotations

import json
import re
from pathlib import Path

import conftest

SIZE_MAX = 20_000_000


def test_it_is_small_and_says_what_it_is():
    assert conftest.ARCHIVE.stat().st_size < SIZE_MAX
    shown = json.loads(conftest.done("skopeo", "inspect", f"oci-archive:{conftest.ARCHIVE}"))
    config = json.loads(conftest.done("skopeo", "inspect", "--config", f"oci-archive:{conftest.ARCHIVE}"))
    labels = {name.removeprefix("org.opencontainers.image."): text for name, text in shown["Labels"].items()}
    assert labels.keys() == {"title", "description", "version", "revision", "created", "licenses"}
    assert re.fullmatch(r"[0-9a-f]{40}", labels["revision"])
    assert config["created"] == labels["created"]
    assert config["config"]["User"] == "10001:10001"
    assert config["config"]["Entrypoint"] == [conftest.PROGRAM]
    assert set(config["config"]["ExposedPorts"]) == {"8080/tcp", "8081/tcp", "8082/tcp"}


def test_the_same_binary_gives_the_same_image():
    digests = [(conftest.ARCHIVE.parent / name).read_text() for name in ("digest", "again/digest")]
    assert digests[0] == digests[1]


def test_the_list_of_components_has_every_crate_and_file():
    listed = json.loads((conftest.ARCHIVE.parent / "crossbook.cdx.json").read_text())
    assert (listed["bomFormat"], listed["specVersion"]) == ("CycloneDX", "1.5")
    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", listed["serialNumber"])
    components = {component["bom-ref"]: component for component in listed["components"]}
    assert len(components) == len(listed["components"]), "each once"
    references = {*components, listed["metadata"]["component"]["bom-ref"]}
    for edge in listed["dependencies"]:
        assert edge["ref"] in references and set(edge["dependsOn"]) <= references
    assert any(reference.startswith("pkg:cargo/crossbook-engine@") for reference in references)
    assert any(reference.startswith("pkg:cargo/hyper@") for reference in references)
    assert not any(reference.startswith("pkg:cargo/tempfile-of-tests") for reference in references)
    for component in components.values():
        # Crates of the workspace have no checksum.
        if not component["name"].startswith("crossbook"):
            [digest] = component["hashes"]
            assert re.fullmatch(r"[0-9a-f]{64}", digest["content"]), component
    assert any(name.endswith("/libc.so.6") for name in components)
    assert "/etc/ssl/certs/ca-certificates.crt" in components


def test_it_serves_read_only_without_any_privilege(container):
    # The demo has a market with traders, so that there is something to serve.
    venue = container("demo", "--http", "0.0.0.0:8080", "--admin", "0.0.0.0:8081", "--data", "/data/venue")
    venue.wait_until_ready()
    process = Path(f"/proc/{venue.pid()}")
    status = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines() if ":\t" in line)
    assert set(status["Uid"].split()) == set(status["Gid"].split()) == {"10001"}
    assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert status["NoNewPrivs"] == "1"
    root = next(line.split() for line in (process / "mountinfo").read_text().splitlines() if line.split()[4] == "/")
    assert "ro" in root[5].split(",")
    assert list((venue.bundle / "rootfs/usr/bin").iterdir()) == [venue.bundle / "rootfs/usr/bin/crossbook"]

    assets = venue.ask("admin", "--json", "assets")
    assert assets.returncode == 0 and len(json.loads(assets.stdout)["assets"]) >= 2, assets
    audit = venue.ask("admin", "--json", "audit")
    assert audit.returncode == 0 and json.loads(audit.stdout)["ok"] is True
    assert venue.ask("probe", "--live").returncode == 0
    nobody = venue.ask("probe", "--url", "127.0.0.1:1")
    assert nobody.returncode == 1 and "no answer" in nobody.stderr
    # Whatever is to be written elsewhere is refused by the system, and said.
    refused = venue.ask("man", "--out", "/etc/man")
    assert refused.returncode == 1 and "Read-only file system" in refused.stderr, refused
    assert venue.stop() == 0, venue.said()


def test_a_venue_without_a_token_says_what_to_do(container):
    refused = container("serve", "--data", "/proc/nowhere")
    assert refused.process.wait(conftest.DEADLINE) == 1
    assert "/proc/nowhere" in refused.said()
