//! `crossbook worker`: follows partitions, delivers what gateways have left, writes depth, and takes snapshots.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded};
use crossbook_api_admin::probe::{Probe, Started};
use crossbook_cluster::Worker;
use crossbook_cluster::replica::Proof;
use crossbook_cluster::runtime::{self, Reloaded};
use crossbook_cluster::worker::Status;
use crossbook_engine::Partition;
use crossbook_node::embedded::AuditReport;
use crossbook_store::Database;
use crossbook_types::PartitionId;
use serde_json::json;

use super::snapshots::Snapshotter;
use super::{Error, Site, closing, durability_check};
use crate::clock;
use crate::config::{ClockOptions, Config};
use crate::listen::{self, Server};
use crate::metrics::Build;
use crate::{logging, metrics, process};

/// How long the audits of all partitions may take together. A partition without traffic answers about once a second.
const AUDIT_PATIENCE: Duration = Duration::from_secs(5);

/// What a worker takes besides the configuration.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Its name, which no other worker has; without one, the machine's name and the number of the process.
    pub name: Option<String>,
    /// Whether commands are abandoned that the streams lack and that snapshots or the history prove.
    pub discard_newer: bool,
    /// Whether it starts even if the clock is long before a log's last command.
    pub accept_clock: bool,
}

/// Runs a worker until SIGTERM or Ctrl-C.
///
/// # Errors
/// When it cannot start.
pub fn run(config: &Config, options: Options, build: &Build) -> Result<(), Error> {
    logging::start(&config.logging)?;
    let recorder = metrics::install(metrics::Role::Worker, build)?;
    // Errors in the address are reported before it waits for the store.
    let (operator, probes) = (listen::reserve_admin(config)?, listen::reserve_probes(config)?);
    let name = options.name.unwrap_or_else(|| format!("{}-{}", hostname(), std::process::id()));
    process::runtime()?.block_on(async {
        let mut stop = std::pin::pin!(process::stop_requested(|| ())?);
        process::spawn_vital("the task that keeps the metrics up", recorder.clone().keep_up(None));
        let probe = Arc::new(Probe::new(Box::new(move || recorder.render())));
        let bounds = &config.gateway.server;
        let operator = Server::start("the admin address", operator.listen()?, bounds, Arc::clone(&probe));
        let probes = listen::serve_probes(probes, bounds, &probe)?;
        let of = config.clone();
        let start = move || start(&of, options.discard_newer, options.accept_clock);
        let (site, database, begin) = process::start(stop.as_mut(), start).await?;
        let reload = reload(&site);
        let worker = Worker::start(&site.servers, &name, &config.cluster.worker, begin, reload, process::fatal);
        let worker = Arc::new(worker.map_err(Error::Thread)?);
        let history = database.is_some();
        if let Some(database) = database {
            durability_check::watch(site.clone(), database, process::fatal).map_err(Error::Thread)?;
        }
        let every = config.cluster.snapshot_interval_commands;
        let lease = Duration::from_millis(config.cluster.worker.lease_ms);
        let snapshotter =
            Snapshotter::start(site, Arc::clone(&worker), name.clone(), (every, lease), history, process::fatal);
        let snapshotter = snapshotter.map_err(Error::Thread)?;
        let (watched, audited, measured) = (Arc::clone(&worker), Arc::clone(&worker), Arc::clone(&worker));
        let clock = clock::Monitor::start(config.clock, Box::new(|| None));
        let started = Started::new(Box::new(move || {
            let (ready, mut detail) = readiness(&watched);
            detail["clock"] = clock.status();
            (ready, detail)
        }));
        let started = started.measured_by(Box::new(move || measure(&measured)));
        probe.open(started.with_partitions(Arc::new(move || standing(&audited))));
        tracing::info!(admin = %config.admin, name, "the worker runs");
        stop.await;
        tracing::info!("stopping");
        // The service has the worker, which ends only when nobody else has it.
        drop(probe);
        let _ = Server::stop_both(operator, probes).await;
        let ended = tokio::task::spawn_blocking(move || {
            snapshotter.stop();
            if let Ok(worker) = Arc::try_unwrap(worker) {
                worker.stop();
            }
        });
        ended.await.map_err(|_| Error::Disorder)?;
        Ok(())
    })
}

/// What a worker begins with.
type Begin = Vec<(Partition, Option<Proof>)>;

/// Finds the venue, and begins.
fn start(config: &Config, discard_newer: bool, accept_clock: bool) -> Result<(Site, Option<Database>, Begin), Error> {
    let site = Site::find(config)?;
    closing::check_not_ended(&site)?;
    let database = site.database(config)?;
    if discard_newer {
        durability_check::discard(&site, database.as_ref())?;
    }
    let own = config.cluster.worker.own(config.cluster.partitions);
    let begin = begin(&site, database.as_ref(), &own, (config.clock, accept_clock))?;
    Ok((site, database, begin))
}

