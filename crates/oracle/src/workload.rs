//! The standard workload: deterministic streams of commands for one symbol, on which any two correct engines make the
//! same trades. Under price-time priority the result is unique, and [`GroundTruth`] holds it, so a benchmark that runs
//! these streams proves that the engine was correct while it was fast.
//!
//! There are two mixes. [`mix_a`] resembles a venue: half limit orders, almost as many cancels, a few takers, over a
//! deep book. [`mix_b`] is mostly moves of resting orders. A stream begins with a warm-up that fills the book and is
//! not counted.

mod checked;
mod flow;
mod mix_a;
mod mix_b;
mod random;

use crossbook_types::{OrderId, Price, Quantity, Side};
use serde::Serialize;

pub use self::checked::{Invalid, LIVE_MAX, PRICE_MAX, QUANTITY_MAX};
pub use self::mix_a::mix_a;
pub use self::mix_b::mix_b;
pub use self::random::SplitMix64;
use crate::naive;

/// The price of a buying [`Op::Ioc`], in ticks; above any price in a workload.
pub const IOC_BUY_PRICE: u32 = 262_143;
/// The price of a selling [`Op::Ioc`], in ticks; below any price in a workload.
pub const IOC_SELL_PRICE: u32 = 1;

/// Bytes that are not a workload.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Error {
    /// The first byte names no operation.
    #[error("a record starts with operation {0}; expected 0 to 3")]
    Op(u8),
    /// The second byte names no side.
    #[error("a record has side {0}; expected 0 (buy) or 1 (sell)")]
    Side(u8),
    /// The padding is not zero.
    #[error("a record's bytes 2 and 3 are {0:#06x}; expected zero")]
    Padding(u16),
    /// The bytes end within a record.
    #[error("{0} bytes are no whole number of {size}-byte records", size = Command::SIZE)]
    Length(usize),
}

/// What a command does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Op {
    /// Trade up to the price, rest the remainder.
    Limit = 0,
    /// Take a resting order out.
    Cancel = 1,
    /// Trade at any price, drop the remainder.
    Ioc = 2,
    /// Give a resting order a new price and the last place in the queue there.
    Move = 3,
}

/// One command of a workload.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Command {
    /// What to do.
    pub op: Op,
    /// The order's side.
    pub side: Side,
    /// The order. Limits and IOCs bring new ids, counted from 1; cancels and moves name an id of old.
    pub id: u32,
    /// The price in ticks. Of a move the new one, of a cancel the one at which the order rests.
    pub price: u32,
    /// The quantity in lots. Of a cancel or a move what is left of the order.
    pub qty: u32,
}

impl Command {
    /// The length of a record in bytes.
    pub const SIZE: usize = 16;

    /// The record: op u8, side u8 (0 buy, 1 sell), u16 zero, then id, price and quantity as u32, little endian.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::SIZE] {
        let mut record = [0; Self::SIZE];
        record[0] = self.op as u8;
        record[1] = match self.side {
            Side::Buy => 0,
            Side::Sell => 1,
        };
        record[4..8].copy_from_slice(&self.id.to_le_bytes());
        record[8..12].copy_from_slice(&self.price.to_le_bytes());
        record[12..16].copy_from_slice(&self.qty.to_le_bytes());
        record
    }

    /// The command of a record.
    ///
    /// # Errors
    /// When the operation, the side or the padding is not what [`encode`](Self::encode) writes.
    pub fn decode(record: &[u8; Self::SIZE]) -> Result<Self, Error> {
        let &[op, side, pad0, pad1, i0, i1, i2, i3, p0, p1, p2, p3, q0, q1, q2, q3] = record;
        let padding = u16::from_le_bytes([pad0, pad1]);
        if padding != 0 {
            return Err(Error::Padding(padding));
        }
        Ok(Self {
            op: match op {
                0 => Op::Limit,
                1 => Op::Cancel,
                2 => Op::Ioc,
                3 => Op::Move,
                other => return Err(Error::Op(other)),
            },
            side: match side {
                0 => Side::Buy,
                1 => Side::Sell,
                other => return Err(Error::Side(other)),
            },
            id: u32::from_le_bytes([i0, i1, i2, i3]),
            price: u32::from_le_bytes([p0, p1, p2, p3]),
            qty: u32::from_le_bytes([q0, q1, q2, q3]),
        })
    }
}

