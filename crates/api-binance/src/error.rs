//! The errors of this API: HTTP status, code and text. Clients match on codes and texts, so they are those of Binance
//! to the letter. `From<Error> for ApiError`, and the functions that it calls, map the gateway's errors.

use std::borrow::Cow;

use axum::body::Body;
use crossbook_gateway::Error;
use crossbook_gateway::auth::{AuthError, StampError};
use crossbook_gateway::error::{Field, OrderError};
use crossbook_gateway::limits::{LimitError, OrderCount};
use crossbook_http::RequestError;
use crossbook_protocol::Refusal;
use crossbook_types::{Feature, Filter};
use http::{Response, StatusCode};
use serde_json::Value;

/// An error as a client gets it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ApiError {
    /// The HTTP status.
    pub status: StatusCode,
    /// The code.
    pub code: i32,
    /// The text.
    pub message: Cow<'static, str>,
    /// Seconds after which to try again, for the header `Retry-After`.
    pub retry_after: Option<u64>,
    /// The account's order counts, where they are the reason.
    pub orders: Option<OrderCount>,
    /// What more there is to say, as JSON.
    pub data: Option<String>,
}

/// The code of an error after which the command may still take effect.
pub const OUTCOME_UNKNOWN: i32 = -1007;
/// The content type of all answers.
pub const JSON: &str = "application/json;charset=UTF-8";
/// The characters a client's own order name may have.
pub const CLIENT_ORDER_ID_RANGE: &str = "^[a-zA-Z0-9-_]{1,36}$";
/// The shape of a decimal number.
pub const DECIMAL_RANGE: &str = "^([0-9]{1,20})(\\.[0-9]{1,20})?$";
/// The shape of a whole number.
pub const INTEGER_RANGE: &str = "^[0-9]{1,20}$";
/// The shape of a market's name.
pub const SYMBOL_RANGE: &str = r"^[\w\-._&&[^a-z]]{1,50}$";
/// The shape of a list of markets' names.
pub const SYMBOLS_RANGE: &str = r#"^\[("[\w\-._&&[^a-z]]{1,50}"(,"[\w\-._&&[^a-z]]{1,50}"){0,}){0,1}\]$"#;

/// Over how long a limit counts, in the words of the API.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RateInterval {
    /// How many.
    pub count: u64,
    /// Of what: SECOND, MINUTE or DAY.
    pub unit: &'static str,
}

impl RateInterval {
    /// An interval of so many milliseconds, rounded up to whole seconds.
    #[must_use]
    pub fn of_millis(millis: u64) -> Self {
        Self::of_seconds(millis.div_ceil(1_000))
    }

    /// An interval of so many seconds.
    #[must_use]
    pub fn of_seconds(seconds: u64) -> Self {
        const UNITS: [(u64, &str); 2] = [(24 * 60 * 60, "DAY"), (60, "MINUTE")];
        let whole = UNITS.into_iter().find(|(length, _)| seconds >= *length && seconds.is_multiple_of(*length));
        let (length, unit) = whole.unwrap_or((1, "SECOND"));
        Self { count: seconds / length, unit }
    }
}

impl std::fmt::Display for RateInterval {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.count, self.unit)
    }
}

impl ApiError {
    /// An error with status 400.
    pub fn bad_request(code: i32, message: impl Into<Cow<'static, str>>) -> Self {
        Self::with_status(StatusCode::BAD_REQUEST, code, message)
    }

