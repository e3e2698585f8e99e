use super::*;
use crate::command::Operated;
use crate::command::TransferRequest;
use crate::import::Inventory;
use crate::import::{Owned, Piece};
use crate::operator::Note;
use crate::order::{CancelOrder, Instructions, NewOrder, OrderTerms, Size, Target};
use crate::peer::{Origin, PeerMessage};
use crossbook_types::*;
use proptest::prelude::*;

fn order(client: &str, quantity: u64) -> Body {
    Body::Place(NewOrder {
        account: AccountId(1001),
        terms: OrderTerms {
            symbol: SymbolId(2),
            client_order_id: ClientOrderId::new_checked(client).unwrap(),
            side: Side::Sell,
            order_type: OrderType::StopLossLimit,
            time_in_force: TimeInForce::Ioc,
            price: Some(Price(300)),
            size: Size::Base(Quantity(quantity)),
            stop_price: Some(Price(301)).into(),
            self_trade_prevention: SelfTradePrevention::ExpireBoth,
            instructions: None,
        },
    })
}

/// The same order with these instructions.
fn instructed(instructions: Instructions) -> Body {
    let Body::Place(order) = order("ab", 4) else { unreachable!() };
    Body::Place(NewOrder { terms: OrderTerms { instructions: instructions.boxed(), ..order.terms }, ..order })
}

fn transfer_request() -> Body {
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

/// The bytes of a command, which `source` sent as its seventh.
fn written(source: SourceId, body: &Body) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_command(source, RequestNumber(7), None, body, &mut bytes);
    bytes
}

/// What was written in an old version is read as that command under that version's rules, for ever.
fn is_read(bytes: &str, source: SourceId, rules: Option<Rules>, body: Body) {
    let (sequence, time, number) = (Sequence(3), Timestamp(4), RequestNumber(7));
    let expected = Command { sequence, time, source, number, rules, deadline: None, skipped: false, body };
    assert_eq!(decode_command(sequence, time, &unhex(bytes)).unwrap(), expected);
}

const GATEWAY: SourceId = SourceId(65_537);

/// What version 1 has written must be read for ever: these bytes never change.
#[test]
fn the_bytes_of_version_1() {
    for (body, bytes) in [
        (order("ab", 4), "0181800407 07e907 0202616201040101ac02000401ad0203"),
        (transfer_request(), "0181800407 06e90701090174"),
        (Body::Cancel(cancel(None)), "0181800407 08e9070200ac020163"),
        (sent_on(cancel(None)), "0181800407 0a02e9070200ac02016381800409"),
    ] {
        is_read(bytes, GATEWAY, Some(Rules::V1), body);
    }
}

/// The same of version 2.
#[test]
fn the_bytes_of_version_2() {
    let only = |restriction| cancel(Some(restriction));
    for (body, bytes) in [
        (order("ab", 4), "0281800407 07e907 0202616201040101ac02000401ad0203"),
        (transfer_request(), "0281800407 06e90701090174"),
        (Body::Cancel(cancel(None)), "0281800407 08e9070200ac02016300"),
        (Body::Cancel(only(CancelRestriction::OnlyNew)), "0281800407 08e9070200ac0201630100"),
        (sent_on(only(CancelRestriction::OnlyPartiallyFilled)), "0281800407 0a02e9070200ac020163010181800409"),
    ] {
        is_read(bytes, GATEWAY, Some(Rules::V1), body);
    }
    for (piece, bytes) in [
        (Piece::Begin { export: [7; 32], pieces: 300 }, format!("02ffff0307 0b00{}ac02", "07".repeat(32))),
        (
            Piece::Money(vec![Owned { account: AccountId(1001), asset: AssetId(1), amount: Amount(5) }]),
            "02ffff0307 0b0601e907010a".to_owned(),
        ),
        (Piece::Open, "02ffff0307 0b0a".to_owned()),
    ] {
        is_read(&bytes, SourceId::IMPORT, Some(Rules::V1), Body::Import(Box::new(piece)));
    }
}

/// The same of version 3.
#[test]
fn the_bytes_of_version_3() {
    let only = |restriction| cancel(Some(restriction));
    for (body, bytes) in [
        (order("ab", 4), "038180040700 07e907 0202616201040101ac02000401ad0203"),
        (transfer_request(), "038180040700 06e90701090174"),
        (Body::Cancel(cancel(None)), "038180040700 08e9070200ac02016300"),
        (Body::Cancel(only(CancelRestriction::OnlyNew)), "038180040700 08e9070200ac0201630100"),
        (sent_on(only(CancelRestriction::OnlyPartiallyFilled)), "038180040700 0a02e9070200ac020163010181800409"),
    ] {
        is_read(bytes, GATEWAY, Some(Rules::V2), body);
    }
}

