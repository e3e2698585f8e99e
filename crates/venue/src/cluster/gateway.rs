//! `crossbook gateway`: the client API and the admin API of a cluster. A gateway stores nothing itself: it builds the
//! read model by applying the logs of the partitions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbook_api_admin::startup::Startup as AdminStartup;
use crossbook_api_admin::{Admin, Metrics, Tokens};
use crossbook_api_binance::rest::Rest;
use crossbook_api_binance::startup::Startup;
use crossbook_api_binance::{App, Assembly, shutdown};
use crossbook_cluster::LogClient;
use crossbook_cluster::client::{self, Behind, PartitionState, Running, Start, Venue as Place};
use crossbook_cluster::cut::{self, CutSource as _};
use crossbook_gateway::command_port::{CommandPort, PartitionStatus, Soon, Subject};
use crossbook_gateway::secret::MasterKey;
use crossbook_gateway::{ReadModel, auth};
use crossbook_http::ServerConfig;
use crossbook_node::embedded::{self, AuditReport};
use crossbook_node::recovery::Recovered;
use crossbook_node::{NotAccepted, Request, new_venue};
use crossbook_otlp::{Exporter, Origin};
use crossbook_protocol::Routing;
use crossbook_store::{Database, History, Progress};
use crossbook_types::{PartitionId, Sequence, SourceId};
use crossbook_views::{Registry, Views};
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::depth_cache::StoredDepths;
use super::key_uses::Shared;
use super::limit_exchange::LimitExchange;
use super::{Error, Site, closing, durability_check};
use crate::active_accounts::ActiveAccounts;
use crate::clock;
use crate::config::Config;
use crate::key_uses::Storing;
use crate::listen::{Reserved, Server, reserve_admin, reserve_http, reserve_probes, serve_probes};
use crate::metrics::{Build, Exposition};
use crate::publish_counters::PublishCounters;
use crate::secrets::{self, Absent, AdminTokens};
use crate::{console_page, logging, metrics, process, web_page};

/// The minimum interval at which the tables are queried for their position.
const WATCH_EVERY_MIN: std::time::Duration = std::time::Duration::from_millis(20);

/// Runs a gateway until SIGTERM or Ctrl-C. With `accept_clock` it starts even if the clock is long before the logs'
/// last command.
///
/// # Errors
/// When it cannot start or does not stop in order.
pub fn run(config: &Config, accept_clock: bool, build: &Build) -> Result<(), Error> {
    let tokens = AdminTokens::find()?;
    logging::start(&config.logging)?;
    let recorder = metrics::install(metrics::Role::Gateway, build)?;
    // Errors in the addresses are reported before it waits for the store.
    let listeners = Listeners::reserve(config)?;
    process::runtime()?.block_on(async {
        let mut stop = std::pin::pin!(process::stop_requested(|| ())?);
        process::spawn_vital("the task that keeps the metrics up", recorder.clone().keep_up(None));
        let of = config.clone();
        let shared = tokens.shared();
        let every = config.gateway.server.reload_interval();
        process::spawn_vital("the task that reads the admin tokens", tokens.follow(every));
        let front = listeners.open(&config.gateway.server)?;
        let start = move || {
            let site = Site::find(&of)?;
            closing::check_open(&site)?;
            Gateway::start(&of, &site, front, shared, recorder, accept_clock)
        };
        let gateway = process::start(stop.as_mut(), start).await?;
        gateway.stop(stop.await.drain(config)).await?;
        Ok(())
    })
}

/// The addresses of a gateway.
struct Listeners {
    http: Reserved,
    admin: Reserved,
    probes: Option<Reserved>,
}

impl Listeners {
    fn reserve(config: &Config) -> Result<Self, Error> {
        Ok(Self { http: reserve_http(config)?, admin: reserve_admin(config)?, probes: reserve_probes(config)? })
    }

    /// Answers at the admin address and that for probes, before the store is waited for.
    fn open(self, bounds: &ServerConfig) -> Result<Front, Error> {
        let startup = Arc::new(AdminStartup::default());
        let operator = Server::start("the admin API", self.admin.listen()?, bounds, Arc::clone(&startup));
        let probes = serve_probes(self.probes, bounds, &startup)?;
        Ok(Front { http: self.http, startup, operator, probes })
    }
}

/// What a gateway answers with while it starts. If the start fails, the servers end with it.
struct Front {
    http: Reserved,
    startup: Arc<AdminStartup>,
    operator: Server,
    probes: Option<Server>,
}

