#!/usr/bin/env python3
"""The dashboards, as code: writes dashboards/*.json for Grafana 10 or newer.

    deploy/monitoring/dashboards.py           write them
    deploy/monitoring/dashboards.py --check   say whether they are what this script makes

Panels read what deploy/monitoring/rules records wherever there is a record, so that dashboards and alerts agree. Only
the standard library is used.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "dashboards"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
# The grid has 24 columns.
COLUMNS = 24
# What a panel is drawn as, with its width and height.
SIZES = {"stat": (4, 4), "timeseries": (8, 8)}
# Green up to the objective, red beyond what pages somebody.
GREEN, YELLOW, RED = "green", "yellow", "red"


@dataclass(frozen=True)
class Panel:
    """One panel: what it shows, and the queries with the names of their series."""

    title: str
    queries: list[tuple[str, str]]
    unit: str = "short"
    kind: str = "timeseries"
    description: str = ""
    # Values from which on another colour holds.
    steps: list[tuple[float | None, str]] = field(default_factory=lambda: [(None, GREEN)])
    stacked: bool = False

    def json(self, number: int, x: int, y: int) -> dict:
        width, height = SIZES[self.kind]
        defaults = {
            "unit": self.unit,
            "thresholds": {
                "mode": "absolute",
                "steps": [{"color": color, "value": value} for value, color in self.steps],
            },
        }
        if self.kind == "timeseries":
            custom = {"lineWidth": 1, "fillOpacity": 10, "showPoints": "never"}
            custom["stacking"] = {"mode": "normal" if self.stacked else "none", "group": "A"}
            if len(self.steps) > 1:
                custom["thresholdsStyle"] = {"mode": "line"}
            defaults["custom"] = custom
            options = {
                "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
                "tooltip": {"mode": "multi", "sort": "desc"},
            }
        else:
            options = {
                "colorMode": "value",
                "graphMode": "area",
                "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            }
        return {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "datasource": SOURCE,
            "gridPos": {"x": x, "y": y, "w": width, "h": height},
            "fieldConfig": {"defaults": defaults, "overrides": []},
            "options": options,
            "targets": [
                {"refId": chr(ord("A") + at), "datasource": SOURCE, "expr": query, "legendFormat": legend}
                for at, (query, legend) in enumerate(self.queries)
            ],
        }


def row(title: str, number: int, y: int) -> dict:
    """A heading between panels."""
    return {
        "id": number,
        "type": "row",
        "title": title,
        "collapsed": False,
        "gridPos": {"x": 0, "y": y, "w": COLUMNS, "h": 1},
        "panels": [],
    }


def laid_out(rows: list[tuple[str, list[Panel]]]) -> list[dict]:
    """Panels from left to right and from top to bottom, under the headings of their rows."""
    placed: list[dict] = []
    y = 0
    for title, panels in rows:
        placed.append(row(title, len(placed) + 1, y))
        y, x, height = y + 1, 0, 0
        for panel in panels:
            width, tall = SIZES[panel.kind]
            if x + width > COLUMNS or (height and tall != height):
                y, x = y + height, 0
            placed.append(panel.json(len(placed) + 1, x, y))
            x, height = x + width, tall
        y += height
    return placed


def dashboard(name: str, title: str, rows: list[tuple[str, list[Panel]]]) -> dict:
    """A whole dashboard."""
    return {
        "uid": f"crossbook-{name}",
        "title": f"Crossbook / {title}",
        "tags": ["crossbook"],
        "schemaVersion": 39,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "utc",
        "links": [
            {"type": "dashboards", "title": "Crossbook", "tags": ["crossbook"], "asDropdown": True, "keepTime": True}
        ],
        "templating": {
            "list": [{"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"}]
        },
        "annotations": {
            "list": [
                {
                    "name": "Alerts that page",
                    "datasource": SOURCE,
                    "expr": 'ALERTS{alertname=~"Crossbook.*",alertstate="firing",severity="critical"}',
                    "titleFormat": "{{alertname}}",
                    "iconColor": RED,
                    "enable": True,
                }
            ]
        },
        "panels": laid_out(rows),
    }


def quantiles(metric: str, by: str = "", window: str = "$__rate_interval") -> list[tuple[str, str]]:
    """p50 and p99 of a histogram, perhaps by a label."""
    labels = ", ".join(filter(None, [by, "le"]))
    legend = f" {{{{{by}}}}}" if by else ""
    return [
        (f"histogram_quantile({q}, sum by ({labels}) (rate({metric}_bucket[{window}])))", f"p{int(q * 100)}{legend}")
        for q in (0.5, 0.99)
    ]


def rate(metric: str, by: str) -> list[tuple[str, str]]:
    """The rate of a counter by a label, 0 before its first event."""
    return [(f"sum by ({by}) (rate({metric}[$__rate_interval])) or vector(0)", f"{{{{{by}}}}}")]


LATENCY = [(None, GREEN), (0.01, YELLOW), (0.05, RED)]
BUDGET = [(None, RED), (0, YELLOW), (0.25, GREEN)]
BURN = [(None, GREEN), (1, YELLOW), (14.4, RED)]
ZERO = [(None, GREEN), (1, RED)]

OVERVIEW = [
    (
        "Objectives: 99.9 % of orders without a fault, 99 % of orders within 10 ms, over 30 days",
        [
            Panel(
                "Orders without a fault, 30 days",
                [("1 - avg_over_time(crossbook:order_faults:ratio_rate1h[30d])", "")],
                "percentunit",
                "stat",
                "Each hour weighs the same, however many orders it had.",
                [(None, RED), (0.999, GREEN)],
            ),
            Panel(
                "Budget of faults left",
                [("1 - avg_over_time(crossbook:order_faults:ratio_rate1h[30d]) / 0.001", "")],
                "percentunit",
                "stat",
                "1: nothing is spent. Below 0 the objective is missed.",
                BUDGET,
            ),
            Panel(
                "Orders within 10 ms, 30 days",
                [("1 - avg_over_time(crossbook:order_slow:ratio_rate1h[30d])", "")],
                "percentunit",
                "stat",
                steps=[(None, RED), (0.99, GREEN)],
            ),
            Panel(
                "Budget of slow orders left",
                [("1 - avg_over_time(crossbook:order_slow:ratio_rate1h[30d]) / 0.01", "")],
                "percentunit",
                "stat",
                steps=BUDGET,
            ),
            Panel(
                "Alerts that fire",
                [('count(ALERTS{alertname=~"Crossbook.*",alertstate="firing"}) or vector(0)', "")],
                kind="stat",
                steps=ZERO,
            ),
            Panel(
                "Processes that do not answer",
                [('count(up{job=~"crossbook.*"} == 0) or vector(0)', "")],
                kind="stat",
                steps=ZERO,
            ),
            Panel(
                "Burn rate of faults",
                [
                    ("crossbook:order_faults:ratio_rate1h / 0.001", "1 h"),
                    ("crossbook:order_faults:ratio_rate6h / 0.001", "6 h"),
                    ("crossbook:order_faults:ratio_rate3d / 0.001", "3 d"),
                ],
                description="1: the budget lasts exactly 30 days. 14.4: two days.",
                steps=BURN,
            ),
            Panel(
                "Burn rate of slow orders",
                [
                    ("crossbook:order_slow:ratio_rate1h / 0.01", "1 h"),
                    ("crossbook:order_slow:ratio_rate6h / 0.01", "6 h"),
                    ("crossbook:order_slow:ratio_rate3d / 0.01", "3 d"),
                ],
                steps=BURN,
            ),
            Panel(
                "Orders that miss an objective, 5 min",
                [
                    ("crossbook:order_faults:ratio_rate5m", "with a fault"),
                    ("crossbook:order_slow:ratio_rate5m", "slower than 10 ms"),
                ],
                "percentunit",
            ),
        ],
    ),
    (
        "Orders",
        [
            Panel(
                "Orders a second",
                [("crossbook:orders_answered:rate1m", "answered"), ("crossbook:orders_accepted:rate1m", "accepted")],
                "ops",
            ),
            Panel(
                "Time of an order",
                [
                    ("crossbook:order_seconds:p50_rate1m", "p50"),
                    ("crossbook:order_seconds:p95_rate1m", "p95"),
                    ("crossbook:order_seconds:p99_rate1m", "p99"),
                ],
                "s",
                description="From receipt to answer, at all gateways. Yellow: the objective; red: it pages.",
                steps=LATENCY,
            ),
            Panel("p99 by gateway", [("instance:order_seconds:p99_rate1m", "{{instance}}")], "s", steps=LATENCY),
            Panel(
                "Orders with a fault of the venue",
                [("crossbook:order_faults:ratio_rate1m", "share")],
                "percentunit",
                steps=[(None, GREEN), (0.001, YELLOW), (0.01, RED)],
            ),
            Panel(
                "Queues",
                [("crossbook:queue_depth:max", "{{stage}}")],
                description="Fewer than 100 entries are normal.",
                steps=[(None, GREEN), (100, YELLOW), (1000, RED)],
            ),
            Panel("Refused as overload", rate("crossbook_overload_rejections_total", "stage"), "ops"),
        ],
    ),
]

MATCHING = [
    (
        "Partitions",
        [
            Panel(
                "Partitions without an active worker",
                [
                    (
                        "count(count by (partition) (crossbook_partition_active)"
                        " unless (max by (partition) (crossbook_partition_active) == 1)) or vector(0)",
                        "",
                    )
                ],
                kind="stat",
                steps=ZERO,
            ),
            Panel(
                "Partitions with one worker only",
                [("count(sum by (partition) (crossbook_partition_connected) < 2) or vector(0)", "")],
                kind="stat",
                steps=ZERO,
            ),
            Panel(
                "Silent partitions",
                [("sum(max by (partition) (crossbook_circuit_breaker_open))", "")],
                kind="stat",
                steps=ZERO,
            ),
            Panel(
                "Messages under way",
                [("max(crossbook_messages_unacknowledged)", "")],
                kind="stat",
                description="Between partitions, not received yet.",
            ),
            Panel(
                "Oldest last snapshot",
                [("max(time() - max by (job, partition) (crossbook_snapshot_timestamp_seconds))", "")],
                "s",
                "stat",
                steps=[(None, GREEN), (86_400, RED)],
            ),
            Panel(
                "Failed snapshots, 1 d",
                [("sum(increase(crossbook_snapshot_failures_total[1d]))", "")],
                kind="stat",
                steps=ZERO,
            ),
            Panel(
                "Commands applied",
                [("sum by (instance) (rate(crossbook_commands_total[$__rate_interval]))", "{{instance}}")],
                "ops",
                description="By workers, and by a venue in one process. A standby applies what its active one does.",
            ),
            Panel(
                "Commands not applied yet",
                [("max by (instance) (crossbook_partition_lag_commands)", "{{instance}}")],
                description="Of the partition that is furthest behind.",
            ),
            Panel(
                "Partitions by worker",
                [("sum by (instance) (crossbook_partition_active)", "{{instance}}")],
                description="Of which it has the lease.",
                stacked=True,
            ),
        ],
    ),
    (
        "The store of a cluster's logs",
        [
            Panel(
                "Round trip to a shard",
                quantiles("crossbook_turn_seconds", "job"),
                "s",
                description="With the confirmation by the replicas.",
                steps=[(None, GREEN), (0.025, RED)],
            ),
            Panel("Commands in a round trip", quantiles("crossbook_turn_commands", "job")),
            Panel(
                "Repairs",
                [
                    ("sum(rate(crossbook_append_retries_total[$__rate_interval]))", "appended again"),
                    ("sum(rate(crossbook_shard_disconnects_total[$__rate_interval]))", "connections lost"),
                    ("sum(rate(crossbook_partition_role_changes_total[$__rate_interval]))", "leases taken or lost"),
                    ("sum(rate(crossbook_partition_reloads_total[$__rate_interval]))", "partitions reloaded"),
                    ("sum(rate(crossbook_partition_moves_total[$__rate_interval]))", "partitions that move"),
                ],
                "ops",
            ),
        ],
    ),
    (
        "A venue in one process",
        [
            Panel("Sync of the log", quantiles("crossbook_log_sync_seconds"), "s", steps=[(None, GREEN), (0.02, RED)]),
            Panel("Engine, by command", quantiles("crossbook_matching_seconds"), "s"),
            Panel(
                "Engine, by batch",
                quantiles("crossbook_matching_batch_seconds"),
                "s",
                steps=[(None, GREEN), (0.02, RED)],
            ),
            Panel("Commands that share a sync", quantiles("crossbook_log_batch_commands")),
            Panel(
                "Log written",
                [("sum by (instance) (rate(crossbook_log_bytes_total[$__rate_interval]))", "{{instance}}")],
                "Bps",
            ),
            Panel(
                "Log disk free",
                [("crossbook_log_disk_free_bytes / crossbook_log_disk_size_bytes", "{{instance}}")],
                "percentunit",
                steps=[(None, RED), (0.05, YELLOW), (0.4, GREEN)],
            ),
        ],
    ),
]

INFRASTRUCTURE = [
    (
        "Processes of Crossbook",
        [
            Panel(
                "Processors",
                [('rate(process_cpu_seconds_total{job=~"crossbook.*"}[$__rate_interval])', "{{job}} {{instance}}")],
                description="1: one processor.",
            ),
            Panel(
                "Memory",
                [('process_resident_memory_bytes{job=~"crossbook.*"}', "{{job}} {{instance}}")],
                "bytes",
            ),
            Panel(
                "File descriptors in use",
                [
                    (
                        'process_open_fds{job=~"crossbook.*"} / process_max_fds{job=~"crossbook.*"}',
                        "{{job}} {{instance}}",
                    )
                ],
                "percentunit",
                steps=[(None, GREEN), (0.8, RED)],
            ),
            Panel("Connections", [("sum by (listener) (crossbook_connections)", "{{listener}}")]),
            Panel(
                "Clocks",
                [
                    ("max(abs(crossbook_clock_deviation_seconds))", "set since the start"),
                    ("max(crossbook_clock_behind_log_seconds)", "behind the log"),
                    ("max(crossbook_clock_ahead_of_store_seconds)", "ahead of the store"),
                ],
                "s",
                steps=[(None, GREEN), (1, RED)],
            ),
            Panel(
                "Certificates expire in",
                [
                    (
                        "crossbook_tls_certificate_expiry_timestamp_seconds - time()",
                        "{{instance}} {{listener}}",
                    )
                ],
                "s",
                description="Nothing where no listener has a certificate.",
                steps=[(None, RED), (172_800, YELLOW), (1_209_600, GREEN)],
            ),
        ],
    ),
    (
        "Redis or Valkey",
        [
            Panel(
                "Commands",
                [("rate(redis_commands_processed_total[$__rate_interval])", "{{instance}}")],
                "ops",
            ),
            Panel(
                "Time in commands",
                [("sum by (instance) (rate(redis_commands_duration_seconds_total[$__rate_interval]))", "{{instance}}")],
                description="1: the server does nothing else.",
                unit="percentunit",
            ),
            Panel("Memory", [("redis_memory_used_bytes", "{{instance}}")], "bytes"),
            Panel("Connections", [("redis_connected_clients", "{{instance}}")]),
            Panel(
                "Replicas of masters",
                [('redis_connected_slaves and on (instance) redis_instance_info{role="master"}', "{{instance}}")],
                steps=[(None, RED), (1, GREEN)],
            ),
            Panel(
                "Network",
                [
                    ("sum(rate(redis_net_input_bytes_total[$__rate_interval]))", "in"),
                    ("sum(rate(redis_net_output_bytes_total[$__rate_interval]))", "out"),
                ],
                "Bps",
            ),
        ],
    ),
    (
        "The history and its database",
        [
            Panel(
                "History behind",
                [("max by (job) (crossbook_history_lag_seconds)", "{{job}}")],
                "s",
                steps=[(None, GREEN), (60, RED)],
            ),
            Panel(
                "Rows written",
                [("sum by (instance) (rate(crossbook_history_rows_total[$__rate_interval]))", "{{instance}}")],
                "ops",
            ),
            Panel("Transaction of the history", quantiles("crossbook_history_write_seconds"), "s"),
            Panel("Queries", [("rate(mysql_global_status_queries[$__rate_interval])", "{{instance}}")], "ops"),
            Panel(
                "Connections",
                [
                    ("mysql_global_status_threads_connected", "connected"),
                    ("mysql_global_status_threads_running", "running"),
                    ("mysql_global_variables_max_connections", "at most"),
                ],
            ),
            Panel(
                "Statements",
                [
                    (
                        "sum by (command)"
                        ' (rate(mysql_global_status_commands_total{command=~"insert|select|update|delete|commit"}'
                        "[$__rate_interval]))",
                        "{{command}}",
                    )
                ],
                "ops",
            ),
        ],
    ),
    (
        "Machines",
        [
            Panel(
                "Processors in use",
                [
                    (
                        '1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[$__rate_interval]))',
                        "{{instance}}",
                    )
                ],
                "percentunit",
            ),
            Panel(
                "Memory in use",
                [("1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes", "{{instance}}")],
                "percentunit",
                steps=[(None, GREEN), (0.9, RED)],
            ),
            Panel(
                "Disks free",
                [
                    (
                        'node_filesystem_avail_bytes{fstype!=""} / node_filesystem_size_bytes{fstype!=""}',
                        "{{instance}} {{mountpoint}}",
                    )
                ],
                "percentunit",
                steps=[(None, RED), (0.1, GREEN)],
            ),
            Panel(
                "Disk written",
                [("rate(node_disk_written_bytes_total[$__rate_interval])", "{{instance}} {{device}}")],
                "Bps",
            ),
            Panel(
                "Disk busy",
                [("rate(node_disk_io_time_seconds_total[$__rate_interval])", "{{instance}} {{device}}")],
                "percentunit",
            ),
            Panel(
                "Network",
                [
                    ("sum by (instance) (rate(node_network_receive_bytes_total[$__rate_interval]))", "{{instance}} in"),
                    (
                        "sum by (instance) (rate(node_network_transmit_bytes_total[$__rate_interval]))",
                        "{{instance}} out",
                    ),
                ],
                "Bps",
            ),
        ],
    ),
]

BUSINESS = [
    (
        "Accounts",
        [
            Panel(
                f"Accounts that traded, {name}",
                [(f'max(crossbook_active_accounts{{window="{window}"}})', "")],
                kind="stat",
                description="Accounts that placed an order in that time, since the start of the gateway.",
            )
            for window, name in (("5m", "5 min"), ("1h", "1 hour"), ("1d", "1 day"))
        ]
        + [
            Panel("Trades a second", [("crossbook:trades:rate1m", "")], "ops", "stat"),
            Panel(
                "Last audit",
                [("time() - max(crossbook_audit_timestamp_seconds)", "")],
                "s",
                "stat",
                steps=[(None, GREEN), (93_600, RED)],
            ),
            Panel(
                "Books balance",
                [("min(crossbook_audit_ok)", "")],
                kind="stat",
                description="1: in the last audit they did.",
                steps=[(None, RED), (1, GREEN)],
            ),
        ],
    ),
    (
        "Markets",
        [
            Panel("Orders by market", [("symbol:orders:rate5m", "{{symbol}}")], "ops", stacked=True),
            Panel("Trades by market", [("symbol:trades:rate5m", "{{symbol}}")], "ops", stacked=True),
            Panel(
                "Volume of a day by market",
                [("symbol_asset:volume:increase1d", "{{symbol}} in {{asset}}")],
                description="In whole units of the quote asset; markets beyond metrics.markets_max are left out.",
            ),
            Panel("Active accounts", [("max by (window) (crossbook_active_accounts)", "{{window}}")]),
            Panel(
                "Refused orders by code",
                rate("crossbook_orders_rejected_total", "code"),
                "ops",
                stacked=True,
                description="docs/compatibility.md says what each code means.",
            ),
            Panel(
                "Refused requests by operation",
                rate("crossbook_requests_rejected_total", "operation"),
                "ops",
                stacked=True,
            ),
        ],
    ),
    (
        "Streams",
        [
            Panel(
                "Messages sent",
                [("sum by (instance) (rate(crossbook_stream_messages_total[$__rate_interval]))", "{{instance}}")],
                "ops",
            ),
            Panel(
                "Stream lag",
                quantiles("crossbook_stream_lag_seconds"),
                "s",
                steps=[(None, GREEN), (0.5, RED)],
            ),
            Panel(
                "WebSocket connections",
                [("sum by (kind) (crossbook_websocket_connections) or vector(0)", "{{kind}}")],
            ),
        ],
    ),
]

DASHBOARDS = {
    "overview": dashboard("overview", "Overview", OVERVIEW),
    "matching": dashboard("matching", "Matching and log", MATCHING),
    "infrastructure": dashboard("infrastructure", "Infrastructure", INFRASTRUCTURE),
    "business": dashboard("business", "Business", BUSINESS),
}


def text(made: dict) -> str:
    """A dashboard as it is in its file."""
    return json.dumps(made, indent=1, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    if not arguments:
        FOLDER.mkdir(exist_ok=True)
        for name, made in DASHBOARDS.items():
            (FOLDER / f"{name}.json").write_text(text(made))
        return 0
    kept = {path.stem: path.read_text() for path in FOLDER.glob("*.json")}
    if kept == {name: text(made) for name, made in DASHBOARDS.items()}:
        return 0
    print("deploy/monitoring/dashboards is out of date; run deploy/monitoring/dashboards.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
