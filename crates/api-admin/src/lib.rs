//! The operator's API: listing, accounts, keys, deposits and withdrawals, the audit. It has an address of its own, and
//! operators with bearer tokens and roles ([`Role`]). Requests and answers are JSON; decimals are strings;
//! `docs/admin-api.md` describes them all. Until the venue is up, [`startup`] answers in its place.

mod accounts;
mod activity;
mod asked;
mod books;
pub mod console;
mod defaults;
mod discount;
mod error;
mod exchange;
mod fees;
mod listing;
pub mod log_tail;
mod market;
mod money;
mod openapi;
mod operator_log;
mod permission;
pub mod probe;
mod reference;
mod render;
mod request;
mod roles;
mod session;
pub mod startup;
mod tokens;
mod venue;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body as ResponseBody;
use bytes::Bytes;
use crossbook_gateway::command_port::PartitionStatus;
use crossbook_gateway::past::{Activity, History, Status};
use crossbook_http::ServerConfig;
use crossbook_node::embedded::AuditReport;
use crossbook_protocol::command::{Body, ListAsset};
use crossbook_protocol::{Answer, Rules};
use crossbook_types::{Amount, AssetId};
use http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use accounts::account_id;
pub use asked::steers;
use asked::{Asked, NotesAllowed};
use crossbook_gateway::Gateway;
use crossbook_gateway::command_port::Subject;
use crossbook_gateway::gateway::not_accepted;
use crossbook_gateway::read_model::Standing;
use crossbook_http::server::{self, RequestError, Service, respond};
use error::{AdminError, JSON};
use log_tail::LogTail;
use render::amount_text;
use request::{NewAsset, read};
pub use roles::{Role, UnknownRole};
pub use tokens::{Identity, OPERATOR, Operator, Tokens};

/// Adds a field to `/readyz` for a part of the venue that the gateway does not know.
pub type Detail = Box<dyn Fn() -> Value + Send + Sync>;

/// Gives the metrics as text, for Prometheus.
pub type Metrics = Box<dyn Fn() -> String + Send + Sync>;

/// Answers the operator.
pub struct Admin {
    gateway: Arc<Gateway>,
    bounds: ServerConfig,
    tokens: Tokens,
    notes_allowed: NotesAllowed,
    metrics: Metrics,
    details: Vec<(&'static str, Detail)>,
    console: &'static [console::Page],
    log: Option<Arc<LogTail>>,
}

impl Admin {
    /// The same, whose `/readyz` also has the value of `detail` under `name`.
    #[must_use]
    pub fn with_detail(mut self, name: &'static str, detail: Detail) -> Self {
        self.details.push((name, detail));
        self
    }

    /// The same, which also serves the operator's console.
    #[must_use]
    pub fn with_console(self, console: &'static [console::Page]) -> Self {
        Self { console, ..self }
    }

    /// The same, which also shows the last log lines of the process.
    #[must_use]
    pub fn with_log(self, log: Option<Arc<LogTail>>) -> Self {
        Self { log, ..self }
    }

    /// Serves the operator who knows one of `tokens`, within these bounds. `/healthz`, `/readyz` and `/metrics` need no
    /// token.
    #[must_use]
    pub fn new(gateway: Arc<Gateway>, bounds: ServerConfig, tokens: impl Into<Tokens>, metrics: Metrics) -> Self {
        Self {
            gateway,
            bounds,
            tokens: tokens.into(),
            notes_allowed: NotesAllowed::default(),
            metrics,
            details: Vec::new(),
            console: &[],
            log: None,
        }
    }

    async fn route(&self, request: Request<Incoming>) -> Result<Value, AdminError> {
        let operator = self.operator(&request).ok_or_else(AdminError::unauthorized)?;
        let path = request.uri().path().strip_prefix("/admin/v1/").unwrap_or_default();
        let operation = permission::check(operator.role, request.method(), path)?;
        // What another gateway has answered must be known here.
        self.gateway.caught_up(Subject::Registry).await?;
        let (head, body) = request.into_parts();
        let body = server::read_body(body, &self.bounds).await?;
        let asked = match operation {
            permission::Kind::Reads => Asked::to_read(&self.gateway, &self.notes_allowed),
            kind => Asked::to_change(&self.gateway, &self.notes_allowed, &operator, kind, &head, &body)?,
        };
        let path = head.uri.path().strip_prefix("/admin/v1/").unwrap_or_default().split('/');
        let path: Vec<_> = path.map(|segment| percent_decode_str(segment).decode_utf8_lossy()).collect();
        let path: Vec<&str> = path.iter().map(|segment| &**segment).collect();
        self.dispatch(&asked, &operator, &head, &path, &body).await
    }

