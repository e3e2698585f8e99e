//! Delivers the messages of a worker's partitions to one other partition. No I/O and no clock: the caller asks what the
//! next round trip should deliver ([`Forwarder::round`]) and reports its result.

use std::collections::BTreeMap;
use std::time::Duration;

use crossbook_types::{PartitionId, RequestNumber};

use crate::mailbox::{Forgotten, Mailbox};
use crate::store::Deliver;

/// How often a standby partition's receivers are asked what they have received.
pub const ASK_EVERY: Duration = Duration::from_millis(500);
/// How long what was delivered may wait for its confirmation while there is more to deliver.
const CONFIRM_EVERY: Duration = Duration::from_millis(50);

/// The messages to one partition, by sender.
#[derive(Clone, Debug, Default)]
pub struct Forwarder {
    boxes: BTreeMap<PartitionId, Mailbox>,
    asked: Duration,
    confirmed: Duration,
}

/// What one round trip delivers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Round {
    /// By sender, the number of the first message and how many there are; with none it only asks what was received.
    deliver: Vec<(PartitionId, RequestNumber, usize)>,
    /// Whether the round trip is to end with a confirmation.
    pub confirm: bool,
    /// Whether it asks for all that has been waiting.
    asks_all: bool,
}

/// A sender's messages that the receiver has lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lost {
    /// Who sent them.
    pub from: PartitionId,
    /// What is lost.
    pub source: Forgotten,
}

impl Forwarder {
    /// Takes the next message of a sender.
    pub fn post(&mut self, from: PartitionId, number: RequestNumber, bytes: Vec<u8>) {
        self.boxes.entry(from).or_default().post(number, bytes);
    }

    /// Whether this worker is the one to send the messages of that partition from now on.
    pub fn set_sends(&mut self, from: PartitionId, sends: bool) {
        self.boxes.entry(from).or_default().set_sends(sends);
    }

    /// How many messages are retained.
    #[must_use]
    pub fn len(&self) -> usize {
        self.boxes.values().map(Mailbox::len).sum()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.boxes.values().all(Mailbox::is_empty)
    }

    /// Whether there is something to do that should not wait for more messages.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let waits = |mailbox: &Mailbox| mailbox.must_ask() || mailbox.is_unconfirmed() || mailbox.next(1).is_some();
        self.boxes.values().any(waits)
    }

    /// What the next round trip should deliver, `batch_max` messages of a sender at most; `None` if there is nothing to
    /// do.
    #[must_use]
    pub fn round(&self, batch_max: usize, now: Duration) -> Option<Round> {
        let due = now.saturating_sub(self.asked) >= ASK_EVERY;
        let asks = |mailbox: &Mailbox| mailbox.must_ask() || (due && !mailbox.is_empty());
        let sends = self.boxes.values().any(|mailbox| mailbox.next(1).is_some());
        // Deliveries are confirmed when there is nothing else to send, or they have been in flight for long.
        let unconfirmed = self.boxes.values().any(Mailbox::is_unconfirmed);
        let confirm = self.boxes.values().any(asks)
            || (unconfirmed && (!sends || now.saturating_sub(self.confirmed) >= CONFIRM_EVERY));
        if !sends && !confirm {
            return None;
        }
        let mut deliver = Vec::new();
        for (&from, mailbox) in &self.boxes {
            if let Some((first, messages)) = mailbox.next(batch_max) {
                deliver.push((from, first, messages.count()));
            } else if confirm && (asks(mailbox) || mailbox.is_unconfirmed()) {
                deliver.push((from, RequestNumber(1), 0));
            }
        }
        Some(Round { deliver, confirm, asks_all: due })
    }

    /// The messages of a round, which is the last that [`Forwarder::round`] gave.
    #[must_use]
    pub fn letters(&self, round: &Round) -> Vec<Deliver<'_>> {
        let mut letters = Vec::with_capacity(round.deliver.len());
        for &(from, first, count) in &round.deliver {
            let messages = self.boxes.get(&from).and_then(|mailbox| mailbox.next(count)).map(|(_, messages)| messages);
            let messages = if count == 0 { Vec::new() } else { messages.into_iter().flatten().collect() };
            letters.push(Deliver { from, first, messages });
        }
        letters
    }

    /// The result of a round: by delivery, the last message that the receiver has. If the round was to end with a
    /// confirmation, it did.
    ///
    /// # Errors
    /// When the receiver has lost what had been confirmed there.
    pub fn delivered(&mut self, round: &Round, received: &[RequestNumber], now: Duration) -> Result<(), Lost> {
        for (&(from, first, count), &received) in round.deliver.iter().zip(received) {
            let Some(mailbox) = self.boxes.get_mut(&from) else { continue };
            if round.confirm {
                mailbox.received(received).map_err(|source| Lost { from, source })?;
            } else {
                mailbox.taken(RequestNumber(first.0 + count as u64 - 1), received);
            }
        }
        if round.confirm {
            self.confirmed = now;
        }
        if round.asks_all {
            self.asked = now;
        }
        Ok(())
    }

    /// The conversation broke, or the confirmation did not hold: what was delivered last may be lost.
    pub fn disconnected(&mut self) {
        self.boxes.values_mut().for_each(Mailbox::lost);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By delivery the sender, the first message and how many there are.
    type Letters = Vec<(u16, u64, usize)>;

    fn round(forwarder: &Forwarder, millis: u64) -> Option<(Letters, bool)> {
        let round = forwarder.round(2, Duration::from_millis(millis))?;
        let letters = forwarder.letters(&round);
        Some((
            letters.iter().map(|letter| (letter.from.0, letter.first.0, letter.messages.len())).collect(),
            round.confirm,
        ))
    }

    fn delivered(forwarder: &mut Forwarder, millis: u64, received: &[u64]) {
        let now = Duration::from_millis(millis);
        let round = forwarder.round(2, now).unwrap();
        let received: Vec<_> = received.iter().copied().map(RequestNumber).collect();
        forwarder.delivered(&round, &received, now).unwrap();
    }

    #[test]
    fn a_sender_asks_first_then_sends_and_has_what_it_sent_confirmed() {
        let mut forwarder = Forwarder::default();
        let (one, other) = (PartitionId(1), PartitionId(2));
        assert_eq!(round(&forwarder, 1_000), None);
        (1..=3).for_each(|number| forwarder.post(one, RequestNumber(number), vec![0]));
        forwarder.post(other, RequestNumber(1), vec![0]);
        forwarder.set_sends(one, true);
        assert_eq!(round(&forwarder, 1), Some((vec![(1, 1, 0), (2, 1, 0)], true)), "nobody knows what was heard");
        delivered(&mut forwarder, 1, &[0, 0]);
        assert_eq!(round(&forwarder, 2), Some((vec![(1, 1, 2)], false)), "the other stands by");
        delivered(&mut forwarder, 2, &[2]);
        assert_eq!(round(&forwarder, 3), Some((vec![(1, 3, 1)], false)), "sent before the last is confirmed");
        delivered(&mut forwarder, 3, &[3]);
        assert_eq!(round(&forwarder, 4), Some((vec![(1, 1, 0)], true)), "nothing else to send");
        delivered(&mut forwarder, 4, &[3]);
        assert_eq!((forwarder.len(), round(&forwarder, 5)), (1, None));
        assert_eq!(round(&forwarder, 600), Some((vec![(2, 1, 0)], true)), "what stands by asks now and then");
        forwarder.disconnected();
        assert_eq!(round(&forwarder, 10), Some((vec![(2, 1, 0)], true)));
    }
}
