//! The WebSocket API: the same operations as over HTTP, with an id that matches answers to requests, and the events of
//! accounts.
//!
//! Requests of one connection are executed in the order in which they arrive, but an order does not wait for the answer
//! to the previous one: answers are sent as they are ready.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use axum::response::Response;
use crossbook_types::{AccountId, ApiKeyId, Timestamp};
use http::StatusCode;
use serde_json::{Value, json};
use tungstenite::Utf8Bytes;

mod cancel_on_disconnect;
mod envelope;
mod request;

use crate::app::App;
use crate::error::{self, ApiError};
use crate::operations::{self, Caller, Operation, Transport};
use crate::parameters::Parameters;
use crate::signature;
use crate::streams::hub::{ConnectionKind, Membership, user_envelope};
use crate::streams::outbox::{Closing, Outbox};
use crate::streams::socket;
use crate::streams::socket::{Session as _, Upgrade};
use crate::time_unit::TimeUnit;
use crate::user_stream;
use cancel_on_disconnect::CancelOnDisconnect;
use crossbook_gateway::auth::{self, AuthError, Identity, Security};
use crossbook_gateway::clock::now;
use envelope::{Envelope, Usage};
use request::Request;

/// What it weighs to connect, and what the session's own requests weigh.
const SESSION_WEIGHT: u64 = 2;
/// Subscriptions to accounts that one connection can make in its life.
const SUBSCRIPTIONS_PER_LIFE_MAX: u32 = 65_535;
/// Parameters of requests that are read here, not by the operations.
const READ_HERE: &[&str] = &["apiKey", "returnRateLimits"];

/// Opens a connection to the API, with times in that unit. `return_rate_limits` is the query parameter of that name, if
/// it was given.
pub fn open(
    app: &Arc<App>,
    ip: IpAddr,
    upgrade: Upgrade,
    return_rate_limits: Option<bool>,
    unit: TimeUnit,
) -> Response {
    let now = now();
    let charge = || app.gateway.limits.charge(ip, SESSION_WEIGHT, now).map_err(ApiError::from);
    let admitted = app.connections().admit(ip).and_then(|()| charge());
    if let Err(refused) = admitted {
        return error::respond(&refused);
    }
    let config = &app.config.streams;
    let outbox = Outbox::new(&app.hub.budget, config.send_queue_bytes_max, false);
    let session = ApiSession {
        membership: app.hub.connect_in(unit, ConnectionKind::Api, ip, outbox),
        app: Arc::clone(app),
        ip,
        connected: now,
        logon: None,
        noted: Timestamp(0),
        revoked: false,
        unit,
        return_rate_limits: return_rate_limits.unwrap_or(true),
        subscriptions_made: 0,
        logon_subscription: None,
        cancel_on_disconnect: None,
    };
    upgrade.grant(session, socket::Limits::of_api(config, app.config.reply_timeout_ms))
}

/// A key that signed a logon.
#[derive(Clone, Copy, Debug)]
struct Logon {
    key: ApiKeyId,
    account: AccountId,
    since: Timestamp,
}

/// A connection's side of the conversation.
struct ApiSession {
    membership: Membership,
    app: Arc<App>,
    ip: IpAddr,
    connected: Timestamp,
    logon: Option<Logon>,
    /// When it was last noted that the logon's key was used.
    noted: Timestamp,
    /// Whether the present request has ended the logon, because its key is not valid any more.
    revoked: bool,
    unit: TimeUnit,
    return_rate_limits: bool,
    subscriptions_made: u32,
    /// The subscription that ends with the logon.
    logon_subscription: Option<u32>,
    /// What cancels the account's orders when the logon ends.
    cancel_on_disconnect: Option<CancelOnDisconnect>,
}

impl socket::Session for ApiSession {
    type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

    fn outbox(&self) -> &Arc<Outbox> {
        self.membership.outbox()
    }

    fn receive(&mut self, text: Utf8Bytes) -> Option<Self::Work> {
        let request = match Request::parse(&text) {
            Ok(request) => request,
            Err((id, error)) => {
                let envelope = Envelope::new(id, self.return_rate_limits, self.unit);
                let now = now();
                let error = self.app.gateway.limits.charge(self.ip, 1, now).err().map_or(error, ApiError::from);
                self.refuse(&envelope, &error, &Usage::default(), now);
                return None;
            }
        };
        let with_limits = request.return_rate_limits.unwrap_or(self.return_rate_limits);
        let envelope = Envelope::new(request.id.clone(), with_limits, self.unit);
        let now = now();
        match operations::by_method(&request.method).filter(|(_, operation)| self.app.has(operation)) {
            Some(found) => self.operation(found, request, envelope, now),
            None => {
                self.of_session(&request, &envelope, now);
                None
            }
        }
    }
}

