//! The admin address while the venue starts. A start may replay for minutes, and monitoring must be able to distinguish
//! it from a process that hangs or has died. So the address answers before the venue is up: alive, not ready, and the
//! progress of the start. When the venue is up, its [`Admin`] takes over.

use std::net::IpAddr;
use std::sync::OnceLock;

use axum::body::Body as ResponseBody;
use crossbook_types::Sequence;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::{Admin, line};
use crate::error::{AdminError, JSON};
use crossbook_http::server::{self, RequestError, Service, respond};

/// What a start is at.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Phase {
    /// The log is opened and checked.
    #[default]
    Opening,
    /// The log is replayed; this is the last command that was.
    Replaying(Sequence),
}

/// Answers the operator while the venue starts, and hands over to [`Admin`] when it is up.
#[derive(Default)]
pub struct Startup {
    phase: Mutex<Phase>,
    admin: OnceLock<Admin>,
}

impl Startup {
    /// Tells what the start is at.
    pub fn enter(&self, phase: Phase) {
        *self.phase.lock() = phase;
    }

    /// The venue is up: from now on `admin` answers. A second one changes nothing.
    pub fn open(&self, admin: Admin) {
        let _ = self.admin.set(admin);
    }

    fn answer_while_starting(&self, request: &Request<Incoming>) -> Response<ResponseBody> {
        match (request.method(), request.uri().path()) {
            (&Method::GET, "/healthz") => respond(JSON, line(&json!({ "status": "ok" }))),
            (&Method::GET, "/readyz") => {
                let mut response = respond(JSON, line(&readiness(*self.phase.lock())));
                *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                response
            }
            _ => AdminError::starting().response(),
        }
    }
}

fn readiness(phase: Phase) -> Value {
    match phase {
        Phase::Opening => json!({ "ready": false, "phase": "opening" }),
        Phase::Replaying(sequence) => json!({ "ready": false, "phase": "replaying", "sequence": sequence }),
    }
}

impl Service for Startup {
    const NAME: &'static str = Admin::NAME;

    fn refuse(&self, error: RequestError) -> Response<ResponseBody> {
        AdminError::from(error).response()
    }

    async fn answer(&self, from: IpAddr, request: Request<Incoming>) -> Response<ResponseBody> {
        match self.admin.get() {
            Some(admin) => admin.answer(from, request).await,
            None => self.answer_while_starting(&server::head_as_get(request)),
        }
    }
}
