//! The barrier: whether everything that is in a partition's streams now is durable.
//!
//! A small write, WAIT and ROLE, on one connection. What every online replica has acknowledged survives the master,
//! whichever of them is elected. One case is left to think of: a replica that is no longer online may be gone because
//! it *was* elected, and for some milliseconds neither the old master nor its other replicas know. Their
//! acknowledgements are worth nothing then. So a loss of a replica counts only when it has lasted
//! ([`Options::replica_loss_ms`]), which is longer than a master that was replaced takes to hear of it.

use std::time::{Duration, Instant};

use redis::Value;

use crate::{Error, Link, Options, reply};

/// A barrier asks after the replicas again so often: one that went away must not hold it up for the whole of its time.
pub(crate) const WAIT_SLICE: Duration = Duration::from_millis(50);

/// A master's replicas, as its barriers see them.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Replicas {
    acknowledged: u32,
    online: u32,
    /// As many as there were, until a loss has lasted.
    expected: u32,
    missing_since: Option<Instant>,
}

impl Replicas {
    /// Of a master that is known to have had so many.
    pub(crate) fn expecting(expected: u32) -> Self {
        Self { expected, ..Self::default() }
    }

    /// Takes note of what WAIT and ROLE said. Whether what was waited for is durable.
    fn saw(&mut self, acknowledged: u32, online: u32, options: &Options, now: Instant) -> bool {
        (self.acknowledged, self.online) = (acknowledged, online);
        let missing = online < self.expected;
        let since = *self.missing_since.get_or_insert(now);
        if !missing || now.saturating_duration_since(since) >= options.replica_loss() {
            (self.expected, self.missing_since) = (online, None);
        }
        self.missing_since.is_none() && acknowledged >= online && acknowledged >= options.replicas_min
    }
}

impl Link {
    /// Whether everything that is in the streams now is durable: every online replica has acknowledged it, and
    /// [`Options::replicas_min`] at least.
    ///
    /// # Errors
    /// Failures of the server or the connection.
    pub fn barrier(&mut self) -> Result<bool, Error> {
        self.ask_barrier();
        let mut answers = self.connection.exchange(WAIT_SLICE)?;
        self.conclude_barrier(&mut answers)
    }

    /// Waits until everything that is in the streams now is durable.
    ///
    /// # Errors
    /// [`Error::NotDurable`], and failures of the server or the connection.
    pub fn make_durable(&mut self) -> Result<(), Error> {
        if self.barrier()? { Ok(()) } else { Err(self.not_durable()) }
    }

    /// Adds a barrier to the request: the small write, WAIT and ROLE.
    pub(crate) fn ask_barrier(&mut self) {
        self.connection.command(|command| command.arg("SET").arg(self.keys.barrier.as_str()).arg(""));
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

    pub(crate) fn not_durable(&self) -> Error {
        let Replicas { acknowledged, online, .. } = self.replicas;
        let needed = self.options().replicas_min;
        Error::NotDurable { server: self.server().to_owned(), acknowledged, online, needed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_online_replica_must_have_acknowledged_and_the_fewest_that_may() {
        let (options, now) = (Options::default(), Instant::now());
        let saw = |by, online| Replicas::default().saw(by, online, &options, now);
        assert!(saw(1, 1) && saw(2, 2));
        assert!(!saw(0, 0), "there must be one");
        assert!(!saw(1, 2), "the other may be elected");
        assert!(!Replicas::default().saw(1, 1, &Options { replicas_min: 2, ..options.clone() }, now));
    }

    #[test]
    fn the_loss_of_a_replica_counts_when_it_has_lasted() {
        let options = Options { replica_loss_ms: 300, ..Options::default() };
        let begun = Instant::now();
        let at = |ms| begun + Duration::from_millis(ms);
        let mut replicas = Replicas::default();
        assert!(replicas.saw(2, 2, &options, at(0)));
        assert!(!replicas.saw(1, 1, &options, at(10)), "the missing one may be the master now");
        assert!(!replicas.saw(1, 1, &options, at(300)));
        assert!(replicas.saw(1, 1, &options, at(310)));
        assert!(replicas.saw(1, 1, &options, at(311)), "one is what there is now");
        assert!(!replicas.saw(1, 2, &options, at(400)), "it is back, and behind");
        assert!(replicas.saw(2, 2, &options, at(410)));
        assert!(!replicas.saw(1, 1, &options, at(9_000)), "another loss has another time");
        assert!(replicas.saw(2, 2, &options, at(9_010)), "it was but a moment");
        assert!(!Replicas::expecting(2).saw(1, 1, &options, at(0)), "known from another connection");
    }
}
