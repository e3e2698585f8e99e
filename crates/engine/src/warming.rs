//! Memory is far away, and a busy partition knows what it will need next.
//!
//! A cancel touches an order that may have rested for hours: its entry in the index, its place in the book, its
//! neighbours, its hold. Each is a cache miss that waits for the one before. Over a batch of commands these chains are
//! independent, so [`Partition::warm`] walks them side by side, one step for all, and the processor overlaps the
//! misses. Then the commands find everything in the cache. It only reads: what is found is used for nothing else, and
//! may be stale by the time its command is applied.

use crossbook_protocol::command::{Body, Command};
use std::hint::black_box;

use crossbook_types::HoldId;

use crate::matching::open::Handle;
use crate::partition::Partition;

/// Commands looked ahead at a time: what they touch stays in the nearest caches.
const AHEAD: usize = 64;

/// Scratch of [`Partition::warm`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Warming {
    found: Vec<(usize, Handle)>,
    holds: Vec<HoldId>,
}

impl Partition {
    /// Applies commands as [`Partition::apply`] does, one after the other, but looks ahead for what they will touch.
    ///
    /// # Panics
    /// As [`Partition::apply`].
    pub fn apply_all(&mut self, commands: &[Command], events: &mut crossbook_protocol::Events) {
        for batch in commands.chunks(AHEAD) {
            if batch.len() > 1 {
                self.warm(batch);
            }
            for command in batch {
                self.apply(command, events);
            }
        }
    }

    /// Has what the cancels among `commands` will touch brought near.
    fn warm(&mut self, commands: &[Command]) {
        let mut warming = std::mem::take(&mut self.warming);
        for command in commands {
            if let Body::Cancel(cancel) = &command.body
                && let Some(Some(matcher)) = self.matchers.get(cancel.symbol.0 as usize)
                && let Some(handle) = matcher.open().guess(cancel.account, cancel.target)
            {
                warming.found.push((cancel.symbol.0 as usize, handle));
            }
        }
        let mut neighbours = 0u64;
        for &(symbol, handle) in &warming.found {
            let Some(Some(matcher)) = self.matchers.get(symbol) else { continue };
            let (hold, beside) = matcher.open().surroundings(handle);
            warming.holds.push(hold);
            for handle in beside.into_iter().flatten() {
                neighbours ^= matcher.open().id_at(handle).0;
            }
        }
        black_box(neighbours);
        for (&(symbol, handle), &hold) in warming.found.iter().zip(&warming.holds) {
            let Some(Some(matcher)) = self.matchers.get(symbol) else { continue };
            // Its name goes as it is, but the place where it stands is the next order's.
            black_box((matcher.open().named(handle), self.ledger.held_under(hold)));
        }
        warming.found.clear();
        warming.holds.clear();
        self.warming = warming;
    }
}
