//! Background threads, which trading does not wait for: how they give way to it on a machine that is short of CPUs.

use std::time::Duration;

/// What a background thread works on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Background {
    /// The history, which may fall behind: the log retains what it has not written yet.
    History,
    /// Snapshots, which must be finished some time, or the log grows without bound.
    Snapshots,
    /// Verifying the log before the snapshot, which nothing waits for.
    Verification,
}

impl Background {
    /// Puts the memory of the calling thread on small pages, and lowers the priority of it and of the threads that it
    /// starts: Linux counts priority by thread, and those of SQLite inherit it. If the system refuses, the thread
    /// competes with trading like any other.
    pub fn step_back(self) {
        if let Err(error) = crate::memory::on_small_pages() {
            tracing::warn!(%error, work = ?self, "a background thread uses large pages, whose clearing may stall the venue");
        }
        // 19 is the lowest priority there is, 0 the usual one. At 10 a thread still has a tenth of a processor that
        // others want too.
        let nice = match self {
            Self::History | Self::Verification => 19,
            Self::Snapshots => 10,
        };
        if let Err(error) = rustix::process::setpriority_process(None, nice) {
            tracing::warn!(%error, work = ?self, "a background thread runs at normal priority");
        }
    }
}

/// Lets a thread sleep for as long as it has worked, so that it uses half of a CPU at most, even when the other half is
/// idle.
///
/// A low priority does not achieve that: it still uses all idle time. Where CPU time is limited, as in a container or
/// on a virtual machine, a venue that has used up its share is stopped for the rest of a period of 100 ms.
#[derive(Debug)]
pub struct Rests {
    /// When it last rested, by the clock of this thread's work.
    rested: Duration,
}

impl Rests {
    /// Shorter work needs no sleep yet.
    const WORKED_MIN: Duration = Duration::from_millis(1);

    /// Counts the work of the calling thread from now on.
    #[must_use]
    pub fn begin() -> Self {
        Self { rested: worked() }
    }

    /// Sleeps for as long as this thread has worked since its last sleep, if that is worth it.
    pub fn rest(&mut self) {
        let worked = worked().saturating_sub(self.rested);
        if worked >= Self::WORKED_MIN {
            std::thread::sleep(worked);
            self.rested += worked;
        }
    }
}

/// The CPU time of this thread.
fn worked() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn it_rests_for_as_long_as_it_has_worked() {
        let mut rests = Rests::begin();
        let (before, begun) = (worked(), Instant::now());
        rests.rest();
        while worked() - before < Duration::from_millis(20) {
            std::hint::spin_loop();
        }
        rests.rest();
        assert!(begun.elapsed() >= Duration::from_millis(40), "20 of work and 20 of rest");
        let rested = rests.rested;
        rests.rest();
        assert_eq!(rests.rested, rested, "there was no work since");
    }
}
