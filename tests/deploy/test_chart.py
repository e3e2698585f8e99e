"""The Helm chart: what it refuses, what it renders, and what every object of it must have."""

from __future__ import annotations

import re
import tomllib

import chart
import kubernetes_validate
import pytest
import yaml

VERSIONS = ("1.33", "1.34", "1.35", "1.36", "1.37")
# Kinds of others' definitions, which no schema of Kubernetes has.
FOREIGN = {
    "PodMonitor": "monitoring.coreos.com/v1",
    "PrometheusRule": "monitoring.coreos.com/v1",
    "Certificate": "cert-manager.io/v1",
}
UNITS = {"": 1, "m": 1e-3, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}

profiles = pytest.mark.parametrize("profile", chart.PROFILES)


def quantity(text: str) -> float:
    number, unit = re.fullmatch(r"([0-9.]+)(\D*)", str(text)).groups()
    return float(number) * UNITS[unit]


def flat(table: dict, prefix: str = "") -> dict:
    """Settings by their dotted names."""
    found = {}
    for key, value in table.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return found


def settings() -> set[str]:
    """The names of all settings."""
    return set(flat(defaults()))


def defaults() -> dict:
    return tomllib.loads((chart.REPOSITORY / "docs/crossbook.toml").read_text())


def test_there_are_the_profiles_that_the_documents_name():
    assert set(chart.PROFILES) == {"embedded", "small", "5000tps", "memorydb", "valkey"}


@profiles
def test_helm_finds_nothing_wrong(profile):
    linted = chart.helm("lint", "--strict", str(chart.CHART), "--values", str(chart.PROFILES[profile]))
    assert linted.returncode == 0, linted.stdout + linted.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--set", "gateway.replica=3"], "additional properties 'replica' not allowed"),
        (["--set", "gateway.replicas=two"], "want integer"),
        (["--set", "image.tag=latest"], "/image/tag"),
        (["--set", "image.digest=sha256:1"], "/image/digest"),
        (["--set", "mode=both"], "/mode"),
        (["--set", "history=sqlite"], "/history"),
        (["--set", "worker.groups[0].name=a", "--set", "worker.groups[0].partitions={0,1}"], "partition 2"),
        (["--set", "backup.enabled=true", "--set", "backup.to=s3://a/b"], "needs mode embedded"),
        (["--set", "mode=embedded", "--set", "backup.enabled=true"], "backup.to names where"),
        (["--set", "gateway.resources.limits.cpu=1"], "additional properties 'cpu' not allowed"),
        (["--set", "tls.http.enabled=true", "--set", "tls.certManager.enabled=true"], "issuer.name names who"),
    ],
)
def test_wrong_values_are_refused(options, said):
    refused = chart.helm("template", "crossbook", str(chart.CHART), *options)
    assert refused.returncode != 0 and said in refused.stderr, refused.stderr


@profiles
def test_the_committed_manifests_are_what_helm_renders(profile):
    committed = chart.RENDERED / f"{profile}.yaml"
    assert committed.read_text() == chart.text(profile), f"run `make manifests` and commit {committed}"


@profiles
def test_every_version_of_kubernetes_knows_every_field(profile):
    for found in chart.objects(profile):
        if found["kind"] in FOREIGN:
            assert found["apiVersion"] == FOREIGN[found["kind"]]
            continue
        for version in VERSIONS:
            kubernetes_validate.validate(found, version, strict=True)


@profiles
def test_names_are_short_and_objects_single(profile):
    seen = set()
    for found in chart.objects(profile):
        name = found["metadata"]["name"]
        assert (found["kind"], name) not in seen
        seen.add((found["kind"], name))
        # The names of a CronJob's pods have a suffix.
        assert len(name) <= (52 if found["kind"] == "CronJob" else 63)
        assert found["metadata"]["labels"]["app.kubernetes.io/instance"] == "crossbook"


