//! Fees that are paid in the asset of the discount.
//!
//! The account's partition has held some of that asset for an order; the market charges its trades out of that. What an
//! order has left is beside the book, by order, and a mark in the book says whether there is something.

use std::collections::BTreeMap;

use crossbook_protocol::event::{Discounted, Event, Events};
use crossbook_protocol::import::FeeReserve;
use crossbook_protocol::order::{NewOrder, OrderDiscount};
use crossbook_protocol::peer::PeerMessage;
use crossbook_protocol::wire::codec::wire_struct;
use crossbook_types::{
    AccountId, Amount, AssetId, DiscountCredit, DiscountRates, FeeCredit, HoldId, OrderId, Price, Quantity, Side,
};

use super::Matcher;
use super::amend::share;
use super::inconsistent::Inconsistent;
use super::open::{Amendable, Order};
use crate::admission;
use crate::outbox::Accounts;

/// What pays the fees of an open order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Reserve {
    pub(crate) asset: AssetId,
    pub(crate) hold: HoldId,
    /// What is left in the hold.
    pub(crate) left: Amount,
    pub(crate) rates: DiscountRates,
    pub(crate) credit: DiscountCredit,
}

impl Reserve {
    /// Whether there can be such a one.
    fn is_sound(&self) -> bool {
        let DiscountRates { scale, .. } = self.rates;
        let one = 10_u128.checked_pow(scale.into()).filter(|_| scale <= DiscountRates::SCALE_MAX);
        !self.left.is_negative() && one.is_some_and(|one| self.credit.0 < one)
    }
}

/// The open orders of a market that have one.
#[derive(Clone, Debug, Default)]
pub(super) struct Reserves(BTreeMap<OrderId, Reserve>);

impl Reserves {
    /// Takes in what the account's partition has held for an order.
    #[cold]
    pub(super) fn take(&mut self, order: OrderId, discount: OrderDiscount) {
        let OrderDiscount { asset, hold, held, rates } = discount;
        self.0.insert(order, Reserve { asset, hold, left: held, rates, credit: DiscountCredit::NONE });
    }

    /// Charges a trade of an order, while it rests or when it comes in: how much, and in which asset. `None` if what is
    /// left does not suffice, or the fee would not be less than the trade.
    fn charge(&mut self, order: OrderId, taker: bool, quote: Amount) -> Option<(AssetId, Amount)> {
        let reserve = self.0.get_mut(&order)?;
        let rate = if taker { reserve.rates.taker } else { reserve.rates.maker };
        let (fee, credit) = reserve.rates.charge(rate, quote, reserve.credit)?;
        if fee > reserve.left {
            return None;
        }
        (reserve.left, reserve.credit) = (reserve.left.minus(fee), credit);
        Some((reserve.asset, fee))
    }

    /// Whether there is one for an order.
    pub(super) fn has(&self, order: OrderId) -> bool {
        self.0.contains_key(&order)
    }

    pub(super) fn get(&self, order: OrderId) -> Option<Reserve> {
        self.0.get(&order).copied()
    }

    /// Lets an order have so much left.
    pub(super) fn lower(&mut self, order: OrderId, left: Amount) {
        if let Some(reserve) = self.0.get_mut(&order) {
            reserve.left = left;
        }
    }

    pub(super) fn remove(&mut self, order: OrderId) -> Option<Reserve> {
        self.0.remove(&order)
    }

    /// By order.
    pub(super) fn state(&self) -> Vec<(OrderId, Reserve)> {
        self.0.iter().map(|(&order, &reserve)| (order, reserve)).collect()
    }
}

/// What both sides of a trade are charged, and what they were charged beyond their exact fees then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Charges {
    pub(super) taker: Amount,
    pub(super) taker_credit: FeeCredit,
    pub(super) maker: Amount,
    pub(super) maker_credit: FeeCredit,
    /// Who of them pays in the asset of the discount.
    pub(super) discount: Option<Discounted>,
}

impl Charges {
    /// What the incoming order (`taker`) or the resting one is charged in the asset of the discount.
    #[inline]
    pub(super) fn elsewhere(&self, taker: bool) -> Option<Amount> {
        let Discounted { taker: of_taker, maker: of_maker, .. } = self.discount?;
        if taker { of_taker.then_some(self.taker) } else { of_maker.then_some(self.maker) }
    }

