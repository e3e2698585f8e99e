//! The life of single orders, and events that cannot be.

use crate::venue::{asset, cause, description, name};
use crossbook_protocol::event::{CloseReason, DepthChanged, OrderClosed, OrderPlaced, Party, Trade};
use crossbook_protocol::order::{OrderTerms, Size};
use crossbook_protocol::registry::{Account, ApiKey, Credential, Permissions};
use crossbook_protocol::{Cause, Event};
use crossbook_types::{
    AccountId, Amount, ApiKeyId, Market, MarketStatus, OrderId, OrderStatus, OrderType, Price, Quantity,
    SelfTradePrevention, Side, SymbolId, TimeInForce, TradeId,
};
use crossbook_views::{Limits, Order, Views};

const ANN: AccountId = AccountId(1001);
const BOB: AccountId = AccountId(1002);
const SYMBOL: SymbolId = SymbolId(0);

/// One market and two accounts, after command 1.
fn opened() -> Views {
    let mut views = Views::new(Limits::default());
    let account = |id| {
        Event::AccountOpened(Box::new(Account {
            id,
            label: String::new(),
            opened: cause(1, 0).time,
            trade_group: None,
        }))
    };
    let market = Market::new_checked(description(0)).unwrap();
    views.apply_all(
        cause(1, 0),
        &[
            Event::AssetListed(asset(0)),
            Event::AssetListed(asset(1)),
            Event::MarketListed(Box::new(market)),
            account(ANN),
            account(BOB),
        ],
    );
    views
}

fn placed(order: u64, account: AccountId, side: Side, size: Size, stop_price: Option<Price>) -> Event {
    Event::OrderPlaced(OrderPlaced {
        order: OrderId(order),
        account,
        terms: OrderTerms {
            symbol: SYMBOL,
            client_order_id: name(&format!("order-{order}")),
            side,
            order_type: if stop_price.is_some() { OrderType::StopLossLimit } else { OrderType::Limit },
            time_in_force: TimeInForce::Gtc,
            price: Some(Price(100)),
            size,
            stop_price: stop_price.into(),
            self_trade_prevention: SelfTradePrevention::None,
            instructions: None,
        },
    })
}

fn lots(quantity: u64) -> Size {
    Size::Base(Quantity(quantity))
}

/// Bob's sell order `maker` meets Ann's buy order `taker` at 100.
fn traded(trade: u64, taker: u64, maker: u64, quantity: u64) -> Event {
    Event::Traded(Trade {
        symbol: SYMBOL,
        trade: TradeId(trade),
        price: Price(100),
        quantity: Quantity(quantity),
        quote: Amount(i128::from(quantity) * 1_000),
        taker_side: Side::Buy,
        taker: Party { order: OrderId(taker), account: ANN, fee: Amount(2) },
        maker: Party { order: OrderId(maker), account: BOB, fee: Amount(1) },
        discount: None,
    })
}

fn closed(order: u64, account: AccountId, reason: CloseReason) -> Event {
    Event::OrderClosed(OrderClosed { symbol: SYMBOL, order: OrderId(order), account, reason })
}

fn depth(update: u64, side: Side, price: u64, quantity: u64) -> Event {
    let (price, quantity) = (Price(price), Quantity(quantity));
    Event::DepthChanged(DepthChanged { symbol: SYMBOL, side, price, quantity, update })
}

fn order(views: &Views, order: u64) -> &Order {
    views.market(SYMBOL).unwrap().order(OrderId(order)).unwrap()
}

