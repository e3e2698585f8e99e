//! A venue of many processes: the roles of `crossbook gateway`, `crossbook worker` and `crossbook writer`.
//!
//! All of them read the same configuration and share nothing but the store of the logs, so any number of each may run,
//! started in any order. [`Site`] is what they have in common: the store, the routing, and the snapshots.

pub mod audit;
pub mod closing;
mod depth_cache;
pub mod durability_check;
pub mod export;
pub mod gateway;
pub mod import;
mod key_uses;
mod limit_exchange;
mod log_ends;
mod patience;
pub mod provider;
pub mod rebuild;
pub mod snapshots;
pub mod verify;
pub mod worker;
pub mod writer;

use crossbook_cluster::cut::{self, CutSource};
use crossbook_cluster::replica::Proof;
use crossbook_cluster::runtime;
use crossbook_cluster::store::{ErrorKind, Failure, StoreError, StoreReader};
use crossbook_engine::WorkBudget;
use crossbook_log::Until;
use crossbook_node::recovery::{self, Recovered, Which};
use crossbook_node::snapshot::{self, Saved as _};
use crossbook_object_store::{Address, Objects};
use crossbook_protocol::Routing;
use crossbook_store::{Database, Dialect};
use crossbook_types::{PartitionId, RequestNumber, Sequence, Timestamp};
use crossbook_views::{Limits, Views};
use std::collections::BTreeMap;

use self::patience::Patience;
use self::provider::{Link, Servers};
use crate::config::{self, Config};
use crate::{clock, listen, logging, metrics, secrets};