    /// What the fees take of what the incoming order and the resting one receive.
    #[inline]
    pub(super) fn of_received(&self) -> [Amount; 2] {
        match self.discount {
            None => [self.taker, self.maker],
            Some(Discounted { taker, maker, .. }) => {
                let received = |elsewhere, fee| if elsewhere { Amount::ZERO } else { fee };
                [received(taker, self.taker), received(maker, self.maker)]
            }
        }
    }
}

impl Matcher {
    /// Charges those sides of a trade in the asset of the discount that have something left for it: the incoming order,
    /// and the resting one. `before`: the ordinary credits of both.
    #[cold]
    pub(super) fn charge_discounted(
        &mut self,
        [taker, maker]: [Option<OrderId>; 2],
        quote: Amount,
        before: [FeeCredit; 2],
        charges: &mut Charges,
    ) {
        let mut paid = Discounted { asset: AssetId(0), taker: false, maker: false };
        if let Some(taker) = taker
            && let Some((asset, fee)) = self.reserves.charge(taker, true, quote)
        {
            (paid.asset, paid.taker) = (asset, true);
            (charges.taker, charges.taker_credit) = (fee, before[0]);
        }
        // Both pay in one asset or, if the operator has set another one in between, the resting order pays as usual.
        let fits = |reserve: &Reserve| !paid.taker || reserve.asset == paid.asset;
        if let Some(maker) = maker.filter(|maker| self.reserves.0.get(maker).is_some_and(fits))
            && let Some((asset, fee)) = self.reserves.charge(maker, false, quote)
        {
            (paid.asset, paid.maker) = (asset, true);
            (charges.maker, charges.maker_credit) = (fee, before[1]);
        }
        charges.discount = (paid.taker || paid.maker).then_some(paid);
    }

    /// Lets an order which can pay so much, and for whose fees something is held, take over what it lacks for them from
    /// the order that it replaces.
    #[cold]
    pub(super) fn move_reserve(
        &self,
        new: &NewOrder,
        discount: &mut OrderDiscount,
        of_other: Reserve,
        budget: Amount,
        accounts: &mut Accounts<'_>,
    ) {
        let most = admission::discount::most(&new.terms, &self.market, budget, discount.rates);
        if of_other.asset != discount.asset || most <= discount.held {
            return;
        }
        let moved = most.minus(discount.held).min(of_other.left);
        if !moved.is_zero() {
            accounts.shift(new.account, of_other.hold, discount.hold, moved);
            discount.held = discount.held.plus(moved);
        }
    }

    /// An order that replaces another and can pay so much: with what is held for its fees as far as they can come to
    /// that, or as one that pays the ordinary fee, if that is nothing.
    #[cold]
    pub(super) fn fit_discount(
        &self,
        new: &NewOrder,
        mut discount: OrderDiscount,
        budget: Amount,
        accounts: &mut Accounts<'_>,
    ) -> Box<NewOrder> {
        let most = admission::discount::most(&new.terms, &self.market, budget, discount.rates);
        if discount.held > most {
            accounts.reduce(new.account, discount.hold, discount.held.minus(most));
            discount.held = most;
        }
        let held = Some(discount).filter(|discount| !discount.held.is_zero());
        if held.is_none() {
            accounts.release(new.account, discount.hold);
        }
        Box::new(NewOrder { account: new.account, terms: new.terms.with_discount(held) })
    }

    /// Takes in what the account's partition has held for the fees of an order that is placed, and tells it.
    #[cold]
    pub(super) fn take_reserve(
        &mut self,
        order: OrderId,
        account: AccountId,
        discount: OrderDiscount,
        events: &mut Events,
    ) {
        self.reserves.take(order, discount);
        let OrderDiscount { asset, held, rates, .. } = discount;
        events.push(Event::OrderDiscounted { symbol: self.market.id, order, account, asset, held, rates });
    }

