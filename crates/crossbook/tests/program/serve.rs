//! The real binary over the network: trade, pull the plug, start again, and find everything.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::venue::{Venue, binary, eventually};
use crossbook_log::{Files, Log as _, Record, files};
use crossbook_protocol::Body;
use crossbook_protocol::command::OpenAccount;
use crossbook_types::{RequestNumber, Sequence, SourceId, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn what_was_acknowledged_before_a_kill_is_there_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("venue");
    let venue = Venue::serve(&data).await;
    venue.list_market().await;
    let (alice, bob) = (venue.open_account("alice").await, venue.open_account("bob").await);
    let sell = "symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTC&quantity=1&price=50000";
    let resting = alice.ask(&venue, Method::POST, "order", sell).await;
    assert_eq!(resting["status"], "NEW");
    let buy = "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.4";
    let taken = bob.ask(&venue, Method::POST, "order", buy).await;
    assert_eq!((&taken["status"], &taken["executedQty"]), (&Value::from("FILLED"), &Value::from("0.40000000")));
    let seen = everything(&venue, &alice, &bob).await;
    let audit = venue.operate(Method::GET, "audit", None).await;
    venue.kill();

    let venue = Venue::serve(&data).await;
    assert_eq!(everything(&venue, &alice, &bob).await, seen);
    assert_eq!(venue.operate(Method::GET, "audit", None).await, audit);
    let rules = venue.operate(Method::GET, "rules", None).await;
    assert_eq!(rules["active"], rules["newest"], "a new venue activates the newest rules");
    // It is not a memory of a venue but a venue: the order can still be traded with, and its numbers go on.
    let more = bob.ask(&venue, Method::POST, "order", buy).await;
    assert_eq!(more["orderId"].as_u64().unwrap(), taken["orderId"].as_u64().unwrap() + 1);
    let canceled = alice.ask(&venue, Method::DELETE, "openOrders", "symbol=BTCUSDT").await;
    assert_eq!(canceled[0]["executedQty"], "0.80000000");
    let seen = everything(&venue, &alice, &bob).await;
    let audit = venue.operate(Method::GET, "audit", None).await;
    assert_eq!(venue.stop().await, Some(0));

    // After a clean stop the snapshot has all, and the log alone tells the same.
    let offline = binary().args(["audit", "--json", "--data"]).arg(&data).output().unwrap();
    assert!(offline.status.success(), "{}", String::from_utf8_lossy(&offline.stderr));
    let offline: Value = serde_json::from_slice(&offline.stdout).unwrap();
    assert_eq!(offline["ok"], true);
    assert_eq!((&offline["sequence"], &offline["stateHash"]), (&audit["sequence"], &audit["stateHash"]));
    let venue = Venue::serve(&data).await;
    assert_eq!(everything(&venue, &alice, &bob).await, seen);
}

/// All that two accounts and the public can see, without what tells the time of asking.
async fn everything(venue: &Venue, alice: &crate::venue::Trader, bob: &crate::venue::Trader) -> Vec<Value> {
    let mut seen = vec![
        venue.get("/api/v3/depth?symbol=BTCUSDT").await,
        venue.get("/api/v3/trades?symbol=BTCUSDT").await,
        venue.get("/api/v3/klines?symbol=BTCUSDT&interval=1d").await,
    ];
    for trader in [alice, bob] {
        seen.push(trader.ask(venue, Method::GET, "account", "").await["balances"].take());
        for path in ["allOrders", "myTrades", "openOrders"] {
            seen.push(trader.ask(venue, Method::GET, path, "symbol=BTCUSDT").await);
        }
    }
    seen
}

/// What Prometheus' own tool finds wrong with metrics.
fn promtool(metrics: &str) -> String {
    let mut tool = Command::new("promtool");
    tool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut tool = tool.spawn().expect("promtool is missing: `make require-promtool` installs it");
    tool.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let output = tool.wait_with_output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { said } else { format!("{said}, {}", output.status) }
}

/// What a venue exposes after its first snapshot and row of the history.
const NOT_YET: &[&str] = &[
    "crossbook_history_batch_rows",
    "crossbook_history_rows_total",
    "crossbook_history_sequence",
    "crossbook_history_write_seconds",
    "crossbook_snapshot_sequence",
    "crossbook_snapshot_timestamp_seconds",
];

