//! The history in real databases: SQLite, and a MariaDB server of its own.
//!
//! One program, because each further one is linked against the whole database client again.

#![allow(clippy::unwrap_used, reason = "a test ends where something unexpected happens")]

mod books;
mod history_writer;
mod kit;
mod partitions;
mod tables;
#[path = "../../../views/tests/views/venue/mod.rs"]
#[allow(dead_code, reason = "shared with the tests of the views")]
mod venue;
