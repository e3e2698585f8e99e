//! The meaning of every setting, and the settings as commented TOML.
//!
//! Names and values come from the option structs; this module has only their descriptions. A test checks that every key
//! has a description, and that no description is left of a key that no longer exists.

use std::fmt::Write as _;

use toml::{Table, Value};

const PREAMBLE: &str = "\
# Settings of a Crossbook venue. Every key is shown with its value; a file needs only those that differ from the
# defaults. The environment overrides this file: CROSSBOOK_LOG__PREALLOCATE=false sets `preallocate` of [log].
# The admin token and the secret key are not settings: see CROSSBOOK_ADMIN_TOKEN and CROSSBOOK_SECRET_KEY.
";

/// Comments are wrapped at this width.
const COLUMNS: usize = 120;

/// Dotted path of a key or section, and its meaning.
const DESCRIPTIONS: &[(&str, &str)] = &[
    ("data", "Folder of the venue's log and snapshots. Empty: given by --data."),
    ("http", "Address of the client API: REST, WebSocket, and the web page at /."),
    ("admin", "Address of the admin API, /metrics, /healthz and /readyz. Keep it away from clients."),
    (
        "probes",
        "Address of /metrics, /healthz and /readyz alone, without TLS, for supervisors and scrapers that are not to \
         reach the admin API; `admin` has them too. Empty: none.",
    ),
    ("logging", "Log lines, on standard error."),
    ("logging.format", "auto (human on a terminal, else json), human, or json."),
    (
        "logging.filter",
        "A level (error, warn, info, debug, trace), or levels by module: \"info,crossbook_gateway=debug\".",
    ),
    ("logging.tail_lines", "How many of the last lines the admin API shows to admins; 0: none."),
    ("log", "Files of the durable log. Sizes may be changed between starts."),
    ("log.segment_bytes_max", "Maximum size of a segment file. Whole segments are trimmed after snapshots."),
    ("log.batch_bytes_max", "Maximum bytes that one fdatasync makes durable."),
    ("log.record_bytes_max", "Maximum size of one command: at least gateway.server.body_bytes_max and 3072 more."),
    (
        "log.preallocate",
        "Whether segments are preallocated on disk; without it, each sync also writes the file's size.",
    ),
    (
        "log.verify_bytes_per_second",
        "Maximum bytes per second that are read after a start to verify the log before its snapshot; 0: no limit.",
    ),
    ("snapshots", "Snapshots shorten the next start. One is always taken at a clean stop."),
    (
        "snapshots.interval_commands",
        "Commands between two snapshots while trading goes on. They are taken of a second copy of the venue, which \
         stays in memory from the first one on; 0: none.",
    ),
    ("snapshots.check_interval_ms", "Interval at which the number of commands since the last snapshot is checked."),
    (
        "snapshots.trim_log",
        "Whether the log is trimmed up to what two snapshots cover. `crossbook audit` can then no longer replay all \
         of it.",
    ),
    ("clock", "The machine's clock, which timestamps every command. Problems are reported; trading continues."),
    (
        "clock.jump_max_ms",
        "How far the clock may be set, or be behind the last command, before log lines, /readyz and metrics report \
         it.",
    ),
    (
        "clock.behind_log_max_ms",
        "A start whose clock is further behind the log's last command than this is refused without --accept-clock.",
    ),
    ("clock.check_interval_ms", "Interval at which the clock is checked."),
    ("node", "The matching thread and its queues."),
    ("node.queue_requests_max", "Requests that may wait for the matching thread; further ones are refused with -1008."),
    (
        "node.queue_wait_max_ms",
        "Maximum estimated time that a request waits for the matching thread; a request that would wait longer is \
         refused with -1008 at once. 0: no limit.",
    ),
    (
        "node.queue_wait_sustained_max_ms",
        "The same for new orders, not for cancels, while demand exceeds capacity. 0, here or above: no limit.",
    ),
    ("node.batch_requests_max", "Requests in one batch, which share one fdatasync."),
    (
        "node.batch_interval_us",
        "Minimum time between two batches, for disks whose operations are limited or charged. 0: a batch begins as \
         soon as the disk is ready.",
    ),
    (
        "node.publish_queue_batches_max",
        "Durable batches that may wait to be published; with more, the matching thread waits.",
    ),
    ("metrics", "What /metrics on the admin address answers: see docs/metrics.md."),
    (
        "metrics.markets_max",
        "Markets with time series of their own, in the order of listing; all others share symbol=\"other\".",
    ),
    ("traces", "Traces of new orders for OpenTelemetry, from `serve`, `demo` and `gateway`: see docs/monitoring.md."),
    (
        "traces.sample_one_in",
        "One new order in so many is traced, at random: 1 traces all, 0 none. A client's `traceparent` does not change \
         how many.",
    ),
    (
        "traces.endpoint",
        "URL of a collector that takes OTLP over HTTP, with its path; without a user or password. Spans are sent in \
         protobuf.",
    ),
    ("traces.queue_traces_max", "Traces that may wait to be sent; further ones are dropped and counted."),
    ("traces.batch_traces_max", "Traces sent in one request."),
    ("traces.batch_delay_ms", "Time that a trace waits for others to share its request."),
    (
        "traces.export_timeout_ms",
        "Timeout of a request to the collector, whose spans are dropped then. A clean stop waits as long at most for \
         the last ones.",
    ),
    ("views", "What the read model retains in memory to answer queries. Each setting counts entries; 0 retains none."),
    ("views.closed_orders_per_account", "Ended orders of one account in one market."),
    ("views.closed_orders_per_market", "Ended orders of all accounts in one market."),
    ("views.own_trades_per_account", "Trades of one account in one market."),
    ("views.own_trades_per_market", "Trades of all accounts in one market; each trade counts once for each side."),
    (
        "views.prevented_matches_per_market",
        "Matches prevented by self-trade prevention in one market, of all accounts; older ones are in the history.",
    ),
    (
        "views.amendments_per_market",
        "Amendments of orders in one market, of all accounts; older ones are in the history.",
    ),
    ("views.operator_log", "Entries of the operator log of each partition; older ones are in the history."),
    ("views.trades_per_market", "Public trades of one market."),
    ("views.aggregate_trades_per_market", "Aggregate trades of one market."),
    (
        "views.candles_per_interval",
        "Candles of each interval of one market; at least a day of minutes is always retained.",
    ),
    ("history", "All data in SQL. It is written asynchronously, in batches; trading never waits for it."),
    (
        "history.database",
        "sqlite (a file in the data folder), sqlite://PATH, mysql://USER:PASSWORD@HOST/DATABASE (also MariaDB), or \
         none.",
    ),
    ("history.batch_rows_max", "Rows in one statement; a batch is written as soon as it has that many."),
    ("history.batch_delay_ms", "Maximum time that a row waits for its batch to fill."),
    ("history.transaction_rows_max", "Rows in one transaction while the history catches up; bounds the memory."),
    ("history.connections_max", "Connections to the database, the writer's included."),
    ("history.connect_timeout_ms", "Timeout of a connection attempt."),
    ("history.write_timeout_ms", "Timeout of one statement that writes."),
    ("history.query_timeout_ms", "Timeout of a query."),
    (
        "history.retry_delay_max_ms",
        "Maximum delay before a failed write is retried; the first delay is a hundredth of it.",
    ),
    (
        "history.stop_timeout_ms",
        "Maximum time that a clean stop waits for the last rows; the next start writes missing ones.",
    ),
    ("gateway", "The client API."),
    (
        "gateway.in_flight_max",
        "Requests that may wait for their answer at the same time; further ones are refused with -1008.",
    ),
    (
        "gateway.reply_timeout_ms",
        "Time after which a client is told that the execution status of its command is unknown (-1007).",
    ),
    (
        "gateway.history_queries_max",
        "Concurrent queries to the history for data that is no longer in memory; further ones are refused with \
         -1008.",
    ),
    (
        "gateway.history_wait_ms",
        "Maximum time that such a query waits for a history that lags behind what memory has evicted, before it is \
         refused with -1008.",
    ),
    ("gateway.cached_keys_max", "API keys whose secrets, and last uses, are cached in memory."),
    (
        "gateway.key_uses_interval_ms",
        "Time from one storing of the last uses of API keys to the next; a kill loses what was seen since. 0: they are \
         not stored.",
    ),
    ("gateway.server", "Bounds of the HTTP listeners."),
    ("gateway.server.connections_max", "Concurrent connections; further ones are closed at once."),
    ("gateway.server.connections_per_ip_max", "Concurrent connections of one address."),
    ("gateway.server.body_bytes_max", "Maximum request body; a larger one is answered with 413."),
    ("gateway.server.uri_bytes_max", "Maximum length of path and query; a longer one is answered with 414."),
    (
        "gateway.server.send_buffer_bytes",
        "Send buffer that the system is asked for, per connection. 0: the system's default.",
    ),
    ("gateway.server.handshake_timeout_ms", "Timeout of a TLS handshake."),
    (
        "gateway.server.header_read_timeout_ms",
        "Timeout for the head of the next request; idle connections are closed then too.",
    ),
    ("gateway.server.body_read_timeout_ms", "Timeout for the body of a request."),
    (
        "gateway.server.write_timeout_ms",
        "How long a client may accept nothing of an answer before its connection is closed. For WebSocket connections \
         gateway.streams.send_timeout_ms applies.",
    ),
    (
        "gateway.server.unread_bytes_total_max",
        "Bytes of answers that the HTTP clients of a listener have not read; beyond it the connections of clients that \
         read nothing are closed, and then of those that read the least.",
    ),
    ("gateway.server.trusted_proxies", "Networks of proxies whose X-Forwarded-For is trusted."),
    (
        "gateway.server.drain_ms",
        "How long after SIGTERM /readyz answers 503 before clients are asked to leave, for a load balancer to \
         notice. 0: not at all.",
    ),
    (
        "gateway.server.cors_origins",
        "Origins of pages that may use the client API in a browser, such as \"https://example.org\"; \"*\" for all. \
         Empty: only the venue's own page.",
    ),
    (
        "gateway.server.compression_bytes_min",
        "Minimum size of an answer that is compressed for a client that accepts gzip or br; 0: no compression.",
    ),
    ("gateway.server.shutdown_timeout_ms", "How long requests in flight may take after the server stops accepting."),
    (
        "gateway.server.reload_interval_ms",
        "Interval at which certificates, their keys and the file of admin tokens are read again; 0: only at the start.",
    ),
    (
        "gateway.tls",
        "TLS on the client API, HTTPS and WSS. Renewed files are read again, see gateway.server.reload_interval_ms.",
    ),
    ("gateway.tls.certificate_file", "PEM file with the certificate, followed by its chain; empty: no TLS."),
    ("gateway.tls.key_file", "PEM file with the certificate's private key."),
    ("gateway.admin_tls", "TLS on the admin address, also of workers and writers."),
    ("gateway.admin_tls.certificate_file", "As gateway.tls.certificate_file."),
    ("gateway.admin_tls.key_file", "As gateway.tls.key_file."),
    ("gateway.limits", "Rate limits of clients. 0 disables a limit; the headers still count."),
    ("gateway.limits.request_weight_1m", "Request weight of an address per minute."),
    ("gateway.limits.raw_requests_5m", "Requests of an address per five minutes."),
    ("gateway.limits.orders_10s", "New orders of an account per ten seconds."),
    ("gateway.limits.orders_1d", "New orders of an account per day."),
    (
        "gateway.limits.ban_after",
        "Requests over the limit within a minute after which an address is banned (418); 0: never.",
    ),
    ("gateway.limits.tracked_clients_max", "Addresses, and accounts, whose limits are tracked."),
    (
        "gateway.limits.exchange_interval_ms",
        "Interval at which the gateways of a cluster exchange what clients have used; 0: each gateway counts for itself.",
    ),
    ("gateway.limits.exchange_clients_max", "Addresses, and accounts, in one exchange; more of them take several."),
    ("gateway.streams", "Bounds of WebSocket connections."),
    ("gateway.streams.connections_max", "Concurrent WebSocket connections; further ones are refused."),
    ("gateway.streams.streams_max", "Streams of one connection."),
    (
        "gateway.streams.messages_per_second_max",
        "Messages per second that a client of the streams may send, pings and pongs included.",
    ),
    ("gateway.streams.message_bytes_max", "Maximum size of a message from a client."),
    ("gateway.streams.ping_interval_ms", "Interval between pings to the client."),
    ("gateway.streams.pong_timeout_ms", "Time without a pong after which the connection is closed."),
    ("gateway.streams.connection_lifetime_ms", "Time after which any connection is closed."),
    (
        "gateway.streams.send_timeout_ms",
        "Time without reading after which a client with waiting messages is disconnected.",
    ),
    (
        "gateway.streams.send_queue_bytes_max",
        "Maximum bytes in the send queue of one client; with more, it is disconnected.",
    ),
    (
        "gateway.streams.send_queue_bytes_total_max",
        "Maximum bytes in the send queues of all clients, each message counted once and its place in each queue; \
         with more, the clients that read nothing are disconnected, and then those that read the least.",
    ),
    ("gateway.streams.attempts_max", "Connections that one address may try to open within attempts_window_ms."),
    ("gateway.streams.attempts_window_ms", "Window in which attempts are counted."),
    (
        "gateway.streams.requests_in_flight_max",
        "Requests in flight of one WebSocket API connection; further ones are not read yet.",
    ),
    (
        "gateway.streams.account_subscriptions_max",
        "Subscriptions of one WebSocket API connection to user data streams.",
    ),
    (
        "gateway.listen_keys",
        "User data streams for older clients, at /ws/<listenKey>. They ask for one with an API key and no signature, so \
         whoever knows the name of a key can read its account. `demo` has them.",
    ),
    ("gateway.listen_keys.enabled", "Whether there are any."),
    ("gateway.listen_keys.keys_max", "Listen keys at once; with more, clients are refused with -1008."),
    ("gateway.listen_keys.lifetime_ms", "How long a listen key lasts after it was asked for or kept alive."),
    (
        "cluster",
        "A venue of several processes: `crossbook gateway`, `worker` and `writer`. All of them need the same \
         settings here; `serve` and `demo` need none.",
    ),
    ("cluster.partitions", "Number of partitions. Fixed when the venue is created."),
    (
        "cluster.markets",
        "Markets assigned to a partition by name, each as \"SYMBOL=PARTITION\"; others are assigned by their id. \
         Fixed when the venue is created.",
    ),
    ("cluster.snapshot_interval_commands", "Commands of a partition between two snapshots."),
    (
        "cluster.start_timeout_ms",
        "How long a process that starts waits for a shard or its replicas to answer, with all attempts. Then it ends \
         with status 1 and says what was missing.",
    ),
    (
        "cluster.redis",
        "The store of the logs: Redis 7 or Valkey, a cluster or a single server, with `appendonly yes` and \
         `appendfsync always`.",
    ),
    (
        "cluster.redis.servers",
        "Servers to contact first, as redis://USER:PASSWORD@HOST:PORT, or rediss:// for TLS; one that answers is \
         enough.",
    ),
    (
        "cluster.redis.ca_file",
        "For rediss://: PEM file with the authorities of the servers' certificates, in place of the system's.",
    ),
    (
        "cluster.redis.client_certificate_file",
        "For rediss://: PEM file with the client certificate, for servers that ask for one (tls-auth-clients).",
    ),
    ("cluster.redis.client_key_file", "For rediss://: PEM file with the key of client_certificate_file."),
    ("cluster.redis.venue", "The venue's name: the prefix of all its keys."),
    (
        "cluster.redis.replicas_min",
        "Minimum number of replicas that must have a command before it counts as durable. 0 only if an answer of \
         the server is itself durable, as in MemoryDB.",
    ),
    ("cluster.redis.connect_timeout_ms", "Timeout of a connection attempt."),
    ("cluster.redis.reply_timeout_ms", "Timeout of an answer, in addition to the time that its request waits."),
    ("cluster.redis.wait_timeout_ms", "Maximum time that a barrier waits for the replicas."),
    (
        "cluster.redis.replica_loss_ms",
        "Time after which a missing replica counts as lost; before that it may have been promoted.",
    ),
    ("cluster.redis.record_bytes_max", "Maximum size of one command."),
    ("cluster.redis.batch_records_max", "Maximum number of commands in one append."),
    ("cluster.redis.batch_bytes_max", "Maximum bytes of commands in one append."),
    (
        "cluster.redis.turn_records_max",
        "Maximum number of commands that one round trip appends and delivers to all partitions of a shard together; the \
         server does nothing else meanwhile. Also the maximum that it reads.",
    ),
    (
        "cluster.redis.turn_bytes_max",
        "Maximum bytes of commands that one round trip appends and delivers to all partitions of a shard together.",
    ),
    ("cluster.redis.trim_entries_max", "Entries removed by one trim; the server blocks meanwhile."),
    ("cluster.log_client", "How gateways append to and follow the partitions' logs."),
    (
        "cluster.log_client.queue_requests_max",
        "Requests that may wait to be appended to one partition; further ones are refused with -1008.",
    ),
    (
        "cluster.log_client.queue_wait_max_ms",
        "Maximum estimated time that a request waits for its partition; a request that would wait longer is refused \
         with -1008 at once. 0: no limit.",
    ),
    (
        "cluster.log_client.queue_wait_sustained_max_ms",
        "Maximum time until its partition has accepted a new order, while more arrive than it can accept for longer than \
         a fifth of a second; others are refused with -1008. Never less than twice what a request takes without a queue. \
         0: no limit.",
    ),
    ("cluster.log_client.batch_requests_max", "Requests appended to one partition in one turn."),
    (
        "cluster.log_client.backlog_max",
        "Commands in a partition's log that this gateway may still have to apply; with more, requests are refused with \
         -1008.",
    ),
    (
        "cluster.log_client.turn_interval_us",
        "Minimum time from the beginning of one round trip to a shard to that of the next. Longer: an order costs less \
         and takes longer.",
    ),
    (
        "cluster.log_client.poll_interval_ms",
        "Interval at which a shard is read without a notification, in case one was lost.",
    ),
    (
        "cluster.log_client.retry_ms",
        "Time without progress after which the gateway checks whether its requests are still in the log.",
    ),
    (
        "cluster.log_client.circuit_breaker_ms",
        "Time without an answer after which requests for a partition are refused at once.",
    ),
    (
        "cluster.log_client.retention_ms",
        "How long a request of a partition that does not answer is retained to be sent again: as long as \
         gateway.reply_timeout_ms.",
    ),
    (
        "cluster.log_client.read_barrier_timeout_ms",
        "Maximum time that a query about an account waits until the gateway has applied everything answered before.",
    ),
    ("cluster.log_client.read_batch_commands_max", "Commands of one partition read in one turn."),
    ("cluster.log_client.read_ahead_commands_max", "Commands of one partition that may be read and not yet confirmed."),
    ("cluster.log_client.deliver_batch_max", "Messages of one partition delivered to another in one turn."),
    (
        "cluster.log_client.deliver_patience_ms",
        "Time after which this gateway delivers a message between partitions that neither the process responsible for \
         it nor a worker has delivered.",
    ),
    (
        "cluster.log_client.messages_retained_max",
        "Messages between partitions that may wait to be received; with more, no commands are read.",
    ),
    ("cluster.log_client.retry_delay_max_ms", "Maximum delay between two connection attempts."),
    ("cluster.worker", "How workers run partitions."),
    ("cluster.worker.partitions", "Partitions that this worker runs; empty: all. Also: --partitions."),
    ("cluster.worker.batch_commands_max", "Commands of one partition read in one turn."),
    ("cluster.worker.read_ahead_commands_max", "Commands of one partition that may be read and not yet confirmed."),
    (
        "cluster.worker.turn_interval_ms",
        "Minimum time from the beginning of one round trip to a shard to that of the next. Nobody waits for a worker.",
    ),
    ("cluster.worker.poll_timeout_ms", "How long the worker waits for a notification before it reads a shard."),
    (
        "cluster.worker.failover_ms",
        "Time after which a worker delivers a message between partitions that the gateway responsible for it has not \
         delivered; each worker waits up to half as long again.",
    ),
    (
        "cluster.worker.confirm_wait_ms",
        "How long a command that was read may wait for a confirmation that gateways cause.",
    ),
    (
        "cluster.worker.forward_retained_max",
        "Messages between partitions that may wait to be received; with more, no commands are read.",
    ),
    ("cluster.worker.forward_batch_max", "Messages of one partition delivered to another in one turn."),
    (
        "cluster.worker.lease_ms",
        "How long the lease of a partition lasts without being renewed. The worker that has it takes the snapshots.",
    ),
    (
        "cluster.worker.depth_interval_ms",
        "Interval between two updates of the books' depth in the store; 0: no depth in the store.",
    ),
    ("cluster.worker.retry_delay_max_ms", "Maximum delay between two connection attempts."),
    ("cluster.writer", "How writers follow the logs; what they write is set in [history]."),
    (
        "cluster.writer.poll_interval_ms",
        "Interval at which the writer asks for the ends of the logs; up to ten times as long while nothing is traded.",
    ),
    (
        "cluster.writer.checkpoint_interval_ms",
        "Interval between two updates of the history's position in the store, up to which logs may be trimmed.",
    ),
    ("cluster.snapshots", "Where the partitions' snapshots are stored; all processes share it."),
    (
        "cluster.snapshots.address",
        "file:///PATH, or s3://BUCKET/PREFIX with the usual AWS_ variables in the environment. Required in a \
         cluster.",
    ),
    ("cluster.snapshots.connect_timeout_ms", "Timeout of a connection attempt."),
    ("cluster.snapshots.request_timeout_ms", "Timeout of one request, including its content."),
    ("cluster.snapshots.retries_max", "How often a failed request is retried; 0: never."),
    ("cluster.snapshots.retry_pause_max_ms", "Maximum delay before a request is retried."),
    ("cluster.snapshots.retry_timeout_ms", "Time after the first attempt from which on a request is not retried."),
    (
        "cluster.snapshots.part_bytes_max",
        "Maximum bytes in one request, at least 5 MiB; a larger snapshot is sent in parts.",
    ),
];

