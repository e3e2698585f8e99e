//! Funds set aside for orders.
//!
//! Holds stand in a slab. A [`HoldId`] names a slot and how often the slot has been used, so a hold is found without a search, and
//! the id of one that has ended finds nothing.

use crossbook_types::{AccountId, Amount, AssetId, HoldId};

use crate::Inconsistent;
use crate::account::Position;

/// Bits of a [`HoldId`] that name the slot; those above count its uses, from 1.
const SLOT_BITS: u32 = 32;

/// Funds set aside for one order, in the slot that its id names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hold {
    /// What is left of them; in a slot without a hold, of the last one.
    pub(crate) remaining: Amount,
    /// The balance that they are part of; in a slot without a hold, that of the last one.
    pub(crate) position: Position,
    /// How many holds there were in the slot, with this one.
    uses: u32,
    used: bool,
}

/// All holds of a ledger.
#[derive(Clone, Debug, Default)]
pub(crate) struct Holds {
    slots: Vec<Hold>,
    /// Slots without a hold; the last is used next. There is always room here for all of them, so that only a new slot can be a
    /// reason to ask for memory.
    free: Vec<u32>,
}

#[inline]
fn slot_of(id: HoldId) -> usize {
    (id.0 & ((1 << SLOT_BITS) - 1)) as usize
}

/// Which of the holds of its slot it is.
#[inline]
fn use_of(id: HoldId) -> u32 {
    (id.0 >> SLOT_BITS) as u32
}

#[inline]
fn id_of(at: usize, uses: u32) -> HoldId {
    HoldId(u64::from(uses) << SLOT_BITS | at as u64)
}

/// The id of the first hold in a slot.
pub(crate) fn first_use(at: u32) -> HoldId {
    id_of(at as usize, 1)
}

impl Hold {
    #[inline]
    fn is(&self, id: HoldId) -> bool {
        self.used && self.uses == use_of(id)
    }
}

impl Holds {
    #[inline]
    pub(crate) fn place(&mut self, position: Position, remaining: Amount) -> HoldId {
        if let Some(at) = self.free.pop() {
            let slot = &mut self.slots[at as usize];
            let uses = slot.uses.checked_add(1).expect("a slot is used fewer than 2^32 times");
            *slot = Hold { remaining, position, uses, used: true };
            return id_of(at as usize, uses);
        }
        let at = u32::try_from(self.slots.len()).expect("fewer than 2^32 holds at a time");
        self.slots.push(Hold { remaining, position, uses: 1, used: true });
        self.make_room();
        first_use(at)
    }

    #[inline]
    pub(crate) fn get(&self, id: HoldId) -> Option<&Hold> {
        self.slots.get(slot_of(id)).filter(|slot| slot.is(id))
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: HoldId) -> Option<&mut Hold> {
        self.slots.get_mut(slot_of(id)).filter(|slot| slot.is(id))
    }

    #[inline]
    pub(crate) fn remove(&mut self, id: HoldId) -> Option<Hold> {
        let at = slot_of(id);
        let slot = self.slots.get_mut(at).filter(|slot| slot.is(id))?;
        slot.used = false;
        let hold = *slot;
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
        let used = self.slots.iter().enumerate().filter(|(_, slot)| slot.used);
        used.map(|(at, slot)| {
            let (account, asset) = describe(slot.position);
            (id_of(at, slot.uses), account, asset, slot.remaining)
        })
        .collect()
    }

    /// The last ids of the slots without a hold, in the order in which [`Holds::free`] has them.
    pub(crate) fn free(&self) -> Vec<HoldId> {
        self.free.iter().map(|&at| id_of(at as usize, self.slots[at as usize].uses)).collect()
    }

    /// The holds of [`Holds::canonical`] and [`Holds::free`].
    pub(crate) fn restore(holds: Vec<(HoldId, Position, Amount)>, free: &[HoldId]) -> Result<Self, Inconsistent> {
        let count = holds.len() + free.len();
        let mut slots: Vec<Option<Hold>> = vec![None; count];
        let nothing = Position { slot: 0, holding: 0 };
        let all = holds.into_iter().map(|(id, position, remaining)| (id, position, remaining, true));
        for (id, position, remaining, used) in all.chain(free.iter().map(|&id| (id, nothing, Amount::ZERO, false))) {
            let place = slots.get_mut(slot_of(id)).ok_or(Inconsistent)?;
            let uses = use_of(id);
            if uses == 0 || place.replace(Hold { remaining, position, uses, used }).is_some() {
                return Err(Inconsistent);
            }
        }
        let slots: Vec<Hold> = slots.into_iter().collect::<Option<_>>().ok_or(Inconsistent)?;
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
