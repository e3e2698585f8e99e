//! Auctions: what is collected, the price, who trades at it, and how the work is spread over commands.

use crossbook_engine::WorkBudget;
use crossbook_oracle::workload::SplitMix64;
use crossbook_protocol::command::Body;
use crossbook_protocol::order::{CancelAll, Instructions, NewOrder, Target};
use crossbook_protocol::session::{AuctionPrice, Phase, Session, SessionChange, SessionRequest};
use crossbook_protocol::{Answer, Event, Refusal, Rules};
use crossbook_types::{
    AccountId, Breaker, MarketStatus, OrderId, OrderType, Price, Quantity, SelfTradePrevention, Side, TimeInForce,
    Timestamp,
};
use proptest::prelude::*;

use crate::kit::*;

const SECOND: u64 = 1_000_000;

fn session(venue: &mut Venue, change: SessionChange) -> Vec<Event> {
    venue.apply(Body::Session(SessionRequest { symbol: BTCUSDT, change }))
}

/// A venue whose market collects orders until somebody ends that.
fn collecting() -> Venue {
    let mut venue = Venue::new();
    venue.apply(Body::ActivateRules(Rules::V4));
    let events = session(&mut venue, SessionChange::OpenAuction { seconds: None });
    let open = Session { phase: Phase::Collecting, ..Session::plain(BTCUSDT) };
    assert_eq!(*answer(&events), Answer::SessionChanged(open));
    venue
}

fn phases(events: &[Event]) -> Vec<Phase> {
    let phase = |event: &Event| match event {
        Event::SessionChanged(session) => Some(session.phase),
        _ => None,
    };
    events.iter().filter_map(phase).collect()
}

fn price_of(events: &[Event]) -> Option<(u64, u64)> {
    events.iter().find_map(|event| match event {
        Event::AuctionPriced(AuctionPrice { price, quantity, .. }) => Some((price.0, quantity.0)),
        _ => None,
    })
}

#[test]
fn orders_that_were_collected_trade_at_one_price() {
    let mut venue = collecting();
    let (a, b) = (venue.trader(0, 10_000), venue.trader(100, 0));
    let first = venue.rest(buy(a, 105, 10));
    let second = venue.rest(buy(a, 103, 10));
    let third = venue.rest(sell(b, 100, 5));
    let fourth = venue.rest(sell(b, 102, 8));
    let fifth = venue.rest(sell(b, 104, 8));
    assert_eq!(venue.depth(Side::Buy), [(105, 10), (103, 10)]);
    assert_eq!(venue.depth(Side::Sell), [(100, 5), (102, 8), (104, 8)]);
    venue.restart();
    let events = session(&mut venue, SessionChange::End);
    // At 102 and 103 thirteen trade. Twenty are bid at both, and thirteen offered.
    let expected = [Phase::Matching, Phase::Open];
    assert_eq!((price_of(&events), phases(&events)), (Some((102, 13)), expected.to_vec()));
    assert_eq!(trades(&events), [(102, 5), (102, 5), (102, 3)]);
    let ended: Vec<OrderId> = closed(&events).into_iter().map(|(order, _)| order).collect();
    assert_eq!(ended, [third, first, fourth]);
    assert!(venue.mirror.order(BTCUSDT, second).is_some() && venue.mirror.order(BTCUSDT, fifth).is_some());
    assert_eq!((venue.depth(Side::Buy), venue.depth(Side::Sell)), (vec![(103, 7)], vec![(104, 8)]));
    // The buyer paid 102 and holds what is left of the bid; the later order of each pair is the taker.
    assert_eq!(venue.held(a, USDT), 7 * 103 * TICK_LOT);
    assert_eq!(venue.free(a, USDT), (10_000 - 13 * 102 - 7 * 103) * TICK_LOT);
    let takers: Vec<(OrderId, Side)> = events
        .iter()
        .filter_map(|event| match event {
            Event::Traded(trade) => Some((trade.taker.order, trade.taker_side)),
            _ => None,
        })
        .collect();
    assert_eq!(takers, [(third, Side::Sell), (fourth, Side::Sell), (fourth, Side::Sell)]);
}

