//! A venue in this process, with one market, two rich accounts and a listener.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::hmac;
use crossbook_api_binance::rest::Rest;
use crossbook_api_binance::{App, Assembly, Config};
use crossbook_engine::Partition;
use crossbook_gateway::ReadModel;
use crossbook_gateway::publisher::Publisher;
use crossbook_gateway::secret::MasterKey;
use crossbook_http::server;
use crossbook_log::files::{Files, Options};
use crossbook_log::memory::Memory;
use crossbook_node::embedded::{self, Running};
use crossbook_oracle::sample::{btcusdt, decimal};
use crossbook_protocol::Answer;
use crossbook_protocol::command::{
    Body, IssueApiKey, ListAsset, ListMarket, OpenAccount, RevokeApiKey, TransferRequest,
};
use crossbook_protocol::order::{NewOrder, OrderTerms, Size};
use crossbook_protocol::registry::{Credential, Permissions};
use crossbook_protocol::routing::Routing;
use crossbook_types::market::Description;
use crossbook_types::{
    AccountId, Amount, ApiKeyId, Asset, ClientOrderId, OptionalPrice, OrderType, PartitionId, Price, Quantity,
    SelfTradePrevention, Side, SymbolId, TimeInForce, TransferId,
};
use crossbook_views::{Limits as ViewLimits, Views};
use futures_util::StreamExt as _;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

const SECRET: &str = "a secret that the tests know";

pub struct Venue {
    pub address: SocketAddr,
    pub accounts: [AccountId; 2],
    placed: AtomicU64,
    app: Arc<App>,
    running: Running<Files<Memory>, Publisher>,
    stop: watch::Sender<bool>,
    serving: tokio::task::JoinHandle<()>,
}

impl Venue {
    pub async fn start() -> Self {
        Self::start_with(Config::default()).await
    }

    pub async fn start_with(config: Config) -> Self {
        let (log, _) = Files::open_in(Memory::new(512), Options::default()).unwrap();
        let fatal = |reason| eprintln!("the venue failed: {reason}");
        let read_model = ReadModel::single(Views::new(ViewLimits::default()));
        let (assembly, _) = Assembly::start(config.clone(), read_model, fatal).unwrap();
        let publisher = assembly.publisher(PartitionId(0));
        let partition = Partition::new(PartitionId(0), Routing::single(), 7);
        let running = embedded::start(partition, log, publisher, embedded::Options::default(), fatal).unwrap();
        let master = MasterKey::from_hex(&SecretString::from("07".repeat(32))).unwrap();
        let node = Box::new(running.handle().clone());
        let app = assembly.open(node, master, None);
        app.gateway.watch_countdowns();
        app.gateway.watch_sessions();
        let listener = server::listen(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let rest = Arc::new(Rest::new(Arc::clone(&app), Vec::new()));
        let serving = tokio::spawn(server::serve(listener, config.server, rest, stopped));
        let mut venue =
            Self { address, accounts: [AccountId(0); 2], placed: AtomicU64::new(0), app, running, stop, serving };
        venue.furnish().await;
        venue
    }

    /// Lists the market, opens the accounts, and makes them rich.
    async fn furnish(&mut self) {
        let description = btcusdt();
        let assets = [description.base, description.quote];
        for Asset { name, decimals, .. } in assets {
            self.submit(Body::ListAsset(ListAsset { name, decimals })).await;
        }
        let description = Description { step_size: decimal("0.001"), ..description };
        self.submit(Body::ListMarket(Box::new(ListMarket { description }))).await;
        for at in 0..self.accounts.len() {
            let opened = self.submit(Body::OpenAccount(OpenAccount { label: String::new() })).await;
            let Answer::AccountOpened(account) = opened else { panic!("{opened:?}") };
            self.accounts[at] = account;
            for Asset { id: asset, .. } in assets {
                let transfer = TransferId::new_checked(&format!("first-{asset}")).unwrap();
                let amount = Amount(1_000_000_000_000_000);
                self.submit(Body::Transfer(TransferRequest { account, asset, amount, transfer })).await;
            }
            let key = key_of(account);
            let sealed = self.app.gateway.keyring.master_key().seal(&key, &SecretString::from(SECRET)).unwrap();
            let permissions = Permissions { read: true, trade: true };
            let credential = Credential::Hmac { sealed };
            let issue = IssueApiKey { account, key, permissions, credential, allowed_ips: Vec::new() };
            self.submit(Body::IssueApiKey(Box::new(issue))).await;
        }
    }

    pub async fn revoke_key(&self, account: AccountId) {
        self.submit(Body::RevokeApiKey(RevokeApiKey { account, key: key_of(account) })).await;
    }

    async fn submit(&self, body: Body) -> Answer {
        let answer = self.app.gateway.submit(body, None).await.unwrap().outcome.unwrap();
        assert!(!matches!(answer, Answer::Refused(_)), "{answer:?}");
        answer
    }

    /// Places a limit order, at a price in ticks and for a quantity in lots.
    pub async fn limit(&self, account: AccountId, side: Side, price: u64, quantity: u64) {
        let number = self.placed.fetch_add(1, Ordering::Relaxed);
        self.submit(Body::Place(NewOrder {
            account,
            terms: OrderTerms {
                symbol: SymbolId(0),
                client_order_id: ClientOrderId::new_checked(&format!("test-{number}")).unwrap(),
                side,
                order_type: OrderType::Limit,
                time_in_force: TimeInForce::Gtc,
                price: Some(Price(price)),
                size: Size::Base(Quantity(quantity)),
                stop_price: OptionalPrice::NONE,
                self_trade_prevention: SelfTradePrevention::None,
                instructions: None,
            },
        }))
        .await;
    }

    /// Places sell orders of one lot each, one at each price from that on, many at a time.
    pub async fn ladder(&self, account: AccountId, from: u64, count: u64) {
        const AT_A_TIME: usize = 500;
        let orders = (from..from + count).map(|price| self.limit(account, Side::Sell, price, 1));
        futures_util::stream::iter(orders).buffer_unordered(AT_A_TIME).collect::<Vec<()>>().await;
    }

    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    pub async fn connect(&self, path: &str) -> Socket {
        connect_async(format!("ws://{}{path}", self.address)).await.unwrap().0
    }

    pub fn now_millis(&self) -> u64 {
        crossbook_gateway::clock::now().millis()
    }

    /// Parameters with key, time and signature of an account.
    pub fn signed(&self, account: AccountId, parameters: &[(&str, &str)]) -> Value {
        let mut all: Vec<(String, String)> =
            parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        all.push(("apiKey".into(), key_of(account).to_string()));
        all.push(("timestamp".into(), self.now_millis().to_string()));
        all.sort();
        let payload: Vec<String> = all.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
        let signature = hex::encode(hmac::sign(&key, payload.join("&").as_bytes()).as_ref());
        let mut object: serde_json::Map<String, Value> =
            all.into_iter().map(|(name, value)| (name, Value::String(value))).collect();
        object.insert("signature".into(), json!(signature));
        Value::Object(object)
    }

    /// Stops the venue; a venue that failed on the way fails the test.
    pub async fn stop(self) {
        self.app.hub.shut_down(crossbook_gateway::clock::now());
        self.stop.send(true).unwrap();
        self.serving.await.unwrap();
        let stopped = tokio::task::spawn_blocking(move || self.running.stop().is_some()).await.unwrap();
        assert!(stopped, "the venue failed");
    }
}

fn key_of(account: AccountId) -> ApiKeyId {
    ApiKeyId::new_checked(&format!("key{account:x>61}")).unwrap()
}
