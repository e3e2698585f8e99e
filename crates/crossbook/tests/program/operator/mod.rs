//! Clusters of real processes, and their operator: lists assets and markets, opens accounts, checks that balances
//! reconcile.

use std::path::Path;
use std::time::Duration;

use crossbook_servers::cluster::{LocalCluster, Plan};
use reqwest::Method;
use serde_json::{Value, json};

use crate::venue::{Trader, eventually};

/// Settings under which no limit of rate is in the way; others may follow.
pub const NO_LIMITS: &str = "\
[gateway.limits]
request_weight_1m = 0
raw_requests_5m = 0
orders_10s = 0
orders_1d = 0
";
/// How long an answer may take; an audit reads logs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Starts a cluster of the program under test.
pub fn cluster(folder: &Path, plan: &Plan) -> LocalCluster {
    let binary = Path::new(env!("CARGO_BIN_EXE_crossbook"));
    LocalCluster::start(folder, binary, plan, |_| ()).unwrap()
}

/// Whoever has the token.
#[derive(Clone)]
pub struct Operator {
    pub client: reqwest::Client,
    admin: String,
    token: String,
}

impl Operator {
    pub fn of(cluster: &LocalCluster) -> Self {
        Self { client: reqwest::Client::new(), admin: cluster.admin().to_string(), token: cluster.token().to_owned() }
    }

    /// The operator of a venue in one process.
    pub fn at(admin: &str, token: &str) -> Self {
        Self { client: reqwest::Client::new(), admin: admin.to_owned(), token: token.to_owned() }
    }

    /// Asks the admin API until it agrees. What it is asked must be harmless to ask twice.
    pub async fn does(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        eventually(path, async || {
            let url = format!("http://{}/admin/v1/{path}", self.admin);
            let mut request = self.client.request(method.clone(), url).bearer_auth(&self.token).timeout(PATIENCE);
            if let Some(body) = &body {
                request = request.json(body);
            }
            let response = request.send().await.ok()?;
            if !response.status().is_success() {
                eprintln!("{path}: {} {}", response.status(), response.text().await.unwrap_or_default());
                return None;
            }
            response.json().await.ok()
        })
        .await
    }

    /// Lists assets, of eight decimals each.
    pub async fn list_assets(&self, assets: &[&str]) {
        for asset in assets {
            self.does(Method::POST, "assets", Some(json!({"asset": asset, "decimals": 8}))).await;
        }
    }

    /// Lists a market in USDT; `more` is what else it has, its steps and fees.
    pub async fn list_market(&self, symbol: &str, more: &Value) {
        let base = symbol.trim_end_matches("USDT");
        let mut market = json!({"symbol": symbol, "baseAsset": base, "quoteAsset": "USDT", "tickSize": "0.01", "stepSize": "0.00001"});
        market.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.does(Method::POST, "markets", Some(market)).await;
    }

    /// Opens an account with money and a key to trade with.
    pub async fn open_account(&self, label: &str, deposits: &[(&str, &str)]) -> Trader {
        let account = self.does(Method::POST, "accounts", Some(json!({"label": label}))).await;
        let account = account["accountId"].as_u64().unwrap();
        for (asset, amount) in deposits {
            let deposit = json!({"asset": asset, "amount": amount, "transferId": format!("first-{asset}")});
            self.does(Method::POST, &format!("accounts/{account}/deposits"), Some(deposit)).await;
        }
        let permissions = json!({"permissions": ["READ", "TRADE"]});
        let key = self.does(Method::POST, &format!("accounts/{account}/api-keys"), Some(permissions)).await;
        let text = |name: &str| key[name].as_str().unwrap().to_owned();
        Trader { key: text("apiKey"), secret: text("secretKey") }
    }
}
