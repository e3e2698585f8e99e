//! A venue in one process: the production node on the production log, over a disk in memory that tears writes, loses
//! unsynced data, fills up and fails.
//!
//! ```text
//!   clients --requests--> node (log, apply, sync) --events--> publisher: views, answers --> clients
//!                           |                                                             read, and compare
//!                        the disk <-- faults: at any operation, at any time
//! ```
//!
//! Whatever the node passes to its event sink counts as published. After every start the world compares the published
//! events with the log, and the recovered partition and views with a reference without any faults.

mod faults;
mod rest;
mod start;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use crossbook_log::files::Options;
use crossbook_log::memory::Memory;
use crossbook_log::{FileReader, Files, Log as _, Trimmer};
use crossbook_node::node::{Clock as _, Limits, Node};
use crossbook_node::snapshot::Folder;
use crossbook_node::snapshotter::{Snapshotter, Trimmable};
use crossbook_node::{EventSink, NotAccepted, Request};
use crossbook_oracle::model::Model;
use crossbook_protocol::{Answer, Body, Cause, Event, Events, Routing};
use crossbook_types::{RequestNumber, Sequence, SourceId, Timestamp};
use crossbook_views::Views;

use crate::checkers::Observer;
use crate::client::Client;
use crate::clock::{Time, WallClock};
use crate::coverage::Coverage;
use crate::dice::Dice;
use crate::violation::{Violation, ensure};
use crate::workload;

/// The only partition.
const PARTITION: crossbook_types::PartitionId = Routing::REGISTRY;
/// Requests in flight of one client.
const ASKED_MAX: usize = 4;
/// After so many commands, the live views are compared with what they must be.
const COMPARE_EVERY: u64 = 64;

/// What the node publishes, on its way to the publisher.
#[derive(Debug, Default)]
struct Outbound {
    events: Vec<(Cause, Vec<Event>)>,
    refused: Vec<(RequestNumber, NotAccepted)>,
}

#[derive(Clone, Debug, Default)]
struct Hatch(Arc<Mutex<Outbound>>);

impl Hatch {
    fn take(&self) -> Outbound {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl EventSink for Hatch {
    fn publish(&mut self, events: &mut Events) {
        let mut outbound = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        outbound.events.extend(events.iter().map(|(cause, events)| (cause, events.to_vec())));
    }

    fn not_accepted(&mut self, number: RequestNumber, why: NotAccepted) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).refused.push((number, why));
    }
}

/// One run of the process.
struct Run {
    node: Node<Files<Memory>, WallClock, Hatch>,
    trimmer: Trimmer<Memory>,
    source: SourceId,
    next: RequestNumber,
    /// Published, and not yet folded and answered.
    publishing: VecDeque<(Cause, Vec<Event>)>,
    views: Views,
    asked: BTreeMap<RequestNumber, (usize, Body)>,
    /// Takes the snapshots.
    snapshotter: Snapshotter<Views, Folder<Memory>>,
}

/// How often each thing happens in this world.
#[derive(Clone, Debug)]
struct Rates {
    /// Send, run a batch, publish, write tables, snapshot, follow depth, fault.
    steps: [u64; 7],
    /// Crash, kill, disk fault, full disk, slow disk, clock, snapshot goes bad, clean restart.
    faults: [u64; 8],
    trims: bool,
}

/// See the module.
pub struct World {
    dice: Dice,
    time: Time,
    clock: WallClock,
    rates: Rates,
    disk: Memory,
    /// The folder of the snapshots. It loses its power with the other.
    snapshots: Memory,
    sector_bytes: u64,
    options: Options,
    limits: Limits,
    view_limits: crossbook_views::Limits,
    run: Option<Run>,
    hatch: Hatch,
    clients: Vec<Client>,
    setup: VecDeque<Body>,
    observer: Observer,
    oracle: Option<Model>,
    /// The events of each published command, as bytes.
    published: Vec<Vec<u8>>,
    /// The records of the log as they were read by another reader.
    records: Vec<(Timestamp, Vec<u8>)>,
    faults: bool,
    starts: u64,
}

