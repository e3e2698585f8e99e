//! The node on its threads, on a real disk.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::venue::{ALICE, BOB, order, setup, traffic};
use crossbook_engine::Partition;
use crossbook_log::{BatchStats, FileReader, Files, Log, Record, Until, files};
use crossbook_node::audit::Proof;
use crossbook_node::embedded::{self, AuditReport, Options, Running};
use crossbook_node::follower_copy::FollowerCopy;
use crossbook_node::recovery::Which;
use crossbook_node::{EventSink, NotAccepted, Request, audit, recovery, skip, snapshot};
use crossbook_protocol::command::Body;
use crossbook_protocol::order::{CancelAll, CancelOrder, NewOrder, OrderTerms, Target};
use crossbook_protocol::peer::{Admitted, Origin, PeerMessage};
use crossbook_protocol::{Answer, Event, Events, Routing};
use crossbook_types::{
    AccountId, Amount, ClientOrderId, Fees, HoldId, OrderId, PartitionId, RequestNumber, Sequence, Side, SourceId,
    SymbolId, TimeInForce, Timestamp,
};

const DEADLINE: Duration = Duration::from_secs(60);

/// Passes every answer on.
struct Answers(mpsc::Sender<(SourceId, RequestNumber, Result<Answer, NotAccepted>)>);

impl EventSink for Answers {
    fn publish(&mut self, events: &mut Events) {
        for event in events.all() {
            if let Event::Answered { source, number, answer } = event {
                let _ = self.0.send((*source, *number, Ok(answer.clone())));
            }
        }
    }

    fn not_accepted(&mut self, number: RequestNumber, why: NotAccepted) {
        let _ = self.0.send((SourceId(0), number, Err(why)));
    }
}

type Venue = (Running<Files, Answers>, mpsc::Receiver<(SourceId, RequestNumber, Result<Answer, NotAccepted>)>);

fn start(dir: &std::path::Path, options: Options) -> Venue {
    let log_dir = dir.join("log");
    let (log, _) = Files::open(&log_dir, files::Options::default()).unwrap();
    let folder = snapshot::Folder::open(&dir.join("snapshots")).unwrap();
    let until = Until::Durable(crossbook_log::Log::durable(&log));
    let recovered =
        recovery::recover(&Which::single(5), &folder, |from| FileReader::open(&log_dir, from), until, (), |_| ())
            .unwrap();
    let (sender, receiver) = mpsc::channel();
    let running =
        embedded::start(recovered.partition, log, Answers(sender), options, |reason| panic!("{reason}")).unwrap();
    (running, receiver)
}

fn ask(venue: &Venue, number: u64, body: crossbook_protocol::Body) -> Answer {
    let request = Request { number: RequestNumber(number), body, deadline: None };
    venue.0.handle().submit(request).unwrap();
    let (source, answered, answer) = venue.1.recv_timeout(DEADLINE).unwrap();
    assert_eq!((source, answered), (venue.0.handle().source(), RequestNumber(number)));
    answer.unwrap()
}

/// Asks for an audit and answers it, as the thread that takes snapshots does.
fn audited<O>(running: &mut Running<Files, O>, dir: &std::path::Path) -> AuditReport {
    let asked = running.take_audits().unwrap();
    let (sender, receiver) = mpsc::channel();
    running.handle().audit(Box::new(move |report| sender.send(report).unwrap())).unwrap();
    let reply = asked.recv_timeout(DEADLINE).unwrap();
    let folder = snapshot::Folder::open(&dir.join("snapshots")).unwrap();
    let reader = |from| FileReader::open(&dir.join("log"), from);
    let durable = running.handle().durable();
    let copy = FollowerCopy::begin(&Which::single(1), &folder, reader, durable, (), || ()).unwrap();
    reply(copy.audit());
    receiver.recv_timeout(DEADLINE).unwrap()
}

