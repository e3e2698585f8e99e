//! Snapshots in an object store: S3 or a compatible store, or a folder that several processes share.
//!
//! Each partition has a prefix of its own, `<venue>/p<N>/`. An object is written as a whole, so it is complete or does
//! not exist. Several processes may write the snapshots of one partition: a snapshot is the same whoever takes it, and
//! removing an old one that is already gone succeeds.
//!
//! All functions block, within the limits of [`Options`]: call them from a thread of their own, never from an
//! asynchronous task.

use std::io::ErrorKind;
use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::Duration;

use crossbook_log::storage::Disk;
use crossbook_types::{PartitionId, Sequence};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{BackoffConfig, ClientConfigKey, ObjectStore, ObjectStoreExt as _, PutPayload, RetryConfig};
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;
use url::Url;

use crossbook_node::snapshot::{
    CHECKSUM_BYTES, Error, HEADER_BYTES, Retention, Saved, Snapshots, Verified, frame, name, named, unframe,
};

/// S3 takes parts of 5 MiB and more.
pub(crate) const PART_BYTES_MIN: usize = 5 << 20;

/// Where snapshots are kept that several machines share, and how long to wait for it. Every bound of this module is
/// here.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// `file:///PATH`, or `s3://BUCKET/PREFIX`.
    pub address: Address,
    /// How long a connection may take to be made.
    pub connect_timeout_ms: u64,
    /// How long one request may take, its whole content included.
    pub request_timeout_ms: u64,
    /// How often a request that failed is made again; 0: never.
    pub retries_max: usize,
    /// The longest pause before a request is made again. The first is a tenth of that.
    pub retry_pause_max_ms: u64,
    /// After that time, counted from its first attempt, a request is not made again.
    pub retry_timeout_ms: u64,
    /// The most bytes in one request; at least 5 MiB. A larger snapshot travels in parts.
    pub part_bytes_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            address: Address::default(),
            connect_timeout_ms: 3_000,
            request_timeout_ms: 30_000,
            retries_max: 5,
            retry_pause_max_ms: 5_000,
            retry_timeout_ms: 60_000,
            part_bytes_max: 32 << 20,
        }
    }
}

/// Where objects are: `file:///PATH`, an absolute path, or `s3://BUCKET/PREFIX`. Whatever else S3 needs comes from the
/// environment, under its usual names: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, `AWS_ENDPOINT`,
/// `AWS_ALLOW_HTTP`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Address(String);

impl Address {
    /// An address as given.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The address of a place as people give it: one of the above, or the path of a folder.
    ///
    /// # Errors
    /// When it is a relative path, and the system does not say what it is relative to.
    pub fn of_place(text: &str) -> std::io::Result<Self> {
        if text.contains("://") {
            return Ok(Self::new(text));
        }
        let folder = std::path::absolute(text)?;
        Url::from_directory_path(folder)
            .map(|url| Self(url.into()))
            .map_err(|()| std::io::ErrorKind::InvalidInput.into())
    }
}

impl Address {
    /// The folder of this machine that it names, if it does.
    #[must_use]
    pub fn folder(&self) -> Option<std::path::PathBuf> {
        let url = Url::parse(&self.0).ok().filter(|url| url.scheme() == "file")?;
        url.to_file_path().ok()
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is wrong with an address.
#[derive(Debug, thiserror::Error)]
#[error("not an object-store URL: use file:///PATH or s3://BUCKET/PREFIX")]
struct Unknown;

/// Whether a folder that is not there is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Absent {
    Make,
    Refuse,
}

/// Snapshots of one partition in an object store.
#[derive(Clone, Debug)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
    /// Where the partition's objects are.
    prefix: Path,
    /// The same, for messages.
    place: String,
    part_bytes: usize,
    retention: Retention,
    verified: Verified,
    runtime: Arc<Blocking>,
}

/// What requests run on.
#[derive(Debug)]
pub(crate) struct Blocking(Option<Runtime>);

impl Blocking {
    pub(crate) fn new() -> std::io::Result<Self> {
        tokio::runtime::Builder::new_current_thread().enable_all().build().map(|runtime| Self(Some(runtime)))
    }

