//! Pods, and nodes that they fit on.

use serde::Serialize;

use crate::assumed;
use crate::demand::{Demand, Store};
use crate::error::Error;
use crate::layout::Layout;
use crate::memory::Bytes;
use crate::prices::{Price, Prices};

const GIB: f64 = (1_u64 << 30) as f64;
const MIB: f64 = (1_u64 << 20) as f64;
/// Processors of a master or replica of Valkey: one thread, and its writes.
const VALKEY_PROCESSORS: f64 = 1.0;

/// A kind of pod.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pod {
    /// What it runs.
    pub role: &'static str,
    /// Processors that it asks for.
    pub processors: f64,
    /// Bytes of memory that it asks for.
    pub bytes: f64,
    /// How many there are, in all zones.
    pub count: u32,
    /// How many a zone has at most.
    pub per_zone: u32,
}

/// The nodes of a cluster.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Nodes {
    /// Their type.
    pub instance: String,
    /// How many there are in each zone.
    pub per_zone: u32,
    /// How many there are.
    pub count: u32,
    /// Processors of a node that pods can have.
    pub allocatable_processors: f64,
    /// Bytes of a node that pods can have.
    pub allocatable_bytes: f64,
    /// The pods of a zone, by node: roles.
    pub placement: Vec<Vec<&'static str>>,
}

/// The pods of a cluster.
pub fn pods(demand: &Demand, layout: &Layout, bytes: &Bytes) -> Vec<Pod> {
    let zones = demand.zones;
    let pod =
        |role, processors, bytes, count: u32| Pod { role, processors, bytes, count, per_zone: count.div_ceil(zones) };
    let mut pods = vec![
        pod("gateway", layout.gateway_request, bytes.gateway, layout.gateways),
        pod("worker", layout.worker_request, bytes.worker, 2 * layout.worker_groups),
        pod("writer", layout.writer_request, bytes.writer, layout.writers),
    ];
    if demand.store == Store::Valkey {
        let each = bytes.store / f64::from(layout.shards) / assumed::STORE_FILL;
        pods.push(pod("valkey", VALKEY_PROCESSORS, each, layout.shards * (1 + layout.replicas)));
    }
    // It is one pod, and every zone has room for it.
    pods.push(Pod {
        role: "services",
        processors: assumed::SERVICES_PROCESSORS,
        bytes: assumed::SERVICES_BYTES,
        count: 1,
        per_zone: 1,
    });
    pods
}

/// Processors of a node that pods can have: what EKS reserves for the kubelet, and what runs on every node, are taken
/// off.
pub fn allocatable_processors(node: &Price) -> f64 {
    let processors = node.processors.unwrap_or_default();
    let reserved = 0.06 * processors.min(1.0)
        + 0.01 * (processors - 1.0).clamp(0.0, 1.0)
        + 0.005 * (processors - 2.0).clamp(0.0, 2.0)
        + 0.0025 * (processors - 4.0).max(0.0);
    processors - reserved - assumed::NODE_PROCESSORS
}

/// The same of bytes: EKS reserves 255 MiB, 11 for each pod that the node may have, and 100 that evict.
pub fn allocatable_bytes(node: &Price) -> f64 {
    let reserved = (255.0 + 11.0 * node.pods_max.unwrap_or_default() + 100.0) * MIB;
    node.gib.unwrap_or_default() * GIB - reserved - assumed::NODE_BYTES
}

/// Puts the pods of a zone on as few nodes as first fit, the largest first, needs. None if one is larger than a node.
fn pack(pods: &[Pod], node: &Price) -> Option<Vec<Vec<&'static str>>> {
    let (processors, bytes) = (allocatable_processors(node), allocatable_bytes(node));
    let part = |pod: &Pod| (pod.processors / processors).max(pod.bytes / bytes);
    let mut all: Vec<&Pod> = pods.iter().flat_map(|pod| std::iter::repeat_n(pod, pod.per_zone as usize)).collect();
    all.sort_by(|a, b| part(b).total_cmp(&part(a)));
    let mut nodes: Vec<(f64, f64, Vec<&'static str>)> = Vec::new();
    for pod in all {
        if part(pod) > 1.0 {
            return None;
        }
        let fits = |(free_processors, free_bytes, roles): &&mut (f64, f64, Vec<&'static str>)| {
            *free_processors >= pod.processors
                && *free_bytes >= pod.bytes
                && (roles.len() as f64) < node.pods_max.unwrap_or(f64::MAX)
        };
        match nodes.iter_mut().find(fits) {
            Some((free_processors, free_bytes, roles)) => {
                *free_processors -= pod.processors;
                *free_bytes -= pod.bytes;
                roles.push(pod.role);
            }
            None => nodes.push((processors - pod.processors, bytes - pod.bytes, vec![pod.role])),
        }
    }
    Some(nodes.into_iter().map(|(_, _, roles)| roles).collect())
}

/// The cheapest nodes that hold the pods: as many of one type in each zone.
///
/// # Errors
/// [`Error::Impossible`] if a pod is larger than every node.
pub fn choose(demand: &Demand, pods: &[Pod], prices: &Prices) -> Result<Nodes, Error> {
    let mut best: Option<(f64, Nodes)> = None;
    for node in prices.instances("ec2") {
        let Some(placement) = pack(pods, node) else { continue };
        let per_zone = placement.len() as u32;
        let usd = f64::from(per_zone) * node.usd;
        if best.as_ref().is_none_or(|(least, _)| usd < least - 1e-9) {
            let nodes = Nodes {
                instance: node.sku.clone(),
                per_zone,
                count: per_zone * demand.zones,
                allocatable_processors: allocatable_processors(node),
                allocatable_bytes: allocatable_bytes(node),
                placement,
            };
            best = Some((usd, nodes));
        }
    }
    best.map(|(_, nodes)| nodes).ok_or_else(|| {
        let largest = pods.iter().map(|pod| pod.bytes).fold(0.0, f64::max) / GIB;
        Error::Impossible(format!(
            "a pod with {largest:.1} GiB fits on no node of {}; add a larger instance to the table of prices, or lower \
             --open-orders",
            prices.name
        ))
    })
}
