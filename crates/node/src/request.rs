//! A request of a gateway to a partition, and what happens if it does not reach the log.

use crossbook_protocol::command::Body;
use crossbook_types::{RequestNumber, Timestamp};

/// A command that is yet to get its place in the log.
#[derive(Clone, Debug)]
pub struct Request {
    /// The gateway's own number for it, from 1, each used once.
    pub number: RequestNumber,
    /// The request.
    pub body: Body,
    /// When it is no longer wanted: at a later time it is dropped instead of logged.
    pub deadline: Option<Timestamp>,
}

/// Why a request was not taken. It has had no effect and will have none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotAccepted {
    /// The partition's queue is full.
    #[error("the venue is busy; try again shortly")]
    Busy,
    /// The venue is stopping.
    #[error("the venue is stopping; try again when it is back")]
    Stopping,
    /// Its deadline passed before it was processed.
    #[error("the request's deadline passed before it was processed")]
    Late,
    /// The venue moves, or has moved, elsewhere.
    #[error("the venue is closed, because it moves; ask its operator for the new address")]
    Closed,
    /// The partition does not answer.
    #[error("this part of the venue does not answer; try again shortly")]
    Silent,
}
