//! Amends orders: lowers their quantity.

use crossbook_protocol::command::Body;
use crossbook_protocol::event::OrderAmended;
use crossbook_protocol::order::{AmendOrder, Target};
use crossbook_protocol::refusal::Refusal;
use crossbook_types::{ClientOrderId, Decimal, Filter, Market, Timestamp};
use crossbook_views::{Order, OrderList};

use super::{Sender, given_or_made_up};
use crate::auth::Security;
use crate::command_port::Subject;
use crate::error::{Error, Field, OrderError};
use crate::gateway::Gateway;

/// An order to be amended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AmendRequest {
    /// Which order.
    pub target: Target,
    /// How much it is to be for, with what of it has traded, in the base asset.
    pub quantity: Decimal,
    /// The client's name for it from then on; made up if there is none.
    pub client_order_id: Option<ClientOrderId>,
}

/// An order that was amended.
#[derive(Debug)]
pub struct Amended {
    /// The order as it is after the command. It has ended if no more was asked for than has traded.
    pub order: Order,
    /// The order list that it belongs to.
    pub list: Option<OrderList>,
    /// The client's name for it before.
    pub client_order_id_before: ClientOrderId,
    /// The time of the command.
    pub time: Timestamp,
    /// The number of the report of it; see [`crate::account_events::execution_of`].
    pub execution: u64,
}

impl Gateway {
    /// Lowers the quantity of an open order, which keeps its place in the queue.
    ///
    /// # Errors
    /// As [`Gateway::submit`]; [`Error::Order`] if the quantity is none of the market's.
    pub async fn amend(&self, sender: &Sender<'_>, market: &Market, request: &AmendRequest) -> Result<Amended, Error> {
        sender.identity.require(Security::Trade)?;
        let account = sender.identity.account;
        let &AmendRequest { target, quantity, client_order_id } = request;
        if quantity.precision() > market.base.decimals {
            return Err(OrderError::TooPrecise(Field::Quantity).into());
        }
        let quantity = market.quantity(quantity).ok_or(OrderError::Filter(Filter::LotSize))?;
        self.caught_up(Subject::Account(account)).await?;
        let known = self.read_model.market(market.symbol.as_str(), |data, _| {
            let order = match target {
                Target::Order(id) | Target::Both(id, _) => data.order(id),
                Target::Client(name) => data.open_orders(account).find(|order| order.terms.client_order_id == name),
            };
            order.filter(|order| order.account == account && order.status.is_open()).cloned()
        });
        // The market keeps what is left of an order; what it was placed for is in the read model.
        let known = known.flatten().ok_or(Error::Refused(Refusal::UnknownOrder))?;
        let target = match target {
            Target::Order(_) => target,
            Target::Client(name) | Target::Both(_, name) => Target::Both(known.order, name),
        };
        let client_order_id = given_or_made_up(client_order_id)?;
        let (symbol, placed) = (market.id, known.original_quantity());
        let body = Body::Amend(AmendOrder { account, symbol, target, quantity, placed, client_order_id });
        let mut reply = self.submit(body, sender.deadline).await?;
        let list = reply.list.take().and_then(|reply| reply.list);
        let order = reply.order.ok_or(Error::Internal)?;
        let before = reply.amended.map(|OrderAmended { client_order_id_before, .. }| client_order_id_before);
        Ok(Amended {
            client_order_id_before: before.unwrap_or(order.terms.client_order_id),
            order,
            list,
            time: reply.time,
            execution: reply.execution,
        })
    }
}
