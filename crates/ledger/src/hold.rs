//! Funds held for orders.
//!
//! Holds are in a slab. A [`HoldId`] consists of a slot and the number of uses of the slot, so a hold is found without
//! a search, and the id of a hold that has ended finds nothing. A slot whose use counter is exhausted is retired and
//! replaced by another. Slots are reused last in, first out, so a slot lasts for at least 2^32 orders.

use crossbook_types::{AccountId, Amount, AssetId, HoldId};

use crate::Inconsistent;
use crate::account::Position;

/// Bits of a [`HoldId`] that name the slot; those above count its uses, from 1.
const SLOT_BITS: u32 = 32;
/// How many slots there can be, retired ones included.
const SLOTS_MAX: usize = if cfg!(test) { 1 << 12 } else { 1 << SLOT_BITS };
/// How often a slot is used.
const USES_MAX: u32 = u32::MAX;

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
    /// Slots without a hold; the last is used next. There is always room here for all of them, so that only a new slot
    /// can be a reason to ask for memory.
    free: Vec<u32>,
    /// How many slots are retired.
    retired: usize,
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
    /// Places a hold, if there is a slot for it.
    #[inline]
    pub(crate) fn place(&mut self, position: Position, remaining: Amount) -> Option<HoldId> {
        if let Some(at) = self.free.pop() {
            let slot = &mut self.slots[at as usize];
            let uses = slot.uses.checked_add(1).expect("a slot that is used up is not free");
            *slot = Hold { remaining, position, uses, used: true };
            return Some(id_of(at as usize, uses));
        }
        let at = self.slots.len();
        if at >= SLOTS_MAX {
            return None;
        }
        self.slots.push(Hold { remaining, position, uses: 1, used: true });
        self.make_room();
        Some(id_of(at, 1))
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
        if hold.uses < USES_MAX {
            self.free.push(at as u32);
        } else {
            self.retired += 1;
        }
        Some(hold)
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len() - self.retired
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

    /// The last ids of the slots that are retired, by slot.
    pub(crate) fn retired(&self) -> Vec<HoldId> {
        let slots = self.slots.iter().enumerate();
        slots.filter(|(_, slot)| !slot.used && slot.uses == USES_MAX).map(|(at, slot)| id_of(at, slot.uses)).collect()
    }

    /// The holds of [`Holds::canonical`], [`Holds::free`] and [`Holds::retired`].
    pub(crate) fn restore(
        holds: Vec<(HoldId, Position, Amount)>,
        free: &[HoldId],
        retired: &[HoldId],
    ) -> Result<Self, Inconsistent> {
        let count = holds.len() + free.len() + retired.len();
        if count > SLOTS_MAX
            || !retired.is_sorted()
            || free.iter().any(|&id| use_of(id) == USES_MAX)
            || retired.iter().any(|&id| use_of(id) != USES_MAX)
        {
            return Err(Inconsistent);
        }
        let mut slots: Vec<Option<Hold>> = vec![None; count];
        let nothing = Position { slot: 0, holding: 0 };
        let all = holds.into_iter().map(|(id, position, remaining)| (id, position, remaining, true));
        let unused = free.iter().chain(retired).map(|&id| (id, nothing, Amount::ZERO, false));
        for (id, position, remaining, used) in all.chain(unused) {
            let place = slots.get_mut(slot_of(id)).ok_or(Inconsistent)?;
            let uses = use_of(id);
            if uses == 0 || place.replace(Hold { remaining, position, uses, used }).is_some() {
                return Err(Inconsistent);
            }
        }
        let slots: Vec<Hold> = slots.into_iter().collect::<Option<_>>().ok_or(Inconsistent)?;
        let free = free.iter().map(|&id| slot_of(id) as u32).collect();
        let mut holds = Self { slots, free, retired: retired.len() };
        holds.make_room();
        Ok(holds)
    }

    fn make_room(&mut self) {
        if self.free.capacity() < self.slots.capacity() {
            self.free.reserve_exact(self.slots.capacity() - self.free.len());
        }
    }
}
