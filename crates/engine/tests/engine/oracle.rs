//! The engine against a reference model that is too simple to be wrong: random commands go to both, and every event
//! must be equal. The same streams go through a venue of one partition and one of three, which must publish the same.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::kit::countdowns;
use crate::kit::mirror::Mirror;
use crate::kit::steps::{self, Step};
use crate::kit::{GATEWAY, fees, listings};
use crossbook_engine::{Partition, WorkBudget};
use crossbook_oracle::model::Model;
use crossbook_oracle::workload::SplitMix64;
use crossbook_protocol::command::{Body, OpenAccount};
use crossbook_protocol::event::{Answer, Half, OrderPlaced};
use crossbook_protocol::order::{CancelAll, OrderTerms};
use crossbook_protocol::peer::PeerMessage;
use crossbook_protocol::{Command, Event, Events, Routing, Rules};
use crossbook_types::{
    AccountId, Amount, AssetId, Market, OrderId, PartitionId, RequestNumber, Sequence, SourceId, SymbolId, SymbolName,
    Timestamp,
};
use proptest::prelude::*;

fn setup() -> Vec<Body> {
    let mut bodies = vec![Body::ActivateRules(Rules::NEWEST)];
    bodies.extend(listings(steps::filters(), fees("0.001", "0.01234567")));
    bodies.extend((0..steps::ACCOUNTS).map(|_| Body::OpenAccount(OpenAccount { label: String::new() })));
    bodies.push(Body::ActivateRules(Rules::NEWEST));
    bodies
}

fn model_of(markets: &[Market]) -> Model {
    let accounts = (0..steps::ACCOUNTS).map(|at| AccountId(AccountId::FIRST_CLIENT.0 + at));
    Model::new(markets.iter().copied().zip(steps::UNITS).collect(), accounts)
}

/// The time of the command of that number: a tenth of a second after the one before.
fn at(number: u64) -> Timestamp {
    Timestamp(number * 100_000)
}

/// The engine and the model side by side.
struct Pair {
    partition: Partition,
    mirror: Mirror,
    model: Model,
    number: u64,
    events: Events,
    work: WorkBudget,
    /// How many microseconds pass from one command to the next.
    pace: u64,
}

/// Bounds of what one command does that are met all the time.
const TIGHT: WorkBudget =
    WorkBudget { triggers: 2, cancels: 2, continued: 3, levels_checked: 2, looks_per_step: 2, ..WorkBudget::RULES };

/// The message by which a partition is to go on.
fn next_part(partition: &Partition) -> Option<(SourceId, RequestNumber, Body)> {
    let number = partition.continuation()?;
    Some((SourceId::partition(partition.id()), number, Body::Peer(PeerMessage::Continue)))
}

impl Pair {
    fn new(work: WorkBudget, pace: u64) -> Self {
        let mut partition = Partition::new(PartitionId(0), Routing::single(), 1).with_work(work);
        let (mut mirror, mut events) = (Mirror::default(), Events::new());
        let mut number = 0;
        for body in setup() {
            number += 1;
            let command = Command::new(Sequence(number), at(number), GATEWAY, RequestNumber(number), body);
            partition.apply(&command, &mut events);
        }
        events.clear();
        mirror.check(&partition);
        let model = model_of(partition.registry().markets()).with_work(work);
        let mut pair = Self { partition, mirror: std::mem::take(&mut mirror), model, number, events, work, pace };
        for body in steps::endowments() {
            pair.apply(body, false);
        }
        pair
    }

    /// Applies a command to both; the events must be the same, and the books true.
    fn apply(&mut self, body: Body, repeat: bool) -> usize {
        self.number += u64::from(!repeat);
        self.apply_as(GATEWAY, RequestNumber(self.number), body)
    }

    /// Goes on with what is left, if anything is; `again` appends the message a second time, which has no effect.
    fn go_on(&mut self, again: bool) -> bool {
        let Some((source, number, body)) = next_part(&self.partition) else { return false };
        self.apply_as(source, number, body.clone());
        if again {
            assert_eq!(self.apply_as(source, number, body), 0);
        }
        true
    }

