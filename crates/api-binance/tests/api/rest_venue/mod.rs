//! A venue in this process, set up over its own admin API: one market, two accounts with money and keys. The number of
//! partitions is a parameter: one is the embedded venue, several have the same gateway in front.

mod partitions;
mod turnstile;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use crossbeam_channel::Receiver;
use crossbook_api_admin::{Admin, Operator, Role, Tokens};
use crossbook_api_binance::rest::Rest;
use crossbook_api_binance::{App, Assembly, Config, shutdown};
use crossbook_engine::Partition;
use crossbook_gateway::publisher::Publisher;
use crossbook_gateway::secret::MasterKey;
use crossbook_gateway::{CommandPort, ReadModel};
use crossbook_http::server;
use crossbook_log::FileReader;
use crossbook_log::files::{Files, Options};
use crossbook_log::memory::Memory;
use crossbook_node::Handle;
use crossbook_node::embedded::{self, AuditReply, Running};
use crossbook_node::follower_copy::FollowerCopy;
use crossbook_node::recovery::Which;
use crossbook_node::snapshot::Folder;
use crossbook_protocol::routing::Routing;
use crossbook_types::{PartitionId, SymbolName};
use crossbook_views::{Limits as ViewLimits, Views};
use reqwest::Method;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::sync::watch;

use turnstile::Turnstile;

use crate::PARTITIONS;

pub const TOKEN: &str = "the operator's token";
/// A token for each role, besides that.
pub const ROLES: [(Role, &str); 4] = [
    (Role::Viewer, "the viewer's token"),
    (Role::Support, "the support's token"),
    (Role::Desk, "the desk's token"),
    (Role::Admin, "the admin's token"),
];

pub struct Venue {
    pub http: SocketAddr,
    pub admin: SocketAddr,
    pub app: Arc<App>,
    pub alice: Client,
    pub bob: Client,
    /// Set while there are too many orders.
    pub shut: Arc<AtomicBool>,
    pub turned_away: Arc<AtomicU64>,
    backend: Backend,
    /// Those of clients and of the operator, and what ends them.
    serving: [(tokio::task::JoinHandle<()>, watch::Sender<bool>); 2],
}

/// What is behind the gateway.
enum Backend {
    Node(Running<Files<Memory>, Publisher>),
    Partitions(partitions::Running),
}

/// The first market in another partition than the registry, the second in a third one.
fn routing(partitions: u16) -> Routing {
    let given = [("BTCUSDT", 1), ("ETHBTC", 2)];
    let names = given.map(|(name, at)| (SymbolName::new_checked(name).unwrap(), PartitionId(at % partitions)));
    Routing::new_checked(partitions, BTreeMap::new()).unwrap().with_names(BTreeMap::from(names)).unwrap()
}

/// An answer: status, headers, body.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Reply {
    pub fn code(&self) -> (u16, i64) {
        (self.status, self.body["code"].as_i64().unwrap_or(0))
    }

    pub fn text(&self) -> &str {
        self.body["msg"].as_str().unwrap_or_default()
    }

    pub fn header(&self, name: &str) -> u64 {
        self.headers[name].to_str().unwrap().parse().unwrap()
    }
}

/// Someone with an API key.
#[derive(Clone)]
pub struct Client {
    pub account: u64,
    pub key: String,
    pub secret: String,
    pub http: SocketAddr,
    pub client: reqwest::Client,
}

pub fn millis() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

async fn reply(request: reqwest::RequestBuilder) -> Reply {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await.unwrap();
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Reply { status, headers, body }
}

impl Client {
    pub fn sign(&self, payload: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.secret.as_bytes());
        hex::encode(hmac::sign(&key, payload.as_bytes()))
    }

    /// Sends a signed request with everything in the query.
    pub async fn send(&self, method: Method, path: &str, parameters: &str) -> Reply {
        let payload = format!("{parameters}&timestamp={}", millis());
        let payload = payload.trim_start_matches('&');
        let signature = self.sign(payload);
        self.raw(method, &format!("{path}?{payload}&signature={signature}"), None).await
    }

    /// Sends anything, with the key.
    pub async fn raw(&self, method: Method, path_and_query: &str, form: Option<String>) -> Reply {
        let url = format!("http://{}{path_and_query}", self.http);
        let mut request = self.client.request(method, url).header("X-MBX-APIKEY", &self.key);
        if let Some(form) = form {
            request = request.header("content-type", "application/x-www-form-urlencoded").body(form);
        }
        reply(request).await
    }

    pub async fn get(&self, path: &str, parameters: &str) -> Reply {
        self.send(Method::GET, path, parameters).await
    }

    pub async fn post(&self, path: &str, parameters: &str) -> Reply {
        self.send(Method::POST, path, parameters).await
    }

    pub async fn delete(&self, path: &str, parameters: &str) -> Reply {
        self.send(Method::DELETE, path, parameters).await
    }

    pub async fn order(&self, parameters: &str) -> Reply {
        self.post("/api/v3/order", parameters).await
    }

    /// A LIMIT GTC order in BTCUSDT.
    pub async fn limit(&self, side: &str, quantity: &str, price: &str) -> Value {
        let order = format!("symbol=BTCUSDT&side={side}&type=LIMIT&timeInForce=GTC&quantity={quantity}&price={price}");
        let reply = self.order(&order).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.body
    }

    /// Free and locked of an asset.
    pub async fn balance(&self, asset: &str) -> (String, String) {
        let account = self.get("/api/v3/account", "").await.body;
        let of = |b: &&Value| b["asset"] == asset;
        let balance = account["balances"].as_array().unwrap().iter().find(of).unwrap().clone();
        let text = |field: &str| balance[field].as_str().unwrap().to_owned();
        (text("free"), text("locked"))
    }
}

