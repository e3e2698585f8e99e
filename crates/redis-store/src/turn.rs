//! A turn over the partitions of a shard as one pipelined request: all scripts that write, all reads, and the
//! confirmation ([`crate::barrier`]).

use std::time::{Duration, Instant};

use crossbook_cluster::store::{
    Appended, Checkpoint, Confirm, Confirmed, Delivered, Outcome, PartitionOutcome, PartitionTurn, ReadAfter,
    StoredCommand, Turn,
};
use crossbook_types::{PartitionId, RequestNumber, Sequence, Timestamp};
use redis::{Cmd, Value};

use crate::barrier::Asked;
use crate::connection::Script;
use crate::marks::Marks;
use crate::replicas::WAIT_SLICE;
use crate::{Error, RedisStore, reply};

/// So many checkpoints of a partition are stored.
pub(crate) const CHECKPOINT_SLOTS: u64 = 8;
/// Checkpoints are so many commands apart; then the last ones are all stored.
const CHECKPOINT_EVERY: u64 = 128;

impl RedisStore {
    pub(crate) fn take(&mut self, turn: &Turn<'_>) -> Result<Outcome<Error>, Error> {
        for of in &turn.partitions {
            of.append.iter().try_for_each(|payloads| self.check(payloads))?;
            of.deliver.iter().try_for_each(|deliver| self.check(&deliver.messages))?;
        }
        self.check_whole(turn)?;
        let mut refused = self.load_marks(turn.partitions.iter().map(|of| of.partition))?;
        if refused.is_empty() {
            return self.take_here(turn);
        }
        let here = turn.partitions.iter().filter(|of| !refused.contains_key(&of.partition));
        let here = Turn { partitions: here.cloned().collect(), confirm: turn.confirm };
        let Outcome { partitions, confirmed } = if here.partitions.is_empty() {
            Outcome { partitions: Vec::new(), confirmed: Confirmed::Nothing }
        } else {
            self.take_here(&here)?
        };
        let mut of_here = partitions.into_iter();
        let outcome = |of: &PartitionTurn<'_>| match refused.remove(&of.partition) {
            Some(error) => Err(error),
            None => of_here.next().unwrap_or_else(|| Err(self.connection.unclear("a turn"))),
        };
        let partitions = turn.partitions.iter().map(outcome).collect();
        Ok(Outcome { partitions, confirmed })
    }

    /// A turn over partitions whose marks are known.
    fn take_here(&mut self, turn: &Turn<'_>) -> Result<Outcome<Error>, Error> {
        if let Some(first) = turn.partitions.first() {
            self.home = first.partition;
        }
        self.ask_appends(turn);
        turn.partitions.iter().for_each(|of| self.ask_checkpoint(of));
        turn.partitions.iter().for_each(|of| self.ask_reads(of));
        let writes = turn.partitions.iter().any(|of| appends(of) || of.checkpoint.is_some());
        let notify = turn.partitions.iter().filter(|of| of.notify).map(|of| of.partition).collect();
        let asked = Asked { confirm: turn.confirm, writes, notify };
        self.ask_confirmation(&asked);
        let wait = if turn.confirm == Confirm::Wait { WAIT_SLICE } else { Duration::ZERO };
        let sent = Instant::now();
        let mut answers = self.connection.exchange_refusals(wait)?.into_iter();
        let appended = self.appended(turn, &mut answers)?;
        let appended = turn.partitions.iter().zip(appended);
        let written: Vec<_> = appended.map(|(of, outcome)| self.compared(of, outcome, &mut answers)).collect();
        let results = turn.partitions.iter().zip(written);
        let partitions: Vec<_> = results.map(|(of, outcome)| self.read_by(of, outcome, &mut answers)).collect();
        if partitions.iter().any(|outcome| outcome.as_ref().is_err_and(Error::doubts_the_map)) {
            self.servers.forget();
        }
        let confirmed = self.conclude(&asked, sent, &mut answers)?;
        Ok(Outcome { partitions, confirmed })
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

    /// All that a turn writes is in one call of a script, during which the server does nothing else.
    fn check_whole(&self, turn: &Turn<'_>) -> Result<(), Error> {
        let (mut records, mut bytes) = (0, 0);
        for of in &turn.partitions {
            let delivered = of.deliver.iter().flat_map(|deliver| &deliver.messages);
            for payload in of.append.into_iter().flatten().chain(delivered) {
                records += 1;
                bytes += payload.len();
            }
        }
        let options = self.options();
        if records > options.turn_records_max || bytes > options.turn_bytes_max {
            return Err(Error::TurnTooLarge { records, bytes });
        }
        Ok(())
    }

    /// One call of the script for all partitions that ask something of it.
    fn ask_appends(&mut self, turn: &Turn<'_>) {
        let parts: Vec<_> = turn.partitions.iter().filter(|of| asks_to_append(of)).collect();
        let parts: Vec<_> =
            parts.into_iter().map(|of| (of, self.keys(of.partition), self.marks(of.partition))).collect();
        if parts.is_empty() {
            return;
        }
        self.connection.script(Script::Append, &[], |command| {
            parts.iter().fold(command, |command, (of, keys, marks)| {
                let known = of.commands.map_or(0, |read| read.after.0);
                command.arg(&keys.input).arg(&keys.log).arg(&keys.skipped).arg(*marks).arg(known);
                command.arg(of.deliver.len());
                for deliver in of.deliver {
                    command.arg(deliver.from.0).arg(deliver.first.0).arg(deliver.messages.len());
                    all(command, &deliver.messages);
                }
                let payloads = of.append.unwrap_or_default();
                all(command.arg(payloads.len()), payloads)
            })
        });
    }

    fn ask_checkpoint(&mut self, of: &PartitionTurn<'_>) {
        if let Some(Checkpoint { sequence, hash }) = of.checkpoint {
            let (keys, marks) = (self.keys(of.partition), self.marks(of.partition));
            let slot = sequence.0 / CHECKPOINT_EVERY % CHECKPOINT_SLOTS;
            self.connection.script(Script::Checkpoint, &[&keys.log, &keys.skipped], |command| {
                command.arg(marks).arg(slot).arg(sequence.0).arg(hash)
            });
        }
    }

    fn ask_reads(&mut self, of: &PartitionTurn<'_>) {
        let keys = self.keys(of.partition);
        if !asks_a_script(of) {
            self.ask(|command| command.arg("HLEN").arg(&keys.skipped));
        }
        if let Some(ReadAfter { after, records_max }) = of.commands {
            let entries = self.known(of.partition).entries_for(records_max);
            self.ask(|command| {
                let command = command.arg("XREAD").arg("COUNT").arg(entries).arg("STREAMS");
                command.arg(&keys.input).arg(format!("{after}-0"))
            });
        }
    }

    /// By partition of the turn, the answer to what [`RedisStore::ask_appends`] asks.
    fn appended(
        &self,
        turn: &Turn<'_>,
        answers: &mut impl Iterator<Item = Value>,
    ) -> Result<Vec<Result<PartitionOutcome, Error>>, Error> {
        let mut of_parts = if turn.partitions.iter().any(asks_to_append) {
            match self.accepted(answers.next(), "an append")? {
                Value::Array(parts) => parts.into_iter(),
                _ => return Err(self.connection.unclear("an append")),
            }
        } else {
            Vec::new().into_iter()
        };
        let outcome = |of: &PartitionTurn<'_>| {
            if !asks_to_append(of) {
                return Ok(PartitionOutcome::default());
            }
            let answer = self.accepted(of_parts.next(), "an append")?;
            self::appended(of, &answer).ok_or_else(|| self.connection.unclear("an append"))
        };
        Ok(turn.partitions.iter().map(outcome).collect())
    }

    /// The answer to what [`RedisStore::ask_checkpoint`] asks.
    fn compared(
        &self,
        of: &PartitionTurn<'_>,
        outcome: Result<PartitionOutcome, Error>,
        answers: &mut impl Iterator<Item = Value>,
    ) -> Result<PartitionOutcome, Error> {
        // What is left of the answers for one that failed is not for the next.
        let checkpoint = of.checkpoint.map(|_| answers.next());
        let mut outcome = outcome?;
        if let Some(answer) = checkpoint {
            outcome.checkpoint = match self.accepted(answer, "a checkpoint")? {
                Value::Nil => None,
                hash => Some(reply::number(&hash).ok_or_else(|| self.connection.unclear("a checkpoint"))?),
            };
        }
        Ok(outcome)
    }

    /// The answers to what [`RedisStore::ask_reads`] asks.
    fn read_by(
        &mut self,
        of: &PartitionTurn<'_>,
        outcome: Result<PartitionOutcome, Error>,
        answers: &mut impl Iterator<Item = Value>,
    ) -> Result<PartitionOutcome, Error> {
        let marks = (!asks_a_script(of)).then(|| answers.next());
        let entries = of.commands.map(|read| (read, answers.next()));
        let mut outcome = outcome?;
        if let Some(answer) = marks {
            let marks = reply::number(&self.accepted(answer, "a number of marks")?);
            if marks.ok_or_else(|| self.connection.unclear("a number of marks"))? != self.marks(of.partition) as u64 {
                return Err(Error::Marked);
            }
        }
        if let Some((read, answer)) = entries {
            let entries = reply::entries_of_xread(self.accepted(answer, "a reading of in")?);
            let entries = entries.ok_or_else(|| self.connection.unclear("a reading of in"))?;
            let asked = self.known(of.partition).entries_for(read.records_max);
            outcome.has_more = entries.len() >= asked;
            outcome.commands = self.commands(of.partition, entries, read.after.next())?;
            if outcome.commands.len() > read.records_max.max(1) {
                outcome.commands.truncate(read.records_max.max(1));
                outcome.has_more = true;
            }
        }
        Ok(outcome)
    }

    /// The commands from `from` on in these entries, with the marks on those that are skipped.
    pub(crate) fn commands(
        &mut self,
        partition: PartitionId,
        entries: Vec<Value>,
        from: Sequence,
    ) -> Result<Vec<StoredCommand>, Error> {
        let (mut commands, mut expected) = (Vec::new(), from);
        let (read, mut in_all) = (entries.len(), 0);
        for entry in entries {
            let unclear = || self.connection.unclear("an entry of in");
            let entry = reply::entry(entry).and_then(|(last, fields)| Some((last, reply::commands(fields)?)));
            let (last, (time, payloads)) = entry.ok_or_else(unclear)?;
            let before = last.0.checked_sub(payloads.len() as u64).ok_or_else(unclear)?;
            let first = Sequence(before).next();
            check_order(commands.is_empty(), expected, first, last)?;
            in_all += payloads.len();
            let places = (first.0..).map(Sequence);
            let stored = places.zip(payloads).map(|(sequence, payload)| StoredCommand { sequence, time, payload });
            commands.extend(stored.skip_while(|command| command.sequence < expected));
            expected = last.next();
        }
        let known = self.known(partition);
        if let Some(per_entry) = in_all.checked_div(read) {
            known.commands_per_entry = per_entry.max(1);
        }
        if let Some(marks) = &known.marks {
            commands.iter_mut().try_for_each(|command| marks.put(command))?;
        }
        Ok(commands)
    }

    /// An answer that is no error.
    pub(crate) fn accepted(&self, answer: Option<Value>, what: &'static str) -> Result<Value, Error> {
        match answer {
            Some(Value::ServerError(error)) => {
                let error = Error::of_server(self.connection.server(), &error);
                if error.doubts_the_map() {
                    self.servers.forget();
                }
                Err(error)
            }
            Some(answer) => Ok(answer),
            None => Err(self.connection.unclear(what)),
        }
    }

    fn marks(&mut self, partition: PartitionId) -> usize {
        self.known(partition).marks.as_ref().map_or(0, Marks::count)
    }
}

