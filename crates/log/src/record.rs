//! How a record is framed.
//!
//! ```text
//!   byte  0        4        8                16               24               32
//!         +--------+--------+----------------+----------------+----------------+---------- - -+-------+
//!         |checksum| length |    sequence    |    durable     |      time      |   payload    | zeros |
//!         +--------+--------+----------------+----------------+----------------+---------- - -+-------+
//!          CRC-32C  of the                     last durable     microseconds     `length`       to a
//!          of what  payload                    sequence when    since 1970       bytes          multiple
//!          follows                             this was written                                 of 8
//! ```
//!
//! All numbers are little endian. The checksum covers everything after itself, zeros included, and is seeded with the
//! log's identity, a random number in every segment's header. So a record of another log never passes for one of this,
//! and nobody outside can craft a payload that contains what looks like a record. Frames begin at multiples of 8, which
//! lets recovery look for whole records behind a bad one without knowing where the bad one ends.

use crossbook_types::{Sequence, Timestamp};

use crate::Record;

/// The most bytes a payload can have in this format, whatever the options say.
pub const PAYLOAD_BYTES_MAX: usize = 16 << 20;

/// Bytes before the payload.
pub(crate) const HEAD_BYTES: usize = 32;

/// Frames begin at multiples of this.
pub(crate) const ALIGN_BYTES: usize = 8;

/// What the checksums of one log begin with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seed(u32);

impl Seed {
    pub(crate) fn of(identity: u64) -> Self {
        Self(crc32c::crc32c(&identity.to_le_bytes()))
    }
}

/// The numbers before a payload, as read, not yet verified.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    checksum: u32,
    pub(crate) length: usize,
    pub(crate) sequence: Sequence,
    pub(crate) durable: Sequence,
    pub(crate) time: Timestamp,
}

impl Head {
    /// Reads a head; `None` when there are not enough bytes, or the length is more than any record has.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (checksum, rest) = bytes.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (sequence, rest) = rest.split_first_chunk()?;
        let (durable, rest) = rest.split_first_chunk()?;
        let (time, _) = rest.split_first_chunk()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok().filter(|length| *length <= PAYLOAD_BYTES_MAX)?;
        Some(Self {
            checksum: u32::from_le_bytes(*checksum),
            length,
            sequence: Sequence(u64::from_le_bytes(*sequence)),
            durable: Sequence(u64::from_le_bytes(*durable)),
            time: Timestamp(u64::from_le_bytes(*time)),
        })
    }

    /// Bytes of the whole frame.
    pub(crate) fn frame_bytes(&self) -> usize {
        frame_bytes(self.length)
    }

    /// Whether `frame`, the whole of it, is what was written.
    pub(crate) fn verifies(&self, seed: Seed, frame: &[u8]) -> bool {
        frame.len() == self.frame_bytes() && crc32c::crc32c_append(seed.0, &frame[4..]) == self.checksum
    }
}

/// Bytes that a record with such a payload takes.
pub(crate) const fn frame_bytes(payload_bytes: usize) -> usize {
    (HEAD_BYTES + payload_bytes).next_multiple_of(ALIGN_BYTES)
}

/// Appends the record's frame to `buffer`.
///
/// # Panics
/// When the payload is larger than the format allows; the log has refused such a record before.
pub(crate) fn encode(buffer: &mut Vec<u8>, seed: Seed, durable: Sequence, record: Record<'_>) {
    assert!(record.payload.len() <= PAYLOAD_BYTES_MAX, "payload larger than the log's format allows");
    let start = buffer.len();
    let end = start + frame_bytes(record.payload.len());
    buffer.extend_from_slice(&[0; 4]);
    buffer.extend_from_slice(&(record.payload.len() as u32).to_le_bytes());
    buffer.extend_from_slice(&record.sequence.0.to_le_bytes());
    buffer.extend_from_slice(&durable.0.to_le_bytes());
    buffer.extend_from_slice(&record.time.0.to_le_bytes());
    buffer.extend_from_slice(record.payload);
    buffer.resize(end, 0);
    let checksum = crc32c::crc32c_append(seed.0, &buffer[start + 4..]);
    buffer[start..start + 4].copy_from_slice(&checksum.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(
            &mut bytes,
            Seed::of(7),
            Sequence(8),
            Record { sequence: Sequence(9), time: Timestamp(1_700_000_000_000_000), payload },
        );
        bytes
    }

    #[test]
    fn the_format_is_fixed() {
        // Written out by hand: a change here breaks every log ever written.
        let bytes = frame(b"buy 1 @2");
        assert_eq!(bytes.len(), 40);
        assert_eq!(bytes[4..8], [8, 0, 0, 0]);
        assert_eq!(bytes[8..16], [9, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[16..24], [8, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[24..32], 1_700_000_000_000_000_u64.to_le_bytes());
        assert_eq!(&bytes[32..], b"buy 1 @2");
        let mut covered = 7_u64.to_le_bytes().to_vec();
        covered.extend_from_slice(&bytes[4..]);
        assert_eq!(bytes[..4], crc32c::crc32c(&covered).to_le_bytes());
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        for payload in [&b""[..], b"a", b"seven b", b"eight by", b"nine byte"] {
            let good = frame(payload);
            assert!(Head::read(&good).is_some_and(|head| head.verifies(Seed::of(7), &good)));
            assert!(!Head::read(&good).is_some_and(|head| head.verifies(Seed::of(8), &good)), "another log's seed");
            for bit in 0..good.len() * 8 {
                let mut bad = good.clone();
                bad[bit / 8] ^= 1 << (bit % 8);
                assert!(!Head::read(&bad).is_some_and(|head| head.verifies(Seed::of(7), &bad)), "bit {bit}");
            }
        }
    }

    #[test]
    fn zeros_are_no_record() {
        assert!(!Head::read(&[0; 32]).is_some_and(|head| head.verifies(Seed::of(7), &[0; 32])));
        assert!(Head::read(&[0; 31]).is_none());
    }
}
