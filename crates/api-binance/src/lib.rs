//! An API compatible with the Binance Spot API, over HTTP and WebSocket: its parameters, codes and texts, and what its
//! answers and streams look like. What it does is the [gateway](crossbook_gateway)'s.
//!
//! The operations ([`operations`]) do not depend on how a request travelled, so HTTP and WebSocket share them. Every
//! error's code and text stands in [`error`].

pub mod app;
mod assembly;
pub mod config;
pub mod error;
pub mod json;
pub mod openapi;
pub mod operations;
pub mod parameters;
pub mod render;
pub mod rest;
pub mod shutdown;
pub mod signature;
pub mod startup;
pub mod streams;
pub mod time_unit;
pub mod user_stream;
mod websocket;
pub mod ws_api;

pub use app::App;
pub use assembly::Assembly;
pub use config::Config;
pub use error::ApiError;
