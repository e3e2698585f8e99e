//! Amended orders: their place in the queue, their funds, and what is refused.

use crossbook_protocol::command::Body;
use crossbook_protocol::event::{CloseReason, OrderAmended};
use crossbook_protocol::order::{AmendOrder, NewOrder, Size, Target};
use crossbook_protocol::{Answer, Event, Refusal, Rules};
use crossbook_types::{
    AccountId, Filter, Filters, MarketStatus, OrderId, OrderType, Price, Quantity, SelfTradePrevention, Side,
};

use crate::kit::*;

fn venue() -> Venue {
    venue_with(open_filters())
}

fn venue_with(filters: Filters) -> Venue {
    let mut venue = Venue::with(filters, fees("0.001", "0.002"));
    venue.apply(Body::ActivateRules(Rules::V4));
    venue
}

/// Asks for `lots` of an order that was placed for `placed`.
fn amend_as(
    venue: &mut Venue,
    account: AccountId,
    order: OrderId,
    [placed, lots]: [u64; 2],
    named: &str,
) -> Result<Vec<Event>, Refusal> {
    let request = AmendOrder {
        account,
        symbol: BTCUSDT,
        target: Target::Order(order),
        quantity: Quantity(lots),
        placed: Quantity(placed),
        client_order_id: name(named),
    };
    let events = venue.apply(Body::Amend(request));
    match answer(&events) {
        Answer::Amended { symbol: BTCUSDT, order: amended } if *amended == order => Ok(events),
        Answer::Refused(refusal) => {
            assert_eq!(events.len(), 1, "a refusal changes nothing: {events:?}");
            Err(*refusal)
        }
        other => panic!("{other:?}"),
    }
}

fn amend(venue: &mut Venue, account: AccountId, order: OrderId, sizes: [u64; 2]) -> Result<Vec<Event>, Refusal> {
    amend_as(venue, account, order, sizes, "amended")
}

fn amended(events: &[Event]) -> OrderAmended {
    let told = |event: &Event| if let Event::OrderAmended(amended) = event { Some(*amended) } else { None };
    events.iter().find_map(told).expect("an amendment is told")
}

fn makers(events: &[Event]) -> Vec<(OrderId, u64)> {
    let maker = |event: &Event| match event {
        Event::Traded(trade) => Some((trade.maker.order, trade.quantity.0)),
        _ => None,
    };
    events.iter().filter_map(maker).collect()
}

/// The proof of priority: of three orders at one price the middle one is amended, again and again and after a part of
/// it has traded, and the orders are filled in the order in which they were placed.
#[test]
fn fills_show_that_an_amended_order_keeps_its_place() {
    let mut venue = venue();
    let accounts = [venue.rich(), venue.rich(), venue.rich()];
    let taker = venue.rich();
    let [first, middle, last] = accounts.map(|account| venue.rest(sell(account, 100, 10)));
    amend(&mut venue, accounts[1], middle, [10, 8]).unwrap();
    amend(&mut venue, accounts[1], middle, [10, 7]).unwrap();
    venue.restart();
    let (_, events) = venue.place(buy(taker, 100, 12));
    assert_eq!(makers(&events), [(first, 10), (middle, 2)]);
    // Two of the seven have traded.
    amend(&mut venue, accounts[1], middle, [10, 5]).unwrap();
    assert_eq!(venue.depth(Side::Sell), [(100, 13)]);
    let (_, events) = venue.place(buy(taker, 100, 13));
    assert_eq!(makers(&events), [(middle, 3), (last, 10)]);
    assert_eq!(closed(&events)[0], (middle, CloseReason::Filled));
    // One that is cancelled and placed again goes to the end.
    let [first, middle, last] = accounts.map(|account| venue.rest(sell(account, 100, 10)));
    venue.cancel(accounts[1], Target::Order(middle)).unwrap();
    let again = venue.rest(sell(accounts[1], 100, 7));
    let (_, events) = venue.place(buy(taker, 100, 27));
    assert_eq!(makers(&events), [(first, 10), (last, 10), (again, 7)]);
}

#[test]
fn what_an_order_needs_no_more_is_free() {
    let mut venue = venue();
    let trader = venue.trader(20, 3_000);
    let bid = venue.rest(buy(trader, 100, 10));
    let ask = venue.rest(sell(trader, 200, 10));
    let events = amend(&mut venue, trader, bid, [10, 4]).unwrap();
    let told = amended(&events);
    assert_eq!((told.count, told.quantity_before, told.quantity), (1, Quantity(10), Quantity(4)));
    assert_eq!((told.client_order_id_before, told.client_order_id), (name("o1"), name("amended")));
    assert_eq!(venue.held(trader, USDT), 400 * TICK_LOT);
    amend_as(&mut venue, trader, ask, [10, 1], "o2").unwrap();
    assert_eq!((venue.free(trader, BTC), venue.held(trader, BTC)), (19 * LOT, LOT));
    // A buy that waits to run at market has a margin in its hold, which is rounded down as a whole.
    venue.trade_at(150);
    let waiting = venue.rest(stop(trader, Side::Buy, OrderType::StopLoss, 151, 9));
    assert_eq!(venue.held(trader, USDT), (400 + 1_359) * TICK_LOT + 1_359);
    amend_as(&mut venue, trader, waiting, [9, 7], "w").unwrap();
    assert_eq!(venue.held(trader, USDT), (400 + 1_057) * TICK_LOT + 1_057);
    venue.restart();
    for target in [Target::Order(bid), Target::Client(name("o2")), Target::Client(name("w"))] {
        venue.cancel(trader, target).unwrap();
    }
    assert_eq!((venue.held(trader, USDT), venue.held(trader, BTC)), (0, 0));
}

