//! Orders whose fees are paid in the asset of the discount, as their account's partition takes them.

use crossbook_protocol::order::NewOrder;
use crossbook_types::Amount;

use super::Partition;
use crate::admission;

impl Partition {
    /// An admitted order, which can pay so much at most, as one that pays its fees in the asset of the discount, with
    /// something held for them; `None` if it pays the ordinary fee. If it `replaces` another, it may have nothing yet.
    #[inline]
    pub(crate) fn discounted(&mut self, order: &NewOrder, budget: Amount, replaces: bool) -> Option<Box<NewOrder>> {
        if self.registry.pays_discounted(order.account) { self.with_reserve(order, budget, replaces) } else { None }
    }

    #[cold]
    fn with_reserve(&mut self, order: &NewOrder, budget: Amount, replaces: bool) -> Option<Box<NewOrder>> {
        let market = self.registry.market(order.terms.symbol)?;
        let (ledger, registry) = (&mut self.ledger, &self.registry);
        let discount = admission::discount::reserve(ledger, registry, market, order, budget, self.time, replaces)?;
        Some(Box::new(NewOrder { account: order.account, terms: order.terms.with_discount(Some(discount)) }))
    }
}
