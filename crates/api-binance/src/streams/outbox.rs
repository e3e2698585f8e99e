//! The messages that wait to be sent to one connection. Whoever adds a message continues at once; nobody waits for a
//! client.
//!
//! A burst may be long, and a client that reads gets all of it. For a client that does not read, the bytes are bounded
//! twice, for each connection and for all together ([`SendBudget`]); beyond either, the client is disconnected. Its
//! connection detects, while it writes, that the client has not read for too long, and notes what the client takes.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Instant;

use bytes::Bytes;
use crossbook_http::{Pace, Standing};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::frames::{Frames, TOGETHER_BYTES_MAX};
use super::send_budget::{SendBudget, Unread};

/// What a queue remembers of each message, about: twice an entry, because a queue grows by doubling.
const ENTRY_BYTES: usize = 2 * size_of::<(Instant, Frames)>();
/// Entries for which an empty queue keeps its room.
const ENTRIES_KEPT: usize = 64;
/// When more waits than this, it is written before more is read.
const LARGE: usize = 4 * TOGETHER_BYTES_MAX;

/// Why a connection is to be closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Closing {
    /// The client did not read fast enough; what waits is dropped.
    TooSlow,
    /// Its address is banned; what waits is still sent.
    Banned,
    /// The venue is stopping; what waits, and answers to what was asked before, is still sent.
    Stopping,
}

/// A bounded queue of text messages towards one client.
#[derive(Debug)]
pub struct Outbox {
    waiting: Mutex<Waiting>,
    /// Told when something was put in, or the connection is to be closed.
    changed: Notify,
    budget: Arc<SendBudget>,
    bytes_max: usize,
    /// How fast the client takes what waits.
    pace: Arc<Pace>,
    /// Whether market data is wrapped with the name of its stream.
    combined: AtomicBool,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Frames to be written, and when each was put in.
    frames: VecDeque<(Instant, Frames)>,
    /// What is being written.
    in_hand: Vec<Frames>,
    /// When the first of these was put in.
    in_hand_since: Option<Instant>,
    /// The bytes of both.
    bytes: usize,
    /// Of `in_hand`, the bytes that were copied to be written at once.
    copied: usize,
    closing: Option<Closing>,
}

impl Waiting {
    /// What this client alone costs, beside the messages, which it shares with others.
    fn own_bytes(&self) -> usize {
        (self.frames.len() + self.in_hand.len()) * ENTRY_BYTES + self.copied
    }
}

impl Outbox {
    /// An empty outbox for at most `bytes_max`, which count on the budget.
    #[must_use]
    pub fn new(budget: &Arc<SendBudget>, bytes_max: usize, combined: bool) -> Arc<Self> {
        let (waiting, changed, combined) = (Mutex::default(), Notify::new(), AtomicBool::new(combined));
        let (budget_of_all, pace) = (Arc::clone(budget), Arc::new(Pace::new(Instant::now())));
        let outbox = Arc::new(Self { waiting, changed, budget: budget_of_all, bytes_max, pace, combined });
        let holder: Weak<Self> = Arc::downgrade(&outbox);
        budget.add(holder);
        outbox
    }

    /// Whether market data is wrapped with the name of its stream.
    #[must_use]
    pub fn combined(&self) -> bool {
        self.combined.load(Ordering::Relaxed)
    }

    /// How fast the client takes what waits, as its connection notes it.
    #[must_use]
    pub fn pace(&self) -> &Arc<Pace> {
        &self.pace
    }

    /// Chooses whether market data is wrapped with the name of its stream.
    pub fn set_combined(&self, combined: bool) {
        self.combined.store(combined, Ordering::Relaxed);
    }

    /// Puts messages in. If they do not fit, everything that waits is dropped and the connection will be closed. After
    /// that, messages are dropped.
    pub fn push(&self, frames: impl Into<Frames>) {
        self.push_all(&[frames.into()]);
    }

