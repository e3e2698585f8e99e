//! The core of the gateway: orders in, queries, facts out. Codecs such as the APIs over HTTP and WebSocket stand on it;
//! it knows no JSON, no HTTP, and no error codes.
//!
//! - [`Gateway`] ties it together: commands are sent to the [`CommandPort`] and waited for in [`Pending`].
//! - [`orders`] checks and places orders, [`queries`] answers from the [`ReadModel`], and from the history ([`past`])
//!   where memory ends.
//! - [`publisher`] folds a partition's events into the read model and publishes [`facts`].
//! - [`traces`] has what is measured of the orders that are traced.
//! - [`auth`] authenticates senders, [`limits`] counts what they use.

pub mod account_events;
pub mod assembly;
pub mod auth;
pub mod book_snapshots;
pub mod clock;
pub mod command_port;
pub mod config;
mod countdowns;
mod discounts;
pub mod error;
pub mod facts;
pub mod gateway;
pub mod key_uses;
pub mod limits;
pub mod order_lists;
pub mod orders;
pub mod past;
pub mod pending;
pub mod publisher;
pub mod queries;
pub mod read_model;
pub mod secret;
mod sessions;
pub mod subscription_filter;
pub mod traces;

pub use assembly::Assembly;
pub use command_port::{CommandPort, Subject};
pub use config::Config;
pub use discounts::DiscountOf;
pub use error::Error;
pub use gateway::Gateway;
pub use limits::Limits;
pub use past::History;
pub use pending::{Pending, Reply};
pub use read_model::ReadModel;
pub use traces::Traces;
