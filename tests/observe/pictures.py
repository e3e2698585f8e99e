"""Draws dashboards from their JSON and from what Prometheus answers. This is no Grafana: it shows what panels hold, and
not how Grafana would draw it.
"""

from __future__ import annotations

import html
import json
import math
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from stack import MONITORING, Stack

COLORS = ["#3274d9", "#e0752d", "#56a64b", "#a352cc", "#e02f44", "#f2cc0c", "#37872d", "#1f60c4", "#ff780a", "#8f3bb8"]
# Size of a cell of the grid, in pixels.
CELL_WIDTH, CELL_HEIGHT = 66, 34
# Points of a line.
POINTS = 240
# Prefixes of numbers from a thousandth on.
PREFIXES = [(1e9, "G"), (1e6, "M"), (1e3, "k"), (1, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n")]


@dataclass(frozen=True)
class Series:
    """One line: its labels, and its points in time."""

    labels: dict[str, str]
    points: list[tuple[float, float]]


def series(stack: Stack, expression: str, since: float, until: float) -> list[Series]:
    """What a query of a panel returns over a time, with Grafana's variables replaced."""
    step = max(1, int((until - since) / POINTS))
    query = expression.replace("$__rate_interval", "10s")
    answer = stack.ask("query_range", query=query, start=since, end=until, step=step)
    return [
        Series(one["metric"], [(float(at), float(value)) for at, value in one["values"]]) for one in answer["result"]
    ]


def number(value: float, unit: str) -> str:
    """A value in its unit, shortly."""
    if not math.isfinite(value):
        return "-"
    if unit == "percentunit":
        return f"{value * 100:.3g} %"
    if unit == "s" and abs(value) >= 120:
        return f"{value / 86_400:.1f} d" if abs(value) >= 172_800 else f"{value / 60:.0f} min"
    suffix = {"s": "s", "bytes": "B", "Bps": "B/s", "ops": "/s"}.get(unit, "")
    if value == 0:
        return f"0 {suffix}".strip()
    size, prefix = next(((size, prefix) for size, prefix in PREFIXES if abs(value) >= size), (1e-9, "n"))
    if not suffix and size < 1:
        size, prefix = 1, ""
    return f"{value / size:.3g} {prefix}{suffix}".strip()


def legend(pattern: str, labels: dict[str, str]) -> str:
    named = re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), pattern)
    return named.strip() or " ".join(labels.values())


def color_of(steps: list[dict], value: float) -> str:
    """The colour of a value by the thresholds of its panel."""
    found = steps[0]["color"]
    for step in steps[1:]:
        if value >= step["value"]:
            found = step["color"]
    return {"green": "#56a64b", "yellow": "#e0b400", "red": "#e02f44"}[found]


def draw_lines(panel: dict, lines: list[tuple[str, Series]], since: float, until: float, size: tuple[int, int]) -> str:
    """Lines over time, with limits dashed."""
    unit = panel["fieldConfig"]["defaults"]["unit"]
    width, height = size
    left, right, top, bottom = 62, 8, 6, 18
    values = [value for _, one in lines for _, value in one.points if math.isfinite(value)]
    high, low = max([*values, 0]), min([*values, 0])
    high = high * 1.05 if high > low else low + 1
    x = lambda at: left + (at - since) / (until - since) * (width - left - right)  # noqa: E731
    y = lambda value: top + (high - value) / (high - low) * (height - top - bottom)  # noqa: E731
    drawn = []
    for part in range(5):
        value = low + (high - low) * part / 4
        drawn.append(
            f'<line x1="{left}" x2="{width - right}" y1="{y(value):.0f}" y2="{y(value):.0f}" stroke="#e4e7ea"/>'
        )
        drawn.append(f'<text x="{left - 4}" y="{y(value) + 3:.0f}" text-anchor="end">{number(value, unit)}</text>')
        at = since + (until - since) * part / 4
        anchor = "start" if part == 0 else "end" if part == 4 else "middle"
        clock = time.strftime("%H:%M:%S", time.gmtime(at))
        drawn.append(f'<text x="{x(at):.0f}" y="{height - 5}" text-anchor="{anchor}">{clock}</text>')
    for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"][1:]:
        if low <= step["value"] <= high:
            at = y(step["value"])
            drawn.append(
                f'<line x1="{left}" x2="{width - right}" y1="{at:.0f}" y2="{at:.0f}" stroke="{color_of([step], 0)}" '
                'stroke-dasharray="4 3"/>'
            )
    for place, (_, one) in enumerate(lines):
        # A gap stays a gap.
        path, before = "", None
        for at, value in one.points:
            if math.isfinite(value):
                is_next = before is not None and at - before <= 2 * max(1, (until - since) / POINTS) + 1
                path += f"{'L' if is_next else 'M'}{x(at):.1f} {y(value):.1f}"
                before = at
        drawn.append(f'<path d="{path}" fill="none" stroke="{COLORS[place % len(COLORS)]}" stroke-width="1.5"/>')
    return f'<svg width="{width}" height="{height}">{"".join(drawn)}</svg>'


