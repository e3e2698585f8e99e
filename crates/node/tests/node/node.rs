//! The node by itself: one thread, with a log and a clock of the test.

use std::sync::{Arc, Mutex};

use crate::venue::{setup, traffic};
use crossbook_engine::Partition;
use crossbook_log::memory::Memory;
use crossbook_log::{BatchStats, FileReader, Files, Log, Record, Until, files};
use crossbook_node::audit::{self, Proof};
use crossbook_node::follower::Follower;
use crossbook_node::follower_copy::FollowerCopy;
use crossbook_node::node::{self, Clock, Limits, Node};
use crossbook_node::recovery::{self, Which};
use crossbook_node::snapshot::{self, Saved as _};
use crossbook_node::{EventSink, NotAccepted, Request};
use crossbook_protocol::{Answer, Event, Events, Routing};
use crossbook_types::{PartitionId, RequestNumber, Sequence, SourceId, Timestamp};

const SOURCE: SourceId = SourceId(1 << 20);

/// What happened, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Happened {
    Appended(u64),
    Synced(u64),
    Published(u64),
    NotAccepted(u64, NotAccepted),
}

type Diary = Arc<Mutex<Vec<Happened>>>;

/// A log that keeps a diary, and fails its sync when told to.
struct Watched {
    tail: Sequence,
    durable: Sequence,
    diary: Diary,
    broken: bool,
}

impl Log for Watched {
    fn append(&mut self, record: Record<'_>) -> Result<(), crossbook_log::Error> {
        self.tail = record.sequence;
        self.diary.lock().unwrap().push(Happened::Appended(record.sequence.0));
        Ok(())
    }

    fn sync(&mut self) -> Result<Sequence, crossbook_log::Error> {
        if self.broken {
            return Err(crossbook_log::Error::Poisoned);
        }
        self.durable = self.tail;
        self.diary.lock().unwrap().push(Happened::Synced(self.tail.0));
        Ok(self.durable)
    }

    fn tail(&self) -> Sequence {
        self.tail
    }

    fn durable(&self) -> Sequence {
        self.durable
    }

    fn first(&self) -> Sequence {
        Sequence(1)
    }

    fn trim(&mut self, _: Sequence) -> Result<(), crossbook_log::Error> {
        Ok(())
    }

    fn last_batch(&self) -> BatchStats {
        BatchStats::default()
    }
}

struct Writer(Diary, Vec<u64>);

impl EventSink for Writer {
    fn publish(&mut self, events: &mut Events) {
        for (cause, _) in events.iter() {
            self.0.lock().unwrap().push(Happened::Published(cause.sequence.0));
            self.1.push(cause.time.0);
        }
    }

    fn not_accepted(&mut self, number: RequestNumber, why: NotAccepted) {
        self.0.lock().unwrap().push(Happened::NotAccepted(number.0, why));
    }
}

#[derive(Clone, Default)]
struct Hands(Arc<Mutex<u64>>);

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp(*self.0.lock().unwrap())
    }
}

fn empty() -> Partition {
    Partition::new(PartitionId(0), Routing::single(), 7)
}

fn watched(limits: Limits) -> (Node<Watched, Hands, Writer>, Diary, Hands) {
    let (diary, hands) = (Diary::default(), Hands::default());
    let log = Watched { tail: Sequence(0), durable: Sequence(0), diary: Arc::clone(&diary), broken: false };
    let writer = Writer(Arc::clone(&diary), Vec::new());
    (Node::new(empty(), log, hands.clone(), writer, SOURCE, limits), diary, hands)
}

fn request(number: u64, deadline: Option<u64>) -> Request {
    Request { number: RequestNumber(number), body: traffic(number), deadline: deadline.map(Timestamp) }
}

