//! Accounts that trade at a steady rate, or as fast as they are answered, while something fails, each with its own
//! record of acknowledgements; and the check that compares a venue with these records: every acknowledged order exists
//! exactly once, no refused order exists, and balances follow from the orders to the last unit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::MissedTickBehavior;

use crate::operator::Operator;
use crate::venue::{Trader, eventually};

/// One request of each account in this time, where nothing else is said.
pub const PACE: Duration = Duration::from_millis(60);
/// How long a request may take; the venue itself gives up sooner.
const PATIENCE: Duration = Duration::from_secs(20);
/// The markets, all without fees, so that balances follow from the orders alone.
pub const MARKETS: [(&str, &str); 2] = [("BTCUSDT", "BTC"), ("ETHUSDT", "ETH")];
/// What every account has in the beginning.
const DEPOSITS: [(&str, &str); 3] = [("BTC", "1000"), ("ETH", "1000"), ("USDT", "10000000")];
/// Orders in one answer.
const PAGE: usize = 1_000;

/// Where to reach the venue.
#[derive(Clone)]
pub struct Access {
    pub operator: Operator,
    pub http: String,
    /// One request of each account in this time; `None`: as soon as the last one is answered.
    pub pace: Option<Duration>,
}

/// What became of an order, as its sender was told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Placed {
    Acknowledged { number: u64, filled: bool },
    Refused,
    Unknown,
}

/// The same of its cancel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Canceled {
    Acknowledged,
    Refused,
    Unknown,
}

/// One order on an account's list.
#[derive(Debug)]
struct Entry {
    market: usize,
    placed: Placed,
    canceled: Option<Canceled>,
}

/// An account, its key, and its list by the order's name.
pub struct Account {
    index: usize,
    trader: Trader,
    list: BTreeMap<String, Entry>,
    /// The names that were not yet asked for one by one.
    fresh: Vec<String>,
}

/// What happens while the accounts trade.
pub struct Watch {
    begun: Instant,
    stop: AtomicBool,
    /// By account and market, when the last order that was acknowledged had been sent.
    sent: Mutex<BTreeMap<(usize, usize), Instant>>,
    /// By account, when orders were acknowledged.
    acknowledged: Mutex<BTreeMap<usize, Vec<Instant>>>,
    /// Errors by code or kind.
    errors: Mutex<BTreeMap<String, u64>>,
    orders: Mutex<u64>,
}

/// What came of a time of trading.
#[derive(Debug)]
pub struct Report {
    /// The longest time in which an account had no order acknowledged, of all accounts.
    pub longest_gap: Duration,
    pub errors: BTreeMap<String, u64>,
    pub orders: u64,
}

/// An answer, as far as there is one.
enum Answer {
    Done(Value),
    /// Refused by code.
    Refused(i64),
    /// Nobody knows: the code or kind of failure.
    Unknown(String),
}