#[tokio::test]
async fn health_metrics_and_the_page_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let venue = Venue::serve(&folder.path().join("venue")).await;
    venue.list_market().await;
    let text = async |url: String| {
        let response = venue.client.get(url).send().await.unwrap();
        assert_eq!(response.status(), 200);
        response.text().await.unwrap()
    };
    for path in ["healthz", "readyz"] {
        text(format!("http://{}/{path}", venue.admin)).await;
    }
    // The room on the disk is recorded from time to time, and not before the folder is there.
    let metrics = eventually("the room on the disk is recorded", async || {
        let metrics = text(format!("http://{}/metrics", venue.admin)).await;
        metrics.contains("crossbook_log_disk_free_bytes ").then_some(metrics)
    })
    .await;
    // Two assets, a market, and before them the question whether the rules have notes of operators.
    assert!(metrics.contains("crossbook_commands_total 4"), "{metrics}");
    assert!(metrics.contains("crossbook_log_sync_seconds_bucket"), "{metrics}");
    for name in ["crossbook_build_info{", "crossbook_market_trades_total{symbol=\"BTCUSDT\"} 0"] {
        assert!(metrics.contains(name), "{name}: {metrics}");
    }
    assert_eq!(promtool(&metrics), "", "{metrics}");
    let audit = venue.client.get(format!("http://{}/admin/v1/audit", venue.admin)).bearer_auth(crate::venue::TOKEN);
    assert_eq!(audit.send().await.unwrap().status(), 200);
    crate::exposition::check("serve", &text(format!("http://{}/metrics", venue.admin)).await, NOT_YET);
    let page = text(format!("http://{}/", venue.http)).await;
    assert!(page.contains(" src=\"/app.js\">"), "{page}");
    assert!(text(format!("http://{}/app.js", venue.http)).await.contains("import"));
    // Only a demo gives accounts away.
    assert_eq!(text(format!("http://{}/demo.json", venue.http)).await, "{\"accounts\":[]}");
}

#[test]
fn it_refuses_to_start_without_what_it_needs_and_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |arguments: &[&str], token: Option<&str>| {
        let mut command = binary();
        command.arg("serve").args(arguments).current_dir(folder.path());
        if let Some(token) = token {
            command.env("CROSSBOOK_ADMIN_TOKEN", token);
        }
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(refused(&["--data", "venue"], None).contains("export CROSSBOOK_ADMIN_TOKEN"));
    assert!(refused(&["--data", "venue"], Some("short")).contains("at least 16"));
    assert!(refused(&[], Some(crate::venue::TOKEN)).contains("--data"));
    assert!(refused(&["--data", "venue", "--config", "none.toml"], Some(crate::venue::TOKEN)).contains("none.toml"));
    std::fs::write(folder.path().join("bad.toml"), "[logging]\nfliter = \"debug\"\n").unwrap();
    assert!(
        refused(&["--data", "venue", "--config", "bad.toml"], Some(crate::venue::TOKEN)).contains("logging.filter")
    );
    std::fs::write(folder.path().join("small.toml"), "[log]\nrecord_bytes_max = 68607\n").unwrap();
    let small = refused(&["--data", "venue", "--config", "small.toml"], Some(crate::venue::TOKEN));
    assert!(small.contains("set it to 68608 or more"), "{small}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for option in ["--http", "--admin"] {
        let told = refused(&["--data", "unused", option, &address], Some(crate::venue::TOKEN));
        assert!(
            told.contains(&format!("cannot listen on {address}")) && told.contains("another process listens there"),
            "{told}"
        );
        assert!(told.contains(&format!("with {option}, or as `{}`", &option[2..])), "{told}");
        assert!(!told.contains("the venue is restored"), "it was found behind the replay: {told}");
    }
    let elsewhere = refused(&["--data", "unused", "--http", "192.0.2.1:1"], Some(crate::venue::TOKEN));
    assert!(elsewhere.contains("this machine has no such address"), "{elsewhere}");
}

