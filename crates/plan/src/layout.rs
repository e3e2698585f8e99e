//! Shards, partitions and processes: as few as carry the peak when a zone is lost.

use serde::Serialize;

use crate::assumed;
use crate::costs::{Costs, Role, Shape};
use crate::demand::{Demand, Store};
use crate::error::Error;

/// Processors that a pod of a gateway may ask for. More than two have not been measured in one process.
const GATEWAY_PROCESSORS_MAX: f64 = 2.0;
/// Processors that a worker may ask for: a partition is one thread.
const WORKER_PROCESSORS_MAX: f64 = 1.0;
/// Pods ask for multiples of this.
const PROCESSORS_STEP: f64 = 0.25;
/// Gateways and shards that are tried.
const GATEWAYS_MAX: u32 = 64;
const SHARDS_MAX: u32 = 64;
/// Connections of each kind that a gateway takes: `gateway.server.connections_max` and
/// `gateway.streams.connections_max`.
const CONNECTIONS_MAX: f64 = 10_000.0;
/// Pods of the writer: one writes, one waits.
const WRITERS: u32 = 2;
/// Partitions for each shard, if nothing else is asked for.
const PARTITIONS_PER_SHARD: u32 = 4;

/// Of what the cluster consists, and what its processes take at the peak.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Layout {
    /// Shards of the store.
    pub shards: u32,
    /// Replicas of each.
    pub replicas: u32,
    /// How many partitions the venue is divided into.
    pub partitions: u32,
    /// Part of the orders with two hops.
    pub two_hops: f64,
    /// Gateways that carry the peak.
    pub gateways_needed: u32,
    /// Gateways, so that as many are left when a zone is lost.
    pub gateways: u32,
    /// Groups of two workers that follow the same partitions, in two zones.
    pub worker_groups: u32,
    /// Pods of the writer.
    pub writers: u32,
    /// Entries of the logs for each command.
    pub entries: f64,
    /// Commands a second that reach the busiest partition.
    pub busiest_partition: f64,
    /// Processors that all gateways take, the needed ones alone.
    pub gateway_processors: f64,
    /// Processors that all market data takes of these.
    pub stream_processors: f64,
    /// Processors of each worker.
    pub worker_processors: f64,
    /// Processors of the writer.
    pub writer_processors: f64,
    /// Processors of a master of the store.
    pub master_processors: f64,
    /// Processors that a pod of a gateway asks for.
    pub gateway_request: f64,
    /// Processors that a pod of a worker asks for.
    pub worker_request: f64,
    /// Processors that a pod of a writer asks for.
    pub writer_request: f64,
}

/// Gateways in all zones, so that `needed` are left when one is lost. With one zone there is one more, for a node.
pub fn placed(needed: u32, zones: u32) -> u32 {
    if zones == 1 { needed + 1 } else { needed.div_ceil(zones - 1) * zones }
}

/// What a pod asks for, so that it is utilised as wanted.
fn request(processors: f64, utilisation: f64) -> f64 {
    (processors / utilisation / PROCESSORS_STEP).ceil().max(1.0) * PROCESSORS_STEP
}

/// The smallest layout that carries the demand.
///
/// # Errors
/// [`Error::Impossible`] with the bound that none keeps.
pub fn choose(demand: &Demand, costs: &Costs) -> Result<Layout, Error> {
    bounds(demand, costs)?;
    let (first, last) = demand.shards.map_or((1, SHARDS_MAX), |shards| (shards, shards));
    let mut why = String::new();
    for shards in first..=last {
        match with_shards(demand, costs, shards) {
            Ok(layout) => return Ok(layout),
            Err(reason) => why = reason,
        }
    }
    Err(Error::Impossible(why))
}

/// What no layout changes.
fn bounds(demand: &Demand, costs: &Costs) -> Result<(), Error> {
    let history = &costs.measured.history;
    if demand.average_commands() > history.commands_per_second_max {
        return Err(Error::Impossible(format!(
            "an average of {:.0} orders and cancels a second is more than one writer brings into the database, which \
             is {:.0} ({}); the history would never catch up. Lower --average, or keep no history",
            demand.average_commands(),
            history.commands_per_second_max,
            history.source
        )));
    }
    if demand.store == Store::Valkey && demand.zones < 3 {
        return Err(Error::Impossible(
            "Valkey needs two replicas of each master in zones of their own, so --zones 3 or more; MemoryDB does with \
             two zones"
                .to_owned(),
        ));
    }
    Ok(())
}

/// Commands a second that the busiest partition gets, or why that is too many.
fn busiest(demand: &Demand, costs: &Costs, partitions: u32) -> Result<f64, String> {
    let busiest = demand.peak_commands() * (demand.busiest + (1.0 - demand.busiest) / f64::from(partitions));
    if busiest > costs.partition_max() {
        return Err(format!(
            "the busiest partition would get {busiest:.0} commands a second, and the most that any measurement shows \
             is {:.0} ({}); a market is matched by one thread. Lower --tps or --busiest, or measure with more \
             processors: crossbook bench cluster --shards 1 --partitions 1 --rates 2500,5000,max --json FILE, and \
             --costs FILE",
            costs.partition_max(),
            costs.source
        ));
    }
    Ok(busiest)
}

