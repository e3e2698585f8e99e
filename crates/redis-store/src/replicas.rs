//! The replicas of a master, as barriers see them: when their acknowledgements count.

use std::time::{Duration, Instant};

use crate::Options;

/// A barrier asks after the replicas again so often: one that went away must not hold it up for the whole of its time.
pub(crate) const WAIT_SLICE: Duration = Duration::from_millis(50);

/// A master's replicas, as its barriers see them.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Replicas {
    pub(crate) acknowledged: u32,
    pub(crate) online: u32,
    /// As many as there were, until a loss has lasted.
    pub(crate) expected: u32,
    missing_since: Option<Instant>,
}

impl Replicas {
    /// Of a master that is known to have had so many.
    pub(crate) fn expecting(expected: u32) -> Self {
        Self { expected, ..Self::default() }
    }

    /// How many a confirmation waits for.
    pub(crate) fn wanted(&self, options: &Options) -> u32 {
        self.online.max(self.expected).max(options.replicas_min)
    }

    /// Processes how many of how many online replicas have acknowledged some data. Returns whether it is durable.
    pub(crate) fn saw(&mut self, acknowledged: u32, online: u32, options: &Options, now: Instant) -> bool {
        (self.acknowledged, self.online) = (acknowledged, online);
        let missing = online < self.expected;
        let since = *self.missing_since.get_or_insert(now);
        if !missing || now.saturating_duration_since(since) >= options.replica_loss() {
            (self.expected, self.missing_since) = (online, None);
        }
        self.suffice(acknowledged, options)
    }

    /// Whether other data is durable, which so many of the same replicas have acknowledged.
    pub(crate) fn suffice(&self, acknowledged: u32, options: &Options) -> bool {
        self.missing_since.is_none() && acknowledged >= self.online && acknowledged >= options.replicas_min
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
