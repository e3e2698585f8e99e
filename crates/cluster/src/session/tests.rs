//! A shard that is a few lists, and sessions that take turns with it.

use crossbook_engine::Partition;
use crossbook_protocol::Routing;
use crossbook_protocol::command::{ListAsset, ListMarket, OpenAccount, TransferRequest};
use crossbook_protocol::order::{NewOrder, OrderTerms, Size};
use crossbook_types::{
    AccountId, Amount, Asset, AssetId, AssetName, ClientOrderId, Decimal, FeeRate, Fees, Filters, MarketStatus,
    OptionalPrice, OrderType, Price, Quantity, SelfTradePrevention, SelfTradeRules, Side, SymbolId, SymbolName,
    TimeInForce, TransferId, market,
};

use super::*;
use crate::replica::Limits;
use crate::requests::appends::Arrival;
use crate::store::{Appended, Delivered, StoredCommand};

const GATEWAY: SourceId = SourceId::FIRST_GATEWAY;
const CLOCK: Timestamp = Timestamp(1_700_000_000_000_000);
const PATIENCE: Duration = Duration::from_millis(300);
const ACCOUNT: AccountId = AccountId::FIRST_CLIENT;

fn at(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Two partitions: one has the registry and the market, the other the account.
fn routing() -> Routing {
    let of_account = Routing::new_checked(2, BTreeMap::new()).unwrap().of_account(ACCOUNT);
    let other = PartitionId(1 - of_account.0);
    Routing::new_checked(2, BTreeMap::from([(SymbolId(0), other)])).unwrap()
}

#[derive(Clone, Debug, Default)]
struct Log {
    commands: Vec<StoredCommand>,
    received: BTreeMap<PartitionId, RequestNumber>,
}

#[derive(Clone, Debug, Default)]
struct Shard(BTreeMap<PartitionId, Log>);

impl Log {
    fn append(&mut self, payload: &[u8]) {
        let sequence = Sequence(self.commands.len() as u64 + 1);
        self.commands.push(StoredCommand { sequence, time: CLOCK, payload: payload.to_vec() });
    }

    fn turn(&mut self, turn: &PartitionTurn<'_>) -> PartitionOutcome {
        let mut outcome = PartitionOutcome { checkpoint: turn.checkpoint.map(|of| of.hash), ..Default::default() };
        for Deliver { from, first, messages } in turn.deliver {
            let before = self.received.get(from).copied().unwrap_or_default();
            for (number, message) in (first.0..).map(RequestNumber).zip(messages) {
                if number == self.received.get(from).copied().unwrap_or_default().next() {
                    self.append(message);
                    self.received.insert(*from, number);
                }
            }
            outcome.delivered.push(Delivered { before, last: self.received.get(from).copied().unwrap_or_default() });
        }
        if let Some(payloads) = turn.append {
            let first = Sequence(self.commands.len() as u64 + 1);
            payloads.iter().for_each(|payload| self.append(payload));
            outcome.appended = Some(Appended { first, last: Sequence(self.commands.len() as u64), time: CLOCK });
        }
        if let Some(ReadAfter { after, records_max }) = turn.commands {
            outcome.commands = self.commands.iter().skip(after.0 as usize).take(records_max).cloned().collect();
            outcome.has_more = after.0 as usize + outcome.commands.len() < self.commands.len();
        }
        outcome
    }
}

fn session(source: Option<SourceId>) -> Session {
    let second = Duration::from_secs(1);
    let settings = Settings {
        source,
        bounds: Bounds { records_max: 16, bytes_max: 1 << 16, turn_records_max: 32, turn_bytes_max: 1 << 16 },
        deliver_max: 16,
        patience: PATIENCE,
        pace: Pace {
            write: at(3),
            read: at(5),
            poll: at(100),
            confirm: Duration::ZERO,
            notify: Duration::ZERO,
            phase: Duration::ZERO,
        },
        timeouts: Timeouts { retry: second, breaker: second, keep: second },
    };
    let mut session = Session::new(settings);
    for partition in routing().all() {
        let limits = Limits { records_max: 8, held_max: 16 };
        let replica = Replica::new(Partition::new(partition, routing(), 1), limits);
        session.add(Member::new(replica, source.map(|_| Appends::new(Sequence(0)))));
    }
    session
}

/// A turn. How many commands were applied.
fn turn(session: &mut Session, shard: &mut Shard, confirmed: Confirmed, now: Duration) -> usize {
    let mut plan = session.plan(CLOCK, now, true);
    let execute = |turn: &Turn<'_>| -> Vec<PartitionOutcome> {
        turn.partitions.iter().map(|of| shard.0.entry(of.partition).or_default().turn(of)).collect()
    };
    let outcomes = session.with_turn(&plan, execute);
    let mut applied = 0;
    for (at, outcome) in outcomes.into_iter().enumerate() {
        let step = session.take(&mut plan, at, (outcome, confirmed), (CLOCK, now), |_| ()).unwrap();
        assert!(step.letters.is_empty(), "all partitions are in this session");
        applied += step.applied;
    }
    session.turned(now);
    applied
}

