//! `crossbook store`: the history held against the engine, and made anew.
//!
//! Both work on the data folder and the database alone. Verifying needs nothing stopped: rows are written after the log
//! is durable, so wherever the tables stand, the log can be replayed to there.

use std::path::Path;

use crossbook_log::{FileReader, Files, Reader as _, Until, files};
use crossbook_node::recovery::{self, Progress, Recovered, Which};
use crossbook_node::snapshot::{self, Folder, Saved as _, UpTo};
use crossbook_store::contents::{TableContents, contents};
use crossbook_store::verify::Facts;
use crossbook_store::{Address, Database, Position, Source as _, SourceError, Writer, standing};
use crossbook_types::{Sequence, Timestamp};
use crossbook_views::Limits;
use serde_json::{Map, Value, json};

use crate::checking::Checking;
use crate::cluster::rebuild::Kept;
use crate::cluster::{self, Site};
use crate::command::{StoreAction, StoreRebuild, StoreVerify};
use crate::config::{self, Config, Flags};
use crate::data_folder::{self, DataFolder};
use crate::evidence::{self, Evidence};
use crate::history::PARTITION;
use crate::history::source::LogSource;
use crate::output::tell;
use crate::progress::Replay;
use crate::venue::{self, log_folder, snapshot_folder};

/// Why the history cannot be worked on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The settings are wrong.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// No history is kept.
    #[error("history.database is `none`: this venue keeps no history")]
    NoHistory,
    /// The data folder is none.
    #[error(transparent)]
    Folder(#[from] data_folder::Error),
    /// The history's file would be in the wrong place.
    #[error(transparent)]
    Venue(#[from] venue::Error),
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
        "these tables are the history of another venue (log {0}): name the right database, or give them up with --discard; nothing was \
         changed"
    )]
    Foreign(String),
    /// The log has lost its beginning.
    #[error(
        "the log has lost its beginning, so a history made from it lacks every order and trade from before the oldest snapshot; give them up \
         with --discard; nothing was changed"
    )]
    NotWhole,
    /// The logs of these partitions have lost their beginning.
    #[error(
        "what partitions {0} have told is no longer kept from its beginning, so a history made from it lacks every order and trade from before \
         their oldest snapshots; give them up with --discard; nothing was changed"
    )]
    PartitionsNotWhole(String),
    /// The log is behind what is known of it.
    #[error("{0}\nNothing was changed.")]
    Behind(evidence::Contradiction),
    /// What is known of the log cannot be found out.
    #[error(transparent)]
    Evidence(#[from] evidence::Error),
    /// There is nothing to compare all rows with.
    #[error("--rows needs the whole log, and a history that is complete from its beginning")]
    NoComparison,
    /// Events cannot be had.
    #[error("the history cannot be made: {0}")]
    Source(SourceError),
    /// The system gives no threads.
    #[error("the system refused: {0}")]
    System(#[from] std::io::Error),
}

/// Does what the command line says. Whether all is well.
///
/// # Errors
/// When the log or the database cannot be read.
pub fn run(action: StoreAction) -> Result<bool, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match action {
        StoreAction::Verify(options) if options.cluster => verify_cluster(&options),
        StoreAction::Verify(options) => runtime.block_on(verify(&options)),
        StoreAction::Rebuild(options) if options.cluster => rebuild_cluster(&options).map(|()| true),
        StoreAction::Rebuild(options) => runtime.block_on(rebuild(&options)).map(|()| true),
    }
}

fn verify_cluster(options: &StoreVerify) -> Result<bool, Error> {
    let config = Config::load(options.config.as_deref(), Flags::default())?;
    let site = Site::find(&config).map_err(Box::new)?;
    let database = site.database(&config).map_err(Box::new)?.ok_or_else(|| Box::new(cluster::Error::NoHistory))?;
    let verdict = cluster::verify::verify(&site, &database).map_err(Box::new)?;
    tell(&if options.json { format!("{}\n", verdict.as_json()) } else { verdict.as_text() })?;
    Ok(verdict.agrees())
}

fn rebuild_cluster(options: &StoreRebuild) -> Result<(), Error> {
    let config = Config::load(options.config.as_deref(), Flags::default())?;
    let site = Site::find(&config).map_err(Box::new)?;
    let database = site.database(&config).map_err(Box::new)?.ok_or_else(|| Box::new(cluster::Error::NoHistory))?;
    let discard = (options.discard, options.discard_newer);
    match cluster::rebuild::rebuild(&site, &database, discard).map_err(Box::new)? {
        Ok(()) => {
            let told = "The history of all partitions is given up. The writer notices within seconds and fills the tables again; /readyz on \
                        its admin address shows how far it is. If no writer runs, start one.\n";
            Ok(tell(told)?)
        }
        Err(Kept::Foreign(owner)) => Err(Error::Foreign(owner)),
        Err(Kept::Behind(behind)) => Err(Box::new(cluster::Error::Behind(behind)).into()),
        Err(Kept::NotWhole(partitions)) => {
            let partitions: Vec<String> = partitions.iter().map(ToString::to_string).collect();
            Err(Error::PartitionsNotWhole(partitions.join(", ")))
        }
    }
}

