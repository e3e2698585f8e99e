//! Two gateways of a cluster limit a client together: real processes over a real Redis server.

use std::time::{Duration, Instant, SystemTime};

use crossbook_servers::redis::RedisServer;
use reqwest::{Method, Response};
use serde_json::Value;

use crate::venue::{Trader, Venue, eventually};

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const WEIGHT_MAX: u64 = 1_200;
const ORDERS_MAX: u64 = 300;
const BUY: &str = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=IOC&quantity=0.1&price=100";

struct Stage {
    _folder: tempfile::TempDir,
    redis: RedisServer,
    _worker: Venue,
    gateways: [Venue; 2],
}

impl Stage {
    async fn set() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let redis = RedisServer::start(&folder.path().join("redis")).unwrap();
        let snapshots = folder.path().join("snapshots");
        std::fs::create_dir(&snapshots).unwrap();
        let config = folder.path().join("cluster.toml");
        let settings = format!(
            "[gateway.limits]\nrequest_weight_1m = {WEIGHT_MAX}\norders_10s = 0\norders_1d = {ORDERS_MAX}\nban_after = 20\n\
             [history]\ndatabase = \"none\"\n[cluster]\npartitions = 2\n[cluster.redis]\nservers = [\"{}\"]\n\
             replicas_min = 0\n[cluster.snapshots]\naddress = \"file://{}\"\n",
            redis.url(),
            snapshots.canonicalize().unwrap().display()
        );
        std::fs::write(&config, settings).unwrap();
        let worker = Venue::worker(&config).await;
        let gateways = [Venue::gateway(&config, KEY).await, Venue::gateway(&config, KEY).await];
        Self { _folder: folder, redis, _worker: worker, gateways }
    }

    /// The orders of today, as the store has them.
    fn orders_in_store(&self, account: u64) -> Option<u64> {
        let keys: Vec<String> = self.redis.ask(&["KEYS", "{crossbook:p0}:limits:day-orders:*"]).unwrap();
        let [key] = keys.as_slice() else { return None };
        self.redis.ask(&["HGET", key, &account.to_string()]).unwrap()
    }
}

async fn order(trader: &Trader, gateway: &Venue, parameters: &str) -> (Response, u64) {
    let request = trader.request(&gateway.client, &gateway.http, Method::POST, "order", parameters);
    let response = request.send().await.unwrap();
    let counted = header(&response, "x-mbx-order-count-1d");
    (response, counted)
}

/// The status of a request of weight 1, and the weight that it says is used.
async fn ping(gateway: &Venue) -> (u16, u64) {
    let response = gateway.client.get(format!("http://{}/api/v3/ping", gateway.http)).send().await.unwrap();
    (response.status().as_u16(), header(&response, "x-mbx-used-weight-1m"))
}

fn header(response: &Response, name: &str) -> u64 {
    response.headers().get(name).map_or(0, |value| value.to_str().unwrap().parse().unwrap())
}

fn minute() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() / 60
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_hold_over_all_gateways() {
    let stage = Stage::set().await;
    stage.gateways[0].list_market().await;
    a_first_fill_is_credited_once(&stage).await;
    orders_are_limited_together(&stage).await;
    let mut limited = false;
    while !limited {
        limited = weight_is_limited_together(&stage).await;
    }
    a_ban_holds_at_both(&stage).await;
}

/// Both gateways learn of the fill, and one gives the credit.
async fn a_first_fill_is_credited_once(stage: &Stage) {
    let [a, b] = &stage.gateways;
    let (maker, trader) = a.open_numbered_account("maker").await;
    let taker = a.open_account("taker").await;
    for _ in 0..9 {
        assert_eq!(order(&trader, a, BUY).await.0.status(), 200);
    }
    let resting = "symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTC&quantity=0.1&price=200";
    assert_eq!(order(&trader, b, resting).await.0.status(), 200);
    eventually("all orders are counted", async || (stage.orders_in_store(maker) == Some(10)).then_some(())).await;
    let filled = taker.ask(b, Method::POST, "order", &BUY.replace("price=100", "price=200")).await;
    assert_eq!(filled["status"], "FILLED", "{filled}");
    eventually("the credit", async || (stage.orders_in_store(maker) == Some(5)).then_some(())).await;
    let mut placed = 10;
    for gateway in [a, b] {
        eventually("the credit is known", async || {
            let (response, counted) = order(&trader, gateway, BUY).await;
            assert_eq!(response.status(), 200);
            placed += 1;
            (counted <= placed - 5).then_some(())
        })
        .await;
    }
    eventually("one credit", async || (stage.orders_in_store(maker) == Some(placed - 5)).then_some(())).await;
}

async fn orders_are_limited_together(stage: &Stage) {
    let [a, b] = &stage.gateways;
    let trader = a.open_account("one who orders a lot").await;
    let alone = ORDERS_MAX - 10;
    for placed in 1..=alone {
        let (response, counted) = order(&trader, a, BUY).await;
        assert_eq!((response.status().as_u16(), counted), (200, placed));
    }
    let (mut placed, begun) = (0, Instant::now());
    let refused = eventually("the other gateway knows", async || {
        let (response, counted) = order(&trader, b, BUY).await;
        if response.status() == 200 {
            placed += 1;
            return None;
        }
        assert!(counted >= ORDERS_MAX, "{counted}");
        Some(response)
    })
    .await;
    eprintln!("orders: {placed} more placed in {:?}", begun.elapsed());
    assert_eq!(refused.status(), 429);
    let refused: Value = refused.json().await.unwrap();
    assert_eq!(refused["code"], -1015, "{refused}");
    assert!(placed < ORDERS_MAX / 2, "{placed}");
    eventually("the first gateway knows", async || (order(&trader, a, BUY).await.0.status() == 429).then_some(()))
        .await;
}

/// Whether it was still the same minute in the end.
async fn weight_is_limited_together(stage: &Stage) -> bool {
    let [a, b] = &stage.gateways;
    let began = minute();
    while ping(a).await.1 < WEIGHT_MAX - 10 {}
    let (mut taken, begun) = (0, Instant::now());
    let used = eventually("the other gateway knows", async || {
        let (status, used) = ping(b).await;
        taken += u64::from(status == 200);
        (status == 429 || minute() != began).then_some(used)
    })
    .await;
    if minute() != began {
        return false;
    }
    eprintln!("weight: {taken} more taken in {:?}", begun.elapsed());
    assert!(used > WEIGHT_MAX && taken < WEIGHT_MAX / 2, "{used} used, {taken} taken");
    true
}

async fn a_ban_holds_at_both(stage: &Stage) {
    let [a, b] = &stage.gateways;
    eventually("a ban", async || {
        for _ in 0..40 {
            if ping(b).await.0 == 418 {
                return Some(());
            }
        }
        None
    })
    .await;
    let begun = Instant::now();
    eventually("the ban is known", async || (ping(a).await.0 == 418).then_some(())).await;
    let known: Duration = begun.elapsed();
    eprintln!("ban: known after {known:?}");
}
