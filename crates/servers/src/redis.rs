//! Redis servers for tests and measurements: the real program, in a folder and on ports of its own, with production
//! durability (every write is synced before it is answered). One server alone, or a cluster of masters and replicas
//! whose servers can be killed, paused and restarted one by one.
//!
//! The servers end with the process that started them, also when that is killed. `REDIS_SERVER` in the environment
//! names another program to run, for example a Valkey server.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use redis::{Client, ClientTlsConfig, Connection, FromRedisValue, TlsCertificates, Value};
use rustix::process::{Pid, Signal, kill_process};

use crate::certificates::Certificates;
use crate::process::{self, Running, Stop};

mod growth;
pub use growth::SlotMove;

/// How long servers have to start, and a cluster to be whole.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// Between two looks whether they are.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long a server has to answer us.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Below the ports that systems give to outgoing connections, one of which could else have a killed server's port when
/// it is started again.
const PORTS: std::ops::Range<u16> = 20_000..32_000;
/// How often other ports are tried when somebody took those that had been free.
const ATTEMPTS_MAX: usize = 5;
/// Slots of a cluster.
const SLOTS: usize = 16_384;
/// A master is taken for dead after so many milliseconds, unless the caller says otherwise.
const NODE_TIMEOUT_MS: u64 = 1_000;

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program is not installed.
    #[error("Redis is not installed (redis-server was not found); on Debian: apt-get install redis-server")]
    NotInstalled,
    /// It ended at once.
    #[error("the Redis server ended when it was started; see {}", .0.display())]
    Ended(PathBuf),
    /// It did not start in time.
    #[error("not ready within a minute: {what}; see {}", .folder.display())]
    Slow {
        /// What was waited for.
        what: &'static str,
        /// Where the logs are.
        folder: PathBuf,
    },
    /// It was built without TLS.
    #[error("this Redis server was built without TLS; see {}", .0.display())]
    NoTls(PathBuf),
    /// A server that is to be asked does not run.
    #[error("Redis server {0} does not run")]
    Stopped(usize),
    /// A server refused.
    #[error(transparent)]
    Server(#[from] redis::RedisError),
    /// The system refused.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// A server alone, without a cluster and without replicas.
#[derive(Debug)]
pub struct RedisServer(Node);

impl RedisServer {
    /// Starts a server whose files are in `folder`, which is empty or does not exist, on a free port of the loopback
    /// address.
    ///
    /// # Errors
    /// When Redis is not installed, or does not start.
    pub fn start(folder: &Path) -> Result<Self, Error> {
        on_free_ports(folder, |folder| {
            let mut node = Node::new(folder, None, None)?;
            node.start()?;
            Ok(Self(node))
        })
    }

    /// The server's address.
    #[must_use]
    pub fn url(&self) -> String {
        self.0.url()
    }

    /// The server's process, if it runs.
    #[must_use]
    pub fn process(&self) -> Option<u32> {
        self.0.process()
    }

    /// Asks the server something, as `["CONFIG", "SET", ..]`.
    ///
    /// # Errors
    /// When it refuses or does not answer.
    pub fn ask<T: FromRedisValue>(&self, request: &[&str]) -> Result<T, Error> {
        self.0.ask(request)
    }

    /// Kills the server, as a crash would. Nothing happens if it does not run.
    pub fn kill(&mut self) {
        self.0.end(Stop::Kill);
    }

    /// Stops the server in order.
    pub fn stop(&mut self) {
        self.0.end(Stop::Terminate);
    }

    /// Starts the server again on the same files and port.
    ///
    /// # Errors
    /// When it does not start.
    pub fn restart(&mut self) -> Result<(), Error> {
        self.0.start()
    }
}

/// A cluster. Its servers are counted from 0: first those that are masters in the beginning, then their replicas.
#[derive(Debug)]
pub struct RedisCluster {
    folder: PathBuf,
    nodes: Vec<Node>,
}

impl RedisCluster {
    /// Starts a cluster of `masters` with `replicas_per_master` each, whose files are in `folder`, and waits until it
    /// is whole.
    ///
    /// # Errors
    /// When Redis is not installed, does not start, or the cluster does not come together.
    ///
    /// # Panics
    /// When there is no master.
    pub fn start(folder: &Path, masters: usize, replicas_per_master: usize) -> Result<Self, Error> {
        Self::start_with(folder, masters, replicas_per_master, NODE_TIMEOUT_MS)
    }

    /// The same, with another time after which a server that does not answer is taken for dead, in milliseconds.
    ///
    /// # Errors
    /// As for [`RedisCluster::start`].
    ///
    /// # Panics
    /// When there is no master.
    pub fn start_with(
        folder: &Path,
        masters: usize,
        replicas_per_master: usize,
        node_timeout_ms: u64,
    ) -> Result<Self, Error> {
        Self::start_as(folder, masters, replicas_per_master, node_timeout_ms, None)
    }

    /// The same as [`RedisCluster::start`], of servers that speak TLS and nothing else: with their clients, their
    /// replicas and each other. They let in whoever shows the same certificate as they.
    ///
    /// # Errors
    /// As for [`RedisCluster::start`]; [`Error::NoTls`] when the program cannot do that.
    ///
    /// # Panics
    /// When there is no master.
    pub fn start_secured(
        folder: &Path,
        masters: usize,
        replicas_per_master: usize,
        tls: &Certificates,
    ) -> Result<Self, Error> {
        // Another provider of cryptography is not meant, whoever else is compiled in; no failure if that is known
        // already.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        Self::start_as(folder, masters, replicas_per_master, NODE_TIMEOUT_MS, Some(tls))
    }

    fn start_as(
        folder: &Path,
        masters: usize,
        replicas_per_master: usize,
        node_timeout_ms: u64,
        tls: Option<&Certificates>,
    ) -> Result<Self, Error> {
        assert!(masters > 0, "a cluster has a master");
        on_free_ports(folder, |folder| {
            let mut nodes = Vec::new();
            for number in 0..masters * (1 + replicas_per_master) {
                nodes.push(Node::new(&folder.join(number.to_string()), Some(node_timeout_ms), tls)?);
            }
            for node in &mut nodes {
                node.start()?;
            }
            let cluster = Self { folder: folder.to_owned(), nodes };
            cluster.join(masters, replicas_per_master)?;
            Ok(cluster)
        })
    }

    /// Makes one cluster of servers that know nothing of each other. By hand: `redis-cli --cluster create` takes
    /// seconds longer.
    fn join(&self, masters: usize, replicas_per_master: usize) -> Result<(), Error> {
        for (number, node) in self.nodes.iter().enumerate() {
            node.ask::<()>(&["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()])?;
            if number < masters {
                let from = number * SLOTS / masters;
                let to = (number + 1) * SLOTS / masters - 1;
                node.ask::<()>(&["CLUSTER", "ADDSLOTSRANGE", &from.to_string(), &to.to_string()])?;
            }
            // All to all: hearsay would take some rounds of gossip.
            for other in &self.nodes[..number] {
                let (port, bus) = (other.port.to_string(), other.bus_port.to_string());
                node.ask::<()>(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus])?;
            }
        }
        let all = self.nodes.len();
        self.wait(START_TIMEOUT, "every server knows every other", |cluster| {
            cluster.nodes.iter().all(|node| {
                node.ask::<String>(&["CLUSTER", "NODES"]).is_ok_and(|nodes| {
                    nodes.lines().count() == all && !nodes.contains("handshake") && !nodes.contains("fail")
                })
            })
        })?;
        for (number, node) in self.nodes.iter().enumerate().skip(masters) {
            let master = &self.nodes[(number - masters) / replicas_per_master.max(1)];
            let id: String = master.ask(&["CLUSTER", "MYID"])?;
            node.ask::<()>(&["CLUSTER", "REPLICATE", &id])?;
        }
        self.wait_until_whole()
    }

    /// Waits until all servers that run agree that the cluster is whole, and every one is a master or a replica that is
    /// online.
    ///
    /// # Errors
    /// [`Error::Slow`] after a minute.
    pub fn wait_until_whole(&self) -> Result<(), Error> {
        self.wait(START_TIMEOUT, "the cluster is whole", |cluster| {
            let running: Vec<_> = cluster.nodes.iter().filter(|node| node.running.is_some()).collect();
            let whole = |node: &&Node| {
                node.ask::<String>(&["CLUSTER", "INFO"]).is_ok_and(|info| info.contains("cluster_state:ok"))
            };
            let online: usize = running.iter().filter_map(|node| node.replicas_online()).map(|online| 1 + online).sum();
            let named = |node: &&Node| {
                node.slots().is_ok_and(|ranges| {
                    let mut ports: Vec<_> = ranges.into_iter().flat_map(|range| range.ports).collect();
                    ports.sort_unstable();
                    ports.dedup();
                    running.iter().all(|other| ports.contains(&other.port))
                })
            };
            online == running.len() && running.iter().all(whole) && running.iter().all(named)
        })
    }

    fn wait(&self, timeout: Duration, what: &'static str, ready: impl Fn(&Self) -> bool) -> Result<(), Error> {
        let deadline = Instant::now() + timeout;
        while !ready(self) {
            if Instant::now() >= deadline {
                return Err(Error::Slow { what, folder: self.folder.clone() });
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    /// How many servers there are, whether they run or not.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// The addresses of all servers.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(Node::url).collect()
    }

    /// The server that listens on this port.
    #[must_use]
    pub fn node_at(&self, port: u16) -> Option<usize> {
        self.nodes.iter().position(|node| node.port == port)
    }

    /// The processes of the servers that run.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        self.nodes.iter().filter_map(Node::process).collect()
    }

    /// The process of this server, if it runs.
    ///
    /// # Panics
    /// When there is no such server; so do all that take a server's number.
    #[must_use]
    pub fn process(&self, node: usize) -> Option<u32> {
        self.nodes[node].process()
    }

    /// Whether this server runs: it was started, and has not ended.
    ///
    /// # Panics
    /// When there is no such server.
    #[must_use]
    pub fn is_running(&self, node: usize) -> bool {
        self.nodes[node].running.as_ref().is_some_and(|running| !running.has_ended())
    }

    /// Asks a server something, as `["CONFIG", "SET", ..]`.
    ///
    /// # Errors
    /// When it refuses or does not answer.
    pub fn ask<T: FromRedisValue>(&self, node: usize, request: &[&str]) -> Result<T, Error> {
        self.nodes[node].ask(request)
    }

    /// The running server that is the master of this key, and says so itself; none while there is none.
    #[must_use]
    pub fn master_of(&self, key: &str) -> Option<usize> {
        let running = || self.nodes.iter().filter(|node| node.running.is_some());
        let slot: i64 = running().find_map(|node| node.ask(&["CLUSTER", "KEYSLOT", key]).ok())?;
        self.nodes.iter().position(|node| {
            node.running.is_some()
                && node.replicas_online().is_some()
                && node.slots().is_ok_and(|ranges| {
                    ranges.iter().any(|range| (range.from..=range.to).contains(&slot) && range.ports[0] == node.port)
                })
        })
    }

    /// The running servers that are replicas of this one.
    #[must_use]
    pub fn replicas_of(&self, node: usize) -> Vec<usize> {
        let master = self.nodes[node].port;
        let follows = |other: &usize| self.nodes[*other].master_port() == Some(master);
        (0..self.nodes.len()).filter(follows).collect()
    }

    /// Kills a server, as a crash would. Nothing happens if it does not run.
    pub fn kill(&mut self, node: usize) {
        self.nodes[node].end(Stop::Kill);
    }

    /// Starts a server again on the same files and ports, and waits until it answers; not until it has caught up.
    ///
    /// # Errors
    /// When it does not start.
    pub fn restart(&mut self, node: usize) -> Result<(), Error> {
        self.nodes[node].start()
    }

    /// Makes a server stand still, as a process that gets no time does, until [`RedisCluster::resume`].
    ///
    /// # Errors
    /// When it does not run.
    pub fn pause(&self, node: usize) -> Result<(), Error> {
        self.signal(node, Signal::STOP)
    }

    /// Lets a paused server go on.
    ///
    /// # Errors
    /// When it does not run.
    pub fn resume(&self, node: usize) -> Result<(), Error> {
        self.signal(node, Signal::CONT)
    }

    fn signal(&self, node: usize, signal: Signal) -> Result<(), Error> {
        let process = self.nodes[node].process().and_then(|process| Pid::from_raw(process.cast_signed()));
        let process = process.ok_or(Error::Stopped(node))?;
        kill_process(process, signal).map_err(|error| Error::System(error.into()))
    }

    /// Stops all servers in order.
    pub fn stop(&mut self) {
        for node in &mut self.nodes {
            node.end(Stop::Terminate);
        }
    }
}

/// One server.
#[derive(Debug)]
struct Node {
    folder: PathBuf,
    port: u16,
    /// On which it talks with the others of its cluster.
    bus_port: u16,
    /// After how many milliseconds another is taken for dead; none outside of a cluster.
    node_timeout_ms: Option<u64>,
    tls: Option<Certificates>,
    running: Option<Running>,
}

/// A line of CLUSTER SLOTS; the master comes first.
struct Range {
    from: i64,
    to: i64,
    ports: Vec<u16>,
}

impl Node {
    fn new(folder: &Path, node_timeout_ms: Option<u64>, tls: Option<&Certificates>) -> Result<Self, Error> {
        fs::create_dir_all(folder)?;
        let (port, bus_port) = (free_port()?, free_port()?);
        let tls = tls.cloned();
        Ok(Self { folder: folder.to_owned(), port, bus_port, node_timeout_ms, tls, running: None })
    }

    fn start(&mut self) -> Result<(), Error> {
        let program = std::env::var_os("REDIS_SERVER").map(PathBuf::from);
        let found = || ["redis-server", "valkey-server"].iter().find_map(|name| process::find(name, &["/usr/bin"]));
        let mut command = process::dying_with_us(program.or_else(found).ok_or(Error::NotInstalled)?);
        let log = self.folder.join("server.log");
        let output = File::options().create(true).append(true).open(&log)?;
        let port = self.port.to_string();
        command
            .current_dir(&self.folder)
            .args(["--bind", "127.0.0.1", "--daemonize", "no", "--save", ""])
            .args(["--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction"])
            // A replica that comes back waits for nobody else to come.
            .args(["--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0"])
            // A replica of an empty master is named to clients only after the first ping, else ten seconds later.
            .args(["--repl-ping-replica-period", "1"])
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        match &self.tls {
            None => command.args(["--port", &port]),
            Some(Certificates { ca, certificate, key }) => command
                .args(["--port", "0", "--tls-port", &port, "--tls-replication", "yes", "--tls-cluster", "yes"])
                .arg("--tls-ca-cert-file")
                .arg(ca)
                .arg("--tls-cert-file")
                .arg(certificate)
                .arg("--tls-key-file")
                .arg(key),
        };
        if let Some(timeout) = self.node_timeout_ms {
            let (timeout, bus_port) = (timeout.to_string(), self.bus_port.to_string());
            command
                .args(["--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf"])
                .args(["--cluster-node-timeout", &timeout, "--cluster-port", &bus_port])
                .args(["--cluster-announce-ip", "127.0.0.1", "--cluster-allow-replica-migration", "no"]);
        }
        self.running = Some(Running::start("redis", command)?);
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            if self.ask::<Value>(&["PING"]).is_ok() {
                return Ok(());
            }
            if self.running.as_ref().is_some_and(Running::has_ended) {
                self.running = None;
                let lacks = self.tls.is_some() && fs::read_to_string(&log)?.contains("Bad directive");
                return Err(if lacks { Error::NoTls(log) } else { Error::Ended(log) });
            }
            if Instant::now() >= deadline {
                return Err(Error::Slow { what: "a server answers", folder: self.folder.clone() });
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "rediss" } else { "redis" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    fn process(&self) -> Option<u32> {
        self.running.as_ref().map(Running::process)
    }

    fn connect(&self) -> Result<Connection, Error> {
        let client = match &self.tls {
            None => Client::open(self.url())?,
            Some(Certificates { ca, certificate, key }) => {
                let client_tls = ClientTlsConfig { client_cert: fs::read(certificate)?, client_key: fs::read(key)? };
                let shown = TlsCertificates { client_tls: Some(client_tls), root_cert: Some(fs::read(ca)?) };
                Client::build_with_tls(self.url(), shown)?
            }
        };
        let connection = client.get_connection_with_timeout(ANSWER_TIMEOUT)?;
        connection.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        connection.set_write_timeout(Some(ANSWER_TIMEOUT))?;
        Ok(connection)
    }

    fn ask<T: FromRedisValue>(&self, request: &[&str]) -> Result<T, Error> {
        let mut command = redis::Cmd::new();
        for word in request {
            command.arg(*word);
        }
        Ok(command.query(&mut self.connect()?)?)
    }

    /// How many replicas are online; nothing of a server that is none's master, or does not run.
    fn replicas_online(&self) -> Option<usize> {
        match self.ask::<Vec<Value>>(&["ROLE"]).ok()?.as_slice() {
            [Value::BulkString(role), _, Value::Array(replicas)] if role == b"master" => Some(replicas.len()),
            _ => None,
        }
    }

    /// Whose replica it is.
    fn master_port(&self) -> Option<u16> {
        self.running.as_ref()?;
        match self.ask::<Vec<Value>>(&["ROLE"]).ok()?.as_slice() {
            [Value::BulkString(role), _, Value::Int(port), ..] if role == b"slave" => u16::try_from(*port).ok(),
            _ => None,
        }
    }

    fn slots(&self) -> Result<Vec<Range>, Error> {
        let ranges: Vec<(i64, i64, Vec<Value>)> = self
            .ask::<Vec<Vec<Value>>>(&["CLUSTER", "SLOTS"])?
            .into_iter()
            .filter_map(|range| match range.as_slice() {
                [Value::Int(from), Value::Int(to), servers @ ..] => Some((*from, *to, servers.to_vec())),
                _ => None,
            })
            .collect();
        let port = |server: &Value| match server {
            Value::Array(server) => match server.get(1) {
                Some(Value::Int(port)) => u16::try_from(*port).ok(),
                _ => None,
            },
            _ => None,
        };
        let range = |(from, to, servers): (i64, i64, Vec<Value>)| {
            let ports: Vec<_> = servers.iter().filter_map(port).collect();
            (!ports.is_empty()).then_some(Range { from, to, ports })
        };
        Ok(ranges.into_iter().filter_map(range).collect())
    }

    fn end(&mut self, how: Stop) {
        if let Some(running) = self.running.take() {
            running.end(how);
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.end(Stop::Kill);
    }
}

/// Somebody else may take a port between our look and the server's; then others are tried, in a folder of their own.
fn on_free_ports<T>(folder: &Path, start: impl Fn(&Path) -> Result<T, Error>) -> Result<T, Error> {
    let mut started = start(folder);
    for attempt in 1..ATTEMPTS_MAX {
        if !matches!(started, Err(Error::Ended(_))) {
            break;
        }
        started = start(&folder.join(format!("attempt-{attempt}")));
    }
    started
}

pub(crate) fn free_port() -> io::Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let span = PORTS.end - PORTS.start;
    // Processes that run at the same time begin at different places.
    let begin = (std::process::id().wrapping_mul(97) % u32::from(span)) as u16;
    for _ in 0..span {
        let offset = NEXT.fetch_add(1, Ordering::Relaxed) % span;
        let port = PORTS.start + ((u32::from(begin) + u32::from(offset)) % u32::from(span)) as u16;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(io::Error::other("no port is free"))
}
