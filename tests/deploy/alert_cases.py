"""For every alert, series with which it does not fire, then fires, then is resolved.

Times are minutes. `quiet` is a time at which the alert must not fire, although what it watches may be near its limit or
beyond it for a shorter time than the alert waits; at `fires` it must, at `resolved` not any more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

DAY = 86_400


@dataclass(frozen=True)
class Case:
    """One alert and what it is given."""

    alert: str
    series: dict[str, Callable[[int], str]]
    quiet: int
    fires: int
    resolved: int
    # Labels that the firing alert must have.
    labels: dict[str, str] = field(default_factory=dict)
    # Seconds between two samples.
    interval: int = 15


def gauge(*parts: tuple[int, float]) -> Callable[[int], str]:
    """Minutes at a value, one part after the other. `None` stands for no sample."""

    def written(interval: int) -> str:
        def part(minutes: int, value: float | None) -> str:
            samples = minutes * 60 // interval
            return f"_x{samples}" if value is None else f"{value}+0x{samples - 1}"

        return " ".join(part(*one) for one in parts)

    return written


def counter(*parts: tuple[int, float]) -> Callable[[int], str]:
    """Minutes at a rate by second, one part after the other."""

    def written(interval: int) -> str:
        value, text = 0.0, []
        for minutes, rate in parts:
            samples, step = minutes * 60 // interval, rate * interval
            text.append(f"{value:g}+{step:g}x{samples - 1}")
            value += step * samples
        return " ".join(text)

    return written


def line(*parts: tuple[int, float, float]) -> Callable[[int], str]:
    """Minutes from a value on, changing by so much each second."""

    def written(interval: int) -> str:
        return " ".join(
            f"{start}{'+' if slope >= 0 else '-'}{abs(slope) * interval:g}x{minutes * 60 // interval - 1}"
            for minutes, start, slope in parts
        )

    return written


def latency(bounds: dict[str, tuple[tuple[int, float], ...]], name: str, labels: str) -> dict[str, Callable]:
    """A histogram: by upper bound the rates of what is at most that long."""
    comma = "," if labels else ""
    return {f'{name}_bucket{{{labels}{comma}le="{bound}"}}': counter(*parts) for bound, parts in bounds.items()}


ORDER = 'instance="g0",operation="order.place",transport="rest"'
ANSWERED = f"crossbook_request_seconds_count{{{ORDER}}}"
FAILED = 'crossbook_requests_rejected_total{instance="g0",operation="order.place",code="-1007"}'
# What a client causes is no fault of the venue.
REFUSED = 'crossbook_requests_rejected_total{instance="g0",operation="order.place",code="-2010"}'


def up(job: str, instance: str, *parts: tuple[int, float]) -> dict[str, Callable[[int], str]]:
    return {f'up{{job="{job}",instance="{instance}"}}': gauge(*parts)}


def slow(name: str, limit: str, beyond: str) -> dict[str, Callable[[int], str]]:
    """A histogram with one in two hundred observations beyond a limit, then one in twenty, then none."""
    return latency(
        {
            limit: ((15, 199), (15, 190), (30, 200)),
            beyond: ((60, 200),),
            "+Inf": ((60, 200),),
        },
        name,
        'instance="a"',
    )


def burns(slow_or_failed: str, good: tuple, bad: tuple) -> dict[str, Callable[[int], str]]:
    """Orders of which some are failed or slow: for `good[0]` minutes a share, then another, then the first again."""
    (well, little), (ill, much) = good, bad
    if slow_or_failed == "failed":
        return {ANSWERED: counter((2000, 100)), FAILED: counter((well, little), (ill, much), (1000, little))}
    within = counter((well, 100 - little), (ill, 100 - much), (1000, 100 - little))
    return {
        ANSWERED: counter((2000, 100)),
        f'crossbook_request_seconds_bucket{{{ORDER},le="0.01"}}': within,
    }


def failed_job(kind: str) -> Case:
    """A job fails, of which an earlier one had failed before others succeeded; later a third one succeeds."""
    cronjob, jobs = f"crossbook-{kind}", {"28000000": (60, 1), "28000060": (3_600, 0), "28000120": (7_200, 1)}
    series = {
        f'kube_cronjob_status_last_successful_time{{namespace="n",cronjob="{cronjob}"}}': gauge(
            (10, None), (170, 3_660), (20, 10_900)
        )
    }
    for number, (start, failed) in jobs.items():
        of = f'namespace="n",job_name="{cronjob}-{number}"'
        # Kubernetes tells of a job from its start on.
        before = (start // 60, None)
        series[f"kube_job_status_start_time{{{of}}}"] = gauge(before, (200, start))
        series[f"kube_job_status_failed{{{of}}}"] = gauge(before, (200, failed))
    # Somebody else's job.
    other = f'namespace="n",job_name="another-{kind}-28000060"'
    series[f"kube_job_status_start_time{{{other}}}"] = gauge((200, 9_000))
    series[f"kube_job_status_failed{{{other}}}"] = gauge((200, 1))
    labels = {"namespace": "n", "cronjob": cronjob}
    return Case(f"Crossbook{kind.title()}JobFailed", series, 100, 140, 190, labels, interval=60)


# The partition that gateways know of.
KNOWN = {'crossbook_partition_lag_commands{job="crossbook-gateway",instance="g0",partition="3"}': gauge((60, 0))}

CASES = [
    Case(
        "CrossbookHighLatency",
        latency(
            {"0.05": ((15, 199), (15, 190), (30, 200)), "0.1": ((60, 200),), "+Inf": ((60, 200),)},
            "crossbook_request_seconds",
            ORDER,
        ),
        quiet=19,
        fires=22,
        resolved=35,
    ),
    Case(
        "CrossbookErrorSpike",
        {
            ANSWERED: counter((60, 1000)),
            FAILED: counter((15, 9), (10, 11), (30, 9)),
            REFUSED: counter((60, 500)),
        },
        quiet=14,
        fires=20,
        resolved=30,
    ),
    Case(
        "CrossbookQueueBackup",
        {'crossbook_queue_depth{instance="g0",stage="log"}': gauge((5, 1000), (5, 1001), (10, 12))},
        quiet=5,
        fires=9,
        resolved=12,
        labels={"stage": "log"},
    ),
    Case(
        "CrossbookOverload",
        {'crossbook_overload_rejections_total{instance="g0",stage="node"}': counter((10, 0.9), (10, 50), (20, 0))},
        quiet=10,
        fires=18,
        resolved=25,
        labels={"stage": "node"},
    ),
    Case(
        "CrossbookNoGateway",
        up("crossbook-gateway", "g0", (30, 0)) | up("crossbook-gateway", "g1", (5, 1), (5, 0), (10, 1)),
        quiet=4,
        fires=8,
        resolved=12,
    ),
    # Nobody knows of one any more, as when all pods are gone.
    Case("CrossbookNoGateway", up("crossbook-gateway", "g0", (5, 1), (20, None), (10, 1)), 9, 14, 27),
    Case(
        "CrossbookGatewayDown",
        up("crossbook-gateway", "g0", (5, 1), (5, 0), (10, 1)) | up("crossbook-gateway", "g1", (20, 1)),
        quiet=5,
        fires=8,
        resolved=12,
        labels={"instance": "g0"},
    ),
    Case("CrossbookStreamLag", slow("crossbook_stream_lag_seconds", "0.5", "1"), 17, 29, 45, {"instance": "a"}),
    Case(
        "CrossbookSlowConsumers",
        {'crossbook_stream_slow_consumers_total{instance="g0"}': counter((10, 0), (10, 0.1), (20, 0))},
        quiet=9,
        fires=19,
        resolved=30,
    ),
    # 14.4 times 0.1 % is 1.44 %.
    Case(
        "CrossbookFaultBudgetBurnsFast",
        burns("failed", (60, 0.5), (60, 3)),
        quiet=60,
        fires=115,
        resolved=155,
        labels={"severity": "critical"},
        interval=60,
    ),
    Case(
        "CrossbookFaultBudgetBurnsSlowly",
        burns("failed", (60, 0.09), (240, 0.5)),
        quiet=60,
        fires=290,
        resolved=900,
        interval=300,
    ),
    Case("CrossbookLatencyBudgetBurnsFast", burns("slow", (60, 5), (60, 30)), 60, 115, 155, interval=60),
    Case("CrossbookLatencyBudgetBurnsSlowly", burns("slow", (60, 0.9), (240, 5)), 60, 290, 900, interval=300),
    Case(
        "CrossbookWorkerDown",
        up("crossbook-worker", "w0", (5, 1), (5, 0), (10, 1)) | up("crossbook-gateway", "g0", (20, 0)),
        quiet=5,
        fires=8,
        resolved=12,
        labels={"instance": "w0"},
    ),
    Case(
        "CrossbookWriterDown",
        up("crossbook-writer", "a", (20, 0)) | up("crossbook-writer", "b", (5, 1), (5, 0), (10, 1)),
        quiet=4,
        fires=8,
        resolved=12,
    ),
    Case(
        "CrossbookWriterDown",
        up("crossbook-writer", "a", (5, 1), (20, None), (10, 1))
        | {'crossbook_history_lag_commands{job="crossbook-gateway",instance="g0"}': gauge((60, 0))},
        quiet=9,
        fires=14,
        resolved=27,
    ),
    # Without a history there is no writer, and nothing is amiss; then it gets one.
    Case(
        "CrossbookWriterDown",
        {
            'crossbook_history_lag_commands{job="crossbook-gateway",instance="g0"}': gauge(
                (30, None), (10, 0), (20, None)
            )
        },
        quiet=29,
        fires=35,
        resolved=50,
    ),
    Case(
        "CrossbookStandbyMissing",
        KNOWN
        | {
            'crossbook_partition_connected{instance="w0",partition="3"}': gauge((40, 1)),
            'crossbook_partition_connected{instance="w1",partition="3"}': gauge((10, 1), (10, 0), (20, 1)),
        },
        quiet=14,
        fires=18,
        resolved=25,
        labels={"partition": "3"},
    ),
    Case(
        "CrossbookPartitionWithoutWorker",
        KNOWN
        | {
            # It stands by, then takes the lease.
            'crossbook_partition_active{instance="w0",partition="3"}': gauge((20, 0), (20, 1)),
            # It is gone.
            'crossbook_partition_active{instance="w1",partition="3"}': gauge((10, 1), (30, None)),
        },
        quiet=10,
        fires=18,
        resolved=25,
        labels={"partition": "3"},
    ),
    # Workers and gateways are all gone, then the workers come back.
    Case(
        "CrossbookPartitionWithoutWorker",
        {
            'crossbook_partition_lag_commands{job="crossbook-gateway",instance="g0",partition="3"}': gauge((10, 0)),
            'crossbook_partition_active{job="crossbook-worker",instance="w0",partition="3"}': gauge(
                (10, 1), (40, None), (20, 1)
            ),
        },
        quiet=14,
        fires=48,
        resolved=55,
        labels={"partition": "3"},
    ),
    Case(
        "CrossbookPartitionSilent",
        {'crossbook_circuit_breaker_open{instance="g0",partition="3"}': gauge((5, 0), (5, 1), (10, 0))},
        quiet=5,
        fires=7,
        resolved=12,
        labels={"partition": "3"},
    ),
    Case(
        "CrossbookPartitionIsolated",
        {'crossbook_partition_isolated_total{instance="g0"}': gauge((5, 0), (5, 1), (10, 0))},
        quiet=4,
        fires=7,
        resolved=12,
        labels={"instance": "g0"},
    ),
    Case(
        "CrossbookProcessRestarting",
        {
            'process_start_time_seconds{job="crossbook-worker",instance="w0"}': gauge(
                (5, 100), (2, 400), (2, 520), (2, 640), (40, 760)
            )
        },
        quiet=8,
        fires=12,
        resolved=40,
        labels={"instance": "w0"},
    ),
    Case(
        "CrossbookFileDescriptorsLow",
        {
            'process_open_fds{job="crossbook-gateway",instance="g0"}': gauge((10, 80), (10, 81), (10, 20)),
            'process_max_fds{job="crossbook-gateway",instance="g0"}': gauge((30, 100)),
        },
        quiet=14,
        fires=18,
        resolved=25,
    ),
    Case(
        "CrossbookAdminTokensUnusable",
        {'crossbook_admin_tokens_unusable{job="crossbook-gateway",instance="g0"}': gauge((5, 0), (15, 1), (10, 0))},
        quiet=9,
        fires=12,
        resolved=22,
        labels={"instance": "g0"},
    ),
    Case(
        "CrossbookClockWrong",
        {
            'crossbook_clock_behind_log_seconds{instance="g0"}': gauge((60, 0)),
            'crossbook_clock_ahead_of_store_seconds{instance="g0"}': gauge((60, 0.2)),
            'crossbook_clock_deviation_seconds{instance="g0"}': gauge((10, 0.9), (10, -3600), (20, 0)),
        },
        quiet=10,
        fires=15,
        resolved=25,
    ),
    Case(
        "CrossbookCertificateExpiring",
        # Renewed after half an hour.
        {
            'crossbook_tls_certificate_expiry_timestamp_seconds{instance="g0",listener="http"}': gauge(
                (30, 14 * DAY + 600), (30, 90 * DAY)
            )
        },
        quiet=12,
        fires=25,
        resolved=35,
        labels={"listener": "http"},
    ),
    Case(
        "CrossbookCertificateExpiresSoon",
        {
            'crossbook_tls_certificate_expiry_timestamp_seconds{instance="g0",listener="http"}': gauge(
                (30, 2 * DAY + 600), (30, 90 * DAY)
            )
        },
        quiet=9,
        fires=25,
        resolved=35,
    ),
    Case("CrossbookMatchingSlow", slow("crossbook_matching_batch_seconds", "0.01", "0.1"), 17, 29, 45),
    Case("CrossbookLogSyncSlow", slow("crossbook_log_sync_seconds", "0.02", "0.05"), 17, 29, 45),
    Case(
        "CrossbookLogDiskLow",
        {
            'crossbook_log_disk_free_bytes{instance="s"}': gauge((10, 5.0), (10, 4.9), (10, 60)),
            'crossbook_log_disk_size_bytes{instance="s"}': gauge((30, 100)),
        },
        quiet=10,
        fires=15,
        resolved=25,
    ),
    Case(
        "CrossbookLogDiskFilling",
        {
            # 10 GB a day of 100 GB; then some are made room for.
            'crossbook_log_disk_free_bytes{instance="s"}': line((500, 42e9, -10e9 / DAY), (500, 90e9, -10e9 / DAY)),
            'crossbook_log_disk_size_bytes{instance="s"}': gauge((1000, 100e9)),
        },
        quiet=280,
        fires=480,
        resolved=990,
        interval=300,
    ),
    Case(
        "CrossbookLogDamaged",
        {
            'crossbook_log_damaged{instance="s"}': gauge((10, 0), (10, 1), (10, 0)),
            'crossbook_log_missing_commands{instance="s"}': gauge((30, 0)),
        },
        quiet=9,
        fires=12,
        resolved=25,
    ),
    Case("CrossbookStoreSlow", slow("crossbook_turn_seconds", "0.02", "0.05"), 17, 29, 45, {"instance": "a"}),
    Case(
        "CrossbookStoreDisconnects",
        {'crossbook_shard_disconnects_total{instance="g0"}': counter((10, 0.005), (10, 0.05), (20, 0))},
        quiet=10,
        fires=18,
        resolved=30,
    ),
    Case(
        "CrossbookSnapshotsFail",
        {'crossbook_snapshot_failures_total{instance="w0"}': counter((10, 0), (10, 0.01), (40, 0))},
        quiet=9,
        fires=19,
        resolved=50,
    ),
    Case(
        "CrossbookSnapshotOld",
        {
            'crossbook_snapshot_timestamp_seconds{job="crossbook-worker",instance="w0",partition="3"}': gauge(
                (1640, 0), (60, 98_000)
            ),
            'crossbook_commands_total{job="crossbook-worker",instance="w0"}': counter((1700, 100)),
        },
        quiet=1490,
        fires=1560,
        resolved=1650,
        labels={"partition": "3"},
        interval=300,
    ),
    Case(
        "CrossbookAuditFailed",
        {'crossbook_audit_ok{instance="g0"}': gauge((10, 1), (10, 0), (10, 1))},
        quiet=9,
        fires=12,
        resolved=25,
    ),
    Case(
        "CrossbookAuditOld",
        {'crossbook_audit_timestamp_seconds{instance="g0"}': gauge((1620, 0), (60, 97_000))},
        quiet=1565,
        fires=1600,
        resolved=1630,
        interval=300,
    ),
    # The admin API was asked once; the job of Kubernetes goes on for a day.
    Case(
        "CrossbookAuditOld",
        {
            'crossbook_audit_timestamp_seconds{instance="g0"}': gauge((4000, 0)),
            'kube_cronjob_status_last_successful_time{namespace="n",cronjob="crossbook-audit"}': gauge(
                (1440, 0), (1860, DAY), (600, 198_000)
            ),
            'kube_cronjob_status_last_successful_time{namespace="n",cronjob="another-audit"}': gauge((4000, 300_000)),
        },
        quiet=2990,
        fires=3200,
        resolved=3400,
        interval=300,
    ),
    # There never was one.
    Case(
        "CrossbookAuditOld",
        {
            'process_start_time_seconds{job="crossbook-gateway",instance="g0"}': gauge((1800, 0)),
            'process_start_time_seconds{job="crossbook-gateway",instance="g1"}': gauge((1800, 80_000)),
            'crossbook_audit_timestamp_seconds{instance="g1"}': gauge((1700, None), (100, 102_000)),
        },
        quiet=1565,
        fires=1650,
        resolved=1720,
        interval=300,
    ),
    Case(
        "CrossbookHistoryLag",
        {
            'crossbook_history_lag_seconds{instance="h0",partition="3"}': gauge((10, 60), (10, 61), (10, 0.1)),
            # A writer that waits for another one.
            'crossbook_history_lag_seconds{instance="h1",partition="3"}': gauge((30, "NaN")),
        },
        quiet=10,
        fires=15,
        resolved=25,
    ),
    Case(
        "CrossbookHistoryDisconnected",
        {
            'crossbook_history_connected{instance="h0",partition="3"}': gauge((10, 1), (10, 0), (10, 1)),
            'crossbook_history_connected{instance="h1",partition="3"}': gauge((30, 0)),
        },
        quiet=9,
        fires=15,
        resolved=25,
        labels={"partition": "3"},
    ),
    Case(
        "CrossbookHistoryFileLost",
        {'crossbook_history_files_lost_total{instance="s"}': gauge((10, 0), (40, 1))},
        quiet=9,
        fires=15,
        resolved=30,
    ),
    Case(
        "CrossbookRedisDown",
        {'redis_up{instance="r0"}': gauge((10, 1), (10, 0), (10, 1))} | up("redis", "r0", (30, 1)),
        quiet=10,
        fires=15,
        resolved=25,
    ),
    Case(
        "CrossbookRedisReplicaMissing",
        {
            'redis_connected_slaves{instance="r0"}': gauge((10, 1), (10, 0), (10, 1)),
            'redis_instance_info{instance="r0",role="master"}': gauge((30, 1)),
            # A replica has none, and is not meant to.
            'redis_connected_slaves{instance="r1"}': gauge((30, 0)),
            'redis_instance_info{instance="r1",role="slave"}': gauge((30, 1)),
        },
        quiet=9,
        fires=15,
        resolved=25,
        labels={"instance": "r0"},
    ),
    Case(
        "CrossbookRedisNotDurable",
        {
            'redis_aof_enabled{instance="r0"}': gauge((10, 1), (10, 0), (10, 1)),
            'redis_aof_last_write_status{instance="r0"}': gauge((30, 1)),
        },
        quiet=9,
        fires=12,
        resolved=25,
    ),
    Case(
        "CrossbookRedisMemoryLow",
        {
            'redis_memory_used_bytes{instance="r0"}': gauge((10, 80), (10, 81), (10, 20)),
            'redis_memory_max_bytes{instance="r0"}': gauge((30, 100)),
            # Without a limit there is no share of it.
            'redis_memory_used_bytes{instance="r1"}': gauge((30, 80)),
            'redis_memory_max_bytes{instance="r1"}': gauge((30, 0)),
        },
        quiet=14,
        fires=18,
        resolved=25,
        labels={"instance": "r0"},
    ),
    Case(
        "CrossbookDatabaseDown",
        {'mysql_up{instance="m"}': gauge((10, 1), (10, 0), (10, 1))},
        quiet=10,
        fires=15,
        resolved=25,
    ),
    Case(
        "CrossbookDatabaseConnectionsHigh",
        {
            'mysql_global_status_threads_connected{instance="m"}': gauge((10, 80), (10, 81), (10, 20)),
            'mysql_global_variables_max_connections{instance="m"}': gauge((30, 100)),
        },
        quiet=14,
        fires=18,
        resolved=25,
    ),
    Case(
        "CrossbookNodeDiskLow",
        {
            f'node_filesystem_{name}{{instance="n",fstype="ext4",mountpoint="/data"}}': gauge(*parts)
            for name, parts in {
                "avail_bytes": ((10, 10), (10, 9), (10, 50)),
                "size_bytes": ((30, 100),),
                "readonly": ((30, 0),),
            }.items()
        },
        quiet=14,
        fires=18,
        resolved=25,
        labels={"mountpoint": "/data"},
    ),
    Case(
        "CrossbookNodeMemoryLow",
        {
            'node_memory_MemAvailable_bytes{instance="n"}': gauge((10, 10), (10, 9), (10, 50)),
            'node_memory_MemTotal_bytes{instance="n"}': gauge((30, 100)),
        },
        quiet=14,
        fires=18,
        resolved=25,
    ),
    *(failed_job(kind) for kind in ("audit", "backup")),
    Case(
        "CrossbookBackupOld",
        {
            'kube_cronjob_created{namespace="n",cronjob="crossbook-backup"}': gauge((300, 0)),
            'kube_cronjob_status_last_successful_time{namespace="n",cronjob="crossbook-backup"}': gauge(
                (60, 3_600), (180, 3_600), (60, 14_000)
            ),
        },
        quiet=179,
        fires=200,
        resolved=250,
        labels={"namespace": "n", "cronjob": "crossbook-backup"},
        interval=60,
    ),
    # None was ever made.
    Case(
        "CrossbookBackupOld",
        {
            'kube_cronjob_created{namespace="n",cronjob="own-crossbook-backup"}': gauge((300, 0)),
            'kube_cronjob_status_last_successful_time{namespace="n",cronjob="own-crossbook-backup"}': gauge(
                (200, None), (100, 12_000)
            ),
        },
        quiet=119,
        fires=140,
        resolved=210,
        interval=60,
    ),
]
