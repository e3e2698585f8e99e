use super::*;
use crossbook_engine::command::{CancelOrder, NewOrder, Size, Target, TransferRequest};
use crossbook_engine::event::MarketMovedIn;
use crossbook_engine::moving::{Owned, Piece};
use crossbook_engine::peer::{Origin, PeerMessage};
use crossbook_engine::{Answer, Refusal};
use crossbook_types::*;
use proptest::prelude::*;

fn order(client: &str, quantity: u64) -> Body {
    Body::Place(NewOrder {
        account: AccountId(1001),
        symbol: SymbolId(2),
        client_order_id: ClientOrderId::new_checked(client).unwrap(),
        side: Side::Sell,
        order_type: OrderType::StopLossLimit,
        time_in_force: TimeInForce::Ioc,
        price: Some(Price(300)),
        size: Size::Base(Quantity(quantity)),
        stop_price: Some(Price(301)),
        self_trade_prevention: SelfTradePrevention::ExpireBoth,
    })
}

fn transfer() -> Body {
    Body::Transfer(TransferRequest {
        account: AccountId(1001),
        asset: AssetId(1),
        amount: Amount(-5),
        transfer: TransferId::new_checked("t").unwrap(),
    })
}

fn cancel(restriction: Option<CancelRestriction>) -> CancelOrder {
    CancelOrder {
        account: AccountId(1001),
        symbol: SymbolId(2),
        target: Target::Order(OrderId(300)),
        cancel_id: ClientOrderId::new_checked("c").unwrap(),
        restriction,
    }
}

/// What another partition sends on.
fn sent_on(request: CancelOrder) -> Body {
    let origin = Origin { source: SourceId(65_537), number: RequestNumber(9) };
    Body::Peer(PeerMessage::Cancel { request, origin })
}

/// What version 1 has written must be read for ever: these bytes never change.
#[test]
fn the_bytes_of_version_1() {
    for (body, bytes) in [
        (order("ab", 4), "0181800407 07e907 0202616201040101ac02000401ad0203"),
        (transfer(), "0181800407 06e90701090174"),
        (Body::Cancel(cancel(None)), "0181800407 08e9070200ac020163"),
        (sent_on(cancel(None)), "0181800407 0a02e9070200ac02016381800409"),
    ] {
        let command = decode_command(Sequence(3), Timestamp(4), &unhex(bytes)).unwrap();
        assert_eq!((command.source, command.number, command.body), (SourceId(65_537), RequestNumber(7), body));
    }
}

/// The same of version 2, which is also what is written.
#[test]
fn the_bytes_of_version_2() {
    let only = |restriction| cancel(Some(restriction));
    for (body, expected) in [
        (order("ab", 4), "0281800407 07e907 0202616201040101ac02000401ad0203"),
        (transfer(), "0281800407 06e90701090174"),
        (Body::Cancel(cancel(None)), "0281800407 08e9070200ac02016300"),
        (Body::Cancel(only(CancelRestriction::OnlyNew)), "0281800407 08e9070200ac0201630100"),
        (sent_on(only(CancelRestriction::OnlyPartiallyFilled)), "0281800407 0a02e9070200ac020163010181800409"),
    ] {
        let mut bytes = Vec::new();
        encode_command(SourceId(65_537), RequestNumber(7), &body, &mut bytes);
        assert_eq!(bytes, unhex(expected), "{body:?}");
        let command = decode_command(Sequence(3), Timestamp(4), &bytes).unwrap();
        assert_eq!((command.source, command.number, command.body), (SourceId(65_537), RequestNumber(7), body));
    }
}

