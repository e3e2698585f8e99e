//! Gateways that exchange through a store in memory, which does what the real one must.

use std::collections::BTreeMap;

use super::super::tests::{START, ip, later, limits};
use super::super::{LimitError, LimitsConfig, OrderCount};
use super::*;
use crate::facts::{FillSubscriber as _, FirstFill};

const ONE: AccountId = AccountId(1001);

/// What all gateways have in common.
#[derive(Default)]
struct Store {
    sums: BTreeMap<(Counter, Timestamp, Subject), i64>,
    bans: Vec<(u64, Ban)>,
    last: BTreeMap<u64, u64>,
    /// Who gives the credits, as long as the test lets it.
    giver: Option<u64>,
    exchanges: usize,
    tracked_max: usize,
}

/// How the next exchange goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Weather {
    Fine,
    /// The batch does not arrive.
    NotSent,
    /// The batch arrives, its answer does not.
    NotAnswered,
}

struct Port {
    gateway: u64,
    store: Arc<Mutex<Store>>,
    weather: Arc<Mutex<Weather>>,
    bans_read: usize,
}

impl SharedCounts for Port {
    fn exchange(&mut self, batch: &Batch) -> Result<Answer, Failure> {
        let weather = *self.weather.lock();
        if weather == Weather::NotSent {
            return Err("not sent".into());
        }
        let store = &mut *self.store.lock();
        store.exchanges += 1;
        let is_new = store.last.insert(self.gateway, batch.number).is_none_or(|last| last < batch.number);
        let gives_credits = *store.giver.get_or_insert(self.gateway) == self.gateway;
        let mut sums = Vec::new();
        for line in &batch.lines {
            let key = (line.counter, line.begin, line.subject);
            if !store.sums.contains_key(&key) && store.sums.len() >= store.tracked_max {
                sums.push(None);
                continue;
            }
            let sum = store.sums.entry(key).or_default();
            if is_new {
                *sum += line.add;
                if gives_credits && line.credit > 0 {
                    *sum = (*sum - i64::try_from(line.credit)?).max(0);
                }
            }
            sums.push(Some(*sum));
        }
        if is_new {
            store.bans.extend(batch.bans.iter().map(|ban| (self.gateway, *ban)));
        }
        if weather == Weather::NotAnswered {
            return Err("not answered".into());
        }
        let unread = store.bans.iter().skip(self.bans_read);
        let bans = unread.filter(|(gateway, _)| *gateway != self.gateway).map(|(_, ban)| *ban).collect();
        self.bans_read = store.bans.len();
        Ok(Answer { sums, gives_credits, bans, more_bans: false })
    }
}

struct Gateway {
    limits: Arc<Limits>,
    exchanger: Exchanger<Port>,
    weather: Arc<Mutex<Weather>>,
}

impl Gateway {
    fn exchange(&mut self, now: Timestamp) -> Option<bool> {
        self.exchanger.exchange(|| now).unwrap()
    }

    fn fails(&mut self, weather: Weather, now: Timestamp) {
        *self.weather.lock() = weather;
        assert!(self.exchanger.exchange(|| now).is_err());
        *self.weather.lock() = Weather::Fine;
    }

    fn charge(&self, now: Timestamp) -> Result<u64, LimitError> {
        self.limits.charge(ip(1), 1, now)
    }

    fn order(&self, now: Timestamp) -> Result<OrderCount, LimitError> {
        self.limits.count_order(ONE, now)
    }
}

fn cluster<const N: usize>(config: &LimitsConfig) -> (Arc<Mutex<Store>>, [Gateway; N]) {
    let store = Arc::new(Mutex::new(Store { tracked_max: 1_000, ..Store::default() }));
    let gateways = std::array::from_fn(|at| {
        let (limits, weather) = (Arc::new(limits(config.clone())), Arc::new(Mutex::new(Weather::Fine)));
        let gateway = at as u64;
        let port = Port { gateway, store: Arc::clone(&store), weather: Arc::clone(&weather), bans_read: 0 };
        Gateway { exchanger: Exchanger::new(Arc::clone(&limits), port), limits, weather }
    });
    (store, gateways)
}

fn exchange_all(gateways: &mut [Gateway]) {
    for gateway in gateways {
        gateway.exchange(START);
    }
}

