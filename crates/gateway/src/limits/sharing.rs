//! How the gateways of a cluster limit together: each tells the others from time to time what it has counted, and hears
//! what all have counted in the same windows. Nobody waits for it; between two exchanges a gateway goes by what it last
//! heard and what it has counted itself since.
//!
//! - An exchange concerns the clients that have asked something here since the last one. A client that turns up at
//!   another gateway is known there with everything after the next exchange.
//! - Windows are named by their beginning, so what arrives late counts in no other window.
//! - An exchange whose outcome is unknown is repeated as it was, under its number, and counts once. Meanwhile the
//!   gateway goes on counting for itself.
//! - Of the first fill of an order that rests, every gateway learns. One of them, which the store names
//!   ([`Answer::gives_credits`]), gives the credit for all. If it fails, the next one is named within
//!   [`Limits::credit_lease`]; what fills meanwhile gets no credit.
//! - A ban is known to all gateways after their next exchange. Its end is told in the time of the machine's clock.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crossbook_types::{AccountId, Timestamp};
use parking_lot::Mutex;

use super::count::Count;
use super::table::Touch;
use super::{BAN_MAX_MICROS, DAY, Limits, MINUTE, ORDER_WINDOW, RAW_WINDOW};

/// How many exchanges a gateway may miss before another gives the credits.
const CREDIT_LEASE_INTERVALS: u64 = 4;
/// It may miss them for so long, however short the interval is.
const CREDIT_LEASE_MIN: Duration = Duration::from_secs(2);

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Counter {
    /// Request weight of an address in a minute.
    Weight,
    /// Requests of an address in five minutes.
    Requests,
    /// Requests of an address over its limit in a minute.
    Refusals,
    /// Orders of an account in ten seconds.
    Orders,
    /// Orders of an account in a day.
    OrdersOfDay,
}

impl Counter {
    /// The length of its windows.
    #[must_use]
    pub fn window(self) -> Duration {
        Duration::from_micros(self.micros())
    }

    fn micros(self) -> u64 {
        match self {
            Self::Weight | Self::Refusals => MINUTE,
            Self::Requests => RAW_WINDOW,
            Self::Orders => ORDER_WINDOW,
            Self::OrdersOfDay => DAY,
        }
    }
}

/// Whom a count concerns.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Subject {
    /// An address, as [`client`](super::client) has it.
    Address(IpAddr),
    /// An account.
    Account(AccountId),
}

/// What a gateway has counted of a client in a window.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// What was counted.
    pub counter: Counter,
    /// When the window began.
    pub begin: Timestamp,
    /// Of whom.
    pub subject: Subject,
    /// What is to be added to the sum; negative when more was taken back than counted.
    pub add: i64,
    /// What is to be subtracted from it then, to zero at least, if this gateway gives the credits.
    pub credit: u64,
}

/// An address that is banned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ban {
    /// The address, as [`client`](super::client) has it.
    pub address: IpAddr,
    /// When the ban ends, by the machine's clock.
    pub until: Timestamp,
    /// How often the address has been banned, with this time.
    pub bans: u32,
}

/// What a gateway tells the others, and asks of them: the sums of all lines.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Batch {
    /// Higher than those of all earlier batches of this gateway. One that is sent again keeps its number.
    pub number: u64,
    /// What was counted.
    pub lines: Vec<Line>,
    /// Addresses that are banned now.
    pub bans: Vec<Ban>,
    /// How long this gateway gives the credits, if no other does.
    pub credit_lease: Duration,
}

/// What the others have counted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The sum over all gateways for each line of the batch; `None` where too many clients are tracked in the window.
    pub sums: Vec<Option<i64>>,
    /// Whether this gateway gives the credits.
    pub gives_credits: bool,
    /// Addresses that other gateways have banned since the last exchange.
    pub bans: Vec<Ban>,
    /// Whether there are more of them.
    pub more_bans: bool,
}

/// Why an exchange failed.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Where the gateways of a cluster add up what they count.
pub trait SharedCounts: Send {
    /// Adds a batch, once even if it is sent again, and gives the sums. Waits for the answer, but not without bound.
    ///
    /// # Errors
    /// When it is not known whether the batch was added; it is to be sent again as it is.
    fn exchange(&mut self, batch: &Batch) -> Result<Answer, Failure>;
}

/// What the limits of a gateway have for exchanges.
#[derive(Default)]
pub(super) struct Sharing {
    is_on: AtomicBool,
    bans: Mutex<Vec<Ban>>,
    /// In the time of the limits: until then another gateway gives the credits.
    others_give_until: AtomicU64,
}

impl Sharing {
    pub(super) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    /// The entry is to be exchanged.
    pub(super) fn touch(&self, touch: &mut Touch) {
        touch.wanted = self.is_on();
    }

    /// Has the other gateways told of a ban, unless so many wait for it already.
    pub(super) fn share_ban(&self, ban: Ban, max: usize) {
        let mut bans = self.bans.lock();
        if self.is_on() && bans.len() < max {
            bans.push(ban);
        }
    }

    pub(super) fn gives_credits(&self, now: Timestamp) -> bool {
        now.0 >= self.others_give_until.load(Ordering::Relaxed)
    }
}

impl Limits {
    /// How long a gateway gives the credits for all after an exchange.
    #[must_use]
    pub fn credit_lease(&self) -> Duration {
        let intervals = self.config.exchange_interval_ms.saturating_mul(CREDIT_LEASE_INTERVALS);
        Duration::from_millis(intervals).max(CREDIT_LEASE_MIN)
    }

