//! The repository of a backup: objects that are written as a whole, read back, listed and removed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crossbook_types::Sequence;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt as _, PutPayload};
use sha2::{Digest as _, Sha256};

use super::Error;
use super::manifest::{Manifest, Stored};
use super::target::Target;
use crate::snapshots::{Absent, Address, Blocking, Options, PART_BYTES_MIN, connect};

/// The object that lists what belongs to the backup.
const MANIFEST: &str = "manifest.json";
/// Where the parts of a backup are.
const SEGMENTS: &str = "segments";
const STATES: &str = "states";
/// Objects that no manifest names are left alone for so long: another run may be about to name them.
const STRAY_AFTER: Duration = Duration::from_secs(24 * 3_600);

/// What the names of a run's objects have in them, and no other's.
fn mark(run: u32) -> String {
    format!("-{run:08x}.")
}

/// Where backups of a venue are kept: a folder or a prefix of an object store.
#[derive(Debug)]
pub struct Repository {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    address: String,
    part_bytes: usize,
    runtime: Blocking,
}

impl Repository {
    /// The repository at an address, with the time that requests may take. A folder that is not there is made.
    ///
    /// # Errors
    /// When the address is none, or the environment does not say what else is needed.
    pub fn to_write(address: Address, options: &Options) -> Result<Self, Error> {
        Self::open(address, options, Absent::Make)
    }

    /// The same, where a folder has to be there.
    ///
    /// # Errors
    /// As for [`Repository::to_write`], and when the folder is not there.
    pub fn to_read(address: Address, options: &Options) -> Result<Self, Error> {
        Self::open(address, options, Absent::Refuse)
    }

    fn open(address: Address, options: &Options, absent: Absent) -> Result<Self, Error> {
        let named = address.to_string();
        let options = Options { address, ..options.clone() };
        let failed = |source| Error::Repository { action: "reach", address: named.clone(), source };
        let (store, prefix) = connect(&options, absent).map_err(failed)?;
        let runtime = Blocking::new().map_err(|source| failed(source.into()))?;
        let part_bytes = options.part_bytes_max.max(PART_BYTES_MIN);
        Ok(Self { store, prefix, address: named, part_bytes, runtime })
    }