#[test]
fn trading_does_not_wait_for_an_audit() {
    let dir = tempfile::tempdir().unwrap();
    let mut venue = start(dir.path(), Options::default());
    let asked = venue.0.take_audits().unwrap();
    assert!(venue.0.take_audits().is_none(), "there is one who answers");
    let audit = |venue: &Venue| {
        let (sender, receiver) = mpsc::channel();
        venue.0.handle().audit(Box::new(move |report| sender.send(report).unwrap())).map(|()| receiver)
    };
    let waiting: Vec<_> = (0..embedded::AUDITS_WAITING_MAX).map(|_| audit(&venue).unwrap()).collect();
    assert_eq!(audit(&venue).unwrap_err(), NotAccepted::Busy);
    // Nobody has answered one yet.
    for (number, body) in (1..).zip(setup()) {
        ask(&venue, number, body);
    }
    for number in 100..200 {
        assert!(matches!(ask(&venue, number, traffic(number)), Answer::Placed { .. }));
    }
    assert!(waiting.iter().all(|receiver| receiver.try_recv().is_err()));
    // Who is answered is told of everything that was acknowledged before, also of what came after the question.
    let durable = venue.0.handle().durable();
    assert_eq!(durable, Sequence(107));
    let (folder, reader) = (snapshot::Folder::open(&dir.path().join("snapshots")).unwrap(), |from| {
        FileReader::open(&dir.path().join("log"), from)
    });
    let copy = FollowerCopy::begin(&Which::single(1), &folder, reader, durable, (), || ()).unwrap();
    for reply in asked.try_iter() {
        reply(copy.audit());
    }
    for receiver in waiting {
        let report = receiver.recv_timeout(DEADLINE).unwrap();
        assert_eq!((report.sequence, report.violations), (durable, vec![]));
    }
    let stopped = venue.0.stop().unwrap();
    assert_eq!(crossbook_engine::state_hash(&stopped.partition.state()), copy.audit().state_hash);
}

#[test]
fn every_request_is_answered_once_and_survives_a_stop() {
    let dir = tempfile::tempdir().unwrap();
    let mut venue = start(dir.path(), Options::default());
    for (number, body) in (1..).zip(setup()) {
        assert!(!matches!(ask(&venue, number, body), Answer::Refused(_)));
    }
    // Four gateways' worth of threads at once.
    const EACH: u64 = 1_000;
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let handle = venue.0.handle().clone();
            scope.spawn(move || {
                for n in 0..EACH {
                    let number = 100 + thread * EACH + n;
                    let mut request = Request { number: RequestNumber(number), body: traffic(number), deadline: None };
                    let until = Instant::now() + DEADLINE;
                    while let Err(why) = handle.submit(request.clone()) {
                        assert!(why == NotAccepted::Busy && Instant::now() < until, "{why}");
                        std::thread::yield_now();
                        request = request.clone();
                    }
                }
            });
        }
    });
    let mut answers = BTreeMap::new();
    for _ in 0..4 * EACH {
        let (_, number, answer) = venue.1.recv_timeout(DEADLINE).unwrap();
        assert!(matches!(answer, Ok(Answer::Placed { .. })), "{answer:?}");
        assert!(answers.insert(number, answer).is_none(), "answered twice");
    }
    let live = audited(&mut venue.0, dir.path());
    assert_eq!((live.sequence, live.violations), (Sequence(7 + 4 * EACH), vec![]));
    let handle = venue.0.handle().clone();
    let stopped = venue.0.stop().unwrap();
    assert_eq!(
        handle.submit(Request { number: RequestNumber(1), body: traffic(1), deadline: None }),
        Err(NotAccepted::Stopping)
    );
    let before = stopped.partition.state();
    let mut folder = snapshot::Folder::open(&dir.path().join("snapshots")).unwrap();
    recovery::save(&mut folder, before.clone(), ()).unwrap();
    drop(stopped);

    let mut reader = FileReader::open(&dir.path().join("log"), Sequence(1));
    let proof = Proof::read::<()>(&folder).unwrap();
    let report = audit::replay(&mut reader, Until::End, &proof, |_| ()).unwrap();
    assert_eq!((report.findings, report.state_hash), (vec![], live.state_hash));
    assert_eq!(report.snapshot, Some(live.sequence));

    // A new run is a new source: its numbers start again and are not taken for repetitions.
    let venue = start(dir.path(), Options::default());
    assert!(matches!(ask(&venue, 1, traffic(9_999)), Answer::Placed { .. }));
    let stopped = venue.0.stop().unwrap();
    assert_eq!(stopped.partition.sequence(), before.sequence().next());
}

