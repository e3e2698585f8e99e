//! Serving HTTP: listeners with TLS and their bounds, for whatever [`Service`] answers behind them.

mod config;
mod date;
mod pace;
mod response_budget;
pub mod server;
pub mod tls;

pub use config::ServerConfig;
pub use pace::{Pace, Standing};
pub use server::{Listener, RequestError, Service};
pub use tls::{Handshakes, TlsConfig};
