//! Fees that are paid in another asset: which an order may pay, what they come to, and what is held for them.

use crossbook_protocol::Event;
use crossbook_protocol::event::Trade;
use crossbook_types::{
    AccountFees, AccountId, AssetId, DiscountRates, FeeParts, FeeRate, Fees, OrderId, OrderListId, OrderType, Price,
    Side, SymbolId,
};

use super::{Book, Judge, Left, MARGIN_PERCENT, Open};
use crate::violation::{Violation, ensure};

/// What is held for the fees of an order.
#[derive(Clone, Debug)]
pub(super) struct Reserve {
    pub(super) asset: AssetId,
    pub(super) left: i128,
    rates: DiscountRates,
    /// The exact fee so far, over the power of ten of the rates.
    exact: u128,
    charged: i128,
    /// Whether it is there for other orders of a list, too: those that are pending, and a pair of which none runs.
    together: bool,
}

impl Reserve {
    fn one(&self) -> u128 {
        10_u128.pow(self.rates.scale.into())
    }

    /// All that is charged for trades of that worth and those before, rounded up once.
    fn due(&self, rate: u64, quote: i128) -> (u128, i128) {
        let exact = self.exact + u128::try_from(quote).unwrap_or_default() * u128::from(rate);
        (exact, i128::try_from(exact.div_ceil(self.one())).unwrap_or(i128::MAX))
    }

    /// The most that trades of that worth cost an order that had none.
    fn fit(&mut self, quote: i128) {
        let fresh = Self { exact: 0, charged: 0, ..self.clone() };
        self.left = self.left.min(fresh.due(self.rates.maker.max(self.rates.taker), quote).1);
    }
}

impl Open {
    /// Charges an order for a trade in which it receives so much. What the fee takes of that.
    pub(super) fn charge(&mut self, trade: &Trade, of_maker: bool, received: i128) -> Result<i128, Violation> {
        self.traded = true;
        let fee = if of_maker { trade.maker.fee.0 } else { trade.taker.fee.0 };
        let elsewhere = trade.other_fee_asset(!of_maker);
        let id = trade.trade;
        if let Some(reserve) = &mut self.reserve {
            let rate = if of_maker { reserve.rates.maker } else { reserve.rates.taker };
            let (exact, charged) = reserve.due(rate, trade.quote.0);
            let due = charged - reserve.charged;
            // It is not to be worth as much as the trade.
            let worth = u128::try_from(trade.quote.0).unwrap_or_default() * u128::from(reserve.rates.worth);
            let is_less = due == 0 || u128::try_from(due).unwrap_or_default() * reserve.one() < worth;
            if elsewhere.is_some() {
                let right = elsewhere == Some(reserve.asset) && fee == due && due <= reserve.left && is_less;
                ensure!(right, Market, "a fee of {fee} in asset {elsewhere:?} in trade {id}, due was {due}: {self:?}");
                (reserve.exact, reserve.charged, reserve.left) = (exact, charged, reserve.left - fee);
                return Ok(0);
            }
            // The other side may have paid in another asset than the one in which this one could.
            let pays = due <= reserve.left && is_less && trade.discount.is_none_or(|paid| paid.asset == reserve.asset);
            ensure!(!pays, Market, "a fee in trade {id} is the ordinary one though {due} was there: {self:?}");
        }
        ensure!(elsewhere.is_none() || self.reserve.is_some(), Market, "nothing is held for the fee of trade {id}");
        let so_far = if of_maker { &mut self.received.0 } else { &mut self.received.1 };
        *so_far += received;
        self.paid += fee;
        Ok(fee)
    }

    /// It was amended from so many lots while it trails the price, or is about to: of what is held for its fees, the
    /// lots that are left have their part.
    pub(super) fn share_reserve(&mut self, lots: i128) {
        let left = i128::from(self.lots());
        if self.placed.terms.stop_price.get().is_some() && self.extreme.is_none() {
            return;
        }
        if let Some(reserve) = self.reserve.as_mut().filter(|reserve| !reserve.together) {
            reserve.left = reserve.left.min(left * (reserve.left / lots + i128::from(reserve.left % lots != 0)));
        }
    }