    /// An error with any status.
    pub fn with_status(status: StatusCode, code: i32, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, message: message.into(), retry_after: None, orders: None, data: None }
    }

    /// The body of the answer.
    #[must_use]
    pub fn to_json(&self) -> String {
        let (code, message) = (self.code, Value::from(&*self.message));
        match &self.data {
            None => format!(r#"{{"code":{code},"msg":{message}}}"#),
            Some(data) => format!(r#"{{"code":{code},"msg":{message},"data":{data}}}"#),
        }
    }

    /// -1034 with 429: too many connections at once.
    #[must_use]
    pub fn too_many_connections(limit: usize, retry_after: u64) -> Self {
        let message = format!("Too many concurrent connections; current limit is '{limit}'.");
        Self { retry_after: Some(retry_after), ..Self::with_status(StatusCode::TOO_MANY_REQUESTS, -1034, message) }
    }

    /// -1034 with 429: an address has opened too many connections within `window`.
    #[must_use]
    pub fn too_many_attempts(limit: u32, window: RateInterval, retry_after: u64) -> Self {
        let message = format!("Too many connection attempts from IP; current limit is {limit} per '{window}'.");
        Self { retry_after: Some(retry_after), ..Self::with_status(StatusCode::TOO_MANY_REQUESTS, -1034, message) }
    }

    /// -1001: something here is broken.
    #[must_use]
    pub fn internal() -> Self {
        let message = "Internal error; unable to process your request. Please try again.";
        Self::with_status(StatusCode::INTERNAL_SERVER_ERROR, -1001, message)
    }

    /// -1008: overload. The request was not executed.
    #[must_use]
    pub fn busy() -> Self {
        let message = "Server is currently overloaded with other requests. Please try again in a few minutes.";
        Self::with_status(StatusCode::SERVICE_UNAVAILABLE, -1008, message)
    }

    /// -1008: the venue is not up yet. Nothing was done.
    #[must_use]
    pub fn starting() -> Self {
        let message = "The venue is starting; /readyz says how far it is. Nothing was done.";
        Self::with_status(StatusCode::SERVICE_UNAVAILABLE, -1008, message)
    }

    /// -1008: the venue moves, or has moved, elsewhere. Nothing was done.
    #[must_use]
    pub fn closed() -> Self {
        let message = "The venue is closed, because it moves; ask its operator for the new address. Nothing was done.";
        Self::with_status(StatusCode::SERVICE_UNAVAILABLE, -1008, message)
    }

    /// -1016: the venue is stopping. Nothing was done.
    #[must_use]
    pub fn shutting_down() -> Self {
        Self::with_status(StatusCode::SERVICE_UNAVAILABLE, -1016, "This service is no longer available.")
    }

    /// -2014: not the shape of an API key.
    #[must_use]
    pub fn key_format() -> Self {
        Self::with_status(StatusCode::UNAUTHORIZED, -2014, "API-key format invalid.")
    }

    /// -1100: a parameter has illegal characters.
    #[must_use]
    pub fn illegal_characters(name: &str, range: &str) -> Self {
        let message = format!("Illegal characters found in parameter '{name}'; legal range is '{range}'.");
        Self::bad_request(-1100, message)
    }

    /// -1101: more than the operation has.
    #[must_use]
    pub fn too_many_parameters(expected: usize, received: usize) -> Self {
        Self::bad_request(-1101, format!("Too many parameters; expected '{expected}' and received '{received}'."))
    }

    /// -1101: a list with more entries than one request may have.
    #[must_use]
    pub fn too_many_values(name: &str, max: usize) -> Self {
        Self::bad_request(-1101, format!("Too many values sent for parameter '{name}', maximum allowed up to {max}."))
    }

    /// -1101: one sent twice.
    #[must_use]
    pub fn duplicate_parameter(name: &str) -> Self {
        Self::bad_request(-1101, format!("Duplicate values for parameter '{}' detected.", printable(name)))
    }

    /// -1102: a mandatory parameter is missing.
    #[must_use]
    pub fn mandatory(name: &str) -> Self {
        Self::bad_request(-1102, format!("Mandatory parameter '{name}' was not sent, was empty/null, or malformed."))
    }

    /// -1102 for two of which one is needed.
    #[must_use]
    pub fn mandatory_either(one: &str, other: &str) -> Self {
        Self::bad_request(-1102, format!("Param '{one}' or '{other}' must be sent, but both were empty/null!"))
    }

    /// -1104: parameters that the operation does not have.
    #[must_use]
    pub fn unread(read: usize, sent: usize) -> Self {
        let message = format!("Not all sent parameters were read; read '{read}' parameter(s) but was sent '{sent}'.");
        Self::bad_request(-1104, message)
    }

    /// -1105: a parameter has no value.
    #[must_use]
    pub fn empty(name: &str) -> Self {
        Self::bad_request(-1105, format!("Parameter '{name}' was empty."))
    }

    /// -1106: a parameter that this type of order does not have.
    #[must_use]
    pub fn not_required(name: &str) -> Self {
        Self::bad_request(-1106, format!("Parameter '{name}' sent when not required."))
    }

    /// -1108: a number is too large.
    #[must_use]
    pub fn overflow(name: &str) -> Self {
        Self::bad_request(-1108, format!("Parameter '{name}' overflowed."))
    }

    /// -1210: a price that no order is pegged to.
    #[must_use]
    pub fn peg_price() -> Self {
        Self::bad_request(-1210, "Invalid pegPriceType.")
    }

    /// -1211: a kind of offset that a pegged order cannot have.
    #[must_use]
    pub fn peg_offset() -> Self {
        Self::bad_request(-1211, "Invalid pegOffsetType.")
    }

    /// -1128: parameters that belong together were not sent together.
    #[must_use]
    pub fn incomplete(names: &str) -> Self {
        Self::bad_request(-1128, format!("Fields [{names}] must be sent together or omitted entirely."))
    }

    /// -1134: a client's number for a kind of strategy is one of the venue's own.
    #[must_use]
    pub fn strategy_type() -> Self {
        Self::bad_request(-1134, "`strategyType` was less than 1000000.")
    }

    /// -1111: a number has too many decimals.
    #[must_use]
    pub fn precision(name: &str) -> Self {
        Self::bad_request(-1111, format!("Parameter '{name}' has too much precision."))
    }

    /// -1121: there is no such symbol.
    #[must_use]
    pub fn symbol() -> Self {
        Self::bad_request(-1121, "Invalid symbol.")
    }

    /// -1128: an unsupported combination of optional parameters.
    #[must_use]
    pub fn combination() -> Self {
        Self::bad_request(-1128, "Combination of optional parameters invalid.")
    }

    /// -1130: the value of a parameter is not valid.
    #[must_use]
    pub fn invalid(name: &str) -> Self {
        Self::bad_request(-1130, format!("Data sent for parameter '{name}' is not valid."))
    }
}

/// What the gateway's errors are to clients of this API: HTTP status, code and text, all in this one table.
impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        match error {
            Error::Busy => Self::busy(),
            Error::Closed => Self::closed(),
            Error::Stopping => Self::shutting_down(),
            Error::Internal | Error::HistoryFailed => Self::internal(),
            Error::OutcomeUnknown => Self::with_status(
                StatusCode::GATEWAY_TIMEOUT,
                OUTCOME_UNKNOWN,
                "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
            ),
            Error::Late | Error::Stamp(StampError::Expired) => {
                Self::bad_request(-1021, "Timestamp for this request is outside of the recvWindow.")
            }
            Error::Stamp(StampError::Ahead) => {
                Self::bad_request(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
            }
            Error::Auth(AuthError::KeyFormat) => Self::key_format(),
            Error::Auth(AuthError::KeyRejected) => {
                let message = "Invalid API-key, IP, or permissions for action.";
                Self::with_status(StatusCode::UNAUTHORIZED, -2015, message)
            }
            Error::Auth(AuthError::Signature) => Self::bad_request(-1022, "Signature for this request is not valid."),
            Error::Auth(AuthError::Unusable) => Self::internal(),
            Error::UnknownSymbol => Self::symbol(),
            Error::PeriodForgotten => {
                Self::bad_request(-2016, "No trading window could be found for the symbol. Try ticker/24hrs instead.")
            }
            Error::NoSuchOrder => Self::bad_request(-2013, "Order does not exist."),
            Error::NoSuchList => Self::bad_request(-2013, "Order list does not exist."),
            Error::OtherClientOrderId => Self::bad_request(-2039, "Client order ID is not correct for this order ID."),
            Error::Limit(error) => of_limit(error),
            Error::Order(error) => of_order(error),
            Error::Refused(refusal) => of_refusal(refusal),
        }
    }
}