/// The partitions as the worker begins with them, each from its last snapshot, with what they must have sent. A store
/// that does not answer is asked again.
pub(super) fn begin(
    site: &Site,
    database: Option<&Database>,
    own: &[PartitionId],
    (clock, accepted): (ClockOptions, bool),
) -> Result<Begin, Error> {
    let mut begun = Vec::with_capacity(own.len());
    let mut asked = database;
    for &partition in own {
        if let Some(reason) = site.patience.ask(|| durability_check::check(site, asked, partition))? {
            tracing::warn!(reason, "the history cannot be queried for its position; trying again later");
            asked = None;
        }
        let restored = site.patience.ask(|| Ok(site.at_last_snapshot(partition)?))?;
        begun.push(restored.partition);
    }
    let last = site.patience.ask(|| site.last_time(own))?;
    clock::check(clock, clock::now(), last, accepted)?;
    let mut proofs = super::proofs(site, own)?;
    let with_proof = |partition: Partition| {
        let proof = proofs.remove(&partition.id());
        (partition, proof)
    };
    Ok(begun.into_iter().map(with_proof).collect())
}

/// How a worker goes on with a partition that it was cut off from for longer than the log keeps. Asked once: if the
/// store does not answer, the worker connects to it again first.
pub(super) fn reload(site: &Site) -> impl Fn(PartitionId) -> Reloaded + Send + Sync + 'static {
    let site = site.clone();
    move |partition| {
        let restored = site.at_last_snapshot(partition).map_err(Error::from)?;
        let all: Vec<PartitionId> = site.routing.all().collect();
        let mut proofs = runtime::ask_proofs(&site.servers, &all)?;
        let proof = proofs.remove(&partition).ok_or(Error::NotReached { partition })?;
        Ok((restored.partition, Some(proof)))
    }
}

/// Ready while every partition that runs here is connected to its shard, and everything is applied that its log had
/// when that connection was made. Before that it is no standby: while it catches up, the other worker must not be
/// stopped.
fn readiness(worker: &Worker) -> (bool, serde_json::Value) {
    let partitions: Vec<_> = worker
        .partitions()
        .map(|(partition, status)| {
            json!({
                "partition": partition.0,
                "connected": status.is_connected(),
                "caughtUp": status.is_caught_up(),
                "mustReach": status.must_reach().0,
                "active": status.is_active(),
                "applied": status.applied().0,
                "logEnd": status.log_end().0,
            })
        })
        .collect();
    let is_ready = |(_, status): (PartitionId, &Status)| status.is_connected() && status.is_caught_up();
    (worker.partitions().all(is_ready), json!({ "partitions": partitions }))
}

/// Updates the metrics of the partitions when they are scraped.
fn measure(worker: &Worker) {
    for (partition, status) in worker.partitions() {
        let label = partition.0.to_string();
        let lag = status.log_end().0.saturating_sub(status.applied().0);
        ::metrics::gauge!("crossbook_partition_active", "partition" => label.clone())
            .set(f64::from(u8::from(status.is_active())));
        ::metrics::gauge!("crossbook_partition_connected", "partition" => label.clone())
            .set(f64::from(u8::from(status.is_connected())));
        ::metrics::gauge!("crossbook_partition_lag_commands", "partition" => label).set(lag as f64);
    }
}

/// The position and state hash of each partition, to compare those of two workers. A partition that does not answer in
/// time has no hash.
fn standing(worker: &Worker) -> serde_json::Value {
    let deadline = Instant::now() + AUDIT_PATIENCE;
    let asked: Vec<_> = worker
        .partitions()
        .map(|(partition, status)| {
            let (reply, report) = bounded(1);
            let taken = worker.audit(partition, Box::new(move |audited| drop(reply.send(audited))));
            (partition, status, taken.then_some(report))
        })
        .collect();
    let stand = |(partition, status, report): (PartitionId, &Status, Option<Receiver<AuditReport>>)| {
        let audited = report.and_then(|report| report.recv_deadline(deadline).ok());
        let mut told = json!({
            "partition": partition.0,
            "active": status.is_active(),
            "logEnd": status.log_end().0,
            "sequence": status.applied().0,
        });
        if let Some(AuditReport { sequence, state_hash, sums, violations }) = audited {
            let sums: BTreeMap<String, String> =
                sums.into_iter().map(|(asset, sum)| (asset.to_string(), sum.0.to_string())).collect();
            told["sequence"] = sequence.0.into();
            told["stateHash"] = hex::encode(state_hash).into();
            told["violations"] = violations.into();
            told["sums"] = json!(sums);
        }
        told
    };
    json!({ "partitions": asked.into_iter().map(stand).collect::<Vec<_>>() })
}

/// The name of this machine.
fn hostname() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "worker".to_owned(), |name| name.trim().to_owned())
}
