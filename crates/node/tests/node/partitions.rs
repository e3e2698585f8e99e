//! Partitions of a venue of several, recovered one by one: each with its state and its messages for the others.

use std::collections::{BTreeMap, VecDeque};

use crate::venue::{setup, traffic};
use crossbook_engine::{Partition, WorkBudget};
use crossbook_log::memory::Memory;
use crossbook_log::{FileReader, Files, Log as _, Record, Until, files};
use crossbook_node::follower::Follower;
use crossbook_node::follower_copy::FollowerCopy;
use crossbook_node::recovery::{self, Error, Recovered, Which};
use crossbook_node::snapshot::Folder;
use crossbook_protocol::peer::Outgoing;
use crossbook_protocol::{Body, Cause, Command, Event, Events, Routing};
use crossbook_types::{PartitionId, RequestNumber, Sequence, SourceId, SymbolName, Timestamp};

/// Three partitions, each with a log, that deliver to each other at once.
struct Venue {
    routing: Routing,
    partitions: Vec<Partition>,
    storages: Vec<Memory>,
    logs: Vec<Files<Memory>>,
    /// What each had for others, and because of what.
    sent: Vec<Vec<(Cause, Outgoing)>>,
}

impl Venue {
    fn new(routing: &Routing) -> Self {
        let storages: Vec<_> = routing.all().map(|_| Memory::new(512)).collect();
        let open = |storage: &Memory| Files::open_in(storage.clone(), files::Options::default()).unwrap().0;
        Self {
            routing: routing.clone(),
            partitions: routing.all().map(|id| Partition::new(id, routing.clone(), 1)).collect(),
            logs: storages.iter().map(open).collect(),
            sent: routing.all().map(|_| Vec::new()).collect(),
            storages,
        }
    }

    fn apply(&mut self, number: u64, body: Body) {
        let home = match &body {
            Body::Place(order) => self.routing.of_account(order.account),
            Body::Transfer(request) => self.routing.of_account(request.account),
            _ => Routing::REGISTRY,
        };
        let mut queue = VecDeque::from([(home, SourceId::FIRST_GATEWAY, RequestNumber(number), body)]);
        while let Some((to, source, number, body)) = queue.pop_front() {
            let at = usize::from(to.0);
            let partition = &mut self.partitions[at];
            let (sequence, time) = (partition.sequence().next(), Timestamp(1_000 + partition.sequence().0));
            let mut payload = Vec::new();
            crossbook_protocol::wire::encode_command(source, number, None, &body, &mut payload);
            self.logs[at].append(Record { sequence, time, payload: &payload }).unwrap();
            self.logs[at].sync().unwrap();
            partition.apply(&Command::new(sequence, time, source, number, body), &mut Events::new());
            for message in partition.drain_outgoing() {
                self.sent[at].push((Cause { sequence, time }, message.clone()));
                queue.push_back((message.to, SourceId::partition(to), message.number, Body::Peer(message.message)));
            }
        }
    }

    fn recover(&self, which: &Which, snapshots: &Folder) -> Result<Recovered<Post>, Error> {
        let storage = &self.storages[usize::from(which.partition.0)];
        let until = Until::Durable(self.logs[usize::from(which.partition.0)].durable());
        let reader = |from| FileReader::open_in(storage.clone(), from);
        recovery::recover(which, snapshots, reader, until, Post::default(), |_| ())
    }
}

/// Keeps what was sent, and of which commands the events came.
#[derive(Default)]
struct Post {
    sent: Vec<(Cause, Outgoing)>,
    followed: u64,
}

impl Follower for Post {
    type Saved = u64;

    fn sent(&mut self, cause: Cause, message: Outgoing) {
        assert_eq!(cause.sequence.0, self.followed + 1, "messages come before the events of their command");
        self.sent.push((cause, message));
    }

    fn follow(&mut self, cause: Cause, _: &[Event]) {
        self.followed = cause.sequence.0;
    }

    fn save(&self) -> u64 {
        self.followed
    }

    fn load(&mut self, saved: u64) -> Result<(), String> {
        self.followed = saved;
        Ok(())
    }
}

fn routing(market: u16) -> Routing {
    let names = BTreeMap::from([(SymbolName::new_checked("BTCUSDT").unwrap(), PartitionId(market))]);
    Routing::new_checked(3, BTreeMap::new()).unwrap().with_names(names).unwrap()
}

#[test]
fn each_partition_comes_back_with_what_it_had_for_the_others() {
    let routing = routing(1);
    let mut venue = Venue::new(&routing);
    for (number, body) in (1..).zip(setup().into_iter().chain((0..6_000).map(traffic))) {
        venue.apply(number, body);
    }
    let dirs: Vec<_> = routing.all().map(|_| tempfile::tempdir().unwrap()).collect();
    let folder = |id: PartitionId| Folder::open(dirs[usize::from(id.0)].path()).unwrap();
    let which = |partition| Which { partition, routing: routing.clone(), hash_seed: 9, work: WorkBudget::RULES };
    for id in routing.all() {
        let at = usize::from(id.0);
        let from_log = venue.recover(&which(id), &folder(id)).unwrap();
        assert_eq!(from_log.partition.state(), venue.partitions[at].state());
        assert_eq!(from_log.follower.sent, venue.sent[at], "the same messages, with the same numbers");
        assert_eq!(from_log.follower.followed, venue.partitions[at].sequence().0);

        let middle = Sequence(venue.partitions[at].sequence().0 / 2);
        let reader = |from| FileReader::open_in(venue.storages[at].clone(), from);
        let mut copy = FollowerCopy::begin(&which(id), &folder(id), reader, middle, Post::default(), || ()).unwrap();
        copy.save(&mut folder(id), || ()).unwrap();
        let from_snapshot = venue.recover(&which(id), &folder(id)).unwrap();
        assert_eq!(from_snapshot.snapshot, Some(middle));
        assert_eq!(from_snapshot.partition.state(), venue.partitions[at].state());
        let later: Vec<_> = venue.sent[at].iter().filter(|(cause, _)| cause.sequence > middle).cloned().collect();
        assert_eq!(from_snapshot.follower.sent, later);
    }
    assert!(venue.sent.iter().filter(|sent| sent.len() > 1_000).count() >= 2, "messages went about");
    let long = venue.partitions.iter().filter(|partition| partition.sequence().0 > 4_096).count();
    assert!(long >= 2, "most replays are too long to be done before the follower has a thread of its own");
}

#[test]
fn a_snapshot_of_another_partition_or_routing_is_refused() {
    let mut venue = Venue::new(&routing(1));
    for (number, body) in (1..).zip(setup()) {
        venue.apply(number, body);
    }
    let dir = tempfile::tempdir().unwrap();
    let mut folder = Folder::open(dir.path()).unwrap();
    recovery::save(&mut folder, venue.partitions[1].state(), 0u64).unwrap();
    let right = Which { partition: PartitionId(1), routing: routing(1), hash_seed: 9, work: WorkBudget::RULES };
    assert!(venue.recover(&right, &folder).is_ok(), "that a market has been listed since changes nothing");
    let wrong = [
        Which { partition: PartitionId(0), ..right.clone() },
        Which { routing: routing(2), ..right.clone() },
        Which { routing: Routing::new_checked(4, BTreeMap::new()).unwrap(), ..right },
    ];
    for which in wrong {
        let refused = venue.recover(&which, &folder).map(drop);
        assert!(matches!(refused, Err(Error::Foreign { found: PartitionId(1), partitions: 3, .. })), "{refused:?}");
    }
}
