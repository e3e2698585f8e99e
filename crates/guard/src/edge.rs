//! The path of a signed order through the gateway, from the client's bytes to the command, without the HTTP library and
//! the partition.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};

use aws_lc_rs::hmac;
use crossbook_api_binance::operations::{self, Caller, Shared, Transport};
use crossbook_api_binance::parameters::Parameters;
use crossbook_api_binance::rendered_markets::RenderedMarkets;
use crossbook_api_binance::streams::Hub;
use crossbook_api_binance::time_unit::TimeUnit;
use crossbook_api_binance::{ApiError, Config, signature};
use crossbook_gateway::auth::{self, Identity, Security};
use crossbook_gateway::command_port::Soon;
use crossbook_gateway::secret::{KEY_CHARACTERS, MasterKey};
use crossbook_gateway::{Assembly, CommandPort, Gateway, ReadModel, Subject};
use crossbook_node::embedded::AuditReport;
use crossbook_node::{NotAccepted, Request};
use crossbook_oracle::workload::Workload;
use crossbook_protocol::Events;
use crossbook_protocol::command::{Body, IssueApiKey};
use crossbook_protocol::registry::{Credential, Permissions};
use crossbook_types::{AccountId, ApiKeyId, SourceId, Timestamp};
use crossbook_views::{Limits as ViewLimits, Views};
use futures_util::FutureExt as _;
use secrecy::SecretString;

use crate::Failure;
use crate::venue::Venue;

const SECRET: &str = "a secret that only this client knows";
const SOURCE: SourceId = SourceId(1 << 20);
/// Where all requests come from.
const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// When all requests arrive, in milliseconds.
const NOW: u64 = 1_700_000_000_000;

/// A venue that is stopping: it takes down what it is asked, and takes nothing.
#[derive(Default)]
struct Closed {
    asked: Arc<Mutex<Vec<Body>>>,
}

impl CommandPort for Closed {
    fn source(&self) -> SourceId {
        SOURCE
    }

    fn submit(&self, request: Request) -> Result<(), NotAccepted> {
        self.asked.lock().map_err(|_| NotAccepted::Silent)?.push(request.body);
        Err(NotAccepted::Stopping)
    }

    fn audit(&self) -> Soon<'_, Vec<AuditReport>> {
        Box::pin(async { Err(NotAccepted::Stopping) })
    }

    fn queued(&self) -> usize {
        0
    }

    fn is_stopping(&self) -> bool {
        true
    }

    fn caught_up(&self, _: Subject) -> Option<Soon<'_>> {
        None
    }
}

/// A gateway, and requests for it.
pub struct Edge {
    gateway: Gateway,
    config: Config,
    markets: RenderedMarkets,
    hub: Hub,
    key: String,
    queries: Vec<String>,
    asked: Arc<Mutex<Vec<Body>>>,
}

impl Edge {
    /// With so many requests.
    pub fn new(requests: usize) -> Result<Self, Failure> {
        let key = "K".repeat(KEY_CHARACTERS);
        let master = MasterKey::from_hex(&SecretString::from("5a".repeat(32)))?;
        let id = ApiKeyId::new_checked(&key)?;
        let issued = Body::IssueApiKey(Box::new(IssueApiKey {
            account: AccountId::FIRST_CLIENT,
            key: id,
            permissions: Permissions { read: true, trade: true },
            credential: Credential::Hmac { sealed: master.seal(&id, &SecretString::from(SECRET))? },
            allowed_ips: Vec::new(),
        }));
        let (mut events, mut views) = (Events::new(), Views::new(ViewLimits::default()));
        Venue::opened(&Workload { commands: Vec::new(), warmup: 0 }, vec![issued], &mut events);
        events.iter().for_each(|(cause, events)| views.apply_all(cause, events));

        let mut config = Config::default();
        (config.limits.orders_10s, config.limits.orders_1d) = (0, 0);
        let asked = Arc::new(Mutex::new(Vec::with_capacity(requests)));
        let entrance = Box::new(Closed { asked: Arc::clone(&asked) });
        config.in_flight_max = requests;
        let gateway = Assembly::new(config.core(), ReadModel::single(views)).open(entrance, master, None);
        let queries = (0..requests).map(query).collect();
        let (markets, hub) = (RenderedMarkets::default(), Hub::new());
        let edge = Self { gateway, config, markets, hub, key, queries, asked };
        // The key is opened once and kept.
        edge.prove(&query(requests)).map_err(refused)?;
        Ok(edge)
    }

