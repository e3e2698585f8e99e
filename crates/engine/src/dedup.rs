//! Deduplication: which request numbers of which sources have been applied.
//!
//! A gateway that gets no answer sends its command again, under the same number; appends may also be lost or overtake
//! each other. So the last [`WINDOW`] numbers of each gateway are stored one by one, and older ones count as applied. A
//! partition sends to another strictly in order and repeats from the first lost message, so only its next number is
//! accepted, and that is stored for as long as the venue exists. At most [`GATEWAYS_MAX`] gateways are stored; the one
//! that has been inactive for longest is evicted. (A gateway waits for an answer for seconds; a thousand gateway starts
//! take longer than that.)

use std::collections::BTreeMap;

use crossbook_protocol::wire::codec::wire_struct;
use crossbook_types::{RequestNumber, Sequence, SourceId};

/// Of how many gateways numbers are remembered.
pub const GATEWAYS_MAX: usize = 1024;
/// How many numbers of a gateway are remembered one by one. A gateway never has more commands than this unanswered.
pub const WINDOW: u64 = 65_536;
const WORDS: usize = (WINDOW / 64) as usize;

/// What is known of each source.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Dedup {
    sources: BTreeMap<SourceId, Seen>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Seen {
    /// The highest number seen.
    highest: u64,
    /// When it was last active.
    received: Sequence,
    /// A bit for each of the last [`WINDOW`] numbers, at the number modulo [`WINDOW`]; empty for a partition.
    window: Vec<u64>,
}

impl Dedup {
    /// Takes note of a command. Whether it is new; if not, it must have no effect.
    #[inline]
    pub(crate) fn is_new(&mut self, source: SourceId, number: RequestNumber, at: Sequence) -> bool {
        if !self.sources.contains_key(&source) {
            let words = if source < SourceId::FIRST_GATEWAY { 0 } else { WORDS };
            if words > 0 {
                self.make_room();
            }
            self.sources.insert(source, Seen { highest: 0, received: at, window: vec![0; words] });
        }
        let Some(seen) = self.sources.get_mut(&source) else { return false };
        seen.received = at;
        #[cfg(crossbook_bugs)]
        if crossbook_types::bugs::is_planted(crossbook_types::bugs::Bug::NotDeduplicated) {
            seen.take(number.0);
            return true;
        }
        seen.take(number.0)
    }

    /// The last number that was taken from a source; 0 if none is known.
    pub(crate) fn highest(&self, source: SourceId) -> RequestNumber {
        self.sources.get(&source).map_or(RequestNumber(0), |seen| RequestNumber(seen.highest))
    }

    /// Whether some pieces of an import have been applied, and not all.
    pub(crate) fn is_importing(&self) -> bool {
        self.highest(SourceId::IMPORT) > RequestNumber(0) && self.highest(SourceId::IMPORT_END) == RequestNumber(0)
    }

    /// Forgets a source altogether.
    pub(crate) fn forget(&mut self, source: SourceId) {
        self.sources.remove(&source);
    }

    /// Evicts the gateway that has been inactive for longest, if there is no room for another. A partition is never
    /// evicted: it would continue its numbers, and its messages would not be accepted again.
    fn make_room(&mut self) {
        let gateways = || self.sources.range(SourceId::FIRST_GATEWAY..);
        if gateways().count() < GATEWAYS_MAX {
            return;
        }
        let silent = gateways().min_by_key(|(_, seen)| seen.received).map(|(&source, _)| source);
        if let Some(silent) = silent {
            self.sources.remove(&silent);
        }
    }
}