    async fn dispatch(
        &self,
        asked: &Asked<'_>,
        operator: &Identity,
        head: &Parts,
        path: &[&str],
        body: &Bytes,
    ) -> Result<Value, AdminError> {
        match (&head.method, path) {
            (&Method::GET, ["operator"]) => Ok(json!({ "operator": &*operator.name, "role": operator.role.name() })),
            (&Method::GET, ["assets"]) => listing::assets(asked, head.uri.query()),
            (&Method::POST, ["assets"]) => list_asset(asked, body).await,
            (&Method::GET, ["markets"]) => listing::markets(asked, head.uri.query()),
            (&Method::POST, ["markets"]) => market::list(asked, body).await,
            (&Method::PATCH, ["markets", symbol]) => market::change(asked, symbol, body).await,
            (&Method::DELETE, ["markets", symbol]) => market::delist(asked, symbol).await,
            (&Method::GET, ["markets", symbol, "session"]) => session::show(asked, symbol),
            (&Method::POST, ["markets", symbol, "session", "end"]) => session::end(asked, symbol).await,
            (&Method::POST, ["markets", symbol, "session", "auction"]) => {
                session::open_auction(asked, symbol, body).await
            }
            (&Method::PUT, ["markets", symbol, "breaker"]) => session::set_breaker(asked, symbol, body).await,
            (&Method::DELETE, ["markets", symbol, "breaker"]) => session::remove_breaker(asked, symbol).await,
            (&Method::PUT, ["markets", symbol, "price-range"]) => reference::set_price_range(asked, symbol, body).await,
            (&Method::DELETE, ["markets", symbol, "price-range"]) => reference::remove_price_range(asked, symbol).await,
            (&Method::PUT, ["markets", symbol, "reference"]) => reference::set(asked, symbol, body).await,
            (&Method::DELETE, ["markets", symbol, "reference"]) => reference::remove(asked, symbol).await,
            (&Method::PUT, ["markets", symbol, "reference", "price"]) => {
                reference::set_price(asked, symbol, body).await
            }
            (&Method::DELETE, ["markets", symbol, "reference", "price"]) => {
                reference::remove_price(asked, symbol).await
            }
            (&Method::GET, ["accounts"]) => listing::accounts(asked, head.uri.query()),
            (&Method::POST, ["accounts"]) => accounts::open(asked, body).await,
            (&Method::GET, ["accounts", id]) => accounts::show(asked, id).await,
            (&Method::GET, ["accounts", id, "fees"]) => fees::of_account(asked, account_id(id)?),
            (&Method::PUT, ["accounts", id, "fees"]) => fees::set(asked, account_id(id)?, body).await,
            (&Method::GET, ["accounts", id, "fee-discount"]) => discount::of_account(asked, account_id(id)?),
            (&Method::PUT, ["accounts", id, "fee-discount"]) => discount::use_by(asked, account_id(id)?, body).await,
            (&Method::PATCH, ["accounts", id]) => accounts::change(asked, id, body).await,
            (&Method::POST, ["accounts", id, "api-keys"]) => accounts::issue_key(asked, id, body).await,
            (&Method::DELETE, ["accounts", id, "api-keys", key]) => accounts::revoke_key(asked, id, key).await,
            (&Method::POST, ["accounts", id, "deposits"]) => money::transfer(asked, account_id(id)?, body, 1).await,
            (&Method::POST, ["accounts", id, "withdrawals"]) => money::transfer(asked, account_id(id)?, body, -1).await,
            (&Method::POST, ["accounts", id, "adjustments"]) => money::adjust(asked, account_id(id)?, body).await,
            (&Method::PUT, ["accounts", id, "frozen"]) => accounts::freeze(asked, id, body).await,
            (&Method::POST, ["accounts", id, "cancel-orders"]) => accounts::cancel_orders(asked, id).await,
            (&Method::GET, ["accounts", id, "orders"]) => {
                activity::orders(asked, account_id(id)?, head.uri.query()).await
            }
            (&Method::GET, ["accounts", id, "trades"]) => {
                activity::trades(asked, account_id(id)?, head.uri.query()).await
            }
            (&Method::GET, ["accounts", id, "ledger"]) => books::ledger(asked, account_id(id)?, head.uri.query()).await,
            (&Method::GET, ["revenue"]) => books::revenue(asked, head.uri.query()).await,
            (&Method::GET, ["log"]) => log_tail::page(self.log.as_deref(), head.uri.query()),
            (&Method::GET, ["operator-log"]) => operator_log::page(asked, head.uri.query()).await,
            (&Method::GET, ["venue", "balances"]) => venue::balances(asked).await,
            (&Method::POST, ["venue", "withdrawals"]) => venue::withdraw(asked, body).await,
            (&Method::GET, ["fee-tiers"]) => Ok(fees::tiers(asked)),
            (&Method::PUT, ["fee-tiers"]) => fees::set_tiers(asked, body).await,
            (&Method::GET, ["fee-discount"]) => Ok(discount::show(asked)),
            (&Method::PUT, ["fee-discount"]) => discount::set(asked, body).await,
            (&Method::GET, ["exchange-filters"]) => Ok(exchange::filters(asked)),
            (&Method::PATCH, ["exchange-filters"]) => exchange::change(asked, body).await,
            (&Method::GET, ["rules"]) => rules(asked, Rules::default()).await,
            (&Method::POST, ["rules"]) => rules(asked, request::rules(body)?).await,
            (&Method::GET, ["audit"]) => self.audit().await,
            _ => Err(AdminError::not_found("There is no such operation; docs/admin-api.md has them all.")),
        }
    }

