//! Holds that change while their orders are open: a part of one is freed, or moves to another.

use crossbook_types::{AccountId, Amount, HoldId};

use crate::Ledger;

impl Ledger {
    /// Frees `amount` of what is left in a hold, which goes on.
    ///
    /// # Panics
    /// When the hold is not that account's, or holds less.
    pub fn reduce(&mut self, account: AccountId, hold: HoldId, amount: Amount) {
        let entry = self.holds.get_mut(hold).expect("a hold that exists is reduced");
        let position = entry.position;
        assert!(!amount.is_negative() && entry.remaining >= amount, "a hold is reduced by what is left in it");
        assert_eq!(self.accounts.id(position.slot), account, "a hold is reduced by its account");
        entry.remaining = entry.remaining.minus(amount);
        let remaining = entry.remaining;
        let balance = self.accounts.at(position);
        balance.held = balance.held.minus(amount);
        balance.free = balance.free.plus(amount);
        self.change(position);
        if !self.counted.is_empty() {
            self.counted.resize(hold, remaining);
        }
    }

    /// Pays `amount` of what is left in a hold to the venue as a fee.
    ///
    /// # Panics
    /// When the hold is not that account's, or holds less.
    pub fn pay_fee(&mut self, account: AccountId, hold: HoldId, amount: Amount) {
        let entry = self.holds.get_mut(hold).expect("a fee is paid from a hold that exists");
        let position = entry.position;
        assert!(!amount.is_negative() && entry.remaining >= amount, "a fee is paid from a hold that suffices");
        assert_eq!(self.accounts.id(position.slot), account, "a fee is paid from its own account's hold");
        entry.remaining = entry.remaining.minus(amount);
        let balance = self.accounts.at(position);
        balance.held = balance.held.minus(amount);
        let asset = balance.asset;
        self.change(position);
        let at = self.venue.cover(asset);
        self.venue.fees[at] = self.venue.fees[at].plus(amount);
    }

    /// Moves `amount` of what is left in a hold to another hold of the same account and asset.
    ///
    /// # Panics
    /// When they are not that account's and of the same asset, or the first holds less.
    pub fn shift(&mut self, account: AccountId, from: HoldId, to: HoldId, amount: Amount) {
        let entry = self.holds.get_mut(from).expect("a hold that exists is drawn from");
        let position = entry.position;
        assert!(!amount.is_negative() && entry.remaining >= amount, "no more is moved than a hold has left");
        assert_eq!(self.accounts.id(position.slot), account, "a hold is drawn from by its account");
        #[cfg(crossbook_bugs)]
        let amount = match crossbook_types::bugs::is_planted(crossbook_types::bugs::Bug::ReplacedHoldIsNotUsed) {
            true => Amount::ZERO,
            false => amount,
        };
        entry.remaining = entry.remaining.minus(amount);
        let receiver = self.holds.get_mut(to).expect("a hold that exists is added to");
        assert_eq!(receiver.position, position, "what is held stays of one account and asset");
        receiver.remaining = receiver.remaining.plus(amount);
    }
}
