//! Threads that trading does not wait for, and how they stand back from it on a machine that is short of processors.

/// What a thread of a venue works on behind its back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Background {
    /// The history, which may fall behind: the log keeps for it what it has not written down.
    History,
    /// Snapshots, which must come to an end some time, or the log grows without end.
    Snapshots,
}

impl Background {
    /// Has the thread that calls this work on small pages of memory, and lowers its priority, and of those that it will start: Linux counts priority by thread, and SQLite's
    /// inherit it. Where that cannot be had, the thread competes with trading like any other.
    pub fn step_back(self) {
        if let Err(error) = crate::memory::on_small_pages() {
            tracing::warn!(%error, work = ?self, "what is done behind the venue's back is on large pages, whose clearing may hold it up");
        }
        // 19 is the lowest priority there is, 0 the usual one. At 10 a thread still has a tenth of a processor that others want too.
        let nice = match self {
            Self::History => 19,
            Self::Snapshots => 10,
        };
        if let Err(error) = rustix::process::setpriority_process(None, nice) {
            tracing::warn!(%error, work = ?self, "what is done behind the venue's back runs at normal priority");
        }
    }
}
