//! Rate limits. Request weight and the number of requests are counted per address, orders per account, each in windows
//! aligned to the clock. An address that continues after it was refused is banned, longer each time.
//!
//! The caller passes the machine's time. Counting uses a time derived from it that never goes back ([`clock`]), so no
//! window begins twice. All tables are bounded; a full table drops its oldest entries first.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::OnceLock;
use std::time::Instant;

use crossbook_types::{AccountId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::facts::{FillSubscriber, FirstFill};
use clock::Clock;
use table::{Table, Tracked};

mod clock;
mod table;

const SECOND: u64 = 1_000_000;
const MINUTE: u64 = 60 * SECOND;
const RAW_WINDOW: u64 = 5 * MINUTE;
const ORDER_WINDOW: u64 = 10 * SECOND;
const DAY: u64 = 24 * 60 * MINUTE;
/// Length of the first ban; each further one is twice as long.
const BAN_FIRST: u64 = 2 * MINUTE;
/// Length of the longest ban.
const BAN_MAX: u64 = 3 * DAY;

/// How much clients may ask. A limit of 0 switches its check off; the headers still count.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Request weight of an address in a minute.
    pub request_weight_1m: u64,
    /// Requests of an address in five minutes.
    pub raw_requests_5m: u64,
    /// New orders of an account in ten seconds.
    pub orders_10s: u64,
    /// New orders of an account in a day.
    pub orders_1d: u64,
    /// Requests over the limit within one minute after which an address is banned; 0: never.
    pub ban_after: u64,
    /// Maximum number of addresses, and of accounts, that are tracked.
    pub tracked_clients_max: usize,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            request_weight_1m: 6_000,
            raw_requests_5m: 300_000,
            orders_10s: 100,
            orders_1d: 200_000,
            ban_after: 100,
            tracked_clients_max: 100_000,
        }
    }
}

/// A count in a window, which is that of the latest time that was seen.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Count {
    window: u64,
    count: u64,
}

impl Count {
    /// The count, after advancing to the window of `now`. A time of an earlier window, as a slower thread may still
    /// have it, counts in the newest.
    pub(crate) fn at(&mut self, now: Timestamp, length: u64) -> &mut u64 {
        let window = now.0 / length;
        if window > self.window {
            *self = Self { window, count: 0 };
        }
        &mut self.count
    }

    /// Takes back what was counted at `then`, if that is still the window.
    fn take_back(&mut self, count: u64, then: Timestamp, length: u64) {
        if then.0 / length == self.window {
            self.count = self.count.saturating_sub(count);
        }
    }

    /// Whole seconds until the window ends, at least one.
    pub(crate) fn seconds_left(&self, now: Timestamp, length: u64) -> u64 {
        let end = self.window.saturating_add(1).saturating_mul(length);
        end.saturating_sub(now.0).div_ceil(SECOND).max(1)
    }
}

fn exceeds(count: u64, limit: u64) -> bool {
    limit != 0 && count > limit
}

#[derive(Clone, Copy, Debug, Default)]
struct Address {
    weight: Count,
    requests: Count,
    refusals: Count,
    bans: u32,
    banned_until: Timestamp,
    seen: Timestamp,
}

#[derive(Clone, Copy, Debug, Default)]
struct Account {
    short: Count,
    day: Count,
    seen: Timestamp,
}

/// Orders that an account has placed in the current windows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OrderCount {
    /// In ten seconds.
    pub short: u64,
    /// In a day.
    pub day: u64,
}

