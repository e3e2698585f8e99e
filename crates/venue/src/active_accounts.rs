//! Counts the accounts that have placed orders lately.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crossbook_types::AccountId;
use parking_lot::{RwLock, RwLockReadGuard};

/// What counts as lately, as the label and in seconds.
const WINDOWS: [(&str, u32); 3] = [("5m", 300), ("1h", 3_600), ("1d", 86_400)];
/// Accounts for which room is made at a time.
const ROOM: usize = 1_024;

/// When each account placed its last order: four bytes for each account of the venue, in the order of their numbers.
#[derive(Debug)]
pub struct ActiveAccounts {
    begun: Instant,
    /// Seconds since `begun`, from one on; zero if there was no order.
    last: RwLock<Vec<AtomicU32>>,
}

impl Default for ActiveAccounts {
    fn default() -> Self {
        Self { begun: Instant::now(), last: RwLock::default() }
    }
}

impl ActiveAccounts {
    /// Begins to note who places orders now.
    #[must_use]
    pub fn note(&self) -> Noting<'_> {
        Noting { accounts: self, second: second(self.begun.elapsed()), last: Some(self.last.read()) }
    }

    /// Records how many accounts are active.
    pub fn record(&self) {
        for (window, active) in self.count(second(self.begun.elapsed())) {
            metrics::gauge!("crossbook_active_accounts", "window" => window).set(active as f64);
        }
    }

    /// By window, the accounts with an order in the seconds before `now`.
    fn count(&self, now: u32) -> [(&'static str, u64); WINDOWS.len()] {
        let mut counts = WINDOWS.map(|(window, _)| (window, 0));
        for last in self.last.read().iter().map(|last| last.load(Ordering::Relaxed)).filter(|last| *last > 0) {
            for ((_, count), (_, seconds)) in counts.iter_mut().zip(WINDOWS) {
                *count += u64::from(now.saturating_sub(last) < seconds);
            }
        }
        counts
    }
}

/// The number of the second that is running, from one on.
fn second(elapsed: Duration) -> u32 {
    u32::try_from(elapsed.as_secs()).unwrap_or(u32::MAX).saturating_add(1)
}

/// Notes accounts, all at the time at which it was begun.
#[derive(Debug)]
pub struct Noting<'a> {
    accounts: &'a ActiveAccounts,
    second: u32,
    /// Absent only while there is being made more room.
    last: Option<RwLockReadGuard<'a, Vec<AtomicU32>>>,
}

impl Noting<'_> {
    /// An account has placed an order. The venue's own accounts are not counted.
    pub fn placed(&mut self, account: AccountId) {
        let Some(at) = account.0.checked_sub(AccountId::FIRST_CLIENT.0) else { return };
        let Ok(at) = usize::try_from(at) else { return };
        if self.last.as_ref().is_none_or(|last| last.len() <= at) {
            self.last = None;
            let mut last = self.accounts.last.write();
            // Somebody else may have made more room meanwhile.
            let wanted = last.len().max((at / ROOM + 1) * ROOM);
            last.resize_with(wanted, AtomicU32::default);
        }
        let last = self.last.get_or_insert_with(|| self.accounts.last.read());
        if let Some(last) = last.get(at) {
            last.store(self.second, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_counts_for_as_long_as_each_window() {
        let accounts = ActiveAccounts::default();
        assert_eq!(accounts.count(1), [("5m", 0), ("1h", 0), ("1d", 0)]);
        let mut noting = accounts.note();
        for number in [1, 1001, 1001, 1002, 1001 + 3 * ROOM as u64] {
            noting.placed(AccountId(number));
        }
        let at = noting.second;
        drop(noting);
        for (later, counted) in
            [(0, [3, 3, 3]), (299, [3, 3, 3]), (300, [0, 3, 3]), (3_600, [0, 0, 3]), (86_400, [0; 3])]
        {
            assert_eq!(accounts.count(at + later).map(|(_, count)| count), counted, "{later} s later");
        }
        // Whoever comes back counts again; room is never taken away.
        let mut noting = Noting { accounts: &accounts, second: at + 400, last: Some(accounts.last.read()) };
        noting.placed(AccountId(1001));
        drop(noting);
        assert_eq!(accounts.count(at + 400), [("5m", 1), ("1h", 3), ("1d", 3)]);
    }
}
