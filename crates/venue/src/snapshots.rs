//! Takes snapshots while the venue runs, and adds it up when the operator asks: a thread that has a second copy of the
//! venue follow the log, writes it down every so many commands, and gives up what the log need not keep any more.
//! Trading does not wait for any of it.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, after, bounded, never, select};
use crossbook_log::{FileReader, Trimmer};
use crossbook_node::Handle;
use crossbook_node::embedded::{AuditReply, guarded};
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

/// Between two segments of the log that are removed, the disk is left to those who trade.
const TRIM_PAUSE: Duration = Duration::from_millis(20);

/// The thread, until it is stopped.
#[derive(Debug)]
pub struct Snapshotter {
    stop: Sender<()>,
    thread: JoinHandle<Option<Folder>>,
}

/// What the thread works on.
pub struct Work {
    /// Where snapshots are kept.
    pub folder: Folder,
    /// Where the log is.
    pub log: PathBuf,
    /// The live views, which tell how far the durable log is.
    pub views: Arc<RwLock<Views>>,
    /// Tells how far the log is durable.
    pub node: Handle,
    /// What removes segments of the log.
    pub trimmer: Trimmer,
    /// The audits that are asked for.
    pub audits: Receiver<AuditReply>,
    /// The snapshot that the venue started from.
    pub last: Sequence,
    /// How far the history has come, if one is kept: it follows the log, and must find there what it does not have.
    pub history: Option<Arc<Progress>>,
}

impl Snapshotter {
    /// Starts the thread. `fatal` is called with the reason should it end before it is told to: without snapshots the
    /// next start takes ever longer, and a log that is to be trimmed fills the disk.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        work: Work,
        options: SnapshotOptions,
        fatal: impl Fn(String) + Send + 'static,
    ) -> std::io::Result<Self> {
        Self::on_thread(fatal, move |stopped| work.run(&options, stopped))
    }

    fn on_thread(
        fatal: impl Fn(String) + Send + 'static,
        work: impl FnOnce(&Receiver<()>) -> Folder + Send + 'static,
    ) -> std::io::Result<Self> {
        let (stop, stopped) = bounded(1);
        let thread = std::thread::Builder::new().name("snapshots".into()).spawn(move || {
            guarded("the snapshot thread", &fatal, || {
                Background::Snapshots.step_back();
                Ok::<_, Infallible>(work(&stopped))
            })
        })?;
        Ok(Self { stop, thread })
    }

    /// Ends the thread, after the snapshot that it may be at. `None` if it had failed.
    #[must_use]
    pub fn stop(self) -> Option<Folder> {
        drop(self.stop);
        self.thread.join().ok()?
    }
}

impl Work {
    fn run(mut self, options: &SnapshotOptions, stopped: &Receiver<()>) -> Folder {
        let mut shadow = None;
        let look_every = Duration::from_millis(options.look_every_ms);
        let mut audits = self.audits.clone();
        let mut look_at = Instant::now() + look_every;
        loop {
            select! {
                recv(stopped) -> _ => break,
                recv(audits) -> asked => match asked {
                    Ok(reply) => self.audit(options, &mut shadow, reply),
                    Err(_) => audits = never(),
                },
                recv(after(look_at.saturating_duration_since(Instant::now()))) -> _ => {
                    if options.every_commands > 0 {
                        self.look(options, &mut shadow, stopped);
                    }
                    look_at = Instant::now() + look_every;
                }
            }
        }
        self.keep_for_history(options);
        self.folder
    }

    /// Has the copy follow to where the venue stands, and adds it up. Where no snapshots are taken, the copy is made
    /// for the purpose.
    fn audit(&self, options: &SnapshotOptions, shadow: &mut Option<Shadow<Folded>>, reply: AuditReply) {
        let started = Instant::now();
        let limits = self.views.read().limits().clone();
        match self.follow(shadow, self.node.durable(), limits) {
            Ok(copy) => {
                let report = copy.audit();
                tracing::info!(command = report.sequence.0, seconds = started.elapsed().as_secs_f64(), "audited");
                reply(report);
            }
            // Whoever asked is told that there is no answer.
            Err(error) => tracing::error!(%error, "no audit could be made; trading goes on"),
        }
        if options.every_commands == 0 {
            *shadow = None;
        }
    }

    /// Takes a snapshot if it is time for one.
    fn look(&mut self, options: &SnapshotOptions, shadow: &mut Option<Shadow<Folded>>, stopped: &Receiver<()>) {
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
            self.trim(stopped);
        }
    }

    /// Has the shadow follow to `position`, which was published and so is durable, and takes a snapshot of it. Where
    /// that stands.
    fn take(
        &mut self,
        shadow: &mut Option<Shadow<Folded>>,
        position: Sequence,
        limits: Limits,
    ) -> Result<Sequence, Error> {
        let here = self.follow(shadow, position, limits)?;
        let mut rests = Rests::begin();
        here.save(&mut self.folder, || rests.rest())?;
        Ok(here.sequence())
    }

    /// Has the shadow follow to `position`, which is durable. It is begun if there is none.
    fn follow<'a>(
        &self,
        shadow: &'a mut Option<Shadow<Folded>>,
        position: Sequence,
        limits: Limits,
    ) -> Result<&'a mut Shadow<Folded>, Error> {
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
        Ok(shadow.insert(here))
    }

    /// Once the log is trimmed, the history can only go on from a snapshot at or before its place.
    fn keep_for_history(&mut self, options: &SnapshotOptions) {
        if options.trim_log
            && let Some(history) = &self.history
        {
            self.folder.keep_for(history.status().position.map(|position| position.sequence));
        }
    }

    /// Lets go what all kept snapshots stand for, a segment at a time: should the newest be damaged, the one before it
    /// still leads on.
    fn trim(&mut self, stopped: &Receiver<()>) {
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
            Ok(Some(_)) => {}
            Ok(None) => {
                return tracing::error!(command = oldest.0, "the oldest snapshot is damaged; the log is not trimmed");
            }
            Err(error) => {
                return tracing::error!(%error, "the oldest snapshot cannot be read; the log is not trimmed");
            }
        }
        loop {
            match self.trimmer.trim_one(oldest) {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    metrics::counter!("crossbook_log_trim_failures_total").increment(1);
                    return tracing::error!(%error, "the log is not trimmed any more, until the venue is started anew; trading goes on");
                }
            }
            // Told to stop, it leaves the rest to the next time.
            select! {
                recv(stopped) -> _ => return,
                default(TRIM_PAUSE) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn its_death_ends_the_process() {
        let (sender, reasons) = mpsc::channel();
        let dying = |_: &Receiver<()>| panic!("the copy is not what the log says");
        let snapshotter = Snapshotter::on_thread(move |reason| sender.send(reason).unwrap(), dying).unwrap();
        let reason = reasons.recv_timeout(Duration::from_secs(60)).unwrap();
        assert!(reason.contains("the snapshot thread") && reason.contains("the copy is not"), "{reason}");
        assert!(snapshotter.stop().is_none());
    }
}
