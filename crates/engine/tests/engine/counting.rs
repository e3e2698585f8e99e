//! What was open when a limit of an account was switched on counts for it.

use std::collections::BTreeMap;

use crate::kit::*;
use crossbook_engine::import::{self, MarketPast, Past};
use crossbook_engine::{Partition, WorkBudget};
use crossbook_protocol::command::{Body, ChangeMarket, OpenAccount, TransferRequest};
use crossbook_protocol::event::{OrderImported, OrderPlaced};
use crossbook_protocol::import::Piece;
use crossbook_protocol::order::{AmendOrder, Instructions, NewOrder, Target};
use crossbook_protocol::order_list::ListImported;
use crossbook_protocol::peer::PeerMessage;
use crossbook_protocol::{Answer, Command, Event, Events, Refusal, Routing, Rules};
use crossbook_types::{
    AccountId, Amount, ExchangeFilters, Filter, Filters, OrderId, OrderListId, OrderType, PartitionId, Peg, PegPrice,
    Quantity, RelativeFilters, RequestNumber, Side, SourceId, SymbolId, Timestamp, TrailingDelta, TransferId,
};

const OFF: ExchangeFilters =
    ExchangeFilters { orders_max: 0, algo_orders_max: 0, iceberg_orders_max: 0, order_lists_max: 0 };

fn venue() -> Venue {
    let mut venue = Venue::new();
    venue.apply(Body::ActivateRules(Rules::NEWEST));
    venue
}

fn set(venue: &mut Venue, filters: ExchangeFilters) {
    assert_eq!(*answer(&venue.apply(Body::SetExchangeFilters(filters))), Answer::ExchangeFiltersSet);
}

fn elsewhere(account: AccountId) -> NewOrder {
    limit(account, Side::Buy, 1, 1).with(|terms| terms.symbol = ETHBTC)
}

fn iceberg(account: AccountId) -> NewOrder {
    let instructions = Instructions { iceberg: Some(Quantity(1)), ..Instructions::default() };
    sell(account, 300, 3).with(|terms| terms.instructions = instructions.boxed())
}

#[test]
fn orders_that_were_open_count_until_they_end() {
    let mut venue = venue();
    let (a, b) = (venue.rich(), venue.rich());
    let first = venue.rest(buy(a, 100, 2));
    let waiting = venue.rest(stop(a, Side::Buy, OrderType::StopLoss, 200, 1));
    let hidden = venue.rest(iceberg(a));
    venue.rest(elsewhere(a));
    venue.rest(buy(b, 90, 1));
    set(&mut venue, ExchangeFilters { orders_max: 5, algo_orders_max: 1, iceberg_orders_max: 1, ..OFF });
    venue.restart();
    let (all, algo) = (Refusal::Filter(Filter::ExchangeMaxOrders), Refusal::Filter(Filter::ExchangeMaxAlgoOrders));
    assert_eq!(venue.refused(stop(a, Side::Buy, OrderType::TakeProfit, 50, 1)), algo);
    assert_eq!(venue.refused(iceberg(a)), Refusal::Filter(Filter::ExchangeMaxIcebergOrders));
    let fifth = venue.rest(buy(a, 100, 1));
    assert_eq!((venue.refused(buy(a, 100, 1)), venue.refused(elsewhere(a))), (all, all));
    venue.restart();
    assert_eq!(venue.refused(buy(a, 100, 1)), all);
    // Each makes room when it ends, whatever ends it, and never more than once.
    venue.place(sell(b, 100, 1));
    assert_eq!(venue.refused(buy(a, 90, 1)), all, "some of it is left");
    venue.place(sell(b, 100, 1));
    assert!(venue.mirror.order(BTCUSDT, first).is_none());
    venue.rest(buy(a, 90, 1));
    for order in [waiting, hidden] {
        venue.cancel(a, Target::Order(order)).unwrap();
    }
    venue.rest(stop(a, Side::Buy, OrderType::TakeProfit, 50, 1));
    venue.rest(iceberg(a));
    assert_eq!(venue.refused(buy(a, 90, 1)), all);
    // What is placed while the filter is off counts once it is on again; what was counted before does not count twice.
    set(&mut venue, OFF);
    venue.cancel(a, Target::Order(fifth)).unwrap();
    venue.rest(buy(a, 90, 1));
    venue.rest(buy(a, 90, 1));
    set(&mut venue, ExchangeFilters { orders_max: 7, ..OFF });
    venue.rest(buy(a, 90, 1));
    assert_eq!(venue.refused(buy(a, 90, 1)), all);
    let max = venue.partition.ledger().order_counts(a);
    assert_eq!((max.orders, max.algo, max.icebergs, max.lists), (7, 1, 1, 0));
}