    /// It has come to rest, or was amended: no more is held for its fees than it may still cost.
    pub(super) fn fit_reserve(&mut self, worth_of_lot: impl Fn(crossbook_types::Price) -> i128) {
        let terms = &self.placed.terms;
        let stop = terms.stop_price.get().filter(|_| self.waits && self.extreme.is_none());
        let limit = if self.waits { terms.limit() } else { terms.price };
        let lots = i128::from(self.lots());
        if self.waits && stop.is_none() && terms.trailing().is_some() {
            return;
        }
        let worth = match (limit, stop) {
            (limit, Some(stop)) => worth_of_lot(limit.unwrap_or(stop).max(stop)) * lots * (100 + MARGIN_PERCENT) / 100,
            (Some(limit), None) => worth_of_lot(limit) * lots,
            (None, None) => return,
        };
        if let Some(reserve) = self.reserve.as_mut().filter(|reserve| !reserve.together) {
            reserve.fit(worth);
        }
    }
}

impl Book {
    /// What an order is taken to be worth that trails the price from its beginning.
    fn worth_of_trailing(&self, open: &Open) -> Option<i128> {
        let terms = &open.placed.terms;
        if !open.waits || terms.trailing().is_none() || terms.stop_price.get().is_some() {
            return None;
        }
        let from = |last: Price| self.quote(last.max(terms.limit().unwrap_or_default()), open.lots());
        match terms.side {
            Side::Buy => Some(self.needed(open, None)),
            Side::Sell => open.placed_at.map(|last| from(last) * (100 + MARGIN_PERCENT) / 100),
        }
    }

    /// What an order of a list is taken to be worth that is not its working order, where that runs at such a price;
    /// `None`, if it is not known.
    fn worth_in_list(&self, open: &Open, working: Option<Price>) -> Option<i128> {
        let terms = &open.placed.terms;
        if terms.side == Side::Buy {
            return Some(self.needed(open, working));
        }
        let (lots, limit) = (open.lots(), terms.price.unwrap_or_default());
        let from = |price: Price| self.quote(price.max(limit), lots) * (100 + MARGIN_PERCENT) / 100;
        match (terms.stop_price.get(), terms.price) {
            (Some(stop), _) => Some(from(stop)),
            (None, Some(limit)) if terms.order_type == OrderType::LimitMaker => Some(self.quote(limit, lots)),
            (None, _) => working.or(self.last).map(from),
        }
    }
}

impl Judge {
    /// Something is held for the fees of an order that was just placed.
    pub(super) fn discounted(&mut self, event: &Event) -> Result<(), Violation> {
        let &Event::OrderDiscounted { symbol, order, account, asset, held, rates } = event else { return Ok(()) };
        let possible = self.rates_of(symbol, account, asset).any(|other| other == rates);
        ensure!(possible, Market, "order {order} is to pay {rates:?} in asset {asset}, which nobody does");
        ensure!(self.users.contains(&account), Market, "order {order} is of an account that pays ordinary fees");
        let book = self.book(symbol)?;
        let unit = book.units.1;
        let trailing = book.open.get(&order).and_then(|open| book.worth_of_trailing(open));
        let together =
            self.books.get(&symbol).and_then(|book| book.open.get(&order)).is_some_and(|open| self.is_dependent(open));
        if together {
            self.check_told_together(symbol, order, held.0, rates)?;
        }
        let book = self.book(symbol)?;
        let open = book.open.get_mut(&order).filter(|open| open.placed.account == account);
        let right = open.as_ref().is_some_and(|open| open.reserve.is_none()) && held.0 > 0;
        ensure!(right, Market, "{held:?} is held for the fees of order {order}: {open:?}");
        if let Some(open) = open {
            let mut reserve = Reserve { asset, left: held.0, rates, exact: 0, charged: 0, together };
            let most = open.placed.terms.limit().filter(|_| !open.waits && !together).map(|limit| {
                let better = if open.placed.terms.side == Side::Sell { 2 } else { 1 };
                let worth = i128::from(limit.0) * better * i128::from(open.lots()) * unit;
                reserve.due(rates.maker.max(rates.taker), worth).1
            });
            ensure!(most.is_none_or(|most| held.0 <= most), Market, "{held:?} is too much for the fees of {open:?}");
            if let Some(worth) = trailing.filter(|_| !together) {
                reserve.fit(worth);
            }
            open.reserve = Some(reserve);
        }
        Ok(())
    }