/// Turns, each when it is due, until the next one would be only to poll. When the last one was.
fn settle(session: &mut Session, shard: &mut Shard, mut now: Duration) -> Duration {
    for _ in 0..50 {
        turn(session, shard, Confirmed::All, now);
        let due = session.due(now, true);
        let has_more = session.members().any(|(_, member)| member.is_behind);
        if due >= now + at(5) && !has_more {
            return now;
        }
        now = now.max(due);
    }
    panic!("the session does not come to rest");
}

fn begin(session: &mut Session, number: u64, body: &Body) {
    let partition = routing().home(body);
    let appends = session.member(partition).and_then(|member| member.appends.as_mut()).unwrap();
    let arrival = Arrival { clock: CLOCK, now: Duration::ZERO, market_offset_micros: None };
    appends.begin(GATEWAY, RequestNumber(number), body, None, arrival).unwrap();
}

fn applied(session: &Session) -> Vec<u64> {
    session.members().map(|(_, member)| member.replica.partition().sequence().0).collect()
}

fn retained(session: &Session) -> usize {
    session.members().map(|(_, member)| member.retained()).sum()
}

fn in_flight(session: &Session) -> usize {
    session.members().filter_map(|(_, member)| member.appends.as_ref()).map(Appends::len).sum()
}

fn asset(name: &str) -> Body {
    Body::ListAsset(ListAsset { name: AssetName::new_checked(name).unwrap(), decimals: 8 })
}

/// What leads to an order that finds nothing to trade with.
fn requests() -> Vec<Body> {
    let of = |id: u32, name| Asset { id: AssetId(id), name: AssetName::new_checked(name).unwrap(), decimals: 8 };
    let free = FeeRate::from_decimal(Decimal::parse("0").unwrap()).unwrap();
    let description = market::Description {
        id: SymbolId(0),
        symbol: SymbolName::new_checked("BTCUSDT").unwrap(),
        base: of(0, "BTC"),
        quote: of(1, "USDT"),
        tick_size: Decimal::parse("0.01").unwrap(),
        step_size: Decimal::parse("0.00001").unwrap(),
        filters: Filters {
            price_min: Price(1),
            price_max: Price(1_000),
            quantity_min: Quantity(1),
            quantity_max: Quantity(100),
            market_quantity_max: Quantity(100),
            notional_min: Amount(1),
            notional_max: Amount(1_000_000),
            band_up_percent: 1_000,
            band_down_percent: 1,
            orders_max: 9,
            algo_orders_max: 3,
            amends_max: 10,
            special: crossbook_types::SpecialFilters::USUAL,
            relative: crossbook_types::RelativeFilters::default(),
            order_lists_max: 10,
        },
        fees: Fees { maker: free, taker: free },
        status: MarketStatus::Trading,
        self_trade: SelfTradeRules::ALL,
    };
    let terms = OrderTerms {
        symbol: SymbolId(0),
        client_order_id: ClientOrderId::new_checked("an-order").unwrap(),
        side: Side::Buy,
        order_type: OrderType::Limit,
        time_in_force: TimeInForce::Ioc,
        price: Some(Price(100)),
        size: Size::Base(Quantity(10)),
        stop_price: OptionalPrice::NONE,
        self_trade_prevention: SelfTradePrevention::None,
        instructions: None,
    };
    let transfer = TransferId::new_checked("funds").unwrap();
    vec![
        asset("BTC"),
        asset("USDT"),
        Body::ListMarket(Box::new(ListMarket { description })),
        Body::OpenAccount(OpenAccount { label: String::new() }),
        Body::Transfer(TransferRequest { account: ACCOUNT, asset: AssetId(1), amount: Amount(1_000_000), transfer }),
        Body::Place(NewOrder { account: ACCOUNT, terms }),
    ]
}