fn orders(short: u64, day: u64) -> OrderCount {
    OrderCount { short, day }
}

/// A client that alternates gets in total what the limit allows, and what it gets between two exchanges.
#[test]
fn the_sum_over_all_gateways_is_limited() {
    let config = LimitsConfig { request_weight_1m: 100, orders_10s: 50, ban_after: 0, ..LimitsConfig::default() };
    let (_, mut gateways) = cluster::<3>(&config);
    let mut taken = (0, 0);
    for round in 0..100 {
        for gateway in &mut gateways {
            taken.0 += u64::from(gateway.charge(START).is_ok());
            taken.1 += u64::from(gateway.order(START).is_ok());
            if round % 5 == 4 {
                gateway.exchange(START);
            }
        }
    }
    let between_exchanges = 5 * 2;
    assert!((100..=100 + between_exchanges).contains(&taken.0), "{taken:?}");
    assert!((50..=50 + between_exchanges).contains(&taken.1), "{taken:?}");
    let shown: Vec<_> = gateways.iter().map(|gateway| gateway.limits.used_weight(ip(1), START)).collect();
    assert!(
        shown.iter().all(|shown| (300 - between_exchanges..=300).contains(shown)),
        "refused requests have weight, too: {shown:?}"
    );
}

#[test]
fn a_client_is_known_elsewhere_after_the_next_exchange_there() {
    let (store, [mut a, mut b]) = cluster(&LimitsConfig { raw_requests_5m: 12, ..LimitsConfig::default() });
    for _ in 0..10 {
        assert!(a.charge(START).is_ok());
    }
    assert_eq!(a.exchange(START), Some(false));
    assert_eq!(b.exchange(START), None, "nobody has asked it anything");
    assert_eq!(b.charge(START), Ok(1));
    assert_eq!(b.exchange(START), Some(false));
    assert_eq!(b.charge(START), Ok(12));
    assert!(b.charge(START).is_err(), "requests");
    assert_eq!(a.charge(START), Ok(11), "it has not heard of them");
    a.exchange(START);
    b.exchange(START);
    assert_eq!([&a, &b].map(|gateway| gateway.limits.used_weight(ip(1), START)), [12, 14]);
    let asked = store.lock().exchanges;
    assert_eq!((a.exchange(START), b.exchange(START)), (None, None));
    assert_eq!(store.lock().exchanges, asked, "there was nothing to exchange");
}

#[test]
fn what_is_taken_back_is_taken_back_from_the_sum() {
    let (_, [mut a, mut b]) = cluster(&LimitsConfig::default());
    for gateway in [&a, &b] {
        assert!(gateway.limits.charge(ip(1), 20, START).is_ok());
        assert!(gateway.order(START).is_ok() && gateway.order(START).is_ok());
    }
    a.exchange(START);
    b.exchange(START);
    assert_eq!(a.limits.refund(ip(1), 20, START, later(1)), 0);
    a.limits.order_not_placed(ONE, START, later(1));
    assert_eq!(a.limits.order_traded(ONE, 1, later(1)), orders(0, 0));
    a.exchange(later(1));
    assert!(b.charge(later(1)).is_ok() && b.order(later(1)).is_ok());
    b.exchange(later(1));
    assert_eq!((b.limits.used_weight(ip(1), later(1)), b.limits.order_count(ONE, later(1))), (21, orders(3, 3)));
}

#[test]
fn windows_end_for_all() {
    let (store, [mut a, mut b]) = cluster(&LimitsConfig::default());
    for gateway in [&mut a, &mut b] {
        assert!(gateway.charge(START).is_ok() && gateway.order(START).is_ok());
        gateway.exchange(START);
    }
    assert_eq!(b.charge(later(60)), Ok(1));
    assert_eq!(b.order(later(60)), Ok(orders(1, 3)));
    b.exchange(later(60));
    assert_eq!((b.charge(later(60)), b.order(later(60))), (Ok(2), Ok(orders(2, 4))));
    let windows: Vec<_> = store
        .lock()
        .sums
        .iter()
        .filter(|((of, ..), _)| *of == Counter::Weight)
        .map(|((_, at, _), n)| (*at, *n))
        .collect();
    assert_eq!(windows, [(START, 2), (later(60), 1)]);
}

