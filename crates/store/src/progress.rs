//! The position of a partition's history, as its writer reports it to readers. If the writer is in another process,
//! [`crate::watch`] reports it from the tables.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbook_protocol::Cause;
use crossbook_types::{Sequence, Timestamp};
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

/// What is known of the commands that the tables lack.
#[derive(Debug)]
struct Lacking {
    /// The last command that the tables are known to have, now or when they last answered.
    known: Sequence,
    since: Since,
}

/// What is known of the time from which the tables lack commands.
#[derive(Clone, Copy, Debug)]
enum Since {
    /// Nothing since then, since when it is not known where the tables stand.
    Unknown(Instant),
    /// The oldest command that is not known to be in them is of that time.
    From(Timestamp),
    /// What they have is known, the time of what comes next is not. At that time there was nothing.
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
        let lacking = Mutex::new(Lacking { known: Sequence(0), since: Since::Unknown(Instant::now()) });
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

    /// Commands that are not known to be in the tables, and the age of the oldest of them in microseconds, by the clock
    /// of the machine or, if that is behind, by the venue's last command. As long as nothing is known of the tables,
    /// the time is that for which it is not.
    #[must_use]
    pub fn lag(&self, live: Cause) -> (u64, u64) {
        let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.lag_at(live, Timestamp(micros(clock)))
    }

    fn lag_at(&self, live: Cause, clock: Timestamp) -> (u64, u64) {
        let Lacking { known, since } = &mut *self.lacking.lock();
        let commands = live.sequence.0.saturating_sub(known.0);
        if commands == 0 {
            if let Since::Next(seen) = since {
                *seen = live.time.max(clock);
            }
            return (0, 0);
        }
        let age = match since {
            Since::Unknown(since) => micros(since.elapsed()),
            Since::From(time) | Since::Next(time) => live.time.max(clock).0.saturating_sub(time.0),
        };
        (commands, age)
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
        let mut lacking = self.lacking.lock();
        if before.is_some_and(|before| before != position) || lacking.known != position.sequence {
            *lacking = Lacking { known: position.sequence, since: Since::Next(position.time) };
        } else if let Since::Unknown(_) = lacking.since {
            lacking.since = Since::Next(position.time);
        }
        drop(lacking);
        self.moved.notify_waiters();
    }

    /// The position of the tables is not known now, but an earlier note proves that they had everything up to `known`.
    pub(crate) fn assume(&self, known: Sequence) {
        let mut lacking = self.lacking.lock();
        if lacking.known != known && self.status.lock().position.is_none() {
            *lacking = Lacking { known, since: Since::Unknown(Instant::now()) };
        }
    }

    /// The last command that the tables are known to have.
    pub(crate) fn known(&self) -> Sequence {
        self.lacking.lock().known
    }

    /// The first command that the tables lack is of that time.
    pub(crate) fn lacks_from(&self, time: Timestamp) {
        let mut lacking = self.lacking.lock();
        if !matches!(lacking.since, Since::From(_)) {
            lacking.since = Since::From(time);
        }
    }

    /// Whether the time of the first command is known that is not known to be in the tables.
    pub(crate) fn knows_what_lacks(&self) -> bool {
        matches!(self.lacking.lock().since, Since::From(_))
    }

    /// The tables are not where they were left: nothing is known of them now.
    pub(crate) fn lose(&self) {
        if self.status.lock().position.take().is_some() {
            *self.lacking.lock() = Lacking { known: Sequence(0), since: Since::Unknown(Instant::now()) };
        }
    }

