//! The requests that a gateway has to append to one partition's log, and their state. No I/O and no clock: the caller
//! asks what the next round trip should append ([`Appends::round`]) and reports its result.

use std::time::Duration;

use crossbook_node::request::NotAccepted;
use crossbook_protocol::{Body, Deadline};
use crossbook_types::{RequestNumber, Sequence, SourceId, Timestamp};

use super::in_flight::{Due, InFlight, Patience};
use crate::store::{Appended, Bounds};

/// How far the log's time may differ from this gateway's clock before a request's deadline counts by the log's time:
/// more is not the usual spread of clocks, but a clock that was set wrong.
const OFFSET_MAX_MICROS: u64 = 1_000_000;

/// The deadline by the time of a partition's log. The partition compares it with the log's time, so it is moved by as
/// much as the log's time is ahead of the gateway's clock, or behind it. Otherwise every request would be late while
/// the log is ahead, and a request could take effect long after its deadline while the log is behind.
fn by_the_log(deadline: Timestamp, offset_micros: i64) -> Timestamp {
    if offset_micros.unsigned_abs() > OFFSET_MAX_MICROS {
        Timestamp(deadline.0.saturating_add_signed(offset_micros))
    } else {
        deadline
    }
}

/// By how many microseconds the store's time is ahead of the gateway's clock; negative if it is behind. The answer was
/// made between `sent` and `received`, so a slow answer does not count as a difference.
fn offset(store: Timestamp, sent: Timestamp, received: Timestamp) -> i64 {
    let micros = |difference: u64| i64::try_from(difference).unwrap_or(i64::MAX);
    if store > received {
        micros(store.0 - received.0)
    } else if store < sent {
        -micros(sent.0 - store.0)
    } else {
        0
    }
}

/// The requests of one partition between the gateway's queue and the partition.
#[derive(Clone, Debug)]
pub struct Appends {
    in_flight: InFlight,
    patience: Patience,
    /// The last known end of the log.
    tail: Sequence,
    /// By how much the log's time is ahead of the gateway's clock, negative if behind, as last received.
    offset_micros: i64,
    /// Requests that were not appended even once.
    fresh: Vec<RequestNumber>,
}

/// What one round trip appends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Round {
    /// The requests, in order.
    pub due: Vec<Due>,
    /// The gateway's time before it is sent.
    sent: Timestamp,
    /// Whether it also looks if requests still stand where they were appended.
    check: bool,
}

/// The effect of time on the requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Watched {
    /// Requests that the partition did not find where they were appended; they will be appended again.
    pub repeated: u64,
    /// Whether the partition has not answered for so long that requests for it are refused at once.
    pub is_silent: bool,
}

/// The time at which a request is queued, and the clocks that matter for its deadline.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arrival {
    /// The gateway's time, by which a deadline has passed or not.
    pub clock: Timestamp,
    /// The time since the gateway's start.
    pub now: Duration,
    /// [`Appends::offset_micros`] of the partition that owns the request's market, if that is another one.
    pub market_offset_micros: Option<i64>,
}

/// When the requests of a partition are abandoned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timeouts {
    /// How long without progress before a round checks whether the requests are still where they were appended.
    pub retry: Duration,
    /// After how long without progress the partition counts as silent.
    pub breaker: Duration,
    /// How long a request of a silent partition is retained.
    pub keep: Duration,
}

impl Appends {
    /// For a partition whose outputs are folded up to `folded`.
    #[must_use]
    pub fn new(folded: Sequence) -> Self {
        Self {
            in_flight: InFlight::default(),
            patience: Patience::new(folded),
            tail: folded,
            offset_micros: 0,
            fresh: Vec::new(),
        }
    }

