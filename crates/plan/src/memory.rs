//! Memory of processes and of the store, and what is kept on disks.

use serde::Serialize;

use crate::assumed;
use crate::costs::Costs;
use crate::demand::Demand;
use crate::error::Error;
use crate::layout::Layout;

/// Bytes that a gateway may use for what clients have not read: `gateway.streams.send_queue_bytes_total_max` and
/// `gateway.server.unread_bytes_total_max`.
const UNREAD_BYTES: f64 = (512 << 20) as f64 + (256 << 20) as f64;
/// Commands of a partition between two snapshots: `cluster.snapshot_interval_commands`.
pub const SNAPSHOT_COMMANDS: f64 = 100_000.0;
/// The log reaches back over two snapshots.
const SNAPSHOTS_COVERED: f64 = 2.0;
/// GB of the largest disk that RDS has.
const DISK_GB_MAX: f64 = 65_536.0;
/// Seconds of a day.
pub const DAY: f64 = 86_400.0;

/// How many bytes there are where.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bytes {
    /// Memory that a pod of a gateway asks for.
    pub gateway: f64,
    /// Memory that a pod of a worker asks for.
    pub worker: f64,
    /// Memory that a pod of a writer asks for.
    pub writer: f64,
    /// What the store holds, all shards together.
    pub store: f64,
    /// Rows a second that the history gets at the peak.
    pub rows_per_second: f64,
    /// Rows that it gets in a day.
    pub rows_per_day: f64,
    /// GB of the disk of the history.
    pub history_disk_gb: f64,
    /// GB of snapshots.
    pub snapshots_gb: f64,
}

/// How many bytes there are where.
///
/// # Errors
/// [`Error::Impossible`] if the history does not fit on a disk.
pub fn of(demand: &Demand, costs: &Costs, layout: &Layout) -> Result<Bytes, Error> {
    let measured = &costs.measured;
    let rows = measured.history.rows_per_command;
    let rows_per_day = demand.average_commands() * rows * DAY;
    let history_disk_gb = (rows_per_day * demand.retention * assumed::ROW_BYTES / 1e9 / assumed::DISK_FILL).max(400.0);
    if history_disk_gb > DISK_GB_MAX {
        return Err(Error::Impossible(format!(
            "{} days of history are {history_disk_gb:.0} GB, and a disk of RDS has {DISK_GB_MAX:.0} at most; shorten \
             --retention, or lower --average",
            demand.retention
        )));
    }
    let orders = demand.open_orders;
    let log = f64::from(layout.partitions) * SNAPSHOT_COMMANDS * SNAPSHOTS_COVERED;
    let waiting = demand.average_commands() * layout.entries * assumed::HISTORY_LAG_SECONDS;
    let groups = f64::from(layout.worker_groups);
    let copies = orders * measured.engine.bytes_per_open_order * assumed::WORKER_COPIES;
    let with_headroom = |bytes: f64| bytes * assumed::MEMORY_HEADROOM;
    Ok(Bytes {
        gateway: with_headroom(assumed::GATEWAY_BASE_BYTES + orders * measured.gateway.bytes_per_open_order)
            + UNREAD_BYTES,
        worker: with_headroom(assumed::WORKER_BASE_BYTES + copies / groups),
        // It follows all partitions, and takes no snapshots.
        writer: with_headroom(assumed::WORKER_BASE_BYTES + orders * measured.engine.bytes_per_open_order),
        store: (log + waiting) * assumed::ENTRY_BYTES,
        rows_per_second: demand.peak_commands() * rows,
        rows_per_day,
        history_disk_gb,
        snapshots_gb: orders * measured.gateway.snapshot_bytes_per_open_order * assumed::SNAPSHOTS_KEPT / 1e9,
    })
}
