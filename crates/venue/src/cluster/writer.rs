//! `crossbook writer`: writes the events of all partitions to the history in SQL.
//!
//! For each partition a thread reads the log, applies it to a partition of its own and writes the events. Any number of
//! writers may run: the database lets one of them write a partition's rows, and the others wait until it is gone. The
//! position of the tables is stored beside the logs, so that no command is trimmed whose events are not in the tables.

use std::convert::Infallible;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use crossbook_api_admin::probe::{Probe, Started};
use crossbook_cluster::cut::CutSource as _;
use crossbook_cluster::store::StoreReader;
use crossbook_node::embedded::guarded;
use crossbook_node::snapshot::{self, Saved};
use crossbook_object_store::Objects;
use crossbook_store::{Activity, Database, Live, Progress, Refusal, SourceError, Status};
use crossbook_types::{PartitionId, Sequence};
use serde_json::{Value, json};

use super::log_ends::{LogEnd, Watch};
use super::provider::{self, Link, Servers};
use super::{Error, Site};
use crate::clock;
use crate::config::Config;
use crate::history::Recording;
use crate::history::source::{HistoryLog, LogSource};
use crate::listen::{self, Server};
use crate::metrics::{self as recording, Build};
use crate::{logging, process};

/// Runs a writer until SIGTERM or Ctrl-C. The times in the rows are the log's; this machine's clock is only watched.
///
/// # Errors
/// When it cannot start.
pub fn run(config: &Config, build: &Build) -> Result<(), Error> {
    logging::start(&config.logging)?;
    let recorder = recording::install(recording::Role::Writer, build)?;
    // Said before the store is waited for.
    super::shared_database(config)?.ok_or(Error::NoHistory)?;
    let (operator, probes) = (listen::reserve_admin(config)?, listen::reserve_probes(config)?);
    process::runtime()?.block_on(async {
        let mut stop = std::pin::pin!(process::stop_requested(|| ())?);
        process::spawn_vital("the task that keeps the metrics up", recorder.clone().keep_up(None));
        let probe = Arc::new(Probe::new(Box::new(move || recorder.render())));
        let bounds = &config.gateway.server;
        let operator = Server::start("the admin address", operator.listen()?, bounds, Arc::clone(&probe));
        let probes = listen::serve_probes(probes, bounds, &probe)?;
        let of = config.clone();
        let (site, database) = process::start(stop.as_mut(), move || find(&of)).await?;
        let writer = Writer::start(config, &site, &database)?;
        let (watched, measured) = (Arc::clone(&writer.parts), Arc::clone(&writer.parts));
        let clock = clock::Monitor::start(config.clock, Box::new(|| None));
        let started = Started::new(Box::new(move || {
            let (ready, mut detail) = readiness(&watched);
            detail["clock"] = clock.status();
            (ready, detail)
        }));
        probe.open(started.measured_by(Box::new(move || measure(&measured))));
        tracing::info!(admin = %config.admin, partitions = site.routing.partitions(), "the writer runs");
        stop.await;
        tracing::info!("stopping: writing what is left");
        drop(probe);
        let _ = Server::stop_both(operator, probes).await;
        let patience = config.history.stop_timeout();
        let ended = tokio::task::spawn_blocking(move || writer.stop(patience));
        ended.await.map_err(|_| Error::Disorder)?;
        tracing::info!("stopped");
        Ok(())
    })
}

/// The venue, and the database of its history.
fn find(config: &Config) -> Result<(Site, Database), Error> {
    let site = Site::find(config)?;
    let database = site.database(config)?.ok_or(Error::NoHistory)?;
    if let Some(closing) = site.patience.ask(|| super::closing::look(&site))? {
        tracing::warn!(%closing, "the history is completed");
    }
    Ok((site, database))
}

/// Snapshots that are read on a thread of their own, because reads block and the caller is on a runtime.
#[derive(Debug)]
struct Aside(Objects);

impl Saved for Aside {
    fn list(&self) -> Result<Vec<Sequence>, snapshot::Error> {
        aside(|| self.0.list())
    }

    fn load(&self, sequence: Sequence) -> Result<Option<Vec<u8>>, snapshot::Error> {
        aside(|| self.0.load(sequence))
    }
}

