//! Samples of order lists.

use super::*;

pub(super) fn list() -> NewList {
    let terms = |size| placed(size).terms;
    NewList {
        account: AccountId(1001),
        symbol: SymbolId(2),
        client_order_id: ClientOrderId::new_checked("list").unwrap(),
        kind: ListKind::Oto,
        orders: vec![terms(Size::Base(Quantity(68))), terms(Size::Base(Quantity(69)))],
    }
}

pub(super) fn list_commands() -> Vec<Body> {
    let cancel_id = ClientOrderId::new_checked("c").unwrap();
    let (id, origin) = (OrderListId(300 << 16 | 2), Origin { source: GATEWAY, number: RequestNumber(70) });
    let cancel = |target| CancelList { account: AccountId(1001), symbol: SymbolId(2), target, cancel_id };
    let funding = list_funding();
    vec![
        Body::PlaceList(Box::new(list())),
        Body::CancelList(cancel(ListTarget::List(id))),
        Body::CancelList(cancel(ListTarget::Client(cancel_id))),
        Body::Peer(PeerMessage::CancelList { request: cancel(ListTarget::Both(id, cancel_id)), origin }),
        Body::Peer(PeerMessage::AdmitList(Box::new(AdmittedList { list: list(), funding, origin }))),
        Body::Peer(PeerMessage::SettleInto { settlement: settlement(), into: HoldId(77) }),
        Body::Import(Box::new(Piece::Lists(vec![placed_list()]))),
    ]
}

pub(super) fn list_funding() -> ListFunding {
    ListFunding {
        working: Some((HoldId(71), Amount(72))),
        hold: HoldId(73),
        held: Amount(74),
        fees: fees(),
        working_discount: None,
        discount: None,
    }
}

pub(super) fn placed_list() -> PlacedList {
    PlacedList { list: standing_list(), hold: HoldId(85), reserve_hold: None }
}

pub(super) fn standing_list() -> StandingList {
    StandingList {
        list: list_moved_in(),
        working: Some(OrderId(300)),
        near: Some(Price(86)),
        released: false,
        others: vec![StandingLeg { order: order_moved_in(), need: Amount(87) }],
        held: Amount(88),
        fees: fees(),
        counted: Some(Counted { second: Some(Second { algo: true, iceberg: true }), list: true, ..counted() }),
        reserve: None,
    }
}

pub(super) fn list_moved_in() -> ListImported {
    ListImported {
        placed: list_placed(),
        names: vec![ClientOrderId::new_checked("n").unwrap()],
        placed_at: Timestamp(89),
        updated: Timestamp(90),
    }
}

pub(super) fn list_placed() -> ListPlaced {
    ListPlaced {
        symbol: SymbolId(2),
        list: OrderListId(300 << 16 | 2),
        account: AccountId(1001),
        kind: ListKind::Oto,
        client_order_id: ClientOrderId::new_checked("list").unwrap(),
        orders: vec![OrderId(300), OrderId(301)],
    }
}

pub(super) fn settlement() -> Settlement {
    Settlement {
        account: AccountId(1001),
        hold: HoldId(78),
        symbol: SymbolId(2),
        pay_asset: AssetId(1),
        pay: Amount(79),
        improvement: Amount(80),
        receive_asset: AssetId(0),
        receive: Amount(81),
        fee: Amount(82),
        transfer: false,
    }
}

pub(super) fn list_events() -> Vec<Event> {
    let (symbol, account, list) = (SymbolId(2), AccountId(1001), OrderListId(300 << 16 | 2));
    let member = Instructions { list: Some(Membership { list, pending: true }), ..Instructions::default() };
    let mut order = placed(Size::Base(Quantity(83)));
    order.terms.instructions = member.boxed();
    let changed = |status| Event::ListChanged { symbol, list, account, status };
    vec![
        Event::OrderPlaced(order),
        Event::ListPlaced(Box::new(list_placed())),
        Event::OrderReleased { symbol, order: OrderId(301), account, quantity: Quantity(84) },
        changed(ListStatus::Executing),
        changed(ListStatus::AllDone),
        closed(CloseReason::OcoTrigger),
        closed(CloseReason::WorkingEnded),
        closed(CloseReason::Unplaceable),
        answered(Answer::ListPlaced { symbol, list }),
        answered(Answer::ListCanceled { symbol, list }),
        answered(Answer::Refused(Refusal::ListPrices)),
        answered(Answer::Refused(Refusal::ListWithoutPrice)),
        answered(Answer::Refused(Refusal::NoOrderLists)),
        answered(Answer::Refused(Refusal::AmendUnpaid)),
        answered(Answer::Refused(Refusal::Filter(Filter::MaxOrderLists))),
        Event::ListImported(Box::new(list_moved_in())),
    ]
}
