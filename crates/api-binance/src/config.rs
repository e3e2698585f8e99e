//! The options of `[gateway]`: of the core, of this API and of the listeners. Every bound is named here, with its
//! default.

pub use crossbook_gateway::config::LimitsConfig;
pub use crossbook_http::{ServerConfig, TlsConfig};
use crossbook_protocol::operator::Note;
use serde::{Deserialize, Serialize};

/// Options of the gateway. What is absent takes its default.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Bounds of the listeners.
    pub server: ServerConfig,
    /// The certificate of the client API.
    pub tls: TlsConfig,
    /// The certificate of the admin address.
    pub admin_tls: TlsConfig,
    /// Request weights and order counts.
    pub limits: LimitsConfig,
    /// WebSocket connections.
    pub streams: StreamsConfig,
    /// User data streams for older clients.
    pub listen_keys: ListenKeysConfig,
    /// Most requests that wait for the node at once; beyond it clients get -1008.
    pub in_flight_max: usize,
    /// Milliseconds to wait for a command's outcome before saying that it is unknown (-1007).
    pub reply_timeout_ms: u64,
    /// Most requests that ask the history at once, because they reach further back than memory; beyond it clients get
    /// -1008.
    pub history_queries_max: usize,
    /// Milliseconds such a request waits for a history that is behind what memory has evicted, before it gets -1008.
    pub history_wait_ms: u64,
    /// Maximum number of API keys whose opened secrets, and last uses, are cached in memory.
    pub cached_keys_max: usize,
    /// Milliseconds from one storing of the last uses of API keys to the next; 0: never.
    pub key_uses_interval_ms: u64,
}

/// The fields of a command beyond those of a request's body: names, numbers, a sealed secret, the note of who asked for
/// it; and all fields of an order.
const COMMAND_BYTES_BESIDE_BODY: usize = 3_072;
const _: () = assert!(COMMAND_BYTES_BESIDE_BODY >= 1_024 + Note::BYTES_MAX);

impl Config {
    /// The options of the core.
    #[must_use]
    pub fn core(&self) -> crossbook_gateway::Config {
        crossbook_gateway::Config {
            limits: self.limits.clone(),
            in_flight_max: self.in_flight_max,
            reply_timeout_ms: self.reply_timeout_ms,
            history_queries_max: self.history_queries_max,
            history_wait_ms: self.history_wait_ms,
            cached_keys_max: self.cached_keys_max,
        }
    }

    /// The most bytes that a command made here has in the log. Everything without a bound of its own arrives in a body,
    /// and takes more bytes there as JSON than it does in the log.
    #[must_use]
    pub fn command_bytes_max(&self) -> usize {
        self.server.body_bytes_max.saturating_add(COMMAND_BYTES_BESIDE_BODY)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            server: ServerConfig::default(),
            tls: TlsConfig::default(),
            admin_tls: TlsConfig::default(),
            limits: LimitsConfig::default(),
            streams: StreamsConfig::default(),
            listen_keys: ListenKeysConfig::default(),
            in_flight_max: 20_000,
            reply_timeout_ms: 10_000,
            history_queries_max: 100,
            history_wait_ms: 1_000,
            cached_keys_max: 10_000,
            key_uses_interval_ms: 10_000,
        }
    }
}

/// Bounds of WebSocket connections.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StreamsConfig {
    /// Most streams of one connection.
    pub streams_max: usize,
    /// Most messages a second, pings and pongs among them, that a stream's client may send; beyond it the connection is
    /// closed.
    pub messages_per_second_max: usize,
    /// Largest message that a client may send, in bytes; a larger one closes the connection.
    pub message_bytes_max: usize,
    /// Milliseconds between two pings to the client.
    pub ping_interval_ms: u64,
    /// Milliseconds after which a ping without its pong closes the connection.
    pub pong_timeout_ms: u64,
    /// Milliseconds after which any connection is closed.
    pub connection_lifetime_ms: u64,
    /// Milliseconds that a client may leave what waits for it unread; then it is cut off.
    pub send_timeout_ms: u64,
    /// Most bytes that wait for one client; beyond it the client is cut off.
    pub send_queue_bytes_max: usize,
    /// Most bytes that wait for all clients together, each message counted once and its place in each queue; beyond it
    /// those are cut off who read nothing, and then those who read the least.
    pub send_queue_bytes_total_max: usize,
    /// Most connections at once.
    pub connections_max: usize,
    /// Most attempts of one address to open a connection, within `attempts_window_ms`.
    pub attempts_max: u32,
    /// Milliseconds over which attempts are counted.
    pub attempts_window_ms: u64,
    /// Maximum number of requests in flight of one WebSocket API connection; further ones wait to be read.
    pub requests_in_flight_max: usize,
    /// Most subscriptions of one WebSocket API connection to the events of accounts.
    pub account_subscriptions_max: usize,
}

impl Default for StreamsConfig {
    fn default() -> Self {
        Self {
            streams_max: 1_024,
            messages_per_second_max: 5,
            message_bytes_max: 64 * 1024,
            ping_interval_ms: 20_000,
            pong_timeout_ms: 60_000,
            connection_lifetime_ms: 24 * 60 * 60 * 1_000,
            send_timeout_ms: 60_000,
            send_queue_bytes_max: 256 * 1024 * 1024,
            send_queue_bytes_total_max: 512 * 1024 * 1024,
            connections_max: 10_000,
            attempts_max: 300,
            attempts_window_ms: 5 * 60 * 1_000,
            requests_in_flight_max: 128,
            account_subscriptions_max: 1_000,
        }
    }
}

/// User data streams for older clients, which ask for them with an API key and no signature.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ListenKeysConfig {
    /// Whether there are any.
    pub enabled: bool,
    /// Most listen keys at once; beyond it clients get -1008.
    pub keys_max: usize,
    /// Milliseconds that a listen key lasts after it was last asked for or kept alive.
    pub lifetime_ms: u64,
}

impl Default for ListenKeysConfig {
    fn default() -> Self {
        Self { enabled: false, keys_max: 10_000, lifetime_ms: 60 * 60 * 1_000 }
    }
}
