"""A container of the image under runc: read-only, without capabilities, with a limit of memory and a network of its
own, in which nobody else is. What the tests ask, they ask with the program itself, as there is nothing else in the
image."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
ARCHIVE = Path(os.environ.get("CROSSBOOK_IMAGE", REPOSITORY / "target/image/crossbook.tar"))
PROGRAM = "/usr/bin/crossbook"
TOKEN = "a-token-for-the-tests"
MEMORY = 512 * 1024 * 1024
DEADLINE = 60.0


def run(*command: str, **options) -> subprocess.CompletedProcess[str]:
    root = [] if os.geteuid() == 0 else ["sudo"]
    return subprocess.run([*root, *command], capture_output=True, text=True, check=False, **options)


def done(*command: str) -> str:
    finished = run(*command)
    assert finished.returncode == 0, (command, finished.stdout, finished.stderr)
    return finished.stdout


class Container:
    def __init__(self, folder: Path, arguments: list[str]):
        self.name = f"crossbook-test-{os.getpid()}-{id(self)}"
        self.bundle = folder / "bundle"
        done("skopeo", "copy", "--quiet", f"oci-archive:{ARCHIVE}", f"oci:{folder}/image:test")
        done("umoci", "unpack", "--image", f"{folder}/image:test", str(self.bundle))
        self.log = folder / "log"
        path = self.bundle / "config.json"
        config = json.loads(path.read_text())
        config["root"]["readonly"] = True
        process = config["process"]
        process["args"] = [PROGRAM, *arguments]
        process["env"].append(f"CROSSBOOK_ADMIN_TOKEN={TOKEN}")
        process["capabilities"] = {}
        process["noNewPrivileges"] = True
        process["terminal"] = False
        process["rlimits"] = [{"type": "RLIMIT_NOFILE", "hard": 20_000, "soft": 20_000}]
        mode = ["nosuid", "nodev", "mode=700", "uid=10001", "gid=10001"]
        config["mounts"] = [mount for mount in config["mounts"] if not mount["destination"].startswith("/etc")]
        config["mounts"] += [
            {"destination": "/data", "type": "tmpfs", "source": "tmpfs", "options": mode},
            {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev", "mode=1777"]},
        ]
        config["linux"]["resources"] = {"memory": {"limit": MEMORY}}
        kinds = {namespace["type"] for namespace in config["linux"]["namespaces"]}
        config["linux"]["namespaces"] += [{"type": "network"}] if "network" not in kinds else []
        path.write_text(json.dumps(config))
        log = self.log.open("w")
        root = [] if os.geteuid() == 0 else ["sudo"]
        command = [*root, "runc", "run", "--bundle", str(self.bundle), self.name]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def ask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs the program in the container."""
        return run("runc", "exec", self.name, PROGRAM, *arguments)

    def said(self) -> str:
        return self.log.read_text()

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + DEADLINE
        while self.ask("probe").returncode != 0:
            assert self.process.poll() is None and time.monotonic() < deadline, self.said()
            time.sleep(0.05)

    def pid(self) -> int:
        return json.loads(done("runc", "state", self.name))["pid"]

    def stop(self) -> int:
        done("runc", "kill", self.name, "TERM")
        return self.process.wait(DEADLINE)

    def remove(self) -> None:
        run("runc", "delete", "--force", self.name)
        self.process.wait(DEADLINE)


@pytest.fixture
def container(tmp_path):
    started: list[Container] = []

    def start(*arguments: str) -> Container:
        started.append(Container(tmp_path, list(arguments)))
        return started[-1]

    yield start
    for container in started:
        container.remove()
        shutil.rmtree(container.bundle, ignore_errors=True)
