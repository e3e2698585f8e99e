//! Mix A, "venue": after the warm-up 50 % limit orders, of which 12 % aim to trade, 45 % cancels, and 5 %
//! immediate-or-cancel orders at any price. Passive orders spread over 2,000 ticks around a middle that drifts.

use crossbook_types::Side;

use super::Workload;
use super::flow::Flow;

/// The first middle price, in ticks.
const MIDDLE: u32 = 100_000;
/// The middle may drift once in so many commands.
const DRIFT_EVERY: usize = 1_000;
/// Passive orders keep within so many ticks of the middle.
const SPREAD: u32 = 2_000;

/// Mix A: `warmup` passive limit orders, then `count` commands. Where no order rests, a limit order stands in for a
/// cancel; that does not happen in the standard stream.
///
/// # Panics
/// When the stream is so long that ids or prices outgrow their 32 bits or leave the range of prices.
#[must_use]
pub fn mix_a(seed: u64, warmup: usize, count: usize) -> Workload {
    let mut flow = Flow::new(seed, warmup, count);
    let mut middle = MIDDLE;
    for _ in 0..warmup {
        let side = draw_side(&mut flow);
        passive(&mut flow, side, middle);
    }
    for i in 0..count {
        if i % DRIFT_EVERY == 0 {
            middle = middle + flow.random.below(3) - 1;
        }
        let roll = flow.random.below(100);
        if roll < 50 || (roll < 95 && flow.live() == 0) {
            let side = draw_side(&mut flow);
            if flow.random.below(100) < 12 {
                aggressive(&mut flow, side, middle);
            } else {
                passive(&mut flow, side, middle);
            }
        } else if roll < 95 {
            let order = flow.draw_live();
            flow.cancel(&order);
        } else {
            let side = draw_side(&mut flow);
            let qty = 1 + flow.random.below(6) * flow.random.below(6) * flow.random.below(6);
            flow.ioc(side, qty);
        }
    }
    flow.finish()
}

fn draw_side(flow: &mut Flow) -> Side {
    if flow.random.below(2) == 0 { Side::Buy } else { Side::Sell }
}

fn passive(flow: &mut Flow, side: Side, middle: u32) {
    let distance = 1 + flow.random.below(SPREAD).min(flow.random.below(SPREAD));
    let price = match side {
        Side::Buy => middle - distance,
        Side::Sell => middle + distance,
    };
    let price = flow.held_short(side, price);
    let qty = 1 + flow.random.below(200);
    flow.limit(side, price, qty);
}

/// Up to two ticks beyond the opposite best, or beyond the middle where the other side is empty.
fn aggressive(flow: &mut Flow, side: Side, middle: u32) {
    let best = flow.best(side.opposite()).unwrap_or(middle);
    let beyond = flow.random.below(3);
    let price = match side {
        Side::Buy => best + beyond,
        Side::Sell => best - beyond,
    };
    let qty = 1 + flow.random.below(20);
    flow.limit(side, price, qty);
}
