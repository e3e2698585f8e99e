//! Moving house: a venue goes on in another place, cut into other partitions, with everything that it is.
//!
//! What a venue is, apart from where it runs, is an [`Inventory`]: assets, markets, accounts, keys, transfers, what
//! everybody has, and every open order with its place in the queue. It is [gathered](gather) from the
//! partitions of a venue, and [cut](pieces) into [`Piece`]s for the partitions of another. A piece is a
//! command like any other, so what moved in stands in the logs, survives what they survive, and is told in events that
//! views and tables fold like all others.
//!
//! # In order, each once
//! Pieces come from a source of their own, [`MOVING`], numbered like the messages of a partition, so a piece
//! that is sent again has no effect. The first ([`Piece::Begin`]) is taken only by a partition that has nothing. From
//! then on the partition does nothing else, until it is told from [`MOVED`] that all pieces are everywhere
//! ([`Piece::Open`]). Whoever moves a venue sends that to nobody before every partition has all of its pieces; so no
//! partition ever hears from another that knows more than it.
//!
//! # Money
//! A transfer belongs to its account, so it goes to the account's partition, against the outside world there:
//! [`Piece::Transfers`] brings what came in to that partition's clearing account, and [`Piece::Money`] hands out of it
//! what everybody has. Since then the accounts have traded with each other, so of one partition something is left
//! there, as it is when they trade across partitions; over all of them it adds up to zero. What the venue earned in
//! fees goes to partition 0. Funds of open orders are held ([`Piece::Holds`]) before their orders ([`Piece::Orders`]),
//! which may be another partition's, rely on them.

//!
//! [`MOVING`]: crossbook_types::SourceId::IMPORT
//! [`MOVED`]: crossbook_types::SourceId::IMPORT_END

mod gather;
mod pieces;
mod take;

pub use gather::{Error, MarketPast, Past, gather};
pub use pieces::pieces;
