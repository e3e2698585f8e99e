//! Rate limits. Request weight and the number of requests are counted per address, orders per account, each in windows
//! aligned to the clock. An address that continues after it was refused is banned, longer each time.
//!
//! The caller passes the machine's time. Counting uses a time derived from it that never goes back ([`clock`]), so no
//! window begins twice. All tables are bounded; a full table drops its oldest entries first.
//!
//! The gateways of a cluster add up what they count ([`sharing`]); a gateway alone has only its own counts.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crossbook_types::{AccountId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::facts::{FillSubscriber, FirstFill};
use clock::Clock;
use count::Count;
use sharing::Sharing;
use table::{Table, Touch, Tracked};

mod clock;
mod count;
pub mod sharing;
mod table;

const SECOND: u64 = 1_000_000;
const MINUTE: u64 = 60 * SECOND;
const RAW_WINDOW: u64 = 5 * MINUTE;
const ORDER_WINDOW: u64 = 10 * SECOND;
const DAY: u64 = 24 * 60 * MINUTE;
/// Length of the first ban; each further one is twice as long.
const BAN_FIRST: u64 = 2 * MINUTE;
/// Length of the longest ban.
pub const BAN_MAX: Duration = Duration::from_micros(BAN_MAX_MICROS);
const BAN_MAX_MICROS: u64 = 3 * DAY;

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
    /// Milliseconds after which the gateways of a cluster exchange what they have counted; 0: never, each counts for
    /// itself.
    pub exchange_interval_ms: u64,
    /// Maximum number of addresses and accounts in one exchange.
    pub exchange_clients_max: usize,
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
            exchange_interval_ms: 500,
            exchange_clients_max: 100,
        }
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
    touch: Touch,
}

#[derive(Clone, Copy, Debug, Default)]
struct Account {
    short: Count,
    day: Count,
    seen: Timestamp,
    touch: Touch,
}

impl Address {
    /// Counts a request of `weight`; gives the weight used in this minute, or the limit that it is over, the length of
    /// its window, and the seconds until that ends.
    fn charge(&mut self, weight: u64, now: Timestamp, config: &LimitsConfig) -> Result<u64, (u64, u64, u64)> {
        let requests = self.requests.add(1, now, RAW_WINDOW);
        let used = self.weight.add(weight, now, MINUTE);
        if exceeds(used, config.request_weight_1m) {
            Err((config.request_weight_1m, MINUTE, self.weight.seconds_left(now, MINUTE)))
        } else if exceeds(requests, config.raw_requests_5m) {
            Err((config.raw_requests_5m, RAW_WINDOW, self.requests.seconds_left(now, RAW_WINDOW)))
        } else {
            Ok(used)
        }
    }
}

impl Account {
    /// The counts, and the lengths of their windows.
    fn windows(&mut self) -> [(&mut Count, u64); 2] {
        [(&mut self.short, ORDER_WINDOW), (&mut self.day, DAY)]
    }

