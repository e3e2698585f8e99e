//! The plan as a whole.

use serde::Serialize;

use crate::assumed;
use crate::compare::{self, Comparison};
use crate::costs::Costs;
use crate::demand::{Demand, Store};
use crate::error::Error;
use crate::figure::{Figure, Origin};
use crate::prices::Prices;
use crate::sensitivity::{self, Change};
use crate::size::{Sized, size};

/// A plan.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// What was asked for.
    pub(crate) demand: Demand,
    /// Where the costs are from.
    pub(crate) costs: String,
    /// Where the prices are from, and the region and the day that they are of.
    pub(crate) prices: [String; 3],
    #[serde(flatten)]
    pub(crate) sized: Sized,
    /// The figures under their headings, each with its origin.
    pub(crate) figures: Vec<(&'static str, Vec<Figure>)>,
    pub(crate) comparison: Comparison,
    pub(crate) sensitivity: Vec<Change>,
    /// What no measurement has shown.
    pub(crate) never_measured: Vec<String>,
}

impl Outcome {
    /// US dollars a month.
    #[must_use]
    pub fn usd(&self) -> f64 {
        self.sized.bill.usd
    }
}

/// Computes a plan.
///
/// # Errors
/// When an input makes no sense, no cluster does what is asked for, or a price is missing.
pub fn plan(demand: &Demand, costs: &Costs, prices: &Prices) -> Result<Outcome, Error> {
    let sized = size(demand, costs, prices)?;
    Ok(Outcome {
        costs: costs.source.clone(),
        prices: [prices.name.clone(), prices.region.clone(), prices.made.clone()],
        figures: vec![
            ("Load", of_load(demand, costs, &sized)),
            ("Processors at the peak", of_processors(demand, costs, &sized)),
            ("Memory and disks", of_bytes(demand, costs, &sized)),
            ("Network", of_network(costs, &sized)),
            ("Latency", of_latency(demand, &sized)),
        ],
        comparison: compare::with_infrastructure_plan(demand, costs, prices)?,
        sensitivity: sensitivity::of(demand, costs, prices, sized.bill.usd),
        never_measured: never_measured(demand, &sized),
        demand: demand.clone(),
        sized,
    })
}

fn of_load(demand: &Demand, costs: &Costs, sized: &Sized) -> Vec<Figure> {
    let layout = &sized.layout;
    let given = Origin::Given;
    vec![
        Figure::new(
            "orders and cancels at the peak",
            (demand.peak_commands(), "/s"),
            given,
            format!("{} orders/s x (1 + {} cancels)", demand.tps, demand.cancels),
        ),
        Figure::new(
            "orders and cancels on average",
            (demand.average_commands(), "/s"),
            if demand.average.is_some() { given } else { Origin::Assumed },
            format!("{} orders/s x (1 + {} cancels)", demand.average(), demand.cancels),
        ),
        Figure::new(
            "orders with two hops",
            (layout.two_hops, "share"),
            if demand.two_hops.is_some() { given } else { Origin::Assumed },
            format!("by chance with {} partitions, or --two-hops", layout.partitions),
        ),
        Figure::new(
            "entries of the logs for each command",
            (layout.entries, ""),
            Origin::Assumed,
            "the command; with two hops a message to the market's partition, and one back",
        ),
        Figure::new(
            "commands of the busiest partition",
            (layout.busiest_partition, "/s"),
            given,
            format!(
                "one thread matches a market; the most that was measured is {:.0}/s ({})",
                costs.partition_max(),
                costs.source
            ),
        ),
    ]
}

fn of_processors(demand: &Demand, costs: &Costs, sized: &Sized) -> Vec<Figure> {
    let layout = &sized.layout;
    let history = &costs.measured.history;
    let fitted = format!("fitted to {}", costs.source);
    vec![
        Figure::new(
            "gateways that carry the peak, together",
            (layout.gateway_processors, ""),
            Origin::Assumed,
            format!("{fitted}, with {} of them; and market data", layout.gateways_needed),
        ),
        Figure::new(
            "market data",
            (layout.stream_processors, ""),
            Origin::Assumed,
            format!(
                "{} µs for each message ({}): half of what gateway and load took together",
                costs.measured.streams.micros_per_message, costs.measured.streams.source
            ),
        ),
        Figure::new("a worker", (layout.worker_processors, ""), Origin::Measured, fitted.clone()),
        Figure::new(
            "a master of the store",
            (layout.master_processors, ""),
            Origin::Assumed,
            format!("{fitted}, of which a master takes {}; Redis, not MemoryDB", assumed::MASTER_SHARE),
        ),
        Figure::new(
            "the writer",
            (layout.writer_processors, ""),
            Origin::Measured,
            format!("{} µs for each command ({})", history.writer_micros, history.source),
        ),
        Figure::new(
            "the database",
            (sized.database_processors, ""),
            Origin::Measured,
            format!("{} µs for each command, on MariaDB ({})", history.database_micros, history.source),
        ),
        Figure::new(
            "utilisation that instances are chosen for",
            (demand.utilisation, "share"),
            Origin::Given,
            "--utilisation",
        ),
    ]
}

