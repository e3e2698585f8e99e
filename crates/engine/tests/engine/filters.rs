//! Filters that look beyond the order: at the average price, at what the account has, and at its orders in all markets.

use crate::kit::*;
use crossbook_protocol::command::{Body, ChangeMarket};
use crossbook_protocol::order::{AmendOrder, Instructions, ReplaceOrder, Size, Target};
use crossbook_protocol::{Answer, Event, Refusal, Rules};
use crossbook_types::{
    AccountId, Amount, Band, ExchangeFilters, Filter, Filters, NotionalFilter, OrderType, Quantity, RelativeFilters,
    Side, TimeInForce,
};

const MINUTE: u64 = 60_000_000;

fn filters(relative: RelativeFilters) -> Filters {
    Filters { relative, ..open_filters() }
}

/// A venue with the newest rules, whose first market has these filters.
fn venue_with(filters: Filters) -> Venue {
    let mut venue = Venue::new();
    venue.apply(Body::ActivateRules(Rules::NEWEST));
    venue.change(Some(filters), None, None);
    venue
}

fn refusal(filter: Filter) -> Refusal {
    Refusal::Filter(filter)
}

/// Lets two traders trade so much.
fn trade(venue: &mut Venue, price: u64, quantity: u64) {
    let (maker, taker) = (venue.rich(), venue.rich());
    venue.rest(sell(maker, price, quantity));
    let (_, events) = venue.place(buy(taker, price, quantity));
    assert_eq!(trades(&events), [(price, quantity)]);
}

#[test]
fn bands_are_around_the_average_of_the_last_minutes() {
    let bands = RelativeFilters {
        percent_price: Band { up_percent: 150, down_percent: 60 },
        sell_band: Some(Band { up_percent: 120, down_percent: 0 }),
        average_minutes: 5,
        ..RelativeFilters::default()
    };
    let mut venue = venue_with(Filters { band_up_percent: 110, band_down_percent: 50, ..filters(bands) });
    let a = venue.rich();
    // Without a trade every price is allowed.
    let far = venue.rest(buy(a, 1, 1));
    venue.cancel(a, Target::Order(far)).unwrap();
    trade(&mut venue, 100, 3);
    venue.start += 2 * MINUTE;
    trade(&mut venue, 104, 1);
    // The average is 101.
    assert_eq!(venue.refused(buy(a, 112, 1)), refusal(Filter::PercentPrice));
    venue.rest(buy(a, 103, 1));
    assert_eq!(venue.refused(sell(a, 122, 1)), refusal(Filter::PercentPrice));
    venue.rest(sell(a, 121, 1));
    // The band of both sides is the narrower one here.
    assert_eq!(venue.refused(buy(a, 60, 1)), refusal(Filter::PercentPriceOfBoth));
    venue.rest(buy(a, 61, 1));
    venue.restart();
    assert_eq!(venue.refused(buy(a, 60, 1)), refusal(Filter::PercentPriceOfBoth));
    // Three minutes later only the second trade counts, and when that is too old, too, the last price does.
    venue.start += 3 * MINUTE;
    assert_eq!(venue.refused(sell(a, 125, 1)), refusal(Filter::PercentPrice));
    venue.rest(sell(a, 124, 1));
    venue.start += 30 * MINUTE;
    assert_eq!(venue.refused(sell(a, 125, 1)), refusal(Filter::PercentPrice));
    venue.rest(sell(a, 124, 1));
}

#[test]
fn a_market_order_is_worth_what_the_average_price_says() {
    let relative = RelativeFilters { average_minutes: 1, ..RelativeFilters::default() };
    let worth_at_least = |relative| Filters { notional_min: Amount(1_000 * TICK_LOT), ..filters(relative) };
    let mut venue = venue_with(worth_at_least(relative));
    let (a, b) = (venue.rich(), venue.rich());
    venue.rest(sell(b, 200, 100));
    // Nothing has traded, so nothing says that it is worth enough.
    assert_eq!(venue.refused(market(a, Side::Buy, lots(50))), refusal(Filter::Notional));
    trade(&mut venue, 100, 30);
    trade(&mut venue, 200, 10);
    // At 125 it takes 8.
    assert_eq!(venue.refused(market(a, Side::Buy, lots(7))), refusal(Filter::Notional));
    venue.place(market(a, Side::Buy, lots(8)));
    // A minimum that market orders do not know.
    venue.change(Some(worth_at_least(RelativeFilters { market_below_min: true, ..relative })), None, None);
    venue.place(market(a, Side::Buy, lots(1)));
    assert_eq!(venue.refused(buy(a, 99, 10)), refusal(Filter::Notional));
}