#[test]
fn the_price_trades_most_then_leaves_the_least_then_is_the_nearest() {
    type Orders<'a> = &'a [(u64, u64)];
    /// Bids, offers, the last price, and the price with the volume.
    type Case<'a> = (Orders<'a>, Orders<'a>, Option<u64>, Option<(u64, u64)>);
    let cases: [Case<'_>; 12] = [
        // Nothing trades.
        (&[(99, 5)], &[(100, 5)], None, None),
        (&[], &[(100, 5)], None, None),
        // A range in which nothing is left over: the middle, or the nearest to the last trade.
        (&[(105, 5)], &[(100, 5)], None, Some((102, 5))),
        (&[(105, 5)], &[(100, 5)], Some(104), Some((104, 5))),
        (&[(105, 5)], &[(100, 5)], Some(200), Some((105, 5))),
        (&[(105, 5)], &[(100, 5)], Some(7), Some((100, 5))),
        // More is bid: above what is bid next. More is offered: below what is offered next.
        (&[(105, 9), (102, 4)], &[(100, 5)], Some(7), Some((103, 5))),
        (&[(105, 5)], &[(100, 9), (103, 4)], Some(200), Some((102, 5))),
        // What is bid next bounds the range.
        (&[(105, 5), (103, 1)], &[(100, 5)], Some(7), Some((104, 5))),
        // Neighbours: the side on which less is left over, or, if as much, the nearest of both.
        (&[(105, 5), (102, 1)], &[(100, 5), (103, 2)], Some(200), Some((102, 5))),
        (&[(105, 5), (102, 3)], &[(100, 5), (103, 2)], Some(7), Some((103, 5))),
        (&[(105, 5), (102, 2)], &[(100, 5), (103, 2)], Some(200), Some((105, 5))),
    ];
    for (bids, asks, last, expected) in cases {
        let mut venue = Venue::new();
        venue.apply(Body::ActivateRules(Rules::V4));
        if let Some(last) = last {
            venue.trade_at(last);
        }
        session(&mut venue, SessionChange::OpenAuction { seconds: None });
        let trader = venue.rich();
        for &(price, lots) in bids {
            venue.rest(buy(trader, price, lots));
        }
        for &(price, lots) in asks {
            venue.rest(sell(trader, price, lots));
        }
        let events = session(&mut venue, SessionChange::End);
        assert_eq!(price_of(&events), expected, "{bids:?} and {asks:?} after {last:?}");
        let sum: u64 = trades(&events).iter().map(|&(_, lots)| lots).sum();
        assert_eq!(sum, expected.map_or(0, |(_, lots)| lots));
        assert_eq!(phases(&events), [Phase::Matching, Phase::Open]);
    }
}

#[test]
fn only_what_can_wait_is_collected() {
    let mut venue = collecting();
    let trader = venue.rich();
    venue.rest(sell(trader, 100, 5));
    for order in [
        market(trader, Side::Buy, lots(1)),
        buy(trader, 100, 1).within(TimeInForce::Ioc),
        buy(trader, 100, 1).within(TimeInForce::Fok),
    ] {
        assert_eq!(venue.refused(order), Refusal::NotInAuction);
    }
    assert_eq!(venue.refused(buy(trader, 100, 1).maker_only()), Refusal::WouldTake);
    venue.rest(buy(trader, 99, 1).maker_only());
    venue.rest(stop(trader, Side::Sell, OrderType::StopLoss, 90, 1));
    let order = venue.rest(buy(trader, 101, 4));
    assert_eq!(venue.cancel(trader, Target::Order(order)).unwrap().0, order);
    // A market that its operator keeps from trading collects nothing.
    venue.change(None, None, Some(MarketStatus::Halt));
    assert_eq!(venue.refused(buy(trader, 100, 1)), Refusal::MarketClosed(MarketStatus::Halt));
    let events = session(&mut venue, SessionChange::End);
    assert_eq!(*answer(&events), Answer::Refused(Refusal::MarketClosed(MarketStatus::Halt)));
    for seconds in [0, 604_801] {
        let events = session(&mut venue, SessionChange::OpenAuction { seconds: Some(seconds) });
        assert_eq!(*answer(&events), Answer::Refused(Refusal::AuctionTooLong));
    }
}

#[test]
fn a_breaker_may_reopen_with_an_auction() {
    let mut venue = Venue::new();
    venue.apply(Body::ActivateRules(Rules::V4));
    venue.trade_at(1_000);
    let breaker = Breaker { move_bp: 1_000, window_seconds: 10, pause_seconds: 5, auction_seconds: 3 };
    session(&mut venue, SessionChange::SetBreaker(Some(breaker)));
    let (maker, taker) = (venue.rich(), venue.rich());
    venue.rest(sell(maker, 1_300, 5));
    let (_, events) = venue.place(buy(taker, 1_300, 5));
    assert_eq!(phases(&events), [Phase::Paused]);
    venue.start += 5 * SECOND;
    let (_, events) = venue.place(buy(taker, 1_300, 5));
    assert_eq!((phases(&events), trades(&events)), (vec![Phase::Collecting], vec![]));
    venue.start += 3 * SECOND;
    // The next order has what was collected matched, and then trades itself.
    venue.restart();
    let (_, events) = venue.place(sell(maker, 1_350, 1));
    assert_eq!((phases(&events), trades(&events)), (vec![Phase::Matching, Phase::Open], vec![(1_300, 5)]));
    // The breaker goes on from the auction's price.
    assert_eq!(trades(&venue.place(buy(taker, 1_350, 1)).1), [(1_350, 1)]);
    venue.rest(sell(maker, 1_431, 1));
    assert_eq!(phases(&venue.place(buy(taker, 1_431, 1)).1), [Phase::Paused]);
}