#[test]
fn a_request_is_appended_read_confirmed_and_applied_in_one_turn() {
    let (mut session, mut shard) = (session(Some(GATEWAY)), Shard::default());
    begin(&mut session, 1, &asset("BTC"));
    assert_eq!(session.due(at(0), true), at(0));
    assert_eq!(session.plan(CLOCK, at(0), true).confirm, Confirm::Wait, "it writes");
    assert_eq!(turn(&mut session, &mut shard, Confirmed::All, at(0)), 1);
    assert_eq!((in_flight(&session), retained(&session)), (0, 1), "the other partition must know the asset");
    assert_eq!(session.due(at(1), true), at(3), "this process is responsible for the message");
    assert_eq!(turn(&mut session, &mut shard, Confirmed::All, at(3)), 1);
    assert_eq!((applied(&session), retained(&session)), (vec![1, 1], 0));
    turn(&mut session, &mut shard, Confirmed::All, at(6));
    assert_eq!(session.due(at(6), true), at(106), "nothing is to be done but to poll");
    session.notify();
    assert_eq!(session.due(at(6), true), at(11));
    session.member(PartitionId(1)).unwrap().ask_end();
    assert_eq!(session.due(at(6), true), at(9));
}

#[test]
fn what_is_not_confirmed_is_held() {
    let (mut session, mut shard) = (session(Some(GATEWAY)), Shard::default());
    begin(&mut session, 1, &asset("BTC"));
    assert_eq!(turn(&mut session, &mut shard, Confirmed::Nothing, at(0)), 0);
    assert_eq!((in_flight(&session), session.due(at(0), true)), (1, at(5)));
    assert_eq!(session.plan(CLOCK, at(1), true).confirm, Confirm::Wait, "it waits for a confirmation");
    begin(&mut session, 2, &asset("ETH"));
    assert_eq!(turn(&mut session, &mut shard, Confirmed::Before, at(5)), 1, "the first was there before");
    assert_eq!(applied(&session), [1, 0]);
    assert_eq!(turn(&mut session, &mut shard, Confirmed::Before, at(8)), 1);
    assert_eq!(turn(&mut session, &mut shard, Confirmed::All, at(11)), 2, "both messages");
    assert_eq!((applied(&session), in_flight(&session)), (vec![2, 2], 0));
}

#[test]
fn whoever_has_appended_a_request_carries_on_until_all_that_follows_is_done() {
    let (mut gateway, mut shard) = (session(Some(GATEWAY)), Shard::default());
    let mut now = at(0);
    for (number, body) in (1..).zip(requests()) {
        begin(&mut gateway, number, &body);
        now = settle(&mut gateway, &mut shard, now);
        assert_eq!((retained(&gateway), in_flight(&gateway)), (0, 0), "request {number}");
    }
    assert!(now < PATIENCE, "nothing had to become overdue");
    // The order has gone to the market, and what it held has come back.
    let (account, market) = (routing().of_account(ACCOUNT), PartitionId(1 - routing().of_account(ACCOUNT).0));
    assert!(shard.0[&account].received[&market] > RequestNumber(0));
    // A process that has appended nothing has the same messages, and is responsible for none.
    let mut other = session(None);
    for turns in 0..20 {
        let before = shard.0.values().map(|log| log.commands.len()).sum::<usize>();
        turn(&mut other, &mut shard, Confirmed::All, at(turns));
        assert_eq!(before, shard.0.values().map(|log| log.commands.len()).sum::<usize>());
    }
    assert_eq!((applied(&other), retained(&other)), (applied(&gateway), 0));
}

