//! The engine from outside: commands in, events and states out.
//!
//! One program, because each further one is linked again. Only `allocation` is separate, because it counts the
//! allocations of its whole process.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod amend;
mod auctions;
mod counting;
mod delisting;
mod filters;
mod icebergs;
mod kit;
mod lists;
mod money;
mod operators;
mod oracle;
mod orders;
mod pegs;
mod prevention;
mod reference;
mod replace;
mod rules;
mod sessions;
mod trade_groups;
mod trailing;
mod workload;