/// The settings, the data folder and the history's database.
fn found(data: &Path, config: Option<&Path>) -> Result<(Config, DataFolder, Database), Error> {
    let flags = Flags { data: Some(data.to_owned()), ..Flags::default() };
    let config = Config::load(config, flags)?;
    let data = DataFolder::of_venue(data)?;
    let database = venue::database(&config, &data)?.ok_or(Error::NoHistory)?;
    Ok((config, data, database))
}

/// What a verification found.
struct Verdict {
    sequence: Sequence,
    findings: Vec<String>,
    /// Whether the log lacks commands, so that nothing was compared and `sequence` is its last one.
    log_is_behind: bool,
    /// Where the replay began: what happened before could not be added up.
    since: Sequence,
    contents: Vec<TableContents>,
}

async fn verify(options: &StoreVerify) -> Result<bool, Error> {
    let data = options.data.as_deref().unwrap_or(Path::new(""));
    let (config, folder, database) = found(data, options.config.as_deref())?;
    let contradiction = Evidence::gather(&folder, Some(&database))?.examine(&folder.log())?;
    if let Some(contradiction) = contradiction {
        let verdict = Verdict {
            sequence: contradiction.end(),
            findings: vec![contradiction.to_string()],
            log_is_behind: true,
            since: Sequence(0),
            contents: Vec::new(),
        };
        tell(&if options.json { format!("{}\n", verdict.as_json()) } else { verdict.as_text() })?;
        return Ok(false);
    }
    let facts = Facts::read(&database, PARTITION, options.contents || options.rows).await?;
    let position = facts.position.sequence;
    let mut shown = Replay::begin("replaying the log to where the history stands");
    let log = log_folder(data);
    let snapshots = Folder::open(&snapshot_folder(data))?;
    // The sums need every trade, so snapshots are used only where the log has lost its beginning.
    let begun = |until: Sequence, shown: &mut Replay| {
        let checking = Checking::new(Limits::default(), facts.position.complete_from);
        let reader = |from| FileReader::open(&log, from);
        let progress = |progress: Progress| shown.at(progress);
        let which = Which::single(0);
        recovery::recover(&which, &UpTo(&snapshots, until), reader, Until::Durable(position), checking, progress)
    };
    let mut since = Sequence(0);
    let recovered = match begun(since, &mut shown) {
        Err(recovery::Error::Log(crossbook_log::Error::Trimmed { .. })) => {
            since = UpTo(&snapshots, position).list()?.last().copied().unwrap_or_default();
            begun(since, &mut shown)
        }
        recovered => recovered,
    };
    let Recovered { partition, follower, .. } = recovered?;
    shown.end();
    let Checking { views, mut witness, complete_from } = follower;
    if since > complete_from {
        witness.trust_trades(&facts);
    }
    let mut findings = witness.compare(&facts, &partition, &views.0);
    if options.rows {
        if since.max(complete_from) > Sequence(0) {
            return Err(Error::NoComparison);
        }
        findings.extend(compare_rows(&config, data, &facts).await?);
    }
    let (since, contents) = (since.max(complete_from), facts.contents);
    let verdict = Verdict { sequence: position, findings, log_is_behind: false, since, contents };
    tell(&if options.json { format!("{}\n", verdict.as_json()) } else { verdict.as_text() })?;
    Ok(verdict.findings.is_empty())
}

/// Tells every table that is not what the log makes of it.
async fn compare_rows(config: &Config, data: &Path, facts: &Facts) -> Result<Vec<String>, Error> {
    let folder = tempfile::tempdir()?;
    let options = crossbook_store::Options { database: Address::default(), ..config.history.clone() };
    let made = Database::new(&options, folder.path())?.ok_or(Error::NoHistory)?;
    let snapshots = Folder::open(&snapshot_folder(data))?;
    let source = LogSource::new(&log_folder(data), snapshots, facts.position.sequence, 0);
    let made = made.for_log(identity(data, facts.position.sequence)?);
    fill(source, &made, facts.position.sequence, config, "making the history for comparison").await?;
    let made = contents(&made).await?;
    let differing = facts.contents.iter().zip(&made).filter(|(found, made)| found != made);
    Ok(differing
        .map(|(found, made)| {
            format!("table {}: {} rows, not the {} that the log makes", found.table, found.rows, made.rows)
        })
        .collect())
}

