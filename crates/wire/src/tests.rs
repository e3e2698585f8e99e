use super::*;
use crossbook_engine::command::{CancelOrder, NewOrder, Size, Target, TransferRequest};
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

/// What version 1 has written, version 1 must read: these bytes never change.
#[test]
fn the_bytes_of_version_1() {
    let mut bytes = Vec::new();
    encode_command(SourceId(65_537), RequestNumber(7), &order("ab", 4), &mut bytes);
    assert_eq!(hex(&bytes), "018180040707e907 0202616201040101ac02000401ad0203".replace(' ', ""));
    let transfer = Body::Transfer(TransferRequest {
        account: AccountId(1001),
        asset: AssetId(1),
        amount: Amount(-5),
        transfer: TransferId::new_checked("t").unwrap(),
    });
    bytes.clear();
    encode_command(SourceId(65_537), RequestNumber(8), &transfer, &mut bytes);
    assert_eq!(hex(&bytes), "01818004080 6e90701090174".replace(' ', ""));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
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
        let mut versioned = vec![VERSION];
        versioned.extend(&bytes);
        let _ = decode_command(Sequence(1), Timestamp(1), &versioned);
        let _ = decode_events(&versioned);
        let _ = decode::<State>(&versioned);
    }
}
