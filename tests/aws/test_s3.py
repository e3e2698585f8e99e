"""Snapshots and backups in S3, against moto's server: the API of S3 over HTTP, in a process of its own.

A venue is backed up while it runs and restored, and a cluster takes its snapshots there and is audited.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import boto3
import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("CROSSBOOK_BINARY", REPOSITORY / "target/debug/crossbook"))
BUCKET = "crossbook"
TOKEN = "an-admin-token-of-the-tests-of-s3"
SECONDS = 90


def wait_until(condition, what):
    """Polls until there is something, and gives that."""
    deadline = time.monotonic() + SECONDS
    while not (result := condition()):
        assert time.monotonic() < deadline, f"{what}: not within {SECONDS} seconds"
        time.sleep(0.05)
    return result


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Server:
    """moto's server, and its bucket."""

    def __init__(self):
        self.port = free_port()
        url = f"http://127.0.0.1:{self.port}"
        line = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        self.process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: answers(self.port), "moto's server")
        self.variables = {
            "AWS_ENDPOINT": url,
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }
        self.s3 = boto3.client(
            "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
        )
        self.s3.create_bucket(Bucket=BUCKET)

    def keys(self, prefix):
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return [line["Key"] for page in pages for line in page.get("Contents", [])]


@pytest.fixture(scope="module")
def server():
    server = Server()
    yield server
    server.process.terminate()
    server.process.wait()


def crossbook(server, *line, check=True, **variables):
    """Runs the program to its end; what it has printed."""
    environment = {**os.environ, **server.variables, "CROSSBOOK_ADMIN_TOKEN": TOKEN, **variables}
    done = subprocess.run([BINARY, *map(str, line)], env=environment, capture_output=True, text=True)
    assert not check or done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
    return done


def test_a_venue_is_backed_up_while_it_runs_and_restored(server, tmp_path):
    data, http, admin = tmp_path / "venue", free_port(), free_port()
    variables = {"CROSSBOOK_ADMIN_URL": f"http://127.0.0.1:{admin}"}
    line = [BINARY, "serve", "--data", str(data), "--http", str(http), "--admin", str(admin)]
    venue = subprocess.Popen(
        line, env={**os.environ, "CROSSBOOK_ADMIN_TOKEN": TOKEN}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: crossbook(server, "admin", "assets", "list", check=False, **variables).returncode == 0,
                   "the venue")
        crossbook(server, "admin", "assets", "add", "USDT", "--decimals", 8, **variables)
        crossbook(server, "admin", "accounts", "open", "--label", "alice", **variables)
        crossbook(server, "admin", "deposit", 1001, "USDT", 100000, "--transfer-id", "first", **variables)
        crossbook(server, "backup", "--data", data, "--out", f"s3://{BUCKET}/venue")
        crossbook(server, "admin", "deposit", 1001, "USDT", 5, "--transfer-id", "second", **variables)
        crossbook(server, "backup", "--data", data, "--out", f"s3://{BUCKET}/venue", "--verify-all")
    finally:
        venue.send_signal(signal.SIGTERM)
        venue.wait()
    restored = tmp_path / "restored"
    crossbook(server, "restore", "--from", f"s3://{BUCKET}/venue", "--data", restored)
    audits = [json.loads(crossbook(server, "audit", "--data", place, "--json").stdout) for place in (data, restored)]
    assert all(audit["ok"] for audit in audits)
    assert audits[0]["stateHash"] == audits[1]["stateHash"], audits


@pytest.fixture
def cluster(server, tmp_path):
    """A cluster with its snapshots in S3, two partitions on one shard, and a snapshot after every 200 commands."""
    variables = {
        **os.environ,
        **server.variables,
        "CROSSBOOK_CLUSTER__SNAPSHOTS__ADDRESS": f"s3://{BUCKET}/cluster",
        "CROSSBOOK_CLUSTER__SNAPSHOT_INTERVAL_COMMANDS": "200",
    }
    line = [BINARY, "cluster", "--data", str(tmp_path / "cluster"), "--no-history", "--no-limits"]
    line += ["--shards", "1", "--partitions", "2", "--workers", "2", "--gateways", "1"]
    process = subprocess.Popen(line, env=variables, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    text = ""
    for told in process.stdout:
        text += told
        if told.startswith("Kill any"):
            break
    found = lambda pattern: re.search(pattern, text)[1]  # noqa: E731
    yield {
        "http": found(r"client API \(HAProxy\) +http://(\S+)"),
        "admin": found(r"admin API \(HAProxy\) +http://(\S+)"),
        "token": found(r"bearer token (\S+)"),
        "config": found(r"settings +(\S+)"),
        "snapshots": variables["CROSSBOOK_CLUSTER__SNAPSHOTS__ADDRESS"],
    }
    process.send_signal(signal.SIGINT)
    process.wait()


def test_a_cluster_takes_its_snapshots_there_and_its_audit_reads_them(server, cluster):
    load = ["bench", "api", "--url", cluster["http"], "--admin", cluster["admin"], "--parts", "rest"]
    load += ["--seconds", 2, "--rounds", 1, "--connections", 4, "--rate", 200, "--subscribers", 0]
    crossbook(server, *load, CROSSBOOK_ADMIN_TOKEN=cluster["token"])

    def of_every_partition():
        keys = server.keys("cluster/")
        return keys if all(any(f"/p{at}/snapshot-" in key for key in keys) for at in range(2)) else None

    wait_until(of_every_partition, "a snapshot of each partition")
    audit = crossbook(server, "audit", "--cluster", "--config", cluster["config"], "--json",
                      CROSSBOOK_CLUSTER__SNAPSHOTS__ADDRESS=cluster["snapshots"])
    assert json.loads(audit.stdout)["ok"] is True
