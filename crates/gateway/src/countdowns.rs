//! Countdowns: clients set them, and every gateway watches those of all accounts and ends the ones that have passed.
//!
//! The account's partition decides whether a countdown has passed, so it does no harm that several gateways ask, and a
//! gateway that fails is replaced by any other. A venue without a gateway ends nothing until one is back.

use std::sync::Arc;
use std::time::Duration;

use crossbook_protocol::command::Body;
use crossbook_protocol::countdown::{Countdown, CountdownScope, SetCountdown};
use crossbook_protocol::event::Answer;
use crossbook_types::{AccountId, Timestamp};

use crate::auth::Security;
use crate::clock::now;
use crate::error::Error;
use crate::gateway::Gateway;
use crate::orders::Sender;

/// Interval at which a gateway looks for countdowns that have passed.
const CHECK_EVERY: Duration = Duration::from_millis(100);
/// How many countdowns of a partition are ended at one look; the others wait for the next.
const ENDED_AT_ONCE_MAX: usize = 256;

impl Gateway {
    /// Starts, extends or takes back a countdown of the sender's account. Gives when it passes.
    ///
    /// # Errors
    /// As [`Gateway::submit`].
    pub async fn set_countdown(
        &self,
        sender: &Sender,
        scope: CountdownScope,
        after_millis: Option<u32>,
    ) -> Result<Option<Timestamp>, Error> {
        sender.identity.require(Security::Trade)?;
        let account = sender.identity.account;
        let body = Body::SetCountdown(SetCountdown { account, scope, after_millis });
        match self.submit(body, sender.deadline).await?.outcome {
            Ok(Answer::CountdownSet { until }) => Ok(until),
            _ => Err(Error::Internal),
        }
    }

    /// The countdowns of an account, by scope.
    #[must_use]
    pub fn countdowns(&self, account: AccountId) -> Vec<Countdown> {
        self.read_model.of_account(account).read().countdowns().of(account).collect()
    }

    /// Ends countdowns that have passed, until the gateway stops. Run it on the gateway's runtime.
    pub async fn watch_countdowns(self: Arc<Self>) {
        let mut interval = tokio::time::interval(CHECK_EVERY);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !self.is_stopping() {
            interval.tick().await;
            self.end_passed(now()).await;
        }
    }

    /// Ends the countdowns that seem to have passed. What a partition does not take now is tried again at the next
    /// look.
    async fn end_passed(&self, now: Timestamp) {
        for (_, views) in self.read_model.all() {
            let passed: Vec<Countdown> = views.read().countdowns().passed(now).take(ENDED_AT_ONCE_MAX).collect();
            for countdown in passed {
                match self.submit(Body::EndCountdown(countdown), None).await {
                    // Another gateway was faster, or the clock of the log is behind.
                    Ok(_) | Err(Error::Refused(_)) => {}
                    Err(error) => {
                        tracing::debug!(%error, account = countdown.account.0, "a countdown is not ended yet")
                    }
                }
            }
        }
    }
}
