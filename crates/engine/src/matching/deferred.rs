//! The deferred work of a market, and how it continues. See [`crate::work_budget`].

use crossbook_protocol::event::{Answer, CloseReason, Event, Events};
use crossbook_protocol::order::CancelAll;
use crossbook_protocol::peer::Origin;
use crossbook_protocol::refusal::Refusal;
use crossbook_protocol::wire::codec::wire_struct;
use std::collections::{BTreeSet, VecDeque};

use crossbook_types::{AccountId, ClientOrderId, MarketStatus, OrderId, OrderListId, Price, Side, Timestamp};

use super::released::Released;
use super::{Inconsistent, Matcher, Traded};
use crate::outbox::Accounts;

/// A cancel of all orders that has not come to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Canceling {
    account: AccountId,
    cancel_id: ClientOrderId,
    origin: Origin,
    /// Orders from this number on arrived later, and stay.
    before: OrderId,
    /// How many it has cancelled so far.
    count: u32,
}

/// What is left of a market's work, in its canonical form.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct PendingState {
    /// The lowest and the highest price that trades have reached while orders that wait for one of these are yet to be
    /// triggered.
    reached: Option<(Price, Price)>,
    /// In the order in which they are gone on with next.
    cancels: Vec<Canceling>,
    /// The lists whose working orders were filled and whose other orders are yet to be placed, in the order in which
    /// they were, and at what price.
    released: Vec<(OrderListId, Price)>,
    /// Whether all orders are to end, because the market is delisted.
    ending: bool,
}

/// The orders that a cancel of all is yet to cancel, the oldest last, and some that have ended otherwise; none before
/// they were looked for. It follows from the rest of the state, so it is not written down.
type OrdersToCancel = Option<Vec<OrderId>>;

/// What is left of a market's work.
#[derive(Clone, Debug, Default)]
pub(super) struct Pending {
    /// The prices that trades have reached. There is an order that waits for one of them, or it is `None`; or the last
    /// price alone, while lists are yet to place their orders.
    reached: Option<Traded>,
    /// At most one of each account; the first is next.
    cancels: VecDeque<(Canceling, OrdersToCancel)>,
    /// The lists whose pending orders are yet to be placed, and the price at which their working order was filled; the
    /// first is next. If there are some, prices were reached.
    pub(super) released: Released,
    /// Whether all orders are to end, because the market is delisted.
    pub(super) ending: bool,
    /// Whether the market is in the partition's list of those that have work.
    pub(super) is_listed: bool,
}

impl Matcher {
    /// Whether there is deferred work that can continue now.
    #[inline]
    pub(crate) fn has_work(&self) -> bool {
        match self.status {
            MarketStatus::Trading => self.has_triggers() || !self.pending.cancels.is_empty(),
            _ => self.is_matching() || !self.pending.cancels.is_empty() || self.pending.ending,
        }
    }

    /// Whether anything is left, though it may have to wait for the market to open.
    pub(crate) fn has_pending(&self) -> bool {
        self.has_triggers()
            || !self.pending.cancels.is_empty()
            || !self.pending.released.is_empty()
            || self.is_matching()
            || self.pending.ending
    }

    /// Whether waiting orders are left that a trade may have triggered.
    #[inline]
    pub(super) fn has_triggers(&self) -> bool {
        self.pending.reached.is_some() || !self.unseen.is_empty()
    }

    /// Whether the market has to be put into the partition's list of those that have work. It is, then.
    #[inline]
    pub(crate) fn must_be_listed(&mut self) -> bool {
        let must = !self.pending.is_listed && self.has_work();
        self.pending.is_listed |= must;
        must
    }

    /// Adds the market to the list, from a state; false if it is listed already.
    pub(crate) fn list(&mut self) -> bool {
        !std::mem::replace(&mut self.pending.is_listed, true)
    }

    /// Takes the market out of the list, and does the next part of its work.
    pub(crate) fn go_on(&mut self, accounts: &mut Accounts<'_>, events: &mut Events) {
        self.pending.is_listed = false;
        self.steps = 0;
        if self.is_matching() {
            return self.go_on_matching(accounts, events);
        }
        if self.pending.ending {
            return self.go_on_ending(accounts.work.continued, accounts, events);
        }
        self.go_on_canceling(accounts.work.continued, accounts, events);
        if self.status == MarketStatus::Trading {
            self.go_on_triggering(accounts.work.continued, accounts, events);
        }
    }

