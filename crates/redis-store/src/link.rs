//! What gateways, partitions and workers do with a partition's streams, over one connection to their master.

use std::fmt;
use std::time::Duration;

use crossbook_types::{PartitionId, RequestNumber, Sequence, Timestamp};
use redis::{Cmd, Value};

use crate::barrier::{Replicas, WAIT_SLICE};
use crate::connection::{Connection, Script};
use crate::skip::Marks;
use crate::{Error, Keys, Options, Servers, Stream, reply};

/// Where commands were appended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Appended {
    /// The place of the first.
    pub first: Sequence,
    /// The place of the last; one before `first` when there were none.
    pub last: Sequence,
    /// The time that all of them have.
    pub time: Timestamp,
    /// Where `out` ended: `last` minus this many commands wait to be executed.
    pub told: Sequence,
}

/// Where both streams begin and end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ends {
    /// The first command still kept; one past `tail` when there is none.
    pub first: Sequence,
    /// The last command.
    pub tail: Sequence,
    /// The last command's time.
    pub time: Timestamp,
    /// The last command of which was told what it caused.
    pub told: Sequence,
    /// The first entry of `out` still kept; one past `told` when there is none.
    pub out_first: Sequence,
}

/// What a worker asks in one round trip.
#[derive(Clone, Copy, Debug)]
pub struct Turn<'a> {
    /// Where `out` is to end now; otherwise nothing is published.
    pub publish_after: Sequence,
    /// What the commands after that caused, one entry each. May be empty: then this only asks where `out` ends. Their
    /// size is not checked: what a durable command caused must be told.
    pub entries: &'a [&'a [u8]],
    /// Commands after this one are wanted.
    pub read_after: Sequence,
    /// So many at most.
    pub records_max: usize,
    /// How long to wait for a command when there is none.
    pub wait: Duration,
    /// Whether to find out if what was read is durable.
    pub barrier: bool,
}

/// What a worker gets in one round trip.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Pulled {
    /// Where `out` ends now.
    pub told: Sequence,
    /// The commands, in order, without gaps. None when the time was up.
    pub records: Vec<PulledRecord>,
    /// Whether they are durable, and everything else that was in the streams by then. `false` without
    /// [`Turn::barrier`].
    pub durable: bool,
}

/// A command out of `in`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PulledRecord {
    /// Its place.
    pub sequence: Sequence,
    /// When it was appended.
    pub time: Timestamp,
    /// Its bytes.
    pub payload: Vec<u8>,
}

/// An entry of `out`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The place of the command that caused it.
    pub sequence: Sequence,
    /// Its bytes.
    pub payload: Vec<u8>,
}

/// One connection to the master of one partition. It blocks, and belongs to one thread. After an error the caller drops
/// it and connects anew, except where [`Error`] says that nothing happened.
pub struct Link {
    pub(crate) connection: Connection,
    pub(crate) servers: Servers,
    partition: PartitionId,
    pub(crate) keys: Keys,
    /// As the last barrier saw them.
    pub(crate) replicas: Replicas,
    /// Which entries of `in` are passed over; read before the first of them is.
    pub(crate) marks: Option<Marks>,
}

impl Link {
    /// Connects to the master of this partition.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Lost`], [`Error::Moved`], [`Error::Unready`]: try again a little later.
    /// [`Error::Refused`] when the server does not let us.
    pub fn connect(servers: &Servers, partition: PartitionId) -> Result<Self, Error> {
        let connection = servers.connect(partition)?;
        let keys = servers.keys(partition);
        let replicas = Replicas::expecting(servers.replicas_noted(connection.server()));
        Ok(Self { connection, servers: servers.clone(), partition, keys, replicas, marks: None })
    }

    /// The partition.
    #[must_use]
    pub fn partition(&self) -> PartitionId {
        self.partition
    }

    /// The server's address (host and port). For logs.
    #[must_use]
    pub fn server(&self) -> &str {
        self.connection.server()
    }

    /// Appends commands at the end, wherever that is. They get their places and their time there: the server's clock,
    /// or the last command's time if that is later. They are not durable yet. With no commands it only asks where the
    /// end is.
    ///
    /// # Errors
    /// [`Error::Full`] when more than `backlog_max` commands would then wait to be executed; [`Error::RecordTooLarge`],
    /// [`Error::BatchTooLarge`]: nothing was appended, and the link can still be used. Otherwise it is not known
    /// whether the commands were appended.
    pub fn append(&mut self, payloads: &[&[u8]], backlog_max: u64) -> Result<Appended, Error> {
        self.check(payloads)?;
        let keys = [self.keys.input.as_str(), &self.keys.log];
        self.connection.script(Script::Append, &keys, |command| all(command.arg(backlog_max), payloads));
        let [answer] = self.exchange(Duration::ZERO)?;
        let Some([appended, last, time, told]) = reply::numbers(&answer) else {
            return Err(self.connection.unclear("an append"));
        };
        let count = payloads.len() as u64;
        if appended == 0 {
            return Err(Error::Full { waiting: last.saturating_sub(told), limit: backlog_max });
        }
        let first = last.checked_sub(count).ok_or_else(|| self.connection.unclear("an append"))?;
        Ok(Appended {
            first: Sequence(first).next(),
            last: Sequence(last),
            time: Timestamp(time),
            told: Sequence(told),
        })
    }

