//! Countdowns, or dead man's switches: when one passes that its client has not extended, the open orders that it covers
//! are cancelled. A countdown is state of the account's partition and is measured by the time of that partition's log,
//! so it outlives every gateway.

use crossbook_types::{AccountId, SymbolId, Timestamp};

/// What the client finds as the name of the cancel in orders that a countdown cancels.
pub const CANCEL_NAME: &str = "countdown";

/// Which of an account's open orders a countdown cancels, and its name: an account has at most one of each.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum CountdownScope {
    /// All, in all markets.
    Account,
    /// Those in this market.
    Symbol(SymbolId),
    /// All, in all markets, when the session of that number ends. Gateways number sessions.
    Session(u64),
}

/// See [`Body::SetCountdown`](crate::Body::SetCountdown).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SetCountdown {
    /// Whose orders it cancels.
    pub account: AccountId,
    /// Which of them.
    pub scope: CountdownScope,
    /// It passes so many milliseconds after this command, at once for 0; `None`: it is taken back.
    pub after_millis: Option<u32>,
}

/// A countdown that runs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Countdown {
    /// Whose orders it cancels.
    pub account: AccountId,
    /// Which of them.
    pub scope: CountdownScope,
    /// When it passes, by the time of the account's partition.
    pub until: Timestamp,
}
