//! The client API over HTTP.

use std::borrow::Cow;
use std::iter;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;

use crate::app::App;
use crate::auth::{self, Identity, Security};
use crate::error::{ApiError, JSON};
use crate::limits::OrderCount;
use crate::operations::{self, Caller, Latencies, OPERATIONS, Operation, Outcome};
use crate::parameters::Parameters;
use crate::server::{self, Service};
use crate::{openapi, streams};

const API_KEY: &str = "x-mbx-apikey";
const USED_WEIGHT: HeaderName = HeaderName::from_static("x-mbx-used-weight-1m");
const ORDERS_SHORT: HeaderName = HeaderName::from_static("x-mbx-order-count-10s");
const ORDERS_DAY: HeaderName = HeaderName::from_static("x-mbx-order-count-1d");

/// A page that is served as it is.
#[derive(Clone, Debug)]
pub struct Page {
    /// Its path.
    pub path: &'static str,
    /// Its content type.
    pub content_type: &'static str,
    /// What it holds.
    pub content: Bytes,
}

/// Answers clients.
pub struct Rest {
    app: Arc<App>,
    pages: Vec<Page>,
    latencies: Latencies,
}

impl Rest {
    /// Serves the operations of `app`, its own documentation, and `pages` besides. Metrics go to the recorder that is installed now.
    #[must_use]
    pub fn new(app: Arc<App>, mut pages: Vec<Page>) -> Self {
        let page = |path, content_type, content| Page { path, content_type, content };
        pages.push(page("/openapi.json", JSON, Bytes::from(openapi::document().to_string())));
        pages.push(page("/asyncapi.json", JSON, Bytes::from(openapi::stream_document().to_string())));
        pages.push(page("/docs", "text/html;charset=UTF-8", Bytes::from_static(openapi::BROWSER.as_bytes())));
        Self { app, pages, latencies: Latencies::over("rest") }
    }

