//! A whole venue in this process: log, partition, views, gateway and listeners, started and stopped in order.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::never;
use crossbook_api_admin::Admin;
use crossbook_api_admin::startup::{Phase, Startup as AdminStartup};
use crossbook_api_binance::rest::Rest;
use crossbook_api_binance::streams::{Hub, feed};
use crossbook_api_binance::{App, shutdown};
use crossbook_engine::Partition;
use crossbook_gateway::facts::Subscribers;
use crossbook_gateway::publisher::Publisher;
use crossbook_gateway::secret::MasterKey;
use crossbook_gateway::{Gateway, Limits, Pending, ReadModel, auth};
use crossbook_http::ServerConfig;
use crossbook_http::server::{self, Listener};
use crossbook_http::tls::{self, Handshakes, TlsConfig};
use crossbook_log::storage::DiskLock;
use crossbook_log::{FileReader, Files, Log as _, Recovery, Until, files};
use crossbook_node::embedded::{self, Running};
use crossbook_node::recovery::{self, Recovered, Which};
use crossbook_node::snapshot::{Folder, Saved as _};
use crossbook_protocol::command::{Body, RevokeApiKey};
use crossbook_store::{Database, Live};
use crossbook_types::{ApiKeyId, Sequence};
use crossbook_views::{Registry, Views};
use secrecy::SecretString;
use tokio::sync::watch;

use crate::access::{self, Need};
use crate::clock;
use crate::config::Config;
use crate::data_folder::{self, DataFolder};
use crate::evidence::{self, Evidence};
use crate::history::source::LogSource;
use crate::history::{Announcing, Keeper, PARTITION};
use crate::metrics::Exposition;
use crate::pages;
use crate::process::{fatal, spawn_vital};
use crate::progress::Progress;
use crate::secrets::{self, Absent};
use crate::snapshots::{Snapshotter, Work};
use crate::tally::Tally;
use crate::verification::Verification;