impl World {
    /// The world of that chance.
    pub fn new(mut dice: Dice) -> Self {
        let time = Time::default();
        let clock = WallClock::new(&time);
        let rates = Rates {
            steps: [
                dice.between(20, 60),
                dice.between(10, 40),
                dice.between(10, 40),
                dice.between(2, 8),
                dice.between(0, 2),
                1,
                dice.between(0, 3),
            ],
            faults: std::array::from_fn(|_| dice.between(0, 4)),
            trims: dice.one_in(2),
        };
        let rates =
            Rates { faults: if rates.faults.iter().sum::<u64>() == 0 { [1; 8] } else { rates.faults }, ..rates };
        let sector_bytes = dice.pick(&[8, 64, 512, 4_096]);
        let options = Options {
            segment_bytes_max: dice.between(5_000, 60_000),
            batch_bytes_max: dice.between(1_200, 4_000) as usize,
            record_bytes_max: 1_000,
            preallocate: dice.one_in(2),
            ..Options::default()
        };
        let limits = Limits {
            queue_requests_max: dice.between(4, 40) as usize,
            batch_requests_max: dice.between(1, 24) as usize,
        };
        let view_limits = crossbook_views::Limits {
            closed_orders_per_account: 40,
            closed_orders_per_market: 150,
            own_trades_per_account: 30,
            own_trades_per_market: 100,
            trades_per_market: 60,
            aggregate_trades_per_market: 40,
            ..crossbook_views::Limits::default()
        };
        let clients = (0..workload::ACCOUNTS).map(|n| Some(workload::account(n))).chain([None]);
        let clients = clients.map(|account| Client::new(account, &mut dice)).collect();
        let observer = Observer::new(&Routing::single(), &view_limits);
        Self {
            disk: Memory::new(sector_bytes),
            snapshots: Memory::new(sector_bytes),
            dice,
            time,
            clock,
            rates,
            sector_bytes,
            options,
            limits,
            view_limits,
            run: None,
            hatch: Hatch::default(),
            clients,
            setup: workload::setup().into(),
            observer,
            oracle: None,
            published: Vec::new(),
            records: Vec::new(),
            faults: true,
            starts: 0,
        }
    }

    /// Lives through the phase with faults and the phase without.
    ///
    /// # Errors
    /// When something is wrong.
    pub fn live(&mut self) -> Result<(), Violation> {
        self.start()?;
        let steps = self.dice.between(1_500, 4_000);
        for _ in 0..steps {
            self.step()?;
        }
        self.faults = false;
        self.clock.set_error(0);
        self.heal()?;
        self.end()
    }

    /// What this world has been through.
    #[must_use]
    pub fn coverage(&self) -> &Coverage {
        &self.observer.coverage
    }

    /// A digest of everything published.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let bytes = self.published.iter().flatten();
        bytes.fold(self.time.now(), |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    }

    /// How many commands were published.
    #[must_use]
    pub fn commands(&self) -> u64 {
        self.published.len() as u64
    }

    fn step(&mut self) -> Result<(), Violation> {
        self.time.pass(self.dice.below(2_000));
        match self.dice.weighted(&self.rates.steps) {
            0 => self.ask(),
            1 => self.turn()?,
            2 => self.publish()?,
            3 => self.write_tables()?,
            4 => self.snapshot()?,
            5 => self.follow_depth()?,
            _ if self.faults => self.fault()?,
            _ => {}
        }
        Ok(())
    }

    // What people do.

    fn ask(&mut self) {
        let Some(run) = &mut self.run else { return };
        // One after the other, until the venue is made.
        let making = !self.setup.is_empty();
        let who = if making { self.clients.len() - 1 } else { self.dice.index(self.clients.len()) };
        let under_way = run.asked.values().filter(|(of, _)| *of == who).count();
        if under_way >= if making { 1 } else { ASKED_MAX } {
            return;
        }
        let body = match self.setup.front() {
            Some(body) => body.clone(),
            None => self.clients[who].next(&mut self.dice),
        };
        let number = run.next;
        run.next = number.next();
        let patience = self.dice.between(1_000, 400_000);
        let deadline = (!making && self.dice.one_in(4)).then(|| Timestamp(self.clock.now().0.saturating_add(patience)));
        match run.node.offer(Request { number, body: body.clone(), deadline }) {
            Ok(()) => {
                run.asked.insert(number, (who, body));
            }
            Err(why) => {
                self.observer.coverage.count(&format!("not taken {why:?}"));
                self.clients[who].in_doubt(body);
            }
        }
    }

    /// An answer or a refusal reaches its requester.
    fn answer(&mut self, number: RequestNumber, answer: Option<&Answer>, sequence: Sequence) -> Result<(), Violation> {
        let Some(run) = &mut self.run else { return Ok(()) };
        let Some((who, body)) = run.asked.remove(&number) else { return Ok(()) };
        let Some(answer) = answer else {
            self.clients[who].in_doubt(body);
            return Ok(());
        };
        let accepted = !matches!((&body, answer), (Body::Transfer(_), Answer::Refused(_)));
        if self.setup.front() == Some(&body) && accepted {
            self.setup.pop_front();
        }
        self.clients[who].published(&body, answer, PARTITION, sequence);
        let views = &run.views;
        self.clients[who].read(|_| views)
    }

    // What the venue does.

    fn turn(&mut self) -> Result<(), Violation> {
        let Some(run) = &mut self.run else { return Ok(()) };
        let turned = run.node.run_batch();
        self.collect()?;
        match turned {
            Ok(_) => {
                let took = if self.dice.one_in(50) { 300_000 } else { 300 };
                self.time.pass(self.dice.below(took));
                Ok(())
            }
            Err(error) => {
                self.observer.coverage.count("the venue ended because its log failed");
                let faulty = self.faults;
                ensure!(faulty, Alive, "the node cannot go on: {error}");
                self.crash()
            }
        }
    }

