//! The whole venue at one moment, put together from snapshots and logs beside whoever trades.
//!
//! Each partition is restored to a place of its log that is told, and so durable. The places need not be of the same instant, only go
//! together: no partition may have heard what another has not said yet. Where one has, the other is taken a little further.
//!
//! What is said and not heard is then known message by message. A partition's replay begins at a snapshot and makes only later messages
//! again; but those before are in the log of whoever they are for, which is taken further until it has heard them.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crossbook_engine::peer::{Outgoing, PeerMessage, Settlement};
use crossbook_engine::{Cause, Event, Events, Partition};
use crossbook_log::streams::StreamReader;
use crossbook_log::{Reader as _, Until};
use crossbook_node::recovery::{self, Follower, Recovered};
use crossbook_node::snapshot::UpTo;
use crossbook_store::verify::Witness;
use crossbook_types::{Amount, AssetId, PartitionId, RequestNumber, Sequence};
use crossbook_views::{State, Views};

use super::{Error, Site};
use crate::folded::Folded;

/// The last messages to one partition that are kept; the others are waited for until they are heard.
const MESSAGES_MAX: usize = 65_536;
/// How often, and how many times, it looks whether a partition has come further.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const LOOKS: u32 = 100;

/// What follows a partition: its views, what its trades add up to, and the messages that it made.
pub struct Beside {
    /// Its views.
    pub views: Folded,
    /// What its events add up to.
    pub witness: Witness,
    /// Of events up to here, nothing is added up.
    pub complete_from: Sequence,
    /// By partition, the last messages to it: their numbers, and what they settle.
    made: BTreeMap<PartitionId, VecDeque<(RequestNumber, Option<Settlement>)>>,
}

impl Follower for Beside {
    type Saved = State;

    fn sent(&mut self, _: Cause, Outgoing { to, number, message }: Outgoing) {
        let made = self.made.entry(to).or_default();
        if made.len() == MESSAGES_MAX {
            made.pop_front();
        }
        made.push_back(match message {
            PeerMessage::Settle(settlement) => (number, Some(settlement)),
            _ => (number, None),
        });
    }

    fn follow(&mut self, cause: Cause, events: &[Event]) {
        self.views.follow(cause, events);
        self.witness.follow(cause, events, self.complete_from);
    }

    fn save(&self) -> State {
        self.views.save()
    }

    fn load(&mut self, saved: State) -> Result<(), String> {
        self.views.load(saved)
    }
}

/// A partition at a place of its log.
pub struct Part {
    /// The partition.
    pub state: Partition,
    /// What followed it.
    pub beside: Beside,
    /// The snapshot that it was restored from; 0 if none was.
    pub snapshot: Sequence,
}

impl Part {
    /// Restores a partition to a place, which must be durable, from the last snapshot before `snapshots_up_to`.
    ///
    /// # Errors
    /// When neither snapshots nor the log lead there.
    pub fn restore(
        site: &Site,
        partition: PartitionId,
        place: Sequence,
        snapshots_up_to: Sequence,
        complete_from: Sequence,
    ) -> Result<Self, Error> {
        let beside = Beside {
            views: Folded(Views::new(site.limits.clone())),
            witness: Witness::default(),
            complete_from,
            made: BTreeMap::new(),
        };
        let snapshots = site.snapshots(partition)?;
        let recovered = recovery::recover(
            &site.which(partition),
            &UpTo(&snapshots, snapshots_up_to),
            |from| StreamReader::open(&site.servers, partition, from),
            Until::Durable(place),
            beside,
            |_| (),
        );
        let Recovered { partition: state, follower, snapshot, .. } =
            recovered.map_err(|source| Error::Recovery { partition, source })?;
        Ok(Self { state, beside: follower, snapshot: snapshot.unwrap_or_default() })
    }

    /// The last message to a partition that is not known any more.
    fn forgotten(&self, to: PartitionId) -> RequestNumber {
        let first = self.beside.made.get(&to).and_then(|made| made.front());
        first.map_or_else(|| self.state.sent(to), |&(number, _)| RequestNumber(number.0.saturating_sub(1)))
    }

