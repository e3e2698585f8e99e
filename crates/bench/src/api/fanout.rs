//! Market data to many subscribers, while orders arrive as fast as they are answered or at a fixed rate. Orders and
//! messages are counted.

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use crossbook_loadgen::http::{Pace, Report};
use crossbook_loadgen::websocket::{Audience, Received};

use super::super::Error;
use super::Load;

/// How long messages may be under way after the last order was answered.
const DRAIN: Duration = Duration::from_secs(10);
/// As long as nothing has come for so long, some may still be under way. Depth is told each second.
const SILENCE: Duration = Duration::from_millis(1_500);
/// Between two looks at what has come.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What was heard, and what was asked meanwhile.
pub(super) struct Heard {
    pub subscribers: usize,
    /// Orders due a second; `None`: as fast as they were answered.
    pub due: Option<NonZeroU64>,
    pub orders: Report,
    pub received: Received,
    /// From the first order to the last message.
    pub elapsed: Duration,
}

/// Gathers so many subscribers of a market's trades, best prices and depth, and trades there. With none, only trades.
///
/// # Errors
/// When they cannot connect.
pub(super) fn measure(load: &Load<'_>, subscribers: usize, pace: Pace) -> Result<Heard, Error> {
    let symbol = load.traders.first().map(|trader| trader.symbol.to_lowercase()).unwrap_or_default();
    let streams = ["trade", "bookTicker", "depth"].map(|stream| format!("{symbol}@{stream}"));
    let audience = Audience::gather(load.place.http, &streams, subscribers)?;
    let started = Instant::now();
    let orders = load.orders(pace)?;
    let mut elapsed = started.elapsed();
    let mut received = audience.received();
    let drain = Instant::now();
    let mut silent_since = drain;
    while subscribers > 0 && drain.elapsed() < DRAIN && silent_since.elapsed() < SILENCE {
        std::thread::sleep(LOOK_EVERY);
        let now = audience.received();
        if now != received {
            (received, silent_since, elapsed) = (now, Instant::now(), started.elapsed());
        }
    }
    let due = match pace {
        Pace::Open(rate) => Some(rate),
        Pace::Closed => None,
    };
    Ok(Heard { subscribers, due, orders, received, elapsed })
}
