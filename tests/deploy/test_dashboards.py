"""Dashboards: they are what their script makes, every series that they read exists, and panels do not overlap."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import catalogue
import exporters
import pytest
import rules

FILES = sorted((rules.MONITORING / "dashboards").glob("*.json"))


def panels(dashboard: dict) -> list[dict]:
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def as_promql(expression: str) -> str:
    """A query with Grafana's variables replaced."""
    return expression.replace("$__rate_interval", "1m")


def test_the_files_are_what_the_script_makes():
    done = subprocess.run(
        [sys.executable, rules.MONITORING / "dashboards.py", "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_series_and_label_in_a_panel_exists(file):
    families = catalogue.series(catalogue.read())
    known = set(families) | exporters.ALL | rules.records()
    for panel in panels(json.loads(file.read_text())):
        for target in panel["targets"]:
            for selector in rules.selectors(as_promql(target["expr"])):
                assert selector.name in known, f"{panel['title']}: {selector.name}"
                if family := families.get(selector.name):
                    matched = {matcher.name for matcher in selector.matchers.matchers}
                    assert matched <= family.labels | {"job", "instance", "le"}, f"{panel['title']}: {matched}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_legends_name_labels_that_the_query_leaves(file):
    for panel in panels(json.loads(file.read_text())):
        for target in panel["targets"]:
            if grouped := re.search(r"by \(([^)]*)\)", target["expr"]):
                left = {label.strip() for label in grouped[1].split(",")} - {"le"}
                assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= left, panel["title"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_panels_fill_the_grid_without_overlap(file):
    dashboard = json.loads(file.read_text())
    assert re.fullmatch(r"crossbook-\w+", dashboard["uid"])
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        x, y, w, h = (panel["gridPos"][side] for side in "xywh")
        cells = {(column, line) for column in range(x, x + w) for line in range(y, y + h)}
        assert x + w <= 24 and not cells & taken, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    assert all(panel["title"] and panel["targets"] for panel in panels(dashboard))
