//! Which input moves the cost most: each is halved and doubled alone.

use serde::Serialize;

use crate::costs::Costs;
use crate::demand::Demand;
use crate::prices::Prices;
use crate::size::size;

/// What a change of one input does to the monthly cost.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Change {
    /// The input.
    pub(crate) input: &'static str,
    /// US dollars a month more with half of it; none where there is no such plan.
    pub(crate) half: Option<f64>,
    /// US dollars a month more with twice as much.
    pub(crate) twice: Option<f64>,
}

impl Change {
    /// How much it moves the cost.
    pub(crate) fn extent(&self) -> f64 {
        self.half.unwrap_or_default().abs().max(self.twice.unwrap_or_default().abs())
    }
}

/// An input, and how it is changed by a factor.
type Input = (&'static str, fn(&mut Demand, f64));

const INPUTS: [Input; 11] = [
    ("--tps, the average with it", |demand, by| {
        demand.average = Some(demand.average() * by);
        demand.tps *= by;
    }),
    ("--tps, the average as it is", |demand, by| {
        demand.average = Some(demand.average());
        demand.tps *= by;
    }),
    ("--average", |demand, by| demand.average = Some(demand.average() * by)),
    ("--cancels", |demand, by| demand.cancels *= by),
    ("--subscribers, or --followed", |demand, by| demand.subscribers *= by),
    ("--connections", |demand, by| demand.connections *= by),
    ("--retention", |demand, by| demand.retention *= by),
    ("--open-orders", |demand, by| demand.open_orders *= by),
    ("--markets", |demand, by| demand.markets *= by),
    ("--utilisation", |demand, by| demand.utilisation *= by),
    ("--turn-interval", |demand, by| demand.turn_interval *= by),
];

/// The inputs, that which moves the cost most first.
pub(crate) fn of(demand: &Demand, costs: &Costs, prices: &Prices, usd: f64) -> Vec<Change> {
    let with = |change: fn(&mut Demand, f64), by: f64| {
        let mut changed = demand.clone();
        change(&mut changed, by);
        size(&changed, costs, prices).ok().map(|sized| sized.bill.usd - usd)
    };
    let mut changes: Vec<Change> = INPUTS
        .iter()
        .map(|&(input, change)| Change { input, half: with(change, 0.5), twice: with(change, 2.0) })
        .collect();
    changes.sort_by(|a, b| b.extent().total_cmp(&a.extent()));
    changes
}