/// Why a role cannot start or continue.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration does not make a venue.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// The store denies access.
    #[error("the store of the logs: {0}")]
    Store(#[from] provider::Error),
    /// The store of the logs cannot be asked.
    #[error("the store of the logs: {0}")]
    Logs(#[from] Failure),
    /// Traces cannot be exported.
    #[error(transparent)]
    Traces(#[from] crossbook_otlp::Error),
    /// Snapshots cannot be read or written.
    #[error(transparent)]
    Snapshots(#[from] snapshot::Error),
    /// No place is configured for snapshots.
    #[error(
        "where are the snapshots? Set `cluster.snapshots.address` to a place that all processes share: file:///PATH or s3://BUCKET/PREFIX"
    )]
    NoSnapshots,
    /// A partition cannot be restored to its position.
    #[error(transparent)]
    Cut(#[from] cut::Error),
    /// Streams are behind what was made of them.
    #[error(transparent)]
    Behind(#[from] durability_check::Behind),
    /// The venue moves, or has moved, elsewhere.
    #[error(transparent)]
    Closed(#[from] closing::Closed),
    /// An address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] listen::Error),
    /// The clock cannot be right, or the log's last time cannot.
    #[error(transparent)]
    Clock(#[from] clock::Behind),
    /// The secret key is another than before.
    #[error(transparent)]
    Sealed(#[from] crossbook_gateway::secret::Error),
    /// The store cannot say yet what a partition has sent and received, or what is in its log is not confirmed.
    #[error(
        "the shard of partition {partition} does not answer, or too few of its replicas acknowledge; check the master and its replicas"
    )]
    NotReached {
        /// The partition.
        partition: PartitionId,
    },
    /// The store was waited for in vain.
    #[error(
        "{reason}. The start waited for {waited_ms} ms, which is cluster.start_timeout_ms, and nothing was changed; start again"
    )]
    StartTimeout {
        /// How long it waited, in milliseconds.
        waited_ms: u64,
        /// What it waited for.
        reason: Box<Error>,
    },
    /// A thread or task ended that should not have.
    #[error("the process did not stop in order; the logs are whole")]
    Disorder,
    /// The history's database is none.
    #[error(transparent)]
    History(#[from] crossbook_store::Error),
    /// Nothing to write to.
    #[error(
        "there is no history to write: set `history.database` to a database that all processes share, such as mysql://USER:PASSWORD@HOST/DATABASE"
    )]
    NoHistory,
    /// There is no admin token.
    #[error(transparent)]
    Secrets(#[from] secrets::Error),
    /// Log lines cannot be written.
    #[error(transparent)]
    Logging(#[from] logging::Error),
    /// Metrics cannot be recorded.
    #[error(transparent)]
    Metrics(#[from] metrics::Error),
    /// The system gives no thread.
    #[error("the system cannot start a thread: {0}")]
    Thread(std::io::Error),
    /// The system gives no runtime, or no signals.
    #[error("the system refused: {0}")]
    System(#[from] std::io::Error),
}

impl Error {
    /// Whether it passes when the store answers again.
    fn is_transient(&self) -> bool {
        match self {
            Self::NotReached { .. } => true,
            Self::Store(error) => error.is_transient(),
            Self::Logs(error) | Self::Cut(cut::Error::Store(error)) => error.is_transient(),
            Self::Cut(cut::Error::Recovery {
                source: recovery::Error::Log(crossbook_log::Error::Store(error)),
                ..
            }) => error.downcast_ref::<provider::Error>().is_some_and(StoreError::is_transient),
            _ => false,
        }
    }
}

impl StoreError for Error {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }

    fn is_transient(&self) -> bool {
        Self::is_transient(self)
    }
}

/// A venue's logs and snapshots, and its routing.
#[derive(Clone, Debug)]
pub struct Site {
    /// Where the logs are.
    pub servers: Servers,
    /// Which partition owns what.
    pub routing: Routing,
    /// A number that no other venue has.
    pub identity: u64,
    /// What snapshots keep.
    pub(crate) limits: Limits,
    snapshots: crossbook_object_store::Options,
    venue: String,
    patience: Patience,
}

impl Site {
    /// Finds the venue of a configuration, or creates it. Waits until the store can be reached, for a while.
    ///
    /// # Errors
    /// When the store holds a venue with another routing, or refuses the connection; [`Error::StartTimeout`].
    pub fn find(config: &Config) -> Result<Self, Error> {
        let options = &config.cluster;
        let routing = options.routing()?;
        let mut markets = options.markets.clone();
        markets.sort_unstable();
        if options.snapshots.address == Address::default() {
            return Err(Error::NoSnapshots);
        }
        let servers = Servers::new(options.redis.clone())?;
        let patience = Patience::of_ms(options.start_timeout_ms);
        let identity = patience.ask(|| Ok(servers.claim_venue(options.partitions, markets.join(" ").as_bytes())?))?;
        Ok(Self {
            servers,
            routing,
            identity,
            limits: config.views.clone(),
            snapshots: options.snapshots.clone(),
            venue: options.redis.venue.clone(),
            patience,
        })
    }

    /// The database of the history; `None` if it is disabled.
    ///
    /// # Errors
    /// When the address names no database.
    pub fn database(&self, config: &Config) -> Result<Option<Database>, Error> {
        Ok(shared_database(config)?.map(|database| database.for_log(self.identity).routed(self.routing.clone())))
    }

    /// A partition and its views, restored from the last snapshot; later commands are not replayed. Messages that it
    /// had sent by then were received, so none has to be sent again.
    ///
    /// # Errors
    /// When the snapshot is not good, and the log does not reach back to the one before.
    pub fn at_last_snapshot(&self, partition: PartitionId) -> Result<Recovered<Views>, cut::Error> {
        cut::beside_trimming(|| {
            let snapshots = self.snapshots(partition)?;
            let last = snapshots.list()?.first().copied().unwrap_or_default();
            self.restore(partition, &snapshots, last)
        })
    }

    /// A partition and its views at a place of its log, which must be durable.
    ///
    /// # Errors
    /// When neither snapshots nor the log lead there.
    pub fn at(&self, partition: PartitionId, place: Sequence) -> Result<Recovered<Views>, cut::Error> {
        self.restore(partition, &self.snapshots(partition)?, place)
    }

    fn restore(
        &self,
        partition: PartitionId,
        snapshots: &Objects,
        place: Sequence,
    ) -> Result<Recovered<Views>, cut::Error> {
        let recovered = recovery::recover(
            &self.which(partition),
            &snapshot::UpTo(snapshots, place),
            |from| self.log(partition, from),
            Until::Durable(place),
            Views::new(self.limits.clone()),
            |_| (),
        );
        recovered.map_err(|source| cut::Error::Recovery { partition, source })
    }

    /// The time of the last command in the logs of these partitions.
    ///
    /// # Errors
    /// When a shard does not answer.
    pub(crate) fn last_time(&self, partitions: &[PartitionId]) -> Result<Timestamp, Error> {
        let of = |&partition: &PartitionId| Ok(Link::connect(&self.servers, partition)?.ends()?.time);
        partitions.iter().map(of).try_fold(Timestamp(0), |last, time: Result<_, Error>| Ok(last.max(time?)))
    }

    /// The last message of `from` that a partition has durably.
    ///
    /// # Errors
    /// When its shard does not answer, or the replicas do not.
    pub fn received(&self, to: PartitionId, from: PartitionId) -> Result<RequestNumber, Error> {
        Ok(Link::connect(&self.servers, to)?.deliver(from, RequestNumber(1), &[])?)
    }
}

impl CutSource for Site {
    type Reader = StoreReader<Servers>;
    type Snapshots = Objects;

    fn which(&self, partition: PartitionId) -> Which {
        Which { partition, routing: self.routing.clone(), hash_seed: hash_seed(), work: WorkBudget::RULES }
    }

    fn confirmed_end(&self, partition: PartitionId) -> Result<Sequence, cut::Error> {
        Ok(Link::connect(&self.servers, partition)?.confirmed_end()?.tail)
    }

    fn snapshots(&self, partition: PartitionId) -> Result<Objects, cut::Error> {
        Ok(Objects::open(&self.snapshots, &self.venue, partition)?)
    }

    fn log(&self, partition: PartitionId, from: Sequence) -> StoreReader<Servers> {
        StoreReader::open(self.servers.clone(), partition, from)
    }
}

/// What these partitions must have sent before they accept anything new, of all partitions of the venue. Asked again
/// until the shards of all of them have answered: one without a proof would accept whatever its log has.
fn proofs(site: &Site, own: &[PartitionId]) -> Result<BTreeMap<PartitionId, Proof>, Error> {
    let all: Vec<PartitionId> = site.routing.all().collect();
    site.patience.ask(|| {
        let proofs = runtime::ask_proofs(&site.servers, &all)?;
        match own.iter().find(|partition| !proofs.contains_key(partition)) {
            Some(&partition) => Err(Error::NotReached { partition }),
            None => Ok(proofs),
        }
    })
}

/// Reads snapshots and logs again when a worker has trimmed them meanwhile; see [`cut::beside_trimming`].
fn beside_trimming<T>(mut read: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    cut::beside_trimming(|| match read() {
        Err(Error::Cut(error)) => Err(error),
        done => Ok(done),
    })?
}

/// The database of the history, if there is one that all processes share. SQLite in the folder of one process is not.
fn shared_database(config: &Config) -> Result<Option<Database>, Error> {
    let database = Database::new(&config.history, &config.data)?;
    Ok(database.filter(|database| database.dialect() != Dialect::Sqlite))
}

/// A random seed, so that clients cannot choose names that collide in the hash tables of this process.
fn hash_seed() -> u64 {
    let mut seed = [0; 8];
    // Without random bytes the tables work just as well, only not against malice.
    let _ = aws_lc_rs::rand::fill(&mut seed);
    u64::from_le_bytes(seed)
}