/// Why a client has to wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LimitError {
    /// Too much request weight, or too many requests.
    #[error("an address may use {limit} in {window_seconds} s; send again in {retry_after} s")]
    Requests {
        /// The weight, or the number of requests, that the window allows.
        limit: u64,
        /// Length of the window in seconds.
        window_seconds: u64,
        /// Seconds until the window ends.
        retry_after: u64,
    },
    /// The address went on after it was over its limit, and is banned.
    #[error("the address is banned; send again in {retry_after} s")]
    Banned {
        /// When the ban ends, on the clock that clients see.
        until: Timestamp,
        /// Seconds until then.
        retry_after: u64,
    },
    /// Too many new orders.
    #[error("an account may place {limit} orders in {window_seconds} s; send again in {retry_after} s")]
    Orders {
        /// The orders that the window allows.
        limit: u64,
        /// Length of the window in seconds.
        window_seconds: u64,
        /// Seconds until the window ends.
        retry_after: u64,
        /// The orders that the account has placed.
        counted: OrderCount,
    },
}

/// Orders that an account gets back from its count when one of them trades for the first time while it rests.
const ORDERS_BACK_FOR_MAKERS: u64 = 5;
/// Orders that an account gets back from its count when one of them trades for the first time as a taker.
pub(crate) const ORDERS_BACK_FOR_TAKERS: u64 = 1;

/// What is done when an address is banned.
type OnBan = Box<dyn Fn(IpAddr) + Send + Sync>;

/// The counts of all addresses and accounts.
pub struct Limits {
    config: LimitsConfig,
    clock: Clock,
    addresses: Table<IpAddr, Address>,
    accounts: Table<AccountId, Account>,
    on_ban: OnceLock<OnBan>,
}