    /// Whose token the request has.
    fn operator(&self, request: &Request<Incoming>) -> Option<Identity> {
        let header = request.headers().get(AUTHORIZATION).map_or(&b""[..], HeaderValue::as_bytes);
        let given = header.strip_prefix(b"Bearer ").unwrap_or_default();
        self.tokens.admit(given)
    }

    async fn audit(&self) -> Result<Value, AdminError> {
        let reports = self.gateway.commands.audit().await.map_err(not_accepted)?;
        let mut sums = BTreeMap::<AssetId, Amount>::new();
        for (&id, &sum) in reports.iter().flat_map(|report| &report.sums) {
            let total = sums.entry(id).or_default();
            *total = total.plus(sum);
        }
        let mut assets = serde_json::Map::new();
        for (&id, &sum) in &sums {
            let asset = self.gateway.read_model.registry().asset(id).copied();
            let (name, decimals) =
                asset.map_or_else(|| (id.to_string(), 0), |asset| (asset.name.to_string(), asset.decimals));
            let sum = if sum.is_zero() { "0".to_owned() } else { amount_text(sum, decimals) };
            assets.insert(name, json!({ "sum": sum }));
        }
        let ok = |report: &AuditReport| {
            report.violations.is_empty() && report.sums.values().all(|sum: &Amount| sum.is_zero())
        };
        let is_ok = reports.iter().all(ok);
        metrics::gauge!("crossbook_audit_ok").set(f64::from(u8::from(is_ok)));
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        metrics::gauge!("crossbook_audit_timestamp_seconds").set(now.map_or(0.0, |since| since.as_secs_f64()));
        let mut told = json!({ "assets": assets, "ok": is_ok });
        let stand = |report: &AuditReport| {
            json!({
                "sequence": report.sequence,
                "stateHash": hex::encode(report.state_hash),
                "violations": report.violations,
            })
        };
        match (reports.as_slice(), &mut told) {
            ([report], Value::Object(told)) => {
                if let Value::Object(mut stand) = stand(report) {
                    told.append(&mut stand);
                }
            }
            (reports, told) => told["partitions"] = reports.iter().map(stand).collect(),
        }
        Ok(told)
    }
}

impl Admin {
    /// By how many commands, in all partitions, and by how many microseconds at most the history is behind the venue.
    fn history_lag(&self, history: &dyn History) -> (u64, u64) {
        let (mut commands, mut micros) = (0, 0);
        for Standing { partition, position } in self.gateway.read_model.standings() {
            let lag = position.map_or((0, 0), |live| history.lag(partition, live));
            (commands, micros) = (commands + lag.0, micros.max(lag.1));
        }
        (commands, micros)
    }

    /// The venue is open. The state of its history and its partitions is reported separately: trading needs no history,
    /// and while a partition is silent the others continue to trade.
    fn ready(&self) -> Value {
        let mut told = json!({ "status": "ready" });
        for (name, detail) in &self.details {
            told[*name] = detail();
        }
        if let Some(history) = self.gateway.past.history() {
            told["history"] = self.history(history);
        }
        let partitions = self.gateway.commands.partitions();
        if !partitions.is_empty() {
            told["partitions"] = partitions.iter().map(partition).collect();
        }
        told
    }

    fn history(&self, history: &dyn History) -> Value {
        let (commands, micros) = self.history_lag(history);
        // Where the rows of one partition are behind or failing, they are for the whole.
        let statuses: Vec<Status> = history.statuses();
        let worst = statuses.iter().min_by_key(|status| rank(&status.activity));
        let mut told = json!({
            "state": worst.map(|status| status.activity.as_str()),
            "lagCommands": commands,
            "lagSeconds": micros / 1_000_000,
        });
        let lost: u64 = statuses.iter().map(|status| status.files_lost).sum();
        if lost > 0 {
            told["filesLost"] = lost.into();
        }
        if let [status] = statuses.as_slice() {
            // Where the tables stand is not known before they were first looked at.
            told["sequence"] = status.position.map(|position| position.0).into();
        }
        if let Some(Activity::Failing(error)) = worst.map(|status| &status.activity) {
            told["error"] = error.as_str().into();
        }
        told
    }

