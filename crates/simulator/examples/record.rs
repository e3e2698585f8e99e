//! Records the logs of a simulated cluster, for later releases to replay; or writes the hashes of a recording again,
//! where the canonical form of a state has changed on purpose. `tests/simulator/recorded.rs` says when which is done.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser};
use crossbook_engine::Partition;
use crossbook_log::files::Options;
use crossbook_log::{FileReader, Files, Log as _, Reader as _, Record, Until};
use crossbook_protocol::{Events, Routing};
use crossbook_simulator::WORK;
use crossbook_simulator::cluster::World;
use crossbook_simulator::dice::Dice;
use crossbook_types::{PartitionId, Sequence, Timestamp};

/// After so many commands the state is hashed.
const HASH_EVERY: u64 = 1_000;
/// How many partitions a recorded venue has.
const PARTITIONS: u16 = 3;

/// Records the logs of a cluster world.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    what: What,
    /// A folder that does not exist yet.
    #[arg(long, required_unless_present = "hashes_of")]
    to: Option<PathBuf>,
    /// Record a world that begins under the first rules of a new venue and activates the newest ones.
    #[arg(long)]
    upgrading: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct What {
    /// The seed of the world to record.
    #[arg(long)]
    seed: Option<u64>,
    /// A recording whose hashes are computed again, from its logs.
    #[arg(long)]
    hashes_of: Option<PathBuf>,
}

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match (&arguments.what, &arguments.to) {
        (What { seed: Some(seed), .. }, Some(to)) => record(*seed, arguments.upgrading, to),
        (What { hashes_of: Some(recording), .. }, _) => write_hashes(recording, &every_record(recording)),
        _ => Err("--seed SEED --to FOLDER, or --hashes-of FOLDER".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nothing was recorded: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Reads the records of a partition of a recording.
fn every_record(recording: &Path) -> impl Fn(PartitionId) -> Result<Vec<(Timestamp, Vec<u8>)>, Failure> {
    let recording = recording.to_owned();
    move |id| {
        let mut reader = FileReader::open(&recording.join(id.to_string()), Sequence(1));
        let mut records = Vec::new();
        while let Some(record) = reader.next(Until::End)? {
            records.push((record.time, record.payload.to_vec()));
        }
        Ok(records)
    }
}

fn record(seed: u64, upgrading: bool, to: &Path) -> Result<(), Failure> {
    let mut world = World::new(Dice::new(seed));
    if upgrading {
        world = world.upgrading(false);
    }
    world.live()?;
    let plain = routing()?;
    if plain != *world.routing() {
        return Err("its markets do not go where their numbers say; take another seed".into());
    }
    std::fs::create_dir(to)?;
    for id in plain.all() {
        let options = Options { preallocate: false, ..Options::default() };
        let (mut log, _) = Files::open(&to.join(id.to_string()), options)?;
        for (sequence, (time, payload)) in (1..).map(Sequence).zip(world.log(id)) {
            log.append(Record { sequence, time: *time, payload })?;
            log.sync()?;
        }
        std::fs::remove_file(to.join(id.to_string()).join("lock"))?;
    }
    println!("{} commands", world.commands());
    write_hashes(to, &|id| Ok(world.log(id).to_vec()))
}

fn routing() -> Result<Routing, Failure> {
    let routing = Routing::new_checked(PARTITIONS, std::collections::BTreeMap::new());
    routing.ok_or_else(|| "no venue has so many partitions".into())
}

/// A log as its records' times and payloads, from the first on.
type Records = Vec<(Timestamp, Vec<u8>)>;

fn write_hashes(to: &Path, records: &dyn Fn(PartitionId) -> Result<Records, Failure>) -> Result<(), Failure> {
    let routing = routing()?;
    let mut hashes = String::new();
    for id in routing.all() {
        let mut partition = Partition::new(id, routing.clone(), 1).with_work(WORK);
        let records = records(id)?;
        for (sequence, (time, payload)) in (1..).map(Sequence).zip(&records) {
            let command = crossbook_protocol::wire::decode_command(sequence, *time, payload)?;
            partition.apply(&command, &mut Events::new());
            partition.drain_outgoing().for_each(drop);
            if sequence.0.is_multiple_of(HASH_EVERY) || sequence.0 == records.len() as u64 {
                let hash = crossbook_engine::state_hash(&partition.state());
                let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
                hashes.push_str(&format!("{id} {sequence} {hash}\n"));
            }
        }
    }
    std::fs::write(to.join("hashes"), hashes)?;
    Ok(())
}
