//! Verifies the history against the engine, and rebuilds it.
//!
//! Both work on the data folder and the database alone. Verification needs no stop: rows are written after the log is
//! durable, so the log can be replayed to the position of the tables.

use std::path::Path;

use crossbook_log::{FileReader, Files, Reader as _, Until, files};
use crossbook_node::recovery::{self, Progress as ReplayProgress, Recovered, Which};
use crossbook_node::snapshot::{self, Folder, Saved as _, UpTo};
use crossbook_store::digests::{TableContents, contents};
use crossbook_store::verify::StoredState;
use crossbook_store::{Address, Database, Position, Source as _, SourceError, Writer, standing};
use crossbook_types::{Sequence, Timestamp};
use crossbook_views::Limits;

use crate::cluster::rebuild::CutSource;
use crate::cluster::{self, Site};
use crate::config::Config;
use crate::data_folder::{self, DataFolder, log_folder, snapshot_folder};
use crate::durability_check::{self, Evidence};
use crate::expected_history::ExpectedHistory;
use crate::history::source::LogSource;
use crate::history::{self, PARTITION};
use crate::progress::Progress;

/// Why the history cannot be worked on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The history is disabled.
    #[error("history.database is `none`: this venue has no history")]
    NoHistory,
    /// The data folder is none.
    #[error(transparent)]
    Folder(#[from] data_folder::Error),
    /// The history's file would be in the wrong place.
    #[error(transparent)]
    History(#[from] history::Error),
    /// The cluster cannot be read.
    #[error(transparent)]
    Cluster(#[from] Box<cluster::Error>),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] crossbook_store::Error),
    /// The log cannot be replayed.
    #[error("the log cannot be replayed: {0}")]
    Recovery(#[from] recovery::Error),
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] crossbook_log::Error),
    /// Snapshots cannot be read.
    #[error(transparent)]
    Snapshots(#[from] snapshot::Error),
    /// The tables are those of another log.
    #[error(
        "these tables are the history of another venue (log {0}): name the right database, or discard them with \
         --discard; nothing was changed"
    )]
    Foreign(String),
    /// The log has lost its beginning.
    #[error(
        "the log has lost its beginning, so a rebuilt history lacks every order and trade from before the oldest \
         snapshot; accept that with --discard; nothing was changed"
    )]
    NotWhole,
    /// The logs of these partitions have lost their beginning.
    #[error(
        "the first events of partitions {0} have been trimmed, so a rebuilt history lacks every order and trade from \
         before their oldest snapshots; accept that with --discard; nothing was changed"
    )]
    PartitionsNotWhole(String),
    /// The log is behind what is known of it.
    #[error("{0}\nNothing was changed.")]
    LogContradicted(durability_check::Contradiction),
    /// The evidence about the log cannot be read.
    #[error(transparent)]
    Evidence(#[from] durability_check::Error),
    /// There is nothing to compare all rows with.
    #[error("--rows needs the whole log, and a history that is complete from its beginning")]
    NoComparison,
    /// Events cannot be had.
    #[error("the history cannot be written: {0}")]
    Source(SourceError),
    /// The system gives no threads.
    #[error("the system refused: {0}")]
    System(#[from] std::io::Error),
}

/// Whether all is well, with the findings, of a cluster's history.
///
/// # Errors
/// When a log or the database cannot be read.
pub fn verify_cluster(config: &Config) -> Result<cluster::verify::Verdict, Error> {
    let site = Site::find(config).map_err(Box::new)?;
    let database = site.database(config).map_err(Box::new)?.ok_or_else(|| Box::new(cluster::Error::NoHistory))?;
    Ok(cluster::verify::verify(&site, &database).map_err(Box::new)?)
}

/// Discards the history of a cluster, which its writer then rebuilds: with `discard` even if it cannot be rebuilt
/// completely from the logs or is another venue's, with `discard_newer` even if the logs are behind it.
///
/// # Errors
/// When it would discard what cannot be rebuilt, and when the database cannot be reached.
pub fn rebuild_cluster(config: &Config, (discard, discard_newer): (bool, bool)) -> Result<(), Error> {
    let site = Site::find(config).map_err(Box::new)?;
    let database = site.database(config).map_err(Box::new)?.ok_or_else(|| Box::new(cluster::Error::NoHistory))?;
    match cluster::rebuild::rebuild(&site, &database, (discard, discard_newer)).map_err(Box::new)? {
        Ok(()) => Ok(()),
        Err(CutSource::Foreign(owner)) => Err(Error::Foreign(owner)),
        Err(CutSource::Behind(behind)) => Err(Box::new(cluster::Error::Behind(behind)).into()),
        Err(CutSource::NotWhole(partitions)) => {
            let partitions: Vec<String> = partitions.iter().map(ToString::to_string).collect();
            Err(Error::PartitionsNotWhole(partitions.join(", ")))
        }
    }
}

/// What a verification is to look at beside the sums.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Extent {
    /// The number of rows of each table, and a hash of them.
    pub contents: bool,
    /// Every row of every table, against a history that is made from the log for the purpose.
    pub rows: bool,
}

