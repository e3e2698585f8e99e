//! A venue with a history: random trades that memory has mostly evicted, their rows in SQLite, and gateways that answer
//! from both.

use std::net::SocketAddr;
use std::sync::Arc;

use crossbook_api_binance::rest::Rest;
use crossbook_api_binance::{App, Assembly, Config};
use crossbook_engine::Partition;
use crossbook_gateway::ReadModel;
use crossbook_gateway::publisher::Publisher;
use crossbook_gateway::secret::MasterKey;
use crossbook_http::server;
use crossbook_log::files::{Files, Options as LogOptions};
use crossbook_log::memory::Memory;
use crossbook_node::embedded::{self, Running};
use crossbook_projection::Projection;
use crossbook_protocol::command::{Body, IssueApiKey};
use crossbook_protocol::order::{NewOrder, OrderTerms, Size};
use crossbook_protocol::registry::{Credential, Permissions};
use crossbook_protocol::{Cause, Event, Routing};
use crossbook_store::{
    Address, Database, History, HistoryWriter, Live, Options, Position, Progress, Source, SourceError,
};
use crossbook_types::{
    AccountId, ApiKeyId, ClientOrderId, OrderType, PartitionId, Price, Quantity, SelfTradePrevention, Sequence, Side,
    SymbolId, TimeInForce, Timestamp,
};
use crossbook_views::{Limits as ViewLimits, Views};
use secrecy::SecretString;
use tempfile::TempDir;
use tokio::sync::watch;

use crate::rest_venue::{Client, millis};
use crate::venue::{ACCOUNTS, Venue};

const SECRET: &str = "a secret that the tests know";
/// Far ahead of the clock, so that the newest candle is the one of the last trade whenever the tests run: 1 January
/// 2100.
const BEGIN: Timestamp = Timestamp(4_102_444_800_000_000);

pub fn accounts() -> impl Iterator<Item = AccountId> {
    (0..ACCOUNTS).map(|account| AccountId(AccountId::FIRST_CLIENT.0 + account))
}

fn master() -> MasterKey {
    MasterKey::from_hex(&SecretString::from("07".repeat(32))).unwrap()
}

fn key_of(account: AccountId) -> ApiKeyId {
    ApiKeyId::new_checked(&format!("{account:0>64}", account = account.0)).unwrap()
}

/// What happened, for whoever wants to fold it.
#[derive(Clone)]
pub struct Published(pub Arc<Vec<(Cause, Vec<Event>)>>);

impl Published {
    /// A venue whose accounts have keys, and trade for a while: some hundred days for 10,000 commands.
    pub fn trading(seed: u64, commands: usize) -> Self {
        let mut venue = Venue::open(seed);
        for account in accounts() {
            let key = key_of(account);
            let sealed = master().seal(&key, &SecretString::from(SECRET)).unwrap();
            let permissions = Permissions { read: true, trade: true };
            let credential = Credential::Hmac { sealed };
            let issue = IssueApiKey { account, key, permissions, credential, allowed_ips: Vec::new() };
            venue.command(Body::IssueApiKey(Box::new(issue)));
        }
        venue.now = BEGIN;
        venue.trade(commands, 10 * 60 * 1_000_000);
        Self(Arc::new(venue.log))
    }

    /// A venue in which two accounts trade again and again, a lot at another price every `pause` microseconds. It
    /// begins with some minute that is not the first of its hour.
    pub fn steady(trades: u64, pause: u64) -> Self {
        let mut venue = Venue::open(1);
        venue.now = Timestamp(BEGIN.0 + 17 * 60_000_000 + 5);
        for trade in 0..trades {
            let mut parties = accounts();
            for (side, price) in [(Side::Sell, 9_000), (Side::Buy, 9_000)] {
                let terms = OrderTerms {
                    symbol: SymbolId(0),
                    client_order_id: ClientOrderId::new_checked(&format!("{trade}-{side:?}")).unwrap(),
                    side,
                    order_type: OrderType::Limit,
                    time_in_force: TimeInForce::Gtc,
                    price: Some(Price(price + trade * 7 % 1_001)),
                    size: Size::Base(Quantity(1 + trade % 13)),
                    stop_price: None.into(),
                    self_trade_prevention: SelfTradePrevention::None,
                    instructions: None,
                };
                let account = parties.next().unwrap();
                venue.command(Body::Place(NewOrder { account, terms }));
            }
            venue.now.0 += pause;
        }
        Self(Arc::new(venue.log))
    }

    pub fn views(&self, limits: ViewLimits) -> Views {
        let mut views = Views::new(limits);
        for (cause, events) in self.0.iter() {
            views.apply_all(*cause, events);
        }
        views
    }

    pub fn last(&self) -> Cause {
        self.0.last().unwrap().0
    }

    /// The first command after that time.
    pub fn after(&self, time: Timestamp) -> Cause {
        self.0[self.0.partition_point(|(cause, _)| cause.time <= time)].0
    }
}

impl Source for Published {
    fn seek(&mut self, position: Position, _: &dyn Fn() -> bool) -> Result<Projection, SourceError> {
        assert_eq!(position, Position::default(), "the tables are written in one go");
        Ok(Projection::resume(PartitionId(0), Views::new(Projection::limits()), Sequence(0)))
    }

