//! A conversation with one shard: the connection to its master, and the requests over it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crossbook_cluster::store::{
    Append, Appended, BookDepth, Bounds, Connect, Deliver, DepthChange, Ends, Full, Note, Outcome, PartitionOutcome,
    PartitionStore, PartitionTurn, Publish, ReadAfter, StoredCommand, StoredOutput, Turn,
};
use crossbook_types::{PartitionId, RequestNumber, Sequence, Timestamp};
use redis::{Cmd, Value};

use crate::connection::{Connection, Script};
use crate::marks::Marks;
use crate::replicas::{Replicas, WAIT_SLICE};
use crate::{Error, Keys, Options, Servers, Stream, reply};

/// One connection to the master of one shard. See [`PartitionStore`].
pub struct RedisStore {
    pub(crate) connection: Connection,
    pub(crate) servers: Servers,
    /// The partition that the connection was made for. Its shard is the one of all others that are asked about.
    home: PartitionId,
    keys: BTreeMap<PartitionId, Keys>,
    /// As the last barrier saw them.
    pub(crate) replicas: Replicas,
    /// By partition, which commands are marked as skipped; read before the first command is.
    pub(crate) marks: BTreeMap<PartitionId, Marks>,
}

impl Connect for Servers {
    type Store = RedisStore;

    fn connect(&self, partition: PartitionId) -> Result<RedisStore, Error> {
        RedisStore::connect(self, partition)
    }

    fn bounds(&self) -> Bounds {
        let Options { batch_records_max, batch_bytes_max, .. } = *self.options();
        Bounds { records_max: batch_records_max, bytes_max: batch_bytes_max }
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
        let keys = BTreeMap::from([(partition, servers.keys(partition))]);
        Ok(Self { connection, servers: servers.clone(), home: partition, keys, replicas, marks: BTreeMap::new() })
    }

    /// The keys of a partition.
    pub(crate) fn keys(&mut self, partition: PartitionId) -> Keys {
        self.keys.entry(partition).or_insert_with(|| self.servers.keys(partition)).clone()
    }

    /// The keys of the partition that the connection was made for.
    pub(crate) fn home_keys(&self) -> &Keys {
        &self.keys[&self.home]
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

    /// Adds a turn's requests for a partition. Returns how many answers they have.
    fn ask_for(&mut self, turn: &PartitionTurn<'_>, wait: Duration) -> usize {
        let Keys { input, output, log, skipped, .. } = self.keys(turn.partition);
        let marks = self.marks.get(&turn.partition).map_or(0, Marks::count);
        let mut answers = 0;
        if let Some(Publish { after, outputs }) = turn.publish {
            self.connection.script(Script::Publish, &[&output, &log, &skipped], |command| {
                all(command.arg(after.0).arg(marks), outputs)
            });
            answers += 1;
        }
        for Deliver { from, first, messages } in turn.deliver {
            self.connection
                .script(Script::Deliver, &[&input, &log], |command| all(command.arg(from.0).arg(first.0), messages));
            answers += 1;
        }
        if let Some(Append { payloads, backlog_max }) = turn.append {
            self.connection.script(Script::Append, &[&input, &log], |command| all(command.arg(backlog_max), payloads));
            answers += 1;
        }
        for (read, key) in [(turn.commands, &input), (turn.outputs, &output)] {
            if let Some(read) = read {
                self.connection.command(|command| xread(command, key, read, wait));
                answers += 1;
            }
        }
        answers
    }

    /// Parses the answers to a turn's requests for a partition.
    fn outcome(
        &self,
        turn: &PartitionTurn<'_>,
        answers: &mut impl Iterator<Item = Value>,
    ) -> Result<PartitionOutcome, Error> {
        let mut next = |what| match answers.next() {
            Some(Value::ServerError(error)) => Err(Error::of_server(self.connection.server(), &error)),
            Some(answer) => Ok(answer),
            None => Err(self.connection.unclear(what)),
        };
        let mut outcome = PartitionOutcome::default();
        if turn.publish.is_some() {
            let published = reply::place(&next("a publication")?);
            outcome.published = Some(published.ok_or_else(|| self.connection.unclear("a publication"))?);
        }
        for _ in turn.deliver {
            let received = reply::number(&next("a delivery")?);
            outcome.received.push(RequestNumber(received.ok_or_else(|| self.connection.unclear("a delivery"))?));
        }
        if let Some(append) = &turn.append {
            let appended = appended(append, &next("an append")?);
            outcome.appended = Some(appended.ok_or_else(|| self.connection.unclear("an append"))?);
        }
        if let Some(ReadAfter { after, .. }) = turn.commands {
            let entries = reply::entries_of_xread(next("a reading of in")?);
            let entries = entries.ok_or_else(|| self.connection.unclear("a reading of in"))?;
            outcome.commands = self.commands(turn.partition, entries, after.next())?;
        }
        if let Some(ReadAfter { after, .. }) = turn.outputs {
            let entries = reply::entries_of_xread(next("a reading of out")?);
            let entries = entries.ok_or_else(|| self.connection.unclear("a reading of out"))?;
            outcome.outputs = self.outputs(entries, after.next())?;
        }
        Ok(outcome)
    }

    fn check(&self, payloads: &[&[u8]]) -> Result<(), Error> {
        let options = self.options();
        let limit = options.record_bytes_max;
        if let Some(payload) = payloads.iter().find(|payload| payload.len() > limit) {
            return Err(Error::RecordTooLarge { bytes: payload.len(), limit });
        }
        let (records, bytes) = (payloads.len(), payloads.iter().map(|payload| payload.len()).sum());
        if records > options.batch_records_max || bytes > options.batch_bytes_max {
            return Err(Error::BatchTooLarge { records, bytes });
        }
        Ok(())
    }

    /// The commands in these entries, with the marks on those that are skipped.
    fn commands(
        &self,
        partition: PartitionId,
        entries: Vec<Value>,
        from: Sequence,
    ) -> Result<Vec<StoredCommand>, Error> {
        let mut commands = Vec::with_capacity(entries.len());
        let mut expected = from;
        for entry in entries {
            let command = reply::entry(entry).and_then(|(place, fields)| Some((place, reply::command(fields)?)));
            let (sequence, (time, payload)) = command.ok_or_else(|| self.connection.unclear("an entry of in"))?;
            check_order(Stream::In, commands.is_empty(), expected, sequence)?;
            let mut command = StoredCommand { sequence, time, payload };
            if let Some(marks) = self.marks.get(&partition) {
                marks.put(&mut command)?;
            }
            commands.push(command);
            expected = sequence.next();
        }
        Ok(commands)
    }

    fn outputs(&self, entries: Vec<Value>, from: Sequence) -> Result<Vec<StoredOutput>, Error> {
        let mut outputs = Vec::with_capacity(entries.len());
        let mut expected = from;
        for entry in entries {
            let output = reply::entry(entry).and_then(|(place, fields)| Some((place, reply::told(fields)?)));
            let (sequence, payload) = output.ok_or_else(|| self.connection.unclear("an entry of out"))?;
            check_order(Stream::Out, outputs.is_empty(), expected, sequence)?;
            outputs.push(StoredOutput { sequence, payload });
            expected = sequence.next();
        }
        Ok(outputs)
    }
}

impl PartitionStore for RedisStore {
    type Error = Error;

