//! The operator's API: listing, accounts, keys, deposits and withdrawals, the audit. It has an address of its own, and
//! operators with bearer tokens and roles ([`Role`]). Requests and answers are JSON; decimals are strings;
//! `docs/admin-api.md` describes them all. Until the venue is up, [`startup`] answers in its place.

mod defaults;
mod discount;
mod error;
mod exchange;
mod fees;
mod listing;
mod market;
mod openapi;
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
use crossbook_protocol::command::{
    Body, IssueApiKey, ListAsset, OpenAccount, RevokeApiKey, SetTradeGroup, TransferRequest,
};
use crossbook_protocol::registry::{Credential, Permissions};
use crossbook_protocol::{Answer, Rules};
use crossbook_types::{AccountId, Amount, ApiKeyId, Asset, AssetId};
use http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crossbook_gateway::auth;
use crossbook_gateway::command_port::Subject;
use crossbook_gateway::gateway::not_accepted;
use crossbook_gateway::read_model::Standing;
use crossbook_gateway::secret::{KEY_CHARACTERS, random_text};
use crossbook_gateway::{Gateway, Reply};
use crossbook_http::server::{self, RequestError, Service, respond};
use error::{AdminError, JSON};
use render::amount_text;
use request::{AccountChange, NewAccount, NewAsset, NewKey, NewTransfer, Number, read};
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
    metrics: Metrics,
    details: Vec<(&'static str, Detail)>,
}

impl Admin {
    /// The same, whose `/readyz` also has the value of `detail` under `name`.
    #[must_use]
    pub fn with_detail(mut self, name: &'static str, detail: Detail) -> Self {
        self.details.push((name, detail));
        self
    }

    /// Serves the operator who knows one of `tokens`, within these bounds. `/healthz`, `/readyz` and `/metrics` need no
    /// token.
    #[must_use]
    pub fn new(gateway: Arc<Gateway>, bounds: ServerConfig, tokens: impl Into<Tokens>, metrics: Metrics) -> Self {
        Self { gateway, bounds, tokens: tokens.into(), metrics, details: Vec::new() }
    }

