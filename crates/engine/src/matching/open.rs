//! Every open order of a market, and the indexes to find one: by order id, by client order id, by account.
//!
//! Resting orders are in one [`Book`]. Pending stop orders are in another, keyed by stop price, in which the "asks"
//! trigger when the price rises and the "bids" when it falls: the best of each triggers first. Orders that are pending
//! in a list are in a third, where all stand in one queue: its order means nothing, but all indexes work on it.

use crossbook_protocol::wire::codec::wire_struct;

use crossbook_book::{Book, Slot};
use crossbook_ledger::CountingHash;
use crossbook_types::{
    AccountId, Amount, ClientOrderId, FeeCredit, Fees, HoldId, OrderId, OrderType, Price, Quantity,
    SelfTradePrevention, Side, TimeInForce, TradeGroupId,
};
use foldhash::quality::FixedState;
use hashbrown::{HashMap, HashTable};

use super::account_orders::{List, Lists, Place};
use super::by_slot::BySlot;
use super::handle::Handle;

mod amend;
mod groups;
mod hashes;
mod iceberg;
mod listed;
mod lookup;
mod marks;
mod min_tree;
mod prevention;
mod special;
mod trail;
mod trailing;

pub(crate) use amend::Amendable;
use groups::Groups;
use hashes::{NameHash, hash_of};
pub(crate) use iceberg::Iceberg;
use iceberg::Icebergs;
use marks::Marks;
pub(crate) use special::Special;
use trailing::Trails;
pub(crate) use trailing::{ANY_PRICE, Trailing};

/// An open order, whether it works or waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
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
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Waiting {
    pub(crate) order: Order,
    pub(crate) limit: Option<Price>,
    pub(crate) budget: Amount,
}

/// The fields of an order besides its price, side and quantity. They are in the book itself, on the order's one cache
/// line; only the client order id, which is read only to look it up, is elsewhere, by slot.
#[derive(Clone, Copy, Debug)]
struct Known {
    id: OrderId,
    hold: HoldId,
    fees: Fees,
    trader: u32,
    /// The order's place in its trader's list.
    place: Place,
    /// The hash of its account and client order id.
    name: NameHash,
    order_type: OrderType,
    time_in_force: TimeInForce,
    self_trade_prevention: SelfTradePrevention,
    marks: Marks,
}

impl Known {
    /// Whether it waits for a stop price, now or when it is no longer pending.
    #[inline]
    fn will_trigger(&self, handle: Handle) -> bool {
        !handle.is_working() && self.order_type.is_conditional()
    }
}

/// With more than this an order in the book would need a second cache line; see [`BySlot`] for further fields.
const _: () = assert!(size_of::<Known>() <= 40);

/// Whose order it is, and what pays for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner {
    pub(crate) order: OrderId,
    pub(crate) account: AccountId,
    pub(crate) hold: HoldId,
    /// Whether the order belongs to a list, so that its end concerns others.
    pub(crate) listed: bool,
    /// Whether something is held for its fees.
    pub(crate) discounted: bool,
}

/// Who places an order and under which name, looked up once for all that is asked about it until it rests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Applicant {
    /// The account's part in the market, if it has had one.
    trader: Option<u32>,
    name: NameHash,
}

/// An account's part in a market.
#[derive(Clone, Debug)]
struct Trader {
    account: AccountId,
    orders: List,
    /// How many of them wait for a stop price, now or after they were pending.
    waiting: u32,
}

/// The first order of a side of the working book.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Top {
    pub(crate) slot: Slot,
    pub(crate) price: Price,
    pub(crate) quantity: Quantity,
    pub(crate) owner: Owner,
    pub(crate) fees: Fees,
    /// Whether any of it has traded.
    pub(crate) traded: bool,
}

/// An order that was taken out of the books.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Removed {
    pub(crate) owner: Owner,
    /// For a working order, where the depth has changed.
    pub(crate) level: Option<Level>,
}

/// A price, and the remaining quantity there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Level {
    pub(crate) side: Side,
    pub(crate) price: Price,
    pub(crate) left: Quantity,
}

/// What a trade has left of a working order, and at its price.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filled {
    /// Whether nothing is left of the order, so that it is gone.
    pub(crate) gone: bool,
    pub(crate) left: Quantity,
}