    /// Takes in a request that is to be appended. Where account and market belong to different partitions both check
    /// the deadline, each by the time of its own log.
    ///
    /// # Errors
    /// [`NotAccepted::Late`] when its deadline has passed; it has no effect then.
    pub fn begin(
        &mut self,
        source: SourceId,
        number: RequestNumber,
        body: &Body,
        deadline: Option<Timestamp>,
        arrival: Arrival,
    ) -> Result<(), NotAccepted> {
        if deadline.is_some_and(|deadline| arrival.clock > deadline) {
            return Err(NotAccepted::Late);
        }
        let deadline = deadline.map(|deadline| {
            let own = by_the_log(deadline, self.offset_micros);
            let market = arrival.market_offset_micros.map(|offset| by_the_log(deadline, offset));
            Deadline { own, market: market.filter(|&market| market != own) }
        });
        let mut bytes = Vec::new();
        crossbook_protocol::wire::encode_command(source, number, deadline, body, &mut bytes);
        self.in_flight.begin(number, bytes.into(), arrival.now);
        self.fresh.push(number);
        Ok(())
    }

    /// How many requests have not been appended even once.
    #[must_use]
    pub fn fresh(&self) -> usize {
        self.fresh.len()
    }

    /// Whether there is something to append.
    #[must_use]
    pub fn has_due(&self) -> bool {
        self.in_flight.has_due()
    }

    /// Whether a request is in the log, as far as is known, and the partition has not taken it yet.
    #[must_use]
    pub fn is_appended(&self, number: RequestNumber) -> bool {
        self.in_flight.is_appended(number)
    }

    /// Whether it is time to look if requests are still where they were appended.
    #[must_use]
    pub fn must_check(&self, timeouts: &Timeouts, now: Duration) -> bool {
        self.patience.must_check(timeouts.retry, now)
    }

    /// What the next round trip should append, if there is a reason for one; `asked` when a caller wants to know where
    /// the log ends, or nothing is known of the log yet. `clock` is the gateway's time.
    #[must_use]
    pub fn round(
        &self,
        bounds: Bounds,
        asked: bool,
        timeouts: &Timeouts,
        clock: Timestamp,
        now: Duration,
    ) -> Option<Round> {
        let due = self.in_flight.due(bounds.records_max, bounds.bytes_max);
        let check = self.patience.must_check(timeouts.retry, now);
        (!due.is_empty() || asked || check).then_some(Round { due, sent: clock, check })
    }

    /// A round was appended; `clock` is the gateway's time.
    pub fn appended(&mut self, round: &Round, appended: Appended, clock: Timestamp, now: Duration) {
        self.fresh.clear();
        self.ends_at(round, appended, clock);
        let count = (appended.last.0 + 1).saturating_sub(appended.first.0);
        let placed = usize::try_from(count).unwrap_or(usize::MAX).min(round.due.len());
        self.in_flight.appended(&round.due[..placed], appended.first);
        if round.check {
            self.patience.checked(now);
            self.in_flight.ends_at(appended.last);
        }
    }

    /// Records where the log ends and its time, which the store also answers to an append without commands. `clock` is
    /// the gateway's time.
    pub fn ends_at(&mut self, round: &Round, appended: Appended, clock: Timestamp) {
        self.tail = appended.last;
        self.offset_micros = offset(appended.time, round.sent, clock);
    }

    /// By how many microseconds the log's time was ahead of the gateway's clock at the last answer; negative if it was
    /// behind.
    #[must_use]
    pub fn offset_micros(&self) -> i64 {
        self.offset_micros
    }

    /// The conversation with the store broke.
    pub fn disconnected(&mut self) {
        self.fresh.clear();
        self.in_flight.disconnected();
    }

    /// The partition is closed: nothing is appended any more. Returns the requests that have no effect, because they
    /// were not appended even once. Others that were due may be in the log from before; then it answers them.
    pub fn closed(&mut self) -> Vec<RequestNumber> {
        self.in_flight.give_up_due();
        std::mem::take(&mut self.fresh)
    }

    /// The partition has taken this request.
    pub fn taken(&mut self, number: RequestNumber) {
        self.in_flight.taken(number);
    }

