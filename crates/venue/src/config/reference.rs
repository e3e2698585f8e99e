//! What every setting means, and the TOML that says so.
//!
//! Names and values come from the option structs themselves; only the words stand here. A test holds the two together:
//! every key has words, and there are no words for keys that are gone.

use std::fmt::Write as _;

use toml::{Table, Value};

const PREAMBLE: &str = "\
# Settings of a Crossbook venue. Every key is shown with its value; a file needs only those that differ from the defaults.
# The environment overrides this file: CROSSBOOK_LOG__PREALLOCATE=false stands for `preallocate` of [log].
# The admin token and the secret key are not settings: see CROSSBOOK_ADMIN_TOKEN and CROSSBOOK_SECRET_KEY.
";

/// Dotted path of a key or section, and what it means.
const WORDS: &[(&str, &str)] = &[
    ("data", "Folder with the venue's log and snapshots. Empty: given by --data."),
    ("http", "Address of the client API: REST, WebSocket, and the page at /."),
    ("admin", "Address of the admin API, /metrics, /healthz and /readyz. Keep it away from clients."),
    ("logging", "Log lines, on standard error."),
    ("logging.format", "auto (human on a terminal, else json), human, or json."),
    (
        "logging.filter",
        "A level (error, warn, info, debug, trace), or levels by module: \"info,crossbook_gateway=debug\".",
    ),
    ("log", "Files of the durable log. Sizes can change from one start to the next."),
    ("log.segment_bytes_max", "The most bytes of a segment file. Snapshots let whole segments be deleted."),
    ("log.batch_bytes_max", "The most bytes that wait for one fdatasync."),
    ("log.record_bytes_max", "The most bytes of one command: at least gateway.server.body_bytes_max and 1024 more."),
    (
        "log.preallocate",
        "Whether a segment takes its room on disk ahead; without it, each sync also writes the file's size.",
    ),
    (
        "log.verify_bytes_per_second",
        "Bytes a second that are read at most to verify, after a start, the log before its snapshot; 0: no such bound.",
    ),
    ("snapshots", "Snapshots shorten the next start. One is always taken at a clean stop."),
    (
        "snapshots.every_commands",
        "Commands after which one is taken while trading goes on, of a second copy that stays in memory from then on; 0: never.",
    ),
    ("snapshots.look_every_ms", "How often it is looked whether so many have come."),
    (
        "snapshots.trim_log",
        "Whether the log gives up what two snapshots stand for. Then `crossbook audit` can no longer replay it whole.",
    ),
    ("clock", "The machine's clock, whose time every command carries. What is wrong with it is told; trading goes on."),
    (
        "clock.jump_max_ms",
        "By how much the clock may be set, or be behind the last command, before log lines, /readyz and metrics say so.",
    ),
    (
        "clock.behind_max_ms",
        "A start whose clock is behind the log's last command by more than that is refused without --accept-clock.",
    ),
    ("clock.look_every_ms", "How often the clock is looked at."),
    ("node", "The thread that matches, and its queues."),
    ("node.queue_requests_max", "Requests that may wait for it; further ones are refused with -1008."),
    (
        "node.queue_wait_max_ms",
        "How long a request may have to wait for it, as far as can be told; one that would wait longer is refused with -1008 at once. 0: no bound.",
    ),
    (
        "node.queue_wait_standing_ms",
        "The same for new orders, not cancels, while more comes than can be done. 0, here or above: no such bound.",
    ),
    ("node.batch_requests_max", "Requests in one batch, which share one fdatasync."),
    (
        "node.batch_interval_us",
        "From one batch to the next, at least, for disks whose operations are limited or paid for. 0: as soon as the disk is done.",
    ),
    (
        "node.publish_batches_max",
        "Durable batches that may wait to be published; the matching thread waits when there are more.",
    ),
    ("metrics", "What /metrics on the admin address answers: see docs/metrics.md."),
    (
        "metrics.markets_max",
        "Markets with series of their own, the first that were listed; all others are counted together as symbol=\"other\".",
    ),
    ("views", "What the read side keeps in memory to answer queries. Each counts entries; 0 keeps none."),
    ("views.closed_orders_per_account", "Ended orders of one account in one market."),
    ("views.closed_orders_per_market", "Ended orders of all accounts in one market."),
    ("views.own_trades_per_account", "Trades that one account took part in, in one market."),
    ("views.own_trades_per_market", "Trades kept for accounts, in one market; each counts once for both its sides."),
    (
        "views.prevented_matches_per_market",
        "Matches in one market that self-trade prevention prevented, of all accounts; older ones are in the history.",
    ),
    ("views.trades_per_market", "Public trades of one market."),
    ("views.aggregate_trades_per_market", "Aggregate trades of one market."),
    ("views.candles_per_interval", "Candles of each interval of one market; at least a day of minutes is always kept."),
    ("history", "Everything that ever happened, in SQL. It is written behind, in batches; trading never waits for it."),
    (
        "history.database",
        "sqlite (a file in the data folder), sqlite://PATH, mysql://USER:PASSWORD@HOST/DATABASE (also MariaDB), or none.",
    ),
    ("history.batch_rows_max", "Rows in one statement; as soon as so many wait, they are written."),
    ("history.batch_delay_ms", "How long a row waits for others."),
    ("history.transaction_rows_max", "Rows in one transaction when there is much to catch up with; bounds the memory."),
    ("history.connections_max", "Connections to the database, the one that writes included."),
    ("history.connect_timeout_ms", "How long to wait for a connection."),
    ("history.write_timeout_ms", "How long one statement that writes may take."),
    ("history.query_timeout_ms", "How long a query may take."),
    (
        "history.retry_delay_max_ms",
        "The longest pause before a failed write is tried again; the first is a hundredth of it.",
    ),
    (
        "history.stop_timeout_ms",
        "How long a clean stop waits for the last rows; the next start writes what is missing.",
    ),
    ("gateway", "The client API."),
    ("gateway.in_flight_max", "Requests that wait for their outcome at once; further ones are refused with -1008."),
    (
        "gateway.reply_timeout_ms",
        "How long a command's outcome is waited for before a client is told that it is unknown (-1007).",
    ),
    (
        "gateway.history_queries_max",
        "Requests that ask the history at once, because they reach further back than memory; further ones are refused with -1008.",
    ),
    (
        "gateway.history_wait_ms",
        "How long such a request waits for a history that is behind what memory has forgotten, before it is refused with -1008.",
    ),
    ("gateway.cached_keys_max", "API keys whose secrets are kept ready in memory."),
    ("gateway.server", "Bounds of the HTTP listeners."),
    ("gateway.server.connections_max", "Connections at once; further ones are closed at once."),
    ("gateway.server.connections_per_ip_max", "Connections of one address."),
    ("gateway.server.body_bytes_max", "Largest request body; beyond it the answer is 413."),
    ("gateway.server.uri_bytes_max", "Longest path and query; beyond it the answer is 414."),
    (
        "gateway.server.send_buffer_bytes",
        "What the system is asked to hold for a connection until its client has read it. 0: as the system chooses.",
    ),
    ("gateway.server.handshake_timeout_ms", "How long a client has to make the TLS handshake, where there is one."),
    (
        "gateway.server.header_read_timeout_ms",
        "Until the next request must have arrived with its head; idle connections end then too.",
    ),
    ("gateway.server.body_read_timeout_ms", "How long a client has to send the body of a request."),
    (
        "gateway.server.trusted_proxies",
        "Networks of proxies that are believed when they say in X-Forwarded-For for whom they ask.",
    ),
    (
        "gateway.server.drain_ms",
        "After SIGTERM, how long /readyz says no before clients are asked to leave; for a load balancer to see it. 0: at once.",
    ),
    (
        "gateway.server.cors_origins",
        "Origins of pages that may use the client API in a browser, such as \"https://example.org\"; \"*\" for all. None: only the venue's own page.",
    ),
    (
        "gateway.server.compression_bytes_min",
        "Fewest bytes of an answer that is compressed for a client who takes gzip or br; 0: none is.",
    ),
    ("gateway.server.shutdown_timeout_ms", "How long requests under way get when the server stops."),
    ("gateway.tls", "TLS on the client API, HTTPS and WSS. Read once, when the process starts."),
    (
        "gateway.tls.certificate_file",
        "A PEM file with the certificate, and behind it those that lead to the authority; empty: no TLS.",
    ),
    ("gateway.tls.key_file", "A PEM file with the certificate's private key."),
    ("gateway.admin_tls", "The same on the admin address, also of workers and writers."),
    ("gateway.admin_tls.certificate_file", "As gateway.tls.certificate_file."),
    ("gateway.admin_tls.key_file", "As gateway.tls.key_file."),
    ("gateway.limits", "How much clients may ask. 0 switches a limit off; the headers still count."),
    ("gateway.limits.request_weight_1m", "Request weight of an address in a minute."),
    ("gateway.limits.raw_requests_5m", "Requests of an address in five minutes."),
    ("gateway.limits.orders_10s", "New orders of an account in ten seconds."),
    ("gateway.limits.orders_1d", "New orders of an account in a day."),
    (
        "gateway.limits.ban_after",
        "Requests over the limit within a minute after which an address is banned (418); 0: never.",
    ),
    ("gateway.limits.tracked_max", "Addresses, and accounts, that are kept track of."),
    ("gateway.streams", "Bounds of WebSocket connections."),
    ("gateway.streams.connections_max", "WebSocket connections at once; further ones are refused."),
    ("gateway.streams.streams_max", "Streams of one connection."),
    (
        "gateway.streams.messages_per_second_max",
        "Messages that a stream's client may send in a second, pings and pongs among them.",
    ),
    ("gateway.streams.message_bytes_max", "Largest message that a client may send."),
    ("gateway.streams.ping_interval_ms", "Time between two pings to the client."),
    ("gateway.streams.pong_timeout_ms", "Time after which a ping without its pong closes the connection."),
    ("gateway.streams.lifetime_ms", "Time after which any connection is closed."),
    (
        "gateway.streams.unread_timeout_ms",
        "How long a client may leave all that waits for it unread; then it is cut off.",
    ),
    ("gateway.streams.unread_bytes_max", "Bytes that wait for one client; beyond it the client is cut off."),
    (
        "gateway.streams.unread_bytes_total_max",
        "Bytes that wait for all clients, each message counted once; beyond it whoever is furthest behind is cut off.",
    ),
    ("gateway.streams.attempts_max", "Connections that one address may try to open within attempts_window_ms."),
    ("gateway.streams.attempts_window_ms", "Time over which attempts are counted."),
    (
        "gateway.streams.requests_in_flight_max",
        "Requests of one WebSocket API connection that are under way; further ones wait to be read.",
    ),
    (
        "gateway.streams.account_subscriptions_max",
        "Subscriptions of one WebSocket API connection to the events of accounts.",
    ),
    (
        "cluster",
        "A venue of many processes: `crossbook gateway`, `worker` and `writer`. All need the same settings here. `serve` and `demo` need none.",
    ),
    ("cluster.partitions", "Into how many partitions the venue is cut. Fixed when it is made."),
    (
        "cluster.markets",
        "Markets that do not go where their number says, each as \"SYMBOL=PARTITION\". Fixed when the venue is made.",
    ),
    ("cluster.snapshot_every_commands", "Commands of a partition after which its next snapshot is taken."),
    (
        "cluster.redis",
        "The store of the logs: Redis 7 or Valkey, a cluster or a single server, with `appendonly yes` and `appendfsync always`.",
    ),
    (
        "cluster.redis.servers",
        "Servers to ask first, as redis://USER:PASSWORD@HOST:PORT, or rediss:// for TLS; any one that answers is enough.",
    ),
    (
        "cluster.redis.ca_file",
        "For rediss://: a PEM file of those who vouch for the servers, in place of the system's authorities.",
    ),
    (
        "cluster.redis.client_certificate_file",
        "For rediss://: a PEM file with the certificates to show to servers that ask for them (tls-auth-clients).",
    ),
    ("cluster.redis.client_key_file", "For rediss://: a PEM file with the key of client_certificate_file."),
    ("cluster.redis.venue", "The venue's name, with which all its keys begin."),
    (
        "cluster.redis.replicas_min",
        "The fewest replicas that must have what is called durable. 0 only where an answer of the server is itself durable, as in MemoryDB.",
    ),
    ("cluster.redis.connect_timeout_ms", "How long a connection may take to be made."),
    ("cluster.redis.reply_timeout_ms", "How long an answer may take, beyond what its request waits."),
    ("cluster.redis.wait_timeout_ms", "How long a barrier waits for the replicas."),
    (
        "cluster.redis.replica_loss_ms",
        "How long a replica must have been missing before nothing waits for it any more: it may have been promoted.",
    ),
    ("cluster.redis.record_bytes_max", "The most bytes of one command."),
    ("cluster.redis.batch_records_max", "The most commands in one append."),
    ("cluster.redis.batch_bytes_max", "The most bytes of commands in one append."),
    ("cluster.redis.trim_entries_max", "Entries that one trimming drops; the server answers nobody else meanwhile."),
    ("cluster.gate", "How gateways speak with the partitions."),
    (
        "cluster.gate.queue_requests_max",
        "Requests that may wait for one partition's lane; further ones are refused with -1008.",
    ),
    (
        "cluster.gate.queue_wait_max_ms",
        "How long a request may have to wait for its partition; one that would wait longer gets -1008 at once. 0: no bound.",
    ),
    ("cluster.gate.batch_requests_max", "Requests appended in one round trip."),
    (
        "cluster.gate.backlog_max",
        "Commands that may wait in a partition's log to be executed; further ones are refused with -1008.",
    ),
    (
        "cluster.gate.retry_ms",
        "After how long without progress a lane looks whether its requests are still where it appended them.",
    ),
    ("cluster.gate.breaker_ms", "After how long without an answer requests for a partition are refused at once."),
    (
        "cluster.gate.keep_ms",
        "How long a request of a partition that does not answer is kept to be sent again: as long as gateway.reply_timeout_ms.",
    ),
    ("cluster.gate.fence_ms", "How long a question about an account waits for what was told elsewhere."),
    ("cluster.gate.follow_commands_max", "Commands whose events are read in one round trip."),
    ("cluster.gate.retry_delay_max_ms", "The longest pause between two tries to connect."),
    ("cluster.worker", "How workers run partitions."),
    ("cluster.worker.partitions", "The partitions that this worker runs; none named: all of them. Also: --partitions."),
    ("cluster.worker.batch_commands_max", "Commands read, and published, in one round trip."),
    ("cluster.worker.held_commands_max", "Commands read and not yet applied."),
    ("cluster.worker.outputs_max", "Outputs that no barrier has confirmed yet; with more, nothing is read."),
    (
        "cluster.worker.takeover_ms",
        "How long a partition must be silent before a worker that stands by goes on for it.",
    ),
    ("cluster.worker.idle_ms", "How long a round trip waits for a command."),
    (
        "cluster.worker.courier_queue_max",
        "Messages to one partition that wait for their courier; with more, their partition waits.",
    ),
    ("cluster.worker.courier_messages_max", "Messages to one partition that are kept until it has heard them."),
    ("cluster.worker.courier_batch_max", "Messages delivered in one round trip."),
    (
        "cluster.worker.depth_every_ms",
        "Time between two writes to the depth of books that is kept in the store; 0 keeps none there.",
    ),
    ("cluster.worker.retry_delay_max_ms", "The longest pause between two tries to connect."),
    ("cluster.writer", "How writers read what the partitions tell; what they write is set in [history]."),
    ("cluster.writer.follow_commands_max", "Commands whose events are read in one round trip."),
    (
        "cluster.writer.ahead_commands_max",
        "Commands of one partition whose events are read and not yet written; with more, no more are read.",
    ),
    (
        "cluster.writer.mark_every_ms",
        "Time between two notes in the store of how far the history has come, up to which logs may be trimmed.",
    ),
    ("cluster.writer.retry_delay_max_ms", "The longest pause between two tries to connect."),
    ("cluster.snapshots", "Where the partitions' snapshots are kept; a place that all processes share."),
    (
        "cluster.snapshots.address",
        "file:///PATH, or s3://BUCKET/PREFIX with the usual AWS_ variables in the environment. A cluster needs one.",
    ),
    ("cluster.snapshots.connect_timeout_ms", "How long a connection to the store may take to be made."),
    ("cluster.snapshots.request_timeout_ms", "How long one request may take, its whole content included."),
    ("cluster.snapshots.retries_max", "How often a request that failed is made again; 0: never."),
    ("cluster.snapshots.retry_pause_max_ms", "The longest pause before a request is made again."),
    (
        "cluster.snapshots.retry_timeout_ms",
        "After that time, counted from its first attempt, a request is not made again.",
    ),
    (
        "cluster.snapshots.part_bytes_max",
        "The most bytes in one request, at least 5 MiB; a larger snapshot travels in parts.",
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
    if let Some((_, words)) = WORDS.iter().find(|(known, _)| *known == path) {
        let _ = writeln!(out, "# {words}");
    }
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
    fn every_key_has_words_and_all_words_have_a_key() {
        let mut keys = BTreeSet::new();
        paths(&Table::try_from(Config::default()).unwrap(), "", &mut keys);
        let words: BTreeSet<String> = WORDS.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(words.len(), WORDS.len(), "a key is described twice");
        assert_eq!(keys.difference(&words).collect::<Vec<_>>(), Vec::<&String>::new(), "keys without words");
        assert_eq!(words.difference(&keys).collect::<Vec<_>>(), Vec::<&String>::new(), "words without a key");
    }

    #[test]
    fn each_key_stands_under_its_comment() {
        let text = Config::default().render().unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let settings = lines.iter().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        for (at, line) in settings {
            assert!(at > 0 && lines[at - 1].starts_with("# "), "no comment above {line:?}");
        }
        assert!(lines.iter().all(|line| line.len() <= 140), "a line too long to read");
    }
}
