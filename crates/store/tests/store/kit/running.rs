//! A history writer at work.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crossbook_store::{Database, HistoryWriter, Live, Progress};
use crossbook_types::{PartitionId, Sequence};
use tokio::sync::watch;

use super::{PARTITION, Published, Retelling};

/// A history writer on a thread of its own, as the venue runs it.
pub struct Running {
    pub live: Live,
    stop: watch::Sender<bool>,
    pub progress: Arc<Progress>,
    pub seeks: Arc<Mutex<Vec<u64>>>,
    thread: std::thread::JoinHandle<()>,
}

impl Running {
    pub fn start(database: &Database, published: &Published) -> Self {
        Self::part(database, PARTITION, published)
    }

    /// The same of a partition among others.
    pub fn part(database: &Database, partition: PartitionId, published: &Published) -> Self {
        let live = Live::new(Sequence(0));
        let (stop, stop_seen) = watch::channel(false);
        let (progress, seeks) = (Arc::new(Progress::default()), Arc::default());
        let source = Retelling { partition, published: Arc::clone(published), seeks: Arc::clone(&seeks) };
        let recorder =
            HistoryWriter::new(database.clone(), partition, source, live.clone(), stop_seen, Arc::clone(&progress));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(recorder.run());
        });
        Self { live, stop, progress, seeks, thread }
    }

    pub fn wait_for(&self, what: &str, holds: impl Fn(&Progress) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !holds(&self.progress) {
            assert!(Instant::now() < deadline, "{what}: {:?}", self.progress.status());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    pub fn stop(self) {
        self.stop.send(true).unwrap();
        self.thread.join().unwrap();
    }
}
