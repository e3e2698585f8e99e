//! The barrier: whether everything that is in a partition's streams now is durable.
//!
//! It is a small write, WAIT and ROLE, on one connection. What every online replica has acknowledged survives the
//! master, whichever of them is elected. One case needs care: a replica that is no longer online may be gone because it
//! *was* elected, and for some milliseconds neither the old master nor its other replicas know. Their acknowledgements
//! are worth nothing then. So the loss of a replica is accepted only after it has lasted for
//! [`crate::Options::replica_loss_ms`], which is longer than a replaced master takes to learn of it.

use std::time::Instant;

use redis::Value;

use crossbook_cluster::store::PartitionStore as _;

use crate::replicas::{Replicas, WAIT_SLICE};
use crate::{Error, RedisStore, reply};

impl RedisStore {
    /// Waits until everything that is in the shard now is durable.
    pub(crate) fn await_barrier(&mut self) -> Result<(), Error> {
        self.ask_barrier();
        let mut answers = self.connection.exchange_refusals(WAIT_SLICE)?;
        if self.conclude_barrier(&mut answers)? { Ok(()) } else { Err(self.not_confirmed()) }
    }

    /// Adds a barrier to the request: the small write, WAIT and ROLE.
    pub(crate) fn ask_barrier(&mut self) {
        let barrier = self.home_keys().barrier.clone();
        self.ask(|command| command.arg("SET").arg(barrier).arg(""));
        if self.options().replicas_min > 0 {
            self.ask_replicas();
        }
    }

    fn ask_replicas(&mut self) {
        let Replicas { online, expected, .. } = self.replicas;
        let wanted = online.max(expected).max(self.options().replicas_min);
        let slice = self.options().wait_timeout().min(WAIT_SLICE).as_millis() as u64;
        self.connection.command(|command| command.arg("WAIT").arg(wanted).arg(slice.max(1)));
        self.connection.command(|command| command.arg("ROLE"));
    }

    /// Takes a barrier's answers from the end of `answers`, and asks again until it is decided.
    pub(crate) fn conclude_barrier(&mut self, answers: &mut Vec<Value>) -> Result<bool, Error> {
        if let Some(Value::ServerError(error)) = answers.iter().find(|answer| matches!(answer, Value::ServerError(_))) {
            let error = Error::of_server(self.connection.server(), error);
            if error.doubts_the_map() {
                self.servers.forget();
            }
            return Err(error);
        }
        if self.options().replicas_min == 0 {
            answers.pop();
            return Ok(true);
        }
        let deadline = Instant::now() + self.options().wait_timeout();
        let (mut role, mut acknowledged) = (answers.pop(), answers.pop());
        answers.pop();
        loop {
            let (by, online) = self.replicas_in(acknowledged, role)?;
            let (expected, now) = (self.replicas.expected, Instant::now());
            let durable = self.replicas.saw(by, online, self.servers.options(), now);
            if self.replicas.expected != expected {
                self.servers.note_replicas(self.connection.server(), self.replicas.expected);
            }
            if durable || now >= deadline {
                return Ok(durable);
            }
            self.ask_replicas();
            let [again, role_again] = self.exchange(WAIT_SLICE)?;
            (acknowledged, role) = (Some(again), Some(role_again));
        }
    }

    /// How many replicas acknowledged, and how many are online.
    fn replicas_in(&self, acknowledged: Option<Value>, role: Option<Value>) -> Result<(u32, u32), Error> {
        let acknowledged = acknowledged.as_ref().and_then(reply::number).and_then(|number| u32::try_from(number).ok());
        let acknowledged = acknowledged.ok_or_else(|| self.connection.unclear("WAIT"))?;
        match role.as_ref().and_then(reply::online_replicas) {
            Some(Some(online)) => Ok((acknowledged, online)),
            Some(None) => {
                self.servers.forget();
                Err(self.connection.no_master())
            }
            None => Err(self.connection.unclear("ROLE")),
        }
    }
}
