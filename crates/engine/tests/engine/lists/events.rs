//! Order lists and what happens to their market or their account: auctions, delisting, transfers within a trade group.

use super::*;
use crossbook_protocol::command::SetTradeGroup;
use crossbook_protocol::session::{SessionChange, SessionRequest};
use crossbook_types::TradeGroupId;

fn session(venue: &mut Venue, change: SessionChange) -> Vec<Event> {
    venue.apply(Body::Session(SessionRequest { symbol: BTCUSDT, change }))
}

/// Pending orders that end the process when they are placed are not placed by the next trade either, which may be in a
/// client's command.
#[test]
fn pending_orders_that_are_passed_over_wait_until_they_are_cancelled() {
    let (venue, owner, other) = quiet(true);
    let work = WorkBudget { triggers: 1, continued: 1, ..WorkBudget::RULES };
    let mut venue = venue.with_work(work);
    place(&mut venue, otoco(owner));
    venue.place(sell(other, 95, 10));
    assert_eq!(venue.pass_over(), []);
    assert_eq!((venue.partition.continuation(), venue.partition.unfinished()), (None, None));
    venue.restart_with(work);
    venue.rest(buy(other, 95, 1));
    let (_, events) = venue.place(sell(other, 95, 1));
    let events = to_the_end(&mut venue, events);
    assert_eq!((released(&events), statuses(&events)), (vec![], vec![]));
    assert_eq!(held(&venue, owner), (10, 0));
    cancel_list(&mut venue, owner, ListTarget::Client(name("list"))).unwrap();
    assert_eq!(held(&venue, owner), (0, 0));
    assert_eq!(venue.partition.audit().violations, Vec::<String>::new());
}

/// All events up to the end of what is deferred.
fn to_the_end(venue: &mut Venue, mut events: Vec<Event>) -> Vec<Event> {
    while let Some(more) = venue.go_on() {
        events.extend(more);
    }
    events
}

#[test]
fn an_auction_fills_a_working_order_and_one_of_a_pair() {
    let (mut venue, owner, other) = quiet(false);
    let (first, _) = place(&mut venue, otoco(owner));
    let pair: Vec<_> = oco(other).orders.into_iter().map(|terms| NewOrder { account: other, terms }).collect();
    let (second, _) = place(&mut venue, list(ListKind::Oco, pair));
    assert_eq!((held(&venue, owner), held(&venue, other)), ((10, 950), (10, 0)));
    session(&mut venue, SessionChange::OpenAuction { seconds: None });
    // Nobody places a list meanwhile.
    let late = NewList { client_order_id: name("late"), ..oco(owner) };
    assert_eq!(refused(&mut venue, late), Refusal::MarketClosed(MarketStatus::AuctionMatch));
    let third = venue.rich();
    venue.rest(sell(third, 93, 10));
    venue.restart();
    let events = session(&mut venue, SessionChange::End);
    let events = to_the_end(&mut venue, events);
    // Ten are bid at 95 and offered at 93: they trade in the middle, and the pair of the other is left as it was.
    assert_eq!(trades(&events), [(95, 10)]);
    assert_eq!(ended(&events), [(3, Filled), (8, Filled)]);
    assert_eq!((released(&events), statuses(&events)), (vec![(4, 10), (5, 10)], vec![Executing]));
    assert_eq!((held(&venue, owner), held(&venue, other)), ((10, 0), (10, 0)));
    // In the next one the limit orders of both pairs are sold: each ends the stop order of its own.
    session(&mut venue, SessionChange::OpenAuction { seconds: None });
    venue.rest(buy(third, 111, 20));
    let events = session(&mut venue, SessionChange::End);
    let events = to_the_end(&mut venue, events);
    assert_eq!(trades(&events).iter().map(|(_, quantity)| quantity).sum::<u64>(), 20);
    let orders: Vec<u64> = ended(&events).iter().map(|&(order, _)| order).collect();
    assert!([4, 5, 6, 7].iter().all(|order| orders.contains(order)), "{:?}", ended(&events));
    assert_eq!(statuses(&events), [AllDone, AllDone], "{first} and {second}");
    assert_eq!((held(&venue, owner), held(&venue, other)), ((0, 0), (0, 0)));
}