    fn address(&self) -> &str {
        self.connection.server()
    }

    fn turn(&mut self, turn: &Turn<'_>) -> Result<Outcome<Error>, Error> {
        for of in &turn.partitions {
            of.append.iter().try_for_each(|append| self.check(append.payloads))?;
            of.deliver.iter().try_for_each(|deliver| self.check(&deliver.messages))?;
            if of.publish.is_some() || of.commands.is_some() {
                self.load_marks(of.partition)?;
            }
        }
        let reads =
            turn.partitions.iter().map(|of| usize::from(of.commands.is_some()) + usize::from(of.outputs.is_some()));
        // The server answers in order: a reading that waited would hold up the others.
        let wait = if reads.sum::<usize>() == 1 { turn.wait } else { Duration::ZERO };
        let counts: Vec<usize> = turn.partitions.iter().map(|of| self.ask_for(of, wait)).collect();
        if turn.confirm {
            self.ask_barrier();
        }
        let slice = if turn.confirm { WAIT_SLICE } else { Duration::ZERO };
        let mut of_all = self.connection.exchange_refusals(wait + slice)?;
        let mut of_barrier = of_all.split_off(counts.iter().sum::<usize>().min(of_all.len()));
        let confirmed = turn.confirm && self.conclude_barrier(&mut of_barrier)?;
        let mut of_all = of_all.into_iter();
        let mut partitions = Vec::with_capacity(turn.partitions.len());
        for (of, count) in turn.partitions.iter().zip(counts) {
            let mut own = of_all.by_ref().take(count);
            let outcome = self.outcome(of, &mut own);
            // What is left of the answers of one that failed is not for the next.
            own.for_each(drop);
            if outcome.as_ref().is_err_and(Error::doubts_the_map) {
                self.servers.forget();
            }
            partitions.push(outcome);
        }
        Ok(Outcome { partitions, confirmed })
    }

    fn not_confirmed(&self) -> Error {
        let Replicas { acknowledged, online, .. } = self.replicas;
        let needed = self.options().replicas_min;
        Error::NotDurable { server: self.connection.server().to_owned(), acknowledged, online, needed }
    }

