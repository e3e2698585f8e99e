//! The hashes by which open orders are found.

use std::hash::{BuildHasher, Hash, Hasher};

use crossbook_ledger::CountingHash;
use crossbook_types::{AccountId, ClientOrderId, OrderId};
use foldhash::quality::FixedState;

/// The hash of an order's number.
#[inline]
pub(super) fn hash_of(id: OrderId) -> u64 {
    CountingHash::default().hash_one(id)
}

/// The hash of an account and a client order id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct NameHash(u32);

impl NameHash {
    #[inline]
    pub(super) fn of(hash: &FixedState, account: AccountId, name: ClientOrderId) -> Self {
        let mut hasher = hash.build_hasher();
        hasher.write_u64(account.0);
        name.as_str().hash(&mut hasher);
        Self((hasher.finish() >> 32) as u32)
    }

    /// As 64 bits, of which tables use the lowest and the highest.
    #[inline]
    pub(super) fn spread(self) -> u64 {
        u64::from(self.0).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }
}