    /// The folder or the URL.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    fn path(&self, object: &str) -> Path {
        object.split('/').fold(self.prefix.clone(), |path, part| path.join(part))
    }

    fn failed(&self, action: &'static str, object: &str) -> impl FnOnce(object_store::Error) -> Error + use<> {
        let address = format!("{} ({object})", self.address);
        move |source| Error::Repository { action, address, source: source.into() }
    }

    /// The manifest of the backup; `None` if there is none.
    ///
    /// # Errors
    /// When it cannot be read, or is not what was written.
    pub fn manifest(&self) -> Result<Option<Manifest>, Error> {
        let got = self.runtime.run(async { self.store.get(&self.path(MANIFEST)).await?.bytes().await });
        let text = match got {
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            got => got.map_err(self.failed("read", MANIFEST))?,
        };
        let wrong = |reason| Error::Manifest { address: self.address.clone(), reason };
        Manifest::decode(&text).map(Some).map_err(wrong)
    }

    /// Makes that the manifest of the backup, in one step, and reads it back.
    pub(super) fn put_manifest(&self, manifest: &Manifest) -> Result<(), Error> {
        let path = self.path(MANIFEST);
        let put = self.runtime.run(async { self.store.put(&path, manifest.encode().into()).await });
        put.map_err(self.failed("write", MANIFEST))?;
        if self.manifest()?.as_ref() == Some(manifest) {
            return Ok(());
        }
        let (object, reason) = (MANIFEST.to_owned(), "it is another one".to_owned());
        Err(Error::NotReadBack { address: self.address.clone(), object, reason })
    }

    /// The sizes and ages of all objects that may be parts of a backup.
    pub(super) fn parts(&self) -> Result<BTreeMap<String, (u64, Duration)>, Error> {
        let mut found = BTreeMap::new();
        for folder in [SEGMENTS, STATES] {
            let prefix = self.path(folder);
            let listed = self.runtime.run(async { self.store.list_with_delimiter(Some(&prefix)).await });
            for object in listed.map_err(self.failed("list", folder))?.objects {
                let Some(name) = object.location.filename() else { continue };
                let age = SystemTime::now().duration_since(object.last_modified.into()).unwrap_or_default();
                found.insert(format!("{folder}/{name}"), (object.size, age));
            }
        }
        Ok(found)
    }

    /// Whether all that a manifest names is there, as long as it should be.
    pub(super) fn check_parts(&self, manifest: &Manifest) -> Result<(), Error> {
        let parts = self.parts()?;
        for Stored { object, bytes, .. } in manifest.objects() {
            let reason = match parts.get(object) {
                None => "is missing".to_owned(),
                Some((found, _)) if found != bytes => format!("has {found} bytes, not {bytes}"),
                Some(_) => continue,
            };
            return Err(Error::Damaged { address: self.address.clone(), object: object.clone(), reason });
        }
        Ok(())
    }

    /// Reads an object part by part. What is wrong with it, if it is not what was stored.
    pub(super) fn read(
        &self,
        stored: &Stored,
        mut take: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<Result<(), String>, Error> {
        let path = self.path(&stored.object);
        let mut hash = Sha256::new();
        for from in (0..stored.bytes).step_by(self.part_bytes) {
            let to = stored.bytes.min(from + self.part_bytes as u64);
            let got = self.runtime.run(async { self.store.get_range(&path, from..to).await });
            let part = match got {
                Err(object_store::Error::NotFound { .. }) => return Ok(Err("is missing".to_owned())),
                got => got.map_err(self.failed("read", &stored.object))?,
            };
            hash.update(&part);
            take(&part)?;
        }
        let found = hex::encode(hash.finalize());
        Ok(if found == stored.sha256 { Ok(()) } else { Err("does not have the checksum that it had".to_owned()) })
    }

    /// Begins the copy of a segment.
    pub(super) fn upload_segment(&self, first: Sequence, run: u32) -> Upload<'_> {
        self.upload(format!("{SEGMENTS}/{:020}{}log", first.0, mark(run)))
    }

    /// Begins the copy of a snapshot.
    pub(super) fn upload_state(&self, at: Sequence, run: u32) -> Upload<'_> {
        self.upload(format!("{STATES}/{:020}{}bin", at.0, mark(run)))
    }

    fn upload(&self, object: String) -> Upload<'_> {
        Upload { repository: self, object, parts: None, part: Vec::new(), bytes: 0, hash: Sha256::new() }
    }

    /// Keeps other runs out while one is at work, where the repository is a folder of a file system that can do that.
    ///
    /// # Errors
    /// [`Error::Busy`] when another is at work.
    pub(super) fn lock(&self) -> Result<Option<std::fs::File>, Error> {
        let Some(folder) = Address::new(&self.address).folder() else { return Ok(None) };
        let failed = |source: std::io::Error| Error::Repository {
            action: "open",
            address: self.address.clone(),
            source: source.into(),
        };
        let file = std::fs::File::open(folder).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(std::fs::TryLockError::WouldBlock) => Err(Error::Busy(self.address.clone())),
            Err(std::fs::TryLockError::Error(error)) => {
                tracing::warn!(address = %self.address, %error, "the target of the backup cannot be locked against other runs");
                Ok(None)
            }
        }
    }

    /// Removes parts that belong neither to the backup `now` nor to the one before: those that the one before
    /// superseded, what this run has left, and what was left by runs that were cut short long ago.
    pub(super) fn remove_stray(&self, run: u32, before: Option<&Manifest>, now: &Manifest) -> Result<(), Error> {
        self.remove(|object, age| {
            let named = |manifest: &Manifest| manifest.objects().any(|stored| stored.object == object);
            let superseded = |before: &Manifest| before.superseded.iter().any(|superseded| superseded == object);
            let kept = named(now) || before.is_some_and(named);
            !kept && (object.contains(&mark(run)) || before.is_some_and(superseded) || age >= STRAY_AFTER)
        })
    }

    /// Removes the parts that a run has written.
    pub(super) fn remove_own(&self, run: u32) -> Result<(), Error> {
        self.remove(|object, _| object.contains(&mark(run)))
    }

    fn remove(&self, is_stray: impl Fn(&str, Duration) -> bool) -> Result<(), Error> {
        for (object, (_, age)) in self.parts()? {
            if !is_stray(&object, age) {
                continue;
            }
            let path = self.path(&object);
            match self.runtime.run(async { self.store.delete(&path).await }) {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(self.failed("remove from", &object)(error)),
            }
        }
        Ok(())
    }

    /// The error where a manifest should be, and is not.
    pub(super) fn absent(&self) -> Error {
        match self.parts() {
            Ok(parts) if !parts.is_empty() => Error::Unfinished { address: self.address.clone(), objects: parts.len() },
            Ok(_) => Error::Absent(self.address.clone()),
            Err(error) => error,
        }
    }

    /// The error for an object that differs from what was stored.
    pub(super) fn damaged(&self, stored: &Stored, reason: String) -> Error {
        Error::Damaged { address: self.address.clone(), object: stored.object.clone(), reason }
    }

    /// Whether the data folder to be restored is in this repository, or the repository in it.
    pub(super) fn is_within(&self, target: &Target) -> bool {
        let Some(folder) = Address::new(&self.address).folder() else { return false };
        folder.starts_with(&target.data) || target.data.starts_with(&folder)
    }
}

