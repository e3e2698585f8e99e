//! Places and cancels order lists.

use crossbook_engine::list_admission;
use crossbook_protocol::Rules;
use crossbook_protocol::command::Body;
use crossbook_protocol::order_list::{CancelList, ListTarget, NewList};
use crossbook_types::{ClientOrderId, ListKind, Market, MarketStatus};

use crate::auth::{Identity, Security};
use crate::clock::now;
use crate::error::{Error, OrderError};
use crate::gateway::Gateway;
use crate::limits::{ORDERS_BACK_FOR_TAKERS, OrderCount};
use crate::orders::{Given, OrderRequest, Sender, check_fields, given_or_made_up, terms};
use crate::pending::{ListReply, Reply};

/// A new order list as its sender describes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListRequest {
    /// Its kind.
    pub kind: ListKind,
    /// The client's name for it; made up if there is none.
    pub client_order_id: Option<ClientOrderId>,
    /// Its orders, as [`NewList::orders`] has them.
    pub orders: Vec<OrderRequest>,
}

/// An order list that was placed.
#[derive(Debug)]
pub struct PlacedList {
    /// The list with its orders.
    pub list: Box<ListReply>,
    /// The command's time, its trades and its prevented matches.
    pub reply: Reply,
    /// The orders that the account has placed.
    pub counted: OrderCount,
}

/// The command that places the list, checked against all that needs neither book nor balance.
///
/// # Errors
/// [`Error::Order`], or [`Error::Refused`] by the rules of admission.
pub fn check(request: &ListRequest, sender: Identity, market: &Market) -> Result<NewList, Error> {
    let mut orders = Vec::with_capacity(request.orders.len());
    for (at, order) in request.orders.iter().enumerate() {
        let size = if request.kind.pays_on() && at > 0 {
            // A quantity stands in for the one that it has later.
            let sized = OrderRequest { quantity: Some(market.step_size), ..*order };
            check_fields(&sized)?;
            Given::Later
        } else {
            check_fields(order)?
        };
        orders.push(terms(order, size, market)?);
    }
    let client_order_id = given_or_made_up(request.client_order_id)?;
    let list = NewList { account: sender.account, symbol: market.id, client_order_id, kind: request.kind, orders };
    list_admission::check(&list, market, Rules::NEWEST).map_err(Error::Refused)?;
    if market.status != MarketStatus::Trading {
        return Err(OrderError::MarketClosed.into());
    }
    Ok(list)
}

impl Gateway {
    /// Places an order list and waits for its durable outcome. The orders of one that is not placed do not count.
    ///
    /// # Errors
    /// As [`check`] and [`Gateway::submit`]; [`Error::Limit`] if the account has placed too many orders.
    pub async fn place_list(
        &self,
        sender: &Sender<'_>,
        market: &Market,
        request: &ListRequest,
    ) -> Result<PlacedList, Error> {
        sender.is_for(market);
        sender.identity.require(Security::Trade)?;
        let list = check(request, sender.identity, market)?;
        let (account, orders) = (list.account, list.orders.len() as u64);
        let mut counted = self.limits.count_orders(account, orders, sender.now)?;
        let mut reply = match self.submit_traced(Body::PlaceList(Box::new(list)), sender.deadline, sender.trace).await {
            Ok(reply) => reply,
            Err(error) => {
                // Orders with an unknown outcome may be in the book, so they stay counted.
                if error != Error::OutcomeUnknown {
                    self.limits.orders_not_placed(account, orders, sender.now, now());
                }
                return Err(error);
            }
        };
        if !reply.fills.is_empty() {
            counted = self.limits.order_traded(account, ORDERS_BACK_FOR_TAKERS, now());
        }
        self.count_accepted_order();
        let list = reply.list.take().ok_or(Error::Internal)?;
        Ok(PlacedList { list, reply, counted })
    }

    /// Cancels an order list; gives it with the orders that it has ended.
    ///
    /// # Errors
    /// As [`Gateway::submit`].
    pub async fn cancel_list(
        &self,
        sender: &Sender<'_>,
        market: &Market,
        target: ListTarget,
        cancel_id: Option<ClientOrderId>,
    ) -> Result<Box<ListReply>, Error> {
        sender.identity.require(Security::Trade)?;
        let cancel_id = given_or_made_up(cancel_id)?;
        let account = sender.identity.account;
        let request = CancelList { account, symbol: market.id, target, cancel_id };
        let mut reply = self.submit(Body::CancelList(request), sender.deadline).await?;
        reply.list.take().ok_or(Error::Internal)
    }
}

/// Whether a market takes order lists.
#[must_use]
pub fn takes_lists(market: &Market) -> bool {
    market.filters.order_lists_max > 0
}
