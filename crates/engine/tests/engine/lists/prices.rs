//! Orders of lists that take their price from the market: trailing stops and pegged orders.

use super::*;
use crossbook_protocol::order::Instructions;
use crossbook_types::{OptionalPrice, Peg, PegPrice, TrailingDelta};

use OrderType::{LimitMaker, StopLoss, StopLossLimit, TakeProfit};

trait Priced {
    fn trailing(self, delta: u32) -> NewOrder;
    fn at_once(self) -> NewOrder;
    fn pegged(self, level: u8) -> NewOrder;
}

impl Priced for NewOrder {
    fn trailing(self, delta: u32) -> NewOrder {
        let instructions = Instructions { trailing: Some(TrailingDelta(delta)), ..Instructions::default() };
        self.with(|terms| terms.instructions = instructions.boxed())
    }

    /// It names no stop price, and trails from the beginning.
    fn at_once(self) -> NewOrder {
        self.with(|terms| terms.stop_price = OptionalPrice::NONE)
    }

    /// The best price of its own side, or one behind it.
    fn pegged(self, level: u8) -> NewOrder {
        let peg = Peg { price: PegPrice::Primary, level };
        let instructions = Instructions { peg: Some(peg), ..Instructions::default() };
        self.with(|terms| (terms.instructions, terms.price) = (instructions.boxed(), None))
    }
}

fn begun(events: &[Event]) -> Vec<u64> {
    let begun = |event: &Event| match event {
        Event::TrailingBegun { order, .. } => Some(order.0),
        _ => None,
    };
    events.iter().filter_map(begun).collect()
}

fn pegged(events: &[Event]) -> Vec<(u64, u64)> {
    let pegged = |event: &Event| match event {
        Event::OrderPegged { order, price, .. } => Some((order.0, price.0)),
        _ => None,
    };
    events.iter().filter_map(pegged).collect()
}

/// The prices in the book of somebody else: bids at 99 and 97, offers at 101 and 103.
fn book(venue: &mut Venue, other: AccountId) {
    for (bid, offer) in [(99, 101), (97, 103)] {
        venue.rest(buy(other, bid, 5));
        venue.rest(sell(other, offer, 5));
    }
}

#[test]
fn a_trailing_order_of_a_pair_ends_the_other_when_it_triggers_not_when_it_begins() {
    let (mut venue, owner, other) = quiet(false);
    let trails = stop(owner, Side::Sell, StopLoss, 90, 10).trailing(1_000);
    place(&mut venue, list(ListKind::Oco, vec![trails, sell(owner, 110, 10).maker_only()]));
    assert_eq!(held(&venue, owner), (10, 0), "one hold is for both");
    venue.rest(buy(other, 90, 1));
    let (_, events) = venue.place(sell(other, 90, 1));
    assert_eq!((begun(&events), ended(&events).len(), statuses(&events)), (vec![3], 2, vec![]));
    assert_eq!(venue.depth(Side::Sell), [(110, 10)]);
    venue.restart();
    // From 100, the highest since, a tenth back.
    venue.trade_at(100);
    venue.rest(buy(other, 90, 1));
    venue.rest(buy(other, 85, 20));
    let (_, events) = venue.place(sell(other, 90, 1));
    assert_eq!(triggered(&events), [OrderId(3)]);
    assert_eq!(ended(&events)[2..], [(4, OcoTrigger), (3, Filled)]);
    assert_eq!((statuses(&events), trades(&events)), (vec![Executing, AllDone], vec![(90, 1), (85, 10)]));
    assert_eq!((held(&venue, owner), venue.depth(Side::Sell)), ((0, 0), vec![]));
}

#[test]
fn a_fill_of_the_limit_order_ends_one_that_trails() {
    let (mut venue, owner, other) = quiet(false);
    let trails = stop(owner, Side::Sell, StopLoss, 1, 10).trailing(1_000).at_once();
    let (_, events) = place(&mut venue, list(ListKind::Oco, vec![trails, sell(owner, 110, 10).maker_only()]));
    assert_eq!(begun(&events), [3]);
    let (_, events) = venue.place(buy(other, 110, 4));
    assert_eq!((ended(&events), statuses(&events)), (vec![(3, OcoTrigger), (5, Filled)], vec![Executing]));
    assert_eq!(held(&venue, owner), (6, 0));
    // Nobody trails any more.
    venue.trade_at(109);
    venue.trade_at(90);
    assert_eq!(venue.depth(Side::Sell), [(110, 6)]);
}