#[test]
fn an_order_that_is_amended_to_what_has_traded_ends() {
    for lots in [3, 2] {
        let mut venue = venue();
        let (maker, taker) = (venue.rich(), venue.rich());
        let order = venue.rest(buy(maker, 100, 10));
        venue.place(sell(taker, 100, 3));
        let events = amend(&mut venue, maker, order, [10, lots]).unwrap();
        assert_eq!(closed(&events), [(order, CloseReason::Amended)]);
        assert_eq!((venue.held(maker, USDT), venue.depth(Side::Buy)), (0, vec![]));
        assert_eq!(amend(&mut venue, maker, order, [10, 1]), Err(Refusal::UnknownOrder));
    }
}

#[test]
fn what_cannot_be_amended_is_refused() {
    let filters = Filters { amends_max: 2, quantity_min: Quantity(2), ..open_filters() };
    let mut venue = venue_with(filters);
    let (trader, other) = (venue.rich(), venue.rich());
    let order = venue.rest(buy(trader, 100, 10).named("mine"));
    venue.rest(buy(trader, 99, 10).named("taken"));
    let refused = |venue: &mut Venue, account, sizes, named| amend_as(venue, account, order, sizes, named).unwrap_err();
    assert_eq!(refused(&mut venue, other, [10, 5], "x"), Refusal::UnknownOrder);
    assert_eq!(refused(&mut venue, trader, [10, 11], "x"), Refusal::AmendIncrease);
    assert_eq!(refused(&mut venue, trader, [10, 10], "x"), Refusal::AmendNothing);
    assert_eq!(refused(&mut venue, trader, [9, 5], "x"), Refusal::MalformedOrder, "more is left than it was for");
    assert_eq!(refused(&mut venue, trader, [10, 1], "x"), Refusal::Filter(Filter::LotSize));
    assert_eq!(refused(&mut venue, trader, [10, 5], "taken"), Refusal::DuplicateClientOrderId);
    let notional = Filters { notional_min: crossbook_types::Amount(600 * TICK_LOT), ..filters };
    venue.change(Some(notional), None, None);
    assert_eq!(refused(&mut venue, trader, [10, 5], "x"), Refusal::Filter(Filter::Notional));
    venue.change(Some(filters), None, Some(MarketStatus::Halt));
    assert_eq!(refused(&mut venue, trader, [10, 5], "x"), Refusal::MarketClosed(MarketStatus::Halt));
    venue.change(None, None, Some(MarketStatus::CancelOnly));
    amend_as(&mut venue, trader, order, [10, 8], "mine").unwrap();
    venue.change(None, None, Some(MarketStatus::Trading));
    // From now on the market knows what it is for, whatever it is told.
    amend_as(&mut venue, trader, order, [3, 7], "mine").unwrap();
    venue.restart();
    assert_eq!(refused(&mut venue, trader, [10, 6], "mine"), Refusal::Filter(Filter::MaxAmends));
    venue.change(Some(Filters { amends_max: 0, ..filters }), None, None);
    assert_eq!(refused(&mut venue, trader, [10, 6], "mine"), Refusal::AmendNotAllowed);
}

#[test]
fn older_rules_know_no_amendments() {
    let mut venue = Venue::new();
    let trader = venue.rich();
    let order = venue.rest(buy(trader, 100, 10));
    for rules in [None, Some(Rules::V1), Some(Rules::V3)] {
        venue.rules = rules;
        assert_eq!(amend(&mut venue, trader, order, [10, 5]), Err(Refusal::RulesTooOld));
    }
}

/// What self-trade prevention has taken from an order is part of its quantity.
#[test]
fn an_amended_order_meets_others_of_its_account_as_before() {
    let mut venue = venue();
    let trader = venue.rich();
    let order = venue.rest(sell(trader, 100, 10));
    amend(&mut venue, trader, order, [10, 4]).unwrap();
    let taker = buy(trader, 100, 6).preventing(SelfTradePrevention::ExpireMaker);
    let (_, events) = venue.place(taker);
    assert_eq!(closed(&events), [(order, CloseReason::SelfTradePrevented)]);
    let fill_or_kill: NewOrder = buy(trader, 100, 6);
    assert_eq!(fill_or_kill.terms.size, Size::Base(Quantity(6)));
    assert_eq!(venue.depth(Side::Buy), [(Price(100).0, 6)]);
}
