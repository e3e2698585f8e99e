//! The money of one partition: what every account has free, what its orders hold, and where every unit came from.
//!
//! The ledger is double entry. Every amount leaves one account and reaches another: deposits come from
//! [`AccountId::EXTERNAL`], withdrawals go to it, fees go to [`AccountId::FEES`], and a trade passes through
//! [`AccountId::CLEARING`], because the ledger of the other side may be in another partition. So per asset the sum over
//! all accounts is always zero, and [`Ledger::audit`] proves it. The clearing account is zero whenever no trade is half
//! settled.
//!
//! Funds are never only checked. An order's funds move from free to held, under a [`HoldId`], before the order goes to
//! its market, and a trade can be paid only from a hold. So a trade cannot fail for lack of funds.

// Pure: see the rules in ARCHITECTURE.md, and what is meant by them in clippy.toml.
#![cfg_attr(
    not(test),
    deny(
        clippy::disallowed_macros,
        clippy::disallowed_methods,
        clippy::disallowed_types,
        clippy::float_arithmetic,
        clippy::iter_over_hash_type
    )
)]

mod account;
mod audit;
mod counted;
mod hold;
mod resize;
mod transfers;
mod volume;

pub use audit::{Audit, Violation};
use counted::CountedHolds;
pub use counted::OrderCounts;
pub use transfers::TransferError;

pub use account::CountingHash;
use account::{Accounts, Position};
use crossbook_protocol::Transfer;
use crossbook_protocol::counted::Counted;
use crossbook_protocol::volume::AccountVolume;
use crossbook_protocol::wire::codec::wire_struct;
use crossbook_types::{AccountId, Amount, AssetId, HoldId, Timestamp, TransferId};
use hold::Holds;
use transfers::Transfers;
use volume::Volumes;

/// Why funds cannot be held.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HoldError {
    /// The account is not of this ledger.
    #[error("no such account")]
    UnknownAccount,
    /// Less is free than would have to be held.
    #[error("insufficient free balance")]
    Insufficient,
    /// There are as many holds as can be numbered, or were.
    #[error("all numbers of holds are used up")]
    UsedUp,
}

/// Why what an account had elsewhere is not taken over.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MoveError {
    /// The account is not of this ledger.
    #[error("no such account")]
    UnknownAccount,
    /// No such amount can have been transferred.
    #[error("the amount is negative or too large")]
    Amount,
    /// The account has a transfer of that id, or already has of that asset.
    #[error("it is here already")]
    Repeated,
}

/// One side of a trade, in finished amounts. `pay` and `improvement` leave the hold, `receive` less `fee` becomes free.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Leg {
    /// The asset that is paid.
    pub pay_asset: AssetId,
    /// How much of it.
    pub pay: Amount,
    /// How much of the hold became needless, because the price was better than the worst that was held for.
    pub improvement: Amount,
    /// The asset that is received.
    pub receive_asset: AssetId,
    /// How much of it, before the fee.
    pub receive: Amount,
    /// What of that the venue gets.
    pub fee: Amount,
}

/// What an account has of an asset.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Balance {
    /// What it can use.
    pub free: Amount,
    /// What its open orders hold.
    pub held: Amount,
}

/// The accounts of a partition.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    accounts: Accounts,
    venue: VenueAccounts,
    holds: Holds,
    counted: CountedHolds,
    volumes: Volumes,
    transfers: Transfers,
    /// Balances touched since [`Ledger::drain_changes`], each once.
    changed: Vec<Position>,
}

/// The venue's own accounts, by asset number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct VenueAccounts {
    external: Vec<Amount>,
    fees: Vec<Amount>,
    clearing: Vec<Amount>,
    /// How many entries of `clearing` are not zero.
    in_transit: u32,
}

