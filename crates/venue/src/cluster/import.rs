//! Imports an exported venue into the partitions of a new cluster.
//!
//! The export is split into pieces, which are delivered to the partitions' logs like the messages of a partition:
//! numbered, in order, each once, and durable before the next. So an interrupted import continues where it stopped, and
//! it makes no difference whether workers run meanwhile. In order:
//!
//! 1. Every partition gets the command to begin. One that is not new refuses; the others take nothing but pieces now.
//! 2. Every partition gets its pieces.
//! 3. All partitions are restored from their logs, independently of the workers, and their content is compared with the
//!    export.
//! 4. Only if the two are equal, every partition gets the command to open.

use std::path::Path;
use std::time::{Duration, Instant};

use crossbook_cluster::cut::{ConsistentCut, CutSource as _, Part};
use crossbook_cluster::store::StoreError as _;
use crossbook_engine::Partition;
use crossbook_engine::import::Past;
use crossbook_node::export::Export;
use crossbook_node::recovery;
use crossbook_node::snapshot::Saved as _;
use crossbook_protocol::Body;
use crossbook_protocol::import::{ExportId, Inventory, Piece};
use crossbook_types::{PartitionId, RequestNumber, Sequence, SourceId};
use crossbook_views::Views;

use super::audit::{self, Report};
use super::provider::{Error as StreamError, Link};
use super::{Error as SiteError, Site};
use crate::config::Config;
use crate::export as exporting;
use crate::import::FileError;
use crate::progress::Progress;
use crate::secrets::{self, Absent};

/// The maximum number of pieces, and of their bytes, that are delivered in one round trip.
const BATCH_PIECES_MAX: usize = 64;
const BATCH_BYTES_MAX: usize = 1 << 20;
/// A partition with more commands than this is not new. In a new one rules may have been activated, by several
/// gateways.
const NEW_COMMANDS_MAX: u64 = 64;
/// For how long, and how often, a store that does not answer is tried again.
const PATIENCE: Duration = Duration::from_secs(60);
const TRY_EVERY: Duration = Duration::from_millis(200);

/// Why a venue cannot be imported.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The export cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The cluster cannot be read.
    #[error(transparent)]
    Site(#[from] SiteError),
    /// A partition has something.
    #[error(
        "partition {0} already has commands of its own. A venue can be imported only into a new cluster: give this one another `cluster.redis.venue`, \
         or empty the store"
    )]
    NotEmpty(PartitionId),
    /// There are snapshots, but no log.
    #[error(
        "partition {0} has snapshots of another venue where this one's would be: empty the snapshot address, or choose another"
    )]
    Snapshots(PartitionId),
    /// Another export is being imported.
    #[error(
        "partition {partition} already has parts of another export, {found}: finish that import with its own file, or empty the store and \
         begin again"
    )]
    Another {
        /// The partition that it happened in.
        partition: PartitionId,
        /// What has begun there.
        found: String,
    },
    /// The partition did not take what it was sent.
    #[error(
        "partition {0} has refused the import, because it has been used already: empty the store, and keep clients away from the \
         cluster before the import has ended"
    )]
    Refused(PartitionId),
    /// The key does not open the secrets.
    #[error(
        "{} is not the key under which the API secrets of this export are encrypted; `crossbook export` printed where it is",
        secrets::SECRET_KEY_VARIABLE
    )]
    SecretKey,
    /// The key is none.
    #[error(transparent)]
    Secrets(#[from] secrets::Error),
    /// What the partitions have is not a venue.
    #[error(
        "the imported venue does not reconcile: {0}. Nothing was opened; empty the store and begin the import again"
    )]
    Inventory(#[from] crossbook_engine::import::Error),
    /// The store does not answer.
    #[error("the import has stopped at partition {partition}: {source}. Run the same line again; it continues there")]
    Interrupted {
        /// The partition that it happened in.
        partition: PartitionId,
        /// The underlying error.
        source: StreamError,
    },
}

/// Imports the venue in the file `path` into the cluster of a configuration.
///
/// # Errors
/// When it cannot, or not yet: then the message states what to do.
pub fn run(config: &Config, path: &Path, progress: &mut dyn Progress) -> Result<Imported, Error> {
    let (export, name) = crate::import::read(path)?;
    let secrets = check_secret_key(config, &export.inventory)?;
    let site = Site::find(config)?;
    let outcome = import(&site, &export, name, progress)?;
    Ok(Imported { export, name, secrets, outcome })
}

