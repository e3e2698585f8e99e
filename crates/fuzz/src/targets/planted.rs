//! A planted bug, which shows that coverage guides the fuzzer: only the right bytes in several positions reach it, one
//! comparison after the other, and random inputs would take more than 2^60 attempts.

use super::{Target, target};

/// Not one of [`super::TARGETS`]: it has to fail.
pub const TARGET: Target = target("planted", "a bug behind nested comparisons", 64, run);

fn run(input: &[u8]) {
    let Some((head, rest)) = input.split_first_chunk::<4>() else { return };
    if u32::from_le_bytes(*head) == 0x4b4f_4f42
        && let [b'b', b'i', rest @ ..] = rest
        && rest.first() == Some(&b'd')
    {
        assert!(rest.get(1) != Some(&0xa5), "this bug is planted");
    }
}

#[cfg(test)]
mod tests {
    #[test]
    #[should_panic(expected = "this bug is planted")]
    fn it_is_there() {
        super::run(b"BOOKbid\xa5");
    }

    #[test]
    fn it_is_behind_every_comparison() {
        for input in [&b""[..], b"BOOK", b"BOOKb", b"BOOKbi\xa5\xa5", b"BOOKbid\xa4", b"book", b"BOOKasks"] {
            super::run(input);
        }
    }
}
