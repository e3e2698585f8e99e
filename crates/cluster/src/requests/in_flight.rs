//! The requests that a partition has not accepted yet, and whether the partition answers. No I/O and no clock: the
//! caller reports the result of each round trip, and how long ago it began.
//!
//! ```text
//!   begin --> due --(appended)--> in the log --(accepted)--> removed: the request is durable
//!              ^                       |
//!              +---- the output at its position is read, or the log ends before it, or the connection broke: lost, due again
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crossbook_types::{RequestNumber, Sequence};

/// A request that is being appended to a log.
#[derive(Clone, Debug)]
struct Pending {
    bytes: Arc<[u8]>,
    begun: Duration,
    /// Where it was appended, as far as is known.
    at: Option<Sequence>,
}

/// A request that is to be appended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Due {
    /// Its number.
    pub number: RequestNumber,
    /// Its bytes.
    pub bytes: Arc<[u8]>,
}

/// The requests in flight. See the module.
#[derive(Clone, Debug, Default)]
pub struct InFlight(BTreeMap<RequestNumber, Pending>);

impl InFlight {
    /// Takes in a request that is to be appended.
    pub fn begin(&mut self, number: RequestNumber, bytes: Arc<[u8]>, now: Duration) {
        self.0.insert(number, Pending { bytes, begun: now, at: None });
    }

    /// What is to be appended next: the first requests that stand nowhere, as many as fit.
    #[must_use]
    pub fn due(&self, records_max: usize, bytes_max: usize) -> Vec<Due> {
        let mut bytes = 0;
        let nowhere = self.0.iter().filter(|(_, pending)| pending.at.is_none());
        nowhere
            .take(records_max)
            .take_while(|(_, pending)| {
                bytes += pending.bytes.len();
                bytes <= bytes_max
            })
            .map(|(&number, pending)| Due { number, bytes: Arc::clone(&pending.bytes) })
            .collect()
    }

    /// Whether there is something to append.
    #[must_use]
    pub fn has_due(&self) -> bool {
        self.0.values().any(|pending| pending.at.is_none())
    }

    /// The due requests are in the log at `first` and the following positions. The partition may have been faster than
    /// the store's answer, and have accepted some already.
    pub fn appended(&mut self, due: &[Due], first: Sequence) {
        for (at, Due { number, .. }) in (first.0..).map(Sequence).zip(due) {
            if let Some(pending) = self.0.get_mut(number) {
                pending.at = Some(at);
            }
        }
    }

    /// Whether a request has been appended, as far as is known, and not taken yet.
    #[must_use]
    pub fn is_appended(&self, number: RequestNumber) -> bool {
        self.0.get(&number).is_some_and(|pending| pending.at.is_some())
    }

    /// The log ends at `end`: what was appended behind it is lost.
    pub fn ends_at(&mut self, end: Sequence) {
        self.0.values_mut().filter(|pending| pending.at > Some(end)).for_each(|pending| pending.at = None);
    }

    /// The connection broke: what was sent may have arrived or not. It is sent again, and taken once.
    pub fn disconnected(&mut self) {
        self.0.values_mut().for_each(|pending| pending.at = None);
    }

    /// The partition has taken this request.
    pub fn taken(&mut self, number: RequestNumber) {
        self.0.remove(&number);
    }

    /// The outputs up to `folded` are read: a request that was appended up to there and not taken was not
    /// what it found there, and is lost. How many.
    pub fn folded(&mut self, folded: Sequence) -> u64 {
        let mut lost = 0;
        for pending in self.0.values_mut().filter(|pending| pending.at.is_some_and(|at| at <= folded)) {
            pending.at = None;
            lost += 1;
        }
        lost
    }

    /// Abandons a request. Returns whether it was still in flight.
    pub fn give_up(&mut self, number: RequestNumber) -> bool {
        self.0.remove(&number).is_some()
    }

    /// Abandons all that is due.
    pub fn give_up_due(&mut self) {
        self.0.retain(|_, pending| pending.at.is_some());
    }

    /// Abandons what has been in flight for `keep`: its callers have been answered that the outcome is unknown.
    pub fn give_up_old(&mut self, keep: Duration, now: Duration) {
        self.0.retain(|_, pending| now.saturating_sub(pending.begun) < keep);
    }

