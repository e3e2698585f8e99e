//! Every open order of a market, and the ways to find one: by its number, by its client's name, by its account.
//!
//! Orders that work rest in one [`Book`]; orders that wait for their stop price stand in another, keyed by that price, in which
//! the "asks" are those that trigger when the price rises and the "bids" those that trigger when it falls: the best of each is
//! the one that triggers first.

use std::hash::{BuildHasher, Hash, Hasher};

use crossbook_book::{Book, Slot};
use crossbook_ledger::CountingHash;
use crossbook_types::{
    AccountId, Amount, ClientOrderId, Fees, HoldId, OrderId, OrderType, Price, Quantity, SelfTradePrevention, Side,
    TimeInForce,
};
use foldhash::quality::FixedState;
use hashbrown::{HashMap, HashTable};
use serde::{Deserialize, Serialize};

use crate::command::Target;

/// An open order, whether it works or waits.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) id: OrderId,
    pub(crate) account: AccountId,
    pub(crate) hold: HoldId,
    pub(crate) client_order_id: ClientOrderId,
    pub(crate) fees: Fees,
    pub(crate) side: Side,
    pub(crate) order_type: OrderType,
    pub(crate) time_in_force: TimeInForce,
    pub(crate) self_trade_prevention: SelfTradePrevention,
}

/// What only a waiting order has.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Waiting {
    pub(crate) order: Order,
    pub(crate) limit: Option<Price>,
    pub(crate) budget: Amount,
}

/// An open order's place among those of its account. Kept apart from the order, as whoever leaves touches its neighbours' places.
#[derive(Clone, Copy, Debug)]
struct Link {
    trader: u32,
    previous: Handle,
    next: Handle,
}

/// Where an open order stands: a slot of the working or, with the top bit set, of the waiting book.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Handle(u32);

impl Handle {
    const NONE: Self = Self(u32::MAX);
    const WAITING: u32 = 1 << 31;

    fn working(slot: Slot) -> Self {
        Self(slot.index())
    }

    fn waiting(slot: Slot) -> Self {
        Self(slot.index() | Self::WAITING)
    }

    pub(crate) fn is_waiting(self) -> bool {
        self.0 & Self::WAITING != 0
    }

    fn slot(self) -> Slot {
        Slot::from_index(self.0 & !Self::WAITING)
    }
}

/// An account's part in a market.
#[derive(Clone, Debug)]
struct Trader {
    /// Open orders.
    open: u32,
    /// Of these, waiting ones.
    waiting: u32,
    first: Handle,
}

/// The first order of a side of the working book.
pub(crate) struct Top<'a> {
    pub(crate) slot: Slot,
    pub(crate) price: Price,
    pub(crate) quantity: Quantity,
    pub(crate) order: &'a Order,
}

/// An order that was taken out of the books.
#[derive(Clone, Debug)]
pub(crate) struct Removed {
    pub(crate) order: Order,
    /// For a working order, its limit price, at which the depth has changed.
    pub(crate) price: Option<Price>,
}

/// All open orders of a market.
#[derive(Clone, Debug)]
pub(crate) struct OpenOrders {
    working: Book<Order>,
    waiting: Book<Waiting>,
    /// By slot of the working book.
    working_links: Vec<Link>,
    /// By slot of the waiting book.
    waiting_links: Vec<Link>,
    by_id: HashMap<OrderId, Handle, CountingHash>,
    /// By account and client order id. Clients choose these, so the hash is seeded.
    by_client: HashTable<Handle>,
    hash: FixedState,
    traders: Vec<Trader>,
    trader_of: HashMap<AccountId, u32, CountingHash>,
}

impl OpenOrders {
    pub(crate) fn new(hash_seed: u64) -> Self {
        Self {
            working: Book::new(),
            waiting: Book::new(),
            working_links: Vec::new(),
            waiting_links: Vec::new(),
            by_id: HashMap::default(),
            by_client: HashTable::new(),
            hash: FixedState::with_seed(hash_seed),
            traders: Vec::new(),
            trader_of: HashMap::default(),
        }
    }

