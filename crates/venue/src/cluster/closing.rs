//! A closed cluster: its venue is being exported, or has been. The store refuses commands for its partitions; this
//! module closes and opens them, keeps processes from starting on closed ones, and tells gateways.
//!
//! Partition 0 is the first that is closed to commands, the last that is closed to everything, and the last that is
//! opened again. So where it is open all of them are, and where it is closed to everything all of them are.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbook_cluster::LogClient;
use crossbook_cluster::store::{Closing, Refuses, StoreError as _};
use crossbook_protocol::Routing;
use crossbook_types::PartitionId;

use super::provider::{self, Link};
use super::{Error as SiteError, Site};

/// For how long, and how often, a store that does not answer is tried again.
const PATIENCE: Duration = Duration::from_secs(60);
const TRY_EVERY: Duration = Duration::from_millis(200);
/// How often a gateway looks whether its venue is closed. A request that a partition refuses tells it at once.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The venue is closed, so a process does not start on it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "{0}. This process does not start on a closed venue: start those of the cluster or the folder that the export is \
     imported into. If it is imported nowhere, `crossbook export --cluster --reopen` opens this venue again"
)]
pub struct Closed(pub Closing);

/// A partition that can be neither closed nor opened now.
#[derive(Debug, thiserror::Error)]
#[error("partition {partition}: {source}. Run the same command again; it continues there")]
pub struct Unreached {
    /// The partition that it happened in.
    partition: PartitionId,
    /// The underlying error.
    source: provider::Error,
}

/// Whether the venue is closed.
///
/// # Errors
/// When the store does not answer.
pub fn look(site: &Site) -> Result<Option<Closing>, SiteError> {
    Ok(Link::connect(&site.servers, Routing::REGISTRY)?.closing()?)
}

/// Refuses a process that accepts commands, unless the venue is open.
///
/// # Errors
/// [`Closed`], and when the store does not answer.
pub fn check_open(site: &Site) -> Result<(), SiteError> {
    site.patience.ask(|| look(site))?.map_or(Ok(()), |closing| Err(Closed(closing).into()))
}

/// Refuses a process that delivers messages, if there are none any more.
///
/// # Errors
/// As for [`check_open`].
pub fn check_not_ended(site: &Site) -> Result<(), SiteError> {
    match site.patience.ask(|| look(site))? {
        Some(closing) if closing.refuses == Refuses::Everything => Err(Closed(closing).into()),
        _ => Ok(()),
    }
}

/// Closes all partitions.
///
/// # Errors
/// When one cannot be reached.
pub(super) fn close(site: &Site, closing: &Closing) -> Result<(), Unreached> {
    let each = |partition| with_link(site, partition, |link| link.close(Some(closing)));
    match closing.refuses {
        Refuses::Commands => site.routing.all().try_for_each(each),
        Refuses::Everything => site.routing.all().rev().try_for_each(each),
    }
}

/// Opens all partitions again. Returns how partition 0 was closed.
///
/// # Errors
/// When one cannot be reached.
pub(super) fn reopen(site: &Site) -> Result<Option<Closing>, Unreached> {
    let closing = with_link(site, Routing::REGISTRY, Link::closing)?;
    if let Some(closing) = &closing {
        // As long as partition 0 is closed to everything, all of them are; so it must not be while others are open.
        let partly = Closing { refuses: Refuses::Commands, ..closing.clone() };
        with_link(site, Routing::REGISTRY, |link| link.close(Some(&partly)))?;
    }
    site.routing.all().rev().try_for_each(|partition| with_link(site, partition, |link| link.close(None)))?;
    Ok(closing)
}

/// Whether all partitions are closed in this way.
///
/// # Errors
/// When one cannot be reached.
pub(super) fn is_closed(site: &Site, as_of: &Closing) -> Result<bool, Unreached> {
    for partition in site.routing.all() {
        if with_link(site, partition, Link::closing)?.as_ref() != Some(as_of) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Executes something that may be repeated over a connection to a partition, again if that breaks.
fn with_link<T>(
    site: &Site,
    partition: PartitionId,
    work: impl Fn(&mut Link) -> Result<T, provider::Error>,
) -> Result<T, Unreached> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match Link::connect(&site.servers, partition).and_then(|mut link| work(&mut link)) {
            Ok(done) => return Ok(done),
            Err(error) if error.is_transient() && Instant::now() < deadline => {
                tracing::warn!(partition = partition.0, %error, "the log cannot be reached; trying again");
                std::thread::sleep(TRY_EVERY);
            }
            Err(source) => return Err(Unreached { partition, source }),
        }
    }
}

/// Tells a gateway whether its venue is closed, for as long as the process runs.
///
/// # Errors
/// When the system cannot start a thread.
pub(super) fn watch(site: Site, client: LogClient) -> std::io::Result<()> {
    std::thread::Builder::new().name("closing".to_owned()).spawn(move || {
        let mut connected: Option<Link> = None;
        while !client.is_stopping() {
            let link = match connected.take() {
                Some(link) => Ok(link),
                None => Link::connect(&site.servers, Routing::REGISTRY),
            };
            let looked = link.and_then(|mut link| Ok((link.closing()?, link)));
            match looked {
                Ok((closing, link)) => {
                    connected = Some(link);
                    client.close(closing.map(|closing| Arc::from(closing.to_string())));
                }
                Err(error) => tracing::debug!(%error, "whether the venue is closed cannot be read now"),
            }
            std::thread::sleep(LOOK_EVERY);
        }
    })?;
    Ok(())
}
