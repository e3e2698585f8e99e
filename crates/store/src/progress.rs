//! The position of a partition's history, as its writer reports it to readers. If the writer is in another process,
//! [`crate::watch`] reports it from the tables.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crossbook_protocol::Cause;
use crossbook_types::Timestamp;
pub use crossbook_views::history::Activity;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::writer::Position;

/// The position of the history.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Status {
    /// The position of the tables; `None` before they were first read.
    pub position: Option<Position>,
    /// What the writer is doing.
    pub activity: Activity,
    /// How many times the file of the tables was removed or replaced while it was written to.
    pub files_lost: u64,
}

/// What is known of the time from which the tables lack commands.
#[derive(Debug)]
enum Lacking {
    /// Nothing since then, since when it is not known where the tables stand.
    Unknown(Instant),
    /// The oldest command that is missing is of that time.
    From(Timestamp),
    /// Where the tables stand is known, the time of what comes next is not. At that time there was nothing.
    Next(Timestamp),
}

/// The [`Status`] of a partition's history that one thread writes and others read.
#[derive(Debug)]
pub struct Progress {
    status: Mutex<Status>,
    lacking: Mutex<Lacking>,
    moved: Notify,
    rows: AtomicU64,
}

impl Default for Progress {
    fn default() -> Self {
        let status = Mutex::new(Status { position: None, activity: Activity::Connecting, files_lost: 0 });
        let lacking = Mutex::new(Lacking::Unknown(Instant::now()));
        Self { status, lacking, moved: Notify::new(), rows: AtomicU64::new(0) }
    }
}