    /// Appends messages of another partition, numbered from `first`, leaving out those that it heard before. Returns
    /// the number of the last message heard; that is durable then. If it is smaller than `first` minus one, messages
    /// are missing in between, and nothing was appended. With no messages it only asks.
    ///
    /// # Errors
    /// [`Error::NotDurable`], and as for [`Link::append`].
    pub fn deliver(
        &mut self,
        from: PartitionId,
        first: RequestNumber,
        payloads: &[&[u8]],
    ) -> Result<RequestNumber, Error> {
        let heard = self.deliver_all(&[(from, first, payloads.to_vec())], true)?;
        heard.first().copied().ok_or_else(|| self.connection.unclear("a delivery"))
    }

    /// The same for messages of several partitions, in one round trip. Without a `barrier` what was heard is not
    /// durable yet: a later one confirms it.
    ///
    /// # Errors
    /// As for [`Link::deliver`].
    pub fn deliver_all(
        &mut self,
        messages: &[(PartitionId, RequestNumber, Vec<&[u8]>)],
        barrier: bool,
    ) -> Result<Vec<RequestNumber>, Error> {
        for (_, _, payloads) in messages {
            self.check(payloads)?;
        }
        let keys = [self.keys.input.as_str(), &self.keys.log];
        for (from, first, payloads) in messages {
            self.connection.script(Script::Deliver, &keys, |command| all(command.arg(from.0).arg(first.0), payloads));
        }
        if barrier {
            self.ask_barrier();
        }
        let mut answers = self.connection.exchange(if barrier { WAIT_SLICE } else { Duration::ZERO })?;
        if barrier && !self.conclude_barrier(&mut answers)? {
            return Err(self.not_durable());
        }
        let heard = answers.iter().map(|answer| reply::number(answer).map(RequestNumber)).collect::<Option<Vec<_>>>();
        let heard = heard.filter(|heard| heard.len() == messages.len());
        heard.ok_or_else(|| self.connection.unclear("a delivery"))
    }

    /// One round trip of a worker: publishes what the last commands caused, reads the next ones, and finds out whether
    /// they are durable. `pulled` is overwritten.
    ///
    /// # Errors
    /// [`Error::Trimmed`] when the command after `read_after` is gone, [`Error::Forked`] when `in` ends before what is
    /// to be published, [`Error::Marked`] when commands were passed over since the link was made, and failures of the
    /// server or the connection.
    pub fn turn(&mut self, turn: &Turn<'_>, pulled: &mut Pulled) -> Result<(), Error> {
        pulled.records.clear();
        pulled.durable = false;
        let marks = self.marks()?.count();
        let keys = [self.keys.output.as_str(), &self.keys.log, &self.keys.skipped];
        self.connection.script(Script::Publish, &keys, |command| {
            let command = command.arg(turn.publish_after.0).arg(marks);
            turn.entries.iter().fold(command, |command, entry| command.arg(*entry))
        });
        let (after, wait) = (turn.read_after, turn.wait);
        self.connection.command(|command| xread(command, &self.keys.input, after, turn.records_max, wait));
        if turn.barrier {
            self.ask_barrier();
        }
        let mut answers = self.connection.exchange(wait + WAIT_SLICE)?;
        if turn.barrier {
            pulled.durable = self.conclude_barrier(&mut answers)?;
        }
        let [told, read] = self.only(answers)?;
        pulled.told = reply::place(&told).ok_or_else(|| self.connection.unclear("a publication"))?;
        let entries = reply::entries_of_xread(read).ok_or_else(|| self.connection.unclear("a reading of in"))?;
        self.records(entries, after.next(), &mut pulled.records)
    }

