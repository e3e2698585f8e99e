//! A conversation with one shard: the connection to its master, and the requests over it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbook_cluster::store::{
    BookDepth, Bounds, Closing, Connect, DepthChange, Ends, Note, Outcome, PartitionStore, StoredCommand, Turn,
};
use crossbook_types::{PartitionId, Sequence, Timestamp};
use redis::{Cmd, Value};

use crate::connection::{Connection, Script};
use crate::marks::Marks;
use crate::notifications::Notifications;
use crate::replicas::Replicas;
use crate::{Error, Keys, Options, Servers, reply};

/// One connection to the master of one shard. See [`PartitionStore`].
pub struct RedisStore {
    pub(crate) connection: Connection,
    pub(crate) servers: Servers,
    /// The partition that the connection was made for, or a later one of its shard that a turn has asked about.
    pub(crate) home: PartitionId,
    partitions: BTreeMap<PartitionId, Known>,
    /// As the last confirmation saw them.
    pub(crate) replicas: Replicas,
    /// What the replicas must have acknowledged to have what the last turn has seen, and when it last asked.
    pub(crate) seen: Option<(u64, Instant)>,
}

/// What a conversation knows of a partition.
pub(crate) struct Known {
    keys: Arc<Keys>,
    /// Which commands are marked as skipped; read before the first command is.
    pub(crate) marks: Option<Marks>,
    /// How many commands the entries of the last reading had, on average.
    pub(crate) commands_per_entry: usize,
}

impl Known {
    /// How many entries to ask for so many commands. With fewer per entry than last time they are fewer commands, with
    /// more the rest is read again.
    pub(crate) fn entries_for(&self, records_max: usize) -> usize {
        records_max.max(1).div_ceil(self.commands_per_entry)
    }
}

impl Connect for Servers {
    type Store = RedisStore;
    type Subscription = Notifications;

    fn connect(&self, partition: PartitionId) -> Result<RedisStore, Error> {
        RedisStore::connect(self, partition)
    }

    fn subscribe(&self, partitions: &[PartitionId], rest: Duration) -> Result<Notifications, Error> {
        Notifications::subscribe(self, partitions, rest)
    }

    fn shards(&self, partitions: &[PartitionId]) -> Result<Vec<Vec<PartitionId>>, Error> {
        self.by_master(partitions)
    }

    fn bounds(&self) -> Bounds {
        let Options { batch_records_max, batch_bytes_max, turn_records_max, turn_bytes_max, .. } = *self.options();
        Bounds { records_max: batch_records_max, bytes_max: batch_bytes_max, turn_records_max, turn_bytes_max }
    }
}

impl RedisStore {
    /// Connects to the master of this partition.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Lost`], [`Error::Moved`], [`Error::Unready`]: try again a little later.
    /// [`Error::Refused`] when the server does not let us.
    pub fn connect(servers: &Servers, partition: PartitionId) -> Result<Self, Error> {
        let connection = servers.connect_to_master(partition)?;
        let replicas = Replicas::expecting(servers.replicas_noted(connection.server()));
        let (servers, partitions) = (servers.clone(), BTreeMap::new());
        Ok(Self { connection, servers, home: partition, partitions, replicas, seen: None })
    }

    pub(crate) fn known(&mut self, partition: PartitionId) -> &mut Known {
        self.partitions.entry(partition).or_insert_with(|| Known {
            keys: Arc::new(self.servers.keys(partition)),
            marks: None,
            commands_per_entry: 1,
        })
    }

    /// The keys of a partition.
    pub(crate) fn keys(&mut self, partition: PartitionId) -> Arc<Keys> {
        Arc::clone(&self.known(partition).keys)
    }

    pub(crate) fn options(&self) -> &Options {
        self.servers.options()
    }

    /// Adds a command to the next round trip.
    pub(crate) fn ask(&mut self, build: impl FnOnce(&mut Cmd) -> &mut Cmd) {
        self.connection.command(build);
    }

    pub(crate) fn exchange<const N: usize>(&mut self, wait: Duration) -> Result<[Value; N], Error> {
        let answers = self.connection.exchange(wait)?;
        answers.try_into().map_err(|_| self.connection.unclear("a request"))
    }
}

impl PartitionStore for RedisStore {
    type Error = Error;

    fn address(&self) -> &str {
        self.connection.server()
    }

    fn turn(&mut self, turn: &Turn<'_>) -> Result<Outcome<Error>, Error> {
        self.take(turn)
    }

    fn not_confirmed(&self) -> Error {
        let Replicas { acknowledged, online, .. } = self.replicas;
        let needed = self.options().replicas_min;
        Error::NotDurable { server: self.connection.server().to_owned(), acknowledged, online, needed }
    }

    fn ends(&mut self, partition: PartitionId) -> Result<Ends, Error> {
        let keys = self.keys(partition);
        self.connection.script(Script::Ends, &[&keys.input, &keys.log], |command| command);
        let [answer] = self.exchange(Duration::ZERO)?;
        let Some([first, tail, time]) = reply::numbers(&answer) else {
            return Err(self.connection.unclear("where in begins and ends"));
        };
        Ok(Ends { first: Sequence(first), tail: Sequence(tail), time: Timestamp(time) })
    }

