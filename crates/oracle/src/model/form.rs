//! What orders of the naive exchange must not be, whatever the book.

use crossbook_protocol::Refusal;
use crossbook_protocol::order::{NewOrder, OrderTerms, Size};
use crossbook_types::{Amount, Feature, Filter, OrderType, PegPrice, Quantity, Side, TimeInForce};

use super::Model;

/// Whether orders of a type have a limit price, and a stop price.
fn prices_of(order_type: OrderType) -> (bool, bool) {
    match order_type {
        OrderType::Limit | OrderType::LimitMaker => (true, false),
        OrderType::Market => (false, false),
        OrderType::StopLoss | OrderType::TakeProfit => (false, true),
        OrderType::StopLossLimit | OrderType::TakeProfitLimit => (true, true),
    }
}

impl Model {
    /// What an order must not be, whatever its size and the book.
    pub(super) fn check_unsized(&self, order: &NewOrder) -> Result<(), Refusal> {
        let book = &self.books[order.terms.symbol.0 as usize];
        let f = book.market.filters;
        let (priced, stopped) = prices_of(order.terms.order_type);
        let timed = priced && order.terms.order_type != OrderType::LimitMaker;
        if (order.terms.price.is_some() != priced && !(priced && order.terms.peg().is_some()))
            || (order.terms.stop_price.is_some() != stopped && !(stopped && order.terms.trailing().is_some()))
            || (matches!(order.terms.size, Size::Quote(_)) && order.terms.order_type != OrderType::Market)
            || (order.terms.time_in_force != TimeInForce::Gtc && !timed)
        {
            return Err(Refusal::MalformedOrder);
        }
        if !book.market.self_trade.allowed().any(|mode| mode == order.terms.self_trade_prevention) {
            return Err(Refusal::SelfTradeMode);
        }
        for price in [order.terms.price, order.terms.stop_price.get()].into_iter().flatten() {
            if price < f.price_min || price > f.price_max {
                return Err(Refusal::Filter(Filter::Price));
            }
        }
        Ok(())
    }

    /// What an order must not be, whatever the book.
    pub(super) fn check_form(&self, order: &NewOrder) -> Result<(), Refusal> {
        let claims = order.terms.instructions.as_ref().is_some_and(|asked| asked.list.is_some());
        if claims {
            return Err(Refusal::MalformedOrder);
        }
        self.check_unsized(order)?;
        let book = &self.books[order.terms.symbol.0 as usize];
        let f = book.market.filters;
        let (priced, stopped) = prices_of(order.terms.order_type);
        let worth = match order.terms.size {
            Size::Quote(Amount(0)) => return Err(Refusal::Filter(Filter::Notional)),
            Size::Quote(amount) => Some(amount.0),
            Size::Base(quantity) => {
                if quantity < f.quantity_min || quantity > f.quantity_max {
                    return Err(Refusal::Filter(Filter::LotSize));
                }
                if !priced && quantity > f.market_quantity_max {
                    return Err(Refusal::Filter(Filter::MarketLotSize));
                }
                order.terms.price.or(order.terms.stop_price.get()).map(|price| book.quote(price.0, quantity.0))
            }
        };
        // The largest worth is that of orders with a limit, if the market does not say otherwise.
        worth.map_or(Ok(()), |worth| book.check_worth(worth, priced))?;
        self.check_iceberg(order, priced)?;
        self.check_trailing(order, stopped)?;
        self.check_peg(order, priced)
    }

    pub(super) fn check_peg(&self, order: &NewOrder, priced: bool) -> Result<(), Refusal> {
        let Some(peg) = order.terms.peg() else { return Ok(()) };
        let own = peg.price == PegPrice::Primary;
        match order.terms.order_type {
            _ if !priced => Err(Refusal::PegType),
            OrderType::LimitMaker if !own => Err(Refusal::PegPrice),
            OrderType::Limit if own && order.terms.time_in_force != TimeInForce::Gtc => Err(Refusal::PegPrice),
            _ if peg.level > 100 => Err(Refusal::MalformedOrder),
            _ if !self.books[order.terms.symbol.0 as usize].market.filters.special.pegged => {
                Err(Refusal::Unsupported(Feature::Pegged))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn check_trailing(&self, order: &NewOrder, stopped: bool) -> Result<(), Refusal> {
        let f = self.books[order.terms.symbol.0 as usize].market.filters.special;
        let Some(delta) = order.terms.trailing() else { return Ok(()) };
        if !stopped {
            return Err(Refusal::MalformedOrder);
        }
        if f.trailing_above.max.0 == 0 && f.trailing_below.max.0 == 0 {
            return Err(Refusal::Unsupported(Feature::TrailingStop));
        }
        let above = matches!(
            (order.terms.order_type, order.terms.side),
            (OrderType::StopLoss | OrderType::StopLossLimit, Side::Buy)
                | (OrderType::TakeProfit | OrderType::TakeProfitLimit, Side::Sell)
        );
        let bounds = if above { f.trailing_above } else { f.trailing_below };
        if delta.0 == 0 || delta < bounds.min || delta > bounds.max {
            return Err(Refusal::Filter(Filter::TrailingDelta));
        }
        Ok(())
    }

    fn check_iceberg(&self, order: &NewOrder, priced: bool) -> Result<(), Refusal> {
        if order.terms.iceberg().is_none() {
            return Ok(());
        }
        let Size::Base(Quantity(lots)) = order.terms.size else {
            return Err(Refusal::MalformedOrder);
        };
        self.check_part(order, priced)?;
        self.check_parts(&order.terms, lots)
    }

    /// Whether an order may be an iceberg order, if it is one, whatever its size.
    pub(super) fn check_part(&self, order: &NewOrder, priced: bool) -> Result<(), Refusal> {
        let f = self.books[order.terms.symbol.0 as usize].market.filters;
        match order.terms.iceberg() {
            None => Ok(()),
            Some(Quantity(part)) if part == 0 || !priced || order.terms.time_in_force != TimeInForce::Gtc => {
                Err(Refusal::MalformedOrder)
            }
            Some(_) if f.special.iceberg_parts_max == 0 => Err(Refusal::Unsupported(Feature::Iceberg)),
            Some(_) => Ok(()),
        }
    }

    /// Whether an iceberg order may have that many lots.
    pub(super) fn check_parts(&self, terms: &OrderTerms, lots: u64) -> Result<(), Refusal> {
        let f = self.books[terms.symbol.0 as usize].market.filters;
        let Some(part) = terms.iceberg() else {
            return Ok(());
        };
        let parts = lots.div_ceil(part.0);
        match f.special.iceberg_parts_max {
            _ if part.0 > lots => Err(Refusal::IcebergTooLarge),
            _ if part < f.quantity_min => Err(Refusal::Filter(Filter::LotSize)),
            most if parts > u64::from(most) => Err(Refusal::Filter(Filter::IcebergParts)),
            _ => Ok(()),
        }
    }
}