    /// The rates of an account's orders at any discount that there ever was in that asset.
    fn rates_of(&self, symbol: SymbolId, account: AccountId, asset: AssetId) -> impl Iterator<Item = DiscountRates> {
        let book = self.books.get(&symbol);
        let markets = || self.books.values().map(|book| &book.market);
        let known = markets().flat_map(|market| [market.base, market.quote]).find(|known| known.id == asset);
        let own = self.own_fees.get(&account).into_iter().flatten().copied().chain([AccountFees::default()]);
        let fees = |(maker, taker): (u32, u32)| Fees {
            maker: FeeRate::from_units(maker).unwrap_or_default(),
            taker: FeeRate::from_units(taker).unwrap_or_default(),
        };
        let parts = own.flat_map(move |own| {
            let usual = book.into_iter().flat_map(|book| &book.fees).chain(&self.tiers);
            let of = move |usual: &(u32, u32)| FeeParts {
                standard: own.standard.unwrap_or(fees(*usual)),
                special: own.special,
                tax: own.tax,
            };
            usual.map(of)
        });
        let discounts = move |parts: FeeParts| {
            self.discounts.iter().filter(move |discount| discount.asset == asset).filter_map(move |discount| {
                let quote = book?.market.quote;
                let rate = discount.rate_in(symbol, quote.id)?;
                DiscountRates::new(discount.lowered(parts), rate, quote.decimals, known?.decimals)
            })
        };
        parts.flat_map(discounts)
    }

    /// What is held for the fees of open orders, whose it is; of those that have it together, once.
    pub(super) fn reserves(&self) -> impl Iterator<Item = (AccountId, &Reserve)> {
        let orders = self.books.values().flat_map(|book| book.open.values());
        orders.filter_map(|open| {
            let reserve = open.reserve.as_ref()?;
            let counts = !reserve.together || self.is_first_of_others(open);
            counts.then_some((open.placed.account, reserve))
        })
    }

    /// An order of a list has so much for its fees together with others: what one of them can come to is not less, and
    /// each says the same.
    fn check_told_together(
        &self,
        symbol: SymbolId,
        order: OrderId,
        held: i128,
        rates: DiscountRates,
    ) -> Result<(), Violation> {
        let book = self.books.get(&symbol);
        let Some((list, book)) = self.list_with(symbol, order).zip(book) else { return Ok(()) };
        let others: Vec<&Open> = list.others.iter().filter_map(|other| book.open.get(other)).collect();
        let told = others.iter().filter_map(|open| open.reserve.as_ref());
        let same = told.into_iter().all(|reserve| (reserve.left, reserve.rates) == (held, rates));
        ensure!(same, Market, "order {order} has {held} for its fees, and others with it something else: {others:?}");
        let working = list.working.and_then(|working| book.open.get(&working));
        let pegged = working.into_iter().chain(others.iter().copied()).any(|open| open.placed.terms.peg().is_some());
        if pegged {
            // Its price is told later.
            return Ok(());
        }
        let lots = working.filter(|_| list.kind.pays_on()).map(|open| open.left);
        let worth = |open: &&Open| {
            let open = Open { left: lots.unwrap_or(open.left), ..(*open).clone() };
            book.worth_in_list(&open, list.near)
        };
        let worth: Option<Vec<i128>> = others.iter().map(worth).collect();
        if let Some(worth) = worth.and_then(|worth| worth.into_iter().max()) {
            let mut most = Reserve { asset: AssetId(0), left: i128::MAX, rates, exact: 0, charged: 0, together: false };
            most.fit(worth);
            ensure!(held <= most.left, Market, "{held} is too much for the fees of {others:?}, {} would do", most.left);
        }
        Ok(())
    }