impl VenueAccounts {
    fn cover(&mut self, asset: AssetId) -> usize {
        let at = asset.0 as usize;
        if at >= self.external.len() {
            for column in [&mut self.external, &mut self.fees, &mut self.clearing] {
                column.resize(at + 1, Amount::ZERO);
            }
        }
        at
    }

    #[inline]
    fn clear(&mut self, asset: AssetId, amount: Amount) {
        let at = self.cover(asset);
        let before = self.clearing[at];
        let after = before.plus(amount);
        self.clearing[at] = after;
        match (before.is_zero(), after.is_zero()) {
            (true, false) => self.in_transit += 1,
            (false, true) => self.in_transit -= 1,
            _ => {}
        }
    }
}

impl Ledger {
    /// An empty ledger.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens an account; once it is open, nothing happens.
    pub fn open(&mut self, account: AccountId) {
        self.accounts.open(account);
    }

    /// Whether the account is of this ledger.
    #[must_use]
    #[inline]
    pub fn has(&self, account: AccountId) -> bool {
        self.accounts.slot(account).is_some()
    }

    /// What an account has of an asset; nothing, if it never had any.
    #[must_use]
    pub fn balance(&self, account: AccountId, asset: AssetId) -> Balance {
        self.accounts.balance(account, asset)
    }

    /// What one of the venue's own accounts has of an asset; its balance may be negative.
    #[must_use]
    pub fn venue_balance(&self, account: AccountId, asset: AssetId) -> Amount {
        let column = match account {
            AccountId::EXTERNAL => &self.venue.external,
            AccountId::FEES => &self.venue.fees,
            AccountId::CLEARING => &self.venue.clearing,
            _ => return Amount::ZERO,
        };
        column.get(asset.0 as usize).copied().unwrap_or_default()
    }

    /// Whether some trade is settled on one side only, as far as this partition's ledger knows.
    #[must_use]
    #[inline]
    pub fn in_transit(&self) -> bool {
        self.venue.in_transit > 0
    }

    /// Sets `amount` of an account's free balance aside.
    ///
    /// # Errors
    /// When there is less, or no number for a hold; nothing is held then.
    ///
    /// # Panics
    /// When `amount` is negative.
    #[inline]
    pub fn hold(&mut self, account: AccountId, asset: AssetId, amount: Amount) -> Result<HoldId, HoldError> {
        assert!(!amount.is_negative(), "a hold of a negative amount");
        let slot = self.accounts.slot(account).ok_or(HoldError::UnknownAccount)?;
        let position = self.accounts.position(slot, asset);
        let balance = self.accounts.at(position);
        if balance.free < amount {
            return Err(HoldError::Insufficient);
        }
        let id = self.holds.place(position, amount).ok_or(HoldError::UsedUp)?;
        balance.free = balance.free.minus(amount);
        balance.held = balance.held.plus(amount);
        self.change(position);
        Ok(id)
    }

    /// Settles one side of a trade.
    ///
    /// # Panics
    /// When the hold is not that account's, does not hold that much, or the fee is more than what is received: the
    /// balances would be wrong, and a venue that continues then is worse than one that stops.
    #[inline]
    pub fn settle(&mut self, account: AccountId, hold: HoldId, leg: &Leg) {
        let receiving = self.settle_paid(account, hold, leg);
        let balance = self.accounts.at(receiving);
        balance.free = balance.free.plus(leg.receive.minus(leg.fee));
        self.change(receiving);
        self.settle_venue(leg);
    }

    /// Settles one side of a trade, and puts what it receives into another hold of the account.
    ///
    /// # Panics
    /// As [`Ledger::settle`], and when the other hold is not one of that account and asset.
    pub fn settle_into(&mut self, account: AccountId, hold: HoldId, leg: &Leg, into: HoldId) {
        let receiving = self.settle_paid(account, hold, leg);
        let received = leg.receive.minus(leg.fee);
        let entry = self.holds.get_mut(into).expect("what is received goes into a hold that exists");
        assert_eq!(entry.position, receiving, "what is received goes into a hold of its own account and asset");
        entry.remaining = entry.remaining.plus(received);
        let balance = self.accounts.at(receiving);
        balance.held = balance.held.plus(received);
        self.change(receiving);
        self.settle_venue(leg);
    }

