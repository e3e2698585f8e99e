//! Places and cancels orders. Every error that can be detected without the book and the balance is found here, and the
//! order never reaches a partition.

pub mod amend;
pub mod replace;

use crossbook_engine::admission;
use crossbook_protocol::command::Body;
use crossbook_protocol::order::{CancelAll, CancelOrder, Instructions, NewOrder, OrderTerms, Size, Target};
use crossbook_protocol::{Refusal, Rules};
use crossbook_types::{
    Amount, CancelRestriction, ClientOrderId, Decimal, Filter, Market, MarketStatus, OrderType, Peg, Price, Quantity,
    SelfTradePrevention, Side, StrategyId, StrategyType, TimeInForce, Timestamp, TrailingDelta,
};
use crossbook_views::Order;

use crate::auth::{Identity, Security};
use crate::clock::now;
use crate::error::{Error, Field, OrderError};
use crate::gateway::Gateway;
use crate::limits::{ORDERS_BACK_FOR_TAKERS, OrderCount};
use crate::pending::{ListReply, Reply};
use crate::secret::random_name;
use crate::traces::Trace;

/// Characters of the names that are made up for orders and cancels without one.
const MADE_UP_CHARACTERS: usize = 22;

/// Who sends a command, and when.
#[derive(Clone, Copy, Debug)]
pub struct Sender<'a> {
    /// Who it is, authenticated.
    pub identity: Identity,
    /// When the request arrived.
    pub now: Timestamp,
    /// When the request stops being valid.
    pub deadline: Option<Timestamp>,
    /// The trace of the order that is sent, if it is traced.
    pub trace: Option<&'a Trace>,
}

impl Sender<'_> {
    /// What is sent is for this market.
    #[inline]
    pub(crate) fn is_for(&self, market: &Market) {
        if let Some(trace) = self.trace {
            trace.is_for(market);
        }
    }
}

/// A new order as its sender describes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OrderRequest {
    /// Buy or sell.
    pub side: Side,
    /// Of which kind.
    pub order_type: OrderType,
    /// How long it is good; only for kinds that may rest.
    pub time_in_force: Option<TimeInForce>,
    /// How much, in the base asset.
    pub quantity: Option<Decimal>,
    /// For how much, in the quote asset; instead of a quantity.
    pub quote_amount: Option<Decimal>,
    /// Limit price.
    pub price: Option<Decimal>,
    /// Price that triggers it.
    pub stop_price: Option<Decimal>,
    /// The client's name for it; made up if there is none.
    pub client_order_id: Option<ClientOrderId>,
    /// What happens instead of a trade with an order of the same account.
    pub self_trade_prevention: SelfTradeMode,
    /// Where its price comes from, if it is pegged.
    pub peg: Option<Peg>,
    /// How far the price has to come back to trigger it, in hundredths of a percent.
    pub trailing_delta: Option<TrailingDelta>,
    /// How much of it shows in the book at a time, in the base asset; nothing and zero: all of it.
    pub iceberg_quantity: Option<Decimal>,
    /// The client's number for the strategy that it is part of.
    pub strategy_id: Option<StrategyId>,
    /// The client's number for the kind of that strategy.
    pub strategy_type: Option<StrategyType>,
}

/// The mode of self-trade prevention that a client asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SelfTradeMode {
    /// The market's.
    Default,
    /// This one.
    Named(SelfTradePrevention),
}

impl SelfTradeMode {
    /// The mode, if the market allows it.
    fn in_market(self, market: &Market) -> Result<SelfTradePrevention, Error> {
        let mode = match self {
            Self::Default => market.self_trade.default_mode(),
            Self::Named(mode) => mode,
        };
        if market.self_trade.allows(mode) { Ok(mode) } else { Err(Error::Refused(Refusal::SelfTradeMode)) }
    }
}

/// An order that was placed.
#[derive(Debug)]
pub struct Placed {
    /// The order as it is after the command.
    pub order: Order,
    /// The command's time, its trades and its prevented matches.
    pub reply: Reply,
    /// The orders that the account has placed.
    pub counted: OrderCount,
}

