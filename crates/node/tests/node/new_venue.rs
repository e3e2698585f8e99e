//! The first command of a new venue.

use crossbook_engine::Partition;
use crossbook_log::{FileReader, Files, Log as _, Until, files};
use crossbook_node::new_venue;
use crossbook_node::node::Clock;
use crossbook_node::recovery::{self, Which};
use crossbook_node::snapshot::Folder;
use crossbook_protocol::{Event, Routing, Rules};
use crossbook_types::{PartitionId, Sequence, Timestamp};
use crossbook_views::Views;

struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        Timestamp(1_000)
    }
}

/// What followed a partition.
#[derive(Default)]
struct Seen(Vec<(u64, Event)>);

impl crossbook_node::follower::Follower for Seen {
    type Saved = ();

    fn follow(&mut self, cause: crossbook_protocol::Cause, events: &[Event]) {
        self.0.extend(events.iter().map(|event| (cause.sequence.0, event.clone())));
    }

    fn save(&self) {}

    fn load(&mut self, (): ()) -> Result<(), String> {
        Ok(())
    }
}

#[test]
fn a_new_venue_activates_the_newest_rules_once_and_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let (log, _) = Files::open(&path, files::Options::default()).unwrap();
    let partition = Partition::new(PartitionId(0), Routing::single(), 7);
    let (partition, log, seen) = new_venue::begin(partition, log, Seen::default(), Stopped).unwrap();
    assert_eq!((partition.active_rules(), log.durable()), (Rules::NEWEST, Sequence(1)));
    assert!(seen.0.contains(&(1, Event::RulesActivated(Rules::NEWEST))), "{:?}", seen.0);

    // Not again, in a process that goes on or in a later one.
    let (partition, log, seen) = new_venue::begin(partition, log, Seen::default(), Stopped).unwrap();
    assert_eq!((partition.sequence(), log.tail(), seen.0), (Sequence(1), Sequence(1), Vec::new()));
    let hash = crossbook_engine::state_hash(&partition.state());
    drop(log);
    let snapshots = Folder::open(&folder.path().join("snapshots")).unwrap();
    let (log, _) = Files::open(&path, files::Options::default()).unwrap();
    let reader = |from| FileReader::open(&path, from);
    let until = Until::Durable(log.durable());
    let views = Views::new(Default::default());
    let found = recovery::recover(&Which::single(8), &snapshots, reader, until, views, |_| ()).unwrap();
    let (partition, log, _) = new_venue::begin(found.partition, log, found.follower, Stopped).unwrap();
    assert_eq!(crossbook_engine::state_hash(&partition.state()), hash);
    assert_eq!(log.tail(), Sequence(1));
}

/// A log that was begun by an older program keeps the rules that it has.
#[test]
fn a_log_that_exists_keeps_its_rules() {
    let setup = crate::venue::setup();
    let folder = tempfile::tempdir().unwrap();
    let (mut log, _) = Files::open(&folder.path().join("log"), files::Options::default()).unwrap();
    let mut partition = Partition::new(PartitionId(0), Routing::single(), 7);
    let (mut payload, mut events) = (Vec::new(), crossbook_protocol::Events::new());
    let (source, number) = (crossbook_types::SourceId::FIRST_GATEWAY, crossbook_types::RequestNumber(1));
    crossbook_protocol::wire::encode_command(source, number, None, &setup[0], &mut payload);
    let time = Timestamp(1);
    log.append(crossbook_log::Record { sequence: Sequence(1), time, payload: &payload }).unwrap();
    log.sync().unwrap();
    let command = crossbook_protocol::Command::new(Sequence(1), time, source, number, setup[0].clone());
    partition.apply(&command, &mut events);
    let (partition, log, seen) = new_venue::begin(partition, log, Seen::default(), Stopped).unwrap();
    assert_eq!((partition.active_rules(), log.tail(), seen.0), (Rules::default(), Sequence(1), Vec::new()));
}
