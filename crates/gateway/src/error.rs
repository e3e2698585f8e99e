//! Why the gateway refuses a request. A codec turns these into the codes and texts of its API.

use crossbook_protocol::Refusal;
use crossbook_types::Filter;

use crate::auth::{AuthError, StampError};
use crate::limits::LimitError;

/// Why a request has no result. Unless it is [`Error::OutcomeUnknown`], nothing was done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Error {
    /// Too many requests are in flight, or a required partition does not answer.
    #[error("the venue is busy; try again later")]
    Busy,
    /// The venue is stopping.
    #[error("the venue is stopping; connect to another gateway, or again later")]
    Stopping,
    /// The venue moves, or has moved, elsewhere.
    #[error("the venue is closed, because it moves; ask its operator for the new address")]
    Closed,
    /// The time until which the request was valid passed before a partition took it.
    #[error("the request's deadline had passed when it arrived")]
    Late,
    /// No outcome arrived in time. The command may still take effect.
    #[error("no outcome arrived in time; query the order's state before sending it again")]
    OutcomeUnknown,
    /// Something is broken here.
    #[error("internal error; try again")]
    Internal,
    /// The history did not answer.
    #[error("the history does not answer; try again")]
    HistoryFailed,
    /// The client asks for too much.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// The sender is not known or may not do this.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// The request's timestamp is outside its window.
    #[error(transparent)]
    Stamp(#[from] StampError),
    /// The venue's rules refuse the command.
    #[error("{0}")]
    Refused(Refusal),
    /// An order cannot be read in the terms of its market.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// There is no such market.
    #[error("there is no such market")]
    UnknownSymbol,
    /// Memory has dropped the beginning of the period, and there is no history that has it.
    #[error("nothing has all trades of that period; ask for a shorter one")]
    PeriodForgotten,
    /// The account has no such order.
    #[error("the account has no such order")]
    NoSuchOrder,
    /// The account has no such order list, or none that is remembered.
    #[error("the account has no such order list")]
    NoSuchList,
    /// The order has another client order id than the one that was sent with its number.
    #[error("the order with that id has another client order id")]
    OtherClientOrderId,
}

/// What is wrong with a new order before its book and its balance are looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum OrderError {
    /// Orders of this type need that field.
    #[error("orders of this type need {0:?}")]
    Missing(Field),
    /// Orders of this type do not have that field.
    #[error("orders of this type have no {0:?}")]
    NotAllowed(Field),
    /// The order needs one of the two fields.
    #[error("orders of this type need {0:?} or {1:?}")]
    NeitherOf(Field, Field),
    /// The order has neither a quantity nor a quote amount.
    #[error("the order needs a quantity or a quote amount")]
    NoSize,
    /// The number has more decimals than the asset.
    #[error("{0:?} has more decimals than its asset")]
    TooPrecise(Field),
    /// The number is outside what a filter of the market allows.
    #[error("the market's filter {0:?} does not allow the order")]
    Filter(Filter),
    /// The market takes no orders.
    #[error("the market is closed")]
    MarketClosed,
}

/// A field of a new order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Field {
    /// How long the order is good.
    TimeInForce,
    /// The quantity, in the base asset.
    Quantity,
    /// The amount to trade for, in the quote asset.
    QuoteAmount,
    /// The limit price.
    Price,
    /// The price that triggers the order.
    StopPrice,
    /// How much of an iceberg order shows.
    IcebergQuantity,
    /// How far the price has to come back to trigger the order.
    TrailingDelta,
}
