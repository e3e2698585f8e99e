//! What the market does with order lists: takes them in, places pending orders when the working order is filled, and
//! ends the orders that depend on one that ran or ended.
//!
//! Whatever ends an order of a list ([`Matcher::close`] is the one place where orders end) has its effect on the others
//! within the same command; each of them that ends is a step of work ([`crate::work_budget`]). That a working order was
//! filled places the others once the order that filled it has done and no waiting order is left that a trade has
//! reached, and is deferred like triggers are ([`super::deferred`]).
//!
//! What the market traded at before a working order was filled does not count for the others, and what it trades at
//! afterwards does: a stop price that the price of the fill has reached keeps them from being placed, and one that the
//! last price has reached since then triggers its order as soon as that is placed.

use crossbook_protocol::event::{Answer, CloseReason, Event, Events, OrderClosed, OrderPlaced};
use crossbook_protocol::order::{Instructions, Membership, OrderTerms, Size};
use crossbook_protocol::order_list::{CancelList, ListPlaced, NewList};
use crossbook_protocol::peer::{ListFunding, Origin};
use crossbook_protocol::refusal::Refusal;
use crossbook_protocol::rules::Rules;
use crossbook_types::{
    AccountId, Amount, FeeCredit, Filter, ListStatus, MarketStatus, OrderId, OrderListId, OrderType, Price, Quantity,
    Timestamp,
};

use super::checks::triggers_at;
use super::list_prices::PricedList;
use super::open::{Applicant, Level, Order, Owner, Removed, Special, Waiting};
use super::order_lists::{ListLeg, OrderList};
use super::taker::Taker;
use super::{Matcher, Traded, base};
use crate::admission;
use crate::list_admission;
use crate::outbox::Accounts;

impl Matcher {
    /// Takes a list in and answers its sender.
    pub(crate) fn admit_list(
        &mut self,
        list: &NewList,
        funding: &ListFunding,
        origin: Origin,
        accounts: &mut Accounts<'_>,
        events: &mut Events,
    ) {
        if self.status != MarketStatus::Trading {
            self.pass_time(accounts, events);
        }
        match self.check_list(list, funding, accounts.now) {
            Ok((id, priced)) => {
                self.place_list(id, list, &priced, funding, accounts, events);
                events.answer(origin, || Answer::ListPlaced { symbol: list.symbol, list: id });
            }
            Err(refusal) => {
                accounts.release_list(list.account, funding);
                events.refuse(origin, refusal);
            }
        }
    }

    /// What only the market can check; the number that the list gets, and what its orders need.
    fn check_list(
        &self,
        list: &NewList,
        funding: &ListFunding,
        now: Timestamp,
    ) -> Result<(OrderListId, PricedList), Refusal> {
        let id = self.check_list_limits(list)?;
        let priced = self.price_list(list, funding, now)?;
        match list.parts() {
            (Some(working), _) => self.check_placing(working, base(working.size), None, now)?,
            (None, [stop, other]) => {
                let taken = list_admission::deciding_price(other).or(priced.limit_of_maker(other));
                let stopped = list_admission::deciding_price(stop);
                if !list_admission::in_their_order(stop.side, stopped, taken, self.last_price) {
                    return Err(Refusal::ListPrices);
                }
                self.check_placing(stop, base(stop.size), None, now)?;
                self.check_placing(other, base(other.size), None, now)?;
            }
            (None, _) => return Err(Refusal::MalformedOrder),
        }
        Ok((id, priced))
    }

