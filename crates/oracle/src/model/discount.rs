//! Fees that are paid in another asset, in the naive exchange.

use std::collections::BTreeSet;

use crossbook_protocol::event::Discounted;
use crossbook_protocol::order::{NewOrder, Size};
use crossbook_protocol::{Answer, Event, Refusal};
use crossbook_types::{
    AccountId, Amount, AssetId, DiscountRates, FeeDiscount, FeeRate, Fees, OrderId, OrderType, Side, SymbolId,
};

use super::{Model, Order};

/// What there is of a discount.
#[derive(Clone, Debug, Default)]
pub(super) struct Discount {
    terms: Option<FeeDiscount>,
    users: BTreeSet<AccountId>,
    /// What is held for the fees of an order that is about to replace another, and what it may have of that one's.
    pub(super) replacing: Option<Reserve>,
    pub(super) replaced: i128,
}

/// What is held for the fees of an order.
#[derive(Clone, Debug)]
pub(super) struct Reserve {
    pub(super) asset: AssetId,
    pub(super) left: i128,
    pub(super) rates: DiscountRates,
    /// The exact fee so far, over the power of ten of the rates, and what was charged.
    exact: u128,
    charged: i128,
}

impl Reserve {
    pub(super) fn told(&self, symbol: SymbolId, order: OrderId, account: AccountId) -> Event {
        let &Self { asset, left, rates, .. } = self;
        Event::OrderDiscounted { symbol, order, account, asset, held: Amount(left), rates }
    }

    fn fee(&self, exact: u128) -> i128 {
        let one = 10_u128.pow(self.rates.scale.into());
        (exact / one + u128::from(!exact.is_multiple_of(one))) as i128 - self.charged
    }

    /// The exact fee with a trade of that worth; `None` if the fee of that alone is more than can be counted.
    fn exact(&self, rate: u64, quote: i128) -> Option<u128> {
        Some(self.exact + (quote as u128).checked_mul(u128::from(rate))?)
    }

    /// Whether a fee is nothing, or worth less than the trade.
    fn is_less(&self, fee: i128, quote: i128) -> bool {
        let worth = (quote as u128).checked_mul(self.rates.worth.into());
        fee == 0 || worth.is_none_or(|worth| (fee as u128) < worth.div_ceil(10_u128.pow(self.rates.scale.into())))
    }

    /// So much at those rates, of which nothing is charged yet.
    pub(super) fn new((asset, rates): (AssetId, DiscountRates), left: i128) -> Self {
        Self { asset, left, rates, exact: 0, charged: 0 }
    }

    /// The most that trades of that worth cost, if it can be counted.
    pub(super) fn most(rates: DiscountRates, quote: i128) -> Option<i128> {
        let fresh = Self::new((AssetId(0), rates), 0);
        Some(fresh.fee(fresh.exact(rates.maker.max(rates.taker), quote)?))
    }
}

impl Order {
    /// What it is charged for a trade, and whether in the other asset. Both sides of a trade pay in one other asset
    /// at most.
    pub(super) fn charge_either(
        &mut self,
        takes: bool,
        received: i128,
        quote: i128,
        paid: &mut Option<Discounted>,
    ) -> (i128, bool) {
        if let Some(reserve) = &mut self.reserve
            && paid.is_none_or(|paid| paid.asset == reserve.asset)
        {
            let exact = reserve.exact(if takes { reserve.rates.taker } else { reserve.rates.maker }, quote);
            if let Some(exact) = exact
                && let fee = reserve.fee(exact)
                && fee <= reserve.left
                && reserve.is_less(fee, quote)
            {
                (reserve.exact, reserve.charged, reserve.left) = (exact, reserve.charged + fee, reserve.left - fee);
                let said = paid.get_or_insert(Discounted { asset: reserve.asset, taker: false, maker: false });
                (said.taker, said.maker) = (said.taker || takes, said.maker || !takes);
                return (fee, true);
            }
        }
        let rate = if takes { self.fees.taker } else { self.fees.maker };
        (self.charge(rate, received), false)
    }
}