    fn apply_as(&mut self, source: SourceId, number: RequestNumber, body: Body) -> usize {
        let sequence = self.partition.sequence().next();
        let time = Timestamp(sequence.0 * self.pace);
        let command = Command::new(sequence, time, source, number, body);
        self.events.clear();
        self.partition.apply(&command, &mut self.events);
        let expected = self.model.apply(&command);
        assert_eq!(self.events.all(), expected, "events, then what the model says, of {command:#?}");
        let audit = self.partition.audit();
        assert!(audit.violations.is_empty(), "{:?} after {command:?}", audit.violations);
        self.mirror.fold(&command, self.events.all());
        self.mirror.check(&self.partition);
        expected.len()
    }

    fn step(&mut self, step: &Step) {
        // One in 32 is sent again, or another command under its number: neither has an effect.
        let repeat = step[9] >= 248;
        let body = steps::body(step, &self.model);
        let count = self.apply(body, repeat);
        assert!(!repeat || count == 0);
    }

    /// Goes on from the written-down state, as after a restart with another hash seed.
    fn restart(&mut self, hash_seed: u64) {
        let state = self.partition.state();
        self.partition = Partition::restore(state.clone(), hash_seed).unwrap().with_work(self.work);
        assert_eq!(self.partition.state(), state);
    }
}

/// Some twenty commands a minute, for averages of minutes; or a day for some sixty, for volumes of days.
fn pace(seed: u64) -> u64 {
    [3_000_000, 1_400_000_000][(seed / 2 % 2) as usize]
}

/// A stream of steps that is the same on every machine.
fn stream(seed: u64, length: usize) -> impl Iterator<Item = Step> {
    let mut random = SplitMix64::new(seed);
    (0..length).map(move |_| {
        let (a, b) = (random.next_u64().to_le_bytes(), random.next_u64().to_le_bytes());
        [a, b].concat().try_into().unwrap()
    })
}

/// How often each kind of event came.
#[derive(Default, Debug)]
struct Census(BTreeMap<String, u64>, BTreeSet<(SymbolId, OrderId)>, BTreeMap<(SymbolId, OrderId), OrderTerms>);

impl Census {
    fn add(&mut self, word: &str) {
        *self.0.entry(word.to_owned()).or_default() += 1;
    }

    fn count_fees(&mut self, event: &Event) {
        if let Event::OrderDiscounted { symbol, order, .. } = event
            && self.2.contains_key(&(*symbol, *order))
        {
            self.add("something is held for the fees of an order of a list");
        }
        let Event::Traded(trade) = event else { return };
        for (party, taker) in [(trade.taker, true), (trade.maker, false)] {
            let listed = self.2.contains_key(&(trade.symbol, party.order));
            if listed && trade.other_fee_asset(taker).is_some() {
                self.add("an order of a list paid in another asset");
            }
        }
        match trade.discount.map(|paid| (paid.taker, paid.maker)) {
            Some((true, true)) => self.add("both paid in another asset"),
            Some((true, false)) => self.add("the taker paid in another asset"),
            Some((false, _)) => self.add("the maker paid in another asset"),
            None => {}
        }
    }

