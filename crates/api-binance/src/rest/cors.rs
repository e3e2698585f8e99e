//! Which pages of other origins may use this API in a browser (CORS). By default a browser allows none; if the operator
//! names origins, the preflight answer and the answer itself allow them. Programs other than browsers are not affected.

use axum::body::Body;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Response};

/// Headers that a page may send.
const REQUEST_HEADERS: HeaderValue =
    HeaderValue::from_static("x-mbx-apikey, x-mbx-time-unit, content-type, traceparent");
/// Headers of answers that a page may read.
const RESPONSE_HEADERS: HeaderValue = HeaderValue::from_static(
    "x-mbx-used-weight, x-mbx-used-weight-1m, x-mbx-order-count-10s, x-mbx-order-count-1d, retry-after",
);
/// Seconds for which a browser may cache the answer.
const MAX_AGE_SECONDS: HeaderValue = HeaderValue::from_static("7200");
const ANY: &str = "*";

/// The origins that may ask.
#[derive(Clone, Debug)]
pub(super) struct Cors {
    origins: Vec<String>,
}

impl Cors {
    pub(super) fn new(origins: &[String]) -> Self {
        Self { origins: origins.to_vec() }
    }

    /// The value of `Access-Control-Allow-Origin` for the page that sends the request; `None` if it is not allowed.
    pub(super) fn allowed(&self, request: &HeaderMap) -> Option<HeaderValue> {
        if self.origins.is_empty() {
            return None;
        }
        let origin = request.get(ORIGIN)?;
        if self.origins.iter().any(|known| known == ANY) {
            return Some(HeaderValue::from_static(ANY));
        }
        self.origins.iter().any(|known| known.as_bytes() == origin.as_bytes()).then(|| origin.clone())
    }

    /// Whether a browser asks whether its page may ask.
    pub(super) fn is_preflight(request: &HeaderMap) -> bool {
        request.contains_key(ORIGIN) && request.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
    }

    /// Says in an answer who may read it.
    pub(super) fn tell(&self, response: &mut Response<Body>, allowed: Option<HeaderValue>) {
        if self.origins.is_empty() {
            return;
        }
        let headers = response.headers_mut();
        headers.append(VARY, HeaderValue::from_static("origin"));
        if let Some(origin) = allowed {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, RESPONSE_HEADERS);
        }
    }

    /// Says what a page may ask for at a path with these methods.
    pub(super) fn add_preflight_headers(response: &mut Response<Body>, methods: HeaderValue) {
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS);
        headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE_SECONDS);
    }
}
