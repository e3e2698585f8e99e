"""The metrics of the program: the table of docs/metrics.md, which a unit test keeps equal to the catalogue in Rust."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

# The series that Prometheus makes of a histogram.
PARTS_OF_HISTOGRAM = ("_bucket", "_sum", "_count")

ROLES = ("serve", "gateway", "worker", "writer")


@dataclass(frozen=True)
class Family:
    """A metric family as the catalogue has it."""

    name: str
    kind: str
    unit: str
    labels: frozenset[str]
    roles: frozenset[str]
    help: str

    def series(self) -> tuple[str, ...]:
        """The names by which a query reaches it."""
        return tuple(self.name + part for part in PARTS_OF_HISTOGRAM) if self.kind == "histogram" else (self.name,)


def read(text: str | None = None) -> dict[str, Family]:
    """The catalogue by name."""
    text = (REPOSITORY / "docs/metrics.md").read_text() if text is None else text
    families = {}
    for row in re.findall(r"^\| (`.*) \|$", text, re.MULTILINE):
        name, kind, unit, labels, roles, about = (cell.strip() for cell in row.split("|"))
        families[name.strip("`")] = Family(
            name.strip("`"),
            kind,
            unit,
            frozenset(re.findall(r"`(\w+)`", labels)),
            frozenset(ROLES if roles == "all" else roles.split(", ")),
            about,
        )
    return families


def series(families: dict[str, Family]) -> dict[str, Family]:
    """The families by the names of their series."""
    return {name: family for family in families.values() for name in family.series()}