    /// The number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none is in flight.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Watches whether a partition progresses while something waits for it.
#[derive(Clone, Debug, Default)]
pub struct Patience {
    /// Up to where its outputs were read when it was last seen to move.
    seen: Sequence,
    /// Since when nothing has moved though something waits.
    stuck_since: Option<Duration>,
    checked: Duration,
}

impl Patience {
    /// For a partition whose outputs are folded up to `folded`.
    #[must_use]
    pub fn new(folded: Sequence) -> Self {
        Self { seen: folded, ..Self::default() }
    }

    /// Takes note of how far its outputs are read, and whether something waits for it.
    pub fn look(&mut self, folded: Sequence, waiting: bool, now: Duration) {
        if folded > self.seen || !waiting {
            (self.seen, self.stuck_since) = (folded, None);
        } else if self.stuck_since.is_none() {
            self.stuck_since = Some(now);
        }
    }

    /// Whether nothing has moved for so long though something waits.
    #[must_use]
    pub fn is_over(&self, patience: Duration, now: Duration) -> bool {
        self.stuck_since.is_some_and(|since| now.saturating_sub(since) >= patience)
    }

    /// Whether it is time to look if the requests still stand where they were appended.
    #[must_use]
    pub fn must_check(&self, retry: Duration, now: Duration) -> bool {
        self.is_over(retry, now) && now.saturating_sub(self.checked) >= retry
    }

    /// That was done.
    pub fn checked(&mut self, now: Duration) {
        self.checked = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1);

    fn numbers(in_flight: &InFlight) -> Vec<u64> {
        in_flight.due(10, 1_000).iter().map(|due| due.number.0).collect()
    }

    fn three() -> InFlight {
        let mut in_flight = InFlight::default();
        (1..=3).for_each(|number| in_flight.begin(RequestNumber(number), Arc::from([0; 10]), NOW));
        in_flight
    }

    #[test]
    fn a_request_is_due_again_when_it_no_longer_stands_where_it_was_appended() {
        let mut in_flight = three();
        assert_eq!(numbers(&in_flight), [1, 2, 3]);
        assert_eq!(in_flight.due(2, 1_000).len(), 2);
        assert_eq!(in_flight.due(10, 29).len(), 2, "what fits");
        let due = in_flight.due(10, 1_000);
        in_flight.appended(&due, Sequence(7));
        assert_eq!(numbers(&in_flight), [0; 0]);
        in_flight.ends_at(Sequence(8));
        assert_eq!(numbers(&in_flight), [3], "the log lost its end");
        in_flight.taken(RequestNumber(1));
        assert_eq!(in_flight.folded(Sequence(8)), 1);
        assert_eq!(numbers(&in_flight), [2, 3], "what the partition found there was another request");
        in_flight.appended(&in_flight.due(1, 1_000), Sequence(9));
        in_flight.disconnected();
        assert_eq!(numbers(&in_flight), [2, 3]);
        assert!(in_flight.give_up(RequestNumber(2)) && !in_flight.give_up(RequestNumber(2)));
        in_flight.give_up_old(Duration::from_secs(5), NOW + Duration::from_secs(4));
        assert!(!in_flight.is_empty());
        in_flight.give_up_old(Duration::from_secs(5), NOW + Duration::from_secs(5));
        assert!(in_flight.is_empty());
    }

    #[test]
    fn patience_ends_only_while_something_waits_and_nothing_moves() {
        let (second, at) = (Duration::from_secs(1), Duration::from_secs);
        let mut patience = Patience::new(Sequence(5));
        patience.look(Sequence(5), false, at(1));
        assert!(!patience.is_over(second, at(9)), "nothing waits");
        patience.look(Sequence(5), true, at(10));
        assert!(!patience.is_over(second, at(10)));
        assert!(patience.is_over(second, at(11)) && patience.must_check(second, at(11)));
        patience.checked(at(11));
        assert!(!patience.must_check(second, at(11)) && patience.must_check(second, at(12)));
        patience.look(Sequence(6), true, at(12));
        assert!(!patience.is_over(second, at(12)), "it moves");
    }
}
