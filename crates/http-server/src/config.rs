//! Bounds of a listener, with their names and defaults.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Bounds of a listener.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    /// Most connections at once; further ones are closed at once.
    pub connections_max: usize,
    /// Most connections of one address.
    pub connections_per_ip_max: usize,
    /// Largest request body in bytes; beyond it the answer is 413.
    pub body_bytes_max: usize,
    /// Longest path and query in bytes; beyond it the answer is 414.
    pub uri_bytes_max: usize,
    /// Bytes that the system is asked to hold for a connection until its client has read them; 0: as the system
    /// chooses.
    pub send_buffer_bytes: usize,
    /// Milliseconds a client has to make the TLS handshake, where there is one.
    pub handshake_timeout_ms: u64,
    /// Milliseconds until the next request on a connection must have arrived with its head; idle connections end then
    /// too.
    pub header_read_timeout_ms: u64,
    /// Milliseconds a client has to send the body of a request.
    pub body_read_timeout_ms: u64,
    /// Milliseconds a client may accept nothing of an answer before its connection is closed; longer where the service
    /// asks for it, see [`Service::write_timeout_min`](crate::Service::write_timeout_min).
    pub write_timeout_ms: u64,
    /// Most bytes of answers that the clients of a listener have not read; beyond it the connections of clients that do
    /// not read are closed, and then of those that read the least.
    pub unread_bytes_total_max: usize,
    /// Milliseconds between two looks at the files of certificates and of admin tokens; 0: they are read only at the
    /// start.
    pub reload_interval_ms: u64,
    /// Networks of proxies that are believed when they say, in `X-Forwarded-For`, for whom they ask.
    pub trusted_proxies: Vec<ipnet::IpNet>,
    /// Milliseconds from when a stopping gateway reports at `/readyz` that it is not ready, until it asks clients to
    /// leave.
    pub drain_ms: u64,
    /// Origins of pages that may use the client API with a browser, such as `https://example.org`; `*` for all. None:
    /// only the venue's own page.
    pub cors_origins: Vec<String>,
    /// Fewest bytes of an answer that is compressed for a client who takes gzip or br; 0: none is.
    pub compression_bytes_min: usize,
    /// Milliseconds that requests in flight get when the server stops.
    pub shutdown_timeout_ms: u64,
}

impl ServerConfig {
    /// The time between two looks at files that may be replaced; zero: none.
    #[must_use]
    pub fn reload_interval(&self) -> Duration {
        Duration::from_millis(self.reload_interval_ms)
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            connections_per_ip_max: 2_000,
            body_bytes_max: 64 * 1024,
            uri_bytes_max: 16 * 1024,
            send_buffer_bytes: 512 * 1024,
            handshake_timeout_ms: 10_000,
            header_read_timeout_ms: 60_000,
            body_read_timeout_ms: 10_000,
            write_timeout_ms: 60_000,
            unread_bytes_total_max: 256 * 1024 * 1024,
            reload_interval_ms: 10_000,
            trusted_proxies: Vec::new(),
            drain_ms: 5_000,
            cors_origins: Vec::new(),
            compression_bytes_min: 4 * 1024,
            shutdown_timeout_ms: 10_000,
        }
    }
}
