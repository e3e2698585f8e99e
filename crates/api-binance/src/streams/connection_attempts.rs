//! Counts the WebSocket connections that each address has opened lately. Windows are aligned to the clock, like all
//! limits of the API, and none begins twice: a time of an earlier window counts in the newest.

use std::collections::HashMap;
use std::net::IpAddr;

use crossbook_types::Timestamp;
use parking_lot::Mutex;

use crossbook_gateway::limits;

/// Most addresses counted in one window; beyond it new ones are refused until the next.
const ADDRESSES_MAX: usize = 100_000;

/// ConnectionAttempts by address in the present window.
#[derive(Debug, Default)]
pub struct ConnectionAttempts {
    counted: Mutex<Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    window: u64,
    by_address: HashMap<IpAddr, u32>,
}

impl ConnectionAttempts {
    /// Counts an attempt.
    ///
    /// # Errors
    /// When there are too many; with the seconds until the next window.
    pub fn admit(&self, ip: IpAddr, now: Timestamp, max: u32, window_millis: u64) -> Result<(), u64> {
        let ip = limits::client(ip);
        let window_millis = window_millis.max(1);
        let window = now.millis() / window_millis;
        let mut counted = self.counted.lock();
        if window > counted.window {
            *counted = Counted { window, ..Counted::default() };
        }
        let end = counted.window.saturating_add(1).saturating_mul(window_millis);
        let wait_seconds = end.saturating_sub(now.millis()).div_ceil(1_000).max(1);
        if counted.by_address.len() >= ADDRESSES_MAX && !counted.by_address.contains_key(&ip) {
            return Err(wait_seconds);
        }
        let count = counted.by_address.entry(ip).or_default();
        if *count >= max {
            return Err(wait_seconds);
        }
        *count += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_its_share_of_each_window() {
        let attempts = ConnectionAttempts::default();
        let (one, other) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let at = Timestamp::from_millis;
        assert_eq!(attempts.admit(one, at(10_000), 2, 10_000), Ok(()));
        assert_eq!(attempts.admit(one, at(12_500), 2, 10_000), Ok(()));
        assert_eq!(attempts.admit(one, at(12_500), 2, 10_000), Err(8));
        assert_eq!(attempts.admit(other, at(12_500), 2, 10_000), Ok(()));
        assert_eq!(attempts.admit(one, at(20_000), 2, 10_000), Ok(()));
    }

    #[test]
    fn a_time_of_an_earlier_window_counts_in_the_newest() {
        let attempts = ConnectionAttempts::default();
        let admit = |millis| attempts.admit(IpAddr::from([127, 0, 0, 1]), Timestamp::from_millis(millis), 2, 10_000);
        assert_eq!((admit(20_000), admit(19_900)), (Ok(()), Ok(())));
        assert_eq!((admit(20_000), admit(19_900)), (Err(10), Err(11)));
    }

    /// Otherwise the owner of many addresses could connect once more with each, and would fill the table for everybody
    /// else.
    #[test]
    fn an_ipv6_network_has_one_share() {
        let attempts = ConnectionAttempts::default();
        let from = |text: &str| attempts.admit(text.parse().unwrap(), Timestamp::from_millis(0), 2, 10_000).is_ok();
        assert!(from("2001:db8::1") && from("2001:db8::2"));
        assert!(!from("2001:db8::ffff:3"));
        assert!(from("2001:db8:0:1::1"));
        assert_eq!(attempts.counted.lock().by_address.len(), 2);
    }
}
