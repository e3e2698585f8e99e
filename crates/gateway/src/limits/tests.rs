//! Limits of one gateway, for itself.

use super::*;

pub(super) const START: Timestamp = Timestamp(1_700_000_040 * SECOND);

pub(super) fn later(seconds: u64) -> Timestamp {
    Timestamp(START.0 + seconds * SECOND)
}

/// No time passes but what the tests say.
pub(super) fn limits(config: LimitsConfig) -> Limits {
    static BEGIN: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    Limits::by(Clock::new(|| *BEGIN), config)
}

fn is_ban(error: LimitError) -> bool {
    matches!(error, LimitError::Banned { .. })
}

pub(super) fn ip(last: u8) -> IpAddr {
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
