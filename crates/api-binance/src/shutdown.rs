//! Drains a gateway without refusing anybody. First, `/readyz` reports that the gateway is draining, and everything
//! else is served as before, because a load balancer needs time to notice. Then clients are asked to leave, by
//! `Connection: close` on answers and the event `serverShutdown` on WebSockets, and have some time for it. Then the
//! remaining connections are closed. Requests that arrived by then are answered.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{sleep, timeout};

use crossbook_gateway::clock::now;

use crate::app::App;

/// How long clients that were asked to leave have to do it by themselves; never longer than the gateway drained before.
const FAREWELL: Duration = Duration::from_secs(1);
/// How often it checks whether the last WebSocket is closed.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Waits until clients have had the time to leave: `drain` from when `/readyz` reports it, and then a short time from
/// when they are asked to leave. Everybody is served meanwhile.
pub async fn drain(app: &App, drain: Duration) {
    app.gateway.drain();
    if !drain.is_zero() {
        tracing::info!(
            drain_ms = drain.as_millis(),
            "draining: /readyz reports not ready, and clients are still served"
        );
        sleep(drain).await;
    }
    app.gateway.ask_to_leave();
    app.hub.announce_shutdown(now());
    sleep(FAREWELL.min(drain)).await;
}

/// Closes the connections of clients: no new ones are accepted by `server`, which `stop` ends, and those that are open
/// end when what was asked is answered, or after `gateway.server.shutdown_timeout_ms`. Requests can still be carried
/// out until this returns.
///
/// # Errors
/// When the server panicked.
pub async fn close(app: &App, stop: &watch::Sender<bool>, server: JoinHandle<()>) -> Result<(), JoinError> {
    app.gateway.drain();
    app.gateway.ask_to_leave();
    app.hub.shut_down(now());
    let _ = stop.send(true);
    let websockets = async {
        while app.hub.connections() > 0 {
            sleep(LOOK_EVERY).await;
        }
    };
    let patience = Duration::from_millis(app.config.server.shutdown_timeout_ms);
    let (server, closed) = tokio::join!(server, timeout(patience, websockets));
    if closed.is_err() {
        tracing::warn!(open = app.hub.connections(), "some WebSockets were still open when the time to stop was over");
    }
    server
}
