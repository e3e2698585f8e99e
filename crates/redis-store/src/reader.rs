//! Reading a partition's `in` in order, beside its writer or long after it.

use std::collections::VecDeque;

use crossbook_types::{PartitionId, Sequence};

use crate::{Link, PulledRecord, Servers};
use crossbook_log::{Error, Reader, Record, Until};

/// Records asked for at once.
const RECORDS_AT_ONCE: u64 = 256;

/// A [`Reader`] of the stream `in` of a partition. It connects when first asked, and again after a failure.
#[derive(Debug)]
pub struct StreamReader {
    servers: Servers,
    partition: PartitionId,
    link: Option<Link>,
    /// The next record to give, whether it is in `ahead` or not.
    next: Sequence,
    /// Records that were read ahead; never past the bound, for what is not durable may change.
    ahead: VecDeque<PulledRecord>,
    given: Option<PulledRecord>,
}

impl StreamReader {
    /// A reader of this partition's commands from record `from`. Nothing is read yet.
    ///
    /// # Panics
    /// When `from` is 0; records count from 1.
    #[must_use]
    pub fn open(servers: &Servers, partition: PartitionId, from: Sequence) -> Self {
        assert!(from > Sequence(0), "records count from 1");
        Self { servers: servers.clone(), partition, link: None, next: from, ahead: VecDeque::new(), given: None }
    }

    fn fill(&mut self, records_max: u64) -> Result<(), crate::Error> {
        let mut link = match self.link.take() {
            Some(link) => link,
            None => Link::connect(&self.servers, self.partition)?,
        };
        self.ahead = link.read(self.next, records_max as usize)?.into();
        self.link = Some(link);
        Ok(())
    }
}

impl Reader for StreamReader {
    fn next(&mut self, until: Until) -> Result<Option<Record<'_>>, Error> {
        if self.ahead.is_empty() {
            let wanted = match until {
                Until::Durable(bound) => RECORDS_AT_ONCE.min((bound.0 + 1).saturating_sub(self.next.0)),
                Until::End => RECORDS_AT_ONCE,
            };
            if wanted == 0 {
                return Ok(None);
            }
            self.fill(wanted).map_err(|error| match error {
                crate::Error::Trimmed { asked, first, .. } => Error::Trimmed { asked, first },
                error => error.into(),
            })?;
        }
        if matches!(until, Until::Durable(bound) if self.next > bound) {
            return Ok(None);
        }
        match (self.ahead.pop_front(), until) {
            (Some(record), _) => {
                self.next = record.sequence.next();
                let PulledRecord { sequence, time, payload } = self.given.insert(record);
                Ok(Some(Record { sequence: *sequence, time: *time, payload }))
            }
            (None, Until::End) => Ok(None),
            (None, Until::Durable(bound)) => {
                Err(crate::Error::Forked(format!("in ends before {}, though {bound} was durable", self.next)).into())
            }
        }
    }
}
