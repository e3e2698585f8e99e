"""The network policies, evaluated as the documentation of Kubernetes defines them: which flows they allow. Nothing here
enforces them; that is the business of the cluster's network plugin."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

import chart
import pytest


@dataclass(frozen=True)
class End:
    """One end of a flow: a pod, or an address outside of the cluster."""

    namespace: str = ""
    labels: dict = field(default_factory=dict)
    ip: str = "10.0.16.1"


def component(name: str, **labels: str) -> End:
    own = {"app.kubernetes.io/name": "crossbook", "app.kubernetes.io/instance": "crossbook"}
    return End("crossbook", {**own, "app.kubernetes.io/component": name, **labels})


GATEWAY, VENUE, WRITER = component("gateway"), component("venue"), component("writer")
WORKER, AUDIT, OPERATOR = component("worker", **{"worker-group": "a"}), component("audit"), component("operator")
PROMETHEUS = End("monitoring", {"app": "prometheus"})
NEIGHBOUR = End("crossbook", {"app": "another"})
STRANGER = End("elsewhere", {"app": "stranger"})
DNS, VALKEY, MYSQL = End("kube-system", {"k8s-app": "kube-dns"}), End("valkey", {}), End("mysql", {})
INTERNET, METADATA = End(ip="203.0.113.9"), End(ip="169.254.169.254")
BALANCER = End(ip="10.0.1.7")
RDS = End(ip="10.0.65.9")


def is_peer(peer: dict, end: End, namespace: str) -> bool:
    if "ipBlock" in peer:
        address = ipaddress.ip_address(end.ip)
        inside = address in ipaddress.ip_network(peer["ipBlock"]["cidr"])
        return inside and not any(address in ipaddress.ip_network(out) for out in peer["ipBlock"].get("except", []))
    if not end.namespace:
        return False
    if "namespaceSelector" in peer:
        labels = {"kubernetes.io/metadata.name": end.namespace}
        if not chart.matches(peer["namespaceSelector"], labels):
            return False
    elif end.namespace != namespace:
        return False
    return chart.matches(peer.get("podSelector", {}), end.labels)


def allows(rule: dict, direction: str, other: End, port: int, protocol: str, namespace: str) -> bool:
    ports = rule.get("ports")
    if ports and not any(of["port"] == port and of.get("protocol", "TCP") == protocol for of in ports):
        return False
    peers = rule.get("from" if direction == "Ingress" else "to")
    return not peers or any(is_peer(peer, other, namespace) for peer in peers)


def one_side(
    profile: str, direction: str, pod: End, other: End, port: int, protocol: str, options: tuple[str, ...] = ()
) -> bool:
    """Whether the policies of a pod allow a flow in that direction; without any, all is allowed."""
    if pod.namespace != "crossbook":
        return True
    policies = [
        found["spec"]
        for found in chart.objects(profile, *options)
        if found["kind"] == "NetworkPolicy"
        and chart.matches(found["spec"]["podSelector"], pod.labels) and direction in found["spec"]["policyTypes"]
    ]
    rules = [rule for policy in policies for rule in policy.get(direction.lower()) or []]
    return not policies or any(allows(rule, direction, other, port, protocol, "crossbook") for rule in rules)


def is_allowed(profile: str, source: End, target: End, port: int, protocol: str = "TCP") -> bool:
    return one_side(profile, "Egress", source, target, port, protocol) and one_side(
        profile, "Ingress", target, source, port, protocol
    )


def test_the_policies_of_a_pod_are_evaluated_as_kubernetes_does():
    # Without a policy for it, a pod may do anything.
    assert is_allowed("small", NEIGHBOUR, STRANGER, 1)
    # An ipBlock means no pods of the cluster, and leaves out its exceptions.
    assert is_peer({"ipBlock": {"cidr": "0.0.0.0/0", "except": ["203.0.113.0/24"]}}, End(ip="198.51.100.1"), "n")
    assert not is_peer({"ipBlock": {"cidr": "0.0.0.0/0", "except": ["203.0.113.0/24"]}}, INTERNET, "n")


CLUSTERS = ("small", "5000tps", "valkey")


@pytest.mark.parametrize("profile", CLUSTERS)
@pytest.mark.parametrize(
    ("source", "target", "port", "protocol"),
    [
        (STRANGER, GATEWAY, 8080, "TCP"),
        (INTERNET, GATEWAY, 8080, "TCP"),
        (OPERATOR, GATEWAY, 8080, "TCP"),
        (OPERATOR, GATEWAY, 8081, "TCP"),
        *[(PROMETHEUS, pod, 8082, "TCP") for pod in (GATEWAY, WORKER, WRITER)],
        *[(pod, DNS, 53, "UDP") for pod in (GATEWAY, WORKER, WRITER, AUDIT, OPERATOR)],
        *[(pod, VALKEY, 6379, "TCP") for pod in (GATEWAY, WORKER, WRITER, AUDIT)],
        *[(pod, MYSQL, 3306, "TCP") for pod in (GATEWAY, WORKER, WRITER, AUDIT)],
        *[(pod, INTERNET, 443, "TCP") for pod in (GATEWAY, WORKER, WRITER, AUDIT)],
    ],
)
def test_what_a_cluster_needs_is_allowed(profile, source, target, port, protocol):
    assert is_allowed(profile, source, target, port, protocol)


@pytest.mark.parametrize("profile", CLUSTERS)
@pytest.mark.parametrize(
    ("source", "target", "port"),
    [
        # Nobody but the operator reaches the operator's API, and nobody but the scraper the probes.
        *[(source, GATEWAY, 8081) for source in (STRANGER, NEIGHBOUR, INTERNET, PROMETHEUS, WORKER, WRITER, AUDIT)],
        *[(source, GATEWAY, 8082) for source in (STRANGER, NEIGHBOUR, INTERNET, OPERATOR)],
        # Nobody reaches workers and writers.
        *[(source, pod, 8080) for source in (STRANGER, GATEWAY) for pod in (WORKER, WRITER)],
        *[(source, pod, 8081) for source in (PROMETHEUS, OPERATOR, GATEWAY) for pod in (WORKER, WRITER)],
        (PROMETHEUS, OPERATOR, 8082),
        # The processes reach nothing else, least of all the machine's identity.
        *[(pod, METADATA, port) for pod in (GATEWAY, WORKER, WRITER, AUDIT, OPERATOR) for port in (80, 443)],
        *[(pod, INTERNET, 80) for pod in (GATEWAY, WORKER, WRITER, AUDIT)],
        *[(pod, STRANGER, 443) for pod in (OPERATOR,)],
        *[(pod, GATEWAY, 8080) for pod in (WORKER, WRITER, AUDIT)],
        *[(OPERATOR, target, port) for target, port in ((VALKEY, 6379), (MYSQL, 3306), (INTERNET, 443))],
        *[(pod, VALKEY, 3306) for pod in (GATEWAY, WORKER)],
        *[(pod, MYSQL, 6379) for pod in (GATEWAY, WORKER)],
    ],
)
def test_what_a_cluster_does_not_need_is_forbidden(profile, source, target, port):
    assert not is_allowed(profile, source, target, port)


@pytest.mark.parametrize("profile", [*CLUSTERS, "embedded"])
def test_processes_reach_the_collector_of_traces_if_there_are_any(profile):
    labels = '{"kubernetes.io/metadata.name":"monitoring"}'
    peer = ("--set-json", f'networkPolicy.collector.to=[{{"namespaceSelector":{{"matchLabels":{labels}}}}}]')
    traced = ("--set-json", 'settings={"traces.sample_one_in":1000}')
    front, collector = (VENUE if profile == "embedded" else GATEWAY), End("monitoring", {})

    def reached(*options: str, target: End = collector, port: int = 4318) -> bool:
        return one_side(profile, "Egress", front, target, port, "TCP", options)

    assert reached(*peer, *traced)
    assert not reached(*peer) and not reached(*traced)
    assert not reached(*peer, *traced, target=STRANGER) and not reached(*peer, *traced, port=80)


@pytest.mark.parametrize(
    ("source", "target", "port", "allowed"),
    [
        (BALANCER, GATEWAY, 8080, True),
        # The pod of `helm test`.
        (OPERATOR, GATEWAY, 8080, True),
        (OPERATOR, GATEWAY, 8081, True),
        (INTERNET, GATEWAY, 8080, False),
        (STRANGER, GATEWAY, 8080, False),
        (GATEWAY, RDS, 6379, True),
        (WRITER, RDS, 3306, True),
        (GATEWAY, INTERNET, 443, True),
        (GATEWAY, METADATA, 443, False),
    ],
)
def test_on_aws_only_the_load_balancer_reaches_the_gateways(source, target, port, allowed):
    assert is_allowed("memorydb", source, target, port) == allowed


@pytest.mark.parametrize(
    ("source", "target", "port", "allowed"),
    [
        (STRANGER, VENUE, 8080, True),
        (STRANGER, VENUE, 8081, False),
        (OPERATOR, VENUE, 8080, True),
        (OPERATOR, VENUE, 8081, True),
        (PROMETHEUS, VENUE, 8082, True),
        (VENUE, INTERNET, 443, True),
        (VENUE, VALKEY, 6379, False),
        (VENUE, MYSQL, 3306, False),
        (component("backup"), INTERNET, 443, True),
        (component("backup"), VENUE, 8081, False),
    ],
)
def test_a_venue_in_one_process_reaches_only_its_backup(source, target, port, allowed):
    assert is_allowed("embedded", source, target, port) == allowed
