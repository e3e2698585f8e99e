//! Consistent cuts of a venue of three partitions while orders and money are in flight between them: the partitions are
//! at different positions, messages are in flight, snapshots are taken and logs trimmed meanwhile. Per asset, the sum
//! over all partitions is zero, and each clearing account equals what the messages in flight will move.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};

use crate::venue::{setup, traffic};
use crossbook_cluster::cut::{ConsistentCut, CutSource, Error, READS_MAX};
use crossbook_engine::{Partition, WorkBudget};
use crossbook_log::{Error as LogError, Reader, Record, Until};
use crossbook_node::recovery::{self, Which};
use crossbook_node::snapshot::{self, Folder, Saved};
use crossbook_protocol::peer::{Outgoing, PeerMessage};
use crossbook_protocol::{Body, Command, Events, Routing};
use crossbook_types::{
    AccountId, Amount, AssetId, Decimal, FeeRate, Fees, PartitionId, RequestNumber, Sequence, SourceId, SymbolName,
    Timestamp,
};
use tempfile::TempDir;

/// The generator splitmix64.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ (z >> 31)) % bound as u64).unwrap()
    }
}

/// A partition, its log, and what the others have not received of it.
struct Seat {
    partition: Partition,
    /// The records that are not trimmed, behind those that are.
    log: VecDeque<(Timestamp, Vec<u8>)>,
    trimmed: u64,
    outbox: BTreeMap<PartitionId, VecDeque<Outgoing>>,
    folder: TempDir,
}

struct Venue {
    routing: Routing,
    seats: Vec<Seat>,
    /// By partition, what it will be said to have told, before the truth.
    stale: RefCell<BTreeMap<PartitionId, VecDeque<Sequence>>>,
    /// How many times a snapshot is gone when it is read.
    vanishing: RefCell<u32>,
}

/// Some records, as they were when the reading began.
struct Records {
    next: u64,
    trimmed: u64,
    log: VecDeque<(Timestamp, Vec<u8>)>,
}

impl Reader for Records {
    fn next(&mut self, until: Until) -> Result<Option<Record<'_>>, LogError> {
        let sequence = Sequence(self.next);
        if matches!(until, Until::Durable(end) if sequence > end) {
            return Ok(None);
        }
        let Some(at) = self.next.checked_sub(self.trimmed + 1) else {
            return Err(LogError::Trimmed { asked: sequence, first: Sequence(self.trimmed + 1) });
        };
        let Some((time, payload)) = self.log.get(usize::try_from(at).unwrap()) else { return Ok(None) };
        self.next += 1;
        Ok(Some(Record { sequence, time: *time, payload }))
    }
}

/// Snapshots in a folder, one of which may be removed between two looks.
struct Shelf {
    folder: Folder,
    vanishes: bool,
}

impl Saved for Shelf {
    fn list(&self) -> Result<Vec<Sequence>, snapshot::Error> {
        self.folder.list()
    }

    fn load(&self, sequence: Sequence) -> Result<Option<Vec<u8>>, snapshot::Error> {
        // There is none of that number, so it is not found.
        self.folder.load(if self.vanishes { Sequence(u64::MAX) } else { sequence })
    }
}

impl CutSource for Venue {
    type Reader = Records;
    type Snapshots = Shelf;

    fn which(&self, partition: PartitionId) -> Which {
        Which { partition, routing: self.routing.clone(), hash_seed: 9, work: WorkBudget::RULES }
    }

    fn confirmed_end(&self, partition: PartitionId) -> Result<Sequence, Error> {
        let stale = self.stale.borrow_mut().get_mut(&partition).and_then(VecDeque::pop_front);
        Ok(stale.unwrap_or_else(|| self.seat(partition).partition.sequence()))
    }

    fn snapshots(&self, partition: PartitionId) -> Result<Shelf, Error> {
        let left = *self.vanishing.borrow();
        *self.vanishing.borrow_mut() = left.saturating_sub(1);
        Ok(Shelf { folder: Folder::at(self.seat(partition).folder.path()), vanishes: left > 0 })
    }

    fn log(&self, partition: PartitionId, from: Sequence) -> Records {
        let seat = self.seat(partition);
        Records { next: from.0, trimmed: seat.trimmed, log: seat.log.clone() }
    }
}

