//! The machine's clock: checked against the log when a process starts, and monitored while it runs. Jumps are reported
//! in log lines, metrics and on the admin address; trading continues, because the process cannot know which time is
//! right.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, SecondsFormat};
use crossbook_node::clock::{Clocks, Jump, Reading, Watch};
use crossbook_types::Timestamp;
use parking_lot::Mutex;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

use crate::process;

/// How far the clock may be off.
pub use crate::config::ClockOptions as Options;

/// The clock shows a time long before the log's last command.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "this machine's clock says {}, but the last command in the log is of {}, {} later. One of the two was wrong. Set \
     the clock right and start again. If it is right, start with --accept-clock: until it has passed the log's last \
     time, every command carries that time instead of its own",
    shown(*clock),
    shown(*log),
    length(log.0.saturating_sub(clock.0))
)]
pub struct Behind {
    /// What the clock shows.
    pub clock: Timestamp,
    /// The time of the log's last command.
    pub log: Timestamp,
}

/// Compares the clock with the last command of a log, at a start.
///
/// # Errors
/// When it is behind by more than it may, unless that is `accepted`.
pub fn check(options: Options, clock: Timestamp, log: Timestamp, accepted: bool) -> Result<(), Behind> {
    if log.0.saturating_sub(clock.0) <= options.behind_log_max_ms.saturating_mul(1_000) {
        return Ok(());
    }
    let behind = Behind { clock, log };
    if !accepted {
        return Err(behind);
    }
    tracing::warn!(
        clock = shown(clock),
        log = shown(log),
        "the clock is before the log's last command, as --accept-clock says; commands carry the log's last time until \
         it has passed that"
    );
    Ok(())
}

/// The clocks of this machine.
#[derive(Clone, Copy, Debug)]
pub struct SystemClocks;

impl Clocks for SystemClocks {
    fn read(&self) -> Reading {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // Goes on while the machine sleeps, so that waking up is no jump.
        let steady = clock_gettime(ClockId::Boottime);
        let seconds = Duration::from_secs(u64::try_from(steady.tv_sec).unwrap_or_default());
        Reading {
            wall: Timestamp(u64::try_from(wall.as_micros()).unwrap_or(u64::MAX)),
            steady: seconds + Duration::from_nanos(u64::try_from(steady.tv_nsec).unwrap_or_default()),
        }
    }
}

/// The time on this machine's clock.
#[must_use]
pub fn now() -> Timestamp {
    SystemClocks.read().wall
}

/// Returns the time of the last command that this process knows, if any.
pub type LogTime = Box<dyn Fn() -> Option<Timestamp> + Send + Sync>;

/// Returns by how many microseconds the clock of the store that timestamps commands is behind this machine's.
pub type StoreBehind = Box<dyn Fn() -> u64 + Send + Sync>;

/// Watches the clock of this machine.
pub struct Monitor {
    clocks: Box<dyn Clocks>,
    log_time: LogTime,
    store_behind: StoreBehind,
    options: Options,
    state: Mutex<State>,
}

struct State {
    watch: Watch,
    /// By how many microseconds the clock was behind the log at the last check.
    behind: u64,
    /// Whether a warning reported that this is too much.
    warned_behind: bool,
    /// By how many microseconds the clock was ahead of the store's at the last check.
    ahead: u64,
    /// Whether a warning reported that this is too much.
    warned_ahead: bool,
}

impl Monitor {
    /// A monitor of these clocks, which compares them with the last command known.
    #[must_use]
    pub fn new(options: Options, clocks: impl Clocks + 'static, log_time: LogTime) -> Self {
        let watch = Watch::new(Duration::from_millis(options.jump_max_ms));
        let state = Mutex::new(State { watch, behind: 0, warned_behind: false, ahead: 0, warned_ahead: false });
        Self { clocks: Box::new(clocks), log_time, store_behind: Box::new(|| 0), options, state }
    }

    /// Compares the clock with that of a store, too.
    #[must_use]
    pub fn with_store(self, store_behind: StoreBehind) -> Self {
        Self { store_behind, ..self }
    }

    /// Watches the clocks of this machine for as long as the runtime runs.
    pub fn start(options: Options, log_time: LogTime) -> Arc<Self> {
        Self::new(options, SystemClocks, log_time).run(options)
    }

