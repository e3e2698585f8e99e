//! Work of the naive exchange that exceeds one command and continues with the next ones.

use crossbook_protocol::event::CloseReason;
use crossbook_protocol::order::CancelAll;
use crossbook_protocol::{Answer, Command, Event, Refusal};
use crossbook_types::{AccountId, ClientOrderId, MarketStatus, OrderId, RequestNumber, Side, SourceId, SymbolId};

use super::Model;

/// A cancel of all orders of an account that is not at its end.
#[derive(Clone, Debug)]
pub(super) struct Canceling {
    pub(super) account: AccountId,
    pub(super) name: ClientOrderId,
    pub(super) asked: (SourceId, RequestNumber),
    /// Orders of higher numbers stay.
    pub(super) newest: u64,
    pub(super) done: u32,
}

impl Model {
    /// Whether there are more orders to be cancelled than one command cancels. Then it begins, or is refused.
    pub(super) fn begin_canceling(&mut self, request: &CancelAll, command: &Command) -> bool {
        let &CancelAll { account, symbol, cancel_id } = request;
        let Some(book) = self.books.get_mut(symbol.0 as usize) else { return false };
        let open = book.orders.iter().filter(|order| order.account == account).count();
        if open <= self.bounds.cancels as usize || book.is_matching() {
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
        if self.books[symbol.0 as usize].is_matching() {
            self.go_on_matching(symbol);
            return self.note_work(symbol);
        }
        if self.books[symbol.0 as usize].ending {
            self.end_some(symbol);
            return self.note_work(symbol);
        }
        self.cancel_some(symbol, self.bounds.continued);
        if self.books[symbol.0 as usize].status() == MarketStatus::Trading {
            self.trigger(symbol, self.bounds.continued);
        }
        self.note_work(symbol);
    }

    /// The same for a market that need not exist.
    pub(super) fn note_work_if_there(&mut self, symbol: SymbolId) {
        if (symbol.0 as usize) < self.books.len() {
            self.note_work(symbol);
        }
    }

    /// Puts a market behind those that have something to go on with, if it has.
    pub(super) fn note_work(&mut self, symbol: SymbolId) {
        let book = &self.books[symbol.0 as usize];
        let left = book.reached.is_some() || !book.unseen.is_empty();
        let triggers = left && book.status() == MarketStatus::Trading;
        if (triggers || !book.canceling.is_empty() || book.is_matching() || book.ending)
            && !self.deferred.contains(&symbol)
        {
            self.deferred.push_back(symbol);
        }
    }

    /// A market is one no more.
    pub(super) fn delist(&mut self, symbol: SymbolId) -> Result<Answer, Refusal> {
        let book = self.books.get_mut(symbol.0 as usize).ok_or(Refusal::UnknownSymbol)?;
        book.market.status = MarketStatus::Delisted;
        book.ending = !book.orders.is_empty();
        let has_orders = book.ending && !book.is_matching();
        self.events.push(Event::MarketChanged(Box::new(book.market)));
        self.note_work(symbol);
        if has_orders {
            self.end_some(symbol);
        }
        Ok(Answer::MarketChanged(symbol))
    }

    /// Ends the next orders of a market that is one no more.
    fn end_some(&mut self, symbol: SymbolId) {
        for _ in 0..self.bounds.continued {
            // Bids, offers, those that wait for a rise and for a fall, those that trail, and those that are pending.
            let rank = |order: &&super::Order| {
                if order.pending {
                    return (6, order.id, 0);
                }
                if order.trails {
                    return (if order.side == Side::Buy { 4 } else { 5 }, u64::MAX - order.since, 0);
                }
                let price = if order.waits { order.stop.unwrap() } else { order.limit.unwrap() };
                let first_low = if order.waits { order.rises() } else { order.side == Side::Sell };
                let group = u8::from(order.waits) * 2 + u8::from(first_low != order.waits);
                (group, if first_low { price } else { u64::MAX - price }, order.since)
            };
            let Some(id) = self.books[symbol.0 as usize].orders.iter().min_by_key(rank).map(|order| order.id) else {
                break;
            };
            let order = self.books[symbol.0 as usize].take_out(id);
            self.end(symbol, &order, CloseReason::ByVenue);
            if !order.waits {
                self.publish_depth(symbol, order.side, order.limit.unwrap());
            }
        }
        let book = &mut self.books[symbol.0 as usize];
        book.ending = !book.orders.is_empty();
        self.forget_reached(symbol);
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

    /// Triggers those who wait for a price that was reached, and then places what lists have pending. Whether none is
    /// left.
    fn trigger_reached(&mut self, symbol: SymbolId, most: u32) -> bool {
        loop {
            let next = self.next_to_trigger(symbol);
            if next.is_none() {
                self.only_last(symbol);
            }
            if next.is_none() && self.books[symbol.0 as usize].due.is_empty() {
                return true;
            }
            // One of them may have tripped the circuit breaker.
            if self.steps >= most || self.books[symbol.0 as usize].status() != MarketStatus::Trading {
                return false;
            }
            self.steps += 1;
            let Some(next) = next else {
                let mut prices = Vec::new();
                self.place_due(symbol, &mut prices);
                self.note_prices(symbol, &prices);
                self.reach(symbol, &prices);
                continue;
            };
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
        self.runs_in_list(symbol, &mut order);
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
        if self.next_to_trigger(symbol).is_none() {
            self.only_last(symbol);
        }
    }

    /// Of the prices that were reached those that are yet to be placed see the last one.
    fn only_last(&mut self, symbol: SymbolId) {
        let book = &mut self.books[symbol.0 as usize];
        book.reached = book.last.filter(|_| !book.due.is_empty()).map(|last| (last, last));
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