#[test]
fn a_skipped_auction_is_held_again_after_the_same_time() {
    let work = WorkBudget { continued: 1, ..WorkBudget::RULES };
    for seconds in [Some(60), None] {
        let mut venue = Venue::new();
        venue.apply(Body::ActivateRules(Rules::V4));
        venue.restart_with(work);
        session(&mut venue, SessionChange::OpenAuction { seconds });
        let (a, b) = (venue.rich(), venue.rich());
        venue.rest(buy(a, 100, 3));
        for _ in 0..3 {
            venue.rest(sell(b, 100, 1));
        }
        assert_eq!(phases(&session(&mut venue, SessionChange::End)), [Phase::Matching]);
        venue.restart_with(work);
        venue.start += 5 * SECOND;
        let events = venue.pass_over();
        let until = seconds.map(|seconds| Timestamp(venue.partition.time().0 + u64::from(seconds) * SECOND));
        let collects = Session { phase: Phase::Collecting, until, ..Session::plain(BTCUSDT) };
        assert_eq!(events, [Event::SessionChanged(collects)]);
        venue.restart_with(work);
        assert_eq!(venue.partition.continuation(), None);
        let mut events = match until {
            None => session(&mut venue, SessionChange::End),
            Some(until) => {
                venue.start += 60 * SECOND;
                session(&mut venue, SessionChange::Pass { until })
            }
        };
        while let Some(more) = venue.go_on() {
            events.extend(more);
        }
        assert_eq!(phases(&events), [Phase::Matching, Phase::Open]);
    }
}

#[test]
fn an_auction_triggers_what_waits_for_its_price_and_ignores_self_trade_prevention() {
    let mut venue = collecting();
    let trader = venue.rich();
    let waits = venue.rest(stop(trader, Side::Buy, OrderType::StopLoss, 100, 1));
    venue.rest(buy(trader, 102, 5).preventing(SelfTradePrevention::ExpireBoth));
    venue.rest(sell(trader, 101, 7).preventing(SelfTradePrevention::ExpireBoth));
    let events = session(&mut venue, SessionChange::End);
    assert_eq!(price_of(&events), Some((101, 5)));
    assert_eq!(triggered(&events), [waits]);
    assert_eq!(trades(&events), [(101, 5), (101, 1)]);
}

#[test]
fn hidden_quantities_count_and_trade_part_by_part() {
    let mut venue = collecting();
    let (a, b) = (venue.rich(), venue.rich());
    let iceberg = |order: NewOrder, part| {
        order.with(|terms| {
            terms.instructions = Instructions { iceberg: Some(Quantity(part)), ..Instructions::default() }.boxed();
        })
    };
    venue.rest(iceberg(buy(a, 100, 9), 2));
    venue.rest(buy(a, 100, 2));
    venue.rest(sell(b, 99, 10));
    assert_eq!(venue.depth(Side::Buy), [(100, 4)]);
    let events = session(&mut venue, SessionChange::End);
    assert_eq!(price_of(&events), Some((99, 10)));
    assert_eq!(trades(&events), [(99, 2); 5]);
    assert_eq!(venue.depth(Side::Buy), [(100, 1)]);
}

#[test]
fn the_work_is_spread_over_commands_and_nothing_comes_between() {
    let work = WorkBudget { continued: 3, levels_checked: 2, ..WorkBudget::RULES };
    let mut venue = collecting();
    venue.restart_with(work);
    let (a, b) = (venue.rich(), venue.rich());
    for lots in 1..=8 {
        venue.rest(buy(a, 110 - lots, 1));
        venue.rest(sell(b, 90 + lots, 1));
    }
    let resting = venue.rest(sell(b, 500, 1));
    let events = session(&mut venue, SessionChange::End);
    assert_eq!((phases(&events), price_of(&events)), (vec![Phase::Matching], None));
    let mut all = Vec::new();
    let mut parts = 0;
    loop {
        // Meanwhile nothing changes.
        assert_eq!(venue.refused(buy(a, 50, 1)), Refusal::MarketClosed(MarketStatus::AuctionMatch));
        assert_eq!(venue.cancel(b, Target::Order(resting)), Err(Refusal::AuctionMatching));
        let all_of_it = venue.apply(Body::CancelAll(CancelAll { account: b, symbol: BTCUSDT, cancel_id: name("all") }));
        assert_eq!(*answer(&all_of_it), Answer::Refused(Refusal::AuctionMatching));
        for change in
            [SessionChange::End, SessionChange::SetBreaker(None), SessionChange::OpenAuction { seconds: None }]
        {
            assert_eq!(*answer(&session(&mut venue, change)), Answer::Refused(Refusal::AuctionMatching));
        }
        venue.restart_with(work);
        let Some(events) = venue.go_on() else { break };
        parts += 1;
        assert!(trades(&events).len() <= 3);
        all.extend(trades(&events));
        if phases(&events) == [Phase::Open] {
            break;
        }
    }
    // Four commands look for the price, the last of which and two more match.
    assert_eq!((parts, all), (5, vec![(100, 1); 8]));
    assert_eq!(venue.partition.continuation(), None);
    assert_eq!(venue.cancel(b, Target::Order(resting)).unwrap().0, resting);
}

