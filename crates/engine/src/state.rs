//! The state of a partition: the canonical form for snapshots and hashes, and the audit.

use crossbook_protocol::countdown::Countdown;
use crossbook_protocol::routing::Routing;
use crossbook_protocol::rules::Rules;
use crossbook_protocol::wire::codec::wire_struct;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crossbook_ledger as ledger;
use crossbook_types::{Amount, AssetId, PartitionId, RequestNumber, Sequence, SymbolId, Timestamp};

use crate::dedup::Dedup;
use crate::matching::{self, Matcher, MatcherState};
use crate::outbox::Outbox;
use crate::partition::Partition;
use crate::partition::countdown::Countdowns;
use crate::partition::counting::Limits;
use crate::registry::Registry;
use crate::work_budget::WorkBudget;

/// A partition in its canonical form. Two partitions that have applied the same commands have the same state, whatever
/// process, machine or restart they went through.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct State {
    id: PartitionId,
    routing: Routing,
    sequence: Sequence,
    time: Timestamp,
    registry: Registry,
    sources: Dedup,
    /// By partition, the number of the last message to it.
    pub sent: Vec<RequestNumber>,
    /// Its money.
    pub ledger: ledger::State,
    /// Its markets, by number.
    pub matchers: Vec<(SymbolId, MatcherState)>,
    /// The markets with deferred work, in the order in which they continue; see [`crate::work_budget`].
    unfinished: VecDeque<SymbolId>,
    /// The rules that are active.
    rules: Rules,
    /// By account and scope.
    countdowns: Vec<Countdown>,
    /// Since when orders are counted for which limits.
    limits: Limits,
}

impl State {
    /// Which partition's it is.
    #[must_use]
    pub fn id(&self) -> PartitionId {
        self.id
    }

    /// Which partition owns what, as the partition knew it.
    #[must_use]
    pub fn routing(&self) -> &Routing {
        &self.routing
    }

    /// Whether the partition was made with that routing, and has learned only the numbers of the markets listed since.
    #[must_use]
    pub fn is_routed_by(&self, configured: &Routing) -> bool {
        let mut routing = configured.clone();
        for market in self.registry.markets() {
            routing.adopt(market);
        }
        routing == self.routing
    }

    /// The last command of the state.
    #[must_use]
    pub fn sequence(&self) -> Sequence {
        self.sequence
    }

    /// The time of that command.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.time
    }
}

/// A number that two partitions share when, and practically only when, their states are equal: SHA-256 over the
/// canonical form.
#[must_use]
pub fn state_hash(state: &State) -> [u8; 32] {
    crossbook_protocol::wire::hash(state)
}

/// Why a state cannot be one of a partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Error {
    /// Its money does not add up.
    #[error(transparent)]
    Ledger(#[from] ledger::Inconsistent),
    /// Its orders contradict each other.
    #[error(transparent)]
    Market(#[from] matching::Inconsistent),
    /// It has orders in a market that does not exist.
    #[error("the state has orders in a market that does not exist")]
    UnknownMarket,
    /// Its partitions are not those of a venue, or it is none of them.
    #[error("the state's partitions are not those of a venue")]
    Routing,
    /// Its registry has something under another number or name than its own.
    #[error("the state's registry contradicts itself")]
    Registry,
    /// It lacks the list of markets with deferred work.
    #[error("the state's deferred work contradicts itself")]
    Unfinished,
    /// It counts messages to other partitions than its routing knows.
    #[error("the state counts messages to partitions that do not exist")]
    Outbox,
    /// Its countdowns are more than an account may have, or out of order.
    #[error("the state's countdowns contradict each other")]
    Countdowns,
    /// It does not say since when orders are counted for the limits that its registry has switched on.
    #[error("the state's counts of orders contradict its registry")]
    Limits,
}

/// What an audit of a partition found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Audit {
    /// Per asset, the sum over all accounts: zero, or something is wrong.
    pub sums: BTreeMap<AssetId, Amount>,
    /// What is wrong; empty if nothing is.
    pub violations: Vec<String>,
}

impl Partition {
    /// The canonical form.
    #[must_use]
    pub fn state(&self) -> State {
        let matchers = self.matchers.iter().flatten();
        State {
            id: self.id,
            routing: self.outbox.routing().clone(),
            sequence: self.sequence,
            time: self.time,
            registry: self.registry.clone(),
            sources: self.sources.clone(),
            sent: self.outbox.sent().to_vec(),
            ledger: self.ledger.state(),
            matchers: matchers.map(|matcher| (matcher.market().id, matcher.state())).collect(),
            unfinished: self.unfinished.clone(),
            rules: self.active_rules,
            countdowns: self.countdowns.list(),
            limits: self.limits.clone(),
        }
    }