    /// The part of the venue in a side of a trade.
    #[inline]
    fn settle_venue(&mut self, leg: &Leg) {
        let &Leg { pay_asset, pay, receive_asset, receive, fee, .. } = leg;
        self.venue.clear(pay_asset, pay);
        self.venue.clear(receive_asset, receive.negated());
        let at = self.venue.cover(receive_asset);
        self.venue.fees[at] = self.venue.fees[at].plus(fee);
    }

    /// Takes what a side of a trade pays out of its hold. The balance that receives.
    #[inline]
    fn settle_paid(&mut self, account: AccountId, hold: HoldId, leg: &Leg) -> Position {
        let Leg { pay_asset, pay, improvement, receive_asset, receive, fee } = *leg;
        assert!(
            !pay.is_negative() && !improvement.is_negative() && !fee.is_negative() && fee <= receive,
            "a trade's amounts"
        );
        let entry = self.holds.get_mut(hold).expect("a trade is paid from a hold that exists");
        let spent = pay.plus(improvement);
        let position = entry.position;
        assert!(entry.remaining >= spent, "a trade is paid from a hold that suffices");
        entry.remaining = entry.remaining.minus(spent);
        assert_eq!(self.accounts.id(position.slot), account, "a trade is paid from its own account's hold");

        let paying = self.accounts.at(position);
        assert_eq!(paying.asset, pay_asset, "a trade is paid in the asset that is held");
        paying.held = paying.held.minus(spent);
        paying.free = paying.free.plus(improvement);
        self.change(position);

        if !self.counted.is_empty() {
            self.counted.receive(hold, receive);
        }
        self.accounts.position(position.slot, receive_asset)
    }

    /// Ends a hold and frees what is left in it.
    ///
    /// # Panics
    /// When the hold is not that account's.
    #[inline]
    pub fn release(&mut self, account: AccountId, hold: HoldId) {
        let entry = self.holds.remove(hold).expect("a hold is released once");
        assert_eq!(self.accounts.id(entry.position.slot), account, "a hold is released by its account");
        if !self.counted.is_empty() {
            self.counted.remove(hold);
        }
        if entry.remaining.is_zero() {
            return;
        }
        let balance = self.accounts.at(entry.position);
        balance.held = balance.held.minus(entry.remaining);
        balance.free = balance.free.plus(entry.remaining);
        #[cfg(crossbook_bugs)]
        if crossbook_types::bugs::is_planted(crossbook_types::bugs::Bug::ReleasedTwice) {
            balance.free = balance.free.plus(entry.remaining);
        }
        self.change(entry.position);
    }

    /// How many holds there are.
    #[must_use]
    pub fn holds(&self) -> usize {
        self.holds.len()
    }

    /// What is left in a hold.
    #[must_use]
    pub fn held_under(&self, hold: HoldId) -> Option<Amount> {
        self.holds.get(hold).map(|entry| entry.remaining)
    }

