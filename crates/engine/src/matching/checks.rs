//! What a market checks of an order before it takes it.

use crossbook_protocol::order::{NewOrder, OrderTerms, Size};
use crossbook_protocol::refusal::Refusal;
use crossbook_protocol::rules::Rules;
use crossbook_types::{Amount, Filter, MarketStatus, OrderType, Price, Quantity, SelfTradePrevention, Side, Timestamp};
use std::collections::BTreeMap;

use super::{Applicant, Matcher, crosses};
use crate::admission;
use crate::limits::NUMBERS_END;
use crate::outbox::Accounts;

impl Matcher {
    /// What only the market can check.
    #[inline]
    pub(super) fn check(
        &self,
        order: &NewOrder,
        budget: Amount,
        applicant: Applicant,
        accounts: &Accounts<'_>,
    ) -> Result<(), Refusal> {
        self.check_open(order)?;
        self.check_name(order, applicant)?;
        self.check_limits(order, applicant, accounts.now)?;
        self.check_book(order, budget, accounts)
    }

    /// Whether the market takes another order.
    #[inline]
    pub(super) fn check_open(&self, order: &NewOrder) -> Result<(), Refusal> {
        if self.status != MarketStatus::Trading {
            self.check_collected(order)?;
        }
        if self.open.is_full() {
            return Err(Refusal::BookFull);
        }
        self.check_numbers()
    }

    #[inline]
    pub(super) fn check_name(&self, order: &NewOrder, applicant: Applicant) -> Result<(), Refusal> {
        let taken = self.open.has_named(applicant, order.terms.client_order_id);
        if taken { Err(Refusal::DuplicateClientOrderId) } else { Ok(()) }
    }

    /// What the filters say of the account's open orders, and of the price.
    #[inline(always)]
    pub(super) fn check_limits(&self, order: &NewOrder, applicant: Applicant, now: Timestamp) -> Result<(), Refusal> {
        let (asked, filters) = (&order.terms, &self.market.filters);
        let (open, waiting) = self.open.counts(applicant);
        if open >= filters.orders_max as usize {
            return Err(Refusal::Filter(Filter::MaxOrders));
        }
        if asked.order_type.is_conditional() && waiting >= filters.algo_orders_max {
            return Err(Refusal::Filter(Filter::MaxAlgoOrders));
        }
        if asked.instructions.is_some() {
            self.check_instructions(asked, applicant)?;
        }
        match asked.price {
            Some(price) => {
                let reference = self.reference_price(now);
                self.market.check_band(asked.side, price, reference).map_err(Refusal::Filter)
            }
            None => Ok(()),
        }
    }

    /// What the book says of the order.
    #[inline(always)]
    pub(super) fn check_book(&self, order: &NewOrder, budget: Amount, accounts: &Accounts<'_>) -> Result<(), Refusal> {
        let (rules, asked) = (accounts.rules, &order.terms);
        let levels_max = if rules >= Rules::V2 { accounts.work.levels_checked as usize } else { usize::MAX };
        if asked.instructions.is_some() {
            self.check_price_to_come(asked, budget, accounts)?;
        }
        match asked.order_type {
            OrderType::Limit => Ok(()),
            OrderType::LimitMaker if self.would_take(asked) => Err(Refusal::WouldTake),
            OrderType::LimitMaker => Ok(()),
            OrderType::Market => match asked.size {
                Size::Base(quantity) => {
                    let reference = self.reference_price(accounts.now);
                    admission::check_market_notional(&self.market, reference, quantity, rules)?;
                    self.check_budget(asked, budget, levels_max)
                }
                Size::Quote(amount) if rules >= Rules::V2 => self.check_quote_amount(order, amount, budget, levels_max),
                Size::Quote(_) => self.check_budget(asked, budget, levels_max),
            },
            OrderType::StopLoss | OrderType::StopLossLimit | OrderType::TakeProfit | OrderType::TakeProfitLimit => {
                if self.would_trigger(asked) {
                    Err(Refusal::WouldTrigger)
                } else {
                    Ok(())
                }
            }
        }
    }

    /// Whether there are numbers left for what orders bring about.
    #[inline]
    pub(super) fn check_numbers(&self) -> Result<(), Refusal> {
        // One comparison for all of them: the end is a power of two.
        let numbers = self.next_order.0 | self.next_trade.0 | self.next_prevented.number() | self.depth_update;
        if numbers >= NUMBERS_END { Err(Refusal::NumbersUsedUp) } else { Ok(()) }
    }

