//! Load generators for the client API of a venue, over HTTP ([`http`]) and over WebSocket ([`websocket`]). They cost
//! little, because they often share a machine with the venue that they measure.
//!
//! [`operator`] prepares a venue for a load: markets, funded accounts, API keys. [`latency`] records latencies without
//! coordinated omission.

pub mod http;
pub mod latency;
pub mod operator;
pub mod websocket;
