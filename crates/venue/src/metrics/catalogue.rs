//! The catalogue of all metric families: name, kind, unit, labels, recording roles, and help text. Tests compare it
//! with what the program records and with docs/metrics.md.

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram};

/// Which processes record a family.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// `crossbook serve` and `crossbook demo`.
    Serve,
    /// `crossbook gateway` of a cluster.
    Gateway,
    /// `crossbook worker` of a cluster.
    Worker,
    /// `crossbook writer` of a cluster.
    Writer,
}

impl Role {
    const ALL: [Self; 4] = [Self::Serve, Self::Gateway, Self::Worker, Self::Writer];
}

/// What kind of number a family is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Only grows, from zero at the start of the process.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations by size.
    Histogram,
}

impl Kind {
    /// As the text format has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A metric family.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// Its name, which ends in its unit (and `_total` for counters) by the conventions of Prometheus.
    pub name: &'static str,
    /// Counter, gauge or histogram.
    pub kind: Kind,
    /// Of what one is counted or measured, in words.
    pub unit: &'static str,
    /// The labels that a series may have.
    pub labels: &'static [&'static str],
    /// Who records it.
    pub roles: &'static [Role],
    /// One sentence.
    pub help: &'static str,
}

impl Family {
    fn describe(&self) {
        let unit = match self.unit {
            "seconds" => Unit::Seconds,
            "bytes" => Unit::Bytes,
            _ => Unit::Count,
        };
        match self.kind {
            Kind::Counter => describe_counter!(self.name, unit, self.help),
            Kind::Gauge => describe_gauge!(self.name, unit, self.help),
            Kind::Histogram => describe_histogram!(self.name, unit, self.help),
        }
    }
}

/// Describes every family to the recorder, and lets the counters without labels begin at zero: a rate of a counter that
/// appears with its first event misses that event.
pub fn describe(role: Role) {
    for family in FAMILIES {
        family.describe();
        if family.kind == Kind::Counter && family.labels.is_empty() && family.roles.contains(&role) {
            counter!(family.name).increment(0);
        }
    }
}

const fn family(
    name: &'static str,
    kind: Kind,
    unit: &'static str,
    labels: &'static [&'static str],
    roles: &'static [Role],
    help: &'static str,
) -> Family {
    Family { name, kind, unit, labels, roles, help }
}

/// All roles.
pub const EVERY: &[Role] = &Role::ALL;
const SERVE: &[Role] = &[Role::Serve];
const API: &[Role] = &[Role::Serve, Role::Gateway];
const GATEWAY: &[Role] = &[Role::Gateway];
const WORKER: &[Role] = &[Role::Worker];
const CLUSTER: &[Role] = &[Role::Gateway, Role::Worker];
const MATCHING: &[Role] = &[Role::Serve, Role::Worker];
const HISTORY: &[Role] = &[Role::Serve, Role::Writer];
const LAG: &[Role] = &[Role::Serve, Role::Gateway, Role::Writer];

use Kind::{Counter, Gauge, Histogram};