/// Whether this calls the script that appends, if only to ask.
fn asks_to_append(of: &PartitionTurn<'_>) -> bool {
    of.append.is_some() || !of.deliver.is_empty()
}

/// Whether this calls a script, each of which compares the marks.
fn asks_a_script(of: &PartitionTurn<'_>) -> bool {
    asks_to_append(of) || of.checkpoint.is_some()
}

/// Whether this may append something.
fn appends(of: &PartitionTurn<'_>) -> bool {
    of.append.is_some_and(|payloads| !payloads.is_empty())
        || of.deliver.iter().any(|deliver| !deliver.messages.is_empty())
}

fn appended(of: &PartitionTurn<'_>, answer: &Value) -> Option<PartitionOutcome> {
    let numbers = reply::list(answer)?;
    let (&[tail, time], delivered) = numbers.split_first_chunk()?;
    let (pairs, []) = delivered.as_chunks() else { return None };
    if pairs.len() != of.deliver.len() {
        return None;
    }
    let number = RequestNumber;
    let delivered = pairs.iter().map(|&[before, last]| Delivered { before: number(before), last: number(last) });
    let mut outcome = PartitionOutcome { delivered: delivered.collect(), ..PartitionOutcome::default() };
    if let Some(payloads) = of.append {
        let before = tail.checked_sub(payloads.len() as u64)?;
        let (first, last) = (Sequence(before).next(), Sequence(tail));
        outcome.appended = Some(Appended { first, last, time: Timestamp(time) });
    }
    Some(outcome)
}

fn all<'a>(command: &'a mut Cmd, payloads: &[&[u8]]) -> &'a mut Cmd {
    payloads.iter().fold(command, |command, payload| command.arg(*payload))
}

/// Entries come without gaps; what is missing before the first was trimmed, and of the first the beginning may not be
/// wanted.
fn check_order(is_first: bool, expected: Sequence, first: Sequence, last: Sequence) -> Result<(), Error> {
    if first == expected || is_first && first < expected && expected <= last {
        Ok(())
    } else if is_first && first > expected {
        Err(Error::Trimmed { asked: expected, first })
    } else {
        Err(Error::Gap { expected, found: first })
    }
}
