//! Counters that reach their limit lead to a refusal, or continue elsewhere; never to a panic. A prepared state brings
//! each counter near its limit.

use std::collections::BTreeMap;

use crossbook_engine::{Partition, State};
use crossbook_protocol::command::{Body, OpenAccount};
use crossbook_protocol::event::{LastTrade, MarketImported};
use crossbook_protocol::import::Piece;
use crossbook_protocol::order::{CancelOrder, NewOrder, Target};
use crossbook_protocol::registry::Account;
use crossbook_protocol::{Answer, Command, Events, Refusal, Routing};
use crossbook_types::{
    AccountId, Amount, Filters, HoldId, OrderId, OrderType, PartitionId, PreventedMatchId, Price, Quantity,
    RequestNumber, SelfTradePrevention, Side, SourceId, TimeInForce, Timestamp, TradeId,
};

use crate::kit::*;

/// Nothing new is numbered from here on.
const END: u64 = 1 << 63;

/// Nothing is out of bounds, and no bound out of the range of JSON's numbers.
pub(super) fn filters() -> Filters {
    Filters { notional_max: Amount(1 << 60), ..open_filters() }
}

fn venue() -> Venue {
    Venue::with(filters(), fees("0.001", "0.002"))
}

/// The partition goes on from its state, in which something is different.
fn set(partition: &mut Partition, change: impl FnOnce(&mut State)) {
    let mut state = partition.state();
    change(&mut state);
    *partition = Partition::restore(state, 8).unwrap();
}

/// Applies a command, checks the books, and gives the answer. Events that count are not looked at: they leap.
fn apply(partition: &mut Partition, source: SourceId, body: Body) -> Option<Answer> {
    let sequence = partition.sequence().next();
    let mut events = Events::new();
    let number = match source {
        GATEWAY => RequestNumber(1_000 + sequence.0),
        peer => partition_heard(partition, peer),
    };
    partition.apply(&Command::new(sequence, Timestamp(10_000_000 + sequence.0), source, number, body), &mut events);
    assert_eq!(partition.audit().violations, Vec::<String>::new());
    events.all().iter().find_map(|event| match event {
        crossbook_protocol::Event::Answered { answer, .. } => Some(answer.clone()),
        _ => None,
    })
}

/// The next number of a source that is received strictly in order.
fn partition_heard(partition: &Partition, source: SourceId) -> RequestNumber {
    match source {
        SourceId::IMPORT => partition.pieces().next(),
        SourceId::IMPORT_END => RequestNumber(1),
        peer => partition.received(PartitionId(u16::try_from(peer.0).unwrap())).next(),
    }
}

fn place(partition: &mut Partition, order: NewOrder) -> Answer {
    apply(partition, GATEWAY, Body::Place(order)).unwrap()
}

#[test]
fn a_place_for_holds_that_is_used_up_is_followed_by_another() {
    let mut venue = venue();
    let trader = venue.rich();
    let passing = |venue: &mut Venue| venue.place(buy(trader, 1, 1).within(TimeInForce::Ioc));
    passing(&mut venue);
    set(&mut venue.partition, |state| state.ledger.holds_free[0] = HoldId(u64::from(u32::MAX - 2) << 32));
    for _ in 0..5 {
        passing(&mut venue);
        venue.restart();
    }
    let resting = venue.rest(buy(trader, 1, 1));
    venue.cancel(trader, Target::Order(resting)).unwrap();
    assert_eq!(venue.partition.state().ledger.holds_retired, [HoldId(u64::from(u32::MAX) << 32)]);
}