impl Seen {
    #[inline]
    fn take(&mut self, number: u64) -> bool {
        if self.window.is_empty() {
            let new = self.highest.checked_add(1) == Some(number);
            self.highest += u64::from(new);
            return new;
        }
        if number == 0 || self.highest.saturating_sub(number) >= WINDOW {
            return false;
        }
        if number > self.highest {
            // The skipped numbers have not been applied; their bits still stand for numbers a window earlier. (Nothing
            // is added to the number: it may be the maximum.)
            let skipped = (number - self.highest).min(WINDOW);
            for missing in number - (skipped - 1)..=number {
                self.window[(missing % WINDOW / 64) as usize] &= !(1 << (missing % 64));
            }
            self.highest = number;
        }
        let word = &mut self.window[(number % WINDOW / 64) as usize];
        let new = *word & (1 << (number % 64)) == 0;
        *word |= 1 << (number % 64);
        new
    }
}

wire_struct! {
    Dedup { 0: sources }
    Seen { 0: highest, 1: received, 2: window }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const GATEWAY: SourceId = SourceId(1 << 20);

    #[test]
    fn a_partition_is_heard_strictly_in_order() {
        let mut sources = Dedup::default();
        let mut hear = |number| sources.is_new(SourceId(3), RequestNumber(number), Sequence(1));
        assert!(hear(1));
        assert!(!hear(1));
        assert!(!hear(3));
        assert!(hear(2));
        assert!(hear(3));
    }

    #[test]
    fn the_longest_silent_gateway_makes_room() {
        let mut sources = Dedup::default();
        let partition = SourceId(3);
        assert!(sources.is_new(partition, RequestNumber(1), Sequence(0)));
        for at in 1..=1 + GATEWAYS_MAX as u64 {
            assert!(sources.is_new(SourceId(GATEWAY.0 + at), RequestNumber(1), Sequence(at)));
        }
        assert_eq!(sources.sources.len(), GATEWAYS_MAX + 1);
        assert!(!sources.is_new(SourceId(GATEWAY.0 + 2), RequestNumber(1), Sequence(5_000)));
        assert!(sources.is_new(SourceId(GATEWAY.0 + 1), RequestNumber(1), Sequence(5_001)), "the first was forgotten");
        assert!(!sources.is_new(partition, RequestNumber(1), Sequence(5_002)), "a partition is not forgotten");
        assert!(sources.is_new(partition, RequestNumber(2), Sequence(5_003)));
    }

    #[test]
    fn the_last_number_there_is_has_a_window_as_any_other() {
        let mut sources = Dedup::default();
        let mut hear = |number| sources.is_new(GATEWAY, RequestNumber(number), Sequence(1));
        assert!(hear(1));
        assert!(hear(u64::MAX));
        assert!(!hear(u64::MAX));
        assert!(hear(u64::MAX - 5), "within the window, and not seen");
        assert!(!hear(u64::MAX - 5));
        assert!(hear(u64::MAX - (WINDOW - 1)));
        assert!(!hear(u64::MAX - WINDOW), "before the window");
        assert!(!hear(1));
        assert!(!hear(0));
    }

    #[test]
    fn a_partition_that_has_sent_the_last_number_is_heard_no_more() {
        let mut sources = Dedup::default();
        assert!(sources.is_new(SourceId(3), RequestNumber(1), Sequence(1)));
        if let Some(seen) = sources.sources.get_mut(&SourceId(3)) {
            seen.highest = u64::MAX;
        }
        assert!(!sources.is_new(SourceId(3), RequestNumber(0), Sequence(2)));
        assert!(!sources.is_new(SourceId(3), RequestNumber(u64::MAX), Sequence(2)));
    }

    proptest! {
        /// Numbers out of order, repeated, with gaps and leaps: each within the window is new exactly once.
        #[test]
        fn each_number_is_new_once(steps in prop::collection::vec((any::<bool>(), 0u64..300, 0u64..200_000), 1..300)) {
            let mut sources = Dedup::default();
            let mut naive = BTreeSet::new();
            let mut highest = 0u64;
            for (leap, near, far) in steps {
                let number = if leap { highest + far } else { (highest + 100).saturating_sub(near) };
                let new = number > 0 && number + WINDOW > highest && naive.insert(number);
                prop_assert_eq!(sources.is_new(GATEWAY, RequestNumber(number), Sequence(1)), new);
                highest = highest.max(number);
            }
        }
    }
}