impl Venue {
    /// One whose market is in another partition than either account, with fees, and nothing under way.
    fn new() -> Self {
        let spread = Routing::new_checked(3, BTreeMap::new()).unwrap();
        let homes = [crate::venue::ALICE, crate::venue::BOB].map(|account| spread.of_account(account));
        let market = spread.all().find(|id| !homes.contains(id)).unwrap();
        let names = BTreeMap::from([(SymbolName::new_checked("BTCUSDT").unwrap(), market)]);
        let routing = spread.with_names(names).unwrap();
        let seat = |id| Seat {
            partition: Partition::new(id, routing.clone(), 1),
            log: VecDeque::new(),
            trimmed: 0,
            outbox: BTreeMap::new(),
            folder: tempfile::tempdir().unwrap(),
        };
        let seats = routing.all().map(seat).collect();
        let mut venue = Self { routing, seats, stale: RefCell::default(), vanishing: RefCell::default() };
        for (number, mut body) in (1..).zip(setup()) {
            if let Body::ListMarket(list) = &mut body {
                let rate = |text| FeeRate::from_decimal(Decimal::parse(text).unwrap()).unwrap();
                list.description.fees = Fees { maker: rate("0.001"), taker: rate("0.002") };
            }
            venue.submit(number, body);
            while venue.deliver(&mut Draw(0)) {}
        }
        venue
    }

    fn seat(&self, partition: PartitionId) -> &Seat {
        &self.seats[usize::from(partition.0)]
    }

    fn submit(&mut self, number: u64, body: Body) {
        self.apply(self.routing.home(&body), SourceId::FIRST_GATEWAY, RequestNumber(number), body);
    }

    fn apply(&mut self, to: PartitionId, source: SourceId, number: RequestNumber, body: Body) {
        let seat = &mut self.seats[usize::from(to.0)];
        let (sequence, time) = (seat.partition.sequence().next(), Timestamp(1_000 + seat.partition.sequence().0));
        let mut payload = Vec::new();
        crossbook_protocol::wire::encode_command(source, number, None, &body, &mut payload);
        seat.log.push_back((time, payload));
        seat.partition.apply(&Command::new(sequence, time, source, number, body), &mut Events::new());
        for message in seat.partition.drain_outgoing() {
            seat.outbox.entry(message.to).or_default().push_back(message);
        }
    }

    /// Delivers the next message of some partition to some other. Whether there was any.
    fn deliver(&mut self, draw: &mut Draw) -> bool {
        let waiting: Vec<(PartitionId, PartitionId)> = self
            .seats
            .iter()
            .flat_map(|seat| seat.outbox.iter().map(|(&to, queue)| (seat.partition.id(), to, queue)))
            .filter(|(_, _, queue)| !queue.is_empty())
            .map(|(from, to, _)| (from, to))
            .collect();
        if waiting.is_empty() {
            return false;
        }
        let (from, to) = waiting[draw.below(waiting.len())];
        let queue = self.seats[usize::from(from.0)].outbox.get_mut(&to).unwrap();
        let Outgoing { number, message, .. } = queue.pop_front().unwrap();
        self.apply(to, SourceId::partition(from), number, Body::Peer(message));
        true
    }

    fn settlements_waiting(&self) -> usize {
        let waiting = self.seats.iter().flat_map(|seat| seat.outbox.values().flatten());
        waiting.filter(|outgoing| matches!(outgoing.message, PeerMessage::Settle(_))).count()
    }

    /// Takes a snapshot as workers do: only of what all others have received. What two stand for is trimmed.
    fn take_snapshot(&mut self, partition: PartitionId) {
        let seat = &mut self.seats[usize::from(partition.0)];
        if seat.outbox.values().any(|queue| !queue.is_empty()) {
            return;
        }
        let mut folder = Folder::open(seat.folder.path()).unwrap();
        recovery::save(&mut folder, seat.partition.state(), ()).unwrap();
        let kept = folder.list().unwrap();
        if let [_, oldest] = kept[..] {
            while seat.trimmed < oldest.0 {
                seat.log.pop_front();
                seat.trimmed += 1;
            }
        }
    }

    fn cut(&self) -> Result<ConsistentCut<()>, Error> {
        ConsistentCut::now(self, &self.routing, || ())
    }
}

/// Holds a cut to what must be true of it. What stands in the clearing accounts, by asset.
fn add_up(cut: &ConsistentCut<()>) -> BTreeMap<AssetId, Amount> {
    let (mut sums, mut clearing) = (BTreeMap::<_, Amount>::new(), BTreeMap::<_, Amount>::new());
    for part in &cut.0 {
        let ledger = part.state.ledger();
        for asset in part.state.registry().assets() {
            let sum = sums.entry(asset.id).or_default();
            for account in [AccountId::EXTERNAL, AccountId::FEES, AccountId::CLEARING] {
                *sum = sum.plus(ledger.venue_balance(account, asset.id));
            }
            let all = clearing.entry(asset.id).or_default();
            *all = all.plus(ledger.venue_balance(AccountId::CLEARING, asset.id));
        }
        for (_, asset, balance) in ledger.balances() {
            let sum = sums.entry(asset).or_default();
            *sum = sum.plus(balance.free).plus(balance.held);
        }
        for other in &cut.0 {
            let (from, to) = (other.state.id(), part.state.id());
            assert!(part.state.received(from) <= other.state.sent(to), "{to} has received what {from} has not said");
        }
    }
    assert!(sums.values().all(|sum| sum.is_zero()), "{sums:?}");
    let to_settle = cut.to_settle();
    for (asset, amount) in &clearing {
        let under_way = to_settle.get(asset).copied().unwrap_or_default();
        assert!(amount.plus(under_way).is_zero(), "asset {asset}: {amount:?} and {under_way:?}");
    }
    clearing
}

