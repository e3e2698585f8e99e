//! The venue as a reader of the event stream knows it, and the invariants that every command must keep.

use std::collections::{BTreeMap, BTreeSet};

use crossbook_engine::Partition;
use crossbook_protocol::command::Body;
use crossbook_protocol::event::{OrderAmended, OrderPlaced, PreventedMatch};
use crossbook_protocol::order::Size;
use crossbook_protocol::peer::Origin;
use crossbook_protocol::{Command, Event};
use crossbook_types::{
    AccountId, Amount, AssetId, ListStatus, OrderId, OrderListId, OrderType, Price, Quantity, RequestNumber, Side,
    SourceId, SymbolId,
};

/// An open order as its events tell it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Open {
    pub account: AccountId,
    pub side: Side,
    pub order_type: OrderType,
    pub price: Option<Price>,
    /// What is left of it; `None` for a quote amount.
    pub left: Option<Quantity>,
    pub waits: bool,
    /// Whether it has a stop price.
    pub stops: bool,
    /// Of an iceberg order: how much of it shows at a time.
    pub part: Option<Quantity>,
    /// How much of it shows, once it rests.
    pub shown: Option<Quantity>,
}

impl Open {
    fn of(placed: &OrderPlaced) -> Self {
        Self {
            account: placed.account,
            side: placed.terms.side,
            order_type: placed.terms.order_type,
            price: placed.terms.limit(),
            left: match placed.terms.size {
                Size::Base(quantity) => Some(quantity),
                Size::Quote(_) => None,
            },
            waits: placed.terms.waits() || pending(placed),
            stops: placed.terms.waits(),
            part: placed.terms.iceberg(),
            shown: None,
        }
    }

    fn trigger(&mut self, account: AccountId) {
        assert!(self.waits && self.account == account, "a waiting order triggers");
        self.waits = false;
    }

    fn peg(&mut self, price: Price) {
        assert!(!self.waits && self.price.is_none(), "a pegged order gets its price once");
        self.price = Some(price);
    }

    fn trade(&mut self, quantity: Quantity, as_maker: bool) {
        if as_maker {
            self.show();
        }
        if let Some(left) = &mut self.left {
            *left = left.minus(quantity);
        }
        if let Some(shown) = &mut self.shown {
            *shown = shown.minus(quantity);
            if shown.is_zero() {
                self.shown = None;
                self.show();
            }
        }
    }

    /// It rests: so much of it shows.
    fn show(&mut self) {
        if let (Some(part), Some(left), None) = (self.part, self.left, self.shown) {
            self.shown = Some(part.min(left));
        }
    }
}

/// A fold of all events.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Mirror {
    orders: BTreeMap<(SymbolId, OrderId), Open>,
    depth: BTreeMap<(SymbolId, Side, Price), Quantity>,
    balances: BTreeMap<(AccountId, AssetId), (Amount, Amount)>,
    updates: BTreeMap<SymbolId, u64>,
    trades: BTreeMap<SymbolId, u64>,
    placed: BTreeMap<SymbolId, u64>,
    /// The orders of each open list.
    lists: BTreeMap<OrderListId, Vec<(SymbolId, OrderId)>>,
    /// Cancels of all orders that are still to be answered, and how many: those of countdowns are nobody's.
    canceling: BTreeMap<(SourceId, RequestNumber), u64>,
}

impl Mirror {
    pub fn order(&self, symbol: SymbolId, order: OrderId) -> Option<&Open> {
        self.orders.get(&(symbol, order))
    }

    pub fn open_orders(&self) -> &BTreeMap<(SymbolId, OrderId), Open> {
        &self.orders
    }

    pub fn depth(&self, symbol: SymbolId, side: Side) -> Vec<(u64, u64)> {
        let level = |(&(s, sd, price), &quantity): (&(SymbolId, Side, Price), &Quantity)| {
            (s == symbol && sd == side).then_some((price.0, quantity.0))
        };
        let mut levels: Vec<_> = self.depth.iter().filter_map(level).collect();
        if side == Side::Buy {
            levels.reverse();
        }
        levels
    }

