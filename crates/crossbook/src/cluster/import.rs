//! `crossbook import`: moves a venue that was exported into the partitions of a new cluster.
//!
//! The export is cut into pieces, which are delivered to the partitions' logs like the messages of a partition:
//! numbered, in order, each once, and durable before the next. So an import that is cut short goes on where it stopped,
//! and whether workers run meanwhile makes no difference. In order:
//!
//! 1. Every partition is told to begin. One that has anything refuses; from then on the others do nothing else.
//! 2. Every partition gets its pieces.
//! 3. All partitions are restored from their logs, apart from whoever runs them, and what they have together is
//!    compared with the export.
//! 4. Only if that is the same, every partition is told that it may open.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crossbook_cluster::moment::{Kept as _, Moment, Part};
use crossbook_engine::moving::{ExportId, Inventory, Past, Piece};
use crossbook_engine::{Body, Partition};
use crossbook_node::export::{self, Export};
use crossbook_node::recovery;
use crossbook_node::snapshot::Saved as _;
use crossbook_redis_store::{Error as StreamError, Link};
use crossbook_types::{PartitionId, RequestNumber, Sequence, SourceId};
use serde_json::{Value, json};

use super::audit::{self, Report};
use super::{Error as SiteError, Site};
use crate::config::{Config, Flags};
use crate::folded::Folded;
use crate::progress::Replay;
use crate::secrets::{self, Absent};
use crate::{Failure, command, export as exporting, logging};

/// The most pieces, and the most bytes of them, that are delivered in one round trip.
const BATCH_PIECES_MAX: usize = 64;
const BATCH_BYTES_MAX: usize = 1 << 20;
/// For how long a store that does not answer is tried again, and how often.
const PATIENCE: Duration = Duration::from_secs(60);
const TRY_EVERY: Duration = Duration::from_millis(200);
/// How many differences are told.
const DIFFERENCES_MAX: usize = 100;

/// Why a venue does not move in.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What went wrong below.
        source: std::io::Error,
    },
    /// The file is not an export.
    #[error("{}: {source}", path.display())]
    Export {
        /// The file or folder.
        path: PathBuf,
        /// What went wrong below.
        source: export::Error,
    },
    /// The cluster cannot be read.
    #[error(transparent)]
    Site(#[from] SiteError),
    /// A partition has something.
    #[error(
        "partition {0} already has commands of its own. A venue moves only into a new cluster: give this one another `cluster.redis.venue`, \
         or empty the store"
    )]
    NotEmpty(PartitionId),
    /// There are snapshots, but no log.
    #[error(
        "partition {0} has snapshots of another venue where this one's would be: empty the place of the snapshots, or choose another"
    )]
    Snapshots(PartitionId),
    /// Another export is moving in.
    #[error(
        "partition {partition} already has parts of another export, {found}: finish that import with its own file, or empty the store and \
         begin anew"
    )]
    Another {
        /// The partition that it happened in.
        partition: PartitionId,
        /// What has begun there.
        found: String,
    },
    /// The partition did not take what it was sent.
    #[error(
        "partition {0} has refused to let a venue move in, since somebody has begun to use it: empty the store, and let nobody near the \
         cluster before the import has ended"
    )]
    Refused(PartitionId),
    /// The key does not open the secrets.
    #[error(
        "{} is not the key under which the API secrets of this export are encrypted; `crossbook export` said where that is",
        secrets::SECRET_KEY_VARIABLE
    )]
    SecretKey,
    /// The key is none.
    #[error(transparent)]
    Secrets(#[from] secrets::Error),
    /// What the partitions have is not a venue.
    #[error("what has moved in does not add up: {0}. Nothing was opened; empty the store and begin the import anew")]
    Inventory(#[from] crossbook_engine::moving::Error),
    /// The store does not answer.
    #[error(
        "the import has stopped at partition {partition}: {source}. Run the same line again; it goes on from there"
    )]
    Interrupted {
        /// The partition that it happened in.
        partition: PartitionId,
        /// What went wrong below.
        source: StreamError,
    },
}

/// Imports as the command line says. The outcome in words, and whether the venue has moved in.
///
/// # Errors
/// When it cannot, or not at once: then the message says what to do.
pub fn run(options: &command::moving::Import) -> Result<(String, bool), Failure> {
    let config = Config::load(options.config.as_deref(), Flags::default())?;
    logging::start(&config.logging)?;
    let path = &options.export;
    let bytes = std::fs::read(path).map_err(|source| Error::Read { path: path.clone(), source })?;
    let (export, name) = export::decode(&bytes).map_err(|source| Error::Export { path: path.clone(), source })?;
    drop(bytes);
    let secrets = check_secret_key(&config, &export.inventory)?;
    let site = Site::find(&config)?;
    let outcome = import(&site, &export, name)?;
    let text = match options.json {
        true => format!("{}\n", outcome.as_json(&export, name)),
        false => outcome.as_text(&export, name, secrets),
    };
    Ok((text, outcome.has_moved_in()))
}

