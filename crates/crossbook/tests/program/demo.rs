//! The demo as a new user sees it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use crate::venue::{DEADLINE, binary, eventually};
use serde_json::Value;

struct Demo {
    child: Child,
    said: String,
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Demo {
    fn start() -> Self {
        let mut command = binary();
        command.args(["demo", "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let started = Instant::now();
        let mut said = String::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
            said.push_str(&line);
            said.push('\n');
            if line.starts_with("Stop with") {
                break;
            }
        }
        assert!(said.contains("Stop with"), "it ended early:\n{said}");
        assert!(started.elapsed() < DEADLINE);
        Self { child, said }
    }

    /// The first word after `label` in what it said.
    fn told(&self, label: &str) -> &str {
        let rest = &self.said
            [self.said.find(label).unwrap_or_else(|| panic!("no {label:?} in {}", self.said)) + label.len()..];
        rest.split_whitespace().next().unwrap()
    }
}

#[tokio::test]
async fn prices_move_books_are_deep_and_the_printed_order_trades() {
    let mut demo = Demo::start();
    let client = reqwest::Client::new();
    let rest = demo.told("REST ").to_owned();
    let get = async |path: &str| -> Value {
        client.get(format!("{rest}/{path}")).send().await.unwrap().json().await.unwrap()
    };
    for symbol in ["BTCUSDT", "ETHUSDT", "SOLUSDT", "ETHBTC"] {
        eventually("a hundred levels on both sides", async || {
            let depth = get(&format!("depth?symbol={symbol}&limit=500")).await;
            let levels = |side: &str| depth[side].as_array().map_or(0, Vec::len);
            (levels("bids") >= 100 && levels("asks") >= 100).then_some(())
        })
        .await;
        let price = async || get(&format!("ticker/price?symbol={symbol}")).await["price"].as_str().map(str::to_owned);
        let first = eventually("a trade", price).await;
        eventually("another price", async || price().await.filter(|now| *now != first)).await;
    }
    let candles = get("klines?symbol=BTCUSDT&interval=1s").await;
    assert!(!candles.as_array().unwrap().is_empty());

    // The day before it began is there, minute by minute, and the page's first chart shows it.
    let day = get("klines?symbol=BTCUSDT&interval=1m&limit=1000").await;
    let day = day.as_array().unwrap();
    let traded = day.iter().filter(|candle| candle[8].as_u64().unwrap() > 0).count();
    assert!(day.len() == 1_000 && traded > 990, "{} candles, {traded} with trades", day.len());
    let ticker = get("ticker/24hr?symbol=ETHBTC").await;
    assert!(ticker["count"].as_u64().unwrap() > 5_000, "{ticker}");

    // Exactly the lines that it printed, in a shell.
    let printed = |start: &'static str, count: usize| {
        demo.said.lines().skip_while(move |line| !line.starts_with(start)).take(count)
    };
    let script: Vec<&str> = printed("export KEY=", 1).chain(printed("QUERY=", 3)).collect();
    let output = Command::new("sh").args(["-c", &script.join("\n")]).output().unwrap();
    let order: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    assert_eq!(order["status"], "FILLED", "{output:?}");

    // Older clients get the listen key of a printed API key.
    let asked = client.post(format!("{rest}/userDataStream")).header("X-MBX-APIKEY", demo.told("export KEY="));
    let started: Value = asked.send().await.unwrap().json().await.unwrap();
    assert_eq!(started["listenKey"].as_str().map(str::len), Some(64), "{started}");

    // The page gets the same accounts.
    let page: Value = client.get(rest.replace("/api/v3", "/demo.json")).send().await.unwrap().json().await.unwrap();
    let (alice, bob) = (&page["accounts"][0], &page["accounts"][1]);
    assert_eq!((&alice["name"], &bob["name"]), (&Value::from("alice"), &Value::from("bob")), "{page}");
    assert_eq!(alice["apiKey"], demo.told("export KEY="));
    assert_eq!(alice["secret"], demo.told("SECRET="));

    let operate: Vec<&str> = printed("export CROSSBOOK_ADMIN_URL=", 1).collect();
    let crossbook = env!("CARGO_BIN_EXE_crossbook");
    let script = format!("{}\n{crossbook} admin --json audit", operate[0]);
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    let audit: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    assert_eq!(audit["ok"], true, "{output:?}");

    // The console is where it says, and lets in who has the token that it names.
    let console = client.get(demo.told("Console ")).send().await.unwrap();
    assert_eq!(console.status(), 200);
    assert!(console.text().await.unwrap().contains("console"), "not the console");
    let api = demo.told("Admin API ");
    let asked = client.get(format!("{api}/operator")).bearer_auth(demo.told("CROSSBOOK_ADMIN_TOKEN="));
    let operator: Value = asked.send().await.unwrap().json().await.unwrap();
    assert_eq!(operator["role"], "admin", "{operator}");

    let folder = demo.told("Data folder ").to_owned();
    assert!(std::path::Path::new(&folder).is_dir());
    let pid = demo.child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let status = eventually("the demo stops", async || demo.child.try_wait().unwrap()).await;
    assert!(status.success(), "{status}");
    assert!(!std::path::Path::new(&folder).exists(), "its temporary folder is left behind");
}

#[tokio::test]
async fn two_interrupts_leave_no_folder_behind_either() {
    let mut demo = Demo::start();
    let folder = demo.told("Data folder ").to_owned();
    assert!(std::path::Path::new(&folder).is_dir());
    let pid = demo.child.id().to_string();
    eventually("the demo stops", async || {
        let _ = Command::new("kill").args(["-INT", &pid]).stderr(Stdio::null()).status().unwrap();
        demo.child.try_wait().unwrap()
    })
    .await;
    let folder = std::path::Path::new(&folder).parent().unwrap();
    assert!(!folder.exists(), "its temporary folder is left behind");
}

#[tokio::test]
async fn a_demo_whose_reader_left_goes_on() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = binary();
    command.args(["demo", "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--log-format", "json"]);
    let mut child = command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    let (http, _) = crate::venue::addresses(&mut child);
    let client = reqwest::Client::new();
    let url = format!("http://{http}/api/v3/trades?symbol=BTCUSDT&limit=1");
    eventually("a trade", async || {
        let trades: Value = client.get(&url).send().await.unwrap().json().await.unwrap();
        trades[0]["price"].is_string().then_some(())
    })
    .await;
    assert!(child.try_wait().unwrap().is_none(), "it ended");
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let status = eventually("the demo stops", async || child.try_wait().unwrap()).await;
    assert!(status.success(), "{status}");
}

#[test]
fn an_address_that_is_taken_is_reported_before_anything_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for option in ["--http", "--admin"] {
        let other = if option == "--http" { "--admin" } else { "--http" };
        let mut command = binary();
        command.args(["demo", "--data", "venue", option, &address, other, "127.0.0.1:0"]).current_dir(folder.path());
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(&format!("cannot listen on {address}")), "{said}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "{option}: something was left behind");
    }
}