/// The price at which most trades, and so on, found by trying all.
fn by_force(bids: &[(u64, u64)], asks: &[(u64, u64)], last: Option<u64>) -> Option<(u64, u64)> {
    let at = |price: u64| {
        let bid: u64 = bids.iter().filter(|(limit, _)| *limit >= price).map(|(_, lots)| lots).sum();
        let offered: u64 = asks.iter().filter(|(limit, _)| *limit <= price).map(|(_, lots)| lots).sum();
        (bid.min(offered), bid.abs_diff(offered))
    };
    let most = (1..=400).map(|price| at(price).0).max().filter(|&most| most > 0)?;
    let least = (1..=400).map(at).filter(|(volume, _)| *volume == most).map(|(_, left)| left).min()?;
    let best: Vec<u64> = (1..=400).filter(|&price| at(price) == (most, least)).collect();
    let price = match last {
        Some(last) => best.iter().copied().min_by_key(|price| (price.abs_diff(last), *price)),
        None => Some(best[(best.len() - 1) / 2]),
    };
    price.map(|price| (price, most))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is collected, the price is that of an auction that tries all prices, what it says trades, each order
    /// trades within its limit and in its turn, and the book is not crossed afterwards; in one command or in many.
    #[test]
    fn any_auction_is_as_one_that_tries_every_price(
        seed in any::<u64>(),
        count in 1u64..40,
        spread in prop_oneof![Just(4u64), Just(12), Just(120)],
        last in prop::option::of(50u64..350),
        bounded in any::<bool>(),
    ) {
        let mut random = SplitMix64::new(seed);
        let mut draw = |most: u64| random.next_u64() % most;
        let mut venue = Venue::new();
        venue.apply(Body::ActivateRules(Rules::V4));
        if let Some(last) = last {
            venue.trade_at(last);
        }
        if bounded {
            venue.restart_with(WorkBudget { continued: 2, levels_checked: 3, ..WorkBudget::RULES });
        }
        session(&mut venue, SessionChange::OpenAuction { seconds: None });
        let traders: [AccountId; 3] = std::array::from_fn(|_| venue.rich());
        let (mut bids, mut asks, mut queue) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..count {
            let (price, lots, trader) = (200 + draw(spread), 1 + draw(9), traders[draw(3) as usize]);
            let side = if draw(2) == 0 { Side::Buy } else { Side::Sell };
            let id = venue.rest(limit(trader, side, price, lots));
            let list = if side == Side::Buy { &mut bids } else { &mut asks };
            list.push((price, lots));
            queue.push((side, price, id, lots));
        }
        let mut events = session(&mut venue, SessionChange::End);
        while let Some(more) = venue.go_on() {
            events.extend(more);
        }
        let expected = by_force(&bids, &asks, last);
        prop_assert_eq!(price_of(&events), expected);
        prop_assert_eq!(phases(&events).last().copied(), Some(Phase::Open));
        let (price, volume) = expected.unwrap_or((0, 0));
        prop_assert!(trades(&events).iter().all(|&(at, _)| at == price));
        prop_assert_eq!(trades(&events).iter().map(|&(_, lots)| lots).sum::<u64>(), volume);
        // Of each side the first in price and time have it all.
        for side in [Side::Buy, Side::Sell] {
            let mut own: Vec<_> = queue.iter().filter(|(of, ..)| *of == side).collect();
            own.sort_by_key(|(_, price, id, _)| (if side == Side::Buy { 1_000 - price } else { *price }, *id));
            let mut left = volume;
            for &&(_, _, id, lots) in &own {
                let due = lots.min(left);
                left -= due;
                let rests = venue.mirror.order(BTCUSDT, id).and_then(|open| open.left).unwrap_or_default();
                prop_assert_eq!(rests, Quantity(lots - due));
            }
        }
        let best = |side| venue.depth(side).first().map(|&(price, _)| Price(price));
        if let (Some(bid), Some(ask)) = (best(Side::Buy), best(Side::Sell)) {
            prop_assert!(bid < ask);
        }
    }
}
