//! The real binary in a process of its own, on free ports, and a small client to trade on it.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use reqwest::Method;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// How long anything may take before the test gives up; generous, because machines are busy at times.
pub const DEADLINE: Duration = Duration::from_secs(60);
/// What guards the admin API here.
pub const TOKEN: &str = "a-token-for-the-tests";

/// The program under test.
pub fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crossbook"));
    // Nothing of the developer's own environment reaches it.
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    // No load balancer has to see that it ends.
    command.env("CROSSBOOK_GATEWAY__SERVER__DRAIN_MS", "0");
    command
}

/// Polls until there is something.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: not within {DEADLINE:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The lines that a process has said so far.
type Said = Arc<Mutex<Vec<String>>>;

/// A running venue; killed when dropped.
pub struct Venue {
    /// `None` where somebody else looks after its processes.
    child: Option<Child>,
    /// What it has said so far.
    said: Said,
    /// What guards its admin API.
    token: String,
    pub http: String,
    pub admin: String,
    pub client: reqwest::Client,
}

impl Venue {
    /// Starts `crossbook serve` on a folder and waits until it is open.
    pub async fn serve(data: &Path) -> Self {
        Self::serve_with(data, &[]).await
    }

    /// As [`Venue::serve`], with settings from the environment.
    pub async fn serve_with(data: &Path, settings: &[(&str, &str)]) -> Self {
        Self::serve_as(data, settings, &[]).await
    }

    /// As [`Venue::serve_with`], with further options.
    pub async fn serve_as(data: &Path, settings: &[(&str, &str)], options: &[&str]) -> Self {
        let mut starting = Self::begin_as(data, settings, options);
        starting.wait();
        starting.venue
    }

    /// Starts `crossbook serve` and waits only until its admin address answers.
    pub fn begin(data: &Path, settings: &[(&str, &str)]) -> Starting {
        Self::begin_as(data, settings, &[])
    }

    fn begin_as(data: &Path, settings: &[(&str, &str)], options: &[&str]) -> Starting {
        Self::begin_with(binary(), data, settings, options)
    }

    /// As [`Venue::begin`], by a command that starts the program with the arguments that are added to it.
    pub fn begin_with(mut command: Command, data: &Path, settings: &[(&str, &str)], options: &[&str]) -> Starting {
        command.envs(settings.iter().copied());
        command.args(["serve", "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--log-format", "json", "--data"]);
        command.arg(data).args(options).env("CROSSBOOK_ADMIN_TOKEN", TOKEN);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let addresses = Addresses::read(&mut child);
        let mut venue = Self::of(Some(child), String::new(), String::new());
        venue.said = Arc::clone(&addresses.said);
        venue.admin = addresses.admin.recv_timeout(DEADLINE).expect("the venue says where its operator is answered");
        Starting { venue, addresses }
    }

    fn of(child: Option<Child>, http: String, admin: String) -> Self {
        let said = Said::default();
        Self { child, said, token: TOKEN.to_owned(), http, admin, client: reqwest::Client::new() }
    }

    /// A venue whose processes somebody else looks after.
    pub fn elsewhere(http: String, admin: String, token: &str) -> Self {
        let mut venue = Self::of(None, http, admin);
        token.clone_into(&mut venue.token);
        venue
    }

    /// Starts a gateway of a cluster and waits until it is ready. `key` is what the secrets of its API keys are
    /// encrypted under.
    pub async fn gateway(config: &Path, key: &str) -> Self {
        let [http, admin] = [free_address(), free_address()];
        let mut command = binary();
        command.args(["gateway", "--log-format", "json", "--http", &http, "--admin", &admin, "--config"]).arg(config);
        command.env("CROSSBOOK_ADMIN_TOKEN", TOKEN).env("CROSSBOOK_SECRET_KEY", key);
        let venue = Self::of(Some(command.spawn().unwrap()), http, admin);
        ready(&venue.client, &venue.admin).await;
        venue
    }

    /// Starts a worker of a cluster, which runs all partitions, and waits until it is ready.
    pub async fn worker(config: &Path) -> Self {
        let venue = Self::starting_worker(config);
        ready(&venue.client, &venue.admin).await;
        venue
    }

