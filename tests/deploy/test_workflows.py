"""The workflows of a public forge. No forge runs them here: these checks are of their text."""

from __future__ import annotations

import re

import chart
import pytest
import yaml

WORKFLOWS = sorted((chart.REPOSITORY / ".github/workflows").glob("*.yml"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_what_a_workflow_runs_exists(path):
    workflow = yaml.safe_load(path.read_text())
    assert "permissions" in workflow, "the default token may write everything"
    targets = set(re.findall(r"^([a-z-]+):", (chart.REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    jobs = workflow["jobs"]
    for name, job in jobs.items():
        needs = job.get("needs", [])
        assert {needs} if isinstance(needs, str) else set(needs) <= set(jobs), name
        for step in job["steps"]:
            if "uses" in step:
                assert re.fullmatch(r"actions/[\w-]+@v\d+", step["uses"]), step
                continue
            for line in step["run"].splitlines():
                if line.startswith("make "):
                    assert set(line.split()[1:]) <= targets, line
                if line.startswith(".ci/"):
                    assert (chart.REPOSITORY / line.split()[0]).is_file(), line
