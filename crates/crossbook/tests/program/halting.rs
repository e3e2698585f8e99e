//! The operator stops trading, and lets it go on.

use reqwest::Method;
use serde_json::json;

use crate::venue::{TOKEN, Venue, binary};

/// Runs `crossbook admin`; its exit status and what it says about errors.
async fn admin(venue: &Venue, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = binary();
    command.arg("admin").args(arguments).args(["--url", &venue.admin]).env("CROSSBOOK_ADMIN_TOKEN", TOKEN);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// The status of each market, in the order in which they were listed.
async fn statuses(venue: &Venue) -> Vec<String> {
    let listed = venue.operate(Method::GET, "markets", None).await;
    let markets = listed["markets"].as_array().unwrap();
    markets.iter().map(|market| market["status"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_markets_are_halted_and_resumed_whatever_is_refused_and_others_keep_their_status() {
    let folder = tempfile::tempdir().unwrap();
    let venue = Venue::serve(&folder.path().join("data")).await;
    venue.list_market().await;
    let market = |symbol: &str, status: &str| {
        json!({"symbol": symbol, "baseAsset": "BTC", "quoteAsset": "USDT", "tickSize": "1", "stepSize": "1",
            "status": status})
    };
    for (symbol, status) in [("ENDING", "CANCEL_ONLY"), ("A-B", "TRADING"), ("PAUSED", "BREAK")] {
        venue.operate(Method::POST, "markets", Some(market(symbol, status))).await;
    }
    // A market of that name could not be halted: no client sends it as a part of a path.
    for name in [".", "..", "_"] {
        let steps = ["--base", "BTC", "--quote", "USDT", "--tick-size", "1", "--step-size", "1"];
        let (status, said) = admin(&venue, &[&["markets", "add", name], &steps[..]].concat()).await;
        assert_eq!(status, Some(4), "{name}");
        assert!(said.contains("must have a letter or a digit"), "{said}");
    }
    assert_eq!(statuses(&venue).await, ["TRADING", "CANCEL_ONLY", "TRADING", "BREAK"]);

    let (status, said) = admin(&venue, &["halt", "NOPE", "A-B"]).await;
    assert_eq!(status, Some(4));
    assert!(said.contains("HALT now: A-B; not: NOPE"), "{said}");
    assert_eq!(statuses(&venue).await, ["TRADING", "CANCEL_ONLY", "HALT", "BREAK"]);

    assert_eq!(admin(&venue, &["halt", "--all"]).await, (Some(0), String::new()));
    assert_eq!(statuses(&venue).await, ["HALT", "CANCEL_ONLY", "HALT", "BREAK"]);
    assert_eq!(admin(&venue, &["resume", "--all"]).await, (Some(0), String::new()));
    assert_eq!(statuses(&venue).await, ["TRADING", "CANCEL_ONLY", "TRADING", "BREAK"]);
    assert_eq!(venue.stop().await, Some(0));
}
