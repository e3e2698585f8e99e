//! The confirmation that ends a turn: whether what the turn has written and read is durable.
//!
//! The replication stream is a sequence, and ROLE says how many bytes the master has put into it and how many each
//! online replica has acknowledged. So one ROLE after the reads gives the offset that must be acknowledged, and a
//! later one, usually after a WAIT, whether it is. What every online replica has acknowledged survives the master,
//! whichever of them is elected. One case needs care: a replica that is no longer online may be gone because it *was*
//! elected, and for some milliseconds neither the old master nor its other replicas know. Their acknowledgements are
//! worth nothing then. So the loss of a replica is accepted only after it has lasted for
//! [`crate::Options::replica_loss_ms`], which is longer than a replaced master takes to learn of it.
//!
//! WAIT waits for what its own connection has written last (for everything, in some versions). So a turn that writes
//! nothing else writes the small barrier key of one of its partitions, and if the replicas still lack something that
//! others had written when the turn read it, so does the next request.

use std::time::{Duration, Instant};

use crossbook_cluster::store::{Confirm, Confirmed, PartitionStore as _, Turn};
use crossbook_types::PartitionId;
use redis::Value;

use crate::replicas::WAIT_SLICE;
use crate::reply::Replication;
use crate::{Error, RedisStore, reply};

/// The bytes of `REPLCONF GETACK *` in the replication stream. WAIT makes the master put it there, and a replica
/// acknowledges what comes before it; the request itself counts as acknowledged only with the next one, or a second
/// later. So a rest of this size counts as acknowledged: acknowledgements end between commands and transactions, and
/// no write of this crate is so short.
const REQUEST_BYTES: u64 = 37;

/// For so long an offset from the answer to one request can be compared with acknowledgements in the answer to the
/// next, counted from before the first was sent. A server that was replaced and is the master again has other data at
/// the same offset; two failovers take longer than this, each at least half a second for the election.
const OFFSET_LIFE: Duration = Duration::from_secs(1);

/// What a turn has asked the confirmation for.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) confirm: Confirm,
    /// Whether the turn writes something itself.
    pub(crate) writes: bool,
    /// Whose subscribers are notified.
    pub(crate) notify: Vec<PartitionId>,
}

impl Asked {
    fn waits(&self) -> bool {
        self.confirm == Confirm::Wait
    }
}

impl RedisStore {
    /// Waits until everything that is in the shard now is durable.
    pub(crate) fn await_barrier(&mut self) -> Result<(), Error> {
        let outcome = self.turn(&Turn { confirm: Confirm::Wait, ..Turn::default() })?;
        if outcome.confirmed == Confirmed::All { Ok(()) } else { Err(self.not_confirmed()) }
    }

    /// Adds the confirmation and the notification to the request.
    pub(crate) fn ask_confirmation(&mut self, asked: &Asked) {
        if asked.waits() && !asked.writes {
            self.ask_barrier();
        }
        self.ask(|command| command.arg("ROLE"));
        if asked.waits() && self.options().replicas_min > 0 {
            self.ask_replicas();
        }
        self.ask_notification(asked);
    }

    fn ask_barrier(&mut self) {
        let barrier = self.keys(self.home);
        self.ask(|command| command.arg("SET").arg(&barrier.barrier).arg(""));
    }

    fn ask_replicas(&mut self) {
        let wanted = self.replicas.wanted(self.options());
        let slice = self.options().wait_timeout().min(WAIT_SLICE).as_millis() as u64;
        self.ask(|command| command.arg("WAIT").arg(wanted).arg(slice.max(1)));
        self.ask(|command| command.arg("ROLE"));
    }

    fn ask_notification(&mut self, asked: &Asked) {
        for &partition in &asked.notify {
            let (keys, id) = (self.keys(partition), self.servers.id());
            self.ask(|command| command.arg("SPUBLISH").arg(&keys.channel).arg(id));
        }
    }