impl Model {
    pub(super) fn set_discount(&mut self, discount: &FeeDiscount) -> Result<Answer, Refusal> {
        let rises = discount.rates.windows(2).all(|pair| pair[0].0 < pair[1].0);
        if discount.basis_points >= 10_000 || !rises || discount.rates.iter().any(|&(_, rate)| rate == 0) {
            return Err(Refusal::FeeDiscount);
        }
        if discount.asset.0 > 2 || discount.rates.iter().any(|(asset, _)| asset.0 > 2) {
            return Err(Refusal::UnknownAsset);
        }
        if discount.except.iter().any(|symbol| symbol.0 as usize >= self.books.len()) {
            return Err(Refusal::UnknownSymbol);
        }
        self.discount.terms = Some(discount.clone());
        self.events.push(Event::FeeDiscountChanged(Box::new(discount.clone())));
        Ok(Answer::FeesSet)
    }

    pub(super) fn use_discount(&mut self, account: AccountId, on: bool) -> Result<Answer, Refusal> {
        if !self.accounts.contains(&account) {
            return Err(Refusal::UnknownAccount);
        }
        let changed = if on { self.discount.users.insert(account) } else { self.discount.users.remove(&account) };
        if changed {
            self.events.push(Event::DiscountUseChanged { account, on });
        }
        Ok(Answer::FeesSet)
    }

    /// The rates of an account's order in the other asset.
    pub(super) fn discounted_rates(&self, account: AccountId, symbol: SymbolId) -> Option<(AssetId, DiscountRates)> {
        let discount = self.discount.terms.as_ref().filter(|_| self.discount.users.contains(&account))?;
        let market = &self.books[symbol.0 as usize].market;
        if discount.except.contains(&symbol) {
            return None;
        }
        let &(_, worth) = discount.rates.iter().find(|(asset, _)| *asset == market.quote.id)?;
        let assets = self.books.iter().flat_map(|book| [book.market.base, book.market.quote]);
        let asset = assets.into_iter().find(|asset| asset.id == discount.asset)?;
        let own = self.account_fees.get(&account).copied().unwrap_or_default();
        let standard = own.standard.unwrap_or(self.usual(account, market));
        let sum = |rates: [FeeRate; 3]| {
            let [standard, special, tax] = rates.map(|rate| u64::from(rate.units()));
            let lower = (standard * u64::from(10_000 - discount.basis_points)).div_ceil(10_000);
            FeeRate::from_units((lower + special + tax).min(99_999_999) as u32).unwrap()
        };
        let fees = Fees {
            maker: sum([standard.maker, own.special.maker, own.tax.maker]),
            taker: sum([standard.taker, own.special.taker, own.tax.taker]),
        };
        DiscountRates::new(fees, worth, market.quote.decimals, asset.decimals).map(|rates| (asset.id, rates))
    }

    /// What is to be held for the fees of an order that has taken `paid` of what it pays, and pays no more than `most`.
    /// If it `replaces` another, that may be nothing yet.
    pub(super) fn reserve_for(&mut self, new: &NewOrder, paid: i128, most: i128, replaces: bool) -> Option<Reserve> {
        let (asset, rates) = self.discounted_rates(new.account, new.terms.symbol)?;
        let wanted = self.most_in_fees(new, most, rates);
        let own = if self.books[new.terms.symbol.0 as usize].pays(new.terms.side) == asset { paid } else { 0 };
        let left = wanted.min(self.free(new.account, asset) - own);
        if left == 0 && !replaces {
            return None;
        }
        self.post(new.account, asset, 0, 0);
        Some(Reserve::new((asset, rates), left))
    }

    /// What is to be held for the fees of the order that replaces another, which is cancelled, and pays no more than
    /// `most`.
    pub(super) fn reserve_of_replacement(&mut self, new: &NewOrder, most: i128) -> Option<Reserve> {
        let there = std::mem::take(&mut self.discount.replaced);
        let reserve = self.discount.replacing.take()?;
        let wanted = self.most_in_fees(new, most, reserve.rates);
        let left = wanted.min(reserve.left + there);
        (left > 0).then_some(Reserve { left, ..reserve })
    }

    /// What an order may have for its fees of another one that it replaces, where it lacks so much of what it pays.
    pub(super) fn leave_reserve(&mut self, new: &NewOrder, old: &Order, lacks: i128) {
        let asset = self.books[new.terms.symbol.0 as usize].pays(new.terms.side);
        let (of_order, reserves) = self.ending_with_order(new.terms.symbol, old, new.terms.side);
        let (Some(reserve), Some(first)) = (&self.discount.replacing, reserves.first()) else { return };
        let there = reserves.iter().map(|reserve| reserve.left).sum();
        let taken = if first.asset == asset { (lacks - of_order).clamp(0, there) } else { 0 };
        if first.asset == reserve.asset {
            self.discount.replaced = there - taken;
        }
    }