/// What a rebuild may discard.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Discard {
    /// What the log cannot give back, or the history of another venue.
    pub history: bool,
    /// Commands that the log lacks, and that snapshots, its mark or the history prove it had.
    pub newer: bool,
}

/// The result of a rebuild.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rebuilt {
    /// The tables are filled, up to this command.
    Filled(Sequence),
    /// The venue is running: the tables are discarded, and it fills them again.
    GivenUp,
}

fn runtime() -> Result<tokio::runtime::Runtime, Error> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// Holds the history against the engine, also while the venue runs. `config` must name the data folder.
///
/// # Errors
/// When the log or the database cannot be read.
pub fn verify(config: &Config, extent: Extent, progress: &mut dyn Progress) -> Result<Verdict, Error> {
    runtime()?.block_on(verify_in(config, extent, progress))
}

/// Rebuilds the history from the log, or from a snapshot if the log has lost its beginning. `config` must name the data
/// folder.
///
/// # Errors
/// When the log or the database cannot be read, or more would be discarded than `discard` allows.
pub fn rebuild(config: &Config, discard: Discard, progress: &mut dyn Progress) -> Result<Rebuilt, Error> {
    runtime()?.block_on(rebuild_in(config, discard, progress))
}

/// The data folder and the history's database.
fn found(config: &Config) -> Result<(DataFolder, Database), Error> {
    let data = DataFolder::of_venue(&config.data)?;
    let database = history::database(config, &data)?.ok_or(Error::NoHistory)?;
    Ok((data, database))
}

/// What a verification found.
#[derive(Debug)]
pub struct Verdict {
    /// The last command in the history.
    pub sequence: Sequence,
    /// The finding.
    pub findings: Vec<String>,
    /// Whether the log lacks commands, so that nothing was compared and `sequence` is its last one.
    pub log_is_behind: bool,
    /// Where the replay began: what happened before could not be added up.
    pub since: Sequence,
    /// The tables, if they were looked at.
    pub contents: Vec<TableContents>,
}

async fn verify_in(config: &Config, extent: Extent, progress: &mut dyn Progress) -> Result<Verdict, Error> {
    let data = &config.data;
    let (folder, database) = found(config)?;
    let contradiction = Evidence::gather(&folder, Some(&database))?.examine(&folder.log())?;
    if let Some(contradiction) = contradiction {
        return Ok(Verdict {
            sequence: contradiction.end(),
            findings: vec![contradiction.to_string()],
            log_is_behind: true,
            since: Sequence(0),
            contents: Vec::new(),
        });
    }
    let facts = StoredState::read(&database, PARTITION, extent.contents || extent.rows).await?;
    let position = facts.position.sequence;
    progress.begin("replaying the log to where the history stands");
    let log = log_folder(data);
    let snapshots = Folder::open(&snapshot_folder(data))?;
    // The sums need every trade, so snapshots are used only where the log has lost its beginning.
    let begun = |until: Sequence, shown: &mut dyn Progress| {
        let checking = ExpectedHistory::new(Limits::default(), facts.position.complete_from);
        let reader = |from| FileReader::open(&log, from);
        let at = |place: ReplayProgress| shown.at(place);
        let which = Which::single(0);
        recovery::recover(&which, &UpTo(&snapshots, until), reader, Until::Durable(position), checking, at)
    };
    let mut since = Sequence(0);
    let recovered = match begun(since, progress) {
        Err(recovery::Error::Log(crossbook_log::Error::Trimmed { .. })) => {
            since = UpTo(&snapshots, position).list()?.last().copied().unwrap_or_default();
            begun(since, progress)
        }
        recovered => recovered,
    };
    let Recovered { partition, follower, .. } = recovered?;
    progress.end();
    let ExpectedHistory { views, mut expected_state, complete_from } = follower;
    if since > complete_from {
        expected_state.trust_trades(&facts);
    }
    let mut findings = expected_state.compare(&facts, &partition, &views);
    if extent.rows {
        if since.max(complete_from) > Sequence(0) {
            return Err(Error::NoComparison);
        }
        findings.extend(compare_rows(config, data, &facts, progress).await?);
    }
    let (since, contents) = (since.max(complete_from), facts.contents);
    Ok(Verdict { sequence: position, findings, log_is_behind: false, since, contents })
}

/// Tells every table that is not what the log makes of it.
async fn compare_rows(
    config: &Config,
    data: &Path,
    facts: &StoredState,
    progress: &mut dyn Progress,
) -> Result<Vec<String>, Error> {
    let folder = tempfile::tempdir()?;
    let options = crossbook_store::Options { database: Address::default(), ..config.history.clone() };
    let made = Database::new(&options, folder.path())?.ok_or(Error::NoHistory)?;
    let snapshots = Folder::open(&snapshot_folder(data))?;
    let source = LogSource::new(&log_folder(data), snapshots, facts.position.sequence, 0);
    let made = made.for_log(identity(data, facts.position.sequence)?);
    fill(source, &made, facts.position.sequence, config, ("making the history for comparison", progress)).await?;
    let made = contents(&made).await?;
    let differing = facts.contents.iter().zip(&made).filter(|(found, made)| found != made);
    Ok(differing
        .map(|(found, made)| {
            format!("table {}: {} rows, not the {} that the log makes", found.table, found.rows, made.rows)
        })
        .collect())
}

