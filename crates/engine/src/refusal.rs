//! The refusal of an order.

use crossbook_protocol::event::{Event, Events};
use crossbook_protocol::order::NewOrder;
use crossbook_protocol::peer::Origin;
use crossbook_protocol::refusal::Refusal;
use crossbook_protocol::rules::Rules;

/// Refuses an order. The owner of the account learns of it too, where clients know a reason for it.
#[inline]
pub(crate) fn refuse_order(events: &mut Events, order: &NewOrder, origin: Origin, refusal: Refusal, rules: Rules) {
    publish_refused(events, order, refusal, rules);
    events.refuse(origin, refusal);
}

/// Lets the owner of the account learn of the refusal of an order, where clients know a reason for it.
#[inline]
pub(crate) fn publish_refused(events: &mut Events, order: &NewOrder, refusal: Refusal, rules: Rules) {
    if rules >= Rules::V2
        && let Some(reason) = refusal.reject_reason()
    {
        // What would have paid its fees is nobody's concern.
        let order = match order.terms.discount() {
            None => order.clone(),
            Some(_) => NewOrder { terms: order.terms.with_discount(None), ..*order },
        };
        events.add(|| Event::OrderRefused { order, reason });
    }
}
