//! Secrets do not leak. The real binary trades, fails, is killed, stops and is exported, with all logging on; then
//! everything that it printed and wrote is searched for the secret of an API key, the admin token and the key that
//! encrypts secrets.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::venue::{Trader, Venue, binary, eventually};
use memchr::memmem;
use reqwest::Method;
use serde_json::{Value, json};

/// Drawn by nobody, so that what is found can only be this.
const ADMIN_TOKEN: &str = "QpL3-an-admin-token-that-nobody-else-has-Zx9";
/// The key that secrets are encrypted under, where the environment gives it.
const SECRET_KEY: &str = "9f3c0b7a5512e48d6fa1c2937be0d4581122aa90ffeeddcc0b1c2d3e4f5a6b7d";

/// A process whose every word is kept; killed when dropped.
struct Process {
    child: Child,
    stderr: PathBuf,
}

impl Process {
    /// Starts `crossbook serve`, with everything logged.
    fn serve(data: &Path, said: &Path, run: usize, secret_key: Option<&str>) -> Self {
        let (stdout, stderr) = (said.join(format!("stdout-{run}")), said.join(format!("stderr-{run}")));
        let mut command = binary();
        command.args(["serve", "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--log-format", "json", "--data"]);
        command.arg(data).env("CROSSBOOK_ADMIN_TOKEN", ADMIN_TOKEN).env("CROSSBOOK_LOGGING__FILTER", "trace");
        if let Some(key) = secret_key {
            command.env("CROSSBOOK_SECRET_KEY", key);
        }
        command.stdout(File::create(stdout).unwrap()).stderr(File::create(&stderr).unwrap());
        Self { child: command.spawn().unwrap(), stderr }
    }

    /// Waits until it is open.
    async fn venue(&self) -> Venue {
        let [http, admin] = ["http", "admin"].map(|name| self.address(name));
        Venue::elsewhere(http.await, admin.await, ADMIN_TOKEN)
    }

    /// Where it says that it listens.
    async fn address(&self, name: &str) -> String {
        eventually("the venue says where it listens", async || {
            let lines = std::fs::read_to_string(&self.stderr).unwrap();
            let events = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let mut addresses = events.filter_map(|event| event[name].as_str().map(str::to_owned));
            addresses.find(|address| address.parse::<std::net::SocketAddr>().is_ok())
        })
        .await
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    async fn stop(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let ended = eventually("the venue stops", async || self.child.try_wait().unwrap()).await;
        assert_eq!(ended.code(), Some(0));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Gone already where the test ended it itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What was answered, to whomever.
struct Answers(String);

impl Answers {
    async fn take(&mut self, request: reqwest::RequestBuilder) -> u16 {
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let headers = format!("{:?}", response.headers());
        self.0.push_str(&headers);
        self.0.push_str(&response.text().await.unwrap());
        self.0.push('\n');
        status
    }
}

/// All files under a folder, with their bytes.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            found.push((path, bytes));
        }
    }
    found
}

/// A secret in every form in which it could have been written without meaning to hide it.
fn forms(name: &str, secret: &str) -> Vec<(String, Vec<u8>)> {
    let mut forms = vec![
        (name.to_owned(), secret.as_bytes().to_vec()),
        (format!("{name} in hex"), hex::encode(secret).into_bytes()),
        (format!("{name} in capital hex"), hex::encode_upper(secret).into_bytes()),
        // As a list of numbers, which is how bytes are shown for debugging.
        (format!("{name} as numbers"), format!("{:?}", secret.as_bytes()).trim_matches(['[', ']']).into()),
    ];
    if let Ok(raw) = hex::decode(secret) {
        forms.push((format!("{name} in capitals"), secret.to_ascii_uppercase().into_bytes()));
        forms.push((format!("{name}, its numbers"), format!("{raw:?}").trim_matches(['[', ']']).into()));
        forms.push((format!("{name}, its bytes"), raw));
    }
    forms
}

/// Requests that go wrong in ways in which a program is tempted to repeat what it was sent.
async fn go_wrong(venue: &Venue, trader: &Trader, answers: &mut Answers) {
    let client = &venue.client;
    let (secret, order) = (&trader.secret, "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=");
    // A signature by another secret, and orders that are refused at each step.
    let other = Trader { key: trader.key.clone(), secret: "another".to_owned() };
    let wrong = [("order", order.to_owned() + "0"), ("order", format!("{order}900000000")), ("nothing", String::new())];
    for (path, parameters) in &wrong {
        for trader in [trader, &other] {
            let request = trader.request(client, &venue.http, Method::POST, path, parameters);
            assert!(answers.take(request).await >= 400, "{path} {parameters}");
        }
    }
    // Clients that mix up what goes where: the secret as the key, as the signature, as the token of the operator.
    let api = format!("http://{}/api/v3/account", venue.http);
    for request in [
        client.get(&api).header("X-MBX-APIKEY", secret),
        client.get(format!("{api}?timestamp=1&signature={secret}")).header("X-MBX-APIKEY", &trader.key),
        client.get(format!("{api}?timestamp=1&signature={secret}")).header("X-MBX-APIKEY", secret),
        client.post(&api).header("X-MBX-APIKEY", &trader.key).body(format!("secretKey={secret}")),
        client.get(&api).bearer_auth(ADMIN_TOKEN),
    ] {
        assert!(answers.take(request).await >= 400);
    }
    let admin = format!("http://{}/admin/v1", venue.admin);
    for request in [
        client.get(format!("{admin}/audit")).bearer_auth(secret),
        client.get(format!("{admin}/audit")).bearer_auth(format!("{ADMIN_TOKEN}.")),
        client.get(format!("{admin}/nothing")).bearer_auth(ADMIN_TOKEN),
        client.post(format!("{admin}/accounts")).bearer_auth(ADMIN_TOKEN).body("{\"label\":"),
        client.post(format!("{admin}/accounts")).bearer_auth(ADMIN_TOKEN).json(&json!({"secretKey": secret})),
    ] {
        assert!(answers.take(request).await >= 400);
    }
}

