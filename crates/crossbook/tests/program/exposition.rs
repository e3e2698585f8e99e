//! What a process of each role exposes is what the catalogue in docs/metrics.md says of that role, and the other way
//! round.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crossbook_servers::cluster::LocalCluster;
use reqwest::Client;

/// Families that a process exposes only after something that need not happen to it: a refusal, a failure, a query for
/// old data, a connection of that kind, a certificate.
const AFTER_AN_EVENT: &[&str] = &[
    "crossbook_clock_jumps_total",
    "crossbook_connections_refused_total",
    "crossbook_history_failures_total",
    "crossbook_history_query_seconds",
    "crossbook_orders_rejected_total",
    "crossbook_overload_rejections_total",
    "crossbook_requests_rejected_total",
    "crossbook_stream_subscriptions",
    "crossbook_tls_certificate_expiry_timestamp_seconds",
    "crossbook_websocket_connections",
];

/// A row of the catalogue.
#[derive(Debug)]
struct Row {
    kind: String,
    labels: BTreeSet<String>,
    roles: Vec<String>,
}

fn catalogue() -> BTreeMap<String, Row> {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
    let document = std::fs::read_to_string(document).unwrap();
    let table = document.lines().filter(|line| line.starts_with("| `"));
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let labels = cells[4].split(", ").map(|label| label.trim_matches('`').to_owned());
        let roles = cells[5].split(", ").map(str::to_owned).collect();
        let row = Row { kind: cells[2].to_owned(), labels: labels.filter(|label| !label.is_empty()).collect(), roles };
        (cells[1].trim_matches('`').to_owned(), row)
    };
    table.map(row).collect()
}

/// The families of an exposition: by name, the kind and the labels of its series.
fn families(text: &str) -> BTreeMap<String, (String, BTreeSet<String>)> {
    let mut found = BTreeMap::new();
    let mut current = String::new();
    for line in text.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            name.clone_into(&mut current);
            found.insert(current.clone(), (kind.to_owned(), BTreeSet::new()));
        } else if let (Some((_, rest)), false) = (line.split_once('{'), line.starts_with('#')) {
            let labels = rest.split("=\"").filter_map(|part| part.rsplit(['{', ',', '"']).next());
            let labels = labels.map(str::to_owned).filter(|label| !label.starts_with('}') && label != "le");
            found.entry(current.clone()).or_default().1.extend(labels);
        }
    }
    found
}

/// Compares an exposition with the catalogue. What the families `without` count has not happened to the process.
pub fn check(role: &str, text: &str, without: &[&str]) {
    let catalogue = catalogue();
    let is_of_role = |row: &Row| row.roles.iter().any(|of| of == role || of == "all");
    let exposed = families(text);
    for (name, (kind, labels)) in &exposed {
        let row = catalogue.get(name).unwrap_or_else(|| panic!("{role}: {name} is not in the catalogue"));
        assert!(is_of_role(row), "{role} exposes {name}, which is of {:?}", row.roles);
        assert_eq!((kind, labels.is_subset(&row.labels)), (&row.kind, true), "{role}: {name} {labels:?}, {row:?}");
    }
    let missing: Vec<&String> = catalogue
        .iter()
        .filter(|(name, row)| is_of_role(row) && !exposed.contains_key(*name))
        .map(|(name, _)| name)
        .filter(|name| ![AFTER_AN_EVENT, without].concat().contains(&name.as_str()))
        .collect();
    assert!(missing.is_empty(), "{role} does not expose {missing:?}:\n{text}");
}

/// Compares what every process of a cluster exposes with the catalogue.
pub async fn check_cluster(cluster: &LocalCluster, client: &Client) {
    for (name, admin, _) in cluster.programs() {
        let Some((role @ ("gateway" | "worker" | "writer"), _)) = name.split_once('-') else { continue };
        let response = client.get(format!("http://{admin}/metrics")).send().await.unwrap();
        // A worker appends only what gateways have left.
        check(role, &response.text().await.unwrap(), &["crossbook_turn_commands"]);
    }
}