#[test]
fn nothing_is_told_before_the_whole_batch_is_durable() {
    let (mut node, diary, _) = watched(Limits { queue_requests_max: 10, batch_requests_max: 2 });
    for number in 1..=3 {
        node.offer(request(number, None)).unwrap();
    }
    while node.queued() > 0 {
        node.run_batch().unwrap();
    }
    use Happened::{Appended, Published, Synced};
    let expected =
        [Appended(1), Appended(2), Synced(2), Published(1), Published(2), Appended(3), Synced(3), Published(3)];
    assert_eq!(*diary.lock().unwrap(), expected);
}

#[test]
fn a_failed_sync_tells_nobody_anything() {
    let (mut node, diary, _) = watched(Limits::default());
    node.log_mut().broken = true;
    node.offer(request(1, None)).unwrap();
    assert!(matches!(node.run_batch(), Err(node::Error::Log(crossbook_log::Error::Poisoned))));
    assert_eq!(*diary.lock().unwrap(), [Happened::Appended(1)]);
}

#[test]
fn late_requests_are_dropped_and_too_many_are_refused() {
    let (mut node, diary, hands) = watched(Limits { queue_requests_max: 2, batch_requests_max: 10 });
    *hands.0.lock().unwrap() = 100;
    node.offer(request(1, Some(99))).unwrap();
    node.offer(request(2, Some(100))).unwrap();
    assert_eq!(node.offer(request(3, None)), Err(NotAccepted::Busy));
    node.run_batch().unwrap();
    use Happened::{Appended, NotAccepted as Dropped, Published, Synced};
    assert_eq!(*diary.lock().unwrap(), [Dropped(1, NotAccepted::Late), Appended(1), Synced(1), Published(1)]);
}

#[test]
fn time_does_not_go_back_when_the_clock_does() {
    let (mut node, _, hands) = watched(Limits::default());
    for (number, now) in [(1, 50), (2, 40), (3, 60)] {
        *hands.0.lock().unwrap() = now;
        node.offer(request(number, None)).unwrap();
        node.run_batch().unwrap();
    }
    assert_eq!(node.outlet_mut().1, [50, 50, 60]);
}

#[test]
fn a_clock_that_was_set_back_makes_no_request_late() {
    let (mut node, diary, hands) = watched(Limits::default());
    for (number, now) in [(1, 5_000), (2, 40)] {
        *hands.0.lock().unwrap() = now;
        node.offer(request(number, Some(now + 10))).unwrap();
        node.run_batch().unwrap();
    }
    assert!(!diary.lock().unwrap().iter().any(|happened| matches!(happened, Happened::NotAccepted(..))));
    assert_eq!(node.outlet_mut().1, [5_000, 5_000]);
}

/// Counts answers, as a stand-in for views.
#[derive(Default, Debug)]
struct Count(u64);

impl Follower for Count {
    type Saved = u64;

    fn follow(&mut self, _: crossbook_protocol::Cause, events: &[Event]) {
        self.0 += events.iter().filter(|event| matches!(event, Event::Answered { .. })).count() as u64;
    }

    fn save(&self) -> u64 {
        self.0
    }

    fn load(&mut self, saved: u64) -> Result<(), String> {
        self.0 = saved;
        Ok(())
    }
}

struct Silent;

impl EventSink for Silent {
    fn publish(&mut self, events: &mut Events) {
        for event in events.all() {
            let refused = matches!(event, Event::Answered { answer: Answer::Refused(_), .. });
            assert!(!refused, "the test's traffic is all good: {event:?}");
        }
    }

    fn not_accepted(&mut self, _: RequestNumber, _: NotAccepted) {}
}

