//! How far the venue counts.
//!
//! Orders, trades and depth updates of a market, accounts, and messages between two partitions are numbered with 64
//! bits and never again from the beginning. Nothing new is made once half of a kind's numbers are used up, so that what
//! is there can still end: each open order can be cancelled, each message be answered. It is also as far as the tables
//! count, whose numbers are signed. At a million a second that takes 292,000 years.

/// From here on nothing new is made.
pub(crate) const NUMBERS_END: u64 = 1 << 63;