/// What is on its way when a window ends counts in it, or nowhere.
#[test]
fn a_late_exchange_counts_in_its_own_window() {
    let (store, [mut a, mut b]) = cluster(&LimitsConfig::default());
    assert!(a.charge(later(59)).is_ok() && a.order(later(59)).is_ok());
    a.fails(Weather::NotSent, later(59));
    assert_eq!(a.charge(later(60)), Ok(1));
    a.exchange(later(61));
    assert_eq!(a.limits.used_weight(ip(1), later(61)), 1, "the answer is of the last window");
    a.exchange(later(61));
    assert!(b.charge(later(61)).is_ok() && b.order(later(61)).is_ok());
    b.exchange(later(61));
    assert_eq!((b.limits.used_weight(ip(1), later(61)), b.limits.order_count(ONE, later(61))), (2, orders(1, 2)));
    assert!(a.charge(later(119)).is_ok());
    assert!(a.charge(later(120)).is_ok());
    a.exchange(later(120));
    let sum = |at| store.lock().sums.get(&(Counter::Weight, at, Subject::Address(ip(1)))).copied();
    assert_eq!((sum(later(60)), sum(later(120))), (Some(2), Some(1)), "what was not sent in time is not sent");
}

#[test]
fn a_batch_that_is_sent_again_counts_once() {
    for weather in [Weather::NotSent, Weather::NotAnswered] {
        let (_, [mut a, mut b]) = cluster(&LimitsConfig::default());
        assert!(a.limits.charge(ip(1), 5, START).is_ok() && a.order(START).is_ok());
        a.fails(weather, START);
        assert_eq!(a.limits.charge(ip(1), 1, START), Ok(6), "it counts on for itself");
        assert_eq!(a.order(START), Ok(orders(2, 2)));
        a.fails(weather, START);
        a.exchange(START);
        assert_eq!((a.limits.used_weight(ip(1), START), a.limits.order_count(ONE, START)), (6, orders(2, 2)));
        a.exchange(START);
        assert!(b.charge(START).is_ok() && b.order(START).is_ok());
        b.exchange(START);
        assert_eq!((b.limits.used_weight(ip(1), START), b.limits.order_count(ONE, START)), (7, orders(3, 3)));
    }
}

#[test]
fn a_ban_holds_everywhere_and_is_told_once() {
    let config = LimitsConfig { request_weight_1m: 1, ban_after: 2, ..LimitsConfig::default() };
    let (_, [mut a, mut b]) = cluster(&config);
    let (told, begun) = std::sync::mpsc::channel();
    b.limits.on_ban(move |address| told.send(address).unwrap());
    for _ in 0..4 {
        let _ = a.charge(START);
    }
    a.exchange(START);
    assert!(b.limits.charge(ip(2), 1, later(1)).is_ok());
    b.exchange(later(1));
    for gateway in [&a, &b] {
        assert_eq!(gateway.charge(later(1)), Err(LimitError::Banned { until: later(120), retry_after: 119 }));
    }
    b.exchange(later(2));
    assert_eq!(begun.try_iter().collect::<Vec<_>>(), [ip(1)]);
    assert_eq!(b.charge(later(120)), Ok(1));
    for _ in 0..3 {
        let _ = b.charge(later(120));
    }
    let until = Err(LimitError::Banned { until: later(360), retry_after: 240 });
    assert_eq!(b.charge(later(120)), until, "the second one, wherever the first was");
}

/// Refusals of two gateways make one ban.
#[test]
fn refusals_add_up_to_a_ban() {
    let config = LimitsConfig { request_weight_1m: 1, ban_after: 10, ..LimitsConfig::default() };
    let (_, mut gateways) = cluster::<2>(&config);
    let (mut refusals, mut banned) = (0, 0);
    while banned < 2 {
        banned = 0;
        for gateway in &mut gateways {
            match gateway.charge(START) {
                Err(LimitError::Banned { .. }) => banned += 1,
                charged => refusals += u64::from(charged.is_err()),
            }
            gateway.exchange(START);
        }
    }
    assert!((10..=12).contains(&refusals), "{refusals}");
}

