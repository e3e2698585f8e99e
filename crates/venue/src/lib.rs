//! A venue, put together: what runs in one process ([`venue`], [`serve`]) and in many ([`cluster`]), with all that
//! belongs to running one: configuration, secrets, the data folder, snapshots, the history in SQL, metrics; and what an
//! operator does with it: audit, backup, export and import, the verification of the history.
//!
//! It shows nothing and ends no process but where a part must not go on ([`process::fatal`]): functions return values
//! and errors, and long ones tell a [`progress::Progress`] how far they are.

pub mod access;
pub mod audit;
pub mod backup;
pub mod checking;
pub mod clock;
pub mod cluster;
pub mod config;
pub mod data_folder;
pub mod evidence;
pub mod export;
pub mod history;
pub mod logging;
pub mod memory;
pub mod metrics;
pub mod outcome;
pub mod pages;
pub mod priority;
pub mod process;
pub mod progress;
pub mod secrets;
pub mod serve;
pub mod skip;
pub mod snapshots;
pub mod store;
pub mod tally;
mod variables;
pub mod venue;
pub mod verification;

/// As in the program: the tests of [`memory`] look at what it does with this allocator.
#[cfg(test)]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
