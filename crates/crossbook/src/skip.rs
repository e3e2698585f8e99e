//! `crossbook skip`: passes over a command that cannot be applied.

use std::fmt::Write as _;

use crossbook_node::skip::{self, Skipped};
use crossbook_node::snapshot::Folder;
use crossbook_types::{PartitionId, Sequence};

use crate::cluster::{self, Site};
use crate::command;
use crate::config::{self, Config, Flags};
use crate::data_folder::{self, DataFolder};

/// Why a command is not passed over.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data folder is none.
    #[error(transparent)]
    Folder(#[from] data_folder::Error),
    /// The settings are wrong.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// The cluster cannot be reached.
    #[error(transparent)]
    Cluster(#[from] Box<cluster::Error>),
    /// There is no such partition.
    #[error("there is no partition {0}; the venue has partitions 0 to {1}")]
    Partition(u16, u16),
    /// It cannot be passed over.
    #[error(transparent)]
    Skip(#[from] skip::Error),
}

/// Marks the command that the command line names. What was done, in words.
///
/// # Errors
/// See [`Error`]; nothing has changed then.
pub fn run(options: &command::Skip) -> Result<String, Error> {
    let sequence = Sequence(options.sequence);
    let (skipped, next) = if options.cluster {
        let site = Site::find(&Config::load(options.config.as_deref(), Flags::default())?).map_err(Box::new)?;
        let all = site.routing.partitions();
        let partition = options.partition.unwrap_or_default();
        if partition >= all {
            return Err(Error::Partition(partition, all - 1));
        }
        let skipped = skip::of_stream(&site.servers, PartitionId(partition), sequence, options.force)?;
        (skipped, "Workers that ended with it go on when they are started again.")
    } else {
        let data = DataFolder::of_venue(&options.data.clone().unwrap_or_default())?;
        let snapshots = Folder::at(&data.snapshots());
        (skip::of_files(&data.log(), &snapshots, sequence, options.force)?, "Start the venue.")
    };
    let Skipped { command, before } = skipped;
    let mut text = String::new();
    let how = if before { "is passed over already" } else { "is passed over from now on" };
    // Writing to a string cannot fail.
    let _ = writeln!(text, "Command {sequence} {how}; whoever sent it is told that the operator did. {next}");
    let _ = writeln!(text, "It was number {} of source {}: {:?}", command.number, command.source, command.body);
    Ok(text)
}
