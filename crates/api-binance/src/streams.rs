//! Market data over WebSocket, pushed as it happens.
//!
//! ```text
//!   publisher --facts--> feed --messages--> outboxes --> connections --> clients
//!                 (bounded)      via the hub     (bounded each)
//! ```
//!
//! The publisher takes down what somebody listens for ([`interest`]), the [`feed`] writes each message once, as the
//! [`frames`] that go over the wire, and puts it into the [`outbox`] of every subscriber that the [`hub`] knows, and
//! each connection ([`socket`]) empties its own. Only the last step can be slow, and what it holds up is one client.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::{Request, StatusCode};
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

pub mod attempts;
pub mod budget;
pub mod feed;
pub mod frames;
pub mod gathered;
pub mod hub;
pub mod interest;
pub mod json;
pub mod outbox;
pub mod payload;
mod periodic;
pub mod request;
pub mod session;
pub mod socket;
pub mod topic;

pub use hub::Hub;

use crate::app::App;
use crate::error::{ApiError, RateInterval};
use crate::time_unit::TimeUnit;
use crate::ws_api;
use hub::ConnectionKind;
use session::StreamSession;
use socket::Upgrade;
use topic::Topic;

/// When to try again if all places are taken.
const FULL_RETRY_SECONDS: u64 = 10;

/// Bounds of WebSocket connections.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
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
    pub lifetime_ms: u64,
    /// Milliseconds that a client may leave what waits for it unread; then it is cut off.
    pub unread_timeout_ms: u64,
    /// Most bytes that wait for one client; beyond it the client is cut off.
    pub unread_bytes_max: usize,
    /// Most bytes that wait for all clients together, each message counted once; beyond it those are cut off who have
    /// not read for longest.
    pub unread_bytes_total_max: usize,
    /// Most connections at once.
    pub connections_max: usize,
    /// Most attempts of one address to open a connection, within `attempts_window_ms`.
    pub attempts_max: u32,
    /// Milliseconds over which attempts are counted.
    pub attempts_window_ms: u64,
    /// Most requests of one WebSocket API connection that are under way; further ones wait to be read.
    pub requests_in_flight_max: usize,
    /// Most subscriptions of one WebSocket API connection to the events of accounts.
    pub account_subscriptions_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            streams_max: 1_024,
            messages_per_second_max: 5,
            message_bytes_max: 64 * 1024,
            ping_interval_ms: 20_000,
            pong_timeout_ms: 60_000,
            lifetime_ms: 24 * 60 * 60 * 1_000,
            unread_timeout_ms: 60_000,
            unread_bytes_max: 256 * 1024 * 1024,
            unread_bytes_total_max: 512 * 1024 * 1024,
            connections_max: 10_000,
            attempts_max: 300,
            attempts_window_ms: 5 * 60 * 1_000,
            requests_in_flight_max: 128,
            account_subscriptions_max: 1_000,
        }
    }
}

/// Changes a request's connection to WebSocket, if there is something to talk to at its path: streams at `/ws`,
/// `/ws/<stream>` and `/stream?streams=<stream>/<stream>`, the API at `/ws-api/v3`.
pub fn upgrade(app: &Arc<App>, ip: IpAddr, request: Request<Incoming>) -> Response {
    let (path, query) = (request.uri().path().to_owned(), request.uri().query().unwrap_or_default().to_owned());
    let upgrade = match Upgrade::asked_by(request) {
        Ok(upgrade) => upgrade,
        Err(refused) => return refused.into_response(),
    };
    let path = path.trim_end_matches('/');
    let unit = match TimeUnit::parse(query_value(&query, "timeUnit").as_deref()) {
        Ok(unit) => unit,
        Err(refused) => return refused.into_response(),
    };
    if path == "/ws-api/v3" {
        if query_value(&query, "responseFormat").is_some_and(|format| format == "sbe") {
            return ApiError::bad_request(-1155, "SBE is not enabled.").into_response();
        }
        let said = query_value(&query, "returnRateLimits").and_then(|text| text.parse().ok());
        return ws_api::open(app, ip, upgrade, said, unit);
    }
    match path.strip_prefix("/ws") {
        Some("") => return open(app, ip, upgrade, &[], false, unit),
        Some(rest) if rest.starts_with('/') => return open(app, ip, upgrade, &names_in(rest), false, unit),
        _ => {}
    }
    if path == "/stream" {
        let names = query_value(&query, "streams").map(|text| names_in(&text)).unwrap_or_default();
        return open(app, ip, upgrade, &names, true, unit);
    }
    let message = "There is no WebSocket at this path; use /ws, /stream or /ws-api/v3.";
    ApiError::with_status(StatusCode::NOT_FOUND, -1020, message).into_response()
}

/// The names between slashes, percent-decoded. What is no stream is left out: some clients open `/ws/0` and subscribe
/// later.
fn names_in(text: &str) -> Vec<String> {
    let text = percent_decode_str(text).decode_utf8_lossy();
    text.split('/').filter(|name| Topic::parse(name).is_some()).map(str::to_owned).collect()
}

/// The value of a query parameter, as it was sent.
fn query_value(query: &str, name: &str) -> Option<String> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(known, _)| *known == name).map(|(_, value)| value.to_owned())
}

/// Opens a stream connection that begins with the named streams, and on which times are told in that unit. `combined`
/// wraps each message with the name of its stream. Subscriptions hold before the client learns that it is connected, so
/// it misses nothing from then on.
pub fn open(
    app: &Arc<App>,
    ip: IpAddr,
    upgrade: Upgrade,
    names: &[String],
    combined: bool,
    unit: TimeUnit,
) -> Response {
    let config = &app.config.streams;
    if let Err(refused) = admit(app, ip) {
        return refused.into_response();
    }
    let distinct: BTreeSet<&String> = names.iter().collect();
    if distinct.len() > config.streams_max {
        let message = format!("Too many streams; a connection can have at most {}.", config.streams_max);
        return ApiError::bad_request(-1128, message).into_response();
    }
    let outbox = app.hub.budget.outbox(config.unread_bytes_max, combined);
    let membership = app.hub.connect_in(unit, ConnectionKind::Streams, ip, outbox);
    let mut session = StreamSession::new(membership, config.streams_max);
    session.subscribe(names);
    upgrade.grant(session, socket::Limits::of_streams(config))
}

/// Counts an attempt to open a connection.
///
/// # Errors
/// When the address is banned or has made too many, or too many connections are open.
pub fn admit(app: &App, ip: IpAddr) -> Result<(), ApiError> {
    let config = &app.config.streams;
    let now = app.now();
    app.limits.check_ban(ip, now)?;
    let time = app.limits.time(now);
    let attempted = app.hub.attempts.admit(ip, time, config.attempts_max, config.attempts_window_ms);
    let window = RateInterval::of_millis(config.attempts_window_ms);
    let mut admitted = attempted.map_err(|wait| ApiError::too_many_attempts(config.attempts_max, window, wait));
    if app.hub.connections() >= config.connections_max {
        admitted = Err(ApiError::too_many_connections(config.connections_max, FULL_RETRY_SECONDS));
    }
    admitted.inspect_err(|_| metrics::counter!("crossbook_websocket_connections_refused_total").increment(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_paths_and_queries() {
        let query = "timeUnit=x&streams=btcusdt%40trade%2Fbtcusdt@depth5@100ms/nonsense";
        let names = names_in(&query_value(query, "streams").unwrap());
        assert_eq!(names, ["btcusdt@trade", "btcusdt@depth5@100ms"]);
        assert!(names_in("/0").is_empty());
        assert_eq!(query_value(query, "stream"), None);
    }
}
