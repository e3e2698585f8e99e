//! What a gateway has to append to one partition's log, and what became of it. No I/O and no clock: whoever has both
//! asks what the next round trip should append ([`Appends::round`]) and says what came of it.

use std::time::Duration;

use crossbook_node::request::NotTaken;
use crossbook_protocol::Body;
use crossbook_types::{RequestNumber, Sequence, SourceId, Timestamp};

use super::in_flight::{Due, InFlight, Patience};
use crate::store::{Appended, Bounds};

/// How far the log's time may be ahead of this gateway's clock before a request's deadline counts from the log's time:
/// more is no spread of clocks, but a clock of the store that was set ahead.
const AHEAD_MAX_MICROS: u64 = 1_000_000;

/// The deadline by which the partition judges a request: it compares with the log's time, which never goes back. Where
/// a clock of the store was ahead once, every deadline by the gateway's clock would have passed until clocks catch up.
fn by_the_log(deadline: Timestamp, ahead_micros: u64) -> Timestamp {
    if ahead_micros > AHEAD_MAX_MICROS { Timestamp(deadline.0.saturating_add(ahead_micros)) } else { deadline }
}

/// The requests of one partition between the gateway's queue and the partition.
#[derive(Clone, Debug)]
pub struct Appends {
    in_flight: InFlight,
    patience: Patience,
    /// Where the log ends, as last heard.
    tail: Sequence,
    /// How far the log's time is ahead of the gateway's clock, as last heard.
    ahead_micros: u64,
    /// Requests that were not appended even once.
    fresh: Vec<RequestNumber>,
}

/// What one round trip appends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Round {
    /// The requests, in order.
    pub due: Vec<Due>,
    /// Whether it also looks if requests still stand where they were appended.
    check: bool,
}

/// What becomes of the requests while time goes by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Watched {
    /// Requests that the partition did not find where they were appended; they will be appended again.
    pub repeated: u64,
    /// Whether the partition has not answered for so long that requests for it are refused at once.
    pub is_silent: bool,
}

