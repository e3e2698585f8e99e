//! The partition: a pure function from commands to events.
//!
//! [`Partition::apply`] is the whole exchange. It takes the next [`Command`] of the log and appends to [`Events`] what
//! has come of it. No clock, no I/O, no randomness, no floats, no threads: the same commands give the same events and
//! the same [`State`], bit for bit, on every machine. Everything that surrounds it, from the log to the web page,
//! exists to feed it or to repeat what it said.
//!
//! Inside, an order crosses a border even when both sides are here. The account's side ([`admission`], and the ledger)
//! checks and holds the funds; the market's side matches and says what is to be paid. Where they live in two partitions
//! they talk in [`peer`] messages; where both are here, what a message would ask is done at once. Neither knows the
//! difference.

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
mod depth;
pub mod import;
mod matching;
mod numbers;
mod outbox;
mod partition;
mod prefetch;
mod refusal;
pub mod registry;
pub mod sources;
mod state;
pub mod work;

pub use depth::BookDepth;
pub use partition::Partition;
pub use state::{Audit, Error, State, state_hash};
pub use work::Work;
