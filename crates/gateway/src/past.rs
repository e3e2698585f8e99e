//! Queries that reach further back than memory.
//!
//! Memory has the newest of everything, and records what it has evicted. So a query takes three steps: read memory,
//! under the lock of its views; if a part of the answer may have been evicted, there is a [`Gap`]; query the
//! [`History`] for the gap, without the lock, and [merge] it with what memory had. The history lags behind the venue,
//! but evicted entries do not change any more: the history need only have reached the point at which the gap is
//! [settled](Forgotten::settled).
//!
//! [merge]: merge

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub use crossbook_views::history::{Activity, Answer, History, Status, Unavailable};

use crossbook_types::Timestamp;
use crossbook_views::{Forgotten, Window, keep_first, keep_last};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::clock::now;
use crate::error::Error;
use crate::read_model::Standing;

/// Microseconds between two warnings that the history fails.
const WARNING_EVERY: u64 = 10_000_000;

/// Access to the history, for a bounded number of queries at a time.
pub struct Past {
    history: Option<Box<dyn History>>,
    places: Semaphore,
    patience: Duration,
}

impl Past {
    /// At most `queries_max` queries at once; each waits at most `patience` for a history that is behind what memory
    /// has dropped.
    #[must_use]
    pub fn new(history: Option<Box<dyn History>>, queries_max: usize, patience: Duration) -> Self {
        Self { history, places: Semaphore::new(queries_max.min(Semaphore::MAX_PERMITS)), patience }
    }

    /// The history, if there is one.
    #[must_use]
    pub fn history(&self) -> Option<&dyn History> {
        self.history.as_deref()
    }

    /// The history, once it has everything that was last changed at `settled`; `None` if there is none. `live` is the
    /// position of memory, of the partition whose past is queried.
    ///
    /// # Errors
    /// [`Error::Busy`] if there are too many concurrent queries, or the history does not reach that position within the
    /// time that the options allow.
    pub(crate) async fn open(&self, settled: Timestamp, live: Standing) -> Result<Option<OpenPast<'_>>, Error> {
        let Some(history) = self.history() else { return Ok(None) };
        let Ok(place) = self.places.try_acquire() else {
            metrics::counter!("crossbook_overload_rejections_total", "stage" => "history").increment(1);
            return Err(Error::Busy);
        };
        let covering = history.covering(live.partition, settled, live.position);
        if tokio::time::timeout(self.patience, covering).await.is_err() {
            metrics::counter!("crossbook_history_lag_rejections_total").increment(1);
            return Err(Error::Busy);
        }
        Ok(Some(OpenPast { history, _place: place }))
    }

    /// The history, once it has all that memory has, or after the time that the options allow; `None` if there is none.
    /// `live` are the positions of memory.
    ///
    /// # Errors
    /// [`Error::Busy`] if there are too many concurrent queries.
    pub(crate) async fn newest(&self, live: Vec<Standing>) -> Result<Option<Newest<'_>>, Error> {
        let Some(history) = self.history() else { return Ok(None) };
        let Ok(place) = self.places.try_acquire() else {
            metrics::counter!("crossbook_overload_rejections_total", "stage" => "history").increment(1);
            return Err(Error::Busy);
        };
        let covering = async {
            for Standing { partition, position } in live {
                if let Some(cause) = position {
                    history.covering(partition, cause.time, position).await;
                }
            }
        };
        let is_current = tokio::time::timeout(self.patience, covering).await.is_ok();
        Ok(Some(Newest { past: OpenPast { history, _place: place }, is_current }))
    }
}

/// The history as of now, and whether it has all that memory has.
pub(crate) struct Newest<'a> {
    pub(crate) past: OpenPast<'a>,
    pub(crate) is_current: bool,
}

/// The history, ready to be asked. Holds one of the places for those who ask at the same time.
pub(crate) struct OpenPast<'a> {
    pub(crate) history: &'a dyn History,
    _place: SemaphorePermit<'a>,
}

impl OpenPast<'_> {
    /// Waits for the answer to one question.
    ///
    /// # Errors
    /// [`Error::HistoryFailed`] if the history does not answer.
    pub(crate) async fn ask<T>(&self, answer: Answer<'_, T>) -> Result<T, Error> {
        let started = Instant::now();
        let answer = answer.await;
        metrics::histogram!("crossbook_history_query_seconds").record(started.elapsed().as_secs_f64());
        answer.map_err(|error| {
            metrics::counter!("crossbook_history_query_failures_total").increment(1);
            warn(&error);
            Error::HistoryFailed
        })
    }
}