/// When the requests of a partition are given up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timeouts {
    /// After how long without progress a round looks whether the requests still stand where they were appended.
    pub retry: Duration,
    /// After how long without progress the partition counts as silent.
    pub breaker: Duration,
    /// How long a request of a silent partition is kept.
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
            ahead_micros: 0,
            fresh: Vec::new(),
        }
    }

    /// Takes in a request that is to be appended; `clock` is the gateway's time.
    ///
    /// # Errors
    /// [`NotTaken::Late`] when its deadline has passed; it has no effect then.
    pub fn begin(
        &mut self,
        source: SourceId,
        number: RequestNumber,
        body: &Body,
        deadline: Option<Timestamp>,
        clock: Timestamp,
        now: Duration,
    ) -> Result<(), NotTaken> {
        if deadline.is_some_and(|deadline| clock > deadline) {
            return Err(NotTaken::Late);
        }
        let deadline = deadline.map(|deadline| by_the_log(deadline, self.ahead_micros));
        let mut bytes = Vec::new();
        crossbook_protocol::wire::encode_command(source, number, deadline, body, &mut bytes);
        self.in_flight.begin(number, bytes.into(), now);
        self.fresh.push(number);
        Ok(())
    }

    /// How many requests have not been appended even once.
    #[must_use]
    pub fn fresh(&self) -> usize {
        self.fresh.len()
    }

    /// What the next round trip should append, if there is a reason for one; `asked` when somebody wants to know where
    /// the log ends, or nothing is known of the log yet.
    #[must_use]
    pub fn round(&self, bounds: Bounds, asked: bool, timeouts: &Timeouts, now: Duration) -> Option<Round> {
        let due = self.in_flight.due(bounds.records_max, bounds.bytes_max);
        let check = self.patience.must_check(timeouts.retry, now);
        (!due.is_empty() || asked || check).then_some(Round { due, check })
    }

    /// A round was appended; `clock` is the gateway's time.
    pub fn appended(&mut self, round: &Round, appended: Appended, clock: Timestamp, now: Duration) {
        self.fresh.clear();
        self.ends_at(appended, clock);
        let count = (appended.last.0 + 1).saturating_sub(appended.first.0);
        let placed = usize::try_from(count).unwrap_or(usize::MAX).min(round.due.len());
        self.in_flight.appended(&round.due[..placed], appended.first);
        if round.check {
            self.patience.checked(now);
            self.in_flight.ends_at(appended.last);
        }
    }

    /// Takes note of where the log ends and of its time, which an append without commands brings too.
    pub fn ends_at(&mut self, appended: Appended, clock: Timestamp) {
        self.tail = appended.last;
        self.ahead_micros = appended.time.0.saturating_sub(clock.0);
    }

    /// A round was not appended, because too many commands wait. The requests that are given up: those that were not
    /// appended before.
    pub fn full(&mut self) -> Vec<RequestNumber> {
        let in_flight = &mut self.in_flight;
        self.fresh.drain(..).filter(|&number| in_flight.give_up(number)).collect()
    }

    /// The conversation with the store broke.
    pub fn disconnected(&mut self) {
        self.fresh.clear();
        self.in_flight.disconnected();
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

    /// Where the log ends, as last heard.
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
    const BOUNDS: Bounds = Bounds { records_max: 10, bytes_max: 1 << 20 };

    fn body() -> Body {
        Body::ListAsset(ListAsset { name: AssetName::new_checked("BTC").unwrap(), decimals: 8 })
    }

    fn appended(first: u64, last: u64, time: u64) -> Appended {
        Appended { first: Sequence(first), last: Sequence(last), time: Timestamp(time), published: Sequence(0) }
    }

    /// The deadline that a request is appended with, by a gateway that has heard that the log's time is `log`.
    fn deadline_at(log: u64, deadline: Timestamp) -> Timestamp {
        let mut appends = Appends::new(Sequence(0));
        appends.ends_at(appended(1, 0, log), NOW);
        let number = RequestNumber(1);
        appends.begin(SourceId::FIRST_GATEWAY, number, &body(), Some(deadline), NOW, Duration::ZERO).unwrap();
        let round = appends.round(BOUNDS, false, &TIMEOUTS, Duration::ZERO).unwrap();
        let bytes = &round.due[0].bytes;
        let command = crossbook_protocol::wire::decode_command(Sequence(1), NOW, bytes).unwrap();
        command.deadline.unwrap()
    }

    #[test]
    fn a_deadline_counts_from_the_time_of_a_log_that_is_far_ahead() {
        let deadline = Timestamp(NOW.0 + 5_000_000);
        assert_eq!(deadline_at(NOW.0 + DAY, deadline), Timestamp(deadline.0 + DAY));
        for log in [0, NOW.0 - DAY, NOW.0, NOW.0 + AHEAD_MAX_MICROS] {
            assert_eq!(deadline_at(log, deadline), deadline, "{log}: clocks differ that much");
        }
        let ahead = AHEAD_MAX_MICROS + 1;
        assert_eq!(deadline_at(NOW.0 + ahead, deadline), Timestamp(deadline.0 + ahead));
    }

    #[test]
    fn a_full_log_gives_back_what_is_new_and_keeps_the_rest() {
        let mut appends = Appends::new(Sequence(0));
        let begin = |appends: &mut Appends, number| {
            let number = RequestNumber(number);
            appends.begin(SourceId::FIRST_GATEWAY, number, &body(), None, NOW, Duration::ZERO).unwrap();
        };
        begin(&mut appends, 1);
        let round = appends.round(BOUNDS, false, &TIMEOUTS, Duration::ZERO).unwrap();
        appends.appended(&round, appended(1, 1, NOW.0), NOW, Duration::ZERO);
        appends.disconnected();
        begin(&mut appends, 2);
        assert_eq!(appends.round(BOUNDS, false, &TIMEOUTS, Duration::ZERO).unwrap().due.len(), 2);
        assert_eq!(appends.full(), [RequestNumber(2)], "the first may be in the log");
        assert_eq!(appends.len(), 1);
        let late =
            appends.begin(SourceId::FIRST_GATEWAY, RequestNumber(3), &body(), Some(Timestamp(1)), NOW, Duration::ZERO);
        assert_eq!((late, appends.len()), (Err(NotTaken::Late), 1));
    }
}