    /// What is neither an operation nor a connection that changes its protocol.
    fn page(&self, request: &Request<Incoming>, path_known: bool) -> Response<Body> {
        let path = request.uri().path();
        let page = self.pages.iter().find(|page| page.path == path);
        if (path_known || page.is_some()) && !(page.is_some() && request.method() == http::Method::GET) {
            let mut response = server::respond(&ApiError::with_status(
                StatusCode::METHOD_NOT_ALLOWED,
                -1020,
                "This operation is not supported.",
            ));
            let of_path = OPERATIONS.iter().filter(|operation| operation.path == path);
            let allowed: Vec<&str> = of_path.map(|operation| operation.verb.as_str()).collect();
            let allowed = if allowed.is_empty() { "GET".to_owned() } else { allowed.join(", ") };
            if let Ok(allowed) = HeaderValue::from_str(&allowed) {
                response.headers_mut().insert(ALLOW, allowed);
            }
            return response;
        }
        match (page, path) {
            (Some(page), _) => respond(page.content_type, page.content.clone()),
            (None, "/healthz") => respond(JSON, r#"{"status":"ok"}"#),
            (None, "/readyz") if self.app.is_draining() => server::respond(&ApiError::shutting_down()),
            (None, "/readyz") => respond(JSON, r#"{"status":"ready"}"#),
            (None, _) => server::respond(&ApiError::with_status(
                StatusCode::NOT_FOUND,
                -1020,
                "There is nothing at this path; see /docs for what there is.",
            )),
        }
    }

    async fn operation(
        &self,
        ip: IpAddr,
        operation: &'static Operation,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, ApiError> {
        let app = &*self.app;
        let (parts, body) = request.into_parts();
        let body = server::read_body(body, &app.config.server).await?;
        let now = app.now();
        app.admit(operation, ip, now)?;
        let body = std::str::from_utf8(&body)
            .map_err(|_| ApiError::bad_request(-1100, "Illegal characters found in a parameter."))?;
        let query = parts.uri.query().unwrap_or_default();
        let parameters = Parameters::parse(query, body);
        let weight = parameters.as_ref().map_or(1, |parameters| operation.weight(parameters));
        let mut used = app.limits.charge(ip, weight, now)?;
        let outcome = async {
            let parameters = parameters?;
            let key = parts.headers.get(API_KEY).map(|key| key.to_str().unwrap_or_default());
            let mut caller = Caller { ip, identity: None, deadline: None, now };
            if operation.security != Security::Public {
                caller.identity = Some(self.sender(ip, key, query, body, &parameters, operation.security)?);
                caller.deadline = Some(auth::timing(&parameters, now)?);
            }
            operation.check(&parameters, |_| false)?;
            operations::run(app, operation, &parameters, &caller).await
        }
        .await;
        let mut response = match outcome {
            Ok(outcome) => {
                if outcome.free {
                    used = app.limits.refund(ip, weight, now, app.now());
                }
                answer(outcome)
            }
            Err(error) => self.refused(operation, &error),
        };
        response.headers_mut().insert(USED_WEIGHT, used.into());
        Ok(response)
    }

    fn refused(&self, operation: &'static Operation, error: &ApiError) -> Response<Body> {
        self.app.rejections.count(operation, error);
        with_orders(server::respond(error), error.orders)
    }

    fn sender(
        &self,
        ip: IpAddr,
        key: Option<&str>,
        query: &str,
        body: &str,
        parameters: &Parameters<'_>,
        security: Security,
    ) -> Result<Identity, ApiError> {
        let app = &*self.app;
        // Whoever has no key need not be told which parameters are missing.
        let claim = auth::claim(&app.board, &app.keyring, key)?;
        parameters.required("timestamp")?;
        let signature = parameters.required("signature")?;
        let payload = auth::signed_payload(query, body);
        // Most signatures are right at the first.
        let otherwise = iter::once_with(|| auth::otherwise_encoded(&payload)).flatten();
        let ways = iter::once(Cow::Borrowed(payload.as_bytes())).chain(otherwise.map(|text| text.into_bytes().into()));
        let identity = claim.prove(ip, ways, signature)?;
        identity.require(security)?;
        Ok(identity)
    }
}

impl Service for Rest {
    const NAME: &'static str = "http";

    /// A connection may begin with as many streams as it can have.
    fn takes_long_uri(&self, request: &Request<Incoming>) -> bool {
        wants_websocket(request)
    }

    fn asks_to_leave(&self) -> bool {
        self.app.is_leaving()
    }

    async fn answer(&self, from: IpAddr, request: Request<Incoming>) -> Response<Body> {
        match operations::by_route(request.method().as_str(), request.uri().path()) {
            Ok((index, operation)) => {
                let start = Instant::now();
                let answer = self.operation(from, operation, request).await;
                self.latencies.record(index, start.elapsed());
                answer.unwrap_or_else(|error| {
                    let mut response = self.refused(operation, &error);
                    let used = self.app.limits.used_weight(from, self.app.now());
                    response.headers_mut().insert(USED_WEIGHT, used.into());
                    response
                })
            }
            Err(_) if wants_websocket(&request) => streams::upgrade(&self.app, from, request),
            Err(path_known) => self.page(&request, path_known),
        }
    }
}

fn wants_websocket(request: &Request<Incoming>) -> bool {
    let path = request.uri().path();
    let upgrade = request.headers().get(http::header::UPGRADE);
    upgrade.is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"))
        && ["/ws", "/stream", "/ws-api"]
            .iter()
            .any(|root| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

fn answer(outcome: Outcome) -> Response<Body> {
    with_orders(respond(JSON, outcome.json), outcome.orders)
}

/// An answer that tells how many orders are counted, if that matters.
fn with_orders(mut response: Response<Body>, orders: Option<OrderCount>) -> Response<Body> {
    if let Some(orders) = orders {
        let headers = response.headers_mut();
        headers.insert(ORDERS_SHORT, orders.short.into());
        headers.insert(ORDERS_DAY, orders.day.into());
    }
    response
}

/// A successful answer.
pub(crate) fn respond(content_type: &'static str, content: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(content.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
