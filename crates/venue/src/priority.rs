//! Threads that trading does not wait for, and how they stand back from it on a machine that is short of processors.

use std::time::Duration;

/// What a thread of a venue works on behind its back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Background {
    /// The history, which may fall behind: the log keeps for it what it has not written down.
    History,
    /// Snapshots, which must come to an end some time, or the log grows without end.
    Snapshots,
    /// Verifying the log before the snapshot, which nobody waits for.
    Verification,
}

impl Background {
    /// Has the thread that calls this work on small pages of memory, and lowers its priority, and of those that it will
    /// start: Linux counts priority by thread, and SQLite's inherit it. Where that cannot be had, the thread competes
    /// with trading like any other.
    pub fn step_back(self) {
        if let Err(error) = crate::memory::on_small_pages() {
            tracing::warn!(%error, work = ?self, "what is done behind the venue's back is on large pages, whose clearing may hold it up");
        }
        // 19 is the lowest priority there is, 0 the usual one. At 10 a thread still has a tenth of a processor that
        // others want too.
        let nice = match self {
            Self::History | Self::Verification => 19,
            Self::Snapshots => 10,
        };
        if let Err(error) = rustix::process::setpriority_process(None, nice) {
            tracing::warn!(%error, work = ?self, "what is done behind the venue's back runs at normal priority");
        }
    }
}

/// Has a thread rest for as long as it has worked, so that it takes half of a processor at most, even where nobody else
/// has a use for the rest.
///
/// A low priority does not do that: what nobody wants at the moment is still used, and where processors are counted by
/// time, as in a container with a limit or on a virtual machine, a venue that has used up its share stands still for
/// the rest of a tenth of a second.
#[derive(Debug)]
pub struct Rests {
    /// When it last rested, by the clock of this thread's work.
    rested: Duration,
}

impl Rests {
    /// Shorter work needs no rest yet.
    const WORKED_MIN: Duration = Duration::from_millis(1);

    /// The thread that calls this has rested.
    #[must_use]
    pub fn begin() -> Self {
        Self { rested: worked() }
    }

    /// Sleeps for as long as this thread has worked since it last did, if that is worth it.
    pub fn rest(&mut self) {
        let worked = worked().saturating_sub(self.rested);
        if worked >= Self::WORKED_MIN {
            std::thread::sleep(worked);
            self.rested += worked;
        }
    }
}

/// How long this thread has worked, without the time in which it waited for a processor or anything else.
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
