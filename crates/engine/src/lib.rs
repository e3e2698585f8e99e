//! The partition: a pure function from commands to events.

pub mod command;
pub mod event;
pub mod peer;
pub mod refusal;
pub mod registry;

pub use crossbook_ledger as ledger;

pub use command::{Body, Command};
pub use event::{Answer, Cause, Event, Events};
pub use refusal::Refusal;