fn position(lots: i128) -> Filters {
    let relative = RelativeFilters { position_max: Amount(lots * LOT), ..open_filters().relative };
    Filters { relative, ..open_filters() }
}

#[test]
fn what_open_buy_orders_would_bring_counts_for_the_position() {
    let mut venue = venue();
    let (a, b) = (venue.trader(10, 1_000_000), venue.rich());
    venue.trade_at(100);
    let first = venue.rest(buy(a, 100, 6));
    venue.place(sell(b, 100, 2));
    let trailing = Instructions { trailing: Some(TrailingDelta(100)), ..Instructions::default() };
    let trailing = stop(a, Side::Buy, OrderType::StopLoss, 200, 3).with(|terms| {
        (terms.instructions, terms.stop_price) = (trailing.boxed(), crossbook_types::OptionalPrice::NONE);
    });
    let trailing = venue.rest(trailing);
    let peg = Instructions { peg: Some(Peg { price: PegPrice::Primary, level: 0 }), ..Instructions::default() };
    venue.rest(buy(a, 1, 2).with(|terms| (terms.instructions, terms.price) = (peg.boxed(), None)));
    venue.rest(sell(a, 150, 10));
    venue.change(Some(position(30)), None, None);
    venue.restart();
    let max = Refusal::Filter(Filter::MaxPosition);
    // 10 and 2 less their fee, 4 and 3 and 2 to come, and those of the sell order do not count.
    assert_eq!(venue.refused(buy(a, 90, 10)), max);
    let coming = |venue: &Venue| venue.partition.ledger().incoming(a, BTCUSDT).0 / LOT;
    assert_eq!(coming(&venue), 4 + 3 + 2);
    let more = venue.rest(buy(a, 90, 9));
    venue.restart();
    assert_eq!(venue.refused(buy(a, 90, 1)), max);
    venue.place(sell(b, 100, 1));
    assert_eq!(coming(&venue), 3 + 3 + 2 + 9);
    let amend = |target, quantity, placed| AmendOrder {
        account: a,
        symbol: BTCUSDT,
        target: Target::Order(target),
        quantity: Quantity(quantity),
        placed: Quantity(placed),
        client_order_id: name(&format!("less{quantity}")),
    };
    assert!(matches!(answer(&venue.apply(Body::Amend(amend(first, 4, 6)))), Answer::Amended { .. }));
    assert_eq!(coming(&venue), 1 + 3 + 2 + 9);
    // What is held for one that trails the price does not say what it would bring.
    assert!(matches!(answer(&venue.apply(Body::Amend(amend(trailing, 1, 3)))), Answer::Amended { .. }));
    assert_eq!(coming(&venue), 1 + 3 + 2 + 9);
    venue.cancel(a, Target::Order(trailing)).unwrap();
    venue.cancel(a, Target::Order(more)).unwrap();
    assert_eq!(coming(&venue), 1 + 2);
    venue.rest(buy(a, 90, 9));
    // Another market has a position of its own.
    venue.rest(elsewhere(a));
}

#[test]
fn an_order_counts_only_so_many_that_were_open() {
    let mut venue = venue().with_work(WorkBudget { counted: 2, ..WorkBudget::RULES });
    let (a, b) = (venue.rich(), venue.rich());
    for _ in 0..3 {
        venue.rest(buy(a, 100, 1));
    }
    for _ in 0..2 {
        venue.rest(elsewhere(a));
    }
    set(&mut venue, ExchangeFilters { orders_max: 8, ..OFF });
    let counted = |venue: &Venue| venue.partition.ledger().order_counts(a).orders;
    // Two with each order, in the order of markets and numbers, in which the new ones are, too.
    for seen in [2 + 1, 3 + 2, 5 + 3] {
        venue.rest(buy(a, 90, 1));
        assert_eq!(counted(&venue), seen);
        venue.restart_with(WorkBudget { counted: 2, ..WorkBudget::RULES });
    }
    assert_eq!(venue.refused(buy(a, 90, 1)), Refusal::Filter(Filter::ExchangeMaxOrders));
    venue.rest(buy(b, 90, 1));
}