#[test]
fn an_order_is_new_then_partly_filled_then_filled() {
    let mut views = opened();
    views.apply_all(cause(2, 1), &[placed(1, BOB, Side::Sell, lots(10), None), depth(1, Side::Sell, 100, 10)]);
    let resting = order(&views, 1);
    assert_eq!((resting.status, resting.is_working()), (OrderStatus::New, true));
    assert_eq!(resting.working_since.get(), Some(cause(2, 1).time));

    // Step by step, as a publisher of reports sees it.
    let at = cause(3, 2);
    views.apply(at, &placed(2, ANN, Side::Buy, lots(4), None));
    assert_eq!(order(&views, 2).status, OrderStatus::New);
    views.apply(at, &traded(1, 2, 1, 4));
    assert_eq!(order(&views, 2).status, OrderStatus::Filled);
    assert_eq!(order(&views, 1).status, OrderStatus::PartiallyFilled);
    assert_eq!((order(&views, 1).executed, order(&views, 1).executed_quote), (Quantity(4), Amount(4_000)));
    assert_eq!((order(&views, 1).remaining(), order(&views, 1).updated), (Quantity(6), at.time));
    views.apply(at, &closed(2, ANN, CloseReason::Filled));
    views.apply(at, &depth(2, Side::Sell, 100, 6));
    views.end_of_command(at);
    assert_eq!(order(&views, 2).status, OrderStatus::Filled);
    assert_eq!(views.open_orders(ANN).count(), 0);
    assert_eq!(views.open_orders(BOB).count(), 1);

    let reason = CloseReason::Canceled { cancel_id: name("enough") };
    views.apply_all(cause(4, 3), &[closed(1, BOB, reason), depth(3, Side::Sell, 100, 0)]);
    let gone = order(&views, 1);
    assert_eq!(
        (gone.status, gone.cancel_id, gone.executed),
        (OrderStatus::Canceled, Some(name("enough")), Quantity(4))
    );
    assert_eq!((gone.placed, gone.updated), (cause(2, 1).time, cause(4, 3).time));
    assert_eq!(views.market(SYMBOL).unwrap().depth().best_ask(), None);
    assert_eq!(views.position(), Some(cause(4, 3)));
}

#[test]
fn a_stop_order_works_once_triggered() {
    let mut views = opened();
    views.apply_all(cause(2, 1), &[placed(1, ANN, Side::Buy, lots(10), Some(Price(110)))]);
    assert_eq!((order(&views, 1).working_since.get(), order(&views, 1).is_working()), (None, false));
    assert!(order(&views, 1).status.is_open());
    let triggered = Event::OrderTriggered { symbol: SYMBOL, order: OrderId(1), account: ANN };
    views.apply_all(cause(3, 5), &[triggered, depth(1, Side::Buy, 100, 10)]);
    assert_eq!((order(&views, 1).working_since.get(), order(&views, 1).is_working()), (Some(cause(3, 5).time), true));
    views.apply_all(cause(4, 6), &[closed(1, ANN, CloseReason::SelfTradePrevented), depth(2, Side::Buy, 100, 0)]);
    assert_eq!((order(&views, 1).status, order(&views, 1).is_working()), (OrderStatus::ExpiredInMatch, false));
}

#[test]
fn an_order_by_quote_amount_is_filled_when_it_closes_so() {
    let mut views = opened();
    views.apply_all(cause(2, 1), &[placed(1, BOB, Side::Sell, lots(10), None)]);
    let at = cause(3, 2);
    views.apply(at, &placed(2, ANN, Side::Buy, Size::Quote(Amount(3_500)), None));
    views.apply(at, &traded(1, 2, 1, 3));
    let market_order = order(&views, 2);
    assert_eq!(market_order.status, OrderStatus::PartiallyFilled);
    assert_eq!((market_order.original_quantity(), market_order.original_quote()), (Quantity(3), Amount(3_500)));
    assert_eq!(market_order.remaining(), Quantity::ZERO);
    views.apply(at, &closed(2, ANN, CloseReason::Filled));
    assert_eq!(order(&views, 2).status, OrderStatus::Filled);
    views.apply_all(
        cause(4, 3),
        &[placed(3, ANN, Side::Buy, Size::Quote(Amount(5)), None), closed(3, ANN, CloseReason::Expired)],
    );
    assert_eq!(order(&views, 3).status, OrderStatus::Expired);
}