/// Which entries of a list are asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Question<I> {
    /// At most so many, from a number on.
    From(I, usize),
    /// Those of a stretch of time.
    Within(Window),
}

/// Which end of a list counts when there is more than was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    First,
    Last,
}

/// What memory may be missing of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Gap<I> {
    /// What to ask the history.
    pub question: Question<I>,
    /// The newest of what memory has dropped.
    pub forgotten: Forgotten<I>,
    /// The position of memory.
    pub live: Standing,
}

impl<I: Copy + Ord> Question<I> {
    /// What may be missing if memory has found `count` entries, of which `oldest` is the first, and has evicted others.
    /// `None` if what it has found is the whole answer.
    pub(crate) fn gap(
        self,
        oldest: Option<I>,
        count: usize,
        forgotten: Option<Forgotten<I>>,
        live: Standing,
    ) -> Option<Gap<I>> {
        let forgotten = forgotten?;
        let question = match self {
            Self::From(from, _) if from > forgotten.id => return None,
            Self::From(..) => self,
            Self::Within(Window { start: Some(start), end, .. })
                if start > forgotten.time || end.is_some_and(|end| end < start) =>
            {
                return None;
            }
            Self::Within(Window { start: None, limit, .. })
                if count >= limit && oldest.is_none_or(|oldest| oldest > forgotten.id) =>
            {
                return None;
            }
            // What is newer than the newest that was dropped is in memory.
            Self::Within(window) => {
                let end = window.end.map_or(forgotten.time, |end| end.min(forgotten.time));
                Self::Within(Window { end: Some(end), ..window })
            }
        };
        Some(Gap { question, forgotten, live })
    }

    /// The same where the times that are asked about are those at which entries last changed, and entries are dropped
    /// in the order in which they ended: all that was dropped is [settled](Forgotten::settled), and what is in memory
    /// and has ended is no older. `oldest` is the time of the first that was found.
    pub(crate) fn gap_by_update(
        window: Window,
        oldest: Option<Timestamp>,
        count: usize,
        forgotten: Option<Forgotten<I>>,
        live: Standing,
    ) -> Option<Gap<I>> {
        let forgotten = forgotten?;
        let Window { start, end, limit } = window;
        let settled = forgotten.settled;
        let is_whole = match start {
            Some(start) => start > settled || end.is_some_and(|end| end < start),
            None => count >= limit && oldest.is_none_or(|oldest| oldest > settled),
        };
        let question = Self::Within(Window { end: Some(end.map_or(settled, |end| end.min(settled))), ..window });
        (!is_whole).then_some(Gap { question, forgotten, live })
    }

    fn end(self) -> End {
        match self {
            Self::Within(Window { start: None, .. }) => End::Last,
            Self::From(..) | Self::Within(_) => End::First,
        }
    }

    fn limit(self) -> usize {
        match self {
            Self::From(_, limit) | Self::Within(Window { limit, .. }) => limit,
        }
    }
}

impl<I: Copy + Ord> Gap<I> {
    /// The history, once it has everything that memory has evicted; `None` if there is none. See [`Past::open`].
    pub(crate) async fn open<'a>(&self, past: &'a Past) -> Result<Option<OpenPast<'a>>, Error> {
        past.open(self.forgotten.settled, self.live).await
    }

    /// The whole answer, from what memory had and what the history has, each of them sorted by `key`. Entries that are
    /// `together` are on one page.
    pub(crate) fn fill<T, K: Ord>(
        &self,
        recent: Vec<T>,
        past: Vec<T>,
        key: impl Fn(&T) -> K,
        together: impl Fn(&T, &T) -> bool,
    ) -> Vec<T> {
        merge(recent, past, key, together, self.question.end(), self.question.limit())
    }
}

/// Every entry is by itself.
pub(crate) fn apart<T>(_: &T, _: &T) -> bool {
    false
}

/// The first or last `limit` of two lists that are sorted by `key`, and what is `together` with the outermost of them.
/// What is in both is taken from the recent one.
///
/// If each list has the first `limit` of a part of all entries, and the parts cover them, this gives the first `limit`
/// of all; and so with the last.
pub(crate) fn merge<T, K: Ord>(
    recent: Vec<T>,
    past: Vec<T>,
    key: impl Fn(&T) -> K,
    together: impl Fn(&T, &T) -> bool,
    end: End,
    limit: usize,
) -> Vec<T> {
    let mut merged = past;
    merged.retain(|entry| recent.binary_search_by_key(&key(entry), &key).is_err());
    merged.extend(recent);
    merged.sort_by_key(key);
    match end {
        End::First => keep_first(&mut merged, limit, together),
        End::Last => keep_last(&mut merged, limit, together),
    }
    merged
}