/// A cluster with so many shards, at the peak.
struct Candidate<'a> {
    demand: &'a Demand,
    costs: &'a Costs,
    shards: u32,
    partitions: u32,
}

impl Candidate<'_> {
    fn shape(&self, gateways: u32) -> Shape {
        Shape {
            shards: f64::from(self.shards),
            partitions: f64::from(self.partitions),
            gateways: f64::from(gateways),
            // The workers of all groups together follow each partition twice.
            workers: 2.0,
            two_hops: self.demand.two_hops(self.partitions),
            turn_interval: self.demand.turn_interval / 1e3,
        }
    }

    fn processors(&self, role: Role, gateways: u32) -> f64 {
        self.costs.processors(role, &self.shape(gateways), self.demand.peak_commands())
    }

    /// Processors of so many gateways together.
    fn of_gateways(&self, gateways: u32) -> f64 {
        self.processors(Role::Gateways, gateways) + streams(self.demand, self.costs)
    }

    /// The fewest gateways that carry the peak, or why there are none.
    fn gateways(&self) -> Result<u32, String> {
        let demand = self.demand;
        let is_enough = |&gateways: &u32| {
            let each = f64::from(gateways);
            self.of_gateways(gateways) / each <= GATEWAY_PROCESSORS_MAX * demand.utilisation
                && demand.connections.max(demand.subscribers) / each <= CONNECTIONS_MAX
        };
        (1..=GATEWAYS_MAX).find(is_enough).ok_or_else(|| {
            format!(
                "{GATEWAYS_MAX} gateways are not enough with {} shards: each applies all {:.0} entries a second, and \
                 takes {CONNECTIONS_MAX:.0} connections at most; lower --tps, --connections or --subscribers",
                self.shards,
                demand.peak_commands() * self.shape(1).entries()
            )
        })
    }

    /// Processors of a master, or why that is too many.
    fn master(&self, gateways: u32) -> Result<f64, String> {
        let utilisation = self.demand.utilisation;
        let master = self.processors(Role::Store, gateways) * assumed::MASTER_SHARE / f64::from(self.shards);
        if master > utilisation {
            return Err(format!(
                "with {} shards and {gateways} gateways each master would be busy for {:.0} % of the time, of which \
                 --utilisation allows {:.0} %; each gateway has a turn with each shard every {} ms: lengthen \
                 --turn-interval, or lower --tps",
                self.shards,
                master * 100.0,
                utilisation * 100.0,
                self.demand.turn_interval
            ));
        }
        Ok(master)
    }
}

/// The layout with so many shards, or why there is none.
fn with_shards(demand: &Demand, costs: &Costs, shards: u32) -> Result<Layout, String> {
    let partitions = demand.partitions.unwrap_or(PARTITIONS_PER_SHARD * shards);
    if partitions < shards {
        return Err(format!("{partitions} partitions do not spread over {shards} shards; ask for more --partitions"));
    }
    let busiest_partition = busiest(demand, costs, partitions)?;
    let candidate = Candidate { demand, costs, shards, partitions };
    let needed = candidate.gateways()?;
    let gateways = placed(needed, demand.zones);
    let master_processors = candidate.master(gateways)?;
    let one_copy = candidate.processors(Role::Workers, gateways) / 2.0;
    let worker_groups = (one_copy / WORKER_PROCESSORS_MAX / demand.utilisation).ceil().max(1.0);
    let worker_processors = one_copy / worker_groups;
    let writer_processors = costs.measured.history.writer_micros * demand.peak_commands() / 1e6;
    let of_gateways = candidate.of_gateways(needed);
    Ok(Layout {
        shards,
        replicas: match (demand.store, demand.zones) {
            (Store::Valkey, _) => 2,
            (Store::MemoryDb, 1) => 0,
            (Store::MemoryDb, _) => 1,
        },
        partitions,
        two_hops: demand.two_hops(partitions),
        gateways_needed: needed,
        gateways,
        worker_groups: worker_groups as u32,
        writers: WRITERS,
        entries: candidate.shape(1).entries(),
        busiest_partition,
        gateway_processors: of_gateways,
        stream_processors: streams(demand, costs),
        worker_processors,
        writer_processors,
        master_processors,
        gateway_request: request(of_gateways / f64::from(needed), demand.utilisation),
        worker_request: request(worker_processors, demand.utilisation),
        writer_request: request(writer_processors, demand.utilisation),
    })
}

/// Processors that all market data takes at the peak.
fn streams(demand: &Demand, costs: &Costs) -> f64 {
    let streams = &costs.measured.streams;
    let messages = demand.tps * demand.followers_per_order() * streams.messages_per_order;
    messages * streams.micros_per_message / 1e6
}
