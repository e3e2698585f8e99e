//! Exports a cluster, which never continues afterwards. In order:
//!
//! 1. The partitions are closed to commands. From then on gateways refuse their clients.
//! 2. A worker in this process follows all partitions and delivers the messages that are under way, until there are
//!    none. Other workers may run or not.
//! 3. The partitions are closed to everything, so that their logs end where they end.
//! 4. All partitions are restored from their logs and added up; their inventory is drawn up and written.
//!
//! What is interrupted is continued by the same command. [`reopen`] goes back.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use crossbook_cluster::Worker;
use crossbook_cluster::cut::{self, ConsistentCut, CutSource as _};
use crossbook_cluster::store::{Closing, Refuses};
use crossbook_engine::Partition;
use crossbook_engine::import::Past;
use crossbook_node::export::Export;
use crossbook_node::recovery;
use crossbook_types::{PartitionId, RequestNumber, Sequence, SourceId, Timestamp};
use crossbook_views::Views;
use parking_lot::Mutex;

use super::closing::{self, Unreached};
use super::{Error as SiteError, Site, audit, durability_check, worker};
use crate::config::Config;
use crate::export::{self as exporting, Exported, Origin, SecretKey};
use crate::progress::Progress;
use crate::secrets::{self, Absent};

/// How long the logs must have stood still before the partitions are restored to see whether messages are under way.
const STILL: Duration = Duration::from_secs(1);
/// For how long messages may be under way without any log moving.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often the ends of the logs are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Why a cluster cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The cluster cannot be read.
    #[error(transparent)]
    Site(#[from] SiteError),
    /// There is nothing in it.
    #[error("the cluster has no commands; check `cluster.redis.venue` and the addresses of the servers")]
    Empty,
    /// A venue is being imported into it.
    #[error("partition {0} has an import that was not completed: complete it, or empty the store")]
    Importing(PartitionId),
    /// It cannot be closed.
    #[error("the cluster cannot be closed completely: {0}")]
    Close(#[from] Unreached),
    /// The worker of this process failed.
    #[error("the messages between partitions cannot be delivered: {0}")]
    Worker(String),
    /// Messages do not arrive.
    #[error("{0} messages between partitions are under way, and no log moves; look at the shards of the store")]
    UnderWay(u64),
    /// The balances do not add up.
    #[error("the books of the cluster do not balance: {}; audit it before you export it", .0.join("; "))]
    Audit(Vec<String>),
    /// What it has cannot be drawn up.
    #[error("the cluster cannot be exported: {0}")]
    Inventory(#[from] crossbook_engine::import::Error),
    /// The file cannot be written.
    #[error(transparent)]
    File(#[from] exporting::Error),
    /// Somebody else has opened or closed it meanwhile.
    #[error(
        "the cluster was opened again, or another export has closed it, while this one was made; nothing was written. \
         Make sure that nobody else exports or opens it, and export it again"
    )]
    Reopened,
    /// It has failed after the cluster was closed.
    #[error(
        "{0}. The cluster remains closed: run the same command again, or open it with `crossbook export --cluster \
         --reopen`"
    )]
    WhileClosed(Box<Error>),
}

impl From<cut::Error> for Error {
    fn from(error: cut::Error) -> Self {
        Self::Site(error.into())
    }
}

/// Closes the cluster of a configuration and writes everything that it has to the file `out`, which must not be there
/// yet.
///
/// # Errors
/// When there is no venue, messages do not arrive, a partition cannot be restored, or the file cannot be written. Where
/// it has been closed by then, the message says so.
pub fn write(config: &Config, out: &Path, progress: &mut dyn Progress) -> Result<Exported, Error> {
    exporting::check_writable(out)?;
    let site = Site::find(config)?;
    let database = site.database(config)?;
    check(&site)?;
    durability_check::check_all(&site, database.as_ref())?;
    let name = std::path::absolute(out).unwrap_or_else(|_| out.to_owned()).display().to_string();
    let closed = move |error: Error| Error::WhileClosed(Box::new(error));
    let cut = end(config, &site, &name, progress).map_err(&closed)?;
    let check_unchanged = || check_unchanged(&site, &cut, &name);
    check_unchanged()?;
    let exported = conclude(&site, &cut, out).map_err(closed)?;
    // A cluster that trades on must not leave an export behind, from which the same venue could begin a second time.
    if let Err(error) = check_unchanged() {
        exporting::remove(out)?;
        return Err(error);
    }
    Ok(exported)
}