/// What an import has done.
pub struct Imported {
    /// The export that was imported.
    pub export: Export,
    /// The hash by which it is known.
    pub name: ExportId,
    /// What is known about the key that its secrets need.
    pub secrets: Secrets,
    /// Its result.
    pub outcome: Outcome,
}

/// What is known about the key that the secrets of an export need.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Secrets {
    /// It has none that need a key.
    None,
    /// The key in the environment opens them.
    Open,
    /// There is no key in the environment.
    Unchecked,
}

fn check_secret_key(config: &Config, inventory: &Inventory) -> Result<Secrets, Error> {
    if !exporting::has_secrets(inventory) {
        return Ok(Secrets::None);
    }
    if std::env::var_os(secrets::SECRET_KEY_VARIABLE).is_none() {
        return Ok(Secrets::Unchecked);
    }
    let key = secrets::secret_key(&config.data, Absent::Refuse)?;
    if exporting::opens(&key, inventory) { Ok(Secrets::Open) } else { Err(Error::SecretKey) }
}

/// The result of an import.
pub struct Outcome {
    /// Differences between the export and what the partitions have; empty if there are none.
    pub differences: Vec<String>,
    /// The partitions, added up; `None` if they were opened before this import.
    pub report: Option<Report>,
    /// Pieces that this import has delivered.
    pub delivered: u64,
}

fn import(site: &Site, export: &Export, name: ExportId, progress: &mut dyn Progress) -> Result<Outcome, Error> {
    let all = crossbook_engine::import::pieces(&export.inventory, &site.routing, name);
    let mut importing = Importing { site, name, delivered: 0 };
    let mut opened = false;
    for partition in site.routing.all() {
        opened |= importing.look(partition)?;
    }
    if !opened {
        for (partition, pieces) in site.routing.all().zip(&all) {
            importing.begin(partition, &pieces[0])?;
        }
        // Before any partition gets a chunk, all of them must have begun the import.
        for partition in site.routing.all() {
            if !importing.restored(partition)?.state.is_importing() {
                return Err(Error::Refused(partition));
            }
        }
    }
    let total = all.iter().map(|pieces| pieces.len() as u64).sum();
    progress.begin("moving in");
    let mut before = 0;
    for (partition, pieces) in site.routing.all().zip(&all) {
        importing.deliver(partition, pieces, |done| {
            progress.at(recovery::Progress { at: Sequence(before + done), end: Some(Sequence(total)) });
        })?;
        before += pieces.len() as u64;
    }
    progress.end();
    let mut outcome = Outcome { differences: Vec::new(), report: None, delivered: importing.delivered };
    if !opened {
        let parts: Vec<Part<Views>> =
            site.routing.all().map(|partition| importing.restored(partition)).collect::<Result<_, Error>>()?;
        for (part, pieces) in parts.iter().zip(&all) {
            if !part.state.is_importing() || part.state.pieces().0 != pieces.len() as u64 {
                return Err(Error::Refused(part.state.id()));
            }
        }
        let together: Vec<(&Partition, &dyn Past)> =
            parts.iter().map(|part| (&part.state, part.follower() as &dyn Past)).collect();
        outcome.differences = export.inventory.differences(&crossbook_engine::import::gather(&together)?);
        let report = audit::add_up(&ConsistentCut(parts));
        let wrong = !outcome.differences.is_empty() || !report.adds_up();
        outcome.report = Some(report);
        if wrong {
            return Ok(outcome);
        }
    }
    // Partition 0 last: as long as it is closed, nothing new is listed.
    for partition in site.routing.all().rev() {
        importing.open(partition)?;
    }
    Ok(outcome)
}

/// A running import.
struct Importing<'a> {
    site: &'a Site,
    name: ExportId,
    delivered: u64,
}

