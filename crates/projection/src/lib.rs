//! The history of a venue as rows: turns the events of a partition into rows. It knows no database; the store writes
//! the rows, and a simulated venue holds them in memory.
//!
//! [`Projection`] follows events and gathers a [`Batch`] of rows, [`schema`] describes the tables and their columns,
//! [`model`] holds tables in memory.

pub mod batch;
pub mod model;
mod projection;
pub mod schema;

pub use batch::Batch;
pub use projection::Projection;
