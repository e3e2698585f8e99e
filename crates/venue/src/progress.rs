//! Progress of long operations, for whoever displays it.

use crossbook_node::recovery;

/// Receives how far a long operation is. Operations come one after another, each between [`begin`](Self::begin) and
/// [`end`](Self::end); one that fails has no end.
pub trait Progress {
    /// An operation begins; `what` describes it, for people.
    fn begin(&mut self, what: &'static str);

    /// It has reached a position.
    fn at(&mut self, progress: recovery::Progress);

    /// It is done.
    fn end(&mut self);
}

/// Shows nothing.
impl Progress for () {
    fn begin(&mut self, _: &'static str) {}

    fn at(&mut self, _: recovery::Progress) {}

    fn end(&mut self) {}
}