    /// Reads the entries of `out` after a place, waiting for one if there is none. `into` is overwritten, and stays
    /// empty when the time is up.
    ///
    /// # Errors
    /// [`Error::Trimmed`] when the entry after that place is gone, [`Error::Gap`], and failures of the server or the
    /// connection.
    pub fn follow(
        &mut self,
        after: Sequence,
        records_max: usize,
        wait: Duration,
        into: &mut Vec<Entry>,
    ) -> Result<(), Error> {
        into.clear();
        self.connection.command(|command| xread(command, &self.keys.output, after, records_max, wait));
        let [answer] = self.exchange(wait)?;
        let entries = reply::entries_of_xread(answer).ok_or_else(|| self.connection.unclear("a reading of out"))?;
        let mut expected = after.next();
        for entry in entries {
            let told = reply::entry(entry).and_then(|(place, fields)| Some((place, reply::told(fields)?)));
            let (sequence, payload) = told.ok_or_else(|| self.connection.unclear("an entry of out"))?;
            check_order(Stream::Out, into.is_empty(), expected, sequence)?;
            into.push(Entry { sequence, payload });
            expected = sequence.next();
        }
        Ok(())
    }

    /// Reads commands from a place on, whether durable or not; none when `in` ends before it.
    ///
    /// # Errors
    /// [`Error::Trimmed`] when the command at `from` is gone, [`Error::Gap`], and failures of the server or the
    /// connection.
    pub fn read(&mut self, from: Sequence, records_max: usize) -> Result<Vec<PulledRecord>, Error> {
        self.marks()?;
        self.connection.command(|command| {
            let command = command.arg("XRANGE").arg(self.keys.input.as_str()).arg(id(from)).arg("+");
            command.arg("COUNT").arg(records_max)
        });
        let [answer] = self.exchange(Duration::ZERO)?;
        let entries = reply::entries(answer).ok_or_else(|| self.connection.unclear("a reading of in"))?;
        let mut records = Vec::with_capacity(entries.len());
        self.records(entries, from, &mut records)?;
        if records.is_empty() && records_max > 0 {
            let first = self.ends()?.first;
            if first > from {
                return Err(Error::Trimmed { stream: Stream::In, asked: from, first });
            }
        }
        Ok(records)
    }

    /// Whether `in` still holds this command, unchanged. If not, the log has forked from what the caller knew. `true`
    /// at 0, before any command.
    ///
    /// # Errors
    /// [`Error::Trimmed`] when it was trimmed away, so that nobody can say; and failures of the server or the
    /// connection.
    pub fn holds(&mut self, sequence: Sequence, time: Timestamp, payload: &[u8]) -> Result<bool, Error> {
        if sequence == Sequence(0) {
            return Ok(true);
        }
        // A command that is not the one asked for is one that comes after a gap, which `read` says is trimmed.
        let record = self.read(sequence, 1)?.into_iter().next();
        Ok(record.is_some_and(|record| record.time == time && record.payload == payload))
    }

    /// Where both streams begin and end, durable or not.
    ///
    /// # Errors
    /// Failures of the server or the connection.
    pub fn ends(&mut self) -> Result<Ends, Error> {
        let keys = [self.keys.input.as_str(), &self.keys.output, &self.keys.log];
        self.connection.script(Script::Ends, &keys, |command| command);
        let [answer] = self.exchange(Duration::ZERO)?;
        let Some([first, tail, time, out_first, told]) = reply::numbers(&answer) else {
            return Err(self.connection.unclear("where the streams end"));
        };
        Ok(Ends {
            first: Sequence(first),
            tail: Sequence(tail),
            time: Timestamp(time),
            told: Sequence(told),
            out_first: Sequence(out_first),
        })
    }

    /// Gives up both streams up to and including these places, but no command of which nothing was told yet. What is
    /// not cheap to drop may stay.
    ///
    /// # Errors
    /// Failures of the server or the connection.
    pub fn trim(&mut self, in_up_to: Sequence, out_up_to: Sequence) -> Result<(), Error> {
        self.drop_up_to(in_up_to, out_up_to, true)
    }

    /// As [`Link::trim`]; `untold_stays` is not for a log that nobody answers from.
    pub(crate) fn drop_up_to(&mut self, of_in: Sequence, of_out: Sequence, untold_stays: bool) -> Result<(), Error> {
        let limit = self.options().trim_entries_max;
        loop {
            let keys = [self.keys.input.as_str(), &self.keys.output, &self.keys.log];
            self.connection.script(Script::Trim, &keys, |command| {
                command.arg(of_in.0).arg(of_out.0).arg(limit).arg(u8::from(untold_stays))
            });
            let [answer] = self.exchange(Duration::ZERO)?;
            match reply::number(&answer) {
                Some(0) => return Ok(()),
                Some(_) => {}
                None => return Err(self.connection.unclear("a trimming")),
            }
        }
    }

