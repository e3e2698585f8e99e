//! Order books from crates.io, each used as its documents say, with room made beforehand where that can be, in a way
//! that tells every trade.

mod lobster;
mod matchcore;
mod orderbook_rs;
mod rust_ob;
mod rust_order_book;

pub use self::lobster::Lobster;
pub use self::matchcore::Matchcore;
pub use self::orderbook_rs::OrderbookRs;
pub use self::rust_ob::RustOb;
pub use self::rust_order_book::RustOrderBook;