impl std::fmt::Debug for Limits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limits").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Limits {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(config: LimitsConfig) -> Self {
        Self::by(Clock::new(Instant::now), config)
    }

    fn by(clock: Clock, config: LimitsConfig) -> Self {
        let capacity = config.tracked_clients_max;
        let (addresses, accounts) = (Table::new(capacity), Table::new(capacity));
        Self { config, clock, addresses, accounts, on_ban: OnceLock::new() }
    }

    /// The limits.
    #[must_use]
    pub fn config(&self) -> &LimitsConfig {
        &self.config
    }

    /// Has `act` called whenever a ban begins, with the address as [`client`] has it. A second one changes nothing.
    pub fn on_ban(&self, act: impl Fn(IpAddr) + Send + Sync + 'static) {
        let _ = self.on_ban.set(Box::new(act));
    }

    /// The time of the limits, when the machine's clock shows `now`. It never goes back.
    #[must_use]
    pub fn time(&self, now: Timestamp) -> Timestamp {
        self.clock.read(now)
    }

    /// Counts a request of `weight`; gives the weight used in this minute.
    ///
    /// # Errors
    /// [`LimitError::Requests`] over a limit, [`LimitError::Banned`] while the address is banned.
    pub fn charge(&self, ip: IpAddr, weight: u64, now: Timestamp) -> Result<u64, LimitError> {
        let (told, now) = (now, self.clock.read(now));
        let client = client(ip);
        let mut begins = false;
        let charged = self.addresses.with(client, now, |address| {
            address.seen = now;
            if now < address.banned_until {
                return Err(banned(address.banned_until, now, told));
            }
            let requests = address.requests.at(now, RAW_WINDOW);
            *requests = requests.saturating_add(1);
            let requests = *requests;
            let used = address.weight.at(now, MINUTE);
            *used = used.saturating_add(weight);
            let used = *used;
            let (limit, window, left) = if exceeds(used, self.config.request_weight_1m) {
                (self.config.request_weight_1m, MINUTE, address.weight.seconds_left(now, MINUTE))
            } else if exceeds(requests, self.config.raw_requests_5m) {
                (self.config.raw_requests_5m, RAW_WINDOW, address.requests.seconds_left(now, RAW_WINDOW))
            } else {
                return Ok(used);
            };
            let refusals = address.refusals.at(now, MINUTE);
            *refusals += 1;
            if exceeds(*refusals, self.config.ban_after) {
                *refusals = 0;
                let length = BAN_FIRST.saturating_mul(1 << address.bans.min(20)).min(BAN_MAX);
                address.bans = address.bans.saturating_add(1);
                address.banned_until = Timestamp(now.0.saturating_add(length));
                begins = true;
                return Err(banned(address.banned_until, now, told));
            }
            Err(LimitError::Requests { limit, window_seconds: window / SECOND, retry_after: left })
        });
        if begins && let Some(act) = self.on_ban.get() {
            act(client);
        }
        charged
    }

    /// Looks whether an address is banned, and counts nothing.
    ///
    /// # Errors
    /// [`LimitError::Banned`] while it is.
    pub fn check_ban(&self, ip: IpAddr, now: Timestamp) -> Result<(), LimitError> {
        let (told, now) = (now, self.clock.read(now));
        match self.addresses.get(&client(ip)) {
            Some(address) if now < address.banned_until => Err(banned(address.banned_until, now, told)),
            _ => Ok(()),
        }
    }

    /// Gives back weight that [`Limits::charge`] counted when the clock showed `charged`; gives the weight used in this
    /// minute.
    pub fn refund(&self, ip: IpAddr, weight: u64, charged: Timestamp, now: Timestamp) -> u64 {
        let (then, now) = self.then_and_now(charged, now);
        self.addresses.with(client(ip), now, |address| {
            address.weight.at(now, MINUTE);
            address.weight.take_back(weight, then, MINUTE);
            address.weight.count
        })
    }

    /// Counts a new order.
    ///
    /// # Errors
    /// [`LimitError::Orders`] over a limit; the order is not counted then.
    pub fn count_order(&self, account: AccountId, now: Timestamp) -> Result<OrderCount, LimitError> {
        let now = self.clock.read(now);
        self.accounts.with(account, now, |counts| {
            counts.seen = now;
            let (short, day) = (*counts.short.at(now, ORDER_WINDOW), *counts.day.at(now, DAY));
            let counted = OrderCount { short, day };
            if exceeds(short + 1, self.config.orders_10s) {
                let left = counts.short.seconds_left(now, ORDER_WINDOW);
                return Err(too_many_orders(self.config.orders_10s, ORDER_WINDOW, left, counted));
            }
            if exceeds(day + 1, self.config.orders_1d) {
                let left = counts.day.seconds_left(now, DAY);
                return Err(too_many_orders(self.config.orders_1d, DAY, left, counted));
            }
            counts.short.count = short + 1;
            counts.day.count = day + 1;
            Ok(OrderCount { short: short + 1, day: day + 1 })
        })
    }

    /// Takes back the count of an order that was counted when the clock showed `counted`, and was never placed. Where a
    /// window has ended since, it ended with that order in it.
    pub fn order_not_placed(&self, account: AccountId, counted: Timestamp, now: Timestamp) {
        let (then, now) = self.then_and_now(counted, now);
        self.accounts.with(account, now, |counts| {
            counts.short.take_back(1, then, ORDER_WINDOW);
            counts.day.take_back(1, then, DAY);
        });
    }

    /// Gives back up to `orders`, because one of the account's traded for the first time: from the current counts,
    /// whenever it was placed.
    pub fn order_traded(&self, account: AccountId, orders: u64, now: Timestamp) -> OrderCount {
        let now = self.clock.read(now);
        self.accounts.with(account, now, |counts| {
            for (count, length) in [(&mut counts.short, ORDER_WINDOW), (&mut counts.day, DAY)] {
                let count = count.at(now, length);
                *count = count.saturating_sub(orders);
            }
            OrderCount { short: counts.short.count, day: counts.day.count }
        })
    }

    /// The weight an address has used in this minute.
    pub fn used_weight(&self, ip: IpAddr, now: Timestamp) -> u64 {
        let now = self.clock.read(now);
        self.addresses.with(client(ip), now, |address| *address.weight.at(now, MINUTE))
    }

    /// The orders an account has placed in the current windows.
    pub fn order_count(&self, account: AccountId, now: Timestamp) -> OrderCount {
        self.order_traded(account, 0, now)
    }

    /// A time that the clock showed earlier, and the one that it shows now, as limits count them.
    fn then_and_now(&self, then: Timestamp, now: Timestamp) -> (Timestamp, Timestamp) {
        let passed = now.0.saturating_sub(then.0);
        let now = self.clock.read(now);
        (Timestamp(now.0.saturating_sub(passed)), now)
    }
}