/// The cluster must still be closed for this export, at the places that were exported.
fn check_unchanged(site: &Site, cut: &ConsistentCut<Views>, name: &str) -> Result<(), Error> {
    let is_closed = closing::is_closed(site, &Closing { refuses: Refuses::Everything, export: name.to_owned() })?;
    let is_at_end = cut.0.iter().map(|part| part.state.sequence()).eq(ends(site)?);
    if is_closed && is_at_end { Ok(()) } else { Err(Error::Reopened) }
}

/// Opens a closed cluster again. Returns how it was closed.
///
/// # Errors
/// When the store does not answer.
pub fn reopen(config: &Config) -> Result<Reopened, Error> {
    Ok(Reopened(closing::reopen(&Site::find(config)?)?))
}

/// A cluster that is open again, and how it was closed.
#[derive(Debug)]
pub struct Reopened(pub Option<Closing>);

/// Whether there is a whole venue to export.
fn check(site: &Site) -> Result<(), Error> {
    let received = |partition, source: SourceId| {
        let sender = PartitionId(u16::try_from(source.0).expect("these sources have numbers like partitions"));
        site.received(partition, sender)
    };
    for partition in site.routing.all() {
        let begun = received(partition, SourceId::IMPORT)? > RequestNumber(0);
        if begun && received(partition, SourceId::IMPORT_END)? == RequestNumber(0) {
            return Err(Error::Importing(partition));
        }
    }
    if ends(site)?.iter().all(|&end| end == Sequence(0)) { Err(Error::Empty) } else { Ok(()) }
}

/// By partition, the last command that is confirmed.
fn ends(site: &Site) -> Result<Vec<Sequence>, Error> {
    site.patience
        .ask(|| {
            let end = |partition| site.confirmed_end(partition).map_err(SiteError::from);
            site.routing.all().map(end).collect::<Result<Vec<_>, _>>()
        })
        .map_err(Error::from)
}

/// Closes the cluster, and returns its partitions at the ends of their logs.
fn end(config: &Config, site: &Site, name: &str, progress: &mut dyn Progress) -> Result<ConsistentCut<Views>, Error> {
    let as_of = |refuses| Closing { refuses, export: name.to_owned() };
    let before = site.patience.ask(|| closing::look(site))?;
    let settled = if before.is_some_and(|closing| closing.refuses == Refuses::Everything) {
        None
    } else {
        closing::close(site, &as_of(Refuses::Commands))?;
        tracing::info!("the cluster is closed; delivering what is under way");
        Some(settle(config, site, progress)?)
    };
    closing::close(site, &as_of(Refuses::Everything))?;
    let ends = ends(site)?;
    let is_at_end =
        |cut: &ConsistentCut<Views>| cut.0.iter().map(|part| part.state.sequence()).eq(ends.iter().copied());
    let cut = match settled.filter(is_at_end) {
        Some(cut) => cut,
        None => restored(site)?,
    };
    if cut.messages() > 0 { Err(Error::UnderWay(cut.messages())) } else { Ok(cut) }
}

fn restored(site: &Site) -> Result<ConsistentCut<Views>, Error> {
    Ok(ConsistentCut::now(site, &site.routing, || Views::new(site.limits.clone()))?)
}

