//! A venue in one process: log, partition, read model, APIs and background threads, put together by [`Builder`] and
//! taken apart in order by [`Venue::stop`].

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use crossbeam_channel::never;
use crossbook_api_admin::startup::Startup;
use crossbook_api_admin::{Admin, Metrics, Tokens};
use crossbook_api_binance::rest::Rest;
use crossbook_api_binance::{App, Assembly, shutdown};
use crossbook_gateway::publisher::Publisher;
use crossbook_gateway::secret::MasterKey;
use crossbook_gateway::traces::Tracer;
use crossbook_gateway::{Gateway, ReadModel, auth};
use crossbook_log::storage::DiskLock;
use crossbook_log::{Files, Log as _};
use crossbook_node::embedded::{self, Running, SystemClock};
use crossbook_node::{Handle, new_venue, recovery};
use crossbook_otlp::{Exporter, Origin};
use crossbook_protocol::command::{Body, RevokeApiKey};
use crossbook_store::{Database, Live};
use crossbook_types::ApiKeyId;
use crossbook_views::Registry;

use crate::active_accounts::ActiveAccounts;
use crate::config::Config;
use crate::data_folder::access::{self, Need};
use crate::data_folder::{self, DataFolder};
use crate::history::note::Note;
use crate::history::source::LogSource;
use crate::history::{self, Keeper, PARTITION, ProgressSink};
use crate::key_uses::{self, Storing};
use crate::listen::{self, Server, listen_for_admin, reserve_http, reserve_probes, serve_probes};
use crate::log_verification::{Health, Verification};
use crate::metrics::Exposition;
use crate::process::fatal;
use crate::progress::Progress;
use crate::publish_counters::PublishCounters;
use crate::restore::{self, Accepted, Restored, restore};
use crate::secrets::{self, Absent};
use crate::snapshots::{Snapshotter, Work};
use crate::{clock, console_page, durability_check, logging, web_page};