#[test]
fn a_second_process_is_kept_out_of_the_folder() {
    let dir = tempfile::tempdir().unwrap();
    let venue = start(dir.path(), Options::default());
    let second = Files::open(&dir.path().join("log"), files::Options::default());
    assert!(matches!(second, Err(crossbook_log::Error::Locked { .. })));
    venue.0.stop().unwrap();
}

/// An event sink that never comes back until it is let.
struct Stuck(mpsc::Receiver<()>);

impl EventSink for Stuck {
    fn publish(&mut self, _: &mut Events) {
        let _ = self.0.recv();
    }

    fn not_accepted(&mut self, _: RequestNumber, _: NotAccepted) {}
}

#[test]
fn when_the_publisher_is_stuck_the_venue_says_that_it_is_busy() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = Files::open(&dir.path().join("log"), files::Options::default()).unwrap();
    let (release, stuck) = mpsc::channel();
    let options =
        Options { queue_requests_max: 4, batch_requests_max: 2, publish_queue_batches_max: 1, ..Options::default() };
    let partition = Partition::new(PartitionId(0), Routing::single(), 0);
    let running = embedded::start(partition, log, Stuck(stuck), options, |reason| panic!("{reason}")).unwrap();
    let until = Instant::now() + DEADLINE;
    let mut number = 0;
    let why = loop {
        number += 1;
        let request = Request { number: RequestNumber(number), body: traffic(number), deadline: None };
        match running.handle().submit(request) {
            Err(why) => break why,
            Ok(()) => assert!(number < 1_000 && Instant::now() < until, "the queues are bounded"),
        }
    };
    assert_eq!(why, NotAccepted::Busy);
    drop(release);
    assert!(running.stop().is_some());
}

/// A log whose syncs wait until they are let.
struct Gated(Files, mpsc::Receiver<()>);

impl Log for Gated {
    fn append(&mut self, record: Record<'_>) -> Result<(), crossbook_log::Error> {
        self.0.append(record)
    }

    fn sync(&mut self) -> Result<Sequence, crossbook_log::Error> {
        let _ = self.1.recv();
        self.0.sync()
    }

    fn tail(&self) -> Sequence {
        self.0.tail()
    }

    fn durable(&self) -> Sequence {
        self.0.durable()
    }

    fn first(&self) -> Sequence {
        self.0.first()
    }

    fn trim(&mut self, up_to: Sequence) -> Result<(), crossbook_log::Error> {
        self.0.trim(up_to)
    }

    fn last_batch(&self) -> BatchStats {
        self.0.last_batch()
    }
}

/// A node that takes one request a turn, each of which lasts until it is told to go on; and what tells of each turn's
/// end.
fn gated(dir: &std::path::Path, bounds: Options) -> (Running<Gated, Told>, mpsc::Sender<()>, mpsc::Receiver<()>) {
    let (log, _) = Files::open(&dir.join("log"), files::Options::default()).unwrap();
    let (go_on, gate) = mpsc::channel();
    let (sender, ended) = mpsc::channel();
    let partition = Partition::new(PartitionId(0), Routing::single(), 0);
    let options = Options { batch_requests_max: 1, ..bounds };
    let running = embedded::start(partition, Gated(log, gate), Told(sender), options, |why| panic!("{why}")).unwrap();
    (running, go_on, ended)
}

fn until(done: impl Fn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !done() {
        assert!(Instant::now() < deadline);
        std::thread::yield_now();
    }
}

#[test]
fn who_would_wait_too_long_is_refused_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let (running, go_on, answers) = gated(dir.path(), Options { queue_wait_max_ms: 5, ..Options::default() });
    let submit = |number| {
        running.handle().submit(Request { number: RequestNumber(number), body: traffic(number), deadline: None })
    };
    // The first turn takes longer than anybody may wait.
    let began = Instant::now();
    submit(1).unwrap();
    until(|| running.handle().queued() == 0 && began.elapsed() > Duration::from_millis(20));
    go_on.send(()).unwrap();
    answers.recv_timeout(DEADLINE).unwrap();
    // The second is under way; nobody waits, so the third may.
    submit(2).unwrap();
    until(|| running.handle().queued() == 0);
    assert_eq!(submit(3), Ok(()));
    assert_eq!(submit(4), Err(NotAccepted::Busy));
    assert!(running.handle().refuses_orders());
    drop(go_on);
    assert!(running.stop().is_some());
}

