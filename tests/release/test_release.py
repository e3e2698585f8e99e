"""A packed release: what is in it, that it runs, and that packing it again gives the same."""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import subprocess
import tarfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
DIST = REPOSITORY / "target/dist"


def done(*command: str, **options) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, **options).stdout


def one(pattern: str) -> Path:
    [path] = DIST.glob(pattern)
    return path


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    for archive in (one("crossbook-*-linux.tar.gz"), one("crossbook-*-linux-debug.tar.gz")):
        with tarfile.open(archive) as packed:
            assert all((member.uid, member.gid) == (0, 0) for member in packed)
            packed.extractall(folder, filter="data")
    [program] = folder.glob("*-linux")
    return program


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("package")
    done("dpkg-deb", "--extract", str(one("*.deb")), str(folder))
    return folder


def test_the_checksums_are_those_of_all_files():
    sums = dict(reversed(line.split("  ")) for line in (DIST / "SHA256SUMS").read_text().splitlines())
    assert set(sums) == {path.name for path in DIST.iterdir()} - {"SHA256SUMS"}
    for name, expected in sums.items():
        assert hashlib.sha256((DIST / name).read_bytes()).hexdigest() == expected, name


def test_packing_it_again_gives_the_same_files():
    assert (DIST / "SHA256SUMS").read_text() == (REPOSITORY / "target/dist-again/SHA256SUMS").read_text()


def test_the_archive_has_what_a_person_needs(unpacked):
    names = {str(path.relative_to(unpacked)) for path in unpacked.rglob("*") if path.is_file()}
    assert {"crossbook", "LICENSE", "README.md", "CHANGELOG.md", "crossbook.toml", "crossbook.service"} <= names
    assert {"completions/crossbook.bash", "completions/_crossbook", "completions/crossbook.fish"} <= names
    assert {"man/crossbook.1", "man/crossbook-serve.1", "crossbook.cdx.json"} <= names
    version = done(str(unpacked / "crossbook"), "--version", env={})
    assert version.startswith(f"crossbook {unpacked.name.split('-')[1]} (commit ")
    assert done(str(unpacked / "crossbook"), "config", env={}) == (unpacked / "crossbook.toml").read_text()


def test_the_debug_information_belongs_to_the_program(unpacked):
    program = unpacked / "crossbook"
    assert ".debug_line" not in done("readelf", "--section-headers", "--wide", str(program))
    debug = Path(f"{unpacked}-debug") / "crossbook.debug"
    assert ".debug_line" in done("readelf", "--section-headers", "--wide", str(debug))
    identity = re.compile(r"Build ID: (\w+)")
    notes = [identity.search(done("readelf", "--notes", str(file))) for file in (program, debug)]
    assert notes[0] is None or notes[0][1] == notes[1][1]


def test_the_package_installs_files_and_starts_nothing(installed):
    shown = done("dpkg-deb", "--field", str(one("*.deb")))
    fields = dict(line.split(": ", 1) for line in shown.splitlines() if not line.startswith(" "))
    assert fields["Package"] == "crossbook" and "@" not in shown.replace("maintainers@", "")
    assert re.search(r"libc6 \(>= 2\.\d+\)", fields["Depends"])
    listed = done("dpkg-deb", "--contents", str(one("*.deb")))
    assert all(" root/root " in line for line in listed.splitlines())
    # Only those who may write are trusted.
    assert not re.search(r"^.{5}w|^.{8}w", listed, re.MULTILINE)
    assert done(str(installed / "usr/bin/crossbook"), "--version", env={}).startswith("crossbook ")
    for page in ("crossbook.1.gz", "crossbook-serve.1.gz"):
        assert gzip.decompress((installed / "usr/share/man/man1" / page).read_bytes()).startswith(b".ie")
    control = installed / "control"
    done("dpkg-deb", "--control", str(one("*.deb")), str(control))
    assert (control / "conffiles").read_text() == "/etc/crossbook/crossbook.toml\n"
    for script in ("postinst", "prerm", "postrm"):
        done("sh", "-n", str(control / script))
        assert "enable --now crossbook\"" in (control / script).read_text() or script != "postinst"


def test_the_service_may_do_little(installed):
    unit = installed / "usr/lib/systemd/system/crossbook.service"
    environment = {**os.environ, "SYSTEMD_COLORS": "0"}
    security = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    ).stdout
    exposure = float(re.search(r"Overall exposure level for \S+: ([\d.]+)", security)[1])
    assert exposure < 2.0, security
    # The program and the page of the manual are not installed here.
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    wrong = [
        line
        for line in verified.stderr.splitlines()
        if "crossbook.service" in line and "Command /usr/bin/crossbook is not executable" not in line
    ]
    assert not wrong, wrong