/// Tells the operator what is wrong with the history; now and then, since every client may run into it.
fn warn(error: &Unavailable) {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let (now, last) = (now().0, LAST.load(Ordering::Relaxed));
    let is_due = now.saturating_sub(last) >= WARNING_EVERY;
    if is_due && LAST.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
        tracing::warn!(%error, "the history does not answer; clients get an error where they ask for more than memory has");
    }
}

#[cfg(test)]
mod tests {
    use crossbook_types::PartitionId;

    use super::*;

    /// Numbers that stand for themselves, with where they come from.
    fn list(from: &'static str, ids: &[u64]) -> Vec<(u64, &'static str)> {
        ids.iter().map(|&id| (id, from)).collect()
    }

    fn merged(recent: &[u64], past: &[u64], end: End, limit: usize) -> Vec<(u64, &'static str)> {
        merge(list("recent", recent), list("past", past), |&(id, _)| id, apart, end, limit)
    }

    #[test]
    fn of_what_is_in_both_the_recent_one_counts() {
        let all = [(1, "past"), (2, "recent"), (3, "past"), (4, "recent"), (5, "recent")];
        assert_eq!(merged(&[2, 4, 5], &[1, 2, 3, 4], End::First, 9), all);
        assert_eq!(merged(&[2, 4, 5], &[1, 2, 3, 4], End::First, 3), all[..3]);
        assert_eq!(merged(&[2, 4, 5], &[1, 2, 3, 4], End::Last, 3), all[2..]);
        assert_eq!(merged(&[], &[], End::Last, 3), []);
        assert_eq!(merged(&[1], &[1], End::First, 0), []);
    }

    /// Every way to deal out six entries to two lists, each cut to the limit as its source would: the merge is as if
    /// there had been one list.
    #[test]
    fn two_cut_lists_make_one_cut_list() {
        let of = |bits: u64| (0..6).filter(|at| bits >> at & 1 == 1).collect::<Vec<u64>>();
        for (recent, past) in (0..64).flat_map(|recent| (0..64).map(move |past| (of(recent), of(past)))) {
            for limit in 0..7 {
                for end in [End::First, End::Last] {
                    let cut = |ids: &[u64]| match end {
                        End::First => ids[..limit.min(ids.len())].to_vec(),
                        End::Last => ids[ids.len().saturating_sub(limit)..].to_vec(),
                    };
                    let union: Vec<u64> = (0..6).filter(|id| recent.contains(id) || past.contains(id)).collect();
                    let found = merged(&cut(&recent), &cut(&past), end, limit);
                    assert_eq!(found.iter().map(|&(id, _)| id).collect::<Vec<_>>(), cut(&union));
                }
            }
        }
    }

    #[test]
    fn only_what_memory_may_have_forgotten_is_asked_of_the_history() {
        let at = |time| Some(Timestamp(time));
        let forgotten = Some(Forgotten { id: 10, time: Timestamp(100), settled: Timestamp(150) });
        let live = Standing { partition: PartitionId(0), position: None };
        let gap = |question: Question<u64>, oldest, count| question.gap(oldest, count, forgotten, live);
        let within = |start, end, limit| Question::Within(Window { start, end, limit });

        assert_eq!(Question::From(1, 5).gap(None, 0, None, live), None, "nothing is forgotten");
        assert_eq!(gap(Question::From(11, 5), None, 0), None);
        assert_eq!(gap(Question::From(10, 5), Some(11), 5).map(|gap| gap.question), Some(Question::From(10, 5)));

        assert_eq!(gap(within(at(101), None, 5), None, 0), None);
        assert_eq!(gap(within(at(90), at(80), 5), None, 0), None, "no time at all");
        // Other entries of that very time may be left.
        let question = |start, end| Some(within(start, end, 5));
        assert_eq!(gap(within(at(100), None, 5), None, 0).map(|gap| gap.question), question(at(100), at(100)));
        assert_eq!(gap(within(at(90), at(95), 5), None, 0).map(|gap| gap.question), question(at(90), at(95)));

        assert_eq!(gap(within(None, None, 5), Some(11), 5), None, "as many as were asked for, and all of them newer");
        assert_eq!(gap(within(None, None, 5), Some(11), 4).map(|gap| gap.question), question(None, at(100)));
        assert_eq!(gap(within(None, at(300), 5), Some(7), 5).map(|gap| gap.question), question(None, at(100)));
    }
}