#[test]
fn while_more_comes_than_can_be_done_orders_wait_less_and_cancels_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let bounds = Options { queue_wait_max_ms: 500, queue_wait_sustained_max_ms: 1, ..Options::default() };
    let (running, go_on, answers) = gated(dir.path(), bounds);
    let handle = running.handle();
    let order =
        |number| handle.submit(Request { number: RequestNumber(number), body: traffic(number), deadline: None });
    // A turn takes long, but not nearly as long as a burst may wait.
    let began = Instant::now();
    order(1).unwrap();
    until(|| handle.queued() == 0 && began.elapsed() > Duration::from_millis(30));
    go_on.send(()).unwrap();
    answers.recv_timeout(DEADLINE).unwrap();
    order(2).unwrap();
    until(|| handle.queued() == 0);
    // A burst may wait, until it has been there for so long that it is none.
    order(3).unwrap();
    order(4).unwrap();
    until(|| handle.refuses_orders());
    assert_eq!(order(5), Err(NotAccepted::Busy));
    let cancel = Request { number: RequestNumber(6), body: cancel(), deadline: None };
    assert_eq!(handle.submit(cancel), Ok(()));
    drop(go_on);
    assert!(running.stop().is_some());
}

#[test]
fn batches_come_no_sooner_after_one_another_than_they_may() {
    let dir = tempfile::tempdir().unwrap();
    // However long the disk takes, all may wait.
    let bounds = Options { batch_interval_us: 20_000, queue_wait_max_ms: 0, ..Options::default() };
    let (running, go_on, answers) = gated(dir.path(), bounds);
    drop(go_on);
    let began = Instant::now();
    for number in 1..=4 {
        running
            .handle()
            .submit(Request { number: RequestNumber(number), body: traffic(number), deadline: None })
            .unwrap();
    }
    (0..4).for_each(|_| answers.recv_timeout(DEADLINE).unwrap());
    assert!(began.elapsed() >= Duration::from_millis(60), "three waits between four batches");
    assert!(running.stop().is_some());
}

fn cancel() -> Body {
    let cancel_id = ClientOrderId::new_checked("b").unwrap();
    let (account, symbol, target) = (AccountId(1), SymbolId(0), Target::Order(OrderId(1)));
    Body::Cancel(CancelOrder { account, symbol, target, cancel_id, restriction: None })
}

/// Tells of every batch that is published.
struct Told(mpsc::Sender<()>);

impl EventSink for Told {
    fn publish(&mut self, _: &mut Events) {
        let _ = self.0.send(());
    }

    fn not_accepted(&mut self, _: RequestNumber, _: NotAccepted) {}
}

/// Whoever sends while the venue stops is refused, or is ahead of the stop and answered; nothing is left behind it in
/// the queue.
#[test]
fn nothing_that_was_taken_is_left_behind_a_stop() {
    for round in 0..20 {
        let dir = tempfile::tempdir().unwrap();
        let venue = start(dir.path(), Options::default());
        for (number, body) in (1..).zip(setup()) {
            ask(&venue, number, body);
        }
        let (running, outcomes) = venue;
        let handle = running.handle().clone();
        let (began, beginning) = mpsc::channel();
        let numbers = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(1_000));
        let senders: Vec<_> = (0..4)
            .map(|_| {
                let (handle, began, numbers) = (handle.clone(), began.clone(), std::sync::Arc::clone(&numbers));
                std::thread::spawn(move || {
                    let mut taken = Vec::new();
                    loop {
                        let number = numbers.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        let body = crossbook_protocol::Body::OpenAccount(crossbook_protocol::command::OpenAccount {
                            label: String::new(),
                        });
                        match handle.submit(Request { number: RequestNumber(number), body, deadline: None }) {
                            Ok(()) => taken.push(RequestNumber(number)),
                            Err(NotAccepted::Busy) => std::thread::yield_now(),
                            Err(why) => {
                                assert_eq!(why, NotAccepted::Stopping);
                                return taken;
                            }
                        }
                        if taken.len() == 1 + round * 10 {
                            let _ = began.send(());
                        }
                    }
                })
            })
            .collect();
        beginning.recv_timeout(DEADLINE).unwrap();
        assert!(running.stop().is_some());
        let mut taken: Vec<_> = senders.into_iter().flat_map(|sender| sender.join().unwrap()).collect();
        let mut answered: Vec<_> = outcomes.iter().map(|(_, number, _)| number).collect();
        taken.sort_unstable();
        answered.sort_unstable();
        assert_eq!(answered, taken);
    }
}

