//! The records appended since the last sync, already in their format on disk.
//!
//! One buffer serves for the life of the log. It grows to the largest batch, never beyond its limit, and is reused, so
//! that in steady state appending allocates nothing.

use crossbook_types::Sequence;

use crate::{Error, Record, record};

/// What one sync made durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BatchStats {
    /// Records in the batch.
    pub records: u64,
    /// Bytes written for them, framing included.
    pub bytes: u64,
}

/// Encoded records waiting for a sync.
#[derive(Debug)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    bytes_max: usize,
    records: u64,
}

impl Batch {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes: Vec::new(), bytes_max, records: 0 }
    }

    /// Encodes one more record. `durable` is what is durable now, the same for every record of a batch.
    pub(crate) fn push(&mut self, seed: record::Seed, durable: Sequence, record: Record<'_>) -> Result<(), Error> {
        if self.bytes.len() + record::frame_bytes(record.payload.len()) > self.bytes_max {
            return Err(Error::BatchFull { limit: self.bytes_max });
        }
        record::encode(&mut self.bytes, seed, durable, record);
        self.records += 1;
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records == 0
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Empties the batch, once it is durable, and returns what was in it.
    pub(crate) fn finish(&mut self) -> BatchStats {
        let stats = BatchStats { records: self.records, bytes: self.bytes.len() as u64 };
        self.bytes.clear();
        self.records = 0;
        stats
    }
}