/// What the program records, by topic.
#[rustfmt::skip]
pub const FAMILIES: &[Family] = &[
    family("crossbook_build_info", Gauge, "1", &["version", "commit", "rustc"], EVERY, "Always 1; the labels identify the running program."),

    family("crossbook_commands_total", Counter, "commands", &[], MATCHING, "Commands applied since the start."),
    family("crossbook_orders_accepted_total", Counter, "orders", &[], API, "Client orders that the venue accepted."),
    family("crossbook_orders_rejected_total", Counter, "orders", &["code"], API, "Client orders that the venue refused, by error code."),
    family("crossbook_requests_rejected_total", Counter, "requests", &["operation", "code"], API, "Refused requests of all kinds, by operation and error code."),
    family("crossbook_request_seconds", Histogram, "seconds", &["transport", "operation"], API, "Time from receipt of a request to its answer; orders have operation order.place."),
    family("crossbook_trades_total", Counter, "trades", &[], API, "Trades published since the start."),
    family("crossbook_market_orders_total", Counter, "orders", &["symbol"], API, "Orders accepted in a market; markets beyond metrics.markets_max are counted together as symbol other."),
    family("crossbook_market_trades_total", Counter, "trades", &["symbol"], API, "Trades of a market; markets beyond metrics.markets_max are counted together as symbol other."),

    family("crossbook_market_volume_total", Counter, "whole units of asset", &["symbol", "asset"], API, "What was paid in a market, in whole units of its quote asset; markets beyond metrics.markets_max are left out, because their quote assets differ."),
    family("crossbook_active_accounts", Gauge, "accounts", &["window"], API, "Accounts that have placed an order within the last 5m, 1h or 1d, since the start of the process."),

    family("crossbook_matching_seconds", Histogram, "seconds", &[], SERVE, "Time of a command in the engine: the time of its batch divided by the commands, once for each batch."),
    family("crossbook_matching_batch_seconds", Histogram, "seconds", &[], SERVE, "Time of a whole batch in the engine; no command in it took longer."),
    family("crossbook_log_append_seconds", Histogram, "seconds", &[], SERVE, "Time to write a batch to the log's files, without the sync."),
    family("crossbook_log_sync_seconds", Histogram, "seconds", &[], SERVE, "Time of one sync of the log's disk."),
    family("crossbook_log_batch_commands", Histogram, "commands", &[], SERVE, "Commands that shared one sync."),
    family("crossbook_log_bytes_total", Counter, "bytes", &[], SERVE, "Bytes written to the log since the start."),
    family("crossbook_log_disk_free_bytes", Gauge, "bytes", &[], SERVE, "Bytes that the file system of the log has left for this process."),
    family("crossbook_log_disk_size_bytes", Gauge, "bytes", &[], SERVE, "Size of the file system of the log."),
    family("crossbook_log_verified_sequence", Gauge, "commands", &[], SERVE, "The last command before the snapshot that has been verified since the start."),
    family("crossbook_log_unverified_commands", Gauge, "commands", &[], SERVE, "Commands before the snapshot that have not been verified since the start."),
    family("crossbook_log_damaged", Gauge, "0 or 1", &[], SERVE, "Whether the log before the snapshot was found damaged."),
    family("crossbook_log_missing_commands", Gauge, "commands", &[], SERVE, "Commands that the log has lost at its beginning, though nothing has trimmed it, as found at the start."),
    family("crossbook_log_trim_failures_total", Counter, "segments", &[], SERVE, "Segments of the log that could not be removed; trimming stops then."),
    family("crossbook_publish_wait_seconds", Histogram, "seconds", &[], SERVE, "Time that the matching thread waited for room in the publisher's queue."),
    family("crossbook_queue_depth", Gauge, "requests or batches", &["stage"], API, "Entries in the queue of the partition, of the publisher, or of a gateway's requests to the logs."),
    family("crossbook_overload_rejections_total", Counter, "requests", &["stage"], API, "Requests refused with -1008 as overload, by the stage that refused them."),

    family("crossbook_connections", Gauge, "connections", &["listener"], EVERY, "Open TCP connections of a listener."),
    family("crossbook_connections_refused_total", Counter, "connections", &["listener"], EVERY, "Connections refused because of a listener's limits."),
    family("crossbook_http_slow_consumers_total", Counter, "connections", &["listener"], EVERY, "HTTP connections closed because the client did not read its answers."),
    family("crossbook_websocket_connections", Gauge, "connections", &["kind"], API, "Open WebSocket connections by kind."),
    family("crossbook_websocket_connections_refused_total", Counter, "connections", &[], API, "WebSocket connections refused because of too many attempts of an address."),
    family("crossbook_tls_handshakes_failed_total", Counter, "connections", &[], EVERY, "Connections that ended before a TLS handshake was complete."),
    family("crossbook_tls_certificate_expiry_timestamp_seconds", Gauge, "seconds", &["listener"], EVERY, "Unix time at which a listener's certificate expires."),
    family("crossbook_stream_lag_seconds", Histogram, "seconds", &[], API, "Time from a command to its message on a market stream."),
    family("crossbook_stream_messages_total", Counter, "messages", &[], API, "Messages sent on streams."),
    family("crossbook_stream_subscriptions", Gauge, "subscriptions", &["kind"], API, "Subscriptions to streams by kind of connection."),
    family("crossbook_stream_slow_consumers_total", Counter, "connections", &[], API, "Connections closed because the client did not read its messages."),

    family("crossbook_trace_spans_sent_total", Counter, "spans", &[], API, "Spans of traced orders that the collector has taken."),
    family("crossbook_trace_spans_dropped_total", Counter, "spans", &[], API, "Spans of traced orders that were lost: too many waited, or the collector did not take them."),

    family("crossbook_snapshot_sequence", Gauge, "commands", &["partition"], MATCHING, "The last command in the last snapshot; the label exists in a cluster only."),
    family("crossbook_snapshot_timestamp_seconds", Gauge, "seconds", &["partition"], MATCHING, "Unix time at which the last snapshot was taken; the label exists in a cluster only."),
    family("crossbook_snapshot_failures_total", Counter, "attempts", &[], MATCHING, "Failed snapshots."),

    family("crossbook_audit_timestamp_seconds", Gauge, "seconds", &[], API, "Unix time of the last audit that was asked of this process and completed."),
    family("crossbook_audit_ok", Gauge, "0 or 1", &[], API, "Whether the books balanced in the last audit that was asked of this process."),

    family("crossbook_admin_tokens_unusable", Gauge, "0 or 1", &[], API, "Whether the file of admin tokens cannot be used; the process then goes on with the tokens that it has read before."),

    family("crossbook_history_lag_commands", Gauge, "commands", &["partition"], LAG, "Commands that are not known to be in the SQL history, as a gateway sees it of all partitions together; NaN in a writer that waits for another one or has read none yet. The label exists in a writer only."),
    family("crossbook_history_lag_seconds", Gauge, "seconds", &["partition"], LAG, "Age of the oldest command that is not known to be in the SQL history, also while its database is out of reach; before anything is known, the time since the start; NaN in a writer that waits for another one or has read no command yet. The label exists in a writer only."),
    family("crossbook_history_sequence", Gauge, "commands", &["partition"], HISTORY, "The last command in the SQL history; the label exists in a cluster only."),
    family("crossbook_history_rows_total", Counter, "rows", &["partition"], HISTORY, "Rows written to the SQL history; the label exists in a cluster only."),
    family("crossbook_history_connected", Gauge, "0 or 1", &["partition"], HISTORY, "Whether the last attempt to write to the history's database succeeded; the label exists in a cluster only."),
    family("crossbook_history_failures_total", Counter, "attempts", &["partition"], HISTORY, "Failed attempts to write to the SQL history; the label exists in a cluster only."),
    family("crossbook_history_files_lost_total", Counter, "files", &[], SERVE, "Times that the history's SQLite file was removed or replaced while in use; the history is then rebuilt."),
    family("crossbook_history_write_seconds", Histogram, "seconds", &["partition"], HISTORY, "Time of a transaction that writes to the SQL history."),
    family("crossbook_history_batch_rows", Histogram, "rows", &["partition"], HISTORY, "Rows in a transaction that writes to the SQL history."),
    family("crossbook_history_query_seconds", Histogram, "seconds", &[], API, "Time of a query for data that is no longer in memory."),
    family("crossbook_history_query_failures_total", Counter, "queries", &[], API, "Queries that the history's database failed to answer (-1001)."),
    family("crossbook_history_lag_rejections_total", Counter, "requests", &[], API, "Queries refused with -1008 because the history lagged behind what memory has evicted."),

    family("crossbook_clock_jumps_total", Counter, "jumps", &["direction"], EVERY, "Times that the machine's clock was set by more than clock.jump_max_ms, forward or back."),
    family("crossbook_clock_deviation_seconds", Gauge, "seconds", &[], EVERY, "By how much the machine's clock has been set since the start of the process; negative if back."),
    family("crossbook_clock_behind_log_seconds", Gauge, "seconds", &[], EVERY, "By how much the machine's clock is behind the last command that the process knows."),
    family("crossbook_clock_ahead_of_store_seconds", Gauge, "seconds", &[], EVERY, "By how much the machine's clock is ahead of the store's that timestamps a cluster's commands."),

    family("crossbook_turn_seconds", Histogram, "seconds", &[], CLUSTER, "Time of a round trip to a shard, with the confirmation that ends it."),
    family("crossbook_turn_commands", Histogram, "commands", &[], CLUSTER, "Commands that a round trip to a shard has appended or delivered, if any."),
    family("crossbook_shard_disconnects_total", Counter, "connections", &[], CLUSTER, "Broken connections to a shard of the store."),
    family("crossbook_messages_unacknowledged", Gauge, "messages", &[], CLUSTER, "Messages between partitions that are not received yet, as this process knows."),
    family("crossbook_append_retries_total", Counter, "requests", &[], GATEWAY, "Requests appended again because the store lost them."),
    family("crossbook_limit_exchanges_total", Counter, "round trips", &[], GATEWAY, "Exchanges with the other gateways of what clients have used of their limits."),
    family("crossbook_limit_exchange_failures_total", Counter, "round trips", &[], GATEWAY, "Failed exchanges of what clients have used of their limits; the gateway counts for itself meanwhile."),
    family("crossbook_circuit_breaker_open", Gauge, "0 or 1", &["partition"], GATEWAY, "1 while a partition does not answer and its requests are refused."),
    family("crossbook_circuit_breaker_rejections_total", Counter, "requests", &[], GATEWAY, "Requests refused because their partition does not answer."),
    family("crossbook_partition_active", Gauge, "0 or 1", &["partition"], WORKER, "1 where this worker has the lease of a partition, 0 where it stands by."),
    family("crossbook_partition_connected", Gauge, "0 or 1", &["partition"], WORKER, "1 while this worker is connected to the shard of a partition."),
    family("crossbook_partition_lag_commands", Gauge, "commands", &["partition"], CLUSTER, "Commands in the log of a partition that this process knows of and has not applied yet."),
    family("crossbook_partition_moves_total", Counter, "partitions", &[], CLUSTER, "Times that a shard refused a partition because the store moves it to another one."),
    family("crossbook_partition_reloads_total", Counter, "partitions", &[], WORKER, "Times that this worker went on with a partition from a newer snapshot, because its log did not reach back any more."),
    family("crossbook_partition_isolated_total", Counter, "partitions", &[], GATEWAY, "Partitions that this gateway does not follow any more, because a command cannot be applied."),
    family("crossbook_partition_role_changes_total", Counter, "changes", &[], WORKER, "Times that this worker got or lost the lease of a partition."),
];

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    /// The catalogue as a table in Markdown, as docs/metrics.md has it.
    fn table() -> String {
        let mut text =
            "| metric | kind | unit | labels | recorded by | meaning |\n|---|---|---|---|---|---|\n".to_owned();
        for Family { name, kind, unit, labels, roles, help } in FAMILIES.iter().chain(crate::metrics::process::FAMILIES)
        {
            let labels = labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
            let roles = if roles.len() == Role::ALL.len() {
                "all".to_owned()
            } else {
                roles.iter().map(|role| format!("{role:?}").to_lowercase()).collect::<Vec<_>>().join(", ")
            };
            let _ = writeln!(text, "| `{name}` | {} | {unit} | {labels} | {roles} | {help} |", kind.name());
        }
        text
    }

    #[test]
    fn names_end_in_their_unit_and_no_name_stands_twice() {
        let mut seen = std::collections::BTreeSet::new();
        for Family { name, kind, unit, labels, help, .. } in FAMILIES {
            assert!(seen.insert(name), "{name} stands twice");
            assert_eq!(*kind == Kind::Counter, name.ends_with("_total"), "{name}");
            let stem = name.trim_end_matches("_total");
            match *unit {
                "seconds" | "bytes" => assert!(stem.ends_with(unit), "{name} is in {unit}"),
                _ => assert!(!stem.ends_with("_seconds") && !stem.ends_with("_bytes"), "{name} is in {unit}"),
            }
            assert!(help.ends_with('.') && !help.contains(['\n', '|']), "{name}: {help}");
            assert!(labels.len() <= 3, "{name}");
        }
    }

    #[test]
    fn the_documented_table_is_the_catalogue() {
        let documented = include_str!("../../../../docs/metrics.md");
        assert!(documented.contains(&table()), "docs/metrics.md is out of date; its table should be:\n{}", table());
    }
}