fn cancel_all(account: AccountId) -> Body {
    let cancel_id = ClientOrderId::new_checked("all").unwrap();
    Body::CancelAll(CancelAll { account, symbol: SymbolId(0), cancel_id })
}

/// A cancel of more orders than one command cancels goes on by itself, and others are served in between.
#[test]
fn what_is_more_than_one_command_does_goes_on_between_the_requests_of_others() {
    const ORDERS: u64 = 2_000;
    let dir = tempfile::tempdir().unwrap();
    let venue = start(dir.path(), Options { queue_wait_max_ms: 0, ..Options::default() });
    for (number, body) in (1..).zip(setup()) {
        ask(&venue, number, body);
    }
    let submit = |number, body| {
        venue.0.handle().submit(Request { number: RequestNumber(number), body, deadline: None }).unwrap();
    };
    (0..ORDERS).for_each(|n| submit(100 + n, order(ALICE, Side::Buy, n)));
    (0..ORDERS).for_each(|_| drop(venue.1.recv_timeout(DEADLINE).unwrap()));
    submit(5_000, cancel_all(ALICE));
    // Each is answered before the next is sent, so it is in a batch of its own.
    let mut between = 0;
    for number in 6_000.. {
        submit(number, order(BOB, Side::Sell, number));
        let mut told = venue.1.recv_timeout(DEADLINE).unwrap();
        let done = told.1 == RequestNumber(5_000);
        if done {
            assert!(matches!(told.2, Ok(Answer::CanceledAll { count: 1_700..=2_000, .. })), "{:?}", told.2);
            told = venue.1.recv_timeout(DEADLINE).unwrap();
        }
        assert_eq!(told.1, RequestNumber(number));
        if done {
            break;
        }
        between += 1;
    }
    assert!(between >= 1, "{between} requests of others were answered before it was done");
    let stopped = venue.0.stop().unwrap();
    let expected = stopped.partition.state();
    drop(stopped);
    let venue = start(dir.path(), Options::default());
    assert_eq!(venue.0.stop().unwrap().partition.state(), expected, "a replay gives the same");
}

/// A venue that is killed in the middle goes on when it is started, without anybody asking for anything.
#[test]
fn what_was_left_goes_on_after_a_start() {
    const ORDERS: u64 = 600;
    let dir = tempfile::tempdir().unwrap();
    let log_dir = dir.path().join("log");
    let (mut log, _) = Files::open(&log_dir, files::Options::default()).unwrap();
    let bodies = setup().into_iter().chain((0..ORDERS).map(|n| order(ALICE, Side::Buy, n))).chain([cancel_all(ALICE)]);
    for (number, body) in (1..).zip(bodies) {
        append(&mut log, number, &body);
    }
    drop(log);
    let venue = start(dir.path(), Options::default());
    let (source, number, answer) = venue.1.recv_timeout(DEADLINE).unwrap();
    assert_eq!((source, number), (SourceId(1 << 40), RequestNumber(7 + ORDERS + 1)));
    assert!(matches!(answer, Ok(Answer::CanceledAll { count, .. }) if u64::from(count) == ORDERS), "{answer:?}");
    venue.0.stop().unwrap();
}