    /// The tables do not answer, so another process may have written to them meanwhile. What they had they have.
    pub(crate) fn lose_sight(&self) {
        self.status.lock().position = None;
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

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_tables_cover_is_certain() {
        let cause = |sequence, time| Cause { sequence: Sequence(sequence), time: Timestamp(time) };
        let (progress, begun) = (Progress::default(), Timestamp(0));
        assert!(!progress.covers(Timestamp(0), Some(cause(9, 90))));
        progress.reach(Position { sequence: Sequence(5), time: Timestamp(50), complete_from: Sequence(0) });
        assert!(progress.covers(Timestamp(49), Some(cause(9, 90))));
        assert!(!progress.covers(Timestamp(50), Some(cause(9, 90))), "another command of that time may be missing");
        assert!(progress.covers(Timestamp(50), Some(cause(5, 50))), "nothing can be missing");
        assert_eq!(progress.lag_at(cause(9, 90), begun), (4, 40));
        assert_eq!(progress.lag_at(cause(5, 50), begun), (0, 0));
    }

    #[test]
    fn the_lag_counts_from_the_oldest_command_that_the_tables_lack() {
        const DAY: u64 = 86_400_000_000;
        let cause = |sequence, time| Cause { sequence: Sequence(sequence), time: Timestamp(time) };
        let at =
            |sequence, time| Position { sequence: Sequence(sequence), time: Timestamp(time), ..Position::default() };
        let (progress, begun) = (Progress::default(), Timestamp(0));
        let now = 20_000 * DAY;
        let (commands, micros) = progress.lag_at(cause(1_000, now), begun);
        assert!(commands == 1_000 && micros < 60_000_000, "not since 1970: {micros}");
        // Empty tables of a venue whose first command is an hour old.
        progress.reach(at(0, 0));
        progress.lacks_from(Timestamp(now - 3_600_000_000));
        assert_eq!(progress.lag_at(cause(1_000, now), begun), (1_000, 3_600_000_000));
        progress.lacks_from(Timestamp(now));
        assert_eq!(
            progress.lag_at(cause(1_000, now), begun).1,
            3_600_000_000,
            "what is oldest stays so until it is written"
        );
        // All was written; then a day in which nothing happened.
        progress.reach(at(1_000, now));
        assert_eq!(progress.lag_at(cause(1_000, now), begun), (0, 0));
        progress.lacks_from(Timestamp(now + DAY));
        assert_eq!(progress.lag_at(cause(1_001, now + DAY + 5), begun), (1, 5));
        // Nothing more happens, and it grows older all the same.
        assert_eq!(progress.lag_at(cause(1_001, now + DAY + 5), Timestamp(now + DAY + 12)), (1, 12));
        // A reader of tables that do not answer any more.
        progress.lose_sight();
        assert!(!progress.covers(Timestamp(0), None));
        assert_eq!(progress.lag_at(cause(1_003, now + 2 * DAY), begun), (3, DAY));
        progress.reach(at(1_000, now));
        assert_eq!(progress.lag_at(cause(1_003, now + 2 * DAY), begun), (3, DAY), "they had stood still");
        progress.lose();
        let (commands, micros) = progress.lag_at(cause(1_002, now + 2 * DAY), begun);
        assert!(commands == 1_002 && micros < 60_000_000);
    }

    #[test]
    fn tables_that_have_not_answered_since_the_start_lack_what_is_not_known_to_be_in_them() {
        const DAY: u64 = 86_400_000_000;
        let live = |sequence| Cause { sequence: Sequence(sequence), time: Timestamp(9 * DAY) };
        let (progress, begun) = (Progress::default(), Timestamp(0));
        progress.assume(Sequence(500));
        assert_eq!(
            (progress.lag_at(live(500), begun), progress.lag_at(live(400), begun)),
            ((0, 0), (0, 0)),
            "nothing is missing"
        );
        let (commands, micros) = progress.lag_at(live(510), begun);
        assert!(commands == 10 && micros < 60_000_000, "{commands} {micros}");
        progress.lacks_from(Timestamp(8 * DAY));
        assert_eq!(progress.lag_at(live(510), begun), (10, DAY));
        progress.assume(Sequence(500));
        assert_eq!(progress.lag_at(live(510), begun), (10, DAY), "the same note again");
        assert_eq!(progress.status().position, None, "a note does not answer for the tables");
        // They answer, and had been written further than was noted.
        let position = Position { sequence: Sequence(508), time: Timestamp(9 * DAY - 7), ..Position::default() };
        progress.reach(position);
        assert_eq!(progress.lag_at(live(510), begun), (2, 7));
        progress.assume(Sequence(500));
        assert_eq!(progress.lag_at(live(510), begun), (2, 7));
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
