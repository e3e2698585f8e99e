//! Finds the master of a partition's slot: asks any server that answers, and caches the answer until it is in doubt.

use std::fmt;
use std::sync::Arc;

use crossbook_log::storage;
use crossbook_types::PartitionId;
use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, ProtocolVersion, Value};

use crate::connection::Connection;
use crate::error::said;
use crate::topology::{Map, Topology};
use crate::{Error, Keys, Options, options, reply, tls, topology};

/// The servers of a venue. Cheap to clone; clones share what they learn.
#[derive(Clone)]
pub struct Servers(Arc<Inner>);

struct Inner {
    options: Options,
    seeds: Vec<ConnectionInfo>,
    topology: Arc<Topology>,
    /// By which the process knows its own notifications again; random.
    id: u64,
}

impl Servers {
    /// The servers that these options name. Nothing is connected yet.
    ///
    /// # Errors
    /// [`Error::Options`] and [`Error::Random`].
    pub fn new(options: Options) -> Result<Self, Error> {
        options.check()?;
        let certificates = tls::certificates(&options)?;
        let parse = |server: &String| {
            server
                .as_str()
                .into_connection_info()
                .and_then(|info| match &certificates {
                    Some(certificates) => tls::secured(info, certificates),
                    None => Ok(info),
                })
                .map(|info| {
                    let settings = info.redis_settings().clone().set_skip_set_lib_name();
                    let tcp = info.tcp_settings().clone().set_nodelay(true);
                    info.set_redis_settings(settings).set_tcp_settings(tcp)
                })
                .map_err(|error| Error::Options(format!("server {}: {error}", options::redacted(server))))
        };
        let seeds = options.servers.iter().map(parse).collect::<Result<_, _>>()?;
        let id = storage::random().map_err(Error::Random)?;
        Ok(Self(Arc::new(Inner { options, seeds, topology: Arc::default(), id })))
    }

    /// The options.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.0.options
    }

    /// The names of this partition's keys.
    #[must_use]
    pub fn keys(&self, partition: PartitionId) -> Keys {
        Keys::new(&self.0.options.venue, partition)
    }

    /// The address (host and port) of the server that the map has as this partition's master, without a connection to
    /// it. For logs and tests.
    ///
    /// # Errors
    /// [`Error::Unreachable`].
    pub fn master(&self, partition: PartitionId) -> Result<String, Error> {
        self.find(partition).map(|info| info.addr().to_string())
    }

    /// Forgets the map: it may be out of date.
    pub fn forget(&self) {
        self.0.topology.forget();
    }

    /// What the notifications of these servers' users contain, and of no others.
    pub(crate) fn id(&self) -> u64 {
        self.0.id
    }

    /// These partitions by their masters.
    pub(crate) fn by_master(&self, partitions: &[PartitionId]) -> Result<Vec<Vec<PartitionId>>, Error> {
        let mut shards: Vec<(String, Vec<PartitionId>)> = Vec::new();
        for &partition in partitions {
            let master = self.master(partition)?;
            match shards.iter_mut().find(|(of, _)| *of == master) {
                Some((_, shard)) => shard.push(partition),
                None => shards.push((master, vec![partition])),
            }
        }
        Ok(shards.into_iter().map(|(_, shard)| shard).collect())
    }

    /// How many replicas this master had when a link last saw it; 0 when none did.
    pub(crate) fn replicas_noted(&self, server: &str) -> u32 {
        self.0.topology.replicas_noted(server)
    }

    pub(crate) fn note_replicas(&self, server: &str, replicas: u32) {
        self.0.topology.note_replicas(server, replicas);
    }

    /// Connects to this partition's master.
    pub(crate) fn connect_to_master(&self, partition: PartitionId) -> Result<Connection, Error> {
        let mut connected = self.connect_once(partition);
        if connected.as_ref().is_err_and(Error::doubts_the_map) {
            // It may be that only the map was stale.
            self.forget();
            connected = self.connect_once(partition);
        }
        connected
    }

    fn connect_once(&self, partition: PartitionId) -> Result<Connection, Error> {
        let info = self.find(partition)?;
        let mut connection = self.open(&info)?;
        connection.prepare()?;
        Ok(connection)
    }

    /// Connects to this partition's master for what it pushes.
    pub(crate) fn connect_for_pushes(&self, partition: PartitionId) -> Result<Connection, Error> {
        let info = self.find(partition)?;
        // Else a push could not be told from an answer.
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let opened = self.open(&info.set_redis_settings(settings));
        if opened.is_err() {
            self.forget();
        }
        opened
    }

    /// The server that is this partition's master, as far as anyone knows.
    fn find(&self, partition: PartitionId) -> Result<ConnectionInfo, Error> {
        let slot = self.keys(partition).slot();
        let mut tried = String::new();
        if let Some(info) = self.0.topology.map().and_then(|map| self.master_in(&map, slot)) {
            return Ok(info);
        }
        for info in self.to_ask() {
            match self.ask(&info) {
                Ok((map, nodes)) => {
                    let found = self.master_in(&map, slot);
                    self.0.topology.learn(map, nodes);
                    if let Some(found) = found {
                        return Ok(found);
                    }
                    self.forget();
                    note(&mut tried, &info, "knows no master for its slot");
                }
                Err(why) => note(&mut tried, &info, &why),
            }
        }
        Err(Error::Unreachable { partition, tried })
    }

    fn master_in(&self, map: &Map, slot: u16) -> Option<ConnectionInfo> {
        match map {
            Map::Alone(info) => Some(ConnectionInfo::clone(info)),
            Map::Cluster(ranges) => ranges
                .iter()
                .find(|range| (range.from..=range.to).contains(&u64::from(slot)))
                .and_then(|range| self.info(range.master.clone())),
        }
    }

    /// Everyone who may know, in the order of asking.
    fn to_ask(&self) -> Vec<ConnectionInfo> {
        let (nodes, turn) = self.0.topology.nodes();
        let mut infos = self.0.seeds.clone();
        for node in nodes {
            if !infos.iter().any(|info| *info.addr() == node) {
                infos.extend(self.info(node));
            }
        }
        let first = turn % infos.len();
        infos.rotate_left(first);
        infos
    }

    /// How to connect to a server of the cluster: as to the first that we were given.
    fn info(&self, address: ConnectionAddr) -> Option<ConnectionInfo> {
        let seed = self.0.seeds.iter().find(|seed| *seed.addr() == address).or(self.0.seeds.first())?;
        Some(seed.clone().set_addr(address))
    }

    /// Asks one server for the map and for the servers of the cluster.
    fn ask(&self, info: &ConnectionInfo) -> Result<(Map, Vec<ConnectionAddr>), String> {
        let mut connection = self.open(info).map_err(|error| error.to_string())?;
        connection.command(|command| command.arg("CLUSTER").arg("SLOTS"));
        connection.command(|command| command.arg("ROLE"));
        let [slots, role] = connection.answers().map_err(|error| error.to_string())?;
        match slots {
            Value::ServerError(error) if said(&error).contains("cluster support disabled") => {
                match reply::role(&role) {
                    Some(Some(_)) => Ok((Map::Alone(Box::new(info.clone())), Vec::new())),
                    _ => Err("is a replica, and no cluster".to_owned()),
                }
            }
            Value::ServerError(error) => Err(said(&error)),
            slots => topology::cluster(&slots, info.addr())
                .ok_or_else(|| "answered CLUSTER SLOTS in an unknown way".to_owned()),
        }
    }

    fn open(&self, info: &ConnectionInfo) -> Result<Connection, Error> {
        Connection::open(&self.0.options, &self.0.topology, info)
    }
}

