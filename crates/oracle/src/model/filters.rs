//! Filters of the naive exchange that look at the market's price, at what an account has, or at all of its orders.

use crossbook_protocol::Refusal;
use crossbook_protocol::order::{NewOrder, OrderTerms, Size};
use crossbook_protocol::order_list::NewList;
use crossbook_types::{AccountId, Filter, ListKind, NotionalFilter, Price, Side, SymbolId};

use super::{Book, Model, Order};

/// Whether an order gets its price from the market.
fn is_unpriced(terms: &OrderTerms) -> bool {
    terms.peg().is_some() || (terms.trailing().is_some() && terms.limit().is_none())
}

impl Book {
    /// The reference price; or the average of the minutes that the filters look at, to the nearest tick, a half up; or
    /// the last price.
    pub(super) fn reference(&self, now: u64) -> Option<u64> {
        self.nearest_reference(now).or_else(|| self.average(now))
    }

    fn average(&self, now: u64) -> Option<u64> {
        let minutes = u64::from(self.market.filters.relative.average_minutes);
        let minute = |time: u64| time / 60_000_000;
        let recent = self.history.iter().filter(|&&(time, ..)| minute(time) + minutes > minute(now));
        let (mut lots, mut worth) = (0u128, 0u128);
        for &(_, price, traded) in recent {
            lots += u128::from(traded);
            worth += u128::from(price) * u128::from(traded);
        }
        if lots == 0 { self.last } else { Some(((2 * worth + lots) / (2 * lots)) as u64) }
    }

    /// Whether an order is one of those for which a list holds something together.
    fn is_shared(&self, order: &Order) -> bool {
        self.lists.iter().any(|list| list.others.contains(&order.id))
    }

    /// Counts all orders of an account, and of lists those that are open.
    fn count_orders(&mut self, account: AccountId) {
        let kind = |id: &u64| {
            let order = self.orders.iter().find(|order| order.id == *id).unwrap();
            (order.stop.is_some(), order.part.is_some())
        };
        let uncounted = self.lists.iter().filter(|list| list.account == account && list.counts.is_empty());
        let counts: Vec<_> = uncounted.map(|list| (list.id, list.others.iter().map(kind).collect())).collect();
        for (id, counts) in counts {
            self.lists.iter_mut().find(|list| list.id == id).unwrap().counts = counts;
        }
        let alone: Vec<u64> = self.orders.iter().filter(|order| !self.is_shared(order)).map(|order| order.id).collect();
        let own = self.orders.iter_mut().filter(|order| order.account == account && alone.contains(&order.id));
        own.for_each(|order| order.counted = true);
    }

    /// Counts what the buy orders of an account would bring. Of a pair one is carried out.
    fn count_buys(&mut self, account: AccountId) {
        let bought = |order: &&Order| order.account == account && order.side == Side::Buy && !order.incoming;
        let open = self.orders.iter().filter(bought);
        let (shared, alone): (Vec<&Order>, Vec<&Order>) = open.partition(|order| self.is_shared(order));
        let shared: Vec<(u64, u64)> = shared.into_iter().map(|order| (order.id, order.lots())).collect();
        let alone: Vec<u64> = alone.into_iter().map(|order| order.id).collect();
        for order in self.orders.iter_mut().filter(|order| alone.contains(&order.id)) {
            order.incoming = true;
            order.kept = (order.limit.is_none() && is_unpriced(&order.terms)).then_some(0);
        }
        let unit = self.units.0;
        for list in self.lists.iter_mut().filter(|list| list.coming == 0) {
            let of_list = shared.iter().filter(|(id, _)| list.others.contains(id)).map(|&(_, lots)| lots);
            list.coming = i128::from(of_list.max().unwrap_or(0)) * unit;
        }
    }

    /// The same of so many lots that run at market.
    pub(super) fn check_market_worth(&self, now: u64, lots: u64) -> Result<(), Refusal> {
        self.check_worth(self.reference(now).map_or(0, |price| self.quote(price, lots)), false)
    }

