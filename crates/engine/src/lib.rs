//! The partition: a pure function from commands to events.
//!
//! [`Partition::apply`] is the whole exchange. It takes the next [`Command`] of the log and appends its effects to
//! [`Events`]. No clock, no I/O, no randomness, no floats, no threads: the same commands give the same events and the
//! same [`State`], bit for bit, on every machine. Everything around it, from the log to the web page, exists to feed it
//! or to publish its events.
//!
//! An order has two sides, even when both are in this partition. The account's side ([`admission`], and the ledger)
//! checks and holds the funds; the market's side matches and states what is to be paid. In two partitions they exchange
//! [`peer`] messages; in one, the request of a message is carried out at once. Neither side knows the difference.

// Pure: see the rules in ARCHITECTURE.md, and what is meant by them in clippy.toml.
#![cfg_attr(
    not(test),
    deny(
        clippy::disallowed_macros,
        clippy::disallowed_methods,
        clippy::disallowed_types,
        clippy::float_arithmetic,
        clippy::iter_over_hash_type
    )
)]

pub mod admission;
pub mod dedup;
mod depth;
pub mod import;
mod limits;
pub mod list_admission;
mod matching;
mod outbox;
mod partition;
mod prefetch;
mod refusal;
pub mod registry;
mod state;
pub mod work_budget;

pub use depth::BookDepth;
pub use partition::Partition;
pub use partition::countdown::COUNTDOWNS_PER_ACCOUNT;
pub use state::{Audit, Error, State, state_hash};
pub use work_budget::WorkBudget;