#[test]
fn a_market_chooses_how_it_bounds_the_worth_of_orders() {
    let bounds = |notional, market_max| Filters {
        notional_min: Amount(500 * TICK_LOT),
        notional_max: Amount(5_000 * TICK_LOT),
        ..filters(RelativeFilters { notional, market_max, ..RelativeFilters::default() })
    };
    let mut venue = venue_with(bounds(NotionalFilter::Both, true));
    let (a, b) = (venue.rich(), venue.rich());
    assert_eq!(venue.refused(buy(a, 100, 4)), refusal(Filter::Notional));
    assert_eq!(venue.refused(buy(a, 100, 51)), refusal(Filter::Notional));
    trade(&mut venue, 100, 10);
    venue.rest(sell(b, 100, 50));
    assert_eq!(venue.refused(market(a, Side::Buy, lots(51))), refusal(Filter::Notional));
    assert_eq!(venue.refused(market(a, Side::Buy, worth(5_001))), refusal(Filter::Notional));
    venue.change(Some(bounds(NotionalFilter::Least, false)), None, None);
    assert_eq!(venue.refused(buy(a, 100, 4)), refusal(Filter::MinNotional));
    assert_eq!(venue.refused(market(a, Side::Buy, lots(4))), refusal(Filter::MinNotional));
    venue.rest(buy(a, 90, 1_000));
    venue.change(Some(bounds(NotionalFilter::Off, false)), None, None);
    venue.rest(buy(a, 90, 1));
    assert_eq!(venue.refused(market(a, Side::Buy, Size::Quote(Amount::ZERO))), refusal(Filter::Notional));
}

fn position(lots: i128) -> Filters {
    filters(RelativeFilters { position_max: Amount(lots * LOT), ..RelativeFilters::default() })
}

#[test]
fn an_account_comes_to_have_no_more_than_it_may() {
    let mut venue = venue_with(position(20));
    let (a, b) = (venue.trader(10, 100_000), venue.rich());
    let max = refusal(Filter::MaxPosition);
    assert_eq!(venue.refused(buy(a, 100, 11)), max);
    let first = venue.rest(buy(a, 100, 6));
    assert_eq!(venue.refused(buy(a, 100, 5)), max);
    venue.rest(stop(a, Side::Buy, OrderType::StopLoss, 200, 4));
    assert_eq!(venue.refused(market(a, Side::Buy, worth(100))), max, "nothing more may be bought");
    venue.rest(sell(a, 150, 10));
    // What has come in is no longer to come: 4 lots less their fee.
    venue.place(sell(b, 100, 4));
    assert_eq!(venue.refused(buy(a, 100, 1)), max);
    venue.restart();
    assert_eq!(venue.refused(buy(a, 100, 1)), max);
    // An order that ends, or is for less, makes room.
    venue.cancel(a, Target::Order(first)).unwrap();
    let second = venue.rest(buy(a, 100, 2));
    let amend = AmendOrder {
        account: a,
        symbol: BTCUSDT,
        target: Target::Order(second),
        quantity: Quantity(1),
        placed: Quantity(2),
        client_order_id: name("less"),
    };
    assert!(matches!(answer(&venue.apply(Body::Amend(amend))), Answer::Amended { .. }));
    venue.rest(buy(a, 100, 1));
    assert_eq!(venue.refused(buy(a, 100, 1)), max);
    // Others, and sellers, are not bound; nor is anybody once the filter is off.
    venue.rest(sell(b, 150, 1_000));
    venue.change(Some(open_filters()), None, None);
    venue.rest(buy(a, 100, 100));
}

#[test]
fn a_market_order_that_buys_up_to_the_position_may() {
    let mut venue = venue_with(position(20));
    let (a, b) = (venue.trader(10, 100_000), venue.rich());
    let other = venue.trader(0, 1_000);
    venue.rest(sell(b, 100, 50));
    venue.place(buy(other, 100, 1));
    assert_eq!(venue.refused(market(a, Side::Buy, lots(11))), refusal(Filter::MaxPosition));
    venue.place(market(a, Side::Buy, lots(9)));
    // An order for a quote amount does not say how much it buys.
    let (_, events) = venue.place(market(a, Side::Buy, worth(100)));
    assert_eq!(trades(&events), [(100, 1)]);
    // It is refused when nothing more may be bought at all.
    venue.transfer(a, BTC, 10 * LOT, "more").unwrap();
    assert_eq!(venue.refused(market(a, Side::Buy, worth(100))), refusal(Filter::MaxPosition));
}