    /// Takes a command's events in, and checks their order and their numbers.
    pub fn fold(&mut self, command: &Command, events: &[Event]) {
        let client = !matches!(command.body, Body::Peer(_));
        let answers = events.iter().filter(|event| matches!(event, Event::Answered { .. })).count();
        let later = events.iter().any(|event| matches!(event, Event::CancelAllBegun { .. }));
        let due = !client || answers == 1 || later || events.is_empty();
        assert!(due, "one answer, at once or later, or a repetition: {events:?}");
        let mut balances_began = false;
        let mut told = BTreeSet::new();
        for (at, event) in events.iter().enumerate() {
            let is_balance = matches!(event, Event::BalanceChanged { .. });
            assert!(is_balance || !balances_began, "balances come last: {events:?}");
            balances_began |= is_balance;
            let begins = events[..at].iter().all(|event| matches!(event, Event::OrderPlaced(_)));
            // Before it a phase of the market's session may come to its end.
            let ended = matches!(events[0], Event::SessionChanged(_));
            let first = begins || ended || matches!(command.body, Body::Replace(_));
            assert!(first || !matches!(event, Event::OrderPlaced(_)), "orders begin with their placing");
            self.fold_one(command, event, &mut told);
        }
        self.orders.values_mut().filter(|open| !open.waits).for_each(Open::show);
    }

    fn fold_one(&mut self, command: &Command, event: &Event, told: &mut BTreeSet<(AccountId, AssetId)>) {
        match event {
            Event::OrderPlaced(placed) => {
                let count = self.placed.entry(placed.terms.symbol).or_default();
                *count += 1;
                assert_eq!(placed.order, OrderId(*count), "orders are counted without gaps");
                self.orders.insert((placed.terms.symbol, placed.order), Open::of(placed));
            }
            Event::OrderTriggered { symbol, order, account } => {
                self.orders.get_mut(&(*symbol, *order)).expect("an open order triggers").trigger(*account);
            }
            Event::OrderAmended(amended) => self.amend(amended),
            Event::OrderPegged { symbol, order, price, .. } => {
                self.orders.get_mut(&(*symbol, *order)).expect("an open order is pegged").peg(*price);
            }
            Event::Traded(trade) => {
                let count = self.trades.entry(trade.symbol).or_default();
                *count += 1;
                assert_eq!(trade.trade.0, *count, "trades are counted without gaps");
                for (party, of_maker) in [(trade.taker, false), (trade.maker, true)] {
                    let open = self.orders.get_mut(&(trade.symbol, party.order)).expect("open orders trade");
                    assert!(!open.waits && open.account == party.account);
                    open.trade(trade.quantity, of_maker);
                }
            }
            Event::MatchPrevented(prevented) if prevented.mode.decrements() => self.decrement(prevented),
            Event::OrderClosed(closed) => {
                let open = self.orders.remove(&(closed.symbol, closed.order)).expect("an order ends once");
                assert_eq!(open.account, closed.account);
            }
            Event::DepthChanged(change) => {
                let count = self.updates.entry(change.symbol).or_default();
                *count += 1;
                assert_eq!(change.update, *count, "depth updates are counted without gaps");
                let key = (change.symbol, change.side, change.price);
                if change.quantity.is_zero() {
                    assert!(self.depth.remove(&key).is_some(), "a level vanishes that was there");
                } else {
                    assert_ne!(self.depth.insert(key, change.quantity), Some(change.quantity), "a change changes");
                }
            }
            Event::BalanceChanged { account, asset, free, held } => {
                assert!(!free.is_negative() && !held.is_negative(), "no balance is negative");
                assert!(told.insert((*account, *asset)), "a balance is told once");
                let before = self.balances.insert((*account, *asset), (*free, *held));
                assert_ne!(before.unwrap_or_default(), (*free, *held), "a change changes");
            }
            Event::Answered { source, number, .. } => {
                let begun = self.canceling.get(&(*source, *number)).copied().unwrap_or(0);
                assert!(begun > 0 || (*source, *number) == (command.source, command.number), "{event:?}");
                match begun {
                    0 | 1 => drop(self.canceling.remove(&(*source, *number))),
                    more => drop(self.canceling.insert((*source, *number), more - 1)),
                }
            }
            Event::CancelAllBegun { source, number, .. } => {
                let begun = self.canceling.entry((*source, *number)).or_default();
                *begun += 1;
                let nobodys = (*source, *number) == (Origin::NOBODY.source, Origin::NOBODY.number);
                assert!(*begun == 1 || nobodys, "it begins once: {event:?}");
            }
            event => self.fold_list(event),
        }
    }