    /// Takes the answers to the confirmation, whose request was sent at this time, and asks again until it is decided.
    /// What the notification answers does not matter.
    pub(crate) fn conclude(
        &mut self,
        asked: &Asked,
        mut sent: Instant,
        answers: &mut impl Iterator<Item = Value>,
    ) -> Result<Confirmed, Error> {
        let barrier = (asked.waits() && !asked.writes).then(|| self.accepted(answers.next(), "SET"));
        let mut role = self.role(answers.next())?;
        let offset = role.offset;
        let before = self.seen.replace((offset, sent));
        let before = before.filter(|(_, sent)| sent.elapsed() < OFFSET_LIFE).map(|(offset, _)| offset);
        // Without a barrier nobody has waited for the replicas.
        if asked.confirm == Confirm::No || !is_written(barrier)? {
            return Ok(Confirmed::Nothing);
        }
        if self.options().replicas_min == 0 {
            return Ok(Confirmed::All);
        }
        if asked.waits() {
            self.accepted(answers.next(), "WAIT")?;
            role = self.role(answers.next())?;
        }
        let deadline = Instant::now() + self.options().wait_timeout();
        let mut has_written = false;
        loop {
            let confirmed = self.judge(&role, offset, before);
            if confirmed == Confirmed::All || !asked.waits() || Instant::now() >= deadline {
                return Ok(confirmed);
            }
            if !has_written {
                self.ask_barrier();
            }
            self.ask_replicas();
            self.ask_notification(asked);
            let sent_again = Instant::now();
            let mut again = self.connection.exchange_refusals(WAIT_SLICE)?.into_iter();
            let barrier = (!has_written).then(|| self.accepted(again.next(), "SET"));
            if !is_written(barrier)? {
                return Ok(confirmed);
            }
            has_written = true;
            self.accepted(again.next(), "WAIT")?;
            role = self.role(again.next())?;
            if sent.elapsed() >= OFFSET_LIFE {
                return Ok(Confirmed::Nothing);
            }
            sent = sent_again;
            self.seen = Some((offset, sent));
        }
    }

    /// What is confirmed if the replicas have acknowledged this.
    fn judge(&mut self, role: &Replication, offset: u64, before: Option<u64>) -> Confirmed {
        let have =
            |offset| role.acknowledged.iter().filter(|has| has.saturating_add(REQUEST_BYTES) >= offset).count() as u32;
        let (online, expected) = (role.acknowledged.len() as u32, self.replicas.expected);
        let durable = self.replicas.saw(have(offset), online, self.servers.options(), Instant::now());
        if self.replicas.expected != expected {
            self.servers.note_replicas(self.connection.server(), self.replicas.expected);
        }
        if durable {
            return Confirmed::All;
        }
        match before {
            Some(before) if self.replicas.suffice(have(before), self.options()) => Confirmed::Before,
            _ => Confirmed::Nothing,
        }
    }

    fn role(&self, answer: Option<Value>) -> Result<Replication, Error> {
        match reply::role(&self.accepted(answer, "ROLE")?) {
            Some(Some(replication)) => Ok(replication),
            Some(None) => {
                self.servers.forget();
                Err(self.connection.no_master())
            }
            None => Err(self.connection.unclear("ROLE")),
        }
    }
}

/// Whether the barrier was written, if one was asked for: not in a slot that moves away. Another turn does without it.
fn is_written(barrier: Option<Result<Value, Error>>) -> Result<bool, Error> {
    match barrier {
        Some(Err(Error::Elsewhere { .. })) => Ok(false),
        Some(Err(error)) => Err(error),
        Some(Ok(_)) | None => Ok(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Keys;

    #[test]
    fn no_write_is_as_short_as_a_request_for_acknowledgement() {
        let bytes = |words: &[&str]| redis::cmd(words[0]).arg(&words[1..]).get_packed_command().len() as u64;
        assert_eq!(bytes(&["REPLCONF", "GETACK", "*"]), REQUEST_BYTES);
        // The venue with the shortest name. What scripts write is longer, and a transaction if it is several commands.
        let keys = Keys::new("v", PartitionId(0));
        assert!(bytes(&["SET", &keys.barrier, ""]) > REQUEST_BYTES);
        assert!(bytes(&["HSET", &keys.log, "export", ""]) > REQUEST_BYTES);
        assert!(bytes(&["HINCRBY", &Keys::venue("v"), "gateways", "1"]) > REQUEST_BYTES);
    }
}
