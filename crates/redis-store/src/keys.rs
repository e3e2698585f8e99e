//! The names of a partition's keys, and their common hash slot.

use std::fmt;

use crossbook_types::PartitionId;

/// Slots of a Redis cluster.
pub(crate) const SLOTS: u16 = 16_384;

/// The names of one partition's keys. All share one hash tag.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Keys {
    /// Its commands, a stream.
    pub input: String,
    /// What they caused, a stream; only older versions have it.
    pub output: String,
    /// The end of the stream, the last message received from each other partition, checkpoints, the lease and notes, a
    /// hash.
    pub log: String,
    /// The channel of notifications of new commands.
    pub channel: String,
    /// What a barrier writes, a string.
    pub barrier: String,
    /// The commands that the operator has marked as skipped, a hash.
    pub skipped: String,
    /// What the names of its books' depths begin with; the market's name follows. Each is a hash.
    depth: String,
    slot: u16,
}

impl Keys {
    /// The names of this partition of the venue.
    #[must_use]
    pub fn new(venue: &str, partition: PartitionId) -> Self {
        let tag = tag(venue, partition);
        let key = |name| format!("{{{tag}}}:{name}");
        Self {
            input: key("in"),
            output: key("out"),
            log: key("log"),
            channel: key("new"),
            barrier: key("barrier"),
            skipped: key("skipped"),
            depth: key("depth:"),
            slot: slot_of_tag(tag.as_bytes()),
        }
    }

    /// What the venue is made of, and its counter of gateways, a hash; it lies with partition 0.
    #[must_use]
    pub fn venue(venue: &str) -> String {
        format!("{{{}}}:venue", tag(venue, PartitionId(0)))
    }

    /// Something that the gateways count together; it lies with partition 0.
    pub(crate) fn limits(venue: &str, name: fmt::Arguments<'_>) -> String {
        format!("{{{}}}:limits:{name}", tag(venue, PartitionId(0)))
    }

    /// When this API key was last used; it lies with partition 0.
    pub(crate) fn key_use(venue: &str, name: &str) -> String {
        format!("{{{}}}:key-use:{name}", tag(venue, PartitionId(0)))
    }

    /// The depth of this market's book.
    #[must_use]
    pub fn depth(&self, symbol: &str) -> String {
        format!("{}{symbol}", self.depth)
    }

    /// The slot of a cluster in which all of these lie.
    #[must_use]
    pub fn slot(&self) -> u16 {
        self.slot
    }
}

fn tag(venue: &str, partition: PartitionId) -> String {
    format!("{venue}:p{partition}")
}

/// CRC16 (XMODEM) of the tag, as a cluster counts.
fn slot_of_tag(tag: &[u8]) -> u16 {
    let crc = tag.iter().fold(0_u16, |crc, byte| {
        (0..8).fold(
            crc ^ (u16::from(*byte) << 8),
            |crc, _| if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 },
        )
    });
    crc % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_that_a_cluster_counts() {
        // The check value of CRC16/XMODEM, and slots that CLUSTER KEYSLOT gives.
        assert_eq!(slot_of_tag(b"123456789"), 0x31c3);
        assert_eq!(slot_of_tag(b"foo"), 12_182);
        assert_eq!(slot_of_tag(b"user1000"), 3_443);
    }

    #[test]
    fn all_keys_of_a_partition_share_a_tag() {
        let keys = Keys::new("crossbook", PartitionId(7));
        assert_eq!(keys.input, "{crossbook:p7}:in");
        assert_eq!(keys.output, "{crossbook:p7}:out");
        assert_eq!(keys.log, "{crossbook:p7}:log");
        assert_eq!(keys.depth("BTCUSDT"), "{crossbook:p7}:depth:BTCUSDT");
        assert_eq!(Keys::venue("crossbook"), "{crossbook:p0}:venue");
    }
}
