//! An account that trades: chooses its next order, and handles the answers.
//!
//! Of a hundred orders, 55 are limits that rest, 5 limits that cross, 15 are IOC that trade, 15 IOC at a price that is
//! mostly gone, and 10 market orders. About a quarter of what rests is traded; of the rest, each account cancels its
//! oldest order as soon as it has more than [`OPEN_MAX`] open in a market, in addition to the due orders. Prices
//! wander.

use std::collections::{BTreeMap, VecDeque};
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbook_loadgen::http::{ErrorKind, Flow, Method, Outgoing, Prepared, Response};
use crossbook_loadgen::latency::Latency;
use crossbook_oracle::workload::SplitMix64;
use crossbook_types::Side;
use parking_lot::Mutex;
use serde::Deserialize;

use super::acknowledged::Told;
use super::market::{DECIMALS, Ladder, MARKETS, Names, PRICE_DIGITS, QUANTITY_DIGITS, count, units};
use super::record::{Fill, Record};

/// Open orders of an account in a market, above which it cancels the oldest.
pub const OPEN_MAX: usize = 20;
/// Kinds of errors that are distinguished; further ones count as `other`.
const ERROR_KINDS_MAX: usize = 64;
/// Levels on each side of the middle on which orders rest.
const DEPTH: u32 = 12;
/// Levels by which an order that must trade goes beyond the middle.
const SWEEP: i64 = 60;
/// How far prices wander from where they began, in levels, and how many orders a step takes.
const WANDERING: (u64, u64) = (60, 4_000);

/// What all accounts of a soak share.
pub type Shared = Arc<Mutex<Course>>;

/// How the soak goes.
#[derive(Debug)]
pub struct Course {
    /// What the venue will be held to.
    pub record: Record,
    /// How many, and how fast.
    pub figures: Figures,
    open: Vec<[VecDeque<Open>; MARKETS]>,
}

impl Course {
    /// Of so many accounts.
    pub fn new(accounts: usize) -> Self {
        Self {
            record: Record::new(accounts),
            figures: Figures::default(),
            open: (0..accounts).map(|_| Default::default()).collect(),
        }
    }

    /// A fill of the oldest resting order at that price, whoever owns it.
    fn trade_resting(&mut self, maker: usize, market: usize, ticks: u64, mut lots: u64) {
        let open = &mut self.open[maker][market];
        while lots > 0 {
            // An order whose own answer is not here yet is not found. It is then cancelled too late one day, which does
            // no harm.
            let Some(at) = open.iter().position(|open| open.ticks == ticks) else { return };
            let taken = lots.min(open[at].lots);
            lots -= taken;
            open[at].lots -= taken;
            if open[at].lots == 0 {
                open.remove(at);
            }
        }
    }
}

/// An order that rests, as far as its account knows.
#[derive(Clone, Copy, Debug)]
struct Open {
    order: u64,
    ticks: u64,
    lots: u64,
}

/// Counts and times.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Number of orders sent.
    pub sent: u64,
    /// Number of acknowledged orders.
    pub acknowledged: u64,
    /// Number of cancels sent.
    pub cancels: u64,
    /// Cancels whose order had ended before.
    pub too_late: u64,
    /// Requests that failed, orders and cancels, by code or kind.
    pub errors: BTreeMap<String, u64>,
    /// When the first and the last order was acknowledged.
    pub acknowledgements: Option<(Instant, Instant)>,
    /// From when an order was due to its acknowledgement.
    pub orders: Latency,
    /// From sending a cancel to its acknowledgement.
    pub canceling: Latency,
    /// The orders acknowledged since the last look.
    pub recent: Latency,
}

impl Figures {
    /// Number of errors of all kinds.
    pub fn failed(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Counts an error.
    pub fn fail(&mut self, what: &str) {
        let known = self.errors.len() < ERROR_KINDS_MAX || self.errors.contains_key(what);
        *self.errors.entry(if known { what } else { "other" }.to_owned()).or_default() += 1;
    }

    fn succeed(&mut self, latency: Duration) {
        let now = Instant::now();
        self.acknowledged += 1;
        self.orders.record(latency);
        self.recent.record(latency);
        self.acknowledgements = Some((self.acknowledgements.map_or(now, |(first, _)| first), now));
    }
}

/// The request in flight.
#[derive(Clone, Copy, Debug)]
enum Pending {
    Order { market: usize, side: Side, ticks: u64, lots: u64, name: u64 },
    Cancel { market: usize },
}

/// An account, as what its connection sends.
pub struct Trader {
    account: usize,
    names: Arc<Names>,
    ladder: Ladder,
    random: SplitMix64,
    shared: Shared,
    pending: Option<Pending>,
    /// The market in which it last placed an order.
    market: usize,
}

/// How an order is to be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Gtc,
    Ioc,
    Market,
}