    /// Takes the market out of the list, and gives the work up that was to be gone on with: an auction, or everything
    /// else. Orders that were reached wait for the next trade at their price, pending orders of lists until they are
    /// cancelled, and those of a delisted market until it is delisted again. Who cancelled all orders is refused,
    /// though some may be cancelled.
    pub(crate) fn give_up(&mut self, now: Timestamp, events: &mut Events) {
        self.pending.is_listed = false;
        if self.is_matching() {
            return self.give_up_matching(now, events);
        }
        (self.pending.reached, self.pending.ending) = (None, false);
        self.pending.released = Released::default();
        self.see_no_more();
        for (Canceling { origin, .. }, _) in self.pending.cancels.drain(..) {
            events.refuse(origin, Refusal::Skipped);
        }
    }

    /// Whether a trade has reached a price, and those who wait for it are yet to be triggered.
    #[inline]
    pub(super) fn is_reached(&self, on_rise: bool, stop: Price) -> bool {
        self.pending.reached.is_some_and(|range| if on_rise { stop <= range.high } else { stop >= range.low })
    }

    /// Triggers what an auction has reached with its price, as far as one command does.
    pub(super) fn trigger_after_auction(&mut self, price: Price, accounts: &mut Accounts<'_>, events: &mut Events) {
        let range = Traded { low: price, high: price };
        self.note_prices(Some(range), Side::Buy);
        self.reach_prices(range);
        self.go_on_triggering(accounts.work.continued, accounts, events);
    }

    /// Triggers what the trades of a command have reached, as far as one command does.
    #[inline]
    pub(super) fn trigger(
        &mut self,
        traded: Option<Traded>,
        busy: bool,
        accounts: &mut Accounts<'_>,
        events: &mut Events,
    ) {
        let Some(range) = traded else { return };
        self.reach_prices(range);
        // Those who were reached before come first.
        if busy {
            self.canceled();
        } else {
            self.go_on_triggering(accounts.work.triggers, accounts, events);
        }
    }

    #[inline]
    fn reach_prices(&mut self, range: Traded) {
        self.pending.reached = Some(self.pending.reached.map_or(range, |reached| reached.and(range)));
    }

    /// Triggers one order after the other and places what lists have pending, until the command has taken so many
    /// steps: those that wait for a price that was reached, when none is left the orders of lists, and then one of
    /// those that trail the price.
    #[inline]
    fn go_on_triggering(&mut self, steps_max: u32, accounts: &mut Accounts<'_>, events: &mut Events) {
        if self.pending.reached.is_some() || !self.unseen.is_empty() {
            self.trigger_step_by_step(steps_max, accounts, events);
        }
    }

    fn trigger_step_by_step(&mut self, steps_max: u32, accounts: &mut Accounts<'_>, events: &mut Events) {
        loop {
            self.trigger_reached(steps_max, accounts, events);
            let stops = self.status != MarketStatus::Trading;
            if self.pending.reached.is_some() || self.unseen.is_empty() || stops {
                return;
            }
            match self.trail(steps_max, accounts, events) {
                None => return,
                Some(traded) => traded.into_iter().for_each(|range| self.reach_prices(range)),
            }
        }
    }

    /// Triggers one order after the other that waits for a price that was reached, and when none is left places the
    /// pending orders of one list after the other whose working order was filled, until the command has taken so many
    /// steps.
    #[inline]
    fn trigger_reached(&mut self, steps_max: u32, accounts: &mut Accounts<'_>, events: &mut Events) {
        while let Some(range) = self.pending.reached {
            let on_rise = self.next_reached(range);
            if on_rise.is_none() {
                self.forget_reached();
                if self.pending.reached.is_none() {
                    return;
                }
            }
            // One of them may have tripped the circuit breaker.
            if self.steps >= steps_max || self.status != MarketStatus::Trading {
                return;
            }
            self.steps += 1;
            let traded = match on_rise {
                Some(on_rise) => self.trigger_next(on_rise, accounts, events),
                None => self.release_next(accounts, events),
            };
            if let Some(traded) = traded {
                self.reach_prices(traded);
            }
        }
    }