fn append(log: &mut Files, number: u64, body: &Body) {
    let mut payload = Vec::new();
    crossbook_protocol::wire::encode_command(SourceId(1 << 40), RequestNumber(number), None, body, &mut payload);
    let sequence = log.tail().next();
    log.append(Record { sequence, time: Timestamp(1_000_000 + sequence.0), payload: &payload }).unwrap();
    log.sync().unwrap();
}

/// An order that finds nobody, with funds that nobody holds for it: no partition can apply it.
fn poison(origin: Origin) -> Body {
    let Body::Place(order) = order(ALICE, Side::Buy, 1) else { panic!("not an order") };
    let order = NewOrder { terms: OrderTerms { time_in_force: TimeInForce::Ioc, ..order.terms }, ..order };
    let fees = Fees::default();
    Body::Peer(PeerMessage::Admit(Admitted { order, hold: HoldId(77), budget: Amount(1 << 40), fees, origin }))
}

#[test]
fn a_command_that_cannot_be_applied_is_passed_over_by_the_operator() {
    let dir = tempfile::tempdir().unwrap();
    let log_dir = dir.path().join("log");
    let mut folder = snapshot::Folder::open(&dir.path().join("snapshots")).unwrap();
    let (mut log, _) = Files::open(&log_dir, files::Options::default()).unwrap();
    (1..).zip(setup()).for_each(|(number, body)| append(&mut log, number, &body));
    let origin = Origin { source: SourceId(1 << 40), number: RequestNumber(8) };
    append(&mut log, 8, &poison(origin));
    append(&mut log, 9, &traffic(1));
    let settled = Body::Peer(PeerMessage::Release { account: ALICE, hold: HoldId(77) });
    append(&mut log, 10, &settled);
    let held = skip::of_files(&log_dir, &folder, Sequence(8), false);
    assert!(matches!(held, Err(skip::Error::Log(crossbook_log::Error::Locked { .. }))), "{held:?}");
    drop(log);
    let recover = |until| {
        let reader = |from| FileReader::open(&log_dir, from);
        recovery::recover(&Which::single(5), &folder, reader, Until::Durable(Sequence(until)), (), |_| ())
    };
    assert!(catch_unwind(AssertUnwindSafe(|| recover(10).map(drop))).is_err(), "it cannot be applied");
    let skipped = skip::of_files(&log_dir, &folder, Sequence(8), false).unwrap();
    assert_eq!((skipped.before, skipped.command.body), (false, poison(origin)));
    assert!(skip::of_files(&log_dir, &folder, Sequence(8), false).unwrap().before, "once more changes nothing");
    let partition = recover(9).unwrap().partition;
    assert_eq!((partition.ledger().holds(), partition.audit().violations), (1, vec![]));
    // Its neighbour is what another partition relies on.
    assert!(catch_unwind(AssertUnwindSafe(|| recover(10).map(drop))).is_err());
    let relied = skip::of_files(&log_dir, &folder, Sequence(10), false);
    assert!(matches!(relied, Err(skip::Error::ReliedOn { .. })), "{relied:?}");
    skip::of_files(&log_dir, &folder, Sequence(10), true).unwrap();
    // Everybody who reads the log passes over the same: a start, and an audit.
    let venue = start(dir.path(), Options::default());
    assert!(matches!(ask(&venue, 1, traffic(3)), Answer::Placed { .. }));
    let stopped = venue.0.stop().unwrap();
    let state = stopped.partition.state();
    drop(stopped);
    let mut reader = FileReader::open(&log_dir, Sequence(1));
    let report = audit::replay(&mut reader, Until::End, &Proof::default(), |_| ()).unwrap();
    assert_eq!((report.findings, report.state_hash), (vec![], crossbook_engine::state_hash(&state)));
    // What was applied cannot be undone so, and what is not there cannot be passed over.
    recovery::save(&mut folder, state, ()).unwrap();
    let applied = skip::of_files(&log_dir, &folder, Sequence(9), true);
    assert!(matches!(applied, Err(skip::Error::Applied { .. })), "{applied:?}");
    let missing = skip::of_files(&log_dir, &folder, Sequence(99), true);
    assert!(matches!(missing, Err(skip::Error::NoCommand { .. })), "{missing:?}");
}
