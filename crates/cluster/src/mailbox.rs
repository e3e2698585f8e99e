//! The messages of one partition to another, as one process retains them until the receiver has applied them.
//!
//! Every process applies the sender's commands, so every process has the same messages, and any of them may deliver
//! them: the receiver's shard counts the messages and accepts each once and in order. So that they are not delivered by
//! all processes at once, one is *responsible* for each:
//!
//! - The process that appended a command is responsible for the messages that it causes, and delivers them at once.
//! - The others deliver a message only when it is *overdue*: when it has not been received for some time, because the
//!   responsible process has failed. Processes are patient for different times, so that one of them is the first.
//!
//! Delivered messages are commands of the receiver, so whoever has appended them there is responsible for what they
//! cause. The mailbox remembers which those are.

use std::collections::VecDeque;
use std::time::Duration;

use crossbook_types::RequestNumber;

use crate::store::Delivered;

/// The receiver lacks messages that it had durably received: its log was replaced by an older one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "the receiver has message {received} last, but messages up to {retained_from} were durable there and are no longer retained here"
)]
pub struct Forgotten {
    /// The last message that the receiver knows.
    pub received: RequestNumber,
    /// The first message that is retained.
    pub retained_from: RequestNumber,
}

#[derive(Clone, Debug)]
struct Message {
    number: RequestNumber,
    bytes: Vec<u8>,
    /// Whether this process is responsible for it.
    is_own: bool,
    posted: Duration,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Mailbox {
    /// Consecutive, oldest first.
    messages: VecDeque<Message>,
    /// The last message that the receiver has applied here.
    received: RequestNumber,
    /// The last message that is in the receiver's log, though it may be lost again; not before `received`.
    delivered: RequestNumber,
    /// Which messages this process has appended to the receiver's log, from and to, that are not applied here yet.
    appended: VecDeque<(RequestNumber, RequestNumber)>,
}

impl Mailbox {
    /// An empty one of a receiver that has applied the messages up to this one.
    #[must_use]
    pub fn new(received: RequestNumber) -> Self {
        Self { received, delivered: received, ..Self::default() }
    }

    /// Adds the next message, unless it was received. `is_own`: this process is responsible for it.
    pub fn post(&mut self, number: RequestNumber, bytes: Vec<u8>, is_own: bool, now: Duration) {
        if number > self.received {
            self.messages.push_back(Message { number, bytes, is_own, posted: now });
        }
    }

    /// The receiver has applied the messages up to `received`. Returns whether this process had appended that one.
    pub fn received(&mut self, received: RequestNumber) -> bool {
        while self.messages.front().is_some_and(|message| message.number <= received) {
            self.messages.pop_front();
        }
        self.received = self.received.max(received);
        self.delivered = self.delivered.max(received);
        while self.appended.front().is_some_and(|&(_, last)| last < received) {
            self.appended.pop_front();
        }
        self.appended.front().is_some_and(|&(first, last)| (first..=last).contains(&received))
    }

    /// The messages to deliver now, `messages_max` at most: the number of the first, and how many. `patience`: what has
    /// waited for so long is overdue. `None` if there is nothing to deliver from here.
    #[must_use]
    pub fn next(&self, messages_max: usize, patience: Duration, now: Duration) -> Option<(RequestNumber, usize)> {
        let skip = self.in_flight();
        let first = self.messages.get(skip)?;
        let due = |message: &Message| message.is_own || now.saturating_sub(message.posted) >= patience;
        #[cfg(crossbook_bugs)]
        let due = |message: &Message| {
            let is_planted = crossbook_types::bugs::is_planted(crossbook_types::bugs::Bug::NothingIsOverdue);
            if is_planted { message.is_own } else { due(message) }
        };
        // The receiver takes them in order, so what is before one of these goes with it.
        let last = self.messages.iter().rposition(due).filter(|&last| last >= skip)?;
        Some((first.number, (last + 1 - skip).min(messages_max)))
    }

    /// The bytes of messages that [`Mailbox::next`] named.
    pub fn messages(&self, count: usize) -> impl Iterator<Item = &[u8]> {
        self.messages.iter().skip(self.in_flight()).take(count).map(|message| message.bytes.as_slice())
    }

    /// The store's answer to a delivery of `count` messages from `first` on, and whether that answer is confirmed.
    ///
    /// # Errors
    /// When the receiver has lost what it had durably received.
    pub fn delivered(
        &mut self,
        (first, count): (RequestNumber, usize),
        answer: Delivered,
        is_confirmed: bool,
    ) -> Result<(), Forgotten> {
        let last = RequestNumber((first.0 + count as u64).saturating_sub(1));
        if answer.last.next() < first {
            // What was delivered before is not there any more, or not yet for certain.
            self.delivered = self.received.max(answer.last);
            self.appended.clear();
            return match self.messages.front() {
                Some(message) if is_confirmed && message.number > answer.last.next() => {
                    Err(Forgotten { received: answer.last, retained_from: message.number })
                }
                _ => Ok(()),
            };
        }
        self.delivered = self.delivered.max(answer.last);
        #[cfg(crossbook_bugs)]
        self.forget_delivered(crossbook_types::bugs::Bug::DeliveredIsReceived);
        if answer.last == last && answer.before < last {
            self.appended.push_back((answer.before.next().max(first), last));
        }
        Ok(())
    }