    /// Appends the records of a log's only writer, if `in` ends at `after`; and waits until they are durable.
    pub(crate) fn extend(&mut self, after: Sequence, times: &[Timestamp], payloads: &[&[u8]]) -> Result<(), Error> {
        let keys = [self.keys.input.as_str(), &self.keys.log];
        self.connection.script(Script::Extend, &keys, |command| {
            let records = times.iter().zip(payloads);
            records.fold(command.arg(after.0), |command, (time, payload)| command.arg(time.0).arg(*payload))
        });
        self.ask_barrier();
        let mut answers = self.connection.exchange(WAIT_SLICE)?;
        let durable = self.conclude_barrier(&mut answers)?;
        match answers.first().and_then(reply::numbers) {
            Some([0, found]) => Err(Error::AnotherWriter { expected: after, found: Sequence(found) }),
            Some([_, _]) if durable => Ok(()),
            Some([_, _]) => Err(self.not_durable()),
            None => Err(self.connection.unclear("an append")),
        }
    }

    /// Writes what the venue is made of, once, and gives what is written: partitions, routing and identity. It is
    /// durable then. On partition 0's link.
    pub(crate) fn claim(
        &mut self,
        partitions: u16,
        routing: &[u8],
        identity: u64,
    ) -> Result<(u64, Vec<u8>, u64), Error> {
        let key = Keys::venue(&self.options().venue);
        self.connection.script(Script::Claim, &[&key], |command| command.arg(partitions).arg(routing).arg(identity));
        let [answer] = self.exchange(Duration::ZERO)?;
        self.make_durable()?;
        let claimed = match answer {
            Value::Array(parts) => match <[Value; 3]>::try_from(parts) {
                Ok([partitions, Value::BulkString(routing), identity]) => {
                    reply::number(&partitions).zip(reply::number(&identity)).map(|(of, id)| (of, routing, id))
                }
                _ => None,
            },
            _ => None,
        };
        claimed.ok_or_else(|| self.connection.unclear("a claim"))
    }

    /// Counts one more gateway; the count is durable. On partition 0's link.
    pub(crate) fn count_gateway(&mut self) -> Result<u64, Error> {
        let key = Keys::venue(&self.options().venue);
        self.connection.command(|command| command.arg("HINCRBY").arg(key.as_str()).arg("gateways").arg(1));
        let [answer] = self.exchange(Duration::ZERO)?;
        self.make_durable()?;
        reply::number(&answer).ok_or_else(|| self.connection.unclear("a count of gateways"))
    }

    pub(crate) fn log_key(&self) -> String {
        self.keys.log.clone()
    }

    /// Adds a command to the next round trip.
    pub(crate) fn ask(&mut self, build: impl FnOnce(&mut redis::Cmd) -> &mut redis::Cmd) {
        self.connection.command(build);
    }

    pub(crate) fn options(&self) -> &Options {
        self.servers.options()
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

    pub(crate) fn exchange<const N: usize>(&mut self, wait: Duration) -> Result<[Value; N], Error> {
        let answers = self.connection.exchange(wait)?;
        self.only(answers)
    }

    fn only<const N: usize>(&self, answers: Vec<Value>) -> Result<[Value; N], Error> {
        answers.try_into().map_err(|_| self.connection.unclear("a request"))
    }

    fn records(&self, entries: Vec<Value>, from: Sequence, into: &mut Vec<PulledRecord>) -> Result<(), Error> {
        let mut expected = from;
        for entry in entries {
            let command = reply::entry(entry).and_then(|(place, fields)| Some((place, reply::command(fields)?)));
            let (sequence, (time, payload)) = command.ok_or_else(|| self.connection.unclear("an entry of in"))?;
            check_order(Stream::In, into.is_empty(), expected, sequence)?;
            let mut record = PulledRecord { sequence, time, payload };
            if let Some(marks) = &self.marks {
                marks.put(&mut record)?;
            }
            into.push(record);
            expected = sequence.next();
        }
        Ok(())
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partition, replicas, .. } = self;
        f.debug_struct("Link")
            .field("server", &self.server())
            .field("partition", partition)
            .field("replicas", replicas)
            .finish_non_exhaustive()
    }
}

fn all<'a>(command: &'a mut Cmd, payloads: &[&[u8]]) -> &'a mut Cmd {
    payloads.iter().fold(command, |command, payload| command.arg(*payload))
}

fn id(place: Sequence) -> String {
    format!("{place}-0")
}

fn xread<'a>(command: &'a mut Cmd, key: &str, after: Sequence, records_max: usize, wait: Duration) -> &'a mut Cmd {
    command.arg("XREAD").arg("COUNT").arg(records_max.max(1));
    if !wait.is_zero() {
        // To a server, 0 is for ever.
        command.arg("BLOCK").arg((wait.as_millis() as u64).max(1));
    }
    command.arg("STREAMS").arg(key).arg(id(after))
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