    /// A gateway of a cluster knows its queues when it is asked; a venue in one process records them as they change.
    fn measure_queues(&self) {
        let partitions = self.gateway.commands.partitions();
        if !partitions.is_empty() {
            let queued = partitions.iter().map(|partition| partition.queued as f64).sum::<f64>();
            metrics::gauge!("crossbook_queue_depth", "stage" => "log").set(queued);
        }
    }

    /// The lag grows while nobody writes, so it is measured on request.
    fn measure_history(&self) {
        if let Some(history) = self.gateway.past.history() {
            let (commands, micros) = self.history_lag(history);
            metrics::gauge!("crossbook_history_lag_commands").set(commands as f64);
            metrics::gauge!("crossbook_history_lag_seconds").set(micros as f64 / 1e6);
        }
    }
}

impl Service for Admin {
    const NAME: &'static str = "admin";

    fn refuse(&self, error: RequestError) -> Response<ResponseBody> {
        AdminError::from(error).response()
    }

    async fn answer(&self, _: IpAddr, request: Request<Incoming>) -> Response<ResponseBody> {
        let request = server::head_as_get(request);
        if request.method() == Method::GET
            && let Some(file) = console::answer(self.console, request.uri().path())
        {
            return file;
        }
        let answer = match (request.method(), request.uri().path()) {
            (&Method::GET, "/healthz") => Ok(json!({ "status": "ok" })),
            (&Method::GET, "/readyz") if self.gateway.is_draining() => Err(AdminError::stopping()),
            (&Method::GET, "/readyz") => Ok(self.ready()),
            (&Method::GET, "/admin/v1/openapi.json") => Ok(openapi::document()),
            (&Method::GET, "/metrics") => {
                self.measure_history();
                self.measure_queues();
                let mut response = Response::new((self.metrics)().into());
                let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
                response.headers_mut().insert(CONTENT_TYPE, kind);
                return response;
            }
            _ => self.route(request).await,
        };
        match answer {
            Ok(value) => respond(JSON, line(&value)),
            Err(error) => {
                let mut response = error.response();
                if error.status == StatusCode::UNAUTHORIZED {
                    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
                }
                response
            }
        }
    }
}

/// An answer as people see it in a terminal: whatever is printed next begins on a line of its own.
pub(crate) fn line(value: &Value) -> String {
    format!("{value}\n")
}

async fn list_asset(asked: &Asked<'_>, body: &Bytes) -> Result<Value, AdminError> {
    let NewAsset { asset, decimals } = read(body)?;
    request::new_name("asset", asset.as_str())?;
    match submit(asked, Body::ListAsset(ListAsset { name: asset, decimals })).await? {
        Answer::AssetListed(id) => Ok(json!({ "asset": asset, "assetId": id, "decimals": decimals })),
        _ => Err(AdminError::internal()),
    }
}

/// A partition as this gateway sees it.
fn partition(status: &PartitionStatus) -> Value {
    let PartitionStatus { partition, silent, queued, under_way, applied, log_end } = *status;
    json!({
        "partition": partition,
        "state": if silent { "silent" } else { "answering" },
        "queued": queued,
        "inFlight": under_way,
        "applied": applied,
        "logEnd": log_end,
    })
}

/// How far a writer is from doing its work, the farthest first.
fn rank(activity: &Activity) -> u8 {
    match activity {
        Activity::Failing(_) => 0,
        Activity::Stopped => 1,
        Activity::Connecting => 2,
        Activity::Waiting => 3,
        Activity::Replaying => 4,
        Activity::Following => 5,
    }
}

/// Sends a command and waits for its answer.
async fn submit(asked: &Asked<'_>, body: Body) -> Result<Answer, AdminError> {
    asked.submit(body).await?.outcome.map_err(|_| AdminError::internal())
}

/// The rules that commands are applied under, once these are active; they are never taken back, so that to ask for the
/// first does nothing but ask.
async fn rules(asked: &Asked<'_>, rules: Rules) -> Result<Value, AdminError> {
    match submit(asked, Body::ActivateRules(rules)).await? {
        Answer::RulesActive(active) => Ok(json!({ "active": active.number(), "newest": Rules::NEWEST.number() })),
        _ => Err(AdminError::internal()),
    }
}