#[test]
fn the_oldest_orders_count_first_wherever_they_are_kept() {
    let work = WorkBudget { counted: 2, ..WorkBudget::RULES };
    let mut venue = venue().with_work(work);
    let a = venue.rich();
    let orders: Vec<OrderId> = (0..6).map(|_| venue.rest(buy(a, 100, 1))).collect();
    // The last ones take the places of those that end.
    for order in [orders[0], orders[2]] {
        venue.cancel(a, Target::Order(order)).unwrap();
    }
    set(&mut venue, ExchangeFilters { orders_max: 100, ..OFF });
    let counted = |venue: &Venue| venue.partition.ledger().order_counts(a).orders;
    let new = venue.rest(buy(a, 90, 1));
    assert_eq!(counted(&venue), 3);
    for order in [orders[1], orders[3], new] {
        let before = counted(&venue);
        venue.cancel(a, Target::Order(order)).unwrap();
        assert_eq!(counted(&venue), before - 1);
    }
    let before = counted(&venue);
    venue.cancel(a, Target::Order(orders[4])).unwrap();
    assert_eq!((before, counted(&venue)), (0, 0), "this one was not counted yet");
    venue.rest(buy(a, 90, 1));
    assert_eq!(counted(&venue), 2);
}

/// What has become of orders that rest and have not traded: nothing.
#[derive(Default)]
struct Placed(BTreeMap<OrderId, NewOrder>);

impl Past for Placed {
    fn order(&self, _: SymbolId, order: OrderId) -> Option<OrderImported> {
        let NewOrder { account, terms } = self.0.get(&order)?.clone();
        Some(OrderImported {
            placed: OrderPlaced { order, account, terms },
            executed: Quantity::ZERO,
            executed_quote: Amount::ZERO,
            placed_at: Timestamp(1),
            updated: Timestamp(1),
            working_since: Some(Timestamp(1)),
            amendments: 0,
            shown: None,
            trailing_since: None,
            extreme: None,
            pegged: None,
            prevention: None,
        })
    }

    fn list(&self, _: SymbolId, _: OrderListId) -> Option<ListImported> {
        None
    }

    fn market(&self, _: SymbolId) -> Option<MarketPast> {
        Some(MarketPast::default())
    }
}

#[test]
fn what_another_venue_did_not_count_counts_where_it_moves() {
    let mut venue = venue();
    let a = venue.rich();
    let mut past = Placed::default();
    for at in 0..3 {
        let new = buy(a, 100, 1).named(&format!("open{at}"));
        let order = venue.rest(new.clone());
        past.0.insert(order, new);
    }
    set(&mut venue, ExchangeFilters { orders_max: 4, ..OFF });
    let inventory = import::gather(&[(&venue.partition, &past as &dyn Past)]).unwrap();
    let mut imported = Partition::new(PartitionId(0), Routing::single(), 8);
    let pieces = (1..).zip(import::pieces(&inventory, &Routing::single(), [1; 32]).swap_remove(0));
    for (number, piece) in pieces.chain([(1, Piece::Open)]) {
        let (sequence, source, mut events) = (imported.sequence().next(), piece.source(), Events::new());
        let body = Body::Import(Box::new(piece));
        imported.apply(&Command::new(sequence, Timestamp(9), source, RequestNumber(number), body), &mut events);
        assert_eq!(answer(events.all()), &Answer::Imported);
    }
    let restored = Partition::restore(imported.state(), 9).unwrap();
    assert_eq!(restored.state(), imported.state());
    let mut place = |text: &str| {
        let (sequence, mut events) = (imported.sequence().next(), Events::new());
        let body = Body::Place(buy(a, 90, 1).named(text));
        imported.apply(&Command::new(sequence, Timestamp(10), GATEWAY, RequestNumber(sequence.0), body), &mut events);
        answer(events.all()).clone()
    };
    let fourth = place("fourth");
    assert!(matches!(fourth, Answer::Placed { .. }), "{fourth:?}");
    assert_eq!(place("fifth"), Answer::Refused(Refusal::Filter(Filter::ExchangeMaxOrders)));
}

/// Two partitions, between which messages are delivered in order.
struct Two {
    partitions: Vec<Partition>,
    requests: u64,
}