impl Access {
    async fn send(&self, trader: &Trader, method: Method, path: &str, parameters: &str) -> Answer {
        let request = trader.request(&self.operator.client, &self.http, method, path, parameters).timeout(PATIENCE);
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) if error.is_timeout() => return Answer::Unknown("timeout".into()),
            Err(_) => return Answer::Unknown("lost connection".into()),
        };
        let status = response.status();
        let Ok(text) = response.text().await else { return Answer::Unknown("lost connection".into()) };
        match serde_json::from_str::<Value>(&text) {
            Ok(body) if status.is_success() => Answer::Done(body),
            Ok(body) => match body["code"].as_i64() {
                Some(-1007) => Answer::Unknown("-1007".into()),
                Some(code) => Answer::Refused(code),
                None => Answer::Unknown(format!("HTTP {}", status.as_u16())),
            },
            // The load balancer speaks for itself: a gateway was lost with the request, or there was none.
            Err(_) => Answer::Unknown(format!("HTTP {}", status.as_u16())),
        }
    }

    /// Asks until there is an answer: a query can be repeated.
    async fn ask(&self, trader: &Trader, path: &str, parameters: &str) -> Value {
        eventually("a query is answered", async || {
            match self.send(trader, Method::GET, path, parameters).await {
                Answer::Done(body) => Some(body),
                // Overload, and partitions that do not answer, pass.
                Answer::Refused(-1008 | -1016) | Answer::Unknown(_) => None,
                Answer::Refused(code) => panic!("{path}?{parameters}: {code}"),
            }
        })
        .await
    }

    /// Lists the markets and opens accounts.
    pub async fn prepare(&self, accounts: usize) -> Vec<Account> {
        self.operator.list_assets(&["BTC", "ETH", "USDT"]).await;
        let more = json!({"makerFee": "0", "takerFee": "0", "maxNumOrders": 100_000});
        for (symbol, _) in MARKETS {
            self.operator.list_market(symbol, &more).await;
        }
        let mut opened = Vec::new();
        for index in 0..accounts {
            let trader = self.operator.open_account(&format!("trader {index}"), &DEPOSITS).await;
            opened.push(Account { index, trader, list: BTreeMap::new(), fresh: Vec::new() });
        }
        opened
    }
}

impl Watch {
    fn new() -> Self {
        Self {
            begun: Instant::now(),
            stop: AtomicBool::new(false),
            sent: Mutex::default(),
            acknowledged: Mutex::default(),
            errors: Mutex::default(),
            orders: Mutex::default(),
        }
    }

    fn failed(&self, code: String) {
        *self.errors.lock().entry(code).or_default() += 1;
    }

    /// Whether every account has had an order acknowledged in every market that it sent after `since`.
    fn answered_since(&self, since: Instant, accounts: usize) -> bool {
        let sent = self.sent.lock();
        sent.len() == accounts * MARKETS.len() && sent.values().all(|at| *at > since)
    }
}

/// Accounts at work.
pub struct Trading {
    pub watch: Arc<Watch>,
    tasks: Vec<tokio::task::JoinHandle<Account>>,
}

impl Trading {
    /// Lets the accounts trade, and waits until all are answered.
    pub async fn begin(access: &Access, accounts: Vec<Account>) -> Self {
        let watch = Arc::new(Watch::new());
        let tasks = accounts
            .into_iter()
            .map(|account| tokio::spawn(account.trade(access.clone(), Arc::clone(&watch))))
            .collect();
        let trading = Self { watch, tasks };
        trading.answered(Instant::now()).await;
        trading
    }

    /// Waits until orders of every account in every market that were sent from now on are acknowledged.
    pub async fn answered(&self, since: Instant) {
        let accounts = self.tasks.len();
        eventually("orders of every account are answered", async || {
            self.watch.answered_since(since, accounts).then_some(())
        })
        .await;
    }

    /// Ends trading; what was under way is answered or given up. The accounts, and what came of it from `since` on.
    pub async fn end(self, since: Instant) -> (Vec<Account>, Report) {
        self.watch.stop.store(true, Ordering::Release);
        let end = Instant::now();
        let mut accounts = Vec::new();
        for task in self.tasks {
            accounts.push(task.await.unwrap());
        }
        let since = since.max(self.watch.begun);
        let longest = |times: &Vec<Instant>| {
            // From the last answer before the fault on, to the next, and so on.
            let before = times.iter().filter(|at| **at <= since).max().copied().unwrap_or(since);
            let inside = times.iter().copied().filter(|at| *at > since && *at < end);
            let (mut last, mut gap) = (before.max(since), Duration::ZERO);
            for at in inside.chain([end]) {
                gap = gap.max(at.saturating_duration_since(last));
                last = at;
            }
            gap
        };
        let longest_gap = self.watch.acknowledged.lock().values().map(longest).max().unwrap_or_default();
        let (errors, orders) = (self.watch.errors.lock().clone(), *self.watch.orders.lock());
        (accounts, Report { longest_gap, errors, orders })
    }
}