    fn count(&mut self, events: &[Event]) {
        let mut repeats = None;
        for event in events {
            let key = match event {
                Event::Answered { answer: Answer::Replaced { canceled, placed, .. }, .. } => {
                    let half = |half: &Half| match half {
                        Half::Done(_) => "done".to_owned(),
                        half => format!("{half:?}"),
                    };
                    format!("{}, {}", half(canceled), half(placed))
                }
                Event::Answered { answer, .. } => format!("{answer:?}"),
                Event::OrderClosed(closed) => format!("{:?}", closed.reason),
                Event::SessionChanged(session) => format!("session is {:?}", session.phase),
                Event::OrderPlaced(placed) => format!("{:?} {:?}", placed.terms.order_type, placed.terms.time_in_force),
                event => format!("{event:?}"),
            };
            if let Some(word) = countdowns::word(event) {
                self.add(word);
            }
            match event {
                Event::OrderPlaced(OrderPlaced { order, terms, .. }) if terms.list().is_some() => {
                    self.2.insert((terms.symbol, *order), terms.clone());
                }
                Event::OrderPegged { symbol, order, .. } if self.2.contains_key(&(*symbol, *order)) => {
                    self.add("an order of a list was pegged");
                }
                Event::OrderReleased { symbol, order, .. } => {
                    let terms = self.2.get(&(*symbol, *order));
                    if terms.is_some_and(|terms| terms.trailing().is_some() && terms.stop_price.get().is_none()) {
                        self.add("a trailing order without a stop price was released");
                    }
                }
                _ => {}
            }
            match event {
                Event::TrailingBegun { symbol, order, .. } => drop(self.1.insert((*symbol, *order))),
                Event::OrderTriggered { symbol, order, .. } if self.1.contains(&(*symbol, *order)) => {
                    self.add("an order that trailed triggered");
                    if self.2.contains_key(&(*symbol, *order)) {
                        self.add("a trailing order of a list triggered");
                    }
                }
                _ => {}
            }
            if let Event::MatchPrevented(prevented) = event {
                if prevented.counterparty.is_some() {
                    self.add("between two accounts of a group");
                }
                if prevented.is_transfer() {
                    self.add("transferred within a group");
                }
            }
            self.count_fees(event);
            if let Event::Traded(trade) = event
                && repeats.replace((trade.maker.order, trade.taker.order))
                    == Some((trade.maker.order, trade.taker.order))
            {
                self.add("an iceberg order was filled again");
            }
            let words: String = key.chars().filter(|c| !c.is_ascii_digit()).take(40).collect();
            let word = words.split(" {").next().unwrap().to_owned();
            *self.0.entry(word).or_default() += 1;
        }
    }
}

/// What comes up in the streams, each more than once.
const OUTCOMES: &[&str] = &[
    "Traded(Trade",
    "OrderTriggered",
    "Filled",
    "Expired",
    "SelfTradePrevented",
    "TradeGroupSet",
    "between two accounts of a group",
    "transferred within a group",
    "Canceled",
    "CanceledAll",
    "Transferred(Transfer",
    "Limit Fok",
    "LimitMaker Gtc",
    "StopLossLimit Ioc",
    "TakeProfit Gtc",
    "Refused(UnknownAccount)",
    "Refused(UnknownAsset)",
    "Refused(UnknownSymbol)",
    "Refused(UnknownOrder)",
    "Refused(MarketClosed(Halt))",
    "Refused(MarketClosed(CancelOnly))",
    "Refused(Filter(Price))",
    "Refused(Filter(PercentPrice))",
    "Refused(Filter(LotSize))",
    "Refused(Filter(MarketLotSize))",
    "Refused(Filter(Notional))",
    "Refused(Filter(MaxOrders))",
    "Refused(Filter(MaxAlgoOrders))",
    "Refused(Filter(IcebergParts))",
    "Refused(Filter(MaxIcebergOrders))",
    "Refused(Unsupported(Iceberg))",
    "Refused(IcebergTooLarge)",
    "an iceberg order was filled again",
    "Refused(Filter(TrailingDelta))",
    "TrailingBegun",
    "an order that trailed triggered",
    "OrderPegged",
    "Refused(PegType)",
    "Refused(PegPrice)",
    "Refused(ThinForPeg)",
    "Refused(Unsupported(Pegged))",
    "Refused(MalformedOrder)",
    "Refused(Market(OrderLimits))",
    "Refused(InsufficientBalance)",
    "Refused(DuplicateClientOrderId)",
    "Refused(EmptyBook)",
    "Refused(ThinBook)",
    "Refused(WouldTake)",
    "Refused(WouldTrigger)",
    "Refused(CancelingAll)",
    "CancelAllBegun",
    "went on",
    "ListPlaced",
    "ListPlaced(ListPlaced",
    "ListCanceled",
    "ListChanged",
    "OrderReleased",
    "OcoTrigger",
    "WorkingEnded",
    "Unplaceable",
    "Refused(ListPrices)",
    "Refused(ListWithoutPrice)",
    "a trailing order of a list triggered",
    "an order of a list was pegged",
    "a trailing order without a stop price was released",
    "Refused(NoOrderLists)",
    "Refused(Filter(MaxOrderLists))",
    "Refused(TransferConflict)",
    "OrderAmended(OrderAmended",
    "done, done",
    "done, Refused(InsufficientBalance)",
    "Refused(UnknownOrder), NotTried",
    "Refused(UnknownOrder), done",
    "Refused(CancelRestricted), NotTried",
    "Amended",
    "Refused(AmendIncrease)",
    "Refused(AmendNothing)",
    "Refused(AmendNotAllowed)",
    "Refused(AmendUnpaid)",
    "Refused(Filter(MaxAmends))",
    "Refused(Filter(PercentPriceOfBoth))",
    "Refused(Filter(MinNotional))",
    "Refused(Filter(MaxPosition))",
    "Refused(Filter(ExchangeMaxOrders))",
    "Refused(Filter(ExchangeMaxAlgoOrders))",
    "Refused(Filter(ExchangeMaxOrderLists))",
    // As far as it is counted.
    "Refused(Filter(ExchangeMaxIcebergOrders)",
    "ExchangeFiltersSet",
    "FeesSet",
    "FeeTierReached",
    "FeeDiscountChanged(FeeDiscount",
    "DiscountUseChanged",
    "OperatorActed(Acted",
    "FrozenChanged",
    "Refused(AccountFrozen)",
    "Refused(FeeDiscount)",
    "both paid in another asset",
    "the taker paid in another asset",
    "the maker paid in another asset",
    "something is held for the fees of an order of a list",
    "an order of a list paid in another asset",
    "Refused(FeeTiers)",
    "Refused(Market(FeeTakesAll))",
    "session is Open",
    "session is Paused",
    "ByVenue",
    "OutOfRange",
    "Refused(PriceRange)",
    "Refused(ReferenceCalculation)",
    "Refused(ReferencePrice)",
    "Refused(NoSuchPhase)",
    "Refused(BreakerRange)",
    "session is Collecting",
    "session is Matching",
    "AuctionPriced(AuctionPrice",
    "Refused(NotInAuction)",
    "Refused(AuctionMatching)",
    "Refused(AuctionTooLong)",
    "Refused(MarketClosed(AuctionMatch))",
    "CountdownSet(Countdown",
    "CountdownSet",
    "a countdown passed",
    "a countdown was taken back",
    "orders are cancelled unasked part by part",
    "Refused(NoCountdown)",
    "Refused(TooManyCountdowns)",
];

