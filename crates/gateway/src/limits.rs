//! How much a client may ask. Request weight and the number of requests count per address, orders per account, each in windows
//! aligned to the clock. Whoever goes on after a 429 is banned for a while, longer each time.
//!
//! Time comes from the caller. All tables are bounded; when one is full, what is oldest in effect goes first.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::{IpAddr, Ipv6Addr};

use crossbook_types::{AccountId, Timestamp};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::error::ApiError;

const SECOND: u64 = 1_000_000;
const MINUTE: u64 = 60 * SECOND;
const RAW_WINDOW: u64 = 5 * MINUTE;
const ORDER_WINDOW: u64 = 10 * SECOND;
const DAY: u64 = 24 * 60 * MINUTE;
/// Length of the first ban; each further one is twice as long.
const BAN_FIRST: u64 = 2 * MINUTE;
/// Length of the longest ban.
const BAN_MAX: u64 = 3 * DAY;
/// A table is cut into this many parts, each with its own lock.
const SHARDS: usize = 16;

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
    /// Most addresses, and most accounts, that are kept track of.
    pub tracked_max: usize,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            request_weight_1m: 6_000,
            raw_requests_5m: 61_000,
            orders_10s: 100,
            orders_1d: 200_000,
            ban_after: 100,
            tracked_max: 100_000,
        }
    }
}

/// A count in the current window of the clock.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    window: u64,
    count: u64,
}

impl Count {
    /// The count, after going on to the window that `now` is in.
    fn at(&mut self, now: Timestamp, length: u64) -> &mut u64 {
        let window = now.0 / length;
        if self.window != window {
            *self = Self { window, count: 0 };
        }
        &mut self.count
    }
}

/// Whole seconds until the window of `length` ends, at least one.
fn seconds_left(now: Timestamp, length: u64) -> u64 {
    (length - now.0 % length).div_ceil(SECOND)
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

/// The counts of all addresses and accounts.
pub struct Limits {
    config: LimitsConfig,
    addresses: Table<IpAddr, Address>,
    accounts: Table<AccountId, Account>,
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
        let capacity = config.tracked_max;
        Self { config, addresses: Table::new(capacity), accounts: Table::new(capacity) }
    }

    /// The limits.
    #[must_use]
    pub fn config(&self) -> &LimitsConfig {
        &self.config
    }

    /// Counts a request of `weight`; gives the weight used in this minute.
    ///
    /// # Errors
    /// -1003 with 429 over a limit, with 418 while banned.
    pub fn charge(&self, ip: IpAddr, weight: u64, now: Timestamp) -> Result<u64, ApiError> {
        self.addresses.with(client(ip), now, |address| {
            address.seen = now;
            if now < address.banned_until {
                return Err(banned(address.banned_until, now));
            }
            let requests = address.requests.at(now, RAW_WINDOW);
            *requests = requests.saturating_add(1);
            let requests = *requests;
            let used = address.weight.at(now, MINUTE);
            *used = used.saturating_add(weight);
            let used = *used;
            let (limit, window, left) = if exceeds(used, self.config.request_weight_1m) {
                (self.config.request_weight_1m, "1 MINUTE", seconds_left(now, MINUTE))
            } else if exceeds(requests, self.config.raw_requests_5m) {
                (self.config.raw_requests_5m, "5 MINUTES", seconds_left(now, RAW_WINDOW))
            } else {
                return Ok(used);
            };
            let refusals = address.refusals.at(now, MINUTE);
            *refusals += 1;
            if exceeds(*refusals, self.config.ban_after) {
                *refusals = 0;
                let length = BAN_FIRST.saturating_mul(1 << address.bans.min(20)).min(BAN_MAX);
                address.bans += 1;
                address.banned_until = Timestamp(now.0.saturating_add(length));
                return Err(banned(address.banned_until, now));
            }
            Err(ApiError::too_much_weight(limit, window, left))
        })
    }

    /// Gives back weight that [`Limits::charge`] counted at `charged`; gives the weight used in this minute.
    pub fn refund(&self, ip: IpAddr, weight: u64, charged: Timestamp, now: Timestamp) -> u64 {
        self.addresses.with(client(ip), now, |address| {
            let used = address.weight.at(now, MINUTE);
            if charged.0 / MINUTE == now.0 / MINUTE {
                *used = used.saturating_sub(weight);
            }
            *used
        })
    }

    /// Counts a new order.
    ///
    /// # Errors
    /// -1015 with 429 over a limit; the order is not counted then.
    pub fn count_order(&self, account: AccountId, now: Timestamp) -> Result<OrderCount, ApiError> {
        self.accounts.with(account, now, |counts| {
            counts.seen = now;
            let (short, day) = (*counts.short.at(now, ORDER_WINDOW), *counts.day.at(now, DAY));
            let counted = OrderCount { short, day };
            if exceeds(short + 1, self.config.orders_10s) {
                let left = seconds_left(now, ORDER_WINDOW);
                return Err(ApiError::too_many_orders(self.config.orders_10s, "10 SECOND", left, counted));
            }
            if exceeds(day + 1, self.config.orders_1d) {
                let left = seconds_left(now, DAY);
                return Err(ApiError::too_many_orders(self.config.orders_1d, "1 DAY", left, counted));
            }
            counts.short.count = short + 1;
            counts.day.count = day + 1;
            Ok(OrderCount { short: short + 1, day: day + 1 })
        })
    }

    /// Gives back up to `orders`: they traded, or were never placed.
    pub fn uncount_orders(&self, account: AccountId, orders: u64, now: Timestamp) -> OrderCount {
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
        self.addresses.with(client(ip), now, |address| *address.weight.at(now, MINUTE))
    }

    /// The orders an account has placed in the current windows.
    pub fn order_count(&self, account: AccountId, now: Timestamp) -> OrderCount {
        self.uncount_orders(account, 0, now)
    }
}