    /// Whether there is room for another order, working or waiting.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.by_id.len() >= crossbook_book::ORDERS_MAX
    }

    /// How many open orders an account has, and how many of them wait.
    #[inline]
    pub(crate) fn counts(&self, account: AccountId) -> (u32, u32) {
        let trader = self.trader_of.get(&account).map(|&at| &self.traders[at as usize]);
        trader.map_or((0, 0), |trader| (trader.open, trader.waiting))
    }

    #[inline]
    pub(crate) fn best(&self, side: Side) -> Option<Price> {
        self.working.best(side)
    }

    #[inline]
    pub(crate) fn top(&self, side: Side) -> Option<Top<'_>> {
        let entry = self.working.top(side)?;
        Some(Top { slot: entry.slot, price: entry.price, quantity: entry.quantity, order: entry.data })
    }

    #[inline]
    pub(crate) fn depth_at(&self, side: Side, price: Price) -> Quantity {
        self.working.depth_at(side, price)
    }

    pub(crate) fn depth(&self, side: Side) -> impl Iterator<Item = (Price, Quantity)> {
        self.working.depth(side)
    }

    /// Working orders of a side in the order in which they trade: price, what is left, the order.
    pub(crate) fn working(&self, side: Side) -> impl Iterator<Item = (Price, Quantity, &Order)> {
        self.working.orders(side).map(|entry| (entry.price, entry.quantity, entry.data))
    }

    /// Waiting orders that trigger on a rise (or on a fall) in the order in which they do: stop price, quantity, the order.
    pub(crate) fn waiting(&self, on_rise: bool) -> impl Iterator<Item = (Price, Quantity, &Waiting)> {
        self.waiting.orders(trigger_side(on_rise)).map(|entry| (entry.price, entry.quantity, entry.data))
    }

    /// The next waiting order's stop price.
    #[inline]
    pub(crate) fn next_stop(&self, on_rise: bool) -> Option<Price> {
        self.waiting.best(trigger_side(on_rise))
    }

    /// Takes the next waiting order out: its stop price, quantity, and the order.
    pub(crate) fn pop_waiting(&mut self, on_rise: bool) -> Option<(Quantity, Waiting)> {
        let entry = self.waiting.top(trigger_side(on_rise))?;
        let (slot, quantity) = (entry.slot, entry.quantity);
        self.forget(Handle::waiting(slot));
        Some((quantity, self.waiting.remove(slot)))
    }

    /// Lets an order work at a price.
    #[inline]
    pub(crate) fn rest(&mut self, price: Price, quantity: Quantity, order: Order) {
        let (id, account) = (order.id, order.account);
        let trader = self.trader(account);
        let slot = self.working.rest(order.side, price, quantity, order);
        self.remember(Handle::working(slot), id, trader);
    }

    /// Lets an order wait for its stop price.
    pub(crate) fn wait(&mut self, stop: Price, quantity: Quantity, waiting: Waiting) {
        let (id, account) = (waiting.order.id, waiting.order.account);
        let on_rise = waiting.order.order_type.triggers_on_rise(waiting.order.side);
        let trader = self.trader(account);
        let slot = self.waiting.rest(trigger_side(on_rise), stop, quantity, waiting);
        self.remember(Handle::waiting(slot), id, trader);
    }

    /// Takes `quantity` from a working order; gives the order back if nothing is left of it.
    #[inline]
    pub(crate) fn fill(&mut self, slot: Slot, quantity: Quantity) -> Option<Order> {
        if self.working.get(slot).quantity == quantity {
            self.forget(Handle::working(slot));
        }
        self.working.reduce(slot, quantity)
    }

    /// Takes a working order out.
    #[inline]
    pub(crate) fn remove_working(&mut self, slot: Slot) -> Order {
        self.forget(Handle::working(slot));
        self.working.remove(slot)
    }

    /// Takes an order out, wherever it stands.
    #[inline]
    pub(crate) fn remove(&mut self, handle: Handle) -> Removed {
        self.forget(handle);
        if handle.is_waiting() {
            return Removed { order: self.waiting.remove(handle.slot()).order, price: None };
        }
        let price = self.working.get(handle.slot()).price;
        Removed { order: self.working.remove(handle.slot()), price: Some(price) }
    }

    /// The account's open order of that name.
    #[inline]
    pub(crate) fn find(&self, account: AccountId, target: Target) -> Option<Handle> {
        let by_id = |id| self.by_id.get(&id).copied();
        let handle = match target {
            Target::Order(id) => by_id(id)?,
            Target::Client(name) => self.find_client(account, name)?,
            Target::Both(id, name) => by_id(id).filter(|&handle| self.order(handle).client_order_id == name)?,
        };
        (self.order(handle).account == account).then_some(handle)
    }

    #[inline]
    pub(crate) fn find_client(&self, account: AccountId, name: ClientOrderId) -> Option<Handle> {
        let same = |&handle: &Handle| {
            let order = self.order(handle);
            order.client_order_id == name && order.account == account
        };
        self.by_client.find(hash_name(&self.hash, account, name), same).copied()
    }

    /// The account's open orders by number, into `list`.
    pub(crate) fn of_account(&self, account: AccountId, list: &mut Vec<(OrderId, Handle)>) {
        list.clear();
        let Some(&trader) = self.trader_of.get(&account) else { return };
        let mut at = self.traders[trader as usize].first;
        while at != Handle::NONE {
            list.push((self.order(at).id, at));
            at = self.link(at).next;
        }
        list.sort_unstable_by_key(|&(id, _)| id);
    }

    #[inline]
    fn order(&self, handle: Handle) -> &Order {
        order_at(&self.working, &self.waiting, handle)
    }

    fn trader(&mut self, account: AccountId) -> u32 {
        *self.trader_of.entry(account).or_insert_with(|| {
            self.traders.push(Trader { open: 0, waiting: 0, first: Handle::NONE });
            u32::try_from(self.traders.len() - 1).expect("fewer than 2^32 accounts")
        })
    }

    /// Enters an order that now stands in its book into every index.
    #[inline]
    fn remember(&mut self, handle: Handle, id: OrderId, trader: u32) {
        let before = self.by_id.insert(id, handle);
        assert!(before.is_none(), "an order is open once");
        let Self { working, waiting, hash, by_client, traders, .. } = self;
        let (working, waiting, hash) = (&*working, &*waiting, &*hash);
        let hash_of = |&handle: &Handle| {
            let order = order_at(working, waiting, handle);
            hash_name(hash, order.account, order.client_order_id)
        };
        let own = hash_of(&handle);
        by_client.insert_unique(own, handle, hash_of);
        let entry = &mut traders[trader as usize];
        entry.open += 1;
        entry.waiting += u32::from(handle.is_waiting());
        let next = std::mem::replace(&mut entry.first, handle);
        let link = Link { trader, previous: Handle::NONE, next };
        let (links, at) = self.links_mut(handle);
        if at < links.len() {
            links[at] = link;
        } else {
            assert_eq!(at, links.len(), "a book takes its slots one after the other");
            links.push(link);
        }
        if next != Handle::NONE {
            self.link_mut(next).previous = handle;
        }
    }

    /// Strikes an order that still stands in its book out of every index.
    #[inline]
    fn forget(&mut self, handle: Handle) {
        let order = self.order(handle);
        let (id, hash) = (order.id, hash_name(&self.hash, order.account, order.client_order_id));
        let by_id = self.by_id.remove(&id);
        assert_eq!(by_id, Some(handle), "an open order is found by its number");
        let by_client = self.by_client.find_entry(hash, |&other| other == handle);
        by_client.expect("an open order is found by its client's name").remove();
        let Link { trader, previous, next } = *self.link(handle);
        let entry = &mut self.traders[trader as usize];
        entry.open -= 1;
        entry.waiting -= u32::from(handle.is_waiting());
        if previous == Handle::NONE {
            entry.first = next;
        } else {
            self.link_mut(previous).next = next;
        }
        if next != Handle::NONE {
            self.link_mut(next).previous = previous;
        }
    }

    #[inline]
    fn link(&self, handle: Handle) -> &Link {
        let links = if handle.is_waiting() { &self.waiting_links } else { &self.working_links };
        &links[handle.slot().index() as usize]
    }

    #[inline]
    fn link_mut(&mut self, handle: Handle) -> &mut Link {
        let (links, at) = self.links_mut(handle);
        &mut links[at]
    }

    #[inline]
    fn links_mut(&mut self, handle: Handle) -> (&mut Vec<Link>, usize) {
        let links = if handle.is_waiting() { &mut self.waiting_links } else { &mut self.working_links };
        (links, handle.slot().index() as usize)
    }
}

fn trigger_side(on_rise: bool) -> Side {
    if on_rise { Side::Sell } else { Side::Buy }
}

#[inline]
fn order_at<'a>(working: &'a Book<Order>, waiting: &'a Book<Waiting>, handle: Handle) -> &'a Order {
    if handle.is_waiting() { &waiting.data(handle.slot()).order } else { working.data(handle.slot()) }
}

#[inline]
fn hash_name(hash: &FixedState, account: AccountId, name: ClientOrderId) -> u64 {
    let mut hasher = hash.build_hasher();
    hasher.write_u64(account.0);
    name.as_str().hash(&mut hasher);
    hasher.finish()
}
