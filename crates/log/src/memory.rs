//! An in-memory disk with the failures of real ones: it separates what was written from what was synced, loses any part
//! of the difference when the power fails, fails a chosen operation, fills up, and rots.
//!
//! [`Memory`] is a handle to the disk for one boot of the machine. [`Memory::crash`] cuts the power and returns the
//! handle of the next boot; open files of the old one are dead.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::storage::{File, Storage};

/// How an operation fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The power goes in the middle. What the operation would have changed may or may not be on the disk afterwards;
    /// every later operation of this boot fails.
    PowerCut,
    /// An I/O error. A write has written its first half; a sync has synced nothing, but the operating system from then
    /// on believes that it has, and continues to show bytes that the disk does not have.
    Broken,
    /// No space. Nothing happens.
    Full,
}

/// A disk in memory, as one boot sees it.
#[derive(Clone, Debug)]
pub struct Memory {
    disk: Arc<Mutex<State>>,
    boot: u64,
}

/// An open file on it.
#[derive(Debug)]
pub struct MemoryFile {
    memory: Memory,
    node: usize,
}

/// The folder's lock. Ends with the boot at the latest.
#[derive(Debug)]
pub struct MemoryLock {
    memory: Memory,
}

#[derive(Debug)]
struct State {
    boot: u64,
    powered: bool,
    locked: bool,
    sector_bytes: u64,
    bytes_max: u64,
    identities: u64,
    /// Operations of this boot that change something or make it durable.
    operations: u64,
    faults: BTreeMap<u64, Fault>,
    /// Names as programs see them, names on disk, and the changes between the two in order, each of which the disk
    /// knows wholly or not.
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    changes: Vec<Vec<(String, Option<usize>)>>,
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    bytes: Vec<u8>,
    durable: Vec<u8>,
    /// Sectors that the next sync will write.
    dirty: BTreeSet<u64>,
    resized: bool,
}

impl Node {
    fn touch(&mut self, from: u64, to: u64, sector_bytes: u64) {
        self.dirty.extend(from / sector_bytes..to.div_ceil(sector_bytes));
    }

    fn write(&mut self, bytes: &[u8], offset: u64, sector_bytes: u64) {
        let (start, end) = (offset as usize, offset as usize + bytes.len());
        self.grow(end, sector_bytes);
        self.bytes[start..end].copy_from_slice(bytes);
        self.touch(offset, end as u64, sector_bytes);
    }

    fn grow(&mut self, length: usize, sector_bytes: u64) {
        if length > self.bytes.len() {
            self.touch(self.bytes.len() as u64, length as u64, sector_bytes);
            self.bytes.resize(length, 0);
            self.resized = true;
        }
    }

    /// Writes the sector to disk.
    fn store(&mut self, sector: u64, sector_bytes: u64) {
        let start = (sector * sector_bytes) as usize;
        let end = (start + sector_bytes as usize).min(self.bytes.len());
        if start < end {
            if self.durable.len() < end {
                self.durable.resize(end, 0);
            }
            self.durable[start..end].copy_from_slice(&self.bytes[start..end]);
        }
    }

    fn sync(&mut self, sector_bytes: u64) {
        for sector in std::mem::take(&mut self.dirty) {
            self.store(sector, sector_bytes);
        }
        self.durable.resize(self.bytes.len(), 0);
        self.resized = false;
    }

    fn crash(&mut self, sector_bytes: u64, keep: &mut dyn FnMut() -> bool) {
        if std::mem::take(&mut self.resized) && keep() {
            self.durable.resize(self.bytes.len(), 0);
        }
        for sector in std::mem::take(&mut self.dirty) {
            if keep() {
                self.store(sector, sector_bytes);
            }
        }
        self.bytes.clone_from(&self.durable);
    }
}

/// What an operation is to do.
enum Gate {
    Pass,
    Fail(Fault),
}

fn broken() -> io::Error {
    io::Error::other("the disk failed, as requested")
}

fn full() -> io::Error {
    io::ErrorKind::StorageFull.into()
}

impl State {
    fn gate(&mut self) -> Gate {
        let operation = self.operations;
        self.operations += 1;
        match self.faults.remove(&operation) {
            Some(fault) => {
                self.powered = fault != Fault::PowerCut;
                Gate::Fail(fault)
            }
            None => Gate::Pass,
        }
    }