    /// Checks the clocks at each interval for as long as the runtime runs.
    pub fn run(self, options: Options) -> Arc<Self> {
        let monitor = Arc::new(self);
        let watching = Arc::clone(&monitor);
        process::spawn_vital("the watch of the clock", async move {
            let mut interval = tokio::time::interval(Duration::from_millis(options.check_interval_ms.max(1)));
            loop {
                interval.tick().await;
                watching.look();
            }
        });
        monitor
    }

    /// Checks the clocks once, and reports what is wrong with them.
    pub fn look(&self) {
        let reading = self.clocks.read();
        let log = (self.log_time)();
        let mut state = self.state.lock();
        if let Some(Jump { by, at }) = state.watch.look(reading) {
            let direction = if by < 0 { "back" } else { "forward" };
            metrics::counter!("crossbook_clock_jumps_total", "direction" => direction).increment(1);
            tracing::error!(
                direction,
                by = length(by.unsigned_abs()),
                now = shown(at),
                "the machine's clock was set; commands carry its time, and never an earlier one than the command before"
            );
        }
        state.behind = log.map_or(0, |log| log.0.saturating_sub(reading.wall.0));
        let too_much = self.is_too_much(state.behind);
        if too_much != std::mem::replace(&mut state.warned_behind, too_much) {
            match log.filter(|_| too_much) {
                Some(log) => tracing::error!(
                    by = length(state.behind),
                    "the machine's clock is before the last command: until it shows {}, every command carries that \
                     time",
                    shown(log)
                ),
                None => tracing::info!("the machine's clock is no longer before the last command"),
            }
        }
        state.ahead = (self.store_behind)();
        let too_much = self.is_too_much(state.ahead);
        if too_much != std::mem::replace(&mut state.warned_ahead, too_much) {
            if too_much {
                tracing::error!(
                    by = length(state.ahead),
                    "the clock of the store is behind this machine's: commands carry the store's time; set one of the \
                     two right"
                );
            } else {
                tracing::info!("the clock of the store is no longer behind this machine's");
            }
        }
        metrics::gauge!("crossbook_clock_ahead_of_store_seconds").set(state.ahead as f64 / 1e6);
        metrics::gauge!("crossbook_clock_deviation_seconds").set(state.watch.deviation() as f64 / 1e6);
        metrics::gauge!("crossbook_clock_behind_log_seconds").set(state.behind as f64 / 1e6);
    }

    fn is_too_much(&self, behind: u64) -> bool {
        behind > self.options.jump_max_ms.saturating_mul(1_000)
    }

    /// What is known of the clock, for the admin address.
    #[must_use]
    pub fn status(&self) -> Value {
        let state = self.state.lock();
        let watch = &state.watch;
        let name = match (self.is_too_much(state.behind), self.is_too_much(state.ahead), watch.is_off()) {
            (true, _, _) => "behindLog",
            (false, true, _) => "aheadOfStore",
            (false, false, true) => "jumped",
            (false, false, false) => "ok",
        };
        let last = watch.last_jump().map(|jump| json!({ "byMillis": jump.by / 1_000, "at": jump.at.0 / 1_000 }));
        json!({
            "state": name,
            "jumps": watch.jumps(),
            "lastJump": last,
            "deviationMillis": watch.deviation() / 1_000,
            "behindLogMillis": state.behind / 1_000,
            "aheadOfStoreMillis": state.ahead / 1_000,
        })
    }
}

/// A time for people.
fn shown(time: Timestamp) -> String {
    let micros = i64::try_from(time.0).unwrap_or(i64::MAX);
    DateTime::from_timestamp_micros(micros)
        .map_or_else(|| format!("{} µs", time.0), |time| time.to_rfc3339_opts(SecondsFormat::Millis, true))
}

