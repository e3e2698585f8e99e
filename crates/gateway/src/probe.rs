//! The admin address of a process that has no API: whether it lives, whether it is ready, what it measures.

use std::net::IpAddr;

use axum::body::Body as ResponseBody;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::{Value, json};

use crate::admin::Metrics;
use crate::error::JSON;
use crate::rest::respond;
use crate::server::Service;

/// See the module.
pub struct Probe<R> {
    metrics: Metrics,
    /// Whether the process is ready, and what else is to be said of it.
    readiness: R,
}

impl<R: Fn() -> (bool, Value) + Send + Sync + 'static> Probe<R> {
    /// A probe that answers with what `readiness` says.
    pub fn new(metrics: Metrics, readiness: R) -> Self {
        Self { metrics, readiness }
    }
}

impl<R: Fn() -> (bool, Value) + Send + Sync + 'static> Service for Probe<R> {
    const NAME: &'static str = "admin";

    async fn answer(&self, _: IpAddr, request: Request<Incoming>) -> Response<ResponseBody> {
        match (request.method(), request.uri().path()) {
            (&Method::GET, "/healthz") => respond(JSON, json!({ "status": "ok" }).to_string()),
            (&Method::GET, "/readyz") => {
                let (ready, detail) = (self.readiness)();
                let mut response = respond(JSON, json!({ "ready": ready, "detail": detail }).to_string());
                if !ready {
                    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                }
                response
            }
            (&Method::GET, "/metrics") => respond("text/plain; version=0.0.4", (self.metrics)()),
            _ => {
                let mut response = respond(JSON, json!({ "msg": "GET /healthz, /readyz or /metrics" }).to_string());
                *response.status_mut() = StatusCode::NOT_FOUND;
                response
            }
        }
    }
}