/// What a start says about settings, with one that keeps it from starting.
#[test]
fn misspelt_variables_and_listening_in_the_clear_are_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let told = |arguments: &[&str]| {
        let mut command = binary();
        command.args(["serve", "--data", "venue", "--log-format", "human", "--http", "0"]).args(arguments);
        command.current_dir(folder.path()).env("CROSSBOOK_ADMIN_TOKEN", crate::venue::TOKEN);
        command.env("CROSSBOOK_GATEWAY__LIMITS__ORDER_10S", "500").env("CROSSBOOK_SERVICE_PORT", "80");
        command.env("CROSSBOOK_HISTORY__DATABASE", "nothing");
        String::from_utf8(command.output().unwrap().stderr).unwrap()
    };
    // The history's database is none, which is found when the admin address is listened at.
    let here = told(&["--admin", "localhost:0"]);
    assert!(here.contains("did you mean CROSSBOOK_GATEWAY__LIMITS__ORDERS_10S?"), "{here}");
    assert!(!here.contains("SERVICE_PORT") && !here.contains("in the clear"), "{here}");
    let everywhere = told(&["--admin", "0.0.0.0:0"]);
    assert!(
        everywhere.contains("`admin` is reached from other machines") && everywhere.contains("[gateway.admin_tls]"),
        "{everywhere}"
    );
}

/// A command without log lines warns on standard error, once.
#[test]
fn every_command_that_reads_settings_warns_of_misspelt_variables() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("venue/log")).unwrap();
    for arguments in [
        &["serve", "--data", "venue", "--print-config"][..],
        &["gateway", "--print-config"],
        &["worker", "--print-config"],
        &["writer", "--print-config"],
        &["skip", "--data", "venue", "--sequence", "1"],
        &["config"],
        &["audit", "--data", "venue"],
        &["backup", "--data", "venue", "--out", "backup"],
        &["export", "--data", "venue", "--out", "export"],
        &["import", "export"],
        &["store", "verify", "--data", "venue"],
        &["cluster", "--data", "/dev/null/cluster"],
    ] {
        let mut command = binary();
        command.args(arguments).current_dir(folder.path()).env("CROSSBOOK_HISTORY__DATABASSE", "x");
        let told = String::from_utf8(command.output().unwrap().stderr).unwrap();
        let warned = told.matches("did you mean CROSSBOOK_HISTORY__DATABASE?").count();
        assert_eq!(warned, 1, "{arguments:?}: {told}");
    }
}

#[tokio::test]
async fn a_hangup_stops_a_venue_in_order_unless_it_is_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("venue");
    let venue = Venue::serve(&data).await;
    let says = venue.says();
    venue.signal(rustix::process::Signal::HUP);
    assert_eq!(venue.ended().await, Some(0));
    assert!(says("stopped; a snapshot is written").is_some());

    // As `nohup` starts it.
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' HUP; exec \"$0\" \"$@\""]).arg(binary().get_program());
    let mut ignoring = Venue::begin_with(command, &data, &[], &[]);
    ignoring.wait();
    ignoring.venue.signal(rustix::process::Signal::HUP);
    ignoring.venue.list_market().await;
    assert_eq!(ignoring.venue.stop().await, Some(0));
}

/// Root may do everything, so there the venue is started as nobody.
#[test]
fn a_folder_of_somebody_else_says_who_needs_what() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt as _;
    let nobody = 65_534;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("venue");
    std::fs::create_dir(&data).unwrap();
    let is_root = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(&data).unwrap()) == 0;
    let refused = |mode: u32, path: &std::path::Path| {
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::set_permissions(&data, PermissionsExt::from_mode(mode)).unwrap();
        let mut command = binary();
        command.args(["serve", "--http", "0", "--admin", "0", "--data"]).arg(path);
        command.env("CROSSBOOK_ADMIN_TOKEN", crate::venue::TOKEN).current_dir("/");
        if is_root {
            command.uid(nobody).gid(nobody);
        }
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let told = refused(0o500, &data);
    assert!(told.contains("may not read and write") && told.contains("(mode 0500)"), "{told}");
    assert!(!told.contains("chown"), "no venue has been there: {told}");
    if is_root {
        assert!(told.contains(&format!("user nobody ({nobody})")) && told.contains("belongs to root (0)"), "{told}");
        let above = refused(0o755, &data.join("below"));
        assert!(
            above.contains("may not make a folder in") && above.contains("install -d -m 700 -o nobody '"),
            "{above}"
        );
        std::os::unix::fs::chown(&data, Some(nobody), None).unwrap();
        let key = refused(0o700, &data);
        assert!(key.contains("may not make the secret key") && key.contains("CROSSBOOK_SECRET_KEY"), "{key}");
        assert_eq!(std::fs::read_dir(&data).unwrap().count(), 0, "nothing is made");
        std::os::unix::fs::chown(&data, Some(0), None).unwrap();
        std::fs::create_dir(data.join("log")).unwrap();
        let owned = refused(0o755, &data);
        assert!(owned.contains(&format!("chown -R nobody '{}'", data.display())), "{owned}");
    }
}

