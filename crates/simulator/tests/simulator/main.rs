//! Simulated venues with fixed seeds, and logs that were recorded once.

#![allow(clippy::unwrap_used, reason = "a test may fail")]
#![cfg(not(crossbook_bugs))]

mod recorded;
mod replay;
mod seeds;
mod upgrade;
