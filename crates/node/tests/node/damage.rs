//! A venue's log with any byte flipped and any length cut, up to the state: recovery gives exactly the state of a
//! durable prefix of the commands, or refuses and says where. It never gives any other state, and never panics. The
//! tests of the log check which of the two it must be; here no durable command may be missing.

use std::collections::BTreeMap;

use crate::venue::{setup, traffic};
use crossbook_engine::Partition;
use crossbook_log::memory::Memory;
use crossbook_log::{Damage, Error as LogError, FileReader, Files, Log, Record, Until, files};
use crossbook_node::recovery::{self, Error, Which};
use crossbook_node::snapshot::{self, Saved};
use crossbook_protocol::{Command, Events, Routing};
use crossbook_types::{PartitionId, RequestNumber, Sequence, SourceId, Timestamp};

const SECTOR_BYTES: u64 = 64;
const OPTIONS: files::Options = files::Options {
    segment_bytes_max: 1_024,
    batch_bytes_max: 900,
    record_bytes_max: 600,
    preallocate: true,
    durable_at_least: Sequence(0),
    verify_from: Sequence(0),
};
/// Commands that share a sync.
const BATCH: usize = 3;
/// Orders behind the setup.
const ORDERS: u64 = 24;

type Disk = BTreeMap<String, Vec<u8>>;

/// No snapshots at all.
struct Nowhere;

impl Saved for Nowhere {
    fn list(&self) -> Result<Vec<Sequence>, snapshot::Error> {
        Ok(Vec::new())
    }

    fn load(&self, sequence: Sequence) -> Result<Option<Vec<u8>>, snapshot::Error> {
        panic!("nobody said that there is a snapshot {sequence}")
    }
}

/// A log on disk, and what each of its prefixes comes to.
struct Written {
    disk: Disk,
    /// By number of commands, the hash of the state.
    hashes: Vec<[u8; 32]>,
    /// The last command of the last batch but one: the last batch's records prove that it was durable.
    proven: u64,
}

fn commands() -> Vec<Command> {
    let bodies = setup().into_iter().chain((0..ORDERS).map(traffic));
    let command =
        |(at, body)| Command::new(Sequence(at), Timestamp(1_000 + at), SourceId(1 << 20), RequestNumber(at), body);
    (1..).zip(bodies).map(command).collect()
}

fn encode(command: &Command, bytes: &mut Vec<u8>) {
    crossbook_protocol::wire::encode_command(command.source, command.number, command.deadline, &command.body, bytes);
}

/// Writes the commands, each as `payload` makes it.
fn write(mut payload: impl FnMut(&Command, &mut Vec<u8>)) -> Written {
    let memory = Memory::new(SECTOR_BYTES);
    let (mut log, _) = Files::open_in(memory.clone(), OPTIONS).unwrap();
    let mut partition = Partition::new(PartitionId(0), Routing::single(), 7);
    let (mut events, mut bytes) = (Events::new(), Vec::new());
    let mut hashes = vec![crossbook_engine::state_hash(&partition.state())];
    let commands = commands();
    let mut proven = 0;
    for batch in commands.chunks(BATCH) {
        proven = log.durable().0;
        for command in batch {
            bytes.clear();
            payload(command, &mut bytes);
            log.append(Record { sequence: command.sequence, time: command.time, payload: &bytes }).unwrap();
            partition.apply(command, &mut events);
            events.clear();
            hashes.push(crossbook_engine::state_hash(&partition.state()));
        }
        log.sync().unwrap();
    }
    drop(log);
    Written { disk: memory.files(), hashes, proven }
}

/// Opens the log and restores the partition from it: the last command, once the state is seen to be the one that it led
/// to.
fn restore(written: &Written, disk: Disk, options: files::Options, what: &str) -> Result<u64, Error> {
    let memory = Memory::holding(disk, SECTOR_BYTES);
    let (log, _) = Files::open_in(memory.clone(), options)?;
    let reader = |from| FileReader::open_in(memory.clone(), from);
    let until = Until::Durable(log.durable());
    let recovered = recovery::recover(&Which::single(3), &Nowhere, reader, until, (), |_| ())?;
    let last = recovered.partition.sequence();
    assert_eq!(last, log.durable(), "{what}");
    let hash = crossbook_engine::state_hash(&recovered.partition.state());
    assert_eq!(hash, written.hashes[usize::try_from(last.0).unwrap()], "{what}: not the state at {last}");
    assert!(recovered.partition.audit().violations.is_empty(), "{what}");
    Ok(last.0)
}

