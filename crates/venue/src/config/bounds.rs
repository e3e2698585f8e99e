//! Refuses settings with which a venue would be useless: it would refuse everything, or close every connection.
//!
//! A bound of something that the venue needs at least one of must not be zero. Settings with a meaning at zero (a limit
//! that is off, a history that is disabled) are not listed; neither are the sizes of the log's files, which the log
//! checks itself.

use super::{Config, Error};

/// The shortest path and query that still holds a signed order.
const URI_BYTES_MIN: usize = 1_024;
/// The smallest body or message that still holds a signed order.
const MESSAGE_BYTES_MIN: usize = 1_024;
/// The smallest budget of unread answers that still holds a large one.
const UNREAD_BYTES_MIN: usize = 1024 * 1024;

/// The most rows in one statement: SQLite takes 32,766 values, and the widest table has 19 columns.
const BATCH_ROWS_MAX: usize = 1_700;

/// The longest time from one batch to the next, in microseconds: a second.
const BATCH_INTERVAL_MAX: u64 = 1_000_000;

/// The most log lines that are kept.
const TAIL_LINES_MAX: u64 = 100_000;

/// The longest time that a gateway drains, in milliseconds: ten minutes.
const DRAIN_MAX: u64 = 600_000;
/// The longest interval at which gateways exchange what clients have used, in milliseconds: the shortest window.
const EXCHANGE_INTERVAL_MAX: u64 = 10_000;
/// The most traces that wait, which take a kilobyte or two each.
const QUEUE_TRACES_MAX: u64 = 1_000_000;
/// The most traces of one request: a collector takes a few megabytes.
const BATCH_TRACES_MAX: u64 = 2_048;
/// The longest time that a trace waits for others, and that a request to the collector takes, in milliseconds.
const EXPORT_MAX: u64 = 60_000;
/// The most addresses, and accounts, in one exchange: the store does nothing else for milliseconds.
const EXCHANGE_CLIENTS_MAX: u64 = 1_000;

/// Refuses what would make a venue useless.
///
/// # Errors
/// When a setting does, with its name and what to set instead.
pub(super) fn check(config: &Config) -> Result<(), Error> {
    let bounds =
        lower_bounds(config).into_iter().chain(gateway_lower_bounds(config)).chain(cluster_lower_bounds(config));
    for (key, value, least) in bounds {
        if value < least {
            let instead = format!("the venue would be of no use; set it to {least} or more");
            return Err(Error::Useless { key, value: value.to_string(), instead });
        }
    }
    if let Some(origin) = config.gateway.server.cors_origins.iter().find(|origin| !is_origin(origin)) {
        let instead =
            "browsers name an origin by scheme, host and port; write \"https://example.org\", or \"*\" for all".into();
        return Err(Error::Useless { key: "gateway.server.cors_origins", value: format!("{origin:?}"), instead });
    }
    if !config.traces.has_endpoint() {
        let instead = "write a URL such as \"http://collector:4318/v1/traces\", without a user or password".to_owned();
        return Err(Error::Useless { key: "traces.endpoint", value: format!("{:?}", config.traces.endpoint), instead });
    }
    for (key, value, most, why) in upper_bounds(config) {
        if value > most {
            let instead = format!("{why}; set it to {most} or less");
            return Err(Error::Useless { key, value: value.to_string(), instead });
        }
    }
    // Half of it: a request that has just missed a batch waits for the next one, and is done with that.
    let (interval, wait_max) = (config.node.batch_interval_us, config.node.queue_wait_max_ms);
    if wait_max > 0 && interval.div_ceil(1_000).saturating_mul(2) > wait_max {
        let instead = format!(
            "orders would wait for longer than `node.queue_wait_max_ms` lets them; set it to {} or less, or that to \
             more",
            wait_max.saturating_mul(500)
        );
        return Err(Error::Useless { key: "node.batch_interval_us", value: interval.to_string(), instead });
    }
    if config.http == config.admin && config.http.port() != 0 {
        let instead = "the client API is there too; give the admin API an address of its own".to_owned();
        return Err(Error::Useless { key: "admin", value: config.admin.to_string(), instead });
    }
    if let Some(probes) = config.probes.0
        && probes.port() != 0
        && [config.http, config.admin].contains(&probes)
    {
        let instead = "an API is there too; give the probes an address of its own, or none (\"\")".to_owned();
        return Err(Error::Useless { key: "probes", value: probes.to_string(), instead });
    }
    Ok(())
}