    fn pull(&mut self, projection: &mut Projection, until: Sequence, rows_max: usize) -> Result<(), SourceError> {
        while projection.position() < until && !projection.is_full(rows_max) {
            let (cause, events) = &self.0[usize::try_from(projection.position().0).unwrap()];
            projection.follow(*cause, events);
        }
        Ok(())
    }
}

/// A history in a folder, that comes as far as it is published to.
pub struct Tables {
    pub progress: Arc<Progress>,
    database: Database,
    live: Live,
    stop: watch::Sender<bool>,
    _folder: TempDir,
}

impl Tables {
    pub fn new(published: &Published) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = database(&folder.path().join("history.sqlite").display().to_string());
        let live = Live::new(Sequence(0));
        let (stop, stop_seen) = watch::channel(false);
        let progress = Arc::new(Progress::default());
        let recorder = HistoryWriter::new(
            database.clone(),
            PartitionId(0),
            published.clone(),
            live.clone(),
            stop_seen,
            Arc::clone(&progress),
        );
        // On a thread of its own, as in a venue.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(recorder.run());
        });
        Self { progress, database, live, stop, _folder: folder }
    }

    pub fn history(&self) -> History {
        History::new(&self.database, Arc::clone(&self.progress))
    }

    /// A history that comes as far, in a database that is not there.
    pub fn broken(&self) -> History {
        History::new(&database("/nowhere/at/all.sqlite"), Arc::clone(&self.progress))
    }

    /// From now on the history may come up to that command.
    pub fn go_on_to(&self, cause: Cause) {
        self.live.reach(cause.sequence);
    }

    /// Has it come up to that command.
    pub async fn reach(&self, cause: Cause) {
        self.go_on_to(cause);
        self.progress.covering(Timestamp(u64::MAX), Some(cause)).await;
    }
}

impl Drop for Tables {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
    }
}

fn database(path: &str) -> Database {
    let address = Address::new(&format!("sqlite://{path}"));
    let options = Options { database: address, batch_delay_ms: 1, ..Options::default() };
    Database::new(&options, std::path::Path::new("/")).unwrap().unwrap()
}

/// The API over views and a history. Nothing new happens here.
pub struct Desk {
    pub http: SocketAddr,
    pub app: Arc<App>,
    clients: Vec<Client>,
    running: Running<Files<Memory>, Publisher>,
    stop: watch::Sender<bool>,
    serving: tokio::task::JoinHandle<()>,
}

impl Desk {
    pub fn open(views: Views, history: Option<History>) -> Self {
        // On a busy machine the history may take its time; no test means to see it refused for that.
        Self::patient(60_000, views, history)
    }

    /// One that waits for its history for so many milliseconds.
    pub fn patient(history_wait_ms: u64, views: Views, history: Option<History>) -> Self {
        let mut config = Config { history_wait_ms, ..Config::default() };
        // The tests ask more than clients may.
        config.limits.request_weight_1m = 0;
        config.limits.raw_requests_5m = 0;
        let (log, _) = Files::open_in(Memory::new(512), LogOptions::default()).unwrap();
        let fatal = |reason| eprintln!("the venue failed: {reason}");
        let (assembly, _) = Assembly::start(config.clone(), ReadModel::single(views), fatal).unwrap();
        let publisher = assembly.publisher(PartitionId(0));
        let partition = Partition::new(PartitionId(0), Routing::single(), 7);
        let running = embedded::start(partition, log, publisher, embedded::Options::default(), fatal).unwrap();
        let node = Box::new(running.handle().clone());
        let history = history.map(|history| Box::new(history) as Box<dyn crossbook_gateway::History>);
        let app = assembly.open(node, master(), history);
        let listener = server::listen(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let http = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let rest = Arc::new(Rest::new(Arc::clone(&app), Vec::new()));
        let serving = tokio::spawn(server::serve(listener, config.server, rest, stopped));
        let client = reqwest::Client::new();
        let clients = accounts().map(|account| Client {
            account: account.0,
            key: key_of(account).as_str().to_owned(),
            secret: SECRET.to_owned(),
            http,
            client: client.clone(),
        });
        Self { http, app, clients: clients.collect(), running, stop, serving }
    }

    /// What an account, or anybody, gets for a request: the status and the body as it stands.
    pub async fn ask(&self, account: Option<usize>, path: &str, parameters: &str) -> (u16, String) {
        let client = &self.clients[account.unwrap_or(0)];
        let query = match account {
            Some(_) => {
                let payload = format!("{parameters}&timestamp={}", millis());
                format!("{payload}&signature={}", client.sign(&payload))
            }
            None => parameters.to_owned(),
        };
        let mut request = client.client.get(format!("http://{}/api/v3/{path}?{query}", self.http));
        if account.is_some() {
            request = request.header("X-MBX-APIKEY", &client.key);
        }
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    pub async fn close(self) {
        self.app.gateway.stop();
        self.stop.send(true).unwrap();
        self.serving.await.unwrap();
        let running = self.running;
        tokio::task::spawn_blocking(move || running.stop().expect("the node had not failed")).await.unwrap();
    }
}
