//! Exports traces of orders to an OpenTelemetry collector, over OTLP/HTTP.
//!
//! The gateway measures the orders that an [`Exporter`] chooses ([`crossbook_gateway::traces`]), and hands over what it
//! has when they are answered. That goes into a bounded queue, which a task empties in batches: [`spans`] makes spans
//! of it, in the messages of OpenTelemetry's own crate. A collector that is slow or not there costs traces, which are
//! counted, and nothing else.

mod exporter;
mod ids;
mod options;
pub mod spans;

pub use exporter::{Error, Exporter};
pub use options::Options;
pub use spans::Origin;