    /// No order waits for a price that was reached. Orders that lists are yet to place have not seen what the market
    /// traded at before, but for its last price.
    #[inline]
    fn forget_reached(&mut self) {
        #[cfg(crossbook_bugs)]
        if crossbook_types::bugs::is_planted(crossbook_types::bugs::Bug::PendingSeesBeforeFill)
            && !self.pending.released.is_empty()
        {
            return;
        }
        self.pending.reached = match self.pending.released.is_empty() {
            true => None,
            false => self.last_price.map(|last| Traded { low: last, high: last }),
        };
    }

    /// Whether the next order that a range of prices triggers waits for a rise; `None` if it triggers none.
    #[inline]
    pub(super) fn next_reached(&self, range: Traded) -> Option<bool> {
        if self.open.next_stop(true).is_some_and(|stop| stop <= range.high) {
            Some(true)
        } else if self.open.next_stop(false).is_some_and(|stop| stop >= range.low) {
            Some(false)
        } else {
            None
        }
    }

    /// Lets the next order work that waits for a rise, or for a fall; one that trails the price from there begins to.
    /// The prices at which it traded.
    pub(super) fn trigger_next(
        &mut self,
        on_rise: bool,
        accounts: &mut Accounts<'_>,
        events: &mut Events,
    ) -> Option<Traded> {
        if let Some(last) = self.last_price
            && let Some(slot) = self.open.unhook_trailing(on_rise)
        {
            #[cfg(crossbook_bugs)]
            if crossbook_types::bugs::is_planted(crossbook_types::bugs::Bug::BeginningEndsPair) {
                let order = self.open.waiting_at(slot).order.id;
                self.leg_runs(order, accounts, events);
            }
            self.begin_trailing(slot, last, events);
            return None;
        }
        let waiting = self.open.pop_waiting(on_rise)?;
        self.set_off(waiting, accounts, events)
    }

    /// Orders have been cancelled, or none waits: the range that was reached may have no pending orders left.
    #[inline]
    pub(super) fn canceled(&mut self) {
        self.forget_unseen();
        if self.pending.reached.is_some_and(|range| self.next_reached(range).is_none()) {
            self.forget_reached();
        }
    }

    /// Begins a cancel of more orders than one command cancels.
    pub(super) fn begin_canceling(
        &mut self,
        request: &CancelAll,
        origin: Origin,
        accounts: &mut Accounts<'_>,
        events: &mut Events,
    ) {
        let &CancelAll { account, symbol, cancel_id } = request;
        if self.pending.cancels.iter().any(|(other, _)| other.account == account) {
            return events.refuse(origin, Refusal::CancelingAll);
        }
        let Origin { source, number } = origin;
        events.push(Event::CancelAllBegun { symbol, account, cancel_id, source, number });
        let canceling = Canceling { account, cancel_id, origin, before: self.next_order, count: 0 };
        self.pending.cancels.push_back((canceling, None));
        if self.pending.cancels.len() == 1 {
            self.go_on_canceling(accounts.work.cancels, accounts, events);
        }
    }

    /// Cancels all orders of an account, oldest first, without an answer: at once if there are at most `left`, from
    /// which they are taken, and in the continuation otherwise. A cancel of all that is under way extends to them.
    pub(crate) fn cancel_without_answer(
        &mut self,
        request: &CancelAll,
        left: &mut u32,
        accounts: &mut Accounts<'_>,
        events: &mut Events,
    ) {
        let &CancelAll { account, symbol, cancel_id } = request;
        let before = self.next_order;
        let under_way = self.pending.cancels.iter_mut().find(|(other, _)| other.account == account);
        if let Some((canceling, due)) = under_way {
            (canceling.before, *due) = (before, None);
            return;
        }
        match u32::try_from(self.open.count_of(account)).expect("a book holds fewer than 2^32 orders") {
            0 => {}
            count if count <= *left && !self.is_matching() => {
                *left -= count;
                self.cancel_open(account, cancel_id, accounts, events);
            }
            _ => {
                let Origin { source, number } = Origin::NOBODY;
                events.push(Event::CancelAllBegun { symbol, account, cancel_id, source, number });
                let canceling = Canceling { account, cancel_id, origin: Origin::NOBODY, before, count: 0 };
                self.pending.cancels.push_back((canceling, None));
            }
        }
    }