/// A start is held up in its middle by a snapshot that is a pipe: who reads it waits for somebody to write.
#[tokio::test]
async fn a_venue_that_replays_is_alive_and_not_ready() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("venue");
    let venue = Venue::serve(&data).await;
    venue.list_market().await;
    let audit = venue.operate(Method::GET, "audit", None).await;
    venue.kill();
    let pipe = data.join("snapshots/snapshot-00000000000000000001.bin");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());

    let mut starting = Venue::begin(&data, &[]);
    let ask = async |venue: &Venue, path: &str| {
        let url = format!("http://{}/{path}", venue.admin);
        let response = venue.client.get(url).bearer_auth(crate::venue::TOKEN).send().await.unwrap();
        (response.status().as_u16(), response.json::<Value>().await.unwrap())
    };
    let venue = &starting.venue;
    let replaying = serde_json::json!({"ready": false, "phase": "replaying", "sequence": 0});
    eventually("the replay begins", async || (ask(venue, "readyz").await == (503, replaying.clone())).then_some(()))
        .await;
    assert_eq!(ask(venue, "healthz").await.0, 200);
    for path in ["metrics", "admin/v1/audit", "nothing"] {
        let (status, body) = ask(venue, path).await;
        assert_eq!((status, body["code"].as_i64()), (503, Some(-1008)), "{path}");
    }

    // It is no snapshot, so the log is replayed from the beginning.
    let written = pipe.clone();
    std::thread::spawn(move || std::fs::write(written, b"nothing"));
    starting.wait();
    // An audit begins with the snapshots as well.
    std::fs::remove_file(pipe).unwrap();
    let venue = &starting.venue;
    assert_eq!(ask(venue, "readyz").await.0, 200, "ready when it says that it is open");
    assert_eq!(venue.operate(Method::GET, "audit", None).await, audit);
    assert_eq!(starting.venue.stop().await, Some(0));
}

/// The largest bodies that the operator can send become commands that fit into the smallest records that can be set.
#[tokio::test]
async fn the_largest_command_fits_the_smallest_record() {
    const BODY_BYTES_MAX: usize = 2_048;
    let folder = tempfile::tempdir().unwrap();
    let settings = [
        ("CROSSBOOK_GATEWAY__SERVER__BODY_BYTES_MAX", "2048"),
        ("CROSSBOOK_LOG__RECORD_BYTES_MAX", "5120"),
        ("CROSSBOOK_LOG__BATCH_BYTES_MAX", "8192"),
    ];
    let venue = Venue::serve_with(&folder.path().join("venue"), &settings).await;
    venue.operate(Method::POST, "accounts", None).await;
    let post = async |path: &str, body: String| {
        assert_eq!(body.len(), BODY_BYTES_MAX);
        let url = format!("http://{}/admin/v1/{path}", venue.admin);
        venue.client.post(url).bearer_auth(crate::venue::TOKEN).body(body).send().await.unwrap().status().as_u16()
    };
    let filled = |before: &str, filling: &str, after: &str| {
        let mut body = before.to_owned();
        while body.len() + filling.len() + after.len() <= BODY_BYTES_MAX {
            body.push_str(filling);
        }
        body.push_str(&" ".repeat(BODY_BYTES_MAX - body.len() - after.len()));
        body + after
    };
    let label = filled("{\"label\":\"", "x", "\"}");
    assert_eq!(post("accounts", label).await, 400, "the label is too long, which the log does not mind");
    for network in ["\"::\",", "\"1111:1111:1111:1111:1111:1111:1111:1111/128\","] {
        let key = filled("{\"permissions\":[\"READ\"],\"allowedIps\":[", network, "\"::\"]}");
        assert_eq!(post("accounts/1001/api-keys", key).await, 200);
    }
    assert_eq!(venue.operate(Method::GET, "audit", None).await["ok"], true);
}

