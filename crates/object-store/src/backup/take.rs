//! Takes a backup of a running or stopped venue.

use std::path::Path;

use crossbook_log::storage::Disk;
use crossbook_log::{Error as LogError, FileReader, Reader as _, Until, files, skip};
use crossbook_types::Sequence;

use super::manifest::{Manifest, Segment, Stored};
use super::repository::{Repository, Upload};
use super::{Error, Progress};
use crossbook_node::snapshot::{self, Folder, Saved as _};

/// How often the log may be trimmed under the hands of a run.
const ATTEMPTS_MAX: usize = 8;

/// The record at which a log began, of the log of that identity: it may begin later only where it was trimmed, and then
/// this is later, too. `None`: it is not known.
pub type Began<'a> = dyn Fn(&str) -> Result<Option<Sequence>, Box<dyn std::error::Error + Send + Sync>> + 'a;

/// What is to be backed up.
#[derive(Clone, Copy)]
#[allow(missing_debug_implementations, reason = "it has a closure")]
pub struct Source<'a> {
    /// The folder of the log.
    pub log: &'a Path,
    /// The folder of the snapshots.
    pub snapshots: &'a Path,
    /// Where the log began. It is asked when the log was copied, so a log that was trimmed meanwhile has lost nothing.
    pub began: &'a Began<'a>,
}

/// How a backup is taken.
#[derive(Clone, Debug)]
pub struct Options {
    /// Reads everything back, also what earlier runs have copied.
    pub verify_all: bool,
    /// The time now, in milliseconds since the Unix epoch.
    pub now: u64,
    /// A number that no other run has.
    pub run: u32,
}

/// What a run has done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Taken {
    /// What the backup consists of now.
    pub manifest: Manifest,
    /// Segments that this run copied.
    pub segments_copied: usize,
    /// Bytes that this run copied, the snapshot included.
    pub bytes_copied: u64,
    /// Segments of the backup before that are not in this one, because the log does not lead on from them any more.
    pub segments_dropped: usize,
    /// Whether this run copied a snapshot.
    pub snapshot_copied: bool,
}

/// Backs up a venue. What `repository` has of it already is not copied again.
///
/// # Errors
/// See [`Error`]; the backup that was there before is untouched then.
pub fn take(
    source: Source<'_>,
    repository: &Repository,
    options: &Options,
    mut progress: impl FnMut(Progress),
) -> Result<Taken, Error> {
    let _lock = repository.lock()?;
    let before = repository.manifest()?;
    let run = Run { source, repository, options, before: before.as_ref() };
    let copied = run.take(&mut progress).and_then(|taken| match repository.manifest()? == before {
        true => Ok(taken),
        false => Err(Error::Overtaken(repository.address().to_owned())),
    });
    let taken = copied.inspect_err(|_| {
        // Everything that any manifest names stays, and so does the manifest. The first failure is returned.
        let _ = repository.remove_own(options.run);
    })?;
    repository.put_manifest(&taken.manifest)?;
    repository.check_parts(&taken.manifest)?;
    repository.remove_stray(options.run, before.as_ref(), &taken.manifest)?;
    Ok(taken)
}

/// What a run takes over from the previous backup.
#[derive(Default)]
struct Reused {
    segments: Vec<Segment>,
    /// The skipped records in them.
    marks: Vec<Sequence>,
}

/// What a run has copied of the log.
struct Copied {
    segments: Vec<Segment>,
    /// The skipped records in them.
    marks: Vec<Sequence>,
    /// The identity of the log, if there was a record.
    log: Option<u64>,
}

struct Run<'a> {
    source: Source<'a>,
    repository: &'a Repository,
    options: &'a Options,
    before: Option<&'a Manifest>,
}

