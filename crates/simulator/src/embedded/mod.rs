//! A venue in one process: the production node on the production log, over a disk in memory that tears, forgets, fills up and fails.
//!
//! ```text
//!   clients --requests--> node (log, apply, sync) --events--> publisher: views, answers --> clients
//!                           |                                                             read, and compare
//!                        the disk <-- faults: at any operation, at any moment
//! ```
//!
//! Whatever the node hands to its outlet counts as told. After every start the world holds what was told against what the log has, and
//! the partition and views that recovery gives back against a reference that no fault ever touched.

mod shelf;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use crossbook_engine::{Answer, Body, Cause, Event, Events, Routing};
use crossbook_loadtest::model::Model;
use crossbook_log::files::Options;
use crossbook_log::memory::{Fault, Memory};
use crossbook_log::{FileReader, Files, Log as _, Reader as _, Until};
use crossbook_node::embedded::source_of_run;
use crossbook_node::node::{Clock as _, Limits, Node};
use crossbook_node::recovery::{self, Which};
use crossbook_node::{NotTaken, Outlet, Request};
use crossbook_types::{RequestNumber, Sequence, SourceId, Timestamp};
use crossbook_views::Views;

use crate::checkers::Observer;
use crate::client::Client;
use crate::clock::{Time, WallClock};
use crate::coverage::Coverage;
use crate::dice::Dice;
use crate::violation::{Check, Violation, ensure};
use crate::workload;
use shelf::{Folded, Shelf};

/// The only partition.
const PARTITION: crossbook_types::PartitionId = Routing::REGISTRY;
/// Requests that one client has under way.
const ASKED_MAX: usize = 4;
/// How often a start may fail before that is a fault of its own.
const STARTS_MAX: u32 = 30;

/// What the node hands out, on its way to the publisher.
#[derive(Debug, Default)]
struct Outbound {
    events: Vec<(Cause, Vec<Event>)>,
    refused: Vec<(RequestNumber, NotTaken)>,
}

#[derive(Clone, Debug, Default)]
struct Hatch(Arc<Mutex<Outbound>>);

impl Hatch {
    fn take(&self) -> Outbound {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Outlet for Hatch {
    fn publish(&mut self, events: &mut Events) {
        let mut outbound = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        outbound.events.extend(events.iter().map(|(cause, events)| (cause, events.to_vec())));
    }

    fn not_taken(&mut self, number: RequestNumber, why: NotTaken) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).refused.push((number, why));
    }
}

/// One run of the process.
struct Run {
    node: Node<Files<Memory>, WallClock, Hatch>,
    source: SourceId,
    next: RequestNumber,
    /// Told, and not yet folded and answered.
    publishing: VecDeque<(Cause, Vec<Event>)>,
    views: Views,
    asked: BTreeMap<RequestNumber, (usize, Body)>,
}

/// How often each thing happens in this world.
#[derive(Clone, Debug)]
struct Rates {
    /// Ask, turn, publish, write tables, snapshot, follow depth, fault.
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
    sector_bytes: u64,
    options: Options,
    limits: Limits,
    view_limits: crossbook_views::Limits,
    shelf: Shelf,
    run: Option<Run>,
    hatch: Hatch,
    clients: Vec<Client>,
    setup: VecDeque<Body>,
    observer: Observer,
    oracle: Option<Model>,
    /// The events of each command that was told, as bytes.
    told: Vec<Vec<u8>>,
    /// The records of the log as they were read behind the node's back.
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
            dice,
            time,
            clock,
            rates,
            sector_bytes,
            options,
            limits,
            view_limits,
            shelf: Shelf::default(),
            run: None,
            hatch: Hatch::default(),
            clients,
            setup: workload::setup().into(),
            observer,
            oracle: None,
            told: Vec::new(),
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

    /// A number in which all that was told shows.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let bytes = self.told.iter().flatten();
        bytes.fold(self.time.now(), |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    }

    /// How many commands were told.
    #[must_use]
    pub fn commands(&self) -> u64 {
        self.told.len() as u64
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

    /// An answer or a refusal reaches whoever asked.
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
        self.clients[who].told(&body, answer, PARTITION, sequence);
        let views = &run.views;
        self.clients[who].read(|_| views)
    }

    // What the venue does.

