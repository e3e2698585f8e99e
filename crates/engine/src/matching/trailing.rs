//! Trailing stops: what happens in the market, step by step, to those that trail the price.
//!
//! They see every price that the market trades at, in order. An order that takes at several prices goes from the first
//! to the last of them in one direction, so the two are all that there is to see. What they see is a queue: a price is
//! done with when nobody is left whom it triggers, and an order that begins meanwhile begins behind it. So however long
//! the work of a price takes, each order is triggered by the prices since its beginning, and by no others.

use std::collections::{BTreeSet, VecDeque};

use crossbook_book::Slot;
use crossbook_protocol::event::{CloseReason, Event, Events};
use crossbook_protocol::order::Size;
use crossbook_protocol::wire::codec::wire_enum;
use crossbook_types::{FeeCredit, OrderId, Price, Quantity, Side};

use super::handle::Handle;
use super::open::{ANY_PRICE, Applicant, Owner, Special, Trailing, Waiting};
use super::taker::Taker;
use super::{Inconsistent, Matcher, Traded};
use crate::outbox::Accounts;

/// What those that trail are yet to see.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sight {
    /// A price that was traded at.
    Price(Price),
    /// An order begins, at a price.
    Begin(OrderId, Price),
}

impl Matcher {
    /// Lets an order without a stop price trail from the last price on; or from the first, if there was none. `listed`:
    /// whether it belongs to a list.
    #[allow(clippy::too_many_arguments, reason = "an order, its parts, and where it belongs")]
    pub(super) fn trail_from_now(
        &mut self,
        quantity: Quantity,
        waiting: Waiting,
        special: Special,
        applicant: Applicant,
        listed: bool,
        events: &mut Events,
    ) {
        match self.last_price {
            None => self.open.wait(ANY_PRICE, quantity, waiting, special, applicant, listed),
            Some(last) => {
                let slot = self.open.park(quantity, waiting, special, applicant);
                if listed {
                    self.open.mark_listed(Handle::waiting(slot));
                }
                self.begin_trailing(slot, last, events);
            }
        }
    }

    /// An order that is in no price level any more begins to trail at a price.
    pub(super) fn begin_trailing(&mut self, slot: Slot, price: Price, events: &mut Events) {
        let order = self.open.waiting_at(slot).order;
        events.push(Event::TrailingBegun { symbol: self.market.id, order: order.id, account: order.account });
        if self.unseen.is_empty() {
            self.open.begin_trailing(slot, price);
        } else {
            self.unseen.push_back(Sight::Begin(order.id, price));
        }
    }

    /// An order of that side has traded at these prices.
    #[inline]
    pub(super) fn note_prices(&mut self, traded: Option<Traded>, side: Side) {
        if let Some(Traded { low, high }) = traded
            && self.open.trails_any()
        {
            let (first, last) = if side == Side::Buy { (low, high) } else { (high, low) };
            self.note_price(first);
            self.note_price(last);
        }
    }

    fn note_price(&mut self, price: Price) {
        let count = self.unseen.len();
        if let Some(&Sight::Price(last)) = self.unseen.back() {
            if last == price {
                return;
            }
            // A price on the way to the next one changes nothing.
            if count > 1
                && let Sight::Price(before) = self.unseen[count - 2]
                && (before.min(price)..=before.max(price)).contains(&last)
            {
                self.unseen[count - 1] = Sight::Price(price);
                return;
            }
        }
        self.unseen.push_back(Sight::Price(price));
    }

    /// Shows those that trail what they have not seen, until one of them triggers, which works then, or the command has
    /// taken so many steps. The prices at which it traded; `None` if none triggered.
    pub(super) fn trail(
        &mut self,
        steps_max: u32,
        accounts: &mut Accounts<'_>,
        events: &mut Events,
    ) -> Option<Option<Traded>> {
        while let Some(&sight) = self.unseen.front() {
            if self.steps >= steps_max {
                return None;
            }
            self.steps += 1;
            match sight {
                Sight::Begin(id, price) => {
                    if let Some(slot) = self.open.parked(id) {
                        self.open.begin_trailing(slot, price);
                    }
                }
                Sight::Price(price) => {
                    self.open.show_price(price);
                    if let Some(due) = self.open.pop_trailing(price) {
                        let traded = self.set_off(due, accounts, events);
                        self.forget_unseen();
                        return Some(traded);
                    }
                }
            }
            self.unseen.pop_front();
        }
        None
    }