impl Two {
    fn new() -> Self {
        let routing = Routing::new_checked(2, BTreeMap::new()).unwrap();
        let work = WorkBudget { counted: 2, ..WorkBudget::RULES };
        let partitions = routing.all().map(|id| Partition::new(id, routing.clone(), 7).with_work(work)).collect();
        let mut two = Self { partitions, requests: 0 };
        let mut setup = vec![Body::ActivateRules(Rules::V4)];
        setup.extend(listings(open_filters(), fees("0", "0")));
        setup.extend((0..8).map(|_| Body::OpenAccount(OpenAccount { label: String::new() })));
        setup.into_iter().for_each(|body| drop(two.apply(0, body)));
        two
    }

    /// Applies a request, and all messages that follow from it; their events.
    fn apply(&mut self, at: usize, body: Body) -> Vec<Event> {
        self.requests += 1;
        let mut due = vec![(at, GATEWAY, RequestNumber(self.requests), body)];
        let mut all = Vec::new();
        while !due.is_empty() {
            let (at, source, number, body) = due.remove(0);
            let (sequence, mut events) = (self.partitions[at].sequence().next(), Events::new());
            let command = Command::new(sequence, Timestamp(sequence.0), source, number, body);
            self.partitions[at].apply(&command, &mut events);
            all.extend_from_slice(events.all());
            let from = SourceId::partition(self.partitions[at].id());
            for sent in self.partitions[at].drain_outgoing() {
                let counts = matches!(&sent.message, PeerMessage::OrdersCounted { holds, .. } if holds.len() > 2);
                assert!(!counts, "a message counts no more than one command does");
                due.push((usize::from(sent.to.0), from, sent.number, Body::Peer(sent.message)));
            }
            let partition = &self.partitions[at];
            assert_eq!(Partition::restore(partition.state(), 9).unwrap().state(), partition.state());
        }
        all
    }
}

#[test]
fn orders_in_markets_of_other_partitions_count_once_these_have_told() {
    let mut two = Two::new();
    let routing = two.partitions[0].routing().clone();
    let account = (0..8).map(|at| AccountId(AccountId::FIRST_CLIENT.0 + at));
    let account = account.into_iter().find(|&account| routing.of_account(account) == PartitionId(0)).unwrap();
    let far = [BTCUSDT, ETHBTC].into_iter().find(|&symbol| routing.of_symbol(symbol) == PartitionId(1)).unwrap();
    for asset in [BTC, USDT] {
        let transfer = TransferId::new_checked(&format!("fund{}", asset.0)).unwrap();
        two.apply(0, Body::Transfer(TransferRequest { account, asset, amount: Amount(1 << 60), transfer }));
    }
    let mut names = 0;
    let mut place = |two: &mut Two, symbol: SymbolId| {
        names += 1;
        let order = buy(account, 10, 1).named(&format!("n{names}")).with(|terms| terms.symbol = symbol);
        answer(&two.apply(0, Body::Place(order))).clone()
    };
    (0..5).for_each(|_| assert!(matches!(place(&mut two, far), Answer::Placed { .. })));
    two.apply(0, Body::SetExchangeFilters(ExchangeFilters { orders_max: 7, ..OFF }));
    // The first order asks; the answers come after it.
    assert!(matches!(place(&mut two, far), Answer::Placed { .. }));
    assert_eq!(two.partitions[0].ledger().order_counts(account).orders, 6);
    assert!(matches!(place(&mut two, far), Answer::Placed { .. }));
    let full = Answer::Refused(Refusal::Filter(Filter::ExchangeMaxOrders));
    assert_eq!(place(&mut two, far), full);
    // What they would bring is asked for where that is bounded.
    let relative = RelativeFilters { position_max: Amount(1 << 61), ..open_filters().relative };
    let filters = Some(Filters { relative, ..open_filters() });
    two.apply(0, Body::SetExchangeFilters(OFF));
    let change = ChangeMarket { symbol: far, filters, fees: None, status: None, self_trade: None };
    two.apply(0, Body::ChangeMarket(Box::new(change)));
    assert_eq!(two.partitions[0].ledger().incoming(account, far), Amount::ZERO);
    assert!(matches!(place(&mut two, far), Answer::Placed { .. }));
    let one = two.partitions[1].registry().market(far).unwrap().base_amount(Quantity(1)).0;
    assert_eq!(two.partitions[0].ledger().incoming(account, far), Amount(8 * one));
}
