//! Identifiers and positions. Each is a type of its own, so that an order id cannot be passed as a trade id, nor a log
//! position as a request number.

use std::num::{NonZeroU32, NonZeroU64};

use serde::{Deserialize, Serialize};

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        #[repr(transparent)]
        pub struct $name(pub $inner);

        impl $name {
            /// The identifier after this one.
            ///
            /// # Panics
            /// When the numbers are used up, which no venue lives to see.
            #[must_use]
            #[inline]
            pub fn next(self) -> Self {
                Self(self.0.checked_add(1).expect(concat!(stringify!($name), " exhausted")))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

identifier! {
    /// A client's account, or one of the venue's own (see [`AccountId::EXTERNAL`] and its siblings).
    AccountId(u64)
}
identifier! {
    /// An asset, numbered in the order of listing.
    AssetId(u32)
}
identifier! {
    /// A market, numbered in the order of listing. Its human name is a [`crate::SymbolName`].
    SymbolId(u32)
}
identifier! {
    /// An order; counts from 1 in each market.
    OrderId(u64)
}
identifier! {
    /// A client's number for a strategy of its own.
    StrategyId(i64)
}
identifier! {
    /// A client's number for a kind of strategy; at least 1,000,000.
    StrategyType(u32)
}

impl StrategyType {
    /// The lowest number that clients may give.
    pub const MIN: Self = Self(1_000_000);
}

identifier! {
    /// An order list; unique in the venue. See [`OrderListId::of`].
    OrderListId(u64)
}
identifier! {
    /// A trade; counts from 1 in each market.
    TradeId(u64)
}
identifier! {
    /// Funds set aside for one order; unique in each partition. Where they stand, and how many stood there before.
    HoldId(u64)
}
identifier! {
    /// A partition of the venue; 0 also keeps the registry.
    PartitionId(u16)
}
identifier! {
    /// Position of a command in a partition's log. The first command is 1; 0 means "before any command".
    Sequence(u64)
}
identifier! {
    /// Who sent a command: one run of one gateway, or a partition. A restarted gateway is a new source.
    SourceId(u64)
}
identifier! {
    /// A source's own count of its commands, from 1. Together with [`SourceId`] it identifies a command permanently.
    RequestNumber(u64)
}
identifier! {
    /// Microseconds since the Unix epoch, UTC. Time in the core is always a field of a command, never read from a
    /// clock.
    Timestamp(u64)
}

/// A match that self-trade prevention prevented; counts from 1 in each market.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
#[repr(transparent)]
pub struct PreventedMatchId(NonZeroU64);

impl PreventedMatchId {
    /// The first of a market.
    pub const FIRST: Self = Self(NonZeroU64::MIN);

    /// The identifier of that number; `None` for 0, which none has.
    #[must_use]
    pub fn new_checked(number: u64) -> Option<Self> {
        NonZeroU64::new(number).map(Self)
    }

    /// The id as a number.
    #[must_use]
    #[inline]
    pub fn number(self) -> u64 {
        self.0.get()
    }

    /// The identifier after this one.
    ///
    /// # Panics
    /// When the numbers are used up, after 2^64 prevented matches in one market.
    #[must_use]
    #[inline]
    pub fn next(self) -> Self {
        Self(self.0.checked_add(1).expect("PreventedMatchId exhausted"))
    }
}

/// A group of accounts that belong together: their orders do not trade with each other, as those of one account do not,
/// where self-trade prevention says so. The operator gives the numbers, from 1. No group is zero, so that an absent one
/// takes no room.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TradeGroupId(NonZeroU32);

impl TradeGroupId {
    /// The identifier of that number; `None` for 0, which none has.
    #[must_use]
    pub fn new_checked(number: u32) -> Option<Self> {
        NonZeroU32::new(number).map(Self)
    }

    /// The id as a number.
    #[must_use]
    pub fn number(self) -> u32 {
        self.0.get()
    }
}

impl std::fmt::Display for TradeGroupId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::fmt::Display for PreventedMatchId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Bits of an [`OrderListId`] that name the market.
const LIST_SYMBOL_BITS: u32 = 16;

impl OrderListId {
    /// The list whose first order has that number in that market. Its number consists of both, so no two lists of a
    /// venue have the same one, and nothing has to be counted. `None` if they are too large for one number: in markets
    /// from the 65,537th on, and after 2^47 orders.
    #[must_use]
    pub fn of(symbol: SymbolId, first: OrderId) -> Option<Self> {
        let fits = symbol.0 < 1 << LIST_SYMBOL_BITS && first.0 < 1 << (63 - LIST_SYMBOL_BITS);
        fits.then(|| Self(first.0 << LIST_SYMBOL_BITS | u64::from(symbol.0)))
    }

    /// Its market.
    #[must_use]
    pub fn symbol(self) -> SymbolId {
        SymbolId((self.0 & ((1 << LIST_SYMBOL_BITS) - 1)) as u32)
    }

    /// Its first order.
    #[must_use]
    pub fn first(self) -> OrderId {
        OrderId(self.0 >> LIST_SYMBOL_BITS)
    }
}

impl AccountId {
    /// The world outside: deposits come from it, withdrawals go to it. Its balances are the negative of what the venue
    /// holds.
    pub const EXTERNAL: Self = Self(1);
    /// Where fees go.
    pub const FEES: Self = Self(2);
    /// What is in transit between two partitions' ledgers. Zero whenever nothing is.
    pub const CLEARING: Self = Self(3);
    /// The first number a client's account can have.
    pub const FIRST_CLIENT: Self = Self(1001);

    /// Whether this is one of the venue's own accounts.
    #[must_use]
    pub fn is_system(self) -> bool {
        self < Self::FIRST_CLIENT
    }
}

impl SourceId {
    /// The source under which partition `id` sends to other partitions. Gateways are numbered above all of these.
    #[must_use]
    pub fn partition(id: PartitionId) -> Self {
        Self(u64::from(id.0))
    }

    /// The first number a gateway can have.
    pub const FIRST_GATEWAY: Self = Self(1 << 16);
    /// Under which the pieces of a venue that moves in are sent, numbered like a partition's messages. No partition has
    /// this number.
    pub const IMPORT: Self = Self((1 << 16) - 1);
    /// The source whose only command ends an import. No partition has this number.
    pub const IMPORT_END: Self = Self((1 << 16) - 2);
}

impl Timestamp {
    /// Whole milliseconds since the Unix epoch, the unit of the client API.
    #[must_use]
    pub fn millis(self) -> u64 {
        self.0 / 1_000
    }

    /// From milliseconds since the Unix epoch.
    ///
    /// # Panics
    /// When the result does not fit, which takes a date half a million years ahead.
    #[must_use]
    pub fn from_millis(millis: u64) -> Self {
        Self(millis.checked_mul(1_000).expect("timestamp out of range"))
    }
}
