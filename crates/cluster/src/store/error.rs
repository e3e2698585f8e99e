//! The errors of a store, as far as its callers must distinguish them.

use std::fmt;

use crossbook_types::Sequence;

/// What a failure is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ErrorKind {
    /// Nobody answers for the shard now, or the answer was lost. What was asked may have been done or not.
    Unavailable,
    /// Too few replicas have what was written. Nothing of it may be acted upon.
    NotConfirmed,
    /// A command or a batch is larger than the store takes. Nothing was appended.
    TooLarge,
    /// What was to be read is trimmed.
    Trimmed {
        /// The requested value.
        asked: Sequence,
        /// The first place that is still there.
        first: Sequence,
    },
    /// Commands were marked as skipped since the conversation began.
    Marked,
    /// The partition is closed to what was to be appended. Nothing of it was.
    Closed,
    /// The partition is moving to another shard, or has moved. What was asked of it may have been done or not. The
    /// conversation goes on with the others.
    Elsewhere,
    /// There is no such command.
    Missing,
    /// Any other error. Its message states what the operator should do.
    Other,
}

/// A failure of a store.
pub trait StoreError: std::error::Error + Send + Sync + 'static {
    /// What the failure is about.
    fn kind(&self) -> ErrorKind;

    /// Whether opening another conversation, and trying again, may help.
    fn is_transient(&self) -> bool;
}

/// A failure of any store, for the errors of those who do not care which store it is.
pub struct Failure {
    source: Box<dyn std::error::Error + Send + Sync>,
    kind: ErrorKind,
    is_transient: bool,
}

impl Failure {
    /// What the failure is about.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether opening another conversation, and trying again, may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.is_transient
    }
}

impl<E: StoreError> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { kind: error.kind(), is_transient: error.is_transient(), source: Box::new(error) }
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.source()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}
