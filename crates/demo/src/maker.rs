//! A market maker: two ladders of orders around the price that it considers fair.
//!
//! It stores no orders. At each step it reads its orders in the book, as any client could, and moves them towards its
//! target: an order at each point of a grid of prices, on both sides, up to some distance. Because the grid stands
//! still while the price moves over it, a small move costs a few orders and not a new ladder. When its inventory
//! drifts, it shifts its price, so that others trade it back.

use crossbook_types::{Market, OrderId, Price, Quantity, Side};

use super::random::{Random, mix_uniform};

/// Orders a maker keeps on each side.
pub const LEVELS: u64 = 60;
/// How far past the ladder's ends an order may be before it is taken down, in grid steps. Without it, a price that
/// trembles at a grid point would place and cancel for ever.
const SLACK: u64 = 4;
/// Most orders and cancels of one step. The far end of a ladder can wait; the near end comes first.
pub const ACTIONS_MAX: usize = 16;
/// How far, as a fraction of the price, a maker moves its quotes when its inventory is entirely one-sided.
const SKEW_MAX: f64 = 0.002;
/// The chance at each step that one of the near orders is taken down and put back in another size.
const FLICKER: f64 = 0.8;
/// How far from the price the orders of a pair are, as a fraction of it.
const PAIR_REACH: f64 = 0.001;
/// The chance that it is lowered to half its size instead, and keeps its place.
const LOWERED: f64 = 0.5;

/// How one maker quotes.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Distance between two of its prices, as a fraction of the price.
    pub grid: f64,
    /// Distance of its best prices from what it believes, as a fraction of the price.
    pub half_spread: f64,
    /// Worth of its smallest orders, in the quote asset.
    pub notional: f64,
    /// Tells makers apart: offsets their grids and sizes.
    pub salt: u64,
}

/// An order of the maker's that is in the book.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Resting {
    /// Id of the order.
    pub order: OrderId,
    /// Side of the order.
    pub side: Side,
    /// Price of the order.
    pub price: Price,
    /// What it was for.
    pub original: Quantity,
    /// What of that is left.
    pub remaining: Quantity,
}

/// What a trader wants done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Take an order down.
    Cancel(OrderId),
    /// Lower an order that was placed for so much to so much.
    Lower(OrderId, Quantity, Quantity),
    /// Put a maker-only order into the book.
    Quote(Side, Price, Quantity),
    /// Trade now, up to this price; the rest lapses.
    Take(Side, Price, Quantity),
    /// Sell or buy at the first of these prices to be reached, below or above the market.
    Pair(Side, [Price; 2], Quantity),
}

/// What a step of a maker goes by.
#[derive(Clone, Copy, Debug)]
pub struct Sight {
    /// The fair price, in quote per base.
    pub fair: f64,
    /// What it has of the base asset beyond what it wants, from -1 (none) to 1 (twice as much).
    pub inventory: f64,
    /// How wild the market is; spreads widen with it.
    pub volatility: f64,
}

/// A price grid in ticks, and the sizes on it.
struct Grid {
    step: u64,
    offset: u64,
    salt: u64,
}

impl Grid {
    fn new(style: &Style, reference_ticks: f64) -> Self {
        let step = ((reference_ticks * style.grid).round() as u64).max(1);
        Self { step, offset: mix_ticks(style.salt, step), salt: style.salt }
    }

    /// The price at a point of the grid. A few ticks off, always the same for the same point, so that it does not look
    /// ruled.
    fn price(&self, point: u64) -> u64 {
        let jitter = mix_ticks(self.salt ^ point.rotate_left(17), self.step.div_ceil(3));
        point * self.step + self.offset + jitter
    }

    /// The point whose price is nearest below or at `ticks`, give or take the jitter.
    fn point(&self, ticks: f64) -> u64 {
        ((ticks - self.offset as f64) / self.step as f64).max(0.0) as u64
    }
}

fn mix_ticks(salt: u64, below: u64) -> u64 {
    (mix_uniform(salt) * below as f64) as u64
}