    /// Whether there is something to tell.
    fn has_news(&self) -> bool {
        self.addresses.has_queued() || self.accounts.has_queued() || !self.sharing.bans.lock().is_empty()
    }

    /// What there is to tell of so many clients, and whether there is more.
    fn tell(&self, number: u64, now: Timestamp) -> (Batch, bool) {
        let now = self.clock.read(now);
        let max = self.config.exchange_clients_max;
        let shard = usize::try_from(number).unwrap_or(0);
        let mut lines = Vec::new();
        let more_accounts = self.accounts.drain(shard, max, |account, counts| {
            let subject = Subject::Account(account);
            let [short, day] = [(&mut counts.short, Counter::Orders), (&mut counts.day, Counter::OrdersOfDay)]
                .map(|(count, counter)| tell(count, counter, subject, now, &mut lines));
            counts.touch.wanted = short || day;
        });
        let more_addresses = self.addresses.drain(shard, max, |address, counts| {
            let subject = Subject::Address(address);
            tell(&mut counts.requests, Counter::Requests, subject, now, &mut lines);
            tell(&mut counts.weight, Counter::Weight, subject, now, &mut lines);
            // Few have any.
            if counts.refusals.at(now, MINUTE) > 0 {
                tell(&mut counts.refusals, Counter::Refusals, subject, now, &mut lines);
            }
        });
        let mut waiting = self.sharing.bans.lock();
        let first = waiting.len().min(max);
        let bans = waiting.drain(..first).collect();
        let more = more_accounts || more_addresses || !waiting.is_empty();
        (Batch { number, lines, bans, credit_lease: self.credit_lease() }, more)
    }

    /// Takes what the others have counted.
    fn hear(&self, batch: &Batch, answer: &Answer, now: Timestamp) {
        let (told, now) = (now, self.clock.read(now));
        let lease = u64::try_from(batch.credit_lease.as_micros()).unwrap_or(u64::MAX);
        let others_give_until = if answer.gives_credits { 0 } else { now.0.saturating_add(lease) };
        self.sharing.others_give_until.store(others_give_until, Ordering::Relaxed);
        for (line, sum) in batch.lines.iter().zip(&answer.sums) {
            let window = line.begin.0 / line.counter.micros();
            match line.subject {
                Subject::Account(account) => self.accounts.change(&account, |counts| {
                    let count = if line.counter == Counter::Orders { &mut counts.short } else { &mut counts.day };
                    count.hear(window, *sum);
                }),
                Subject::Address(address) => self.addresses.change(&address, |counts| {
                    let count = match line.counter {
                        Counter::Requests => &mut counts.requests,
                        Counter::Refusals => &mut counts.refusals,
                        _ => &mut counts.weight,
                    };
                    count.hear(window, *sum);
                }),
            }
        }
        answer.bans.iter().for_each(|ban| self.hear_ban(*ban, told, now));
    }

    fn hear_ban(&self, ban: Ban, told: Timestamp, now: Timestamp) {
        let left = ban.until.0.saturating_sub(told.0).min(BAN_MAX_MICROS);
        if left == 0 {
            return;
        }
        let begins = self.addresses.with(ban.address, now, |address| {
            let begins = now >= address.banned_until;
            address.banned_until = address.banned_until.max(Timestamp(now.0.saturating_add(left)));
            address.bans = address.bans.max(ban.bans);
            begins
        });
        if begins {
            self.act_on_ban(ban.address);
        }
    }
}

/// Adds a line; whether its sum lacks a credit that another gateway gives.
fn tell(count: &mut Count, counter: Counter, subject: Subject, now: Timestamp, lines: &mut Vec<Line>) -> bool {
    let length = counter.micros();
    count.at(now, length);
    let told = count.tell();
    let begin = Timestamp(count.window().saturating_mul(length));
    lines.push(Line { counter, begin, subject, add: told.add, credit: told.credit });
    told.awaits_credit
}

/// Exchanges what the limits of a gateway count.
pub struct Exchanger<S> {
    limits: Arc<Limits>,
    shared: S,
    /// What was sent without an answer.
    unanswered: Option<(Batch, bool)>,
    number: u64,
}

impl<S: SharedCounts> Exchanger<S> {
    /// From now on the limits remember what is to be exchanged.
    #[must_use]
    pub fn new(limits: Arc<Limits>, shared: S) -> Self {
        limits.sharing.is_on.store(true, Ordering::Relaxed);
        Self { limits, shared, unanswered: None, number: 0 }
    }

    /// Exchanges once; gives whether there is more to exchange at once. Nothing is asked if nothing was counted since
    /// the last exchange: `None`.
    ///
    /// # Errors
    /// When the exchange fails. Nothing is lost by it: the next call sends the same again.
    pub fn exchange(&mut self, now: impl Fn() -> Timestamp) -> Result<Option<bool>, Failure> {
        let (batch, more) = match self.unanswered.take() {
            Some(unanswered) => unanswered,
            None if !self.limits.has_news() => return Ok(None),
            None => {
                self.number += 1;
                self.limits.tell(self.number, now())
            }
        };
        match self.shared.exchange(&batch) {
            Ok(answer) => {
                self.limits.hear(&batch, &answer, now());
                Ok(Some(more || answer.more_bans))
            }
            Err(failure) => {
                self.unanswered = Some((batch, more));
                Err(failure)
            }
        }
    }
}

#[cfg(test)]
mod tests;