    /// Whether the market takes another list of these names and numbers of orders, and the number that it gets.
    fn check_list_limits(&self, list: &NewList) -> Result<OrderListId, Refusal> {
        let filters = &self.market.filters;
        let count = list.orders.len();
        if self.status != MarketStatus::Trading {
            return Err(Refusal::MarketClosed(self.status));
        }
        if self.open.has_no_room_for(count) {
            return Err(Refusal::BookFull);
        }
        self.check_numbers()?;
        let id = OrderListId::of(self.market.id, self.next_order).ok_or(Refusal::NumbersUsedUp)?;
        if filters.order_lists_max == 0 {
            return Err(Refusal::NoOrderLists);
        }
        for (at, order) in list.orders.iter().enumerate() {
            let name = order.client_order_id;
            let taken = self.open.has_named(self.open.applicant(list.account, name), name);
            if taken || list.orders[..at].iter().any(|other| other.client_order_id == name) {
                return Err(Refusal::DuplicateClientOrderId);
            }
        }
        if self.lists.has_named(list.account, list.client_order_id) {
            return Err(Refusal::DuplicateClientOrderId);
        }
        if self.lists.count_of(list.account) >= filters.order_lists_max as usize {
            return Err(Refusal::Filter(Filter::MaxOrderLists));
        }
        let (open, waiting) = self.open.counts(self.open.applicant(list.account, list.client_order_id));
        if open + count > filters.orders_max as usize {
            return Err(Refusal::Filter(Filter::MaxOrders));
        }
        let conditional = list.orders.iter().filter(|order| order.order_type.is_conditional()).count();
        if conditional > 0 && waiting as usize + conditional > filters.algo_orders_max as usize {
            return Err(Refusal::Filter(Filter::MaxAlgoOrders));
        }
        let icebergs = list.orders.iter().filter(|order| order.iceberg().is_some()).count();
        let open = self.open.icebergs_of(self.open.applicant(list.account, list.client_order_id));
        if icebergs > 0 && open as usize + icebergs > filters.special.iceberg_orders_max as usize {
            return Err(Refusal::Filter(Filter::MaxIcebergOrders));
        }
        Ok(id)
    }

    /// Whether an order of a list can be placed with that quantity as the market is now; given the price at which its
    /// working order was filled, if that is what it was waiting for.
    fn check_placing(
        &self,
        terms: &OrderTerms,
        quantity: Quantity,
        filled_at: Option<Price>,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let unpriced = terms.limit().is_none() && terms.stop_price.get().is_none();
        if terms.order_type == OrderType::Market || (unpriced && terms.waits()) {
            admission::check_market_notional(&self.market, self.reference_price(now), quantity, Rules::V4)?;
        }
        if let Some(price) = terms.price {
            self.market.check_band(terms.side, price, self.reference_price(now)).map_err(Refusal::Filter)?;
        }
        match terms.order_type {
            OrderType::Limit | OrderType::Market => Ok(()),
            OrderType::LimitMaker if self.would_take(terms) => Err(Refusal::WouldTake),
            OrderType::LimitMaker => Ok(()),
            _ => {
                let reached = filled_at.map_or_else(|| self.would_trigger(terms), |price| triggers_at(terms, price));
                if reached { Err(Refusal::WouldTrigger) } else { Ok(()) }
            }
        }
    }

    /// Numbers the orders of a checked list, and tells it. The number of the first.
    fn number_orders(&mut self, id: OrderListId, new: &NewList, events: &mut Events) -> OrderId {
        let &NewList { account, symbol, client_order_id, kind, .. } = new;
        let first = self.next_order;
        for (at, terms) in new.orders.iter().enumerate() {
            let order = self.next_order;
            self.next_order = order.next();
            let pending = kind.has_working_order() && at > 0;
            let terms = with_membership(terms, Membership { list: id, pending });
            events.add(|| Event::OrderPlaced(OrderPlaced { order, account, terms }));
        }
        let orders = (first.0..self.next_order.0).map(OrderId).collect();
        events.push(Event::ListPlaced(Box::new(ListPlaced {
            symbol,
            list: id,
            account,
            kind,
            client_order_id,
            orders,
        })));
        first
    }

    /// Places the orders of a checked list that do not depend on another, and lets the others be pending.
    fn place_list(
        &mut self,
        id: OrderListId,
        new: &NewList,
        priced: &PricedList,
        funding: &ListFunding,
        accounts: &mut Accounts<'_>,
        events: &mut Events,
    ) {
        let &NewList { account, client_order_id, kind, .. } = new;
        let (working, others) = new.parts();
        let first = self.number_orders(id, new, events);
        let skipped = u64::from(working.is_some());
        let leg = |(at, (terms, &need)): (u64, (&OrderTerms, &Amount))| ListLeg {
            order: OrderId(first.0 + skipped + at),
            terms: terms.clone(),
            need,
        };
        let list = OrderList {
            account,
            client_order_id,
            kind,
            working: working.map(|_| first),
            legs: (0..).zip(others.iter().zip(&priced.needs)).map(leg).collect(),
            released: working.is_none(),
            hold: funding.hold,
            held: priced.held,
            fees: funding.fees,
            near: priced.near,
        };
        accounts.free_of_list(account, funding, priced.held);
        if funding.working_discount.is_some() || funding.discount.is_some() {
            self.take_list_reserves(&list, funding, priced.worth, accounts, events);
        }
        let orders: Vec<_> = list.legs.iter().map(|leg| (list.order(leg), leg.clone())).collect();
        let inserted = self.lists.insert(id, list);
        assert!(inserted, "a new list has new orders and a name that was checked");
        self.steps = 0;
        let Some((working, (hold, budget))) = working.zip(funding.working) else {
            for (order, leg) in orders {
                let applicant = self.open.applicant(account, order.client_order_id);
                self.place_leg(order, &leg.terms, base(leg.terms.size), leg.need, applicant, accounts, events);
            }
            return;
        };
        for (order, leg) in orders {
            let applicant = self.open.applicant(account, order.client_order_id);
            self.open.hold_back(&order, leg.terms.iceberg().is_some(), applicant);
            if funding.discount.is_some() {
                self.open.mark_discounted(order.id);
            }
        }
        let order = Order {
            id: first,
            account,
            hold,
            client_order_id: working.client_order_id,
            fees: funding.fees,
            side: working.side,
            order_type: working.order_type,
            time_in_force: working.time_in_force,
            self_trade_prevention: working.self_trade_prevention,
        };
        let applicant = self.open.applicant(account, working.client_order_id);
        let busy = self.has_triggers();
        let traded = self.place_leg(order, working, base(working.size), budget, applicant, accounts, events);
        self.trigger(traded, busy, accounts, events);
    }