/// What the maker does now. `start_price` is where the market began; it fixes the grid for the life of the venue.
pub fn step(
    market: &Market,
    style: &Style,
    start_price: f64,
    sight: Sight,
    resting: &[Resting],
    random: &mut Random,
) -> Vec<Action> {
    let ticks = |price: f64| price / decimal_value(market.price_decimal(Price(1)));
    let grid = Grid::new(style, ticks(start_price));
    let centre = ticks(sight.fair * (1.0 - SKEW_MAX * sight.inventory.clamp(-1.0, 1.0)));
    let half = centre * style.half_spread * sight.volatility.clamp(0.7, 3.0);
    let mut unwanted = Vec::new();
    let mut wanted = Vec::new();
    for side in [Side::Buy, Side::Sell] {
        let first = match side {
            Side::Buy => grid.point(centre - half),
            Side::Sell => grid.point(centre + half) + 1,
        };
        let point_at = |level: u64| match side {
            Side::Buy => first.saturating_sub(level),
            Side::Sell => first + level,
        };
        let (near, far) = (grid.price(point_at(0)), grid.price(point_at(LEVELS + SLACK)));
        let keeps = |price: u64| match side {
            // The near end has no slack: an order that is now a bad deal goes at once.
            Side::Buy => price <= near && price >= far,
            Side::Sell => price >= near && price <= far,
        };
        let mine = || resting.iter().filter(move |order| order.side == side);
        for order in mine() {
            let used_up = order.remaining.0 * 3 < order.original.0;
            if !keeps(order.price.0) || used_up {
                unwanted.push((order.price.0.abs_diff(centre as u64), order.order));
            }
        }
        for level in 0..LEVELS {
            let price = Price(grid.price(point_at(level)));
            let taken = mine().any(|order| order.price == price);
            if !taken && market.allows_price(price) {
                wanted.push((level, side, price));
            }
        }
    }
    // What is nearest matters most: first the prices that are now bad deals, then the gaps.
    unwanted.sort_unstable();
    wanted.sort_by_key(|&(level, ..)| level);
    let mut actions: Vec<Action> = unwanted.into_iter().map(|(_, order)| Action::Cancel(order)).collect();
    if actions.is_empty() && wanted.is_empty() && random.chance(FLICKER) && !resting.is_empty() {
        let mut near: Vec<&Resting> = resting.iter().collect();
        near.sort_by_key(|order| (order.price.0 as f64 - centre).abs() as u64);
        let pick = (random.uniform().powi(2) * near.len() as f64) as usize;
        let picked = near[pick.min(near.len() - 1)];
        let lower = Quantity(picked.original.0 / 2);
        let allowed = lower.0 > picked.original.0 - picked.remaining.0
            && lower >= market.filters.quantity_min
            && market.check_notional(market.quote_amount(picked.price, lower)).is_ok();
        actions.push(match allowed && random.chance(LOWERED) {
            true => Action::Lower(picked.order, picked.original, lower),
            false => Action::Cancel(picked.order),
        });
    }
    for (level, side, price) in wanted {
        if let Some(quantity) = size(market, style, price, level, random) {
            actions.push(Action::Quote(side, price, quantity));
        }
    }
    actions.truncate(ACTIONS_MAX);
    actions
}

/// A pair on both sides of the price, of which one order ends the other.
pub fn pair(market: &Market, style: &Style, fair: f64, random: &mut Random) -> Option<Action> {
    let ticks = |price: f64| Price((price / decimal_value(market.price_decimal(Price(1)))).round().max(1.0) as u64);
    let side = if random.chance(0.5) { Side::Buy } else { Side::Sell };
    let prices = [ticks(fair * (1.0 - PAIR_REACH)), ticks(fair * (1.0 + PAIR_REACH))];
    let quantity = quantity_of(market, prices[0], style.notional)?;
    prices.iter().all(|&price| market.allows_price(price)).then_some(Action::Pair(side, prices, quantity))
}

/// How much to quote: more with distance, uneven, now and then a large one.
fn size(market: &Market, style: &Style, price: Price, level: u64, random: &mut Random) -> Option<Quantity> {
    let depth = 1.0 + level as f64 * 0.12;
    let uneven = 0.4 + 1.6 * random.uniform().powi(2);
    let wall = if random.chance(0.02) { 6.0 } else { 1.0 };
    quantity_of(market, price, style.notional * depth * uneven * wall)
}

