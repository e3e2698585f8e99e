//! Assembles a gateway with this API: the gateway's core, the subscriptions, and the feed that turns facts into
//! messages. Venues, tests, fuzzing and measurements all use it.

use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::Sender;
use crossbook_gateway::facts::{Batch, Subscribers};
use crossbook_gateway::publisher::Publisher;
use crossbook_gateway::secret::MasterKey;
use crossbook_gateway::traces::Tracer;
use crossbook_gateway::{CommandPort, History, ReadModel};
use crossbook_node::{Hops, NotAccepted};
use crossbook_types::{PartitionId, RequestNumber};

use crate::app::App;
use crate::config::Config;
use crate::streams::{Hub, feed};

/// A gateway with this API that has no command port yet.
pub struct Assembly {
    config: Config,
    core: crossbook_gateway::Assembly,
    hub: Arc<Hub>,
    subscribers: Subscribers,
}

impl Assembly {
    /// Starts the feed, whose thread ends with the last publisher. `fatal` is called with the reason when the feed
    /// cannot continue; it should end the process.
    ///
    /// # Errors
    /// When the system cannot start a thread.
    pub fn start(
        config: Config,
        read_model: ReadModel,
        fatal: impl Fn(String) + Send + 'static,
    ) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (core, hub) = (crossbook_gateway::Assembly::new(config.core(), read_model), Arc::new(Hub::new()));
        let (facts, thread) = feed::spawn(Arc::clone(&hub), Arc::clone(core.read_model()), fatal)?;
        Ok((Self::of(config, core, hub, facts), thread))
    }

    /// The same without a feed: the owner of the other end of `facts` receives them.
    #[must_use]
    pub fn without_feed(config: Config, read_model: ReadModel, facts: Sender<Batch>) -> Self {
        let (core, hub) = (crossbook_gateway::Assembly::new(config.core(), read_model), Arc::new(Hub::new()));
        Self::of(config, core, hub, facts)
    }

    fn of(config: Config, core: crossbook_gateway::Assembly, hub: Arc<Hub>, facts: Sender<Batch>) -> Self {
        let subscribers = core.subscribers(Arc::clone(&hub) as _, facts);
        Self { config, core, hub, subscribers }
    }

    /// The same, with the orders traced that `tracer` chooses.
    #[must_use]
    pub fn traced(self, tracer: Option<Arc<dyn Tracer>>) -> Self {
        Self { core: self.core.traced(tracer), ..self }
    }

    /// Where the partitions note the way of orders that are traced.
    #[must_use]
    pub fn hops(&self) -> &Arc<Hops> {
        self.core.hops()
    }

    /// What queries are answered from.
    #[must_use]
    pub fn read_model(&self) -> &Arc<ReadModel> {
        self.core.read_model()
    }

    /// Who is subscribed to what.
    #[must_use]
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// A publisher for a partition.
    ///
    /// # Panics
    /// When the read model has no such partition.
    #[must_use]
    pub fn publisher(&self, partition: PartitionId) -> Publisher {
        self.core.publisher(partition, self.subscribers.clone())
    }

    /// Completes requests that never reached a partition's log.
    pub fn refusals(&self) -> impl Fn(RequestNumber, NotAccepted) + Send + Sync + 'static {
        self.core.refusals()
    }

    /// The API and its gateway, with the port that commands go to, the key of the API secrets, and the history if there
    /// is one.
    #[must_use]
    pub fn open(
        self,
        commands: Box<dyn CommandPort>,
        master_key: MasterKey,
        history: Option<Box<dyn History>>,
    ) -> Arc<App> {
        let gateway = self.core.open(commands, master_key, history);
        Arc::new(App::new(self.config, Arc::new(gateway), self.hub))
    }
}
