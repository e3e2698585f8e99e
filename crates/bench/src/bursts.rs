//! `crossbook bench bursts`: the latency of other requests while one command causes much work.
//!
//! The venue consists of the partition's and the publisher's thread, the log on the disk, and the read model. Other
//! accounts place and cancel orders in the same market at a steady rate, and each answer is timed from the due time of
//! its request. Then one trade reaches the stop price of a hundred thousand orders; or an account cancels as many; or
//! one order takes as many. The first two are done by many commands ([`crossbook_engine::work_budget`]); the trades of
//! one order are one command.

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbook_engine::Partition;
use crossbook_loadgen::latency::{Latency, Schedule, Summary};
use crossbook_log::{Files, files};
use crossbook_node::embedded::{self, Handle, Running};
use crossbook_node::{EventSink, NotAccepted, Request};
use crossbook_oracle::sample::{btcusdt, decimal};
use crossbook_protocol::command::{Body, ListAsset, ListMarket, OpenAccount, TransferRequest};
use crossbook_protocol::event::CloseReason;
use crossbook_protocol::order::{CancelAll, CancelOrder, NewOrder, OrderTerms, Size, Target};
use crossbook_protocol::{Answer, Event, Events, Routing};
use crossbook_report::{Report, Section, Table, Verdict, write_json};
use crossbook_types::{
    AccountId, Amount, Asset, AssetId, ClientOrderId, OptionalPrice, OrderType, PartitionId, Price, Quantity,
    RequestNumber, SelfTradePrevention, Side, SymbolId, TimeInForce, TransferId, market,
};
use crossbook_views::{Limits, Views};
use serde::Serialize;

use super::Error;
use super::progress::ProgressDisplay;
use crate::options::Bursts;

/// What the others may have to wait at p99.9 while stops trigger or orders are cancelled.
const OTHERS_MAX: Duration = Duration::from_millis(20);
/// How long a burst may take.
const PATIENCE: Duration = Duration::from_secs(120);
const MARKET: SymbolId = SymbolId(0);
/// The first account, which makes the market.
const MAKER: AccountId = AccountId::FIRST_CLIENT;
/// Accounts among which the waiting orders are spread.
const OWNERS: u64 = 100;
/// Accounts that trade beside.
const OTHERS: u64 = 8;

/// What one command sets off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Burst {
    Triggers,
    Cancels,
    Sweep,
}

impl Burst {
    fn name(self) -> &'static str {
        match self {
            Self::Triggers => "stop orders that trigger",
            Self::Cancels => "orders that one account cancels",
            Self::Sweep => "orders that one order takes",
        }
    }
}

/// What was measured of one.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Measured {
    what: &'static str,
    orders: u64,
    /// From sending the command until all was published.
    took_ms: f64,
    before: Figures,
    during: Figures,
    pass: bool,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Figures {
    requests: u64,
    p50_ms: f64,
    p99_ms: f64,
    p999_ms: f64,
    max_ms: f64,
}

impl From<Summary> for Figures {
    fn from(summary: Summary) -> Self {
        let ms = |nanoseconds: u64| nanoseconds as f64 / 1e6;
        let Summary { count, p50_ns, p99_ns, p999_ns, max_ns, .. } = summary;
        Self { requests: count, p50_ms: ms(p50_ns), p99_ms: ms(p99_ns), p999_ms: ms(p999_ns), max_ms: ms(max_ns) }
    }
}