/// All open orders of a market.
#[derive(Clone, Debug)]
pub(crate) struct OpenOrders {
    working: Book<Known>,
    waiting: Book<Known>,
    pending: Book<Known>,
    pending_names: BySlot<ClientOrderId>,
    working_names: BySlot<ClientOrderId>,
    /// Of orders of which some has traded. Orders that trade whole and at once never touch it.
    fee_credits: BySlot<FeeCredit>,
    waiting_orders: BySlot<Waiting>,
    /// Of waiting orders that are marked to have some.
    waiting_specials: BySlot<Special>,
    icebergs: Icebergs,
    groups: Groups,
    trails: Trails,
    by_id: HashTable<Handle>,
    /// By account and client order id. Clients choose these, so the hash is seeded.
    by_client: HashTable<Handle>,
    hash: FixedState,
    traders: Vec<Trader>,
    /// The orders of each trader.
    lists: Lists,
    trader_of: HashMap<AccountId, u32, CountingHash>,
}

impl OpenOrders {
    pub(crate) fn new(hash_seed: u64) -> Self {
        Self {
            working: Book::new(),
            waiting: Book::new(),
            pending: Book::new(),
            pending_names: BySlot::new(),
            working_names: BySlot::new(),
            fee_credits: BySlot::new(),
            waiting_orders: BySlot::new(),
            waiting_specials: BySlot::new(),
            icebergs: Icebergs::default(),
            groups: Groups::default(),
            trails: Trails::default(),
            by_id: HashTable::new(),
            by_client: HashTable::new(),
            hash: FixedState::with_seed(hash_seed),
            traders: Vec::new(),
            lists: Lists::new(),
            trader_of: HashMap::default(),
        }
    }

