//! What is bought, line by line.

use serde::Serialize;

use crate::assumed;
use crate::demand::{Buy, Demand, Store};
use crate::error::Error;
use crate::layout::Layout;
use crate::memory::{Bytes, DAY, SNAPSHOT_COMMANDS};
use crate::nodes::Nodes;
use crate::prices::{Price, Prices};
use crate::traffic::{MONTH, MONTH_HOURS, Traffic};

const GIB: f64 = (1_u64 << 30) as f64;
/// Days of a month, as clouds count them.
const MONTH_DAYS: f64 = MONTH / DAY;

/// What a line belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Group {
    /// The control plane.
    ControlPlane,
    /// Nodes and their disks.
    Nodes,
    /// The database of the history.
    Database,
    /// The store of the logs.
    Store,
    /// The load balancer.
    Balancer,
    /// Bytes that leave.
    Transfer,
    /// Everything else.
    Rest,
}

/// A line of the bill.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// What it belongs to.
    pub group: Group,
    /// What is bought.
    pub what: String,
    /// How much of it.
    pub quantity: f64,
    /// The unit of that.
    pub unit: String,
    /// US dollars for one of it, as it is bought.
    pub usd_each: f64,
    /// US dollars a month.
    pub usd: f64,
    /// Whether the price was read in its source.
    pub verified: bool,
    /// The date of the price.
    pub date: String,
    /// Where it can be looked up.
    pub source: String,
}

/// The lines, and their sum.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bill {
    /// All lines.
    pub lines: Vec<Line>,
    /// US dollars a month.
    pub usd: f64,
    /// US dollars for a million orders.
    pub usd_per_million_orders: f64,
    /// Of the dollars, those at prices that were not read in their source.
    pub usd_unverified: f64,
}

impl Bill {
    /// US dollars a month of a group.
    pub fn of(&self, group: Group) -> f64 {
        self.lines.iter().filter(|line| line.group == group).map(|line| line.usd).sum()
    }
}

/// Adds lines.
struct Writer<'a> {
    prices: &'a Prices,
    buy: Buy,
    lines: Vec<Line>,
}

impl Writer<'_> {
    /// A line of something that is not bought by the year.
    fn add(&mut self, group: Group, name: (&'static str, &str), quantity: f64) -> Result<(), Error> {
        let price = self.prices.of(name.0, name.1)?.clone();
        self.line(group, format!("{} {}", name.0, name.1), &price, quantity, (1.0, true));
        Ok(())
    }

    /// Lines of instances that run all month, in the way in which they are bought.
    fn instances(&mut self, group: Group, price: &Price, count: f64) {
        let term = self.prices.term(self.buy, &price.service);
        let what = format!("{} {} x {count:.0}", price.service, price.sku);
        self.line(group, what, price, count * MONTH_HOURS, term);
    }

    fn line(&mut self, group: Group, what: String, price: &Price, quantity: f64, (factor, verified): (f64, bool)) {
        let usd_each = price.usd * factor;
        self.lines.push(Line {
            group,
            what,
            quantity,
            unit: price.unit.clone(),
            usd_each,
            usd: usd_each * quantity,
            verified: price.verified && verified,
            date: price.date.clone(),
            source: price.source.clone(),
        });
    }

    /// The nodes. Spot instances are those of one zone, since all of them may be taken back at once.
    fn nodes(&mut self, nodes: &Nodes, zones: u32) -> Result<(), Error> {
        let price = self.prices.of("ec2", &nodes.instance)?.clone();
        let (all, zone) = (f64::from(nodes.count), f64::from(nodes.per_zone));
        if self.buy == Buy::Spot && zones > 1 {
            self.buy = Buy::OnDemand;
            self.instances(Group::Nodes, &price, all - zone);
            self.buy = Buy::Spot;
            self.instances(Group::Nodes, &price, zone);
            self.lines.iter_mut().last().into_iter().for_each(|line| line.what.push_str(", spot"));
        } else {
            self.instances(Group::Nodes, &price, all);
        }
        self.add(Group::Nodes, ("ebs", "gp3"), all * assumed::NODE_DISK_GB + assumed::METRICS_DISK_GB)
    }
}