impl Run<'_> {
    fn take(&self, progress: &mut impl FnMut(Progress)) -> Result<Taken, Error> {
        for _ in 0..ATTEMPTS_MAX {
            if let Some(taken) = self.attempt(progress)? {
                return Ok(taken);
            }
            tracing::info!("the log was trimmed while it was copied; starting again with a newer snapshot");
        }
        Err(Error::Trimmed(ATTEMPTS_MAX))
    }

    /// Copies everything that is not there yet. `None` if the log was trimmed meanwhile.
    fn attempt(&self, progress: &mut impl FnMut(Progress)) -> Result<Option<Taken>, Error> {
        // First, so that the log reaches at least as far.
        let snapshot = self.newest_snapshot()?;
        let firsts = files::segments(self.source.log)?;
        let Some(Reused { segments: kept, marks: kept_marks }) = self.kept(&firsts)? else { return Ok(None) };
        let at = snapshot.as_ref().map_or(Sequence(0), |(at, _)| *at);
        let first = kept.first().map(|segment| segment.first).or(firsts.first().copied()).unwrap_or(Sequence(1));
        if first > at.next() {
            // The snapshots were thinned out after the one was read, or none is good.
            return if self.newest_snapshot()?.is_none_or(|(newest, _)| newest == at) {
                Err(Error::NoSnapshot { first })
            } else {
                Ok(None)
            };
        }
        let from = kept.last().map_or(first, |segment| segment.last.next());
        let Copied { segments: copied, marks, log } = match self.copy_log(from, &firsts, progress) {
            Err(Error::Log(LogError::Trimmed { .. })) => return Ok(None),
            copied => copied?,
        };
        let mut manifest = match (self.before, log) {
            (before, Some(log)) => {
                let log = format!("{log:016x}");
                if let Some(before) = before.filter(|before| before.log != log) {
                    return Err(self.foreign(log, before.log.clone()));
                }
                Manifest::new(log, self.options.now)
            }
            (Some(before), None) => Manifest::new(before.log.clone(), self.options.now),
            (None, None) => Manifest::new(String::new(), self.options.now),
        };
        let segments_copied = copied.len();
        let mut bytes_copied = copied.iter().map(|segment| segment.stored.bytes).sum();
        manifest.segments = kept;
        manifest.segments.extend(copied.iter().cloned());
        manifest.last = manifest.segments.last().map_or(Sequence(from.0 - 1), |segment| segment.last);
        manifest.marks = Some(kept_marks.into_iter().chain(marks).collect());
        let finished = self.before.iter().flat_map(|before| &before.segments).filter(|segment| segment.finished);
        let segments_dropped = finished.filter(|segment| segment.last < manifest.first()).count();
        if at > manifest.last {
            return Err(Error::LogBehind { end: manifest.last, snapshot: at });
        }
        self.check_goes_on(manifest.last)?;
        manifest.last_time = self.time_of(manifest.last)?;
        if !manifest.segments.is_empty() {
            let began = (self.source.began)(&manifest.log).map_err(Error::Began)?;
            manifest.began = began.map(|began| began.min(manifest.first()));
        }
        let same = |at| self.before.and_then(|before| before.snapshot.clone()).filter(|(kept, _)| *kept == at);
        let mut snapshot_copied = false;
        manifest.snapshot = match snapshot {
            None => None,
            Some((at, image)) => match same(at) {
                Some(kept) => Some(kept),
                None => {
                    let stored = self.copy_snapshot(at, &image)?;
                    bytes_copied += stored.bytes;
                    snapshot_copied = true;
                    Some((at, stored))
                }
            },
        };
        let superseded = self.before.iter().flat_map(|before| before.objects());
        let superseded = superseded.filter(|stored| !manifest.objects().any(|kept| kept.object == stored.object));
        let superseded: Vec<String> = superseded.map(|stored| stored.object.clone()).collect();
        manifest.superseded = superseded;
        self.verify(&manifest)?;
        Ok(Some(Taken { manifest, segments_copied, bytes_copied, segments_dropped, snapshot_copied }))
    }

    /// Refuses a log that ends before the previous backup, or has another record at its end. The bytes may differ,
    /// because a skipped command is marked.
    fn check_goes_on(&self, end: Sequence) -> Result<(), Error> {
        let Some(before) = self.before else { return Ok(()) };
        let diverged = || Err(Error::Diverged { address: self.repository.address().to_owned(), last: before.last });
        if before.last > end {
            return diverged();
        }
        match (before.last_time, self.time_of(before.last)?) {
            (Some(had), Some(has)) if had != has => diverged(),
            _ => Ok(()),
        }
    }

    /// The time of a record of the log, unless it was trimmed.
    fn time_of(&self, at: Sequence) -> Result<Option<u64>, Error> {
        if at == Sequence(0) {
            return Ok(None);
        }
        match FileReader::open(self.source.log, at).next(Until::End) {
            Ok(record) => Ok(record.map(|record| record.time.0)),
            Err(LogError::Trimmed { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The newest good snapshot.
    fn newest_snapshot(&self) -> Result<Option<(Sequence, Vec<u8>)>, Error> {
        if !self.source.snapshots.is_dir() {
            return Ok(None);
        }
        let folder = Folder::at(self.source.snapshots);
        for at in folder.list()? {
            match folder.load(at) {
                Ok(Some(image)) => return Ok(Some((at, image))),
                // One that is being removed looks damaged; there is a newer one then, which came before it in the list.
                Ok(None) => {}
                Err(error) if error.is_gone() => {}
                Err(error) => tracing::warn!(%error, "a snapshot cannot be read; using the previous one"),
            }
        }
        Ok(None)
    }

    /// The first record that is skipped in the log and not in the previous backup, or the other way round. The log's
    /// list and `marks`, those of the previous backup, name the candidates; the log itself shows how they are now.
    fn first_marked_otherwise(&self, before: &Manifest, marks: &[Sequence]) -> Result<Option<Sequence>, Error> {
        let listed = skip::listed(&Disk::at(self.source.log))?;
        let mut either: Vec<Sequence> = listed.iter().chain(marks).copied().collect();
        either.sort_unstable();
        either.dedup();
        for at in either.into_iter().filter(|at| before.first() <= *at && *at <= before.last) {
            let was = marks.binary_search(&at).is_ok();
            let is = match FileReader::open(self.source.log, at).next(Until::End) {
                Ok(Some(record)) => skip::is_marked(record.payload),
                Ok(None) => was,
                // Only the list knows. It may lack what is marked, where the log was copied without it.
                Err(LogError::Trimmed { .. }) => was || listed.binary_search(&at).is_ok(),
                Err(error) => return Err(error.into()),
            };
            if is != was {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    /// The finished segments of the previous backup that need not be copied again, and the skipped records in them.
    /// `None` if the log was trimmed meanwhile.
    fn kept(&self, firsts: &[Sequence]) -> Result<Option<Reused>, Error> {
        let Some(before) = self.before else { return Ok(Some(Reused::default())) };
        let finished = || before.segments.iter().filter(|segment| segment.finished).cloned();
        let Some(marks) = &before.marks else { return self.unchanged(before, finished(), firsts) };
        let mut segments: Vec<Segment> = finished().collect();
        if let Some(at) = self.first_marked_otherwise(before, marks)? {
            segments.retain(|segment| segment.last < at);
        }
        let (Some(last), Some(&first)) = (segments.last(), firsts.first()) else { return Ok(Some(Reused::default())) };
        if first > last.last.next() {
            // What lies between is in neither. The snapshot stands for it.
            return Ok(Some(Reused::default()));
        }
        let is_same = first == last.last.next() || {
            // The last one that both have must be the same in both, or the log has been another one since.
            match self.same(before, last, firsts)? {
                Some((is_same, _)) => is_same,
                None => return Ok(None),
            }
        };
        if !is_same {
            return Err(Error::Diverged { address: self.repository.address().to_owned(), last: last.last });
        }
        let end = last.last;
        let marks = marks.iter().copied().filter(|at| *at <= end).collect();
        Ok(Some(Reused { segments, marks }))
    }

    /// The segments of a backup whose manifest does not know the skipped records, up to the first one that is not in
    /// the log as it was copied. Each is read once; the next manifest knows the skipped records.
    fn unchanged(
        &self,
        before: &Manifest,
        finished: impl Iterator<Item = Segment>,
        firsts: &[Sequence],
    ) -> Result<Option<Reused>, Error> {
        let mut kept = Reused::default();
        for segment in finished {
            // A segment that was trimmed is in the backup alone; what was skipped in it is not known, so it is dropped
            // where the log and a snapshot do without it.
            match self.same(before, &segment, firsts)? {
                Some((true, marks)) => {
                    kept.marks.extend(marks);
                    kept.segments.push(segment);
                }
                Some((false, _)) if kept.segments.is_empty() => {}
                Some((false, _)) => break,
                None => return Ok(None),
            }
        }
        Ok(Some(kept))
    }

    /// Whether the log has a segment as the previous backup has it, and the skipped records in it. `None` if the log
    /// was trimmed meanwhile.
    fn same(
        &self,
        before: &Manifest,
        segment: &Segment,
        firsts: &[Sequence],
    ) -> Result<Option<(bool, Vec<Sequence>)>, Error> {
        let mut marks = Vec::new();
        if !firsts.contains(&segment.first) || !firsts.contains(&segment.last.next()) {
            return Ok(Some((false, marks)));
        }
        let mut compared = Compared::default();
        let mut reader = FileReader::open(self.source.log, segment.first);
        loop {
            match reader.next(Until::End) {
                Ok(Some(record)) if record.sequence > segment.last => break,
                Ok(Some(record)) if skip::is_marked(record.payload) => marks.push(record.sequence),
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(LogError::Trimmed { .. }) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
            if compared.bytes == 0 {
                compared.take(&reader.segment_header().unwrap_or_default());
                let found = format!("{:016x}", reader.identity().unwrap_or_default());
                if found != before.log {
                    return Err(self.foreign(found, before.log.clone()));
                }
            }
            compared.take(reader.frame()?);
        }
        Ok(Some((compared.is(&segment.stored), marks)))
    }

    /// Copies the log from record `from`, which begins a segment, to its end.
    fn copy_log(
        &self,
        from: Sequence,
        firsts: &[Sequence],
        progress: &mut impl FnMut(Progress),
    ) -> Result<Copied, Error> {
        let mut reader = FileReader::open(self.source.log, from);
        let mut marks = Vec::new();
        let mut copied: Vec<Segment> = Vec::new();
        let mut under_way: Option<(Sequence, Sequence, Upload<'_>)> = None;
        let to_copy = firsts.iter().filter(|first| **first >= from).count();
        let mut bytes = 0;
        let finish = |under_way: Option<(Sequence, Sequence, Upload<'_>)>, finished, copied: &mut Vec<Segment>| {
            if let Some((first, last, upload)) = under_way {
                copied.push(Segment { first, last, finished, stored: upload.finish()? });
            }
            Ok::<_, Error>(())
        };
        while let Some(record) = reader.next(Until::End)? {
            let (sequence, is_marked) = (record.sequence, skip::is_marked(record.payload));
            let segment = reader.segment().unwrap_or(sequence);
            if under_way.as_ref().is_none_or(|(first, ..)| *first != segment) {
                finish(under_way.take(), true, &mut copied)?;
                if sequence != segment {
                    return Err(Error::Diverged {
                        address: self.repository.address().to_owned(),
                        last: Sequence(from.0 - 1),
                    });
                }
                // Everything that was acknowledged when the run began is copied by now. A venue that writes faster than
                // this copies must not keep it running without end.
                if copied.len() >= to_copy.max(1) {
                    break;
                }
                let mut upload = self.repository.upload_segment(segment, self.options.run);
                upload.write(&reader.segment_header().unwrap_or_default())?;
                under_way = Some((segment, sequence, upload));
            }
            let Some((_, last, upload)) = &mut under_way else { break };
            let frame = reader.frame()?;
            upload.write(frame)?;
            *last = sequence;
            if is_marked {
                marks.push(sequence);
            }
            bytes += frame.len() as u64;
            if sequence.0 % 8_192 == 0 {
                progress(Progress { at: sequence, segments: copied.len(), segments_of: to_copy, bytes });
            }
        }
        finish(under_way, false, &mut copied)?;
        if let Some(segment) = copied.last() {
            let segments = copied.len();
            progress(Progress { at: segment.last, segments, segments_of: segments.max(to_copy), bytes });
        }
        Ok(Copied { segments: copied, marks, log: reader.identity() })
    }

    fn copy_snapshot(&self, at: Sequence, image: &[u8]) -> Result<Stored, Error> {
        let mut upload = self.repository.upload_state(at, self.options.run);
        let (header, checksum) = snapshot::frame(image);
        upload.write(&header)?;
        upload.write(image)?;
        upload.write(&checksum)?;
        upload.finish()
    }

    /// Reads back what this run has written, or everything. What earlier runs have written must be there.
    fn verify(&self, manifest: &Manifest) -> Result<(), Error> {
        self.repository.check_parts(manifest)?;
        for stored in manifest.objects() {
            let known = self.before.is_some_and(|before| before.objects().any(|object| object == stored));
            if known && !self.options.verify_all {
                continue;
            }
            if let Err(reason) = self.repository.read(stored, |_| Ok(()))? {
                let (address, object) = (self.repository.address().to_owned(), stored.object.clone());
                return Err(match known {
                    true => self.repository.damaged(stored, reason),
                    false => Error::NotReadBack { address, object, reason },
                });
            }
        }
        Ok(())
    }

    fn foreign(&self, expected: String, found: String) -> Error {
        Error::Foreign { address: self.repository.address().to_owned(), expected, found }
    }
}

/// The length and the checksum of a segment in the log.
#[derive(Default)]
struct Compared {
    bytes: u64,
    hash: sha2::Sha256,
}

impl Compared {
    fn take(&mut self, bytes: &[u8]) {
        sha2::Digest::update(&mut self.hash, bytes);
        self.bytes += bytes.len() as u64;
    }

    fn is(self, stored: &Stored) -> bool {
        self.bytes == stored.bytes && hex::encode(sha2::Digest::finalize(self.hash)) == stored.sha256
    }
}
