//! The lag of a history whose database is out of reach, over several starts of the venue.

use std::time::Instant;

use crate::venue::{Venue, eventually};
use crossbook_servers::mysql::MySql;
use serde_json::Value;

/// What the admin address tells of the history, once it does in that state.
async fn told(venue: &Venue, state: &str) -> Value {
    eventually("the state is told", async || {
        let ready = venue.client.get(format!("http://{}/readyz", venue.admin)).send().await.unwrap();
        let history = ready.json::<Value>().await.unwrap()["history"].take();
        (history["state"] == state).then_some(history)
    })
    .await
}

async fn lag_seconds(venue: &Venue) -> f64 {
    let metrics = venue.client.get(format!("http://{}/metrics", venue.admin)).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    let found = metrics.lines().find_map(|line| line.strip_prefix("crossbook_history_lag_seconds "));
    found.unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_without_the_database_does_not_begin_the_lag_anew() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("venue");
    let mut server = MySql::start(&folder.path().join("mariadb")).expect("the suite runs on MariaDB");
    let database = server.create("history").unwrap();
    let settings = [
        ("CROSSBOOK_HISTORY__DATABASE", database.as_str()),
        ("CROSSBOOK_HISTORY__STOP_TIMEOUT_MS", "10000"),
        ("CROSSBOOK_HISTORY__RETRY_DELAY_MAX_MS", "50"),
    ];
    let venue = Venue::serve_with(&data, &settings).await;
    venue.list_market().await;
    told(&venue, "following").await;
    assert_eq!(venue.stop().await, Some(0), "all is written before it ends");
    server.stop();

    let venue = Venue::serve_with(&data, &settings).await;
    let history = told(&venue, "failing").await;
    assert_eq!((&history["lagCommands"], &history["sequence"]), (&0.into(), &Value::Null), "nothing is missing");
    venue.open_numbered_account("first").await;
    let begun = Instant::now();
    let first = told(&venue, "failing").await["lagCommands"].as_u64().unwrap();
    assert!(first > 0);
    venue.kill();
    let venue = Venue::serve_with(&data, &settings).await;
    let history = told(&venue, "failing").await;
    assert_eq!(history["lagCommands"], first, "what was not written still is not");
    let age = begun.elapsed().as_secs_f64();
    let counted = async || (lag_seconds(&venue).await >= age).then_some(());
    eventually("the oldest counts, though nothing happens any more", counted).await;
    // Without a note nothing is known to be written.
    venue.kill();
    std::fs::remove_file(data.join("history-note.json")).unwrap();
    let venue = Venue::serve_with(&data, &settings).await;
    let all = told(&venue, "failing").await["lagCommands"].as_u64().unwrap();
    assert!(all > first, "{all}");

    server.restart().unwrap();
    eventually("all is written", async || (told(&venue, "following").await["lagCommands"] == 0).then_some(())).await;
    assert_eq!(venue.stop().await, Some(0));
}