/// Why a venue cannot start, or did not stop as it should.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No data folder was named.
    #[error("where is the data? Give a folder with --data, or set `data` in the configuration")]
    NoData,
    /// The data folder cannot be one.
    #[error(transparent)]
    Folder(#[from] data_folder::Error),
    /// The log cannot be opened.
    #[error("cannot open the log in {}: {source}", path.display())]
    Log {
        /// The file or folder.
        path: PathBuf,
        /// What went wrong below.
        source: crossbook_log::Error,
    },
    /// The log is behind what is known of it.
    #[error(transparent)]
    Behind(#[from] evidence::Contradiction),
    /// What is known of the log cannot be found out.
    #[error(transparent)]
    Evidence(#[from] evidence::Error),
    /// The clock cannot be right, or the log's last time cannot.
    #[error(transparent)]
    Clock(#[from] clock::Behind),
    /// The state cannot be rebuilt.
    #[error("cannot restore the venue: {0}")]
    Recovery(#[from] recovery::Error),
    /// Snapshots cannot be read.
    #[error(transparent)]
    Snapshots(#[from] crossbook_node::snapshot::Error),
    /// The history's database is none.
    #[error(transparent)]
    History(#[from] crossbook_store::Error),
    /// The secret key is another than before.
    #[error(
        "{0}. If that key is lost for good, `crossbook serve --revoke-lost-keys` starts anyway and revokes the API keys that need it"
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
        /// What went wrong below.
        source: crossbook_gateway::Error,
    },
    /// The folder is somebody else's.
    #[error(transparent)]
    Access(#[from] access::Error),
    /// An address cannot be listened on.
    #[error(
        "cannot listen on {address}: {source}; {}. Give another address with --{setting}, or as `{setting}` in the settings",
        refused_because(source)
    )]
    Listen {
        /// The setting, whose option has the same name.
        setting: &'static str,
        /// The address of the listener.
        address: SocketAddr,
        /// What went wrong below.
        source: std::io::Error,
    },
    /// A certificate cannot be shown.
    #[error("[{section}] {source}")]
    Tls {
        /// Where it is set.
        section: &'static str,
        /// What went wrong below.
        source: Box<tls::Error>,
    },
    /// The system gives no thread.
    #[error("the system gives no thread: {0}")]
    Thread(std::io::Error),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    NoRandomness,
    /// A thread ended that should not have.
    #[error("the venue did not stop in order; the log is whole, and the next start replays it")]
    Disorder,
}

/// What is in the way of listening.
fn refused_because(error: &std::io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::AddrInUse => "another process listens there, perhaps another venue",
        ErrorKind::AddrNotAvailable => "this machine has no such address",
        ErrorKind::PermissionDenied => "ports below 1024 are for root, or for a process with CAP_NET_BIND_SERVICE",
        _ => "the system refuses it",
    }
}

/// The folder of a venue's log.
#[must_use]
pub fn log_folder(data: &Path) -> PathBuf {
    data.join("log")
}

/// The folder of a venue's snapshots.
#[must_use]
pub fn snapshot_folder(data: &Path) -> PathBuf {
    data.join("snapshots")
}

/// What the operator accepts, so that a start goes on where it would be refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Accepted {
    /// API keys whose secrets cannot be opened are left to [`Venue::revoke_lost_keys`].
    pub lost_keys: bool,
    /// Commands that the log had once and does not have now are given up; see [`evidence`].
    pub discard_newer: bool,
    /// The clock is long before the log's last command.
    pub clock: bool,
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

/// What came back from disk.
pub struct Restored {
    /// The partition.
    pub partition: Partition,
    /// Its views.
    pub views: Views,
    /// The log, open; as long as it is, nobody else can open it.
    log: Files,
    /// What opening it found.
    found: Recovery,
    /// Held for as long as snapshots are written.
    snapshots_lock: DiskLock,
    snapshots: Folder,
    snapshot: Sequence,
    hash_seed: u64,
}

/// Opens the log and brings the venue back to where it stood, and tells how far it is.
///
/// # Errors
/// When the log cannot be opened or read, is behind what is known of it, or the snapshots cannot be read.
pub fn restore(
    config: &Config,
    accepted: Accepted,
    progress: &mut dyn Progress,
    enter: impl Fn(Phase),
) -> Result<Restored, Error> {
    access::check(&config.data, Need::Run)?;
    let data = DataFolder::new(&config.data)?;
    data.check_restored()?;
    let path = data.log();
    let mut snapshots = Folder::open(&data.snapshots())?;
    let history = database(config, &data)?;
    let evidence = Evidence::gather(&data, history.as_ref())?;
    if let Some(reason) = evidence.silent() {
        tracing::warn!(
            reason,
            "the history cannot be asked whether the log has all its commands; it is asked when it answers"
        );
    }
    let contradiction = match evidence.examine(&path) {
        // The log itself says more about that when it is opened.
        Err(evidence::Error::Log(_)) => None,
        examined => examined?,
    };
    // What any of it stands for was durable. Told so, the log refuses to take damage there for a torn tail and cut it.
    let durable_at_least = match &contradiction {
        None => evidence.durable(),
        Some(_) if accepted.discard_newer => Sequence(0),
        Some(contradiction) => return Err(contradiction.clone().into()),
    };
    // Nor does a start need what is before the last snapshot, which is verified later, beside the venue. Where no
    // snapshot is good after all, the replay verifies what it reads.
    let verify_from = match contradiction {
        None => snapshots.list()?.first().copied().unwrap_or_default(),
        Some(_) => Sequence(0),
    };
    let options = files::Options { durable_at_least, verify_from, ..config.log.files() };
    let (log, found) = Files::open(&path, options).map_err(|source| Error::Log { path: path.clone(), source })?;
    if let Some(torn) = &found.torn {
        tracing::warn!(?torn, "the log ended in the middle of a write, which was never acknowledged; it was cut off");
    }
    // Usually the log's lock is enough, but the two folders need not be of the same venue: one of them may be a link.
    let snapshots_lock = snapshots.lock()?;
    if let Some(contradiction) = &contradiction {
        evidence::give_up(contradiction, (&mut snapshots, found.last), history.as_ref())?;
    }
    let mut seed = [0; 8];
    aws_lc_rs::rand::fill(&mut seed).map_err(|_| Error::NoRandomness)?;
    let hash_seed = u64::from_le_bytes(seed);
    progress.begin("replaying the log");
    enter(Phase::Replaying(Sequence(0)));
    let Recovered { partition, follower, snapshot, replayed } = recovery::recover(
        &Which::single(hash_seed),
        &snapshots,
        |from| FileReader::open(&path, from),
        Until::Durable(log.durable()),
        Views::new(config.views.clone()),
        |place| {
            enter(Phase::Replaying(place.at));
            progress.at(place);
        },
    )?;
    progress.end();
    let snapshot = snapshot.unwrap_or_default();
    clock::check(config.clock, clock::now(), partition.time(), accepted.clock)?;
    evidence::note(&data, log.identity(), partition.sequence(), partition.time())?;
    tracing::info!(command = partition.sequence().0, snapshot = snapshot.0, replayed, "the venue is restored");
    Ok(Restored { partition, views: follower, log, found, snapshots_lock, snapshots, snapshot, hash_seed })
}

/// The database of the history, if one is kept.
///
/// # Errors
/// When the address names no database, or a file that would be among those of the log or the snapshots.
pub fn database(config: &Config, data: &DataFolder) -> Result<Option<Database>, Error> {
    let database = Database::new(&config.history, data.path())?;
    if let Some(file) = database.as_ref().and_then(Database::file) {
        data.check_history_file(file)?;
    }
    Ok(database)
}

/// Keeps the address of the client API from others until [`Reserved::listen`]; connections are refused meanwhile. A
/// client in the clear from elsewhere than this machine is warned of.
///
/// # Errors
/// When somebody else listens there.
pub fn reserve_http(config: &Config) -> Result<Reserved, Error> {
    let tls = certificate("gateway.tls", &config.gateway.tls)?;
    warn_if_in_the_clear("http", config.http, tls.is_none());
    let bound = server::bind(config.http).map_err(|source| refused("http", config.http, source))?;
    Ok(Reserved { setting: "http", bound, address: config.http, tls })
}

/// Keeps the admin address of whatever process this is from others until [`Reserved::listen`], where something is
/// waited for before that. Takes no connections: a probe of a process that waits is refused.
///
/// # Errors
/// When somebody else listens there, or the certificate cannot be shown.
pub fn reserve_admin(config: &Config) -> Result<Reserved, Error> {
    let tls = certificate("gateway.admin_tls", &config.gateway.admin_tls)?;
    warn_if_in_the_clear("admin", config.admin, tls.is_none());
    let bound = server::bind(config.admin).map_err(|source| refused("admin", config.admin, source))?;
    Ok(Reserved { setting: "admin", bound, address: config.admin, tls })
}

/// See [`reserve_http`] and [`reserve_admin`].
pub struct Reserved {
    setting: &'static str,
    bound: server::Bound,
    address: SocketAddr,
    tls: Option<Handshakes>,
}

impl Reserved {
    /// Listens.
    ///
    /// # Errors
    /// When somebody else has begun to listen there.
    pub fn listen(self) -> Result<Listener, Error> {
        let listener = self.bound.listen().map_err(|source| refused(self.setting, self.address, source))?;
        Ok(listener.secured(self.tls))
    }
}

fn refused(setting: &'static str, address: SocketAddr, source: std::io::Error) -> Error {
    Error::Listen { setting, address, source }
}

/// Whoever is on the way reads keys and tokens there.
fn warn_if_in_the_clear(setting: &'static str, address: SocketAddr, in_the_clear: bool) {
    if in_the_clear && !address.ip().is_loopback() {
        let section = if setting == "admin" { "gateway.admin_tls" } else { "gateway.tls" };
        tracing::warn!(
            %address,
            "`{setting}` is reached from other machines, and speaks in the clear: set a certificate in [{section}], or let only a proxy \
             that ends TLS reach it"
        );
    }
}

/// Listens at the admin address of whatever process this is, with the certificate that is shown there, if one is.
///
/// # Errors
/// When somebody else does, or the certificate cannot be shown.
pub fn listen_for_admin(config: &Config) -> Result<Listener, Error> {
    reserve_admin(config)?.listen()
}

/// The certificate that a section of the configuration names, if it names one.
///
/// # Errors
/// When it cannot be shown.
pub fn certificate(section: &'static str, config: &TlsConfig) -> Result<Option<Handshakes>, Error> {
    config.load().map_err(|source| Error::Tls { section, source: Box::new(source) })
}

/// A listener that is served, and what ends that.
pub struct Server {
    /// The task that serves.
    pub serving: tokio::task::JoinHandle<()>,
    /// Ends it when `true` is sent.
    pub stop: watch::Sender<bool>,
}

impl Server {
    /// Serves a listener. When what is returned is dropped, it ends too.
    pub fn start<S: server::Service>(
        name: &'static str,
        listener: Listener,
        bounds: &ServerConfig,
        service: Arc<S>,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        Self { serving: spawn_vital(name, server::serve(listener, bounds.clone(), service, stopped)), stop }
    }

    /// Ends it, once what was asked is answered.
    ///
    /// # Errors
    /// When the task has panicked.
    pub async fn stop(self) -> Result<(), Error> {
        let _ = self.stop.send(true);
        self.serving.await.map_err(|_| Error::Disorder)
    }
}

/// A running venue.
pub struct Venue {
    data: DataFolder,
    app: Arc<App>,
    running: Running<Files, Announcing<Tally<Publisher>>>,
    snapshotter: Snapshotter,
    verification: Verification,
    snapshots_lock: DiskLock,
    history: Option<Keeper>,
    history_patience: Duration,
    feed: JoinHandle<()>,
    clients: Server,
    operator: Server,
    http: SocketAddr,
    admin: SocketAddr,
}

impl Venue {
    /// Restores the venue of the configured data folder, starts it, and listens. The admin address answers from the
    /// beginning, and says that the venue is not ready. Needs a tokio runtime with several threads around it and may
    /// block for as long as the replay takes. `token` guards the admin API.
    ///
    /// # Errors
    /// When the data cannot be read, the secret key does not open what it should, or an address cannot be listened on.
    pub fn start(
        config: &Config,
        token: SecretString,
        accepted: Accepted,
        metrics: Exposition,
        progress: &mut dyn Progress,
    ) -> Result<Self, Error> {
        if config.data.as_os_str().is_empty() {
            return Err(Error::NoData);
        }
        access::check(&config.data, Need::Run)?;
        // Found before anything is made: a key in the wrong place, a folder that is none.
        let data = DataFolder::new(&config.data)?;
        secrets::check_new(&config.data, &data)?;
        // Also what is wrong with what listens last is told before a replay.
        let http = reserve_http(config)?;
        let bounds = &config.gateway.server;
        // Should the start fail, the servers go, too.
        let admin = listen_for_admin(config)?;
        let admin_address = admin.local_addr().unwrap_or(config.admin);
        let front = Arc::new(AdminStartup::default());
        let operator = Server::start("the admin API", admin, bounds, Arc::clone(&front));
        tracing::info!(admin = %admin_address, "starting; the admin address answers");

        let history = database(config, &data)?;
        let restored = restore(config, accepted, progress, |phase| front.enter(phase))?;
        let Restored { partition, views, log, found, snapshots_lock, snapshots, snapshot, hash_seed } = restored;
        let key = secret_key(&config.data, views.registry(), accepted)?;
        let http = http.listen()?;
        let http_address = http.local_addr().unwrap_or(config.http);

        let read_model = Arc::new(ReadModel::single(views));
        let clock = {
            let read_model = Arc::clone(&read_model);
            let last = move || read_model.of(PARTITION).read().position().map(|cause| cause.time);
            clock::Monitor::start(config.clock, Box::new(last))
        };
        let (pending, hub) = (Arc::new(Pending::new(config.gateway.in_flight_max)), Arc::new(Hub::new()));
        let limits = Arc::new(Limits::new(config.gateway.limits.clone()));
        let (sender, feed) = feed::spawn(Arc::clone(&hub), Arc::clone(&read_model), fatal).map_err(Error::Thread)?;
        let subscribers = Subscribers { streams: hub.clone(), facts: sender, fills: vec![limits.clone()] };
        let publisher = Publisher::new(PARTITION, &read_model, Arc::clone(&pending), subscribers);
        let live = Live::new(partition.sequence());
        let listed: Vec<_> = read_model.registry().markets().iter().map(|market| (market.id, market.symbol)).collect();
        let counting = Tally::new(publisher, listed, config.metrics.markets_max);
        let outlet = Announcing::new(counting, live.clone());
        let (log_path, identity) = (data.log(), log.identity());
        let trimmer = log.trimmer();
        let mut running = embedded::start(partition, log, outlet, config.node, fatal).map_err(Error::Thread)?;
        let node = running.handle().clone();
        let source = LogSource::new(&log_path, snapshots.clone(), live.position(), hash_seed);
        let keep = |database: Database| {
            // Once the log is trimmed, the history must not forget what the log no longer has.
            Keeper::start(&database.for_log(identity).synced(config.snapshots.trim_log), source, live, fatal)
        };
        let history = history.map(keep).transpose().map_err(Error::Thread)?;
        let work = Work {
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
        let verification = Verification::start(&work.log, identity, &found, bytes_per_second, fatal);
        let verification = verification.map_err(Error::Thread)?;
        let health = Arc::clone(verification.health());
        let snapshotter = Snapshotter::start(work, config.snapshots.clone(), fatal).map_err(Error::Thread)?;
        let past =
            history.as_ref().map(|keeper| Box::new(keeper.history().clone()) as Box<dyn crossbook_gateway::History>);
        let core = config.gateway.core();
        let gateway = Arc::new(Gateway::new(core, read_model, pending, limits, Box::new(node), key, past));
        let app = Arc::new(App::new(config.gateway.clone(), Arc::clone(&gateway), hub));

        let rest = Arc::new(Rest::new(Arc::clone(&app), pages::all()));
        let clients = Server::start("the client API", http, bounds, rest);
        let admin = Admin::new(gateway, bounds.clone(), token, Box::new(move || metrics.render()));
        front.open(
            admin
                .with_detail("log", Box::new(move || health.as_json()))
                .with_detail("clock", Box::new(move || clock.status())),
        );
        tracing::info!(http = %http_address, admin = %admin_address, "the venue is open");
        Ok(Self {
            data,
            app,
            running,
            snapshotter,
            verification,
            snapshots_lock,
            history,
            history_patience: config.history.stop_timeout(),
            feed,
            clients,
            operator,
            http: http_address,
            admin: admin_address,
        })
    }

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

    /// Where the client API listens; the real port where port 0 was asked for.
    #[must_use]
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Where the admin API listens.
    #[must_use]
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Stops in order: clients are served for as long as it `drain`s, then asked to leave; what they have asked is
    /// answered, their connections end, and a snapshot is written, so that the next start has nothing to replay. The
    /// admin address answers until then.
    ///
    /// # Errors
    /// When a part had failed, or the snapshot cannot be written. The log is whole in any case.
    pub async fn stop(self, drain: Duration) -> Result<(), Error> {
        shutdown::drain(&self.app, drain).await;
        tracing::info!("stopping: connections are closed");
        let Server { serving, stop } = self.clients;
        shutdown::close(&self.app, &stop, serving).await.map_err(|_| Error::Disorder)?;
        self.app.gateway.stop();
        let (running, snapshotter, feed) = (self.running, self.snapshotter, self.feed);
        let (history, patience) = (self.history, self.history_patience);
        let (snapshots_lock, verification) = (self.snapshots_lock, self.verification);
        let taken_apart = tokio::task::spawn_blocking(move || {
            verification.stop();
            let stopped = running.stop();
            if let Some(history) = history {
                history.stop(patience);
            }
            (stopped, snapshotter.stop())
        });
        let (stopped, folder) = taken_apart.await.map_err(|_| Error::Disorder)?;
        let (Some(stopped), Some(mut folder)) = (stopped, folder) else { return Err(Error::Disorder) };
        // The publisher holds the feed's only sender.
        drop(stopped.outlet);
        let state = stopped.partition.state();
        let sequence = state.sequence();
        let (app, data) = (self.app, self.data);
        let (time, identity) = (stopped.partition.time(), stopped.log.identity());
        let written = tokio::task::spawn_blocking(move || {
            let ended = feed.join();
            let views = app.gateway.read_model.of(PARTITION).read().state();
            recovery::save(&mut folder, state, views)?;
            evidence::note(&data, identity, sequence, time)?;
            drop((stopped.log, snapshots_lock));
            ended.map_err(|_| Error::Disorder)
        });
        written.await.map_err(|_| Error::Disorder)??;
        self.operator.stop().await?;
        tracing::info!(command = sequence.0, "stopped; a snapshot is written");
        Ok(())
    }
}
