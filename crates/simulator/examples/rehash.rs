//! Makes the hashes of a recording anew from its logs: after the canonical form of a state has got another shape, and only then. See
//! `tests/recorded.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use crossbook_engine::{Events, Partition, Routing};
use crossbook_log::{FileReader, Reader as _, Until};
use crossbook_types::{PartitionId, Sequence};

/// Makes the hashes of recordings anew.
#[derive(Debug, Parser)]
struct Arguments {
    /// Folders of recordings.
    recordings: Vec<PathBuf>,
}

fn main() -> ExitCode {
    match Arguments::parse().recordings.iter().try_for_each(rehash) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hashes are as they were: {error}");
            ExitCode::FAILURE
        }
    }
}

fn rehash(recording: &PathBuf) -> Result<(), Box<dyn std::error::Error>> {
    let hashes = recording.join("hashes");
    let mut due: BTreeMap<PartitionId, BTreeSet<Sequence>> = BTreeMap::new();
    for line in std::fs::read_to_string(&hashes)?.lines() {
        let (partition, rest) = line.split_once(' ').ok_or("a line without a space")?;
        let (sequence, _) = rest.split_once(' ').ok_or("a line without a hash")?;
        due.entry(PartitionId(partition.parse()?)).or_default().insert(Sequence(sequence.parse()?));
    }
    let partitions = u16::try_from(due.len())?;
    let routing = Routing::new_checked(partitions, BTreeMap::new()).ok_or("a recording of no partition")?;
    let mut text = String::new();
    for (id, due) in due {
        let mut partition = Partition::new(id, routing.clone(), 1);
        let mut reader = FileReader::open(&recording.join(id.to_string()), Sequence(1));
        while let Some(record) = reader.next(Until::End)? {
            let command = crossbook_wire::decode_command(record.sequence, record.time, record.payload)?;
            partition.apply(&command, &mut Events::new());
            partition.drain_outgoing().for_each(drop);
            if due.contains(&command.sequence) {
                let hash = crossbook_wire::state_hash(&partition.state());
                let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
                writeln!(text, "{id} {} {hash}", command.sequence)?;
            }
        }
    }
    std::fs::write(hashes, text)?;
    Ok(())
}
