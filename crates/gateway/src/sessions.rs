//! Trading sessions of markets: every gateway watches those of all markets and ends the phases whose time has come.
//!
//! The market's partition decides whether it has, so it does no harm that several gateways ask; see
//! [`countdowns`](crate::countdowns).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbook_protocol::command::Body;
use crossbook_protocol::event::Answer;
use crossbook_protocol::session::{Session, SessionChange, SessionRequest};
use crossbook_types::{Market, MarketStatus, SymbolId, Timestamp};
use crossbook_views::MarketData;

use crate::error::Error;
use crate::gateway::Gateway;

/// Interval at which a gateway looks for phases that have reached their end.
const CHECK_EVERY: Duration = Duration::from_millis(100);
/// After how long a phase that still lasts is asked to end again: the clock of the log may be behind this machine's,
/// and each request is a command in the log.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(1);

impl Gateway {
    /// The trading session of a market. `None` if its partition has not learnt of it yet.
    #[must_use]
    pub fn session(&self, market: &Market) -> Option<Session> {
        self.read_model.of_market(market).read().market(market.id).map(|data| *data.session())
    }

    /// Changes the trading session of a market.
    ///
    /// # Errors
    /// As [`Gateway::submit`].
    pub async fn change_session(&self, symbol: SymbolId, change: SessionChange) -> Result<Session, Error> {
        match self.submit(Body::Session(SessionRequest { symbol, change }), None).await?.outcome {
            Ok(Answer::SessionChanged(session)) => Ok(session),
            _ => Err(Error::Internal),
        }
    }

    /// Ends phases of sessions that have reached their end, until the gateway stops. Runs on the runtime that calls it.
    pub fn watch_sessions(self: &Arc<Self>) {
        tokio::spawn(Arc::clone(self).end_phases());
    }

    async fn end_phases(self: Arc<Self>) {
        let mut interval = tokio::time::interval(CHECK_EVERY);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut asked: BTreeMap<(SymbolId, Timestamp), Instant> = BTreeMap::new();
        while !self.is_stopping() {
            interval.tick().await;
            let (now, clock) = (Instant::now(), crate::clock::now());
            asked.retain(|_, since| now.duration_since(*since) < ASK_AGAIN_AFTER);
            let passed = self.read_model.markets(|market, _| passed(market, clock));
            for (symbol, until) in passed.into_iter().flatten() {
                if asked.insert((symbol, until), now).is_none() {
                    tokio::spawn(Arc::clone(&self).end_phase(symbol, until));
                }
            }
        }
    }

    async fn end_phase(self: Arc<Self>, symbol: SymbolId, until: Timestamp) {
        match self.change_session(symbol, SessionChange::Pass { until }).await {
            // Another gateway was faster, or the clock of the log is behind.
            Ok(_) | Err(Error::Refused(_)) => {}
            Err(error) => tracing::debug!(%error, symbol = symbol.0, "the phase of a market is not ended yet"),
        }
    }
}

/// The market and the end of its phase, if that has come. While the operator keeps the market from trading, it waits.
fn passed(market: &MarketData, now: Timestamp) -> Option<(SymbolId, Timestamp)> {
    let until = market.session().until.filter(|&until| until <= now)?;
    (market.status_of_operator() == MarketStatus::Trading).then_some((market.market().id, until))
}
