//! The contract of a log over a partition's `in`, for one writer that gives places and times itself.

use std::fmt;

use crossbook_types::{PartitionId, Sequence, Timestamp};

use crate::{Link, Options, Servers};
use crossbook_log::{BatchStats, Error, Log, Record};

/// What a record takes besides its payload: its place and its time.
const FRAME_BYTES: usize = 16;

/// A [`Log`] in the stream `in` of a partition. Appending buffers; syncing is one script and one barrier. Two writers
/// would find each other out, for a script appends only where the writer believes that the log ends.
pub struct StreamLog {
    link: Link,
    options: Options,
    /// Payloads that wait for a sync, one after the other; where each ends; their times.
    bytes: Vec<u8>,
    bounds: Vec<usize>,
    times: Vec<Timestamp>,
    last_batch: BatchStats,
    first: Sequence,
    durable: Sequence,
    poisoned: bool,
}

impl StreamLog {
    /// Opens the log of this partition, and makes durable what is in it.
    ///
    /// # Errors
    /// [`Error::Streams`].
    pub fn open(servers: &Servers, partition: PartitionId) -> Result<Self, Error> {
        let mut link = Link::connect(servers, partition)?;
        let ends = link.ends()?;
        link.make_durable()?;
        Ok(Self {
            link,
            options: servers.options().clone(),
            bytes: Vec::new(),
            bounds: Vec::new(),
            times: Vec::new(),
            last_batch: BatchStats::default(),
            first: ends.first,
            durable: ends.tail,
            poisoned: false,
        })
    }

    fn alive(&self) -> Result<(), Error> {
        if self.poisoned { Err(Error::Poisoned) } else { Ok(()) }
    }

    fn framed(&self, bytes: usize, records: usize) -> usize {
        bytes.saturating_add(records.saturating_mul(FRAME_BYTES))
    }

    fn write_batch(&mut self) -> Result<(), crate::Error> {
        let mut payloads: Vec<&[u8]> = Vec::with_capacity(self.bounds.len());
        let mut start = 0;
        for end in &self.bounds {
            payloads.push(&self.bytes[start..*end]);
            start = *end;
        }
        self.link.extend(self.durable, &self.times, &payloads)
    }

    fn drop_up_to(&mut self, up_to: Sequence) -> Result<(), crate::Error> {
        self.link.drop_up_to(up_to, Sequence(0), false)?;
        self.first = self.link.ends()?.first;
        Ok(())
    }

    fn guarded(&mut self, step: impl FnOnce(&mut Self) -> Result<(), crate::Error>) -> Result<(), Error> {
        self.alive()?;
        let done = step(self);
        self.poisoned = done.is_err();
        Ok(done?)
    }
}

impl Log for StreamLog {
    fn append(&mut self, record: Record<'_>) -> Result<(), Error> {
        self.alive()?;
        assert_eq!(record.sequence, self.tail().next(), "appended out of order");
        let (bytes, limit) = (record.payload.len(), self.options.record_bytes_max);
        if bytes > limit {
            return Err(Error::RecordTooLarge { bytes, limit });
        }
        let framed = self.framed(self.bytes.len() + bytes, self.bounds.len() + 1);
        // One record always has room, whatever its frame.
        let full = framed > self.options.batch_bytes_max || self.bounds.len() >= self.options.batch_records_max;
        if full && !self.bounds.is_empty() {
            return Err(Error::BatchFull { limit: self.options.batch_bytes_max });
        }
        self.bytes.extend_from_slice(record.payload);
        self.bounds.push(self.bytes.len());
        self.times.push(record.time);
        Ok(())
    }

    fn sync(&mut self) -> Result<Sequence, Error> {
        self.alive()?;
        if !self.bounds.is_empty() {
            self.guarded(Self::write_batch)?;
            self.durable = self.tail();
            let (bytes, records) = (self.bytes.len(), self.bounds.len());
            self.last_batch = BatchStats { records: records as u64, bytes: self.framed(bytes, records) as u64 };
            self.bytes.clear();
            self.bounds.clear();
            self.times.clear();
        }
        Ok(self.durable)
    }

    fn tail(&self) -> Sequence {
        Sequence(self.durable.0 + self.bounds.len() as u64)
    }

    fn durable(&self) -> Sequence {
        self.durable
    }

    fn first(&self) -> Sequence {
        self.first
    }

    fn trim(&mut self, up_to: Sequence) -> Result<(), Error> {
        assert!(up_to <= self.durable, "trimmed past what is durable");
        self.guarded(|log| log.drop_up_to(up_to))
    }

    fn last_batch(&self) -> BatchStats {
        self.last_batch
    }
}

impl fmt::Debug for StreamLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamLog")
            .field("link", &self.link)
            .field("first", &self.first)
            .field("durable", &self.durable)
            .field("tail", &self.tail())
            .field("poisoned", &self.poisoned)
            .finish_non_exhaustive()
    }
}
