//! A whole cluster on this machine: Redis with replicas, MariaDB, workers, gateways, a writer, and HAProxy in front.
//! Nothing is mocked; each part can be killed, paused and restarted separately.
//!
//! [`LocalCluster::tend`] acts as an orchestrator: it restarts processes that died. All processes end with the one that
//! started them.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::mysql::{self, MySql};
use crate::process::{self, Running, Stop};
use crate::redis::{self, RedisCluster, free_port};

/// How long a part has to become ready.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// Between two looks whether it is.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long a probe may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// What is shown while a venue is imported.
pub const IMPORT: &str = "the import";

/// Settings without limits of weights and orders.
pub const NO_LIMITS: &str =
    "[gateway.limits]\nrequest_weight_1m = 0\nraw_requests_5m = 0\norders_10s = 0\norders_1d = 0\n";

/// Why there is no cluster.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Redis does not run.
    #[error(transparent)]
    Redis(#[from] redis::Error),
    /// MariaDB does not run.
    #[error(transparent)]
    MySql(#[from] mysql::Error),
    /// HAProxy is not installed.
    #[error("HAProxy is not installed (haproxy was not found); on Debian: apt-get install haproxy")]
    NoHaProxy,
    /// A part is not ready in time.
    #[error("not ready within a minute: {name}; see {}", .log.display())]
    Slow {
        /// Name of the process.
        name: String,
        /// Where its log is.
        log: PathBuf,
    },
    /// A venue cannot be imported.
    #[error("the venue could not be imported; see {}", .0.display())]
    Import(PathBuf),
    /// The system refused.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// What a cluster is made of.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Number of Redis masters.
    pub shards: usize,
    /// Replicas of each master.
    pub replicas: usize,
    /// Milliseconds after which Redis takes a master for dead.
    pub node_timeout_ms: u64,
    /// Partitions of the venue.
    pub partitions: u16,
    /// Number of workers.
    pub workers: usize,
    /// Whether each partition runs on two of them, the one ready for the other.
    pub standby: bool,
    /// Number of gateways.
    pub gateways: usize,
    /// Whether there is a history, with MariaDB and a writer.
    pub history: bool,
    /// The export of a venue that is imported before a process is started.
    pub import: Option<PathBuf>,
    /// Further settings, as TOML.
    pub settings: String,
    /// Commands of a partition after which its next snapshot is taken; `None`: as configured by default.
    pub snapshot_interval_commands: Option<u64>,
    /// The key under which API secrets are encrypted, as 64 hex digits; `None`: one is drawn.
    pub secret_key: Option<String>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            shards: 3,
            replicas: 1,
            node_timeout_ms: 1_000,
            partitions: 12,
            workers: 3,
            standby: true,
            gateways: 2,
            history: true,
            import: None,
            settings: String::new(),
            snapshot_interval_commands: None,
            secret_key: None,
        }
    }
}