impl Trader {
    /// The account at that place.
    pub fn new(account: usize, accounts: usize, names: Arc<Names>, seed: u64, shared: Shared) -> Self {
        let random = SplitMix64::new(seed.wrapping_add(account as u64 + 1));
        Self { account, names, ladder: Ladder::new(accounts), random, shared, pending: None, market: 0 }
    }

    /// What to order: the kind, the price in ticks, the quantity in lots.
    fn draw(&mut self, number: u64, side: Side) -> (Kind, u64, u64) {
        let (span, step) = WANDERING;
        // Up and down, in a triangle.
        let phase = (number / step + span) % (4 * span);
        let middle = phase.abs_diff(2 * span) as i64 - span as i64;
        let beyond = |levels: i64| if side == Side::Buy { levels } else { -1 - levels };
        let roll = self.random.below(100);
        let lots = u64::from(self.random.below(10)) + 1;
        let (kind, level, lots) = match roll {
            0..55 => (Kind::Gtc, beyond(-1 - i64::from(self.random.below(DEPTH))), lots * 2),
            55..60 => (Kind::Gtc, beyond(i64::from(self.random.below(2))), lots),
            60..75 => (Kind::Ioc, beyond(SWEEP), lots),
            75..90 => (Kind::Ioc, beyond(-2), lots),
            _ => (Kind::Market, 0, lots),
        };
        (kind, self.ladder.price(self.account, middle + level), lots)
    }

    fn placed(&self, pending: Pending, answer: Result<Response<'_>, ErrorKind>, latency: Duration) {
        let Pending::Order { market, side, ticks, lots, name } = pending else { return };
        let mut course = self.shared.lock();
        let course = &mut *course;
        let failure = match answer {
            Ok(response) if response.is_success() => {
                match serde_json::from_slice::<Placed<'_>>(response.body).ok().and_then(|told| told.read(name)) {
                    Some(placed) => {
                        course.figures.succeed(latency);
                        self.learn(course, market, side, (ticks, lots), &placed);
                        return;
                    }
                    None => {
                        course.record.contradictions.add(|| {
                            format!("the answer to order {name} makes no sense: {}", response.body.escape_ascii())
                        });
                        Failure { unanswered: true, what: "malformed".to_owned() }
                    }
                }
            }
            Ok(response) => Failure::refused(&response),
            Err(kind) => Failure::silent(kind),
        };
        course.figures.fail(&failure.what);
        if failure.unanswered && !course.record.unanswered(self.account, market, name) {
            course.figures.fail("unanswered orders that are not remembered, because there are too many");
        }
    }

    /// An order was acknowledged.
    fn learn(&self, course: &mut Course, market: usize, side: Side, (ticks, lots): (u64, u64), placed: &Read) {
        course.record.acknowledge(self.account, market, placed.order, placed.told);
        for &fill in &placed.fills {
            let maker = course.record.fill(self.account, market, side, fill);
            course.trade_resting(maker, market, fill.ticks, fill.lots);
        }
        let traded: u64 = placed.fills.iter().map(|fill| fill.lots).sum();
        if traded != placed.executed {
            let (order, executed) = (placed.order, placed.executed);
            course
                .record
                .contradictions
                .add(|| format!("order {order} has traded {executed} lots by its answer, and {traded} by its trades"));
        }
        if placed.told == Told::Resting {
            let open = Open { order: placed.order, ticks, lots: lots.saturating_sub(traded) };
            course.open[self.account][market].push_back(open);
        }
    }

    fn canceled(&self, market: usize, answer: Result<Response<'_>, ErrorKind>, latency: Duration) {
        /// The order has ended.
        const TOO_LATE: i32 = -2011;
        let mut course = self.shared.lock();
        let course = &mut *course;
        let part = course.record.part_mut(self.account, market);
        let failure = match answer {
            Ok(response) if response.is_success() => {
                part.canceled += 1;
                course.figures.canceling.record(latency);
                return;
            }
            Ok(response) if response.error_code() == Some(TOO_LATE) => {
                course.figures.too_late += 1;
                return;
            }
            Ok(response) => Failure::refused(&response),
            Err(kind) => Failure::silent(kind),
        };
        part.cancels_unanswered += u64::from(failure.unanswered);
        course.figures.fail(&format!("cancel {}", failure.what));
    }
}

