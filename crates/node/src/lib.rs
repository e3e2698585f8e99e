//! Runs partitions on logs.

pub mod outlet;
pub mod request;

pub use outlet::Outlet;
pub use request::{NotTaken, Request};