    async fn route(&self, request: Request<Incoming>) -> Result<Value, AdminError> {
        let operator = self.operator(&request).ok_or_else(AdminError::unauthorized)?;
        let path = request.uri().path().strip_prefix("/admin/v1/").unwrap_or_default();
        roles::check(operator.role, request.method(), path)?;
        // What another gateway has answered must be known here.
        self.gateway.caught_up(Subject::Registry).await?;
        let (parts, body) = request.into_parts();
        let body = server::read_body(body, &self.bounds).await?;
        let path = parts.uri.path().strip_prefix("/admin/v1/").unwrap_or_default().split('/');
        let path: Vec<_> = path.map(|segment| percent_decode_str(segment).decode_utf8_lossy()).collect();
        match (&parts.method, path.iter().map(|segment| &**segment).collect::<Vec<_>>().as_slice()) {
            (&Method::GET, ["operator"]) => Ok(json!({ "operator": &*operator.name, "role": operator.role.name() })),
            (&Method::GET, ["assets"]) => listing::assets(&self.gateway, parts.uri.query()),
            (&Method::POST, ["assets"]) => self.list_asset(&body).await,
            (&Method::GET, ["markets"]) => listing::markets(&self.gateway, parts.uri.query()),
            (&Method::POST, ["markets"]) => market::list(&self.gateway, &body).await,
            (&Method::PATCH, ["markets", symbol]) => market::change(&self.gateway, symbol, &body).await,
            (&Method::DELETE, ["markets", symbol]) => market::delist(&self.gateway, symbol).await,
            (&Method::GET, ["markets", symbol, "session"]) => session::show(&self.gateway, symbol),
            (&Method::POST, ["markets", symbol, "session", "end"]) => session::end(&self.gateway, symbol).await,
            (&Method::POST, ["markets", symbol, "session", "auction"]) => {
                session::open_auction(&self.gateway, symbol, &body).await
            }
            (&Method::PUT, ["markets", symbol, "breaker"]) => session::set_breaker(&self.gateway, symbol, &body).await,
            (&Method::DELETE, ["markets", symbol, "breaker"]) => session::remove_breaker(&self.gateway, symbol).await,
            (&Method::PUT, ["markets", symbol, "price-range"]) => {
                reference::set_price_range(&self.gateway, symbol, &body).await
            }
            (&Method::DELETE, ["markets", symbol, "price-range"]) => {
                reference::remove_price_range(&self.gateway, symbol).await
            }
            (&Method::PUT, ["markets", symbol, "reference"]) => reference::set(&self.gateway, symbol, &body).await,
            (&Method::DELETE, ["markets", symbol, "reference"]) => reference::remove(&self.gateway, symbol).await,
            (&Method::PUT, ["markets", symbol, "reference", "price"]) => {
                reference::set_price(&self.gateway, symbol, &body).await
            }
            (&Method::DELETE, ["markets", symbol, "reference", "price"]) => {
                reference::remove_price(&self.gateway, symbol).await
            }
            (&Method::GET, ["accounts"]) => listing::accounts(&self.gateway, parts.uri.query()),
            (&Method::POST, ["accounts"]) => self.open_account(&body).await,
            (&Method::GET, ["accounts", id]) => self.account(id).await,
            (&Method::GET, ["accounts", id, "fees"]) => fees::of_account(&self.gateway, account_id(id)?),
            (&Method::PUT, ["accounts", id, "fees"]) => fees::set(&self.gateway, account_id(id)?, &body).await,
            (&Method::GET, ["accounts", id, "fee-discount"]) => discount::of_account(&self.gateway, account_id(id)?),
            (&Method::PUT, ["accounts", id, "fee-discount"]) => {
                discount::use_by(&self.gateway, account_id(id)?, &body).await
            }
            (&Method::PATCH, ["accounts", id]) => self.change_account(id, &body).await,
            (&Method::POST, ["accounts", id, "api-keys"]) => self.issue_key(id, &body).await,
            (&Method::DELETE, ["accounts", id, "api-keys", key]) => self.revoke_key(id, key).await,
            (&Method::POST, ["accounts", id, "deposits"]) => self.transfer(id, &body, 1).await,
            (&Method::POST, ["accounts", id, "withdrawals"]) => self.transfer(id, &body, -1).await,
            (&Method::GET, ["venue", "balances"]) => venue::balances(&self.gateway).await,
            (&Method::POST, ["venue", "withdrawals"]) => venue::withdraw(&self.gateway, &body).await,
            (&Method::GET, ["fee-tiers"]) => Ok(fees::tiers(&self.gateway)),
            (&Method::PUT, ["fee-tiers"]) => fees::set_tiers(&self.gateway, &body).await,
            (&Method::GET, ["fee-discount"]) => Ok(discount::show(&self.gateway)),
            (&Method::PUT, ["fee-discount"]) => discount::set(&self.gateway, &body).await,
            (&Method::GET, ["exchange-filters"]) => Ok(exchange::filters(&self.gateway)),
            (&Method::PATCH, ["exchange-filters"]) => exchange::change(&self.gateway, &body).await,
            (&Method::GET, ["rules"]) => rules(&self.gateway, Rules::default()).await,
            (&Method::POST, ["rules"]) => rules(&self.gateway, request::rules(&body)?).await,
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

    async fn list_asset(&self, body: &Bytes) -> Result<Value, AdminError> {
        let NewAsset { asset, decimals } = read(body)?;
        request::new_name("asset", asset.as_str())?;
        match submit(&self.gateway, Body::ListAsset(ListAsset { name: asset, decimals })).await? {
            Answer::AssetListed(id) => Ok(json!({ "asset": asset, "assetId": id, "decimals": decimals })),
            _ => Err(AdminError::internal()),
        }
    }

    async fn open_account(&self, body: &Bytes) -> Result<Value, AdminError> {
        let NewAccount { label } = read(body)?;
        match submit(&self.gateway, Body::OpenAccount(OpenAccount { label: label.clone() })).await? {
            Answer::AccountOpened(id) => Ok(json!({ "accountId": id, "label": label })),
            _ => Err(AdminError::internal()),
        }
    }

    async fn change_account(&self, id: &str, body: &Bytes) -> Result<Value, AdminError> {
        let account = account_id(id)?;
        let group = read::<AccountChange>(body)?.group()?;
        match submit(&self.gateway, Body::SetTradeGroup(SetTradeGroup { account, group })).await? {
            Answer::TradeGroupSet(_) => {
                let account = self.gateway.read_model.registry().account(account).cloned();
                Ok(render::account(&account.ok_or_else(AdminError::internal)?))
            }
            _ => Err(AdminError::internal()),
        }
    }

    async fn account(&self, id: &str) -> Result<Value, AdminError> {
        let id = account_id(id)?;
        self.gateway.caught_up(Subject::Account(id)).await?;
        let read_model = &self.gateway.read_model;
        let holdings = read_model.of_account(id).read().holdings(id).cloned();
        let orders = read_model.open_orders(id);
        // Copied out, because no command of the registry's partition is published while it is locked.
        let (account, keys, assets, markets) = {
            let registry = read_model.registry();
            let keys: Vec<_> = registry.api_keys(id).cloned().collect();
            (registry.account(id).cloned(), keys, registry.assets().to_vec(), registry.markets().to_vec())
        };
        let (account, holdings) =
            account.zip(holdings).ok_or_else(|| AdminError::not_found("There is no such account."))?;
        let balances = holdings.balances().iter().filter_map(|balance| {
            let asset = assets.get(balance.asset.0 as usize)?;
            let text = |amount: Amount| amount_text(amount, asset.decimals);
            Some(json!({ "asset": asset.name, "free": text(balance.free), "locked": text(balance.held) }))
        });
        let open_orders =
            orders.iter().filter_map(|order| Some(render::order(markets.get(order.terms.symbol.0 as usize)?, order)));
        let api_keys = keys.iter().map(|key| {
            let kind = match key.credential {
                Credential::Hmac { .. } => "HMAC",
                Credential::Ed25519 { .. } => "ED25519",
                Credential::Rsa { .. } => "RSA",
            };
            json!({
                "apiKey": key.key, "type": kind, "permissions": permission_names(key.permissions),
                "allowedIps": key.allowed_ips, "issued": key.issued.millis(),
            })
        });
        let mut shown = render::account(&account);
        shown["balances"] = balances.collect();
        shown["openOrders"] = open_orders.collect();
        shown["apiKeys"] = api_keys.collect();
        Ok(shown)
    }

    async fn issue_key(&self, id: &str, body: &Bytes) -> Result<Value, AdminError> {
        let account = account_id(id)?;
        let NewKey { permissions, public_key, allowed_ips } = read(body)?;
        let permissions = read_permissions(&permissions)?;
        if let Some(bad) = allowed_ips.iter().find(|text| auth::network(text).is_none()) {
            return Err(AdminError::invalid(format!(
                "allowedIps has {bad:?}; write addresses or networks such as 10.0.0.0/8."
            )));
        }
        let draw = || random_text(KEY_CHARACTERS).map_err(|_| AdminError::internal());
        let key = ApiKeyId::new_checked(&draw()?).map_err(|_| AdminError::internal())?;
        let (credential, secret) = match public_key {
            Some(pem) => (auth::public_key(&pem).map_err(|error| AdminError::invalid(error.to_string()))?, None),
            None => {
                let secret = SecretString::from(draw()?);
                let sealed = self.gateway.keyring.master_key().seal(&key, &secret).map_err(|error| {
                    tracing::error!(%error, "an API secret could not be sealed");
                    AdminError::internal()
                })?;
                (Credential::Hmac { sealed }, Some(secret))
            }
        };
        let body = Body::IssueApiKey(Box::new(IssueApiKey { account, key, permissions, credential, allowed_ips }));
        match submit(&self.gateway, body).await? {
            Answer::ApiKeyIssued(key) => {
                let mut answer = json!({ "apiKey": key, "permissions": permission_names(permissions) });
                if let Some(secret) = secret {
                    // Reported once.
                    answer["secretKey"] = json!(secret.expose_secret());
                }
                Ok(answer)
            }
            _ => Err(AdminError::internal()),
        }
    }

    async fn revoke_key(&self, id: &str, key: &str) -> Result<Value, AdminError> {
        let account = account_id(id)?;
        let key = ApiKeyId::new_checked(key).map_err(|_| AdminError::not_found("There is no such API key."))?;
        match submit(&self.gateway, Body::RevokeApiKey(RevokeApiKey { account, key })).await? {
            Answer::ApiKeyRevoked(key) => Ok(json!({ "apiKey": key, "revoked": true })),
            _ => Err(AdminError::internal()),
        }
    }

    /// Brings money in (`sign` 1) or out (`sign` -1).
    async fn transfer(&self, id: &str, body: &Bytes, sign: i128) -> Result<Value, AdminError> {
        let account = account_id(id)?;
        let NewTransfer { asset, amount, transfer_id } = read(body)?;
        let listed = self.gateway.read_model.registry().asset_named(asset.as_str()).copied();
        let asset = listed.ok_or_else(|| AdminError::not_found("There is no such asset; list it first."))?;
        let units = amount_above_zero(&amount, &asset)?.0;
        let request = TransferRequest { account, asset: asset.id, amount: Amount(sign * units), transfer: transfer_id };
        match submit(&self.gateway, Body::Transfer(request)).await? {
            Answer::Transferred(done) => Ok(json!({
                "accountId": account,
                "asset": asset.name,
                "amount": amount_text(Amount(done.amount.0 * sign), asset.decimals),
                "transferId": done.transfer,
                "time": done.time.millis(),
            })),
            _ => Err(AdminError::internal()),
        }
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
async fn submit(gateway: &Gateway, body: Body) -> Result<Answer, AdminError> {
    submit_for_reply(gateway, body).await?.outcome.map_err(|_| AdminError::internal())
}

/// The same, with all that is known of what the command has done.
async fn submit_for_reply(gateway: &Gateway, body: Body) -> Result<Reply, AdminError> {
    Ok(gateway.submit(body, None).await?)
}

/// An amount of an asset in its smallest unit.
fn amount_above_zero(amount: &Number, asset: &Asset) -> Result<Amount, AdminError> {
    let units = amount.decimal("amount")?.rescale(asset.decimals);
    units.filter(|units| (1..=Amount::MAX.0).contains(units)).map(Amount).ok_or_else(|| {
        AdminError::invalid(format!(
            "amount must be above zero, with at most {} digits after the point.",
            asset.decimals
        ))
    })
}

fn account_id(text: &str) -> Result<AccountId, AdminError> {
    text.parse().map(AccountId).map_err(|_| AdminError::not_found("There is no such account."))
}

fn read_permissions(names: &[String]) -> Result<Permissions, AdminError> {
    let mut permissions = Permissions { read: false, trade: false };
    for name in names {
        match name.as_str() {
            "READ" => permissions.read = true,
            "TRADE" => permissions.trade = true,
            _ => return Err(AdminError::invalid(format!("permissions has {name:?}; there are READ and TRADE."))),
        }
    }
    if names.is_empty() {
        return Err(AdminError::invalid("permissions must have READ, TRADE or both.".to_owned()));
    }
    Ok(permissions)
}

fn permission_names(permissions: Permissions) -> Vec<&'static str> {
    let named = [("READ", permissions.read), ("TRADE", permissions.trade)];
    named.into_iter().filter_map(|(name, has)| has.then_some(name)).collect()
}

/// The rules that commands are applied under, once these are active; they are never taken back, so that to ask for the
/// first does nothing but ask.
async fn rules(gateway: &Gateway, rules: Rules) -> Result<Value, AdminError> {
    match submit(gateway, Body::ActivateRules(rules)).await? {
        Answer::RulesActive(active) => Ok(json!({ "active": active.number(), "newest": Rules::NEWEST.number() })),
        _ => Err(AdminError::internal()),
    }
}
