//! Work of the naive exchange that exceeds one command and continues with the next ones.

use crossbook_protocol::event::CloseReason;
use crossbook_protocol::order::CancelAll;
use crossbook_protocol::{Answer, Command, Event, Refusal};
use crossbook_types::{AccountId, ClientOrderId, MarketStatus, OrderId, RequestNumber, SourceId, SymbolId};

use super::Model;

/// A cancel of all orders of an account that is not at its end.
#[derive(Clone, Debug)]
pub(super) struct Canceling {
    account: AccountId,
    name: ClientOrderId,
    asked: (SourceId, RequestNumber),
    /// Orders of higher numbers stay.
    newest: u64,
    done: u32,
}

impl Model {
    /// Whether there are more orders to be cancelled than one command cancels. Then it begins, or is refused.
    pub(super) fn begin_canceling(&mut self, request: &CancelAll, command: &Command) -> bool {
        let &CancelAll { account, symbol, cancel_id } = request;
        let Some(book) = self.books.get_mut(symbol.0 as usize) else { return false };
        let open = book.orders.iter().filter(|order| order.account == account).count();
        if open <= self.bounds.cancels as usize {
            return false;
        }
        let (source, number) = (command.source, command.number);
        if book.canceling.iter().any(|other| other.account == account) {
            let answer = Answer::Refused(Refusal::CancelingAll);
            self.events.push(Event::Answered { source, number, answer });
            return true;
        }
        let alone = book.canceling.is_empty();
        let newest = book.placed;
        book.canceling.push(Canceling { account, name: cancel_id, asked: (source, number), newest, done: 0 });
        self.events.push(Event::CancelAllBegun { symbol, account, cancel_id, source, number });
        if alone {
            self.cancel_some(symbol, self.bounds.cancels);
        }
        self.note_work(symbol);
        true
    }

    /// Does the next part of what is left in the market whose turn it is.
    pub(super) fn go_on(&mut self) {
        let Some(symbol) = self.deferred.pop_front() else { return };
        self.steps = 0;
        self.cancel_some(symbol, self.bounds.continued);
        if self.books[symbol.0 as usize].market.status == MarketStatus::Trading {
            self.trigger(symbol, self.bounds.continued);
        }
        self.note_work(symbol);
    }

    /// Puts a market behind those that have something to go on with, if it has.
    pub(super) fn note_work(&mut self, symbol: SymbolId) {
        let book = &self.books[symbol.0 as usize];
        let left = book.reached.is_some() || !book.unseen.is_empty();
        let triggers = left && book.market.status == MarketStatus::Trading;
        if (triggers || !book.canceling.is_empty()) && !self.deferred.contains(&symbol) {
            self.deferred.push_back(symbol);
        }
    }

    fn cancel_some(&mut self, symbol: SymbolId, most: u32) {
        let at = symbol.0 as usize;
        let mut more = most;
        while more > 0 && !self.books[at].canceling.is_empty() {
            let Canceling { account, name, newest, .. } = self.books[at].canceling[0];
            let due = |book: &super::Book| {
                let own = book.orders.iter().filter(|order| order.account == account && order.id <= newest);
                own.map(|order| order.id).min()
            };
            while more > 0
                && let Some(oldest) = due(&self.books[at])
            {
                let orders = self.ending_with(symbol, oldest);
                self.cancel_one(symbol, oldest, name);
                self.books[at].canceling[0].done += orders;
                more = more.saturating_sub(orders);
            }
            if due(&self.books[at]).is_none() {
                let Canceling { asked: (source, number), done, .. } = self.books[at].canceling.remove(0);
                let answer = match done {
                    0 => Answer::Refused(Refusal::UnknownOrder),
                    count => Answer::CanceledAll { symbol, count },
                };
                self.events.push(Event::Answered { source, number, answer });
            } else {
                // The others have their turns first.
                let deferred = self.books[at].canceling.remove(0);
                self.books[at].canceling.push(deferred);
            }
        }
        self.forget_reached(symbol);
    }

    /// Trades were made at these prices.
    pub(super) fn reach(&mut self, symbol: SymbolId, prices: &[u64]) {
        let reached = &mut self.books[symbol.0 as usize].reached;
        for &price in prices {
            let (low, high) = reached.unwrap_or((price, price));
            *reached = Some((low.min(price), high.max(price)));
        }
    }

    /// Triggers those who wait for a price that was reached, until the command has done enough.
    pub(super) fn trigger(&mut self, symbol: SymbolId, most: u32) {
        loop {
            if !self.trigger_reached(symbol, most) {
                return;
            }
            self.books[symbol.0 as usize].reached = None;
            // Those that trail come after those that wait.
            if !self.trail(symbol, most) {
                return;
            }
        }
    }

    /// Places what lists have pending, and triggers those who wait for a price that was reached. Whether none is left.
    fn trigger_reached(&mut self, symbol: SymbolId, most: u32) -> bool {
        loop {
            let next = self.next_to_trigger(symbol);
            let lists_first = !self.books[symbol.0 as usize].due.is_empty();
            if next.is_none() && !lists_first {
                return true;
            }
            if self.steps >= most {
                return false;
            }
            self.steps += 1;
            if lists_first {
                let mut prices = Vec::new();
                self.place_due(symbol, &mut prices);
                self.note_prices(symbol, &prices);
                self.reach(symbol, &prices);
                continue;
            }
            let Some(next) = next else { continue };
            let book = &mut self.books[symbol.0 as usize];
            match (book.order(next).delta, book.last) {
                (Some(_), Some(last)) => self.begin_to_trail(symbol, next, last),
                _ => self.set_off(symbol, next),
            }
        }
    }

    /// A waiting order works.
    pub(super) fn set_off(&mut self, symbol: SymbolId, id: u64) {
        let mut order = self.books[symbol.0 as usize].take_out(id);
        (order.waits, order.trails, order.extreme) = (false, false, None);
        self.runs_in_list(symbol, &order);
        self.events.push(Event::OrderTriggered { symbol, order: OrderId(order.id), account: order.account });
        if !self.peg(symbol, &mut order) {
            return self.end(symbol, &order, CloseReason::Unaffordable);
        }
        let mut prices = Vec::new();
        self.work(symbol, order, &mut prices);
        self.note_prices(symbol, &prices);
        self.reach(symbol, &prices);
    }

    /// Nobody waits any more for the prices that were reached.
    pub(super) fn forget_reached(&mut self, symbol: SymbolId) {
        self.forget_unseen(symbol);
        if self.next_to_trigger(symbol).is_none() && self.books[symbol.0 as usize].due.is_empty() {
            self.books[symbol.0 as usize].reached = None;
        }
    }

    /// Of the waiting orders whose stop was reached: those that wait for a rise first, the nearest stop first, the
    /// oldest first.
    fn next_to_trigger(&self, symbol: SymbolId) -> Option<u64> {
        let book = &self.books[symbol.0 as usize];
        let (low, high) = book.reached?;
        let waiting = book.orders.iter().filter(|order| order.waits && !order.pending && !order.trails);
        let reached = waiting.filter(|order| {
            let stop = order.stop.unwrap();
            if order.rises() { stop <= high } else { stop >= low }
        });
        let rank = |order: &&super::Order| {
            let stop = order.stop.unwrap();
            let near = if order.rises() { stop } else { u64::MAX - stop };
            (!order.rises(), near, order.since)
        };
        reached.min_by_key(rank).map(|order| order.id)
    }
}