def draw_panel(stack: Stack, panel: dict, since: float, until: float) -> str:
    """One panel at its place."""
    grid = panel["gridPos"]
    x, y, w, h = (grid["x"] * CELL_WIDTH, grid["y"] * CELL_HEIGHT, grid["w"] * CELL_WIDTH, grid["h"] * CELL_HEIGHT)
    place = f'style="left:{x}px;top:{y}px;width:{w - 8}px;height:{h - 8}px"'
    if panel["type"] == "row":
        return f"<h2 {place}>{html.escape(panel['title'])}</h2>"
    lines = [
        (legend(target["legendFormat"], one.labels), one)
        for target in panel["targets"]
        for one in series(stack, target["expr"], since, until)
    ]
    title = f"<h3>{html.escape(panel['title'])}</h3>"
    defaults = panel["fieldConfig"]["defaults"]
    if panel["type"] == "stat":
        values = [value for _, one in lines for _, value in one.points[-1:] if math.isfinite(value)]
        value = values[-1] if values else math.nan
        shown = number(value, defaults["unit"])
        color = color_of(defaults["thresholds"]["steps"], value)
        return f'<div {place}>{title}<p class="stat" style="color:{color}">{shown}</p></div>'
    legends = "".join(
        f'<span><i style="background:{COLORS[at % len(COLORS)]}"></i>{html.escape(name or "value")}</span>'
        for at, (name, _) in enumerate(lines[:8])
    )
    more = f"<span>and {len(lines) - 8} more</span>" if len(lines) > 8 else ""
    drawn = draw_lines(panel, lines, since, until, (w - 16, h - 66)) if lines else "<p>no data</p>"
    return f'<div {place}>{title}{drawn}<p class="legend">{legends}{more}</p></div>'


STYLE = """
body { margin: 0; font: 11px sans-serif; background: #f4f5f8; color: #24292e; }
h1 { margin: 10px; font-size: 18px; } main { position: relative; margin: 10px; }
main > * { position: absolute; box-sizing: border-box; overflow: hidden; }
main > div { background: #fff; border: 1px solid #dde4ea; border-radius: 3px; padding: 4px; }
h2 { font-size: 13px; margin: 0; padding: 8px 2px; } h3 { font-size: 12px; margin: 2px 4px; font-weight: 600; }
text { font-size: 10px; fill: #5a6169; } .stat { font-size: 30px; margin: 18px 0; text-align: center; }
.legend { margin: 2px 4px; line-height: 14px; } .legend span { margin-right: 10px; white-space: nowrap; }
.legend i { display: inline-block; width: 10px; height: 3px; margin-right: 4px; vertical-align: middle; }
"""


def draw_all(stack: Stack, since: float, until: float, folder: Path) -> None:
    """Writes a picture of each dashboard into a folder; without Chromium, a page only."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    for file in sorted((MONITORING / "dashboards").glob("*.json")):
        dashboard = json.loads(file.read_text())
        panels = dashboard["panels"]
        height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels) * CELL_HEIGHT + 60
        body = "".join(draw_panel(stack, panel, since, until) for panel in panels)
        page = folder / f"{file.stem}.html"
        page.write_text(
            f"<!doctype html><meta charset=utf-8><style>{STYLE}</style><h1>{html.escape(dashboard['title'])}</h1>"
            f'<main style="height:{height}px">{body}</main>'
        )
        if browser:
            subprocess.run(
                [
                    *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
                    *(
                        f"--window-size={24 * CELL_WIDTH + 20},{height}",
                        f"--screenshot={folder / (file.stem + '.png')}",
                    ),
                    page.as_uri(),
                ],
                check=True,
                capture_output=True,
                timeout=60,
            )
