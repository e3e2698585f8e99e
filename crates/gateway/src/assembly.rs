//! Assembles a gateway in the order of its dependencies: first what publishers and requests share, then the publishers,
//! which go to the runtime of the partitions, and last the gateway with its command port. Venues, tests, fuzzing and
//! measurements all use it.

use std::sync::Arc;

use crossbeam_channel::Sender;
use crossbook_node::{Hops, NotAccepted};
use crossbook_types::{PartitionId, RequestNumber};

use crate::command_port::CommandPort;
use crate::config::Config;
use crate::facts::{Batch, StreamSubscriber, Subscribers};
use crate::gateway::Gateway;
use crate::limits::Limits;
use crate::past::History;
use crate::pending::{Pending, Reply};
use crate::publisher::Publisher;
use crate::read_model::ReadModel;
use crate::secret::MasterKey;
use crate::traces::{Tracer, Traces};

/// A gateway that has no command port yet.
pub struct Assembly {
    config: Config,
    read_model: Arc<ReadModel>,
    pending: Arc<Pending>,
    limits: Arc<Limits>,
    traces: Traces,
}

impl Assembly {
    /// The parts that all publishers share.
    #[must_use]
    pub fn new(config: Config, read_model: ReadModel) -> Self {
        let pending = Arc::new(Pending::new(config.in_flight_max));
        let limits = Arc::new(Limits::new(config.limits.clone()));
        Self { config, read_model: Arc::new(read_model), pending, limits, traces: Traces::default() }
    }

    /// The same, with the orders traced that `tracer` chooses.
    #[must_use]
    pub fn traced(self, tracer: Option<Arc<dyn Tracer>>) -> Self {
        Self { traces: Traces::new(tracer), ..self }
    }

    /// Where the partitions note the way of orders that are traced.
    #[must_use]
    pub fn hops(&self) -> &Arc<Hops> {
        self.traces.hops()
    }

    /// What queries are answered from.
    #[must_use]
    pub fn read_model(&self) -> &Arc<ReadModel> {
        &self.read_model
    }

    /// The subscribers of the publishers: the streams, which take `facts`, and the limits, which take first fills.
    #[must_use]
    pub fn subscribers(&self, streams: Arc<dyn StreamSubscriber>, facts: Sender<Batch>) -> Subscribers {
        Subscribers { streams, facts, fills: vec![Arc::clone(&self.limits) as _] }
    }

    /// A publisher for a partition.
    ///
    /// # Panics
    /// When the read model has no such partition.
    #[must_use]
    pub fn publisher(&self, partition: PartitionId, subscribers: Subscribers) -> Publisher {
        Publisher::new(partition, &self.read_model, Arc::clone(&self.pending), subscribers)
    }

    /// Completes requests that never reached a partition's log.
    pub fn refusals(&self) -> impl Fn(RequestNumber, NotAccepted) + Send + Sync + 'static {
        let pending = Arc::clone(&self.pending);
        move |number, why| pending.complete(number, Reply::not_accepted(why))
    }

    /// The gateway, with the port that its commands go to, the key of its API secrets, and the history if there is one.
    #[must_use]
    pub fn open(
        self,
        commands: Box<dyn CommandPort>,
        master_key: MasterKey,
        history: Option<Box<dyn History>>,
    ) -> Gateway {
        let Self { config, read_model, pending, limits, traces } = self;
        Gateway::new(config, read_model, pending, limits, commands, master_key, history).traced(traces)
    }
}
