//! The admin address of a process without an admin API: liveness, readiness, metrics, and the state of its partitions,
//! if it runs some. And the address for probes alone ([`Only`]), which any process may have: whoever reaches it can
//! neither operate the venue nor ask for the state of partitions.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use axum::body::Body as ResponseBody;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::error::JSON;
use crate::{Metrics, line};
use crossbook_http::server::{RequestError, Service, head_as_get, respond};

/// Sums the partitions of a process and reports their state. It may block for a while.
pub type Partitions = Arc<dyn Fn() -> Value + Send + Sync>;

/// Whether the process is ready, and the details of its state.
pub type Readiness = Box<dyn Fn() -> (bool, Value) + Send + Sync>;

/// See the module.
pub struct Probe {
    metrics: Metrics,
    started: OnceLock<Started>,
    /// Summing delays trading briefly, so only one request is answered at a time.
    adding_up: Semaphore,
}

/// What is known of a process that has started.
pub struct Started {
    readiness: Readiness,
    measure: Box<dyn Fn() + Send + Sync>,
    partitions: Option<Partitions>,
}

impl Started {
    /// A process that is as ready as `readiness` says.
    #[must_use]
    pub fn new(readiness: Readiness) -> Self {
        Self { readiness, measure: Box::new(|| ()), partitions: None }
    }

    /// Calls `measure` before metrics are answered.
    #[must_use]
    pub fn measured_by(self, measure: Box<dyn Fn() + Send + Sync>) -> Self {
        Self { measure, ..self }
    }

    /// Answers `GET /partitions` with `partitions`, called on a thread that may block.
    #[must_use]
    pub fn with_partitions(self, partitions: Partitions) -> Self {
        Self { partitions: Some(partitions), ..self }
    }
}

impl Probe {
    /// A probe of a process that starts: alive, and not ready.
    #[must_use]
    pub fn new(metrics: Metrics) -> Self {
        Self { metrics, started: OnceLock::new(), adding_up: Semaphore::new(1) }
    }

    /// The process has started. A second time changes nothing.
    pub fn open(&self, started: Started) {
        let _ = self.started.set(started);
    }

    fn readiness(&self) -> Response<ResponseBody> {
        let started = self.started.get();
        let starting = || (false, json!({ "phase": "starting" }));
        let (ready, detail) = started.map_or_else(starting, |started| (started.readiness)());
        let mut response = respond(JSON, line(&json!({ "ready": ready, "detail": detail })));
        if !ready {
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        }
        response
    }

    fn metrics(&self) -> Response<ResponseBody> {
        if let Some(started) = self.started.get() {
            (started.measure)();
        }
        respond("text/plain; version=0.0.4", (self.metrics)())
    }

    async fn partitions(&self) -> Response<ResponseBody> {
        let partitions = self.started.get().and_then(|started| started.partitions.clone());
        let Some(partitions) = partitions else { return nothing_here() };
        let Ok(_turn) = self.adding_up.acquire().await else { return failed() };
        match tokio::task::spawn_blocking(move || partitions()).await {
            Ok(told) => respond(JSON, line(&told)),
            Err(_) => failed(),
        }
    }
}

fn failed() -> Response<ResponseBody> {
    refuse(StatusCode::INTERNAL_SERVER_ERROR, "the partitions could not be added up")
}

fn nothing_here() -> Response<ResponseBody> {
    refuse(StatusCode::NOT_FOUND, "GET /healthz, /readyz or /metrics; of a worker also /partitions")
}

fn refuse(status: StatusCode, message: &str) -> Response<ResponseBody> {
    let mut response = respond(JSON, line(&json!({ "msg": message })));
    *response.status_mut() = status;
    response
}

impl Service for Probe {
    const NAME: &'static str = "admin";

    fn refuse(&self, error: RequestError) -> Response<ResponseBody> {
        refuse(error.status(), &error.to_string())
    }

    async fn answer(&self, _: IpAddr, request: Request<Incoming>) -> Response<ResponseBody> {
        let request = head_as_get(request);
        match (request.method(), request.uri().path()) {
            (&Method::GET, "/healthz") => respond(JSON, line(&json!({ "status": "ok" }))),
            (&Method::GET, "/readyz") => self.readiness(),
            (&Method::GET, "/metrics") => self.metrics(),
            (&Method::GET, "/partitions") => self.partitions().await,
            _ => nothing_here(),
        }
    }
}

/// Passes on what probes and the scraper of metrics ask, and nothing else.
pub struct Only<S>(pub Arc<S>);

impl<S: Service> Service for Only<S> {
    const NAME: &'static str = "probes";

    fn refuse(&self, error: RequestError) -> Response<ResponseBody> {
        refuse(error.status(), &error.to_string())
    }

    async fn answer(&self, from: IpAddr, request: Request<Incoming>) -> Response<ResponseBody> {
        let is_read = [Method::GET, Method::HEAD].contains(request.method());
        if is_read && ["/healthz", "/readyz", "/metrics"].contains(&request.uri().path()) {
            return self.0.answer(from, request).await;
        }
        refuse(StatusCode::NOT_FOUND, "GET /healthz, /readyz or /metrics; the rest is on the admin address")
    }
}
