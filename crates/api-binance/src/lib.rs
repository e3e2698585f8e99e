//! The edge of the venue: an API compatible with the Binance Spot API over HTTP and WebSocket, and the operator's admin
//! API.
//!
//! A request is read, its sender authenticated, its limits counted and its parameters checked here; whatever is wrong
//! with it is answered here, and only a well-formed command reaches the node. Queries are answered from the views of
//! all partitions ([`Board`]), and from the history where they end. The operations themselves ([`operations`]) know
//! nothing of how a request travelled, so HTTP and WebSocket share them.

pub mod app;
pub mod auth;
pub mod board;
pub mod config;
pub mod entrance;
pub mod error;
pub mod limits;
pub mod openapi;
pub mod opening;
pub mod operations;
pub mod parameters;
pub mod publisher;
pub mod render;
pub mod rest;
pub mod secret;
pub mod server;
pub mod shutdown;
pub mod streams;
pub mod time_unit;
pub mod tls;
pub mod user_stream;
pub mod ws_api;

pub use app::{App, Pending, Reply};
pub use board::Board;
pub use config::Config;
pub use entrance::{Entrance, Subject};
pub use error::ApiError;