#[test]
fn what_is_overdue_is_delivered_by_another() {
    let (mut gateway, mut worker, mut shard) = (session(Some(GATEWAY)), session(None), Shard::default());
    begin(&mut gateway, 1, &asset("BTC"));
    turn(&mut gateway, &mut shard, Confirmed::All, at(0));
    drop(gateway);
    assert_eq!(turn(&mut worker, &mut shard, Confirmed::All, at(10)), 1);
    assert_eq!(retained(&worker), 1);
    turn(&mut worker, &mut shard, Confirmed::All, at(250));
    assert_eq!(shard.0[&PartitionId(1)].commands.len(), 0, "the other one may still deliver it");
    assert_eq!(worker.due(at(250), true), at(310));
    assert_eq!(turn(&mut worker, &mut shard, Confirmed::All, at(310)), 1);
    assert_eq!((applied(&worker), retained(&worker)), (vec![1, 1], 0));
}

#[test]
fn what_a_failover_has_taken_back_is_appended_and_delivered_again() {
    let (mut session, mut shard) = (session(Some(GATEWAY)), Shard::default());
    begin(&mut session, 1, &asset("BTC"));
    turn(&mut session, &mut shard, Confirmed::All, at(0));
    let kept = shard.clone();
    begin(&mut session, 2, &asset("ETH"));
    assert_eq!(turn(&mut session, &mut shard, Confirmed::Nothing, at(3)), 0);
    assert_eq!(shard.0.values().map(|log| log.commands.len()).sum::<usize>(), 3, "a request and a message");
    shard = kept;
    session.disconnected();
    assert_eq!(session.due(at(4), true), at(4));
    assert_eq!(applied(&session), [1, 0]);
    assert_eq!(turn(&mut session, &mut shard, Confirmed::Before, at(6)), 0, "nothing was read in this conversation");
    let now = settle(&mut session, &mut shard, at(9));
    // Nobody knows who has appended the message that arrives in a new conversation, but this one has delivered it
    // again.
    settle(&mut session, &mut shard, now + PATIENCE);
    assert_eq!((applied(&session), retained(&session), in_flight(&session)), (vec![2, 2], 0, 0));
}

#[test]
fn without_room_only_those_read_that_free_some() {
    let (mut gateway, mut worker, mut shard) = (session(Some(GATEWAY)), session(None), Shard::default());
    begin(&mut gateway, 1, &asset("BTC"));
    settle(&mut gateway, &mut shard, at(0));
    let reads = |session: &mut Session, now| -> Vec<bool> {
        let plan = session.plan(CLOCK, now, false);
        session.with_turn(&plan, |turn| turn.partitions.iter().map(|part| part.commands.is_some()).collect())
    };
    assert_eq!(reads(&mut worker, at(0)), [false, false]);
    let letter = Letter {
        from: PartitionId(0),
        to: PartitionId(1),
        number: RequestNumber(1),
        bytes: shard.0[&PartitionId(1)].commands[0].payload.clone(),
        is_own: false,
    };
    worker.member(PartitionId(1)).unwrap().post(letter, at(1));
    assert_eq!(reads(&mut worker, at(1)), [false, true]);
    assert_eq!(turn(&mut worker, &mut shard, Confirmed::All, at(2)), 2);
    assert_eq!(retained(&worker), 0);
}

#[test]
fn whoever_can_wait_asks_for_a_confirmation_only_if_others_cause_none() {
    let (mut gateway, mut worker, mut shard) = (session(Some(GATEWAY)), session(None), Shard::default());
    (worker.settings.pace.confirm, worker.settings.patience) = (at(200), at(10_000));
    let asks = |session: &mut Session, now| session.plan(CLOCK, now, true).confirm;
    for number in 1..=10 {
        begin(&mut gateway, number, &asset(&format!("A{number}")));
        turn(&mut gateway, &mut shard, Confirmed::Nothing, at(100 * number));
        assert_eq!(asks(&mut worker, at(100 * number)), Confirm::IfKnown, "{number}");
        turn(&mut worker, &mut shard, Confirmed::Before, at(100 * number));
    }
    assert_eq!(applied(&worker)[0], 9);
    turn(&mut worker, &mut shard, Confirmed::Nothing, at(1_100));
    assert_eq!(asks(&mut worker, at(1_150)), Confirm::IfKnown);
    assert_eq!(asks(&mut worker, at(1_200)), Confirm::Wait);
}

