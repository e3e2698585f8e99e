//! `crossbook bench structures`: data structures for orders, and how many orders per second they insert and match.
//!
//! The same orders go into each structure, one by one, until the wanted number rests; then the best of both sides trade
//! until one side is empty. All keep price-time priority, so all must make the same trades, which is checked. Cancels,
//! which set them apart most in a venue, are not measured: a heap has to search all orders, a book does not.
//!
//! At 10,000 orders, the comparison of binary heaps with an array that is sorted at each insertion has been published
//! elsewhere, with factors of 427 to 478.

mod report;
mod side;

use std::time::Duration;

use crossbook_oracle::workload::{SplitMix64, Tally};
use crossbook_types::Side;

use self::side::{Array, BookSides, Heaps, Order, Pair, Structure, Tree};
use super::Error;
use super::matching::processor_time;
use super::progress::ProgressDisplay;
use crate::options::Structures;

/// Small structures are filled again and again until this time is over.
const TIME_MIN: Duration = Duration::from_millis(300);
/// The most time that inserting may take; what takes longer is stopped, and the report says how far it came.
const TIME_MAX: Duration = Duration::from_secs(10);
/// Orders between two looks at the clock.
const LOOK_EVERY: usize = 64;
/// Prices of a side.
const PRICES: u32 = 2_000;
/// The middle of all prices.
const MIDDLE: u32 = 100_000;

/// What one structure did at one size.
struct Row {
    structure: &'static str,
    orders: usize,
    /// How many of them were inserted in the time there was.
    inserted: usize,
    inserts_per_second: f64,
    /// Orders that were matched, two by two; none where not all were inserted.
    matches_per_second: Option<f64>,
    tally: Option<Tally>,
}

/// Measures what the command line says. Tells whether all structures made the same trades.
///
/// # Errors
/// When the results cannot be written.
pub fn run(options: &Structures) -> Result<bool, Error> {
    let mut rows = Vec::new();
    for &size in &options.orders {
        let orders = draw(options.seed, size);
        rows.push(measure::<Pair<Array<true>>>(&orders));
        rows.push(measure::<Pair<Array<false>>>(&orders));
        rows.push(measure::<Heaps>(&orders));
        rows.push(measure::<Pair<Tree>>(&orders));
        rows.push(measure::<BookSides>(&orders));
    }
    report::tell(options, &rows)
}

/// Orders that rest, half of them bids. The sides overlap by their prices, so that in the end they trade with one
/// another.
fn draw(seed: u64, count: usize) -> Vec<Order> {
    let mut random = SplitMix64::new(seed);
    let order = |id| {
        let side = if random.below(2) == 0 { Side::Buy } else { Side::Sell };
        Order { id, side, price: MIDDLE - PRICES / 2 + random.below(PRICES), quantity: 1 + random.below(200) }
    };
    (1..).map(order).take(count).collect()
}

fn measure<S: Structure>(orders: &[Order]) -> Row {
    let mut display = ProgressDisplay::begin(format!("{}, {} orders", S::NAME, orders.len()), orders.len() as u64);
    let (mut inserting, mut matching) = (Duration::ZERO, Duration::ZERO);
    let (mut inserted, mut matched, mut tally) = (0, 0, None);
    while inserting < TIME_MIN && matching < TIME_MIN {
        let mut structure = S::default();
        let mut count = 0;
        for some in orders.chunks(LOOK_EVERY) {
            let start = processor_time();
            some.iter().for_each(|order| structure.insert(*order));
            inserting += processor_time() - start;
            count += some.len();
            display.at(count as u64);
            if inserting > TIME_MAX {
                break;
            }
        }
        inserted += count;
        if count < orders.len() {
            break;
        }
        let mut trades = Tally::default();
        let start = processor_time();
        matched += match_all(&mut structure, &mut trades);
        matching += processor_time() - start;
        tally = Some(trades);
    }
    display.end();
    let per_second = |count: usize, time: Duration| count as f64 / time.as_secs_f64().max(f64::MIN_POSITIVE);
    Row {
        structure: S::NAME,
        orders: orders.len(),
        inserted: inserted.min(orders.len()),
        inserts_per_second: per_second(inserted, inserting),
        matches_per_second: tally.map(|_| per_second(matched, matching)),
        tally,
    }
}

/// Lets the best of both sides trade while their prices allow it. Gives how many orders were used up.
fn match_all(structure: &mut impl Structure, tally: &mut Tally) -> usize {
    let mut used_up = 0;
    while let (Some(bid), Some(ask)) = (structure.best(Side::Buy), structure.best(Side::Sell)) {
        if bid.price < ask.price {
            break;
        }
        let quantity = bid.quantity.min(ask.quantity);
        tally.trade(bid.id, ask.id, ask.price, quantity);
        for (side, order) in [(Side::Buy, bid), (Side::Sell, ask)] {
            structure.take(side, quantity);
            used_up += usize::from(order.quantity == quantity);
        }
    }
    used_up
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trades<S: Structure>(orders: &[Order]) -> (usize, Tally) {
        let mut structure = S::default();
        orders.iter().for_each(|order| structure.insert(*order));
        let mut tally = Tally::default();
        (match_all(&mut structure, &mut tally), tally)
    }

    #[test]
    fn all_structures_make_the_same_trades() {
        let orders = draw(1, 3_000);
        let expected = trades::<Pair<Tree>>(&orders);
        assert!(expected.1.trades > 500, "{expected:?}");
        assert_eq!(trades::<Pair<Array<true>>>(&orders), expected);
        assert_eq!(trades::<Pair<Array<false>>>(&orders), expected);
        assert_eq!(trades::<Heaps>(&orders), expected);
        assert_eq!(trades::<BookSides>(&orders), expected);
    }
}