/// An object that is being uploaded.
pub(super) struct Upload<'a> {
    repository: &'a Repository,
    object: String,
    /// Once there is more than one request takes.
    parts: Option<Box<dyn MultipartUpload>>,
    part: Vec<u8>,
    bytes: u64,
    hash: Sha256,
}

impl Upload<'_> {
    /// Appends to it.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        self.part.extend_from_slice(bytes);
        while self.part.len() >= self.repository.part_bytes {
            let rest = self.part.split_off(self.repository.part_bytes);
            let part = std::mem::replace(&mut self.part, rest);
            self.send(part)?;
        }
        Ok(())
    }

    fn send(&mut self, part: Vec<u8>) -> Result<(), Error> {
        let Repository { store, runtime, .. } = self.repository;
        let path = self.repository.path(&self.object);
        let sent = runtime.run(async {
            let parts = match &mut self.parts {
                Some(parts) => parts,
                None => self.parts.insert(store.put_multipart(&path).await?),
            };
            parts.put_part(PutPayload::from(part)).await
        });
        sent.map_err(self.repository.failed("write", &self.object))
    }

    /// Makes it visible, as a whole.
    pub(super) fn finish(mut self) -> Result<Stored, Error> {
        let part = std::mem::take(&mut self.part);
        let Repository { store, runtime, .. } = self.repository;
        let path = self.repository.path(&self.object);
        match self.parts.take() {
            None => runtime.run(async { store.put(&path, part.into()).await.map(drop) }),
            Some(mut parts) => runtime.run(async {
                if !part.is_empty() {
                    parts.put_part(PutPayload::from(part)).await?;
                }
                parts.complete().await.map(drop)
            }),
        }
        .map_err(self.repository.failed("write", &self.object))?;
        let sha256 = hex::encode(std::mem::take(&mut self.hash).finalize());
        Ok(Stored { object: std::mem::take(&mut self.object), bytes: self.bytes, sha256 })
    }
}

impl Drop for Upload<'_> {
    fn drop(&mut self) {
        // An aborted upload is never visible, but takes space.
        if let Some(mut parts) = self.parts.take() {
            let _ = self.repository.runtime.run(async { parts.abort().await });
        }
    }
}