#[test]
fn every_event_is_what_the_plain_exchange_says() {
    let mut census = Census::default();
    for seed in 0..80 {
        let mut pair = Pair::new(if seed % 2 == 0 { WorkBudget::RULES } else { TIGHT }, pace(seed));
        census.1.clear();
        census.2.clear();
        for (at, step) in stream(seed, 4_000).enumerate() {
            if at % 500 == 499 || (at % 20 == 0 && pair.partition.unfinished().is_some()) {
                pair.restart(seed);
            }
            // Between the parts of what is left, others have their say.
            if step[8] < 80 && pair.go_on(step[7] == 0) {
                census.count(pair.events.all());
                census.add("went on");
            }
            // Somebody who is not at an end with it cancels all once more.
            if step[6] < 192 && pair.partition.unfinished().is_some() {
                let account = AccountId(AccountId::FIRST_CLIENT.0 + u64::from(step[5]) % steps::ACCOUNTS);
                let symbol = SymbolId(u32::from(step[4]) % 2);
                pair.apply(Body::CancelAll(CancelAll { account, symbol, cancel_id: crate::kit::name("again") }), false);
                census.count(pair.events.all());
            }
            pair.step(&step);
            census.count(pair.events.all());
            if at == 2_000 {
                for body in countdowns::too_many(AccountId::FIRST_CLIENT) {
                    pair.apply(body, false);
                    census.count(pair.events.all());
                }
            }
        }
        // At last both markets are delisted, whatever state they are in, and all their orders end.
        for symbol in [SymbolId(0), SymbolId(1)] {
            pair.apply(Body::DelistMarket { symbol }, false);
        }
        while pair.go_on(false) {}
        assert!(pair.mirror.open_orders().is_empty());
    }
    // The streams go everywhere: each outcome comes up, and not just once.
    for &outcome in OUTCOMES {
        let count = census.0.get(outcome).copied().unwrap_or(0);
        // Several things have to come together for some.
        let least = match outcome {
            "Refused(CancelingAll)" | "Refused(AuctionMatching)" | "Refused(PriceRange)" => 2,
            "Refused(BreakerRange)" | "Refused(AuctionTooLong)" | "done, Refused(InsufficientBalance)" => 5,
            _ => 20,
        };
        assert!(count >= least, "{outcome} came up {count} times: {:#?}", census.0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    /// As above, with streams that shrink to a short one when they fail.
    #[test]
    fn any_stream_is_what_the_plain_exchange_says(
        steps in prop::collection::vec(any::<Step>(), 1..200),
        cut in 0usize..200,
    ) {
        let mut pair = Pair::new(if cut % 2 == 0 { WorkBudget::RULES } else { TIGHT }, pace(cut as u64));
        for (at, step) in steps.iter().enumerate() {
            if at == cut {
                pair.restart(99);
            }
            if at % 3 == 0 {
                pair.go_on(at % 2 == 0);
            }
            pair.step(step);
        }
    }
}

/// Several partitions and the simplest transport between them that keeps its promises: every message arrives, those of
/// one sender in order.
struct Cluster {
    routing: Routing,
    partitions: Vec<Partition>,
    number: u64,
    pace: u64,
    /// What each has told of assets, markets and accounts.
    of_registry: Vec<Vec<Event>>,
    /// Every other message is delivered twice, as after a lost acknowledgement.
    repeats: bool,
}

fn is_of_registry(event: &Event) -> bool {
    matches!(
        event,
        Event::AssetListed(_)
            | Event::MarketListed(_)
            | Event::MarketChanged(_)
            | Event::AccountOpened(_)
            | Event::ExchangeFiltersChanged(_)
            | Event::AccountFeesChanged { .. }
            | Event::FeeTiersChanged(_)
            | Event::FeeDiscountChanged(_)
            | Event::DiscountUseChanged { .. }
            | Event::FrozenChanged { .. }
            | Event::TradeGroupSet { .. }
    )
}

impl Cluster {
    fn new(routing: Routing, repeats: bool, pace: u64) -> Self {
        let new = |id: PartitionId| Partition::new(id, routing.clone(), u64::from(id.0)).with_work(TIGHT);
        let partitions = routing.all().map(new).collect();
        let of_registry = routing.all().map(|_| Vec::new()).collect();
        Self { routing, partitions, number: 0, pace, of_registry, repeats }
    }

    /// Applies a command and all that follows from it, wherever. All events but those of balances and tiers, which end
    /// what each partition tells, and but those of others than partition 0 who follow the registry.
    fn apply(&mut self, body: Body, repeat: bool) -> Vec<Event> {
        self.number += u64::from(!repeat);
        let first = (self.routing.home(&body), GATEWAY, RequestNumber(self.number), body);
        let mut queue = std::collections::VecDeque::from([first]);
        let mut told = Vec::new();
        let mut events = Events::new();
        while let Some((to, source, number, body)) = queue.pop_front() {
            let partition = &mut self.partitions[usize::from(to.0)];
            let sequence = partition.sequence().next();
            let command = Command::new(sequence, Timestamp(self.number * self.pace), source, number, body);
            events.clear();
            partition.apply(&command, &mut events);
            let followed = |event: &Event| to != Routing::REGISTRY && is_of_registry(event);
            let received = events.all().iter().filter(|event| !followed(event));
            let at_last = |event: &Event| matches!(event, Event::BalanceChanged { .. } | Event::FeeTierReached { .. });
            told.extend(received.filter(|event| !at_last(event)).cloned());
            let of_registry = events.all().iter().filter(|event| is_of_registry(event));
            self.of_registry[usize::from(to.0)].extend(of_registry.cloned());
            for outgoing in partition.drain_outgoing() {
                let message = (outgoing.to, SourceId::partition(to), outgoing.number, Body::Peer(outgoing.message));
                if self.repeats && outgoing.number.0 % 2 == 0 {
                    queue.push_back(message.clone());
                }
                queue.push_back(message);
            }
            if queue.is_empty() {
                let next = |partition: &Partition| {
                    next_part(partition).map(|(source, number, body)| (partition.id(), source, number, body))
                };
                queue.extend(self.partitions.iter().find_map(next));
            }
        }
        told
    }

    fn balances(&self) -> BTreeMap<(AccountId, AssetId), (Amount, Amount)> {
        let all = self.partitions.iter().flat_map(|partition| partition.ledger().balances());
        all.map(|(account, asset, balance)| ((account, asset), (balance.free, balance.held))).collect()
    }

    /// What the venue's own account has of an asset in all partitions.
    fn venue_balance(&self, account: AccountId, asset: AssetId) -> i128 {
        self.partitions.iter().map(|partition| partition.ledger().venue_balance(account, asset).0).sum()
    }
}

/// Three partitions with the first market in the second and the second in the third, told so by number or by name.
fn three(by_name: bool) -> Routing {
    let (first, second) = (PartitionId(1), PartitionId(2));
    if !by_name {
        return Routing::new_checked(3, BTreeMap::from([(SymbolId(0), first), (SymbolId(1), second)])).unwrap();
    }
    let name = |name| SymbolName::new_checked(name).unwrap();
    let names = BTreeMap::from([(name("BTCUSDT"), first), (name("ETHBTC"), second), (name("NEVER"), first)]);
    Routing::new_checked(3, BTreeMap::new()).unwrap().with_names(names).unwrap()
}

/// Everything that clients see of three partitions is what they see of one.
fn three_tell_what_one_tells(seed: u64, length: usize, repeats: bool) -> u64 {
    let mut one = Cluster::new(Routing::single(), false, pace(seed));
    let mut three = Cluster::new(three(repeats), repeats, pace(seed));
    for body in setup() {
        one.apply(body.clone(), false);
        three.apply(body, false);
    }
    let mut model = model_of(one.partitions[0].registry().markets());
    let mut far = 0;
    let mut begin = steps::endowments().into_iter();
    let mut steps = stream(seed, length);
    let mut last = None;
    let mut asking = VecDeque::new();
    for step in 0u64.. {
        let (body, repeat) = match (begin.next().or_else(|| asking.pop_front()), &last) {
            (Some(body), _) => (body, false),
            (None, last) => {
                let Some(next) = steps.next() else { break };
                match last {
                    Some(last) if next[9] >= 248 => (Body::clone(last), true),
                    _ => (steps::body(&next, &model), false),
                }
            }
        };
        last = Some(body.clone());
        if steps::may_switch_a_limit_on(&body) {
            asking.extend(steps::askers());
        }
        let expected = one.apply(body.clone(), repeat);
        let told = three.apply(body.clone(), repeat);
        let number = RequestNumber(one.number);
        let (told, expected) = (countdowns::by_market(&body, told), countdowns::by_market(&body, expected));
        model.apply(&Command::new(Sequence(step), Timestamp(one.number * one.pace), GATEWAY, number, body));
        // A transfer's record bears the time; all else is the same by itself.
        assert_eq!(told, expected, "seed {seed}, step {step}");
        far += u64::from(told.iter().any(|event| matches!(event, Event::Traded(_))));
        assert_eq!(three.balances(), one.balances(), "seed {seed}, step {step}");
        for asset in (0..3).map(AssetId) {
            assert_eq!(three.venue_balance(AccountId::CLEARING, asset), 0, "nothing is in transit when all is quiet");
            for account in [AccountId::EXTERNAL, AccountId::FEES] {
                assert_eq!(three.venue_balance(account, asset), one.venue_balance(account, asset));
            }
            let sums =
                three.partitions.iter().map(|partition| partition.audit().sums.get(&asset).map_or(0, |sum| sum.0));
            assert_eq!(sums.sum::<i128>(), 0);
        }
        for partition in &three.partitions {
            assert_eq!(partition.audit().violations, Vec::<String>::new());
        }
    }
    assert!(three.partitions.iter().all(|partition| partition.sequence().0 > length as u64 / 10), "all take part");
    for (partition, told) in three.partitions.iter().zip(&three.of_registry) {
        assert_eq!(*told, one.of_registry[0], "each tells of the whole registry");
        let restored = Partition::restore(partition.state(), 4).unwrap();
        assert_eq!(restored.state(), partition.state());
        for market in partition.registry().markets() {
            assert_eq!(three.routing.of_market(market), partition.routing().of_symbol(market.id));
        }
    }
    far
}

#[test]
fn three_partitions_tell_what_one_tells() {
    let trades: u64 = (100..110).map(|seed| three_tell_what_one_tells(seed, 3_000, seed % 2 == 0)).sum();
    assert!(trades > 1_000, "{trades}");
}
