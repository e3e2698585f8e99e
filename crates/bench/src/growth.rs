//! `crossbook bench growth`: the cost of a command as a venue grows.
//!
//! A venue grows in four directions: more open orders, deeper books, more accounts, more markets. Each is measured at
//! several sizes, while the others stay as they are. The work is the same at every size: a random open order is
//! cancelled and another one takes its place at a random price, and now and then one trades with the best price. So the
//! number of open orders is constant.
//!
//! The cost is the thread's CPU time per command, of the partition and, separately, of the read model. Nothing in
//! either takes longer because there is more data, except for a logarithm here and there. What grows is the memory from
//! which a command's few accesses are drawn, and so the share of cache misses: a venue whose clients are all equally
//! busy is the worst case.

mod report;
pub(crate) mod venue;

use std::time::Duration;

use self::venue::Venue;
use super::Error;
use super::matching::processor_time;
use super::progress::ProgressDisplay;
use crate::options::Growth;

/// Commands between two looks at the clock, about what a busy node takes at once.
const BATCH: usize = 128;

/// How large a venue is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Size {
    /// Orders that rest.
    pub open_orders: usize,
    /// Prices of each side of a book.
    pub levels: usize,
    /// Accounts with funds.
    pub accounts: usize,
    /// Markets, all of the same assets.
    pub markets: usize,
}

/// The venue from which each direction departs.
const MIDDLE: Size = Size { open_orders: 100_000, levels: 1_000, accounts: 1_000, markets: 1 };

/// One way to grow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Direction {
    OpenOrders,
    Levels,
    Accounts,
    Markets,
}

impl Direction {
    const ALL: [Self; 4] = [Self::OpenOrders, Self::Levels, Self::Accounts, Self::Markets];

    fn name(self) -> &'static str {
        match self {
            Self::OpenOrders => "open orders",
            Self::Levels => "prices of each side of a book",
            Self::Accounts => "accounts",
            Self::Markets => "markets",
        }
    }

    fn sizes(self, options: &Growth) -> &[usize] {
        match self {
            Self::OpenOrders => &options.open_orders.0,
            Self::Levels => &options.levels.0,
            Self::Accounts => &options.accounts.0,
            Self::Markets => &options.markets.0,
        }
    }

    fn at(self, number: usize) -> Size {
        match self {
            Self::OpenOrders => Size { open_orders: number, ..MIDDLE },
            Self::Levels => Size { levels: number, ..MIDDLE },
            Self::Accounts => Size { accounts: number, ..MIDDLE },
            Self::Markets => Size { markets: number, ..MIDDLE },
        }
    }
}

/// What a command costs at one size.
struct Cost {
    direction: Direction,
    size: Size,
    /// The number that is varied.
    number: usize,
    commands: u64,
    trades: u64,
    /// The median of the runs, in nanoseconds a command.
    partition_ns: f64,
    views_ns: f64,
    faults: Vec<String>,
}

/// Measures what the command line says. Tells whether every venue's books added up in the end.
///
/// # Errors
/// When the results cannot be written.
pub fn run(options: &Growth) -> Result<bool, Error> {
    let mut costs = Vec::new();
    for direction in Direction::ALL {
        for &number in direction.sizes(options) {
            costs.push(measure(direction, number, options));
        }
    }
    report::tell(options, &costs)
}

fn measure(direction: Direction, number: usize, options: &Growth) -> Cost {
    let size = direction.at(number);
    let what = format!("{number} {}", direction.name());
    let mut display = ProgressDisplay::begin(format!("{what}: opening"), size.open_orders as u64);
    let mut venue = Venue::open(size, options.seed, |orders| display.at(orders as u64));
    display.end();
    let commands = options.commands.max(BATCH);
    let runs = options.runs.max(1);
    let mut display = ProgressDisplay::begin(what, (commands * (runs + 1)) as u64);
    let (mut partition, mut views) = (Vec::new(), Vec::new());
    let mut trades = 0;
    // The first run warms the caches, and does not count.
    for run in 0..=runs {
        let (mut applying, mut following, mut done) = (Duration::ZERO, Duration::ZERO, 0);
        while done < commands {
            done += venue.prepare(BATCH);
            let start = processor_time();
            venue.apply();
            let applied = processor_time();
            venue.follow();
            following += processor_time() - applied;
            applying += applied - start;
            let traded = venue.settle();
            trades += if run > 0 { traded } else { 0 };
            display.at((run * commands + done) as u64);
        }
        if run > 0 {
            let each = |time: Duration| time.as_nanos() as f64 / done as f64;
            partition.push(each(applying));
            views.push(each(following));
        }
    }
    display.end();
    let mut faults = venue.faults();
    if venue.open_orders() != size.open_orders {
        faults.push(format!("{} orders are open instead of {}", venue.open_orders(), size.open_orders));
    }
    Cost {
        direction,
        size,
        number,
        commands: (commands * runs) as u64,
        trades,
        partition_ns: median(&mut partition),
        views_ns: median(&mut views),
        faults,
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
