"""The Helm chart as it is rendered from each profile, and what is in the rendered objects."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
CHART = REPOSITORY / "deploy/helm/crossbook"
PROFILES = {path.stem: path for path in sorted((REPOSITORY / "deploy/helm/profiles").glob("*.yaml"))}
RENDERED = REPOSITORY / "deploy/kubernetes"
HELM = os.environ.get("HELM", str(REPOSITORY / "target/tools/bin/helm"))

Object = dict


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs Helm, which gets nothing of the user's own configuration."""
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "HELM_NO_PLUGINS": "1"}
    return subprocess.run([HELM, *arguments], capture_output=True, text=True, env=environment, check=False)


@functools.cache
def text(profile: str, *options: str) -> str:
    """What Helm renders from a profile."""
    values = ["--values", str(PROFILES[profile])]
    done = helm("template", "crossbook", str(CHART), "--namespace", "crossbook", *values, *options)
    assert done.returncode == 0, done.stderr
    return done.stdout


@functools.cache
def objects(profile: str, *options: str) -> tuple[Object, ...]:
    """The objects of a profile."""
    return tuple(found for found in yaml.safe_load_all(text(profile, *options)) if found)


def of_kind(kind: str, profile: str) -> list[Object]:
    return [found for found in objects(profile) if found["kind"] == kind]


def pods(profile: str) -> Iterator[tuple[str, Object]]:
    """Every pod that the profile makes, as metadata and spec, with the name of what makes it."""
    for found in objects(profile):
        name = f"{found['kind']}/{found['metadata']['name']}"
        match found["kind"]:
            case "Deployment" | "StatefulSet":
                yield name, found["spec"]["template"]
            case "CronJob":
                yield name, found["spec"]["jobTemplate"]["spec"]["template"]
            case "Pod":
                yield name, found


def matches(selector: Object, labels: Object) -> bool:
    """Whether a label selector selects these labels."""
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    for expression in selector.get("matchExpressions", []):
        key, values = expression["key"], expression.get("values", [])
        held = {
            "In": labels.get(key) in values,
            "NotIn": labels.get(key) not in values,
            "Exists": key in labels,
            "DoesNotExist": key not in labels,
        }[expression["operator"]]
        if not held:
            return False
    return True


if __name__ == "__main__":
    # Writes the committed manifests again.
    for name in PROFILES:
        (RENDERED / f"{name}.yaml").write_text(text(name))
        print(RENDERED / f"{name}.yaml", file=sys.stderr)