/// What a cancel has ended.
#[derive(Debug)]
pub enum Canceled {
    /// An order.
    Order(Box<Order>),
    /// An order list.
    List(Box<ListReply>),
}

impl Canceled {
    /// The order that was meant.
    fn order(self, target: Target) -> Option<Order> {
        match self {
            Self::Order(order) => Some(*order),
            Self::List(list) => list.orders.into_iter().find(|order| match target {
                Target::Order(id) | Target::Both(id, _) => order.order == id,
                Target::Client(name) => order.terms.client_order_id == name,
            }),
        }
    }
}

/// An order to be cancelled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CancelRequest {
    /// Which order.
    pub target: Target,
    /// The client's name for the cancel; made up if there is none.
    pub cancel_id: Option<ClientOrderId>,
    /// In which state the order must be.
    pub restriction: Option<CancelRestriction>,
}

impl Gateway {
    /// Places an order and waits for its durable outcome. An order that is not placed does not count.
    ///
    /// # Errors
    /// As [`check`] and [`Gateway::submit`]; [`Error::Limit`] if the account has placed too many orders.
    pub async fn place(&self, sender: &Sender<'_>, market: &Market, request: &OrderRequest) -> Result<Placed, Error> {
        sender.is_for(market);
        sender.identity.require(Security::Trade)?;
        let order = check(request, sender.identity, market)?;
        let account = order.account;
        let mut counted = self.limits.count_order(account, sender.now)?;
        let mut reply = match self.submit_traced(Body::Place(order), sender.deadline, sender.trace).await {
            Ok(reply) => reply,
            Err(error) => {
                // An order with an unknown outcome may be in the book, so it stays counted.
                if error != Error::OutcomeUnknown {
                    self.limits.order_not_placed(account, sender.now, now());
                }
                return Err(error);
            }
        };
        if !reply.fills.is_empty() {
            counted = self.limits.order_traded(account, ORDERS_BACK_FOR_TAKERS, now());
        }
        self.count_accepted_order();
        let order = reply.order.take().ok_or(Error::Internal)?;
        Ok(Placed { order, reply, counted })
    }

    /// Cancels an order; gives it as it is after that, or its list, which is cancelled with it.
    ///
    /// # Errors
    /// As [`Gateway::submit`].
    pub async fn cancel(
        &self,
        sender: &Sender<'_>,
        market: &Market,
        request: &CancelRequest,
    ) -> Result<Canceled, Error> {
        sender.identity.require(Security::Trade)?;
        let &CancelRequest { target, cancel_id, restriction } = request;
        let cancel_id = given_or_made_up(cancel_id)?;
        let account = sender.identity.account;
        let body = Body::Cancel(CancelOrder { account, symbol: market.id, target, cancel_id, restriction });
        let mut reply = self.submit(body, sender.deadline).await?;
        match reply.list.take() {
            Some(list) => Ok(Canceled::List(list)),
            None => reply.order.map(|order| Canceled::Order(Box::new(order))).ok_or(Error::Internal),
        }
    }

    /// Cancels all open orders of the account in a market; gives them and their lists in the order in which they ended.
    ///
    /// # Errors
    /// As [`Gateway::submit`].
    pub async fn cancel_all(&self, sender: &Sender<'_>, market: &Market) -> Result<Vec<Canceled>, Error> {
        sender.identity.require(Security::Trade)?;
        let cancel_id = given_or_made_up(None)?;
        let body = Body::CancelAll(CancelAll { account: sender.identity.account, symbol: market.id, cancel_id });
        let gathering = self.pending.gather(cancel_id);
        self.submit(body, sender.deadline).await?;
        Ok(self.by_list(market, gathering.take()))
    }