impl Importing<'_> {
    /// Executes something over a connection to a partition, again if that breaks: everything here may be sent twice.
    fn with_link<T>(
        &self,
        partition: PartitionId,
        work: impl Fn(&mut Link) -> Result<T, StreamError>,
    ) -> Result<T, Error> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match Link::connect(&self.site.servers, partition).and_then(|mut link| work(&mut link)) {
                Ok(done) => return Ok(done),
                Err(error) if error.is_transient() && Instant::now() < deadline => {
                    tracing::warn!(partition = partition.0, %error, "the log cannot be reached; trying again");
                    std::thread::sleep(TRY_EVERY);
                }
                Err(source) => return Err(Error::Interrupted { partition, source }),
            }
        }
    }

    /// Looks what a partition has, and whether it was opened. Only what this export has brought may be there.
    fn look(&self, partition: PartitionId) -> Result<bool, Error> {
        let (received, opened, tail, noted) = self.with_link(partition, |link| {
            let received = link.deliver(sender(SourceId::IMPORT), RequestNumber(1), &[])?;
            let opened = link.deliver(sender(SourceId::IMPORT_END), RequestNumber(1), &[])?;
            Ok((received, opened, link.ends()?.tail, link.noted_import()?))
        })?;
        if received == RequestNumber(0) {
            if tail > Sequence(NEW_COMMANDS_MAX) || !self.restored(partition)?.state.is_new() {
                return Err(Error::NotEmpty(partition));
            }
            let snapshots = self.site.snapshots(partition).map_err(SiteError::from)?.list().map_err(SiteError::from)?;
            if !snapshots.is_empty() {
                return Err(Error::Snapshots(partition));
            }
            return Ok(false);
        }
        match noted {
            Some(found) if found == hex::encode(self.name) => Ok(opened > RequestNumber(0)),
            found => Err(Error::Another { partition, found: found.unwrap_or_else(|| "of unknown name".to_owned()) }),
        }
    }

    /// Begins the import at a partition. The id of the export is stored beside its log before that, because the log may
    /// be trimmed by the time that it is needed.
    fn begin(&mut self, partition: PartitionId, begin: &Piece) -> Result<(), Error> {
        let name = hex::encode(self.name);
        self.with_link(partition, |link| link.note_import(&name))?;
        self.deliver(partition, std::slice::from_ref(begin), |_| ())
    }

    /// Delivers pieces, which are the first commands of a partition, except those that it has. `shown` receives how
    /// many it has.
    fn deliver(&mut self, partition: PartitionId, pieces: &[Piece], mut shown: impl FnMut(u64)) -> Result<(), Error> {
        let from = sender(SourceId::IMPORT);
        let mut received = self.with_link(partition, |link| link.deliver(from, RequestNumber(1), &[]))?;
        while (received.0 as usize) < pieces.len() {
            let first = received.next();
            let mut batch: Vec<Vec<u8>> = Vec::new();
            let mut bytes = 0;
            for (number, piece) in (first.0..).zip(&pieces[received.0 as usize..]) {
                let encoded = encoded(RequestNumber(number), piece);
                if !batch.is_empty() && (batch.len() == BATCH_PIECES_MAX || bytes + encoded.len() > BATCH_BYTES_MAX) {
                    break;
                }
                bytes += encoded.len();
                batch.push(encoded);
            }
            let payloads: Vec<&[u8]> = batch.iter().map(Vec::as_slice).collect();
            let now = self.with_link(partition, |link| link.deliver(from, first, &payloads))?;
            self.delivered += now.0.saturating_sub(received.0);
            received = now;
            shown(received.0);
        }
        shown(received.0.min(pieces.len() as u64));
        Ok(())
    }

    fn open(&self, partition: PartitionId) -> Result<(), Error> {
        let open = encoded(RequestNumber(1), &Piece::Open);
        let from = sender(SourceId::IMPORT_END);
        self.with_link(partition, |link| link.deliver(from, RequestNumber(1), &[&open])).map(drop)
    }

    /// A partition restored from its log, whether a worker runs it or not.
    fn restored(&self, partition: PartitionId) -> Result<Part<Views>, Error> {
        let tail = self.with_link(partition, |link| {
            link.make_durable()?;
            Ok(link.ends()?.tail)
        })?;
        let follower = Views::new(self.site.limits.clone());
        Ok(Part::restore(self.site, partition, tail, tail, follower).map_err(SiteError::from)?)
    }
}

/// The number under which a source delivers, as partitions do.
fn sender(source: SourceId) -> PartitionId {
    PartitionId(u16::try_from(source.0).expect("these sources have numbers like partitions"))
}

fn encoded(number: RequestNumber, piece: &Piece) -> Vec<u8> {
    let mut bytes = Vec::new();
    crossbook_protocol::wire::encode_command(
        piece.source(),
        number,
        None,
        &Body::Import(Box::new(piece.clone())),
        &mut bytes,
    );
    bytes
}

impl Outcome {
    /// Whether the venue has been imported.
    #[must_use]
    pub fn has_imported(&self) -> bool {
        self.differences.is_empty() && self.report.as_ref().is_none_or(Report::adds_up)
    }
}