    /// Applies a change of names or bytes, unless the planned fault prevents it.
    fn change(&mut self, apply: impl FnOnce(&mut Self)) -> io::Result<()> {
        match self.gate() {
            Gate::Pass => {
                apply(self);
                Ok(())
            }
            Gate::Fail(Fault::PowerCut) => {
                apply(self);
                Err(broken())
            }
            Gate::Fail(Fault::Broken) => Err(broken()),
            Gate::Fail(Fault::Full) => Err(full()),
        }
    }

    fn room_for(&self, node: usize, length: u64) -> io::Result<()> {
        let others: usize =
            self.names.values().filter(|other| **other != node).map(|n| self.nodes[*n].bytes.len()).sum();
        if others as u64 + length.max(self.nodes[node].bytes.len() as u64) > self.bytes_max {
            Err(full())
        } else {
            Ok(())
        }
    }
}

impl Memory {
    /// An empty disk with sectors of this many bytes: the unit that a crash keeps or loses. Small ones tear small
    /// records.
    ///
    /// # Panics
    /// When `sector_bytes` is 0.
    #[must_use]
    pub fn new(sector_bytes: u64) -> Self {
        Self::holding(BTreeMap::new(), sector_bytes)
    }

    /// A disk that holds these files, durably.
    ///
    /// # Panics
    /// When `sector_bytes` is 0.
    #[must_use]
    pub fn holding(files: BTreeMap<String, Vec<u8>>, sector_bytes: u64) -> Self {
        assert!(sector_bytes > 0, "a sector has bytes");
        let names: BTreeMap<_, _> = files.keys().cloned().zip(0..).collect();
        let nodes = files
            .into_values()
            .map(|bytes| Node { durable: bytes.clone(), bytes, dirty: BTreeSet::new(), resized: false })
            .collect();
        let state = State {
            boot: 0,
            powered: true,
            locked: false,
            sector_bytes,
            bytes_max: u64::MAX,
            identities: 0,
            operations: 0,
            faults: BTreeMap::new(),
            durable_names: names.clone(),
            names,
            changes: Vec::new(),
            nodes,
        };
        Self { disk: Arc::new(Mutex::new(state)), boot: 0 }
    }

    /// The files as programs see them.
    #[must_use]
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let state = self.state();
        state.names.iter().map(|(name, node)| (name.clone(), state.nodes[*node].bytes.clone())).collect()
    }

    /// Lets the disk hold this many bytes and no more.
    pub fn limit(&self, bytes_max: u64) {
        self.state().bytes_max = bytes_max;
    }

    /// How many operations of this boot so far could have been made to fail.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// Makes an operation of this boot fail, counted from 0 in the order of [`Memory::operations`].
    pub fn fail(&self, operation: u64, fault: Fault) {
        self.state().faults.insert(operation, fault);
    }

    /// Cuts the power. `keep` is asked of every change of a name, a size or a sector that was not synced whether it is
    /// on the disk all the same. Returns the disk as the next boot sees it; this handle, and all it opened, is dead.
    #[must_use]
    pub fn crash(&self, keep: &mut dyn FnMut() -> bool) -> Self {
        let mut state = self.state();
        let state = &mut *state;
        for change in std::mem::take(&mut state.changes) {
            if !keep() {
                continue;
            }
            for (name, node) in change {
                match node {
                    Some(node) => state.durable_names.insert(name, node),
                    None => state.durable_names.remove(&name),
                };
            }
        }
        state.names = state.durable_names.clone();
        for node in &mut state.nodes {
            node.crash(state.sector_bytes, keep);
        }
        state.boot += 1;
        state.powered = true;
        state.locked = false;
        state.operations = 0;
        state.faults.clear();
        Self { disk: Arc::clone(&self.disk), boot: state.boot }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panicking test thread leaves nothing half done here.
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The disk, for an operation of this boot.
    fn live(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.state();
        if state.boot == self.boot && state.powered { Ok(state) } else { Err(broken()) }
    }
}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        let mut state = self.memory.state();
        if state.boot == self.memory.boot {
            state.locked = false;
        }
    }
}

impl Storage for Memory {
    type File = MemoryFile;
    type Lock = MemoryLock;

    fn lock(&self) -> io::Result<MemoryLock> {
        let mut state = self.live()?;
        if std::mem::replace(&mut state.locked, true) {
            return Err(io::Error::new(io::ErrorKind::WouldBlock, "another log"));
        }
        Ok(MemoryLock { memory: self.clone() })
    }