/// Answers audits of a venue from a copy that is made anew for each, as long as somebody may ask.
fn answer_audits(asked: Receiver<AuditReply>, node: Handle, log: Memory) {
    std::thread::spawn(move || {
        while !node.is_stopping() {
            let Ok(reply) = asked.recv_timeout(Duration::from_millis(100)) else { continue };
            let reader = |from| FileReader::open_in(log.clone(), from);
            let none = Folder::on(Memory::new(512));
            let copy = FollowerCopy::begin(&Which::single(0), &none, reader, node.durable(), (), || ()).unwrap();
            reply(copy.audit());
        }
    });
}

impl Venue {
    pub async fn start() -> Self {
        Self::start_with(Config::default()).await
    }

    pub async fn start_with(config: Config) -> Self {
        Self::start_in(PARTITIONS, config).await
    }

    pub async fn start_in(partitions: u16, config: Config) -> Self {
        Self::start_keeping(partitions, ViewLimits::default(), config).await
    }

    /// With views that keep no more than that.
    pub async fn start_keeping(partitions: u16, view_limits: ViewLimits, config: Config) -> Self {
        let routing = routing(partitions);
        let views = routing.all().map(|_| Views::new(view_limits.clone())).collect();
        let fatal = |reason| eprintln!("the venue failed: {reason}");
        let read_model = ReadModel::new_checked(routing.clone(), views).unwrap();
        let (assembly, _) = Assembly::start(config.clone(), read_model, fatal).unwrap();
        let publisher = |id| assembly.publisher(id);
        let (backend, entrance): (_, Box<dyn CommandPort>) = if partitions == 1 {
            let memory = Memory::new(512);
            let (log, _) = Files::open_in(memory.clone(), Options::default()).unwrap();
            let (partition, publisher) = (Partition::new(PartitionId(0), routing, 7), publisher(PartitionId(0)));
            let mut running = embedded::start(partition, log, publisher, embedded::Options::default(), fatal).unwrap();
            let handle = running.handle().clone();
            answer_audits(running.take_audits().unwrap(), handle.clone(), memory);
            (Backend::Node(running), Box::new(handle))
        } else {
            let running = partitions::Running::start(&routing, routing.all().map(publisher).collect());
            let door = running.door();
            (Backend::Partitions(running), Box::new(door))
        };
        let (shut, turned_away) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let entrance =
            Box::new(Turnstile { inner: entrance, shut: Arc::clone(&shut), turned_away: Arc::clone(&turned_away) });
        let master = MasterKey::from_hex(&SecretString::from("07".repeat(32))).unwrap();
        let app = assembly.open(entrance, master, None);
        app.gateway.watch_countdowns();
        app.gateway.watch_sessions();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let (http, admin) = (server::listen(any).unwrap(), server::listen(any).unwrap());
        let (http_at, admin_at) = (http.local_addr().unwrap(), admin.local_addr().unwrap());
        let rest = Arc::new(Rest::new(Arc::clone(&app), Vec::new()));
        let metrics = Box::new(|| "crossbook_up 1\n".to_owned());
        let (gateway, bounds) = (Arc::clone(&app.gateway), config.server.clone());
        let with_role = |(role, token): (Role, &str)| Operator::new(role.name(), role, SecretString::from(token));
        let operators = std::iter::once(SecretString::from(TOKEN).into()).chain(ROLES.map(with_role));
        let operator = Arc::new(Admin::new(gateway, bounds, Tokens::new(operators.collect()), metrics));
        let ((stop_clients, clients), (stop_operator, operators)) = (watch::channel(false), watch::channel(false));
        let serving = [
            (tokio::spawn(server::serve(http, config.server.clone(), rest, clients)), stop_clients),
            (tokio::spawn(server::serve(admin, config.server, operator, operators)), stop_operator),
        ];
        let nobody = Client {
            account: 0,
            key: String::new(),
            secret: String::new(),
            http: http_at,
            client: reqwest::Client::new(),
        };
        let (alice, bob) = (nobody.clone(), nobody);
        let mut venue = Self { http: http_at, admin: admin_at, app, alice, bob, shut, turned_away, backend, serving };
        venue.furnish().await;
        venue
    }

