//! The rules of the state machine under which a command is applied.
//!
//! A log always gives the same states, so a changed rule must not apply to commands that are in a log already. The
//! state of a partition records which rules are active, and a command ([`Body::ActivateRules`](crate::Body)) activates
//! newer ones for later commands. Records of versions before 4 imply their rules. Code that depends on the rules checks
//! `rules >= Rules::V2`.

/// A set of rules, in the order in which they came. Later ones contain what earlier ones brought.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Rules {
    /// Records of versions 1 and 2.
    V1,
    /// Records of version 3, and what a partition begins with.
    V2,
    /// The ledger forgets the oldest transfers when it has more than it remembers.
    V3,
    /// Orders with instructions: strategies, iceberg orders, trailing stops, pegged orders. Amendments. Order lists.
    /// Countdowns that cancel orders. Self-trade prevention that decrements, and trade groups. Sessions of markets:
    /// circuit breakers, auctions, execution rules, reference prices. Delisting. Fees in a discount asset.
    /// Notes of operators. Frozen accounts.
    V4,
}

impl Rules {
    /// The newest rules that this program knows.
    pub const NEWEST: Self = Self::V4;

    /// The number by which people call them.
    #[must_use]
    pub fn number(self) -> u32 {
        match self {
            Self::V1 => 1,
            Self::V2 => 2,
            Self::V3 => 3,
            Self::V4 => 4,
        }
    }

    /// The rules of that number; `None` if this program does not know them.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        [Self::V1, Self::V2, Self::V3, Self::V4].into_iter().find(|rules| rules.number() == number)
    }
}

/// What a partition begins with.
impl Default for Rules {
    fn default() -> Self {
        Self::V2
    }
}

impl std::fmt::Display for Rules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.number().fmt(f)
    }
}
