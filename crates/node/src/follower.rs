//! What follows the events of a partition beside its state, and is saved in its snapshots.

use crossbook_protocol::peer::Outgoing;
use crossbook_protocol::wire::codec::Wire;
use crossbook_protocol::{Cause, Event};

/// State that is folded from a partition's events and stored in its snapshots.
pub trait Follower: Send {
    /// How it is written down.
    type Saved: Wire;

    /// Takes a message that the next command has for another partition; called before [`Follower::follow`] for that
    /// command, in order.
    fn sent(&mut self, cause: Cause, message: Outgoing) {
        // Whoever does not deliver messages has no use for them.
        let _ = (cause, message);
    }

    /// Receives events that it will fold next, those of several commands, if it benefits from knowing them together.
    /// May be empty.
    fn ahead(&mut self, events: &[Event]) {
        let _ = events;
    }

    /// Takes the events of the next command.
    fn follow(&mut self, cause: Cause, events: &[Event]);

    /// Itself, to be written down.
    fn save(&self) -> Self::Saved;

    /// Becomes what was written down.
    ///
    /// # Errors
    /// When that contradicts itself.
    fn load(&mut self, saved: Self::Saved) -> Result<(), String>;
}

/// A follower that ignores all events.
impl Follower for () {
    type Saved = ();

    fn follow(&mut self, _: Cause, _: &[Event]) {}

    fn save(&self) -> Self::Saved {}

    fn load(&mut self, (): ()) -> Result<(), String> {
        Ok(())
    }
}
