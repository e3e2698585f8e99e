//! What only the market can check of an order with instructions.

use crossbook_protocol::order::{Instructions, OrderTerms, Size};
use crossbook_protocol::refusal::Refusal;
use crossbook_types::{Amount, Filter, Side};

use super::Matcher;
use super::open::{Applicant, Order};
use crate::admission;
use crate::outbox::Accounts;

impl Matcher {
    /// What its filters say of them.
    #[cold]
    pub(super) fn check_instructions(&self, asked: &OrderTerms, applicant: Applicant) -> Result<(), Refusal> {
        let Some(&Instructions { iceberg, .. }) = asked.instructions.as_deref() else { return Ok(()) };
        let filters = &self.market.filters.special;
        if iceberg.is_some() && self.open.icebergs_of(applicant) >= filters.iceberg_orders_max {
            return Err(Refusal::Filter(Filter::MaxIcebergOrders));
        }
        Ok(())
    }

    /// Of an order whose price the market gives it: whether it can have one, and pay for it.
    #[cold]
    pub(super) fn check_price_to_come(
        &self,
        asked: &OrderTerms,
        budget: Amount,
        accounts: &Accounts<'_>,
    ) -> Result<(), Refusal> {
        let Some(&Instructions { trailing, peg, .. }) = asked.instructions.as_deref() else { return Ok(()) };
        if trailing.is_some() && asked.limit().is_none() && asked.stop_price.get().is_none() {
            self.check_trailing_worth(asked, budget, accounts)?;
        }
        if let Some(peg) = peg.filter(|_| !asked.waits()) {
            self.check_peg(asked, peg, budget, accounts.now)?;
        }
        Ok(())
    }

    /// An order that names no price is valued like one that runs at market.
    fn check_trailing_worth(&self, asked: &OrderTerms, budget: Amount, accounts: &Accounts<'_>) -> Result<(), Refusal> {
        let Size::Base(quantity) = asked.size else { return Err(Refusal::MalformedOrder) };
        let reference = self.reference_price(accounts.now);
        admission::check_market_notional(&self.market, reference, quantity, accounts.rules)?;
        if asked.side == Side::Buy {
            let needed = self.trailing_worth(asked).ok_or(Refusal::Filter(Filter::Notional))?;
            if needed > budget {
                return Err(Refusal::InsufficientBalance);
            }
        }
        Ok(())
    }

    /// What a buy that trails from the last price on has to hold, if it names no price.
    fn trailing_worth(&self, asked: &OrderTerms) -> Option<Amount> {
        match (asked.size, asked.limit(), asked.stop_price.get(), asked.side) {
            _ if asked.trailing().is_none() => None,
            (Size::Base(quantity), None, None, Side::Buy) => {
                Some(admission::triggered_worth(asked, &self.market, self.last_price?, quantity))
            }
            _ => None,
        }
    }

    /// Frees what an order that trails from now on holds beyond what it needs. What it holds then.
    pub(super) fn fit_hold(
        &self,
        order: &Order,
        asked: &OrderTerms,
        budget: Amount,
        accounts: &mut Accounts<'_>,
    ) -> Amount {
        let Some(needed) = self.trailing_worth(asked) else { return budget };
        accounts.hold_only(order, needed, budget);
        needed
    }
}