#[test]
fn a_pair_that_buys_holds_what_its_trailing_order_may_cost_from_the_last_price() {
    let (mut venue, owner, _) = quiet(false);
    let limit = buy(owner, 90, 10).maker_only();
    let trails = stop(owner, Side::Buy, StopLoss, 1, 10).trailing(1_000).at_once();
    let pair = list(ListKind::Oco, vec![trails, limit]);
    place(&mut venue, pair.clone());
    // The last price is 100: it triggers at 110 if that stays the lowest, and a tenth is held beyond that.
    assert_eq!(held(&venue, owner), (0, 110 * 10 * 11 / 10));
    venue.restart();
    venue.cancel_all(owner).unwrap();
    assert_eq!(held(&venue, owner), (0, 0));
    // Whoever has less than that, but enough for the limit order, is refused.
    let poor = venue.trader(0, 1_209);
    let short = NewList { account: poor, ..pair };
    assert_eq!(refused(&mut venue, short.clone()), Refusal::InsufficientBalance);
    venue.transfer(poor, USDT, TICK_LOT, "more").unwrap();
    place(&mut venue, short);
    // Where nothing has traded nobody knows what it costs.
    let mut venue = super::venue(false);
    let owner = venue.rich();
    let trails = stop(owner, Side::Buy, StopLoss, 1, 10).trailing(1_000).at_once();
    let pair = list(ListKind::Oco, vec![trails, buy(owner, 90, 10).maker_only()]);
    assert_eq!(refused(&mut venue, pair), Refusal::Filter(Filter::Notional));
    // A sell waits for the first price.
    let trails = stop(owner, Side::Sell, StopLoss, 1, 10).trailing(1_000).at_once();
    let (_, events) = place(&mut venue, list(ListKind::Oco, vec![trails, sell(owner, 110, 10).maker_only()]));
    assert_eq!(begun(&events), [] as [u64; 0]);
    venue.restart();
    let (_, events) = {
        let other = venue.rich();
        venue.rest(sell(other, 100, 1));
        venue.place(buy(other, 100, 1).preventing(SelfTradePrevention::None))
    };
    assert_eq!(begun(&events), [1]);
}

#[test]
fn a_pending_order_trails_from_when_it_is_placed() {
    let (mut venue, owner, other) = quiet(false);
    let trails = stop(owner, Side::Buy, StopLossLimit, 1, 10).trailing(1_000).at_once();
    let trails = trails.with(|terms| terms.price = Some(Price(95)));
    let working = sell(owner, 105, 10).named("working");
    place(&mut venue, list(ListKind::Oto, vec![working.clone(), trails]));
    assert_eq!(held(&venue, owner), (10, 95 * 10));
    venue.trade_at(80);
    let (_, events) = venue.place(buy(other, 105, 10));
    assert_eq!((released(&events), begun(&events)), (vec![(4, 10)], vec![4]));
    // The fall to 80 before that is not seen: it triggers when the price comes back from 95 to 104.5.
    venue.trade_at(95);
    venue.trade_at(104);
    assert_eq!(venue.depth(Side::Buy), []);
    venue.trade_at(105);
    assert_eq!((venue.depth(Side::Buy), held(&venue, owner)), (vec![(95, 10)], (0, 950)));
    // One that will run at market holds as much as from the working order's price.
    venue.cancel_all(owner).unwrap();
    let trails = stop(owner, Side::Buy, StopLoss, 1, 10).trailing(1_000).at_once();
    place(&mut venue, list(ListKind::Oto, vec![sell(owner, 200, 10).named("w"), trails]));
    assert_eq!(held(&venue, owner), (10, 220 * 10 * 11 / 10));
}