    /// Orders that were cancelled, those of a list together. They end one after the other.
    fn by_list(&self, market: &Market, orders: Vec<Order>) -> Vec<Canceled> {
        let mut canceled: Vec<Canceled> = Vec::with_capacity(orders.len());
        for order in orders {
            let Some(id) = order.list() else {
                canceled.push(Canceled::Order(Box::new(order)));
                continue;
            };
            if let Some(Canceled::List(list)) = canceled.last_mut()
                && list.id == id
            {
                list.orders.push(order);
                list.orders.sort_unstable_by_key(|order| order.order);
                continue;
            }
            let known = self.read_model.market(market.symbol.as_str(), |data, _| data.order_list(id).cloned());
            canceled.push(Canceled::List(Box::new(ListReply { id, list: known.flatten(), orders: vec![order] })));
        }
        canceled
    }
}

/// The command that places the order, checked against all that needs neither book nor balance: first its parameters,
/// then its mode of self-trade prevention, then the market's filters.
///
/// # Errors
/// [`Error::Order`], or [`Error::Refused`] by the rules of admission.
pub fn check(request: &OrderRequest, sender: Identity, market: &Market) -> Result<NewOrder, Error> {
    let order = NewOrder { account: sender.account, terms: terms(request, check_fields(request)?, market)? };
    admission::check(&order.terms, market, Rules::NEWEST).map_err(Error::Refused)?;
    if market.status != MarketStatus::Trading {
        return Err(OrderError::MarketClosed.into());
    }
    Ok(order)
}

/// The terms of an order in the units of its market.
pub(crate) fn terms(request: &OrderRequest, size: Given, market: &Market) -> Result<OrderTerms, Error> {
    let &OrderRequest { side, order_type, .. } = request;
    let units = Units { market, order_type };
    units.check_precision(request)?;
    let self_trade_prevention = request.self_trade_prevention.in_market(market)?;
    let size = match size {
        Given::Quantity(quantity) => Size::Base(units.quantity(quantity)?),
        Given::Amount(amount) => Size::Quote(units.quote_amount(amount)?),
        Given::Later => Size::Base(Quantity::ZERO),
    };
    let &OrderRequest { strategy_id, strategy_type, .. } = request;
    let iceberg = request.iceberg_quantity.filter(|part| part.is_positive());
    let iceberg = iceberg.map(|part| market.quantity(part).ok_or(OrderError::Filter(Filter::LotSize))).transpose()?;
    let (trailing, peg) = (request.trailing_delta, request.peg);
    // The account's partition knows the trade group.
    let (list, trade_group) = (None, None);
    let instructions =
        Instructions { strategy_id, strategy_type, iceberg, list, trailing, peg, trade_group, discount: None };
    Ok(OrderTerms {
        symbol: market.id,
        client_order_id: given_or_made_up(request.client_order_id)?,
        side,
        order_type,
        time_in_force: request.time_in_force.unwrap_or(TimeInForce::Gtc),
        price: request.price.map(|price| units.price(price)).transpose()?,
        size,
        stop_price: request.stop_price.map(|price| units.price(price)).transpose()?.into(),
        self_trade_prevention,
        instructions: instructions.boxed(),
    })
}

pub(crate) fn given_or_made_up(given: Option<ClientOrderId>) -> Result<ClientOrderId, Error> {
    let made_up = || {
        let text = random_name(MADE_UP_CHARACTERS).map_err(|_| Error::Internal)?;
        ClientOrderId::new_checked(&text).map_err(|_| Error::Internal)
    };
    given.map_or_else(made_up, Ok)
}

/// Whether an order type has a field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Presence {
    Needed,
    Optional,
    Refused,
}

/// The size of an order, as it was given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Given {
    Quantity(Decimal),
    Amount(Decimal),
    /// It follows from what another order receives.
    Later,
}

