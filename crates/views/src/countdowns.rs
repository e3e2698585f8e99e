//! The countdowns that run: by account for queries, and by time for whoever ends those that have passed.

use std::collections::{BTreeMap, BTreeSet};

use crossbook_protocol::Event;
use crossbook_protocol::countdown::{Countdown, CountdownScope};
use crossbook_types::{AccountId, Timestamp};

/// The countdowns of the accounts of a partition.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Countdowns {
    until: BTreeMap<(AccountId, CountdownScope), Timestamp>,
    by_time: BTreeSet<(Timestamp, AccountId, CountdownScope)>,
}

impl Countdowns {
    /// Those of an account, by scope.
    pub fn of(&self, account: AccountId) -> impl Iterator<Item = Countdown> {
        let range = (account, CountdownScope::Account)..=(account, CountdownScope::Session(u64::MAX));
        self.until.range(range).map(|(&(account, scope), &until)| Countdown { account, scope, until })
    }

    /// Those that pass at that time or earlier, the earliest first.
    pub fn passed(&self, now: Timestamp) -> impl Iterator<Item = Countdown> {
        let due = self.by_time.iter().take_while(move |&&(until, ..)| until <= now);
        due.map(|&(until, account, scope)| Countdown { account, scope, until })
    }

    /// Folds an event of a countdown.
    pub(crate) fn apply(&mut self, event: &Event) {
        match event {
            Event::CountdownSet(countdown) => self.set(*countdown),
            Event::CountdownEnded { account, scope, .. } => self.end(*account, *scope),
            _ => {}
        }
    }

    fn set(&mut self, countdown: Countdown) {
        let Countdown { account, scope, until } = countdown;
        self.end(account, scope);
        self.until.insert((account, scope), until);
        self.by_time.insert((until, account, scope));
    }

    fn end(&mut self, account: AccountId, scope: CountdownScope) {
        if let Some(until) = self.until.remove(&(account, scope)) {
            self.by_time.remove(&(until, account, scope));
        }
    }

    pub(crate) fn list(&self) -> Vec<Countdown> {
        self.until.iter().map(|(&(account, scope), &until)| Countdown { account, scope, until }).collect()
    }

    pub(crate) fn of_list(list: Vec<Countdown>) -> Self {
        let mut countdowns = Self::default();
        list.into_iter().for_each(|countdown| countdowns.set(countdown));
        countdowns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_have_passed_come_by_time_and_an_extended_one_does_not() {
        let (account, scope) = (AccountId(1001), CountdownScope::Account);
        let at = |scope, until| Countdown { account, scope, until: Timestamp(until) };
        let mut countdowns = Countdowns::default();
        countdowns.set(at(scope, 5));
        countdowns.set(at(CountdownScope::Session(1), 3));
        let passed = |countdowns: &Countdowns, now| countdowns.passed(Timestamp(now)).collect::<Vec<_>>();
        assert_eq!(passed(&countdowns, 2), []);
        assert_eq!(passed(&countdowns, 5), [at(CountdownScope::Session(1), 3), at(scope, 5)]);
        countdowns.set(at(scope, 9));
        countdowns.end(account, CountdownScope::Session(1));
        assert_eq!((passed(&countdowns, 8), passed(&countdowns, 9)), (vec![], vec![at(scope, 9)]));
        assert_eq!(Countdowns::of_list(countdowns.list()), countdowns);
        assert_eq!(countdowns.of(AccountId(1002)).count(), 0);
    }
}
