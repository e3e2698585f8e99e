//! The client API over HTTP.

mod compression;
mod cors;
mod pages;

use std::borrow::Cow;
use std::iter;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use axum::body::Body;
use bytes::Bytes;
use http::header::{ACCEPT, ALLOW, CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;

use crossbook_gateway::auth::{self, Identity, Security};
use crossbook_gateway::clock::now;
use crossbook_gateway::limits::OrderCount;
use crossbook_gateway::traces::Parent;
use crossbook_http::server::{self, RequestError, Service, respond};

use crate::app::App;
use crate::error::{self, ApiError, JSON};
use crate::operations::{self, Caller, Latencies, OPERATIONS, Operation, Outcome, Transport};
use crate::parameters::Parameters;
use crate::time_unit::TimeUnit;
use crate::{openapi, signature, websocket};
use compression::compressed;
use cors::Cors;
use pages::Served;

pub use pages::Page;

const API_KEY: &str = "x-mbx-apikey";
const TIME_UNIT: &str = "x-mbx-time-unit";
/// The trace that a request is a part of.
const TRACE_PARENT: &str = "traceparent";
/// The weight used in the minute: under the name of its interval, and under the one that it had before there were
/// several.
const USED_WEIGHT: [HeaderName; 2] =
    [HeaderName::from_static("x-mbx-used-weight-1m"), HeaderName::from_static("x-mbx-used-weight")];
const ORDERS_SHORT: HeaderName = HeaderName::from_static("x-mbx-order-count-10s");
const ORDERS_DAY: HeaderName = HeaderName::from_static("x-mbx-order-count-1d");
/// Time for the close message of a WebSocket connection whose client reads nothing, before the listener ends it.
const CLOSE_MESSAGE: Duration = Duration::from_secs(5);

/// Answers clients.
pub struct Rest {
    app: Arc<App>,
    pages: Vec<Served>,
    cors: Cors,
    latencies: Latencies,
}

impl Rest {
    /// Serves the operations of `app`, its own documentation, and `pages` besides. Metrics go to the recorder that is
    /// installed now.
    #[must_use]
    pub fn new(app: Arc<App>, mut pages: Vec<Page>) -> Self {
        let page = |path, content_type, content| Page { path, content_type, content };
        let listen_keys = app.config.listen_keys.enabled;
        pages.push(page("/openapi.json", JSON, Bytes::from(openapi::document(listen_keys).to_string())));
        pages.push(page("/asyncapi.json", JSON, Bytes::from(openapi::stream_document(listen_keys).to_string())));
        pages.push(page("/docs", "text/html;charset=UTF-8", Bytes::from_static(openapi::BROWSER.as_bytes())));
        let cors = Cors::new(&app.config.server.cors_origins);
        Self {
            app,
            pages: pages.into_iter().map(Served::new).collect(),
            cors,
            latencies: Latencies::over(Transport::Rest.name()),
        }
    }

    /// Serves `content` at the path of a page in place of that page, once it is set, and to this machine's own browsers
    /// only; it is not cached.
    #[must_use]
    pub fn with_replaceable_page(mut self, path: &str, content: &Arc<OnceLock<Bytes>>) -> Self {
        for page in self.pages.iter_mut().filter(|page| page.is_at(path)) {
            page.replace_when_set(Arc::clone(content));
        }
        self
    }

    /// What is neither an operation nor a connection that changes its protocol.
    fn page(&self, request: &Request<Incoming>, path_known: bool) -> Response<Body> {
        let path = request.uri().path();
        let page = self.pages.iter().find(|page| page.is_at(path));
        let is_read = [Method::GET, Method::HEAD].contains(request.method());
        let is_served = page.is_some() || ["/healthz", "/readyz"].contains(&path);
        if (path_known || is_served) && !(is_served && is_read) {
            let mut response = error::respond(&ApiError::with_status(
                StatusCode::METHOD_NOT_ALLOWED,
                -1020,
                "This operation is not supported.",
            ));
            response.headers_mut().insert(ALLOW, methods_at(path));
            return response;
        }
        match (page, path) {
            (Some(page), _) => page.answer(request.headers()),
            (None, "/healthz") => respond(JSON, r#"{"status":"ok"}"#),
            (None, "/readyz") if self.app.gateway.is_draining() => error::respond(&ApiError::shutting_down()),
            (None, "/readyz") => respond(JSON, r#"{"status":"ready"}"#),
            (None, _) => error::respond(&ApiError::with_status(
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
        received: Instant,
    ) -> Result<Response<Body>, ApiError> {
        let app = &*self.app;
        let (parts, body) = request.into_parts();
        let body = server::read_body(body, &app.config.server).await?;
        let arrived = now();
        if operation.is_order() {
            app.gateway.admit_order(ip, arrived)?;
        }
        let body = std::str::from_utf8(&body)
            .map_err(|_| ApiError::bad_request(-1100, "Illegal characters found in a parameter."))?;
        let query = parts.uri.query().unwrap_or_default();
        let parameters = Parameters::parse(query, body);
        let weight = parameters.as_ref().map_or(1, |parameters| operation.weight(parameters));
        let mut used = app.gateway.limits.charge(ip, weight, arrived)?;
        let names = (operation.name, Transport::Rest.name());
        let begun = || app.gateway.traces.begin(names, received, || trace_parent(&parts.headers));
        let trace = if operation.is_order() { begun() } else { None };
        let outcome = async {
            let parameters = parameters?;
            let key = parts.headers.get(API_KEY).map(|key| key.to_str().unwrap_or_default());
            accepts_json(&parts.headers)?;
            let (transport, unit) = (Transport::Rest, time_unit(&parts.headers)?);
            let trace = trace.clone();
            let mut caller = Caller { transport, unit, identity: None, deadline: None, now: arrived, trace };
            if operation.security != Security::Public {
                let identity = if operation.by_key_alone {
                    auth::claim(&app.gateway.read_model, &app.gateway.keyring, key)?.by_name(ip)?
                } else {
                    self.signer(ip, key, query, body, &parameters)?
                };
                identity.require(operation.security)?;
                caller.identity = Some(identity);
                if !operation.by_key_alone {
                    caller.deadline = Some(signature::timing(&parameters, arrived)?);
                }
            }
            operation.check(&parameters, |_| false)?;
            operations::run(app.shared(), operation, &parameters, &caller).await
        }
        .await;
        if let Some(trace) = &trace {
            app.gateway.traces.end(trace, outcome.as_ref().err().map(|error| error.code));
        }
        let mut response = match outcome {
            Ok(outcome) => {
                if outcome.free {
                    used = app.gateway.limits.refund(ip, weight, arrived, now());
                }
                answer(outcome)
            }
            Err(error) => self.refused(operation, &error),
        };
        add_weight_header(&mut response, used);
        Ok(compressed(response, &parts.headers, app.config.server.compression_bytes_min).await)
    }

    fn refused(&self, operation: &'static Operation, error: &ApiError) -> Response<Body> {
        self.app.rejections.count(operation, error);
        with_orders(error::respond(error), error.orders)
    }

    fn signer(
        &self,
        ip: IpAddr,
        key: Option<&str>,
        query: &str,
        body: &str,
        parameters: &Parameters<'_>,
    ) -> Result<Identity, ApiError> {
        let app = &*self.app;
        // A sender without a key is not informed about missing parameters.
        let claim = auth::claim(&app.gateway.read_model, &app.gateway.keyring, key)?;
        parameters.required("timestamp")?;
        let signed = signature::as_signed(parameters.required("signature")?);
        let payload = signature::signed_payload(query, body);
        // Most signatures are right at the first.
        let otherwise = iter::once_with(|| signature::otherwise_encoded(&payload)).flatten();
        let ways = iter::once(Cow::Borrowed(payload.as_bytes())).chain(otherwise.map(|text| text.into_bytes().into()));
        Ok(claim.prove(ip, ways, &signed)?)
    }
}

impl Rest {
    /// What can be asked at a path, and whether the page that asks may ask it.
    fn options(&self, request: &Request<Incoming>, allowed: Option<&HeaderValue>) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let methods = methods_at(request.uri().path());
        if Cors::is_preflight(request.headers()) && allowed.is_some() {
            Cors::add_preflight_headers(&mut response, methods.clone());
        }
        response.headers_mut().insert(ALLOW, methods);
        response
    }

    async fn route(&self, from: IpAddr, request: Request<Incoming>) -> Response<Body> {
        // The body of an answer to HEAD is left out where it is written.
        let method = if request.method() == Method::HEAD { "GET" } else { request.method().as_str() };
        match operations::by_route(method, request.uri().path()) {
            Ok((_, operation)) if !self.app.has(operation) => self.page(&request, false),
            Ok((index, operation)) => {
                let start = Instant::now();
                let answer = self.operation(from, operation, request, start).await;
                self.latencies.record(index, start.elapsed());
                answer.unwrap_or_else(|error| {
                    let mut response = self.refused(operation, &error);
                    let used = self.app.gateway.limits.used_weight(from, now());
                    add_weight_header(&mut response, used);
                    response
                })
            }
            Err(_) if wants_websocket(&request) => websocket::upgrade(&self.app, from, request),
            Err(path_known) => self.page(&request, path_known),
        }
    }
}

impl Service for Rest {
    const NAME: &'static str = "http";

    /// A connection may begin with as many streams as it can have.
    fn takes_long_uri(&self, request: &Request<Incoming>) -> bool {
        wants_websocket(request)
    }

    fn asks_to_leave(&self) -> bool {
        self.app.gateway.is_leaving()
    }

    fn refuse(&self, error: RequestError) -> Response<Body> {
        error::respond(&error.into())
    }

    fn write_timeout_min(&self) -> Duration {
        Duration::from_millis(self.app.config.streams.send_timeout_ms) + CLOSE_MESSAGE
    }

    async fn answer(&self, from: IpAddr, request: Request<Incoming>) -> Response<Body> {
        let allowed = self.cors.allowed(request.headers());
        let mut response = if request.method() == Method::OPTIONS {
            self.options(&request, allowed.as_ref())
        } else {
            guarded(self.route(from, request).await)
        };
        self.cors.tell(&mut response, allowed);
        response
    }
}

/// The answer, which must be neither cached nor sniffed, unless it is a page, which has its own cache headers.
pub(crate) fn guarded(mut answer: Response<Body>) -> Response<Body> {
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS && !answer.headers().contains_key(CACHE_CONTROL) {
        answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        answer.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    }
    answer
}

/// The methods that a path has.
fn methods_at(path: &str) -> HeaderValue {
    let of_path = OPERATIONS.iter().filter(|operation| operation.path == path);
    let mut methods: Vec<&str> = of_path.map(|operation| operation.verb.as_str()).collect();
    if methods.is_empty() {
        methods.push("GET");
    }
    if methods.contains(&"GET") {
        methods.push("HEAD");
    }
    methods.push("OPTIONS");
    HeaderValue::try_from(methods.join(", ")).unwrap_or(HeaderValue::from_static("GET"))
}

fn wants_websocket(request: &Request<Incoming>) -> bool {
    let path = request.uri().path();
    let upgrade = request.headers().get(http::header::UPGRADE);
    upgrade.is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"))
        && ["/ws", "/stream", "/ws-api"]
            .iter()
            .any(|root| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

/// Whether a client takes JSON, which is all that there is: those who take nothing but the binary encoding do not.
///
/// # Errors
/// -1155 with 406 if not.
fn accepts_json(headers: &HeaderMap) -> Result<(), ApiError> {
    const BINARY: &str = "application/sbe";
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|line| line.to_str().ok());
    let accepted =
        accepted.flat_map(|line| line.split(',')).map(|range| range.split(';').next().unwrap_or_default().trim());
    let (binary, other): (Vec<&str>, Vec<&str>) = accepted.partition(|range| range.eq_ignore_ascii_case(BINARY));
    if binary.is_empty() || other.iter().any(|range| ["application/json", "application/*", "*/*"].contains(range)) {
        return Ok(());
    }
    Err(ApiError::with_status(StatusCode::NOT_ACCEPTABLE, -1155, "SBE is not enabled."))
}

/// The unit of the times in the answer.
///
/// # Errors
/// -1194 if there is no such unit.
pub(crate) fn time_unit(headers: &HeaderMap) -> Result<TimeUnit, ApiError> {
    TimeUnit::parse(headers.get(TIME_UNIT).map(|unit| unit.to_str().unwrap_or_default()))
}

/// The trace that a request says it is a part of. Two are none.
fn trace_parent(headers: &HeaderMap) -> Option<Parent> {
    let mut all = headers.get_all(TRACE_PARENT).iter();
    let first = all.next()?;
    if all.next().is_none() { Parent::parse(first.as_bytes()) } else { None }
}

fn add_weight_header(response: &mut Response<Body>, used: u64) {
    for name in USED_WEIGHT {
        response.headers_mut().insert(name, used.into());
    }
}

fn answer(outcome: Outcome) -> Response<Body> {
    with_orders(respond(JSON, outcome.json), outcome.orders)
}

/// An answer with the number of counted orders, if that matters.
fn with_orders(mut response: Response<Body>, orders: Option<OrderCount>) -> Response<Body> {
    if let Some(orders) = orders {
        let headers = response.headers_mut();
        headers.insert(ORDERS_SHORT, orders.short.into());
        headers.insert(ORDERS_DAY, orders.day.into());
    }
    response
}
