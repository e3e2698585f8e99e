#!/usr/bin/env python3
"""Watches a real cluster under load with the rules and dashboards of deploy/monitoring, and breaks it.

    tests/observe/observe.py [--binary FILE] [--keep DIR] [--report FILE] [--only WORD]...

1. Every query of every panel returns data.
2. Each alert that can be caused here is fired by a real fault, reaches its receiver, and is resolved when the fault is
   gone. While it fires, the commands of its runbook are run.
3. The dashboards are drawn, each from its own JSON, to PNG files in the folder of --keep.

Durations of the rules are divided so that this takes minutes; tests/observe/stack.py says how. The exit status is 1
when something did not happen.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import faults
import pictures
import stack as observed
from faults import Fault
from stack import MONITORING, REPOSITORY, Receiver, Stack, eventually

# How long an alert may take to fire once its fault is made, and to be resolved once that is gone.
FIRE_PATIENCE, RESOLVE_PATIENCE = 100, 300
# How long a command of a runbook may take.
COMMAND_PATIENCE = 30


@dataclass
class Outcome:
    """What came of one alert."""

    alert: str
    fault: str
    fired: float | None = None
    notified: bool = False
    resolved: float | None = None
    commands: list[tuple[str, int, str]] = field(default_factory=list)
    trouble: str = ""

    @property
    def is_good(self) -> bool:
        ran = all(status == 0 for _, status, _ in self.commands)
        return bool(self.fired is not None and self.resolved is not None and self.notified and ran and not self.trouble)


def runbook_commands() -> dict[str, list[str]]:
    """The commands that find the cause, by alert."""
    text = (REPOSITORY / "docs/runbooks.md").read_text()
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    return {
        name: re.findall(r"^```sh\n(.*?)^```$", body, re.MULTILINE | re.DOTALL)
        for name, body in zip(parts[1::2], parts[2::2], strict=True)
    }


def run_commands(stack: Stack, commands: list[str], place: dict[str, str]) -> list[tuple[str, int, str]]:
    """Pastes commands into a shell; each with its status and what it said."""
    environment = (
        os.environ
        | place
        | {
            "PATH": f"{stack.folder / 'bin'}:{os.environ['PATH']}",
            "PROMETHEUS": stack.prometheus,
            "CROSSBOOK_ADMIN_TOKEN": stack.token,
        }
    )
    ran = []
    for command in commands:
        try:
            done = subprocess.run(
                ["bash", "-eu", "-o", "pipefail", "-c", command],
                env=environment,
                cwd=stack.folder,
                capture_output=True,
                text=True,
                timeout=COMMAND_PATIENCE,
            )
            ran.append((command, done.returncode, done.stdout + done.stderr))
        except subprocess.TimeoutExpired:
            ran.append((command, -1, f"not within {COMMAND_PATIENCE} s"))
    return ran


@contextlib.contextmanager
def noted(outcome: Outcome) -> Iterator[None]:
    """What does not happen in time is noted, and the others go on."""
    try:
        yield
    except TimeoutError as error:
        outcome.trouble = outcome.trouble or str(error)


def break_and_mend(stack: Stack, fault: Fault, commands: dict[str, list[str]]) -> list[Outcome]:
    """Makes a fault, waits for its alerts, runs their commands, undoes it, and waits until they are resolved."""
    outcomes = [Outcome(alert, fault.what) for alert in fault.alerts]
    print(f"{fault.what} ...", flush=True)
    ignored = "crossbook" if fault.only_second else None
    firing = lambda: stack.firing(ignored)  # noqa: E731
    try:
        eventually(
            f"{fault.alerts} do not fire before", lambda: not set(fault.alerts) & set(firing()), RESOLVE_PATIENCE, 1
        )
        began = time.time()
        with fault.make(stack) as place:
            made = time.time()
            for outcome in outcomes:
                with noted(outcome):
                    left = max(5, made + FIRE_PATIENCE - time.time())
                    eventually(f"{outcome.alert} fires", lambda name=outcome.alert: name in firing(), left, 0.5)
                    outcome.fired = time.time() - began
                    outcome.commands = run_commands(stack, commands[outcome.alert], place)
                    eventually(
                        f"the receiver is told of {outcome.alert}",
                        lambda name=outcome.alert: Receiver.notified.firing.get(name, 0) >= began,
                    )
                    outcome.notified = "<no value>" not in Receiver.notified.texts[outcome.alert]
        mended = time.time()
        for outcome in outcomes:
            with noted(outcome):
                left = max(5, mended + RESOLVE_PATIENCE - time.time())
                eventually(f"{outcome.alert} is resolved", lambda name=outcome.alert: name not in firing(), left, 0.5)
                outcome.resolved = time.time() - mended if outcome.fired is not None else None
    except Exception as error:  # noqa: BLE001 # One fault that cannot be made must not hide the others.
        for outcome in outcomes:
            outcome.trouble = outcome.trouble or f"{type(error).__name__}: {error}"
    for outcome in outcomes:
        print(f"  {outcome.alert}: {'ok' if outcome.is_good else 'NOT OK ' + outcome.trouble}", flush=True)
        for command, status, said in outcome.commands:
            if status != 0:
                print(f"    status {status}: {command}\n{said}", flush=True)
    return outcomes


def panels_without_data(stack: Stack, since: float) -> list[str]:
    """The queries of panels that have not returned a number since then."""
    missing = []
    for file in sorted((MONITORING / "dashboards").glob("*.json")):
        for panel in json.loads(file.read_text())["panels"]:
            for target in panel.get("targets", []):
                found = pictures.series(stack, target["expr"], since, time.time())
                if not any(math.isfinite(value) for one in found for _, value in one.points):
                    missing.append(f"{file.stem} / {panel['title']}: {target['expr']}")
    return missing


def prepare(stack: Stack) -> None:
    """Starts everything, with load, an audit and somebody who follows a stream."""
    stack.start_cluster()
    faults.start_serve(stack)
    faults.start_second(stack)
    stack.start_observers()
    stack.start_load("load", stack.http, stack.admin, stack.token, 200)
    faults.load_serve(stack)
    stack.crossbook("audit")
    faults.follow(stack)


def report(outcomes: list[Outcome], missing: list[str], queries: int, took: float) -> str:
    """The table of one run, as Markdown."""
    memory = int(re.search(r"MemTotal: +(\d+)", Path("/proc/meminfo").read_text())[1]) // 1024 // 1024
    lines = [
        f"# Monitoring, {time.strftime('%-d %B %Y')}",
        "",
        f"`make observe`, in {took / 60:.0f} minutes, on {platform.system()} {platform.release()} with "
        f"{os.cpu_count()} processors and {memory} GB, while other programs ran: a cluster (one Redis master with a "
        "replica, three partitions, two workers, two gateways, a writer, MariaDB) and a venue in one process, each "
        "under 200 orders a second, and a second venue; Prometheus, Alertmanager, and the exporters of Redis, MySQL "
        "and the machine.",
        "",
        f"Durations of the rules were shortened: windows and waiting times are a {observed.SPEED}th, windows at least "
        f"{observed.WINDOW_MIN} s, waiting times at most {observed.HOLD_MAX} s, and an audit is old after 20 s. "
        "Prometheus scraped once a second. Limits are those of the rules. Seconds are from the beginning of the fault "
        "to the alert, and from its end to the alert's.",
        "",
        f"Of {queries} queries of panels, {queries - len(missing)} returned data."
        if missing
        else f"All {queries} queries of panels returned data.",
        "",
        "| alert | fault | fired after | receiver told | commands of the runbook | resolved after |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for outcome in outcomes:
        seconds = lambda value: "-" if value is None else f"{value:.0f} s"  # noqa: E731
        good = sum(status == 0 for _, status, _ in outcome.commands)
        lines.append(
            f"| {outcome.alert} | {outcome.fault} | {seconds(outcome.fired)} | {'yes' if outcome.notified else 'no'} "
            f"| {good} of {len(outcome.commands)} | {seconds(outcome.resolved)} |"
        )
    lines += [f"| {alert} | not made: {why} | | | | |" for alert, why in faults.NOT_MADE.items()]
    lines += ["", *(f"- No data: {one}" for one in missing)]
    return "\n".join(lines).rstrip() + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, default=REPOSITORY / "target/release/crossbook")
    parser.add_argument("--keep", type=Path, help="keep logs and pictures in this folder, which is emptied first")
    parser.add_argument("--report", type=Path, help="write the table to this file")
    parser.add_argument("--only", action="append", help="make only faults with this word; may be repeated")
    options = parser.parse_args()
    commands, began = runbook_commands(), time.time()
    covered = {alert for fault in faults.FAULTS for alert in fault.alerts} | set(faults.NOT_MADE)
    assert covered == set(commands), covered ^ set(commands)
    wanted = [
        fault
        for fault in faults.FAULTS
        if not options.only or any(word in fault.what + str(fault.alerts) for word in options.only)
    ]
    with observed.temporary(options.keep) as folder, Stack(folder, options.binary.resolve()) as stack:
        with faults.small_disk(stack):
            prepare(stack)
            # What rates and averages begin with.
            eventually("a minute has passed", lambda: time.time() > began + 60, 600)
            outcomes = [outcome for fault in wanted for outcome in break_and_mend(stack, fault, commands)]
            missing = panels_without_data(stack, began)
            queries = sum(
                len(panel.get("targets", []))
                for file in (MONITORING / "dashboards").glob("*.json")
                for panel in json.loads(file.read_text())["panels"]
            )
            if options.keep:
                pictures.draw_all(stack, began, time.time(), folder)
    text = report(outcomes, missing, queries, time.time() - began)
    print(text)
    if options.report:
        options.report.write_text(text)
    return 0 if all(outcome.is_good for outcome in outcomes) and not missing else 1


if __name__ == "__main__":
    sys.exit(main())
