//! A venue, composed of its parts: in one process ([`embedded`], [`serve`]) and in several ([`cluster`]), with
//! configuration, secrets, data folder, snapshots, history in SQL and metrics; and the operator's commands: audit,
//! backup, export and import, verification of the history.
//!
//! It prints nothing, and ends the process only when a part must not continue ([`process::fatal`]): functions return
//! values and errors, and long ones report to a [`progress::Progress`].

pub mod active_accounts;
pub mod audit;
pub mod backup;
pub mod clock;
pub mod cluster;
pub mod config;
pub mod console_page;
pub mod data_folder;
pub mod durability_check;
pub mod embedded;
pub mod expected_history;
pub mod export;
pub mod history;
pub mod import;
pub mod key_uses;
pub mod listen;
pub mod log_verification;
pub mod logging;
pub mod memory;
pub mod metrics;
pub mod outcome;
pub mod priority;
pub mod process;
pub mod progress;
pub mod publish_counters;
pub mod restore;
pub mod secrets;
pub mod serve;
pub mod skip;
pub mod snapshots;
pub mod store;
mod variables;
pub mod verdict;
pub mod web_page;

/// As in the program: the tests of [`memory`] look at what it does with this allocator.
#[cfg(test)]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
