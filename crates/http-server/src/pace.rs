//! How fast a client takes what it is sent, an answer or messages, by the bytes that the system accepts.

use std::io::{IoSlice, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The system accepts bytes of a client that reads slowly in pieces: with the buffers as they are by default, at 100
/// KB/s one in 4 s. After so long without one the client counts as one that does not read.
const STALLED: Duration = Duration::from_secs(5);
/// The time over which the bytes are added up.
const WINDOW: Duration = Duration::from_secs(1);
/// What is assumed of what is younger than [`WINDOW`]. So clients that take a few bytes now and then do not
/// keep out everybody else.
const NEW_BYTES_PER_SECOND: u64 = 64 * 1024;

/// How bytes are being taken, the worst first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Standing {
    /// Not at all, since then.
    Stalled(Instant),
    /// So many bytes in a second.
    Taken(u64),
}

/// How fast the client of one connection takes what waits for it.
#[derive(Debug)]
pub struct Pace {
    /// Whether there is something that counts.
    is_watched: AtomicBool,
    counted: Mutex<Counted>,
}

#[derive(Debug)]
struct Counted {
    /// When it was begun.
    begun: Instant,
    /// Whether the system has held as much as it may since then. What it accepts before that, it accepts for a client
    /// that reads nothing, too.
    has_waited: bool,
    /// When the system accepted bytes last.
    last: Instant,
    /// When the window began, and the bytes in it.
    window: (Instant, u64),
    /// Bytes per second in the window before.
    before: u64,
}

impl Counted {
    fn new(now: Instant) -> Self {
        Self { begun: now, has_waited: false, last: now, window: (now, 0), before: 0 }
    }
}

impl Pace {
    /// The pace of a new connection.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { is_watched: AtomicBool::new(false), counted: Mutex::new(Counted::new(now)) }
    }

    /// An answer begins, or the first message of several.
    pub fn begin(&self, now: Instant) {
        *self.counted.lock() = Counted::new(now);
        self.is_watched.store(true, Ordering::Relaxed);
    }

    /// All of it was taken.
    pub(crate) fn end(&self) {
        self.is_watched.store(false, Ordering::Relaxed);
    }

    /// The system accepts nothing more until the client reads.
    pub fn waits(&self, now: Instant) {
        let mut counted = self.counted.lock();
        if !counted.has_waited {
            counted.has_waited = true;
            (counted.last, counted.window) = (now, (now, 0));
        }
    }

    /// The system has accepted bytes.
    pub fn took(&self, bytes: usize, now: Instant) {
        let mut counted = self.counted.lock();
        counted.last = now;
        if !counted.has_waited {
            return;
        }
        let (since, sum) = counted.window;
        let passed = now.saturating_duration_since(since);
        if passed >= WINDOW {
            counted.before = per_second(sum, passed);
            counted.window = (now, bytes as u64);
        } else {
            counted.window.1 = sum.saturating_add(bytes as u64);
        }
    }

    /// How it is being taken.
    #[must_use]
    pub fn standing(&self, now: Instant) -> Standing {
        let Counted { begun, has_waited, last, window: (since, sum), before } = *self.counted.lock();
        if now.saturating_duration_since(last) >= STALLED {
            return Standing::Stalled(last);
        }
        let passed = now.saturating_duration_since(since);
        // Of a window that has just begun the one before says more.
        let sum = if passed < WINDOW { sum.saturating_add(before) } else { sum };
        let own = per_second(sum, passed.max(WINDOW));
        let is_new = now.saturating_duration_since(begun) < WINDOW;
        Standing::Taken(match (is_new, has_waited) {
            (true, true) => own.max(NEW_BYTES_PER_SECOND),
            (true, false) => NEW_BYTES_PER_SECOND,
            // It was never the client's turn: it takes whatever comes.
            (false, false) => u64::MAX,
            (false, true) => own,
        })
    }
}

fn per_second(bytes: u64, passed: Duration) -> u64 {
    let rate = u128::from(bytes) * 1_000 / passed.as_millis().max(1);
    u64::try_from(rate).unwrap_or(u64::MAX)
}

/// A stream whose written bytes are counted.
#[derive(Debug)]
pub(crate) struct Paced<T> {
    stream: T,
    pace: Arc<Pace>,
}

impl<T> Paced<T> {
    pub(crate) fn new(stream: T, pace: Arc<Pace>) -> Self {
        Self { stream, pace }
    }

    fn count(&self, written: Poll<Result<usize>>) -> Poll<Result<usize>> {
        if self.pace.is_watched.load(Ordering::Relaxed) {
            match written {
                Poll::Pending => self.pace.waits(Instant::now()),
                Poll::Ready(Ok(bytes)) => self.pace.took(bytes, Instant::now()),
                Poll::Ready(Err(_)) => {}
            }
        }
        written
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Paced<T> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Paced<T> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.count(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.count(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_accepts_before_it_waits_does_not_count() {
        let begun = Instant::now();
        let at = |millis| begun + Duration::from_millis(millis);
        let [deaf, slow, fast] = [(), (), ()].map(|()| Pace::new(begun));
        for pace in [&deaf, &slow, &fast] {
            pace.begin(begun);
            pace.took(1 << 20, at(1));
        }
        deaf.waits(at(2));
        slow.waits(at(2));
        slow.took(2_000, at(1_000));
        assert_eq!(deaf.standing(at(2_000)), Standing::Taken(0));
        assert!(slow.standing(at(2_000)) > deaf.standing(at(2_000)));
        assert_eq!(fast.standing(at(2_000)), Standing::Taken(u64::MAX), "it always had room for more");
        assert_eq!(deaf.standing(at(5_002)), Standing::Stalled(at(2)));
    }

    #[test]
    fn who_takes_nothing_is_worse_than_who_takes_little_and_a_new_answer_is_better_than_that() {
        let begun = Instant::now();
        let at = |millis| begun + Duration::from_millis(millis);
        let [deaf, older, slow, fast, new] = [0, 0, 0, 0, 9_900].map(|millis| {
            let pace = Pace::new(begun);
            pace.begin(at(millis));
            pace.waits(at(millis));
            pace
        });
        deaf.took(5 << 20, at(100));
        older.took(1, at(50));
        for millis in (0..10_000).step_by(500) {
            slow.took(500, at(millis));
            fast.took(200_000, at(millis));
        }
        let now = at(10_000);
        assert_eq!(slow.standing(now), Standing::Taken(1_000), "in the last second");
        let mut worst_first = [&new, &fast, &slow, &deaf, &older].map(|pace| pace.standing(now));
        worst_first.sort();
        let expected = [&older, &deaf, &slow, &new, &fast].map(|pace| pace.standing(now));
        assert_eq!(worst_first, expected);
        // What was taken long ago does not help, and the next answer begins anew.
        assert!(matches!(fast.standing(at(14_600)), Standing::Stalled(last) if last == at(9_500)));
        fast.begin(at(14_600));
        assert_eq!(fast.standing(at(14_600)), Standing::Taken(NEW_BYTES_PER_SECOND));
        fast.waits(at(14_600));
        fast.took(usize::MAX, at(14_601));
        fast.took(usize::MAX, at(14_602));
        assert!(fast.standing(at(14_603)) > Standing::Taken(1 << 40));
    }
}