fn aside<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| match scope.spawn(work).join() {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

/// The log of a partition in the store.
#[derive(Debug)]
struct StoredLog {
    site: Site,
    partition: PartitionId,
}

impl HistoryLog for StoredLog {
    type Reader = StoreReader<Servers>;

    fn open(&self, from: Sequence) -> Self::Reader {
        self.site.log(self.partition, from)
    }

    fn durable(&self) -> Result<Sequence, SourceError> {
        Ok(aside(|| self.site.confirmed_end(self.partition))?)
    }

    fn noted(&self) -> Result<Sequence, SourceError> {
        Ok(Link::connect(&self.site.servers, self.partition).and_then(|mut link| link.written())?)
    }
}

/// What writes a partition's rows.
#[derive(Debug)]
struct Part {
    partition: PartitionId,
    end: LogEnd,
    recording: Recording,
}

/// A running writer.
#[derive(Debug)]
struct Writer {
    parts: Arc<[Part]>,
    watch: Watch,
    stop_marks: Sender<()>,
    marks: JoinHandle<()>,
}

impl Writer {
    fn start(config: &Config, site: &Site, database: &Database) -> Result<Self, Error> {
        let mut parts = Vec::new();
        for partition in site.routing.all() {
            let live = Live::default();
            let end = LogEnd::new(partition, live.clone());
            let snapshots = Aside(site.snapshots(partition)?);
            let log = StoredLog { site: site.clone(), partition };
            let source = LogSource::of(site.which(partition), log, snapshots);
            let failed = |_: &Progress| process::fatal("the history got events that are impossible".to_owned());
            let refused = |refusal| match refusal {
                Refusal::Newer(reason) | Refusal::Contradicted(reason) => process::fatal(reason),
            };
            let recording = Recording::start((database, partition), source, live, || (), failed, refused);
            parts.push(Part { partition, end, recording: recording.map_err(Error::Thread)? });
        }
        let ends = parts.iter().map(|part| part.end.clone()).collect();
        let watch = Watch::start(site.servers.clone(), ends, &config.cluster.writer).map_err(Error::Thread)?;
        let (stop_marks, stopped) = bounded(1);
        let progress = parts.iter().map(|part| (part.partition, Arc::clone(part.recording.progress()))).collect();
        let marks = Marks { servers: site.servers.clone(), progress, noted: Vec::new() };
        let every = Duration::from_millis(config.cluster.writer.checkpoint_interval_ms);
        let marks = std::thread::Builder::new().name("marks".to_owned()).spawn(move || {
            guarded("the thread that notes how far the history is", &process::fatal, || {
                marks.run(every, &stopped);
                Ok::<_, Infallible>(())
            });
        });
        Ok(Self { parts: parts.into(), watch, stop_marks, marks: marks.map_err(Error::Thread)? })
    }

    /// Writes everything that was read, for at most `patience`, and stores the position.
    fn stop(self, patience: Duration) {
        self.watch.ask_to_stop();
        for part in &*self.parts {
            part.recording.ask_to_stop();
        }
        let deadline = Instant::now() + patience;
        for part in &*self.parts {
            part.recording.stop(deadline.saturating_duration_since(Instant::now()));
        }
        self.watch.join();
        drop(self.stop_marks);
        let _ = self.marks.join();
    }
}

impl Part {
    /// Commands and microseconds by which the tables are behind what was read; `None` while another writer has them,
    /// and before anything is known of them or of the events.
    fn lag(&self) -> Option<(u64, u64)> {
        let progress = self.recording.progress();
        let Status { position, activity, .. } = progress.status();
        match self.end.last() {
            _ if activity == Activity::Waiting => None,
            Some(last) => Some(progress.lag(last)),
            None => position.map(|_| (0, 0)),
        }
    }
}

/// Ready once every partition's rows are written here, or by another writer.
fn readiness(parts: &[Part]) -> (bool, Value) {
    let mut ready = true;
    let partitions: Vec<_> = parts
        .iter()
        .map(|part| {
            let Status { position, activity, .. } = part.recording.progress().status();
            ready &= match activity {
                Activity::Following | Activity::Waiting => true,
                Activity::Replaying => position.is_some(),
                Activity::Connecting | Activity::Failing(_) | Activity::Stopped => false,
            };
            let lag = part.lag();
            let mut told = json!({
                "partition": part.partition.0,
                "state": activity.as_str(),
                "sequence": position.map(|position| position.sequence.0),
                "lagCommands": lag.map(|lag| lag.0),
                "lagSeconds": lag.map(|lag| lag.1 / 1_000_000),
            });
            if let Activity::Failing(error) = activity {
                told["error"] = error.into();
            }
            told
        })
        .collect();
    (ready, json!({ "partitions": partitions }))
}

/// Updates the metrics of the lag when they are scraped: it grows while nothing is written.
fn measure(parts: &[Part]) {
    for part in parts {
        // Otherwise a figure from before another writer took over would stay.
        let (commands, seconds) =
            part.lag().map_or((f64::NAN, f64::NAN), |(commands, micros)| (commands as f64, micros as f64 / 1e6));
        let partition = part.partition.to_string();
        metrics::gauge!("crossbook_history_lag_commands", "partition" => partition.clone()).set(commands);
        metrics::gauge!("crossbook_history_lag_seconds", "partition" => partition).set(seconds);
    }
}

/// Stores the position of the tables beside the logs.
struct Marks {
    servers: Servers,
    progress: Vec<(PartitionId, Arc<Progress>)>,
    noted: Vec<(Option<Link>, Option<Sequence>)>,
}

impl Marks {
    fn run(mut self, every: Duration, stopped: &Receiver<()>) {
        self.noted.resize_with(self.progress.len(), || (None, None));
        loop {
            let ended = !matches!(stopped.recv_timeout(every), Err(RecvTimeoutError::Timeout));
            for ((partition, progress), (link, noted)) in self.progress.iter().zip(&mut self.noted) {
                let Status { position, activity, .. } = progress.status();
                let (Some(position), Activity::Following | Activity::Stopped) = (position, activity) else {
                    // Another one may write now, and note how far that is.
                    *noted = None;
                    continue;
                };
                if *noted == Some(position.sequence) {
                    continue;
                }
                match mark(&self.servers, *partition, link, position.sequence) {
                    Ok(()) => *noted = Some(position.sequence),
                    Err(error) => {
                        tracing::warn!(partition = partition.0, %error, "the position of the history cannot be stored now");
                        *link = None;
                    }
                }
            }
            if ended {
                return;
            }
        }
    }
}

fn mark(
    servers: &Servers,
    partition: PartitionId,
    link: &mut Option<Link>,
    place: Sequence,
) -> Result<(), provider::Error> {
    let link = match link {
        Some(link) => link,
        none => none.insert(Link::connect(servers, partition)?),
    };
    link.mark_written(place)
}
