//! Messages of one partition to another, until the other has made them durable.
//!
//! The receiver counts the messages that it has received, beside its log and as durable as the log, and accepts only
//! the next number. So the sender need not store how far it got: it asks. It retains every message until the receiver
//! has it durably; after any failure it asks again and continues from there.
//!
//! A message is in flight until a barrier confirms it. Meanwhile the next messages are sent behind it, as long as the
//! receiver accepts what it is sent.
//!
//! Usually the active worker sends. A standby retains the same messages and asks now and then, to release those that
//! were received. What was not received between two of these requests, the standby sends itself, because then no other
//! worker seems to.

use std::collections::VecDeque;

use crossbook_types::RequestNumber;

/// The receiver lacks messages that it had durably received: its log was replaced by an older one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "the receiver has message {received} last, but messages up to {kept_from} were durable there and are no longer retained here"
)]
pub struct Forgotten {
    /// The last message that the receiver knows.
    pub received: RequestNumber,
    /// The first message that is retained.
    pub kept_from: RequestNumber,
}

/// Messages in flight to one partition.
#[derive(Clone, Debug, Default)]
pub struct Mailbox {
    /// Consecutive, oldest first.
    messages: VecDeque<(RequestNumber, Vec<u8>)>,
    /// The last message that the receiver has durably; unknown before it was asked, and after a failure.
    received: Option<RequestNumber>,
    /// The last message that the receiver has accepted, though it may lose it again; not before `received`.
    taken: RequestNumber,
    /// Whether this process is the one to send.
    sends: bool,
    /// The first message that was not yet received when the receiver was last asked.
    missing: Option<RequestNumber>,
    /// That message has not been received between two of these requests.
    overdue: bool,
}

impl Mailbox {
    /// Adds the next message. One that was already received is not retained.
    pub fn post(&mut self, number: RequestNumber, bytes: Vec<u8>) {
        if self.received.is_none_or(|received| number > received) {
            self.messages.push_back((number, bytes));
        }
    }

    /// Whether this process is the one to send from now on. If not, it only retains what is not yet received.
    pub fn set_sends(&mut self, sends: bool) {
        self.sends = sends;
    }

    /// The receiver has made durable everything up to `received`.
    ///
    /// # Errors
    /// When the next message is no longer retained.
    pub fn received(&mut self, received: RequestNumber) -> Result<(), Forgotten> {
        while self.messages.front().is_some_and(|&(number, _)| number <= received) {
            self.messages.pop_front();
        }
        self.received = Some(received);
        self.taken = received;
        let missing = self.messages.front().map(|&(number, _)| number);
        self.overdue = missing.is_some() && missing == self.missing;
        self.missing = missing;
        match self.messages.front() {
            Some(&(kept_from, _)) if kept_from > received.next() => Err(Forgotten { received, kept_from }),
            _ => Ok(()),
        }
    }

    /// The receiver has accepted everything up to `taken`; it is not durable there yet. If it has not accepted what was
    /// sent, because an earlier message is missing there, it must be asked for its position.
    pub fn taken(&mut self, sent: RequestNumber, taken: RequestNumber) {
        if taken < sent {
            self.lost();
        } else {
            self.taken = self.taken.max(taken);
        }
    }

    /// The connection broke: what was sent last may not have arrived, or may have been lost there.
    pub fn lost(&mut self) {
        self.received = None;
        self.taken = RequestNumber(0);
    }

    /// Whether something is in flight that no barrier has confirmed.
    #[must_use]
    pub fn is_unconfirmed(&self) -> bool {
        self.received.is_some_and(|received| self.taken > received)
    }

    /// Whether the receiver must be asked for the last message that it has.
    #[must_use]
    pub fn must_ask(&self) -> bool {
        self.received.is_none() && !self.messages.is_empty()
    }

