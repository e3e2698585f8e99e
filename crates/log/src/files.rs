//! A log in segment files: one folder, one writer, one write and one `fdatasync` per batch.
//!
//! ```text
//!   folder/
//!     lock                       held by the writing process
//!     00000000000000000001.log   records 1 to 3, finished
//!     00000000000000000004.log   records 4 to 9, finished
//!     00000000000000000010.log   records 10 and on; preallocated, zeros to the end
//! ```
//!
//! A batch never spans two segments. If the next batch does not fit, the segment is finished with zeros at its end, and
//! a new one is begun: created, preallocated, given its header, synced, its name synced. Only then is the batch written
//! into it. A finished segment is never written again, and trimming removes whole files from the front.
//!
//! Segments are preallocated because with a growing file every `fdatasync` also writes the file's size; and a full disk
//! then shows when a segment is begun, not in the middle of one. Preallocated space that was never written is still
//! expensive: the first sync of each of its blocks marks the block as used in the file's metadata, a second write that
//! has to be waited for. So zeros are written over the next quarter of a megabyte ([`ZEROED_AHEAD`]) whenever the
//! previous stretch is used up, with the batch that used it up and under the same sync. Readers see no difference,
//! because preallocated space reads as zeros. Measured on ext4, medians of 1,500 syncs: batches of 9,000 bytes took 106
//! and 108 µs, against 224 and 189 µs in unwritten space; batches of 600 bytes, most of which stay within a used block,
//! 114 and 116 against 117 and 128 µs.
//!
//! One process writes a log, whatever happens to file names: it locks the folder itself and the segment that it writes,
//! and before a batch counts as durable it checks that the segment's path still leads to the file that it wrote. So
//! removing the file `lock` lets no second process in, and a segment or folder that was moved away stops the writer
//! before it acknowledges anything.
//!
//! [`crate::Recovery`]'s module describes what opening does to a torn tail and what it refuses: a bad record that is
//! known to have been durable is damage and is refused; another one is the trace of a crash and is cut. After any
//! failed write or sync the log is poisoned (see [`crate::Log`]).

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbook_types::Sequence;

use crate::batch::{Batch, BatchStats};
use crate::record::{self, PAYLOAD_BYTES_MAX, Seed};
use crate::recovery::{self, Recovered, Recovery};
use crate::segment::{self, HEADER_BYTES, Header};
use crate::storage::{Disk, File, Storage};
use crate::{Error, Log, Record};

/// How far past a batch zeros are written when the stretch before is used up: the syncs that carry them, one in some
/// thirty of a busy venue, take about twice as long as the others.
const ZEROED_AHEAD: usize = 256 << 10;
/// Stretches end with a block of the file system.
const BLOCK: u64 = 4_096;
static ZEROS: [u8; ZEROED_AHEAD + BLOCK as usize] = [0; ZEROED_AHEAD + BLOCK as usize];

/// The limits of a log in files. They bind the writer only: a log written under other limits opens all the same.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The most bytes a segment file has. Trimming drops whole segments, so this is also how fine it is.
    pub segment_bytes_max: u64,
    /// The most bytes a batch has, framing included, and so the most that waits in memory for a sync.
    pub batch_bytes_max: usize,
    /// The most bytes a payload has.
    pub record_bytes_max: usize,
    /// Whether a segment takes its room ahead. Off, every sync also writes the file's new size.
    pub preallocate: bool,
    /// A record known from elsewhere (a snapshot, a database, an acknowledgement) to have been durable. Opening refuses
    /// a log that ends before it, which the log alone could take for a torn tail.
    pub durable_at_least: Sequence,
    /// Opening verifies the segments from the one that holds this record. What is before it need not be read at once,
    /// because a snapshot stands for it; a [`Verifier`](crate::Verifier) makes up for that later. 0: the whole log.
    pub verify_from: Sequence,
}

impl Default for Options {
    /// Segments of 64 MiB, batches of 8 MiB, payloads of 1 MiB, room taken ahead, nothing known from elsewhere.
    fn default() -> Self {
        Self {
            segment_bytes_max: 64 << 20,
            batch_bytes_max: 8 << 20,
            record_bytes_max: 1 << 20,
            preallocate: true,
            durable_at_least: Sequence(0),
            verify_from: Sequence(0),
        }
    }
}

