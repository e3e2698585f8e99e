//! The messages between the parts of a venue, and their binary form.
//!
//! A [`Command`] is a request to a partition, an [`Event`] one of its effects, a [`peer::PeerMessage`] a request of one
//! partition to another, a [`Refusal`] the reason why nothing was done. [`Routing`] decides which partition owns what,
//! [`Rules`] under which rules a command is applied. [`wire`] encodes each of them in bytes that stay readable.
//!
//! This crate contains values only. The engine applies them.

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
pub mod countdown;
pub mod counted;
pub mod event;
pub mod import;
pub mod operator;
pub mod order;
pub mod order_list;
pub mod peer;
pub mod refusal;
pub mod registry;
pub mod routing;
pub mod rules;
pub mod session;
pub mod transfer;
pub mod volume;
pub mod wire;

pub use command::{Body, Command, Deadline};
pub use event::{Answer, Cause, Event, Events};
pub use refusal::Refusal;
pub use routing::Routing;
pub use rules::Rules;
pub use transfer::Transfer;