/// A running gateway.
struct Gateway {
    app: Arc<App>,
    running: Running,
    feed: JoinHandle<()>,
    limits: Option<LimitExchange>,
    key_uses: Option<Storing>,
    clients: Server,
    operator: Server,
    probes: Option<Server>,
    traces: Option<Exporter>,
}

/// How often it is looked whether the gateway has reached the ends of the logs.
const START_LOOK_EVERY: std::time::Duration = std::time::Duration::from_millis(10);

/// A partition and its views at the confirmed end of its log.
fn up_to_now(site: &Site, partition: PartitionId) -> Result<Recovered<Views>, Error> {
    Ok(cut::beside_trimming(|| site.at(partition, site.confirmed_end(partition)?))?)
}

/// The partitions and their views, each from its last snapshot, side by side. The gateway then follows the logs from
/// there, so that a command that cannot be applied costs it one partition and not all.
fn begin(site: &Site) -> Result<Vec<Recovered<Views>>, Error> {
    let began = std::time::Instant::now();
    let begun = std::thread::scope(|scope| {
        let one = |partition| site.patience.ask(|| Ok(site.at_last_snapshot(partition)?));
        let threads: Vec<_> = site.routing.all().map(|partition| scope.spawn(move || one(partition))).collect();
        threads.into_iter().map(|thread| thread.join().map_err(|_| Error::Disorder)?).collect()
    });
    tracing::info!(seconds = began.elapsed().as_secs_f64(), "the last snapshots are loaded");
    begun
}

/// The parts of the gateway that its publishers share, the thread of its streams, and what exports its traces.
fn assemble(config: &Config, read_model: ReadModel) -> Result<(Assembly, JoinHandle<()>, Option<Exporter>), Error> {
    let (assembly, feed) =
        Assembly::start(config.gateway.clone(), read_model, process::fatal).map_err(Error::Thread)?;
    let traces = Exporter::start(&config.traces, Origin { role: "gateway", version: env!("CARGO_PKG_VERSION") })?;
    Ok((assembly.traced(traces.as_ref().map(Exporter::tracer)), feed, traces))
}

/// Waits until everything is applied that the logs had when the gateway asked, as far as partitions answer.
///
/// # Errors
/// When nothing is applied any more for too long: what a log has is not confirmed.
fn reach(client: &LogClient, ends: &BTreeMap<PartitionId, Sequence>, site: &Site) -> Result<(), Error> {
    let (mut waiting, mut applied) = (site.patience.begin(), 0);
    while !client.has_reached(ends) {
        let states = client.partitions();
        let sum = states.iter().map(|state| state.folded.0).sum();
        if std::mem::replace(&mut applied, sum) != sum {
            waiting.renew();
        }
        let behind = |state: &&PartitionState| ends.get(&state.partition).is_some_and(|&end| state.folded < end);
        if let Some(state) = states.iter().find(behind) {
            waiting.go_on(Error::NotReached { partition: state.partition })?;
        }
        std::thread::sleep(START_LOOK_EVERY);
    }
    Ok(())
}

/// The metrics as they are scraped: what is not counted as it happens is measured then.
fn rendered(recorder: Exposition, accounts: Arc<ActiveAccounts>, client: LogClient) -> Metrics {
    Box::new(move || {
        accounts.record();
        measure_partitions(&client.partitions());
        recorder.render()
    })
}

/// Records how the partitions are.
fn measure_partitions(partitions: &[PartitionState]) {
    for state in partitions {
        let label = state.partition.0.to_string();
        ::metrics::gauge!("crossbook_circuit_breaker_open", "partition" => label.clone())
            .set(f64::from(u8::from(state.silent)));
        ::metrics::gauge!("crossbook_partition_lag_commands", "partition" => label)
            .set(state.log_end.0.saturating_sub(state.folded.0) as f64);
    }
}

/// The secret key, which must open the secrets of the API keys in `registry`.
fn secret_key(config: &Config, registry: &Registry) -> Result<MasterKey, Error> {
    let key = secrets::secret_key(&config.data, Absent::Refuse)?;
    if auth::has_sealed_keys(registry) {
        auth::check_master_key(registry, &key)?;
    }
    Ok(key)
}

/// The history, whose position a task reads until `stopped`.
fn history(config: &Config, site: &Site, database: Database, stopped: watch::Receiver<bool>) -> History {
    let progress: Vec<_> = site.routing.all().map(|_| Arc::new(Progress::default())).collect();
    let history = History::of_partitions(&database, progress.clone());
    // Rows are not written more often than this.
    let every = config.history.batch_delay().max(WATCH_EVERY_MIN);
    process::spawn_vital(
        "the task that watches the history",
        crossbook_store::watch(database, progress, every, stopped),
    );
    history
}

