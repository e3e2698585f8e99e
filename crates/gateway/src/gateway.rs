//! The gateway: what the codecs of all APIs share. It checks and sends commands, answers queries from the read model,
//! and knows nothing of how a request travelled or how its answer is written.
//!
//! A command is answered by the market's partition; the account's partition settles its trades a little later. A query
//! about an account therefore first waits until the read model has all of that ([`Gateway::caught_up`]); in a venue of
//! one partition there is nothing to wait for.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use crossbook_node::{NotAccepted, Request};
use crossbook_protocol::command::Body;
use crossbook_protocol::event::Answer;
use crossbook_types::{AccountId, Asset, Market, MarketStatus, Timestamp};
use metrics::Counter;

use crate::auth::Keyring;
use crate::command_port::{CommandPort, Subject};
use crate::config::Config;
use crate::error::Error;
use crate::limits::Limits;
use crate::past::{History, Past};
use crate::pending::{Pending, Reply};
use crate::read_model::ReadModel;
use crate::secret::MasterKey;
use crate::traces::{Trace, Traces};

/// The gateway, shared by all APIs and their connections.
pub struct Gateway {
    /// The options it was started with.
    pub config: Config,
    /// What queries are answered from.
    pub read_model: Arc<ReadModel>,
    /// The requests that wait.
    pub pending: Arc<Pending>,
    /// Where commands go.
    pub commands: Box<dyn CommandPort>,
    /// Request weights, order counts and bans.
    pub limits: Arc<Limits>,
    /// What is older than memory.
    pub past: Past,
    /// Secrets of API keys, ready to check signatures with.
    pub keyring: Keyring,
    /// The orders that are traced.
    pub traces: Traces,
    orders_accepted: Counter,
    busy_at_node: Counter,
    stage: AtomicU8,
}

/// The state of a gateway's shutdown. It only moves forward.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
enum Stage {
    /// Open to all.
    Open,
    /// Readiness checks report that no new clients are wanted; those that connect are served.
    Draining,
    /// Clients are asked to leave, and served until they do.
    Leaving,
    /// What would change something is refused.
    Stopping,
}

impl Gateway {
    /// Connects the parts. `read_model`, `pending` and `limits` are those of the publishers that the partitions report
    /// to. Metrics go to the recorder that is installed now.
    #[must_use]
    pub fn new(
        config: Config,
        read_model: Arc<ReadModel>,
        pending: Arc<Pending>,
        limits: Arc<Limits>,
        commands: Box<dyn CommandPort>,
        master_key: MasterKey,
        history: Option<Box<dyn History>>,
    ) -> Self {
        pending.set_source(commands.source());
        let keyring = Keyring::new(master_key, config.cached_keys_max);
        let past = Past::new(history, config.history_queries_max, Duration::from_millis(config.history_wait_ms));
        let orders_accepted = metrics::counter!("crossbook_orders_accepted_total");
        let busy_at_node = metrics::counter!("crossbook_overload_rejections_total", "stage" => "node");
        let stage = AtomicU8::new(Stage::Open as u8);
        let traces = Traces::default();
        Self {
            config,
            read_model,
            pending,
            commands,
            limits,
            past,
            keyring,
            traces,
            orders_accepted,
            busy_at_node,
            stage,
        }
    }

    /// The same, with the traces whose hops its partitions note.
    #[must_use]
    pub fn traced(self, traces: Traces) -> Self {
        Self { traces, ..self }
    }

    /// The market of that name.
    ///
    /// # Errors
    /// When there is none.
    pub fn market(&self, name: &str) -> Result<Market, Error> {
        self.read_model.market_named(name).ok_or(Error::UnknownSymbol)
    }

    /// All markets that are not delisted, by number, with the status that clients are shown.
    #[must_use]
    pub fn markets(&self) -> Vec<Market> {
        let markets = self.read_model.registry().markets().to_vec();
        let listed = markets.into_iter().filter(|market| market.status != MarketStatus::Delisted);
        listed.map(|market| self.read_model.shown(market)).collect()
    }

    /// All assets, by number.
    #[must_use]
    pub fn assets(&self) -> Vec<Asset> {
        self.read_model.registry().assets().to_vec()
    }

    /// Sends a command to its partition and waits for its durable outcome. Past `deadline` it is not accepted. A change
    /// of the registry has reached every partition when this returns.
    ///
    /// # Errors
    /// [`Error::Busy`] if too many requests are in flight or the partition is known not to answer, [`Error::Stopping`],
    /// [`Error::Late`] if the deadline passed first, [`Error::Refused`], and [`Error::OutcomeUnknown`] if no outcome
    /// arrived in time: only then the command may still take effect.
    pub async fn submit(&self, body: Body, deadline: Option<Timestamp>) -> Result<Reply, Error> {
        self.submit_traced(body, deadline, None).await
    }