    /// What of a worth the market does not allow.
    pub(super) fn check_worth(&self, worth: i128, priced: bool) -> Result<(), Refusal> {
        let f = &self.market.filters;
        let below = worth < f.notional_min.0 && (priced || !f.relative.market_below_min);
        let above = worth > f.notional_max.0 && (priced || f.relative.market_max);
        match f.relative.notional {
            NotionalFilter::Both if below || above => Err(Refusal::Filter(Filter::Notional)),
            NotionalFilter::Least if below => Err(Refusal::Filter(Filter::MinNotional)),
            _ => Ok(()),
        }
    }
}

impl Model {
    /// Whether a price is near enough to the reference price.
    pub(super) fn check_bands(&self, order: &NewOrder) -> Result<(), Refusal> {
        let Some(Price(price)) = order.terms.price else { return Ok(()) };
        self.check_band(order.terms.symbol, order.terms.side, price)
    }

    pub(super) fn check_band(&self, symbol: SymbolId, side: Side, price: u64) -> Result<(), Refusal> {
        let book = &self.books[symbol.0 as usize];
        let f = book.market.filters;
        let Some(reference) = book.reference(self.now) else { return Ok(()) };
        let of_side = match (side, f.relative.sell_band) {
            (Side::Sell, Some(band)) => (band.up_percent, band.down_percent),
            _ => (f.band_up_percent, f.band_down_percent),
        };
        let of_both = (f.relative.percent_price.up_percent, f.relative.percent_price.down_percent);
        for ((up, down), filter) in [(of_side, Filter::PercentPrice), (of_both, Filter::PercentPriceOfBoth)] {
            let (up, down) = (u64::from(up), u64::from(down));
            if (up > 0 && price * 100 > reference * up) || (down > 0 && price * 100 < reference * down) {
                return Err(Refusal::Filter(filter));
            }
        }
        Ok(())
    }

    /// Counts what an account has open for the limits that are on, before its next order in that market is looked at.
    pub(super) fn count_open(&mut self, account: AccountId, symbol: SymbolId, buys: bool) {
        if !self.exchange_filters.is_off() {
            self.books.iter_mut().for_each(|book| book.count_orders(account));
        }
        let book = &mut self.books[symbol.0 as usize];
        if buys && book.market.filters.relative.position_max.0 > 0 {
            book.count_buys(account);
        }
    }

    /// What the account has elsewhere, too.
    pub(super) fn check_account(&self, order: &NewOrder) -> Result<(), Refusal> {
        let asked = self.sketch(order);
        self.check_counts(order.account, &[(asked.stop.is_some(), asked.part.is_some())])?;
        self.check_position(order)
    }

    /// The same of a list.
    pub(super) fn check_account_of_list(&self, list: &NewList) -> Result<(), Refusal> {
        let asked: Vec<_> =
            list.orders.iter().map(|terms| (terms.order_type.is_conditional(), terms.iceberg().is_some())).collect();
        let lists = self.books.iter().flat_map(|book| &book.lists);
        let open = lists.filter(|open| open.account == list.account && !open.counts.is_empty()).count();
        let most = self.exchange_filters.order_lists_max as usize;
        if most > 0 && open >= most {
            return Err(Refusal::Filter(Filter::ExchangeMaxOrderLists));
        }
        self.check_counts(list.account, &asked)?;
        let book = &self.books[list.symbol.0 as usize];
        let buys: Vec<&OrderTerms> = list.orders.iter().filter(|terms| terms.side == Side::Buy).collect();
        if book.market.filters.relative.position_max.0 == 0 || buys.is_empty() {
            return Ok(());
        }
        if buys.iter().any(|terms| is_unpriced(terms)) {
            return Err(Refusal::Filter(Filter::MaxPosition));
        }
        // Of a pair one is carried out.
        let works = list.kind != ListKind::Oco;
        let each = list.orders.iter().take(if works { 2 } else { 1 }).filter(|terms| terms.side == Side::Buy);
        let more = each.map(|terms| match terms.size {
            Size::Base(quantity) => book.base(quantity.0),
            Size::Quote(_) => panic!("an order of a list has a quantity"),
        });
        self.check_coming(list.account, list.symbol, more.sum())
    }

