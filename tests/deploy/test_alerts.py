"""Rules and alerts: what monitoring mixins demand of them, and that each alert fires, does not fire, and resolves."""

from __future__ import annotations

import re
import shutil
import subprocess

import catalogue
import exporters
import pytest
import rules
import yaml
from alert_cases import CASES, Case

ALERTS = rules.alerts()
SEVERITIES = {"critical", "warning", "info"}
RUNBOOKS = catalogue.REPOSITORY / "docs/runbooks.md"
# The parts of a runbook, in this order.
PARTS = ["Meaning", "Impact", "Diagnosis", "Mitigation"]


def run(*command: object) -> str:
    """What a command says; it must succeed."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def runbooks() -> dict[str, str]:
    """The runbooks by heading."""
    parts = re.split(r"^## (.+)$", RUNBOOKS.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_promtool_accepts_rules_and_configuration():
    run("promtool", "check", "rules", *rules.FILES)
    run("promtool", "check", "config", rules.MONITORING / "prometheus.yml")


def test_amtool_routes_alerts_by_severity():
    if not shutil.which("amtool"):
        pytest.skip("amtool is not installed; on Debian `make require-amtool` installs it")
    config = rules.MONITORING / "alertmanager.yml"
    run("amtool", "check-config", config)
    for severity, receiver in {"critical": "pager", "warning": "tickets", "info": "log"}.items():
        said = run("amtool", "config", "routes", "test", f"--config.file={config}", f"severity={severity}")
        assert said.strip() == receiver, severity


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_has_what_mixins_demand(name: str):
    alert = ALERTS[name].rule
    assert re.fullmatch(r"Crossbook([A-Z][a-z]+)+", name)
    assert set(alert["labels"]) == {"severity"} and alert["labels"]["severity"] in SEVERITIES
    notes = alert["annotations"]
    assert set(notes) == {"summary", "description", "runbook_url"}
    # The summary is the same for all alerts of a group, so it has no values; the description tells them apart.
    assert re.fullmatch(r"[A-Z][^{}]*\.", notes["summary"]), notes["summary"]
    assert notes["description"].endswith("."), notes["description"]
    assert notes["runbook_url"].endswith(f"/docs/runbooks.html#{name.lower()}")


def test_every_alert_has_a_runbook_and_every_runbook_an_alert():
    found = runbooks()
    assert list(found) == list(ALERTS), "runbooks have the order of the rules"
    for name, text in found.items():
        assert re.findall(r"^\*\*(\w+)\.\*\*", text, re.MULTILINE) == PARTS, name


def test_names_of_records_say_level_metric_and_operation():
    for name in rules.records():
        assert re.fullmatch(r"[a-z_]+:[a-z_]+:[a-z0-9_]+", name), name


def test_every_series_in_a_rule_exists():
    known = set(catalogue.series(catalogue.read())) | exporters.ALL | rules.records()
    for rule in rules.read():
        for selector in rules.selectors(rule.rule["expr"]):
            assert selector.name in known, f"{rule.name}: {selector.name}"


def test_every_label_in_a_rule_exists():
    """A misspelt label selects nothing, and a rule with it never fires."""
    families = catalogue.series(catalogue.read())
    for rule in rules.read():
        for selector in rules.selectors(rule.rule["expr"]):
            if family := families.get(selector.name):
                known = family.labels | {"job", "instance"} | ({"le"} if selector.name.endswith("_bucket") else set())
                assert {matcher.name for matcher in selector.matchers.matchers} <= known, f"{rule.name}: {selector}"


def test_every_alert_has_a_case():
    assert sorted({case.alert for case in CASES}) == sorted(ALERTS)


def unit_test(case: Case) -> dict:
    """A case as promtool has it. Prometheus keeps the state of alerts as series of its own."""
    matchers = {"alertname": case.alert, "alertstate": "firing"} | case.labels
    selector = ",".join(f'{name}="{value}"' for name, value in matchers.items())
    fires = {case.quiet: False, case.fires: True, case.resolved: False}
    return {
        "name": case.alert,
        "interval": f"{case.interval}s",
        "input_series": [{"series": name, "values": values(case.interval)} for name, values in case.series.items()],
        "promql_expr_test": [
            {
                "expr": f"count(ALERTS{{{selector}}})",
                "eval_time": f"{minute}m",
                "exp_samples": [{"labels": "{}", "value": 1}] if is_firing else [],
            }
            for minute, is_firing in fires.items()
        ],
    }


def groups_for(names: set[str]) -> list[dict]:
    """The groups with these alerts, and those with the records that they read; the others would take most of the time
    of a test."""
    groups = [group for file in rules.FILES for group in yaml.safe_load(file.read_text())["groups"]]
    wanted = [group for group in groups if any(rule.get("alert") in names for rule in group["rules"])]
    read = {
        selector.name
        for group in wanted
        for rule in group["rules"]
        if rule.get("alert") in names
        for selector in rules.selectors(rule["expr"])
    }
    return [group for group in groups if group in wanted or any(rule.get("record") in read for rule in group["rules"])]


@pytest.mark.parametrize(
    ("group", "interval"), sorted({(ALERTS[case.alert].group, case.interval) for case in CASES if case.alert in ALERTS})
)
def test_each_alert_fires_does_not_fire_and_resolves(group: str, interval: int, tmp_path):
    cases = [case for case in CASES if (ALERTS[case.alert].group, case.interval) == (group, interval)]
    tested = tmp_path / "rules.yaml"
    tested.write_text(yaml.safe_dump({"groups": groups_for({case.alert for case in cases})}))
    tests = {
        "rule_files": [str(tested)],
        "evaluation_interval": f"{interval}s",
        "tests": [unit_test(case) for case in cases],
    }
    file = tmp_path / "alerts.yaml"
    file.write_text(yaml.safe_dump(tests, sort_keys=False))
    run("promtool", "test", "rules", file)
