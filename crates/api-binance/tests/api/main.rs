//! The client API and the operator's, over real sockets against whole venues in this process.
//!
//! One program, because each further one is linked against the whole gateway again.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod account_rules;
mod admin;
mod amend;
mod answers;
mod bursts;
mod conformance;
mod countdowns;
mod discount;
mod draining;
mod errors;
mod frozen;
mod goodbyes;
mod hostile;
mod http;
mod instructions;
mod listen_keys;
mod literals;
mod names;
mod operator_log;
mod order_lists;
mod partitions;
mod past_venue;
mod periods;
mod prevention;
mod rates;
mod recall;
mod reference;
mod replace;
mod rest;
mod rest_venue;
mod roles;
mod security;
mod sessions;
mod startup;
mod streams;
mod time_units;
#[path = "../../../views/tests/views/venue/mod.rs"]
#[allow(dead_code, reason = "the venue is shared with the tests of the views")]
mod venue;
mod ws_venue;

/// Of how many partitions a venue is where nothing else is said.
const PARTITIONS: u16 = 1;
