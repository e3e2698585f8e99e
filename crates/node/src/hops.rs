//! Where traced requests have been, and when. The threads that a request passes note it here, and the gateway takes it
//! from here with the answer, for a trace. Plain data: who exports traces is not known here.
//!
//! Nearly always nothing is traced. Each thread finds that out by one look at a number ([`Hops::are_wanted`]), once for
//! a batch or a command, and does nothing else then.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crossbook_types::{PartitionId, RequestNumber, Sequence};
use parking_lot::Mutex;

/// The most hops that are kept of one request.
pub const HOPS_MAX: usize = 16;

/// What happens to a request in a partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// It waits for the next batch or, in a cluster, for the next turn with its shard.
    Queue,
    /// It is written to the log. In a cluster: appended to it, and confirmed by the replicas if the same turn could say
    /// so.
    Append,
    /// It is in the log, and a later turn says that the replicas have it. In a cluster only.
    Confirm,
    /// What it has caused in another partition comes into this one's log and is confirmed there. In a cluster only.
    Deliver,
    /// It is applied to the partition, behind those before it in its batch or turn.
    Apply,
    /// It is applied, and waits for the disk. In a venue of one process only.
    Sync,
}

/// One step of the way of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hop {
    /// What happened.
    pub stage: Stage,
    /// The partition that it happened in.
    pub partition: PartitionId,
    /// The place of the command in the partition's log.
    pub sequence: Sequence,
    /// When it began.
    pub began: Instant,
    /// When it was done.
    pub ended: Instant,
}

/// A request whose way is noted.
#[derive(Debug)]
struct Way {
    since: Instant,
    hops: Vec<Hop>,
}

/// The requests whose way is noted now, by number. Those that send them bound how many there are.
#[derive(Debug, Default)]
pub struct Hops {
    wanted: AtomicUsize,
    ways: Mutex<HashMap<RequestNumber, Way>>,
}

impl Hops {
    /// Whether there is any request whose way is noted. To be asked before anything is prepared for it.
    #[inline]
    #[must_use]
    pub fn are_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed) != 0
    }

    /// From now on, until the result is dropped, the way of this request is noted. It is about to be sent.
    pub fn follow(self: &Arc<Self>, number: RequestNumber) -> Followed {
        let way = Way { since: Instant::now(), hops: Vec::with_capacity(HOPS_MAX) };
        if self.ways.lock().insert(number, way).is_none() {
            self.wanted.fetch_add(1, Ordering::Relaxed);
        }
        Followed { hops: Arc::clone(self), number }
    }

    /// Whether the way of this request is noted.
    #[must_use]
    pub fn want(&self, number: RequestNumber) -> bool {
        self.are_wanted() && self.ways.lock().contains_key(&number)
    }

    /// Notes a part of the way of a request, if it is wanted. `part` gets the time up to which its way is known, which
    /// is when it was sent if nothing is, and gives what comes next.
    pub fn note<const N: usize>(&self, number: RequestNumber, part: impl FnOnce(Instant) -> [Option<Hop>; N]) {
        let mut ways = self.ways.lock();
        let Some(way) = ways.get_mut(&number) else { return };
        let known = way.hops.last().map_or(way.since, |hop| hop.ended);
        let room = HOPS_MAX.saturating_sub(way.hops.len());
        way.hops.extend(part(known).into_iter().flatten().take(room));
    }
}

/// A request whose way is noted, until this is dropped: also when nobody waits for the answer any more.
#[derive(Debug)]
pub struct Followed {
    hops: Arc<Hops>,
    number: RequestNumber,
}

impl Followed {
    /// The way so far, in order.
    #[must_use]
    pub fn take(&self) -> Vec<Hop> {
        self.hops.ways.lock().get_mut(&self.number).map(|way| std::mem::take(&mut way.hops)).unwrap_or_default()
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        if self.hops.ways.lock().remove(&self.number).is_some() {
            self.hops.wanted.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBER: RequestNumber = RequestNumber(7);

    fn hop(began: Instant) -> Hop {
        let (partition, sequence) = (PartitionId(0), Sequence(1));
        Hop { stage: Stage::Append, partition, sequence, began, ended: Instant::now() }
    }

    #[test]
    fn a_way_is_noted_for_as_long_as_somebody_wants_it() {
        let hops = Arc::new(Hops::default());
        hops.note(NUMBER, |_| -> [Option<Hop>; 1] { panic!("nobody wants it") });
        assert!(!hops.are_wanted());
        let followed = hops.follow(NUMBER);
        assert!(hops.want(NUMBER) && !hops.want(RequestNumber(8)));
        hops.note(NUMBER, |sent| [Some(hop(sent)), None]);
        hops.note(NUMBER, |known| [Some(hop(known))]);
        let way = followed.take();
        assert_eq!(way.len(), 2);
        assert_eq!(way[0].ended, way[1].began);
        drop(followed);
        assert!(!hops.are_wanted() && !hops.want(NUMBER));
    }

    #[test]
    fn a_way_has_a_bound() {
        let hops = Arc::new(Hops::default());
        let followed = hops.follow(NUMBER);
        for _ in 0..HOPS_MAX {
            hops.note(NUMBER, |known| [Some(hop(known)), Some(hop(known))]);
        }
        assert_eq!(followed.take().len(), HOPS_MAX);
    }
}