    /// Puts several messages in, in this order. See [`Outbox::push`].
    pub fn push_all(&self, all: &[Frames]) {
        self.push_all_at(all, Instant::now());
    }

    fn push_all_at(&self, all: &[Frames], now: Instant) {
        let mut waiting = self.waiting.lock();
        if waiting.closing == Some(Closing::TooSlow) {
            return;
        }
        let was_empty = waiting.frames.is_empty();
        if waiting.bytes == 0 {
            self.pace.begin(now);
        }
        for frames in all {
            frames.hold(&self.budget);
            waiting.bytes = waiting.bytes.saturating_add(frames.bytes());
            waiting.frames.push_back((now, frames.clone()));
        }
        let fits = waiting.bytes <= self.bytes_max;
        self.budget.take(all.len() * ENTRY_BYTES);
        drop(waiting);
        if !fits {
            self.cut_off();
        } else if was_empty {
            self.changed.notify_one();
        }
        self.budget.keep(now);
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

    /// Whether so much waits that it should be written before more is read.
    #[must_use]
    pub fn is_large(&self) -> bool {
        self.waiting.lock().bytes > LARGE
    }

    /// Begins to write: gives the next messages, `bytes_max` at most, or one message that is longer. They count as
    /// waiting until [`Outbox::written`]. There are none when nothing waits.
    #[must_use]
    pub fn begin(&self, bytes_max: usize) -> Bytes {
        let mut guard = self.waiting.lock();
        let waiting = &mut *guard;
        let mut bytes = 0;
        while let Some((since, frames)) = waiting.frames.front() {
            bytes += frames.bytes();
            if bytes > bytes_max && !waiting.in_hand.is_empty() {
                break;
            }
            waiting.in_hand_since.get_or_insert(*since);
            waiting.in_hand.extend(waiting.frames.pop_front().map(|(_, frames)| frames));
        }
        let joined = Frames::join(&waiting.in_hand);
        self.budget.give_back(waiting.copied);
        waiting.copied = if waiting.in_hand.len() > 1 { joined.len() } else { 0 };
        self.budget.take(waiting.copied);
        joined
    }

    /// What was begun is written.
    pub fn written(&self) {
        let written = {
            let mut waiting = self.waiting.lock();
            let written = std::mem::take(&mut waiting.in_hand);
            self.budget.give_back(written.len() * ENTRY_BYTES + std::mem::take(&mut waiting.copied));
            waiting.in_hand_since = None;
            if waiting.frames.is_empty() {
                waiting.frames.shrink_to(ENTRIES_KEPT);
            }
            waiting.bytes -= written.iter().map(Frames::bytes).sum::<usize>();
            if !waiting.frames.is_empty() || waiting.closing.is_some() {
                self.changed.notify_one();
            }
            written
        };
        drop(written);
    }

    /// Returns when something may have been put in, or the connection is to be closed. May return without a reason.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Everything that waits, taken out, as a client reads it.
    #[cfg(test)]
    pub fn taken(&self) -> Vec<String> {
        let mut waiting = self.waiting.lock();
        waiting.bytes = 0;
        self.budget.give_back(waiting.frames.len() * ENTRY_BYTES);
        waiting.frames.drain(..).flat_map(|(_, frames)| frames.texts()).collect()
    }
}

impl Unread for Outbox {
    fn unread(&self, now: Instant) -> Option<(Standing, Instant)> {
        let waiting = self.waiting.lock();
        let since = waiting.in_hand_since.or_else(|| waiting.frames.front().map(|(since, _)| *since))?;
        Some((self.pace.standing(now), since))
    }

