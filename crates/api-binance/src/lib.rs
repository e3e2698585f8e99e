//! An API compatible with the Binance Spot API, over HTTP and WebSocket: its parameters, codes, texts, answers and
//! streams. The [gateway](crossbook_gateway) does the work.
//!
//! The operations ([`operations`]) do not depend on the transport of a request, so HTTP and WebSocket share them.
//! [`error`] defines the code and text of every error.

pub mod app;
mod assembly;
pub mod config;
pub mod error;
pub mod json;
pub mod openapi;
pub mod operations;
pub mod parameters;
pub mod render;
pub mod rendered_markets;
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