    /// Whether there is no room for another order, working or waiting.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.has_no_room_for(1)
    }

    /// Whether there is no room for so many more orders.
    #[inline]
    pub(crate) fn has_no_room_for(&self, orders: usize) -> bool {
        self.by_id.len() + orders > crossbook_book::ORDERS_MAX
    }

    /// Whether there is no order, working or waiting.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// How many orders are open.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// The next order of all: of the bids, the offers, those that wait for a rise, those that wait for a fall, those
    /// that trail the price, and those that are pending in lists.
    pub(crate) fn any(&self) -> Option<Handle> {
        let sides = [Side::Buy, Side::Sell];
        let working =
            sides.into_iter().find_map(|side| self.working.top(side)).map(|entry| Handle::working(entry.slot));
        let waiting = || [true, false].into_iter().find_map(|on_rise| self.waiting.top(trigger_side(on_rise)));
        working
            .or_else(|| waiting().map(|entry| Handle::waiting(entry.slot)))
            .or_else(|| self.trails.any().map(Handle::waiting))
            .or_else(|| self.pending.top(Side::Buy).map(|entry| Handle::pending(entry.slot)))
    }

    /// How many orders are working.
    pub(crate) fn working_count(&self) -> usize {
        self.working.len()
    }

    /// Looks up who places an order.
    #[inline(always)]
    pub(crate) fn applicant(&self, account: AccountId, name: ClientOrderId) -> Applicant {
        let trader = self.trader_of.get(&account).copied();
        Applicant { trader, name: NameHash::of(&self.hash, account, name) }
    }

    /// How many open orders an applicant has, and how many of them wait.
    #[inline]
    pub(crate) fn counts(&self, applicant: Applicant) -> (usize, u32) {
        let trader = applicant.trader.map(|at| &self.traders[at as usize]);
        trader.map_or((0, 0), |trader| (trader.orders.len(), trader.waiting))
    }

    /// Whether the applicant has an open order of the name under which it places one.
    #[inline]
    pub(crate) fn has_named(&self, applicant: Applicant, name: ClientOrderId) -> bool {
        let Some(trader) = applicant.trader else { return false };
        self.find_named(applicant.name, trader, name).is_some()
    }

    #[inline]
    pub(crate) fn best(&self, side: Side) -> Option<Price> {
        self.working.best(side)
    }

    #[inline(always)]
    pub(crate) fn top(&self, side: Side) -> Option<Top> {
        let entry = self.working.top(side)?;
        let owner = self.owner(entry.data);
        let Known { fees, marks, .. } = *entry.data;
        let traded = marks.has(Marks::TRADED);
        Some(Top { slot: entry.slot, price: entry.price, quantity: entry.quantity, owner, fees, traded })
    }

    #[inline]
    pub(crate) fn depth_at(&self, side: Side, price: Price) -> Quantity {
        self.working.depth_at(side, price)
    }

    pub(crate) fn depth(&self, side: Side) -> impl Iterator<Item = (Price, Quantity)> {
        self.working.depth(side)
    }

    /// Resting orders of a side in the order in which they trade: price, what shows of their remaining quantity, the
    /// order, and, if any of it has traded, its fee credit.
    pub(crate) fn working(&self, side: Side) -> impl Iterator<Item = (Price, Quantity, Order, Option<FeeCredit>)> {
        self.working.orders(side).map(|entry| {
            let Known { hold, fees, order_type, time_in_force, self_trade_prevention, marks, .. } = *entry.data;
            let traded = marks.has(Marks::TRADED);
            let Owner { order: id, account, .. } = self.owner(entry.data);
            let (side, client_order_id) = (entry.side, *self.working_names.get(entry.slot));
            let order = Order {
                id,
                account,
                hold,
                client_order_id,
                fees,
                side,
                order_type,
                time_in_force,
                self_trade_prevention,
            };
            (entry.price, entry.quantity, order, traded.then(|| self.fee_credit(entry.slot)))
        })
    }

    /// The same orders: price, remaining quantity, account.
    pub(crate) fn owners(&self, side: Side) -> impl Iterator<Item = (Price, Quantity, Owner)> {
        let left = |slot, shown: Quantity| shown.plus(self.reserve(slot));
        let orders = self.working.orders(side);
        orders.map(move |entry| (entry.price, left(entry.slot, entry.quantity), self.owner(entry.data)))
    }

    /// The orders at one price of a side in the order in which they trade: what shows of their remaining quantity, and
    /// the slot.
    pub(crate) fn slots_at(&self, side: Side, price: Price) -> impl Iterator<Item = (Quantity, Slot)> {
        self.working.orders_at(side, price).map(|entry| (entry.quantity, entry.slot))
    }

    /// The resting orders of an account and of its trade group on a side, in no order: price, remaining quantity.
    pub(crate) fn own(
        &self,
        account: AccountId,
        group: Option<TradeGroupId>,
        side: Side,
    ) -> impl Iterator<Item = (Price, Quantity)> {
        let trader = self.trader_of.get(&account).map(|&at| &self.traders[at as usize]);
        let handles = trader.into_iter().flat_map(|trader| self.lists.iter(&trader.orders));
        let working = handles.filter(|handle| handle.is_working()).map(|handle| handle.slot());
        let others = self.groups.members(group);
        let others = others.filter(move |&slot| self.owner(self.working.data(slot)).account != account);
        let own = working.chain(others).map(|slot| self.working.get(slot)).filter(move |entry| entry.side == side);
        own.map(|entry| (entry.price, entry.quantity.plus(self.reserve(entry.slot))))
    }

    /// How many orders a check of what an account and its trade group have would look at.
    pub(crate) fn count_of_owner(&self, account: AccountId, group: Option<TradeGroupId>) -> usize {
        self.count_of(account) + self.groups.members(group).count()
    }

    /// How many open orders an account has.
    pub(crate) fn count_of(&self, account: AccountId) -> usize {
        self.trader_of.get(&account).map_or(0, |&at| self.traders[at as usize].orders.len())
    }

    /// Waiting orders that trigger on a rise (or on a fall) in the order in which they do: stop price, quantity, the
    /// order, and what is special about it.
    pub(crate) fn waiting(&self, on_rise: bool) -> impl Iterator<Item = (Price, Quantity, &Waiting, Special)> {
        self.waiting.orders(trigger_side(on_rise)).map(|entry| {
            let waiting = self.waiting_orders.get(entry.slot);
            (entry.price, entry.quantity, waiting, self.special(entry.slot))
        })
    }

    /// The next waiting order's stop price.
    #[inline]
    pub(crate) fn next_stop(&self, on_rise: bool) -> Option<Price> {
        self.waiting.best(trigger_side(on_rise))
    }

    /// Takes the next waiting order out: its quantity, the order, what is special about it, who placed it, and whether
    /// it belongs to a list.
    pub(crate) fn pop_waiting(&mut self, on_rise: bool) -> Option<(Quantity, Waiting, Special, Applicant, bool)> {
        let entry = self.waiting.top(trigger_side(on_rise))?;
        let (slot, quantity) = (entry.slot, entry.quantity);
        let special = self.special(slot);
        self.forget(Handle::waiting(slot));
        let Known { trader, name, marks, .. } = self.waiting.remove(slot);
        let applicant = Applicant { trader: Some(trader), name };
        Some((quantity, *self.waiting_orders.get(slot), special, applicant, marks.has(Marks::LISTED)))
    }

    /// The waiting order at a slot.
    pub(crate) fn waiting_at(&self, slot: Slot) -> &Waiting {
        self.waiting_orders.get(slot)
    }

    /// The fee credit of a working order of which some has traded.
    #[inline]
    pub(crate) fn fee_credit(&self, slot: Slot) -> FeeCredit {
        *self.fee_credits.get(slot)
    }

    /// Lets an order work at a price. `traded` is its fee credit, if any of it has traded before; `listed`, whether it
    /// belongs to a list. What rests there now.
    #[inline(always)]
    pub(crate) fn rest(
        &mut self,
        price: Price,
        quantity: Quantity,
        order: &Order,
        applicant: Applicant,
        traded: Option<FeeCredit>,
        listed: bool,
    ) -> Quantity {
        let slot = self.insert(price, quantity, order, applicant, traded);
        if listed {
            self.working.data_mut(slot).marks.set(Marks::LISTED);
        }
        self.working.depth_around(slot)
    }

    /// Puts an order into the book of working orders.
    #[inline(always)]
    fn insert(
        &mut self,
        price: Price,
        quantity: Quantity,
        order: &Order,
        applicant: Applicant,
        traded: Option<FeeCredit>,
    ) -> Slot {
        let known = self.known(order, applicant, traded.is_some());
        let slot = self.working.rest(order.side, price, quantity, known);
        self.working_names.put(slot, order.client_order_id);
        match traded {
            Some(credit) => self.fee_credits.put(slot, credit),
            None => self.fee_credits.cover(slot),
        }
        self.remember(Handle::working(slot), known);
        slot
    }

    /// Lets an order wait for its stop price. `listed`: whether it belongs to a list.
    pub(crate) fn wait(
        &mut self,
        stop: Price,
        quantity: Quantity,
        waiting: Waiting,
        special: Special,
        applicant: Applicant,
        listed: bool,
    ) {
        let order = &waiting.order;
        // Who waits for any price has no stop price.
        let on_rise = stop == ANY_PRICE || order.order_type.triggers_on_rise(order.side);
        #[cfg(crossbook_bugs)]
        let on_rise = on_rise != crossbook_types::bugs::is_planted(crossbook_types::bugs::Bug::StopOnTheWrongSide);
        let mut known = self.known(order, applicant, false);
        self.mark_special(&mut known, special);
        if listed {
            known.marks.set(Marks::LISTED);
        }
        let slot = self.waiting.rest(trigger_side(on_rise), stop, quantity, known);
        self.waiting_orders.put(slot, waiting);
        if special != Special::default() {
            self.waiting_specials.put_anywhere(slot, special);
        }
        self.remember(Handle::waiting(slot), known);
    }

    fn book_mut(&mut self, handle: Handle) -> &mut Book<Known> {
        match (handle.is_working(), handle.is_pending()) {
            (true, _) => &mut self.working,
            (false, false) => &mut self.waiting,
            (false, true) => &mut self.pending,
        }
    }

    /// Takes `quantity` of what shows of a working order, which has this fee credit then.
    #[inline]
    pub(crate) fn fill(&mut self, slot: Slot, quantity: Quantity, credit: FeeCredit) -> Filled {
        let left = self.working.depth_around(slot).minus(quantity);
        let entry = self.working.get(slot);
        if entry.quantity == quantity {
            if entry.data.marks.has(Marks::ICEBERG)
                && let Some(refilled) = self.refill(slot, left, Some(credit))
            {
                return refilled;
            }
            self.forget(Handle::working(slot));
        } else {
            self.working.data_mut(slot).marks.set(Marks::TRADED);
            self.fee_credits.put(slot, credit);
        }
        Filled { gone: self.working.reduce(slot, quantity).is_some(), left }
    }

    /// Removes an order, from whichever book it is in.
    #[inline(always)]
    pub(crate) fn remove(&mut self, handle: Handle) -> Removed {
        let slot = handle.slot();
        self.forget(handle);
        let (known, level) = if !handle.is_working() {
            if self.known_at(handle).marks.has(Marks::PARKED) {
                self.forget_trailing(slot);
            }
            (self.book_mut(handle).remove(slot), None)
        } else {
            let entry = self.working.get(slot);
            let left = self.working.depth_around(slot).minus(entry.quantity);
            let level = Level { side: entry.side, price: entry.price, left };
            if entry.data.marks.has(Marks::ICEBERG) {
                self.forget_reserve(slot);
            }
            (self.working.remove(slot), Some(level))
        };
        Removed { owner: self.owner(&known), level }
    }

    #[inline]
    fn name_at(&self, handle: Handle) -> &ClientOrderId {
        if handle.is_working() {
            self.working_names.get(handle.slot())
        } else if handle.is_pending() {
            self.pending_names.get(handle.slot())
        } else {
            &self.waiting_orders.get(handle.slot()).order.client_order_id
        }
    }

    #[inline(always)]
    fn known_at(&self, handle: Handle) -> &Known {
        known_at([&self.working, &self.waiting, &self.pending], handle)
    }

    #[inline(always)]
    fn owner(&self, known: &Known) -> Owner {
        let listed = known.marks.has(Marks::LISTED);
        let discounted = known.marks.has(Marks::DISCOUNTED);
        let account = self.traders[known.trader as usize].account;
        Owner { order: known.id, account, hold: known.hold, listed, discounted }
    }

    /// What will stand in the book of an order that is about to be there, with a place in its trader's list.
    #[inline(always)]
    fn known(&mut self, order: &Order, applicant: Applicant, traded: bool) -> Known {
        let Applicant { trader, name } = applicant;
        let trader = trader.unwrap_or_else(|| self.trader(order.account));
        let place = self.lists.lengthen(&mut self.traders[trader as usize].orders);
        let &Order { id, hold, fees, order_type, time_in_force, self_trade_prevention, .. } = order;
        let marks = Marks::of(traded);
        Known { id, hold, fees, trader, place, name, order_type, time_in_force, self_trade_prevention, marks }
    }

    /// The account's part in the market; from now on it has one.
    #[cold]
    fn trader(&mut self, account: AccountId) -> u32 {
        *self.trader_of.entry(account).or_insert_with(|| {
            self.traders.push(Trader { account, orders: self.lists.list(), waiting: 0 });
            u32::try_from(self.traders.len() - 1).expect("fewer than 2^32 accounts")
        })
    }

    /// Adds an order that is now in its book to every index. No other has its id or, of its account, its client order
    /// id.
    #[inline(always)]
    fn remember(&mut self, handle: Handle, known: Known) {
        let books = [&self.working, &self.waiting, &self.pending];
        self.by_id.insert_unique(hash_of(known.id), handle, |&other| hash_of(known_at(books, other).id));
        self.by_client.insert_unique(known.name.spread(), handle, |&other| known_at(books, other).name.spread());
        self.traders[known.trader as usize].waiting += u32::from(known.will_trigger(handle));
        self.lists.put(known.place, handle);
    }

    /// Removes what is special about an order from where it is counted.
    #[cold]
    fn forget_special(&mut self, handle: Handle, known: &Known) {
        if known.marks.has(Marks::ICEBERG) {
            self.icebergs.discount(known.trader);
        }
        if known.marks.has(Marks::GROUPED) {
            self.groups.leave(handle.slot(), known.id);
        }
    }

    /// Removes an order that is still in its book from every index.
    #[inline]
    fn forget(&mut self, handle: Handle) {
        let known = *self.known_at(handle);
        let by_id = self.by_id.find_entry(hash_of(known.id), |&other| other == handle);
        by_id.expect("an open order is found by its number").remove();
        let by_client = self.by_client.find_entry(known.name.spread(), |&other| other == handle);
        by_client.expect("an open order is found by its client's name").remove();
        if known.marks.has_either(Marks::ICEBERG, Marks::GROUPED) {
            self.forget_special(handle, &known);
        }
        let trader = &mut self.traders[known.trader as usize];
        trader.waiting -= u32::from(known.will_trigger(handle));
        let (struck, moved) = self.lists.strike(&mut trader.orders, known.place);
        assert_eq!(struck, handle, "an open order is in its trader's list");
        if let Some(moved) = moved {
            self.book_mut(moved).data_mut(moved.slot()).place = known.place;
        }
    }
}

fn trigger_side(on_rise: bool) -> Side {
    if on_rise { Side::Sell } else { Side::Buy }
}

#[inline(always)]
fn known_at([working, waiting, pending]: [&Book<Known>; 3], handle: Handle) -> &Known {
    if handle.is_working() {
        working.data(handle.slot())
    } else if handle.is_pending() {
        pending.data(handle.slot())
    } else {
        waiting.data(handle.slot())
    }
}

wire_struct! {
    Order {
        0: id, 1: account, 2: hold, 3: client_order_id, 4: fees, 5: side, 6: order_type, 7: time_in_force,
        8: self_trade_prevention,
    }
    plain Waiting { 0: order, 1: limit, 2: budget }
}