impl Flow for Trader {
    fn next(&mut self, number: u64, outgoing: Outgoing<'_>) -> Option<Prepared> {
        let market = self.random.below(MARKETS as u32) as usize;
        let side = if self.random.below(2) == 0 { Side::Buy } else { Side::Sell };
        let (kind, ticks, lots) = self.draw(number, side);
        self.market = market;
        self.pending = Some(Pending::Order { market, side, ticks, lots, name: number });
        self.shared.lock().figures.sent += 1;
        let symbol = &self.names.symbols[market];
        Some(outgoing.signed(Method::Post, "/api/v3/order", |query| {
            // Writing to a vector cannot fail.
            let _ = write!(
                query,
                "symbol={symbol}&side={}&quantity=0.{lots:03}&newOrderRespType=FULL&newClientOrderId=s{number}",
                side.as_str()
            );
            let time_in_force = match kind {
                Kind::Market => return query.extend_from_slice(b"&type=MARKET"),
                Kind::Gtc => "GTC",
                Kind::Ioc => "IOC",
            };
            let (whole, hundredths) = (ticks / 100, ticks % 100);
            let _ = write!(query, "&type=LIMIT&timeInForce={time_in_force}&price={whole}.{hundredths:02}");
        }))
    }

    fn answered(&mut self, answer: Result<Response<'_>, ErrorKind>, latency: Duration) {
        match self.pending.take() {
            Some(pending @ Pending::Order { .. }) => self.placed(pending, answer, latency),
            Some(Pending::Cancel { market }) => self.canceled(market, answer, latency),
            None => {}
        }
    }

    fn follow_up(&mut self, outgoing: Outgoing<'_>) -> Option<Prepared> {
        let market = self.market;
        let oldest = {
            let mut course = self.shared.lock();
            let open = &mut course.open[self.account][market];
            let oldest = if open.len() > OPEN_MAX { open.pop_front() } else { None };
            course.figures.cancels += u64::from(oldest.is_some());
            oldest?
        };
        self.pending = Some(Pending::Cancel { market });
        let symbol = &self.names.symbols[market];
        Some(outgoing.signed(Method::Delete, "/api/v3/order", |query| {
            let _ = write!(query, "symbol={symbol}&orderId={}", oldest.order);
        }))
    }
}

/// A request that did not succeed.
struct Failure {
    /// Whether the venue may have carried it out all the same.
    unanswered: bool,
    /// The code, or what happened.
    what: String,
}

impl Failure {
    fn refused(response: &Response<'_>) -> Self {
        match response.error_code() {
            // Its outcome is unknown to the gateway too.
            Some(code @ (-1000 | -1001 | -1006 | -1007)) => Self { unanswered: true, what: code.to_string() },
            Some(code) => Self { unanswered: false, what: code.to_string() },
            // Somebody else answers, such as a load balancer that has lost its gateway.
            None => Self { unanswered: response.status >= 500, what: format!("HTTP {}", response.status) },
        }
    }

    fn silent(kind: ErrorKind) -> Self {
        let what = match kind {
            ErrorKind::Timeout => "timeout",
            ErrorKind::Disconnected => "lost connection",
            _ => "malformed",
        };
        Self { unanswered: true, what: what.to_owned() }
    }
}

/// The answer to an order.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Placed<'a> {
    order_id: u64,
    client_order_id: &'a str,
    status: &'a str,
    executed_qty: &'a str,
    #[serde(borrow)]
    fills: Vec<PlacedFill<'a>>,
}

#[derive(Deserialize)]
struct PlacedFill<'a> {
    price: &'a str,
    qty: &'a str,
    commission: &'a str,
}

/// The same, understood.
struct Read {
    order: u64,
    told: Told,
    executed: u64,
    fills: Vec<Fill>,
}

impl Placed<'_> {
    /// `None` where it cannot be the answer to the order of that name.
    fn read(&self, name: u64) -> Option<Read> {
        let told = match self.status {
            "NEW" | "PARTIALLY_FILLED" => Told::Resting,
            "FILLED" => Told::Filled,
            "EXPIRED" => Told::Expired,
            _ => return None,
        };
        let named = self.client_order_id.strip_prefix('s').and_then(|number| number.parse().ok());
        let fill = |fill: &PlacedFill<'_>| {
            Some(Fill {
                ticks: count(fill.price, PRICE_DIGITS)?,
                lots: count(fill.qty, QUANTITY_DIGITS)?,
                commission: units(fill.commission, DECIMALS)?,
            })
        };
        let fills = self.fills.iter().map(fill).collect::<Option<Vec<Fill>>>()?;
        let executed = count(self.executed_qty, QUANTITY_DIGITS)?;
        (named == Some(name)).then_some(Read { order: self.order_id, told, executed, fills })
    }
}
