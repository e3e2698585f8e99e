"""What is observed and what observes: a cluster under load, two venues in one process, Prometheus, Alertmanager, and
the exporters of Redis, MySQL and the machine. Everything listens on the loopback address and ends with the script.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
MONITORING = REPOSITORY / "deploy/monitoring"
HOST = "127.0.0.1"
TOKEN = "a-token-for-those-who-observe"

# Windows and waiting times of the rules are divided by this, so that a run takes minutes and not days.
SPEED = 120
# But no window of a rate is shorter, in seconds: Prometheus scrapes once a second.
WINDOW_MIN = 10
# No alert waits longer before it fires, in seconds.
HOLD_MAX = 5
# Alerts whose limit is itself a time: what stands in the rule, and what is used here.
LIMITS = {"CrossbookAuditOld": ("26 * 3600", "20")}

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def eventually(what: str, look: Callable[[], object], patience: float = 60, every: float = 0.2) -> object:
    """Polls until there is something."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, subprocess.CalledProcessError, urllib.error.URLError, ValueError):
            if found := look():
                return found
        time.sleep(every)
    raise TimeoutError(f"{what}: not within {patience:.0f} s")


def free_port() -> int:
    with socket.socket() as free:
        free.bind((HOST, 0))
        return free.getsockname()[1]


def get(url: str, timeout: float = 10) -> str:
    with urllib.request.urlopen(url, timeout=timeout) as response:
        return response.read().decode()


def shortened(text: str) -> str:
    """A duration of a rule, divided."""
    number, unit = re.fullmatch(r"(\d+)([smhd])", text).groups()
    return f"{max(WINDOW_MIN, int(number) * SECONDS[unit] // SPEED)}s"


def fast_rules(folder: Path) -> list[Path]:
    """The rules with all durations shortened, as this module says; nothing else is changed."""
    written = []
    for file in sorted((MONITORING / "rules").glob("*.yaml")):
        groups = yaml.safe_load(file.read_text())
        for rule in (rule for group in groups["groups"] for rule in group["rules"]):
            rule["expr"] = re.sub(r"(?<=\[)\d+[smhd](?=\])", lambda found: shortened(found[0]), rule["expr"])
            if "for" in rule:
                number, unit = re.fullmatch(r"(\d+)([smhd])", rule["for"]).groups()
                rule["for"] = f"{min(HOLD_MAX, int(number) * SECONDS[unit])}s"
            if limit := LIMITS.get(rule.get("alert")):
                assert limit[0] in rule["expr"], rule
                rule["expr"] = rule["expr"].replace(*limit)
        written.append(folder / file.name)
        written[-1].write_text(yaml.safe_dump(groups, sort_keys=False))
    return written


@dataclass
class Notified:
    """What Alertmanager has told its receivers: by alert, when it was first said to fire and to be resolved."""

    firing: dict[str, float] = field(default_factory=dict)
    resolved: dict[str, float] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)