impl Progress {
    /// The status now.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status.lock().clone()
    }

    /// The position of the tables; 0 before they were first read.
    #[must_use]
    pub fn position(&self) -> Position {
        self.status.lock().position.unwrap_or_default()
    }

    /// Whether everything that was last changed at `time` is in the tables. `live` is the last command of the venue.
    #[must_use]
    pub fn covers(&self, time: Timestamp, live: Option<Cause>) -> bool {
        let Some(position) = self.status.lock().position else { return false };
        // Commands of the same microsecond may still be missing.
        position.time > time || live.is_none_or(|live| position.sequence >= live.sequence)
    }

    /// Waits until [`Progress::covers`] returns true, without a bound.
    pub async fn covering(&self, time: Timestamp, live: Option<Cause>) {
        loop {
            // Made first, so that a move between the look and the wait is not missed.
            let moved = self.moved.notified();
            if self.covers(time, live) {
                return;
            }
            moved.await;
        }
    }

    /// Commands by which the tables are behind the venue, and how much older than its last command the oldest is that
    /// they lack, in microseconds. As long as it is not known where they stand, the time is that for which it is not.
    #[must_use]
    pub fn lag(&self, live: Cause) -> (u64, u64) {
        let position = self.status.lock().position;
        let commands = live.sequence.0.saturating_sub(position.unwrap_or_default().sequence.0);
        let mut lacking = self.lacking.lock();
        let since = match (&mut *lacking, position) {
            (Lacking::Unknown(since), _) => {
                return (commands, u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX));
            }
            (Lacking::Next(seen), _) if commands == 0 => {
                *seen = live.time;
                live.time
            }
            (Lacking::From(time) | Lacking::Next(time), _) => *time,
        };
        (commands, if commands == 0 { 0 } else { live.time.0.saturating_sub(since.0) })
    }

    /// Rows that this process has written.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    pub(crate) fn wrote(&self, rows: u64) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
    }

    pub(crate) fn reach(&self, position: Position) {
        let before = self.status.lock().position.replace(position);
        if before != Some(position) {
            *self.lacking.lock() = Lacking::Next(position.time);
        }
        self.moved.notify_waiters();
    }

    /// The first command that the tables lack is of that time.
    pub(crate) fn lacks_from(&self, time: Timestamp) {
        let mut lacking = self.lacking.lock();
        if matches!(*lacking, Lacking::Next(_)) {
            *lacking = Lacking::From(time);
        }
    }

    /// Whether the time of the first command that the tables lack is known, or where they stand is not.
    pub(crate) fn knows_what_lacks(&self) -> bool {
        !matches!(*self.lacking.lock(), Lacking::Next(_))
    }

    /// The tables are not where they were left: where they are is not known now.
    pub(crate) fn lose(&self) {
        if self.status.lock().position.take().is_some() {
            *self.lacking.lock() = Lacking::Unknown(Instant::now());
        }
    }

    /// The file of the tables is not the one that was written to.
    pub(crate) fn lose_file(&self) {
        self.status.lock().files_lost += 1;
        self.lose();
    }

    /// Tells that the writer has failed for good.
    pub fn fail(&self, reason: String) {
        self.set(Activity::Failing(reason));
    }

    pub(crate) fn set(&self, activity: Activity) {
        self.status.lock().activity = activity;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbook_types::Sequence;

    #[test]
    fn what_the_tables_cover_is_certain() {
        let cause = |sequence, time| Cause { sequence: Sequence(sequence), time: Timestamp(time) };
        let progress = Progress::default();
        assert!(!progress.covers(Timestamp(0), Some(cause(9, 90))));
        progress.reach(Position { sequence: Sequence(5), time: Timestamp(50), complete_from: Sequence(0) });
        assert!(progress.covers(Timestamp(49), Some(cause(9, 90))));
        assert!(!progress.covers(Timestamp(50), Some(cause(9, 90))), "another command of that time may be missing");
        assert!(progress.covers(Timestamp(50), Some(cause(5, 50))), "nothing can be missing");
        assert_eq!(progress.lag(cause(9, 90)), (4, 40));
        assert_eq!(progress.lag(cause(5, 50)), (0, 0));
    }

    #[test]
    fn the_lag_counts_from_the_oldest_command_that_the_tables_lack() {
        const DAY: u64 = 86_400_000_000;
        let cause = |sequence, time| Cause { sequence: Sequence(sequence), time: Timestamp(time) };
        let at =
            |sequence, time| Position { sequence: Sequence(sequence), time: Timestamp(time), ..Position::default() };
        let progress = Progress::default();
        let now = 20_000 * DAY;
        let (commands, micros) = progress.lag(cause(1_000, now));
        assert!(commands == 1_000 && micros < 60_000_000, "not since 1970: {micros}");
        // Empty tables of a venue whose first command is an hour old.
        progress.reach(at(0, 0));
        progress.lacks_from(Timestamp(now - 3_600_000_000));
        assert_eq!(progress.lag(cause(1_000, now)), (1_000, 3_600_000_000));
        progress.lacks_from(Timestamp(now));
        assert_eq!(progress.lag(cause(1_000, now)).1, 3_600_000_000, "what is oldest stays so until it is written");
        // All was written; then a day in which nothing happened.
        progress.reach(at(1_000, now));
        assert_eq!(progress.lag(cause(1_000, now)), (0, 0));
        progress.lacks_from(Timestamp(now + DAY));
        assert_eq!(progress.lag(cause(1_001, now + DAY + 5)), (1, 5));
        progress.lose();
        assert!(progress.lag(cause(1_002, now + 2 * DAY)).1 < 60_000_000);
    }

    #[tokio::test]
    async fn whoever_waits_for_the_tables_is_woken_when_they_are_there() {
        let progress = Progress::default();
        let reach = |sequence, time| {
            let position = Position { sequence: Sequence(sequence), time: Timestamp(time), complete_from: Sequence(0) };
            progress.reach(position);
        };
        let live = Cause { sequence: Sequence(9), time: Timestamp(90) };
        let moving = async {
            for sequence in 1..=5 {
                tokio::task::yield_now().await;
                reach(sequence, 10 * sequence);
            }
            tokio::task::yield_now().await;
        };
        tokio::select! {
            biased;
            () = progress.covering(Timestamp(50), Some(live)) => panic!("not yet there"),
            () = moving => {}
        }
        tokio::join!(progress.covering(Timestamp(50), Some(live)), async { reach(6, 60) });
    }
}
