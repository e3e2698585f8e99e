//! Funds set aside for orders.

use crossbook_types::{AccountId, Amount, AssetId, HoldId};
use hashbrown::HashMap;

use crate::Inconsistent;
use crate::account::{CountingHash, Position};

/// Funds set aside for one order.
#[derive(Clone, Debug)]
pub struct Hold {
    pub(crate) account: AccountId,
    /// The balance that they are part of.
    pub(crate) position: Position,
    /// What is left of them.
    pub(crate) remaining: Amount,
}

/// All holds of a ledger.
#[derive(Clone, Debug)]
pub(crate) struct Holds {
    holds: HashMap<HoldId, Hold, CountingHash>,
    next: HoldId,
}

impl Default for Holds {
    fn default() -> Self {
        Self { holds: HashMap::default(), next: HoldId(1) }
    }
}

impl Holds {
    #[inline]
    pub(crate) fn place(&mut self, hold: Hold) -> HoldId {
        let id = self.next;
        self.next = id.next();
        self.holds.insert(id, hold);
        id
    }

    pub(crate) fn get(&self, id: HoldId) -> Option<&Hold> {
        self.holds.get(&id)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: HoldId) -> Option<&mut Hold> {
        self.holds.get_mut(&id)
    }

    #[inline]
    pub(crate) fn remove(&mut self, id: HoldId) -> Option<Hold> {
        self.holds.remove(&id)
    }

    pub(crate) fn len(&self) -> usize {
        self.holds.len()
    }

    pub(crate) fn next(&self) -> HoldId {
        self.next
    }

    /// Holds by number. (The one place that walks the table; the sort makes its order not show.)
    pub(crate) fn canonical(&self, asset: impl Fn(Position) -> AssetId) -> Vec<(HoldId, AccountId, AssetId, Amount)> {
        let mut holds: Vec<_> =
            self.holds.iter().map(|(&id, hold)| (id, hold.account, asset(hold.position), hold.remaining)).collect();
        holds.sort_unstable_by_key(|&(id, ..)| id);
        holds
    }

    pub(crate) fn restore(&mut self, id: HoldId, hold: Hold) -> Result<(), Inconsistent> {
        if self.holds.insert(id, hold).is_some() { Err(Inconsistent) } else { Ok(()) }
    }

    pub(crate) fn count_from(&mut self, next: HoldId) -> Result<(), Inconsistent> {
        if next == HoldId(0) || self.holds.keys().any(|&id| id >= next) {
            return Err(Inconsistent);
        }
        self.next = next;
        Ok(())
    }
}
