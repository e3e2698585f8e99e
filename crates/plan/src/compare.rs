//! Beside the infrastructure plan for 5,000 orders a second that Crossbook implements: its costs, and why ours differ.

use serde::Serialize;

use crate::bill::Group;
use crate::costs::Costs;
use crate::demand::{Buy, Demand};
use crate::error::Error;
use crate::prices::Prices;
use crate::size::size;

/// Its sum with spot instances.
pub(crate) const SPOT_USD: f64 = 1_256.0;
/// Its cost of a million orders at 5,000/s, which is of the sum with spot instances.
pub(crate) const PER_MILLION_USD: f64 = 0.10;

/// What the two say.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Comparison {
    pub(crate) lines: Vec<Compared>,
    /// Its sum on demand.
    pub(crate) theirs: f64,
    /// The sum of this plan.
    pub(crate) ours: f64,
    /// The sum of this plan with the nodes of one zone as spot instances.
    pub(crate) ours_spot: f64,
    /// Ours if the average were the peak, as its cost of a million orders takes it; none where there is no such plan.
    pub(crate) ours_at_the_peak: Option<[f64; 2]>,
}

/// A line.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Compared {
    pub(crate) what: &'static str,
    pub(crate) theirs: f64,
    pub(crate) ours: f64,
    pub(crate) why: &'static str,
}

const LINES: [(Group, &str, f64, &str); 7] = [
    (Group::ControlPlane, "EKS", 72.0, "730 hours in place of 720"),
    (
        Group::Nodes,
        "nodes",
        880.0,
        "4 c6i.2xlarge there, which are $993 of list prices; here as few as hold what was measured, in every zone as \
         many as in the others, and disks",
    ),
    (
        Group::Database,
        "RDS MySQL",
        450.0,
        "there an instance without a disk, which is $628 in two zones; here one chosen by the measured rows, and a \
         disk for --retention",
    ),
    (
        Group::Store,
        "Redis",
        390.0,
        "there 3 nodes of ElastiCache without replicas, whose failover may lose acknowledged orders; here MemoryDB, \
         with a replica of each shard, and as many shards as the rate needs",
    ),
    (Group::Balancer, "load balancer", 30.0, "capacity units of the market data that it passes on"),
    (
        Group::Transfer,
        "transfer",
        50.0,
        "500 GB a month there are 39 bytes for each of its 12.96 billion orders; here answers, reports, market data \
         to --subscribers, and what gateways read across zones",
    ),
    (Group::Rest, "NAT, S3, logs, keys", 0.0, "not in its sum"),
];

/// Compares a plan with it.
///
/// # Errors
/// As the plan itself.
pub(crate) fn with_infrastructure_plan(demand: &Demand, costs: &Costs, prices: &Prices) -> Result<Comparison, Error> {
    let ours = size(demand, costs, prices)?.bill;
    let spot = size(&Demand { buy: Buy::Spot, ..demand.clone() }, costs, prices)?;
    let at_the_peak = Demand { average: Some(demand.tps), ..demand.clone() };
    let at_the_peak = size(&at_the_peak, costs, prices).ok();
    let lines: Vec<Compared> = LINES
        .into_iter()
        .map(|(group, what, theirs, why)| Compared { what, theirs, ours: ours.of(group), why })
        .collect();
    Ok(Comparison {
        theirs: lines.iter().map(|line| line.theirs).sum(),
        ours: ours.usd,
        ours_spot: spot.bill.usd,
        lines,
        ours_at_the_peak: at_the_peak.map(|sized| [sized.bill.usd, sized.bill.usd_per_million_orders]),
    })
}