#[tokio::test]
async fn two_venues_cannot_have_the_same_folder() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("venue");
    let _first = Venue::serve(&data).await;
    let mut second = binary();
    second.args(["serve", "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data"]).arg(&data);
    let output = second.env("CROSSBOOK_ADMIN_TOKEN", crate::venue::TOKEN).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("cannot open the log"), "{said}");
}

/// The program with these arguments must fail; what it says.
fn fails(arguments: &[&str], data: &Path) -> String {
    let output = binary().args(arguments).arg("--data").arg(data).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test]
async fn no_name_that_is_removed_or_moved_lets_a_second_process_in() {
    let folder = tempfile::tempdir().unwrap();
    let (data, aside) = (folder.path().join("venue"), folder.path().join("aside"));
    let log = data.join("log");
    let venue = Venue::serve(&data).await;
    venue.list_market().await;
    let alice = venue.open_account("alice").await;
    let order = |name: &str| {
        format!("symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTC&quantity=1&price=50000&newClientOrderId={name}")
    };

    std::fs::remove_file(log.join("lock")).unwrap();
    let said = crate::venue::refusal(&data);
    assert!(said.contains("is in use by another process; stop it"), "{said}");
    let export = folder.path().join("venue.export");
    let said = fails(&["export", "--out", export.to_str().unwrap()], &data);
    assert!(said.contains("is running") && !export.exists(), "{said}");
    // It does not open the log either, but leaves it to the venue to fill the tables again.
    eventually("the tables are given up, though the venue writes to them", async || {
        let rebuilt = binary().args(["store", "rebuild", "--data"]).arg(&data).output().unwrap();
        String::from_utf8(rebuilt.stdout).unwrap().contains("The venue is running").then_some(())
    })
    .await;
    alice.ask(&venue, Method::POST, "order", &order("lock-removed")).await;

    // Another folder with the same segments in it: nobody has it locked, but the segment is.
    std::fs::rename(&log, &aside).unwrap();
    std::fs::create_dir(&log).unwrap();
    for file in std::fs::read_dir(&aside).unwrap().map(|file| file.unwrap().file_name()) {
        std::fs::rename(aside.join(&file), log.join(&file)).unwrap();
    }
    let said = crate::venue::refusal(&data);
    assert!(said.contains("is in use by another process; stop it"), "{said}");
    alice.ask(&venue, Method::POST, "order", &order("folder-replaced")).await;

    // Moved away, the log takes nothing more, and the venue ends and says why.
    std::fs::remove_dir(&aside).unwrap();
    std::fs::rename(&log, &aside).unwrap();
    let lost = alice.attempt(&venue.client, &venue.http, Method::POST, "order", &order("moved-away")).await;
    assert!(lost.is_err() || lost.is_ok_and(|(status, _)| status >= 500), "acknowledged into a file that nobody finds");
    let says = venue.says();
    assert_eq!(venue.ended().await, Some(1));
    assert!(says("is no longer the file that this process has locked and writes to").is_some());

    std::fs::rename(&aside, &log).unwrap();
    let venue = Venue::serve(&data).await;
    let open = alice.ask(&venue, Method::GET, "openOrders", "symbol=BTCUSDT").await;
    let names: Vec<_> = open.as_array().unwrap().iter().map(|order| order["clientOrderId"].as_str().unwrap()).collect();
    assert!(names.contains(&"lock-removed") && names.contains(&"folder-replaced"), "{names:?}");
}

#[test]
fn an_audit_of_nothing_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let output = binary().args(["audit", "--data"]).arg(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("there is no log"));
    std::fs::create_dir(folder.path().join("log")).unwrap();
    let output = binary().args(["audit", "--data"]).arg(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("there is nothing to audit"));
}

