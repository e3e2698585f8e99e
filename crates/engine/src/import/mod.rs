//! Import: moves a venue to other partitions, with its whole state.
//!
//! An [`Inventory`] is the state of a venue without its place: assets, markets, accounts, keys, transfers, balances,
//! and every open order with its queue position. It is [gathered](gather) from the partitions of one venue, and
//! [split](pieces) into [`Piece`]s for the partitions of another. A piece is a command like any other: it is in the
//! log, and its events are folded by views and tables like all others.
//!
//! # Order and deduplication
//! Pieces have a source of their own, [`MOVING`], and are numbered like the messages of a partition, so a repeated
//! piece has no effect. Only an empty partition accepts the first one ([`Piece::BeginUnder`]). From then on it refuses
//! all other commands, until it receives [`Piece::Open`] from the source [`MOVED`]. The importer sends that only when
//! every partition has all of its pieces, so no partition receives a message that refers to state that it does not have
//! yet.
//!
//! # Money
//! A transfer belongs to its account, so it goes to the account's partition, against the external account there:
//! [`Piece::Transfers`] posts the transfers to that partition's clearing account, and [`Piece::Money`] pays the
//! balances out of it. The accounts have traded with each other since, so the clearing account of one partition keeps a
//! remainder, as it does when they trade across partitions; over all partitions the sum is zero. The fees that the
//! venue earned go to partition 0. [`Piece::Holds`] holds the funds of open orders before [`Piece::Orders`] brings the
//! orders, which may be in another partition.
//!
//! [`MOVING`]: crossbook_types::SourceId::IMPORT
//! [`MOVED`]: crossbook_types::SourceId::IMPORT_END

//!
//! [`MOVING`]: crossbook_types::SourceId::IMPORT
//! [`MOVED`]: crossbook_types::SourceId::IMPORT_END

mod gather;
mod pieces;
mod take;

pub use gather::{Error, MarketPast, Past, gather};
pub use pieces::pieces;