    /// As the counts are, without advancing to another window.
    fn orders(&self) -> OrderCount {
        OrderCount { short: self.short.get(), day: self.day.get() }
    }
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
    sharing: Sharing,
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
        Self { config, clock, addresses, accounts, on_ban: OnceLock::new(), sharing: Sharing::default() }
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
        let mut begun = None;
        let charged = self.addresses.with(client, now, |address| {
            address.seen = now;
            if now < address.banned_until {
                return Err(banned(address.banned_until, now, told));
            }
            self.sharing.touch(&mut address.touch);
            let (limit, window, retry_after) = match address.charge(weight, now, &self.config) {
                Ok(used) => return Ok(used),
                Err(over) => over,
            };
            let refusals = address.refusals.add(1, now, MINUTE);
            if exceeds(refusals, self.config.ban_after) {
                let length = BAN_FIRST.saturating_mul(1 << address.bans.min(20)).min(BAN_MAX_MICROS);
                address.bans = address.bans.saturating_add(1);
                address.banned_until = Timestamp(now.0.saturating_add(length));
                begun = Some((length, address.bans));
                return Err(banned(address.banned_until, now, told));
            }
            Err(LimitError::Requests { limit, window_seconds: window / SECOND, retry_after })
        });
        if let Some((length, bans)) = begun {
            let until = Timestamp(told.0.saturating_add(length));
            self.sharing.share_ban(sharing::Ban { address: client, until, bans }, self.config.tracked_clients_max);
            self.act_on_ban(client);
        }
        charged
    }

    fn act_on_ban(&self, client: IpAddr) {
        if let Some(act) = self.on_ban.get() {
            act(client);
        }
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
            self.sharing.touch(&mut address.touch);
            address.weight.at(now, MINUTE);
            address.weight.take_back(weight, then, MINUTE);
            address.weight.get()
        })
    }

    /// Counts a new order.
    ///
    /// # Errors
    /// [`LimitError::Orders`] over a limit; the order is not counted then.
    pub fn count_order(&self, account: AccountId, now: Timestamp) -> Result<OrderCount, LimitError> {
        self.count_orders(account, 1, now)
    }

    /// Counts the new orders of a list.
    ///
    /// # Errors
    /// [`LimitError::Orders`] if they would exceed a limit; none is counted then.
    pub fn count_orders(&self, account: AccountId, orders: u64, now: Timestamp) -> Result<OrderCount, LimitError> {
        let now = self.clock.read(now);
        self.accounts.with(account, now, |counts| {
            counts.seen = now;
            self.sharing.touch(&mut counts.touch);
            let (short, day) = (counts.short.at(now, ORDER_WINDOW), counts.day.at(now, DAY));
            let counted = OrderCount { short, day };
            if exceeds(short + orders, self.config.orders_10s) {
                let left = counts.short.seconds_left(now, ORDER_WINDOW);
                return Err(too_many_orders(self.config.orders_10s, ORDER_WINDOW, left, counted));
            }
            if exceeds(day + orders, self.config.orders_1d) {
                let left = counts.day.seconds_left(now, DAY);
                return Err(too_many_orders(self.config.orders_1d, DAY, left, counted));
            }
            Ok(OrderCount { short: counts.short.add(orders, now, ORDER_WINDOW), day: counts.day.add(orders, now, DAY) })
        })
    }

    /// Takes back the count of an order that was counted when the clock showed `counted`, and was never placed. Where a
    /// window has ended since, it ended with that order in it.
    pub fn order_not_placed(&self, account: AccountId, counted: Timestamp, now: Timestamp) {
        self.orders_not_placed(account, 1, counted, now);
    }

    /// The same of the orders of a list.
    pub fn orders_not_placed(&self, account: AccountId, orders: u64, counted: Timestamp, now: Timestamp) {
        let (then, now) = self.then_and_now(counted, now);
        self.accounts.with(account, now, |counts| {
            self.sharing.touch(&mut counts.touch);
            counts.short.take_back(orders, then, ORDER_WINDOW);
            counts.day.take_back(orders, then, DAY);
        });
    }

    /// Gives back up to `orders`, because one of the account's traded for the first time: from the current counts,
    /// whenever it was placed.
    pub fn order_traded(&self, account: AccountId, orders: u64, now: Timestamp) -> OrderCount {
        let now = self.clock.read(now);
        self.accounts.with(account, now, |counts| {
            self.sharing.touch(&mut counts.touch);
            for (count, length) in counts.windows() {
                count.at(now, length);
                count.reduce(orders);
            }
            counts.orders()
        })
    }

    /// The weight an address has used in this minute.
    pub fn used_weight(&self, ip: IpAddr, now: Timestamp) -> u64 {
        let now = self.clock.read(now);
        self.addresses.with(client(ip), now, |address| address.weight.at(now, MINUTE))
    }

    /// The orders an account has placed in the current windows.
    pub fn order_count(&self, account: AccountId, now: Timestamp) -> OrderCount {
        let now = self.clock.read(now);
        self.accounts.with(account, now, |counts| {
            for (count, length) in counts.windows() {
                count.at(now, length);
            }
            counts.orders()
        })
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
///
/// Every gateway learns of every first fill, and one of them gives the credit for all; see [`sharing`].
impl FillSubscriber for Limits {
    fn first_fill(&self, fill: FirstFill, now: Timestamp) {
        let orders = if fill.maker { ORDERS_BACK_FOR_MAKERS } else { ORDERS_BACK_FOR_TAKERS };
        if !self.sharing.is_on() {
            self.order_traded(fill.account, orders, now);
            return;
        }
        let now = self.clock.read(now);
        let gives = self.sharing.gives_credits(now);
        let credit = |counts: &mut Account| {
            let mut reduced = 0;
            for (count, length) in counts.windows() {
                count.at(now, length);
                reduced += count.credit(orders, gives);
            }
            if gives || reduced > 0 {
                self.sharing.touch(&mut counts.touch);
            }
        };
        if gives {
            self.accounts.with(fill.account, now, credit);
        } else {
            self.accounts.change(&fill.account, credit);
        }
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
        now >= self.banned_until && self.requests.window() < now.0 / RAW_WINDOW && self.bans == 0
    }
    fn seen(&self) -> Timestamp {
        self.seen.max(self.banned_until)
    }
    fn touch(&mut self) -> &mut Touch {
        &mut self.touch
    }
}

impl Tracked for Account {
    fn is_spent(&self, now: Timestamp) -> bool {
        self.day.window() < now.0 / DAY
    }
    fn seen(&self) -> Timestamp {
        self.seen
    }
    fn touch(&mut self) -> &mut Touch {
        &mut self.touch
    }
}

#[cfg(test)]
mod tests;