fn of_bytes(demand: &Demand, costs: &Costs, sized: &Sized) -> Vec<Figure> {
    let (bytes, measured) = (&sized.bytes, &costs.measured);
    let history = &measured.history;
    vec![
        Figure::new(
            "a gateway",
            (bytes.gateway, "B"),
            Origin::Assumed,
            format!(
                "{} bytes for each open order ({}), a base and headroom, and what clients may leave unread",
                measured.gateway.bytes_per_open_order, measured.gateway.source
            ),
        ),
        Figure::new(
            "a worker",
            (bytes.worker, "B"),
            Origin::Assumed,
            format!(
                "{} bytes for each open order ({}), {} times, a base and headroom",
                measured.engine.bytes_per_open_order,
                measured.engine.source,
                assumed::WORKER_COPIES
            ),
        ),
        Figure::new(
            "the store, all shards",
            (bytes.store, "B"),
            Origin::Assumed,
            format!(
                "entries of {} bytes since two snapshots, and of the time that the history may be down",
                assumed::ENTRY_BYTES
            ),
        ),
        Figure::new(
            "rows of the history at the peak",
            (bytes.rows_per_second, "/s"),
            Origin::Measured,
            format!("{:.2} rows for each command ({})", history.rows_per_command, history.source),
        ),
        Figure::new("rows of the history in a day", (bytes.rows_per_day, ""), Origin::Measured, "at the average rate"),
        Figure::new(
            "disk of the history",
            (bytes.history_disk_gb, "GB"),
            Origin::Assumed,
            format!("{} days of rows of {} bytes, {} full", demand.retention, assumed::ROW_BYTES, assumed::DISK_FILL),
        ),
        Figure::new(
            "snapshots",
            (bytes.snapshots_gb, "GB"),
            Origin::Measured,
            format!(
                "{} bytes for each open order ({}), {} kept",
                measured.gateway.snapshot_bytes_per_open_order,
                measured.gateway.source,
                assumed::SNAPSHOTS_KEPT
            ),
        ),
    ]
}

fn of_network(costs: &Costs, sized: &Sized) -> Vec<Figure> {
    let traffic = &sized.traffic;
    let streams = &costs.measured.streams;
    vec![
        Figure::new(
            "answers and reports in a month",
            (traffic.answers_gb, "GB"),
            Origin::Assumed,
            format!("{} bytes for each command", assumed::ANSWER_BYTES),
        ),
        Figure::new(
            "market data in a month",
            (traffic.market_data_gb, "GB"),
            Origin::Measured,
            format!("{} bytes for each order and follower of its market ({})", streams.bytes_per_order, streams.source),
        ),
        Figure::new(
            "between zones in a month",
            (traffic.between_zones_gb, "GB"),
            Origin::Assumed,
            "every gateway, worker and the writer read all logs, and the writer's rows",
        ),
        Figure::new(
            "to clients at the peak",
            (traffic.peak_mbit, "Mbit/s"),
            Origin::Assumed,
            "answers and market data, at the peak's rate",
        ),
        Figure::new(
            "units of the load balancer, on average",
            (traffic.balancer_units, ""),
            Origin::Bought,
            "the largest of new connections/25, connections/3,000 and GB an hour",
        ),
    ]
}

fn of_latency(demand: &Demand, sized: &Sized) -> Vec<Figure> {
    let hop = demand.turn_interval / 2.0 + demand.store_write;
    let how = |hops: &str| {
        format!(
            "{hops} x (half a turn interval of {} ms + {} ms of the store) + {} ms",
            demand.turn_interval,
            demand.store_write,
            assumed::REST_MS
        )
    };
    let mean = 1.0 + sized.layout.two_hops;
    vec![
        Figure::new("p50 with one hop", (hop + assumed::REST_MS, "ms"), Origin::Assumed, how("1")),
        Figure::new("p50 with two hops", (2.0 * hop + assumed::REST_MS, "ms"), Origin::Assumed, how("2")),
        Figure::new(
            "p50 of all",
            (mean * hop + assumed::REST_MS, "ms"),
            Origin::Assumed,
            "by the part of the orders with two hops; with a write of 1 ms this gives 6.0 ms where 6.0 ms were measured",
        ),
    ]
}

/// What the plan says although no measurement has shown it.
fn never_measured(demand: &Demand, sized: &Sized) -> Vec<String> {
    let layout = &sized.layout;
    let mut list = vec![
        "Nothing was measured on AWS. Costs are of one machine with two processors that held everything; an hour of a \
         processor there is taken for one of c6i and m6i."
            .to_owned(),
        "p99 is not predicted. On one machine it was two to three times p50.".to_owned(),
        "Bytes of a row of the history, of an entry of the log, and of what an order's answers and reports take."
            .to_owned(),
        "Deleting or archiving history that is older than --retention: rows are kept until somebody deletes them."
            .to_owned(),
    ];
    if demand.store == Store::MemoryDb {
        list.push(
            "MemoryDB: neither what a turn costs it nor how long a durable write takes. Tests run on Redis and Valkey."
                .to_owned(),
        );
    }
    if layout.gateways > 4 || layout.shards > 4 {
        list.push(format!(
            "{} gateways and {} shards: at most four of each have run together, each on a slice of a processor.",
            layout.gateways, layout.shards
        ));
    }
    if layout.worker_groups > 1 {
        list.push(format!("{} groups of workers beside each other at this rate.", layout.worker_groups));
    }
    list
}
