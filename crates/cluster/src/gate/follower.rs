//! The thread of a lane that reads: it follows what the partition tells, hands the events to the outlet, and takes note
//! of how far this partition and the others have come with each other.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbook_protocol::{Event, Events, Routing};
use crossbook_redis_store::{Entry, Link, Servers};
use crossbook_types::{Sequence, SourceId};

use super::pace::Readings;
use super::{Error, Lane, Shared};
use crossbook_node::outlet::Outlet;

/// How long a reading of `out` waits for an entry.
const FOLLOW_WAIT: Duration = Duration::from_secs(1);

/// The thread that reads what a partition tells, and hands it on.
pub(super) struct Follower<'a, O> {
    pub(super) shared: &'a Shared,
    pub(super) lane: &'a Lane,
    pub(super) outlet: O,
    pub(super) after: Sequence,
    pub(super) events: Events,
    pub(super) readings: Readings,
}

impl<O: Outlet> Follower<'_, O> {
    pub(super) fn run(mut self, servers: &Servers) -> Result<(), Error> {
        let mut tries = 0;
        while !self.shared.is_stopping() {
            match self.session(servers, &mut tries) {
                Err(Error::Stream { partition, source }) if source.is_passing() => {
                    tracing::warn!(partition = partition.0, error = %source, "what the partition tells cannot be read now");
                    self.shared.pause(&mut tries);
                }
                ended => ended?,
            }
        }
        Ok(())
    }

    /// Reads on one connection for as long as it lasts.
    fn session(&mut self, servers: &Servers, tries: &mut u32) -> Result<(), Error> {
        let partition = self.lane.partition;
        let stream = |source| Error::Stream { partition, source };
        let mut link = Link::connect(servers, partition).map_err(stream)?;
        let mut entries: Vec<Entry> = Vec::new();
        // When the last entries came, if there was more to do for the partition.
        let mut busy_since: Option<Instant> = None;
        while !self.shared.is_stopping() {
            let most = self.shared.options.follow_commands_max;
            link.follow(self.after, most, FOLLOW_WAIT, &mut entries).map_err(stream)?;
            *tries = 0;
            if entries.is_empty() {
                continue;
            }
            let now = Instant::now();
            if let Some(since) = busy_since {
                self.readings.busy(entries.len() as u64, now.duration_since(since), &self.lane.pace);
            }
            self.fold(&entries)?;
            busy_since = self.lane.is_busy_behind(self.after).then_some(now);
            if busy_since.is_none() {
                self.readings.idle(&self.lane.pace);
            }
        }
        Ok(())
    }

    fn fold(&mut self, entries: &[Entry]) -> Result<(), Error> {
        let partition = self.lane.partition;
        self.events.clear();
        let (mut sent, mut heard, mut taken) = (Vec::new(), Vec::new(), Vec::new());
        for Entry { sequence, payload } in entries {
            let told = crossbook_protocol::wire::decode_published(payload).map_err(|source| Error::Entry {
                partition,
                sequence: *sequence,
                source,
            })?;
            if partition == Routing::REGISTRY {
                for event in &told.events {
                    if let Event::MarketListed(market) = event {
                        self.shared.learn(market);
                    }
                }
            }
            if told.source == self.shared.source {
                taken.push(told.number);
            } else if told.source < SourceId::FIRST_GATEWAY {
                heard.push((told.source, told.number));
            }
            sent.extend(told.sent);
            self.events.add_command(told.cause, told.events);
            self.after = *sequence;
        }
        {
            let mut flights = self.lane.flights.lock();
            taken.into_iter().for_each(|number| flights.taken(number));
        }
        self.outlet.publish(&mut self.events);
        let lanes = &self.shared.lanes;
        for (source, number) in heard {
            let of = usize::try_from(source.0).unwrap_or(usize::MAX);
            if let Some(heard) = self.lane.heard_of.get(of) {
                heard.fetch_max(number.0, Ordering::AcqRel);
            }
        }
        for (to, number) in sent {
            if let Some(lane) = lanes.get(usize::from(to.0)) {
                lane.sent_by[usize::from(partition.0)].fetch_max(number.0, Ordering::AcqRel);
            }
        }
        // Last: whoever finds the position finds everything else.
        self.lane.told.store(self.after.0, Ordering::Release);
        self.shared.folded.notify_waiters();
        Ok(())
    }
}