impl Account {
    /// Places orders and cancels some, one request at a time. It buys in one market and sells in the other, so that it
    /// never trades with itself.
    async fn trade(mut self, access: Access, watch: Arc<Watch>) -> Self {
        let mut pace = Pace::of(&access);
        while !watch.stop.load(Ordering::Acquire) {
            pace.wait().await;
            let at = self.list.len();
            let market = at % MARKETS.len();
            let side = if (self.index + market).is_multiple_of(2) { "BUY" } else { "SELL" };
            let name = format!("o{}-{at}", self.index);
            // Some meet, some stay: prices of both sides lie across each other.
            let price = 10_000 + (at * 7 + self.index * 3) % 11;
            let order = format!(
                "symbol={}&side={side}&type=LIMIT&timeInForce=GTC&quantity=0.00{}&price={price}&newClientOrderId={name}",
                MARKETS[market].0,
                1 + at % 3,
            );
            let sent = Instant::now();
            let placed = match access.send(&self.trader, Method::POST, "order", &order).await {
                Answer::Done(body) => {
                    watch.sent.lock().insert((self.index, market), sent);
                    watch.acknowledged.lock().entry(self.index).or_default().push(Instant::now());
                    *watch.orders.lock() += 1;
                    Placed::Acknowledged {
                        number: body["orderId"].as_u64().unwrap(),
                        filled: body["status"] == "FILLED",
                    }
                }
                Answer::Refused(code) => {
                    watch.failed(code.to_string());
                    Placed::Refused
                }
                Answer::Unknown(why) => {
                    watch.failed(why);
                    Placed::Unknown
                }
            };
            let mut entry = Entry { market, placed, canceled: None };
            // Also what nobody knows of is canceled: under its name, which then is found or not.
            if at % 3 == 2 && placed != Placed::Refused {
                pace.wait().await;
                entry.canceled = Some(self.cancel(&access, &watch, market, &name).await);
            }
            self.list.insert(name.clone(), entry);
            self.fresh.push(name);
        }
        self
    }

    async fn cancel(&self, access: &Access, watch: &Watch, market: usize, name: &str) -> Canceled {
        let cancel = format!("symbol={}&origClientOrderId={name}&newClientOrderId=c-{name}", MARKETS[market].0);
        match access.send(&self.trader, Method::DELETE, "order", &cancel).await {
            Answer::Done(_) => Canceled::Acknowledged,
            Answer::Refused(code) => {
                // -2011: it was executed before, which is no failure.
                if code != -2011 {
                    watch.failed(format!("cancel {code}"));
                }
                Canceled::Refused
            }
            Answer::Unknown(why) => {
                watch.failed(format!("cancel {why}"));
                Canceled::Unknown
            }
        }
    }

    /// Holds the venue to the list. How many orders were there, and how many of them nobody had known of.
    pub async fn check(&mut self, access: &Access) -> (usize, usize) {
        let mut found = BTreeMap::new();
        for (market, (symbol, _)) in MARKETS.iter().enumerate() {
            for order in self.all_orders(access, symbol).await {
                let name = order["clientOrderId"].as_str().unwrap();
                // A canceled order bears the name of its cancel.
                let name = name.strip_prefix("c-").unwrap_or(name).to_owned();
                let entry = self.list.get(&name).unwrap_or_else(|| panic!("nobody placed this: {order}"));
                assert_eq!(entry.market, market, "{order}");
                let other = found.insert(name, order.clone());
                assert!(other.is_none(), "there are two: {order} {other:?}");
            }
        }
        let mut unknown_found = 0;
        for (name, entry) in &self.list {
            let order = found.get(name);
            match entry.placed {
                Placed::Acknowledged { number, filled } => {
                    let order = order.unwrap_or_else(|| panic!("{name} was acknowledged and is not there"));
                    assert_eq!(order["orderId"].as_u64(), Some(number), "{name}");
                    assert!(!filled || order["status"] == "FILLED", "{name} was told filled: {order}");
                }
                Placed::Refused => assert!(order.is_none(), "{name} was refused: {order:?}"),
                Placed::Unknown => unknown_found += usize::from(order.is_some()),
            }
            match entry.canceled {
                Some(Canceled::Acknowledged) => assert_eq!(order.unwrap()["status"], "CANCELED", "{name}"),
                Some(Canceled::Unknown) => {}
                None | Some(Canceled::Refused) => {
                    assert!(order.is_none_or(|order| order["status"] != "CANCELED"), "{name}: {order:?}");
                }
            }
        }
        for name in std::mem::take(&mut self.fresh) {
            if let Entry { placed: Placed::Acknowledged { number, .. }, market, .. } = self.list[&name] {
                let query = format!("symbol={}&orderId={number}", MARKETS[market].0);
                let order = access.ask(&self.trader, "order", &query).await;
                assert_eq!(order["clientOrderId"], found[&name]["clientOrderId"], "{name}");
            }
        }
        self.check_balances(access, found.values()).await;
        (found.len(), unknown_found)
    }