/// -1003 and -1015: a client asks for too much.
fn of_limit(error: LimitError) -> ApiError {
    let window = |seconds: u64| RateInterval::of_seconds(seconds);
    match error {
        LimitError::Requests { limit, window_seconds, retry_after } => {
            let message = format!(
                "Too much request weight used; current limit is {limit} request weight per {}. Please use WebSocket \
                 Streams for live updates to avoid polling the API.",
                window(window_seconds)
            );
            let error = ApiError::with_status(StatusCode::TOO_MANY_REQUESTS, -1003, message);
            ApiError { retry_after: Some(retry_after), ..error }
        }
        LimitError::Banned { until, retry_after } => {
            let message = format!(
                "Way too much request weight used; IP banned until {}. Please use WebSocket Streams for live updates \
                 to avoid bans.",
                until.millis()
            );
            let error = ApiError::with_status(StatusCode::IM_A_TEAPOT, -1003, message);
            ApiError { retry_after: Some(retry_after), ..error }
        }
        LimitError::Orders { limit, window_seconds, retry_after, counted } => {
            let message =
                format!("Too many new orders; current limit is {limit} orders per {}.", window(window_seconds));
            let error = ApiError::with_status(StatusCode::TOO_MANY_REQUESTS, -1015, message);
            ApiError { retry_after: Some(retry_after), orders: Some(counted), ..error }
        }
    }
}