    /// Takes it further until something holds. Whether it came to hold before the partition stood still.
    fn advance_until(&mut self, site: &Site, holds: impl Fn(&Partition) -> bool) -> Result<bool, Error> {
        let partition = self.state.id();
        let failed = |source: recovery::Error| Error::Recovery { partition, source };
        let mut reader = StreamReader::open(&site.servers, partition, self.state.sequence().next());
        let mut events = Events::new();
        for _ in 0..LOOKS {
            let told = site.told(partition)?;
            while !holds(&self.state) {
                let record = reader.next(Until::Durable(told)).map_err(|error| failed(error.into()))?;
                let Some(record) = record else { break };
                let (sequence, time) = (record.sequence, record.time);
                let command = crossbook_wire::decode_command(sequence, time, record.payload)
                    .map_err(|source| failed(recovery::Error::Command { sequence, source }))?;
                self.state.apply(&command, &mut events);
                let cause = Cause { sequence, time };
                for message in self.state.drain_outgoing() {
                    self.beside.sent(cause, message);
                }
                for (cause, events) in events.iter() {
                    self.beside.follow(cause, events);
                }
                events.clear();
            }
            if holds(&self.state) {
                return Ok(true);
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(false)
    }
}

/// All partitions, by number, at places that go together.
pub struct Moment(pub Vec<Part>);

impl Moment {
    /// The venue as it is about now.
    ///
    /// # Errors
    /// When a partition cannot be restored, or does not go on though it should.
    pub fn now(site: &Site) -> Result<Self, Error> {
        let one = |partition| {
            let told = site.told(partition)?;
            Part::restore(site, partition, told, told, told)
        };
        let parts: Vec<Part> = site.routing.all().map(one).collect::<Result<_, Error>>()?;
        let mut moment = Self(parts);
        while moment.bring_together(site)? {}
        Ok(moment)
    }

    /// Takes partitions further that are behind what others know of them, or have not heard what is no longer known otherwise. Whether
    /// there was one. Each goes no further than it must, so this comes to an end however fast trading goes on.
    fn bring_together(&mut self, site: &Site) -> Result<bool, Error> {
        let mut moved = false;
        for from in site.routing.all() {
            for to in site.routing.all().filter(|&to| to != from) {
                let (sender, receiver) = (usize::from(from.0), usize::from(to.0));
                let heard = self.0[receiver].state.heard(from);
                if self.0[sender].state.sent(to) < heard {
                    moved = true;
                    if !self.0[sender].advance_until(site, |state| state.sent(to) >= heard)? {
                        return Err(Error::StandsStill(from));
                    }
                }
                let forgotten = self.0[sender].forgotten(to);
                if heard < forgotten {
                    moved = true;
                    if !self.0[receiver].advance_until(site, |state| state.heard(from) >= forgotten)? {
                        return Err(Error::StandsStill(to));
                    }
                }
            }
        }
        Ok(moved)
    }

    /// How many messages were said and not heard.
    #[must_use]
    pub fn messages(&self) -> u64 {
        let pairs = self.0.iter().flat_map(|from| self.0.iter().map(move |to| (from, to)));
        pairs.map(|(from, to)| from.state.sent(to.state.id()).0.saturating_sub(to.state.heard(from.state.id()).0)).sum()
    }

    /// What the messages that were said and not heard will move through the clearing accounts.
    #[must_use]
    pub fn to_settle(&self) -> BTreeMap<AssetId, Amount> {
        let mut sums = BTreeMap::<AssetId, Amount>::new();
        for to in &self.0 {
            for from in &self.0 {
                let heard = to.state.heard(from.state.id());
                let made = from.beside.made.get(&to.state.id()).into_iter().flatten();
                let waiting = made.filter(|(number, _)| *number > heard).filter_map(|(_, settles)| *settles);
                for Settlement { pay_asset, pay, receive_asset, receive, .. } in waiting {
                    let paid = sums.entry(pay_asset).or_default();
                    *paid = paid.plus(pay);
                    let received = sums.entry(receive_asset).or_default();
                    *received = received.minus(receive);
                }
            }
        }
        sums
    }
}
