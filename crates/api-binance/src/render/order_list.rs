//! Order lists as their owner sees them.

use crossbook_gateway::order_lists::PlacedList;
use crossbook_gateway::pending::ListReply;
use crossbook_types::{ListStatus, Market};
use crossbook_views::OrderList;

use super::json::{self, Object};
use super::order::{Detail, cancelled, list_members, report};
use crate::time_unit::TimeUnit;

/// What has happened to a list last, in the words of the API.
#[must_use]
pub fn list_status_type(status: ListStatus) -> &'static str {
    match status {
        ListStatus::Executing => "EXEC_STARTED",
        ListStatus::AllDone => "ALL_DONE",
    }
}

/// The fields of a list that all answers have.
fn listing(o: &mut Object<'_>, market: &Market, unit: TimeUnit, list: &OrderList) {
    o.number("orderListId", list.list.0).name("contingencyType", list.kind.contingency());
    o.name("listStatusType", list_status_type(list.status)).name("listOrderStatus", list.status.as_str());
    o.name("listClientOrderId", list.client_order_id.as_str()).number("transactionTime", unit.of(list.updated));
    o.name("symbol", market.symbol.as_str());
    list_members(o, market, list);
}

/// A list as a query shows it.
pub fn order_list(market: &Market, unit: TimeUnit, list: &OrderList, out: &mut String) {
    json::object(out, |o| listing(o, market, unit, list));
}

/// The answer to a new list.
#[must_use]
pub fn list_placed(market: &Market, unit: TimeUnit, placed: &PlacedList, detail: Detail) -> String {
    let PlacedList { list, reply, .. } = placed;
    let mut out = String::with_capacity(2_048);
    json::object(&mut out, |o| {
        if let Some(known) = &list.list {
            listing(o, market, unit, known);
        }
        let reports = json::array(list.orders.iter(), |order, out| {
            json::object(out, |o| report(o, market, unit, order, reply, detail));
        });
        o.key("orderReports").push_str(&reports);
    });
    out
}

/// A list that was cancelled, with the orders that ended with it.
pub fn list_cancelled(market: &Market, unit: TimeUnit, list: &ListReply, out: &mut String) {
    json::object(out, |o| {
        if let Some(known) = &list.list {
            listing(o, market, unit, known);
        }
        let reports = json::array(list.orders.iter(), |order, out| cancelled(market, unit, order, out));
        o.key("orderReports").push_str(&reports);
    });
}