    /// Finds out who sent each request: the key, the signed text, the signature. The signature is most of it.
    pub fn prove_all(&self) -> Result<(), Failure> {
        self.queries.iter().try_for_each(|query| self.prove(query).map(drop)).map_err(refused)
    }

    /// Takes all requests, whose senders are known.
    pub fn take_all(&self) -> Result<(), Failure> {
        let identity = self.prove(&self.queries[0]).map_err(refused)?;
        for query in &self.queries {
            match self.take(query, identity) {
                Err(error) if error.code == ApiError::shutting_down().code => {}
                Err(error) => return Err(refused(error)),
                Ok(()) => return Err("a venue that is stopping has taken an order".into()),
            }
        }
        let asked = self.asked.lock().map_err(|_| "a request has panicked")?;
        let orders = asked.iter().filter(|body| matches!(body, Body::Place(_))).count();
        if orders == self.queries.len() { Ok(()) } else { Err("not every request became an order".into()) }
    }

    /// Authenticates a request as [`rest`](crossbook_api_binance::rest) does.
    fn prove(&self, query: &str) -> Result<Identity, ApiError> {
        let parameters = Parameters::parse(query, "")?;
        let claim = auth::claim(&self.gateway.read_model, &self.gateway.keyring, Some(&self.key))?;
        let payload = signature::signed_payload(query, "");
        let identity =
            claim.prove(ADDRESS, &[payload.as_bytes()], &signature::as_signed(parameters.required("signature")?))?;
        identity.require(Security::Trade)?;
        Ok(identity)
    }

    /// Takes a request as [`rest`](crossbook_api_binance::rest) does once its sender is known.
    fn take(&self, query: &str, identity: Identity) -> Result<(), ApiError> {
        let (gateway, now) = (&self.gateway, Timestamp(NOW * 1_000));
        let (_, operation) = operations::by_route("POST", "/api/v3/order").map_err(|_| ApiError::internal())?;
        let parameters = Parameters::parse(query, "")?;
        let weight = operation.weight(&parameters);
        gateway.limits.charge(ADDRESS, weight, now)?;
        let deadline = Some(signature::timing(&parameters, now)?);
        let (transport, unit) = (Transport::Rest, TimeUnit::default());
        let caller = Caller { transport, unit, identity: Some(identity), deadline, now, trace: None };
        operation.check(&parameters, |_| false)?;
        let Self { config, markets, hub, .. } = self;
        let shared = Shared { gateway, streams: &config.streams, markets, hub, listen_keys: &config.listen_keys };
        let outcome = operations::run(shared, operation, &parameters, &caller).now_or_never();
        gateway.limits.refund(ADDRESS, weight, now, now);
        outcome.unwrap_or_else(|| Err(ApiError::internal())).map(drop)
    }
}

fn refused(error: ApiError) -> Failure {
    format!("a request was refused: {error:?}").into()
}

/// A signed limit order.
fn query(at: usize) -> String {
    let side = if at.is_multiple_of(2) { "BUY" } else { "SELL" };
    let (price, quantity) = (1_000 + at % 50, 1 + at % 90);
    let parameters = format!(
        "symbol=BTCUSDT&side={side}&type=LIMIT&timeInForce=GTC&quantity=0.{quantity:05}&price={price}.25\
         &newClientOrderId=order-{at}&recvWindow=5000&timestamp={NOW}"
    );
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), parameters.as_bytes());
    format!("{parameters}&signature={}", hex::encode(signature))
}
