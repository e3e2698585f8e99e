//! Why the orders of a market cannot be restored.

/// Why a state is not one of a market.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the market's orders contradict each other")]
pub struct Inconsistent;