    /// The most that the fees of an order come to which pays no more than `most`.
    pub(super) fn most_in_fees(&self, new: &NewOrder, most: i128, rates: DiscountRates) -> i128 {
        let book = &self.books[new.terms.symbol.0 as usize];
        let (stop, limit) = (new.terms.stop_price.get(), new.terms.limit());
        let worth = match (new.terms.side, new.terms.size) {
            (Side::Buy, _) => most,
            (Side::Sell, Size::Quote(amount)) => amount.0,
            (Side::Sell, Size::Base(quantity)) => match (stop, limit) {
                (Some(stop), limit) => book.quote(limit.unwrap_or(stop).max(stop).0, quantity.0) * 110 / 100,
                (None, Some(limit)) if new.terms.order_type == OrderType::LimitMaker => book.quote(limit.0, quantity.0),
                (None, Some(limit)) => book.quote((limit.0 * 2).min(book.highest), quantity.0),
                (None, None) => book.quote(book.highest, quantity.0),
            },
        };
        Reserve::most(rates, worth).unwrap_or(i128::MAX)
    }

    /// Sets aside what is held for the fees of an order that is taken.
    pub(super) fn hold_reserve(&mut self, order: &Order) {
        if let Some(Reserve { asset, left, .. }) = order.reserve {
            self.post(order.account, asset, -left, left);
        }
    }

    /// What is held for the fees of an order that has ended is free.
    pub(super) fn free_reserve(&mut self, order: &Order) {
        if let Some(Reserve { asset, left, .. }) = order.reserve
            && left > 0
        {
            self.post(order.account, asset, left, -left);
        }
    }

    /// Frees what an order has beyond the fees of what it may still trade.
    pub(super) fn fit_reserve(&mut self, symbol: SymbolId, order: &mut Order) {
        // Of orders that have theirs together this is decided for all of them.
        if !self.held_with(symbol, order).0.is_empty() {
            return;
        }
        let book = &self.books[symbol.0 as usize];
        let stop = order.stop.filter(|&stop| order.waits && !order.trails && stop > 0);
        let worth = match (order.limit, stop) {
            (limit, Some(stop)) => book.quote(limit.unwrap_or(stop).max(stop), order.lots()) * 110 / 100,
            (Some(limit), None) => book.quote(limit, order.lots()),
            (None, None) => return,
        };
        self.fit_reserve_to(order, worth);
    }

    /// The same of an order that trails the price from now on.
    pub(super) fn fit_reserve_of_trailing(&mut self, symbol: SymbolId, id: u64) {
        let book = &mut self.books[symbol.0 as usize];
        let mut order = book.order(id).clone();
        let worth = match (order.side, book.last) {
            (Side::Buy, _) => order.held,
            (Side::Sell, Some(last)) => book.quote(order.limit.unwrap_or(0).max(last), order.lots()) * 110 / 100,
            (Side::Sell, None) => return,
        };
        self.fit_reserve_to(&mut order, worth);
        self.books[symbol.0 as usize].order(id).reserve = order.reserve;
    }

    /// The same of an order that was lowered from so many lots while it trails the price, or is about to.
    pub(super) fn share_reserve(&mut self, order: &mut Order, lots: u64) {
        let Some(reserve) = &order.reserve else { return };
        let (all, some) = (i128::from(lots), i128::from(order.lots()));
        let needed = (reserve.left / all + i128::from(reserve.left % all != 0)) * some;
        self.lower_reserve(order, needed);
    }

    pub(super) fn fit_reserve_to(&mut self, order: &mut Order, worth: i128) {
        let most = order.reserve.as_ref().map(|reserve| Reserve::most(reserve.rates, worth).unwrap_or(i128::MAX));
        self.lower_reserve(order, most.unwrap_or_default());
    }

    fn lower_reserve(&mut self, order: &mut Order, needed: i128) {
        let Some(reserve) = &mut order.reserve else { return };
        let more = reserve.left - needed;
        if more > 0 {
            reserve.left -= more;
            let asset = reserve.asset;
            self.post(order.account, asset, more, -more);
        }
    }

    /// A fee in the other asset leaves what is held for it.
    pub(super) fn pay_from_reserve(&mut self, order: &Order, fee: i128) {
        if let Some(Reserve { asset, .. }) = order.reserve {
            self.post(order.account, asset, 0, -fee);
        }
    }
}
