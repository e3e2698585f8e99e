//! The history of a venue in SQL.
//!
//! The tables derive from the log, as the views do. They can be deleted and rebuilt, and they never delay trading: a
//! separate loop reads durable events, turns them into rows, and writes them in batches, however slow or absent the
//! database is.
//!
//! ```text
//!   Source --events--> Projection --Batch--> Writer --one transaction--> SQLite or MySQL
//!                         ^ (views of its own)        position + rows          |
//!                         '---- HistoryWriter: when, and retries after failures ----' v
//!                                                              History <-- queries of the API
//! ```
//!
//! - [`Projection`](crossbook_projection::Projection) turns events into rows. It is pure, and a crate of its own.
//! - [`Writer`] writes a batch and the position that it reaches in one transaction, so that a crash at any point
//!   repeats and loses nothing.
//! - [`HistoryWriter`] is the loop around both.
//! - [`History`] answers queries, with the types of the views; [`watch`](watch()) reports its position if another
//!   process writes it.
//! - [`measure`] measures the gain of writing rows in batches.
//! - [`verify`] compares the tables with the engine's state; [`digests`] computes digests, to compare two histories.
//!
//! With several partitions, each has a history writer, and all write into one database: every row belongs to one
//! partition, and every partition has a position. Assets, markets and accounts belong to partition 0.
//!
//! There is one schema in two dialects, see `migrations/`. Amounts are whole numbers of smallest units; nothing is
//! rounded or a floating-point number.

mod database;
mod delete;
pub mod digests;
mod file;
mod history;
mod history_writer;
pub mod measure;
mod options;
mod progress;
mod progress_poller;
mod rows;
mod statement;
pub mod verify;
mod writer;

pub use database::{Database, Error, SCHEMA_VERSION};
pub use file::Loss;
pub use history::{Counted, History, Holding};
pub use history_writer::{Contradiction, HistoryWriter, Live, Refusal, Source, SourceError};
pub use options::{Address, Dialect, Options};
pub use progress::{Activity, Progress, Status};
pub use progress_poller::watch;
pub use writer::{Position, Standing, Writer, give_up, standing};
