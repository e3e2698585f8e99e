//! Writes the first files of the corpora of binary records: the commands that create the fuzzed venue, their events,
//! and the venue's state. Run it again when a wire form gets a new version.

use std::path::Path;

use crossbook_engine::Partition;
use crossbook_fuzz::venue;
use crossbook_node::export::{self, Export};
use crossbook_node::snapshot::{self, Image};
use crossbook_protocol::import::Inventory;
use crossbook_protocol::{Command, Events, Routing};
use crossbook_types::{PartitionId, RequestNumber, SourceId, Timestamp};
use crossbook_views::{Limits, Views};

/// The time of the first command; any will do.
const BEGIN: u64 = 1_700_000_000_000_000;

fn main() -> std::io::Result<()> {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let write = |target: &str, name: &str, bytes: &[u8]| {
        std::fs::create_dir_all(corpora.join(target))?;
        std::fs::write(corpora.join(target).join(name), bytes)
    };
    let mut partition = Partition::new(PartitionId(0), Routing::single(), 7);
    let mut views = Views::new(Limits::default());
    for (number, body) in (1..).zip(venue::commands()) {
        let mut bytes = Vec::new();
        crossbook_protocol::wire::encode_command(
            SourceId::FIRST_GATEWAY,
            RequestNumber(number),
            None,
            &body,
            &mut bytes,
        );
        write("command", &format!("made-{number:02}"), &bytes)?;
        let (sequence, time) = (partition.sequence().next(), Timestamp(BEGIN + number));
        let command = Command::new(sequence, time, SourceId::FIRST_GATEWAY, RequestNumber(number), body);
        let mut events = Events::new();
        partition.apply(&command, &mut events);
        for (cause, events) in events.iter() {
            let mut bytes = vec![0];
            crossbook_protocol::wire::encode_events(cause, events, &mut bytes);
            write("told", &format!("events-{number:02}"), &bytes)?;
            let mut bytes = vec![1];
            crossbook_protocol::wire::encode_published(&command, &[], events, &mut bytes);
            write("told", &format!("told-{number:02}"), &bytes)?;
            views.apply_all(cause, events);
        }
    }
    let past = crossbook_engine::import::gather(&[(&partition, &views)]);
    let inventory: Inventory = past.map_err(std::io::Error::other)?;
    let image = Image { partition: partition.state(), follower: views.state() };
    let chosen = |choice: u8, bytes: &[u8]| [&[choice], bytes].concat();
    let encoded = |encode: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = Vec::new();
        encode(&mut bytes);
        bytes
    };
    write("snapshot", "image", &chosen(0, &snapshot::encode(&image)))?;
    let state = encoded(&|out| crossbook_protocol::wire::encode(&image.partition, out));
    write("snapshot", "partition", &chosen(1, &state))?;
    let follower = encoded(&|out| crossbook_protocol::wire::encode(&image.follower, out));
    write("snapshot", "views", &chosen(2, &follower))?;
    let export = Export {
        sequence: partition.sequence(),
        time: partition.time(),
        state_hash: crossbook_engine::state_hash(&image.partition),
        inventory,
    };
    write("snapshot", "export", &chosen(3, &encoded(&|out| crossbook_protocol::wire::encode(&export, out))))?;
    write("snapshot", "export-whole", &chosen(3, &export::encode(&export).0))
}
