//! Durability check of a cluster: proves from a partition's snapshots and the history in SQL that its streams once had
//! more commands. Streams that end before them have lost commands that clients were answered, so no worker and no
//! gateway starts on them. The messages that other partitions have received are proof, too; a worker checks these by
//! itself.

use std::time::Duration;

use crossbook_cluster::cut::CutSource as _;
use crossbook_node::snapshot::Saved as _;
use crossbook_store::{Database, Standing};
use crossbook_types::{PartitionId, Sequence};

use super::{Error, Site};
use crate::config::Config;
use crate::durability_check::on_a_thread;

/// The pause between two attempts to reach a database.
const ASK_EVERY: Duration = Duration::from_secs(5);

/// Streams that are behind what was made of them.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "the streams of partition {partition} end at command {end}, but {} is from command {command}: commands are missing. Restore the store from a backup or \
     a replica that has them. If there is none, `crossbook worker --discard-newer` gives them up for good: snapshots that the streams do not reach are set \
     aside, and the partition's history is rebuilt. The clients that were informed of their effects must then be corrected",
    proof
)]
pub struct Behind {
    partition: PartitionId,
    end: Sequence,
    command: Sequence,
    proof: String,
}

/// What is known of a partition from elsewhere.
struct Known {
    snapshot: Sequence,
    /// Why the database cannot be asked now, if it cannot.
    history: Result<Sequence, String>,
}

/// Asks what there is for a partition. The history of another venue is refused.
fn known(site: &Site, database: Option<&Database>, partition: PartitionId) -> Result<Known, Error> {
    let snapshot = site.snapshots(partition)?.list()?.first().copied().unwrap_or_default();
    let Some(database) = database else { return Ok(Known { snapshot, history: Ok(Sequence(0)) }) };
    let history = match on_a_thread(|| crossbook_store::standing(database, partition)).map_err(Error::Thread)? {
        Ok(None) => Ok(Sequence(0)),
        Ok(Some(Standing { log, position })) => {
            let expected = format!("{:016x}", site.identity);
            if log != expected {
                return Err(crossbook_store::Error::Foreign { expected, found: log }.into());
            }
            Ok(position.sequence)
        }
        // An unreachable database does not prevent trading.
        Err(error @ (crossbook_store::Error::Database(_) | crossbook_store::Error::Slow(_))) => Err(error.to_string()),
        Err(error) => return Err(error.into()),
    };
    Ok(Known { snapshot, history })
}

/// Holds the streams of a partition against what is known of them. Why the history could not be asked, if it could not.
///
/// # Errors
/// [`Error::Behind`], and when snapshots or streams cannot be read.
pub fn check(site: &Site, database: Option<&Database>, partition: PartitionId) -> Result<Option<String>, Error> {
    let known = known(site, database, partition)?;
    // Queried afterwards, so that what is known was confirmed by then.
    let end = site.confirmed_end(partition)?;
    let behind = |command: Sequence, proof: &str| {
        let proof = proof.to_owned();
        (command > end).then_some(Behind { partition, end, command, proof })
    };
    let (history, unasked) = match known.history {
        Ok(history) => (history, None),
        Err(reason) => (Sequence(0), Some(reason)),
    };
    let found = behind(known.snapshot, "its last snapshot").or_else(|| behind(history, "its history in SQL"));
    found.map_or(Ok(unasked), |behind| Err(behind.into()))
}

/// What proves that a command of a partition was applied, if something does: a snapshot or the history, if it can be
/// asked.
///
/// # Errors
/// When the snapshots or the history cannot be read.
pub fn proof(
    site: &Site,
    config: &Config,
    partition: PartitionId,
    sequence: Sequence,
) -> Result<Option<String>, Error> {
    let database = site.database(config)?;
    let known = known(site, database.as_ref(), partition)?;
    if known.snapshot >= sequence {
        return Ok(Some(format!("the snapshot of command {}", known.snapshot)));
    }
    let history = known.history.unwrap_or_default();
    Ok((history >= sequence).then(|| format!("the history in SQL, at command {history},")))
}

/// Holds the streams of all partitions against what is known of them. A database that does not answer once is not asked
/// again.
///
/// # Errors
/// As for [`check`].
pub fn check_all(site: &Site, database: Option<&Database>) -> Result<(), Error> {
    let mut asked = database;
    for partition in site.routing.all() {
        if let Some(reason) = check(site, asked, partition)? {
            tracing::warn!(reason, "the history cannot be queried for its position; trying again later");
            asked = None;
        }
    }
    Ok(())
}

/// Discards, for good, what the streams of all partitions do not reach: snapshots are set aside, histories are rebuilt.
///
/// # Errors
/// When that cannot be done, or the database cannot be queried.
pub fn discard(site: &Site, database: Option<&Database>) -> Result<(), Error> {
    for partition in site.routing.all() {
        let Err(Error::Behind(behind)) = check(site, database, partition) else { continue };
        tracing::warn!(%behind, "discarded, because of --discard-newer");
        let end = site.confirmed_end(partition)?;
        site.snapshots(partition)?.set_aside(end)?;
        if let Some(database) = database
            && known(site, Some(database), partition)?.history.is_ok_and(|history| history > end)
        {
            on_a_thread(|| crossbook_store::give_up(database, partition)).map_err(Error::Thread)??;
        }
        // A history that cannot be queried is not discarded, and is reported when it can be.
        check(site, database, partition)?;
    }
    Ok(())
}

/// Asks the database until it has answered for all partitions; `contradicted` is called if the streams of one are
/// behind it.
pub fn watch(site: Site, database: Database, contradicted: impl Fn(String) + Send + 'static) -> std::io::Result<()> {
    std::thread::Builder::new().name("evidence".to_owned()).spawn(move || {
        let mut left: Vec<PartitionId> = site.routing.all().collect();
        loop {
            left.retain(|&partition| match check(&site, Some(&database), partition) {
                Ok(unasked) => unasked.is_some(),
                Err(Error::Behind(behind)) => {
                    contradicted(behind.to_string());
                    false
                }
                Err(Error::History(error)) => {
                    contradicted(error.to_string());
                    false
                }
                Err(error) => {
                    tracing::debug!(partition = partition.0, %error, "the evidence about the streams cannot be queried now");
                    true
                }
            });
            if left.is_empty() {
                return;
            }
            std::thread::sleep(ASK_EVERY);
        }
    })?;
    Ok(())
}