/// What a cluster costs in a month.
///
/// # Errors
/// [`Error::NoPrice`], or [`Error::Impossible`] where nothing large enough is sold.
pub fn of(
    demand: &Demand,
    prices: &Prices,
    (layout, bytes, nodes, traffic): (&Layout, &Bytes, &Nodes, &Traffic),
    database_processors: f64,
) -> Result<Bill, Error> {
    let mut bill = Writer { prices, buy: demand.buy, lines: Vec::new() };
    bill.add(Group::ControlPlane, ("eks", "cluster"), MONTH_HOURS)?;
    bill.nodes(nodes, demand.zones)?;
    store(&mut bill, demand, layout, bytes, traffic)?;
    let database = prices
        .instances("rds")
        .into_iter()
        .find(|instance| instance.processors.unwrap_or_default() * demand.utilisation >= database_processors);
    let database = database.ok_or_else(|| {
        Error::Impossible(format!(
            "the database needs {database_processors:.1} processors, and no instance of {} has as many; lower --tps",
            prices.name
        ))
    })?;
    bill.instances(Group::Database, database, 1.0);
    bill.add(Group::Database, ("rds", "storage, gp3, two zones"), bytes.history_disk_gb)?;
    bill.add(Group::Balancer, ("alb", "balancer"), MONTH_HOURS)?;
    bill.add(Group::Balancer, ("alb", "capacity unit"), traffic.balancer_units * MONTH_HOURS)?;
    transfer(&mut bill, traffic)?;
    bill.add(Group::Rest, ("nat", "gateway"), f64::from(demand.zones) * MONTH_HOURS)?;
    bill.add(Group::Rest, ("nat", "processed"), assumed::NAT_GB)?;
    bill.add(Group::Rest, ("s3", "standard"), bytes.snapshots_gb)?;
    let snapshots = demand.average_commands() * layout.entries * MONTH / SNAPSHOT_COMMANDS;
    bill.add(Group::Rest, ("s3", "put"), snapshots / 1_000.0)?;
    bill.add(Group::Rest, ("cloudwatch", "logs"), assumed::LOGS_GB)?;
    bill.add(Group::Rest, ("cloudwatch", "alarm"), assumed::ALARMS)?;
    bill.add(Group::Rest, ("kms", "key"), assumed::KEYS)?;
    bill.add(Group::Rest, ("secretsmanager", "secret"), assumed::SECRETS)?;
    let lines = bill.lines;
    let usd = lines.iter().map(|line| line.usd).sum();
    Ok(Bill {
        usd,
        usd_per_million_orders: usd / (demand.average() * DAY * MONTH_DAYS / 1e6),
        usd_unverified: lines.iter().filter(|line| !line.verified).map(|line| line.usd).sum(),
        lines,
    })
}

fn store(
    bill: &mut Writer<'_>,
    demand: &Demand,
    layout: &Layout,
    bytes: &Bytes,
    traffic: &Traffic,
) -> Result<(), Error> {
    let servers = f64::from(layout.shards * (1 + layout.replicas));
    let each = bytes.store / f64::from(layout.shards) / assumed::STORE_FILL;
    if demand.store == Store::Valkey {
        // The servers are pods. A disk holds the log and its rewritten copy.
        return bill.add(Group::Store, ("ebs", "gp3"), servers * (each * 3.0 / 1e9).max(20.0));
    }
    let nodes = bill.prices.instances("memorydb");
    let node = nodes.into_iter().find(|node| node.gib.unwrap_or_default() * GIB >= each).cloned().ok_or_else(|| {
        Error::Impossible(format!(
            "a shard of the store needs {:.1} GiB, and no node of {} has as much; ask for more --shards",
            each / GIB,
            bill.prices.name
        ))
    })?;
    bill.instances(Group::Store, &node, servers);
    let free = traffic.written_gb.min(10_240.0);
    bill.add(Group::Store, ("memorydb", "written, first 10 TB"), free)?;
    bill.add(Group::Store, ("memorydb", "written, beyond"), traffic.written_gb - free)
}

/// Bytes to the internet by their steps, and those between zones, which both ends pay.
fn transfer(bill: &mut Writer<'_>, traffic: &Traffic) -> Result<(), Error> {
    let mut rest = traffic.answers_gb + traffic.market_data_gb;
    for (sku, room) in [
        ("internet, first 10 TB", 10_240.0),
        ("internet, next 40 TB", 40_960.0),
        ("internet, next 100 TB", 102_400.0),
        ("internet, beyond", f64::MAX),
    ] {
        let part = rest.min(room);
        rest -= part;
        if part > 0.0 {
            bill.add(Group::Transfer, ("transfer", sku), part)?;
        }
    }
    bill.add(Group::Transfer, ("transfer", "between zones, one direction"), 2.0 * traffic.between_zones_gb)
}