/// Runs the program's other commands on the venue, and one that cannot start; keeps what they say.
fn run_commands(folder: &Path, said: &Path, secret_key: Option<&str>) {
    let commands: [&[&str]; 4] = [
        &["audit", "--data", "venue"],
        &["export", "--data", "venue", "--out", "said/export"],
        &["serve", "--data", "venue", "--print-config"],
        &["serve", "--data", "venue", "--http", "nonsense"],
    ];
    for (at, arguments) in commands.iter().enumerate() {
        let mut command = binary();
        command.args(*arguments).current_dir(folder).env("CROSSBOOK_ADMIN_TOKEN", ADMIN_TOKEN);
        if let Some(key) = secret_key {
            command.env("CROSSBOOK_SECRET_KEY", key);
        }
        let output = command.stdin(Stdio::null()).output().unwrap();
        assert_eq!(output.status.success(), at < 3, "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        std::fs::write(said.join(format!("command-{at}")), [output.stdout, output.stderr].concat()).unwrap();
    }
}

/// Lives through a venue's life and searches what is left of it. `secret_key` is given by the environment, or kept in
/// its file.
async fn nothing_tells_a_secret(secret_key: Option<&str>) {
    let folder = tempfile::tempdir().unwrap();
    let (data, said) = (folder.path().join("venue"), folder.path().join("said"));
    std::fs::create_dir(&said).unwrap();
    let mut answers = Answers(String::new());

    let process = Process::serve(&data, &said, 1, secret_key);
    let venue = process.venue().await;
    venue.list_market().await;
    let (account, alice) = venue.open_numbered_account("alice").await;
    let bob = venue.open_account("bob").await;
    let sell = "symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTC&quantity=1&price=50000";
    alice.ask(&venue, Method::POST, "order", sell).await;
    bob.ask(&venue, Method::POST, "order", "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.4").await;
    go_wrong(&venue, &alice, &mut answers).await;
    process.kill();

    let process = Process::serve(&data, &said, 2, secret_key);
    let venue = process.venue().await;
    alice.ask(&venue, Method::GET, "account", "").await;
    let client = &venue.client;
    for path in ["metrics", "readyz", "admin/v1/audit", "admin/v1/accounts", &format!("admin/v1/accounts/{account}")] {
        let request = client.get(format!("http://{}/{path}", venue.admin)).bearer_auth(ADMIN_TOKEN);
        assert_eq!(answers.take(request).await, 200, "{path}");
    }
    let request = alice.request(client, &venue.http, Method::GET, "account", "");
    assert_eq!(answers.take(request).await, 200);
    eventually("the history has the trade", async || {
        let ready: Value = client.get(format!("http://{}/readyz", venue.admin)).send().await.ok()?.json().await.ok()?;
        (ready["history"]["lagCommands"] == 0 && ready["history"]["state"] == "following").then_some(())
    })
    .await;
    process.stop().await;

    run_commands(folder.path(), &said, secret_key);
    std::fs::write(said.join("answers"), &answers.0).unwrap();

    let key_file = folder.path().join("venue.secret-key");
    assert_eq!(key_file.exists(), secret_key.is_none(), "a key that is given is not written down");
    let master = match secret_key {
        Some(key) => key.to_owned(),
        None => std::fs::read_to_string(&key_file).unwrap().trim().to_owned(),
    };
    let secrets = [("the admin token", ADMIN_TOKEN), ("alice's secret", &alice.secret), ("bob's secret", &bob.secret)];
    let hidden: Vec<_> = secrets.iter().flat_map(|(name, secret)| forms(name, secret)).collect();
    let of_master = forms("the secret key", &master);

    let export = said.join("export");
    let everything = files(folder.path());
    let in_folder = |folder: &Path| everything.iter().filter(|(path, _)| path.starts_with(folder)).count();
    assert!(in_folder(&data.join("log")) > 0 && in_folder(&data.join("snapshots")) > 0 && export.exists());
    // The search sees what is there: keys' names are no secret, and stand in the log, the snapshots, the export and the
    // answers.
    for place in [data.join("log"), data.join("snapshots"), export, said.join("answers")] {
        let seen = |(path, bytes): &(PathBuf, Vec<u8>)| {
            path.starts_with(&place) && memmem::find(bytes, alice.key.as_bytes()).is_some()
        };
        assert!(everything.iter().any(seen), "{}", place.display());
    }
    for (path, bytes) in &everything {
        let elsewhere = *path != key_file;
        if !elsewhere {
            assert_eq!(
                bytes.strip_suffix(b"\n").unwrap(),
                master.as_bytes(),
                "the file holds the key and nothing else"
            );
        }
        for (name, form) in hidden.iter().chain(of_master.iter().filter(|_| elsewhere)) {
            assert!(memmem::find(bytes, form).is_none(), "{name} stands in {}", path.display());
        }
    }
}

#[tokio::test]
async fn with_a_key_that_was_made_secrets_stay_secret() {
    nothing_tells_a_secret(None).await;
}

#[tokio::test]
async fn with_a_key_that_was_given_secrets_stay_secret() {
    nothing_tells_a_secret(Some(SECRET_KEY)).await;
}
