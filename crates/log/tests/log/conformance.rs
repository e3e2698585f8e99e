//! The file provider under the suite that every provider must pass: on a real disk, and on disks in memory that lose
//! unsynced sectors in a crash.

use crossbook_log::conformance::{Provider, run};
use crossbook_log::files::Options;
use crossbook_log::memory::Memory;
use crossbook_log::{Error, FileReader, Files};
use crossbook_types::Sequence;

/// Small enough that the suite fills many segments.
fn small(preallocate: bool) -> Options {
    Options { segment_bytes_max: 1024, batch_bytes_max: 900, record_bytes_max: 300, preallocate, ..Options::default() }
}

struct OnDisk {
    folder: tempfile::TempDir,
    options: Options,
}

impl Provider for OnDisk {
    type Log = Files;
    type Reader = FileReader;

    fn open(&mut self) -> Result<Files, Error> {
        Files::open(self.folder.path(), self.options).map(|(log, _)| log)
    }

    fn reader(&mut self, from: Sequence) -> FileReader {
        FileReader::open(self.folder.path(), from)
    }

    fn crash(&mut self, log: Files) {
        drop(log); // dropping writes nothing: it is what a killed process leaves
    }

    fn record_bytes_max(&self) -> usize {
        self.options.record_bytes_max
    }
}

struct InMemory {
    memory: Memory,
    options: Options,
    random: u64,
}

impl Provider for InMemory {
    type Log = Files<Memory>;
    type Reader = FileReader<Memory>;

    fn open(&mut self) -> Result<Files<Memory>, Error> {
        Files::open_in(self.memory.clone(), self.options).map(|(log, _)| log)
    }

    fn reader(&mut self, from: Sequence) -> FileReader<Memory> {
        FileReader::open_in(self.memory.clone(), from)
    }

    fn crash(&mut self, log: Files<Memory>) {
        self.memory = self.memory.crash(&mut || {
            self.random ^= self.random << 13;
            self.random ^= self.random >> 7;
            self.random ^= self.random << 17;
            self.random & 1 == 0
        });
        drop(log);
    }

    fn record_bytes_max(&self) -> usize {
        self.options.record_bytes_max
    }
}

#[test]
fn files_on_disk_conform() {
    for preallocate in [true, false] {
        run(|| OnDisk { folder: tempfile::tempdir().unwrap(), options: small(preallocate) });
    }
}

#[test]
fn files_on_disk_conform_with_large_segments() {
    let options =
        Options { segment_bytes_max: 4 << 20, batch_bytes_max: 1 << 20, record_bytes_max: 200_000, ..small(true) };
    run(|| OnDisk { folder: tempfile::tempdir().unwrap(), options });
}

#[test]
fn files_in_memory_conform() {
    for preallocate in [true, false] {
        for sector_bytes in [8, 64, 512] {
            run(|| InMemory {
                memory: Memory::new(sector_bytes),
                options: small(preallocate),
                random: 88172645463325252,
            });
        }
    }
}
