//! The workloads. Each is prepared first, which is not counted, and then runs within [`measured`], where callgrind
//! counts.

use std::hint::black_box;
use std::path::Path;

use crossbook_ledger::{Ledger, Leg};
use crossbook_oracle::indexed::IndexedBook;
use crossbook_oracle::workload::{self, Tally, Workload};
use crossbook_protocol::{Cause, Command, Event, Events};
use crossbook_types::{AccountId, Amount, AssetId, Timestamp, TransferId};
use crossbook_views::{Limits, Views};

use crate::edge::Edge;
use crate::venue::Venue;
use crate::{Failure, allocations};

/// The name of [`measured`], as callgrind knows it.
pub const MEASURED: &str = "guard_measured";
/// Commands whose events are encoded and folded.
const TOLD: usize = 10_000;
/// Trades that are paid for by the ledger alone.
const TRADES: usize = 20_000;
/// Orders that come in over REST.
const REQUESTS: usize = 2_000;

/// Where callgrind counts.
#[unsafe(no_mangle)]
#[inline(never)]
fn guard_measured(work: &mut dyn FnMut()) {
    work();
    // Otherwise the call above could become a jump, and callgrind would not see it come back.
    black_box(());
}

/// Runs something where it is counted; gives back how often it asked for memory.
fn measured(mut work: impl FnMut()) -> u64 {
    let before = allocations::count();
    guard_measured(&mut work);
    allocations::count() - before
}

/// All of them.
pub struct Workloads {
    mix: Workload,
}

impl Workloads {
    /// Over the stream in that file.
    pub fn read(file: &Path, warmup: usize) -> Result<Self, Failure> {
        Ok(Self { mix: Workload::decode(&std::fs::read(file)?, warmup)? })
    }

    /// Runs them, and reports the name, the operations and the allocations of each.
    pub fn run(&self, mut tell: impl FnMut(&str, usize, u64)) -> Result<(), Failure> {
        let (warmup, rest) = self.mix.commands.split_at(self.mix.warmup);
        tell("book", rest.len(), book(warmup, rest));
        tell("ledger", TRADES, ledger());

        let mut venue = Venue::new(&self.mix);
        let mut events = Events::new();
        // Some of the stream is warm-up too: tables find their size.
        let (settling, rest) = rest.split_at(rest.len() / 4);
        for part in [warmup, settling] {
            venue.run(part, &mut events);
        }
        let commands = venue.translated(rest);
        tell("engine", commands.len(), measured(|| venue.apply(&commands, &mut events)));

        let told = Told::new(&self.mix);
        tell("commands", told.commands.len(), told.code_commands());
        tell("events", told.commands.len(), told.code_events());
        tell("views", told.commands.len(), told.fold()?);

        let edge = Edge::new(REQUESTS)?;
        for (name, all) in [("signatures", Edge::prove_all as fn(&Edge) -> _), ("requests", Edge::take_all)] {
            let mut outcome = Ok(());
            let allocated = measured(|| outcome = all(&edge));
            outcome?;
            tell(name, REQUESTS, allocated);
        }
        Ok(())
    }
}

/// The bare book.
fn book(warmup: &[workload::Command], rest: &[workload::Command]) -> u64 {
    let (mut book, mut tally) = (IndexedBook::new(), Tally::default());
    let mut run = |commands: &[workload::Command]| commands.iter().for_each(|command| book.apply(command, &mut tally));
    run(warmup);
    let allocated = measured(|| run(rest));
    black_box(tally);
    allocated
}

/// Trades between accounts of a ledger: two holds, both sides settled, what is left released, the changes drained.
fn ledger() -> u64 {
    const ACCOUNTS: u64 = 400;
    let account = |at: usize| AccountId(AccountId::FIRST_CLIENT.0 + at as u64 % ACCOUNTS);
    let (base, quote) = (AssetId(0), AssetId(1));
    let mut ledger = Ledger::new();
    for at in 0..ACCOUNTS as usize {
        ledger.open(account(at));
        for (asset, name) in [(base, "base"), (quote, "quote")] {
            let transfer = TransferId::new_checked(name).expect("a valid name");
            ledger.transfer(account(at), asset, Amount(1 << 70), transfer, Timestamp(1)).expect("a deposit is taken");
        }
    }
    ledger.drain_changes(|_, _, _| {});
    let (bought, paid, spared, fee) = (Amount(1_000), Amount(50_000), Amount(700), Amount(3));
    measured(|| {
        for at in 0..TRADES {
            let (buyer, seller) = (account(at), account(at * 7 + 1));
            let buying = ledger.hold(buyer, quote, Amount(60_000)).expect("the buyer has the money");
            let selling = ledger.hold(seller, base, bought).expect("the seller has the goods");
            let leg =
                Leg { pay_asset: quote, pay: paid, improvement: spared, receive_asset: base, receive: bought, fee };
            ledger.settle(buyer, buying, &leg);
            let none = Amount(0);
            let leg = Leg { pay_asset: base, pay: bought, improvement: none, receive_asset: quote, receive: paid, fee };
            ledger.settle(seller, selling, &leg);
            ledger.release(buyer, buying);
            ledger.release(seller, selling);
            ledger.drain_changes(|account, asset, balance| {
                black_box((account, asset, balance));
            });
        }
    })
}

/// Commands, and all that a partition has told of them and of what was before.
struct Told {
    before: Events,
    commands: Vec<Command>,
    events: Events,
}

impl Told {
    fn new(mix: &Workload) -> Self {
        let (mut before, mut events) = (Events::new(), Events::new());
        let mut venue = Venue::opened(mix, Vec::new(), &mut before);
        let (warmup, rest) = mix.commands.split_at(mix.warmup);
        let warmup = venue.translated(warmup);
        venue.partition.apply_all(&warmup, &mut before);
        let commands = venue.translated(&rest[..TOLD]);
        venue.partition.apply_all(&commands, &mut events);
        Self { before, commands, events }
    }

    /// Commands to bytes and back, as the log has them.
    fn code_commands(&self) -> u64 {
        let mut bytes = Vec::new();
        measured(|| {
            for command in &self.commands {
                bytes.clear();
                crossbook_protocol::wire::encode_command(
                    command.source,
                    command.number,
                    command.deadline,
                    &command.body,
                    &mut bytes,
                );
                let read = crossbook_protocol::wire::decode_command(command.sequence, command.time, &bytes);
                assert!(read.is_ok_and(|read| read.number == command.number), "a command comes back");
            }
        })
    }

    /// Events to bytes and back, as a cluster passes them on.
    fn code_events(&self) -> u64 {
        let mut bytes = Vec::new();
        measured(|| {
            for (cause, events) in self.events.iter() {
                bytes.clear();
                crossbook_protocol::wire::encode_events(cause, events, &mut bytes);
                let read = crossbook_protocol::wire::decode_events(&bytes);
                assert!(read.is_ok_and(|read| read.0 == cause && read.1.len() == events.len()), "events come back");
            }
        })
    }

    /// Events into the views that clients are answered from.
    fn fold(&self) -> Result<u64, Failure> {
        let mut views = Views::new(Limits::default());
        let mut fold = |(cause, events): (Cause, &[Event])| views.apply_all(cause, events);
        self.before.iter().for_each(&mut fold);
        let allocated = measured(|| self.events.iter().for_each(&mut fold));
        if views.position() != self.events.last() {
            Err("the views are not where the events end".into())
        } else {
            Ok(allocated)
        }
    }
}