    /// Cancels the next orders, at most so many, and answers those whose cancel is finished. One that is not goes
    /// behind the others.
    fn go_on_canceling(&mut self, orders_max: u32, accounts: &mut Accounts<'_>, events: &mut Events) {
        let mut left = orders_max;
        while left > 0
            && let Some((mut canceling, due)) = self.pending.cancels.pop_front()
        {
            let Canceling { account, cancel_id, origin, before, .. } = canceling;
            let mut orders = due.unwrap_or_else(|| self.orders_before(account, before));
            let mut count = 0;
            while let Some(&order) = orders.last() {
                // Those that have ended meanwhile cost nothing but the look.
                if let Some(handle) = self.open.handle_of(order) {
                    if count >= left {
                        break;
                    }
                    count += if self.open.is_listed(handle) { self.ending_with(order) } else { 1 };
                    self.close_open(handle, CloseReason::Canceled { cancel_id }, accounts, events);
                }
                orders.pop();
            }
            // The orders of a list end together.
            left = left.saturating_sub(count);
            canceling.count += count;
            if !orders.is_empty() {
                self.pending.cancels.push_back((canceling, Some(orders)));
                break;
            }
            match canceling.count {
                0 => events.refuse(origin, Refusal::UnknownOrder),
                count => events.answer(origin, || Answer::CanceledAll { symbol: self.market.id, count }),
            }
        }
        self.canceled();
    }

    /// The market is delisted: ends the first of its orders, unless an auction is being matched. It is in the list of
    /// markets with work already.
    pub(crate) fn begin_ending(&mut self, accounts: &mut Accounts<'_>, events: &mut Events) {
        if self.pending.ending && !self.is_matching() {
            self.go_on_ending(accounts.work.continued, accounts, events);
        }
    }

    /// Ends the next orders of a delisted market, at most so many, and with each those of its list: bids, offers, each
    /// the best first, those that wait, those that trail the price, and those that are pending in lists.
    fn go_on_ending(&mut self, orders_max: u32, accounts: &mut Accounts<'_>, events: &mut Events) {
        self.see_no_more();
        for _ in 0..orders_max {
            let Some(handle) = self.open.any() else { break };
            self.close_open(handle, CloseReason::ByVenue, accounts, events);
        }
        self.pending.ending = self.open.any().is_some();
        #[cfg(crossbook_bugs)]
        if crossbook_types::bugs::is_planted(crossbook_types::bugs::Bug::DelistedWaitingStay) {
            self.pending.ending = self.open.working_count() > 0;
        }
        self.canceled();
    }

    /// The open orders of an account with lower numbers than `before`, the oldest last. The cost is in proportion to
    /// all that it has open in this market, which the market's filter bounds.
    fn orders_before(&mut self, account: AccountId, before: OrderId) -> Vec<OrderId> {
        let mut list = std::mem::take(&mut self.cancelling);
        self.open.of_account(account, &mut list);
        let orders = list.iter().rev().map(|&(id, _)| id).filter(|&id| id < before).collect();
        self.cancelling = list;
        orders
    }

    pub(super) fn pending_state(&self) -> PendingState {
        PendingState {
            reached: self.pending.reached.map(|range| (range.low, range.high)),
            cancels: self.pending.cancels.iter().map(|&(canceling, _)| canceling).collect(),
            released: self.pending.released.state(),
            ending: self.pending.ending,
        }
    }

    /// Goes on with what a state has left. The orders are there already.
    pub(super) fn restore_pending(&mut self, state: PendingState) -> Result<(), Inconsistent> {
        let reached = state.reached.map(|(low, high)| Traded { low, high });
        let nothing_left = |range| self.next_reached(range).is_none() && state.released.is_empty();
        if reached.is_some_and(|range| range.low > range.high || nothing_left(range) || self.last_price.is_none()) {
            return Err(Inconsistent);
        }
        if !self.are_releasable(&state.released) || (reached.is_none() && !state.released.is_empty()) {
            return Err(Inconsistent);
        }
        let accounts: BTreeSet<AccountId> = state.cancels.iter().map(|cancel| cancel.account).collect();
        if accounts.len() < state.cancels.len() || state.cancels.iter().any(|cancel| cancel.before > self.next_order) {
            return Err(Inconsistent);
        }
        self.pending.reached = reached;
        self.pending.released = Released::of_state(state.released);
        self.pending.ending = state.ending;
        self.pending.cancels = state.cancels.into_iter().map(|canceling| (canceling, None)).collect();
        Ok(())
    }
}

wire_struct! {
    Canceling { 0: account, 1: cancel_id, 2: origin, 3: before, 4: count }
    PendingState { 0: reached, 1: cancels; optional 2: released, 41: ending }
}