    fn read(
        &mut self,
        partition: PartitionId,
        from: Sequence,
        records_max: usize,
    ) -> Result<Vec<StoredCommand>, Error> {
        if records_max == 0 {
            return Ok(Vec::new());
        }
        if let Some(error) = self.load_marks(std::iter::once(partition))?.remove(&partition) {
            return Err(error);
        }
        let (keys, entries) = (self.keys(partition), self.known(partition).entries_for(records_max));
        self.ask(|command| {
            let command = command.arg("XRANGE").arg(&keys.input).arg(format!("{from}-0")).arg("+");
            command.arg("COUNT").arg(entries)
        });
        let [answer] = self.exchange(Duration::ZERO)?;
        let entries = reply::entries(answer).ok_or_else(|| self.connection.unclear("a reading of in"))?;
        let mut commands = self.commands(partition, entries, from)?;
        commands.truncate(records_max);
        if commands.is_empty() {
            let first = self.ends(partition)?.first;
            if first > from {
                return Err(Error::Trimmed { asked: from, first });
            }
        }
        Ok(commands)
    }

    fn trim(&mut self, partition: PartitionId, up_to: Sequence) -> Result<(), Error> {
        let keys = self.keys(partition);
        // A partition of an older version has a stream of what its commands caused. Nobody reads it any more.
        self.ask(|command| command.arg("UNLINK").arg(&keys.output));
        let [_] = self.exchange(Duration::ZERO)?;
        let limit = self.options().trim_entries_max;
        loop {
            self.connection.script(Script::Trim, &[&keys.input], |command| command.arg(up_to.0).arg(limit));
            let [answer] = self.exchange(Duration::ZERO)?;
            match reply::number(&answer) {
                Some(0) => return Ok(()),
                Some(_) => {}
                None => return Err(self.connection.unclear("a trimming")),
            }
        }
    }

    fn mark_skipped(&mut self, partition: PartitionId, sequence: Sequence) -> Result<Option<Sequence>, Error> {
        self.mark(partition, sequence)
    }

    fn lease(&mut self, partition: PartitionId, name: &str, duration: Duration) -> Result<bool, Error> {
        let (keys, micros) = (self.keys(partition), duration.as_micros() as u64);
        self.connection.script(Script::Lease, &[&keys.log], |command| command.arg(name).arg(micros));
        let [answer] = self.exchange(Duration::ZERO)?;
        match reply::number(&answer) {
            Some(held) => Ok(held == 1),
            None => Err(self.connection.unclear("a lease")),
        }
    }

    fn close(&mut self, partition: PartitionId, closing: Option<&Closing>) -> Result<(), Error> {
        let keys = self.keys(partition);
        self.ask(|command| match closing {
            Some(closing) => command.arg("HSET").arg(&keys.log).arg(CLOSED).arg(closing.encode()),
            None => command.arg("HDEL").arg(&keys.log).arg(CLOSED),
        });
        let [_] = self.exchange(Duration::ZERO)?;
        self.await_barrier()
    }

    fn closing(&mut self, partition: PartitionId) -> Result<Option<Closing>, Error> {
        let keys = self.keys(partition);
        self.ask(|command| command.arg("HGET").arg(&keys.log).arg(CLOSED));
        let [answer] = self.exchange(Duration::ZERO)?;
        match reply::text(&answer).map(Error::closed) {
            None => Ok(None),
            Some(Error::Closed(closing)) => Ok(Some(closing)),
            Some(error) => Err(error),
        }
    }

    fn write_depth(&mut self, partition: PartitionId, changes: &[DepthChange<'_>]) -> Result<Vec<bool>, Error> {
        self.put_depth(partition, changes)
    }

    fn read_depth(&mut self, partition: PartitionId, symbol: &str) -> Result<Option<BookDepth>, Error> {
        self.get_depth(partition, symbol)
    }

    fn set_note(&mut self, partition: PartitionId, note: Note, value: &str) -> Result<(), Error> {
        let keys = self.keys(partition);
        self.ask(|command| command.arg("HSET").arg(&keys.log).arg(field(note)).arg(value));
        let [_] = self.exchange(Duration::ZERO)?;
        Ok(())
    }

    fn note(&mut self, partition: PartitionId, note: Note) -> Result<Option<String>, Error> {
        let keys = self.keys(partition);
        self.ask(|command| command.arg("HGET").arg(&keys.log).arg(field(note)));
        let [answer] = self.exchange(Duration::ZERO)?;
        Ok(reply::text(&answer).map(str::to_owned))
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("server", &self.connection.server())
            .field("home", &self.home)
            .field("replicas", &self.replicas)
            .finish_non_exhaustive()
    }
}

/// The field of a partition's hash that says whether it is closed. `append.lua` reads it.
const CLOSED: &str = "closed";

/// The field of a partition's hash that has a note.
fn field(note: Note) -> &'static str {
    match note {
        Note::HistoryWritten => "written",
        Note::Import => "export",
    }
}