    fn turn(&mut self) -> Result<(), Violation> {
        let Some(run) = &mut self.run else { return Ok(()) };
        let turned = run.node.turn();
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

    /// Takes what the node has handed out: from here on it may be known to anybody.
    fn collect(&mut self) -> Result<(), Violation> {
        let Outbound { events, refused } = self.hatch.take();
        for (cause, events) in events {
            let due = Sequence(self.told.len() as u64 + 1);
            ensure!(cause.sequence == due, Told, "command {} is told, {due} was due", cause.sequence);
            let mut bytes = Vec::new();
            crossbook_wire::encode_events(cause, &events, &mut bytes);
            self.told.push(bytes);
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
        self.watch(durable.min(cause.sequence))
    }

    fn write_tables(&mut self) -> Result<(), Violation> {
        let (recording, told) = self.observer.recording_mut(PARTITION);
        if let Some(failure) = recording.step(told, &mut self.dice, self.faults)? {
            self.observer.coverage.count(&format!("fault tables {failure:?}"));
        }
        Ok(())
    }

    /// Another thread makes a snapshot, from the last one and the log.
    fn snapshot(&mut self) -> Result<(), Violation> {
        let Some(run) = &mut self.run else { return Ok(()) };
        let Some(position) = run.views.position() else { return Ok(()) };
        let disk = self.disk.clone();
        let reader = |from| FileReader::open_in(disk, from);
        let follower = Folded::new(self.view_limits.clone());
        // Durable, since it was told.
        let taken = recovery::advance(&Which::single(11), &mut self.shelf, reader, position.sequence, follower);
        match taken {
            Ok(_) => self.observer.coverage.count("snapshot"),
            // The power may be gone.
            Err(error) => ensure!(self.faults, Alive, "no snapshot can be made: {error}"),
        }
        let oldest = self.shelf.oldest().filter(|_| self.rates.trims);
        if let (Some(oldest), Some(run)) = (oldest, &mut self.run) {
            // The thread of the partition trims between two batches.
            let position = oldest.min(run.node.log().durable());
            self.observer.coverage.count("trim");
            if let Err(error) = run.node.log_mut().trim(position) {
                ensure!(self.faults, Alive, "the log cannot be trimmed: {error}");
                return self.crash();
            }
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

    // What goes wrong.

    fn fault(&mut self) -> Result<(), Violation> {
        let kind = self.dice.weighted(&self.rates.faults);
        let name = [
            "fault power cut",
            "fault killed",
            "fault disk operation",
            "fault disk full",
            "fault disk slow",
            "fault clock",
            "fault snapshot damaged",
            "clean restart",
        ][kind];
        match kind {
            0 => self.crash()?,
            1 => {
                self.drop_run();
                self.start()?;
            }
            2 => {
                let fault = self.dice.pick(&[Fault::PowerCut, Fault::Broken, Fault::Full]);
                self.observer.coverage.count(&format!("fault disk {fault:?}"));
                self.disk.fail(self.disk.operations() + self.dice.below(8), fault);
            }
            3 => {
                let used: usize = self.disk.files().values().map(Vec::len).sum();
                self.disk.limit(used as u64 + self.dice.below(6_000));
            }
            4 => self.time.pass(self.dice.between(100_000, 3_000_000)),
            5 => {
                let hour = 3_600_000_000;
                self.clock.set_error(self.dice.between(0, 2 * hour) as i64 - hour as i64);
            }
            6 => {
                if !self.shelf.damage_last() {
                    return Ok(());
                }
            }
            _ => self.stop()?,
        }
        self.observer.coverage.count(name);
        Ok(())
    }

    /// The process is gone, and with it whatever it had not told.
    fn drop_run(&mut self) {
        if let Some(run) = self.run.take() {
            drop(self.hatch.take());
            for (who, body) in run.asked.into_values() {
                self.clients[who].in_doubt(body);
            }
        }
    }

    /// The power goes, and comes back.
    fn crash(&mut self) -> Result<(), Violation> {
        self.drop_run();
        self.cut_power();
        self.start()
    }

    fn cut_power(&mut self) {
        let mercy = self.dice.below(5);
        let dice = &mut self.dice;
        self.disk = self.disk.crash(&mut || match mercy {
            0 => true,
            1 => false,
            _ => dice.one_in(2),
        });
        self.disk.limit(u64::MAX);
        self.observer.coverage.count("power cut");
    }

    /// The operator stops the venue, which leaves a snapshot of its end, and starts it again.
    fn stop(&mut self) -> Result<(), Violation> {
        while self.run.as_ref().is_some_and(|run| run.node.queued() > 0) {
            let starts = self.starts;
            self.turn()?;
            if self.starts > starts {
                return Ok(());
            }
        }
        while self.run.as_ref().is_some_and(|run| !run.publishing.is_empty()) {
            self.publish()?;
        }
        let Some(Run { node, views, .. }) = self.run.take() else { return Ok(()) };
        let (partition, log, _) = node.finish();
        ensure!(log.durable() == partition.sequence(), Durable, "a clean stop leaves something that is not durable");
        let saved = recovery::save(&mut self.shelf, partition.state(), views.state());
        ensure!(saved.is_ok(), Alive, "no snapshot at the end: {saved:?}");
        drop(log);
        self.start()
    }

    // A start, and what must be true after it.

    fn start(&mut self) -> Result<(), Violation> {
        for attempt in 0..STARTS_MAX {
            match self.try_start()? {
                true => {
                    self.starts += 1;
                    return Ok(());
                }
                false => {
                    self.observer.coverage.count("fault during recovery");
                    if attempt > 2 || self.dice.one_in(2) {
                        self.cut_power();
                    } else {
                        self.disk.limit(u64::MAX);
                    }
                }
            }
        }
        Err(Violation::new(Check::Alive, "the venue does not start again"))
    }

    /// False if a fault came in between.
    fn try_start(&mut self) -> Result<bool, Violation> {
        let (log, report) = match Files::open_in(self.disk.clone(), self.options) {
            Ok(opened) => opened,
            Err(error @ crossbook_log::Error::Corrupt { .. }) => {
                return Err(Violation::new(Check::Damage, format!("a log that only crashes have touched: {error}")));
            }
            Err(_) => return Ok(false),
        };
        if report.torn.is_some() {
            self.observer.coverage.count("torn tail cut");
        }
        let end = log.durable();
        let told = Sequence(self.told.len() as u64);
        ensure!(end >= told, Durable, "command {told} was told, and the log ends at {end}");
        let which = Which::single(self.dice.any());
        let disk = self.disk.clone();
        let reader = |from| FileReader::open_in(disk, from);
        let follower = Folded::new(self.view_limits.clone());
        let until = Until::Durable(end);
        let recovered = match recovery::recover(&which, &self.shelf, reader, until, follower, |_| ()) {
            Ok(recovered) => recovered,
            Err(recovery::Error::Log(_)) if self.faults => return Ok(false),
            Err(error) => return Err(Violation::new(Check::Alive, format!("recovery fails: {error}"))),
        };
        self.observer.coverage.count(match recovered.snapshot {
            Some(_) => "started from a snapshot",
            None => "started from the log alone",
        });
        self.compare_records(log.first(), end)?;
        self.watch(end)?;
        // What is in the log is told from now on, whoever may have heard it.
        for told in &self.observer.told(PARTITION)[self.told.len()..] {
            let mut bytes = Vec::new();
            crossbook_wire::encode_events(told.cause, &told.events, &mut bytes);
            self.told.push(bytes);
        }
        let reference = self.observer.reference(PARTITION).state();
        ensure!(recovered.partition.state() == reference, Replicas, "recovery gives another state at {end}");
        let views = recovered.follower.0;
        let due = self.observer.views(PARTITION).state();
        ensure!(views.state() == due, Views, "recovery gives other views at {end}");
        let source = source_of_run(end);
        let node = Node::new(recovered.partition, log, self.clock.clone(), self.hatch.clone(), source, self.limits);
        let publishing = VecDeque::new();
        self.run = Some(Run { node, source, next: RequestNumber(1), publishing, views, asked: BTreeMap::new() });
        Ok(true)
    }

    /// Whether the log still has the records that were read from it before.
    fn compare_records(&mut self, first: Sequence, end: Sequence) -> Result<(), Violation> {
        let mut reader = FileReader::open_in(self.disk.clone(), first);
        for (sequence, (time, payload)) in (1..).zip(&self.records).skip(first.0.saturating_sub(1) as usize) {
            let record = reader.next(Until::Durable(end));
            let same = matches!(&record, Ok(Some(record))
                if record.sequence.0 == sequence && record.time == *time && record.payload == payload);
            ensure!(same, Durable, "record {sequence} was told of and has become {record:?}");
        }
        Ok(())
    }

    /// Reads the log behind the node's back, and holds what was told against what follows from it.
    fn watch(&mut self, until: Sequence) -> Result<(), Violation> {
        let from = self.observer.position(PARTITION).next();
        if from > until {
            return Ok(());
        }
        let mut reader = FileReader::open_in(self.disk.clone(), from);
        while let Some(record) = reader.next(Until::Durable(until)).map_err(|error| {
            Violation::new(Check::Durable, format!("command {from} was told, and cannot be read: {error}"))
        })? {
            let (sequence, time, payload) = (record.sequence, record.time, record.payload.to_vec());
            let command = crossbook_wire::decode_command(sequence, time, &payload)
                .map_err(|error| Violation::new(Check::Durable, format!("record {sequence}: {error}")))?;
            self.records.push((time, payload));
            self.observer.take(PARTITION, &command)?;
            let watched = &self.observer.told(PARTITION)[self.records.len() - 1];
            if let Some(told) = self.told.get(self.records.len() - 1) {
                let mut bytes = Vec::new();
                crossbook_wire::encode_events(watched.cause, &watched.events, &mut bytes);
                ensure!(bytes == *told, Told, "what was told of command {sequence} does not follow from it");
            }
            let plain = match (&mut self.oracle, &command.body) {
                (
                    Some(oracle),
                    Body::Place(_) | Body::Cancel(_) | Body::CancelAll(_) | Body::Transfer(_) | Body::ChangeMarket(_),
                ) => Some(oracle.apply(&command)),
                _ => None,
            };
            if let Some(plain) = plain {
                ensure!(
                    plain == watched.events,
                    Oracle,
                    "command {command:?}: {:?}, due was {plain:?}",
                    watched.events
                );
            }
            let registry = self.observer.reference(PARTITION).registry();
            if self.oracle.is_none() && registry.markets().len() == workload::MARKETS as usize {
                let markets = registry.markets().iter().copied().zip(workload::UNITS).collect();
                self.oracle = Some(Model::new(markets, (0..workload::ACCOUNTS).map(workload::account)));
            }
        }
        Ok(())
    }

    // When the faults have ended.

    /// Everything that was asked comes to its end.
    fn heal(&mut self) -> Result<(), Violation> {
        self.disk.limit(u64::MAX);
        // What is still to fail at a later operation fails now, or never.
        self.drop_run();
        self.cut_power();
        self.start()?;
        let starts = self.starts;
        for _ in 0..100 {
            self.ask();
        }
        for _ in 0..1_000 {
            self.turn()?;
            self.publish()?;
            if self.setup.is_empty() && self.clients.iter().all(|client| !client.is_in_doubt()) {
                break;
            }
            self.ask();
        }
        for _ in 0..1_000 {
            self.turn()?;
            self.publish()?;
            self.write_tables()?;
        }
        ensure!(self.starts == starts, Liveness, "the venue ended though nothing failed");
        let asked = self.run.as_ref().map_or(0, |run| run.asked.len());
        ensure!(asked == 0, Liveness, "{asked} requests were never answered");
        ensure!(self.setup.is_empty(), Liveness, "the venue was never made");
        let (recording, told) = self.observer.recording_mut(PARTITION);
        ensure!(recording.position().0 == told.len() as u64, Liveness, "the tables stay at {}", recording.position());
        self.observer.check_quiet()?;
        if let Some(run) = &self.run {
            let live = run.node.partition().state();
            let due = self.observer.reference(PARTITION).state();
            ensure!(live == due, Replicas, "the live partition is not what its log says");
            ensure!(run.views.state() == self.observer.views(PARTITION).state(), Views, "the live views are not");
        }
        self.stop()
    }

    /// The last of it: bits of what was durable rot. Each is found and named, or was never part of a record.
    fn end(&mut self) -> Result<(), Violation> {
        self.drop_run();
        let end = Sequence(self.told.len() as u64);
        for _ in 0..6 {
            let mut files = self.disk.files();
            let name = self
                .dice
                .pick(&files.keys().cloned().collect::<Vec<_>>().iter().map(String::as_str).collect::<Vec<_>>())
                .to_owned();
            let Some(bytes) = files.get_mut(&name).filter(|bytes| !bytes.is_empty()) else { continue };
            let at = self.dice.index(bytes.len());
            bytes[at] ^= 1 << self.dice.below(8);
            let rotten = Memory::holding(files, self.sector_bytes);
            let options = Options { durable_at_least: end, ..self.options };
            match Files::open_in(rotten.clone(), options) {
                Err(error) => {
                    self.observer.coverage.count("fault rot, refused");
                    let named = match &error {
                        crossbook_log::Error::Corrupt { file, .. } | crossbook_log::Error::Version { file, .. } => {
                            file.ends_with(&name)
                        }
                        _ => false,
                    };
                    ensure!(named, Damage, "a bit of {name} is flipped at byte {at}, and what is said is: {error}");
                }
                Ok((log, _)) => {
                    self.observer.coverage.count("fault rot, beside the records");
                    ensure!(
                        log.durable() == end,
                        Damage,
                        "with a bit of {name} flipped the log ends at {}",
                        log.durable()
                    );
                    let mut reader = FileReader::open_in(rotten, log.first());
                    for (time, payload) in self.records.iter().skip(log.first().0 as usize - 1) {
                        let record = reader.next(Until::Durable(end));
                        let same =
                            matches!(&record, Ok(Some(record)) if record.time == *time && record.payload == payload);
                        ensure!(same, Damage, "a flipped bit of {name} passes for data: {record:?}");
                    }
                }
            }
        }
        Ok(())
    }
}