/// The error of a banned client, whose times are those of the machine's clock, which shows `told`.
fn banned(until: Timestamp, now: Timestamp, told: Timestamp) -> LimitError {
    let left = until.0.saturating_sub(now.0);
    LimitError::Banned { until: Timestamp(told.0.saturating_add(left)), retry_after: left.div_ceil(SECOND) }
}

fn too_many_orders(limit: u64, window: u64, retry_after: u64, counted: OrderCount) -> LimitError {
    LimitError::Orders { limit, window_seconds: window / SECOND, retry_after, counted }
}

/// The credit of orders that trade: makers may place more orders. It counts by the gateway's own clock, when the fill
/// is published here; the clock of the partition may differ.
impl FillSubscriber for Limits {
    fn first_fill(&self, fill: FirstFill, now: Timestamp) {
        let orders = if fill.maker { ORDERS_BACK_FOR_MAKERS } else { ORDERS_BACK_FOR_TAKERS };
        self.order_traded(fill.account, orders, now);
    }
}

/// Who is behind an address: of IPv6, the whole network of 64 bits, which one client has for itself.
#[must_use]
pub fn client(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

impl Tracked for Address {
    fn is_spent(&self, now: Timestamp) -> bool {
        now >= self.banned_until && self.requests.window < now.0 / RAW_WINDOW && self.bans == 0
    }
    fn seen(&self) -> Timestamp {
        self.seen.max(self.banned_until)
    }
}

impl Tracked for Account {
    fn is_spent(&self, now: Timestamp) -> bool {
        self.day.window < now.0 / DAY
    }
    fn seen(&self) -> Timestamp {
        self.seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp(1_700_000_040 * SECOND);

    fn later(seconds: u64) -> Timestamp {
        Timestamp(START.0 + seconds * SECOND)
    }

    /// No time passes but what the tests say.
    fn limits(config: LimitsConfig) -> Limits {
        static BEGIN: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
        Limits::by(Clock::new(|| *BEGIN), config)
    }

    fn is_ban(error: LimitError) -> bool {
        matches!(error, LimitError::Banned { .. })
    }

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn weight_counts_per_address_and_minute() {
        assert_eq!(START.0 % MINUTE, 0);
        let limits = limits(LimitsConfig { request_weight_1m: 10, ..LimitsConfig::default() });
        assert_eq!(limits.charge(ip(1), 6, START), Ok(6));
        assert_eq!(limits.charge(ip(2), 1, START), Ok(1));
        let over = limits.charge(ip(1), 5, later(20)).unwrap_err();
        assert_eq!(over, LimitError::Requests { limit: 10, window_seconds: 60, retry_after: 40 });
        assert_eq!(limits.charge(ip(1), 5, later(60)), Ok(5));
        assert_eq!(limits.refund(ip(1), 5, later(60), later(61)), 0);
        assert_eq!(limits.charge(ip(1), 5, later(119)), Ok(5));
        assert_eq!(limits.refund(ip(1), 5, later(119), later(120)), 0, "nothing to give back in the next minute");
    }

    #[test]
    fn requests_count_too() {
        let limits = limits(LimitsConfig { raw_requests_5m: 2, ..LimitsConfig::default() });
        assert!(limits.charge(ip(1), 0, START).is_ok() && limits.charge(ip(1), 0, START).is_ok());
        let over = limits.charge(ip(1), 0, START).unwrap_err();
        assert_eq!(over, LimitError::Requests { limit: 2, window_seconds: 300, retry_after: 60 });
    }

    #[test]
    fn going_on_after_429_is_a_ban_that_grows() {
        let limits = limits(LimitsConfig { request_weight_1m: 1, ban_after: 2, ..LimitsConfig::default() });
        let statuses = |at| std::iter::repeat_with(move || at).map(|at| limits.charge(ip(1), 1, at));
        let first: Vec<_> = statuses(START).take(5).map(|charged| charged.err().map(is_ban)).collect();
        assert_eq!(first, [None, Some(false), Some(false), Some(true), Some(true)]);
        let still = limits.charge(ip(1), 1, later(119)).unwrap_err();
        assert_eq!(still, LimitError::Banned { until: later(120), retry_after: 1 });
        assert_eq!(limits.charge(ip(1), 1, later(120)), Ok(1));
        for _ in 0..2 {
            assert!(!is_ban(limits.charge(ip(1), 1, later(120)).unwrap_err()));
        }
        let second = limits.charge(ip(1), 1, later(120)).unwrap_err();
        assert_eq!(second, LimitError::Banned { until: later(360), retry_after: 240 }, "twice as long");
    }

    #[test]
    fn orders_count_per_account() {
        let limits = limits(LimitsConfig { orders_10s: 2, orders_1d: 3, ..LimitsConfig::default() });
        let (one, other) = (AccountId(1001), AccountId(1002));
        assert_eq!(limits.count_order(one, START), Ok(OrderCount { short: 1, day: 1 }));
        assert_eq!(limits.count_order(one, START), Ok(OrderCount { short: 2, day: 2 }));
        let over = limits.count_order(one, later(1)).unwrap_err();
        let counted = OrderCount { short: 2, day: 2 };
        assert_eq!(over, LimitError::Orders { limit: 2, window_seconds: 10, retry_after: 9, counted });
        assert!(limits.count_order(other, later(1)).is_ok());
        assert_eq!(limits.count_order(one, later(10)), Ok(OrderCount { short: 1, day: 3 }));
        assert!(matches!(limits.count_order(one, later(20)), Err(LimitError::Orders { window_seconds: 86_400, .. })));
        assert_eq!(limits.order_traded(one, 5, later(20)), OrderCount { short: 0, day: 0 }, "no credit beyond zero");
    }

    /// A second back, as threads and machines may differ, or a day, as an operator may set a clock.
    #[test]
    fn a_time_of_an_earlier_window_counts_in_the_newest() {
        for back in [1, 10, 60, 300, 86_400] {
            let config = LimitsConfig {
                request_weight_1m: 10,
                raw_requests_5m: 10,
                orders_10s: 10,
                orders_1d: 10,
                ..LimitsConfig::default()
            };
            let limits = limits(config);
            let earlier = Timestamp(later(0).0 - back * SECOND);
            let mut taken = (0, 0);
            for _ in 0..20 {
                for now in [START, earlier] {
                    taken.0 += u64::from(limits.charge(ip(1), 1, now).is_ok());
                    taken.1 += u64::from(limits.count_order(AccountId(1001), now).is_ok());
                    limits.used_weight(ip(1), earlier);
                    limits.order_count(AccountId(1001), earlier);
                    limits.order_traded(AccountId(1001), 0, earlier);
                    limits.refund(ip(1), 0, earlier, earlier);
                }
            }
            assert_eq!(taken, (10, 10), "{back} s back");
        }
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_lift_a_ban_or_make_it_longer() {
        let limits = limits(LimitsConfig { request_weight_1m: 1, ban_after: 1, ..LimitsConfig::default() });
        let refused = std::iter::repeat_with(|| limits.charge(ip(1), 1, START)).take(3).last();
        assert_eq!(refused.unwrap(), Err(LimitError::Banned { until: later(120), retry_after: 120 }));
        let earlier = Timestamp(START.0 - 3_600 * SECOND);
        let still = limits.charge(ip(1), 1, earlier).unwrap_err();
        let until = Timestamp(earlier.0 + 120 * SECOND);
        assert_eq!(still, LimitError::Banned { until, retry_after: 120 }, "by the clock that clients see");
        assert!(limits.check_ban(ip(1), earlier).is_err() && limits.check_ban(ip(2), earlier).is_ok());
    }

    #[test]
    fn an_order_that_is_not_placed_is_taken_back_from_its_own_windows_only() {
        let limits = limits(LimitsConfig::default());
        let one = AccountId(1001);
        assert!(limits.count_order(one, later(9)).is_ok());
        assert!(limits.count_order(one, later(10)).is_ok());
        limits.order_not_placed(one, later(9), later(11));
        assert_eq!(limits.order_count(one, later(11)), OrderCount { short: 1, day: 1 });
        limits.order_not_placed(one, later(10), later(11));
        assert_eq!(limits.order_count(one, later(11)), OrderCount { short: 0, day: 0 });
    }

    #[test]
    fn whoever_asks_is_told_once_when_a_ban_begins() {
        let limits = limits(LimitsConfig { request_weight_1m: 1, ban_after: 1, ..LimitsConfig::default() });
        let (told, bans) = std::sync::mpsc::channel();
        limits.on_ban(move |address| told.send(address).unwrap());
        for _ in 0..6 {
            let _ = limits.charge(ip(7), 1, START);
        }
        assert_eq!(bans.try_iter().collect::<Vec<_>>(), [ip(7)]);
    }

    #[test]
    fn first_fills_give_orders_back() {
        let limits = limits(LimitsConfig::default());
        let one = AccountId(1001);
        for _ in 0..10 {
            assert!(limits.count_order(one, START).is_ok());
        }
        limits.first_fill(FirstFill { account: one, maker: true }, START);
        assert_eq!(limits.order_count(one, START), OrderCount { short: 5, day: 5 });
        limits.first_fill(FirstFill { account: one, maker: false }, START);
        assert_eq!(limits.order_count(one, START), OrderCount { short: 4, day: 4 });
    }

    #[test]
    fn a_limit_of_zero_is_none() {
        let config = LimitsConfig {
            request_weight_1m: 0,
            raw_requests_5m: 0,
            orders_10s: 0,
            orders_1d: 0,
            ..LimitsConfig::default()
        };
        let limits = limits(config);
        for used in 1..10_000 {
            assert_eq!(limits.charge(ip(1), 1, START), Ok(used));
            assert!(limits.count_order(AccountId(1001), START).is_ok());
        }
    }

    #[test]
    fn tables_stay_bounded_and_forget_the_oldest() {
        let limits = limits(LimitsConfig { tracked_clients_max: 1_600, ..LimitsConfig::default() });
        for n in 0..20_000u32 {
            let _ = limits.charge(IpAddr::from((0x0a00_0000 + n).to_be_bytes()), 1, Timestamp(START.0 + u64::from(n)));
            assert!(limits.addresses.len() <= 1_600);
        }
        let newest = IpAddr::from((0x0a00_0000u32 + 19_999).to_be_bytes());
        assert_eq!(limits.used_weight(newest, later(1)), 1);
        assert_eq!(limits.used_weight(ip(0), later(1)), 0);
    }

    #[test]
    fn one_ipv6_network_is_one_client() {
        let limits = limits(LimitsConfig::default());
        assert_eq!(limits.charge("2001:db8::1".parse().unwrap(), 1, START), Ok(1));
        assert_eq!(limits.charge("2001:db8::2".parse().unwrap(), 1, START), Ok(2));
        assert_eq!(limits.charge("2001:db8:0:1::2".parse().unwrap(), 1, START), Ok(1));
        assert_eq!(limits.charge("10.0.0.7".parse().unwrap(), 1, START), Ok(1));
        assert_eq!(limits.charge("::ffff:10.0.0.7".parse().unwrap(), 1, START), Ok(2));
    }
}