    /// Lets the venue have a fee that an order was charged in the asset of the discount.
    #[cold]
    pub(super) fn pay_discounted(&self, order: OrderId, account: AccountId, fee: Amount, accounts: &mut Accounts<'_>) {
        if let Some(reserve) = self.reserves.0.get(&order) {
            accounts.pay_fee(account, reserve.hold, fee);
        }
    }

    /// Ends what was held for the fees of an order that has ended.
    #[cold]
    pub(super) fn release_reserve(&mut self, order: OrderId, account: AccountId, accounts: &mut Accounts<'_>) {
        let Some(reserve) = self.reserves.0.remove(&order) else { return };
        #[cfg(crossbook_bugs)]
        if crossbook_types::bugs::is_planted(crossbook_types::bugs::Bug::DiscountReserveStays)
            && accounts.elsewhere(account).is_some()
        {
            return;
        }
        accounts.release(account, reserve.hold);
    }

    /// An order with a reserve has come to rest: it is marked, and what it has beyond what its rest can cost is free,
    /// unless it is there for another order of its list, too.
    #[cold]
    pub(super) fn rest_discounted(
        &mut self,
        order: OrderId,
        account: AccountId,
        (price, left): (Price, Quantity),
        accounts: &mut Accounts<'_>,
    ) {
        self.open.mark_discounted(order);
        if !self.shares_its_hold(order) {
            self.rest_goes_on(order, account, (price, left), accounts);
        }
    }

    /// So much is left of an order with a reserve that rests: what it has beyond what that can cost is free.
    #[cold]
    pub(super) fn rest_goes_on(
        &mut self,
        order: OrderId,
        account: AccountId,
        (price, left): (Price, Quantity),
        accounts: &mut Accounts<'_>,
    ) {
        self.fit_reserve(order, account, self.market.quote_amount(price, left), accounts);
    }

    /// The same of an order that was amended, so that so much of it is left.
    #[cold]
    pub(super) fn amend_reserve(&mut self, order: &Amendable, left: Quantity, accounts: &mut Accounts<'_>) {
        let (id, account) = (order.owner.order, order.owner.account);
        let worth = match (order.limit, order.stop) {
            // The price that says what it is worth is not kept.
            (_, None) if order.trails => {
                let there = self.reserves.0.get(&id).map_or(Amount::ZERO, |reserve| reserve.left);
                return self.lower_reserve(id, account, share(there, order.left, left), accounts);
            }
            (Some(limit), None) => self.market.quote_amount(limit, left),
            (limit, Some(stop)) => admission::discount::worth_from(&self.market, stop, limit, left),
            (None, None) => return,
        };
        self.fit_reserve(id, account, worth, accounts);
    }

    /// An order with a reserve trails the price from now on, and can pay so much: what it has beyond what it can cost
    /// from the last price on is free. Before the first price nobody knows what that is.
    #[cold]
    pub(super) fn trail_discounted(
        &mut self,
        order: &Order,
        (limit, quantity, budget): (Option<Price>, Quantity, Amount),
        accounts: &mut Accounts<'_>,
    ) {
        let worth = match (order.side, self.last_price) {
            (Side::Buy, _) => budget,
            (Side::Sell, Some(last)) => admission::discount::worth_from(&self.market, last, limit, quantity),
            (Side::Sell, None) => return,
        };
        self.fit_reserve(order.id, order.account, worth, accounts);
    }

    /// Frees what an order has beyond the fees of trades that are worth so much.
    pub(super) fn fit_reserve(
        &mut self,
        order: OrderId,
        account: AccountId,
        worth: Amount,
        accounts: &mut Accounts<'_>,
    ) {
        let needed = self.reserves.0.get(&order).map(|reserve| reserve.rates.most(worth).unwrap_or(reserve.left));
        self.lower_reserve(order, account, needed.unwrap_or_default(), accounts);
    }

    /// Frees what an order has for its fees beyond so much.
    fn lower_reserve(&mut self, order: OrderId, account: AccountId, needed: Amount, accounts: &mut Accounts<'_>) {
        let Some(reserve) = self.reserves.0.get_mut(&order) else { return };
        if reserve.left > needed {
            accounts.reduce(account, reserve.hold, reserve.left.minus(needed));
            reserve.left = needed;
        }
    }

