//! Countdowns: the account's partition keeps them, and tells the markets when one has passed.
//!
//! The engine has no clock. Somebody who watches the published countdowns sends
//! [`EndCountdown`](crossbook_protocol::Body::EndCountdown) when one seems to have passed; by the time of that command
//! the partition decides whether it has. What follows cannot be lost: orders in markets of this partition are cancelled
//! by the command itself, as far as one command does, and by its continuation; other partitions receive a message.

use std::collections::BTreeMap;

use crossbook_protocol::countdown::{CANCEL_NAME, Countdown, CountdownScope, SetCountdown};
use crossbook_protocol::event::{Answer, Event, Events};
use crossbook_protocol::order::CancelAll;
use crossbook_protocol::peer::PeerMessage;
use crossbook_protocol::refusal::Refusal;
use crossbook_protocol::rules::Rules;
use crossbook_types::{AccountId, ClientOrderId, PartitionId, SymbolId, Timestamp};

use crate::partition::Partition;

/// Maximum number of countdowns of an account: one for all markets, and some of markets and sessions.
pub const COUNTDOWNS_PER_ACCOUNT: usize = 64;

/// The countdowns that run, of the accounts of a partition.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Countdowns(BTreeMap<(AccountId, CountdownScope), Timestamp>);

impl Countdowns {
    /// In the order of accounts and scopes.
    pub(crate) fn list(&self) -> Vec<Countdown> {
        self.0.iter().map(|(&(account, scope), &until)| Countdown { account, scope, until }).collect()
    }

    /// The countdowns of a list that was made by [`Countdowns::list`]; `None` of any other.
    pub(crate) fn of_list(list: &[Countdown]) -> Option<Self> {
        let is_sorted = list.is_sorted_by(|a, b| (a.account, a.scope) < (b.account, b.scope));
        let mut countdowns = Self::default();
        (is_sorted && list.iter().all(|countdown| countdowns.set(*countdown).is_ok())).then_some(countdowns)
    }

    fn of_account(&self, account: AccountId) -> usize {
        let first = (account, CountdownScope::Account);
        self.0.range(first..=(account, CountdownScope::Session(u64::MAX))).count()
    }

    /// Adds a countdown, or extends it.
    pub(crate) fn set(&mut self, Countdown { account, scope, until }: Countdown) -> Result<(), Refusal> {
        let is_new = !self.0.contains_key(&(account, scope));
        if is_new && self.of_account(account) >= COUNTDOWNS_PER_ACCOUNT {
            return Err(Refusal::TooManyCountdowns);
        }
        self.0.insert((account, scope), until);
        Ok(())
    }
}

impl Partition {
    /// The countdowns that run, by account and scope.
    #[must_use]
    pub fn countdowns(&self) -> Vec<Countdown> {
        self.countdowns.list()
    }

    pub(crate) fn set_countdown(&mut self, request: &SetCountdown, events: &mut Events) -> Result<Answer, Refusal> {
        let &SetCountdown { account, scope, after_millis } = request;
        if self.rules < Rules::V4 {
            return Err(Refusal::RulesTooOld);
        }
        if !self.ledger.has(account) {
            return Err(Refusal::UnknownAccount);
        }
        if let CountdownScope::Symbol(symbol) = scope {
            self.registry.market(symbol).ok_or(Refusal::UnknownSymbol)?;
        }
        let until = match after_millis {
            Some(0) => {
                self.countdowns.0.remove(&(account, scope));
                self.pass(account, scope, events);
                return Ok(Answer::CountdownSet { until: None });
            }
            Some(after) => {
                let until = Timestamp(self.time.0.checked_add(u64::from(after) * 1_000).ok_or(Refusal::NumbersUsedUp)?);
                let countdown = Countdown { account, scope, until };
                self.countdowns.set(countdown)?;
                events.push(Event::CountdownSet(countdown));
                Some(until)
            }
            None => {
                if self.countdowns.0.remove(&(account, scope)).is_some() {
                    events.push(Event::CountdownEnded { account, scope, passed: false });
                }
                None
            }
        };
        Ok(Answer::CountdownSet { until })
    }

    pub(crate) fn end_countdown(&mut self, countdown: &Countdown, events: &mut Events) -> Result<Answer, Refusal> {
        let &Countdown { account, scope, until } = countdown;
        if self.rules < Rules::V4 {
            return Err(Refusal::RulesTooOld);
        }
        if self.countdowns.0.get(&(account, scope)) != Some(&until) || self.time < until {
            return Err(Refusal::NoCountdown);
        }
        self.countdowns.0.remove(&(account, scope));
        self.pass(account, scope, events);
        Ok(Answer::CountdownSet { until: None })
    }

    /// A countdown has passed: cancels the orders that it covers, here and elsewhere.
    fn pass(&mut self, account: AccountId, scope: CountdownScope, events: &mut Events) {
        events.push(Event::CountdownEnded { account, scope, passed: true });
        match scope {
            CountdownScope::Symbol(symbol) => match self.elsewhere(symbol) {
                None => self.cancel_orders(account, [symbol].into_iter(), CANCEL_NAME, events),
                Some(owner) => self.tell_of_passing(account, Some((symbol, owner))),
            },
            CountdownScope::Account | CountdownScope::Session(_) => {
                self.tell_of_passing(account, None);
                self.cancel_all_orders(account, CANCEL_NAME, events);
            }
        }
    }

    /// Has another partition cancel what an account has open in a market of it, or all others what it has there.
    fn tell_of_passing(&mut self, account: AccountId, only: Option<(SymbolId, PartitionId)>) {
        #[cfg(crossbook_bugs)]
        if crossbook_types::bugs::is_planted(crossbook_types::bugs::Bug::CountdownStaysHome) {
            return;
        }
        match only {
            Some((symbol, owner)) => {
                self.outbox.post(owner, PeerMessage::CancelOrders { account, symbol: Some(symbol) });
            }
            None => self.outbox.post_to_others(&PeerMessage::CancelOrders { account, symbol: None }),
        }
    }

    /// Cancels what an account has open in this partition's markets, under that name.
    pub(crate) fn cancel_all_orders(&mut self, account: AccountId, cancel_name: &str, events: &mut Events) {
        let symbols: Vec<SymbolId> = self.matchers.iter().flatten().map(|matcher| matcher.market().id).collect();
        self.cancel_orders(account, symbols.into_iter(), cancel_name, events);
    }

    /// Cancels what an account has open in these markets of this partition: as many orders as one command cancels at
    /// once, the rest in the continuation.
    pub(crate) fn cancel_orders(
        &mut self,
        account: AccountId,
        symbols: impl Iterator<Item = SymbolId>,
        cancel_name: &str,
        events: &mut Events,
    ) {
        let cancel_id = ClientOrderId::new_checked(cancel_name).expect("the name is a valid one");
        let mut left = self.work.cancels;
        for symbol in symbols {
            let (Some(matcher), mut accounts) = self.market(symbol) else { continue };
            matcher.cancel_without_answer(&CancelAll { account, symbol, cancel_id }, &mut left, &mut accounts, events);
            self.note_work(symbol);
        }
    }
}