/// Settings as TOML with comments.
pub(super) fn render(settings: &Table) -> String {
    let mut out = String::from(PREAMBLE);
    section(settings, "", &mut out);
    out
}

fn section(table: &Table, path: &str, out: &mut String) {
    let at = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    // A TOML section ends where the next begins, so plain keys come before sections.
    for (key, value) in table {
        if !value.is_table() {
            out.push('\n');
            comment(&at(key), out);
            // Writing to a string cannot fail.
            let _ = writeln!(out, "{key} = {value}");
        }
    }
    for (key, value) in table {
        if let Value::Table(inner) = value {
            out.push('\n');
            comment(&at(key), out);
            let _ = writeln!(out, "[{}]", at(key));
            section(inner, &at(key), out);
        }
    }
}

fn comment(path: &str, out: &mut String) {
    let Some((_, text)) = DESCRIPTIONS.iter().find(|(known, _)| *known == path) else { return };
    let mut line = String::from("#");
    for word in text.split(' ') {
        if line.chars().count() + 1 + word.chars().count() > COLUMNS {
            let _ = writeln!(out, "{line}");
            line.truncate(1);
        }
        line.push(' ');
        line.push_str(word);
    }
    let _ = writeln!(out, "{line}");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::Config;

    fn paths(table: &Table, prefix: &str, out: &mut BTreeSet<String>) {
        for (key, value) in table {
            let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
            if let Value::Table(inner) = value {
                paths(inner, &path, out);
            }
            out.insert(path);
        }
    }

    #[test]
    fn every_key_has_a_description_and_every_description_a_key() {
        let mut keys = BTreeSet::new();
        paths(&Table::try_from(Config::default()).unwrap(), "", &mut keys);
        let described: BTreeSet<String> = DESCRIPTIONS.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(described.len(), DESCRIPTIONS.len(), "a key is described twice");
        assert_eq!(keys.difference(&described).collect::<Vec<_>>(), Vec::<&String>::new(), "keys without description");
        assert_eq!(described.difference(&keys).collect::<Vec<_>>(), Vec::<&String>::new(), "descriptions without key");
    }

    #[test]
    fn each_key_stands_under_its_comment() {
        let text = Config::default().render().unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let settings = lines.iter().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        for (at, line) in settings {
            assert!(at > 0 && lines[at - 1].starts_with("# "), "no comment above {line:?}");
        }
        assert!(lines.iter().all(|line| line.chars().count() <= COLUMNS), "a line too long to read");
    }
}
