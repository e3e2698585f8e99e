//! Orders as clients ask for them, and the part of an order that never changes: its terms.
//!
//! [`OrderTerms`] is the one description of an order. The command that places it ([`NewOrder`]), the event of its
//! acceptance ([`OrderPlaced`](crate::event::OrderPlaced)) and the order in the read model hold it, each beside what it
//! adds. A new property of orders is a field of it; the compiler then names the three places that write it as bytes.

use crossbook_types::{
    AccountId, Amount, AssetId, CancelRestriction, ClientOrderId, DiscountRates, HoldId, OptionalPrice, OrderId,
    OrderListId, OrderType, Peg, Price, Quantity, SelfTradePrevention, Side, StrategyId, StrategyType, SymbolId,
    TimeInForce, TradeGroupId, TrailingDelta,
};

/// What a client asks of an order. It stays as it is from the request to the end of the order.
///
/// The account is not in it: it is the sender's, and lies beside it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OrderTerms {
    /// The market.
    pub symbol: SymbolId,
    /// The client order id. The gateway generates one if the client sends none.
    pub client_order_id: ClientOrderId,
    /// Buy or sell.
    pub side: Side,
    /// The order type.
    pub order_type: OrderType,
    /// The time in force; [`TimeInForce::Gtc`] for types that have none.
    pub time_in_force: TimeInForce,
    /// The limit price, for types that have one.
    pub price: Option<Price>,
    /// The quantity or quote amount.
    pub size: Size,
    /// The stop price, for types that have one.
    pub stop_price: OptionalPrice,
    /// What happens when it would trade with another order of the same account.
    pub self_trade_prevention: SelfTradePrevention,
    /// What only few orders ask for; `None` if nothing of it. It is elsewhere in memory so that it costs the others
    /// nothing but the pointer.
    pub instructions: Option<Box<Instructions>>,
}

impl OrderTerms {
    /// Of an iceberg order: how much of it shows at a time.
    #[must_use]
    pub fn iceberg(&self) -> Option<Quantity> {
        self.instructions.as_ref().and_then(|instructions| instructions.iceberg)
    }

    /// The order list that the order belongs to, if it belongs to one.
    #[must_use]
    #[inline]
    pub fn list(&self) -> Option<Membership> {
        self.instructions.as_ref().and_then(|instructions| instructions.list)
    }

    /// Of a trailing stop: how far the price has to come back to trigger it.
    #[must_use]
    pub fn trailing(&self) -> Option<TrailingDelta> {
        self.instructions.as_ref().and_then(|instructions| instructions.trailing)
    }

    /// Of a pegged order: where its price comes from.
    #[must_use]
    pub fn peg(&self) -> Option<Peg> {
        self.instructions.as_ref().and_then(|instructions| instructions.peg)
    }

    /// The limit price that it names and that counts: a pegged order gets another one.
    #[must_use]
    #[inline]
    pub fn limit(&self) -> Option<Price> {
        self.price.filter(|_| self.instructions.is_none() || self.peg().is_none())
    }

    /// Whether it waits before it works.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.stop_price.is_some() || self.trailing().is_some()
    }

    /// The trade group of the order.
    #[must_use]
    #[inline]
    pub fn trade_group(&self) -> Option<TradeGroupId> {
        self.instructions.as_ref().and_then(|instructions| instructions.trade_group)
    }

    /// What pays its fees in the asset of the discount.
    #[must_use]
    #[inline]
    pub fn discount(&self) -> Option<OrderDiscount> {
        self.instructions.as_ref().and_then(|instructions| instructions.discount)
    }

    /// The same of an order whose fees are paid so.
    #[must_use]
    #[cold]
    pub fn with_discount(&self, discount: Option<OrderDiscount>) -> Self {
        let instructions = self.instructions.as_deref().copied().unwrap_or_default();
        Self { instructions: Instructions { discount, ..instructions }.boxed(), ..self.clone() }
    }

    /// The same of an order of that trade group.
    #[must_use]
    #[cold]
    pub fn in_trade_group(&self, trade_group: Option<TradeGroupId>) -> Self {
        let instructions = self.instructions.as_deref().copied().unwrap_or_default();
        Self { instructions: Instructions { trade_group, ..instructions }.boxed(), ..self.clone() }
    }
}