    /// The events of order lists.
    fn fold_list(&mut self, event: &Event) {
        match event {
            Event::OrderReleased { symbol, order, account, quantity } => {
                let open = self.orders.get_mut(&(*symbol, *order)).expect("an open order is placed");
                assert!(open.waits && open.account == *account, "a pending order is placed");
                open.waits = open.stops;
                open.left = Some(*quantity);
            }
            Event::ListPlaced(placed) => {
                let members = placed.orders.iter().map(|order| (placed.symbol, *order)).collect();
                assert!(self.lists.insert(placed.list, members).is_none(), "a list begins once");
            }
            Event::ListChanged { list, status, .. } => {
                let members = self.lists.get(list).expect("a list that changes is open");
                let open = members.iter().any(|order| self.orders.contains_key(order));
                assert_eq!(open, *status == ListStatus::Executing, "a list is done with its last order");
                if !open {
                    self.lists.remove(list);
                }
            }
            _ => {}
        }
    }

    fn decrement(&mut self, prevented: &PreventedMatch) {
        let taker = (prevented.taker, prevented.account, false);
        for (order, account, of_maker) in [taker, (prevented.maker, prevented.maker_account(), true)] {
            let open = self.orders.get_mut(&(prevented.symbol, order)).expect("open orders are decremented");
            assert!(!open.waits && open.account == account);
            open.trade(prevented.quantity, of_maker);
        }
    }

    fn amend(&mut self, amended: &OrderAmended) {
        let open = self.orders.get_mut(&(amended.symbol, amended.order)).expect("an open order is amended");
        assert_eq!(open.account, amended.account);
        let less = amended.quantity_before.minus(amended.quantity);
        open.left = open.left.map(|left| left.minus(less));
        assert!(open.left.is_some_and(|left| !left.is_zero()), "something is left of what is amended");
        // What is hidden goes first.
        open.shown = open.shown.map(|shown| shown.min(open.left.unwrap_or_default()));
    }

    /// Checks that the depth told is that of the orders told, and the balances told are those of the ledger.
    pub fn check(&self, partition: &Partition) {
        let mut depth = BTreeMap::new();
        for (&(symbol, _), open) in &self.orders {
            if !open.waits {
                let price = open.price.expect("what rests has a price");
                let left = open.shown.or(open.left).expect("what rests has a quantity");
                let level: &mut Quantity = depth.entry((symbol, open.side, price)).or_default();
                *level = level.plus(left);
            }
        }
        assert_eq!(self.depth, depth, "depth as told and as it follows from the orders");
        let mut known = self.balances.clone();
        known.retain(|_, &mut (free, held)| !(free.is_zero() && held.is_zero()));
        let balances = partition.ledger().balances();
        let actual: BTreeMap<_, _> =
            balances.map(|(account, asset, balance)| ((account, asset), (balance.free, balance.held))).collect();
        assert_eq!(known, actual, "balances as told and as they are");
    }
}

/// Whether an order of a list is placed only when the list's working order is filled.
fn pending(placed: &OrderPlaced) -> bool {
    let list = placed.terms.instructions.as_ref().and_then(|instructions| instructions.list);
    list.is_some_and(|membership| membership.pending)
}