#[test]
fn names_and_keys_are_found_while_they_exist() {
    let mut views = opened();
    let key = |name: &str, account| ApiKey {
        key: ApiKeyId::new_checked(name).unwrap(),
        account,
        permissions: Permissions { read: true, trade: false },
        credential: Credential::Ed25519 { public: vec![7; 32] },
        allowed_ips: Vec::new(),
        issued: cause(2, 0).time,
    };
    let keys = [key("zebra", ANN), key("apple", ANN), key("mango", BOB)];
    views.apply_all(cause(2, 0), &keys.clone().map(|key| Event::ApiKeyIssued(Box::new(key))));
    let registry = views.registry();
    assert_eq!(registry.api_key("mango"), Some(&keys[2]));
    assert_eq!(registry.api_keys(ANN).collect::<Vec<_>>(), [&keys[1], &keys[0]]);
    assert_eq!(registry.api_key("no such key!"), None);
    assert_eq!(registry.market_named("BTCUSDT").map(|market| market.id), Some(SYMBOL));
    assert_eq!(registry.market_named("btcusdt"), None);
    assert_eq!(registry.asset_named("BTC"), Some(&asset(1)));
    assert_eq!(registry.accounts().map(|account| account.id).collect::<Vec<_>>(), [ANN, BOB]);
    assert_eq!(views.holdings(ANN).unwrap().updated(), cause(1, 0).time);

    let mut halted = description(0);
    halted.status = MarketStatus::Halt;
    let halted = Market::new_checked(halted).unwrap();
    let revoked = Event::ApiKeyRevoked { account: ANN, key: keys[0].key };
    views.apply_all(cause(3, 0), &[revoked, Event::MarketChanged(Box::new(halted))]);
    assert_eq!(views.registry().api_key("zebra"), None);
    assert_eq!(views.registry().api_keys(ANN).count(), 1);
    assert_eq!(views.registry().market(SYMBOL), Some(&halted));
    assert_eq!(views.market(SYMBOL).unwrap().market(), &halted);
}

/// Applies commands 2, 3, ... after [`opened`].
fn run(commands: &[&[Event]]) {
    let mut views = opened();
    for (sequence, events) in (2..).zip(commands) {
        views.apply_all(cause(sequence, sequence), events);
    }
}

#[test]
#[should_panic(expected = "traded more than it was for")]
fn an_order_cannot_trade_more_than_it_was_for() {
    let maker = placed(1, BOB, Side::Sell, lots(10), None);
    run(&[&[maker, placed(2, ANN, Side::Buy, lots(4), None), traded(1, 2, 1, 5)]]);
}

#[test]
#[should_panic(expected = "closes once")]
fn an_order_cannot_close_twice() {
    let end = || closed(1, BOB, CloseReason::Expired);
    run(&[&[placed(1, BOB, Side::Sell, lots(10), None), end()], &[end()]]);
}

#[test]
#[should_panic(expected = "closes as filled, but is not")]
fn an_order_cannot_be_filled_in_part() {
    run(&[&[placed(1, BOB, Side::Sell, lots(10), None), closed(1, BOB, CloseReason::Filled)]]);
}

#[test]
#[should_panic(expected = "depth updates of market 0 have a gap")]
fn depth_updates_have_no_gap() {
    run(&[&[depth(1, Side::Sell, 100, 10)], &[depth(3, Side::Sell, 100, 9)]]);
}

#[test]
#[should_panic(expected = "trades of market 0 have a gap")]
fn trades_have_no_gap() {
    let orders = [placed(1, BOB, Side::Sell, lots(10), None), placed(2, ANN, Side::Buy, lots(10), None)];
    run(&[&orders, &[traded(2, 2, 1, 5)]]);
}

#[test]
#[should_panic(expected = "crossed after a command")]
fn a_command_cannot_leave_a_crossed_book() {
    run(&[&[depth(1, Side::Sell, 100, 10), depth(2, Side::Buy, 100, 10)]]);
}

#[test]
#[should_panic(expected = "command 2 after 3")]
fn commands_come_in_order() {
    let mut views = opened();
    let later: Cause = cause(3, 3);
    views.end_of_command(later);
    views.end_of_command(cause(2, 3));
}
