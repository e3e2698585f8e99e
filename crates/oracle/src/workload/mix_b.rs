//! Mix B, "move", after the published benchmark of exchange-core: 82 % moves, 9 % limit orders, 6 % cancels, 3 %
//! immediate-or-cancel orders, around a constant number of live orders. Orders crowd near the price of the last trade,
//! and moves bring them nearer.

use crossbook_types::Side;

use super::flow::Flow;
use super::{SplitMix64, Workload};

/// The price before the first trade, in ticks.
const FIRST_PRICE: u32 = 100_000;
/// The lowest price, in ticks.
const LOW: u32 = 75_000;
/// The highest price, in ticks.
const HIGH: u32 = 125_000;
/// New orders keep within so many ticks of the last trade.
const DEVIATION: f64 = 5_000.0;

/// Which way the market leans, so that it turns back from the edges of its range.
#[derive(Clone, Copy)]
enum Lean {
    None,
    Up,
    Down,
}

/// Mix B: a warm-up of `target` passive limit orders, then `count` commands that keep about `target` orders live.
///
/// # Panics
/// When the stream is so long that ids outgrow their 32 bits.
#[must_use]
pub fn mix_b(seed: u64, target: usize, count: usize) -> Workload {
    let mut flow = Flow::new(seed, target, count);
    let mut lean = Lean::None;
    for i in 0..target + count {
        let warming = i < target;
        let last = flow.last_trade().unwrap_or(FIRST_PRICE);
        lean = match last {
            ..=LOW => Lean::Up,
            HIGH.. => Lean::Down,
            _ => lean,
        };
        let side = draw_side(&mut flow.random, lean);
        let grow = warming || flow.live() < target;
        let choice = if warming { 0 } else { flow.random.below(if grow { 10 } else { 40 }) };
        if choice < 2 || flow.live() == 0 {
            if grow {
                let price = draw_price(&mut flow.random, side, last);
                let price = if warming { flow.held_short(side, price) } else { price };
                let qty = draw_quantity(&mut flow.random);
                flow.limit(side, price, qty);
            } else {
                let qty = draw_quantity(&mut flow.random);
                flow.ioc(side, qty);
            }
        } else if choice == 2 {
            let order = flow.draw_live();
            flow.cancel(&order);
        } else {
            let order = flow.draw_live();
            let price = order.price.0 as i64;
            let last = i64::from(last);
            let step = if price == last {
                i64::from(flow.random.below(2)) * 2 - 1
            } else {
                (last - price).signum() * ((last - price).abs() + 99).div_euclid(100)
            };
            flow.move_to(&order, in_range(price + step));
        }
    }
    flow.finish()
}

fn draw_side(random: &mut SplitMix64, lean: Lean) -> Side {
    let bound = match lean {
        Lean::None => 2,
        Lean::Up => 1,
        Lean::Down => 3,
    };
    if random.below(4) >= bound { Side::Buy } else { Side::Sell }
}

fn draw_quantity(random: &mut SplitMix64) -> u32 {
    1 + random.below(6) * random.below(6) * random.below(6)
}

/// A price near the last one, on the passive side of it more often than not. The arithmetic of floats is part of the
/// definition; IEEE 754 makes it the same everywhere.
fn draw_price(random: &mut SplitMix64, side: Side, last: u32) -> u32 {
    let u = (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
    let deviation = 1 + (u * u * DEVIATION) as u32;
    let sum: u32 = (0..4).map(|_| random.below(deviation)).sum();
    let offset = i64::from(sum / 4 * 2) - i64::from(deviation);
    let offset = if (offset > 0) == (side == Side::Sell) { offset } else { -offset };
    in_range(i64::from(last) + offset)
}

fn in_range(price: i64) -> u32 {
    price.clamp(LOW.into(), HIGH.into()) as u32 // the range has 17 bits
}