/// An order that is wrong before its book and its balance are looked at.
fn of_order(error: OrderError) -> ApiError {
    let parameter = |field: Field| match field {
        Field::TimeInForce => "timeInForce",
        Field::Quantity => "quantity",
        Field::QuoteAmount => "quoteOrderQty",
        Field::Price => "price",
        Field::StopPrice => "stopPrice",
        Field::IcebergQuantity => "icebergQty",
        Field::TrailingDelta => "trailingDelta",
    };
    match error {
        OrderError::Missing(field) => ApiError::mandatory(parameter(field)),
        OrderError::NotAllowed(field) => ApiError::not_required(parameter(field)),
        OrderError::NeitherOf(one, other) => ApiError::mandatory_either(parameter(one), parameter(other)),
        OrderError::NoSize => ApiError::mandatory_either("quantity", "quoteOrderQty"),
        OrderError::TooPrecise(field) => ApiError::precision(parameter(field)),
        OrderError::Filter(filter) => of_filter(filter),
        OrderError::MarketClosed => ApiError::bad_request(-2010, "Market is closed."),
    }
}

/// -1013: a number outside what a filter allows.
fn of_filter(filter: Filter) -> ApiError {
    ApiError::bad_request(-1013, format!("Filter failure: {}", filter.as_str()))
}

/// -2010, -2011 and others: the venue's rules refuse a new order or a cancel.
fn of_refusal(refusal: Refusal) -> ApiError {
    let rejected = |message: &'static str| ApiError::bad_request(-2010, message);
    match refusal {
        Refusal::UnknownSymbol => ApiError::symbol(),
        Refusal::UnknownOrder => ApiError::bad_request(-2011, "Unknown order sent."),
        Refusal::CancelingAll => ApiError::bad_request(-2011, "A cancel of all open orders is under way."),
        Refusal::CancelRestricted => ApiError::bad_request(-2011, "Order was not canceled due to cancel restrictions."),
        Refusal::Late => Error::Late.into(),
        // There is still something that can be cancelled.
        Refusal::MarketClosed(_) | Refusal::NumbersUsedUp => rejected("Market is closed."),
        Refusal::NotInAuction => rejected("The symbol collects orders for an auction; it takes orders that may rest."),
        Refusal::AuctionMatching => ApiError::bad_request(-2011, "An auction is being matched; try again."),
        Refusal::InsufficientBalance => rejected("Account has insufficient balance for requested action."),
        Refusal::DuplicateClientOrderId => rejected("Duplicate order sent."),
        Refusal::EmptyBook => rejected("Order book liquidity is less than symbol minimum quantity."),
        Refusal::ThinBook => rejected("Order book liquidity is less than LOT_SIZE filter minimum quantity."),
        Refusal::WouldTake => rejected("Order would immediately match and take."),
        Refusal::WouldTrigger => rejected("Order would trigger immediately."),
        Refusal::Filter(filter) => of_filter(filter),
        Refusal::SelfTradeMode => {
            ApiError::bad_request(-1013, "This symbol does not allow the specified self-trade prevention mode.")
        }
        Refusal::Unsupported(Feature::Iceberg) => rejected("Iceberg orders are not supported for this symbol."),
        Refusal::Unsupported(Feature::TrailingStop) => {
            rejected("Trailing stop orders are not supported for this symbol.")
        }
        Refusal::Unsupported(Feature::Pegged) => rejected("Pegged orders are not supported for this symbol."),
        Refusal::PegType => rejected("This order type may not use pegged price."),
        Refusal::PegPrice => rejected("This price peg cannot be used with this order type."),
        Refusal::ThinForPeg => rejected("Order book liquidity is too low for this pegged order."),
        Refusal::IcebergTooLarge => rejected("IcebergQty exceeds QTY."),
        Refusal::ListPrices => rejected("The relationship of the prices for the orders is not correct."),
        Refusal::ListWithoutPrice => rejected("Unsupported order combination"),
        Refusal::NoOrderLists => rejected("OCO orders are not supported for this symbol"),
        Refusal::AccountFrozen => {
            rejected("This action is disabled on this account. Ask the operator of the venue to unfreeze it.")
        }
        Refusal::RulesTooOld => rejected("The venue does not take such requests yet."),
        Refusal::TooManyCountdowns => ApiError::bad_request(-1013, "Too many countdowns; take some back."),
        Refusal::MalformedOrder => ApiError::bad_request(-1014, "Unsupported order combination."),
        // Both pass.
        Refusal::BookFull | Refusal::Importing => ApiError::busy(),
        Refusal::UnknownAccount => Error::Auth(AuthError::KeyRejected).into(),
        // `Skipped`: nothing was done, and the same again may end the same way. The others answer commands of the
        // operator, which clients cannot send.
        _ => ApiError::internal(),
    }
}

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        Error::Auth(error).into()
    }
}