/// A setting, its value, and the least that it may be.
type LowerBound = (&'static str, u64, u64);

/// A setting, its value, the most that it may be, and why.
type UpperBound = (&'static str, u64, u64, &'static str);

/// Lower bounds of what is neither the gateway's nor the cluster's.
fn lower_bounds(config: &Config) -> Vec<LowerBound> {
    let history = &config.history;
    vec![
        ("node.queue_requests_max", wide(config.node.queue_requests_max), 1),
        ("node.batch_requests_max", wide(config.node.batch_requests_max), 1),
        ("node.publish_queue_batches_max", wide(config.node.publish_queue_batches_max), 1),
        ("clock.jump_max_ms", config.clock.jump_max_ms, 1),
        ("clock.behind_log_max_ms", config.clock.behind_log_max_ms, 1),
        ("clock.check_interval_ms", config.clock.check_interval_ms, 1),
        ("snapshots.check_interval_ms", config.snapshots.check_interval_ms, 1),
        ("history.batch_rows_max", wide(history.batch_rows_max), 1),
        ("history.transaction_rows_max", wide(history.transaction_rows_max), 1),
        ("history.connections_max", u64::from(history.connections_max), 2),
        ("history.connect_timeout_ms", history.connect_timeout_ms, 1),
        ("history.write_timeout_ms", history.write_timeout_ms, 1),
        ("history.query_timeout_ms", history.query_timeout_ms, 1),
        ("history.retry_delay_max_ms", history.retry_delay_max_ms, 1),
        ("traces.queue_traces_max", wide(config.traces.queue_traces_max), 1),
        ("traces.batch_traces_max", wide(config.traces.batch_traces_max), 1),
        ("traces.export_timeout_ms", config.traces.export_timeout_ms, 1),
    ]
}

/// Lower bounds of the gateway's settings.
fn gateway_lower_bounds(config: &Config) -> Vec<LowerBound> {
    let (server, streams) = (&config.gateway.server, &config.gateway.streams);
    vec![
        ("gateway.in_flight_max", wide(config.gateway.in_flight_max), 1),
        ("gateway.reply_timeout_ms", config.gateway.reply_timeout_ms, 1),
        ("gateway.history_queries_max", wide(config.gateway.history_queries_max), 1),
        ("gateway.cached_keys_max", wide(config.gateway.cached_keys_max), 1),
        ("gateway.server.connections_max", wide(server.connections_max), 1),
        ("gateway.server.connections_per_ip_max", wide(server.connections_per_ip_max), 1),
        ("gateway.server.body_bytes_max", wide(server.body_bytes_max), wide(MESSAGE_BYTES_MIN)),
        ("gateway.server.uri_bytes_max", wide(server.uri_bytes_max), wide(URI_BYTES_MIN)),
        ("gateway.server.handshake_timeout_ms", server.handshake_timeout_ms, 1),
        ("gateway.server.header_read_timeout_ms", server.header_read_timeout_ms, 1),
        ("gateway.server.body_read_timeout_ms", server.body_read_timeout_ms, 1),
        ("gateway.server.write_timeout_ms", server.write_timeout_ms, 1),
        ("gateway.server.unread_bytes_total_max", wide(server.unread_bytes_total_max), wide(UNREAD_BYTES_MIN)),
        ("gateway.limits.tracked_clients_max", wide(config.gateway.limits.tracked_clients_max), 1),
        ("gateway.limits.exchange_clients_max", wide(config.gateway.limits.exchange_clients_max), 1),
        ("gateway.streams.connections_max", wide(streams.connections_max), 1),
        ("gateway.streams.streams_max", wide(streams.streams_max), 1),
        ("gateway.streams.messages_per_second_max", wide(streams.messages_per_second_max), 1),
        ("gateway.streams.message_bytes_max", wide(streams.message_bytes_max), wide(MESSAGE_BYTES_MIN)),
        ("gateway.streams.ping_interval_ms", streams.ping_interval_ms, 1),
        ("gateway.streams.pong_timeout_ms", streams.pong_timeout_ms, 1),
        ("gateway.streams.connection_lifetime_ms", streams.connection_lifetime_ms, 1),
        ("gateway.streams.send_timeout_ms", streams.send_timeout_ms, 1),
        ("gateway.streams.send_queue_bytes_max", wide(streams.send_queue_bytes_max), wide(MESSAGE_BYTES_MIN)),
        (
            "gateway.streams.send_queue_bytes_total_max",
            wide(streams.send_queue_bytes_total_max),
            wide(MESSAGE_BYTES_MIN),
        ),
        ("gateway.streams.attempts_max", u64::from(streams.attempts_max), 1),
        ("gateway.streams.attempts_window_ms", streams.attempts_window_ms, 1),
        ("gateway.streams.requests_in_flight_max", wide(streams.requests_in_flight_max), 1),
        ("gateway.streams.account_subscriptions_max", wide(streams.account_subscriptions_max), 1),
        ("gateway.listen_keys.keys_max", wide(config.gateway.listen_keys.keys_max), 1),
        ("gateway.listen_keys.lifetime_ms", config.gateway.listen_keys.lifetime_ms, 1),
    ]
}

/// Lower bounds of the cluster's settings.
fn cluster_lower_bounds(config: &Config) -> Vec<LowerBound> {
    vec![
        ("cluster.partitions", u64::from(config.cluster.partitions), 1),
        ("cluster.snapshots.connect_timeout_ms", config.cluster.snapshots.connect_timeout_ms, 1),
        ("cluster.snapshots.request_timeout_ms", config.cluster.snapshots.request_timeout_ms, 1),
        ("cluster.log_client.queue_requests_max", wide(config.cluster.log_client.queue_requests_max), 1),
        ("cluster.log_client.batch_requests_max", wide(config.cluster.log_client.batch_requests_max), 1),
        ("cluster.log_client.backlog_max", config.cluster.log_client.backlog_max, 1),
        ("cluster.log_client.circuit_breaker_ms", config.cluster.log_client.circuit_breaker_ms, 1),
        ("cluster.log_client.retention_ms", config.cluster.log_client.retention_ms, 1),
        ("cluster.log_client.read_barrier_timeout_ms", config.cluster.log_client.read_barrier_timeout_ms, 1),
        ("cluster.log_client.read_batch_commands_max", wide(config.cluster.log_client.read_batch_commands_max), 1),
        ("cluster.log_client.poll_interval_ms", config.cluster.log_client.poll_interval_ms, 1),
        ("cluster.log_client.read_ahead_commands_max", wide(config.cluster.log_client.read_ahead_commands_max), 1),
        ("cluster.log_client.deliver_batch_max", wide(config.cluster.log_client.deliver_batch_max), 1),
        ("cluster.log_client.deliver_patience_ms", config.cluster.log_client.deliver_patience_ms, 1),
        ("cluster.log_client.messages_retained_max", wide(config.cluster.log_client.messages_retained_max), 1),
        ("cluster.worker.batch_commands_max", wide(config.cluster.worker.batch_commands_max), 1),
        ("cluster.worker.failover_ms", config.cluster.worker.failover_ms, 1),
        ("cluster.worker.poll_timeout_ms", config.cluster.worker.poll_timeout_ms, 1),
        ("cluster.worker.forward_retained_max", wide(config.cluster.worker.forward_retained_max), 1),
        ("cluster.worker.forward_batch_max", wide(config.cluster.worker.forward_batch_max), 1),
        ("cluster.worker.lease_ms", config.cluster.worker.lease_ms, 1),
        ("cluster.writer.poll_interval_ms", config.cluster.writer.poll_interval_ms, 1),
        ("cluster.writer.checkpoint_interval_ms", config.cluster.writer.checkpoint_interval_ms, 1),
        ("cluster.snapshot_interval_commands", config.cluster.snapshot_interval_commands, 1),
        ("cluster.start_timeout_ms", config.cluster.start_timeout_ms, 1),
    ]
}

fn upper_bounds(config: &Config) -> Vec<UpperBound> {
    vec![
        (
            "history.batch_rows_max",
            wide(config.history.batch_rows_max),
            wide(BATCH_ROWS_MAX),
            "no database takes a statement that long",
        ),
        ("logging.tail_lines", wide(config.logging.tail_lines), TAIL_LINES_MAX, "they are in memory"),
        (
            "node.batch_interval_us",
            config.node.batch_interval_us,
            BATCH_INTERVAL_MAX,
            "orders would take longer than that",
        ),
        (
            "gateway.server.drain_ms",
            config.gateway.server.drain_ms,
            DRAIN_MAX,
            "whoever stops the process would kill it first",
        ),
        (
            "gateway.limits.exchange_interval_ms",
            config.gateway.limits.exchange_interval_ms,
            EXCHANGE_INTERVAL_MAX,
            "the shortest window would be over",
        ),
        (
            "gateway.limits.exchange_clients_max",
            wide(config.gateway.limits.exchange_clients_max),
            EXCHANGE_CLIENTS_MAX,
            "the store would be blocked for too long",
        ),
        (
            "traces.queue_traces_max",
            wide(config.traces.queue_traces_max),
            QUEUE_TRACES_MAX,
            "they would take gigabytes of memory",
        ),
        (
            "traces.batch_traces_max",
            wide(config.traces.batch_traces_max),
            BATCH_TRACES_MAX,
            "collectors refuse requests that long",
        ),
        ("traces.batch_delay_ms", config.traces.batch_delay_ms, EXPORT_MAX, "nobody looks at traces that late"),
        ("traces.export_timeout_ms", config.traces.export_timeout_ms, EXPORT_MAX, "a stop would wait for that"),
    ]
}

fn wide(bound: usize) -> u64 {
    u64::try_from(bound).unwrap_or(u64::MAX)
}

/// Whether a browser would name an origin so: a scheme and a host, in lower case, perhaps a port, and nothing behind.
fn is_origin(text: &str) -> bool {
    let host = text.split_once("://").filter(|(scheme, _)| ["http", "https"].contains(scheme)).map(|(_, host)| host);
    let in_host = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.:[]".contains(c);
    text == "*" || host.is_some_and(|host| !host.is_empty() && host.chars().all(in_host))
}

#[cfg(test)]
mod tests {
    use toml::{Table, Value};

    use super::*;

    #[test]
    fn origins_are_named_as_browsers_name_them() {
        for origin in ["*", "https://example.org", "http://localhost:3000", "https://[::1]:8443"] {
            assert!(is_origin(origin), "{origin}");
        }
        for other in
            ["", "example.org", "https://", "https://example.org/", "HTTPS://example.org", "https://*.example.org"]
        {
            assert!(!is_origin(other), "{other}");
        }
    }

    /// Zero has a meaning for these: a check that is off, a history that is disabled, no waiting.
    const ZERO_IS_FINE: &[&str] = &[
        "cluster.log_client.turn_interval_us",
        "cluster.worker.turn_interval_ms",
        "cluster.worker.confirm_wait_ms",
        "history.batch_delay_ms",
        "logging.tail_lines",
        "history.stop_timeout_ms",
        "snapshots.interval_commands",
        "metrics.markets_max",
        "traces.sample_one_in",
        "traces.batch_delay_ms",
        "views.closed_orders_per_account",
        "views.closed_orders_per_market",
        "views.own_trades_per_account",
        "views.own_trades_per_market",
        "views.prevented_matches_per_market",
        "views.amendments_per_market",
        "views.operator_log",
        "views.trades_per_market",
        "views.aggregate_trades_per_market",
        "views.candles_per_interval",
        "gateway.limits.request_weight_1m",
        "gateway.limits.raw_requests_5m",
        "gateway.limits.orders_10s",
        "gateway.limits.orders_1d",
        "gateway.limits.ban_after",
        "gateway.limits.exchange_interval_ms",
        "gateway.history_wait_ms",
        "gateway.key_uses_interval_ms",
        "gateway.server.drain_ms",
        "gateway.server.reload_interval_ms",
        "gateway.server.send_buffer_bytes",
        "gateway.server.shutdown_timeout_ms",
        "cluster.log_client.retry_ms",
        "cluster.log_client.retry_delay_max_ms",
        "cluster.worker.depth_interval_ms",
        "cluster.worker.read_ahead_commands_max",
        "cluster.worker.retry_delay_max_ms",
        "cluster.writer.retry_delay_max_ms",
        "cluster.snapshots.retries_max",
        "cluster.snapshots.retry_pause_max_ms",
        "cluster.snapshots.retry_timeout_ms",
        "cluster.snapshots.part_bytes_max",
        // Checked where the store is connected to.
        "cluster.redis.replicas_min",
        "cluster.redis.connect_timeout_ms",
        "cluster.redis.reply_timeout_ms",
        "cluster.redis.wait_timeout_ms",
        "cluster.redis.replica_loss_ms",
        "cluster.redis.record_bytes_max",
        "cluster.redis.batch_records_max",
        "cluster.redis.batch_bytes_max",
        "cluster.redis.turn_records_max",
        "cluster.redis.turn_bytes_max",
        "cluster.redis.trim_entries_max",
        // No bound.
        "gateway.server.compression_bytes_min",
        "log.verify_bytes_per_second",
        "node.batch_interval_us",
        "node.queue_wait_max_ms",
        "node.queue_wait_sustained_max_ms",
        "cluster.log_client.queue_wait_max_ms",
        "cluster.log_client.queue_wait_sustained_max_ms",
        // Checked where the log is opened.
        "log.segment_bytes_max",
        "log.batch_bytes_max",
        "log.record_bytes_max",
    ];

    fn numbers(table: &Table, path: &str, found: &mut Vec<String>) {
        for (key, value) in table {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            match value {
                Value::Table(inner) => numbers(inner, &path, found),
                Value::Integer(_) => found.push(path),
                _ => {}
            }
        }
    }

    fn with(path: &str, value: i64) -> Config {
        let mut settings = Value::try_from(Config::default()).unwrap();
        let mut at = &mut settings;
        for part in path.split('.') {
            at = &mut at[part];
        }
        *at = Value::Integer(value);
        settings.try_into().unwrap()
    }

    #[test]
    fn the_defaults_are_fine_and_zero_is_only_where_it_means_something() {
        assert!(check(&Config::default()).is_ok());
        let mut keys = Vec::new();
        numbers(&Table::try_from(Config::default()).unwrap(), "", &mut keys);
        assert!(keys.len() > 40);
        for key in keys {
            let checked = check(&with(&key, 0)).map_err(|error| error.to_string());
            match checked {
                Ok(()) => assert!(ZERO_IS_FINE.contains(&key.as_str()), "{key} may be zero"),
                Err(text) => {
                    assert!(text.starts_with(&format!("`{key}` is 0; ")) && text.contains("set it to"), "{text}")
                }
            }
        }
    }

    #[test]
    fn what_would_be_too_much_is_refused() {
        for (key, most) in [
            ("history.batch_rows_max", 1_700),
            ("node.batch_interval_us", 1_000_000),
            ("gateway.server.drain_ms", 600_000),
            ("gateway.limits.exchange_interval_ms", 10_000),
            ("gateway.limits.exchange_clients_max", 1_000),
            ("traces.queue_traces_max", 1_000_000),
            ("traces.batch_traces_max", 2_048),
            ("traces.batch_delay_ms", 60_000),
            ("traces.export_timeout_ms", 60_000),
        ] {
            let with = |value| {
                let mut config = with(key, value);
                config.node.queue_wait_max_ms = 0;
                config
            };
            assert!(check(&with(most)).is_ok());
            let text = check(&with(most + 1)).unwrap_err().to_string();
            assert!(
                text.starts_with(&format!("`{key}` is ")) && text.ends_with(&format!("set it to {most} or less")),
                "{text}"
            );
        }
    }

    #[test]
    fn batches_are_not_further_apart_than_orders_may_wait() {
        assert!(check(&with("node.batch_interval_us", 50_000)).is_ok());
        let text = check(&with("node.batch_interval_us", 50_001)).unwrap_err().to_string();
        assert!(text.contains("`node.queue_wait_max_ms`") && text.contains("set it to 50000 or less"), "{text}");
    }

    #[test]
    fn traces_go_to_a_url() {
        let mut elsewhere = Config::default();
        elsewhere.traces.endpoint = "collector:4318".to_owned();
        let text = check(&elsewhere).unwrap_err().to_string();
        assert!(text.starts_with("`traces.endpoint` is \"collector:4318\"; write a URL"), "{text}");
    }

    #[test]
    fn the_two_listeners_have_an_address_each() {
        let mut same = Config::default();
        same.admin = same.http;
        assert!(check(&same).unwrap_err().to_string().starts_with("`admin` is 127.0.0.1:8080; "));
    }
}