/// One of our own processes, or HAProxy.
#[derive(Debug)]
struct Program {
    name: String,
    binary: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(&'static str, String)>,
    /// Where it says whether it is ready, and on which path.
    probe: (SocketAddr, &'static str),
    log: PathBuf,
    running: Option<Running>,
    starts: u64,
}

impl Program {
    fn start(&mut self) -> Result<(), Error> {
        if let Some(ended) = self.running.take() {
            ended.end(Stop::Kill);
        }
        let output = File::options().create(true).append(true).open(&self.log)?;
        let mut command = process::dying_with_us(self.binary.clone());
        command
            .args(&self.arguments)
            .env(process::NO_DRAIN.0, process::NO_DRAIN.1)
            .envs(self.environment.iter().map(|(key, value)| (*key, value)))
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        self.running = Some(Running::start(&self.name, command)?);
        self.starts += 1;
        Ok(())
    }

    fn wait_until_ready(&self) -> Result<(), Error> {
        let deadline = Instant::now() + START_TIMEOUT;
        while probe(self.probe.0, self.probe.1) != Some(200) {
            let ended = self.running.as_ref().is_none_or(Running::has_ended);
            if ended || Instant::now() >= deadline {
                return Err(Error::Slow { name: self.name.clone(), log: self.log.clone() });
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }
}

/// The status of an answer to a GET; `None` if there is none.
#[must_use]
pub fn probe(address: SocketAddr, path: &str) -> Option<u16> {
    let mut stream = TcpStream::connect_timeout(&address, PROBE_TIMEOUT).ok()?;
    stream.set_read_timeout(Some(PROBE_TIMEOUT)).ok()?;
    stream.set_write_timeout(Some(PROBE_TIMEOUT)).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: cluster\r\nConnection: close\r\n\r\n").ok()?;
    let mut head = [0; 12];
    stream.read_exact(&mut head).ok()?;
    std::str::from_utf8(&head).ok()?.strip_prefix("HTTP/1.1 ")?.trim().parse().ok()
}

/// A running cluster.
#[derive(Debug)]
pub struct LocalCluster {
    folder: PathBuf,
    /// The program of all roles.
    binary: PathBuf,
    /// The servers of the logs, counted as [`RedisCluster`] counts them.
    pub redis: RedisCluster,
    /// The database of the history.
    pub mariadb: Option<MySql>,
    database: Option<String>,
    programs: Vec<Program>,
    http: SocketAddr,
    admin: SocketAddr,
    /// The client API of each gateway.
    gateways: Vec<SocketAddr>,
    token: String,
    config: PathBuf,
    /// What is not to be started again although it has died.
    held: Vec<String>,
    redis_held: Vec<usize>,
}

impl LocalCluster {
    /// Starts everything in `folder`, which is empty or does not exist, with `binary` as the program of all roles, and
    /// waits until orders can be placed. `shown` is told what is being started.
    ///
    /// # Errors
    /// When a part is not installed, or does not become ready.
    pub fn start(folder: &Path, binary: &Path, plan: &Plan, mut shown: impl FnMut(&str)) -> Result<Self, Error> {
        // Servers leave the current directory, so a relative path would mean another folder there.
        let folder = &std::path::absolute(folder)?;
        fs::create_dir_all(folder)?;
        let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        shown("Redis");
        let redis = RedisCluster::start_with(&folder.join("redis"), plan.shards, plan.replicas, plan.node_timeout_ms)?;
        let (mut mariadb, mut database) = (None, None);
        if plan.history {
            shown("MariaDB");
            let server = MySql::start(&folder.join("mariadb"))?;
            database = Some(server.create("crossbook")?);
            mariadb = Some(server);
        }
        let mut secrets = [[0_u8; 32]; 2];
        for secret in &mut secrets {
            aws_lc_rs::rand::fill(secret).map_err(|_| io::Error::other("the system cannot provide random bytes"))?;
        }
        let [token, drawn] = secrets.map(hex::encode);
        let key = plan.secret_key.clone().unwrap_or(drawn);
        let config = folder.join("cluster.toml");
        fs::write(&config, settings(folder, &redis, plan, database.as_deref())?)?;
        import(plan, binary, &config, &mut shown)?;
        let mut cluster = Self {
            folder: folder.to_owned(),
            binary: binary.to_owned(),
            redis,
            mariadb,
            database,
            programs: Vec::new(),
            http: loopback(free_port()?),
            admin: loopback(free_port()?),
            gateways: Vec::new(),
            token: token.clone(),
            config: config.clone(),
            held: Vec::new(),
            redis_held: Vec::new(),
        };
        for at in 0..plan.workers {
            let admin = loopback(free_port()?);
            let name = format!("worker-{at}");
            let mut arguments = role("worker", &config, admin);
            arguments.extend(["--name".to_owned(), name.clone(), "--partitions".to_owned()]);
            arguments.push(partitions_of(at, plan));
            cluster.add(&name, binary, arguments, Vec::new(), (admin, "/readyz"));
        }
        let mut backends = Vec::new();
        for at in 0..plan.gateways {
            let (http, admin) = (loopback(free_port()?), loopback(free_port()?));
            backends.push((http, admin));
            cluster.gateways.push(http);
            let mut arguments = role("gateway", &config, admin);
            arguments.extend(["--http".to_owned(), http.to_string()]);
            let secrets = vec![("CROSSBOOK_ADMIN_TOKEN", token.clone()), ("CROSSBOOK_SECRET_KEY", key.clone())];
            cluster.add(&format!("gateway-{at}"), binary, arguments, secrets, (admin, "/readyz"));
        }
        if plan.history {
            let admin = loopback(free_port()?);
            cluster.add("writer-0", binary, role("writer", &config, admin), Vec::new(), (admin, "/readyz"));
        }
        let haproxy = process::find("haproxy", &["/usr/sbin", "/usr/local/sbin"]).ok_or(Error::NoHaProxy)?;
        let balance = folder.join("haproxy.cfg");
        fs::write(&balance, balancing(cluster.http, cluster.admin, &backends))?;
        let arguments = vec!["-db".to_owned(), "-f".to_owned(), balance.display().to_string()];
        // It answers there when it knows that a gateway is ready.
        let probe = (cluster.admin, "/readyz");
        cluster.add("haproxy", &haproxy, arguments, Vec::new(), probe);
        for program in &mut cluster.programs {
            shown(&program.name);
            program.start()?;
        }
        cluster.programs.iter().try_for_each(Program::wait_until_ready)?;
        Ok(cluster)
    }

    /// Starts a further worker, which runs all partitions, with settings of its own from the environment, and waits
    /// until it is ready.
    ///
    /// # Errors
    /// When it does not become so.
    pub fn add_worker(&mut self, name: &str, settings: Vec<(&'static str, String)>) -> Result<(), Error> {
        let admin = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let mut arguments = role("worker", &self.config, admin);
        arguments.extend(["--name".to_owned(), name.to_owned()]);
        let binary = self.binary.clone();
        self.add(name, &binary, arguments, settings, (admin, "/readyz"));
        self.programs.iter_mut().filter(|program| program.name == name).try_for_each(Program::start)?;
        self.wait_until_ready(name)
    }

    /// Kills a process, and forgets it.
    pub fn remove(&mut self, name: &str) {
        self.kill(name);
        self.programs.retain(|program| program.name != name);
    }

    /// Kills everything at once, as a power cut would, and starts it again on the same files. Waits until all of it is
    /// ready.
    ///
    /// # Errors
    /// When a part does not start again.
    pub fn restart_everything(&mut self) -> Result<(), Error> {
        let programs = self.programs.iter().filter_map(|program| program.running.as_ref().map(Running::process));
        let database = self.mariadb.as_ref().and_then(MySql::process);
        for process in programs.chain(self.redis.processes()).chain(database) {
            // What has ended already is not there to be killed.
            let _ = Pid::from_raw(process.cast_signed()).map(|process| kill_process(process, Signal::KILL));
        }
        for program in &mut self.programs {
            if let Some(running) = program.running.take() {
                running.end(Stop::Kill);
            }
        }
        (0..self.redis.nodes()).for_each(|node| self.redis.kill(node));
        (0..self.redis.nodes()).try_for_each(|node| self.redis.restart(node))?;
        if let Some(mariadb) = &mut self.mariadb {
            mariadb.kill();
            mariadb.restart()?;
        }
        self.programs.iter_mut().try_for_each(Program::start)?;
        self.redis.wait_until_whole()?;
        self.programs.iter().try_for_each(Program::wait_until_ready)
    }

    fn add(
        &mut self,
        name: &str,
        binary: &Path,
        arguments: Vec<String>,
        environment: Vec<(&'static str, String)>,
        probe: (SocketAddr, &'static str),
    ) {
        self.programs.push(Program {
            name: name.to_owned(),
            binary: binary.to_owned(),
            arguments,
            environment,
            probe,
            log: self.folder.join(format!("{name}.log")),
            running: None,
            starts: 0,
        });
    }

    /// The client API, through HAProxy.
    #[must_use]
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// The admin API, through HAProxy.
    #[must_use]
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// The client APIs of the gateways themselves, which may answer something before HAProxy sends anybody there.
    #[must_use]
    pub fn gateways(&self) -> &[SocketAddr] {
        &self.gateways
    }

    /// What the admin API demands.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The configuration that all roles have.
    #[must_use]
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// The address of the history's database, if there is one.
    #[must_use]
    pub fn database(&self) -> Option<&str> {
        self.database.as_deref()
    }

    /// The names of our own processes and HAProxy, where each answers probes, and its process.
    pub fn programs(&self) -> impl Iterator<Item = (&str, SocketAddr, Option<u32>)> {
        self.programs
            .iter()
            .map(|program| (program.name.as_str(), program.probe.0, program.running.as_ref().map(Running::process)))
    }

    /// Starts again what has died, but for what is [held](LocalCluster::hold). The names of what was started.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn tend(&mut self) -> Result<Vec<String>, Error> {
        let mut started = Vec::new();
        for node in 0..self.redis.nodes() {
            if !self.redis_held.contains(&node) && !self.redis.is_running(node) {
                self.redis.restart(node)?;
                started.push(format!("redis-{node}"));
            }
        }
        for program in &mut self.programs {
            let dead = program.running.as_ref().is_none_or(Running::has_ended);
            if dead && !self.held.contains(&program.name) {
                program.start()?;
                started.push(program.name.clone());
            }
        }
        Ok(started)
    }

    /// From now on that process is not started again, or it is.
    pub fn hold(&mut self, name: &str, held: bool) {
        self.held.retain(|other| other != name);
        if held {
            self.held.push(name.to_owned());
        }
    }

    /// The same for a Redis server.
    pub fn hold_redis(&mut self, node: usize, held: bool) {
        self.redis_held.retain(|other| *other != node);
        if held {
            self.redis_held.push(node);
        }
    }

    /// Kills a process, as a crash would.
    pub fn kill(&mut self, name: &str) {
        for program in self.programs.iter_mut().filter(|program| program.name == name) {
            if let Some(running) = program.running.take() {
                running.end(Stop::Kill);
            }
        }
    }

    /// Makes a process stand still, or go on.
    ///
    /// # Errors
    /// When it does not run.
    pub fn pause(&self, name: &str, paused: bool) -> Result<(), Error> {
        let signal = if paused { Signal::STOP } else { Signal::CONT };
        let running = self.programs.iter().find(|program| program.name == name).and_then(|p| p.running.as_ref());
        let process = running.and_then(|running| Pid::from_raw(running.process().cast_signed()));
        let process = process.ok_or_else(|| io::Error::other(format!("{name} does not run")))?;
        kill_process(process, signal).map_err(|error| Error::System(error.into()))
    }

    /// Waits until a process is ready.
    ///
    /// # Errors
    /// When it does not become so.
    pub fn wait_until_ready(&self, name: &str) -> Result<(), Error> {
        self.programs.iter().filter(|program| program.name == name).try_for_each(Program::wait_until_ready)
    }
}

impl Drop for LocalCluster {
    fn drop(&mut self) {
        for program in self.programs.iter_mut().rev() {
            if let Some(running) = program.running.take() {
                running.end(Stop::Terminate);
            }
        }
    }
}

/// Imports the plan's venue, if it has one.
fn import(plan: &Plan, binary: &Path, config: &Path, shown: &mut impl FnMut(&str)) -> Result<(), Error> {
    let Some(export) = &plan.import else { return Ok(()) };
    shown(IMPORT);
    let log = config.with_file_name("import.log");
    let output = File::options().create(true).append(true).open(&log)?;
    let mut command = process::dying_with_us(binary.to_owned());
    command.args(["import", "--config"]).arg(config).arg(export).stdin(Stdio::null());
    command.stdout(output.try_clone()?).stderr(output);
    if command.status()?.success() { Ok(()) } else { Err(Error::Import(log)) }
}

/// What every role is told.
fn role(role: &str, config: &Path, admin: SocketAddr) -> Vec<String> {
    let (config, admin) = (config.display().to_string(), admin.to_string());
    [role, "--config", &config, "--admin", &admin, "--log-format", "human"].map(str::to_owned).to_vec()
}

/// The partitions that a worker runs: its share of them, and perhaps the share of the one before it, for which it
/// stands by.
fn partitions_of(worker: usize, plan: &Plan) -> String {
    let before = (worker + plan.workers - 1) % plan.workers;
    let own = (0..plan.partitions).filter(|partition| {
        let share = usize::from(*partition) % plan.workers;
        share == worker || (plan.standby && share == before)
    });
    own.map(|partition| partition.to_string()).collect::<Vec<_>>().join(",")
}

fn settings(folder: &Path, redis: &RedisCluster, plan: &Plan, database: Option<&str>) -> io::Result<String> {
    let snapshots = folder.join("snapshots");
    fs::create_dir_all(&snapshots)?;
    let snapshots = fs::canonicalize(snapshots)?;
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{}", plan.settings);
    let _ = writeln!(text, "[history]\ndatabase = \"{}\"", database.unwrap_or("none"));
    let _ = writeln!(text, "[cluster]\npartitions = {}", plan.partitions);
    if let Some(commands) = plan.snapshot_interval_commands {
        let _ = writeln!(text, "snapshot_interval_commands = {commands}");
    }
    let urls: Vec<String> = redis.urls().into_iter().map(|url| format!("\"{url}\"")).collect();
    let _ = writeln!(text, "[cluster.redis]\nservers = [{}]\nreplicas_min = {}", urls.join(", "), plan.replicas.min(1));
    let _ = writeln!(text, "[cluster.snapshots]\naddress = \"file://{}\"", snapshots.display());
    Ok(text)
}

/// HAProxy's configuration: connections go to whichever gateway is ready; one that is not gets no more within half a
/// second. It passes the bytes of clients on and does not read their requests, which costs it less; a gateway that
/// stops asks its clients to leave by itself.
fn balancing(http: SocketAddr, admin: SocketAddr, gateways: &[(SocketAddr, SocketAddr)]) -> String {
    let mut text = String::from(
        "global\n  maxconn 4000\ndefaults\n  timeout connect 1s\n  timeout client 1h\n  timeout server 1h\n  \
         option redispatch\n  retries 3\n  option httpchk GET /readyz\n  \
         default-server check inter 200ms fall 2 rise 1\n",
    );
    for (name, bind, mode) in [("clients", http, "tcp"), ("operators", admin, "http")] {
        let _ = writeln!(text, "frontend {name}\n  mode {mode}\n  bind {bind}\n  default_backend {name}");
        let _ = writeln!(text, "backend {name}\n  mode {mode}\n  balance leastconn");
        for (at, (http, admin)) in gateways.iter().enumerate() {
            // Operators reach the address that is checked; clients go where they go.
            let _ = match name {
                "clients" => writeln!(text, "  server gateway-{at} {http} no-check track operators/gateway-{at}"),
                _ => writeln!(text, "  server gateway-{at} {admin}"),
            };
        }
    }
    text
}
