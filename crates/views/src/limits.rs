//! The bounds of the read model. Every list is bounded; a query can tell evicted entries from those that never existed
//! (see [`Forgotten`]).

use crossbook_protocol::wire;
use crossbook_protocol::wire::codec::{Reader, Sink, Wire};
use crossbook_types::Timestamp;
use serde::{Deserialize, Serialize};

/// The bounds of the views. Each counts entries; 0 keeps none.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Ended orders of one account in one market. Open orders are bounded by the market's own filters.
    pub closed_orders_per_account: usize,
    /// Ended orders of all accounts in one market; the longest ended fall off first.
    pub closed_orders_per_market: usize,
    /// Trades that one account took part in, in one market.
    pub own_trades_per_account: usize,
    /// Trades kept for the accounts that took part in them, in one market; each trade counts for both its sides.
    pub own_trades_per_market: usize,
    /// Matches in one market that self-trade prevention prevented, of all accounts.
    pub prevented_matches_per_market: usize,
    /// Amendments of orders in one market, of all accounts.
    pub amendments_per_market: usize,
    /// What operators have done, of each partition.
    pub operator_log: usize,
    /// Public trades of one market.
    pub trades_per_market: usize,
    /// Aggregate trades of one market; at least one, since the last may still grow.
    pub aggregate_trades_per_market: usize,
    /// Candles of each interval of one market that had trades; those without cost nothing. Raised to
    /// [`Limits::CANDLES_MIN`], which the 24-hour statistics need.
    pub candles_per_interval: usize,
}

impl Limits {
    /// The fewest candles of an interval that are kept: the minutes of a day and the one that is running.
    pub const CANDLES_MIN: usize = 24 * 60 + 1;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            closed_orders_per_account: 1_000,
            closed_orders_per_market: 200_000,
            own_trades_per_account: 1_000,
            own_trades_per_market: 400_000,
            prevented_matches_per_market: 10_000,
            amendments_per_market: 10_000,
            operator_log: 1_000,
            trades_per_market: 10_000,
            aggregate_trades_per_market: 10_000,
            candles_per_interval: 1_500,
        }
    }
}

/// The newest thing that memory no longer holds. Whatever is older may have been dropped too and must be looked up in
/// the history; whatever is newer is all here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Forgotten<I> {
    /// Its number.
    pub id: I,
    /// Its time: of a trade when it took place, of an order when it was placed.
    pub time: Timestamp,
    /// Since when nothing dropped has changed: the latest time at which a dropped order ended, or a dropped trade took
    /// place. A history that is complete up to here has all of it as it will stay.
    pub settled: Timestamp,
}

impl<I: Ord> Forgotten<I> {
    /// Takes note of one more dropped thing. Number and times each only move forward, since orders are not dropped in
    /// the order in which they were placed.
    pub(crate) fn note(known: &mut Option<Self>, id: I, time: Timestamp, settled: Timestamp) {
        *known = Some(match known.take() {
            Some(before) => {
                Self { id: before.id.max(id), time: before.time.max(time), settled: before.settled.max(settled) }
            }
            None => Self { id, time, settled },
        });
    }
}

/// A stretch of time to list, ends included. With a `start` it gives the first `limit` entries from there, otherwise
/// the last `limit` up to the `end`. Either way the oldest comes first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    /// The earliest time, if there is one.
    pub start: Option<Timestamp>,
    /// The latest time, if there is one.
    pub end: Option<Timestamp>,
    /// The most entries.
    pub limit: usize,
}

impl Window {
    /// The last `limit` entries.
    #[must_use]
    pub fn last(limit: usize) -> Self {
        Self { start: None, end: None, limit }
    }

    /// The range of positions among `length` entries in order of time, of which `time_at` gives the time.
    pub(crate) fn select(&self, length: usize, time_at: impl Fn(usize) -> Timestamp) -> std::ops::Range<usize> {
        let start = self.start.map_or(0, |start| partition_point(length, |at| time_at(at) < start));
        let end = self.end.map_or(length, |end| partition_point(length, |at| time_at(at) <= end)).max(start);
        match self.start {
            Some(_) => start..end.min(start.saturating_add(self.limit)),
            None => start.max(end.saturating_sub(self.limit))..end,
        }
    }
}

/// Cuts a sorted list to its first `limit` entries, and as many more as belong together with the last of them. A reader
/// who continues after the id of that one misses nothing.
pub fn keep_first<T>(entries: &mut Vec<T>, limit: usize, together: impl Fn(&T, &T) -> bool) {
    let mut end = limit.min(entries.len());
    while 0 < end && end < entries.len() && together(&entries[end - 1], &entries[end]) {
        end += 1;
    }
    entries.truncate(end);
}

/// Cuts a sorted list to its last `limit` entries, and as many more as belong together with the first of them.
pub fn keep_last<T>(entries: &mut Vec<T>, limit: usize, together: impl Fn(&T, &T) -> bool) {
    let mut start = entries.len().saturating_sub(limit);
    while 0 < start && start < entries.len() && together(&entries[start - 1], &entries[start]) {
        start -= 1;
    }
    drop(entries.drain(..start));
}

/// How many of `length` entries fulfil `holds`, which those at the front do and those at the back do not.
pub(crate) fn partition_point(length: usize, holds: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, length);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

impl<I: Wire> Wire for Forgotten<I> {
    fn write<S: Sink>(&self, out: &mut S) {
        self.id.write(out);
        self.time.write(out);
        self.settled.write(out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, wire::Error> {
        Ok(Self { id: Wire::read(from)?, time: Wire::read(from)?, settled: Wire::read(from)? })
    }
}
