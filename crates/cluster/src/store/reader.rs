//! Reads a partition's commands in order, while others append or later.

use std::collections::VecDeque;
use std::fmt;

use crossbook_log::{Error, Reader, Record, Until};
use crossbook_types::{PartitionId, Sequence};

use super::{Connect, ErrorKind, ErrorOf, Link, StoreError as _, StoredCommand};

/// Commands asked for at once.
const RECORDS_AT_ONCE: u64 = 256;

/// Why the commands cannot be read on.
#[derive(Debug, thiserror::Error)]
#[error(
    "the log has forked: the commands end before {next}, though {bound} was confirmed. Something confirmed was lost (two failures at once, or \
     a store restored from a backup); stop, and check what every process last acknowledged"
)]
struct Forked {
    next: Sequence,
    bound: Sequence,
}

/// A [`Reader`] of the commands of a partition. It connects when first asked, and again after a failure.
pub struct StoreReader<C: Connect> {
    stores: C,
    partition: PartitionId,
    link: Option<Link<C::Store>>,
    /// The next command to give, whether it is in `ahead` or not.
    next: Sequence,
    /// Commands that were read ahead; never past the bound, for what is not confirmed may change.
    ahead: VecDeque<StoredCommand>,
    given: Option<StoredCommand>,
}

impl<C: Connect> StoreReader<C> {
    /// A reader of this partition's commands from `from` on. Nothing is read yet.
    ///
    /// # Panics
    /// When `from` is 0; commands count from 1.
    #[must_use]
    pub fn open(stores: C, partition: PartitionId, from: Sequence) -> Self {
        assert!(from > Sequence(0), "commands count from 1");
        Self { stores, partition, link: None, next: from, ahead: VecDeque::new(), given: None }
    }

    fn fill(&mut self, records_max: u64) -> Result<(), ErrorOf<C>> {
        let mut link = match self.link.take() {
            Some(link) => link,
            None => Link::connect(&self.stores, self.partition)?,
        };
        self.ahead = link.read(self.next, records_max as usize)?.into();
        self.link = Some(link);
        Ok(())
    }
}

impl<C: Connect> Reader for StoreReader<C> {
    fn next(&mut self, until: Until) -> Result<Option<Record<'_>>, Error> {
        if self.ahead.is_empty() {
            let wanted = match until {
                Until::Durable(bound) => RECORDS_AT_ONCE.min((bound.0 + 1).saturating_sub(self.next.0)),
                Until::End => RECORDS_AT_ONCE,
            };
            if wanted == 0 {
                return Ok(None);
            }
            self.fill(wanted).map_err(|error| match error.kind() {
                ErrorKind::Trimmed { asked, first } => Error::Trimmed { asked, first },
                _ => Error::Store(Box::new(error)),
            })?;
        }
        if matches!(until, Until::Durable(bound) if self.next > bound) {
            return Ok(None);
        }
        match (self.ahead.pop_front(), until) {
            (Some(command), _) => {
                self.next = command.sequence.next();
                let StoredCommand { sequence, time, payload } = self.given.insert(command);
                Ok(Some(Record { sequence: *sequence, time: *time, payload }))
            }
            (None, Until::End) => Ok(None),
            (None, Until::Durable(bound)) => Err(Error::Store(Box::new(Forked { next: self.next, bound }))),
        }
    }
}

impl<C: Connect> fmt::Debug for StoreReader<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreReader")
            .field("partition", &self.partition)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}