    /// Whether these may be open, too: of each whether it is a stop order, and whether it is an iceberg order.
    fn check_counts(&self, account: AccountId, asked: &[(bool, bool)]) -> Result<(), Refusal> {
        let f = self.exchange_filters;
        let orders = self.books.iter().flat_map(|book| &book.orders);
        let alone = orders.filter(|open| open.account == account && open.counted);
        let lists = self.books.iter().flat_map(|book| &book.lists).filter(|list| list.account == account);
        let open: Vec<(bool, bool)> = alone
            .map(|open| (open.stop.is_some(), open.part.is_some()))
            .chain(lists.flat_map(|list| list.counts.iter().copied()))
            .collect();
        let exceeds = |max: u32, counts: fn(&(bool, bool)) -> bool| {
            let more = asked.iter().filter(|order| counts(order)).count();
            max > 0 && more > 0 && open.iter().filter(|order| counts(order)).count() + more > max as usize
        };
        if exceeds(f.orders_max, |_| true) {
            return Err(Refusal::Filter(Filter::ExchangeMaxOrders));
        }
        if exceeds(f.algo_orders_max, |&(algo, _)| algo) {
            return Err(Refusal::Filter(Filter::ExchangeMaxAlgoOrders));
        }
        if exceeds(f.iceberg_orders_max, |&(_, iceberg)| iceberg) {
            return Err(Refusal::Filter(Filter::ExchangeMaxIcebergOrders));
        }
        Ok(())
    }

    fn check_position(&self, order: &NewOrder) -> Result<(), Refusal> {
        let book = &self.books[order.terms.symbol.0 as usize];
        if book.market.filters.relative.position_max.0 == 0 || order.terms.side == Side::Sell {
            return Ok(());
        }
        if is_unpriced(&order.terms) {
            return Err(Refusal::Filter(Filter::MaxPosition));
        }
        let more = match order.terms.size {
            Size::Base(quantity) => book.base(quantity.0),
            Size::Quote(_) => 1,
        };
        self.check_coming(order.account, order.terms.symbol, more)
    }

    /// Whether an account may come to have so much more of the base asset.
    fn check_coming(&self, account: AccountId, symbol: SymbolId, more: i128) -> Result<(), Refusal> {
        let book = &self.books[symbol.0 as usize];
        let (free, held) = self.balances.get(&(account, book.market.base.id)).copied().unwrap_or_default();
        let buys = book.orders.iter().filter(|open| open.account == account && open.incoming);
        let lists = book.lists.iter().filter(|list| list.account == account);
        let coming = buys
            .map(|open| book.base(open.lots() + open.kept.unwrap_or(0)))
            .chain(lists.map(|list| list.coming))
            .sum::<i128>();
        let fits = free + held + coming + more <= book.market.filters.relative.position_max.0;
        if fits { Ok(()) } else { Err(Refusal::Filter(Filter::MaxPosition)) }
    }

    /// Which limits the orders of a list that are not its working order count for from now on, and what they would
    /// bring.
    pub(super) fn counts_of_list(&self, symbol: SymbolId, others: &[Order]) -> (Vec<(bool, bool)>, i128) {
        let book = &self.books[symbol.0 as usize];
        let counted = others.iter().filter(|_| !self.exchange_filters.is_off());
        let bounded = book.market.filters.relative.position_max.0 > 0;
        let buys = others.first().filter(|order| bounded && order.side == Side::Buy);
        let counts = counted.map(|order| (order.stop.is_some(), order.part.is_some())).collect();
        (counts, buys.map_or(0, |order| book.base(order.lots())))
    }

    /// Which limits an order counts for from now on.
    pub(super) fn mark_counted(&self, order: &mut Order, symbol: SymbolId) {
        let position_max = self.books[symbol.0 as usize].market.filters.relative.position_max.0;
        order.counted = !self.exchange_filters.is_off();
        order.incoming = position_max > 0 && order.side == Side::Buy;
    }
}