impl Options {
    fn check(&self) -> Result<(), Error> {
        if self.record_bytes_max > PAYLOAD_BYTES_MAX {
            return Err(Error::Options("record_bytes_max is more than the format allows (16 MiB)"));
        }
        if self.batch_bytes_max < record::frame_bytes(self.record_bytes_max) {
            return Err(Error::Options(
                "batch_bytes_max must leave room for one record of record_bytes_max and its frame",
            ));
        }
        if self.segment_bytes_max < (HEADER_BYTES as u64).saturating_add(self.batch_bytes_max as u64) {
            return Err(Error::Options(
                "segment_bytes_max must leave room for one batch of batch_bytes_max and the header",
            ));
        }
        Ok(())
    }

    /// What a segment takes ahead.
    fn room(&self) -> Option<u64> {
        self.preallocate.then_some(self.segment_bytes_max)
    }
}

/// A [`Log`] in segment files. One process at a time has a folder; dropping the log releases it and writes nothing.
#[derive(Debug)]
pub struct Files<S: Storage = Disk> {
    storage: S,
    lock: S::Lock,
    options: Options,
    identity: u64,
    seed: Seed,
    /// The first record kept; a [`Trimmer`] moves it too.
    first: Arc<AtomicU64>,
    /// The last segment's first record, the segment, and where the next batch goes in it.
    active_first: Sequence,
    active: S::File,
    offset: u64,
    /// Up to where the last segment has been written, zeros included, as far as this run knows.
    written: u64,
    batch: Batch,
    last_batch: BatchStats,
    tail: Sequence,
    durable: Sequence,
    poisoned: bool,
}

impl Files<Disk> {
    /// Opens the log in `folder`, which is created if need be, and recovers it.
    ///
    /// # Errors
    /// [`Error::Locked`], [`Error::Linked`], [`Error::Corrupt`], [`Error::Version`], [`Error::Options`], or a failure
    /// of the storage.
    pub fn open(folder: &Path, options: Options) -> Result<(Self, Recovery), Error> {
        let disk = Disk::create(folder).map_err(Error::io("create", &folder.display().to_string()))?;
        Self::open_in(disk, options)
    }
}

impl<S: Storage> Files<S> {
    /// Opens the log in `storage` and recovers it.
    ///
    /// # Errors
    /// As for [`Files::open`].
    pub fn open_in(storage: S, options: Options) -> Result<(Self, Recovery), Error> {
        options.check()?;
        let folder = storage.describe("");
        let lock = storage.lock().map_err(Error::lock(&folder))?;
        let recovered = recovery::recover(&storage, options.room(), options.durable_at_least, options.verify_from)?;
        let Recovered { active, file, identity, offset, report } = recovered;
        let log = Self {
            storage,
            lock,
            options,
            identity,
            seed: Seed::of(identity),
            first: Arc::new(AtomicU64::new(report.first.0)),
            active_first: active,
            active: file,
            offset,
            written: offset,
            batch: Batch::new(options.batch_bytes_max),
            last_batch: BatchStats::default(),
            tail: report.last,
            durable: report.last,
            poisoned: false,
        };
        Ok((log, report))
    }

    /// The log's identity: a random number that no other log has.
    #[must_use]
    pub fn identity(&self) -> u64 {
        self.identity
    }

    /// Trims this log from another thread, so that the writer does not wait for it.
    #[must_use]
    pub fn trimmer(&self) -> Trimmer<S>
    where
        S: Clone,
    {
        Trimmer { storage: self.storage.clone(), first: Arc::clone(&self.first), failed: false }
    }

    /// Runs a step that touches the storage. If it fails, the log is poisoned for good.
    fn guarded<T>(&mut self, step: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        self.alive()?;
        let done = step(self);
        self.poisoned = done.is_err();
        done
    }

    fn alive(&self) -> Result<(), Error> {
        if self.poisoned { Err(Error::Poisoned) } else { Ok(()) }
    }

    /// The path of the last segment, for messages.
    fn active_path(&self) -> String {
        self.storage.describe(&segment::name(self.active_first))
    }

    fn write_batch(&mut self) -> Result<(), Error> {
        let bytes = self.batch.bytes().len() as u64;
        if self.offset.saturating_add(bytes) > self.options.segment_bytes_max {
            self.begin_segment()?;
        }
        if let Err(error) = self.active.write_at(self.batch.bytes(), self.offset) {
            return Err(Error::io("write", &self.active_path())(error));
        }
        if let Err(error) = self.write_zeros(self.offset + bytes) {
            return Err(Error::io("write", &self.active_path())(error));
        }
        if let Err(error) = self.active.sync_data() {
            return Err(Error::io("sync", &self.active_path())(error));
        }
        // What is in a file that the next start will not find is not durable.
        match self.storage.is_named(&self.active, &segment::name(self.active_first)) {
            Ok(true) => {}
            Ok(false) => return Err(Error::Displaced { file: self.active_path() }),
            Err(error) => return Err(Error::io("examine", &self.active_path())(error)),
        }
        self.offset += bytes;
        self.durable = self.tail;
        self.last_batch = self.batch.finish();
        Ok(())
    }

