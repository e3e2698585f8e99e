//! Filters of the naive exchange that look at the market's price, at what an account has, or at all of its orders.

use crossbook_protocol::Refusal;
use crossbook_protocol::order::{NewOrder, Size};
use crossbook_types::{Filter, NotionalFilter, Price, Side, SymbolId};

use super::{Book, Model, Order};

impl Book {
    /// The average of the minutes that the filters look at, to the nearest tick, a half up; or the last price.
    pub(super) fn reference(&self, now: u64) -> Option<u64> {
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

    /// What the account has elsewhere, too.
    pub(super) fn check_account(&self, order: &NewOrder) -> Result<(), Refusal> {
        let f = self.exchange_filters;
        let open = || {
            let all = self.books.iter().flat_map(|book| &book.orders);
            all.filter(|open| open.account == order.account && open.counted)
        };
        let algo = |open: &Order| open.stop.is_some();
        let asked = self.sketch(order);
        if f.orders_max > 0 && open().count() >= f.orders_max as usize {
            return Err(Refusal::Filter(Filter::ExchangeMaxOrders));
        }
        let count = open().filter(|open| algo(open)).count();
        if algo(&asked) && f.algo_orders_max > 0 && count >= f.algo_orders_max as usize {
            return Err(Refusal::Filter(Filter::ExchangeMaxAlgoOrders));
        }
        let count = open().filter(|open| open.part.is_some()).count();
        if asked.part.is_some() && f.iceberg_orders_max > 0 && count >= f.iceberg_orders_max as usize {
            return Err(Refusal::Filter(Filter::ExchangeMaxIcebergOrders));
        }
        self.check_position(order)
    }

    fn check_position(&self, order: &NewOrder) -> Result<(), Refusal> {
        let book = &self.books[order.terms.symbol.0 as usize];
        let max = book.market.filters.relative.position_max.0;
        if max == 0 || order.terms.side == Side::Sell {
            return Ok(());
        }
        let trails_at_market = order.terms.trailing().is_some() && order.terms.limit().is_none();
        if order.terms.peg().is_some() || trails_at_market {
            return Err(Refusal::Filter(Filter::MaxPosition));
        }
        let (free, held) = self.balances.get(&(order.account, book.market.base.id)).copied().unwrap_or_default();
        let buys = book.orders.iter().filter(|open| open.account == order.account && open.incoming);
        let coming: i128 = buys.map(|open| book.base(open.lots())).sum();
        let (least, more) = match order.terms.size {
            Size::Base(quantity) => (0, book.base(quantity.0)),
            Size::Quote(_) => (1, 0),
        };
        if free + held + coming + more + least > max { Err(Refusal::Filter(Filter::MaxPosition)) } else { Ok(()) }
    }

    /// Which limits an order counts for from now on.
    pub(super) fn mark_counted(&self, order: &mut Order, symbol: SymbolId) {
        let position_max = self.books[symbol.0 as usize].market.filters.relative.position_max.0;
        order.counted = !self.exchange_filters.is_off();
        order.incoming = position_max > 0 && order.side == Side::Buy;
    }
}