    /// Deposits (`amount` above zero) or withdraws (below), once per account and transfer id. The second value is
    /// whether it moved now.
    ///
    /// # Errors
    /// When the account is unknown, the amount is out of range, too little is free, or the id was used for something
    /// else.
    pub fn transfer(
        &mut self,
        account: AccountId,
        asset: AssetId,
        amount: Amount,
        transfer: TransferId,
        time: Timestamp,
    ) -> Result<(Transfer, bool), TransferError> {
        let slot = self.accounts.slot(account).ok_or(TransferError::UnknownAccount)?;
        if let Some(known) = self.transfers.get(account, transfer) {
            return if known.asset == asset && known.amount == amount {
                Ok((known.clone(), false))
            } else {
                Err(TransferError::Conflict)
            };
        }
        if amount.is_zero() || amount.0.unsigned_abs() > Amount::MAX.0.unsigned_abs() {
            return Err(TransferError::Amount);
        }
        let at = self.venue.cover(asset);
        let external = self.venue.external[at].checked_sub(amount).filter(|sum| sum.0.unsigned_abs() <= SUM_MAX);
        let external = external.ok_or(TransferError::Amount)?;
        let position = self.accounts.position(slot, asset);
        let balance = self.accounts.at(position);
        let free = balance.free.plus(amount);
        if free.is_negative() {
            return Err(TransferError::Insufficient);
        }
        balance.free = free;
        self.venue.external[at] = external;
        self.change(position);
        let record = Transfer { account, asset, amount, transfer, time };
        self.transfers.record(record.clone());
        Ok((record, true))
    }

    /// Whether a transfer of that name was made.
    #[must_use]
    pub fn knows_transfer(&self, account: AccountId, transfer: TransferId) -> bool {
        self.transfers.get(account, transfer).is_some()
    }

    /// Pays out collected fees to the external account, once per transfer id. The record belongs to the venue's account
    /// for fees, with an amount below zero. The second value is whether it moved now.
    ///
    /// # Errors
    /// When the amount is out of range or more than was collected, or the id was used for another payout.
    pub fn pay_out_fees(
        &mut self,
        asset: AssetId,
        amount: Amount,
        transfer: TransferId,
        time: Timestamp,
    ) -> Result<(Transfer, bool), TransferError> {
        let account = AccountId::FEES;
        if let Some(known) = self.transfers.get(account, transfer) {
            return if known.asset == asset && known.amount == amount.negated() {
                Ok((known.clone(), false))
            } else {
                Err(TransferError::Conflict)
            };
        }
        if amount.is_zero() || amount.is_negative() || amount > Amount::MAX {
            return Err(TransferError::Amount);
        }
        let at = self.venue.cover(asset);
        if self.venue.fees[at] < amount {
            return Err(TransferError::Insufficient);
        }
        // What was collected came in before, so this cannot leave more outside than there ever was.
        self.venue.fees[at] = self.venue.fees[at].minus(amount);
        self.venue.external[at] = self.venue.external[at].plus(amount);
        let record = Transfer { account, asset, amount: amount.negated(), transfer, time };
        self.transfers.record(record.clone());
        Ok((record, true))
    }

    /// Writes down a transfer that took place elsewhere, before the account moved here: what came in then stands in the
    /// clearing account until [`Ledger::move_in`] hands it out.
    ///
    /// # Errors
    /// When the account is unknown, or the transfer is known or cannot have been; nothing changes then.
    pub fn move_transfer_in(&mut self, transfer: Transfer) -> Result<(), MoveError> {
        let Transfer { account, asset, amount, transfer: id, .. } = transfer;
        if account != AccountId::FEES && !self.has(account) {
            return Err(MoveError::UnknownAccount);
        }
        if self.transfers.get(account, id).is_some() {
            return Err(MoveError::Repeated);
        }
        if amount.is_zero() || amount.0.unsigned_abs() > Amount::MAX.0.unsigned_abs() {
            return Err(MoveError::Amount);
        }
        let at = self.venue.cover(asset);
        let external = bounded(self.venue.external[at].checked_sub(amount))?;
        bounded(self.venue.clearing[at].checked_add(amount))?;
        self.venue.external[at] = external;
        self.venue.clear(asset, amount);
        self.transfers.record(transfer);
        Ok(())
    }

    /// The same for transfers that are not stored one by one any more: their sum.
    ///
    /// # Errors
    /// When that is impossible; nothing changes then.
    pub fn move_forgotten_in(&mut self, asset: AssetId, amount: Amount) -> Result<(), MoveError> {
        let at = self.venue.cover(asset);
        let external = bounded(self.venue.external[at].checked_sub(amount))?;
        bounded(self.venue.clearing[at].checked_add(amount))?;
        self.venue.external[at] = external;
        self.venue.clear(asset, amount);
        self.transfers.add_forgotten(asset, amount);
        Ok(())
    }

