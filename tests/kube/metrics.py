"""metrics.py ADDRESS KUBECONFIG: the processor time of the gateways as Kubernetes' API of metrics, for the autoscaler.
In the place of metrics-server, which no registry of packages has: it asks each gateway for `process_cpu_seconds_total`
at its address for probes."""

from __future__ import annotations

import contextlib
import json
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

GROUP = "/apis/metrics.k8s.io/v1beta1"
SPACE, LABEL = "crossbook", "app.kubernetes.io/component=gateway"
EVERY = 2.0


class Usage:
    """The processor time of each gateway, as the difference between two scrapes."""

    def __init__(self, kubeconfig: dict):
        self.server = kubeconfig["clusters"][0]["cluster"]["server"]
        self.token = kubeconfig["users"][0]["user"]["token"]
        self.seen: dict[str, tuple[float, float]] = {}
        self.cores: dict[str, tuple[dict, float]] = {}

    def pods(self) -> list[dict]:
        # The certificate of the API server here is its own.
        context = ssl._create_unverified_context()  # noqa: S323
        address = f"{self.server}/api/v1/namespaces/{SPACE}/pods?labelSelector={LABEL}"
        request = urllib.request.Request(address, headers={"Authorization": f"Bearer {self.token}"})
        with urllib.request.urlopen(request, context=context, timeout=5) as answer:
            return json.load(answer)["items"]

    def scrape(self) -> None:
        pods = self.pods()
        there = {pod["metadata"]["name"] for pod in pods}
        self.cores = {name: found for name, found in self.cores.items() if name in there}
        for pod in pods:
            name, address = pod["metadata"]["name"], pod["status"].get("podIP")
            with contextlib.suppress(OSError, StopIteration):
                with urllib.request.urlopen(f"http://{address}:8082/metrics", timeout=2) as answer:
                    lines = answer.read().decode().splitlines()
                name_of = "process_cpu_seconds_total "
                seconds = float(next(line for line in lines if line.startswith(name_of)).removeprefix(name_of))
                now = time.monotonic()
                before = self.seen.get(name)
                self.seen[name] = (now, seconds)
                if before:
                    self.cores[name] = (pod, (seconds - before[1]) / (now - before[0]))

    def listed(self) -> dict:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        items = [
            {
                "metadata": {key: pod["metadata"][key] for key in ("name", "namespace", "labels")},
                "timestamp": now,
                "window": f"{EVERY:.0f}s",
                "containers": [
                    {"name": "gateway", "usage": {"cpu": f"{max(0, int(cores * 1e9))}n", "memory": "128Mi"}}
                ],
            }
            for pod, cores in list(self.cores.values())
        ]
        return {"kind": "PodMetricsList", "apiVersion": "metrics.k8s.io/v1beta1", "metadata": {}, "items": items}


def handler(usage: Usage) -> type[BaseHTTPRequestHandler]:
    pods = {"name": "pods", "singularName": "", "namespaced": True, "kind": "PodMetrics", "verbs": ["list"]}
    resources = {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": "metrics.k8s.io/v1beta1",
        "resources": [pods],
    }

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.split("?")[0].rstrip("/")
            told = {GROUP: resources, f"{GROUP}/namespaces/{SPACE}/pods": usage.listed()}.get(path)
            refusal = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404}
            body = json.dumps(told or refusal).encode()
            self.send_response(200 if told else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler


def main() -> None:
    (host, port), kubeconfig = sys.argv[1].split(":"), Path(sys.argv[2])
    key, certificate = kubeconfig.with_name("metrics.key"), kubeconfig.with_name("metrics.crt")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=metrics",
         "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    usage = Usage(json.loads(kubeconfig.read_text()))

    def serve() -> None:
        server = ThreadingHTTPServer((host, int(port)), handler(usage))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.serve_forever()

    threading.Thread(target=serve, daemon=True).start()
    while True:
        with contextlib.suppress(OSError):
            usage.scrape()
        time.sleep(EVERY)


if __name__ == "__main__":
    main()
