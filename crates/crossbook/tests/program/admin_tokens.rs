//! Admin tokens in a file, which are replaced while the venue runs.

use std::path::Path;
use std::process::{Child, Stdio};

use crate::venue::{TOKEN, addresses, binary, eventually};

const OLD: &str = "the-old-token-of-the-operator";
const NEW: &str = "the-new-token-of-the-operator";

/// A venue whose tokens are in a file; killed when dropped.
struct Served(Child);

impl Served {
    /// Starts it, and gives the address of its admin API.
    fn start(data: &Path, tokens: &Path) -> (Self, String) {
        let mut command = binary();
        command.args(["serve", "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--log-format", "json", "--data"]);
        command.arg(data).env("CROSSBOOK_ADMIN_TOKEN_FILE", tokens);
        command.env("CROSSBOOK_GATEWAY__SERVER__RELOAD_INTERVAL_MS", "20").env("CROSSBOOK_VIEWS__OPERATOR_LOG", "2");
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let (_, admin) = addresses(&mut child);
        (Self(child), admin)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether the operator is admitted with a token.
async fn is_admitted(admin: &str, token: &str) -> Option<bool> {
    let request = reqwest::Client::new().get(format!("http://{admin}/admin/v1/assets")).bearer_auth(token);
    match request.send().await.ok()?.status().as_u16() {
        200 => Some(true),
        401 => Some(false),
        _ => None,
    }
}

/// Whether the process says that the file cannot be used.
async fn unusable(admin: &str) -> Option<String> {
    let metrics = reqwest::get(format!("http://{admin}/metrics")).await.ok()?.text().await.ok()?;
    let value = metrics.lines().find_map(|line| line.strip_prefix("crossbook_admin_tokens_unusable "))?;
    Some(value.to_owned())
}

/// Waits until these tokens are admitted or not.
async fn until(admin: &str, old: bool, new: bool) {
    eventually("the tokens are replaced", async || {
        let seen = (is_admitted(admin, OLD).await?, is_admitted(admin, NEW).await?);
        (seen == (old, new)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_token_is_replaced_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    let write = |text: &str| {
        // In one step, as whoever mounts secrets does.
        let beside = folder.path().join("tokens.new");
        std::fs::write(&beside, text).unwrap();
        std::fs::rename(&beside, &tokens).unwrap();
    };
    write(OLD);
    let (_served, admin) = Served::start(&folder.path().join("venue"), &tokens);
    until(&admin, true, false).await;
    write(&format!("{OLD}\n{NEW}\n"));
    until(&admin, true, true).await;
    write(&format!("{NEW}\n"));
    until(&admin, false, true).await;
    // What cannot be used changes nothing, and a metric says so; afterwards it goes on.
    assert_eq!(unusable(&admin).await.as_deref(), Some("0"));
    write("short\n");
    eventually("the file is found unusable", async || unusable(&admin).await.filter(|value| value == "1")).await;
    until(&admin, false, true).await;
    write(&format!("{NEW}\n{OLD}\n"));
    until(&admin, true, true).await;
    assert_eq!(unusable(&admin).await.as_deref(), Some("0"));
    // The operator's command reads the same file.
    let mut command = binary();
    command.args(["admin", "--url", &format!("http://{admin}"), "assets"]).env("CROSSBOOK_ADMIN_TOKEN_FILE", &tokens);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn an_operator_may_do_what_the_role_allows() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    std::fs::write(&tokens, format!("{OLD}\nann viewer {NEW}\n")).unwrap();
    let (_served, admin) = Served::start(&folder.path().join("venue"), &tokens);
    until(&admin, true, true).await;
    let asked = async |method: reqwest::Method, path: &str, token: &str| {
        let request = reqwest::Client::new().request(method, format!("http://{admin}/admin/v1/{path}"));
        let answer = request.bearer_auth(token).json(&serde_json::json!({})).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<serde_json::Value>().await.unwrap())
    };
    let ann = serde_json::json!({"operator": "ann", "role": "viewer"});
    assert_eq!(asked(reqwest::Method::GET, "operator", NEW).await, (200, ann));
    let all = serde_json::json!({"operator": "operator", "role": "admin"});
    assert_eq!(asked(reqwest::Method::GET, "operator", OLD).await, (200, all));
    let (status, refused) = asked(reqwest::Method::POST, "accounts", NEW).await;
    assert_eq!((status, &refused["code"]), (403, &serde_json::json!(-1002)));
    assert!(refused["msg"].as_str().unwrap().contains("takes the role support; you have the role viewer"), "{refused}");
    assert_eq!(asked(reqwest::Method::POST, "accounts", OLD).await.0, 200);
}

#[tokio::test]
async fn the_operator_log_reaches_back_beyond_memory() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    std::fs::write(&tokens, OLD).unwrap();
    let (_served, admin) = Served::start(&folder.path().join("venue"), &tokens);
    until(&admin, true, false).await;
    let client = reqwest::Client::new();
    let url = |path: &str| format!("http://{admin}/admin/v1/{path}");
    let labels: Vec<String> = (0..7).map(|at| format!("account-{at}")).collect();
    for label in &labels {
        let request = client.post(url("accounts")).bearer_auth(OLD).json(&serde_json::json!({"label": label}));
        assert!(request.send().await.unwrap().status().is_success());
    }
    let (mut found, mut query) = (Vec::new(), "operator-log?limit=3".to_owned());
    loop {
        let page = client.get(url(&query)).bearer_auth(OLD).send().await.unwrap();
        let page: serde_json::Value = page.json().await.unwrap();
        found.extend(page["entries"].as_array().unwrap_or_else(|| panic!("{page}")).clone());
        let Some(next) = page["next"].as_str() else { break };
        query = format!("operator-log?limit=3&before={next}");
    }
    let told: Vec<&str> = found.iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    let due: Vec<String> =
        labels.iter().rev().map(|label| format!("POST accounts {{\"label\":\"{label}\"}}")).collect();
    assert_eq!(told, due);
    assert!(found.iter().all(|entry| entry["operator"] == "operator" && entry["refused"].is_null()), "{found:?}");
}

#[test]
fn a_start_with_unusable_tokens_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    std::fs::write(&tokens, "short\n").unwrap();
    let refused = |settings: &[(&str, &str)]| {
        let mut command = binary();
        command.args(["serve", "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data"]);
        let output = command.arg(folder.path().join("venue")).envs(settings.iter().copied()).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let file = tokens.to_str().unwrap();
    let said = refused(&[("CROSSBOOK_ADMIN_TOKEN_FILE", file)]);
    assert!(said.contains("token 1 must have at least 16") && said.contains(file), "{said}");
    let said = refused(&[("CROSSBOOK_ADMIN_TOKEN_FILE", file), ("CROSSBOOK_ADMIN_TOKEN", TOKEN)]);
    assert!(said.contains("are both set; unset one of them"), "{said}");
    let said = refused(&[("CROSSBOOK_ADMIN_TOKEN_FILE", "/nonexistent/tokens")]);
    assert!(said.contains("/nonexistent/tokens"), "{said}");
}
