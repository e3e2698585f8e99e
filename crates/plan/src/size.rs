//! The size of a cluster and its bill, without what explains them.

use serde::Serialize;

use crate::bill::{self, Bill};
use crate::costs::Costs;
use crate::demand::Demand;
use crate::error::Error;
use crate::layout::{self, Layout};
use crate::memory::{self, Bytes};
use crate::nodes::{self, Nodes, Pod};
use crate::prices::Prices;
use crate::traffic::{self, Traffic};

/// The size of a cluster, and what it costs.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Sized {
    pub(crate) layout: Layout,
    pub(crate) bytes: Bytes,
    pub(crate) pods: Vec<Pod>,
    pub(crate) nodes: Nodes,
    pub(crate) traffic: Traffic,
    /// Processors of the database at the peak.
    pub(crate) database_processors: f64,
    pub(crate) bill: Bill,
}

/// Computes both.
///
/// # Errors
/// When an input makes no sense, no cluster does what is asked for, or a price is missing.
pub(crate) fn size(demand: &Demand, costs: &Costs, prices: &Prices) -> Result<Sized, Error> {
    demand.check()?;
    let layout = layout::choose(demand, costs)?;
    let bytes = memory::of(demand, costs, &layout)?;
    let pods = nodes::pods(demand, &layout, &bytes);
    let nodes = nodes::choose(demand, &pods, prices)?;
    let traffic = traffic::of(demand, costs, &layout);
    let database_processors = costs.measured.history.database_micros * demand.peak_commands() / 1e6;
    let bill = bill::of(demand, prices, (&layout, &bytes, &nodes, &traffic), database_processors)?;
    Ok(Sized { layout, bytes, pods, nodes, traffic, database_processors, bill })
}