    /// Forgets the oldest transfers, as long as more than `max` are remembered, but no more than `at_most` of them. The
    /// id of one that is forgotten is free again.
    pub fn forget_transfers(&mut self, max: usize, at_most: usize) {
        self.transfers.forget_oldest(max, at_most);
    }

    /// What forgotten transfers have brought in, by the number of the asset; what is missing at the end is nothing.
    #[must_use]
    pub fn forgotten_transfers(&self) -> &[Amount] {
        self.transfers.forgotten()
    }

    /// Gives an account, or the venue's account for fees, what it had elsewhere, out of the clearing account. All of it
    /// is free.
    ///
    /// # Errors
    /// When the account is unknown, already has something of that asset, or cannot have had that; nothing changes then.
    pub fn move_in(&mut self, account: AccountId, asset: AssetId, amount: Amount) -> Result<(), MoveError> {
        if amount.is_negative() {
            return Err(MoveError::Amount);
        }
        let at = self.venue.cover(asset);
        bounded(Some(amount))?;
        bounded(self.venue.clearing[at].checked_sub(amount))?;
        if account == AccountId::FEES {
            if !self.venue.fees[at].is_zero() {
                return Err(MoveError::Repeated);
            }
            self.venue.fees[at] = amount;
        } else {
            let slot = self.accounts.slot(account).ok_or(MoveError::UnknownAccount)?;
            let position = self.accounts.position(slot, asset);
            let balance = self.accounts.at(position);
            if !balance.free.is_zero() || !balance.held.is_zero() {
                return Err(MoveError::Repeated);
            }
            balance.free = amount;
            self.change(position);
        }
        self.venue.clear(asset, amount.negated());
        Ok(())
    }

    /// Whether it has no account, and so nothing at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }

    /// The transfers that are remembered, by account and id.
    pub fn transfers(&self) -> impl Iterator<Item = &Transfer> {
        self.transfers.iter()
    }

    /// Every balance that has changed since the last call, each once, in the order of its first change. What was held
    /// and released again is not listed.
    pub fn drain_changes(&mut self, mut each: impl FnMut(AccountId, AssetId, Balance)) {
        for &position in &self.changed {
            let id = self.accounts.id(position.slot);
            let holding = self.accounts.at(position);
            holding.changed = false;
            let balance = Balance { free: holding.free, held: holding.held };
            if balance != holding.told {
                holding.told = balance;
                each(id, holding.asset, balance);
            }
        }
        self.changed.clear();
    }

    /// Every balance, by account number and asset number.
    pub fn balances(&self) -> impl Iterator<Item = (AccountId, AssetId, Balance)> {
        self.accounts.balances()
    }

    #[inline]
    fn change(&mut self, position: Position) {
        let holding = self.accounts.at(position);
        if !holding.changed {
            holding.changed = true;
            self.changed.push(position);
        }
    }
}

/// The largest sum of one of the venue's own accounts that is allowed to come about: sums of two of them still fit.
const SUM_MAX: u128 = 1 << 120;

fn bounded(sum: Option<Amount>) -> Result<Amount, MoveError> {
    sum.filter(|sum| sum.0.unsigned_abs() <= SUM_MAX).ok_or(MoveError::Amount)
}

/// The id that the hold has which is placed as the `count`th of an empty ledger, counted from 0, while none has ended.
///
/// # Panics
/// When that is more than there can be at a time.
#[must_use]
pub fn hold_of_empty(count: u32) -> HoldId {
    hold::first_use(count)
}