    /// Lets an order of a list wait, or work. The prices at which it traded.
    #[allow(clippy::too_many_arguments, reason = "an order, its parts, and what every placing needs")]
    fn place_leg(
        &mut self,
        order: Order,
        terms: &OrderTerms,
        quantity: Quantity,
        budget: Amount,
        applicant: Applicant,
        accounts: &mut Accounts<'_>,
        events: &mut Events,
    ) -> Option<Traded> {
        let discounted = self.reserves.has(order.id);
        let special = Special { discounted, ..Special::of(terms.instructions.as_deref()) };
        if terms.waits() {
            let waiting = Waiting { order, limit: terms.limit(), budget };
            match terms.stop_price.get() {
                Some(stop) => self.open.wait(stop, quantity, waiting, special, applicant, true),
                None => self.trail_from_now(quantity, waiting, special, applicant, true, events),
            }
            return None;
        }
        let (limit, budget) = match special.peg {
            None => (terms.price, budget),
            Some(peg) => {
                let pegged = self.peg(&order, peg, quantity, budget, accounts, events);
                let (price, budget) = pegged.expect("a pegged order that was checked has a price");
                (Some(price), budget)
            }
        };
        let (left, credit, most, side) = (Size::Base(quantity), FeeCredit::NONE, Quantity::MAX, order.side);
        let taker = Taker { order, applicant, limit, left, budget, credit, special, most, listed: true };
        let traded = self.execute_later(taker, accounts, events);
        self.note_prices(traded, side);
        traded
    }

    /// Cancels a list and answers.
    pub(crate) fn cancel_list(
        &mut self,
        request: &CancelList,
        origin: Origin,
        accounts: &mut Accounts<'_>,
        events: &mut Events,
    ) {
        if self.is_matching() {
            return events.refuse(origin, Refusal::AuctionMatching);
        }
        let Some(id) = self.lists.find(request.account, request.target) else {
            return events.refuse(origin, Refusal::UnknownOrder);
        };
        self.end_list(id, CloseReason::Canceled { cancel_id: request.cancel_id }, accounts, events);
        self.canceled();
        events.answer(origin, || Answer::ListCanceled { symbol: self.market.id, list: id });
    }

    /// How many orders end when an open order is cancelled: it, and those of its list.
    pub(super) fn ending_with(&self, order: OrderId) -> u32 {
        let orders = self.lists.of(order).map_or(1, |(_, list)| list.open_orders().count());
        u32::try_from(orders).expect("a list has few orders")
    }

    /// An order of a list has ended, and its end is published: ends those that depend on it, and frees what was held.
    #[cold]
    pub(super) fn close_listed(
        &mut self,
        owner: Owner,
        reason: CloseReason,
        accounts: &mut Accounts<'_>,
        events: &mut Events,
    ) {
        let (id, was_working) = self.lists.end_order(owner.order).expect("an order of a list is in its list");
        if was_working {
            accounts.release(owner.account, owner.hold);
        }
        if owner.discounted {
            let legs = self.lists.get(id).map(|list| list.legs.clone()).unwrap_or_default();
            self.end_list_reserve(owner, &legs, accounts);
        }
        let others = match reason {
            CloseReason::Filled if was_working => {
                let price = self.last_price.expect("an order is filled at a price");
                return self.pending.released.push(id, price);
            }
            CloseReason::Canceled { .. } => reason,
            // The venue ends all of them with their market, whichever comes first.
            CloseReason::ByVenue if self.market.status == MarketStatus::Delisted => reason,
            #[cfg(crossbook_bugs)]
            _ if was_working
                && crossbook_types::bugs::is_planted(crossbook_types::bugs::Bug::PendingOutlivesWorking) =>
            {
                return;
            }
            _ if was_working => CloseReason::WorkingEnded,
            _ => CloseReason::OcoTrigger,
        };
        self.end_list(id, others, accounts, events);
    }

