"""A Kubernetes on this machine: etcd, API server, scheduler, controllers, and three nodes in three zones, each a
kubelet and a containerd of its own. All of it is in one network namespace, so that neither addresses nor rules of the
machine's own network change. A node that is cut off is a bridge that is down, and a kubelet that is stopped."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import time
from pathlib import Path

NAMESPACE = "crossbook-kube"
API = "10.90.0.1"
SERVICES = "10.92.0.0/16"
NODES = 3
DEADLINE = 120.0


def run(*command: str, check: bool = True, **options) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **options)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stdout}{done.stderr}")
    return done


def eventually(what: str, look, patience: float = DEADLINE):
    """Polls until there is something."""
    deadline = time.monotonic() + patience
    while True:
        if found := look():
            return found
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {patience:.0f} s")
        time.sleep(0.1)


class Machine:
    """The cluster of machines; a context that ends everything it has started."""

    def __init__(self, folder: Path, programs: Path, space: str):
        """`space` is the namespace of what is tried."""
        self.folder, self.programs, self.space = folder, programs, space
        self.processes: dict[str, subprocess.Popen] = {}
        self.token = secrets.token_hex(16)
        self.kubeconfig = folder / "kubeconfig"

    # Processes

    def start(self, name: str, *command: str) -> None:
        log = (self.folder / f"{name}.log").open("w")
        inside = ["nsenter", f"--net=/run/netns/{NAMESPACE}", *map(str, command)]
        self.processes[name] = subprocess.Popen(inside, stdout=log, stderr=log, start_new_session=True)

    def inside(self, *command: str, check: bool = True, **options) -> subprocess.CompletedProcess[str]:
        return run("nsenter", f"--net=/run/netns/{NAMESPACE}", *command, check=check, **options)

    def kubectl(self, *arguments: str, check: bool = True, **options) -> subprocess.CompletedProcess[str]:
        program = [self.programs / "kubectl", f"--kubeconfig={self.kubeconfig}"]
        return self.inside(*program, *arguments, check=check, **options)

    def get(self, *arguments: str) -> dict:
        return json.loads(self.kubectl("get", *arguments, "-o", "json").stdout)

    # Network

    def make_network(self) -> None:
        run("ip", "netns", "delete", NAMESPACE, check=False)
        run("ip", "netns", "add", NAMESPACE)
        self.inside("ip", "link", "set", "lo", "up")
        self.inside("ip", "link", "add", "machines", "type", "veth", "peer", "name", "nobody")
        for end in ("machines", "nobody"):
            self.inside("ip", "link", "set", end, "up")
        for address in [API, *(f"10.90.0.{10 + node}" for node in range(1, NODES + 1))]:
            self.inside("ip", "address", "add", f"{address}/24", "dev", "machines")
        # The API server wants to know its own address by a default route.
        self.inside("ip", "route", "add", "default", "dev", "machines")
        self.inside("sysctl", "-q", "-w", "net.ipv4.ip_forward=1")

    # Parts

    def write(self, name: str, content: str | dict) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content, indent=1))
        return path

    def control_plane(self) -> None:
        keys = self.folder / "keys"
        keys.mkdir(parents=True, exist_ok=True)
        run("openssl", "genrsa", "-out", keys / "accounts.key", "2048")
        users = self.write("users.csv", f"{self.token},admin,admin,system:masters\n")
        self.start(
            "etcd", "etcd", "--data-dir", self.folder / "etcd", "--listen-client-urls", f"http://{API}:2379",
            "--advertise-client-urls", f"http://{API}:2379", "--listen-peer-urls", f"http://{API}:2380",
            "--initial-advertise-peer-urls", f"http://{API}:2380", "--initial-cluster", f"default=http://{API}:2380",
        )  # fmt: skip
        self.start(
            "apiserver", self.programs / "kube-apiserver", f"--etcd-servers=http://{API}:2379",
            f"--bind-address={API}", f"--advertise-address={API}", f"--cert-dir={keys}",
            f"--service-cluster-ip-range={SERVICES}", f"--token-auth-file={users}", "--authorization-mode=AlwaysAllow",
            "--endpoint-reconciler-type=none", f"--service-account-issuer=https://{API}",
            f"--service-account-key-file={keys / 'accounts.key'}",
            f"--service-account-signing-key-file={keys / 'accounts.key'}", "--allow-privileged=true",
        )  # fmt: skip
        cluster = {"server": f"https://{API}:6443", "insecure-skip-tls-verify": True}
        self.write("kubeconfig", {
            "apiVersion": "v1", "kind": "Config", "current-context": "here",
            "clusters": [{"name": "here", "cluster": cluster}],
            "users": [{"name": "admin", "user": {"token": self.token}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "admin"}}],
        })  # fmt: skip
        eventually("the API server answers", lambda: self.kubectl("get", "--raw=/readyz", check=False).stdout == "ok")
        self.start(
            "controllers", self.programs / "kube-controller-manager", f"--kubeconfig={self.kubeconfig}",
            f"--service-account-private-key-file={keys / 'accounts.key'}", "--bind-address=127.0.0.1",
            "--use-service-account-credentials=false", "--node-monitor-grace-period=16s", "--leader-elect=false",
            "--horizontal-pod-autoscaler-sync-period=3s", "--horizontal-pod-autoscaler-initial-readiness-delay=3s",
            "--horizontal-pod-autoscaler-cpu-initialization-period=10s",
        )  # fmt: skip
        self.start(
            "scheduler", self.programs / "kube-scheduler", f"--kubeconfig={self.kubeconfig}",
            "--bind-address=127.0.0.1", "--leader-elect=false",
        )  # fmt: skip

    def node(self, number: int, images: list[Path]) -> None:
        name, folder = f"node-{number}", self.folder / f"node-{number}"
        folder.mkdir(parents=True, exist_ok=True)
        network = {
            "cniVersion": "0.4.0", "name": f"pods-{number}", "plugins": [
                {"type": "bridge", "bridge": f"pods{number}", "isGateway": True, "hairpinMode": True, "ipMasq": False,
                 "ipam": {"type": "host-local", "dataDir": str(folder / "addresses"),
                          "ranges": [[{"subnet": f"10.91.{number}.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
                {"type": "portmap", "capabilities": {"portMappings": True}}],
        }  # fmt: skip
        self.write(f"{name}/cni/pods.conflist", network)
        socket = folder / "containerd.sock"
        self.write(f"{name}/containerd.toml", f'''version = 2
root = "{folder}/containerd"
state = "{folder}/state"
disabled_plugins = ["io.containerd.internal.v1.opt"]
[grpc]
address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "localhost/pause:1"
restrict_oom_score_adj = true
disable_apparmor = true
stream_server_port = "0"
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "native"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{folder}/cni"
''')
        self.start(f"containerd-{number}", "containerd", "--config", folder / "containerd.toml")
        control = ["ctr", "--address", str(socket), "--namespace", "k8s.io"]
        eventually(f"containerd of {name} answers", lambda: run(*control, "version", check=False).returncode == 0)
        for image in images:
            run(*control, "images", "import", "--snapshotter", "native", image)
        # The same image under another tag, for an upgrade.
        names = run(*control, "images", "list", "--quiet").stdout.split()
        [imported] = [of for of in names if "/crossbook:" in of]
        run(*control, "images", "tag", imported, imported.rsplit(":", 1)[0] + ":next")
        config = {
            "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
            "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
            "authorization": {"mode": "AlwaysAllow"}, "address": f"10.90.0.{10 + number}", "port": 10250,
            "healthzPort": 0, "readOnlyPort": 0, "cgroupDriver": "cgroupfs", "cgroupsPerQOS": False,
            "enforceNodeAllocatable": [], "failSwapOn": False, "oomScoreAdj": 0,
            "clusterDNS": [API], "clusterDomain": "cluster.local", "resolvConf": "", "maxPods": 60,
            "nodeStatusUpdateFrequency": "2s", "evictionHard": {"memory.available": "50Mi"},
            "makeIPTablesUtilChains": False,
            "imageGCHighThresholdPercent": 100, "serverTLSBootstrap": False, "syncFrequency": "2s",
        }  # fmt: skip
        self.start(
            f"kubelet-{number}", self.programs / "kubelet", f"--config={self.write(f'{name}/kubelet.json', config)}",
            f"--kubeconfig={self.kubeconfig}", f"--hostname-override={name}", f"--node-ip=10.90.0.{10 + number}",
            f"--root-dir={folder}/kubelet", "--container-runtime=remote", f"--cert-dir={folder}/keys",
            f"--container-runtime-endpoint=unix://{socket}", f"--node-labels=topology.kubernetes.io/zone=zone-{number}",
        )  # fmt: skip

    def proxy(self) -> None:
        config = {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration",
            "clientConnection": {"kubeconfig": str(self.kubeconfig)}, "mode": "iptables", "clusterCIDR": "10.91.0.0/16",
            "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
            "iptables": {"masqueradeAll": True, "syncPeriod": "5s", "minSyncPeriod": "0s"},
            "hostnameOverride": "node-1", "metricsBindAddress": "127.0.0.1:10249",
            "healthzBindAddress": "127.0.0.1:10256",
        }  # fmt: skip
        self.start("proxy", self.programs / "kube-proxy", f"--config={self.write('proxy.json', config)}")

    # The whole

    def up(self, images: list[Path]) -> None:
        self.make_network()
        self.control_plane()
        for number in range(1, NODES + 1):
            self.node(number, images)
        self.proxy()
        eventually("all nodes are ready", lambda: len(self.ready_nodes()) == NODES)

    def ready_nodes(self) -> list[str]:
        ready = []
        for node in self.get("nodes")["items"]:
            conditions = {of["type"]: of["status"] for of in node["status"].get("conditions", [])}
            if conditions.get("Ready") == "True":
                ready.append(node["metadata"]["name"])
        return ready

    def cut_off(self, number: int) -> None:
        """Nothing leaves the node or arrives, and its kubelet says nothing."""
        self.inside("ip", "link", "set", f"pods{number}", "down")
        os.killpg(self.processes[f"kubelet-{number}"].pid, signal.SIGSTOP)

    def heal(self, number: int) -> None:
        self.inside("ip", "link", "set", f"pods{number}", "up")
        os.killpg(self.processes[f"kubelet-{number}"].pid, signal.SIGCONT)

    def down(self) -> None:
        for name in [name for name in self.processes if name.startswith("kubelet")]:
            os.killpg(self.processes[name].pid, signal.SIGCONT)
            self.end(name)
        for number in range(1, NODES + 1):
            self.remove_containers(number)
        for name in list(self.processes):
            self.end(name)
        self.end_shims()
        self.unmount()
        # Those of the pods have names of their own.
        for made in (NAMESPACE, *(path.name for path in set(Path("/run/netns").glob("cni-*")) - self.others)):
            run("ip", "netns", "delete", made, check=False)
        # The logs of containers, whose place no kubelet lets be chosen.
        for log in Path("/var/log/containers").glob(f"*_{self.space}_*.log"):
            log.unlink(missing_ok=True)
        groups = (*Path("/sys/fs/cgroup").glob("*/k8s.io/*"), *Path("/sys/fs/cgroup").glob("*/k8s.io"))
        for group in (group for group in groups if group.is_dir()):
            with contextlib.suppress(OSError):
                group.rmdir()
        for logs in Path("/var/log/pods").glob(f"{self.space}_*"):
            shutil.rmtree(logs, ignore_errors=True)

    def remove_containers(self, number: int) -> None:
        control = ["ctr", "--address", str(self.folder / f"node-{number}/containerd.sock"), "--namespace", "k8s.io"]
        for task in run(*control, "tasks", "list", "--quiet", check=False).stdout.split():
            run(*control, "tasks", "kill", "--signal", "KILL", "--all", task, check=False)
            run(*control, "tasks", "delete", "--force", task, check=False)

    def unmount(self) -> None:
        """Volumes of secrets are file systems in memory, and the roots of containers are mounted."""
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for mount in sorted((mount for mount in mounts if mount.startswith(str(self.folder))), reverse=True):
            run("umount", "--lazy", mount, check=False)

    def end_shims(self) -> None:
        """The processes beside each container that outlive a containerd."""
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError, ProcessLookupError):
                line = (folder / "cmdline").read_bytes().decode().split("\0")
                if "containerd-shim" in line[0] and any(part.startswith(str(self.folder)) for part in line):
                    os.kill(int(folder.name), signal.SIGKILL)

    def end(self, name: str) -> None:
        process = self.processes.pop(name, None)
        if process is None:
            return
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def __enter__(self):
        self.others = set(Path("/run/netns").glob("cni-*"))
        # What an earlier run has left that was killed.
        self.unmount()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, *_):
        self.down()