    /// Looks after the requests. The partition's outputs are folded up to `folded`.
    pub fn watch(&mut self, folded: Sequence, is_connected: bool, timeouts: &Timeouts, now: Duration) -> Watched {
        let repeated = self.in_flight.folded(folded);
        let waiting = !self.in_flight.is_empty() || self.tail > folded || !is_connected;
        self.patience.look(folded, waiting, now);
        let is_silent = self.patience.is_over(timeouts.breaker, now);
        if is_silent {
            self.in_flight.give_up_old(timeouts.keep, now);
        }
        Watched { repeated, is_silent }
    }

    /// The last known end of the log.
    #[must_use]
    pub fn tail(&self) -> Sequence {
        self.tail
    }

    /// How many requests there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.in_flight.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.in_flight.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use crossbook_protocol::command::ListAsset;
    use crossbook_types::AssetName;

    use super::*;

    const DAY: u64 = 86_400_000_000;
    const NOW: Timestamp = Timestamp(5 * DAY);
    const TIMEOUTS: Timeouts =
        Timeouts { retry: Duration::from_secs(1), breaker: Duration::from_secs(2), keep: Duration::from_secs(9) };
    const BOUNDS: Bounds =
        Bounds { records_max: 10, bytes_max: 1 << 20, turn_records_max: 10, turn_bytes_max: 1 << 20 };

    fn body() -> Body {
        Body::ListAsset(ListAsset { name: AssetName::new_checked("BTC").unwrap(), decimals: 8 })
    }

    fn appended(first: u64, last: u64, time: u64) -> Appended {
        Appended { first: Sequence(first), last: Sequence(last), time: Timestamp(time) }
    }

    const ARRIVAL: Arrival = Arrival { clock: NOW, now: Duration::ZERO, market_offset_micros: None };

    /// The deadline that a request is appended with, by a gateway that has last read `log` as the log's time.
    fn deadline_at(log: u64, deadline: Timestamp) -> Timestamp {
        let Deadline { own, market } = deadline_between(log, None, deadline);
        assert_eq!(market, None);
        own
    }

    fn deadline_between(log: u64, market_offset_micros: Option<i64>, deadline: Timestamp) -> Deadline {
        let mut appends = Appends::new(Sequence(0));
        let asked = appends.round(BOUNDS, true, &TIMEOUTS, NOW, Duration::ZERO).unwrap();
        appends.ends_at(&asked, appended(1, 0, log), NOW);
        let (number, arrival) = (RequestNumber(1), Arrival { market_offset_micros, ..ARRIVAL });
        appends.begin(SourceId::FIRST_GATEWAY, number, &body(), Some(deadline), arrival).unwrap();
        let round = appends.round(BOUNDS, false, &TIMEOUTS, NOW, Duration::ZERO).unwrap();
        let bytes = &round.due[0].bytes;
        let command = crossbook_protocol::wire::decode_command(Sequence(1), NOW, bytes).unwrap();
        command.deadline.unwrap()
    }

    #[test]
    fn a_deadline_counts_by_the_time_of_a_log_that_is_far_ahead_or_behind() {
        let deadline = Timestamp(NOW.0 + 5_000_000);
        assert_eq!(deadline_at(NOW.0 + DAY, deadline), Timestamp(deadline.0 + DAY));
        assert_eq!(deadline_at(NOW.0 - DAY, deadline), Timestamp(deadline.0 - DAY));
        for log in [NOW.0 - OFFSET_MAX_MICROS, NOW.0, NOW.0 + OFFSET_MAX_MICROS] {
            assert_eq!(deadline_at(log, deadline), deadline, "{log}: clocks differ that much");
        }
        let offset = OFFSET_MAX_MICROS + 1;
        assert_eq!(deadline_at(NOW.0 + offset, deadline), Timestamp(deadline.0 + offset));
        assert_eq!(deadline_at(NOW.0 - offset, deadline), Timestamp(deadline.0 - offset));
    }

