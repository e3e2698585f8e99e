//! What is known of a venue's servers: the map of slots and masters, the servers that may be asked for it, and how many
//! replicas each master has. All connections of a venue share it, and each can mark the map as doubtful.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redis::{ConnectionAddr, ConnectionInfo, Value};

use crate::reply;

/// The most servers that are remembered to be asked.
const NODES_MAX: usize = 256;

/// See the module.
#[derive(Default)]
pub(crate) struct Topology(Mutex<Known>);

#[derive(Default)]
struct Known {
    map: Option<Arc<Map>>,
    /// Servers of the last map, to be asked besides the configured ones.
    nodes: Vec<ConnectionAddr>,
    /// Which is asked first; another each time, so that one with a stale map does not mislead for long.
    turn: usize,
    /// How many replicas each master has, as the last barrier saw it.
    replicas: HashMap<String, u32>,
}

/// Which server is the master of which slots.
pub(crate) enum Map {
    /// A server without cluster support has every slot.
    Alone(Box<ConnectionInfo>),
    /// The masters of a cluster.
    Cluster(Vec<Range>),
}

/// Slots `from` to `to` have this master.
pub(crate) struct Range {
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) master: ConnectionAddr,
}

impl Topology {
    /// The map, if there is one that nobody doubts.
    pub(crate) fn map(&self) -> Option<Arc<Map>> {
        self.known().map.clone()
    }

    /// Drops the map: it may be out of date.
    pub(crate) fn forget(&self) {
        self.known().map = None;
    }

    /// Takes a new map, and the servers that it names.
    pub(crate) fn learn(&self, map: Map, nodes: Vec<ConnectionAddr>) {
        let mut known = self.known();
        known.map = Some(Arc::new(map));
        if !nodes.is_empty() {
            known.nodes = nodes;
        }
    }

    /// The servers that the last map named, and a number that is another each time.
    pub(crate) fn nodes(&self) -> (Vec<ConnectionAddr>, usize) {
        let mut known = self.known();
        let turn = known.turn;
        known.turn = turn.wrapping_add(1);
        (known.nodes.clone(), turn)
    }

    /// How many replicas this master had when a connection last saw it; 0 when none did.
    pub(crate) fn replicas_noted(&self, server: &str) -> u32 {
        self.known().replicas.get(server).copied().unwrap_or(0)
    }

    /// Notes how many replicas this master has.
    pub(crate) fn note_replicas(&self, server: &str, replicas: u32) {
        let mut known = self.known();
        if known.replicas.len() >= NODES_MAX {
            known.replicas.clear();
        }
        known.replicas.insert(server.to_owned(), replicas);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Whatever a panicking thread left here is a map, and a wrong map is found out.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The map in what CLUSTER SLOTS says, and everyone whom it names.
pub(crate) fn cluster(slots: &Value, asked: &ConnectionAddr) -> Option<(Map, Vec<ConnectionAddr>)> {
    let Value::Array(slots) = slots else { return None };
    let mut ranges = Vec::with_capacity(slots.len());
    let mut nodes = Vec::new();
    for range in slots {
        let Value::Array(range) = range else { return None };
        let [from, to, servers @ ..] = range.as_slice() else { return None };
        let addresses: Vec<_> = servers.iter().map(|server| address(server, asked)).collect::<Option<_>>()?;
        for node in &addresses {
            if nodes.len() < NODES_MAX && !nodes.contains(node) {
                nodes.push(node.clone());
            }
        }
        let master = addresses.into_iter().next()?;
        ranges.push(Range { from: reply::number(from)?, to: reply::number(to)?, master });
    }
    Some((Map::Cluster(ranges), nodes))
}

/// A server's address. One that does not know its own is reached as we reached it.
fn address(server: &Value, asked: &ConnectionAddr) -> Option<ConnectionAddr> {
    let Value::Array(server) = server else { return None };
    let host = match server.first()? {
        Value::Nil => "",
        host => reply::text(host)?,
    };
    let port = u16::try_from(reply::number(server.get(1)?)?).ok()?;
    let unknown = host.is_empty() || host == "?";
    Some(match asked {
        // Over TLS a server names the ports for TLS, and the others are reached in the same way.
        ConnectionAddr::TcpTls { host: own, insecure, tls_params, .. } => {
            let host = if unknown { own } else { host };
            let (insecure, tls_params) = (*insecure, tls_params.clone());
            ConnectionAddr::TcpTls { host: host.to_owned(), port, insecure, tls_params }
        }
        ConnectionAddr::Tcp(own, _) if unknown => ConnectionAddr::Tcp(own.clone(), port),
        _ => ConnectionAddr::Tcp(host.to_owned(), port),
    })
}
