"""The rules of deploy/monitoring, and what of them a check asks for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import promql_parser
import yaml

from catalogue import REPOSITORY

MONITORING = REPOSITORY / "deploy/monitoring"
FILES = sorted((MONITORING / "rules").glob("*.yaml"))


@dataclass(frozen=True)
class Rule:
    """A rule, and the file that it is in."""

    file: Path
    group: str
    rule: dict

    @property
    def name(self) -> str:
        return self.rule.get("alert") or self.rule["record"]


def read() -> list[Rule]:
    """All rules."""
    return [
        Rule(file, group["name"], rule)
        for file in FILES
        for group in yaml.safe_load(file.read_text())["groups"]
        for rule in group["rules"]
    ]


def alerts() -> dict[str, Rule]:
    """The alerts by name."""
    return {rule.name: rule for rule in read() if "alert" in rule.rule}


def records() -> set[str]:
    """The names that rules record."""
    return {rule.name for rule in read() if "record" in rule.rule}


def selectors(expression: str) -> list[promql_parser.VectorSelector]:
    """The selectors of series in an expression."""
    found, left = [], [promql_parser.parse(expression)]
    while left:
        node = left.pop()
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)
            continue
        for name in ("expr", "lhs", "rhs", "param", "vector_selector", "args"):
            value = getattr(node, name, None)
            left.extend(value if isinstance(value, list) else [value] if value is not None else [])
    return found
