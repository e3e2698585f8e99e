//! What waits to be sent to one connection. Whoever has something to tell puts it in and goes on; nobody waits for a client.
//! A client that reads more slowly than it is written to fills its outbox, and is then cut off.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::frames::Frames;

/// Why a connection is to be closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Closing {
    /// The client did not read fast enough.
    TooSlow,
    /// The venue is stopping; what waits is still sent.
    Stopping,
}

/// The most that may wait for one client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Capacity {
    /// Messages.
    pub messages: usize,
    /// Bytes of all messages together, as they go over the wire.
    pub bytes: usize,
}

/// A bounded queue of text messages towards one client.
#[derive(Debug)]
pub struct Outbox {
    waiting: Mutex<Waiting>,
    /// Told when something was put in, or the connection is to be closed.
    changed: Notify,
    capacity: Capacity,
    /// Whether market data is wrapped with the name of its stream.
    combined: AtomicBool,
}

#[derive(Debug, Default)]
struct Waiting {
    frames: Vec<Frames>,
    messages: usize,
    bytes: usize,
    closing: Option<Closing>,
}

impl Outbox {
    /// An empty outbox.
    #[must_use]
    pub fn new(capacity: Capacity, combined: bool) -> Self {
        Self { waiting: Mutex::default(), changed: Notify::new(), capacity, combined: AtomicBool::new(combined) }
    }

    /// Whether market data goes out wrapped with the name of its stream.
    #[must_use]
    pub fn combined(&self) -> bool {
        self.combined.load(Ordering::Relaxed)
    }

    /// Chooses whether market data goes out wrapped with the name of its stream.
    pub fn set_combined(&self, combined: bool) {
        self.combined.store(combined, Ordering::Relaxed);
    }

    /// Puts messages in. If they do not fit, everything that waits is dropped and the connection will be closed. After that,
    /// messages are dropped.
    pub fn push(&self, frames: impl Into<Frames>) {
        let frames = frames.into();
        let mut waiting = self.waiting.lock();
        if waiting.closing.is_some() {
            return;
        }
        let was_empty = waiting.frames.is_empty();
        let messages = waiting.messages.saturating_add(frames.messages());
        let bytes = waiting.bytes.saturating_add(frames.bytes());
        let fits = messages <= self.capacity.messages && bytes <= self.capacity.bytes;
        if fits {
            (waiting.messages, waiting.bytes) = (messages, bytes);
            waiting.frames.push(frames);
        } else {
            *waiting = Waiting { closing: Some(Closing::TooSlow), ..Waiting::default() };
            metrics::counter!("crossbook_stream_slow_consumers_total").increment(1);
        }
        drop(waiting);
        if was_empty || !fits {
            self.changed.notify_one();
        }
    }

    /// Asks for the connection to be closed.
    pub fn close(&self, why: Closing) {
        self.waiting.lock().closing.get_or_insert(why);
        self.changed.notify_one();
    }

    /// Why the connection is to be closed, if it is.
    #[must_use]
    pub fn closing(&self) -> Option<Closing> {
        self.waiting.lock().closing
    }

    /// Whether half of what may wait does: the next message may be one too many.
    #[must_use]
    pub fn is_half_full(&self) -> bool {
        let waiting = self.waiting.lock();
        waiting.messages > self.capacity.messages / 2 || waiting.bytes > self.capacity.bytes / 2
    }

    /// Takes everything that waits into `frames`, which must be empty and whose room is used for what comes next.
    pub fn take(&self, frames: &mut Vec<Frames>) -> Option<Closing> {
        debug_assert!(frames.is_empty());
        let mut waiting = self.waiting.lock();
        std::mem::swap(&mut waiting.frames, frames);
        (waiting.messages, waiting.bytes) = (0, 0);
        waiting.closing
    }

    /// Returns when something may have been put in, or the connection is to be closed. May return without a reason.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbox(messages: usize, bytes: usize) -> Outbox {
        Outbox::new(Capacity { messages, bytes }, false)
    }

    #[test]
    fn is_half_full_by_messages_or_by_bytes() {
        let texts = |text: &str, count: usize, outbox: &Outbox| (0..count).for_each(|_| outbox.push(text.to_owned()));
        let (many, long) = (outbox(10, 10_000), outbox(1_000, 100));
        texts("a", 5, &many);
        assert!(!many.is_half_full() && !long.is_half_full());
        texts("a", 1, &many);
        texts(&"a".repeat(60), 1, &long);
        assert!(many.is_half_full() && long.is_half_full());
        taken(&long);
        assert!(!long.is_half_full());
    }

    fn taken(outbox: &Outbox) -> (Option<Closing>, Vec<String>) {
        let mut frames = Vec::new();
        let closing = outbox.take(&mut frames);
        (closing, frames.iter().flat_map(Frames::texts).collect())
    }

    #[test]
    fn what_is_put_in_comes_out_in_order() {
        let outbox = outbox(10, 100);
        outbox.push("a");
        outbox.push(Frames::of(["b", "c"]));
        assert_eq!(taken(&outbox), (None, vec!["a".into(), "b".into(), "c".into()]));
        assert_eq!(taken(&outbox), (None, vec![]));
    }

    #[test]
    fn a_full_outbox_is_cut_off_once_and_for_all() {
        // Each message takes three bytes: its own and the head of its frame.
        for outbox in [outbox(3, 100), outbox(100, 9)] {
            outbox.push("a");
            outbox.push(Frames::of(["b", "c"]));
            assert_eq!(outbox.closing(), None);
            outbox.push("d");
            outbox.push("e");
            assert_eq!(taken(&outbox), (Some(Closing::TooSlow), vec![]));
        }
    }

    #[test]
    fn what_was_taken_leaves_room() {
        let outbox = outbox(1, 3);
        for _ in 0..3 {
            outbox.push("a");
            assert_eq!(taken(&outbox), (None, vec!["a".into()]));
        }
    }

    #[test]
    fn what_waits_is_still_sent_when_the_venue_stops() {
        let outbox = outbox(2, 100);
        outbox.push("a");
        outbox.close(Closing::Stopping);
        outbox.push("b");
        assert_eq!(taken(&outbox), (Some(Closing::Stopping), vec!["a".into()]));
    }
}
