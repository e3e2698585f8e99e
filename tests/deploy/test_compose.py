"""The compose file and what it mounts. No engine runs it here: these checks are of its text."""

from __future__ import annotations

import re
import subprocess
import tomllib

import chart
import yaml
from test_chart import settings

FOLDER = chart.REPOSITORY / "deploy/compose"


def compose() -> dict:
    return yaml.safe_load((FOLDER / "compose.yaml").read_text())


def test_what_services_name_exists():
    project = compose()
    services = project["services"]
    for name, service in services.items():
        assert set(service.get("depends_on", {})) <= set(services), name
        for config in service.get("configs", []):
            assert config["source"] in project["configs"], name
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in project["volumes"] or (FOLDER / source).is_dir(), name
        assert set(service.get("secrets", [])) <= set(project.get("secrets", {})), name
        assert not re.search(r":latest$|^[^:$]+$", service["image"]), name
        # What is reached from outside is reached from this machine only.
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
    for config in project["configs"].values():
        assert (FOLDER / config["file"]).is_file()


def test_our_services_are_as_hardened_as_the_chart():
    ours = [service for service in compose()["services"].values() if "crossbook:" in service["image"]]
    assert len(ours) == 5
    for service in ours:
        assert service["read_only"] and service["cap_drop"] == ["ALL"] and service["user"] == "10001:10001"
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["healthcheck"]["test"] == ["CMD", "/usr/bin/crossbook", "probe"]


def test_settings_exist():
    def walk(table, prefix=""):
        for key, value in table.items():
            yield from walk(value, f"{prefix}{key}.") if isinstance(value, dict) else [prefix + key]

    assert set(walk(tomllib.loads((FOLDER / "crossbook.toml").read_text()))) <= settings()
    for service in compose()["services"].values():
        for variable in service.get("environment", {}):
            if variable.startswith("CROSSBOOK_") and "__" in variable:
                assert variable.removeprefix("CROSSBOOK_").lower().replace("__", ".") in settings()


def test_prometheus_takes_its_configuration(tmp_path):
    # In the container the rules are where the configuration names them.
    text = (FOLDER / "prometheus.yml").read_text()
    rules = chart.REPOSITORY / "deploy/monitoring/rules"
    (tmp_path / "prometheus.yml").write_text(text.replace("/etc/prometheus/rules", str(rules)))
    command = ["promtool", "check", "config", str(tmp_path / "prometheus.yml")]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_rules_find_the_roles_by_the_names_of_the_jobs():
    rules = (chart.REPOSITORY / "deploy/monitoring/rules/crossbook.yaml").read_text()
    named = set(re.findall(r'job=~?"([^"]+)"', rules))
    known = {name for names in named for name in names.split("|") if "*" not in name}
    jobs = {job["job_name"] for job in yaml.safe_load((FOLDER / "prometheus.yml").read_text())["scrape_configs"]}
    assert jobs <= known and known <= jobs | {"crossbook"}
    [monitor] = chart.of_kind("PodMonitor", "5000tps")
    given = {of["replacement"] for of in monitor["spec"]["podMetricsEndpoints"][0]["relabelings"]}
    assert given == {"crossbook-$1", "crossbook"}


def test_prometheus_scrapes_and_haproxy_serves_all_processes():
    services = {name for name, of in compose()["services"].items() if "crossbook:" in of["image"]}
    jobs = yaml.safe_load((FOLDER / "prometheus.yml").read_text())["scrape_configs"]
    targets = {target.split(":")[0] for job in jobs for config in job["static_configs"] for target in config["targets"]}
    assert targets == services
    balanced = re.findall(r"^  server (\S+) (\S+):(\d+)$", (FOLDER / "haproxy.cfg").read_text(), re.MULTILINE)
    assert {(host, port) for _, host, port in balanced} == {
        (name, port) for name in services if name.startswith("gateway") for port in ("8080", "8081")
    }
