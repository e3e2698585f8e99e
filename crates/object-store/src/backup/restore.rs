//! Restores a backup into an empty folder.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use crossbook_log::storage::Disk;
use crossbook_log::{Files, Log as _, files, skip};
use crossbook_types::Sequence;

use super::manifest::{Manifest, Stored};
use super::repository::Repository;
use super::target::Target;
use super::{Error, Progress};
use crossbook_node::snapshot;

/// What was restored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Restored {
    /// What the backup consists of.
    pub manifest: Manifest,
    /// Bytes that were written.
    pub bytes: u64,
}

/// Restores the backup in `repository`. Everything is verified before it gets the name under which a venue looks for
/// it, the log last. Before that, `mark` writes [`Target::mark`], so that what the log had lost is known of the
/// restored one, too.
///
/// # Errors
/// See [`Error`]. What was begun is removed; if not even that can be done, no venue starts on it, and the next
/// restoration removes it.
pub fn restore(
    repository: &Repository,
    target: &Target,
    mark: impl FnOnce(&Manifest) -> std::io::Result<()>,
    progress: impl FnMut(Progress),
) -> Result<Restored, Error> {
    let manifest = repository.manifest()?.ok_or_else(|| repository.absent())?;
    repository.check_parts(&manifest)?;
    if repository.is_within(target) {
        return Err(Error::Occupied(target.data.clone()));
    }
    target.clear()?;
    let restored = write(repository, &manifest, target, progress).and_then(|bytes| {
        finish(&manifest, target, mark)?;
        Ok(bytes)
    });
    if restored.is_err() {
        // The first failure is returned.
        let _ = target.remove_unfinished();
    }
    let bytes = restored?;
    Ok(Restored { manifest, bytes })
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |source| Error::File { action, path, source }
}

/// Writes the parts, and verifies them. Returns how many bytes they have.
fn write(
    repository: &Repository,
    manifest: &Manifest,
    target: &Target,
    mut progress: impl FnMut(Progress),
) -> Result<u64, Error> {
    let [log, snapshots] = [&target.log, &target.snapshots].map(|folder| Target::unfinished(folder));
    // The log first: as long as its unfinished folder is there, no venue starts.
    for folder in [&log, &snapshots] {
        fs::create_dir(folder).map_err(failed("create", folder))?;
    }
    let mut bytes = 0;
    if let Some((at, stored)) = &manifest.snapshot {
        copy(repository, stored, &snapshots.join(snapshot::name(*at)))?;
        bytes += stored.bytes;
    }
    for (at, segment) in manifest.segments.iter().enumerate() {
        copy(repository, &segment.stored, &log.join(files::segment_name(segment.first)))?;
        bytes += segment.stored.bytes;
        let (segments, segments_of) = (at + 1, manifest.segments.len());
        progress(Progress { at: segment.last, segments, segments_of, bytes });
    }
    if let Some(marks) = manifest.marks.as_ref().filter(|marks| !marks.is_empty()) {
        skip::write_list(&Disk::at(&log), marks)?;
    }
    check(manifest, &log)?;
    Ok(bytes)
}

/// Gives the parts their names, durably.
fn finish(
    manifest: &Manifest,
    target: &Target,
    mark: impl FnOnce(&Manifest) -> std::io::Result<()>,
) -> Result<(), Error> {
    let [log, snapshots] = [&target.log, &target.snapshots].map(|folder| Target::unfinished(folder));
    let sync = |folder: &Path| File::open(folder).and_then(|folder| folder.sync_all());
    for folder in [&log, &snapshots] {
        sync(folder).map_err(failed("sync", folder))?;
    }
    mark(manifest).map_err(failed("write", &target.mark))?;
    for (from, to) in [(&snapshots, &target.snapshots), (&log, &target.log)] {
        fs::rename(from, to).map_err(failed("rename", from))?;
        sync(&target.data).map_err(failed("sync", &target.data))?;
    }
    if let Some(parent) = target.data.parent() {
        sync(parent).map_err(failed("sync", parent))?;
    }
    Ok(())
}

/// Writes an object into a file, durably.
fn copy(repository: &Repository, stored: &Stored, path: &Path) -> Result<(), Error> {
    let failed = |action| {
        let path = path.to_owned();
        move |source| Error::File { action, path, source }
    };
    let mut file = File::create_new(path).map_err(failed("create"))?;
    let found = repository.read(stored, |part| file.write_all(part).map_err(failed("write")))?;
    found.map_err(|reason| repository.damaged(stored, reason))?;
    file.sync_all().map_err(failed("sync"))
}

/// Opens the log as a venue does, and sees that it is the one that was backed up.
fn check(manifest: &Manifest, folder: &Path) -> Result<(), Error> {
    if manifest.segments.is_empty() {
        return Ok(());
    }
    let options = files::Options { durable_at_least: manifest.last, ..files::Options::default() };
    let (log, _) = Files::open(folder, options)?;
    let (found, found_log) = (log.durable(), format!("{:016x}", log.identity()));
    if found == manifest.last && found_log == manifest.log {
        return Ok(());
    }
    let (expected, expected_log): (Sequence, String) = (manifest.last, manifest.log.clone());
    Err(Error::Other { expected, expected_log, found, found_log })
}
