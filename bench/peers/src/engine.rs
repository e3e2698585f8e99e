//! What everything that is measured has in common.

use crossbook_oracle::workload::{Command, Tally};

/// An order book, or more than one, that can be given the commands of mix A.
///
/// What an adapter does besides calling the book is part of the time: it is little, and each does the same, adding
/// every trade to the tally as soon as the book tells of it.
pub trait Engine {
    /// How many commands are taken at a time.
    const BATCH: usize = usize::MAX;

    /// Makes what stands for these commands. Not timed.
    fn prepare(&mut self, _batch: &[Command]) {}

    /// Applies one command, the one at that place of the last batch.
    fn apply(&mut self, at: usize, command: &Command, tally: &mut Tally);

    /// Applies all commands of the last batch.
    fn apply_all(&mut self, batch: &[Command], tally: &mut Tally) {
        for (at, command) in batch.iter().enumerate() {
            self.apply(at, command, tally);
        }
    }

    /// Reads the trades of the batch, where the book tells of them afterwards. Not timed.
    fn finish(&mut self, _tally: &mut Tally) {}
}