/// What can be said of the key that the secrets of an export need.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Secrets {
    None,
    Open,
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

/// What came of an import.
struct Outcome {
    /// Differences between the export and what the partitions have; empty if there are none.
    differences: Vec<String>,
    /// The partitions, added up; `None` if they were opened before this import.
    report: Option<Report>,
    /// Pieces that this import has delivered.
    delivered: u64,
}

fn import(site: &Site, export: &Export, name: ExportId) -> Result<Outcome, Error> {
    let all = crossbook_engine::moving::pieces(&export.inventory, &site.routing, name);
    let mut importing = Importing { site, name, delivered: 0 };
    let mut opened = false;
    for partition in site.routing.all() {
        opened |= importing.look(partition)?;
    }
    if !opened {
        for (partition, pieces) in site.routing.all().zip(&all) {
            importing.begin(partition, &pieces[0])?;
        }
        // Before anybody is given anything: all of them have let the venue in.
        for partition in site.routing.all() {
            if !importing.restored(partition)?.state.is_moving_in() {
                return Err(Error::Refused(partition));
            }
        }
    }
    let total = all.iter().map(|pieces| pieces.len() as u64).sum();
    let (mut shown, mut before) = (Replay::begin("moving in"), 0);
    for (partition, pieces) in site.routing.all().zip(&all) {
        importing.deliver(partition, pieces, |done| {
            shown.at(recovery::Progress { at: Sequence(before + done), end: Some(Sequence(total)) });
        })?;
        before += pieces.len() as u64;
    }
    shown.end();
    let mut outcome = Outcome { differences: Vec::new(), report: None, delivered: importing.delivered };
    if !opened {
        let parts: Vec<Part<Folded>> =
            site.routing.all().map(|partition| importing.restored(partition)).collect::<Result<_, Error>>()?;
        for (part, pieces) in parts.iter().zip(&all) {
            if !part.state.is_moving_in() || part.state.pieces().0 != pieces.len() as u64 {
                return Err(Error::Refused(part.state.id()));
            }
        }
        let together: Vec<(&Partition, &dyn Past)> =
            parts.iter().map(|part| (&part.state, &part.follower().0 as &dyn Past)).collect();
        outcome.differences = export.inventory.differences(&crossbook_engine::moving::gather(&together)?);
        let report = audit::add_up(&Moment(parts));
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

/// An import at work.
struct Importing<'a> {
    site: &'a Site,
    name: ExportId,
    delivered: u64,
}

impl Importing<'_> {
    /// Does something over a connection to a partition, again if that breaks: everything here may be said twice.
    fn with_link<T>(
        &self,
        partition: PartitionId,
        work: impl Fn(&mut Link) -> Result<T, StreamError>,
    ) -> Result<T, Error> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match Link::connect(&self.site.servers, partition).and_then(|mut link| work(&mut link)) {
                Ok(done) => return Ok(done),
                Err(error) if error.is_passing() && Instant::now() < deadline => {
                    tracing::warn!(partition = partition.0, %error, "the log is not at hand; trying again");
                    std::thread::sleep(TRY_EVERY);
                }
                Err(source) => return Err(Error::Interrupted { partition, source }),
            }
        }
    }

    /// Looks what a partition has, and whether it was opened. Only what this export has brought may be there.
    fn look(&self, partition: PartitionId) -> Result<bool, Error> {
        let (heard, opened, tail, noted) = self.with_link(partition, |link| {
            let heard = link.deliver(sender(SourceId::MOVING), RequestNumber(1), &[])?;
            let opened = link.deliver(sender(SourceId::MOVED), RequestNumber(1), &[])?;
            Ok((heard, opened, link.ends()?.tail, link.noted_export()?))
        })?;
        if heard == RequestNumber(0) {
            if tail > Sequence(0) {
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

    /// Tells a partition that the venue moves in. Which export it is stands beside its log before that: the log may
    /// have been trimmed by the time that somebody asks.
    fn begin(&mut self, partition: PartitionId, begin: &Piece) -> Result<(), Error> {
        let name = hex::encode(self.name);
        self.with_link(partition, |link| link.note_export(&name))?;
        self.deliver(partition, std::slice::from_ref(begin), |_| ())
    }

    /// Delivers pieces, which are the first of all that a partition gets, but for those that it has. `shown` is told
    /// how many it has.
    fn deliver(&mut self, partition: PartitionId, pieces: &[Piece], mut shown: impl FnMut(u64)) -> Result<(), Error> {
        let from = sender(SourceId::MOVING);
        let mut heard = self.with_link(partition, |link| link.deliver(from, RequestNumber(1), &[]))?;
        while (heard.0 as usize) < pieces.len() {
            let first = heard.next();
            let mut batch: Vec<Vec<u8>> = Vec::new();
            let mut bytes = 0;
            for (number, piece) in (first.0..).zip(&pieces[heard.0 as usize..]) {
                let encoded = encoded(RequestNumber(number), piece);
                if !batch.is_empty() && (batch.len() == BATCH_PIECES_MAX || bytes + encoded.len() > BATCH_BYTES_MAX) {
                    break;
                }
                bytes += encoded.len();
                batch.push(encoded);
            }
            let payloads: Vec<&[u8]> = batch.iter().map(Vec::as_slice).collect();
            let now = self.with_link(partition, |link| link.deliver(from, first, &payloads))?;
            self.delivered += now.0.saturating_sub(heard.0);
            heard = now;
            shown(heard.0);
        }
        shown(heard.0.min(pieces.len() as u64));
        Ok(())
    }

    fn open(&self, partition: PartitionId) -> Result<(), Error> {
        let open = encoded(RequestNumber(1), &Piece::Open);
        let from = sender(SourceId::MOVED);
        self.with_link(partition, |link| link.deliver(from, RequestNumber(1), &[&open])).map(drop)
    }

    /// A partition as its log makes it, whether anybody runs it or not.
    fn restored(&self, partition: PartitionId) -> Result<Part<Folded>, Error> {
        let tail = self.with_link(partition, |link| {
            link.make_durable()?;
            Ok(link.ends()?.tail)
        })?;
        let follower = Folded::new(self.site.limits.clone());
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
        &Body::MoveIn(Box::new(piece.clone())),
        &mut bytes,
    );
    bytes
}

impl Outcome {
    fn has_moved_in(&self) -> bool {
        self.differences.is_empty() && self.report.as_ref().is_none_or(Report::adds_up)
    }

    fn as_json(&self, export: &Export, name: ExportId) -> Value {
        let counts: serde_json::Map<String, Value> = exporting::counts(&export.inventory)
            .into_iter()
            .map(|(what, count)| (what.to_owned(), count.into()))
            .collect();
        json!({
            "export": hex::encode(name),
            "sequence": export.sequence.0,
            "stateHash": hex::encode(export.state_hash),
            "counts": counts,
            "delivered": self.delivered,
            "compared": self.report.is_some(),
            "differences": self.differences,
            "audit": self.report.as_ref().map(Report::as_json),
            "ok": self.has_moved_in(),
        })
    }

    fn as_text(&self, export: &Export, name: ExportId, secrets: Secrets) -> String {
        use std::fmt::Write as _;
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = writeln!(out, "export        {}", hex::encode(name));
        let _ = writeln!(out, "last command  {}", export.sequence);
        let [assets, markets, accounts, keys, transfers, orders] =
            exporting::counts(&export.inventory).map(|(_, count)| count);
        let _ = writeln!(
            out,
            "what there is {assets} assets, {markets} markets, {accounts} accounts, {keys} API keys, {transfers} transfers, {orders} open orders\n"
        );
        let Some(report) = &self.report else {
            out.push_str(
                "This export had moved in before, and what has happened since is untouched. The cluster is open.\n",
            );
            return out;
        };
        out.push_str(&report.as_text());
        for difference in self.differences.iter().take(DIFFERENCES_MAX) {
            let _ = writeln!(out, "WRONG: {difference}");
        }
        if !self.has_moved_in() {
            out.push_str("The cluster does not have what the export has, and was not opened. Empty the store and import again.\n");
            return out;
        }
        out.push_str(
            "Balances are equal account by account, open orders place by place, and so is all else. The cluster is open: it trades as soon as \
             workers and gateways run.\n",
        );
        if secrets == Secrets::Unchecked {
            let _ = writeln!(
                out,
                "Every gateway needs the old venue's key as {}; `crossbook export` said where it is.",
                crate::secrets::SECRET_KEY_VARIABLE
            );
        }
        out
    }
}