    /// Lets a waiting order work.
    pub(super) fn set_off(
        &mut self,
        (quantity, waiting, special, applicant, listed): (Quantity, Waiting, Special, Applicant, bool),
        accounts: &mut Accounts<'_>,
        events: &mut Events,
    ) -> Option<Traded> {
        #[cfg(crossbook_bugs)]
        let special = match crossbook_types::bugs::is_planted(crossbook_types::bugs::Bug::TriggeredLeavesGroup) {
            true => Special { group: None, ..special },
            false => special,
        };
        let Waiting { order, limit, budget } = waiting;
        if listed {
            self.leg_runs(order.id, accounts, events);
        }
        events.push(Event::OrderTriggered { symbol: self.market.id, order: order.id, account: order.account });
        let (limit, budget) = match special.peg {
            None => (limit, budget),
            Some(peg) => match self.peg(&order, peg, quantity, budget, accounts, events) {
                Some((price, budget)) => (Some(price), budget),
                None => {
                    let (discounted, id) = (special.discounted, order.id);
                    let owner = Owner { order: id, account: order.account, hold: order.hold, listed, discounted };
                    self.close(owner, CloseReason::Unaffordable, accounts, events);
                    return None;
                }
            },
        };
        let (left, most, side) = (Size::Base(quantity), Quantity::MAX, order.side);
        let taker = Taker { order, applicant, limit, left, budget, credit: FeeCredit::NONE, special, most, listed };
        let traded = self.execute_later(taker, accounts, events);
        self.note_prices(traded, side);
        traded
    }

    /// Nobody trails any more: nothing is left to be seen.
    #[inline]
    pub(super) fn forget_unseen(&mut self) {
        if !self.unseen.is_empty() && !self.open.trails_any() {
            self.unseen.clear();
        }
    }

    /// Those that have not begun yet do so, and whatever they have not seen is forgotten.
    pub(super) fn see_no_more(&mut self) {
        for sight in std::mem::take(&mut self.unseen) {
            if let Sight::Begin(id, price) = sight
                && let Some(slot) = self.open.parked(id)
            {
                self.open.begin_trailing(slot, price);
            }
        }
    }

    /// The orders that trail, and what they have not seen, in canonical form.
    pub(super) fn trailing_state(&self) -> (Vec<Trailing>, Vec<Sight>) {
        let parked = self.unseen.iter().filter_map(|sight| match *sight {
            Sight::Begin(id, _) => self.open.parked(id).map(|slot| self.open.trailing_at(slot, None)),
            Sight::Price(_) => None,
        });
        // What an order that has ended was to begin with stays there: it takes a step, as it does without a restart.
        (self.open.trailing().chain(parked).collect(), self.unseen.iter().copied().collect())
    }

    /// Takes over what [`Matcher::trailing_state`] gave. Other orders are there already.
    pub(super) fn restore_trailing(&mut self, trailing: Vec<Trailing>, unseen: Vec<Sight>) -> Result<(), Inconsistent> {
        let parked = trailing.iter().filter(|order| order.extreme.is_none()).count();
        for order in trailing {
            self.restore_trailing_one(order)?;
        }
        let begins: BTreeSet<OrderId> = unseen
            .iter()
            .filter_map(|sight| match *sight {
                Sight::Begin(id, _) => Some(id).filter(|&id| self.open.parked(id).is_some()),
                Sight::Price(_) => None,
            })
            .collect();
        // Prices may be left though nobody trails any more: the last one ended with the other order of its list.
        if begins.len() != parked {
            return Err(Inconsistent);
        }
        self.unseen = VecDeque::from(unseen);
        Ok(())
    }

    /// Takes in an order that trails, behind the others.
    pub(super) fn restore_trailing_one(&mut self, trailing: Trailing) -> Result<(), Inconsistent> {
        let Trailing { quantity, waiting, special, extreme } = trailing;
        let order = &waiting.order;
        let applicant = self.open.applicant(order.account, order.client_order_id);
        let sane = !quantity.is_zero() && quantity <= Quantity::MAX && order.id < self.next_order;
        if !sane || special.trailing.is_none() || self.open.is_full() || self.is_taken(order, applicant) {
            return Err(Inconsistent);
        }
        let slot = self.open.park(quantity, waiting, special, applicant);
        if let Some(extreme) = extreme {
            self.open.begin_trailing(slot, extreme);
        }
        Ok(())
    }
}

wire_enum! {
    Sight { 0 => Price(price), 1 => Begin(order, price) }
}