impl ApiSession {
    /// Checks a request for an operation and begins it.
    fn operation(
        &mut self,
        (index, operation): (usize, &'static Operation),
        request: Request,
        envelope: Envelope,
        now: Timestamp,
    ) -> Option<Pin<Box<dyn Future<Output = ()> + Send>>> {
        let admitted = if operation.is_order() { self.app.gateway.admit_order(self.ip, now) } else { Ok(()) };
        if let Err(error) = admitted.map_err(ApiError::from) {
            self.app.rejections.count(operation, &error);
            self.refuse(&envelope, &error, &Usage::of(&self.app, self.ip, None), now);
            return None;
        }
        let names = (operation.name, Transport::WebSocket.name());
        // Requests of a connection have no headers.
        let begun = || self.app.gateway.traces.begin(names, Instant::now(), || None);
        let trace = if operation.is_order() { begun() } else { None };
        let parameters = request.parameters();
        let weight = parameters.as_ref().map_or(1, |parameters| operation.weight(parameters));
        let charged = self.app.gateway.limits.charge(self.ip, weight, now).map_err(ApiError::from);
        let checked = charged.and(parameters).and_then(|parameters| self.check(operation, &request, &parameters, now));
        let (app, outbox, ip) = (Arc::clone(&self.app), Arc::clone(self.outbox()), self.ip);
        let caller = match checked {
            Ok(caller) => Caller { trace, ..caller },
            Err(error) => {
                self.app.rejections.count(operation, &error);
                self.refuse(&envelope, &error, &Usage::of(&app, ip, None), now);
                if let Some(trace) = &trace {
                    app.gateway.traces.end(trace, Some(error.code));
                }
                return None;
            }
        };
        let start = Instant::now();
        Some(Box::pin(async move {
            let outcome = match request.parameters() {
                Ok(parameters) => operations::run(app.shared(), operation, &parameters, &caller).await,
                Err(error) => Err(error),
            };
            app.ws_api_latencies.record(index, start.elapsed());
            if let Some(trace) = &caller.trace {
                app.gateway.traces.end(trace, outcome.as_ref().err().map(|error| error.code));
            }
            let later = crossbook_gateway::clock::now();
            let text = match outcome {
                Ok(outcome) => {
                    if outcome.free {
                        app.gateway.limits.refund(ip, weight, now, later);
                    }
                    let usage = Usage { orders: outcome.orders, ..Usage::of(&app, ip, None) };
                    envelope.result(&outcome.json, &usage)
                }
                Err(error) => {
                    app.rejections.count(operation, &error);
                    let placed_by = caller.identity.filter(|_| operation.is_order());
                    envelope.error(&error, &Usage::of(&app, ip, placed_by.map(|identity| identity.account)), later)
                }
            };
            outbox.push(text);
        }))
    }

    /// Finds out who asks, and whether all is in order.
    fn check(
        &mut self,
        operation: &Operation,
        request: &Request,
        parameters: &Parameters<'_>,
        now: Timestamp,
    ) -> Result<Caller, ApiError> {
        let mut caller = Caller {
            transport: Transport::WebSocket,
            unit: self.unit,
            identity: None,
            deadline: None,
            now,
            trace: None,
        };
        if operation.security != Security::Public {
            let identity = if operation.by_key_alone { self.named(request)? } else { self.identity(request)? };
            if !operation.by_key_alone && !request.is_signed() {
                self.app.gateway.keyring.note_session(identity.key, self.ip, &mut self.noted, now);
            }
            identity.require(operation.security)?;
            caller.identity = Some(identity);
            if !operation.by_key_alone {
                caller.deadline = Some(signature::timing(parameters, now)?);
            }
        }
        operation.check(parameters, |name| READ_HERE.contains(&name) || request.says_twice(name))?;
        Ok(caller)
    }

    /// Who signed the request, or else who has logged on.
    fn identity(&mut self, request: &Request) -> Result<Identity, ApiError> {
        if request.is_signed() {
            return self.signer(request);
        }
        let Some(logon) = self.logon else {
            return Err(match request.get("apiKey") {
                Some(_) => ApiError::mandatory("signature"),
                None => ApiError::mandatory("apiKey"),
            });
        };
        let registry = self.app.gateway.read_model.registry();
        match registry.api_key(logon.key.as_str()) {
            Some(key) if key.account == logon.account => {
                Ok(Identity { account: key.account, key: key.key, permissions: key.permissions })
            }
            _ => {
                drop(registry);
                (self.logon, self.revoked) = (None, true);
                Err(AuthError::KeyRejected.into())
            }
        }
    }

    /// Whose API key the request names.
    fn named(&self, request: &Request) -> Result<Identity, ApiError> {
        let key = request.get("apiKey").ok_or_else(|| ApiError::mandatory("apiKey"))?;
        let claim = auth::claim(&self.app.gateway.read_model, &self.app.gateway.keyring, Some(key))?;
        Ok(claim.by_name(self.ip)?)
    }

    /// Checks the request's own signature.
    fn signer(&self, request: &Request) -> Result<Identity, ApiError> {
        let key = request.get("apiKey").map(str::to_owned).or_else(|| self.logon.map(|logon| logon.key.to_string()));
        let signature = request.get("signature").ok_or_else(|| ApiError::mandatory("signature"))?;
        let claim = auth::claim(&self.app.gateway.read_model, &self.app.gateway.keyring, key.as_deref())?;
        Ok(claim.prove(self.ip, request.signed_payloads(), &signature::as_signed(signature))?)
    }

    /// Answers a request that is about the connection itself.
    fn of_session(&mut self, request: &Request, envelope: &Envelope, now: Timestamp) {
        self.membership.forget_ended();
        let answered =
            self.app.gateway.limits.charge(self.ip, SESSION_WEIGHT, now).map_err(ApiError::from).and_then(|_| {
                match &*request.method {
                    "session.logon" => self.log_on(request, envelope, now),
                    "session.status" => Ok(Some(self.status(now))),
                    "session.logout" => {
                        self.log_out(now);
                        Ok(Some(self.status(now)))
                    }
                    "session.subscriptions" => {
                        let numbers = self.membership.accounts().iter();
                        Ok(Some(numbers.map(|(number, _)| json!({"subscriptionId": number})).collect()))
                    }
                    "userDataStream.subscribe" => {
                        let identity = match self.logon {
                            Some(_) => self.identity(request)?,
                            None => return Err(ApiError::key_format()),
                        };
                        if request.is_signed() {
                            // A signature never counts without its time: a captured one would open the stream without
                            // limit.
                            signature::timing(&request.parameters()?, now)?;
                        }
                        self.logon_subscription = Some(self.subscribe(&identity, envelope)?);
                        Ok(None)
                    }
                    "userDataStream.subscribe.signature" => {
                        let identity = self.identity(request)?;
                        signature::timing(&request.parameters()?, now)?;
                        self.subscribe(&identity, envelope).map(|_| None)
                    }
                    "userDataStream.unsubscribe" => self.unsubscribe(request, now).map(Some),
                    _ => Err(ApiError::bad_request(-1020, "This operation is not supported.")),
                }
            });
        let usage = Usage::of(&self.app, self.ip, None);
        match answered {
            Ok(Some(result)) => self.outbox().push(envelope.result(&result.to_string(), &usage)),
            // The answer is in flight already, ahead of the first event.
            Ok(None) => {}
            Err(error) => self.refuse(envelope, &error, &usage, now),
        }
    }

    /// Answers with an error. If the key of the logon has been revoked, the error concerns the session and not the
    /// request, so it has no id; a banned client is disconnected.
    fn refuse(&mut self, envelope: &Envelope, error: &ApiError, usage: &Usage, now: Timestamp) {
        let text = if std::mem::take(&mut self.revoked) {
            envelope.without_id().error(error, usage, now)
        } else {
            envelope.error(error, usage, now)
        };
        self.outbox().push(text);
        if error.status == StatusCode::IM_A_TEAPOT {
            self.outbox().close(Closing::Banned);
        }
    }

    /// Logs on. Gives the answer, unless that has to wait until the session's countdown runs.
    fn log_on(&mut self, request: &Request, envelope: &Envelope, now: Timestamp) -> Result<Option<Value>, ApiError> {
        if request.get("apiKey").is_none() {
            return Err(ApiError::mandatory("apiKey"));
        }
        let identity = self.signer(request)?;
        signature::timing(&request.parameters()?, now)?;
        let cancels = request.parameters()?.boolean("cancelOnDisconnect")?;
        if cancels {
            identity.require(Security::Trade)?;
        }
        self.logon = Some(Logon { key: identity.key, account: identity.account, since: now });
        self.cancel_on_disconnect = None;
        if !cancels {
            return Ok(Some(self.status(now)));
        }
        let mut status = self.status(now);
        status["cancelOnDisconnect"] = true.into();
        let (app, outbox, envelope, ip) = (Arc::clone(&self.app), Arc::clone(self.outbox()), envelope.clone(), self.ip);
        let answer = move |started: Result<(), ApiError>| {
            let usage = Usage::of(&app, ip, None);
            outbox.push(match started {
                Ok(()) => envelope.result(&status.to_string(), &usage),
                Err(error) => envelope.error(&error, &usage, crossbook_gateway::clock::now()),
            });
        };
        self.cancel_on_disconnect = Some(cancel_on_disconnect::start(Arc::clone(&self.app.gateway), identity, answer));
        Ok(None)
    }

    fn log_out(&mut self, now: Timestamp) {
        self.logon = None;
        self.cancel_on_disconnect = None;
        if let Some(number) = self.logon_subscription.take() {
            self.end_subscription(number, now);
        }
    }

    fn status(&self, now: Timestamp) -> Value {
        json!({
            "apiKey": self.logon.map(|logon| logon.key.to_string()),
            "authorizedSince": self.logon.map(|logon| self.unit.of(logon.since)),
            "connectedSince": self.unit.of(self.connected),
            "returnRateLimits": self.return_rate_limits,
            "serverTime": self.unit.of(now),
            "userDataStream": !self.membership.accounts().is_empty(),
        })
    }

    /// Subscribes to the events of the account and answers. Gives the subscription's number.
    fn subscribe(&mut self, identity: &Identity, envelope: &Envelope) -> Result<u32, ApiError> {
        identity.require(Security::Read)?;
        let current = self.membership.accounts();
        if current.iter().any(|(_, account)| *account == identity.account) {
            return Err(ApiError::bad_request(-2035, "User Data Stream subscription already active."));
        }
        let max = self.app.config.streams.account_subscriptions_max;
        if current.len() >= max {
            let message =
                format!("Too many subscriptions. Connection may create up to '{max}' subscriptions at a time.");
            return Err(ApiError::bad_request(-1191, message));
        }
        if self.subscriptions_made >= SUBSCRIPTIONS_PER_LIFE_MAX {
            let message = "Maximum subscription ID reached for this connection.";
            return Err(ApiError::bad_request(-2042, message));
        }
        let number = self.subscriptions_made;
        self.subscriptions_made += 1;
        let usage = Usage::of(&self.app, self.ip, None);
        let answer = envelope.result(&json!({"subscriptionId": number}).to_string(), &usage);
        self.membership.subscribe_account(identity.account, identity.key, number, answer.into());
        // The key may have been revoked since it was looked up, and its sessions notified before this one was among
        // them. If it still is in the registry now, a revocation finds this subscription.
        if self.app.gateway.read_model.registry().api_key(identity.key.as_str()).is_none() {
            self.end_subscription(number, now());
        }
        Ok(number)
    }

    fn unsubscribe(&mut self, request: &Request, now: Timestamp) -> Result<Value, ApiError> {
        let numbers: Vec<u32> = match request.parameters()?.integer("subscriptionId")? {
            None => self.membership.accounts().iter().map(|(number, _)| *number).collect(),
            Some(wanted) => {
                let known = self.membership.accounts().iter().map(|(number, _)| *number);
                let found: Vec<u32> = known.filter(|number| u64::from(*number) == wanted).collect();
                if found.is_empty() {
                    return Err(ApiError::bad_request(-2036, "User Data Stream subscription not active."));
                }
                found
            }
        };
        for number in numbers {
            self.end_subscription(number, now);
        }
        Ok(json!({}))
    }

    fn end_subscription(&mut self, number: u32, now: Timestamp) {
        if self.membership.unsubscribe_account(number) {
            self.outbox().push(user_envelope(number, &user_stream::terminated(self.unit, now)));
        }
        if self.logon_subscription == Some(number) {
            self.logon_subscription = None;
        }
    }
}