    /// As [`Venue::worker`], without waiting.
    pub fn starting_worker(config: &Path) -> Self {
        let admin = free_address();
        let mut command = binary();
        command.args(["worker", "--log-format", "json", "--admin", &admin, "--config"]).arg(config);
        Self::of(Some(command.spawn().unwrap()), String::new(), admin)
    }

    /// Ends it as a power cut would.
    pub fn kill(mut self) {
        let child = self.child.as_mut().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Asks it to end, and gives its exit status.
    pub async fn stop(self) -> Option<i32> {
        self.signal(Signal::TERM);
        self.ended().await
    }

    /// Its process, which is not waited for before [`Venue::ended`], so that the number is nobody else's.
    pub fn pid(&self) -> Pid {
        Pid::from_child(self.child.as_ref().unwrap())
    }

    /// Sends it a signal; it may have ended already.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Waits until it has ended by itself, and gives its exit status.
    pub async fn ended(mut self) -> Option<i32> {
        let child = self.child.as_mut().unwrap();
        eventually("the venue ends", async || child.try_wait().unwrap()).await.code()
    }

    /// Something to look through what it says, also after its end.
    pub fn says(&self) -> impl Fn(&str) -> Option<String> + use<> {
        let said = Arc::clone(&self.said);
        move |what| said.lock().unwrap().iter().find(|line| line.contains(what)).cloned()
    }

    /// Asks the admin API.
    pub async fn operate(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let mut request =
            self.client.request(method, format!("http://{}/admin/v1/{path}", self.admin)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let status = response.status();
        let body: Value = response.json().await.unwrap();
        assert!(status.is_success(), "{path}: {status} {body}");
        body
    }

    /// Asks the client API, unsigned.
    pub async fn get(&self, path: &str) -> Value {
        self.client.get(format!("http://{}{path}", self.http)).send().await.unwrap().json().await.unwrap()
    }

    /// Lists BTCUSDT.
    pub async fn list_market(&self) {
        for asset in ["BTC", "USDT"] {
            self.operate(Method::POST, "assets", Some(json!({"asset": asset, "decimals": 8}))).await;
        }
        let market = json!({"symbol": "BTCUSDT", "baseAsset": "BTC", "quoteAsset": "USDT", "tickSize": "0.01",
            "stepSize": "0.00001", "makerFee": "0.001", "takerFee": "0.001"});
        self.operate(Method::POST, "markets", Some(market)).await;
    }

    /// Opens an account with money and a key.
    pub async fn open_account(&self, label: &str) -> Trader {
        self.open_numbered_account(label).await.1
    }

    /// As [`Venue::open_account`], with the account's number.
    pub async fn open_numbered_account(&self, label: &str) -> (u64, Trader) {
        let account = self.operate(Method::POST, "accounts", Some(json!({"label": label}))).await;
        let account = account["accountId"].as_u64().unwrap();
        for (asset, amount) in [("BTC", "10"), ("USDT", "1000000")] {
            let deposit = json!({"asset": asset, "amount": amount, "transferId": format!("first-{asset}")});
            self.operate(Method::POST, &format!("accounts/{account}/deposits"), Some(deposit)).await;
        }
        (account, self.issue_key(account).await)
    }

    /// Gives an account a key to trade with.
    pub async fn issue_key(&self, account: u64) -> Trader {
        let permissions = json!({"permissions": ["READ", "TRADE"]});
        let key = self.operate(Method::POST, &format!("accounts/{account}/api-keys"), Some(permissions)).await;
        let text = |name: &str| key[name].as_str().unwrap().to_owned();
        Trader { key: text("apiKey"), secret: text("secretKey") }
    }
}

impl Drop for Venue {
    fn drop(&mut self) {
        // Gone already where the test ended it itself.
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// An address of this machine that nobody listens on.
pub fn free_address() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// Waits until a process says on its admin address that it is ready.
async fn ready(client: &reqwest::Client, admin: &str) {
    eventually("the process is ready", async || {
        let answer = client.get(format!("http://{admin}/readyz")).send().await.ok()?;
        answer.status().is_success().then_some(())
    })
    .await;
}

/// What a venue says that must not start.
pub fn refusal(data: &Path) -> String {
    refusal_with(data, &[])
}

/// The same, with settings from the environment.
pub fn refusal_with(data: &Path, settings: &[(&str, &str)]) -> String {
    let mut command = binary();
    command.envs(settings.iter().copied());
    command.args(["serve", "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data"]).arg(data);
    let output = command.env("CROSSBOOK_ADMIN_TOKEN", TOKEN).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8(output.stderr).unwrap()
}

/// What a command that must not succeed says, with its exit status.
pub fn refused(arguments: &[&str], data: &Path, settings: &[(&str, &str)]) -> (Option<i32>, String) {
    let output = binary().args(arguments).arg("--data").arg(data).envs(settings.iter().copied()).output().unwrap();
    assert!(!output.status.success(), "{arguments:?} succeeded");
    let [said, error] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    (output.status.code(), said + &error)
}

/// Where a venue says that it listens: the client API, then the admin API.
pub fn addresses(child: &mut Child) -> (String, String) {
    let addresses = Addresses::read(child);
    let admin = addresses.admin.recv_timeout(DEADLINE).expect("the venue says where its operator is answered");
    (addresses.http.recv_timeout(DEADLINE).expect("the venue says where it listens"), admin)
}

/// A venue that is not up yet.
pub struct Starting {
    pub venue: Venue,
    addresses: Addresses,
}

impl Starting {
    /// Waits until it is open.
    pub fn wait(&mut self) {
        self.venue.http = self.addresses.http.recv_timeout(DEADLINE).expect("the venue says where it listens");
    }
}

/// Where it says that it listens, as soon as it says so.
struct Addresses {
    admin: mpsc::Receiver<String>,
    http: mpsc::Receiver<String>,
    said: Said,
}

impl Addresses {
    /// The log lines are read on for as long as it runs, or it would block on writing them.
    fn read(child: &mut Child) -> Self {
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let ((tell_admin, admin), (tell_http, http)) = (mpsc::channel(), mpsc::channel());
        let said = Said::default();
        let heard = Arc::clone(&said);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let event: Value = serde_json::from_str(&line).unwrap_or_default();
                for (name, tell) in [("admin", &tell_admin), ("http", &tell_http)] {
                    if let Some(address) = event[name].as_str() {
                        let _ = tell.send(address.to_owned());
                    }
                }
                eprintln!("{line}");
                heard.lock().unwrap().push(line);
            }
        });
        Self { admin, http, said }
    }
}

/// Someone with an API key.
#[derive(Clone)]
pub struct Trader {
    pub key: String,
    pub secret: String,
}

impl Trader {
    /// A signed request; the status and what was answered.
    pub async fn send(&self, venue: &Venue, method: Method, path: &str, parameters: &str) -> (u16, Value) {
        self.attempt(&venue.client, &venue.http, method, path, parameters).await.unwrap()
    }