#[test]
fn the_first_fill_of_an_order_is_credited_once() {
    let (store, mut gateways) = cluster::<3>(&LimitsConfig::default());
    for _ in 0..10 {
        assert!(gateways[0].order(START).is_ok());
    }
    exchange_all(&mut gateways);
    let fill = |gateways: &[Gateway; 3]| {
        gateways.iter().for_each(|gateway| gateway.limits.first_fill(FirstFill { account: ONE, maker: true }, START));
    };
    let day = Timestamp(START.0 / DAY * DAY);
    let sum = || store.lock().sums[&(Counter::OrdersOfDay, day, Subject::Account(ONE))];
    fill(&gateways);
    assert_eq!(gateways[0].limits.order_count(ONE, START), orders(5, 5), "at once where they were placed");
    for gateway in gateways.iter_mut().rev() {
        gateway.exchange(START);
    }
    for gateway in &mut gateways {
        assert!(gateway.order(START).is_ok());
        gateway.exchange(START);
    }
    exchange_all(&mut gateways);
    assert_eq!(sum(), 8);

    // The gateway that gave them is silent, and another is named: what fills meanwhile gets no credit, not two.
    store.lock().giver = None;
    fill(&gateways);
    for gateway in &mut gateways[1..] {
        assert!(gateway.order(START).is_ok());
        gateway.exchange(START);
    }
    gateways[0].exchange(START);
    assert_eq!(sum(), 10);
    fill(&gateways);
    exchange_all(&mut gateways);
    assert_eq!(sum(), 5);
}

#[test]
fn no_credit_beyond_zero() {
    let (_, [mut a, mut b]) = cluster(&LimitsConfig::default());
    assert!(a.order(START).is_ok());
    a.exchange(START);
    for _ in 0..3 {
        for gateway in [&a, &b] {
            gateway.limits.first_fill(FirstFill { account: ONE, maker: true }, START);
        }
    }
    a.exchange(START);
    b.exchange(START);
    assert_eq!(a.order(START), Ok(orders(1, 1)));
    a.exchange(START);
    assert_eq!(a.order(START), Ok(orders(2, 2)));
}

#[test]
fn an_exchange_is_bounded_and_the_next_one_has_the_rest() {
    let config = LimitsConfig { exchange_clients_max: 10, ..LimitsConfig::default() };
    let (store, [mut a]) = cluster(&config);
    for last in 0..25 {
        assert!(a.limits.charge(ip(last), 1, START).is_ok());
    }
    assert_eq!([a.exchange(START), a.exchange(START), a.exchange(START)], [Some(true), Some(true), Some(false)]);
    assert_eq!(a.exchange(START), None);
    assert_eq!(store.lock().sums.len(), 50);
}

/// The store tracks so many clients and no more; of others each gateway knows what it counts itself.
#[test]
fn clients_that_the_store_does_not_track_are_counted_here() {
    let (store, [mut a, mut b]) = cluster(&LimitsConfig { request_weight_1m: 3, ..LimitsConfig::default() });
    store.lock().tracked_max = 0;
    for gateway in [&mut a, &mut b] {
        for used in 1..=3 {
            assert_eq!(gateway.charge(START), Ok(used));
            gateway.exchange(START);
        }
        assert!(gateway.charge(START).is_err());
    }
}

#[test]
fn a_store_that_has_lost_counts_gives_nothing_below_zero() {
    let (store, [mut a]) = cluster(&LimitsConfig::default());
    assert!(a.limits.charge(ip(1), 20, START).is_ok());
    a.exchange(START);
    store.lock().sums.clear();
    assert_eq!(a.limits.refund(ip(1), 15, START, START), 5);
    a.exchange(START);
    assert_eq!(a.limits.used_weight(ip(1), START), 0);
    assert_eq!(a.limits.charge(ip(1), 1, later(60)), Ok(1));
}

#[test]
fn what_waits_for_an_exchange_is_bounded() {
    let config = LimitsConfig { tracked_clients_max: 160, ..LimitsConfig::default() };
    let (store, [mut a]) = cluster(&config);
    store.lock().tracked_max = 100_000;
    for n in 0..20_000_u32 {
        let address = IpAddr::from((0x0a00_0000 + n).to_be_bytes());
        let _ = a.limits.charge(address, 1, Timestamp(START.0 + u64::from(n)));
    }
    while a.exchange(later(1)) == Some(true) {}
    let known = store.lock().sums.keys().filter(|(counter, ..)| *counter == Counter::Weight).count();
    assert!((80..=160).contains(&known), "{known}");
}
