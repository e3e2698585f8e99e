//! Cancels what an account has open when the session ends that asked for it.
//!
//! The session has a countdown in the account's partition, which its gateway extends while the session lasts and lets
//! pass when it ends. A gateway that fails extends nothing, so the countdown passes by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crossbook_gateway::Gateway;
use crossbook_gateway::auth::Identity;
use crossbook_gateway::clock::now;
use crossbook_gateway::orders::Sender;
use crossbook_protocol::countdown::CountdownScope;
use tokio::sync::oneshot;

use crate::error::ApiError;

/// The countdown of a session; how long orders outlive a gateway that fails.
const COUNTDOWN_MILLIS: u32 = 10_000;
/// Interval at which it is extended.
const EXTEND_EVERY: Duration = Duration::from_secs(3);
/// How often the end of a session is sent again when it is not accepted. After that the countdown passes by itself.
const ATTEMPTS: u32 = 5;
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// Sessions of this process that asked for it, for their numbers.
static SESSIONS: AtomicU32 = AtomicU32::new(0);

/// A session whose end cancels orders: when this is dropped, they are.
#[derive(Debug)]
pub(super) struct CancelOnDisconnect {
    /// Closed by being dropped.
    _ends: oneshot::Sender<()>,
}

/// Starts the countdown of a session of `identity`. When it runs, or why it does not, `answer` is called.
pub(super) fn start(
    gateway: Arc<Gateway>,
    identity: Identity,
    answer: impl FnOnce(Result<(), ApiError>) + Send + 'static,
) -> CancelOnDisconnect {
    let (ends, ended) = oneshot::channel();
    let number = u64::from(SESSIONS.fetch_add(1, Ordering::Relaxed));
    // Each process has a source of its own, so no two sessions of a venue have the same number.
    let scope = CountdownScope::Session(gateway.commands.source().0.rotate_left(u32::BITS) ^ number);
    tokio::spawn(async move {
        let started = set(&gateway, identity, scope, COUNTDOWN_MILLIS).await;
        let runs = started.is_ok();
        answer(started);
        if runs {
            extend_until(ended, &gateway, identity, scope).await;
            end(&gateway, identity, scope).await;
        }
    });
    CancelOnDisconnect { _ends: ends }
}

async fn set(gateway: &Gateway, identity: Identity, scope: CountdownScope, millis: u32) -> Result<(), ApiError> {
    let sender = Sender { identity, now: now(), deadline: None, trace: None };
    gateway.set_countdown(&sender, scope, Some(millis)).await?;
    Ok(())
}

async fn extend_until(mut ended: oneshot::Receiver<()>, gateway: &Gateway, identity: Identity, scope: CountdownScope) {
    while tokio::time::timeout(EXTEND_EVERY, &mut ended).await.is_err() {
        if let Err(error) = set(gateway, identity, scope, COUNTDOWN_MILLIS).await {
            let account = identity.account.0;
            tracing::warn!(account, error = %error.message, "a session's countdown is not extended");
        }
    }
}

async fn end(gateway: &Gateway, identity: Identity, scope: CountdownScope) {
    for _ in 0..ATTEMPTS {
        if set(gateway, identity, scope, 0).await.is_ok() {
            return;
        }
        tokio::time::sleep(TRY_AGAIN_AFTER).await;
    }
    tracing::warn!(account = identity.account.0, "the orders of a session that has ended wait for its countdown");
}
