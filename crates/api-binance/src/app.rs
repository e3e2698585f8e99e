//! The shared state of this API.

use std::sync::Arc;

use crossbook_gateway::Gateway;

use crate::config::Config;
use crate::operations::{Latencies, Operation, Rejections, Shared, Transport};
use crate::rendered_markets::RenderedMarkets;
use crate::streams::{Connections, Hub};

/// The API, shared by all its connections.
pub struct App {
    /// The options it was started with.
    pub config: Config,
    /// Carries out what clients ask for.
    pub gateway: Arc<Gateway>,
    /// Who is subscribed to what.
    pub hub: Arc<Hub>,
    /// The markets as clients see them.
    pub markets: RenderedMarkets,
    /// How long requests to the WebSocket API took.
    pub ws_api_latencies: Latencies,
    /// Requests that were refused.
    pub rejections: Rejections,
}

impl App {
    /// Connects the API with the gateway. `hub` is the one that the publishers publish to. Metrics go to the recorder
    /// that is installed now.
    #[must_use]
    pub fn new(config: Config, gateway: Arc<Gateway>, hub: Arc<Hub>) -> Self {
        hub.budget.limit_to(config.streams.send_queue_bytes_total_max);
        let connections = Arc::clone(&hub);
        gateway.limits.on_ban(move |client| connections.disconnect(client));
        let ws_api_latencies = Latencies::over(Transport::WebSocket.name());
        Self {
            config,
            gateway,
            hub,
            markets: RenderedMarkets::default(),
            ws_api_latencies,
            rejections: Rejections::default(),
        }
    }

    /// What an operation needs beside its request.
    #[must_use]
    pub fn shared(&self) -> Shared<'_> {
        Shared {
            gateway: &self.gateway,
            streams: &self.config.streams,
            markets: &self.markets,
            hub: &self.hub,
            listen_keys: &self.config.listen_keys,
        }
    }

    /// Whether this venue has an operation.
    #[must_use]
    pub fn has(&self, operation: &Operation) -> bool {
        !operation.by_key_alone || self.config.listen_keys.enabled
    }

    /// What it takes to open a WebSocket connection.
    #[must_use]
    pub fn connections(&self) -> Connections<'_> {
        Connections { gateway: &self.gateway, hub: &self.hub, config: &self.config.streams }
    }
}