/// Delivers what is under way. Returns the partitions when nothing is.
fn settle(config: &Config, site: &Site, progress: &mut dyn Progress) -> Result<ConsistentCut<Views>, Error> {
    let all: Vec<PartitionId> = site.routing.all().collect();
    let begin = worker::begin(site, None, &all, (config.clock, true))?;
    let failed = Arc::new(Mutex::new(None));
    let fatal = {
        let failed = Arc::clone(&failed);
        move |reason| *failed.lock() = Some(reason)
    };
    let name = format!("export-{}", std::process::id());
    let reload = super::worker::reload(site);
    let worker = Worker::start(&site.servers, &name, &config.cluster.worker, begin, reload, fatal);
    let worker = worker.map_err(SiteError::Thread)?;
    let settled = settle_with(site, &worker, &failed, progress);
    worker.stop();
    settled
}

fn settle_with(
    site: &Site,
    worker: &Worker,
    failed: &Mutex<Option<String>>,
    progress: &mut dyn Progress,
) -> Result<ConsistentCut<Views>, Error> {
    progress.begin("delivering what is under way");
    let (mut seen, mut moved) = (ends(site)?, Instant::now());
    let mut messages = 0;
    loop {
        if let Some(reason) = failed.lock().take() {
            return Err(Error::Worker(reason));
        }
        let ends = ends(site)?;
        if ends != seen {
            (seen, moved) = (ends, Instant::now());
        }
        let applied: Vec<Sequence> = worker.partitions().map(|(_, status)| status.applied()).collect();
        let sum = |places: &[Sequence]| Sequence(places.iter().map(|place| place.0).sum());
        progress.at(recovery::Progress { at: sum(&applied), end: Some(sum(&seen)) });
        if applied == seen && moved.elapsed() >= STILL {
            let cut = restored(site)?;
            messages = cut.messages();
            if messages == 0 {
                progress.end();
                return Ok(cut);
            }
        }
        if moved.elapsed() >= PATIENCE {
            return Err(Error::UnderWay(messages));
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Adds the partitions up, draws up what they have, and writes it.
fn conclude(site: &Site, cut: &ConsistentCut<Views>, out: &Path) -> Result<Exported, Error> {
    let report = audit::add_up(cut);
    if !report.adds_up() {
        return Err(Error::Audit(report.findings));
    }
    let parts: Vec<(&Partition, &dyn Past)> =
        cut.0.iter().map(|part| (&part.state, part.follower() as &dyn Past)).collect();
    let inventory = crossbook_engine::import::gather(&parts)?;
    let hashes: Vec<u8> = report.partitions.iter().flat_map(|standing| standing.state_hash).collect();
    let mut state_hash = [0; 32];
    state_hash.copy_from_slice(digest(&SHA256, &hashes).as_ref());
    let export = Export {
        sequence: Sequence(parts.iter().map(|(partition, _)| partition.sequence().0).sum()),
        time: parts.iter().map(|(partition, _)| partition.time()).max().unwrap_or(Timestamp(0)),
        state_hash,
        inventory,
    };
    let secret_key = secret_key(&export);
    let origin = Origin::Cluster { partitions: site.routing.partitions() };
    Ok(exporting::finish(export, origin, out, secret_key)?)
}

/// What is known of the key that the secrets of the export need: a cluster has it in the environment only.
fn secret_key(export: &Export) -> SecretKey {
    if !exporting::has_secrets(&export.inventory) {
        return SecretKey::NotNeeded;
    }
    if std::env::var_os(secrets::SECRET_KEY_VARIABLE).is_none() {
        let variable = secrets::SECRET_KEY_VARIABLE;
        return SecretKey::Missing(format!("it is what the gateways of this cluster have as {variable}"));
    }
    match secrets::secret_key(Path::new(""), Absent::Refuse) {
        Ok(key) if exporting::opens(&key, &export.inventory) => {
            SecretKey::At(format!("in {} of this environment", secrets::SECRET_KEY_VARIABLE))
        }
        Ok(_) => SecretKey::Missing(format!("the one in {} does not open them", secrets::SECRET_KEY_VARIABLE)),
        Err(error) => SecretKey::Missing(error.to_string()),
    }
}