    pub(crate) fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.0.as_ref().expect("the runtime is there until it is dropped").block_on(work)
    }
}

impl Drop for Blocking {
    fn drop(&mut self) {
        // The ordinary way waits, which an asynchronous task that drops the last user must not.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Objects {
    /// The snapshots of a partition of the venue of that name. Nothing is asked of the store yet; a folder is made if
    /// it is not there.
    ///
    /// # Errors
    /// When the address is none, or the environment does not say what else is needed.
    pub fn open(options: &Options, venue: &str, partition: PartitionId) -> Result<Self, Error> {
        let (store, prefix) = connect(options, Absent::Make).map_err(|source| {
            let is_gone =
                source.downcast_ref().is_some_and(|error: &std::io::Error| error.kind() == ErrorKind::NotFound);
            Error::of_store("keep snapshots at", options.address.to_string(), source, is_gone)
        })?;
        Self::within(store, &prefix, options, venue, partition)
    }

    fn within(
        store: Arc<dyn ObjectStore>,
        prefix: &Path,
        options: &Options,
        venue: &str,
        partition: PartitionId,
    ) -> Result<Self, Error> {
        let prefix = prefix.clone().join(venue).join(format!("p{partition}"));
        let place = format!("{}: {prefix}", options.address);
        let runtime = Blocking::new();
        let runtime = runtime.map_err(|source| Error::of_file("reach", place.clone(), source))?;
        let part_bytes = options.part_bytes_max.max(PART_BYTES_MIN);
        let (retention, verified) = (Retention::Nothing, Verified::default());
        Ok(Self { store, prefix, place, part_bytes, retention, verified, runtime: Arc::new(runtime) })
    }

    /// Takes its name from every snapshot of a later command than `after`, so that nothing starts from it any more. The
    /// object stays, under a name that ends in `.discarded`. How many there were.
    ///
    /// # Errors
    /// When one cannot be renamed.
    pub fn set_aside(&mut self, after: Sequence) -> Result<usize, Error> {
        let later: Vec<Sequence> = self.list()?.into_iter().filter(|&sequence| sequence > after).collect();
        for &sequence in &later {
            let object = self.object(sequence);
            let aside = Path::from(format!("{object}.discarded"));
            match self.runtime.run(self.store.rename(&object, &aside)) {
                // Another process has been quicker.
                Err(object_store::Error::NotFound { .. }) => {}
                done => done.map_err(self.failed("set a snapshot aside at"))?,
            }
        }
        Ok(later.len())
    }

    fn object(&self, sequence: Sequence) -> Path {
        self.prefix.clone().join(name(sequence))
    }

    fn failed(&self, action: &'static str) -> impl Fn(object_store::Error) -> Error {
        let place = self.place.clone();
        move |source| {
            let is_gone = matches!(source, object_store::Error::NotFound { .. });
            Error::of_store(action, place.clone(), source.into(), is_gone)
        }
    }

    async fn put(&self, target: &Path, image: &[u8]) -> object_store::Result<()> {
        let (header, checksum) = frame(image);
        let pieces = [&header[..], image, &checksum[..]];
        let length = HEADER_BYTES + image.len() + CHECKSUM_BYTES;
        if length <= self.part_bytes {
            return self.store.put(target, pieces.concat().into()).await.map(drop);
        }
        let mut upload = self.store.put_multipart(target).await?;
        let mut sent = async || {
            for from in (0..length).step_by(self.part_bytes) {
                let part = cut(pieces, from, (from + self.part_bytes).min(length));
                upload.put_part(PutPayload::from(part)).await?;
            }
            upload.complete().await.map(drop)
        };
        let sent = sent().await;
        if sent.is_err() {
            // Remains of an upload are never visible, but take space. The first failure is returned.
            let _ = upload.abort().await;
        }
        sent
    }

    async fn get(&self, target: &Path) -> object_store::Result<Vec<u8>> {
        let length = self.store.head(target).await?.size;
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
        for from in (0..length).step_by(self.part_bytes) {
            let to = (from + self.part_bytes as u64).min(length);
            bytes.extend_from_slice(&self.store.get_range(target, from..to).await?);
        }
        Ok(bytes)
    }
}

impl Snapshots for Objects {
    fn save(&mut self, sequence: Sequence, image: &[u8]) -> Result<(), Error> {
        self.runtime.run(self.put(&self.object(sequence), image)).map_err(self.failed("write a snapshot to"))?;
        let mut verified = std::mem::take(&mut self.verified);
        let removable = self.retention.removable(self, sequence, &mut verified);
        self.verified = verified;
        for old in removable? {
            match self.runtime.run(self.store.delete(&self.object(old))) {
                Err(object_store::Error::NotFound { .. }) => {}
                done => done.map_err(self.failed("remove a snapshot from"))?,
            }
        }
        Ok(())
    }

