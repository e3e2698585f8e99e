//! Replaces orders: cancels one and places another with one command.

use crossbook_protocol::Answer;
use crossbook_protocol::command::Body;
use crossbook_protocol::event::Half;
use crossbook_protocol::order::ReplaceOrder;
use crossbook_types::Market;
use crossbook_views::Order;

use super::{CancelRequest, OrderRequest, Placed, Sender, check, given_or_made_up};
use crate::auth::Security;
use crate::clock::now;
use crate::error::Error;
use crate::gateway::Gateway;
use crate::limits::{LimitError, ORDERS_BACK_FOR_TAKERS, OrderCount};

/// An order to be cancelled, and another to be placed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReplaceRequest {
    /// The order to be cancelled.
    pub cancel: CancelRequest,
    /// The order to be placed.
    pub order: OrderRequest,
    /// Whether the new order is placed even if the other cannot be cancelled.
    pub allow_failure: bool,
    /// Whether the other order is cancelled even if the account has placed too many orders.
    pub cancels_over_limit: bool,
}

/// What has become of one half of it.
#[derive(Debug)]
pub enum HalfDone<T> {
    /// It was done.
    Done(T),
    /// It was refused.
    Failed(Error),
    /// It was not tried, because the other half was refused.
    NotTried,
}

/// What has become of both.
#[derive(Debug)]
pub struct Replaced {
    /// The order that was to be cancelled, as it is after that.
    pub canceled: HalfDone<Order>,
    /// The order that was to be placed.
    pub placed: HalfDone<Box<Placed>>,
    /// The orders that the account has placed; `None` if it has placed too many.
    pub counted: Option<OrderCount>,
}

impl Gateway {
    /// Cancels an order and places another that may use its funds. The new order counts, unless the book refuses it.
    ///
    /// # Errors
    /// As [`Gateway::place`], if neither half was tried.
    pub async fn replace(
        &self,
        sender: &Sender<'_>,
        market: &Market,
        request: &ReplaceRequest,
    ) -> Result<Replaced, Error> {
        sender.is_for(market);
        sender.identity.require(Security::Trade)?;
        let &ReplaceRequest { cancel, allow_failure, cancels_over_limit, .. } = request;
        let order = check(&request.order, sender.identity, market)?;
        let account = order.account;
        let counted = match self.limits.count_order(account, sender.now) {
            Ok(counted) => counted,
            Err(limit) if cancels_over_limit => return self.only_cancel(sender, market, request, limit).await,
            Err(limit) => return Err(limit.into()),
        };
        let CancelRequest { target, cancel_id, restriction } = cancel;
        let cancel_id = given_or_made_up(cancel_id)?;
        let body = Body::Replace(Box::new(ReplaceOrder { order, target, cancel_id, restriction, allow_failure }));
        let mut reply = match self.submit_traced(body, sender.deadline, sender.trace).await {
            Ok(reply) => reply,
            Err(error) => {
                // An order with an unknown outcome may be in the book, so it stays counted.
                if error != Error::OutcomeUnknown {
                    self.limits.order_not_placed(account, sender.now, now());
                }
                return Err(error);
            }
        };
        let Ok(Answer::Replaced { canceled, placed, .. }) = reply.outcome else { return Err(Error::Internal) };
        let canceled = match canceled {
            Half::Done(_) => HalfDone::Done(reply.canceled.take().ok_or(Error::Internal)?),
            Half::Refused(refusal) => HalfDone::Failed(Error::Refused(refusal)),
            Half::NotTried => HalfDone::NotTried,
        };
        let mut counted = counted;
        let placed = match placed {
            Half::Done(_) => {
                if !reply.fills.is_empty() {
                    counted = self.limits.order_traded(account, ORDERS_BACK_FOR_TAKERS, now());
                }
                self.count_accepted_order();
                let order = reply.order.take().ok_or(Error::Internal)?;
                HalfDone::Done(Box::new(Placed { order, reply, counted }))
            }
            Half::Refused(refusal) => {
                self.limits.order_not_placed(account, sender.now, now());
                counted = self.limits.order_count(account, now());
                HalfDone::Failed(Error::Refused(refusal))
            }
            Half::NotTried => HalfDone::NotTried,
        };
        Ok(Replaced { canceled, placed, counted: Some(counted) })
    }

    /// The account has placed too many orders: nothing is placed.
    async fn only_cancel(
        &self,
        sender: &Sender<'_>,
        market: &Market,
        request: &ReplaceRequest,
        limit: LimitError,
    ) -> Result<Replaced, Error> {
        let canceled = match self.cancel(sender, market, &request.cancel).await {
            Ok(canceled) => HalfDone::Done(canceled.order(request.cancel.target).ok_or(Error::Internal)?),
            Err(error @ Error::Refused(_)) => HalfDone::Failed(error),
            Err(error) => return Err(error),
        };
        let placed = match canceled {
            HalfDone::Failed(_) if !request.allow_failure => HalfDone::NotTried,
            _ => HalfDone::Failed(limit.into()),
        };
        Ok(Replaced { canceled, placed, counted: None })
    }
}
