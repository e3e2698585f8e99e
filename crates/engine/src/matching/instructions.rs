//! What only the market can check of an order with instructions.

use crossbook_protocol::order::{Instructions, OrderTerms};
use crossbook_protocol::refusal::Refusal;
use crossbook_types::Filter;

use super::Matcher;
use super::open::Applicant;

impl Matcher {
    #[cold]
    pub(super) fn check_instructions(&self, asked: &OrderTerms, applicant: Applicant) -> Result<(), Refusal> {
        let Some(&Instructions { iceberg, .. }) = asked.instructions.as_deref() else { return Ok(()) };
        let filters = &self.market.filters.special;
        if iceberg.is_some() && self.open.icebergs_of(applicant) >= filters.iceberg_orders_max {
            return Err(Refusal::Filter(Filter::MaxIcebergOrders));
        }
        Ok(())
    }
}
