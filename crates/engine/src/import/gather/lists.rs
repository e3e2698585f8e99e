//! The open order lists of a market, for the inventory.

use crossbook_protocol::counted::Counted;
use crossbook_protocol::event::OrderImported;
use crossbook_protocol::import::{FeeReserve, Standing, StandingLeg, StandingList};
use crossbook_types::{AccountId, Amount, HoldId, OrderListId, SymbolId};

use super::{Error, Past};
use crate::matching::order_lists::{ListLeg, OrderList};
use crate::matching::{Matcher, Reserve, base};

/// The lists of a market whose orders that are placed are these. What one of a pair needs is held together with what
/// the other does; so it is entered with the order. What is held for the fees of both is entered with the list. `held`:
/// what a hold of an account has left, and counts for.
pub(super) fn standing(
    symbol: SymbolId,
    lists: &[(OrderListId, OrderList)],
    orders: &mut [Standing],
    matcher: &Matcher,
    past: &dyn Past,
    held: impl Fn(AccountId, HoldId) -> Option<(Amount, Option<Counted>)>,
) -> Result<Vec<StandingList>, Error> {
    let mut standing = Vec::with_capacity(lists.len());
    for &(id, ref list) in lists {
        let wrong = || Error::List { symbol, list: id };
        let told = past.list(symbol, id).ok_or_else(wrong)?;
        let placed = &told.placed;
        let same = placed.account == list.account
            && placed.kind == list.kind
            && placed.client_order_id == list.client_order_id
            && list.open_orders().all(|order| placed.orders.contains(&order));
        let (there, counted) = held(list.account, list.hold).ok_or(Error::InTransit)?;
        let first = list.legs.first().filter(|leg| list.holds_for(leg.order));
        let together = first.is_some();
        if !same || (together && there != list.held) {
            return Err(wrong());
        }
        let reserve = match first.and_then(|leg| matcher.reserve_of(leg.order)) {
            None => None,
            Some(Reserve { asset, hold, left, rates, credit }) => {
                let (there, _) = held(list.account, hold).ok_or(Error::InTransit)?;
                if there != left {
                    return Err(wrong());
                }
                Some(FeeReserve { asset, held: left, rates, credit })
            }
        };
        let mut others = Vec::with_capacity(list.legs.len());
        for leg in &list.legs {
            let order = if list.released {
                let found = orders.iter_mut().find(|standing| standing.order.placed.order == leg.order);
                let found = found.ok_or_else(wrong)?;
                if together {
                    (found.held, found.reserve) = (leg.need, None);
                }
                found.order.clone()
            } else {
                pending(symbol, list, leg, matcher, past)?
            };
            others.push(StandingLeg { order, need: leg.need });
        }
        let &OrderList { working, near, released, fees, .. } = list;
        let held = there;
        standing.push(StandingList { list: told, working, near, released, others, held, fees, counted, reserve });
    }
    Ok(standing)
}

fn pending(
    symbol: SymbolId,
    list: &OrderList,
    leg: &ListLeg,
    matcher: &Matcher,
    past: &dyn Past,
) -> Result<OrderImported, Error> {
    let wrong = || Error::Order { symbol, order: leg.order };
    let mut told = past.order(symbol, leg.order).ok_or_else(wrong)?;
    let (placed, terms) = (&told.placed, &leg.terms);
    let same = placed.account == list.account
        && placed.terms.client_order_id == terms.client_order_id
        && placed.terms.side == terms.side
        && placed.terms.order_type == terms.order_type
        && placed.terms.time_in_force == terms.time_in_force
        && placed.terms.price == terms.price
        && placed.terms.stop_price == terms.stop_price
        && placed.terms.self_trade_prevention == terms.self_trade_prevention
        && placed.terms.iceberg() == terms.iceberg()
        && placed.terms.trailing() == terms.trailing()
        && placed.terms.peg() == terms.peg()
        && placed.terms.trade_group() == terms.trade_group()
        && told.working_since.is_none()
        && told.left() == Some(base(terms.size));
    told.amendments = matcher.amended(leg.order);
    if same { Ok(told) } else { Err(wrong()) }
}