fn banned(until: Timestamp, now: Timestamp) -> ApiError {
    ApiError::banned(until.millis(), (until.0 - now.0).div_ceil(SECOND))
}

/// Who is behind an address: of IPv6, the whole network of 64 bits, which one client has for itself.
#[must_use]
pub fn client(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

trait Tracked: Copy + Default {
    /// Whether forgetting it would change nothing.
    fn is_spent(&self, now: Timestamp) -> bool;
    fn seen(&self) -> Timestamp;
}

impl Tracked for Address {
    fn is_spent(&self, now: Timestamp) -> bool {
        now >= self.banned_until && self.requests.window != now.0 / RAW_WINDOW && self.bans == 0
    }
    fn seen(&self) -> Timestamp {
        self.seen.max(self.banned_until)
    }
}

impl Tracked for Account {
    fn is_spent(&self, now: Timestamp) -> bool {
        self.day.window != now.0 / DAY
    }
    fn seen(&self) -> Timestamp {
        self.seen
    }
}

/// Counts by key, in a bounded table.
struct Table<K, V> {
    shards: [Mutex<HashMap<K, V>>; SHARDS],
    hasher: RandomState,
    capacity: usize,
}

impl<K: Hash + Eq + Copy, V: Tracked> Table<K, V> {
    fn new(capacity: usize) -> Self {
        let capacity = capacity.div_ceil(SHARDS).max(1);
        Self { shards: std::array::from_fn(|_| Mutex::default()), hasher: RandomState::new(), capacity }
    }

    fn with<T>(&self, key: K, now: Timestamp, change: impl FnOnce(&mut V) -> T) -> T {
        let shard = usize::try_from(self.hasher.hash_one(key) % SHARDS as u64).unwrap_or(0);
        let mut shard = self.shards[shard].lock();
        if let Some(value) = shard.get_mut(&key) {
            return change(value);
        }
        if shard.len() >= self.capacity {
            shard.retain(|_, value| !value.is_spent(now));
        }
        if shard.len() >= self.capacity {
            // An eighth at a time, so that a flood of new keys does not sort the table for each of them.
            let mut seen: Vec<Timestamp> = shard.values().map(V::seen).collect();
            let at = seen.len() / 8;
            let (_, oldest, _) = seen.select_nth_unstable(at);
            let oldest = *oldest;
            shard.retain(|_, value| value.seen() > oldest);
        }
        change(shard.entry(key).or_default())
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp(1_700_000_040 * SECOND);

    fn later(seconds: u64) -> Timestamp {
        Timestamp(START.0 + seconds * SECOND)
    }

    fn limits(config: LimitsConfig) -> Limits {
        Limits::new(config)
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
        assert_eq!((over.status.as_u16(), over.code, over.retry_after), (429, -1003, Some(40)));
        assert!(
            over.message.starts_with("Too much request weight used; current limit is 10 request weight per 1 MINUTE.")
        );
        assert_eq!(limits.charge(ip(1), 5, later(60)), Ok(5));
        assert_eq!(limits.refund(ip(1), 5, later(60), later(61)), 0);
        assert_eq!(limits.charge(ip(1), 5, later(119)), Ok(5));
        assert_eq!(limits.refund(ip(1), 5, later(119), later(120)), 0, "nothing to give back in the next minute");
    }

    #[test]
    fn requests_count_too() {
        let limits = limits(LimitsConfig { raw_requests_5m: 2, ..LimitsConfig::default() });
        assert!(limits.charge(ip(1), 0, START).is_ok() && limits.charge(ip(1), 0, START).is_ok());
        assert_eq!(limits.charge(ip(1), 0, START).unwrap_err().status.as_u16(), 429);
    }

    #[test]
    fn going_on_after_429_is_a_ban_that_grows() {
        let limits = limits(LimitsConfig { request_weight_1m: 1, ban_after: 2, ..LimitsConfig::default() });
        let statuses = |at| std::iter::repeat_with(move || at).map(|at| limits.charge(ip(1), 1, at));
        let first: Vec<_> = statuses(START).take(5).map(|r| r.map_or_else(|e| e.status.as_u16(), |_| 200)).collect();
        assert_eq!(first, [200, 429, 429, 418, 418]);
        let still = limits.charge(ip(1), 1, later(119)).unwrap_err();
        assert_eq!((still.status.as_u16(), still.retry_after), (418, Some(1)));
        assert!(still.message.contains(&format!("IP banned until {}", later(120).millis())));
        assert_eq!(limits.charge(ip(1), 1, later(120)), Ok(1));
        for _ in 0..2 {
            assert_eq!(limits.charge(ip(1), 1, later(120)).unwrap_err().status.as_u16(), 429);
        }
        let second = limits.charge(ip(1), 1, later(120)).unwrap_err();
        assert_eq!(second.retry_after, Some(240), "twice as long");
    }

    #[test]
    fn orders_count_per_account() {
        let limits = limits(LimitsConfig { orders_10s: 2, orders_1d: 3, ..LimitsConfig::default() });
        let (one, other) = (AccountId(1001), AccountId(1002));
        assert_eq!(limits.count_order(one, START), Ok(OrderCount { short: 1, day: 1 }));
        assert_eq!(limits.count_order(one, START), Ok(OrderCount { short: 2, day: 2 }));
        let over = limits.count_order(one, later(1)).unwrap_err();
        assert_eq!((over.status.as_u16(), over.code, over.retry_after), (429, -1015, Some(9)));
        assert_eq!(over.message, "Too many new orders; current limit is 2 orders per 10 SECOND.");
        assert!(limits.count_order(other, later(1)).is_ok());
        assert_eq!(limits.count_order(one, later(10)), Ok(OrderCount { short: 1, day: 3 }));
        assert!(limits.count_order(one, later(20)).unwrap_err().message.contains("per 1 DAY"));
        assert_eq!(limits.uncount_orders(one, 5, later(20)), OrderCount { short: 0, day: 0 });
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
        let limits = limits(LimitsConfig { tracked_max: 1_600, ..LimitsConfig::default() });
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
