//! A cluster that gets another shard, as an operator adds one: `CLUSTER MEET`, `CLUSTER REPLICATE`, and slot by slot
//! `CLUSTER SETSLOT` and `MIGRATE`.

use std::time::{Duration, Instant};

use super::{Error, NODE_TIMEOUT_MS, Node, RedisCluster, START_TIMEOUT};

/// How long a server has to take over the keys of a slot.
const MIGRATE_TIMEOUT_MS: &str = "5000";
/// Keys that move together.
const KEYS_AT_ONCE: usize = 10;

impl RedisCluster {
    /// Starts a master without slots and `replicas` of it, and waits until all servers know them and they are online.
    /// Returns the master.
    ///
    /// # Errors
    /// When they do not start, or do not come together with the others.
    pub fn add_shard(&mut self, replicas: usize) -> Result<usize, Error> {
        let master = self.nodes.len();
        let known = self.nodes.iter().find(|node| node.running.is_some()).ok_or(Error::Stopped(0))?;
        let (timeout, tls) = (known.node_timeout_ms.unwrap_or(NODE_TIMEOUT_MS), known.tls.clone());
        let (port, bus) = (known.port.to_string(), known.bus_port.to_string());
        for number in master..=master + replicas {
            let mut node = Node::new(&self.folder.join(number.to_string()), Some(timeout), tls.as_ref())?;
            node.start()?;
            node.ask::<()>(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus])?;
            self.nodes.push(node);
        }
        let id: String = self.nodes[master].ask(&["CLUSTER", "MYID"])?;
        let all = self.nodes.len();
        self.wait(START_TIMEOUT, "every server knows the new ones", |cluster| {
            let knows = |node: &Node| {
                let nodes = node.ask::<String>(&["CLUSTER", "NODES"]);
                nodes.is_ok_and(|nodes| nodes.lines().count() == all && !nodes.contains("handshake"))
            };
            cluster.nodes.iter().filter(|node| node.running.is_some()).all(knows)
        })?;
        for node in &self.nodes[master + 1..] {
            node.ask::<()>(&["CLUSTER", "REPLICATE", &id])?;
        }
        // A master refuses keys in the first seconds after its start.
        self.wait(START_TIMEOUT, "the new replicas are online and the new master is ready", |cluster| {
            let node = &cluster.nodes[master];
            let info = node.ask::<String>(&["CLUSTER", "INFO"]);
            node.replicas_online() == Some(replicas) && info.is_ok_and(|info| info.contains("cluster_state:ok"))
        })?;
        Ok(master)
    }

    /// Moves the slot of a key, with all its keys, to this master, as `redis-cli --cluster reshard` does. Returns how
    /// long that took from the first key to the last server.
    ///
    /// # Errors
    /// When a server refuses.
    pub fn move_slot_of(&self, key: &str, to: usize) -> Result<Duration, Error> {
        let begun = Instant::now();
        let mut slot = self.begin_move(key, to)?;
        while slot.step(KEYS_AT_ONCE)? {}
        slot.end()?;
        Ok(begun.elapsed())
    }

    /// Begins to move the slot of a key to this master.
    ///
    /// # Errors
    /// When a server refuses.
    pub fn begin_move(&self, key: &str, to: usize) -> Result<SlotMove<'_>, Error> {
        let from = self.master_of(key).ok_or(Error::Stopped(to))?;
        let slot: i64 = self.ask(from, &["CLUSTER", "KEYSLOT", key])?;
        let slot = slot.to_string();
        let [source, target] = [from, to].map(|node| self.ask::<String>(node, &["CLUSTER", "MYID"]));
        let (source, target) = (source?, target?);
        self.ask::<()>(to, &["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source])?;
        self.ask::<()>(from, &["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target])?;
        Ok(SlotMove { cluster: self, slot, from, to, target })
    }
}

/// A slot on its way from one master to another.
#[derive(Debug)]
pub struct SlotMove<'a> {
    cluster: &'a RedisCluster,
    slot: String,
    from: usize,
    to: usize,
    /// The identity of the server that gets it.
    target: String,
}

impl SlotMove<'_> {
    /// Moves so many keys, if there are some. Whether there were.
    ///
    /// # Errors
    /// When a server refuses.
    pub fn step(&mut self, count: usize) -> Result<bool, Error> {
        let count = count.to_string();
        let keys: Vec<String> = self.cluster.ask(self.from, &["CLUSTER", "GETKEYSINSLOT", &self.slot, &count])?;
        if keys.is_empty() {
            return Ok(false);
        }
        let port = self.cluster.nodes[self.to].port.to_string();
        let mut request = vec!["MIGRATE", "127.0.0.1", &port, "", "0", MIGRATE_TIMEOUT_MS, "KEYS"];
        request.extend(keys.iter().map(String::as_str));
        self.cluster.ask::<()>(self.from, &request)?;
        Ok(true)
    }

    /// Says to all servers who has it now, when no key is left.
    ///
    /// # Errors
    /// When a server refuses.
    pub fn end(self) -> Result<(), Error> {
        // First the one that has it now: should it fail here, the others still ask the one that leads to it.
        let masters = (0..self.cluster.nodes.len()).filter(|&node| {
            ![self.to, self.from].contains(&node) && self.cluster.nodes[node].replicas_online().is_some()
        });
        for node in [self.to, self.from].into_iter().chain(masters) {
            self.cluster.ask::<()>(node, &["CLUSTER", "SETSLOT", &self.slot, "NODE", &self.target])?;
        }
        Ok(())
    }
}
