//! Countdowns: clients set them, and every gateway watches those of all accounts and ends the ones that have passed.
//!
//! The account's partition decides whether a countdown has passed, so it does no harm that several gateways ask, and a
//! gateway that fails is replaced by any other. A venue without a gateway ends nothing until one is back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbook_protocol::command::Body;
use crossbook_protocol::countdown::{Countdown, CountdownScope, SetCountdown};
use crossbook_protocol::event::Answer;
use crossbook_types::{AccountId, PartitionId, Timestamp};

use crate::auth::Security;
use crate::error::Error;
use crate::gateway::Gateway;
use crate::orders::Sender;

/// Interval at which a gateway looks for countdowns that have passed.
const CHECK_EVERY: Duration = Duration::from_millis(100);
/// After how long a countdown that still runs is asked to end again: the clock of the log may be behind this machine's,
/// and each request is a command in the log.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How many countdowns of a partition are ended in [`ASK_AGAIN_AFTER`]; the others wait.
const ENDED_AT_ONCE_MAX: usize = 256;

impl Gateway {
    /// Starts, extends or takes back a countdown of the sender's account. Gives when it passes.
    ///
    /// # Errors
    /// As [`Gateway::submit`].
    pub async fn set_countdown(
        &self,
        sender: &Sender<'_>,
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

    /// Ends countdowns that have passed, until the gateway stops. Runs on the runtime that calls it, with a task for
    /// each partition, so that one that does not answer keeps nobody else waiting.
    pub fn watch_countdowns(self: &Arc<Self>) {
        for partition in self.read_model.routing().all() {
            tokio::spawn(Arc::clone(self).watch_partition(partition));
        }
    }

    async fn watch_partition(self: Arc<Self>, partition: PartitionId) {
        let mut interval = tokio::time::interval(CHECK_EVERY);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut asked = BTreeMap::new();
        while !self.is_stopping() {
            interval.tick().await;
            let now = Instant::now();
            asked.retain(|_, since| now.duration_since(*since) < ASK_AGAIN_AFTER);
            let room = ENDED_AT_ONCE_MAX.saturating_sub(asked.len());
            let passed: Vec<Countdown> = {
                let views = self.read_model.of(partition).read();
                let passed = views.countdowns().passed(crate::clock::now());
                passed.filter(|countdown| !asked.contains_key(countdown)).take(room).collect()
            };
            for countdown in passed {
                asked.insert(countdown, now);
                tokio::spawn(Arc::clone(&self).end_countdown(countdown));
            }
        }
    }

    async fn end_countdown(self: Arc<Self>, countdown: Countdown) {
        match self.submit(Body::EndCountdown(countdown), None).await {
            // Another gateway was faster, or the clock of the log is behind.
            Ok(_) | Err(Error::Refused(_)) => {}
            Err(error) => tracing::debug!(%error, account = countdown.account.0, "a countdown is not ended yet"),
        }
    }
}