/// A ledger in its canonical form: the same for every ledger that the same commands made, whatever restarts it went
/// through.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct State {
    accounts: Vec<(AccountId, Vec<(AssetId, Balance)>)>,
    external: Vec<Amount>,
    fees: Vec<Amount>,
    clearing: Vec<Amount>,
    holds: Vec<(HoldId, AccountId, AssetId, Amount)>,
    /// The last ids of the places that no hold has now, the next to be used last.
    pub holds_free: Vec<HoldId>,
    /// The last ids of the places that no hold will have again, by place.
    pub holds_retired: Vec<HoldId>,
    transfers: Vec<Transfer>,
    /// What transfers that are forgotten have brought in, by asset.
    forgotten: Vec<Amount>,
    /// The holds that count against limits, by hold.
    counted: Vec<(HoldId, AccountId, Counted)>,
    /// The asset in which volumes are counted, and what accounts have traded.
    volume_asset: Option<AssetId>,
    volumes: Vec<(AccountId, AccountVolume)>,
}

wire_struct! {
    plain Balance { 0: free, 1: held }

    State {
        0: accounts, 1: external, 2: fees, 3: clearing, 4: holds, 5: holds_free, 6: holds_retired, 7: transfers;
        optional 8: forgotten, 40: counted, 41: volume_asset, 42: volumes,
    }
}

/// Why a state is not one of a ledger.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the ledger's state contradicts itself")]
pub struct Inconsistent;

impl Ledger {
    /// The canonical form.
    ///
    /// # Panics
    /// When changes were not drained; states are taken between commands only.
    #[must_use]
    pub fn state(&self) -> State {
        assert!(self.changed.is_empty() && self.tiers_are_told(), "a ledger's state is taken between commands");
        State {
            accounts: self.accounts.canonical(),
            external: self.venue.external.clone(),
            fees: self.venue.fees.clone(),
            clearing: self.venue.clearing.clone(),
            holds: self.holds.canonical(|position| self.accounts.describe(position)),
            holds_free: self.holds.free(),
            holds_retired: self.holds.retired(),
            transfers: self.transfers.canonical(),
            forgotten: self.transfers.forgotten().to_vec(),
            counted: self.counted.state(),
            volume_asset: self.volume_asset(),
            volumes: self.volumes().map(|(account, volume)| (account, volume.clone())).collect(),
        }
    }

    /// The ledger of that state.
    ///
    /// # Errors
    /// When the state does not pass its own audit.
    pub fn restore(state: State) -> Result<Self, Inconsistent> {
        let mut ledger = Self::new();
        for (account, balances) in state.accounts {
            ledger.accounts.restore(account, balances)?;
        }
        if state.external.len() != state.fees.len() || state.fees.len() != state.clearing.len() {
            return Err(Inconsistent);
        }
        let in_transit = state.clearing.iter().filter(|amount| !amount.is_zero()).count();
        ledger.venue = VenueAccounts {
            external: state.external,
            fees: state.fees,
            clearing: state.clearing,
            in_transit: u32::try_from(in_transit).map_err(|_| Inconsistent)?,
        };
        let mut holds = Vec::with_capacity(state.holds.len());
        for (id, account, asset, remaining) in state.holds {
            let slot = ledger.accounts.slot(account).ok_or(Inconsistent)?;
            let position = ledger.accounts.position(slot, asset);
            holds.push((id, position, remaining));
        }
        ledger.holds = Holds::restore(holds, &state.holds_free, &state.holds_retired)?;
        ledger.transfers = Transfers::restore(state.transfers, state.forgotten);
        for (hold, account, counted) in state.counted {
            ledger.count(account, hold, counted)?;
        }
        ledger.count_volumes_in(state.volume_asset);
        for (account, volume) in state.volumes {
            ledger.move_volume_in(account, volume)?;
        }
        if ledger.audit().violations.is_empty() { Ok(ledger) } else { Err(Inconsistent) }
    }
}

#[cfg(test)]
mod tests;