/// Activates the newest rules in a cluster whose logs `end` before their first command, before clients are served.
/// Other gateways may do the same; only the first of these commands changes something.
fn begin_under_newest_rules(app: &App, ends: &BTreeMap<PartitionId, Sequence>) {
    if ends.get(&Routing::REGISTRY) != Some(&Sequence(0)) {
        return;
    }
    let activated = app.gateway.submit(new_venue::first_command(), None);
    if let Err(error) = tokio::task::block_in_place(|| Handle::current().block_on(activated)) {
        tracing::warn!(
            %error,
            "the new cluster begins under old rules: activate the newest ones with `crossbook admin rules --activate \
             NUMBER`"
        );
    }
}

impl Gateway {
    fn start(
        config: &Config,
        site: &Site,
        Front { http, startup, operator, probes }: Front,
        tokens: Tokens,
        recorder: Exposition,
        accept_clock: bool,
    ) -> Result<Self, Error> {
        let bounds = &config.gateway.server;
        let opening = Arc::new(Startup::new(Box::new(StoredDepths::of(site))));
        let clients = Server::start("the client API", http.listen()?, bounds, Arc::clone(&opening));

        let source = site.patience.ask(|| Ok(site.servers.next_gateway()?))?;
        let database = site.database(config)?;
        let all: Vec<PartitionId> = site.routing.all().collect();
        site.patience.ask(|| durability_check::check_all(site, database.as_ref()))?;
        let begun = begin(site)?;
        let proofs = super::proofs(site, &all)?;
        let last = site.patience.ask(|| site.last_time(&all))?;
        clock::check(config.clock, clock::now(), last, accept_clock)?;
        let registry = begun.first().map(|begun| begun.follower.registry().clone()).unwrap_or_default();
        let (views, partitions): (Vec<_>, Vec<_>) =
            begun.into_iter().map(|Recovered { follower, partition, .. }| (follower, partition)).unzip();
        let read_model = ReadModel::new_checked(site.routing.clone(), views).ok_or(Error::Disorder)?;
        let (assembly, feed, traces) = assemble(config, read_model)?;
        let read_model = Arc::clone(assembly.read_model());
        let accounts = Arc::<ActiveAccounts>::default();
        let ends: BTreeMap<PartitionId, Sequence> = proofs.iter().map(|(&of, proof)| (of, proof.end)).collect();
        let starts = partitions.into_iter().map(|partition| {
            let (publisher, markets_max) = (assembly.publisher(partition.id()), config.metrics.markets_max);
            let sink = PublishCounters::new(publisher, registry.markets(), markets_max, Arc::clone(&accounts));
            let sink = sink.since(ends.get(&partition.id()).copied().unwrap_or_default());
            Start { sink, partition }
        });
        let refuse: client::Refuse = Arc::new(assembly.refusals());
        let place = Place {
            stores: site.servers.clone(),
            routing: site.routing.clone(),
            source,
            markets: registry.markets().to_vec(),
            proofs,
            hops: Arc::clone(assembly.hops()),
        };
        let running = client::start(place, config.cluster.log_client.clone(), starts.collect(), refuse, process::fatal);
        let running = running.map_err(Error::Thread)?;
        reach(running.client(), &ends, site)?;
        let key = secret_key(config, &read_model.registry())?;
        let clock = {
            let (read_model, client) = (Arc::clone(&read_model), running.client().clone());
            let times =
                move || read_model.standings().filter_map(|standing| standing.position).map(|cause| cause.time).max();
            clock::Monitor::new(config.clock, clock::SystemClocks, Box::new(times))
                .with_store(Box::new(move || client.store_behind_micros()))
                .run(config.clock)
        };
        if let Some(database) = database.clone() {
            durability_check::watch(site.clone(), database, process::fatal).map_err(Error::Thread)?;
        }
        closing::watch(site.clone(), running.client().clone()).map_err(Error::Thread)?;
        let closed = running.client().clone();
        let commands = Box::new(Entry { client: running.client().clone(), site: site.clone() });
        let past = database.map(|database| Box::new(history(config, site, database, operator.stop.subscribe())) as _);
        let app = assembly.open(commands, key, past);
        begin_under_newest_rules(&app, &ends);
        app.gateway.watch_countdowns();
        app.gateway.watch_sessions();
        let limits = LimitExchange::start(&app.gateway.limits, &site.servers, source).map_err(Error::Thread)?;
        let uses = Arc::new(Shared::new(&site.servers));
        let every = std::time::Duration::from_millis(config.gateway.key_uses_interval_ms);
        let key_uses = Storing::start(&app.gateway, uses, every).map_err(Error::Thread)?;
        opening.open(Rest::new(Arc::clone(&app), web_page::all()));
        let metrics = rendered(recorder, accounts, running.client().clone());
        let admin = Admin::new(Arc::clone(&app.gateway), bounds.clone(), tokens, metrics);
        let admin = admin.with_console(console_page::all()).with_log(logging::tail());
        let admin = admin.with_detail("clock", Box::new(move || clock.status()));
        startup.open(admin.with_detail("closed", Box::new(move || closed.closed().as_deref().into())));
        tracing::info!(http = %config.http, admin = %config.admin, source = source.0, "the gateway is open");
        Ok(Self { app, running, feed, limits, key_uses, clients, operator, probes, traces })
    }