/// Version 4 is what is written: a mask of no optional fields before the command and each of its structs.
#[test]
fn the_bytes_of_version_4() {
    let only = |restriction| cancel(Some(restriction));
    for (body, bytes) in [
        (order("ab", 4), "0400 8180040700 07 00e907 0202616201040101ac02000401ad0203"),
        (
            instructed(Instructions {
                strategy_id: Some(StrategyId(-2)),
                strategy_type: Some(StrategyType(1_000_000)),
                ..Instructions::default()
            }),
            "0400 8180040700 07 8008e907 0202616201040101ac02000401ad0203 0103 0103 01c0843d",
        ),
        (
            instructed(Instructions { strategy_id: Some(StrategyId(0)), ..Instructions::default() }),
            "0400 8180040700 07 8008e907 0202616201040101ac02000401ad0203 0101 0100",
        ),
        (
            instructed(Instructions { iceberg: Some(Quantity(300)), ..Instructions::default() }),
            "0400 8180040700 07 8008e907 0202616201040101ac02000401ad0203 0104 01ac02",
        ),
        (
            instructed(Instructions { trailing: Some(TrailingDelta(300)), ..Instructions::default() }),
            "0400 8180040700 07 8008e907 0202616201040101ac02000401ad0203 018020 01ac02",
        ),
        (
            instructed(Instructions {
                peg: Some(Peg { price: PegPrice::Market, level: 7 }),
                ..Instructions::default()
            }),
            "0400 8180040700 07 8008e907 0202616201040101ac02000401ad0203 018040 010107",
        ),
        (transfer_request(), "0400 8180040700 06 00e90701090174"),
        (Body::Cancel(cancel(None)), "0400 8180040700 08 00e9070200ac02016300"),
        (Body::Cancel(only(CancelRestriction::OnlyNew)), "0400 8180040700 08 00e9070200ac0201630100"),
        (sent_on(only(CancelRestriction::OnlyPartiallyFilled)), "0400 8180040700 0a02 00e9070200ac020163010181800409"),
    ] {
        assert_eq!(written(GATEWAY, &body), unhex(bytes), "{body:?}");
        is_read(bytes, GATEWAY, None, body);
    }
}

/// The first piece of an import names the rules that come with it.
#[test]
fn the_bytes_of_the_first_piece() {
    let body = Body::Import(Box::new(Piece::BeginUnder { export: [7; 32], pieces: 300, rules: Rules::V4 }));
    let bytes = format!("0400 ffff030700 0b0c{}ac0204", "07".repeat(32));
    assert_eq!(written(SourceId::IMPORT, &body), unhex(&bytes));
    is_read(&bytes, SourceId::IMPORT, None, body);
}

/// A deadline by the time of another log follows the body, and only where there is one.
#[test]
fn the_bytes_of_a_deadline() {
    let body = transfer_request();
    let (own, market) = (Timestamp(66), Some(Timestamp(300)));
    let decode = |bytes: &str| decode_command(Sequence(3), Timestamp(4), &unhex(bytes));
    for (deadline, bytes) in [
        (Deadline::from(own), "0400 8180040701 42 06 00e90701090174"),
        (Deadline { own, market }, "0410 8180040701 42 06 00e90701090174 ac02"),
    ] {
        let mut written = Vec::new();
        encode_command(GATEWAY, RequestNumber(7), Some(deadline), &body, &mut written);
        assert_eq!(written, unhex(bytes), "{deadline:?}");
        assert_eq!(decode(bytes).unwrap().deadline, Some(deadline));
    }
    let without_own = "0410 8180040700 06 00e90701090174 ac02";
    assert_eq!(decode(without_own), Err(Error::Malformed), "the account's partition checks a deadline first");
    let unknown = decode("0430 8180040701 42 06 00e90701090174 ac0200");
    assert_eq!(unknown, Err(Error::UnknownField { of: "Command", number: 5 }));
}

/// A note comes before what is asked. None is within another, so that reading one needs little of the stack.
#[test]
fn the_bytes_of_what_an_operator_asks() {
    let note = Note::new("ann", "POST a", "why");
    let body = Body::Operated(Box::new(Operated { note: note.clone(), body: transfer_request() }));
    let bytes = "0400 8180040700 3e 00 00 03616e6e 06504f53542061 03776879 06 00e90701090174";
    assert_eq!(written(GATEWAY, &body), unhex(bytes));
    is_read(bytes, GATEWAY, None, body.clone());
    let within = Body::Operated(Box::new(Operated { note: note.clone(), body }));
    let of_peer = Operated { note, body: Body::Peer(PeerMessage::Continue) };
    for body in [within, Body::Operated(Box::new(of_peer))] {
        let bytes = written(GATEWAY, &body);
        assert_eq!(decode_command(Sequence(3), Timestamp(4), &bytes), Err(Error::Malformed));
    }
    let deep = "3e 00 00 00 00 00".repeat(100_000);
    let deep = decode_command(Sequence(3), Timestamp(4), &unhex(&format!("0400 8180040700 {deep}")));
    assert_eq!(deep, Err(Error::Malformed));
}