    fn keep_for(&mut self, position: Option<Sequence>) {
        self.retention = Retention::by(position);
    }
}

impl Saved for Objects {
    fn list(&self) -> Result<Vec<Sequence>, Error> {
        let listed = self.runtime.run(self.store.list_with_delimiter(Some(&self.prefix)));
        let listed = listed.map_err(self.failed("list"))?.objects;
        let mut found: Vec<_> = listed.iter().filter_map(|object| named(object.location.filename()?)).collect();
        found.sort_unstable_by(|a, b| b.cmp(a));
        Ok(found)
    }

    fn load(&self, sequence: Sequence) -> Result<Option<Vec<u8>>, Error> {
        self.runtime.run(self.get(&self.object(sequence))).map(unframe).map_err(self.failed("read a snapshot from"))
    }
}

/// The store of an address, and the prefix in it.
pub(crate) fn connect(
    options: &Options,
    absent: Absent,
) -> Result<(Arc<dyn ObjectStore>, Path), Box<dyn std::error::Error + Send + Sync>> {
    let url = Url::parse(&options.address.0).map_err(|_| Unknown)?;
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.port().is_some() {
        return Err(Unknown.into());
    }
    match (url.scheme(), url.host_str()) {
        ("file", None) => {
            let folder = url.to_file_path().map_err(|()| Unknown)?;
            if absent == Absent::Make {
                Disk::create(FilePath::new(&folder))?;
            }
            // When a put returns, the file and its name are on disk.
            let store = LocalFileSystem::new_with_prefix(folder)?.with_fsync(true);
            Ok((Arc::new(store), Path::default()))
        }
        ("s3", Some(bucket)) => {
            let store = limited(AmazonS3Builder::from_env().with_bucket_name(bucket), options).build()?;
            Ok((Arc::new(store), Path::from_url_path(url.path())?))
        }
        _ => Err(Unknown.into()),
    }
}

/// Has a client wait no longer, and try no more often, than it may.
fn limited(builder: AmazonS3Builder, options: &Options) -> AmazonS3Builder {
    let limit = |milliseconds: u64| format!("{milliseconds} ms");
    let pause = Duration::from_millis(options.retry_pause_max_ms);
    builder
        .with_config(AmazonS3ConfigKey::Client(ClientConfigKey::ConnectTimeout), limit(options.connect_timeout_ms))
        .with_config(AmazonS3ConfigKey::Client(ClientConfigKey::Timeout), limit(options.request_timeout_ms))
        .with_retry(RetryConfig {
            backoff: BackoffConfig { init_backoff: pause / 10, max_backoff: pause, base: 2.0 },
            max_retries: options.retries_max,
            retry_timeout: Duration::from_millis(options.retry_timeout_ms),
        })
}

/// Bytes `from..to` of pieces that stand behind one another.
fn cut(pieces: [&[u8]; 3], from: usize, to: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(to - from);
    let mut begin = 0;
    for piece in pieces {
        let end = begin + piece.len();
        if from < end && begin < to {
            out.extend_from_slice(&piece[from.max(begin) - begin..to.min(end) - begin]);
        }
        begin = end;
    }
    out
}

#[cfg(test)]
#[path = "snapshots_tests.rs"]
mod tests;
