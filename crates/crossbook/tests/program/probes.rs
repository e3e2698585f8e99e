//! What supervisors ask: the address for probes alone, `crossbook probe`, and when a process says that it is ready.

use std::path::Path;
use std::process::Output;

use crossbook_servers::redis::RedisServer;
use reqwest::{Method, StatusCode};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::venue::{TOKEN, Venue, binary, eventually, free_address};

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// `crossbook probe`.
fn probe(arguments: &[&str], settings: &[(&str, &str)]) -> Output {
    binary().arg("probe").args(arguments).envs(settings.iter().copied()).output().unwrap()
}

fn status(arguments: &[&str], settings: &[(&str, &str)]) -> Option<i32> {
    probe(arguments, settings).status.code()
}

#[tokio::test]
async fn probes_have_an_address_where_nobody_can_operate() {
    let folder = tempfile::tempdir().unwrap();
    let probes = free_address();
    let venue = Venue::serve_with(&folder.path().join("venue"), &[("CROSSBOOK_PROBES", &probes)]).await;
    let ask = async |method: Method, path: &str| {
        let request = venue.client.request(method, format!("http://{probes}{path}")).bearer_auth(TOKEN);
        let response = request.send().await.unwrap();
        (response.status(), response.text().await.unwrap())
    };
    for path in ["/healthz", "/readyz", "/metrics"] {
        let (status, text) = ask(Method::GET, path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {text}");
        assert_eq!(ask(Method::HEAD, path).await, (StatusCode::OK, String::new()));
        assert_eq!(ask(Method::POST, path).await.0, StatusCode::NOT_FOUND);
    }
    assert!(ask(Method::GET, "/metrics").await.1.contains("crossbook_connections{listener=\"probes\"}"));
    // The token is right, and the operation exists; only not here.
    for path in ["/admin/v1/audit", "/admin/v1/accounts", "/partitions", "/"] {
        let (status, text) = ask(Method::GET, path).await;
        assert!(status == StatusCode::NOT_FOUND && text.contains("on the admin address"), "{path}: {status} {text}");
    }
    assert_eq!(venue.operate(Method::GET, "audit", None).await["ok"], true);

    // It finds the address in the settings: that for probes, else the admin address.
    let ready = probe(&[], &[("CROSSBOOK_PROBES", &probes)]);
    assert_eq!(ready.status.code(), Some(0));
    assert_eq!(serde_json::from_slice::<Value>(&ready.stdout).unwrap()["status"], "ready");
    assert_eq!(status(&[], &[("CROSSBOOK_ADMIN", &venue.admin)]), Some(0));
    assert_eq!(status(&["--live", "--url", &probes], &[]), Some(0));
    assert_eq!(venue.stop().await, Some(0));
    let silent = probe(&["--url", &probes], &[]);
    let said = String::from_utf8(silent.stderr).unwrap();
    assert!(silent.status.code() == Some(1) && said.contains("no answer from") && said.contains("--url"), "{said}");
}

#[tokio::test]
async fn a_draining_venue_is_not_ready_and_serves() {
    let folder = tempfile::tempdir().unwrap();
    let probes = free_address();
    let settings = [("CROSSBOOK_PROBES", probes.as_str()), ("CROSSBOOK_GATEWAY__SERVER__DRAIN_MS", "600000")];
    let venue = Venue::serve_with(&folder.path().join("venue"), &settings).await;
    assert_eq!(status(&["--url", &probes], &[]), Some(0));
    venue.signal(Signal::TERM);
    eventually("it says that it is not ready", async || (status(&["--url", &probes], &[]) == Some(3)).then_some(()))
        .await;
    assert_eq!(status(&["--live", "--url", &probes], &[]), Some(0));
    // New connections are served, as long as a load balancer may send some.
    let fresh = reqwest::Client::new().get(format!("http://{}/api/v3/ping", venue.http)).send().await.unwrap();
    assert!(fresh.status().is_success() && fresh.headers().get("connection").is_none());
    // Signals shortly after the first are the same one, so they are repeated until one counts.
    let ended = async {
        let pid = venue.pid();
        let repeat = async {
            loop {
                let _ = rustix::process::kill_process(pid, Signal::TERM);
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        };
        tokio::select! {
            status = venue.ended() => status,
            () = repeat => None,
        }
    };
    assert_eq!(ended.await, Some(1), "a second signal ends it at once");
}

/// A cluster of one partition on one server.
fn cluster(folder: &Path, redis: &RedisServer) -> std::path::PathBuf {
    let (config, snapshots) = (folder.join("cluster.toml"), folder.join("snapshots"));
    std::fs::create_dir(&snapshots).unwrap();
    let settings = format!(
        "[history]\ndatabase = \"none\"\n[cluster]\npartitions = 1\n[cluster.redis]\nservers = [\"{}\"]\n\
         replicas_min = 0\n[cluster.snapshots]\naddress = \"file://{}\"\n",
        redis.url(),
        snapshots.canonicalize().unwrap().display()
    );
    std::fs::write(&config, settings).unwrap();
    config
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_is_ready_once_it_has_caught_up() {
    let folder = tempfile::tempdir().unwrap();
    let mut redis = RedisServer::start(&folder.path().join("redis")).unwrap();
    let config = cluster(folder.path(), &redis);
    let gateway = Venue::gateway(&config, KEY).await;
    gateway.list_market().await;
    let (account, _) = gateway.open_numbered_account("saver").await;
    for number in 0..100 {
        let deposit = json!({"asset": "BTC", "amount": "1", "transferId": format!("more-{number}")});
        gateway.operate(Method::POST, &format!("accounts/{account}/deposits"), Some(deposit)).await;
    }
    let end = gateway.operate(Method::GET, "audit", None).await;
    let end = end["partitions"][0]["sequence"].as_u64().or(end["sequence"].as_u64()).unwrap();
    assert!(end > 100, "{end}");
    let metrics = gateway.client.get(format!("http://{}/metrics", gateway.admin)).send().await.unwrap();
    assert!(metrics.text().await.unwrap().contains("crossbook_queue_depth{stage=\"log\"} "));

    let worker = Venue::starting_worker(&config);
    let readyz = format!("http://{}/readyz", worker.admin);
    let ready = async || {
        let response = worker.client.get(&readyz).send().await.ok()?;
        let is_ready = response.status().is_success();
        let told: Value = response.json().await.ok()?;
        // While it starts, it answers without partitions.
        assert_eq!(told["ready"], is_ready, "{told}");
        is_ready.then(|| told["detail"]["partitions"][0].clone())
    };
    let detail = eventually("the worker is ready", ready).await;
    assert!(detail["applied"].as_u64().unwrap() >= end, "{detail}");
    assert_eq!((&detail["connected"], &detail["caughtUp"]), (&Value::from(true), &Value::from(true)));
    let head = worker.client.head(&readyz).send().await.unwrap();
    assert_eq!((head.status(), head.text().await.unwrap().as_str()), (StatusCode::OK, ""));

    // Cut off and back again, it must reach what the log has by then.
    let deposit = json!({"asset": "BTC", "amount": "1", "transferId": "one-more"});
    gateway.operate(Method::POST, &format!("accounts/{account}/deposits"), Some(deposit)).await;
    redis.kill();
    redis.restart().unwrap();
    let reached = async || ready().await.filter(|detail| detail["mustReach"].as_u64() > Some(end));
    let detail = eventually("it is ready again, from where the log ends now", reached).await;
    assert!(detail["applied"].as_u64() >= detail["mustReach"].as_u64(), "{detail}");
}

#[test]
fn a_process_that_waits_for_the_store_is_alive_and_not_ready() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("cluster.toml");
    let settings = format!(
        "[history]\ndatabase = \"mysql://nobody@127.0.0.1:1/nothing\"\n[cluster]\nstart_timeout_ms = 600000\n\
         [cluster.redis]\nservers = [\"redis://127.0.0.1:1\"]\n[cluster.snapshots]\naddress = \"file://{}\"\n",
        folder.path().display()
    );
    std::fs::write(&config, settings).unwrap();
    for role in ["worker", "writer", "gateway"] {
        let probes = free_address();
        let mut command = binary();
        command.args([role, "--http", "127.0.0.1:0"].iter().take(if role == "gateway" { 3 } else { 1 }));
        command.args(["--admin", "127.0.0.1:0", "--probes", &probes, "--config"]).arg(&config);
        command.env("CROSSBOOK_ADMIN_TOKEN", TOKEN).env("CROSSBOOK_SECRET_KEY", KEY);
        let mut child = command.spawn().unwrap();
        let deadline = std::time::Instant::now() + crate::venue::DEADLINE;
        while status(&["--live", "--url", &probes], &[]) != Some(0) {
            assert!(std::time::Instant::now() < deadline, "{role} does not answer");
        }
        assert_eq!(status(&["--url", &probes], &[]), Some(3), "{role}");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
