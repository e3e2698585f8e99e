"""The faults that fire the alerts: each is made for real, lasts until its alerts fire, and is undone."""

from __future__ import annotations

import base64
import contextlib
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from stack import HOST, TOKEN, Stack, eventually, get

DAY = 86_400
# Room for the second venue, whose disk is filled.
DISK_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Fault:
    """What is broken, and which alerts must fire because of it."""

    what: str
    alerts: tuple[str, ...]
    # Lasts for as long as the context; gives what the commands of the runbooks need.
    make: Callable[[Stack], contextlib.AbstractContextManager[dict[str, str]]]
    # Alerts of the job `crossbook`, whose disk other programs use too, do not count.
    only_second: bool = False


FAULTS: list[Fault] = []

# Alerts whose fault cannot be made here, and why.
NOT_MADE = {
    "CrossbookPartitionIsolated": "needs a command that the program cannot apply: a fault of the program itself",
    "CrossbookAuditFailed": "needs books that do not balance: a fault of the program itself",
    "CrossbookNodeMemoryLow": "would take the memory of the machine from everything else that runs on it",
    **dict.fromkeys(
        ("CrossbookAuditJobFailed", "CrossbookBackupJobFailed", "CrossbookBackupOld"),
        "needs a Kubernetes with kube-state-metrics",
    ),
}


def fault(what: str, *alerts: str, only_second: bool = False) -> Callable:
    """Declares a fault."""

    def declare(make: Callable[[Stack], Iterator[dict[str, str]]]) -> Callable:
        FAULTS.append(Fault(what, alerts, contextlib.contextmanager(make), only_second))
        return make

    return declare