#[tokio::test]
async fn a_lost_secret_key_is_told_and_its_api_keys_can_be_issued_anew() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("venue");
    let venue = Venue::serve(&data).await;
    venue.list_market().await;
    let (account, alice) = venue.open_numbered_account("alice").await;
    assert_eq!(venue.stop().await, Some(0));

    let key_file = folder.path().join("venue.secret-key");
    std::fs::remove_file(&key_file).unwrap();
    let said = crate::venue::refusal(&data);
    assert!(said.contains("venue.secret-key") && said.contains("--revoke-lost-keys"), "{said}");
    assert!(!key_file.exists(), "no other key takes its place");

    let venue = Venue::serve_as(&data, &[], &["--revoke-lost-keys"]).await;
    let refused = eventually("the old key is revoked", async || {
        let (status, body) = alice.send(&venue, Method::GET, "account", "").await;
        (body["code"] == -2015).then_some(status)
    });
    assert_eq!(refused.await, 401);
    let alice = venue.issue_key(account).await;
    alice.ask(&venue, Method::GET, "account", "").await;
    assert_eq!(venue.stop().await, Some(0));

    let venue = Venue::serve(&data).await;
    alice.ask(&venue, Method::GET, "account", "").await;
    assert_eq!(venue.stop().await, Some(0));

    // Whoever reads only the first lines of an audit does not make it fail.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = binary().args(["audit", "--data"]).arg(&data).stdout(writer).output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));

    let other = [("CROSSBOOK_SECRET_KEY", "ab".repeat(32))];
    let mut command = binary();
    command.args(["serve", "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data"]).arg(&data).envs(other);
    let output = command.env("CROSSBOOK_ADMIN_TOKEN", crate::venue::TOKEN).output().unwrap();
    assert!(String::from_utf8(output.stderr).unwrap().contains("--revoke-lost-keys"));
}

#[tokio::test]
async fn every_name_of_the_data_folder_finds_the_key_beside_it_and_a_key_inside_is_refused() {
    let outer = tempfile::tempdir().unwrap();
    let (data, link, key) =
        (outer.path().join("venue"), outer.path().join("link"), outer.path().join("venue.secret-key"));
    std::fs::create_dir(&data).unwrap();
    std::os::unix::fs::symlink("venue", &link).unwrap();
    let mut command = binary();
    command.args(["serve", "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--log-format", "json", "--data", "."]);
    command.current_dir(&data).env("CROSSBOOK_ADMIN_TOKEN", crate::venue::TOKEN).stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let (http, admin) = crate::venue::addresses(&mut child);
    let venue = Venue::elsewhere(http, admin, crate::venue::TOKEN);
    venue.list_market().await;
    let alice = venue.open_account("alice").await;
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(key.is_file() && !data.join("data.secret-key").exists(), "the key is beside the folder");

    let venue = Venue::serve(&link).await;
    alice.ask(&venue, Method::GET, "account", "").await;
    venue.kill();
    assert_eq!(std::fs::read_dir(outer.path()).unwrap().count(), 3, "the folder, its link and one key");

    let inside = data.join("data.secret-key");
    std::fs::rename(&key, &inside).unwrap();
    for name in [&data, &link] {
        let said = crate::venue::refusal(name);
        assert!(said.contains("inside the data folder") && said.contains("mv -n '"), "{said}");
    }
    std::fs::rename(&inside, outer.path().join("link.secret-key")).unwrap();
    let said = crate::venue::refusal(&link);
    assert!(said.contains("link.secret-key") && said.contains("mv '"), "{said}");
    std::fs::rename(outer.path().join("link.secret-key"), &key).unwrap();

    let export = |out: &std::path::Path| {
        let command = binary().arg("export").arg("--data").arg(&link).arg("--out").arg(out).output().unwrap();
        (command.status.code(), String::from_utf8(command.stderr).unwrap())
    };
    for out in [data.join("venue.export"), link.join("log/venue.export")] {
        let (status, said) = export(&out);
        assert!(status == Some(1) && said.contains("name a path outside of it"), "{said}");
    }
    let history = format!("sqlite://{}", data.join("log/history.sqlite").display());
    let said = crate::venue::refusal_with(&data, &[("CROSSBOOK_HISTORY__DATABASE", &history)]);
    assert!(said.contains("the history's file"), "{said}");
    assert!(crate::venue::refusal(&data.join("log")).contains("is the folder of a venue's log"));
    assert_eq!(export(&outer.path().join("venue.export")).0, Some(0));
}

