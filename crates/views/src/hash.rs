//! Hashing of ids that the venue assigns itself, consecutively, so that no client can choose them. They are hashed to
//! themselves: ids that follow each other are neighbours in the table, where they share cache lines, and do not
//! collide. Only the highest bits, by which the table distinguishes the entries of a group, are mixed. Names that
//! clients choose are hashed with the standard library's keyed hash instead.

use std::hash::{BuildHasherDefault, Hasher};

/// The fraction of the golden ratio, as is usual.
const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
/// Bits that the table compares before it looks at a key.
const TAG_BITS: u32 = 7;

/// See the module.
pub(crate) type CountingHash = BuildHasherDefault<CountingHasher>;

/// See the module.
#[derive(Clone, Default)]
pub(crate) struct CountingHasher(u64);

impl Hasher for CountingHasher {
    #[inline]
    fn finish(&self) -> u64 {
        let mixed = self.0.wrapping_mul(FACTOR);
        (self.0 & (u64::MAX >> TAG_BITS)) | (mixed & !(u64::MAX >> TAG_BITS))
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    #[inline]
    fn write_u64(&mut self, number: u64) {
        // The first field of several is spread; the last, mostly the only one, is not.
        self.0 = self.0.wrapping_mul(FACTOR) ^ number;
    }
}
