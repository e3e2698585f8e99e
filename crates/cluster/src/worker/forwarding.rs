//! The thread that delivers messages to one partition: carries out what its [`Forwarder`] plans.

use std::time::Instant;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use crossbook_types::PartitionId;

use super::{Error, Mail, Shared};
use crate::forwarder::{ASK_EVERY, Forwarder, Lost};
use crate::store::{Connect, ErrorOf, Link};

/// The thread that carries messages to one partition.
pub(super) struct Forwarding<'a, C> {
    shared: &'a Shared<C>,
    to: PartitionId,
    forwarder: Forwarder,
    /// Messages that the forwarder retains.
    kept: usize,
    begun: Instant,
}

impl<'a, C: Connect> Forwarding<'a, C> {
    pub(super) fn new(shared: &'a Shared<C>, to: PartitionId) -> Self {
        Self { shared, to, forwarder: Forwarder::default(), kept: 0, begun: Instant::now() }
    }

    pub(super) fn run(mut self, mail: &Receiver<Mail>) -> Result<(), Error> {
        let mut tries = 0;
        loop {
            match self.session(mail, &mut tries) {
                Ok(()) => return Ok(()),
                Err(Error::Store { source, .. }) if source.is_transient() => {
                    tracing::warn!(to = self.to.0, error = %source, "messages to this partition cannot be delivered now; trying again");
                    self.forwarder.disconnected();
                    if !self.shared.pause(&mut tries) {
                        return Ok(());
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Carries on one conversation for as long as it lasts. Ends well when there are no partitions left to carry for.
    fn session(&mut self, mail: &Receiver<Mail>, tries: &mut u32) -> Result<(), Error> {
        let to = self.to;
        let failed = |source: ErrorOf<C>| Error::Store { partition: to, source: source.into() };
        let mut link = None;
        let batch = self.shared.options.forward_batch_max.min(self.shared.stores.bounds().records_max);
        loop {
            if !self.gather(mail) {
                return Ok(());
            }
            let Some(round) = self.forwarder.round(batch, self.begun.elapsed()) else { continue };
            let link = match &mut link {
                Some(link) => link,
                none => none.insert(Link::connect(&self.shared.stores, to).map_err(failed)?),
            };
            let received = link.deliver_all(&self.forwarder.letters(&round), round.confirm).map_err(failed)?;
            let delivered = self.forwarder.delivered(&round, &received, self.begun.elapsed());
            delivered.map_err(|Lost { from, source }| Error::Forgotten { from, to, source })?;
            *tries = 0;
            self.kept = self.forwarder.len();
            metrics::gauge!("crossbook_messages_unacknowledged", "to" => to.0.to_string()).set(self.kept as f64);
        }
    }

    /// Takes what there is to carry, waiting for it if there is nothing. False when all partitions here have ended.
    fn gather(&mut self, mail: &Receiver<Mail>) -> bool {
        if self.kept >= self.shared.options.forward_retained_max {
            return !self.shared.is_stopping();
        }
        let first = if self.forwarder.is_ready() {
            mail.try_recv().ok()
        } else {
            match mail.recv_timeout(ASK_EVERY) {
                Ok(first) => Some(first),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        };
        let room = self.shared.options.forward_retained_max.saturating_sub(self.kept);
        for letter in first.into_iter().chain(mail.try_iter()).take(room.max(1)) {
            match letter {
                Mail::Message { from, number, bytes } => {
                    self.forwarder.post(from, number, bytes);
                    self.kept += 1;
                }
                Mail::Standing { from, active } => self.forwarder.set_sends(from, active),
            }
        }
        !self.shared.is_stopping()
    }
}