/// What cannot be read is passed over like what is damaged, and named.
#[tokio::test]
async fn a_snapshot_that_cannot_be_read_is_named_and_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("venue");
    let venue = Venue::serve(&data).await;
    venue.list_market().await;
    assert_eq!(venue.stop().await, Some(0));
    let snapshot = std::fs::read_dir(data.join("snapshots")).unwrap().next().unwrap().unwrap().path();
    let aside = folder.path().join("aside");
    std::fs::rename(&snapshot, &aside).unwrap();
    std::fs::create_dir(&snapshot).unwrap();
    for command in [["audit", "--data"], ["export", "--data"]] {
        let output = binary().args(command).arg(&data).current_dir(folder.path()).output().unwrap();
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let venue = Venue::serve_as(&data, &[], &["--reopen"]).await;
    let said = venue.says();
    let line = said("falling back").unwrap();
    assert!(line.contains(snapshot.to_str().unwrap()) && line.contains("directory"), "{line}");
    assert_eq!(venue.stop().await, Some(0));
    std::fs::remove_dir(&snapshot).unwrap();
    std::fs::rename(&aside, &snapshot).unwrap();
    assert_eq!(Venue::serve(&data).await.stop().await, Some(0));
    // A folder that may not be looked at is no venue without snapshots, either.
    std::fs::rename(data.join("snapshots"), &aside).unwrap();
    std::fs::write(data.join("snapshots"), "").unwrap();
    for command in [["audit", "--data"], ["export", "--data"]] {
        let output = binary().args(command).arg(&data).current_dir(folder.path()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && said.contains("is not a folder"), "{command:?}: {said}");
    }
}

#[tokio::test]
async fn a_venue_that_is_asked_to_stop_serves_on_until_it_has_drained() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("venue");
    let venue = Venue::serve_with(&data, &[("CROSSBOOK_GATEWAY__SERVER__DRAIN_MS", "3000")]).await;
    venue.list_market().await;
    let alice = venue.open_account("alice").await;
    let status = async |address: &str, path: &str| {
        // A connection of its own each time.
        let answer = reqwest::get(format!("http://{address}/{path}")).await;
        answer.map(|answer| answer.status().as_u16())
    };
    let begun = std::time::Instant::now();
    venue.signal(rustix::process::Signal::TERM);
    for address in [&venue.admin, &venue.http] {
        eventually("it is not ready", async || (status(address, "readyz").await.unwrap() == 503).then_some(())).await;
        assert_eq!(status(address, "healthz").await.unwrap(), 200);
    }
    assert_eq!(status(&venue.http, "api/v3/ping").await.unwrap(), 200);
    let order = "symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTC&quantity=1&price=50000";
    assert_eq!(alice.ask(&venue, Method::POST, "order", order).await["status"], "NEW");
    assert!(begun.elapsed() < std::time::Duration::from_secs(3), "all of it while it drains");
    assert_eq!(venue.ended().await, Some(0));
    assert!(begun.elapsed() >= std::time::Duration::from_secs(3));

    // Who sits at a terminal does not wait, and a second signal ends it at once.
    let venue = Venue::serve_with(&data, &[("CROSSBOOK_GATEWAY__SERVER__DRAIN_MS", "600000")]).await;
    venue.signal(rustix::process::Signal::INT);
    assert_eq!(venue.ended().await, Some(0));
    let venue = Venue::serve_with(&data, &[("CROSSBOOK_GATEWAY__SERVER__DRAIN_MS", "600000")]).await;
    venue.signal(rustix::process::Signal::TERM);
    let first = std::time::Instant::now();
    eventually("it drains", async || (status(&venue.http, "readyz").await.unwrap() == 503).then_some(())).await;
    // One that comes within half a second is the first once more.
    let later = std::time::Duration::from_millis(700);
    eventually("the second is one of its own", async || (first.elapsed() > later).then_some(())).await;
    venue.signal(rustix::process::Signal::TERM);
    assert_eq!(venue.ended().await, Some(1));
}

