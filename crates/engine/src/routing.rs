//! Which partition owns what. Fixed when a venue is created; every process of it must agree.

use std::collections::BTreeMap;

use crossbook_types::{AccountId, PartitionId, SymbolId};
use serde::{Deserialize, Serialize};

/// Partitions, and who owns which account and symbol.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Routing {
    partitions: u16,
    /// Markets that do not go where their number says.
    symbols: BTreeMap<SymbolId, PartitionId>,
}

impl Routing {
    /// The registry's partition.
    pub const REGISTRY: PartitionId = PartitionId(0);

    /// One partition that owns all.
    #[must_use]
    pub fn single() -> Self {
        Self { partitions: 1, symbols: BTreeMap::new() }
    }

    /// `partitions` of them, symbols and accounts spread by their numbers, but for `symbols`. `None` if there are no
    /// partitions or a symbol is given to one that does not exist.
    #[must_use]
    pub fn new_checked(partitions: u16, symbols: BTreeMap<SymbolId, PartitionId>) -> Option<Self> {
        let valid = partitions > 0 && symbols.values().all(|partition| partition.0 < partitions);
        valid.then_some(Self { partitions, symbols })
    }

    /// How many partitions there are.
    #[must_use]
    #[inline]
    pub fn partitions(&self) -> u16 {
        self.partitions
    }

    /// The owner of an account.
    #[must_use]
    #[inline]
    pub fn of_account(&self, account: AccountId) -> PartitionId {
        self.spread(account.0)
    }

    /// The owner of a market.
    #[must_use]
    #[inline]
    pub fn of_symbol(&self, symbol: SymbolId) -> PartitionId {
        if self.partitions == 1 {
            return PartitionId(0);
        }
        self.symbols.get(&symbol).copied().unwrap_or_else(|| self.spread(u64::from(symbol.0)))
    }

    /// Spreads ids that were counted up, so that neighbours part.
    #[inline]
    fn spread(&self, id: u64) -> PartitionId {
        if self.partitions == 1 {
            return PartitionId(0);
        }
        let mixed = (id ^ (id >> 31)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let scaled = (u128::from(mixed) * u128::from(self.partitions)) >> 64;
        PartitionId(u16::try_from(scaled).expect("scaled below the number of partitions"))
    }
}