    /// Ends all open orders of a list for one reason, and with them the list.
    fn end_list(&mut self, id: OrderListId, reason: CloseReason, accounts: &mut Accounts<'_>, events: &mut Events) {
        let Some(list) = self.lists.remove(id) else { return };
        for order in list.open_orders() {
            let owner = self.close_dependent(order, reason, events);
            if list.working == Some(order) {
                accounts.release(owner.account, owner.hold);
            }
            self.end_list_reserve(owner, &list.legs, accounts);
        }
        self.finish_list(id, &list, accounts, events);
    }

    /// One order of a pair has begun to run: it has traded, or was triggered. The other ends, and what is held for both
    /// is what the one needs.
    #[cold]
    pub(super) fn leg_runs(&mut self, order: OrderId, accounts: &mut Accounts<'_>, events: &mut Events) {
        let Some((id, list)) = self.lists.of(order).filter(|(_, list)| list.is_open_pair()) else { return };
        let Some(other) = list.legs.iter().map(|leg| leg.order).find(|&leg| leg != order) else { return };
        let Some(leg) = list.legs.iter().find(|leg| leg.order == order).cloned() else { return };
        let (account, hold, near, need) = (list.account, list.hold, list.near, leg.need);
        let excess = list.held.minus(need);
        self.lists.end_order(other);
        if let Some(list) = self.lists.get_mut(id) {
            list.held = need;
        }
        self.close_dependent(other, CloseReason::OcoTrigger, events);
        #[cfg(crossbook_bugs)]
        let excess = match crossbook_types::bugs::is_planted(crossbook_types::bugs::Bug::PairHoldStays) {
            true => Amount::ZERO,
            false => excess,
        };
        if !excess.is_zero() {
            accounts.reduce(account, hold, excess);
        }
        self.part_reserve(&leg, (other, near), account, accounts);
        let (symbol, status) = (self.market.id, ListStatus::Executing);
        events.push(Event::ListChanged { symbol, list: id, account, status });
    }

    /// Takes an open order out of its book, because of another order of its list, and publishes its end.
    fn close_dependent(&mut self, order: OrderId, reason: CloseReason, events: &mut Events) -> Owner {
        if !matches!(reason, CloseReason::Canceled { .. }) {
            self.steps = self.steps.saturating_add(1);
        }
        let handle = self.open.handle_of(order).expect("the orders of a list are open");
        let Removed { owner, level } = self.open.remove(handle);
        self.amendments.forget(order);
        let (symbol, account) = (self.market.id, owner.account);
        events.push(Event::OrderClosed(OrderClosed { symbol, order, account, reason }));
        if let Some(Level { side, price, left }) = level {
            self.depth_changed(side, price, left, events);
        }
        owner
    }

    /// Places the pending orders of the list whose working order was filled first, or ends them if they cannot be
    /// placed. The prices at which they traded.
    pub(super) fn release_next(&mut self, accounts: &mut Accounts<'_>, events: &mut Events) -> Option<Traded> {
        let (id, filled_at) = self.pending.released.pop()?;
        let list = self.lists.get(id)?.clone();
        let terms: Vec<&OrderTerms> = list.legs.iter().map(|leg| &leg.terms).collect();
        let paid = list
            .kind
            .pays_on()
            .then(|| self.market.lots_in(list.held).min(list_admission::largest(&terms, &self.market)));
        let quantity = |terms: &OrderTerms| paid.unwrap_or(base(terms.size));
        let now = accounts.now;
        let mut limits = Vec::with_capacity(list.legs.len());
        for leg in &list.legs {
            match self.check_releasing(leg, quantity(&leg.terms), paid.is_some(), filled_at, now) {
                Ok(limit) => limits.push(limit),
                Err(_) => {
                    self.end_unplaceable(id, leg.order, accounts, events);
                    return None;
                }
            }
        }
        let (symbol, account) = (self.market.id, list.account);
        let (mut legs, mut worth) = (Vec::with_capacity(list.legs.len()), Amount::ZERO);
        for (leg, limit) in list.legs.iter().zip(limits) {
            let quantity = quantity(&leg.terms);
            let need = match paid {
                Some(_) => self.market.base_amount(quantity),
                None => list_admission::need(&leg.terms, limit, list.near, &self.market),
            };
            worth = worth.max(self.worth_in_list(&leg.terms, quantity, (limit, list.near), need));
            let applicant = self.open.pop_pending(leg.order).expect("an order that is to be placed is pending");
            events.push(Event::OrderReleased { symbol, order: leg.order, account, quantity });
            legs.push((quantity, need, applicant));
        }
        self.publish_released(id, &legs, accounts, events);
        self.lower_list_reserve(id, worth, accounts);
        let mut traded: Option<Traded> = None;
        for (leg, &(quantity, need, applicant)) in list.legs.iter().zip(&legs) {
            let more = self.place_leg(list.order(leg), &leg.terms, quantity, need, applicant, accounts, events);
            traded = more.map(|more| traded.map_or(more, |before| before.and(more))).or(traded);
        }
        traded
    }