#[test]
fn a_market_that_has_used_up_its_numbers_takes_no_orders_and_lets_all_go() {
    type Edit = fn(&mut State);
    let counts: [(&str, Edit); 3] = [
        ("next_order", |state| state.matchers[0].1.next_order = OrderId(END - 1)),
        ("next_trade", |state| state.matchers[0].1.next_trade = TradeId(END - 1)),
        ("depth_update", |state| state.matchers[0].1.depth_update = END - 1),
    ];
    for (count, bring_near_end) in counts {
        let mut venue = venue();
        let (maker, taker) = (venue.rich(), venue.rich());
        let resting = venue.rest(buy(maker, 10, 1));
        let waiting = venue.rest(stop(maker, Side::Buy, OrderType::StopLoss, 30, 5));
        venue.rest(sell(maker, 20, 1));
        let mut partition = venue.partition;
        set(&mut partition, bring_near_end);
        let last = place(&mut partition, buy(taker, 20, 1).named("last"));
        assert!(matches!(last, Answer::Placed { .. }), "{count}: {last:?}");
        let beyond = place(&mut partition, buy(taker, 15, 1).named("beyond"));
        assert_eq!(beyond, Answer::Refused(Refusal::NumbersUsedUp), "{count}");
        for order in [resting, waiting] {
            let (account, symbol, cancel_id) = (maker, BTCUSDT, name("c"));
            let target = Target::Order(order);
            let request = CancelOrder { account, symbol, target, cancel_id, restriction: None };
            let canceled = apply(&mut partition, GATEWAY, Body::Cancel(request));
            assert_eq!(canceled, Some(Answer::Canceled { symbol: BTCUSDT, order }), "{count}");
        }
        assert_eq!(partition.ledger().holds(), 0);
    }
}

#[test]
fn a_market_that_has_used_up_the_numbers_of_prevented_matches_takes_no_orders() {
    let mut venue = venue();
    let trader = venue.rich();
    venue.rest(sell(trader, 20, 2));
    let mut partition = venue.partition;
    let near_end = PreventedMatchId::new_checked(END - 1).unwrap();
    set(&mut partition, |state| state.matchers[0].1.next_prevented = near_end);
    let taking = |text| buy(trader, 20, 1).preventing(SelfTradePrevention::ExpireTaker).named(text);
    assert!(matches!(place(&mut partition, taking("last")), Answer::Placed { .. }));
    assert_eq!(place(&mut partition, taking("beyond")), Answer::Refused(Refusal::NumbersUsedUp));
}

#[test]
fn an_account_for_which_there_is_no_number_is_not_opened() {
    let mut partition = Partition::new(PartitionId(0), Routing::single(), 7);
    let last = Account { id: AccountId(END - 2), label: String::new(), opened: Timestamp(1), trade_group: None };
    for piece in [Piece::Begin { export: [1; 32], pieces: 2 }, Piece::Accounts(vec![last])] {
        let taken = apply(&mut partition, SourceId::IMPORT, Body::Import(Box::new(piece)));
        assert_eq!(taken, Some(Answer::Imported));
    }
    let taken = apply(&mut partition, SourceId::IMPORT_END, Body::Import(Box::new(Piece::Open)));
    assert_eq!(taken, Some(Answer::Imported));
    let mut open = || apply(&mut partition, GATEWAY, Body::OpenAccount(OpenAccount { label: String::new() }));
    assert_eq!(open(), Some(Answer::AccountOpened(AccountId(END - 1))));
    assert_eq!(open(), Some(Answer::Refused(Refusal::NumbersUsedUp)));
}

