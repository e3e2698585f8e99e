//! The limits of what the venue counts.
//!
//! Orders, trades and depth updates of a market, accounts, and messages between two partitions are numbered with 64
//! bits, and never again from the beginning. Nothing new is created once half of the numbers of a kind are used up, so
//! that everything that exists can still end: each open order can be cancelled, each message answered. It is also the
//! limit of the tables, whose numbers are signed. At a million per second that takes 292,000 years.

/// From here on nothing new is made.
pub(crate) const NUMBERS_END: u64 = 1 << 63;