    /// The orders of a list are about to be placed.
    fn publish_released(
        &mut self,
        id: OrderListId,
        legs: &[(Quantity, Amount, Applicant)],
        accounts: &mut Accounts<'_>,
        events: &mut Events,
    ) {
        let Some(list) = self.lists.get_mut(id) else { return };
        list.released = true;
        for (leg, &(quantity, need, _)) in list.legs.iter_mut().zip(legs) {
            (leg.need, leg.terms.size) = (need, Size::Base(quantity));
        }
        let needed = legs.iter().map(|&(_, need, _)| need).fold(Amount::ZERO, Amount::max);
        let (account, hold, excess) = (list.account, list.hold, list.held.minus(needed));
        list.held = needed;
        // What is less than a lot, or more than an order may be for; or than it costs at the price that it gets now.
        if !excess.is_zero() {
            accounts.reduce(account, hold, excess);
        }
        let (symbol, status) = (self.market.id, ListStatus::Executing);
        events.push(Event::ListChanged { symbol, list: id, account, status });
    }

    /// Whether a pending order can be placed now, and its limit price.
    fn check_releasing(
        &self,
        leg: &ListLeg,
        quantity: Quantity,
        paid: bool,
        filled_at: Price,
        now: Timestamp,
    ) -> Result<Option<Price>, Refusal> {
        let terms = &leg.terms;
        if paid {
            list_admission::check_paid(terms, quantity, &self.market)?;
        }
        let limit = self.limit_now(terms, quantity, leg.need, now)?;
        self.check_placing(terms, quantity, Some(filled_at), now)?;
        Ok(limit)
    }

    /// Ends the pending orders of a list, one of which cannot be placed.
    fn end_unplaceable(&mut self, id: OrderListId, refused: OrderId, accounts: &mut Accounts<'_>, events: &mut Events) {
        let Some(list) = self.lists.remove(id) else { return };
        for order in list.open_orders() {
            let reason = if order == refused { CloseReason::Unplaceable } else { CloseReason::OcoTrigger };
            let owner = self.close_dependent(order, reason, events);
            self.end_list_reserve(owner, &list.legs, accounts);
        }
        self.finish_list(id, &list, accounts, events);
    }

    /// A list of which no order is open is done.
    fn finish_list(&mut self, id: OrderListId, list: &OrderList, accounts: &mut Accounts<'_>, events: &mut Events) {
        self.pending.released.remove(id);
        accounts.release(list.account, list.hold);
        let (symbol, account) = (self.market.id, list.account);
        events.push(Event::ListChanged { symbol, list: id, account, status: ListStatus::AllDone });
    }
}

impl Accounts<'_> {
    /// Frees what is held for a list beyond what it needs at the market's prices.
    fn free_of_list(&mut self, account: AccountId, funding: &ListFunding, needed: Amount) {
        #[cfg(crossbook_bugs)]
        if crossbook_types::bugs::is_planted(crossbook_types::bugs::Bug::PeggedListHoldStays) {
            return;
        }
        if funding.held > needed {
            self.reduce(account, funding.hold, funding.held.minus(needed));
        }
    }
}

/// The terms of an order as its market publishes them.
fn with_membership(terms: &OrderTerms, membership: Membership) -> OrderTerms {
    let asked = terms.instructions.as_deref().copied().unwrap_or_default();
    OrderTerms { instructions: Instructions { list: Some(membership), ..asked }.boxed(), ..terms.clone() }
}