impl fmt::Debug for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Servers").field("options", &self.0.options).finish_non_exhaustive()
    }
}

fn note(tried: &mut String, info: &ConnectionInfo, what: &str) {
    if !tried.is_empty() {
        tried.push_str("; ");
    }
    tried.push_str(&format!("{} {what}", info.addr()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::cluster;

    fn node(host: Value, port: i64) -> Value {
        Value::Array(vec![host, Value::Int(port), Value::BulkString(b"id".to_vec()), Value::Array(Vec::new())])
    }

    #[test]
    fn reads_the_map_of_a_cluster() {
        let host = |name: &str| Value::BulkString(name.as_bytes().to_vec());
        let slots = Value::Array(vec![
            Value::Array(vec![Value::Int(0), Value::Int(99), node(host("a"), 1), node(host("b"), 2)]),
            Value::Array(vec![Value::Int(100), Value::Int(16_383), node(Value::Nil, 3), node(host("a"), 4)]),
        ]);
        let (map, nodes) = cluster(&slots, &ConnectionAddr::Tcp("asked".to_owned(), 9)).unwrap();
        let servers =
            Servers::new(Options { servers: vec!["redis://:pw@seed".to_owned()], ..Options::default() }).unwrap();
        let of = |slot| servers.master_in(&map, slot).unwrap();
        assert_eq!(of(99).addr().to_string(), "a:1");
        assert_eq!(of(100).addr().to_string(), "asked:3");
        assert_eq!(of(100).redis_settings().password(), Some("pw"));
        assert_eq!(nodes.len(), 4);
        assert!(cluster(&Value::Array(vec![Value::Int(1)]), &ConnectionAddr::Tcp(String::new(), 9)).is_none());
    }

    #[test]
    fn addresses_that_are_none_are_refused_without_their_password() {
        for server in ["rediss://u:s3cret@host#insecure", "http://u:s3cret@host", "host"] {
            let error = Servers::new(Options { servers: vec![server.to_owned()], ..Options::default() }).unwrap_err();
            assert!(matches!(error, Error::Options(_)) && !error.to_string().contains("s3cret"), "{error}");
        }
    }
}