    /// All orders in a market, each number once, in order.
    async fn all_orders(&self, access: &Access, symbol: &str) -> Vec<Value> {
        let mut all: Vec<Value> = Vec::new();
        let mut numbers = BTreeSet::new();
        loop {
            let from = numbers.last().map_or(0, |last: &u64| last + 1);
            let query = format!("symbol={symbol}&orderId={from}&limit={PAGE}");
            let page = access.ask(&self.trader, "allOrders", &query).await;
            let page = page.as_array().unwrap();
            for order in page {
                assert!(numbers.insert(order["orderId"].as_u64().unwrap()), "twice: {order}");
                all.push(order.clone());
            }
            if page.len() < PAGE {
                return all;
            }
        }
    }

    /// Without fees, what an account owns follows from its orders.
    async fn check_balances<'a>(&self, access: &Access, orders: impl Iterator<Item = &'a Value>) {
        let mut expected: BTreeMap<&str, (i128, i128)> = BTreeMap::new();
        for (asset, amount) in DEPOSITS {
            expected.insert(asset, (units(amount), 0));
        }
        for order in orders {
            let (_, base) = MARKETS.iter().find(|(symbol, _)| order["symbol"] == *symbol).unwrap();
            let amount = |name: &str| units(order[name].as_str().unwrap());
            let (executed, quote) = (amount("executedQty"), amount("cummulativeQuoteQty"));
            let open = matches!(order["status"].as_str(), Some("NEW" | "PARTIALLY_FILLED"));
            let left = if open { amount("origQty") - executed } else { 0 };
            let sign = if order["side"] == "BUY" { 1 } else { -1 };
            expected.get_mut(base).unwrap().0 += sign * executed;
            expected.get_mut("USDT").unwrap().0 -= sign * quote;
            if sign > 0 {
                expected.get_mut("USDT").unwrap().1 += left * amount("price") / 100_000_000;
            } else {
                expected.get_mut(base).unwrap().1 += left;
            }
        }
        let told = access.ask(&self.trader, "account", "").await;
        for (asset, (owned, locked)) in expected {
            let balances = told["balances"].as_array().unwrap();
            let balance = balances.iter().find(|balance| balance["asset"] == asset).unwrap();
            let amount = |name: &str| units(balance[name].as_str().unwrap());
            let found = (amount("free") + amount("locked"), amount("locked"));
            assert_eq!(found, (owned, locked), "{asset} of trader {}", self.index);
        }
    }
}

/// What an account keeps to.
struct Pace(Option<tokio::time::Interval>);

impl Pace {
    fn of(access: &Access) -> Self {
        Self(access.pace.map(|pace| {
            let mut interval = tokio::time::interval(pace);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        }))
    }

    async fn wait(&mut self) {
        if let Some(interval) = &mut self.0 {
            interval.tick().await;
        }
    }
}

/// A decimal in units of 10^-8.
fn units(text: &str) -> i128 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}{fraction:0<8}").parse().unwrap()
}