    /// Stops in order: clients are served for as long as it `drain`s, then asked to leave; what they have asked is
    /// answered, and their connections end. The admin address answers until then.
    async fn stop(self, drain: std::time::Duration) -> Result<(), Error> {
        shutdown::drain(&self.app, drain).await;
        tracing::info!("stopping: connections are closed");
        let Server { serving, stop } = self.clients;
        shutdown::close(&self.app, &stop, serving).await.map_err(|_| Error::Disorder)?;
        self.app.gateway.stop();
        let patience = std::time::Duration::from_millis(self.app.config.reply_timeout_ms);
        let answered = async {
            while !self.app.gateway.pending.is_empty() {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        let _ = tokio::time::timeout(patience, answered).await;
        if let Some(traces) = self.traces {
            traces.stop().await;
        }
        let running = self.running;
        running.refuse();
        let ended = tokio::task::spawn_blocking(move || {
            running.stop();
            self.limits.map_or(Ok(()), LimitExchange::stop)?;
            if !self.key_uses.is_none_or(Storing::stop) {
                return Err(Error::Disorder);
            }
            self.feed.join().map_err(|_| Error::Disorder)
        });
        ended.await.map_err(|_| Error::Disorder)??;
        Server::stop_both(self.operator, self.probes).await.map_err(|_| Error::Disorder)?;
        tracing::info!("stopped");
        Ok(())
    }
}

/// The way into the cluster, as the gateway knows it.
struct Entry {
    client: LogClient,
    site: Site,
}

impl CommandPort for Entry {
    fn source(&self) -> SourceId {
        self.client.source()
    }

    fn submit(&self, request: Request) -> Result<(), NotAccepted> {
        self.client.submit(request)
    }

    fn refuses_orders(&self) -> bool {
        self.client.refuses_orders()
    }

    fn refused_order(&self) {
        self.client.refused_order();
    }

    /// From snapshots and logs, so that the workers are not interrupted.
    fn audit(&self) -> Soon<'_, Vec<AuditReport>> {
        Box::pin(async move {
            let site = self.site.clone();
            let audited = tokio::task::spawn_blocking(move || audit(&site)).await;
            match audited {
                Ok(Ok(reports)) => Ok(reports),
                Ok(Err(error)) => {
                    tracing::warn!(%error, "the cluster cannot be audited now");
                    Err(NotAccepted::Silent)
                }
                Err(_) => Err(NotAccepted::Silent),
            }
        })
    }

    fn queued(&self) -> usize {
        self.client.queued()
    }

    fn partitions(&self) -> Vec<PartitionStatus> {
        let status = |lane: PartitionState| PartitionStatus {
            partition: lane.partition,
            silent: lane.silent,
            queued: lane.queued,
            under_way: lane.under_way,
            applied: lane.folded,
            log_end: lane.log_end,
        };
        self.client.partitions().into_iter().map(status).collect()
    }

    fn is_stopping(&self) -> bool {
        self.client.is_stopping()
    }

    fn caught_up(&self, subject: Subject) -> Option<Soon<'_>> {
        Some(Box::pin(async move {
            let caught_up = match subject {
                Subject::Account(account) => self.client.caught_up(account).await,
                Subject::Registry => self.client.registry_known().await,
            };
            caught_up.map_err(|Behind| NotAccepted::Silent)
        }))
    }
}

fn audit(site: &Site) -> Result<Vec<AuditReport>, Error> {
    let one = |partition| Ok(embedded::audit(&up_to_now(site, partition)?.partition));
    site.routing.all().map(one).collect()
}
