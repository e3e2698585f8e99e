//! What is assumed: numbers that nobody has measured, each in one place, with the reason for it.

/// Bytes of an entry of a partition's log in the store, with what Redis needs around it. Records are some 100 bytes.
pub const ENTRY_BYTES: f64 = 200.0;
/// Bytes of a row of the history, with its indexes.
pub const ROW_BYTES: f64 = 150.0;
/// Bytes that leave for each command: the answer with its headers, and the reports on user streams.
pub const ANSWER_BYTES: f64 = 1_400.0;
/// What a gateway has without orders: code, buffers, threads.
pub const GATEWAY_BASE_BYTES: f64 = 200e6;
/// What a worker or writer has without orders.
pub const WORKER_BASE_BYTES: f64 = 150e6;
/// A partition, its copy that snapshots are taken of, and the snapshot that is being written.
pub const WORKER_COPIES: f64 = 3.0;
/// How much more memory pods ask for than they are expected to use.
pub const MEMORY_HEADROOM: f64 = 1.25;
/// How long the history may be down before the logs that wait for it fill the store.
pub const HISTORY_LAG_SECONDS: f64 = 3_600.0;
/// The part of the memory of a node of the store that may be filled; the rest is for its own copies and buffers.
pub const STORE_FILL: f64 = 0.6;
/// The master's part of what a master and its replica take: the replica needs two thirds of its master.
pub const MASTER_SHARE: f64 = 0.6;
/// Processors and memory of what runs on every node: network, volumes, metrics, logs.
pub const NODE_PROCESSORS: f64 = 0.3;
/// See [`NODE_PROCESSORS`].
pub const NODE_BYTES: f64 = 500e6;
/// Processors and memory of what a cluster needs once, which any zone must be able to take over: Prometheus, DNS, the
/// controller of the load balancer.
pub const SERVICES_PROCESSORS: f64 = 1.5;
/// See [`SERVICES_PROCESSORS`].
pub const SERVICES_BYTES: f64 = 4e9;
/// GB of the root volume of each node.
pub const NODE_DISK_GB: f64 = 50.0;
/// GB of metrics.
pub const METRICS_DISK_GB: f64 = 100.0;
/// GB of images and updates through NAT in a month.
pub const NAT_GB: f64 = 50.0;
/// GB of log lines in a month.
pub const LOGS_GB: f64 = 10.0;
/// Alarms, keys and secrets of the CDK app in deploy/aws.
pub const ALARMS: f64 = 12.0;
/// See [`ALARMS`].
pub const KEYS: f64 = 1.0;
/// See [`ALARMS`].
pub const SECRETS: f64 = 2.0;
/// Snapshots of each partition that are kept.
pub const SNAPSHOTS_KEPT: f64 = 7.0;
/// How full the disk of the history may be.
pub const DISK_FILL: f64 = 0.8;
/// Seconds that a connection of a client lasts.
pub const CONNECTION_SECONDS: f64 = 3_600.0;
/// Milliseconds that an order takes beside waiting for turns and for the store: two processes and the network.
pub const REST_MS: f64 = 1.0;
/// Days after which a table of prices is old.
pub const PRICES_DAYS_MAX: u64 = 180;