/// A length of time for people.
fn length(micros: u64) -> String {
    let exact = if micros < 1_000_000 { micros } else { micros / 1_000_000 * 1_000_000 };
    humantime::format_duration(Duration::from_micros(exact)).to_string()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

    use super::*;

    const NOW: u64 = 1_790_000_000_000_000;
    const DAY: u64 = 86_400_000_000;

    /// Clocks that a test sets.
    #[derive(Default)]
    struct Hands {
        passed: AtomicU64,
        set_by: AtomicI64,
        log: AtomicU64,
    }

    impl Clocks for &'static Hands {
        fn read(&self) -> Reading {
            let passed = self.passed.load(Ordering::Relaxed);
            let wall = (NOW + passed).saturating_add_signed(self.set_by.load(Ordering::Relaxed));
            Reading { wall: Timestamp(wall), steady: Duration::from_micros(passed) }
        }
    }

    #[test]
    fn a_day_ahead_and_back_is_told_and_so_is_the_day_that_follows() {
        let hands: &Hands = Box::leak(Box::default());
        let log_time: LogTime = Box::new(|| Some(Timestamp(hands.log.load(Ordering::Relaxed))));
        let monitor = Monitor::new(Options::default(), hands, log_time);
        let look = |state: &str, deviation: i64, behind: u64| {
            hands.passed.fetch_add(1_000_000, Ordering::Relaxed);
            // A venue that trades: its last command is of now, or of the last time there was.
            let wall = hands.read().wall.0;
            monitor.look();
            hands.log.fetch_max(wall, Ordering::Relaxed);
            let told = monitor.status();
            assert_eq!(
                (told["state"].as_str(), told["deviationMillis"].as_i64()),
                (Some(state), Some(deviation)),
                "{told}"
            );
            assert_eq!(told["behindLogMillis"], behind, "{told}");
            told
        };
        look("ok", 0, 0);
        look("ok", 0, 0);
        let day = i64::try_from(DAY).unwrap();
        hands.set_by.store(day, Ordering::Relaxed);
        let told = look("jumped", day / 1_000, 0);
        assert_eq!((&told["jumps"], &told["lastJump"]["byMillis"]), (&json!(1), &json!(day / 1_000)));
        look("jumped", day / 1_000, 0);
        hands.set_by.store(0, Ordering::Relaxed);
        look("behindLog", 0, DAY / 1_000 - 1_000);
        let told = look("behindLog", 0, DAY / 1_000 - 2_000);
        assert_eq!((&told["jumps"], &told["lastJump"]["byMillis"]), (&json!(2), &json!(-day / 1_000)));
        hands.passed.fetch_add(DAY, Ordering::Relaxed);
        look("ok", 0, 0);
    }

    #[test]
    fn a_store_whose_clock_is_behind_is_reported() {
        let behind: &AtomicU64 = Box::leak(Box::default());
        let monitor = Monitor::new(Options::default(), SystemClocks, Box::new(|| None))
            .with_store(Box::new(|| behind.load(Ordering::Relaxed)));
        for (micros, state) in [(0, "ok"), (1_000_000, "ok"), (DAY, "aheadOfStore"), (0, "ok")] {
            behind.store(micros, Ordering::Relaxed);
            monitor.look();
            let status = monitor.status();
            assert_eq!((&status["state"], &status["aheadOfStoreMillis"]), (&json!(state), &json!(micros / 1_000)));
        }
    }

    #[test]
    fn a_start_before_the_last_command_is_refused_unless_that_is_accepted() {
        let options = Options::default();
        let ahead = |micros| check(options, Timestamp(NOW), Timestamp(NOW + micros), false);
        assert_eq!((ahead(0), ahead(10_000_000)), (Ok(()), Ok(())));
        assert_eq!(check(options, Timestamp(NOW), Timestamp(0), false), Ok(()), "an empty log");
        let refused = ahead(DAY + 1).unwrap_err();
        let said = refused.to_string();
        assert!(
            said.contains("--accept-clock")
                && said.contains("2026-09-21T14:13:20.000Z, but")
                && said.contains("1day later"),
            "{said}"
        );
        assert_eq!(check(options, Timestamp(NOW), Timestamp(NOW + DAY), true), Ok(()));
        assert!(check(options, Timestamp(0), Timestamp(u64::MAX), false).is_err());
    }

    #[test]
    fn the_clocks_of_this_machine_agree() {
        let mut watch = Watch::new(Duration::from_millis(500));
        for _ in 0..3 {
            assert_eq!(watch.look(SystemClocks.read()), None);
        }
    }
}