    /// Processes what the node has published: from here on clients may know it.
    fn collect(&mut self) -> Result<(), Violation> {
        let Outbound { events, refused } = self.hatch.take();
        for (cause, events) in events {
            let due = Sequence(self.published.len() as u64 + 1);
            ensure!(cause.sequence == due, Published, "command {} is published, {due} was due", cause.sequence);
            let mut bytes = Vec::new();
            crossbook_protocol::wire::encode_events(cause, &events, &mut bytes);
            self.published.push(bytes);
            if let Some(run) = &mut self.run {
                run.publishing.push_back((cause, events));
            }
        }
        for (number, why) in refused {
            self.observer.coverage.count(&format!("not taken {why:?}"));
            self.answer(number, None, Sequence(0))?;
        }
        Ok(())
    }

    /// The publisher takes one batch: first the views, then the answers.
    fn publish(&mut self) -> Result<(), Violation> {
        let Some(run) = &mut self.run else { return Ok(()) };
        let Some((cause, events)) = run.publishing.pop_front() else { return Ok(()) };
        run.views.apply_all(cause, &events);
        let source = run.source;
        for event in &events {
            if let Event::Answered { source: of, number, answer } = event
                && *of == source
            {
                self.answer(*number, Some(answer), cause.sequence)?;
            }
        }
        let durable = self.run.as_ref().map_or(Sequence(0), |run| run.node.log().durable());
        self.watch(durable.min(cause.sequence))?;
        let due = self.observer.views(PARTITION);
        if let Some(run) = self.run.as_ref().filter(|_| cause.sequence.0.is_multiple_of(COMPARE_EVERY))
            && due.position() == Some(cause)
        {
            self.observer.coverage.count("views compared");
            let same = run.views.state() == self.observer.views(PARTITION).state();
            ensure!(same, Views, "the live views are not what was published up to {}", cause.sequence);
        }
        Ok(())
    }

    fn write_tables(&mut self) -> Result<(), Violation> {
        let (recording, published) = self.observer.recording_mut(PARTITION);
        if let Some(failure) = recording.step(published, &mut self.dice, self.faults)? {
            self.observer.coverage.count(&format!("fault tables {failure:?}"));
        }
        Ok(())
    }

    /// Another thread has its copy follow the log, takes a snapshot of it, and trims the log, as in a venue.
    fn snapshot(&mut self) -> Result<(), Violation> {
        let Some(run) = &mut self.run else { return Ok(()) };
        // Durable, since it was published.
        let Some(published) = run.views.position().map(|cause| cause.sequence) else { return Ok(()) };
        if !run.snapshotter.is_due(published) {
            return Ok(());
        }
        let recorded = self.observer.recording_mut(PARTITION).0.position();
        run.snapshotter.keep_for_history(Some(recorded));
        if run.snapshotter.has_copy() {
            self.observer.coverage.count("snapshot of a copy that was there");
        }
        let disk = self.disk.clone();
        let reader = |from| FileReader::open_in(disk, from);
        match run.snapshotter.take(reader, published, Views::new(self.view_limits.clone()), || ()) {
            Ok(_) => {
                self.observer.coverage.count("snapshot");
                self.trim(recorded)?;
            }
            Err(error) => {
                ensure!(self.faults, Alive, "no snapshot can be made: {error}");
                self.observer.coverage.count("snapshot failed");
            }
        }
        if self.is_dark() { self.crash() } else { Ok(()) }
    }

    /// The thread of the snapshots trims: a segment, while the partition's thread continues, and the next one some
    /// other time.
    fn trim(&mut self, recorded: Sequence) -> Result<(), Violation> {
        let Some(run) = &mut self.run else { return Ok(()) };
        match run.snapshotter.trimmable(Some(recorded)) {
            Ok(Some(Trimmable::UpTo(oldest))) => {
                self.observer.coverage.count("trim");
                if let Err(error) = run.trimmer.trim_one(oldest) {
                    ensure!(self.faults, Alive, "the log cannot be trimmed: {error}");
                    // Trading continues, unless the power is gone.
                    self.observer.coverage.count("trim failed");
                }
            }
            Ok(Some(Trimmable::HistoryBehind)) => self.observer.coverage.count("log kept for the history"),
            Ok(Some(Trimmable::OldestDamaged(_))) => self.observer.coverage.count("log kept: a snapshot is damaged"),
            Ok(None | Some(Trimmable::Nothing)) => {}
            // The power is gone.
            Err(error) => ensure!(self.faults, Alive, "the snapshots cannot be read: {error}"),
        }
        Ok(())
    }

    fn follow_depth(&mut self) -> Result<(), Violation> {
        let symbol = crossbook_types::SymbolId(self.dice.below(u64::from(workload::MARKETS)) as u32);
        if self.dice.one_in(3) {
            self.observer.subscriber_mut().subscribe(symbol);
        } else if let Some(market) = self.run.as_ref().and_then(|run| run.views.market(symbol)) {
            self.observer.coverage.count("depth snapshot");
            self.observer.subscriber_mut().snapshot(symbol, market.depth())?;
        }
        Ok(())
    }
}