@profiles
def test_selectors_select_what_they_mean(profile):
    templates = dict(chart.pods(profile))
    labels = {name: template["metadata"]["labels"] for name, template in templates.items()}
    for found in chart.objects(profile):
        name = f"{found['kind']}/{found['metadata']['name']}"
        if found["kind"] in ("Deployment", "StatefulSet"):
            selected = [of for of in labels if chart.matches(found["spec"]["selector"], labels[of])]
            assert selected == [name]
        if found["kind"] == "PodDisruptionBudget":
            selected = [of for of in labels if chart.matches(found["spec"]["selector"], labels[of])]
            assert selected == [f"Deployment/{found['metadata']['name']}"]
        if found["kind"] == "Service":
            selector = {"matchLabels": found["spec"]["selector"]}
            [selected] = [of for of in labels if chart.matches(selector, labels[of])]
            ports = {port["name"] for port in templates[selected]["spec"]["containers"][0]["ports"]}
            assert {port["targetPort"] for port in found["spec"]["ports"]} <= ports
        if found["kind"] == "HorizontalPodAutoscaler":
            target = found["spec"]["scaleTargetRef"]["name"]
            [scaled] = [of for of in chart.of_kind("Deployment", profile) if of["metadata"]["name"] == target]
            assert "replicas" not in scaled["spec"], "the autoscaler decides"


@profiles
def test_pods_may_do_nothing_that_they_need_not(profile):
    for name, pod in chart.pods(profile):
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False and spec["enableServiceLinks"] is False, name
        assert spec["securityContext"]["runAsNonRoot"] and spec["securityContext"]["runAsUser"] == 10001, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys(), name
        for container in spec["containers"]:
            security = container["securityContext"]
            assert security == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name
        for volume in spec["volumes"]:
            assert "hostPath" not in volume, name
            assert "emptyDir" not in volume or "sizeLimit" in volume["emptyDir"], name


@profiles
def test_containers_ask_for_what_they_use_and_are_not_throttled(profile):
    for name, pod in chart.pods(profile):
        for container in pod["spec"]["containers"]:
            requests, limits = container["resources"]["requests"], container["resources"]["limits"]
            assert {"cpu", "memory"} <= requests.keys(), name
            assert "cpu" not in limits, f"{name}: a limit stalls it for up to 100 ms"
            assert quantity(limits["memory"]) >= quantity(requests["memory"]), name
            assert re.fullmatch(r"[^:@]+(:(?!latest$)[\w.-]+|@sha256:[0-9a-f]{64})", container["image"]), name


@profiles
def test_what_serves_is_probed_where_nobody_can_operate(profile):
    for name, pod in chart.pods(profile):
        if name.startswith(("CronJob", "Pod/")):
            continue
        for container in pod["spec"]["containers"]:
            ports = {port["name"]: port["containerPort"] for port in container["ports"]}
            assert all(len(port) <= 15 for port in ports)
            paths = {}
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                asked = container[probe]["httpGet"]
                assert asked["port"] == "probes" and container[probe]["timeoutSeconds"] >= 2, name
                paths[probe] = asked["path"]
            # A long restore is no failure: liveness does not ask for readiness.
            assert paths == {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}
            variables = {variable["name"]: variable.get("value") for variable in container["env"]}
            assert variables["CROSSBOOK_PROBES"] == f"0.0.0.0:{ports['probes']}"


def longest_stop(command: str, settings: dict, values: dict) -> float:
    """The seconds that a process takes at most to stop in order, as docs/operations.md has it."""
    # Connections of operators and probes, which end together and last.
    close = settings["gateway.server.shutdown_timeout_ms"]
    history = settings["history.stop_timeout_ms"]
    # They are served on, have a second of farewell, and then end.
    clients = settings["gateway.server.drain_ms"] + 1_000 + close
    # The last traces, if there are any.
    clients += settings["traces.export_timeout_ms"] if settings["traces.sample_one_in"] else 0
    return {
        "gateway": clients + settings["gateway.reply_timeout_ms"] + close,
        "serve": clients + history + 1_000 * values["embedded"]["stopSeconds"] + close,
        "worker": close + 1_000 * values["worker"]["stopSeconds"],
        "writer": close + history,
    }[command] / 1_000