    /// As [`Gateway::submit`], for an order that may be traced.
    ///
    /// # Errors
    /// As [`Gateway::submit`].
    pub(crate) async fn submit_traced(
        &self,
        body: Body,
        deadline: Option<Timestamp>,
        trace: Option<&Trace>,
    ) -> Result<Reply, Error> {
        if self.is_stopping() {
            return Err(Error::Stopping);
        }
        let Some(mut ticket) = self.pending.open() else {
            metrics::counter!("crossbook_overload_rejections_total", "stage" => "gateway").increment(1);
            return Err(Error::Busy);
        };
        let followed = trace.map(|trace| (trace, trace.sends(ticket.number)));
        self.commands.submit(Request { number: ticket.number, body, deadline }).map_err(not_accepted)?;
        let patience = Duration::from_millis(self.config.reply_timeout_ms);
        let Ok(Ok(reply)) = tokio::time::timeout(patience, &mut ticket.receiver).await else {
            return Err(Error::OutcomeUnknown);
        };
        if let Some((trace, followed)) = followed {
            trace.is_replied(&reply, &followed);
        }
        match &reply.outcome {
            Err(why) => Err(not_accepted(*why)),
            Ok(Answer::Refused(refusal)) => Err(Error::Refused(*refusal)),
            Ok(answer) => {
                if changes_registry(answer) {
                    // It is done whether or not the other partitions have followed in time.
                    let _ = self.caught_up(Subject::Registry).await;
                }
                Ok(reply)
            }
        }
    }

    /// Refuses a new order before it is parsed, when there are too many: so the excess orders of an overload cost
    /// little, and the admitted orders do not wait for them. The request counts all the same, so a sender that
    /// continues for long enough is banned.
    ///
    /// # Errors
    /// If a new order is to be refused now: [`Error::Limit`] if the sender is at its limit, else [`Error::Stopping`],
    /// else [`Error::Busy`].
    pub fn admit_order(&self, ip: IpAddr, now: Timestamp) -> Result<(), Error> {
        if !self.commands.refuses_orders() {
            return Ok(());
        }
        self.limits.charge(ip, 1, now)?;
        if self.is_stopping() {
            return Err(Error::Stopping);
        }
        self.commands.refused_order();
        self.busy_at_node.increment(1);
        Err(Error::Busy)
    }

    /// Counts an order that was taken.
    pub(crate) fn count_accepted_order(&self) {
        self.orders_accepted.increment(1);
    }

    /// Waits until the read model has everything of `subject` that anyone was answered or sent before.
    ///
    /// # Errors
    /// [`Error::Busy`] if a partition that is asked does not answer in time.
    pub async fn caught_up(&self, subject: Subject) -> Result<(), Error> {
        let Some(caught_up) = self.commands.caught_up(subject) else { return Ok(()) };
        let patience = Duration::from_millis(self.config.reply_timeout_ms);
        match tokio::time::timeout(patience, caught_up).await {
            Ok(caught_up) => caught_up.map_err(not_accepted),
            Err(_) => Err(not_accepted(NotAccepted::Silent)),
        }
    }

    /// Waits until the account's partition knows what the registry's has answered before.
    ///
    /// # Errors
    /// [`Error::OutcomeUnknown`] if one of them does not say so in time.
    pub async fn known_to_partition_of(&self, account: AccountId) -> Result<(), Error> {
        let known = match self.caught_up(Subject::Registry).await {
            Ok(()) => self.caught_up(Subject::Account(account)).await,
            behind => behind,
        };
        known.map_err(|_| Error::OutcomeUnknown)
    }

    /// From now on the gateway is not ready for new clients, and serves all.
    pub fn drain(&self) {
        self.enter(Stage::Draining);
    }

    /// From now on each answer over HTTP ends its connection, so that clients go elsewhere.
    pub fn ask_to_leave(&self) {
        self.enter(Stage::Leaving);
    }

    /// From now on requests that would change something are refused; those in flight are finished.
    pub fn stop(&self) {
        self.enter(Stage::Stopping);
    }

    /// Whether the gateway is draining or stopping, and not ready for new clients.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.has_come_to(Stage::Draining)
    }

    /// Whether clients are asked to leave.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.has_come_to(Stage::Leaving)
    }

    /// Whether the gateway is stopping.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.has_come_to(Stage::Stopping)
    }

    fn enter(&self, stage: Stage) {
        self.stage.fetch_max(stage as u8, Ordering::Relaxed);
    }

    fn has_come_to(&self, stage: Stage) -> bool {
        self.stage.load(Ordering::Relaxed) >= stage as u8
    }
}

/// Whether an answer is about a change that every partition follows.
fn changes_registry(answer: &Answer) -> bool {
    matches!(
        answer,
        Answer::AssetListed(_)
            | Answer::MarketListed(_)
            | Answer::MarketChanged(_)
            | Answer::AccountOpened(_)
            | Answer::TradeGroupSet(_)
            | Answer::FeesSet
            | Answer::FrozenSet
    )
}

/// Why a request was not accepted, as an error for its sender.
#[must_use]
pub fn not_accepted(why: NotAccepted) -> Error {
    match why {
        NotAccepted::Busy => {
            metrics::counter!("crossbook_overload_rejections_total", "stage" => "node").increment(1);
            Error::Busy
        }
        NotAccepted::Silent => {
            metrics::counter!("crossbook_overload_rejections_total", "stage" => "partition").increment(1);
            Error::Busy
        }
        NotAccepted::Closed => Error::Closed,
        NotAccepted::Stopping => Error::Stopping,
        NotAccepted::Late => Error::Late,
    }
}