    /// Writes zeros from `end`, where the batch ends, if it went past what had been written; see the module.
    fn write_zeros(&mut self, end: u64) -> io::Result<()> {
        if end <= self.written {
            return Ok(());
        }
        self.written = end;
        if self.options.preallocate {
            let until = (end + ZEROED_AHEAD as u64).next_multiple_of(BLOCK).min(self.options.segment_bytes_max);
            let zeros = usize::try_from(until.saturating_sub(end)).unwrap_or(0).min(ZEROS.len());
            self.active.write_at(&ZEROS[..zeros], end)?;
            self.written += zeros as u64;
        }
        Ok(())
    }

    /// Begins the next segment. All before it is durable, which is what its name will prove.
    fn begin_segment(&mut self) -> Result<(), Error> {
        // A folder that was moved away and created again may be another process's by now.
        let folder = self.storage.describe("");
        if !self.storage.is_locked_by(&self.lock).map_err(Error::io("examine", &folder))? {
            return Err(Error::Displaced { file: folder });
        }
        let first = self.durable.next();
        let header = Header { first, identity: self.identity };
        self.active = segment::create(&self.storage, header, self.options.room())?;
        self.offset = HEADER_BYTES as u64;
        self.written = self.offset;
        self.active_first = first;
        Ok(())
    }

    /// Removes segments from the front while the one after begins no later than one past `up_to`.
    fn remove_up_to(&mut self, up_to: Sequence) -> Result<(), Error> {
        while let Some(first) = segment::remove_first(&self.storage, up_to, 0)? {
            self.first.store(first.0, Ordering::Release);
        }
        Ok(())
    }
}

/// The first records of the segments in `folder`, in order. The log may be open elsewhere.
///
/// # Errors
/// A failure of the storage.
pub fn segments(folder: &Path) -> Result<Vec<Sequence>, Error> {
    segment::list(&Disk::at(folder))
}

/// The name of the segment that begins with record `first`.
#[must_use]
pub fn segment_name(first: Sequence) -> String {
    segment::name(first)
}

/// Gives up segments of a log beside its writer, one at a time.
///
/// It leaves one segment more than [`Log::trim`] does: the last one may have just been begun, and until its header is
/// durable, the one before it must stay.
#[derive(Debug)]
pub struct Trimmer<S: Storage = Disk> {
    storage: S,
    first: Arc<AtomicU64>,
    failed: bool,
}

impl<S: Storage> Trimmer<S> {
    /// Removes the first segment, if all its records are at or before `up_to`, for which a snapshot stands. Whether
    /// there was one.
    ///
    /// # Errors
    /// A failure of the storage; the log can still be written, but is not trimmed any more ([`Error::Poisoned`]).
    pub fn trim_one(&mut self, up_to: Sequence) -> Result<bool, Error> {
        if self.failed {
            return Err(Error::Poisoned);
        }
        let removed = segment::remove_first(&self.storage, up_to, 1);
        // It is not known whether the removal is on disk, and a later one must not get there before it.
        self.failed = removed.is_err();
        let first = removed?;
        if let Some(first) = first {
            self.first.store(first.0, Ordering::Release);
        }
        Ok(first.is_some())
    }
}

impl<S: Storage> Log for Files<S> {
    fn append(&mut self, record: Record<'_>) -> Result<(), Error> {
        self.alive()?;
        assert_eq!(record.sequence, self.tail.next(), "appended out of order");
        let (bytes, limit) = (record.payload.len(), self.options.record_bytes_max);
        if bytes > limit {
            return Err(Error::RecordTooLarge { bytes, limit });
        }
        self.batch.push(self.seed, self.durable, record)?;
        self.tail = record.sequence;
        Ok(())
    }

    fn sync(&mut self) -> Result<Sequence, Error> {
        self.alive()?;
        if !self.batch.is_empty() {
            self.guarded(Self::write_batch)?;
        }
        Ok(self.durable)
    }

    fn tail(&self) -> Sequence {
        self.tail
    }

    fn durable(&self) -> Sequence {
        self.durable
    }

    fn first(&self) -> Sequence {
        Sequence(self.first.load(Ordering::Acquire))
    }

    fn trim(&mut self, up_to: Sequence) -> Result<(), Error> {
        assert!(up_to <= self.durable, "trimmed past what is durable");
        self.guarded(|log| log.remove_up_to(up_to))
    }

    fn last_batch(&self) -> BatchStats {
        self.last_batch
    }
}
