//! Countdowns of the naive exchange: a list, and cancels of all that an account has open when one passes.

use crossbook_engine::COUNTDOWNS_PER_ACCOUNT;
use crossbook_protocol::countdown::{CANCEL_NAME, Countdown, CountdownScope, SetCountdown};
use crossbook_protocol::event::Event;
use crossbook_protocol::peer::Origin;
use crossbook_protocol::{Answer, Refusal};
use crossbook_types::{AccountId, ClientOrderId, SymbolId, Timestamp};

use super::Model;
use super::deferred::Canceling;

impl Model {
    /// The countdowns that run, by account and scope.
    #[must_use]
    pub fn countdowns(&self) -> Vec<Countdown> {
        let mut countdowns = self.countdowns.clone();
        countdowns.sort_unstable();
        countdowns
    }

    pub(super) fn set_countdown(&mut self, request: &SetCountdown) -> Result<Answer, Refusal> {
        let &SetCountdown { account, scope, after_millis } = request;
        if !self.accounts.contains(&account) {
            return Err(Refusal::UnknownAccount);
        }
        if matches!(scope, CountdownScope::Symbol(symbol) if symbol.0 as usize >= self.books.len()) {
            return Err(Refusal::UnknownSymbol);
        }
        let others: Vec<Countdown> =
            self.countdowns.iter().filter(|other| (other.account, other.scope) != (account, scope)).copied().collect();
        let ran = others.len() < self.countdowns.len();
        let of_account = others.iter().filter(|other| other.account == account).count();
        if after_millis.is_some_and(|after| after > 0) && !ran && of_account == COUNTDOWNS_PER_ACCOUNT {
            return Err(Refusal::TooManyCountdowns);
        }
        self.countdowns = others;
        let until = match after_millis {
            Some(0) => {
                self.pass_countdown(account, scope);
                None
            }
            Some(after) => {
                let until = Timestamp(self.time.0 + u64::from(after) * 1_000);
                let countdown = Countdown { account, scope, until };
                self.countdowns.push(countdown);
                self.events.push(Event::CountdownSet(countdown));
                Some(until)
            }
            None => {
                if ran {
                    self.events.push(Event::CountdownEnded { account, scope, passed: false });
                }
                None
            }
        };
        Ok(Answer::CountdownSet { until })
    }

    pub(super) fn end_countdown(&mut self, countdown: &Countdown) -> Result<Answer, Refusal> {
        let at = self.countdowns.iter().position(|other| other == countdown).ok_or(Refusal::NoCountdown)?;
        if countdown.until > self.time {
            return Err(Refusal::NoCountdown);
        }
        self.countdowns.remove(at);
        self.pass_countdown(countdown.account, countdown.scope);
        Ok(Answer::CountdownSet { until: None })
    }

    fn pass_countdown(&mut self, account: AccountId, scope: CountdownScope) {
        self.events.push(Event::CountdownEnded { account, scope, passed: true });
        let markets = (0..self.books.len() as u32).map(SymbolId);
        let covered: Vec<SymbolId> = match scope {
            CountdownScope::Symbol(symbol) => vec![symbol],
            CountdownScope::Account | CountdownScope::Session(_) => markets.collect(),
        };
        self.cancel_unasked(account, covered, CANCEL_NAME);
    }

    /// Cancels all that the account has open in these markets, though it has not asked for that.
    pub(super) fn cancel_unasked(&mut self, account: AccountId, markets: Vec<SymbolId>, name: &str) {
        // One command cancels so many, wherever.
        let mut left = self.bounds.cancels as usize;
        for symbol in markets {
            self.cancel_in(account, symbol, name, &mut left);
            self.note_work(symbol);
        }
    }

    /// Cancels all that the account has open in a market: at once, if that is not more than one command may, and part
    /// by part otherwise.
    fn cancel_in(&mut self, account: AccountId, symbol: SymbolId, name: &str, left: &mut usize) {
        let name = ClientOrderId::new_checked(name).unwrap();
        let book = &mut self.books[symbol.0 as usize];
        let newest = book.placed;
        if let Some(canceling) = book.canceling.iter_mut().find(|other| other.account == account) {
            canceling.newest = newest;
            return;
        }
        let own = book.orders.iter().filter(|order| order.account == account);
        let mut ids: Vec<u64> = own.map(|order| order.id).collect();
        ids.sort_unstable();
        if ids.is_empty() {
            return;
        }
        if ids.len() > *left || book.is_matching() {
            let Origin { source, number } = Origin::NOBODY;
            book.canceling.push(Canceling { account, name, asked: (source, number), newest, done: 0 });
            self.events.push(Event::CancelAllBegun { symbol, account, cancel_id: name, source, number });
            return;
        }
        *left -= ids.len();
        for id in ids {
            // Those of a list end together.
            if self.books[symbol.0 as usize].orders.iter().any(|order| order.id == id) {
                self.cancel_one(symbol, id, name);
            }
        }
        self.forget_reached(symbol);
    }
}
