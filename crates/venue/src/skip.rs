//! Skips a command that cannot be applied.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crossbook_log::skip::is_marked;
use crossbook_log::{FileReader, Until};
use crossbook_node::recovery::{self, Which};
use crossbook_node::skip::{self, Skipped};
use crossbook_node::snapshot::Folder;
use crossbook_types::{PartitionId, Sequence};
use crossbook_views::Views;

use crate::cluster::provider::Link;
use crate::cluster::{self, Site};
use crate::config::Config;
use crate::data_folder::DataFolder;
use crate::durability_check::{self, Evidence};
use crate::history;

/// Why a command is not skipped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The cluster cannot be reached.
    #[error(transparent)]
    Cluster(#[from] Box<cluster::Error>),
    /// There is no such partition.
    #[error("there is no partition {0}; the venue has partitions 0 to {1}")]
    Partition(u16, u16),
    /// The history cannot be named.
    #[error(transparent)]
    History(#[from] history::Error),
    /// The evidence about the log cannot be read.
    #[error(transparent)]
    Evidence(#[from] durability_check::Error),
    /// The commands before it cannot be replayed.
    #[error("the log cannot be replayed up to command {0}: {1}")]
    Replay(Sequence, Box<recovery::Error>),
    /// It is not the one.
    #[error(
        "command {0} can be applied: a replay applies it, so its sender may have been answered that it was executed. \
         Give the number that the log line of the process that ended names; --force skips this one all the same, and \
         with it its effects"
    )]
    Applies(Sequence),
    /// A replay ends before the command.
    #[error(
        "a command before {0} cannot be applied, so nothing is known of {0}. Give the number that the log line of the \
         process that ended names; --force skips {0} all the same"
    )]
    Earlier(Sequence),
    /// It cannot be skipped.
    #[error(transparent)]
    Skip(#[from] skip::Error),
    /// It cannot be skipped in a cluster.
    #[error(transparent)]
    InCluster(#[from] crossbook_cluster::skip::Error),
}

/// A skipped command.
#[derive(Debug)]
pub struct Passed {
    /// Its place in the log.
    pub sequence: Sequence,
    /// Which command it was, and whether it was skipped before.
    pub skipped: Skipped,
    /// What the operator does next.
    pub next: &'static str,
}

/// Marks a command of a partition of a cluster as skipped; with `force`, even if others rely on it.
///
/// # Errors
/// See [`Error`]; nothing has changed then.
pub fn of_cluster(
    config: &Config,
    (partition, sequence): (PartitionId, Sequence),
    force: bool,
) -> Result<Passed, Error> {
    let site = Site::find(config).map_err(Box::new)?;
    let all = site.routing.partitions();
    if partition.0 >= all {
        return Err(Error::Partition(partition.0, all - 1));
    }
    if let Some(proof) = cluster::durability_check::proof(&site, config, partition, sequence).map_err(Box::new)? {
        return Err(skip::Error::Applied { sequence, proof }.into());
    }
    if !force && applies_in_cluster(&site, partition, sequence)? {
        return Err(Error::Applies(sequence));
    }
    let skipped = crossbook_cluster::skip::mark(&site.servers, partition, sequence, force)?;
    let next = "Start workers that ended with it, and gateways that have isolated its partition, again.";
    Ok(Passed { sequence, skipped, next })
}

/// Whether a replay can apply a command of a partition of a cluster. One that the log does not have, or that is skipped
/// already, counts as not applied.
fn applies_in_cluster(site: &Site, partition: PartitionId, sequence: Sequence) -> Result<bool, Error> {
    let link = Link::connect(&site.servers, partition);
    let found = link.and_then(|mut link| link.read(sequence.max(Sequence(1)), 1));
    let found = found.map_err(|error| Box::new(cluster::Error::from(error)))?;
    if found.first().is_none_or(|found| found.sequence != sequence || is_marked(&found.payload)) {
        return Ok(false);
    }
    decide(sequence, |until| {
        site.at(partition, until).map(drop).map_err(|error| Box::new(cluster::Error::from(error)).into())
    })
}

/// Whether commands can be applied up to `sequence`, but for a fault in an earlier one. `replay` applies all up to a
/// command.
fn decide(sequence: Sequence, replay: impl Fn(Sequence) -> Result<(), Error>) -> Result<bool, Error> {
    let passes = |until| match catch_unwind(AssertUnwindSafe(|| replay(until))) {
        Ok(replayed) => replayed.map(|()| true),
        Err(_) => Ok(false),
    };
    if passes(sequence)? {
        return Ok(true);
    }
    // The replay may have ended before this command, and then nothing is known of it.
    if passes(Sequence(sequence.0.saturating_sub(1)))? { Ok(false) } else { Err(Error::Earlier(sequence)) }
}

/// Marks a command of the venue in a data folder as skipped; with `force`, even if it can be applied.
///
/// # Errors
/// See [`Error`]; nothing has changed then.
pub fn of_venue(data: &DataFolder, config: &Config, sequence: Sequence, force: bool) -> Result<Passed, Error> {
    let snapshots = Folder::at(&data.snapshots());
    let database = history::database(config, data)?;
    let evidence = Evidence::gather(data, database.as_ref())?;
    if let Some(proof) = evidence.proof(sequence) {
        return Err(skip::Error::Applied { sequence, proof: proof.to_string() }.into());
    }
    if !force && applies(config, data, &snapshots, sequence)? {
        return Err(Error::Applies(sequence));
    }
    let skipped = skip::of_files(&data.log(), &snapshots, sequence, force)?;
    Ok(Passed { sequence, skipped, next: "Start the venue." })
}

/// Whether a replay can apply a command that no snapshot holds. One that the log does not have, or that is skipped
/// already, counts as applied.
fn applies(config: &Config, data: &DataFolder, snapshots: &Folder, sequence: Sequence) -> Result<bool, Error> {
    let log = data.log();
    let mut until = FileReader::open(&log, sequence.max(Sequence(1)));
    let record = crossbook_log::Reader::next(&mut until, Until::End).map_err(skip::Error::Log)?;
    if record.is_none_or(|record| record.sequence != sequence || is_marked(record.payload)) {
        return Ok(false);
    }
    decide(sequence, |until| {
        let open = |from| FileReader::open(&log, from);
        let views = Views::new(config.views.clone());
        let replayed = recovery::recover(&Which::single(0), snapshots, open, Until::Durable(until), views, |_| ());
        replayed.map(drop).map_err(|error| Error::Replay(until, Box::new(error)))
    })
}