@profiles
@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"gateway.server.shutdown_timeout_ms": 25_500, "gateway.reply_timeout_ms": 20_000},
        {"history.stop_timeout_ms": 90_000, "gateway.server.drain_ms": 45_000},
        {"traces.sample_one_in": 1_000},
        {"traces.sample_one_in": 1, "traces.export_timeout_ms": 20_000},
    ],
    ids=["defaults", "patient", "slow", "traced", "traced slowly"],
)
def test_a_pod_is_not_killed_while_it_stops_in_order(profile, changed):
    options = []
    for name, value in changed.items():
        options += ["--set", f"settings.{name.replace('.', chr(92) + '.')}={value}"]
    found = chart.objects(profile, *options)
    [file] = [of["data"]["crossbook.toml"] for of in found if "crossbook.toml" in of.get("data", {})]
    known = flat(defaults()) | flat(tomllib.loads(file))
    assert changed.items() <= known.items()
    values = yaml.safe_load((chart.CHART / "values.yaml").read_text())
    stopped = set()
    for pod in (of["spec"]["template"]["spec"] for of in found if of["kind"] in ("Deployment", "StatefulSet")):
        command = pod["containers"][0]["args"][0]
        spare = pod["terminationGracePeriodSeconds"] - longest_stop(command, known, values)
        assert 5 <= spare < 6, f"{command}: {spare} s to spare"
        stopped.add(command)
    assert stopped == ({"serve"} if profile == "embedded" else {"gateway", "worker", "writer"})