    async fn furnish(&mut self) {
        for (asset, decimals) in [("BTC", 8), ("USDT", 8)] {
            self.operator_does("assets", json!({ "asset": asset, "decimals": decimals })).await;
        }
        self.operator_does(
            "markets",
            json!({
                "symbol": "BTCUSDT", "baseAsset": "BTC", "quoteAsset": "USDT", "tickSize": "0.01",
                "stepSize": "0.00001", "minNotional": "5", "maxPrice": "1000000", "maxQty": 900,
                "marketMaxQty": 100, "makerFee": "0.001", "takerFee": 0.002,
            }),
        )
        .await;
        self.alice = self.client("alice").await;
        self.bob = self.client("bob").await;
    }

    /// Opens an account with 10 BTC and 1,000,000 USDT, and a key that may do all.
    pub async fn client(&self, label: &str) -> Client {
        let account = self.operator_does("accounts", json!({ "label": label })).await["accountId"].as_u64().unwrap();
        for (asset, amount) in [("BTC", "10"), ("USDT", "1000000")] {
            let deposit = json!({ "asset": asset, "amount": amount, "transferId": format!("first-{asset}") });
            self.operator_does(&format!("accounts/{account}/deposits"), deposit).await;
        }
        self.key(account, json!({ "permissions": ["READ", "TRADE"] })).await
    }

    pub async fn key(&self, account: u64, request: Value) -> Client {
        let issued = self.operator_does(&format!("accounts/{account}/api-keys"), request).await;
        let text = |field: &str| issued[field].as_str().unwrap_or_default().to_owned();
        Client {
            account,
            key: text("apiKey"),
            secret: text("secretKey"),
            http: self.http,
            client: reqwest::Client::new(),
        }
    }

    pub async fn operator(&self, method: Method, path: &str, body: Option<Value>) -> Reply {
        self.operator_with(TOKEN, method, path, body).await
    }

    /// The same, by whoever has that token.
    pub async fn operator_with(&self, token: &str, method: Method, path: &str, body: Option<Value>) -> Reply {
        let url = format!("http://{}/admin/v1/{path}", self.admin);
        let mut request = reqwest::Client::new().request(method, url).bearer_auth(token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        reply(request).await
    }

    pub async fn operator_does(&self, path: &str, body: Value) -> Value {
        let reply = self.operator(Method::POST, path, Some(body)).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.body
    }

    /// From now on orders need have no worth. Where nothing has traded yet, there is no price to value a market order
    /// by quantity.
    pub async fn values_nothing(&self) {
        let reply = self.operator(Method::PATCH, "markets/BTCUSDT", Some(json!({"minNotional": "0"}))).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }

    /// A public request.
    pub async fn get(&self, path_and_query: &str) -> Reply {
        self.request(Method::GET, path_and_query).await
    }

    pub async fn request(&self, method: Method, path_and_query: &str) -> Reply {
        reply(reqwest::Client::new().request(method, format!("http://{}{path_and_query}", self.http))).await
    }

    /// Position in the log and hash of the state.
    pub async fn audit(&self) -> Value {
        let audit = self.operator(Method::GET, "audit", None).await.body;
        assert_eq!(audit["ok"], true, "{audit}");
        json!([audit["sequence"], audit["stateHash"], audit["partitions"]])
    }

    /// Stops in order; nothing is left running.
    pub async fn stop(self) {
        self.stop_after(Duration::ZERO).await;
    }

    /// As a process does that is asked to stop: clients are served on for a while, then asked to leave, and the admin
    /// address goes last.
    pub async fn stop_after(self, drain: Duration) {
        shutdown::drain(&self.app, drain).await;
        let [(clients, stop_clients), (operator, stop_operator)] = self.serving;
        shutdown::close(&self.app, &stop_clients, clients).await.unwrap();
        self.app.gateway.stop();
        let backend = self.backend;
        let stopped = tokio::task::spawn_blocking(move || match backend {
            Backend::Node(running) => drop(running.stop().expect("the node had not failed")),
            Backend::Partitions(running) => running.stop(),
        });
        stopped.await.unwrap();
        stop_operator.send(true).unwrap();
        operator.await.unwrap();
    }
}