class Receiver(http.server.BaseHTTPRequestHandler):
    """A webhook of Alertmanager."""

    notified = Notified()

    def do_POST(self) -> None:
        told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        for alert in told["alerts"]:
            name = alert["labels"]["alertname"]
            if alert["status"] == "firing":
                self.notified.firing[name] = time.time()
                self.notified.texts[name] = alert["annotations"]["description"]
            else:
                self.notified.resolved[name] = time.time()
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class Stack:
    """See the module."""

    def __init__(self, folder: Path, binary: Path) -> None:
        self.folder, self.binary = folder, binary
        self.running: dict[str, subprocess.Popen] = {}
        self.ports = {
            name: free_port()
            for name in (
                *("serve", "serve-admin", "second", "second-admin"),
                *("prometheus", "alertmanager", "webhook", "redis", "mysqld", "node"),
            )
        }
        self.addresses: dict[str, str] = {}
        self.redis: list[str] = []
        self.database = 0
        (folder / "bin").mkdir()
        (folder / "bin/crossbook").symlink_to(binary)

    def __enter__(self) -> Stack:
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self.running)[::-1]:
            self.stop(name, signal.SIGINT if name == "cluster" else signal.SIGTERM)

    def start(self, name: str, *command: object, **environment: str) -> subprocess.Popen:
        """Starts a process whose output goes to a file of its own."""
        with (self.folder / f"{name}.log").open("a") as output:
            self.running[name] = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=os.environ | environment,
                start_new_session=True,
            )
        return self.running[name]

    def stop(self, name: str, how: int = signal.SIGTERM) -> None:
        process = self.running.pop(name, None)
        if process and process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.send_signal(how)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    # What is observed ---------------------------------------------------------------------------------------------

    def start_cluster(self) -> None:
        """One shard with a replica, three partitions on two workers, two gateways, a writer."""
        self.start(
            "cluster",
            *(self.binary, "cluster", "--data", self.folder / "cluster", "--no-limits"),
            *("--shards", 1, "--partitions", 3, "--workers", 2, "--gateways", 2),
            CROSSBOOK_CLUSTER__SNAPSHOT_INTERVAL_COMMANDS="2000",
            CROSSBOOK_GATEWAY__SERVER__DRAIN_MS="0",
        )
        log = self.folder / "cluster.log"
        eventually("the cluster runs", lambda: "Ctrl-C stops everything" in log.read_text(), 120)
        text = log.read_text()
        self.addresses = dict(re.findall(r"^  ([\w-]+-\d) +http://(\S+)   process", text, re.MULTILINE))
        self.redis = re.findall(r"^  Redis +redis://(\S+)", text, re.MULTILINE)
        self.http = re.search(r"client API \(HAProxy\) +(http://\S+)", text)[1]
        self.admin, self.token = re.search(r"admin API \(HAProxy\) +(http://\S+) +bearer token (\S+)", text).groups()
        self.database = int(re.search(r"mysql://root@127.0.0.1:(\d+)/", text)[1])
        # A replica that is silent counts as lost after this; a minute by default.
        for server in self.redis:
            subprocess.run(
                ["redis-cli", "-u", f"redis://{server}", "config", "set", "repl-timeout", "3"],
                check=True,
                capture_output=True,
            )

    def start_venue(self, name: str, data: Path, *command: object, **environment: str) -> None:
        """A venue in one process. Segments and snapshots are small, so that there are several of them."""
        http, admin = f"{HOST}:{self.ports[name]}", f"{HOST}:{self.ports[name + '-admin']}"
        limits = ("REQUEST_WEIGHT_1M", "RAW_REQUESTS_5M", "ORDERS_10S", "ORDERS_1D")
        tokens = self.tokens(name)
        tokens.write_text(TOKEN)
        self.start(
            name,
            *command,
            *(self.binary, "serve", "--data", data, "--http", http, "--admin", admin, "--log-format", "human"),
            CROSSBOOK_ADMIN_TOKEN_FILE=str(tokens),
            CROSSBOOK_GATEWAY__SERVER__RELOAD_INTERVAL_MS="500",
            CROSSBOOK_GATEWAY__SERVER__DRAIN_MS="0",
            CROSSBOOK_GATEWAY__STREAMS__SEND_TIMEOUT_MS="1000",
            CROSSBOOK_LOG__RECORD_BYTES_MAX="131072",
            CROSSBOOK_LOG__BATCH_BYTES_MAX="524288",
            CROSSBOOK_LOG__SEGMENT_BYTES_MAX="1048576",
            CROSSBOOK_SNAPSHOTS__INTERVAL_COMMANDS="1000000",
            **{f"CROSSBOOK_GATEWAY__LIMITS__{limit}": "0" for limit in limits},
            **environment,
        )
        eventually(f"{name} is ready", lambda: self.running[name].poll() is not None or get(f"http://{admin}/readyz"))
        if self.running[name].poll() is not None:
            raise RuntimeError(f"{name} does not start; see {self.folder / name}.log")

    def tokens(self, name: str) -> Path:
        """The file with the admin tokens of a venue."""
        return self.folder / f"{name}.tokens"

    def start_load(self, name: str, url: str, admin: str, token: str, rate: int, accounts: int = 16) -> None:
        """Orders at a steady rate, for longer than this takes. It looks up nothing in the end, because it is killed."""
        self.start(
            name,
            *(self.binary, "soak", "--url", url, "--admin", admin, "--rate", rate, "--duration", "2h"),
            *("--accounts", accounts),
            CROSSBOOK_ADMIN_TOKEN=token,
        )

    def pids(self, name: str) -> list[int]:
        """The processes whose command line has this text and that this script has started, itself or by the cluster."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                if name in line and str(self.folder) in line + str((folder / "cwd").resolve()):
                    found.append(int(folder.name))
        return found

    def process(self, name: str) -> int:
        """The process of a role of the cluster, by its admin address, or of a venue."""
        if name in self.running:
            return self.running[name].pid
        [pid] = [pid for pid in self.pids(self.addresses[name]) if "cluster" not in self._program(pid)]
        return pid

    def _program(self, pid: int) -> list[str]:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")[1:2]

    def redis_process(self, server: str) -> int:
        """The process of a Redis server, by its port."""
        said = self.redis_cli(server, "info", "server")
        return int(re.search(r"process_id:(\d+)", said)[1])

    def redis_cli(self, server: str, *command: str) -> str:
        done = subprocess.run(
            ["redis-cli", "-u", f"redis://{server}", *command], capture_output=True, text=True, check=True, timeout=20
        )
        return done.stdout

    def redis_by_role(self, role: str) -> str:
        """The address of the master, or of the replica (`slave`)."""
        return next(server for server in self.redis if f"role:{role}" in self.redis_cli(server, "info", "replication"))

    # What observes ------------------------------------------------------------------------------------------------

    def start_observers(self) -> None:
        self.start(
            "redis-exporter",
            *("prometheus-redis-exporter", "-web.listen-address", f"{HOST}:{self.ports['redis']}", "-redis.addr", ""),
        )
        self.start(
            "mysqld-exporter",
            *("prometheus-mysqld-exporter", f"--web.listen-address={HOST}:{self.ports['mysqld']}"),
            DATA_SOURCE_NAME=f"root@tcp({HOST}:{self.database})/",
        )
        self.start("node-exporter", "prometheus-node-exporter", f"--web.listen-address={HOST}:{self.ports['node']}")
        webhook = http.server.ThreadingHTTPServer((HOST, self.ports["webhook"]), Receiver)
        threading.Thread(target=webhook.serve_forever, daemon=True).start()
        self._start_alertmanager()
        self._start_prometheus()

    def _start_alertmanager(self) -> None:
        """The example, but notifications come at once, to the receiver here, and none is inhibited."""
        config = yaml.safe_load((MONITORING / "alertmanager.yml").read_text())
        for route in (config["route"], *config["route"]["routes"]):
            route |= {"group_wait": "0s", "group_interval": "1s"}
        del config["inhibit_rules"]
        for receiver in config["receivers"]:
            receiver["webhook_configs"] = [{"url": f"http://{HOST}:{self.ports['webhook']}/{receiver['name']}"}]
        file = self.folder / "alertmanager.yml"
        file.write_text(yaml.safe_dump(config, sort_keys=False))
        self.start(
            "alertmanager",
            *("prometheus-alertmanager", f"--config.file={file}", f"--storage.path={self.folder / 'alerts'}"),
            *(f"--web.listen-address={HOST}:{self.ports['alertmanager']}", "--cluster.listen-address="),
        )

    def _start_prometheus(self) -> None:
        """The example, with these targets, one scrape a second, and shortened rules."""
        rules = self.folder / "rules"
        rules.mkdir()
        fast_rules(rules)
        config = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
        [manager] = config["alerting"]["alertmanagers"]
        manager["static_configs"] = [{"targets": [f"{HOST}:{self.ports['alertmanager']}"]}]
        roles = {
            f"crossbook-{role}": [at for name, at in self.addresses.items() if name.startswith(role)]
            for role in ("gateway", "worker", "writer")
        }
        targets = roles | {
            "redis": [f"redis://{server}" for server in self.redis],
            "mysqld": [f"{HOST}:{self.ports['mysqld']}"],
            "node": [f"{HOST}:{self.ports['node']}"],
        }
        for job in config["scrape_configs"]:
            job["static_configs"] = [{"targets": targets[job["job_name"]]}]
            for relabel in job.get("relabel_configs", []):
                if "replacement" in relabel:
                    relabel["replacement"] = f"{HOST}:{self.ports['redis']}"
        for job, name in {"crossbook": "serve-admin", "crossbook-second": "second-admin"}.items():
            config["scrape_configs"].append(
                {"job_name": job, "static_configs": [{"targets": [f"{HOST}:{self.ports[name]}"]}]}
            )
        file = self.folder / "prometheus.yml"
        file.write_text(yaml.safe_dump(config, sort_keys=False))
        self.start(
            "prometheus",
            *("prometheus", f"--config.file={file}", f"--storage.tsdb.path={self.folder / 'series'}"),
            *(f"--web.listen-address={HOST}:{self.ports['prometheus']}", "--query.lookback-delta=10s"),
        )
        eventually("Prometheus is ready", lambda: get(f"{self.prometheus}/-/ready"))

    @property
    def prometheus(self) -> str:
        return f"http://{HOST}:{self.ports['prometheus']}"

    def ask(self, path: str, **parameters: object) -> dict:
        """An answer of Prometheus."""
        query = urllib.parse.urlencode(parameters)
        return json.loads(get(f"{self.prometheus}/api/v1/{path}?{query}", 30))["data"]

    def firing(self, ignored: str | None = None) -> set[str]:
        """The names of the alerts that fire now, perhaps without those of one job."""
        alerts = [alert for alert in self.ask("alerts")["alerts"] if alert["state"] == "firing"]
        return {
            alert["labels"]["alertname"] for alert in alerts if alert["labels"].get("job") != ignored or not ignored
        }

    def crossbook(self, *arguments: str) -> str:
        """What an administrator's command says, of the cluster."""
        done = subprocess.run(
            [self.binary, "admin", "--url", self.admin, *arguments],
            env=os.environ | {"CROSSBOOK_ADMIN_TOKEN": self.token},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return done.stdout


@contextlib.contextmanager
def temporary(keep: Path | None) -> Iterator[Path]:
    """A folder for everything, emptied first if it is to be kept."""
    import tempfile

    if keep:
        shutil.rmtree(keep, ignore_errors=True)
        keep.mkdir(parents=True)
        yield keep
        return
    with tempfile.TemporaryDirectory(prefix="observe-") as folder:
        yield Path(folder)