/// A mark of the operator, and nothing else, makes of a command one that is passed over.
#[test]
fn a_marked_command_is_the_same_one_passed_over() {
    for mut bytes in
        [written(GATEWAY, &order("ab", 4)), unhex("0181800407 06e90701090174"), unhex("0281800407 06e90701090174")]
    {
        let read = |bytes: &[u8]| decode_command(Sequence(3), Timestamp(4), bytes).unwrap();
        let plain = read(&bytes);
        bytes[0] |= SKIPPED;
        assert_eq!(read(&bytes), Command { skipped: true, ..plain });
    }
    assert_eq!(decode_command(Sequence(3), Timestamp(4), &[0xff]), Err(Error::Version(0x7f)));
}

/// A struct as it is, and as a later program knows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Before {
    price: Price,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct After {
    price: Price,
    list: Option<OrderId>,
    shown: Quantity,
}

/// A struct that is written as if the fields of the one that it holds were its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Flat {
    order: OrderId,
    part: After,
}

wire_struct! {
    Before { 0: price }
    After { 0: price; optional 1: list, 2: shown }
    Flat as { order, part: After { price, list, shown } } { 0: price, 1: order; optional 2: list, 3: shown }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    One,
    Two(Price),
}

codec::wire_enum! {
    Kind { 0 => One, 3 => Two(price) }
}

fn bytes_of<T: Wire>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(value, &mut bytes);
    bytes
}

/// A new optional field is no new version: what does not have it is written, read and hashed as before.
#[test]
fn a_struct_grows_without_a_new_version() {
    let (before, after) = (Before { price: Price(7) }, After { price: Price(7), list: None, shown: Quantity::ZERO });
    assert_eq!(bytes_of(&before), bytes_of(&after));
    assert_eq!(decode(&bytes_of(&before)), Ok(after));
    assert_eq!(decode(&bytes_of(&after)), Ok(before));
    assert_eq!(hash(&before), hash(&after));
    let full = After { list: Some(OrderId(9)), shown: Quantity(5), ..after };
    assert_eq!(bytes_of(&full), unhex("04 06 07 0109 05"));
    assert_eq!(decode(&bytes_of(&full)), Ok(full));
    assert_ne!(hash(&full), hash(&before));
    assert_eq!(decode::<After>(&unhex("03 07")), Ok(after), "records of version 3 have no masks");
}

/// The fields of a struct that another one holds are in the order of that one, and in its mask.
#[test]
fn a_struct_is_written_as_part_of_another() {
    let part = After { price: Price(7), list: None, shown: Quantity::ZERO };
    for (part, bytes) in
        [(part, "04 00 07 09"), (After { list: Some(OrderId(8)), shown: Quantity(5), ..part }, "04 0c 07 09 0108 05")]
    {
        let flat = Flat { order: OrderId(9), part };
        assert_eq!(bytes_of(&flat), unhex(bytes));
        assert_eq!(decode(&unhex(bytes)), Ok(flat));
    }
    let refused = decode::<Flat>(&unhex("04 10 07 09")).unwrap_err();
    assert_eq!(refused, Error::UnknownField { of: "Flat", number: 4 });
}

/// What a newer program has written is refused by name.
#[test]
fn what_is_not_known_is_refused_by_name() {
    let newer = After { price: Price(7), list: None, shown: Quantity(5) };
    let refused = decode::<Before>(&bytes_of(&newer)).unwrap_err();
    assert_eq!(refused, Error::UnknownField { of: "Before", number: 2 });
    assert_eq!(refused.to_string(), "field 2 of Before is not known to this program; upgrade it");
    assert_eq!(decode(&bytes_of(&Kind::Two(Price(1)))), Ok(Kind::Two(Price(1))));
    assert_eq!(bytes_of(&Kind::One), [VERSION, 0]);
    let refused = decode::<Kind>(&[VERSION, 1]).unwrap_err();
    assert_eq!(refused.to_string(), "variant 1 of Kind is not known to this program; upgrade it");
    let mut command = written(GATEWAY, &Body::ActivateRules(Rules::NEWEST));
    *command.last_mut().unwrap() += 1;
    let refused = decode_command(Sequence(3), Timestamp(4), &command).unwrap_err();
    assert_eq!(refused, Error::UnknownVariant { of: "Rules", number: Rules::NEWEST.number() + 1 });
}

#[path = "tests/samples.rs"]
mod samples;

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.replace(' ', "");
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn what_is_not_a_command_is_refused() {
    let mut bytes = Vec::new();
    encode_command(SourceId(1), RequestNumber(1), None, &order("x", 1), &mut bytes);
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
            encode_command(SourceId(source), RequestNumber(number), None, &body, &mut bytes);
            let command = decode_command(Sequence(3), Timestamp(4), &bytes).unwrap();
            let sent = Command::new(Sequence(3), Timestamp(4), SourceId(source), RequestNumber(number), body);
            prop_assert_eq!(command, sent);
        }
    }

    /// Bytes from anywhere are read or refused, never a panic.
    #[test]
    fn any_bytes_are_safe(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for version in 1..=VERSION {
            let versioned = [&[version], &bytes[..]].concat();
            let _ = decode_command(Sequence(1), Timestamp(1), &versioned);
            let _ = decode_events(&versioned);
            let _ = decode_published(&versioned);
            let _ = decode::<Inventory>(&versioned);
        }
    }
}