/// A stream of commands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Workload {
    /// All commands, those of the warm-up first.
    pub commands: Vec<Command>,
    /// How many of them fill the book and are neither timed nor tallied.
    pub warmup: usize,
}

impl Workload {
    /// The commands as a file: their records, one after the other, with no header.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.commands.iter().flat_map(Command::encode).collect()
    }

    /// The workload of a file, which does not tell the length of the warm-up.
    ///
    /// # Errors
    /// When the bytes are not whole, valid records.
    pub fn decode(file: &[u8], warmup: usize) -> Result<Self, Error> {
        let (records, rest) = file.as_chunks::<{ Command::SIZE }>();
        if !rest.is_empty() {
            return Err(Error::Length(file.len()));
        }
        Ok(Self { commands: records.iter().map(Command::decode).collect::<Result<_, _>>()?, warmup })
    }

    /// Runs the commands through the reference book and tallies the trades after the warm-up.
    ///
    /// # Panics
    /// When the commands are not such as a generator makes, for instance when an id is used twice.
    #[must_use]
    pub fn reference_tally(&self) -> Tally {
        let mut book = naive::Book::new();
        let mut tally = Tally::default();
        for (index, command) in self.commands.iter().enumerate() {
            let counted = index >= self.warmup;
            apply(&mut book, command, &mut |fill| {
                if counted {
                    tally.fill(&fill);
                }
            });
        }
        tally
    }
}

/// Applies a command to the reference book.
///
/// # Panics
/// When a new order has no quantity or an id that rests already.
pub fn apply(book: &mut naive::Book, command: &Command, on_fill: &mut impl FnMut(naive::Fill)) {
    let id = OrderId(command.id.into());
    let (price, quantity) = (Price(command.price.into()), Quantity(command.qty.into()));
    match command.op {
        Op::Limit => {
            book.limit(id, command.side, price, quantity, on_fill);
        }
        Op::Cancel => {
            book.cancel(id);
        }
        Op::Ioc => {
            book.ioc(id, command.side, quantity, on_fill);
        }
        Op::Move => {
            book.move_to(id, price, on_fill);
        }
    }
}

/// Sums over trades, and a hash over all of them in order. Two engines with equal tallies made the same trades.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Tally {
    /// How many trades there were.
    pub trades: u64,
    /// The sum of quantities, in lots.
    pub volume: u64,
    /// The sum of price times quantity, in ticks times lots.
    pub notional: u64,
    /// The hash over taker, maker, price and quantity of every trade.
    pub hash: u64,
}

impl Tally {
    /// Adds a trade.
    #[inline]
    pub fn trade(&mut self, taker_id: u32, maker_id: u32, price: u32, qty: u32) {
        let parties = u64::from(taker_id) << 32 | u64::from(maker_id);
        let terms = u64::from(price) << 32 | u64::from(qty);
        self.trades += 1;
        self.volume += u64::from(qty);
        self.notional += u64::from(price) * u64::from(qty);
        self.hash = (self.hash ^ parties).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29) ^ terms;
    }

    /// Adds a trade of the reference book.
    ///
    /// # Panics
    /// When a number does not fit in a record of the workload.
    pub fn fill(&mut self, fill: &naive::Fill) {
        let narrow = |number: u64| u32::try_from(number).expect("workload numbers have 32 bits");
        self.trade(narrow(fill.taker.0), narrow(fill.maker.0), narrow(fill.price.0), narrow(fill.quantity.0));
    }
}

/// A standard stream, and what every right engine makes of it.
#[derive(Clone, Copy, Debug)]
pub struct GroundTruth {
    /// A short name for reports.
    pub name: &'static str,
    /// Generates the stream.
    pub workload: fn() -> Workload,
    /// The trades after the warm-up. Independent engines agree on it.
    pub tally: Tally,
}

impl GroundTruth {
    /// The seed of mix A.
    pub const SEED_A: u64 = 20_261_122;
    /// The seed of mix B.
    pub const SEED_B: u64 = 20_261_123;
    /// The warm-up of mix A, in commands.
    pub const WARMUP_A: usize = 100_000;
    /// The commands after the warm-up.
    pub const COUNT: usize = 2_000_000;
    /// The SHA-256 of mix A's file.
    pub const MIX_A_SHA256: &'static str = "988ba582f3b423aa13550b8384cc2088254d2d3286b37fb0b3c3653167999340";

