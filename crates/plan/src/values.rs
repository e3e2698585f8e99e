//! The plan as input of what builds it: values of the Helm chart, and context of the CDK app.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::demand::Store;
use crate::error::Error;
use crate::model::Outcome;
use crate::nodes::Pod;

const MIB: f64 = (1_u64 << 20) as f64;

/// Writes a text to a file.
///
/// # Errors
/// When it cannot be written.
pub fn write(path: &Path, text: &str) -> Result<(), Error> {
    std::fs::write(path, text).map_err(|source| Error::Write { path: path.to_owned(), source })
}

/// Requests and limits of a pod: memory may not be exceeded, and processors may, where there are any.
fn resources(pod: &Pod) -> String {
    let (processors, memory) = ((pod.processors * 1e3).round(), (pod.bytes / MIB).ceil());
    format!(
        "  resources: {{ requests: {{ cpu: {processors}m, memory: {memory}Mi }}, limits: {{ memory: {memory}Mi }} }}\n"
    )
}

/// Values of the chart in `deploy/helm`, for a profile beside which the cloud's own is given.
pub fn helm(outcome: &Outcome) -> String {
    let (demand, layout) = (&outcome.demand, &outcome.sized.layout);
    let of = |role: &str| outcome.sized.pods.iter().find(|pod| pod.role == role).map(resources).unwrap_or_default();
    let mut out = format!(
        "# Made by `crossbook plan --tps {}`: {} partitions on {} shards, in {} zones.\n",
        demand.tps, layout.partitions, layout.shards, demand.zones
    );
    // The answers of MemoryDB are durable themselves.
    let replicas_min = u8::from(demand.store == Store::Valkey);
    let _ = writeln!(out, "cluster: {{ partitions: {}, store: {{ replicasMin: {replicas_min} }} }}", layout.partitions);
    let _ = writeln!(out, "settings: {{ cluster.log_client.turn_interval_us: {:.0} }}", demand.turn_interval * 1e3);
    let _ = write!(out, "gateway:\n  replicas: {}\n{}", layout.gateways, of("gateway"));
    let _ = writeln!(
        out,
        "  autoscaling: {{ minReplicas: {}, maxReplicas: {} }}",
        layout.gateways,
        layout.gateways + layout.gateways_needed
    );
    let _ = write!(out, "worker:\n  replicas: 2\n{}  groups:\n", of("worker"));
    for group in 0..layout.worker_groups {
        let partitions: Vec<String> = (0..layout.partitions)
            .filter(|partition| partition % layout.worker_groups == group)
            .map(|partition| partition.to_string())
            .collect();
        let _ = writeln!(out, "    - {{ name: g{group}, partitions: [{}] }}", partitions.join(", "));
    }
    let _ = write!(out, "writer:\n  replicas: {}\n{}", layout.writers, of("writer"));
    out
}

/// Context of the CDK app in `deploy/aws`.
pub fn cdk(outcome: &Outcome) -> Value {
    let (demand, sized) = (&outcome.demand, &outcome.sized);
    let of = |service: &str| {
        let lines = sized.bill.lines.iter().filter_map(|line| line.what.strip_prefix(service));
        lines.filter_map(|what| what.split(' ').next()).find(|sku| sku.starts_with("db.")).map(str::to_owned)
    };
    json!({
        "crossbook": {
            "zones": demand.zones,
            "nodeType": sized.nodes.instance,
            "nodesPerZone": sized.nodes.per_zone,
            "store": demand.store,
            "shards": sized.layout.shards,
            "replicas": sized.layout.replicas,
            "storeNode": of("memorydb "),
            "database": of("rds "),
            "databaseGb": sized.bytes.history_disk_gb.ceil() as u64,
            "snapshotDays": 7,
        }
    })
}