    /// What is held for the fees of an order, if it pays them in the asset of the discount.
    pub(crate) fn reserve_of(&self, order: OrderId) -> Option<Reserve> {
        self.reserves.get(order)
    }

    /// Whether what is held for fees is what the market goes by, for orders that are open and know of it.
    pub(super) fn audit_reserves(
        &self,
        held: impl Fn(AccountId, HoldId) -> Option<Amount>,
        violations: &mut Vec<String>,
    ) {
        let symbol = self.market.symbol;
        for (&order, reserve) in &self.reserves.0 {
            let left = reserve.left.0;
            let Some(owner) = self.open.handle_of(order).map(|handle| self.open.owner_at(handle)) else {
                violations.push(format!("{symbol}: order {order} has {left} left for fees, and is not open"));
                continue;
            };
            if !owner.discounted {
                violations
                    .push(format!("{symbol}: order {order} has {left} left for fees, and is to pay ordinary ones"));
            }
            if let Some(held) = held(owner.account, reserve.hold).filter(|&held| held != reserve.left) {
                violations.push(format!("{symbol}: order {order} has {left} left for fees, and {} is held", held.0));
            }
        }
    }

    /// What is held for fees, and whose it is.
    pub(super) fn reserve_holds(&self) -> impl Iterator<Item = (AccountId, &Reserve)> {
        let account = |order: &OrderId| self.open.handle_of(*order).map(|handle| self.open.owner_at(handle).account);
        self.reserves.0.iter().filter_map(move |(order, reserve)| Some((account(order)?, reserve)))
    }

    /// Takes in what is held for the fees of an order that is about to be taken in.
    pub(super) fn move_reserve_in(
        &mut self,
        order: OrderId,
        hold: HoldId,
        moved: FeeReserve,
    ) -> Result<(), Inconsistent> {
        let FeeReserve { asset, held: left, rates, credit } = moved;
        let reserve = Reserve { asset, hold, left, rates, credit };
        if !reserve.is_sound() || self.reserves.0.insert(order, reserve).is_some() {
            return Err(Inconsistent);
        }
        Ok(())
    }

    /// Takes the reserves of a state in. The orders are there already.
    pub(super) fn restore_reserves(&mut self, state: Vec<(OrderId, Reserve)>) -> Result<(), Inconsistent> {
        for (order, reserve) in state {
            self.open.handle_of(order).ok_or(Inconsistent)?;
            if !reserve.is_sound() || self.reserves.0.insert(order, reserve).is_some() {
                return Err(Inconsistent);
            }
            self.open.mark_discounted(order);
        }
        if self.are_reserves_of_lists_sound() { Ok(()) } else { Err(Inconsistent) }
    }
}

impl Accounts<'_> {
    /// Pays a fee out of what is held for the fees of an order.
    fn pay_fee(&mut self, account: AccountId, hold: HoldId, amount: Amount) {
        match self.elsewhere(account) {
            None => self.ledger.pay_fee(account, hold, amount),
            Some(partition) => self.outbox.post(partition, PeerMessage::PayFee { account, hold, amount }),
        }
    }
}

wire_struct! {
    plain Reserve { 0: asset, 1: hold, 2: left, 3: rates, 4: credit }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbook_oracle::sample::btcusdt;
    use crossbook_types::Market;

    #[test]
    fn what_is_held_for_the_fees_of_no_order_is_found() {
        let mut matcher = Matcher::new(Market::new_checked(btcusdt()).unwrap(), 1);
        let audit = |matcher: &Matcher| {
            let mut violations = Vec::new();
            matcher.audit(|_, _| None, &mut violations);
            violations
        };
        assert_eq!(audit(&matcher), Vec::<String>::new());
        let rates = DiscountRates { maker: 1, taker: 2, worth: 1_000, scale: 3 };
        let discount = OrderDiscount { asset: AssetId(2), hold: HoldId(7), held: Amount(8), rates };
        matcher.reserves.take(OrderId(9), discount);
        assert_eq!(audit(&matcher), ["BTCUSDT: order 9 has 8 left for fees, and is not open"]);
    }
}