    /// Mix A.
    pub const MIX_A: Self = Self {
        name: "A (venue)",
        workload: || mix_a(Self::SEED_A, Self::WARMUP_A, Self::COUNT),
        tally: Tally { trades: 243_554, volume: 2_831_430, notional: 283_173_291_621, hash: 0xa19c_2051_e962_5b5e },
    };
    /// Mix B around 1,000 live orders.
    pub const MIX_B_1K: Self = Self {
        name: "B (move), 1,000 live",
        workload: || mix_b(Self::SEED_B, 1_000, Self::COUNT),
        tally: Tally { trades: 110_487, volume: 955_661, notional: 95_766_525_636, hash: 0xb367_a8d5_8dbe_dd04 },
    };
    /// Mix B around 100,000 live orders.
    pub const MIX_B_100K: Self = Self {
        name: "B (move), 100,000 live",
        workload: || mix_b(Self::SEED_B, 100_000, Self::COUNT),
        tally: Tally { trades: 111_107, volume: 962_261, notional: 96_226_280_952, hash: 0x64b5_042d_a9f8_5bfe },
    };
    /// All standard streams.
    pub const ALL: [Self; 3] = [Self::MIX_A, Self::MIX_B_1K, Self::MIX_B_100K];
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn a_record_is_sixteen_bytes_little_endian() {
        let command = Command { op: Op::Move, side: Side::Sell, id: 0x0102_0304, price: 0x1122, qty: 7 };
        let record = command.encode();
        assert_eq!(record, [3, 1, 0, 0, 4, 3, 2, 1, 0x22, 0x11, 0, 0, 7, 0, 0, 0]);
        assert_eq!(Command::decode(&record), Ok(command));
    }

    #[test]
    fn bytes_that_are_no_records_are_refused() {
        let record = Command { op: Op::Limit, side: Side::Buy, id: 1, price: 2, qty: 3 }.encode();
        let with = |at: usize, byte: u8| {
            let mut changed = record;
            changed[at] = byte;
            Command::decode(&changed)
        };
        assert_eq!(with(0, 4), Err(Error::Op(4)));
        assert_eq!(with(1, 2), Err(Error::Side(2)));
        assert_eq!(with(3, 1), Err(Error::Padding(0x100)));
        assert_eq!(Workload::decode(&record[..15], 0), Err(Error::Length(15)));
    }

    #[test]
    fn the_tally_depends_on_every_part_and_on_the_order_of_trades() {
        let tally = |trades: &[[u32; 4]]| {
            let mut tally = Tally::default();
            for &[taker, maker, price, qty] in trades {
                tally.trade(taker, maker, price, qty);
            }
            tally
        };
        let base = tally(&[[2, 1, 10, 5], [4, 3, 11, 6]]);
        assert_eq!((base.trades, base.volume, base.notional), (2, 11, 116));
        for other in [[[1, 2, 10, 5], [4, 3, 11, 6]], [[4, 3, 11, 6], [2, 1, 10, 5]], [[2, 1, 10, 6], [4, 3, 11, 5]]] {
            assert_ne!(tally(&other).hash, base.hash);
        }
    }

    #[test]
    fn mix_a_is_the_published_file_and_its_trades_are_the_ground_truth() {
        let workload = (GroundTruth::MIX_A.workload)();
        let file = workload.encode();
        assert_eq!(hex::encode(Sha256::digest(&file)), GroundTruth::MIX_A_SHA256);
        assert_eq!(Workload::decode(&file, workload.warmup).as_ref(), Ok(&workload));
        assert_eq!(workload.reference_tally(), GroundTruth::MIX_A.tally);
    }

    #[test]
    fn mix_b_with_a_shallow_book_makes_the_trades_of_the_ground_truth() {
        assert_eq!((GroundTruth::MIX_B_1K.workload)().reference_tally(), GroundTruth::MIX_B_1K.tally);
    }

    #[test]
    fn mix_b_with_a_deep_book_makes_the_trades_of_the_ground_truth() {
        assert_eq!((GroundTruth::MIX_B_100K.workload)().reference_tally(), GroundTruth::MIX_B_100K.tally);
    }

    #[test]
    fn generators_cope_with_an_empty_book() {
        for seed in 0..50 {
            assert_eq!(mix_a(seed, 0, 200).commands.len(), 200);
            assert_eq!(mix_b(seed, 1, 200).commands.len(), 201);
            assert_eq!(mix_b(seed, 0, 50).commands.len(), 50);
        }
    }
}