    /// The partition of that state. For `hash_seed` see [`Partition::new`].
    ///
    /// # Errors
    /// When the state contradicts itself.
    pub fn restore(state: State, hash_seed: u64) -> Result<Self, Error> {
        if !state.routing.is_sound() || state.id.0 >= state.routing.partitions() {
            return Err(Error::Routing);
        }
        if !state.registry.is_sound() {
            return Err(Error::Registry);
        }
        let mut matchers: Vec<Option<Box<Matcher>>> = Vec::new();
        matchers.resize_with(state.registry.markets().len(), || None);
        for (symbol, orders) in state.matchers {
            let market = *state.registry.market(symbol).ok_or(Error::UnknownMarket)?;
            matchers[symbol.0 as usize] = Some(Box::new(Matcher::restore(orders, market, hash_seed)?));
        }
        for &symbol in &state.unfinished {
            let matcher = matchers.get_mut(symbol.0 as usize).and_then(Option::as_mut).ok_or(Error::UnknownMarket)?;
            if !matcher.list() {
                return Err(Error::Unfinished);
            }
        }
        if matchers.iter_mut().flatten().any(|matcher| matcher.must_be_listed()) {
            return Err(Error::Unfinished);
        }
        if !state.limits.are_of(&state.registry) {
            return Err(Error::Limits);
        }
        let importing = state.sources.is_importing();
        Ok(Self {
            id: state.id,
            importing,
            sequence: state.sequence,
            time: state.time,
            registry: state.registry,
            sources: state.sources,
            ledger: ledger::Ledger::restore(state.ledger)?,
            matchers,
            unfinished: state.unfinished,
            work: WorkBudget::RULES,
            outbox: Outbox::restore(state.id, state.routing, state.sent).ok_or(Error::Outbox)?,
            hash_seed,
            prefetch: crate::prefetch::Prefetch::default(),
            rules: state.rules,
            active_rules: state.rules,
            countdowns: Countdowns::of_list(&state.countdowns).ok_or(Error::Countdowns)?,
            limits: state.limits,
        })
    }

    /// Adds everything up and checks every invariant from the balances and orders themselves. The cost is in proportion
    /// to all of them.
    #[must_use]
    pub fn audit(&self) -> Audit {
        let ledger::Audit { sums, violations, .. } = self.ledger.audit();
        let mut violations: Vec<String> = violations.iter().map(ToString::to_string).collect();
        for matcher in self.matchers.iter().flatten() {
            // Holds are numbered in each partition: that of an account elsewhere is not one of this ledger's.
            let held = |account, hold| self.ledger.has(account).then(|| self.ledger.held_under(hold)).flatten();
            matcher.audit(held, &mut violations);
        }
        if self.outbox.routing().partitions() == 1 && !self.importing {
            // Orders of a list share one.
            let held: BTreeSet<_> = self.matchers.iter().flatten().flat_map(|matcher| matcher.holds()).collect();
            for &(account, hold) in &held {
                if self.ledger.held_under(hold).is_none() {
                    violations.push(format!("an open order of account {account} has no funds held"));
                }
            }
            if held.len() != self.ledger.holds() {
                violations.push(format!("{} open orders, but {} holds", held.len(), self.ledger.holds()));
            }
            if self.ledger.in_transit() {
                violations.push("money is in transit between commands".to_owned());
            }
        }
        Audit { sums, violations }
    }
}

