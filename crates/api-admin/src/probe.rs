//! The admin address of a process without an admin API: liveness, readiness, metrics, and the state of its partitions,
//! if it runs some.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body as ResponseBody;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::error::JSON;
use crate::{Metrics, line};
use crossbook_http::server::{RequestError, Service, respond};

/// Sums the partitions of a process and reports their state. It may block for a while.
pub type Partitions = Arc<dyn Fn() -> Value + Send + Sync>;

/// See the module.
pub struct Probe<R> {
    metrics: Metrics,
    /// Whether the process is ready, and the details of its state.
    readiness: R,
    partitions: Option<Partitions>,
    /// Summing delays trading briefly, so only one request is answered at a time.
    adding_up: Semaphore,
}

impl<R: Fn() -> (bool, Value) + Send + Sync + 'static> Probe<R> {
    /// A probe that answers with `readiness`.
    pub fn new(metrics: Metrics, readiness: R) -> Self {
        Self { metrics, readiness, partitions: None, adding_up: Semaphore::new(1) }
    }

    /// Answers `GET /partitions` with `partitions`, called on a thread that may block.
    #[must_use]
    pub fn with_partitions(self, partitions: Partitions) -> Self {
        Self { partitions: Some(partitions), ..self }
    }

    async fn partitions(&self) -> Response<ResponseBody> {
        let Some(partitions) = self.partitions.clone() else { return nothing_here() };
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

impl<R: Fn() -> (bool, Value) + Send + Sync + 'static> Service for Probe<R> {
    const NAME: &'static str = "admin";

    fn refuse(&self, error: RequestError) -> Response<ResponseBody> {
        refuse(error.status(), &error.to_string())
    }

    async fn answer(&self, _: IpAddr, request: Request<Incoming>) -> Response<ResponseBody> {
        match (request.method(), request.uri().path()) {
            (&Method::GET, "/healthz") => respond(JSON, line(&json!({ "status": "ok" }))),
            (&Method::GET, "/readyz") => {
                let (ready, detail) = (self.readiness)();
                let mut response = respond(JSON, line(&json!({ "ready": ready, "detail": detail })));
                if !ready {
                    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                }
                response
            }
            (&Method::GET, "/metrics") => respond("text/plain; version=0.0.4", (self.metrics)()),
            (&Method::GET, "/partitions") => self.partitions().await,
            _ => nothing_here(),
        }
    }
}
