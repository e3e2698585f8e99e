//! Restores a venue from its data folder: checks that the log has all commands that the evidence proves, opens it, and
//! replays it from the last snapshot on.

use std::path::PathBuf;

use crossbook_api_admin::startup::Phase;
use crossbook_engine::Partition;
use crossbook_log::storage::DiskLock;
use crossbook_log::{FileReader, Files, Log as _, Recovery, Until, files};
use crossbook_node::recovery::{self, Recovered, Which};
use crossbook_node::snapshot::{Folder, Saved as _};
use crossbook_types::Sequence;
use crossbook_views::Views;

use crate::config::Config;
use crate::data_folder::access::{self, Need};
use crate::data_folder::{self, DataFolder};
use crate::durability_check::{self, Evidence, LostBeginning, Reach};
use crate::progress::Progress;
use crate::{clock, history};

/// Why a venue cannot be restored.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data folder cannot be used.
    #[error(transparent)]
    Folder(#[from] data_folder::Error),
    /// The data folder belongs to another user.
    #[error(transparent)]
    Access(#[from] access::Error),
    /// The log cannot be opened.
    #[error("cannot open the log in {}: {source}", path.display())]
    Log {
        /// The file or folder.
        path: PathBuf,
        /// The underlying error.
        source: crossbook_log::Error,
    },
    /// The log lacks commands.
    #[error(transparent)]
    LogContradicted(#[from] durability_check::Contradiction),
    /// The evidence cannot be collected.
    #[error(transparent)]
    Evidence(#[from] durability_check::Error),
    /// The clock cannot be right, or the log's last time cannot.
    #[error(transparent)]
    Clock(#[from] clock::Behind),
    /// The state cannot be rebuilt.
    #[error("cannot restore the venue: {0}")]
    Recovery(#[from] recovery::Error),
    /// Snapshots cannot be read.
    #[error(transparent)]
    Snapshots(#[from] crossbook_node::snapshot::Error),
    /// The database of the history cannot be named.
    #[error(transparent)]
    History(#[from] history::Error),
    /// The system gives no random bytes.
    #[error("the system cannot provide random bytes")]
    NoRandomness,
}

/// What the operator accepts, so that a start that would be refused continues.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Accepted {
    /// API keys whose secrets cannot be opened are left to
    /// [`Venue::revoke_lost_keys`](crate::embedded::Venue::revoke_lost_keys).
    pub lost_keys: bool,
    /// Commands that the log once had and does not have now are abandoned; see [`durability_check`].
    pub discard_newer: bool,
    /// The clock is long before the log's last command.
    pub clock: bool,
    /// The venue was exported, and the export was imported nowhere.
    pub exported: bool,
}

/// A venue as it was restored from disk.
pub struct Restored {
    /// The partition.
    pub partition: Partition,
    /// Its views.
    pub views: Views,
    /// The log, open; as long as it is, no other process can open it.
    pub log: Files,
    /// What opening it found.
    pub found: Recovery,
    /// Held for as long as snapshots are written.
    pub snapshots_lock: DiskLock,
    /// The snapshots.
    pub snapshots: Folder,
    /// The snapshot that it was restored from; 0 if none was.
    pub snapshot: Sequence,
    /// The seed of the hash tables of this process.
    pub hash_seed: u64,
    /// What the log lacks at its beginning.
    pub lost: Option<LostBeginning>,
}

/// Opens the log of the configured data folder and restores the venue from the last snapshot and the log. Calls `enter`
/// with each phase, for the admin address.
///
/// # Errors
/// When the log cannot be opened or read, or lacks commands, or the snapshots cannot be read.
pub fn restore(
    config: &Config,
    accepted: Accepted,
    progress: &mut dyn Progress,
    enter: impl Fn(Phase),
) -> Result<Restored, Error> {
    access::check(&config.data, Need::Run)?;
    let data = DataFolder::new(&config.data)?;
    data.check_restored()?;
    let path = data.log();
    let mut snapshots = Folder::open(&data.snapshots())?;
    let history = history::database(config, &data)?;
    let evidence = Evidence::gather(&data, history.as_ref())?;
    if let Some(reason) = evidence.silent() {
        tracing::warn!(
            reason,
            "the history cannot be asked whether the log has all its commands; it is asked when it answers"
        );
    }
    let contradiction = match evidence.examine(&path) {
        // Opening the log reports more about that.
        Err(durability_check::Error::Log(_)) => None,
        examined => examined?,
    };
    // All commands of the evidence were durable. With this bound, the log does not mistake damage there for a torn
    // tail.
    let durable_at_least = match &contradiction {
        None => evidence.durable(),
        Some(_) if accepted.discard_newer => Sequence(0),
        Some(contradiction) => return Err(contradiction.clone().into()),
    };
    // Nor does a start need what is before the last snapshot, which is verified later, beside the venue. Where no
    // snapshot is good after all, the replay verifies what it reads.
    let verify_from = match contradiction {
        None => snapshots.list()?.first().copied().unwrap_or_default(),
        Some(_) => Sequence(0),
    };
    let options = files::Options { durable_at_least, verify_from, ..config.log.files() };
    let (log, found) = Files::open(&path, options).map_err(|source| Error::Log { path: path.clone(), source })?;
    if let Some(torn) = &found.torn {
        tracing::warn!(?torn, "the log ended in the middle of a write, which was never acknowledged; it was cut off");
    }
    // Usually the log's lock is enough, but the two folders need not be of the same venue: one of them may be a link.
    let snapshots_lock = snapshots.lock()?;
    if let Some(contradiction) = &contradiction {
        durability_check::discard(contradiction, (&mut snapshots, found.last), history.as_ref())?;
    }
    let mut seed = [0; 8];
    aws_lc_rs::rand::fill(&mut seed).map_err(|_| Error::NoRandomness)?;
    let hash_seed = u64::from_le_bytes(seed);
    progress.begin("replaying the log");
    enter(Phase::Replaying(Sequence(0)));
    let Recovered { partition, follower, snapshot, replayed } = recovery::recover(
        &Which::single(hash_seed),
        &snapshots,
        |from| FileReader::open(&path, from),
        Until::Durable(log.durable()),
        Views::new(config.views.clone()),
        |place| {
            enter(Phase::Replaying(place.at));
            progress.at(place);
        },
    )?;
    progress.end();
    let snapshot = snapshot.unwrap_or_default();
    clock::check(config.clock, clock::now(), partition.time(), accepted.clock)?;
    let lost = lost_beginning(&data, accepted)?;
    let (last, time) = (partition.sequence(), partition.time());
    durability_check::record(&data, &Reach { log: log.identity(), first: log.first(), last, time })?;
    tracing::info!(command = partition.sequence().0, snapshot = snapshot.0, replayed, "the venue is restored");
    Ok(Restored { partition, views: follower, log, found, snapshots_lock, snapshots, snapshot, hash_seed, lost })
}

/// Whether the log has lost its beginning, which does not prevent trading; ignored if the operator accepts that.
fn lost_beginning(data: &DataFolder, accepted: Accepted) -> Result<Option<LostBeginning>, Error> {
    let Some(lost) = durability_check::lost_beginning(data)? else { return Ok(None) };
    if accepted.discard_newer {
        tracing::warn!(%lost, "discarded, because of --discard-newer");
        durability_check::record_first(data, lost.begins())?;
        return Ok(None);
    }
    tracing::error!("{lost}");
    Ok(Some(lost))
}