/// Measures what the command line says. Whether the others had to wait for no longer than they may.
///
/// # Errors
/// See [`Error`].
pub fn run(options: &Bursts) -> Result<bool, Error> {
    let summary = "What other accounts notice while one command sets off a great deal of work.";
    let mut report = Report::begin("Bursts", summary, Some(&std::env::temp_dir()));
    let mut measured = Vec::new();
    for burst in [Burst::Triggers, Burst::Cancels, Burst::Sweep] {
        measured.push(measure(burst, options)?);
    }
    let mut table = Table::new(["", "done in ms", "others", "p50 ms", "p99 ms", "p99.9 ms", "longest ms"]);
    for Measured { what, orders, took_ms, before, during, .. } in &measured {
        for (when, took, figures) in [("before", String::new(), before), ("meanwhile", format!("{took_ms:.0}"), during)]
        {
            let Figures { requests, p50_ms, p99_ms, p999_ms, max_ms } = figures;
            let times = [p50_ms, p99_ms, p999_ms, max_ms].map(|ms| format!("{ms:.2}"));
            let [p50, p99, p999, max] = times;
            table.row([format!("{orders} {what}, {when}"), took, requests.to_string(), p50, p99, p999, max]);
        }
    }
    let verdicts = measured.iter().filter(|of| of.what != Burst::Sweep.name()).map(|of| {
        let wanted = format!("p99.9 of others at most {} ms", OTHERS_MAX.as_millis());
        Verdict::new(of.what, wanted, format!("{:.2} ms", of.during.p999_ms), of.pass)
    });
    let heading = format!("{} requests a second of others", options.rate);
    report.push(Section::new(heading).table(table).verdicts(verdicts.collect()));
    print!("{}", report.text());
    if let Some(path) = &options.output.report {
        report.write(path)?;
    }
    if let Some(path) = &options.output.json {
        write_json(path, &measured)?;
    }
    Ok(report.passed())
}

fn measure(burst: Burst, options: &Bursts) -> Result<Measured, Error> {
    let venue = Venue::start()?;
    let mut display = ProgressDisplay::begin(format!("{} {}", options.orders, burst.name()), options.orders);
    let set_off = venue.prepare(burst, options.orders, |done| display.at(done));
    display.end();
    let stop = AtomicBool::new(false);
    let (before, took, during) = std::thread::scope(|scope| {
        let others = scope.spawn(|| venue.others(options.rate, &stop));
        std::thread::sleep(Duration::from_secs(options.seconds.into()));
        let before = venue.told.take_latency();
        let began = Instant::now();
        venue.submit(set_off);
        while venue.told.of(burst) < options.orders && began.elapsed() < PATIENCE && !venue.told.failed() {
            std::thread::sleep(Duration::from_millis(1));
        }
        let took = began.elapsed();
        stop.store(true, Ordering::Relaxed);
        let _ = others.join();
        venue.told.wait_for_all();
        (before, took, venue.told.take_latency())
    });
    if venue.told.failed() || venue.told.of(burst) < options.orders || venue.running.stop().is_none() {
        return Err(Error::Venue);
    }
    let (before, during) = (Figures::from(before.summary()), Figures::from(during.summary()));
    let pass = during.p999_ms <= OTHERS_MAX.as_secs_f64() * 1e3;
    let took_ms = took.as_secs_f64() * 1e3;
    Ok(Measured { what: burst.name(), orders: options.orders, took_ms, before, during, pass })
}