    fn is_locked_by(&self, _: &MemoryLock) -> io::Result<bool> {
        // There is one folder, and it cannot be moved.
        self.live().map(|_| true)
    }

    fn is_named(&self, file: &MemoryFile, name: &str) -> io::Result<bool> {
        Ok(self.live()?.names.get(name) == Some(&file.node))
    }

    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.live()?.names.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<MemoryFile> {
        let mut state = self.live()?;
        if state.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let node = state.nodes.len();
        state.change(|state| {
            state.nodes.push(Node::default());
            state.names.insert(name.to_owned(), node);
            state.changes.push(vec![(name.to_owned(), Some(node))]);
        })?;
        Ok(MemoryFile { memory: self.clone(), node })
    }

    fn open(&self, name: &str) -> io::Result<MemoryFile> {
        let node = self.live()?.names.get(name).copied().ok_or(io::ErrorKind::NotFound)?;
        Ok(MemoryFile { memory: self.clone(), node })
    }

    fn open_to_read(&self, name: &str) -> io::Result<MemoryFile> {
        self.open(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.live()?;
        let node = state.names.get(from).copied().ok_or(io::ErrorKind::NotFound)?;
        state.change(|state| {
            state.names.remove(from);
            state.names.insert(to.to_owned(), node);
            state.changes.push(vec![(from.to_owned(), None), (to.to_owned(), Some(node))]);
        })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.live()?;
        if !state.names.contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.change(|state| {
            state.names.remove(name);
            state.changes.push(vec![(name.to_owned(), None)]);
        })
    }

    fn sync_names(&self) -> io::Result<()> {
        let mut state = self.live()?;
        match state.gate() {
            Gate::Pass => {
                state.durable_names = state.names.clone();
                state.changes.clear();
                Ok(())
            }
            Gate::Fail(Fault::Full) => Err(full()),
            Gate::Fail(_) => Err(broken()),
        }
    }

    fn identity(&self) -> io::Result<u64> {
        let mut state = self.live()?;
        state.identities += 1;
        Ok(state.identities)
    }

    fn describe(&self, name: &str) -> String {
        format!("memory/{name}")
    }
}

impl MemoryFile {
    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.memory.live()?;
        let sector_bytes = state.sector_bytes;
        match state.gate() {
            Gate::Pass => {
                state.nodes[self.node].sync(sector_bytes);
                Ok(())
            }
            Gate::Fail(Fault::PowerCut) => Err(broken()),
            Gate::Fail(Fault::Full) => Err(full()),
            Gate::Fail(Fault::Broken) => {
                state.nodes[self.node].dirty.clear();
                Err(broken())
            }
        }
    }
}

impl File for MemoryFile {
    fn lock(&mut self) -> io::Result<()> {
        // Nobody reaches it but through the folder, whose lock is enough.
        self.memory.live().map(drop)
    }

    fn names(&self) -> io::Result<u64> {
        let state = self.memory.live()?;
        Ok(state.names.values().filter(|node| **node == self.node).count() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.memory.live()?;
        let bytes = &state.nodes[self.node].bytes;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let read = buffer.len().min(bytes.len() - start);
        buffer[..read].copy_from_slice(&bytes[start..start + read]);
        Ok(read)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.memory.live()?.nodes[self.node].bytes.len() as u64)
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.memory.live()?;
        let sector_bytes = state.sector_bytes;
        state.room_for(self.node, offset + bytes.len() as u64)?;
        let (bytes, failed) = match state.gate() {
            Gate::Pass => (bytes, None),
            Gate::Fail(Fault::PowerCut) => (bytes, Some(broken())),
            Gate::Fail(Fault::Broken) => (&bytes[..bytes.len() / 2], Some(broken())),
            Gate::Fail(Fault::Full) => return Err(full()),
        };
        state.nodes[self.node].write(bytes, offset, sector_bytes);
        failed.map_or(Ok(()), Err)
    }

    fn preallocate(&mut self, bytes: u64) -> io::Result<()> {
        let mut state = self.memory.live()?;
        let sector_bytes = state.sector_bytes;
        state.room_for(self.node, bytes)?;
        state.change(|state| state.nodes[self.node].grow(bytes as usize, sector_bytes))
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        let mut state = self.memory.live()?;
        state.change(|state| {
            state.nodes[self.node].bytes.truncate(bytes as usize);
            state.nodes[self.node].resized = true;
        })
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.sync()
    }

    fn sync_all(&mut self) -> io::Result<()> {
        self.sync()
    }
}