impl From<StampError> for ApiError {
    fn from(error: StampError) -> Self {
        Error::Stamp(error).into()
    }
}

impl From<LimitError> for ApiError {
    fn from(error: LimitError) -> Self {
        Error::Limit(error).into()
    }
}

/// -1000: what is wrong with the request as HTTP.
impl From<RequestError> for ApiError {
    fn from(error: RequestError) -> Self {
        Self::with_status(error.status(), -1000, error.to_string())
    }
}

/// An error as an answer over HTTP.
#[must_use]
pub fn respond(error: &ApiError) -> Response<Body> {
    let mut response = crossbook_http::server::respond(JSON, error.to_json());
    *response.status_mut() = error.status;
    if let Some(seconds) = error.retry_after {
        response.headers_mut().insert(http::header::RETRY_AFTER, seconds.into());
    }
    response
}

/// A name from outside, fit to stand in a message.
fn printable(name: &str) -> String {
    name.chars().filter(|c| c.is_ascii_graphic()).take(40).collect()
}

#[cfg(test)]
mod tests {
    use crossbook_types::Timestamp;

    use super::*;

    #[test]
    fn an_order_of_no_known_shape_has_its_documented_code() {
        let error = ApiError::from(Error::Refused(Refusal::MalformedOrder));
        assert_eq!((error.status.as_u16(), error.code), (400, -1014));
        assert_eq!(error.message, "Unsupported order combination.");
    }

    #[test]
    fn an_outcome_that_is_unknown_is_told_as_such() {
        let error = ApiError::from(Error::OutcomeUnknown);
        assert_eq!((error.status.as_u16(), error.code), (504, -1007));
        assert!(error.message.contains("execution status unknown"), "{}", error.message);
    }

    #[test]
    fn a_book_that_has_too_little_has_its_documented_texts() {
        for (refusal, text) in [
            (Refusal::EmptyBook, "Order book liquidity is less than symbol minimum quantity."),
            (Refusal::ThinBook, "Order book liquidity is less than LOT_SIZE filter minimum quantity."),
        ] {
            let error = ApiError::from(Error::Refused(refusal));
            assert_eq!((error.status.as_u16(), error.code, &*error.message), (400, -2010, text));
        }
    }

    #[test]
    fn limits_say_what_the_limit_is_and_when_to_come_back() {
        let requests = |limit, window_seconds| LimitError::Requests { limit, window_seconds, retry_after: 40 };
        let over = ApiError::from(requests(10, 60));
        assert_eq!((over.status.as_u16(), over.code, over.retry_after), (429, -1003, Some(40)));
        let text = "Too much request weight used; current limit is 10 request weight per 1 MINUTE.";
        assert!(over.message.starts_with(text), "{}", over.message);
        assert!(ApiError::from(requests(9, 300)).message.contains("9 request weight per 5 MINUTE."));
        let banned = ApiError::from(LimitError::Banned { until: Timestamp(120_000_000), retry_after: 7 });
        assert_eq!((banned.status.as_u16(), banned.code, banned.retry_after), (418, -1003, Some(7)));
        assert!(banned.message.contains("IP banned until 120000."), "{}", banned.message);
        let counted = OrderCount { short: 2, day: 3 };
        for (window_seconds, window) in [(10, "10 SECOND"), (86_400, "1 DAY")] {
            let over = ApiError::from(LimitError::Orders { limit: 2, window_seconds, retry_after: 9, counted });
            assert_eq!((over.status.as_u16(), over.code, over.retry_after), (429, -1015, Some(9)));
            assert_eq!(over.message, format!("Too many new orders; current limit is 2 orders per {window}."));
            assert_eq!(over.orders, Some(counted));
        }
    }
}