    /// Whether an order with a limit would trade at once.
    #[inline]
    pub(super) fn would_take(&self, asked: &OrderTerms) -> bool {
        let opposite = self.open.best(asked.side.opposite());
        opposite.zip(asked.limit()).is_some_and(|(best, limit)| crosses(asked.side, limit, best))
    }

    /// Whether an order with a stop price would be triggered at once.
    pub(super) fn would_trigger(&self, asked: &OrderTerms) -> bool {
        let on_rise = asked.order_type.triggers_on_rise(asked.side);
        let reached = |stop| self.is_reached(on_rise, stop);
        self.last_price.is_some_and(|last| triggers_at(asked, last)) || asked.stop_price.get().is_some_and(reached)
    }

    /// Whether a market order can pay for what it would find in the book now, at so many price levels. Its budget is
    /// what its account has, which may be less than that.
    pub(super) fn check_budget(&self, asked: &OrderTerms, budget: Amount, levels_max: usize) -> Result<(), Refusal> {
        let mut needed = Amount::ZERO;
        let mut left = asked.size;
        for (price, available) in self.open.liquidity(asked.side.opposite()).take(levels_max) {
            let quantity = match left {
                Size::Base(quantity) => quantity.min(available),
                Size::Quote(amount) => self.market.affordable(price, amount).min(available),
            };
            if quantity.is_zero() {
                break;
            }
            needed = needed.plus(match asked.side {
                Side::Buy => self.market.quote_amount(price, quantity),
                Side::Sell => self.market.base_amount(quantity),
            });
            if needed > budget {
                return Err(Refusal::InsufficientBalance);
            }
            left = match left {
                Size::Base(quantity_left) => Size::Base(quantity_left.minus(quantity)),
                Size::Quote(amount) => Size::Quote(amount.minus(self.market.quote_amount(price, quantity))),
            };
        }
        if budget.is_zero() { Err(Refusal::InsufficientBalance) } else { Ok(()) }
    }

    /// Whether a market order for a quote amount can have what it would find in the book now: at most the largest
    /// market order, at least the smallest order, and no more than it can pay for. Orders of its own account or trade
    /// group that would make way for it are not there for it. Of the book it looks at so many price levels, and at more
    /// only until they have the smallest order.
    pub(super) fn check_quote_amount(
        &self,
        order: &NewOrder,
        amount: Amount,
        budget: Amount,
        levels_max: usize,
    ) -> Result<(), Refusal> {
        if budget.is_zero() {
            return Err(Refusal::InsufficientBalance);
        }
        let (side, least) = (order.terms.side, self.market.filters.quantity_min);
        let mut own = BTreeMap::new();
        if order.terms.self_trade_prevention == SelfTradePrevention::ExpireMaker {
            for (price, quantity) in self.open.own(order.account, order.terms.trade_group(), side.opposite()) {
                let sum: &mut Quantity = own.entry(price).or_default();
                *sum = sum.plus(quantity);
            }
        }
        let most = self.market.market_lots_max();
        let (mut lots, mut needed, mut left) = (Quantity::ZERO, Amount::ZERO, amount);
        let mut everything = true;
        for (at, (price, available)) in self.open.liquidity(side.opposite()).enumerate() {
            if at >= levels_max && lots >= least {
                break;
            }
            let own = own.get(&price).copied().unwrap_or_default();
            let available = available.minus(own);
            let wanted = self.market.affordable(price, left).min(most.minus(lots));
            let quantity = wanted.min(available);
            let quote = self.market.quote_amount(price, quantity);
            lots = lots.plus(quantity);
            left = left.minus(quote);
            needed = match side {
                Side::Buy => needed.plus(quote),
                Side::Sell => self.market.base_amount(lots),
            };
            if needed > budget {
                return Err(Refusal::InsufficientBalance);
            }
            // An own order that is left at this price when nothing more is wanted at it ends the order, though at a
            // worse price the rest of its amount might be another lot.
            if quantity < available || wanted.is_zero() || (quantity == wanted && !own.is_zero()) {
                everything = false;
                break;
            }
        }
        match (everything, lots) {
            (_, lots) if lots >= least => Ok(()),
            (true, Quantity::ZERO) => Err(Refusal::EmptyBook),
            (true, _) => Err(Refusal::ThinBook),
            (false, _) => Err(Refusal::Filter(Filter::LotSize)),
        }
    }
}

/// Whether a price reaches the stop price of an order.
pub(super) fn triggers_at(asked: &OrderTerms, price: Price) -> bool {
    let on_rise = asked.order_type.triggers_on_rise(asked.side);
    asked.stop_price.get().is_some_and(|stop| if on_rise { price >= stop } else { price <= stop })
}