fn set(venue: &mut Venue, filters: ExchangeFilters) {
    let events = venue.apply(Body::SetExchangeFilters(filters));
    assert_eq!(events[0], Event::ExchangeFiltersChanged(filters));
    assert_eq!(*answer(&events), Answer::ExchangeFiltersSet);
}

fn elsewhere(account: AccountId) -> crossbook_protocol::order::NewOrder {
    limit(account, Side::Buy, 1, 1).with(|terms| terms.symbol = ETHBTC)
}

#[test]
fn an_account_has_no_more_orders_in_all_markets_than_it_may() {
    let mut venue = venue_with(open_filters());
    let (a, b) = (venue.rich(), venue.rich());
    venue.rest(buy(a, 100, 1));
    set(
        &mut venue,
        ExchangeFilters { orders_max: 4, algo_orders_max: 1, iceberg_orders_max: 1, ..ExchangeFilters::default() },
    );
    let first = venue.rest(buy(a, 100, 1));
    let waiting = venue.rest(stop(a, Side::Buy, OrderType::StopLoss, 200, 1));
    let algo = refusal(Filter::ExchangeMaxAlgoOrders);
    assert_eq!(venue.refused(stop(a, Side::Buy, OrderType::TakeProfit, 50, 1)), algo);
    venue.rest(elsewhere(a));
    let all = refusal(Filter::ExchangeMaxOrders);
    assert_eq!((venue.refused(buy(a, 100, 1)), venue.refused(elsewhere(a))), (all, all));
    venue.restart();
    assert_eq!(venue.refused(sell(a, 300, 1)), all);
    venue.rest(buy(b, 100, 1));
    // One that is refused by its market, or trades at once, does not count for longer.
    venue.cancel(a, Target::Order(waiting)).unwrap();
    for _ in 0..5 {
        let (_, events) = venue.place(sell(a, 100, 1).within(TimeInForce::Ioc));
        assert_eq!(closed(&events).len(), if trades(&events).is_empty() { 1 } else { 2 });
        let maker_only = sell(a, 1, 1).maker_only();
        if venue.depth(Side::Buy).is_empty() {
            break;
        }
        assert_eq!(venue.refused(maker_only), Refusal::WouldTake);
    }
    assert!(venue.mirror.order(BTCUSDT, first).is_none());
    let iceberg = |lots| {
        let instructions = Instructions { iceberg: Some(Quantity(1)), ..Instructions::default() };
        sell(a, 300, lots).with(|terms| terms.instructions = instructions.boxed())
    };
    venue.rest(iceberg(3));
    assert_eq!(venue.refused(iceberg(3)), refusal(Filter::ExchangeMaxIcebergOrders));
    set(&mut venue, ExchangeFilters::default());
    venue.rest(iceberg(3));
}

#[test]
fn an_order_that_is_to_be_replaced_still_counts_for_the_venue() {
    let mut venue = venue_with(open_filters());
    let trader = venue.rich();
    set(&mut venue, ExchangeFilters { orders_max: 1, ..ExchangeFilters::default() });
    let old = venue.rest(buy(trader, 100, 1));
    let request = ReplaceOrder {
        order: buy(trader, 101, 1).named("new"),
        target: Target::Order(old),
        cancel_id: name("gone"),
        restriction: None,
        allow_failure: true,
    };
    let mut replace = || answer(&venue.apply(Body::Replace(Box::new(request.clone())))).clone();
    assert_eq!(replace(), Answer::Refused(refusal(Filter::ExchangeMaxOrders)));
    assert_eq!(replace(), Answer::Refused(refusal(Filter::ExchangeMaxOrders)));
    assert_eq!(venue.depth(Side::Buy), [(100, 1)]);
}

#[test]
fn older_rules_know_no_such_filters() {
    let mut venue = Venue::new();
    let too_old = Answer::Refused(Refusal::RulesTooOld);
    let orders = ExchangeFilters { orders_max: 1, ..ExchangeFilters::default() };
    assert_eq!(*answer(&venue.apply(Body::SetExchangeFilters(orders))), too_old);
    let change =
        ChangeMarket { symbol: BTCUSDT, filters: Some(position(1)), fees: None, status: None, self_trade: None };
    assert_eq!(*answer(&venue.apply(Body::ChangeMarket(Box::new(change)))), too_old);
}