#[test]
fn a_trailing_order_sells_what_the_working_order_bought() {
    let (mut venue, owner, other) = quiet(true);
    let mut bought = otoco(owner);
    bought.kind = ListKind::Opoco;
    let instructions = Instructions { trailing: Some(TrailingDelta(500)), ..Instructions::default() };
    bought.orders[1].instructions = instructions.boxed();
    bought.orders[1].stop_price = OptionalPrice::NONE;
    bought.orders[1..].iter_mut().for_each(|order| order.size = lots(0));
    place(&mut venue, bought);
    let (_, events) = venue.place(sell(other, 95, 10));
    assert_eq!((released(&events), begun(&events)), (vec![(4, 9), (5, 9)], vec![4]), "less the fee, in whole lots");
    assert_eq!(held(&venue, owner), (9, 0));
    venue.rest(buy(other, 90, 20));
    let (_, events) = venue.place(sell(other, 90, 1));
    assert_eq!(ended(&events)[1..], [(5, OcoTrigger), (4, Filled)]);
    assert_eq!((statuses(&events), held(&venue, owner)), (vec![Executing, AllDone], (0, 0)));
}

#[test]
fn amending_a_pair_lowers_what_its_trailing_order_needs() {
    use crossbook_protocol::order::AmendOrder;
    let (mut venue, owner, _) = quiet(false);
    let trails = stop(owner, Side::Buy, StopLoss, 1, 10).trailing(1_000).at_once();
    place(&mut venue, list(ListKind::Oco, vec![trails, buy(owner, 90, 10).maker_only()]));
    venue.restart();
    let amended = venue.apply(Body::Amend(AmendOrder {
        account: owner,
        symbol: BTCUSDT,
        target: Target::Order(OrderId(4)),
        quantity: crossbook_types::Quantity(4),
        placed: crossbook_types::Quantity(10),
        client_order_id: name("leg1"),
    }));
    assert!(matches!(answer(&amended), Answer::Amended { .. }), "{amended:?}");
    assert_eq!((held(&venue, owner), venue.depth(Side::Buy)), ((0, 110 * 4 * 11 / 10), vec![(90, 4)]));
    venue.restart();
}

#[test]
fn the_book_gives_the_limit_order_of_a_pair_its_price() {
    let (mut venue, owner, other) = quiet(false);
    book(&mut venue, other);
    let protects = stop(owner, Side::Sell, StopLoss, 90, 10);
    let (_, events) = place(&mut venue, list(ListKind::Oco, vec![protects, sell(owner, 1, 10).maker_only().pegged(1)]));
    assert_eq!(pegged(&events), [(8, 103)]);
    assert_eq!((held(&venue, owner), venue.depth(Side::Sell)), ((10, 0), vec![(101, 5), (103, 15)]));
    venue.cancel_all(owner).unwrap();
    // A buy holds what it costs at that price, or what the stop order needs, and no more.
    let protects = stop_limit(owner, Side::Buy, 102, 90, 10);
    let (id, events) = place(&mut venue, list(ListKind::Oco, vec![protects, buy(owner, 1, 10).maker_only().pegged(0)]));
    assert_eq!((pegged(&events), held(&venue, owner)), (vec![(10, 99)], (0, 990)));
    venue.restart();
    let (_, events) = venue.place(sell(other, 99, 6));
    assert_eq!(ended(&events)[0], (3, Filled));
    assert_eq!(held(&venue, owner), (0, 9 * 99), "{id}");
    // What the book gives has to be on its side of the last price: that is 99 now.
    let protects = stop(owner, Side::Buy, StopLoss, 110, 10).named("x");
    let pair = list(ListKind::Oco, vec![protects, buy(owner, 1, 10).maker_only().pegged(0).named("y")]);
    assert_eq!(refused(&mut venue, NewList { client_order_id: name("z"), ..pair }), Refusal::ListPrices);
}