    fn cut_off(&self) {
        let dropped = {
            let mut waiting = self.waiting.lock();
            if waiting.closing == Some(Closing::TooSlow) {
                return;
            }
            std::mem::replace(&mut *waiting, Waiting { closing: Some(Closing::TooSlow), ..Waiting::default() })
        };
        self.budget.give_back(dropped.own_bytes());
        drop(dropped);
        self.budget.count_cut_off();
        self.changed.notify_one();
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.budget.give_back(self.waiting.get_mut().own_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn outbox(bytes_max: usize) -> Arc<Outbox> {
        Outbox::new(&Arc::default(), bytes_max, false)
    }

    #[test]
    fn what_is_put_in_comes_out_in_order() {
        let outbox = outbox(100);
        outbox.push("a");
        outbox.push(Frames::of(["b", "c"]));
        assert_eq!(outbox.taken(), ["a", "b", "c"]);
        assert!(outbox.taken().is_empty());
    }

    #[test]
    fn what_is_written_at_a_time_is_bounded_but_for_a_message_that_is_longer() {
        let outbox = outbox(1_000);
        // Each takes two bytes more for the head of its frame.
        for text in ["12345678", "12345678", "12345678", &"x".repeat(100), "y"] {
            outbox.push(text);
        }
        let mut written = Vec::new();
        loop {
            let bytes = outbox.begin(25);
            if bytes.is_empty() {
                break;
            }
            written.push(bytes.len());
            outbox.written();
        }
        assert_eq!(written, [20, 10, 102, 3]);
        assert_eq!(outbox.unread(Instant::now()), None);
    }

    #[test]
    fn a_full_outbox_is_cut_off_once_and_for_all() {
        // Each message takes three bytes: its own and the head of its frame.
        let outbox = outbox(9);
        outbox.push("a");
        outbox.push(Frames::of(["b", "c"]));
        assert_eq!(outbox.closing(), None);
        outbox.push("d");
        outbox.push("e");
        assert_eq!(outbox.closing(), Some(Closing::TooSlow));
        assert!(outbox.taken().is_empty() && outbox.begin(100).is_empty());
    }

    #[test]
    fn what_is_being_written_takes_room_until_it_is_written() {
        let outbox = outbox(6);
        for _ in 0..3 {
            outbox.push("a");
            assert_eq!(outbox.begin(100).len(), 3);
            outbox.push("b");
            assert!(outbox.unread(Instant::now()).is_some());
            outbox.written();
            assert_eq!(outbox.taken(), ["b"]);
        }
        outbox.push("a");
        let _ = outbox.begin(100);
        outbox.push("b");
        outbox.push("c");
        assert_eq!(outbox.closing(), Some(Closing::TooSlow));
        outbox.written();
    }

    #[test]
    fn what_waits_is_still_sent_when_the_venue_stops_and_so_are_answers() {
        let outbox = outbox(100);
        outbox.push("a");
        outbox.close(Closing::Stopping);
        outbox.push("b");
        assert_eq!((outbox.closing(), outbox.taken()), (Some(Closing::Stopping), vec!["a".into(), "b".into()]));
        outbox.cut_off();
        assert_eq!(outbox.closing(), Some(Closing::TooSlow), "who does not read is not waited for then either");
    }

    #[test]
    fn what_many_wait_for_counts_once_and_until_the_last_has_it() {
        let budget = Arc::new(SendBudget::default());
        let outboxes = [(), ()].map(|()| Outbox::new(&budget, 10_000, false));
        let frames = Frames::from("x".repeat(1_000));
        outboxes.iter().for_each(|outbox| outbox.push(frames.clone()));
        drop(frames);
        let message = 1_004 + crate::streams::send_budget::PART_BYTES;
        assert_eq!(budget.bytes(), message + 2 * ENTRY_BYTES);
        outboxes.iter().for_each(|outbox| drop(outbox.begin(usize::MAX)));
        assert_eq!(budget.bytes(), message + 2 * ENTRY_BYTES, "what is being written still counts");
        outboxes[0].written();
        assert_eq!(budget.bytes(), message + ENTRY_BYTES);
        outboxes[1].written();
        assert_eq!(budget.bytes(), 0);
    }

    #[test]
    fn of_those_that_are_equally_slow_the_one_whose_bytes_have_waited_for_longest_is_cut_off_first() {
        let budget = Arc::new(SendBudget::default());
        budget.limit_to(4_000);
        let [idle, slow, reading] = [(), (), ()].map(|()| Outbox::new(&budget, 100_000, false));
        slow.push("x".repeat(1_000));
        for _ in 0..20 {
            reading.push("y".repeat(1_000));
            drop(reading.begin(usize::MAX));
            reading.written();
        }
        assert_eq!(slow.closing(), None, "there is room for both");
        reading.push("y".repeat(1_000));
        reading.push("y".repeat(1_000));
        assert_eq!(slow.closing(), None);
        reading.push("y".repeat(1_000));
        assert_eq!((slow.closing(), reading.closing()), (Some(Closing::TooSlow), None));
        assert_eq!(idle.closing(), None);
        // And if nobody is slower, the connection that is written to.
        reading.push("y".repeat(1_000));
        assert_eq!(reading.closing(), Some(Closing::TooSlow));
        assert_eq!(budget.bytes(), 0);
    }

    #[test]
    fn who_takes_nothing_is_cut_off_before_who_takes_little_however_long_their_bytes_have_waited() {
        let begun = Instant::now();
        let at = |second: u64| begun + Duration::from_secs(second);
        let budget = Arc::new(SendBudget::default());
        budget.limit_to(20_000);
        let [slow, slower, older, deaf, new] = [(); 5].map(|()| Outbox::new(&budget, 100_000, false));
        let push = |outbox: &Outbox, bytes: usize, second| outbox.push_all_at(&["x".repeat(bytes).into()], at(second));
        for (outbox, second) in [(&slow, 0), (&slower, 0), (&older, 1), (&deaf, 2)] {
            push(outbox, 4_000, second);
        }
        for outbox in [&slow, &slower] {
            outbox.pace().waits(begun);
        }
        for second in 0..20 {
            slow.pace().took(200, at(second));
            slower.pace().took(100, at(second));
        }
        for (bytes, cut_off) in [(4_000, &older), (4_000, &deaf), (4_000, &slower), (4_000, &slow)] {
            assert_eq!(cut_off.closing(), None);
            push(&new, bytes, 20);
            assert_eq!(cut_off.closing(), Some(Closing::TooSlow));
        }
        assert_eq!(new.closing(), None);
    }

    /// Otherwise ten thousand clients that do not read would take gigabytes for a stream of small messages.
    #[test]
    fn what_is_remembered_for_each_client_counts_for_each() {
        const BYTES_MAX: usize = 100_000;
        let budget = Arc::new(SendBudget::default());
        budget.limit_to(BYTES_MAX);
        let outboxes = [(); 10].map(|()| Outbox::new(&budget, usize::MAX, false));
        let mut count = 0;
        while budget.clients_cut_off() == 0 {
            let frames = Frames::from("x");
            outboxes.iter().for_each(|outbox| outbox.push(frames.clone()));
            count += 1;
            assert!(count * outboxes.len() * ENTRY_BYTES <= BYTES_MAX, "{count} messages wait for each");
        }
        let waits = |outbox: &&Arc<Outbox>| outbox.closing().is_none();
        for outbox in outboxes.iter().filter(waits) {
            // Joined, they are in memory once more.
            let before = budget.bytes();
            let joined = outbox.begin(30);
            assert_eq!((joined.len(), budget.bytes()), (30, before + 30));
            outbox.written();
            while !outbox.begin(usize::MAX).is_empty() {
                outbox.written();
            }
            assert!(outbox.waiting.lock().frames.capacity() <= 2 * ENTRIES_KEPT, "an empty queue keeps little room");
        }
        assert_eq!(budget.bytes(), 0);
        outboxes[0].push("x");
        drop(outboxes);
        assert_eq!(budget.bytes(), 0);
    }

    #[test]
    fn connections_that_are_gone_leave_nothing_behind() {
        let budget = Arc::new(SendBudget::default());
        for _ in 0..10_000 {
            Outbox::new(&budget, 10, false).push("x");
        }
        assert!(budget.holders() < 100);
        assert_eq!(budget.bytes(), 0);
    }
}
