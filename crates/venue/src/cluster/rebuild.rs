//! `crossbook store rebuild --cluster`: makes the writer of a cluster rebuild the history.
//!
//! The position of each partition in the tables is deleted. The writer notices within seconds, deletes the rows of the
//! partition, and writes them again from the log, or from a snapshot where the beginning of the log has been
//! trimmed. Trading is not affected.

use crossbook_store::Database;
use crossbook_types::{PartitionId, Sequence};

use super::provider::Link;
use super::{Error, Site};

/// Why a history is not rebuilt; nothing was changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CutSource {
    /// The tables are those of another venue's log, which this names.
    Foreign(String),
    /// The streams of a partition lack commands.
    Behind(super::durability_check::Behind),
    /// The beginnings of these partitions' logs have been trimmed.
    NotWhole(Vec<PartitionId>),
}

/// Discards the history of all partitions; if it is another venue's, or cannot be rebuilt completely from the logs,
/// only with `discard`; if the logs are behind it, only with `discard_newer`.
///
/// # Errors
/// When the store or the database fails. What was discarded by then is filled again; start again for the rest.
pub fn rebuild(
    site: &Site,
    database: &Database,
    (discard, discard_newer): (bool, bool),
) -> Result<Result<(), CutSource>, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Thread)?;
    let own = format!("{:016x}", site.identity);
    let mut trimmed = Vec::new();
    for partition in site.routing.all() {
        let owner = runtime.block_on(crossbook_store::standing(database, partition))?.map(|standing| standing.log);
        if let Some(owner) = owner.filter(|owner| !discard && *owner != own) {
            return Ok(Err(CutSource::Foreign(owner)));
        }
        match super::durability_check::check(site, Some(database), partition) {
            Err(Error::Behind(behind)) if !discard_newer => return Ok(Err(CutSource::Behind(behind))),
            // That it is another venue's was decided above.
            Ok(_) | Err(Error::Behind(_) | Error::History(crossbook_store::Error::Foreign { .. })) => {}
            Err(error) => return Err(error),
        }
        if Link::connect(&site.servers, partition)?.ends()?.first > Sequence(1) {
            trimmed.push(partition);
        }
    }
    if !discard && !trimmed.is_empty() {
        return Ok(Err(CutSource::NotWhole(trimmed)));
    }
    for partition in site.routing.all() {
        // What the tables will need must not be trimmed meanwhile. Said again afterwards: the writer may have noted its
        // old place in between.
        let keep_all = || Link::connect(&site.servers, partition)?.mark_written(Sequence(0));
        keep_all()?;
        runtime.block_on(crossbook_store::give_up(database, partition))?;
        keep_all()?;
    }
    Ok(Ok(()))
}
