use super::*;
use crate::streams::payload::tests::btcusdt;
use crossbook_gateway::account_events::{AccountEvents, Fill};
use crossbook_protocol::event::{CloseReason, OrderClosed, PreventedMatch};
use crossbook_protocol::order::{OrderTerms, Size};
use crossbook_types::{
    AccountId, AssetId, ClientOrderId, ExpiryReason, OptionalPrice, OptionalTimestamp, OrderId, OrderStatus, OrderType,
    PartitionId, PreventedMatchId, RejectReason, SelfTradePrevention, Sequence, SymbolId, TimeInForce, TradeId,
};
use serde_json::{Value, json};

struct OneMarket(Market);

impl Names for OneMarket {
    fn market(&self, _: SymbolId) -> Option<&Market> {
        Some(&self.0)
    }

    fn asset_of(&self, balance: &Balance) -> Option<&Asset> {
        [&self.0.base, &self.0.quote].into_iter().find(|asset| asset.id == balance.asset)
    }
}

fn name(text: &str) -> ClientOrderId {
    ClientOrderId::new_checked(text).unwrap()
}

fn order() -> Order {
    Order {
        order: OrderId(4),
        account: AccountId(1001),
        terms: OrderTerms {
            symbol: SymbolId(0),
            client_order_id: name("mine"),
            side: Side::Buy,
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::Gtc,
            price: Some(Price(5_000_000)),
            size: Size::Base(Quantity(10)),
            stop_price: OptionalPrice::NONE,
            self_trade_prevention: SelfTradePrevention::None,
            instructions: None,
        },
        status: OrderStatus::New,
        executed: Quantity::ZERO,
        executed_quote: Amount::ZERO,
        placed: Timestamp::from_millis(100),
        updated: Timestamp::from_millis(100),
        working_since: Timestamp::from_millis(100).into(),
        cancel_id: None,
        expiry: None,
        prevention: None,
        progress: None,
    }
}