# Tools ------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def paused(*pids: int) -> Iterator[None]:
    """Processes stand still, as they do when a machine hangs."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def throttled(pid: int, stopped: float, running: float) -> Iterator[None]:
    """A process gets the processor only in turns, as under a limit of CPU time."""
    end = threading.Event()

    def take_turns() -> None:
        while not end.is_set():
            os.kill(pid, signal.SIGSTOP)
            time.sleep(stopped)
            os.kill(pid, signal.SIGCONT)
            time.sleep(running)

    thread = threading.Thread(target=take_turns)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


def subscribe(port: int, stream: str) -> socket.socket:
    """A WebSocket connection to a stream. Who does not read it is a slow consumer."""
    client = socket.create_connection((HOST, port), 10)
    key = base64.b64encode(os.urandom(16)).decode()
    client.sendall(
        f"GET /ws/{stream} HTTP/1.1\r\nHost: {HOST}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    answer = client.recv(4096)
    assert b" 101 " in answer, answer
    return client


def follow(stack: Stack) -> None:
    """Follows the trades of the venue under load, in the markets that its load has listed last."""
    told = json.loads(get(f"http://{HOST}:{stack.ports['serve']}/api/v3/exchangeInfo"))
    streams = "/".join(f"{market['symbol'].lower()}@trade" for market in told["symbols"][-4:])
    read_all(subscribe(stack.ports["serve"], streams))


def read_all(client: socket.socket) -> None:
    """Reads a stream until it ends."""

    def read() -> None:
        with contextlib.suppress(OSError):
            client.settimeout(None)
            while client.recv(65_536):
                pass

    threading.Thread(target=read, daemon=True).start()


def certificate(folder: Path, days: int) -> dict[str, str]:
    """A certificate for the client API of the second venue."""
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", str(days), "-subj", "/CN=localhost"),
            *("-keyout", folder / "second.key", "-out", folder / "second.pem"),
        ],
        check=True,
        capture_output=True,
    )
    return {
        "CROSSBOOK_GATEWAY__TLS__CERTIFICATE_FILE": str(folder / "second.pem"),
        "CROSSBOOK_GATEWAY__TLS__KEY_FILE": str(folder / "second.key"),
    }


def disk(stack: Stack) -> Path:
    """The disk of the second venue."""
    return stack.folder / "disk"


def start_second(stack: Stack, days: int = 90, *command: object, **environment: str) -> None:
    """A venue in one process that has a disk and a certificate of its own, and no load."""
    stack.stop("second")
    environment |= certificate(stack.folder, days)
    stack.start_venue("second", disk(stack) / "venue", *command, **environment)


@contextlib.contextmanager
def small_disk(stack: Stack) -> Iterator[None]:
    """A file system in memory, small enough to be filled. It goes away with the script."""
    folder = disk(stack)
    folder.mkdir()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"observe", str(folder).encode(), b"tmpfs", 0, f"size={DISK_BYTES}".encode()) != 0:
        raise OSError(ctypes.get_errno(), "a small file system cannot be mounted; run as root")
    try:
        yield
    finally:
        stack.stop("second")
        libc.umount2(str(folder).encode(), 2)


def start_serve(stack: Stack) -> None:
    """The venue in one process that is under load."""
    stack.start_venue("serve", stack.folder / "venue")


def stop_serve(stack: Stack) -> None:
    """The venue and its load. It writes a snapshot."""
    stack.stop("serve-load", signal.SIGKILL)
    stack.stop("serve")


def load_serve(stack: Stack) -> None:
    http, admin = f"http://{HOST}:{stack.ports['serve']}", f"http://{HOST}:{stack.ports['serve-admin']}"
    stack.start_load("serve-load", http, admin, TOKEN, 200)
    eventually("the venue is under load", lambda: counted(admin, "crossbook_orders_accepted_total") > 100)


def counted(admin: str, metric: str) -> float:
    """A metric without labels."""
    return next(
        float(line.split()[1]) for line in get(f"{admin}/metrics").splitlines() if line.startswith(metric + " ")
    )


def labelled(admin: str, metric: str, label: str) -> float:
    """A metric with one label."""
    start = f"{metric}{{{label}}} "
    return next((float(line.split()[-1]) for line in get(f"{admin}/metrics").splitlines() if line.startswith(start)), 0)


def serve_admin(stack: Stack) -> dict[str, str]:
    return {"ADMIN": f"http://{HOST}:{stack.ports['serve-admin']}", "DATA": str(stack.folder / "venue")}


def second_admin(stack: Stack) -> dict[str, str]:
    return {"ADMIN": f"http://{HOST}:{stack.ports['second-admin']}", "DATA": str(disk(stack) / "venue")}


def of(stack: Stack, name: str) -> dict[str, str]:
    """The admin address of a process of the cluster."""
    return {"ADMIN": f"http://{stack.addresses[name]}"}


# Processes --------------------------------------------------------------------------------------------------------


@fault("a worker stands still (SIGSTOP)", "CrossbookWorkerDown", "CrossbookStandbyMissing")
def _worker(stack: Stack) -> Iterator[dict[str, str]]:
    with paused(stack.process("worker-1")):
        yield of(stack, "worker-0")


@fault("all workers stand still", "CrossbookPartitionWithoutWorker")
def _workers(stack: Stack) -> Iterator[dict[str, str]]:
    with paused(stack.process("worker-0"), stack.process("worker-1")):
        yield of(stack, "gateway-0")


@fault("a gateway stands still", "CrossbookGatewayDown")
def _gateway(stack: Stack) -> Iterator[dict[str, str]]:
    with paused(stack.process("gateway-1")):
        yield of(stack, "gateway-1")


@fault("all gateways and venues stand still", "CrossbookNoGateway")
def _gateways(stack: Stack) -> Iterator[dict[str, str]]:
    with paused(stack.process("gateway-0"), stack.process("gateway-1"), stack.process("serve")):
        yield of(stack, "gateway-0")


@fault("the file of admin tokens is emptied", "CrossbookAdminTokensUnusable")
def _tokens(stack: Stack) -> Iterator[dict[str, str]]:
    tokens = stack.tokens("serve")
    tokens.write_text("")
    try:
        yield {"ADMIN": f"http://{HOST}:{stack.ports['serve-admin']}"}
    finally:
        tokens.write_text(TOKEN)


@fault("the writer stands still", "CrossbookWriterDown")
def _writer(stack: Stack) -> Iterator[dict[str, str]]:
    with paused(stack.process("writer-0")):
        yield {}


@fault("a worker is killed three times, and restarted", "CrossbookProcessRestarting")
def _restarts(stack: Stack) -> Iterator[dict[str, str]]:
    for _ in range(3):
        before = stack.process("worker-1")
        os.kill(before, signal.SIGKILL)
        eventually("it is restarted", lambda was=before: stack.process("worker-1") != was)
        eventually("it is ready", lambda: get(f"http://{stack.addresses['worker-1']}/readyz"))
        # Prometheus must see each start.
        scraped = time.time() + 1.5
        eventually("it is scraped", lambda until=scraped: time.time() > until)
    yield of(stack, "worker-1")


@fault(
    "the limit of file descriptors of a gateway is lowered to just above what it has open",
    "CrossbookFileDescriptorsLow",
)
def _descriptors(stack: Stack) -> Iterator[dict[str, str]]:
    pid = stack.process("gateway-1")
    before = subprocess.run(
        ["prlimit", "--pid", str(pid), "--nofile", "--noheadings", "--output", "SOFT"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    opened = len(os.listdir(f"/proc/{pid}/fd"))
    subprocess.run(["prlimit", "--pid", str(pid), f"--nofile={opened * 10 // 9 + 1}:"], check=True)
    try:
        yield of(stack, "gateway-1")
    finally:
        subprocess.run(["prlimit", "--pid", str(pid), f"--nofile={before}:"], check=True)


# The store --------------------------------------------------------------------------------------------------------


@fault(
    "the only replica of a Redis master stands still",
    "CrossbookRedisDown",
    "CrossbookRedisReplicaMissing",
    "CrossbookPartitionSilent",
    "CrossbookErrorSpike",
    "CrossbookOverload",
    "CrossbookFaultBudgetBurnsFast",
    "CrossbookFaultBudgetBurnsSlowly",
)
def _replica(stack: Stack) -> Iterator[dict[str, str]]:
    master = stack.redis_by_role("master")
    with paused(stack.redis_process(stack.redis_by_role("slave"))):
        yield of(stack, "gateway-0") | {"REDIS": f"redis://{master}"}


@fault("the same, while 2,700 accounts want to trade", "CrossbookQueueBackup")
def _crowd(stack: Stack) -> Iterator[dict[str, str]]:
    gateways = [f"http://{stack.addresses[name]}" for name in ("gateway-0", "gateway-1")]
    crowds = ("crowd-0", "crowd-1", "crowd-2")

    def joined() -> bool:
        # A venue that is busy may have refused to open an account.
        for crowd in crowds:
            if crowd not in stack.running or stack.running[crowd].poll() is not None:
                stack.start_load(crowd, stack.http, stack.admin, stack.token, 700, 900)
        return sum(labelled(at, "crossbook_connections", 'listener="http"') for at in gateways) > 2600

    try:
        eventually("everybody is connected", joined, 150, 1)
        with paused(stack.redis_process(stack.redis_by_role("slave"))):
            yield of(stack, "gateway-0")
    finally:
        for crowd in crowds:
            stack.stop(crowd, signal.SIGKILL)


@fault(
    "the replica gets the processor only in turns of 30 ms",
    "CrossbookStoreSlow",
    "CrossbookHighLatency",
    "CrossbookLatencyBudgetBurnsFast",
    "CrossbookLatencyBudgetBurnsSlowly",
)
def _slow_replica(stack: Stack) -> Iterator[dict[str, str]]:
    master, replica = stack.redis_by_role("master"), stack.redis_by_role("slave")
    with throttled(stack.redis_process(replica), 0.12, 0.03):
        yield {"REDIS": f"redis://{master}"}


@fault("the connections to the Redis master are broken again and again", "CrossbookStoreDisconnects")
def _disconnects(stack: Stack) -> Iterator[dict[str, str]]:
    master, end = stack.redis_by_role("master"), threading.Event()

    def break_them() -> None:
        while not end.wait(1):
            stack.redis_cli(master, "client", "kill", "type", "normal", "skipme", "yes")

    thread = threading.Thread(target=break_them)
    thread.start()
    try:
        yield {"REDIS": f"redis://{master}"}
    finally:
        end.set()
        thread.join()


@fault("a Redis server has its append-only file turned off", "CrossbookRedisNotDurable")
def _not_durable(stack: Stack) -> Iterator[dict[str, str]]:
    replica = stack.redis_by_role("slave")
    stack.redis_cli(replica, "config", "set", "appendonly", "no")
    try:
        yield {"REDIS": f"redis://{replica}"}
    finally:
        stack.redis_cli(replica, "config", "set", "appendonly", "yes")


@fault("a Redis server has hardly more memory than it uses", "CrossbookRedisMemoryLow")
def _memory(stack: Stack) -> Iterator[dict[str, str]]:
    replica = stack.redis_by_role("slave")
    said = stack.redis_cli(replica, "info", "memory")
    used = next(int(line.split(":")[1]) for line in said.splitlines() if line.startswith("used_memory:"))
    stack.redis_cli(replica, "config", "set", "maxmemory", str(used * 115 // 100))
    try:
        yield {"REDIS": f"redis://{replica}"}
    finally:
        stack.redis_cli(replica, "config", "set", "maxmemory", "0")


# The history ------------------------------------------------------------------------------------------------------


def database(stack: Stack) -> dict[str, str]:
    return {"DATABASE_PORT": str(stack.database)}


@fault("MariaDB is killed", "CrossbookDatabaseDown", "CrossbookHistoryDisconnected", "CrossbookHistoryLag")
def _database(stack: Stack) -> Iterator[dict[str, str]]:
    [pid] = [pid for pid in stack.pids("mariadbd") if f"--port={stack.database}" in command_of(pid)]
    command, folder = command_of(pid), Path(f"/proc/{pid}/cwd").resolve()
    os.kill(pid, signal.SIGKILL)
    try:
        yield of(stack, "writer-0") | database(stack)
    finally:
        stack.start("mariadb-again", *command, "--datadir=" + data_of(command, folder))
        eventually("MariaDB is back", lambda: sql(stack, "select 1"))


def command_of(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1]


def data_of(command: list[str], folder: Path) -> str:
    given = [part.split("=", 1)[1] for part in command if part.startswith("--datadir=")]
    return given[0] if given else str(folder)


def sql(stack: Stack, text: str) -> str:
    command = ["mariadb", "--host", HOST, "--port", str(stack.database), "--user", "root", "--execute", text]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@fault("the connections of MariaDB are nearly all taken", "CrossbookDatabaseConnectionsHigh")
def _connections(stack: Stack) -> Iterator[dict[str, str]]:
    taken = int(sql(stack, "show status like 'Threads_connected'").split()[-1])
    sql(stack, f"set global max_connections = {taken + 20}")
    # One place is left for whoever asks.
    command = ["mariadb", "--host", HOST, "--port", str(stack.database), "--user", "root", "--execute"]
    taking = [subprocess.Popen([*command, "select sleep(600)"], stdout=subprocess.DEVNULL) for _ in range(17)]
    try:
        yield database(stack)
    finally:
        for process in taking:
            process.kill()
            process.wait()
        sql(stack, "set global max_connections = 151")


@fault("the SQLite file of the history is moved away while in use", "CrossbookHistoryFileLost")
def _file(stack: Stack) -> Iterator[dict[str, str]]:
    file = stack.folder / "venue/history.sqlite"
    shutil.move(file, stack.folder / "moved.sqlite")
    yield serve_admin(stack)


# Snapshots, log, disk ---------------------------------------------------------------------------------------------


@fault("the folder of the snapshots is replaced by a file", "CrossbookSnapshotsFail")
def _snapshots(stack: Stack) -> Iterator[dict[str, str]]:
    folder = stack.folder / "cluster/snapshots"
    folder.rename(folder.with_name("moved"))
    folder.write_text("")
    try:
        yield {}
    finally:
        folder.unlink()
        folder.with_name("moved").rename(folder)


@fault("the snapshots of a venue are two days old when it starts", "CrossbookSnapshotOld")
def _old_snapshot(stack: Stack) -> Iterator[dict[str, str]]:
    stop_serve(stack)
    for file in (stack.folder / "venue/snapshots").iterdir():
        os.utime(file, (time.time() - 2 * DAY, time.time() - 2 * DAY))
    start_serve(stack)
    load_serve(stack)
    yield serve_admin(stack)
    stop_serve(stack)
    start_serve(stack)
    load_serve(stack)


@fault("a byte of an old segment of the log is changed", "CrossbookLogDamaged")
def _damage(stack: Stack) -> Iterator[dict[str, str]]:
    stop_serve(stack)
    segment = min((stack.folder / "venue/log").glob("*.log"))
    good = segment.read_bytes()
    bad = bytearray(good)
    bad[len(bad) // 2] ^= 1
    segment.write_bytes(bad)
    start_serve(stack)
    load_serve(stack)
    yield serve_admin(stack)
    stop_serve(stack)
    segment.write_bytes(good)
    start_serve(stack)
    load_serve(stack)


@fault(
    "a venue under 3,000 orders a second gets the processor only in turns of 30 ms",
    "CrossbookMatchingSlow",
    "CrossbookLogSyncSlow",
)
def _throttled(stack: Stack) -> Iterator[dict[str, str]]:
    admin = f"http://{HOST}:{stack.ports['serve-admin']}"
    before = counted(admin, "crossbook_orders_accepted_total")
    stack.start_load("crowd", f"http://{HOST}:{stack.ports['serve']}", admin, TOKEN, 3000, 200)
    eventually("the crowd trades", lambda: counted(admin, "crossbook_orders_accepted_total") > before + 10_000)
    try:
        with throttled(stack.process("serve"), 0.06, 0.03):
            yield serve_admin(stack)
    finally:
        stack.stop("crowd", signal.SIGKILL)


@fault(
    "the disk of a venue is filled",
    "CrossbookLogDiskFilling",
    "CrossbookLogDiskLow",
    "CrossbookNodeDiskLow",
    only_second=True,
)
def _fill(stack: Stack) -> Iterator[dict[str, str]]:
    ballast = disk(stack) / "ballast"
    with ballast.open("wb") as file:
        while shutil.disk_usage(disk(stack)).free > DISK_BYTES * 3 // 100:
            file.write(bytes(1024 * 1024))
            file.flush()
            time.sleep(0.5)
    try:
        yield second_admin(stack)
    finally:
        ballast.unlink()


# Clocks and certificates ------------------------------------------------------------------------------------------


@fault(
    "the certificate of a listener is valid for one more day",
    "CrossbookCertificateExpiring",
    "CrossbookCertificateExpiresSoon",
)
def _certificate(stack: Stack) -> Iterator[dict[str, str]]:
    start_second(stack, 1)
    yield second_admin(stack)
    start_second(stack)


@fault("the clock of a venue is set 20 s ahead (libfaketime)", "CrossbookClockWrong")
def _clock(stack: Stack) -> Iterator[dict[str, str]]:
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    offset = stack.folder / "offset"
    offset.write_text("+0")
    start_second(
        stack,
        LD_PRELOAD=str(library),
        FAKETIME_TIMESTAMP_FILE=str(offset),
        FAKETIME_NO_CACHE="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1",
    )
    offset.write_text("+20")
    yield second_admin(stack)
    start_second(stack)


# Streams and audits -----------------------------------------------------------------------------------------------


@fault("a venue stands still for four fifths of each second while somebody follows trades", "CrossbookStreamLag")
def _lag(stack: Stack) -> Iterator[dict[str, str]]:
    follow(stack)
    with throttled(stack.process("serve"), 0.8, 0.2):
        yield serve_admin(stack)


@fault("clients subscribe and do not read", "CrossbookSlowConsumers")
def _slow(stack: Stack) -> Iterator[dict[str, str]]:
    end, held = threading.Event(), []

    def come_back() -> None:
        while not end.wait(0.5):
            with contextlib.suppress(OSError, AssertionError):
                client = subscribe(stack.ports["serve"], "!ticker@arr/!miniTicker@arr")
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
                held.append(client)

    thread = threading.Thread(target=come_back)
    thread.start()
    try:
        yield serve_admin(stack)
    finally:
        end.set()
        thread.join()
        for client in held:
            client.close()


@fault("nobody audits the cluster", "CrossbookAuditOld")
def _audit(stack: Stack) -> Iterator[dict[str, str]]:
    stack.crossbook("audit")
    yield {}
    stack.crossbook("audit")