    /// The next messages to send, at most `most`, with the number of the first; `None` if there is nothing to send, or
    /// not from here.
    #[must_use]
    pub fn next(&self, most: usize) -> Option<(RequestNumber, impl Iterator<Item = &[u8]>)> {
        if !(self.sends || self.overdue) || self.received.is_none() {
            return None;
        }
        let &(oldest, _) = self.messages.front()?;
        let skip = usize::try_from((self.taken.0 + 1).saturating_sub(oldest.0)).unwrap_or(usize::MAX);
        let &(first, _) = self.messages.get(skip)?;
        Some((first, self.messages.iter().skip(skip).take(most).map(|(_, bytes)| bytes.as_slice())))
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
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(number: u64) -> (RequestNumber, Vec<u8>) {
        (RequestNumber(number), number.to_le_bytes().to_vec())
    }

    fn sent(mailbox: &Mailbox) -> Option<(u64, usize)> {
        mailbox.next(2).map(|(first, messages)| (first.0, messages.count()))
    }

    #[test]
    fn nothing_is_sent_before_the_receiver_was_asked_nor_from_a_standby() {
        let mut mailbox = Mailbox::default();
        for number in 1..=5 {
            let (number, bytes) = message(number);
            mailbox.post(number, bytes);
        }
        assert!(mailbox.must_ask());
        mailbox.received(RequestNumber(2)).unwrap();
        assert_eq!((sent(&mailbox), mailbox.len()), (None, 3), "a standby keeps what is not heard");
        mailbox.received(RequestNumber(2)).unwrap();
        assert_eq!(sent(&mailbox), Some((3, 2)), "and sends what is not received for long");
        mailbox.received(RequestNumber(3)).unwrap();
        assert_eq!(sent(&mailbox), None, "somebody is at work");
        mailbox.set_sends(true);
        assert_eq!(sent(&mailbox), Some((4, 2)));
        mailbox.lost();
        assert_eq!((sent(&mailbox), mailbox.must_ask()), (None, true));
        mailbox.received(RequestNumber(5)).unwrap();
        assert_eq!((sent(&mailbox), mailbox.must_ask(), mailbox.is_empty()), (None, false, true));
        mailbox.post(RequestNumber(5), Vec::new());
        assert!(mailbox.is_empty(), "heard before it was made here");
    }

    #[test]
    fn the_next_are_sent_before_the_last_are_confirmed() {
        let mut mailbox = Mailbox::default();
        for number in 1..=5 {
            let (number, bytes) = message(number);
            mailbox.post(number, bytes);
        }
        mailbox.set_sends(true);
        mailbox.received(RequestNumber(0)).unwrap();
        assert_eq!(sent(&mailbox), Some((1, 2)));
        mailbox.taken(RequestNumber(2), RequestNumber(2));
        assert_eq!((sent(&mailbox), mailbox.len(), mailbox.is_unconfirmed()), (Some((3, 2)), 5, true));
        mailbox.received(RequestNumber(2)).unwrap();
        assert_eq!((sent(&mailbox), mailbox.len(), mailbox.is_unconfirmed()), (Some((3, 2)), 3, false));
        mailbox.taken(RequestNumber(4), RequestNumber(4));
        mailbox.taken(RequestNumber(5), RequestNumber(2));
        assert!(mailbox.must_ask(), "a failure there has taken away what was taken");
        mailbox.received(RequestNumber(2)).unwrap();
        assert_eq!(sent(&mailbox), Some((3, 2)));
    }

    #[test]
    fn a_receiver_that_has_lost_what_was_durable_is_found_out() {
        let mut mailbox = Mailbox::default();
        for number in 1..=3 {
            let (number, bytes) = message(number);
            mailbox.post(number, bytes);
        }
        mailbox.received(RequestNumber(2)).unwrap();
        mailbox.lost();
        let forgotten = Forgotten { received: RequestNumber(1), kept_from: RequestNumber(3) };
        assert_eq!(mailbox.received(RequestNumber(1)), Err(forgotten));
    }
}