/// Of a market that moves in, too, something must be left to count.
#[test]
fn a_market_that_has_counted_to_its_end_does_not_move_in() {
    let last = |trade| LastTrade {
        trade: TradeId(trade),
        price: Price(10),
        quantity: Quantity(1),
        quote: Amount(TICK_LOT),
        taker_side: Side::Buy,
        time: Timestamp(1),
    };
    let sound = MarketImported {
        symbol: BTCUSDT,
        next_order: OrderId(END - 1),
        last: Some(last(END - 2)),
        aggregate_trades: END - 2,
        depth_update: END - 1,
        next_prevented: PreventedMatchId::new_checked(END - 1).unwrap(),
    };
    for (market, moved) in [
        (sound, Answer::Imported),
        (MarketImported { next_order: OrderId(END), ..sound }, Answer::Refused(Refusal::MisfitPiece)),
        (MarketImported { last: Some(last(END - 1)), ..sound }, Answer::Refused(Refusal::MisfitPiece)),
        (MarketImported { depth_update: END, ..sound }, Answer::Refused(Refusal::MisfitPiece)),
        (MarketImported { aggregate_trades: END - 1, ..sound }, Answer::Refused(Refusal::MisfitPiece)),
        (
            MarketImported { next_prevented: PreventedMatchId::new_checked(END).unwrap(), ..sound },
            Answer::Refused(Refusal::MisfitPiece),
        ),
        (MarketImported { last: None, ..sound }, Answer::Refused(Refusal::MisfitPiece)),
    ] {
        let registry = venue();
        let (assets, markets) =
            (registry.partition.registry().assets().to_vec(), registry.partition.registry().markets().to_vec());
        let mut partition = Partition::new(PartitionId(0), Routing::single(), 7);
        let begin = Piece::Begin { export: [1; 32], pieces: 4 };
        for piece in [begin, Piece::Assets(assets), Piece::Markets(markets)] {
            let taken = apply(&mut partition, SourceId::IMPORT, Body::Import(Box::new(piece)));
            assert_eq!(taken, Some(Answer::Imported));
        }
        let taken = apply(&mut partition, SourceId::IMPORT, Body::Import(Box::new(Piece::Market(market))));
        assert_eq!(taken, Some(moved), "{market:?}");
    }
}

#[test]
fn a_partition_that_has_used_up_its_messages_to_another_begins_nothing_new() {
    let routing = Routing::new_checked(2, BTreeMap::new()).unwrap();
    let mut partitions: Vec<_> = routing.all().map(|id| Partition::new(id, routing.clone(), u64::from(id.0))).collect();
    // Partition 0 keeps the registry; an account of it, in a market of the other.
    let mut setup = listings(filters(), fees("0", "0"));
    setup.extend((0..8).map(|_| Body::OpenAccount(OpenAccount { label: String::new() })));
    for body in setup {
        apply(&mut partitions[0], GATEWAY, body);
    }
    let deliver = |partitions: &mut Vec<Partition>| {
        let sent: Vec<_> = partitions[0].drain_outgoing().collect();
        let count = sent.len();
        sent.into_iter().for_each(|sent| {
            apply(&mut partitions[1], SourceId::partition(PartitionId(0)), Body::Peer(sent.message));
        });
        count
    };
    deliver(&mut partitions);
    let symbol = [BTCUSDT, ETHBTC].into_iter().find(|&symbol| routing.of_symbol(symbol) == PartitionId(1)).unwrap();
    let account = (0..8).map(|at| AccountId(AccountId::FIRST_CLIENT.0 + at));
    let account = account.into_iter().find(|&account| routing.of_account(account) == PartitionId(0)).unwrap();
    let cancel =
        CancelOrder { account, symbol, target: Target::Order(OrderId(1)), cancel_id: name("c"), restriction: None };
    set(&mut partitions[0], |state| state.sent[1] = RequestNumber(END - 2));
    assert_eq!(apply(&mut partitions[0], GATEWAY, Body::Cancel(cancel)), None, "the other partition answers");
    assert_eq!(apply(&mut partitions[0], GATEWAY, Body::Cancel(cancel)), None);
    assert_eq!(partitions[0].sent(PartitionId(1)), RequestNumber(END));
    let refused = Some(Answer::Refused(Refusal::NumbersUsedUp));
    assert_eq!(apply(&mut partitions[0], GATEWAY, Body::Cancel(cancel)), refused);
    let order = buy(account, 1, 1).with(|terms| terms.symbol = symbol);
    let state = partitions[0].state();
    partitions[0] = Partition::restore(state, 9).unwrap();
    assert_eq!(apply(&mut partitions[0], GATEWAY, Body::Place(order)), refused, "after a restart, too");
}
