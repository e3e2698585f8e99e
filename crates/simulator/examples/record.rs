//! Records the logs of a simulated cluster, for releases to come to replay: `tests/recorded.rs` does, and says what is done with a recording.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use crossbook_engine::{Events, Partition, Routing};
use crossbook_log::files::Options;
use crossbook_log::{Files, Log as _, Record};
use crossbook_simulator::cluster::World;
use crossbook_simulator::dice::Dice;
use crossbook_types::Sequence;

/// After so many commands the state is hashed.
const HASH_EVERY: u64 = 1_000;

/// Records the logs of a cluster world.
#[derive(Debug, Parser)]
struct Arguments {
    /// Its seed.
    #[arg(long)]
    seed: u64,
    /// A folder that does not exist yet.
    #[arg(long)]
    to: PathBuf,
}

fn main() -> ExitCode {
    match record(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nothing was recorded: {error}");
            ExitCode::FAILURE
        }
    }
}

fn record(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let mut world = World::new(Dice::new(arguments.seed));
    world.live()?;
    let routing = Routing::new_checked(world.routing().partitions(), std::collections::BTreeMap::new());
    let routing = routing.filter(|plain| plain == world.routing());
    let routing = routing.ok_or("its markets do not go where their numbers say; take another seed")?;
    std::fs::create_dir(&arguments.to)?;
    let mut hashes = String::new();
    for id in routing.all() {
        let mut partition = Partition::new(id, routing.clone(), 1);
        let options = Options { preallocate: false, ..Options::default() };
        let (mut log, _) = Files::open(&arguments.to.join(id.to_string()), options)?;
        let records = world.log(id);
        for (sequence, (time, payload)) in (1..).map(Sequence).zip(records) {
            log.append(Record { sequence, time: *time, payload })?;
            log.sync()?;
            let command = crossbook_wire::decode_command(sequence, *time, payload)?;
            partition.apply(&command, &mut Events::new());
            partition.drain_outgoing().for_each(drop);
            if sequence.0.is_multiple_of(HASH_EVERY) || sequence.0 == records.len() as u64 {
                let hash = crossbook_wire::state_hash(&partition.state());
                let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
                hashes.push_str(&format!("{id} {sequence} {hash}\n"));
            }
        }
        std::fs::remove_file(arguments.to.join(id.to_string()).join("lock"))?;
    }
    std::fs::write(arguments.to.join("hashes"), hashes)?;
    println!("{} commands", world.commands());
    Ok(())
}