#[test]
fn the_book_gives_a_working_order_its_price_and_its_pending_order_holds_near_it() {
    let (mut venue, owner, other) = quiet(false);
    book(&mut venue, other);
    let free = venue.free(owner, USDT);
    let working = buy(owner, 1, 10).pegged(1).named("working");
    place(&mut venue, list(ListKind::Oto, vec![working.clone(), sell(owner, 120, 10)]));
    assert_eq!(held(&venue, owner), (10, 97 * 10));
    venue.restart();
    venue.cancel_all(owner).unwrap();
    assert_eq!(venue.free(owner, USDT), free);
    // A buy at market that follows a sale whose price the book gives.
    let working = sell(owner, 1, 10).pegged(0).named("working");
    let at_market = market(owner, Side::Buy, lots(10)).named("follows");
    place(&mut venue, list(ListKind::Oto, vec![working, at_market]));
    assert_eq!(held(&venue, owner), (10, 101 * 10 * 11 / 10));
    let (_, events) = venue.place(buy(other, 101, 15));
    assert_eq!((statuses(&events), trades(&events)[2..].to_vec()), (vec![Executing, AllDone], vec![(103, 5)]));
    assert_eq!(held(&venue, owner), (0, 0));
    // Two buys that name no price: nobody can say what each needs.
    let working = buy(owner, 1, 10).pegged(0).named("w");
    let twice = list(ListKind::Oto, vec![working, market(owner, Side::Buy, lots(10)).named("v")]);
    assert_eq!(refused(&mut venue, twice), Refusal::ListWithoutPrice);
    // It has to have what it costs.
    let poor = venue.trader(0, 100);
    let working = buy(poor, 1, 10).pegged(0).named("w");
    let short = list(ListKind::Opo, vec![working, sell(poor, 120, 0).named("v")]);
    assert_eq!(refused(&mut venue, short), Refusal::InsufficientBalance);
}

#[test]
fn a_pending_order_gets_its_price_when_it_is_placed() {
    let (mut venue, owner, other) = quiet(false);
    book(&mut venue, other);
    let kind = |order: NewOrder| order.with(|terms| terms.order_type = LimitMaker);
    let follows = kind(buy(owner, 1, 10).pegged(0)).named("follows");
    place(&mut venue, list(ListKind::Oto, vec![sell(owner, 102, 10).named("working"), follows]));
    assert_eq!(held(&venue, owner), (10, 102 * 10 * 11 / 10), "near the working order's price, and a tenth");
    venue.restart();
    let (_, events) = venue.place(buy(other, 102, 15));
    assert_eq!((pegged(&events), statuses(&events)), (vec![(8, 99)], vec![Executing]));
    assert_eq!((held(&venue, owner), venue.depth(Side::Buy)), ((0, 990), vec![(99, 15), (97, 5)]));
    venue.cancel_all(owner).unwrap();
    // Without such a price it cannot be placed.
    venue.cancel_all(other).unwrap();
    let follows = kind(sell(owner, 1, 10).pegged(5));
    let working = buy(owner, 95, 10).named("working");
    let (_, events) = place(&mut venue, list(ListKind::Oto, vec![working, follows]));
    assert_eq!(statuses(&events), [Executing]);
    let (_, events) = venue.place(sell(other, 95, 10));
    assert!(ended(&events).iter().any(|&(_, reason)| reason == Unplaceable), "{events:?}");
    assert_eq!((statuses(&events), held(&venue, owner)), (vec![AllDone], (0, 0)));
}

#[test]
fn a_stop_order_of_a_pair_gets_its_price_when_it_is_triggered() {
    let (mut venue, owner, other) = quiet(false);
    let protects = stop_limit(owner, Side::Buy, 110, 1, 10).pegged(0);
    let takes = stop(owner, Side::Buy, TakeProfit, 90, 10).trailing(500);
    place(&mut venue, list(ListKind::Oco, vec![protects, takes]));
    // What costs most: the stop at 110 with its tenth.
    assert_eq!(held(&venue, owner), (0, 110 * 10 * 11 / 10));
    venue.rest(buy(other, 108, 5));
    venue.rest(sell(other, 110, 1));
    let (_, events) = venue.place(buy(other, 110, 1).preventing(SelfTradePrevention::None));
    assert_eq!((pegged(&events), triggered(&events)), (vec![(3, 108)], vec![OrderId(3)]));
    assert_eq!((held(&venue, owner), venue.depth(Side::Buy)), ((0, 1_080), vec![(108, 15)]));
}