@profiles
def test_deployments_survive_the_loss_of_a_zone_and_a_drain(profile):
    budgets = chart.of_kind("PodDisruptionBudget", profile)
    for found in chart.of_kind("Deployment", profile):
        name, template = found["metadata"]["name"], found["spec"]["template"]
        if "replicas" in found["spec"]:
            assert found["spec"]["replicas"] >= 2, name
        labels = template["metadata"]["labels"]
        [budget] = [of for of in budgets if chart.matches(of["spec"]["selector"], labels)]
        assert budget["spec"]["maxUnavailable"] == 1
        # Else a pod that never becomes ready holds up the drain of its node.
        assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
        assert found["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
        zones, hosts = template["spec"]["topologySpreadConstraints"]
        assert (zones["topologyKey"], zones["whenUnsatisfiable"]) == ("topology.kubernetes.io/zone", "DoNotSchedule")
        assert (hosts["topologyKey"], hosts["whenUnsatisfiable"]) == ("kubernetes.io/hostname", "ScheduleAnyway")
        for spread in (zones, hosts):
            assert chart.matches(spread["labelSelector"], labels) and spread["maxSkew"] == 1
        leave = {toleration["key"]: toleration["tolerationSeconds"] for toleration in template["spec"]["tolerations"]}
        assert set(leave) == {"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"}
        assert max(leave.values()) <= 30, "the default of 300 s leaves one worker without a standby for minutes"


def rendered(*options: str) -> list[dict]:
    """What another release than `crossbook` renders from the profile `small`."""
    done = chart.helm("template", *options, str(chart.CHART), "--values", str(chart.PROFILES["small"]))
    assert done.returncode == 0, done.stderr
    return [found for found in yaml.safe_load_all(done.stdout) if found]


def priorities(found: list[dict]) -> tuple[set[str], set[str]]:
    """The names of the classes of priority that are made, and those that pods have."""
    made = {of["metadata"]["name"] for of in found if of["kind"] == "PriorityClass"}
    templates = [of["spec"]["template"] for of in found if of["kind"] == "Deployment"]
    return made, {of["spec"].get("priorityClassName", "") for of in templates}


def test_two_releases_do_not_share_a_class_of_priority():
    seen = set()
    for release, namespace in (("crossbook", "a"), ("crossbook", "b"), ("second", "a")):
        made, used = priorities(rendered(release, "--namespace", namespace))
        assert len(made) == 1 and made == used
        seen |= made
    assert seen == {"a-crossbook", "b-crossbook", "a-second-crossbook"}
    named = ["crossbook", "--namespace", "a", "--set", "priorityClass.name=high"]
    assert priorities(rendered(*named)) == ({"high"}, {"high"})
    assert priorities(rendered(*named, "--set", "priorityClass.create=false")) == (set(), {"high"})
    assert priorities(rendered("crossbook", "--set", "priorityClass.create=false")) == (set(), {""})


@profiles
def test_buckets_have_a_region_where_one_is_set(profile):
    found = chart.objects(profile, "--set", "region=eu-west-1")
    for of in found:
        match of["kind"]:
            case "Deployment" | "StatefulSet":
                pod = of["spec"]["template"]["spec"]
            case "CronJob":
                pod = of["spec"]["jobTemplate"]["spec"]["template"]["spec"]
            case _:
                continue
        variables = {one["name"]: one.get("value") for one in pod["containers"][0]["env"]}
        assert variables["AWS_REGION"] == "eu-west-1", of["metadata"]["name"]


def test_jobs_on_the_volume_of_a_venue_do_not_hold_it_for_long():
    [venue] = chart.of_kind("StatefulSet", "embedded")
    template = venue["spec"]["template"]
    jobs = {of["metadata"]["name"]: of["spec"]["jobTemplate"]["spec"] for of in chart.of_kind("CronJob", "embedded")}
    assert set(jobs) == {"crossbook-audit", "crossbook-backup"}
    for name, job in jobs.items():
        assert job["activeDeadlineSeconds"] <= 3_600, name
        pod = job["template"]["spec"]
        # It goes where the venue is, whatever taints keep others from there, and leaves a lost node with it.
        [term] = pod["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        assert chart.matches(term["labelSelector"], template["metadata"]["labels"]), name
        assert pod["tolerations"] == template["spec"]["tolerations"], name
        # A venue that is started again meanwhile goes where the job has the volume.
        [near] = template["spec"]["affinity"]["podAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
        assert chart.matches(near["podAffinityTerm"]["labelSelector"], job["template"]["metadata"]["labels"]), name
    with_taint = chart.objects("embedded", "--set-json", 'embedded.tolerations=[{"key":"venue","operator":"Exists"}]')
    for of in with_taint:
        if of["kind"] == "CronJob":
            tolerated = of["spec"]["jobTemplate"]["spec"]["template"]["spec"]["tolerations"]
            assert {"key": "venue", "operator": "Exists"} in tolerated, of["metadata"]["name"]


@profiles
def test_every_partition_runs_on_two_workers(profile):
    workers = [found for found in chart.of_kind("Deployment", profile) if "-worker-" in found["metadata"]["name"]]
    if profile == "embedded":
        assert not workers
        return
    partitions = tomllib.loads(settings_file(profile))["cluster"]["partitions"]
    runs = dict.fromkeys(range(partitions), 0)
    for found in workers:
        arguments = found["spec"]["template"]["spec"]["containers"][0]["args"]
        listed = arguments[arguments.index("--partitions") + 1].split(",") if "--partitions" in arguments else runs
        for partition in listed:
            runs[int(partition)] += found["spec"]["replicas"]
    assert set(runs.values()) == {2}, runs


def test_rules_and_dashboards_are_those_of_the_monitoring():
    monitoring = chart.REPOSITORY / "deploy/monitoring"
    found = chart.objects("small", "--set", "prometheusRule.enabled=true", "--set", "dashboards.enabled=true")
    rules = {of["metadata"]["name"]: of["spec"] for of in found if of["kind"] == "PrometheusRule"}
    expected = {f"crossbook-{path.stem}": yaml.safe_load(path.read_text()) for path in monitoring.glob("rules/*.yaml")}
    assert rules == expected and rules
    dashboards = [of for of in found if "dashboard" in of["metadata"]["name"]]
    texts = {name: text for of in dashboards for name, text in of["data"].items()}
    assert texts == {path.name: path.read_text() for path in monitoring.glob("dashboards/*.json")} and texts
    for of in dashboards:
        kubernetes_validate.validate(of, VERSIONS[-1], strict=True)
        # The server takes no larger ones.
        assert sum(map(len, of["data"].values())) < 1_000_000


def settings_file(profile: str) -> str:
    [found] = [of for of in chart.of_kind("ConfigMap", profile) if "crossbook.toml" in of["data"]]
    return found["data"]["crossbook.toml"]


@profiles
def test_settings_exist_and_have_no_secrets(profile):
    known = settings()
    for line in settings_file(profile).splitlines():
        name = line.split(" = ")[0]
        assert name in known, name
        assert not re.search(r"://[^/\s\"]*@|password|token|secret", line), line
    for name, pod in chart.pods(profile):
        for container in pod["spec"]["containers"]:
            for variable in container.get("env", []):
                key = variable["name"].removeprefix("CROSSBOOK_")
                if key in ("ADMIN_TOKEN_FILE", "SECRET_KEY") or variable["name"].startswith("AWS_"):
                    continue
                setting = key.lower().replace("__", ".")
                assert setting in known, f"{name}: {variable['name']}"
                if setting in ("cluster.redis.servers", "history.database"):
                    assert "secretKeyRef" in variable["valueFrom"], name
    assert not chart.of_kind("Secret", profile), "the chart makes no secrets"
