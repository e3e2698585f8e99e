//! Market data over WebSocket, pushed as it happens.
//!
//! ```text
//!   publisher --facts--> feed --messages--> outboxes --> connections --> clients
//!                 (bounded)      via the hub     (bounded each)
//! ```
//!
//! The publisher collects the facts that have subscribers. The [`feed`] encodes each message once, as the [`frames`]
//! that go over the wire, and puts it into the [`outbox`] of every subscriber in the [`hub`]. Each connection
//! ([`socket`]) sends its own outbox. Only that last step can be slow, and it delays only one client.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use axum::response::Response;
use crossbook_gateway::Gateway;
use crossbook_gateway::clock::now;

pub mod connection_attempts;
pub mod depth_update;
pub mod feed;
pub mod frames;
pub mod hub;
pub mod outbox;
pub mod payload;
mod periodic;
pub mod request;
pub mod send_budget;
pub mod session;
pub mod socket;
pub mod topic;

pub use hub::Hub;

use crate::config::StreamsConfig;
use crate::error::{self, ApiError, RateInterval};
use crate::time_unit::TimeUnit;
use hub::ConnectionKind;
use outbox::Outbox;
use session::StreamSession;
use socket::Upgrade;

/// When to try again if all places are taken.
const FULL_RETRY_SECONDS: u64 = 10;

/// What it takes to open a connection.
#[derive(Clone, Copy)]
pub struct Connections<'a> {
    /// Whose limits count.
    pub gateway: &'a Gateway,
    /// Which connections are open.
    pub hub: &'a Arc<Hub>,
    /// How many there may be.
    pub config: &'a StreamsConfig,
}

impl Connections<'_> {
    /// Opens a stream connection that begins with the named streams and has times in that unit. `combined` wraps each
    /// message with the name of its stream. Subscriptions are active before the client learns that it is connected, so
    /// it misses nothing from then on.
    pub fn open(self, ip: IpAddr, upgrade: Upgrade, names: &[String], combined: bool, unit: TimeUnit) -> Response {
        let Self { hub, config, .. } = self;
        if let Err(refused) = self.admit(ip) {
            return error::respond(&refused);
        }
        let distinct: BTreeSet<&String> = names.iter().collect();
        if distinct.len() > config.streams_max {
            let message = format!("Too many streams; a connection can have at most {}.", config.streams_max);
            return error::respond(&ApiError::bad_request(-1128, message));
        }
        let outbox = Outbox::new(&hub.budget, config.send_queue_bytes_max, combined);
        let membership = hub.connect_in(unit, ConnectionKind::Streams, ip, outbox);
        let mut session = StreamSession::new(membership, config.streams_max);
        session.subscribe(names);
        upgrade.grant(session, socket::Limits::of_streams(config))
    }

    /// Counts an attempt to open a connection.
    ///
    /// # Errors
    /// When the address is banned or has made too many, or too many connections are open.
    pub fn admit(self, ip: IpAddr) -> Result<(), ApiError> {
        let Self { gateway, hub, config } = self;
        let now = now();
        gateway.limits.check_ban(ip, now)?;
        let time = gateway.limits.time(now);
        let attempted = hub.attempts.admit(ip, time, config.attempts_max, config.attempts_window_ms);
        let window = RateInterval::of_millis(config.attempts_window_ms);
        let mut admitted = attempted.map_err(|wait| ApiError::too_many_attempts(config.attempts_max, window, wait));
        if hub.connections() >= config.connections_max {
            admitted = Err(ApiError::too_many_connections(config.connections_max, FULL_RETRY_SECONDS));
        }
        admitted.inspect_err(|_| metrics::counter!("crossbook_websocket_connections_refused_total").increment(1))
    }
}
