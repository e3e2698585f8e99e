//! The history of a venue as rows: which rows the events of a partition are. No database is in here; the store writes
//! the rows, and a simulated venue keeps them in memory.
//!
//! [`Projection`] follows events and gathers a [`Batch`] of rows, [`schema`] names the tables and their columns,
//! [`model`] is the tables in memory.

pub mod batch;
pub mod model;
mod projection;
pub mod schema;

pub use batch::Batch;
pub use projection::Projection;