#[test]
fn a_list_ends_with_its_market() {
    let (venue, owner, _) = quiet(true);
    let before = (venue.free(owner, BTC), venue.free(owner, USDT));
    let work = WorkBudget { continued: 1, ..WorkBudget::RULES };
    let mut venue = venue.with_work(work);
    place(&mut venue, otoco(owner));
    let pair: Vec<_> = oco(owner).orders.into_iter().map(|terms| NewOrder { account: owner, terms }).collect();
    let mut pair = list(ListKind::Oco, pair);
    pair.client_order_id = name("pair");
    (pair.orders[0].client_order_id, pair.orders[1].client_order_id) = (name("x"), name("y"));
    place(&mut venue, pair);
    let events = venue.apply(Body::DelistMarket { symbol: BTCUSDT });
    let events = to_the_end(&mut venue, events);
    // The bid first, and with it what waits for it; then the offer, and the other one of its pair.
    let expected = [3, 4, 5, 7, 6].map(|order| (order, CloseReason::ByVenue));
    assert_eq!((ended(&events), statuses(&events)), (expected.to_vec(), vec![AllDone, AllDone]));
    assert_eq!(held(&venue, owner), (0, 0));
    assert_eq!((venue.free(owner, BTC), venue.free(owner, USDT)), before);
    assert!(venue.mirror.open_orders().is_empty());
}

#[test]
fn a_transfer_within_a_trade_group_counts_as_what_an_order_of_a_list_was_kept_from() {
    for kind in [ListKind::Oto, ListKind::Opo] {
        let (mut venue, owner, friend) = quiet(true);
        for account in [owner, friend] {
            let group = TradeGroupId::new_checked(7);
            venue.apply(Body::SetTradeGroup(SetTradeGroup { account, group }));
        }
        let transfers = SelfTradePrevention::Transfer;
        let size = if kind == ListKind::Opo { 0 } else { 10 };
        let orders = vec![buy(owner, 95, 10).named("working"), sell(owner, 110, size)];
        let orders = orders.into_iter().map(|order| order.preventing(transfers)).collect();
        let total = venue.free(owner, BTC) / LOT;
        place(&mut venue, list(kind, orders));
        let (_, events) = venue.place(sell(friend, 95, 4).preventing(transfers));
        assert_eq!((statuses(&events), trades(&events)), (vec![], vec![]));
        let held_base = if kind == ListKind::Opo { 4 } else { 10 };
        assert_eq!(held(&venue, owner).1, 6 * 95, "{kind:?}: what is left of the working order");
        assert!(
            held(&venue, owner).0 == held_base || held(&venue, owner).0 == 0,
            "{kind:?}: {:?}",
            held(&venue, owner)
        );
        assert_eq!((venue.free(owner, BTC) + venue.held(owner, BTC)) / LOT, total + 4);
        // The rest of it changes hands, too: nothing was filled, so nothing is placed.
        let (_, events) = venue.place(sell(friend, 95, 6).preventing(transfers));
        assert_eq!(ended(&events), [(3, SelfTradePrevented), (4, WorkingEnded), (6, SelfTradePrevented)]);
        assert_eq!((statuses(&events), held(&venue, owner)), (vec![AllDone], (0, 0)));
        assert_eq!(venue.free(owner, BTC) / LOT, total + 10);
    }
    // Of a pair the first transfer is as good as a fill: the other one ends.
    let (mut venue, owner, friend) = quiet(true);
    for account in [owner, friend] {
        venue.apply(Body::SetTradeGroup(SetTradeGroup { account, group: TradeGroupId::new_checked(7) }));
    }
    let mut pair = oco(owner);
    pair.orders.iter_mut().for_each(|order| order.self_trade_prevention = SelfTradePrevention::Transfer);
    place(&mut venue, pair);
    let (_, events) = venue.place(buy(friend, 110, 4).preventing(SelfTradePrevention::Transfer));
    assert_eq!((ended(&events)[0], statuses(&events)), ((3, OcoTrigger), vec![Executing]));
    assert_eq!(held(&venue, owner), (6, 0));
}
