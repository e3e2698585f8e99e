//! Snapshots and backups in an object store: S3 or what speaks its protocol, or a folder that several processes share.
//!
//! [`snapshots`] implements [`crossbook_node::snapshot::Snapshots`] for the partitions of a cluster; [`backup`] copies
//! the data folder of an embedded venue while it runs, and restores it. Both block, within the limits of [`Options`].

pub mod backup;
pub mod snapshots;

pub use snapshots::{Address, Objects, Options};