/// What the venue has told, and when the others' requests were due that are not answered yet.
#[derive(Debug, Default)]
struct Told {
    under_way: Mutex<HashMap<u64, Instant>>,
    latency: Mutex<Latency>,
    answered: AtomicU64,
    triggered: AtomicU64,
    cancelled: AtomicU64,
    traded: AtomicU64,
    refused: AtomicU64,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Told {
    fn of(&self, burst: Burst) -> u64 {
        match burst {
            Burst::Triggers => &self.triggered,
            Burst::Cancels => &self.cancelled,
            Burst::Sweep => &self.traded,
        }
        .load(Ordering::Acquire)
    }

    fn failed(&self) -> bool {
        self.refused.load(Ordering::Acquire) > 0
    }

    fn take_latency(&self) -> Latency {
        std::mem::take(&mut *locked(&self.latency))
    }

    fn wait_for_all(&self) {
        let began = Instant::now();
        while !locked(&self.under_way).is_empty() && began.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Folds views as a publisher does, and takes the times.
struct Publisher {
    views: Views,
    told: Arc<Told>,
}

impl EventSink for Publisher {
    fn publish(&mut self, events: &mut Events) {
        for (cause, events) in events.iter() {
            self.views.apply_all(cause, events);
            for event in events {
                let counted = match event {
                    Event::Answered { number, answer, .. } => {
                        if let Some(due) = locked(&self.told.under_way).remove(&number.0) {
                            locked(&self.told.latency).record(due.elapsed());
                        }
                        if let Answer::Refused(refusal) = answer {
                            tracing::error!("request {number} was refused: {refusal}");
                            self.told.refused.fetch_add(1, Ordering::AcqRel);
                        }
                        &self.told.answered
                    }
                    Event::OrderTriggered { .. } => &self.told.triggered,
                    Event::Traded(_) => &self.told.traded,
                    Event::OrderClosed(closed) => match closed.reason {
                        CloseReason::Canceled { cancel_id } if cancel_id == name("all") => &self.told.cancelled,
                        _ => continue,
                    },
                    _ => continue,
                };
                counted.fetch_add(1, Ordering::AcqRel);
            }
        }
    }

    fn not_accepted(&mut self, _: RequestNumber, _: NotAccepted) {
        self.told.refused.fetch_add(1, Ordering::AcqRel);
    }
}

fn name(text: &str) -> ClientOrderId {
    ClientOrderId::new_checked(text).expect("a name of an order")
}

fn order(account: AccountId, side: Side, price: u64, lots: u64, named: &str) -> NewOrder {
    NewOrder {
        account,
        terms: OrderTerms {
            symbol: MARKET,
            client_order_id: name(named),
            side,
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::Gtc,
            price: Some(Price(price)),
            size: Size::Base(Quantity(lots)),
            stop_price: OptionalPrice::NONE,
            self_trade_prevention: SelfTradePrevention::None,
            instructions: None,
        },
    }
}

/// A running venue.
struct Venue {
    running: Running<Files, Publisher>,
    handle: Handle,
    told: Arc<Told>,
    number: AtomicU64,
    _folder: tempfile::TempDir,
}

impl Venue {
    fn start() -> Result<Self, Error> {
        let folder = tempfile::tempdir()?;
        let (log, _) = Files::open(&folder.path().join("log"), files::Options::default())?;
        let told = Arc::new(Told::default());
        let partition = Partition::new(PartitionId(0), Routing::single(), 7);
        let publisher = Publisher { views: Views::new(Limits::default()), told: Arc::clone(&told) };
        let options = embedded::Options { queue_wait_max_ms: 0, ..embedded::Options::default() };
        let running =
            embedded::start(partition, log, publisher, options, |reason| tracing::error!("the venue: {reason}"))?;
        let handle = running.handle().clone();
        let venue = Self { running, handle, told, number: AtomicU64::new(0), _folder: folder };
        let mut sent = 0;
        for body in opening() {
            venue.submit(body);
            sent += 1;
        }
        venue.wait_for(sent);
        Ok(venue)
    }

    /// Sends a request, when there is room for it.
    fn submit(&self, body: Body) {
        let number = self.number.fetch_add(1, Ordering::Relaxed) + 1;
        self.submit_as(number, body);
    }

    fn submit_as(&self, number: u64, body: Body) {
        let request = Request { number: RequestNumber(number), body, deadline: None };
        while self.handle.submit(request.clone()) == Err(NotAccepted::Busy) {
            std::thread::sleep(Duration::from_micros(100));
        }
    }

    fn wait_for(&self, answers: u64) {
        let began = Instant::now();
        while self.told.answered.load(Ordering::Acquire) < answers && began.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Brings the venue to where one command sets a burst off: which command.
    fn prepare(&self, burst: Burst, orders: u64, mut progress: impl FnMut(u64)) -> Body {
        let owner = |at: u64| AccountId(MAKER.0 + 1 + at % OWNERS);
        let taker = AccountId(MAKER.0 + 1);
        let made = |at: u64| match burst {
            Burst::Triggers => NewOrder {
                terms: OrderTerms {
                    order_type: OrderType::StopLoss,
                    price: None,
                    stop_price: Some(Price(95)).into(),
                    ..order(owner(at), Side::Sell, 1, 1, &format!("s{at}")).terms
                },
                ..order(owner(at), Side::Sell, 1, 1, &format!("s{at}"))
            },
            Burst::Cancels => order(taker, Side::Buy, 11 + at % 50, 1, &format!("c{at}")),
            Burst::Sweep => order(MAKER, Side::Sell, 101 + at / 100, 1, &format!("r{at}")),
        };
        let set_off = match burst {
            Burst::Triggers => {
                // A last price, those who buy what is triggered, and the one whose trade triggers it.
                self.submit(Body::Place(order(MAKER, Side::Sell, 100, 1, "first")));
                self.submit(Body::Place(order(taker, Side::Buy, 100, 1, "last")));
                self.submit(Body::Place(order(MAKER, Side::Buy, 95, 1, "near")));
                self.submit(Body::Place(order(MAKER, Side::Buy, 90, orders, "far")));
                Body::Place(order(taker, Side::Sell, 95, 1, "trigger"))
            }
            Burst::Cancels => Body::CancelAll(CancelAll { account: taker, symbol: MARKET, cancel_id: name("all") }),
            Burst::Sweep => Body::Place(order(taker, Side::Buy, 101 + orders / 100, orders, "sweep")),
        };
        for at in 0..orders {
            self.submit(Body::Place(made(at)));
            if at % 1_024 == 0 {
                progress(at);
            }
        }
        self.wait_for(self.number.load(Ordering::Relaxed));
        set_off
    }

    /// Places orders of other accounts far from the market and cancels each, at a steady rate, until told to stop.
    fn others(&self, rate: NonZeroU64, stop: &AtomicBool) {
        let schedule = Schedule::new(Instant::now(), rate);
        for at in 0.. {
            let due = schedule.due(at);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let account = AccountId(MAKER.0 + 1 + OWNERS + at / 2 % OTHERS);
            let named = format!("o{}", at / 2);
            let body = if at % 2 == 0 {
                Body::Place(order(account, Side::Buy, 5, 1, &named))
            } else {
                let (target, cancel_id) = (Target::Client(name(&named)), name("cancel"));
                Body::Cancel(CancelOrder { account, symbol: MARKET, target, cancel_id, restriction: None })
            };
            let number = self.number.fetch_add(1, Ordering::Relaxed) + 1;
            locked(&self.told.under_way).insert(number, due);
            self.submit_as(number, body);
        }
    }
}

/// The commands that make the venue: a market, and accounts that have all they need.
fn opening() -> Vec<Body> {
    let description = market::Description { id: MARKET, step_size: decimal("0.0001"), ..btcusdt() };
    let list = |asset: Asset| Body::ListAsset(ListAsset { name: asset.name, decimals: asset.decimals });
    let mut bodies =
        vec![list(description.base), list(description.quote), Body::ListMarket(Box::new(ListMarket { description }))];
    for at in 0..=OWNERS + OTHERS {
        let account = AccountId(MAKER.0 + at);
        bodies.push(Body::OpenAccount(OpenAccount { label: format!("account {at}") }));
        bodies.extend([0, 1].map(|asset| {
            let transfer = TransferId::new_checked(&format!("first-{asset}")).expect("a name of a transfer");
            let amount = Amount(1 << 60);
            Body::Transfer(TransferRequest { account, asset: AssetId(asset), amount, transfer })
        }));
    }
    bodies
}