    /// The orders of a list that have something for their fees together need less, or are placed.
    pub(super) fn fit_list(&mut self, id: OrderListId) {
        let Some(list) = self.lists.get(&id).cloned() else { return };
        let Some(book) = self.books.get_mut(&list.symbol) else { return };
        let open = |order: &OrderId| book.open.get(order).cloned();
        let others: Vec<Open> = list.others.iter().filter_map(open).collect();
        let worth: Option<Vec<i128>> = others.iter().map(|open| book.worth_in_list(open, list.near)).collect();
        let worth = worth.and_then(|worth| worth.into_iter().max());
        for order in &list.others {
            if let Some(reserve) = book.open.get_mut(order).and_then(|open| open.reserve.as_mut()) {
                worth.into_iter().for_each(|worth| reserve.fit(worth));
                reserve.together = !list.placed || list.others.len() > 1;
            }
        }
    }

    /// A working order that pays for the others was lowered: these are for no more than it has bought and still buys.
    pub(super) fn fit_to_be_paid_for(&mut self, id: OrderListId) {
        let Some(list) = self.lists.get(&id) else { return };
        let Some(book) = self.books.get_mut(&list.symbol) else { return };
        let open = |order: &OrderId| book.open.get(order);
        let others: Vec<&Open> = list.others.iter().filter_map(open).collect();
        let at_market = others.iter().any(|open| !open.placed.terms.order_type.has_limit_price());
        let (filters, bought) = (&book.market.filters, u64::try_from(list.received / book.units.0).unwrap_or(u64::MAX));
        let most = if at_market { filters.market_quantity_max.min(filters.quantity_max) } else { filters.quantity_max };
        let lots = bought.saturating_add(list.working.as_ref().and_then(open).map_or(0, Open::lots)).min(most.0);
        let worth = others.iter().filter_map(|open| {
            let placed = Open { left: Left::Lots(lots), ..(*open).clone() };
            book.worth_in_list(&placed, list.near)
        });
        let worth = worth.max();
        for order in &list.others {
            if let Some(reserve) = book.open.get_mut(order).and_then(|open| open.reserve.as_mut()) {
                worth.into_iter().for_each(|worth| reserve.fit(worth));
            }
        }
    }

    /// One of a pair has ended because the other runs, which has all of what is left for the fees of both, and needs no
    /// more than its own can come to.
    pub(super) fn part_reserve(&mut self, id: OrderListId) {
        let Some(list) = self.lists.get(&id) else { return };
        let (Some(book), &[order]) = (self.books.get_mut(&list.symbol), &list.others[..]) else { return };
        let worth = book.open.get(&order).and_then(|open| match open.placed.terms.price {
            Some(limit) if open.since.is_some() => Some(book.quote(limit, open.lots())),
            _ => book.worth_in_list(open, list.near),
        });
        if let Some(reserve) = book.open.get_mut(&order).and_then(|open| open.reserve.as_mut()) {
            worth.into_iter().for_each(|worth| reserve.fit(worth));
            reserve.together = false;
        }
    }

    /// See [`Open::fit_reserve`].
    pub(super) fn fit_reserve(&mut self, symbol: SymbolId, order: OrderId) -> Result<(), Violation> {
        let book = self.book(symbol)?;
        let unit = book.units.1;
        if let Some(open) = book.open.get_mut(&order) {
            open.fit_reserve(|price| i128::from(price.0) * unit);
        }
        Ok(())
    }
}