/// Holds what came of a damaged log to the rules; whether it came back.
fn hold(written: &Written, came: Result<u64, Error>, name: &str, what: &str) -> bool {
    match came {
        Ok(last) => {
            assert!(last >= written.proven, "{what}: {last} commands are left, {} were durable", written.proven);
            true
        }
        Err(Error::Log(LogError::Corrupt { file, offset, .. })) => {
            assert_eq!(file, format!("memory/{name}"), "{what}");
            assert!(offset <= OPTIONS.segment_bytes_max, "{what}: damaged at {offset}, where nothing is");
            false
        }
        Err(error) => panic!("{what}: {error}"),
    }
}

#[test]
fn a_flipped_byte_gives_the_state_of_a_durable_prefix_or_is_refused_with_its_place() {
    let written = write(encode);
    assert!(written.disk.len() >= 3, "a segment in the middle");
    let all = written.hashes.len() as u64 - 1;
    assert_eq!(restore(&written, written.disk.clone(), OPTIONS, "untouched").unwrap(), all);
    let (mut came_back, mut refused) = (0, 0);
    for (name, bytes) in &written.disk {
        for (at, mask) in (0..bytes.len()).flat_map(|at| [0x01, 0xff].map(|mask| (at, mask))) {
            let what = format!("{name} byte {at} mask {mask:#x}");
            let mut bad = written.disk.clone();
            bad.get_mut(name).unwrap()[at] ^= mask;
            match hold(&written, restore(&written, bad, OPTIONS, &what), name, &what) {
                true => came_back += 1,
                false => refused += 1,
            }
        }
    }
    assert!(came_back > 100 && refused > 1_000, "{came_back} came back, {refused} were refused");
}

#[test]
fn a_cut_log_gives_the_state_of_a_prefix_and_what_a_snapshot_has_seen_is_not_let_go() {
    let written = write(encode);
    let all = written.hashes.len() as u64 - 1;
    let last_name = written.disk.keys().next_back().unwrap().clone();
    for (name, bytes) in &written.disk {
        for length in 0..bytes.len() {
            let what = format!("{name} cut to {length} bytes");
            let mut bad = written.disk.clone();
            bad.get_mut(name).unwrap().truncate(length);
            match restore(&written, bad.clone(), OPTIONS, &what) {
                // The last file may end anywhere: nothing behind it says how long it was.
                Ok(last) if *name == last_name => {
                    let known = files::Options { durable_at_least: Sequence(all), ..OPTIONS };
                    match restore(&written, bad, known, &what) {
                        Ok(again) => assert_eq!((again, last), (all, all), "{what}"),
                        Err(Error::Log(LogError::Corrupt { damage: Damage::Missing { expected }, .. })) => {
                            assert_eq!(expected.0, last + 1, "{what}");
                        }
                        Err(error) => panic!("{what}: {error}"),
                    }
                }
                Ok(last) => assert_eq!(last, all, "{what}: a hole in the middle went unnoticed"),
                Err(Error::Log(LogError::Corrupt { file, .. })) => assert_eq!(file, format!("memory/{name}"), "{what}"),
                Err(error) => panic!("{what}: {error}"),
            }
        }
    }
}

/// Records that the log vouches for, and that are no commands: written by another version, or damaged before they were
/// written.
#[test]
fn a_record_that_is_no_command_is_refused_with_its_number_and_never_panics() {
    let mut refused = 0;
    let lengths: Vec<usize> = commands()
        .iter()
        .map(|command| {
            let mut bytes = Vec::new();
            encode(command, &mut bytes);
            bytes.len()
        })
        .collect();
    for (sequence, length) in (1..).zip(lengths) {
        for at in 0..length {
            let spoil = |command: &Command, bytes: &mut Vec<u8>| {
                encode(command, bytes);
                if command.sequence == Sequence(sequence) {
                    bytes.truncate(at);
                }
            };
            let memory = Memory::holding(write(spoil).disk, SECTOR_BYTES);
            let reader = |from| FileReader::open_in(memory.clone(), from);
            match recovery::recover(&Which::single(3), &Nowhere, reader, Until::End, (), |_| ()) {
                Err(Error::Command { sequence: found, .. }) => assert_eq!(found, Sequence(sequence), "cut at {at}"),
                other => panic!("command {sequence} cut to {at} bytes: {other:?}"),
            }
            refused += 1;
        }
    }
    assert!(refused > 500, "{refused}");
}