fn written(order: Order, step: Step) -> Value {
    let report = Report { order, step, time: Timestamp::from_millis(200), execution: 77 };
    let text =
        write(&AccountEvent::Execution(Box::new(report)), TimeUnit::Milliseconds, &OneMarket(btcusdt())).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn a_new_order() {
    assert_eq!(
        written(order(), Step::New),
        json!({
            "e": "executionReport", "E": 200, "s": "BTCUSDT", "c": "mine", "S": "BUY", "o": "LIMIT", "f": "GTC",
            "q": "0.00010000", "p": "50000.00000000", "P": "0.00000000", "F": "0.00000000", "g": -1, "C": "",
            "x": "NEW", "X": "NEW", "r": "NONE", "i": 4, "l": "0.00000000", "z": "0.00000000", "L": "0.00000000",
            "n": "0", "N": null, "T": 200, "t": -1, "I": 77, "w": true, "m": false, "M": false, "O": 100,
            "Z": "0.00000000", "Y": "0.00000000", "Q": "0.00000000", "W": 100, "V": "NONE"
        })
    );
}

#[test]
fn a_trade_names_its_fee_in_the_asset_received() {
    let traded = Order {
        status: OrderStatus::PartiallyFilled,
        executed: Quantity(4),
        executed_quote: Amount(200_000_000),
        ..order()
    };
    let fill = Fill {
        trade: TradeId(9),
        price: Price(5_000_000),
        quantity: Quantity(4),
        quote: Amount(200_000_000),
        fee: Amount(4),
        fee_asset: None,
        maker: true,
    };
    let buy = written(traded.clone(), Step::Trade(fill));
    for (field, expected) in [
        ("x", json!("TRADE")),
        ("X", json!("PARTIALLY_FILLED")),
        ("l", json!("0.00004000")),
        ("z", json!("0.00004000")),
        ("L", json!("50000.00000000")),
        ("n", json!("0.00000004")),
        ("N", json!("BTC")),
        ("t", json!(9)),
        ("w", json!(true)),
        ("m", json!(true)),
        ("Y", json!("2.00000000")),
        ("Z", json!("2.00000000")),
    ] {
        assert_eq!(buy[field], expected, "{field}");
    }
    let sell = written(Order { terms: OrderTerms { side: Side::Sell, ..traded.terms }, ..traded }, Step::Trade(fill));
    assert_eq!(sell["N"], json!("USDT"));
}

#[test]
fn a_cancel_goes_under_its_own_name() {
    let canceled = written(Order { status: OrderStatus::Canceled, ..order() }, Step::Canceled(name("stop")));
    assert_eq!((&canceled["c"], &canceled["C"]), (&json!("stop"), &json!("mine")));
    assert_eq!(
        (&canceled["x"], &canceled["X"], &canceled["w"]),
        (&json!("CANCELED"), &json!("CANCELED"), &json!(false))
    );
}

#[test]
fn ends_of_other_kinds_say_why() {
    let ioc = Order {
        terms: OrderTerms { time_in_force: TimeInForce::Ioc, ..order().terms },
        status: OrderStatus::Expired,
        expiry: Some(ExpiryReason::UnfilledIoc),
        ..order()
    };
    assert_eq!(written(ioc, Step::Expired)["eR"], json!("UNFILLED_IOC_QUANTITY_EXPIRED"));
    let waiting = Order {
        terms: OrderTerms {
            order_type: OrderType::StopLossLimit,
            stop_price: Some(Price(4_900_000)).into(),
            ..order().terms
        },
        working_since: OptionalTimestamp::NONE,
        ..order()
    };
    let waiting = written(waiting, Step::New);
    assert_eq!((&waiting["w"], &waiting["P"], waiting.get("W")), (&json!(false), &json!("49000.00000000"), None));
}

#[test]
fn an_order_that_cannot_rest_is_not_on_the_book() {
    let at_market =
        Order { terms: OrderTerms { order_type: OrderType::Market, price: None, ..order().terms }, ..order() };
    let ioc = Order { terms: OrderTerms { time_in_force: TimeInForce::Ioc, ..order().terms }, ..order() };
    let fok = Order { terms: OrderTerms { time_in_force: TimeInForce::Fok, ..order().terms }, ..order() };
    let stop = Order {
        terms: OrderTerms {
            order_type: OrderType::StopLoss,
            price: None,
            stop_price: Some(Price(1)).into(),
            ..order().terms
        },
        ..order()
    };
    for order in [at_market, ioc, fok, stop] {
        let kind = (order.terms.order_type, order.terms.time_in_force);
        assert_eq!(written(order, Step::New)["w"], json!(false), "{kind:?}");
    }
}

#[test]
fn a_prevented_match_has_its_fields() {
    let prevented = PreventedMatch {
        symbol: SymbolId(0),
        id: PreventedMatchId::FIRST,
        account: AccountId(1001),
        taker_side: Side::Sell,
        taker: OrderId(5),
        maker: OrderId(4),
        mode: SelfTradePrevention::ExpireBoth,
        price: Price(5_000_000),
        quantity: Quantity(10),
        quote: Amount(500_000_000),
        taker_prevented: Quantity(30),
        maker_prevented: Quantity(10),
        counterparty: None,
        group: None,
    };
    let closed = |order| OrderClosed {
        symbol: SymbolId(0),
        order: OrderId(order),
        account: AccountId(1001),
        reason: CloseReason::SelfTradePrevented,
    };
    let ended = |id, prevented: u64| Order {
        order: OrderId(id),
        status: OrderStatus::ExpiredInMatch,
        prevention: Some(Box::new(crossbook_views::Prevention {
            quantity: Quantity(prevented),
            id: PreventedMatchId::FIRST,
        })),
        ..order()
    };
    let maker = written(ended(4, 10), Step::of_close(&closed(4), Some(&prevented)).unwrap());
    let expected = json!({
        "x": "TRADE_PREVENTION", "X": "EXPIRED_IN_MATCH", "r": "NONE", "l": "0.00000000", "t": -1, "w": false,
        "v": 1, "A": "0.00010000", "B": "0.00010000", "u": -1, "U": 5, "Cs": "BTCUSDT",
        "pl": "0.00010000", "pL": "50000.00000000", "pY": "5.00000000",
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&maker[field], value, "{field}");
    }
    let taker = written(ended(5, 30), Step::of_close(&closed(5), Some(&prevented)).unwrap());
    assert_eq!((&taker["A"], &taker["B"], &taker["U"]), (&json!("0.00030000"), &json!("0.00030000"), &json!(4)));
    let other = Step::of_close(&closed(6), Some(&prevented)).unwrap();
    assert_eq!(other, Step::Prevented(None), "an order that has no part in it");
}

#[test]
fn a_refused_order_says_why_and_has_no_number() {
    let refused =
        Order { order: OrderId(0), status: OrderStatus::Rejected, working_since: OptionalTimestamp::NONE, ..order() };
    let report = written(refused, Step::Refused(RejectReason::WouldMatch));
    let expected = json!({
        "x": "REJECTED", "X": "REJECTED", "r": "WOULD_MATCH_IMMEDIATELY", "i": 0, "c": "mine", "w": false,
        "q": "0.00010000", "z": "0.00000000",
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&report[field], value, "{field}");
    }
    assert_eq!(report.get("W"), None);
}

#[test]
fn no_two_reports_of_a_large_command_have_the_same_number() {
    let mut notes = AccountEvents::default();
    let time = Timestamp::from_millis(200);
    let mut events = Vec::new();
    for command in [3, 4] {
        for _ in 0..70_000 {
            notes.report((Sequence(command), PartitionId(1), 3), time, order(), Step::New);
        }
        notes.finish(time, &mut events);
    }
    let number = |event: &AccountEvent| match event {
        AccountEvent::Execution(report) => report.execution,
        other => panic!("{other:?}"),
    };
    let numbers: Vec<u64> = events.iter().map(|(_, event)| number(event)).collect();
    assert_eq!(numbers.len(), 140_000);
    assert!(numbers.is_sorted_by(|a, b| a < b), "each is new");
    assert!(numbers.iter().all(|number| number % 3 == 1), "no other partition has it");
}

/// At 10,000 commands a second 2^42 take 13 years.
#[test]
fn numbers_of_reports_stay_within_what_a_float_holds_for_years() {
    let mut notes = AccountEvents::default();
    let mut events = Vec::new();
    notes.report((Sequence(1 << 42), PartitionId(0), 1), Timestamp(1), order(), Step::New);
    notes.finish(Timestamp(1), &mut events);
    let AccountEvent::Execution(report) = &events[0].1 else { panic!("a report") };
    assert!(report.execution < 1 << 53, "{}", report.execution);
}

#[test]
fn balances_of_a_command_come_once_and_after_its_orders() {
    let mut notes = AccountEvents::default();
    let time = Timestamp::from_millis(200);
    let balance = |asset, free| Balance { asset: AssetId(asset), free: Amount(free), held: Amount(1) };
    notes.balance(AccountId(1001), balance(0, 5));
    let place = (Sequence(3), PartitionId(0), 1);
    notes.report(place, time, order(), Step::New);
    notes.report(place, time, order(), Step::Expired);
    notes.balance(AccountId(1001), balance(1, 6));
    let mut events = Vec::new();
    notes.finish(time, &mut events);
    assert_eq!(events.len(), 3);
    let numbers = events.iter().filter_map(|(_, event)| match event {
        AccountEvent::Execution(report) => Some(report.execution),
        _ => None,
    });
    assert!(numbers.eq([3 << 10, (3 << 10) + 1]));
    let text = write(&events[2].1, TimeUnit::Milliseconds, &OneMarket(btcusdt())).unwrap();
    assert_eq!(
        text,
        concat!(
            r#"{"e":"outboundAccountPosition","E":200,"u":200,"B":[{"a":"BTC","f":"0.00000005","l":"0.00000001"},"#,
            r#"{"a":"USDT","f":"0.00000006","l":"0.00000001"}]}"#
        )
    );
    events.clear();
    notes.finish(time, &mut events);
    assert!(events.is_empty());
}

#[test]
fn transfers() {
    let market = btcusdt();
    let event = AccountEvent::Transfer { time: Timestamp::from_millis(5), asset: market.quote, amount: Amount(-150) };
    assert_eq!(
        write(&event, TimeUnit::Milliseconds, &OneMarket(market)).unwrap(),
        r#"{"e":"balanceUpdate","E":5,"a":"USDT","d":"-0.00000150","T":5}"#
    );
}
