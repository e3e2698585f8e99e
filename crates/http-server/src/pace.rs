//! How fast a client takes an answer, by the bytes of it that the system accepts.

use std::io::{IoSlice, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The system accepts bytes of a client that reads slowly in pieces: with the buffers as they are by default, at 100
/// KB/s one in 4 s. After so long without one the client counts as one that does not read.
const STALLED: Duration = Duration::from_secs(5);
/// The time over which the bytes are added up.
const WINDOW: Duration = Duration::from_secs(1);
/// What is assumed of an answer that is younger than [`WINDOW`]. So clients that take a few bytes now and then do not
/// keep out everybody else.
const NEW_BYTES_PER_SECOND: u64 = 64 * 1024;

/// How an answer is being taken, the worst first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Standing {
    /// Not at all, since then.
    Stalled(Instant),
    /// So many bytes in a second.
    Taken(u64),
}

/// How fast the answer of one connection is taken.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Whether there is an answer that counts.
    is_watched: AtomicBool,
    counted: Mutex<Counted>,
}

#[derive(Debug)]
struct Counted {
    /// When the answer was begun.
    begun: Instant,
    /// When the system accepted bytes last.
    last: Instant,
    /// When the window began, and the bytes in it.
    window: (Instant, u64),
    /// Bytes per second in the window before.
    before: u64,
}

impl Counted {
    fn new(now: Instant) -> Self {
        Self { begun: now, last: now, window: (now, 0), before: 0 }
    }
}

impl Pace {
    pub(crate) fn new(now: Instant) -> Self {
        Self { is_watched: AtomicBool::new(false), counted: Mutex::new(Counted::new(now)) }
    }

    /// An answer begins.
    pub(crate) fn begin(&self, now: Instant) {
        *self.counted.lock() = Counted::new(now);
        self.is_watched.store(true, Ordering::Relaxed);
    }

    /// All of it was taken.
    pub(crate) fn end(&self) {
        self.is_watched.store(false, Ordering::Relaxed);
    }

    fn took(&self, bytes: usize, now: Instant) {
        let mut counted = self.counted.lock();
        counted.last = now;
        let (since, sum) = counted.window;
        let passed = now.saturating_duration_since(since);
        if passed >= WINDOW {
            counted.before = per_second(sum, passed);
            counted.window = (now, bytes as u64);
        } else {
            counted.window.1 = sum.saturating_add(bytes as u64);
        }
    }

    /// How the answer is being taken.
    pub(crate) fn standing(&self, now: Instant) -> Standing {
        let Counted { begun, last, window: (since, sum), before } = *self.counted.lock();
        if now.saturating_duration_since(last) >= STALLED {
            return Standing::Stalled(last);
        }
        let passed = now.saturating_duration_since(since);
        // Of a window that has just begun the one before says more.
        let sum = if passed < WINDOW { sum.saturating_add(before) } else { sum };
        let own = per_second(sum, passed.max(WINDOW));
        let is_new = now.saturating_duration_since(begun) < WINDOW;
        Standing::Taken(if is_new { own.max(NEW_BYTES_PER_SECOND) } else { own })
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

    fn count(&self, written: usize) -> Poll<Result<usize>> {
        if self.pace.is_watched.load(Ordering::Relaxed) {
            self.pace.took(written, Instant::now());
        }
        Poll::Ready(Ok(written))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Paced<T> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Paced<T> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, bytes))?;
        self.count(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(context, parts))?;
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
    fn who_takes_nothing_is_worse_than_who_takes_little_and_a_new_answer_is_better_than_that() {
        let begun = Instant::now();
        let at = |millis| begun + Duration::from_millis(millis);
        let [deaf, older, slow, fast, new] = [0, 0, 0, 0, 9_900].map(|millis| {
            let pace = Pace::new(begun);
            pace.begin(at(millis));
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
        fast.took(usize::MAX, at(14_601));
        fast.took(usize::MAX, at(14_602));
        assert!(fast.standing(at(14_603)) > Standing::Taken(1 << 40));
    }
}
