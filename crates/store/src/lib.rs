//! The venue's long memory: everything that ever happened, in SQL.
//!
//! The tables are a fold of the log, as the views are. They can be thrown away and made again, and they are never in
//! the way of trading: what is durable is read, folded into rows, and written in batches by a loop of its own, however
//! slow or absent the database is.
//!
//! ```text
//!   Source --events--> Projection --Batch--> Writer --one transaction--> SQLite or MySQL
//!                         ^ (views of its own)        position + rows          |
//!                         '---- Recorder: when, and what if it fails ----'     v
//!                                                              History <-- queries of the API
//! ```
//!
//! - [`Projection`](crossbook_projection::Projection) turns events into rows. Pure, and a crate of its own.
//! - [`Writer`] writes a batch and the position that it reaches in one transaction, so that dying at any point repeats
//!   nothing and loses nothing.
//! - [`Recorder`] is the loop around both.
//! - [`History`] answers queries, in the words of the views; [`watch`](watch()) tells it how far the tables are when
//!   another process writes them.
//! - [`measure`] tells what it is worth to write rows together.
//! - [`verify`] holds the tables against the engine's own state; [`contents`] says what is in them, to compare two
//!   histories.
//!
//! Where a venue has several partitions, each has a recorder of its own, and all write into one database: every row has
//! one partition that writes it, and every partition a position. Assets, markets and accounts are partition 0's.
//!
//! There is one schema in two dialects, see `migrations/`. Amounts are whole numbers of smallest units; nothing is
//! rounded, and nothing is ever a floating-point number.

mod clearing;
pub mod contents;
mod database;
mod file;
mod history;
pub mod measure;
mod options;
mod progress;
mod recorder;
mod rows;
pub mod verify;
mod watch;
mod writer;

pub use database::{Database, Error, SCHEMA_VERSION};
pub use file::Loss;
pub use history::{Counted, History, Holding};
pub use options::{Address, Dialect, Options};
pub use progress::{Activity, Progress, Status};
pub use recorder::{Contradiction, Live, Recorder, Refusal, Source, SourceError};
pub use watch::watch;
pub use writer::{Position, Standing, Writer, give_up, standing};
