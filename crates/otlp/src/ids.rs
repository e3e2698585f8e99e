//! Random numbers: which orders are traced, and the ids of traces and spans.

use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::rand;

/// Chooses one of so many, by chance. Nobody gains by foreseeing it, so it need not be unpredictable, only quick.
#[derive(Debug)]
pub(crate) struct Sampler {
    one_in: u64,
    state: AtomicU64,
}

impl Sampler {
    pub(crate) fn new(one_in: u64) -> Self {
        Self { one_in, state: AtomicU64::new(u64::from_le_bytes(random())) }
    }

    /// Whether the next one is chosen.
    pub(crate) fn chooses(&self) -> bool {
        // SplitMix64.
        let state = self.state.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)).checked_rem(self.one_in) == Some(0)
    }
}

/// Random bytes, which are not all zero: that is no id. The system always has some; if not, the id is one that every
/// such trace has.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if rand::fill(&mut bytes).is_err() || bytes == [0; N] {
        bytes = [0xff; N];
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_so_many_is_chosen_about() {
        let chosen = |one_in: u64| {
            let sampler = Sampler { one_in, state: AtomicU64::new(7) };
            (0..100_000).filter(|_| sampler.chooses()).count()
        };
        assert_eq!((chosen(0), chosen(1)), (0, 100_000));
        assert!((900..1_100).contains(&chosen(100)), "{}", chosen(100));
    }

    #[test]
    fn ids_differ() {
        assert_ne!(random::<16>(), random::<16>());
    }
}