/// A clock that was a day ahead when the last command was taken, and is right again.
#[tokio::test]
async fn a_clock_before_the_last_command_is_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("venue");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let time = Timestamp(u64::try_from(now.as_micros()).unwrap() + 86_400_000_000);
    {
        let (mut log, _) = Files::open(&data.join("log"), files::Options::default()).unwrap();
        let (mut payload, body) = (Vec::new(), Body::OpenAccount(OpenAccount { label: "early".to_owned() }));
        crossbook_protocol::wire::encode_command(SourceId::FIRST_GATEWAY, RequestNumber(1), None, &body, &mut payload);
        log.append(Record { sequence: Sequence(1), time, payload: &payload }).unwrap();
        log.sync().unwrap();
    }
    let said = crate::venue::refusal(&data);
    assert!(said.contains("--accept-clock") && said.contains("later. One of the two was wrong"), "{said}");
    let venue = Venue::serve_as(&data, &[], &["--accept-clock"]).await;
    let ready = async |venue: &Venue| {
        let url = format!("http://{}/readyz", venue.admin);
        venue.client.get(url).send().await.unwrap().json::<Value>().await.unwrap()["clock"].clone()
    };
    let clock = eventually("the clock is looked at", async || {
        let clock = ready(&venue).await;
        (clock["state"] == "behindLog").then_some(clock)
    })
    .await;
    let behind = clock["behindLogMillis"].as_u64().unwrap();
    assert!((80_000_000..=86_400_000).contains(&behind), "{clock}");
    let account = venue.operate(Method::POST, "accounts", None).await["accountId"].as_u64().unwrap();
    let opened = venue.operate(Method::GET, &format!("accounts/{account}"), None).await["opened"].as_u64().unwrap();
    assert_eq!(opened, time.0 / 1_000, "a command carries the log's last time");
    let metrics =
        venue.client.get(format!("http://{}/metrics", venue.admin)).send().await.unwrap().text().await.unwrap();
    let gauge = metrics.lines().find_map(|line| line.strip_prefix("crossbook_clock_behind_log_seconds ")).unwrap();
    assert!(gauge.parse::<f64>().unwrap() > 80_000.0, "{gauge}");
    assert!(venue.says()("is before the last command").is_some());
    assert_eq!(venue.stop().await, Some(0));

    let venue = Venue::serve(&folder.path().join("other")).await;
    let clock = ready(&venue).await;
    assert_eq!((&clock["state"], &clock["jumps"], &clock["behindLogMillis"]), (&json!("ok"), &json!(0), &json!(0)));
}

/// What was acknowledged is passed over by nobody: not what the mark knows of, nor what a replay passes.
#[tokio::test]
async fn a_command_that_was_applied_is_not_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("venue");
    let none = [("CROSSBOOK_HISTORY__DATABASE", "none")];
    let venue = Venue::serve_with(&data, &none).await;
    venue.list_market().await;
    venue.open_account("alice").await;
    venue.kill();
    let skip = |more: &[&str]| {
        let command = binary().args(["skip", "--sequence", "2", "--data"]).arg(&data).args(more).envs(none).output();
        let output = command.unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (status, said) = skip(&[]);
    assert!(status == Some(1) && said.contains("command 2 can be applied"), "{said}");
    Venue::serve_with(&data, &none).await.kill();
    for force in [&[][..], &["--force"]] {
        let (status, said) = skip(force);
        assert!(status == Some(1) && said.contains("was applied") && said.contains("log-mark.json"), "{said}");
    }
    assert_eq!(Venue::serve_with(&data, &none).await.stop().await, Some(0));
}

/// A log that was put back to an older copy does not cost the backup that has more.
#[tokio::test]
async fn a_log_that_is_behind_is_not_backed_up() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("venue");
    let venue = Venue::serve(&data).await;
    venue.list_market().await;
    assert_eq!(venue.stop().await, Some(0));
    let out = folder.path().join("backup");
    let backup = || {
        let output = binary().args(["backup", "--out"]).arg(&out).arg("--data").arg(&data).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (status, said) = backup();
    assert!(status == Some(0), "{said}");
    let manifest = std::fs::read(out.join("manifest.json")).unwrap();
    for segment in std::fs::read_dir(data.join("log")).unwrap() {
        let path = segment.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "log") {
            std::fs::remove_file(path).unwrap();
        }
    }
    let (status, said) = backup();
    assert!(status == Some(1) && said.contains("nothing is backed up") && said.contains("the mark"), "{said}");
    assert_eq!(std::fs::read(out.join("manifest.json")).unwrap(), manifest);
}
