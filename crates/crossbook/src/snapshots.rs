//! Takes snapshots while the venue runs: a thread that has a second copy of the venue follow the log and, every so many commands, writes it
//! down. Trading does not wait for it.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use crossbook_log::FileReader;
use crossbook_node::Handle;
use crossbook_node::recovery::{Error, Which};
use crossbook_node::shadow::Shadow;
use crossbook_node::snapshot::{Folder, Saved as _, Snapshots as _};
use crossbook_store::Progress;
use crossbook_types::Sequence;
use crossbook_views::{Limits, Views};
use parking_lot::RwLock;

use crate::config::SnapshotOptions;
use crate::folded::Folded;
use crate::priority::{Background, Rests};

/// The thread, until it is stopped.
#[derive(Debug)]
pub struct Snapshotter {
    stop: Sender<()>,
    thread: JoinHandle<Folder>,
}

/// What the thread works on.
#[derive(Debug)]
pub struct Work {
    /// Where snapshots are kept.
    pub folder: Folder,
    /// Where the log is.
    pub log: PathBuf,
    /// The live views, which tell how far the durable log is.
    pub views: Arc<RwLock<Views>>,
    /// The node, to trim the log.
    pub node: Handle,
    /// The snapshot that the venue started from.
    pub last: Sequence,
    /// How far the history has come, if one is kept: it follows the log, and must find there what it does not have.
    pub history: Option<Arc<Progress>>,
}

impl Snapshotter {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(work: Work, options: SnapshotOptions) -> std::io::Result<Self> {
        let (stop, stopped) = bounded(1);
        let thread = std::thread::Builder::new().name("snapshots".into()).spawn(move || {
            Background::Snapshots.step_back();
            let (mut work, mut shadow) = (work, None);
            let look_every = Duration::from_millis(options.look_every_ms);
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(look_every) {
                if options.every_commands > 0 {
                    work.look(&options, &mut shadow);
                }
            }
            work.keep_for_history(&options);
            work.folder
        })?;
        Ok(Self { stop, thread })
    }

    /// Ends the thread, after the snapshot that it may be at. `None` if it had failed.
    #[must_use]
    pub fn stop(self) -> Option<Folder> {
        drop(self.stop);
        self.thread.join().ok()
    }
}

impl Work {
    /// Takes a snapshot if it is time for one.
    fn look(&mut self, options: &SnapshotOptions, shadow: &mut Option<Shadow<Folded>>) {
        let (position, limits) = {
            let views = self.views.read();
            (views.position().map_or(Sequence(0), |cause| cause.sequence), views.limits().clone())
        };
        if position.0 < self.last.0.saturating_add(options.every_commands) {
            return;
        }
        self.keep_for_history(options);
        let started = Instant::now();
        match self.take(shadow, position, limits) {
            Ok(at) => {
                self.last = at;
                metrics::gauge!("crossbook_snapshot_sequence").set(at.0 as f64);
                metrics::gauge!("crossbook_snapshot_timestamp_seconds").set(crate::metrics::unix_seconds());
                tracing::info!(command = at.0, seconds = started.elapsed().as_secs_f64(), "snapshot taken");
            }
            Err(error) => {
                // The log has everything; a venue without snapshots only starts more slowly.
                metrics::counter!("crossbook_snapshot_failures_total").increment(1);
                tracing::error!(%error, "no snapshot could be taken; trading goes on, but the next start takes longer");
                self.last = position;
                return;
            }
        }
        if options.trim_log {
            self.trim();
        }
    }

    /// Has the shadow follow to `position`, which was published and so is durable, and takes a snapshot of it. Where that stands.
    fn take(
        &mut self,
        shadow: &mut Option<Shadow<Folded>>,
        position: Sequence,
        limits: Limits,
    ) -> Result<Sequence, Error> {
        let reader = |from| FileReader::open(&self.log, from);
        let mut rests = Rests::begin();
        let mut rest = || rests.rest();
        let here = match shadow.take() {
            Some(shadow) => shadow.advance(reader, position, &mut rest)?,
            None => {
                let empty = Folded::new(limits);
                Shadow::begin(&Which::single(0), &self.folder, reader, position, empty, &mut rest)?
            }
        };
        let here = shadow.insert(here);
        here.save(&mut self.folder, rest)?;
        Ok(here.sequence())
    }

    /// Once the log is trimmed, the history can only go on from a snapshot at or before its place.
    fn keep_for_history(&mut self, options: &SnapshotOptions) {
        if options.trim_log
            && let Some(history) = &self.history
        {
            self.folder.keep_for(history.status().position.map(|position| position.sequence));
        }
    }

    /// Lets go what all kept snapshots stand for: should the newest be damaged, the one before it still leads on.
    fn trim(&self) {
        let kept = match self.folder.list() {
            Ok(kept) => kept,
            Err(error) => return tracing::error!(%error, "snapshots cannot be listed; the log is not trimmed"),
        };
        if let (Some(history), Some(&oldest)) = (&self.history, kept.last())
            && history.position().sequence < oldest
        {
            return tracing::warn!("the log is not trimmed, because the history still needs it");
        }
        // It must lead on indeed: a damaged one would be trusted only when it is too late.
        let [_, .., oldest] = kept[..] else { return };
        match self.folder.load(oldest) {
            Ok(Some(_)) => {
                if let Err(error) = self.node.trim(oldest) {
                    tracing::warn!(%error, "the log is not trimmed this time");
                }
            }
            Ok(None) => tracing::error!(command = oldest.0, "the oldest snapshot is damaged; the log is not trimmed"),
            Err(error) => tracing::error!(%error, "the oldest snapshot cannot be read; the log is not trimmed"),
        }
    }
}
