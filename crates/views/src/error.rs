//! Why a snapshot of the views cannot be restored.

/// A state that no sequence of events leads to; what is wrong with it. Drop the snapshot and fold the events again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the views' snapshot is inconsistent ({0}); delete it, and the views are folded again from the log")]
pub struct Error(pub(crate) &'static str);