/// Writes a history from its beginning into empty tables. Where it then stands.
async fn fill(
    mut source: LogSource,
    database: &Database,
    end: Sequence,
    config: &Config,
    what: &'static str,
) -> Result<Sequence, Error> {
    // Found before anything is touched: a log that leads nowhere must not cost the tables that there are.
    let mut projection = source.seek(Position::default(), &|| false).map_err(Error::Source)?;
    let mut writer = Writer::open_anew(database, PARTITION).await?;
    let mut shown = Replay::begin(what);
    loop {
        source.pull(&mut projection, end, config.history.transaction_rows_max.max(1)).map_err(Error::Source)?;
        if projection.is_empty() {
            break;
        }
        writer.write(&projection.take()).await?;
        shown.at(Progress { at: projection.position(), end: Some(end) });
    }
    shown.end();
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
    fn as_json(&self) -> Value {
        let tables: Map<String, Value> = self
            .contents
            .iter()
            .map(|table| (table.table.into(), json!({"rows": table.rows, "sha256": hex::encode(table.sha256)})))
            .collect();
        json!({
            "sequence": self.sequence.0,
            "since": self.since.0,
            "tables": tables,
            "findings": self.findings,
            "ok": self.findings.is_empty(),
        })
    }

    fn as_text(&self) -> String {
        use std::fmt::Write as _;
        let mut out = String::new();
        // Writing to a string cannot fail.
        let of = if self.log_is_behind { "log    " } else { "history" };
        let _ = writeln!(out, "last command in the {of}  {}", self.sequence);
        if self.since > Sequence(0) {
            let _ =
                writeln!(out, "trades up to command {} could not be added up: the log no longer has them", self.since);
        }
        for table in &self.contents {
            let _ = writeln!(out, "{:<16} {:>12} rows  {}", table.table, table.rows, hex::encode(table.sha256));
        }
        for finding in &self.findings {
            let _ = writeln!(out, "WRONG: {finding}");
        }
        let verdict = if self.log_is_behind {
            "Part of the log is missing. Keep the data folder as it is, and restore the log from a backup."
        } else if self.findings.is_empty() {
            "The history agrees with the engine: balances, open orders, the sums of trades, candles and ledger entries."
        } else {
            "The history differs from the engine, which is right. Find out who wrote to it, then: crossbook store rebuild"
        };
        let _ = writeln!(out, "{verdict}");
        out
    }
}

async fn rebuild(options: &StoreRebuild) -> Result<(), Error> {
    let data = options.data.as_deref().unwrap_or(Path::new(""));
    let (config, folder, database) = found(data, options.config.as_deref())?;
    let mut snapshots = Folder::open(&folder.snapshots())?;
    let path = folder.log();
    let evidence = Evidence::gather(&folder, Some(&database))?;
    // That it is another venue's history is decided below.
    let contradiction = evidence.examine(&path)?.filter(|contradiction| contradiction.foreign_history().is_none());
    let durable_at_least = match &contradiction {
        None => snapshots.list()?.first().copied().unwrap_or_default(),
        Some(_) if options.discard_newer => Sequence(0),
        Some(contradiction) => return Err(Error::Behind(contradiction.clone())),
    };
    let opened = Files::open(&path, files::Options { durable_at_least, ..config.log.files() });
    let (log, durable) = match opened {
        Err(crossbook_log::Error::Locked { .. }) => (None, durable_at_least.max(Sequence(1))),
        opened => opened.map(|(log, found)| (Some(log), found.last))?,
    };
    let identity = log.as_ref().map_or_else(|| identity(data, durable), |log| Ok(log.identity()))?;
    let owner = standing(&database, PARTITION).await?.map(|standing| standing.log);
    if let (Some(contradiction), Some(_)) = (&contradiction, &log) {
        evidence::give_up(contradiction, (&mut snapshots, durable), None)?;
    }
    let source = LogSource::new(&path, snapshots, durable, 0);
    if !options.discard {
        if let Some(owner) = owner.filter(|owner| *owner != format!("{identity:016x}")) {
            return Err(Error::Foreign(owner));
        }
        if !source.is_whole()? {
            return Err(Error::NotWhole);
        }
    }
    if log.is_none() {
        crossbook_store::give_up(&database, PARTITION).await?;
        let told = "The history is given up. The venue is running: if it keeps its history there, it notices within seconds and fills the \
                    tables again; /readyz on its admin address shows how far it is.\n";
        return Ok(tell(told)?);
    }
    let reached = fill(source, &database.for_log(identity), durable, &config, "filling the history").await?;
    if contradiction.is_some() {
        // Only what was applied may be noted: a command at which the replay ends can still be passed over.
        evidence::note(&folder, identity, reached, time_of(&path, reached)?)?;
    }
    Ok(tell(&format!("The history is made anew, up to command {reached}.\n"))?)
}