/// What the vocabulary has got at its ends since version 2 began.
#[test]
fn the_bytes_of_what_was_added_to_version_2() {
    let piece = |piece| Body::MoveIn(Box::new(piece));
    let money = Piece::Money(vec![Owned { account: AccountId(1001), asset: AssetId(1), amount: Amount(5) }]);
    for (body, expected) in [
        (piece(Piece::Begin { export: [7; 32], pieces: 300 }), format!("02ffff0307 0b00{}ac02", "07".repeat(32))),
        (piece(money), "02ffff0307 0b0601e907010a".to_owned()),
        (piece(Piece::Open), "02ffff0307 0b0a".to_owned()),
    ] {
        let mut bytes = Vec::new();
        encode_command(SourceId::MOVING, RequestNumber(7), &body, &mut bytes);
        assert_eq!(bytes, unhex(&expected), "{body:?}");
        assert_eq!(decode_command(Sequence(3), Timestamp(4), &bytes).unwrap().body, body);
    }
    let cause = Cause { sequence: Sequence(3), time: Timestamp(4) };
    let moved = MarketMovedIn {
        symbol: SymbolId(2),
        next_order: OrderId(300),
        last: None,
        aggregate_trades: 1,
        depth_update: 2,
    };
    let answer = |answer| Event::Answered { source: SourceId(1), number: RequestNumber(2), answer };
    for (event, expected) in [
        (Event::MarketMovedIn(Box::new(moved)), "020304 01 0e02ac02000102"),
        (
            Event::MoneyMovedIn { account: AccountId(1001), asset: AssetId(1), amount: Amount(5) },
            "020304 01 10e907010a",
        ),
        (answer(Answer::MovedIn), "020304 01 0d01020b"),
        (answer(Answer::Refused(Refusal::MovingIn)), "020304 01 0d01020a18"),
        (answer(Answer::Refused(Refusal::MisfitPiece)), "020304 01 0d01020a1a"),
    ] {
        let mut bytes = Vec::new();
        encode_events(cause, std::slice::from_ref(&event), &mut bytes);
        assert_eq!(bytes, unhex(expected), "{event:?}");
        assert_eq!(decode_events(&bytes).unwrap(), (cause, vec![event]));
    }
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.replace(' ', "");
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn what_is_not_a_command_is_refused() {
    let mut bytes = Vec::new();
    encode_command(SourceId(1), RequestNumber(1), &order("x", 1), &mut bytes);
    let read = |bytes: &[u8]| decode_command(Sequence(1), Timestamp(1), bytes).map(|_| ());
    assert_eq!(read(&bytes), Ok(()));
    for length in 0..bytes.len() {
        assert_eq!(read(&bytes[..length]), Err(Error::Malformed));
    }
    bytes.push(0);
    assert_eq!(read(&bytes), Err(Error::Trailing));
    bytes[0] = 9;
    assert_eq!(read(&bytes), Err(Error::Version(9)));
}

proptest! {
    #[test]
    fn commands_come_back_as_they_were(quantity in any::<u64>(), source in any::<u64>(), number in any::<u64>(), name in "[a-zA-Z0-9_-]{1,36}") {
        let cancel = Body::Cancel(CancelOrder {
            account: AccountId(source),
            symbol: SymbolId(1),
            target: Target::Both(OrderId(number), ClientOrderId::new_checked(&name).unwrap()),
            cancel_id: ClientOrderId::new_checked(&name).unwrap(),
            restriction: Some(CancelRestriction::OnlyNew),
        });
        for body in [order(&name, quantity), cancel] {
            let mut bytes = Vec::new();
            encode_command(SourceId(source), RequestNumber(number), &body, &mut bytes);
            let command = decode_command(Sequence(3), Timestamp(4), &bytes).unwrap();
            prop_assert_eq!(command, Command { sequence: Sequence(3), time: Timestamp(4), source: SourceId(source), number: RequestNumber(number), body });
        }
    }

    /// Bytes from anywhere are read or refused, never a panic.
    #[test]
    fn any_bytes_are_safe(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for version in [1, VERSION] {
            let versioned = [&[version], &bytes[..]].concat();
            let _ = decode_command(Sequence(1), Timestamp(1), &versioned);
            let _ = decode_events(&versioned);
            let _ = decode::<State>(&versioned);
        }
    }
}
