//! The client API while the venue starts. A start restores and replays, which may take a while, but the store has the
//! depth of every book ([`BookSnapshots`]). So a gateway that is starting answers what it can: pings, the time, and the
//! books. `/readyz` is not ready, so a load balancer sends no clients here; any other request is refused as too early.
//! When the venue is open, [`Rest`] takes over.
//!
//! A book from the store is some tenths of a second old; its `lastUpdateId` identifies its state.

use std::net::IpAddr;
use std::sync::OnceLock;

use axum::body::Body;
use crossbook_gateway::book_snapshots::{BookSnapshot, BookSnapshots};
use crossbook_gateway::clock::now;
use crossbook_http::server::{self, RequestError, Service, respond};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::json;
use tokio::sync::Semaphore;

use crate::error::{self, ApiError, JSON};
use crate::operations::DEPTH_MAX;
use crate::parameters::{self, Parameters};
use crate::render;
use crate::rest::{self, Rest};

/// Maximum number of concurrent queries to the store; more are refused as overload.
const QUESTIONS_MAX: usize = 8;
/// Levels of each side that are shown unless the client requests another number.
const DEPTH_DEFAULT: usize = 100;

/// Answers clients while the venue starts, and hands over to the API when it is open.
pub struct Startup {
    books: Box<dyn BookSnapshots>,
    questions: Semaphore,
    rest: OnceLock<Rest>,
}

impl Startup {
    /// Answers from these books until it is opened.
    #[must_use]
    pub fn new(books: Box<dyn BookSnapshots>) -> Self {
        Self { books, questions: Semaphore::new(QUESTIONS_MAX), rest: OnceLock::new() }
    }

    /// The venue is open: from now on `rest` answers. A second one changes nothing.
    pub fn open(&self, rest: Rest) {
        let _ = self.rest.set(rest);
    }

    async fn answer_while_starting(&self, request: &Request<Incoming>) -> Response<Body> {
        let query = request.uri().query().unwrap_or_default();
        match (request.method(), request.uri().path()) {
            (&Method::GET, "/healthz") => respond(JSON, r#"{"status":"ok"}"#),
            (&Method::GET, "/readyz") => {
                let mut response = respond(JSON, r#"{"status":"starting"}"#);
                *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                response
            }
            (&Method::GET, "/api/v3/ping") => respond(JSON, "{}"),
            (&Method::GET, "/api/v3/time") => match rest::time_unit(request.headers()) {
                Ok(unit) => respond(JSON, json!({ "serverTime": unit.of(now()) }).to_string()),
                Err(error) => error::respond(&error),
            },
            (&Method::GET, "/api/v3/depth") => answered(self.depth(query).await),
            (&Method::GET, "/api/v3/ticker/bookTicker") => answered(self.book_ticker(query).await),
            _ => error::respond(&ApiError::starting()),
        }
    }

    async fn depth(&self, query: &str) -> Result<String, ApiError> {
        let parameters = Parameters::parse(query, "")?;
        let limit = parameters.limit(DEPTH_DEFAULT, DEPTH_MAX)?;
        let book = self.book(parameters.required("symbol")?).await?;
        Ok(render::snapshot_depth(&book, limit))
    }

    async fn book_ticker(&self, query: &str) -> Result<String, ApiError> {
        let parameters = Parameters::parse(query, "")?;
        // A query for all markets can only be answered when they are known.
        let Some(symbol) = parameters.text("symbol")? else { return Err(ApiError::starting()) };
        let book = self.book(symbol).await?;
        Ok(render::snapshot_book_ticker(symbol, &book))
    }

    async fn book(&self, symbol: &str) -> Result<BookSnapshot, ApiError> {
        parameters::symbol("symbol", symbol)?;
        let _place = self.questions.try_acquire().map_err(|_| ApiError::busy())?;
        let book = self.books.book(symbol).await.map_err(|_| ApiError::starting())?;
        book.ok_or_else(ApiError::symbol)
    }
}

fn answered(outcome: Result<String, ApiError>) -> Response<Body> {
    match outcome {
        Ok(json) => respond(JSON, json),
        Err(error) => error::respond(&error),
    }
}

impl Service for Startup {
    const NAME: &'static str = Rest::NAME;

    fn takes_long_uri(&self, request: &Request<Incoming>) -> bool {
        self.rest.get().is_some_and(|rest| rest.takes_long_uri(request))
    }

    fn asks_to_leave(&self) -> bool {
        self.rest.get().is_some_and(Service::asks_to_leave)
    }

    fn refuse(&self, error: RequestError) -> Response<Body> {
        error::respond(&error.into())
    }

    async fn answer(&self, from: IpAddr, request: Request<Incoming>) -> Response<Body> {
        match self.rest.get() {
            Some(rest) => rest.answer(from, request).await,
            None => rest::guarded(self.answer_while_starting(&server::head_as_get(request)).await),
        }
    }
}