/// What only few orders ask for. A new instruction is a field of it and a line in its wire form; commands, events, the
/// read model and the history carry all of them together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Instructions {
    /// The client's number for the strategy that the order is part of. The venue only shows it.
    pub strategy_id: Option<StrategyId>,
    /// The client's number for the kind of that strategy. The venue only shows it.
    pub strategy_type: Option<StrategyType>,
    /// An iceberg order: how much of it shows in the book at a time; above zero. The rest is hidden behind it.
    pub iceberg: Option<Quantity>,
    /// The trade group of the order. Not the client says it: the account's partition sets it when it takes the order,
    /// to that of the account, and so the market's partition knows it.
    pub trade_group: Option<TradeGroupId>,
    /// A trailing stop: how far the price has to come back to trigger it. Its stop price, if it has one, is where it
    /// begins to trail.
    pub trailing: Option<TrailingDelta>,
    /// A pegged order: where its price comes from. A price that it names besides is only checked.
    pub peg: Option<Peg>,
    /// The order list that it belongs to.
    pub list: Option<Membership>,
    /// That its fees are paid in an asset in which they are less. Not the client says it: the account's partition sets
    /// it when it takes the order. The market's partition tells of it with an event of its own.
    pub discount: Option<OrderDiscount>,
}

/// What pays the fees of an order in the asset of the discount; one of its [`Instructions`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OrderDiscount {
    /// The asset.
    pub asset: AssetId,
    /// What holds some of it for the fees.
    pub hold: HoldId,
    /// How much it holds. A trade whose fee is more than what is left of it pays the ordinary fee.
    pub held: Amount,
    /// What it is charged.
    pub rates: DiscountRates,
}

/// That an order belongs to a list; one of its [`Instructions`]. The market writes it, and no request has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Membership {
    /// The list.
    pub list: OrderListId,
    /// Whether it was accepted as pending, to be placed when the working order is filled.
    pub pending: bool,
}

impl Instructions {
    /// These instructions as orders have them; `None` if there are none.
    #[must_use]
    pub fn boxed(self) -> Option<Box<Self>> {
        (self != Self::default()).then(|| Box::new(self))
    }
}

/// A new order. See [`Body::Place`](crate::Body::Place).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewOrder {
    /// The account that places it.
    pub account: AccountId,
    /// What it asks for.
    pub terms: OrderTerms,
}

impl NewOrder {
    /// The same as an order of that trade group.
    #[must_use]
    #[cold]
    pub fn in_trade_group(&self, trade_group: Option<TradeGroupId>) -> Box<Self> {
        Box::new(Self { account: self.account, terms: self.terms.in_trade_group(trade_group) })
    }
}

/// How much an order is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Size {
    /// So many lots of the base asset.
    Base(Quantity),
    /// As many lots as this amount of the quote asset buys, or as sell for at most this amount. Market orders only.
    Quote(Amount),
}

/// A request to cancel an order. See [`Body::Cancel`](crate::Body::Cancel).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CancelOrder {
    /// The account that the order belongs to.
    pub account: AccountId,
    /// The market.
    pub symbol: SymbolId,
    /// Which order.
    pub target: Target,
    /// The client order id of this cancel, shown in its report.
    pub cancel_id: ClientOrderId,
    /// Only if this is true of the order when the cancel reaches it.
    pub restriction: Option<CancelRestriction>,
}

/// How a client names one of its orders.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// By its order id.
    Order(OrderId),
    /// By its client order id.
    Client(ClientOrderId),
    /// By both, which must be of the same order.
    Both(OrderId, ClientOrderId),
}

/// A request to cancel all open orders of an account in a market. See [`Body::CancelAll`](crate::Body::CancelAll).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CancelAll {
    /// The account.
    pub account: AccountId,
    /// The market.
    pub symbol: SymbolId,
    /// The client order id of this cancel, shown in the reports.
    pub cancel_id: ClientOrderId,
}

/// A request to lower the quantity of an open order. See [`Body::Amend`](crate::Body::Amend).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AmendOrder {
    /// The account that the order belongs to.
    pub account: AccountId,
    /// The market.
    pub symbol: SymbolId,
    /// Which order.
    pub target: Target,
    /// The quantity that the order is to have, with what of it has traded.
    pub quantity: Quantity,
    /// The quantity that it has, as its [`OrderPlaced`](crate::event::OrderPlaced) says. A market keeps only what is
    /// left of an order; once an order was amended, the market knows its quantity and does not look at this. Who says
    /// something else gets another quantity than it asked for, and no more.
    pub placed: Quantity,
    /// Its client order id from then on; it may be the one that it has.
    pub client_order_id: ClientOrderId,
}

/// A request to cancel an order and to place another. See [`Body::Replace`](crate::Body::Replace).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReplaceOrder {
    /// The order to be placed. Account and market are those of both.
    pub order: NewOrder,
    /// The order to be cancelled.
    pub target: Target,
    /// The client order id of the cancel, shown in its report.
    pub cancel_id: ClientOrderId,
    /// Only if this is true of the order to be cancelled when the cancel reaches it.
    pub restriction: Option<CancelRestriction>,
    /// Whether the new order is placed even if the other cannot be cancelled.
    pub allow_failure: bool,
}
