"""run.py [REPORT]: installs the chart on a Kubernetes of this machine and does to it what happens to clusters, under
signed orders. Prints a table, and writes it to REPORT. The exit status is 1 where an order was lost or executed twice,
or where a client noticed what it should not."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import subprocess
import sys
import textwrap
import time
from datetime import UTC, datetime
from pathlib import Path

import yaml
from machine import API, NAMESPACE, Machine, eventually, run

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
TARGET = REPOSITORY / "target"
TOKEN = "a-token-for-the-tests-of-kubernetes"
SPACE = "crossbook"
ROLES = ("gateway", "worker", "writer")
# What the old API server calls what the chart makes.
OLD = {"policy/v1": "policy/v1beta1", "autoscaling/v2": "autoscaling/v2beta2"}


def rewritten(found: dict) -> dict:
    """An object as the old API server knows it."""
    if found["kind"] == "CronJob":
        found["apiVersion"] = "batch/v1beta1"
    found["apiVersion"] = OLD.get(found["apiVersion"], found["apiVersion"])
    return found


class Store:
    """Redis with a replica, and MariaDB, in the network of the machine."""

    def __init__(self, machine: Machine):
        self.machine = machine

    def start(self) -> None:
        folder = self.machine.folder
        for name, port in (("redis", 6379), ("replica", 6380)):
            (folder / name).mkdir()
            more = ["--replicaof", API, "6379"] if name == "replica" else []
            self.machine.start(
                name, "redis-server", "--bind", API, "--port", port, "--dir", folder / name, "--appendonly", "yes",
                "--appendfsync", "always", "--maxmemory-policy", "noeviction", "--protected-mode", "no",
                "--save", "", "--repl-diskless-sync-delay", "0", "--replica-announce-ip", API, *more,
            )  # fmt: skip
        data = folder / "mariadb"
        run("mariadb-install-db", "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal",
            "--user=root")  # fmt: skip
        self.machine.start(
            "mariadb", "mariadbd", "--no-defaults", f"--datadir={data}", f"--bind-address={API}", "--port=3306",
            f"--socket={data}/socket", "--user=root", "--skip-name-resolve",
        )  # fmt: skip
        sql = "CREATE DATABASE crossbook; CREATE USER crossbook IDENTIFIED BY 'secret'; "
        sql += "GRANT ALL ON crossbook.* TO crossbook;"
        client = ["mariadb", "--no-defaults", f"--socket={data}/socket", "--user=root"]
        eventually("MariaDB answers", lambda: run(*client, "-e", "SELECT 1", check=False).returncode == 0)
        run(*client, "-e", sql)


class Load:
    """Signed orders for as long as the context lasts."""

    def __init__(self, url: str, admin: str):
        self.figures: dict = {}
        inside = ["nsenter", f"--net=/run/netns/{NAMESPACE}", sys.executable, str(HERE / "load.py"), url, admin]
        environment = {**os.environ, "CROSSBOOK_ADMIN_TOKEN": TOKEN}
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(inside, stdin=pipe, stdout=pipe, text=True, env=environment)

    def __enter__(self):
        assert self.process.stdout.readline() == "loading\n"
        return self

    def __exit__(self, *_):
        text, _ = self.process.communicate()
        self.figures = json.loads(text)


class Trial:
    def __init__(self, machine: Machine):
        self.machine = machine
        self.rows: list[tuple[str, float, dict]] = []
        self.is_well = True

    def expect(self, what: str, is_so: bool) -> None:
        """Notes what is not as it must be, and goes on."""
        if not is_so:
            self.is_well = False
            print(f"NOT SO: {what}", flush=True)

    # What is there

    def pods(self, component: str) -> list[dict]:
        selector = f"app.kubernetes.io/component={component}"
        return self.machine.get("pods", "--namespace", SPACE, "--selector", selector)["items"]

    def ready(self, component: str) -> list[str]:
        names = []
        for pod in self.pods(component):
            conditions = {of["type"]: of["status"] for of in pod["status"].get("conditions", [])}
            if conditions.get("Ready") == "True" and "deletionTimestamp" not in pod["metadata"]:
                names.append(pod["metadata"]["name"])
        return names

    def running(self) -> dict[str, str]:
        """The images of the pods that are not asked to end."""
        pods = [pod for role in ROLES for pod in self.pods(role) if "deletionTimestamp" not in pod["metadata"]]
        return {pod["metadata"]["name"]: pod["spec"]["containers"][0]["image"] for pod in pods}

    def is_whole(self) -> bool:
        for found in self.machine.get("deployments", "--namespace", SPACE)["items"]:
            wanted, status = found["spec"]["replicas"], found["status"]
            counted = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
            if any(status.get(name, 0) != wanted for name in counted):
                return False
            if status.get("observedGeneration") != found["metadata"]["generation"]:
                return False
        return True

    def address(self, service: str) -> str:
        spec = self.machine.get("service", service, "--namespace", SPACE)["spec"]
        return f"{spec['clusterIP']}:{spec['ports'][0]['port']}"

    # What happens

    @contextlib.contextmanager
    def step(self, name: str, tolerates: bool = False, load: bool = True):
        """One step under load. Without `tolerates`, a client may notice nothing."""
        began = time.monotonic()
        if not load:
            yield
            self.add(name, time.monotonic() - began, {})
            return
        with Load(self.address("crossbook"), self.address("crossbook-admin")) as orders:
            time.sleep(1)
            began = time.monotonic()
            yield
            took = time.monotonic() - began
            time.sleep(2)
        figures = orders.figures
        bad = figures["lost"] or figures["twice"] or not figures["audit"] or (figures["faults"] and not tolerates)
        self.is_well &= not bad
        self.add(name, took, figures)

    def add(self, name: str, took: float, figures: dict) -> None:
        self.rows.append((name, took, figures))
        print(f"{name}: {took:.1f} s {figures}", flush=True)

    def install(self) -> None:
        machine = self.machine
        machine.kubectl("create", "namespace", SPACE)
        secret = {
            "admin-tokens": TOKEN,
            "secret-key": "ab" * 32,
            "store-servers": json.dumps([f"redis://{API}:6379"]),
            "database": f"mysql://crossbook:secret@{API}/crossbook",
        }
        literals = [f"--from-literal={name}={value}" for name, value in secret.items()]
        machine.kubectl("create", "secret", "generic", "crossbook", "--namespace", SPACE, *literals)
        snapshots = machine.folder / "snapshots"
        snapshots.mkdir()
        os.chown(snapshots, 10001, 10001)
        volume = {
            "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "snapshots"},
            "spec": {"accessModes": ["ReadWriteMany"], "capacity": {"storage": "1Gi"}, "storageClassName": "shared",
                     "hostPath": {"path": str(snapshots)}, "persistentVolumeReclaimPolicy": "Delete"},
        }  # fmt: skip
        claim = {
            "apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {"name": "snapshots", "namespace": SPACE},
            "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}},
                     "storageClassName": "shared", "volumeName": "snapshots"},
        }  # fmt: skip
        self.apply([volume, claim])
        self.apply(self.render())
        eventually("all pods are ready", self.is_whole, 180)

    def render(self, *options: str) -> list[dict]:
        """What Helm renders, without the pod of `helm test`."""
        rendered = run(
            TARGET / "tools/bin/helm", "template", "crossbook", REPOSITORY / "deploy/helm/crossbook",
            "--namespace", SPACE, "--values", HERE / "values.yaml", *options,
        ).stdout  # fmt: skip
        objects = [rewritten(found) for found in yaml.safe_load_all(rendered) if found]
        self.test_pod = next(found for found in objects if found["kind"] == "Pod")
        return [found for found in objects if found["kind"] != "Pod"]

    def apply(self, objects: list[dict]) -> None:
        text = yaml.safe_dump_all(objects)
        self.machine.kubectl("apply", "--validate=false", "--namespace", SPACE, "-f", "-", input=text)

    def audit(self) -> None:
        """Runs the job of the CronJob, as its controller would."""
        [cron] = [of for of in self.render() if of["kind"] == "CronJob"]
        template = cron["spec"]["jobTemplate"]
        self.apply([{"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "audit-now"}, **template}])

        def ended() -> dict | None:
            status = self.machine.get("job", "audit-now", "--namespace", SPACE)["status"]
            return status if status.get("succeeded") or status.get("failed") else None

        self.expect("the audit succeeds", eventually("the audit ends", ended).get("succeeded") == 1)

    def test(self) -> None:
        """Runs the pod of `helm test`. There is no DNS server here, so it is told the addresses of the Services."""
        names = {"http://crossbook:80": "crossbook", "http://crossbook-admin:8081": "crossbook-admin"}
        [container] = self.test_pod["spec"]["containers"]
        container["args"] = [f"http://{self.address(names[of])}" if of in names else of for of in container["args"]]
        self.apply([self.test_pod])

        def phase() -> str | None:
            found = self.machine.get("pod", "crossbook-test", "--namespace", SPACE)["status"]["phase"]
            return found if found in ("Succeeded", "Failed") else None

        self.expect("the pod of helm test succeeds", eventually("the test ends", phase) == "Succeeded")

    def upgrade(self) -> None:
        """To another tag of the image, as `helm upgrade` does it."""
        before = self.running()
        self.apply(self.render("--set", "image.tag=next"))
        eventually("all pods are renewed", self.is_whole, 300)
        after = self.running()
        self.expect("all pods have the new image", set(after.values()) == {"crossbook:next"})
        self.expect("all pods are new", not before.keys() & after.keys())

    def restart(self) -> None:
        """As docs/deploy.md has it for changed passwords."""
        which = ["deployment,statefulset", "--selector", "app.kubernetes.io/instance=crossbook", "--namespace", SPACE]
        before = self.running()
        self.machine.kubectl("rollout", "restart", *which)
        self.machine.kubectl("rollout", "status", *which, "--timeout=300s")
        eventually("all pods are renewed", self.is_whole, 300)
        self.expect("all pods are new", not before.keys() & self.running().keys())

    def drain(self, number: int) -> None:
        options = ["--ignore-daemonsets", "--delete-emptydir-data", "--timeout=240s"]
        self.machine.kubectl("drain", f"node-{number}", *options)
        eventually("all pods are ready elsewhere", self.is_whole, 240)
        self.machine.kubectl("uncordon", f"node-{number}")

    def cut(self) -> None:
        """Cuts off a node that has a gateway, until all of its pods are replaced."""
        number = int(self.pods("gateway")[0]["spec"]["nodeName"].removeprefix("node-"))
        self.machine.cut_off(number)
        eventually("the node is given up", lambda: f"node-{number}" not in self.machine.ready_nodes())
        eventually("its pods are replaced", lambda: all(len(self.ready(role)) >= 2 for role in ROLES))
        self.machine.heal(number)
        eventually("the node is back", lambda: f"node-{number}" in self.machine.ready_nodes())
        eventually("all pods are ready", self.is_whole, 240)

    def lose_workers(self) -> None:
        names = [pod["metadata"]["name"] for pod in self.pods("worker")]
        self.machine.kubectl("delete", "pod", "--namespace", SPACE, "--grace-period=0", "--force", *names)
        eventually("new workers are ready", lambda: len(set(self.ready("worker")) - set(names)) == 2)

    def serve_metrics(self) -> None:
        """Registers the API of metrics, which metrics.py answers."""
        program = [sys.executable, str(HERE / "metrics.py"), f"{API}:4443", str(self.machine.kubeconfig)]
        self.machine.start("metrics", *program)
        named = {"name": "metrics", "namespace": "kube-system"}
        port = {"port": 443, "targetPort": 4443, "protocol": "TCP"}
        addresses = [{"addresses": [{"ip": API}], "ports": [{"port": 4443}]}]
        service = {"apiVersion": "v1", "kind": "Service", "metadata": named, "spec": {"ports": [port]}}
        endpoints = {"apiVersion": "v1", "kind": "Endpoints", "metadata": named, "subsets": addresses}
        spec = {
            "group": "metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": 100, "versionPriority": 100,
            "insecureSkipTLSVerify": True, "service": named,
        }  # fmt: skip
        metadata = {"name": "v1beta1.metrics.k8s.io"}
        api = {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": metadata, "spec": spec}
        made = yaml.safe_dump_all([service, endpoints, api])
        self.machine.kubectl("apply", "--validate=false", "-f", "-", input=made)
        path = f"/apis/metrics.k8s.io/v1beta1/namespaces/{SPACE}/pods"

        def answers() -> bool:
            asked = self.machine.kubectl("get", f"--raw={path}", check=False)
            return asked.returncode == 0 and bool(json.loads(asked.stdout)["items"])

        eventually("the API of metrics answers", answers)

    def scale(self) -> None:
        """Hands the number of gateways over to the autoscaler, which begins with one and sees the load."""
        autoscaling = ["gateway.autoscaling.enabled=true", "gateway.autoscaling.minReplicas=1"]
        autoscaling += ["gateway.autoscaling.maxReplicas=3", "image.tag=next"]
        self.apply(self.render(*(part for option in autoscaling for part in ("--set", option))))
        deployment = self.machine.get("deployment", "crossbook-gateway", "--namespace", SPACE)
        self.expect("one gateway is wanted at first", deployment["spec"]["replicas"] == 1)
        eventually("there are three", lambda: len(self.ready("gateway")) == 3, 240)
        scaler = self.machine.get("horizontalpodautoscalers.v1.autoscaling", "crossbook-gateway", "--namespace", SPACE)
        status = scaler["status"]
        self.expect("the autoscaler has scaled", status["desiredReplicas"] == 3 and "lastScaleTime" in status)

    def no_restarts(self) -> None:
        """No container of the pods that are there has ended by itself."""
        pods = [pod for role in ROLES for pod in self.pods(role)]
        counts = [one["restartCount"] for pod in pods for one in pod["status"].get("containerStatuses", [])]
        self.expect("no container was restarted", sum(counts) == 0)

    def uninstall(self) -> None:
        objects = self.render("--set", "gateway.autoscaling.enabled=true")
        self.machine.kubectl(
            "delete", "--namespace", SPACE, "--ignore-not-found", "-f", "-", input=yaml.safe_dump_all(objects)
        )
        # What Helm makes for a test only, and what was made here.
        ours = ["job/audit-now", "pod/crossbook-test"]
        self.machine.kubectl("delete", "--namespace", SPACE, "--ignore-not-found", *ours)
        kinds = self.machine.kubectl("api-resources", "--verbs=list", "--namespaced", "--output=name").stdout.split()
        # Events tell of the past, and Kubernetes keeps accounts and the authority of its API server in every namespace.
        kinds = [kind for kind in kinds if not kind.startswith(("events", "pods.metrics"))]

        def left() -> set[str]:
            found = self.machine.get(",".join(kinds), "--namespace", SPACE)["items"]
            return {f"{of['kind']}/{of['metadata']['name']}" for of in found}

        own = {"Secret/crossbook", "PersistentVolumeClaim/snapshots", "ServiceAccount/default"}
        more = ("ConfigMap/kube-root-ca.crt", "Secret/default-token")
        eventually("nothing is left", lambda: not {of for of in left() - own if not of.startswith(more)})
        classes = [of["metadata"]["name"] for of in self.machine.get("priorityclasses")["items"]]
        self.expect("no class of priority is left", not [name for name in classes if not name.startswith("system-")])


def table(trial: Trial) -> str:
    lines = [
        "| what | seconds | orders | lost, twice | refused | broken | other errors | seconds with errors |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, took, figures in trial.rows:
        if not figures:
            lines.append(f"| {name} | {took:.1f} | | | | | | |")
            continue
        faults = dict(figures["faults"])
        refused, broken = faults.pop("refused", 0), faults.pop("broken", 0)
        others = ", ".join(f"{count} of {kind}" for kind, count in faults.items()) or "0"
        lines.append(
            f"| {name} | {took:.1f} | {figures['acknowledged']} | {figures['lost']}, {figures['twice']} "
            f"| {refused} | {broken} | {others} | {(figures['last_fault'] or 0) - (figures['first_fault'] or 0):.0f} |"
        )
    return "\n".join(lines)


def rehearse(machine: Machine, trial: Trial, images: list[Path]) -> None:
    """Everything that happens to the cluster, in order."""
    began = time.monotonic()
    machine.up(images)
    trial.add("three nodes ready", time.monotonic() - began, {})
    Store(machine).start()
    with trial.step("install, until all pods are ready", load=False):
        trial.install()
    with trial.step("audit by the CronJob's job", load=False):
        trial.audit()
    with trial.step("the pod of helm test", load=False):
        trial.test()
    with trial.step("upgrade of gateways, workers and writers to another tag"):
        trial.upgrade()
    for number in (1, 2, 3):
        with trial.step(f"drain of node {number}"):
            trial.drain(number)
    with trial.step("a node cut off, until it is back", tolerates=True):
        trial.cut()
    with trial.step("both workers of a group killed"):
        trial.lose_workers()
    with trial.step("rollout restart, as for changed passwords"):
        trial.restart()
    trial.serve_metrics()
    with trial.step("from two gateways to one, and by the autoscaler to three"):
        trial.scale()
    trial.no_restarts()
    with trial.step("uninstall, until nothing is left", load=False):
        trial.uninstall()


def explain(machine: Machine) -> None:
    """What is known of a cluster in which something has not come to pass."""
    wide = ["--namespace", SPACE, "-o", "wide"]
    print(machine.kubectl("get", "nodes,pods,deployments,jobs,hpa", *wide, check=False).stdout, flush=True)
    events = machine.kubectl("get", "events", "--namespace", SPACE, "--sort-by=.lastTimestamp", check=False)
    print("\n".join(events.stdout.splitlines()[-30:]), flush=True)
    for file in sorted(Path("/var/log/pods").glob(f"{SPACE}_*/*/*.log")):
        print(f"{file}:\n" + "\n".join(file.read_text(errors="replace").splitlines()[-3:]), flush=True)


def main() -> int:
    os.environ["PATH"] += ":/usr/sbin:/usr/libexec"
    report = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    images = [TARGET / "kube/crossbook.tar", TARGET / "kube/pause.tar"]
    with Machine(TARGET / "kube/run", TARGET / "kube/bin", SPACE) as machine:
        trial = Trial(machine)
        try:
            rehearse(machine, trial, images)
        except (RuntimeError, TimeoutError, OSError, ValueError):
            explain(machine)
            print(table(trial))
            raise
    text = table(trial)
    print(text)
    if report:
        now = datetime.now(UTC).strftime("%-d %B %Y")
        about = (
            f"The chart on a Kubernetes 1.20 of one machine (`make kube`): {os.cpu_count()} processors, which "
            f"{os.getloadavg()[2]:.0f} processes wanted on average, for etcd, the API server, three nodes in three "
            f"zones, Redis with a replica, MariaDB and the load; Linux {platform.release()}. Eight clients place "
            "signed orders through the ClusterIP of the Service, four of them with a connection for each order. "
            "Afterwards each order is looked up, and the venue is audited. The upgrade is to the same program under "
            "another tag. Seconds are those of the step. Refused are connections, broken are requests without an "
            "answer; while a node is cut off, there may be some of these. "
            "The Kubernetes has no DNS, enforces no network policies, and gets the processor time of gateways from a "
            "program of the test."
        )
        lines = [f"# Kubernetes, {now}", "", *textwrap.wrap(about, 120, break_on_hyphens=False), "", text, ""]
        report.write_text("\n".join(lines))
    return 0 if trial.is_well else 1


if __name__ == "__main__":
    sys.exit(main())