    /// The connection broke: what was delivered last may not have arrived, or may have been lost there.
    pub fn disconnected(&mut self) {
        #[cfg(crossbook_bugs)]
        self.forget_delivered(crossbook_types::bugs::Bug::MailboxForgetsOnDisconnect);
        self.delivered = self.received;
        self.appended.clear();
    }

    #[cfg(crossbook_bugs)]
    fn forget_delivered(&mut self, bug: crossbook_types::bugs::Bug) {
        if crossbook_types::bugs::is_planted(bug) {
            let count = self.in_flight().min(self.messages.len());
            self.messages.drain(..count);
        }
    }

    /// When the oldest message that is not in the receiver's log will be overdue.
    #[must_use]
    pub fn overdue_at(&self, patience: Duration) -> Option<Duration> {
        self.messages.get(self.in_flight()).map(|message| message.posted.saturating_add(patience))
    }

    /// Whether there is something to deliver for which this process is responsible.
    #[must_use]
    pub fn has_own(&self) -> bool {
        self.messages.iter().skip(self.in_flight()).any(|message| message.is_own)
    }

    /// How many messages are retained.
    #[must_use]
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// How many of the retained messages are in the receiver's log.
    fn in_flight(&self) -> usize {
        let Some(oldest) = self.messages.front() else { return 0 };
        usize::try_from(self.delivered.next().0.saturating_sub(oldest.number.0)).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_millis(300);

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn number(number: u64) -> RequestNumber {
        RequestNumber(number)
    }

    fn next(mailbox: &Mailbox, millis: u64) -> Option<(u64, usize)> {
        mailbox.next(10, PATIENCE, at(millis)).map(|(first, count)| (first.0, count))
    }

    fn answer(before: u64, last: u64) -> Delivered {
        Delivered { before: number(before), last: number(last) }
    }

    /// Messages 1, 2 and 3, of which the second is the process's own.
    fn three() -> Mailbox {
        let mut mailbox = Mailbox::default();
        (1..=3).for_each(|n| mailbox.post(number(n), vec![n as u8], n == 2, at(0)));
        mailbox
    }

    #[test]
    fn own_messages_are_delivered_at_once_with_those_before() {
        let mut mailbox = three();
        assert!(mailbox.has_own());
        assert_eq!(next(&mailbox, 1), Some((1, 2)), "the third is another process's");
        assert_eq!(mailbox.messages(2).collect::<Vec<_>>(), [[1], [2]]);
        mailbox.delivered((number(1), 2), answer(0, 2), false).unwrap();
        assert_eq!((next(&mailbox, 299), mailbox.has_own()), (None, false));
        assert_eq!(mailbox.overdue_at(PATIENCE), Some(at(300)));
        assert_eq!(next(&mailbox, 300), Some((3, 1)), "nobody has delivered it");
        assert_eq!(mailbox.next(0, PATIENCE, at(300)), Some((number(3), 0)));
    }

    #[test]
    fn a_process_is_responsible_for_what_it_has_appended() {
        let mut mailbox = three();
        mailbox.delivered((number(1), 2), answer(1, 2), false).unwrap();
        assert!(!mailbox.received(number(1)), "another process had delivered it");
        assert!(mailbox.received(number(2)));
        mailbox.delivered((number(3), 1), answer(3, 3), false).unwrap();
        assert!(!mailbox.received(number(3)), "it was a duplicate");
        assert!(mailbox.is_empty());
        mailbox.post(number(3), Vec::new(), true, at(0));
        assert!(mailbox.is_empty(), "it was received before it was posted");
    }

    #[test]
    fn what_a_failover_has_taken_back_is_delivered_again() {
        let mut mailbox = three();
        mailbox.delivered((number(1), 2), answer(0, 2), false).unwrap();
        mailbox.disconnected();
        assert_eq!(next(&mailbox, 1), Some((1, 2)));
        assert!(!mailbox.received(number(1)), "it is not known who has appended it");
        mailbox.delivered((number(2), 1), answer(0, 0), false).unwrap();
        assert_eq!(next(&mailbox, 1), Some((2, 1)), "a gap that is not confirmed may close");
        let lost = mailbox.delivered((number(2), 1), answer(0, 0), true);
        assert_eq!(lost, Err(Forgotten { received: number(0), retained_from: number(2) }));
    }
}