/// Why a venue cannot start, or did not stop as it should.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No data folder was named.
    #[error("where is the data? Give a folder with --data, or set `data` in the configuration")]
    NoData,
    /// The data folder cannot be used.
    #[error(transparent)]
    Folder(#[from] data_folder::Error),
    /// The data folder belongs to another user.
    #[error(transparent)]
    Access(#[from] access::Error),
    /// The venue cannot be restored.
    #[error(transparent)]
    Restore(#[from] restore::Error),
    /// The database of the history cannot be named.
    #[error(transparent)]
    History(#[from] history::Error),
    /// An address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] listen::Error),
    /// The secret key is another than before.
    #[error(
        "{0}. If that key is lost for good, `crossbook serve --revoke-lost-keys` starts anyway and revokes the API \
         keys that need it"
    )]
    Sealed(#[from] crossbook_gateway::secret::Error),
    /// There is no secret key.
    #[error(transparent)]
    Secrets(#[from] secrets::Error),
    /// An API key cannot be revoked.
    #[error("the API key {key} cannot be revoked: {source}")]
    Revocation {
        /// The public name of the API key.
        key: ApiKeyId,
        /// The underlying error.
        source: crossbook_gateway::Error,
    },
    /// The last snapshot cannot be written.
    #[error("cannot write the last snapshot: {0}")]
    Snapshot(#[from] recovery::Error),
    /// The mark beside the log cannot be written.
    #[error(transparent)]
    Mark(#[from] durability_check::Error),
    /// Traces cannot be exported.
    #[error(transparent)]
    Traces(#[from] crossbook_otlp::Error),
    /// The system gives no thread.
    #[error("the system cannot start a thread: {0}")]
    Thread(std::io::Error),
    /// The log of a new venue failed.
    #[error("cannot log the first command of the new venue: {0}")]
    FirstCommand(#[from] crossbook_node::node::Error),
    /// A thread or task ended that should not have.
    #[error("the venue did not stop in order; the log is whole, and the next start replays it")]
    Disorder,
}

/// What a venue is built from.
pub struct Builder<'a> {
    config: &'a Config,
    tokens: Tokens,
    metrics: Exposition,
    accepted: Accepted,
    demo_accounts: Option<Arc<OnceLock<Bytes>>>,
}

impl<'a> Builder<'a> {
    /// A venue of that configuration. `tokens` guard its admin API, where `metrics` are scraped.
    #[must_use]
    pub fn new(config: &'a Config, tokens: impl Into<Tokens>, metrics: Exposition) -> Self {
        Self { config, tokens: tokens.into(), metrics, accepted: Accepted::default(), demo_accounts: None }
    }

    /// Serves these accounts of a demo, in JSON, to the terminal in a browser of this machine, once they are set.
    #[must_use]
    pub fn with_demo_accounts(self, accounts: &Arc<OnceLock<Bytes>>) -> Self {
        Self { demo_accounts: Some(Arc::clone(accounts)), ..self }
    }

    /// Accepts what would otherwise refuse the start.
    #[must_use]
    pub fn accepting(self, accepted: Accepted) -> Self {
        Self { accepted, ..self }
    }

    /// Restores the venue of the configured data folder, starts it, and listens. The admin address answers from the
    /// beginning, and reports that the venue is not ready. Needs a tokio runtime with several threads around it and
    /// blocks for as long as the replay takes.
    ///
    /// # Errors
    /// When the data cannot be read, the secret key does not open what it should, or an address cannot be listened on.
    pub fn start(self, progress: &mut dyn Progress) -> Result<Venue, Error> {
        let Self { config, tokens, metrics, accepted, demo_accounts } = self;
        if config.data.as_os_str().is_empty() {
            return Err(Error::NoData);
        }
        access::check(&config.data, Need::Run)?;
        // Checked before anything is created: a key in the wrong place, a path that is no folder.
        let data = DataFolder::new(&config.data)?;
        secrets::check(&config.data, &data)?;
        if accepted.exported {
            data.forget_export()?;
        }
        data.check_not_exported()?;
        // Errors of the address that is listened on last are reported before the replay, too.
        let http = reserve_http(config)?;
        let probes = reserve_probes(config)?;
        // If the start fails, the servers end with their handles.
        let admin = listen_for_admin(config)?;
        let admin_address = admin.local_addr().unwrap_or(config.admin);
        let startup = Arc::new(Startup::default());
        let operator = Server::start("the admin API", admin, &config.gateway.server, Arc::clone(&startup));
        let probes = serve_probes(probes, &config.gateway.server, &startup)?;
        tracing::info!(admin = %admin_address, "starting; the admin address answers");

        let history = history::database(config, &data)?;
        let restored = restore(config, accepted, progress, |phase| startup.enter(phase))?;
        let key = secret_key(&config.data, restored.views.registry(), accepted)?;
        let http = http.listen()?;
        let http_address = http.local_addr().unwrap_or(config.http);
        let accounts = Arc::<ActiveAccounts>::default();
        let traces = Exporter::start(&config.traces, Origin { role: "serve", version: env!("CARGO_PKG_VERSION") })?;
        let tracer = traces.as_ref().map(Exporter::tracer);
        let (core, read_model, assembly, node) = Core::start(config, &data, restored, history, (&accounts, tracer))?;
        let past = core.history.as_ref().map(|keeper| Box::new(keeper.history().clone()) as _);
        let app = assembly.open(Box::new(node), key, past);
        app.gateway.watch_countdowns();
        app.gateway.watch_sessions();
        let uses = Arc::new(key_uses::File::open(data.key_uses(), &read_model));
        let every = Duration::from_millis(config.gateway.key_uses_interval_ms);
        let key_uses = Storing::start(&app.gateway, uses, every).map_err(Error::Thread)?;

        let clock = clock::Monitor::start(
            config.clock,
            Box::new(move || read_model.of(PARTITION).read().position().map(|cause| cause.time)),
        );
        let rest = Rest::new(Arc::clone(&app), web_page::all());
        let rest = match &demo_accounts {
            Some(accounts) => rest.with_replaceable_page(web_page::ACCOUNTS, accounts),
            None => rest,
        };
        let clients = Server::start("the client API", http, &config.gateway.server, Arc::new(rest));
        let health = Arc::clone(core.verification.health());
        let render = move || {
            accounts.record();
            metrics.render()
        };
        startup.open(admin_api(config, &app, tokens, Box::new(render), health, clock));
        tracing::info!(http = %http_address, admin = %admin_address, "the venue is open");
        let (http, admin) = (http_address, admin_address);
        Ok(Venue { data, app, core, key_uses, clients, operator, probes, traces, http, admin })
    }
}

/// The secret key of the data folder, which opens what `registry` has. One is made only where nothing is lost by that.
fn secret_key(data: &Path, registry: &Registry, accepted: Accepted) -> Result<MasterKey, Error> {
    let refuse = !accepted.lost_keys && auth::has_sealed_keys(registry);
    let key = secrets::secret_key(data, if refuse { Absent::Refuse } else { Absent::Make })?;
    if refuse {
        auth::check_master_key(registry, &key)?;
    }
    Ok(key)
}

/// The admin API, with the states of log and clock in the answer of `/readyz`.
fn admin_api(
    config: &Config,
    app: &App,
    tokens: Tokens,
    metrics: Metrics,
    health: Arc<Health>,
    clock: Arc<clock::Monitor>,
) -> Admin {
    let (gateway, bounds) = (Arc::clone(&app.gateway), config.gateway.server.clone());
    Admin::new(gateway, bounds, tokens, metrics)
        .with_console(console_page::all())
        .with_log(logging::tail())
        .with_detail("log", Box::new(move || health.as_json()))
        .with_detail("clock", Box::new(move || clock.status()))
}

/// The threads of a venue: the partition's, and those that work in the background.
struct Core {
    running: Running<Files, ProgressSink<PublishCounters<Publisher>>>,
    snapshotter: Snapshotter,
    verification: Verification,
    snapshots_lock: DiskLock,
    history: Option<Keeper>,
    history_patience: Duration,
    feed: JoinHandle<()>,
}

impl Core {
    /// Starts them on what was restored.
    fn start(
        config: &Config,
        data: &DataFolder,
        restored: Restored,
        history: Option<Database>,
        (accounts, tracer): (&Arc<ActiveAccounts>, Option<Arc<dyn Tracer>>),
    ) -> Result<(Self, Arc<ReadModel>, Assembly, Handle), Error> {
        let Restored { partition, views, log, found, snapshots_lock, snapshots, snapshot, hash_seed, lost } = restored;
        let (partition, log, views) = new_venue::begin(partition, log, views, SystemClock)?;
        let assembly = Assembly::start(config.gateway.clone(), ReadModel::single(views), fatal);
        let (assembly, feed) = assembly.map_err(Error::Thread)?;
        let assembly = assembly.traced(tracer);
        let read_model = Arc::clone(assembly.read_model());
        let live = Live::new(partition.sequence());
        let counting = {
            let (registry, publisher) = (read_model.registry(), assembly.publisher(PARTITION));
            PublishCounters::new(publisher, registry.markets(), config.metrics.markets_max, Arc::clone(accounts))
        };
        let sink = ProgressSink::new(counting, live.clone());
        let (log_path, identity, trimmer) = (data.log(), log.identity(), log.trimmer());
        let mut running =
            embedded::start_traced(partition, log, sink, config.node, assembly.hops(), fatal).map_err(Error::Thread)?;
        let node = running.handle().clone();
        let source = LogSource::new(&log_path, snapshots.clone(), live.position(), hash_seed);
        let keep = |database: Database| {
            // Once the log is trimmed, the history must not lose what the log no longer has.
            let source = source.noting(Note::of(data, identity, &database));
            Keeper::start(&database.for_log(identity).synced(config.snapshots.trim_log), source, live, fatal)
        };
        let history = history.map(keep).transpose().map_err(Error::Thread)?;
        let work = Work {
            data: data.clone(),
            folder: snapshots,
            log: log_path,
            views: Arc::clone(read_model.of(PARTITION)),
            node: node.clone(),
            trimmer,
            audits: running.take_audits().unwrap_or_else(never),
            last: snapshot,
            history: history.as_ref().map(|keeper| Arc::clone(keeper.progress())),
        };
        crate::metrics::record_snapshot(&data.snapshots());
        let bytes_per_second = config.log.verify_bytes_per_second;
        let verification = Verification::start(&work.log, identity, (&found, lost), bytes_per_second, fatal);
        let verification = verification.map_err(Error::Thread)?;
        let snapshotter = Snapshotter::start(work, config.snapshots.clone(), fatal).map_err(Error::Thread)?;
        let history_patience = config.history.stop_timeout();
        let core = Self { running, snapshotter, verification, snapshots_lock, history, history_patience, feed };
        Ok((core, read_model, assembly, node))
    }

    /// Ends them in order, and writes a snapshot of the end. Blocks.
    fn stop(self, data: &DataFolder, read_model: &ReadModel) -> Result<crossbook_types::Sequence, Error> {
        self.verification.stop();
        let stopped = self.running.stop();
        if let Some(history) = self.history {
            history.stop(self.history_patience);
        }
        let folder = self.snapshotter.stop();
        let (Some(stopped), Some(mut folder)) = (stopped, folder) else { return Err(Error::Disorder) };
        // The publisher has the feed's only sender.
        drop(stopped.sink);
        let (log, first, time) = (stopped.log.identity(), stopped.log.first(), stopped.partition.time());
        let state = stopped.partition.state();
        let sequence = state.sequence();
        let ended = self.feed.join();
        recovery::save(&mut folder, state, read_model.of(PARTITION).read().state())?;
        durability_check::record(data, &durability_check::Reach { log, first, last: sequence, time })?;
        drop((stopped.log, self.snapshots_lock));
        ended.map_err(|_| Error::Disorder)?;
        Ok(sequence)
    }
}

/// A running venue.
pub struct Venue {
    data: DataFolder,
    app: Arc<App>,
    core: Core,
    key_uses: Option<Storing>,
    clients: Server,
    operator: Server,
    probes: Option<Server>,
    traces: Option<Exporter>,
    http: SocketAddr,
    admin: SocketAddr,
}

impl Venue {
    /// The gateway.
    #[must_use]
    pub fn gateway(&self) -> &Arc<Gateway> {
        &self.app.gateway
    }

    /// Revokes the API keys whose secrets cannot be opened, by commands like the operator's.
    ///
    /// # Errors
    /// When one is not revoked.
    pub async fn revoke_lost_keys(&self) -> Result<(), Error> {
        let gateway = &self.app.gateway;
        let lost = auth::lost_keys(&gateway.read_model.registry(), gateway.keyring.master_key());
        for (account, key) in lost {
            let revoked = gateway.submit(Body::RevokeApiKey(RevokeApiKey { account, key }), None).await;
            revoked.map_err(|source| Error::Revocation { key, source })?;
            tracing::warn!(%account, %key, "revoked: its secret cannot be opened");
        }
        Ok(())
    }

    /// The address of the client API; the real port where port 0 was configured.
    #[must_use]
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// The address of the admin API.
    #[must_use]
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Stops in order: clients are served on for `drain`, then asked to leave; their requests are answered, their
    /// connections end, and a snapshot is written, so that the next start has nothing to replay. The admin address
    /// answers until then.
    ///
    /// # Errors
    /// When a thread had failed, or the snapshot cannot be written. The log is whole in any case.
    pub async fn stop(self, drain: Duration) -> Result<(), Error> {
        let Self { data, app, core, key_uses, clients, operator, probes, traces, .. } = self;
        shutdown::drain(&app, drain).await;
        tracing::info!("stopping: connections are closed");
        shutdown::close(&app, &clients.stop, clients.serving).await.map_err(|_| Error::Disorder)?;
        app.gateway.stop();
        if let Some(traces) = traces {
            traces.stop().await;
        }
        let stopped = tokio::task::spawn_blocking(move || {
            let in_order = key_uses.is_none_or(Storing::stop);
            let sequence = core.stop(&data, &app.gateway.read_model)?;
            if in_order { Ok(sequence) } else { Err(Error::Disorder) }
        });
        let sequence = stopped.await.map_err(|_| Error::Disorder)??;
        Server::stop_both(operator, probes).await.map_err(|_| Error::Disorder)?;
        tracing::info!(command = sequence.0, "stopped; a snapshot is written");
        Ok(())
    }
}
