//! The errors of the admin API: HTTP status, code and text.

use std::borrow::Cow;

use axum::body::Body;
use crossbook_gateway::Error;
use crossbook_http::RequestError;
use crossbook_http::server::respond;
use crossbook_protocol::Refusal;
use http::{Response, StatusCode};
use serde_json::json;

use crate::roles::Role;

/// The content type of all answers.
pub(crate) const JSON: &str = "application/json;charset=UTF-8";

/// An error as the operator gets it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{code}: {message}")]
pub(crate) struct AdminError {
    /// The HTTP status.
    pub(crate) status: StatusCode,
    /// The code; those of the client API, where it has the same error.
    pub(crate) code: i32,
    /// The text.
    pub(crate) message: Cow<'static, str>,
}

impl AdminError {
    fn new(status: StatusCode, code: i32, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, message: message.into() }
    }

    /// Something here is broken.
    pub(crate) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, -1001, "Internal error; the log of the process says more.")
    }

    /// No token, or a wrong one.
    pub(crate) fn unauthorized() -> Self {
        let message = "Send the header `Authorization: Bearer <token>` with the operator's token.";
        Self::new(StatusCode::UNAUTHORIZED, -1002, message)
    }

    /// The operator's role does not suffice.
    pub(crate) fn forbidden(role: Role, least: Role) -> Self {
        let message = format!("This takes the role {least}; you have the role {role}. Nothing was done.");
        Self::new(StatusCode::FORBIDDEN, -1002, message)
    }

    /// The venue is not up yet.
    pub(crate) fn starting() -> Self {
        let message = "The venue is starting; /readyz says how far it is. Nothing was done.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, -1008, message)
    }

    /// The venue is stopping.
    pub(crate) fn stopping() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, -1016, "The venue is stopping. Nothing was done.")
    }

    /// A field is missing or malformed, or the venue refuses its value.
    pub(crate) fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, -1130, message)
    }

    /// There is no such thing.
    pub(crate) fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, -1020, message)
    }

    /// Whether there is no open order of that description.
    pub(crate) fn is_unknown_order(&self) -> bool {
        self.message == Refusal::UnknownOrder.to_string()
    }

    /// The answer over HTTP, with a line break behind it: whatever a terminal prints next begins on a line of its own.
    pub(crate) fn response(&self) -> Response<Body> {
        let mut response = respond(JSON, format!("{}\n", json!({ "code": self.code, "msg": self.message })));
        *response.status_mut() = self.status;
        response
    }
}

/// What the gateway's errors are to the operator.
impl From<Error> for AdminError {
    fn from(error: Error) -> Self {
        match error {
            Error::Busy => {
                let message = "The venue is busy, or a partition does not answer. Nothing was done; try again later.";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, -1008, message)
            }
            Error::Closed => {
                let message =
                    "The venue is closed, because it moves; /readyz says where its export is. Nothing was done.";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, -1008, message)
            }
            Error::Stopping => Self::stopping(),
            Error::OutcomeUnknown => Self::new(
                StatusCode::GATEWAY_TIMEOUT,
                -1007,
                "No outcome came in time; the command may still take effect. Look before you repeat it.",
            ),
            Error::Refused(
                refusal @ (Refusal::UnknownAccount
                | Refusal::UnknownAsset
                | Refusal::UnknownSymbol
                | Refusal::UnknownApiKey),
            ) => Self::not_found(refusal.to_string()),
            Error::Refused(refusal) => Self::invalid(refusal.to_string()),
            // What only clients' requests can run into.
            _ => Self::internal(),
        }
    }
}

impl From<RequestError> for AdminError {
    fn from(error: RequestError) -> Self {
        Self::new(error.status(), -1000, error.to_string())
    }
}
