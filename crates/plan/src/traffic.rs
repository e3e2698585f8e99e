//! Bytes that move, on average over a month.

use serde::Serialize;

use crate::assumed;
use crate::costs::Costs;
use crate::demand::Demand;
use crate::layout::Layout;

/// Hours of a month, as clouds count them.
pub const MONTH_HOURS: f64 = 730.0;
/// Seconds of such a month.
pub const MONTH: f64 = MONTH_HOURS * 3_600.0;

/// Bytes that move.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Traffic {
    /// GB of answers and reports to clients in a month.
    pub answers_gb: f64,
    /// GB of market data to subscribers in a month.
    pub market_data_gb: f64,
    /// GB between zones in a month.
    pub between_zones_gb: f64,
    /// GB that are written to the store in a month.
    pub written_gb: f64,
    /// Units of the load balancer's capacity on average.
    pub balancer_units: f64,
    /// Megabits a second that leave at the peak.
    pub peak_mbit: f64,
}

/// What moves.
pub fn of(demand: &Demand, costs: &Costs, layout: &Layout) -> Traffic {
    let gb = |bytes_per_second: f64| bytes_per_second * MONTH / 1e9;
    let streams = &costs.measured.streams;
    let answers = demand.average_commands() * assumed::ANSWER_BYTES;
    let market_data = demand.average() * demand.followers_per_order() * streams.bytes_per_order;
    let log = demand.average_commands() * layout.entries * assumed::ENTRY_BYTES;
    let elsewhere = 1.0 - 1.0 / f64::from(demand.zones);
    // Every gateway, worker and the writer read all logs; what appends them is as much again as one of them.
    let readers = f64::from(layout.gateways + 2 * layout.worker_groups + 2);
    let rows = demand.average_commands() * costs.measured.history.rows_per_command * assumed::ROW_BYTES;
    let connections = demand.connections + demand.subscribers;
    let units = [
        connections / assumed::CONNECTION_SECONDS / 25.0,
        connections / 3_000.0,
        (answers + market_data) * 3_600.0 / 1e9,
    ];
    Traffic {
        answers_gb: gb(answers),
        market_data_gb: gb(market_data),
        between_zones_gb: gb((log * readers + rows) * elsewhere),
        written_gb: gb(log),
        balancer_units: units.into_iter().fold(0.0, f64::max),
        peak_mbit: (answers + market_data) * 8.0 / 1e6 * demand.tps / demand.average(),
    }
}