    #[test]
    fn a_deadline_counts_by_each_log_of_its_own() {
        const OFFSET: i64 = 86_400_000_000;
        let deadline = Timestamp(NOW.0 + 5_000_000);
        let (later, earlier) = (Timestamp(deadline.0 + DAY), Timestamp(deadline.0 - DAY));
        for (log, market_offset, own, market) in [
            (NOW.0, OFFSET, deadline, Some(later)),
            (NOW.0, -OFFSET, deadline, Some(earlier)),
            (NOW.0 - DAY, 0, earlier, Some(deadline)),
            (NOW.0 + DAY, 0, later, Some(deadline)),
            (NOW.0 + DAY, -OFFSET, later, Some(earlier)),
            (NOW.0 - DAY, -OFFSET, earlier, None),
            (NOW.0, 1_000_000, deadline, None),
        ] {
            assert_eq!(deadline_between(log, Some(market_offset), deadline), Deadline { own, market });
        }
    }

    #[test]
    fn a_slow_answer_is_no_difference_of_clocks() {
        let (sent, received) = (NOW, Timestamp(NOW.0 + 30_000_000));
        assert_eq!(offset(NOW, sent, received), 0);
        assert_eq!(offset(received, sent, received), 0);
        assert_eq!(offset(Timestamp(received.0 + 7), sent, received), 7);
        assert_eq!(offset(Timestamp(sent.0 - 7), sent, received), -7);
        assert_eq!(offset(Timestamp(u64::MAX), Timestamp(0), Timestamp(0)), i64::MAX);
    }

    #[test]
    fn a_closed_partition_refuses_what_was_never_appended_and_nothing_else() {
        let mut appends = Appends::new(Sequence(0));
        let begin = |appends: &mut Appends, number| {
            let number = RequestNumber(number);
            appends.begin(SourceId::FIRST_GATEWAY, number, &body(), None, ARRIVAL).unwrap();
        };
        for number in [1, 2] {
            begin(&mut appends, number);
            let round = appends.round(BOUNDS, false, &TIMEOUTS, NOW, Duration::ZERO).unwrap();
            appends.appended(&round, appended(number, number, NOW.0), NOW, Duration::ZERO);
            if number == 1 {
                // Whether it was appended is not known any more.
                appends.disconnected();
            }
        }
        begin(&mut appends, 3);
        assert_eq!(appends.closed(), [RequestNumber(3)]);
        assert_eq!(appends.round(BOUNDS, false, &TIMEOUTS, NOW, Duration::ZERO), None, "nothing is tried again");
        appends.disconnected();
        begin(&mut appends, 4);
        assert_eq!((appends.closed(), appends.len()), (vec![RequestNumber(4)], 0));
    }

    #[test]
    fn what_is_appended_is_due_again_when_the_connection_broke() {
        let mut appends = Appends::new(Sequence(0));
        let begin = |appends: &mut Appends, number| {
            let number = RequestNumber(number);
            appends.begin(SourceId::FIRST_GATEWAY, number, &body(), None, ARRIVAL).unwrap();
        };
        begin(&mut appends, 1);
        let round = appends.round(BOUNDS, false, &TIMEOUTS, NOW, Duration::ZERO).unwrap();
        appends.appended(&round, appended(1, 1, NOW.0), NOW, Duration::ZERO);
        assert_eq!((appends.fresh(), appends.round(BOUNDS, false, &TIMEOUTS, NOW, Duration::ZERO)), (0, None));
        appends.disconnected();
        begin(&mut appends, 2);
        assert_eq!(appends.round(BOUNDS, false, &TIMEOUTS, NOW, Duration::ZERO).unwrap().due.len(), 2);
        let late = appends.begin(SourceId::FIRST_GATEWAY, RequestNumber(3), &body(), Some(Timestamp(1)), ARRIVAL);
        assert_eq!((late, appends.len()), (Err(NotAccepted::Late), 2));
    }
}