/// So many lots as are worth `notional` in the quote asset; `None` if the filters allow no such order.
pub fn quantity_of(market: &Market, price: Price, notional: f64) -> Option<Quantity> {
    let lot = decimal_value(market.price_decimal(price)) * decimal_value(market.quantity_decimal(Quantity(1)));
    let lots = Quantity((notional / lot).round().clamp(1.0, 1e12) as u64);
    let lots =
        lots.clamp(market.filters.quantity_min, market.filters.quantity_max.min(market.filters.market_quantity_max));
    market.check_notional(market.quote_amount(price, lots)).ok().map(|()| lots)
}

/// A decimal as a float. The simulation may round; the venue never does.
pub fn decimal_value((units, scale): (i128, u8)) -> f64 {
    units as f64 / 10f64.powi(i32::from(scale))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listing;

    const STYLE: Style = Style { grid: 0.000_1, half_spread: 0.000_1, notional: 1_000.0, salt: 9 };

    fn sight(fair: f64) -> Sight {
        Sight { fair, inventory: 0.0, volatility: 1.0 }
    }

    /// Does what a maker wants; the numbers of the steps are the numbers of the orders.
    fn settle(market: &Market, fair: f64, resting: &mut Vec<Resting>, random: &mut Random) -> usize {
        let mut done = 0;
        for _ in 0..100 {
            let actions = step(market, &STYLE, 100_000.0, sight(fair), resting, &mut random.clone());
            // A lone cancel or amendment is the flicker of a maker that has nothing else to do.
            if matches!(actions[..], [] | [Action::Cancel(_) | Action::Lower(..)]) {
                break;
            }
            for action in actions {
                done += 1;
                match action {
                    Action::Cancel(order) => resting.retain(|resting| resting.order != order),
                    Action::Quote(side, price, quantity) => {
                        let order = OrderId(random.next());
                        resting.push(Resting { order, side, price, original: quantity, remaining: quantity });
                    }
                    Action::Lower(..) | Action::Take(..) | Action::Pair(..) => {
                        panic!("a maker that has something to do does not")
                    }
                }
            }
        }
        done
    }

    #[test]
    fn it_fills_both_sides_and_never_crosses_itself() {
        let market = listing::market_for_tests("BTCUSDT");
        let (mut resting, mut random) = (Vec::new(), Random::new(1));
        for fair in [100_000.0, 100_035.0, 99_900.0, 101_000.0] {
            settle(&market, fair, &mut resting, &mut random);
            let count = |side| resting.iter().filter(|order| order.side == side).count() as u64;
            assert!(count(Side::Buy) >= LEVELS && count(Side::Sell) >= LEVELS);
            assert!(count(Side::Buy) <= LEVELS + SLACK + 1 && count(Side::Sell) <= LEVELS + SLACK + 1);
            let best_bid = resting.iter().filter(|o| o.side == Side::Buy).map(|o| o.price).max().unwrap();
            let best_ask = resting.iter().filter(|o| o.side == Side::Sell).map(|o| o.price).min().unwrap();
            assert!(best_bid < best_ask, "{best_bid:?} {best_ask:?}");
            let (bid, ask) = (best_bid.0 as f64 / 100.0, best_ask.0 as f64 / 100.0);
            assert!(bid < fair && fair < ask && (ask - bid) / fair < 0.000_6, "{bid} {fair} {ask}");
        }
    }

    #[test]
    fn a_small_move_costs_few_orders() {
        let market = listing::market_for_tests("BTCUSDT");
        let (mut resting, mut random) = (Vec::new(), Random::new(1));
        settle(&market, 100_000.0, &mut resting, &mut random);
        let cost = settle(&market, 100_020.0, &mut resting, &mut random);
        assert!(cost > 0 && cost <= 16, "{cost} actions for two grid steps");
    }

    #[test]
    fn a_long_inventory_quotes_lower() {
        let market = listing::market_for_tests("BTCUSDT");
        let best_ask = |inventory| {
            let sight = Sight { inventory, ..sight(100_000.0) };
            let actions = step(&market, &STYLE, 100_000.0, sight, &[], &mut Random::new(1));
            actions.iter().filter_map(|a| if let Action::Quote(Side::Sell, p, _) = a { Some(p.0) } else { None }).min()
        };
        assert!(best_ask(1.0) < best_ask(0.0) && best_ask(0.0) < best_ask(-1.0));
    }
}