    fn ends(&mut self, partition: PartitionId) -> Result<Ends, Error> {
        let Keys { input, output, log, .. } = self.keys(partition);
        self.connection.script(Script::Ends, &[&input, &output, &log], |command| command);
        let [answer] = self.exchange(Duration::ZERO)?;
        let Some([first, tail, time, outputs_first, published]) = reply::numbers(&answer) else {
            return Err(self.connection.unclear("where the streams end"));
        };
        Ok(Ends {
            first: Sequence(first),
            tail: Sequence(tail),
            time: Timestamp(time),
            published: Sequence(published),
            outputs_first: Sequence(outputs_first),
        })
    }

    fn read(
        &mut self,
        partition: PartitionId,
        from: Sequence,
        records_max: usize,
    ) -> Result<Vec<StoredCommand>, Error> {
        self.load_marks(partition)?;
        let input = self.keys(partition).input;
        self.ask(|command| command.arg("XRANGE").arg(input).arg(id(from)).arg("+").arg("COUNT").arg(records_max));
        let [answer] = self.exchange(Duration::ZERO)?;
        let entries = reply::entries(answer).ok_or_else(|| self.connection.unclear("a reading of in"))?;
        let commands = self.commands(partition, entries, from)?;
        if commands.is_empty() && records_max > 0 {
            let first = self.ends(partition)?.first;
            if first > from {
                return Err(Error::Trimmed { stream: Stream::In, asked: from, first });
            }
        }
        Ok(commands)
    }

    fn trim(&mut self, partition: PartitionId, commands_up_to: Sequence, outputs_up_to: Sequence) -> Result<(), Error> {
        let Keys { input, output, log, .. } = self.keys(partition);
        let limit = self.options().trim_entries_max;
        loop {
            self.connection.script(Script::Trim, &[&input, &output, &log], |command| {
                command.arg(commands_up_to.0).arg(outputs_up_to.0).arg(limit)
            });
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

    fn write_depth(&mut self, partition: PartitionId, changes: &[DepthChange<'_>]) -> Result<Vec<bool>, Error> {
        self.put_depth(partition, changes)
    }

    fn read_depth(&mut self, partition: PartitionId, symbol: &str) -> Result<Option<BookDepth>, Error> {
        self.get_depth(partition, symbol)
    }

    fn set_note(&mut self, partition: PartitionId, note: Note, value: &str) -> Result<(), Error> {
        let log = self.keys(partition).log;
        self.ask(|command| command.arg("HSET").arg(log).arg(field(note)).arg(value));
        let [_] = self.exchange(Duration::ZERO)?;
        Ok(())
    }

    fn note(&mut self, partition: PartitionId, note: Note) -> Result<Option<String>, Error> {
        let log = self.keys(partition).log;
        self.ask(|command| command.arg("HGET").arg(log).arg(field(note)));
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

/// The field of a partition's hash that has a note.
fn field(note: Note) -> &'static str {
    match note {
        Note::HistoryWritten => "written",
        Note::Import => "export",
    }
}

fn appended(append: &Append<'_>, answer: &Value) -> Option<Result<Appended, Full>> {
    let [done, last, time, published] = reply::numbers(answer)?;
    if done == 0 {
        return Some(Err(Full { waiting: last.saturating_sub(published), limit: append.backlog_max }));
    }
    let before = last.checked_sub(append.payloads.len() as u64)?;
    let (first, last) = (Sequence(before).next(), Sequence(last));
    Some(Ok(Appended { first, last, time: Timestamp(time), published: Sequence(published) }))
}

fn all<'a>(command: &'a mut Cmd, payloads: &[&[u8]]) -> &'a mut Cmd {
    payloads.iter().fold(command, |command, payload| command.arg(*payload))
}

fn id(place: Sequence) -> String {
    format!("{place}-0")
}

fn xread<'a>(command: &'a mut Cmd, key: &str, read: ReadAfter, wait: Duration) -> &'a mut Cmd {
    command.arg("XREAD").arg("COUNT").arg(read.records_max.max(1));
    if !wait.is_zero() {
        // For a server, 0 means without a limit.
        command.arg("BLOCK").arg((wait.as_millis() as u64).max(1));
    }
    command.arg("STREAMS").arg(key).arg(id(read.after))
}

/// Entries come without gaps; what is missing before the first was trimmed.
fn check_order(stream: Stream, is_first: bool, expected: Sequence, found: Sequence) -> Result<(), Error> {
    if found == expected {
        Ok(())
    } else if is_first && found > expected {
        Err(Error::Trimmed { stream, asked: expected, first: found })
    } else {
        Err(Error::Gap { stream, expected, found })
    }
}