/// Writes a history from its beginning into empty tables. Returns its position.
async fn fill(
    mut source: LogSource,
    database: &Database,
    end: Sequence,
    config: &Config,
    (what, progress): (&'static str, &mut dyn Progress),
) -> Result<Sequence, Error> {
    // Found before anything is touched: a log that leads nowhere must not cost the tables that there are.
    let mut projection = source.seek(Position::default(), &|| false).map_err(Error::Source)?;
    let mut writer = Writer::open_anew(database, PARTITION).await?;
    progress.begin(what);
    loop {
        source.pull(&mut projection, end, config.history.transaction_rows_max.max(1)).map_err(Error::Source)?;
        if projection.is_empty() {
            break;
        }
        writer.write(&projection.take()).await?;
        progress.at(ReplayProgress { at: projection.position(), end: Some(end) });
    }
    progress.end();
    writer.close().await;
    Ok(projection.position())
}

/// The identity of a log that need not be whole, from any record up to `durable`; 0 if there is none.
fn identity(data: &Path, durable: Sequence) -> Result<u64, Error> {
    let begins =
        FileReader::open(&log_folder(data), Sequence(1)).next(Until::Durable(durable.min(Sequence(1)))).map(drop);
    let first = match begins {
        Err(crossbook_log::Error::Trimmed { first, .. }) => first,
        begins => begins.map(|()| Sequence(1))?,
    };
    let mut reader = FileReader::open(&log_folder(data), first);
    reader.next(Until::Durable(durable))?;
    Ok(reader.identity().unwrap_or_default())
}

/// The time of the last command of a log.
fn time_of(log: &Path, last: Sequence) -> Result<Timestamp, Error> {
    if last == Sequence(0) {
        return Ok(Timestamp(0));
    }
    let mut reader = FileReader::open(log, last);
    Ok(reader.next(Until::Durable(last))?.map(|record| record.time).unwrap_or_default())
}

impl Verdict {
    /// Whether the history agrees with the engine.
    #[must_use]
    pub fn agrees(&self) -> bool {
        self.findings.is_empty()
    }
}

async fn rebuild_in(config: &Config, discard: Discard, progress: &mut dyn Progress) -> Result<Rebuilt, Error> {
    let data = &config.data;
    let (folder, database) = found(config)?;
    let mut snapshots = Folder::open(&folder.snapshots())?;
    let path = folder.log();
    let evidence = Evidence::gather(&folder, Some(&database))?;
    // That it is another venue's history is decided below.
    let contradiction = evidence.examine(&path)?.filter(|contradiction| contradiction.foreign_history().is_none());
    let durable_at_least = match &contradiction {
        None => snapshots.list()?.first().copied().unwrap_or_default(),
        Some(_) if discard.newer => Sequence(0),
        Some(contradiction) => return Err(Error::LogContradicted(contradiction.clone())),
    };
    let opened = Files::open(&path, files::Options { durable_at_least, ..config.log.files() });
    let (log, durable) = match opened {
        Err(crossbook_log::Error::Locked { .. }) => (None, durable_at_least.max(Sequence(1))),
        opened => opened.map(|(log, found)| (Some(log), found.last))?,
    };
    let identity = log.as_ref().map_or_else(|| identity(data, durable), |log| Ok(log.identity()))?;
    let owner = standing(&database, PARTITION).await?.map(|standing| standing.log);
    if let (Some(contradiction), Some(_)) = (&contradiction, &log) {
        durability_check::discard(contradiction, (&mut snapshots, durable), None)?;
    }
    let source = LogSource::new(&path, snapshots, durable, 0);
    if !discard.history {
        if let Some(owner) = owner.filter(|owner| *owner != format!("{identity:016x}")) {
            return Err(Error::Foreign(owner));
        }
        if !source.is_whole().map_err(Error::Source)? {
            return Err(Error::NotWhole);
        }
    }
    if log.is_none() {
        crossbook_store::give_up(&database, PARTITION).await?;
        return Ok(Rebuilt::GivenUp);
    }
    // Tables that are filled anew do not have what was noted of those before.
    match std::fs::remove_file(folder.history_note()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(%error, "the note of how far the history was cannot be removed");
        }
        _ => {}
    }
    let reached = fill(source, &database.for_log(identity), durable, config, ("filling the history", progress)).await?;
    if contradiction.is_some() {
        // Only an applied command may be recorded: a command at which the replay ends can still be skipped.
        let first = log.as_ref().map_or(Sequence(1), crossbook_log::Log::first);
        let time = time_of(&path, reached)?;
        durability_check::record(&folder, &durability_check::Reach { log: identity, first, last: reached, time })?;
    }
    Ok(Rebuilt::Filled(reached))
}
