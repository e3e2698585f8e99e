//! Audits a log offline: replays it and reports whether all balances reconcile.

use std::path::PathBuf;

use crossbook_log::{FileReader, Until};
use crossbook_node::audit::{Proof, Report, replay};
use crossbook_node::snapshot::{self, Folder};
use crossbook_types::Sequence;
use crossbook_views::Views;

use crate::cluster::{self, Site};
use crate::config::Config;
use crate::data_folder::{self, DataFolder};
use crate::durability_check::{self, Contradiction, Evidence};
use crate::history;
use crate::progress::Progress;
use crate::verdict::Verdict;

/// Why a log cannot be audited.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data folder is none.
    #[error(transparent)]
    Folder(#[from] data_folder::Error),
    /// There is none, but there was.
    #[error(transparent)]
    LogLost(#[from] Contradiction),
    /// The evidence about the log cannot be read.
    #[error(transparent)]
    Evidence(#[from] durability_check::Error),
    /// The history cannot be named.
    #[error(transparent)]
    History(#[from] history::Error),
    /// There is one, without a single command.
    #[error(
        "there is nothing to audit: the log in {} holds no command, and no snapshot proves that it ever did",
        .0.display()
    )]
    Nothing(PathBuf),
    /// The snapshots beside it cannot be read.
    #[error(transparent)]
    Snapshots(#[from] snapshot::Error),
    /// It cannot be read.
    #[error("the log in {} cannot be replayed: {source}", path.display())]
    Replay {
        /// Where it is.
        path: PathBuf,
        /// The underlying error.
        source: crossbook_node::recovery::Error,
    },
}

/// What the audit of a log found.
#[derive(Debug)]
pub struct LogAudit {
    /// What the log is.
    pub log: Audited,
    /// Why the history could not be asked whether the log has all its commands.
    pub unasked: Option<String>,
}

/// A log that was audited.
#[derive(Debug)]
pub enum Audited {
    /// It was replayed.
    Replayed {
        /// The sums of the replay, and its findings.
        report: Report,
        /// Bytes at the end of the log of a write that did not end.
        torn_bytes: u64,
    },
    /// It has lost its beginning, from which it would be replayed.
    Incomplete {
        /// How many commands are missing.
        missing: u64,
        /// What is missing at its beginning, and at its end.
        findings: Vec<String>,
    },
}

impl LogAudit {
    /// All that was found to be wrong.
    #[must_use]
    pub fn findings(&self) -> &[String] {
        match &self.log {
            Audited::Replayed { report, .. } => &report.findings,
            Audited::Incomplete { findings, .. } => findings,
        }
    }

    /// How the log is.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        Verdict::of(self.findings(), self.unasked.as_ref())
    }
}

/// Audits a cluster, also while it runs, from its snapshots and logs.
///
/// # Errors
/// When the cluster cannot be read.
pub fn cluster(config: &Config) -> Result<cluster::audit::Report, cluster::Error> {
    let site = Site::find(config)?;
    let database = site.database(config)?;
    cluster::audit::audit(&site, database.as_ref())
}

/// Audits the log in a data folder, also while the venue runs.
///
/// # Errors
/// When there is no log, nothing in it, or it cannot be read.
pub fn log(data: &DataFolder, config: &Config, progress: &mut dyn Progress) -> Result<LogAudit, Error> {
    let (path, snapshots) = (data.log(), data.snapshots());
    let database = history::database(config, data)?;
    // Read before the log: beside a running venue, what is made meanwhile may stand for more than was read of the log.
    let evidence = Evidence::gather(data, database.as_ref())?;
    let mut proof = if data_folder::is_folder(&snapshots)? {
        Proof::read::<Views>(&Folder::at(&snapshots))?
    } else {
        Proof::default()
    };
    // A loss is reported once, with all that prove it.
    proof.durable = Sequence(0);
    if !data_folder::is_folder(&path)? {
        return Err(evidence.examine(&path)?.map_or(data_folder::Error::NoLog(path).into(), Error::LogLost));
    }
    let unasked = evidence.silent().map(str::to_owned);
    if let Some(lost) = durability_check::lost_beginning(data)? {
        let end = evidence.examine(&path)?;
        let missing = lost.missing() + end.as_ref().map_or(0, Contradiction::missing);
        let findings = [lost.to_string()].into_iter().chain(end.map(|end| end.to_string())).collect();
        return Ok(LogAudit { log: Audited::Incomplete { missing, findings }, unasked });
    }
    let mut reader = FileReader::open(&path, Sequence(1));
    progress.begin("auditing");
    let mut report = replay(&mut reader, Until::End, &proof, |place| progress.at(place))
        .map_err(|source| Error::Replay { path: path.clone(), source })?;
    progress.end();
    if let Some(contradiction) = evidence.examine(&path)? {
        report.missing = contradiction.missing();
        report.findings.push(contradiction.to_string());
    }
    if report.sequence == Sequence(0) && report.findings.is_empty() {
        return Err(Error::Nothing(path));
    }
    Ok(LogAudit { log: Audited::Replayed { report, torn_bytes: reader.torn_bytes() }, unasked })
}
