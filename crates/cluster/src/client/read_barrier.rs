//! The read-your-writes barrier: when a query about an account may be answered, namely once everything is folded here
//! that anybody had read before the query arrived. No I/O, no threads.
//!
//! There are two steps, because an account's money follows what happens in its markets. First, everything must be
//! folded that any log contained when the query arrived. Then the account's partition must have received what the
//! others had sent to it by that time.

use std::collections::BTreeMap;

use crossbook_types::{PartitionId, RequestNumber, Sequence};

/// What a question waits for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReadBarrier {
    /// Where the logs ended after the question was asked. Partitions that do not answer are not among them.
    ends: BTreeMap<PartitionId, Sequence>,
    /// By partition, what it had sent to the account's by the time all that was folded.
    sent: Option<Vec<RequestNumber>>,
}

/// What is folded here, as seen from the partition of an account.
pub trait Folded {
    /// The last command of a partition whose events are folded here.
    fn position(&self, partition: PartitionId) -> Sequence;
    /// By partition, the last message that it is known to have sent to the account's.
    fn sent(&self) -> Vec<RequestNumber>;
    /// By partition, the last of its messages that the account's partition is known to have received.
    fn received(&self) -> Vec<RequestNumber>;
}

impl ReadBarrier {
    /// A barrier at these ends.
    #[must_use]
    pub fn at(ends: BTreeMap<PartitionId, Sequence>) -> Self {
        Self { ends, sent: None }
    }

    /// Whether everything up to it has been folded. Once true, it stays true.
    pub fn is_passed(&mut self, folded: &impl Folded) -> bool {
        if self.ends.iter().any(|(&partition, &end)| folded.position(partition) < end) {
            return false;
        }
        // What the others have sent by now includes everything that they had sent then.
        let sent = self.sent.get_or_insert_with(|| folded.sent());
        sent.iter().zip(folded.received()).all(|(&sent, received)| received >= sent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Here {
        folded: [u64; 2],
        sent: u64,
        received: u64,
    }

    impl Folded for Here {
        fn position(&self, partition: PartitionId) -> Sequence {
            Sequence(self.folded[usize::from(partition.0)])
        }

        fn sent(&self) -> Vec<RequestNumber> {
            vec![RequestNumber(0), RequestNumber(self.sent)]
        }

        fn received(&self) -> Vec<RequestNumber> {
            vec![RequestNumber(0), RequestNumber(self.received)]
        }
    }

    #[test]
    fn first_what_was_logged_then_what_was_sent_by_then() {
        let ends = [(PartitionId(0), Sequence(5)), (PartitionId(1), Sequence(7))];
        let mut barrier = ReadBarrier::at(BTreeMap::from(ends));
        assert!(!barrier.is_passed(&Here { folded: [5, 6], sent: 3, received: 9 }));
        assert!(!barrier.is_passed(&Here { folded: [5, 7], sent: 4, received: 3 }));
        assert!(!barrier.is_passed(&Here { folded: [6, 9], sent: 8, received: 3 }));
        assert!(
            barrier.is_passed(&Here { folded: [6, 9], sent: 8, received: 4 }),
            "what was sent later need not be heard"
        );
        let mut barrier = ReadBarrier::at(BTreeMap::from([(PartitionId(0), Sequence(5))]));
        assert!(barrier.is_passed(&Here { folded: [5, 0], sent: 0, received: 0 }), "a silent partition is left out");
    }
}