/// Checks that an order has the fields of its type, and no others, in the order in which clients expect the errors.
/// Returns its size.
pub(crate) fn check_fields(request: &OrderRequest) -> Result<Given, OrderError> {
    use Presence::{Needed, Optional, Refused};
    let (time_in_force, quantity, quote, price, stop) = match request.order_type {
        OrderType::Limit => (Needed, Needed, Refused, Needed, Refused),
        OrderType::Market => (Refused, Optional, Optional, Refused, Refused),
        OrderType::LimitMaker => (Refused, Needed, Refused, Needed, Refused),
        OrderType::StopLoss | OrderType::TakeProfit => (Refused, Needed, Refused, Refused, Optional),
        OrderType::StopLossLimit | OrderType::TakeProfitLimit => (Needed, Needed, Refused, Needed, Optional),
    };
    let price = if request.peg.is_some() && price == Needed { Optional } else { price };
    let trailing = if stop == Optional { Optional } else { Refused };
    for (field, is_sent, presence) in [
        (Field::TimeInForce, request.time_in_force.is_some(), time_in_force),
        (Field::Quantity, request.quantity.is_some(), quantity),
        (Field::QuoteAmount, request.quote_amount.is_some(), quote),
        (Field::Price, request.price.is_some(), price),
        (Field::StopPrice, request.stop_price.is_some(), stop),
        (Field::TrailingDelta, request.trailing_delta.is_some(), trailing),
    ] {
        match presence {
            Needed if !is_sent => return Err(OrderError::Missing(field)),
            Refused if is_sent => return Err(OrderError::NotAllowed(field)),
            _ => {}
        }
    }
    if stop == Optional && request.stop_price.is_none() && request.trailing_delta.is_none() {
        return Err(OrderError::NeitherOf(Field::StopPrice, Field::TrailingDelta));
    }
    let may_hide = price != Refused && matches!(request.time_in_force, None | Some(TimeInForce::Gtc));
    if request.iceberg_quantity.is_some() && !may_hide {
        return Err(OrderError::NotAllowed(Field::IcebergQuantity));
    }
    match (request.quantity, request.quote_amount) {
        (Some(quantity), None) => Ok(Given::Quantity(quantity)),
        (None, Some(amount)) => Ok(Given::Amount(amount)),
        (Some(_), Some(_)) => Err(OrderError::NotAllowed(Field::QuoteAmount)),
        (None, None) => Err(OrderError::NoSize),
    }
}

/// Turns decimal numbers into the units of a market, for an order of that type.
struct Units<'a> {
    market: &'a Market,
    order_type: OrderType,
}

impl Units<'_> {
    /// Checks that no number has more digits than its asset, or its price.
    fn check_precision(&self, request: &OrderRequest) -> Result<(), OrderError> {
        let market = self.market;
        let of_prices = market.quote.decimals.max(market.tick_size.precision());
        for (field, number, precision_max) in [
            (Field::Quantity, request.quantity, market.base.decimals),
            (Field::QuoteAmount, request.quote_amount, market.quote.decimals),
            (Field::Price, request.price, of_prices),
            (Field::StopPrice, request.stop_price, of_prices),
            (Field::IcebergQuantity, request.iceberg_quantity, market.base.decimals),
        ] {
            if number.is_some_and(|number| number.precision() > precision_max) {
                return Err(OrderError::TooPrecise(field));
            }
        }
        Ok(())
    }

    fn quantity(&self, quantity: Decimal) -> Result<Quantity, OrderError> {
        let market = self.market;
        market.quantity(quantity).ok_or_else(|| {
            let at_market = !self.order_type.has_limit_price() && quantity.steps_of(market.step_size).is_some();
            OrderError::Filter(if at_market { Filter::MarketLotSize } else { Filter::LotSize })
        })
    }

    fn price(&self, price: Decimal) -> Result<Price, OrderError> {
        self.market.price(price).ok_or(OrderError::Filter(Filter::Price))
    }

    fn quote_amount(&self, amount: Decimal) -> Result<Amount, OrderError> {
        let units = amount.rescale(self.market.quote.decimals).filter(|&units| units <= Amount::MAX.0);
        units.map(Amount).ok_or(OrderError::Filter(Filter::Notional))
    }
}
