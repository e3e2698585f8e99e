//! Hashing of ids that the venue itself counts. Nobody outside can choose them, so one multiplication spreads them
//! enough, and a lookup costs a few nanoseconds. Names that clients choose are hashed with the standard library's keyed
//! hash instead.

use std::hash::{BuildHasherDefault, Hasher};

/// See the module.
pub(crate) type CountingHash = BuildHasherDefault<CountingHasher>;

/// See the module.
#[derive(Clone, Default)]
pub(crate) struct CountingHasher(u64);

impl Hasher for CountingHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    #[inline]
    fn write_u64(&mut self, number: u64) {
        let mixed = (self.0 ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = mixed ^ (mixed >> 32);
    }
}