/// Runs a venue on a log in memory, cuts the power at any point, and expects what was acknowledged to be there, the
/// same from the log alone, from each snapshot and the rest of the log, and from the older snapshot when the newer is
/// bad.
#[test]
fn what_was_durable_comes_back_however_it_is_recovered() {
    let storage = Memory::new(512);
    let dir = tempfile::tempdir().unwrap();
    let mut folder = snapshot::Folder::open(dir.path()).unwrap();
    let mut copy: Option<FollowerCopy<Count>> = None;
    let (log, _) = Files::open_in(storage.clone(), files::Options::default()).unwrap();
    let mut node = Node::new(empty(), log, Hands::default(), Silent, SOURCE, Limits::default());
    let bodies = setup().into_iter().chain((0..3_000).map(traffic));
    let reader = |from| FileReader::open_in(storage.clone(), from);
    for (number, body) in (1..).zip(bodies) {
        node.offer(Request { number: RequestNumber(number), body, deadline: None }).unwrap();
        if number % 50 == 0 {
            node.run_batch().unwrap();
        }
        if number % 1_000 == 0 {
            let durable = node.log().durable();
            let mut rests = 0;
            let followed = match copy.take() {
                Some(copy) => copy.advance(reader, durable, || rests += 1),
                None => {
                    FollowerCopy::begin(&Which::single(0), &folder, reader, durable, Count::default(), || rests += 1)
                }
            };
            let followed = copy.insert(followed.unwrap());
            assert_eq!(followed.sequence(), durable);
            assert!(rests >= 3, "it rests within a thousand commands, not after them");
            followed.save(&mut folder, || ()).unwrap();
        }
    }
    while node.queued() > 0 {
        node.run_batch().unwrap();
    }
    let (before, end) = (node.partition().state(), node.log().durable());
    assert_eq!(end, Sequence(3_007));
    drop(node);

    let until = Until::Durable(end);
    let from_snapshot = recovery::recover(&Which::single(1), &folder, reader, until, Count::default(), |_| ()).unwrap();
    assert_eq!(from_snapshot.snapshot, Some(Sequence(3_000)));
    assert_eq!(from_snapshot.partition.state(), before);
    assert_eq!(from_snapshot.follower.0, 3_007);

    let newest = dir.path().join("snapshot-00000000000000003000.bin");
    let mut bytes = std::fs::read(&newest).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&newest, bytes).unwrap();
    let from_older = recovery::recover(&Which::single(2), &folder, reader, until, Count::default(), |_| ()).unwrap();
    assert_eq!(from_older.snapshot, Some(Sequence(2_000)));
    assert_eq!(from_older.partition.state(), before);

    let nothing = tempfile::tempdir().unwrap();
    let none = snapshot::Folder::open(nothing.path()).unwrap();
    let from_log = recovery::recover(&Which::single(3), &none, reader, until, Count::default(), |_| ()).unwrap();
    assert_eq!((from_log.snapshot, from_log.replayed), (None, 3_007));
    assert_eq!(from_log.partition.state(), before);
    assert_eq!(crossbook_engine::state_hash(&from_log.partition.state()), crossbook_engine::state_hash(&before));

    let audited = |proof: &Proof| audit::replay(&mut reader(Sequence(1)), Until::End, proof, |_| ()).unwrap();
    let proof = Proof::read::<Count>(&folder).unwrap();
    assert_eq!(proof.durable, Sequence(3_000), "a damaged snapshot still says how far the log was durable");
    let report = audited(&proof);
    assert_eq!(report.findings, Vec::<String>::new());
    assert_eq!((report.snapshot, report.missing), (Some(Sequence(2_000)), 0));
    let other = audited(&Proof { snapshot: Some((Sequence(2_000), [7; 32])), ..proof.clone() });
    assert!(other.findings.len() == 1 && other.findings[0].starts_with("command 2000: the state"), "{other:?}");
    let lost = audited(&Proof { durable: Sequence(3_010), ..proof });
    assert_eq!(lost.missing, 3);
    assert!(lost.findings[0].contains("3 commands are lost"), "{lost:?}");
    assert_eq!(report.state_hash, crossbook_engine::state_hash(&before));
    assert!(report.trades > 1_000);

    assert!(matches!(
        recovery::recover(&Which::single(3), &folder, reader, Until::Durable(Sequence(10)), Count::default(), |_| ()),
        Err(recovery::Error::LogBehind { .. })
    ));
    assert_eq!(folder.list().unwrap(), [Sequence(3_000), Sequence(2_000)]);
}