    /// As [`Trader::send`], to a venue that may be gone at any moment.
    pub async fn attempt(
        &self,
        client: &reqwest::Client,
        http: &str,
        method: Method,
        path: &str,
        parameters: &str,
    ) -> reqwest::Result<(u16, Value)> {
        let response = self.request(client, http, method, path, parameters).send().await?;
        Ok((response.status().as_u16(), response.json().await?))
    }

    /// A request as it is sent.
    pub fn request(
        &self,
        client: &reqwest::Client,
        http: &str,
        method: Method,
        path: &str,
        parameters: &str,
    ) -> reqwest::RequestBuilder {
        let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
        let separator = if parameters.is_empty() { "" } else { "&" };
        let query = format!("{parameters}{separator}recvWindow=60000&timestamp={time}");
        let signing = hmac::Key::new(hmac::HMAC_SHA256, self.secret.as_bytes());
        let signature = hex::encode(hmac::sign(&signing, query.as_bytes()));
        let url = format!("http://{http}/api/v3/{path}?{query}&signature={signature}");
        client.request(method, url).header("X-MBX-APIKEY", &self.key)
    }

    /// As [`Trader::send`], where it must succeed.
    pub async fn ask(&self, venue: &Venue, method: Method, path: &str, parameters: &str) -> Value {
        let (status, body) = self.send(venue, method, path, parameters).await;
        assert_eq!(status, 200, "{path}?{parameters}: {body}");
        body
    }
}
