//! What one turn may carry, over all its partitions.

use crate::store::Bounds;

/// What the turn that is being planned may still carry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Budget {
    /// Commands that it appends or delivers.
    records: usize,
    /// Bytes of these.
    bytes: usize,
    /// Commands that it reads.
    reads: usize,
}

impl Budget {
    /// That of a whole turn.
    pub(super) fn of(bounds: Bounds) -> Self {
        let Bounds { turn_records_max: records, turn_bytes_max: bytes, .. } = bounds;
        Self { records, bytes, reads: records }
    }

    /// Half of what is appended and delivered.
    pub(super) fn half(self) -> Self {
        Self { records: self.records.div_ceil(2), bytes: self.bytes.div_ceil(2), ..self }
    }

    /// What one append or delivery may have, which by itself may have no more than these bounds.
    pub(super) fn share(self, bounds: Bounds) -> Bounds {
        let (records_max, bytes_max) = (bounds.records_max.min(self.records), bounds.bytes_max.min(self.bytes));
        Bounds { records_max, bytes_max, ..bounds }
    }

    /// An append or a delivery has so much.
    pub(super) fn spend(&mut self, records: usize, bytes: usize) {
        self.records = self.records.saturating_sub(records);
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// Whether one more could not have as much as these bounds let it.
    pub(super) fn is_short(self, bounds: Bounds) -> bool {
        self.records < bounds.records_max || self.bytes < bounds.bytes_max || self.reads == 0
    }

    /// How many commands may be read of those that are wanted.
    pub(super) fn read(&mut self, wanted: usize) -> usize {
        let granted = wanted.min(self.reads);
        self.reads -= granted;
        granted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { records_max: 6, bytes_max: 60, turn_records_max: 10, turn_bytes_max: 100 };

    #[test]
    fn what_one_has_taken_is_not_there_for_the_next() {
        let mut budget = Budget::of(BOUNDS);
        let share = |budget: Budget| {
            let Bounds { records_max, bytes_max, .. } = budget.share(BOUNDS);
            (records_max, bytes_max)
        };
        assert_eq!((share(budget), share(budget.half())), ((6, 60), (5, 50)));
        budget.spend(5, 60);
        assert_eq!((share(budget), share(budget.half())), ((5, 40), (3, 20)));
        assert!(budget.is_short(BOUNDS) && !Budget::of(BOUNDS).is_short(BOUNDS));
        budget.spend(5, 41);
        assert_eq!((share(budget), share(budget.half())), ((0, 0), (0, 0)));
        assert_eq!((budget.read(7), budget.read(7), budget.read(7)), (7, 3, 0));
    }
}
