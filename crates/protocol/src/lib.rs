//! What the parts of a venue say to each other, and how it is written as bytes.
//!
//! A [`Command`] is what a partition is asked to do, an [`Event`] what came of it, a [`peer::PeerMessage`] what one
//! partition asks of another, a [`Refusal`] why nothing was done. [`Routing`] says which partition owns what, [`Rules`]
//! under which rules a command is applied. [`wire`] gives each of them a form in bytes that stays readable.
//!
//! Here are values only. What they do to a venue is the engine's.

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

pub mod command;
pub mod event;
pub mod import;
pub mod order;
pub mod peer;
pub mod refusal;
pub mod registry;
pub mod routing;
pub mod rules;
pub mod transfer;
pub mod wire;

pub use command::{Body, Command};
pub use event::{Answer, Cause, Event, Events};
pub use refusal::Refusal;
pub use routing::Routing;
pub use rules::Rules;
pub use transfer::Transfer;