#[test]
fn what_is_in_transit_is_what_the_messages_under_way_will_move() {
    let (mut venue, mut draw) = (Venue::new(), Draw(5));
    let (mut in_transit, mut apart, mut number) = (0, 0, 100);
    for _ in 0..150 {
        // Somewhere in the middle: orders were taken and some of what follows from them was delivered.
        for _ in 0..6 {
            number += 1;
            venue.submit(number, traffic(number));
            for _ in 0..draw.below(5) {
                venue.deliver(&mut draw);
            }
        }
        if draw.below(8) == 0 {
            while venue.deliver(&mut draw) {}
            venue.routing.all().for_each(|id| venue.take_snapshot(id));
        } else {
            venue.take_snapshot(PartitionId(u16::try_from(draw.below(3)).unwrap()));
        }
        // Each partition is first seen at some place that it had told of before, so they do not go together yet.
        for seat in &venue.seats {
            let end = usize::try_from(seat.partition.sequence().0).unwrap();
            let back = draw.below(12).min(seat.log.len());
            let place = Sequence(u64::try_from(end - back).unwrap());
            venue.stale.borrow_mut().insert(seat.partition.id(), VecDeque::from([place]));
        }
        let cut = venue.cut().unwrap();
        let clearing = add_up(&cut);
        let moved = clearing.values().any(|amount| !amount.is_zero());
        assert!(!moved || cut.messages() > 0);
        in_transit += usize::from(moved);
        let seats = cut.0.iter().zip(&venue.seats);
        apart +=
            usize::from(seats.filter(|(part, seat)| part.state.sequence() < seat.partition.sequence()).count() > 0);
    }
    assert!(
        in_transit > 50 && apart > 50,
        "{in_transit} times money was under way, {apart} times the end was not read"
    );
    // What was read last is not the end: a settlement waits in an outbox there too, and is known though it was not
    // delivered.
    while venue.settlements_waiting() == 0 {
        number += 1;
        venue.submit(number, traffic(number));
        assert!(venue.deliver(&mut draw));
    }
    venue.stale.borrow_mut().clear();
    let cut = venue.cut().unwrap();
    assert!(add_up(&cut).values().any(|amount| !amount.is_zero()));
    while venue.deliver(&mut draw) {}
    let cut = venue.cut().unwrap();
    assert!(add_up(&cut).values().all(|amount| amount.is_zero()));
    assert_eq!(cut.messages(), 0);
}

#[test]
fn what_is_trimmed_meanwhile_is_read_again_and_not_for_ever() {
    let (mut venue, mut draw) = (Venue::new(), Draw(1));
    for number in 100..130 {
        venue.submit(number, traffic(number));
        while venue.deliver(&mut draw) {}
        venue.routing.all().for_each(|id| venue.take_snapshot(id));
    }
    let registry = Routing::REGISTRY;
    assert!(venue.seat(registry).trimmed > 1);
    // From the first place on, the log leads nowhere any more; a reading that began there is overtaken.
    let overtaken = |times: u32| {
        let places = (0..times).map(|_| Sequence(1)).collect();
        venue.stale.borrow_mut().insert(registry, places);
        venue.cut()
    };
    add_up(&overtaken(READS_MAX - 1).unwrap());
    let error = overtaken(READS_MAX).unwrap_err();
    assert!(matches!(error, Error::Overtaken { reads: READS_MAX, .. }), "{error:?}");
    let said = error.to_string();
    assert!(said.starts_with("partition 0 cannot be restored: record 1 is no longer in the log"), "{said}");
    assert!(said.contains("5 times") && said.contains("snapshot_interval_commands"), "{said}");
    // The same for a snapshot that is removed after it was listed: it is passed over, and the log alone no longer
    // begins at its start.
    venue.stale.borrow_mut().clear();
    *venue.vanishing.borrow_mut() = READS_MAX - 1;
    add_up(&venue.cut().unwrap());
    *venue.vanishing.borrow_mut() = READS_MAX;
    let said = venue.cut().unwrap_err().to_string();
    assert!(said.contains("no longer in the log") && said.contains("5 times"), "{said}");
    *venue.vanishing.borrow_mut() = 0;
}
