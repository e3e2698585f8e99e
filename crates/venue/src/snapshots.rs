//! The thread that takes snapshots while a venue in one process runs, trims its log, and audits it when the operator
//! asks. It works on a second copy of the venue that follows the log, so trading does not wait for it. When a snapshot
//! is due and what may be trimmed is decided by [`crossbook_node::snapshotter`]; here are the thread, the clock and the
//! metrics.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, after, bounded, never, select};
use crossbook_log::{FileReader, Trimmer, files};
use crossbook_node::Handle;
use crossbook_node::embedded::{AuditReply, guarded};
use crossbook_node::recovery::Which;
use crossbook_node::snapshot::Folder;
use crossbook_node::snapshotter::{Schedule, Snapshotter as Taker, Trimmable};
use crossbook_store::Progress;
use crossbook_types::Sequence;
use crossbook_views::Views;
use parking_lot::RwLock;

use crate::config::SnapshotOptions;
use crate::data_folder::DataFolder;
use crate::durability_check;
use crate::priority::{Background, Rests};

/// Between two segments of the log that are removed, the disk is left to those who trade.
const TRIM_PAUSE: Duration = Duration::from_millis(20);

/// What takes the snapshots.
type Taking = Taker<Views, Folder>;

/// The thread, until it is stopped.
#[derive(Debug)]
pub struct Snapshotter {
    stop: Sender<()>,
    thread: JoinHandle<Option<Folder>>,
}

/// What the thread works on.
pub struct Work {
    /// The data folder, whose mark records where the log begins.
    pub data: DataFolder,
    /// Where snapshots are stored.
    pub folder: Folder,
    /// Where the log is.
    pub log: PathBuf,
    /// The live views, which have the position of the durable log.
    pub views: Arc<RwLock<Views>>,
    /// Tells how far the log is durable.
    pub node: Handle,
    /// What removes segments of the log.
    pub trimmer: Trimmer,
    /// The audits that are asked for.
    pub audits: Receiver<AuditReply>,
    /// The snapshot that the venue started from.
    pub last: Sequence,
    /// The position of the history, if there is one: it reads the log, and must find there what it does not have yet.
    pub history: Option<Arc<Progress>>,
}

impl Snapshotter {
    /// Starts the thread. `fatal` is called with the reason should it end before it is asked to: without snapshots the
    /// next start takes ever longer, and a log that is to be trimmed fills the disk.
    ///
    /// # Errors
    /// When the system cannot start a thread.
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
        let schedule = Schedule::new(options.interval_commands, self.last);
        let mut taking = Taking::new(Which::single(0), self.folder.clone(), schedule, options.trim_log);
        let look_every = Duration::from_millis(options.check_interval_ms);
        let mut audits = self.audits.clone();
        let mut look_at = Instant::now() + look_every;
        loop {
            select! {
                recv(stopped) -> _ => break,
                recv(audits) -> asked => match asked {
                    Ok(reply) => self.audit(options, &mut taking, reply),
                    Err(_) => audits = never(),
                },
                recv(after(look_at.saturating_duration_since(Instant::now()))) -> _ => {
                    self.look(&mut taking, stopped);
                    look_at = Instant::now() + look_every;
                }
            }
        }
        self.keep_for_history(&mut taking);
        taking.into_snapshots()
    }

    /// Lets the copy follow to the venue's position, and audits it. If no snapshots are taken, the copy is created for
    /// the purpose.
    fn audit(&self, options: &SnapshotOptions, taking: &mut Taking, reply: AuditReply) {
        let started = Instant::now();
        let empty = Views::new(self.views.read().limits().clone());
        let mut rests = Rests::begin();
        match taking.follow(|from| self.reader(from), self.node.durable(), empty, || rests.rest()) {
            Ok(copy) => {
                let report = copy.audit();
                tracing::info!(command = report.sequence.0, seconds = started.elapsed().as_secs_f64(), "audited");
                reply(report);
            }
            // The requester gets no answer, which means that there is no audit.
            Err(error) => tracing::error!(%error, "no audit could be made; trading continues"),
        }
        if options.interval_commands == 0 {
            taking.drop_copy();
        }
    }

    /// Takes a snapshot if one is due.
    fn look(&mut self, taking: &mut Taking, stopped: &Receiver<()>) {
        let (published, limits) = {
            let views = self.views.read();
            (views.position().map_or(Sequence(0), |cause| cause.sequence), views.limits().clone())
        };
        if !taking.is_due(published) {
            return;
        }
        self.keep_for_history(taking);
        let started = Instant::now();
        let mut rests = Rests::begin();
        match taking.take(|from| self.reader(from), published, Views::new(limits), || rests.rest()) {
            Ok(at) => {
                metrics::gauge!("crossbook_snapshot_sequence").set(at.0 as f64);
                metrics::gauge!("crossbook_snapshot_timestamp_seconds").set(crate::metrics::unix_seconds());
                tracing::info!(command = at.0, seconds = started.elapsed().as_secs_f64(), "snapshot taken");
            }
            Err(error) => {
                // The log has everything; a venue without snapshots only starts more slowly.
                metrics::counter!("crossbook_snapshot_failures_total").increment(1);
                tracing::error!(%error, "no snapshot could be taken; trading continues, but the next start takes longer");
                return;
            }
        }
        match taking.trimmable(self.history.as_ref().map(|history| history.position().sequence)) {
            Ok(None | Some(Trimmable::Nothing)) => {}
            Ok(Some(Trimmable::UpTo(oldest))) => self.trim(oldest, stopped),
            Ok(Some(Trimmable::HistoryBehind)) => {
                tracing::warn!("the log is not trimmed, because the history still needs it");
            }
            Ok(Some(Trimmable::OldestDamaged(oldest))) => {
                tracing::error!(command = oldest.0, "the oldest snapshot is damaged; the log is not trimmed");
            }
            Err(error) => tracing::error!(%error, "the snapshots cannot be read; the log is not trimmed"),
        }
    }

    fn reader(&self, from: Sequence) -> FileReader {
        FileReader::open(&self.log, from)
    }

    /// Retains the snapshot from which the history would start again, if there is one.
    fn keep_for_history(&self, taking: &mut Taking) {
        if let Some(history) = &self.history {
            taking.keep_for_history(history.status().position.map(|position| position.sequence));
        }
    }

    /// Notes where the log begins once it is trimmed up to `oldest`. Without that it would look as if it had lost its
    /// beginning.
    fn note_trimming(&self, oldest: Sequence) -> Result<(), durability_check::Error> {
        let firsts = files::segments(&self.log)?;
        let first = firsts.into_iter().rev().find(|first| *first <= oldest.next());
        first.map_or(Ok(()), |first| durability_check::record_first(&self.data, first))
    }

    /// Removes the segments of the log that have nothing after `oldest`, one at a time.
    fn trim(&mut self, oldest: Sequence, stopped: &Receiver<()>) {
        if let Err(error) = self.note_trimming(oldest) {
            metrics::counter!("crossbook_log_trim_failures_total").increment(1);
            return tracing::error!(%error, "the log is not trimmed, because the mark cannot be written; trading continues");
        }
        loop {
            match self.trimmer.trim_one(oldest) {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    metrics::counter!("crossbook_log_trim_failures_total").increment(1);
                    return tracing::error!(%error, "the log is not trimmed any more, until the venue is started again; trading continues");
                }
            }
            // Asked to stop, it leaves the rest to the next time.
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
