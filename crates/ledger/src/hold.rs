//! Funds set aside for orders.
//!
//! Holds stand in a slab. A [`HoldId`] names a slot and how often the slot has been used, so a hold is found without a search, and
//! the id of one that has ended finds nothing.

use crossbook_types::{AccountId, Amount, AssetId, HoldId};

use crate::Inconsistent;
use crate::account::Position;

/// Bits of a [`HoldId`] that name the slot; those above count its uses, from 1.
const SLOT_BITS: u32 = 32;

/// Funds set aside for one order.
#[derive(Clone, Copy, Debug)]
pub struct Hold {
    /// The balance that they are part of.
    pub(crate) position: Position,
    /// What is left of them.
    pub(crate) remaining: Amount,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    /// The hold here; if none is, the one that was here last, or zero uses.
    id: HoldId,
    /// In a slot without a hold, what the last one was.
    hold: Hold,
    used: bool,
}

/// All holds of a ledger.
#[derive(Clone, Debug, Default)]
pub(crate) struct Holds {
    slots: Vec<Slot>,
    /// Slots without a hold; the last is used next. There is always room here for all of them, so that only a new slot can be a
    /// reason to ask for memory.
    free: Vec<u32>,
}

fn slot_of(id: HoldId) -> usize {
    (id.0 & ((1 << SLOT_BITS) - 1)) as usize
}

/// The id of the next hold in the slot that `id` had.
fn next_use(id: HoldId) -> HoldId {
    HoldId(id.0.checked_add(1 << SLOT_BITS).expect("a slot is used fewer than 2^32 times"))
}

/// The id of the first hold in a slot.
pub(crate) fn first_use(at: u32) -> HoldId {
    next_use(HoldId(u64::from(at)))
}

impl Holds {
    #[inline]
    pub(crate) fn place(&mut self, hold: Hold) -> HoldId {
        if let Some(at) = self.free.pop() {
            let slot = &mut self.slots[at as usize];
            *slot = Slot { id: next_use(slot.id), hold, used: true };
            return slot.id;
        }
        let at = u32::try_from(self.slots.len()).expect("fewer than 2^32 holds at a time");
        let id = first_use(at);
        self.slots.push(Slot { id, hold, used: true });
        self.make_room();
        id
    }

    pub(crate) fn get(&self, id: HoldId) -> Option<&Hold> {
        self.slots.get(slot_of(id)).filter(|slot| slot.used && slot.id == id).map(|slot| &slot.hold)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: HoldId) -> Option<&mut Hold> {
        self.slots.get_mut(slot_of(id)).filter(|slot| slot.used && slot.id == id).map(|slot| &mut slot.hold)
    }

    #[inline]
    pub(crate) fn remove(&mut self, id: HoldId) -> Option<Hold> {
        let at = slot_of(id);
        let slot = self.slots.get_mut(at).filter(|slot| slot.used && slot.id == id)?;
        slot.used = false;
        let hold = slot.hold;
        self.free.push(at as u32);
        Some(hold)
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Holds by slot. `describe` gives the account and asset of a position.
    pub(crate) fn canonical(
        &self,
        describe: impl Fn(Position) -> (AccountId, AssetId),
    ) -> Vec<(HoldId, AccountId, AssetId, Amount)> {
        let used = self.slots.iter().filter(|slot| slot.used);
        used.map(|slot| {
            let (account, asset) = describe(slot.hold.position);
            (slot.id, account, asset, slot.hold.remaining)
        })
        .collect()
    }

    /// The last ids of the slots without a hold, in the order in which [`Holds::free`] has them.
    pub(crate) fn free(&self) -> Vec<HoldId> {
        self.free.iter().map(|&at| self.slots[at as usize].id).collect()
    }

    /// The holds of [`Holds::canonical`] and [`Holds::free`].
    pub(crate) fn restore(holds: Vec<(HoldId, Hold)>, free: &[HoldId]) -> Result<Self, Inconsistent> {
        let count = holds.len() + free.len();
        let mut slots: Vec<Option<Slot>> = vec![None; count];
        let nothing = Hold { position: Position { slot: 0, holding: 0 }, remaining: Amount::ZERO };
        let all = holds.into_iter().map(|(id, hold)| Slot { id, hold, used: true });
        for slot in all.chain(free.iter().map(|&id| Slot { id, hold: nothing, used: false })) {
            let place = slots.get_mut(slot_of(slot.id)).ok_or(Inconsistent)?;
            if place.replace(slot).is_some() || slot.id < next_use(HoldId(0)) {
                return Err(Inconsistent);
            }
        }
        let slots: Vec<Slot> = slots.into_iter().collect::<Option<_>>().ok_or(Inconsistent)?;
        let free = free.iter().map(|&id| slot_of(id) as u32).collect();
        let mut holds = Self { slots, free };
        holds.make_room();
        Ok(holds)
    }

    fn make_room(&mut self) {
        if self.free.capacity() < self.slots.capacity() {
            self.free.reserve_exact(self.slots.capacity() - self.free.len());
        }
    }
}