wire_struct! {
    State {
        0: id, 1: routing, 2: sequence, 3: time, 4: registry, 5: sources, 6: sent, 7: ledger, 8: matchers,
        9: unfinished;
        optional 10: rules, 11: countdowns, 22: limits,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbook_protocol::command::{ChangeMarket, ListAsset, ListMarket, OpenAccount, TransferRequest};
    use crossbook_protocol::order::{NewOrder, OrderTerms, Size};
    use crossbook_protocol::order_list::NewList;
    use crossbook_protocol::{Body, Command, Events, wire};
    use crossbook_types::{
        AccountId, Amount, ClientOrderId, FeeDiscount, FeeRate, Fees, ListKind, OrderType, Price, Quantity,
        RequestNumber, SelfTradePrevention, Side, SourceId, TimeInForce, TransferId,
    };

    #[test]
    fn a_state_of_a_partition_that_the_venue_has_not_is_refused() {
        let sound = Partition::new(PartitionId(0), Routing::single(), 7).state();
        assert!(Partition::restore(sound.clone(), 7).is_ok());
        let restored = Partition::restore(State { id: PartitionId(1), ..sound }, 7);
        assert_eq!(restored.map(drop), Err(Error::Routing));
    }

    const TRADER: AccountId = AccountId::FIRST_CLIENT;

    /// A partition with one market, and one account that has enough of everything.
    fn with_trader(work: crate::WorkBudget) -> Partition {
        let mut partition = Partition::new(PartitionId(0), Routing::single(), 7).with_work(work);
        let market = crossbook_oracle::sample::btcusdt();
        let assets = [market.base, market.quote];
        let mut bodies = vec![Body::ActivateRules(Rules::V4)];
        bodies.extend(assets.map(|asset| Body::ListAsset(ListAsset { name: asset.name, decimals: asset.decimals })));
        bodies.push(Body::ListMarket(Box::new(ListMarket { description: market })));
        bodies.push(Body::OpenAccount(OpenAccount { label: String::new() }));
        for asset in assets {
            let transfer = TransferId::new_checked(asset.name.as_str()).unwrap();
            bodies.push(Body::Transfer(TransferRequest {
                account: TRADER,
                asset: asset.id,
                amount: Amount(1 << 60),
                transfer,
            }));
        }
        apply(&mut partition, bodies);
        partition
    }

    fn apply(partition: &mut Partition, bodies: Vec<Body>) {
        let mut events = Events::new();
        for body in bodies {
            let sequence = partition.sequence().next();
            let number = RequestNumber(sequence.0);
            partition
                .apply(&Command::new(sequence, Timestamp(sequence.0), SourceId(1 << 20), number, body), &mut events);
            events.clear();
        }
    }

    fn order(name: &str, side: Side, order_type: OrderType, price: Option<u64>, stop: Option<u64>) -> OrderTerms {
        OrderTerms {
            symbol: SymbolId(0),
            client_order_id: ClientOrderId::new_checked(name).unwrap(),
            side,
            order_type,
            time_in_force: TimeInForce::Gtc,
            price: price.map(Price),
            size: Size::Base(Quantity(1)),
            stop_price: stop.map(Price).into(),
            self_trade_prevention: SelfTradePrevention::None,
            instructions: None,
        }
    }

    /// A partition in whose one market a trade has reached two stop prices, of which it has triggered none yet.
    fn with_work_left() -> Partition {
        let mut partition = with_trader(crate::WorkBudget { triggers: 0, ..crate::WorkBudget::RULES });
        let orders = [
            order("a", Side::Sell, OrderType::StopLoss, None, Some(110)),
            order("b", Side::Sell, OrderType::StopLoss, None, Some(105)),
            order("c", Side::Buy, OrderType::Limit, Some(100), None),
            order("d", Side::Sell, OrderType::Limit, Some(100), None),
        ];
        apply(&mut partition, orders.map(|terms| Body::Place(NewOrder { account: TRADER, terms })).to_vec());
        partition
    }

    #[test]
    fn a_market_that_has_reached_prices_has_traded() {
        let partition = with_work_left();
        assert!(partition.continuation().is_some());
        let mut state = partition.state();
        assert!(Partition::restore(state.clone(), 7).is_ok());
        state.matchers[0].1.last_price = None;
        assert_eq!(Partition::restore(state, 7).map(drop), Err(Error::Market(matching::Inconsistent)));
    }

    #[test]
    fn orders_of_a_pair_say_the_same_of_what_is_held_for_their_fees() {
        let mut partition = with_trader(crate::WorkBudget::RULES);
        let rates = vec![(AssetId(1), 100_000_000)];
        let discount = FeeDiscount { asset: AssetId(0), basis_points: 2_500, rates, except: Vec::new() };
        let orders = vec![
            order("a", Side::Sell, OrderType::StopLoss, None, Some(90)),
            order("b", Side::Sell, OrderType::LimitMaker, Some(110), None),
        ];
        let client_order_id = ClientOrderId::new_checked("pair").unwrap();
        let pair = NewList { account: TRADER, symbol: SymbolId(0), client_order_id, kind: ListKind::Oco, orders };
        let use_it = Body::SetDiscountUse { account: TRADER, on: true };
        let rate = FeeRate::from_decimal(crossbook_oracle::sample::decimal("0.001")).unwrap();
        let fees = Some(Fees { maker: rate, taker: rate });
        let change = ChangeMarket { symbol: SymbolId(0), filters: None, fees, status: None, self_trade: None };
        let bodies = vec![
            Body::ChangeMarket(Box::new(change)),
            Body::SetFeeDiscount(Box::new(discount)),
            use_it,
            Body::PlaceList(Box::new(pair)),
        ];
        apply(&mut partition, bodies);
        let sound = partition.state();
        assert_eq!(sound.matchers[0].1.reserves.len(), 2);
        assert!(Partition::restore(sound.clone(), 7).is_ok());
        for at in 0..2 {
            let mut lowered = sound.clone();
            lowered.matchers[0].1.reserves[at].1.left = Amount::ZERO;
            let mut removed = sound.clone();
            removed.matchers[0].1.reserves.remove(at);
            for state in [lowered, removed] {
                assert_eq!(Partition::restore(state, 7).map(drop), Err(Error::Market(matching::Inconsistent)));
            }
        }
    }

    proptest::proptest! {
        /// Bytes from anywhere are read or refused, never a panic.
        #[test]
        fn any_bytes_are_safe(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let versioned = [&[wire::VERSION], &bytes[..]].concat();
            let _ = wire::decode::<State>(&versioned);
        }
    }
}