#[test]
fn a_closed_partition_is_read_on_and_its_messages_are_delivered() {
    let (mut session, mut shard) = (session(Some(GATEWAY)), Shard::default());
    begin(&mut session, 1, &asset("BTC"));
    assert_eq!(turn(&mut session, &mut shard, Confirmed::All, at(0)), 1);
    begin(&mut session, 2, &asset("ETH"));
    let mut plan = session.plan(CLOCK, at(3), true);
    let all: Vec<_> = plan.partitions().collect();
    for (place, partition) in all.into_iter().enumerate() {
        let refused = session.closed(&mut plan, place);
        assert_eq!(refused, if partition == Routing::REGISTRY { vec![RequestNumber(2)] } else { Vec::new() });
    }
    session.turned(at(3));
    assert_eq!((in_flight(&session), retained(&session)), (0, 1));
    assert_eq!(session.due(at(3), true), at(3), "without the request the turn is not refused");
    settle(&mut session, &mut shard, at(3));
    assert_eq!((applied(&session), retained(&session)), (vec![1, 1], 0), "what was under way arrives");
}

#[test]
fn a_turn_carries_so_much_and_each_partition_has_its_share() {
    let mut session = session(Some(GATEWAY));
    session.settings.bounds.turn_records_max = 8;
    for number in 1..=20 {
        begin(&mut session, number, &asset("BTC"));
        for to in routing().all() {
            let (from, number) = (PartitionId(1 - to.0), RequestNumber(number));
            let letter = Letter { from, to, number, bytes: vec![0; 9], is_own: true };
            session.member(to).unwrap().post(letter, Duration::ZERO);
        }
    }
    let mut carried = |now| -> Vec<(u16, usize, usize)> {
        let plan = session.plan(CLOCK, at(now), true);
        let of = |part: &Part| {
            let delivered = part.deliver.iter().map(|&(_, _, count)| count).sum();
            (part.partition.0, delivered, part.round.as_ref().map_or(0, |round| round.due.len()))
        };
        plan.parts.iter().map(of).collect()
    };
    assert_eq!(carried(0), [(0, 4, 4), (1, 0, 0)], "messages leave half to requests");
    assert_eq!(carried(3), [(1, 8, 0), (0, 0, 0)], "the other one begins");
    assert_eq!(carried(6), [(0, 4, 4), (1, 0, 0)]);
}

#[test]
fn a_partition_that_moves_has_no_part_in_turns_until_it_is_back() {
    let mut session = session(Some(GATEWAY));
    let (moving, other) = (PartitionId(0), PartitionId(1));
    begin(&mut session, 1, &asset("BTC"));
    session.refused(moving, at(10));
    assert_eq!((session.away().collect::<Vec<_>>(), session.asks_at()), (vec![moving], Some(at(15))));
    // It is asked for ever more rarely, up to a bound.
    for (refused_at, asked_at) in [(15, 25), (25, 45), (45, 85), (85, 125), (125, 165)] {
        session.refused(moving, at(refused_at));
        assert_eq!(session.asks_at(), Some(at(asked_at)));
    }
    let mut shard = Shard::default();
    assert!(session.plan(CLOCK, at(130), true).partitions().eq([other]));
    turn(&mut session, &mut shard, Confirmed::All, at(130));
    assert_eq!(session.due(at(131), true), at(230), "what waits for it is no reason for a turn");
    session.is_back(moving);
    assert_eq!((session.away().count(), session.asks_at()), (0, None));
    settle(&mut session, &mut shard, at(170));
    assert_eq!((applied(&session), in_flight(&session)), (vec![1, 1], 0), "its request has waited");
}
