//! Every way in which the API says no: HTTP status, code and text. Clients match on codes and texts, so they are kept
//! to the letter.

use std::borrow::Cow;

use crossbook_protocol::Refusal;
use crossbook_types::Filter;
use http::StatusCode;
use serde_json::Value;

use crate::limits::OrderCount;

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
}

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
        const UNITS: [(u64, &str); 2] = [(24 * 60 * 60, "DAY"), (60, "MINUTE")];
        let seconds = millis.div_ceil(1_000);
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
        Self { status, code, message: message.into(), retry_after: None, orders: None }
    }

    /// The body of the answer.
    #[must_use]
    pub fn to_json(&self) -> String {
        format!(r#"{{"code":{},"msg":{}}}"#, self.code, Value::from(&*self.message))
    }

    /// -1003 with 429: over the request weight or the number of requests.
    #[must_use]
    pub fn too_much_weight(limit: u64, window: &str, retry_after: u64) -> Self {
        let message = format!(
            "Too much request weight used; current limit is {limit} request weight per {window}. Please use WebSocket Streams for live updates to avoid polling the API."
        );
        Self { retry_after: Some(retry_after), ..Self::with_status(StatusCode::TOO_MANY_REQUESTS, -1003, message) }
    }

    /// -1003 with 418: banned until a time in milliseconds.
    #[must_use]
    pub fn banned(until_millis: u64, retry_after: u64) -> Self {
        let message = format!(
            "Way too much request weight used; IP banned until {until_millis}. Please use WebSocket Streams for live updates to avoid bans."
        );
        Self { retry_after: Some(retry_after), ..Self::with_status(StatusCode::IM_A_TEAPOT, -1003, message) }
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

    /// -1015 with 429: too many orders.
    #[must_use]
    pub fn too_many_orders(limit: u64, window: &str, retry_after: u64, counted: OrderCount) -> Self {
        let message = format!("Too many new orders; current limit is {limit} orders per {window}.");
        let (retry_after, orders) = (Some(retry_after), Some(counted));
        Self { retry_after, orders, ..Self::with_status(StatusCode::TOO_MANY_REQUESTS, -1015, message) }
    }

    /// -1001: something here is broken.
    #[must_use]
    pub fn internal() -> Self {
        let message = "Internal error; unable to process your request. Please try again.";
        Self::with_status(StatusCode::INTERNAL_SERVER_ERROR, -1001, message)
    }

    /// -1007: the outcome is not known.
    #[must_use]
    pub fn timeout() -> Self {
        let message =
            "Timeout waiting for response from backend server. Send status unknown; execution status unknown.";
        Self::with_status(StatusCode::GATEWAY_TIMEOUT, -1007, message)
    }

    /// -1008: too much under way. Nothing was done.
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

    /// -1016: the venue is stopping. Nothing was done.
    #[must_use]
    pub fn shutting_down() -> Self {
        Self::with_status(StatusCode::SERVICE_UNAVAILABLE, -1016, "This service is no longer available.")
    }

    /// -1021: too old.
    #[must_use]
    pub fn outside_recv_window() -> Self {
        Self::bad_request(-1021, "Timestamp for this request is outside of the recvWindow.")
    }

    /// -1021: too far ahead.
    #[must_use]
    pub fn ahead_of_time() -> Self {
        Self::bad_request(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    }

    /// -1022: the signature is not valid.
    #[must_use]
    pub fn signature() -> Self {
        Self::bad_request(-1022, "Signature for this request is not valid.")
    }

    /// -2014: not the shape of an API key.
    #[must_use]
    pub fn key_format() -> Self {
        Self::with_status(StatusCode::UNAUTHORIZED, -2014, "API-key format invalid.")
    }

    /// -2015: no such key, or not from here, or not for this.
    #[must_use]
    pub fn key_rejected() -> Self {
        Self::with_status(StatusCode::UNAUTHORIZED, -2015, "Invalid API-key, IP, or permissions for action.")
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

    /// -1013 for a filter.
    #[must_use]
    pub fn filter(filter: Filter) -> Self {
        Self::bad_request(-1013, format!("Filter failure: {}", filter.as_str()))
    }

    /// -2010: the engine refused a new order.
    #[must_use]
    pub fn order_rejected(message: &'static str) -> Self {
        Self::bad_request(-2010, message)
    }

    /// -2011 for an order that is not open.
    #[must_use]
    pub fn unknown_order() -> Self {
        Self::bad_request(-2011, "Unknown order sent.")
    }

    /// -2013: there is no such order.
    #[must_use]
    pub fn no_such_order() -> Self {
        Self::bad_request(-2013, "Order does not exist.")
    }

    /// What a client is told when the engine refuses a new order or a cancel.
    #[must_use]
    pub fn from_refusal(refusal: Refusal) -> Self {
        match refusal {
            Refusal::UnknownSymbol => Self::symbol(),
            Refusal::UnknownOrder => Self::unknown_order(),
            // Nothing was done, and the same again may end the same way.
            Refusal::Skipped => Self::internal(),
            Refusal::Late => Self::outside_recv_window(),
            Refusal::CancelingAll => Self::bad_request(-2011, "A cancel of all open orders is under way."),
            Refusal::CancelRestricted => Self::bad_request(-2011, "Order was not canceled due to cancel restrictions."),
            // What there is can be cancelled.
            Refusal::MarketClosed(_) | Refusal::NumbersUsedUp => Self::order_rejected("Market is closed."),
            Refusal::Filter(filter) => Self::filter(filter),
            Refusal::SelfTradeMode => {
                Self::bad_request(-1013, "This symbol does not allow the specified self-trade prevention mode.")
            }
            Refusal::MalformedOrder => Self::bad_request(-1014, "Unsupported order combination."),
            Refusal::InsufficientBalance => {
                Self::order_rejected("Account has insufficient balance for requested action.")
            }
            Refusal::DuplicateClientOrderId => Self::order_rejected("Duplicate order sent."),
            Refusal::EmptyBook => Self::order_rejected("Order book liquidity is less than symbol minimum quantity."),
            Refusal::ThinBook => {
                Self::order_rejected("Order book liquidity is less than LOT_SIZE filter minimum quantity.")
            }
            Refusal::WouldTake => Self::order_rejected("Order would immediately match and take."),
            Refusal::WouldTrigger => Self::order_rejected("Order would trigger immediately."),
            // Both pass.
            Refusal::BookFull | Refusal::Importing => Self::busy(),
            Refusal::UnknownAccount => Self::key_rejected(),
            // The rest answers commands of the operator, which clients cannot send.
            _ => Self::internal(),
        }
    }
}

impl axum::response::IntoResponse for ApiError {
    fn into_response(self) -> axum::response::Response {
        let mut response = http::Response::new(axum::body::Body::from(self.to_json()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(JSON));
        if let Some(seconds) = self.retry_after {
            headers.insert(http::header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// A name from outside, fit to stand in a message.
fn printable(name: &str) -> String {
    name.chars().filter(|c| c.is_ascii_graphic()).take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_of_no_known_shape_has_its_documented_code() {
        let error = ApiError::from_refusal(Refusal::MalformedOrder);
        assert_eq!((error.status.as_u16(), error.code), (400, -1014));
        assert_eq!(error.message, "Unsupported order combination.");
    }

    #[test]
    fn a_book_that_has_too_little_has_its_documented_texts() {
        for (refusal, text) in [
            (Refusal::EmptyBook, "Order book liquidity is less than symbol minimum quantity."),
            (Refusal::ThinBook, "Order book liquidity is less than LOT_SIZE filter minimum quantity."),
        ] {
            let error = ApiError::from_refusal(refusal);
            assert_eq!((error.status.as_u16(), error.code, &*error.message), (400, -2010, text));
        }
    }
}
