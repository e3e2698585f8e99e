//! What version 4 added, other than order lists, filters, fees and sessions.

use super::*;

pub(super) fn amendment() -> AmendOrder {
    let name = |text| ClientOrderId::new_checked(text).unwrap();
    AmendOrder {
        account: AccountId(1001),
        symbol: SymbolId(2),
        target: Target::Both(OrderId(300), name("a")),
        quantity: Quantity(70),
        placed: Quantity(71),
        client_order_id: name("b"),
    }
}

pub(super) fn countdown() -> Countdown {
    Countdown { account: AccountId(1001), scope: CountdownScope::Session(300), until: Timestamp(301) }
}

pub(super) fn replacement() -> ReplaceOrder {
    let Body::Place(order) = order("ab", 4) else { unreachable!() };
    ReplaceOrder {
        order,
        target: Target::Order(OrderId(300)),
        cancel_id: ClientOrderId::new_checked("c").unwrap(),
        restriction: Some(CancelRestriction::OnlyNew),
        allow_failure: true,
    }
}

/// What version 4 added.
pub(super) fn commands_since_4() -> Vec<Body> {
    let sum = Owned { account: AccountId::EXTERNAL, asset: AssetId(1), amount: Amount(67) };
    vec![
        Body::ActivateRules(Rules::V3),
        Body::Peer(PeerMessage::Registry(Change::Rules(Rules::V3))),
        Body::Import(Box::new(Piece::Forgotten(vec![sum]))),
        Body::SetCountdown(SetCountdown {
            account: AccountId(1001),
            scope: CountdownScope::Symbol(SymbolId(2)),
            after_millis: Some(1_000),
        }),
        Body::SetCountdown(SetCountdown {
            account: AccountId(1001),
            scope: CountdownScope::Account,
            after_millis: None,
        }),
        Body::EndCountdown(countdown()),
        Body::Peer(PeerMessage::CancelOrders { account: AccountId(1001), symbol: Some(SymbolId(2)) }),
        Body::Import(Box::new(Piece::Countdowns(vec![countdown()]))),
        Body::Import(Box::new(Piece::BeginUnder { export: [7; 32], pieces: 300, rules: Rules::V4 })),
        Body::Amend(amendment()),
        Body::Peer(PeerMessage::Amend {
            request: amendment(),
            origin: Origin { source: GATEWAY, number: RequestNumber(9) },
        }),
        Body::Peer(PeerMessage::Reduce { account: AccountId(1001), hold: HoldId(68), amount: Amount(69) }),
        Body::Replace(Box::new(replacement())),
        Body::Peer(PeerMessage::Replace(Box::new(Replacing {
            request: replacement(),
            hold: HoldId(72),
            budget: Amount(73),
            need: Amount(74),
            whole: true,
            fees: fees(),
            origin: Origin { source: GATEWAY, number: RequestNumber(9) },
        }))),
        Body::Peer(PeerMessage::Shift {
            account: AccountId(1001),
            from: HoldId(75),
            to: HoldId(76),
            amount: Amount(77),
        }),
    ]
    .into_iter()
    .chain(session_commands())
    .chain(group_commands())
    .chain(list_commands())
    .collect()
}

pub(super) fn events_since_4() -> Vec<Event> {
    let name = |text| ClientOrderId::new_checked(text).unwrap();
    vec![
        Event::RulesActivated(Rules::V3),
        answered(Answer::RulesActive(Rules::V3)),
        decremented(None),
        decremented(Some(AccountId(1002))),
        Event::OrderImported(Box::new(OrderImported {
            prevention: Some(Prevention { quantity: Quantity(3), id: PreventedMatchId::new_checked(54).unwrap() }),
            ..order_moved_in()
        })),
        Event::OrderAmended(OrderAmended {
            symbol: SymbolId(2),
            order: OrderId(300),
            account: AccountId(1001),
            count: 2,
            quantity: Quantity(70),
            quantity_before: Quantity(71),
            client_order_id: name("b"),
            client_order_id_before: name("a"),
        }),
        Event::OrderClosed(OrderClosed {
            symbol: SymbolId(2),
            order: OrderId(300),
            account: AccountId(1001),
            reason: CloseReason::Amended,
        }),
        Event::OrderImported(Box::new(OrderImported { amendments: 2, ..order_moved_in() })),
        answered(Answer::Amended { symbol: SymbolId(2), order: OrderId(300) }),
        answered(Answer::Refused(Refusal::AmendNotAllowed)),
        answered(Answer::Replaced {
            symbol: SymbolId(2),
            canceled: Half::Done(OrderId(300)),
            placed: Half::Refused(Refusal::WouldTake),
        }),
        answered(Answer::Replaced {
            symbol: SymbolId(2),
            canceled: Half::Refused(Refusal::UnknownOrder),
            placed: Half::NotTried,
        }),
        answered(Answer::Refused(Refusal::Filter(Filter::MaxAmends))),
        Event::CountdownSet(countdown()),
        Event::CountdownEnded { account: AccountId(1001), scope: CountdownScope::Account, passed: true },
        answered(Answer::CountdownSet { until: Some(Timestamp(301)) }),
        answered(Answer::Refused(Refusal::NoCountdown)),
        answered(Answer::Refused(Refusal::TooManyCountdowns)),
    ]
    .into_iter()
    .chain(session_events())
    .chain(group_events())
    .chain(list_events())
    .collect()
}

pub(super) fn decremented(counterparty: Option<AccountId>) -> Event {
    Event::MatchPrevented(PreventedMatch {
        symbol: SymbolId(2),
        id: PreventedMatchId::new_checked(54).unwrap(),
        account: AccountId(1001),
        taker_side: Side::Buy,
        taker: OrderId(300),
        maker: OrderId(301),
        mode: if counterparty.is_some() { SelfTradePrevention::Transfer } else { SelfTradePrevention::Decrement },
        price: Price(57),
        quantity: Quantity(58),
        quote: Amount(59),
        taker_prevented: Quantity(58),
        maker_prevented: Quantity(58),
        counterparty,
        group: counterparty.and(TradeGroupId::new_checked(300)),
    })
}

pub(super) fn group_commands() -> Vec<Body> {
    vec![
        Body::SetTradeGroup(SetTradeGroup { account: AccountId(1001), group: TradeGroupId::new_checked(300) }),
        Body::SetTradeGroup(SetTradeGroup { account: AccountId(1001), group: None }),
        Body::Peer(PeerMessage::Settle(Settlement {
            account: AccountId(1001),
            hold: HoldId(5),
            symbol: SymbolId(2),
            pay_asset: AssetId(0),
            pay: Amount(40),
            improvement: Amount(0),
            receive_asset: AssetId(1),
            receive: Amount(42),
            fee: Amount(0),
            transfer: true,
        })),
        Body::Peer(PeerMessage::Registry(Change::Account(Box::new(Account {
            trade_group: TradeGroupId::new_checked(300),
            ..account()
        })))),
        instructed(Instructions { trade_group: TradeGroupId::new_checked(300), ..Instructions::default() }),
    ]
}

pub(super) fn group_events() -> Vec<Event> {
    vec![
        Event::TradeGroupSet { account: AccountId(1001), group: TradeGroupId::new_checked(300) },
        answered(Answer::TradeGroupSet(AccountId(1001))),
        answered(Answer::Refused(Refusal::TradeGroupFull)),
    ]
}
